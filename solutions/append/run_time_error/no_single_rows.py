"""Takes the number of new rows from the first axis: `(D,)` is D rows then, and a decode step does
not fit.

Caught by: raises-on-a-legal-append
"""

import numpy as np

KATA = "append"


class KVCache:
    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        self.k = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.v = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.length = [0] * n_layers

    def append(self, layer_idx, k, v):
        n_layers, _, d_model = self.k.shape
        if not 0 <= layer_idx < n_layers:
            raise IndexError(f"layer {layer_idx} is outside [0, {n_layers})")
        if k.shape != v.shape or k.shape[1] != d_model or k.ndim != 2:
            raise ValueError(f"k {k.shape} and v {v.shape} do not fit rows of {d_model}")
        if k.dtype.kind != "f" or v.dtype.kind != "f":
            raise ValueError(f"k is {k.dtype} and v is {v.dtype}, not floating")
        new_tokens = len(k)
        start = self.length[layer_idx]
        if start + new_tokens > self.k.shape[1]:
            raise ValueError(f"append of {new_tokens} tokens exceeds capacity: {start} cached")
        end = self.length[layer_idx] = start + new_tokens
        self.k[layer_idx, start:end] = k
        self.v[layer_idx, start:end] = v
        return self.k[layer_idx, :end], self.v[layer_idx, :end]
