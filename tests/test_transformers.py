"""Our model beside Hugging Face's, where the extra `bench` is installed."""

import numpy as np
import pytest

from engine.model import Model
from engine.weights import random_weights
from solutions.append.accepted.preallocated import KVCache
from tests.golden.configs import CONFIGS, prompt
from tests.golden.peer import run, to_transformers
from tests.textbook import LOGIT_TOLERANCE


@pytest.mark.parametrize("seed", [5, 6])
@pytest.mark.parametrize("name", CONFIGS)
def test_logits_and_tokens(name, seed):
    config = CONFIGS[name]
    weights = random_weights(config, seed)
    ours, tokens = Model(config, weights), prompt(config, seed)
    expected, logits = run(to_transformers(config, weights), tokens, 64)
    assert ours.generate(tokens, 64, KVCache) == expected
    cache = KVCache(config.n_layers, config.row_width, 100)
    got = [ours.prefill(tokens, cache)]
    got += [ours.decode_step(t, len(tokens) + i, cache) for i, t in enumerate(expected[:-1])]
    assert np.abs(np.array(got) - logits).max() < LOGIT_TOLERANCE
