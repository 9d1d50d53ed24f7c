"""Verdict: what a judgement comes to, with its exit code and its folder under solutions/."""

from enum import Enum


class Verdict(Enum):
    AC = ("accepted", 0)
    WA = ("wrong answer", 10)
    RTE = ("run time error", 11)
    TLE = ("time limit exceeded", 12)
    MLE = ("memory limit exceeded", 13)
    OLE = ("output limit exceeded", 14)
    CE = ("compile error", 15)
    JE = ("judge error", 70)

    def __init__(self, title: str, exit_code: int):
        self.title = title
        self.exit_code = exit_code

    @property
    def folder(self) -> str:
        return self.title.replace(" ", "_")
