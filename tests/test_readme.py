"""The README is run: its sessions, its Python, and its quick start by .ci/run."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SESSIONS = [body for kind, body in BLOCKS if kind == "console"]
PYTHON = [body for kind, body in BLOCKS if kind == "python"]
QUICK_START = [body.strip() for kind, body in BLOCKS if kind == "sh"]


@pytest.fixture
def clone(tmp_path):
    """A place to type in, in which the project's files are at hand."""
    for name in ("harness.py", "engine", "solutions"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def same_but_for_times(text: str) -> str:
    """And for which of two layers is the first: Hypothesis may end with either."""
    text = re.sub(r"\d+\.\d\d s\b", "N s", text)
    return re.sub(r"cache\.append\([01],", "cache.append(LAYER,", text)


@pytest.mark.parametrize("session", SESSIONS, ids=range(len(SESSIONS)))
def test_sessions_print_what_they_show(session, clone):
    """A line of three dots stands for any number of lines."""
    for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        command = re.sub(r"^python ", f"{sys.executable} ", command)
        done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=clone)
        assert done.stderr == ""
        pattern = "".join(
            "(?:.*\n)*?" if line == "..." else re.escape(line) + "\n"
            for line in same_but_for_times(shown).splitlines()
        )
        assert re.fullmatch(pattern, same_but_for_times(done.stdout)), done.stdout


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_runs(code, clone):
    """As a pytest file where it holds a test, as a script otherwise."""
    (clone / "test_shown.py").write_text(code)
    how = ["-m", "pytest", "-q"] if "def test_" in code else []
    done = subprocess.run(
        [sys.executable, *how, "test_shown.py"],
        capture_output=True,
        text=True,
        cwd=clone,
        env=os.environ | {"PYTHONPATH": str(clone)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout or not how


def test_every_block_is_run():
    kinds = {kind for kind, _ in BLOCKS}
    assert kinds == {"console", "python", "sh", ""}  # without a kind: the file map
    assert next(body for kind, body in BLOCKS if not kind).startswith("harness.py ")
    assert len(SESSIONS) >= 3 and len(PYTHON) >= 3


def test_the_quick_start_is_two_commands_that_ci_reads_out_of_the_readme():
    script = (ROOT / ".ci/run").read_text()
    pattern = re.search(r"grep '(.*)' README.md", script).group(1)
    read = [line for line in README.splitlines() if re.match(pattern, line)]
    assert read == QUICK_START
    assert len(read) == 2
    assert "harness.py judge solutions/append/accepted/preallocated.py" in read[0]
    assert "pytest" in read[1]


def test_limits_in_the_readme_are_the_defaults():
    from engine.judge import Limits

    text = " ".join(README.split())
    assert f"`--time-limit` {Limits().seconds:g} seconds" in text
    assert f"`--memory-limit` {Limits().memory_mib} MiB" in text


def test_verdicts_in_the_readme_are_the_verdicts():
    from engine.judge import Verdict

    rows = re.findall(r"^\| (\w+) ([a-z ]+) \| (\d+) \|", README, re.MULTILINE)
    assert rows == [(v.name, v.title, str(v.exit_code)) for v in Verdict]


def test_the_ladder_in_the_readme_is_the_ladder():
    from engine.katas import LADDER

    table = README.split("## The ladder")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \|", table, re.MULTILINE)
    assert rows == ["kata", *LADDER]
