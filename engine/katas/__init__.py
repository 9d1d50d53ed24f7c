"""The ladder: which katas there are, in what order, and how a kata's folder is read."""

import ast
import importlib
import sys
import types
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

LADDER = ("append",)


class UnknownKata(ValueError):
    """No kata of this name, or a folder that is none."""


@dataclass(frozen=True)
class Kata:
    """A kata's folder: statement.md, starter.py, context.py, naive.py, checks.py."""

    name: str
    folder: Path
    package: str

    @property
    def statement(self) -> str:
        return (self.folder / "statement.md").read_text(encoding="utf-8")

    @property
    def title(self) -> str:
        """The statement's first line, `# NAME: TITLE`, without its name."""
        return self.statement.partition("\n")[0].lstrip("# ").partition(": ")[2]

    def statement_without(self, *headings: str) -> str:
        """The statement less the sections of these headings."""
        first, *sections = self.statement.split("\n## ")
        kept = [s for s in sections if s.partition("\n")[0].strip() not in headings]
        return "\n## ".join([first, *kept])

    @property
    def starter(self) -> Path:
        return self.folder / "starter.py"

    @cached_property
    def checks(self) -> tuple:
        """Every planned check, easiest first."""
        return tuple(self._module("checks").CHECKS)

    @cached_property
    def result_names(self) -> dict[str, str]:
        """What a method's answer is called in printed calls: `{"append": "K, V"}`."""
        return getattr(self._module("checks"), "RESULTS", {})

    @cached_property
    def calling_code(self) -> tuple:
        """The functions that call the learner's class, for `show`."""
        return tuple(self._module("context").CALLING_CODE)

    @cached_property
    def interface(self) -> dict[str, dict[str, list | None]]:
        """What the starter declares: class -> method -> [(parameter, has default)].

        An attribute (a property in the starter) has None for parameters.
        """
        tree = ast.parse(self.starter.read_text(encoding="utf-8"))
        return {
            node.name: _members(node)
            for node in tree.body
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        }

    def _module(self, name: str):
        return importlib.import_module(f"{self.package}.{name}")


def on_ladder(name: str) -> Kata:
    """A kata of the ladder by its name."""
    if name not in LADDER:
        raise UnknownKata(f"{name!r} is none of {', '.join(LADDER)}")
    return Kata(name, Path(__file__).parent / name, f"{__name__}.{name}")


def find(name: str) -> Kata:
    """A kata of the ladder by its name, or anybody's by its folder."""
    if name in LADDER:
        return on_ladder(name)
    folder = Path(name)
    if not folder.is_dir():
        raise UnknownKata(f"no kata {name!r}: neither a folder nor one of {', '.join(LADDER)}")
    missing = [f for f in ("statement.md", "starter.py", "checks.py") if not (folder / f).is_file()]
    if missing:
        raise UnknownKata(f"{folder} is no kata: it has no {', '.join(missing)}")
    # A package made on the spot, so that the folder's modules can import each other.
    folder = folder.resolve()
    package = types.ModuleType(f"kata_{folder.name}_{abs(hash(str(folder))):x}")
    package.__path__ = [str(folder)]
    sys.modules.setdefault(package.__name__, package)
    return Kata(folder.name, folder, package.__name__)


def _members(node: ast.ClassDef) -> dict[str, list | None]:
    members = {}
    for item in node.body:
        if not isinstance(item, ast.FunctionDef):
            continue
        if item.name.startswith("_") and item.name not in ("__init__", "__len__"):
            continue
        if any(isinstance(d, ast.Name) and d.id == "property" for d in item.decorator_list):
            members[item.name] = None
            continue
        names = [a.arg for a in item.args.args[1:]]
        without_default = len(names) - len(item.args.defaults)
        members[item.name] = [[name, i >= without_default] for i, name in enumerate(names)]
    return members
