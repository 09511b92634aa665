"""MATLAB files of version 5 to 7 (not 7.3, which is HDF5): numbers, texts, cells and structs, strictly read.

Our own reader: a few flipped bytes bring SciPy's to a segmentation fault, or to allocate gigabytes.
Every size is judged before anything is made of it; what can run or refer elsewhere (objects, functions) is refused.
"""

import math
import os
import struct
import zlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from posesynth.motion.clip import MAX_ARCHIVE, fault
from posesynth.motion.tables import reason
from posesynth.yaml_source import quote

Value = Any  # a number (float), an array of them, a text, a cell array's list of values, a struct array's list of dicts

_HEADER = 128
_DEEPEST = 16
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC = range(6, 16)
_COMPLEX = 0x800


def read_mat(path: str, name: str, only: Collection[str] | None = None) -> Value:
    """The variable `name`; of structs only the fields `only`, where given.

    Arrays have MATLAB's shape; cell and struct arrays are lists in MATLAB's order, column by column.
    """
    for file, start, end in _variables(path):
        if file.name(start, end) == name:
            return file.matrix(start, end, only, 0)
    raise fault(path, None, f"no variable {quote(name)}; expected it there")


def variables(path: str) -> list[str]:
    """The names of the variables in a file."""
    return [file.name(start, end) for file, start, end in _variables(path)]


def _variables(path: str) -> Iterator[tuple["_Elements", int, int]]:
    """Each variable's bytes, and where its matrix begins and ends in them."""
    data = _read(path)
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data[:10] == b"MATLAB 7.3":
        raise fault(path, None, "a MATLAB file of version 7.3; expected version 7: save it with -v7")
    if len(data) < _HEADER or order is None or data[:6] != b"MATLAB":
        raise fault(path, None, "no MATLAB file of version 5 to 7; expected one")
    file = _Elements(path, data, order)
    at, room = _HEADER, MAX_ARCHIVE
    while at < len(data):
        kind, start, size, following = file.element(at, len(data))
        if kind == _COMPRESSED:
            inner = _Elements(path, _unpack(path, data[start : start + size], room), order)
            room -= len(inner.data)
            kind, begin, length, _ = inner.element(0, len(inner.data))
            if kind == _MATRIX:
                yield inner, begin, begin + length
            following = start + size  # without padding
        elif kind == _MATRIX:
            yield file, start, start + size
        at = following


class _Elements:
    """The elements of a file, or of an unpacked part of it; all places are bytes from its beginning."""

    def __init__(self, path: str, data: bytes, order: str) -> None:
        self.path, self.data, self.order = path, data, order
        self._two, self._one = struct.Struct(f"{order}II"), struct.Struct(f"{order}I")

    def element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """(type, begin, size, the next element's place) of the element at `at`, which has to end before `end`."""
        if at + 8 > end:
            raise self._damaged("ends within an element")
        kind, size = self._two.unpack_from(self.data, at)
        if kind >> 16:  # up to 4 bytes stand in the tag itself
            kind, size, begin, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            begin = at + 8
            following = begin + (size + 7) // 8 * 8
        if begin + size > end or (begin == at + 4 and size > 4):
            raise self._damaged(f"an element of {size} bytes reaches beyond its end")
        return kind, begin, size, following

    def name(self, at: int, end: int) -> str:
        """The name of the matrix that begins at `at`."""
        return self._head(at, end)[2]

    def matrix(self, at: int, end: int, only: Collection[str] | None, depth: int) -> Value:
        """The value of the matrix between `at` and `end`; an element without content is an empty array."""
        if at == end:
            return np.empty((0, 0))
        if depth > _DEEPEST:
            raise self._damaged(f"is nested deeper than {_DEEPEST} levels")
        flags, shape, _, at = self._head(at, end)
        kind, count = flags & 0xFF, math.prod(shape)
        if kind in _NUMERIC and not flags & _COMPLEX:
            return self._array(at, end, shape, count)
        if kind == _CHAR:
            return self._text(at, end) if count else ""
        if kind not in (_CELL, _STRUCT):
            raise fault(self.path, None, f"holds a matrix of class {kind}; expected numbers, texts, cells and structs")
        fields = [""]
        if kind == _STRUCT:
            fields, at = self._fields(at, end)
        if count * len(fields) * 8 > end - at:  # each takes a tag at the least
            raise self._damaged(f"{count} entries in {end - at} bytes")
        entries: list[Value] = []
        for _ in range(count):
            entry: dict[str, Value] = {}
            for field in fields:
                inner, begin, size, at = self.element(at, end)
                if inner != _MATRIX:
                    raise self._damaged(f"an entry of type {inner}")
                if only is None or not field or field in only:
                    entry[field] = self.matrix(begin, begin + size, only, depth + 1)
            entries.append(entry if kind == _STRUCT else entry[""])
        return entries

    def _head(self, at: int, end: int) -> tuple[int, list[int], str, int]:
        """(class and flags, shape, name, where the values begin) of a matrix."""
        kind, begin, size, at = self.element(at, end)
        if kind != 6 or size != 8:
            raise self._damaged("a matrix without its class")
        flags = self._one.unpack_from(self.data, begin)[0]
        kind, begin, size, at = self.element(at, end)
        if kind != 5 or size % 4 or not 8 <= size <= 32 * 4:
            raise self._damaged("a matrix without its shape")
        shape = list(struct.unpack_from(f"{self.order}{size // 4}i", self.data, begin))
        if min(shape) < 0:
            raise self._damaged(f"a matrix of shape {shape}"[:80])
        kind, begin, size, at = self.element(at, end)
        if kind not in (1, 2) or size > 63:
            raise self._damaged("a matrix without its name")
        return flags, shape, self.data[begin : begin + size].decode("latin-1"), at

    def _array(self, at: int, end: int, shape: list[int], count: int) -> Value:
        kind, begin, size, _ = self.element(at, end)
        if kind not in _NUMBERS:
            raise self._damaged(f"numbers of type {kind}")
        dtype = np.dtype(self.order + _NUMBERS[kind])
        if size != count * dtype.itemsize:
            raise self._damaged(f"{size} bytes for {count} numbers")
        values = np.frombuffer(self.data, dtype, count, begin).astype(dtype.newbyteorder("="))
        return float(values[0]) if count == 1 else values.reshape(shape, order="F")

    def _text(self, at: int, end: int) -> str:
        kind, begin, size, _ = self.element(at, end)
        if kind not in _TEXTS:
            raise self._damaged(f"a text of type {kind}")
        coding = _TEXTS[kind]
        wide = coding in ("utf-16", "utf-32")
        try:
            return self.data[begin : begin + size].decode(
                coding + ({"<": "-le", ">": "-be"}[self.order] if wide else "")
            )
        except UnicodeDecodeError:
            raise self._damaged("a text that is none") from None

    def _fields(self, at: int, end: int) -> tuple[list[str], int]:
        kind, begin, size, at = self.element(at, end)
        length = struct.unpack_from(f"{self.order}i", self.data, begin)[0] if (kind, size) == (5, 4) else 0
        kind, begin, size, at = self.element(at, end)
        if not 0 < length <= 256 or kind not in (1, 2) or size % length or size // length > 4096:
            raise self._damaged("a struct without the names of its fields")
        names = [
            self.data[n : n + length].split(b"\0")[0].decode("latin-1") for n in range(begin, begin + size, length)
        ]
        if not names or "" in names:
            raise self._damaged("a struct without the names of its fields")
        return names, at

    def _damaged(self, what: str) -> Exception:
        return fault(self.path, None, f"damaged: {what}; expected a whole MATLAB file of version 7 or less")


def _read(path: str) -> bytes:
    try:
        if not os.path.isfile(path):
            raise fault(path, None, "is no regular file; expected a MATLAB file")
        with open(path, "rb") as file:
            data = file.read(MAX_ARCHIVE + 1)
    except OSError as error:
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
    if len(data) > MAX_ARCHIVE:
        raise fault(path, None, f"larger than {MAX_ARCHIVE >> 20} MiB; expected a smaller MATLAB file")
    return data


def _unpack(path: str, packed: bytes, room: int) -> bytes:
    unpack = zlib.decompressobj()
    try:
        data = unpack.decompress(packed, room + 1)
    except zlib.error as error:
        raise fault(path, None, f"damaged: {reason(error)}; expected a whole MATLAB file") from None
    if len(data) > room:
        raise fault(path, None, f"unpacks to more than {MAX_ARCHIVE >> 20} MiB; expected a smaller MATLAB file")
    if not unpack.eof:
        raise fault(path, None, "damaged: ends within a variable; expected a whole MATLAB file")
    return data
