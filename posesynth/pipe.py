"""Batches through a pipe or a file, for any language: one line of JSON, then .npy arrays one after another.

docs/streaming.md is the description that binds both sides.
"""

import json
import select
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from io import BytesIO
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .ahead import ahead, held
from .errors import InputError, shown, whole_number
from .npy_header import read_npy_header
from .sampler import (
    FIELDS,
    STREAM_VERSION,
    Batch,
    check_field,
    check_range,
    cores,
    field_dtype,
    field_shape,
    sample_into,
)
from .schema import skeleton_of
from .skeleton import Skeleton

VERSION = 1
"""Version of the framing, `posesynth_stream` in the header."""

LARGEST_HEADER = 2**24  # bytes: a skeleton's YAML has at most one MiB, and JSON may write a byte as six
LARGEST_BATCH = 2**30  # bytes: what a header can make a reader allocate

_NPY_BEGIN = npy.MAGIC_LEN + 2  # magic, version, and the length of what follows

_BLOCK_BYTES = 2 * 2**20  # made in one go
_PIPE_BYTES = 2**20  # Linux lets anyone have this much
_F_SETPIPE_SZ = 1031


def write_stream(
    skeleton: Skeleton,
    file: BinaryIO,
    batch_size: int = 500,
    n: int | None = None,
    seed: int = 0,
    start: int = 0,
    arrays: Sequence[str] = ("p2d", "o"),
    threads: int | None = None,
) -> int:
    """Write a header and batches of samples start, start + 1, ... to a binary file; returns how many samples.

    n: how many samples, None for as many as there are indices; the last batch may be short.  arrays: p2d, o and any
    others of `posesynth.sampler.FIELDS`, in the order they are to be written.  A reader that closes its end of
    the pipe ends it early, quietly.  Raises InputError on a value outside these, a terminal, a full disk.
    """
    header = _header(skeleton, batch_size, n, seed, start, arrays)
    if skeleton_of(skeleton.text, header["sampling"], skeleton.name).digest != skeleton.digest:
        raise InputError("skeleton: differs from its own YAML text; expected one read by load_skeleton")
    if file.isatty():
        raise InputError("output: is a terminal; expected a pipe or a file, as in `posesynth stream ... | reader`")
    threads = threads or min(cores(), 4)
    # The file's own buffer would copy all once more, and keep what a closed pipe no longer takes.
    file.flush()
    raw = getattr(file, "raw", file)
    written = 0
    try:
        _widen(raw)
        _write(raw, json.dumps(header, ensure_ascii=True).encode() + b"\n")
        with closing(_blocks(skeleton, header, threads)) as blocks:
            for block in blocks:
                for batch in _cut(block, batch_size):
                    for array in batch:
                        _write(raw, _npy_header(array.shape, array.dtype))
                        _write(raw, array.data.cast("B"))
                    written += len(batch[0])
    except BrokenPipeError:
        pass
    except OSError as error:
        raise InputError(f"output: cannot be written after {written} samples; {error.strerror}") from None
    return written


def _header(
    skeleton: Skeleton, batch_size: int, n: int | None, seed: int, start: int, arrays: Sequence[str]
) -> dict[str, Any]:
    """What the first line says.  InputError on a value that cannot be."""
    seed, start, last = check_range(seed, start, 2**64)
    n = None if n is None else whole_number("n", n, 1, last - start)
    batch_size = whole_number("batch", batch_size, 1, 2**64)
    if len(arrays) > len(FIELDS):
        raise InputError(f"arrays: are {len(arrays)}; expected at most {len(FIELDS)}, each once")
    for name in arrays:
        check_field(name)
    if len(set(arrays)) != len(arrays) or not {"p2d", "o"} <= set(arrays):
        raise InputError(f"arrays: are {', '.join(arrays)}; expected p2d, o and any of {', '.join(FIELDS[2:])}")
    size = batch_size * sum(_bytes(skeleton, name) for name in arrays)
    if size > LARGEST_BATCH:
        raise InputError(f"batch: {batch_size} samples are {size} bytes; expected at most {LARGEST_BATCH}")
    return {
        "posesynth_stream": VERSION,
        "stream_version": STREAM_VERSION,
        "seed": seed,
        "start": start,
        "n": n,
        "batch": batch_size,
        "arrays": [_described(skeleton, name) for name in arrays],
        "joints": list(skeleton.joints),
        "parents": skeleton.parents.tolist(),
        "sampling": json.loads(json.dumps(skeleton.sampling.values())),
        "skeleton_digest": skeleton.digest,
        "skeleton": skeleton.text,
    }


def _described(skeleton: Skeleton, name: str) -> dict[str, Any]:
    return {"name": name, "dtype": _dtype(name).str, "shape": list(field_shape(skeleton, name))}


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(field_dtype(name)).newbyteorder("<")


def _bytes(skeleton: Skeleton, name: str) -> int:
    return prod(field_shape(skeleton, name)) * _dtype(name).itemsize


def _blocks(skeleton: Skeleton, header: dict[str, Any], threads: int) -> Generator[list[NDArray[Any]], None, None]:
    """The arrays of some batches at a time, made ahead into buffers that are used again."""
    names = [array["name"] for array in header["arrays"]]
    batch, first, seed = header["batch"], header["start"], header["seed"]
    stop = 2**64 if header["n"] is None else first + header["n"]
    size = batch * max(1, _BLOCK_BYTES // (batch * sum(_bytes(skeleton, name) for name in names)))
    size = min(size, max(1, stop - first))
    buffers = [
        {name: np.empty((size, *field_shape(skeleton, name)), field_dtype(name)) for name in names}
        for _ in range(held(threads))
    ]

    def make(k: int) -> list[NDArray[Any]]:
        start = first + k * size
        block = {name: array[: min(size, stop - start)] for name, array in buffers[k % len(buffers)].items()}
        sample_into(skeleton, seed, start, block)
        return list(block.values())

    return ahead(make, range(-(-(stop - first) // size)), threads)


def _cut(block: list[NDArray[Any]], batch: int) -> Iterator[list[NDArray[Any]]]:
    for first in range(0, len(block[0]), batch):
        yield [array[first : first + batch] for array in block]


@lru_cache(maxsize=64)
def _npy_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    out = BytesIO()
    npy.write_array_header_1_0(out, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return out.getvalue()


def _write(raw: Any, data: bytes | memoryview) -> None:
    """All of `data`: a raw file may take less than it is given, and one that does not block, nothing."""
    left = memoryview(data)
    while left:
        written = raw.write(left)
        if written is None:
            select.select([], [raw], [])
        else:
            left = left[written:]


def _widen(raw: Any) -> None:
    """Let the pipe hold more than Linux's 64 KiB, so that the two ends take turns less often."""
    try:
        import fcntl

        fcntl.fcntl(raw.fileno(), _F_SETPIPE_SZ, _PIPE_BYTES)
    except (ImportError, OSError, AttributeError):
        pass  # no pipe, no Linux, or too many pipes: slower, not wrong


def read_stream(file: BinaryIO) -> "StreamReader":
    """The batches that `posesynth stream` wrote to `file`, a binary file such as ``sys.stdin.buffer``.

    Raises InputError, here or on a later batch, where the bytes are not such a stream or end too early.
    """
    return StreamReader(file)


class StreamReader:
    """An iterator of `posesynth.Batch`, with what the header says.

    skeleton, seed, start, n (None for endless), batch_size, arrays (names in the order written), stream_version.
    """

    def __init__(self, file: BinaryIO) -> None:
        name = getattr(file, "name", "stream")
        self._source = name if isinstance(name, str) else "stream"
        self._file = file
        self._done = 0
        self._last_headers: dict[tuple[str, int], bytes] = {}
        line = file.readline(LARGEST_HEADER)
        try:
            self.skeleton, header = _parsed(line, self._source)
        except RecursionError:  # a value nested so deep that it can be read, but not shown
            raise InputError(f"{self._source}: is no posesynth stream; its header is nested too deep") from None
        except InputError as error:
            own = f"{self._source}:"
            lines = (text if text.startswith(own) else f"{own} {text}" for text in error.lines)
            raise InputError(*lines) from None
        self.seed: int = header["seed"]
        self.start: int = header["start"]
        self.n: int | None = header["n"]
        self.batch_size: int = header["batch"]
        self.arrays: tuple[str, ...] = tuple(array["name"] for array in header["arrays"])
        self.stream_version: int = header["stream_version"]

    def __iter__(self) -> "StreamReader":
        return self

    def __next__(self) -> Batch:
        size = min(self.batch_size, (2**64 - self.start if self.n is None else self.n) - self._done)
        if size == 0:
            if self._file.read(1):
                raise InputError(f"{self._source}: goes on after {self._done} samples; expected its end there")
            raise StopIteration
        arrays: dict[str, NDArray[Any]] = {}
        for name in self.arrays:
            begin = self._read(_NPY_BEGIN)
            if not begin and not arrays and self.n is None:
                raise StopIteration
            header = begin + self._read(int.from_bytes(begin[npy.MAGIC_LEN :], "little"))
            # Reading a header takes as long as reading a small batch, and all batches but the last have the same.
            if header != self._last_headers.get((name, size)):
                self._check_array_header(header, name, size)
                self._last_headers[name, size] = header
            arrays[name] = self._read_data(name, size)
        self._done += size
        return Batch(**arrays)

    def _check_array_header(self, header: bytes, name: str, size: int) -> None:
        length = int.from_bytes(header[npy.MAGIC_LEN : _NPY_BEGIN], "little")
        if len(header) < _NPY_BEGIN + length:
            raise self._cut_short()
        try:
            version, shape, fortran, dtype = read_npy_header(BytesIO(header))
            if version != (1, 0):
                raise ValueError("not version 1.0")
        except ValueError:
            raise self._fault(f"{name}: has no .npy header (version 1.0)") from None
        expected = (size, *field_shape(self.skeleton, name))
        if (shape, fortran, dtype) != (expected, False, _dtype(name)):
            found = f"{dtype} {shape}{' in Fortran order' if fortran else ''}"
            raise self._fault(f"{name}: is {found[:60]}; expected {_dtype(name)} {expected} in C order")

    def _read_data(self, name: str, size: int) -> NDArray[Any]:
        array = np.empty((size, *field_shape(self.skeleton, name)), field_dtype(name))
        left = array.data.cast("B")
        while left:
            got = self._file.readinto(left)  # type: ignore[attr-defined]
            if not got:
                raise self._cut_short()
            left = left[got:]
        if array.dtype == np.bool_ and array.view(np.uint8).max() > 1:
            raise self._fault(f"{name}: has bytes that are neither 0 nor 1")
        return array

    def _read(self, count: int) -> bytes:
        """`count` bytes, fewer only at the end of the file."""
        parts = b""
        while len(parts) < count and (part := self._file.read(count - len(parts))):
            parts += part
        return parts

    def _cut_short(self) -> InputError:
        whole = "a whole batch" if self.n is None else f"{self.n} samples"
        return InputError(f"{self._source}: ends early, after {self._done} samples; expected {whole}")

    def _fault(self, text: str) -> InputError:
        return InputError(f"{self._source}: samples from {self._done}: {text}")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 60 and value.isidentifier()


def _parsed(line: bytes, source: str) -> tuple[Skeleton, dict[str, Any]]:
    """The skeleton and the header of a stream's first line; InputError where it is none, or contradicts itself."""
    try:
        header = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or "posesynth_stream" not in header:
        raise InputError("is no posesynth stream; expected what `posesynth stream` writes")
    version = header["posesynth_stream"]
    if type(version) is not int or version != VERSION:
        raise InputError(f"posesynth_stream: is {shown(version)}; this version of posesynth reads {VERSION}")
    arrays = header.get("arrays")
    if not isinstance(arrays, list) or not all(isinstance(a, dict) and _is_name(a.get("name")) for a in arrays):
        raise InputError("arrays: is no list of named arrays")
    skeleton = skeleton_of(header.get("skeleton"), header.get("sampling"), source)
    try:
        expected = _header(
            skeleton,
            batch_size=header["batch"],
            n=header["n"],
            seed=header["seed"],
            start=header["start"],
            arrays=[array["name"] for array in arrays],
        )
        whole_number("stream_version", header["stream_version"], 0, 2**64)
    except KeyError as error:
        raise InputError(f"{error.args[0]}: is missing from the header") from None
    for key, value in expected.items():
        if key not in header or (key != "stream_version" and header[key] != value):
            raise InputError(f"{key}: is missing from the header, or contradicts the rest of it")
    return skeleton, header
