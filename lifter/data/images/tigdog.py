"""TigDog (behaviorDiscovery2.0): landmarks of horses and tigers in video frames.

Written from public code that reads the set; no file of it was at hand.  Read: ``ranges/<animal>/ranges.mat`` and
``landmarks/<animal>/<shot>.mat``, images ``<animal>/%08d.jpg``.  The first 18 of 19 landmarks are given, those of
tigers in the order of the horses', as that code does; nothing is known of the last.
"""

import os
from typing import Any

import numpy as np

from lifter.data.images.image_set import ImageSet, image_set
from posesynth.errors import fault
from posesynth.matlab import read_variable

_LEGS = ("left_front", "right_front", "left_back", "right_back")
TIGDOG_JOINTS = (
    *("left_eye", "right_eye", "chin"),
    *(f"{leg}_hoof" for leg in _LEGS),
    "hip",
    *(f"{leg}_knee" for leg in _LEGS),
    *("left_shoulder", "right_shoulder"),
    *(f"{leg}_elbow" for leg in _LEGS),
)
# Places of the horse's landmarks among the tiger's.
_ORDER = {"horse": np.arange(18), "tiger": np.array([*range(8), 14, 15, 16, 17, 12, 13, 8, 9, 10, 11])}


def is_tigdog(folder: str) -> bool:
    """Whether a folder is laid out as the set is."""
    return os.path.isdir(os.path.join(folder, "ranges")) and os.path.isdir(os.path.join(folder, "landmarks"))


def read_tigdog(folder: str) -> ImageSet:
    """The frames of all animals that are there and have landmarks; shots without a landmark file are passed over."""
    images: list[str] = []
    points: list[Any] = []
    for animal, order in _ORDER.items():
        table = os.path.join(folder, "ranges", animal, "ranges.mat")
        if not os.path.isfile(table):
            continue
        for shot, first, last in _ranges(table):
            path = os.path.join(folder, "landmarks", animal, f"{shot}.mat")
            if not os.path.isfile(path):
                continue
            frames = read_variable(path, "landmarks")
            if not isinstance(frames, list):
                raise fault(path, None, "landmarks: no cell array; expected a cell for each frame")
            if len(frames) < last - first + 1:
                expected = f"expected {last - first + 1}, as in ranges.mat"
                raise fault(path, None, f"landmarks: {len(frames)} frames; {expected}")
            for n in range(last - first + 1):
                images.append(os.path.join(folder, animal, f"{first + n:08}.jpg"))
                points.append(_frame(path, n, frames[n])[order])
    if not points:
        raise fault(folder, None, "no landmarks of horse or tiger; expected landmarks/<animal>/<shot>.mat")
    found = np.array(points)
    visible = found[..., 2] > 0
    keypoints = np.where(visible[..., None], found[..., :2], np.nan)
    return image_set(folder, "TigDog", TIGDOG_JOINTS, images, [None] * len(images), keypoints, visible)


def _ranges(path: str) -> list[tuple[int, int, int]]:
    """(shot, first frame, last frame) of each shot, both frames included."""
    stored = read_variable(path, "ranges")
    found = np.array(stored if isinstance(stored, np.ndarray) else [], np.float64)
    whole = found.ndim == 2 and found.shape[1:] == (3,) and bool((found == found.round()).all())
    if not whole or (found < 0).any() or (found[:, 2] < found[:, 1]).any() or (found > 1e8).any():
        raise fault(path, None, f"ranges: of shape {found.shape}; expected shot, first, last of each")
    return [(int(row[0]), int(row[1]), int(row[2])) for row in found]


def _frame(path: str, n: int, entry: Any) -> Any:
    """(19, 3): x, y and visibility of one frame, the first two fields of its struct."""
    while isinstance(entry, list) and entry and isinstance(entry[0], list):  # a cell within the cell
        entry = entry[0]
    fields = list(entry[0].values()) if isinstance(entry, list) and entry and isinstance(entry[0], dict) else []
    if len(fields) < 2 or np.shape(fields[0]) != (19, 2) or np.size(fields[1]) != 19:
        found = " and ".join(str(np.shape(field)) for field in fields[:2]) or "nothing"
        expected = "expected a struct of positions (19, 2) and visibility (19, 1)"
        raise fault(path, None, f"landmarks: frame {n + 1}: {found}; {expected}")
    return np.column_stack([fields[0], np.reshape(fields[1], -1)])
