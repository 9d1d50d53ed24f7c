"""The same bits on every machine, under the names of a Hugging Face state dict."""

import hashlib
import math

import numpy as np
import pytest

from engine.config import ModelConfig
from engine.weights import random_weights, shapes


def digest(weights) -> str:
    sha = hashlib.sha256()
    for name in sorted(weights):
        sha.update(name.encode() + weights[name].astype("<f4").tobytes())
    return sha.hexdigest()[:16]


@pytest.mark.parametrize(
    ("seed", "expected"),
    [(0, "7cb8176159c04906"), (1, "863488272121897f"), (2, "c2d8cf0abc194a9e")],
)
def test_the_bits_do_not_change(seed, expected):
    assert digest(random_weights(ModelConfig(n_kv_heads=2), seed)) == expected


def test_values_follow_from_the_raw_integers():
    """The mapping again, in Python's own exact arithmetic."""
    config = ModelConfig(n_layers=1, vocab_size=3)
    weights = random_weights(config, 7)
    raw = [int(r) for r in np.random.PCG64(7).random_raw(3 * 64 + 64 + 5)]
    unit = [((r >> 40) - 2**23) / 2**23 for r in raw]
    embedding = np.float32(unit[:192]) * np.float32(math.sqrt(3))
    assert (weights["model.embed_tokens.weight"].reshape(-1) == embedding).all()
    norm = 1 + np.float32(unit[192:256]) * np.float32(0.25)
    assert (weights["model.layers.0.input_layernorm.weight"] == norm).all()
    q_proj = np.float32(unit[256:]) * np.float32(math.sqrt(3 / 64))
    assert (weights["model.layers.0.self_attn.q_proj.weight"].reshape(-1)[:5] == q_proj).all()


def test_matrices_have_variance_one_over_fan_in():
    for name, array in random_weights(ModelConfig(d_model=128), 0).items():
        assert array.dtype == np.float32
        if array.ndim == 2:
            n_in = 1 if "embed" in name else array.shape[1]
            assert array.var() * n_in == pytest.approx(1, rel=0.05), name


def test_a_tied_head_has_no_matrix_of_its_own():
    assert "lm_head.weight" not in shapes(ModelConfig(tied_head=True))
    assert shapes(ModelConfig())["lm_head.weight"] == (256, 64)
