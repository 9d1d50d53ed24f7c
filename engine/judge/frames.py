"""The wire format between the judge and the child: a JSON header, then raw array bytes.

A frame is `<header bytes: u32> <payload bytes: u64>`, the header (JSON), the payload. The
header's `arrays` lists dtype and shape of each array, the payload holds their bytes one
after the other, and `{"$": "array", "at": i}` stands in the message where array i belongs.
Nothing is ever unpickled, so a frame can say anything but do nothing.
"""

import json
import math
import re
import struct
from dataclasses import dataclass

import numpy as np

PREFIX = struct.Struct("<IQ")
MAX_HEADER_BYTES = 4 << 20
MAX_PAYLOAD_BYTES = 256 << 20
DTYPE = re.compile(r"[<>|][biufc]\d{1,2}")


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


def encode(message: dict, views: bool = False) -> bytes:
    """A frame. In one piece, since a reader that wakes up for half of one waits again.

    With `views`, an array with gaps in it arrives as a view of something wider.
    """
    arrays: list[np.ndarray] = []
    body = _pack(message, arrays)
    body["arrays"] = [[a.dtype.str, a.shape, views and not a.flags.c_contiguous] for a in arrays]
    header = json.dumps(body, separators=(",", ":")).encode()
    payload = b"".join(a.tobytes() for a in arrays)
    return b"".join((PREFIX.pack(len(header), len(payload)), header, payload))


def sizes(prefix: bytes) -> tuple[int, int]:
    """(header bytes, payload bytes) of the frame that begins so."""
    header_bytes, payload_bytes = PREFIX.unpack(prefix)
    if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise BadFrame(f"a frame of {header_bytes} + {payload_bytes} bytes is too large")
    return header_bytes, payload_bytes


def decode(header: bytes, payload: bytes | bytearray) -> dict:
    """The message of a frame. Its arrays lie in `payload`. Raises `BadFrame`."""
    try:
        body = json.loads(header)
        arrays, offset = [], 0
        for dtype_name, shape, is_view in body.pop("arrays"):
            if not DTYPE.fullmatch(dtype_name) or any(type(n) is not int or n < 0 for n in shape):
                raise BadFrame(f"no such array: {dtype_name} {shape}")
            dtype = np.dtype(dtype_name)
            count = math.prod(shape)
            if offset + count * dtype.itemsize > len(payload):
                raise BadFrame("an array is longer than the frame that carries it")
            array = np.frombuffer(payload, dtype, count, offset).reshape(shape)
            arrays.append(_inside_a_wider_one(array) if is_view else array)
            offset += count * dtype.itemsize
        if offset != len(payload):
            raise BadFrame(f"arrays of {offset} bytes in a payload of {len(payload)}")
        return {key: _unpack(value, arrays) for key, value in body.items()}
    except BadFrame:
        raise
    except Exception as error:  # whatever strange bytes can lead to
        raise BadFrame(f"not a frame: {type(error).__name__}") from error


def _pack(value, arrays):
    kind = type(value)
    if kind in (bool, int, float, str) or value is None:
        return value
    if kind is list:
        return [_pack(item, arrays) for item in value]
    if issubclass(kind, tuple):
        items = tuple.__getitem__(value, slice(None))
        return {"$": "tuple", "of": [_pack(item, arrays) for item in items]}
    if kind is dict and all(type(key) is str and key != "$" for key in value):
        return {key: _pack(item, arrays) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc":
        # Only the bytes count, whatever a subclass says of itself.
        if isinstance(value, np.ndarray):
            arrays.append(np.ndarray.__array__(value))
            return {"$": "array", "at": len(arrays) - 1}
        arrays.append(np.array(value))
        return {"$": "scalar", "at": len(arrays) - 1}
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


def _inside_a_wider_one(array: np.ndarray) -> np.ndarray:
    """The same values as a view with something else beside them, as a slice of q, k, v is."""
    if array.ndim == 0:
        return array.copy()
    *leading, width = array.shape
    wide = np.ones((*leading, width + 2), array.dtype)
    wide[..., 1:-1] = array
    return wide[..., 1:-1]
