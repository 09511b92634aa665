"""What all configurations of training runs share: a frozen dataclass, one YAML of it, and one line for each fault.

A configuration's tables say which of its fields are whole numbers, numbers, choices, flags and paths; values in Python
and values in a file are checked by the same tables.  Unknown keys and values of another kind are refused.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from posesynth.errors import InputError, did_you_mean, shown
from posesynth.yaml_fields import Limit, check_keys, read_choice, read_flag, read_line, read_number
from posesynth.yaml_source import Faults, Node, read_file, read_yaml

PRECISIONS = ("auto", "32", "tf32", "bf16")
SCHEDULES = ("one-cycle", "constant")

_LONGEST = 4096  # of a path
_DIGITS = re.compile("0|[1-9][0-9]{0,19}")


class PathField(NamedTuple):
    """Text that is a path, or something else on one plain line.

    words: what else.  neighbour: says that a file beside the YAML is meant; None where none ever is.  empty: whether it
    may be "".
    """

    words: str
    neighbour: Callable[[Path], bool] | None = None
    empty: bool = False


SKELETON = PathField("a built-in name", Path.is_file)


@dataclass(frozen=True)
class Tables:
    """What each field of a configuration may be.

    whole, numbers: field -> least and most.  choices: field -> its values.  flags: fields that are true or false.
    """

    whole: Mapping[str, tuple[int, int]]
    numbers: Mapping[str, Limit]
    choices: Mapping[str, tuple[str, ...]]
    flags: tuple[str, ...]
    paths: Mapping[str, PathField]


class RunConfig:
    """What decides a run; its subclasses are frozen dataclasses with these fields and others, and their `TABLES`."""

    TABLES: ClassVar[Tables]

    seed: int
    steps: int
    batch: int
    learning_rate: float
    schedule: str
    precision: str

    def __post_init__(self) -> None:
        faults: list[str] = []
        tables = self.TABLES
        for name, (low, high) in tables.whole.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                faults.append(f"{name}: is {shown(value)}; expected a whole number from {low} to {high}")
        for name, limit in tables.numbers.items():
            value = getattr(self, name)
            if type(value) not in (int, float) or not limit.holds(value):
                faults.append(f"{name}: is {shown(value)}; {limit.expected_number()}")
        for name, choices in tables.choices.items():
            value = getattr(self, name)
            if value not in choices:
                hint = did_you_mean(value, choices) if isinstance(value, str) else ""
                faults.append(f"{name}: is {shown(value)}; expected {' or '.join(choices)}{hint}")
        for name in tables.flags:
            value = getattr(self, name)
            if type(value) is not bool:
                faults += [f"{name}: is {shown(value)}; expected True or False"]
        for name, field in tables.paths.items():
            value = getattr(self, name)
            if not _is_path(value) and not (field.empty and value == ""):
                nothing = ", or nothing" if field.empty else ""
                faults.append(
                    f"{name}: is {shown(value)}; expected {field.words}, or a path of one plain line{nothing}"
                )
        if faults:
            raise InputError(*faults)

    @property
    def samples(self) -> int:
        """How many samples the run sees."""
        return self.steps * self.batch

    def phase(self, step: int) -> tuple[int, int]:
        """Where step `step` is in the schedule of the learning rate, and how many steps that has."""
        return step, self.steps

    def values(self) -> dict[str, Any]:
        """Field -> value."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def yaml(self) -> str:
        """The configuration as `read_config` reads it."""
        return "".join(f"{name}: {_scalar(value)}\n" for name, value in self.values().items())

    def with_values(self, **values: Any) -> Self:
        """The same with other values.  Raises InputError on values that cannot be."""
        return replace(self, **values)  # type: ignore[type-var]


C = TypeVar("C", bound=RunConfig)


def read_config(path: str | os.PathLike[str], base: C, paths_beside: bool = True) -> C:
    """The configuration in a YAML file; what it does not name is that of `base`.

    paths_beside: whether a path means the file that lies beside the YAML, where one does.  Raises InputError with a
    line ``file:line:col: field: ...`` for each fault.
    """
    source = os.fspath(path)
    faults = Faults(source)
    known = list(base.values())
    tree = read_yaml(read_file(source, "configuration"), faults, len(known))
    if tree is None or tree.kind != "map":
        raise faults.stop(1, 1, "file", "is not a mapping", "expected a configuration such as 'steps: 50000'")
    check_keys(faults, tree, "", known)
    values = {name: _value(faults, base, node, name) for name, node in tree.entries.items() if name in known}
    if faults:
        raise faults.error()
    for name, field in base.TABLES.paths.items() if paths_beside else ():
        beside = Path(source).parent / str(values.get(name) or "")
        if values.get(name) and field.neighbour and field.neighbour(beside):
            values[name] = str(beside)
    return base.with_values(**values)


def _value(faults: Faults, config: RunConfig, node: Node, name: str) -> int | float | str | bool | None:
    tables = config.TABLES
    if name in tables.choices:
        return read_choice(faults, node, name, tables.choices[name])
    if name in tables.paths:
        if tables.paths[name].empty and node.kind == "quoted" and not node.text:
            return ""
        return read_line(faults, node, name, _LONGEST)
    if name in tables.numbers:
        return read_number(faults, node, name, tables.numbers[name])
    if name in tables.flags:
        return read_flag(faults, node, name)
    low, high = tables.whole[name]
    if node.kind == "plain" and _DIGITS.fullmatch(node.text) and low <= int(node.text) <= high:
        return int(node.text)
    faults.add(node, name, f"{node.show()} is no such number", f"expected a whole number from {low} to {high}")
    return None


def _is_path(value: object) -> bool:
    """Whether a YAML file gives it back as it was."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) == len(value) <= _LONGEST


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).lower() if isinstance(value, bool) else repr(value)
