"""Real motion against a skeleton's ranges: what they hold, where it leaks, and ranges that would hold it."""

from posesynth.coverage.fit import fit
from posesynth.coverage.joint_map import JointMap, load_map
from posesynth.coverage.measure import Coverage, measure

__all__ = ["Coverage", "JointMap", "fit", "load_map", "measure"]
