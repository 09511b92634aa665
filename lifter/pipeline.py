"""From 2D keypoints to 3D poses: `load` a model, then `Lifter.lift` arrays or `lift_file` a file of keypoints."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from lifter.data.keypoints import load_keypoints
from lifter.data.matching import KeypointMap, bind, guess_map, load_keypoint_map
from lifter.data.poses import PoseTrack
from lifter.geometry import spherical
from lifter.model_file import load_model
from lifter.networks.lifting import LiftingNet
from posesynth.errors import InputError
from posesynth.skeleton import Skeleton

FEWEST = 3  # joints that must be seen for a pose to be lifted
_CHUNK = 8192  # poses at a time


@dataclass(frozen=True, eq=False)
class Poses:
    """B lifted poses, NumPy float32; NaN where fewer than FEWEST joints of a pose were seen, or
    all of them in one place.

    p3d: (B, N, 3), x right, y away from the camera, z up, root at the origin, in units of the longest edge.
    o: (B, E, 3), (r, theta, phi) of each bone.  confidence: (B, N) in (0, 1], exp(-expected error), that error in units
    of the longest edge; None from a network that gives none.
    """

    p3d: NDArray[np.float32]
    o: NDArray[np.float32]
    confidence: NDArray[np.float32] | None


class Lifter:
    """A trained network.

    skeleton: whose joints it takes, in that order.  name: what it was loaded as.  whole: it takes only poses of which
    all joints are seen.
    """

    def __init__(self, net: LiftingNet, skeleton: Skeleton, name: str, facts: dict[str, Any]) -> None:
        self.skeleton, self.name, self.facts = skeleton, name, facts
        self.whole = net.whole
        self._net = net

    def lift(self, p2d: ArrayLike, visible: ArrayLike | None = None) -> Poses:
        """Lift poses seen by a camera.

        p2d: (B, N, 2), x right, z up (y of an image with its sign changed), any unit and place; NaN where a joint
        is not seen.  visible: (B, N) bool, False for joints not to be believed.  Raises InputError on another shape.
        """
        points = np.array(p2d, np.float64)
        joints = len(self.skeleton.joints)
        if points.ndim != 3 or points.shape[1:] != (joints, 2):
            raise InputError(f"p2d: has shape {np.shape(p2d)}; expected (B, {joints}, 2)")
        unseen = ~np.isfinite(points).all(axis=2)
        if visible is not None:
            seen = np.asarray(visible)
            if seen.shape != unseen.shape or seen.dtype != np.bool_:
                raise InputError(f"visible: is {seen.dtype} {seen.shape}; expected bool {unseen.shape}")
            unseen |= ~seen
        points[unseen] = np.nan
        if self.whole and unseen.any():
            raise InputError(
                "p2d: has joints that are not seen; this model was trained by the paper's recipe on whole poses"
            )
        scaled = torch.from_numpy(self._scaled(points))
        parts = [self._lift(scaled[i : i + _CHUNK]) for i in range(0, len(scaled), _CHUNK)]
        edges = joints - 1
        p3d = np.concatenate([part[0] for part in parts] or [np.empty((0, joints, 3), np.float32)])
        o = np.concatenate([part[1] for part in parts] or [np.empty((0, edges, 3), np.float32)])
        sure = [part[2] for part in parts if part[2] is not None]
        confidence = np.concatenate(sure) if sure else None
        lost = ((~unseen).sum(axis=1) < min(FEWEST, joints)) | _pointlike(points)
        for array in (p3d, o, confidence):
            if array is not None:
                array[lost] = np.nan
        return Poses(p3d, o, confidence)

    def _scaled(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """About the first joint that is seen, in units of the longest edge as it looks.

        That is what a network of angles was trained on, as near as 2D can tell; the others have a unit of their own,
        and want only numbers that float32 holds.
        """
        seen = ~np.isnan(points[:, :, 0])
        points = points - points[np.arange(len(points)), seen.argmax(axis=1)][:, None]
        bones = points[:, 1:] - points[:, self.skeleton.parents[1:]]
        size = np.nan_to_num(np.hypot(bones[..., 0], bones[..., 1])).max(axis=1, initial=0.0)
        scaled: NDArray[np.float32] = (points / np.where(size > 0, size, 1)[:, None, None]).astype(np.float32)
        return scaled

    def _lift(
        self, points: torch.Tensor
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32] | None]:
        with torch.inference_mode():
            found = self._net(points)
            o = spherical(found.r, found.d)
            confidence = None if found.log_error is None else torch.exp(-found.log_error.exp()).numpy()
        return found.p3d.numpy(), o.numpy(), confidence


def _pointlike(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(B,) whether all joints that are seen are in one place: from that nothing can be told."""
    seen = ~np.isnan(points)
    highest = np.where(seen, points, -np.inf).max(axis=1)
    lowest = np.where(seen, points, np.inf).min(axis=1)
    return np.asarray((highest <= lowest).all(axis=1))


def load(model: str | os.PathLike[str]) -> Lifter:
    """The lifter of a shipped model's name (``quadruped``), a run's folder, or a ``.safetensors`` file."""
    net, skeleton, facts = load_model(model)
    return Lifter(net, skeleton, os.path.basename(os.fspath(model).rstrip("/")).removesuffix(".safetensors"), facts)


def lift_file(
    lifter: Lifter,
    keypoints: str | os.PathLike[str],
    keypoint_map: str | os.PathLike[str] | None = None,
    min_confidence: float = 0.6,
) -> tuple[PoseTrack, KeypointMap]:
    """The poses of a file of 2D keypoints, of every frame and individual, and the joint map that was used.

    keypoint_map: a YAML (`lifter.data.matching`); without one, joints are matched by name.  Keypoints with a confidence
    below min_confidence are not believed.  Raises InputError for a file that cannot be read or does not fit.
    """
    if not 0 <= min_confidence <= 1:
        raise InputError(f"min_confidence: is {min_confidence}; expected 0 to 1")
    found = load_keypoints(keypoints)
    skeleton = lifter.skeleton
    if keypoint_map is None:
        matched = guess_map(found, skeleton)
    else:
        matched = load_keypoint_map(keypoint_map, found, skeleton)
    p2d = bind(found, matched, min_confidence)
    frames, individuals, joints = p2d.shape[:3]
    poses = lifter.lift(p2d.reshape(-1, joints, 2))
    sure = poses.confidence
    track = PoseTrack(
        p3d=poses.p3d.reshape(frames, individuals, joints, 3),
        p2d=p2d.astype(np.float32),
        confidence=None if sure is None else sure.reshape(frames, individuals, joints),
        joints=skeleton.joints,
        parents=tuple(skeleton.parents.tolist()),
        individuals=found.individuals,
        frames=found.frames,  # type: ignore[arg-type]  # all numbers or all names, as its readers give them
        skeleton=skeleton.name,
        model=lifter.name,
        source=os.path.basename(found.source),
    )
    return track, matched
