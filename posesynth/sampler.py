"""Sample i is a pure function of (skeleton, seed, i): `sample`, and the kernel behind it.

    words -> lengths, up angles -> directions -> carried by the view -> P3D, P2D, O   (equation 7)

The kernel makes BLOCK samples at a time, each quantity a row, then transposes the rows that were asked for into
records.  Draws of the POSE stream: words 2e and 2e + 1 are edge e's two angles, word 2E + c the length of class c
(symmetric bones share a class).
"""

import math
import operator
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from . import kinematics as k
from . import rng
from .compilation import kernel
from .errors import InputError, did_you_mean
from .rng import BLOCK
from .skeleton import Range, Skeleton
from .transpose import TILE, to_records
from .trigonometry import f32, sincospi

STREAM_VERSION = 1
"""Changes whenever any byte of any sample does; stands in every manifest."""

FIELDS = ("p2d", "o", "p3d", "o_up", "rotation", "visibility")
_FLOATS = FIELDS[:5]

_CHUNK = 32 * BLOCK  # samples a thread takes at a time: a few MB of output


@dataclass(frozen=True)
class Batch:
    """B consecutive samples, float32.  What was not asked for is None.

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
    seed, start, stop = check_range(seed, start, stop)
    for name in extras:
        check_field(name)
    names = dict.fromkeys(("p2d", "o", *extras))
    arrays = {name: np.empty((stop - start, *field_shape(skeleton, name)), field_dtype(name)) for name in names}
    sample_into(skeleton, seed, start, arrays, threads)
    return Batch(**arrays)


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
    start = _whole("start", start)
    seed, start, _ = check_range(seed, start, start + count)
    if threads is None:
        threads = cores()
    elif _whole("threads", threads) < 1:
        raise InputError(f"threads: is {threads}; expected at least 1, or None for one a core")
    plan = _plan(skeleton)
    flat = tuple(arrays[name].reshape(-1) if name in arrays else _NO_FLOATS for name in _FLOATS)
    seen = arrays["visibility"].reshape(-1) if "visibility" in arrays else _NO_BOOLS
    width = {name: math.prod(field_shape(skeleton, name)) for name in FIELDS}

    def run(first: int) -> None:
        stop = min(first + _CHUNK, count)
        outs = tuple(array[first * width[name] : stop * width[name]] for name, array in zip(_FLOATS, flat, strict=True))
        visible = seen[first * width["visibility"] : stop * width["visibility"]]
        _generate(
            plan.tables,
            plan.layout,
            plan.workspace(),
            np.uint64(seed),
            np.uint64(start + first),
            stop - first,
            outs,
            visible,
        )

    chunks = range(0, count, _CHUNK)
    if threads == 1 or len(chunks) <= 1:
        for first in chunks:
            run(first)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(run, chunks):
                pass


_NO_FLOATS = np.empty(0, np.float32)
_NO_BOOLS = np.empty(0, np.bool_)


def cores() -> int:
    """How many processors this process may use."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_range(seed: int, start: int, stop: int) -> tuple[int, int, int]:
    """The three as Python integers; InputError unless 0 <= seed < 2^64 and 0 <= start <= stop <= 2^64."""
    seed, start, stop = _whole("seed", seed), _whole("start", start), _whole("stop", stop)
    if not 0 <= seed < 2**64:
        raise InputError(f"seed: is {seed}; expected a whole number from 0 to 2^64 - 1")
    if not 0 <= start <= stop <= 2**64:
        raise InputError(f"start, stop: are {start}, {stop}; expected 0 <= start <= stop <= 2^64")
    return seed, start, stop


def _whole(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(f"{name}: is {str(value)[:40]!r}; expected a whole number") from None


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


class _Tables(NamedTuple):
    """A skeleton as the kernel sees it.  Angles in half turns; (lo, span) pairs are float32 rows of two."""

    parent: NDArray[np.int32]  # (E,) node
    flexed: NDArray[np.bool_]  # (E,) angles are flexion and abduction, not theta and phi
    frame: NDArray[np.int32]  # (E,) slot of the frame the angles are given in; slot 0 is the view
    keeps: NDArray[np.int32]  # (E,) slot where the bone leaves its own frame, -1 where no child wants it
    first: NDArray[np.float32]  # (E, 2) theta or flexion
    second: NDArray[np.float32]  # (E, 2) phi or abduction
    share: NDArray[np.int32]  # (E,) length class
    length: NDArray[np.float32]  # (C, 2)
    yaw: NDArray[np.float32]  # (2,)
    pitch: NDArray[np.float32]  # (2,) of the sine
    roll: NDArray[np.float32]  # (2,)
    distance: NDArray[np.float32]  # (2,), empty when orthographic
    sigma: np.float32
    missing: np.uint64  # a joint is not seen when its word falls below this


class _Rows:
    """Which row of the kernel's workspace holds what."""

    def __init__(self, edges: int) -> None:
        joints = edges + 1
        self.p3d = 0
        self.o = self.p3d + 3 * joints
        self.up = self.o + 3 * edges  # theta, phi of the upright pose
        self.rotation = self.up + 2 * edges
        self.image = self.rotation + 9  # x, z as the camera sees them
        self.visible = self.image + 2 * joints
        self.total = self.visible + joints


class _Plan:
    """Tables, the order of each field's rows, and a workspace for each thread."""

    def __init__(self, skeleton: Skeleton) -> None:
        self.tables = _tables(skeleton)
        edges, joints = skeleton.edges, skeleton.edges + 1
        rows = _Rows(edges)
        # As the kernel judges it: a probability below 2^-33, say, is none.
        plain = len(self.tables.distance) == 0 and self.tables.sigma == 0 and self.tables.missing == 0
        e, n = np.arange(edges), np.arange(joints)
        p2d = rows.p3d + 3 * n[:, None] + [0, 2] if plain else rows.image + np.arange(2 * joints)
        o_up = np.stack([rows.o + 3 * e, rows.up + 2 * e, rows.up + 2 * e + 1], axis=1)
        orders = (
            p2d,
            rows.o + np.arange(3 * edges),
            rows.p3d + np.arange(3 * joints),
            o_up,
            rows.rotation + np.arange(9),
        )
        self.layout = tuple(_padded(order) for order in orders)
        self._local = threading.local()
        classes = len(self.tables.length)
        slots = max(self.tables.keeps.max() + 1, 1)
        self._sizes = (-(-(2 * edges + classes) // 4) * 4, rows.total, classes, slots, -(-2 * joints // 4) * 4)

    def workspace(self) -> "_Workspace":
        """This thread's scratch rows."""
        if not hasattr(self._local, "workspace"):
            pose, total, classes, slots, image = self._sizes
            self._local.workspace = _Workspace(
                words=np.empty((max(pose, image), BLOCK), np.uint32),
                rows=np.zeros((total, BLOCK), np.float32),
                lengths=np.empty((classes + 1, BLOCK), np.float32),
                frames=np.empty((slots, 9, BLOCK), np.float32),
                scratch=np.empty((20, BLOCK), np.float32),
            )
        return self._local.workspace  # type: ignore[no-any-return]


class _Workspace(NamedTuple):
    words: NDArray[np.uint32]
    rows: NDArray[np.float32]
    lengths: NDArray[np.float32]  # a row a class, and their maximum
    frames: NDArray[np.float32]  # (slots, 9, BLOCK)
    scratch: NDArray[np.float32]


def _padded(order: NDArray[np.int64]) -> NDArray[np.int32]:
    flat = order.reshape(-1).astype(np.int32)
    return np.pad(flat, (0, -len(flat) % TILE))


@lru_cache(maxsize=32)
def _plan(skeleton: Skeleton) -> _Plan:
    return _Plan(skeleton)


def _tables(skeleton: Skeleton) -> _Tables:
    edges = skeleton.edges
    sampling = skeleton.sampling
    parent = np.array(skeleton.parents[1:], np.int32)  # a copy: a read-only array would compile another kernel
    carried = [r.frame == "parent" and p > 0 for r, p in zip(skeleton.ranges, parent, strict=True)]
    wanted = sorted({int(p) - 1 for p, c in zip(parent, carried, strict=True) if c})
    slot = {edge: i + 1 for i, edge in enumerate(wanted)}
    share = np.arange(edges)
    if sampling.symmetric_lengths:
        for a, b in skeleton.symmetric:
            share[max(a, b)] = share[min(a, b)]
    classes, share = np.unique(share, return_inverse=True)
    half_turns = 1 / 180
    pitch = [float(sincospi.py_func(f32(p / 180))[0]) for p in sampling.pitch]
    return _Tables(
        parent=parent,
        flexed=np.array([r.angles == "flexion" for r in skeleton.ranges]),
        frame=np.array([slot[int(p) - 1] if c else 0 for p, c in zip(parent, carried, strict=True)], np.int32),
        keeps=np.array([slot.get(e, -1) for e in range(edges)], np.int32),
        first=_spans([r.first for r in skeleton.ranges], half_turns),
        second=_spans([r.second for r in skeleton.ranges], half_turns),
        share=share.astype(np.int32),
        length=_spans([skeleton.ranges[c].length for c in classes], 1.0),
        yaw=_spans([sampling.yaw], half_turns)[0],
        pitch=_spans([(pitch[0], pitch[1])], 1.0)[0],
        roll=_spans([sampling.roll], half_turns)[0],
        distance=_NO_FLOATS if sampling.distance is None else _spans([sampling.distance], 1.0)[0],
        sigma=f32(sampling.noise),
        missing=np.uint64(round(sampling.missing * 2**32)),
    )


def _spans(ranges: Sequence[Range], scale: float) -> NDArray[np.float32]:
    """(lo, span) in float32 such that lo + u span stays at or below hi for every u <= 1."""
    pairs = []
    for low, high in ranges:
        lo, hi = f32(low * scale), f32(high * scale)
        span = f32(hi - lo)
        while lo + span > hi:
            span = np.nextafter(span, f32(0))
        pairs.append((lo, span))
    return np.array(pairs, np.float32).reshape(-1, 2)


@njit(nogil=True)
def _pose(tables, words, frames, scratch, first_row, step, o, rows):  # type: ignore[no-untyped-def]
    """Directions of all bones in the frame at slot 0 -> theta, phi rows ``first_row + step e`` and the one after.

    Yields positions too when step is 3, that is when the rows are those of O: r stands in the row before theta.
    """
    sa, ca, sb, cb = scratch[0], scratch[1], scratch[2], scratch[3]
    local, d, turn = scratch[4:7], scratch[7:10], scratch[10:19]
    for e in range(len(tables.parent)):
        k.sincos_uniform(words[2 * e], tables.first[e, 0], tables.first[e, 1], sa, ca)
        k.sincos_uniform(words[2 * e + 1], tables.second[e, 0], tables.second[e, 1], sb, cb)
        frame = frames[tables.frame[e]]
        if tables.flexed[e]:
            k.flexion_direction(sa, ca, sb, cb, local)
        else:
            k.spherical_direction(sa, ca, sb, cb, local)
        k.rotate(frame, local, d)
        if tables.keeps[e] >= 0:
            if tables.flexed[e]:
                k.flexion_frame(sa, ca, sb, cb, turn)
            else:
                k.spherical_frame(sa, ca, sb, cb, turn)
            k.carry(frame, turn, frames[tables.keeps[e]])
        r = rows[o + 3 * e]
        theta, phi = rows[first_row + step * e], rows[first_row + step * e + 1]
        k.polar(d[0], d[1], d[2], theta)
        k.azimuth(d[0], d[1], phi)
        k.zero_without_length(r, theta)
        k.zero_without_length(r, phi)
        if step == 3:
            for i in range(3):
                k.multiply_add(rows[3 * tables.parent[e] + i], r, d[i], rows[3 * (e + 1) + i])


@kernel
def _generate(tables, layout, workspace, seed, start, count, outs, seen):  # type: ignore[no-untyped-def]
    words, rows, lengths, frames, scratch = workspace
    edges = len(tables.parent)
    classes = len(tables.length)
    joints = edges + 1
    o = 3 * joints
    up = o + 3 * edges
    rotation = up + 2 * edges
    image = rotation + 9
    visible = image + 2 * joints
    plain = len(tables.distance) == 0 and tables.sigma == 0 and tables.missing == 0
    calls = (2 * edges + classes + 3) // 4
    longest = lengths[classes]

    for first in range(0, count, BLOCK):
        index = start + np.uint64(first)
        here = min(BLOCK, count - first)
        r = rows[rotation : rotation + 9]
        rng.fill(words[:4], seed, index, rng.VIEW)
        k.view_rotation(words, tables.yaw, tables.pitch, tables.roll, scratch, r)
        for i in range(9):
            k.copy(r[i], frames[0, i])

        rng.fill(words[: 4 * calls], seed, index, rng.POSE)
        k.constant(f32(0), longest)
        for c in range(classes):
            k.uniform(words[2 * edges + c], tables.length[c, 0], tables.length[c, 1], lengths[c])
            k.largest(lengths[c], longest)
        for e in range(edges):
            k.divide(lengths[tables.share[e]], longest, rows[o + 3 * e])

        _pose(tables, words, frames, scratch, o + 1, 3, o, rows)
        if len(outs[3]) > 0:
            for i in range(9):
                k.constant(f32(1) if i % 4 == 0 else f32(0), frames[0, i])
            _pose(tables, words, frames, scratch, up, 2, o, rows)
        if not plain:
            _see(tables, words, seed, index, rows, image, visible, scratch[0])

        for i in range(5):
            if len(outs[i]) > 0:
                to_records(rows, layout[i], len(outs[i]) // count, outs[i], first, here)
        if len(seen) > 0:
            for s in range(here):
                for j in range(joints):
                    seen[(first + s) * joints + j] = plain or rows[visible + j, s] != f32(0)


@njit(nogil=True)
def _see(tables, words, seed, index, rows, image, visible, distance):  # type: ignore[no-untyped-def]
    """The camera's side of a sample: projection, noise, joints not seen."""
    joints = len(tables.parent) + 1
    if len(tables.distance) > 0:
        rng.fill(words[:4], seed, index, rng.CAMERA)
        k.uniform(words[0], tables.distance[0], tables.distance[1], distance)
    for j in range(joints):
        u, v = rows[image + 2 * j], rows[image + 2 * j + 1]
        if len(tables.distance) > 0:
            k.project(rows[3 * j], rows[3 * j + 1], rows[3 * j + 2], distance, u, v)
        else:
            k.copy(rows[3 * j], u)
            k.copy(rows[3 * j + 2], v)
    if tables.sigma > 0:
        rng.fill(words[: (2 * joints + 3) // 4 * 4], seed, index, rng.NOISE)
        for j in range(joints):
            k.add_normal(words[2 * j : 2 * j + 2], tables.sigma, rows[image + 2 * j], rows[image + 2 * j + 1])
    rng.fill(words[: (joints + 3) // 4 * 4], seed, index, rng.MISSING)
    for j in range(joints):
        k.hide(words[j], tables.missing, rows[image + 2 * j], rows[image + 2 * j + 1], rows[visible + j])
