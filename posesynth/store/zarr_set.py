"""A data set as a Zarr v3 group in a `Folder`.

zarr.json, p2d/zarr.json, o/zarr.json      what the set is
p2d/c.3.0.0, o/c.3.0.0                     shard 3
.journal/3.json                            shard 3 is written; these go when the set is whole
manifest.json                              the set is whole
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError
from posesynth.store.folder import Folder
from posesynth.store.manifest import (
    Json,
    Piece,
    ShardRecord,
    decode,
    encode,
    manifest_bytes,
    read_manifest,
    read_record,
    records_of,
)
from posesynth.store.plan import Plan, crc32c, difference, package_version

MANIFEST = "manifest.json"
GROUP = "zarr.json"
JOURNAL = ".journal/"

_DIMENSIONS = {
    "p2d": ["sample", "joint", "xz"],
    "o": ["sample", "edge", "r_theta_phi"],
    "p3d": ["sample", "joint", "xyz"],
    "o_up": ["sample", "edge", "r_theta_phi"],
    "rotation": ["sample", "row", "column"],
    "visibility": ["sample", "joint"],
}
_CRC = 4  # bytes of a CRC-32C
_BYTES: Json = {"name": "bytes", "configuration": {"endian": "little"}}


class ZarrSet:
    """A Zarr data set, there already or to be made: a `Target`."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.where = folder.where

    def identity(self) -> Json | None:
        """The attributes of the set that is here, None where nothing is yet.  InputError where something else is."""
        attributes = _attributes(self.folder.read(GROUP))
        if attributes is not None:
            return attributes
        manifest = self._manifest()
        if manifest is not None:
            return dict(manifest["identity"])
        if all(self.folder.is_leftover(name) for name in self.folder.sizes()):
            return None
        raise InputError(
            f"{self.where}: holds something that is not a posesynth data set; expected a path where nothing is yet"
        )

    def is_complete(self) -> bool:
        """Whether the manifest is here, which is written last."""
        return self.folder.read(MANIFEST) is not None

    def claims(self, plan: Plan) -> dict[int, ShardRecord]:
        """The shards that the manifest, or else the journal, says are written, by number."""
        manifest = self._manifest()
        if manifest is not None and not difference(plan.identity, manifest["identity"]):
            return records_of(plan, manifest, MANIFEST)
        found = {}
        for name in self.folder.sizes():
            if name.startswith(JOURNAL) and not self.folder.is_leftover(name):
                try:
                    record = read_record(plan, decode(self.folder.read(name) or b"", name), name)
                except InputError:
                    continue  # cut short by a crash: the shard is written again
                found[record.k] = record
        return found

    def is_sound(self, plan: Plan, record: ShardRecord) -> bool:
        """Whether a shard's files are what the record says, byte for byte."""
        return all(
            self.folder.digest(shard_name(plan, name, record.k)) == piece.sha256 for name, piece in record.files.items()
        )

    def nbytes(self, plan: Plan, k: int) -> int:
        """Bytes that shard k takes."""
        return sum(shard_length(plan, name, k) for name in plan.arrays)

    def free(self) -> int | None:
        """Bytes that can still be written here, None if nobody knows."""
        return self.folder.free()

    def lock(self, shared: bool) -> AbstractContextManager[None]:
        """See `Folder.lock`."""
        return self.folder.lock(shared)

    def prepare(self, plan: Plan, alone: bool) -> None:
        """Write what says which set this is.  alone: nobody else writes here, so leftovers can go."""
        if alone:
            self._sweep()
        for name, data in metadata(plan, self.identity()).items():
            if self.folder.read(name) != data:
                self.folder.put(name, data)

    def write(self, plan: Plan, k: int, threads: int = 1) -> ShardRecord:
        """Make shard k and write it, whole and durable, with its journal entry."""
        arrays = plan.make(k, threads)
        files = {}
        for name in plan.arrays:
            data = encode_shard(plan, name, k, arrays.pop(name))
            self.folder.put(shard_name(plan, name, k), data)
            files[name] = Piece(len(data), hashlib.sha256(data).hexdigest())
        record = ShardRecord(k, *plan.range(k), files)
        self.folder.put(f"{JOURNAL}{k}.json", encode(record.json))
        return record

    def finish(self, plan: Plan, records: Mapping[int, ShardRecord]) -> None:
        """All shards are written: write the manifest, then remove the journal and leftovers."""
        identity = self.identity()
        documents = metadata(plan, identity)
        attributes = json.loads(documents[GROUP])["attributes"]
        others = {
            name: {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in documents.items()
        }
        data = manifest_bytes(plan, attributes, records.values(), others)
        if self.folder.read(MANIFEST) != data:
            self.folder.put(MANIFEST, data)
        for name in self.folder.sizes():
            if name.startswith(JOURNAL):
                self.folder.remove(name)
        self._sweep()

    def source(self, plan: Plan) -> "ZarrSource":
        """The set, open for reading.  InputError where a shard is missing or has another length."""
        sizes = self.folder.sizes()
        complete = self.is_complete()
        for k in range(plan.shards):
            for name in plan.arrays:
                file, expected = shard_name(plan, name, k), shard_length(plan, name, k)
                found = sizes.get(file)
                if found != expected and (complete or found is not None):
                    fault = "is missing" if found is None else f"has {found} bytes; expected {expected}"
                    raise InputError(f"{self.where}: {file}: {fault}; posesynth verify --repair mends it")
        return ZarrSource(self.folder, plan)

    def _manifest(self) -> Json | None:
        data = self.folder.read(MANIFEST)
        try:
            return None if data is None else read_manifest(data, MANIFEST)
        except InputError:
            return None

    def _sweep(self) -> None:
        for name in self.folder.sizes():
            if self.folder.is_leftover(name):
                self.folder.remove(name)


def shard_name(plan: Plan, name: str, k: int) -> str:
    """The file of shard k of an array."""
    return ".".join([f"{name}/c", str(k), *["0"] * (len(plan.array_shape(name)) - 1)])


def shard_length(plan: Plan, name: str, k: int) -> int:
    """Bytes of that file: chunks with their checksums, then the index with its own."""
    start, stop = plan.range(k)
    return -(-(stop - start) // plan.chunk) * _stride(plan, name) + _index_length(plan)


def _stride(plan: Plan, name: str) -> int:
    return plan.chunk * plan.record_bytes(name) + _CRC


def _index_length(plan: Plan) -> int:
    return 16 * (plan.shard // plan.chunk) + _CRC


def index_bytes(plan: Plan, name: str, k: int) -> bytes:
    """The end of shard k's file: (offset, length) of each chunk, all ones for the chunks beyond n, CRC-32C."""
    start, stop = plan.range(k)
    here = -(-(stop - start) // plan.chunk)
    stride = _stride(plan, name)
    index = np.full((plan.shard // plan.chunk, 2), 2**64 - 1, "<u8")
    index[:here, 0] = np.arange(here, dtype="<u8") * np.uint64(stride)
    index[:here, 1] = stride
    data = index.tobytes()
    return data + crc32c(data).to_bytes(_CRC, "little")


def metadata(plan: Plan, attributes: Json | None) -> dict[str, bytes]:
    """The zarr.json of the group (last) and of each array.  attributes: the set's, where it has some of this plan."""
    version = (attributes or {}).get("posesynth_version", package_version())
    nodes = {name: _array_node(plan, name) for name in plan.arrays}
    group = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {**plan.identity, "posesynth_version": version},
        # One read tells a reader of a remote set everything, and none takes manifest.json for an array.
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": nodes},
    }
    return {**{f"{name}/zarr.json": encode(node) for name, node in nodes.items()}, GROUP: encode(group)}


def _array_node(plan: Plan, name: str) -> Json:
    inner = plan.array_shape(name)[1:]
    dtype = plan.array_dtype(name)
    plain = _BYTES if dtype.itemsize > 1 else {"name": "bytes"}
    sharding = {
        "chunk_shape": [plan.chunk, *inner],
        "codecs": [plain, {"name": "crc32c"}],
        "index_codecs": [_BYTES, {"name": "crc32c"}],
        "index_location": "end",
    }
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [plan.n, *inner],
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [plan.shard, *inner]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        # A shard that is missing reads as NaN in any Zarr reader, never as a plausible number.
        "fill_value": False if dtype.kind == "b" else "NaN",
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "dimension_names": _DIMENSIONS[name],
        "attributes": {},
        "storage_transformers": [],
    }


def encode_shard(plan: Plan, name: str, k: int, samples: NDArray[Any]) -> memoryview:
    """The bytes of a shard's file, made by zarr."""
    import zarr
    from zarr.storage import MemoryStore

    held: dict[str, Any] = {}
    store = MemoryStore(held)
    from zarr.core.buffer import default_buffer_prototype

    held["zarr.json"] = default_buffer_prototype().buffer.from_bytes(encode(_array_node(plan, name)))
    array = zarr.open_array(store, mode="r+", config={"write_empty_chunks": True})
    start, stop = plan.range(k)
    array[start:stop] = samples
    return memoryview(held[shard_name(plan, name, k).rpartition("/")[2]].as_numpy_array())


def _attributes(data: bytes | None) -> Json | None:
    # None for what is no group of ours, or is damaged.
    try:
        attributes = decode(data or b"", GROUP).get("attributes")
    except InputError:
        return None
    return attributes if isinstance(attributes, dict) and "posesynth" in attributes else None


class ZarrSource:
    """A `Source` that reads a chunk at a time and checks its CRC-32C."""

    def __init__(self, folder: Folder, plan: Plan) -> None:
        self.plan = plan
        self._folder = folder
        self._checked: set[tuple[str, int]] = set()

    def chunk(self, name: str, index: int) -> NDArray[Any]:
        """See `Source`."""
        plan = self.plan
        k, place = divmod(index, plan.shard // plan.chunk)
        file = shard_name(plan, name, k)
        if (name, k) not in self._checked:
            at = shard_length(plan, name, k) - _index_length(plan)
            if self._folder.read(file, at, _index_length(plan) + 1) != index_bytes(plan, name, k):
                raise self._damaged(file)
            self._checked.add((name, k))
        stride = _stride(plan, name)
        data = self._folder.read(file, place * stride, stride) or b""
        samples = np.frombuffer(data, np.uint8, count=max(len(data) - _CRC, 0))
        if len(data) != stride or crc32c(samples) != int.from_bytes(data[-_CRC:], "little"):
            raise self._damaged(file)
        rows = min(plan.chunk, plan.n - index * plan.chunk)
        shape = (plan.chunk, *plan.array_shape(name)[1:])
        return samples.view(plan.array_dtype(name)).reshape(shape)[:rows]

    def _damaged(self, file: str) -> InputError:
        return InputError(f"{self._folder.where}: {file}: is missing or damaged; posesynth verify --repair mends it")
