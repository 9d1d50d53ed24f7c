"""The command line of the practice ladder, and `judge`, `check`, `run_generate` for programs.

python harness.py            the ladder, and what to type next
python harness.py --help     every command
"""

import argparse
import errno
import os
import signal
import sys
from pathlib import Path

import engine

HERE = Path(__file__).resolve().parent
_found = Path(next(iter(getattr(engine, "__path__", [])), engine.__file__ or "")).resolve().parent
if _found != HERE:
    raise ImportError(
        f"{HERE / 'harness.py'} needs the engine beside it, but `import engine` finds "
        f"{_found / 'engine'}: run from another folder, or rename that one"
    )

from engine.judge import Limits, Report, UnknownCheck, check_class  # noqa: E402
from engine.judge import judge as judge_file  # noqa: E402
from engine.judge.sandbox import MODES, Unavailable  # noqa: E402
from engine.katas import LADDER, UnknownKata, find  # noqa: E402

SOLUTIONS = HERE / "solutions"


def run_generate(cache_class, prompt, max_new_tokens: int, seed: int = 0) -> list[int]:
    """The tokens that the tiny model of this seed says after `prompt`, through `cache_class`."""
    from engine.model import Model

    return Model.random(seed=seed).generate(prompt, max_new_tokens, cache_class)


def judge(path, kata: str | None = None, **options) -> Report:
    """Judge a file in a process of its own. Options as those of `engine.judge.judge`."""
    return judge_file(path, None if kata is None else find(kata), **options)


def check(cache_class: type, kata: str = "append", seed: int = 0) -> Report:
    """Judge a class of this process; `AssertionError` with the report unless all checks pass.

    For your own test suite: the same cases and properties as for a file, but no isolation.
    """
    report = check_class(cache_class, find(kata), seed=seed)
    if not report.accepted:
        raise AssertionError("\n" + report.to_text())
    return report


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    # A report quotes what a submission says, in whatever characters.
    sys.stdout.reconfigure(errors="backslashreplace")
    for name in ("SIGTERM", "SIGHUP"):  # ended from outside, it still ends its child
        signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
    try:
        return args.run(args)
    except (OSError, UnknownKata, UnknownCheck, Unavailable) as error:
        if isinstance(error, BrokenPipeError):  # a pager that was closed has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"harness.py: {_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def run_list(args) -> int:
    width = max(map(len, LADDER))
    for number, name in enumerate(LADDER, 1):
        print(f"{number:3}  {name:<{width}}  {find(name).title}")
    if args.command is None:
        print("\nStart with the first, then have your file judged:")
        print(f"    python harness.py show {LADDER[0]}")
        print(f"    python harness.py start {LADDER[0]}")
        print(f"    python harness.py judge {LADDER[0]}.py")
    return 0


def run_show(args) -> int:
    import inspect
    import textwrap

    kata = find(args.kata)
    print(kata.statement_without("Hints", "Answers"))
    print("## The code that calls you\n")
    for function in kata.calling_code:
        print(textwrap.dedent(inspect.getsource(function)))
    print(f"To start:          python harness.py start {args.kata}")
    print(f"To be judged:      python harness.py judge {kata.name}.py")
    print(f"Hints and answers: {_nearby(kata.folder / 'statement.md')}")
    return 0


def run_start(args) -> int:
    kata = find(args.kata)
    path = Path(args.path or f"{kata.name}.py")
    if path.is_dir():
        path /= f"{kata.name}.py"
    with open(path, "x", encoding="utf-8") as file:
        file.write(kata.starter.read_text(encoding="utf-8"))
    print(f"{path} is yours. Fill it in, then: python harness.py judge {path}")
    return 0


def run_judge(args) -> int:
    if args.json not in (None, "-"):
        _refuse_output(args.json, args.file)
    report = judge(
        args.file,
        args.kata,
        check=args.check,
        seed=args.seed,
        sandbox=args.sandbox,
        limits=Limits(args.time_limit, args.memory_limit),
    )
    if args.json not in (None, "-"):
        Path(args.json).write_text(report.to_json() + "\n", encoding="utf-8")
    if args.json == "-":
        print(report.to_json())
    else:
        print(report.to_text(_color()), end="")
    return report.verdict.exit_code


def run_verify(args) -> int:
    from engine.judge.bank import verify

    if not SOLUTIONS.is_dir():
        raise FileNotFoundError(
            f"{SOLUTIONS} is not there: verify runs in a clone, not an installation"
        )
    live = sys.stdout.isatty()

    def progress(done: int, of: int) -> None:
        if live:
            print(f"\r{done} of {of} files judged", end="" if done < of else "\n", flush=True)

    katas = [find(args.kata)] if args.kata else [find(name) for name in LADDER]
    problems, lines = verify(katas, SOLUTIONS, progress)
    print("\n".join(lines + problems))
    print(f"{len(lines)} katas, {len(problems)} problems")
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="harness.py", description="A practice ladder for the key/value cache of LLM engines."
    )
    parser.set_defaults(run=run_list, command=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name, run, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    command("list", run_list, "the ladder, a line for each kata")
    sub = command("show", run_show, "a kata's statement and the code that calls you")
    sub.add_argument("kata", help="a name from the ladder, or a kata's folder")
    sub = command("start", run_start, "copy a kata's starter; never overwrites")
    sub.add_argument("kata", help="a name from the ladder, or a kata's folder")
    sub.add_argument("path", nargs="?", help="where to; KATA.py here if left out")

    sub = command("judge", run_judge, "run every check of a kata on a file")
    sub.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    limits = Limits()
    sub.add_argument("file")
    sub.add_argument("--kata", help="NAME or FOLDER, instead of the file's own KATA line")
    sub.add_argument("--check", metavar="SLUG", help="only this check")
    sub.add_argument(
        "--seed", type=natural, default=0, metavar="N", help="other prompts, weights, examples"
    )
    sub.add_argument(
        "--json", metavar="PATH", help="write the report as JSON; - for standard output"
    )
    sub.add_argument("--sandbox", choices=MODES, default="auto", help="how the file is confined")
    sub.add_argument(
        "--time-limit", type=seconds, default=limits.seconds, metavar="S",
        help="wall seconds that the file may take in all",
    )  # fmt: skip
    sub.add_argument(
        "--memory-limit", type=mebibytes, default=limits.memory_mib, metavar="MIB",
        help="address space of its process",
    )  # fmt: skip

    sub = command("verify", run_verify, "judge every file under solutions/ against its folder")
    sub.add_argument("kata", nargs="?", help="only this one")
    return parser


def _refuse_output(path: str, file: str) -> None:
    """Before the work and not after it: what cannot be written, or must not be."""
    if os.path.exists(path) and os.path.exists(file) and os.path.samefile(path, file):
        raise FileExistsError(errno.EEXIST, "this is the file to be judged", path)
    is_new = not os.path.lexists(path)
    with open(path, "a", encoding="utf-8"):
        pass
    if is_new:
        os.remove(path)


def natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number


def seconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86,400 seconds")
    return number


def mebibytes(text: str) -> int:
    number = int(text)
    if not 256 <= number <= 1 << 20:  # Python and NumPy alone need half of that
        raise argparse.ArgumentTypeError(f"{text} is not between 256 and 1,048,576 MiB")
    return number


def _color() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _nearby(path: Path) -> str:
    """As the reader would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
