"""Find the reader of a 3D benchmark by what a file or folder is called."""

import os
from collections.abc import Collection

from lifter.data.benchmarks.benchmark import Benchmark
from lifter.data.benchmarks.h36m import FILE, read_h36m
from lifter.data.benchmarks.hands import read_freihand, read_rhd
from lifter.data.benchmarks.mpi_inf_3dhp import TEST_FILE, TRAIN_FILE, read_3dhp_test, read_3dhp_train
from posesynth.errors import fault

FREIHAND_FILE = "training_xyz.json"
_EXPECTED = f"expected {FILE}, {TRAIN_FILE}, {TEST_FILE}, {FREIHAND_FILE}, or RHD's .json"


def load_benchmark(
    path: str | os.PathLike[str], *, subjects: Collection[str] | None = None, detections: str | None = None
) -> Benchmark:
    """The 3D poses of a file, or of a folder that holds exactly one of these files (docs/datasets.md).

    ``data_3d_h36m.npz``, of some `subjects` or all, with a detector's 2D from `detections` or the true one;
    MPI-INF-3DHP's ``annot.mat`` and ``annot_data.mat``; FreiHAND's ``training_xyz.json``; RHD's json of the COCO kind.
    Raises InputError, one line that begins with the file's name.
    """
    path = os.fspath(path)
    if "\0" in path or not os.path.exists(path):
        raise fault(path, None, f"is not there; {_EXPECTED}")
    if os.path.isdir(path):
        known = (FILE, TRAIN_FILE, TEST_FILE, FREIHAND_FILE)
        found = [name for name in known if os.path.isfile(os.path.join(path, name))]
        if len(found) != 1:
            raise fault(path, None, f"holds {' and '.join(found) or 'none of the files'}; {_EXPECTED}")
        path = os.path.join(path, found[0])
    name = os.path.basename(path)
    if name.endswith(".npz"):
        return read_h36m(path, subjects, detections)
    if subjects is not None or detections is not None:
        raise fault(path, None, "subjects or detections are given; expected them with Human3.6M alone")
    if name == TEST_FILE:
        return read_3dhp_test(path)
    if name.endswith(".mat"):
        return read_3dhp_train(path)
    if name == FREIHAND_FILE:
        return read_freihand(path)
    if name.endswith(".json"):
        return read_rhd(path)
    raise fault(path, None, f"unknown kind of benchmark; {_EXPECTED}")
