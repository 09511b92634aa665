"""What anybody has without a lifter: the 2D laid flat, a mean pose, and the nearest of many views, real or synthetic.

Poses that are given and found are in units of their longest edge, like those of a lifter: (N, 3), x right, y away
from the camera, z up.  Of a view that shows fewer than two joints nothing is found (NaN), as of a lifter.
"""

import numpy as np
from numpy.typing import NDArray

from lifter.ground_truth import Views, draw_distances, draw_views, project
from posesynth.kinematics import forward
from posesynth.sampler import sample
from posesynth.skeleton import Skeleton

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LOOKUP_VIEWS = 20_000
_MEAN_OF = 1000  # poses are enough for a mean
_ROUNDS = 20
_CHUNK = 256  # queries at a time, each against all views


def laid_flat(skeleton: Skeleton, p2d: Array) -> Array:
    """(B, N, 3): depth 0; a hidden joint lies at the mean of those seen."""
    seen, shown = _seen(p2d)
    flat = np.where(seen[..., None], shown, _centre(shown, seen))
    bones = p2d[:, 1:] - p2d[:, skeleton.parents[1:]]
    longest = np.nan_to_num(np.linalg.norm(bones, axis=2)).max(axis=1)
    flat = flat / np.where(longest > 0, longest, 1)[:, None, None]
    found = np.stack([flat[..., 0], np.zeros_like(flat[..., 0]), flat[..., 1]], axis=-1)
    found[seen.sum(1) < 2] = np.nan
    return found


def mean_pose(poses: Array) -> Array | None:
    """(N, 3): Procrustes mean of poses (T, N, 3), in no view at all; NaN for joints that none of them has.

    Only poses that have every joint that any has take part; None where there is no such pose.
    """
    whole, joints = _whole(poses)
    if not len(whole):
        return None
    whole = whole[np.linspace(0, len(whole) - 1, min(len(whole), _MEAN_OF)).astype(int)][:, joints]
    whole = _unit(whole - whole.mean(1, keepdims=True))
    mean = whole[0]
    for _ in range(_ROUNDS):
        left, _, right = np.linalg.svd(np.einsum("ni,tnj->tij", mean, whole))
        # A rotation, never a reflection: the last axis changes sign where it must.
        right[:, 2] *= np.sign(np.linalg.det(left) * np.linalg.det(right))[:, None]
        mean = _unit(np.einsum("tij,tnj->tni", left @ right, whole).mean(0))
    found = np.full(poses.shape[1:], np.nan)
    found[joints] = mean
    return found


class Lookup:
    """The nearest of 20,000 views of poses (T, N, 3), by their 2D about its mean and at its own scale."""

    def __init__(self, poses: Array, views: Views, seed: list[int], metre: float | None = None) -> None:
        whole, self._joints = _whole(poses)
        rng = np.random.default_rng(seed)
        chosen = rng.integers(len(whole), size=LOOKUP_VIEWS) if len(whole) else np.zeros(0, int)
        self._poses = np.einsum("bij,bnj->bni", draw_views(rng, len(chosen), views), whole[chosen])
        about = self._poses[:, self._joints]
        about = about - about.mean(1, keepdims=True)  # where the camera looks
        flat = project(about, draw_distances(rng, len(chosen), views, metre))
        flat = flat - flat.mean(1, keepdims=True)
        flat = flat.astype(np.float32)
        self._x, self._z = flat[..., 0].T.copy(), flat[..., 1].T.copy()
        self._square = self._x**2 + self._z**2

    def __len__(self) -> int:
        return len(self._poses)

    def find(self, p2d: Array) -> Array:
        """(B, N, 3): for each p2d (B, N, 2) the pose whose view is nearest, over the joints that are seen."""
        seen, shown = _seen(p2d[:, self._joints])
        shown = np.where(seen[..., None], shown - _centre(shown, seen), 0)
        size = np.abs(shown).max(axis=(1, 2), initial=0)  # in a unit that float32 holds
        shown = shown / np.where(size > 0, size, 1)[:, None, None]
        nearest = [
            self._nearest(shown[i : i + _CHUNK].astype(np.float32), seen[i : i + _CHUNK].astype(np.float32))
            for i in range(0, len(shown), _CHUNK)
        ]
        found: Array = self._poses[np.concatenate(nearest)]
        found[seen.sum(1) < 2] = np.nan
        return found

    def _nearest(self, shown: NDArray[np.float32], seen: NDArray[np.float32]) -> NDArray[np.intp]:
        # At unit scale the nearest is the one of largest cosine, and the size of a view over the joints seen is
        # sum x^2 + z^2 less its mean's share: products of matrices throughout.  The query's own mean is 0 already.
        inner = shown[..., 0] @ self._x + shown[..., 1] @ self._z
        count = np.maximum(seen.sum(1, keepdims=True), 1)
        size = seen @ self._square - ((seen @ self._x) ** 2 + (seen @ self._z) ** 2) / count
        return np.asarray((inner / np.sqrt(np.maximum(size, 1e-12))).argmax(axis=1))


def synthetic_poses(skeleton: Skeleton, seed: int) -> Array:
    """(LOOKUP_VIEWS, N, 3) poses drawn from the skeleton's ranges, upright, in units of the longest edge."""
    drawn = sample(skeleton, seed=seed, start=0, stop=LOOKUP_VIEWS, extras=("o_up",)).o_up
    assert drawn is not None
    return forward(drawn, skeleton).astype(np.float64)


def _whole(poses: Array) -> tuple[Array, Mask]:
    """The poses that have every joint that any has, and which joints these are."""
    known: Mask = np.asarray(np.isfinite(poses).all(axis=2))
    joints: Mask = np.asarray(known.any(axis=0))
    return poses[np.asarray(known[:, joints].all(axis=1))], joints


def _seen(p2d: Array) -> tuple[Mask, Array]:
    """Which joints are seen, and p2d with 0 for the others."""
    seen: Mask = np.asarray(np.isfinite(p2d).all(axis=2))
    return seen, np.where(seen[..., None], p2d, 0)


def _centre(shown: Array, seen: Mask) -> Array:
    return np.asarray(shown.sum(1, keepdims=True) / np.maximum(seen.sum(1), 1)[:, None, None])


def _unit(poses: Array) -> Array:
    return np.asarray(poses / np.sqrt((poses**2).sum((-2, -1), keepdims=True)))
