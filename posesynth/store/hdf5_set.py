"""A data set as one HDF5 file: `Hdf5Set`.

While it is written it is called .NAME.partial, has its full size on disk, and can be gone on with after a crash; then
it is renamed.  What the file looks like is in `hdf5_frame`.
"""

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError
from posesynth.store.folder import free_bytes, lock_file, plain, sync_directory
from posesynth.store.hdf5_frame import SMALLEST_BLOCK, Frame, block_bytes, find_blocks, make_frame, read_block
from posesynth.store.manifest import Json, Piece, ShardRecord
from posesynth.store.plan import Arrays, Plan, crc32c, difference
from posesynth.store.target import Finding, ForeignError

_WRITE = 2**24  # bytes handed to the system at a time
_BLOCK_START = b'{"identity": {'
_DIGEST = 32  # bytes of a SHA-256


class Hdf5Set:
    """An HDF5 data set, there already or to be made: a `Target`."""

    def __init__(self, path: str) -> None:
        self.where = path
        folder, base = os.path.split(path)
        self.partial = os.path.join(folder, f".{base}.partial")

    @property
    def found_at(self) -> str:
        """See `Target`."""
        return self.where if os.path.lexists(self.where) else self.partial

    def identity(self) -> Json | None:
        """See `Target`."""
        for path in (self.where, self.partial):
            found = describe(path)
            if found is not None:
                return dict(found[0]["identity"])
        if os.path.lexists(self.where):
            raise ForeignError(f"{self.where}: is not a posesynth data set, or too damaged to tell")
        return None

    def check(self, plan: Plan, repair: bool) -> None:
        """See `Target`."""
        for path in (self.where, self.partial):
            found = describe(path)
            if found is not None:
                try:
                    _layout(plan, found[1])
                except InputError as error:
                    raise InputError(f"{path}: {error}") from None
                return

    def is_complete(self) -> bool:
        """See `Target`."""
        return os.path.lexists(self.where)

    def claims(self, plan: Plan) -> dict[int, ShardRecord]:
        """See `Target`."""
        found = describe(self._active())
        if found is None or difference(plan.identity, found[0]["identity"]):
            return {}
        start, length = _layout(plan, found[1])["sha256"]
        data = _read(self._active(), start, length)
        table = np.frombuffer(data.ljust(length, b"\0"), np.uint8).reshape(plan.shards, len(plan.arrays), _DIGEST)
        written = np.flatnonzero((table != 0).any(axis=2).all(axis=1))
        return {int(k): _record(plan, int(k), [row.tobytes().hex() for row in table[k]]) for k in written}

    def is_sound(self, plan: Plan, record: ShardRecord) -> bool:
        """See `Target`."""
        path = self._active()
        frame = _frame(path)
        first, checks = record.start // plan.chunk, _checks(path, plan, frame, record.k)
        for name, piece in record.files.items():
            digest = hashlib.sha256()
            for index in range(len(checks[name])):
                data = _read_chunk(path, plan, frame, name, first + index)
                digest.update(data)
                if crc32c(data) != checks[name][index]:
                    return False
            if digest.hexdigest() != piece.sha256:
                return False
        return True

    def space_needed(self, plan: Plan) -> int:
        """See `Target`.  A file that was begun has its space already."""
        for path in (self.partial, self.where):
            if self._is_begun(plan, path):
                return 0
        return make_frame(plan).size

    def free(self) -> int | None:
        """See `Target`."""
        return free_bytes(self.where)

    @contextmanager
    def lock(self, shared: bool) -> Iterator[None]:
        """See `Target`.  What is locked is the partial file, empty where there is nothing to write."""
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                file = plain(os.open(self.partial, flags, 0o666), self.partial)
            except OSError as error:
                if error.errno not in (errno.EROFS, errno.EACCES) or not self.is_complete():
                    raise
                file = -1
                break  # nothing can be begun here, but what is finished can be checked
            try:
                lock_file(file, shared, self.where)
                with suppress(FileNotFoundError):  # renamed or removed by whoever had the lock until now
                    if os.path.samestat(os.fstat(file), os.stat(self.partial)):
                        break
            except BaseException:
                os.close(file)
                raise
            os.close(file)
        if file < 0:
            yield
            return
        try:
            yield
        finally:
            if os.fstat(file).st_size == 0:
                with suppress(FileNotFoundError):
                    os.unlink(self.partial)
            os.close(file)

    def prepare(self, plan: Plan, alone: bool) -> bool:
        """See `Target`."""
        if self._is_begun(plan, self.partial):
            return True
        ours = _is_ours(self.partial)
        if self._is_begun(plan, self.where) and not self._frame_faults(plan, self.where):
            if ours and describe(self.partial) is None:  # a run was killed before it had written anything
                with suppress(FileNotFoundError):  # where none can be made
                    os.truncate(self.partial, 0)
            return True
        if not ours:
            raise InputError(f"{self.partial}: was not made by posesynth; expected it moved out of the way")
        frame = make_frame(plan)
        identity = _identity(plan)
        file = os.open(self.partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            os.ftruncate(file, 0)
            # All space is taken now: a disk that fills up later does not stop the run.
            os.posix_fallocate(file, 0, frame.size)
            for at, data in frame.pieces:
                _write(file, at, data)
            os.fsync(file)
            _write_blocks(file, frame, block_bytes(frame, identity, {}))
            sync_directory(os.path.dirname(self.partial))
        except BaseException:
            os.ftruncate(file, 0)
            raise
        finally:
            os.close(file)
        return False

    def write(self, plan: Plan, k: int, threads: int = 1) -> ShardRecord:
        """See `Target`."""
        path = self._active()
        layout = _frame(path).layout
        digests = {name: hashlib.sha256() for name in plan.arrays}
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for first, _, arrays in plan.blocks(*plan.range(k), threads):
                for name in plan.arrays:
                    data = arrays[name].reshape(-1).view(np.uint8)
                    _write(file, layout[name][0] + first * plan.record_bytes(name), data.data)
                    digests[name].update(data.data)
                    size = plan.chunk * plan.record_bytes(name)
                    checks = np.array([crc32c(data[at : at + size]) for at in range(0, len(data), size)], "<u4")
                    _write(file, layout[f"crc32c/{name}"][0] + 4 * (first // plan.chunk), checks.data)
            os.fsync(file)
            row = b"".join(digest.digest() for digest in digests.values())
            _write(file, layout["sha256"][0] + k * len(row), row)
            os.fsync(file)
        finally:
            os.close(file)
        return _record(plan, k, [digest.hexdigest() for digest in digests.values()])

    def finish(self, plan: Plan, records: Mapping[int, ShardRecord]) -> None:
        """See `Target`."""
        path = self._active()
        found = describe(path)
        if found is None or len(records) != plan.shards:
            raise ValueError("a file is finished once every shard is written")
        document, frame = found
        digests = _frame_digests(path, plan, frame)
        if document["digests"] != digests:
            file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                _write_blocks(file, frame, block_bytes(frame, document["identity"], digests))
            finally:
                os.close(file)
        if path == self.partial:
            os.replace(self.partial, self.where)
            sync_directory(os.path.dirname(self.where))

    def source(self, plan: Plan) -> "Hdf5Source":
        """See `Target`."""
        found = describe(self.found_at)
        if found is None:
            raise InputError(f"{self.found_at}: is damaged; posesynth verify --repair mends it")
        size = os.path.getsize(self.found_at)
        if size != found[1].size:
            raise InputError(
                f"{self.found_at}: has {size} bytes; expected {found[1].size}; posesynth verify --repair mends it"
            )
        _layout(plan, found[1])
        return Hdf5Source(self.found_at, plan, found[1])

    def faults(self, plan: Plan) -> list[Finding]:
        """See `Target`."""
        if not self.is_complete():
            return [Finding(self.partial, "is not finished; the same command goes on with it")]
        faults = [Finding(self.where, fault) for fault in self._frame_faults(plan, self.where)]
        if os.path.lexists(self.partial):
            what = "is left over from an interrupted run" if _is_ours(self.partial) else "was not made by posesynth"
            faults.append(Finding(self.partial, what))
        return faults

    def stored(self, plan: Plan, name: str, k: int, start: int, length: int) -> bytes | None:
        """See `Target`."""
        first, last = plan.range(k)
        at = _frame(self.found_at).layout[name][0] + first * plan.record_bytes(name)
        return _read(self.found_at, at + start, min(length, (last - first) * plan.record_bytes(name) - start))

    def encoded(self, plan: Plan, name: str, samples: Arrays) -> bytes:
        """See `Target`."""
        return samples[name].tobytes()

    def tail(self, plan: Plan, name: str, k: int) -> bytes:
        """See `Target`."""
        return b""

    def label(self, plan: Plan, name: str, k: int) -> str:
        """See `Target`."""
        return f"{self.found_at}: {name}, shard {k}"

    def discard_strays(self, plan: Plan) -> None:
        """See `Target`.  There are none: a file of another name is none of ours."""

    def _active(self) -> str:
        # The file that is being written; a finished one is mended in place.
        begun, there = describe(self.partial), describe(self.where)
        if begun is None or (there is not None and difference(begun[0]["identity"], there[0]["identity"])):
            return self.where
        return self.partial

    def _is_begun(self, plan: Plan, path: str) -> bool:
        found = describe(path)
        if found is None or difference(plan.identity, found[0]["identity"]):
            return False
        return os.path.getsize(path) == found[1].size

    def _frame_faults(self, plan: Plan, path: str) -> list[str]:
        """What is wrong with a finished file, its samples aside."""
        found = describe(path)
        if found is None:
            return ["is too damaged to be read"]
        document, frame = found
        size = os.path.getsize(path)
        if size != frame.size:
            return [f"has {size} bytes; expected {frame.size}"]
        block = block_bytes(frame, document["identity"], document["digests"])
        faults = [
            f"{what}: was changed after it was written"
            for what, at in (("user block", 0), ("footer", frame.size - frame.block))
            if _read(path, at, frame.block) != block
        ]
        digests = _frame_digests(path, plan, frame)
        faults += [
            f"{what}: was changed after it was written"
            for what, digest in digests.items()
            if document["digests"].get(what) != digest
        ]
        return faults


class Hdf5Source:
    """A `Source` that reads the file without the HDF5 library and checks each chunk's CRC-32C."""

    def __init__(self, path: str, plan: Plan, frame: Frame) -> None:
        self.plan = plan
        self._path = path
        self._frame = frame

    def chunk(self, name: str, index: int) -> NDArray[Any]:
        """See `Source`."""
        plan = self.plan
        data = _read_chunk(self._path, plan, self._frame, name, index)
        check = _read(self._path, self._frame.layout[f"crc32c/{name}"][0] + 4 * index, 4)
        rows = min(plan.chunk, plan.n - index * plan.chunk)
        if len(data) != rows * plan.record_bytes(name) or crc32c(data) != int.from_bytes(check, "little"):
            raise InputError(
                f"{self._path}: {name}, shard {index * plan.chunk // plan.shard}: is missing or damaged; "
                "posesynth verify --repair mends it"
            )
        return np.frombuffer(data, plan.array_dtype(name)).reshape(rows, *plan.array_shape(name)[1:])


def describe(path: str) -> tuple[Json, Frame] | None:
    """The user block of a file, or its copy at the file's end, and the frame it tells of; None if neither is sound."""
    try:
        with open(_open(path), "rb") as file:
            for data in find_blocks(file, os.fstat(file.fileno()).st_size):
                with suppress(InputError):
                    return read_block(data, path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        pass
    return None


def _open(path: str) -> int:
    if os.path.isdir(path):
        raise IsADirectoryError(path)
    return plain(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), path)


def _is_ours(path: str) -> bool:
    # The user block is written last and its copy first: until then the file begins with zeros.
    try:
        start = _read(path, 0, SMALLEST_BLOCK)
    except FileNotFoundError:
        return True
    return start.startswith(_BLOCK_START) or not any(start)


def _frame(path: str) -> Frame:
    status = os.stat(path)
    return _frame_of(path, status.st_ino, status.st_ctime_ns, status.st_mtime_ns)


@lru_cache(maxsize=8)  # verify asks again for every few thousand samples
def _frame_of(path: str, *_version: int) -> Frame:
    found = describe(path)
    if found is None:
        raise InputError(f"{path}: is damaged; posesynth verify --repair mends it")
    return found[1]


def _identity(plan: Plan) -> Json:
    from posesynth.store.plan import package_version

    return {**plan.identity, "posesynth_version": package_version()}


def _layout(plan: Plan, frame: Frame) -> dict[str, tuple[int, int]]:
    """The frame's layout, InputError unless it is one that the plan can have."""
    lengths = {name: plan.n * plan.record_bytes(name) for name in plan.arrays}
    lengths |= {f"crc32c/{name}": 4 * -(-plan.n // plan.chunk) for name in plan.arrays}
    lengths |= {"sha256": plan.shards * len(plan.arrays) * _DIGEST}
    if {name: length for name, (_, length) in frame.layout.items()} != lengths:
        raise InputError("layout: is not that of the other attributes; the file was changed after it was written")
    return frame.layout


def _record(plan: Plan, k: int, digests: list[str]) -> ShardRecord:
    start, stop = plan.range(k)
    files = {
        name: Piece((stop - start) * plan.record_bytes(name), digest)
        for name, digest in zip(plan.arrays, digests, strict=True)
    }
    return ShardRecord(k, start, stop, files)


def _frame_digests(path: str, plan: Plan, frame: Frame) -> dict[str, str]:
    structure = hashlib.sha256()
    for start, stop in frame.gaps:
        structure.update(_read(path, start, stop - start))
    tables = [*(f"crc32c/{name}" for name in plan.arrays), "sha256"]
    return {
        "structure": structure.hexdigest(),
        **{table: hashlib.sha256(_read(path, *frame.layout[table])).hexdigest() for table in tables},
    }


def _checks(path: str, plan: Plan, frame: Frame, k: int) -> dict[str, list[int]]:
    start, stop = plan.range(k)
    first, last = start // plan.chunk, -(-stop // plan.chunk)
    found = {}
    for name in plan.arrays:
        data = _read(path, frame.layout[f"crc32c/{name}"][0] + 4 * first, 4 * (last - first))
        found[name] = np.frombuffer(data, "<u4").tolist()
    return found


def _read_chunk(path: str, plan: Plan, frame: Frame, name: str, index: int) -> bytes:
    record = plan.record_bytes(name)
    rows = min(plan.chunk, plan.n - index * plan.chunk)
    return _read(path, frame.layout[name][0] + index * plan.chunk * record, rows * record)


def _read(path: str, start: int, length: int) -> bytes:
    with open(_open(path), "rb", buffering=0) as file:
        file.seek(start)
        return file.read(length)


def _write(file: int, at: int, data: Any) -> None:
    rest = memoryview(data).cast("B")
    while len(rest):
        written = os.pwrite(file, rest[:_WRITE], at)
        at += written
        rest = rest[written:]


def _write_blocks(file: int, frame: Frame, block: bytes) -> None:
    _write(file, frame.size - frame.block, block)
    _write(file, 0, block)
    os.fsync(file)
