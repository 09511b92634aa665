"""Rivals in vectorised NumPy, one thread: as one first writes it, and tuned as far as NumPy goes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.skeleton import Skeleton

from .independent import refuse_dependence

Array = NDArray[Any]


class _Ranges:
    """A skeleton's ranges in radians; independent angles in the world frame only."""

    def __init__(self, skeleton: Skeleton) -> None:
        refuse_dependence(skeleton)
        self.parents = skeleton.parents
        self.edges = skeleton.edges
        self.flexed = np.array([r.angles == "flexion" for r in skeleton.ranges])
        self.first = np.radians([r.first for r in skeleton.ranges])
        self.second = np.radians([r.second for r in skeleton.ranges])
        share = np.arange(self.edges)
        for a, b in skeleton.symmetric:
            share[max(a, b)] = share[min(a, b)]
        classes, self.share = np.unique(share, return_inverse=True)
        self.lengths = np.array([skeleton.ranges[c].length for c in classes])


class Plain:
    """As one first writes it: float64, (samples, edges, x y z), in pieces of some thousand samples."""

    def __init__(self, skeleton: Skeleton, piece: int) -> None:
        self.ranges = _Ranges(skeleton)
        self.piece = piece
        self.random = np.random.default_rng(0)

    def fill(self, p2d: Array, o: Array) -> int:
        """Random poses into p2d (n, N, 2) and o (n, E, 3)."""
        for begin in range(0, len(p2d), self.piece):
            self._piece(p2d[begin : begin + self.piece], o[begin : begin + self.piece])
        return len(p2d)

    def _piece(self, p2d: Array, o: Array) -> None:
        ranges, uniform, n = self.ranges, self.random.uniform, len(p2d)
        a = uniform(*ranges.first.T, (n, ranges.edges))
        b = uniform(*ranges.second.T, (n, ranges.edges))
        lengths = uniform(*ranges.lengths.T, (n, len(ranges.lengths)))
        r = (lengths / lengths.max(axis=1, keepdims=True))[:, ranges.share]
        sa, ca, sb, cb = np.sin(a), np.cos(a), np.sin(b), np.cos(b)
        flexed = ranges.flexed
        up = np.stack(
            [np.where(flexed, sb, sa * cb), np.where(flexed, -sa * cb, sa * sb), np.where(flexed, ca * cb, ca)], axis=-1
        )
        view = _view(uniform(-np.pi, np.pi, n), uniform(-1, 1, n), uniform(-np.pi, np.pi, n))
        d = np.einsum("ijn,nej->nei", np.array(view), up)
        joints = np.zeros((n, ranges.edges + 1, 3))
        for e in range(ranges.edges):
            joints[:, e + 1] = joints[:, ranges.parents[e + 1]] + r[:, e, None] * d[:, e]
        p2d[:] = joints[:, :, [0, 2]]
        o[:, :, 0] = r
        o[:, :, 1] = np.arctan2(np.hypot(d[:, :, 0], d[:, :, 1]), d[:, :, 2])
        o[:, :, 2] = np.arctan2(d[:, :, 1], d[:, :, 0])


class Tuned:
    """Whole rows at a time: arrays are (edges, samples), so that every operation runs over contiguous memory, in pieces
    that stay in the cache, in float32, where NumPy's own sin and cos are vector code."""

    def __init__(self, skeleton: Skeleton, dtype: type = np.float32, piece: int = 2048) -> None:
        ranges = _Ranges(skeleton)
        self.dtype, self.piece = dtype, piece
        self.parents, self.edges, self.share = ranges.parents, ranges.edges, ranges.share
        self.flexed = ranges.flexed[:, None]
        limits = np.concatenate(
            [ranges.first, ranges.second, ranges.lengths, [[-np.pi, np.pi], [-1, 1], [-np.pi, np.pi]]]
        )
        self.low, self.span = limits[:, :1].astype(dtype), np.diff(limits).astype(dtype)
        self.random = np.random.Generator(np.random.SFC64(0))

    def fill(self, p2d: Array, o: Array) -> int:
        """Random poses into p2d (n, N, 2) and o (n, E, 3)."""
        for begin in range(0, len(p2d), self.piece):
            self._piece(p2d[begin : begin + self.piece], o[begin : begin + self.piece])
        return len(p2d)

    def _piece(self, p2d: Array, o: Array) -> None:
        edges, flexed = self.edges, self.flexed
        drawn = self.random.random((len(self.low), len(p2d)), self.dtype)
        drawn *= self.span
        drawn += self.low
        sines, cosines = np.sin(drawn[: 2 * edges]), np.cos(drawn[: 2 * edges])
        sa, ca, sb, cb = sines[:edges], cosines[:edges], sines[edges:], cosines[edges:]
        x, y, z = np.where(flexed, sb, sa * cb), np.where(flexed, -sa * cb, sa * sb), np.where(flexed, ca * cb, ca)
        d = [row[0] * x + row[1] * y + row[2] * z for row in _view(*drawn[-3:])]
        lengths = drawn[2 * edges : -3]
        lengths /= lengths.max(axis=0)
        r = lengths[self.share]

        o[:, :, 0] = r.T
        o[:, :, 1] = np.arctan2(np.sqrt(d[0] * d[0] + d[1] * d[1]), d[2]).T
        o[:, :, 2] = np.arctan2(d[1], d[0]).T
        for axis, bones in ((0, d[0]), (1, d[2])):
            bones *= r
            joints = np.zeros((edges + 1, len(p2d)), self.dtype)
            for e in range(edges):
                np.add(joints[self.parents[e + 1]], bones[e], out=joints[e + 1])
            p2d[:, :, axis] = joints.T


def _view(yaw: Array, sp: Array, roll: Array) -> list[list[Array]]:
    """R = Ry(roll) Rx(pitch) Rz(yaw), Haar-uniform for a uniform sine of the pitch."""
    sy, cy, sr, cr = np.sin(yaw), np.cos(yaw), np.sin(roll), np.cos(roll)
    cp = np.sqrt(1 - sp * sp)
    return [
        [cr * cy + sr * sp * sy, sr * sp * cy - cr * sy, sr * cp],
        [cp * sy, cp * cy, -sp],
        [cr * sp * sy - sr * cy, sr * sy + cr * sp * cy, cr * cp],
    ]
