"""Skeletons in axes: as the camera has them, and in 3D on a floor that can be turned."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from posesynth.draw import BRANCHES, FAINT, INK, LEFT, MIDDLE, PAPER, RIGHT, SHADE, Lines, bone_lines, view
from posesynth.sides import body_sides

from ..data.pose_track import PoseTrack
from .standing import FLAT, FROM_ABOVE, Standing
from .window import Window, boxes, round_number

Array = NDArray[np.floating[Any]]

_FLOOR, _SHADOW, _SCREEN = "#f3eee5", "#d8d0c2", "#fffdf9"

DOUBT = "lines: error expected in depth, discs: of hidden joints"
"""What a `Floor` draws around the joints of a model with a confidence."""


class Body(NamedTuple):
    """The bones of a skeleton and how they look."""

    bones: list[tuple[int, int]]  # (parent, joint)
    colours: list[str]  # of each joint, and of the bone that ends there
    sided: bool  # coloured by side; else by branch
    thickness: float
    root: int


def body_of(track: PoseTrack) -> Body:
    """Bones coloured by side, or where no joint has one by the branch from the root."""
    bones = [(parent, joint) for joint, parent in enumerate(track.parents) if parent >= 0]
    root, sides = track.parents.index(-1), body_sides(track.joints)
    colours = [{"l": LEFT, "r": RIGHT}.get(sides[name], MIDDLE) for name in track.joints]
    sided = LEFT in colours and RIGHT in colours
    if not sided:
        branches = [joint for parent, joint in bones if parent == root]
        for joint in range(len(colours)):
            at = joint
            while at != root and at not in branches:
                at = track.parents[at]
            colours[joint] = MIDDLE if at == root else BRANCHES[branches.index(at) % len(BRANCHES)]
    return Body(bones, colours, sided, min(1.0, (18 / max(len(bones), 1)) ** 0.5), root)


class Drawing:
    """Skeletons of one axis, replaced at each step."""

    def __init__(self, axis: Any, body: Body) -> None:
        from matplotlib.collections import LineCollection

        self.axis, self.body = axis, body
        self.lines = axis.add_collection(LineCollection([], capstyle="round", zorder=3))
        inches = axis.get_position().size * axis.figure.get_size_inches()
        self.thickness = body.thickness * float(np.clip(inches.min() / 3.2, 0.55, 1.15))

    def bones(self, points: Array, near: Array) -> Lines:
        """One skeleton; joints seen alone are dots."""
        seen: list[bool] = np.isfinite(points.sum(axis=-1)).tolist()
        drawn = [(parent, joint) for parent, joint in self.body.bones if seen[parent] and seen[joint]]
        colours = [self.body.colours[joint] for _, joint in drawn]
        lines = bone_lines(points, near, drawn, colours, self.thickness)
        for joint in {joint for joint, on in enumerate(seen) if on} - {joint for bone in drawn for joint in bone}:
            lines.segments.append(np.stack([points[joint], points[joint] + 1e-3]))
            lines.colors.append(self.body.colours[joint])
            lines.linewidths.append(5 * self.thickness)
        return lines

    def _ring(self) -> Any:
        """What marks the root, which tells the front of most animals from their back; to be given its place."""
        look = {"mfc": PAPER, "mec": INK, "mew": 1.2 * self.thickness, "ms": 5 * self.thickness, "zorder": 3.5}
        (ring,) = self.axis.plot([], [], "o", **look)
        return ring

    def put(self, lines: Lines) -> None:
        """Replace what was drawn."""
        self.lines.set_segments(lines.segments)
        self.lines.set_color(lines.colors)
        self.lines.set_linewidths(lines.linewidths)


class Screen(Drawing):
    """The 2D track of some individuals, images (T, A, N, 2), as the camera has it; doubtful (T, A, N) joints pale."""

    def __init__(
        self, axis: Any, body: Body, images: Array, doubtful: NDArray[np.bool_], tags: Sequence[str], window: Window
    ) -> None:
        super().__init__(axis, body)
        self.images, self.doubtful, self.window = images, doubtful, window
        sizes = [(high - low).max(axis=1) for low, high in (boxes(images[:, [a]]) for a in range(images.shape[1]))]
        self.thickness *= float(np.clip(np.median(sizes) / window.half, 0.45, 1))  # small animals have thin bones
        look = {"color": INK, "fontsize": 8, "ha": "center", "zorder": 4, "clip_on": True, "parse_math": False}
        self.tags = [axis.text(0, 0, tag, **look) for tag in tags]
        self.grid: Any = None
        self.rings = self._ring()

    def frame(self) -> None:
        """Add an edge around the picture and a grid that stands still in the image, to tell motion by."""
        from matplotlib.collections import LineCollection

        self.axis.set_facecolor(_SCREEN)
        self.axis.set_frame_on(True)
        self.axis.spines[:].set(color=SHADE, linewidth=1)
        self.pitch = round_number(self.window.half / 2)
        self.grid = self.axis.add_collection(LineCollection([], colors=SHADE, linewidths=0.6, zorder=0))
        place = {"ha": "right", "transform": self.axis.transAxes}
        self.axis.text(0.98, 0.02, f"grid: {self.pitch:g} pixels", color=FAINT, fontsize=7.5, **place)

    def draw(self, step: int) -> None:
        """Draw frame `step`."""
        centre, half = self.window.centres[step], self.window.half
        lines = Lines([], [], [])
        placed = (self.images[step] - centre) / half
        for points, doubtful, tag in zip(placed, self.doubtful[step], self.tags, strict=True):
            one = self.bones(points, np.where(doubtful, 0, 0.7))
            lines.segments.extend(one.segments)
            lines.colors.extend(one.colors)
            lines.linewidths.extend(one.linewidths)
            seen = points[np.isfinite(points[:, 0])]
            tag.set_visible(len(seen) > 0)
            if len(seen):
                tag.set_position((seen[:, 0].mean(), seen[:, 1].max() + 0.06))
        self.put(lines)
        self.rings.set_data(*placed[:, self.body.root].T)
        if self.grid is not None:
            far = float(np.abs([*self.axis.get_xlim(), *self.axis.get_ylim()]).max())
            ticks = np.arange(-far * half // self.pitch, far * half // self.pitch + 2) * self.pitch
            across, up = ((ticks - centre[k] % self.pitch) / half for k in (0, 1))
            self.grid.set_segments([[(x, -far), (x, far)] for x in across] + [[(-far, z), (far, z)] for z in up])


class Floor(Drawing):
    """Standing poses on a round floor, seen from a little above."""

    def __init__(self, axis: Any, body: Body, stood: Standing, named: bool = True) -> None:
        """named: write "camera" where it stands."""
        from matplotlib.collections import EllipseCollection, LineCollection
        from matplotlib.patches import Ellipse

        super().__init__(axis, body)
        self.stood = stood
        (_, right), (_, top) = axis.get_xlim(), axis.get_ylim()
        low, high = stood.extent
        self.scale = 0.9 * min(right / stood.radius, 2 * top / (high - low))
        self.lift = -self.scale * (low + high) / 2
        wide = 2 * stood.radius * self.scale
        look: dict[str, Any] = {"facecolor": _FLOOR, "edgecolor": SHADE, "linewidth": 1.2, "zorder": 0}
        axis.add_patch(Ellipse((0, self.lift), wide, wide * FLAT, **look))
        self.grid = axis.add_collection(LineCollection([], colors=SHADE, linewidths=0.7, zorder=1))
        self.shadow = axis.add_collection(LineCollection([], colors=_SHADOW, capstyle="round", zorder=2))
        # How sure the model is of a joint: where else it may be, along the line of sight or, hidden, all around.
        alike = {"units": "xy", "offsets": [], "offset_transform": axis.transData, "zorder": 2.5, "linewidths": 0.8,
                 "clip_on": False}  # fmt: skip
        self.around = axis.add_collection(EllipseCollection([], [], [], **alike), autolim=False)
        self.along = axis.add_collection(LineCollection([], linewidths=1.8 * self.thickness, zorder=2.5))
        (self.camera,) = axis.plot([], [], "o", color=FAINT, ms=5 * self.thickness, zorder=2)
        text = "camera" if named else ""
        self.ring = self._ring()
        self.name = axis.text(0, 0, text, color=FAINT, fontsize=7, ha="center", va="top", zorder=2)

    def draw(self, step: int, yaw: float) -> None:
        """Draw pose `step`, all turned by `yaw` degrees from how the camera saw it."""
        turned = view(yaw, FROM_ABOVE)
        pose = self.stood.poses[step]
        points, depth = self._seen(pose, turned)
        self.put(self.bones(points, 0.5 - np.clip(depth / self.stood.radius, -1, 1) / 2))
        self.ring.set_data(*points[[self.body.root]].T)
        if self.stood.errors is not None:
            self._doubt(pose, self.stood.errors[step], self.stood.seen[step], turned)
        shade, _ = self._seen(pose * [1, 1, 0], turned)
        on = np.isfinite(shade[:, 0]).tolist()
        self.shadow.set_segments([shade[list(bone)] for bone in self.body.bones if on[bone[0]] and on[bone[1]]])
        self.shadow.set_linewidths([4 * self.thickness])
        self.grid.set_segments([self._seen(chord, turned)[0] for chord in _chords(self.stood.radius)])
        ((x, z),), (away,) = self._seen(np.array([[0, -self.stood.radius, 0]]), turned)
        self.camera.set_data([x], [z])
        self.name.set(position=(x, z - 0.05), visible=bool(away < -0.3 * self.stood.radius))

    def _doubt(self, pose: Array, errors: Array, seen: NDArray[np.bool_], turned: Array) -> None:
        from matplotlib.colors import to_rgba

        known = np.isfinite(pose[:, 0]) & np.isfinite(errors)
        along, around = np.flatnonzero(known & seen), np.flatnonzero(known & ~seen)
        away = errors[along, None] * [0, 1, 0]
        ends = np.stack([pose[along] - away, pose[along] + away], axis=1)
        self.along.set_segments(self._seen(ends, turned)[0])
        self.along.set_color([to_rgba(self.body.colours[joint], 0.3) for joint in along])
        widths = 2 * self.scale * errors[around]
        self.around.set(offsets=self._seen(pose[around], turned)[0], widths=widths, heights=widths, angles=0 * around)
        self.around.set_facecolors([to_rgba(self.body.colours[joint], 0.1) for joint in around])
        self.around.set_edgecolors([to_rgba(self.body.colours[joint], 0.3) for joint in around])

    def _seen(self, points: Array, turned: Array) -> tuple[Array, Array]:
        """(points in the axis, depth away from the viewer)"""
        seen = points @ turned.T
        return seen[..., [0, 2]] * self.scale + [0, self.lift], seen[..., 1]


def _chords(radius: float) -> Array:
    """A square grid on the floor, (C, 2, 3)."""
    across = np.linspace(-1, 1, 9)[1:-1]
    half = np.sqrt(1 - across**2)
    one = np.stack([np.stack([across, -half], axis=-1), np.stack([across, half], axis=-1)], axis=1)
    chords = np.concatenate([one, one[..., ::-1]]) * radius
    return np.concatenate([chords, np.zeros((*chords.shape[:2], 1))], axis=-1)
