"""What a pre-allocated cache must do: tokens, then budgets, then laws, easiest first."""

from functools import partial

import numpy as np

from engine.config import ModelConfig
from engine.judge.budget import CONST, cpu_ratio_within, held_within, peaks_within
from engine.judge.check import Broken, Check
from engine.judge.life import laws
from engine.judge.remote import Raised
from engine.judge.tokens import Case, tokens_check
from engine.judge.verdict import Verdict
from engine.katas.append.context import serve_in_chunks
from engine.katas.append.lives import LIFE_LAWS, Lives
from engine.katas.append.naive import KVCache as Oracle
from engine.model import Model

RESULTS = {"append": "K, V"}

MANY_LAYERS = ModelConfig(n_layers=6, n_heads=2)
CASES = {  # how it is served, prompt tokens, new tokens
    "tokens": Case(Model.generate, 24, 72, min_distinct=30),
    "tokens-in-chunks": Case(partial(serve_in_chunks, chunk=7), 33, 16, MANY_LAYERS),
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


def allocates_late(trial) -> None:
    n_layers, D, capacity = 2, 16, 16384
    contract = 2 * n_layers * capacity * D * 4
    trial.begin()
    with trial.subject.counting():
        before = trial.subject.held_bytes()
        cache = trial.new(n_layers, D, capacity)
        held = trial.subject.held_bytes() - before
    del cache
    if held < 0.9 * contract:
        held, due = f"{held >> 10:,} KiB", f"{contract >> 10:,} KiB"
        raise Broken(f"new and empty, it holds {held}", Verdict.TLE, due, held)


def time_grows_with_history(trial) -> None:
    D, history, chunk, calls = 512, 8192, 512, 16
    trial.begin()
    small, large = trial.new(1, D, 3 * calls), trial.new(1, D, history + 6 * calls)
    row = np.ones(D, np.float32)
    rows = trial.store("rows", np.ones((chunk, D), np.float32))

    def append(cache, new, times):
        for _ in range(times):
            cache.append.described(0, new, new)

    def late():
        append(large, row, calls)

    def fill():
        append(large, rows, history // chunk)

    empty, full = f"append to a cache of {history} empty rows", f"append to {history} cached rows"
    cpu_ratio_within(
        trial,
        lambda: append(small, row, calls),
        [(empty, lambda: None, late), (full, fill, late)],
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

    def alone():
        cache = trial.new(1, 1, 4)
        cache.append(0, rows, -rows)
        return trial.pair(cache.append(0, last, -last))

    try:
        expected = alone()
    except (Raised, Broken):
        # Perhaps what earlier caches have left in the process is the reason.
        trial.subject.start_anew()
        try:
            expected = alone()
        except (Raised, Broken):
            return
        trial.subject.start_anew()
    trial.begin()
    cache, other = trial.new(1, 1, 4), trial.new(1, 1, 4)
    cache.append.described(0, rows, -rows)
    other.append.described(0, others, -others)
    got = cache.append(0, last, -last)
    for name, of_got, of_expected in zip("KV", trial.pair(got), expected, strict=True):
        trial.equal(name, of_got, of_expected)


def wrong_at_some_lengths(trial) -> None:
    """Every small history with every small input, and sums that are round numbers."""
    D = 2
    small = [(cached, new) for cached in range(6) for new in range(1, 6)]
    for lengths in (*small, (320, 1, 63, 640)):
        T = sum(lengths)
        trial.begin()
        cache = trial.new(1, D, T)
        k = np.arange(1, T * D + 1, dtype=np.float32).reshape(T, D)
        start = 0
        for length in lengths:
            rows = k[start : start + length] if length != 1 else k[start]
            start += length
            K, V = trial.pair(cache.append(0, rows, -rows))
        trial.equal("K", K, k)
        trial.equal("V", V, -k)


def loses_precision(trial) -> None:
    """Values that need every bit of their dtype."""
    for dtype in (np.float32, np.float64):
        row = np.array([1 / 3, 1 + np.finfo(dtype).eps], dtype)
        for rows in (row, row[None]):
            trial.begin()
            cache = trial.new(1, 2, 1, dtype=dtype)
            K, V = trial.pair(cache.append(0, rows, -rows))
            trial.equal("K", K, row[None])
            trial.equal("V", V, -row[None])


def keeps_the_callers_arrays(trial) -> None:
    nothing = np.zeros((0, 2), np.float32)
    for rows, capacity in (
        (np.float32([[1, 2]]), 3),
        (np.float32([1, 2]), 3),
        (np.float32([[1, 2], [3, 4]]), 2),
    ):
        trial.begin()
        cache = trial.new(1, 2, capacity)
        k, v = trial.store("k", rows), trial.store("v", -rows)
        cache.append.keep(0, k, v)
        k.fill(9)
        v.fill(9)
        K, V = trial.pair(cache.append(0, nothing, nothing))
        trial.equal("K", K, rows.reshape(-1, 2))
        trial.equal("V", V, -rows.reshape(-1, 2))


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


def refuses(error: type[Exception], mistakes):
    """`mistakes(L, D)` yields calls `(layer_idx, k, v)`, each of which must raise."""

    def run(trial) -> None:
        for mistake in mistakes(L=2, D=2):
            trial.begin()
            cache = trial.new(2, 2, 8)
            trial.refused(error, cache.append, *mistake)

    return run


def a_refusal_changes_the_cache(trial) -> None:
    L, D = 2, 2
    first, last = np.float32([[1, 2]]), np.float32([3, 4])
    for mistakes in (missing_layers, wrong_shapes, what_is_not_floating):
        for mistake in mistakes(L, D):
            trial.begin()
            cache = trial.new(L, D, 3)
            for layer in range(L):
                cache.append.described(layer, first, -first)
            if not trial.raises(cache.append, *mistake):
                continue  # which is another law
            for layer in range(L):
                K, V = trial.pair(cache.append(layer, last, -last))
                trial.equal("K", K, np.float32([[1, 2], [3, 4]]))
                trial.equal("V", V, np.float32([[-1, -2], [-3, -4]]))


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
        ((2 * D,), (2 * D,)),
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
        f"append allocates at most {CONST >> 10} KiB, whatever comes in and however long the "
        "history: it writes the rows into storage that is there and returns views of it",
        allocates_with_history,
        kind="budget",
    ),
    Check(
        "storage-over-contract",
        "the cache holds 2 * L * max_seq_len * D * itemsize bytes, from construction on",
        storage_over_contract,
        kind="budget",
    ),
    Check(
        "allocates-late",
        "storage is allocated in the constructor, all of it",
        allocates_late,
        kind="budget",
    ),
    Check(
        "time-grows-with-history",
        "append to a long history costs no more work than append to a short one",
        time_grows_with_history,
        kind="budget",
    ),
    Check("instances-share-state", "two caches share nothing", instances_share_state),
    *laws(Lives, LIFE_LAWS),
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
        "a-refusal-changes-the-cache",
        "after any error the cache goes on as if nothing was called",
        a_refusal_changes_the_cache,
    ),
    Check(
        "wrong-at-some-lengths",
        "inputs and histories of every length are kept alike",
        wrong_at_some_lengths,
    ),
    Check(
        "loses-precision",
        "rows of the storage's dtype come back to the bit",
        loses_precision,
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
