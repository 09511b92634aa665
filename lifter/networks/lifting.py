"""What all 2D-to-3D networks share: P2D in, a `Prediction` out, and the same joints whoever made them.

`lifter.networks.residual` holds the paper's, `lifter.networks.cascade` the one that EvoSkeleton lifts people with.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lifter.geometry import paths

TINY = 1e-6
_SHORT = 0.02  # of the pose's own size: bones about as short as this give their direction little gradient


class Prediction(NamedTuple):
    """What a network says of B poses, in units of the longest edge.

    r: (B, E) lengths.  d: (B, E, 3) unit vectors.  p3d: (B, N, 3), root at the origin.  log_error: (B, N), logarithm of
    the expected distance between predicted and true joint, poses moved to their own centres; None where the network
    does not say.
    """

    r: Tensor
    d: Tensor
    p3d: Tensor
    log_error: Tensor | None


class LiftingNet(nn.Module):
    """Lifts P2D (B, N, 2), NaN where a joint is not seen, to a `Prediction`.

    parents: those of the skeleton's N joints, -1 at the root.  whole: it knows no missing joints, and takes them for
    the origin.
    """

    paths: Tensor
    parents: Tensor
    whole = False

    def __init__(self, parents: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("paths", paths(parents), persistent=False)
        self.register_buffer("parents", torch.tensor(list(parents[1:])), persistent=False)

    def pose(self, p: Tensor, log_error: Tensor | None = None) -> Prediction:
        """The prediction that says joints (B, N, 3) at any place and in any unit."""
        bones = p[:, 1:] - p[:, self.parents]
        length = (bones.square().sum(-1) + TINY**2).sqrt()
        d = _unit(bones, length)
        longest = length.amax(dim=1, keepdim=True)
        return Prediction(length / longest, d, (p - p[:, :1]) / longest[..., None], log_error)


def centred(p2d: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """P2D about the mean of the joints seen, 0 where not seen; and their number, (B, 1, 1), at least 1."""
    weight = seen[..., None].to(p2d.dtype)
    count = weight.sum(1, keepdim=True).clamp(min=1)
    return (p2d - (p2d * weight).sum(1, keepdim=True) / count) * weight, count


def _unit(bones: Tensor, length: Tensor) -> Tensor:
    """Directions of the bones, whose gradient is bounded.

    That of a direction grows with 1 / length.  Two hidden joints that the network puts in one place, as bfloat16's
    rounding often does, would give a gradient of a million, after which Adam does not move for thousands of steps.
    """
    soft = bones / (length.square() + _SHORT**2).sqrt()[..., None]
    return soft + (bones / length[..., None] - soft).detach()
