"""One step of training: losses, gradients, Adam; on a GPU as one CUDA graph, for there the launches cost most.

batch -> device -> losses -> backward -> Adam, and the losses kept on the device until somebody asks
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from lifter import geometry, losses
from lifter.config import Config
from lifter.networks.lifting import LiftingNet
from posesynth.skeleton import Skeleton
from posesynth.stream import TensorBatch

LOSSES = ("L_sym", "L_el", "L_ed", "position", "expected_error")
WARM_UP = 0.1  # of the steps, for one-cycle
_FIRST = 0.04  # of the learning rate, for one-cycle


class NonFiniteError(Exception):
    """A loss or a weight is not a number.  offset: steps since the losses were last read, None for a weight."""

    def __init__(self, offset: int | None = None) -> None:
        super().__init__(offset)
        self.offset = offset


class Step:
    """The network, its optimiser, and what a batch does to them.

    kept: how many steps' losses are held before `read` must be called.
    """

    def __init__(self, fabric: Fabric, skeleton: Skeleton, config: Config, kept: int) -> None:
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            net = LiftingNet(skeleton.parents.tolist(), config.width, config.blocks, config.output)
        self.device = fabric.device
        on_gpu = self.device.type == "cuda"
        self.net: LiftingNet = net.to(self.device)
        rate: Any = torch.tensor(config.learning_rate, device=self.device) if on_gpu else config.learning_rate
        adam = torch.optim.Adam(net.parameters(), lr=rate, fused=True, capturable=on_gpu)
        self._module, self._adam = fabric.setup(net, adam)
        self._fabric = fabric
        self._rate = rate
        self._pairs = torch.tensor(skeleton.symmetric, dtype=torch.long, device=self.device).reshape(-1, 2)
        # What the camera of a finite distance sees cannot be made again from O alone.
        flat = skeleton.sampling.distance is None
        corrupt = skeleton.sampling.noise > 0 or skeleton.sampling.missing > 0
        rows = config.batch // fabric.world_size
        self._clean = round(config.clean * rows) if flat and corrupt else 0
        joints = len(skeleton.joints)
        self._p2d = torch.zeros(rows, joints, 2, device=self.device)
        self._o = torch.zeros(rows, joints - 1, 3, device=self.device)
        self._o[..., 0] = 1
        self._losses = torch.zeros(kept, len(LOSSES), device=self.device)
        self._row = torch.zeros(1, dtype=torch.long, device=self.device)
        self._count = 0
        for parameter in net.parameters():  # as Adam would at its first step, which may come after a resume
            self._adam.state[parameter] = {
                "step": torch.zeros((), device=self.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        self._run = self._captured() if on_gpu and fabric.world_size == 1 else self._eager

    def __call__(self, batch: TensorBatch, step: int) -> None:
        """Train on the batch of step `step`."""
        rate = learning_rate(self.config, step)
        if isinstance(self._rate, Tensor):
            self._rate.fill_(rate)
        else:
            self._adam.param_groups[0]["lr"] = rate
        self._p2d.copy_(batch.p2d, non_blocking=True)
        self._o.copy_(batch.o, non_blocking=True)
        self._run()
        self._count += 1

    def read(self) -> Tensor:
        """(steps since the last call, losses), on the CPU.  NonFiniteError where one is not a number."""
        rows = self._losses[: self._count].cpu()
        self._row.zero_()
        self._count = 0
        bad = (~torch.isfinite(rows).all(dim=1)).nonzero()
        if len(bad):
            raise NonFiniteError(int(bad[0]))
        return rows

    def state(self) -> dict[str, Tensor]:
        """All that a step changes, by name.  NonFiniteError rather than a state that cannot be gone on from."""
        tensors = {f"network.{name}": tensor for name, tensor in self.net.state_dict().items()}
        for name, parameter in self.net.named_parameters():
            tensors |= {f"adam.{key}.{name}": tensor for key, tensor in self._adam.state[parameter].items()}
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise NonFiniteError
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a `state`.  Copies in place: the graph knows the tensors by where they are."""
        with torch.no_grad():
            for name, tensor in self.state().items():
                tensor.copy_(tensors[name])

    def validate(self, p2d: Tensor, o: Tensor) -> dict[str, float]:
        """The losses on other samples, with nothing changed."""
        self._module.eval()
        with torch.no_grad():
            found = self._evaluate(p2d.to(self.device), o.to(self.device))
        self._module.train()
        return dict(zip(LOSSES, found.tolist(), strict=True))

    def _evaluate(self, p2d: Tensor, o: Tensor) -> Tensor:
        """The losses of LOSSES, in that order."""
        true = geometry.forward(o, self.net.paths)
        if self._module.training and self._clean:
            p2d = torch.cat([true[: self._clean, :, ::2], p2d[self._clean :]])
        found = self._module(p2d)
        bones = true[:, 1:] - true[:, self.net.parents]
        errors = losses.joint_errors(found.p3d, true)
        unsure = found.log_error
        return torch.stack(
            [
                losses.symmetry_loss(found.r, self._pairs),
                losses.edge_length_loss(found.r, o[..., 0]),
                losses.edge_direction_loss(found.d, nn.functional.normalize(bones, dim=-1)),
                losses.position_loss(errors),
                errors.new_zeros(()) if unsure is None else losses.expected_error_loss(unsure, errors),
            ]
        )

    def _eager(self) -> None:
        found = self._evaluate(self._p2d, self._o)
        total = found[:3].sum() + self.config.position * found[3] + found[4]
        self._adam.zero_grad()
        self._fabric.backward(total)
        self._adam.step()
        with torch.no_grad():
            self._losses.index_copy_(0, self._row, found[None])
            self._row += 1

    def _captured(self) -> Any:
        """The eager step as a CUDA graph.  Capturing takes some steps, which are undone."""
        before = {name: tensor.clone() for name, tensor in self.state().items()}
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._eager()
                self._row.zero_()
        torch.cuda.current_stream().wait_stream(side)
        self._adam.zero_grad()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._eager()
        self.load(before)
        self._row.zero_()
        return graph.replay


def learning_rate(config: Config, step: int) -> float:
    """That of a step: constant, or up a half cosine for a tenth of the steps and down one to 0 for the rest."""
    if config.schedule == "constant":
        return config.learning_rate
    warm = max(1, round(WARM_UP * config.steps))
    if step < warm:
        return config.learning_rate * (_FIRST + (1 - _FIRST) * (1 - math.cos(math.pi * step / warm)) / 2)
    return config.learning_rate * (1 + math.cos(math.pi * (step - warm) / max(1, config.steps - warm))) / 2
