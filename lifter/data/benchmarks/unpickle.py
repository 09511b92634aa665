"""Pickles of strangers: dicts, lists, texts, numbers and NumPy's arrays of numbers, and nothing that could run.

A pickle is a program; it may call whatever it names.  Here it gets stand-ins for the few names that NumPy's arrays
need, written in this file, and no other name: neither NumPy's nor Python's code is called with what a file says.
"""

import io
import math
import pickle
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, fault, quote, reason
from posesynth.motion.tables import DAMAGE, check_archive
from posesynth.npy_header import read_npy_header

LARGEST = 2**30  # bytes of a pickle
_DAMAGE = (pickle.UnpicklingError, TypeError, AttributeError, RecursionError, UnicodeError, *DAMAGE)
_NUMBERS = tuple("biuf")
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")


def unpickle(path: str, what: str, data: bytes) -> Any:
    """The value in a pickle; its arrays are found by `array_of`.  InputError, one line, for all that is not allowed."""
    try:
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except _ForbiddenError as error:
        found = f"{what}: would call {quote(str(error), 60)}"
        raise fault(path, None, f"{found}; expected dicts, lists, texts and arrays of numbers alone") from None
    except _DAMAGE as error:
        raise fault(path, None, f"{what}: damaged, or no pickle: {reason(cast(Exception, error))}") from None


def array_of(path: str, what: str, value: Any) -> NDArray[np.generic]:
    """The array of numbers that a value in an unpickled object is."""
    array = value.array if isinstance(value, _Array) else None
    if array is None:
        raise fault(path, None, f"{what}: is {type(value).__name__.lstrip('_').lower()}; expected an array of numbers")
    return array


def read_object(path: str, name: str) -> Any:
    """The object that the array `name` of an NPZ holds, as `np.savez(path, name=some_dict)` writes it."""
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            if f"{name}.npy" not in archive.namelist():
                found = ", ".join(quote(member, 24) for member in archive.namelist()[:6]) or "nothing"
                raise fault(path, None, f"no array '{name}', found {found}; expected it there")
            with archive.open(f"{name}.npy") as file:
                header = read_npy_header(cast(BinaryIO, file))
                if header.dtype.kind != "O" or header.shape != ():
                    raise fault(path, None, f"{name}: {header.dtype} of shape {header.shape}; expected one object")
                data = file.read(LARGEST + 1)
    except InputError:
        raise
    except DAMAGE as error:
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
    if len(data) > LARGEST:
        raise fault(path, None, f"{name}: larger than {LARGEST >> 20} MiB; expected a smaller file")
    value = unpickle(path, name, data)
    # np.save pickles the array that holds the object.
    if isinstance(value, _Array) and isinstance(value.held, list) and len(value.held) == 1:
        return value.held[0]
    raise fault(path, None, f"{name}: no object of NumPy's; expected one that np.savez wrote")


class _ForbiddenError(Exception):
    """The name that a pickle asked for."""


class _Type:
    """What a pickle says of an array's type."""

    def __init__(self, code: object = None, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise ValueError("a type of numbers that is none")
        self.order = state[1]

    def numbers(self) -> np.dtype[Any]:
        code = self.code
        if not isinstance(code, str) or code[:1] not in _NUMBERS or code[1:] not in ("1", "2", "4", "8"):
            raise ValueError("an array of something other than numbers")
        return np.dtype(code).newbyteorder("=" if self.order == "|" else self.order)  # type: ignore[arg-type]


class _Array:
    """An array: numbers in ``array``, or the objects ``held`` in one."""

    def __init__(self, *_: object) -> None:
        self.array: NDArray[np.generic] | None = None
        self.held: list[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], _Type):
            raise ValueError("an array that is none")
        _, shape, kind, fortran, data = state
        if kind.code == "O8" and isinstance(data, list):
            self.held = data
            return
        numbers = kind.numbers()
        if isinstance(data, str):  # of Python 2
            data = data.encode("latin1")
        if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape) or len(shape) > 8:
            raise ValueError("an array without a shape")
        if not isinstance(data, bytes) or math.prod(shape) * numbers.itemsize != len(data):
            raise ValueError("an array of another size than it says")
        self.array = np.frombuffer(data, numbers).reshape(shape, order="F" if fortran else "C")


def _array(data: object, kind: object, shape: object, order: object) -> _Array:
    """An array as protocol 5 writes it."""
    if order not in ("C", "F"):
        raise ValueError("an array without an order")
    found = _Array()
    found.__setstate__((1, shape, kind, order == "F", bytes(data) if isinstance(data, bytes | bytearray) else data))
    return found


def _bytes(text: object, coding: object) -> bytes:
    """How Python 2's protocols write bytes: ``_codecs.encode(text, 'latin1')``."""
    if not isinstance(text, str) or coding not in ("latin1", "latin-1"):
        raise ValueError("bytes that are none")
    return text.encode("latin1")


def _number(kind: object, data: object) -> float | int:
    """One of NumPy's numbers."""
    if not isinstance(kind, _Type):
        raise ValueError("a number that is none")
    raw = data.encode("latin1") if isinstance(data, str) else data
    numbers = kind.numbers()
    if not isinstance(raw, bytes) or len(raw) != numbers.itemsize:
        raise ValueError("a number of another size than it says")
    value: float | int = np.frombuffer(raw, numbers)[0].item()
    return value


# Python's own in place of C's, which takes memory for each place that a pickle names.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of an allowed name, made anew: no pickle leaves a mark on what the next one gets."""
        if module in _MODULES:
            if name == "_reconstruct":
                return lambda *_: _Array()
            if name == "ndarray":
                return None
            if name == "dtype":
                return lambda code, *_: _Type(code)
            if name == "scalar":
                return lambda kind, data: _number(kind, data)
        if (module, name) in (("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer")):
            return lambda data, kind, shape, order: _array(data, kind, shape, order)
        if (module, name) == ("_codecs", "encode"):
            return lambda text, coding: _bytes(text, coding)
        if (module, name) in (("__builtin__", "bytes"), ("builtins", "bytes")):
            return lambda: b""  # how older protocols write bytes of length 0
        raise _ForbiddenError(f"{module}.{name}")


def _plain_keys(load: Callable[[Any], None], keys: Callable[[Any], list[Any]]) -> Callable[[Any], None]:
    """`load`, an opcode, once the keys that it puts into a dict are texts or numbers.

    A tuple of the same tuple twice, forty deep, takes 2^40 steps to hash.
    """

    def checked(unpickler: Any) -> None:
        if not all(isinstance(key, str | bytes | int | float) for key in keys(unpickler)):
            raise ValueError("a key that is neither text nor number")
        load(unpickler)

    return checked


def _no_sets(unpickler: Any) -> None:
    raise ValueError("a set; expected dicts, lists, texts and arrays of numbers alone")


_OPCODES: dict[int, Any] = pickle._Unpickler.dispatch
_Unpickler.dispatch = {
    **_OPCODES,
    pickle.SETITEM[0]: _plain_keys(_OPCODES[pickle.SETITEM[0]], lambda u: u.stack[-2:-1]),
    pickle.SETITEMS[0]: _plain_keys(_OPCODES[pickle.SETITEMS[0]], lambda u: u.stack[0::2]),
    pickle.DICT[0]: _plain_keys(_OPCODES[pickle.DICT[0]], lambda u: u.stack[0::2]),
    **dict.fromkeys((pickle.EMPTY_SET[0], pickle.ADDITEMS[0], pickle.FROZENSET[0]), _no_sets),
}
