"""The judge's side of both ends: proxies that look like the submission's objects.

To the model a `Remote` is a cache. Behind it, a channel (`sandbox.Confined` to a child,
`local.Local` within this process) carries each call as a frame and brings the answer back.
"""

import builtins
import functools
from contextlib import contextmanager

import numpy as np

from engine.judge import frames
from engine.judge.stop import Stopped
from engine.judge.transcript import Transcript
from engine.judge.verdict import Verdict


class Unloadable(Exception):
    """The submission cannot be loaded, with the cause and a sentence."""

    def __init__(self, cause: str, message: str):
        super().__init__(message)
        self.cause = cause


class Raised(Exception):
    """An exception of the submission's code, raised again in the judge.

    It comes as a subclass of the builtin exception that it was (`raised_type`), so that
    serving code which waits for a `MemoryError` meets one.
    """

    type_name: str
    text: str
    where: list[str]

    def __str__(self):
        place = f" ({', '.join(self.where)})" if self.where else ""
        return f"{self.type_name}: {self.text}{place}"


@functools.cache  # one class for each: Hypothesis tells failures apart by their class
def _raised_as(base: type[Exception]) -> type[Raised]:
    if base is Exception:
        return Raised
    return type(base.__name__, (base, Raised), {"__str__": Raised.__str__})


def _raised(error: dict) -> Raised:
    base = Exception
    for name in error["types"]:
        builtin = getattr(builtins, str(name), None)
        if isinstance(builtin, type) and issubclass(builtin, Exception):
            base = builtin
            break
    kind = _raised_as(base)
    try:
        raised = kind.__new__(kind)
    except TypeError:  # one that cannot be made without its arguments, an ExceptionGroup
        raised = Raised()
    raised.type_name, raised.text = str(error["types"][0]), str(error["message"])
    raised.where = [str(line) for line in error["where"]]
    return raised


class Subject:
    """A submission within reach: makes its objects and calls them, whichever end holds it."""

    def __init__(self, open_channel, path: str | None = None):
        self._open_channel = open_channel
        self._path = path
        self._dropped: list[int] = []
        self._stopped = False
        self.channel = open_channel()
        self.interface: dict = {}
        self.transcript = Transcript()

    def named_kata(self) -> str | None:
        """What the file's own `KATA = ...` line says, None without one."""
        return self._ask(do="inspect", path=self._path)

    def load(self, interface: dict) -> None:
        """Import the submission at its end. Raises `Unloadable`."""
        self.interface = interface
        self._ask(do="load", interface=interface)

    def start_anew(self) -> None:
        """A fresh process for a submission whose last one stopped."""
        self._stopped = False
        self.channel.close()
        self.channel = self._open_channel()
        self._dropped.clear()
        if self._path is not None:
            self.named_kata()
        self.load(self.interface)

    def new(self, *args, **kwargs) -> "Remote":
        """An object of the submission's (first) class."""
        name = next(iter(self.interface))
        fields = {"class": name, "args": list(args), "kwargs": kwargs, "result": "keep"}
        line = self.transcript.construct(name, args, kwargs)
        return Remote(self, self.ask(do="new", **fields)["ok"], line, self.interface[name])

    def store(self, name: str, array: np.ndarray) -> "Stored":
        """An array of the caller's that lives at the submission's end, under this name."""
        self.transcript.assign(name, array)
        return Stored(self, self.ask(do="store", value=array)["ok"], name)

    @contextmanager
    def counting(self):
        """Inside, allocations at the submission's end are counted."""
        self.ask(do="count", on=True)
        try:
            yield
        finally:
            if not self._stopped:
                self.ask(do="count", on=False)

    def held_bytes(self) -> int:
        """What is allocated at the submission's end now, after a collection of garbage."""
        return self.ask(do="held")["ok"]

    def ask(self, **request) -> dict:
        """One exchange; raises `Raised` for what the submission's code raised.

        After a `Stopped` the next one starts the submission anew.
        """
        if self._stopped:
            self.start_anew()
        if self._dropped:
            request["drop"], self._dropped = self._dropped, []
        try:
            reply = self.channel.exchange(request)
        except Stopped:
            self._stopped = True
            raise
        if not _is_reply_to(request, reply):
            self._stopped = True
            message = "its process wrote a frame that is no reply to what it was asked"
            raise Stopped(Verdict.RTE, "broke-the-channel", message)
        if "raised" in reply:
            raise _raised(reply["raised"])
        if "refused" in reply:
            raise Unloadable(reply["refused"]["cause"], reply["refused"]["message"])
        return reply

    def _ask(self, **request):
        """What is asked before there is a class; an exception then is one of the import."""
        try:
            return self.ask(**request)["ok"]
        except Raised as raised:
            raise Unloadable("import-failed", f"importing the file raises {raised}") from None

    def drop(self, channel, ref: frames.Ref) -> None:
        if channel is self.channel:
            self._dropped.append(ref.id)


def _is_reply_to(request: dict, reply: dict) -> bool:
    """Whether a reply has the form that this request's has; what it says is another matter."""
    match reply:
        case {"raised": {"types": [str(), *_], "message": str(), "where": list()}}:
            return len(reply) == 1
        case {"refused": {"cause": str(), "message": str()}}:
            return len(reply) == 1 and request["do"] in ("inspect", "load")
        case {"ok": answer}:
            if request["do"] in ("new", "store") and not isinstance(answer, frames.Ref):
                return False
            if request.get("result") == "keep each" and not (
                type(answer) is tuple and all(isinstance(ref, frames.Ref) for ref in answer)
            ):
                return False
            if request["do"] == "inspect" and not isinstance(answer, str | None):
                return False
            if request["do"] == "held" and type(answer) is not int:
                return False
            has_peak = request["do"] in ("new", "call")
            return set(reply) == ({"ok", "peak"} if has_peak else {"ok"}) and (
                not has_peak or type(reply["peak"]) in (int, type(None))
            )
    return False


class _Held:
    """Something at the submission's end; let go there when it is let go here."""

    def __init__(self, subject: Subject, ref: frames.Ref, name: str):
        self._subject, self._ref, self._name = subject, ref, name
        self._channel = subject.channel

    def __del__(self):
        self._subject.drop(self._channel, self._ref)


class Remote(_Held):
    """An object of the submission's: its methods are called, its properties read, over there."""

    def __init__(self, subject: Subject, ref: frames.Ref, name: str, members: dict):
        super().__init__(subject, ref, name)
        self._members = members

    def __getattr__(self, name: str):
        if name not in self._members:
            raise AttributeError(f"the contract has no {name}")
        if self._members[name] is None:
            self._subject.transcript.read(self._name, name)
            return self._subject.ask(do="get", ref=self._ref.id, name=name)["ok"]
        method = Method(self, name)
        self.__dict__[name] = method
        return method


class Method:
    """A method of a `Remote`, called for its answer, for handles, or for its cost."""

    def __init__(self, owner: Remote, name: str):
        self._subject, self._ref = owner._subject, owner._ref.id
        self._owner_name, self.name = owner._name, name

    def __call__(self, *args, **kwargs):
        return self._call(args, kwargs, "send")["ok"]

    def keep(self, *args, **kwargs):
        """The answer left where it is: `Stored` arrays that can be fetched again later."""
        refs = self._call(args, kwargs, "keep each")["ok"]
        names = self._subject.transcript.result_names(self.name)
        names += [f"result{i}" for i in range(len(names), len(refs))]
        return tuple(Stored(self._subject, r, n) for r, n in zip(refs, names, strict=False))

    def traced(self, *args, **kwargs):
        """(the answer described, the most bytes that were newly allocated on the way).

        Only inside `Subject.counting`.
        """
        reply = self._call(args, kwargs, "describe")
        return reply["ok"], reply["peak"]

    def described(self, *args, **kwargs):
        """The answer's dtypes and shapes only; its bytes are not sent."""
        return self._call(args, kwargs, "describe")["ok"]

    def _call(self, args, kwargs, result: str) -> dict:
        named = result != "describe"
        self._subject.transcript.call(self._owner_name, self.name, args, kwargs, named)
        return self._subject.ask(
            do="call",
            ref=self._ref,
            method=self.name,
            args=[a._ref if isinstance(a, _Held) else a for a in args],
            kwargs=kwargs,
            result=result,
        )


class Stored(_Held):
    """An array at the submission's end."""

    def fetch(self):
        """What it holds now."""
        return self._subject.ask(do="fetch", ref=self._ref.id)["ok"]

    def fill(self, value) -> None:
        """What a caller does that uses its array for something else."""
        self._subject.transcript.fill(self._name, value)
        self._subject.ask(do="fill", ref=self._ref.id, value=value)
