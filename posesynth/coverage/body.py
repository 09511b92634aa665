"""Real poses in the upright animal's axes.

The ranges of a skeleton are in the axes of an animal that faces -y, its left +x, up +z.  A real animal
turns as it walks, so in each frame its heading, and nothing but its heading, is taken out: how it
pitches and rolls belongs to the pose.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posesynth.coverage.angles import frames, principal_angles, weights
from posesynth.coverage.joint_map import JointMap, Pair, bind
from posesynth.errors import InputError, error_line
from posesynth.motion import Motion
from posesynth.skeleton import Skeleton

Array = NDArray[np.float64]

LEVEL = 0.3  # of the line that gives the heading must lie across up: steeper than 72 degrees it tells none


@dataclass(frozen=True)
class Heading:
    """What tells the heading: ``forward``, an axis of the motion or joints (back, front), or ``left``, (right, left).

    ``found``: from the skeleton, because no map names one.
    """

    forward: str | Pair | None
    left: Pair | None
    found: bool

    def __str__(self) -> str:
        if isinstance(self.forward, str):
            return f"forward is {self.forward} in every frame (from the map)"
        name, line = ("forward", self.forward) if self.forward else ("left", self.left)
        if line is None:
            return "none"
        origin = "found; name another with forward or left in a map" if self.found else "from the map"
        return f"{name} is from {line[0]} to {line[1]} ({origin})"


@dataclass(frozen=True)
class Poses:
    """Bones of real frames in the upright axes.  NaN where a bone was not seen or has no length.

    ``directions``: (T, E, 3) unit vectors.  ``lengths``: (T, E) in units of the frame's longest bone seen.
    """

    directions: Array
    lengths: Array


def poses(skeleton: Skeleton, motion: Motion, joint_map: JointMap) -> Poses:
    """The motion as poses of the skeleton.  Raises InputError where joints or the heading cannot be found."""
    positions = _upright(skeleton, bind(skeleton, motion, joint_map), motion, joint_map)
    bones = positions[:, 1:] - positions[:, skeleton.parents[1:]]
    lengths = np.linalg.norm(bones, axis=-1)
    longest = np.max(lengths, axis=1, initial=0.0, where=np.isfinite(lengths))[:, None]
    seen = lengths > 1e-6 * longest  # False for NaN
    lengths = np.where(seen, lengths, np.nan)
    return Poses(bones / lengths[..., None], lengths / np.where(longest > 0, longest, np.nan))


def _upright(skeleton: Skeleton, positions: Array, motion: Motion, joint_map: JointMap) -> Array:
    """(T, N, 3) turned so that the animal faces -y, its left is +x and up is +z; NaN in frames without a heading."""

    def line(given: str | tuple[str, str]) -> Array:
        if isinstance(given, str):
            return np.broadcast_to(_axis(given), (len(positions), 3))
        start, end = (positions[:, skeleton.joints.index(name)] for name in given)
        return _unit(end - start)

    told = heading(skeleton, joint_map)
    forward, left = told.forward, told.left
    up = line(joint_map.up or motion.up)
    if forward is not None:
        ahead = _across(line(forward), up)
        aside = np.cross(up, ahead)
    elif left is not None:
        aside = _across(line(left), up)
        ahead = np.cross(aside, up)
    else:
        found = f"'{skeleton.name}' does not tell which way it faces"
        raise InputError(error_line(motion.source, f" {found}; expected 'forward' or 'left' in a joint map"))
    axes = np.stack([aside, -ahead, up], axis=-2)
    if not np.isfinite(axes).all(axis=(1, 2)).any():
        found = "no frame has a heading: the line that gives it points up or down, or was not seen"
        expected = "expected another 'up', 'forward' or 'left' in the joint map"
        raise InputError(error_line(motion.source, f" {found}; {expected}"))
    return np.asarray(np.einsum("tij,tnj->tni", axes, positions))


def heading(skeleton: Skeleton, joint_map: JointMap) -> Heading:
    """What the heading of each frame is taken from."""
    if joint_map.forward is not None:
        return Heading(joint_map.forward, None, found=False)
    if joint_map.left is not None:
        return Heading(None, joint_map.left, found=False)
    return Heading(*facing(skeleton), found=True)


def swallowed(skeleton: Skeleton, told: Heading) -> dict[int, int]:
    """Edge -> which of its two angles (0 or 1) the heading takes the swing of; none where an axis tells the heading.

    These are the bones of the line that gives the heading, or those that carry them, whose ranges are in the
    upright axes; and of each the angle that changes more when the bone is turned about the vertical.
    """
    line = told.forward or told.left
    if line is None or isinstance(line, str):
        return {}
    chains = [_edges_to(skeleton, skeleton.joints.index(name)) for name in line]
    edges = {_outermost(skeleton, e) for e in chains[0] ^ chains[1]}
    middle = _directions(skeleton)
    sin, cos = np.sin(np.radians(1.0)), np.cos(np.radians(1.0))
    turned = middle @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    first, second = principal_angles(skeleton, np.stack([middle, turned]))
    found = {}
    for e in sorted(edges):
        change = (abs((angle[1, e] - angle[0, e] + 180) % 360 - 180) for angle in (first, second))
        arcs = [a * w for a, w in zip(change, weights(skeleton.ranges[e], first[0, e], second[0, e]), strict=True)]
        found[e] = int(arcs[1] >= arcs[0])
    return found


def _edges_to(skeleton: Skeleton, joint: int) -> set[int]:
    """The edges from the root to a joint."""
    edges = set()
    while joint:
        edges.add(joint - 1)
        joint = int(skeleton.parents[joint])
    return edges


def _outermost(skeleton: Skeleton, edge: int) -> int:
    """The edge in the upright axes whose frame, by way of others or none, this edge is given in."""
    while (outer := skeleton.carrier(edge)) >= 0:
        edge = outer
    return edge


def facing(skeleton: Skeleton) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    """The joints that tell the heading where no map does: (back, front), or (right, left), or neither.

    A girdle is a joint of the midline that a symmetric pair leaves.  Where the skeleton has two and
    the trunk between them lies level in the middle of its ranges, the trunk is the line: it is longer
    than a girdle is wide and does not swing with the steps.  Otherwise the pair of the first girdle.
    """
    middle = _middle(skeleton)
    paired = {edge + 1 for pair in skeleton.symmetric for edge in pair}
    girdles: dict[int, list[int]] = {}
    for pair in skeleton.symmetric:
        right_left = sorted((edge + 1 for edge in pair), key=lambda joint: middle[joint, 0])
        parents = {int(skeleton.parents[joint]) for joint in right_left}
        if len(parents) == 1 and not parents & paired:
            girdles.setdefault(parents.pop(), right_left)
    if not girdles:
        return None, None
    first, last = min(girdles), max(girdles)
    trunk = middle[last] - middle[first]
    if abs(trunk[1]) > max(abs(trunk[0]), abs(trunk[2])):
        back, front = (first, last) if trunk[1] < 0 else (last, first)
        return (skeleton.joints[back], skeleton.joints[front]), None
    right, left = girdles[first]
    return None, (skeleton.joints[right], skeleton.joints[left])


def _middle(skeleton: Skeleton) -> Array:
    """(N, 3) joints of the pose in the middle of all ranges."""
    middle = np.zeros((len(skeleton.joints), 3))
    for e, direction in enumerate(_directions(skeleton)):
        middle[e + 1] = middle[skeleton.parents[e + 1]] + sum(skeleton.ranges[e].length) / 2 * direction
    return middle


def _directions(skeleton: Skeleton) -> Array:
    """(E, 3) bones of the pose in the middle of all ranges."""
    first = np.array([sum(edge.first) / 2 for edge in skeleton.ranges])
    second = np.array([sum(edge.second) / 2 for edge in skeleton.ranges])
    return frames(skeleton, first, second)[..., 2]


def _axis(name: str) -> Array:
    axis = np.zeros(3)
    axis["xyz".index(name[-1])] = -1.0 if name.startswith("-") else 1.0
    return axis


def _unit(line: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(line / np.linalg.norm(line, axis=-1, keepdims=True))


def _across(line: Array, axis: Array) -> Array:
    """The part of the unit vector `line` across another, at length 1; NaN where there is too little of it."""
    part = line - np.sum(line * axis, axis=-1, keepdims=True) * axis
    part = np.where(np.linalg.norm(part, axis=-1, keepdims=True) < LEVEL, np.nan, part)
    return _unit(part)
