"""The judge's side of both ends: what a submission raises, keeps and lets go."""

import builtins

import numpy as np
import pytest

from engine.judge.local import Local
from engine.judge.remote import Raised, Subject, Unloadable
from engine.katas import find

INTERFACE = find("append").interface
NEED_MORE_THAN_A_MESSAGE = (
    ExceptionGroup,
    UnicodeDecodeError,
    UnicodeEncodeError,
    UnicodeTranslateError,
)
EXCEPTIONS = [
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
    if kind not in NEED_MORE_THAN_A_MESSAGE
]


class KVCache:
    """Does what its last argument says."""

    def __init__(self, n_layers, d_model, max_seq_len, dtype=np.float32):
        self.rows = np.zeros((max_seq_len, d_model), dtype)

    def append(self, layer_idx, k, v):
        if isinstance(v, str):
            raise type("Custom", (getattr(builtins, v),), {})("why")
        self.rows[...] = k
        return self.rows, self.rows[:1]


@pytest.fixture
def subject():
    subject = Subject(lambda: Local({"KVCache": KVCache}))
    subject.load(INTERFACE)
    return subject


@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_an_exception_comes_as_the_builtin_that_it_is(kind, subject):
    cache = subject.new(1, 2, 3)
    with pytest.raises(kind) as caught:
        cache.append(0, None, kind.__name__)
    assert isinstance(caught.value, Raised)
    assert "why" in str(caught.value)
    assert str(caught.value).startswith("Custom: ")


def test_answers_are_snapshots_and_kept_ones_are_not(subject):
    cache = subject.new(1, 2, 2)
    K, _ = cache.append(0, np.float32([1, 2]), 0)
    kept, _ = cache.append.keep(0, np.float32([3, 4]), 0)
    cache.append(0, np.float32([5, 6]), 0)
    assert K.tolist() == [[1, 2], [1, 2]]
    assert kept.fetch().tolist() == [[5, 6], [5, 6]]


def test_an_array_of_the_callers_lives_at_the_other_end(subject):
    mine = subject.store("k", np.float32([1, 2]))
    cache = subject.new(1, 2, 1)
    assert cache.append(0, mine, 0)[0].tolist() == [[1, 2]]
    mine.fill(7)
    assert mine.fetch().tolist() == [7, 7]


def test_what_is_let_go_here_is_let_go_there(subject):
    objects = subject.channel._workshop.objects
    cache = subject.new(1, 2, 1)
    assert len(objects) == 1
    del cache
    subject.held_bytes()  # the next request takes the news along
    assert not objects


def test_allocations_are_counted_only_inside_counting(subject):
    cache = subject.new(1, 256, 256)
    with subject.counting():
        answer, peak = cache.append.traced(0, np.ones((256, 256)), 0)
    assert (answer[0].dtype, answer[0].shape) == ("float32", (256, 256))
    assert 0 <= peak < 64 << 10
    assert cache.append.traced(0, np.ones((256, 256)), 0)[1] == 0


def test_a_member_that_the_contract_does_not_have(subject):
    with pytest.raises(AttributeError, match="the contract has no pop"):
        subject.new(1, 2, 1).pop  # noqa: B018


def test_a_class_whose_signature_is_another_is_not_loaded():
    class Other:
        def __init__(self, sizes):
            pass

    subject = Subject(lambda: Local({"KVCache": Other}))
    with pytest.raises(Unloadable, match="cannot be called") as caught:
        subject.load(INTERFACE)
    assert caught.value.cause == "wrong-signature"
