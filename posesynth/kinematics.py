"""f: O -> P3D and its inverse (equations 5 and 6), the frames bones carry, the view and the projection.

First the batched functions a user calls, then the block stages the sampler is made of.  A *row* is BLOCK
contiguous values, one a sample; a *stack* is a flat array of rows, row k at k * BLOCK.  LLVM runs a stage on whole
vectors because its trip count is constant and the rows of a stack lie at constant distances, which it can see
cannot overlap; rows of a two-dimensional array would have to be checked one against the other at run time.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .compilation import formula, kernel, stage
from .errors import InputError
from .rng import BLOCK, U24
from .skeleton import Skeleton
from .trigonometry import TO_HALF_TURNS, atan2, f32, log, sincospi

_EIGHT = np.uint32(8)
_ONE, _MINUS_TWO, _ZERO = f32(1), f32(-2), f32(0)
_NAN = f32(np.nan)
_TWO_U24 = f32(2) * U24  # half turns of a whole circle


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


@formula
def _half_turns(word, lo, span):  # type: ignore[no-untyped-def]
    return lo + f32(word >> _EIGHT) * U24 * span


@stage
def uniform(words, lo, span, out):  # type: ignore[no-untyped-def]
    """U(lo, lo + span), never lo itself unless span is 0: a length drawn from (0, 1] cannot vanish."""
    for s in range(BLOCK):
        out[s] = lo + (f32(words[s] >> _EIGHT) + _ONE) * U24 * span


@stage
def largest(a, out):  # type: ignore[no-untyped-def]
    for s in range(BLOCK):
        out[s] = max(out[s], a[s])


@stage
def divide(a, b, out):  # type: ignore[no-untyped-def]
    for s in range(BLOCK):
        out[s] = a[s] / b[s]


@stage
def view_rotation(words, yaw, pitch, roll, out):  # type: ignore[no-untyped-def]
    """R = Ry(roll) Rx(pitch) Rz(yaw), a stack of 9 (row-major); sin(pitch), not pitch, is uniform.

    That is the Haar measure of SO(3) in these angles, so the full box gives Haar-uniform rotations.
    words: stack of 3.  yaw, roll: (lo, span) in half turns; pitch: (lo, span) of its sine.
    """
    for s in range(BLOCK):
        sy, cy = sincospi(_half_turns(words[s], yaw[0], yaw[1]))
        sr, cr = sincospi(_half_turns(words[BLOCK + s], roll[0], roll[1]))
        sp = min(max(_half_turns(words[2 * BLOCK + s], pitch[0], pitch[1]), -_ONE), _ONE)
        cp = np.sqrt(_ONE - sp * sp)
        out[s] = cr * cy + sr * (sp * sy)
        out[BLOCK + s] = sr * (sp * cy) - cr * sy
        out[2 * BLOCK + s] = sr * cp
        out[3 * BLOCK + s] = cp * sy
        out[4 * BLOCK + s] = cp * cy
        out[5 * BLOCK + s] = -sp
        out[6 * BLOCK + s] = cr * (sp * sy) - sr * cy
        out[7 * BLOCK + s] = sr * sy + cr * (sp * cy)
        out[8 * BLOCK + s] = cr * cp


@stage
def identity(out):  # type: ignore[no-untyped-def]
    """The unit matrix, a stack of 9."""
    for i in range(9):
        row = out[i * BLOCK : (i + 1) * BLOCK]
        for s in range(BLOCK):
            row[s] = _ONE if i % 4 == 0 else _ZERO


@stage
def spherical_direction(words, theta, phi, out):  # type: ignore[no-untyped-def]
    """The bone's unit vector in its frame (equation 5).

    words: stack of 2; theta, phi: (lo, span) in half turns; out: stack of 3.
    """
    for s in range(BLOCK):
        st, ct = sincospi(_half_turns(words[s], theta[0], theta[1]))
        sp, cp = sincospi(_half_turns(words[BLOCK + s], phi[0], phi[1]))
        out[s] = st * cp
        out[BLOCK + s] = st * sp
        out[2 * BLOCK + s] = ct


@stage
def flexion_direction(words, flexion, abduction, out):  # type: ignore[no-untyped-def]
    """Rx(flexion) Ry(abduction) e_z, as `spherical_direction`."""
    for s in range(BLOCK):
        sf, cf = sincospi(_half_turns(words[s], flexion[0], flexion[1]))
        sa, ca = sincospi(_half_turns(words[BLOCK + s], abduction[0], abduction[1]))
        out[s] = sa
        out[BLOCK + s] = -(sf * ca)
        out[2 * BLOCK + s] = cf * ca


@stage
def spherical_turn(words, theta, phi, out):  # type: ignore[no-untyped-def]
    """Rz(phi) Ry(theta) Rz(-phi), a stack of 9: the turn that swings z onto the bone without spinning about it."""
    for s in range(BLOCK):
        st, ct = sincospi(_half_turns(words[s], theta[0], theta[1]))
        sp, cp = sincospi(_half_turns(words[BLOCK + s], phi[0], phi[1]))
        fall = ct - _ONE
        out[s] = _ONE + cp * cp * fall
        out[BLOCK + s] = cp * sp * fall
        out[2 * BLOCK + s] = st * cp
        out[3 * BLOCK + s] = cp * sp * fall
        out[4 * BLOCK + s] = _ONE + sp * sp * fall
        out[5 * BLOCK + s] = st * sp
        out[6 * BLOCK + s] = -(st * cp)
        out[7 * BLOCK + s] = -(st * sp)
        out[8 * BLOCK + s] = ct


@stage
def flexion_turn(words, flexion, abduction, out):  # type: ignore[no-untyped-def]
    """Rx(flexion) Ry(abduction), a stack of 9."""
    for s in range(BLOCK):
        sf, cf = sincospi(_half_turns(words[s], flexion[0], flexion[1]))
        sa, ca = sincospi(_half_turns(words[BLOCK + s], abduction[0], abduction[1]))
        out[s] = ca
        out[BLOCK + s] = _ZERO
        out[2 * BLOCK + s] = sa
        out[3 * BLOCK + s] = sf * sa
        out[4 * BLOCK + s] = cf
        out[5 * BLOCK + s] = -(sf * ca)
        out[6 * BLOCK + s] = -(cf * sa)
        out[7 * BLOCK + s] = sf
        out[8 * BLOCK + s] = cf * ca


@stage
def rotate(frame, v, out):  # type: ignore[no-untyped-def]
    """out = F v: stacks of 9, 3 and 3."""
    for s in range(BLOCK):
        x, y, z = v[s], v[BLOCK + s], v[2 * BLOCK + s]
        out[s] = frame[s] * x + frame[BLOCK + s] * y + frame[2 * BLOCK + s] * z
        out[BLOCK + s] = frame[3 * BLOCK + s] * x + frame[4 * BLOCK + s] * y + frame[5 * BLOCK + s] * z
        out[2 * BLOCK + s] = frame[6 * BLOCK + s] * x + frame[7 * BLOCK + s] * y + frame[8 * BLOCK + s] * z


@stage
def _row_times_turn(row, turn, out):  # type: ignore[no-untyped-def]
    for s in range(BLOCK):
        a, b, c = row[s], row[BLOCK + s], row[2 * BLOCK + s]
        out[s] = a * turn[s] + b * turn[3 * BLOCK + s] + c * turn[6 * BLOCK + s]
        out[BLOCK + s] = a * turn[BLOCK + s] + b * turn[4 * BLOCK + s] + c * turn[7 * BLOCK + s]
        out[2 * BLOCK + s] = a * turn[2 * BLOCK + s] + b * turn[5 * BLOCK + s] + c * turn[8 * BLOCK + s]


@stage
def carry(frame, turn, out):  # type: ignore[no-untyped-def]
    """out = F T: stacks of 9."""
    for i in range(0, 9 * BLOCK, 3 * BLOCK):
        _row_times_turn(frame[i : i + 3 * BLOCK], turn, out[i : i + 3 * BLOCK])


@stage
def place(parent, r, d, out):  # type: ignore[no-untyped-def]
    """Joint = parent + r d (equation 5): stacks of 3, 1, 3 and 3."""
    for s in range(BLOCK):
        out[s] = parent[s] + r[s] * d[s]
        out[BLOCK + s] = parent[BLOCK + s] + r[s] * d[BLOCK + s]
        out[2 * BLOCK + s] = parent[2 * BLOCK + s] + r[s] * d[2 * BLOCK + s]


@stage
def to_angles(d, out):  # type: ignore[no-untyped-def]
    """Canonical theta and phi (stack of 2) of unit vectors d (stack of 3).

    theta by atan2, never acos: near the poles acos keeps half the digits.
    """
    for s in range(BLOCK):
        x, y = d[s], d[BLOCK + s]
        out[s] = atan2(np.sqrt(x * x + y * y), d[2 * BLOCK + s])
        out[BLOCK + s] = atan2(y, x)


@stage
def zero_without_length(r, out):  # type: ignore[no-untyped-def]
    """A bone of length 0 has no direction: its angles (stack of 2) are 0 by definition."""
    for s in range(BLOCK):
        exists = r[s] > _ZERO
        out[s] = out[s] if exists else _ZERO
        out[BLOCK + s] = out[BLOCK + s] if exists else _ZERO


@stage
def orthographic(joint, out):  # type: ignore[no-untyped-def]
    """The image (x, z), a stack of 2, of joint, a stack of 3."""
    for s in range(BLOCK):
        out[s] = joint[s]
        out[BLOCK + s] = joint[2 * BLOCK + s]


@stage
def perspective(joint, distance, out):  # type: ignore[no-untyped-def]
    """The image by a camera at (0, -distance, 0) looking along +y; unit scale at the root's depth."""
    for s in range(BLOCK):
        scale = distance[s] / (distance[s] + joint[BLOCK + s])
        out[s] = joint[s] * scale
        out[BLOCK + s] = joint[2 * BLOCK + s] * scale


@stage
def add_normal(words, sigma, out):  # type: ignore[no-untyped-def]
    """Add independent N(0, sigma^2) to both rows of out (Box-Muller).  words: stack of 2."""
    for s in range(BLOCK):
        radius = sigma * np.sqrt(_MINUS_TWO * log((f32(words[s] >> _EIGHT) + _ONE) * U24))
        sin, cos = sincospi(f32(words[BLOCK + s] >> _EIGHT) * _TWO_U24)
        out[s] += radius * cos
        out[BLOCK + s] += radius * sin


@stage
def hide(words, threshold, out, visible):  # type: ignore[no-untyped-def]
    """Where the word falls below the threshold the joint is not seen: visible = 0, and its image is NaN, no number."""
    for s in range(BLOCK):
        seen = np.uint64(words[s]) >= threshold
        visible[s] = _ONE if seen else _ZERO
        out[s] = out[s] if seen else _NAN
        out[BLOCK + s] = out[BLOCK + s] if seen else _NAN
