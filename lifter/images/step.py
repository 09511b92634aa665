"""One step of an image stage: what it trains, its loss, and what it measures; the rest of the network is frozen.

stage         trains                         loss
autoencoder   encoder and decoder            reconstruction, equation 1
skip2, skip1  S2, then S1                    reconstruction
landmarks     interleaved layers*            heatmap, equation 2; excess: what it is above the least it can be
nms           the maximum module             landmark, L2 of coordinates

* and the autoencoder with them, if `ImageConfig.transfer` says so.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from lifter import losses
from lifter.image_config import LANDMARK_STAGES, ImageConfig
from lifter.images.augmentation import DRAWS, augmented, draws, mirrored_joints
from lifter.images.heatmaps import argmax, gaussians, soft_argmax
from lifter.images.metrics import hits, pck
from lifter.images.model import ImageNetworks, digest_of, load_stage_before, save_images, trained_parameters
from lifter.images.sources import Images, Labelled
from lifter.learner import KeptLosses, adam_state, all_finite, fastest, new_adam, set_learning_rate
from posesynth.errors import InputError
from posesynth.skeleton import Skeleton

LOSS = {
    "autoencoder": "reconstruction",
    "skip2": "reconstruction",
    "skip1": "reconstruction",
    "landmarks": "heatmap",
    "nms": "landmark",
}
AIM = {**LOSS, "landmarks": "excess"}
"""Stage -> the validation figure that `ImageConfig.target` is about."""

THRESHOLDS = (0.05, 0.1)  # of PCK, as shares of the body's longer side


class ImageStep:
    """The networks of all stages, the optimiser of one, and what a batch does to them; a `lifter.learner.Learner`.

    init: the run of the stage before; None for the first.  validation: images that are never trained on.  images,
    labelled: facts and joints of their source.  kept: how many steps' losses are held before `read` must be called.
    Raises InputError where `init` is of another network.
    """

    def __init__(
        self,
        fabric: Fabric,
        skeleton: Skeleton,
        config: ImageConfig,
        init: str | None,
        validation: Images,
        images: Mapping[str, str],
        labelled: Labelled,
        kept: int,
    ) -> None:
        self._labelled = labelled
        self.config, self._skeleton, self._fabric, self._validation = config, skeleton, fabric, validation
        self.device = fabric.device
        self.losses = (LOSS[config.stage],)
        self.begun_with: str | None = None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            net = ImageNetworks(config, len(skeleton.joints))
        if init is not None:
            before, facts, self.begun_with = load_stage_before(init, config, skeleton)
            net.load_state_dict(before, strict=False)
            if config.stage == "nms":  # it reads the heatmaps, and those of the other joints tell nothing
                self._labelled = _learned(init, facts, labelled, config.images)
        self.net = net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.trained = trained_parameters(net, config.stage, config.transfer)
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name in self.trained)
        self.frozen_digest = digest_of(self._frozen())
        self.facts = {
            "skeleton_digest": skeleton.digest,
            "stage_before_digest": self.begun_with or "none",
            **images,
        }
        adam = new_adam(self.trained.values(), config.learning_rate, self.device)
        self._module, self._adam = fabric.setup(_Objective(net, config), adam)
        self._kept = KeptLosses(kept, 1, self.device)
        self.read = self._kept.read
        self._mirrored = mirrored_joints(skeleton).to(self.device)
        self._reached = torch.full((1,), -1, dtype=torch.long)
        """After how many steps the target was reached; -1 where it was not."""
        rows, size = config.batch // fabric.world_size, config.size
        self._image = torch.zeros(rows, size, size, 3, dtype=torch.uint8, device=self.device)
        self._landmarks = torch.full((rows, len(skeleton.joints), 2), 0.5, device=self.device)
        self._drawn = torch.zeros(rows, DRAWS, device=self.device)
        self._mode(True)
        self._run = fastest(self._eager, fabric, self, self._adam, self._kept)

    @property
    def steps(self) -> int:
        """How many the run has: `extra` after the target was reached, and never more than `ImageConfig.steps`."""
        reached = int(self._reached)
        return self.config.steps if reached < 0 else min(self.config.steps, reached + self.config.extra)

    def begin(self) -> None:
        """The weights of the stage before are there already: a run that goes on needs them, too."""

    def __call__(self, batch: Images, step: int) -> None:
        """Train on the batch of step `step`."""
        set_learning_rate(self._adam, self.config, step)
        self._image.copy_(batch.image, non_blocking=True)
        self._landmarks.copy_(batch.landmarks, non_blocking=True)
        if self.config.augmented:
            drawn = draws(self.config.seed, batch.start, batch.start + len(self._drawn))
            self._drawn.copy_(drawn, non_blocking=True)
        self._run()
        self._kept.count()

    def state(self) -> dict[str, Tensor]:
        """What the stage changes: its own weights, statistics and Adam's; and when the target was reached."""
        return all_finite(self._tensors())

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a `state`."""
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(tensors[name])

    def validate(self, done: int) -> dict[str, float]:
        """The stage's figures on the validation images.

        reconstruction; or heatmap and excess; or landmark.  Where there are joints: mean distance in pixels (_px) and
        PCK at 0.05 and 0.1 of the body, of argmax, soft_argmax and, in the last stage, nms.

        All ranks have the first one's: each has batch-norm statistics of its own, and all must end at the same step.
        """
        self._mode(False)
        with torch.no_grad():
            found = self._fabric.broadcast(self._measured())
        self._mode(True)
        if self.config.target and int(self._reached) < 0 and found[AIM[self.config.stage]] <= self.config.target:
            self._reached.fill_(done)
        return found

    def save(self, path: str, validation: dict[str, float]) -> None:
        """Write all networks that are trained by now.  RuntimeError where a frozen one has changed."""
        if digest_of(self._frozen()) != self.frozen_digest:
            raise RuntimeError(f"stage {self.config.stage}: weights that are frozen have changed")
        save_images(path, self.net, self._skeleton, self.config, self._labelled, validation, self.begun_with)

    def _tensors(self) -> dict[str, Tensor]:
        own = {f"network.{name}": tensor for name, tensor in self._own().items()}
        return own | adam_state(self._adam, self.trained.items()) | {"reached": self._reached}

    def _eager(self) -> None:
        images, points = _pixels(self._image), self._landmarks
        if self.config.augmented:
            images, points = augmented(images, points, self._drawn, self.config, self._mirrored)
        loss = self._module(images, points)
        self._adam.zero_grad()
        self._fabric.backward(loss)
        self._adam.step()
        self._kept.add(loss.detach().float().reshape(1))

    def _own(self) -> dict[str, Tensor]:
        own: dict[str, Tensor] = self.net.of_stage(self.config.stage, self.config.transfer)
        return own

    def _frozen(self) -> dict[str, Tensor]:
        """What there is of the networks and is not trained now."""
        own = self._own()
        return {name: tensor for name, tensor in self.net.until(self.config.stage).items() if name not in own}

    def _mode(self, training: bool) -> None:
        """Batch norms take part in training where their weights do; the frozen ones keep their statistics."""
        for name, module in self.net.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train(training and f"{name}.weight" in self.trained)

    def _measured(self) -> dict[str, float]:
        parts = [
            self._measured_part(_pixels(part.image.to(self.device)), part.landmarks.to(self.device))
            for part in self._validation.split(self.config.batch)
        ]
        counts = np.array([part.averaged for part in parts])
        shares = counts / max(counts.sum(), 1)
        found = {name: float(np.dot(shares, [part.losses[name] for part in parts])) for name in parts[0].losses}
        truth = self._validation.landmarks.double().numpy()
        body = self._validation.body.double().numpy()
        for name in parts[0].landmarks:
            made = np.concatenate([part.landmarks[name] for part in parts])
            distances = np.linalg.norm(made - truth, axis=-1) * self.config.size
            found[f"{name}_px"] = float(np.nanmean(distances))
            near = {f"{name}_pck{100 * at:02.0f}": pck(hits(made, truth, body, at)) for at in THRESHOLDS}
            found |= {each: share for each, share in near.items() if not np.isnan(share)}  # no body has an extent
        if wrong := [each for each, figure in found.items() if not np.isfinite(figure)]:
            raise InputError(f"validation: {wrong[0]} is not a finite number; a lower learning rate may help")
        return found

    def _measured_part(self, images: Tensor, points: Tensor) -> "_Measured":
        stage, size, sigma = self.config.stage, self.config.size, self.config.sigma
        with self._fabric.autocast():
            if stage not in LANDMARK_STAGES:
                loss = float(_Objective(self.net, self.config)(images, points))
                return _Measured(len(images), {LOSS[stage]: loss}, {})
            logits = self.net.logits(images)
            ways = {"argmax": argmax(logits.float()), "soft_argmax": soft_argmax(logits.float())}
            if stage == "nms":
                ways["nms"] = self.net.nms(images, self.net.heat(logits))
                found = {LOSS[stage]: float(losses.landmark_loss(ways["nms"], points))}
            else:
                heat, weight = gaussians(points, size, sigma), losses.heatmap_weight(size, sigma)
                loss = float(losses.heatmap_loss(logits.float(), heat, weight))
                found = {LOSS[stage]: loss, "excess": loss - float(losses.heatmap_loss_floor(heat, weight))}
        known = int(torch.isfinite(points[..., 0]).sum())
        return _Measured(known, found, {name: made.double().cpu().numpy() for name, made in ways.items()})


def _learned(init: str, before: Mapping[str, Any], labelled: Labelled, images: str) -> Labelled:
    """What is labelled now of the joints that the stage `before` has learned.

    InputError where that is none, or where one of them was made of other labels of the same images.
    """
    there: Labelled = before["labelled"]
    both = {joint: names for joint, names in labelled.items() if joint in there}
    if not both:
        raise InputError(f"{init}: has learned none of the joints {', '.join([*labelled][:5])} of these images")
    if before["config"]["images"] == images:
        for joint, names in both.items():
            if [*there[joint]] != [*names]:
                was, now = (" and ".join(each) for each in (there[joint], names))
                raise InputError(
                    f"{init}: has learned joint '{joint}' from {was}, which is {now} here; expected one map"
                )
    return both


def _pixels(image: Tensor) -> Tensor:
    """(B, S, S, 3) of 0 to 255 as (B, 3, S, S) of 0 to 1."""
    return image.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.channels_last) / 255


class _Measured(NamedTuple):
    """Of a part of the validation images: losses, and landmarks by the way that they were found.

    averaged: how many images, or known joints, the losses are means over.
    """

    averaged: int
    losses: dict[str, float]
    landmarks: dict[str, np.ndarray]


class _Objective(nn.Module):
    """The loss of a stage on images and landmarks: one module, as ranks and automatic precision want it."""

    def __init__(self, net: ImageNetworks, config: ImageConfig) -> None:
        super().__init__()
        self.net, self._config = net, config

    def forward(self, images: Tensor, points: Tensor) -> Tensor:
        stage, size, sigma = self._config.stage, self._config.size, self._config.sigma
        if stage == "landmarks":
            heat = gaussians(points, size, sigma)
            return losses.heatmap_loss(self.net.logits(images).float(), heat, losses.heatmap_weight(size, sigma))
        if stage == "nms":
            return losses.landmark_loss(self.net.landmarks(images), points)
        skips = {"autoencoder": 0, "skip2": 1, "skip1": 2}[stage]
        return losses.reconstruction_loss(self.net.autoencoder(images, skips).float(), images)
