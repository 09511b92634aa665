"""The whole file: first its fields, then the tree they make."""

import warnings
from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from posesynth.errors import InputError, shown
from posesynth.joint_tree import check_frames, check_tree, in_order, read_pairs, resolve_givens, resolve_mirrors
from posesynth.schema.examples import read_examples
from posesynth.schema.joints import read_joints
from posesynth.schema.sampling import check_sampling, read_sampling, with_sampling
from posesynth.schema.tables import FORMAT, FRAMES, MAX_DESCRIPTION, MAX_JOINTS, REQUIRED_KEYS, TOP_KEYS
from posesynth.skeleton import LATER, Sampling, Skeleton
from posesynth.yaml_fields import check_keys, read_choice, read_line, read_name
from posesynth.yaml_source import Faults, Node, read_yaml, within

FAR_LONGER = 10.0  # than a bone that names no length: then hardly in its unit
WHOLE = f"expected a skeleton, beginning 'posesynth: {FORMAT}'"


def parse_skeleton(text: str, source: str = "<string>") -> Skeleton:
    """The skeleton that the YAML `text` describes; `source` is the file's name as errors show it.

    Raises `InputError` with one line ``source:line:column: field: what is wrong; what was expected`` for each
    fault.  Warns (`UserWarning`) of a valid file whose angles look like radians, of mirrors that hang on a joint off
    the midline, of lengths in two units, and of usual ranges that no pose is said to keep to.
    """
    text = text.removeprefix("\ufeff")
    faults = Faults(source)
    tree = read_yaml(text, faults, MAX_JOINTS)
    if tree is None:
        raise faults.stop(1, 1, "file", "is empty", WHOLE)
    return skeleton_of_tree(tree, text, faults)


def skeleton_of_tree(tree: Node, text: str, faults: Faults) -> Skeleton:
    """The skeleton of a text that has been read as YAML already, `faults` having what was wrong in that."""
    if tree.kind != "map":
        raise faults.stop(tree.line, tree.column, "file", f"is {tree.show()}", WHOLE)
    _check_format(tree, faults)
    return _File(tree, faults).skeleton(text)


def _check_format(tree: Node, faults: Faults) -> None:
    # The keys of another version mean something else, so nothing after this could be judged.
    if "posesynth" not in tree.entries and {"bodyparts", "multianimalbodyparts"} & set(tree.entries):
        begin = "expected a skeleton; posesynth new NEW.yaml --from this file begins one"
        raise faults.stop(tree.line, tree.column, "file", "is a DeepLabCut config", begin)
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
        self.frame = self._frame()
        self.sampling = read_sampling(faults, self.top.get("sampling"))
        self.joints = read_joints(faults, self.top.get("joints"), self.root, self.frame)
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
            check_sampling(self.faults, self.top, skeleton)
        if skeleton is None or self.faults:
            raise self.faults.error()
        for line, doubt in doubtful:
            warnings.warn(f"{self.faults.source}:{line}: {doubt}", stacklevel=4)
        if self._looks_like_radians():
            place = f"{self.faults.source}:{self.top['joints'].line}"
            warnings.warn(
                f"{place}: joints: every angle lies within +-2 pi; expected degrees, not radians", stacklevel=4
            )
        if units := self._other_unit():
            warnings.warn(f"{self.faults.source}:{units}", stacklevel=4)
        if unused := self._unused_usual():
            wrong = "decides nothing where sampling.usual is not given"
            expected = "expected sampling.usual: the share of poses that keep to it, such as 0.5, or 0"
            warnings.warn(f"{self.faults.source}:{unused[0]}: {unused[1]}: {wrong}; {expected}", stacklevel=4)
        return skeleton

    def _description(self) -> str:
        if "description" not in self.top:
            return ""
        return read_line(self.faults, self.top["description"], "description", MAX_DESCRIPTION) or ""

    def _frame(self) -> str:
        """Of the joints that name no other."""
        if "frame" not in self.top:
            return "world"
        return read_choice(self.faults, self.top["frame"], "frame", FRAMES) or "world"

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
        examples = read_examples(self.faults, self.top.get("examples"), order)
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

    def _looks_like_radians(self) -> bool:
        ranges = [joint.range for joint in self.joints.values() if joint.range is not None]
        bounds = [bound for range_ in ranges for bound in (*range_.first, *range_.second)]
        return all(abs(bound) <= 6.3 for bound in bounds) and any(bound % 1 != 0 for bound in bounds)

    def _other_unit(self) -> str:
        """The doubt about lengths that are in another unit than the [0, 1] of the bones that name none."""
        ranges = {name: joint for name, joint in self.joints.items() if joint.range is not None and not joint.mirror}
        silent = [name for name, joint in ranges.items() if "length" not in joint.node.entries]
        longest = max((joint.range.length[1] for joint in ranges.values() if joint.range is not None), default=0.0)
        if not silent or longest <= FAR_LONGER:
            return ""
        line = ranges[silent[0]].node.line
        wrong = f"has no length, so [0, 1], beside lengths up to {longest:g}"
        return f"{line}: joints.{silent[0]}: {wrong}; expected lengths of all bones in one unit, or of none"

    def _unused_usual(self) -> tuple[int, str] | None:
        """Line and field of the first usual range of a joint, where the file does not say how many poses keep to it."""
        if "sampling" in self.top and "usual" in self.top["sampling"].entries:
            return None
        found = ((joint.node.entries.get("usual"), name) for name, joint in self.joints.items())
        return next(((node.line, within("joints", name) + ".usual") for node, name in found if node), None)


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
