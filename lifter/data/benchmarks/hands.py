"""FreiHAND and RHD: hands of 21 joints, one image each.

FreiHAND: ``training_xyz.json``, metres, and beside it ``training_K.json``, each image's 3 x 3 camera matrix; the last
three quarters are the first again on other backgrounds, and have no poses of their own.  RHD: mmpose's json of the COCO
kind with ``joint_cam`` in millimetres.
"""

import os

import numpy as np

from lifter.data.benchmarks.benchmark import Benchmark, Recording, recording
from posesynth.errors import fault, shown
from posesynth.motion.documents import read_document
from posesynth.motion.hands import HAND, points, rhd_hands

MATRICES = "training_K.json"


def read_freihand(path: str) -> Benchmark:
    """One recording of all images; the 2D is the 3D through each image's own camera."""
    document = read_document(path)
    if not isinstance(document, list):
        raise fault(path, None, f"{shown(type(document).__name__)}; expected FreiHAND's list of poses")
    positions = 1000 * points(path, "the list", document, len(HAND), 3)
    beside = os.path.join(os.path.dirname(path), MATRICES)
    held = read_document(beside)
    if not isinstance(held, list) or len(held) != len(positions):
        found = f"{len(held)} cameras" if isinstance(held, list) else shown(type(held).__name__)
        raise fault(beside, None, f"{found}; expected {len(positions)}, one for each pose")
    cameras = points(beside, "the list", held, 3, 3)
    image = np.einsum("tij,tnj->tni", cameras, positions)
    with np.errstate(divide="ignore", invalid="ignore"):
        p2d = image[..., :2] / image[..., 2:]
    return Benchmark("FreiHAND", HAND, "wrist", (recording(path, HAND, "", "right", "", positions, p2d),), path)


def read_rhd(path: str) -> Benchmark:
    """A recording of all left hands and one of all right ones, as filmed; joints have the skeleton `hand`'s names."""
    document = read_document(path)
    if not isinstance(document, dict):
        raise fault(path, None, f"{shown(type(document).__name__)}; expected RHD's images, annotations and categories")
    hands = rhd_hands(path, document)
    if len(hands.names) != len(HAND):
        raise fault(path, None, f"{len(hands.names)} joints; expected {len(HAND)}")
    # Each finger stands from the tip to the palm.
    order = [0, *(5 + 4 * finger - 1 - part for finger in range(5) for part in range(4))]
    recordings: list[Recording] = []
    for side in ("left", "right"):
        of = np.array([found == side for found in hands.sides])
        if of.any():
            positions, p2d = hands.positions[of][:, order], hands.keypoints[of][:, order]
            recordings.append(recording(path, HAND, "", side, "", positions, p2d))
    return Benchmark("RHD", HAND, "wrist", tuple(recordings), path)
