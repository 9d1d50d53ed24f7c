"""Report: everything a judgement found, as JSON for programs and as text for people."""

import json
import textwrap
from dataclasses import asdict, dataclass, field

from engine.judge.verdict import Verdict

WIDTH = 80
MESSAGE_CHARACTERS = 65_535  # exercism's limits
OUTPUT_CHARACTERS = 500
TASKS = {"tokens": 1, "budget": 2, "property": 3}


@dataclass(frozen=True)
class Result:
    """One planned check: `status` is "passed", "failed" or "not run"."""

    slug: str
    law: str
    kind: str
    status: str
    verdict: Verdict = Verdict.AC
    message: str = ""
    cause: str = ""  # where it is not the law that was broken, but the process that stopped
    expected: str = ""
    got: str = ""
    calls: list[str] = field(default_factory=list)  # Python; fails at its last line
    output: str = ""


@dataclass(frozen=True)
class Report:
    """What came of one file. `cause` is a slug, `message` its sentence."""

    verdict: Verdict
    cause: str
    message: str
    checks: list[Result]
    file: str
    kata: str | None
    seed: int
    isolation: str
    importing: str = ""  # Python that a printed story begins with
    seconds: float = 0.0

    @property
    def accepted(self) -> bool:
        return self.verdict is Verdict.AC

    def failure(self) -> Result | None:
        """The check that the text view explains: the one that names the cause."""
        failed = [c for c in self.checks if c.status == "failed"]
        named = [c for c in failed if self.cause in (c.slug, c.cause)]
        return (named or failed or [None])[0]

    def to_json(self) -> str:
        """exercism's test-runner format, version 3; what it has no place for is under `judge`."""
        ran = self.verdict not in (Verdict.CE, Verdict.JE)
        body = {"version": 3, "status": "pass" if self.accepted else "fail" if ran else "error"}
        if not ran:
            body["message"] = f"{self.cause}: {self.message}"[:MESSAGE_CHARACTERS]
        body["tests"] = [_test(c) for c in self.checks if c.status != "not run"] if ran else []
        judge = asdict(self) | {"verdict": self.verdict.name, "exit_code": self.verdict.exit_code}
        judge["checks"] = [asdict(c) | {"verdict": c.verdict.name} for c in self.checks]
        counts = [c.status for c in self.checks]
        judge["planned"], judge["run"] = len(counts), len(counts) - counts.count("not run")
        body["judge"] = judge
        return json.dumps(body, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Report":
        judge = json.loads(text)["judge"]
        for name in ("planned", "run", "exit_code"):
            del judge[name]
        checks = [Result(**c | {"verdict": Verdict[c["verdict"]]}) for c in judge["checks"]]
        return cls(**judge | {"verdict": Verdict[judge["verdict"]], "checks": checks})

    def to_text(self, color: bool = False) -> str:
        """For a terminal of 80 columns."""
        paint = _PAINT if color else dict.fromkeys(_PAINT, "")
        tone = paint["good" if self.accepted else "bad"]
        head = f"{self.verdict.name} {self.verdict.title}"
        if not self.accepted:
            head += f": {self.cause}"
        lines = [f"{tone}{head}{paint['plain']}"]
        if not self.accepted:
            lines += _wrap(self.message, "  ")
        if self.checks:
            lines += ["", *self._list_of_checks(paint)]
        failure = self.failure()
        if failure is not None and not failure.cause:
            lines += ["", *self._story(failure, paint)]
        lines += _printed(failure)
        passed = sum(c.status == "passed" for c in self.checks)
        lines += [
            "",
            f"{passed} of {len(self.checks)} checks passed: {_printable(self.file)}",
            f"kata {self.kata}, seed {self.seed}, {self.seconds:.2f} s",
            f"isolation: {self.isolation}",
        ]
        return "\n".join(lines) + "\n"

    def _list_of_checks(self, paint) -> list[str]:
        marks = {"passed": "ok", "failed": "FAILED", "not run": "not run"}
        lines = []
        for check in self.checks:
            tone = paint["bad"] if check.status == "failed" else ""
            verdict = f" {check.verdict.name}" if check.status == "failed" else ""
            lines.append(f"  {check.slug:<32}{tone}{marks[check.status]}{verdict}{paint['plain']}")
        return lines

    def _story(self, failure: Result, paint) -> list[str]:
        lines = [
            f"{paint['strong']}{failure.slug}{paint['plain']}",
            *_wrap(failure.law, "  the law: "),
        ]
        if failure.message != self.message:
            lines += _wrap(failure.message, "  what happened: ")
        if failure.calls:
            lines += ["", "  These calls show it (Python, run it as it is):", ""]
            code = _printable(self.snippet(failure))
            lines += ["    " + line for line in code.splitlines()]
        lines += _beside(failure)
        for check in self.checks:
            in_tokens = check.kind == "tokens" and check.status == "failed"
            if in_tokens and check is not failure and not check.cause:
                lines += ["", *_wrap(check.message, f"  In the model ({check.slug}): ")]
                lines += _beside(check)
                break
        return lines

    def snippet(self, failure: Result) -> str:
        """Python that makes the failing calls, stands alone and fails."""
        lines = ["import numpy as np", self.importing, *failure.calls]
        if any("suppress(" in line for line in failure.calls):
            lines.insert(0, "from contextlib import suppress")
        return "\n".join(lines)


_PAINT = {"good": "\033[32m", "bad": "\033[31m", "strong": "\033[1m", "plain": "\033[0m"}


def _printable(text: str) -> str:
    """What a submission says may hold anything, and a terminal obeys some of it."""
    shown = (c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    return "".join(shown)


def _wrap(text: str, first: str) -> list[str]:
    return textwrap.wrap(
        _printable(text), WIDTH, initial_indent=first, subsequent_indent=" " * len(first)
    )


def _printed(check: Result | None) -> list[str]:
    if check is None or not check.output:
        return []
    shown = _printable(check.output[-OUTPUT_CHARACTERS:])
    return ["", "  It printed:", *textwrap.indent(shown, "    ").splitlines()]


def _beside(check: Result) -> list[str]:
    """Expected and got, row by row, those that differ marked."""
    expected, got = (_printable(t).split("\n") for t in (check.expected, check.got))
    if expected == got:
        return []
    if len(expected) == len(got) == 1:
        lines = _wrap(check.expected, "    expected: ") + _wrap(check.got, "    got:      ")
        return ["", *lines]
    width = max(len("expected"), *(len(row) for row in expected)) + 3
    rows = [("expected", "got")]
    length = max(len(expected), len(got))
    rows += zip(
        expected + ["(no row)"] * (length - len(expected)),
        got + ["(no row)"] * (length - len(got)),
        strict=True,
    )
    return [
        "",
        *(f"  {'>' if i and a != b else ' '} {a:<{width}}{b}" for i, (a, b) in enumerate(rows)),
    ]


def _test(check: Result) -> dict:
    status = {Verdict.AC: "pass", Verdict.WA: "fail"}.get(check.verdict, "error")
    test = {"name": check.slug, "status": status, "task_id": TASKS[check.kind]}
    if check.status == "failed":
        lines = [check.message, f"expected: {check.expected}", f"got: {check.got}"]
        test["message"] = "\n".join(lines)[:MESSAGE_CHARACTERS]
    if check.calls:
        test["test_code"] = "\n".join(check.calls)
    if check.output:
        test["output"] = check.output[:OUTPUT_CHARACTERS]
    return test
