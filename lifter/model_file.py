"""A trained network as two files, NAME.safetensors and NAME.json: weights in half precision, skeleton, recipe.

`save_network` writes them, `load_model` gives network and skeleton back, `find_model` knows the shipped ones by name.
"""

import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from lifter.checkpoint import Tensors, load_weights, save_tensors
from lifter.config import Config
from lifter.networks.cascade import Cascade
from lifter.networks.lifting import LiftingNet
from lifter.networks.residual import ResidualNet
from posesynth.errors import InputError, did_you_mean, shown
from posesynth.schema import skeleton_of
from posesynth.skeleton import Skeleton
from posesynth.store.plan import plain_json

VERSION = 1
MODELS = Path(__file__).parent / "models"


def new_network(skeleton: Skeleton, config: Config) -> LiftingNet:
    """The network that a configuration asks for, with weights by torch's generator."""
    parents = skeleton.parents.tolist()
    if config.network == "cascade":
        return Cascade(parents, config.width, config.blocks, config.stages, config.targets, config.dropout)
    return ResidualNet(parents, config.width, config.blocks, config.output)


def save_network(
    path: str | os.PathLike[str],
    net: LiftingNet,
    skeleton: Skeleton,
    config: Config,
    validation: dict[str, float],
    begun_with: str | None = None,
) -> None:
    """Write the network at `path`, which ends in ``.safetensors``; weights as float16.

    begun_with: SHA-256 of the file of weights that config.init named when training began.
    Means and variances of the batch norms stay float32: they may be too large or too small for float16.
    """
    tensors = dict(net.state_dict())
    for name, weight in net.named_parameters():
        if bool(torch.isfinite(half := weight.detach().half()).all()):
            tensors[name] = half
    facts = {
        "lifter_model": VERSION,
        "skeleton": skeleton.text,
        "sampling": plain_json(skeleton.sampling.values()),
        "joints": list(skeleton.joints),
        "config": asdict(config),
        "samples": config.samples,
        "validation": validation,
        "init_sha256": begun_with,
    }
    save_tensors(path, tensors, facts)


def shipped_models() -> dict[str, Path]:
    """Name -> file of the models that come with the package."""
    return {path.stem: path for path in sorted(MODELS.glob("*.safetensors"))}


def find_model(model: str | os.PathLike[str]) -> str:
    """The file of a shipped model's name, of a run's folder, or the path itself."""
    name = os.fspath(model)
    shipped = shipped_models()
    if name in shipped:
        return str(shipped[name])
    if os.path.isdir(name):
        inside = os.path.join(name, "model.safetensors")
        if not os.path.exists(inside):
            raise InputError(f"{name}: holds no model.safetensors; expected a run that `lifter train` has finished")
        return inside
    if name.endswith(".safetensors"):
        return name
    hint = did_you_mean(name[:64], shipped)
    raise InputError(f"{name[:100]}: is no model; expected {', '.join(shipped)}, a run or a .safetensors file{hint}")


def load_model(model: str | os.PathLike[str]) -> tuple[LiftingNet, Skeleton, dict[str, Any]]:
    """Network (float32, for inference), skeleton and facts of a model, with a whole config.  InputError for others."""
    path = find_model(model)
    tensors, facts = load_weights(path)
    if facts.get("lifter_model") != VERSION:
        raise InputError(f"{path}: is no model this version of lifter reads; expected lifter_model {VERSION}")
    config = _config_of(facts.get("config"), path)
    facts["config"] = asdict(config)
    skeleton = skeleton_of(facts.get("skeleton"), facts.get("sampling"), path)
    net = new_network(skeleton, config)
    expected = {name: tensor.shape for name, tensor in net.state_dict().items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        raise InputError(f"{path}: its weights are not those of its own config and skeleton")
    net.load_state_dict({name: _single(tensor) for name, tensor in tensors.items()})
    return net.eval(), skeleton, facts


def load_network(model: str | os.PathLike[str], skeleton: Skeleton, config: Config) -> tuple[Tensors, str]:
    """Weights to begin training with, of a model with the same joints and network sizes; SHA-256 of their file."""
    net, theirs, facts = load_model(model)
    if theirs.joints != skeleton.joints or theirs.parents.tolist() != skeleton.parents.tolist():
        raise InputError(
            f"{os.fspath(model)}: is of skeleton '{theirs.name}'; expected the joints of '{skeleton.name}'"
        )
    for name in ("network", "output", "width", "blocks", "stages", "targets"):
        if facts["config"][name] != getattr(config, name):
            raise InputError(
                f"{os.fspath(model)}: {name}: is {facts['config'][name]} there and {getattr(config, name)} here; "
                "expected the same"
            )
    with open(find_model(model), "rb") as file:
        return net.state_dict(), hashlib.file_digest(file, "sha256").hexdigest()


def _config_of(recipe: object, path: str) -> Config:
    """The configuration in a model; a field that is newer than the model has its default."""
    if not isinstance(recipe, dict):
        raise InputError(f"{path}: config: is {shown(recipe)}; expected that of a lifter model")
    if unknown := sorted(recipe.keys() - Config.__dataclass_fields__.keys()):
        raise InputError(f"{path}: config: {shown(unknown[0])} is unknown; expected a model no newer than this lifter")
    try:
        return Config(**recipe)
    except InputError as error:
        raise InputError(*(f"{path}: config: {line}" for line in error.lines)) from None


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
