"""SLEAP's analysis file: HDF5 with ``tracks``, ``node_names`` and, of predictions, ``point_scores``."""

import json
from typing import Any

import h5py
import numpy as np

from lifter.data.hdf5 import decode, member, numbers, texts
from lifter.data.track import MAX_NAMES, Keypoints, check_names
from posesynth.errors import fault, quote

# Axes as SLEAP writes them (for MATLAB, which turns them round), and as sleap-io may, named in an attribute.
_MATLAB = ("track", "xy", "node", "frame")
_STANDARD = ("frame", "track", "node", "xy")


def read_sleap(path: str, file: Any) -> Keypoints:
    """Tracks of all individuals, frame by frame from the first that the file holds.

    Tracks without a name are ``track_0``, ``track_1`` ...; one alone is nameless, as in files that know none.
    """
    names = texts(path, file, "node_names", MAX_NAMES)
    axes = _axes(path, file, len(names))
    tracks = numbers(path, file, "tracks", 4)
    positions = np.ascontiguousarray(tracks.transpose([axes.index(axis) for axis in _STANDARD]))
    count, animals, joints, _ = positions.shape
    if joints != len(names):
        raise fault(path, None, f"'tracks': {joints} nodes; expected {len(names)}, as in 'node_names'")
    confidence = np.full(positions.shape[:3], np.nan)
    if "point_scores" in file:
        order = [axis for axis in axes if axis != "xy"]
        scores = numbers(path, file, "point_scores", 3)
        scores = scores.transpose([order.index(axis) for axis in _STANDARD[:3]])
        if scores.shape != confidence.shape:
            expected = f"expected {confidence.shape}, (frames, tracks, nodes) as in 'tracks'"
            raise fault(path, None, f"'point_scores': shape {scores.shape}; {expected}")
        confidence[:] = scores
    individuals = texts(path, file, "track_names", MAX_NAMES) if "track_names" in file else []
    if not individuals:
        individuals = [""] if animals == 1 else [f"track_{a}" for a in range(animals)]
    if len(individuals) != animals:
        raise fault(path, None, f"'track_names': {len(individuals)} names; expected {animals}, as in 'tracks'")
    check_names(path, None, names, individuals)
    frames = tuple(range(count))
    return Keypoints(positions, confidence, tuple(names), tuple(individuals), frames, path, "SLEAP analysis h5")


def _axes(path: str, file: Any, joints: int) -> tuple[str, ...]:
    """What the axes of ``tracks`` are: as named beside it, else as the only order of the two that fits."""
    tracks = member(path, file, "tracks", h5py.Dataset)
    shape: tuple[int, ...] = tracks.shape or ()
    stored = tracks.attrs.get("dims")
    if isinstance(stored, str | bytes):
        try:
            named = json.loads(decode(path, "tracks", stored))
        except (ValueError, RecursionError):
            named = None
        if not isinstance(named, list) or sorted(map(str, named)) != sorted(_STANDARD):
            expected = f"expected {', '.join(_STANDARD)} in some order"
            raise fault(path, None, f"'tracks': dims {quote(str(stored))}; {expected}")
        axes = tuple(map(str, named))
        if len(shape) != 4 or shape[axes.index("xy")] != 2:
            raise fault(path, None, f"'tracks': shape {shape}; expected 2 along its axis 'xy', {', '.join(axes)}")
        return axes
    for axes in (_MATLAB, _STANDARD):
        if len(shape) == 4 and shape[axes.index("xy")] == 2 and shape[2] == joints:
            return axes
    raise fault(path, None, f"'tracks': shape {shape}; expected (tracks, 2, {joints} nodes, frames)")
