"""Poses put on a floor, as large as they were filmed, with the room they take."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

FROM_ABOVE = 16.0  # degrees
FLAT, UPRIGHT = math.sin(math.radians(FROM_ABOVE)), math.cos(math.radians(FROM_ABOVE))

_FARTHEST = 0.5  # longest edges: an expected error is drawn no larger
_SHOWN = 98  # percent of the poses have room: one that went wrong does not make all the others small


class Standing(NamedTuple):
    """Poses with their middle above the origin and the lowest joint at height 0, and the room they take."""

    poses: Array  # (T, N, 3), NaN where there is none
    errors: Array | None  # (T, N) how far off the model expects each joint to be, in the unit of the poses
    seen: NDArray[np.bool_]  # (T, N) in the 2D, which is kept: only its depth is in doubt
    radius: float  # of a floor they all stand on
    extent: tuple[float, float]  # from the front edge, or a disc below it, up to the top, however the floor is turned


def standing(p3d: Array, p2d: Array, confidence: Array | None) -> Standing:
    """The poses (T, N, 3), at least one of them with a joint, each put on the floor.

    p2d: (T, N, 2) what they were lifted from.  The unit of a pose is its own longest edge, which is another one as soon
    as the animal turns; as large as it was filmed, it keeps its size.  confidence: (T, N) exp(-error), or None.
    """
    scale = filmed_scale(p3d, p2d)
    on = np.isfinite(p3d).all(axis=-1, keepdims=True)
    scaled = p3d * scale[:, None, None]
    low, high = np.where(on, scaled, np.inf).min(1), np.where(on, scaled, -np.inf).max(1)
    lifted = np.asarray(low[:, 0] < np.inf)
    low, high = np.where(lifted[:, None], low, 0), np.where(lifted[:, None], high, 0)
    base = np.concatenate([(low + high)[:, :2] / 2, low[:, 2:]], axis=-1)
    poses = np.where(on, scaled - base[:, None], np.nan)
    errors = None
    if confidence is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = np.clip(-np.log(confidence), 0, _FARTHEST) * scale[:, None]
    seen = ~np.isnan(p2d.sum(axis=-1))
    away, height = np.hypot(poses[lifted, :, 0], poses[lifted, :, 1]), poses[lifted, :, 2] * UPRIGHT
    disc = 0.0 if errors is None else np.where(seen, 0, np.nan_to_num(errors))[lifted]
    radius = 1.08 * _room(away) or 1.0
    bottom = max(radius * FLAT, _room(away * FLAT - height + disc))
    top = max(radius * FLAT, _room(away * FLAT + height + disc))
    return Standing(poses, errors, seen, radius, (-bottom, top))


def filmed_scale(p3d: Array, p2d: Array) -> Array:
    """(T,) what brings each pose (T, N, 3) to the size of its 2D (T, N, 2), up to a factor that is the same for all.

    The median is 1; so is a pose whose 2D does not tell.
    """
    seen = np.isfinite(p2d.sum(axis=-1, keepdims=True) + p3d.sum(axis=-1, keepdims=True))
    count = np.maximum(seen.sum(axis=1, keepdims=True), 1)

    def about_middle(points: Array) -> Array:
        kept = np.where(seen, points, 0).astype(np.float64)
        return np.where(seen, kept - kept.sum(axis=1, keepdims=True) / count, 0)

    flat, image = about_middle(p3d[..., [0, 2]]), about_middle(p2d)
    size = (flat**2).sum(axis=(1, 2))
    scale = np.divide((flat * image).sum(axis=(1, 2)), size, out=np.zeros(len(size)), where=size > 0)
    known = scale > 0
    usual = np.median(scale[known]) if known.any() else 1.0
    return np.where(known, scale / usual, 1.0)


def _room(reach: Array) -> float:
    return float(np.percentile(np.nanmax(reach, axis=1), _SHOWN, method="higher"))
