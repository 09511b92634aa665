"""A lifted track as a film, the 2D beside skeletons that turn in 3D, or as a panel for a paper."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.draw import FAINT, INK, PAPER, SHADE
from posesynth.errors import InputError, did_you_mean, shown

from ..data.pose_track import MIN_CONFIDENCE, PoseTrack
from ..data.poses import read_poses
from .figure import HEAD, heading, label, new_axes, new_figure, written
from .skeletons import DOUBT, Body, Floor, Screen, body_of
from .standing import Standing, standing
from .window import boxes, centred, following

LONGEST = 300  # frames of a film
AT_ONCE = 4  # individuals of a film
COLUMNS = 5  # frames of a panel
TURN = 36.0  # degrees a second
SIDES = (50.0, -40.0)  # a panel's two views, in degrees from the camera's
_FOOT = 0.36  # inches


def show(
    poses: PoseTrack | str | os.PathLike[str],
    out: str | os.PathLike[str],
    fps: float = 30,
    individual: str | None = None,
) -> str:
    """Draw a track, or a file of one, to `out`: an .mp4 or .gif that moves, or a .png of some frames, for a paper.

    A film shows the 2D track, and beside it each individual in 3D on a turning floor, at the height of its lowest
    joint, as large as it was filmed; it begins as the camera sees it. At most 300 frames are drawn, evenly chosen,
    `fps` of them a second.
    A panel shows 5 frames with a pose, in 2D and in 3D from two sides.
    Where the model has a confidence, a joint has a line as far along the line of sight as it expects to be wrong
    in depth, one that was not seen a disc.  Joints that were found in an image with a confidence under 0.1 are pale in
    the 2D, and not seen in the 3D.
    individual: its name; left out, a film shows all (at most the 4 with most poses), a panel the one with most poses.

    Returns what was drawn, in one line.  Raises InputError where there is no pose to draw, an argument is not as
    said, the file cannot be written, or .mp4 is asked for without ffmpeg.
    """
    path = Path(out)
    if not (isinstance(fps, int | float) and 1 <= fps <= 240):
        raise InputError(f"fps: is {shown(fps)}; expected a number from 1 to 240")
    ending = path.suffix.lower()
    if ending not in (".mp4", ".gif", ".png"):
        raise InputError(f"{path}: ends in {shown(path.suffix)}; expected .mp4, .gif or .png")
    if ending == ".mp4" and _ffmpeg() is None:
        instead = f"pip install 'posesynth[video]', or try {path.with_suffix('.gif')}"
        raise InputError(f"{path}: .mp4 needs ffmpeg, which is not here; {instead}")
    track = poses if isinstance(poses, PoseTrack) else read_poses(poses)
    named = track.source if isinstance(poses, PoseTrack) else os.fspath(poses)
    chosen = choose(track, named, individual, 1 if ending == ".png" else AT_ONCE)
    said = _panel(track, chosen[0], path) if ending == ".png" else _film(track, chosen, path, float(fps))
    names = ", ".join(track.individuals[a] for a in chosen)
    some = f"; {names[:80]} of {len(track.individuals)} individuals" if len(chosen) < len(track.individuals) else ""
    return f"{path}: {said}{some}"


def choose(track: PoseTrack, named: str, individual: str | None, most: int) -> list[int]:
    """Indices of the individuals to draw, in the track's order.  named: what an error calls the track."""
    lifted = np.isfinite(track.p3d).all(axis=-1).any(axis=-1).sum(axis=0)
    if individual is not None and individual not in track.individuals:
        if track.individuals == ("",):
            raise InputError("individual: the track has one, without a name; expected no individual")
        known = ", ".join(track.individuals)[:100]
        hint = did_you_mean(individual, track.individuals)
        raise InputError(f"individual: {shown(individual)} is not in the track; expected one of {known}{hint}")
    wanted = range(len(lifted)) if individual is None else [track.individuals.index(individual)]
    found = [a for a in wanted if lifted[a]]
    if not found:
        of = f" of {shown(individual)}" if individual else ""
        raise InputError(f"{named[-120:]}: no frame{of} holds a pose; expected at least one to draw")
    return sorted(sorted(found, key=lambda a: -int(lifted[a]))[:most])


# --- a film ---------------------------------------------------------------------------------------------------------


def _film(track: PoseTrack, chosen: list[int], path: Path, fps: float) -> str:
    total = len(track.frames)
    steps = np.linspace(0, total - 1, min(total, LONGEST)).round().astype(int)
    width, height, half = 9.6, 5.4, 4.5
    figure, body = new_figure(width, height), body_of(track)
    _heading(figure, track, chosen, body)
    screen, floors = _stage(figure, track, chosen, body, steps, fps, half, height - HEAD - _FOOT - 0.06)
    counter = figure.text(0.21 / width, 0.5 * _FOOT / height, "", color=FAINT, fontsize=9, va="center",
                          parse_math=False)  # fmt: skip
    right = 1 - 0.21 / width
    if track.confidence is not None:
        look = {"color": FAINT, "fontsize": 8, "va": "center", "ha": "right"}
        words = figure.text(right, 0.5 * _FOOT / height, DOUBT, **look)
        right = words.get_window_extent().x0 / figure.bbox.width - 0.4 / width
    bar = figure.add_axes((0.2, 0.47 * _FOOT / height, right - 0.2, 0.006), xlim=(0, 1), facecolor=SHADE)
    bar.set(xticks=[], yticks=[])
    bar.spines[:].set_visible(False)
    done = bar.axvspan(0, 0, color=FAINT, linewidth=0)

    with written(path) as partial, _writer(partial, fps, figure) as add_frame:
        for place, step in enumerate(steps):
            screen.draw(place)
            for floor in floors:
                floor.draw(int(step), TURN * place / fps)
            counter.set_text(frame_name(track, int(step)))
            done.set_width((place + 1) / len(steps))
            add_frame()
    of = f" of {total:,}" if total > len(steps) else ""
    fast = f", {total / len(steps):.3g} times as fast" if of else ""
    return f"{len(steps)}{of} frames, {len(steps) / fps:.1f} s at {fps:g} a second{fast}"


def _stage(
    figure: Any, track: PoseTrack, chosen: list[int], body: Body, steps: Any, fps: float, width: float, height: float
) -> tuple[Screen, list[Floor]]:
    """The 2D track at the left, and at the right each individual on its floor."""
    names = [track.individuals[a] for a in chosen]
    images = track.p2d[steps][:, chosen].astype(np.float64)
    window = following(images, round(fps / 2))
    axis, doubtful = new_axes(figure, 0.21, _FOOT, width, height), doubtful_joints(track)
    screen = Screen(axis, body, images, doubtful[steps][:, chosen], names, window)
    screen.frame()
    label(axis, _words_2d(doubtful[steps][:, chosen]))
    rows, columns = (1, 1) if len(chosen) == 1 else (2, (len(chosen) + 1) // 2)
    wide, high = width / columns, height / rows
    floors = []
    for place, (a, name) in enumerate(zip(chosen, names, strict=True)):
        left, bottom = 4.89 + place % columns * wide, _FOOT + (rows - 1 - place // columns) * high
        stood = stand(track, slice(None), a)
        floors.append(Floor(new_axes(figure, left, bottom, wide, high), body, stood))
        label(floors[-1].axis, f"3D: {name}" if len(chosen) > 1 else "3D, turning")
    return screen, floors


@contextlib.contextmanager
def _writer(path: Path, fps: Any, figure: Any) -> Iterator[Callable[[], None]]:
    """A function that adds the figure as it is to the film at `path`."""
    from matplotlib import rcParams
    from matplotlib.animation import FFMpegWriter, PillowWriter

    coded = path.suffix.lower() == ".mp4"
    if coded:
        rcParams["animation.ffmpeg_path"] = _ffmpeg()
    writer = FFMpegWriter(fps=fps, codec="h264", bitrate=2400) if coded else PillowWriter(fps=fps)
    with writer.saving(figure, str(path), dpi=120 if coded else 80):
        yield lambda: writer.grab_frame(facecolor=PAPER)


def _ffmpeg() -> str | None:
    """The program on the PATH, or the one that comes with imageio-ffmpeg."""
    if found := which("ffmpeg"):
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # RuntimeError: it comes without one on this machine
        return None


# --- a panel --------------------------------------------------------------------------------------------------------


def _panel(track: PoseTrack, a: int, path: Path) -> str:
    lifted = np.flatnonzero(np.isfinite(track.p3d[:, a]).all(axis=-1).any(axis=-1))
    steps = lifted[np.linspace(0, len(lifted) - 1, min(len(lifted), COLUMNS)).round().astype(int)]
    body, stood = body_of(track), stand(track, steps, a)
    images, doubtful = track.p2d[steps, a][:, None].astype(np.float64), doubtful_joints(track)[steps, a][:, None]
    # Rows are as high as what they hold, and not higher.
    low, high = boxes(images)
    across, up = (high - low).max(axis=0)
    tall = float(np.clip(up / (across or 1.0), 0.45, 1.2))
    tall_3d = float(np.clip((stood.extent[1] - stood.extent[0]) / (2 * stood.radius), 0.45, 1.2))
    side, gap, top = 2.2, 0.24, HEAD + 0.22
    heights = [side * tall, side * tall_3d, side * tall_3d]
    views = [f"3D, from {abs(s):g}° {'left' if s > 0 else 'right'} of the camera" for s in SIDES]
    words = [_words_2d(doubtful), views[0] + (f"; {DOUBT}" if stood.errors is not None else ""), *views[1:]]
    width, height = side * max(len(steps), 3), top + sum(heights) + len(heights) * gap
    figure = new_figure(width, height)
    _heading(figure, track, [a], body)
    for column, step in enumerate(steps):
        place = {"ha": "center", "va": "center", "parse_math": False}
        x, y = (column + 0.5) * side / width, 1 - (top - 0.1) / height
        figure.text(x, y, frame_name(track, int(step)), color=INK, fontsize=9, **place)
    bottom = height - top
    for row, row_height in enumerate(heights):
        y = (bottom - gap / 2) / height
        figure.text(0.2 / width, y, words[row], color=FAINT, fontsize=8.5, va="center")
        bottom -= gap + row_height
        for column in range(len(steps)):
            axis = new_axes(figure, column * side, bottom, side, row_height, margin=0.05)
            if row == 0:
                Screen(axis, body, images, doubtful, [""], centred(images, tall)).draw(column)
            else:
                Floor(axis, body, stood, named=column == 0).draw(column, SIDES[row - 1])
    with written(path) as partial:
        figure.savefig(partial, dpi=200, facecolor=PAPER)
    return f"{len(steps)} of {len(lifted):,} frames with a pose"


def stand(track: PoseTrack, steps: Any, a: int) -> Standing:
    """The poses of one individual in these frames on the floor, what is in doubt in the 2D taken for not seen."""
    confidence = None if track.confidence is None else track.confidence[steps, a]
    seen = np.where(doubtful_joints(track)[steps, a, :, None], np.nan, track.p2d[steps, a])
    return standing(track.p3d[steps, a], seen, confidence)


def doubtful_joints(track: PoseTrack) -> NDArray[np.bool_]:
    """(T, A, N) joints that are in the 2D, but were found in an image with little confidence."""
    if track.p2d_confidence is None:
        return np.zeros(track.p2d.shape[:3], np.bool_)
    return np.asarray(track.p2d_confidence < MIN_CONFIDENCE)


# --- words ----------------------------------------------------------------------------------------------------------


def _words_2d(doubtful: NDArray[np.bool_]) -> str:
    return "2D, as filmed" + (f"; pale: confidence under {MIN_CONFIDENCE:g}" if doubtful.any() else "")


def frame_name(track: PoseTrack, step: int) -> str:
    """A frame as people call it: by its number, or by the end of its image's name."""
    frame = track.frames[step]
    return frame[-24:] if isinstance(frame, str) else f"frame {frame}"


def _heading(figure: Any, track: PoseTrack, chosen: list[int], body: Body) -> None:
    alone = track.individuals[chosen[0]] if len(chosen) == 1 else ""
    how = f"lifted by {track.model}; ring: {track.joints[body.root]}"
    heading(figure, Path(track.source).name or track.skeleton, alone, how, body.sided)
