"""What a data set is kept in, behind one contract: `Target`, and `target` which chooses one by the path's ending."""

import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from posesynth.errors import InputError, shown
from posesynth.store.manifest import Json, ShardRecord
from posesynth.store.plan import Arrays, Plan

HDF5_ENDINGS = (".h5", ".hdf5")
ENDINGS = (".zarr", *HDF5_ENDINGS)
_EXPECTED = "expected one that posesynth generate has written"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a stored set; `str` of it is one line that names the file and the fault."""

    place: str
    fault: str

    def __str__(self) -> str:
        return f"{self.place}: {self.fault}"


class ForeignError(InputError):
    """What is here is not a data set of ours, or too damaged to tell; says so, but not what was expected."""


class Source(Protocol):
    """A stored set, open for reading.  Threads may share it, other processes may be given it."""

    plan: Plan

    def chunk(self, name: str, index: int) -> NDArray[Any]:
        """The `plan.chunk` samples from index * plan.chunk on, fewer at n; InputError where its bytes are damaged."""


class Target(Protocol):
    """A stored set, there already or to be made.  Errors of the system pass through as OSError."""

    where: str  # as the user named it

    @property
    def found_at(self) -> str:
        """Where what is there lies: `where`, or a file that is not finished beside it."""

    def identity(self) -> Json | None:
        """The attributes of the set that is here, None where nothing is yet.  ForeignError where something else is."""

    def check(self, plan: Plan, repair: bool) -> None:
        """InputError where what says what the set is cannot be so, or (repair) says two things."""

    def is_complete(self) -> bool:
        """Whether the set was finished."""

    def claims(self, plan: Plan) -> dict[int, ShardRecord]:
        """The shards that are said to be written, by number."""

    def is_sound(self, plan: Plan, record: ShardRecord) -> bool:
        """Whether a shard is what the record says, byte for byte."""

    def space_needed(self, plan: Plan) -> int:
        """Bytes that the rest of the set takes."""

    def free(self) -> int | None:
        """Bytes that can still be written here, None if nobody knows."""

    def lock(self, shared: bool) -> AbstractContextManager[None]:
        """While inside, no other generator works here, or (shared) only such as share.  InputError if one does."""

    def prepare(self, plan: Plan, alone: bool) -> bool:
        """Make ready for `write`; whether shards written before are still here.  alone: nobody else writes here."""

    def write(self, plan: Plan, k: int, threads: int = 1) -> ShardRecord:
        """Make shard k and write it, whole and durable.  Any thread, process or machine may, more than once."""

    def finish(self, plan: Plan, records: Mapping[int, ShardRecord]) -> None:
        """Every shard is written: make the set whole."""

    def source(self, plan: Plan) -> Source:
        """The set, open for reading.  InputError where something is missing or has another length."""

    def faults(self, plan: Plan) -> list[Finding]:
        """All that is wrong with the set, the bytes of its shards aside."""

    def encoded(self, plan: Plan, name: str, samples: Arrays) -> bytes:
        """What a run of whole chunks (the last may be the set's last) of an array looks like in a shard."""

    def tail(self, plan: Plan, name: str, k: int) -> bytes:
        """What follows the chunks of an array in shard k."""

    def stored(self, plan: Plan, name: str, k: int, start: int, length: int) -> bytes | None:
        """Bytes of an array's part of shard k, fewer where it ends; None where there is no such file."""

    def label(self, plan: Plan, name: str, k: int) -> str:
        """An array's part of shard k, as messages name it."""

    def discard_strays(self, plan: Plan) -> None:
        """Remove shards of ours that the plan does not have."""


def identity_of(place: Target) -> Json:
    """The attributes of a set that should be there; InputError where there is none."""
    try:
        identity = place.identity()
    except ForeignError as error:
        raise InputError(f"{error}; {_EXPECTED}") from None
    if identity is None:
        raise InputError(f"{place.where}: there is no data set; {_EXPECTED}")
    return identity


def target(path: str | os.PathLike[str]) -> Target:
    """The target at a path: Zarr where it ends in .zarr or is an S3 URL, HDF5 where it ends in .h5 or .hdf5."""
    where = os.fspath(path)
    if isinstance(where, str) and _SCHEME.match(where):
        from posesynth.store.remote import S3Folder
        from posesynth.store.zarr_set import ZarrSet

        return ZarrSet(S3Folder(where))
    if isinstance(where, str):
        where = where.rstrip("/")
    if not isinstance(where, str) or "\0" in where or not where.endswith(ENDINGS):
        raise InputError(
            f"path: is {shown(where)}; expected one ending in .zarr, .h5 or .hdf5, or s3://bucket/path.zarr"
        )
    if where.endswith(HDF5_ENDINGS):
        from posesynth.store.hdf5_set import Hdf5Set

        return Hdf5Set(where)
    from posesynth.store.folder import LocalFolder
    from posesynth.store.zarr_set import ZarrSet

    return ZarrSet(LocalFolder(where))
