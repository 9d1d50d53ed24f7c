"""Transcript: the calls of one life of a cache, and the Python that makes them again."""

import math

import numpy as np

LONGEST_LITERAL = 64  # values; a longer array is written down only if all are equal


class Transcript:
    """Notes calls as they happen; writes them as Python only when someone asks."""

    def __init__(self):
        self.recording = True
        self.results: dict[str, str] = {}  # method name -> what its answer is called, "K, V"
        self.clear()

    def clear(self) -> None:
        self._entries: list = []
        self._objects = 0

    def result_names(self, method: str) -> list[str]:
        return self.results.get(method, "result").split(", ")

    def construct(self, class_name: str, args, kwargs) -> str:
        """Notes a construction; returns the name of the new object."""
        self._objects += 1
        name = "cache" if self._objects == 1 else f"cache{self._objects}"
        self._note(lambda: [f"{name} = {class_name}({_arguments(args, kwargs)})"])
        return name

    def call(self, owner: str, method: str, args, kwargs, named: bool = True) -> None:
        """A call, its answer named unless nobody looks at it."""
        result = f"{self.results.get(method, 'result')} = " if named else ""
        self._last_call = lambda: f"{owner}.{method}({_arguments(args, kwargs)})"
        call = self._last_call
        self._note(lambda: [f"{result}{call()}"])

    def read(self, owner: str, attribute: str) -> None:
        self._note(lambda: [f"{attribute} = {owner}.{attribute}"])

    def assign(self, name: str, array: np.ndarray) -> None:
        self._note(lambda: [f"{name} = {literal(array)}"])

    def fill(self, name: str, value) -> None:
        self._note(lambda: [f"{name}[...] = {literal(value)}"])

    def comment(self, text: str) -> None:
        self._note(lambda: [f"# {text}"])

    def refused_as_due(self, error: type[Exception]) -> None:
        """The last call raised what it had to."""
        call = self._last_call
        self._replace(lambda: [f"with suppress({error.__name__}):", f"    {call()}"])

    def not_refused(self, error: type[Exception]) -> None:
        """The last call should have raised and did not, or raised something else."""
        call, name = self._last_call, error.__name__
        missing = f'    raise AssertionError("no {name}")'
        self._replace(
            lambda: ["try:", f"    {call()}", f"except {name}:", "    pass", "else:", missing]
        )

    def name_last(self, name: str) -> None:
        """The last call's answer under another name, to say something about the whole of it."""
        call = self._last_call
        self._replace(lambda: [f"{name} = {call()}"])

    def code(self) -> list[str]:
        return [line for entry in self._entries for line in entry()]

    def _note(self, entry) -> None:
        if self.recording:
            self._entries.append(entry)

    def _replace(self, entry) -> None:
        if self.recording:
            self._entries[-1] = entry


def _arguments(args, kwargs) -> str:
    named = [f"{name}={literal(value)}" for name, value in kwargs.items()]
    return ", ".join([literal(value) for value in args] + named)


def literal(value) -> str:
    """Python that gives the value again."""
    if isinstance(value, np.ndarray):
        return _array_literal(value)
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(literal(item) for item in value)
        closing = ("[", "]") if isinstance(value, list) else ("(", ",)" if len(value) == 1 else ")")
        return inner.join(closing)
    if isinstance(value, np.generic):
        return f"np.{value.dtype.name}({_number(value)})"
    name = getattr(value, "_name", None)  # an object or array at the submission's end
    return repr(value) if name is None else name


def _array_literal(array: np.ndarray) -> str:
    dtype = f"np.{array.dtype.name}"
    if array.size == 0:
        return f"np.zeros({array.shape}, {dtype})"
    if array.size > LONGEST_LITERAL:
        flat = array.reshape(-1)
        if (flat == flat[0]).all():
            return f"np.full({array.shape}, {_number(flat[0])}, {dtype})"
        step = (flat[1] - flat[0]).item()
        if (np.diff(flat) == step).all():
            bounds = f"{_number(flat[0])}, {_number(flat[-1] + step)}, {step:g}"
            return f"np.arange({bounds}, {dtype}).reshape({array.shape})"
        raise ValueError(f"an array of shape {array.shape} is too long to write down")
    return f"{dtype}({_nested(array)})"


def _nested(array: np.ndarray) -> str:
    if array.ndim == 0:
        return _number(array[()])
    return "[" + ", ".join(_nested(item) for item in array) + "]"


def _number(value) -> str:
    number = value.item()
    if isinstance(number, float) and not math.isfinite(number):
        return f"float('{number}')"
    if isinstance(number, float) and number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    return repr(number)
