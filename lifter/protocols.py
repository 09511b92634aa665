"""Benchmarks by name: the frames, joints, alignment and means that a published table was made with.

    h36m-p1, h36m-p2   Human3.6M, subjects S9 and S11, four cameras, the mean of 15 actions
    3dhp               MPI-INF-3DHP, the test set TS1 to TS6, frames that it calls valid

A lifter's poses have no unit, the published ones do: here the longest edge of each predicted pose is made as long as
that of the true one.  Every table says so.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lifter import metrics
from lifter.baselines import laid_flat
from lifter.data.benchmarks import Benchmark, h36m, load_benchmark, mpi_inf_3dhp
from lifter.evaluate import Lifts
from lifter.ground_truth import longest_edges
from lifter.text_table import aligned
from posesynth.errors import InputError, did_you_mean, shown, whole_number

Array = NDArray[np.float64]
Name = Literal["h36m-p1", "h36m-p2", "3dhp"]
PROTOCOLS: tuple[Name, ...] = get_args(Name)

H36M_SUBJECTS = ("S9", "S11")
H36M_ACTIONS = (
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases", "Sitting"),
    *("SittingDown", "Smoking", "Waiting", "WalkDog", "WalkTogether", "Walking"),
)
SEQUENCES = tuple(f"TS{n}" for n in range(1, 7))
NEAR = 150.0  # mm
STEPS = np.arange(0, 155, 5.0)  # 31 of them, 0 among them
# What MPI-INF-3DHP calls the joints of the skeleton `human`: its head is Human3.6M's neck, or nose.
_LIMBS = [f"{side}_{part}" for side in ("right", "left") for part in ("shoulder", "elbow", "wrist", "hip", "knee")]
FROM_3DHP = {
    **{joint: joint for joint in ("spine", *_LIMBS)},
    "right_ankle": "right_foot",
    "left_ankle": "left_foot",
    "pelvis": "hip",
    "neck": "thorax",
    "head": "neck",
    "head_top": "head",
}
# The 14 joints that MPI-INF-3DHP scores by PCK and AUC, by group.
GROUPS = {
    "head": ("head",),
    "neck": ("thorax",),
    **{part: (f"right_{part}", f"left_{part}") for part in ("shoulder", "elbow", "wrist", "hip", "knee")},
    "ankle": ("right_foot", "left_foot"),
}


@dataclass(frozen=True)
class Row:
    """The figures of one method on one action or sequence, or of all of them.

    frames: how many were shown.  failed: how many of them got no finite 3D, and are in no mean.  figures: column -> mm,
    or a share in [0, 1]; None where nothing could be measured.
    """

    of: str
    method: str
    frames: int
    failed: int
    figures: dict[str, float | None]


@dataclass(frozen=True)
class Result:
    """What a protocol measured, under which rules."""

    protocol: str
    lifter: str
    rules: tuple[str, ...]
    rows: tuple[Row, ...]

    def row(self, of: str, method: str | None = None) -> Row:
        """The row of an action, a sequence or all, of the lifter or of another method.  Raises KeyError."""
        for row in self.rows:
            if (row.of, row.method) == (of, method or self.lifter):
                return row
        raise KeyError((of, method))

    def json(self) -> dict[str, Any]:
        """All of it, ready for json.dumps."""
        return asdict(self)

    def table(self) -> str:
        """The figures for people, after the rules."""
        parts = ["\n".join(self.rules)]
        for columns in dict.fromkeys(tuple(row.figures) for row in self.rows):
            lines = [("", "method", "frames", *columns)]
            for row in self.rows:
                if tuple(row.figures) == columns:
                    shares = [_shown(column, value) for column, value in row.figures.items()]
                    lifted = f"{row.frames - row.failed} of {row.frames}" if row.failed else str(row.frames)
                    lines.append((row.of, row.method, lifted, *shares))
            parts.append("\n".join(aligned(lines, names=2)))
        return "\n\n".join(parts)


def run_protocol(
    lifter: Lifts, protocol: Name, data: str, *, frames_every: int = 1, detections: str | None = None
) -> Result:
    """Measure a lifter of people by a protocol, on files in the folder `data` (docs/datasets.md).

    frames_every: one frame in so many of each recording is used; the published tables use all.  detections: of
    Human3.6M a file of a detector's 2D, in `data` or anywhere; without it the 2D is the ground truth.  Raises
    InputError, one line a fault.
    """
    if protocol not in PROTOCOLS:
        hint = did_you_mean(protocol, PROTOCOLS) if isinstance(protocol, str) else ""
        raise InputError(f"protocol: is {shown(protocol)}; expected {', '.join(PROTOCOLS)}{hint}")
    every = whole_number("frames_every", frames_every, 1)
    if protocol == "3dhp":
        if detections is not None:
            raise InputError("detections: are given; expected them with Human3.6M alone")
        return _3dhp(lifter, os.fspath(data), every)
    return _h36m(lifter, protocol, os.fspath(data), every, detections)


def _h36m(lifter: Lifts, protocol: Name, data: str, every: int, detections: str | None) -> Result:
    if detections is not None and not os.path.exists(detections):
        detections = os.path.join(data, detections)
    benchmark = load_benchmark(data, subjects=H36M_SUBJECTS, detections=detections)
    if benchmark.kind != h36m.KIND:
        raise InputError(f"{data}: holds {benchmark.kind}; expected Human3.6M's data_3d_h36m.npz")
    joints = {name: name for name in benchmark.names}
    columns = ("MPJPE", "N-MPJPE") if protocol == "h36m-p1" else ("P-MPJPE", "P-MPJPE 16")
    found = _measure(lifter, benchmark, joints, every, columns)
    scores: dict[str, dict[str, list[dict[str, Array]]]] = {}
    for action, method, part in found:
        # "Walking 1" is a second take of "Walking".
        scores.setdefault(method, {}).setdefault(action.split(" ")[0], []).append(part)
    actions = next(iter(scores.values()))
    if missing := [action for action in H36M_ACTIONS if action not in actions]:
        raise InputError(f"{benchmark.source}: has no {', '.join(missing)} of S9 and S11; expected all 15 actions")
    rows = []
    for method, by_action in scores.items():
        parts = [_row(action, method, columns, by_action[action]) for action in H36M_ACTIONS]
        rows += [*parts, _mean(parts)]
    image = "the 3D through each camera, lens distortion included" if detections is None else benchmark.image
    kind = "ground truth" if detections is None else "detected"
    rules = [
        f"{protocol}: {lifter.name} on Human3.6M, S9 and S11, cameras of each in its own axes, 1 frame in {every}",
        f"2D: {kind} ({image})",
        "trained on: what the model was; S1, S5, S6, S7 and S8, which others train on, are not read",
        "means: over the frames of an action, all takes, subjects and cameras alike; then over the 15 actions",
    ]
    if protocol == "h36m-p1":
        rules += [
            "joints: 17, root hip, whose error of 0 counts",
            "alignment: MPJPE: roots moved together, nothing turned; N-MPJPE: then the best scale about the root",
            *_SCALE,
        ]
    else:
        rules += [
            "joints: P-MPJPE: 17, the root among them; P-MPJPE 16: without it, as EvoSkeleton counts",
            "alignment: of each frame, the best rotation, scale and translation, never a reflection",
        ]
    return Result(protocol, lifter.name, (*rules, "unit: mm"), tuple(rows))


def _3dhp(lifter: Lifts, data: str, every: int) -> Result:
    columns = ("PCK", "AUC", "PCK 17", "AUC 17", "MPJPE", "N-MPJPE", "P-MPJPE")
    groups = tuple(f"PCK {group}" for group in GROUPS)
    scores: dict[str, dict[str, list[dict[str, Array]]]] = {}
    for sequence in SEQUENCES:
        benchmark = load_benchmark(os.path.join(data, sequence))
        if benchmark.kind != mpi_inf_3dhp.TEST:
            raise InputError(f"{benchmark.source}: is {benchmark.kind}; expected the test set's annot_data.mat")
        for _, method, part in _measure(lifter, benchmark, FROM_3DHP, every, (*columns, *groups)):
            scores.setdefault(method, {}).setdefault(sequence, []).append(part)
    rows = []
    for method, by_sequence in scores.items():
        rows += [_row(sequence, method, columns, parts) for sequence, parts in by_sequence.items()]
        rows.append(_row("all", method, columns, [part for parts in by_sequence.values() for part in parts]))
    for method, by_sequence in scores.items():
        rows.append(_row("groups", method, groups, [part for parts in by_sequence.values() for part in parts]))
    rules = (
        f"3dhp: {lifter.name} on MPI-INF-3DHP, TS1 to TS6, frames with valid_frame = 1, 1 in {every} of these",
        "2D: ground truth (annot2); 3D: univ_annot3, in the camera's axes",
        "means: over frames and joints alike; all: over the frames of all six",
        f"joints: PCK and AUC: 14 ({', '.join(GROUPS)})",
        "        PCK 17, AUC 17 and the errors: 17, among them the root, whose error of 0 counts",
        f"PCK: nearer than {NEAR:g} mm, strictly; AUC: its mean over 0, 5, ... {NEAR:g} mm, 31 steps, 0 among them",
        "alignment: roots (pelvis) moved together, nothing turned; N-MPJPE: best scale about the root; P-MPJPE: best",
        "           rotation, scale and translation, never a reflection",
        *_SCALE,
        "unit: mm",
    )
    return Result("3dhp", lifter.name, rules, tuple(rows))


_SCALE = (
    "scale: a lifter has no unit: the longest edge of each predicted pose is made as long as that of the true one, a",
    "       help from the truth that published figures do not have; N-MPJPE and P-MPJPE do not depend on it",
)


def _measure(
    lifter: Lifts, benchmark: Benchmark, joints: dict[str, str], every: int, columns: Collection[str]
) -> list[tuple[str, str, dict[str, Array]]]:
    """(action, method, column -> (T,)) for each recording; `joints` are the benchmark's and the skeleton's."""
    skeleton = lifter.skeleton
    if missing := [joint for joint in joints.values() if joint not in skeleton.joints]:
        lacks = f"{lifter.name}: its skeleton '{skeleton.name}' has no {', '.join(missing)}"[:200]
        raise InputError(f"{lacks}; expected the joints of 'human'")
    # The root first, as the metrics want it.
    order = sorted(joints, key=lambda name: name != benchmark.root)
    places = [skeleton.joints.index(joints[name]) for name in order]
    theirs = [benchmark.names.index(name) for name in order]
    names = [joints[name] for name in order]
    found = []
    for recording in benchmark.recordings:
        of = np.flatnonzero(recording.scored)[::every]
        if not len(of):
            raise InputError(f"{benchmark.source}: no frame is to be scored; expected some")
        image = np.full((len(of), len(skeleton.joints), 2), np.nan)
        image[:, places] = recording.p2d[of][:, theirs] * np.array([1.0, -1.0])  # y is down, z up
        camera = recording.positions[of][:, theirs].astype(np.float64)
        truth = np.stack([camera[..., 0], camera[..., 2], -camera[..., 1]], axis=-1)
        whole = np.full((len(of), len(skeleton.joints), 3), np.nan)
        whole[:, places] = truth
        longest = longest_edges(skeleton, whole)
        for method, predicted in (
            (lifter.name, np.asarray(lifter.lift(image).p3d, np.float64)),
            ("depth 0", laid_flat(skeleton, image)),
        ):
            if predicted.shape != (len(of), len(skeleton.joints), 3):
                raise InputError(f"{lifter.name}: lifts {image.shape} to {predicted.shape}; expected one pose for each")
            pose = predicted[:, places] * longest[:, None, None]
            found.append((recording.action, method, _score(pose, truth, names, columns)))
    return found


def _score(predicted: Array, truth: Array, names: Sequence[str], columns: Collection[str]) -> dict[str, Array]:
    """Column -> (T,); the root is the first joint of both (T, N, 3), in mm."""
    errors = metrics.joint_errors(predicted, truth)
    return {column: _figure(column, predicted, truth, errors, names) for column in columns}


def _figure(column: str, predicted: Array, truth: Array, errors: Array, names: Sequence[str]) -> Array:
    match column:
        case "MPJPE":
            return metrics.mpjpe(predicted, truth)
        case "N-MPJPE":
            return metrics.n_mpjpe(predicted, truth)
        case "P-MPJPE":
            return metrics.p_mpjpe(predicted, truth)
        case "P-MPJPE 16":
            return metrics.p_mpjpe(predicted[:, 1:], truth[:, 1:])
        case "PCK 17":
            return metrics.pck(errors, NEAR)
        case "AUC 17":
            return metrics.auc(errors, STEPS)
    kind, _, group = column.partition(" ")
    members = GROUPS[group] if group else [joint for joints in GROUPS.values() for joint in joints]
    of = errors[:, [names.index(joint) for joint in members]]
    return metrics.auc(of, STEPS) if kind == "AUC" else metrics.pck(of, NEAR)


def _row(of: str, method: str, columns: Sequence[str], parts: Sequence[dict[str, Array]]) -> Row:
    values = {column: np.concatenate([part[column] for part in parts]) for column in columns}
    failed = ~np.isfinite(next(iter(values.values())))
    known = {column: each[np.isfinite(each)] for column, each in values.items()}
    means = {column: float(each.mean()) if len(each) else None for column, each in known.items()}
    return Row(of, method, len(failed), int(failed.sum()), means)


def _mean(parts: Sequence[Row]) -> Row:
    """The mean of rows, each with the same weight; None where one of them has nothing."""
    figures: dict[str, float | None] = {}
    for column in parts[0].figures:
        values = [value for part in parts if (value := part.figures[column]) is not None]
        figures[column] = float(np.mean(values)) if len(values) == len(parts) else None
    frames, failed = sum(part.frames for part in parts), sum(part.failed for part in parts)
    return Row(f"mean of {len(parts)}", parts[0].method, frames, failed, figures)


def _shown(column: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if column.startswith(("PCK", "AUC")) else f"{value:.1f}"
