"""Check: a cause with its law, and a way to find out whether a submission keeps it.

Also the `Trial` in which checks run: it makes the submission's objects and compares what
they answer. A check says nothing when the law holds and raises `Broken` when it does not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from engine.judge.remote import Raised, Remote, Stored, Subject
from engine.judge.transcript import literal
from engine.judge.verdict import Verdict


class Broken(AssertionError):
    """A law does not hold. `slug` says which, where a check looks at several at once."""

    def __init__(self, message: str, verdict=Verdict.WA, expected="", got="", proof=()):
        super().__init__(message)
        self.message = message
        self.verdict = verdict
        self.expected, self.got = expected, got  # text, one line a row
        self.proof = list(proof)  # Python that fails after the calls
        self.slug: str | None = None
        self.calls: list[str] = []


class NotRun(Exception):
    """The check cannot be judged, because of what another one found."""


@dataclass(frozen=True)
class Check:
    """`kind` is "tokens", "budget" or "property": what names a cause is a property."""

    slug: str
    law: str
    run: Callable[["Trial"], None] = field(repr=False)
    kind: str = "property"


class Trial:
    """One submission on trial: its objects within reach, a seed, and how to compare."""

    def __init__(self, subject: Subject, seed: int = 0, alone: bool = False):
        self.subject = subject
        self.seed = seed
        self.alone = alone  # there is one check only, which must say what it meets
        self.notes: dict = {}  # what a check leaves for the next ones of its kind

    def begin(self) -> None:
        """A new story: the calls before it do not belong to it."""
        self.subject.transcript.clear()

    def new(self, *args, **kwargs) -> Remote:
        return self.subject.new(*args, **kwargs)

    def store(self, name: str, array: np.ndarray) -> Stored:
        return self.subject.store(name, array)

    def equal(self, name: str, got, expected: np.ndarray) -> None:
        """Shape and every value; NumPy's proof is `assert_array_equal`."""
        if isinstance(got, np.ndarray) and np.array_equal(got, expected, equal_nan=True):
            return
        proof = [f"np.testing.assert_array_equal({name}, {literal(expected)})"]
        raise Broken(
            f"{name} is not what it should be", Verdict.WA, show(expected), show(got), proof
        )

    def same_dtype(self, name: str, got: np.ndarray, expected: np.ndarray) -> None:
        claim = f"{name}.dtype == np.{expected.dtype.name}"
        text = str(got.dtype)  # which says the byte order, too
        self.true(got.dtype == expected.dtype, claim, expected.dtype.name, text)

    def true(self, holds: bool, claim: str, expected="", got="") -> None:
        """`claim` is Python over the names of the calls."""
        if not holds:
            proof = [f"assert {claim}"]
            raise Broken(f"{claim} does not hold", Verdict.WA, str(expected), str(got), proof)

    def pair(self, answer, axes: int = 2) -> tuple:
        """The two numeric arrays of so many axes that the last call must have returned."""
        pair = answer if isinstance(answer, (tuple, list)) and len(answer) == 2 else (None, None)
        if all(
            isinstance(a, Stored) or (isinstance(a, np.ndarray) and a.ndim == axes) for a in pair
        ):
            return tuple(pair)
        self.subject.transcript.name_last("answer")
        proof = [
            "assert isinstance(answer, (tuple, list)) and len(answer) == 2, answer",
            f"assert all(isinstance(a, np.ndarray) and a.ndim == {axes} for a in answer), answer",
            "assert all(a.dtype.kind in 'biufc' for a in answer), answer",
        ]
        expected = f"two arrays of {axes} axes"
        raise Broken(f"the answer is not {expected}", Verdict.WA, expected, _brief(answer), proof)

    def raises(self, method, *args) -> bool:
        """Whether the call raises, whatever it raises."""
        try:
            method.described(*args)
        except Raised as raised:
            self.subject.transcript.refused_as_due(type(raised).__mro__[1])
            return True
        return False

    def refused(self, error: type[Exception], method, *args, **kwargs) -> None:
        """The call raises this error, or a subclass of it."""
        transcript = self.subject.transcript
        try:
            answer = method(*args, **kwargs)
        except Raised as raised:
            if isinstance(raised, error):
                transcript.refused_as_due(error)
                return
            transcript.not_refused(error)
            got = str(raised)
        else:
            transcript.not_refused(error)
            got = "no error, but " + _brief(answer)
        raise Broken(f"{error.__name__} is due", Verdict.WA, error.__name__, got)


def unexpected(raised: Raised) -> Broken:
    """What an exception means where none is due."""
    verdict = Verdict.MLE if isinstance(raised, MemoryError) else Verdict.RTE
    return Broken(f"it raises {raised}", verdict, "no error", str(raised))


def show(value) -> str:
    """Arrays row by row, anything else by its type."""
    if not isinstance(value, np.ndarray):
        return _brief(value)
    head = f"{value.dtype.name} {value.shape}"
    if value.ndim == 0 or value.size == 0:
        return head
    rows = value.reshape(-1, value.shape[-1]) if value.ndim > 1 else value.reshape(-1, 1)
    if len(rows) > 40:
        return head
    return "\n".join(
        [head, *(np.array2string(r, max_line_width=10**6, threshold=12) for r in rows)]
    )


def _brief(value) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {value.dtype.name} {value.shape}"
    if isinstance(value, tuple):
        return "(" + ", ".join(_brief(item) for item in value) + ")"
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."
