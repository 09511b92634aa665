"""Poses in the image plane, as SVG."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.draw import FAINT
from posesynth.preview.bodies import Bones

CELL = 100  # units a side
PLATE = "#f4f4f6"  # what a pose lies on


def pose_grid(
    skeleton: Bones,
    p2d: NDArray[np.floating[Any]],
    colours: Sequence[str],
    columns: int,
    labels: Sequence[str] = (),
) -> str:
    """An SVG of poses beside each other, each at its own scale and in the middle of its cell.

    p2d: (B, N, 2), x right and z up, NaN where a joint is not seen.  colours: of the E bones, as CSS names them.
    labels: of the cells, none or one each.
    """
    rows = -(-len(p2d) // columns)
    cells = [
        f'<g transform="translate({CELL * (i % columns)} {CELL * (i // columns)})">'
        f'<rect x="2" y="2" width="{CELL - 4}" height="{CELL - 4}" rx="6" fill="{PLATE}"/>'
        f"{pose(skeleton, points, colours)}{_label(labels[i]) if labels else ''}</g>"
        for i, points in enumerate(p2d)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CELL * columns} {CELL * rows}" '
        f'style="width:100%;display:block" role="img" aria-label="{len(p2d)} poses as the camera sees them">'
        f"{''.join(cells)}</svg>"
    )


def pose(skeleton: Bones, points: NDArray[np.floating[Any]], colours: Sequence[str]) -> str:
    """The lines of one pose in a cell of CELL units; nothing where fewer than two joints are seen."""
    seen = np.isfinite(points).all(axis=-1)
    if seen.sum() < 2:
        return ""
    low, high = points[seen].min(axis=0), points[seen].max(axis=0)
    scale = 0.82 * CELL / max(float((high - low).max()), 1e-9)
    placed = CELL / 2 + (points - (low + high) / 2) * scale * [1, -1]
    return bone_lines(skeleton, placed, colours, 3.2)


def bone_lines(skeleton: Bones, placed: NDArray[np.floating[Any]], colours: Sequence[str], width: float) -> str:
    """The bones between points (N, 2) in units of the SVG, y down; none at a joint that is NaN."""
    seen = np.isfinite(placed).all(axis=-1)
    lines = []
    for e, parent in enumerate(skeleton.parents[1:].tolist()):
        if seen[parent] and seen[e + 1]:
            (a, b), (c, d) = placed[parent], placed[e + 1]
            lines.append(f'<path d="M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" stroke="{colours[e]}"/>')
    return f'<g fill="none" stroke-width="{width:g}" stroke-linecap="round">{"".join(lines)}</g>'


def _label(text: str) -> str:
    look = f'font-size="8.5" fill="{FAINT}" stroke="{PLATE}" stroke-width="3" paint-order="stroke"'
    return f'<text x="7" y="13" {look}>{html.escape(text)}</text>'
