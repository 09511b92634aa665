"""The YAML of a skeleton: text in, a validated `Skeleton` out, or every fault of the file at once.

The tables at the top are the format's single source: the checks below and the JSON schema for editors
(`posesynth.editor_schema`) are both made from them.  docs/skeleton-format.md tells it to people.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import fields, replace
from numbers import Real
from typing import Any

import numpy as np

from posesynth.errors import InputError, did_you_mean, shown
from posesynth.joint_tree import Joint, check_tree, in_order, mirrored_second, read_pairs, resolve_mirrors
from posesynth.skeleton import EdgeRange, Range, Sampling, Skeleton
from posesynth.yaml_fields import (
    Limit,
    check_keys,
    listed,
    read_choice,
    read_flag,
    read_line,
    read_map,
    read_name,
    read_number,
    read_range,
)
from posesynth.yaml_source import Faults, Node, read_yaml, within

FORMAT = 1
MAX_JOINTS = 1024
MAX_DESCRIPTION = 300
FRAMES = ("world", "parent")
REQUIRED_KEYS = ("posesynth", "name", "root", "joints")
TOP_KEYS = (*REQUIRED_KEYS, "description", "frame", "symmetric", "sampling")
ANGLES = {
    "theta": Limit(0, 180, "degrees", "Angle between the bone and the frame's z axis."),
    "phi": Limit(-720, 720, "degrees", "Angle about the frame's z axis, from x towards y.", span=360),
    "flexion": Limit(-720, 720, "degrees", "Angle about the frame's lateral x axis; in the world frame 0 points up, "
                     "90 forward and 180 down.", span=360),
    "abduction": Limit(-720, 720, "degrees", "Angle out of the frame's middle plane, towards +x (left).", span=360),
}  # fmt: skip
ANGLE_PAIRS = {"spherical": ("theta", "phi"), "flexion": ("flexion", "abduction")}
LENGTH = Limit(0, 1e6, "any one unit", "Length of the bone; each pose is divided by its longest bone.")
SHORTEST = 1e-6  # float32 loses digits far below; 0 itself is allowed
JOINT_KEYS = ("parent", "frame", *ANGLES, "length")
VIEW = {
    "yaw": Limit(-720, 720, "degrees", "Turn about the vertical.", span=360),
    "pitch": Limit(-90, 90, "degrees", "Tilt towards the camera or away from it."),
    "roll": Limit(-720, 720, "degrees", "Turn in the image plane.", span=360),
}
DISTANCE = Limit(0, 1e6, "longest edges", "Distance of the camera from the root (perspective).")
SCALARS = {
    "noise": Limit(0, 1e3, "longest edges", "Standard deviation of the noise added to p2d."),
    "missing": Limit(0, 1, "probability", "Probability that a joint is not seen."),
}
SAMPLING_KEYS = ("symmetric_lengths", "view", "distance", *SCALARS)
NEAREST = 0.1  # longest edges between the camera and the nearest place that a joint can reach

WHOLE = f"expected a skeleton, beginning 'posesynth: {FORMAT}'"


def parse_skeleton(text: str, source: str = "<string>") -> Skeleton:
    """The skeleton that the YAML `text` describes; `source` is the file's name as errors show it.

    Raises `InputError` with one line ``source:line:column: field: what is wrong; what was expected`` for each
    fault.  Warns (`UserWarning`) of a valid file whose angles look like radians, and of mirrors that hang on a joint
    off the midline.
    """
    text = text.removeprefix("\ufeff")
    faults = Faults(source)
    tree = read_yaml(text, faults, MAX_JOINTS)
    if tree is None:
        raise faults.stop(1, 1, "file", "is empty", WHOLE)
    if tree.kind != "map":
        raise faults.stop(tree.line, tree.column, "file", f"is {tree.show()}", WHOLE)
    _check_format(tree, faults)
    return _File(tree, faults).skeleton(text)


def _check_format(tree: Node, faults: Faults) -> None:
    # The keys of another version mean something else, so nothing after this could be judged.
    node = tree.entries.get("posesynth")
    if node is not None and (node.kind != "plain" or node.text != str(FORMAT)):
        wrong = f"version {node.show()} of the format is unknown"
        raise faults.stop(node.line, node.column, "posesynth", wrong, f"expected {FORMAT}, without quotes")


class _File:
    """One file being checked: first its fields, then the tree they make."""

    def __init__(self, tree: Node, faults: Faults) -> None:
        self.top = tree.entries
        self.faults = faults
        check_keys(faults, tree, "", TOP_KEYS, REQUIRED_KEYS)
        self.name = read_name(faults, self.top["name"], "name") if "name" in self.top else None
        self.root = read_name(faults, self.top["root"], "root") if "root" in self.top else None
        self.description = self._description()
        self.frame = self._frame(tree, "", "world")
        self.sampling = self._sampling()
        self.joints = self._joints()
        self.pairs = read_pairs(self.top.get("symmetric"), self.root, self.joints, faults)

    def skeleton(self, text: str) -> Skeleton:
        doubtful = resolve_mirrors(self.root, self.joints, self.pairs, self.faults)
        whole = self.root is not None and check_tree(self.root, self.joints, self.faults)
        self._check_lengths()
        skeleton = self._build(text) if whole else None
        if skeleton is not None:
            self._check_camera(skeleton)
        if skeleton is None or self.faults:
            raise self.faults.error()
        for line, doubt in doubtful:
            warnings.warn(f"{self.faults.source}:{line}: {doubt}", stacklevel=3)
        if self._looks_like_radians():
            place = f"{self.faults.source}:{self.top['joints'].line}"
            warnings.warn(
                f"{place}: joints: every angle lies within +-2 pi; expected degrees, not radians", stacklevel=3
            )
        return skeleton

    # Fields.

    def _description(self) -> str:
        if "description" not in self.top:
            return ""
        return read_line(self.faults, self.top["description"], "description", MAX_DESCRIPTION) or ""

    def _frame(self, node: Node, path: str, default: str) -> str:
        if "frame" not in node.entries:
            return default
        return read_choice(self.faults, node.entries["frame"], within(path, "frame"), FRAMES) or default

    def _joints(self) -> dict[str, Joint]:
        node = self.top.get("joints")
        expected = "expected one entry for each joint but the root"
        if node is None or not read_map(self.faults, node, "joints", expected):
            return {}
        if not node.entries:
            self.faults.add(node, "joints", "is empty", f"{expected}, at least one")
        if len(node.entries) >= MAX_JOINTS:
            count = f"has {len(node.entries) + 1} joints with the root"
            self.faults.add(node, "joints", count, f"expected at most {MAX_JOINTS} joints")
        joints = {}
        for name, entry in node.entries.items():
            path = within("joints", name)
            read_name(self.faults, node.keys[name], path)
            if name == self.root:
                wrong = "is the root, where no edge ends"
                self.faults.add(node.keys[name], path, wrong, "expected no entry for it, or another root")
            else:
                joints[name] = self._joint(entry, path)
        return joints

    def _joint(self, node: Node, path: str) -> Joint:
        joint = Joint(node)
        if not read_map(self.faults, node, path, "expected {parent: ..., angles} or {mirror: ...}"):
            return joint
        if "mirror" in node.entries:
            for key in node.keys:
                if key != "mirror":
                    wrong = "is not allowed beside mirror"
                    self.faults.add(node.keys[key], within(path, key), wrong, "expected mirror alone, or no mirror")
            joint.mirror = read_name(self.faults, node.entries["mirror"], f"{path}.mirror")
            return joint
        check_keys(self.faults, node, path, (*JOINT_KEYS, "mirror"))
        if "parent" in node.entries:
            joint.parent = read_name(self.faults, node.entries["parent"], f"{path}.parent")
        else:
            root = f"; the only root is '{self.root}'" if self.root else ""
            self.faults.add(node, f"{path}.parent", "is missing", f"expected the name of a joint{root}")
        joint.range = self._edge_range(node, path)
        return joint

    def _edge_range(self, node: Node, path: str) -> EdgeRange | None:
        values = {key: read_range(self.faults, node.entries[key], f"{path}.{key}", limit)
                  for key, limit in ANGLES.items() if key in node.entries}  # fmt: skip
        length = self._length(node, path)
        frame = self._frame(node, path, self.frame)
        kinds = [kind for kind, pair in ANGLE_PAIRS.items() if any(key in values for key in pair)]
        either = "expected theta and phi, or flexion and abduction"
        if len(kinds) != 1:
            wrong = "has no angles" if not kinds else f"mixes {listed(values, 'and')}"
            self.faults.add(node, path, wrong, either)
            return None
        for key in ANGLE_PAIRS[kinds[0]]:
            if key not in values:
                self.faults.add(node, f"{path}.{key}", "is missing", either)
        first, second = (values.get(key) for key in ANGLE_PAIRS[kinds[0]])
        if first is None or second is None or length is None:
            return None
        return EdgeRange(frame, kinds[0], first, second, length)

    def _length(self, node: Node, path: str) -> Range | None:
        if "length" not in node.entries:
            return 0.0, 1.0
        place = node.entries["length"]
        length = read_range(self.faults, place, f"{path}.length", LENGTH)
        if length is not None and any(0 < value < SHORTEST for value in length):
            wrong = f"holds a length below {SHORTEST:g}"
            self.faults.add(place, f"{path}.length", wrong, f"expected 0, or {SHORTEST:g} to {LENGTH.high:g}")
            return None
        return length

    def _sampling(self) -> Sampling:
        default = Sampling()
        node = self.top.get("sampling")
        if node is None or not read_map(self.faults, node, "sampling", f"expected {listed(SAMPLING_KEYS, 'or')}"):
            return default
        given, faults = node.entries, self.faults
        check_keys(
            faults, node, "sampling", SAMPLING_KEYS, hints={key: f"; write view: {{{key}: ...}}" for key in VIEW}
        )
        symmetric_lengths: bool | None = None
        if "symmetric_lengths" in given:
            symmetric_lengths = read_flag(faults, given["symmetric_lengths"], "sampling.symmetric_lengths")
        view: dict[str, Range | None] = {}
        if "view" in given and read_map(faults, given["view"], "sampling.view", f"expected {listed(VIEW, 'or')}"):
            check_keys(faults, given["view"], "sampling.view", VIEW)
            for key, place in given["view"].entries.items():
                if key in VIEW:
                    view[key] = read_range(faults, place, f"sampling.view.{key}", VIEW[key])
        numbers = {key: read_number(faults, given[key], f"sampling.{key}", limit)
                   for key, limit in SCALARS.items() if key in given}  # fmt: skip
        distance = read_range(faults, given["distance"], "sampling.distance", DISTANCE) if "distance" in given else None
        return Sampling(
            symmetric_lengths=default.symmetric_lengths if symmetric_lengths is None else symmetric_lengths,
            yaw=view.get("yaw") or default.yaw,
            pitch=view.get("pitch") or default.pitch,
            roll=view.get("roll") or default.roll,
            distance=distance,
            noise=numbers.get("noise") or default.noise,
            missing=numbers.get("missing") or default.missing,
        )

    # The tree.

    def _check_lengths(self) -> None:
        ranges = [joint.range for joint in self.joints.values()]
        if ranges and all(range_ is not None and range_.length[1] == 0 for range_ in ranges):
            self.faults.add(self.top["joints"], "joints", "every length is 0", "expected an edge that can be longer")
        if not self.sampling.symmetric_lengths:
            return
        for name, joint in self.joints.items():
            pair = self.pairs.get(name)
            # Each pair once, at the lower of its two entries; a mirror has its source's length anyway.
            if pair is None or joint.range is None or self.joints[pair].node.start > joint.node.start:
                continue
            theirs = self.joints[pair].range
            if theirs is not None and theirs.length != joint.range.length:
                self.faults.add(
                    joint.place("length"),
                    within("joints", name) + ".length",
                    f"[{joint.range.length[0]:g}, {joint.range.length[1]:g}] differs from that of its pair '{pair}'",
                    f"expected [{theirs.length[0]:g}, {theirs.length[1]:g}], or sampling.symmetric_lengths: false",
                )

    def _build(self, text: str) -> Skeleton | None:
        """The skeleton of a whole tree, or None while a range or the name is faulty."""
        ranges = {name: joint.range for name, joint in self.joints.items() if joint.range is not None}
        if self.root is None or not ranges or len(ranges) < len(self.joints):
            return None
        order = in_order(self.root, self.joints)
        index = {joint: place for place, joint in enumerate(order)}
        parents = np.array([-1] + [index[str(self.joints[joint].parent)] for joint in order[1:]], np.int32)
        parents.flags.writeable = False
        pairs = {tuple(sorted((index[a] - 1, index[b] - 1))) for a, b in self.pairs.items()}
        return Skeleton(
            name=self.name or "",
            joints=tuple(order),
            parents=parents,
            ranges=tuple(ranges[joint] for joint in order[1:]),
            symmetric=tuple((a, b) for a, b in sorted(pairs)),
            sampling=self.sampling,
            text=text,
            description=self.description,
        )

    def _check_camera(self, skeleton: Skeleton) -> None:
        if fault := _camera_fault(skeleton):
            self.faults.add(self.top["sampling"].entries["distance"], "sampling.distance", *fault)

    def _looks_like_radians(self) -> bool:
        ranges = [joint.range for joint in self.joints.values() if joint.range is not None]
        bounds = [bound for range_ in ranges for bound in (*range_.first, *range_.second)]
        return all(abs(bound) <= 6.3 for bound in bounds) and any(bound % 1 != 0 for bound in bounds)


def _camera_fault(skeleton: Skeleton) -> tuple[str, str] | None:
    distance = skeleton.sampling.distance
    nearest = math.ceil((skeleton.reach + NEAREST) * 100 - 1e-6) / 100
    if distance is None or distance[0] >= nearest:
        return None
    wrong = f"a camera at {distance[0]:g} could have joints behind it"
    return wrong, f"expected at least {nearest:g}, for this skeleton reaches {skeleton.reach:g} longest edges"


def with_sampling(skeleton: Skeleton, **changes: Any) -> Skeleton:
    """See `Skeleton.with_sampling`."""
    given: dict[str, Any] = {}
    lines = []
    for key, value in changes.items():
        given[key], fault = _sampling_value(key, value)
        if fault:
            lines.append(f"{key}: {fault}")
    if not lines:
        changed = replace(skeleton, sampling=replace(skeleton.sampling, **given))
        if not (fault_ := _camera_fault(changed)):
            return changed
        lines = [f"distance: {fault_[0]}; {fault_[1]}"]
    raise InputError(*lines)


def _sampling_value(key: str, value: Any) -> tuple[object, str]:
    """A field of `Sampling` as the file's numbers are, so that one meaning has one digest; what is wrong with it."""
    if key == "symmetric_lengths":
        return value, "" if isinstance(value, bool) else f"is {shown(value)}; expected True or False"
    if key in SCALARS:
        limit = SCALARS[key]
        if not _is_real(value):
            return value, f"is {shown(value)}; {limit.expected_number()}"
        return float(value) + 0.0, "" if limit.holds(
            value
        ) else f"{value:g} is out of bounds; {limit.expected_number()}"
    if key not in (*VIEW, "distance"):
        known = [f.name for f in fields(Sampling)]
        return value, f"is unknown; expected {listed(known, 'or')}{did_you_mean(key, known)}"
    if value is None and key == "distance":
        return None, ""
    limit = VIEW.get(key, DISTANCE)
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not all(map(_is_real, value)):
        return value, f"is {shown(value)}; {limit.expected_range()}"
    low, high = (float(bound) + 0.0 for bound in value)
    return (low, high), "; ".join(limit.range_fault(low, high) or ())


def _is_real(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real)


def skeleton_of(text: object, sampling: object, source: str) -> Skeleton:
    """The skeleton of a YAML text, sampled as `sampling` (the fields of Sampling, as JSON has them) says.

    Raises InputError, each line beginning with `source`.
    """
    if not isinstance(text, str) or not text:
        raise InputError(f"{source}: skeleton: has no YAML text; expected one read by load_skeleton")
    names = [f.name for f in fields(Sampling)]
    if not isinstance(sampling, Mapping) or sorted(sampling) != sorted(names):
        raise InputError(f"{source}: sampling: is {shown(sampling)}; expected {', '.join(names)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever loaded the skeleton first was warned
        skeleton = parse_skeleton(text, source)
    try:
        return with_sampling(skeleton, **sampling)
    except InputError as error:
        raise InputError(*(f"{source}: sampling.{line}" for line in error.lines)) from None


def with_ranges(text: str, changes: Mapping[str, Mapping[str, Range]]) -> str:
    """`text` with new ranges, all else as it was, comments included.

    ``changes[joint][key]`` is the new (low, high) of that joint's theta, phi, flexion, abduction (degrees) or
    length; six digits are written.  A joint written as a mirror stays one: what is asked for it is mirrored
    back, and its source gets the narrowest range that holds all that is asked for the two.

    Raises `InputError` if the result is not a valid skeleton, and `KeyError` for a joint or an angle that `text`
    does not have.
    """
    text = text.removeprefix("\ufeff")
    parse_skeleton(text, "<skeleton>")
    tree = read_yaml(text, Faults("<skeleton>"), MAX_JOINTS)
    assert tree is not None
    joints = tree.entries["joints"].entries
    edits: list[tuple[int, int, str]] = []
    for joint, ranges in _changes_of_sources(joints, changes).items():
        for key, (low, high) in ranges.items():
            bounds = (f"{low:.6g}", f"{high:.6g}")
            if key == "length" and key not in joints[joint].entries:
                edits.append(_insertion(text, joints[joint], "length: [{}, {}]".format(*bounds)))
                continue
            for item, bound in zip(joints[joint].entries[key].items, bounds, strict=True):
                edits.append((item.start, item.end, bound))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    parse_skeleton(text, "<changed skeleton>")
    return text


def _changes_of_sources(
    joints: Mapping[str, Node], changes: Mapping[str, Mapping[str, Range]]
) -> dict[str, dict[str, Range]]:
    """The changes, with those of mirrors handed to the joints they mirror."""
    merged: dict[str, dict[str, Range]] = {}
    for joint, ranges in changes.items():
        mirror = joints[joint].entries.get("mirror")
        for key, asked in ranges.items():
            if mirror is not None and key in ("phi", "abduction"):
                asked = mirrored_second("spherical" if key == "phi" else "flexion", asked)
            source = merged.setdefault(mirror.text if mirror is not None else joint, {})
            source[key] = _hull(source[key], asked, turns=key not in ("theta", "length")) if key in source else asked
    return merged


def _hull(a: Range, b: Range, turns: bool) -> Range:
    """The narrowest range that holds both; angles that turn are first brought next to each other."""
    shift = 360.0 * round((sum(a) - sum(b)) / 720.0) if turns else 0.0
    low, high = min(a[0], b[0] + shift), max(a[1], b[1] + shift)
    if turns and high - low > 360.0:
        return (low + high) / 2 - 180.0, (low + high) / 2 + 180.0
    return low, high


def _insertion(text: str, entry: Node, new: str) -> tuple[int, int, str]:
    """The edit that adds a key in front of the entry's first angle."""
    key = next(place for name, place in entry.keys.items() if name in ANGLES)
    newline = "\r\n" if "\r\n" in text else "\n"
    after = ", " if text[entry.start] == "{" else newline + " " * (key.column - 1)
    return key.start, key.start, new + after
