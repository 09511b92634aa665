"""Sample i is a pure function of (skeleton, seed, i): what a sample holds, and the functions that give samples."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, did_you_mean, shown, whole_number
from .kernel import FLOATS, NO_FLOATS, generate, plan
from .rng import BLOCK
from .skeleton import Skeleton

STREAM_VERSION = 1
"""Changes whenever any byte of any sample does; stands in every manifest."""

FIELDS = ("p2d", "o", "p3d", "o_up", "rotation", "visibility")

Outs = tuple[NDArray[np.float32], ...]
"""Flat outputs in the order of FLOATS, empty where not wanted."""

_CHUNK = 32 * BLOCK  # samples a thread takes at a time: a few MB of output


@dataclass(frozen=True, eq=False, repr=False)
class Batch:
    """B consecutive samples, float32 (or as a data set stores them).  What was not asked for is None.

    p2d: (B, N, 2), image plane (x right, z up), NaN where a joint is not seen.
    o: (B, E, 3), (r, theta, phi) of each bone of the rotated pose, radians, canonical.
    p3d: (B, N, 3), the rotated pose, root at the origin.
    o_up: (B, E, 3), the bones before the rotation.
    rotation: (B, 3, 3), R with p = R p_up for column vectors.
    visibility: (B, N) bool, False where a joint is not seen.
    """

    p2d: NDArray[np.float32]
    o: NDArray[np.float32]
    p3d: NDArray[np.float32] | None = None
    o_up: NDArray[np.float32] | None = None
    rotation: NDArray[np.float32] | None = None
    visibility: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.p2d)

    def __repr__(self) -> str:
        arrays = (f"{f.name} {getattr(self, f.name).shape}" for f in fields(self) if getattr(self, f.name) is not None)
        return f"Batch({', '.join(arrays)})"


def field_shape(skeleton: Skeleton, name: str) -> tuple[int, ...]:
    """Shape of one sample's `name`, one of FIELDS."""
    edges = skeleton.edges
    joints = edges + 1
    return {
        "p2d": (joints, 2),
        "o": (edges, 3),
        "p3d": (joints, 3),
        "o_up": (edges, 3),
        "rotation": (3, 3),
        "visibility": (joints,),
    }[name]


def field_dtype(name: str) -> type[np.generic]:
    """bool for visibility, float32 for the others."""
    return np.bool_ if name == "visibility" else np.float32


def sample(
    skeleton: Skeleton,
    seed: int = 0,
    start: int = 0,
    stop: int = 1,
    extras: Sequence[str] = (),
    threads: int | None = None,
) -> Batch:
    """Samples start..stop-1 of the endless set (skeleton, seed).

    seed, start, stop: 0 <= seed < 2^64, 0 <= start <= stop <= 2^64.  extras: any of p3d, o_up, rotation, visibility.
    threads: how many to use (default: one for each core this process may use).
    Raises InputError on a value outside these.
    """
    check_skeleton(skeleton)
    seed, start, stop = check_range(seed, start, stop)
    check_extras(extras)
    names = dict.fromkeys(("p2d", "o", *extras))
    arrays = {name: np.empty((stop - start, *field_shape(skeleton, name)), field_dtype(name)) for name in names}
    sample_into(skeleton, seed, start, arrays, threads)
    return Batch(**arrays)


def check_extras(extras: Sequence[str]) -> None:
    """Raise InputError unless `extras` is a sequence of FIELDS."""
    if isinstance(extras, str):
        raise InputError(f"extras: is '{extras[:40]}'; expected a sequence of names, such as ('p3d',)")
    for name in extras:
        check_field(name)


def check_skeleton(skeleton: Skeleton) -> None:
    """Raise InputError unless it is a Skeleton, as a name or a path is not."""
    if not isinstance(skeleton, Skeleton):
        raise InputError(f"skeleton: is {shown(skeleton)}; expected what posesynth.load_skeleton gives")


def check_field(name: str) -> None:
    """Raise InputError unless `name` is one of FIELDS."""
    if name not in FIELDS:
        raise InputError(
            f"arrays: no array is called '{name}'; expected {', '.join(FIELDS)}{did_you_mean(name, FIELDS)}"
        )


def sample_into(
    skeleton: Skeleton, seed: int, start: int, arrays: Mapping[str, NDArray[Any]], threads: int | None = 1
) -> None:
    """Fill arrays with consecutive samples from index `start`: C-contiguous, first axis the sample, keys from FIELDS.

    threads: None for one a core.  Threads change nothing but the time.
    """
    count = check_arrays(skeleton, arrays)
    start = whole_number("start", start, 0, 2**64 - count)
    seed, start, _ = check_range(seed, start, start + count)
    threads = cores() if threads is None else whole_number("threads", threads, 1)
    made = plan(skeleton)

    def make(first: int, stop: int, outs: Outs, seen: NDArray[np.bool_]) -> None:
        at = np.uint64(start + first)
        generate(made.tables, made.layout, made.workspace(), np.uint64(seed), at, stop - first, outs, seen)

    in_chunks(skeleton, arrays, count, threads, make)


def in_chunks(
    skeleton: Skeleton,
    arrays: Mapping[str, NDArray[Any]],
    count: int,
    threads: int,
    make: Callable[[int, int, Outs, NDArray[np.bool_]], None],
) -> None:
    """Have arrays of `count` samples filled by threads, some samples at a time.

    ``make(first, stop, outs, seen)`` fills those from first to stop - 1; `outs` and `seen` as the kernels want them.
    """
    flat = tuple(arrays[name].reshape(-1) if name in arrays else NO_FLOATS for name in FLOATS)
    seen = arrays["visibility"].reshape(-1) if "visibility" in arrays else _NO_BOOLS
    width = {name: math.prod(field_shape(skeleton, name)) for name in FIELDS}

    def run(first: int) -> None:
        stop = min(first + _CHUNK, count)
        outs = tuple(array[first * width[name] : stop * width[name]] for name, array in zip(FLOATS, flat, strict=True))
        visible = seen[first * width["visibility"] : stop * width["visibility"]]
        make(first, stop, outs, visible)

    chunks = iter(range(0, count, _CHUNK))

    def work() -> None:
        for first in chunks:
            run(first)

    helpers = min(threads, -(-count // _CHUNK)) - 1
    if helpers < 1:
        work()
        return
    with ThreadPoolExecutor(helpers) as pool:
        helping = [pool.submit(work) for _ in range(helpers)]
        try:
            work()  # here too: a caller that waits is woken at every chunk, and takes time from those at work
        finally:
            for _ in chunks:  # interrupted, leave the helpers nothing
                pass
    for helper in helping:
        helper.result()


_NO_BOOLS = np.empty(0, np.bool_)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def own_cores() -> int:
    """This process's share of them: ranks that `torchrun` has started beside it have theirs."""
    beside = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, cores() // max(1, int(beside) if beside.isdecimal() else 1))


def check_range(seed: int, start: int, stop: int) -> tuple[int, int, int]:
    """The three as Python integers; InputError unless 0 <= seed < 2^64 and 0 <= start <= stop <= 2^64."""
    seed = whole_number("seed", seed, 0, 2**64 - 1)
    start = whole_number("start", start, 0, 2**64)
    return seed, start, whole_number("stop", stop, start, 2**64)


def check_arrays(skeleton: Skeleton, arrays: Mapping[str, NDArray[Any]]) -> int:
    """The number of samples that `arrays` hold; InputError where a name, shape, dtype or layout is not a field's."""
    counts = set()
    for name, array in arrays.items():
        check_field(name)
        shape, dtype = field_shape(skeleton, name), np.dtype(field_dtype(name))
        right = array.shape[1:] == shape and array.dtype == dtype
        if not right or not array.flags.c_contiguous or not array.flags.behaved:
            expected = f"C-contiguous, writeable {dtype} of (count, {', '.join(map(str, shape))})"
            raise InputError(f"{name}: is {array.dtype} {array.shape}; expected {expected}")
        counts.add(len(array))
    if len(counts) != 1:
        raise InputError(f"arrays: have lengths {sorted(counts)}; expected one length")
    return counts.pop()
