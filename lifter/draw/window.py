"""Which part of the image is shown: all of it where the animal stays, else a window that goes along."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


class Window(NamedTuple):
    """A square of the image around a moving centre."""

    centres: Array  # (T, 2) pixels
    half: float  # pixels from the centre to the edge


def boxes(images: Array) -> tuple[Array, Array]:
    """(low, high), each (T, 2), of all joints seen in a frame of (T, A, N, 2); frames without take those around."""
    flat = images.reshape(len(images), -1, 2)
    seen = np.isfinite(flat).all(axis=-1, keepdims=True)
    low, high = np.where(seen, flat, np.inf).min(1), np.where(seen, flat, -np.inf).max(1)
    known = np.flatnonzero(np.isfinite(low[:, 0]))
    if len(known) == 0:
        return np.zeros((len(images), 2)), np.ones((len(images), 2))
    steps = np.arange(len(images))
    filled = [np.stack([np.interp(steps, known, side[known, k]) for k in (0, 1)], axis=-1) for side in (low, high)]
    return filled[0], filled[1]


def centred(images: Array, tall: float) -> Window:
    """On the animal in each frame, at one scale; the picture is `tall` times as high as wide, its shorter side 2."""
    low, high = boxes(images)
    width, height = (high - low).max(0)
    return Window((low + high) / 2, 0.6 * (max(width * min(1.0, tall), height * min(1.0, 1 / tall)) or 1.0))


def following(images: Array, smoothing: int) -> Window:
    """All the ground the track covers, or where that is much more than the animal, a window that goes along.

    smoothing: frames over which its path is smoothed.
    """
    low, high = boxes(images)
    ground_low, ground_high = np.percentile(low, 1, axis=0), np.percentile(high, 99, axis=0)
    animal = float(np.percentile((high - low).max(1), 95))
    side = min(float((ground_high - ground_low).max()), 2.3 * animal) or 1.0
    padded = np.pad((low + high) / 2, ((smoothing, smoothing), (0, 0)), mode="edge")
    weights = np.hanning(2 * smoothing + 3)[1:-1]
    smooth = np.stack([np.convolve(padded[:, k], weights / weights.sum(), mode="valid") for k in (0, 1)], axis=-1)
    room = np.maximum((ground_high - ground_low - side) / 2, 0)  # it never leaves the ground
    middle = (ground_low + ground_high) / 2
    return Window(np.clip(smooth, middle - room, middle + room), 0.58 * side)


def round_number(size: float) -> float:
    """1, 2 or 5 times a power of ten, at most `size`."""
    power = 10.0 ** math.floor(math.log10(size))
    return max(step * power for step in (1, 2, 5) if step * power <= size)
