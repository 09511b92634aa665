"""The cascaded 2D-to-3D network of EvoSkeleton (Li et al., CVPR 2020): each stage is fitted on what those before leave.

    stage: P2D -> FC, batch norm, ReLU, dropout -> residual blocks -> FC -> what is added to the stages before

All stages see the same P2D, about its mean and divided by its own scale, and which joints are seen.  What they add up
to is either ``joints``, each about the root, less its mean and divided by its standard deviation over many poses; or
``bones``, the lengths and unit directions of O.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lifter import geometry
from lifter.networks.lifting import TINY, LiftingNet, Prediction, centred
from lifter.networks.residual import ResidualBlock, layers

_CONSTANT = 1e-4  # longest edges: a coordinate that varies less than this has nothing to be divided by


class Stage(nn.Module):
    """One stage: (B, inputs) -> (B, outputs).  New, it adds nothing: what the stages before do is not spoilt."""

    def __init__(self, inputs: int, width: int, blocks: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Sequential(*layers(inputs, width, dropout))
        self.blocks = nn.Sequential(*(ResidualBlock(width, dropout) for _ in range(blocks)))
        self.last = nn.Linear(width, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.blocks(self.first(x)))
        return result


class Cascade(LiftingNet):
    """See `LiftingNet`.  targets: ``joints`` or ``bones``.  It says nothing of the error it expects.

    mean, std: (M,), of the M numbers of `targets`; those of ``bones`` are taken as they are.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        parents: Sequence[int],
        width: int = 1024,
        blocks: int = 2,
        stages: int = 2,
        targets: str = "joints",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(parents)
        self.of_joints = targets == "joints"
        joints = len(parents)
        outputs = (3 if self.of_joints else 4) * (joints - 1)
        self.stages = nn.ModuleList(Stage(3 * joints, width, blocks, outputs, dropout) for _ in range(stages))
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("std", torch.ones(outputs))

    def forward(self, p2d: Tensor) -> Prediction:
        return self.prediction(self.outputs(self.inputs(p2d), len(self.stages)))

    def inputs(self, p2d: Tensor) -> Tensor:
        """(B, 3N) that every stage sees: P2D by the mean of its two standard deviations, and which joints are seen."""
        seen = ~torch.isnan(p2d[..., 0])
        moved, count = centred(torch.nan_to_num(p2d), seen)
        scale = (moved.square().sum(1, keepdim=True) / count).sqrt().mean(2, keepdim=True)
        return torch.cat([(moved / scale.clamp(min=TINY)).flatten(1), seen.to(p2d.dtype)], dim=1)

    def outputs(self, inputs: Tensor, stages: int) -> Tensor:
        """(B, M) float32: what the first so many stages add up to."""
        total = inputs.new_zeros(len(inputs), len(self.mean), dtype=torch.float32)
        for stage in self.stages[:stages]:
            total = total + stage(inputs).float()
        return total

    def targets(self, o: Tensor) -> Tensor:
        """(B, M): what the stages shall add up to for poses O (B, E, 3)."""
        return (self._targets(o) - self.mean) / self.std

    def standardise(self, o: Tensor) -> None:
        """Take `mean` and `std` from many poses O (B, E, 3)."""
        if self.of_joints:
            std, mean = torch.std_mean(self._targets(o).double(), dim=0)
            self.mean.copy_(mean)
            self.std.copy_(torch.where(std > _CONSTANT, std, 1.0))

    def prediction(self, outputs: Tensor) -> Prediction:
        """The poses that outputs (B, M) stand for."""
        found = outputs * self.std + self.mean
        if self.of_joints:
            p = found.view(len(found), -1, 3)
            return self.pose(torch.cat([p.new_zeros(len(p), 1, 3), p], dim=1))
        bones = found.view(len(found), -1, 4)
        r, d = bones[..., :1].clamp(0, 1), nn.functional.normalize(bones[..., 1:], dim=2)
        return Prediction(r[..., 0], d, geometry.positions(r * d, self.paths), None)

    def _targets(self, o: Tensor) -> Tensor:
        if self.of_joints:
            return geometry.forward(o, self.paths)[:, 1:].flatten(1)
        return torch.cat([o[..., :1], geometry.directions(o[..., 1], o[..., 2])], dim=2).flatten(1)
