"""ModelConfig takes possible sizes and names the impossible ones."""

import pytest

from engine.config import ModelConfig


def test_left_out_sizes_follow_from_the_others():
    config = ModelConfig(d_model=96, n_heads=6)
    assert (config.n_kv_heads, config.head_dim, config.row_width) == (6, 16, 96)


def test_row_width_is_that_of_the_key_heads():
    config = ModelConfig(d_model=48, n_heads=6, n_kv_heads=2, head_dim=16)
    assert config.row_width == 32


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"n_layers": 0}, "n_layers=0"),
        ({"vocab_size": -5}, "vocab_size=-5"),
        ({"d_ff": 1.5}, "d_ff=1.5"),
        ({"n_heads": True}, "n_heads=True"),
        ({"d_model": 65}, "d_model=65 is not a multiple of n_heads=4"),
        ({"n_heads": 4, "n_kv_heads": 3}, "n_heads=4 is not a multiple of n_kv_heads=3"),
        ({"n_kv_heads": 8}, "n_heads=4 is not a multiple of n_kv_heads=8"),
        ({"head_dim": 15}, "head_dim=15 is odd"),
        ({"head_dim": 0}, "head_dim=0"),
        ({"rope_theta": 0.0}, "rope_theta=0.0"),
        ({"norm_eps": float("nan")}, "norm_eps=nan"),
        ({"rope_theta": float("inf")}, "rope_theta=inf"),
    ],
)
def test_impossible_sizes_are_named(sizes, named):
    with pytest.raises(ValueError, match=named):
        ModelConfig(**sizes)
