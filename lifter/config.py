"""The configuration of a 2D-to-3D training run, and the presets: `default`, `paper` and `evoskeleton`."""

import os
from bisect import bisect_right
from dataclasses import dataclass

from lifter.run_config import PRECISIONS, SCHEDULES, SKELETON, PathField, RunConfig, Tables, read_config
from posesynth.errors import InputError, shown
from posesynth.yaml_fields import Limit

NETWORKS = ("residual", "cascade")
OUTPUTS = ("depth", "angles")
TARGETS = ("joints", "bones")

_OWN = {"residual": ("output", "position"), "cascade": ("stages", "targets", "dropout")}
"""Network -> the fields that mean nothing to the others."""


@dataclass(frozen=True)
class Config(RunConfig):
    """What decides a run.

    skeleton: a built-in name or a path.  seed: of the samples and of the first weights.  steps, batch: samples seen are
    their product.  network: ``residual``, the paper's, or ``cascade``.  width, blocks: of its residual blocks, of each
    stage where it has several.  learning_rate, schedule: of Adam; ``one-cycle`` rises for a tenth of the steps and
    falls to 0; for each stage anew.

    Of ``residual`` alone: output, what it predicts, see `lifter.networks.residual`; position, weight of the position
    loss beside the paper's three.  Of ``cascade`` alone: stages, trained one after another, each for an equal share of
    the steps; targets, what they are fitted to, see `lifter.networks.cascade`; dropout, its probability.

    noise: standard deviation added to P2D, in units of
    the longest edge; missing: probability that a joint is not seen; clean: share of each batch that is spared
    both.  precision: of the network's arithmetic; ``auto`` takes bf16 on a processor that has it and TF32 on a GPU.
    init: a shipped model, a run or a .safetensors file whose weights are begun with; "" for new ones.

    A field that is added has as its default what runs before it meant: what they left behind is read without it.
    """

    skeleton: str = "quadruped"
    seed: int = 0
    steps: int = 50_000
    batch: int = 500
    network: str = "residual"
    output: str = "depth"
    width: int = 1024
    blocks: int = 3
    stages: int = 2
    targets: str = "joints"
    dropout: float = 0.0
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
            "stages": (1, 16),
        },
        numbers={
            "dropout": Limit(0, 0.9, "a probability", ""),
            "learning_rate": Limit(1e-12, 10, "of Adam", ""),
            "position": Limit(0, 1000, "a weight", ""),
            "noise": Limit(0, 1, "units of the longest edge", ""),
            "missing": Limit(0, 0.9, "a probability", ""),
            "clean": Limit(0, 1, "a share", ""),
        },
        choices={
            "network": NETWORKS,
            "output": OUTPUTS,
            "targets": TARGETS,
            "schedule": SCHEDULES,
            "precision": PRECISIONS,
        },
        flags=(),
        paths={"skeleton": SKELETON, "init": PathField("a model's name", empty=True)},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = []
        for network, names in _OWN.items():
            for name in names if network != self.network else ():
                value, default = getattr(self, name), getattr(Config, name)
                if value != default:
                    faults.append(
                        f"{name}: is {shown(value)}, which means nothing to network {self.network}; "
                        f"expected {shown(default)}, or network {network}"
                    )
        if self.steps < self._stages:
            faults.append(f"steps: is {self.steps} for {self.stages} stages; expected one for each at least")
        if faults:
            raise InputError(*faults)

    @property
    def _stages(self) -> int:
        return self.stages if self.network == "cascade" else 1

    def stage_of(self, step: int) -> int:
        """Which stage step `step` trains."""
        return bisect_right([k * self.steps // self._stages for k in range(1, self._stages)], step)

    def phase(self, step: int) -> tuple[int, int]:
        """See `RunConfig.phase`: the schedule begins anew with each stage."""
        stage = self.stage_of(step)
        begin, end = (k * self.steps // self._stages for k in (stage, stage + 1))
        return step - begin, end - begin


PRESETS = {
    "default": Config(),
    "paper": Config(
        output="angles", learning_rate=1e-6, schedule="constant", position=0.0, noise=0.0, missing=0.0, clean=0.0
    ),
    "evoskeleton": Config(
        network="cascade", blocks=2, dropout=0.5, schedule="constant", noise=0.0, missing=0.0, clean=0.0
    ),
}


def load_config(path: str | os.PathLike[str], base: Config | None = None) -> Config:
    """The configuration in a YAML file; what it does not name is that of `base` (default: the default preset).

    Raises InputError with a line ``file:line:col: field: ...`` for each fault.
    """
    return read_config(path, base or Config())
