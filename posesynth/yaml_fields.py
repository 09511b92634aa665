"""Single fields of a strict YAML file: a node in, a typed value out, or None and a fault told.

Nothing is coerced: a quoted number, ``yes`` for ``true`` or a date for a name is a fault.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from posesynth.errors import quote
from posesynth.yaml_source import Faults, Node, within

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"

_NAME = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.?(?:inf|nan|infinity)", re.IGNORECASE)
# Unquoted text that readers of YAML 1.1 or 1.2 take for something other than text.
_NOT_TEXT = re.compile(
    r"~|null|true|false|yes|no|on|off|[-+]?\.(?:inf|nan)|[-+]?0[xob][0-9a-f_]+"
    r"|[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:e[-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*(?:e[-+]?[0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*",
    re.IGNORECASE,
)
_MANY = 16  # keys
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Limit:
    """What a number, or both ends of a range, may be, and how that is said."""

    low: float
    high: float
    unit: str
    about: str
    span: float = math.inf

    def expected_range(self) -> str:
        """The words for a range; `expected_number` those for a number."""
        span = f", at most {self.span:g} apart" if self.span < math.inf else ""
        return f"expected [low, high] in {self.unit}, {self.low:g} to {self.high:g}{span}"

    def expected_number(self) -> str:
        return f"expected a number ({self.unit}) from {self.low:g} to {self.high:g}"

    def holds(self, value: float) -> bool:
        """Whether `value` is within the bounds; NaN is not."""
        return self.low <= value <= self.high

    def range_fault(self, low: float, high: float) -> tuple[str, str] | None:
        """What is wrong with [low, high] and what was expected; None if nothing is."""
        for value in (low, high):
            if not self.holds(value):
                return f"{value:g} is out of bounds", self.expected_range()
        if low > high:
            turn = f"; to cross 180 write [{low:g}, {high + 360:g}]" if self.span == 360 and low - high <= 360 else ""
            return f"low {low:g} is above high {high:g}", f"expected low <= high{turn}"
        if high - low > self.span:
            return f"spans {high - low:g}", self.expected_range()
        return None


def check_keys(
    faults: Faults,
    node: Node,
    path: str,
    known: Iterable[str],
    required: Iterable[str] = (),
    hints: Mapping[str, str] | None = None,
) -> None:
    """Tells each key of the map that is not in `known`, and each of `required` that is not there.

    ``hints[key]`` says where an unknown key belongs.
    """
    known = tuple(known)
    hints = hints or {}
    for key, place in node.keys.items():
        if key not in known:
            hint = hints.get(key) or faults.suggest(key, known)
            # A list that fills the line would leave no room for the hint.
            expected = "expected " + (
                f"one of {len(known)} keys" if hint and len(known) > _MANY else listed(known, "or")
            )
            expected += hint
            faults.add(place, within(path, key), "unknown key", expected)
    for key in required:
        if key not in node.entries:
            faults.add(node, within(path, key), "is missing", f"expected {listed(required, 'and')} here")


def read_map(faults: Faults, node: Node, path: str, expected: str) -> bool:
    if node.kind != "map":
        faults.add(node, path, f"{node.show()} is not a mapping", expected)
    return node.kind == "map"


def read_name(faults: Faults, node: Node, path: str) -> str | None:
    rule = "expected 1 to 64 of A-Z a-z 0-9 _ . - beginning with a letter, a digit or _"
    if not node.is_text or not node.text:
        faults.add(node, path, f"{node.show()} is not a name", rule)
    elif node.kind == "plain" and _NOT_TEXT.fullmatch(node.text):
        expected = f"expected a name; in quotes ({quote(node.text)}) it would be one"
        faults.add(node, path, f"{node.text[:40]} is read by YAML as a number, a date or a truth value", expected)
    elif not _NAME.match(node.text):
        faults.add(node, path, f"{node.show()} is not a name", rule)
    elif _DEVICE.fullmatch(node.text):
        faults.add(node, path, f"{node.show()} is the name of a device on Windows", "expected another name")
    else:
        return node.text
    return None


def is_name(text: str) -> bool:
    """Whether a text is a name that the format allows, in quotes if need be."""
    return _NAME.match(text) is not None and not _DEVICE.fullmatch(text)


def spelled(name: str) -> str:
    """A name as it stands in a file: in quotes where YAML readers would take it for something else."""
    return f"'{name}'" if _NOT_TEXT.fullmatch(name) or name.lower() in ("y", "n") else name


def read_line(faults: Faults, node: Node, path: str, longest: int) -> str | None:
    """One line of text."""
    if not node.is_text or not node.text or (node.kind == "plain" and _NOT_TEXT.fullmatch(node.text)):
        faults.add(node, path, f"{node.show()} is not a text", "expected one line of text, in quotes if need be")
    elif len(node.text.splitlines()) > 1 or len(node.text) > longest:
        faults.add(node, path, "is too long", f"expected one line of at most {longest} characters")
    else:
        return node.text.strip()
    return None


def read_choice(faults: Faults, node: Node, path: str, choices: tuple[str, ...]) -> str | None:
    if node.is_text and node.text in choices:
        return node.text
    hint = faults.suggest(node.text, choices) if node.is_text else ""
    faults.add(node, path, f"{node.show()} is unknown", f"expected {listed(choices, 'or')}{hint}")
    return None


def read_flag(faults: Faults, node: Node, path: str) -> bool | None:
    if node.kind == "plain" and node.text in ("true", "false"):
        return node.text == "true"
    faults.add(node, path, f"{node.show()} is not a truth value", "expected true or false, without quotes")
    return None


def read_number(faults: Faults, node: Node, path: str, limit: Limit) -> float | None:
    """A finite number within `limit`, both ends included."""
    value = _number(faults, node, path, limit.expected_number())
    if value is not None and not limit.holds(value):
        faults.add(node, path, f"{node.text[:40]} is out of bounds", limit.expected_number())
        return None
    return value


def read_range(faults: Faults, node: Node, path: str, limit: Limit) -> tuple[float, float] | None:
    """``[low, high]`` with low <= high, both within `limit` and no more than its span apart."""
    expected = limit.expected_range()
    if node.kind != "list" or len(node.items) != 2:
        what = f"a list of {len(node.items)}" if node.kind == "list" else node.show()
        if node.kind == "plain" and _NUMBER.fullmatch(node.text):
            expected += f"; a fixed value is [{node.text[:40]}, {node.text[:40]}]"
        faults.add(node, path, f"{what} is not a range", expected)
        return None
    low, high = (_number(faults, item, path, expected) for item in node.items)
    if low is None or high is None:
        return None
    outside = [item for item, value in zip(node.items, (low, high), strict=True) if not limit.holds(value)]
    for item in outside:
        faults.add(item, path, f"{item.text[:40]} is out of bounds", expected)
    if outside:
        return None
    if fault := limit.range_fault(low, high):
        faults.add(node, path, *fault)
        return None
    return low, high


def check_part(
    faults: Faults, place: Node, path: str, part: tuple[float, float] | None, whole: tuple[float, float]
) -> None:
    """Tells a usual range that is not within the whole one, on whatever turn."""
    turn = 360.0 * round((sum(whole) - sum(part)) / 720.0) if part and "theta" not in path else 0.0
    if part and not (whole[0] - 1e-6 <= part[0] + turn and part[1] + turn <= whole[1] + 1e-6):
        wrong = f"[{part[0]:g}, {part[1]:g}] is not within the range"
        faults.add(place, path, wrong, f"expected a part of [{whole[0]:g}, {whole[1]:g}]")


def _number(faults: Faults, node: Node, path: str, expected: str) -> float | None:
    if node.kind == "plain" and _NUMBER.fullmatch(node.text):
        value = float(node.text) + 0.0  # no negative zero: two texts with one meaning have one digest
        if math.isfinite(value):
            return value
        faults.add(node, path, f"{node.text[:40]} is not finite", expected)
    elif node.kind == "plain" and _NOT_FINITE.fullmatch(node.text):
        faults.add(node, path, f"{node.text} is not finite", expected)
    elif node.kind == "quoted":
        faults.add(node, path, f"{node.show()} is text, not a number", f"{expected}, without quotes")
    else:
        faults.add(node, path, f"{node.show()} is not a number", expected)
    return None


def listed(names: Iterable[str], word: str) -> str:
    """``a, b or c``."""
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last
