"""One object for each layer, which knows its own rows: the cache only finds the layer.

Most engines are built like this, since layers may differ (a window here, none there).
Rows lie transposed, `(D, max_seq_len)`, so that a score is a product with contiguous
columns; the caller sees `(T, D)` all the same.
"""

from dataclasses import dataclass

import numpy as np

KATA = "append"


@dataclass
class Layer:
    keys: np.ndarray
    values: np.ndarray
    length: int = 0

    @classmethod
    def empty(cls, d_model, max_seq_len, dtype):
        keys, values = (np.zeros((d_model, max_seq_len), dtype).T for _ in "kv")
        return cls(keys, values)

    def append(self, k, v):
        self._check(k, v)
        k, v = np.atleast_2d(k), np.atleast_2d(v)
        cached, new = self.length, len(k)
        if cached + new > len(self.keys):
            raise ValueError(
                f"append of {new} tokens exceeds capacity {len(self.keys)}: {cached} cached"
            )
        self.keys[cached : cached + new] = k
        self.values[cached : cached + new] = v
        self.length += new
        return self.keys[: self.length], self.values[: self.length]

    def _check(self, k, v):
        d_model = self.keys.shape[1]
        if k.shape != v.shape:
            raise ValueError(f"k has shape {k.shape}, v {v.shape}")
        if k.ndim not in (1, 2) or k.shape[-1] != d_model:
            raise ValueError(f"rows of shape {k.shape} where {d_model} values each are due")
        for rows in (k, v):
            if not np.issubdtype(rows.dtype, np.floating):
                raise ValueError(f"rows of {rows.dtype} are not floating")


class KVCache:
    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        self.layers = [Layer.empty(d_model, max_seq_len, dtype) for _ in range(n_layers)]

    def append(self, layer_idx, k, v):
        if not 0 <= layer_idx < len(self.layers):
            raise IndexError(f"layer_idx {layer_idx} is outside 0..{len(self.layers) - 1}")
        return self.layers[layer_idx].append(k, v)
