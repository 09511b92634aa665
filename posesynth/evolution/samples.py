"""Samples of evolved poses: the i-th is seen in the view, with the noise, of sample i of the generator.

genes -> directions -> turned as a whole -> carried by the view -> P3D, P2D, O
"""

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth import kinematics as k
from posesynth import rng
from posesynth.compilation import kernel, stage
from posesynth.errors import whole_number
from posesynth.kernel import FLOATS, NO_FLOATS, _pose, _see, _stack, plan
from posesynth.rng import BLOCK
from posesynth.sampler import check_arrays, field_shape
from posesynth.skeleton import Skeleton
from posesynth.transpose import to_records
from posesynth.trigonometry import f32

_CHUNK = 32 * BLOCK  # samples a thread takes at a time
_ANY = (-1.0, 2.0)  # lo, span: a word as an angle of any size, in half turns
_STEPS = f32(2**23)  # of a word's 24 bits in a half turn
_ZERO, _ONE, _TWO = f32(0), f32(1), f32(2)


def evolved_into(
    skeleton: Skeleton,
    seed: int,
    genes: NDArray[np.float32],
    start: int,
    arrays: Mapping[str, NDArray[Any]],
    threads: int = 1,
) -> None:
    """Fill arrays, as `posesynth.sampler.sample_into` does, with samples from `start` on of a set.

    genes: (n, 3 E + 4) of all its samples, C-contiguous.  Raises InputError on arrays that are not a field's, or that
    reach beyond n.
    """
    count = check_arrays(skeleton, arrays)
    start = whole_number("start", start, 0, len(genes) - count)
    made = plan(skeleton)
    anywhere = np.full((skeleton.edges, 2), _ANY, np.float32)
    tables = made.tables._replace(first=anywhere, second=anywhere)
    width = {name: math.prod(field_shape(skeleton, name)) for name in (*FLOATS, "visibility")}
    flat = tuple(arrays[name].reshape(-1) if name in arrays else NO_FLOATS for name in FLOATS)
    seen = arrays["visibility"].reshape(-1) if "visibility" in arrays else np.empty(0, np.bool_)

    def run(first: int) -> None:
        stop = min(first + _CHUNK, count)
        outs = tuple(array[first * width[name] : stop * width[name]] for name, array in zip(FLOATS, flat, strict=True))
        visible = seen[first * width["visibility"] : stop * width["visibility"]]
        poses = genes[start + first : start + stop]
        see_evolved(
            tables, made.layout, made.workspace(), np.uint64(seed), np.uint64(start + first), poses, outs, visible
        )

    chunks = range(0, count, _CHUNK)
    if threads == 1 or len(chunks) < 2:
        for first in chunks:
            run(first)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, chunks))


@kernel
def see_evolved(tables, layout, workspace, seed, start, genes, outs, seen):  # type: ignore[no-untyped-def]
    """Samples start, start + 1, ... of the poses `genes`, as `posesynth.kernel.generate` writes them."""
    words, rows, _, frames, scratch = workspace
    edges, count = len(tables.parent), len(genes)
    joints = edges + 1
    o = 3 * joints
    up = o + 3 * edges
    rotation = up + 2 * edges
    image = rotation + 9
    visible = image + 2 * joints
    plain = len(tables.distance) == 0 and tables.sigma == 0 and tables.missing == 0
    view, turn = _stack(scratch, 0, 9), _stack(scratch, 9, 9)

    for first in range(0, count, BLOCK):
        index = start + np.uint64(first)
        here = min(BLOCK, count - first)
        rng.fill(words, 3, seed, index, rng.VIEW)
        k.view_rotation(words, tables.yaw, tables.pitch, tables.roll, view)
        _turns(genes[first : first + here], 3 * edges, turn)
        k.carry(view, turn, _stack(rows, rotation, 9))
        _unpack(genes[first : first + here], edges, words, rows, o)

        if len(outs[3]) > 0:
            upright = _stack(scratch, 15, 9)
            k.identity(upright)
            _pose(tables, words, upright, frames, scratch, rows, o, up, 2)
        _pose(tables, words, _stack(rows, rotation, 9), frames, scratch, rows, o, o + 1, 3)
        if not plain:
            _see(tables, words, seed, index, rows, image, visible, _stack(scratch, 0, 1))

        for i in range(5):
            if len(outs[i]) > 0:
                to_records(rows, layout[i], len(outs[i]) // count, outs[i], first, here)
        if len(seen) > 0:
            for s in range(here):
                for j in range(joints):
                    seen[(first + s) * joints + j] = plain or rows[(visible + j) * BLOCK + s] != _ZERO


@stage
def _unpack(genes, edges, words, rows, o):  # type: ignore[no-untyped-def]
    """Angles as the words that the sampler would have drawn for them, and the lengths."""
    for s in range(len(genes)):
        for g in range(2 * edges):
            steps = np.int64((genes[s, g] + _ONE) * _STEPS) & np.int64(0xFFFFFF)
            words[(2 * (g % edges) + g // edges) * BLOCK + s] = np.uint32(steps << np.int64(8))
        for e in range(edges):
            rows[(o + 3 * e) * BLOCK + s] = genes[s, 2 * edges + e]


@stage
def _turns(genes, at, out):  # type: ignore[no-untyped-def]
    """Rotation matrices, a stack of 9, of the quaternions that begin at gene `at`."""
    for s in range(len(genes)):
        w, x, y, z = genes[s, at], genes[s, at + 1], genes[s, at + 2], genes[s, at + 3]
        out[s] = _ONE - _TWO * (y * y + z * z)
        out[BLOCK + s] = _TWO * (x * y - w * z)
        out[2 * BLOCK + s] = _TWO * (x * z + w * y)
        out[3 * BLOCK + s] = _TWO * (x * y + w * z)
        out[4 * BLOCK + s] = _ONE - _TWO * (x * x + z * z)
        out[5 * BLOCK + s] = _TWO * (y * z - w * x)
        out[6 * BLOCK + s] = _TWO * (x * z - w * y)
        out[7 * BLOCK + s] = _TWO * (y * z + w * x)
        out[8 * BLOCK + s] = _ONE - _TWO * (x * x + y * y)
