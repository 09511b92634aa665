"""Pictures of sampled poses: a sheet of poses, near bones over far ones."""

import errno
import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .kinematics import forward
from .sampler import Batch
from .skeleton import Skeleton
from .store.folder import LocalFolder

PAPER, INK, FAINT, SHADE = "#faf7f2", "#2b2d3a", "#85879a", "#e9e3d8"
LEFT, RIGHT, MIDDLE = "#e4572e", "#2f7fb5", "#4a4e69"
BRANCHES = (LEFT, "#d99a1c", "#3f9b63", RIGHT, "#7d4fa3", MIDDLE)
COLUMNS = 6
_PANEL, _HEAD = 2.1, 0.7  # inches


class MissingMatplotlibError(InputError):
    """Pictures need matplotlib."""

    def __init__(self) -> None:
        super().__init__("matplotlib: is not installed; pictures need it: pip install 'posesynth[draw]'")


class Row(NamedTuple):
    """Up to COLUMNS poses side by side."""

    label: str
    poses: NDArray[np.floating[Any]]  # (B, N, 3)
    grounded: bool = False  # stand on a shadow


def sample_sheet(skeleton: Skeleton, batch: Batch, path: Path, title: str) -> None:
    """Draw the first 12 samples of a batch that holds p3d and o_up: upright, and below it as the camera sees it.

    Writes `path` (PNG, or any suffix matplotlib writes).  Raises InputError where that cannot be done.
    """
    assert batch.p3d is not None
    assert batch.o_up is not None
    upright = forward(batch.o_up, skeleton) @ view(58, 14).T  # to three quarters, a little from above
    seen = batch.p3d.copy()
    seen[..., [0, 2]] = batch.p2d  # with perspective, noise and missing joints; depth only orders and shades
    rows = []
    for first in range(0, min(2 * COLUMNS, len(batch)), COLUMNS):
        last = first + COLUMNS
        rows.append(Row("the upright pose, from its right and a little above", upright[first:last], grounded=True))
        rows.append(Row("the same, as the camera sees it: P2D", seen[first:last]))
    sheet(skeleton, rows, path, title)


def sheet(skeleton: Skeleton, rows: Sequence[Row], path: Path, title: str) -> None:
    """Draw rows of poses.  The image plane is (x, z); y is depth, away from the viewer.

    Left bones are orange, right ones blue; what is nearer is drawn thicker, darker and later.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingMatplotlibError from None

    height = _PANEL * len(rows) + _HEAD
    figure = Figure(figsize=(_PANEL * COLUMNS, height), facecolor=PAPER)
    axes = figure.subplots(len(rows), COLUMNS, squeeze=False)
    colours = bone_colours(skeleton)
    for axis_row, row in zip(axes, rows, strict=True):
        for column, axis in enumerate(axis_row):
            axis.set_axis_off()
            if column < len(row.poses):
                _pose(axis, skeleton, row.poses[column], colours, row.grounded)
        axis_row[0].text(-1.24, 1.34, row.label, color=FAINT, fontsize=8.5, va="top")
    top = 1 - _HEAD / height
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=top, wspace=0.02, hspace=0.02)
    figure.text(0.015, 1 - 0.5 * _HEAD / height, title, color=INK, fontsize=15, weight="bold", va="center")
    legend = ((0.80, "left", LEFT), (0.86, "right", RIGHT), (0.93, "middle", MIDDLE)) if skeleton.symmetric else ()
    for x, name, colour in legend:
        figure.text(x, 1 - 0.5 * _HEAD / height, f"● {name}", color=colour, fontsize=11, va="center")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    """Write a picture: whole, or not at all and what was there stays."""
    drawn = BytesIO()
    try:
        figure.savefig(drawn, format=path.suffix[1:] or "png", dpi=110, facecolor=PAPER)
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder")
        if path.exists() and not path.is_file():  # a pipe or a device has no other file put in its place
            path.write_bytes(drawn.getbuffer())
        else:
            whole = path.resolve()  # what a link leads to
            LocalFolder(whole.parent).put(whole.name, drawn.getbuffer())
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise InputError(f"{path}: cannot be written; {reason}") from None


def view(yaw: float, pitch: float) -> NDArray[np.float64]:
    """The rotation (3, 3), of column vectors, that turns about z by `yaw` degrees, then looks down by `pitch`."""
    yaw, pitch = math.radians(yaw), math.radians(pitch)
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    nod = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    matrix: NDArray[np.float64] = nod @ turn
    return matrix


def bone_colours(skeleton: Skeleton) -> list[str]:
    """A colour for each edge: by side, or where nothing is symmetric by the branch it belongs to.

    The first of a symmetric pair is the left one unless the names say otherwise.
    """
    if not skeleton.symmetric:
        return _branch_colours(skeleton)
    colours = [MIDDLE] * skeleton.edges
    for pair in skeleton.symmetric:
        names = [skeleton.joints[edge + 1].lower() for edge in pair]
        left, right = pair[::-1] if "left" in names[1] or "right" in names[0] else pair
        colours[left], colours[right] = LEFT, RIGHT
    return colours


def _branch_colours(skeleton: Skeleton) -> list[str]:
    colours: list[str] = []
    branches = 0
    for parent in skeleton.parents[1:]:
        colours.append(colours[parent - 1] if parent > 0 else BRANCHES[branches % len(BRANCHES)])
        branches += int(parent == 0)
    return colours


def _pose(axis: Any, skeleton: Skeleton, pose: NDArray[np.float32], colours: list[str], grounded: bool) -> None:
    from matplotlib.collections import LineCollection

    shown: NDArray[np.bool_] = np.isfinite(pose.sum(axis=1))
    if not shown.any():
        return
    middle = (pose[shown].max(0) + pose[shown].min(0)) / 2
    half = float(np.abs(pose[shown] - middle)[:, [0, 2]].max()) or 1.0
    x, depth, z = ((pose - middle) / half).T
    near = 0.5 - np.clip(depth, -1, 1) / 2  # 1 near, 0 far
    thin = min(1.0, (18 / skeleton.edges) ** 0.5)  # many bones are drawn thinner
    if grounded:
        ground = z.min() - 0.06 + 0.12 * (depth - depth.mean())
        shade = np.stack([x, ground], axis=1)[np.stack([skeleton.parents[1:], np.arange(skeleton.edges) + 1], axis=1)]
        axis.add_collection(LineCollection(shade, colors=SHADE, linewidths=5, capstyle="round", zorder=-1))
    drawn = [e for e in range(skeleton.edges) if shown[e + 1] and shown[skeleton.parents[e + 1]]]
    bones = [(int(skeleton.parents[e + 1]), e + 1) for e in drawn]
    # One collection, drawn in its order: thousands of bones as lines of their own take minutes.
    lines = bone_lines(np.stack([x, z], axis=1), near, bones, [colours[e] for e in drawn], thin)
    axis.add_collection(LineCollection(**lines._asdict(), capstyle="round", zorder=1))
    if shown[0]:
        axis.plot(x[0], z[0], "o", mfc=PAPER, mec=INK, mew=1.4, ms=5.5, zorder=2)
    axis.set(xlim=(-1.26, 1.26), ylim=(-1.4, 1.24), aspect="equal")


class Lines(NamedTuple):
    """What a LineCollection is made of, in the order it is drawn."""

    segments: list[NDArray[np.floating[Any]]]
    colors: list[Any]
    linewidths: list[float]


def bone_lines(
    points: NDArray[np.floating[Any]],
    near: NDArray[np.floating[Any]],
    bones: Sequence[tuple[int, int]],
    colours: Sequence[str],
    thickness: float,
) -> Lines:
    """Bones (parent, joint) between points (N, 2), far ones first, each in its colour with an outline and joints.

    near: (N,), 1 near to 0 far.  What is nearer is thicker and darker.
    """
    from matplotlib.colors import to_rgb

    paper = np.array(to_rgb(PAPER))
    lines = Lines([], [], [])
    for b in sorted(range(len(bones)), key=lambda b: float(near[list(bones[b])].sum())):
        ends = list(bones[b])
        closeness = float(near[ends].mean())
        colour = paper + (np.array(to_rgb(colours[b])) - paper) * (0.45 + 0.55 * closeness)
        width = (2.2 + 3.6 * closeness) * thickness
        bone = points[ends]
        # A joint is a line too short to see, with round ends.
        lines.segments.extend([bone, bone, *(np.stack([end, end + 1e-3]) for end in bone)])
        lines.colors.extend([paper, colour, paper, paper])
        lines.linewidths.extend([width + 2.2, width, 0.42 * width + 1, 0.42 * width + 1])
    return lines
