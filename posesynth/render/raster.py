"""From parts to pixels: which part each pixel shows, how far away it is and which way its surface faces.

A part is a round cone, the hull of two spheres, made wider or narrower along its axis.  A ray along the line of sight,
carried into the space where the part is round, meets it at the root of a quadratic.  The nearest part wins, except that
neighbours go over into each other: within a blend's width depths and normals are mixed, so no crease shows at a joint.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posesynth.compilation import formula, stage
from posesynth.render.draws import Floats
from posesynth.trigonometry import f32

_ZERO, _HALF, _ONE, _TWO = f32(0), f32(0.5), f32(1), f32(2)
FAR = f32(1e9)
"""Depth where there is no body."""

_NONE = np.int32(-1)
_MORE = f32(0.51)  # not a half: two bones that end in one sphere would share its pixels at random


class Parts(NamedTuple):
    """B pictures' parts and joints, in pixels; see `parts.Body` and `camera.Shot`."""

    ends: Floats
    radii: Floats
    axis: Floats
    squeeze: Floats
    offset: Floats
    region: NDArray[np.int32]
    blend: Floats
    scale: Floats
    p2d: Floats
    depth: Floats
    flesh: Floats


@stage
def surface(b, parts, depth, part, normal):  # type: ignore[no-untyped-def]
    """The body of picture b.

    depth: (S, S), FAR where there is none; part: (S, S), its number or -1; normal: (3, S, S), unit, at the surface.
    """
    depth[:] = FAR
    part[:] = _NONE
    normal[:] = _ZERO
    for p in range(parts.ends.shape[1]):
        _draw(
            parts.ends[b, p], parts.radii[b, p], parts.axis[b, p], parts.squeeze[b, p], parts.blend[p], np.int32(p),
            depth, part, normal,
        )  # fmt: skip


@stage
def labels(b, parts, depth, part, hidden, visible, silhouette):  # type: ignore[no-untyped-def]
    """Which joints are seen (N,) and where the body is (S, S).  hidden: (S, S), where something is before it.

    A joint is seen if its pixel shows the body, and no surface farther before it than the flesh around it is thick.
    """
    size = depth.shape[0]
    for j in range(len(visible)):
        x, y = parts.p2d[b, j, 0], parts.p2d[b, j, 1]
        seen = x >= _ZERO and y >= _ZERO and x < f32(size) and y < f32(size)
        if seen:
            u, v = np.int32(x), np.int32(y)
            near = depth[v, u] < parts.depth[b, j] - _TWO * parts.flesh[b, j]
            seen = part[v, u] >= 0 and not near and not hidden[v, u]
        visible[j] = seen
    for y in range(size):
        for x in range(size):
            silhouette[y, x] = part[y, x] >= 0 and not hidden[y, x]


@formula
def _reach(radius, squeeze, u):  # type: ignore[no-untyped-def]
    """How far a squeezed sphere reaches along an axis of the picture; u: the squeeze's axis along it."""
    return radius * np.sqrt(_ONE + (squeeze * squeeze - _ONE) * u * u)


@stage
def _draw(ends, radii, axis, squeeze, blend, number, depth, part, normal):  # type: ignore[no-untyped-def]
    """Draw one part.

    ends: (2, 3) pixels and depth; radii: (2,); axis: (3,) unit; depth, part: (S, S); normal: (3, S, S).
    """
    size = depth.shape[0]
    ra, rb = radii[0], radii[1]
    ux, uy, uz = axis[0], axis[1], axis[2]
    ax, ay, az = ends[0, 0], ends[0, 1], ends[0, 2]
    bx, by, bz = ends[1, 0] - ax, ends[1, 1] - ay, ends[1, 2] - az
    wide_a, wide_b = _reach(ra, squeeze, ux), _reach(rb, squeeze, ux)
    high_a, high_b = _reach(ra, squeeze, uy), _reach(rb, squeeze, uy)
    left = max(np.int32(0), np.int32(max(min(ax - wide_a, ax + bx - wide_b), -_ONE)))
    right = min(np.int32(size), np.int32(min(max(ax + wide_a, ax + bx + wide_b), f32(size)) + _ONE))
    top = max(np.int32(0), np.int32(max(min(ay - high_a, ay + by - high_b), -_ONE)))
    bottom = min(np.int32(size), np.int32(min(max(ay + high_a, ay + by + high_b), f32(size)) + _ONE))

    # The space where the part is round: p + g (p . u) u.
    g = _ONE / squeeze - _ONE
    along = g * (bx * ux + by * uy + bz * uz)
    bx, by, bz = bx + along * ux, by + along * uy, bz + along * uz
    rx, ry, rz = g * uz * ux, g * uz * uy, _ONE + g * uz * uz  # the line of sight
    rr = ra - rb
    m0 = bx * bx + by * by + bz * bz
    m2 = bx * rx + by * ry + bz * rz
    q = rx * rx + ry * ry + rz * rz
    d2 = m0 - rr * rr
    k2 = d2 * q - m2 * m2
    hull = d2 > f32(1e-3) * m0 and d2 > f32(1e-4)  # or one of the spheres holds the other
    width = blend * min(ra, rb)
    soft = width > f32(1e-3)

    for y in range(top, bottom):
        dy = f32(y) + _HALF - ay
        for x in range(left, right):
            dx = f32(x) + _HALF - ax
            e = g * (dx * ux + dy * uy)
            ox, oy, oz = dx + e * ux, dy + e * uy, e * uz
            m1 = bx * ox + by * oy + bz * oz
            m3 = rx * ox + ry * oy + rz * oz
            m5 = ox * ox + oy * oy + oz * oz
            t = FAR
            nx, ny, nz = _ZERO, _ZERO, _ZERO
            found = False
            if hull:
                k1 = d2 * m3 - m1 * m2 + m2 * rr * ra
                k0 = d2 * m5 - m1 * m1 + m1 * rr * ra * _TWO - m0 * ra * ra
                h = k1 * k1 - k0 * k2
                if h >= _ZERO:
                    # The same root twice: k2 is 0 where the ray runs along the cone's flank.
                    root = np.sqrt(h)
                    s = k0 / (root - k1) if k1 < _ZERO else (-root - k1) / k2
                    at = m1 - ra * rr + s * m2
                    if at > _ZERO and at < d2:
                        found = True
                        t = s
                        nx = d2 * (ox + s * rx) - bx * at
                        ny = d2 * (oy + s * ry) - by * at
                        nz = d2 * (oz + s * rz) - bz * at
            if not found:
                h = m3 * m3 - q * (m5 - ra * ra)
                if h > _ZERO:
                    found = True
                    t = (-m3 - np.sqrt(h)) / q
                    nx, ny, nz = ox + t * rx, oy + t * ry, oz + t * rz
                px, py, pz = ox - bx, oy - by, oz - bz
                m6 = px * rx + py * ry + pz * rz
                h = m6 * m6 - q * (px * px + py * py + pz * pz - rb * rb)
                if h > _ZERO:
                    s = (-m6 - np.sqrt(h)) / q
                    if s < t:
                        found = True
                        t = s
                        nx, ny, nz = px + s * rx, py + s * ry, pz + s * rz
            if not found:
                continue
            new = az + t
            old = depth[y, x]
            if new >= old + width:
                continue
            e = g * (nx * ux + ny * uy + nz * uz)
            nx, ny, nz = nx + e * ux, ny + e * uy, nz + e * uz
            long = np.sqrt(nx * nx + ny * ny + nz * nz)
            scale = _ONE / (long if long > f32(1e-12) else _ONE)
            nx, ny, nz = nx * scale, ny * scale, nz * scale
            if soft and old < new + width:
                share = _HALF + _HALF * (old - new) / width
                depth[y, x] = old + (new - old) * share - width * share * (_ONE - share)
                normal[0, y, x] += (nx - normal[0, y, x]) * share
                normal[1, y, x] += (ny - normal[1, y, x]) * share
                normal[2, y, x] += (nz - normal[2, y, x]) * share
                if share > _MORE:
                    part[y, x] = number
            elif new < old:
                depth[y, x] = new
                normal[0, y, x], normal[1, y, x], normal[2, y, x] = nx, ny, nz
                part[y, x] = number
