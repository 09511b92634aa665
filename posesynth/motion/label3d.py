"""Label3D's .mat files, which DANNCE is trained on: hand-labelled 3D points of one animal.

``labelData`` is a cell for each camera, a struct whose ``data_3d`` (T, 3 J) holds x y z of each joint in turn: the
same points in every camera, in the unit of the calibration.  MATLAB's v7.3 files are HDF5.
"""

import os
import stat
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, fault, reason
from posesynth.matlab import LARGEST, read_variables
from posesynth.motion.clip import MAX_NUMBERS, Motion, check_size
from posesynth.motion.tables import DAMAGE, motion_of

Array = NDArray[np.generic]

# DANNCE's own skeleton; its files do not repeat the names.
MOUSE22 = (
    *("EarL", "EarR", "Snout", "SpineF", "SpineM", "Tail(base)", "Tail(mid)", "Tail(end)"),
    *("ForepawL", "WristL", "ElbowL", "ShoulderL", "ForepawR", "WristR", "ElbowR", "ShoulderR"),
    *("HindpawL", "AnkleL", "KneeL", "HindpawR", "AnkleR", "KneeR"),
)

_EXPECTED = "expected Label3D's labelData"


def read_label3d(path: str, names: Sequence[str] | None) -> Motion:
    """The labelled frames, in the file's order; a joint that was not labelled is NaN.

    Joints are called as `names`, or as the file's ``joint_names``; 22 without names are those of mouse22, others
    joint1, joint2 ...
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            raise fault(path, None, f"is no file of at most {LARGEST >> 20} MiB; {_EXPECTED}")
        with open(path, "rb") as file:
            start = file.read(19)
        tables, found = _read_v73(path) if start == b"MATLAB 7.3 MAT-file" else _read_v5(path)
    except InputError:
        raise
    except DAMAGE as error:
        raise fault(path, None, f"cannot be read: {reason(error)}; {_EXPECTED}") from None
    if not tables:
        raise fault(path, None, f"labelData: is empty; {_EXPECTED}")
    first = tables[0]
    if first.ndim != 2 or first.dtype.kind not in "fiu" or 0 in first.shape or first.shape[1] % 3:
        found_there = f"data_3d: {first.dtype} of shape {first.shape}"
        raise fault(path, None, f"{found_there}; expected numbers (frames, 3 x joints)")
    if any(other.shape != first.shape or not np.array_equal(other, first, equal_nan=True) for other in tables[1:]):
        raise fault(path, None, "data_3d: differs between cameras; expected the same points in each")
    check_size(path, *first.shape)
    joints = first.shape[1] // 3
    names = names or found or (MOUSE22 if joints == len(MOUSE22) else [f"joint{n + 1}" for n in range(joints)])
    return motion_of(path, first.reshape(len(first), joints, 3), names)


def _read_v5(path: str) -> tuple[list[Array], list[str]]:
    """The cameras' data_3d, and the names where there are some."""
    held = read_variables(path, ("labelData", "joint_names"), fields=("data_3d",))
    if "labelData" not in held:
        raise fault(path, None, f"holds no labelData; {_EXPECTED}")
    cells = held["labelData"] if isinstance(held["labelData"], list) else [held["labelData"]]
    tables = []
    for n, cell in enumerate(cells):
        while isinstance(cell, list) and len(cell) == 1:
            (cell,) = cell
        if not isinstance(cell, dict) or not isinstance(cell.get("data_3d"), np.ndarray):
            raise fault(path, None, f"labelData: entry {n + 1}: expected a struct with data_3d for each camera")
        tables.append(cell["data_3d"])
    names = held.get("joint_names", [])
    return tables, names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _read_v73(path: str) -> tuple[list[Array], list[str]]:
    import h5py

    def member(group: Any, name: str) -> Any:
        """A data set of this file and of no other one; None where there is none."""
        if not isinstance(group, h5py.Group) or not isinstance(group.get(name, getlink=True), h5py.HardLink):
            return None
        found = group[name]
        if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
            return None
        if (found.size or 0) > MAX_NUMBERS:
            raise fault(path, None, f"{name}: {found.size} entries; expected at most {MAX_NUMBERS}")
        return found

    with h5py.File(path, "r") as file:
        cells, listed = member(file, "labelData"), member(file, "joint_names")
        if cells is None or h5py.check_ref_dtype(cells.dtype) is not h5py.Reference:
            raise fault(path, None, f"holds no cells called labelData; {_EXPECTED}")
        tables, names = [], []
        for reference in cells[()].ravel():
            data = member(file[reference], "data_3d")
            if data is None:
                raise fault(path, None, "labelData: a camera has no data_3d; expected the same points in each")
            tables.append(data[()].T)  # MATLAB counts columns first
        if listed is not None:
            names = ["".join(map(chr, file[reference][()].ravel())) for reference in listed[()].ravel()]
    return tables, names
