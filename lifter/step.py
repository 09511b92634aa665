"""One step of training: losses, gradients, Adam; on a GPU as one CUDA graph, for there the launches cost most.

batch -> device -> losses -> backward -> Adam, and the losses kept on the device until somebody asks
"""

from collections.abc import Mapping

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import posesynth
from lifter import geometry, losses
from lifter.config import Config
from lifter.learner import KeptLosses, adam_state, all_finite, fastest, new_adam, set_learning_rate
from lifter.model_file import load_network, save_network
from lifter.networks.lifting import LiftingNet
from lifter.sources import VALIDATION
from posesynth.sampler import STREAM_VERSION
from posesynth.skeleton import Skeleton
from posesynth.stream import TensorBatch

LOSSES = ("L_sym", "L_el", "L_ed", "position", "expected_error")


class Step:
    """The network, its optimiser, and what a batch does to them.

    kept: how many steps' losses are held before `read` must be called.  validated: samples that `validate` looks at.
    """

    losses = LOSSES

    def __init__(self, fabric: Fabric, skeleton: Skeleton, config: Config, kept: int, validated: int) -> None:
        self.config, self._skeleton, self._validated = config, skeleton, validated
        self.steps = config.steps
        self.begun_with: str | None = None
        self.facts = {"skeleton_digest": skeleton.digest, "stream_version": str(STREAM_VERSION)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            net = LiftingNet(skeleton.parents.tolist(), config.width, config.blocks, config.output)
        self.device = fabric.device
        self.net: LiftingNet = net.to(self.device)
        self._module, self._adam = fabric.setup(net, new_adam(net.parameters(), config.learning_rate, self.device))
        self._fabric = fabric
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
        self._kept = KeptLosses(kept, len(LOSSES), self.device)
        self.read = self._kept.read
        self._run = fastest(self._eager, fabric, self, self._adam, self._kept)

    def begin(self) -> None:
        """Take the weights of the model that the configuration names, if it does."""
        if self.config.init:
            weights, self.begun_with = load_network(self.config.init, self._skeleton, self.config)
            self.net.load_state_dict(weights)

    def __call__(self, batch: TensorBatch, step: int) -> None:
        """Train on the batch of step `step`."""
        set_learning_rate(self._adam, self.config, step)
        self._p2d.copy_(batch.p2d, non_blocking=True)
        self._o.copy_(batch.o, non_blocking=True)
        self._run()
        self._kept.count()

    def state(self) -> dict[str, Tensor]:
        """All that a step changes, by name.  NonFiniteError rather than a state that cannot be gone on from."""
        return all_finite(self._tensors())

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a `state`.  Copies in place: the graph knows the tensors by where they are."""
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(tensors[name])

    def validate(self, done: int) -> dict[str, float]:
        """The losses on clean samples that training never reaches."""
        clean = self._skeleton.with_sampling(noise=0.0, missing=0.0)
        batch = posesynth.sample(clean, self.config.seed, VALIDATION, VALIDATION + self._validated)
        self._module.eval()
        with torch.no_grad():
            p2d, o = (torch.from_numpy(array).to(self.device) for array in (batch.p2d, batch.o))
            found = self._evaluate(p2d, o)
        self._module.train()
        return dict(zip(LOSSES, found.tolist(), strict=True))

    def save(self, path: str, validation: dict[str, float]) -> None:
        """Write the network, see `lifter.model_file`."""
        save_network(path, self.net, self._skeleton, self.config, validation, self.begun_with)

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"network.{name}": tensor for name, tensor in self.net.state_dict().items()}
        return tensors | adam_state(self._adam, self.net.named_parameters())

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
        self._kept.add(found)
