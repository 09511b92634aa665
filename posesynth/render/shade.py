"""From the surface to its colour: coat, light, the shadow that parts throw on each other."""

import numpy as np

from posesynth.compilation import formula, stage
from posesynth.render.look import COAT_PATCHES, COAT_SPOTS, COAT_STRIPES
from posesynth.render.noise import floor, smooth, solid
from posesynth.trigonometry import f32

_ZERO, _HALF, _ONE, _TWO = f32(0), f32(0.5), f32(1), f32(2)
_MARCH = 7
_SHADOW_STEP = f32(0.011)  # of the picture's size, growing


@formula
def _step(x, low, high):  # type: ignore[no-untyped-def]
    t = (x - low) / (high - low)
    return smooth(min(max(t, _ZERO), _ONE))


@stage
def _pattern(coat, along, across, third, grain, key):  # type: ignore[no-untyped-def]
    """How much of the second colour there is at a place of the coat, in units of the longest edge."""
    if coat == COAT_STRIPES:
        wave = along * grain + solid(along * grain, across * grain, third * grain, key) * f32(0.9)
        phase = wave - f32(floor(wave))
        return _step(abs(phase - _HALF), f32(0.2), f32(0.3))
    if coat == COAT_SPOTS:
        fine = grain * f32(2.2)
        return _step(solid(along * fine, across * fine, third * fine, key), f32(0.60), f32(0.66))
    if coat == COAT_PATCHES:
        coarse = grain * f32(0.6)
        return _step(solid(along * coarse, across * coarse, third * coarse, key), f32(0.5), f32(0.55))
    return _ZERO


@stage
def _lit(x, y, depth, light, size):  # type: ignore[no-untyped-def]
    """How much of the light reaches a pixel of the surface: a walk over the depths towards the light."""
    z = depth[y, x]
    step = _SHADOW_STEP * f32(size)
    reach = _ZERO
    blocked = _ZERO
    for _ in range(_MARCH):
        reach += step
        step *= f32(1.35)
        u = np.int32(f32(x) + _HALF + light[0] * reach)
        v = np.int32(f32(y) + _HALF + light[1] * reach)
        if u < 0 or v < 0 or u >= size or v >= size:
            break
        ahead = z + light[2] * reach - depth[v, u]  # > 0: the surface there lies before the ray
        if ahead > reach * f32(0.15) + _ONE and ahead < f32(0.25) * f32(size):
            blocked += f32(0.34)
    return _ONE - min(blocked, f32(0.85))


@stage
def _open(x, y, depth, radius, size):  # type: ignore[no-untyped-def]
    """How open to the sky a pixel is: less where its neighbours lie before it."""
    z = depth[y, x]
    shut = _ZERO
    for k in range(8):
        dx = np.int32(1) if k % 3 == 0 else (np.int32(-1) if k % 3 == 1 else np.int32(0))
        dy = np.int32(1) if k < 3 else (np.int32(-1) if k < 6 else np.int32(0))
        if k == 6:
            dx = np.int32(1)
        elif k == 7:
            dx = np.int32(-1)
        u = min(max(x + dx * radius, 0), size - 1)
        v = min(max(y + dy * radius, 0), size - 1)
        shut += min(max((z - depth[v, u]) / f32(2 * radius), _ZERO), _ONE)
    return _ONE - f32(0.09) * shut


@stage
def shade(b, parts, look, depth, part, normal, out):  # type: ignore[no-untyped-def]
    """Colour the body of picture b in `out` (3, S, S)."""
    size = depth.shape[0]
    light, up = look.light[b], look.up[b]
    ends, axis, offset, region, scale = parts.ends[b], parts.axis[b], parts.offset[b], parts.region, parts.scale[b]
    coat, grain, key = look.coat[b], look.grain[b], look.keys[b]
    unit = _ONE / scale
    radius = np.int32(max(2, size // 40))
    for y in range(size):
        for x in range(size):
            p = part[y, x]
            if p < 0:
                continue
            z = depth[y, x]
            r = region[p]
            # Where on its bone: along it, across it, and the third way.
            ax, ay, az = ends[p, 0, 0], ends[p, 0, 1], ends[p, 0, 2]
            dx, dy, dz = ends[p, 1, 0] - ax, ends[p, 1, 1] - ay, ends[p, 1, 2] - az
            long = np.sqrt(dx * dx + dy * dy + dz * dz)
            if long < f32(1e-3):
                dx, dy, dz = _ZERO, _ONE, _ZERO
            else:
                dx, dy, dz = dx / long, dy / long, dz / long
            px, py, pz = f32(x) + _HALF - ax, f32(y) + _HALF - ay, z - az
            ux, uy, uz = axis[p, 0], axis[p, 1], axis[p, 2]
            along = (px * dx + py * dy + pz * dz) * unit + offset[p]
            across = (px * ux + py * uy + pz * uz) * unit
            tx, ty, tz = dy * uz - dz * uy, dz * ux - dx * uz, dx * uy - dy * ux
            third = (px * tx + py * ty + pz * tz) * unit
            share = _pattern(coat, along, across, third, grain, key)
            fine = f32(38)
            fur = _ONE
            if look.fur[b] > f32(0.02):
                hair = solid(along * fine * f32(0.6), across * fine, third * fine, key + np.uint32(77))
                blotch = solid(along * f32(4), across * f32(4), third * f32(4), key + np.uint32(5))
                fur = _ONE + look.fur[b] * (hair + blotch - _ONE)

            nx, ny, nz = normal[0, y, x], normal[1, y, x], normal[2, y, x]
            above = nx * up[0] + ny * up[1] + nz * up[2]
            under = _step(-above, f32(-0.1), f32(0.8)) * look.belly[b]
            facing = nx * light[0] + ny * light[1] + nz * light[2]
            diffuse = max((facing + f32(0.15)) / f32(1.15), _ZERO)
            if diffuse > _ZERO:
                diffuse *= _lit(x, y, depth, light, size)
            around = (f32(0.72) + f32(0.28) * above) * _open(x, y, depth, radius, size)
            # Half way between the light and the eye, which looks along +depth.
            hx, hy, hz = light[0], light[1], light[2] - _ONE
            hl = np.sqrt(hx * hx + hy * hy + hz * hz) + f32(1e-6)
            shine = max((nx * hx + ny * hy + nz * hz) / hl, _ZERO)
            shine = shine * shine
            shine = shine * shine
            shine = shine * shine
            shine = shine * shine * shine * look.gloss[b]
            for c in range(3):
                colour = look.colours[b, r, c] * (_ONE - share) + look.seconds[b, r, c] * share
                colour = colour * fur
                colour += (f32(0.85) - colour) * under * f32(0.6)
                out[c, y, x] = (
                    colour * (diffuse * look.tint[b, c] + around * look.ambient[b, c]) + shine * look.tint[b, c]
                )
