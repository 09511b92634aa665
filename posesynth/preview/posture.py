"""One posture of a skeleton, and the range of a bone as a surface about its joint."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posesynth.conditional_ranges import range_left
from posesynth.coverage.angles import carried, frames
from posesynth.skeleton import EdgeRange, Range, Skeleton

Array = NDArray[np.float64]

STEPS = 20  # of a surface in either angle


@dataclass(frozen=True)
class Posture:
    """Bones of one pose in the upright animal's axes.

    ``first``, ``second``: (E,) degrees.  ``frames``: (E, 3, 3) of the bones.  ``joints``: (N, 3), root at the origin,
    in units of the longest edge; NaN where one is not known.
    """

    first: Array
    second: Array
    frames: Array
    joints: Array


def upright(skeleton: Skeleton) -> Posture:
    """The posture in the middle of all ranges, of usual ranges where a bone has them.

    Bones that may go anywhere, as in a fresh draft, are laid out: that they have no middle would stack them all.
    """
    first, second = np.zeros((1, skeleton.edges)), np.zeros((1, skeleton.edges))
    for e, edge in enumerate(skeleton.ranges):
        for which, angles in enumerate((first, second)):
            low, high = (float(bound[0]) for bound in range_left(skeleton, e, which, first, second))
            usual = edge.usual[which] or (low, high)
            angles[0, e] = np.clip(sum(usual) / 2, low, high)
        if _is_anywhere(edge):
            first[0, e], second[0, e] = _laid_out(skeleton, e, first[0], second[0])
    lengths = np.array([sum(edge.length) / 2 for edge in skeleton.ranges])
    return posed(skeleton, first[0], second[0], lengths / (lengths.max() or 1.0))


def _is_anywhere(edge: EdgeRange) -> bool:
    whole = edge.angles == "spherical" and edge.first == (0.0, 180.0) and edge.second[1] - edge.second[0] == 360
    return whole and edge.frame == "world" and not any(edge.usual)


def _laid_out(skeleton: Skeleton, e: int, first: Array, second: Array) -> tuple[float, float]:
    """theta and phi of a bone that may go anywhere: pairs to their sides and then down, others along the body."""
    above = int(skeleton.parents[e + 1]) - 1
    paired = {edge: side for pair in skeleton.symmetric for side, edge in enumerate(pair)}
    if e in paired:
        theta, phi = (130.0 if above in paired else 90.0), 180.0 * paired[e]
    elif above >= 0:
        theta, phi = float(first[above]), float(second[above])
    else:
        behind = any(skeleton.parents[other + 1] == 0 and other not in paired for other in range(e))
        theta, phi = 90.0, 90.0 if behind else -90.0  # the first one is the front
    low, _ = skeleton.ranges[e].second
    return theta, low + (phi - low) % 360


def posed(skeleton: Skeleton, first: Array, second: Array, lengths: Array) -> Posture:
    """The posture with these angles (E,) in degrees and bone lengths (E,)."""
    made = frames(skeleton, first, second)
    return Posture(first, second, made, chain(skeleton, made[..., 2] * lengths[:, None]))


def chain(skeleton: Skeleton, bones: Array) -> Array:
    """(..., N, 3) joints from bones (..., E, 3), root at the origin; NaN from a bone on that is NaN."""
    joints = np.zeros((*bones.shape[:-2], skeleton.edges + 1, 3))
    for e, parent in enumerate(skeleton.parents[1:].tolist()):
        joints[..., e + 1, :] = joints[..., parent, :] + bones[..., e, :]
    return joints


@dataclass(frozen=True)
class Surface:
    """Where a bone may end.  ``vertices``: ((STEPS + 1)^2, 3); ``outline``: (S, 2, 3) its border and the way there."""

    vertices: Array
    outline: Array


def surface(
    skeleton: Skeleton,
    edge: int,
    posture: Posture,
    length: float,
    only: tuple[Range | None, Range | None] = (None, None),
) -> Surface:
    """Where the bone of `edge`, of this length, may end while all else is as in `posture`.

    only: other ranges of its two angles than the skeleton's.
    """
    first, second = (np.repeat(angles[None], STEPS + 1, axis=0) for angles in (posture.first, posture.second))
    along = np.linspace(0, 1, STEPS + 1)
    low, high = range_left(skeleton, edge, 0, first, second) if only[0] is None else np.array(only[0])[:, None]
    first[:, edge] = low + (high - low) * along
    low, high = range_left(skeleton, edge, 1, first, second) if only[1] is None else np.array(only[1])[:, None]
    across = low[..., None] + (high - low)[..., None] * along
    a, b = np.broadcast_arrays(first[:, edge, None], across)
    carrier, parent = skeleton.carrier(edge), int(skeleton.parents[edge + 1])
    outer = posture.frames[carrier] if carrier >= 0 else np.eye(3)
    joint = posture.joints[parent]
    ends = joint + length * carried(skeleton.ranges[edge], a, b)[..., 2] @ outer.T
    border = np.concatenate([ends[0, :-1], ends[:-1, -1], ends[-1, :0:-1], ends[:0:-1, 0]])
    rim = np.stack([border, np.roll(border, -1, axis=0)], axis=1)
    corners = ends[[0, 0, -1, -1], [0, -1, 0, -1]]
    spokes = np.stack([np.broadcast_to(joint, corners.shape), corners], axis=1)
    return Surface(ends.reshape(-1, 3), np.concatenate([rim, spokes]))


def surface_faces() -> NDArray[np.uint32]:
    """The triangles of every surface, as indices of its vertices."""
    corner = (np.arange(STEPS)[:, None] * (STEPS + 1) + np.arange(STEPS)).reshape(-1)
    one, two = corner + 1, corner + STEPS + 1
    return np.concatenate([np.stack([corner, one, two], -1), np.stack([one, two + 1, two], -1)]).astype(np.uint32)
