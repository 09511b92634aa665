"""f, f^-1, the frames bones carry and the view."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_skeletons import FIXED_VIEW, chain, small_skeleton, star
from strategies import skeletons

from posesynth import forward, inverse, sample
from posesynth.errors import InputError
from posesynth.skeleton import Skeleton

PI = np.float32(np.pi)
EPS = 2.0**-24

LENGTHS = [0.0, 1e-30, 1e-12, 1e-6, 1e-3, 0.3, 1.0, 1.0, 1.0, 50.0]
THETAS = [0.0, 1e-8, 1e-4, 1e-3, np.pi / 2, np.pi - 1e-3, np.pi - 1e-4, float(PI)]
PHIS = [-3.1415925, -np.pi / 2, -1e-8, 0.0, 1e-30, np.pi / 2, 3.1415925, float(PI)]


def drawn_bones(seed: int, edges: int, count: int = 16) -> NDArray[np.float32]:
    """Canonical O: half of the numbers at random, half of them on or near what is degenerate."""
    rng = np.random.default_rng(seed)
    shape = (count, edges)
    odd = rng.random((3, *shape)) < 0.5
    o = np.stack(
        [
            np.where(odd[0], rng.choice(LENGTHS, shape), rng.random(shape)),
            np.where(odd[1], rng.choice(THETAS, shape), rng.uniform(0, np.pi, shape)),
            np.where(odd[2], rng.choice(PHIS, shape), rng.uniform(-3.14, 3.14, shape)),
        ],
        axis=-1,
    ).astype(np.float32)
    o[..., 1:][o[..., 0] == 0] = 0
    o[..., 2][o[..., 1] == 0] = 0
    return o


def bone_vectors(o: NDArray[np.float32]) -> NDArray[np.float64]:
    """O as vectors: the way to compare angles that wrap."""
    r, theta, phi = np.moveaxis(o.astype(float), -1, 0)
    return np.stack([r * np.sin(theta) * np.cos(phi), r * np.sin(theta) * np.sin(phi), r * np.cos(theta)], -1)


def along_paths(skeleton: Skeleton, a: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., E) a number an edge -> (..., N) their sums from the root to each joint."""
    sums = np.zeros((*a.shape[:-1], a.shape[-1] + 1))
    for e in range(a.shape[-1]):
        sums[..., e + 1] = sums[..., skeleton.parents[e + 1]] + a[..., e]
    return sums


def assert_canonical(o: NDArray[np.float32]) -> None:
    r, theta, phi = np.moveaxis(o, -1, 0)
    assert (r >= 0).all()
    assert ((theta >= 0) & (theta <= PI)).all()
    assert ((phi > -PI) & (phi <= PI)).all()
    assert (o[..., 1:][r == 0] == 0).all()


@given(skeletons(), st.integers(0, 2**32))
@settings(max_examples=60)
def test_inverse_undoes_forward(skeleton: Skeleton, seed: int) -> None:
    o = drawn_bones(seed, skeleton.edges)
    back = inverse(forward(o, skeleton), skeleton)
    assert_canonical(back)
    # A bone is a difference of positions that were rounded, each to half a unit of its own size.
    parents = skeleton.parents[1:]
    size = along_paths(skeleton, o[..., 0].astype(float))
    bound = 12 * EPS * o[..., 0] + 2 * EPS * (size[..., parents] + size[..., 1:]) + 1e-37
    error = np.linalg.norm(bone_vectors(back) - bone_vectors(o), axis=-1)
    assert (error <= bound).all()


@given(st.integers(0, 2**32))
def test_inverse_undoes_forward_to_the_angle(seed: int) -> None:
    """Edges that leave the root are not rounded against far positions: their angles come back whole, at poles too."""
    skeleton = star(12)
    o = drawn_bones(seed, 12)
    back = inverse(forward(o, skeleton), skeleton)
    long = o[..., 0] >= 1e-12
    assert np.abs(back[..., 0] - o[..., 0])[long].max() <= 6e-7 * 50
    assert np.abs(back[..., 1] - o[..., 1])[long].max() <= 1e-6
    off_axis = long & (np.minimum(o[..., 1], PI - o[..., 1]) > 1e-5)
    turns = np.abs(back[..., 2].astype(float) - o[..., 2])[off_axis]
    assert np.minimum(turns, 2 * np.pi - turns).max(initial=0) <= 1e-6


@given(skeletons(), st.integers(0, 2**32))
@settings(max_examples=60)
def test_forward_undoes_inverse(skeleton: Skeleton, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p3d = (rng.standard_normal((16, skeleton.edges + 1, 3)) * rng.choice([0, 1e-30, 1e-6, 1, 1e6], (16, 1, 3))).astype(
        np.float32
    )
    for e in range(skeleton.edges):  # some bones short, some of no length at all
        near = rng.random(16) < 0.3
        p3d[near, e + 1] = p3d[near, skeleton.parents[e + 1]] * np.float32(1 + rng.choice([0, 1e-6, 1e-3]))
    p3d[:, 0] = 0
    o = inverse(p3d, skeleton)
    assert_canonical(o)
    back = forward(o, skeleton)
    step = along_paths(skeleton, o[..., 0].astype(float))
    bound = (12 + skeleton.edges) * EPS * step + 1e-37
    assert (np.abs(back - p3d.astype(float)).max(axis=-1) <= bound).all()


@given(skeletons(max_joints=12), st.integers(0, 2**32))
@settings(max_examples=30)
def test_forward_and_inverse_are_their_twins(skeleton: Skeleton, seed: int) -> None:
    for o in drawn_bones(seed, skeleton.edges, count=4):
        true = naive.forward(o, skeleton)
        p3d = forward(o, skeleton)
        step = along_paths(skeleton, o[:, 0].astype(float))
        assert (np.abs(p3d - true).max(axis=-1) <= (10 + skeleton.edges) * EPS * step + 1e-37).all()
        back = inverse(p3d, skeleton)
        exact = naive.inverse(p3d, skeleton)
        assert_canonical(back)
        size = along_paths(skeleton, o[:, 0].astype(float))
        bound = 12 * EPS * back[:, 0] + 2 * EPS * (size[skeleton.parents[1:]] + size[1:]) + 1e-37
        assert (np.linalg.norm(bone_vectors(back) - bone_vectors(exact.astype(np.float32)), axis=-1) <= bound).all()


def test_equation_5_on_a_page() -> None:
    """Numbers that can be checked by hand."""
    skeleton = chain(2)
    quarter = np.pi / 2
    p3d = forward([[1.0, quarter, 0.0], [0.5, quarter, quarter]], skeleton)
    np.testing.assert_allclose(p3d, [[0, 0, 0], [1, 0, 0], [1, 0.5, 0]], atol=1e-7)
    np.testing.assert_allclose(
        forward([[2.0, 0, 0], [1, np.pi, 3]], skeleton), [[0, 0, 0], [0, 0, 2], [0, 0, 1]], atol=1e-6
    )
    np.testing.assert_allclose(
        inverse([[1.0, 1, 1], [1, 1, 0], [0, 1, 0]], skeleton), [[1, np.pi, 0], [1, quarter, np.pi]], atol=1e-6
    )


def test_poles_and_missing_bones_are_canonical() -> None:
    skeleton = star(6)
    ends = [[0, 0, 0], [0, 0, 1], [0, 0, -1], [-1, 0, 0], [-1, -0.0, 0], [-0.0, -0.0, -0.0]]
    o = inverse([[0.0, 0, 0], *ends], skeleton)
    half = np.float32(np.pi / 2)
    assert o.tolist() == [[0, 0, 0], [1, 0, 0], [1, PI, 0], [1, half, PI], [1, half, PI], [0, 0, 0]]


def test_bones_of_every_size() -> None:
    """Squares of 1e-30 and 1e30 lie outside float32; the bones do not."""
    skeleton = star(1)
    for size in (1e-37, 1e-30, 1e-6, 1, 1e6, 1e30, 1e38):
        o = inverse([[0.0, 0, 0], [0.6 * size, 0, 0.8 * size]], skeleton)
        np.testing.assert_allclose(o[0] / [size, 1, 1], [1, np.arctan2(0.6, 0.8), 0], rtol=3e-7)


def test_inverse_takes_any_root() -> None:
    skeleton = chain(3)
    p3d = np.array([[0, 0, 0], [1, 2, 2], [1, 0, 2], [4, 0, 6]], np.float32)
    assert np.array_equal(inverse(p3d + np.float32(8), skeleton), inverse(p3d, skeleton))


def test_missing_positions_stay_missing() -> None:
    p3d = np.zeros((3, 3), np.float32)
    for axis in range(3):
        p3d[:] = [[0, 0, 0], [0, 0, 1], [0, 1, 1]]
        p3d[2, axis] = np.nan
        o = inverse(p3d, chain(2))
        assert np.isfinite(o[0]).all()
        assert np.isnan(o[1, :2]).all()


def test_any_leading_shape() -> None:
    skeleton = chain(4)
    o = drawn_bones(0, 4, count=30)
    flat = forward(o, skeleton)
    assert flat.dtype == np.float32
    for shape in ((30,), (2, 15), (5, 2, 3)):
        p3d = forward(o.reshape(*shape, 4, 3), skeleton)
        assert np.array_equal(p3d.reshape(flat.shape), flat)
        assert inverse(p3d, skeleton).shape == (*shape, 4, 3)
    assert np.array_equal(forward(o[7], skeleton), flat[7])
    assert np.array_equal(forward(o.astype(float)[::-1][::-1], skeleton), flat)
    assert forward(np.empty((0, 4, 3)), skeleton).shape == (0, 5, 3)


@pytest.mark.parametrize("shape", [(3,), (4,), (5, 3), (3, 3), (4, 2), (3, 4), (2, 5, 3), (12,)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"^o: has shape .*expected \(\.\.\., 4, 3\)"):
        forward(np.zeros(shape), chain(4))
    with pytest.raises(InputError, match=r"^p3d: has shape .*expected \(\.\.\., 6, 3\)"):
        inverse(np.zeros(shape), chain(5))


def fixed(angles: str, frame: str = "world") -> NDArray[np.float32]:
    """Direction of the second bone of a hanging limb, with all angles fixed; the first bone points straight down."""
    joints = {
        "thigh": "parent: root, flexion: [180, 180], abduction: [0, 0], length: [1, 1]",
        "shank": f"parent: thigh, frame: {frame}, {angles}, length: [1, 1]",
    }
    p3d = sample(small_skeleton(joints, FIXED_VIEW), extras=("p3d",)).p3d
    assert p3d is not None
    np.testing.assert_allclose(p3d[0, 1], [0, 0, -1], atol=1e-6)
    return p3d[0, 2] - p3d[0, 1]


UP, DOWN, FORWARD, BACK, LEFT, RIGHT = [0, 0, 1], [0, 0, -1], [0, -1, 0], [0, 1, 0], [1, 0, 0], [-1, 0, 0]


@pytest.mark.parametrize(
    ("frame", "angles", "direction"),
    [
        ("world", "flexion: [0, 0], abduction: [0, 0]", UP),
        ("world", "flexion: [90, 90], abduction: [0, 0]", FORWARD),
        ("world", "flexion: [180, 180], abduction: [0, 0]", DOWN),
        ("world", "flexion: [270, 270], abduction: [0, 0]", BACK),
        ("world", "flexion: [-90, -90], abduction: [0, 0]", BACK),
        ("world", "flexion: [180, 180], abduction: [90, 90]", LEFT),
        ("world", "flexion: [180, 180], abduction: [-90, -90]", RIGHT),
        ("world", "flexion: [77, 77], abduction: [90, 90]", LEFT),
        ("world", "theta: [0, 0], phi: [45, 45]", UP),
        ("world", "theta: [90, 90], phi: [0, 0]", LEFT),
        ("world", "theta: [90, 90], phi: [-90, -90]", FORWARD),
        ("world", "theta: [90, 90], phi: [270, 270]", FORWARD),
        ("world", "theta: [180, 180], phi: [45, 45]", DOWN),
        ("parent", "flexion: [0, 0], abduction: [0, 0]", DOWN),
        ("parent", "theta: [0, 0], phi: [45, 45]", DOWN),
        ("parent", "flexion: [90, 90], abduction: [0, 0]", BACK),
        ("parent", "flexion: [-90, -90], abduction: [0, 0]", FORWARD),
        ("parent", "flexion: [180, 180], abduction: [0, 0]", UP),
        ("parent", "flexion: [0, 0], abduction: [90, 90]", LEFT),
        ("parent", "theta: [90, 90], phi: [0, 0]", LEFT),
        ("parent", "theta: [90, 90], phi: [90, 90]", FORWARD),
    ],
)
def test_conventions_point_where_they_say(frame: str, angles: str, direction: list[int]) -> None:
    np.testing.assert_allclose(fixed(angles, frame), direction, atol=1e-6)


def test_a_swing_does_not_twist() -> None:
    """A bone at theta near 0 leaves its child's flexion axis alone, whatever phi is."""
    for phi in (-170, -45, 0, 90, 180):
        joints = {
            "a": f"parent: root, theta: [0.001, 0.001], phi: [{phi}, {phi}], length: [1, 1]",
            "b": "parent: a, frame: parent, flexion: [90, 90], abduction: [0, 0], length: [1, 1]",
        }
        p3d = sample(small_skeleton(joints, FIXED_VIEW), extras=("p3d",)).p3d
        assert p3d is not None
        np.testing.assert_allclose(p3d[0, 2] - p3d[0, 1], FORWARD, atol=1e-4)


@pytest.mark.parametrize("frame", ["world", "parent"])
@pytest.mark.parametrize("angles", ["theta: [{0}, {0}], phi: [{1}, {1}]", "flexion: [{0}, {0}], abduction: [{1}, {1}]"])
def test_a_mirrored_limb_is_the_mirror_image(angles: str, frame: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(5):
        joints = {}
        for e, parent in enumerate(["root", "left0", "left1"]):
            first, second = rng.uniform(5, 175), rng.uniform(-175, 175)
            fields = angles.format(round(first, 3), round(second, 3))
            joints[f"left{e}"] = f"parent: {parent}, frame: {frame}, {fields}, length: [0.4, 1]"
        joints |= {f"right{e}": f"mirror: left{e}" for e in range(3)}
        batch = sample(small_skeleton(joints, FIXED_VIEW), seed=3, stop=20, extras=("p3d",))
        assert batch.p3d is not None
        left, right = batch.p3d[:, 1:4], batch.p3d[:, 4:7]
        np.testing.assert_allclose(right, left * np.array([-1, 1, 1]), atol=3e-6)


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"),
    [(0, 0, 0), (90, 0, 0), (0, 90, 0), (0, -90, 0), (0, 0, 90), (30, -40, 110), (-170, 5, 180), (720, 0, -360)],
)
def test_view_is_roll_after_pitch_after_yaw(yaw: float, pitch: float, roll: float) -> None:
    skeleton = star(3, f"view: {{yaw: [{yaw}, {yaw}], pitch: [{pitch}, {pitch}], roll: [{roll}, {roll}]}}")
    rotation = sample(skeleton, extras=("rotation",)).rotation
    a, b, c = np.radians([yaw, pitch, roll])
    assert rotation is not None
    np.testing.assert_allclose(rotation[0], naive.ry(c) @ naive.rx(b) @ naive.rz(a), atol=1e-6)
