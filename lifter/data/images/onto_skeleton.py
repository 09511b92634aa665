"""The joints of an image set as those of a skeleton."""

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifter.data.images.image_set import ImageSet
from lifter.data.matching import (
    Joints,
    KeypointMap,
    Wanted,
    bind,
    guess_joints,
    guess_map,
    load_keypoint_map,
    same_joints,
)
from lifter.data.track import Keypoints
from posesynth.errors import InputError
from posesynth.skeleton import Skeleton, load_skeleton

# Where the names of a set of people mislead: Human3.6M's neck is the nose; what LSP calls neck is its thorax.
_PEOPLE: dict[str, tuple[Joints, tuple[str, ...]]] = {
    "LSP": ({"thorax": ("neck",)}, ("neck", "spine")),
    "LSP-extended": ({"thorax": ("neck",)}, ("neck", "spine")),
    "PoseTrack18": ({"thorax": ("head_bottom",), "neck": ("nose",), "head": ("head_top",)}, ("spine",)),
}


def as_keypoints(image_set: ImageSet) -> Keypoints:
    """The annotations as a track: T = n labels of one individual, confidence 1 where visible, 0 where hidden."""
    image_set.check_labelled()
    positions = image_set.keypoints[:, None]
    confidence = np.where(np.isfinite(positions).all(-1), image_set.visible[:, None], np.nan).astype(np.float64)
    frames = tuple(a.image for a in image_set.annotations)
    return Keypoints(positions, confidence, image_set.names, ("",), frames, image_set.source, image_set.kind)


def onto_skeleton(
    image_set: ImageSet, skeleton: Skeleton, keypoint_map: str | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_], KeypointMap]:
    """The skeleton's joints in each annotation: (n, N, 2) float64 pixels, x right, y down, NaN where not labelled;
    (n, N) bool, whether all that a joint is made of is visible; and the map that was used.

    keypoint_map: a YAML (`lifter.data.matching`); without one joints are matched by name, but where the set's names are
    known to mislead.  Raises InputError where the map does not fit, or too few joints are found.
    """
    keypoints = as_keypoints(image_set)
    matched = _map_of(image_set, skeleton, keypoint_map)
    points = bind(keypoints, matched, 0.0)[:, 0] * (1, -1)
    visible = np.asarray(np.isfinite(bind(keypoints, matched, 0.5)[:, 0]).all(axis=-1))
    return points, visible, matched


def joints_of_set(predictions: Keypoints, image_set: ImageSet, keypoint_map: str | None = None) -> dict[str, str]:
    """Joint of the set -> the joint of the predictions that stands for it.

    Of a skeleton's joints each stands for what it is trained on (`onto_skeleton`), be it only the nearest; other names
    stand for what they say.  keypoint_map: that of the training.
    """
    trained: Joints
    if keypoint_map is not None:
        theirs = _Predicted(os.path.basename(predictions.source), predictions.names)
        trained = _map_of(image_set, theirs, keypoint_map).joints
    elif predictions.kind == "poses" or predictions.names == load_skeleton("human").joints:
        trained = guess_joints(image_set.names, predictions.names, *_meant(image_set, predictions.names))
    else:
        return same_joints(predictions.names, image_set.names)
    return {taken[0]: joint for joint, taken in trained.items() if len(taken) == 1}


class _Predicted(NamedTuple):
    name: str
    joints: tuple[str, ...]


def _map_of(image_set: ImageSet, skeleton: Wanted, keypoint_map: str | None) -> KeypointMap:
    keypoints, meant = as_keypoints(image_set), _meant(image_set, skeleton.joints)
    if keypoint_map is None:
        return guess_map(keypoints, skeleton, *meant)
    matched = load_keypoint_map(keypoint_map, keypoints, skeleton, *meant)
    if matched.y_up:
        raise InputError(f"{keypoint_map}: y_up: true; expected false, as y of an image grows downwards")
    return matched


def _meant(image_set: ImageSet, joints: tuple[str, ...]) -> tuple[Joints, tuple[str, ...]]:
    """What of a skeleton's joints is known beyond their names: keypoints of some, and those that the set has not."""
    return _PEOPLE.get(image_set.kind, ({}, ())) if joints == load_skeleton("human").joints else ({}, ())
