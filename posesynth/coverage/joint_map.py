"""The joint map: which joint of a motion is which joint of the skeleton, and which way the animal stands in it.

docs/coverage.md tells the format to people; maps for common motion files ship in skeletons/maps.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, did_you_mean, error_line, quote
from posesynth.motion import Motion
from posesynth.sides import same_side
from posesynth.skeleton import Skeleton
from posesynth.yaml_fields import check_keys, read_choice, read_map
from posesynth.yaml_source import Faults, Node, read_file, read_yaml, within

AXES = ("x", "y", "z", "-x", "-y", "-z")
KEYS = ("up", "forward", "left", "columns", "joints", "absent")
MAX_NAMES = 1024
Pair = tuple[str, str]


@dataclass(frozen=True)
class JointMap:
    """How a motion is read as poses of a skeleton.

    ``up``: the axis of the motion that points up, or None: the habit of the file's format; or two skeleton
    joints (low, high) for what has no upright of its own, such as a hand.
    ``forward``: an axis of the motion (the animal never turns), or two skeleton joints (back, front).
    ``left``: two skeleton joints (right, left).  Neither given: found from the skeleton (`posesynth.coverage.body`).
    ``columns``: the joints of a table without a header.
    ``joints``: skeleton joint -> names in the motion, whose mean it is.
    ``absent``: skeleton joints that the motion does not have.
    """

    up: str | Pair | None = None
    forward: str | Pair | None = None
    left: Pair | None = None
    columns: tuple[str, ...] | None = None
    joints: dict[str, tuple[str, ...]] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    source: str = "joint map"
    places: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False, compare=False)

    def at(self, key: str, message: str) -> str:
        """`message` as an error line at the place of `key` in the file."""
        line, column = self.places.get(key, (1, 1))
        return error_line(self.source, f"{line}:{column}: {message}")


def load_map(name: str | os.PathLike[str], skeleton: Skeleton | None = None) -> JointMap:
    """The joint map in a file, or a shipped one by its name (``human-cmu-bvh``).

    Raises InputError with one line ``file:line:col: field: ...`` for each fault, also for each name that the
    `skeleton` does not have, where one is given.
    """
    name = os.fspath(name)
    shipped = shipped_maps()
    path = str(shipped.get(name, name))
    expected = f"expected a file, or one of {', '.join(shipped)}{did_you_mean(name[:64], shipped)}"
    return parse_map(read_file(path, "joint map", expected), path, skeleton)


def shipped_maps() -> dict[str, Path]:
    """Name -> file of the maps that come with the package."""
    package = Path(__file__).parents[1]
    shipped = package / "skeletons"  # inside an installed package, beside it in a checkout
    folder = shipped if shipped.is_dir() else package.parent / "skeletons"
    return {path.stem: path for path in sorted((folder / "maps").glob("*.yaml"))}


def parse_map(text: str, source: str = "<string>", skeleton: Skeleton | None = None) -> JointMap:
    """The joint map that the YAML `text` describes, judged against the `skeleton` if there is one."""
    faults = Faults(source)
    tree = read_yaml(text, faults, MAX_NAMES)
    expected = f"expected a joint map with some of {', '.join(KEYS)}"
    if tree is None or tree.kind != "map":
        raise faults.stop(1, 1, "file", "is not a mapping", expected)
    check_keys(faults, tree, "", KEYS, hints={"y_up": "; it is for maps of 2D keypoints, this one is of motion"})
    top = tree.entries
    joint_map = JointMap(
        up=_axis_or_pair(faults, top["up"], "up") if "up" in top else None,
        forward=_axis_or_pair(faults, top["forward"], "forward") if "forward" in top else None,
        left=_pair(faults, top["left"], "left") if "left" in top else None,
        columns=_texts(faults, top["columns"], "columns") if "columns" in top else None,
        joints=_joints(faults, top["joints"]) if "joints" in top else {},
        absent=_texts(faults, top["absent"], "absent") if "absent" in top else (),
        source=source,
        places=_places(tree),
    )
    columns = joint_map.columns or ()
    for name in sorted({name for name in columns if columns.count(name) > 1}):
        faults.add(top["columns"], "columns", f"{quote(name)} is given twice", "expected each joint once")
    lines = [*faults.error().lines, *(_unknown(skeleton, joint_map) if skeleton else ())]
    if lines:
        raise InputError(*lines)
    return joint_map


def bind(skeleton: Skeleton, motion: Motion, joint_map: JointMap) -> NDArray[np.float64]:
    """The motion's positions of the skeleton's joints, (T, N, 3); NaN for absent ones.

    Names agree without a line in the map when they differ only in case and in signs such as ``_``.
    Raises InputError with one line for each joint that is not found.
    """
    lines = [*_unknown(skeleton, joint_map)]
    where = {name: j for j, name in enumerate(motion.names)}
    plain: dict[str, list[int]] = {}
    for name, j in where.items():
        plain.setdefault(_plain(name), []).append(j)

    def near(joint: str, name: str = "") -> list[str]:
        same = same_side(joint, motion.names, skeleton.joints)
        return [other for other in same if other in same_side(name, motion.names)] if name else same

    positions = np.full((len(motion.positions), len(skeleton.joints), 3), np.nan)
    for n, joint in enumerate(skeleton.joints):
        if joint in joint_map.absent:
            continue
        if joint in joint_map.joints:
            names = joint_map.joints[joint]
            unknown = [name for name in names if name not in where]
            for name in unknown:
                expected = f"expected one of its {len(where)} joints{did_you_mean(name, near(joint, name))}"
                lines.append(joint_map.at(joint, f"joints.{joint}: {motion.source} has no {quote(name)}; {expected}"))
            if not unknown:
                positions[:, n] = np.mean([motion.positions[:, where[name]] for name in names], axis=0)
        elif joint in where:
            positions[:, n] = motion.positions[:, where[joint]]
        elif len(same := plain.get(_plain(joint), [])) == 1:
            positions[:, n] = motion.positions[:, same[0]]
        else:
            hint = did_you_mean(joint, near(joint))
            expected = f"expected that name, or the joint under 'joints' or 'absent' of a joint map (--map){hint}"
            lines.append(error_line(motion.source, f" no joint for '{joint}'; {expected}"))
    if lines:
        raise InputError(*lines)
    return positions


def _unknown(skeleton: Skeleton, joint_map: JointMap) -> Iterable[str]:
    """A line for each name of the map that the skeleton does not have."""
    fields = (
        ("joints", tuple(joint_map.joints)),
        ("absent", joint_map.absent),
        ("up", joint_map.up if isinstance(joint_map.up, tuple) else ()),
        ("forward", joint_map.forward if isinstance(joint_map.forward, tuple) else ()),
        ("left", joint_map.left or ()),
    )
    for key, names in fields:
        for name in names:
            if name not in skeleton.joints:
                hint = did_you_mean(name, same_side(name, skeleton.joints))
                expected = f"expected one of its {len(skeleton.joints)} joints{hint}"
                place = name if key == "joints" else key
                yield joint_map.at(place, f"{key}: skeleton '{skeleton.name}' has no {quote(name)}; {expected}")
        if key == "absent":
            for name in set(names) & set(joint_map.joints):
                yield joint_map.at(key, f"absent: '{name}' is also under 'joints'; expected one of the two")


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _texts(faults: Faults, node: Node, path: str) -> tuple[str, ...]:
    if node.kind != "list" or not node.items or not all(item.is_text and item.text for item in node.items):
        faults.add(node, path, f"{node.show()} is not a list of names", "expected [name, name ...]")
        return ()
    return tuple(item.text for item in node.items)


def _pair(faults: Faults, node: Node, path: str) -> Pair | None:
    names = _texts(faults, node, path)
    if names and (len(names) != 2 or names[0] == names[1]):
        order = {"up": "[low, high]", "forward": "[back, front]", "left": "[right, left]"}[path]
        faults.add(node, path, f"{len(set(names))} joints", f"expected two joints of the skeleton, {order}")
    return (names[0], names[1]) if len(names) == 2 else None


def _axis_or_pair(faults: Faults, node: Node, path: str) -> str | Pair | None:
    return _pair(faults, node, path) if node.kind == "list" else read_choice(faults, node, path, AXES)


def _joints(faults: Faults, node: Node) -> dict[str, tuple[str, ...]]:
    if not read_map(faults, node, "joints", "expected skeleton joint: name in the motion"):
        return {}
    return {
        joint: (entry.text,) if entry.is_text and entry.text else _texts(faults, entry, within("joints", joint))
        for joint, entry in node.entries.items()
    }


def _places(tree: Node) -> dict[str, tuple[int, int]]:
    places = {key: (node.line, node.column) for key, node in tree.keys.items()}
    joints = tree.entries.get("joints")
    if joints is not None:
        places |= {key: (node.line, node.column) for key, node in joints.keys.items()}
    return places
