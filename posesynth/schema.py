"""The YAML of a skeleton: text in, a validated `Skeleton` out, or every fault of the file at once.

The tables at the top are the format's single source: the checks below and the JSON schema for editors
(`posesynth.editor_schema`) are both made from them.  docs/skeleton-format.md tells it to people.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from posesynth.errors import InputError, did_you_mean, shown
from posesynth.joint_tree import (
    Joint,
    check_frames,
    check_tree,
    in_order,
    read_pairs,
    resolve_givens,
    resolve_mirrors,
)
from posesynth.skeleton import LATER, EdgeRange, Examples, Given, Range, Sampling, Skeleton
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
TOP_KEYS = (*REQUIRED_KEYS, "description", "frame", "symmetric", "sampling", "examples")
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
JOINT_KEYS = ("parent", "frame", *ANGLES, "usual", "length")
GIVEN_KEYS = ("given", "at")
MAX_GIVEN = 16  # angles of a table: the kernel's work grows with them
EXAMPLE_KEYS = ("joints", "angles")
DRAWS = ("independent", "tree")
VIEW = {
    "yaw": Limit(-720, 720, "degrees", "Turn about the vertical.", span=360),
    "pitch": Limit(-90, 90, "degrees", "Tilt towards the camera or away from it."),
    "roll": Limit(-720, 720, "degrees", "Turn in the image plane.", span=360),
}
DISTANCE = Limit(0, 1e6, "longest edges", "Distance of the camera from the root (perspective).")
SCALARS = {
    "noise": Limit(0, 1e3, "longest edges", "Standard deviation of the noise added to p2d."),
    "missing": Limit(0, 1, "probability", "Probability that a joint is not seen."),
    "usual": Limit(0, 1, "probability", "Probability that a pose lies in the usual ranges of its joints."),
}
SAMPLING_KEYS = ("angles", "symmetric_lengths", "view", "distance", *SCALARS)
USUAL_VIEW = tuple(f"usual_{key}" for key in VIEW)
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
        if whole:
            check_frames(self.joints, FRAMES, self.faults)
            resolve_givens(self.joints, self.faults)
        self._check_lengths()
        skeleton = self._build(text) if whole else None
        if skeleton is not None:
            self._check_camera(skeleton)
            self._check_usual(skeleton)
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

    def _frame_of_joint(self, node: Node, path: str) -> str:
        """That of the file, or the one named: `check_frames` says whether there is a joint of that name above."""
        if "frame" not in node.entries:
            return self.frame
        return read_name(self.faults, node.entries["frame"], within(path, "frame")) or self.frame

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
        values = {key: self._angle(node.entries[key], f"{path}.{key}", key) for key in ANGLES if key in node.entries}
        length = self._length(node, path)
        frame = self._frame_of_joint(node, path)
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
        return EdgeRange(
            frame,
            kinds[0],
            first.hull if isinstance(first, Given) else first,
            second.hull if isinstance(second, Given) else second,
            length,
            first if isinstance(first, Given) else None,
            second if isinstance(second, Given) else None,
            *self._usual(node, path, values),
        )

    def _usual(
        self, node: Node, path: str, whole: Mapping[str, Range | Given | None]
    ) -> tuple[Range | None, Range | None]:
        """Where each of a bone's two angles mostly is; `whole`: angle -> its range."""
        given = node.entries.get("usual")
        if given is None or not read_map(self.faults, given, f"{path}.usual", f"expected {listed(whole, 'and')}"):
            return None, None
        check_keys(self.faults, given, f"{path}.usual", whole)
        found: list[Range | None] = []
        for key, range_ in whole.items():
            place = given.entries.get(key)
            usual = place and read_range(self.faults, place, f"{path}.usual.{key}", ANGLES[key])
            hull = range_.hull if isinstance(range_, Given) else range_
            if place and hull:
                _check_part(self.faults, place, f"{path}.usual.{key}", usual or None, hull)
            found.append(usual or None)
        return found[0], found[1]

    def _angle(self, node: Node, path: str, key: str) -> Range | Given | None:
        """A range, or a table of ranges over another angle."""
        if node.kind == "map" and not set(node.entries) & set(GIVEN_KEYS):
            expected = f"{ANGLES[key].expected_range()}, or {{given: an angle, at: ranges}}"
            self.faults.add(node, path, "a mapping is not a range", expected)
            return None
        if node.kind != "map":
            return read_range(self.faults, node, path, ANGLES[key])
        check_keys(self.faults, node, path, GIVEN_KEYS, GIVEN_KEYS)
        own = {"phi": ("theta",), "abduction": ("flexion",)}.get(key, ())
        names = (*(f"parent.{name}" for name in ANGLES), *own)
        given, table = node.entries.get("given"), node.entries.get("at")
        name = given and read_choice(self.faults, given, f"{path}.given", names)
        if (
            not name
            or table is None
            or not read_map(self.faults, table, f"{path}.at", "expected {angle: [low, high], ...}")
        ):
            return None
        if not 2 <= len(table.entries) <= MAX_GIVEN:
            wrong = f"has {len(table.entries)} angles"
            self.faults.add(table, f"{path}.at", wrong, f"expected 2 to {MAX_GIVEN}, each with its range")
            return None
        angle = name.removeprefix("parent.")
        at = [read_number(self.faults, place, f"{path}.at", ANGLES[angle]) for place in table.keys.values()]
        ranges = [
            read_range(self.faults, place, f"{path}.at.{text}", ANGLES[key]) for text, place in table.entries.items()
        ]
        numbers, pairs = [a for a in at if a is not None], [r for r in ranges if r is not None]
        if len(numbers) < len(at) or len(pairs) < len(ranges):
            return None
        if any(a >= b for a, b in pairwise(numbers)):
            self.faults.add(table, f"{path}.at", "the angles are not in order", "expected each larger than the last")
            return None
        bone = "parent" if name.startswith("parent.") else "own"
        table_ = Given(bone, angle, tuple(numbers), tuple(pairs))
        if fault := ANGLES[key].range_fault(*table_.hull):
            self.faults.add(table, f"{path}.at", f"all ranges together: {fault[0]}", fault[1])
            return None
        return table_

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
            check_keys(faults, given["view"], "sampling.view", (*VIEW, "usual"))
            for key, place in given["view"].entries.items():
                if key in VIEW:
                    view[key] = read_range(faults, place, f"sampling.view.{key}", VIEW[key])
            usual = given["view"].entries.get("usual")
            path = "sampling.view.usual"
            if usual is not None and read_map(faults, usual, path, f"expected {listed(VIEW, 'or')}"):
                check_keys(faults, usual, path, VIEW)
                for key, place in usual.entries.items():
                    if key in VIEW:
                        view[f"usual_{key}"] = part = read_range(faults, place, f"{path}.{key}", VIEW[key])
                        _check_part(faults, place, f"{path}.{key}", part, view.get(key) or getattr(default, key))
        angles = read_choice(faults, given["angles"], "sampling.angles", DRAWS) if "angles" in given else None
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
            angles=angles or default.angles,
            usual=numbers.get("usual") or default.usual,
            **{key: view.get(key) for key in USUAL_VIEW},
        )

    def _examples(self, order: list[str]) -> Examples | None:
        """The example poses; `order`: the joints of the skeleton, root first."""
        node, faults = self.top.get("examples"), self.faults
        if node is None:
            if self.sampling.angles == "tree":
                place = self.top["sampling"].entries["angles"]
                faults.add(place, "sampling.angles", "the file has no examples", "expected what posesynth fit writes")
            return None
        if not read_map(faults, node, "examples", f"expected {listed(EXAMPLE_KEYS, 'and')}"):
            return None
        check_keys(faults, node, "examples", EXAMPLE_KEYS, EXAMPLE_KEYS)
        if len(node.entries) < len(EXAMPLE_KEYS) or set(node.entries) != set(EXAMPLE_KEYS):
            return None
        names, rows = (node.entries[key] for key in EXAMPLE_KEYS)
        known = [self._example_joint(place, f"examples.joints[{i}]", order) for i, place in enumerate(names.items)]
        found = [name for name in known if name is not None]
        if names.kind != "list" or not found or len(set(found)) < len(found):
            faults.add(
                names, "examples.joints", "is no list of different joints", "expected joints that the poses show"
            )
            return None
        if rows.kind != "list" or not rows.items:
            faults.add(rows, "examples.angles", "is no list of poses", "expected one list of angles for each")
            return None
        limit = Limit(-1080, 1080, "degrees", "")
        poses = []
        for i, row in enumerate(rows.items):
            path = f"examples.angles[{i}]"
            if row.kind != "list" or len(row.items) != 2 * len(known):
                wrong = f"a list of {len(row.items)}" if row.kind == "list" else row.show()
                faults.add(row, path, wrong, f"expected {2 * len(known)} angles, two for each of the joints")
                continue
            poses.append([read_number(faults, item, path, limit) for item in row.items])
        if len(found) < len(known) or len(poses) < len(rows.items) or any(None in pose for pose in poses):
            return None
        angles = np.array(poses, np.float64).reshape(len(poses), len(known), 2)
        angles.flags.writeable = False
        return Examples(tuple(order.index(name) - 1 for name in found), angles)

    def _example_joint(self, node: Node, path: str, order: list[str]) -> str | None:
        name = read_name(self.faults, node, path)
        if name is not None and name not in order[1:]:
            hint = self.faults.suggest(name, order[1:])
            self.faults.add(node, path, f"unknown joint '{name}'", f"expected one of joints{hint}")
            return None
        return name

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
        examples = self._examples(order)
        return Skeleton(
            name=self.name or "",
            joints=tuple(order),
            parents=parents,
            ranges=tuple(ranges[joint] for joint in order[1:]),
            symmetric=tuple((a, b) for a, b in sorted(pairs)),
            sampling=self.sampling,
            text=text,
            description=self.description,
            examples=examples,
        )

    def _check_usual(self, skeleton: Skeleton) -> None:
        if skeleton.sampling.usual and not _has_usual(skeleton):
            place = self.top["sampling"].entries["usual"]
            wrong = "neither a joint nor the view has usual ranges"
            self.faults.add(place, "sampling.usual", wrong, "expected usual at a joint, or 0")

    def _check_camera(self, skeleton: Skeleton) -> None:
        if fault := _camera_fault(skeleton):
            self.faults.add(self.top["sampling"].entries["distance"], "sampling.distance", *fault)

    def _looks_like_radians(self) -> bool:
        ranges = [joint.range for joint in self.joints.values() if joint.range is not None]
        bounds = [bound for range_ in ranges for bound in (*range_.first, *range_.second)]
        return all(abs(bound) <= 6.3 for bound in bounds) and any(bound % 1 != 0 for bound in bounds)


def _check_part(faults: Faults, place: Node, path: str, part: Range | None, whole: Range) -> None:
    """Tells a usual range that is not within the whole one, on whatever turn."""
    turn = 360.0 * round((sum(whole) - sum(part)) / 720.0) if part and "theta" not in path else 0.0
    if part and not (whole[0] - 1e-6 <= part[0] + turn and part[1] + turn <= whole[1] + 1e-6):
        wrong = f"[{part[0]:g}, {part[1]:g}] is not within the range"
        faults.add(place, path, wrong, f"expected a part of [{whole[0]:g}, {whole[1]:g}]")


def _has_usual(skeleton: Skeleton) -> bool:
    view = any(getattr(skeleton.sampling, key) for key in USUAL_VIEW)
    return view or any(any(range_.usual) for range_ in skeleton.ranges)


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
    if not lines and given.get("usual") and not _has_usual(skeleton):
        lines.append("usual: neither a joint of the skeleton nor its view has usual ranges; expected 0")
    if not lines and given.get("angles") == "tree" and skeleton.examples is None:
        lines.append("angles: the skeleton has no examples; expected independent, or what posesynth fit writes")
    if not lines:
        changed = replace(skeleton, sampling=replace(skeleton.sampling, **given))
        if not (fault_ := _camera_fault(changed)):
            return changed
        lines = [f"distance: {fault_[0]}; {fault_[1]}"]
    raise InputError(*lines)


def _sampling_value(key: str, value: Any) -> tuple[object, str]:
    """A field of `Sampling` as the file's numbers are, so that one meaning has one digest; what is wrong with it."""
    if key == "angles":
        return value, "" if value in DRAWS else f"is {shown(value)}; expected {listed(DRAWS, 'or')}"
    if key == "symmetric_lengths":
        return value, "" if isinstance(value, bool) else f"is {shown(value)}; expected True or False"
    if key in SCALARS:
        limit = SCALARS[key]
        if not _is_real(value):
            return value, f"is {shown(value)}; {limit.expected_number()}"
        return float(value) + 0.0, "" if limit.holds(
            value
        ) else f"{value:g} is out of bounds; {limit.expected_number()}"
    if key not in (*VIEW, *USUAL_VIEW, "distance"):
        known = [f.name for f in fields(Sampling)]
        return value, f"is unknown; expected {listed(known, 'or')}{did_you_mean(key, known)}"
    if value is None and key not in VIEW:
        return None, ""
    limit = VIEW.get(key.removeprefix("usual_"), DISTANCE)
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
    names = [f.name for f in fields(Sampling) if f.name not in LATER]
    if not isinstance(sampling, Mapping) or sorted(set(sampling) - set(LATER)) != sorted(names):
        raise InputError(f"{source}: sampling: is {shown(sampling)}; expected {', '.join(names)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever loaded the skeleton first was warned
        skeleton = parse_skeleton(text, source)
    try:
        return with_sampling(skeleton, **{**LATER, **sampling})
    except InputError as error:
        raise InputError(*(f"{source}: sampling.{line}" for line in error.lines)) from None
