"""Poses of a file in this project's axes: z up, the animal faces -y, its left is +x."""

import numpy as np
from numpy.typing import NDArray

from posesynth.drafts.draft import refused
from posesynth.drafts.tree import Tree

Array = NDArray[np.float64]

LEVEL = 0.3  # of the line from right to left must lie across up: steeper than 72 degrees it tells no heading


def upright(tree: Tree, up: str) -> tuple[Array, str]:
    """(T, N, 3) poses that face -y, and how their heading was found.

    The line from the right joints to the left ones tells it: of pairs that hang on one joint of the midline, else of
    all.  A model has one for all its poses; of a clip each frame has its own, and frames without are left out.  Where
    no names tell sides, it is the axis of the format's habit.
    """
    draft = tree.draft
    assert draft.poses is not None
    above = _axis(up)
    girdles = [pair for pair in tree.sided if tree.parents[pair[0]] == tree.parents[pair[1]]] or list(tree.sided)
    ahead = f"forward is {draft.forward}, the habit of {draft.kind}, as no pair of names tells left from right"
    if girdles:
        left, right = np.array(sorted(girdles)).T
        shown = draft.poses if draft.rest is None else draft.rest[None]
        line = (shown[:, left] - shown[:, right]).sum(axis=1)
        across = line - (line @ above)[:, None] * above
        told = np.linalg.norm(across, axis=1) > LEVEL * np.linalg.norm(line, axis=1)
        if told.any():
            names = ", ".join(f"{draft.joints[b]} to {draft.joints[a]}" for a, b in sorted(girdles)[:2])
            aside = across[told] / np.linalg.norm(across[told], axis=1, keepdims=True)
            poses = draft.poses if draft.rest is not None else draft.poses[told]
            more = ", ..." if len(girdles) > 2 else ""
            return _turned(poses, aside, above), f"left is from {names}{more}, up is {up}"
        ahead = f"forward is {draft.forward}, the habit of {draft.kind}, as left and right lie above each other"
    forward = _axis(draft.forward)
    if abs(forward @ above) > 0.5:
        raise refused(
            draft, f"up {up} is the axis that the animal faces by the habit of {draft.kind}; expected another"
        )
    return _turned(draft.poses, np.cross(forward, above)[None] * -1, above), f"{ahead}; up is {up}"


def _turned(poses: Array, aside: Array, above: Array) -> Array:
    """The poses with `aside` (1 or T, 3) as +x and `above` as +z."""
    back = np.cross(above, aside)
    axes = np.stack([aside, back, np.broadcast_to(above, aside.shape)], axis=1)
    return np.asarray(poses @ axes.transpose(0, 2, 1))


def _axis(name: str) -> Array:
    axis = np.zeros(3)
    axis["xyz".index(name[-1])] = -1.0 if name.startswith("-") else 1.0
    return axis
