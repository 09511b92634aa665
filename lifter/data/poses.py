"""Pose files: `write_poses`, `read_poses`, and `is_pose_file`, which tells one.

    .csv    a table as DeepLabCut writes them, with x, y, z of each joint
    .h5     HDF5 of plain datasets, for any tool that reads it
    .npz    arrays, for NumPy

Each holds all of a `PoseTrack` and gives it back to the last bit.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import BinaryIO

from lifter.data import pose_csv, pose_hdf5, pose_npz
from lifter.data.pose_track import PoseTrack
from posesynth.errors import InputError, did_you_mean, fault, reason
from posesynth.store.folder import LocalFolder

__all__ = ["FORMATS", "PoseTrack", "check_pose_path", "is_pose_file", "read_poses", "write_poses"]

FORMATS: dict[str, ModuleType] = {".h5": pose_hdf5, ".csv": pose_csv, ".npz": pose_npz}


def write_poses(path: str | os.PathLike[str], track: PoseTrack) -> None:
    """Write `track` to `path` in the format of its ending; whole and durable when this returns.

    InputError as `check_pose_path` has it, and where the disk does not take the file: nothing is left then, and what
    was there before stays.
    """
    check_pose_path(path)
    text = os.fspath(path)
    folder, name = os.path.split(os.path.realpath(text))  # by way of a symbolic link: the link stays
    try:
        with LocalFolder(folder).writing(name) as write:
            _format(text).write(text, write, track)
    except OSError as error:
        raise fault(text, None, f"cannot be written: {reason(error)}") from None


def read_poses(path: str | os.PathLike[str]) -> PoseTrack:
    """The track that `write_poses` wrote.  InputError, one line, for every other file and for damaged ones."""
    text = os.fspath(path)
    kind = _format(text)
    with _open(text) as file:
        track: PoseTrack = kind.read(text, file)
    return track


def is_pose_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file that is there begins as those that `write_poses` writes.  InputError where it cannot be read."""
    kind = FORMATS.get(os.path.splitext(os.fspath(path))[1])
    if kind is None:
        return False
    with _open(os.fspath(path)) as file:
        ours: bool = kind.is_ours(file)
        return ours


def check_pose_path(path: str | os.PathLike[str]) -> None:
    """InputError unless a pose file can be written to `path`, so that nobody lifts for minutes in vain.

    Its ending is .h5, .csv or .npz, its folder is there, and there is nothing of that name but a pose file of the same
    format.
    """
    text = os.fspath(path)
    kind = _format(text)
    folder = os.path.dirname(os.path.realpath(text))
    if not os.path.isdir(folder):
        raise fault(text, None, "its folder is not there; expected an existing folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise fault(text, None, "its folder cannot be written to; expected one that can")
    if os.path.exists(text):
        with _open(text) as file:
            if not kind.is_ours(file):
                raise fault(text, None, "is there already, and not a pose file of lifter; expected another name")


def _format(path: str) -> ModuleType:
    ending = os.path.splitext(path)[1]
    if ending not in FORMATS or "\0" in path:
        near = did_you_mean(ending.lower(), FORMATS)
        raise fault(path, None, f"is not the name of a pose file; expected one ending in {', '.join(FORMATS)}{near}")
    return FORMATS[ending]


@contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    """A plain file, open for reading: a pipe would never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise fault(path, None, "is not a plain file; expected a pose file")
        with open(descriptor, "rb") as file:
            yield file
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
