"""The judge: runs every check of a kata on a submission and says what came of it.

The truth (model, oracle, Hypothesis, every comparison) stays in this process; the
submission's object lives at the other end of a channel.
"""

import importlib
import os
import stat
import time
import traceback

from engine.judge.remote import Raised, Subject, Unloadable
from engine.judge.report import Report, Result
from engine.judge.sandbox import Clock, Confined, Limits, resolve
from engine.judge.stop import Stopped
from engine.judge.verdict import Verdict
from engine.katas import Kata, UnknownKata, on_ladder

__all__ = ["Limits", "Report", "UnknownCheck", "Verdict", "check_class", "judge"]

PLAIN = "plain, for code you trust"
# Verdicts of token cases and budgets that say only that something is wrong, not what.
VAGUE = (Verdict.WA, Verdict.RTE)


class UnknownCheck(ValueError):
    """The kata plans no check of this name."""


def judge(
    path: str | os.PathLike,
    kata: Kata | None = None,
    *,
    check: str | None = None,
    seed: int = 0,
    sandbox: str = "auto",
    limits: Limits | None = None,
) -> Report:
    """Judge a file in a process of its own.

    Without `kata` the file's own `KATA = "..."` line decides. Whatever the file does comes
    back as a verdict; only what the caller gets wrong raises: `FileNotFoundError`,
    `UnknownCheck`, `sandbox.Unavailable`.
    """
    started = time.monotonic()
    path = os.fspath(path)
    limits = limits or Limits()
    resolve(sandbox)
    story = {"file": path, "kata": kata and kata.name, "seed": seed, "isolation": PLAIN}
    refusal = _refuse_path(path)
    if refusal:
        return _failed_to_load(Verdict.CE, *refusal, [], story, started)
    clock = Clock(limits.seconds)
    subject = Subject(lambda: Confined(limits, clock), os.path.abspath(path))
    planned: list = []
    try:
        importlib.import_module("engine.judge.life")  # Hypothesis, while the child imports NumPy
        named = subject.named_kata()
        kata = kata or _named(named)
        story["kata"], story["class_name"] = kata.name, next(iter(kata.interface))
        planned = _plan(kata, check)
        subject.load(kata.interface)
        results = _run(subject, kata, planned, seed, clock)
    except Unloadable as error:
        return _failed_to_load(Verdict.CE, error.cause, str(error), planned, story, started)
    except Stopped as stop:
        return _failed_to_load(stop.verdict, stop.cause, stop.message, planned, story, started)
    finally:
        subject.channel.close()
    return _conclude(results, story, started)


def check_class(cache_class: type, kata: Kata, *, seed: int = 0) -> Report:
    """Judge a class of this process: the same checks, nothing confined."""
    from engine.judge.local import Local

    started = time.monotonic()
    name = next(iter(kata.interface))
    story = {
        "file": f"{cache_class.__module__}.{cache_class.__qualname__}",
        "kata": kata.name,
        "seed": seed,
        "isolation": "none, a class of this process",
        "class_name": name,
    }
    planned = list(kata.checks)
    subject = Subject(lambda: Local({name: cache_class}))
    try:
        subject.load(kata.interface)
    except Unloadable as error:
        return _failed_to_load(Verdict.CE, error.cause, str(error), planned, story, started)
    return _conclude(_run(subject, kata, planned, seed, Clock(float("inf"))), story, started)


def _refuse_path(path: str) -> tuple[str, str] | None:
    """Cause and sentence for a path that no process should be started for."""
    if not os.path.lexists(path):
        raise FileNotFoundError(f"no such file: {path}")
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return "not-a-file", f"the link leads nowhere: {error.strerror}"
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device"}
        return "not-a-file", f"it is {kinds.get(stat.S_IFMT(mode), 'a special file')}"
    return None


def _named(name) -> Kata:
    if name is None:
        raise Unloadable(
            "no-kata-line", 'the file has no line KATA = "...", and no --kata is given'
        )
    try:
        return on_ladder(name)
    except UnknownKata as error:
        raise Unloadable("unknown-kata", f"its line KATA = ...: {error}") from None


def _plan(kata: Kata, only: str | None) -> list:
    if only is None:
        return list(kata.checks)
    planned = [check for check in kata.checks if check.slug == only]
    if not planned:
        known = ", ".join(check.slug for check in kata.checks)
        raise UnknownCheck(f"kata {kata.name} has no check {only!r}; it has {known}")
    return planned


def _run(subject: Subject, kata: Kata, planned: list, seed: int, clock: Clock) -> list[Result]:
    from engine.judge.check import Trial

    subject.transcript.results = kata.result_names
    trial = Trial(subject, seed, alone=len(planned) == 1)
    results = []
    for check in planned:
        facts = {"slug": check.slug, "law": check.law, "kind": check.kind}
        if clock.left <= 0:
            results.append(_out_of_time(facts, results))
            continue
        results.append(Result(**facts, **_try(check, trial)))
    return results


def _out_of_time(facts: dict, before: list[Result]) -> Result:
    """Not run; and a failure, if it is the first that the clock keeps from passing."""
    if any(result.status == "failed" for result in before):
        return Result(**facts, status="not run")
    return Result(
        **facts,
        status="failed",
        verdict=Verdict.TLE,
        cause="stopped-by-the-clock",
        message="the time that it may take in all was over before this check",
    )


def _try(check, trial) -> dict:
    """Run one check; every way in which it can end is an outcome."""
    from engine.judge.check import Broken, NotRun, unexpected

    subject = trial.subject
    try:
        try:
            check.run(trial)
        except Raised as raised:
            raise unexpected(raised) from None
        return {"status": "passed", "output": subject.channel.take_output()}
    except Broken as broken:
        calls = broken.calls or subject.transcript.code()
        return {
            "status": "failed",
            "verdict": broken.verdict,
            "message": broken.message,
            "expected": broken.expected,
            "got": broken.got,
            "calls": calls + broken.proof if check.kind == "property" else [],
            "output": subject.channel.take_output(),
        }
    except Stopped as stop:
        facts = {"verdict": stop.verdict, "cause": stop.cause, "message": stop.message}
        return {"status": "failed", **facts}
    except Unloadable as error:
        facts = {"verdict": Verdict.CE, "cause": error.cause, "message": str(error)}
        return {"status": "failed", **facts}
    except NotRun as reason:
        return {"status": "not run", "message": str(reason)}
    except Exception:
        return {
            "status": "failed",
            "verdict": Verdict.JE,
            "message": traceback.format_exc(limit=-4),
        }


def _conclude(results: list[Result], story: dict, started: float) -> Report:
    """The first failing check decides the verdict, the first failing property the cause."""
    failed = [r for r in results if r.status == "failed"]
    if failed:
        first = next((r for r in failed if r.verdict is Verdict.JE), failed[0])
        named = first
        if first.kind != "property" and not first.cause and first.verdict in VAGUE:
            properties = (r for r in failed if r.kind == "property" and not r.cause)
            named = next(properties, first)
        verdict, cause = first.verdict, named.cause or named.slug
        message = named.message if named.cause or named.verdict is Verdict.JE else named.law
    elif any(r.status != "passed" for r in results) or not results:
        verdict, cause = Verdict.JE, "not-every-check-ran"
        message = "fewer checks ran than were planned"
    else:
        verdict, cause, message = Verdict.AC, "accepted", "every check passed"
    return Report(
        verdict=verdict,
        cause=cause,
        message=message,
        checks=results,
        seconds=time.monotonic() - started,
        **story,
    )


def _failed_to_load(verdict, cause, message, planned, story, started) -> Report:
    checks = [Result(c.slug, c.law, c.kind, "not run") for c in planned]
    return Report(
        verdict=verdict,
        cause=cause,
        message=message,
        checks=checks,
        seconds=time.monotonic() - started,
        **story,
    )
