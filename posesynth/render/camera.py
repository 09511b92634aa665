"""The camera: from which side a pose is seen, and where its parts come to lie in the picture.

A skeleton that narrows its view (``sampling.view``) is seen from there, as its sample is.  With the default view - any
rotation - the pictures are taken as a person would film: 85 % turned any way about the vertical, seen from 8 degrees
below to 32 above, the camera held within 12 degrees of level; 15 % from anywhere.  ``sampling.distance`` holds for
pictures too; without it half are orthographic, and half by a pinhole camera 4 to 12 times as far away as the farthest
joint is from the root.

The picture's frame is (x right, y down, depth away), in pixels, (0, 0) its upper left corner.
"""

from dataclasses import dataclass

import numpy as np

from posesynth.render import draws
from posesynth.render.draws import Draws, Floats, rotated, turns
from posesynth.render.parts import Body
from posesynth.skeleton import Sampling, Skeleton
from posesynth.trigonometry import f32

FREE = 0.15
"""The share of pictures taken from anywhere."""

_PITCH = (-0.139, 0.53)  # sines of 8 degrees below and 32 above
_ROLL = 12 / 180


@dataclass
class Shot:
    """B bodies in their pictures.

    p3d: (B, N, 3) joints in the camera's frame (x right, y away, z up), units of the longest edge.
    p2d: (B, N, 2) joints in pixels; depth: (B, N) of joints, in pixels; flesh: (B, N) around joints, in pixels.
    ends: (B, P, 2, 3), radii: (B, P, 2), axis: (B, P, 3) of the body's parts, in pixels.
    up: (B, 3) unit, the way up in the picture's frame.  free: (B,) bool, seen from anywhere, so that no ground shows.
    scale: (B,) pixels a longest edge.
    """

    p3d: Floats
    p2d: Floats
    depth: Floats
    flesh: Floats
    ends: Floats
    radii: Floats
    axis: Floats
    up: Floats
    free: np.ndarray
    scale: Floats


def view(skeleton: Skeleton, rotation: Floats, drawn: Draws) -> tuple[Floats, np.ndarray]:
    """(B, 3, 3) rotations from the upright pose to the camera's frame, and (B,) which are seen from anywhere.

    rotation: those of the samples.
    """
    default = Sampling()
    chosen = skeleton.sampling
    free = drawn.uniform(draws.CAMERA, 0) < f32(FREE)
    if (chosen.yaw, chosen.pitch, chosen.roll) != (default.yaw, default.pitch, default.roll):
        return rotation, np.zeros_like(free)
    yaw_sin, yaw_cos = turns(drawn.uniform(draws.CAMERA, 1, -1.0, 1.0))
    roll_sin, roll_cos = turns(drawn.uniform(draws.CAMERA, 2, -_ROLL, _ROLL))
    pitch_sin = drawn.uniform(draws.CAMERA, 3, *_PITCH)
    pitch_cos = np.sqrt(f32(1) - pitch_sin * pitch_sin)
    filmed = np.empty_like(rotation)
    # R = Ry(roll) Rx(pitch) Rz(yaw), as docs/conventions.md has it.
    filmed[:, 0, 0] = roll_cos * yaw_cos + roll_sin * (pitch_sin * yaw_sin)
    filmed[:, 0, 1] = roll_sin * (pitch_sin * yaw_cos) - roll_cos * yaw_sin
    filmed[:, 0, 2] = roll_sin * pitch_cos
    filmed[:, 1, 0] = pitch_cos * yaw_sin
    filmed[:, 1, 1] = pitch_cos * yaw_cos
    filmed[:, 1, 2] = -pitch_sin
    filmed[:, 2, 0] = roll_cos * (pitch_sin * yaw_sin) - roll_sin * yaw_cos
    filmed[:, 2, 1] = roll_sin * yaw_sin + roll_cos * (pitch_sin * yaw_cos)
    filmed[:, 2, 2] = roll_cos * pitch_cos
    return np.where(free[:, None, None], rotation, filmed), free


def shoot(
    skeleton: Skeleton, up: Floats, body: Body, rotation: Floats, free: np.ndarray, drawn: Draws, size: int
) -> Shot:
    """Turn, project and frame upright poses `up` (B, N, 3) and their bodies."""
    batch, parts = body.radii.shape[:2]
    p3d = rotated(rotation, up)
    ends = rotated(rotation, body.ends.reshape(batch, 2 * parts, 3))
    axis = rotated(rotation, body.axis)

    nearness = _nearness(skeleton, p3d, drawn)  # 0: orthographic
    joint_scale = _perspective(nearness, p3d[:, :, 1])
    end_scale = _perspective(nearness, ends[:, :, 1])
    radii = body.radii.reshape(batch, 2 * parts) * end_scale
    x, z = ends[:, :, 0] * end_scale, ends[:, :, 2] * end_scale
    wide = np.maximum(np.repeat(body.squeeze, 2, axis=1), f32(1)) * radii
    held = np.repeat(body.framed, 2)
    around = np.minimum(wide, radii * f32(1.2))
    scale, dx, dy = _frame(x[:, held], z[:, held], around[:, held], drawn, size)
    s, ox, oy = scale[:, None], dx[:, None], dy[:, None]

    p2d = np.stack([ox + s * p3d[:, :, 0] * joint_scale, oy - s * p3d[:, :, 2] * joint_scale], axis=-1)
    pixels = np.stack([ox + s * x, oy - s * z, s * ends[:, :, 1]], axis=-1)
    return Shot(
        p3d,
        p2d,
        s * p3d[:, :, 1],
        np.maximum(s * body.thickness * joint_scale, _LEAST),
        pixels.reshape(batch, parts, 2, 3),
        np.maximum(s * radii, _LEAST).reshape(batch, parts, 2),
        _to_picture(axis),
        _to_picture(rotation[:, :, 2]),
        free,
        scale,
    )


_LEAST = f32(0.9)  # pixels: the pixel a joint lies in always belongs to the flesh around it


def _to_picture(v: Floats) -> Floats:
    """(x right, y away, z up) -> (x right, y down, depth)."""
    return np.stack([v[..., 0], -v[..., 2], v[..., 1]], axis=-1)


def _nearness(skeleton: Skeleton, p3d: Floats, drawn: Draws) -> Floats:
    """(B, 1): one over the camera's distance, 0 for an orthographic one."""
    u = drawn.uniform(draws.CAMERA, 4)
    if skeleton.sampling.distance is not None:
        low, high = skeleton.sampling.distance
        given: Floats = (f32(1) / drawn.uniform(draws.CAMERA, 5, low, high))[:, None]
        return given
    reach = np.sqrt((p3d * p3d).max(axis=(1, 2))) * f32(1.7320508) + f32(0.1)
    times = drawn.uniform(draws.CAMERA, 5, 4.0, 12.0)
    nearness: Floats = np.where(u < f32(0.5), f32(0), f32(1) / (times * reach))[:, None]
    return nearness


def _perspective(nearness: Floats, y: Floats) -> Floats:
    scale: Floats = f32(1) / np.maximum(f32(1) + nearness * y, f32(0.2))
    return scale


def _frame(x: Floats, z: Floats, radii: Floats, drawn: Draws, size: int) -> tuple[Floats, Floats, Floats]:
    """Pixels a unit, and where the root's axis comes to lie: the body fills most of the picture, seldom too much."""
    left, right = (x - radii).min(axis=1), (x + radii).max(axis=1)
    low, high = (z - radii).min(axis=1), (z + radii).max(axis=1)
    width, height = right - left, high - low
    extent = np.maximum(np.maximum(width, height), f32(1e-3))
    cut = drawn.uniform(draws.CAMERA, 6) < f32(0.12)
    fill = np.where(cut, drawn.uniform(draws.CAMERA, 7, 0.95, 1.35), drawn.uniform(draws.CAMERA, 7, 0.55, 0.92)).astype(
        np.float32
    )
    scale = f32(size) * fill / extent

    def centre(low_edge: Floats, high_edge: Floats, sign: float, place: int) -> Floats:
        room = abs(f32(size) - scale * (high_edge - low_edge)) * f32(0.5)
        shift = room * drawn.uniform(draws.CAMERA, place, -0.85, 0.85)
        middle: Floats = f32(size / 2) - f32(sign) * scale * (low_edge + high_edge) * f32(0.5) + shift
        return middle

    return scale, centre(left, right, 1.0, 8), centre(low, high, -1.0, 9)
