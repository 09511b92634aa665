"""How far predicted poses are from true ones: pure functions, one number a pose, NumPy float64.

Everywhere: predicted, truth (B, N, 3), joint 0 the root, axes as docs/conventions.md (x right, y depth, z up), both in
the same unit of length, which the errors keep.  valid (B, N) bool says which joints are scored; left out, those whose
truth is finite.

Joints that are not valid take no part: not in the mean, not in the alignment, whatever they hold.  A pose with fewer
than 3 valid joints scores NaN, and so does one with a joint that is valid but not finite: a prediction that failed is
never dropped silently.  Where errors are measured from the root, it must be valid too, else NaN.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from posesynth.errors import InputError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Alignment = Literal["root", "scale", "similarity"]

BOX = 12.0  # longer side of the box [-6, 6] in which the paper measures reprojection
FEWEST = 3  # valid joints; two points agree with any two others after a similarity


def mpjpe(predicted: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> Array:
    """Mean distance of valid joints, both poses moved to their roots (protocol 1).  (B,)

    The root, whose error is 0, counts as a joint, as in Human3.6M's tables.
    """
    return _mean(joint_errors(predicted, truth, valid, "root"))


def n_mpjpe(predicted: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> Array:
    """MPJPE after the scale about the root that leaves the least squared error.  (B,)

    The scale is never negative, which would mirror the pose.  As everywhere in the field it minimises squares, so the
    root mean square can only fall from MPJPE to N-MPJPE to P-MPJPE; the mean nearly always falls with it.
    """
    return _mean(joint_errors(predicted, truth, valid, "scale"))


def p_mpjpe(predicted: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> Array:
    """Mean distance after the similarity that leaves the least squared error (protocol 2).  (B,)

    Rotation, translation and scale (Procrustes), never a reflection: a pose turned inside out stays wrong.
    """
    return _mean(joint_errors(predicted, truth, valid, "similarity"))


def joint_errors(
    predicted: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None, alignment: Alignment = "root"
) -> Array:
    """Distance of each joint after an alignment, NaN where not valid.  (B, N); what `pck` and `auc` take.

    "root": roots at the origin.  "scale": then scaled as in `n_mpjpe`.  "similarity": as in `p_mpjpe`.
    Raises InputError on shapes that do not fit.
    """
    p, t, scored, broken = _checked(predicted, truth, valid)
    if alignment == "similarity":
        p = _similarity(p, t, scored)
    else:
        broken = broken | ~scored[:, 0]
        p, t = _about_root(p, scored), _about_root(t, scored)
        if alignment == "scale":
            p = p * np.maximum(_ratio((p * t).sum((1, 2)), (p * p).sum((1, 2))), 0)[:, None, None]
    return _distances(p, t, scored, broken)


def pck(errors: ArrayLike, threshold: float) -> Array:
    """Share of joints with an error below the threshold, in [0, 1].  (B,)

    errors: (B, N) in the threshold's unit, NaN where not valid; such joints do not count.  A pose of NaN alone is NaN.
    """
    distances = np.asarray(errors, np.float64)
    known = np.isfinite(distances)
    # A comparison with NaN is False, which is what is wanted here.
    return _ratio((distances < threshold).sum(-1), known.sum(-1), empty=np.nan)


def auc(errors: ArrayLike, thresholds: ArrayLike) -> Array:
    """Mean of `pck` over the thresholds, in [0, 1]: the area under the curve where they are evenly spaced.  (B,)

    MPI-INF-3DHP's are 0, 5, ..., 150 mm; as no error lies below 0 the best is then 30/31.
    """
    steps = np.asarray(thresholds, np.float64)
    if steps.ndim != 1 or steps.size == 0:
        raise InputError(f"thresholds: have shape {steps.shape}; expected a list of at least one")
    shares: Array = np.mean([pck(errors, float(step)) for step in steps], axis=0)
    return shares


def reprojection(predicted: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> Array:
    """The paper's 2D error, in its box [-6, 6]: mean distance of valid joints in the image plane (x, z).  (B,)

    The true 2D pose's bounding box is centred and its longer side scaled to 12; the prediction undergoes the same
    movement and scale and no other, so bring both into one frame first.  NaN for a truth without extent.

    The 2D is what a lifter is given, so this measures agreement with its own input and nothing of the depth:
    never publish it without a 3D error beside it.
    """
    p, t, scored, broken = _in_box(predicted, truth, valid)
    return _mean(_distances(p, t, scored, broken))


def reprojection_fitted(predicted: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> Array:
    """`reprojection` after the 2D similarity (never a reflection) that leaves the least squared error.  (B,)"""
    p, t, scored, broken = _in_box(predicted, truth, valid)
    p, t = _about_mean(p, scored), _about_mean(t, scored)
    # Turning and scaling the plane is multiplication by a complex number, least squares gives it in one line.
    turned, fixed = p[..., 0] + 1j * p[..., 1], t[..., 0] + 1j * t[..., 1]
    spread = (abs(turned) ** 2).sum(1)
    product = (turned.conj() * fixed).sum(1)
    turned = turned * (_ratio(product.real, spread) + 1j * _ratio(product.imag, spread))[:, None]
    return _mean(_distances(np.stack([turned.real, turned.imag], axis=-1), t, scored, broken))


def _checked(predicted: ArrayLike, truth: ArrayLike, valid: ArrayLike | None) -> tuple[Array, Array, Mask, Mask]:
    """(predicted, truth, scored, broken): joints that are not scored are 0; broken (B,) poses, whole, as well."""
    p, t = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if p.ndim != 3 or p.shape[1] == 0 or p.shape[2] != 3:
        raise InputError(f"predicted: has shape {p.shape}; expected (B, N, 3)")
    if t.shape != p.shape:
        raise InputError(f"truth: has shape {t.shape}; expected {p.shape}, that of the predicted poses")
    scored: Mask = np.asarray(np.isfinite(t).all(-1) if valid is None else valid)
    if scored.shape != p.shape[:2] or scored.dtype != np.bool_:
        raise InputError(f"valid: is {scored.dtype} of shape {scored.shape}; expected bool of shape {p.shape[:2]}")
    finite = np.isfinite(p).all(-1) & np.isfinite(t).all(-1)
    broken: Mask = (scored.sum(1) < FEWEST) | (scored & ~finite).any(1)
    kept = (scored & ~broken[:, None])[..., None]
    return np.where(kept, p, 0.0), np.where(kept, t, 0.0), scored, broken


def _in_box(predicted: ArrayLike, truth: ArrayLike, valid: ArrayLike | None) -> tuple[Array, Array, Mask, Mask]:
    """`_checked` poses in the image plane (B, N, 2), moved and scaled so that the truth fills the box."""
    p, t, scored, broken = _checked(predicted, truth, valid)
    p, t = p[..., [0, 2]], t[..., [0, 2]]
    high = np.where(scored[..., None], t, -np.inf).max(1, initial=-np.inf)
    low = np.where(scored[..., None], t, np.inf).min(1, initial=np.inf)
    high, low = np.where(broken[:, None], 0.0, high), np.where(broken[:, None], 0.0, low)
    longer = (high - low).max(1)
    middle, scale = ((high + low) / 2)[:, None], _ratio(np.full(len(p), BOX), longer)[:, None, None]
    return (p - middle) * scale, (t - middle) * scale, scored, broken | (longer == 0)


def _similarity(p: Array, t: Array, scored: Mask) -> Array:
    """`p` after the rotation, scale and translation that bring its scored joints nearest to those of `t`."""
    import roma
    import torch

    centre = _centre(t, scored)
    p, p_size = _unit(p, scored)
    t, t_size = _unit(t, scored)
    # Joints that are not scored are 0 in both, and so weigh nothing.
    rotation, scale = roma.rigid_vectors_registration(torch.from_numpy(p), torch.from_numpy(t), compute_scaling=True)
    turned = np.einsum("bij,bnj->bni", rotation.numpy(), p)
    # A prediction whose joints coincide stays a point; roma's scale for it is 0/0.
    factor = np.where(p_size > 0, scale.numpy() * t_size, 0.0)
    aligned: Array = factor[:, None, None] * turned + centre
    return aligned


def _unit(pose: Array, scored: Mask) -> tuple[Array, Array]:
    """`pose` about its mean, divided by its size (B,), the root sum square: no unit is too small or large for roma."""
    centred = _about_mean(pose, scored)
    size = np.sqrt((centred * centred).sum((1, 2)))
    return centred * _ratio(np.ones_like(size), size)[:, None, None], size


def _about_root(pose: Array, scored: Mask) -> Array:
    return np.where(scored[..., None], pose - pose[:, :1], 0.0)


def _about_mean(pose: Array, scored: Mask) -> Array:
    return np.where(scored[..., None], pose - _centre(pose, scored), 0.0)


def _centre(pose: Array, scored: Mask) -> Array:
    """(B, 1, D): mean of the scored joints."""
    return _ratio(np.where(scored[..., None], pose, 0.0).sum(1), scored.sum(1)[:, None])[:, None]


def _distances(p: Array, t: Array, scored: Mask, broken: Mask) -> Array:
    distances: Array = np.linalg.norm(p - t, axis=-1)
    return np.where(scored & ~broken[:, None], distances, np.nan)


def _mean(errors: Array) -> Array:
    """Mean over joints that are not NaN; NaN where all are."""
    known = np.isfinite(errors)
    return _ratio(np.where(known, errors, 0.0).sum(1), known.sum(1), empty=np.nan)


def _ratio(above: NDArray[Any], below: NDArray[Any], empty: float = 0.0) -> Array:
    """above / below, and `empty` where below is 0."""
    nothing = below == 0
    quotient: Array = above / np.where(nothing, 1, below)
    return np.where(nothing, empty, quotient)
