"""Skeletons for one test each, written the way a user writes them."""

import warnings

from posesynth.schema import parse_skeleton
from posesynth.skeleton import Skeleton

FIXED_VIEW = "view: {yaw: [0, 0], pitch: [0, 0], roll: [0, 0]}"


def small_skeleton(joints: dict[str, str], *sampling: str, symmetric: str = "") -> Skeleton:
    """A skeleton whose root is called root.

    joints: name -> the fields of its entry, as in ``{"a": "parent: root, theta: [0, 9], phi: [0, 9]"}``.
    sampling: its lines, as in ``"noise: 0.1"``.
    """
    lines = ["posesynth: 1", "name: small", "root: root", "joints:"]
    lines += [f"  {name}: {{{fields}}}" for name, fields in joints.items()]
    if symmetric:
        lines.append(f"symmetric: {symmetric}")
    if sampling:
        lines += ["sampling:", *(f"  {line}" for line in sampling)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # small angles look like radians
        return parse_skeleton("\n".join(lines) + "\n")


def chain(edges: int, *sampling: str, **fields: str) -> Skeleton:
    """A chain of like edges, free in all directions unless `fields` say otherwise."""
    given = {"theta": "[0, 180]", "phi": "[-180, 180]", **fields}
    text = ", ".join(f"{key}: {value}" for key, value in given.items())
    joints = {f"j{e}": f"parent: {f'j{e - 1}' if e else 'root'}, {text}" for e in range(edges)}
    return small_skeleton(joints, *sampling)


def star(edges: int, *sampling: str, **fields: str) -> Skeleton:
    """Like edges that all leave the root."""
    given = {"theta": "[0, 180]", "phi": "[-180, 180]", **fields}
    text = ", ".join(f"{key}: {value}" for key, value in given.items())
    return small_skeleton({f"j{e}": f"parent: root, {text}" for e in range(edges)}, *sampling)
