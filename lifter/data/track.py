"""What every reader of 2D files gives back, and what all of them hold to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import fault, quote, shown
from posesynth.motion.clip import FARTHEST, MAX_NUMBERS

MAX_NAMES = 1024  # joints, and individuals, a file may name
MOST_CONFIDENCE = 2.0  # peaks of heatmaps are a little above 1 at times
CONFIDENCE_WORDS = ("likelihood", "confidence", "score")

# One column of a table: the individual ("" where the file knows none), the joint, and "x", "y" or "confidence".
Column = tuple[str, str, str]
FrameLabels = tuple[int | str, ...]


@dataclass(frozen=True, eq=False)
class Keypoints:
    """2D keypoints of one file: T frames, A individuals, J joints.

    ``positions``: (T, A, J, 2) float64 in the file's own pixels, x right, y down; NaN where missing.
    ``confidence``: (T, A, J) float64, NaN where the file gives none.
    ``names``: J joint names.  ``individuals``: A names; ``("",)`` where the file knows none.
    ``frames``: T frame numbers or image names.  ``source``: where it came from; ``kind``: which format that is.
    """

    positions: NDArray[np.float64]
    confidence: NDArray[np.float64]
    names: tuple[str, ...]
    individuals: tuple[str, ...]
    frames: FrameLabels
    source: str
    kind: str


def from_columns(
    path: str, line: int | None, kind: str, columns: Sequence[Column], values: NDArray[np.float64], frames: FrameLabels
) -> Keypoints:
    """Keypoints from a table: ``values`` (T, C), whose column c is what ``columns[c]`` says."""
    names = list(dict.fromkeys(joint for _, joint, _ in columns))
    individuals = list(dict.fromkeys(individual for individual, _, _ in columns))
    check_names(path, line, names, individuals)
    for (individual, joint, axis), count in (times := Counter(columns)).items():
        found = f"{axis} of joint {quote(joint)}" + (f" of {quote(individual)}" if individual else "")
        if count > 1:
            raise fault(path, line, f"{found} is given twice; expected each column once")
        if not {(individual, joint, "x"), (individual, joint, "y")} <= times.keys():
            raise fault(path, line, f"{found} stands without its x or y; expected x and y of each joint")
    check_count(path, len(values) * len(individuals) * len(names) * 3)
    positions = np.full((len(values), len(individuals), len(names), 2), np.nan)
    confidence = np.full(positions.shape[:3], np.nan)
    animal = {name: a for a, name in enumerate(individuals)}
    part = {name: j for j, name in enumerate(names)}
    for c, (individual, joint, axis) in enumerate(columns):
        a, j = animal[individual], part[joint]
        target = confidence[:, a, j] if axis == "confidence" else positions[:, a, j, "xy".index(axis)]
        target[:] = values[:, c]
    return Keypoints(positions, confidence, tuple(names), tuple(individuals), frames, path, kind)


def check_names(path: str, line: int | None, names: Sequence[str], individuals: Sequence[str]) -> None:
    """Refuse a file without joints, or with names that cannot be told apart."""
    if not names:
        raise fault(path, line, "no joints; expected x and y of at least one joint")
    for what, found in (("joints", names), ("individuals", individuals)):
        if len(found) > MAX_NAMES:
            raise fault(path, line, f"{len(found)} {what}; expected at most {MAX_NAMES}")
        if repeated := next((name for name, count in Counter(found).items() if count > 1), None):
            raise fault(path, line, f"{what}: {quote(repeated)} is given twice; expected each name once")
    if "" in names:
        raise fault(path, line, "a joint without a name; expected a name for each joint")


def check_points(keypoints: Keypoints) -> Keypoints:
    """`keypoints` with NaN in both coordinates of a point that lacks one; InputError unless they can be poses."""
    path, positions, confidence = keypoints.source, keypoints.positions, keypoints.confidence
    if 0 in positions.shape:
        raise fault(path, None, f"positions of shape {positions.shape}; expected at least one frame and one joint")
    positions[np.isnan(positions).any(axis=-1)] = np.nan
    with np.errstate(invalid="ignore"):
        far = (np.abs(positions) > FARTHEST).any(axis=-1)
    for wrong, what, expected in (
        (far, "is too far away", f"expected pixels of at most {FARTHEST:g}, or nothing where it was not seen"),
        (
            np.abs(confidence) > MOST_CONFIDENCE,
            "has a confidence far above 1",
            "expected numbers from 0 to 1, not percent",
        ),
    ):
        if wrong.any():
            t, a, j = (int(i) for i in np.argwhere(wrong)[0])
            whose = f" of {quote(keypoints.individuals[a])}" if keypoints.individuals[a] else ""
            found = f"frame {shown(keypoints.frames[t])}: joint {quote(keypoints.names[j])}{whose} {what}"
            raise fault(path, None, f"{found}; {expected}")
    if np.isnan(positions).all():
        raise fault(path, None, "no joint is seen in any frame (all are empty or NaN); expected x and y of some")
    return keypoints


def check_count(path: str, count: int) -> None:
    """Refuse a file of more than `MAX_NUMBERS` numbers before they are held."""
    if count > MAX_NUMBERS:
        raise fault(path, None, f"{shown(count)} numbers; expected at most {MAX_NUMBERS} (split the track)")


def frame_labels(cells: Sequence[str]) -> FrameLabels:
    """Frame numbers where every cell is one, else the cells as they are."""
    if all(len(cell) <= 15 and cell.isascii() and cell.isdigit() for cell in cells):
        return tuple(map(int, cells))
    return tuple(cells)
