"""pandas' HDF5 as DeepLabCut writes it, read without pandas: tables ("table") and frames in blocks ("fixed").

pandas keeps the column names of tables as a Python pickle.  It is never run: `stored_names` reads the texts out of
it, or refuses.
"""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from lifter.data.deeplabcut import from_pandas
from lifter.data.hdf5 import decode, labels, member, numbers, texts
from lifter.data.stored_names import UnreadableNamesError, stored_names
from lifter.data.track import FrameLabels, Keypoints, check_count
from posesynth.errors import fault, quote
from posesynth.motion.clip import MAX_NUMBERS

_MOST_COLUMNS = 65536
_MOST_BLOCKS = 256
Names = list[tuple[str, ...]]


def stored_frames(path: str, file: Any) -> dict[str, Any]:
    """Key -> group of the tables that pandas stored in the file."""
    found = {}
    for name in file:
        link = file.get(name, getlink=True)
        if isinstance(link, h5py.HardLink) and isinstance(file[name], h5py.Group) and "pandas_type" in file[name].attrs:
            found[name] = file[name]
    return found


def read_pandas(path: str, group: Any) -> Keypoints:
    """The table in one group."""
    kind = decode(path, "pandas_type", group.attrs["pandas_type"])
    if kind == "frame_table":
        names, values, frames = _table(path, group)
    elif kind == "frame":
        names, values, frames = _fixed(path, group)
    else:
        raise fault(path, None, f"{quote(group.name)}: pandas' {quote(kind)}; expected a frame or frame_table")
    if len(values) != len(frames):
        raise fault(path, None, f"{len(values)} rows of numbers and {len(frames)} of the index; expected as many")
    if not frames:
        raise fault(path, None, f"{quote(group.name)} has no rows; expected at least one frame")
    return from_pandas(path, names, values, frames)


def _table(path: str, group: Any) -> tuple[Names, NDArray[np.float64], FrameLabels]:
    """Records of an index and blocks of numbers; the names of a block's columns are an attribute."""
    table = member(path, group, "table", h5py.Dataset)
    fields = table.dtype.fields or {}
    if "index" not in fields or table.shape is None or len(table.shape) != 1:
        expected = "expected records with an index and blocks of values"
        raise fault(path, None, f"'table': {str(table.dtype)[:60]}; {expected}")
    check_count(path, table.shape[0] * table.dtype.itemsize // 8)
    records = table[()]
    names: Names = []
    blocks = [np.empty((len(records), 0))]
    for field in records.dtype.names:
        if field == "index":
            continue
        block = records[field]
        if block.dtype.kind not in "fiu" or block.ndim != 2:
            raise fault(path, None, f"'table': {quote(field)} holds {block.dtype}; expected numbers")
        found = _stored_names(path, field, table.attrs.get(f"{field}_kind"))
        if len(found) != block.shape[1]:
            raise fault(path, None, f"'table': {block.shape[1]} columns in {quote(field)}; expected {len(found)}")
        names += found
        blocks.append(block.astype(np.float64))
    return names, np.concatenate(blocks, axis=1), labels(path, "index", records["index"])


def _stored_names(path: str, field: str, stored: object) -> Names:
    try:
        if not isinstance(stored, bytes | str):
            raise UnreadableNamesError("not there")
        return stored_names(stored.encode() if isinstance(stored, str) else bytes(stored), _MOST_COLUMNS)
    except UnreadableNamesError as error:
        expected = "expected plain texts (stored objects are never run); use the csv that DeepLabCut writes beside it"
        raise fault(path, None, f"'table': column names of {quote(field)}: {error}; {expected}") from None


def _fixed(path: str, group: Any) -> tuple[Names, NDArray[np.float64], FrameLabels]:
    """Blocks of numbers, each with its columns' names as levels and the level each column has."""
    count = group.attrs.get("nblocks", 0)
    if not isinstance(count, int | np.integer) or not 1 <= count <= _MOST_BLOCKS:
        raise fault(path, None, f"{quote(group.name)}: {quote(str(count))} blocks; expected 1 to {_MOST_BLOCKS}")
    names: Names = []
    blocks: list[NDArray[np.float64]] = []
    for b in range(int(count)):
        columns = list(zip(*_levels(path, group, f"block{b}_items", _MOST_COLUMNS), strict=True))
        values = numbers(path, group, f"block{b}_values", 2)
        if not group[f"block{b}_values"].attrs.get("transposed", False):
            values = values.T
        if values.shape[1] != len(columns) or (blocks and len(values) != len(blocks[0])):
            wanted = (len(blocks[0]) if blocks else len(values), len(columns))
            raise fault(path, None, f"'block{b}_values': shape {values.shape}; expected {wanted}")
        names += columns
        blocks.append(values)
        check_count(path, sum(block.size for block in blocks))
    if "axis1" in group:
        dataset = member(path, group, "axis1", h5py.Dataset)
        if dataset.dtype.kind == "S" or h5py.check_string_dtype(dataset.dtype) is not None:
            frames = labels(path, "axis1", np.array(texts(path, group, "axis1", MAX_NUMBERS), dtype=object))
        else:
            frames = labels(path, "axis1", numbers(path, group, "axis1", 1))
    else:
        levels = _levels(path, group, "axis1", MAX_NUMBERS)
        frames = labels(path, "axis1", np.array(["/".join(entry) for entry in zip(*levels, strict=True)], dtype=object))
    return names, np.concatenate(blocks, axis=1), frames


def _levels(path: str, group: Any, axis: str, at_most: int) -> list[Sequence[str]]:
    """The entries of an axis of several levels, level by level."""
    count = group.attrs.get(f"{axis}_nlevels")
    if not isinstance(count, int | np.integer) or not 1 <= count <= 8:
        raise fault(path, None, f"'{axis}': one level of names; expected DeepLabCut's scorer, bodyparts, coords")
    entries: list[Sequence[str]] = []
    for level in range(int(count)):
        choices = texts(path, group, f"{axis}_level{level}", at_most)
        codes = numbers(path, group, f"{axis}_label{level}", 1)
        if not ((codes >= 0) & (codes < len(choices)) & (codes == np.floor(codes))).all() or len(codes) > at_most:
            expected = f"expected places among its {len(choices)} names"
            raise fault(path, None, f"'{axis}_label{level}': points outside; {expected}")
        entries.append([choices[code] for code in codes.astype(np.int64).tolist()])
    if len({len(level) for level in entries}) > 1:
        raise fault(path, None, f"'{axis}': levels of different lengths; expected as many entries in each")
    return entries
