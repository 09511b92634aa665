"""Picture i is a pure function of (skeleton, seed, i, size): what it holds, and the function that gives pictures.

pose of sample i -> body -> camera -> {parts -> depth -> shading} over {background} -> lens
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from posesynth.compilation import kernel
from posesynth.errors import whole_number
from posesynth.kinematics import forward
from posesynth.render.anatomy import anatomy
from posesynth.render.background import Ground, ground, paint_before, paint_behind
from posesynth.render.body import body
from posesynth.render.camera import shoot, view
from posesynth.render.draws import Draws, Floats
from posesynth.render.lens import Lens, expose, lens
from posesynth.render.look import Look, look
from posesynth.render.raster import clear, draw_part
from posesynth.render.shade import shade
from posesynth.rng import BLOCK
from posesynth.sampler import check_range, check_skeleton, cores, sample
from posesynth.skeleton import Skeleton
from posesynth.trigonometry import f32

IMAGE_VERSION = 1
"""Changes whenever any byte of any picture does."""


@dataclass(frozen=True, eq=False, repr=False)
class ImageBatch:
    """B pictures and what they show.

    image: (B, S, S, 3) uint8 RGB.
    p2d: (B, N, 2) float32 pixels, x right, y **down**, (0, 0) the upper left corner, pixel centres at .5.
    visible: (B, N) bool, inside the picture and hidden neither by the body nor by something before it.
    p3d: (B, N, 3) float32 in the camera's frame (x right, y away, z up), in longest edges, the root at the origin.
    silhouette: (B, S, S) bool, where the picture shows the body.
    start: index of the first.
    """

    image: NDArray[np.uint8]
    p2d: NDArray[np.float32]
    visible: NDArray[np.bool_]
    p3d: NDArray[np.float32]
    silhouette: NDArray[np.bool_]
    start: int

    def __len__(self) -> int:
        return len(self.image)

    def __repr__(self) -> str:
        return f"ImageBatch(image {self.image.shape}, p2d {self.p2d.shape}, start={self.start})"


def render(
    skeleton: Skeleton, seed: int, start: int, stop: int, size: int = 256, backgrounds: Any = None,
    *, threads: int | None = None,
) -> ImageBatch:  # fmt: skip
    """Pictures start..stop-1 of the endless set (skeleton, seed): size x size pixels, of the poses of these samples."""
    check_skeleton(skeleton)
    seed, start, stop = check_range(seed, start, stop)
    size = whole_number("size", size, 32, 2048)
    threads = cores() if threads is None else whole_number("threads", threads, 1)
    count, joints = stop - start, len(skeleton.joints)
    made = ImageBatch(
        np.empty((count, size, size, 3), np.uint8),
        np.empty((count, joints, 2), np.float32),
        np.empty((count, joints), np.bool_),
        np.empty((count, joints, 3), np.float32),
        np.empty((count, size, size), np.bool_),
        start,
    )
    for first in range(0, count, BLOCK):
        _render_block(skeleton, seed, start + first, made, first, min(first + BLOCK, count), size, threads)
    return made


class Scene(NamedTuple):
    """What the kernel paints: B pictures' parts, in pixels, and joints."""

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


def _render_block(
    skeleton: Skeleton, seed: int, start: int, made: ImageBatch, first: int, last: int, size: int, threads: int
) -> None:
    drawn = Draws(seed, start, start + last - first)
    batch = sample(skeleton, seed, start, start + last - first, extras=("o_up", "rotation"), threads=1)
    assert batch.o_up is not None and batch.rotation is not None
    upright = forward(batch.o_up, skeleton)
    flesh = body(skeleton, upright, drawn)
    rotation, free = view(skeleton, batch.rotation, drawn)
    shot = shoot(skeleton, upright, flesh, rotation, free, drawn, size)
    looks = look(anatomy(skeleton), shot.up, drawn)
    around = ground(shot, looks.light, looks.tint, drawn, size)
    glass = lens(drawn)
    scene = Scene(
        shot.ends, shot.radii, shot.axis, flesh.squeeze, flesh.offset, flesh.region, flesh.blend, shot.scale, shot.p2d,
        shot.depth, shot.flesh,
    )  # fmt: skip
    scene = Scene(*(np.ascontiguousarray(array) for array in scene))
    looks = Look(*(np.ascontiguousarray(array) for array in looks))
    around = Ground(*(np.ascontiguousarray(array) for array in around))
    glass = Lens(*(np.ascontiguousarray(array) for array in glass))
    made.p2d[first:last] = shot.p2d
    made.p3d[first:last] = shot.p3d

    def work(part: range) -> None:
        for b in part:
            at = first + b
            paint(b, scene, looks, around, glass, made.image[at], made.silhouette[at], made.visible[at])

    count = last - first
    helpers = min(threads, count)
    shares = [range(k, count, helpers) for k in range(helpers)]
    if helpers == 1:
        work(shares[0])
        return
    with ThreadPoolExecutor(helpers) as pool:
        list(pool.map(work, shares))


@kernel
def paint(b, scene, look, ground, lens, image, silhouette, visible):  # type: ignore[no-untyped-def]
    """Picture b: image (S, S, 3), silhouette (S, S), visible (N,)."""
    size = image.shape[0]
    depth = np.empty((size, size), np.float32)
    part = np.empty((size, size), np.int32)
    normal = np.empty((size, size, 3), np.float32)
    field = np.empty((size, size), np.float32)
    picture = np.empty((size, size, 3), np.float32)
    clear(depth, part, normal)
    for p in range(scene.ends.shape[1]):
        draw_part(
            scene.ends[b, p], scene.radii[b, p], scene.axis[b, p], scene.squeeze[b, p], scene.blend[p], np.int32(p),
            depth, part, normal,
        )  # fmt: skip
    paint_behind(b, ground, field, picture)
    shade(
        b, scene.ends[b], scene.axis[b], scene.offset[b], scene.region, scene.scale[b], look, depth, part, normal,
        picture,
    )  # fmt: skip
    silhouette[:] = False
    paint_before(ground.shapes[b], part, silhouette, picture)
    for j in range(len(visible)):
        x, y = scene.p2d[b, j, 0], scene.p2d[b, j, 1]
        seen = x >= f32(0) and y >= f32(0) and x < f32(size) and y < f32(size)
        if seen:
            u, v = np.int32(x), np.int32(y)
            seen = depth[v, u] >= scene.depth[b, j] - f32(2) * scene.flesh[b, j] and not silhouette[v, u]
        visible[j] = seen
    for y in range(size):
        for x in range(size):
            silhouette[y, x] = part[y, x] >= 0 and not silhouette[y, x]
    expose(b, lens, picture, normal, image)
