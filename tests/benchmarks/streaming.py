"""Batches of 500 on their way into training: live, from a stored set behind a DataLoader, through a pipe."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

import posesynth
from posesynth.store import Plan, generate

from .measure import Work, alternate, millions, table

BATCH = 500
STORED = 2000 * BATCH


class BySample(Dataset[Any]):
    """A stored set one sample at a time, the way a Dataset is mostly written."""

    def __init__(self, path: Path) -> None:
        self.data = posesynth.open(path)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        batch = self.data[i]
        return torch.from_numpy(batch.p2d[0]), torch.from_numpy(batch.o[0])


def endless(loader: DataLoader[Any]) -> Iterator[Any]:
    while True:
        yield from loader


def taking(batches: Iterator[Any], count: int) -> Work:
    """`count` batches at a time, unpacked."""

    def work() -> int:
        for p2d, o in islice(batches, count):
            assert len(p2d) == len(o) == BATCH
        return count * BATCH

    return work


def streaming() -> None:
    """PoseStream beside a DataLoader with two workers over the same samples on disk (in the page cache)."""
    skeleton = posesynth.load_skeleton("quadruped")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quadruped.zarr"
        generate(Plan(skeleton, seed=0, n=STORED, shard=2**18), path)
        # Spawned, for forking is not safe in a process that runs threads.
        workers: dict[str, Any] = {"num_workers": 2, "multiprocessing_context": "spawn", "persistent_workers": True}
        by_sample = DataLoader(BySample(path), batch_size=BATCH, **workers)
        by_batch = DataLoader(posesynth.open(path).torch(BATCH), batch_size=None, **workers)
        alone = DataLoader(posesynth.open(path).torch(BATCH), batch_size=None)
        behind = DataLoader(posesynth.PoseStream(skeleton, BATCH), batch_size=None, **workers)
        ours = "PoseStream"
        rates = alternate(
            {
                ours: taking(iter(posesynth.PoseStream(skeleton, BATCH)), 1000),
                "PoseStream, one thread": taking(iter(posesynth.PoseStream(skeleton, BATCH, threads=1)), 1000),
                "PoseStream in a DataLoader, 2 workers": taking(endless(behind), 100),
                "stored set, DataLoader by sample, 2 workers": taking(endless(by_sample), 4),
                "stored set, DataLoader by batch, 2 workers": taking(endless(by_batch), 100),
                "stored set, DataLoader by batch, no worker": taking(endless(alone), 100),
            },
            seconds=1,
        )
    rows = [
        (name, millions(rate.median), millions(rate.best), f"{rates[ours].over(rate):.1f}")
        for name, rate in rates.items()
    ]
    print(table(("batches of 500", "million samples/s, median", "best", "PoseStream is faster by"), rows))


READER = """
import sys, time, posesynth
stream = posesynth.read_stream(sys.stdin.buffer)
next(stream)
begin, done = time.perf_counter(), 0
for batch in stream:
    done += len(batch)
print(done / (time.perf_counter() - begin))
"""


def pipe() -> None:
    """`posesynth stream` into `posesynth.read_stream`: two processes and a pipe, from the second batch to the last."""
    writer = [sys.executable, "-c", "from posesynth.cli import main; main()"]
    writer += ["stream", "--skeleton", "quadruped", "--n", "10M"]
    rates = []
    for _ in range(3):
        source = subprocess.Popen(writer, stdout=subprocess.PIPE)
        done = subprocess.run([sys.executable, "-c", READER], stdin=source.stdout, capture_output=True, check=True)
        source.wait()
        rates.append(float(done.stdout))
    rate = sorted(rates)[1]
    rows = [(f"posesynth stream into read_stream, batches of {BATCH}", millions(rate), f"{rate * 308 / 1e9:.2f}")]
    print(table(("pipe", "million samples/s, median of 3", "GB/s"), rows))
