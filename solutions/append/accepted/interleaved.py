"""One buffer for both, keys beside values in every row: a token is written to one place.

What an append writes lies in one stretch of memory, so a token touches half as many cache
lines; the price is that K and V come back as strided views.
"""

import numpy as np

KATA = "append"


class KVCache:
    """`(L, max_seq_len, 2, D)`: for each layer and position a key, then its value."""

    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        self.rows = np.empty((n_layers, max_seq_len, 2, d_model), dtype)
        self.length = np.zeros(n_layers, np.int64)

    def append(self, layer_idx, k, v):
        if layer_idx not in range(len(self.rows)):
            raise IndexError(f"no layer {layer_idx} among {len(self.rows)}")
        _, capacity, _, d_model = self.rows.shape
        shapes = {(d_model,), (len(k), d_model)} if k.ndim else set()
        if k.shape not in shapes or v.shape != k.shape:
            raise ValueError(f"k {k.shape} and v {v.shape}: rows of {d_model} values are due")
        if not all(np.issubdtype(x.dtype, np.floating) for x in (k, v)):
            raise ValueError(f"k {k.dtype} and v {v.dtype}: floating rows are due")
        layer, start = self.rows[layer_idx], int(self.length[layer_idx])
        free = layer[start : start + k.size // d_model]
        if len(free) * d_model < k.size:
            raise ValueError(
                f"append of {k.size // d_model} tokens exceeds capacity {capacity}: {start} cached"
            )
        free[:, 0], free[:, 1] = k, v
        self.length[layer_idx] += len(free)
        filled = layer[: start + len(free)]
        return filled[:, 0], filled[:, 1]
