"""append: the pre-allocated KV cache. `harness.py show append` has the whole story."""

import numpy as np

KATA = "append"


class KVCache:
    """Keys and values of one sequence, in storage that is allocated once."""

    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        # Two buffers, one row of d_model values per token, and one write position per layer.
        self.k = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.v = np.zeros((n_layers, max_seq_len, d_model), dtype)
        self.length = [0] * n_layers

    def append(self, layer_idx, k, v):
        """Write the keys and values of new tokens behind those that the layer holds.

        k, v: float `(S, D)` for a prompt or a chunk of one, `(D,)` for one token; D is
        d_model. Returns `(K_full, V_full)`: views `(T, D)` of the rows populated so far
        in this layer, the new ones last, in the dtype of the storage.

        Raises IndexError for a layer outside [0, n_layers); ValueError for a shape other
        than these, for k and v of different shapes, for rows that are not floating, and
        for more rows than fit. After an error the cache is as it was.
        """
        raise NotImplementedError("append: write the rows, return views of what is populated")
