"""One step of training a cascade: a stage learns what the stages before leave; they are frozen, those after wait.

P2D -> stages before, as in use, no gradient -> what they leave of the targets -> the stage's squared error -> its Adam
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import posesynth
from lifter import losses
from lifter.config import Config
from lifter.networks.cascade import Cascade
from lifter.sources import STATISTICS
from lifter.step import POSE_LOSSES, Step
from posesynth.skeleton import Skeleton
from posesynth.stream import TensorBatch

STANDARDISED_BY = 2**16  # poses


class CascadeStep(Step):
    """See `Step`.  Its loss, residual, is the mean squared error of what the stage adds; the others are told alone.

    All of them are of the poses that the stages up to the one in training add up to.
    """

    losses = (*POSE_LOSSES, "residual")
    net: Cascade

    def __init__(self, fabric: Fabric, skeleton: Skeleton, config: Config, kept: int, validated: int) -> None:
        self._stage = torch.zeros((), dtype=torch.long)
        super().__init__(fabric, skeleton, config, kept, validated)
        batch = posesynth.sample(skeleton, config.seed, STATISTICS, STATISTICS + STANDARDISED_BY)
        self.net.standardise(torch.from_numpy(batch.o).to(self.device))

    def __call__(self, batch: TensorBatch, step: int) -> None:
        """Train on the batch of step `step`."""
        self._enter(self.config.stage_of(step))
        with self._dropping(step):
            super().__call__(batch, step)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a `state`, with the stage that it was in."""
        self._enter(int(tensors["stage"]))
        super().load(tensors)

    def _enter(self, stage: int) -> None:
        """Train this stage, from its first step on."""
        if stage == int(self._stage):
            return
        # Ranks have batch-norm statistics of their own, and must agree on what the stages before leave.
        self.net.load_state_dict(self._fabric.broadcast(self.net.state_dict()))
        self._stage.fill_(stage)
        self._train(self.net.stages[stage])

    @contextmanager
    def _dropping(self, step: int) -> Iterator[None]:
        """What dropout draws follows from the seed, the step and the rank, and torch's generator is left as it was."""
        if not self.config.dropout:
            yield
            return
        on_gpu = self.device.type == "cuda"
        generator = torch.cuda.default_generators[self.device.index or 0] if on_gpu else torch.default_generator
        before = generator.get_state()
        words = [self.config.seed, step, self._fabric.global_rank]
        generator.manual_seed(int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0]))
        try:
            yield
        finally:
            generator.set_state(before)

    def _first_part(self) -> nn.Module:
        return self.net.stages[0]

    def _tensors(self) -> dict[str, Tensor]:
        # Stages have equal shapes and Adam's names are those within one: a state fits whatever stage it was made in.
        return super()._tensors() | {"stage": self._stage}

    def _losses(self, p2d: Tensor, o: Tensor, true: Tensor) -> list[Tensor]:
        inputs = self.net.inputs(p2d)
        with torch.no_grad(), self._fabric.autocast():
            before = self.net.outputs(inputs, int(self._stage))
        here = self._module(inputs)
        residual = (self.net.targets(o) - before - here).square().mean()
        with torch.no_grad():
            found = self.net.prediction(before + here)
            told = self._pose_losses(found, o, true, losses.joint_errors(found.p3d, true))
        return [*told, residual]

    def _total(self, found: Tensor) -> Tensor:
        return found[-1]
