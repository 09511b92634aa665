"""Crossover, mutation and selection of poses: what EvoSkeleton (Li et al., CVPR 2020) does to one pair of parents.

An individual is a flat float32 row of 3 E + 4 genes: the first angles of all edges, then the second, in half turns, in
the frame that the skeleton gives them in; their lengths in units of the longest; the turn of the whole pose, a unit
quaternion (w, x, y, z).  The draws of child c are the words of sample c of the EVOLUTION stream:

    call 0                  the parent it is named for, the joint of the crossover (of a pair's first child), whether
                            the whole pose is turned, whether its lengths are drawn anew
    call 1                  the turn of the whole pose: two words for the axis, two for the angle
    calls from 2            one word a length class, then (in whole calls) one a bone: whether it is turned
    calls after these       one a bone: its turn
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posesynth import conditional_ranges, rng
from posesynth.compilation import formula, kernel, stage
from posesynth.kernel import plan
from posesynth.rng import BLOCK, U24
from posesynth.skeleton import Skeleton
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
_LINE = 16  # genes in a cache line
_EIGHT, _SHIFT = np.uint64(8), np.uint64(32)
_ROUND = f32(12582912)  # 1.5 * 2^23: adding and taking it away rounds to the nearest integer
_ZERO, _HALF, _ONE, _TWO, _MINUS_TWO = f32(0), f32(0.5), f32(1), f32(2), f32(-2)


class Given(NamedTuple):
    """Ranges over another angle: middles and half widths, linear between that angle's knots.  In half turns."""

    target: NDArray[np.int32]  # (D,) gene
    source: NDArray[np.int32]  # (D,) gene of the other angle
    near: NDArray[np.float32]  # (D,) the middle of its range: it is read on the turn about that
    begin: NDArray[np.int32]  # (D + 1,) into `knots`
    base: NDArray[np.float32]  # (D, 2) middle and half width before the first knot
    knots: NDArray[np.float32]  # (K, 4) where a piece begins, beyond `near`; 1 / its width; what both gain in it


class Tables(NamedTuple):
    """A skeleton as the operators see it.  Angles in half turns."""

    parent: NDArray[np.int32]  # (E,) node
    flexed: NDArray[np.bool_]  # (E,) angles are flexion and abduction, not theta and phi
    middle: NDArray[np.float32]  # (2 E,) of the ranges: the first angles', then the second
    half: NDArray[np.float32]  # (2 E,) half their widths
    given: Given  # the narrower ones that other angles leave
    share: NDArray[np.int32]  # (E,) length class
    length: NDArray[np.float32]  # (C, 2) lo, span
    below: NDArray[np.bool_]  # (J, E) for each joint with children: the edges of the subtree rooted there


def tables(skeleton: Skeleton) -> Tables:
    """The skeleton's tables."""
    drawn = plan(skeleton).tables
    ranges = [r.first for r in skeleton.ranges] + [r.second for r in skeleton.ranges]
    return Tables(
        parent=drawn.parent,
        flexed=drawn.flexed,
        middle=np.array([(low + high) / 360 for low, high in ranges], np.float32),
        half=np.array([(high - low) / 360 for low, high in ranges], np.float32),
        share=drawn.share,
        length=drawn.length,
        given=_given(skeleton),
        below=subtrees(skeleton),
    )


def _given(skeleton: Skeleton) -> Given:
    target, source, near, begin, base, knots = [], [], [], [0], [], []
    for e, edge in enumerate(skeleton.ranges):
        for which, given in enumerate(edge.given):
            if given is None:
                continue
            bone, angle = conditional_ranges.source(skeleton, e, given)
            whole = skeleton.ranges[bone]
            target.append(which * skeleton.edges + e)
            source.append(angle * skeleton.edges + bone)
            near.append(sum((whole.first, whole.second)[angle]) / 360)
            shapes = [((low + high) / 360, (high - low) / 360) for low, high in given.ranges]
            base.append(shapes[0])
            for (a, b), (now, then) in zip(pairwise(given.at), pairwise(shapes), strict=True):
                knots.append([a / 180 - near[-1], 180 / (b - a), then[0] - now[0], then[1] - now[1]])
            begin.append(len(knots))
    return Given(
        target=np.array(target, np.int32),
        source=np.array(source, np.int32),
        near=np.array(near, np.float32),
        begin=np.array(begin, np.int32),
        base=np.array(base, np.float32).reshape(-1, 2),
        knots=np.array(knots, np.float32).reshape(-1, 4),
    )


def subtrees(skeleton: Skeleton) -> NDArray[np.bool_]:
    """(J, E): for each joint that has children, in their order, which edges hang below it."""
    reached = np.zeros((len(skeleton.joints), skeleton.edges), np.bool_)
    for e in range(skeleton.edges - 1, -1, -1):
        parent = int(skeleton.parents[e + 1])
        reached[parent, e] = True
        reached[parent] |= reached[e + 1]
    return reached[reached.any(axis=1)]


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
    return sb if flexed else sa * cb, -(sa * cb) if flexed else sa * sb, ca * cb if flexed else ca, cb


@formula
def _angles(flexed, x, y, z, over):  # type: ignore[no-untyped-def]
    """The two angles of a direction, in half turns; `over`: of the two readings of flexion, that beyond the pole."""
    ring = np.sqrt(y * y + z * z) if flexed else np.sqrt(x * x + y * y)
    first = atan2(-y if flexed else ring, z) * TO_HALF_TURNS
    second = atan2(x if flexed else y, ring if flexed else x) * TO_HALF_TURNS
    beyond = flexed and over
    other_first = first - _ONE if first > _ZERO else first + _ONE
    other_second = _ONE - second if second >= _ZERO else -_ONE - second
    return other_first if beyond else first, other_second if beyond else second


@formula
def cross(son, daughter, swapped):  # type: ignore[no-untyped-def]
    """Swap a subtree of two parents: the angles of its bones.  Lengths and the turn of the whole pose stay.

    The subtree carries its lengths along, and swapping these back leaves each child with one parent's whole set.
    """
    edges = len(swapped)
    for which in range(0, 2 * edges, edges):
        for e in range(edges):
            a, b, swap = son[which + e], daughter[which + e], swapped[e]
            son[which + e] = b if swap else a
            daughter[which + e] = a if swap else b


@formula
def bones_to_turn(below, joints, words, bones):  # type: ignore[no-untyped-def]
    """Write to `bones` those bones of a block that local mutation takes, as child * E + edge; returns how many.

    joints: each child's crossover, a row of `below`.  words: a row an edge.
    """
    edges, count = below.shape[1], 0
    for e in range(edges):
        for s in range(len(joints)):
            bones[count] = s * edges + e
            count += int(below[joints[s], e] and np.uint64(words[e * BLOCK + s]) < _BONE)
    return count


@stage
def turn_bones(flexed, children, bones, calls, seed, first, rows, words, where):  # type: ignore[no-untyped-def]
    """Local mutation: each of these bones is turned a little about a random axis, BLOCK bones at a time.

    bones: child * E + edge, child 0 being number `first`.  calls: that of edge 0's turn.  rows, words, where: scratch,
    stacks of 3, 4 and 2 rows.
    """
    edges = len(flexed)
    for at in range(0, len(bones), BLOCK):
        here = min(BLOCK, len(bones) - at)
        for s in range(here):
            child, e = bones[at + s] // edges, bones[at + s] % edges
            rows[s], rows[BLOCK + s] = children[child, e], children[child, edges + e]
            rows[2 * BLOCK + s] = _ONE if flexed[e] else _ZERO
            where[s], where[BLOCK + s] = first + np.uint64(child), np.uint64(calls + e)
        _draw_each(where, seed, words)
        _turn_each(words, rows)
        for s in range(here):
            child, e = bones[at + s] // edges, bones[at + s] % edges
            children[child, e], children[child, edges + e] = rows[s], rows[BLOCK + s]


@stage
def _draw_each(where, seed, words):  # type: ignore[no-untyped-def]
    for s in range(BLOCK):
        a, b, c, d = rng.draw(seed, where[s], where[BLOCK + s], rng.EVOLUTION)
        words[s] = a
        words[BLOCK + s] = b
        words[2 * BLOCK + s] = c
        words[3 * BLOCK + s] = d


@stage
def _turn_each(words, rows):  # type: ignore[no-untyped-def]
    """Rodrigues' formula on directions.  rows: first and second angle, and whether they are flexion and abduction."""
    for s in range(BLOCK):
        ax, ay, az, angle = _turn(words[s], words[BLOCK + s], words[2 * BLOCK + s], words[3 * BLOCK + s], _BONE_SD)
        flexed = rows[2 * BLOCK + s] != _ZERO
        x, y, z, side = _direction(flexed, rows[s], rows[BLOCK + s])
        sin, cos = sincospi(angle)
        along = (ax * x + ay * y + az * z) * (_ONE - cos)
        u = x * cos + (ay * z - az * y) * sin + ax * along
        v = y * cos + (az * x - ax * z) * sin + ay * along
        w = z * cos + (ax * y - ay * x) * sin + az * along
        rows[s], rows[BLOCK + s] = _angles(flexed, u, v, w, side < _ZERO)


@formula
def turn_pose(child, at, words, s):  # type: ignore[no-untyped-def]
    """Global mutation: the whole pose is turned about a random axis.

    at: the gene where its quaternion begins.  words: a stack of 4, of whose rows word s is meant.
    """
    a, b, c, d = words[s], words[BLOCK + s], words[2 * BLOCK + s], words[3 * BLOCK + s]
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


@formula
def draw_lengths(tables, child, words, s, scratch):  # type: ignore[no-untyped-def]
    """Length mutation: all lengths from the skeleton's ranges, one draw a length class, over the longest.

    words: a row a class, of which word s is meant.
    """
    edges, longest = len(tables.parent), _ZERO
    for c in range(len(tables.length)):
        u = (f32(words[c * BLOCK + s] >> _EIGHT) + _ONE) * U24
        scratch[c] = tables.length[c, 0] + u * tables.length[c, 1]
        longest = max(longest, scratch[c])
    for e in range(edges):
        child[2 * edges + e] = scratch[tables.share[e]] / longest


@formula
def _beyond(angle, middle):  # type: ignore[no-untyped-def]
    """From `middle` to the angle, within half a circle."""
    off = angle - middle
    return off - _TWO * ((off * _HALF + _ROUND) - _ROUND)


@formula
def _outside(angle, middle, half):  # type: ignore[no-untyped-def]
    return max(abs(_beyond(angle, middle)) - half, _ZERO)


@formula
def inside(tables, individual):  # type: ignore[no-untyped-def]
    """Selection: whether each bone lies in its range, to TOLERANCE degrees of arc on the unit sphere."""
    edges = len(tables.parent)
    leaks = 0
    for e in range(edges):
        first, second = individual[e], individual[edges + e]
        sin, _ = sincospi(first)
        _, cos = sincospi(second)
        flexed = tables.flexed[e]
        first_arc = _outside(first, tables.middle[e], tables.half[e]) * (abs(cos) if flexed else _ONE)
        second_arc = _outside(second, tables.middle[edges + e], tables.half[edges + e]) * (_ONE if flexed else abs(sin))
        leaks += (first_arc > _SLACK) or (second_arc > _SLACK)
    return leaks == 0 and inside_given(tables, individual)


@formula
def inside_given(tables, individual):  # type: ignore[no-untyped-def]
    """The same for the ranges that other angles leave."""
    edges, given = len(tables.parent), tables.given
    leaks = 0
    for d in range(len(given.target)):
        at = _beyond(individual[given.source[d]], given.near[d])
        middle, half = given.base[d, 0], given.base[d, 1]
        for k in range(given.begin[d], given.begin[d + 1]):
            along = min(max((at - given.knots[k, 0]) * given.knots[k, 1], _ZERO), _ONE)
            middle += along * given.knots[k, 2]
            half += along * given.knots[k, 3]
        second = given.target[d] >= edges
        e = given.target[d] - edges * np.int32(second)
        sin, _ = sincospi(individual[e])
        _, cos = sincospi(individual[edges + e])
        weight = (_ONE if second else abs(cos)) if tables.flexed[e] else (abs(sin) if second else _ONE)
        leaks += _outside(individual[given.target[d]], middle, half) * weight > _SLACK
    return leaks == 0


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
    edges, joints, classes = len(tables.parent), len(tables.below), len(tables.length)
    decided = 2 + (classes + 3) // 4
    turned = decided + (edges + 3) // 4
    lengths = np.empty(classes, np.float32)
    bones = np.empty(BLOCK * edges + 1, np.int32)  # one more is written than is counted
    joint = np.empty(BLOCK, np.int32)
    drawn = np.empty(4 * turned * BLOCK, np.uint32)
    rows, words = np.zeros(3 * BLOCK, np.float32), np.zeros(4 * BLOCK, np.uint32)
    where = np.zeros(2 * BLOCK, np.uint64)
    for start in range(0, len(parents), BLOCK):
        stop = min(start + BLOCK, len(parents))
        rng.fill(drawn, 4 * turned, seed, first + np.uint64(start), rng.EVOLUTION)
        # One gene of each cache line first: the processor then waits for many parents at a time.
        for g in range(0, population.shape[1], _LINE):
            for c in range(start, stop):
                children[c, g] = population[parents[c], g]
        for c in range(start, stop):
            for g in range(population.shape[1]):
                children[c, g] = population[parents[c], g]
        for s in range(0, stop - start, 2):
            joint[s] = (np.uint64(drawn[BLOCK + s]) * np.uint64(joints)) >> _SHIFT
            joint[s + 1] = joint[s]
            cross(children[start + s], children[start + s + 1], tables.below[joint[s]])
        count = bones_to_turn(tables.below, joint[: stop - start], drawn[4 * decided * BLOCK :], bones)
        here = children[start:stop]
        turn_bones(tables.flexed, here, bones[:count], turned, seed, first + np.uint64(start), rows, words, where)
        for c in range(start, stop):
            s = c - start
            if drawn[2 * BLOCK + s] < _POSE:
                turn_pose(children[c], 3 * edges, drawn[4 * BLOCK :], s)
            if drawn[3 * BLOCK + s] < _LENGTHS:
                draw_lengths(tables, children[c], drawn[8 * BLOCK :], s, lengths)
            accepted[c] = inside(tables, children[c])


@kernel
def join(children, accepted, places):  # type: ignore[no-untyped-def]
    """Copy the accepted children, in order, to as many `places` as there are."""
    taken = 0
    for c in range(len(accepted)):
        if accepted[c] and taken < len(places):
            for g in range(children.shape[1]):
                places[taken, g] = children[c, g]
            taken += 1


@kernel
def pose_words(words, count, seed, start):  # type: ignore[no-untyped-def]
    """What the sampler draws samples start, start + 1, ..., from: see `posesynth.rng.fill`."""
    rng.fill(words, count, seed, start, rng.POSE)
