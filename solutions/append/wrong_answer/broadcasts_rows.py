"""Leaves the shapes to NumPy, which broadcasts: one value becomes a row, one row of v a value for
each of k.

Caught by: accepts-a-wrong-shape
"""

import numpy as np

KATA = "append"


class KVCache:
    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        self.k = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.v = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.length = [0] * n_layers

    def append(self, layer_idx, k, v):
        if not 0 <= layer_idx < len(self.k):
            raise IndexError(f"layer {layer_idx} is outside [0, {len(self.k)})")
        if k.dtype.kind != "f" or v.dtype.kind != "f":
            raise ValueError(f"k is {k.dtype} and v is {v.dtype}, not floating")
        new_tokens = 1 if k.ndim == 1 else len(k)
        start = self.length[layer_idx]
        end = start + new_tokens
        if end > self.k.shape[1]:
            raise ValueError(f"append of {new_tokens} tokens exceeds capacity: {start} cached")
        self.k[layer_idx, start:end] = k
        self.v[layer_idx, start:end] = v
        self.length[layer_idx] = end
        return self.k[layer_idx, :end], self.v[layer_idx, :end]
