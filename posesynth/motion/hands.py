"""Hands in JSON files: FreiHAND's training_xyz.json, and RHD as mmpose keeps it, COCO's layout with ``joint_cam``.

FreiHAND: a list of 21 x (x, y, z) in metres, right hands.  RHD: ``annotations`` of 21 x (x, y, z) in millimetres, each
a left or right hand.  Both in the camera's axes: x right, y down, z away.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import fault, shown
from posesynth.motion.clip import Motion, check_size
from posesynth.motion.documents import is_number
from posesynth.motion.tables import motion_of

Array = NDArray[np.float64]

# The common order, wrist first and each finger from the palm out; the names are those of the skeleton `hand`.
HAND = (
    *("wrist", "thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip"),
    *(f"{finger}_{part}" for finger in ("index", "middle", "ring", "pinky") for part in ("mcp", "pip", "dip", "tip")),
)
_EXPECTED = "expected RHD's images, annotations and categories"


@dataclass(frozen=True, eq=False)
class Hands:
    """T hands of an RHD file.

    ``names``: J joints as the file calls them.  ``positions``: (T, J, 3) in the file's unit, x right, y down, z away.
    ``keypoints``: (T, J, 2) pixels, NaN where not labelled.  ``sides``: "left" or "right", each.
    """

    names: tuple[str, ...]
    positions: Array
    keypoints: Array
    sides: tuple[str, ...]


def freihand_motion(path: str, document: list[Any]) -> Motion:
    """FreiHAND's poses as a motion of one frame each."""
    return motion_of(path, points(path, "the list", document, len(HAND), 3), HAND)


def rhd_motion(path: str, document: dict[str, Any]) -> Motion:
    """RHD's poses as a motion of one frame each.  Left hands are mirrored (x changes sign), to be right ones."""
    hands = rhd_hands(path, document)
    left = np.array([side == "left" for side in hands.sides])
    positions = hands.positions.copy()
    positions[left, :, 0] *= -1
    return motion_of(path, positions, hands.names)


def rhd_hands(path: str, document: dict[str, Any]) -> Hands:
    """The hands of the annotations that have ``joint_cam``, in the file's order."""
    entries, categories = document.get("annotations"), document.get("categories")
    if not isinstance(entries, list) or not isinstance(categories, list) or not categories:
        raise fault(path, None, f"no lists annotations and categories; {_EXPECTED}")
    names = categories[0].get("keypoints") if isinstance(categories[0], dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise fault(path, None, f"categories[0].keypoints: {shown(names)}; expected the joints' names")
    check_size(path, len(entries), 3 * len(names))
    solid, flat, sides = [], [], []
    for n, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise fault(path, None, f"annotations[{n}]: {shown(entry)}; {_EXPECTED}")
        if "joint_cam" not in entry:
            continue
        side = entry.get("hand_type")
        if side not in ("left", "right"):
            raise fault(path, None, f"annotations[{n}].hand_type: {shown(side)}; expected left or right")
        solid.append(points(path, f"annotations[{n}].joint_cam", [entry["joint_cam"]], len(names), 3)[0])
        keypoints = entry.get("keypoints")
        if isinstance(keypoints, list) and len(keypoints) == 3 * len(names) and all(map(is_number, keypoints)):
            keypoints = [keypoints[k : k + 3] for k in range(0, len(keypoints), 3)]
        labelled = points(path, f"annotations[{n}].keypoints", [keypoints], len(names), 3)[0]
        flat.append(np.where(labelled[:, 2:] > 0, labelled[:, :2], np.nan))
        sides.append(side)
    if not solid:
        raise fault(path, None, "no annotation has joint_cam; expected 3D joints, as RHD has them")
    return Hands(tuple(names), np.array(solid), np.array(flat), tuple(sides))


def points(path: str, what: str, value: list[Any], joints: int, axes: int) -> Array:
    """(T, joints, axes) of nested lists."""
    check_size(path, len(value), joints * axes)
    for t, pose in enumerate(value):
        rows = pose if isinstance(pose, list) else []
        fits = len(rows) == joints and all(isinstance(row, list) and len(row) == axes for row in rows)
        if not fits or not all(is_number(number) for row in rows for number in row):
            where = f"{what}[{t}]" if len(value) > 1 else what
            raise fault(path, None, f"{where}: {shown(pose)}; expected {joints} joints of {axes} numbers")
    if not value:
        raise fault(path, None, f"{what}: is empty; expected at least one pose")
    return np.array(value, dtype=np.float64)
