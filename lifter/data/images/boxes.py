"""Where the animals are in images that a user has: `load_boxes` reads a table, or the boxes of an annotated set."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from lifter.data.images.frames import Frames
from lifter.data.images.image_set import Box
from lifter.data.images.load import load_image_set
from lifter.data.number_table import open_table
from lifter.data.track import MAX_NAMES
from posesynth.errors import InputError, fault, quote, shown

_COLUMNS = {
    **dict.fromkeys(("image", "frame", "file", "filename", "file_name"), "image"),
    **dict.fromkeys(("individual", "track", "animal"), "individual"),
    **dict.fromkeys(("w", "width"), "w"),
    **dict.fromkeys(("h", "height"), "h"),
    "x": "x",
    "y": "y",
}
_EXPECTED = "expected a header image,x,y,w,h, and individual where an image shows several"

Row = tuple[str, str | None, Box, int]
"""Image, individual, box, line."""


@dataclass(frozen=True)
class Boxes:
    """``of``: image's name, or frame's number as text, -> (individual, box) of each; individuals count from 0.

    ``individuals``: their names; ``("",)`` where no image has more than one.  ``others``: how many boxes were of images
    that are not asked for.  ``cells``: what the file calls each image.
    """

    of: dict[str, list[tuple[int, Box]]]
    individuals: tuple[str, ...]
    others: int
    cells: dict[str, str]

    def from_elsewhere(self, frames: Frames) -> list[str]:
        """What the file calls images that have the names of these, but lie in another folder than they."""
        there = {} if frames.is_video else dict(zip(frames.names, map(os.path.abspath, frames.paths), strict=True))
        return [cell for place, cell in self.cells.items() if place in there and not _ends_in(there[place], cell)]


def load_boxes(path: str | os.PathLike[str], names: Sequence[str]) -> Boxes:
    """The boxes of a file, for images of these names; () for the numbered frames of a video.

    A table has the columns image (frame), x, y, w, h and perhaps individual: pixels of the upright image, (x, y) the
    upper left corner.  Every other file is an annotated set (`load_image_set`).  An image is known by as much of its
    path as tells it apart.  Several boxes of one image, of no named individuals, are those of individuals 1, 2, ...

    InputError for another kind of file, a box without extent, two names that lead to one image, and where no box is of
    any of the images.
    """
    path = os.fspath(path)
    table = os.path.splitext(path)[1].lower() in (".csv", ".tsv", ".txt")
    rows = _table(path) if table else _of_set(path)
    places = _Places(path, names)
    found = [(place, row) for row in rows if (place := places.find(row[0], row[3])) is not None]
    if not found:
        some = f"such as {quote(names[0], 60)}" if names else "numbers of frames, from 0"
        raise fault(path, None, f"no box of the images in it, it has {quote(rows[0][0], 60)}; expected {some}")
    if any(individual is not None for _, (_, individual, _, _) in found):
        known = tuple(dict.fromkeys(str(individual) for _, (_, individual, _, _) in found))
    else:
        known = ()
    of: dict[str, list[tuple[int, Box]]] = {}
    cells: dict[str, str] = {}
    for place, (cell, individual, box, line) in found:
        other = cells.setdefault(place, cell)
        if names and os.path.normpath(other) != os.path.normpath(cell):  # else two images would pass for two animals
            both = f"{quote(cell, 60)} and {quote(other, 60)} both lead to the image {quote(place, 60)}"
            raise fault(path, line or None, f"{both}; expected one name for each image")
        here = of.setdefault(place, [])
        number = len(here) if individual is None else known.index(individual)
        if any(number == other for other, _ in here):
            raise fault(path, line or None, f"{quote(place)}: a second box of {quote(str(individual))}; expected one")
        here.append((number, box))
    most = max(len(here) for here in of.values())
    if max(most, len(known)) > MAX_NAMES:
        raise fault(path, None, f"{max(most, len(known))} individuals; expected at most {MAX_NAMES}")
    return Boxes(
        of, known or (("",) if most == 1 else tuple(str(n + 1) for n in range(most))), len(rows) - len(found), cells
    )


def _ends_in(path: str, cell: str) -> bool:
    return os.path.abspath(cell) == path or path.endswith(f"/{os.path.normpath(cell).lstrip('/')}")


def read_box(text: str) -> Box:
    """The box of an option: ``x,y,w,h``."""
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"box: is {shown(text)}; expected x,y,w,h in pixels") from None
    if fault_of_box := _wrong((x, y, w, h)):
        raise InputError(f"box: {shown(text)}: {fault_of_box}")
    return x, y, w, h


class _Places:
    """Which of the images a row is of."""

    def __init__(self, path: str, names: Sequence[str]) -> None:
        self._path, self._numbered = path, not names
        self._by_name: dict[str, list[str]] = {}
        for name in names:
            self._by_name.setdefault(os.path.basename(name), []).append(name)

    def find(self, cell: str, line: int) -> str | None:
        if self._numbered:
            return str(int(cell)) if cell.isascii() and cell.isdigit() and len(cell) < 16 else None
        plain = os.path.normpath(cell).replace("\\", "/")
        alike = self._by_name.get(plain.rsplit("/", 1)[-1], ())
        if inner := [name for name in alike if f"/{plain}".endswith(f"/{name}")]:
            return max(inner, key=len)
        ends = [name for name in alike if name.endswith(f"/{plain}")]
        if len(ends) > 1:
            raise fault(
                self._path, line or None, f"{quote(cell)}: {len(ends)} images end so; expected more of its path"
            )
        return ends[0] if ends else None


def _table(path: str) -> list[Row]:
    with open_table(path) as table:
        header = table.header_row() or []
        line = table.line
        places: dict[str, int] = {}
        for c, cell in enumerate(header):
            name = _COLUMNS.get(cell.lower())
            if name is not None and name in places:
                raise fault(path, line, f"column {c + 1}: {quote(cell)} is there twice; {_EXPECTED}")
            if name is not None:
                places[name] = c
        if lacking := [name for name in ("image", "x", "y", "w", "h") if name not in places]:
            some = ", ".join(quote(cell, 20) for cell in header[:6])
            raise fault(path, line, f"no column {', '.join(lacking)} among {some}; {_EXPECTED}")
        texts = [places[name] for name in ("image", "individual") if name in places]
        cells, values = table.body(len(header), texts, [places[name] for name in ("x", "y", "w", "h")])
    rows: list[Row] = []
    for n, (named, (x, y, w, h)) in enumerate(zip(cells, values.tolist(), strict=True), line + 1):
        if wrong := _wrong((x, y, w, h)):
            raise fault(path, n, wrong)
        rows.append((named[0], named[1] if len(named) > 1 else None, (x, y, w, h), n))
    return rows


def _of_set(path: str) -> list[Row]:
    found = load_image_set(path)
    rows: list[Row] = [(a.image, None, a.box, 0) for a in found.annotations if a.box is not None]
    if not rows:
        raise fault(path, None, f"{found.kind}: gives no boxes; expected a set with boxes, or a table of image,x,y,w,h")
    return rows


def _wrong(box: Box) -> str | None:
    if not all(math.isfinite(value) and abs(value) < 1e9 for value in box):
        return f"box {shown(box)}: expected four numbers, in pixels"
    return None if min(box[2:]) > 0 else f"box {shown(box)}: has no extent; expected a width and height above 0"
