"""The kernel that makes samples, and the tables and workspace it runs on.

    words -> lengths, up angles -> directions -> carried by the view -> P3D, P2D, O   (equation 7)

BLOCK samples are made at a time, each quantity a row; the rows that were asked for are then transposed into records.
Draws of the POSE stream: words 2e and 2e + 1 are edge e's two angles, word 2E + c the length of class c (symmetric
bones share a class); word 3 of the VIEW stream says whether the pose is a usual one.  A word says where in its range an
angle lies; where that depends on something, words are changed first (`dependence`), and all that follows knows of none.
"""

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import dependence, rng
from . import kinematics as k
from .compilation import formula, kernel, stage
from .rng import BLOCK
from .skeleton import Range, Skeleton
from .transpose import TILE, to_records
from .trigonometry import f32

FLOATS = ("p2d", "o", "p3d", "o_up", "rotation")
"""The float32 fields, in the order of the kernel's outputs."""

NO_FLOATS = np.empty(0, np.float32)


class Tables(NamedTuple):
    """A skeleton as the kernel sees it.  Angles in half turns; (lo, span) pairs are float32 rows of two."""

    parent: NDArray[np.int32]  # (E,) node
    flexed: NDArray[np.bool_]  # (E,) angles are flexion and abduction, not theta and phi
    frame: NDArray[np.int32]  # (E,) slot of the frame the angles are given in, -1 for the view's
    keeps: NDArray[np.int32]  # (E,) slot where the bone leaves its own frame, -1 where no child wants it
    first: NDArray[np.float32]  # (E, 2) theta or flexion
    second: NDArray[np.float32]  # (E, 2) phi or abduction
    share: NDArray[np.int32]  # (E,) length class
    vanishes: NDArray[np.bool_]  # (E,) the bone's length may come out as 0
    length: NDArray[np.float32]  # (C, 2)
    yaw: NDArray[np.float32]  # (2,)
    pitch: NDArray[np.float32]  # (2,) of the sine
    roll: NDArray[np.float32]  # (2,)
    distance: NDArray[np.float32]  # (2,), empty when orthographic
    sigma: np.float32
    missing: np.uint64  # a joint is not seen when its word falls below this
    draws: dependence.Draws
    squeezes: dependence.Squeezes


class Workspace(NamedTuple):
    """A thread's scratch: flat arrays of rows."""

    words: NDArray[np.uint32]
    rows: NDArray[np.float32]  # as Rows says
    lengths: NDArray[np.float32]  # a row a class, and their maximum
    frames: NDArray[np.float32]  # a stack of 9 a slot
    scratch: NDArray[np.float32]


class Rows:
    """Which row of the workspace holds what."""

    def __init__(self, edges: int) -> None:
        joints = edges + 1
        self.p3d = 0
        self.o = self.p3d + 3 * joints
        self.up = self.o + 3 * edges  # theta, phi of the upright pose
        self.rotation = self.up + 2 * edges
        self.image = self.rotation + 9  # x, z as the camera sees them
        self.visible = self.image + 2 * joints
        self.total = self.visible + joints


class Plan:
    """Tables, the order of each field's rows, and a workspace for each thread."""

    def __init__(self, skeleton: Skeleton) -> None:
        self.tables = _tables(skeleton)
        edges, joints = skeleton.edges, skeleton.edges + 1
        rows = Rows(edges)
        # As the kernel judges it: a probability below 2^-33, say, is none.
        plain = len(self.tables.distance) == 0 and self.tables.sigma == 0 and self.tables.missing == 0
        e, n = np.arange(edges), np.arange(joints)
        orders: tuple[NDArray[Any], ...] = (
            rows.p3d + 3 * n[:, None] + [0, 2] if plain else rows.image + np.arange(2 * joints),
            rows.o + np.arange(3 * edges),
            rows.p3d + np.arange(3 * joints),
            np.stack([rows.o + 3 * e, rows.up + 2 * e, rows.up + 2 * e + 1], axis=1),
            rows.rotation + np.arange(9),
        )
        self.layout = tuple(_padded(order) for order in orders)
        self._local = threading.local()
        classes = len(self.tables.length)
        slots = max(int(self.tables.keeps.max()) + 1, 1)
        words = -(-max(2 * edges + classes, 2 * joints) // 4) * 4
        self._rows = (words, rows.total, classes + 1, 9 * slots, 24)  # of each part of a workspace

    def workspace(self) -> Workspace:
        """This thread's scratch."""
        if not hasattr(self._local, "workspace"):
            words, *floats = self._rows
            self._local.workspace = Workspace(
                np.zeros(words * BLOCK, np.uint32), *(np.zeros(rows * BLOCK, np.float32) for rows in floats)
            )
        return self._local.workspace  # type: ignore[no-any-return]


@lru_cache(maxsize=32)
def plan(skeleton: Skeleton) -> Plan:
    """The skeleton's plan; kept, for making one costs more than a batch."""
    return Plan(skeleton)


def _padded(order: NDArray[Any]) -> NDArray[np.int32]:
    flat = order.reshape(-1).astype(np.int32)
    return np.pad(flat, (0, -len(flat) % TILE))


def _tables(skeleton: Skeleton) -> Tables:
    edges = skeleton.edges
    sampling = skeleton.sampling
    parent = np.array(skeleton.parents[1:], np.int32)  # a copy: a read-only array would compile another kernel
    carriers = [skeleton.carrier(e) for e in range(edges)]
    slot = {edge: i for i, edge in enumerate(sorted({c for c in carriers if c >= 0}))}
    share = np.arange(edges)
    if sampling.symmetric_lengths:
        for a, b in skeleton.symmetric:
            share[max(a, b)] = share[min(a, b)]
    classes, share = np.unique(share, return_inverse=True)
    lengths = [skeleton.ranges[c].length for c in classes]
    longest = max(high for _, high in lengths)
    # The least a drawn length can be, over the most the longest can: far above what float32 rounds to 0.
    vanishes = np.array([max(low, high * 2.0**-25) < longest * 2.0**-100 for low, high in lengths])
    pitch = [dependence.sine(bound) for bound in sampling.pitch]
    half_turns = 1 / 180
    return Tables(
        parent=parent,
        flexed=np.array([r.angles == "flexion" for r in skeleton.ranges]),
        frame=np.array([slot[c] if c >= 0 else -1 for c in carriers], np.int32),
        keeps=np.array([slot.get(e, -1) for e in range(edges)], np.int32),
        first=_spans([r.first for r in skeleton.ranges], half_turns),
        second=_spans([r.second for r in skeleton.ranges], half_turns),
        share=share.astype(np.int32),
        vanishes=vanishes[share],
        length=_spans(lengths, 1.0),
        yaw=_spans([sampling.yaw], half_turns)[0],
        pitch=_spans([(pitch[0], pitch[1])], 1.0)[0],
        roll=_spans([sampling.roll], half_turns)[0],
        distance=NO_FLOATS if sampling.distance is None else _spans([sampling.distance], 1.0)[0],
        sigma=f32(sampling.noise),
        missing=np.uint64(round(sampling.missing * 2**32)),
        draws=dependence.draws(skeleton),
        squeezes=dependence.squeezes(skeleton),
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


@kernel
def generate(  # type: ignore[no-untyped-def]
    tables, layout, workspace, seed, start, count, outs, seen
):
    """Samples start..start + count - 1 of (tables, seed) into flat outputs.

    outs: the arrays of FLOATS in that order, empty where not wanted; seen: visibility, likewise.
    """
    words, rows, lengths, _, scratch = workspace
    edges = len(tables.parent)
    classes = len(tables.length)
    longest = stack(lengths, classes, 1)

    for first in range(0, count, BLOCK):
        index = start + np.uint64(first)
        draw_view(tables, words, seed, index, scratch, stack(rows, view_row(edges), 9))

        rng.fill(words, 2 * edges + classes, seed, index, rng.POSE)
        if _depends(tables):
            room, mostly = stack(scratch, 0, 3), stack(scratch, 3, 1)
            dependence.depend(words, tables.draws, tables.squeezes, edges, room, mostly)
        longest[:] = f32(0)
        for c in range(classes):
            drawn = stack(lengths, c, 1)
            k.uniform(stack(words, 2 * edges + c, 1), tables.length[c, 0], tables.length[c, 1], drawn)
            k.largest(drawn, longest)
        for e in range(edges):
            k.divide(stack(lengths, tables.share[e], 1), longest, stack(rows, length_row(edges, e), 1))

        write(tables, layout, workspace, seed, index, first, count, outs, seen)


@stage
def stack(rows, first, count):  # type: ignore[no-untyped-def]
    """Rows first..first + count - 1."""
    return rows[first * BLOCK : (first + count) * BLOCK]


@formula
def view_row(edges):  # type: ignore[no-untyped-def]
    """Where `write` finds the views, a stack of 9."""
    return 3 * (edges + 1) + 5 * edges


@formula
def length_row(edges, e):  # type: ignore[no-untyped-def]
    """Where `write` finds the lengths of edge e, over the longest."""
    return 3 * (edges + 1) + 3 * e


@formula
def _depends(tables):  # type: ignore[no-untyped-def]
    return len(tables.draws.parent) > 0 or len(tables.squeezes.target) > 0 or tables.squeezes.usual > 0


# The next two are inlined, as if they stood in the kernels that share them.


@formula
def draw_view(tables, words, seed, index, scratch, out):  # type: ignore[no-untyped-def]
    """The views of BLOCK samples, a stack of 9.

    Where angles depend on others, row 3 of `scratch` tells from then on which poses are usual ones.
    """
    rng.fill(words, 4, seed, index, rng.VIEW)
    if _depends(tables):
        dependence.depend_view(words, tables.squeezes, stack(scratch, 0, 3), stack(scratch, 3, 1))
    k.view_rotation(words, tables.yaw, tables.pitch, tables.roll, out)


@formula
def write(tables, layout, workspace, seed, index, first, count, outs, seen):  # type: ignore[no-untyped-def]
    """BLOCK samples into the outputs, from place `first` of `count`; `index` is the first one's number.

    They stand in the workspace: `view_row`, `length_row`, and in words 2e and 2e + 1 the angles of edge e.
    """
    words, rows, _, frames, scratch = workspace
    edges = len(tables.parent)
    joints = edges + 1
    o = 3 * joints
    up = o + 3 * edges
    image = up + 2 * edges + 9
    visible = image + 2 * joints
    plain = len(tables.distance) == 0 and tables.sigma == 0 and tables.missing == 0
    here = min(BLOCK, count - first)

    if len(outs[3]) > 0:
        upright = stack(scratch, 15, 9)
        k.identity(upright)
        _pose(tables, words, upright, frames, scratch, rows, o, up, 2)
    _pose(tables, words, stack(rows, view_row(edges), 9), frames, scratch, rows, o, o + 1, 3)
    if not plain:
        _see(tables, words, seed, index, rows, image, visible, stack(scratch, 0, 1))

    for i in range(5):
        if len(outs[i]) > 0:
            to_records(rows, layout[i], len(outs[i]) // count, outs[i], first, here)
    if len(seen) > 0:
        for s in range(here):
            for j in range(joints):
                seen[(first + s) * joints + j] = plain or rows[(visible + j) * BLOCK + s] != f32(0)


@stage
def _pose(tables, words, root, frames, scratch, rows, o, angles, step):  # type: ignore[no-untyped-def]
    """All bones of a pose whose world axes are turned by `root`.

    theta and phi of edge e go to rows ``angles + step * e`` and the next; the joints' positions to the first rows.
    r of edge e stands ready in row ``o + 3 * e``.
    """
    local, d, turn = stack(scratch, 0, 3), stack(scratch, 3, 3), stack(scratch, 6, 9)
    for e in range(len(tables.parent)):
        drawn = stack(words, 2 * e, 2)
        frame = root if tables.frame[e] < 0 else stack(frames, 9 * tables.frame[e], 9)
        if tables.flexed[e]:
            k.flexion_direction(drawn, tables.first[e], tables.second[e], local)
        else:
            k.spherical_direction(drawn, tables.first[e], tables.second[e], local)
        k.rotate(frame, local, d)
        if tables.keeps[e] >= 0:
            if tables.flexed[e]:
                k.flexion_turn(drawn, tables.first[e], tables.second[e], turn)
            else:
                k.spherical_turn(drawn, tables.first[e], tables.second[e], turn)
            k.carry(frame, turn, stack(frames, 9 * tables.keeps[e], 9))
        r = stack(rows, o + 3 * e, 1)
        theta_phi = stack(rows, angles + step * e, 2)
        k.to_angles(d, theta_phi)
        if tables.vanishes[e]:
            k.zero_without_length(r, theta_phi)
        k.place(stack(rows, 3 * tables.parent[e], 3), r, d, stack(rows, 3 * (e + 1), 3))


@stage
def _see(tables, words, seed, index, rows, image, visible, distance):  # type: ignore[no-untyped-def]
    """The camera's side of a sample: projection, noise, joints not seen."""
    joints = len(tables.parent) + 1
    if len(tables.distance) > 0:
        rng.fill(words, 1, seed, index, rng.CAMERA)
        k.uniform(words, tables.distance[0], tables.distance[1], distance)
        for j in range(joints):
            k.perspective(stack(rows, 3 * j, 3), distance, stack(rows, image + 2 * j, 2))
    else:
        for j in range(joints):
            k.orthographic(stack(rows, 3 * j, 3), stack(rows, image + 2 * j, 2))
    if tables.sigma > 0:
        rng.fill(words, 2 * joints, seed, index, rng.NOISE)
        for j in range(joints):
            k.add_normal(stack(words, 2 * j, 2), tables.sigma, stack(rows, image + 2 * j, 2))
    rng.fill(words, joints, seed, index, rng.MISSING)
    for j in range(joints):
        k.hide(stack(words, j, 1), tables.missing, stack(rows, image + 2 * j, 2), stack(rows, visible + j, 1))
