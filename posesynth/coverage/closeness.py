"""How close samples come to real poses, and real poses to samples: completeness and compactness as numbers.

Two poses are as far apart as their bones are turned, in the upright axes: the angle whose cosine is the mean, over the
bones that the motion shows, of the cosine between the two directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posesynth.coverage.body import poses
from posesynth.coverage.joint_map import JointMap
from posesynth.coverage.measure import gather
from posesynth.errors import InputError, whole_number
from posesynth.kinematics import forward
from posesynth.motion import Motion
from posesynth.sampler import sample
from posesynth.skeleton import Skeleton

Array = NDArray[np.float64]

_AT_A_TIME = 4096  # samples, against all frames


@dataclass(frozen=True)
class Closeness:
    """Real frames and samples beside each other.

    near: degrees that count as close.  frames: those that show all the bones compared.  complete: share of them with
    a sample that near; frame_median: degrees from a frame to the nearest sample.  far: share of the samples with no
    frame that near; sample_median: degrees from a sample to the nearest frame.
    """

    near: float
    frames: int
    samples: int
    bones: int
    complete: float
    frame_median: float
    far: float
    sample_median: float

    def __str__(self) -> str:
        return (
            f"completeness: {100 * self.complete:.1f} % of {self.frames} frames have one of {self.samples:,} samples "
            f"within {self.near:g} degrees, half of them within {self.frame_median:.1f}\n"
            f"compactness: {100 * self.far:.1f} % of the samples lie farther than that from every frame, half of them "
            f"farther than {self.sample_median:.1f}\n"
            f"(degrees: the angle whose cosine is the mean over {self.bones} bones)"
        )


def closeness(
    skeleton: Skeleton,
    motions: Sequence[Motion],
    joint_map: JointMap | None = None,
    *,
    samples: int = 100_000,
    near: float = 20.0,
    seed: int = 0,
) -> Closeness:
    """Hold `samples` samples of a seed against real motion, both turned to face -y by the same rule.

    Raises InputError as `measure` does, and where no frame shows all the bones that any frame shows.
    """
    samples, seed = whole_number("samples", samples, 1), whole_number("seed", seed, 0)
    if not 0 < near <= 180:
        raise InputError(f"near: {near:g}; expected degrees above 0 and up to 180")
    real = np.concatenate([clip.directions for clip in gather(skeleton, motions, joint_map)])
    bones = np.flatnonzero(np.isfinite(real).any(axis=(0, 2)))
    real = real[np.isfinite(real[:, bones]).all(axis=(1, 2))][:, bones]
    if not len(real):
        raise InputError(f"{motions[0].source}: no frame shows all of the bones that are seen; expected some")
    flat = real.reshape(len(real), -1)
    to_frame, to_sample = np.empty(0), np.full(len(real), -np.inf)
    for start in range(0, samples, _AT_A_TIME):
        drawn = _directions(skeleton, seed, start, min(start + _AT_A_TIME, samples), joint_map)[:, bones]
        cosine = drawn.reshape(len(drawn), -1) @ flat.T / len(bones)
        to_frame = np.append(to_frame, cosine.max(axis=1))
        to_sample = np.maximum(to_sample, cosine.max(axis=0))
    frame, sample_ = (np.degrees(np.arccos(np.clip(cosine, -1, 1))) for cosine in (to_sample, to_frame))
    return Closeness(
        near=near,
        frames=len(real),
        samples=samples,
        bones=len(bones),
        complete=float((frame <= near).mean()),
        frame_median=float(np.median(frame)),
        far=float((sample_ > near).mean()),
        sample_median=float(np.median(sample_)),
    )


def _directions(skeleton: Skeleton, seed: int, start: int, stop: int, joint_map: JointMap | None) -> Array:
    """(stop - start, E, 3) bones of upright samples, turned by the same rule as the motion.

    0 in a sample that has no heading, which is thus near nothing.
    """
    o_up = sample(skeleton, seed, start, stop, ("o_up",)).o_up
    assert o_up is not None
    positions = forward(o_up, skeleton).astype(np.float64)
    given = joint_map or JointMap()
    told = JointMap(
        up=None if isinstance(given.up, str) else given.up,
        forward="-y" if isinstance(given.forward, str) else given.forward,
        left=given.left,
    )
    return np.nan_to_num(poses(skeleton, Motion(positions, skeleton.joints, source="samples"), told).directions)
