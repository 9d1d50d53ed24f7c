"""Lives: any appends in any order, beside the oracle that gets the same ones."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from engine.judge.life import Life, sizes_around
from engine.katas.append.naive import KVCache as Oracle

LIFE_LAWS = {  # in planned order: the first that is broken names the cause
    "raises-on-a-legal-append": "append takes (S, D), (D,) and S = 0 while the rows fit",
    "answers-with-something-else": "append returns a tuple of two arrays (T, D)",
    "returns-unwritten-rows": "append returns the rows written so far and none after them",
    "misses-written-rows": "append returns all rows written so far, the new ones included",
    "stores-another-dtype": "storage has the constructor's dtype, whatever comes in",
    "swaps-k-and-v": "keys come back as K and values as V",
    "overwrites-history": "a row never changes once it is written",
    "stores-other-rows": "the new rows come back last, as they were given",
    "layers-share-a-position": "each layer counts its own rows",
    "mixes-layers": "each layer has rows of its own",
    "accepts-overflow": "more rows than fit are a ValueError",
    "an-error-changes-the-cache": "after an error the cache is as if nothing was called",
}
LAYERS = st.integers(0, 4)
FLOATS = [np.float32, np.float32, np.float32, np.float64, np.float16]


class Lives(Life):
    """What differs between one layer and several is what layers do to each other."""

    @initialize(
        n_layers=st.sampled_from([1, 1, 1, 1, 2, 5]),
        d_model=st.integers(1, 3),
        capacity=sizes_around(4, 12),
        dtype=st.sampled_from([np.float32, np.float16, np.float64]),
    )
    def construct(self, n_layers, d_model, capacity, dtype):
        self.n_layers, self.d_model, self.capacity = n_layers, d_model, capacity
        self.oracle = Oracle(n_layers, d_model, capacity, dtype)
        self.next_value = 1
        with self.law("raises-on-a-legal-append"):
            self.cache = self.trial.new(n_layers, d_model, capacity, dtype=dtype)

    def rows(self, *shape):
        """K and V in which no two values are the same."""
        first, self.next_value = self.next_value, self.next_value + int(np.prod(shape))
        k = np.arange(first, self.next_value, dtype=np.float32).reshape(shape)
        return k, -k - np.float32(0.5)

    def room(self, layer: int) -> int:
        return self.capacity - len(self.oracle.K[layer])

    @rule(
        layer=LAYERS,
        new_tokens=sizes_around(4, 12, smallest=0),
        k_dtype=st.sampled_from(FLOATS),
        v_dtype=st.sampled_from(FLOATS),
    )
    def append_a_chunk(self, layer, new_tokens, k_dtype, v_dtype):
        layer %= self.n_layers
        k, v = self.rows(min(new_tokens, self.room(layer)), self.d_model)
        self.append(layer, k.astype(k_dtype), v.astype(v_dtype))

    @rule(layer=LAYERS, special=st.sampled_from([None, None, None, 0.0, np.nan, np.inf]))
    def append_one_token(self, layer, special):
        layer = np.int64(layer % self.n_layers) if special == 0.0 else layer % self.n_layers
        k, v = self.rows(self.d_model)
        if special is not None:
            k[0] = v[...] = special
        if self.room(layer):
            self.append(layer, k, v)

    def append(self, layer, k, v):
        cached_tokens = len(self.oracle.K[layer])
        K_expected, V_expected = self.oracle.append(layer, k, v)
        T = len(K_expected)
        alone = self.n_layers == 1
        with self.law("raises-on-a-legal-append" if alone else "layers-share-a-position"):
            answer = self.cache.append(layer, k, v)
        with self.law("answers-with-something-else"):
            K, V = self.trial.pair(answer)
            for name, got in (("K", K), ("V", V)):
                width = got.shape[1]
                claim = f"{name}.shape[1] == {self.d_model}"
                self.trial.true(width == self.d_model, claim, self.d_model, width)
        with self.law("swaps-k-and-v"):
            if T and np.array_equal(K, V_expected) and np.array_equal(V, K_expected):
                self.trial.equal("K", K, K_expected)
        for name, got, expected in (("K", K, K_expected), ("V", V, V_expected)):
            n = len(got)
            with self.law("returns-unwritten-rows" if alone else "layers-share-a-position"):
                self.trial.true(n <= T, f"len({name}) <= {T}", f"{T} rows", f"{n} rows")
            with self.law("misses-written-rows" if alone else "layers-share-a-position"):
                self.trial.true(n >= T, f"len({name}) >= {T}", f"{T} rows", f"{n} rows")
            with self.law("stores-another-dtype"):
                self.trial.same_dtype(name, got, expected)
            with self.law("overwrites-history" if alone else "mixes-layers"):
                old = f"{name}[:{cached_tokens}]"
                self.trial.equal(old, got[:cached_tokens], expected[:cached_tokens])
            with self.law("stores-other-rows" if alone else "mixes-layers"):
                self.trial.equal(name, got, expected)

    @rule(layer=LAYERS, excess=st.integers(1, 3))
    def append_more_than_fits(self, layer, excess):
        layer %= self.n_layers
        shape = (self.room(layer) + excess, self.d_model)
        k, v = self.rows(*shape) if shape[0] > 1 else self.rows(self.d_model)
        with self.law("accepts-overflow"):
            self.trial.refused(ValueError, self.cache.append, layer, k, v)
        nothing = np.zeros((0, self.d_model), np.float32)
        K_expected, V_expected = self.oracle.append(layer, nothing, nothing)
        with self.law("an-error-changes-the-cache"):
            K, V = self.trial.pair(self.cache.append(layer, nothing, nothing))
            self.trial.equal("K", K, K_expected)
            self.trial.equal("V", V, V_expected)
