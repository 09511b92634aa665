"""A population of poses: the real ones it begins with, and the generations that follow.

    each generation: 5 % fathers and as many mothers, at random -> two children a pair -> those in range join

Poses are numbered in the order of their birth, the initial ones first.  Pose k is a pure function of (initial poses,
skeleton, seed, k): draws are keyed by a child's number, so threads change nothing but the time, and a population of n
poses begins a larger one.  A data set shows them in random order: whoever trains takes samples as they come.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError
from posesynth.evolution.operators import breed, join, judge, pair_up, tables
from posesynth.sampler import cores
from posesynth.skeleton import Skeleton

PARENTS = 0.05
"""Share of the population that are fathers in a generation, and as many mothers."""
GROWTH = 2.5
"""Poses over initial poses where nobody says how many."""
LARGEST = 2**31 - 1

_ORDER = np.uint64(2**63)  # children from here on are never born: their words order the samples

_CHUNK = 4096  # children a thread makes at a time
_FRUITLESS = 1000  # generations without a child in range, after which there will be none

Genes = NDArray[np.float32]


def first_generation(initial: Genes) -> Genes:
    """Initial poses (P, E, 3), of each bone two angles in half turns and a length, as rows of genes (P, 3 E + 4)."""
    upright = np.tile(np.array([1, 0, 0, 0], np.float32), (len(initial), 1))
    return np.concatenate([*np.moveaxis(initial, 2, 0), upright], axis=1)


def in_range(skeleton: Skeleton, initial: Genes) -> NDArray[np.bool_]:
    """(P,) whether all bones of a pose lie in the skeleton's ranges."""
    accepted = np.empty(len(initial), np.bool_)
    judge(tables(skeleton), first_generation(initial), accepted)
    return accepted


def grow(
    skeleton: Skeleton,
    seed: int,
    initial: Genes,
    *,
    target: int | None = None,
    generations: int | None = None,
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[Genes, int]:
    """The genes of the population, (n, 3 E + 4), and how many generations it took.

    initial: (P, E, 3), P >= 2.  target: n, at least P; generations: how many, and n is what they give.  progress:
    called with the number of poses that each generation adds.  Raises InputError where no child comes into range, or
    too many do.
    """
    genes = first_generation(initial)
    made, count, done, fruitless = tables(skeleton), len(genes), 0, 0
    children = np.empty((0, genes.shape[1]), np.float32)
    born = np.uint64(count)
    threads = cores() if threads is None else threads
    with ThreadPoolExecutor(threads) as pool:
        while count < target if target is not None else done < (generations or 0):
            parents = pair_up(count, 2 * max(1, math.floor(PARENTS * count)), np.uint64(seed), born)
            if len(children) < len(parents):
                children = np.empty((2 * len(parents), genes.shape[1]), np.float32)
            accepted = _breed(made, genes, parents, seed, born, children, pool if threads > 1 else None)
            done, born = done + 1, born + np.uint64(len(parents))
            added = int(np.count_nonzero(accepted))
            fruitless = 0 if added else fruitless + 1
            if fruitless == _FRUITLESS:
                raise InputError(
                    f"evolution: no child of {_FRUITLESS} generations lies in the ranges of '{skeleton.name}'; "
                    "expected wider ranges, or other poses"
                )
            if target is None and count + added > LARGEST:
                raise InputError(f"generations: {done} give more than {LARGEST} poses; expected fewer")
            added = min(added, (target or LARGEST) - count)
            genes = _with_room(genes, count + added, target)
            join(children, accepted, genes[count : count + added])
            count += added
            if progress:
                progress(added)
    return genes[:count], done


def order_of_samples(count: int, seed: int) -> NDArray[np.int32]:
    """(count,) the number of the pose that each sample shows: a random permutation."""
    return np.asarray(pair_up(count, count, np.uint64(seed), _ORDER))


def _breed(
    made: Any,
    genes: Genes,
    parents: NDArray[np.int32],
    seed: int,
    born: np.uint64,
    children: Genes,
    pool: ThreadPoolExecutor | None,
) -> NDArray[np.bool_]:
    """Make the children of these parents, in order, and tell which of them lie in range."""
    accepted = np.empty(len(parents), np.bool_)

    def run(first: int) -> None:
        part = slice(first, min(first + _CHUNK, len(parents)))
        breed(made, genes, parents[part], np.uint64(seed), born + np.uint64(first), children[part], accepted[part])

    chunks = range(0, len(parents), _CHUNK)
    if pool is None or len(chunks) < 2:
        for first in chunks:
            run(first)
    else:
        list(pool.map(run, chunks))
    return accepted


def _with_room(genes: Genes, needed: int, target: int | None) -> Genes:
    """The genes, in a larger array where `needed` rows do not fit; its memory is only taken when it is written."""
    if needed <= len(genes):
        return genes
    try:
        larger = np.empty((max(needed, 2 * len(genes)) if target is None else target, genes.shape[1]), np.float32)
    except MemoryError:
        raise InputError(f"evolution: not enough memory for {needed} poses; expected a smaller target") from None
    larger[: len(genes)] = genes
    return larger
