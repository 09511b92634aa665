"""Where training samples come from: the generator itself, a pipe, or a stored set.  Each sample once, in order.

A source knows its skeleton and gives the batches from any step on; that is all the trainer asks of it.
"""

import sys
from collections.abc import Iterator
from typing import BinaryIO, Protocol

import torch

import posesynth
from posesynth.ahead import ahead
from posesynth.errors import InputError
from posesynth.pipe import read_stream
from posesynth.skeleton import Skeleton
from posesynth.stream import PoseStream, TensorBatch

VALIDATION = 2**63
"""First index of the validation samples: no training of 10^9 steps comes near it."""

STATISTICS = 2**63 + 2**62
"""First index of the samples that a network's units are taken from: neither trained on nor validated with."""


class Source(Protocol):
    """Samples for training.  `skeleton` and `seed` say which; `name` says where they come from."""

    skeleton: Skeleton
    seed: int
    name: str

    def batches(self, step: int, steps: int, batch: int) -> Iterator[TensorBatch]:
        """The batches of steps step..steps-1, for this rank."""


class LiveSource:
    """The generator, in this process; shared by the ranks of a distributed run."""

    name = "live"

    def __init__(self, skeleton: Skeleton, seed: int, pin_memory: bool = False) -> None:
        self.skeleton, self.seed, self._pin = skeleton, seed, pin_memory

    def batches(self, step: int, steps: int, batch: int) -> Iterator[TensorBatch]:
        """See `Source`.  batch: samples a step, of all ranks together."""
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        ranks = torch.distributed.get_world_size() if distributed else 1
        stream = PoseStream(self.skeleton, batch // ranks, self.seed, stop=steps * batch, pin_memory=self._pin)
        stream.load_state_dict({"index": step * batch})
        return iter(stream)


class PipeSource:
    """What ``posesynth stream`` writes, read from standard input."""

    name = "-"

    def __init__(self, file: BinaryIO | None = None) -> None:
        self._reader = read_stream(sys.stdin.buffer if file is None else file)
        self.skeleton, self.seed = self._reader.skeleton, self._reader.seed
        self.batch_size = self._reader.batch_size

    def batches(self, step: int, steps: int, batch: int) -> Iterator[TensorBatch]:
        """See `Source`.  A run that goes on reads past the samples it has used."""
        first, there = step * batch, self._reader.start
        if batch != self.batch_size:
            raise InputError(f"batch: is {batch}, and the stream's {self.batch_size}; expected the same")
        if there > first or (first - there) % batch:
            raise InputError(f"stream: starts at sample {there}; expected --start {first}, or 0")
        if self._reader.n is not None and there + self._reader.n < steps * batch:
            raise InputError(
                f"stream: ends after {self._reader.n} samples; expected {steps * batch - there} for {steps} steps"
            )
        return self._read(there, first, steps * batch)

    def _read(self, at: int, first: int, stop: int) -> Iterator[TensorBatch]:
        for made in self._reader:
            end = at + len(made.p2d)
            if at >= first:
                yield TensorBatch(torch.from_numpy(made.p2d), torch.from_numpy(made.o), start=at, next_index=end)
            at = end
            if at >= stop:
                return
        raise InputError(f"stream: ends at sample {at}; expected {stop}")


class StoredSource:
    """A data set that ``posesynth generate`` wrote."""

    def __init__(self, path: str) -> None:
        self._data = posesynth.open(path)
        self.skeleton, self.seed, self.name = self._data.skeleton, self._data.seed, path

    def batches(self, step: int, steps: int, batch: int) -> Iterator[TensorBatch]:
        """See `Source`."""
        if steps * batch > len(self._data):
            raise InputError(
                f"{self.name}: holds {len(self._data)} samples; expected {steps * batch} for {steps} steps of {batch} "
                f"(at most {len(self._data) // batch} steps)"
            )

        def read(start: int) -> TensorBatch:
            made = self._data[start : start + batch]
            p2d, o = (torch.from_numpy(array).float() for array in (made.p2d, made.o))
            return TensorBatch(p2d, o, start=start, next_index=start + batch)

        return ahead(read, range(step * batch, steps * batch, batch), 1)


def source_of(where: str) -> PipeSource | StoredSource:
    """The source that ``--from`` names: ``-``, or the path of a stored set."""
    return PipeSource() if where == "-" else StoredSource(where)
