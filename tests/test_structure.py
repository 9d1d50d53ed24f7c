"""Imports run one way, and the map shows every module."""

import ast
import re
from pathlib import Path

import pytest

import engine

PACKAGE = Path(engine.__file__).parent

# Module (or folder, ending in a dot) -> what of the engine it may import.
ALLOWED = {
    "config": set(),
    "attention": set(),
    "weights": {"config"},
    "model": {"attention", "config", "weights"},
    "katas": set(),
    "katas.*.starter": set(),
    "katas.*.naive": set(),
    "katas.*.context": {"model"},
    "katas.*.lives": {"katas.*.naive", "judge.life"},
    "katas.*.checks": {
        "config", "model", "katas.*.context", "katas.*.naive", "katas.*.lives",
        "judge.budget", "judge.check", "judge.life", "judge.remote", "judge.tokens",
        "judge.verdict",
    },
    "judge.verdict": set(),
    "judge.transcript": set(),
    "judge.frames": set(),
    "judge.child": {"judge.frames"},
    "judge.stop": {"judge.verdict"},
    "judge.report": {"judge.verdict"},
    "judge.sandbox": {"judge.frames", "judge.stop", "judge.verdict"},
    "judge.local": {"judge.child", "judge.frames", "judge.sandbox"},
    "judge.remote": {"judge.frames", "judge.stop", "judge.transcript", "judge.verdict"},
    "judge.check": {"judge.remote", "judge.transcript", "judge.verdict"},
    "judge.budget": {"judge.check", "judge.verdict"},
    "judge.life": {"judge.check", "judge.remote"},
    "judge.tokens": {"config", "model", "weights", "judge.check", "judge.remote", "judge.verdict"},
    "judge": {
        "katas", "judge.check", "judge.local", "judge.remote", "judge.report", "judge.sandbox",
        "judge.stop", "judge.verdict", "judge.life",
    },
    "judge.bank": {"judge", "judge.report", "judge.verdict", "katas"},
    "bench.verdict": set(),
}  # fmt: skip

MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts)


def rule_of(name: str) -> str:
    return re.sub(r"^katas\.\w+\.", "katas.*.", name)


def imported(path: Path) -> set[str]:
    """What of the engine a module imports, lazily too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    known = {name_of(module) for module in MODULES}
    inside = {n.removeprefix("engine.") for n in names if n.startswith("engine.")}
    return {n if n in known else n.rpartition(".")[0] for n in inside}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_one_way(path):
    name = name_of(path)
    assert {rule_of(n) for n in imported(path)} <= ALLOWED[rule_of(name)]
    own = name.rpartition(".")[0]
    for other in imported(path):
        if other.startswith("katas."):
            assert other.startswith(own), f"{name} imports another kata's {other}"


def test_rules_have_no_circle():
    def reach(name, seen=()):
        assert name not in seen, " -> ".join([*seen, name])
        for other in ALLOWED[name]:
            reach(other, (*seen, name))

    for name in ALLOWED:
        reach(name)


def test_no_rule_is_for_nothing():
    assert set(ALLOWED) == {rule_of(name_of(path)) for path in MODULES}


def test_only_the_child_runs_submissions():
    running = [p.name for p in MODULES if re.search(r"\b(exec|eval)\(", p.read_text())]
    assert running == ["child.py"]
    for path in MODULES:
        assert not re.search(r"\b(pickle|marshal)\.", path.read_text()), path


def test_the_map_has_every_module_and_no_other():
    shown = re.findall(r"^(\S+(?:\.py|/))\s", engine.__doc__, re.MULTILINE)
    there = {f"{name_of(p).replace('.', '/')}.py" for p in MODULES if p.name != "__init__.py"}
    there |= {
        f"{name_of(p).replace('.', '/')}/__init__.py" for p in MODULES if p.name == "__init__.py"
    }
    there = {f"{Path(name).parent}/" if re.match(r"katas/\w+/", name) else name for name in there}
    assert set(shown) == there


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_begins_with_its_promise(path):
    doc = ast.get_docstring(ast.parse(path.read_text()))
    assert doc and len(doc.splitlines()[0]) <= 100


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_stay_small(path):
    assert len(path.read_text().splitlines()) <= 350
