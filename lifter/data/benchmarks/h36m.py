"""Human3.6M as VideoPose3D keeps it: 3D in the world in one NPZ, a detector's 2D of all four cameras in another.

``positions_3d``: subject -> action -> (T, 32, 3) float32, metres, z up, 50 frames a second.  ``positions_2d``: the
same, each a list of (T or more, 17, 2) pixels, one for each camera.  Both are pickled dicts, read by `unpickle`.
"""

import os
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifter.data.benchmarks.benchmark import Benchmark, Recording, recording
from lifter.data.benchmarks.h36m_cameras import CAMERAS
from lifter.data.benchmarks.unpickle import array_of, read_object
from posesynth.errors import did_you_mean, fault, quote, shown

KIND = "Human3.6M"
FILE = "data_3d_h36m.npz"
# The usual 17 of the 32 joints, and what the skeleton `human` calls them.
JOINTS = {
    "hip": 0,
    "right_hip": 1,
    "right_knee": 2,
    "right_foot": 3,
    "left_hip": 6,
    "left_knee": 7,
    "left_foot": 8,
    "spine": 12,
    "thorax": 13,
    "neck": 14,
    "head": 15,
    "left_shoulder": 17,
    "left_elbow": 18,
    "left_wrist": 19,
    "right_shoulder": 25,
    "right_elbow": 26,
    "right_wrist": 27,
}
_ALL_JOINTS = 32
_FARTHEST = 100.0  # metres


def read_h36m(path: str, subjects: Collection[str] | None = None, detections: str | None = None) -> Benchmark:
    """The recordings of some subjects, or of all, by all four cameras; an action's name is that of the file.

    `detections` is a file of a detector's 2D.  Without it the 2D is the truth: the 3D as the cameras see it, lens
    distortion included.
    """
    held = _tree(path, "positions_3d")
    wanted = list(held) if subjects is None else list(subjects)
    for subject in wanted:
        if subject not in held:
            raise fault(path, None, f"positions_3d: no subject {quote(subject)}; expected one beside {_held(held)}")
        if subject not in CAMERAS:
            raise fault(path, None, f"positions_3d: subject {quote(subject)} has no cameras; expected {_known()}")
    detected = None if detections is None else _tree(detections, "positions_2d")
    recordings: list[Recording] = []
    names = tuple(JOINTS)
    for subject in wanted:
        for action, value in _actions(path, "positions_3d", held, subject).items():
            where = f"positions_3d: {subject}: {action}"
            world = array_of(path, where, value)
            if world.dtype.kind != "f" or world.ndim != 3 or world.shape[1:] != (_ALL_JOINTS, 3) or not len(world):
                found = f"{where}: {world.dtype} of shape {world.shape}"
                raise fault(path, None, f"{found}; expected numbers (frames, {_ALL_JOINTS}, 3)")
            if not (np.abs(world) < _FARTHEST).all():  # nor NaN
                raise fault(path, None, f"{where}: numbers beyond {_FARTHEST:g} m; expected metres")
            millimetres = world[:, list(JOINTS.values())].astype(np.float64) * 1000
            for c, camera in enumerate(CAMERAS[subject]):
                seen = camera.from_world(millimetres)
                if detected is None or detections is None:
                    image: NDArray[Any] = camera.project(seen)
                else:
                    image = _detected(detections, detected, subject, action, c, len(seen))
                recordings.append(recording(path, names, subject, action, camera.name, seen, image))
    image_source = "ground truth" if detections is None else os.path.basename(detections)
    return Benchmark(KIND, names, "hip", tuple(recordings), path, image_source)


def _held(held: dict[str, Any]) -> str:
    return ", ".join(quote(name, 24) for name in list(held)[:12]) or "nothing"


def _tree(path: str, name: str) -> dict[str, Any]:
    held = read_object(path, name)
    if not isinstance(held, dict) or not all(isinstance(key, str) for key in held):
        raise fault(path, None, f"{name}: {type(held).__name__}; expected a dict of subjects")
    return held


def _actions(path: str, what: str, held: dict[str, Any], subject: str) -> dict[str, Any]:
    actions = held.get(subject)
    if not isinstance(actions, dict) or not actions or not all(isinstance(key, str) for key in actions):
        raise fault(
            path, None, f"{what}: {quote(subject)}: {shown(type(actions).__name__)}; expected a dict of actions"
        )
    return actions


def _detected(
    path: str, held: dict[str, Any], subject: str, action: str, camera: int, frames: int
) -> NDArray[np.generic]:
    """(frames, 17, 2) pixels of one camera; the video may go on after the 3D has ended."""
    actions = _actions(path, "positions_2d", held, subject)
    where = f"positions_2d: {subject}"
    if action not in actions:
        near = did_you_mean(action, actions)
        raise fault(path, None, f"{where}: no action {quote(action)}; expected all that the 3D has{near}")
    where = f"{where}: {action}"
    cameras = actions[action]
    if not isinstance(cameras, list) or len(cameras) != len(CAMERAS[subject]):
        found = f"{len(cameras)} cameras" if isinstance(cameras, list) else shown(type(cameras).__name__)
        raise fault(path, None, f"{where}: {found}; expected a list of {len(CAMERAS[subject])}")
    points = array_of(path, f"{where}: camera {camera}", cameras[camera])
    if points.ndim != 3 or points.shape[1:] != (len(JOINTS), 2) or len(points) < frames:
        expected = f"expected ({frames} or more, {len(JOINTS)}, 2)"
        raise fault(path, None, f"{where}: camera {camera}: shape {points.shape}; {expected}")
    return points[:frames]


def _known() -> str:
    return ", ".join(CAMERAS)
