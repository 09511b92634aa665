"""Poses in the image plane, as SVG."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.skeleton import Skeleton

CELL = 100  # units a side


def pose_grid(skeleton: Skeleton, p2d: NDArray[np.floating[Any]], colours: Sequence[str], columns: int) -> str:
    """An SVG of poses beside each other, each at its own scale and in the middle of its cell.

    p2d: (B, N, 2), x right and z up, NaN where a joint is not seen.  colours: of the E bones, as CSS names them.
    """
    rows = -(-len(p2d) // columns)
    cells = [
        f'<g transform="translate({CELL * (i % columns)} {CELL * (i // columns)})">'
        f'<rect x="2" y="2" width="{CELL - 4}" height="{CELL - 4}" rx="6" fill="#f4f4f6"/>'
        f"{pose(skeleton, points, colours)}</g>"
        for i, points in enumerate(p2d)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CELL * columns} {CELL * rows}" '
        f'style="width:100%;display:block" role="img" aria-label="{len(p2d)} poses as the camera sees them">'
        f"{''.join(cells)}</svg>"
    )


def pose(skeleton: Skeleton, points: NDArray[np.floating[Any]], colours: Sequence[str]) -> str:
    """The lines of one pose in a cell of CELL units; nothing where fewer than two joints are seen."""
    seen = np.isfinite(points).all(axis=-1)
    if seen.sum() < 2:
        return ""
    low, high = points[seen].min(axis=0), points[seen].max(axis=0)
    scale = 0.82 * CELL / max(float((high - low).max()), 1e-9)
    placed = CELL / 2 + (points - (low + high) / 2) * scale * [1, -1]
    lines = []
    for e, parent in enumerate(skeleton.parents[1:].tolist()):
        if seen[parent] and seen[e + 1]:
            (a, b), (c, d) = placed[parent], placed[e + 1]
            lines.append(f'<path d="M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" stroke="{colours[e]}"/>')
    return f'<g fill="none" stroke-width="3.2" stroke-linecap="round">{"".join(lines)}</g>'
