"""Leeds Sports Pose and its extended training set: ``joints.mat`` beside a folder of images.

The two are alike but for what matters: LSP holds (3, 14, N) and its third value is 1 where a joint is *hidden*; the
extended set holds (14, 3, N), its third value is 1 where a joint is *visible*, and the coordinates of the others mean
nothing.  Left and right are the person's own in both.
"""

import os

import numpy as np

from lifter.data.images.image_set import ImageSet, image_folder, image_set
from posesynth.errors import fault
from posesynth.matlab import read_variable

LSP_JOINTS = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
    *("neck", "head_top"),
)


def read_lsp(path: str) -> ImageSet:
    """The set of a ``joints.mat``, LSP or extended."""
    joints = read_variable(path, "joints")
    if not isinstance(joints, np.ndarray):
        raise fault(path, None, "joints: no array; expected (3, 14, N) of LSP or (14, 3, N) of LSP-extended")
    if joints.ndim == 2:
        joints = joints[..., None]  # MATLAB drops a last axis of 1
    if joints.ndim != 3 or {*joints.shape[:2]} != {3, 14} or not joints.shape[2]:
        raise fault(
            path,
            None,
            f"joints: of shape {joints.shape}; expected numbers (3, 14, N) of LSP or (14, 3, N) of LSP-extended",
        )
    extended = joints.shape[0] == 14
    points = (joints.transpose(2, 0, 1) if extended else joints.transpose(2, 1, 0)).astype(np.float64)  # (N, 14, 3)
    flag = points[..., 2]
    if not np.isin(flag, (0, 1)).all():
        raise fault(path, None, "joints: the third value of a joint is neither 0 nor 1; expected its visibility")
    visible = flag == 1 if extended else flag == 0
    keypoints = np.where(visible[..., None], points[..., :2], np.nan) if extended else points[..., :2]
    images = _images(path, len(points), 5 if extended else 4)
    kind = "LSP-extended" if extended else "LSP"
    return image_set(path, kind, LSP_JOINTS, images, [None] * len(images), keypoints, visible)


def _images(path: str, count: int, digits: int) -> list[str]:
    """The images' paths; PNG in the high resolution versions that others made, else JPEG."""
    for ending in ("png", "jpg"):
        names = [f"im{n + 1:0{digits}}.{ending}" for n in range(count)]
        folder = image_folder(path, names)
        if os.path.isfile(os.path.join(folder, names[0])):
            break
    return [os.path.join(folder, name) for name in names]
