"""One frozen configuration of a training run, one YAML of it, and the presets: `paper` and `default`.

A run's resolved configuration is saved beside it; unknown keys and values of another kind are refused with their line.
"""

import os
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from posesynth.errors import InputError, did_you_mean, shown
from posesynth.yaml_fields import Limit, check_keys, read_choice, read_line, read_number
from posesynth.yaml_source import Faults, Node, read_file, read_yaml

OUTPUTS = ("depth", "angles")
SCHEDULES = ("one-cycle", "constant")
PRECISIONS = ("auto", "32", "tf32", "bf16")


@dataclass(frozen=True)
class Config:
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

    def __post_init__(self) -> None:
        faults = []
        for name, (low, high) in _WHOLE.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                faults.append(f"{name}: is {shown(value)}; expected a whole number from {low} to {high}")
        for name, limit in _NUMBERS.items():
            value = getattr(self, name)
            if type(value) not in (int, float) or not limit.holds(value):
                faults.append(f"{name}: is {shown(value)}; {limit.expected_number()}")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                hint = did_you_mean(value, choices) if isinstance(value, str) else ""
                faults.append(f"{name}: is {shown(value)}; expected {' or '.join(choices)}{hint}")
        if not _is_path(self.skeleton):
            faults.append(f"skeleton: is {shown(self.skeleton)}; expected a built-in name, or a path of one plain line")
        if self.init != "" and not _is_path(self.init):
            faults.append(f"init: is {shown(self.init)}; expected a model's name, a path of one plain line, or nothing")
        if faults:
            raise InputError(*faults)

    @property
    def samples(self) -> int:
        """How many samples the run sees, each once."""
        return self.steps * self.batch

    def yaml(self) -> str:
        """The configuration as `load_config` reads it."""
        return "".join(f"{name}: {_scalar(value)}\n" for name, value in asdict(self).items())

    def with_values(self, **values: Any) -> "Config":
        """The same with other values.  Raises InputError on values that cannot be."""
        return replace(self, **values)


_LONGEST = 4096  # of a path
_DIGITS = re.compile("0|[1-9][0-9]{0,19}")
_WHOLE = {
    "seed": (0, 2**64 - 1),
    "steps": (1, 10**9),
    "batch": (2, 10**6),
    "width": (1, 2**14),
    "blocks": (0, 64),
}
_NUMBERS = {
    "learning_rate": Limit(1e-12, 10, "of Adam", ""),
    "position": Limit(0, 1000, "a weight", ""),
    "noise": Limit(0, 1, "units of the longest edge", ""),
    "missing": Limit(0, 0.9, "a probability", ""),
    "clean": Limit(0, 1, "a share", ""),
}
_CHOICES = {"output": OUTPUTS, "schedule": SCHEDULES, "precision": PRECISIONS}


def _is_path(value: object) -> bool:
    """Whether a YAML file gives it back as it was."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) == len(value) <= _LONGEST


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
    source = os.fspath(path)
    faults = Faults(source)
    tree = read_yaml(read_file(source, "configuration"), faults, len(fields(Config)))
    if tree is None or tree.kind != "map":
        raise faults.stop(1, 1, "file", "is not a mapping", "expected a configuration such as 'steps: 50000'")
    check_keys(faults, tree, "", [field.name for field in fields(Config)])
    known = Config.__dataclass_fields__
    values: dict[str, Any] = {name: _value(faults, node, name) for name, node in tree.entries.items() if name in known}
    if faults:
        raise faults.error()
    if "skeleton" in values and (beside := Path(source).parent / str(values["skeleton"])).is_file():
        values["skeleton"] = str(beside)  # a path is meant from where the file lies
    return replace(base or Config(), **values)


def _value(faults: Faults, node: Node, name: str) -> int | float | str | None:
    if name in _CHOICES:
        return read_choice(faults, node, name, _CHOICES[name])
    if name == "init" and node.kind == "quoted" and not node.text:
        return ""
    if name in ("skeleton", "init"):
        return read_line(faults, node, name, _LONGEST)
    if name in _NUMBERS:
        return read_number(faults, node, name, _NUMBERS[name])
    low, high = _WHOLE[name]
    if node.kind == "plain" and _DIGITS.fullmatch(node.text) and low <= int(node.text) <= high:
        return int(node.text)
    faults.add(node, name, f"{node.show()} is no such number", f"expected a whole number from {low} to {high}")
    return None


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
