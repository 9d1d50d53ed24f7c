"""Makes a longer array at every append: a generation of n tokens copies n * n / 2 rows.

Caught by: allocates-with-history
"""

import numpy as np

KATA = "append"


class KVCache:
    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        self.max_seq_len = max_seq_len
        self.k = [np.zeros((0, d_model), dtype)] * n_layers
        self.v = [np.zeros((0, d_model), dtype)] * n_layers
        self.length = [0] * n_layers

    def _new_tokens(self, layer_idx, k, v):
        n_layers, d_model = len(self.k), self.k[0].shape[1]
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
        d_model = self.k[layer_idx].shape[1]
        self.length[layer_idx] = start + new_tokens
        for rows, new in ((self.k, k), (self.v, v)):
            new = new.reshape(-1, d_model).astype(rows[layer_idx].dtype)
            rows[layer_idx] = np.concatenate([rows[layer_idx], new])
        return self.k[layer_idx], self.v[layer_idx]
