"""Stopped: the submission's process ended, hung or broke its channel, and what that means."""

from engine.judge.verdict import Verdict


class Stopped(BaseException):
    """Nothing more can be asked of this process.

    Not an `Exception`, so that nothing on the way takes it for an answer: Hypothesis does
    not shrink it, and serving code that handles a cache's errors does not handle this.
    """

    def __init__(self, verdict: Verdict, cause: str, message: str):
        super().__init__(message)
        self.verdict = verdict
        self.cause = cause
        self.message = message
