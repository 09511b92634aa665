"""Which of its two readings a direction is given, for ranges of abduction beyond +-90.

A direction is (flexion, abduction) and also (flexion + 180, 180 - abduction), which gives the bone's frame half a turn
about the bone, and so changes the angles of all that hangs on it.  Only a range of abduction that reaches beyond 90
holds both kinds, and no skeleton that ships has one; but the schema allows it, and poses drawn from such a range must
lie in it.  A choice bone by bone would not do: where a bone's range holds both readings, only the bones that hang
on it tell which of them was drawn.  Whole ranges choose: where one depends on another angle, its table has no say.
"""

import numpy as np
from numpy.typing import NDArray

from posesynth.coverage.angles import excess, principal_angles, weights
from posesynth.skeleton import EdgeRange, Skeleton

Array = NDArray[np.float64]


def read_angles(skeleton: Skeleton, directions: Array) -> tuple[Array, Array]:
    """(T, E) first and second angles of unit directions (T, E, 3); NaN where a direction needed is NaN.

    Those of `principal_angles`, unless a range of abduction reaches beyond +-90: then the reading that leaves the
    least outside over the whole tree.
    """
    first, second = principal_angles(skeleton, directions)
    if depends_on_ranges(skeleton):
        return _best_reading(skeleton, first, second)
    return first, second


def depends_on_ranges(skeleton: Skeleton) -> bool:
    """Whether `read_angles` reads directions otherwise when ranges change."""
    return any(_reaches_over(edge) for edge in skeleton.ranges)


def _reaches_over(edge: EdgeRange) -> bool:
    """Whether the range holds abductions beyond +-90."""
    return edge.angles == "flexion" and (
        edge.second[1] - edge.second[0] > 180 or bool((excess(np.array(edge.second), (-90, 90)) != 0).any())
    )


def _best_reading(skeleton: Skeleton, first: Array, second: Array) -> tuple[Array, Array]:
    """Of the readings (first, second) and its twins, the one with the least arc outside in each frame.

    A frame turned by half a turn about its bone stays so down the tree until a bone is read the
    other way again, so each edge has two states.  Costs are summed from the leaves to the root, and the
    choices read from the root to the leaves.
    """
    edges = range(len(skeleton.ranges))
    beyond = np.zeros((2, *first.shape))  # cost of all that hangs on an edge, by the state of its frame
    over: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for e in reversed(edges):
        edge, outer = skeleton.ranges[e], skeleton.carrier(e)
        for state in (0, 1) if outer >= 0 else (0,):
            cost = _outside(edge, *_twin(edge, first[:, e], second[:, e], state, False)) + beyond[state, :, e]
            over[e, state] = np.zeros(len(first), dtype=bool)
            if _reaches_over(edge):
                other = _outside(edge, *_twin(edge, first[:, e], second[:, e], state, True)) + beyond[1 - state, :, e]
                over[e, state] = other < cost - 1e-9
                cost = np.minimum(cost, other)
            if outer >= 0:
                beyond[state, :, outer] += np.nan_to_num(cost)
    first, second = first.copy(), second.copy()
    states = np.zeros(first.shape, dtype=np.int64)
    for e in edges:
        edge, outer = skeleton.ranges[e], skeleton.carrier(e)
        inner = states[:, outer] if outer >= 0 else np.zeros(len(first), dtype=np.int64)
        chosen = np.where(inner == 0, over[e, 0], over[e, 1] if outer >= 0 else False)
        for state in (0, 1):
            for flip in (False, True):
                here = (inner == state) & (chosen == flip)
                first[here, e], second[here, e] = _twin(edge, first[here, e], second[here, e], state, flip)
        states[:, e] = inner ^ chosen
    return first, second


def _twin(edge: EdgeRange, first: Array, second: Array, state: int, over: bool) -> tuple[Array, Array]:
    """The same direction in a frame turned half about its z (`state` 1), read over the pole of abduction (`over`)."""
    if edge.angles == "spherical":
        return first, second + 180 * state
    if state:
        first, second = -first, -second
    return (first + 180, 180 - second) if over else (first, second)


def _outside(edge: EdgeRange, first: Array, second: Array) -> Array:
    """Degrees of arc outside the range, both angles together."""
    weight_first, weight_second = weights(edge, first, second)
    outside = np.abs(excess(first, edge.first)) * weight_first + np.abs(excess(second, edge.second)) * weight_second
    return np.nan_to_num(outside)
