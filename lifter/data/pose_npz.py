"""Poses as arrays for NumPy: one for each part of a `PoseTrack`, under its name, texts as arrays without dimensions."""

import io
import zipfile
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from lifter.data.pose_track import PoseTrack, made_track
from posesynth.errors import InputError, fault, reason
from posesynth.motion.tables import DAMAGE, check_archive, read_array
from posesynth.store.folder import Write

_FORMAT = "lifter poses 1"
_TEXTS = ("format", "skeleton", "model", "source")
_LISTS = ("joints", "parents", "individuals", "frames")
_NUMBERS = ("p3d", "p2d")
_REQUIRED = {f"{name}.npy" for name in (*_TEXTS, *_LISTS, *_NUMBERS)}
_CONFIDENCES = ("confidence", "p2d_confidence")
_OPTIONAL = {f"{name}.npy" for name in _CONFIDENCES}


def is_ours(file: BinaryIO) -> bool:
    """Whether a file has the arrays that `write` writes."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _REQUIRED <= set(archive.namelist()) <= _REQUIRED | _OPTIONAL
    except DAMAGE:
        return False


def write(path: str, write: Write, track: PoseTrack) -> None:
    """Hand the bytes of the archive to `write`."""
    arrays = {name: np.array(getattr(track, name)) for name in (*_TEXTS[1:], *_LISTS, *_NUMBERS)}
    arrays |= {name: values for name in _CONFIDENCES if (values := getattr(track, name)) is not None}
    memory = io.BytesIO()
    np.savez(memory, allow_pickle=False, format=np.array(_FORMAT), **arrays)
    write(memory.getbuffer())


def read(path: str, file: BinaryIO) -> PoseTrack:
    """The track in an archive that `write` wrote; no array is unpacked before its header was judged."""
    check_archive(path)
    try:
        with zipfile.ZipFile(file) as archive:
            found = archive.namelist()
            if len(found) != len(set(found)) or not _REQUIRED <= set(found) <= _REQUIRED | _OPTIONAL:
                raise fault(path, None, "its arrays are not those of a pose file; expected one that lifter wrote")
            arrays = {}
            for name in found:
                with archive.open(name) as member:
                    arrays[name] = read_array(path, name.removesuffix(".npy"), member)
                    if member.read(1):  # also makes the archive compare its checksum
                        raise fault(path, None, f"{name}: goes on after its end; expected a file that lifter wrote")
    except InputError:
        raise
    except DAMAGE as error:
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
    if _text(path, arrays, "format") != _FORMAT:
        raise fault(path, None, f"format: expected {_FORMAT!r}, which this lifter knows")
    return made_track(
        path,
        p3d=arrays["p3d.npy"],
        p2d=arrays["p2d.npy"],
        confidence=arrays.get("confidence.npy"),
        p2d_confidence=arrays.get("p2d_confidence.npy"),
        skeleton=_text(path, arrays, "skeleton"),
        model=_text(path, arrays, "model"),
        source=_text(path, arrays, "source"),
        joints=_list(path, arrays, "joints", "U"),
        parents=_list(path, arrays, "parents", "i"),
        individuals=_list(path, arrays, "individuals", "U"),
        frames=_list(path, arrays, "frames", "iU"),
    )


def _text(path: str, arrays: dict[str, NDArray[np.generic]], name: str) -> str:
    return str(_items(path, arrays[f"{name}.npy"].reshape(-1), name, "U", arrays[f"{name}.npy"].ndim == 0)[0])


def _list(path: str, arrays: dict[str, NDArray[np.generic]], name: str, kinds: str) -> tuple[object, ...]:
    return tuple(_items(path, arrays[f"{name}.npy"], name, kinds, arrays[f"{name}.npy"].ndim == 1))


def _items(path: str, array: NDArray[np.generic], name: str, kinds: str, fits: bool) -> list[object]:
    """An array as Python's own numbers or texts."""
    if array.dtype.kind not in kinds or not fits:
        raise fault(path, None, f"{name}: {array.dtype} of shape {array.shape}; expected it as lifter wrote it")
    try:
        return list(array.tolist())
    except ValueError:
        raise fault(path, None, f"{name}: holds what is no Unicode character; expected text") from None
