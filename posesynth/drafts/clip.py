"""A BVH: the joint tree, and the poses of its clip."""

import numpy as np

from posesynth.drafts.draft import Draft, named
from posesynth.motion import load_motion

_MOST = 2000  # frames: more hardly widen a range
SPREAD = 90.0  # half of all directions: of people, 60 held 13 to 100 % of another clip, 90 held 92 to 100 %


def read_clip(path: str) -> Draft:
    """The joints of a BVH, end sites among them, in the poses of its frames.

    Not the offsets, which some programs leave along the bones' own axes: what the joints' rotations make of them.
    """
    motion = load_motion(path)
    assert motion.parents is not None
    frames = np.unique(np.linspace(0, len(motion.positions) - 1, _MOST).astype(int))
    count = len(motion.positions)
    clip = f"its {count} frames" if count > 1 else "its one frame"
    return Draft(
        path,
        "BVH",
        named(path, motion.names),
        motion.names,
        tuple((int(parent), joint) for joint, parent in enumerate(motion.parents) if parent >= 0),
        directed=True,
        poses=motion.positions[frames],
        spread=SPREAD,
        up=motion.up,
        forward="z",
        about=f"{SPREAD:g} degrees to every side of each bone's mean direction in {clip}, and all that they reach; "
        "lengths +-20 %",
    )
