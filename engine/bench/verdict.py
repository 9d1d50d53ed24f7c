"""How long a verdict takes: whole processes, beside the mere import of what they need.

python -m engine.bench.verdict [ROUNDS]
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMPORT = "python -c 'import numpy, hypothesis'"
COMMANDS = {
    IMPORT: ["-c", "import numpy, hypothesis"],
    **{
        f"judge {file}": ["harness.py", "judge", f"solutions/append/{file}.py"]
        for file in (
            "accepted/preallocated",
            "wrong_answer/returns_whole_buffer",
            "wrong_answer/ignores_layer",
            "wrong_answer/wraps_around",
            "time_limit_exceeded/concatenates",
        )
    },
}


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of each command, one after the other in every round."""
    seconds = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    return {name: times[1:] for name, times in seconds.items()}  # the first was to warm up


def main() -> None:
    seconds = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
    unit = statistics.median(seconds[IMPORT])
    print("| whole process | median s | min to max | times the import |")
    print("| --- | --- | --- | --- |")
    for name, times in seconds.items():
        median = statistics.median(times)
        spread = f"{min(times):.2f} to {max(times):.2f}"
        print(f"| {name} | {median:.2f} | {spread} | {median / unit:.1f} |")


if __name__ == "__main__":
    main()
