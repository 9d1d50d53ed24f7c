"""The bank: every file under solutions/ judged against what its folder and docstring promise.

This is how the judge is judged: a wrong file must fail with the verdict of its folder and
the cause that it names, an accepted one must pass, and every check of a kata must be the
first to catch at least one file, or nobody knows that it can fail.
"""

import ast
import os
import re
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from engine.judge import judge
from engine.judge.report import Report
from engine.judge.verdict import Verdict
from engine.katas import Kata

FOLDERS = {verdict.folder: verdict for verdict in Verdict}


def verify(katas: list[Kata], solutions: Path, progress=lambda done, of: None):
    """(problems, a line for each kata)."""
    jobs = [(kata, path) for kata in katas for path in _files(kata, solutions)]
    reports: dict[Path, Report] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(judge, path, kata): path for kata, path in jobs}
        for done, future in enumerate(as_completed(running), 1):
            reports[running[future]] = future.result()
            progress(done, len(jobs))
    problems, lines = [], []
    for kata in katas:
        own = {path: reports[path] for path in _files(kata, solutions)}
        problems += _problems(kata, own)
        wrong = sum(not report.accepted for report in own.values()) - 1
        lines.append(
            f"{kata.name}: {len(own) - wrong - 1} accepted and {wrong} wrong files, "
            f"{len(kata.checks)} checks, starter {own[kata.starter].cause}"
        )
    return problems, lines


def caught_by(path: Path) -> str | None:
    """The cause that a wrong file's docstring names."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    found = re.search(r"^Caught by: (\S+)$", doc, re.MULTILINE)
    return found and found.group(1)


def _files(kata: Kata, solutions: Path) -> list[Path]:
    return [kata.starter, *sorted((solutions / kata.name).glob("*/*.py"))]


def _problems(kata: Kata, reports: dict[Path, Report]) -> list[str]:
    problems, catching = [], set()
    for path, report in reports.items():
        got = f"{report.verdict.name} {report.cause}"
        if path == kata.starter:
            expected = "CE unfinished"
        elif path.parent.name not in FOLDERS:
            problems.append(f"{path}: {path.parent.name} is no verdict's folder")
            continue
        elif path.parent.name == Verdict.AC.folder:
            expected = "AC accepted"
        else:
            expected = f"{FOLDERS[path.parent.name].name} {caught_by(path)}"
            failed = [check.slug for check in report.checks if check.status == "failed"]
            catching |= {report.cause, *failed[:1]}
        if got != expected:
            problems.append(f"{path}: expected {expected}, got {got}: {report.message}")
    if not any(path.parent.name == Verdict.AC.folder for path in reports):
        problems.append(f"{kata.name} has no accepted solution")
    for check in kata.checks:
        if check.slug not in catching:
            problems.append(f"{kata.name}: {check.slug} is the first to catch no file")
    return problems
