"""Life: a Hypothesis state machine that leads a cache through calls and holds laws to it.

One exploration judges all laws of a machine. The first law that a life breaks ends that
life; of all laws broken in any life, the one that is planned first is the cause, and only
its story is shrunk.
"""

import os
from contextlib import contextmanager, suppress

import hypothesis.configuration
from hypothesis import HealthCheck, Phase, Verbosity, reject, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from engine.judge.check import Broken, Check, NotRun, Trial, unexpected
from engine.judge.remote import Raised

LIVES = 40
STEPS = 10
FAILED_LIVES = 25  # after so many, no other law is likely to show up
SHRINKING_LIVES = 200  # a story is short by then, and its reader waits


class _EnoughSeen(BaseException):
    """Ends an exploration; Hypothesis lets it pass."""


def sizes_around(boundary: int, largest: int, smallest: int = 1):
    """Most often beside a multiple of `boundary`, where caches go wrong."""
    edges = [n + d for n in (boundary, 2 * boundary) for d in (-1, 0, 1) if n + d <= largest]
    sizes = list(range(smallest, largest + 1))
    return st.sampled_from(sizes + edges * (len(sizes) // max(len(edges), 1)))


class Life(RuleBasedStateMachine):
    """Base of a kata's machine. Rules call `self.trial`; `with self.law(slug):` judges."""

    trial: Trial
    story: "_Story"

    def __init__(self):
        self.story.begin_life()
        super().__init__()
        self.trial.begin()

    @contextmanager
    def law(self, slug: str):
        """What is broken inside is this law."""
        self.story.judged.add(slug)
        try:
            yield
        except Raised as raised:
            self.story.broken(slug, unexpected(raised), self.trial)
        except Broken as broken:
            self.story.broken(slug, broken, self.trial)


class _Story:
    """What an exploration finds. With a target, only that law's break is a failure."""

    def __init__(self, target: str | None = None):
        self.target = target
        self.judged: set[str] = set()
        self.found: dict[str, Broken] = {}
        self.failed_lives = 0
        self.lives_since_found = 0

    def begin_life(self) -> None:
        self.lives_since_found += bool(self.found)
        if self.target and self.lives_since_found > SHRINKING_LIVES:
            raise _EnoughSeen

    def broken(self, slug: str, broken: Broken, trial: Trial):
        broken.slug, broken.calls = slug, trial.subject.transcript.code()
        if self.target is None:
            self.found.setdefault(slug, broken)
            self.failed_lives += 1
            if self.failed_lives >= FAILED_LIVES:
                raise _EnoughSeen
        elif slug == self.target:
            shortest = self.found.setdefault(slug, broken)
            if _length(broken) <= _length(shortest):
                self.found[slug] = broken
            raise broken
        reject()


def _length(broken: Broken) -> tuple[int, int]:
    return len(broken.calls), sum(map(len, broken.calls))


def laws(machine: type[Life], table: dict[str, str]) -> list[Check]:
    """The checks of a machine, in planned order: slug -> law."""
    return [Check(slug, law, _judge(machine, list(table), slug)) for slug, law in table.items()]


def _judge(machine, slugs, slug):
    def run(trial: Trial) -> None:
        if machine not in trial.notes:
            trial.notes[machine] = None
            trial.notes[machine] = explore(machine, slugs, trial)
        if trial.notes[machine] is None:
            raise NotRun(f"the lives of {machine.__name__} ended with their process")
        judged, found = trial.notes[machine]
        if slug in found:
            raise found[slug]
        if slug not in judged and found and trial.alone:
            raise next(found[other] for other in slugs if other in found)
        if slug not in judged:
            raise NotRun(f"no life of {machine.__name__} came as far as {slug}")

    return run


def explore(
    machine: type[Life], slugs: list[str], trial: Trial
) -> tuple[set[str], dict[str, Broken]]:
    """(laws judged, laws broken with their stories); the first broken one's is the shortest."""
    story = _Story()
    try:
        _lead_lives(machine, trial, story, [Phase.generate])
    except _EnoughSeen:
        pass
    except HypothesisException:
        # A submission that answers otherwise the second time confuses Hypothesis.
        if not story.found:
            raise
    found = story.found
    first = next((slug for slug in slugs if slug in found), None)
    if first is not None:
        shrunk = _Story(target=first)
        with suppress(Broken, HypothesisException, _EnoughSeen):
            _lead_lives(machine, trial, shrunk, [Phase.generate, Phase.shrink])
        if first in shrunk.found:
            found[first] = shrunk.found[first]
        else:
            found[first].message += "; the same calls went well the second time"
    return story.judged, found


def _lead_lives(machine, trial, story, phases) -> None:
    """The same lives every time: nothing is read from a database or the clock."""
    bound = type(machine.__name__, (machine,), {"trial": trial, "story": story})
    with _nothing_written():
        run_state_machine_as_test(
            seed(trial.seed)(bound),
            settings=settings(
                max_examples=LIVES,
                stateful_step_count=STEPS,
                phases=phases,
                database=None,
                deadline=None,
                derandomize=False,
                report_multiple_bugs=False,
                print_blob=False,
                verbosity=Verbosity.quiet,
                suppress_health_check=list(HealthCheck),
            ),
        )


@contextmanager
def _nothing_written():
    """Hypothesis would leave a folder where the caller stands."""
    hypothesis.configuration.set_hypothesis_home_dir(os.devnull)
    try:
        yield
    finally:
        hypothesis.configuration.set_hypothesis_home_dir(None)
