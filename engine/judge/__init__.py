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
    path = os.fspath(path)
    limits = limits or Limits()
    resolve(sandbox)
    case = _Case(path, seed, isolation="plain, for code you trust")
    refusal = _refuse_path(path)
    if refusal:
        return case.not_run(Verdict.CE, *refusal)
    clock = Clock(limits.seconds)
    subject = Subject(lambda: Confined(limits, clock), os.path.abspath(path))
    try:
        importlib.import_module("engine.judge.life")  # Hypothesis, while the child imports NumPy
        named = subject.named_kata()
        kata = kata or _named(named)
        name = next(iter(kata.interface))
        case.of(kata, f"from runpy import run_path\n{name} = run_path({path!r})[{name!r}]", check)
        subject.load(kata.interface)
        return case.conclude(_run(subject, kata, case.planned, seed, clock))
    except Unloadable as error:
        return case.not_run(Verdict.CE, error.cause, str(error))
    except Stopped as stop:
        return case.not_run(stop.verdict, stop.cause, stop.message)
    finally:
        subject.channel.close()


def check_class(cache_class: type, kata: Kata, *, seed: int = 0) -> Report:
    """Judge a class of this process: the same checks, nothing confined."""
    from engine.judge.local import Local

    name = next(iter(kata.interface))
    module, own_name = cache_class.__module__, cache_class.__qualname__
    case = _Case(f"{module}.{own_name}", seed, isolation="none, a class of this process")
    case.of(kata, f"from {module} import {own_name} as {name}")
    subject = Subject(lambda: Local({name: cache_class}))
    try:
        subject.load(kata.interface)
    except Unloadable as error:
        return case.not_run(Verdict.CE, error.cause, str(error))
    return case.conclude(_run(subject, kata, case.planned, seed, Clock(float("inf"))))


class _Case:
    """What is known of a judgement from its beginning, and the report that it ends in."""

    def __init__(self, file: str, seed: int, isolation: str):
        self.started = time.monotonic()
        self.planned: list = []
        self.facts = {"file": file, "seed": seed, "isolation": isolation, "kata": None}

    def of(self, kata: Kata, importing: str, only: str | None = None) -> None:
        """`importing`: the Python that a printed story begins with. May raise `UnknownCheck`."""
        self.facts |= {"kata": kata.name, "importing": importing}
        self.planned = [check for check in kata.checks if only in (None, check.slug)]
        if not self.planned:
            known = ", ".join(check.slug for check in kata.checks)
            raise UnknownCheck(f"kata {kata.name} has no check {only!r}; it has {known}")

    def not_run(self, verdict: Verdict, cause: str, message: str) -> Report:
        """There was nothing that checks could be run on."""
        checks = [Result(c.slug, c.law, c.kind, "not run") for c in self.planned]
        return self._report(verdict, cause, message, checks)

    def conclude(self, results: list[Result]) -> Report:
        """The first failing check decides the verdict, the first failing property the cause."""
        failed = [r for r in results if r.status == "failed"]
        if not failed and results and all(r.status == "passed" for r in results):
            return self._report(Verdict.AC, "accepted", "every check passed", results)
        if not failed:
            message = "fewer checks ran than were planned"
            return self._report(Verdict.JE, "not-every-check-ran", message, results)
        first = next((r for r in failed if r.verdict is Verdict.JE), failed[0])
        named = first
        if first.kind != "property" and not first.cause and first.verdict in VAGUE:
            same = (r for r in failed if r.verdict is first.verdict and not r.cause)
            named = next((r for r in same if r.kind == "property"), first)
        raised = named.kind != "property" and named.verdict is Verdict.RTE
        tells = named.cause or raised or named.verdict is Verdict.JE
        message = named.message if tells else named.law
        return self._report(first.verdict, named.cause or named.slug, message, results)

    def _report(self, verdict, cause, message, checks) -> Report:
        seconds = time.monotonic() - self.started
        return Report(verdict, cause, message, checks, seconds=seconds, **self.facts)


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
        return {"status": "failed", "output": subject.channel.take_output(), **facts}
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
