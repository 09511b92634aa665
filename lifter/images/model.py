"""Trained image networks as two files, NAME.safetensors and NAME.json: weights in half precision, joints, recipe.

net = ImageNetworks(config, joints)    all that the five stages train
save_images, load_images               as `lifter.model_file` for the 2D-to-3D network
"""

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lifter.checkpoint import load_weights, save_tensors
from lifter.image_config import STAGES, ImageConfig
from lifter.losses import heatmap_weight
from lifter.networks.autoencoder import Autoencoder
from lifter.networks.landmarks import Interleaved, MaximumModule
from posesynth.errors import InputError
from posesynth.schema import skeleton_of
from posesynth.skeleton import Skeleton
from posesynth.store.plan import plain_json

VERSION = 2  # 1: the nms module was given heatmaps with equation 2's weight in them

PARTS = {
    "autoencoder": ("autoencoder.encoder.", "autoencoder.decoder."),
    "skip2": ("autoencoder.skip2.",),
    "skip1": ("autoencoder.skip1.",),
    "landmarks": ("interleaved.",),
    "nms": ("nms.",),
}
"""Stage -> how the names of its weights begin."""

_BELOW_HEATMAPS = (
    "autoencoder.encoder.",
    *(f"autoencoder.decoder.{layer}." for layer in ("code", "first", "layers")),
    "autoencoder.skip2.",
    "autoencoder.skip1.",
)
"""What of the autoencoder `Interleaved` uses: all but the decoder's last layer, in whose place it has its own."""

SHAPE = ("size", "width", "code")
"""What all stages of one network have in common."""


class ImageNetworks(nn.Module):
    """The encoder-decoder with its skips, the interleaved layers and the maximum module, for so many joints."""

    def __init__(self, config: ImageConfig, joints: int) -> None:
        super().__init__()
        self.autoencoder = Autoencoder(config.width, config.size, config.code)
        self.interleaved = Interleaved(self.autoencoder, joints)
        self.nms = MaximumModule(config.width, joints)
        self._log_weight = math.log(heatmap_weight(config.size, config.sigma))

    def logits(self, images: Tensor) -> Tensor:
        """What equation 2 is about, before its sigmoid, (B, K, S, S), of images (B, 3, S, S) in [0, 1]."""
        made: Tensor = self.interleaved(self.autoencoder, images)
        return made

    def heat(self, logits: Tensor) -> Tensor:
        """Heatmaps in [0, 1] of the logits: what they say of exp(-d^2 / (2 sigma^2)).

        Equation 2 weights heat by lambda, so the sigmoid P that it is least for overstates it, P / (1 - P) being lambda
        times what it should be.  Without the weight it is the sigmoid of the logits less log lambda.
        """
        return torch.sigmoid(logits - self._log_weight)

    def landmarks(self, images: Tensor) -> Tensor:
        """(B, K, 2), x right, y down, in units of S: what the last stage makes of images."""
        made: Tensor = self.nms(images, self.heat(self.logits(images)))
        return made

    def of_stage(self, stage: str, transfer: str = "frozen") -> dict[str, Tensor]:
        """Weights and batch-norm statistics that a stage trains, by name."""
        parts = _trained_parts(stage, transfer)
        return {name: tensor for name, tensor in self.state_dict().items() if name.startswith(parts)}

    def until(self, stage: str) -> dict[str, Tensor]:
        """Those that there are once a stage is done."""
        parts = sum((PARTS[name] for name in STAGES[: STAGES.index(stage) + 1]), ())
        return {name: tensor for name, tensor in self.state_dict().items() if name.startswith(parts)}


def trained_parameters(net: ImageNetworks, stage: str, transfer: str = "frozen") -> dict[str, nn.Parameter]:
    """The parameters that a stage trains, by name."""
    parts = _trained_parts(stage, transfer)
    return {name: parameter for name, parameter in net.named_parameters() if name.startswith(parts)}


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names and bytes: weights that are frozen keep it."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + b"\0")
        digest.update(np.ascontiguousarray(tensors[name].detach().cpu().numpy()).tobytes())
    return digest.hexdigest()


def save_images(
    path: str | os.PathLike[str],
    net: ImageNetworks,
    skeleton: Skeleton,
    config: ImageConfig,
    labelled: Mapping[str, Sequence[str]],
    validation: Mapping[str, float],
    begun_with: str | None,
) -> None:
    """Write what there is of the networks after a stage; weights as float16, batch-norm statistics as float32.

    labelled: the joints that these networks have learned to find, and the labels that each was learned from.
    """
    parameters = dict(net.named_parameters())
    tensors = {}
    for name, tensor in net.until(config.stage).items():
        half = tensor.half() if name in parameters else tensor
        tensors[name] = half if bool(torch.isfinite(half).all()) else tensor
    facts = {
        "lifter_images": VERSION,
        "skeleton": skeleton.text,
        "sampling": plain_json(skeleton.sampling.values()),
        "joints": list(skeleton.joints),
        "labelled": {joint: list(names) for joint, names in labelled.items()},
        "config": config.values(),
        "trained_parameters": sum(p.numel() for p in trained_parameters(net, config.stage, config.transfer).values()),
        "validation": dict(validation),
        "init_sha256": begun_with,
    }
    save_tensors(path, tensors, facts)


def load_images(model: str | os.PathLike[str]) -> tuple[ImageNetworks, Skeleton, ImageConfig, dict[str, Any]]:
    """Networks (float32, for inference), skeleton, configuration of the last stage and facts of a run or a file.

    What later stages train has its first weights.  InputError where `model` is none.
    """
    path = _file_of(model)
    tensors, facts = load_weights(path)
    if facts.get("lifter_images") != VERSION:
        raise InputError(
            f"{path}: is no model of images, or an old one; expected a stage's run of `lifter train-images`"
        )
    config = _config_of(facts.get("config"), path)
    skeleton = skeleton_of(facts.get("skeleton"), facts.get("sampling"), path)
    labelled = facts.get("labelled")
    if not isinstance(labelled, dict) or not labelled.keys() <= {*skeleton.joints}:
        raise InputError(f"{path}: labelled: does not say which of the skeleton's joints were labelled, and by what")
    with torch.device("meta"):  # a file may claim any size: nothing is made before its weights agree
        planned = ImageNetworks(config, len(skeleton.joints))
    expected = {name: tensor.shape for name, tensor in planned.until(config.stage).items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        raise InputError(f"{path}: its weights are not those of its own config and skeleton")
    net = ImageNetworks(config, len(skeleton.joints))
    given = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    net.load_state_dict(given, strict=False)
    return net.eval(), skeleton, config, facts


def load_stage_before(
    model: str | os.PathLike[str], config: ImageConfig, skeleton: Skeleton
) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """Weights and facts of the stage before that of `config`, and the SHA-256 of the weights' file.

    InputError where they are of another stage, another shape or other joints.
    """
    net, theirs, before, facts = load_images(model)
    expected = STAGES[STAGES.index(config.stage) - 1]
    if before.stage != expected:
        raise InputError(f"{os.fspath(model)}: is of stage {before.stage}; expected {expected}")
    if theirs.joints != skeleton.joints:
        raise InputError(
            f"{os.fspath(model)}: is of skeleton '{theirs.name}'; expected the joints of '{skeleton.name}'"
        )
    for name in (*SHAPE, *(("sigma",) if config.stage == "nms" else ())):  # of the heatmaps that nms is given
        if getattr(before, name) != getattr(config, name):
            raise InputError(
                f"{os.fspath(model)}: {name}: is {getattr(before, name)} there and {getattr(config, name)} here; "
                "expected the same"
            )
    with open(_file_of(model), "rb") as file:
        return net.until(before.stage), facts, hashlib.file_digest(file, "sha256").hexdigest()


def _trained_parts(stage: str, transfer: str) -> tuple[str, ...]:
    whole = transfer != "frozen" and stage == "landmarks"
    return _BELOW_HEATMAPS + PARTS[stage] if whole else PARTS[stage]


def _file_of(model: str | os.PathLike[str]) -> str:
    """The file of weights of a run, or the path itself."""
    path = os.fspath(model)
    if not os.path.isdir(path):
        return path
    inside = os.path.join(path, "model.safetensors")
    if not os.path.exists(inside):
        raise InputError(f"{path}: holds no model.safetensors; expected a stage that is done")
    return inside


def _config_of(recipe: object, path: str) -> ImageConfig:
    if not isinstance(recipe, dict) or not recipe.keys() <= set(ImageConfig().values()):
        raise InputError(f"{path}: config: is not that of a model of images, or of a newer lifter")
    try:
        return ImageConfig(**recipe)
    except InputError as error:
        raise InputError(*(f"{path}: config: {line}" for line in error.lines)) from None
