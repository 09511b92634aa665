"""MATLAB files up to version 7, read without trust: nothing in them is run, and none unpacks to more than it may."""

import os
import struct
import zlib
from typing import Any

from posesynth.errors import InputError
from posesynth.motion.clip import MAX_ARCHIVE, fault
from posesynth.motion.tables import reason
from posesynth.yaml_source import quote

_COMPRESSED = 15
_PIECE = 2**20
_DAMAGE = (
    *(OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError),
    *(ArithmeticError, MemoryError, NotImplementedError, SystemError, zlib.error, struct.error),
)


def read_mat(path: str, name: str, *, structs: bool = False) -> Any:
    """The variable `name`; structs as objects with attributes, without axes of length 1, where asked for."""
    scipy_io = _scipy_io()
    check_mat(path)
    try:
        found = scipy_io.loadmat(path, variable_names=[name], squeeze_me=structs, struct_as_record=not structs)
    except RecursionError:
        raise fault(path, None, "nested too deep; expected the set's own file") from None
    except _DAMAGE as error:
        raise fault(
            path, None, f"cannot be read: {reason(error)}; expected a MATLAB file of version 7 or less"
        ) from None
    if name not in found:
        raise fault(path, None, f"no variable {quote(name)}; expected it there")
    return found[name]


def variables(path: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the variables in a file."""
    scipy_io = _scipy_io()
    check_mat(path)
    try:
        return {name: tuple(shape) for name, shape, _ in scipy_io.whosmat(path)}
    except _DAMAGE as error:
        raise fault(
            path, None, f"cannot be read: {reason(error)}; expected a MATLAB file of version 7 or less"
        ) from None


def check_mat(path: str) -> None:
    """InputError for what is no plain file or unpacks to more than `MAX_ARCHIVE` bytes."""
    try:
        if not os.path.isfile(path):
            raise fault(path, None, "is no regular file; expected a MATLAB file")
        size = os.path.getsize(path)
        if size > MAX_ARCHIVE or size + _unpacked(path) > 2 * MAX_ARCHIVE:
            raise fault(path, None, f"larger than {MAX_ARCHIVE >> 20} MiB; expected a smaller MATLAB file")
    except InputError:
        raise
    except _DAMAGE as error:
        raise fault(path, None, f"cannot be read: {reason(error)}; expected a MATLAB file") from None


def _unpacked(path: str) -> int:
    """Bytes that a version 5 file's compressed elements become; little-endian files, as all machines write today."""
    total = 0
    with open(path, "rb") as file:
        if file.read(128)[126:128] != b"IM":
            return 0
        while len(tag := file.read(8)) == 8 and total <= MAX_ARCHIVE:
            kind, length = struct.unpack("<II", tag)
            if kind != _COMPRESSED:
                file.seek(length, os.SEEK_CUR)
                continue
            unpack = zlib.decompressobj()
            while length > 0 and total <= MAX_ARCHIVE and (packed := file.read(min(length, _PIECE))):
                length -= len(packed)
                while packed and total <= MAX_ARCHIVE:
                    total += len(unpack.decompress(packed, _PIECE))
                    packed = unpack.unconsumed_tail
            if length > 0:
                break
    return total


def _scipy_io() -> Any:
    try:
        from scipy import io
    except ModuleNotFoundError:
        raise InputError("MATLAB files need scipy: pip install 'posesynth[images]'") from None
    return io
