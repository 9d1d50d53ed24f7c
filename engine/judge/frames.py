"""The wire format between the judge and the child: a JSON header, then raw array bytes.

A frame is `<header bytes: u32> <payload bytes: u64>`, the header (JSON), the payload. The
header's `arrays` lists dtype and shape of each array, the payload holds their bytes one
after the other, and `{"$": "array", "at": i}` stands in the message where array i belongs.
Nothing is ever unpickled, so a frame can say anything but do nothing.
"""

import json
import math
import struct
from dataclasses import dataclass

import numpy as np

PREFIX = struct.Struct("<IQ")
MAX_HEADER_BYTES = 4 << 20
MAX_PAYLOAD_BYTES = 256 << 20


class BadFrame(ValueError):
    """Bytes that are not a frame."""


@dataclass(frozen=True)
class Ref:
    """An object that stays at the child's end."""

    id: int


@dataclass(frozen=True)
class Opaque:
    """A value that does not travel: all that is known of it is its type."""

    type_name: str


@dataclass(frozen=True)
class Described:
    """An array whose bytes stayed at the child's end."""

    dtype: str
    shape: tuple[int, ...]


def encode(message: dict) -> bytes:
    """A frame. In one piece, since a reader that wakes up for half of one waits again."""
    arrays: list[np.ndarray] = []
    body = _pack(message, arrays)
    body["arrays"] = [[a.dtype.str, a.shape] for a in arrays]
    header = json.dumps(body, separators=(",", ":")).encode()
    payload = b"".join(a.data for a in arrays)
    return b"".join((PREFIX.pack(len(header), len(payload)), header, payload))


def sizes(prefix: bytes) -> tuple[int, int]:
    """(header bytes, payload bytes) of the frame that begins so."""
    header_bytes, payload_bytes = PREFIX.unpack(prefix)
    if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise BadFrame(f"a frame of {header_bytes} + {payload_bytes} bytes is too large")
    return header_bytes, payload_bytes


def decode(header: bytes, payload: bytes | bytearray) -> dict:
    """The message of a frame. Its arrays are views of `payload`. Raises `BadFrame`."""
    try:
        body = json.loads(header)
        arrays, offset = [], 0
        for dtype_name, shape in body.pop("arrays"):
            dtype = np.dtype(dtype_name)
            if dtype.kind not in "biufc" or any(type(n) is not int or n < 0 for n in shape):
                raise BadFrame(f"no such array: {dtype_name} {shape}")
            count = math.prod(shape)
            if offset + count * dtype.itemsize > len(payload):
                raise BadFrame("an array is longer than the frame that carries it")
            arrays.append(np.frombuffer(payload, dtype, count, offset).reshape(shape))
            offset += count * dtype.itemsize
        if offset != len(payload):
            raise BadFrame(f"arrays of {offset} bytes in a payload of {len(payload)}")
        return {key: _unpack(value, arrays) for key, value in body.items()}
    except BadFrame:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise BadFrame(f"not a frame: {type(error).__name__}") from error


def _pack(value, arrays):
    kind = type(value)
    if kind in (bool, int, float, str) or value is None:
        return value
    if kind is list:
        return [_pack(item, arrays) for item in value]
    if kind is tuple:
        return {"$": "tuple", "of": [_pack(item, arrays) for item in value]}
    if kind is dict and all(type(key) is str for key in value):
        return {key: _pack(item, arrays) for key, item in value.items()}
    if kind is np.ndarray and value.size > 1 and not any(value.strides):
        # One value in every place (`np.broadcast_to`) travels as that value.
        return {"$": "full", "shape": list(value.shape), "of": _pack(value.flat[0], arrays)}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc":
        # Only the bytes count, whatever a subclass says of itself.
        array = np.ndarray.__array__(value) if isinstance(value, np.ndarray) else value
        arrays.append(np.array(array, order="C", subok=False, ndmin=0, copy=None))
        tag = "array" if isinstance(value, np.ndarray) else "scalar"
        return {"$": tag, "at": len(arrays) - 1}
    if isinstance(value, Ref):
        return {"$": "ref", "id": value.id}
    if isinstance(value, Opaque):
        return {"$": "opaque", "type": value.type_name}
    if isinstance(value, Described):
        return {"$": "described", "dtype": value.dtype, "shape": list(value.shape)}
    if isinstance(value, np.dtype) or (kind is type and issubclass(value, np.generic)):
        return {"$": "dtype", "name": np.dtype(value).name}
    return {"$": "opaque", "type": kind.__name__}


def _unpack(value, arrays):
    if type(value) is list:
        return [_unpack(item, arrays) for item in value]
    if type(value) is not dict:
        return value
    match value.get("$"):
        case None:
            return {key: _unpack(item, arrays) for key, item in value.items()}
        case "tuple":
            return tuple(_unpack(item, arrays) for item in value["of"])
        case "array":
            return arrays[value["at"]]
        case "full":
            shape, filling = value["shape"], _unpack(value["of"], arrays)
            if math.prod(shape) * filling.itemsize > MAX_PAYLOAD_BYTES:
                raise BadFrame(f"an array of shape {shape} is too large")
            return np.full(shape, filling)
        case "scalar":
            return arrays[value["at"]][()]
        case "ref":
            return Ref(value["id"])
        case "opaque":
            return Opaque(str(value["type"]))
        case "described":
            return Described(str(value["dtype"]), tuple(value["shape"]))
        case "dtype":
            return np.dtype(value["name"]).type
    raise BadFrame(f"unknown tag {value['$']!r}")
