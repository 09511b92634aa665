"""What a cheap camera does to a picture: blur, white balance and tone, sensor noise."""

from typing import NamedTuple

import numpy as np

from posesynth.compilation import stage
from posesynth.render import draws
from posesynth.render.draws import Draws, Floats
from posesynth.render.jpeg import compress
from posesynth.render.noise import mixed
from posesynth.trigonometry import f32

_ZERO, _HALF, _ONE = f32(0), f32(0.5), f32(1)
_255 = f32(255)


class Lens(NamedTuple):
    """B cameras.

    blur: (B, 3) weights of a row's taps 0, +-1, +-2, which sum to 1; gains: (B, 3) exposure and white balance; tone:
    (B,) > 0 lightens the middle tones, < 0 darkens them; noise: (B,) standard deviation of a mid-grey pixel in [0, 1];
    quality: (B,) of the JPEG, 0 for none; keys: (B,).
    """

    blur: Floats
    gains: Floats
    tone: Floats
    noise: Floats
    quality: np.ndarray
    keys: np.ndarray


def lens(drawn: Draws) -> Lens:
    """The cameras of B pictures."""

    def u(place: int, low: float = 0.0, high: float = 1.0) -> Floats:
        return drawn.uniform(draws.LENS, place, low, high)

    near = u(0, 0.12, 0.25)
    strong = u(1) < f32(0.35)
    outer = np.where(strong, u(2, 0.02, 0.16), f32(0.0))
    blur = np.stack([f32(1) - f32(2) * near - f32(2) * outer, near, outer], axis=-1)
    exposure = u(3, 0.75, 1.25)[:, None]
    gains = exposure * np.stack([u(4, 0.9, 1.1), u(5, 0.96, 1.04), u(6, 0.88, 1.12)], axis=-1)
    jpeg = u(7) < f32(0.7)
    grainy = u(8)
    return Lens(
        blur.astype(np.float32),
        gains.astype(np.float32),
        u(9, -0.35, 0.35),
        grainy * grainy * grainy * f32(0.05) + f32(0.004),
        np.where(jpeg, u(10, 25.0, 96.0), f32(0)).astype(np.int32),
        drawn.words(draws.SEEDS, 3),
    )


@stage
def develop(b, lens, picture, scratch, out):  # type: ignore[no-untyped-def]
    """picture (3, S, S) -> out (S, S, 3) uint8.  scratch: the shape of `picture`; both are spent."""
    _blur(lens.blur[b], picture, scratch)
    _expose(b, lens, picture)
    if lens.quality[b] > 0:
        compress(lens.quality[b], picture, scratch)
    size = out.shape[0]
    for y in range(size):
        for x in range(size):
            for c in range(3):
                out[y, x, c] = np.uint8(np.int32(picture[c, y, x] + _HALF))


@stage
def _expose(b, lens, picture):  # type: ignore[no-untyped-def]
    """What the sensor gives of `picture` (3, S, S), in place: numbers in [0, 255]."""
    size = picture.shape[1]
    tone = lens.tone[b]
    sigma = lens.noise[b] * f32(1 / 147.8)
    for c in range(3):
        gain = lens.gains[b, c]
        key = lens.keys[b] + np.uint32(c)
        for y in range(size):
            row = picture[c, y]
            for x in range(size):
                v = min(max(row[x] * gain, _ZERO), _ONE)
                v = v + tone * v * (_ONE - v)
                # Four bytes' sum is near enough to a normal deviate; its own standard deviation is 147.8.
                h = mixed(np.uint32(np.uint32(y * size + x) * np.uint32(3) + key))
                four = np.int32(h & np.uint32(255)) + np.int32((h >> np.uint32(8)) & np.uint32(255))
                four += np.int32((h >> np.uint32(16)) & np.uint32(255)) + np.int32(h >> np.uint32(24))
                v += f32(four - np.int32(510)) * sigma * (_HALF + v)
                row[x] = min(max(v * _255, _ZERO), _255)


@stage
def _blur(w, a, scratch):  # type: ignore[no-untyped-def]
    """Blur (3, S, S) along rows and columns, in place."""
    size = a.shape[1]
    for c in range(3):
        for y in range(size):
            row, out = a[c, y], scratch[c, y]
            for x in range(2, size - 2):
                out[x] = w[0] * row[x] + w[1] * (row[x - 1] + row[x + 1]) + w[2] * (row[x - 2] + row[x + 2])
            for k in range(4):
                x = k if k < 2 else size - 5 + k + 1
                l1, r1 = max(x - 1, 0), min(x + 1, size - 1)
                l2, r2 = max(x - 2, 0), min(x + 2, size - 1)
                out[x] = w[0] * row[x] + w[1] * (row[l1] + row[r1]) + w[2] * (row[l2] + row[r2])
        for y in range(size):
            l1, r1 = scratch[c, max(y - 1, 0)], scratch[c, min(y + 1, size - 1)]
            l2, r2 = scratch[c, max(y - 2, 0)], scratch[c, min(y + 2, size - 1)]
            row, out = scratch[c, y], a[c, y]
            for x in range(size):
                out[x] = w[0] * row[x] + w[1] * (l1[x] + r1[x]) + w[2] * (l2[x] + r2[x])
