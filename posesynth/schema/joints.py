"""The entries of ``joints``: each joint's parent, its angles as ranges or tables, where they mostly are, its length."""

from collections.abc import Mapping
from itertools import pairwise

from posesynth.joint_tree import Joint
from posesynth.schema.tables import (
    ANGLE_PAIRS,
    ANGLES,
    GIVEN_KEYS,
    JOINT_KEYS,
    LENGTH,
    MAX_GIVEN,
    MAX_JOINTS,
    SHORTEST,
)
from posesynth.skeleton import EdgeRange, Given, Range
from posesynth.yaml_fields import (
    check_keys,
    check_part,
    listed,
    read_choice,
    read_map,
    read_name,
    read_number,
    read_range,
)
from posesynth.yaml_source import Faults, Node, within


def read_joints(faults: Faults, node: Node | None, root: str | None, frame: str) -> dict[str, Joint]:
    """The mapping ``joints``, None where there is none.  root: the joint without an entry.  frame: the file's."""
    expected = "expected one entry for each joint but the root"
    if node is None or not read_map(faults, node, "joints", expected):
        return {}
    if not node.entries:
        faults.add(node, "joints", "is empty", f"{expected}, at least one")
    if len(node.entries) >= MAX_JOINTS:
        count = f"has {len(node.entries) + 1} joints with the root"
        faults.add(node, "joints", count, f"expected at most {MAX_JOINTS} joints")
    joints = {}
    for name, entry in node.entries.items():
        path = within("joints", name)
        read_name(faults, node.keys[name], path)
        if name == root:
            wrong = "is the root, where no edge ends"
            faults.add(node.keys[name], path, wrong, "expected no entry for it, or another root")
        else:
            joints[name] = _joint(faults, entry, path, root, frame)
    return joints


def _joint(faults: Faults, node: Node, path: str, root: str | None, frame: str) -> Joint:
    joint = Joint(node)
    if not read_map(faults, node, path, "expected {parent: ..., angles} or {mirror: ...}"):
        return joint
    if "mirror" in node.entries:
        for key in node.keys:
            if key != "mirror":
                wrong = "is not allowed beside mirror"
                faults.add(node.keys[key], within(path, key), wrong, "expected mirror alone, or no mirror")
        joint.mirror = read_name(faults, node.entries["mirror"], f"{path}.mirror")
        return joint
    check_keys(faults, node, path, (*JOINT_KEYS, "mirror"))
    if "parent" in node.entries:
        joint.parent = read_name(faults, node.entries["parent"], f"{path}.parent")
    else:
        only = f"; the only root is '{root}'" if root else ""
        faults.add(node, f"{path}.parent", "is missing", f"expected the name of a joint{only}")
    joint.range = _edge_range(faults, node, path, frame)
    return joint


def _edge_range(faults: Faults, node: Node, path: str, default: str) -> EdgeRange | None:
    values = {key: _angle(faults, node.entries[key], f"{path}.{key}", key) for key in ANGLES if key in node.entries}
    length = _length(faults, node, path)
    frame = _frame(faults, node, path, default)
    kinds = [kind for kind, pair in ANGLE_PAIRS.items() if any(key in values for key in pair)]
    either = "expected theta and phi, or flexion and abduction"
    if len(kinds) != 1:
        wrong = "has no angles" if not kinds else f"mixes {listed(values, 'and')}"
        faults.add(node, path, wrong, either)
        return None
    for key in ANGLE_PAIRS[kinds[0]]:
        if key not in values:
            faults.add(node, f"{path}.{key}", "is missing", either)
    first, second = (values.get(key) for key in ANGLE_PAIRS[kinds[0]])
    if first is None or second is None or length is None:
        return None
    return EdgeRange(
        frame,
        kinds[0],
        first.hull if isinstance(first, Given) else first,
        second.hull if isinstance(second, Given) else second,
        length,
        first if isinstance(first, Given) else None,
        second if isinstance(second, Given) else None,
        *_usual(faults, node, path, values),
    )


def _frame(faults: Faults, node: Node, path: str, default: str) -> str:
    """That of the file, or the one named: `check_frames` says whether there is a joint of that name above."""
    if "frame" not in node.entries:
        return default
    return read_name(faults, node.entries["frame"], within(path, "frame")) or default


def _usual(
    faults: Faults, node: Node, path: str, whole: Mapping[str, Range | Given | None]
) -> tuple[Range | None, Range | None]:
    """Where each of a bone's two angles mostly is; `whole`: angle -> its range."""
    given = node.entries.get("usual")
    if given is None or not read_map(faults, given, f"{path}.usual", f"expected {listed(whole, 'and')}"):
        return None, None
    check_keys(faults, given, f"{path}.usual", whole)
    found: list[Range | None] = []
    for key, range_ in whole.items():
        place = given.entries.get(key)
        usual = place and read_range(faults, place, f"{path}.usual.{key}", ANGLES[key])
        hull = range_.hull if isinstance(range_, Given) else range_
        if place and hull:
            check_part(faults, place, f"{path}.usual.{key}", usual or None, hull)
        found.append(usual or None)
    return found[0], found[1]


def _angle(faults: Faults, node: Node, path: str, key: str) -> Range | Given | None:
    """A range, or a table of ranges over another angle."""
    if node.kind == "map" and not set(node.entries) & set(GIVEN_KEYS):
        expected = f"{ANGLES[key].expected_range()}, or {{given: an angle, at: ranges}}"
        faults.add(node, path, "a mapping is not a range", expected)
        return None
    if node.kind != "map":
        return read_range(faults, node, path, ANGLES[key])
    check_keys(faults, node, path, GIVEN_KEYS, GIVEN_KEYS)
    own = {"phi": ("theta",), "abduction": ("flexion",)}.get(key, ())
    names = (*(f"parent.{name}" for name in ANGLES), *own)
    given, table = node.entries.get("given"), node.entries.get("at")
    name = given and read_choice(faults, given, f"{path}.given", names)
    if not name or table is None or not read_map(faults, table, f"{path}.at", "expected {angle: [low, high], ...}"):
        return None
    if not 2 <= len(table.entries) <= MAX_GIVEN:
        wrong = f"has {len(table.entries)} angles"
        faults.add(table, f"{path}.at", wrong, f"expected 2 to {MAX_GIVEN}, each with its range")
        return None
    angle = name.removeprefix("parent.")
    at = [read_number(faults, place, f"{path}.at", ANGLES[angle]) for place in table.keys.values()]
    ranges = [read_range(faults, place, f"{path}.at.{text}", ANGLES[key]) for text, place in table.entries.items()]
    numbers, pairs = [a for a in at if a is not None], [r for r in ranges if r is not None]
    if len(numbers) < len(at) or len(pairs) < len(ranges):
        return None
    if any(a >= b for a, b in pairwise(numbers)):
        faults.add(table, f"{path}.at", "the angles are not in order", "expected each larger than the last")
        return None
    bone = "parent" if name.startswith("parent.") else "own"
    table_ = Given(bone, angle, tuple(numbers), tuple(pairs))
    if fault := ANGLES[key].range_fault(*table_.hull):
        faults.add(table, f"{path}.at", f"all ranges together: {fault[0]}", fault[1])
        return None
    return table_


def _length(faults: Faults, node: Node, path: str) -> Range | None:
    if "length" not in node.entries:
        return 0.0, 1.0
    place = node.entries["length"]
    length = read_range(faults, place, f"{path}.length", LENGTH)
    if length is not None and any(0 < value < SHORTEST for value in length):
        wrong = f"holds a length below {SHORTEST:g}"
        faults.add(place, f"{path}.length", wrong, f"expected 0, or {SHORTEST:g} to {LENGTH.high:g}")
        return None
    return length
