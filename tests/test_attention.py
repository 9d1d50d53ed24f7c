"""The pure functions against their definitions, written out with loops in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.attention import Rope, attend, causal_mask, linear, rms_norm, swiglu

# float32 against float64, relative to values of about 1.
TOLERANCE = 2e-6


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_definition(q, K, V, visible):  # (S, H, Dh), 2x (T, D), (S, T) -> (S, H, Dh)
    S, H, Dh = q.shape
    G = K.shape[1] // Dh
    q, K, V = (a.astype(np.float64) for a in (q, K, V))
    out = np.zeros((S, H, Dh))
    for s in range(S):
        for h in range(H):
            own = slice(h // (H // G) * Dh, (h // (H // G) + 1) * Dh)
            rows = np.flatnonzero(visible[s])
            scores = np.array([K[t, own] @ q[s, h] / np.sqrt(Dh) for t in rows])
            weights = np.exp(scores - scores.max())
            out[s, h] = weights / weights.sum() @ V[rows][:, own]
    return out


@settings(deadline=None, max_examples=60)
@given(
    groups=st.integers(1, 3),
    heads_per_group=st.integers(1, 3),
    new_tokens=st.integers(1, 6),
    cached_tokens=st.integers(0, 6),
)
def test_attend_is_causal_attention(groups, heads_per_group, new_tokens, cached_tokens):
    T, Dh, H = cached_tokens + new_tokens, 4, groups * heads_per_group
    q = random(new_tokens, H, Dh)
    K, V = random(T, groups * Dh, seed=1), random(T, groups * Dh, seed=2)
    visible = [[t <= cached_tokens + s for t in range(T)] for s in range(new_tokens)]
    expected = by_definition(q, K, V, np.array(visible))
    assert attend(q, K, V) == pytest.approx(expected, abs=TOLERANCE)
    if new_tokens == 1:
        assert attend(q[0], K, V) == pytest.approx(expected[0], abs=TOLERANCE)


@pytest.mark.parametrize("one_token", [False, True])
def test_attend_takes_leading_axes_and_a_mask(one_token):
    B, S, T, H, G, Dh = 3, 1 if one_token else 4, 6, 4, 2, 4
    q, K, V = random(B, S, H, Dh), random(B, T, G * Dh, seed=1), random(B, T, G * Dh, seed=2)
    visible = np.random.default_rng(3).random((B, S, T)) < 0.6
    visible[..., 0] = True
    expected = np.stack([by_definition(*args) for args in zip(q, K, V, visible, strict=True)])
    if one_token:
        got = attend(q[:, 0], K, V, visible)[:, None]
    else:
        got = attend(q, K, V, visible)
    assert got == pytest.approx(expected, abs=TOLERANCE)


def test_a_row_that_sees_nothing_stays_finite():
    K = random(3, 4)
    assert np.isfinite(attend(random(2, 1, 4), K, K, np.zeros((2, 3), bool))).all()


def test_attend_survives_scores_that_overflow_exp():
    K = np.float32([[1e4, 0], [0, 1e4]])
    got = attend(np.float32([[1e4, 0]]), K, np.float32([[1, 2], [3, 4]]))
    assert got.tolist() == [[1, 2]]


def test_each_head_has_a_maximum_of_its_own():
    """With one for all heads, the second head's weights would all be exp(-1000) = 0."""
    K = np.float32([[1000, 0, 1, 0]])
    got = attend(np.float32([[1, 0], [1, 0]]), K, np.float32([[1, 2, 3, 4]]))
    assert got.tolist() == [[1, 2], [3, 4]]


def test_attention_stays_float32():
    K = random(3, 4)
    assert attend(random(2, 2, 4), K, K).dtype == np.float32


def test_rows_are_read_as_heads_without_a_copy():
    """The cache's views are reshaped, strided ones too; a copy would grow with T."""
    import tracemalloc

    T, D = 4096, 64
    buffer = np.ones((T, 2, D), np.float32)
    K, V, q = buffer[:, 0], buffer[:, 1], np.ones((4, 16), np.float32)
    attend(q, K, V)
    tracemalloc.start()
    attend(q, K, V)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    scores = 4 * T * 4
    # NumPy subtracts the maximum through a buffer of at most 8,192 values.
    assert peak < scores + 4 * 8192 + 4096 < K.nbytes / 4


def test_causal_mask_is_aligned_to_the_newest_token():
    assert causal_mask(2, 4).astype(int).tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


def test_rms_norm_and_swiglu_are_their_textbook_forms():
    x = random(2, 5, 8)
    expected = x / np.sqrt((x.astype(np.float64) ** 2).mean(-1, keepdims=True) + 1e-5)
    assert rms_norm(x, 1e-5) == pytest.approx(expected, abs=TOLERANCE)
    assert rms_norm(x[0, 0], 1e-5) == pytest.approx(expected[0, 0], abs=TOLERANCE)
    gate, up = x[..., :4].astype(np.float64), x[..., 4:]
    halved = np.concatenate([x[..., :4] / 2, up], axis=-1)
    assert swiglu(halved) == pytest.approx(gate / (1 + np.exp(-gate)) * up, abs=TOLERANCE)


def test_swiglu_does_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        assert swiglu(np.float32([-500, 500, 1, 1])).tolist() == [0, 1000]


@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (2, 2, 3)])
def test_linear_takes_any_leading_axes(leading):
    x, weight = random(*leading, 5), random(5, 7)
    assert linear(x, weight) == pytest.approx(np.einsum("...i,io->...o", x, weight), abs=1e-5)


def test_rope_grows_and_agrees_with_its_definition():
    rope = Rope(head_dim=4, theta=100.0)
    positions = np.array([[0, 1], [63, 5000]])
    angles = np.multiply.outer(positions, [1.0, 0.1])
    # The angle is rounded to float32: 5000 has 2e-4 of one.
    assert rope.factors(positions)[..., 0, :] == pytest.approx(np.exp(1j * angles), abs=5e-4)
    assert rope.factors(9999).shape == (1, 2)
    assert rope.factors(7) == pytest.approx(rope.factors(np.array([7]))[0])
