"""Joint positions in tables and arrays: CSV with one of three headers, NPZ, NPY.

An empty cell or ``nan`` is a joint that was not seen; infinity is an error.
"""

import csv
import lzma
import math
import os
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import IO, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, did_you_mean, fault, quote, reason, shown
from posesynth.motion.clip import MAX_ARCHIVE, MAX_NUMBERS, Motion, check_size, parse, read_text
from posesynth.npy_header import read_npy_header
from posesynth.sides import same_side

Row = tuple[int, list[str]]  # line number, cells
Columns = dict[str, dict[str, int]]  # joint -> axis -> column

DAMAGE = (  # what a ZIP with flipped bits raises
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(RuntimeError, ValueError, LookupError, OverflowError, MemoryError),
)
HEADER_ROWS = ("scorer", "individuals", "bodyparts", "coords")


def read_table(path: str, names: Sequence[str] | None) -> Motion:
    """A table of one frame a line, cells parted by commas, tabs or semicolons, as in the first line.

    Three layouts: a header of ``joint_x,joint_y,joint_z`` (other columns, such as Anipose's errors
    and scores, are passed over); DeepLabCut's rows ``scorer``, ``bodyparts``, ``coords`` with x, y
    and z; no header, x y z of each of `names` in turn.
    """
    rows = _rows(path)
    first = rows[0][1]
    if any(_semicolons(cell) for cell in first):
        raise fault(path, rows[0][0], "holds commas and semicolons; expected one of them, and points in numbers")
    if first[0].lower() in HEADER_ROWS:
        columns, body = _deeplabcut_header(path, rows)
    elif any(cell and not _is_number(cell) for cell in first):
        columns, body = _plain_header(path, rows[0]), rows[1:]
    else:
        columns, body = _no_header(path, rows[0], names), rows
    if not body:
        raise fault(path, rows[-1][0], "no frames after the header; expected at least 1")
    check_size(path, len(body), len(first))
    order = [columns[joint][axis] for joint in columns for axis in "xyz"]
    values = np.empty((len(body), len(order)))
    for t, (line, row) in enumerate(body):
        if len(row) != len(first):
            raise fault(path, line, f"{len(row)} columns; expected {len(first)}, as in line {rows[0][0]}")
        values[t] = _positions(path, line, row, order)
    return Motion(values.reshape(len(body), -1, 3), tuple(columns), source=path)


def read_npz(path: str, names: Sequence[str] | None) -> Motion:
    """``positions`` (T, J, 3) and ``names`` (J,) of an NPZ; without ``names``, the `names` given."""
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            if "positions" not in members:
                found = ", ".join(quote(name, 24) for name in list(members)[:6])
                expected = f"expected positions and names, found {found or 'nothing'}"
                raise fault(path, None, f"no array 'positions'; {expected}")
            with archive.open(members["positions"]) as file:
                positions = read_array(path, "positions", file)
            if "names" in members:
                with archive.open(members["names"]) as file:
                    names = read_names(path, read_array(path, "names", file))
    except InputError:
        raise
    except DAMAGE as error:
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
    return motion_of(path, positions, names)


def read_npy(path: str, names: Sequence[str] | None) -> Motion:
    """One array (T, J, 3), whose joints are `names`."""
    try:
        with open(path, "rb") as file:
            positions = read_array(path, "the array", file)
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
    return motion_of(path, positions, names)


def check_archive(path: str) -> None:
    """Refuse what has no end, such as a device, or is too large: a ZIP is searched from its end."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise fault(path, None, "is no regular file; expected an NPZ")
    if status.st_size > MAX_ARCHIVE:
        raise fault(path, None, f"larger than {MAX_ARCHIVE >> 20} MiB; expected a smaller file (split the clip)")


def _rows(path: str) -> list[Row]:
    lines = read_text(path)
    delimiter = next((delimiter for delimiter in ",\t;" if delimiter in lines[0]), "\t")
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise fault(path, reader.line_num, f"not a table: {error}") from None
    if not rows:
        raise fault(path, 1, "empty; expected one frame a line")
    return rows


def _semicolons(cell: str) -> bool:
    """Whether a cell is several: numbers with decimal commas between semicolons."""
    parts = cell.split(";")
    return len(parts) > 1 and all(_is_number(part.strip()) for part in parts)


def _is_number(cell: str) -> bool:
    return cell.lower() == "nan" or parse([cell]) is not None


def _positions(path: str, line: int, row: list[str], order: list[int]) -> NDArray[np.float64]:
    cells = [row[c] for c in order]
    values = parse(cells)
    if values is None:  # a cell that is no number, or empty
        bad = next((c for c in order if row[c] and not _is_number(row[c])), None)
        if bad is not None:
            expected = "expected a number, or nothing where the joint was not seen"
            raise fault(path, line, f"column {bad + 1}: {quote(row[bad])} is not a finite number; {expected}")
        values = np.array([float(cell) if cell else math.nan for cell in cells])
    return values


def _plain_header(path: str, header: Row) -> Columns:
    line, cells = header
    columns: Columns = {}
    for c, cell in enumerate(cells):
        joint, _, axis = cell.rpartition("_")
        if joint and axis.lower() in ("x", "y", "z"):
            _place(path, line, columns, joint, axis.lower(), c)
    return _complete(path, line, columns, "columns named joint_x, joint_y, joint_z")


def _deeplabcut_header(path: str, rows: list[Row]) -> tuple[Columns, list[Row]]:
    header = {}
    for line, cells in rows:
        if cells[0].lower() not in HEADER_ROWS:
            break
        header[cells[0].lower()] = (line, cells)
    if "individuals" in header:
        raise fault(path, header["individuals"][0], "several animals ('individuals'); expected a table of one animal")
    for name in ("bodyparts", "coords"):
        if name not in header:
            raise fault(path, rows[0][0], f"no header row '{name}'; expected the rows scorer, bodyparts, coords")
    first, width = rows[0][0], len(rows[0][1])
    for line, cells in header.values():
        if len(cells) != width:
            raise fault(path, line, f"{len(cells)} columns; expected {width}, as in line {first}")
    (_, parts), (line, coords) = header["bodyparts"], header["coords"]
    columns: Columns = {}
    for c, (part, axis) in enumerate(zip(parts, coords, strict=True)):
        if axis.lower() in ("x", "y", "z"):
            _place(path, line, columns, part, axis.lower(), c)
    return _complete(path, line, columns, "x, y and z of each body part (3D)"), rows[len(header) :]


def _no_header(path: str, first: Row, names: Sequence[str] | None) -> Columns:
    line, cells = first
    if names is None:
        raise fault(path, line, "no header; expected joint_x,joint_y,joint_z ..., or a joint map with the 'columns'")
    if len(cells) != 3 * len(names):
        expected = f"expected {3 * len(names)}, x y z of each of {len(names)} joints"
        raise fault(path, line, f"{len(cells)} columns; {expected}")
    return {name: {axis: 3 * j + i for i, axis in enumerate("xyz")} for j, name in enumerate(names)}


def _place(path: str, line: int, columns: Columns, joint: str, axis: str, column: int) -> None:
    place = columns.setdefault(joint, {})
    if axis in place:
        raise fault(path, line, f"{axis} of joint {quote(joint)} is given twice; expected each column once")
    place[axis] = column


def _complete(path: str, line: int, columns: Columns, expected: str) -> Columns:
    if not columns:
        raise fault(path, line, f"no joints in the header; expected {expected}")
    for joint, place in columns.items():
        if len(place) != 3:
            missing = ", ".join(axis for axis in "xyz" if axis not in place)
            near = did_you_mean(
                joint, same_side(joint, [other for other in columns if len(columns[other]) == 3], columns)
            )
            raise fault(path, line, f"joint {quote(joint)} has no {missing}; expected {expected}{near}")
    return columns


def read_array(path: str, what: str, file: IO[bytes]) -> NDArray[np.generic]:
    """An array whose header was judged before a byte of it is unpacked."""
    try:
        _, shape, fortran, dtype = read_npy_header(cast(BinaryIO, file))
    except ValueError as error:
        raise fault(path, None, f"{what}: not a NumPy array: {reason(error)}") from None
    if dtype.kind not in "fiuUS":
        raise fault(path, None, f"{what}: of type {str(dtype)[:60]}; expected numbers (objects are never unpickled)")
    count = math.prod(shape)
    if math.prod(max(size, 1) for size in shape) > MAX_NUMBERS:
        raise fault(path, None, f"{what}: {shown(count)} numbers; expected at most {MAX_NUMBERS} (split the clip)")
    if not 1 <= dtype.itemsize <= 4096 or count * dtype.itemsize > 16 * MAX_NUMBERS:
        found = f"{count} entries of {dtype.itemsize} bytes"
        raise fault(path, None, f"{what}: {found}; expected 1 to 4096 bytes each, {16 * MAX_NUMBERS} in all")
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise fault(path, None, f"{what}: cut short, {len(data)} bytes; expected {count * dtype.itemsize}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def read_names(path: str, array: NDArray[np.generic]) -> list[str]:
    """An array of names as texts."""
    if array.ndim != 1 or array.dtype.kind != "U":
        raise fault(path, None, f"names: {array.dtype} of shape {array.shape}; expected one text for each joint")
    try:
        return [str(name) for name in array]
    except ValueError:
        raise fault(path, None, "names: hold what is no Unicode character; expected text") from None


def motion_of(path: str, positions: NDArray[np.generic], names: Sequence[str] | None) -> Motion:
    """The motion of an array that a file gave, judged; `names` are those of its joints."""
    if positions.ndim != 3 or positions.shape[2] != 3 or 0 in positions.shape or positions.dtype.kind not in "fiu":
        found = f"positions: {positions.dtype} of shape {positions.shape}"
        raise fault(path, None, f"{found}; expected numbers (frames, joints, 3)")
    if names is None:
        raise fault(path, None, "no names; expected an array 'names', or a joint map with the 'columns'")
    if len(names) != positions.shape[1]:
        raise fault(path, None, f"{len(names)} names for {positions.shape[1]} joints; expected as many")
    if repeated := next((name for name, n in Counter(names).items() if n > 1), None):
        raise fault(path, None, f"names: {quote(repeated)} is given twice; expected each name once")
    values = positions.astype(np.float64)
    if np.isinf(values).any():
        frame, joint = (int(i) for i in np.argwhere(np.isinf(values))[0][:2])
        found = f"positions: infinite in frame {frame}, joint {quote(names[joint])}"
        raise fault(path, None, f"{found}; expected numbers, or NaN where not seen")
    return Motion(values, tuple(names), source=path)
