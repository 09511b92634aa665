"""Reading a stored set back: `open` and `Dataset`."""

import operator
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError
from posesynth.sampler import Batch
from posesynth.skeleton import Skeleton
from posesynth.store.plan import Plan, plan_of
from posesynth.store.target import Source, identity_of, target

if TYPE_CHECKING:
    from posesynth.store.torch_dataset import BatchDataset

_KEPT = 4  # chunks of each array that stay decoded


class Dataset:
    """A stored data set.  ``data[10:20]`` is a Batch of ten samples; ``data[3]`` a Batch of one.

    Every chunk that is read is checked against its checksum; InputError where it is damaged.  May be shared by threads
    and given to other processes.
    """

    def __init__(self, source: Source, where: str) -> None:
        self._source = source
        self._where = where
        self._kept: OrderedDict[tuple[str, int], NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def plan(self) -> Plan:
        """What the set holds: skeleton, seed, n, arrays, dtype and how it is cut."""
        return self._source.plan

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton, with the sampling the set was made with."""
        return self.plan.skeleton

    @property
    def seed(self) -> int:
        """The seed: sample i is sample i of (skeleton, seed)."""
        return self.plan.seed

    @property
    def n(self) -> int:
        """How many samples there are, as ``len`` says."""
        return self.plan.n

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that are stored, in the order of posesynth.sampler.FIELDS."""
        return self.plan.arrays

    def __len__(self) -> int:
        return self.plan.n

    def __repr__(self) -> str:
        return f"<posesynth.Dataset {self._where}: {self.n} samples of {self.skeleton.name}, seed {self.seed}>"

    def __getitem__(self, index: int | slice) -> Batch:
        """Samples start..stop-1 in order, as they are stored (float16 stays float16).

        Slices are Python's, without a step: ``data[-10:]`` is the last ten, and what lies beyond the end is left out.
        An int gives a Batch of one sample.  Raises IndexError for an int that is out of range.
        """
        if isinstance(index, slice):
            if index.step not in (None, 1):
                raise IndexError(f"a step of {index.step}; expected a run of consecutive samples, as in data[10:20]")
            start, stop, _ = index.indices(self.n)
        else:
            if isinstance(index, bool | np.bool_):
                raise TypeError(f"sample {index}; expected a whole number or a slice, as in data[10:20]")
            index = operator.index(index)
            start = index + self.n if index < 0 else index
            if not 0 <= start < self.n:
                raise IndexError(f"sample {index} of a data set of {self.n}")
            stop = start + 1
        stop = max(start, stop)
        return Batch(**{name: self._read(name, start, stop) for name in self.arrays})

    def batches(self, size: int) -> Iterator[Batch]:
        """The whole set in order, `size` samples at a time; the last batch may be smaller."""
        if size < 1:
            raise InputError(f"size: is {size}; expected at least 1")
        for start in range(0, self.n, size):
            yield self[start : start + size]

    def torch(self, batch_size: int = 500) -> "BatchDataset":
        """The set as a torch Dataset whose items are batches of tensors: p2d, o, then the other arrays stored."""
        from posesynth.store.torch_dataset import BatchDataset

        return BatchDataset(self, batch_size)

    def _read(self, name: str, start: int, stop: int) -> NDArray[Any]:
        plan = self.plan
        out = np.empty((stop - start, *plan.array_shape(name)[1:]), plan.array_dtype(name).newbyteorder("="))
        for index in range(start // plan.chunk, -(-stop // plan.chunk)):
            first = index * plan.chunk
            a, b = max(start, first), min(stop, first + plan.chunk)
            out[a - start : b - start] = self._chunk(name, index, keep=b - a < plan.chunk)[a - first : b - first]
        return out

    def _chunk(self, name: str, index: int, keep: bool) -> NDArray[Any]:
        # Batches smaller than a chunk would read it again and again; whole chunks are read once anyway.
        with self._lock:
            chunk = self._kept.get((name, index))
        if chunk is None:
            chunk = self._source.chunk(name, index)
            if keep:
                with self._lock:
                    self._kept[name, index] = chunk
                    while len(self._kept) > _KEPT * len(self.arrays):
                        self._kept.popitem(last=False)
        return chunk

    def __getstate__(self) -> dict[str, Any]:
        return {"_source": self._source, "_where": self._where}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**{key.removeprefix("_"): value for key, value in state.items()})  # type: ignore[misc]


def open(path: str | os.PathLike[str], allow_incomplete: bool = False) -> Dataset:  # noqa: A001
    """The data set at `path` (.zarr, .h5 or .hdf5), for reading.

    allow_incomplete: also one that `generate` has not finished; reading a shard that is not there raises InputError.
    Raises InputError: nothing there, not a posesynth set, not finished, made by a format or stream that this version
    does not know, a shard missing or cut.
    """
    place = target(path)
    try:
        plan = plan_of(identity_of(place), place.where)
        if not allow_incomplete and not place.is_complete():
            raise InputError(f"{place.where}: is not finished; expected the same command run again")
        return Dataset(place.source(plan), place.where)
    except OSError as error:
        raise InputError(f"{place.where}: cannot be read ({error.strerror or error})") from None
