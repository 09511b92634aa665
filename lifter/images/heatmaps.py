"""Heatmaps of joints: Gaussian targets, and the two plain ways from heatmaps to landmarks.

Landmarks are (B, K, 2), x right, y down, in units of the image's size: (0, 0) its upper left corner, pixel i's
centre at (i + 0.5) / size.  NaN is a joint that nobody knows.
"""

import torch
from torch import Tensor


def gaussians(landmarks: Tensor, size: int, sigma: float) -> Tensor:
    """(B, K, size, size): heat exp(-d^2 / (2 sigma^2)) at distance d pixels from each landmark, NaN where it is NaN.

    The peak is 1 and not the density's 1 / (2 pi sigma^2): the paper's weight counts on it.
    """
    centres = torch.arange(size, device=landmarks.device) + 0.5
    along = torch.exp(-((landmarks[..., None] * size - centres) ** 2) / (2 * sigma**2))
    across, down = along.unbind(-2)
    return down[..., :, None] * across[..., None, :]


def argmax(logits: Tensor) -> Tensor:
    """The hottest pixel's centre of each map (B, K, S, S)."""
    size = logits.shape[-1]
    at = logits.flatten(2).argmax(-1)
    return (torch.stack([at % size, at // size], dim=-1) + 0.5) / size


def soft_argmax(logits: Tensor) -> Tensor:
    """The mean place of each map (B, K, S, S), pixels weighted by the softmax of its logits (Sun et al., ECCV 2018)."""
    size = logits.shape[-1]
    share = logits.flatten(2).softmax(-1).view_as(logits)
    centres = (torch.arange(size, device=logits.device) + 0.5) / size
    return torch.stack([(share.sum(2) * centres).sum(-1), (share.sum(3) * centres).sum(-1)], dim=-1)
