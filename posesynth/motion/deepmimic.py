"""DeepMimic's clips: a character in one JSON file, the root's place and each joint's rotation of each frame in another.

A frame is [seconds, root x y z, root quaternion w x y z, ...], then for each joint of the character in its order a
quaternion w x y z (spherical), an angle in radians about z (revolute) or nothing (fixed).  A joint lies at its
``Attach`` in its parent's axes.  The files may hold trailing commas, which JSON forbids.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import fault, quote, shown
from posesynth.motion.clip import Motion, check_size
from posesynth.motion.documents import is_number, read_document
from posesynth.motion.rotation import about, of_quaternions

Array = NDArray[np.float64]

WIDTHS = {"none": 7, "spherical": 4, "revolute": 1, "fixed": 0}  # numbers of a frame for a joint; none is the root
_EXPECTED = "expected a DeepMimic clip with Frames, or a character with Skeleton"


def read_deepmimic(path: str, document: dict[str, Any], character: str | None = None) -> Motion:
    """Positions of every joint of the clip in a document, in metres, y up, named as the character names them.

    Without `character` it is the file beside the clip, or in the folder ``characters`` next to the clip's, that has the
    beginning of the clip's name: ``humanoid3d.txt`` for ``humanoid3d_walk.txt``.
    """
    frames = document.get("Frames")
    if not isinstance(frames, list) or not frames:
        raise fault(path, None, f"no list Frames; {_EXPECTED}")
    joints = _joints(character if character is not None else _beside(path))
    width = 1 + sum(WIDTHS[joint.kind] for joint in joints)
    check_size(path, len(frames), 3 * len(joints))
    for n, frame in enumerate(frames):
        if not isinstance(frame, list) or len(frame) != width:
            found = f"{len(frame)} numbers" if isinstance(frame, list) else shown(frame)
            raise fault(path, None, f"Frames[{n}]: {found}; expected {width} for this character")
        for value in frame:
            if not is_number(value):
                raise fault(path, None, f"Frames[{n}]: {shown(value)} is not a finite number; expected numbers")
    values = np.array(frames, dtype=np.float64)
    return Motion(
        positions=_forward(path, joints, values),
        names=tuple(joint.name for joint in joints),
        parents=np.array([joint.parent for joint in joints], dtype=np.int32),
        fps=1.0 / values[0, 0] if values[0, 0] > 0 else None,
        up="y",
        source=path,
    )


@dataclass(frozen=True)
class _Joint:
    name: str
    kind: str
    parent: int
    attach: Array


def _beside(path: str) -> str:
    folder, name = os.path.split(path)
    words = os.path.splitext(name)[0].split("_")
    stems = ["_".join(words[:n]) for n in range(len(words) - 1, 0, -1)]
    for place in (folder, os.path.join(folder, os.pardir, "characters")):
        for stem in stems:
            for ending in (".txt", ".json"):
                if os.path.isfile(found := os.path.join(place, stem + ending)):
                    return found
    expected = f"expected {stems[-1] if stems else 'it'}.txt beside it, or one named with --asf"
    raise fault(path, None, f"its character was not found; {expected}")


def _joints(path: str) -> list[_Joint]:
    skeleton = _document(path).get("Skeleton")
    entries = skeleton.get("Joints") if isinstance(skeleton, dict) else None
    if not isinstance(entries, list) or not entries:
        raise fault(path, None, f"no list Joints in Skeleton; {_EXPECTED}")
    joints: list[_Joint] = []
    for n, entry in enumerate(entries):
        where = f"Joints[{n}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("Name"), str):
            raise fault(path, None, f"{where}: has no Name; expected a joint")
        name, kind, parent = entry["Name"], entry.get("Type"), entry.get("Parent")
        if name in (joint.name for joint in joints):
            raise fault(path, None, f"{where}: {quote(name)} is given twice; expected each name once")
        if kind not in WIDTHS or (kind == "none") != (n == 0):
            expected = "none" if n == 0 else "spherical, revolute or fixed"
            raise fault(path, None, f"{where}.Type: {shown(kind)}; expected {expected}")
        if type(parent) is not int or not (parent == -1 if n == 0 else 0 <= parent < n):
            raise fault(path, None, f"{where}.Parent: {shown(parent)}; expected -1 for the root, else an earlier joint")
        numbers = {
            key: entry.get(key, 0.0) for key in (f"Attach{theta}{axis}" for theta in ("", "Theta") for axis in "XYZ")
        }
        for key, value in numbers.items():
            if not is_number(value):
                raise fault(path, None, f"{where}.{key}: {shown(value)}; expected a number")
            if "Theta" in key and value != 0:
                raise fault(path, None, f"{where}.{key}: {shown(value)}; expected 0, turned joints are not read")
        joints.append(_Joint(name, kind, parent, np.array([numbers[f"Attach{axis}"] for axis in "XYZ"], float)))
    return joints


def _forward(path: str, joints: list[_Joint], values: Array) -> Array:
    positions = np.zeros((len(values), len(joints), 3))
    turns: list[Array] = []
    column = 4
    for j, joint in enumerate(joints):
        if joint.kind in ("none", "spherical"):
            turn = _turns(path, joint.name, values[:, column : column + 4])
            column += 4
        elif joint.kind == "revolute":
            turn = about("z", np.degrees(values[:, column]))
            column += 1
        else:
            turn = np.broadcast_to(np.eye(3), (len(values), 3, 3))
        if joint.parent < 0:
            positions[:, j] = values[:, 1:4] + joint.attach
            turns.append(turn)
        else:
            positions[:, j] = positions[:, joint.parent] + turns[joint.parent] @ joint.attach
            turns.append(turns[joint.parent] @ turn)
    return positions


def _turns(path: str, name: str, quaternions: Array) -> Array:
    """(T, 3, 3) rotations of quaternions (T, 4), w first."""
    size = np.linalg.norm(quaternions, axis=1)
    if (off := np.abs(size - 1) > 0.01).any():  # rounded in the file, but a clip of another character is far off
        frame = int(off.argmax())
        found = f"{quote(name)} is turned by a quaternion of length {size[frame]:.3g}"
        raise fault(path, None, f"Frames[{frame}]: {found}; expected 1 (is it a clip of another character?)")
    return of_quaternions(quaternions / size[:, None])


def _document(path: str) -> dict[str, Any]:
    document = read_document(path)
    if not isinstance(document, dict):
        raise fault(path, None, f"{shown(document)}; {_EXPECTED}")
    return document
