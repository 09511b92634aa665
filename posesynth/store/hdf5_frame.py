"""The frame of an HDF5 set: everything in the file but the samples, made in memory and written as bytes.

    user block      JSON: the identity, where each array lies, digests; digested itself
    HDF5            superblock, attributes, and one contiguous dataset an array
    crc32c/NAME     CRC-32C of each chunk of an array
    sha256          SHA-256 of each shard's part of each array; zeros until it is written
    footer          the user block once more; beyond the end that HDF5 knows of

The library writes no sample.  It leaves a file that a killed process had open unreadable, and crashes where the disk is
full; bytes written to known places of a file that is whole and reserved do neither.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from posesynth.errors import InputError, shown
from posesynth.store.manifest import Json, decode, digest_of
from posesynth.store.plan import Plan, package_version

SMALLEST_BLOCK = 512
LARGEST_BLOCK = 2**25
_ROOM = 4096  # of the user block, for all that is not the identity


@dataclass(frozen=True)
class Frame:
    """Bytes of the file and their places, the place and length of each dataset, and the file's size."""

    block: int  # length of the user block
    size: int
    layout: dict[str, tuple[int, int]]
    pieces: list[tuple[int, bytes]]  # superblock, headers and attributes, later ones over earlier ones

    @property
    def gaps(self) -> Iterator[tuple[int, int]]:
        """(start, stop) of what lies between the user block and the datasets: the structure."""
        at = self.block
        for start, length in sorted(self.layout.values()):
            yield at, start
            at = start + length
        yield at, self.size - self.block


def make_frame(plan: Plan, version: str | None = None) -> Frame:
    """The frame of a plan's file.  version: of posesynth, where the file names it already."""
    import h5py

    identity = {**plan.identity, "posesynth_version": version or package_version()}
    block = SMALLEST_BLOCK
    while block < len(json.dumps(identity)) + _ROOM:
        block *= 2
    memory = _Sparse()
    layout = {}
    with h5py.File(memory, "w", userblock_size=block) as file:
        for key, value in identity.items():
            file.attrs[key] = _attribute(key, value)
        file.create_group("crc32c")
        for name, shape, dtype in datasets(plan):
            identifier = _reserve(file, name, shape, dtype)
            layout[name] = (identifier.get_offset(), identifier.get_storage_size())
    return Frame(block, memory.size + block, layout, memory.pieces)


def datasets(plan: Plan) -> Iterator[tuple[str, tuple[int, ...], "np.dtype[Any]"]]:
    """(name, shape, dtype) of each dataset of a plan's file, in the file's order."""
    for name in plan.arrays:
        yield name, plan.array_shape(name), plan.array_dtype(name)
    for name in plan.arrays:
        yield f"crc32c/{name}", (-(-plan.n // plan.chunk),), np.dtype("<u4")
    yield "sha256", (plan.shards, len(plan.arrays), 32), np.dtype("u1")


def _reserve(file: Any, name: str, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> Any:
    from h5py import h5d, h5p, h5s, h5t

    settings = h5p.create(h5p.DATASET_CREATE)
    settings.set_layout(h5d.CONTIGUOUS)
    settings.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5d.FILL_TIME_NEVER)
    settings.set_obj_track_times(False)
    return h5d.create(file.id, name.encode(), h5t.py_create(dtype, logical=True), h5s.create_simple(shape), settings)


def _attribute(key: str, value: Any) -> Any:
    if key in ("sampling", "evolution"):
        return json.dumps(value, sort_keys=True)
    if key == "seed":
        return np.uint64(value)
    if key == "parents":
        return np.array(value, "<i4")
    return value


def block_bytes(frame: Frame, identity: Json, digests: Json) -> bytes:
    """The user block.  digests: of the structure and the tables; empty until the set is whole."""
    layout = {name: {"offset": start, "length": length} for name, (start, length) in frame.layout.items()}
    body = {"identity": identity, "size": frame.size, "layout": layout, "digests": digests}
    text = json.dumps({**body, "sha256": digest_of(body)}).encode()
    return text + b" " * (frame.block - 1 - len(text)) + b"\n"


def read_block(data: bytes, source: str) -> tuple[Json, Frame]:
    """A user block's JSON, and the frame it describes without the pieces; InputError unless its own digest is right."""
    document = decode(data, source)
    body = {key: document.get(key) for key in ("identity", "size", "layout", "digests")}
    kinds = [type(part) for part in body.values()]
    if kinds != [dict, int, dict, dict] or set(document) != {*body, "sha256"} or document["sha256"] != digest_of(body):
        raise InputError(f"{source}: was changed after it was written (its own digest is wrong)")
    if not 0 < document["size"] < 2**63:
        raise InputError(f"{source}: size: is {shown(document['size'])}; expected that of a file")
    layout = {}
    for name, place in document["layout"].items():
        if type(place) is not dict or list(map(type, place.values())) != [int, int] or min(place.values()) < 0:
            raise InputError(f"{source}: layout: {shown(place)} is no place of a dataset")
        layout[name] = (place.get("offset", 0), place.get("length", 0))
        if not len(data) <= layout[name][0] <= document["size"] - layout[name][1]:
            raise InputError(f"{source}: layout: {shown(place)} is not in the file")
    return document, Frame(len(data), document["size"], layout, [])


def find_blocks(file: io.BufferedReader, size: int) -> Iterator[bytes]:
    """What may be the user block, at the file's start or its copy at the end."""
    length = SMALLEST_BLOCK
    while length <= min(LARGEST_BLOCK, size):
        for at in (0, size - length):
            file.seek(at)
            data = file.read(length)
            if data.startswith(b"{") and data.endswith(b"\n"):
                yield data
        length *= 2


class _Sparse(io.RawIOBase):
    """A file in memory that holds only what was written: the datasets between take nothing."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []
        self.size = 0
        self._at = 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None, /) -> int:
        self.size = self._at if size is None else size
        return self.size

    def write(self, data: Any, /) -> int:
        data = bytes(data)
        self.pieces.append((self._at, data))
        self._at += len(data)
        self.size = max(self.size, self._at)
        return len(data)

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        view[:] = bytes(len(view))
        for at, data in self.pieces:
            first, last = max(at, self._at), min(at + len(data), self._at + len(view))
            if first < last:
                view[first - self._at : last - self._at] = data[first - at : last - at]
        self._at += len(view)
        return len(view)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
