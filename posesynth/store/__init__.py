"""Data sets on disk: written shard by shard, resumed, verified, mended, and read back as batches."""

from posesynth.store.dataset import Dataset, open  # noqa: A004
from posesynth.store.generate import Summary, generate, size, space, write_shard
from posesynth.store.manifest import ShardRecord
from posesynth.store.plan import Plan
from posesynth.store.target import Finding, target
from posesynth.store.verify import Report, verify

__all__ = [
    "Dataset",
    "Finding",
    "Plan",
    "Report",
    "ShardRecord",
    "Summary",
    "generate",
    "open",
    "size",
    "space",
    "target",
    "verify",
    "write_shard",
]
