"""`harness.check`: the same judge on a class of one's own process."""

import pytest

import harness
from engine.judge import Verdict, check_class
from engine.katas import find
from solutions.append.accepted.interleaved import KVCache as Interleaved
from solutions.append.accepted.preallocated import KVCache
from solutions.append.wrong_answer import class_level_state, ignores_layer, swaps_k_and_v


def test_a_right_class_passes_every_check():
    report = harness.check(Interleaved, kata="append")
    assert report.accepted
    assert [check.status for check in report.checks] == ["passed"] * len(find("append").checks)
    assert report.isolation == "none, a class of this process"


def test_an_adapter_makes_another_method_fit():
    class Mine:
        def __init__(self, layers, width, room, dtype):
            self.cache = KVCache(layers, width, room, dtype)

        def update(self, keys, values, layer):
            return self.cache.append(layer, keys, values)

    class Adapter(Mine):
        def __init__(self, n_layers, d_model, max_seq_len, dtype="float32"):
            super().__init__(n_layers, d_model, max_seq_len, dtype)

        def append(self, layer_idx, k, v):
            return self.update(k, v, layer_idx)

    assert harness.check(Adapter).accepted


@pytest.mark.parametrize("wrong", [class_level_state, ignores_layer, swaps_k_and_v])
def test_a_wrong_class_fails_with_the_report_of_its_file(wrong):
    """In and out of process: one verdict, one cause, the same failing calls."""
    with pytest.raises(AssertionError) as caught:
        harness.check(wrong.KVCache)
    text = str(caught.value)
    in_process = check_class(wrong.KVCache, find("append"))
    in_child = harness.judge(wrong.__file__)
    assert (in_process.verdict, in_process.cause) == (in_child.verdict, in_child.cause)
    assert in_process.failure().slug == in_child.failure().slug
    assert f"WA wrong answer: {in_child.cause}" in text
    assert "np.testing.assert_array_equal(" in text
    assert f"from {wrong.__name__} import KVCache as KVCache" in text
    with pytest.raises((AssertionError, ValueError)):
        exec(in_process.snippet(in_process.failure()), {})


def test_an_interrupt_is_not_the_classes():
    class Interrupted(KVCache):
        def append(self, layer_idx, k, v):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harness.check(Interrupted)


def test_other_examples_by_seed():
    assert harness.check(KVCache, seed=3).seed == 3


def test_what_cannot_be_loaded_is_said():
    class NoCache:
        pass

    report = check_class(NoCache, find("append"))
    assert (report.verdict, report.cause) == (Verdict.CE, "missing-method")


def test_run_generate_is_the_model_with_the_callers_cache():
    tokens = harness.run_generate(KVCache, [1, 2, 3], 10)
    assert len(tokens) == 10 and all(0 <= token < 256 for token in tokens)
    assert tokens == harness.run_generate(Interleaved, [1, 2, 3], 10)
    assert tokens != harness.run_generate(KVCache, [1, 2, 3], 10, seed=1)
    assert tokens != harness.run_generate(swaps_k_and_v.KVCache, [1, 2, 3], 10)
