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
from lifter.model_file import load_network, new_network, save_network
from lifter.networks.lifting import LiftingNet, Prediction
from lifter.sources import VALIDATION
from posesynth.sampler import STREAM_VERSION
from posesynth.skeleton import Skeleton
from posesynth.stream import TensorBatch

POSE_LOSSES = ("L_sym", "L_el", "L_ed", "position")


class Step:
    """The network, its optimiser, and what a batch does to them; trained by the losses of its poses.

    kept: how many steps' losses are held before `read` must be called.  validated: samples that `validate` looks at.
    """

    losses = (*POSE_LOSSES, "expected_error")

    def __init__(self, fabric: Fabric, skeleton: Skeleton, config: Config, kept: int, validated: int) -> None:
        self.config, self._skeleton, self._validated = config, skeleton, validated
        self.steps = config.steps
        self.begun_with: str | None = None
        self.facts = {"skeleton_digest": skeleton.digest, "stream_version": str(STREAM_VERSION)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            net = new_network(skeleton, config)
        self.device = fabric.device
        self.net: LiftingNet = net.to(self.device)
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
        self._kept = KeptLosses(kept, len(self.losses), self.device)
        self.read = self._kept.read
        self._train(self._first_part())

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
        return dict(zip(self.losses, found.tolist(), strict=True))

    def save(self, path: str, validation: dict[str, float]) -> None:
        """Write the network, see `lifter.model_file`."""
        save_network(path, self.net, self._skeleton, self.config, validation, self.begun_with)

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"network.{name}": tensor for name, tensor in self.net.state_dict().items()}
        return tensors | adam_state(self._adam, self._part.named_parameters())

    def _first_part(self) -> nn.Module:
        """What of the network is trained first."""
        return self.net

    def _train(self, part: nn.Module) -> None:
        """Train this part of the network and no other from now on, with an Adam of its own and, on a GPU, a graph."""
        self.net.eval()
        self._part = part
        adam = new_adam(part.parameters(), self.config.learning_rate, self.device)
        self._module, self._adam = self._fabric.setup(part, adam)
        self._module.train()
        self._run = fastest(self._eager, self._fabric, self, self._adam, self._kept)

    def _evaluate(self, p2d: Tensor, o: Tensor) -> Tensor:
        """The losses of `losses`, in that order."""
        true = geometry.forward(o, self.net.paths)
        if self._module.training and self._clean:
            p2d = torch.cat([true[: self._clean, :, ::2], p2d[self._clean :]])
        return torch.stack(self._losses(p2d, o, true))

    def _losses(self, p2d: Tensor, o: Tensor, true: Tensor) -> list[Tensor]:
        """Those of `losses`, for poses O whose joints are `true`."""
        found: Prediction = self._module(p2d)
        errors = losses.joint_errors(found.p3d, true)
        unsure = found.log_error
        expected = errors.new_zeros(()) if unsure is None else losses.expected_error_loss(unsure, errors)
        return [*self._pose_losses(found, o, true, errors), expected]

    def _pose_losses(self, found: Prediction, o: Tensor, true: Tensor, errors: Tensor) -> list[Tensor]:
        """Those of POSE_LOSSES; errors: `lifter.losses.joint_errors`."""
        bones = true[:, 1:] - true[:, self.net.parents]
        return [
            losses.symmetry_loss(found.r, self._pairs),
            losses.edge_length_loss(found.r, o[..., 0]),
            losses.edge_direction_loss(found.d, nn.functional.normalize(bones, dim=-1)),
            losses.position_loss(errors),
        ]

    def _total(self, found: Tensor) -> Tensor:
        """What is made small, of the `losses`."""
        return found[:3].sum() + self.config.position * found[3] + found[4]

    def _eager(self) -> None:
        found = self._evaluate(self._p2d, self._o)
        self._adam.zero_grad()
        self._fabric.backward(self._total(found))
        self._adam.step()
        self._kept.add(found)
