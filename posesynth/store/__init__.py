"""Data sets on disk: written shard by shard, resumed, verified, mended, and read back as batches."""

from posesynth.store.dataset import Dataset, open  # noqa: A004
from posesynth.store.generate import Summary, generate, write_shard
from posesynth.store.manifest import ShardRecord
from posesynth.store.plan import Plan

__all__ = ["Dataset", "Plan", "ShardRecord", "Summary", "generate", "open", "write_shard"]
