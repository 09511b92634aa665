"""Other people's motion: joint positions over time from BVH, ASF/AMC, DeepMimic, CSV, NPZ, NPY and Label3D files."""

from posesynth.motion.clip import Motion
from posesynth.motion.load import load_motion

__all__ = ["Motion", "load_motion"]
