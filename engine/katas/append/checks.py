"""What a pre-allocated cache must do: tokens, then budgets, then laws, easiest first."""

from functools import partial

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from engine.judge.budget import CONST, cpu_ratio_within, held_within, peaks_within
from engine.judge.check import Broken, Check
from engine.judge.life import Life, laws, sizes_around
from engine.judge.remote import Raised
from engine.judge.tokens import Case, tokens_check
from engine.katas.append.context import serve_in_chunks
from engine.katas.append.naive import KVCache as Oracle
from engine.model import Model

RESULTS = {"append": "K, V"}

CASES = {  # how it is served, prompt tokens, new tokens
    "tokens": Case(Model.generate, 24, 72, min_distinct=30),
    "tokens-in-chunks": Case(partial(serve_in_chunks, chunk=7), 33, 24),
    "tokens-in-float16": Case(partial(Model.generate, dtype=np.float16), 20, 24),
    "tokens-at-capacity": Case(partial(serve_in_chunks, chunk=16, spare_rows=0), 16, 17),
}
TOKEN_LAWS = {
    "tokens": "a prompt and the tokens after it: the same tokens as with a cache that concatenates",
    "tokens-in-chunks": "a prompt that comes in chunks gives the same tokens as the whole of it",
    "tokens-in-float16": "with float16 storage, float32 rows are cast as they are written",
    "tokens-at-capacity": "a cache of exactly as many rows as are appended holds them all",
}


def allocates_with_history(trial) -> None:
    D = 1024
    chunk = np.ones((32, D), np.float32)
    for kind, rows, n_calls in (
        ("one token", chunk[0], 128),
        ("a chunk", chunk, 4),
        ("a float64 chunk", chunk.astype(np.float64), 4),
    ):
        trial.begin()
        cache = trial.new(1, D, rows.size // D * n_calls)
        with trial.subject.counting():
            cache.append.described(0, rows, rows)  # what is made once is not counted
            peaks = {}
            for call in range(1, n_calls):
                _, peak = cache.append.traced(0, rows, rows)
                peaks[f"append of {kind} to {call * rows.size // D} rows"] = peak
        peaks_within(CONST, peaks)


def time_grows_with_history(trial) -> None:
    D, history, chunk, calls = 512, 8192, 512, 16
    trial.begin()
    cache = trial.new(1, D, history + 3 * calls)
    row = np.ones(D, np.float32)
    rows = trial.store("rows", np.ones((chunk, D), np.float32))

    def append(new, times):
        for _ in range(times):
            cache.append.described(0, new, new)

    cpu_ratio_within(
        trial,
        early=lambda: append(row, calls),
        between=lambda: append(rows, history // chunk),
        late=lambda: append(row, calls),
        what=f"append to {history} rows, against append to none,",
    )


def storage_over_contract(trial) -> None:
    n_layers, D, capacity = 4, 128, 1024
    contract = 2 * n_layers * capacity * D * 4
    # An honest cache holds the contract's bytes and little more; a second copy is twice that.
    limit = int(1.3 * contract)
    half = np.ones((capacity // 2, D), np.float32)
    trial.begin()
    with trial.subject.counting():
        before = trial.subject.held_bytes()
        cache = trial.new(n_layers, D, capacity)
        held_within(limit, trial.subject.held_bytes() - before, "new and empty,")
        for layer in 2 * list(range(n_layers)):
            cache.append.described(layer, half, half)
        held_within(limit, trial.subject.held_bytes() - before, "full,")


def instances_share_state(trial) -> None:
    """The answers are compared with each other: whether they are right is another law."""
    rows, others, last = np.float32([[1], [2]]), np.float32([[5], [6]]), np.float32([[3]])
    try:
        alone = trial.new(1, 1, 4)
        alone.append(0, rows, -rows)
        expected = trial.pair(alone.append(0, last, -last))
    except (Raised, Broken):
        return
    trial.begin()
    cache, other = trial.new(1, 1, 4), trial.new(1, 1, 4)
    cache.append.described(0, rows, -rows)
    other.append.described(0, others, -others)
    got = cache.append(0, last, -last)
    for name, of_got, of_expected in zip("KV", trial.pair(got), expected, strict=True):
        trial.equal(name, of_got, of_expected)


def keeps_the_callers_arrays(trial) -> None:
    for rows in (np.float32([[1, 2]]), np.float32([1, 2])):
        trial.begin()
        cache = trial.new(1, 2, 3)
        k, v = trial.store("k", rows), trial.store("v", -rows)
        cache.append.keep(0, k, v)
        k.fill(9)
        v.fill(9)
        K, V = trial.pair(cache.append(0, np.float32([[3, 4]]), np.float32([[-3, -4]])))
        trial.equal("K", K, np.float32([[1, 2], [3, 4]]))
        trial.equal("V", V, np.float32([[-1, -2], [-3, -4]]))


def changes_its_arguments(trial) -> None:
    for rows in (np.float32([[1, 2]]), np.float32([1, 2])):
        trial.begin()
        cache = trial.new(1, 2, 2)
        k, v = trial.store("k", rows), trial.store("v", -rows)
        cache.append.keep(0, k, v)
        trial.equal("k", k.fetch(), rows)
        trial.equal("v", v.fetch(), -rows)


def answer_changes_later(trial) -> None:
    trial.begin()
    cache = trial.new(2, 1, 3)
    other = trial.new(2, 1, 3)
    K, V = trial.pair(cache.append.keep(0, np.float32([[1]]), np.float32([[-1]])))
    cache.append.described(1, np.float32([[2]]), np.float32([[-2]]))
    other.append.described(0, np.float32([[3]]), np.float32([[-3]]))
    trial.subject.transcript.comment("K and V of layer 0 are still in use")
    trial.equal("K", K.fetch(), np.float32([[1]]))
    trial.equal("V", V.fetch(), np.float32([[-1]]))


class Lives(Life):
    """Any calls in any order, beside the oracle that gets the same ones."""

    @initialize(
        n_layers=st.sampled_from([1, 1, 2, 3]),
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

    def rows(self, *shape, dtype=np.float32):
        """K and V in which no two values are the same."""
        first, self.next_value = self.next_value, self.next_value + int(np.prod(shape))
        k = np.arange(first, self.next_value).reshape(shape).astype(dtype)
        return k, -k

    def room(self, layer: int) -> int:
        return self.capacity - len(self.oracle.K[layer])

    @rule(
        layer=st.integers(0, 2),
        new_tokens=sizes_around(4, 12) | st.just(0),
        dtype=st.sampled_from([np.float32, np.float32, np.float64, np.float16]),
    )
    def append_a_chunk(self, layer, new_tokens, dtype):
        layer %= self.n_layers
        new_tokens = min(new_tokens, self.room(layer))
        self.append(layer, *self.rows(new_tokens, self.d_model, dtype=dtype))

    @rule(layer=st.integers(0, 2))
    def append_one_token(self, layer):
        layer %= self.n_layers
        if self.room(layer):
            self.append(layer, *self.rows(self.d_model))

    def append(self, layer, k, v):
        cached_tokens = len(self.oracle.K[layer])
        K_expected, V_expected = self.oracle.append(layer, k, v)
        T = len(K_expected)
        # Several layers differ from one only in what they can do to each other.
        alone = self.n_layers == 1
        with self.law("raises-on-a-legal-append" if alone else "layers-share-a-position"):
            answer = self.cache.append(layer, k, v)
        with self.law("answers-with-something-else"):
            K, V = self.trial.pair(answer)
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

    @rule(layer=st.integers(0, 2), excess=st.integers(1, 3))
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


def refuses(error: type[Exception], mistakes):
    """`mistakes(L, D)` yields calls `(layer_idx, k, v)`; each must raise and change nothing."""

    def run(trial) -> None:
        L, D = 2, 2
        first, last = np.float32([[1, 2]]), np.float32([3, 4])
        for mistake in mistakes(L, D):
            trial.begin()
            cache = trial.new(L, D, 8)
            for layer in range(L):
                cache.append(layer, first, -first)
            trial.refused(error, cache.append, *mistake)
            for layer in range(L):
                K, V = trial.pair(cache.append(layer, last, -last))
                trial.equal("K", K, np.float32([[1, 2], [3, 4]]))
                trial.equal("V", V, np.float32([[-1, -2], [-3, -4]]))

    return run


def missing_layers(L, D):
    row = np.float32([[5, 6]])
    for layer in (-1, -L, -L - 1, L, L + 1):
        yield layer, row, -row
        yield layer, row[0], -row[0]


def wrong_shapes(L, D):
    for k_shape, v_shape in (
        ((2, D + 1), (2, D + 1)),
        ((D + 1,), (D + 1,)),
        ((2, 1), (2, 1)),  # these two would broadcast
        ((1,), (1,)),
        ((), ()),
        ((1, 1, D), (1, 1, D)),
        ((2, D), (1, D)),
        ((1, D), (2, D)),
        ((1, D), (D,)),
        ((D,), (1, D)),
        ((0, D), (1, D)),
        ((2, D), (2, D + 1)),
        ((2, D), (2, 1)),
    ):
        yield 0, np.full(k_shape, 5, np.float32), np.full(v_shape, 6, np.float32)


def what_is_not_floating(L, D):
    row = np.float32([[5, 6]])
    for dtype in (np.int64, np.int8, np.bool_, np.complex64):
        yield 0, row.astype(dtype), row
        yield 0, row, row.astype(dtype)
        yield 0, row[0].astype(dtype), row[0].astype(dtype)


CHECKS = (
    *(tokens_check(slug, TOKEN_LAWS[slug], case, Oracle) for slug, case in CASES.items()),
    Check(
        "allocates-with-history",
        f"append allocates at most {CONST >> 10} KiB, however long the history: it writes the new "
        "rows into storage that is there and returns views of it",
        allocates_with_history,
        kind="budget",
    ),
    Check(
        "time-grows-with-history",
        "append to a long history costs no more work than append to a short one",
        time_grows_with_history,
        kind="budget",
    ),
    Check(
        "storage-over-contract",
        "the cache holds 2 * L * max_seq_len * D * itemsize bytes, from construction on",
        storage_over_contract,
        kind="budget",
    ),
    Check("instances-share-state", "two caches share nothing", instances_share_state),
    *laws(
        Lives,
        {
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
        },
    ),
    Check(
        "accepts-a-missing-layer",
        "a layer outside [0, n_layers) is an IndexError, -1 included",
        refuses(IndexError, missing_layers),
    ),
    Check(
        "accepts-a-wrong-shape",
        "k and v have one shape, (S, D) or (D,); anything else is a ValueError",
        refuses(ValueError, wrong_shapes),
    ),
    Check(
        "accepts-what-is-not-floating",
        "rows that are not floating are a ValueError",
        refuses(ValueError, what_is_not_floating),
    ),
    Check(
        "keeps-the-callers-arrays",
        "the caller may overwrite its arrays as soon as append has returned",
        keeps_the_callers_arrays,
    ),
    Check(
        "changes-its-arguments", "append leaves its arguments as they are", changes_its_arguments
    ),
    Check(
        "answer-changes-later",
        "K and V stay as they are until the next append to the same layer",
        answer_changes_later,
    ),
)
