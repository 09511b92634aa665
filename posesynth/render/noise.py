"""Noise without a generator: hashes of places, and smooth noise that runs between them."""

import numpy as np

from posesynth.compilation import formula, stage
from posesynth.trigonometry import f32

_ONE, _TWO, _THREE = f32(1), f32(2), f32(3)
_TO_UNIT = f32(2.0**-24)
_M1, _M2 = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)
_P1, _P2, _P3 = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D)


@formula
def mixed(x):  # type: ignore[no-untyped-def]
    """A 32-bit hash of 32 bits (Wellons' lowbias32)."""
    x = np.uint32(x)
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * _M1)
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * _M2)
    return np.uint32(x ^ (x >> np.uint32(16)))


@formula
def lattice(x, y, z, key):  # type: ignore[no-untyped-def]
    """A number in [0, 1) for a point of the integer lattice."""
    h = np.uint32(np.uint32(x) * _P1 + np.uint32(y) * _P2)
    h = np.uint32(h + np.uint32(z) * _P3 + key)
    return f32(mixed(h) >> np.uint32(8)) * _TO_UNIT


@formula
def floor(x):  # type: ignore[no-untyped-def]
    """The greatest integer not above x, |x| < 2^30."""
    whole = np.int32(x)
    return np.int32(whole - np.int32(1)) if f32(whole) > x else whole


@formula
def smooth(t):  # type: ignore[no-untyped-def]
    """0 to 1 with flat ends, t in [0, 1]."""
    return t * t * (_THREE - _TWO * t)


@stage
def solid(x, y, z, key):  # type: ignore[no-untyped-def]
    """Value noise in [0, 1) at a point of space; its grain is 1."""
    ix, iy, iz = floor(x), floor(y), floor(z)
    fx, fy, fz = smooth(x - f32(ix)), smooth(y - f32(iy)), smooth(z - f32(iz))
    jx, jy, jz = np.int32(ix + 1), np.int32(iy + 1), np.int32(iz + 1)
    a, b = lattice(ix, iy, iz, key), lattice(jx, iy, iz, key)
    c, d = lattice(ix, jy, iz, key), lattice(jx, jy, iz, key)
    near = a + (b - a) * fx
    near = near + (c + (d - c) * fx - near) * fy
    a, b = lattice(ix, iy, jz, key), lattice(jx, iy, jz, key)
    c, d = lattice(ix, jy, jz, key), lattice(jx, jy, jz, key)
    far = a + (b - a) * fx
    far = far + (c + (d - c) * fx - far) * fy
    return near + (far - near) * fz


@stage
def add_field(out, grain_x, grain_y, amount, key):  # type: ignore[no-untyped-def]
    """Add value noise in [-amount, amount) to a field (S, S), its grain in pixels along a row and across rows."""
    size = out.shape[0]
    columns = np.int32(f32(size) / grain_x) + np.int32(2)
    row = np.empty(columns, np.float32)
    left = np.empty(size, np.int32)
    share = np.empty(size, np.float32)
    step = _ONE / grain_x
    for x in range(size):
        at = f32(x) * step
        left[x] = floor(at)
        share[x] = smooth(at - f32(left[x]))
    twice = amount * _TWO
    step = _ONE / grain_y
    for y in range(size):
        at = f32(y) * step
        j = floor(at)
        fy = smooth(at - f32(j))
        for i in range(columns):
            a, b = lattice(i, j, 0, key), lattice(i, np.int32(j + 1), 0, key)
            row[i] = (a + (b - a) * fy) * twice - amount
        for x in range(size):
            i = left[x]
            out[y, x] += row[i] + (row[i + 1] - row[i]) * share[x]
