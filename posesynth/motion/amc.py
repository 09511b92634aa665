"""Acclaim ASF/AMC: the skeleton in one file, the angles of each frame in another.

A bone turns by R = C M C^-1, where C comes from its ``axis`` and M from the degrees of freedom that
the frame gives; the bone's end lies at its start + R_root ... R (direction x length).  ``axis 1 2 3
XYZ`` means Rz(3) Ry(2) Rx(1), and angles likewise act in the order in which they are listed.
"""

import glob
import os
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import did_you_mean, fault, quote
from posesynth.motion.clip import Motion, check_size, numbers, parse, read_text
from posesynth.motion.rotation import AXES, about

DOFS = ("tx", "ty", "tz", "rx", "ry", "rz")
Row = tuple[int, list[str]]  # line number, words


def read_amc(path: str, asf: str | None = None) -> Motion:
    """Positions of the root and of each bone's end, named after the bone, in the unit of the ASF.

    Without `asf` the skeleton is the ``.asf`` of the same name, or of the same subject
    (``03_02.amc`` -> ``03.asf``), or the only one in the folder.
    """
    skeleton = _read_asf(asf if asf is not None else _beside(path))
    frames = _read_frames(path, skeleton)
    check_size(path, len(next(iter(frames.values()))), 3 * len(skeleton.bones))
    return Motion(
        positions=_forward(skeleton, frames),
        names=tuple(bone.name for bone in skeleton.bones),
        parents=np.array([bone.parent for bone in skeleton.bones], dtype=np.int32),
        up="y",
        source=path,
    )


@dataclass
class _Bone:
    name: str
    line: int
    parent: int = -1
    reach: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))  # direction x length
    axis: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))  # C
    dofs: list[str] = field(default_factory=list)


@dataclass
class _Skeleton:
    path: str
    bones: list[_Bone]  # root first, parents before children
    degrees: bool


def _beside(path: str) -> str:
    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    for candidate in (stem, stem.split("_")[0]):
        for ending in (".asf", ".ASF"):
            if os.path.isfile(found := os.path.join(folder, candidate + ending)):
                return found
    found_all = sorted(glob.glob(os.path.join(glob.escape(folder), "*.[aA][sS][fF]")))
    if len(found_all) == 1:
        return found_all[0]
    expected = f"expected {stem}.asf or {stem.split('_')[0]}.asf beside it, or one named with --asf"
    raise fault(path, None, f"its skeleton was not found; {expected}")


def _read_asf(path: str) -> _Skeleton:
    sections: dict[str, list[Row]] = {}
    section: list[Row] = []
    for n, line in enumerate(read_text(path), 1):
        words = line.split("#")[0].replace("(", " ").replace(")", " ").split()
        if words and words[0].startswith(":"):
            section = sections.setdefault(words[0].lower(), [])
        elif words:
            section.append((n, words))
    for name in (":root", ":bonedata", ":hierarchy"):
        if name not in sections:
            raise fault(path, 1, f"no section {quote(name)}; expected an Acclaim skeleton (ASF)")
    unit = {words[0].lower(): words[-1].lower() for _, words in sections.get(":units", [])}
    degrees = unit.get("angle", "deg").startswith("deg")
    root = _root(path, sections[":root"], degrees)
    bones = _bones(path, sections[":bonedata"], degrees)
    return _Skeleton(path, _hierarchy(path, sections[":hierarchy"], root, bones), degrees)


def _root(path: str, rows: list[Row], degrees: bool) -> _Bone:
    root = _Bone("root", rows[0][0] if rows else 1, dofs=list(DOFS))
    order, angles = "XYZ", np.zeros(3)
    for n, words in rows:
        match words[0].lower():
            case "order":
                root.dofs = _dofs(path, n, words[1:], DOFS)
            case "axis" if len(words) == 2:
                order = words[1]
            case "orientation":
                angles = _numbers(path, n, words[1:], 3)
            case "position":  # where the root rests; each frame gives its own
                _numbers(path, n, words[1:], 3)
            case other:
                expected = "expected order, axis, position or orientation"
                raise fault(path, n, f"unknown entry {quote(other)} of :root; {expected}")
    root.axis = _axes(path, root.line, order, angles, degrees)
    return root


def _bones(path: str, rows: list[Row], degrees: bool) -> dict[str, _Bone]:
    bones: dict[str, _Bone] = {}
    bone: _Bone | None = None
    direction: NDArray[np.float64] | None = None
    length: float | None = None
    for n, words in rows:
        key = words[0].lower()
        if key == "begin":
            bone, direction, length = _Bone("", n), None, None
        elif bone is None:
            raise fault(path, n, f"{quote(words[0])} outside a bone; expected 'begin'")
        elif key == "end":
            if not bone.name or direction is None or length is None:
                raise fault(path, bone.line, "a bone without name, direction or length; expected all three")
            if bone.name in bones or bone.name == "root":
                raise fault(path, bone.line, f"bone {quote(bone.name)} is given twice; expected each name once")
            bone.reach = direction * length
            bones[bone.name] = bone
            bone = None
        elif key == "name" and len(words) == 2:
            bone.name = words[1]
        elif key == "direction":
            direction = _numbers(path, n, words[1:], 3)
            norm = float(np.linalg.norm(direction))
            if norm == 0:
                raise fault(path, n, "direction is zero; expected a unit vector")
            direction = direction / norm  # six decimals in the file
        elif key == "length":
            length = float(_numbers(path, n, words[1:], 1)[0])
        elif key == "axis":
            bone.axis = _axes(path, n, words[-1], _numbers(path, n, words[1:-1], 3), degrees)
        elif key == "dof":
            bone.dofs = _dofs(path, n, words[1:], DOFS[3:])
        # id, limits, bodymass, cofmass ...: nothing that places a joint
    if bone is not None:
        raise fault(path, bone.line, "the bone is not closed; expected 'end'")
    return bones


def _hierarchy(path: str, rows: list[Row], root: _Bone, bones: dict[str, _Bone]) -> list[_Bone]:
    ordered, index = [root], {"root": 0}
    for n, words in rows:
        if words[0].lower() in ("begin", "end"):
            continue
        parent, *children = words
        if parent not in index:
            expected = f"expected root or a child of an earlier line{did_you_mean(parent, index)}"
            raise fault(path, n, f"{quote(parent)} has no place in the tree yet; {expected}")
        for child in children:
            if child not in bones:
                expected = f"expected one of :bonedata{did_you_mean(child, bones)}"
                raise fault(path, n, f"unknown bone {quote(child)}; {expected}")
            if child in index:
                raise fault(path, n, f"bone {quote(child)} has two parents; expected one")
            index[child] = len(ordered)
            bones[child].parent = index[parent]
            ordered.append(bones[child])
    return ordered


def _read_frames(path: str, skeleton: _Skeleton) -> dict[str, NDArray[np.float64]]:
    """For each bone with degrees of freedom its (T, dofs) values."""
    bones = {bone.name: bone for bone in skeleton.bones if bone.dofs}
    frames: dict[str, list[list[str]]] = {name: [] for name in bones}
    lines: dict[str, list[int]] = {name: [] for name in bones}
    count, start = 0, 1
    for n, line in enumerate(read_text(path), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0].startswith(":"):
            if words[0].lower() == (":radians" if skeleton.degrees else ":degrees"):
                raise fault(path, n, f"{words[0]}, but {skeleton.path} has the other unit; expected the same")
        elif len(words) == 1 and words[0].isdecimal():
            _check_complete(path, start, count, frames)
            count, start = count + 1, n
            if int(words[0]) != count:
                raise fault(path, n, f"frame {words[0][:12]}; expected frame {count}")
        elif count == 0:
            raise fault(path, n, f"{quote(words[0])} before the first frame; expected a frame number")
        elif words[0] not in bones:
            expected = f"expected one that moves in {os.path.basename(skeleton.path)}{did_you_mean(words[0], bones)}"
            raise fault(path, n, f"unknown bone {quote(words[0])}; {expected}")
        else:
            name, *values = words
            if len(values) != len(bones[name].dofs):
                expected = f"expected {len(bones[name].dofs)} ({' '.join(bones[name].dofs)})"
                raise fault(path, n, f"{len(values)} numbers for {quote(name)}; {expected}")
            if len(frames[name]) == count:
                raise fault(path, n, f"{quote(name)} is given twice in frame {count}; expected once")
            frames[name].append(values)
            lines[name].append(n)
    if count == 0:
        raise fault(path, 1, "no frames; expected at least 1")
    _check_complete(path, start, count, frames)
    return {name: _values(path, rows, lines[name]) for name, rows in frames.items()}


def _check_complete(path: str, line: int, count: int, frames: dict[str, list[list[str]]]) -> None:
    missing = [name for name, rows in frames.items() if len(rows) < count]
    if missing:
        lacks = f"frame {count} lacks {len(missing)} bones, first {quote(missing[0])}"
        raise fault(path, line, f"{lacks}; expected all {len(frames)}")


def _values(path: str, rows: list[list[str]], lines: list[int]) -> NDArray[np.float64]:
    values = parse([word for row in rows for word in row])
    if values is None:
        row, line = next((row, line) for row, line in zip(rows, lines, strict=True) if parse(row) is None)
        values = numbers(row, path, line)  # raises
    return values.reshape(len(rows), -1)


def _forward(skeleton: _Skeleton, frames: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    count = len(next(iter(frames.values())))
    positions = np.zeros((count, len(skeleton.bones), 3))
    rotations: list[NDArray[np.float64]] = []
    for j, bone in enumerate(skeleton.bones):
        turn = np.broadcast_to(np.eye(3), (count, 3, 3))
        for dof, values in zip(bone.dofs, frames[bone.name].T if bone.dofs else (), strict=True):
            if dof[0] == "t":
                positions[:, j, AXES.index(dof[1])] = values
            else:
                turn = about(dof[1], values if skeleton.degrees else np.degrees(values)) @ turn
        turn = bone.axis @ turn @ bone.axis.T
        if bone.parent < 0:
            rotations.append(turn)
        else:
            rotations.append(rotations[bone.parent] @ turn)
            positions[:, j] = positions[:, bone.parent] + rotations[j] @ bone.reach
    return positions


def _numbers(path: str, line: int, words: list[str], count: int) -> NDArray[np.float64]:
    if len(words) != count:
        raise fault(path, line, f"{len(words)} numbers; expected {count}")
    return numbers(words, path, line)


def _dofs(path: str, line: int, words: list[str], known: tuple[str, ...]) -> list[str]:
    for word in words:
        if word.lower() not in known:
            raise fault(path, line, f"unknown degree of freedom {quote(word)}; expected some of {' '.join(known)}")
    return [word.lower() for word in words]


def _axes(path: str, line: int, order: str, angles: NDArray[np.float64], degrees: bool) -> NDArray[np.float64]:
    if sorted(order.lower()) != ["x", "y", "z"]:
        raise fault(path, line, f"axis order {quote(order)}; expected some order of XYZ")
    matrix = np.eye(3)
    for axis, angle in zip(order.lower(), angles if degrees else np.degrees(angles), strict=True):
        matrix = about(axis, angle) @ matrix
    return matrix
