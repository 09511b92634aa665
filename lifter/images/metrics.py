"""How many 2D landmarks lie near the true ones: PCK, pure functions, NumPy float64.

Everywhere: predicted, truth (B, K, 2) in the same pixels; a joint whose truth is NaN is not scored.  A prediction that
is NaN is a miss: what a detector leaves out is never dropped.  "Near" is at most (<=) a threshold times the size (B,)
of the body in each image, as in Sapp & Taskar (CVPR 2013) and in the evaluator that LSP's tables are made with.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from posesynth.errors import InputError

Array = NDArray[np.float64]

# Places in LSP's order: right ankle, knee, hip, left hip, knee, ankle, right wrist, elbow, shoulder, left shoulder,
# elbow, wrist, neck, head top; left and right are the person's own.
LSP_GROUPS: Mapping[str, tuple[int, int]] = {
    "Head": (12, 13),
    "Shoulder": (8, 9),
    "Elbow": (7, 10),
    "Wrist": (6, 11),
    "Hip": (2, 3),
    "Knee": (1, 4),
    "Ankle": (0, 5),
}
_RIGHT_HIP, _LEFT_SHOULDER = 2, 9


def hits(predicted: ArrayLike, truth: ArrayLike, size: ArrayLike, threshold: float) -> Array:
    """1 where a joint lies within threshold x size of the true one, 0 where not, NaN where not scored.  (B, K)

    An image whose size is NaN or 0 is not scored.  Raises InputError on shapes that do not fit.
    """
    p, t = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if p.ndim != 3 or p.shape[2] != 2:
        raise InputError(f"predicted: has shape {p.shape}; expected (B, K, 2)")
    if t.shape != p.shape:
        raise InputError(f"truth: has shape {t.shape}; expected {p.shape}, that of the predicted landmarks")
    sizes = np.asarray(size, np.float64)
    if sizes.shape != p.shape[:1]:
        raise InputError(f"size: has shape {sizes.shape}; expected {p.shape[:1]}")
    if not threshold > 0:
        raise InputError(f"threshold: is {threshold}; expected a share above 0")
    scored = np.isfinite(t).all(-1) & (np.isfinite(sizes) & (sizes > 0))[:, None]
    with np.errstate(invalid="ignore"):
        near = np.linalg.norm(p - t, axis=-1) <= threshold * sizes[:, None]  # False where not predicted
    return np.where(scored, near.astype(np.float64), np.nan)


def torso(truth: ArrayLike) -> Array:
    """Left shoulder to right hip, the torso's diagonal, of (B, 14, 2) in LSP's order.  (B,); NaN where unknown."""
    t = np.asarray(truth, np.float64)
    if t.ndim != 3 or t.shape[1:] != (14, 2):
        raise InputError(f"truth: has shape {t.shape}; expected (B, 14, 2), LSP's joints")
    return np.asarray(np.linalg.norm(t[:, _LEFT_SHOULDER] - t[:, _RIGHT_HIP], axis=-1))


def longer_side(boxes: ArrayLike, truth: ArrayLike) -> Array:
    """The longer side of boxes (B, 4), x y w h; where a box is NaN, that of the labelled joints' extent.  (B,)"""
    b, t = np.asarray(boxes, np.float64), np.asarray(truth, np.float64)
    if b.ndim != 2 or b.shape != (len(t), 4):
        raise InputError(f"boxes: have shape {b.shape}; expected ({len(t)}, 4)")
    known = np.asarray(np.isfinite(t).all(-1))
    high, low = (np.where(known[..., None], t, bound) for bound in (-np.inf, np.inf))
    with np.errstate(invalid="ignore"):
        extent = (high.max(1, initial=-np.inf) - low.min(1, initial=np.inf)).max(1)  # -inf where nothing is labelled
    sides: Array = np.where(np.isfinite(b).all(1), b[:, 2:].max(1), np.where(np.isfinite(extent), extent, np.nan))
    return sides


def pck(found: Array) -> float:
    """Share of all scored joints that are `hits`, of all images alike; NaN where none is scored."""
    scored = found[np.isfinite(found)]
    return float(scored.mean()) if len(scored) else float("nan")


def mirrored(names: Sequence[str]) -> NDArray[np.int64]:
    """For each joint the place of its twin on the other side, itself where it has none: (K,).

    Predictions that score better in this order have left and right as the viewer sees them, not the person's own.
    """
    place = {name: k for k, name in enumerate(names)}
    words = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    twins = []
    for k, name in enumerate(names):
        word = next((word for word in words if word in name), "")
        twins.append(place.get(name.replace(word, words[word]), k) if word else k)
    return np.array(twins, np.int64)
