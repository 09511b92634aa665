"""Plain tables (``joint_x,joint_y`` in the header) and NPZ archives of 2D points.

A column that tells the individual (``individual``, ``track``) makes a long table: a line for each individual of each
frame, as SLEAP's csv has it.
"""

import zipfile

import numpy as np
from numpy.typing import NDArray

from lifter.data.number_table import Table
from lifter.data.track import (
    CONFIDENCE_WORDS,
    Column,
    FrameLabels,
    Keypoints,
    check_count,
    check_names,
    frame_labels,
    from_columns,
)
from posesynth.errors import InputError, fault, quote, reason
from posesynth.motion.tables import DAMAGE, check_archive, read_array, read_names

_FRAME = ("frame", "frame_idx", "frame_index", "frame_number", "image", "image_name", "file_name", "filename", "index")
_INDIVIDUAL = ("individual", "track", "animal")
_AXES = {"x": "x", "y": "y", "conf": "confidence"} | dict.fromkeys(CONFIDENCE_WORDS, "confidence")


def read_plain_csv(table: Table) -> Keypoints:
    """A table with columns ``joint_x``, ``joint_y`` and perhaps ``joint_confidence``; ``.`` or a space for ``_`` too.

    Other columns are passed over, but for the first that is called ``frame`` or ``image`` and the like, and one that
    tells the individual.
    """
    header = table.header_row() or []
    line = table.line
    columns = {c: column for c, cell in enumerate(header) if (column := _column(cell))}
    if not columns:
        found = ", ".join(quote(cell, 20) for cell in header[:4])
        expected = "expected columns joint_x, joint_y, or DeepLabCut's rows scorer, bodyparts, coords"
        raise fault(table.path, line, f"no joints in the header, found {found}; {expected}")
    for c, cell in enumerate(header):
        joint, axis = _split(cell)
        if axis == "z" and ("", joint, "x") in columns.values():
            raise fault(table.path, line, f"column {c + 1}: z of joint {quote(joint)}; expected 2D points, x and y")
    rest = [c for c in range(len(header)) if c not in columns]
    frame = next((c for c in rest if header[c].lower() in _FRAME or (c == 0 and not header[c])), None)
    who = next((c for c in rest if header[c].lower() in _INDIVIDUAL), None)
    texts = [c for c in (frame, who) if c is not None]
    rows, values = table.body(len(header), texts, list(columns))
    frames: FrameLabels = tuple(range(len(rows))) if frame is None else frame_labels([row[0] for row in rows])
    if who is None:
        return from_columns(table.path, line, "plain csv", list(columns.values()), values, frames)
    if frame is None:
        expected = "expected a column 'frame' beside it"
        raise fault(table.path, line, f"a column {quote(header[who])} but none that tells the frame; {expected}")
    return _long_table(table.path, line, list(columns.values()), values, frames, [row[-1] for row in rows])


def _long_table(
    path: str, line: int, columns: list[Column], values: NDArray[np.float64], frames: FrameLabels, who: list[str]
) -> Keypoints:
    """The table whose row n is individual ``who[n]`` in frame ``frames[n]``."""
    times = {frame: t for t, frame in enumerate(dict.fromkeys(frames))}
    individuals = {name: a for a, name in enumerate(dict.fromkeys(who))}
    check_names(path, line, [joint for _, joint, axis in columns if axis == "x"], list(individuals))
    check_count(path, len(times) * len(individuals) * len(columns))
    wide = np.full((len(times), len(individuals), len(columns)), np.nan)
    t, a = np.array([times[frame] for frame in frames]), np.array([individuals[name] for name in who])
    where = t * len(individuals) + a
    _, first, count = np.unique(where, return_index=True, return_counts=True)
    if (count > 1).any():
        n = int(first[count > 1][0])
        raise fault(path, None, f"frame {frames[n]!r}: {quote(who[n])} is there twice; expected each individual once")
    wide[t, a] = values
    wide_columns = [(name, joint, axis) for name in individuals for _, joint, axis in columns]
    return from_columns(path, line, "plain csv", wide_columns, wide.reshape(len(times), -1), tuple(times))


def _column(cell: str) -> Column | None:
    joint, axis = _split(cell)
    return ("", joint, _AXES[axis]) if joint and axis in _AXES and joint.lower() != "instance" else None


def _split(cell: str) -> tuple[str, str]:
    """A header's joint and axis."""
    sign = max(cell.rfind(sign) for sign in "_. ")
    return (cell[:sign].strip(), cell[sign + 1 :].lower()) if sign > 0 else ("", "")


def read_keypoint_npz(path: str) -> Keypoints:
    """``positions`` (T, J, 2) or (T, A, J, 2) and ``names`` (J,); perhaps ``confidence`` without the last axis,
    ``individuals`` (A,) and ``frames`` (T,), whole numbers or texts.
    """
    try:
        arrays = _members(path)
    except InputError:
        raise
    except DAMAGE as error:
        raise fault(path, None, f"cannot be read: {reason(error)}; expected an NPZ archive") from None
    positions = _numbers(path, "positions", arrays["positions"])
    if positions.ndim not in (3, 4) or positions.shape[-1] != 2 or 0 in positions.shape:
        expected = "expected (frames, joints, 2) or (frames, individuals, joints, 2), none of them 0"
        raise fault(path, None, f"positions: shape {positions.shape}; {expected}")
    confidence = np.full(positions.shape[:-1], np.nan)
    if "confidence" in arrays:
        confidence = _numbers(path, "confidence", arrays["confidence"])
        if confidence.shape != positions.shape[:-1]:
            raise fault(path, None, f"confidence: shape {confidence.shape}; expected {positions.shape[:-1]}")
    if positions.ndim == 3:
        positions, confidence = positions[:, None], confidence[:, None]
    count, animals, joints, _ = positions.shape
    names = read_names(path, arrays["names"])
    individuals = [""] if animals == 1 else [f"individual{a + 1}" for a in range(animals)]
    if "individuals" in arrays:
        individuals = _texts(path, "individuals", arrays["individuals"])
    frames = _frames(path, arrays["frames"]) if "frames" in arrays else tuple(range(count))
    for what, found, expected in (
        ("names", names, joints),
        ("individuals", individuals, animals),
        ("frames", frames, count),
    ):
        if len(found) != expected:
            raise fault(path, None, f"{what}: {len(found)} of them; expected {expected}, as in positions")
    check_names(path, None, names, individuals)
    return Keypoints(positions, confidence, tuple(names), tuple(individuals), frames, path, "npz")


def _members(path: str) -> dict[str, NDArray[np.generic]]:
    """The archive's arrays that are known here, each judged by its header before it is unpacked."""
    check_archive(path)
    arrays: dict[str, NDArray[np.generic]] = {}
    with zipfile.ZipFile(path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist()}
        for name in ("positions", "names", "confidence", "individuals", "frames"):
            if name in members:
                with archive.open(members[name]) as file:
                    arrays[name] = read_array(path, name, file)
            elif name in ("positions", "names"):
                found = ", ".join(quote(member, 24) for member in list(members)[:6]) or "nothing"
                raise fault(path, None, f"no array '{name}'; expected positions and names, found {found}")
    return arrays


def _numbers(path: str, what: str, array: NDArray[np.generic]) -> NDArray[np.float64]:
    if array.dtype.kind not in "fiu":
        raise fault(path, None, f"{what}: of type {array.dtype}; expected numbers")
    with np.errstate(over="ignore"):  # wider numbers become infinite, and are told as such
        return array.astype(np.float64)


def _texts(path: str, what: str, array: NDArray[np.generic]) -> list[str]:
    if array.ndim != 1 or array.dtype.kind != "U":
        raise fault(path, None, f"{what}: {array.dtype} of shape {array.shape}; expected one text for each")
    return [str(text) for text in array]


def _frames(path: str, array: NDArray[np.generic]) -> FrameLabels:
    if array.ndim == 1 and array.dtype.kind in "iu":
        return tuple(int(number) for number in array.tolist())
    if array.ndim == 1 and array.dtype.kind == "U":
        return tuple(_texts(path, "frames", array))
    raise fault(path, None, f"frames: {array.dtype} of shape {array.shape}; expected a whole number or text for each")
