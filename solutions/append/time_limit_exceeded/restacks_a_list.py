"""Keeps a list of rows, which is cheap to append to, and stacks all of it for every answer.

Caught by: allocates-with-history
"""

import numpy as np

KATA = "append"


class KVCache:
    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        self.d_model, self.max_seq_len, self.dtype = d_model, max_seq_len, dtype
        self.k = [[] for _ in range(n_layers)]
        self.v = [[] for _ in range(n_layers)]
        self.length = [0] * n_layers

    def _new_tokens(self, layer_idx, k, v):
        n_layers, d_model = len(self.k), self.d_model
        if not 0 <= layer_idx < n_layers:
            raise IndexError(f"layer {layer_idx} is outside [0, {n_layers})")
        if k.shape != v.shape or k.ndim > 2 or k.shape[-1:] != (d_model,):
            raise ValueError(f"k {k.shape} and v {v.shape} do not fit rows of {d_model}")
        if k.dtype.kind != "f" or v.dtype.kind != "f":
            raise ValueError(f"k is {k.dtype} and v is {v.dtype}, not floating")
        return 1 if k.ndim == 1 else len(k)

    def append(self, layer_idx, k, v):
        new_tokens = self._new_tokens(layer_idx, k, v)
        start = self.length[layer_idx]
        if start + new_tokens > self.max_seq_len:
            raise ValueError(f"append of {new_tokens} tokens exceeds capacity: {start} cached")
        self.length[layer_idx] = start + new_tokens
        self.k[layer_idx].extend(np.array(k, self.dtype).reshape(-1, self.d_model))
        self.v[layer_idx].extend(np.array(v, self.dtype).reshape(-1, self.d_model))
        return self._stack(self.k[layer_idx]), self._stack(self.v[layer_idx])

    def _stack(self, rows):
        return np.stack(rows) if rows else np.zeros((0, self.d_model), self.dtype)
