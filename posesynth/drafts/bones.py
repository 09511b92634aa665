"""Ranges of each bone: of poses where a file has some, of all directions where it has none."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posesynth.coverage.angles import carried
from posesynth.coverage.fit import smallest_arc
from posesynth.drafts.tree import Tree
from posesynth.joint_tree import is_sided
from posesynth.skeleton import EdgeRange, Range

Array = NDArray[np.float64]

MARGIN = 5.0  # degrees beyond what the poses reach
LENGTHS = 0.2  # of a bone's length, to either side
MIDLINE = 0.25  # how far a bone of the midline may point aside, as a sine
POLE = math.cos(math.radians(40))  # nearer the pole of its angles, ranges about a direction would not surround it
KINDS = ("flexion", "spherical")
ANYWHERE = EdgeRange("world", "spherical", (0.0, 180.0), (-180.0, 180.0), (0.0, 1.0))


@dataclass(frozen=True, eq=False)
class Bones:
    """``ranges``: joint -> range of the bone that ends there.  ``mirrors``: joint -> the one that it mirrors.

    ``symmetric``: pairs that no mirror can tell, as they hang on joints that are not each other's image.
    """

    ranges: dict[int, EdgeRange]
    mirrors: dict[int, int]
    symmetric: list[tuple[int, int]]


def bones(tree: Tree, poses: Array | None) -> Bones:
    """The range of each bone; of a mirrored pair the left one's, which holds both.

    poses: (T, N, 3) upright.  Of the frames and the kinds of angles that a bone may have, those are taken whose range
    is the smallest part of all directions.
    """
    sides = None if poses is None else _Sides(tree, poses)
    middle = _midline(tree, sides)
    mirrors, symmetric = _mirrors(tree, middle)
    order = [joint for joint in tree.order if joint != tree.root]
    if sides is None:
        return Bones({joint: ANYWHERE for joint in order if joint not in mirrors}, mirrors, symmetric)
    twins = {source: joint for joint, source in mirrors.items()}
    ranges: dict[int, EdgeRange] = {}
    for joint in (joint for joint in order if joint not in mirrors):
        found = min(_readings(tree, sides, joint, twins.get(joint), bool(tree.sided) and joint in middle), key=_part)
        ranges[joint] = found
        for one in (joint, *([twins[joint]] if joint in twins else [])):
            sides.carry(one, found)
    return Bones(ranges, mirrors, symmetric)


class _Sides:
    """Directions of bones in the frames that the bones above carry, as far down as these are known."""

    def __init__(self, tree: Tree, poses: Array) -> None:
        self.tree = tree
        ups = np.array([joint if parent < 0 else parent for joint, parent in enumerate(tree.parents)])
        lines = poses - poses[:, ups]
        lengths = np.linalg.norm(lines, axis=-1)
        self.lengths = lengths / max(float(np.mean(lengths, axis=0).max()), 1e-300)
        with np.errstate(invalid="ignore", divide="ignore"):
            self.directions = lines / lengths[..., None]
        self.frames: dict[int, Array] = {}

    def local(self, joint: int, frame: str, mirrored: bool = False) -> Array:
        """(T, 3) directions of a bone that has a length, in a frame; seen in the mirror of left and right if asked."""
        direction = self.directions[:, joint]
        parent = self.tree.parents[joint]
        if frame == "parent" and parent in self.frames:
            direction = np.einsum("tji,tj->ti", self.frames[parent], direction)
        direction = direction[np.isfinite(direction).all(axis=1)]
        return np.asarray(direction * [-1, 1, 1] if mirrored else direction)

    def carry(self, joint: int, range_: EdgeRange) -> None:
        """Work out the frame that a bone carries, from the frame and the angles of its range."""
        direction = self.directions[:, joint]
        parent = self.tree.parents[joint]
        outer = self.frames.get(parent) if range_.frame == "parent" else None
        if outer is not None:
            direction = np.einsum("tji,tj->ti", outer, direction)
        frame = carried(range_, *angles(range_.angles, np.nan_to_num(direction)))
        self.frames[joint] = frame if outer is None else outer @ frame

    def length(self, joints: Sequence[int]) -> Range:
        """Of the longest bone, +-20 %."""
        found = self.lengths[:, joints]
        return float(found.min()) * (1 - LENGTHS), float(found.max()) * (1 + LENGTHS)


def angles(kind: str, directions: Array) -> tuple[Array, Array]:
    """The two angles of directions (T, 3), in degrees."""
    x, y, z = directions.T
    if kind == "flexion":
        return np.degrees(np.arctan2(-y, z)), np.degrees(np.arctan2(x, np.hypot(y, z)))
    return np.degrees(np.arctan2(np.hypot(x, y), z)), np.degrees(np.arctan2(y, x))


def _midline(tree: Tree, sides: _Sides | None) -> set[int]:
    """The root and the joints without a mirror image, as all above them, whose bones hardly point aside, if known."""
    paired = {joint for pair in tree.pairs for joint in pair}
    middle = {tree.root}
    for joint in tree.order[1:]:
        if tree.parents[joint] in middle and joint not in paired and not is_sided(tree.draft.joints[joint]):
            aside = np.zeros(1) if sides is None else sides.local(joint, "world")[:, 0]
            if abs(float(aside.mean())) < MIDLINE:
                middle.add(joint)
    return middle


def _mirrors(tree: Tree, middle: set[int]) -> tuple[dict[int, int], list[tuple[int, int]]]:
    """Joint -> the one that it mirrors, and the pairs that hang on what is not each other's image."""
    image = {a: b for pair in tree.pairs for a, b in (pair, pair[::-1])}
    mirrors: dict[int, int] = {}
    symmetric = []
    for left, right in tree.pairs:
        a, b = tree.parents[left], tree.parents[right]
        if image.get(a) == b or (a == b and a in middle):
            mirrors[right] = left
        else:
            symmetric.append((left, right))
    return mirrors, symmetric


def _readings(tree: Tree, sides: _Sides, joint: int, twin: int | None, middle: bool) -> Iterator[EdgeRange]:
    """The ranges that hold a bone, and its mirror image, one for each frame and kind of angles."""
    spread = tree.draft.spread
    both = [joint] if twin is None else [joint, twin]
    length = sides.length([joint, *(other for pair in tree.pairs if joint in pair for other in pair)])
    # About a mean direction the parent's axes say more: an elbow bends to where the arm is.
    frames = ("parent",) if spread else ("world", "parent")
    for frame in ("world",) if tree.parents[joint] == tree.root else frames:
        seen = [sides.local(one, frame, mirrored=one == twin) for one in both]
        if middle:
            seen.append(sides.local(joint, frame, mirrored=True))
        directions = np.concatenate(seen)
        mean = directions.mean(axis=0)
        mean = mean / max(float(np.linalg.norm(mean)), 1e-9)
        for kind in KINDS:
            if spread and abs(mean[0 if kind == "flexion" else 2]) > POLE:
                continue
            first, second = angles(kind, directions)
            about = [float(angle[0]) for angle in angles(kind, mean[None])]
            names = ("flexion", "abduction") if kind == "flexion" else ("theta", "phi")
            a, b = (
                _range(name, found, centre, spread)
                for name, found, centre in zip(names, (first, second), about, strict=True)
            )
            yield EdgeRange(frame, kind, a, b, length)


def _range(name: str, found: Array, centre: float, spread: float) -> Range:
    """The smallest range that holds the angles and the spread about the centre, in whole degrees."""
    circular = name in ("phi", "flexion")
    low, high = smallest_arc([found], 1.0, circular)
    low, high = low - MARGIN, high + MARGIN
    if spread:
        turn = 360 * round(((low + high) / 2 - centre) / 360) if circular else 0
        low, high = min(low, centre + turn - spread), max(high, centre + turn + spread)
    low, high = math.floor(low + 1e-9), math.ceil(high - 1e-9)
    if not circular:
        least, most = (0, 180) if name == "theta" else (-90, 90)
        return float(max(low, least)), float(min(high, most))
    if high - low >= 360:
        return -180.0, 180.0
    # Hanging limbs and those that point forward at 180 and 90, not at -180.
    turn = 360 * math.floor((high + low) / 2 / 360 + (0.25 if name == "flexion" else 0.5))
    return float(low - turn), float(high - turn)


def _part(range_: EdgeRange) -> float:
    """How much of the sphere a range holds; the animal's own axes a little before the parent's."""
    (low, high), (start, end) = (np.radians(range_.first), np.radians(range_.second))
    if range_.angles == "flexion":
        area = (high - low) * (math.sin(end) - math.sin(start))
    else:
        area = (math.cos(low) - math.cos(high)) * (end - start)
    return float(area) * (0.9 if range_.frame == "world" else 1.0)
