"""Angles that depend on others, as changes of the words they are drawn from.

A word says where in its range an angle lies.  Two things can make one depend on another, and both rewrite words
before any angle is made of them, parents before children:

    draws     (`sampling.angles: tree`) the two words of a bone are drawn from those of the example poses whose parent
              bone lies about where this pose's does: a histogram for each of 8 x 8 places of the parent's angles
    squeezes  (a range over another angle; the usual part of a range, in usual poses) a word is squeezed into the part
              of the whole range that is left

A view is squeezed likewise: a usual pose is seen in the usual view.  So samples stay a pure function of
(skeleton, seed, i), and skeletons without any of it cost nothing.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import conditional_ranges
from .compilation import stage
from .joint_tree import mirrored_second
from .rng import BLOCK, U24
from .skeleton import Given, Skeleton
from .trigonometry import f32, sincospi

Array = NDArray[np.float64]

PLACES = 8  # of a parent's angle
CELLS = 16  # of a bone's angle
SLOTS = 1024  # a histogram is a list of so many cells, each as often as it is likely
_ROW = PLACES * PLACES * SLOTS
_PRIOR = 2  # examples' worth of what the bone does whatever its parent does

_BINOMIAL = (1, 4, 6, 4, 1)

_ZERO, _ONE = f32(0), f32(1)
_WHOLE = np.array([0, 1], np.float32)
_ALL = f32(2**24)
_MOST = f32(2**24 - 1)
_EIGHT = np.uint32(8)


class Draws(NamedTuple):
    """Histograms of bones.  Empty where angles are independent."""

    parent: NDArray[np.int32]  # (E,) edge, -1 where the histogram does not depend on one, -2 where there is none
    cells: NDArray[np.uint8]  # (tables * PLACES * PLACES * SLOTS,), CELLS * (that of the first angle) + of the second
    table: NDArray[np.int32]  # (E,) which of the tables


class Squeezes(NamedTuple):
    """Ranges over another angle and usual ranges, parents first.  Positions are shares of whole ranges."""

    target: NDArray[np.int32]  # (D,) row of words
    source: NDArray[np.int32]  # (D,) row of words, any where there are no knots
    begin: NDArray[np.int32]  # (D + 1,) into `knots`
    base: NDArray[np.float32]  # (D, 2) low and span before the first knot
    knots: NDArray[np.float32]  # (K, 4) where a piece begins, 1 / its width, what low and span gain in it
    mostly: NDArray[np.float32]  # (D, 2) the usual part
    usual: np.uint64  # a pose is a usual one when its word falls below this
    usual_view: NDArray[np.float32]  # (3, 2) the usual part of yaw, roll and the sine of pitch


def squeezes(skeleton: Skeleton) -> Squeezes:
    """The tables of all ranges over another angle, and of all usual ranges."""
    rows: list[tuple[int, int]] = []
    begin, base, knots, mostly = [0], [], [], []
    for e, range_ in enumerate(skeleton.ranges):
        hulls = (range_.first, range_.second)
        for which, (given, usual, hull) in enumerate(zip(range_.given, range_.usual, hulls, strict=True)):
            usual = usual if skeleton.sampling.usual > 0 else None
            if hull[0] == hull[1] or (given is None and usual is None):
                continue
            start, row = np.array([0.0, 1.0]), 2 * e + which
            pieces: list[list[float]] = []
            if given is not None:
                bone, angle = conditional_ranges.source(skeleton, e, given)
                whole = (skeleton.ranges[bone].first, skeleton.ranges[bone].second)[angle]
                start, pieces = _pieces(given, whole, hull)
                row = 2 * bone + angle
            rows.append((2 * e + which, row))
            base.append(start)
            knots += pieces
            begin.append(len(knots))
            part = usual or hull
            turn = 360.0 * round((sum(hull) - sum(part)) / 720.0)
            mostly.append([(end + turn - hull[0]) / (hull[1] - hull[0]) for end in part])
    targets = np.array(rows, np.int32).reshape(-1, 2)
    return Squeezes(
        target=np.ascontiguousarray(targets[:, 0]),
        source=np.ascontiguousarray(targets[:, 1]),
        begin=np.array(begin, np.int32),
        base=np.array(base, np.float32).reshape(-1, 2),
        knots=np.array(knots, np.float32).reshape(-1, 4),
        mostly=np.array(mostly, np.float32).reshape(-1, 2),
        usual=np.uint64(round(skeleton.sampling.usual * 2**32)),
        usual_view=_view(skeleton),
    )


def _view(skeleton: Skeleton) -> NDArray[np.float32]:
    """The usual view as shares of the whole, in the order of its words."""
    sampling = skeleton.sampling
    parts = []
    for whole, usual, unit in (
        (sampling.yaw, sampling.usual_yaw, float),
        (sampling.roll, sampling.usual_roll, float),
        (sampling.pitch, sampling.usual_pitch, sine),
    ):
        turn = 360.0 * round((sum(whole) - sum(usual or whole)) / 720.0)
        part = [min(max(bound + turn, whole[0]), whole[1]) for bound in usual or whole]
        if part[0] == part[1] and usual and usual[0] < usual[1]:
            part = list(whole)  # nothing of the usual view is asked for
        low, high, start, end = (unit(bound) for bound in (*whole, *part))
        parts.append([(bound - low) / (high - low) if high > low else 0.0 for bound in (start, end)])
    return np.array(parts, np.float32)


def sine(degrees: float) -> float:
    """Not libm's: the tables are part of the stream."""
    formula: Any = sincospi.py_func  # type: ignore[attr-defined]
    return float(formula(f32(degrees / 180))[0])


def _pieces(given: Given, whole: tuple[float, float], hull: tuple[float, float]) -> tuple[Array, list[list[float]]]:
    """(low, span) at the low end of the other angle's range, and what each piece of it adds."""
    ends = np.array([whole[0], *(at for at in given.at if whole[0] < at < whole[1]), whole[1]])
    low, high = (np.asarray(end) for end in conditional_ranges.between(given, ends))
    low, high = ((end - hull[0]) / (hull[1] - hull[0]) for end in (low, high))
    width = max(whole[1] - whole[0], 1e-9)
    pieces = []
    for i in range(len(ends) - 1):
        gain = [low[i + 1] - low[i], (high[i + 1] - low[i + 1]) - (high[i] - low[i])]
        if any(gain):
            pieces.append([(ends[i] - whole[0]) / width, width / max(ends[i + 1] - ends[i], 1e-9), *gain])
    return np.array([low[0], high[0] - low[0]]), pieces


def draws(skeleton: Skeleton) -> Draws:
    """The histograms that the skeleton's examples make, where its sampling asks for them."""
    examples = skeleton.examples
    if skeleton.sampling.angles != "tree" or examples is None:
        return Draws(np.empty(0, np.int32), np.empty(0, np.uint8), np.empty(0, np.int32))
    within = _shares(skeleton)
    parent = np.full(skeleton.edges, -2, np.int32)
    table = np.zeros(skeleton.edges, np.int32)
    cells: list[NDArray[np.uint8]] = []
    for e in sorted(examples.edges):
        above = int(skeleton.parents[e + 1]) - 1
        known = above in examples.edges
        parent[e] = above if known else -1
        table[e] = len(cells)
        cells.append(_histogram(within[1][:, e], within[0][:, above] if known else None, _turns(skeleton, e)))
    return Draws(parent, np.concatenate(cells).reshape(-1), table)


def _shares(skeleton: Skeleton) -> tuple[Array, Array]:
    """Where the examples' angles lie: (poses, E, 2) shares of the whole range, and of the range the pose leaves."""
    examples = skeleton.examples
    assert examples is not None
    angles = np.full((len(examples.angles), skeleton.edges, 2), np.nan)
    angles[:, examples.edges] = examples.angles
    image = _mirror_image(skeleton)
    if image is not None:
        angles = np.concatenate([angles, _mirrored(skeleton, angles)[:, image]])
    of_whole, of_left = np.zeros(angles.shape), np.zeros(angles.shape)
    for e in examples.edges:
        range_ = skeleton.ranges[e]
        for which, hull in enumerate((range_.first, range_.second)):
            turned = conditional_ranges.on_turn(angles[:, e, which], hull)
            low, high = conditional_ranges.range_left(skeleton, e, which, angles[..., 0], angles[..., 1])
            of_whole[:, e, which] = _share(turned, *hull)
            of_left[:, e, which] = _share(turned, low, high)
    return of_whole, of_left


def _mirror_image(skeleton: Skeleton) -> NDArray[np.int64] | None:
    """(E,) the edge that each is the mirror image of, itself on the midline.

    None where the ranges are not each other's images, or only one of a pair is among the examples.
    """
    examples = skeleton.examples
    assert examples is not None
    image = np.arange(skeleton.edges)
    for a, b in skeleton.symmetric:
        image[a], image[b] = b, a
    for e in examples.edges:
        ours, theirs = skeleton.ranges[e], skeleton.ranges[image[e]]
        low, high = mirrored_second(theirs.angles, theirs.second)
        off = max(abs((a - b + 180) % 360 - 180) for a, b in zip((low, high), ours.second, strict=True))
        alike = (ours.angles, ours.first) == (theirs.angles, theirs.first) and off < 1e-6
        if not alike or int(image[e]) not in examples.edges:
            return None
    return image


def _mirrored(skeleton: Skeleton, angles: Array) -> Array:
    """The angles as a mirror shows them, each still at its own edge."""
    turned = np.array([180.0 if range_.angles == "spherical" else 0.0 for range_ in skeleton.ranges])
    return np.stack([angles[..., 0], turned - angles[..., 1]], axis=-1)


def _share(values: Array, low: Array | float, high: Array | float) -> Array:
    wide = np.asarray(high) > np.asarray(low)
    return np.clip(np.where(wide, (values - low) / np.where(wide, high - np.asarray(low), 1.0), 0.0), 0.0, 1.0)


def _turns(skeleton: Skeleton, edge: int) -> tuple[bool, bool]:
    """Whether each of a bone's angles may go round: its neighbours below 0 are those below 1."""
    range_ = skeleton.ranges[edge]
    return range_.first[1] - range_.first[0] == 360, range_.second[1] - range_.second[0] == 360


def _histogram(own: Array, parent: Array | None, turns: tuple[bool, bool]) -> NDArray[np.uint8]:
    """(PLACES * PLACES * SLOTS,) cells: for each place of the parent, as often as they are likely.

    own, parent: (poses, 2) shares.  Counts are smoothed by a binomial over neighbouring cells and places.  Whole
    numbers throughout: the lists are part of the stream.
    """
    shape = (PLACES, PLACES, CELLS, CELLS)
    counts = np.zeros(shape, np.int64)
    cell = np.minimum((own * CELLS).astype(np.int64), CELLS - 1)
    place = np.zeros_like(cell) if parent is None else np.minimum((parent * PLACES).astype(np.int64), PLACES - 1)
    np.add.at(counts, (place[:, 0], place[:, 1], cell[:, 0], cell[:, 1]), 1)
    for axis, turn in ((2, turns[0]), (3, turns[1])):
        counts = _smoothed(counts, axis, turn)
    alone = counts.sum(axis=(0, 1))
    if parent is None:
        counts = np.broadcast_to(alone, shape)
    else:
        counts = _smoothed(_smoothed(counts, 0, False), 1, False)
        counts = counts * len(own) + alone * (_PRIOR * sum(_BINOMIAL) ** 2)
    # Few places have examples: the others share a row.
    rows, which = np.unique(counts.reshape(PLACES * PLACES, -1), axis=0, return_inverse=True)
    return np.stack([_slots(row) for row in rows])[which].reshape(-1)


def _smoothed(counts: NDArray[np.int64], axis: int, turn: bool) -> NDArray[np.int64]:
    reach = len(_BINOMIAL) // 2
    edges = [(reach, reach) if a == axis else (0, 0) for a in range(counts.ndim)]
    padded = np.pad(counts, edges, mode="wrap" if turn else "symmetric")
    size = counts.shape[axis]
    return np.asarray(sum(w * np.take(padded, range(i, i + size), axis=axis) for i, w in enumerate(_BINOMIAL)))


def _slots(weights: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(SLOTS,) indices, each as often as its share of the weights; what is left over goes to the largest remainders."""
    total = int(weights.sum())
    scaled = weights * SLOTS
    often, left = scaled // total, scaled % total
    order = np.argsort(-left, kind="stable")
    often[order[: SLOTS - int(often.sum())]] += 1
    return np.repeat(np.arange(len(weights)), often).astype(np.uint8)


@stage
def depend_view(words, squeezes, scratch, mostly):  # type: ignore[no-untyped-def]
    """Rewrite the words of BLOCK views, a stack of 4 of which the last says whether a pose is a usual one.

    mostly: becomes 1 where it is, else 0.  scratch: a stack of 3.
    """
    for s in range(BLOCK):
        mostly[s] = _ONE if np.uint64(words[3 * BLOCK + s]) < squeezes.usual else _ZERO
    for i in range(3):
        row = words[i * BLOCK : (i + 1) * BLOCK]
        _squeeze(row, _WHOLE, squeezes.knots[:0], mostly, squeezes.usual_view[i], scratch, row)


@stage
def depend(words, draws, squeezes, edges, scratch, mostly):  # type: ignore[no-untyped-def]
    """Rewrite the words of BLOCK poses, rows 2e and 2e + 1 for edge e.

    scratch: a stack of 3.  mostly: 1 where the pose is a usual one, else 0.
    """
    done = 0
    for e in range(edges):
        own = words[2 * e * BLOCK : (2 * e + 2) * BLOCK]
        if len(draws.parent) > 0 and draws.parent[e] > -2:
            cells = draws.cells[draws.table[e] * _ROW : (draws.table[e] + 1) * _ROW]
            above = draws.parent[e]
            if above < 0:
                _draw(cells, own)
            else:
                _draw_beside(cells, words[2 * above * BLOCK : (2 * above + 2) * BLOCK], own)
        while done < len(squeezes.target) and squeezes.target[done] < 2 * e + 2:
            source, target = squeezes.source[done] * BLOCK, squeezes.target[done] * BLOCK
            knots = squeezes.knots[squeezes.begin[done] : squeezes.begin[done + 1]]
            base, part = squeezes.base[done], squeezes.mostly[done]
            _squeeze(words[source : source + BLOCK], base, knots, mostly, part, scratch, words[target : target + BLOCK])
            done += 1


@stage
def _draw(cells, own):  # type: ignore[no-untyped-def]
    """The two words of a bone from one histogram."""
    for s in range(BLOCK):
        cell = np.uint32(cells[own[s] >> np.uint32(22)])
        _into(own, s, cell)


@stage
def _draw_beside(cells, parent, own):  # type: ignore[no-untyped-def]
    """The two words of a bone from the histogram of its parent's place."""
    for s in range(BLOCK):
        place = (parent[s] >> np.uint32(29)) * np.uint32(PLACES) + (parent[BLOCK + s] >> np.uint32(29))
        cell = np.uint32(cells[place * np.uint32(SLOTS) + (own[s] >> np.uint32(22))])
        _into(own, s, cell)


@stage
def _into(own, s, cell):  # type: ignore[no-untyped-def]
    """Somewhere in the cell; one draw in 64 stays anywhere in the range, for no examples show all that can be."""
    first, second = own[s], own[BLOCK + s]
    if (second & np.uint32(63)) != 0:
        own[s] = ((cell // np.uint32(CELLS)) << np.uint32(28)) | ((first & np.uint32(0x3FFFFF)) << np.uint32(6))
        own[BLOCK + s] = ((cell % np.uint32(CELLS)) << np.uint32(28)) | ((second >> np.uint32(6)) << np.uint32(2))


@stage
def _squeeze(source, base, knots, mostly, part, scratch, words):  # type: ignore[no-untyped-def]
    """Words of the whole range into what is left of it: low + u span, both shares of the whole range.

    What the source leaves; where `mostly` is 1, what of that lies in `part`, or the end of it nearest to that.
    """
    at, low, span = scratch[:BLOCK], scratch[BLOCK : 2 * BLOCK], scratch[2 * BLOCK : 3 * BLOCK]
    for s in range(BLOCK):
        at[s] = f32(source[s] >> _EIGHT) * U24
        low[s] = base[0]
        span[s] = base[1]
    for k in range(len(knots)):
        begin, steep, gain, widen = knots[k, 0], knots[k, 1], knots[k, 2], knots[k, 3]
        for s in range(BLOCK):
            along = min(max((at[s] - begin) * steep, _ZERO), _ONE)
            low[s] += along * gain
            span[s] += along * widen
    for s in range(BLOCK):
        end = low[s] + span[s]
        start = min(max(low[s], part[0]), end) if mostly[s] != _ZERO else low[s]
        end = max(min(end, part[1]), start) if mostly[s] != _ZERO else end
        where = (start + f32(words[s] >> _EIGHT) * U24 * (end - start)) * _ALL
        words[s] = np.uint32(np.int32(min(max(where, _ZERO), _MOST))) << _EIGHT
