"""Motion that a skeleton could have made."""

import numpy as np

from posesynth.kinematics import forward
from posesynth.motion import Motion
from posesynth.sampler import sample
from posesynth.skeleton import Skeleton


def sampled_motion(skeleton: Skeleton, count: int, seed: int = 3) -> Motion:
    """Frames drawn from a skeleton, upright, with each joint under its own name."""
    o_up = sample(skeleton, seed, 0, count, ("o_up",)).o_up
    assert o_up is not None
    positions = forward(o_up, skeleton).astype(np.float64)
    return Motion(positions, skeleton.joints, None, 30.0, "z", "clip")
