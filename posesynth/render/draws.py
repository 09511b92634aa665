"""What decides a picture beside its pose: the draws of the IMAGE stream; and vectors that are the same bits everywhere.

A picture's draws are numbers in [0, 1), taken by place: each part of the picture has a block of them, so that a part
that comes to need more moves no other part's.
"""

import numpy as np
from numpy.typing import NDArray

from posesynth import rng
from posesynth.compilation import kernel
from posesynth.rng import BLOCK, U24
from posesynth.trigonometry import f32, sincospi

Floats = NDArray[np.float32]

CAMERA, BODY, COAT, LIGHT, GROUND, _, LENS, SEEDS = range(8)
"""The blocks, each of `ROOM` draws.  Nothing draws from the sixth, which keeps the places of those after it."""

ROOM = 32


class Draws:
    """The draws of pictures start..stop-1 of a seed; at most BLOCK of them."""

    def __init__(self, seed: int, start: int, stop: int) -> None:
        words = np.empty(8 * ROOM * BLOCK, np.uint32)
        _fill(words, 8 * ROOM, np.uint64(seed), np.uint64(start))
        self._words = words.reshape(8 * ROOM, BLOCK)[:, : stop - start]

    def uniform(self, block: int, place: int, low: float = 0.0, high: float = 1.0) -> Floats:
        """(B,) of U[low, high): draw number `place` of a block."""
        unit = (self._words[block * ROOM + place] >> np.uint32(8)).astype(np.float32) * U24
        scaled: Floats = f32(low) + unit * f32(high - low)
        return scaled

    def words(self, block: int, place: int) -> NDArray[np.uint32]:
        """(B,) raw words: the keys of noise that is hashed pixel by pixel."""
        words: NDArray[np.uint32] = self._words[block * ROOM + place].copy()
        return words


@kernel
def _fill(words, count, seed, start):  # type: ignore[no-untyped-def]
    rng.fill(words, count, seed, start, rng.IMAGE)


def turns(half_turns: Floats) -> tuple[Floats, Floats]:
    """(sin, cos) of angles in half turns."""
    out = np.empty((2, half_turns.size), np.float32)
    _turns(np.ascontiguousarray(half_turns).reshape(-1), out)
    return out[0].reshape(half_turns.shape), out[1].reshape(half_turns.shape)


@kernel
def _turns(half_turns, out):  # type: ignore[no-untyped-def]
    for i in range(len(half_turns)):
        sin, cos = sincospi(half_turns[i])
        out[0, i] = sin
        out[1, i] = cos


# Written out, sum by sum: np.sum, np.dot and einsum add in an order that depends on the processor.


def dot(a: Floats, b: Floats) -> Floats:
    """(..., 3), (..., 3) -> (..., 1)."""
    product: Floats = a[..., 0:1] * b[..., 0:1] + a[..., 1:2] * b[..., 1:2] + a[..., 2:3] * b[..., 2:3]
    return product


def norm(a: Floats) -> Floats:
    """(..., 3) -> (..., 1)."""
    return np.sqrt(dot(a, a))


def unit(a: Floats, otherwise: Floats) -> Floats:
    """a / |a|, and `otherwise`, a unit vector, where a is too short to have a direction."""
    length = norm(a)
    return np.where(length > f32(1e-6), a / np.maximum(length, f32(1e-6)), otherwise)


def cross(a: Floats, b: Floats) -> Floats:
    """(..., 3) x (..., 3)."""
    x = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    y = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    z = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return np.stack([x, y, z], axis=-1)


def rotated(rotation: Floats, points: Floats) -> Floats:
    """R p: (B, 3, 3), (B, N, 3) -> (B, N, 3)."""
    rows = rotation[:, None, :, :]
    p = points[:, :, None, :]
    turned: Floats = rows[..., 0] * p[..., 0] + rows[..., 1] * p[..., 1] + rows[..., 2] * p[..., 2]
    return turned
