"""Moves each row through a small float16 buffer: float32 storage holds 11 bits of 24.

Caught by: loses-precision
"""

import numpy as np

KATA = "append"


class KVCache:
    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        self.k = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.v = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.length = [0] * n_layers
        self.stage = np.zeros((2, d_model), np.float16)

    def _new_tokens(self, layer_idx, k, v):
        n_layers, _, d_model = self.k.shape
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
        if start + new_tokens > self.k.shape[1]:
            raise ValueError(f"append of {new_tokens} tokens exceeds capacity: {start} cached")
        end = self.length[layer_idx] = start + new_tokens
        rows = zip(k.reshape(-1, k.shape[-1]), v.reshape(-1, v.shape[-1]), strict=True)
        for position, (key, value) in enumerate(rows, start):
            self.stage[:] = key, value
            self.k[layer_idx, position], self.v[layer_idx, position] = self.stage
        return self.k[layer_idx, :end], self.v[layer_idx, :end]
