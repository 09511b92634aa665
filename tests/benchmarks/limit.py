"""What one view can tell: the best L_ed and L_el that any network could reach on a skeleton, by Bayes' rule.

The posterior of a pose given its P2D.  Given the view R (3 x 3), the bones are independent but for the shared length of
a symmetric pair, and the sampler's lengths over their longest are: one group of bones, each as likely, is 1, the others
are U(0, 1).  A bone of length l that shows e in the image has direction (e_x / l, +-sqrt(1 - |e|^2 / l^2), e_z / l):

    p(e | R, l) = sum over both signs of p_range(R^T d) / (l^2 |d_y|)

So each group is an integral over l alone, and what is left is a mean over views.  The best answer to L_ed is the
direction of E[d | P2D], whose cosine has the expectation |E[d | P2D]|; the best to L_el is E[r | P2D], whose squared
error has the expectation Var[r | P2D].  Too few views make the posterior look narrower and its mean be wrong: the
expected figure is then too good, and the cosine found on the true poses too bad.  Where both agree there were enough.
"""

import math
from dataclasses import replace

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import posesynth
from lifter.sources import VALIDATION
from posesynth.skeleton import Skeleton

from .independent import refuse_dependence
from .measure import table

POSES = 200
VIEWS = 100_000
_SLICES = 12  # of the integral over a group's length

Array = NDArray[np.float64]


def limit() -> None:
    """The best that any network can do on noise-free samples of `quadruped`, and of the same with narrower ranges: what
    one view does not tell.  Expected: from the posterior's width.  Found: its mean beside the true poses."""
    rows = []
    for share in (1.0, 0.8, 0.6):
        expected, found, variance = best(_narrowed(posesynth.load_skeleton("quadruped"), share))
        error = expected.std() / math.sqrt(len(expected))
        row = (f"-{expected.mean():.4f} +- {error:.4f}", f"-{found.mean():.4f}", f"{variance.mean():.4f}")
        rows.append((f"{share:g}", len(expected), *row))
    print(table(("width of ranges", "poses", "L_ed, expected", "L_ed, found", "L_el, expected"), rows))


def best(skeleton: Skeleton) -> tuple[Array, Array, Array]:
    """(B,) each pose's best expected cosine, the cosine that was found, the least expected squared error of a length.

    Angles must be independent and in the world frame, lengths U(0, 1).  Poses that no view drawn explains are left out.
    """
    refuse_dependence(skeleton)
    if any(edge.length != (0.0, 1.0) for edge in skeleton.ranges):
        raise SystemExit(f"error: {skeleton.name}: expected lengths from 0 to 1")
    batch = posesynth.sample(skeleton, 0, VALIDATION, VALIDATION + POSES)
    r, theta, phi = np.moveaxis(batch.o.astype(np.float64), 2, 0)
    true = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=2)
    paired = {edge for pair in skeleton.symmetric for edge in pair}
    groups = [*skeleton.symmetric, *((edge, -1) for edge in range(skeleton.edges) if edge not in paired)]
    spherical = np.array([edge.angles == "spherical" for edge in skeleton.ranges])
    ranges = np.radians([[*edge.first, *edge.second] for edge in skeleton.ranges])
    views = Rotation.random(VIEWS, random_state=1).as_matrix()
    seen = r[..., None] * true[..., [0, 2]]
    d, variance = _posterior(seen, views, np.array(groups), spherical, ranges)
    known = np.isfinite(variance)
    cosine = np.linalg.norm(d, axis=2)
    found = (d * true).sum(axis=2) / np.maximum(cosine, 1e-12)
    return cosine[known].mean(axis=1), found[known].mean(axis=1), variance[known]


def _narrowed(skeleton: Skeleton, share: float) -> Skeleton:
    """The same with angular ranges of `share` their width about their middles."""

    def narrow(ends: tuple[float, float]) -> tuple[float, float]:
        middle, half = (ends[0] + ends[1]) / 2, share * (ends[1] - ends[0]) / 2
        return middle - half, middle + half

    ranges = tuple(replace(edge, first=narrow(edge.first), second=narrow(edge.second)) for edge in skeleton.ranges)
    return replace(skeleton, ranges=ranges)


@njit
def _density(x: float, y: float, z: float, spherical: bool, ends: Array) -> float:
    """Of a direction, per solid angle, where its two angles are uniform in their ranges."""
    if spherical:
        first, second, sine = math.acos(min(max(z, -1.0), 1.0)), math.atan2(y, x), math.hypot(x, y)
    else:
        first, second, sine = math.atan2(-y, z), math.asin(min(max(x, -1.0), 1.0)), math.hypot(y, z)
    while first < ends[0]:
        first += 2 * math.pi
    while second < ends[2]:
        second += 2 * math.pi
    if first > ends[1] or second > ends[3]:
        return 0.0
    return 1 / ((ends[1] - ends[0]) * (ends[3] - ends[2]) * max(sine, 1e-6))


@njit
def _bone(e: Array, length: float, view: Array, spherical: bool, ends: Array) -> tuple[float, float]:
    """p(e | view, length) of a bone, and the mean of its d_y under it."""
    x, z = e[0] / length, e[1] / length
    depth = math.sqrt(max(1 - x * x - z * z, 1e-8))
    near, far = 0.0, 0.0
    for sign in (-1.0, 1.0):
        up = view[0] * x + view[1] * (sign * depth) + view[2] * z
        p = _density(up[0], up[1], up[2], spherical, ends)
        if sign < 0:
            near = p
        else:
            far = p
    both = near + far
    return both / (length * length * depth), (far - near) / both * depth if both > 0 else 0.0


@njit
def _at_length(e: Array, group: Array, length: float, view: Array, spherical: Array, ranges: Array, d: Array) -> float:
    """p(what a group shows | view, its length); d (2, 3) becomes the mean directions of its bones."""
    p = 1.0
    for j in range(2):
        k = group[j]
        if k >= 0:
            q, depth = _bone(e[k], length, view, spherical[k], ranges[k])
            p *= q
            d[j, 0], d[j, 1], d[j, 2] = e[k, 0] / length, depth, e[k, 1] / length
    return p


@njit(parallel=True)
def _posterior(
    seen: Array, views: Array, groups: NDArray[np.int64], spherical: NDArray[np.bool_], ranges: Array
) -> tuple[Array, Array]:
    """(B, E, 3) posterior means of the directions, (B,) mean posterior variance of the lengths; NaN without any."""
    poses, edges, many = len(seen), seen.shape[1], len(groups)
    mean, variance = np.zeros((poses, edges, 3)), np.zeros(poses)
    for b in prange(poses):
        total = 0.0
        r, r2 = np.zeros(edges), np.zeros(edges)
        # Of each group: p with a length drawn from U(0, 1) and p with length 1, and their moments.
        p = np.zeros((2, many))
        pd, pr, pr2 = np.zeros((2, many, 2, 3)), np.zeros((2, many)), np.zeros((2, many))
        d = np.zeros((2, 3))
        for v in range(len(views)):
            p[:], pd[:], pr[:], pr2[:] = 0, 0, 0, 0
            possible = True
            for g in range(many):
                shown = 1e-6
                for j in range(2):
                    if groups[g, j] >= 0:
                        shown = max(shown, math.hypot(seen[b, groups[g, j], 0], seen[b, groups[g, j], 1]))
                # Over the angle between the bone that shows longest and the view's axis: there the integrand is tame.
                least = math.asin(min(shown, 1 - 1e-12))
                begin = np.random.random()
                for q in range(_SLICES + 1):
                    one = int(q == _SLICES)
                    angle = least if one else least + (math.pi / 2 - least) * (q + begin) / _SLICES
                    length = shown / math.sin(angle)
                    w = _at_length(seen[b], groups[g], length, views[v], spherical, ranges, d)
                    if not one:
                        w *= length / math.tan(angle) * (math.pi / 2 - least) / _SLICES
                    p[one, g] += w
                    pd[one, g] += w * d
                    pr[one, g] += w * length
                    pr2[one, g] += w * length * length
                if p[0, g] + p[1, g] <= 0:
                    possible = False
                    break
            if not possible:
                continue
            for longest in range(many):
                weight = 1.0
                for g in range(many):
                    weight *= p[int(g == longest), g]
                if weight <= 0:
                    continue
                total += weight
                for g in range(many):
                    one = int(g == longest)
                    share = weight / p[one, g]
                    for j in range(2):
                        k = groups[g, j]
                        if k >= 0:
                            mean[b, k] += share * pd[one, g, j]
                            r[k] += share * pr[one, g]
                            r2[k] += share * pr2[one, g]
        if total > 0:
            mean[b] /= total
            variance[b] = (r2 / total - (r / total) ** 2).mean()
        else:
            variance[b] = math.nan
    return mean, variance
