"""Every judged case is decided by a clear margin, says enough, and shows real bugs."""

import numpy as np
import pytest

from engine.judge.tokens import MIN_MARGIN, Case, MeasuredModel, draw
from engine.katas import LADDER, find
from engine.katas.append.checks import CASES, Oracle
from engine.model import Model
from solutions.append.wrong_answer import returns_whole_buffer

LONG = 64  # new tokens
ENOUGH = 30  # distinct ones


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("slug", CASES)
def test_margin_and_diversity_of_every_case(slug, seed):
    """Measured anew, by replaying what was drawn."""
    case = CASES[slug]
    drawn = draw(case, Oracle, seed)
    again = MeasuredModel(case.config, drawn.weights)
    assert case.serve(again, drawn.prompt, case.new_tokens, Oracle) == drawn.expected
    assert again.margin == drawn.margin >= MIN_MARGIN == 1e-3
    assert len(drawn.expected) == case.new_tokens
    if case.new_tokens >= LONG:
        assert len(set(drawn.expected)) >= ENOUGH


def test_there_is_a_long_case():
    assert any(case.new_tokens >= LONG for case in CASES.values())


def test_a_case_whose_margin_is_too_small_is_drawn_anew(monkeypatch):
    case = CASES["tokens"]
    first = draw(case, Oracle, 0)
    monkeypatch.setattr("engine.judge.tokens.MIN_MARGIN", first.margin * 1.001)
    second = draw(case, Oracle, 0)
    assert second.prompt != first.prompt
    assert second.margin > first.margin


def test_a_case_that_no_draw_can_meet_is_an_error():
    case = Case(Model.generate, prompt_tokens=2, new_tokens=2, min_distinct=3)
    with pytest.raises(RuntimeError, match="no draw"):
        draw(case, Oracle, 0)


def test_the_margin_is_measured_at_every_step():
    model = MeasuredModel.random()
    logits = [model.prefill([1, 2, 3], cache := Oracle(4, 64, 9))]
    logits += [model.decode_step(4, 3, cache)]
    gaps = [np.sort(row)[-1] - np.sort(row)[-2] for row in logits]
    assert model.margin == pytest.approx(min(gaps))


def test_seeds_draw_other_cases():
    prompts = {tuple(draw(CASES["tokens"], Oracle, seed).prompt) for seed in range(4)}
    assert len(prompts) == 4


def test_a_leak_onto_zeros_shows_in_the_tokens():
    case = CASES["tokens"]
    drawn = draw(case, Oracle, 0)
    leaking = returns_whole_buffer.KVCache
    assert case.serve(drawn.model, drawn.prompt, case.new_tokens, leaking) != drawn.expected


def test_every_kata_of_the_ladder_has_token_cases():
    for name in LADDER:
        assert [check for check in find(name).checks if check.kind == "tokens"]
