"""Ranges over another angle, for many poses at once: what `dependence` does to words, done to angles."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from posesynth.skeleton import Given, Range, Skeleton

Array = NDArray[np.float64]


def source(skeleton: Skeleton, edge: int, given: Given) -> tuple[int, int]:
    """(edge, 0 or 1): the angle that a range of `edge` depends on."""
    return (int(skeleton.parents[edge + 1]) - 1 if given.bone == "parent" else edge), given.which


def range_left(skeleton: Skeleton, edge: int, which: int, first: Array, second: Array) -> tuple[Array, Array]:
    """(low, high) in degrees of one of an edge's two angles in each of T poses.

    which: 0 or 1.  first, second: (T, E) angles of all bones in degrees, on any turn.  Where the angle that a range
    depends on is NaN, the whole range.
    """
    range_ = skeleton.ranges[edge]
    given, hull = range_.given[which], (range_.first, range_.second)[which]
    if given is None:
        return np.full(len(first), hull[0]), np.full(len(first), hull[1])
    bone, angle = source(skeleton, edge, given)
    values = (first, second)[angle][:, bone]
    low, high = between(given, on_turn(values, (skeleton.ranges[bone].first, skeleton.ranges[bone].second)[angle]))
    known = np.isfinite(values)
    return np.where(known, low, hull[0]), np.where(known, high, hull[1])


def between(given: Given, angle: Array) -> tuple[Array, Array]:
    """(low, high) of the range at these angles of the bone it depends on, in degrees."""
    low, high = (np.full(np.shape(angle), given.ranges[0][end]) for end in (0, 1))
    for (a, b), (from_, to) in zip(pairwise(given.at), pairwise(given.ranges), strict=True):
        along = np.clip((angle - a) / (b - a), 0, 1)
        low, high = low + along * (to[0] - from_[0]), high + along * (to[1] - from_[1])
    return low, high


def on_turn(values: Array, range_: Range) -> Array:
    """The same angles, each on the turn nearest the middle of a range."""
    middle = (range_[0] + range_[1]) / 2
    return (values - middle + 180) % 360 - 180 + middle
