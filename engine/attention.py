"""The arithmetic of a Llama as pure functions, and the project's axis legend.

    L   layers                      H   query heads
    B   sequences in a batch        G   key/value heads (H is a multiple of G)
    S   new tokens in this call     Dh  head dim
    T   tokens in the cache,        D   row width, G * Dh: one token's K (or V)
        the new ones included           in one layer

`...` stands for any leading axes. float32 in, float32 out.
"""

import math

import numpy as np

# What a score becomes where a query may not look: exp() of it is 0 beside any other
# score, and a row in which everything is masked stays finite (-inf would give NaN).
MASKED = np.finfo(np.float32).min


def linear(x, weight):  # (..., n_in), (n_in, n_out) -> (..., n_out)
    # ndarray.dot starts 0.5 us sooner than `@`; beyond two axes only `@` is a plain product.
    return x.dot(weight) if x.ndim <= 2 else x @ weight


def rms_norm(x, eps):  # (..., n) -> (..., n)
    """x over its root mean square: RMSNorm before its weight (Zhang and Sennrich, 2019)."""
    scale = (np.vecdot(x, x) / x.shape[-1] + eps) ** -0.5
    return x * scale if x.ndim == 1 else x * scale[..., None]


def swiglu(gate_up):  # (..., 2 * d_ff) -> (..., d_ff)
    """silu(gate) * up (Shazeer, 2020). The gate arrives halved.

    silu(g) = g / (1 + exp(-g)) = g/2 + g/2 * tanh(g/2): the second form cannot overflow,
    and with the gate halved in its weight it is three operations instead of five.
    """
    half = gate_up.shape[-1] // 2
    gate, up = gate_up[..., :half], gate_up[..., half:]
    activated = np.tanh(gate)
    activated *= gate
    activated += gate
    activated *= up
    return activated


class Rope:
    """Rotary position embedding (Su et al., 2021) as factors exp(i * position * frequency).

    Component pairs as complex numbers make a rotation one multiplication. The angle is
    rounded to float32 as public implementations round it, so that far positions agree too.
    """

    def __init__(self, head_dim: int, theta: float):
        exponents = np.arange(0, head_dim, 2) / head_dim
        self.frequencies = (1.0 / theta**exponents).astype(np.float32)
        self._factors = self._compute(64)

    def factors(self, positions):  # int or (...) -> (..., 1, Dh/2) complex64, 1 for the heads
        try:
            return self._factors[positions]
        except IndexError:
            self._factors = self._compute(2 * (int(np.max(positions)) + 1))
            return self._factors[positions]

    def _compute(self, n_positions: int):
        angles = np.arange(n_positions, dtype=np.float32)[:, None, None] * self.frequencies
        return np.exp(1j * angles.astype(np.float64)).astype(np.complex64)


def causal_mask(S: int, T: int):  # -> (S, T), True where the query may look
    """The S newest of T tokens: query s sees everything up to position T - S + s."""
    return np.tri(S, T, T - S, dtype=bool)


def attend(q, K, V, visible=None):
    """Scaled dot-product attention over cached rows; query head h reads group h // (H // G).

    q: `(..., S, H, Dh)`, or `(..., H, Dh)` for one new token. K, V: `(..., T, D)`, read as
    G heads without a copy. `visible`: bool `(..., S, T)`; without it the queries are the
    newest S tokens and each sees all up to its own. Returns the shape of q.
    """
    *batch, T, D = K.shape
    H, Dh = q.shape[-2:]
    G = D // Dh
    keys = K.reshape(*batch, T, G, Dh).swapaxes(-3, -2)
    values = V.reshape(*batch, T, G, Dh).swapaxes(-3, -2)
    # math.sqrt: a NumPy float64 scalar here would turn the scores into float64.
    q = q * np.float32(1.0 / math.sqrt(Dh))
    if q.ndim == K.ndim:
        queries = q.reshape(*batch, G, H // G, Dh)
        if visible is not None:
            visible = visible[..., None, :, :]
        return _mix(queries, keys, values, visible).reshape(q.shape)
    S = q.shape[-3]
    if visible is None and S > 1:
        visible = causal_mask(S, T)
    if visible is not None:
        # The query heads of one group ask one after the other, so the mask repeats for each.
        visible = np.tile(visible, (H // G, 1))[..., None, :, :]
    queries = q.reshape(*batch, S, G, H // G, Dh)
    queries = np.moveaxis(queries, -4, -2).reshape(*batch, G, H // G * S, Dh)
    mixed = _mix(queries, keys, values, visible).reshape(*batch, G, H // G, S, Dh)
    return np.moveaxis(mixed, -2, -4).reshape(q.shape)


def _mix(queries, keys, values, visible):  # (..., G, N, Dh), 2x (..., G, T, Dh) -> as queries
    scores = queries @ keys.swapaxes(-2, -1)
    if visible is not None:
        scores = np.where(visible, scores, MASKED)
    # The maximum is taken per query and head: one for all would underflow for a head 87 below.
    scores -= np.maximum.reduce(scores, axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    mixed = scores @ values
    # Dividing Dh numbers at the end is cheaper than T scores before.
    mixed /= np.add.reduce(scores, axis=-1, keepdims=True)
    return mixed
