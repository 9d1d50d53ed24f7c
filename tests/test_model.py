"""Model against three others: transformers' golden answers, a textbook, and itself uncached."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.config import ModelConfig
from engine.katas.append.context import serve_in_chunks
from engine.katas.append.naive import KVCache as Naive
from engine.model import Model
from engine.weights import random_weights
from solutions.append.accepted.preallocated import KVCache
from tests import textbook
from tests.golden.configs import CONFIGS, SEEDS, prompt

GOLDEN = json.loads(Path(__file__).with_name("golden").joinpath("llama.json").read_text())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CONFIGS)
def test_golden_logits_and_tokens_of_transformers(name, seed):
    config, golden = CONFIGS[name], GOLDEN[f"{name}/{seed}"]
    model, tokens = Model.random(config, seed), golden["tokens"]
    assert model.generate(prompt(config, seed), len(tokens), KVCache) == tokens
    cache = Naive(config.n_layers, config.row_width, 100)
    first = model.prefill(prompt(config, seed), cache)
    for position, token in enumerate(tokens[:-1], start=len(prompt(config, seed))):
        last = model.decode_step(token, position, cache)
    assert np.abs(first - golden["first_logits"]).max() < textbook.LOGIT_TOLERANCE
    assert np.abs(last - golden["last_logits"]).max() < textbook.LOGIT_TOLERANCE


class Watched(KVCache):
    """Notes what the model appends."""

    made = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.appended = []
        Watched.made = (args, kwargs, self)

    def append(self, layer_idx, k, v):
        self.appended.append((layer_idx, k.shape, v.shape))
        return super().append(layer_idx, k, v)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_three_computations_agree(config):
    """Pre-allocated, concatenated, and recomputed from scratch in float64."""
    weights, n = random_weights(config, 3), 12
    model, tokens = Model(config, weights), prompt(config, 3)
    expected = textbook.generate(config, weights, tokens, n)
    assert model.generate(tokens, n, KVCache) == expected
    assert model.generate(tokens, n, Naive) == expected
    text = tokens + expected
    want = textbook.logits(config, weights, text)
    for cache_class in (KVCache, Naive):
        cache = cache_class(config.n_layers, config.row_width, len(text))
        got = [model.prefill(text[:5], cache), model.prefill(text[5:9], cache, start=5)]
        got += [model.decode_step(text[p], p, cache) for p in range(9, len(text))]
        assert np.abs(np.array(got) - want[[4, 8, *range(9, len(text))]]).max() < (
            textbook.LOGIT_TOLERANCE
        )


def test_generate_builds_one_cache_and_appends_once_per_layer_and_step():
    config = ModelConfig(n_layers=2, n_kv_heads=2)
    Model.random(config).generate([1, 2, 3], 4, Watched, dtype=np.float16)
    args, kwargs, cache = Watched.made
    assert (args, kwargs) == ((2, 32), {"max_seq_len": 7, "dtype": np.float16})
    prefill = [(layer, (3, 32), (3, 32)) for layer in range(2)]
    step = [(layer, (32,), (32,)) for layer in range(2)]
    assert cache.appended == prefill + 3 * step


@pytest.mark.parametrize("chunk", [1, 4, 5, 13, 100])
def test_chunks_of_a_prompt_give_the_same_tokens(chunk):
    model, tokens = Model.random(seed=2), list(range(13))
    expected = model.generate(tokens, 10, Naive)
    assert serve_in_chunks(model, tokens, 10, KVCache, chunk, spare_rows=0) == expected


def test_project_and_merge_work_on_any_leading_axes():
    model = Model.random(ModelConfig(n_kv_heads=2))
    layer = model.layers[0]
    x = np.random.default_rng(0).normal(size=(2, 3, 64)).astype(np.float32)
    positions = np.array([[0, 1, 2], [7, 80, 900]])
    batch = layer.project(x, positions)
    merged = layer.merge(x, batch[0])
    for b, s in np.ndindex(2, 3):
        alone = layer.project(x[b, s], int(positions[b, s]))
        for got, expected in zip(batch, alone, strict=True):
            assert got[b, s] == pytest.approx(expected, abs=1e-5)
        assert merged[b, s] == pytest.approx(layer.merge(x[b, s], alone[0]), abs=1e-5)


def test_nothing_but_the_scores_grows_with_the_length():
    """Counted: at 2,048 tokens a step allocates a score row per head more than at 64."""
    import tracemalloc

    model = Model.random()
    cache = KVCache(4, 64, 4096)
    tokens = np.arange(2048) % 256

    def peak(position):
        model.decode_step(1, position, cache)  # what grows once has grown
        tracemalloc.start()
        model.decode_step(1, position + 1, cache)
        _, bytes_at_peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return bytes_at_peak

    model.prefill(tokens[:64], cache)
    short = peak(64)
    model.prefill(tokens[66:], cache, start=66)
    score_rows = model.config.n_heads * 2048 * 4
    # NumPy subtracts the maximum through a buffer of at most 8,192 values.
    assert peak(2048) - short < score_rows + 4 * 8192


@pytest.mark.parametrize(
    ("tokens", "count", "named"),
    [
        ([], 3, r"not shape \(0,\)"),
        ([[1, 2]], 3, r"not shape \(1, 2\)"),
        ([1.5], 3, "float64"),
        ([True], 3, "bool"),
        ([1, 256], 3, r"token 256 is outside the vocabulary \[0, 256\)"),
        ([-1], 3, r"token -1 is outside"),
        ([1], -1, "max_new_tokens=-1 is negative"),
    ],
)
def test_bad_requests_are_refused_before_a_cache_is_made(tokens, count, named):
    def no_cache(*args, **kwargs):
        raise AssertionError("a cache was made")

    with pytest.raises(ValueError, match=named):
        Model.random().generate(tokens, count, no_cache)


def test_bad_steps_are_refused():
    model = Model.random()
    cache = KVCache(4, 64, 8)
    with pytest.raises(ValueError, match="token 256"):
        model.decode_step(256, 0, cache)
    with pytest.raises(ValueError, match="position=-1"):
        model.decode_step(1, -1, cache)
    with pytest.raises(ValueError, match="start=-2"):
        model.prefill([1], cache, start=-2)
    assert cache.length == [0, 0, 0, 0]


def test_no_new_tokens_are_an_empty_list():
    assert Model.random().generate([1], 0, KVCache) == []


def test_the_prompt_stays_the_callers():
    mine = np.array([5, 6, 7])
    Model.random().generate(mine, 3, KVCache)
    assert mine.tolist() == [5, 6, 7]
