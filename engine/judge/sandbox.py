"""Confinement: the process in which a submission runs, its limits, and talking to it.

Plain confinement: a session of its own, resource limits, a clean environment, one BLAS
thread, no stdin, captured output and a private pair of pipes. It keeps accidents in, not
attackers. `MODES` is where a stronger one belongs.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from engine.judge import frames
from engine.judge.stop import Stopped
from engine.judge.verdict import Verdict

CHILD = Path(__file__).with_name("child.py")
MODES = ("auto", "plain", "bwrap")
FILE_BYTES = 16 << 20
OUTPUT_KEPT_BYTES = 64 << 10
OUTPUT_FLOOD_BYTES = 8 << 20
READ_BYTES = 64 << 10
LAST_WORDS_SECONDS = 2.0  # for a process that closed its channel to end


class Unavailable(ValueError):
    """A confinement that this machine does not have."""


@dataclass(frozen=True)
class Limits:
    seconds: float = 10.0  # wall time that the judge waits for the submission, in all
    memory_mib: int = 1024  # address space of its process


class Clock:
    """How long the judge may still wait; one clock for all processes of one judgement."""

    def __init__(self, seconds: float):
        self._left = seconds
        self._since: float | None = None

    @property
    def left(self) -> float:
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return self._left - running

    @contextlib.contextmanager
    def running(self):
        """What happens inside is time that the submission takes."""
        if self._since is not None:  # it runs already, for something larger
            yield
            return
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._left, self._since = self.left, None


def resolve(mode: str) -> str:
    """The confinement that `mode` means on this machine."""
    if mode not in MODES:
        raise Unavailable(f"--sandbox {mode} is none of {', '.join(MODES)}")
    if mode == "bwrap":
        raise Unavailable("--sandbox bwrap is not supported yet; plain is, for code you trust")
    return "plain"


class Confined:
    """A running child: `exchange` sends it a request and brings its reply."""

    def __init__(self, limits: Limits, clock: Clock):
        self.limits, self.clock = limits, clock
        self.folder = tempfile.mkdtemp(prefix="kvkata-")
        request_read, self._request = os.pipe()
        self._reply, reply_write = os.pipe()
        rlimits = {
            "RLIMIT_AS": limits.memory_mib << 20,
            "RLIMIT_CPU": int(limits.seconds) + 2,
            "RLIMIT_FSIZE": FILE_BYTES,
            "RLIMIT_CORE": 0,
            "RLIMIT_NOFILE": 256,
        }
        command = [sys.executable, "-s", "-P", str(CHILD), str(request_read), str(reply_write)]
        self._process = subprocess.Popen(
            [*command, json.dumps(rlimits)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(request_read, reply_write),
            start_new_session=True,
            cwd=self.folder,
            env=_clean_environment(self.folder),
        )
        os.close(request_read)
        os.close(reply_write)
        self._streams = [self._process.stdout.fileno(), self._process.stderr.fileno()]
        for fd in (self._request, self._reply, *self._streams):
            os.set_blocking(fd, False)
        # So that the end of the process is seen although a child of its own holds the pipes.
        self._pidfd = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else None
        self._inbox = bytearray()
        self._output = {fd: bytearray() for fd in self._streams}
        self._output_bytes = 0

    def exchange(self, request: dict) -> dict:
        """Send a request, wait for its reply. Raises `Stopped`, after which this is closed."""
        try:
            with self.clock.running():
                self._send(frames.encode(request, views=True))
                header_bytes, payload_bytes = frames.sizes(self._receive(frames.PREFIX.size))
                header = self._receive(header_bytes)
                return frames.decode(header, self._receive(payload_bytes))
        except frames.BadFrame as error:
            self.close()
            message = f"its process wrote something else than replies: {error}"
            raise Stopped(Verdict.RTE, "broke-the-channel", message) from None
        except Stopped:
            self.close()
            raise

    def _send(self, frame: bytes) -> None:
        view = memoryview(frame)
        while view:
            try:
                view = view[os.write(self._request, view) :]
            except BlockingIOError:
                self._wait(self._request, select.POLLOUT)
            except BrokenPipeError:
                raise self._ended() from None

    def _receive(self, count: int) -> bytearray:
        while len(self._inbox) < count:
            try:
                data = os.read(self._reply, max(READ_BYTES, count - len(self._inbox)))
            except BlockingIOError:
                self._wait(self._reply, select.POLLIN)
                continue
            if not data:
                raise self._ended()
            self._inbox += data
        taken = self._inbox[:count]
        del self._inbox[:count]
        return taken

    def _wait(self, fd: int, event: int) -> None:
        """Until this pipe may be ready; output is taken on the way."""
        left = self.clock.left
        if left <= 0:
            raise Stopped(
                Verdict.TLE,
                "stopped-by-the-clock",
                f"no answer within the {self.limits.seconds:g} s that it may take in all",
            )
        poll = select.poll()
        poll.register(fd, event)
        for other in (*self._streams, self._pidfd):
            if other is not None:
                poll.register(other, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(left * 1000)}
        self._drain(ready & set(self._streams))
        if self._output_bytes > OUTPUT_FLOOD_BYTES:
            message = f"it printed more than {OUTPUT_FLOOD_BYTES >> 20} MiB"
            raise Stopped(Verdict.OLE, "floods-its-output", message)
        if self._pidfd in ready and fd not in ready:
            raise self._ended()

    def _drain(self, fds) -> None:
        for fd in fds:
            try:
                data = os.read(fd, READ_BYTES)
            except BlockingIOError:
                continue
            if not data:
                self._streams.remove(fd)
            self._output_bytes += len(data)
            self._output[fd] += data[: OUTPUT_KEPT_BYTES - len(self._output[fd])]

    def _ended(self) -> Stopped:
        """What the end of the channel means: the process died, or only closed it."""
        try:
            code = self._process.wait(LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:
            return Stopped(Verdict.RTE, "broke-the-channel", "its process closed the channel")
        if code >= 0:
            message = f"its process ended by itself, with exit code {code}"
            return Stopped(Verdict.RTE, "ended-by-itself", message)
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        if name == "SIGXCPU":
            message = f"more than {self.limits.seconds:g} s of processor time"
            return Stopped(Verdict.TLE, "stopped-by-the-clock", message)
        if name == "SIGXFSZ":
            return Stopped(
                Verdict.OLE, "floods-the-disk", f"a file of more than {FILE_BYTES} bytes"
            )
        return Stopped(Verdict.RTE, "killed-by-a-signal", f"its process was killed by {name}")

    def take_output(self) -> str:
        """What it printed since the last time: standard output, then standard error."""
        self._drain(list(self._streams))
        text = b"".join(self._output.values()).decode(errors="replace")
        for kept in self._output.values():
            kept.clear()
        return text

    def cpu_seconds(self) -> float | None:
        """Processor time of the process, asked of the kernel; None where it cannot say."""
        if not sys.platform.startswith("linux"):
            return None
        # The clock of another process, as clock_getcpuclockid(3) makes its number.
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def close(self) -> None:
        """Kill the session and forget its folder."""
        if self._process.stdout.closed:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._drain(list(self._streams))  # its last words
        for fd in (self._request, self._reply, self._pidfd):
            if fd is not None:
                os.close(fd)
        self._process.stdout.close()
        self._process.stderr.close()
        self._streams = []
        shutil.rmtree(self.folder, ignore_errors=True)


def _clean_environment(folder: str) -> dict[str, str]:
    """Nothing of the caller's, one BLAS thread, and one order of sets in every run."""
    one_thread = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "PATH": os.defpath,
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(one_thread, "1"),
    }
