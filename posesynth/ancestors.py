"""From motion files to an evolved population: the initial poses, the generations, and samples of them."""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.conditional_ranges import range_left
from posesynth.coverage import JointMap
from posesynth.coverage.body import Poses, poses
from posesynth.coverage.readings import read_angles
from posesynth.errors import InputError, error_line, whole_number
from posesynth.evolution import (
    GROWTH,
    LARGEST,
    MOST_BYTES,
    Ancestry,
    Source,
    evolved_into,
    grow,
    in_range,
    keep,
    order_of_samples,
)
from posesynth.evolution.operators import pose_words
from posesynth.kernel import plan
from posesynth.motion import Motion
from posesynth.rng import BLOCK
from posesynth.sampler import Batch, check_extras, check_skeleton, cores, field_dtype, field_shape
from posesynth.skeleton import Skeleton
from posesynth.store import Plan

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Evolved:
    """A population of poses of a skeleton: ``len`` of them in random order, ``initial`` of them as they were given.

    ``frames``: of all motions; ``unseen`` of them show no pose, for want of a heading or of any bone; ``outside`` show
    one that the skeleton's ranges do not hold.  ``generations``: how many it took.  ``born``: (n,) each pose's number
    in the order of birth, below ``initial`` for those given.  ``genes``: (n, 3 E + 4) float32: the first angles of all
    edges, then the second, in half turns, in the frame that the skeleton gives them in; their lengths in units of the
    longest; the turn of the whole pose, a unit quaternion (w, x, y, z).
    """

    skeleton: Skeleton
    seed: int
    frames: int
    unseen: int
    outside: int
    ancestry: Ancestry
    born: NDArray[np.int32]
    genes: NDArray[np.float32]

    @property
    def initial(self) -> int:
        """How many poses were given and lie in range."""
        return len(self.ancestry.initial)

    @property
    def generations(self) -> int:
        """How many generations followed."""
        return self.ancestry.generations

    def __len__(self) -> int:
        return len(self.genes)

    def __repr__(self) -> str:
        return (
            f"<Evolved: {len(self)} poses of {self.skeleton.name}, {self.initial} initial, "
            f"{self.generations} generations, seed {self.seed}>"
        )

    def sample(self, start: int, stop: int, extras: Sequence[str] = (), threads: int | None = None) -> Batch:
        """Samples start..stop-1: poses in the views, with the noise, of those samples of (skeleton, seed).

        0 <= start <= stop <= len.  extras: any of p3d, o_up, rotation, visibility.  Raises InputError on others.
        """
        start = whole_number("start", start, 0, len(self))
        stop = whole_number("stop", stop, start, len(self))
        check_extras(extras)
        names = dict.fromkeys(("p2d", "o", *extras))
        shapes = {name: (stop - start, *field_shape(self.skeleton, name)) for name in names}
        arrays: dict[str, NDArray[Any]] = {name: np.empty(shapes[name], field_dtype(name)) for name in names}
        threads = cores() if threads is None else whole_number("threads", threads, 1)
        evolved_into(self.skeleton, self.seed, self.genes, start, arrays, threads)
        return Batch(**arrays)

    def plan(self, **options: Any) -> Plan:
        """What `posesynth.store.generate` writes as a data set.  options: shard, arrays, dtype of `Plan`."""
        keep(self.skeleton, self.seed, self.ancestry, self.genes)
        return Plan(self.skeleton, self.seed, len(self), ancestry=self.ancestry, **options)


def evolve(
    skeleton: Skeleton,
    motions: Motion | Sequence[Motion],
    joint_map: JointMap | None = None,
    *,
    target: int | None = None,
    generations: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Evolved:
    """Poses bred from those of `motions`, by EvoSkeleton's operators and the skeleton's ranges.

    motions: what `posesynth.motion.load_motion` gives; joint_map: what `posesynth.coverage.load_map` gives, or None to
    match joints by name.  target: how many poses there shall be, the initial ones among them (default: 2.5 times as
    many); or generations: how many to breed.  Equal poses and seed give equal bytes.  threads: None for one a core.
    progress: called with the number of poses that each generation adds.
    Raises InputError: joints or a heading that cannot be found, fewer than two poses in range, more than a set can
    carry, a target below the initial poses, both of target and generations.
    """
    check_skeleton(skeleton)
    clips = [motions] if isinstance(motions, Motion) else list(motions)
    if target is not None and generations is not None:
        raise InputError("target: is given beside generations; expected one of the two")
    seed = whole_number("seed", seed, 0, 2**64 - 1)
    if generations is not None:
        generations = whole_number("generations", generations, 0, 10**6)
    if threads is not None:
        threads = whole_number("threads", threads, 1)
    initial, kept, frames = _initial(skeleton, clips, joint_map or JointMap(), seed)
    count = len(initial)
    if generations is None:
        target = math.floor(GROWTH * count) if target is None else whole_number("target", target, 1, LARGEST)
        if target < count:
            raise InputError(f"target: is {target}; expected at least the {count} initial poses, which stay")
    genes, took = grow(
        skeleton, seed, initial, target=target, generations=generations, threads=threads, progress=progress
    )
    sources = tuple(
        Source(os.path.basename(clip.source), _digest(clip), len(clip.positions), poses_)
        for clip, poses_ in zip(clips, kept, strict=True)
    )
    name = None if joint_map is None else os.path.basename(joint_map.source)
    ancestry = Ancestry(initial, took, sources, name)
    seen, held = frames
    born = order_of_samples(len(genes), seed)
    return Evolved(
        skeleton=skeleton,
        seed=seed,
        frames=len(seen),
        unseen=int((~seen).sum()),
        outside=int((seen & ~held).sum()),
        ancestry=ancestry,
        born=born,
        genes=genes[born],
    )


def _initial(
    skeleton: Skeleton, clips: list[Motion], joint_map: JointMap, seed: int
) -> tuple[NDArray[np.float32], list[int], tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """The poses in range (P, E, 3), how many each clip gives, and of each frame whether it is seen and in range."""
    if not clips:
        raise InputError("motions: there is none; expected at least one")
    found = [poses(skeleton, clip, joint_map) for clip in clips]
    together = Poses(*(np.concatenate([getattr(p, name) for p in found]) for name in ("directions", "lengths")))
    seen = np.asarray(np.isfinite(together.lengths).any(axis=1))
    where = clips[0].source
    if not seen.any():
        found_none = "no frames" if not len(seen) else f"no bone of '{skeleton.name}' is seen in any frame"
        raise InputError(error_line(where, f" {found_none}; expected poses"))
    whole = _whole(skeleton, together, seed)
    held = in_range(skeleton, whole) & seen
    count = int(held.sum())
    if count < 2:
        shown = (
            f"{count} of {int(seen.sum())} poses {'lie' if count != 1 else 'lies'} in the ranges of '{skeleton.name}'"
        )
        raise InputError(error_line(where, f" {shown}; expected two or more (posesynth coverage tells what leaks)"))
    if whole[held].nbytes > MOST_BYTES:
        most = MOST_BYTES // whole[0].nbytes
        raise InputError(error_line(where, f" {count} poses in range; expected at most {most}, which a set can carry"))
    ends = np.cumsum([len(clip.positions) for clip in clips])
    kept = [int(part.sum()) for part in np.split(held, ends[:-1])]
    return whole[held], kept, (seen, held)


def _whole(skeleton: Skeleton, seen: Poses, seed: int) -> NDArray[np.float32]:
    """(T, E, 3) angles in half turns and lengths over the longest; what a frame does not show is drawn.

    Where a bone was not seen, the words of sample t of the generator, t the frame, say where in its ranges, or in what
    other angles leave of them, its angles lie; its length is that of the bone that shares it, or else the sample's at
    the scale of the bones that were seen.
    """
    made = plan(skeleton)
    edges, share, length = skeleton.edges, made.tables.share, made.tables.length.astype(np.float64)
    words = _words(seed, len(seen.lengths), 2 * edges + len(length))
    first, second = read_angles(skeleton, seen.directions)
    unknown = np.isnan(first)
    for e in range(edges):  # parents first
        for which, angles in enumerate((first, second)):
            low, high = range_left(skeleton, e, which, first, second)
            drawn = low + words[:, 2 * e + which] * 2.0**-24 * (high - low)
            angles[:, e] = np.where(unknown[:, e], drawn, angles[:, e])
    drawn = length[share, 0] + (words[:, 2 * edges + share] + 1) * 2.0**-24 * length[share, 1]
    known = np.isfinite(seen.lengths)
    given = np.where(known, seen.lengths, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # frames that show nothing, which nobody uses
        scale = given.sum(axis=1, keepdims=True) / np.sum(drawn, axis=1, keepdims=True, where=known)
        drawn *= scale
        for c in range(len(length)):
            mean = given[:, share == c].sum(axis=1) / known[:, share == c].sum(axis=1)
            drawn[:, share == c] = np.where(np.isfinite(mean)[:, None], mean[:, None], drawn[:, share == c])
        lengths = np.where(known, seen.lengths, drawn)
        lengths /= lengths.max(axis=1, keepdims=True)
    return np.stack([_half_turns(first), _half_turns(second), lengths], axis=-1).astype(np.float32)


def _words(seed: int, frames: int, count: int) -> NDArray[np.int64]:
    """(T, count) the first 24 bits of words 0..count-1 of the POSE stream, of samples 0..T-1."""
    found = np.empty((frames, count), np.int64)
    block = np.empty(-(-count // 4) * 4 * BLOCK, np.uint32)
    for start in range(0, frames, BLOCK):
        pose_words(block, count, np.uint64(seed), np.uint64(start))
        rows = block.reshape(-1, BLOCK)[:count, : frames - start]
        found[start : start + BLOCK] = (rows >> 8).T
    return found


def _half_turns(degrees: Array) -> Array:
    """Angles in [-1, 1)."""
    return np.asarray((degrees / 180 + 1) % 2 - 1)


def _digest(motion: Motion) -> str | None:
    """SHA-256 (hex) of the file a motion was read from; None where there is no such file."""
    try:
        with open(motion.source, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
