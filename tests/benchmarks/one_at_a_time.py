"""The rival a user of Numba would write: one sample after another, libm, np.random, prange."""

import math
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from posesynth.skeleton import Skeleton

from .independent import refuse_dependence


class OneAtATime:
    """P2D and O of random poses by ``@njit(parallel=True)``; independent angles in the world frame only."""

    def __init__(self, skeleton: Skeleton) -> None:
        refuse_dependence(skeleton)
        share = np.arange(skeleton.edges)
        for a, b in skeleton.symmetric:
            share[max(a, b)] = share[min(a, b)]
        self.tables = (
            np.array(skeleton.parents[1:], np.int64),
            np.array([r.angles == "flexion" for r in skeleton.ranges]),
            np.radians([r.first for r in skeleton.ranges]),
            np.radians([r.second for r in skeleton.ranges]),
            np.array([r.length for r in skeleton.ranges], np.float64),
            share,
        )

    def fill(self, p2d: NDArray[Any], o: NDArray[Any]) -> int:
        """Random poses into p2d (n, N, 2) and o (n, E, 3)."""
        _fill(*self.tables, p2d, o)
        return len(p2d)


@njit(parallel=True)
def _fill(parent, flexed, first, second, length, share, p2d, o):  # type: ignore[no-untyped-def]
    for s in prange(len(p2d)):
        _sample(parent, flexed, first, second, length, share, p2d[s], o[s])


@njit
def _sample(parent, flexed, first, second, length, share, p2d, o):  # type: ignore[no-untyped-def]
    edges = len(parent)
    longest = 0.0
    for e in range(edges):
        if share[e] == e:
            o[e, 0] = np.random.uniform(length[e, 0], length[e, 1])
            longest = max(longest, o[e, 0])
        else:
            o[e, 0] = o[share[e], 0]

    yaw = np.random.uniform(-math.pi, math.pi)
    sp = np.random.uniform(-1.0, 1.0)
    roll = np.random.uniform(-math.pi, math.pi)
    sy, cy, sr, cr, cp = math.sin(yaw), math.cos(yaw), math.sin(roll), math.cos(roll), math.sqrt(1 - sp * sp)

    p2d[0, 0] = 0
    p2d[0, 1] = 0
    for e in range(edges):
        a = np.random.uniform(first[e, 0], first[e, 1])
        b = np.random.uniform(second[e, 0], second[e, 1])
        sa, ca, sb, cb = math.sin(a), math.cos(a), math.sin(b), math.cos(b)
        if flexed[e]:
            x, y, z = sb, -sa * cb, ca * cb
        else:
            x, y, z = sa * cb, sa * sb, ca
        u = (cr * cy + sr * sp * sy) * x + (sr * sp * cy - cr * sy) * y + sr * cp * z
        v = cp * sy * x + cp * cy * y - sp * z
        w = (cr * sp * sy - sr * cy) * x + (sr * sy + cr * sp * cy) * y + cr * cp * z
        r = o[e, 0] / longest
        o[e, 0] = r
        o[e, 1] = math.atan2(math.sqrt(u * u + v * v), w)
        o[e, 2] = math.atan2(v, u)
        p2d[e + 1, 0] = p2d[parent[e], 0] + r * u
        p2d[e + 1, 1] = p2d[parent[e], 1] + r * w
