"""The header of a .npy file, read without trust: whatever is wrong with it is a ValueError of one short line."""

import warnings
from io import BytesIO
from tokenize import TokenError
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy

LARGEST = 10_000  # bytes; NumPy writes 118 for an array of three dimensions
MOST_DIMENSIONS = 32

_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4, (3, 0): 4}


class NpyHeader(NamedTuple):
    """What comes before the numbers.  ``shape`` holds plain integers, none of them negative."""

    version: tuple[int, int]
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


def read_npy_header(file: BinaryIO) -> NpyHeader:
    """The header that `file` begins with; reads no byte beyond it.  ValueError where there is none."""
    try:
        version = npy.read_magic(file)
    except ValueError:
        raise ValueError("does not begin as a .npy file does") from None
    if version not in _LENGTH_BYTES:
        raise ValueError(f"version {version[0]}.{version[1]} of the format; expected 1.0 to 3.0")
    length = file.read(_LENGTH_BYTES[version])
    count = int.from_bytes(length, "little")
    if count > LARGEST:
        raise ValueError(f"a header of {count} bytes; expected at most {LARGEST}")
    text = file.read(count)
    if len(length) < _LENGTH_BYTES[version] or len(text) < count:
        raise ValueError("cut short within its header")
    parse = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python and NumPy have to say of bytes that look like bad code
            shape, fortran, dtype = parse(BytesIO(length + text), max_header_size=LARGEST)
    except (ValueError, TypeError, SyntaxError, LookupError, ArithmeticError, AttributeError, AssertionError):
        raise ValueError("its header cannot be read") from None
    except (TokenError, RecursionError, MemoryError):  # brackets without an end, or too deep
        raise ValueError("its header cannot be read") from None
    if len(shape) > MOST_DIMENSIONS or not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        raise ValueError(f"a shape that no array has; expected at most {MOST_DIMENSIONS} sizes, none negative")
    return NpyHeader(version, shape, fortran, dtype)
