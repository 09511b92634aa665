"""Find the reader by the file's name."""

import os
from collections.abc import Sequence

import numpy as np

from posesynth.errors import fault, quote, shown
from posesynth.motion.amc import read_amc
from posesynth.motion.bvh import read_bvh
from posesynth.motion.clip import FARTHEST, Motion
from posesynth.motion.deepmimic import read_deepmimic
from posesynth.motion.documents import read_document
from posesynth.motion.hands import freihand_motion, rhd_motion
from posesynth.motion.label3d import read_label3d
from posesynth.motion.tables import read_npy, read_npz, read_table


def load_motion(
    path: str | os.PathLike[str], *, names: Sequence[str] | None = None, asf: str | os.PathLike[str] | None = None
) -> Motion:
    """Read joint positions from a motion file.

    ``.bvh``; ``.amc`` (its skeleton is `asf`, or the ``.asf`` beside it); ``.csv`` and ``.txt`` tables; ``.npz`` with
    ``positions`` (T, J, 3) and ``names``; ``.npy`` (T, J, 3); ``.mat`` of Label3D; ``.json`` or ``.txt`` of DeepMimic
    (its character is `asf`, or the file beside it); ``.json`` of FreiHAND and RHD.  `names` are the joints of a table
    or array that carries no names itself, in the order of its columns.

    Raises InputError, one line that begins with ``file:line:``, for a file that cannot be read.
    """
    path = os.fspath(path)
    with np.errstate(over="ignore", invalid="ignore"):  # judged below
        motion = _read(path, names, None if asf is None else os.fspath(asf))
        far = ~(np.abs(motion.positions) <= FARTHEST) & ~np.isnan(motion.positions)
    if far.any():
        frame, joint = (int(i) for i in np.argwhere(far)[0][:2])
        found = f"positions: frame {frame}, joint {quote(motion.names[joint])} is too far away"
        raise fault(path, None, f"{found}; expected coordinates of at most {FARTHEST:g}")
    return motion


def _read(path: str, names: Sequence[str] | None, asf: str | None) -> Motion:
    ending = os.path.splitext(path)[1].lower()
    if ending == ".bvh":
        return read_bvh(path)
    if ending == ".amc":
        return read_amc(path, asf)
    if ending == ".json" or (ending == ".txt" and _is_json(path)):
        return _read_document(path, asf)
    if ending in (".csv", ".txt"):
        return read_table(path, names)
    if ending == ".npz":
        return read_npz(path, names)
    if ending == ".npy":
        return read_npy(path, names)
    if ending == ".mat":
        return read_label3d(path, names)
    known = ".bvh, .amc, .csv, .txt, .json, .npz, .npy or .mat"
    raise fault(path, None, f"unknown kind of motion file '{ending}'; expected {known}")


def _read_document(path: str, asf: str | None) -> Motion:
    document = read_document(path)
    if isinstance(document, list):
        return freihand_motion(path, document)
    if isinstance(document, dict) and "Frames" not in document and "annotations" in document:
        return rhd_motion(path, document)
    if not isinstance(document, dict):
        raise fault(path, None, f"{shown(document)}; expected JSON of DeepMimic, FreiHAND or RHD")
    return read_deepmimic(path, document, asf)


def _is_json(path: str) -> bool:
    """Whether a text begins with a brace, as no table does; one that cannot be read is left to its reader."""
    try:
        with open(path, "rb") as file:
            return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    except (OSError, ValueError):
        return False
