"""Moves the position before it looks at the dtype: rows that were refused are counted.

Caught by: a-refusal-changes-the-cache
"""

import numpy as np

KATA = "append"


class KVCache:
    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        self.k = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.v = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.length = [0] * n_layers

    def _new_tokens(self, layer_idx, k, v):
        n_layers, _, d_model = self.k.shape
        if not 0 <= layer_idx < n_layers:
            raise IndexError(f"layer {layer_idx} is outside [0, {n_layers})")
        if k.shape != v.shape or k.ndim > 2 or k.shape[-1:] != (d_model,):
            raise ValueError(f"k {k.shape} and v {v.shape} do not fit rows of {d_model}")
        self.length[layer_idx] += 1 if k.ndim == 1 else len(k)
        if k.dtype.kind != "f" or v.dtype.kind != "f":
            raise ValueError(f"k is {k.dtype} and v is {v.dtype}, not floating")
        return 1 if k.ndim == 1 else len(k)

    def append(self, layer_idx, k, v):
        new_tokens = self._new_tokens(layer_idx, k, v)
        start = self.length[layer_idx] - new_tokens
        if start + new_tokens > self.k.shape[1]:
            self.length[layer_idx] = start
            raise ValueError(f"append of {new_tokens} tokens exceeds capacity: {start} cached")
        end = start + new_tokens
        self.k[layer_idx, start:end] = k
        self.v[layer_idx, start:end] = v
        return self.k[layer_idx, :end], self.v[layer_idx, :end]
