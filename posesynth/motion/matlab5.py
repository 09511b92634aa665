"""MATLAB's v5 .mat files: the numbers, texts, cells and structs in them, and nothing that could run.

Our own reader, since SciPy's crashes the process on some damaged files.  The layout is MathWorks' "MAT-File Format":
elements of (type, length, data), each on a multiple of 8 bytes; a matrix is an element that holds its flags,
dimensions, name and content as elements.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

LARGEST = 2**28  # bytes that a file may unpack to

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)
_COMPLEX = 0x0800
_DEEPEST = 16


class DamagedError(ValueError):
    """The bytes are not those of a MATLAB v5 file that this reader knows."""


def read_matlab5(data: bytes, names: Sequence[str]) -> dict[str, Any]:
    """The variables of these names: arrays of their MATLAB shape, str, lists of cells (column by column), dicts.

    A struct array is a list of dicts; complex numbers, sparse matrices, objects and functions are None.  Raises
    DamagedError; nothing larger than LARGEST is unpacked.
    """
    if not data.startswith(b"MATLAB 5.0 MAT-file") or data[126:128] not in (b"IM", b"MI"):
        raise DamagedError("is no MATLAB file of v5")
    order = "<" if data[126:128] == b"IM" else ">"
    found, room = {}, LARGEST
    try:
        for kind, content in _elements(data[_HEADER:], order):
            if kind == _COMPRESSED:
                unpacked = zlib.decompressobj().decompress(content, room)
                room -= len(unpacked)
                if room <= 0:
                    raise DamagedError(f"holds more than {LARGEST >> 20} MiB")
                kind, content = next(_elements(unpacked, order))
            if kind == _MATRIX and (named := _name(content, order)) in names:
                found[named] = _matrix(content, order, 0)
    except (struct.error, zlib.error, StopIteration, KeyError, UnicodeDecodeError, OverflowError):
        raise DamagedError("is damaged, or cut short") from None
    return found


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(type, content) of one element after another."""
    at = 0
    while at < len(data):
        (tag,) = struct.unpack_from(f"{order}I", data, at)
        if tag >> 16:  # a short one, within 8 bytes
            kind, count, start = tag & 0xFFFF, tag >> 16, at + 4
            at += 8
            if count > 4:
                raise DamagedError("is damaged: a short element is too long")
        else:
            kind, count = struct.unpack_from(f"{order}II", data, at)
            start = at + 8
            at = start + (count if kind == _COMPRESSED else -(-count // 8) * 8)
        if start + count > len(data):
            raise DamagedError("is cut short")
        yield kind, data[start : start + count]


def _name(content: bytes, order: str) -> str:
    parts = _elements(content, order)
    _, _, (_, name) = next(parts), next(parts), next(parts)
    return name.decode("latin-1")


def _matrix(content: bytes, order: str, depth: int) -> Any:
    """The value of a matrix element."""
    if not content:
        return np.empty((0, 0))
    if depth > _DEEPEST:
        raise DamagedError("is damaged: cells within cells without end")
    parts = _elements(content, order)
    (flags,) = struct.unpack_from(f"{order}I", next(parts)[1])
    sizes = next(parts)[1]
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    next(parts)  # its name
    count = math.prod(shape)
    if min(shape, default=-1) < 0 or count > len(content) * 8:
        raise DamagedError(f"is damaged: a matrix of {str(shape)[:40]}")
    kind = flags & 0xFF
    if kind == _CELL:
        return [_held(parts, order, depth) for _ in range(count)]
    if kind == _STRUCT:
        (width,) = struct.unpack_from(f"{order}i", next(parts)[1])
        packed = next(parts)[1]
        fields = [packed[at : at + width].split(b"\0")[0].decode("latin-1") for at in range(0, len(packed), width or 1)]
        structs = [{field: _held(parts, order, depth) for field in fields} for _ in range(count)]
        return structs[0] if count == 1 else structs
    if kind == _CHAR:
        stored, data = next(parts)
        ends = "-le" if order == "<" else "-be"
        coding = _TEXTS[stored]
        return data.decode(coding + ends if coding.startswith("utf-1") or coding == "utf-32" else coding)
    if kind in _NUMERIC and not flags & _COMPLEX:
        stored, data = next(parts)
        dtype = np.dtype(order + _NUMBERS[stored])
        if len(data) != count * dtype.itemsize:
            raise DamagedError(f"is damaged: a matrix of {str(shape)[:40]} has {len(data)} bytes")
        return np.frombuffer(data, dtype).reshape(shape, order="F")
    return None


def _held(parts: Iterator[tuple[int, bytes]], order: str, depth: int) -> Any:
    kind, content = next(parts)
    if kind != _MATRIX:
        raise DamagedError("is damaged: a cell or field that is no matrix")
    return _matrix(content, order, depth + 1)
