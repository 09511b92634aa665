"""The configuration of a 2D-to-3D training run, and the presets: `paper` and `default`."""

import os
from dataclasses import dataclass

from lifter.run_config import PRECISIONS, SCHEDULES, SKELETON, PathField, RunConfig, Tables, read_config
from posesynth.yaml_fields import Limit

OUTPUTS = ("depth", "angles")


@dataclass(frozen=True)
class Config(RunConfig):
    """What decides a run.

    skeleton: a built-in name or a path.  seed: of the samples and of the first weights.  steps, batch: samples seen are
    their product.  output: what the network predicts, see `lifter.networks.lifting`.  width, blocks: of its residual
    blocks.  learning_rate, schedule: of Adam; ``one-cycle`` rises for a tenth of the steps and falls to 0.
    position: weight of the position loss beside the paper's three.  noise: standard deviation added to P2D, in units of
    the longest edge; missing: probability that a joint is not seen; clean: share of each batch that is spared
    both.  precision: of the network's arithmetic; ``auto`` takes bf16 on a processor that has it and TF32 on a GPU.
    init: a shipped model, a run or a .safetensors file whose weights are begun with; "" for new ones.

    A field that is added has as its default what runs before it meant: what they left behind is read without it.
    """

    skeleton: str = "quadruped"
    seed: int = 0
    steps: int = 50_000
    batch: int = 500
    output: str = "depth"
    width: int = 1024
    blocks: int = 3
    learning_rate: float = 1e-3
    schedule: str = "one-cycle"
    position: float = 1.0
    noise: float = 0.02
    missing: float = 0.25
    clean: float = 0.33
    precision: str = "auto"
    init: str = ""

    TABLES = Tables(
        whole={
            "seed": (0, 2**64 - 1),
            "steps": (1, 10**9),
            "batch": (2, 10**6),
            "width": (1, 2**14),
            "blocks": (0, 64),
        },
        numbers={
            "learning_rate": Limit(1e-12, 10, "of Adam", ""),
            "position": Limit(0, 1000, "a weight", ""),
            "noise": Limit(0, 1, "units of the longest edge", ""),
            "missing": Limit(0, 0.9, "a probability", ""),
            "clean": Limit(0, 1, "a share", ""),
        },
        choices={
            "output": OUTPUTS,
            "schedule": SCHEDULES,
            "precision": PRECISIONS,
        },
        flags=(),
        paths={"skeleton": SKELETON, "init": PathField("a model's name", empty=True)},
    )


PRESETS = {
    "default": Config(),
    "paper": Config(
        output="angles", learning_rate=1e-6, schedule="constant", position=0.0, noise=0.0, missing=0.0, clean=0.0
    ),
}


def load_config(path: str | os.PathLike[str], base: Config | None = None) -> Config:
    """The configuration in a YAML file; what it does not name is that of `base` (default: the default preset).

    Raises InputError with a line ``file:line:col: field: ...`` for each fault.
    """
    return read_config(path, base or Config())
