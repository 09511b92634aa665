"""HDF5 files of 2D keypoints: whose they are, and their arrays read without trust.

Nothing outside the file is followed: no external links, no external or virtual storage.  Shapes are judged before
anything is read, and what h5py raises of a damaged file becomes one line.
"""

import math
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from lifter.data.track import FrameLabels, Keypoints, check_count, frame_labels
from posesynth.errors import fault, quote
from posesynth.hdf5 import open_hdf5

_LONGEST_NAME = 4096  # bytes of a text


def read_keypoint_hdf5(path: str) -> Keypoints:
    """DeepLabCut's table or SLEAP's analysis, whichever the file holds."""
    from lifter.data.pandas_hdf5 import read_pandas, stored_frames
    from lifter.data.sleap import read_sleap

    with open_hdf5(path) as file:
        if "tracks" in file and "node_names" in file:
            return read_sleap(path, file)
        frames = stored_frames(path, file)
        if len(frames) > 1 and "df_with_missing" not in frames:
            raise fault(path, None, f"holds {len(frames)} tables; expected one, or 'df_with_missing' among them")
        if frames:
            return read_pandas(path, frames.get("df_with_missing") or next(iter(frames.values())))
        found = ", ".join(quote(name, 24) for name in list(file)[:6]) or "nothing"
        hint = ""
        if "points" in file and "instances" in file:
            hint = "; this looks like a SLEAP project: export its analysis file (File > Export Analysis HDF5)"
        expected = "expected DeepLabCut's df_with_missing, or SLEAP's tracks and node_names"
        raise fault(path, None, f"HDF5 of another tool, found {found}; {expected}{hint}")


def member(path: str, group: Any, name: str, kind: type) -> Any:
    """The dataset or group `name` of `group`, if it lies in the file itself."""
    link = group.get(name, getlink=True)
    if link is None:
        raise fault(path, None, f"no {quote(name)} in {quote(group.name)}; expected it there")
    if not isinstance(link, h5py.HardLink):
        raise fault(path, None, f"{quote(name)} is a link; expected the data in the file itself")
    found = group[name]
    if not isinstance(found, kind):
        is_a, expected = type(found).__name__.lower(), kind.__name__.lower()
        raise fault(path, None, f"{quote(name)} is a {is_a}; expected a {expected}")
    if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        raise fault(path, None, f"{quote(name)} keeps its data in other files; expected it in the file itself")
    return found


def numbers(path: str, group: Any, name: str, dimensions: int) -> NDArray[np.float64]:
    """The dataset `name`, numbers of so many dimensions, as float64."""
    dataset = member(path, group, name, h5py.Dataset)
    if dataset.dtype.kind not in "fiu" or dataset.shape is None or len(dataset.shape) != dimensions:
        found = f"{dataset.dtype} of shape {dataset.shape}"
        raise fault(path, None, f"{quote(name)}: {found}; expected numbers of {dimensions} dimensions")
    check_count(path, math.prod(dataset.shape))
    with np.errstate(over="ignore"):
        return np.asarray(dataset[()], dtype=np.float64)


def texts(path: str, group: Any, name: str, at_most: int) -> list[str]:
    """The dataset `name`, at most so many texts."""
    dataset = member(path, group, name, h5py.Dataset)
    is_text = dataset.dtype.kind == "S" or h5py.check_string_dtype(dataset.dtype) is not None
    if not is_text or dataset.shape is None or len(dataset.shape) != 1:
        raise fault(path, None, f"{quote(name)}: {dataset.dtype} of shape {dataset.shape}; expected a row of texts")
    if dataset.shape[0] > at_most or dataset.dtype.itemsize > _LONGEST_NAME:
        size = f"{dataset.shape[0]} texts of {dataset.dtype.itemsize} bytes"
        raise fault(path, None, f"{quote(name)}: {size}; expected at most {at_most} of {_LONGEST_NAME} bytes")
    check_count(path, dataset.shape[0] * dataset.dtype.itemsize // 16)
    return [decode(path, name, text) for text in dataset[()]]


def decode(path: str, what: str, text: Any) -> str:
    """A text of the file, told as bytes or text."""
    try:
        decoded = bytes(text).decode("utf-8") if isinstance(text, bytes) else str(text)
        decoded.encode("utf-8")
    except UnicodeError:
        raise fault(path, None, f"{quote(what)}: a text that is not UTF-8") from None
    return decoded


def labels(path: str, what: str, index: NDArray[Any]) -> FrameLabels:
    """Frame numbers or image names from a stored index."""
    if index.dtype.kind in "iu":
        return tuple(int(number) for number in index.tolist())
    if index.dtype.kind == "f" and np.isfinite(index).all() and (index == np.round(index)).all():
        return tuple(int(number) for number in index.tolist())
    if index.dtype.kind in "SO":
        return frame_labels([decode(path, what, text) for text in index.tolist()])
    raise fault(path, None, f"{quote(what)}: an index of type {index.dtype}; expected frame numbers or image names")
