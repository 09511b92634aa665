"""JPEG's loss without its file: what a picture is after baseline JPEG with half the colour resolution.

    RGB -> YCbCr, colours halved -> 8 x 8 cosine transform -> rounded to the quality's steps -> and back

Tables and scaling by quality are those of the standard's annex K as the Independent JPEG Group uses them.
"""

import numpy as np

from posesynth.compilation import formula, stage
from posesynth.trigonometry import f32

_ZERO, _HALF, _ONE = f32(0), f32(0.5), f32(1)
_128, _255 = f32(128), f32(255)

# Half the cosines of multiples of pi / 16; the orthonormal transform's constant term is half the root of a half too.
_C1, _C2, _C3, _C4 = f32(0.49039264), f32(0.46193977), f32(0.41573481), f32(0.35355339)
_C5, _C6, _C7 = f32(0.27778512), f32(0.19134172), f32(0.09754516)

_WIDE = 64  # columns of a tile, a constant: LLVM then runs them side by side

_LUMA = np.array(
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
     14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
     49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99],
    np.int32,
)  # fmt: skip
_CHROMA = np.array(
    [17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
     47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
     99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99],
    np.int32,
)  # fmt: skip


@stage
def compress(quality, picture, scratch):  # type: ignore[no-untyped-def]
    """Lose what a JPEG of this quality (1 to 100) loses, in place.

    picture: (3, S, S) numbers in [0, 255]; scratch: the same shape.
    """
    size = picture.shape[1]
    half = (size + 1) // 2
    for y in range(size):
        red, green, blue = picture[0, y], picture[1, y], picture[2, y]
        luma, cb, cr = scratch[0, y], scratch[1, y], scratch[2, y]
        for x in range(size):
            r, g, b = red[x], green[x], blue[x]
            luma[x] = f32(0.299) * r + f32(0.587) * g + f32(0.114) * b - _128
            cb[x] = f32(-0.168736) * r - f32(0.331264) * g + f32(0.5) * b
            cr[x] = f32(0.5) * r - f32(0.418688) * g - f32(0.081312) * b
    for c in range(1, 3):
        for y in range(half):
            above, below, out = scratch[c, 2 * y], scratch[c, min(2 * y + 1, size - 1)], picture[c, y]
            for x in range(half):
                left, right = 2 * x, min(2 * x + 1, size - 1)
                out[x] = (above[left] + above[right] + below[left] + below[right]) * f32(0.25)
    steps = np.empty(8 * _WIDE, np.float32)
    tile, turned = np.empty(8 * _WIDE, np.float32), np.empty(8 * _WIDE, np.float32)
    _steps(quality, _LUMA, steps)
    _quantise(scratch[0], size, steps, tile, turned)
    _steps(quality, _CHROMA, steps)
    _quantise(picture[1], half, steps, tile, turned)
    _quantise(picture[2], half, steps, tile, turned)
    for y in range(size):
        luma, cb, cr = scratch[0, y], scratch[1, y], scratch[2, y]
        small_b, small_r = picture[1, y // 2], picture[2, y // 2]
        for x in range(size):
            cb[x], cr[x] = small_b[x // 2], small_r[x // 2]
    for y in range(size):
        luma, cb, cr = scratch[0, y], scratch[1, y], scratch[2, y]
        red, green, blue = picture[0, y], picture[1, y], picture[2, y]
        for x in range(size):
            v, b, r = luma[x] + _128, cb[x], cr[x]
            red[x] = min(max(v + f32(1.402) * r, _ZERO), _255)
            green[x] = min(max(v - f32(0.344136) * b - f32(0.714136) * r, _ZERO), _255)
            blue[x] = min(max(v + f32(1.772) * b, _ZERO), _255)


@stage
def _steps(quality, table, out):  # type: ignore[no-untyped-def]
    """The steps of a tile's coefficients, which stand transposed."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    for k in range(8):
        for x in range(_WIDE):
            step = (table[8 * (x % 8) + k] * scale + 50) // 100
            out[k * _WIDE + x] = f32(min(max(step, 1), 255))


@stage
def _quantise(plane, size, steps, tile, turned):  # type: ignore[no-untyped-def]
    """Round the coefficients of the leading (size, size) of a plane, tile by tile; beyond its edge it is continued."""
    for top in range(0, size, 8):
        for left in range(0, size, _WIDE):
            for k in range(8):
                row = plane[min(top + k, size - 1)]
                for x in range(_WIDE):
                    tile[k * _WIDE + x] = row[min(left + x, size - 1)]
            _forward(tile)
            _turn(tile, turned)
            _forward(turned)
            for i in range(8 * _WIDE):
                v = turned[i] / steps[i]
                v = v + (_HALF if v >= _ZERO else -_HALF)
                turned[i] = f32(np.int32(v)) * steps[i]
            _backward(turned)
            _turn(turned, tile)
            _backward(tile)
            for k in range(min(8, size - top)):
                row = plane[top + k]
                for x in range(min(_WIDE, size - left)):
                    row[left + x] = tile[k * _WIDE + x]


@stage
def _turn(a, out):  # type: ignore[no-untyped-def]
    """Transpose each 8 x 8 block of a tile."""
    for block in range(0, _WIDE, 8):
        for k in range(8):
            for x in range(8):
                out[x * _WIDE + block + k] = a[k * _WIDE + block + x]


@formula
def _even(a, b, c, d):  # type: ignore[no-untyped-def]
    p, q, r, s = a + d, b + c, a - d, b - c
    return (p + q) * _C4, r * _C2 + s * _C6, (p - q) * _C4, r * _C6 - s * _C2


@stage
def _forward(t):  # type: ignore[no-untyped-def]
    """The cosine transform of each column of a tile."""
    for x in range(_WIDE):
        a0, a1, a2, a3 = t[x], t[_WIDE + x], t[2 * _WIDE + x], t[3 * _WIDE + x]
        a4, a5, a6, a7 = t[4 * _WIDE + x], t[5 * _WIDE + x], t[6 * _WIDE + x], t[7 * _WIDE + x]
        e0, e2, e4, e6 = _even(a0 + a7, a1 + a6, a2 + a5, a3 + a4)
        d0, d1, d2, d3 = a0 - a7, a1 - a6, a2 - a5, a3 - a4
        t[x] = e0
        t[_WIDE + x] = d0 * _C1 + d1 * _C3 + d2 * _C5 + d3 * _C7
        t[2 * _WIDE + x] = e2
        t[3 * _WIDE + x] = d0 * _C3 - d1 * _C7 - d2 * _C1 - d3 * _C5
        t[4 * _WIDE + x] = e4
        t[5 * _WIDE + x] = d0 * _C5 - d1 * _C1 + d2 * _C7 + d3 * _C3
        t[6 * _WIDE + x] = e6
        t[7 * _WIDE + x] = d0 * _C7 - d1 * _C5 + d2 * _C3 - d3 * _C1


@stage
def _backward(t):  # type: ignore[no-untyped-def]
    """The inverse, its transpose."""
    for x in range(_WIDE):
        a0, a1, a2, a3 = t[x], t[_WIDE + x], t[2 * _WIDE + x], t[3 * _WIDE + x]
        a4, a5, a6, a7 = t[4 * _WIDE + x], t[5 * _WIDE + x], t[6 * _WIDE + x], t[7 * _WIDE + x]
        p, q = (a0 + a4) * _C4, (a0 - a4) * _C4
        r, s = a2 * _C2 + a6 * _C6, a2 * _C6 - a6 * _C2
        e0, e1, e2, e3 = p + r, q + s, q - s, p - r
        d0 = a1 * _C1 + a3 * _C3 + a5 * _C5 + a7 * _C7
        d1 = a1 * _C3 - a3 * _C7 - a5 * _C1 - a7 * _C5
        d2 = a1 * _C5 - a3 * _C1 + a5 * _C7 + a7 * _C3
        d3 = a1 * _C7 - a3 * _C5 + a5 * _C3 - a7 * _C1
        t[x], t[7 * _WIDE + x] = e0 + d0, e0 - d0
        t[_WIDE + x], t[6 * _WIDE + x] = e1 + d1, e1 - d1
        t[2 * _WIDE + x], t[5 * _WIDE + x] = e2 + d2, e2 - d2
        t[3 * _WIDE + x], t[4 * _WIDE + x] = e3 + d3, e3 - d3
