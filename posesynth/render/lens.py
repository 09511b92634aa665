"""What a cheap camera does to a picture: blur, white balance and tone, sensor noise, JPEG."""

from typing import NamedTuple

import numpy as np

from posesynth.compilation import stage
from posesynth.render import draws
from posesynth.render.draws import Draws, Floats
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
    outer = np.where(strong, u(2, 0.02, 0.18), f32(0.0))
    blur = np.stack([f32(1) - f32(2) * near - f32(2) * outer, near, outer], axis=-1)
    exposure = u(3, 0.75, 1.25)[:, None]
    gains = exposure * np.stack([u(4, 0.9, 1.1), u(5, 0.96, 1.04), u(6, 0.88, 1.12)], axis=-1)
    jpeg = u(7) < f32(0.7)
    grainy = u(8)
    return Lens(
        blur.astype(np.float32),
        gains.astype(np.float32),
        u(9, -0.35, 0.35),
        grainy * grainy * f32(0.06) + f32(0.004),
        np.where(jpeg, u(10, 25.0, 96.0), f32(0)).astype(np.int32),
        drawn.words(draws.SEEDS, 3),
    )


@stage
def expose(b, lens, picture, scratch, out):  # type: ignore[no-untyped-def]
    """picture (S, S, 3) float -> out (S, S, 3) uint8.  scratch: the shape of `picture`."""
    size = picture.shape[0]
    _blur_rows(lens.blur[b], picture, scratch)
    _blur_columns(lens.blur[b], scratch, picture)
    key = lens.keys[b]
    tone = lens.tone[b]
    sigma = lens.noise[b]
    for y in range(size):
        for x in range(size):
            place = np.uint32(y * size + x)
            grey = np.uint32(mixed(np.uint32(place + key)))
            for c in range(3):
                v = min(max(picture[y, x, c] * lens.gains[b, c], _ZERO), _ONE)
                v = v + tone * v * (_ONE - v)
                # Four bytes' sum is near enough to a normal deviate; its own standard deviation is 147.8.
                h = mixed(np.uint32(grey + np.uint32(c + 1) * np.uint32(0x9E3779B1)))
                four = (h & np.uint32(255)) + ((h >> np.uint32(8)) & np.uint32(255))
                four += ((h >> np.uint32(16)) & np.uint32(255)) + (h >> np.uint32(24))
                v += (f32(four) - f32(510)) * f32(1 / 147.8) * sigma * (f32(0.5) + v)
                out[y, x, c] = np.uint8(min(max(v * _255 + _HALF, _ZERO), _255))


@stage
def _blur_rows(w, a, out):  # type: ignore[no-untyped-def]
    size = a.shape[0]
    for y in range(size):
        for x in range(size):
            l1, r1 = max(x - 1, 0), min(x + 1, size - 1)
            l2, r2 = max(x - 2, 0), min(x + 2, size - 1)
            for c in range(3):
                out[y, x, c] = (
                    w[0] * a[y, x, c] + w[1] * (a[y, l1, c] + a[y, r1, c]) + w[2] * (a[y, l2, c] + a[y, r2, c])
                )


@stage
def _blur_columns(w, a, out):  # type: ignore[no-untyped-def]
    size = a.shape[0]
    for y in range(size):
        l1, r1 = max(y - 1, 0), min(y + 1, size - 1)
        l2, r2 = max(y - 2, 0), min(y + 2, size - 1)
        for x in range(size):
            for c in range(3):
                out[y, x, c] = (
                    w[0] * a[y, x, c] + w[1] * (a[l1, x, c] + a[r1, x, c]) + w[2] * (a[l2, x, c] + a[r2, x, c])
                )
