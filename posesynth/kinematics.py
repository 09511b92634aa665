"""f: O -> P3D and its inverse (equations 5 and 6), the frames bones carry, the view and the projection.

First the batched functions a user calls, then the block stages the sampler is made of.  A *row* is BLOCK
contiguous float32, one value a sample; each stage is one loop over few rows with a constant trip count,
which is what lets LLVM run it on whole vectors.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from .compilation import kernel
from .errors import InputError
from .rng import BLOCK, U24
from .skeleton import Skeleton
from .trigonometry import TO_HALF_TURNS, atan2, f32, log, sincospi

_EIGHT = np.uint32(8)
_ONE, _MINUS_TWO, _ZERO = f32(1), f32(-2), f32(0)
_NAN = f32(np.nan)


def forward(o: ArrayLike, skeleton: Skeleton) -> NDArray[np.float32]:
    """P3D = f(O): joint positions from bones in spherical coordinates (equation 5).

    o: (..., E, 3), each (r, theta, phi) with angles in radians, world axes.
    Returns (..., N, 3) float32, root at the origin.  Raises InputError on another shape.
    """
    bones = _checked(o, skeleton.edges, "o")
    p3d = np.empty((*bones.shape[:-2], skeleton.edges + 1, 3), np.float32)
    _forward(bones.reshape(-1, skeleton.edges, 3), skeleton.parents, p3d.reshape(-1, skeleton.edges + 1, 3))
    return p3d


def inverse(p3d: ArrayLike, skeleton: Skeleton) -> NDArray[np.float32]:
    """O = f^-1(P3D): bones in canonical spherical coordinates (equation 6).

    p3d: (..., N, 3) joint positions, any root.
    Returns (..., E, 3) float32: r >= 0, theta in [0, pi], phi in (-pi, pi]; theta = phi = 0 for a bone of length zero
    and phi = 0 on the z axis.  Raises InputError on another shape.
    """
    joints = _checked(p3d, skeleton.edges + 1, "p3d")
    o = np.empty((*joints.shape[:-2], skeleton.edges, 3), np.float32)
    _inverse(joints.reshape(-1, skeleton.edges + 1, 3), skeleton.parents, o.reshape(-1, skeleton.edges, 3))
    return o


def _checked(values: ArrayLike, rows: int, name: str) -> NDArray[np.float32]:
    array = np.ascontiguousarray(values, np.float32)
    if array.ndim < 2 or array.shape[-2:] != (rows, 3):
        raise InputError(f"{name}: has shape {np.shape(values)}; expected (..., {rows}, 3)")
    return array


@kernel
def _forward(o: Any, parents: Any, p3d: Any) -> None:
    for b in range(o.shape[0]):
        p3d[b, 0, :] = _ZERO
        for e in range(o.shape[1]):
            r = o[b, e, 0]
            st, ct = sincospi(o[b, e, 1] * TO_HALF_TURNS)
            sp, cp = sincospi(o[b, e, 2] * TO_HALF_TURNS)
            parent = parents[e + 1]
            p3d[b, e + 1, 0] = p3d[b, parent, 0] + r * (st * cp)
            p3d[b, e + 1, 1] = p3d[b, parent, 1] + r * (st * sp)
            p3d[b, e + 1, 2] = p3d[b, parent, 2] + r * ct


@kernel
def _inverse(p3d: Any, parents: Any, o: Any) -> None:
    for b in range(p3d.shape[0]):
        for e in range(o.shape[1]):
            parent = parents[e + 1]
            x = p3d[b, e + 1, 0] - p3d[b, parent, 0]
            y = p3d[b, e + 1, 1] - p3d[b, parent, 1]
            z = p3d[b, e + 1, 2] - p3d[b, parent, 2]
            # Dividing by the largest first keeps the squares of tiny and huge bones inside float32.
            m = max(abs(x), abs(y), abs(z))
            if m > _ZERO:
                x, y, z = x / m, y / m, z / m
            across = x * x + y * y
            o[b, e, 0] = m * np.sqrt(across + z * z)
            o[b, e, 1] = atan2(np.sqrt(across), z)
            o[b, e, 2] = atan2(y, x)


@njit(nogil=True)
def sincos_uniform(words, lo, span, sin, cos):  # type: ignore[no-untyped-def]
    """sin and cos of an angle drawn from U(lo, lo + span) half turns."""
    for s in range(BLOCK):
        sin[s], cos[s] = sincospi(lo + f32(words[s] >> _EIGHT) * U24 * span)


@njit(nogil=True)
def uniform(words, lo, span, out):  # type: ignore[no-untyped-def]
    """U(lo, lo + span), never lo itself unless span is 0: a length drawn from (0, 1] cannot vanish."""
    for s in range(BLOCK):
        out[s] = lo + (f32(words[s] >> _EIGHT) + _ONE) * U24 * span


@njit(nogil=True)
def largest(a, out):  # type: ignore[no-untyped-def]
    for s in range(BLOCK):
        out[s] = max(out[s], a[s])


@njit(nogil=True)
def divide(a, b, out):  # type: ignore[no-untyped-def]
    for s in range(BLOCK):
        out[s] = a[s] / b[s]


@njit(nogil=True)
def copy(a, out):  # type: ignore[no-untyped-def]
    """A written-out loop: several times faster than ``out[:] = a`` on a row."""
    for s in range(BLOCK):
        out[s] = a[s]


@njit(nogil=True)
def constant(value, out):  # type: ignore[no-untyped-def]
    for s in range(BLOCK):
        out[s] = value


@njit(nogil=True)
def product(a, b, out):  # type: ignore[no-untyped-def]
    for s in range(BLOCK):
        out[s] = a[s] * b[s]


@njit(nogil=True)
def multiply_add(a, b, c, out):  # type: ignore[no-untyped-def]
    """out = a + b c."""
    for s in range(BLOCK):
        out[s] = a[s] + b[s] * c[s]


@njit(nogil=True)
def _dot(a, x, b, y, c, z, out):  # type: ignore[no-untyped-def]
    for s in range(BLOCK):
        out[s] = a[s] * x[s] + b[s] * y[s] + c[s] * z[s]


@njit(nogil=True)
def rotate(frame, v, out):  # type: ignore[no-untyped-def]
    """out = F v for rows frame (9, BLOCK), row-major, and v, out (3, BLOCK)."""
    for i in range(3):
        _dot(frame[3 * i], v[0], frame[3 * i + 1], v[1], frame[3 * i + 2], v[2], out[i])


@njit(nogil=True)
def spherical_direction(sa, ca, sb, cb, out):  # type: ignore[no-untyped-def]
    """Unit vector at theta (sa, ca) and phi (sb, cb): the bone's direction of equation 5."""
    product(sa, cb, out[0])
    product(sa, sb, out[1])
    copy(ca, out[2])


@njit(nogil=True)
def flexion_direction(sa, ca, sb, cb, out):  # type: ignore[no-untyped-def]
    """Rx(flexion) Ry(abduction) e_z."""
    copy(sb, out[0])
    for s in range(BLOCK):
        out[1, s] = -(sa[s] * cb[s])
    product(ca, cb, out[2])


@njit(nogil=True)
def spherical_frame(sa, ca, sb, cb, out):  # type: ignore[no-untyped-def]
    """Rz(phi) Ry(theta) Rz(-phi) as rows (9, BLOCK): the turn that swings z onto the bone without spinning about it."""
    for s in range(BLOCK):
        fall = ca[s] - _ONE
        out[0, s] = _ONE + cb[s] * cb[s] * fall
        out[1, s] = cb[s] * sb[s] * fall
        out[4, s] = _ONE + sb[s] * sb[s] * fall
    copy(out[1], out[3])
    product(sa, cb, out[2])
    product(sa, sb, out[5])
    for s in range(BLOCK):
        out[6, s] = -out[2, s]
        out[7, s] = -out[5, s]
    copy(ca, out[8])


@njit(nogil=True)
def flexion_frame(sa, ca, sb, cb, out):  # type: ignore[no-untyped-def]
    """Rx(flexion) Ry(abduction) as rows (9, BLOCK)."""
    copy(cb, out[0])
    constant(_ZERO, out[1])
    copy(sb, out[2])
    product(sa, sb, out[3])
    copy(ca, out[4])
    product(ca, sb, out[6])
    copy(sa, out[7])
    product(ca, cb, out[8])
    for s in range(BLOCK):
        out[5, s] = -(sa[s] * cb[s])
        out[6, s] = -out[6, s]


@njit(nogil=True)
def carry(frame, turn, out):  # type: ignore[no-untyped-def]
    """out = F T, all rows (9, BLOCK)."""
    for i in range(3):
        for j in range(3):
            _dot(frame[3 * i], turn[j], frame[3 * i + 1], turn[3 + j], frame[3 * i + 2], turn[6 + j], out[3 * i + j])


@njit(nogil=True)
def view_rotation(words, yaw, pitch, roll, work, out):  # type: ignore[no-untyped-def]
    """R = Ry(roll) Rx(pitch) Rz(yaw) as rows (9, BLOCK); sin(pitch), not pitch, is uniform.

    That is the Haar measure of SO(3) in these angles, so the full box gives Haar-uniform rotations.
    yaw, roll: (lo, span) in half turns; pitch: (lo, span) of its sine.  ``work``: (6, BLOCK).
    """
    sy, cy, sr, cr, sp, cp = work[0], work[1], work[2], work[3], work[4], work[5]
    sincos_uniform(words[0], yaw[0], yaw[1], sy, cy)
    sincos_uniform(words[1], roll[0], roll[1], sr, cr)
    for s in range(BLOCK):
        sp[s] = min(max(pitch[0] + f32(words[2, s] >> _EIGHT) * U24 * pitch[1], -_ONE), _ONE)
    for s in range(BLOCK):
        cp[s] = np.sqrt(_ONE - sp[s] * sp[s])
    for s in range(BLOCK):
        out[0, s] = cr[s] * cy[s] + sr[s] * (sp[s] * sy[s])
        out[1, s] = sr[s] * (sp[s] * cy[s]) - cr[s] * sy[s]
        out[2, s] = sr[s] * cp[s]
    for s in range(BLOCK):
        out[3, s] = cp[s] * sy[s]
        out[4, s] = cp[s] * cy[s]
        out[5, s] = -sp[s]
    for s in range(BLOCK):
        out[6, s] = cr[s] * (sp[s] * sy[s]) - sr[s] * cy[s]
        out[7, s] = sr[s] * sy[s] + cr[s] * (sp[s] * cy[s])
        out[8, s] = cr[s] * cp[s]


@njit(nogil=True)
def polar(x, y, z, theta):  # type: ignore[no-untyped-def]
    """theta by atan2, never acos: near the poles acos keeps half the digits."""
    for s in range(BLOCK):
        theta[s] = atan2(np.sqrt(x[s] * x[s] + y[s] * y[s]), z[s])


@njit(nogil=True)
def azimuth(x, y, phi):  # type: ignore[no-untyped-def]
    for s in range(BLOCK):
        phi[s] = atan2(y[s], x[s])


@njit(nogil=True)
def zero_without_length(r, out):  # type: ignore[no-untyped-def]
    """A bone of length 0 has no direction: its angles are 0 by definition."""
    for s in range(BLOCK):
        out[s] = out[s] if r[s] > _ZERO else _ZERO


@njit(nogil=True)
def project(x, y, z, distance, u, v):  # type: ignore[no-untyped-def]
    """Perspective image of (x, y, z) by a camera at (0, -distance, 0) looking along +y; unit scale at the root's depth."""
    for s in range(BLOCK):
        scale = distance[s] / (distance[s] + y[s])
        u[s] = x[s] * scale
        v[s] = z[s] * scale


@njit(nogil=True)
def add_normal(words, sigma, u, v):  # type: ignore[no-untyped-def]
    """Add independent N(0, sigma^2) to u and v (Box-Muller)."""
    a, b = words[0], words[1]
    for s in range(BLOCK):
        radius = sigma * np.sqrt(_MINUS_TWO * log((f32(a[s] >> _EIGHT) + _ONE) * U24))
        sin, cos = sincospi(f32(b[s] >> _EIGHT) * (U24 * f32(2)))
        u[s] += radius * cos
        v[s] += radius * sin


@njit(nogil=True)
def hide(words, threshold, u, v, visible):  # type: ignore[no-untyped-def]
    """Where the word falls below the threshold the joint is not seen: visible = 0 and its image is NaN, never a number."""
    for s in range(BLOCK):
        seen = np.uint64(words[s]) >= threshold
        visible[s] = _ONE if seen else _ZERO
        u[s] = u[s] if seen else _NAN
        v[s] = v[s] if seen else _NAN
