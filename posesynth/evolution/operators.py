"""Crossover, mutation and selection of poses: what EvoSkeleton (Li et al., CVPR 2020) does to one pair of parents.

An individual is a flat float32 row of genes: first and second angle of each edge in half turns, in the frame that the
skeleton gives them in; each edge's length in units of the longest; the turn of the whole pose, a unit quaternion
(w, x, y, z).  The draws of child c are the words of sample c of the EVOLUTION stream:

    call 0                  the parent it is named for, the joint of the crossover (of a pair's first child), whether
                            the whole pose is turned, whether its lengths are drawn anew
    call 1                  the turn of the whole pose: two words for the axis, two for the angle
    calls from 2            one word a length class, then (in whole calls) one a bone: whether it is turned
    calls after these       one a bone: its turn
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posesynth import rng
from posesynth.compilation import formula, kernel, stage
from posesynth.kernel import plan
from posesynth.rng import U24
from posesynth.skeleton import Range, Skeleton
from posesynth.trigonometry import TO_HALF_TURNS, atan2, f32, log, sincospi

BONE_TURNED, BONE_DEGREES = 0.3, 10.0
"""Probability that a bone that was swapped is turned about a random axis, and the angle's standard deviation."""
POSE_TURNED, POSE_DEGREES = 0.1, 30.0
"""The same for the whole pose."""
LENGTHS_DRAWN = 0.5
"""Probability that the lengths are drawn anew from the skeleton's ranges."""
TOLERANCE = 1e-3
"""Degrees of arc by which a bone may lie outside its range: rounding, as `posesynth coverage` has it."""

_BONE, _POSE, _LENGTHS = (np.uint64(round(p * 2**32)) for p in (BONE_TURNED, POSE_TURNED, LENGTHS_DRAWN))
_BONE_SD, _POSE_SD = f32(BONE_DEGREES / 180), f32(POSE_DEGREES / 180)
_SLACK = f32(TOLERANCE / 180)
_EIGHT, _SHIFT = np.uint64(8), np.uint64(32)
_ROUND = f32(12582912)  # 1.5 * 2^23: adding and taking it away rounds to the nearest integer
_ZERO, _HALF, _ONE, _TWO, _MINUS_TWO = f32(0), f32(0.5), f32(1), f32(2), f32(-2)


class Tables(NamedTuple):
    """A skeleton as the operators see it.  Angles in half turns."""

    parent: NDArray[np.int32]  # (E,) node
    flexed: NDArray[np.bool_]  # (E,) angles are flexion and abduction, not theta and phi
    first: NDArray[np.float32]  # (E, 2) middle and half width of the range
    second: NDArray[np.float32]  # (E, 2)
    share: NDArray[np.int32]  # (E,) length class
    length: NDArray[np.float32]  # (C, 2) lo, span
    below: NDArray[np.bool_]  # (J, E) for each joint with children: the edges of the subtree rooted there


def tables(skeleton: Skeleton) -> Tables:
    """The skeleton's tables."""
    drawn = plan(skeleton).tables
    return Tables(
        parent=drawn.parent,
        flexed=drawn.flexed,
        first=_middles([r.first for r in skeleton.ranges]),
        second=_middles([r.second for r in skeleton.ranges]),
        share=drawn.share,
        length=drawn.length,
        below=subtrees(skeleton),
    )


def subtrees(skeleton: Skeleton) -> NDArray[np.bool_]:
    """(J, E): for each joint that has children, in their order, which edges hang below it."""
    reached = np.zeros((len(skeleton.joints), skeleton.edges), np.bool_)
    for e in range(skeleton.edges - 1, -1, -1):
        parent = int(skeleton.parents[e + 1])
        reached[parent, e] = True
        reached[parent] |= reached[e + 1]
    return reached[reached.any(axis=1)]


def _middles(ranges: list[Range]) -> NDArray[np.float32]:
    return np.array([((low + high) / 360, (high - low) / 360) for low, high in ranges], np.float32)


@formula
def unit(word):  # type: ignore[no-untyped-def]
    """u in [0, 1)."""
    return f32(word >> _EIGHT) * U24


@formula
def _turn(a, b, c, d, sd):  # type: ignore[no-untyped-def]
    """An axis, uniform on the sphere, and an angle in half turns, normal with standard deviation `sd`."""
    z = _ONE - _TWO * unit(a)
    ring = np.sqrt(max(_ONE - z * z, _ZERO))
    sin, cos = sincospi(_TWO * unit(b))
    radius = sd * np.sqrt(_MINUS_TWO * log((f32(c >> _EIGHT) + _ONE) * U24))
    _, cosine = sincospi(_TWO * unit(d))
    return ring * cos, ring * sin, z, radius * cosine


@formula
def _direction(flexed, first, second):  # type: ignore[no-untyped-def]
    """The bone's unit vector in its frame, and the cosine of the second angle."""
    sa, ca = sincospi(first)
    sb, cb = sincospi(second)
    if flexed:
        return sb, -(sa * cb), ca * cb, cb
    return sa * cb, sa * sb, ca, cb


@formula
def _angles(flexed, x, y, z, over):  # type: ignore[no-untyped-def]
    """The two angles of a direction, in half turns; `over`: of the two readings of flexion, that beyond the pole."""
    if not flexed:
        return atan2(np.sqrt(x * x + y * y), z) * TO_HALF_TURNS, atan2(y, x) * TO_HALF_TURNS
    first = atan2(-y, z) * TO_HALF_TURNS
    second = atan2(x, np.sqrt(y * y + z * z)) * TO_HALF_TURNS
    if over:
        first = first - _ONE if first > _ZERO else first + _ONE
        second = _ONE - second if second >= _ZERO else -_ONE - second
    return first, second


@stage
def cross(father, mother, swapped, edges, son, daughter):  # type: ignore[no-untyped-def]
    """Swap a subtree: the angles of its bones.  Lengths and the turn of the whole pose stay with the parent.

    The subtree carries its lengths along, and swapping these back leaves each child with one parent's whole set.
    """
    son[:] = father
    daughter[:] = mother
    for e in range(edges):
        if swapped[e]:
            for g in (2 * e, 2 * e + 1):
                son[g] = mother[g]
                daughter[g] = father[g]


@stage
def turn_bones(tables, swapped, child, seed, index):  # type: ignore[no-untyped-def]
    """Local mutation: some of the swapped bones are turned a little about a random axis."""
    edges, calls = len(tables.parent), 2 + (len(tables.length) + 3) // 4
    turns = calls + (edges + 3) // 4
    for e in range(edges):
        if not swapped[e]:
            continue
        words = rng.draw(seed, index, calls + e // 4, rng.EVOLUTION)
        if words[e % 4] >= _BONE:
            continue
        a, b, c, d = rng.draw(seed, index, turns + e, rng.EVOLUTION)
        ax, ay, az, angle = _turn(a, b, c, d, _BONE_SD)
        x, y, z, side = _direction(tables.flexed[e], child[2 * e], child[2 * e + 1])
        sin, cos = sincospi(angle)
        along = (ax * x + ay * y + az * z) * (_ONE - cos)
        child[2 * e], child[2 * e + 1] = _angles(
            tables.flexed[e],
            x * cos + (ay * z - az * y) * sin + ax * along,
            y * cos + (az * x - ax * z) * sin + ay * along,
            z * cos + (ax * y - ay * x) * sin + az * along,
            side < _ZERO,
        )


@stage
def turn_pose(child, at, seed, index):  # type: ignore[no-untyped-def]
    """Global mutation: the whole pose is turned about a random axis.  at: the gene where its quaternion begins."""
    a, b, c, d = rng.draw(seed, index, 1, rng.EVOLUTION)
    ax, ay, az, angle = _turn(a, b, c, d, _POSE_SD)
    sin, cos = sincospi(angle * _HALF)
    x, y, z = ax * sin, ay * sin, az * sin
    qw, qx, qy, qz = child[at], child[at + 1], child[at + 2], child[at + 3]
    rw = cos * qw - x * qx - y * qy - z * qz
    rx = cos * qx + x * qw + y * qz - z * qy
    ry = cos * qy - x * qz + y * qw + z * qx
    rz = cos * qz + x * qy - y * qx + z * qw
    norm = np.sqrt(rw * rw + rx * rx + ry * ry + rz * rz)
    child[at], child[at + 1], child[at + 2], child[at + 3] = rw / norm, rx / norm, ry / norm, rz / norm


@stage
def draw_lengths(tables, child, seed, index):  # type: ignore[no-untyped-def]
    """Length mutation: all lengths from the skeleton's ranges, one draw a length class, over the longest."""
    edges = len(tables.parent)
    longest = _ZERO
    for e in range(edges):
        share = tables.share[e]
        words = rng.draw(seed, index, 2 + share // 4, rng.EVOLUTION)
        u = (f32(words[share % 4] >> _EIGHT) + _ONE) * U24
        child[2 * edges + e] = tables.length[share, 0] + u * tables.length[share, 1]
        longest = max(longest, child[2 * edges + e])
    for e in range(edges):
        child[2 * edges + e] = child[2 * edges + e] / longest


@formula
def _outside(angle, given):  # type: ignore[no-untyped-def]
    off = angle - given[0]
    off -= _TWO * ((off * _HALF + _ROUND) - _ROUND)
    return max(abs(off) - given[1], _ZERO)


@stage
def inside(tables, individual):  # type: ignore[no-untyped-def]
    """Selection: whether each bone lies in its range, to TOLERANCE degrees of arc on the unit sphere."""
    for e in range(len(tables.parent)):
        first, second = individual[2 * e], individual[2 * e + 1]
        off_first, off_second = _outside(first, tables.first[e]), _outside(second, tables.second[e])
        if tables.flexed[e]:
            _, cos = sincospi(second)
            off_first *= abs(cos)
        else:
            sin, _ = sincospi(first)
            off_second *= abs(sin)
        if off_first > _SLACK or off_second > _SLACK:
            return False
    return True


@kernel
def judge(tables, individuals, accepted):  # type: ignore[no-untyped-def]
    """For each individual whether it lies inside the ranges."""
    for i in range(len(individuals)):
        accepted[i] = inside(tables, individuals[i])


@kernel
def pair_up(count, wanted, seed, first):  # type: ignore[no-untyped-def]
    """`wanted` of 0..count-1 at random without replacement: fathers at even places, the mothers of each behind them.

    Fisher and Yates' shuffle, ended after `wanted` places.  Place i takes a word of child first + i.
    """
    order = np.arange(count, dtype=np.int32)
    for i in range(wanted):
        word, _, _, _ = rng.draw(seed, first + np.uint64(i), 0, rng.EVOLUTION)
        chosen = i + np.int64((word * np.uint64(count - i)) >> _SHIFT)
        order[i], order[chosen] = order[chosen], order[i]
    return order[:wanted].copy()


@kernel
def breed(tables, population, parents, seed, first, children, accepted):  # type: ignore[no-untyped-def]
    """Two children of each pair of `parents`, children first, first + 1, ..., and whether each is in the ranges."""
    edges, joints = len(tables.parent), len(tables.below)
    for i in range(0, len(parents), 2):
        index = first + np.uint64(i)
        _, word, _, _ = rng.draw(seed, index, 0, rng.EVOLUTION)
        swapped = tables.below[(word * np.uint64(joints)) >> _SHIFT]
        cross(population[parents[i]], population[parents[i + 1]], swapped, edges, children[i], children[i + 1])
        for c in (i, i + 1):
            child, index = children[c], first + np.uint64(c)
            _, _, pose, lengths = rng.draw(seed, index, 0, rng.EVOLUTION)
            turn_bones(tables, swapped, child, seed, index)
            if pose < _POSE:
                turn_pose(child, 3 * edges, seed, index)
            if lengths < _LENGTHS:
                draw_lengths(tables, child, seed, index)
            accepted[c] = inside(tables, child)


@kernel
def pose_words(words, count, seed, start):  # type: ignore[no-untyped-def]
    """What the sampler draws samples start, start + 1, ..., from: see `posesynth.rng.fill`."""
    rng.fill(words, count, seed, start, rng.POSE)
