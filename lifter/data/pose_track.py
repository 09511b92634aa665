"""What lifting gives back, frame by frame: `PoseTrack`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, fault, quote

LONGEST_TEXT = 10_000
MIN_CONFIDENCE = 0.1
"""Joints found in an image with less are in doubt: not lifted, unless asked for."""


@dataclass(frozen=True, eq=False)
class PoseTrack:
    """3D poses of A individuals of N joints over T frames, and the 2D track they were lifted from.

    ``p3d``: (T, A, N, 3) float32, x right, y away from the camera, z up, the root at the origin, in units of the
    longest edge; NaN where an individual was not lifted.  ``p2d``: (T, A, N, 2) float32, x right, z up, in pixels of
    the input; NaN where a joint was not seen.  ``confidence``: (T, A, N) float32 of each joint, None where the model
    gives none.  ``p2d_confidence``: the same of its 2D, where that was found in an image.  ``joints``: N names.
    ``parents``: index of each joint's parent, -1 at the root.  ``individuals``: A names, ``("",)`` where the input
    knew none.  ``frames``: T whole numbers, or T image names.  ``skeleton``, ``model``: their names.  ``source``: the
    file of the 2D track.

    InputError where the parts do not fit each other, or a text could not be a cell of a table.
    """

    p3d: NDArray[np.float32]
    p2d: NDArray[np.float32]
    confidence: NDArray[np.float32] | None
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    individuals: tuple[str, ...]
    frames: tuple[int, ...] | tuple[str, ...]
    skeleton: str
    model: str
    source: str
    p2d_confidence: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        start = (len(self.frames), len(self.individuals), len(self.joints))
        if not all(start):
            raise InputError(f"poses: {start} frames, individuals and joints; expected at least one of each")
        arrays = {
            "p3d": (self.p3d, (*start, 3)),
            "p2d": (self.p2d, (*start, 2)),
            "confidence": (self.confidence, start),
            "p2d_confidence": (self.p2d_confidence, start),
        }
        for name, (array, shape) in arrays.items():
            if array is not None and (array.shape != shape or array.dtype != np.float32):
                raise InputError(f"{name}: is {array.dtype} of shape {array.shape}; expected float32 of shape {shape}")
            if array is not None and np.isinf(array).any():
                raise InputError(f"{name}: holds infinite numbers; expected numbers, or NaN where there is none")
        _check_tree(self.parents, len(self.joints))
        _check_names("joints", self.joints)
        _check_names("individuals", self.individuals)
        if len({type(frame) for frame in self.frames}) > 1 or type(self.frames[0]) not in (int, str):
            raise InputError("frames: are of several kinds; expected whole numbers, or names of images")
        if isinstance(self.frames[0], int):
            if not -(2**63) <= min(self.frames) <= max(self.frames) < 2**63:
                raise InputError("frames: a number does not fit 64 bits; expected numbers of frames")
        else:
            _check_texts("frames", self.frames)
        _check_texts("skeleton, model, source", (self.skeleton, self.model, self.source))


def made_track(path: str, **parts: Any) -> PoseTrack:
    """The track of these parts, which a file gave; InputError that names the file where they do not fit."""
    try:
        return PoseTrack(**parts)
    except InputError as error:
        raise fault(path, None, str(error)) from None


def _check_tree(parents: Sequence[int], joints: int) -> None:
    if len(parents) != joints or not all(-1 <= parent < joints for parent in parents):
        raise InputError(f"parents: {len(parents)} indices; expected one for each of {joints} joints, -1 at the root")
    for joint in range(joints):
        at = joint
        for _ in range(joints):
            at = parents[at] if at >= 0 else at
        if at >= 0 or parents.count(-1) != 1:
            raise InputError("parents: are not those of a tree; expected one root, whose parent is -1, and no circle")


def _check_names(what: str, names: Sequence[str]) -> None:
    _check_texts(what, names)
    if repeated := next((name for name, count in Counter(names).items() if count > 1), None):
        raise InputError(f"{what}: {quote(repeated)} is given twice; expected each name once")


def _check_texts(what: str, texts: Sequence[object]) -> None:
    for text in texts:
        if not isinstance(text, str) or not text.isprintable() or len(text) > LONGEST_TEXT:
            found = quote(text) if isinstance(text, str) else type(text).__name__
            raise InputError(f"{what}: {found}; expected printable text of at most {LONGEST_TEXT} characters")
