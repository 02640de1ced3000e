"""Values across the border, as data only: a small binary form with a strict decoder, the same file on both sides.

What may cross: None, bool, int, float (NaN and infinity are themselves), complex, str, bytes, lists and tuples (which
arrive as lists), dicts with text or whole numbers as keys, numpy arrays of plain numbers, booleans and fixed strings,
numpy scalars (which arrive as numbers), and pandas or polars tables (which arrive as a dict of columns, each an array
or, where it is not plain numbers, a list). Nothing is ever unpickled or imported by name. This file runs inside the
jail too, so it needs the standard library only.

A value is one tag byte and its body, numbers little-endian::

    N T F          None, True, False
    i <q           int of 64 bits                I <I bytes     longer int, two's complement
    d <d           float                         c <dd          complex
    s <I utf-8     text                          b <Q bytes     bytes
    l <I values    list                          m <I pairs     dict
    D <I <d...     list of floats                Q <I <q...     list of 64-bit ints
    a text ndim <Q... padding data               array: dtype, shape, data aligned to 64 bytes
"""

from __future__ import annotations

import math
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "MAX_RESULT_NODES", "NotData", "decode", "encode", "encode_outcome"]

MAX_BYTES = 512 * 1024 * 1024
"""Size of an encoded value in bytes."""
MAX_DEPTH = 64
"""Levels of nesting."""
MAX_NODES = 4_000_000
"""Values in all, each element of a list or dict counted, a quarter for each in a list of numbers, an array as one."""
MAX_RESULT_NODES = 1_000_000
"""The same for what a program sends back: a second or two of the host's time at the most."""

_ALIGN, _MAX_DIMENSIONS, _KINDS = 64, 32, "biufcSU"
_MAX_INT_BYTES = 1024  # so that str() of it always works (sys.set_int_max_str_digits)
_SIZES = {b"b": 1, b"i": 8, b"u": 8, b"f": 16, b"c": 32, b"S": 999_999, b"U": 999_999}
_BIGGEST_CODE_POINT, _PACKED, _FINISHED_NODES = 0x10FFFF, 4, 6
# {"reason": "finished", "message": "", "values": ...: how most results begin, in one piece
_FINISHED = b"m\3\0\0\0s\6\0\0\0reasons\10\0\0\0finisheds\7\0\0\0messages\0\0\0\0s\6\0\0\0values"


class NotData(ValueError):
    """A value that may not cross the border, or bytes that are no value; says where and why in one line."""


def encode(value: Any, nodes: int = MAX_NODES) -> list[bytes | memoryview]:  # noqa: ANN401 - any object may be offered; what is not data is refused
    """Return the value, of at most ``nodes`` values in all, as chunks to be written in turn; arrays are not copied.

    Raises:
        NotData: something in it cannot cross; the message names the place, such as ``['x'][3]``, and its type.
    """
    writer = _Writer(nodes)
    writer.put(value, (), 0)
    return writer.chunks


def encode_outcome(outcome: dict[str, Any]) -> list[bytes | memoryview]:
    """Return what :func:`program.perform` made, encoded; where its values cannot cross, the failure that this is."""
    writer, done = _Writer(MAX_RESULT_NODES), outcome["reason"] == "finished"
    try:
        writer.nodes += _FINISHED_NODES if done else 0
        writer.add(_FINISHED if done else b"")
        writer.put(outcome["values"] if done else outcome, ("values",) if done else (), int(done))
    except NotData as error:
        reason, message = "bad_value", f"{error}".removeprefix("['values']")
    except MemoryError:
        reason, message = "memory", "MemoryError while the values were packed"
    else:
        return writer.chunks
    return encode({"reason": reason, "message": message, "values": {}})


def decode(data: bytes | bytearray | memoryview, *, copy: bool = True, nodes: int = MAX_NODES, skip: int = 0) -> Any:  # noqa: ANN401 - data of any shape
    """Return the value behind ``skip`` bytes, ``nodes`` at most; with ``copy=False`` arrays are views of ``data``.

    Raises:
        NotData: the bytes are not exactly one well-formed value within the caps.
    """
    reader = _Reader(memoryview(data), nodes, copy=copy)
    reader.at = skip
    value = reader.take(0)
    if reader.at != len(reader.data):
        msg = f"{len(reader.data) - reader.at} bytes follow the value"
        raise NotData(msg)
    return value


class _Counter:
    """Holds the number of values against its cap."""

    def __init__(self, most: int) -> None:
        self.nodes, self.most = 0, most

    def count(self, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > self.most:
            msg = f"more than {self.most} values"
            raise NotData(msg)


class _Writer(_Counter):
    """Collects chunks; knows how much it has written, for the caps and the alignment of arrays."""

    def __init__(self, nodes: int) -> None:
        super().__init__(nodes)
        self.chunks: list[bytes | memoryview] = []
        self.size = 0

    def add(self, chunk: bytes | memoryview) -> None:
        self.chunks.append(chunk)
        self.size += len(chunk)
        if self.size > MAX_BYTES:
            msg = f"more than {MAX_BYTES} bytes"
            raise NotData(msg)

    def put(self, value: Any, path: tuple[Any, ...], depth: int) -> None:  # noqa: ANN401 - any object may be offered
        if depth > MAX_DEPTH:
            msg = f"{_place(path[:3])}... is nested deeper than {MAX_DEPTH} levels"
            raise NotData(msg)
        self.count(1)
        if value is None or value is True or value is False:
            self.add(b"N" if value is None else b"T" if value else b"F")
            return
        for kind, write in _WRITERS:
            if isinstance(value, kind):
                write(self, value, path, depth)
                return
        self.put_library(value, path, depth)

    def put_library(self, value: Any, path: tuple[Any, ...], depth: int) -> None:  # noqa: ANN401 - as in put
        # an object of a library means that the library is loaded: neither is ever imported for the sake of looking
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.ndarray):
            self.put_array(value, path)
        elif numpy is not None and isinstance(value, numpy.generic):
            self.put(value.item(), path, depth + 1)
        elif (inner := _of_table(value)) is not None:
            named = isinstance(inner, list) and len(value.shape) > 1
            if named and len(dict(inner)) < len(inner):
                msg = f"{_place(path)} is a table of which two columns have the same name"
                raise NotData(msg)
            self.put(dict(inner) if named else inner, path, depth + 1)
        else:
            msg = f"{_place(path)} is a {_type_name(value)}, which is not data"
            raise NotData(msg)

    def put_int(self, value: int, path: tuple[Any, ...], _depth: int) -> None:
        value = int(value)
        if -(2**63) <= value < 2**63:
            self.add(struct.pack("<cq", b"i", value))
            return
        body = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        if len(body) > _MAX_INT_BYTES:
            msg = f"{_place(path)} is a whole number of {len(body)} bytes"
            raise NotData(msg)
        self.add(struct.pack("<cI", b"I", len(body)) + body)

    def put_text(self, value: str, path: tuple[Any, ...], _depth: int) -> None:
        try:
            body = str.encode(value, "utf-8")
        except UnicodeEncodeError:
            msg = f"{_place(path)} is text with a lone surrogate"
            raise NotData(msg) from None
        self.add(struct.pack("<cI", b"s", len(body)) + body)

    def put_bytes(self, value: bytes | bytearray, _path: tuple[Any, ...], _depth: int) -> None:
        self.add(struct.pack("<cQ", b"b", len(value)))
        self.add(bytes(value))

    def put_list(self, value: Sequence[Any], path: tuple[Any, ...], depth: int) -> None:
        kinds = set(map(type, value))
        if kinds in ({float}, {int}):
            self.count(len(value) // _PACKED)
            tag, code = (b"D", "d") if kinds == {float} else (b"Q", "q")
            try:
                self.add(struct.pack(f"<cI{len(value)}{code}", tag, len(value), *value))
            except struct.error:  # an int beyond 64 bits: one by one, below
                self.nodes -= len(value) // _PACKED
            else:
                return
        self.add(struct.pack("<cI", b"l", len(value)))
        for index, item in enumerate(value):
            self.put(item, (*path, index), depth + 1)

    def put_dict(self, value: Mapping[Any, Any], path: tuple[Any, ...], depth: int) -> None:
        self.add(struct.pack("<cI", b"m", len(value)))
        for key, item in value.items():
            if not _is_key(key):
                kind = _type_name(key)
                msg = f"{_place(path)} has a key of type {kind}; only text and whole numbers of 64 bits are keys"
                raise NotData(msg)
            self.put(key, (*path, key), depth + 1)
            self.put(item, (*path, key), depth + 1)

    def put_array(self, array: Any, path: tuple[Any, ...]) -> None:  # noqa: ANN401 - numpy is optional
        if array.dtype.kind not in _KINDS:
            msg = f"{_place(path)} is an array of {array.dtype}, which is not data"
            raise NotData(msg)
        shape = array.shape
        flat = sys.modules["numpy"].ascontiguousarray(array).reshape(-1)
        name = array.dtype.str.encode()
        self.add(struct.pack(f"<cB{len(name)}sB{len(shape)}Q", b"a", len(name), name, len(shape), *shape))
        self.add(bytes(-self.size % _ALIGN))
        self.add(memoryview(flat.view("u1")) if flat.nbytes else b"")


_WRITERS: tuple[tuple[type | tuple[type, ...], Callable[..., None]], ...] = (
    (str, _Writer.put_text),
    (int, _Writer.put_int),
    (float, lambda writer, value, _path, _depth: writer.add(struct.pack("<cd", b"d", value))),
    ((list, tuple), _Writer.put_list),
    (dict, _Writer.put_dict),
    ((bytes, bytearray), _Writer.put_bytes),
    (complex, lambda writer, value, _path, _depth: writer.add(struct.pack("<cdd", b"c", value.real, value.imag))),
)


class _Reader(_Counter):
    """Reads one value; believes nothing: every length is held against what is left."""

    def __init__(self, data: memoryview, nodes: int, *, copy: bool) -> None:
        super().__init__(nodes)
        self.data = data
        self.copy = copy
        self.at = 0
        if len(data) > MAX_BYTES:
            msg = f"more than {MAX_BYTES} bytes"
            raise NotData(msg)

    def bytes(self, length: int) -> memoryview:
        end = self.at + length
        if end > len(self.data):
            msg = f"cut off: {length} bytes announced, {len(self.data) - self.at} left"
            raise NotData(msg)
        part = self.data[self.at : end]
        self.at = end
        return part

    def unpack(self, form: str) -> Any:  # noqa: ANN401 - what the form says
        return struct.unpack(form, self.bytes(struct.calcsize(form)))

    def take(self, depth: int) -> Any:  # noqa: ANN401 - data of any shape
        if depth > MAX_DEPTH:
            msg = f"nested deeper than {MAX_DEPTH} levels"
            raise NotData(msg)
        self.count(1)
        tag = bytes(self.bytes(1))
        read = _READERS.get(tag)
        if read is None:
            msg = f"unknown tag {tag!r}"
            raise NotData(msg)
        return read(self, depth)

    def take_int(self, _depth: int) -> int:
        (length,) = self.unpack("<I")
        if length > _MAX_INT_BYTES:
            msg = f"a whole number of {length} bytes"
            raise NotData(msg)
        return int.from_bytes(self.bytes(length), "little", signed=True)

    def take_text(self, _depth: int) -> str:
        (length,) = self.unpack("<I")
        try:
            return str(self.bytes(length), "utf-8")
        except UnicodeDecodeError as error:
            msg = f"text that is not utf-8: {error.reason}"
            raise NotData(msg) from None

    def take_packed(self, code: str) -> list[Any]:
        (length,) = self.unpack("<I")
        self.count(length // _PACKED)
        return list(struct.unpack(f"<{length}{code}", self.bytes(length * 8)))

    def take_list(self, depth: int) -> list[Any]:
        (length,) = self.unpack("<I")
        self.bytes(0 if length <= len(self.data) - self.at else length)  # each item takes a byte at least
        return [self.take(depth + 1) for _ in range(length)]

    def take_dict(self, depth: int) -> dict[Any, Any]:
        (length,) = self.unpack("<I")
        found: dict[Any, Any] = {}
        for _ in range(length):
            key = self.take(depth + 1)
            if not _is_key(key) or key in found:
                msg = f"a {_type_name(key)} is no key, or was there before"
                raise NotData(msg)
            found[key] = self.take(depth + 1)
        return found

    def take_array(self, _depth: int) -> Any:  # noqa: ANN401 - numpy is optional
        try:
            import numpy as np  # noqa: PLC0415 - heavy and optional: loaded when the first array occurs
        except ImportError:
            msg = "an array, and numpy is not installed"
            raise NotData(msg) from None
        (length,) = self.unpack("<B")
        name = bytes(self.bytes(length))
        dtype = _dtype(np, name)
        shape = self._shape()
        self.bytes(-self.at % _ALIGN)
        body = self.bytes(dtype.itemsize * math.prod(shape))
        array = np.frombuffer(body, dtype).reshape(shape) if len(body) else np.zeros(shape, dtype)
        _check_elements(np, array)
        return array.copy() if self.copy else array

    def _shape(self) -> tuple[int, ...]:
        (dimensions,) = self.unpack("<B")
        if dimensions > _MAX_DIMENSIONS:
            msg = f"an array of {dimensions} dimensions"
            raise NotData(msg)
        shape: tuple[int, ...] = self.unpack(f"<{dimensions}Q")
        if math.prod(max(size, 1) for size in shape) > MAX_BYTES:
            msg = f"an array of shape {shape[:4]}..."
            raise NotData(msg)
        return shape


def _dtype(np: Any, name: bytes) -> Any:  # noqa: ANN401 - numpy is optional
    # numpy's own parser evaluates what looks like a list of types, so only exact names reach it
    msg = f"an array of {name[:16]!r}"
    order, kind, size = name[:1], name[1:2], name[2:]
    if order not in (b"<", b">", b"|") or not size.isdigit() or not 0 < int(size[:7]) <= _SIZES.get(kind, 0):
        raise NotData(msg)
    try:
        dtype = np.dtype(name.decode("ascii"))
    except TypeError:
        raise NotData(msg) from None
    if dtype.str.encode() != name:
        raise NotData(msg)
    return dtype


def _check_elements(np: Any, array: Any) -> None:  # noqa: ANN401 - numpy is optional
    """Refuse elements that numpy would not make itself: truth values other than 0 and 1, impossible characters."""
    if array.size == 0:
        return
    if array.dtype.kind == "b" and int(array.view("u1").max()) > 1:
        msg = "an array of truth values holds something else"
        raise NotData(msg)
    if array.dtype.kind == "U":
        points = np.frombuffer(array.tobytes(), array.dtype.byteorder.replace("=", "<").replace("|", "<") + "u4")
        if int(points.max(initial=0)) > _BIGGEST_CODE_POINT:
            msg = "an array of text holds impossible characters"
            raise NotData(msg)


_READERS: dict[bytes, Callable[[_Reader, int], Any]] = {
    b"N": lambda _reader, _depth: None,
    b"T": lambda _reader, _depth: True,
    b"F": lambda _reader, _depth: False,
    b"i": lambda reader, _depth: reader.unpack("<q")[0],
    b"I": _Reader.take_int,
    b"d": lambda reader, _depth: reader.unpack("<d")[0],
    b"c": lambda reader, _depth: complex(*reader.unpack("<dd")),
    b"s": _Reader.take_text,
    b"b": lambda reader, _depth: bytes(reader.bytes(*reader.unpack("<Q"))),
    b"D": lambda reader, _depth: reader.take_packed("d"),
    b"Q": lambda reader, _depth: reader.take_packed("q"),
    b"l": _Reader.take_list,
    b"m": _Reader.take_dict,
    b"a": _Reader.take_array,
}


def _is_key(value: object) -> bool:
    # larger numbers can be chosen so that thousands of them have one hash, and a dict of them takes for ever
    whole = isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, str) or (whole and -(2**63) <= value < 2**63)  # type: ignore[operator]  # whole


def _of_table(value: Any) -> Any:  # noqa: ANN401 - as in put
    """What a table, as a list of named columns, or a column consists of; None for anything else."""
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return [(str(name), column) for name, column in value.items()]
    if polars is not None and isinstance(value, polars.DataFrame):
        return [(column.name, column) for column in value.get_columns()]
    if pandas is not None and isinstance(value, (pandas.Series, pandas.Index)):
        array = value.to_numpy()
        return array.tolist() if array.dtype.hasobject else array
    if polars is not None and isinstance(value, polars.Series):
        plain = value.null_count() == 0 and (value.dtype.is_integer() or value.dtype.is_float())
        return value.to_numpy() if plain else value.to_list()
    return None


def _place(path: tuple[Any, ...]) -> str:
    return "".join(f"[{part!r}]" for part in path) or "the value"


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
