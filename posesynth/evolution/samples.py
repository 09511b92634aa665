"""Samples of evolved poses: the i-th is seen in the view, with the noise, of sample i of the generator.

genes -> directions -> turned as a whole -> carried by the view -> P3D, P2D, O
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth import kinematics as k
from posesynth.compilation import kernel, stage
from posesynth.errors import whole_number
from posesynth.kernel import draw_view, length_row, plan, stack, view_row, write
from posesynth.rng import BLOCK
from posesynth.sampler import Outs, check_arrays, in_chunks
from posesynth.skeleton import Skeleton
from posesynth.trigonometry import f32

_ANY = (-1.0, 2.0)  # lo, span: a word as an angle of any size, in half turns
_STEPS = f32(2**23)  # of a word's 24 bits in a half turn
_ONE, _TWO = f32(1), f32(2)


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

    def make(first: int, stop: int, outs: Outs, seen: NDArray[np.bool_]) -> None:
        poses, at = genes[start + first : start + stop], np.uint64(start + first)
        see_evolved(tables, made.layout, made.workspace(), np.uint64(seed), at, poses, outs, seen)

    in_chunks(skeleton, arrays, count, threads, make)


@kernel
def see_evolved(tables, layout, workspace, seed, start, genes, outs, seen):  # type: ignore[no-untyped-def]
    """Samples start, start + 1, ... of the poses `genes`, as `posesynth.kernel.generate` writes them."""
    words, rows, _, _, scratch = workspace
    edges, count = len(tables.parent), len(genes)
    view, turn = stack(scratch, 4, 9), stack(scratch, 13, 9)

    for first in range(0, count, BLOCK):
        here = genes[first : first + BLOCK]
        index = start + np.uint64(first)
        draw_view(tables, words, seed, index, scratch, view)
        _turns(here, 3 * edges, turn)
        k.carry(view, turn, stack(rows, view_row(edges), 9))
        _unpack(here, edges, words, rows)
        write(tables, layout, workspace, seed, index, first, count, outs, seen)


@stage
def _unpack(genes, edges, words, rows):  # type: ignore[no-untyped-def]
    """Angles as the words that the sampler would have drawn for them, and the lengths."""
    for s in range(len(genes)):
        for g in range(2 * edges):
            steps = np.int64((genes[s, g] + _ONE) * _STEPS) & np.int64(0xFFFFFF)
            words[(2 * (g % edges) + g // edges) * BLOCK + s] = np.uint32(steps << np.int64(8))
        for e in range(edges):
            rows[length_row(edges, e) * BLOCK + s] = genes[s, 2 * edges + e]


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
