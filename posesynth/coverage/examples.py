"""Example poses from real motion, written into a skeleton's YAML for its sampling to learn from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posesynth.conditional_ranges import on_turn
from posesynth.coverage.joint_map import JointMap
from posesynth.coverage.measure import gather
from posesynth.coverage.readings import read_angles
from posesynth.errors import InputError, whole_number
from posesynth.motion import Motion
from posesynth.schema.tables import MAX_JOINTS
from posesynth.schema_edits import with_examples
from posesynth.skeleton import Skeleton

MOST = 16_000  # numbers: what a file of a skeleton may hold is bounded
USUAL = 256
SEEN = 0.5  # of the frames must show a bone for it to be among the examples


class Learned(NamedTuple):
    """A skeleton's YAML with examples, and how many poses they are, of how many bones."""

    text: str
    poses: int
    bones: int


def learn(
    skeleton: Skeleton, motions: Sequence[Motion], joint_map: JointMap | None = None, *, poses: int | None = None
) -> Learned:
    """The skeleton's YAML with examples from real motion, drawn from with ``sampling.angles: tree``.

    Of the frames that show all bones which at least half of the frames show, `poses` are taken (None: 256, or as many
    as a file can hold), evenly over the clips; all, where there are not so many.  A symmetric skeleton learns from
    their mirror images, too (`dependence.draws`).

    Raises InputError as `measure` does, for a skeleton that has examples already, where no frame shows enough, or for
    so many `poses` that a skeleton's file could not hold them.
    """
    most = min(MAX_JOINTS, MOST // (2 * skeleton.edges))  # the longest list that a file may hold
    poses = min(USUAL, most) if poses is None else whole_number("poses", poses, 2, most)
    directions = np.concatenate([clip.directions for clip in gather(skeleton, motions, joint_map)])
    first, second = read_angles(skeleton, directions)
    seen = np.isfinite(first) & np.isfinite(second)
    edges = np.flatnonzero(seen.mean(axis=0) >= SEEN)
    frames = np.flatnonzero(seen[:, edges].all(axis=1))
    if not len(edges) or len(frames) < 2:
        raise InputError(f"{motions[0].source}: too few frames show the same bones; expected 2 or more")
    taken = frames[np.unique(np.linspace(0, len(frames) - 1, min(poses, len(frames))).round().astype(int))]
    angles = []
    for e in edges:
        range_ = skeleton.ranges[e]
        angles += [on_turn(first[taken, e], range_.first), on_turn(second[taken, e], range_.second)]
    shown = [skeleton.joints[e + 1] for e in edges]
    return Learned(with_examples(skeleton.text, shown, np.stack(angles, axis=1).tolist()), len(taken), len(edges))
