"""Verdicts: what a submission does, and what the judge makes of it."""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time

import pytest

from engine.judge import Limits, Report, UnknownCheck, Verdict, judge
from engine.judge.bank import caught_by
from engine.katas import find

PRELUDE = 'import numpy as np\nKATA = "append"\n'


def cache(append: str, init: str = "pass", before: str = "") -> str:
    """A submission whose two methods are these lines."""
    indent = "\n        "
    return (
        f"{PRELUDE}{before}\n\nclass KVCache:\n"
        "    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):\n"
        f"        {indent.join(init.splitlines())}\n\n"
        "    def append(self, layer_idx, k, v):\n"
        f"        {indent.join(append.splitlines())}\n"
    )


QUICK = Limits(seconds=1.5)

STOPPED = {
    "os._exit in a call": ("import os; os._exit(0)", "RTE", "ended-by-itself"),
    "a segfault": ("import ctypes; ctypes.string_at(0)", "RTE", "killed-by-a-signal"),
    "an endless loop": ("while True: pass", "TLE", "stopped-by-the-clock"),
    "a long sleep": ("import time; time.sleep(3600)", "TLE", "stopped-by-the-clock"),
    "prints for ever": ("while True: print('x' * 4096)", "OLE", "floods-its-output"),
    "a flood without a newline": (
        "import sys; sys.stderr.write('x' * (1 << 27)); sys.stderr.flush()",
        "OLE",
        "floods-its-output",
    ),
    "stops itself": (
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        "TLE",
        "stopped-by-the-clock",
    ),
    "fills the disk": (
        "f = open('x', 'wb')\nwhile True: f.write(b'x' * (1 << 20))",
        "OLE",
        "floods-the-disk",
    ),
    "writes noise to every pipe": (
        "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'noise' * 50)\n"
        "    except OSError: pass",
        "RTE",
        "broke-the-channel",
    ),
    "closes every pipe": (
        "import os; os.closerange(3, 64)",
        "RTE",
        "ended-by-itself",
    ),
    "answers ahead and stops reading": (
        "import os, sys, time\nreply = int(sys.argv[2])\n"
        "frame = b'\\x1c\\0\\0\\0' + bytes(8) + b'{\"ok\":null,\"arrays\":[]}      '\n"
        "while True: os.write(reply, frame); time.sleep(0.1)",
        "RTE",
        "broke-the-channel",
    ),
    "writes a frame without an answer": (
        "import os\nfor fd in range(3, 64):\n"
        "    try: os.write(fd, b'\\x0d\\0\\0\\0' + bytes(8) + b'{\"arrays\":[]}')\n"
        "    except OSError: pass",
        "RTE",
        "broke-the-channel",
    ),
}


@pytest.mark.parametrize("name", STOPPED)
def test_a_process_that_stops_is_a_verdict(name, write):
    append, verdict, cause = STOPPED[name]
    started = time.monotonic()
    report = judge(write(cache(append)), check="tokens", limits=QUICK)
    assert (report.verdict.name, report.cause) == (verdict, cause)
    assert time.monotonic() - started < QUICK.seconds + 10
    assert Report.from_json(report.to_json()) == report


def test_what_is_raised_is_a_run_time_error_with_its_place(write):
    report = judge(write(cache("raise KeyError('nothing here')")), check="tokens")
    assert (report.verdict, report.cause) == (Verdict.RTE, "tokens")
    assert "KeyError: 'nothing here' (line 10, in append)" in report.checks[0].message


@pytest.mark.parametrize(
    "append",
    [
        "import sys; sys.exit(0)",
        "raise KeyboardInterrupt",
        "class Mute(BaseException):\n    def __str__(self): raise self\nraise Mute",
    ],
    ids=["sys.exit", "KeyboardInterrupt", "an exception without a text"],
)
def test_nothing_that_is_raised_ends_the_judge(append, write):
    report = judge(write(cache(append)), check="tokens")
    assert (report.verdict, report.cause) == (Verdict.RTE, "tokens")


def test_memory_that_is_not_there_is_a_memory_limit(write):
    report = judge(write(cache("np.ones(1 << 37, np.uint8)")), check="tokens")
    assert report.verdict is Verdict.MLE


@pytest.mark.parametrize(
    "answer",
    [
        "None",
        "k, v",
        "object(), object()",
        "np.array([object()]), v",
        "np.zeros((5, 0), np.float32), np.zeros((5, 0), np.float32)",
        "np.float32(1), np.float32(2)",
        "np.zeros((3, 7), np.float32), np.zeros((3, 7), np.float32)",
        "k * np.nan, v",
        "[k, [v, [k]]]",
    ],
)
def test_answers_of_any_kind_are_wrong_answers(answer, write):
    report = judge(write(cache(f"return {answer}")))
    assert report.verdict is Verdict.WA
    assert not report.accepted and report.failure().calls


def test_an_answer_that_no_frame_can_hold_is_a_wrong_answer(write):
    report = judge(write(cache("l = []; l.append(l); return l")), check="tokens")
    assert (report.verdict, report.cause) == (Verdict.WA, "tokens")


CANNOT_BE_LOADED = {
    "syntax": (PRELUDE + "class KVCache(", "syntax-error"),
    "NUL bytes": (PRELUDE + "\0", "syntax-error"),
    "not UTF-8": (PRELUDE.encode() + b"# \xff\xfe", "syntax-error"),
    "no class": (PRELUDE, "missing-class"),
    "a function for a class": (PRELUDE + "def KVCache(*a): pass", "missing-class"),
    "no method": (PRELUDE + "class KVCache:\n    pass", "missing-method"),
    "a parameter too few": (
        cache("pass").replace("layer_idx, k, v", "k, v"),
        "wrong-signature",
    ),
    "other names for the constructor": (
        cache("pass").replace("max_seq_len", "capacity"),
        "wrong-signature",
    ),
    "an exception": (PRELUDE + "1 / 0", "import-failed"),
    "an exit": (PRELUDE + "raise SystemExit('bye')", "import-failed"),
    "an interrupt": (PRELUDE + "raise KeyboardInterrupt", "import-failed"),
    "a class that does not want to be looked at": (
        PRELUDE + "class Meta(type):\n    def __getattribute__(self, name): raise SystemExit\n"
        "class KVCache(metaclass=Meta): pass",
        "import-failed",
    ),
    "KATA as a loop's variable": ("for KATA in 'append': pass", "no-kata-line"),
    "a KATA line without a value": ("KATA: str", "no-kata-line"),
    "a KATA line of bytes": ('KATA = b"append"', "unknown-kata"),
    "no KATA line": ("x = 1", "no-kata-line"),
    "an unknown KATA line": ('KATA = "nonsense"', "unknown-kata"),
    "a KATA line of another kind": ("KATA = 3", "unknown-kata"),
    "too long": ("#" * (1 << 20) + "\n" + PRELUDE, "too-large"),
}


@pytest.mark.parametrize("name", CANNOT_BE_LOADED)
def test_what_cannot_be_loaded_is_a_compile_error(name, write):
    source, cause = CANNOT_BE_LOADED[name]
    report = judge(write(source))
    assert (report.verdict, report.cause) == (Verdict.CE, cause)
    assert json.loads(report.to_json())["status"] == "error"


def test_a_method_that_is_missing_is_named(write):
    source = cache("pass").replace("def append", "def add")
    report = judge(write(source))
    assert (report.cause, report.message) == (
        "missing-method",
        "class KVCache has no method append",
    )


def test_a_starter_is_unfinished():
    report = judge(find("append").starter)
    assert (report.verdict, report.cause) == (Verdict.CE, "unfinished")
    assert "KVCache.append, line 17, is still to be written" in report.message


def test_what_is_no_file_is_a_compile_error(tmp_path):
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "link.py").symlink_to(tmp_path / "nowhere.py")
    for name in ("folder.py", "pipe.py", "link.py"):
        report = judge(tmp_path / name)
        assert (report.verdict, report.cause) == (Verdict.CE, "not-a-file"), name


def test_the_callers_mistakes_raise(write, tmp_path):
    with pytest.raises(FileNotFoundError):
        judge(tmp_path / "missing.py")
    with pytest.raises(UnknownCheck, match="has no check 'nonsense'; it has tokens,"):
        judge(write(cache("pass")), check="nonsense")


def test_after_a_crash_the_next_check_has_a_new_process(write, root):
    """Dies in float16 only: everything else is judged all the same."""
    source = (root / "solutions/append/accepted/preallocated.py").read_text()
    dying = source.replace(
        "        n_layers, capacity", "        if self.k.itemsize == 2: import os; os._exit(9)\n"
        "        n_layers, capacity",
    )  # fmt: skip
    assert dying != source
    report = judge(write(dying))
    status = {check.slug: check.status for check in report.checks}
    assert (report.verdict.name, report.cause) == ("RTE", "ended-by-itself")
    assert status["tokens-in-float16"] == "failed"
    assert status["tokens"] == status["tokens-at-capacity"] == "passed"
    assert status["answer-changes-later"] == "passed"


def test_the_printed_calls_reproduce_the_failure(root, tmp_path):
    """They fail with the wrong file, and pass with a right one in its place."""
    right = root / "solutions/append/accepted/interleaved.py"
    stories = 0
    for path in sorted((root / "solutions/append/wrong_answer").glob("*.py")):
        report = judge(path)
        failure = report.failure()
        assert failure.slug == report.cause == caught_by(path)
        if failure.kind == "tokens":
            continue
        stories += 1
        snippet = report.snippet(failure)
        wrong = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True)
        assert wrong.returncode == 1 and "AssertionError" in wrong.stderr, (path, wrong.stderr)
        subprocess.run([sys.executable, "-c", snippet.replace(str(path), str(right))], check=True)
    assert stories >= 20


def test_the_smallest_story_is_small(root):
    report = judge(root / "solutions/append/wrong_answer/ignores_layer.py")
    calls = [line for line in report.failure().calls if ".append(" in line]
    assert len(calls) <= 3


@pytest.mark.parametrize(
    "name",
    ["accepted/preallocated", "wrong_answer/ignores_layer", "time_limit_exceeded/concatenates"],
)
def test_the_same_file_has_the_same_report(name, root):
    def measured():
        report = json.loads(judge(root / f"solutions/append/{name}.py").to_json())
        del report["judge"]["seconds"]
        return report

    assert measured() == measured()


def test_json_has_the_fields_of_exercism(root):
    report = json.loads(judge(root / "solutions/append/wrong_answer/swaps_k_and_v.py").to_json())
    assert (report["version"], report["status"]) == (3, "fail")
    assert set(report) == {"version", "status", "tests", "judge"}
    tests = {test["name"]: test for test in report["tests"]}
    assert tests["storage-over-contract"] == {
        "name": "storage-over-contract",
        "status": "pass",
        "task_id": 2,
    }
    failed = tests["swaps-k-and-v"]
    assert failed["status"] == "fail" and "assert_array_equal" in failed["test_code"]
    assert report["judge"]["verdict"] == "WA" and report["judge"]["exit_code"] == 10
    assert report["judge"]["planned"] == len(find("append").checks) >= report["judge"]["run"]


def test_an_accepted_file_has_run_all_that_was_planned(root):
    report = json.loads(judge(root / "solutions/append/accepted/interleaved.py").to_json())
    assert report["status"] == "pass"
    assert report["judge"]["planned"] == report["judge"]["run"] == len(find("append").checks)


def test_what_a_submission_prints_is_kept_and_changes_nothing(root, write):
    source = (root / "solutions/append/accepted/preallocated.py").read_text()
    noisy = source.replace(
        "        end = start", '        print("AC accepted")\n        end = start'
    )
    report = judge(write(noisy))
    assert report.accepted
    assert "AC accepted\n" in report.checks[0].output
    assert all(len(t.get("output", "")) <= 500 for t in json.loads(report.to_json())["tests"])


FORGED = [
    "{'ok': 5}",
    "{'raised': 5}",
    "{'raised': {'types': [], 'message': '', 'where': []}}",
    "{'raised': {'types': [1], 'message': '', 'where': []}}",
    "{'refused': {'cause': 'x'}}",
    "{'ok': frames.Ref(1)}",
    "{'ok': (frames.Ref(1),), 'peak': 'x'}",
    "{}",
]


@pytest.mark.parametrize("reply", FORGED)
def test_forged_replies_are_told_from_true_ones(reply, write):
    forge = (
        f"import os, sys\nframes = sys.modules['frames']\n"
        f"os.write(int(sys.argv[2]), frames.encode({reply}))"
    )
    at_import = judge(write(PRELUDE + forge + "\n" + cache("pass")))
    assert (at_import.verdict.name, at_import.cause) == ("RTE", "broke-the-channel")
    in_a_call = judge(write(cache(forge)), check="tokens")
    assert (in_a_call.verdict.name, in_a_call.cause) == ("RTE", "broke-the-channel")


RETURN = "return keys[:end], values[:end]"
UNUSUAL = {
    "an annotated KATA line": ('KATA = "append"', 'KATA: str = "append"'),
    "an extra stub": (
        "class KVCache:",
        "class KVCache:\n    def reset(self):\n        raise NotImplementedError\n",
    ),
    "a namedtuple": (RETURN, "return Pair(keys[:end], values[:end])"),
    "a list": (RETURN, "return [keys[:end], values[:end]]"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_but_legal_files_are_accepted(name, root, write):
    source = (root / "solutions/append/accepted/preallocated.py").read_text()
    usual, unusual = UNUSUAL[name]
    assert usual in source
    pair = "\nfrom collections import namedtuple\nPair = namedtuple('Pair', 'k v')\n"
    report = judge(write(source.replace(usual, unusual) + pair))
    assert report.accepted, report.to_text()


def test_answers_of_chance_have_a_verdict_and_are_called_so(root, write):
    source = (root / "solutions/append/accepted/preallocated.py").read_text()
    chance = source.replace(
        "        return keys[:end]",
        "        import random\n"
        "        if random.random() < 0.02: return values[:end], keys[:end]\n"
        "        return keys[:end]",
    )  # fmt: skip
    report = judge(write(chance))
    assert report.verdict in (Verdict.WA, Verdict.RTE)


def test_a_mutable_default_argument_is_shared_state(root, write):
    source = (root / "solutions/append/accepted/preallocated.py").read_text()
    shared = source.replace(
        "dtype=np.float32):\n", "dtype=np.float32, length=[0] * 8):\n"
    ).replace("self.length = [0] * n_layers", "self.length = length")  # fmt: skip
    report = judge(write(shared))
    assert report.cause == "instances-share-state"


def test_rows_with_gaps_come_as_the_model_has_them(root, write):
    source = (root / "solutions/append/accepted/preallocated.py").read_text()
    picky = source.replace(
        "        start = self.length",
        "        if not k.flags.c_contiguous: raise RuntimeError('gaps')\n"
        "        start = self.length",
    )
    report = judge(write(picky))
    assert (report.verdict.name, report.cause) == ("RTE", "tokens")
    assert "gaps" in report.checks[0].message


def test_what_was_never_judged_is_not_accepted(write):
    report = judge(write(cache("raise RuntimeError")), check="swaps-k-and-v")
    assert (report.verdict, report.checks[0].status) == (Verdict.RTE, "failed")


def test_a_terminal_is_not_told_what_to_do(write):
    rude = cache("print('\\033[2J'); raise KeyError('\\033[2J')")
    report = judge(write(rude), check="tokens")
    text = report.to_text()
    assert "\033" not in text and text.count("\\x1b[2J") >= 2


def test_time_that_is_over_is_a_verdict(root, monkeypatch):
    """Passing checks that used it all up do not make an acceptance, nor a judge error."""
    import engine.judge as module

    monkeypatch.setattr(module.Clock, "left", 0.0)
    monkeypatch.setattr(module.Confined, "_wait", lambda *args: time.sleep(0.001))
    report = judge(root / "solutions/append/accepted/preallocated.py")
    assert (report.verdict, report.cause) == (Verdict.TLE, "stopped-by-the-clock")


def test_fewer_checks_than_planned_are_no_acceptance(root, monkeypatch):
    import engine.judge as module
    from engine.judge.check import NotRun

    def lazy(check, trial):
        if check.slug == "tokens-in-chunks":
            return {"status": "not run", "message": str(NotRun("forgotten"))}
        return {"status": "passed"}

    monkeypatch.setattr(module, "_try", lazy)
    report = judge(root / "solutions/append/accepted/preallocated.py")
    assert (report.verdict, report.cause) == (Verdict.JE, "not-every-check-ran")


def test_an_error_of_a_check_is_the_judges(root, monkeypatch):
    from engine.judge.check import Check, Trial

    def broken(trial: Trial):
        raise ZeroDivisionError("ours")

    kata = find("append")
    kata.__dict__["checks"] = (Check("broken", "a law", broken), *kata.checks[:1])
    report = judge(root / "solutions/append/accepted/preallocated.py", kata)
    assert (report.verdict, report.cause) == (Verdict.JE, "broken")
    assert "ZeroDivisionError: ours" in report.message


def test_nothing_is_left_behind(write, tmp_path, monkeypatch):
    """No folder, and no grandchild: it would hold its lock for ten minutes."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lock = tmp_path / "lock"
    fork = (
        "import fcntl, os, time\n"
        "if os.fork() == 0:\n"
        f"    lock = open({str(lock)!r}, 'w'); fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "    lock.write('held'); lock.flush(); time.sleep(600)\n"
        "time.sleep(0.5); os._exit(1)"
    )
    judge(write(cache(fork)), check="tokens", limits=QUICK)
    assert not list(tmp_path.glob("kvkata-*"))
    assert lock.read_text() == "held"
    with lock.open() as file:
        for _ in range(50):  # a killed process needs a moment to be gone
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.1)
    raise AssertionError("the grandchild is alive")


@pytest.mark.parametrize("name", ["no_single_rows", "refuses_last_row", "refuses_other_floats"])
def test_what_raises_has_a_short_story_too(name, root):
    report = judge(root / f"solutions/append/run_time_error/{name}.py")
    assert report.cause == "raises-on-a-legal-append"
    assert len(report.failure().calls) == 2


def test_what_was_printed_before_the_end_is_kept(write):
    source = cache("import os; print('so far'); os._exit(1)")
    report = judge(write(source.replace("print('so far')", "print('so far', flush=True)")))
    assert report.cause == "ended-by-itself"
    assert "so far" in report.to_text()
