"""The losses, as pure functions of predictions and targets; each a scalar, a mean over the batch.

Of the 2D-to-3D network, the paper's three (section 3.3.3): r, r_true (B, E) are lengths in units of the longest edge,
d, d_true (B, E, 3) unit vectors.  And two beyond it, on joints (B, N, 3).  Of the image networks, the paper's three
(section 3): on images, heatmaps and landmarks.
"""

import math

import torch
from torch import Tensor, nn

_TINY = 1e-6


def symmetry_loss(r: Tensor, pairs: Tensor) -> Tensor:
    """L_sym: mean squared difference of the predicted lengths of symmetric edges.  pairs: (P, 2) edge indices."""
    if len(pairs) == 0:
        return r.new_zeros(())
    return (r[:, pairs[:, 0]] - r[:, pairs[:, 1]]).square().mean()


def edge_length_loss(r: Tensor, r_true: Tensor) -> Tensor:
    """L_el: mean squared error of the lengths."""
    return (r - r_true).square().mean()


def edge_direction_loss(d: Tensor, d_true: Tensor) -> Tensor:
    """L_ed: minus the mean cosine between predicted and true directions; -1 where all agree.

    On unit vectors, never on angles: those jump by a whole turn where the direction does not move.
    """
    return -(d * d_true).sum(-1).mean()


def joint_errors(p: Tensor, p_true: Tensor) -> Tensor:
    """(B, N) distances between predicted and true joints, each pose moved to its own centre."""
    difference = (p - p.mean(dim=1, keepdim=True)) - (p_true - p_true.mean(dim=1, keepdim=True))
    return (difference.square().sum(-1) + _TINY**2).sqrt()


def position_loss(errors: Tensor) -> Tensor:
    """Mean of the `joint_errors`."""
    return errors.mean()


def expected_error_loss(log_error: Tensor, errors: Tensor) -> Tensor:
    """Negative log-likelihood of the errors, taken for exponential; least where log_error is log E[error]."""
    return (errors.detach() * (-log_error).exp() + log_error).mean()


def reconstruction_loss(image: Tensor, image_true: Tensor) -> Tensor:
    """Equation 1 as a mean: squared difference of images in [0, 1], over pixels and colours."""
    return (image - image_true).square().mean()


def heatmap_weight(size: int, sigma: float) -> float:
    """Lambda of equation 2: the pixels of an image over those of a disc of radius sigma; 208.6 for 256 and 10."""
    return size**2 / (sigma**2 * math.pi)


def heatmap_loss(logits: Tensor, heat_true: Tensor, weight: float) -> Tensor:
    """Equation 2, with the minus sign that it lacks: mean of -(weight Y log P + (1 - Y) log(1 - P)).

    P is the sigmoid of the logits.  logits, heat_true: (B, K, H, W), Y in [0, 1]; heatmaps that are NaN, of joints
    that nobody knows, do not count.

    As Y is no zero or one, the least value is not 0: see `heatmap_loss_floor`.
    """
    known = ~torch.isnan(heat_true[..., 0, 0])
    factor = logits.new_full((), weight)  # not from the CPU, which a CUDA graph cannot hold
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.nan_to_num(heat_true), pos_weight=factor, reduction="none"
    )
    return _known_mean(losses.mean(dim=(2, 3)), known)


def heatmap_loss_floor(heat_true: Tensor, weight: float) -> Tensor:
    """What `heatmap_loss` comes to where P is as good as can be, weight Y / (weight Y + 1 - Y)."""
    y = heat_true.clamp(1e-30, 1 - 1e-7)
    return heatmap_loss((weight * y / (1 - y)).log(), heat_true, weight)


def landmark_loss(landmarks: Tensor, landmarks_true: Tensor) -> Tensor:
    """The paper's L2 on coordinates (B, K, 2): mean squared difference, in units of the image's size, NaN left out."""
    known = ~torch.isnan(landmarks_true[..., 0])
    return _known_mean((landmarks - torch.nan_to_num(landmarks_true)).square().mean(-1), known)


def _known_mean(values: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, values, 0.0).sum() / known.sum().clamp(min=1)
