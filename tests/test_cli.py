"""The command line as a user types it: what it prints, where to, and its exit codes."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from engine.katas import LADDER, find


@pytest.fixture
def run(root, tmp_path):
    def run(*args, cwd=tmp_path, **env):
        return subprocess.run(
            [sys.executable, str(root / "harness.py"), *map(str, args)],
            capture_output=True,
            text=True,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            env=os.environ | env,
        )

    return run


def test_without_arguments_it_lists_the_ladder_and_the_next_thing_to_type(run):
    done = run()
    assert done.returncode == 0
    assert [line.split()[1] for line in done.stdout.splitlines()[: len(LADDER)]] == list(LADDER)
    assert "python harness.py judge append.py" in done.stdout
    assert done.stdout.startswith(run("list").stdout)


def test_the_first_steps_work_as_they_are_printed(run, tmp_path):
    """The next things to type, typed; then a bug."""
    assert run("show", "append").returncode == 0
    assert run("start", "append").returncode == 0
    mine = tmp_path / "append.py"
    assert run("judge", "append.py").returncode == 15
    given, _, _ = mine.read_text().partition("        raise NotImplementedError(")
    mine.write_text(
        given + "        new_tokens = 1 if k.ndim == 1 else len(k)\n"
        "        start = self.length[layer_idx]\n"
        "        end = self.length[layer_idx] = start + new_tokens\n"
        "        self.k[layer_idx, start:end] = k\n"
        "        self.v[layer_idx, start:end] = v\n"
        "        return self.k[layer_idx, :end], self.v[layer_idx, :end]\n"
    )
    done = run("judge", "append.py")
    assert done.returncode == 10
    assert "WA wrong answer: accepts-" in done.stdout
    assert "tokens                          ok" in done.stdout


def test_start_never_overwrites(run, tmp_path):
    (tmp_path / "append.py").write_text("mine")
    done = run("start", "append")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "harness.py: append.py: File exists\n"
    assert (tmp_path / "append.py").read_text() == "mine"
    (tmp_path / "folder").mkdir()
    assert run("start", "append", "folder").returncode == 0
    assert (tmp_path / "folder/append.py").read_bytes() == find("append").starter.read_bytes()


def test_show_has_no_hints_and_fits_a_terminal(run, root):
    done = run("show", "append", cwd=root)
    for heading in ("## The contract", "## A worked example", "## Questions"):
        assert heading in done.stdout
    for secret in ("## Hints", "### Hint", "## Answers", "self.k[layer_idx, start:end]"):
        assert secret not in done.stdout
    assert "K, V = cache.append(i, k, v)" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("file", "code", "head"),
    [
        ("accepted/preallocated", 0, "AC accepted"),
        ("wrong_answer/returns_whole_buffer", 10, "WA wrong answer: returns-unwritten-rows"),
        ("run_time_error/no_single_rows", 11, "RTE run time error: raises-on-a-legal-append"),
        ("time_limit_exceeded/concatenates", 12, "TLE time limit exceeded: allocates-with-his"),
        ("memory_limit_exceeded/allocates_square", 13, "MLE memory limit exceeded: storage-ov"),
    ],
)
def test_verdicts_and_exit_codes(file, code, head, run, root):
    done = run("judge", f"solutions/append/{file}.py", cwd=root)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(head)
    assert "isolation: plain, for code you trust" in done.stdout
    assert "\033" not in done.stdout


def test_a_report_fits_80_columns_but_for_code(run, root):
    for file in ("returns_whole_buffer", "half_writes_overflow", "loses_block_boundary"):
        done = run("judge", f"solutions/append/wrong_answer/{file}.py", cwd=root)
        prose = [line for line in done.stdout.splitlines() if not line.startswith("    ")]
        assert max(map(len, prose)) <= 80


def test_json_goes_to_a_file_or_to_standard_output(run, root, tmp_path):
    file = root / "solutions/append/accepted/preallocated.py"
    done = run("judge", file, "--check", "tokens", "--json", "report.json")
    assert done.stdout.startswith("AC accepted")
    written = json.loads((tmp_path / "report.json").read_text())
    printed = json.loads(run("judge", file, "--check", "tokens", "--json", "-").stdout)
    for report in (written, printed):
        assert report["judge"].pop("seconds") > 0
    assert written == printed
    assert (printed["status"], printed["judge"]["planned"]) == ("pass", 1)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["judge", "missing.py"], "no such file: missing.py"),
        (["judge", "FILE", "--kata", "nonsense"], "no kata 'nonsense'"),
        (["judge", "FILE", "--kata", "."], "is no kata: it has no statement.md"),
        (["judge", "FILE", "--check", "nonsense"], "has no check 'nonsense'; it has tokens"),
        (["judge", "FILE", "--json", "no/such/folder.json"], "no/such/folder.json: No such"),
        (["judge", "FILE", "--sandbox", "bwrap"], "--sandbox bwrap is not supported yet"),
        (["show", "nonsense"], "no kata 'nonsense'"),
        (["start", "append", "no/such/folder.py"], "no/such/folder.py: No such"),
    ],
)
def test_the_callers_mistakes_are_one_line_and_exit_2(args, said, run, root):
    file = str(root / "solutions/append/accepted/preallocated.py")
    done = run(*[file if arg == "FILE" else arg for arg in args])
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "args",
    [
        ["judge", "x.py", "--seed", "-1"],
        ["judge", "x.py", "--time-limit", "0"],
        ["judge", "x.py", "--time-limit", "nan"],
        ["judge", "x.py", "--time-limit", "1e9"],
        ["judge", "x.py", "--memory-limit", "lots"],
        ["judge", "x.py", "--memory-limit", "1"],
        ["judge", "x.py", "--memory-limit", "9999999999999"],
        ["judge", "x.py", "--sandbox", "nonsense"],
        ["judge"],
        ["nonsense"],
    ],
)
def test_arguments_that_argparse_refuses(args, run):
    done = run(*args)
    assert done.returncode == 2
    assert "usage: harness.py" in done.stderr and "Traceback" not in done.stderr


def test_limits_stand_in_the_help(run):
    text = " ".join(run("judge", "--help").stdout.split())
    assert "(default: 10.0)" in text and "(default: 1024)" in text


def test_the_time_limit_is_kept(run, write):
    slow = write(
        'import time\nKATA = "append"\nclass KVCache:\n'
        "    def __init__(self, n_layers, d_model, max_seq_len, dtype=None): pass\n"
        "    def append(self, layer_idx, k, v): time.sleep(60)\n"
    )
    done = run("judge", slow, "--time-limit", "1")
    assert done.returncode == 12
    assert "no answer within the 1 s that it may take in all" in done.stdout


def test_the_judged_file_is_not_overwritten_by_its_report(run, write):
    mine = write('KATA = "append"\n')
    done = run("judge", mine, "--json", mine)
    assert (done.returncode, done.stdout) == (2, "")
    assert "this is the file to be judged" in done.stderr
    assert mine.read_text() == 'KATA = "append"\n'


def test_a_mistake_leaves_no_report_behind(run, tmp_path):
    assert run("judge", "missing.py", "--json", "report.json").returncode == 2
    assert not (tmp_path / "report.json").exists()


def test_ended_from_outside_it_ends_its_child(root, write, tmp_path):
    lock = tmp_path / "lock"
    held = write(
        'import fcntl, time\nKATA = "append"\n'
        f"lock = open({str(lock)!r}, 'w'); fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "lock.write('held'); lock.flush(); time.sleep(600)\n"
    )
    command = [sys.executable, str(root / "harness.py"), "judge", str(held), "--time-limit", "60"]
    process = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(tmp_path)})
    while not (lock.exists() and lock.read_text() == "held"):
        time.sleep(0.05)
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGTERM
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    assert not list(tmp_path.glob("kvkata-*"))


def test_another_engine_in_the_way_is_an_error_that_names_both(root, tmp_path):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine/__init__.py").write_text("")
    code = f"import sys; sys.path.append({str(root)!r}); import harness"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert "ImportError" in said
    assert str(root / "harness.py") in said and str(tmp_path / "engine") in said


def test_an_installation_without_solutions_says_so(root):
    code = (
        "import harness, sys; harness.SOLUTIONS = harness.HERE / 'none'; "
        "sys.exit(harness.main(['verify']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 2
    assert "verify runs in a clone, not an installation" in done.stderr


def test_verify_finds_every_kind_of_broken_promise(tmp_path, root):
    """Files in the wrong folder, with the wrong cause, or with nothing to catch them."""
    from engine.judge.bank import verify

    bank = tmp_path / "append"
    wrong = (root / "solutions/append/wrong_answer/swaps_k_and_v.py").read_text()
    right = (root / "solutions/append/accepted/preallocated.py").read_text()
    for folder, name, text in (
        ("wrong_answer", "right", right),
        ("wrong_answer", "miscalled", wrong.replace("swaps-k-and-v", "tokens")),
        ("run_time_error", "misplaced", wrong),
        ("nonsense", "lost", right),
    ):
        (bank / folder).mkdir(parents=True, exist_ok=True)
        (bank / folder / f"{name}.py").write_text(text)
    problems, lines = verify([find("append")], tmp_path)
    text = "\n".join(problems)
    assert "right.py: expected WA None, got AC accepted" in text
    assert "miscalled.py: expected WA tokens, got WA swaps-k-and-v" in text
    assert "misplaced.py: expected RTE swaps-k-and-v, got WA swaps-k-and-v" in text
    assert "nonsense is no verdict's folder" in text
    assert "append has no accepted solution" in text
    assert "append: storage-over-contract is the first to catch no file" in text
    assert len(lines) == 1


def test_colour_is_for_terminals_and_those_who_want_it(root, monkeypatch):
    import pty

    file = root / "solutions/append/accepted/preallocated.py"

    def on_a_terminal(**env):
        main_end, terminal = pty.openpty()
        command = [sys.executable, str(root / "harness.py"), "judge", str(file)]
        command += ["--check", "tokens"]
        clean = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        process = subprocess.Popen(command, stdout=terminal, env=clean | env)
        os.close(terminal)
        text = b""
        with contextlib.suppress(OSError):  # what a closed terminal says to its reader
            while data := os.read(main_end, 4096):
                text += data
        os.close(main_end)
        assert process.wait() == 0
        return text

    assert b"\033[32mAC accepted\033[0m" in on_a_terminal()
    assert b"\033" not in on_a_terminal(NO_COLOR="1")
