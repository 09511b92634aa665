"""The YAML of a skeleton: text in, a validated `Skeleton` out, or every fault of the file at once.

docs/skeleton-format.md tells the format to people.
"""

from posesynth.schema.file import parse_skeleton, skeleton_of, skeleton_of_tree
from posesynth.schema.sampling import with_sampling

__all__ = ["parse_skeleton", "skeleton_of", "skeleton_of_tree", "with_sampling"]
