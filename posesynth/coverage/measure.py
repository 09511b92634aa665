"""For each bone: the share of real frames inside its range, and where, and how far, the others leak."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from posesynth.conditional_ranges import range_left
from posesynth.coverage.angles import excess, weights
from posesynth.coverage.body import Heading, Poses, heading, poses
from posesynth.coverage.joint_map import JointMap
from posesynth.coverage.readings import read_angles
from posesynth.errors import InputError
from posesynth.motion import Motion
from posesynth.skeleton import EdgeRange, Range, Skeleton

Array = NDArray[np.float64]

TOLERANCE = 1e-3  # degrees of arc: rounding is no leak
ANGLE_NAMES = {"spherical": ("theta", "phi"), "flexion": ("flexion", "abduction")}


@dataclass(frozen=True)
class Leak:
    """Frames beyond one end of a range: their share of all frames, and how many degrees they are beyond it."""

    share: float
    median: float
    p95: float
    largest: float


@dataclass(frozen=True)
class AngleCoverage:
    """One angle of one bone.

    ``given``: its range; where that depends on another angle, the whole of it.  ``real``: quantiles 0.01, 0.50, 0.99 in
    degrees, on the turn nearest ``given``.
    """

    name: str
    given: Range
    real: tuple[float, float, float]
    inside: float
    below: Leak
    above: Leak


@dataclass(frozen=True)
class LengthCoverage:
    """Bone length / longest bone: real quantiles 0.01, 0.50, 0.99, and the span that the length ranges can give."""

    real: tuple[float, float, float]
    possible: Range
    inside: float


@dataclass(frozen=True)
class EdgeCoverage:
    """One bone.  ``frames``: those in which it was seen; ``inside``: the share of them with both angles in range."""

    joint: str
    frames: int
    inside: float
    angles: tuple[AngleCoverage, AngleCoverage]
    length: LengthCoverage


@dataclass(frozen=True)
class MotionCoverage:
    """One clip.  ``measured``: frames with a bone seen; ``inside``: the share of them with every bone seen in range."""

    source: str
    frames: int
    measured: int
    inside: float


@dataclass(frozen=True)
class Coverage:
    """Real motion against the ranges of a skeleton.

    ``inside``: share of measured frames in which every bone that was seen lies in its range (lengths are
    told apart).  ``heading``: what tells the animal's heading.  ``edges``: those that were seen, the
    leakiest first.  ``unseen``: joints whose bone was never seen.
    """

    skeleton: str
    frames: int
    measured: int
    inside: float
    heading: Heading
    motions: tuple[MotionCoverage, ...]
    edges: tuple[EdgeCoverage, ...]
    unseen: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """All figures, ready for json.dumps."""
        return asdict(self)

    def __str__(self) -> str:
        from posesynth.coverage.report import table

        return table(self)


def measure(skeleton: Skeleton, motions: Sequence[Motion], joint_map: JointMap | None = None) -> Coverage:
    """How much of real motion the skeleton's ranges hold.

    Frames of all `motions` count alike; all of them are read with one `joint_map`, or by joint name
    and the file format's own up axis without one.

    Raises InputError for joints that are not found, one line each, or where nothing can be measured.
    """
    seen = gather(skeleton, motions, joint_map)
    together = np.concatenate([clip.directions for clip in seen])
    lengths = np.concatenate([clip.lengths for clip in seen])
    first, second = read_angles(skeleton, together)
    inside = np.ones(first.shape, dtype=bool)
    edges, unseen = [], []
    for e, edge in enumerate(skeleton.ranges):
        seen_here = np.isfinite(first[:, e])
        a, b = first[seen_here, e], second[seen_here, e]
        if not len(a):
            unseen.append(skeleton.joints[e + 1])
            continue
        out = _outside(skeleton, e, first[seen_here], second[seen_here])
        inside[seen_here, e] = (out[0] == 0) & (out[1] == 0)
        edges.append(
            EdgeCoverage(
                joint=skeleton.joints[e + 1],
                frames=len(a),
                inside=float(inside[seen_here, e].mean()),
                angles=(_angle(edge, 0, a, out[0]), _angle(edge, 1, b, out[1])),
                length=_length(skeleton, e, lengths[seen_here, e]),
            )
        )
    measured = np.asarray(np.isfinite(first).any(axis=1))
    whole = np.asarray(inside.all(axis=1))
    clips, start = [], 0
    for motion in motions:
        part = slice(start, start + len(motion.positions))
        clips.append(_clip(motion, measured[part], whole[part]))
        start = part.stop
    edges.sort(key=lambda edge: (edge.inside, -max(leak.largest for a in edge.angles for leak in (a.below, a.above))))
    return Coverage(
        skeleton=skeleton.name,
        frames=len(first),
        measured=int(measured.sum()),
        inside=float(whole[measured].mean()),
        heading=heading(skeleton, joint_map or JointMap()),
        motions=tuple(clips),
        edges=tuple(edges),
        unseen=tuple(unseen),
    )


def gather(skeleton: Skeleton, motions: Sequence[Motion], joint_map: JointMap | None) -> list[Poses]:
    """The poses of each motion.  Raises InputError where none of them shows a bone."""
    if not motions:
        raise InputError("coverage: no motion; expected at least one file")
    seen = [poses(skeleton, motion, joint_map or JointMap()) for motion in motions]
    if not any(np.isfinite(clip.directions).any() for clip in seen):
        raise InputError(f"{motions[0].source}: no bone of '{skeleton.name}' is seen in any frame; expected some")
    return seen


def _outside(skeleton: Skeleton, e: int, first: Array, second: Array) -> tuple[Array, Array]:
    """Signed degrees outside the two ranges of edge e, 0 within the tolerance; first, second: (T, E) of all bones."""
    edge = skeleton.ranges[e]
    out = [
        excess(angles[:, e], range_left(skeleton, e, which, first, second))
        for which, angles in enumerate((first, second))
    ]
    arcs = (np.abs(o) * w for o, w in zip(out, weights(edge, first[:, e], second[:, e]), strict=True))
    return tuple(np.where(arc > TOLERANCE, o, 0.0) for o, arc in zip(out, arcs, strict=True))  # type: ignore[return-value]


def _angle(edge: EdgeRange, which: int, values: Array, out: Array) -> AngleCoverage:
    given = (edge.first, edge.second)[which]
    return AngleCoverage(
        name=ANGLE_NAMES[edge.angles][which],
        given=given,
        real=_quantiles(unrolled(values, sum(given) / 2)),
        inside=float((out == 0).mean()),
        below=_leak(-out[out < 0], len(out)),
        above=_leak(out[out > 0], len(out)),
    )


def _leak(degrees: Array, frames: int) -> Leak:
    if not len(degrees):
        return Leak(0.0, 0.0, 0.0, 0.0)
    median, p95 = np.quantile(degrees, (0.5, 0.95))
    return Leak(len(degrees) / frames, float(median), float(p95), float(degrees.max()))


def unrolled(values: Array, near: float) -> Array:
    """Angles on one turn: cut where the circle is emptiest, the median within half a turn of `near`."""
    ordered = np.sort(values % 360)
    gaps = np.diff(ordered, append=ordered[0] + 360)
    start = ordered[(int(gaps.argmax()) + 1) % len(ordered)]
    values = (values - start) % 360 + start
    return values + 360 * np.round((near - np.median(values)) / 360)


def _quantiles(values: Array) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, (0.01, 0.5, 0.99))
    return float(low), float(middle), float(high)


def _length(skeleton: Skeleton, edge: int, ratios: Array) -> LengthCoverage:
    possible = _possible(skeleton, edge)
    inside = (ratios >= possible[0] - 1e-6) & (ratios <= possible[1] + 1e-6)
    return LengthCoverage(_quantiles(ratios), possible, float(inside.mean()))


def _possible(skeleton: Skeleton, edge: int) -> Range:
    """Smallest and largest length / longest that the length ranges can give this bone."""
    low, high = skeleton.ranges[edge].length
    shared = {edge}
    if skeleton.sampling.symmetric_lengths:
        shared |= {e for pair in skeleton.symmetric if edge in pair for e in pair}
    others = [r.length for e, r in enumerate(skeleton.ranges) if e not in shared]
    rival_low = max((r[0] for r in others), default=0.0)
    rival_high = max((r[1] for r in others), default=0.0)
    smallest = low / max(low, rival_high) if rival_high else 1.0
    return smallest, 1.0 if high >= rival_low else high / rival_low


def _clip(motion: Motion, measured: NDArray[np.bool_], whole: NDArray[np.bool_]) -> MotionCoverage:
    count = int(measured.sum())
    inside = float(whole[measured].mean()) if count else 0.0
    return MotionCoverage(os.path.basename(motion.source), len(measured), count, inside)
