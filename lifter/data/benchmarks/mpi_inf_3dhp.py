"""MPI-INF-3DHP: the training set's annot.mat (MATLAB 5) and the test set's annot_data.mat (HDF5).

Training, for each of 14 cameras: ``annot3`` and ``univ_annot3`` (T, 84), 28 joints x (X, Y, Z) mm in the camera's
frame, ``annot2`` (T, 56) pixels.  Test, axes reversed: ``annot3`` and ``univ_annot3`` (T, 1, 17, 3), ``annot2``
(T, 1, 17, 2), ``valid_frame``.  `univ_annot3` is scaled to one size of person.
"""

from pathlib import Path

import numpy as np

from lifter.data.benchmarks.benchmark import Benchmark, Recording, recording
from lifter.data.hdf5 import numbers
from posesynth.errors import fault, shown
from posesynth.hdf5 import open_hdf5
from posesynth.matlab import read_variables

TRAINING, TEST = "MPI-INF-3DHP training", "MPI-INF-3DHP test"
TRAIN_FILE, TEST_FILE = "annot.mat", "annot_data.mat"
_TRUTH = "univ_annot3"  # scaled to one skeleton, as all papers score it
_SIDE = ("clavicle", "shoulder", "elbow", "wrist", "hand")
_LEG = ("hip", "knee", "ankle", "foot", "toe")
TRAIN_JOINTS = (
    *("spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top"),
    *(f"{side}_{part}" for side in ("left", "right") for part in _SIDE),
    *(f"{side}_{part}" for side in ("left", "right") for part in _LEG),
)
TEST_JOINTS = (
    *("head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head"),
)


def read_3dhp_train(path: str) -> Benchmark:
    """The recordings of one ``S1/Seq1/annot.mat``: subject and action are its folders, a camera its number from 0."""
    held = read_variables(path, (_TRUTH, "annot2"))
    cells = []
    for name in (_TRUTH, "annot2"):
        cameras = held.get(name)
        if not isinstance(cameras, list) or not cameras or not all(isinstance(c, np.ndarray) for c in cameras):
            raise fault(
                path, None, f"{name}: {shown(type(cameras).__name__)}; expected a cell of numbers for each camera"
            )
        cells.append(cameras)
    if len(cells[0]) != len(cells[1]):
        raise fault(path, None, f"annot2: {len(cells[1])} cameras; expected {len(cells[0])}, as in {_TRUTH}")
    folder = Path(path).absolute().parent
    subject, action = folder.parent.name, folder.name
    joints = len(TRAIN_JOINTS)
    recordings: list[Recording] = []
    for c, (solid, flat) in enumerate(zip(*cells, strict=True)):
        for name, array, axes in ((_TRUTH, solid, 3), ("annot2", flat, 2)):
            if array.ndim != 2 or array.shape[1] != joints * axes:
                raise fault(path, None, f"{name}: camera {c}: shape {array.shape}; expected (frames, {joints * axes})")
        points, image = solid.reshape(-1, joints, 3), flat.reshape(-1, joints, 2)
        recordings.append(recording(path, TRAIN_JOINTS, subject, action, str(c), points, image))
    return Benchmark(TRAINING, TRAIN_JOINTS, "pelvis", tuple(recordings), path)


def read_3dhp_test(path: str) -> Benchmark:
    """The recording of one ``TS1/annot_data.mat``; frames are scored where ``valid_frame`` is 1."""
    with open_hdf5(path) as file:
        points, image = numbers(path, file, _TRUTH, 4), numbers(path, file, "annot2", 4)
        valid = numbers(path, file, "valid_frame", 2).ravel()
    for name, array, axes in ((_TRUTH, points, 3), ("annot2", image, 2)):
        if array.shape[1:] != (1, len(TEST_JOINTS), axes):
            found = f"{name}: shape {array.shape}"
            raise fault(path, None, f"{found}; expected (frames, 1, {len(TEST_JOINTS)}, {axes}), one person")
    if len(valid) != len(points) or not np.isin(valid, (0, 1)).all():
        raise fault(path, None, f"valid_frame: {len(valid)} numbers; expected 0 or 1 for each of {len(points)} frames")
    subject = Path(path).absolute().parent.name
    found_here = recording(path, TEST_JOINTS, subject, "", "", points[:, 0], image[:, 0], valid == 1)
    return Benchmark(TEST, TEST_JOINTS, "pelvis", (found_here,), path)
