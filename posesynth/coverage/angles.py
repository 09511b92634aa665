"""From directions of bones to the two angles of each, in the frame its range is given in.

The inverse of the carried frames of docs/conventions.md:
    spherical   F = G Rz(phi) Ry(theta) Rz(-phi)    direction = G (sin t cos p, sin t sin p, cos t)
    flexion     F = G Rx(flexion) Ry(abduction)     direction = G (sin ab, -sin fl cos ab, cos fl cos ab)
with G the identity (frame: world, and edges that leave the root) or F of the parent bone.  All angles
are in degrees and compared modulo 360.
"""

import numpy as np
from numpy.typing import NDArray

from posesynth.skeleton import EdgeRange, Range, Skeleton

Array = NDArray[np.float64]

BLOCK = 4096  # frames at a time: the carried frames of a long clip would not fit into memory


def carried(edge: EdgeRange, first: Array, second: Array) -> Array:
    """(..., 3, 3) turn that a bone at these angles gives to the frame G: the columns of F in G's axes."""
    sin_a, cos_a = np.sin(np.radians(first)), np.cos(np.radians(first))
    sin_b, cos_b = np.sin(np.radians(second)), np.cos(np.radians(second))
    zero = np.zeros_like(sin_a)
    if edge.angles == "flexion":
        rows = [
            [cos_b, zero, sin_b],
            [sin_a * sin_b, cos_a, -sin_a * cos_b],
            [-cos_a * sin_b, sin_a, cos_a * cos_b],
        ]
    else:
        fall = cos_a - 1
        rows = [
            [1 + cos_b**2 * fall, cos_b * sin_b * fall, sin_a * cos_b],
            [cos_b * sin_b * fall, 1 + sin_b**2 * fall, sin_a * sin_b],
            [-sin_a * cos_b, -sin_a * sin_b, cos_a],
        ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def frames(skeleton: Skeleton, first: Array, second: Array) -> Array:
    """(..., E, 3, 3) the frame F of each bone, from angles (..., E): the bone lies along its third column."""
    made: list[Array] = []
    for e, edge in enumerate(skeleton.ranges):
        frame = carried(edge, first[..., e], second[..., e])
        made.append(frame if skeleton.carrier(e) < 0 else made[skeleton.carrier(e)] @ frame)
    return np.stack(made, axis=-3)


def excess(values: Array, given: Range | tuple[Array, Array]) -> Array:
    """Degrees by which angles lie outside a range, or each its own: negative below it, positive above it, 0 inside."""
    low, high = given
    off = (values - (low + high) / 2 + 180) % 360 - 180
    return np.sign(off) * np.maximum(np.abs(off) - (high - low) / 2, 0)


def weights(edge: EdgeRange, first: Array, second: Array) -> tuple[Array, Array]:
    """How far a bone's end moves on the unit sphere for a small change of each angle."""
    one = np.ones_like(first)
    if edge.angles == "flexion":
        return np.abs(np.cos(np.radians(second))), one
    return one, np.sin(np.radians(first))


def principal_angles(skeleton: Skeleton, directions: Array) -> tuple[Array, Array]:
    """(T, E) first and second angles of unit directions (T, E, 3); NaN where a direction needed is NaN.

    theta lies in [0, 180], flexion in (-180, 180], abduction in [-90, 90].
    """
    blocks = [directions[start : start + BLOCK] for start in range(0, len(directions), BLOCK)]
    first, second = zip(*(_principal(skeleton, block) for block in blocks), strict=True)
    return np.concatenate(first), np.concatenate(second)


def _principal(skeleton: Skeleton, directions: Array) -> tuple[Array, Array]:
    first, second = np.empty(directions.shape[:2]), np.empty(directions.shape[:2])
    frames: list[Array] = []
    for e, edge in enumerate(skeleton.ranges):
        direction = directions[:, e]
        outer = frames[skeleton.carrier(e)] if skeleton.carrier(e) >= 0 else None
        if outer is not None:
            direction = np.einsum("tji,tj->ti", outer, direction)
        x, y, z = direction.T
        if edge.angles == "flexion":
            first[:, e] = np.degrees(np.arctan2(-y, z))
            second[:, e] = np.degrees(np.arctan2(x, np.hypot(y, z)))  # asin(x), exact near +-90
        else:
            first[:, e] = np.degrees(np.arctan2(np.hypot(x, y), z))
            second[:, e] = np.degrees(np.arctan2(y, x))
        frame = carried(edge, first[:, e], second[:, e])
        frames.append(frame if outer is None else outer @ frame)
    return first, second
