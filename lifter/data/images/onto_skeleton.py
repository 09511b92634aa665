"""The joints of an image set as those of a skeleton."""

import numpy as np
from numpy.typing import NDArray

from lifter.data.images.image_set import ImageSet
from lifter.data.matching import Joints, KeypointMap, bind, guess_map, load_keypoint_map
from lifter.data.track import Keypoints
from posesynth.errors import InputError
from posesynth.skeleton import Skeleton

# Where a name misleads: Human3.6M's neck is in front of the neck; what LSP calls neck is its thorax.
_KNOWN: dict[tuple[str, str], tuple[Joints, tuple[str, ...]]] = {
    ("LSP", "human"): ({"thorax": ("neck",)}, ("neck", "spine")),
    ("LSP-extended", "human"): ({"thorax": ("neck",)}, ("neck", "spine")),
    ("PoseTrack18", "human"): ({"thorax": ("head_bottom",), "head": ("head_top",)}, ("neck", "spine")),
}


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
