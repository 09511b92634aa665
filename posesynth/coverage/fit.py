"""Ranges that hold real motion."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from posesynth.coverage.angles import principal_angles
from posesynth.coverage.body import Heading, heading, swallowed
from posesynth.coverage.joint_map import JointMap
from posesynth.coverage.measure import ANGLE_NAMES, gather
from posesynth.errors import InputError
from posesynth.motion import Motion
from posesynth.schema_edits import with_ranges
from posesynth.skeleton import EdgeRange, Range, Skeleton

Array = NDArray[np.float64]


def fit(
    skeleton: Skeleton,
    motions: Sequence[Motion],
    joint_map: JointMap | None = None,
    *,
    quantile: float = 0.98,
    margin: float = 0.0,
) -> str:
    """The skeleton's YAML with angle ranges that hold a share of real poses.

    Each bone's ranges are the smallest in which at least `quantile` of its frames lie with both angles,
    widened by `margin` degrees at either end.  A symmetric pair gets one range, of the left side
    and the mirrored right side, that holds the share on either side.  Bones that are not seen keep their
    range, ranges that depend on another angle stay as they are, and so does every bone's length range.  Where a line of
    the body tells the heading, the heading takes the swing of that line's bones: their range of that angle is widened
    where it must be, but never narrowed, and a UserWarning says so.

    Raises InputError as `measure` does, or for a `quantile` outside (0, 1] or a `margin` outside [0, 180].
    """
    return with_ranges(skeleton.text, propose(skeleton, motions, joint_map, quantile=quantile, margin=margin))


def propose(
    skeleton: Skeleton,
    motions: Sequence[Motion],
    joint_map: JointMap | None = None,
    *,
    quantile: float = 0.98,
    margin: float = 0.0,
) -> dict[str, dict[str, Range]]:
    """The ranges that `fit` writes: joint -> angle -> (low, high) in degrees, of each bone that is seen."""
    if not 0 < quantile <= 1:
        raise InputError(f"quantile: {quantile:g}; expected a share above 0 and up to 1")
    if not 0 <= margin <= 180:
        raise InputError(f"margin: {margin:g}; expected 0 to 180 degrees")
    told = heading(skeleton, joint_map or JointMap())
    kept = swallowed(skeleton, told)
    ranges = fitted_ranges(skeleton, motions, joint_map, quantile, margin, kept)
    kept = {e: which for e, which in kept.items() if skeleton.joints[e + 1] in ranges}
    if kept:
        warnings.warn(_swing(skeleton, told, kept), stacklevel=3)
    return ranges


def _swing(skeleton: Skeleton, told: Heading, kept: dict[int, int]) -> str:
    """The warning about bones whose swing cannot be fitted."""
    which = ", ".join(
        f"{ANGLE_NAMES[skeleton.ranges[e].angles][a]} of {skeleton.joints[e + 1]}" for e, a in kept.items()
    )
    return (
        f"heading: {told}; it takes the swing of that line, so the range of {which} is not narrowed, "
        "and other bones may be fitted too wide; if the animal never turns, an axis as 'forward' in a map leaves it in"
    )


def fitted_ranges(
    skeleton: Skeleton,
    motions: Sequence[Motion],
    joint_map: JointMap | None,
    quantile: float,
    margin: float,
    kept: dict[int, int],
) -> dict[str, dict[str, Range]]:
    """Joint -> angle name -> (low, high) in degrees, of each bone that is seen.

    ``kept``: edge -> the angle (0 or 1) whose range must hold the one given, too.
    """
    seen = gather(skeleton, motions, joint_map)
    first, second = principal_angles(skeleton, np.concatenate([clip.directions for clip in seen]))
    each = 1 - (1 - quantile) / 2  # a frame may leak from either angle
    twins = {a: b for a, b in skeleton.symmetric if _mirrored(skeleton, a, b)}
    ranges: dict[str, dict[str, Range]] = {}
    for e, edge in enumerate(skeleton.ranges):
        if e in twins.values():
            continue
        sides = [(first[:, e], second[:, e])]
        if e in twins:
            sides.append((first[:, twins[e]], _mirror(edge, second[:, twins[e]])))
        sides = [(a[np.isfinite(a)], b[np.isfinite(b)]) for a, b in sides if np.isfinite(a).any()]
        if not sides:
            continue
        names = ANGLE_NAMES[edge.angles]
        a = _range(names[0], [side[0] for side in sides], each, margin, sum(edge.first) / 2)
        lowest = -540 if e in twins else -720  # 180 - phi of the mirror image may not exceed 720 either
        b = _range(names[1], [side[1] for side in sides], each, margin, sum(edge.second) / 2, lowest)
        which = kept.get(e, kept.get(twins.get(e, -1)))
        if which == 0:
            a = _hull(a, edge.first)
        elif which == 1:
            b = _hull(b, edge.second)
        free = [given is None for given in edge.given]
        fitted = {name: range_ for name, range_, f in zip(names, (a, b), free, strict=True) if f}
        if not fitted:
            continue
        ranges[skeleton.joints[e + 1]] = fitted
        if e in twins:
            low, high = (float(end) for end in _mirror(edge, np.array(b[::-1])))
            ranges[skeleton.joints[twins[e] + 1]] = {**fitted, **({names[1]: (low, high)} if free[1] else {})}
    return ranges


def _mirrored(skeleton: Skeleton, left: int, right: int) -> bool:
    """Whether two edges have ranges that are each other's mirror image, as ``mirror:`` makes them."""
    a, b = skeleton.ranges[left], skeleton.ranges[right]
    same = (a.frame, a.angles, a.first) == (b.frame, b.angles, b.first)
    return same and bool(np.allclose(_mirror(a, np.array(a.second[::-1])), b.second, atol=1e-9))


def _mirror(edge: EdgeRange, second: Array) -> Array:
    """The second angle of the mirror image x -> -x."""
    return -second if edge.angles == "flexion" else 180 - second


def _range(name: str, samples: list[Array], share: float, margin: float, near: float, lowest: float = -720) -> Range:
    """The smallest range that holds the share of each sample, widened by the margin, on the turn nearest `near`."""
    circular = name in ("phi", "flexion")
    low, high = smallest_arc(samples, share, circular)
    low, high = math.floor((low - margin) * 10) / 10, math.ceil((high + margin) * 10) / 10
    if name == "theta":
        return max(low, 0.0), min(high, 180.0)
    if name == "abduction":  # beyond 90 a direction has a second reading
        return max(low, -90.0), min(high, 90.0)
    if high - low >= 360:
        return -180.0, 180.0
    turn = 360 * round((near - (low + high) / 2) / 360)
    turn -= 360 * (high + turn > 720) - 360 * (low + turn < lowest)
    return round(low + turn, 1), round(high + turn, 1)


def _hull(fitted: Range, given: Range) -> Range:
    """The range that holds both, the fitted one on the turn it has: the nearest to the given."""
    low, high = min(fitted[0], given[0]), max(fitted[1], given[1])
    return (low, high) if high - low < 360 else (-180.0, 180.0)


def smallest_arc(samples: list[Array], share: float, circular: bool) -> Range:
    """The shortest [low, high] that holds at least `share` of each sample's angles, in degrees.

    On a circle it may run through 360 and then has high > 360.
    """
    ordered = [np.sort(sample % 360 if circular else sample) for sample in samples]
    starts = np.concatenate(ordered)
    ends = np.full(len(starts), -np.inf)
    for sample in ordered:
        again = sample + 360 if circular else np.full(len(sample), np.inf)
        hold = max(math.ceil(share * len(sample) - 1e-9), 1)
        reach = np.searchsorted(sample, starts) + hold - 1
        ends = np.maximum(ends, np.concatenate([sample, again])[reach])
    best = int(np.argmin(ends - starts))
    return float(starts[best]), float(ends[best])
