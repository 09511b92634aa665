"""Picture i is a pure function of (skeleton, seed, i, size): what it holds, and the function that gives pictures.

pose of sample i -> body -> camera -> {parts -> depth -> shading} over {background} -> lens
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from posesynth.compilation import kernel
from posesynth.errors import whole_number
from posesynth.kinematics import forward
from posesynth.render.anatomy import Role, anatomy
from posesynth.render.background import ground, paint_before, paint_behind, paint_photograph
from posesynth.render.body import body
from posesynth.render.camera import shoot, view
from posesynth.render.draws import Draws
from posesynth.render.lens import develop, lens
from posesynth.render.look import look
from posesynth.render.photographs import Photographs
from posesynth.render.raster import Parts, labels, surface
from posesynth.render.shade import shade
from posesynth.rng import BLOCK
from posesynth.sampler import check_range, check_skeleton, cores, sample
from posesynth.skeleton import Skeleton

IMAGE_VERSION = 1
"""Changes whenever any byte of any picture does."""

SMALLEST, LARGEST = 32, 2048
"""Pixels a side."""

PIXELS_AT_ONCE = 2**22
"""Rendered in one call, about a quarter of a second: Ctrl-C waits for its end."""


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
    skeleton: Skeleton, seed: int, start: int, stop: int, size: int = 256,
    backgrounds: str | os.PathLike[str] | Photographs | None = None,
    *, threads: int | None = None,
) -> ImageBatch:  # fmt: skip
    """Pictures start..stop-1 of the endless set (skeleton, seed), size x size pixels, of the poses of these samples.

    Picture i shows the up pose of sample i, seen as `posesynth.render.camera` says: the pose's noise and missing joints
    are not for pictures, which have their own.  0 <= seed < 2^64, 0 <= start <= stop <= 2^64, 32 <= size <= 2048.
    backgrounds: a folder of photographs to stand behind the bodies, of which the pictures are then a function too;
    without it, surroundings are drawn.  threads: how many to use (default: one for each core this process may use).
    Raises InputError on a value outside these.
    """
    check_skeleton(skeleton)
    seed, start, stop = check_range(seed, start, stop)
    size = whole_number("size", size, SMALLEST, LARGEST)
    photographs = Photographs.given(backgrounds)
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
        _render_block(skeleton, seed, start + first, made, first, min(first + BLOCK, count), photographs, threads)
    return made


Tables = TypeVar("Tables", bound=tuple[NDArray[Any], ...])


def laid_out(tables: Tables) -> Tables:
    """The same arrays C-contiguous: one layout, for which one kernel is compiled."""
    kind: Any = type(tables)
    made: Tables = kind(*(np.ascontiguousarray(table) for table in tables))
    return made


def _render_block(
    skeleton: Skeleton, seed: int, start: int, made: ImageBatch, first: int, last: int,
    photographs: Photographs | None, threads: int,
) -> None:  # fmt: skip
    """Pictures start, start + 1, ... into places first..last-1 of `made`: at most BLOCK."""
    count, size = last - first, made.image.shape[1]
    drawn = Draws(seed, start, start + count)
    batch = sample(skeleton, seed, start, start + count, extras=("o_up", "rotation"), threads=1)
    assert batch.o_up is not None
    assert batch.rotation is not None
    upright = forward(batch.o_up, skeleton)
    flesh = body(skeleton, upright, drawn)
    rotation, free = view(skeleton, batch.rotation, drawn)
    shot = shoot(skeleton, upright, flesh, rotation, free, drawn, size)
    roles = anatomy(skeleton)
    looks = look(roles, shot.up, drawn)
    around = ground(shot, Role.PALM not in roles.roles, looks.light, looks.tint, drawn, size)
    glass = lens(drawn)
    places = None if photographs is None else photographs.places(drawn)
    parts = Parts(
        shot.ends, shot.radii, shot.axis, flesh.squeeze, flesh.offset, flesh.region, flesh.blend, shot.scale, shot.p2d,
        shot.depth, shot.flesh,
    )  # fmt: skip
    parts, looks, around, glass = laid_out(parts), laid_out(looks), laid_out(around), laid_out(glass)
    made.p2d[first:last] = shot.p2d
    made.p3d[first:last] = shot.p3d

    def work(mine: range) -> None:
        shown = made.image[first:last], made.visible[first:last], made.silhouette[first:last]
        if photographs is None or places is None:
            none = np.empty((0, size, size, 3), np.uint8)
            at_once = max(1, PIXELS_AT_ONCE // size**2)
            for some in (mine[k : k + at_once] for k in range(0, len(mine), at_once)):
                _pictures(some.start, some.stop, some.step, parts, looks, around, glass, none, *shown)
            return
        for b in mine:
            square = photographs.square(places, b, size)[None]
            _pictures(b, b + 1, 1, parts, looks, around, glass, square, *shown)

    helpers = min(threads, count)
    shares = [range(k, count, helpers) for k in range(helpers)]
    if helpers == 1:
        work(shares[0])
        return
    with ThreadPoolExecutor(helpers) as pool:
        list(pool.map(work, shares))


@kernel
def _pictures(  # type: ignore[no-untyped-def]
    first, last, step, parts, looks, around, glass, squares, image, visible, silhouette
):
    """Pictures first, first + step, ... before `last` of a block, into their places of the last three.

    One call for many: each return to Python waits for the interpreter, and with it for every other thread.
    squares: (1, S, S, 3) uint8, a photograph to stand behind the one body; or (0, S, S, 3).
    """
    size = image.shape[1]
    depth, field = np.empty((size, size), np.float32), np.empty((size, size), np.float32)
    normal, picture = np.empty((3, size, size), np.float32), np.empty((3, size, size), np.float32)
    part = np.empty((size, size), np.int32)
    hidden = np.empty((size, size), np.bool_)
    for b in range(first, last, step):
        surface(b, parts, depth, part, normal)
        if len(squares):
            paint_photograph(squares[0], picture)
        else:
            paint_behind(b, around, field, picture)
        shade(b, parts, looks, depth, part, normal, picture)
        paint_before(b, around, hidden, picture)
        labels(b, parts, depth, part, hidden, visible[b], silhouette[b])
        develop(b, glass, picture, normal, image[b])
