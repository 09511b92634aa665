"""Image sets in COCO's json and its relatives: COCO, AP-10K, PoseTrack18, Animal-Pose, and what DeepLabCut exports.

Of the relatives, PoseTrack18 has one file a video, and Animal-Pose's own file, unlike the COCO version of it that
others made, gives ``images`` as a mapping id -> name and boxes by two corners.
"""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifter.data.coco import joint_names, objects, points_of
from lifter.data.images.image_set import Box, ImageSet, image_folder, image_set, inside
from posesynth.errors import fault, shown

_LEGS = (("left_shoulder", "left_elbow", "left_front_paw"), ("left_hip", "left_knee", "left_back_paw"))
_FORE, _HIND = ((*leg, *(name.replace("left", "right") for name in leg)) for leg in _LEGS)
AP10K = ("left_eye", "right_eye", "nose", "neck", "root_of_tail", *_FORE, *_HIND)
Labels = list[tuple[str, Box | None, NDArray[np.float64]]]


def read_coco_set(path: str, document: dict[str, Any]) -> ImageSet:
    """The set in one parsed file."""
    return _together(path, [(path, document)])


def read_coco_sets(path: str, documents: Sequence[tuple[str, dict[str, Any]]]) -> ImageSet:
    """The videos of a PoseTrack18 folder as one set, in the order of the files' names; all have the same joints."""
    return _together(path, documents)


def is_posetrack(document: Any) -> bool:
    """Whether a parsed file is a video of PoseTrack18, by what only its images have."""
    images = document.get("images") if isinstance(document, dict) else None
    return isinstance(images, list) and bool(images) and isinstance(images[0], dict) and "vid_id" in images[0]


def _together(source: str, documents: Sequence[tuple[str, dict[str, Any]]]) -> ImageSet:
    names: tuple[str, ...] = ()
    labels: Labels = []
    for path, document in documents:
        found, more = _labels(path, document)
        if more and names and found != names:
            raise fault(path, None, f"has {len(found)} other joints; expected those of the folder's other files")
        names = found if more else names or found
        labels += more
    points = np.array([points for _, _, points in labels], np.float64).reshape(-1, len(names), 3)
    v = points[..., 2]
    # Where no point has v = 2, as in FreiHAND, PoseTrack18 and Animal-Pose, 1 does not say occluded but labelled.
    visible = v > 1 if (v > 1).any() else v > 0
    keypoints = np.where((v > 0)[..., None], points[..., :2], np.nan)
    first = documents[0][1]
    images, boxes = [image for image, _, _ in labels], [box for _, box, _ in labels]
    return image_set(source, _kind(first, names), names, images, boxes, keypoints, visible)


def _labels(path: str, document: dict[str, Any]) -> tuple[tuple[str, ...], Labels]:
    """The joints of one file, and (image, box, (K, 3) x y v) of each annotation with keypoints."""
    files = _files(path, document)
    annotations, categories = objects(path, document, "annotations"), objects(path, document, "categories")
    labelled = [(n, entry) for n, entry in enumerate(annotations) if entry.get("keypoints")]
    names = joint_names(path, categories, labelled)
    stem = os.path.splitext(os.path.basename(path))[0].rsplit("_", 1)[-1]  # person_keypoints_val2017 -> val2017
    folder = image_folder(path, files.values(), [stem])
    corners = isinstance(document["images"], dict)
    labels: Labels = []
    for n, entry in labelled:
        where = f"annotations[{n}]"
        image = entry.get("image_id")
        if type(image) not in (int, str) or str(image) not in files:
            raise fault(path, None, f"{where}.image_id: {shown(image)}; expected the id of one of the images")
        points = points_of(path, f"{where}.keypoints", entry["keypoints"], names)
        if (points[:, 2] > 0).any():
            box = _box(path, f"{where}.bbox", entry.get("bbox"), corners)
            labels.append((os.path.join(folder, files[str(image)]), box, points))
    return names, labels


def _files(path: str, document: dict[str, Any]) -> dict[str, str]:
    """Image id -> file name, checked."""
    images = document.get("images")
    if isinstance(images, dict) and images:
        return {key: inside(path, f"images.{key[:20]}", name) for key, name in images.items()}
    files: dict[str, str] = {}
    for n, image in enumerate(objects(path, document, "images")):
        identity = image.get("id")
        if type(identity) not in (int, str):
            raise fault(path, None, f"images[{n}].id: {shown(identity)}; expected a number or a text")
        if str(identity) in files:
            raise fault(path, None, f"images[{n}].id: {shown(identity)} is given twice; expected each id once")
        files[str(identity)] = inside(path, f"images[{n}].file_name", image.get("file_name"))
    return files


def _box(path: str, where: str, box: Any, corners: bool) -> Box | None:
    """(x, y, w, h), or None where there is none or it is empty."""
    if box is None or box == []:
        return None
    numbers = isinstance(box, list) and len(box) == 4 and all(type(value) in (int, float) for value in box)
    if not numbers or not all(abs(value) < 1e30 for value in box):  # nor NaN
        expected = "expected four numbers, " + ("the corners' x y x y" if corners else "x, y, width and height")
        raise fault(path, None, f"{where}: {shown(box)}; {expected}")
    x, y, w, h = (float(value) for value in box)
    w, h = (w - x, h - y) if corners else (w, h)
    return (x, y, w, h) if w > 0 and h > 0 and math.isfinite(w * h) else None


def _kind(document: dict[str, Any], names: tuple[str, ...]) -> str:
    if isinstance(document["images"], dict):
        return "Animal-Pose"
    if is_posetrack(document) or {"head_bottom", "head_top"} <= set(names):
        return "PoseTrack18"
    return "AP-10K" if names == AP10K else "COCO"
