"""Budgets: what a call may allocate, what an object may hold, counted and not timed."""

from engine.judge.check import Broken
from engine.judge.verdict import Verdict

CONST = 8 << 10  # bytes one call may allocate whatever the length of the history
SLACK = 20  # how many times slower a call may get with the history before the clock speaks


def peaks_within(budget_bytes: int, peaks: dict[str, int | None]) -> None:
    """`peaks`: what a call was -> the most bytes it newly allocated. The worst one counts."""
    if None in peaks.values():
        raise Broken("it stops the count of its allocations", Verdict.TLE)
    what, worst = max(peaks.items(), key=lambda item: item[1])
    if worst > budget_bytes:
        limit, used = _size(budget_bytes), _size(worst)
        raise Broken(f"{what} allocates {used}", Verdict.TLE, f"at most {limit}", used)


def held_within(budget_bytes: int, held_bytes: int, when: str) -> None:
    """What an object keeps between calls."""
    if held_bytes > budget_bytes:
        limit, used = _size(budget_bytes), _size(held_bytes)
        raise Broken(f"{when} it holds {used}", Verdict.MLE, f"at most {limit}", used)


def _size(n_bytes: int) -> str:
    """Rounded: a few bytes more or less are CPython's own, and differ between runs."""
    return f"{n_bytes / 1024:,.0f} KiB"


def cpu_ratio_within(trial, cheap, others) -> None:
    """Each of the others costs at most SLACK times the processor time of `cheap()`.

    `others`: what it is, what prepares it, and the calls, which are made three times.

    It stands behind the count of bytes, from which work in place is hidden. Where the
    kernel does not tell one process's time there is nothing to compare.
    """
    cpu_seconds = trial.subject.channel.cpu_seconds
    if cpu_seconds() is None:
        return

    def costs(calls) -> list[float]:
        """Of two tries, after one that touches memory for the first time."""
        times = []
        for _ in range(3):
            started = cpu_seconds()
            calls()
            times.append(cpu_seconds() - started)
        return times[1:]

    limit = SLACK * max(costs(cheap))
    for what, prepare, calls in others:
        prepare()
        if min(costs(calls)) > limit:
            least = f"more than {SLACK} times"
            raise Broken(
                f"{what} takes {least} the processor time",
                Verdict.TLE,
                f"at most {SLACK} times",
                least,
            )
