"""MPII Human Pose: the release's ``mpii_human_pose_v1_u12_1.mat``, and the json that everybody trains on.

The json, as HRNet and mmpose have it, is a list of {image, joints (16 x 2), joints_vis, center, scale}.  A person's box
is the square around its centre whose side is 200 times its scale.
"""

import os
from typing import Any

import numpy as np

from lifter.data.images.image_set import Box, ImageSet, image_folder, image_set, inside
from posesynth.errors import fault, shown
from posesynth.matlab import read_variable

MPII_JOINTS = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("pelvis", "thorax", "upper_neck", "head_top"),
    *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
)
_FIELDS = (  # a release has many more
    *("annolist", "image", "name", "annorect", "annopoints", "point"),
    *("id", "x", "y", "is_visible", "scale", "objpos"),
)
_SIDE = 200.0  # pixels of a box whose scale is 1


def read_mpii_json(path: str, document: list[Any]) -> ImageSet:
    """The set in a parsed json."""
    images, boxes = [], []
    keypoints, visible = np.full((len(document), 16, 2), np.nan), np.zeros((len(document), 16), np.bool_)
    for n, entry in enumerate(document):
        if not isinstance(entry, dict) or "image" not in entry:
            raise fault(path, None, f"[{n}]: {shown(entry)}; expected {{image, joints, joints_vis, center, scale}}")
        images.append(inside(path, f"[{n}].image", entry["image"]))
        center = _numbers(path, f"[{n}].center", entry.get("center", [-1, -1]), (2,))
        scale = _numbers(path, f"[{n}].scale", entry.get("scale", -1), ())
        boxes.append(_box(center[0], center[1], float(scale)))
        if "joints" in entry:  # the test images have none
            keypoints[n] = _numbers(path, f"[{n}].joints", entry["joints"], (16, 2))
            visible[n] = _numbers(path, f"[{n}].joints_vis", entry.get("joints_vis"), (16,)) > 0
    keypoints = np.where(visible[..., None], keypoints, np.nan)
    folder = image_folder(path, images)
    paths = [os.path.join(folder, name) for name in images]
    return image_set(path, "MPII", MPII_JOINTS, paths, boxes, keypoints, visible)


def read_mpii_mat(path: str) -> ImageSet:
    """The persons of the release's training images who have joints; its test images have none."""
    release = _several(path, "RELEASE", read_variable(path, "RELEASE", _FIELDS))
    images, boxes, points, seen = [], [], [], []
    for n, entry in enumerate(_several(path, "RELEASE.annolist", release[0].get("annolist") if release else None)):
        where = f"RELEASE.annolist({n + 1})"
        for person in _several(path, f"{where}.annorect", entry.get("annorect")):
            annopoints = _several(path, f"{where}: annopoints", person.get("annopoints"))
            marks = _several(path, f"{where}: point", annopoints[0].get("point") if annopoints else None)
            if not marks:
                continue
            image = _several(path, f"{where}.image", entry.get("image"))
            images.append(inside(path, f"{where}.image.name", image[0].get("name") if image else None))
            boxes.append(_person_box(path, where, person))
            xy, visible = np.full((16, 2), np.nan), np.zeros(16, np.bool_)
            for mark in marks:
                k = _number(path, f"{where}: id", mark.get("id"))
                if k not in range(16):
                    raise fault(path, None, f"{where}: joint id {k:g}; expected 0 to 15")
                xy[int(k)] = [_number(path, f"{where}: {axis}", mark.get(axis)) for axis in "xy"]
                flag = mark.get("is_visible")  # a number, a text, empty, or not there
                visible[int(k)] = not (isinstance(flag, float | str) and flag in (0.0, "0"))
            points.append(xy)
            seen.append(visible)
    if not points:
        raise fault(path, None, "RELEASE: no person with joints; expected annolist.annorect.annopoints.point")
    folder = image_folder(path, images)
    paths = [os.path.join(folder, name) for name in images]
    return image_set(path, "MPII", MPII_JOINTS, paths, boxes, np.array(points), np.array(seen))


def _person_box(path: str, where: str, person: dict[str, Any]) -> Box | None:
    center = _several(path, f"{where}: objpos", person.get("objpos")) or [{}]
    values = [person.get("scale"), center[0].get("x"), center[0].get("y")]
    if any(value is None or np.size(value) == 0 for value in values):
        return None
    names = ("scale", "objpos.x", "objpos.y")
    s, x, y = (_number(path, f"{where}: {name}", value) for name, value in zip(names, values, strict=True))
    return _box(x, y, s)


def _box(x: float, y: float, scale: float) -> Box | None:
    side = _SIDE * scale
    return (float(x - side / 2), float(y - side / 2), side, side) if side > 0 else None


def _several(path: str, where: str, found: Any) -> list[dict[str, Any]]:
    """The entries of a struct array; none where there is nothing, or an empty matrix in its place."""
    if found is None or (len(found) if isinstance(found, str) else np.size(found)) == 0:
        return []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise fault(path, None, f"{where}: {shown(found)}; expected a struct")
    return found


def _number(path: str, where: str, value: Any) -> float:
    if not isinstance(value, float) or not abs(value) < 1e30:  # nor NaN
        raise fault(path, None, f"{where}: {shown(value)}; expected a number")
    return value


def _numbers(path: str, where: str, value: Any, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        array = np.array(None)
    if array.dtype.kind not in "fiu" or array.shape != shape or not (np.abs(array) < 1e30).all():
        expected = f"expected numbers of shape {shape}" if shape else "expected a number"
        raise fault(path, None, f"{where}: {shown(value)}; {expected}")
    return array.astype(np.float64)
