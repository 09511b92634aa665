"""Figures on paper: axes placed in inches, labels, and files that are whole or not there."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from posesynth.draw import FAINT, INK, LEFT, MIDDLE, PAPER, RIGHT, MissingMatplotlibError
from posesynth.errors import InputError

HEAD = 0.62  # inches of a heading


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches; InputError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingMatplotlibError from None

    figure = Figure(figsize=(width, height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def new_axes(figure: Any, left: float, bottom: float, width: float, height: float, margin: float = 0.0) -> Any:
    """Axes at a place in inches, without ticks; the shorter side reaches from -1 to 1."""
    across, up = figure.get_size_inches()
    wide, high = width - 2 * margin, height - 2 * margin
    axis = figure.add_axes(((left + margin) / across, (bottom + margin) / up, wide / across, high / up))
    shorter = min(wide, high)
    axis.set(xlim=(-wide / shorter, wide / shorter), ylim=(-high / shorter, high / shorter))
    axis.set(xticks=[], yticks=[], facecolor="none")
    axis.set_frame_on(False)
    return axis


def label(axis: Any, words: str) -> None:
    """A quiet label in the upper left corner."""
    axis.text(0.02, 0.98, words, color=FAINT, fontsize=8.5, va="top", transform=axis.transAxes, zorder=5,
              parse_math=False)  # fmt: skip


def heading(figure: Any, title: str, whose: str, words: str, sided: bool) -> None:
    """What a figure of skeletons shows (whose: of which of several, or ""), and what colours of sides mean."""
    width, height = figure.get_size_inches()
    y = 1 - 0.5 * HEAD / height
    legend = (("left", LEFT), ("right", RIGHT), ("middle", MIDDLE)) if sided else ()
    x = 0.2 / width
    for part, look in (
        (title, {"color": INK, "fontsize": 14, "weight": "bold"}),
        (whose, {"color": INK, "fontsize": 11}),
        (words, {"color": FAINT, "fontsize": 9.5}),
    ):
        if not part:
            continue
        text = figure.text(x, y, part, va="center", parse_math=False, **look)
        room = (1 - (0.35 + 0.75 * len(legend)) / width) * figure.bbox.width
        while len(text.get_text()) > 4 and text.get_window_extent().x1 > room:
            text.set_text(f"{text.get_text()[:-4].rstrip('.')}...")
        if text.get_window_extent().x1 > room:
            text.remove()
            break
        x = text.get_window_extent().x1 / figure.bbox.width + 0.12 / width
    for place, (word, colour) in enumerate(legend):
        x = 1 - (0.2 + 0.75 * (len(legend) - place)) / width
        figure.text(x, y, f"● {word}", color=colour, fontsize=10, va="center")


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` when all went well, and is gone when not."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written; {error.strerror or error}") from None
    except subprocess.SubprocessError as error:
        raise InputError(f"{path}: ffmpeg failed; {' '.join(str(error).split())[-120:]}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
