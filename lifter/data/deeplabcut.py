"""DeepLabCut's tables, in csv and in pandas' HDF5: the header rows scorer, [individuals,] bodyparts, coords.

Predictions hold x, y and likelihood of each body part, hand labels x and y, with nothing where not labelled.  The
index of a row is a frame number, an image's path, or the parts of one in several columns.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lifter.data.number_table import Table
from lifter.data.track import CONFIDENCE_WORDS, Column, FrameLabels, Keypoints, frame_labels, from_columns
from posesynth.errors import fault
from posesynth.motion.tables import HEADER_ROWS

REQUIRED = ("bodyparts", "coords")


def is_deeplabcut(table: Table) -> bool:
    """Whether the table begins with DeepLabCut's header."""
    first = table.header_row() or [""]
    table.give_back(first)
    return first[0].lower() in HEADER_ROWS


def read_deeplabcut_csv(table: Table) -> Keypoints:
    """DeepLabCut's csv, of one animal or several."""
    header: dict[str, list[str]] = {}
    while row := table.header_row():
        name = row[0].lower()
        if name not in HEADER_ROWS:
            table.give_back(row)
            break
        if name in header:
            raise fault(table.path, table.line, f"header row '{name}' is given twice; expected each once")
        header[name] = row
        last = table.line
        if len(row) != len(next(iter(header.values()))):
            expected = f"expected {len(next(iter(header.values())))}, as in the header row above"
            raise fault(table.path, last, f"{len(row)} columns; {expected}")
    for name in REQUIRED:
        if name not in header:
            expected = "expected the rows scorer, [individuals,] bodyparts, coords"
            raise fault(table.path, last, f"no header row '{name}'; {expected}")
    coords = header["coords"]
    index = next((c for c in range(1, len(coords)) if coords[c]), len(coords))
    names = [tuple(header[name][c] for name in HEADER_ROWS if name in header) for c in range(index, len(coords))]
    rows = [name for name in HEADER_ROWS if name in header]
    columns, kept = label_columns(table.path, last, rows, names)
    texts, values = table.body(len(coords), list(range(index)), [index + c for c in kept])
    return from_columns(table.path, last, "DeepLabCut csv", columns, values, frame_labels(["/".join(t) for t in texts]))


def label_columns(
    path: str, line: int | None, rows: Sequence[str], names: Sequence[tuple[str, ...]]
) -> tuple[list[Column], list[int]]:
    """What the columns are: ``names[c][i]`` is column c's entry in header row ``rows[i]``.

    Returns the columns of coordinates and confidences, and their numbers; the variances that some tools add are
    passed over.
    """
    columns, kept = [], []
    for c, entries in enumerate(names):
        entry = dict(zip(rows, entries, strict=True))
        coord = entry["coords"].lower()
        if coord == "z":
            raise fault(path, line, "a 3D table (x, y and z); expected 2D keypoints, x and y")
        axis = "confidence" if coord in CONFIDENCE_WORDS else coord
        if axis in ("x", "y", "confidence"):
            columns.append((entry.get("individuals", ""), entry["bodyparts"], axis))
            kept.append(c)
    if not columns:
        raise fault(path, line, "no joints in the header; expected x and y of each body part")
    return columns, kept


def from_pandas(
    path: str, names: Sequence[tuple[str, ...]], values: NDArray[np.float64], frames: FrameLabels
) -> Keypoints:
    """A table that pandas stored: ``names[c]`` are the header rows of column c of ``values`` (T, C)."""
    levels = {len(entries) for entries in names}
    if not levels <= {3, 4} or len(levels) != 1:
        expected = "expected 3 (scorer, bodyparts, coords), or 4 with individuals"
        raise fault(path, None, f"columns with {', '.join(map(str, sorted(levels)))} header rows; {expected}")
    rows = HEADER_ROWS if levels == {4} else tuple(row for row in HEADER_ROWS if row != "individuals")
    columns, kept = label_columns(path, None, rows, names)
    return from_columns(path, None, "DeepLabCut h5", columns, values[:, kept], frames)
