"""What stands beside the bodies in the browser: a frame of the 2D, and the confidence of all frames, as SVG."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.draw import FAINT, INK, SHADE
from posesynth.preview.bodies import Bones
from posesynth.preview.flat import bone_lines

from .window import Window, boxes, round_number

WIDE, HIGH = 420, 206  # units of the picture of a frame
COLUMNS = 240  # of the plot of confidence, at most
MARGIN, NAMES = 10, 92  # pixels beside the plot, and of the joints' names
LEVELS = (0.6, 0.7, 0.8, 0.9)
# From doubtful to sure: darker and redder to lighter and bluer, in Okabe and Ito's hues.
SHADES = ("#5c2600", "#D55E00", "#E69F00", "#a9cbe2", "#e4edf4")

Array = NDArray[np.floating[Any]]


class ImagePlane:
    """The 2D of some individuals as the camera has it: images (T, A, N, 2), x right and z up, doubtful joints pale."""

    def __init__(
        self,
        skeleton: Bones,
        images: Array,
        doubtful: NDArray[np.bool_],
        colours: Sequence[str],
        names: Sequence[str],
        window: Window,
    ) -> None:
        """doubtful: (T, A, N).  colours: of the E bones.  names: of the individuals, or ""."""
        self.skeleton, self.colours, self.names, self.window = skeleton, list(colours), names, window
        away = images - window.centres[:, None, None]
        self.unit = _fitting(away)
        self.placed = np.array([WIDE / 2, HIGH / 2]) + away * self.unit * np.array([1, -1])
        self.sure = np.where(doubtful[..., None], np.nan, self.placed)
        low, high = boxes(self.placed[:, :1])
        self.width = float(np.clip(0.022 * np.median((high - low).max(axis=1)), 1.2, 4.5))

    def svg(self, step: int) -> str:
        """Frame `step`."""
        parts = [self._grid(step)]
        for placed, sure, name in zip(self.placed[step], self.sure[step], self.names, strict=True):
            if not np.array_equal(placed, sure, equal_nan=True):
                pale = bone_lines(self.skeleton, placed, self.colours, self.width)
                parts.append(f'<g opacity="0.3">{pale}</g>')
            parts.append(bone_lines(self.skeleton, sure, self.colours, self.width))
            parts.append(self._alone(sure))
            seen = placed[np.isfinite(placed[:, 0])]
            if name and len(seen):
                x, y = seen[:, 0].mean(), seen[:, 1].min() - 6
                look = f'font-size="10" text-anchor="middle" fill="{INK}"'
                parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {look}>{html.escape(name)}</text>')
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="the 2D" '
            f'style="width:100%;display:block;background:#fffdf9">{"".join(parts)}</svg>'
        )

    def _alone(self, points: Array) -> str:
        """Dots for joints none of whose bones is drawn."""
        parents = self.skeleton.parents[1:]
        seen = np.isfinite(points[:, 0])
        drawn = seen[1:] & seen[parents]
        held = np.zeros(len(points), np.bool_)
        held[1:][drawn] = True
        held[parents[drawn]] = True
        dots = [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{0.9 * self.width:.1f}" fill="{self.colours[max(j - 1, 0)]}"/>'
            for j, (x, y) in enumerate(points)
            if seen[j] and not held[j]
        ]
        return "".join(dots)

    def _grid(self, step: int) -> str:
        """Lines that stand still in the image, to tell motion by."""
        pitch = round_number(HIGH / 4 / self.unit)
        x, z = self.window.centres[step]
        across = WIDE / 2 + (np.arange(-24, 25) * pitch - x % pitch) * self.unit
        up = HIGH / 2 - (np.arange(-24, 25) * pitch - z % pitch) * self.unit
        lines = [f"M{at:.1f} 0V{HIGH}" for at in across if 0 < at < WIDE]
        lines += [f"M0 {at:.1f}H{WIDE}" for at in up if 0 < at < HIGH]
        look = f'font-size="9" text-anchor="end" fill="{FAINT}"'
        words = f'<text x="{WIDE - 6}" y="{HIGH - 6}" {look}>grid: {pitch:g} pixels</text>'
        return f'<path d="{"".join(lines)}" stroke="{SHADE}" stroke-width="0.8" fill="none"/>{words}'


def _fitting(away: Array) -> float:
    """Units a pixel: nearly all joints of (T, A, N, 2), told from the window's middle, are in the picture."""
    seen = np.abs(away[np.isfinite(away).all(axis=-1)])
    if not len(seen):
        return 1.0
    reach = np.maximum(np.percentile(seen, 99.5, axis=0), 1e-9)
    return float((np.array([0.47 * WIDE, 0.42 * HIGH]) / reach).min())


def row_height(joints: int) -> float:
    """Pixels of a joint's row in the plot of confidence."""
    return float(np.clip(220 / joints, 0.2, 9.0))


def confidence_plot(confidence: Array, names: Sequence[str]) -> str:
    """The confidence (T, N) of joints over the frames, a row each; the lowest of the frames that share a column."""
    steps, joints = confidence.shape
    starts = np.linspace(0, steps, min(steps, COLUMNS), endpoint=False).astype(int)
    lowest = np.fmin.reduceat(confidence, starts, axis=0).T
    level = np.where(np.isnan(lowest), -1, np.searchsorted(LEVELS, lowest, side="right"))
    paths = [""] * len(SHADES)
    for row, values in enumerate(level):
        ends = np.flatnonzero(np.diff(values, append=-2)) + 1
        for first, last in zip([0, *ends[:-1]], ends, strict=True):
            if values[first] >= 0:
                paths[values[first]] += f"M{first} {row}h{last - first}v1H{first}z"
    body = "".join(f'<path d="{path}" fill="{SHADES[i]}"/>' for i, path in enumerate(paths) if path)
    high = row_height(joints)
    cells = "".join(
        f'<div style="height:{high:.1f}px;overflow:hidden;white-space:nowrap">{html.escape(name)}</div>'
        for name in names
    )
    look = f"width:{NAMES}px;color:{FAINT};font-size:{high - 0.5:.1f}px;line-height:{high:.1f}px"
    named = cells if high >= 7 else ""  # smaller ones cannot be read
    return (
        f'<div style="display:flex;padding:0 {MARGIN}px"><div style="{look}">{named}</div>'
        f'<svg viewBox="0 0 {len(starts)} {joints}" preserveAspectRatio="none" shape-rendering="crispEdges" '
        f'style="flex:1;min-width:0;height:{high * joints:.1f}px;background:#ffffff">{body}</svg></div>'
    )


def cursor(step: int, steps: int, joints: int) -> str:
    """Where in the plot below it a frame is."""
    left = 100 * (step + 0.5) / steps
    look = f"left:{left:.2f}%;top:-3px;height:{row_height(joints) * joints + 6:.1f}px;width:2px;margin-left:-1px"
    return (
        f'<div style="position:relative;height:0;z-index:1;margin:0 {MARGIN}px 0 {MARGIN + NAMES}px">'
        f'<div style="position:absolute;{look};background:{INK}"></div></div>'
    )


def confidence_legend() -> str:
    """What the shades of the plot mean."""
    words = [f"under {LEVELS[0]:g}", *(f"from {level:g}" for level in LEVELS)]
    return "&ensp;".join(
        f'<span style="color:{shade};text-shadow:0 0 1px {INK}">■</span> {word}'
        for shade, word in zip(SHADES, words, strict=True)
    )
