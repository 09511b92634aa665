"""The keypoint map: which keypoints of a file are which joints of a skeleton, guessed by name or given in YAML.

::

    joints: {head: snout, pelvis: [left_hip, right_hip]}   # a joint may be the mean of several keypoints
    absent: [tail]                                         # joints that the file does not have
    y_up: false                                            # true: the file's y grows upwards

Joints that the YAML does not name are guessed as without it.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lifter.data.anatomy import NEAREST, NEAREST_ABOVE_THORAX, in_common_words, read_names
from lifter.data.track import Keypoints
from posesynth.errors import InputError, fault, quote
from posesynth.sides import same_side
from posesynth.yaml_fields import check_keys, read_flag, read_map
from posesynth.yaml_source import Faults, Node, read_file, read_yaml, within

KEYS = ("joints", "absent", "y_up")
MAX_ENTRIES = 1024
FEWEST = 3  # joints that a map in YAML has to find: fewer have no pose

Joints = dict[str, tuple[str, ...]]


class Wanted(Protocol):
    """Whose joints are looked for: a skeleton, or what else has joints and a name."""

    @property
    def name(self) -> str: ...

    @property
    def joints(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class KeypointMap:
    """How a file's keypoints are a skeleton's joints.

    ``order``: the skeleton's N joints, in its order.  ``joints``: joint -> the keypoints whose mean it is.
    ``unused``: keypoints that are no joint.  ``y_up``: whether the file's y grows upwards, unlike an image's.
    ``source``: where the map comes from.
    """

    order: tuple[str, ...]
    joints: Joints
    unused: tuple[str, ...] = ()
    y_up: bool = False
    source: str = "guessed by name"

    @property
    def absent(self) -> tuple[str, ...]:
        """The joints that the file does not have, in the skeleton's order."""
        return tuple(joint for joint in self.order if joint not in self.joints)


def guess_map(
    keypoints: Keypoints, skeleton: Wanted, given: Joints | None = None, absent: Sequence[str] = ()
) -> KeypointMap:
    """The map found by name, but for the joints that are ``given``, and those known to be ``absent``.

    A keypoint of one side is never a joint of the other.  Raises InputError where fewer than half of the joints are
    found: such a file is of another skeleton, or in words unknown here.
    """
    joints = guess_joints(keypoints.names, skeleton.joints, given or {}, absent)
    needed = (len(skeleton.joints) + 1) // 2
    if len(joints) < needed:
        raise _too_few(keypoints, skeleton, joints, needed)
    return _finish(keypoints, skeleton, joints, False, f"guessed by name from {keypoints.source}")


def guess_joints(names: Sequence[str], joints: Sequence[str], given: Joints, absent: Sequence[str]) -> Joints:
    """`given`, and the `names` of the other joints, found by spelling, by words, by anatomy; none of the `absent`."""
    search = _Search(names, dict(given), {found[0] for found in given.values() if len(found) == 1})
    search.means = {found for found in given.values() if len(found) > 1}
    words = _words(names)

    def missing() -> list[str]:
        return [joint for joint in joints if joint not in search.joints and joint not in absent]

    _same(search, words, joints, missing)
    wanted = dict(zip(joints, read_names(joints), strict=True))
    parts = {name.part for name in wanted.values()}
    nearest = NEAREST | NEAREST_ABOVE_THORAX if {"thorax", "neck"} <= parts else NEAREST
    for joint in missing():
        side = wanted[joint].side
        for part in nearest.get(wanted[joint].part, ()):
            if part.startswith("both "):
                pair = [name for s in ("l", "r") for name in words.named(s, part.removeprefix("both "))]
                if not side and search.take_mean(joint, pair):
                    break
            elif search.take(joint, words.named(side, part)):
                break
    return search.joints


def same_joints(names: Sequence[str], joints: Sequence[str]) -> dict[str, str]:
    """Joint -> the one of `names` that means the same joint, however it is spelt; never one that lies only near it."""
    search = _Search(names, {})
    _same(search, _words(names), joints, lambda: [joint for joint in joints if joint not in search.joints])
    return {joint: found for joint, (found,) in search.joints.items()}


def load_keypoint_map(
    path: str | os.PathLike[str],
    keypoints: Keypoints,
    skeleton: Wanted,
    known: Joints | None = None,
    known_absent: Sequence[str] = (),
) -> KeypointMap:
    """The map in a YAML file, judged against the keypoints and the skeleton.

    known, known_absent: of the joints that the file does not name; the others are guessed.
    Raises InputError with one line ``file:line:col: field: ...`` for each fault.
    """
    path = os.fspath(path)
    faults = Faults(path)
    tree = read_yaml(read_file(path, "keypoint map", "expected a file"), faults, MAX_ENTRIES)
    if tree is None or tree.kind != "map":
        raise faults.stop(1, 1, "file", "is not a mapping", f"expected a keypoint map with some of {', '.join(KEYS)}")
    of_motion = dict.fromkeys(("up", "forward", "left", "columns"), "; it is for maps of motion, this one is of 2D")
    check_keys(faults, tree, "", KEYS, hints=of_motion)
    top = tree.entries
    given = _joints(faults, top["joints"], keypoints, skeleton) if "joints" in top else {}
    absent = _absent(faults, top["absent"], given, skeleton) if "absent" in top else ()
    y_up = bool(read_flag(faults, top["y_up"], "y_up")) if "y_up" in top else False
    if faults:
        raise faults.error()
    taken = set(given.values())
    meant = {j: names for j, names in (known or {}).items() if j not in absent and names not in taken}
    given = meant | given
    absent = (*absent, *(joint for joint in known_absent if joint not in given))
    joints = guess_joints(keypoints.names, skeleton.joints, given, absent)
    if len(joints) < min(FEWEST, len(skeleton.joints)):
        found = f"leaves {len(joints)} of the {len(skeleton.joints)} joints of '{skeleton.name}'"
        raise fault(path, None, f"{found} in {keypoints.source[-60:]}; expected at least {FEWEST}")
    return _finish(keypoints, skeleton, joints, y_up, path)


def describe(keypoint_map: KeypointMap) -> str:
    """The map as lines for people: one for each joint, and the keypoints that are left."""
    width = max(len(joint) for joint in keypoint_map.order)
    found = len(keypoint_map.order) - len(keypoint_map.absent)
    lines = [f"joint map ({keypoint_map.source}), {found} of {len(keypoint_map.order)} joints:"]
    for joint in keypoint_map.order:
        names = keypoint_map.joints.get(joint, ())
        shown = [name if name.isprintable() else quote(name) for name in names]
        what = f"mean of {', '.join(shown)}" if len(names) > 1 else shown[0] if names else "(absent)"
        lines.append(f"  {joint:{width}}  {what}")
    if keypoint_map.unused:
        others = (name if name.isprintable() else quote(name) for name in keypoint_map.unused)
        lines.append(f"  not used: {', '.join(others)}")
    if keypoint_map.unused and keypoint_map.absent:
        lines.append("  where one of these is an absent joint, say so in a map (--map)")
    return "\n".join(lines)


def bind(keypoints: Keypoints, keypoint_map: KeypointMap, min_confidence: float = 0.6) -> NDArray[np.float64]:
    """The skeleton's joints in the image plane: (T, A, N, 2) float64, x right, z up, in pixels.

    NaN where a joint is absent, or where a keypoint it is made of is missing or has a confidence below
    `min_confidence`; a point without a confidence is believed.
    """
    frames, animals = keypoints.positions.shape[:2]
    seen = ~(keypoints.confidence < min_confidence)
    place = {name: j for j, name in enumerate(keypoints.names)}
    p2d = np.full((frames, animals, len(keypoint_map.order), 2), np.nan)
    for n, joint in enumerate(keypoint_map.order):
        names = keypoint_map.joints.get(joint, ())
        for name in names:
            j = place[name]
            share = np.where(seen[:, :, j, None], keypoints.positions[:, :, j], np.nan) / len(names)
            p2d[:, :, n] = share if name == names[0] else p2d[:, :, n] + share
    if not keypoint_map.y_up:
        p2d[..., 1] *= -1
    return p2d


def _finish(keypoints: Keypoints, skeleton: Wanted, joints: Joints, y_up: bool, source: str) -> KeypointMap:
    used = {name for names in joints.values() for name in names}
    unused = tuple(name for name in keypoints.names if name not in used)
    ordered = {joint: joints[joint] for joint in skeleton.joints if joint in joints}
    return KeypointMap(skeleton.joints, ordered, unused, y_up, source)


def _too_few(keypoints: Keypoints, skeleton: Wanted, joints: Joints, needed: int) -> InputError:
    shown = ", ".join(quote(name, 20) for name in keypoints.names[:4])
    more = " ..." if len(keypoints.names) > 4 else ""
    found = f"{len(joints)} of the {len(skeleton.joints)} joints of '{skeleton.name}' found among {shown}{more}"
    expected = f"expected at least {needed}, or a keypoint map (YAML) that names the others"
    return fault(keypoints.source, None, f"{found}; {expected}")


@dataclass
class _Search:
    """The keypoints that are still free, and what has been found."""

    names: Sequence[str]
    joints: Joints
    used: set[str] = field(default_factory=set)
    means: set[tuple[str, ...]] = field(default_factory=set)

    def take(self, joint: str, candidates: Sequence[str]) -> bool:
        """Give `joint` the one candidate that is free; two would be a choice nobody made."""
        free = [name for name in candidates if name not in self.used]
        if len(free) == 1:
            self.joints[joint] = (free[0],)
            self.used.add(free[0])
        return len(free) == 1

    def take_mean(self, joint: str, names: Sequence[str]) -> bool:
        """Give `joint` the mean of `names`, which may be joints themselves, but the mean of no other joint."""
        if len(names) != 2 or tuple(names) in self.means:
            return False
        self.joints[joint] = tuple(names)
        self.means.add(tuple(names))
        return True


@dataclass(frozen=True)
class _Words:
    """The names of one file taken apart: (side, limb, words) and (side, part) of each."""

    names: Sequence[str]
    spelt: list[tuple[str, str, list[str]]]
    parts: list[tuple[str, str]]

    def named(self, side: str, part: str) -> list[str]:
        return [name for name, found in zip(self.names, self.parts, strict=True) if found == (side, part)]


def _words(names: Sequence[str]) -> _Words:
    apart = read_names(names)
    spelt = [(name.side, name.limb, sorted(name.words)) for name in apart]
    return _Words(names, spelt, [(name.side, part) for name, part in zip(apart, in_common_words(apart), strict=True)])


def _same(search: _Search, words: _Words, joints: Sequence[str], missing: Callable[[], list[str]]) -> None:
    """Find joints by spelling, by words, and by the part that different words call the same."""
    wanted = dict(zip(joints, read_names(joints), strict=True))
    for joint in missing():
        search.take(joint, [name for name in words.names if _plain(name) == _plain(joint)])
    for joint in missing():
        want = (wanted[joint].side, wanted[joint].limb, sorted(wanted[joint].words))
        search.take(joint, [name for name, found in zip(words.names, words.spelt, strict=True) if found == want])
    for joint in missing():
        search.take(joint, words.named(wanted[joint].side, wanted[joint].part))


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _joints(faults: Faults, node: Node, keypoints: Keypoints, skeleton: Wanted) -> Joints:
    if not read_map(faults, node, "joints", "expected skeleton joint: keypoint, or [keypoint, keypoint ...]"):
        return {}
    joints: Joints = {}
    for joint, entry in node.entries.items():
        path = within("joints", joint)
        _check_joint(faults, node.keys[joint], path, joint, skeleton)
        names = (entry,) if entry.is_text and entry.text else entry.items if entry.kind == "list" else ()
        if not names or not all(item.is_text and item.text for item in names):
            faults.add(entry, path, f"{entry.show()} is not a keypoint", "expected a name or [name, name ...]")
            continue
        texts = [item.text for item in names]
        for item in names:
            if item.text not in keypoints.names:
                hint = faults.suggest(item.text, _same_side(item.text, keypoints.names))
                expected = f"expected one of its {len(keypoints.names)} keypoints{hint}"
                faults.add(item, path, f"{keypoints.source[-60:]} has no {quote(item.text)}", expected)
            elif texts.count(item.text) > 1:
                faults.add(item, path, f"{quote(item.text)} is given twice", "expected each keypoint once")
        if len(texts) == 1 and (other := next((j for j, taken in joints.items() if taken == (texts[0],)), None)):
            faults.add(names[0], path, f"{quote(texts[0])} is joint '{other}' already", "expected another keypoint")
        joints[joint] = tuple(texts)
    return joints


def _absent(faults: Faults, node: Node, given: Joints, skeleton: Wanted) -> tuple[str, ...]:
    if node.kind != "list" or not all(item.is_text and item.text for item in node.items):
        faults.add(node, "absent", f"{node.show()} is not a list of joints", "expected [joint, joint ...]")
        return ()
    for item in node.items:
        _check_joint(faults, item, "absent", item.text, skeleton)
        if item.text in given:
            faults.add(item, "absent", f"{quote(item.text)} is also under 'joints'", "expected one of the two")
    return tuple(item.text for item in node.items)


def _check_joint(faults: Faults, at: Node, path: str, joint: str, skeleton: Wanted) -> None:
    if joint not in skeleton.joints:
        hint = faults.suggest(joint, _same_side(joint, skeleton.joints))
        expected = f"expected one of its {len(skeleton.joints)} joints{hint}"
        faults.add(at, path, f"skeleton '{skeleton.name}' has no {quote(joint)}", expected)


def _same_side(name: str, choices: Sequence[str]) -> list[str]:
    return same_side(name, choices, choices)
