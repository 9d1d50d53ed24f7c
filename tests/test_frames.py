"""Frames bring back what was sent, and bytes that are no frame are refused, never worse."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.judge import frames


def travel(message, views=False):
    frame = frames.encode(message, views)
    header_bytes, payload_bytes = frames.sizes(frame[: frames.PREFIX.size])
    header = frame[frames.PREFIX.size :][:header_bytes]
    payload = frame[frames.PREFIX.size + header_bytes :]
    assert len(payload) == payload_bytes
    return frames.decode(header, payload)


plain = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
values = st.recursive(
    plain, lambda inner: st.lists(inner) | st.lists(inner).map(tuple), max_leaves=10
)
arrays = hnp.arrays(
    st.sampled_from(["f2", "f4", "f8", "i1", "i4", "i8", "u1", "?", "c8", ">f4"]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


@settings(deadline=None, max_examples=200)
@given(values)
def test_plain_values_come_back(value):
    assert travel({"value": value})["value"] == value


@settings(deadline=None, max_examples=200)
@given(arrays, st.data())
def test_arrays_come_back_to_the_bit(array, data):
    if array.ndim and data.draw(st.booleans()):
        array = np.moveaxis(array, 0, -1)[..., ::-1]  # no order that frames are written in
    (got,) = travel({"value": (array,)})["value"]
    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    assert got.tobytes() == array.tobytes()


def test_other_values_come_back_as_what_they_are():
    message = {
        "scalar": np.float32(1.5),
        "dtype": np.float16,
        "ref": frames.Ref(7),
        "described": frames.Described("float32", (2, 3)),
        "object": object(),
        "objects": np.array([object()]),
        "forged": [{"$": "ref", "id": 1}],
    }
    got = travel(message)
    assert got["scalar"] == 1.5 and got["scalar"].dtype == np.float32
    assert got["dtype"] is np.float16
    assert got["ref"] == frames.Ref(7)
    assert got["described"] == frames.Described("float32", (2, 3))
    assert got["object"] == frames.Opaque("object")
    assert got["objects"] == frames.Opaque("ndarray")
    assert got["forged"] == [frames.Opaque("dict")]


def test_a_subclass_cannot_say_what_it_likes():
    class Liar(np.ndarray):
        def __eq__(self, other):
            return True

        def __array__(self, *args, **kwargs):
            return np.zeros(3)

    got = travel({"value": np.float32([1, 2]).view(Liar)})["value"]
    assert type(got) is np.ndarray
    assert got.tolist() == [1, 2]


def test_an_array_with_gaps_arrives_as_one():
    """So that a submission gets what the model has: slices of the rows of q, k and v."""
    wide = np.arange(12, dtype=np.float32).reshape(3, 4)
    for array in (wide[:, 1:3], wide[:, :2]):
        got = travel({"value": array}, views=True)["value"]
        assert got.tolist() == array.tolist()
        assert not got.flags.c_contiguous and got.base is not None
    assert travel({"value": wide[1:]}, views=True)["value"].flags.c_contiguous


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (b"", b""),
        (b"[]", b""),
        (b"{}", b""),
        (b'{"arrays": [["<f4", [1]]]}', b"1234"),
        (b'{"arrays": [["(,)f4,f4", [1], false]]}', b"1234"),
        (b'{"arrays": [["<f4", [2], false]]}', b"1234"),
        (b'{"arrays": [["<f4", [1], false]]}', b"12345678"),
        (b'{"arrays": [["<f4", [-1], false]]}', b""),
        (b'{"arrays": [["<f4", [1.0], false]]}', b"1234"),
        (b'{"arrays": [["O", [1], false]]}', b"12345678"),
        (b'{"arrays": [["nonsense", [1], false]]}', b"1234"),
        (b'{"arrays": [["<f4", [1073741824, 1073741824], false]]}', b"1234"),
        (b'{"arrays": [], "ok": {"$": "array", "at": 0}}', b""),
        (b'{"arrays": [], "ok": {"$": "what"}}', b""),
        (b'{"arrays": [], "ok": {"$": "tuple"}}', b""),
        (b'{"arrays": [], "ok": ' + b"[" * 100_000, b""),
        (b"\xff\xfe", b""),
    ],
)  # fmt: skip
def test_what_is_no_frame_is_refused(header, payload):
    with pytest.raises(frames.BadFrame):
        frames.decode(header, payload)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60), st.binary(max_size=20))
def test_noise_is_refused_and_nothing_worse(header, payload):
    with contextlib.suppress(frames.BadFrame):
        assert isinstance(frames.decode(header, payload), dict)


def test_a_frame_that_claims_gigabytes_is_refused_before_it_is_read():
    with pytest.raises(frames.BadFrame, match="too large"):
        frames.sizes(frames.PREFIX.pack(10, 1 << 40))
