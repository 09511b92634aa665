"""What is behind a body, under it and before it: walls, sky and ground, clutter, a shadow, things in the way."""

from typing import NamedTuple

import numpy as np

from posesynth.compilation import formula, stage
from posesynth.render import draws
from posesynth.render.camera import Shot
from posesynth.render.draws import Draws, Floats, dot
from posesynth.render.noise import add_field, smooth
from posesynth.trigonometry import f32

CLUTTER, FRONT = 10, 3
"""The most shapes behind a body, and the most before it."""

_ZERO, _HALF, _ONE, _TWO = f32(0), f32(0.5), f32(1), f32(2)


class Ground(NamedTuple):
    """B surroundings.  Places in pixels, colours RGB in [0, 1].

    top, bottom: (B, 3) of a gradient above the horizon; near, far: (B, 3) of the ground below it; horizon: (B,) row, at
    or beyond the lower edge where there is no ground; rough: (B,) noise; grass: (B,) amount of fine upright strokes.
    shapes: (B, CLUTTER + FRONT, 10): x, y, half width, half height, sin, cos, roundness, RGB; width 0 where
    there is none.
    soft: (B,) pixels over which edges behind the body run out.
    shadow: (B,) how dark; cast: (B, P, 5): x, y, x, y, radius of the shadow of each part; squash: (B,) of circles on
    the ground, 0 without a shadow.  keys: (B,).
    """

    top: Floats
    bottom: Floats
    near: Floats
    far: Floats
    horizon: Floats
    rough: Floats
    grass: Floats
    shapes: Floats
    soft: Floats
    shadow: Floats
    cast: Floats
    squash: Floats
    keys: np.ndarray


def ground(shot: Shot, stands: bool, light: Floats, tint: Floats, drawn: Draws, size: int) -> Ground:
    """The surroundings of B pictures.  stands: whether such a body stands on the ground, as a hand does not."""

    def u(place: int, low: float = 0.0, high: float = 1.0) -> Floats:
        return drawn.uniform(draws.GROUND, place, low, high)

    def colour(place: int, saturation: float) -> Floats:
        rgb = np.stack([u(place + i, 0.08, 0.95) for i in range(3)], axis=-1)
        grey = (rgb[:, :1] + rgb[:, 1:2] + rgb[:, 2:]) * f32(1 / 3)
        warm = np.array([[1.05, 1.0, 0.92]], np.float32)
        return ((grey + (rgb - grey) * f32(saturation)) * warm).astype(np.float32)

    outside = (u(0) < f32(0.6))[:, None]
    sky = np.array([[0.50, 0.66, 0.86]], np.float32) * u(1, 0.7, 1.2)[:, None]
    haze = np.array([[0.82, 0.86, 0.90]], np.float32) * u(2, 0.8, 1.1)[:, None]
    trees = np.array([[0.18, 0.26, 0.14]], np.float32) * u(3, 0.5, 1.6)[:, None]
    wooded = (u(4) < f32(0.4))[:, None]
    top = np.where(outside, np.where(wooded, trees, sky), colour(5, 0.2))
    bottom = np.where(outside, np.where(wooded, trees * f32(0.7), haze), colour(5, 0.2) * u(8, 0.75, 1.1)[:, None])
    grass = np.array([[0.33, 0.39, 0.20]], np.float32)
    soil = np.array([[0.52, 0.43, 0.32]], np.float32)
    green = (u(9) < f32(0.5))[:, None]
    near = np.where(outside, np.where(green, grass, soil) * u(10, 0.6, 1.3)[:, None], colour(11, 0.2))
    far = near * u(14, 0.8, 1.15)[:, None] + f32(0.03)

    sin_pitch = -shot.up[:, 2]
    foot = (shot.ends[:, :, :, 1] + shot.radii).max(axis=2).max(axis=1)
    level = f32(size) * (f32(0.42) - f32(1.2) * sin_pitch + u(15, -0.15, 0.15))
    horizon = np.minimum(level, foot - f32(0.06 * size))
    none = (shot.free | (not stands)) & (u(16) < f32(0.6))
    horizon = np.where(none, f32(2 * size), horizon)
    cast, squash = _cast(shot, light)
    squash = np.where(shot.free | (not stands) | (horizon > f32(size)), f32(0), squash)
    strength = tint[:, 1] * u(17, 0.4, 0.75)
    return Ground(
        top.astype(np.float32), bottom.astype(np.float32), near.astype(np.float32), far.astype(np.float32),
        horizon.astype(np.float32), u(18) * u(23, 0.0, 0.11),
        np.where((outside & green)[:, 0], u(19, 0.08, 0.32), f32(0)),
        _shapes(drawn, size), u(20, 0.6, 5.0) * f32(size / 256), strength.astype(np.float32), cast,
        squash.astype(np.float32), drawn.words(draws.SEEDS, 1),
    )  # fmt: skip


def _cast(shot: Shot, light: Floats) -> tuple[Floats, Floats]:
    """Where the parts' shadows fall on a plane under the lowest of them."""
    up = shot.up[:, None, None, :]
    height = dot(shot.ends, up)[..., 0]
    low = (height - shot.radii).min(axis=2).min(axis=1)[:, None, None]
    climb = np.maximum(dot(light, shot.up), f32(0.25))[:, :, None, None]
    on_ground = shot.ends - light[:, None, None, :] * ((height - low)[..., None] / climb)
    radius = (shot.radii[:, :, 0] + shot.radii[:, :, 1]) * f32(0.5)
    a, b = on_ground[:, :, 0, :2], on_ground[:, :, 1, :2]
    cast = np.concatenate([a, b, radius[:, :, None]], axis=2)
    tilt = -shot.up[:, 2]
    return np.ascontiguousarray(cast, np.float32), np.where(tilt > f32(0.06), tilt, f32(0))


def _shapes(drawn: Draws, size: int) -> Floats:
    """Things behind the body, and, in every fourth picture, things before it."""
    count = drawn.uniform(draws.GROUND, 21, -4.0, CLUTTER)
    in_front = drawn.uniform(draws.GROUND, 22) < f32(0.22)
    key = drawn.words(draws.SEEDS, 2)
    made = np.zeros((len(count), CLUTTER + FRONT, 10), np.float32)
    _fill_shapes(key, made, count, in_front, f32(size))
    return made


def _fill_shapes(key: np.ndarray, out: Floats, count: Floats, in_front: np.ndarray, size: np.float32) -> None:
    for i in range(CLUTTER + FRONT):
        h = [_hashed(key, 16 * i + k) for k in range(10)]
        behind = i < CLUTTER
        exists = (f32(i) < count) if behind else in_front & (h[9] < f32(0.6))
        wide = (f32(0.03) + h[2] * h[2] * f32(0.35 if behind else 0.04)) * size
        high = (f32(0.05) + h[3] * h[3] * f32(0.4 if behind else 0.5)) * size
        tilt = h[4] - f32(0.5)
        lean = tilt * tilt * tilt * f32(6)
        scale = f32(1) / np.sqrt(f32(1) + lean * lean)
        out[:, i, 0] = h[0] * size
        out[:, i, 1] = h[1] * size
        out[:, i, 2] = np.where(exists, wide, f32(0))
        out[:, i, 3] = high
        out[:, i, 4] = lean * scale
        out[:, i, 5] = scale
        out[:, i, 6] = np.where(h[5] < f32(0.5), f32(0), f32(1))
        grey = f32(0.05) + h[6] * f32(0.8)
        out[:, i, 7] = grey + (h[7] - f32(0.5)) * f32(0.3)
        out[:, i, 8] = grey
        out[:, i, 9] = grey + (h[8] - f32(0.5)) * f32(0.3)


def _hashed(key: np.ndarray, place: int) -> Floats:
    """`lattice` for NumPy."""
    x = key + np.uint32(place * 0x9E3779B1 & 0xFFFFFFFF)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float32) * f32(2.0**-24)


@stage
def paint_behind(b, ground, field, out):  # type: ignore[no-untyped-def]
    """Everything behind the body, into `out` (3, S, S).  field: (S, S) scratch."""
    size = out.shape[1]
    fsize = f32(size)
    key = ground.keys[b]
    field[:] = _ZERO
    rough = ground.rough[b]
    grain = fsize * f32(0.37)
    for octave in range(4):
        add_field(field, grain, grain * f32(0.7), rough, key + np.uint32(octave))
        grain *= f32(0.34)
        rough *= f32(0.75)
    horizon = ground.horizon[b]
    soft = ground.soft[b]
    for y in range(size):
        below = min(max((f32(y) - horizon) / soft, _ZERO), _ONE)
        down = f32(y) / fsize
        depth = min(max((f32(y) - horizon) / fsize, _ZERO), _ONE)
        for c in range(3):
            above = ground.top[b, c] + (ground.bottom[b, c] - ground.top[b, c]) * down
            under = ground.far[b, c] + (ground.near[b, c] - ground.far[b, c]) * depth
            colour = above + (under - above) * below
            for x in range(size):
                out[c, y, x] = colour * (_ONE + field[y, x] * _TWO)
    if ground.grass[b] > _ZERO:
        _grass(ground.grass[b], horizon, key + np.uint32(9), field, out)
    for i in range(CLUTTER):
        paint_shape(ground.shapes[b, i], soft, out)
    if ground.squash[b] > _ZERO:
        _shadow(ground.cast[b], ground.squash[b], ground.shadow[b], horizon, field, out)


@stage
def paint_photograph(square, out):  # type: ignore[no-untyped-def]
    """A photograph (S, S, 3) uint8 behind the body, in the place of `paint_behind`."""
    size = out.shape[1]
    for y in range(size):
        for x in range(size):
            for c in range(3):
                out[c, y, x] = f32(square[y, x, c]) * f32(1 / 255)


@stage
def _grass(amount, horizon, key, field, out):  # type: ignore[no-untyped-def]
    size = out.shape[1]
    field[:] = _ZERO
    add_field(field, f32(1.7), f32(size) * f32(0.03), amount, key)
    for y in range(np.int32(max(horizon, _ZERO)), size):
        for x in range(size):
            scale = _ONE + field[y, x]
            for c in range(3):
                out[c, y, x] *= scale


@stage
def _shadow(cast, squash, dark, horizon, field, out):  # type: ignore[no-untyped-def]
    """Darken the ground where parts keep the light off: capsules, lying down."""
    size = out.shape[1]
    field[:] = _ZERO
    for p in range(cast.shape[0]):
        ax, ay, bx, by, radius = cast[p, 0], cast[p, 1], cast[p, 2], cast[p, 3], cast[p, 4]
        reach = radius * f32(1.5) + _ONE
        tall = reach * squash + _ONE
        left, right = max(min(ax, bx) - reach, _ZERO), min(max(ax, bx) + reach, f32(size))
        top, bottom = max(min(ay, by) - tall, max(horizon, _ZERO)), min(max(ay, by) + tall, f32(size))
        if left >= right or top >= bottom:
            continue
        dx, dy = bx - ax, (by - ay) / squash
        long = dx * dx + dy * dy + f32(1e-3)
        for y in range(np.int32(top), np.int32(bottom)):
            py = (f32(y) + _HALF - ay) / squash
            for x in range(np.int32(left), np.int32(right)):
                px = f32(x) + _HALF - ax
                t = min(max((px * dx + py * dy) / long, _ZERO), _ONE)
                ex, ey = px - t * dx, py - t * dy
                away = np.sqrt(ex * ex + ey * ey) / reach
                shade = _ONE - smooth(min(away, _ONE))
                field[y, x] = max(field[y, x], shade)
    for y in range(size):
        for x in range(size):
            if field[y, x] > _ZERO:
                scale = _ONE - dark * min(field[y, x] * f32(1.4), _ONE)
                for c in range(3):
                    out[c, y, x] *= scale


@formula
def _inside(shape, x, y):  # type: ignore[no-untyped-def]
    """How far inside a shape, in pixels: a rectangle or an ellipse, turned."""
    px, py = x - shape[0], y - shape[1]
    u = abs(px * shape[5] + py * shape[4])
    v = abs(py * shape[5] - px * shape[4])
    if shape[6] > _HALF:
        e, f = u / shape[2], v / shape[3]
        return (_ONE - np.sqrt(e * e + f * f)) * min(shape[2], shape[3])
    return min(shape[2] - u, shape[3] - v)


@stage
def paint_shape(shape, soft, out):  # type: ignore[no-untyped-def]
    """A flat thing behind the body."""
    if shape[2] <= _ZERO:
        return
    size = out.shape[1]
    reach = shape[2] + shape[3] + soft
    for y in range(np.int32(max(shape[1] - reach, _ZERO)), np.int32(min(shape[1] + reach, f32(size)))):
        shade = _ONE - f32(0.25) * (f32(y) - shape[1]) / reach
        for x in range(np.int32(max(shape[0] - reach, _ZERO)), np.int32(min(shape[0] + reach, f32(size)))):
            share = min(max(_inside(shape, f32(x) + _HALF, f32(y) + _HALF) / soft + _HALF, _ZERO), _ONE)
            if share > _ZERO:
                for c in range(3):
                    out[c, y, x] += (shape[7 + c] * shade - out[c, y, x]) * share


@stage
def paint_before(b, ground, hidden, out):  # type: ignore[no-untyped-def]
    """Things before the body; `hidden` (S, S) is set where they are."""
    size = out.shape[1]
    hidden[:] = False
    for i in range(CLUTTER, CLUTTER + FRONT):
        shape = ground.shapes[b, i]
        if shape[2] <= _ZERO:
            continue
        reach = shape[2] + shape[3]
        for y in range(np.int32(max(shape[1] - reach, _ZERO)), np.int32(min(shape[1] + reach, f32(size)))):
            for x in range(np.int32(max(shape[0] - reach, _ZERO)), np.int32(min(shape[0] + reach, f32(size)))):
                inside = _inside(shape, f32(x) + _HALF, f32(y) + _HALF)
                if inside > _ZERO:
                    hidden[y, x] = True
                    edge = f32(0.6) + f32(0.4) * min(inside / (shape[2] * f32(0.8)), _ONE)
                    for c in range(3):
                        out[c, y, x] = shape[7 + c] * edge
