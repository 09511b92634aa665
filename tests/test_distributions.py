"""Samples follow the laws they claim, at a million samples; and each test of a law rejects a sampler that breaks it.

Seeds are fixed and bytes are portable, so a p-value here is the same number everywhere and for ever.  A law is
rejected below P; with a few hundred p-values in this file, the chance that a right sampler would have failed even
one of them was a few in ten thousand.
"""

from collections.abc import Callable
from functools import cache

import naive
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.transform import Rotation
from small_skeletons import FIXED_VIEW, small_skeleton, star
from test_kinematics import bone_vectors

from posesynth import load_skeleton, rng, sample
from posesynth.sampler import Batch
from posesynth.skeleton import Skeleton

Array = NDArray[np.float64]

N = 1_000_000
P = 1e-6

LIMB = small_skeleton(
    {
        "spherical": "parent: root, theta: [20, 100], phi: [-150, -30], length: [1, 1]",
        "across": "parent: root, theta: [30, 60], phi: [100, 300]",
        "flexed": "parent: root, flexion: [150, 230], abduction: [-20, 45], length: [0.25, 0.75]",
        "carried": "parent: spherical, frame: parent, theta: [5, 90], phi: [-90, 120]",
        "bent": "parent: flexed, frame: parent, flexion: [-10, 140], abduction: [-80, 10], length: [0, 0.5]",
        "mirrored": "mirror: across",
    }
)


@cache
def limb() -> Batch:
    return sample(LIMB, 2024, 0, N, extras=("o_up", "rotation"))


def uniform_p(x: Array, low: float = 0.0, high: float = 1.0) -> float:
    """p-value of x ~ U(low, high): the smaller of Kolmogorov-Smirnov and chi-squared of 64 bins, Bonferroni for two."""
    x = np.asarray(x, float).ravel()
    outside = (x < low - 1e-5) | (x > high + 1e-5)
    if outside.any():
        return 0.0
    bins = np.clip((x - low) / (high - low) * 64, 0, 63).astype(int)
    chi2 = stats.chisquare(np.bincount(bins, minlength=64)).pvalue
    ks = stats.kstest(x, stats.uniform(low, high - low).cdf, method="asymp").pvalue
    return float(min(1, 2 * min(ks, chi2)))


# Angles and lengths.


def local_directions(e: int) -> Array:
    """Unit vectors of edge e's bones in the frame its range is given in."""
    o = limb().o_up.astype(float)
    d = bone_vectors(np.concatenate([np.ones((N, 1)), o[:, e, 1:]], axis=1))
    parent = int(LIMB.parents[e + 1])
    if LIMB.ranges[e].frame == "world" or parent == 0:
        return d
    first, second = angles(parent - 1)
    sf, cf, ss, cs, zero = np.sin(first), np.cos(first), np.sin(second), np.cos(second), np.zeros(N)
    if LIMB.ranges[parent - 1].angles == "flexion":
        turn = [[cs, zero, ss], [sf * ss, cf, -sf * cs], [-cf * ss, sf, cf * cs]]
    else:
        fall = cf - 1
        turn = [[1 + cs * cs * fall, cs * ss * fall, sf * cs], [cs * ss * fall, 1 + ss * ss * fall, sf * ss],
                [-sf * cs, -sf * ss, cf]]  # fmt: skip
    return np.einsum("ijn,ni->nj", np.array(turn), d)


@cache
def angles(e: int) -> tuple[Array, Array]:
    """The drawn angles of edge e in radians, recovered from directions and brought near the middle of their range."""
    x, y, z = local_directions(e).T
    edge = LIMB.ranges[e]
    if edge.angles == "flexion":
        pair = np.arctan2(-y, z), np.arctan2(x, np.hypot(y, z))
    else:
        pair = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    first, second = (
        angle + 2 * np.pi * np.round((np.radians(sum(limits) / 2) - angle) / (2 * np.pi))
        for angle, limits in zip(pair, (edge.first, edge.second), strict=True)
    )
    return first, second


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("e", range(LIMB.edges))
def test_angles_are_uniform_in_their_ranges(e: int, which: int) -> None:
    limits = (LIMB.ranges[e].first, LIMB.ranges[e].second)[which]
    assert uniform_p(angles(e)[which], *np.radians(limits)) > P


@pytest.mark.parametrize("wrong", [(-150, -29.5), (-150.5, -30), (-150, -30.5), (30, 150), (-180, -30)])
def test_another_range_is_rejected(wrong: tuple[float, float]) -> None:
    assert uniform_p(angles(0)[1], *np.radians(wrong)) < P


def test_lengths_are_uniform_before_they_are_divided() -> None:
    """The first edge is always 1 and no other is longer, so that nothing is divided by anything else."""
    r = limb().o[:, :, 0]
    assert (r[:, 0] == 1).all()
    for e in range(1, LIMB.edges):
        assert uniform_p(r[:, e], *LIMB.ranges[e].length) > P
    assert np.array_equal(r[:, 1], r[:, 5])


def test_lengths_of_the_paper_are_ratios_of_uniforms() -> None:
    """Of m free lengths each is the longest in 1 of m samples; the others, over the longest, are U(0, 1) again."""
    r = sample(star(5), 6, 0, N).o[:, :, 0]
    longest = r.argmax(axis=1)
    assert stats.chisquare(np.bincount(longest, minlength=5)).pvalue > P
    for e in range(5):
        assert uniform_p(r[longest != e, e]) > P


def drawn_numbers() -> Array:
    """Six independent uniforms of each sample that belong to different words, calls and streams."""
    r = limb().o[:, :, 0]
    numbers = [angles(0)[0], angles(0)[1], angles(3)[0], angles(4)[1], r[:, 1], r[:, 2], limb().rotation[:, 1, 2]]
    return np.stack([np.asarray(x, float) for x in numbers])


def test_draws_are_uncorrelated() -> None:
    """5e-3 is five standard deviations of a correlation of a million pairs."""
    numbers = drawn_numbers()
    assert np.abs(np.corrcoef(numbers) - np.eye(len(numbers))).max() < 5e-3
    for lag in (1, 2, 256):
        across = [[abs(np.corrcoef(a[lag:], b[:-lag])[0, 1]) for a in numbers] for b in numbers]
        assert np.max(across) < 5e-3


def test_a_weak_correlation_is_rejected() -> None:
    a, b = drawn_numbers()[:2]
    mixed = b + 0.02 * b.std() / a.std() * a
    assert abs(np.corrcoef(a, mixed)[0, 1]) > 5e-3


def test_pairs_of_draws_fill_the_square() -> None:
    """Beyond correlation: 16 x 16 cells of two draws of one sample, and of one draw of neighbouring samples."""
    low, high = np.radians(LIMB.ranges[0].second)
    u = (angles(0)[1] - low) / (high - low)
    v = limb().o[:, 1, 0].astype(float)
    for a, b in ((u, v), (u[1:], u[:-1]), (v[1:], v[:-1])):
        cells = np.clip(a * 16, 0, 15).astype(int) * 16 + np.clip(b * 16, 0, 15).astype(int)
        assert stats.chisquare(np.bincount(cells, minlength=256)).pvalue > P


# Controls: words drawn badly, under the statistic of the angles.


def raw_words() -> NDArray[np.uint64]:
    """2^20 words of the pose stream, one a sample, as float-free integers."""
    u = (angles(0)[0] - np.radians(20)) / np.radians(80)
    return (np.clip(u, 0, 1 - 2.0**-24) * 2**32).astype(np.uint64)


def biased_modulo(words: NDArray[np.uint64]) -> Array:
    """w mod m for an m that does not divide 2^32: the low third comes twice as often."""
    m = 3 * 2**30
    return (words % np.uint64(m)) / m


def few_bits(words: NDArray[np.uint64]) -> Array:
    return (words >> np.uint64(25)) / 2**7


def folded(words: NDArray[np.uint64]) -> Array:
    """The product of two draws where one was meant."""
    return np.sqrt(words[::2] / 2**32 * (words[1::2] / 2**32))


@pytest.mark.parametrize("bad", [biased_modulo, few_bits, folded])
def test_a_bad_uniform_is_rejected(bad: Callable[[NDArray[np.uint64]], Array]) -> None:
    assert uniform_p(raw_words() / 2**32) > P
    assert uniform_p(bad(raw_words())) < P


# Rotations.


def haar_p(rotation: Array) -> float:
    """p-value, Bonferroni over all, that rotations (n, 3, 3) are Haar-uniform.

    Each entry of a Haar rotation is U(-1, 1), its angle w has the distribution function (w - sin w) / pi, the same
    holds of QR and RQ for any fixed rotation Q, and yaw, roll and sin(pitch) are uniform.
    """
    q = naive.rz(0.3) @ naive.ry(1.1) @ naive.rx(-0.7)
    ps = []
    for r in (rotation, q @ rotation, rotation @ q):
        ps += [uniform_p(r[:, i, j], -1, 1) for i in range(3) for j in range(3)]
        w = np.arccos(np.clip((np.trace(r, axis1=1, axis2=2) - 1) / 2, -1, 1))
        ps.append(uniform_p((w - np.sin(w)) / np.pi))
    yaw, pitch, roll = euler(rotation)
    ps += [uniform_p(yaw, -np.pi, np.pi), uniform_p(roll, -np.pi, np.pi), uniform_p(np.sin(pitch), -1, 1)]
    return min(1.0, len(ps) * min(ps))


def euler(rotation: Array) -> tuple[Array, Array, Array]:
    """(yaw, pitch, roll) of R = Ry(roll) Rx(pitch) Rz(yaw)."""
    r = rotation
    pitch = np.arctan2(-r[:, 1, 2], np.hypot(r[:, 1, 0], r[:, 1, 1]))
    return np.arctan2(r[:, 1, 0], r[:, 1, 1]), pitch, np.arctan2(r[:, 0, 2], r[:, 2, 2])


def composed(yaw: Array, pitch: Array, roll: Array) -> Array:
    def about(axis: int, a: Array) -> Array:
        out = np.zeros((len(a), 3, 3))
        i, j = (axis + 1) % 3, (axis + 2) % 3
        out[:, axis, axis] = 1
        out[:, i, i] = out[:, j, j] = np.cos(a)
        out[:, j, i] = np.sin(a)
        out[:, i, j] = -np.sin(a)
        return out

    return about(1, roll) @ about(0, pitch) @ about(2, yaw)


def test_rotations_are_haar_uniform() -> None:
    assert haar_p(limb().rotation.astype(float)) > P


def turns(n: int, seed: int = 5) -> list[Array]:
    return list(np.random.default_rng(seed).uniform(-np.pi, np.pi, (3, n)))


def uniform_pitch() -> Array:
    """Three uniform Euler angles: what is written first, and wrong."""
    yaw, pitch, roll = turns(100_000)
    return composed(yaw, pitch / 2, roll)


def three_full_turns() -> Array:
    return composed(*turns(100_000))


def half_the_rolls() -> Array:
    yaw, pitch, roll = turns(100_000)
    return composed(yaw, np.arcsin(pitch / np.pi), roll / 2)


def random_axis_and_uniform_angle() -> Array:
    axis = np.random.default_rng(3).standard_normal((100_000, 3))
    angle = turns(100_000)[0]
    return Rotation.from_rotvec(axis / np.linalg.norm(axis, axis=1, keepdims=True) * angle[:, None]).as_matrix()


@pytest.mark.parametrize("wrong", [uniform_pitch, three_full_turns, half_the_rolls, random_axis_and_uniform_angle])
def test_rotations_that_are_not_uniform_are_rejected(wrong: Callable[[], Array]) -> None:
    """At a tenth of the samples: the test has power to spare."""
    assert haar_p(wrong()) < P


def test_rotations_of_another_make_are_accepted() -> None:
    assert haar_p(Rotation.random(200_000, rng=np.random.default_rng(8)).as_matrix()) > P


VIEWS = [
    ((-30, 30), (-10, 10), (0, 0)),
    ((150, 210), (20, 80), (-5, 200)),
    ((0, 0), (-90, 90), (0, 0)),
    ((-180, 180), (30, 30), (-180, 180)),
    ((359, 361), (-90, -89), (-1, 1)),
    ((-720, -400), (85, 90), (40, 41)),
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_holds_what_is_asked_and_all_of_it(view: tuple[tuple[float, float], ...]) -> None:
    text = "view: {{yaw: [{}, {}], pitch: [{}, {}], roll: [{}, {}]}}".format(*(x for limits in view for x in limits))
    rotation = sample(star(1, text), 4, 0, 200_000, extras=("rotation",)).rotation
    assert rotation is not None
    yaw, pitch, roll = euler(rotation.astype(float))
    # Where cos(pitch) is nearly 0 only yaw + roll, or their difference, is left in R.
    tells = np.cos(pitch) > 1e-2
    for angle, (low, high) in ((yaw[tells], view[0]), (roll[tells], view[2])):
        a, b = np.radians([low, high])
        near = angle + 2 * np.pi * np.round(((a + b) / 2 - angle) / (2 * np.pi))
        assert near.min() >= a - 1e-4
        assert near.max() <= b + 1e-4
        if a < b:
            assert uniform_p(np.clip(near, a, b), a, b) > P
        else:
            assert np.abs(near - a).max() < 1e-4
    # sin(pitch) is a float32, so the pitch itself is known to 0.03 degrees at the poles and far better elsewhere.
    low, high = np.sin(np.radians(view[1]))
    assert np.sin(pitch).min() >= low - 2e-7
    assert np.sin(pitch).max() <= high + 2e-7
    if high - low > 1e-3:
        assert uniform_p(np.clip(np.sin(pitch), low, high), low, high) > P


# Camera, noise, missing joints.


def option(text: str) -> Skeleton:
    return star(3, FIXED_VIEW, text, theta="[90, 90]", phi="[0, 0]", length="[1, 1]")


def test_noise_is_normal_and_independent() -> None:
    plain, noisy = (sample(option(f"noise: {sigma}"), 12, 0, N // 4).p2d.astype(float) for sigma in ("0", "0.05"))
    z = ((noisy - plain) / 0.05).reshape(N // 4, -1)
    assert z.shape[1] == 8
    for column in z.T:
        assert stats.kstest(column, "norm", method="asymp").pvalue > P
    assert np.abs(np.corrcoef(z.T) - np.eye(8)).max() < 1e-2
    assert abs((z**4).mean() - 3) < 0.02
    # The squares tell pairs apart that share a radius or an angle.
    assert np.abs(np.corrcoef((z**2).T) - np.eye(8)).max() < 1e-2
    assert 4.5 < np.abs(z).max() < 6


@pytest.mark.parametrize(
    "wrong", [lambda z: z * 1.01, lambda z: z + 0.01, lambda z: np.clip(z, -2.5, 2.5), lambda z: np.round(z, 1)]
)
def test_noise_that_is_not_normal_is_rejected(wrong: Callable[[Array], Array]) -> None:
    z = sample(option("noise: 1"), 12, 0, N // 2).p2d[:, 0].astype(float).ravel()
    assert stats.kstest(z, "norm", method="asymp").pvalue > P
    assert stats.kstest(wrong(z), "norm", method="asymp").pvalue < P


@pytest.mark.parametrize("missing", [0.001, 0.1, 0.5, 0.97])
def test_joints_are_missing_as_often_as_asked(missing: float) -> None:
    unseen = ~np.asarray(sample(option(f"missing: {missing}"), 13, 0, N // 4, extras=("visibility",)).visibility)
    for joint in unseen.T:
        assert stats.binomtest(int(joint.sum()), len(joint), missing).pvalue > P
    counts = np.bincount(unseen.sum(axis=1), minlength=5)
    expected = stats.binom(4, missing).pmf(np.arange(5)) * len(unseen)
    many = expected > 5
    grouped = [np.append(x[many], x[~many].sum()) for x in (counts, expected)]
    if grouped[1][-1] == 0:
        grouped = [x[:-1] for x in grouped]
    assert stats.chisquare(*grouped, sum_check=False).pvalue > P
    if missing > 0.01:  # and a fiftieth more often is rejected
        assert stats.binomtest(int(unseen.sum()), unseen.size, missing * 1.02).pvalue < P


def test_distance_is_uniform() -> None:
    """A joint at (1, 0, 0), at the root's depth, stays where it is; one at (1, 1, 0) moves to D / (D + 1)."""
    skeleton = small_skeleton(
        {
            "side": "parent: root, theta: [90, 90], phi: [0, 0], length: [1, 1]",
            "deep": "parent: side, theta: [90, 90], phi: [90, 90], length: [1, 1]",
        },
        FIXED_VIEW,
        "distance: [3, 9]",
    )
    p2d = sample(skeleton, 14, 0, N // 4).p2d.astype(float)
    assert np.abs(p2d[:, 1] - [1, 0]).max() < 1e-6
    scale = p2d[:, 2, 0]
    assert uniform_p(scale / (1 - scale), 3, 9) > P


# The generator's stream as one sequence, across samples.


def test_first_words_of_consecutive_samples_look_random() -> None:
    """Counters that differ in one word only, the way samples do, not along one counter."""
    blocks = 2000
    words = np.empty((blocks, rng.BLOCK), np.uint32)
    out = np.empty(4 * rng.BLOCK, np.uint32)
    for b in range(blocks):
        rng.fill(out, 4, np.uint64(1), np.uint64(b * rng.BLOCK), rng.POSE)
        words[b] = out[: rng.BLOCK]
    w = words.ravel()
    bits = np.unpackbits(w.view(np.uint8).reshape(-1, 4), axis=1).astype(float)
    n = len(bits)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5.5 * 0.5 / np.sqrt(n)
    centred = bits - 0.5
    for lag in (0, 1, 2, 255, 256):
        products = centred[lag:].T @ centred[: n - lag] / (n - lag) * 4
        if lag == 0:
            products -= np.eye(32)
        assert np.abs(products).max() < 6 / np.sqrt(n)
    assert stats.chisquare(np.bincount(w >> 20, minlength=4096)).pvalue > P
    assert stats.chisquare(np.bincount(w & 4095, minlength=4096)).pvalue > P
    gaps = np.bincount((w[1:] ^ w[:-1]) >> 24, minlength=256)
    assert stats.chisquare(gaps).pvalue > P


def test_quadruped_default_is_the_papers_sampling() -> None:
    """No option of the shipped skeleton departs from the paper's: any rotation, orthographic, nothing missing."""
    batch = sample(load_skeleton("quadruped"), 15, 0, 300_000, extras=("rotation", "visibility", "p3d"))
    assert haar_p(np.asarray(batch.rotation, float)) > P
    assert np.asarray(batch.visibility).all()
    assert np.array_equal(batch.p2d, np.asarray(batch.p3d)[:, :, [0, 2]])
