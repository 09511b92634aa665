"""Real 3D motion as upright poses of a skeleton, and what cameras would see of it."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lifter.metrics import FEWEST
from posesynth.coverage.joint_map import JointMap, Pair, bind
from posesynth.errors import InputError, did_you_mean, error_line, shown
from posesynth.motion import load_motion
from posesynth.skeleton import Skeleton

Array = NDArray[np.float64]
Views = Literal["any", "filmed", "perspective"]

VIEWS: dict[str, str] = {
    "any": "any direction, uniform over all rotations",
    "filmed": "any yaw, pitch uniform within 30 degrees, no roll",
    "perspective": "filmed (any yaw, pitch uniform within 30 degrees, no roll) by a camera 4 to 6 m away",
}
DISTANCE = (4.0, 6.0)  # m, of a camera from the middle of the joints
FILMED_PITCH = np.radians(30.0)
_CHUNK = 8192  # views at a time

# What is random has a generator of its own, seeded with its purpose: to turn one on changes no other.
TURNS, NOISE, HIDDEN, LOOKUP, DISTANCES, SYNTHETIC = range(6)


@dataclass(frozen=True, eq=False)
class Clip:
    """T poses of one motion file, in its unit.

    positions: (T, N, 3), z up, NaN where a joint was not seen; each pose shows at least 3.  longest: (T,), the longest
    edge of each pose.  body_length: the mean of these.  left_out: frames that show too little.
    """

    name: str
    positions: Array
    longest: Array
    left_out: int

    @property
    def body_length(self) -> float:
        return float(self.longest.mean())


@dataclass(frozen=True, eq=False)
class Seen:
    """B views of real poses, in the clip's unit.

    truth: (B, N, 3), x right, y away from the camera, z up, about the mean of the joints; NaN where not known.
    longest: (B,), the longest edge.  p2d: (B, N, 2), what the lifter gets; NaN where not known or hidden.  In
    perspective it is the image at the scale of the mean of the joints (`project`).
    """

    truth: Array
    longest: Array
    p2d: Array


def read_clips(skeleton: Skeleton, paths: Sequence[str], joint_map: JointMap, every: int) -> list[Clip]:
    """The clips in motion files, one frame in `every`.  Raises InputError for what cannot be read or shows no pose."""
    if not paths:
        raise InputError("motion: none given; expected at least one file")
    places = [os.path.realpath(path) for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            # The lookup among the other clips would find the very same poses.
            raise InputError(error_line(path, " motion: is given twice; expected each file once"))
    names = [os.path.basename(path) for path in paths]
    unique = len(set(names)) == len(names)
    return [
        _clip(skeleton, path, name if unique else path, joint_map, every)
        for path, name in zip(paths, names, strict=True)
    ]


def check_views(views: str) -> None:
    """Raise InputError for a kind of view that does not exist."""
    if views not in VIEWS:
        hint = did_you_mean(views, VIEWS) if isinstance(views, str) else ""
        raise InputError(f"views: is {shown(views)}; expected {' or '.join(map(repr, VIEWS))}{hint}")


def draw_views(rng: np.random.Generator, count: int, views: Views) -> Array:
    """(count, 3, 3) rotations R = Ry(roll) Rx(pitch) Rz(yaw) that take upright poses to the camera's axes."""
    yaw, pitch, roll = rng.random((count, 3)).T
    if views != "any":
        return _rx(FILMED_PITCH * (2 * pitch - 1)) @ _rz(2 * np.pi * yaw)
    return _ry(2 * np.pi * roll) @ _rx(np.arcsin(2 * pitch - 1)) @ _rz(2 * np.pi * yaw)


def project(truth: Array, distance: Array | None) -> Array:
    """(B, N, 2) image of poses (B, N, 3) in the camera's axes, about the point that the camera looks at.

    distance: (B,), of that point from the camera, in the unit of the poses; what lies there keeps its size in the
    image, what is nearer is larger: x D / (D + y), z D / (D + y).  None: orthographic, x and z.  A joint that is not in
    front of the camera is NaN.
    """
    image = truth[..., [0, 2]]
    if distance is None:
        return image
    depth = distance[:, None] + truth[..., 1]
    return np.asarray(image * (distance[:, None] / np.where(depth > 0, depth, np.nan))[..., None])


def draw_distances(rng: np.random.Generator, count: int, views: Views, metre: Array | float | None) -> Array | None:
    """(count,) distances of cameras, uniform, in a unit of which `metre` make one; None where views have no camera."""
    if views != "perspective" or metre is None:
        return None
    low, high = DISTANCE
    return np.asarray((low + (high - low) * rng.random(count)) * metre)


def look(
    clip: Clip,
    views: Views,
    views_per_frame: int,
    noise: float,
    missing: float,
    seed: Sequence[int],
    metre: float | None = None,
) -> Iterator[Seen]:
    """Views of every pose, some frames at a time; the same for the same arguments, whoever asks.

    noise: standard deviation in 2D as a share of the clip's body length.  missing: how likely each joint is hidden.
    metre: how many of the clip's units it is, which perspective needs.
    """
    turns, blur, hide, away = (np.random.default_rng([*seed, purpose]) for purpose in (TURNS, NOISE, HIDDEN, DISTANCES))
    frames = max(1, _CHUNK // views_per_frame)
    for start in range(0, len(clip.positions), frames):
        poses = np.repeat(clip.positions[start : start + frames], views_per_frame, axis=0)
        longest = np.repeat(clip.longest[start : start + frames], views_per_frame)
        known = np.isfinite(poses).all(2, keepdims=True)
        poses = poses - np.where(known, poses, 0).sum(1, keepdims=True) / known.sum(1, keepdims=True)
        truth = np.einsum("bij,bnj->bni", draw_views(turns, len(poses), views), poses)
        p2d = project(truth, draw_distances(away, len(truth), views, metre))
        p2d = p2d + noise * clip.body_length * blur.standard_normal(p2d.shape)
        p2d[hide.random(p2d.shape[:2]) < missing] = np.nan
        yield Seen(truth, longest, p2d)


def _clip(skeleton: Skeleton, path: str, name: str, joint_map: JointMap, every: int) -> Clip:
    motion = load_motion(path, names=joint_map.columns)
    positions = bind(skeleton, motion, joint_map)[::every]
    positions = _upright(skeleton, positions, joint_map.up or motion.up)
    positions[~np.isfinite(positions).all(2)] = np.nan
    longest = longest_edges(skeleton, positions)
    kept = (np.isfinite(positions).all(2).sum(1) >= FEWEST) & (longest > 0)
    if not kept.any():
        found = f"no frame shows {FEWEST} joints of '{skeleton.name}' and a bone between them"
        raise InputError(error_line(path, f" {found}; expected some"))
    return Clip(name, positions[kept], longest[kept], int((~kept).sum()))


def _upright(skeleton: Skeleton, positions: Array, up: str | Pair) -> Array:
    """The poses, each turned so that `up` is z.  NaN in frames where two joints tell it and one was not seen."""
    line = np.zeros((len(positions), 3))
    if isinstance(up, str):
        line[:, "xyz".index(up[-1])] = -1.0 if up.startswith("-") else 1.0
    else:
        low, high = (positions[:, skeleton.joints.index(joint)] for joint in up)
        line = high - low
    length = np.linalg.norm(line, axis=1, keepdims=True)
    line = line / np.where(length > 0, length, np.nan)
    # Where it then faces does not matter: any axis well across the line will do, as every yaw is drawn alike.
    aside = np.eye(3)[np.argmin(np.abs(line), axis=1)]
    aside = aside - (aside * line).sum(1, keepdims=True) * line
    aside = aside / np.linalg.norm(aside, axis=1, keepdims=True)
    axes = np.stack([aside, np.cross(line, aside), line], axis=1)
    return np.asarray(np.einsum("tij,tnj->tni", axes, positions))


def longest_edges(skeleton: Skeleton, positions: Array) -> Array:
    """(T,) the longest edge of each pose; an edge that is hidden there counts with its mean over the clip."""
    lengths = np.linalg.norm(positions[:, 1:] - positions[:, skeleton.parents[1:]], axis=2)
    known = np.isfinite(lengths)
    usual = np.where(known, lengths, 0).sum(0) / np.maximum(known.sum(0), 1)
    return np.asarray(np.where(known, lengths, usual).max(axis=1))


def _rx(angle: Array) -> Array:
    return _about(angle, 1, 2)


def _ry(angle: Array) -> Array:
    return _about(angle, 2, 0)


def _rz(angle: Array) -> Array:
    return _about(angle, 0, 1)


def _about(angle: Array, first: int, second: int) -> Array:
    """(B, 3, 3) rotations that turn axis `first` towards axis `second`."""
    turn = np.zeros((len(angle), 3, 3)) + np.eye(3)
    turn[:, first, first] = turn[:, second, second] = np.cos(angle)
    turn[:, second, first] = np.sin(angle)
    turn[:, first, second] = -turn[:, second, first]
    return turn
