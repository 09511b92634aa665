"""The 2D-to-3D network: P2D -> fully connected residual blocks -> bones (paper, section 3.3.3).

    P2D -> FC -> blocks of two (FC, batch norm, ReLU) -> FC -> r and directions of the bones

Two kinds of output.  ``angles`` is the paper's: r through a sigmoid, theta and phi, of every edge, from P2D as it is.
``depth`` keeps the 2D it was given and predicts what is unknown: how far away each joint lies, and where one lies that
is not seen; lengths and directions follow.  Its input is P2D about its centre and in units of its own size, for real
keypoints have no unit, and which joints are seen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lifter.geometry import directions, paths, positions

_TINY = 1e-6
_SHORT = 0.02  # of the pose's own size: bones about as short as this give their direction little gradient


class Prediction(NamedTuple):
    """What a network says of B poses, in units of the longest edge.

    r: (B, E) lengths.  d: (B, E, 3) unit vectors.  p3d: (B, N, 3), root at the origin.  log_error: (B, N), logarithm of
    the expected distance between predicted and true joint, poses moved to their own centres; None from ``angles``.
    """

    r: Tensor
    d: Tensor
    p3d: Tensor
    log_error: Tensor | None


class ResidualBlock(nn.Module):
    """Two of (fully connected, batch norm, ReLU), added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        halves = [[nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()] for _ in range(2)]
        self.layers = nn.Sequential(*halves[0], *halves[1])

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.layers(x)
        return result


class LiftingNet(nn.Module):
    """Lifts P2D (B, N, 2), NaN where a joint is not seen, to a `Prediction`.

    parents: those of the skeleton's N joints, -1 at the root.  output: ``depth`` or ``angles``; the latter knows no
    missing joints and takes them for the origin.
    """

    paths: Tensor
    parents: Tensor

    def __init__(self, parents: Sequence[int], width: int = 1024, blocks: int = 3, output: str = "depth") -> None:
        super().__init__()
        joints = len(parents)
        self.output = output
        self.register_buffer("paths", paths(parents), persistent=False)
        self.register_buffer("parents", torch.tensor(list(parents[1:])), persistent=False)
        self.first = nn.Linear((2 if output == "angles" else 3) * joints, width)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        self.last = nn.Linear(width, 3 * (joints - 1 if output == "angles" else joints))
        self.log_error = None if output == "angles" else nn.Linear(width, joints)

    def forward(self, p2d: Tensor) -> Prediction:
        seen = ~torch.isnan(p2d[..., 0])
        p2d = torch.nan_to_num(p2d)
        return self._angles(p2d) if self.log_error is None else self._depth(p2d, seen, self.log_error)

    def _angles(self, p2d: Tensor) -> Prediction:
        out = self.last(self.blocks(self.first(p2d.flatten(1)))).float()
        r, theta, phi = out.view(len(out), -1, 3).unbind(-1)
        r, d = torch.sigmoid(r), directions(theta, phi)
        return Prediction(r, d, positions(r[..., None] * d, self.paths), None)

    def _depth(self, p2d: Tensor, seen: Tensor, log_error: nn.Linear) -> Prediction:
        p2d = _in_own_units(p2d, seen)
        features = self.blocks(self.first(torch.cat([p2d.flatten(1), seen.to(p2d.dtype)], dim=1)))
        out = self.last(features).float()
        x, y, z = out.view(len(out), -1, 3).unbind(-1)
        x = torch.where(seen, p2d[..., 0], x)
        z = torch.where(seen, p2d[..., 1], z)
        p = torch.stack([x, y, z], dim=-1)
        bones = p[:, 1:] - p[:, self.parents]
        length = (bones.square().sum(-1) + _TINY**2).sqrt()
        d = _unit(bones, length)
        longest = length.amax(dim=1, keepdim=True)
        # What it is unsure of must not change what it says: the features are taken as they are.
        expected = log_error(features.detach()).float()
        return Prediction(length / longest, d, (p - p[:, :1]) / longest[..., None], expected)


def _unit(bones: Tensor, length: Tensor) -> Tensor:
    """Directions of the bones, whose gradient is bounded.

    That of a direction grows with 1 / length.  Two hidden joints that the network puts in one place, as bfloat16's
    rounding often does, would give a gradient of a million, after which Adam does not move for thousands of steps.
    """
    soft = bones / (length.square() + _SHORT**2).sqrt()[..., None]
    return soft + (bones / length[..., None] - soft).detach()


def _in_own_units(p2d: Tensor, seen: Tensor) -> Tensor:
    """P2D about the mean of the joints seen, in units of their root-mean-square distance from it; 0 where not seen."""
    weight = seen[..., None].to(p2d.dtype)
    count = weight.sum(1, keepdim=True).clamp(min=1)
    centred = (p2d - (p2d * weight).sum(1, keepdim=True) / count) * weight
    size = (centred.square().sum((1, 2), keepdim=True) / count).sqrt()
    return centred / size.clamp(min=_TINY)
