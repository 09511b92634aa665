"""The joints of an image set as those of a skeleton."""

import numpy as np
from numpy.typing import NDArray

from lifter.data.images.image_set import ImageSet
from lifter.data.matching import Joints, KeypointMap, bind, guess_map, load_keypoint_map, same_joints
from lifter.data.track import Keypoints
from posesynth.errors import InputError
from posesynth.skeleton import Skeleton, load_skeleton

# Where a name misleads: Human3.6M's neck is in front of the neck; what LSP calls neck is its thorax.
_KNOWN: dict[tuple[str, str], tuple[Joints, tuple[str, ...]]] = {
    ("LSP", "human"): ({"thorax": ("neck",)}, ("neck", "spine")),
    ("LSP-extended", "human"): ({"thorax": ("neck",)}, ("neck", "spine")),
    ("PoseTrack18", "human"): ({"thorax": ("head_bottom",), "head": ("head_top",)}, ("neck", "spine")),
}

# What Human3.6M's names mean to everybody else.
_HUMAN = {"neck": "nose", "left_foot": "left_ankle", "right_foot": "right_ankle"}


def as_keypoints(image_set: ImageSet) -> Keypoints:
    """The annotations as a track: T = n labels of one individual, confidence 1 where visible, 0 where hidden."""
    if not image_set.names:
        raise InputError(f"{image_set.source}: images without labels; expected an annotated set")
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
    if keypoint_map is None:
        known, absent = _KNOWN.get((image_set.kind, skeleton.name), ({}, ()))
        matched = guess_map(keypoints, skeleton, known, absent)
    else:
        matched = load_keypoint_map(keypoint_map, keypoints, skeleton)
        if matched.y_up:
            raise InputError(f"{keypoint_map}: y_up: true; expected false, as y of an image grows downwards")
    points = bind(keypoints, matched, 0.0)[:, 0] * (1, -1)
    visible = np.asarray(np.isfinite(bind(keypoints, matched, 0.5)[:, 0]).all(axis=-1))
    return points, visible, matched


def joints_of_set(names: tuple[str, ...], image_set: ImageSet) -> dict[str, str]:
    """Joint of the set -> the one of `names` that means the same: `names` of any file, or those of `human`."""
    if names != load_skeleton("human").joints:
        return same_joints(names, image_set.names)
    meant = {_HUMAN.get(name, name): name for name in names}
    found = {joint: meant[name] for joint, name in same_joints(tuple(meant), image_set.names).items()}
    known, _ = _KNOWN.get((image_set.kind, "human"), ({}, ()))
    return found | {keypoints[0]: joint for joint, keypoints in known.items()}
