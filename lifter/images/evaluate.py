"""How good 2D landmarks are on an annotated image set: a named protocol, one table.

``lsp``: PCK@0.2 on Leeds Sports Pose, person-centric.  ``box``: PCK@0.05 and @0.1 of the box, as for animals.
`read_predictions` takes a keypoint file; whatever else predicts calls `evaluate_landmarks` with its positions.
"""

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lifter.data.images import ImageSet, load_image_set
from lifter.data.images.lsp import LSP_JOINTS
from lifter.data.images.onto_skeleton import joints_of_set
from lifter.data.images.split import split
from lifter.data.keypoints import Keypoints, load_keypoints
from lifter.data.matching import same_joints
from lifter.images import metrics
from lifter.text_table import aligned
from posesynth.errors import InputError, fault, shown

Array = NDArray[np.float64]
Protocol = Literal["lsp", "box"]

LSP_THRESHOLD = 0.2
LSP_FIRST_TEST = 1001  # images 1001 to 2000 are the test half
BOX_THRESHOLDS = (0.05, 0.1)
CLEARLY = 0.05  # better with sides exchanged: below it is chance


@dataclass(frozen=True)
class PartRow:
    """Shares of hits of one joint, group or of all, one for each threshold; None where nothing was scored.

    scored: how many joints in how many images that is over.
    """

    part: str
    scored: int
    pck: tuple[float | None, ...]


@dataclass(frozen=True)
class LandmarkEvaluation:
    """Figures of predicted landmarks, and the rules they were measured by.

    labels: persons or animals scored.  not_predicted: how many of them have no prediction, all of their joints misses.
    unsized: those that are not scored, as nothing tells their size.  joints: scored.  called: what the predictions call
    those that they call otherwise.  not_scored: joints of the set that the predictions do not have.  test_half: whether
    LSP's 1000 test images alone, and all, were scored.
    side_swapped: the mean at the last threshold with the predictions' left and right exchanged.  rows: the parts,
    "Mean" last, over all scored joints alike.
    """

    predictions: str
    image_set: str
    kind: str
    protocol: Protocol
    labels: int
    not_predicted: int
    unsized: int
    boxes: int
    test_half: bool
    joints: tuple[str, ...]
    called: dict[str, str]
    not_scored: tuple[str, ...]
    thresholds: tuple[float, ...]
    side_swapped: float | None
    rows: tuple[PartRow, ...]

    @property
    def mean(self) -> float | None:
        """Over all scored joints, at the last threshold."""
        return self.rows[-1].pck[-1]

    def json(self) -> dict[str, Any]:
        """All figures and rules, ready for json.dumps."""
        return asdict(self)

    def table(self) -> str:
        """The figures for people, and under what rules they were measured."""
        return "\n".join([*_rules(self), "", *_columns(self), "", *_notes(self)])


def evaluate_images(
    predictions: str,
    image_set: str,
    protocol: Protocol,
    keypoint_map: str | None = None,
    held_out: bool = False,
) -> LandmarkEvaluation:
    """Measure a keypoint file against an image set (`load_image_set` reads it).

    keypoint_map: the YAML that says which joint of the set is which of the predictions, as it does for training.
    held_out: only the images that training on the set holds out (`lifter.data.images.split`) are scored.
    """
    _check_protocol(protocol)
    truth = load_image_set(image_set)
    if held_out:
        truth = replace(truth, annotations=tuple(truth.annotations[place] for place in split(truth)[0]))
    predicted, joints = read_predictions(predictions, truth, protocol, keypoint_map)
    return evaluate_landmarks(truth, predicted, protocol, os.path.basename(predictions), joints)


def evaluate_landmarks(
    image_set: ImageSet,
    predicted: ArrayLike,
    protocol: Protocol,
    name: str = "predictions",
    joints: Mapping[str, str] | None = None,
) -> LandmarkEvaluation:
    """Measure predicted landmarks.

    predicted: (n, K, 2) in the set's pixels, one for each of its annotations and names in that order; NaN where nothing
    is predicted, which counts as a miss.  joints: those that were predicted at all, and what the predictions call them
    (left out: all, by their own names); the set's others are named and not scored.  Raises InputError where the set or
    the shapes do not fit the protocol.
    """
    _check_protocol(protocol)
    p = np.asarray(predicted, np.float64)
    image_set.check_labelled()
    expected = (len(image_set.annotations), len(image_set.names), 2)
    if p.shape != expected:
        raise InputError(f"predicted: has shape {p.shape}; expected {expected}, as the set has labels and joints")
    chosen = np.array(_chosen(image_set, protocol))
    called = dict(zip(image_set.names, image_set.names, strict=True)) if joints is None else joints
    columns = _columns_of(image_set, protocol, called)
    names = LSP_JOINTS if protocol == "lsp" else tuple(image_set.names[k] for k in columns)
    p, truth = p[chosen][:, columns], image_set.keypoints[chosen][:, columns]
    nothing = np.isnan(p).any(-1).all(-1)
    if nothing.all():
        raise InputError(f"{name}: predicts nothing for the images that are scored; expected landmarks of some")
    boxes = np.array([image_set.annotations[n].box or (np.nan,) * 4 for n in chosen])
    size = metrics.torso(truth) if protocol == "lsp" else metrics.longer_side(boxes, image_set.keypoints[chosen])
    thresholds = (LSP_THRESHOLD,) if protocol == "lsp" else BOX_THRESHOLDS
    found = [metrics.hits(p, truth, size, threshold) for threshold in thresholds]
    swapped = metrics.hits(p[:, metrics.mirrored(names)], truth, size, thresholds[-1])
    groups = metrics.LSP_GROUPS if protocol == "lsp" else {joint: (k,) for k, joint in enumerate(names)}
    rows = [_row(part, [each[:, list(members)] for each in found]) for part, members in groups.items()]
    half = protocol == "lsp" and image_set.kind == "LSP" and len(chosen) == 1000 < len(image_set.annotations)
    return LandmarkEvaluation(
        predictions=name,
        image_set=image_set.source,
        kind=image_set.kind,
        protocol=protocol,
        labels=len(chosen),
        not_predicted=int(nothing.sum()),
        unsized=int((~(size > 0)).sum()),
        boxes=int(np.isfinite(boxes).all(1).sum()),
        test_half=half,
        joints=names,
        called={j: called[j] for j in (image_set.names[k] for k in columns) if called[j] != j},
        not_scored=tuple(joint for joint in image_set.names if joint not in names) if protocol == "box" else (),
        thresholds=thresholds,
        side_swapped=_known(metrics.pck(swapped)),
        rows=(*rows, _row("Mean", found)),
    )


def read_predictions(
    path: str, image_set: ImageSet, protocol: Protocol, keypoint_map: str | None = None
) -> tuple[Array, dict[str, str]]:
    """The landmarks of a keypoint file as `evaluate_landmarks` takes them, and which of the set's joints it has by what
    names; a joint that is nowhere found is one that it has not.

    The file's frames are the images' names (as much of their paths as tells them apart), or numbers where it has one
    row for each image, in order: of the set, or of those that are scored.  Where an image shows several, or several are
    predicted in it, those whose mean distance is least belong together, the nearest pair first.
    """
    image_set.check_labelled()
    found = load_keypoints(path)
    matched = joints_of_set(found, image_set, keypoint_map)
    head = [name for name in found.names if name.lower() == "head"]  # what many call LSP's head top
    if "head_top" in image_set.names and head and keypoint_map is None:
        matched.setdefault("head_top", head[0])
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(found.positions).all(axis=3))
    matched = {joint: name for joint, name in matched.items() if seen[:, :, found.names.index(name)].any()}
    if not matched:
        some = ", ".join(found.names[:4])
        raise fault(
            path, None, f"none of the joints of the set among {some}; expected {', '.join(image_set.names[:4])}"
        )
    places = _places(path, found, image_set, protocol)
    take = [found.names.index(matched[name]) if name in matched else -1 for name in image_set.names]
    positions = np.where(np.array(take)[:, None] >= 0, found.positions[:, :, take], np.nan)
    predicted = np.full((len(image_set.annotations), len(image_set.names), 2), np.nan)
    truth = image_set.keypoints
    labels: dict[str, list[int]] = {}
    for n, annotation in enumerate(image_set.annotations):
        labels.setdefault(annotation.image, []).append(n)
    for image, t in places.items():
        here = positions[t][np.isfinite(positions[t]).all(-1).any(-1)]
        for n, a in _assign(here, truth[labels[image]]):
            predicted[labels[image][n]] = here[a]
    return predicted, matched


def _assign(predicted: Array, truth: Array) -> list[tuple[int, int]]:
    """(label, prediction) pairs, the nearest pair first; a single one of each belong together however far apart."""
    distances = np.linalg.norm(predicted[None] - truth[:, None], axis=-1)
    known = np.isfinite(distances)
    mean = np.where(known, distances, 0).sum(-1) / np.maximum(known.sum(-1), 1)
    cost = np.where(known.any(-1), mean, 1e30)
    pairs = []
    for _ in range(min(cost.shape)):
        n, a = divmod(int(cost.argmin()), cost.shape[1])
        pairs.append((n, a))
        cost[n, :] = cost[:, a] = np.inf
    return pairs


def _places(path: str, found: Keypoints, image_set: ImageSet, protocol: Protocol) -> dict[str, int]:
    """Image of the set -> the file's frame that shows it."""
    every = image_set.images()
    if all(isinstance(frame, int) for frame in found.frames):
        scored = tuple(dict.fromkeys(image_set.annotations[n].image for n in _chosen(image_set, protocol)))
        for images in (every, scored):
            if len(found.frames) == len(images):
                return {image: t for t, image in enumerate(images)}
        numbers = f"{len(found.frames)} numbered frames"
        raise fault(path, None, f"{numbers} for {len(every)} images; expected names of images, or one row for each")
    by_name: dict[str, list[str]] = {}
    for image in every:
        by_name.setdefault(os.path.basename(image), []).append(image)
    places: dict[str, int] = {}
    elsewhere = []
    for t, frame in enumerate(found.frames):
        parts = str(frame).replace("\\", "/").split("/")
        alike = {image: _common_end(parts, image.split("/")) for image in by_name.get(parts[-1], ())}
        best = [image for image, count in alike.items() if count == max(alike.values())]
        if len(best) > 1:
            raise fault(
                path, None, f"frame {shown(frame)}: {len(best)} images are called so; expected more of its path"
            )
        if best and best[0] in places:
            raise fault(path, None, f"frame {shown(frame)}: a second row for its image; expected one for each image")
        if best and alike[best[0]] < min(len(parts), len(best[0].split("/"))):
            elsewhere.append(str(frame))
        places |= dict.fromkeys(best, t)
    if elsewhere:
        said = f"{path}: {len(elsewhere)} frames are of images of the same name in another folder"
        warnings.warn(f"{said} than the set's, such as {elsewhere[0]}", stacklevel=2)
    if not places:
        some = f"{shown(found.frames[0])} ..."
        raise fault(
            path, None, f"frames {some}: none is an image of the set; expected names such as {by_name.popitem()[0]}"
        )
    return places


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count] == other[-1 - count]:
        count += 1
    return count


def _chosen(image_set: ImageSet, protocol: Protocol) -> list[int]:
    """The annotations that are scored: of LSP the test half, where the set has images of it."""
    every = list(range(len(image_set.annotations)))
    if protocol == "box" or image_set.kind != "LSP":
        return every
    test = [n for n in every if _image_number(image_set.annotations[n].image) >= LSP_FIRST_TEST]
    return test or every


def _image_number(path: str) -> int:
    found = re.search(r"(\d+)\.\w+$", path)
    return int(found[1]) if found else 0


def _columns_of(image_set: ImageSet, protocol: Protocol, given: Mapping[str, str]) -> list[int]:
    """Places of the scored joints among the set's names; for LSP all 14, in LSP's order."""
    if protocol == "box":
        return [k for k, name in enumerate(image_set.names) if name in given]
    matched = same_joints(image_set.names, LSP_JOINTS)
    for whose, has in (
        (image_set.source, matched.keys()),
        ("predictions", {j for j, n in matched.items() if n in given}),
    ):
        if lacking := [joint for joint in LSP_JOINTS if joint not in has]:
            raise InputError(f"{whose[-100:]}: no {', '.join(lacking[:5])}; protocol lsp scores LSP's 14 joints")
    return [image_set.names.index(matched[joint]) for joint in LSP_JOINTS]


def _check_protocol(protocol: str) -> None:
    if protocol not in get_args(Protocol):
        raise InputError(f"protocol: is {shown(protocol)}; expected {' or '.join(get_args(Protocol))}")


def _row(part: str, found: Sequence[Array]) -> PartRow:
    return PartRow(part, int(np.isfinite(found[0]).sum()), tuple(_known(metrics.pck(each)) for each in found))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _rules(found: LandmarkEvaluation) -> list[str]:
    lines = [f"{found.predictions}: 2D landmarks on {found.image_set} ({found.kind}), {found.labels} labels"]
    if found.protocol == "lsp":
        which = "the 1000 test images, 1001 to 2000" if found.test_half else "NOT the 1000 test images of LSP's tables"
        lines.append(f"protocol lsp: {which}; person-centric; {len(found.joints)} joints, hidden ones too")
        lines.append("near: at most 0.2 of the torso, from left shoulder to right hip, of each image")
    else:
        sizes = f"sizes: {found.boxes} of {found.labels} boxes of the set"
        if found.boxes < found.labels:
            sizes += ", else the labelled joints' extent"
        lines.append("protocol box: near is at most that share of the longer side of each label's box")
        lines += [sizes, f"joints scored: {len(found.joints)}: {', '.join(found.joints)}"]
        if found.not_scored:
            lines.append(f"not scored, as the predictions do not have them: {', '.join(found.not_scored)}")
    if found.called:
        lines.append("called otherwise by the predictions: " + ", ".join(f"{j} ({n})" for j, n in found.called.items()))
    if found.not_predicted:
        lines.append(f"without a prediction: {found.not_predicted} labels, counted as missed")
    if found.unsized:
        lines.append(f"not scored, as their size is not known: {found.unsized} labels")
    return lines


def _columns(found: LandmarkEvaluation) -> list[str]:
    rows = [["part", "scored", *(f"PCK@{threshold:g}" for threshold in found.thresholds)]]
    for row in found.rows:
        shares = ["-" if share is None else f"{100 * share:.1f}" for share in row.pck]
        rows.append([row.part, str(row.scored), *shares])
    return aligned(rows, names=1)


def _notes(found: LandmarkEvaluation) -> list[str]:
    notes = ["Mean: over all scored joints of all images alike.  A joint that is not predicted is a miss."]
    if found.protocol == "lsp":
        notes.append("Head: neck and head top; the other groups are left and right.")
    else:
        notes.append("Of several in one image, predictions and labels belong together that lie nearest.")
    if found.side_swapped is not None and found.mean is not None and found.side_swapped > found.mean + CLEARLY:
        share = f"{100 * found.side_swapped:.1f}"
        notes.append(
            f"Left and right look exchanged (the viewer's, not the person's own?): swapped, the mean is {share}."
        )
    return notes
