"""The reference: two buffers allocated once, one write position per layer."""

import numpy as np

KATA = "append"


class KVCache:
    """Keys and values of one sequence, `(L, max_seq_len, D)` each, filled from the front."""

    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        self.k = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.v = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.length = [0] * n_layers

    def append(self, layer_idx, k, v):
        """Write k, v `(S, D)` or `(D,)` behind the layer's rows; views `(T, D)` of all of them."""
        n_layers, capacity, d_model = self.k.shape
        if not 0 <= layer_idx < n_layers:
            raise IndexError(f"layer {layer_idx} is outside [0, {n_layers})")
        if k.shape != v.shape or k.ndim > 2 or k.shape[-1:] != (d_model,):
            raise ValueError(
                f"k {k.shape} and v {v.shape} are not both (S, {d_model}) or ({d_model},)"
            )
        if k.dtype.kind != "f" or v.dtype.kind != "f":
            raise ValueError(f"k is {k.dtype} and v is {v.dtype}, not floating")
        new_tokens = 1 if k.ndim == 1 else len(k)
        start = self.length[layer_idx]
        end = start + new_tokens
        if end > capacity:
            raise ValueError(
                f"append of {new_tokens} tokens exceeds capacity {capacity}: {start} cached"
            )
        keys, values = self.k[layer_idx], self.v[layer_idx]
        keys[start:end] = k
        values[start:end] = v
        self.length[layer_idx] = end
        return keys[:end], values[:end]
