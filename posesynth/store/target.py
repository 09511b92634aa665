"""What a data set is kept in, behind one contract: `Target`, and `target` which chooses one by the path's ending."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from numpy.typing import NDArray

from posesynth.errors import InputError
from posesynth.store.manifest import Json, ShardRecord
from posesynth.store.plan import Plan, shown

HDF5_ENDINGS = (".h5", ".hdf5")
ENDINGS = (".zarr", *HDF5_ENDINGS)


class Source(Protocol):
    """A stored set, open for reading.  Threads may share it."""

    plan: Plan

    def chunk(self, name: str, index: int) -> NDArray[Any]:
        """The `plan.chunk` samples from index * plan.chunk on, fewer at n; InputError where its bytes are damaged."""


class Target(Protocol):
    """A stored set, there already or to be made.  Errors of the system pass through as OSError."""

    where: str

    def identity(self) -> Json | None:
        """The attributes of the set that is here, None where nothing is yet.  InputError where something else is."""

    def is_complete(self) -> bool:
        """Whether the whole set is here."""

    def claims(self, plan: Plan) -> dict[int, ShardRecord]:
        """The shards that are said to be written, by number."""

    def is_sound(self, plan: Plan, record: ShardRecord) -> bool:
        """Whether a shard is what the record says, byte for byte."""

    def nbytes(self, plan: Plan, k: int) -> int:
        """Bytes that shard k takes."""

    def free(self) -> int | None:
        """Bytes that can still be written here, None if nobody knows."""

    def lock(self, shared: bool) -> AbstractContextManager[None]:
        """While inside, no other generator works here, or (shared) only such as share.  InputError if one does."""

    def prepare(self, plan: Plan, alone: bool) -> None:
        """Make ready for `write`.  alone: nobody else writes here, so leftovers can go."""

    def write(self, plan: Plan, k: int, threads: int = 1) -> ShardRecord:
        """Make shard k and write it, whole and durable.  Any thread, process or machine may, more than once."""

    def finish(self, plan: Plan, records: Mapping[int, ShardRecord]) -> None:
        """Every shard is written: make the set whole."""

    def source(self, plan: Plan) -> Source:
        """The set, open for reading."""


def target(path: str | os.PathLike[str]) -> Target:
    """The target at a path: Zarr where it ends in .zarr, HDF5 in .h5 or .hdf5."""
    where = os.fspath(path)
    if not isinstance(where, str) or not where or "\0" in where or not where.rstrip("/").endswith(ENDINGS):
        raise InputError(f"out: is {shown(where)}; expected a path ending in .zarr, .h5 or .hdf5")
    if where.endswith(HDF5_ENDINGS):
        from posesynth.store.hdf5_set import Hdf5Set

        return Hdf5Set(where)
    from posesynth.store.folder import LocalFolder
    from posesynth.store.zarr_set import ZarrSet

    return ZarrSet(LocalFolder(where))
