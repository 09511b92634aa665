"""MATLAB files of version 5 to 7 (not 7.3, which is HDF5): numbers, texts, cells and structs, strictly read.

Our own reader, for SciPy's can crash the process on a few flipped bits (docs/decisions/0009-own-matlab-reader.md).  The
layout is MathWorks' "MAT-File Format": elements of (type, size, data); a matrix is an element that holds its class,
shape, name and content as elements.  Every size is judged before anything is made of it; what can run or refer
elsewhere (objects, functions) is never read.
"""

import math
import os
import stat
import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from posesynth.errors import InputError, error_line, quote

Value = Any  # a number (float), an array of them, a text, a cell array's list of values, a struct array's list of dicts

LARGEST = 2**29  # bytes of a file, and of all that it unpacks to
MOST_ENTRIES = (
    2**23
)  # variables, cells, structs and fields of a file: each takes microseconds, and more room than in it
MOST_NUMBERS = 2**25  # of one array: 256 MiB as float64

_HEADER = 128
_DEEPEST = 16
_ARRAY = 16  # entries that an array of NumPy's counts as, beside which its few numbers are nothing
_PIECE = 2**16  # bytes unpacked at once: at most 64 MiB come out
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _OPAQUE = 1, 2, 4, 17
_NUMERIC = range(6, 16)
_OTHERS = {3: "an object", 5: "a sparse matrix", 16: "a function", _OPAQUE: "an object (string, table or class)"}
_COMPLEX = 0x800
_EMPTY = np.empty((0, 0))  # one for all: there may be millions


def read_variables(path: str, names: Collection[str], fields: Collection[str] | None = None) -> dict[str, Value]:
    """Those of the variables `names` that the file holds; of structs only `fields`, where given.

    Arrays have MATLAB's shape and the type they are stored in, and are a float where they hold one number; cell and
    struct arrays are lists in MATLAB's order, column by column, a single struct is a list of one.  InputError, one
    line, if the file is damaged anywhere, or what is asked for holds sparse or complex numbers, objects or functions.
    """
    return {name: part.matrix(start, end, fields, 0) for part, name, start, end in _variables(path) if name in names}


def read_variable(path: str, name: str, fields: Collection[str] | None = None) -> Value:
    """The variable `name`, which has to be there; as `read_variables`."""
    found = read_variables(path, [name], fields)
    if name not in found:
        raise _fault(path, f"no variable {quote(name)}; expected it there")
    return found[name]


def variables(path: str) -> list[str]:
    """The names of the variables in a file, in its order."""
    return [name for _, name, _, _ in _variables(path) if name]


@dataclass
class _Room:
    """What a file may still bring."""

    size: int
    entries: int


def _variables(path: str) -> Iterator[tuple["_Elements", str, int, int]]:
    """Each variable: the bytes it lies in, its name, and where its matrix begins and ends in them."""
    data = _read(path)
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data[:10] == b"MATLAB 7.3":
        raise _fault(path, "a MATLAB file of version 7.3; expected version 7: save it with -v7")
    if len(data) < _HEADER or order is None or data[:6] != b"MATLAB":
        raise _fault(path, "no MATLAB file of version 5 to 7; expected one")
    room = _Room(LARGEST, MOST_ENTRIES)
    file = _Elements(path, data, order, room)
    at = _HEADER
    while at < len(data):
        part, (kind, start, size, following) = file, file.element(at, len(data))
        if kind == _COMPRESSED:
            following = start + size  # without padding
            part = _Elements(path, _unpack(path, data[start : start + size], room), order, room)
            kind, start, size, _ = part.element(0, len(part.data))
        if kind != _MATRIX:
            raise _damaged(path, f"a variable of type {kind}")
        part.take(1)
        yield part, part.name(start, start + size), start, start + size
        at = following


class _Elements:
    """The elements of a file, or of an unpacked part of it; all places are bytes from its beginning."""

    def __init__(self, path: str, data: bytes | bytearray, order: str, room: _Room) -> None:
        self.path, self.data, self.order, self.room = path, data, order, room
        self._two, self._one = struct.Struct(f"{order}II"), struct.Struct(f"{order}I")

    def take(self, entries: int) -> None:
        """Count `entries` among those of the file."""
        self.room.entries -= entries
        if self.room.entries < 0:
            raise _fault(self.path, f"more than {MOST_ENTRIES} cells and fields; expected a smaller MATLAB file")

    def element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """(type, begin, size, the next element's place) of the element at `at`, which has to end before `end`."""
        if at + 8 > end:
            raise _damaged(self.path, "ends within an element")
        kind, size = self._two.unpack_from(self.data, at)
        if kind >> 16:  # up to 4 bytes stand in the tag itself
            kind, size, begin, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            begin = at + 8
            following = begin + (size + 7) // 8 * 8
        if begin + size > end or (begin == at + 4 and size > 4):
            raise _damaged(self.path, f"an element of {size} bytes reaches beyond its end")
        return kind, begin, size, following

    def name(self, at: int, end: int) -> str:
        """The name of the matrix that begins at `at`."""
        return self._head(at, end)[2]

    def matrix(self, at: int, end: int, only: Collection[str] | None, depth: int) -> Value:
        """The value of the matrix between `at` and `end`; an element without content is an empty array."""
        if at == end:
            return _EMPTY
        if depth > _DEEPEST:
            raise _damaged(self.path, f"is nested deeper than {_DEEPEST} levels")
        flags, shape, name, at = self._head(at, end)
        kind, count = flags & 0xFF, math.prod(shape)
        if kind in _NUMERIC and not flags & _COMPLEX:
            return self._array(at, end, shape, count)
        if kind == _CHAR:
            return self._text(at, end, shape) if count else ""
        if kind not in (_CELL, _STRUCT):
            found = "complex numbers" if kind in _NUMERIC else _OTHERS.get(kind, f"a matrix of class {kind}")
            where = f"{quote(name)}: " if name else ""
            raise _fault(self.path, f"{where}holds {found}; expected numbers, texts, cells and structs")
        fields, begin = [""], at
        if kind == _STRUCT:
            fields, at = self._fields(at, end)
        if count > end - begin:
            raise _damaged(self.path, f"{count} entries in {end - begin} bytes")
        self.take(max(count, 1) * (len(fields) + (kind == _STRUCT)))
        entries: list[Value] = []
        for _ in range(count):
            entry: dict[str, Value] = {}
            for field in fields:
                inner, begin, size, at = self.element(at, end)
                if inner != _MATRIX:
                    raise _damaged(self.path, f"an entry of type {inner}")
                if only is None or not field or field in only:
                    entry[field] = self.matrix(begin, begin + size, only, depth + 1)
            entries.append(entry if kind == _STRUCT else entry[""])
        return entries

    def _head(self, at: int, end: int) -> tuple[int, list[int], str, int]:
        """(class and flags, shape, name, where the values begin) of a matrix."""
        kind, begin, size, at = self.element(at, end)
        if kind != 6 or size != 8:
            raise _damaged(self.path, "a matrix without its class")
        flags = self._one.unpack_from(self.data, begin)[0]
        shape: list[int] = []
        if flags & 0xFF != _OPAQUE:  # which has none
            kind, begin, size, at = self.element(at, end)
            if kind != 5 or size % 4 or not 8 <= size <= 32 * 4:
                raise _damaged(self.path, "a matrix without its shape")
            shape = list(struct.unpack_from(f"{self.order}{size // 4}i", self.data, begin))
            if min(shape) < 0 or math.prod(max(side, 1) for side in shape) > 2**59:  # NumPy has none, though empty
                raise _damaged(self.path, f"a matrix of shape {shape}"[:80])
        kind, begin, size, at = self.element(at, end)
        if kind not in (1, 2):
            raise _damaged(self.path, "a matrix without its name")
        return flags, shape, self.data[begin : begin + size].decode("latin-1"), at

    def _array(self, at: int, end: int, shape: list[int], count: int) -> Value:
        kind, begin, size, _ = self.element(at, end)
        if kind not in _NUMBERS:
            raise _damaged(self.path, f"numbers of type {kind}")
        dtype = np.dtype(self.order + _NUMBERS[kind])
        if size != count * dtype.itemsize:
            raise _damaged(self.path, f"{size} bytes for {count} numbers")
        if count > MOST_NUMBERS:
            raise _fault(self.path, f"an array of {count} numbers; expected at most {MOST_NUMBERS}")
        if count == 1:
            return float(np.frombuffer(self.data, dtype, 1, begin)[0])
        self.take(_ARRAY)
        return np.frombuffer(self.data, dtype, count, begin).astype(dtype.newbyteorder("=")).reshape(shape, order="F")

    def _text(self, at: int, end: int, shape: list[int]) -> str:
        kind, begin, size, _ = self.element(at, end)
        if kind not in _TEXTS:
            raise _damaged(self.path, f"a text of type {kind}")
        if sum(side > 1 for side in shape) > 1:
            raise _fault(self.path, f"a text of shape {shape}"[:80] + "; expected texts of one line")
        coding = _TEXTS[kind]
        if coding in ("utf-16", "utf-32"):
            coding += "-le" if self.order == "<" else "-be"
        try:
            return self.data[begin : begin + size].decode(coding)
        except UnicodeDecodeError:
            raise _damaged(self.path, "a text that is none") from None

    def _fields(self, at: int, end: int) -> tuple[list[str], int]:
        """The names of a struct's fields, and where its values begin."""
        kind, begin, size, at = self.element(at, end)
        length = struct.unpack_from(f"{self.order}i", self.data, begin)[0] if (kind, size) == (5, 4) else 0
        kind, begin, size, at = self.element(at, end)
        if not size:
            return [], at
        if not 0 < length <= 4096 or kind not in (1, 2) or size % length or size // length > 4096:
            raise _damaged(self.path, "a struct without the names of its fields")
        names = [
            self.data[n : n + length].split(b"\0")[0].decode("latin-1") for n in range(begin, begin + size, length)
        ]
        if "" in names or len(set(names)) < len(names):
            raise _damaged(self.path, "a struct without the names of its fields")
        return names, at


def _read(path: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe has no end
            raise _fault(path, "is no regular file; expected a MATLAB file")
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise _fault(path, f"cannot be read: {error.strerror or error}") from None
    if len(data) > LARGEST:
        raise _fault(path, f"larger than {LARGEST >> 20} MiB; expected a smaller MATLAB file")
    return data


def _unpack(path: str, packed: bytes, room: _Room) -> bytearray:
    unpack, data = zlib.decompressobj(), bytearray()
    try:
        for at in range(0, len(packed), _PIECE):
            data += unpack.decompress(packed[at : at + _PIECE], room.size - len(data) + 1)
            if len(data) > room.size:
                raise _fault(path, f"unpacks to more than {LARGEST >> 20} MiB; expected a smaller MATLAB file")
    except zlib.error as error:
        raise _damaged(path, str(error)) from None
    if not unpack.eof:
        raise _damaged(path, "ends within a variable")
    room.size -= len(data)
    return data


def _damaged(path: str, what: str) -> InputError:
    return _fault(path, f"damaged: {what}; expected a whole MATLAB file of version 5 to 7")


def _fault(path: str, message: str) -> InputError:
    return InputError(error_line(path, f" {message}"))
