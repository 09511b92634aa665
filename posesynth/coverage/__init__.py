"""Real motion against a skeleton's ranges: what they hold, where it leaks, and ranges that would hold it."""

from posesynth.coverage.closeness import Closeness, closeness
from posesynth.coverage.examples import Learned, learn
from posesynth.coverage.fit import fit
from posesynth.coverage.joint_map import JointMap, load_map
from posesynth.coverage.measure import Coverage, measure

__all__ = ["Closeness", "Coverage", "JointMap", "Learned", "closeness", "fit", "learn", "load_map", "measure"]
