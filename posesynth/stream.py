"""Live batches for PyTorch: `PoseStream` makes them in the training process, faster than a stored set is read.

    share of (rank, worker) -> rounds -> slabs of batches, filled on threads -> one batch at a time

A *round* is the ``world_size * batch_size`` samples that all ranks take in one step.  Everything follows from the
index where the stream stands, so that index is its whole state.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count, takewhile
from math import prod
from typing import Any, TypeVar

import numpy as np

try:
    import torch
except ModuleNotFoundError:
    raise ModuleNotFoundError("posesynth.PoseStream needs PyTorch: pip install 'posesynth[torch]'") from None
from torch.utils.data import IterableDataset, get_worker_info

from .ahead import ahead
from .errors import InputError, whole_number
from .sampler import (
    FIELDS,
    check_extras,
    check_range,
    check_skeleton,
    field_dtype,
    field_shape,
    own_cores,
    sample,
    sample_into,
)
from .skeleton import Skeleton

SLAB_BYTES = 4 * 2**20  # made in one go: less spends its time handing over, more falls out of the cache
MOST_BATCHES = 256  # in a slab: tiny batches would keep the first one waiting
MOST_THREADS = 4  # some 28 million samples/s: no training step eats more

Item = TypeVar("Item")


@dataclass(slots=True, eq=False)
class TensorBatch:
    """B consecutive samples as CPU tensors, float32; the fields and shapes of `posesynth.Batch`.

    ``p2d, o = batch`` unpacks what was asked for: p2d, o, then the extras in their order in this class.
    ``start`` is the index of the first sample, ``next_index`` what `PoseStream.load_state_dict` goes on from after
    the round of this batch.  The batches of some 4 MB lie side by side in one allocation, which lives as
    long as any of them: clone what is to be kept.
    """

    p2d: torch.Tensor
    o: torch.Tensor
    p3d: torch.Tensor | None = None
    o_up: torch.Tensor | None = None
    rotation: torch.Tensor | None = None
    visibility: torch.Tensor | None = None
    start: int = 0
    next_index: int = 0

    def __len__(self) -> int:
        return len(self.p2d)

    def __repr__(self) -> str:
        tensors = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in self._tensors().items())
        return f"TensorBatch({tensors}, start={self.start})"

    def __iter__(self) -> Iterator[torch.Tensor]:
        given = (self.p2d, self.o, self.p3d, self.o_up, self.rotation, self.visibility)
        return iter([tensor for tensor in given if tensor is not None])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "TensorBatch":
        """The same batch on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "TensorBatch":
        """The same batch in page-locked memory; a DataLoader calls this where its own `pin_memory` is on."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "TensorBatch":
        changed: dict[str, Any] = {name: change(tensor) for name, tensor in self._tensors().items()}
        return replace(self, **changed)

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {name: tensor for name in FIELDS if (tensor := getattr(self, name)) is not None}


class IndexedStream(IterableDataset[Item]):
    """Batches that are functions of the index alone, in order, shared among ranks and workers; see `PoseStream`.

    What a batch is, its subclasses say.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        batch_size: int,
        seed: int,
        start: int,
        stop: int | None,
        rank: int | None,
        world_size: int | None,
        threads: int | None,
        pin_memory: bool,
    ) -> None:
        if (rank is None) != (world_size is None):
            raise InputError("rank, world_size: expected both or neither")
        if rank is not None and world_size is not None and not 0 <= rank < world_size:
            raise InputError(f"rank: is {rank} of {world_size}; expected 0 to {world_size - 1}")
        check_skeleton(skeleton)
        self.skeleton = skeleton
        self.batch_size = whole_number("batch_size", batch_size, 1)
        self.seed, self.start, self.stop = check_range(seed, start, 2**64 if stop is None else stop)
        self.threads = None if threads is None else whole_number("threads", threads, 1)
        self.pin_memory = pin_memory
        self._place = None if rank is None or world_size is None else (rank, world_size)
        self._index = self.start

    def _compile(self) -> None:
        """Have the kernels at hand."""
        raise NotImplementedError

    def _slab(self, share: "Share", rounds: range) -> list[Item]:
        """The batches of some rounds, made together."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Item]:
        rank, world_size = self._rank_and_world_size()
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        origin = self._index
        share = Share(origin, self.stop, self.batch_size, rank, world_size, worker, workers)
        # Compiles in this thread: a process forked off while another thread compiles would wait for ever.
        self._compile()

        taken = 0
        slabs = ahead(lambda k: self._slab(share, k), share.slabs(self._slab_rounds()), self._threads(workers))
        with closing(slabs):
            for slab in slabs:
                for batch in slab:
                    taken += 1
                    if info is None:
                        self._index = min(origin + taken * world_size * self.batch_size, self.stop)
                    yield batch
        if info is None:
            self._index = self.start

    def state_dict(self) -> dict[str, int]:
        """``{"index": i}``: every sample before i has been handed out, to this rank or another, and none from i on."""
        return {"index": self._index}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a `state_dict`, from the next ``iter()`` on.  Ranks, workers and batch size may have changed."""
        if set(state) != {"index"}:
            raise InputError(f"state: has {sorted(map(str, state))}; expected one 'index'")
        _, _, index = check_range(self.seed, self.start, state["index"])
        if index > self.stop:
            raise InputError(f"state: index is {index}; expected {self.start} to {self.stop}")
        self._index = index

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker has its parent's variables but not its process group.
        return {**self.__dict__, "_place": self._rank_and_world_size()}

    def _rank_and_world_size(self) -> tuple[int, int]:
        if self._place is not None:
            return self._place
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        given = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        if not (given[0].isdecimal() and given[1].isdecimal() and int(given[0]) < int(given[1])):
            raise InputError(f"RANK, WORLD_SIZE: are {given[0]!r}, {given[1]!r}; expected whole numbers, RANK the less")
        return int(given[0]), int(given[1])

    def _threads(self, workers: int) -> int:
        return self.threads or max(1, min(own_cores() // workers, MOST_THREADS))

    def _slab_rounds(self) -> int:
        """How many batches are made in one go."""
        return 1


class PoseStream(IndexedStream[TensorBatch]):
    """Ready-made batches of samples start..stop-1 of the endless set (skeleton, seed), in order.

    batch_size: samples a batch (a rank's, not the sum over ranks).  stop: None for endless.  extras: any of p3d,
    o_up, rotation, visibility.  rank, world_size: this process among those that share the stream; by default those of
    torch.distributed, else of the variables RANK and WORLD_SIZE that torchrun sets, else one process alone.
    threads: how many make samples ahead of their use; by default the cores this process may use, divided
    by the processes beside it, and at most 4.  pin_memory: batches come in page-locked memory, for copies to a GPU
    with non_blocking.

    Ranks and the workers of a ``DataLoader(stream, batch_size=None)`` share the stream without a duplicate or
    a gap: batch b of each round is rank b's, and the workers of a rank take its rounds in turn.  What a rank sees does
    not depend on its workers, what a step of all ranks sees depends on ``world_size * batch_size`` alone.
    The last round, where it is short, is cut into equal parts, so all ranks take the same number of steps.

    Iterating goes on from where the stream stands (`state_dict`); a finite stream read to its end starts again.
    Raises InputError on values outside these.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        batch_size: int = 500,
        seed: int = 0,
        start: int = 0,
        stop: int | None = None,
        extras: Sequence[str] = (),
        *,
        rank: int | None = None,
        world_size: int | None = None,
        threads: int | None = None,
        pin_memory: bool = False,
    ) -> None:
        check_extras(extras)
        super().__init__(skeleton, batch_size, seed, start, stop, rank, world_size, threads, pin_memory)
        self.extras = tuple(extras)

    def _compile(self) -> None:
        sample(self.skeleton)

    def _slab_rounds(self) -> int:
        batch_bytes = self.batch_size * sum(self._sample_bytes(name) for name in self._names())
        return min(max(1, SLAB_BYTES // batch_bytes), MOST_BATCHES)

    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("p2d", "o", *self.extras)))

    def _sample_bytes(self, name: str) -> int:
        return prod(field_shape(self.skeleton, name)) * np.dtype(field_dtype(name)).itemsize

    def _slab(self, share: "Share", rounds: range) -> list[TensorBatch]:
        """The batches of some rounds, made together."""
        ranges = [share.samples(k) for k in rounds]
        sizes = [last - first for first, last in ranges]
        slab = {name: self._empty(sum(sizes), name) for name in self._names()}
        arrays = {name: tensor.numpy() for name, tensor in slab.items()}
        done = 0
        for first, last in joined(ranges):
            part = {name: array[done : done + last - first] for name, array in arrays.items()}
            sample_into(self.skeleton, self.seed, first, part)
            done += last - first
        pieces = {name: torch.split(tensor, sizes) for name, tensor in slab.items()}
        return [
            TensorBatch(
                **{name: piece[i] for name, piece in pieces.items()}, start=first, next_index=share.round_start(k + 1)
            )
            for i, (k, (first, _)) in enumerate(zip(rounds, ranges, strict=True))
        ]

    def _empty(self, count: int, name: str) -> torch.Tensor:
        dtype = torch.bool if name == "visibility" else torch.float32
        return torch.empty((count, *field_shape(self.skeleton, name)), dtype=dtype, pin_memory=self.pin_memory)


@dataclass(frozen=True)
class Share:
    """Which samples of origin..stop-1 fall to one worker of one rank: index arithmetic, nothing else.

    Raises InputError where a finite stream leaves fewer samples than ranks for the last round: some ranks would stop
    a step before the others, which then wait for them for ever.
    """

    origin: int
    stop: int
    batch_size: int
    rank: int
    world_size: int
    worker: int
    workers: int

    def __post_init__(self) -> None:
        left = (self.stop - self.origin) % (self.world_size * self.batch_size)
        if self.stop < 2**64 and 0 < left < self.world_size:
            raise InputError(
                f"stop: leaves {left} samples for a last step of {self.world_size} ranks; "
                f"expected {self.stop - left}, or at least {self.stop - left + self.world_size}"
            )

    def round_start(self, k: int) -> int:
        """Index of the first sample of round k, or the stop."""
        return min(self.origin + k * self.world_size * self.batch_size, self.stop)

    def samples(self, k: int) -> tuple[int, int]:
        """(first, stop) of this rank's batch of round k: a full batch, or an equal part of what is left."""
        start = self.round_start(k)
        size = self.round_start(k + 1) - start
        return start + size * self.rank // self.world_size, start + size * (self.rank + 1) // self.world_size

    def slabs(self, size: int) -> Iterator[range]:
        """This worker's rounds, `size` at a time."""
        rounds = -(-(self.stop - self.origin) // (self.world_size * self.batch_size))
        mine = range(self.worker, rounds, self.workers)
        return takewhile(bool, (mine[i : i + size] for i in count(0, size)))


def joined(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same samples with neighbouring ranges made one: the kernel works best on long ranges."""
    first, last = ranges[0]
    for start, stop in ranges[1:]:
        if start == last:
            last = stop
        else:
            yield first, last
            first, last = start, stop
    yield first, last
