"""The tree that the entries of a skeleton file make: mirrors resolved, parents checked, joints put in order."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from posesynth.skeleton import EdgeRange, Given, Range
from posesynth.yaml_fields import read_name
from posesynth.yaml_source import Faults, Node, within

# A side in a name: left_hip, hip.R, l_hip, LeftUpLeg, hipLeft.
_SIDE = re.compile(
    r"(?<![^_.-])(?i:left|right|l|r)(?![^_.-])|^(?:left|right)(?=[A-Z0-9])|^(?:Left|Right)(?=[A-Z0-9])"
    r"|(?<=[a-z0-9])(?:Left|Right)(?![a-z])"
)
_OPPOSITE = {"left": "right", "right": "left", "l": "r", "r": "l"}


@dataclass
class Joint:
    """One entry of ``joints``.  What is None was not given, or was faulty and has been told."""

    node: Node
    range: EdgeRange | None = None
    parent: str | None = None
    mirror: str | None = None

    def place(self, key: str) -> Node:
        return self.node.entries.get(key, self.node)


def mirrored(range_: EdgeRange, frame: str) -> EdgeRange:
    """The range of the bone seen in a mirror that swaps left and right (x -> -x), in the frame that is there for it."""
    first, second = range_.given
    return replace(
        range_,
        frame=frame,
        second=mirrored_second(range_.angles, range_.second),
        first_given=first and _mirrored_given(first),
        second_given=second and _mirrored_given(second, range_.angles),
        second_usual=range_.second_usual and mirrored_second(range_.angles, range_.second_usual),
    )


def _mirrored_given(given: Given, angles: str = "") -> Given:
    """`angles`: the kind of the bone whose second angle is limited; "" where it is the first."""
    rows = list(zip(given.at, given.ranges, strict=True))
    if given.which == 1:  # of the other bone's two angles the second is mirrored
        turned = {"phi": 180.0, "abduction": 0.0}[given.angle]
        rows = [(turned - at, range_) for at, range_ in reversed(rows)]
    if angles:
        rows = [(at, mirrored_second(angles, range_)) for at, range_ in rows]
    return replace(given, at=tuple(at for at, _ in rows), ranges=tuple(range_ for _, range_ in rows))


def mirrored_second(angles: str, second: Range) -> Range:
    """phi becomes 180 - phi, abduction its negative; theta and flexion stay as they are."""
    low, high = second
    return (180.0 - high, 180.0 - low) if angles == "spherical" else (0.0 - high, 0.0 - low)


def read_pairs(node: Node | None, root: str | None, joints: Mapping[str, Joint], faults: Faults) -> dict[str, str]:
    """The list ``symmetric``: each joint of a pair -> the other one."""
    other: dict[str, str] = {}
    if node is None:
        return other
    if node.kind != "list":
        faults.add(node, "symmetric", f"{node.show()} is not a list", "expected a list of pairs, [[a, b], ...]")
        return other
    for index, item in enumerate(node.items):
        path = f"symmetric[{index}]"
        if item.kind != "list" or len(item.items) != 2:
            shown = f"a list of {len(item.items)}" if item.kind == "list" else item.show()
            faults.add(item, path, f"{shown} is not a pair", "expected [one joint, its mirror image]")
            continue
        a, b = (_free_joint(place, path, root, joints, other, faults) for place in item.items)
        if a is not None and a == b:
            faults.add(item, path, f"'{a}' is paired with itself", "expected two joints")
        elif a is not None and b is not None:
            other[a], other[b] = b, a
    return other


def _free_joint(
    node: Node, path: str, root: str | None, joints: Mapping[str, Joint], taken: Mapping[str, str], faults: Faults
) -> str | None:
    """The name of a joint that is in no pair yet."""
    name = read_name(faults, node, path)
    if name is None or not joints:
        return None
    if name == root:
        faults.add(node, path, f"'{name}' is the root, where no edge ends", "expected two other joints")
    elif name not in joints:
        faults.add(node, path, f"unknown joint '{name}'", "expected a name from joints" + faults.suggest(name, joints))
    elif name in taken:
        faults.add(node, path, f"'{name}' is already paired with '{taken[name]}'", "expected one pair a joint")
    else:
        return name
    return None


def resolve_mirrors(
    root: str | None, joints: Mapping[str, Joint], other: dict[str, str], faults: Faults
) -> list[tuple[int, str]]:
    """Gives each mirroring joint its range and its parent, and enters it in `other` (joint -> its mirror image).

    A parent without a mirror image must be on the midline: one named for a side is a fault.  Returns a warning,
    as (line, text), for each one that is off the midline by its ranges alone.
    """
    followers = [name for name, joint in joints.items() if joint.mirror is not None]
    whole = True
    for name in followers:
        if wrong := _bad_mirror(name, root, joints, other, faults):
            faults.add(joints[name].place("mirror"), within("joints", name) + ".mirror", *wrong)
            joints[name].mirror = None
            whole = False
        else:
            source = str(joints[name].mirror)
            other[name], other[source] = source, name
    # Parents only now: the mirror of a parent may be declared below.
    for name in followers:
        joint = joints[name]
        if joint.mirror is not None:
            source_joint = joints[joint.mirror]
            parent = source_joint.parent
            joint.parent = other.get(parent, parent) if parent is not None else None
    for name in followers:
        joint = joints[name]
        source_range = joints[joint.mirror].range if joint.mirror is not None else None
        if source_range is not None:
            # Of the joint that carries the frame and its mirror image, the one that this joint hangs on.
            image = other.get(source_range.frame, source_range.frame)
            joint.range = mirrored(source_range, image if image in _above(name, joints) else source_range.frame)
    return _check_midline(root, followers, joints, other, faults) if whole else []


def _check_midline(
    root: str | None, followers: list[str], joints: Mapping[str, Joint], other: Mapping[str, str], faults: Faults
) -> list[tuple[int, str]]:
    """Tells the mirrors that keep their source's parent although it is named for a side; returns the doubtful ones."""
    doubtful: dict[str, tuple[int, str]] = {}
    for name in followers:
        source = str(joints[name].mirror)
        parent = joints[source].parent
        if parent is None or parent in other:
            continue
        chain: list[str] = []
        step: str | None = parent
        while step is not None and step != root and step in joints and step not in chain:
            chain.append(step)
            step = joints[step].parent
        path = within("joints", name) + ".mirror"
        wrong = f"'{parent}', where '{source}' hangs, has no mirror image"
        if sided := next(filter(is_sided, chain), None):
            why = "is named for a side" if sided == parent else f"hangs on '{sided}'"
            image = _other_side(parent)
            remedy = f"[{parent}, {image}] under symmetric" if image in joints else f"a mirror image of '{parent}'"
            expected = f"expected {remedy}, or '{name}' written out with its own parent and ranges"
            faults.add(joints[name].place("mirror"), path, f"{wrong} although it {why}", expected)
        elif off := next((at for at in chain if at in other or not _may_be_central(joints[at].range)), None):
            text = f"{path}: {wrong} and '{off}' is off the midline; '{name}' hangs on '{parent}' too"
            doubtful.setdefault(parent, (joints[name].place("mirror").line, text))
    return list(doubtful.values())


def is_sided(name: str) -> bool:
    """Whether a joint is named for a side, as left_hip, hip.R or LeftUpLeg are."""
    return len(name) > 1 and _SIDE.search(name) is not None


def _other_side(name: str) -> str:
    """The name with its first side exchanged: left_hip -> right_hip."""

    def exchanged(side: re.Match[str]) -> str:
        word = _OPPOSITE[side.group().lower()]
        return word.upper() if side.group().isupper() else word.title() if side.group()[0].isupper() else word

    return _SIDE.sub(exchanged, name, count=1)


def _may_be_central(range_: EdgeRange | None) -> bool:
    """Whether the bone can lie in the middle plane of its frame (x = 0)."""
    if range_ is None:
        return True
    if range_.angles == "spherical" and (range_.first[0] <= 0 or range_.first[1] >= 180):
        return True
    central = 90 if range_.angles == "spherical" else 0
    low, high = range_.second
    return math.ceil((low - central) / 180) <= math.floor((high - central) / 180)


def _bad_mirror(
    name: str, root: str | None, joints: Mapping[str, Joint], other: Mapping[str, str], faults: Faults
) -> tuple[str, str] | None:
    """What is wrong with the mirror of joint `name`, and what was expected; None if nothing is."""
    source = str(joints[name].mirror)
    expected = "expected a joint with ranges of its own"
    if source == name:
        return "mirrors itself", expected
    if source == root:
        return f"'{source}' is the root, where no edge ends", expected
    if source not in joints:
        return f"unknown joint '{source}'", expected + faults.suggest(source, joints)
    if "mirror" in joints[source].node.entries:
        return f"'{source}' is a mirror itself", expected
    for joint in (source, name):
        if joint in other:
            return f"'{joint}' is already paired with '{other[joint]}'", "expected one pair a joint; a mirror is a pair"
    return None


def check_tree(root: str, joints: Mapping[str, Joint], faults: Faults) -> bool:
    """Tells unknown parents and cycles; True if every joint hangs on the root."""
    whole = True
    for name, joint in joints.items():
        if joint.parent is None:
            whole = False
        elif joint.parent != root and joint.parent not in joints:
            whole = False
            if joint.mirror is None:
                hint = faults.suggest(joint.parent, [root, *joints])
                path = within("joints", name) + ".parent"
                wrong = f"unknown joint '{joint.parent}'"
                faults.add(joint.place("parent"), path, wrong, f"expected the root or a name from joints{hint}")
    for cycle in _cycles(joints):
        whole = False
        joint = joints[cycle[0]]
        key = "parent" if "parent" in joint.node.entries else "mirror"
        shown = [*cycle, cycle[0]] if len(cycle) <= 4 else [*cycle[:3], f"... {len(cycle) - 3} more ...", cycle[0]]
        wrong = "is in a cycle, " + " -> ".join(shown) if len(cycle) > 1 else "is its own parent"
        path = within("joints", cycle[0])
        faults.add(joint.place(key), f"{path}.{key}", wrong, f"expected a way to the root '{root}'")
    return whole


def check_frames(joints: Mapping[str, Joint], words: tuple[str, ...], faults: Faults) -> None:
    """Tells each joint whose frame is neither one of `words` nor that of a joint above it.  Needs a whole tree."""
    for name, joint in joints.items():
        frame = joint.range.frame if joint.range else words[0]
        if frame in words:
            continue
        above = _above(name, joints)
        if frame not in above:
            wrong = f"'{frame}' is no joint between '{name}' and the root"
            expected = f"expected {', '.join(words)}, or the joint whose bone carries the frame"
            key = "frame" if joint.mirror is None else "mirror"
            path = within("joints", name) + f".{key}"
            faults.add(joint.place(key), path, wrong, expected + faults.suggest(frame, [*words, *above]))


def _above(name: str, joints: Mapping[str, Joint]) -> list[str]:
    """The joints between a joint and the root, the nearest first; as far as a cycle, where there is one."""
    above: list[str] = []
    step = joints[name].parent
    while step is not None and step in joints and step not in above:
        above.append(step)
        step = joints[step].parent
    return above


def resolve_givens(joints: Mapping[str, Joint], faults: Faults) -> None:
    """Brings the tables over a parent's angle to its turn; tells those whose parent has no such angle."""
    for name, joint in joints.items():
        if joint.range is None:
            continue
        changed: dict[str, Any] = {}
        for key, which, given in zip(("first_given", "second_given"), (0, 1), joint.range.given, strict=True):
            if given is None:
                continue
            bone = joints.get(str(joint.parent)) if given.bone == "parent" else joint
            theirs = bone.range if bone else None
            if theirs is not None and given.angle in theirs.angle_names:
                hull = (theirs.first, theirs.second)[given.which]
                turn = 360.0 * round((sum(hull) - given.at[0] - given.at[-1]) / 720.0)
                changed[key] = replace(given, at=tuple(at + turn for at in given.at))
            elif joint.mirror is None and (bone is None or theirs is not None):
                has = f"has {' and '.join(theirs.angle_names)}" if theirs else "is the root, where no bone ends"
                angle = joint.range.angle_names[which]
                path = within("joints", name) + f".{angle}.given"
                faults.add(
                    joint.node.entries[angle].entries["given"],
                    path,
                    f"parent '{joint.parent}' {has}",
                    "expected one of its bone's angles",
                )
        joint.range = replace(joint.range, **changed)


def _cycles(joints: Mapping[str, Joint]) -> list[list[str]]:
    """Each cycle once, from its first joint in the file's order along the parents."""
    rank = {name: index for index, name in enumerate(joints)}
    parent = {name: joint.parent for name, joint in joints.items() if joint.parent is not None}
    walk_of: dict[str, str] = {}
    cycles = []
    for start in joints:
        name = start
        while name in parent and name not in walk_of:
            walk_of[name] = start
            name = parent[name]
        if walk_of.get(name) == start and name in parent:
            cycle = [name]
            while parent[cycle[-1]] != name:
                cycle.append(parent[cycle[-1]])
            first = min(range(len(cycle)), key=lambda place: rank[cycle[place]])
            cycles.append(cycle[first:] + cycle[:first])
    return cycles


def in_order(root: str, joints: Mapping[str, Joint]) -> list[str]:
    """The root, then the file's order with parents hoisted before their children.  Needs a whole tree."""
    order = [root]
    placed = {root}
    for name in joints:
        branch = []
        step: str | None = name
        while step is not None and step not in placed:
            branch.append(step)
            step = joints[step].parent
        order += reversed(branch)
        placed.update(branch)
    return order
