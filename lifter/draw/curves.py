"""Learning curves: each loss over the samples seen, training as a line, validation as dots."""

import json
import math
import os
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from posesynth.draw import BRANCHES, FAINT, INK, LEFT, PAPER, RIGHT, SHADE
from posesynth.errors import InputError, shown

from .figure import new_figure, written


class _Loss(NamedTuple):
    words: str
    floor: float  # no value lies below; what is drawn is the distance from it, on a logarithmic axis
    paper: float | None  # where the paper's training ended


LOSSES = {
    "L_ed": _Loss("directions: minus the mean cosine, best −1", -1.0, -0.98),
    "L_el": _Loss("lengths: mean squared error", 0.0, 0.01),
    "L_sym": _Loss("symmetric lengths: mean squared difference", 0.0, 0.001),
    "position": _Loss("positions: mean distance, in longest edges", 0.0, None),
    "residual": _Loss("a cascade's target: mean squared error", 0.0, None),
    "reconstruction": _Loss("images: mean squared difference, in [0, 1]", 0.0, 0.005),
    "heatmap": _Loss("heatmaps: weighted cross entropy, equation 2", 0.0, None),
    "landmark": _Loss("landmarks: mean squared difference, in image sizes", 0.0, 0.001),
}
_DECADES = 30.0  # a range this wide is drawn logarithmically
_RUNS = (RIGHT, LEFT, *BRANCHES[1:3])  # colours, over and over
_SMOOTH = 60  # a line of more records than this is averaged for the eye, and drawn faintly as it is


def learning_curves(log: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Draw a training log to the PNG `out`: one small picture for each of `LOSSES` that it holds.

    log: JSON lines with "step", "samples", and those losses, which a "validation" may hold, too.  A step that occurs
    twice, as after a resume, counts as it came last; a last line that is cut short, as while training, is left out.

    Raises InputError for a log that is something else or holds no record, and where `out` cannot be written.
    """
    path = Path(out)
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: ends in {shown(path.suffix)}; expected .png")
    records = _read(Path(log))
    held = [name for name in LOSSES if any(name in record or name in _validation(record) for record in records)]
    if not held:
        raise InputError(f"{log}: no record holds a loss; expected some of {', '.join(LOSSES)}")
    figure, axes = _pictures(len(held))
    for axis, name in zip(axes, held, strict=True):
        _draw(axis, name, records)
    legend = [("— training", RIGHT), *([("● validation", LEFT)] if any(map(_validation, records)) else [])]
    _finish(figure, axes, legend, path)


def compare_curves(logs: Mapping[str, str | os.PathLike[str]], out: str | os.PathLike[str]) -> None:
    """Draw the validation losses of several runs to the PNG `out`, a small picture for each loss as `learning_curves`.

    logs: what a run is called -> its log.  Raises InputError as `learning_curves`, and for a run without validation.
    """
    path = Path(out)
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: ends in {shown(path.suffix)}; expected .png")
    runs = {name: [record for record in _read(Path(log)) if _validation(record)] for name, log in logs.items()}
    for name, records in runs.items():
        if not records:
            raise InputError(f"{logs[name]}: holds no validation; expected some of {', '.join(LOSSES)}")
    held = [name for name in LOSSES if any(name in _validation(record) for each in runs.values() for record in each)]
    figure, axes = _pictures(len(held))
    for axis, name in zip(axes, held, strict=True):
        lines = []
        for records, colour in zip(runs.values(), cycle(_RUNS), strict=False):
            points = [(record["samples"], _validation(record).get(name)) for record in records]
            lines.append(_series(points, LOSSES[name].floor))
            axis.plot(*lines[-1], color=colour, lw=1.8, marker="o", ms=3.5, mec=PAPER, mew=0.5)
        _dress(axis, name, *(np.concatenate(each) for each in zip(*lines, strict=True)))
    _finish(figure, axes, [(f"● {name}", colour) for name, colour in zip(runs, cycle(_RUNS), strict=False)], path)


def _pictures(count: int) -> tuple[Any, list[Any]]:
    """A figure, and in it so many axes, two a row."""
    rows, columns = (count + 1) // 2, min(count, 2)
    figure = new_figure(5.2 * columns, 2.9 * rows + 0.5)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in grid[count:]:
        axis.set_axis_off()
    return figure, grid[:count]


def _finish(figure: Any, axes: list[Any], legend: list[tuple[str, str]], path: Path) -> None:
    for axis in axes[-2:]:
        axis.set_xlabel("samples seen", color=FAINT, fontsize=9)
    width, height = figure.get_size_inches()
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.4 / height), h_pad=1.6, w_pad=2.2)
    for place, (word, colour) in enumerate(legend):
        figure.text(0.02 + place * 1.1 / width, 1 - 0.25 / height, word, color=colour, fontsize=10, va="center")
    with written(path) as partial:
        figure.savefig(partial, dpi=150, facecolor=PAPER)


def _draw(axis: Any, name: str, records: list[dict[str, Any]]) -> None:
    loss = LOSSES[name]
    x, y = _series([(r["samples"], r.get(name)) for r in records], loss.floor)
    dots_x, dots_y = _series([(r["samples"], _validation(r).get(name)) for r in records], loss.floor)
    if len(x) > _SMOOTH:
        axis.plot(x, y, color=RIGHT, lw=0.6, alpha=0.25)
        x, y = _smooth(x, y)
    axis.plot(x, y, color=RIGHT, lw=1.8, solid_capstyle="round")
    axis.plot(dots_x, dots_y, "o", color=LEFT, mec=PAPER, mew=0.8, ms=5.5, zorder=3)
    _dress(axis, name, np.concatenate([x, dots_x]), np.concatenate([y, dots_y]))


def _dress(axis: Any, name: str, places: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Titles, ticks and the paper's end for what is drawn at these samples, at these distances from the floor."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    loss = LOSSES[name]
    if loss.paper is not None:
        end = loss.paper - loss.floor
        values = np.append(values, end)
        axis.axhline(end, color=FAINT, lw=0.9, ls=(0, (4, 3)), zorder=1)
        words = _signed(f"the paper's end: {loss.paper:g}")
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "xytext": (5, 3)}
        axis.annotate(words, (0, end), color=FAINT, fontsize=8, va="bottom", **place)
    if len(values) and values.min() > 0 and values.max() / values.min() > 4:
        axis.set_yscale("log")
        ticks = (1.0, 2.0, 5.0) if values.max() / values.min() < 300 else (1.0,)
        axis.yaxis.set_major_locator(LogLocator(subs=ticks))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_ylim(values.min() / 1.35, values.max() * 1.35)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _signed(f"{value + loss.floor:.6g}")))
    if len(places) and places.min() > 0 and places.max() / places.min() > _DECADES:
        axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _count(value)))
    axis.set_facecolor("none")
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(SHADE)
    axis.grid(color=SHADE, lw=0.7)
    axis.tick_params(which="both", color=SHADE, labelcolor=FAINT, labelsize=8.5)
    axis.set_title(name, color=INK, fontsize=11, weight="bold", loc="left", pad=16)
    axis.annotate(loss.words, (0, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points", color=FAINT,
                  fontsize=8.5)  # fmt: skip


def _series(points: list[tuple[float, Any]], floor: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Samples, and distance from the floor, of the points that have a finite value."""
    kept = [(x, y - floor) for x, y in points if y is not None and math.isfinite(y)]
    table = np.array(kept, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _smooth(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means over neighbours, a thirtieth of the records wide, narrower at either end."""
    reach = max(1, len(y) // 60)
    sums = np.concatenate([[0.0], np.cumsum(y)])
    at = np.arange(len(y))
    half = np.minimum(reach, np.minimum(at, len(y) - 1 - at))
    return x, (sums[at + half + 1] - sums[at - half]) / (2 * half + 1)


def _count(value: float) -> str:
    """25000000 -> 25M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:g}"


def _signed(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def _validation(record: dict[str, Any]) -> dict[str, Any]:
    held: dict[str, Any] = record.get("validation") or {}
    return held


def _read(path: Path) -> list[dict[str, Any]]:
    """The records in order of their steps."""
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read; {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    records: dict[float, dict[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            if number == len(lines):
                continue  # without its end of line: still being written
            raise InputError(f"{path}:{number}: is not JSON; expected one record a line") from None
        _check(path, number, record)
        records[record["step"]] = record
    if not records:
        raise InputError(f"{path}: holds no record; expected one JSON record a line")
    return [records[step] for step in sorted(records)]


def _check(path: Path, number: int, record: Any) -> None:
    if not isinstance(record, dict):
        raise InputError(f"{path}:{number}: is {shown(record)}; expected a record with step and samples")
    validation = record.get("validation")
    if validation is not None and not isinstance(validation, dict):
        raise InputError(f"{path}:{number}: validation: is {shown(validation)}; expected a record of losses")
    fields = [(name, record.get(name), True) for name in ("step", "samples")]
    fields += [(name, record[name], False) for name in LOSSES if name in record]
    fields += [
        (f"validation.{name}", _validation(record)[name], False) for name in LOSSES if name in _validation(record)
    ]
    for name, value, counts in fields:
        if isinstance(value, bool) or not isinstance(value, int | float) or (counts and not 0 <= value < math.inf):
            raise InputError(f"{path}:{number}: {name}: is {shown(value)}; expected a number")
