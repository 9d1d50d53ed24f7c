"""The child's end: loads one submission and does with its objects what the judge asks.

The only code that imports a submission. Run by its path in a process of its own:
`python -s -P child.py REQUEST_FD REPLY_FD LIMITS`. It knows nothing of the engine but the
frames; `local.py` uses the same `Workshop` within a process.
"""

import ast
import contextlib
import gc
import importlib.util
import inspect
import io
import json
import os
import resource
import signal
import sys
import tokenize
import tracemalloc
import types

import numpy as np

if __name__ == "__main__":
    # By its path and not over sys.path, where a submission would find the judge's modules too.
    _spec = importlib.util.spec_from_file_location(
        "frames", os.path.join(os.path.dirname(os.path.abspath(__file__)), "frames.py")
    )
    frames = importlib.util.module_from_spec(_spec)
    sys.modules["frames"] = frames
    _spec.loader.exec_module(frames)
else:
    from engine.judge import frames

MAX_SOURCE_BYTES = 1 << 20


class Refused(Exception):
    """The submission cannot be loaded: `cause` and one sentence."""

    def __init__(self, cause: str, message: str):
        super().__init__(message)
        self.cause = cause


class Workshop:
    """Holds a submission's classes and objects, and answers requests about them.

    The classes come out of a file, or out of a `namespace` that is there already.
    """

    def __init__(self, namespace: dict | None = None, file: str = ""):
        self.namespace = namespace
        self.in_process = namespace is not None
        self.file = file
        self.classes: dict[str, type] = {}
        self.objects: dict[int, object] = {}
        self.next_id = 0
        self.counting = False
        # Bound now, so that a submission that patches tracemalloc changes nothing here.
        self._start_counting, self._stop_counting = tracemalloc.start, tracemalloc.stop
        self._is_counting, self._reset_peak = tracemalloc.is_tracing, tracemalloc.reset_peak
        self._counted = tracemalloc.get_traced_memory

    def answer(self, request: dict) -> bytes:
        """A frame: `{"ok": ...}`, `{"refused": ...}`, or `{"raised": ...}` by its own code."""
        for ref in request.get("drop", ()):
            self.objects.pop(ref, None)
        reply = self._answer(request)
        try:
            return frames.encode(reply)
        except Exception:  # an answer that no frame can hold, such as a list that holds itself
            reply["ok"] = frames.Opaque(type(reply["ok"]).__name__)
            return frames.encode(reply)

    def _answer(self, request: dict) -> dict:
        try:
            return getattr(self, "do_" + request["do"])(request)
        except Refused as refusal:
            return {"refused": {"cause": refusal.cause, "message": str(refusal)}}
        except BaseException as error:
            if self.in_process and isinstance(error, KeyboardInterrupt):
                raise  # somebody at the keyboard, not the submission
            return {"raised": _describe_error(error, self.file)}

    def do_inspect(self, request):
        """The kata that a file names, read from its source and not run."""
        self.file = request["path"]
        self.source = _read(self.file)
        self.tree = _parse(self.source, self.file)
        for node in self.tree.body:
            if not isinstance(node, (ast.Assign, ast.AnnAssign)):
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            if "KATA" in names and isinstance(node.value, ast.Constant):
                name = node.value.value
                return {"ok": name if isinstance(name, str) else repr(name)}
        return {"ok": None}

    def do_load(self, request):
        """Hold the classes against the kata's interface; the inspected file is run first."""
        interface = request["interface"]
        if self.namespace is None:
            _refuse_unfinished(self.tree, interface)
            self.namespace = self._run_file()
        self.classes = _take_classes(self.namespace, interface)
        return {"ok": None}

    def _run_file(self) -> dict:
        module = types.ModuleType("submission")
        module.__file__ = self.file
        sys.modules["submission"] = module
        try:
            exec(compile(self.source, self.file, "exec"), module.__dict__)
        except BaseException as error:
            what = _describe_error(error, self.file)
            where = f" ({what['where'][-1]})" if what["where"] else ""
            message = f"importing the file raises {what['types'][0]}: {what['message']}{where}"
            raise Refused("import-failed", message) from error
        return vars(module)

    def do_new(self, request):
        return self._run(request, self.classes[request["class"]])

    def do_call(self, request):
        return self._run(request, getattr(self.objects[request["ref"]], request["method"]))

    def do_get(self, request):
        return {"ok": getattr(self.objects[request["ref"]], request["name"])}

    def do_store(self, request):
        return {"ok": self._keep(np.array(request["value"]))}

    def do_fill(self, request):
        self.objects[request["ref"]][...] = request["value"]
        return {"ok": None}

    def do_fetch(self, request):
        return {"ok": self.objects[request["ref"]]}

    def do_count(self, request):
        """Whether allocations are counted from now on: it makes every call slower."""
        self.counting = request["on"]
        self._start_counting() if self.counting else self._stop_counting()
        return {"ok": None}

    def do_held(self, request):
        """Bytes that are allocated now, once everything unreachable is gone."""
        gc.collect()
        return {"ok": self._counted()[0]}

    def _run(self, request, function):
        args = [self._own(a) for a in request["args"]]
        kwargs = {name: self._own(a) for name, a in request["kwargs"].items()}
        before, _ = self._counted()
        self._reset_peak()
        result = function(*args, **kwargs)
        # None where the submission has stopped the count.
        peak = self._counted()[1] - before if self._is_counting() == self.counting else None
        match request["result"]:
            case "keep":
                result = self._keep(result)
            case "keep each" if isinstance(result, (tuple, list)):
                result = tuple(self._keep(item) for item in result)
            case "keep each":
                result = (self._keep(result),)
            case "describe":
                result = _describe(result)
        return {"ok": result, "peak": peak}

    def _own(self, argument):
        """An argument as the submission gets it: writable and nobody else's."""
        if isinstance(argument, frames.Ref):
            return self.objects[argument.id]
        if isinstance(argument, np.ndarray) and not argument.flags.writeable:
            return argument.copy()  # it lay in the frame
        return argument

    def _keep(self, value):
        self.next_id += 1
        self.objects[self.next_id] = value
        return frames.Ref(self.next_id)


def _take_classes(namespace: dict, interface: dict) -> dict:
    """The classes that the interface names; `Refused` where one or its signature is not there."""
    classes = {}
    for name, methods in interface.items():
        found = namespace.get(name)
        if not isinstance(found, type):
            raise Refused("missing-class", f"the file has no class {name}")
        for method, parameters in methods.items():
            _refuse_signature(found, method, parameters)
        classes[name] = found
    return classes


def _refuse_signature(found: type, method: str, parameters: list | None) -> None:
    attribute = inspect.getattr_static(found, method, None)
    if parameters is None:  # an attribute, which may as well be set in __init__
        return
    if attribute is None or not callable(getattr(found, method)):
        raise Refused("missing-method", f"class {found.__name__} has no method {method}")
    names = [name for name, _ in parameters]
    required = [name for name, has_default in parameters if not has_default]
    shown = f"{found.__name__}.{method}({', '.join(['self', *names])})"
    try:
        signature = inspect.signature(getattr(found, method))
        signature.bind(None, *names)
        signature.bind(None, *required)
        if method == "__init__":
            signature.bind(None, **dict.fromkeys(names))
    except (TypeError, ValueError) as error:
        raise Refused(
            "wrong-signature", f"the contract's {shown} cannot be called: {error}"
        ) from error


def _refuse_unfinished(tree: ast.Module, interface: dict) -> None:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in interface:
            for item in node.body:
                if getattr(item, "name", None) in interface[node.name] and _is_stub(item):
                    raise Refused(
                        "unfinished",
                        f"{node.name}.{item.name}, line {item.lineno}, is still to be written",
                    )


def _is_stub(function: ast.stmt) -> bool:
    if not isinstance(function, ast.FunctionDef):
        return False
    body = [
        s
        for s in function.body
        if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
    ]
    if len(body) != 1 or not isinstance(body[0], ast.Raise) or body[0].exc is None:
        return False
    raised = body[0].exc.func if isinstance(body[0].exc, ast.Call) else body[0].exc
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            source = file.read(MAX_SOURCE_BYTES + 1)
    except OSError as error:
        raise Refused("unreadable", f"the file cannot be read: {error.strerror}") from error
    if len(source) > MAX_SOURCE_BYTES:
        raise Refused("too-large", f"the file is larger than {MAX_SOURCE_BYTES} bytes")
    return source


def _parse(source: bytes, path: str) -> ast.Module:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        return ast.parse(source.decode(encoding), path)
    except SyntaxError as error:
        place = f"line {error.lineno}: " if error.lineno else ""
        raise Refused("syntax-error", f"{place}{error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise Refused("syntax-error", f"the file is not Python: {error}") from error


def _describe(value):
    if type(value) in (tuple, list):
        return tuple(_describe(item) for item in value)
    if isinstance(value, np.ndarray):
        return frames.Described(value.dtype.name, value.shape)
    return frames.Opaque(type(value).__name__)


def _describe_error(error: BaseException, file: str) -> dict:
    try:
        message = str(error)
    except BaseException:
        message = "(its text cannot be had)"
    lines, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename == file:
            lines.append(f"line {trace.tb_lineno}, in {code.co_name}")
        trace = trace.tb_next
    return {
        "types": [c.__name__ for c in type(error).__mro__],
        "message": str.__getitem__(message, slice(0, 2000)),
        "where": lines[-3:],
    }


def _limit(limits: dict) -> None:
    # Python ignores it, and a write beyond the limit would be one more exception.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    for name, value in limits.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (value, value))


def main(request_fd: int, reply_fd: int, limits: dict) -> None:
    _limit(limits)
    workshop = Workshop()
    requests = open(request_fd, "rb")  # noqa: SIM115
    while prefix := requests.read(frames.PREFIX.size):  # nothing comes once the judge has gone
        header_bytes, payload_bytes = frames.sizes(prefix)
        request = frames.decode(requests.read(header_bytes), requests.read(payload_bytes))
        frame = workshop.answer(request)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()
        view = memoryview(frame)
        while view:
            view = view[os.write(reply_fd, view) :]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
