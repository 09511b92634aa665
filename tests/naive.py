"""The slow, obvious twin of the kernel: one sample at a time, Python integers and float64, 3 x 3 matrices.

Written from docs/conventions.md, docs/mathematics.md and the Philox paper; shares no code with posesynth
but the `Skeleton` it reads.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from posesynth.skeleton import EdgeRange, Given, Skeleton

Array = NDArray[np.float64]
POSE, VIEW, CAMERA, NOISE, MISSING = range(5)
MASK = 0xFFFFFFFF


def philox4x32_10(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """Ten rounds of Salmon et al., section 3.3; the key is bumped by the Weyl constants between rounds."""
    l0, r0, l1, r1 = counter
    k0, k1 = key
    for _ in range(10):
        product0, product1 = 0xD2511F53 * l0, 0xCD9E8D57 * l1
        l0, r0, l1, r1 = (
            product1 >> 32 ^ r0 ^ k0,
            product1 & MASK,
            product0 >> 32 ^ r1 ^ k1,
            product0 & MASK,
        )
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return l0, r0, l1, r1


def word(seed: int, index: int, stream: int, k: int) -> int:
    """Word k of a stream."""
    counter = (index & MASK, index >> 32, k // 4, stream)
    return philox4x32_10(counter, (seed & MASK, seed >> 32))[k % 4]


def closed_below(w: int) -> float:
    """u in [0, 1)."""
    return (w >> 8) / 2**24


def closed_above(w: int) -> float:
    """u in (0, 1]."""
    return ((w >> 8) + 1) / 2**24


def rx(a: float) -> Array:
    return np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])


def ry(a: float) -> Array:
    return np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])


def rz(a: float) -> Array:
    return np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])


def turn(edge: EdgeRange, first: float, second: float) -> Array:
    """The frame a bone carries, seen from the frame its angles (radians) are given in."""
    if edge.angles == "flexion":
        return rx(first) @ ry(second)
    return rz(second) @ ry(first) @ rz(-second)


def given_in(skeleton: Skeleton, e: int, frames: list[Array]) -> Array:
    """The frame the angles of edge e are given in; `frames` are those that the edges before it carry."""
    frame = skeleton.ranges[e].frame
    if frame == "world":
        return np.eye(3)
    joint = int(skeleton.parents[e + 1]) if frame == "parent" else skeleton.joints.index(frame)
    return frames[joint - 1] if joint > 0 else np.eye(3)


def range_at(given: Given, angle: float) -> tuple[float, float]:
    """The range that a table has at an angle of the bone it depends on, degrees."""
    rows = list(zip(given.at, given.ranges, strict=True))
    if angle <= rows[0][0]:
        return rows[0][1]
    for (a, (low, high)), (b, (next_low, next_high)) in pairwise(rows):
        if angle <= b:
            share = (angle - a) / (b - a)
            return low + share * (next_low - low), high + share * (next_high - high)
    return rows[-1][1]


def mostly(range_: tuple[float, float], part: tuple[float, float] | None) -> tuple[float, float]:
    """What of a range lies in its usual part, or the end of it that is nearest to that."""
    low, high = range_
    start, end = part or range_
    start = min(max(low, start), high)
    return start, max(min(high, end), start)


def draw_angles(skeleton: Skeleton, u: Callable[[int, int], float], usual: bool = False) -> Array:
    """(E, 2) angles in degrees; ``u(e, which)`` in [0, 1] says where in its range each lies, parents first.

    usual: of the ranges the usual parts.
    """
    angles = np.zeros((skeleton.edges, 2))
    for e, edge in enumerate(skeleton.ranges):
        for which, hull in enumerate((edge.first, edge.second)):
            given = edge.given[which]
            if given is not None:
                bone = int(skeleton.parents[e + 1]) - 1 if given.bone == "parent" else e
                hull = range_at(given, angles[bone, 0 if given.angle in ("theta", "flexion") else 1])
            if usual:
                hull = mostly(hull, edge.usual[which])
            angles[e, which] = hull[0] + u(e, which) * (hull[1] - hull[0])
    return angles


def spherical(bone: Array) -> tuple[float, float, float]:
    """Canonical (r, theta, phi)."""
    x, y, z = bone.tolist()
    phi = math.atan2(y, x)
    return math.hypot(x, y, z), math.atan2(math.hypot(x, y), z), math.pi if phi == -math.pi else phi


def direction(theta: float, phi: float) -> Array:
    return np.array([math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)])


def forward(o: Array, skeleton: Skeleton) -> Array:
    """f, equation 5: (E, 3) -> (N, 3)."""
    points = [np.zeros(3)]
    for e, (r, theta, phi) in enumerate(np.asarray(o, float).tolist()):
        points.append(points[int(skeleton.parents[e + 1])] + r * direction(theta, phi))
    return np.array(points)


def inverse(p3d: Array, skeleton: Skeleton) -> Array:
    """f^-1, equation 6: (N, 3) -> (E, 3)."""
    p3d = np.asarray(p3d, float)
    return np.array([spherical(p3d[e + 1] - p3d[skeleton.parents[e + 1]]) for e in range(skeleton.edges)])


@dataclass
class Sample:
    """One sample in float64, with the drawn angles (radians), lengths and rotation angles that made it."""

    p2d: Array
    o: Array
    p3d: Array
    o_up: Array
    rotation: Array
    visibility: NDArray[np.bool_]
    angles: Array  # (E, 2)
    directions: Array  # (E, 3), of the rotated bones
    sin_pitch: float
    distance: float  # infinite when orthographic
    longest: float  # length that all were divided by


def length_classes(skeleton: Skeleton) -> list[int]:
    """For each edge the number of its length class, numbered by first appearance."""
    first = list(range(skeleton.edges))
    if skeleton.sampling.symmetric_lengths:
        for a, b in skeleton.symmetric:
            first[max(a, b)] = min(a, b)
    seen = sorted(set(first))
    return [seen.index(edge) for edge in first]


def sample(skeleton: Skeleton, seed: int, index: int) -> Sample:
    """Sample `index` of (skeleton, seed)."""
    sampling, edges = skeleton.sampling, skeleton.edges

    def draw(stream: int, k: int) -> int:
        return word(seed, index, stream, k)

    def between(limits: tuple[float, float], u: float) -> float:
        return limits[0] + u * (limits[1] - limits[0])

    usual = draw(VIEW, 3) < sampling.usual * 2**32
    angles = np.radians(draw_angles(skeleton, lambda e, which: closed_below(draw(POSE, 2 * e + which)), usual))
    classes = length_classes(skeleton)
    drawn = {}
    for e in range(edges):  # the first edge of a class speaks for it
        if classes[e] not in drawn:
            drawn[classes[e]] = between(skeleton.ranges[e].length, closed_above(draw(POSE, 2 * edges + classes[e])))
    lengths = np.array([drawn[c] for c in classes])
    longest = float(lengths.max())
    lengths = lengths / longest

    frames: list[Array] = []
    for e, edge in enumerate(skeleton.ranges):
        frames.append(given_in(skeleton, e, frames) @ turn(edge, angles[e, 0], angles[e, 1]))
    up_directions = np.array([frame @ [0, 0, 1] for frame in frames])

    yaws, rolls, pitches = sampling.yaw, sampling.roll, sampling.pitch
    if usual:
        yaws, rolls = mostly(yaws, sampling.usual_yaw), mostly(rolls, sampling.usual_roll)
        pitches = mostly(pitches, sampling.usual_pitch)
    yaw = math.radians(between(yaws, closed_below(draw(VIEW, 0))))
    roll = math.radians(between(rolls, closed_below(draw(VIEW, 1))))
    low, high = (math.sin(math.radians(p)) for p in pitches)
    sin_pitch = min(max(between((low, high), closed_below(draw(VIEW, 2))), -1.0), 1.0)
    rotation = ry(roll) @ rx(math.asin(sin_pitch)) @ rz(yaw)

    up = [np.zeros(3)]
    for e in range(edges):
        up.append(up[int(skeleton.parents[e + 1])] + lengths[e] * up_directions[e])
    upright = np.array(up)
    p3d = upright @ rotation.T

    distance = math.inf
    p2d = p3d[:, [0, 2]].copy()
    if sampling.distance is not None:
        distance = between(sampling.distance, closed_above(draw(CAMERA, 0)))
        p2d *= (distance / (distance + p3d[:, 1]))[:, None]
    visibility = np.ones(edges + 1, bool)
    for j in range(edges + 1):
        if sampling.noise > 0:
            radius = sampling.noise * math.sqrt(-2 * math.log(closed_above(draw(NOISE, 2 * j))))
            angle = 2 * math.pi * closed_below(draw(NOISE, 2 * j + 1))
            p2d[j] += [radius * math.cos(angle), radius * math.sin(angle)]
        visibility[j] = draw(MISSING, j) >= sampling.missing * 2**32
    p2d[~visibility] = np.nan
    return Sample(
        p2d=p2d,
        o=inverse(p3d, skeleton),
        p3d=p3d,
        o_up=inverse(upright, skeleton),
        rotation=rotation,
        visibility=visibility,
        angles=angles,
        directions=up_directions @ rotation.T,
        sin_pitch=sin_pitch,
        distance=distance,
        longest=longest,
    )
