"""The paper's 2D-to-3D network: P2D -> fully connected residual blocks -> bones (section 3.3.3).

    P2D -> FC -> blocks of two (FC, batch norm, ReLU) -> FC -> r and directions of the bones

Two kinds of output.  ``angles`` is the paper's: r through a sigmoid, theta and phi, of every edge, from P2D as it is.
``depth`` keeps the 2D it was given and predicts what is unknown: how far away each joint lies, and where one lies that
is not seen; lengths and directions follow.  Its input is P2D about its centre and in units of its own size, for real
keypoints have no unit, and which joints are seen.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lifter.geometry import directions, positions
from lifter.networks.lifting import TINY, LiftingNet, Prediction, centred


def layers(inputs: int, width: int, dropout: float = 0.0) -> list[nn.Module]:
    """Fully connected, batch norm, ReLU; and dropout, under the same names, so that weights fit with it and without."""
    last = nn.Sequential(nn.ReLU(), nn.Dropout(dropout)) if dropout else nn.ReLU()
    return [nn.Linear(inputs, width), nn.BatchNorm1d(width), last]


class ResidualBlock(nn.Module):
    """Two of `layers`, added to what came in."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers(width, width, dropout), *layers(width, width, dropout))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.layers(x)
        return result


class ResidualNet(LiftingNet):
    """See `LiftingNet`.  output: ``depth`` or ``angles``; the latter knows no missing joints."""

    def __init__(self, parents: Sequence[int], width: int = 1024, blocks: int = 3, output: str = "depth") -> None:
        super().__init__(parents)
        joints = len(parents)
        self.whole = output == "angles"
        self.first = nn.Linear((2 if self.whole else 3) * joints, width)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        self.last = nn.Linear(width, 3 * (joints - 1 if self.whole else joints))
        self.log_error = None if self.whole else nn.Linear(width, joints)

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
        # What it is unsure of must not change what it says: the features are taken as they are.
        return self.pose(torch.stack([x, y, z], dim=-1), log_error(features.detach()).float())


def _in_own_units(p2d: Tensor, seen: Tensor) -> Tensor:
    """P2D about the mean of the joints seen, in units of their root-mean-square distance from it; 0 where not seen."""
    moved, count = centred(p2d, seen)
    size = (moved.square().sum((1, 2), keepdim=True) / count).sqrt()
    return moved / size.clamp(min=TINY)
