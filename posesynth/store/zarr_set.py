"""A data set as a Zarr v3 group in a `Folder`.

zarr.json, p2d/zarr.json, o/zarr.json      what the set is
p2d/c.3.0.0, o/c.3.0.0                     shard 3
.journal/3.json                            shard 3 is written; these go when the set is whole
manifest.json                              the set is whole
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
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
from posesynth.store.plan import Arrays, Plan, crc32c, difference, package_version, plan_of
from posesynth.store.target import Finding, ForeignError

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
_SHARD = re.compile(rf"({'|'.join(_DIMENSIONS)})/c\.(?P<k>\d{{1,20}})(\.0)+")
_MENDS = "posesynth verify --repair mends it"
_METADATA = 2**20  # bytes set aside for everything that is not a shard
_CRC = 4  # bytes of a CRC-32C
_BYTES: Json = {"name": "bytes", "configuration": {"endian": "little"}}


class ZarrSet:
    """A Zarr data set, there already or to be made: a `Target`."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.where = folder.where

    @property
    def found_at(self) -> str:
        """See `Target`."""
        return self.where

    def identity(self) -> Json | None:
        """See `Target`.  The manifest is believed first, for it carries its own digest."""
        manifest = self._manifest()
        if manifest is not None:
            return dict(manifest["identity"])
        attributes = _attributes(self.folder.read(GROUP))
        if attributes is not None:
            return attributes
        if all(self.folder.is_leftover(name) for name in self.folder.sizes()):
            return None
        attributes = _attributes(self.folder.read(GROUP))  # another job of an array may have begun the set just now
        if attributes is not None:
            return attributes
        raise ForeignError(f"{self.where}: is not a posesynth data set, or too damaged to tell")

    def check(self, plan: Plan, repair: bool) -> None:
        """See `Target`."""
        manifest = self._manifest()
        if manifest is None:
            return
        field = self._contradiction(plan)
        if repair and field:
            raise self._two_sets(field)
        named = len(manifest["shards"])
        if plan.shards > 2 * named + 1000:
            raise InputError(f"{self.where}: {MANIFEST}: names {named} shards; expected the {plan.shards} that n makes")

    def is_complete(self) -> bool:
        """See `Target`."""
        return self.folder.read(MANIFEST) is not None

    def claims(self, plan: Plan) -> dict[int, ShardRecord]:
        """See `Target`."""
        manifest = self._manifest()
        if manifest is not None:
            with suppress(InputError):
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
        """See `Target`."""
        return all(
            self.folder.kept_digest(shard_name(plan, name, record.k), piece.length) == piece.sha256
            for name, piece in record.files.items()
        )

    def space_needed(self, plan: Plan) -> int:
        """See `Target`."""
        sizes = self.folder.sizes()
        needed = 0
        for name in plan.arrays:
            full, last = shard_length(plan, name, 0), shard_length(plan, name, plan.shards - 1)
            needed += (plan.shards - 1) * full + last
            needed -= sum(sizes.get(shard_name(plan, name, k), 0) for k in range(plan.shards)) if sizes else 0
        return max(needed, 0) + _METADATA if needed else 0

    def free(self) -> int | None:
        """See `Target`."""
        return self.folder.free()

    def lock(self, shared: bool) -> AbstractContextManager[None]:
        """See `Target`."""
        return self.folder.lock(shared)

    def prepare(self, plan: Plan, alone: bool) -> bool:
        """See `Target`."""
        if alone:
            self._discard(self.folder.is_leftover)
        for name, data in metadata(plan, self.identity()).items():
            self.folder.settle(name, data)
        return True

    def write(self, plan: Plan, k: int, threads: int = 1) -> ShardRecord:
        """See `Target`."""
        digests = {name: hashlib.sha256() for name in plan.arrays}
        with ExitStack() as stack:
            files = {name: stack.enter_context(self.folder.writing(shard_name(plan, name, k))) for name in plan.arrays}

            def write(name: str, part: bytes | memoryview) -> None:
                files[name](part)
                digests[name].update(part)

            for _, _, arrays in plan.blocks(*plan.range(k), threads):
                for name in plan.arrays:
                    for part in chunk_parts(plan, name, arrays[name]):
                        write(name, part)
            for name in plan.arrays:
                write(name, index_bytes(plan, name, k))
        pieces = {name: Piece(shard_length(plan, name, k), digests[name].hexdigest()) for name in plan.arrays}
        record = ShardRecord(k, *plan.range(k), pieces)
        self.folder.put(f"{JOURNAL}{k}.json", encode(record.json))
        if self.is_complete():
            # Whoever finished the set (a worker thought dead may write on after that) has not seen this entry.
            self.folder.remove(f"{JOURNAL}{k}.json")
        return record

    def finish(self, plan: Plan, records: Mapping[int, ShardRecord]) -> None:
        """See `Target`."""
        manifest = _manifest_of(plan, metadata(plan, self.identity()), records)
        if manifest is None:
            raise ValueError("a set is finished once every shard is written")
        self.folder.settle(MANIFEST, manifest)
        self._discard(lambda name: name.startswith(JOURNAL) or self.folder.is_leftover(name))

    def source(self, plan: Plan) -> "ZarrSource":
        """See `Target`."""
        sizes = self.folder.sizes()
        complete = self.is_complete()
        if complete and self._manifest() is None:
            raise InputError(f"{self.where}: {MANIFEST}: was changed after it was written; {_MENDS}")
        attributes = _attributes(self.folder.read(GROUP)) or {}
        if complete and (field := self._contradiction(plan)):
            raise self._two_sets(field)
        field = difference(plan.identity, attributes)
        if field:
            raise InputError(f"{self.where}: {GROUP}: {field}: was changed after it was written; {_MENDS}")
        for k in range(plan.shards):
            for name in plan.arrays:
                file = shard_name(plan, name, k)
                fault = _length_fault(sizes.get(file), shard_length(plan, name, k))
                if fault and (complete or file in sizes):
                    raise InputError(f"{self.where}: {file}: {fault}; {_MENDS}")
        return ZarrSource(self.folder, plan)

    def faults(self, plan: Plan) -> list[Finding]:
        """See `Target`."""
        sizes = self.folder.sizes()
        faults: dict[str, str] = {}
        if not self.is_complete():
            faults[MANIFEST] = "is missing: the set is not finished; the same command goes on with it"
        documents = metadata(plan, self.identity())
        if self.is_complete() and self.folder.read(MANIFEST) != _manifest_of(plan, documents, self.claims(plan)):
            faults[MANIFEST] = "was changed after it was written"
        for name, data in documents.items():
            try:
                found = self.folder.read(name)
            except InputError as error:
                faults[name] = error.lines[0].removeprefix(f"{self.where}: {name}: ")
                continue
            if found != data:
                faults[name] = "is missing" if found is None else "was changed after it was written"
        field = self._contradiction(plan)
        if field:
            faults[GROUP] = f"contradicts {MANIFEST} in {field}"
        for name, length in sizes.items():
            if length < 0:
                faults[name] = "is not a plain file"
            elif self.folder.is_leftover(name) or name.startswith(JOURNAL):
                if self.is_complete():
                    faults[name] = "is left over from an interrupted run"
            elif not _is_shard(plan, name) and name not in documents and name != MANIFEST:
                faults[name] = "is not part of the set"
        return [Finding(f"{self.where}/{name}", fault) for name, fault in faults.items()]

    def encoded(self, plan: Plan, name: str, samples: Arrays) -> bytes:
        """See `Target`."""
        return b"".join(chunk_parts(plan, name, samples[name]))

    def tail(self, plan: Plan, name: str, k: int) -> bytes:
        """See `Target`."""
        return index_bytes(plan, name, k)

    def stored(self, plan: Plan, name: str, k: int, start: int, length: int) -> bytes | None:
        """See `Target`."""
        return self.folder.read(shard_name(plan, name, k), start, length)

    def label(self, plan: Plan, name: str, k: int) -> str:
        """See `Target`."""
        return f"{self.where}/{shard_name(plan, name, k)}"

    def discard_strays(self, plan: Plan) -> None:
        """See `Target`."""
        self._discard(lambda name: _SHARD.fullmatch(name) is not None and not _is_shard(plan, name))

    def _discard(self, unwanted: Callable[[str], bool]) -> None:
        for name in self.folder.sizes():
            if unwanted(name):
                self.folder.remove(name)

    def _contradiction(self, plan: Plan) -> str:
        """The field in which zarr.json is that of a set too, but of another one than the manifest's; or ""."""
        attributes = None
        with suppress(InputError):
            attributes = _attributes(self.folder.read(GROUP))
        field = difference(plan.identity, attributes or plan.identity)
        if field and attributes:
            try:
                plan_of(attributes, GROUP)
            except InputError:
                return ""
        return field

    def _two_sets(self, field: str) -> InputError:
        """Nobody but its owner knows which of the two is right."""
        return InputError(
            f"{self.where}: {MANIFEST} and {GROUP} contradict each other in {field}; "
            "expected the one that is right restored, or the wrong one removed"
        )

    def _manifest(self) -> Json | None:
        data = self.folder.read(MANIFEST)
        try:
            return None if data is None else read_manifest(data, MANIFEST)
        except InputError:
            return None


def shard_name(plan: Plan, name: str, k: int) -> str:
    """The file of shard k of an array."""
    return ".".join([f"{name}/c", str(k), *["0"] * (len(plan.array_shape(name)) - 1)])


def _is_shard(plan: Plan, file: str) -> bool:
    match = _SHARD.fullmatch(file)
    if match is None or match[1] not in plan.arrays:
        return False
    k = int(match["k"])
    return k < plan.shards and file == shard_name(plan, match[1], k)


def shard_length(plan: Plan, name: str, k: int) -> int:
    """Bytes of that file: chunks with their checksums, then the index with its own."""
    start, stop = plan.range(k)
    return -(-(stop - start) // plan.chunk) * _stride(plan, name) + _index_length(plan)


def _manifest_of(plan: Plan, documents: Mapping[str, bytes], records: Mapping[int, ShardRecord]) -> bytes | None:
    """The manifest that says what the records and the other files are; None where records are missing."""
    if len(records) != plan.shards:
        return None
    attributes = json.loads(documents[GROUP])["attributes"]
    others = {
        name: {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in documents.items()
    }
    return manifest_bytes(plan, attributes, records.values(), others)


def _length_fault(found: int | None, expected: int) -> str:
    if found is None:
        return "is missing"
    return "" if found == expected else f"has {found} bytes; expected {expected}"


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
    """The zarr.json of the group, which comes first, and of each array.  attributes: those the set has already."""
    version = (attributes or {}).get("posesynth_version", package_version())
    nodes = {name: _array_node(plan, name) for name in plan.arrays}
    group = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {**plan.identity, "posesynth_version": version},
        # One read tells a reader of a remote set everything, and none takes manifest.json for an array.
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": nodes},
    }
    return {GROUP: encode(group), **{f"{name}/zarr.json": encode(node) for name, node in nodes.items()}}


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


def chunk_parts(plan: Plan, name: str, samples: NDArray[Any]) -> Iterator[bytes | memoryview]:
    """What consecutive chunks of an array look like in a shard: the samples of each, then their CRC-32C.

    Written here and not by zarr's codec, which makes the same bytes in three times the time and memory; docs/decisions.
    """
    raw = samples.reshape(-1).view(np.uint8)
    length = plan.chunk * plan.record_bytes(name)
    for at in range(0, len(raw), length):
        chunk = raw[at : at + length]
        if len(chunk) < length:
            lacking = (length - len(chunk)) // samples.itemsize
            fill = np.full(lacking, False if samples.dtype.kind == "b" else np.nan, samples.dtype)
            chunk = np.concatenate([chunk, fill.view(np.uint8)])
        yield chunk.data
        yield crc32c(chunk).to_bytes(_CRC, "little")


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
        return InputError(f"{self._folder.where}: {file}: is missing or damaged; {_MENDS}")
