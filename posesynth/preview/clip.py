"""A clip of real motion, laid over a skeleton whose ranges change."""

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posesynth.coverage.angles import frames
from posesynth.coverage.body import poses
from posesynth.coverage.joint_map import JointMap
from posesynth.coverage.measure import outside
from posesynth.coverage.readings import depends_on_ranges, read_angles
from posesynth.motion import Motion
from posesynth.preview.posture import Posture, chain
from posesynth.skeleton import Skeleton

Array = NDArray[np.float64]
FPS = 30.0  # of a file that does not say


@dataclass(frozen=True)
class Shares:
    """Of one bone's frames: the share inside the first angle's range, the second's, and both; NaN if it has none."""

    first: float
    second: float
    both: float


class Clip:
    """Real frames as poses of the skeleton.  ``name``; ``frames``: T; ``fps``."""

    def __init__(self, skeleton: Skeleton, motion: Motion, joint_map: JointMap | None) -> None:
        """Raises InputError for joints that are not found, as `posesynth coverage` does."""
        self.name = os.path.basename(motion.source)
        self.fps = motion.fps or FPS
        seen = poses(skeleton, motion, joint_map or JointMap())
        self.frames = len(seen.directions)
        self._directions, self._lengths = seen.directions, seen.lengths
        self._first, self._second = read_angles(skeleton, seen.directions)
        self._out: dict[int, NDArray[np.bool_]] = {}  # edge -> (2, T) outside
        self._skeleton = skeleton

    def follow(self, skeleton: Skeleton) -> None:
        """Take new ranges of the same tree."""
        before, self._skeleton = self._skeleton, skeleton
        if depends_on_ranges(skeleton) or depends_on_ranges(before):
            self._first, self._second = read_angles(skeleton, self._directions)
            self._out.clear()
            return
        for e in [e for e in self._out if any(skeleton.ranges[e].given) or skeleton.ranges[e] != before.ranges[e]]:
            del self._out[e]

    def posture(self, frame: int, rest: Posture) -> Posture:
        """The animal in a frame.  Bones that are not seen have the angles of `rest`, and are NaN among its joints."""
        first, second = (
            np.where(np.isfinite(angles[frame]), angles[frame], other)
            for angles, other in ((self._first, rest.first), (self._second, rest.second))
        )
        joints = chain(self._skeleton, self._directions[frame] * self._lengths[frame][:, None])
        return Posture(first, second, frames(self._skeleton, first, second), joints)

    def outside(self, frame: int) -> NDArray[np.bool_]:
        """(E,) whether a bone is seen in the frame and lies outside its range."""
        return np.array([self._outside(e)[:, frame].any() for e in range(self._skeleton.edges)])

    def shares(self, edges: list[int]) -> Shares:
        """Of all frames of these bones, mirror images of each other."""
        out = np.concatenate([self._outside(e)[:, np.isfinite(self._first[:, e])] for e in edges], axis=1)
        if not out.size:
            return Shares(*[float("nan")] * 3)
        first, second = 1 - out.mean(axis=1)
        return Shares(float(first), float(second), float(1 - out.any(axis=0).mean()))

    def whole(self) -> float:
        """The share of frames with every bone that is seen inside its range."""
        out = np.any([self._outside(e).any(axis=0) for e in range(self._skeleton.edges)], axis=0)
        seen = np.isfinite(self._first).any(axis=1)
        return float(1 - out[seen].mean()) if seen.any() else float("nan")

    def _outside(self, edge: int) -> NDArray[np.bool_]:
        if edge not in self._out:
            seen = np.isfinite(self._first[:, edge])
            out = np.zeros((2, self.frames), bool)
            out[:, seen] = np.array(outside(self._skeleton, edge, self._first[seen], self._second[seen])) != 0
            self._out[edge] = out
        return self._out[edge]
