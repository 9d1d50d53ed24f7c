"""Cases: a model, a prompt and a way of serving, whose tokens the oracle's must equal.

A case is drawn anew until no step of it is decided by a near tie and it says enough
different tokens: then the same tokens come out on any machine, and a corrupted cache shows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.config import ModelConfig
from engine.judge.check import Broken, Check, Trial, unexpected
from engine.judge.remote import Raised
from engine.judge.verdict import Verdict
from engine.model import Model
from engine.weights import Weights, random_weights

MIN_MARGIN = 1e-3  # between the two best logits; rounding moves one by about 1e-5
DRAWS = 100
TINY = ModelConfig(n_kv_heads=2)


class MeasuredModel(Model):
    """A model that notes the narrowest margin by which a token was chosen."""

    margin = np.inf

    def logits(self, x):
        logits = super().logits(x)
        best_two = np.partition(logits, -2)[..., -2:]
        self.margin = min(self.margin, float((best_two[..., 1] - best_two[..., 0]).min()))
        return logits


@dataclass(frozen=True)
class Case:
    """`serve(model, prompt, new_tokens, cache_class) -> tokens`, and the sizes it runs at."""

    serve: Callable
    prompt_tokens: int
    new_tokens: int
    config: ModelConfig = TINY
    min_distinct: int = 0


@dataclass(frozen=True)
class Drawn:
    """A case that is fit to judge, and what the oracle says."""

    model: MeasuredModel
    weights: Weights
    prompt: list[int]
    expected: list[int]
    margin: float


def draw(case: Case, oracle, seed: int) -> Drawn:
    """The first fit draw of this seed."""
    for attempt in range(DRAWS):
        own_seed = seed * DRAWS + attempt
        weights = random_weights(case.config, own_seed)
        model = MeasuredModel(case.config, weights)
        raw = np.random.PCG64([own_seed, 1]).random_raw(case.prompt_tokens)
        prompt = [int(r) for r in raw % np.uint64(case.config.vocab_size)]
        expected = case.serve(model, prompt, case.new_tokens, oracle)
        if model.margin >= MIN_MARGIN and len(set(expected)) >= case.min_distinct:
            return Drawn(model, weights, prompt, expected, model.margin)
    raise RuntimeError(f"no draw of {case} with seed {seed} is fit to judge")


def tokens_check(slug: str, law: str, case: Case, oracle) -> Check:
    """The submission in the oracle's place, in the same model."""

    def run(trial: Trial) -> None:
        drawn = draw(case, oracle, trial.seed)
        trial.subject.transcript.recording = False
        try:
            with np.errstate(all="ignore"), trial.subject.channel.clock.running():
                got = case.serve(drawn.model, drawn.prompt, case.new_tokens, trial.new)
        except Raised as raised:
            raise unexpected(raised) from None
        except Exception as error:
            # The oracle went through the same code: what broke it is what the cache answered.
            message = f"the model cannot go on with what it is given: {error}"
            raise Broken(
                message, Verdict.WA, "tokens", f"{type(error).__name__}: {error}"
            ) from None
        finally:
            trial.subject.transcript.recording = True
        if got != drawn.expected:
            raise _diverged(drawn.expected, got, case.new_tokens)

    return Check(slug, law, run, kind="tokens")


def _diverged(expected: list[int], got: list[int], new_tokens: int) -> Broken:
    first = next(
        (i for i, pair in enumerate(zip(expected, got, strict=False)) if pair[0] != pair[1]), 0
    )
    shown = slice(max(0, first - 3), first + 9)
    return Broken(
        f"tokens differ from number {first + 1} of {new_tokens} on",
        Verdict.WA,
        _row(expected, shown),
        _row(got, shown),
    )


def _row(tokens: list[int], shown: slice) -> str:
    dots = "... " if shown.start else ""
    return dots + " ".join(f"{token:3d}" for token in tokens[shown]) + " ..."
