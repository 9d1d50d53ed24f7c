"""The ladder's folders, and that a new kata is one folder and nothing else."""

import inspect
import re
import subprocess
import sys
import textwrap

import pytest

from engine.judge import Verdict, judge
from engine.katas import LADDER, UnknownKata, find

FILES = {"statement.md", "starter.py", "context.py", "naive.py", "checks.py"}

TOY = {
    "statement.md": "# total: a running total\n\nAdd numbers up.\n",
    "starter.py": '''
        KATA = "total"


        class Total:
            def __init__(self, start=0):
                self.sum = start

            @property
            def count(self):
                """How many numbers were added."""
                raise NotImplementedError("count")

            def add(self, number):
                """Returns the sum so far."""
                raise NotImplementedError("add")
    ''',
    "context.py": """
        def bill(total_class, prices):
            total = total_class()
            return [total.add(price) for price in prices]


        CALLING_CODE = (bill,)
    """,
    "naive.py": """
        class Total:
            def __init__(self, start=0):
                self.numbers = [start]

            @property
            def count(self):
                return len(self.numbers) - 1

            def add(self, number):
                self.numbers.append(number)
                return sum(self.numbers)
    """,
    "checks.py": """
        from hypothesis import strategies as st
        from hypothesis.stateful import initialize, rule

        from engine.judge.check import Check
        from engine.judge.life import Life, laws

        from .context import bill
        from .naive import Total

        RESULTS = {"add": "total"}


        def same_bill(trial):
            prices = [3, 1, 4]
            expected, got = bill(Total, prices), bill(trial.new, prices)
            trial.true(got == expected, f"total == {expected[-1]}", expected, got)


        class Sums(Life):
            @initialize(start=st.integers(0, 9))
            def construct(self, start):
                self.oracle = Total(start)
                with self.law("forgets-the-start"):
                    self.total = self.trial.new(start=start)

            @rule(number=st.integers(-9, 9))
            def add(self, number):
                expected = self.oracle.add(number)
                slug = "wrong-sum" if self.oracle.count > 1 else "forgets-the-start"
                with self.law(slug):
                    got = self.total.add(number)
                    self.trial.true(got == expected, f"total == {expected}", expected, got)
                with self.law("miscounts"):
                    expected, got = self.oracle.count, self.total.count
                    self.trial.true(got == expected, f"count == {expected}", expected, got)


        CHECKS = (
            Check("bill", "the bill adds up", same_bill, kind="tokens"),
            *laws(
                Sums,
                {
                    "forgets-the-start": "the first sum begins at start",
                    "wrong-sum": "each sum is the one before and the new number",
                    "miscounts": "count is the number of calls",
                },
            ),
        )
    """,
}

RIGHT = """
class Total:
    def __init__(self, start=0):
        self.sum, self.count = start, 0

    def add(self, number):
        self.sum += number
        self.count += 1
        return self.sum
"""


@pytest.fixture
def toy(tmp_path):
    folder = tmp_path / "total"
    folder.mkdir()
    for name, text in TOY.items():
        (folder / name).write_text(textwrap.dedent(text).lstrip("\n"))
    return folder


def test_a_new_kata_is_one_folder(toy, write):
    kata = find(str(toy))
    assert kata.title == "a running total"
    report = judge(write(RIGHT), kata)
    assert report.accepted, report.to_text()
    assert [c.slug for c in report.checks] == [
        "bill",
        "forgets-the-start",
        "wrong-sum",
        "miscounts",
    ]


@pytest.mark.parametrize(
    ("wrong", "cause", "last"),
    [
        (RIGHT.replace("= start, 0", "= 0, 0"), "forgets-the-start", "assert total == 1"),
        (RIGHT.replace("+= number", "= number"), "forgets-the-start", "assert total == 1"),
        (RIGHT.replace("+= number", "-= -abs(number)"), "forgets-the-start", "assert total == -1"),
        (RIGHT.replace("+= 1", "= 1"), "miscounts", "assert count == 2"),
    ],
)  # fmt: skip
def test_its_wrong_solutions_fail_by_name(wrong, cause, last, toy, write):
    report = judge(write(wrong), find(str(toy)))
    assert (report.verdict, report.cause) == (Verdict.WA, cause)
    assert report.failure().calls[-1] == last


def test_its_starter_is_unfinished(toy):
    report = judge(toy / "starter.py", find(str(toy)))
    assert (report.verdict, report.cause) == (Verdict.CE, "unfinished")


def test_the_command_line_takes_a_folder(toy, write, root, tmp_path):
    def run(*args):
        command = [sys.executable, str(root / "harness.py"), *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    done = run("judge", write(RIGHT), "--kata", toy)
    assert (done.returncode, done.stdout[:11]) == (0, "AC accepted")
    assert "def bill(total_class, prices):" in run("show", toy).stdout
    assert run("start", toy, "mine.py").returncode == 0
    assert run("judge", "mine.py", "--kata", "total").returncode == 15


@pytest.mark.parametrize("name", LADDER)
def test_every_kata_has_the_same_files(name):
    """And perhaps lives.py, for a state machine that would make checks.py too long."""
    there = {p.name for p in find(name).folder.iterdir()} - {"__pycache__", "lives.py"}
    assert there == FILES


@pytest.mark.parametrize("name", LADDER)
def test_statements_have_all_their_sections(name):
    statement = find(name).statement
    assert statement.startswith(f"# {name}: ")
    headings = re.findall(r"^## (.*)$", statement, re.MULTILINE)
    assert headings == [
        "The situation",
        "Why it matters in production",
        "The contract",
        "The mathematics",
        "A worked example",
        "What to read next",
        "Hints",
        "Questions",
        "Answers",
    ]
    assert re.findall(r"^### (.*)$", statement, re.MULTILINE) == ["Hint 1", "Hint 2", "Hint 3"]
    numbers = [re.findall(r"^(\d+)\. ", section, re.M) for section in statement.split("\n## ")[-2:]]
    assert numbers[0] == numbers[1] != []


@pytest.mark.parametrize("name", LADDER)
def test_examples_in_statements_run_and_print_what_they_say(name, root, tmp_path):
    reference = sorted((root / "solutions" / name / "accepted").glob("*.py"))[-2:]
    blocks = re.findall(
        r"```python\n(.*?)```\n\nprints\n\n```\n(.*?)```", find(name).statement, re.DOTALL
    )
    assert blocks
    for solution in reference:
        (tmp_path / f"{name}.py").write_bytes(solution.read_bytes())
        for code, printed in blocks:
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
            )
            assert (done.stderr, done.returncode) == ("", 0)
            if solution.stem == "preallocated" or "error" not in code:
                assert done.stdout == printed


@pytest.mark.parametrize("name", LADDER)
def test_interfaces_come_from_starters(name):
    interface = find(name).interface
    assert interface
    for members in interface.values():
        assert "__init__" in members


def test_the_interface_of_append():
    assert find("append").interface == {
        "KVCache": {
            "__init__": [
                ["n_layers", False],
                ["d_model", False],
                ["max_seq_len", False],
                ["dtype", True],
            ],
            "append": [["layer_idx", False], ["k", False], ["v", False]],
        }
    }


@pytest.mark.parametrize("name", LADDER)
def test_slugs_are_unique_and_laws_are_sentences(name):
    checks = find(name).checks
    assert len({check.slug for check in checks}) == len(checks)
    for check in checks:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.slug)
        assert check.law and not check.law.endswith(".")


@pytest.mark.parametrize("name", LADDER)
def test_calling_code_has_a_source(name):
    assert all(inspect.getsource(function) for function in find(name).calling_code)


def test_what_is_no_kata_is_refused(tmp_path):
    with pytest.raises(UnknownKata, match="neither a folder nor one of append"):
        find("nonsense")
    with pytest.raises(UnknownKata, match=r"it has no statement.md, starter.py, checks.py"):
        find(str(tmp_path))
