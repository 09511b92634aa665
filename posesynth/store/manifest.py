"""The manifest: what a finished set consists of, file by file, with the digest of each.

It is written last, so a set that has one is whole.  It repeats the identity, so a set can be made again from it alone.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from posesynth.errors import InputError, shown
from posesynth.store.plan import Plan

Json = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """What one array of one shard takes: bytes, and their SHA-256 in hex."""

    length: int
    sha256: str


@dataclass(frozen=True)
class ShardRecord:
    """Shard k holds samples start..stop-1; `files` has a Piece for each array."""

    k: int
    start: int
    stop: int
    files: Mapping[str, Piece]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays of the shard."""
        return sum(piece.length for piece in self.files.values())

    @property
    def json(self) -> Json:
        """As it stands in a manifest."""
        return asdict(self)


def read_record(plan: Plan, entry: object, source: str) -> ShardRecord:
    """The ShardRecord of a manifest's or journal's entry, InputError unless it is one of `plan`'s."""
    try:
        k = entry["k"]  # type: ignore[index]
        if type(k) is not int or not 0 <= k < plan.shards:
            raise ValueError
        files = {name: Piece(**entry["files"][name]) for name in plan.arrays}  # type: ignore[index]
        record = ShardRecord(k, *plan.range(k), files)
        if record.json != entry or not all(_is_piece(piece) for piece in files.values()):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{source}: {shown(entry)} is not a shard of this set") from None
    return record


def _is_piece(piece: Piece) -> bool:
    return type(piece.length) is int and isinstance(piece.sha256, str) and len(piece.sha256) == 64


def manifest_bytes(plan: Plan, identity: Json, records: Iterable[ShardRecord], others: Json) -> bytes:
    """The manifest as it is stored.  identity: as the set carries it; others: digests of what is not a shard."""
    shards = [record.json for record in sorted(records, key=lambda record: record.k)]
    if [shard["k"] for shard in shards] != list(range(plan.shards)):
        raise ValueError("a manifest names every shard once")
    body = {"identity": identity, "shards": shards, "others": others}
    return encode({**body, "sha256": digest_of(body)})


def read_manifest(data: bytes, source: str) -> Json:
    """The manifest's JSON, InputError unless its own digest is right."""
    manifest = decode(data, source)
    body = {key: manifest.get(key) for key in ("identity", "shards", "others")}
    kinds = [type(part) for part in body.values()]
    if kinds != [dict, list, dict] or set(manifest) != {*body, "sha256"} or manifest["sha256"] != digest_of(body):
        raise InputError(f"{source}: was changed after it was written (its own digest is wrong)")
    return manifest


def records_of(plan: Plan, manifest: Json, source: str) -> dict[int, ShardRecord]:
    """The shards of a manifest by number.  InputError unless each shard of `plan` stands in it once."""
    records = []
    if len(manifest["shards"]) == plan.shards:  # or else n may be anything
        records = [read_record(plan, entry, source) for entry in manifest["shards"]]
    if not records or [record.k for record in records] != list(range(plan.shards)):
        raise InputError(f"{source}: shards: has {len(manifest['shards'])}; expected {plan.shards}, in order")
    return {record.k: record for record in records}


def digest_of(body: Json) -> str:
    """SHA-256 of JSON with sorted keys and no spaces, UTF-8."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def encode(document: Json) -> bytes:
    """JSON for people and machines: the same document gives the same bytes."""
    return (json.dumps(document, indent=1) + "\n").encode()


def decode(data: bytes, source: str) -> Json:
    """The JSON object in `data`, InputError where there is none."""
    try:
        document = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InputError(f"{source}: is not JSON; expected a file written by posesynth") from None
    if not isinstance(document, dict):
        raise InputError(f"{source}: is not a JSON object; expected a file written by posesynth")
    return document


def _refuse(name: str) -> None:
    raise ValueError(name)
