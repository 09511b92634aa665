"""What was found in images: the landmarks over each, and the 3D poses beside it; a picture an image, a film a video."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from posesynth.draw import FAINT, INK, PAPER, Lines

from ..data.images.image_set import Box
from ..data.images.picture import shrunk
from ..data.images.video import film
from ..data.pose_track import PoseTrack
from .figure import HEAD, heading, new_axes, new_figure, written
from .skeletons import DOUBT, Body, Drawing, Floor, body_of
from .standing import standing

MOST = 4  # individuals whose pose is drawn in 3D
LONGEST = 300  # frames of a film
_WIDEST, _HIGHEST = 5.6, 4.6  # inches of the image
_SIDE, _LOWEST = 2.3, 3.6  # of a pose's width, and of the height of two
_HEADING = 6.0  # for which there is always room
_FOOT, _LABEL = 0.4, 0.22
_VIEWS = ((0.0, "3D, as the camera sees it"), (60.0, "3D, from 60° left of the camera"))
_FILM_DPI = 120
_SHARPEST = 1200  # pixels of the image's longer side

Image = NDArray[np.uint8]


class Region(NamedTuple):
    """Whole pixels of an image, from its upper left corner."""

    left: int
    top: int
    right: int
    bottom: int


def draw_prediction(
    image: Image, track: PoseTrack, step: int, boxes: Sequence[Box], min_confidence: float, out: Path
) -> None:
    """Draw what `track` has for an image, (H, W, 3) uint8 RGB, at its frame `step`, to `out` (.jpg or .png).

    boxes: around the animals, which then fill the picture; none: the whole image is shown.  Landmarks with less than
    `min_confidence` are rings without bones.  InputError where the picture cannot be written.
    """
    only = PoseTrack(
        **{
            **vars(track),
            **{
                name: None if values is None else values[step : step + 1]
                for name in ("p3d", "p2d", "confidence", "p2d_confidence")
                for values in [getattr(track, name)]
            },
            "frames": track.frames[step : step + 1],
            "source": str(track.frames[step]).rsplit("/", 1)[-1],
        }
    )
    stage = _Stage(only, _around(image, only, boxes), min_confidence)
    stage.draw(0, image, boxes)
    with written(out) as partial:
        look = {"quality": 90} if out.suffix == ".jpg" else {}
        stage.figure.savefig(partial, dpi=150, facecolor=PAPER, pil_kwargs=look)


def draw_film(
    images: Iterable[tuple[int, Image, Sequence[Box]]],
    track: PoseTrack,
    fps: float,
    min_confidence: float,
    out: Path,
) -> None:
    """Draw a film of a video's frames: images (frame, (H, W, 3) uint8 RGB, boxes) of one size, in order, at least one.

    InputError where it cannot be written.
    """
    remaining = iter(images)
    first = next(remaining)
    stage = _Stage(track, Region(0, 0, first[1].shape[1], first[1].shape[0]), min_confidence)
    stage.figure.set_dpi(_FILM_DPI)
    width, height = (int(side) // 2 * 2 for side in stage.figure.get_size_inches() * _FILM_DPI)
    with written(out) as partial, closing(film(partial, (width, height), fps)) as writer:
        for step, image, boxes in chain([first], remaining):
            stage.draw(step, image, boxes)
            stage.figure.canvas.draw()
            pixels = np.asarray(stage.figure.canvas.buffer_rgba())[:height, :width, :3]
            writer.send(np.ascontiguousarray(pixels))


class _Stage:
    """A figure of one region of an image, and the poses of some individuals beside it."""

    def __init__(self, track: PoseTrack, region: Region, min_confidence: float) -> None:
        sure = track.p2d_confidence
        self.track = track
        self.believed = np.ones(track.p2d.shape[:3], np.bool_) if sure is None else sure >= min_confidence
        given = np.where(self.believed[..., None], track.p2d, np.nan)
        across, down = region.right - region.left, region.bottom - region.top
        high = max(0.1, min(_HIGHEST, _WIDEST * down / across))
        wide = max(0.1, min(_WIDEST, high * across / down))
        tall = max(high, _LOWEST)
        lifted = np.flatnonzero(np.isfinite(track.p3d).all(axis=(-2, -1)).any(axis=0)).tolist()
        columns = 1 if len(lifted) <= 2 else 2
        left = max(0.2 + wide + 0.3, _HEADING - columns * _SIDE)  # of the poses
        width, height = left + columns * _SIDE + 0.1, HEAD + tall + _FOOT
        body, self.figure = body_of(track), new_figure(width, height)
        heading(self.figure, Path(track.source).name, "", f"2D and 3D by {track.model}", body.sided)
        place = ((left - 0.1 - wide) / 2, _FOOT + (tall - high) / 2, wide, high)
        self.photo = Photo(new_axes(self.figure, *place), body, track, region)
        self.floors: list[tuple[float, Floor]] = []
        doubt = [None if track.confidence is None else track.confidence[:, a] for a in range(len(track.individuals))]
        views = [(a, *view) for a in lifted[:MOST] for view in (_VIEWS if len(lifted) == 1 else _VIEWS[1:])]
        for n, (a, yaw, words) in enumerate(views):
            x, top = left + n % columns * _SIDE, _FOOT + tall - n // columns * tall / 2
            axis = new_axes(self.figure, x, top - tall / 2 + 0.1, _SIDE, tall / 2 - 0.1 - _LABEL)
            self.floors.append((yaw, Floor(axis, body, standing(track.p3d[:, a], given[:, a], doubt[a]))))
            self.floors[-1][1].around.set_clip_on(True)  # or discs lie over the photograph
            whose = f"{track.individuals[a][:12]}, {words[4:]}" if track.individuals[a] else words
            look = {"color": FAINT, "fontsize": 8.5, "va": "top", "parse_math": False}
            self.figure.text((x + 0.05) / width, top / height, whose, **look)
        notes = [f"○ confidence under {min_confidence:g}: not lifted"] if min_confidence > 0 else []
        if not lifted:
            notes.append("no 3D: fewer than three joints with that confidence")
        elif len(lifted) > MOST:
            notes.append(f"3D of {MOST} of {len(lifted)} individuals")
        if lifted and track.confidence is not None:
            notes.append(DOUBT)
        self.notes = "     ".join(notes)
        look = {"color": FAINT, "fontsize": 8.5, "va": "center", "parse_math": False}
        self.foot = self.figure.text(0.2 / width, 0.5 * _FOOT / height, self.notes, **look)

    def draw(self, step: int, image: Image, boxes: Sequence[Box]) -> None:
        """Draw frame `step` of the track, whose image this is."""
        self.photo.draw(image, self.track.p2d[step].astype(np.float64), self.believed[step], boxes)
        for yaw, floor in self.floors:
            floor.draw(step, yaw)
        frame = self.track.frames[step]
        if isinstance(frame, int):
            self.foot.set_text(f"frame {frame}     {self.notes}")


class Photo(Drawing):
    """A region of an image, and over it landmarks (A, N, 2) in its pixels, x right, z up."""

    def __init__(self, axis: Any, body: Body, track: PoseTrack, region: Region) -> None:
        left, top, right, bottom = region
        axis.set(xlim=(left, right), ylim=(-bottom, -top))
        super().__init__(axis, body)
        found = track.p2d[np.isfinite(track.p2d).any(axis=(-2, -1))]  # (n, N, 2)
        extent = np.nanmax(found, axis=1) - np.nanmin(found, axis=1)
        size = float(np.median(extent.max(axis=1))) if len(found) else 0.0
        self.thickness *= float(np.clip(1.6 * size / max(right - left, bottom - top), 0.4, 1))
        self.region = region
        self.picture: Any = None
        self.frames: list[Any] = []
        (self.rims,) = axis.plot([], [], "o", mfc="none", mec=PAPER, mew=2.6, ms=7 * self.thickness, zorder=3)
        (self.rings,) = axis.plot([], [], "o", mfc="none", mec=INK, mew=1.1, ms=7 * self.thickness, zorder=3)
        look = {"color": PAPER, "fontsize": 8, "ha": "center", "zorder": 4, "clip_on": True, "parse_math": False}
        self.tags = [
            axis.text(0, 0, name, bbox={"facecolor": INK, "pad": 1.5, "lw": 0}, **look) for name in track.individuals
        ]

    def draw(self, image: Image, points: NDArray[np.float64], sure: NDArray[np.bool_], boxes: Sequence[Box]) -> None:
        """Draw an image, the landmarks found in it, and which of them to believe (A, N)."""
        from matplotlib.patches import Rectangle

        left, top, right, bottom = self.region
        pixels = shrunk(np.ascontiguousarray(image[top:bottom, left:right]), _SHARPEST)
        if self.picture is None:
            look: dict[str, Any] = {"extent": (left, right, -bottom, -top), "aspect": "auto", "zorder": 0}
            self.picture = self.axis.imshow(pixels, interpolation="antialiased", **look)
            self.axis.set(xlim=(left, right), ylim=(-bottom, -top))
        else:
            self.picture.set_data(pixels)
        for frame in self.frames:
            frame.remove()
        self.frames = [
            self.axis.add_patch(Rectangle((x, -y - h), w, h, fill=False, ec=PAPER, lw=1.2, ls=(0, (4, 3)), zorder=1))
            for x, y, w, h in boxes
        ]
        lines = Lines([], [], [])
        for one, believed, tag in zip(points, sure, self.tags, strict=True):
            bones = self.bones(np.where(believed[:, None], one, np.nan), np.ones(len(one)))
            lines.segments.extend(bones.segments)
            lines.colors.extend(bones.colors)
            lines.linewidths.extend(bones.linewidths)
            seen = one[np.isfinite(one[:, 0])]
            tag.set_visible(bool(len(seen) and tag.get_text()))
            if len(seen):
                tag.set_position((seen[:, 0].mean(), seen[:, 1].max() + 0.03 * (bottom - top)))
        self.put(lines)
        unsure = points[~sure & np.isfinite(points[..., 0])]
        for marks in (self.rims, self.rings):
            marks.set_data(*unsure.T)


def _around(image: Image, track: PoseTrack, boxes: Sequence[Box]) -> Region:
    """The boxes and what was found, with some of what is around them; without boxes the whole image."""
    height, width = image.shape[:2]
    if not boxes:
        return Region(0, 0, width, height)
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes])
    found = track.p2d[0].reshape(-1, 2) * (1, -1)
    points = np.concatenate([corners[:, :2], corners[:, 2:], found[np.isfinite(found).all(axis=1)]])
    points = np.clip(points, 0, (width, height))
    low, high = points.min(0), points.max(0)
    around = 0.2 * float((high - low).max()) + 1
    left, top = np.floor(np.maximum(low - around, 0)).astype(int).tolist()
    right, bottom = np.ceil(np.minimum(high + around, (width, height))).astype(int).tolist()
    return Region(left, top, max(right, left + 1), max(bottom, top + 1))
