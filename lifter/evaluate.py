"""How good a lifter is: real 3D motion, seen from many sides without a camera's faults, lifted and compared.

Beside it stand what anybody has without a lifter (`lifter.baselines`), measured on the same views by the same rules.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lifter import metrics
from lifter.baselines import LOOKUP_VIEWS, Lookup, laid_flat, mean_pose, synthetic_poses
from lifter.ground_truth import LOOKUP, SYNTHETIC, VIEWS, Clip, Seen, Views, check_views, look, read_clips
from lifter.text_table import aligned
from posesynth.coverage.joint_map import JointMap, load_map
from posesynth.errors import InputError, shown, whole_number
from posesynth.skeleton import Skeleton

Array = NDArray[np.float64]
Unit = Literal["m", "cm", "mm", "cmu"]

MILLIMETRES = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "cmu": 25.4 / 0.45}  # CMU's lengths are inches times 0.45
NEAR = 0.3  # of the body length: for a person near the 150 mm that MPI-INF-3DHP calls correct
STEPS = np.linspace(0, NEAR, 31)
MOST_VIEWS = 1000  # of a frame
BASELINES = ("depth 0", "mean pose", "lookup", "lookup (synthetic)")
LENGTHS = ("mpjpe", "n_mpjpe", "p_mpjpe")
PLAIN = ("pck", "auc", "reprojection", "reprojection_fitted")


class Lifted(Protocol):
    """What a lifter returns; `lifter.pipeline.Poses` is one."""

    @property
    def p3d(self) -> NDArray[Any]:
        """(B, N, 3) in units of the longest edge; NaN where a pose could not be lifted."""


class Lifts(Protocol):
    """What is measured; `lifter.pipeline.Lifter` is one."""

    @property
    def skeleton(self) -> Skeleton:
        """Whose joints it takes, in that order."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def lift(self, p2d: Array, /) -> Lifted:
        """Lift (B, N, 2), x right, z up, NaN where a joint is not seen."""


@dataclass(frozen=True)
class Row:
    """Means over the poses of one clip, or of all; None where nothing could be measured.

    poses: how many were shown.  failed: how many of them got no finite 3D, and are in no mean.  mpjpe, n_mpjpe,
    p_mpjpe: in the evaluation's unit; ..._body: as a share of the clip's body length.  pck, auc: in [0, 1].
    reprojection, reprojection_fitted: in the paper's box [-6, 6].
    """

    clip: str
    method: str
    poses: int
    failed: int
    mpjpe: float | None
    n_mpjpe: float | None
    p_mpjpe: float | None
    mpjpe_body: float | None
    n_mpjpe_body: float | None
    p_mpjpe_body: float | None
    pck: float | None
    auc: float | None
    reprojection: float | None
    reprojection_fitted: float | None


@dataclass(frozen=True)
class Evaluation:
    """Figures of a lifter on real motion, and all that one must know to compare them.

    unit: "mm", or None where the motion's unit is not known and lengths are in it.  body_lengths: clip -> mean longest
    edge, in that unit.  left_out: frames that show too little.  rows: each clip and, where there are several, "all"
    poses alike; in each the lifter first.
    """

    lifter: str
    skeleton: str
    joints: tuple[str, ...]
    not_scored: tuple[str, ...]
    root: str
    views: Views
    views_per_frame: int
    frames_every: int
    frames: int
    left_out: int
    noise: float
    missing: float
    seed: int
    unit: str | None
    body_lengths: dict[str, float]
    rows: tuple[Row, ...]

    def row(self, method: str | None = None, clip: str | None = None) -> Row:
        """The row of a method (the lifter, left out) on a clip (left out: all of them).  Raises KeyError."""
        for row in reversed(self.rows):
            if row.method == (method or self.lifter) and clip in (row.clip, None):
                return row
        raise KeyError((method, clip))

    def json(self) -> dict[str, Any]:
        """All figures and settings, ready for json.dumps."""
        return {**asdict(self), "pck_threshold_body": NEAR, "lookup_views": LOOKUP_VIEWS}

    def table(self) -> str:
        """The figures for people, and under what rules they were measured."""
        return "\n".join([*_rules(self), "", *_columns(self), "", *_notes(self)])


def evaluate(
    lifter: Lifts,
    motions: Sequence[str],
    *,
    joint_map: JointMap | str | None,
    views: Views = "any",
    views_per_frame: int = 8,
    frames_every: int = 1,
    noise: float = 0.0,
    missing: float = 0.0,
    unit: Unit | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measure a lifter on real motion, from ground-truth 2D: views of the motion's own 3D.

    motions: files that `posesynth coverage` reads.  joint_map: how their joints are those of the skeleton (a map, its
    file or a shipped one's name), or None: by name.  views: "any", uniform over all rotations, "filmed", any yaw and
    pitch within 30 degrees, both orthographic, or "perspective": filmed by a pinhole camera 4 to 6 m away that looks at
    the mean of the joints, for which a unit is needed.  The truth is in the camera's axes.  frames_every: one frame in
    so many is used, in each `views_per_frame` views.  noise: standard deviation in 2D, as a share of the body length
    (the mean over the clip of each pose's longest edge).  missing: how likely each joint is hidden from the lifter; it
    is scored all the same.  unit: the motion's, which brings errors to mm.

    Everything random depends on the seed and the place of a clip among the `motions` alone: all lifters see the same.
    Raises InputError, one line a fault, for files or options that will not do.
    """
    check_views(views)
    views_per_frame = whole_number("views_per_frame", views_per_frame, 1, MOST_VIEWS)
    frames_every = whole_number("frames_every", frames_every, 1)
    seed = whole_number("seed", seed, 0)
    noise, missing = _share("noise", noise), _share("missing", missing)
    if unit is not None and unit not in MILLIMETRES:
        raise InputError(f"unit: is {shown(unit)}; expected m, cm, mm or cmu, or none where it is not known")
    if views == "perspective" and unit is None:
        raise InputError("unit: is not given; expected m, cm, mm or cmu, as a camera 4 to 6 m away needs to know")
    if isinstance(motions, str):
        raise InputError(f"motions: is {shown(motions)}; expected a list of files")
    # A run may be called what a baseline is called.
    name = f"{lifter.name} (lifter)" if lifter.name in BASELINES else lifter.name
    skeleton = lifter.skeleton
    mapping = load_map(joint_map, skeleton) if isinstance(joint_map, str) else joint_map or JointMap()
    clips = read_clips(skeleton, [os.fspath(path) for path in motions], mapping, frames_every)
    scale = MILLIMETRES[unit] if unit else 1.0
    metre = 1000 / MILLIMETRES[unit] if unit else None
    drawn = synthetic_poses(skeleton, seed)

    measured = []  # (clip, method, body length, metric -> (B,))
    for c, clip in enumerate(clips):
        methods = {name: _lift(lifter), **_baselines(skeleton, clips, c, views, seed, metre, drawn)}
        found: dict[str, list[dict[str, Array]]] = {method: [] for method in methods}
        for seen in look(clip, views, views_per_frame, noise, missing, [seed, c], metre):
            for method, predict in methods.items():
                found[method].append(_score(predict(seen.p2d), seen, clip.body_length, posed=method != "mean pose"))
        for method, parts in found.items():
            joined = {metric: np.concatenate([part[metric] for part in parts]) for metric in parts[0]}
            joined |= {f"{metric}_body": joined[metric] for metric in LENGTHS}
            joined |= {metric: joined[metric] * clip.body_length * scale for metric in LENGTHS}
            measured.append((clip.name, method, joined))

    rows = [_row(*entry) for entry in measured]
    for method in dict.fromkeys(method for _, method, _ in measured):
        parts = [values for _, of, values in measured if of == method]
        if len(clips) > 1:
            rows.append(
                _row("all", method, {metric: np.concatenate([p[metric] for p in parts]) for metric in parts[0]})
            )
    known = np.any([np.isfinite(clip.positions).all(2).any(0) for clip in clips], axis=0)
    return Evaluation(
        lifter=name,
        skeleton=skeleton.name,
        joints=tuple(joint for joint, scored in zip(skeleton.joints, known, strict=True) if scored),
        not_scored=tuple(joint for joint, scored in zip(skeleton.joints, known, strict=True) if not scored),
        root=skeleton.joints[0],
        views=views,
        views_per_frame=views_per_frame,
        frames_every=frames_every,
        frames=sum(len(clip.positions) for clip in clips),
        left_out=sum(clip.left_out for clip in clips),
        noise=noise,
        missing=missing,
        seed=seed,
        unit="mm" if unit else None,
        body_lengths={clip.name: clip.body_length * scale for clip in clips},
        rows=tuple(rows),
    )


def _lift(lifter: Lifts) -> Callable[[Array], Array]:
    def lift(p2d: Array) -> Array:
        p3d = np.asarray(lifter.lift(p2d).p3d, np.float64)
        if p3d.shape != (*p2d.shape[:2], 3):
            raise InputError(f"{lifter.name}: lifts {p2d.shape} to {p3d.shape}; expected {(*p2d.shape[:2], 3)}")
        return p3d

    return lift


def _baselines(
    skeleton: Skeleton, clips: list[Clip], c: int, views: Views, seed: int, metre: float | None, drawn: Array
) -> dict[str, Callable[[Array], Array]]:
    """Name -> what takes p2d (B, N, 2) to poses (B, N, 3) in units of the longest edge, for clip `c`."""
    methods: dict[str, Callable[[Array], Array]] = {"depth 0": lambda p2d: laid_flat(skeleton, p2d)}
    others = [clip for i, clip in enumerate(clips) if i != c] or clips
    poses = np.concatenate([clip.positions / clip.longest[:, None, None] for clip in others])
    mean = mean_pose(poses)
    if mean is not None:
        methods["mean pose"] = lambda p2d: np.broadcast_to(mean, (len(p2d), *mean.shape))
    if metre is not None:  # in units of the longest edge, as the poses are
        metre /= float(np.mean([clip.body_length for clip in others]))
    if len(clips) > 1:
        lookup = Lookup(poses, views, [seed, c, LOOKUP], metre)
        if len(lookup):
            methods["lookup"] = lookup.find
    methods["lookup (synthetic)"] = Lookup(drawn, views, [seed, c, SYNTHETIC], metre).find
    return methods


def _score(predicted: Array, seen: Seen, body: float, posed: bool) -> dict[str, Array]:
    """Metric -> (B,), lengths as a share of the body length; NaN but for P-MPJPE where a prediction is not `posed`."""
    valid = np.isfinite(seen.truth).all(2)
    truth = seen.truth / body
    # A lifter cannot know how large the animal is: its longest edge is taken to be as long as the true one.
    predicted = predicted * (seen.longest / body)[:, None, None]
    found = {"p_mpjpe": metrics.p_mpjpe(predicted, truth, valid)}
    if not posed:
        return found | {metric: np.full(len(truth), np.nan) for metric in (*LENGTHS[:2], *PLAIN)}
    errors = metrics.joint_errors(predicted, truth, valid, "root")
    about_root = predicted - predicted[:, :1], truth - truth[:, :1], valid
    return found | {
        "mpjpe": metrics.mpjpe(predicted, truth, valid),
        "n_mpjpe": metrics.n_mpjpe(predicted, truth, valid),
        "pck": metrics.pck(errors, NEAR),
        "auc": metrics.auc(errors, STEPS),
        "reprojection": metrics.reprojection(*about_root),
        "reprojection_fitted": metrics.reprojection_fitted(*about_root),
    }


def _row(clip: str, method: str, values: dict[str, Array]) -> Row:
    failed = ~np.isfinite(values["p_mpjpe"])
    means = {}
    for metric, each in values.items():
        known = each[np.isfinite(each)]
        means[metric] = float(known.mean()) if len(known) else None
    return Row(clip, method, len(failed), int(failed.sum()), **means)


def _share(name: str, value: object) -> float:
    number = -1.0 if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    if not 0 <= number < 1:  # nor NaN
        raise InputError(f"{name}: is {shown(value)}; expected a share, from 0 to below 1")
    return number


def _rules(found: Evaluation) -> list[str]:
    poses = found.frames * found.views_per_frame
    lengths = ", ".join(f"{clip} {_length(value, found.unit)}" for clip, value in found.body_lengths.items())
    left_out = f"; {found.left_out} frames that show too few joints left out" if found.left_out else ""
    scored = f"joints scored: {len(found.joints)}: {', '.join(found.joints)}"
    image = "perspective" if found.views == "perspective" else "orthographic"
    return [
        f"{found.lifter}: motion as '{found.skeleton}', lifted from ground-truth 2D ({image})",
        f"poses: {poses}, {found.views_per_frame} views of {found.frames} frames (1 in {found.frames_every}){left_out}",
        f"views: {VIEWS[found.views]}; seed {found.seed}",
        *_camera(found),
        f"2D: noise {100 * found.noise:g} % of the body length; {100 * found.missing:g} % of joints hidden, yet scored",
        scored + (f"; the motion has no {', '.join(found.not_scored)}" if found.not_scored else ""),
        f"body length (mean of each pose's longest edge): {lengths}",
        f"unit: {found.unit}" if found.unit else "unit: the motion file's own (not given)",
    ]


def _camera(found: Evaluation) -> list[str]:
    if found.views != "perspective":
        return []
    return [
        "camera: pinhole, its distance uniform; it looks at the mean of the joints, whose depth is 1: there the",
        "        image has the scale of the truth, which is in the camera's axes; errors are as in orthographic views",
    ]


def _columns(found: Evaluation) -> list[str]:
    unit = found.unit or "own unit"
    head = ["clip", "method", "poses", "MPJPE", "N-MPJPE", "P-MPJPE", "P-MPJPE", "PCK", "AUC", "reprojection", "fitted"]
    under = ["", "", "", unit, unit, unit, "% of body", "%", "%", "[-6, 6]", "[-6, 6]"]
    rows = [head, under]
    for row in found.rows:
        lengths = [_length(value, None) for value in (row.mpjpe, row.n_mpjpe, row.p_mpjpe)]
        shares = [_number(None if v is None else 100 * v, ".1f") for v in (row.p_mpjpe_body, row.pck, row.auc)]
        boxed = [_number(value, ".2f") for value in (row.reprojection, row.reprojection_fitted)]
        lifted = f"{row.poses - row.failed} of {row.poses}" if row.failed else f"{row.poses}"
        rows.append([row.clip, row.method, lifted, *lengths, *shares, *boxed])
    return aligned(rows, names=2)


def _notes(found: Evaluation) -> list[str]:
    several = len(found.body_lengths) > 1
    near = f"{100 * NEAR:g} %"
    notes = [
        f"MPJPE: roots ({found.root}) moved together, the prediction's longest edge made as long as the true one.",
        "N-MPJPE: best scale about the root.  P-MPJPE: best rotation, scale and translation, never a reflection.",
        f"PCK: joints nearer than {near} of the body length, aligned as MPJPE; AUC: its mean over 0 to {near}.",
        "reprojection: 2D error, aligned as MPJPE, the true 2D in a box [-6, 6]; fitted: after the best 2D similarity.",
        "Neither tells of depth: read them beside a 3D error.  Poses that got no 3D are counted, and in no mean.",
        "depth 0: the 2D laid flat.  mean pose: Procrustes mean of "
        + ("the other clips" if several else "the clip itself (flattering)")
        + "; it has no view, so only P-MPJPE.",
    ]
    if several:
        notes.append(f"lookup: nearest 2D among {LOOKUP_VIEWS} views of the other clips' real 3D poses.")
    notes.append(f"lookup (synthetic): the same among as many poses drawn from the ranges of '{found.skeleton}'.")
    if found.views == "perspective":
        notes.append("reprojection compares x and z without perspective: a lifter that keeps the image cannot reach 0.")
    return notes


def _length(value: float | None, unit: str | None) -> str:
    return _number(value, "#.4g").rstrip(".") + (f" {unit}" if unit else "")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
