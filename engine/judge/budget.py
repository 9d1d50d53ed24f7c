"""Budgets: what a call may allocate, what an object may hold, counted and not timed."""

from engine.judge.check import Broken
from engine.judge.verdict import Verdict

CONST = 8 << 10  # bytes one call may allocate whatever the length of the history
SLACK = 20  # how many times slower a call may get with the history before the clock speaks


def peak_within(trial, budget_bytes: int, what: str, method, *args) -> None:
    """The call's peak of newly allocated bytes, after one call of the same kind."""
    _, peak = method.traced(*args)
    if peak > budget_bytes:
        raise Broken(
            f"{what} allocates {peak:,} bytes",
            Verdict.TLE,
            f"at most {budget_bytes:,} bytes",
            f"{peak:,} bytes",
        )


def held_within(trial, budget_bytes: int, held_bytes: int, when: str) -> None:
    """What an object keeps between calls."""
    if held_bytes > budget_bytes:
        raise Broken(
            f"{when} it holds {held_bytes:,} bytes",
            Verdict.MLE,
            f"at most {budget_bytes:,} bytes",
            f"{held_bytes:,} bytes",
        )


def cpu_ratio_within(trial, early, between, late, what: str) -> None:
    """`late()` costs at most SLACK times the processor time of `early()`.

    It stands behind the count of bytes, from which work in place is hidden. Where the
    kernel does not tell one process's time, or all run in one, there is nothing to compare.
    """
    cpu_seconds = trial.subject.channel.cpu_seconds
    if cpu_seconds() is None:
        return
    times = []
    early()  # once to warm up
    for calls in (early, between, late):
        started = cpu_seconds()
        calls()
        times.append(cpu_seconds() - started)
    if times[2] > SLACK * times[0]:
        raise Broken(
            f"{what} takes more than {SLACK} times the processor time",
            Verdict.TLE,
            f"at most {SLACK} times",
            f"more than {SLACK} times",
        )
