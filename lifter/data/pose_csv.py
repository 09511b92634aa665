"""Poses as a table that DeepLabCut's tools read: one frame a line below three or four header rows.

    scorer        how it was made, the same in each column: lifter?model=...&skeleton=...&parents=...&source=...
    individuals   only where the input knew individuals
    bodyparts     the joint
    coords        x, y, z, [confidence], image_x, image_z, [image_confidence]

A cell is empty where there is no number.  Nine digits give a float32 back to the last bit.
"""

import os
import re
from collections.abc import Iterable, Sequence
from typing import BinaryIO
from urllib.parse import parse_qsl, urlencode

import numpy as np
from numpy.typing import NDArray

from lifter.data.number_table import Table
from lifter.data.pose_track import PoseTrack, made_track
from posesynth.errors import fault, quote, shown
from posesynth.store.folder import Write

_START = b"scorer,lifter?"
_FACTS = ["model", "skeleton", "parents", "frames", "source"]
_LONGEST_LINE = 2**20 - 2  # as long as a reader of tables takes
_AXES = ("x", "y", "z")
_IMAGE = ("image_x", "image_z")
_BLOCK = 1000  # frames made into text at a time
_NUMBER = re.compile(r"-?[0-9]{1,19}")


def is_ours(file: BinaryIO) -> bool:
    """Whether a file begins as one that `write` wrote."""
    return file.read(len(_START)) == _START


def check_cells(path: str, texts: Iterable[str]) -> None:
    """InputError unless each of the texts could be a cell."""
    for text in texts:
        if text != text.strip() or "," in text or '"' in text:
            raise fault(path, None, f'{quote(text)} cannot be a cell; expected names without , and ", or write .h5')


def write(path: str, write: Write, track: PoseTrack) -> None:
    """Hand the bytes of the table to `write`."""
    coords = _coords(track.confidence is not None, track.p2d_confidence is not None)
    columns = [(who, joint, axis) for who in track.individuals for joint in track.joints for axis in coords]
    rows = [
        ["scorer", *[_scorer(track)] * len(columns)],
        *([["individuals", *(who for who, _, _ in columns)]] if track.individuals != ("",) else []),
        ["bodyparts", *(joint for _, joint, _ in columns)],
        ["coords", *(axis for _, _, axis in columns)],
    ]
    check_cells(path, {cell for row in rows for cell in row} | {str(frame) for frame in track.frames})
    if "" in track.frames:
        raise fault(path, None, "a frame has no name; expected one for each, or write .h5")
    lines = [",".join(row) + "\n" for row in rows]
    if max(map(len, lines)) > _LONGEST_LINE:
        raise fault(path, None, f"{len(columns)} columns are too many for a table; write .h5 instead")
    write("".join(lines).encode())
    sure, sure_2d = ([] if c is None else [c[..., None]] for c in (track.confidence, track.p2d_confidence))
    parts = [track.p3d, *sure, track.p2d, *sure_2d]
    template = ",".join(["%.9g"] * len(columns))
    for first in range(0, len(track.frames), _BLOCK):
        block = slice(first, first + _BLOCK)
        values = np.concatenate([part[block] for part in parts], axis=-1).reshape(-1, len(columns))
        texts = (template % tuple(row) for row in values.tolist())
        cells = (text.replace("nan", "") if "nan" in text else text for text in texts)
        lines = [f"{frame},{text}\n" for frame, text in zip(track.frames[block], cells, strict=True)]
        write("".join(lines).encode())


def read(path: str, file: BinaryIO) -> PoseTrack:
    """The track in a table that `write` wrote.  Lines may be missing: a clip cut out of a track is one, too."""
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_CUR)
        if file.read(1) != b"\n":
            raise fault(path, None, "cut short: its last line does not end; expected a table that lifter wrote")
        file.seek(0)
    table = Table(path, file)
    scorers = _row(path, table, "scorer")
    row = _row(path, table, "individuals", "bodyparts")
    who = row[1:] if row[0] == "individuals" else [""] * (len(row) - 1)
    joints = (_row(path, table, "bodyparts") if row[0] == "individuals" else row)[1:]
    coords = _row(path, table, "coords")[1:]
    expected = "expected x, y, z, image_x and image_z of each joint of each individual, as lifter writes them"
    if len({len(scorers) - 1, len(who), len(joints), len(coords)}) > 1:
        raise fault(path, table.line, f"header rows of different lengths; {expected}")
    whose, parts, axes = (tuple(dict.fromkeys(names)) for names in (who, joints, coords))
    columns = [(name, joint, axis) for name in whose for joint in parts for axis in axes]
    if columns != list(zip(who, joints, coords, strict=True)) or axes not in _LAYOUTS:
        raise fault(path, table.line, f"columns in another order or of another kind; {expected}")
    facts = _facts(path, scorers[1:])
    labels, numbers = table.body(len(scorers), [0], list(range(1, len(scorers))))
    with np.errstate(over="ignore"):  # judged by the track
        values = numbers.astype(np.float32).reshape(-1, len(whose), len(parts), len(axes))
    return made_track(
        path,
        p3d=values[..., :3].copy(),
        p2d=values[..., [axes.index(axis) for axis in _IMAGE]],
        confidence=_one(values, axes, "confidence"),
        p2d_confidence=_one(values, axes, "image_confidence"),
        joints=parts,
        parents=tuple(int(parent) for parent in facts["parents"].split()),
        individuals=whose,
        frames=_frames(path, [label for (label,) in labels], facts["frames"], table.line),
        skeleton=facts["skeleton"],
        model=facts["model"],
        source=facts["source"],
    )


def _coords(confidence: bool, image_confidence: bool) -> tuple[str, ...]:
    return (*_AXES, *["confidence"] * confidence, *_IMAGE, *["image_confidence"] * image_confidence)


_LAYOUTS = [_coords(a, b) for a in (False, True) for b in (False, True)]


def _one(values: NDArray[np.float32], axes: tuple[str, ...], axis: str) -> NDArray[np.float32] | None:
    return values[..., axes.index(axis)].copy() if axis in axes else None


def _scorer(track: PoseTrack) -> str:
    facts = [
        *(track.model, track.skeleton, " ".join(map(str, track.parents))),
        *("numbers" if isinstance(track.frames[0], int) else "names", track.source),
    ]
    return "lifter?" + urlencode(list(zip(_FACTS, facts, strict=True)), safe="/:")


def _row(path: str, table: Table, *names: str) -> list[str]:
    """The next header row, whose first cell is one of `names`."""
    row = table.header_row()
    if row is None or row[0] not in names or len(row) < 2:
        found = "its end" if row is None else quote(row[0])
        raise fault(path, table.line, f"found {found}; expected the header row {' or '.join(names)}, as lifter has it")
    return row


def _facts(path: str, scorers: Sequence[str]) -> dict[str, str]:
    expected = "expected that of a table that lifter wrote: lifter?model=... in each column"
    if len(set(scorers)) > 1 or not scorers[0].startswith("lifter?"):
        raise fault(path, 1, f"scorer: is {shown(scorers[0])}; {expected}")
    try:
        pairs = parse_qsl(scorers[0].removeprefix("lifter?"), True, True, errors="strict", max_num_fields=len(_FACTS))
    except ValueError:
        pairs = []
    facts = dict(pairs)
    parents = facts.get("parents", "").split()
    if [key for key, _ in pairs] != _FACTS or not all(re.fullmatch(r"-1|[0-9]{1,6}", parent) for parent in parents):
        raise fault(path, 1, f"scorer: is {shown(scorers[0])}; {expected}")
    return facts


def _frames(path: str, labels: list[str], kind: str, last: int) -> tuple[int, ...] | tuple[str, ...]:
    if kind == "names":
        return tuple(labels)
    for n, label in enumerate(labels):
        if kind != "numbers" or not _NUMBER.fullmatch(label):
            line = last - len(labels) + 1 + n
            raise fault(path, line, f"column 1: {quote(label)} is not the number of a frame; expected a whole number")
    return tuple(map(int, labels))
