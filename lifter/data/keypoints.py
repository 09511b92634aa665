"""Find the reader of a 2D keypoint file by its ending and content."""

import os
import stat

import numpy as np

from lifter.data.poses import PoseTrack, is_pose_file, read_poses
from lifter.data.track import Keypoints, check_points
from posesynth.errors import did_you_mean, fault, quote, reason

__all__ = ["Keypoints", "load_keypoints"]

ENDINGS = (".csv", ".tsv", ".txt", ".h5", ".hdf5", ".json", ".npz")
_INSTEAD = {
    ".slp": "a SLEAP project: export its analysis file (File > Export Analysis HDF5)",
    ".npy": "an array without names: save positions (T, J, 2) and names in an .npz",
    **dict.fromkeys((".pickle", ".pkl"), "a pickle, which is never run: save as csv (DeepLabCut writes one beside it)"),
    **dict.fromkeys((".mat", ".parquet", ".xlsx"), "not read here: save as csv"),
}


def load_keypoints(path: str | os.PathLike[str]) -> Keypoints:
    """Read the 2D keypoints of one file.

    ``.csv``, ``.tsv``, ``.txt``: DeepLabCut's rows scorer, [individuals,] bodyparts, coords (predictions and hand
    labels; Lightning Pose writes the same), or a plain header ``joint_x,joint_y[,joint_confidence]``.  ``.h5``:
    DeepLabCut's tables and SLEAP's analysis file.  ``.json``: COCO keypoints.  ``.npz``: ``positions``, ``names``.
    And the pose files of `lifter.data.poses`, of which the 2D is taken.

    Raises InputError, one line that begins with the file's name, for a file that cannot be read as one of these, or
    in which no joint is seen.  Nothing in a file is ever unpickled.
    """
    path = os.fspath(path)
    ending = os.path.splitext(path)[1].lower()
    if ending not in ENDINGS:
        hint = f"; it is {_INSTEAD[ending]}" if ending in _INSTEAD else did_you_mean(ending, ENDINGS)
        raise fault(path, None, f"unknown kind of keypoint file {quote(ending)}; expected {', '.join(ENDINGS)}{hint}")
    _check_file(path)
    return check_points(_of_poses(path, read_poses(path)) if is_pose_file(path) else _read(path, ending))


def _of_poses(path: str, track: PoseTrack) -> Keypoints:
    positions = track.p2d.astype(np.float64) * (1, -1)
    sure = track.p2d_confidence
    confidence = np.full(positions.shape[:3], np.nan) if sure is None else sure.astype(np.float64)
    return Keypoints(positions, confidence, track.joints, track.individuals, track.frames, path, "poses")


def _check_file(path: str) -> None:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
    if not stat.S_ISREG(status.st_mode):
        raise fault(path, None, "is no regular file; expected a file of 2D keypoints")
    if status.st_size == 0:
        raise fault(path, None, "empty; expected a file of 2D keypoints")


def _read(path: str, ending: str) -> Keypoints:
    if ending in (".csv", ".tsv", ".txt"):
        from lifter.data.deeplabcut import is_deeplabcut, read_deeplabcut_csv
        from lifter.data.number_table import open_table
        from lifter.data.plain import read_plain_csv

        with open_table(path) as table:
            return read_deeplabcut_csv(table) if is_deeplabcut(table) else read_plain_csv(table)
    if ending in (".h5", ".hdf5"):
        from lifter.data.hdf5 import read_keypoint_hdf5

        return read_keypoint_hdf5(path)
    if ending == ".json":
        from lifter.data.coco import read_coco

        return read_coco(path)
    from lifter.data.plain import read_keypoint_npz

    return read_keypoint_npz(path)
