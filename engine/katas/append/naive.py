"""The cache that concatenates: slow, obviously right, and the oracle of this kata."""

import numpy as np


class KVCache:
    """Keeps one K and one V array per layer and makes a longer one at every append."""

    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        self.n_layers, self.d_model, self.max_seq_len = n_layers, d_model, max_seq_len
        empty = np.empty((0, d_model), dtype)
        self.K = [empty] * n_layers
        self.V = [empty] * n_layers

    def append(self, layer_idx, k, v):
        if not 0 <= layer_idx < self.n_layers:
            raise IndexError(f"layer {layer_idx} is outside [0, {self.n_layers})")
        if k.shape != v.shape:
            raise ValueError(f"k has shape {k.shape} and v has shape {v.shape}")
        if k.ndim not in (1, 2) or k.shape[-1] != self.d_model:
            raise ValueError(
                f"shape {k.shape} is neither (S, {self.d_model}) nor ({self.d_model},)"
            )
        if k.dtype.kind != "f" or v.dtype.kind != "f":
            raise ValueError(f"k is {k.dtype} and v is {v.dtype}, not floating")
        k, v = k.reshape(-1, self.d_model), v.reshape(-1, self.d_model)
        new_tokens, cached_tokens = len(k), len(self.K[layer_idx])
        if cached_tokens + new_tokens > self.max_seq_len:
            raise ValueError(
                f"append of {new_tokens} tokens exceeds capacity {self.max_seq_len}: "
                f"{cached_tokens} cached"
            )
        dtype = self.K[layer_idx].dtype
        self.K[layer_idx] = np.concatenate([self.K[layer_idx], k.astype(dtype)])
        self.V[layer_idx] = np.concatenate([self.V[layer_idx], v.astype(dtype)])
        return self.K[layer_idx], self.V[layer_idx]
