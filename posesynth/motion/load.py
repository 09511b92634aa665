"""Find the reader by the file's name."""

import os
from collections.abc import Sequence

from posesynth.motion.amc import read_amc
from posesynth.motion.bvh import read_bvh
from posesynth.motion.clip import Motion, fault
from posesynth.motion.tables import read_npy, read_npz, read_table


def load_motion(
    path: str | os.PathLike[str], *, names: Sequence[str] | None = None, asf: str | os.PathLike[str] | None = None
) -> Motion:
    """Read joint positions from a motion file.

    ``.bvh``; ``.amc`` (its skeleton is `asf`, or the ``.asf`` beside it); ``.csv`` and ``.txt``
    tables; ``.npz`` with ``positions`` (T, J, 3) and ``names``; ``.npy`` (T, J, 3).  `names` are the
    joints of a table or array that carries no names itself, in the order of its columns.

    Raises InputError, one line that begins with ``file:line:``, for a file that cannot be read.
    """
    path = os.fspath(path)
    ending = os.path.splitext(path)[1].lower()
    if ending == ".bvh":
        return read_bvh(path)
    if ending == ".amc":
        return read_amc(path, None if asf is None else os.fspath(asf))
    if ending in (".csv", ".txt"):
        return read_table(path, names)
    if ending == ".npz":
        return read_npz(path, names)
    if ending == ".npy":
        return read_npy(path, names)
    raise fault(path, None, f"unknown kind of motion file '{ending}'; expected .bvh, .amc, .csv, .txt, .npz or .npy")
