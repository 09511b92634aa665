"""Samples: the kernel against its slow twin, and the laws that every sample of every skeleton keeps."""

import math
import multiprocessing
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import pairwise

import golden
import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_skeletons import FIXED_VIEW, chain, small_skeleton, star
from strategies import skeletons
from test_kinematics import EPS, along_paths, assert_canonical, bone_vectors

from posesynth import forward, inverse, load_skeleton, sample
from posesynth.errors import InputError
from posesynth.kernel import _spans
from posesynth.sampler import FIELDS, Batch, field_dtype, field_shape, sample_into
from posesynth.skeleton import EdgeRange, Skeleton, builtin_skeletons

EXTRAS = FIELDS[2:]
SEED = st.integers(0, 2**64 - 1)
START = st.sampled_from([0, 1, 255, 256, 2**32 - 2, 2**40, 2**64 - 64]) | st.integers(0, 2**64 - 64)

# How far the kernel may lie from float64, and why.
# Bounds of +-720 degrees are 4 half turns, so a drawn angle is right to three roundings of 2^-22 half turns: 1.5e-6
# radians; two angles, two polynomials and a product of frames make this much of a bone's direction, for each frame
# carried down to it.
DIRECTION = 4e-6
# sin(pitch) is right to this; cos(pitch) = sqrt(1 - sin^2) is that much worse as it is small, down to the root of it.
SIN_PITCH = 5e-7


def every(skeleton: Skeleton, seed: int = 0, start: int = 0, stop: int = 1, threads: int | None = 1) -> Batch:
    return sample(skeleton, seed, start, stop, extras=EXTRAS, threads=threads)


def assert_same(a: Batch, b: Batch) -> None:
    """The same bytes, NaN included."""
    for name in FIELDS:
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name


def frames_above(skeleton: Skeleton) -> NDArray[np.int64]:
    """(E,) how many frames are carried down to each edge."""
    depth: list[int] = []
    for e in range(skeleton.edges):
        depth.append(1 + depth[skeleton.carrier(e)] if skeleton.carrier(e) >= 0 else 0)
    return np.array(depth)


# The twin.


def assert_twin(skeleton: Skeleton, seed: int, start: int, count: int) -> None:
    batch = every(skeleton, seed, start, start + count)
    for i in range(count):
        true = naive.sample(skeleton, seed, start + i)
        cos_pitch = math.sqrt(max(1 - true.sin_pitch**2, 0.0))
        view = 1e-6 + SIN_PITCH / max(cos_pitch, math.sqrt(SIN_PITCH))
        bone = DIRECTION * (1 + frames_above(skeleton))
        # A length lo + u (hi - lo) is rounded at the size of hi, and then divided by the longest.
        length = 4 * EPS * np.array([1 + r.length[1] / true.longest for r in skeleton.ranges])
        np.testing.assert_allclose(batch.rotation[i], true.rotation, atol=view)
        assert np.array_equal(batch.visibility[i], true.visibility)
        for name, tolerance in (("o_up", bone + length), ("o", bone + length + view)):
            made = getattr(batch, name)[i]
            assert (np.abs(made[:, 0] - getattr(true, name)[:, 0]) <= length).all(), name
            error = np.abs(bone_vectors(made) - bone_vectors(getattr(true, name))).max(axis=-1)
            assert (error <= tolerance).all(), name
        place = along_paths(skeleton, bone + length + view)
        assert (np.abs(batch.p3d[i] - true.p3d).max(axis=-1) <= place).all()
        seen = true.visibility
        flat, depth = np.abs(true.p3d[:, [0, 2]]).max(axis=-1), true.distance + true.p3d[:, 1]
        scale = np.divide(true.distance, depth, where=np.isfinite(depth), out=np.ones_like(depth))
        image = scale * (place + flat * (place / depth + 4 * EPS)) + 1e-5 * skeleton.sampling.noise
        assert (np.abs(batch.p2d[i] - true.p2d).max(axis=-1) <= image)[seen].all()
        assert np.isnan(batch.p2d[i][~seen]).all()


@given(skeletons(max_joints=10, sampling=True), SEED, START)
@settings(max_examples=80)
def test_kernel_is_its_twin(skeleton: Skeleton, seed: int, start: int) -> None:
    assert_twin(skeleton, seed, start, count=3)


@pytest.mark.parametrize("name", builtin_skeletons())
def test_kernel_is_its_twin_on_shipped_skeletons(name: str) -> None:
    skeleton = load_skeleton(name)
    assert_twin(skeleton, seed=1, start=2**40, count=20)
    view = {"yaw": (-30.0, 200.0), "pitch": (-5.0, 40.0), "roll": (-3.0, 3.0)}
    all_on = replace(skeleton.sampling, distance=(skeleton.reach + 1, 50.0), noise=0.05, missing=0.3, **view)
    assert_twin(replace(skeleton, sampling=all_on), seed=2, start=7, count=20)


def test_kernel_is_its_twin_where_angles_depend_on_others() -> None:
    skeleton = golden.golden_skeletons()["every_dependence"].with_sampling(angles="independent")
    assert_twin(skeleton, seed=3, start=2**33, count=60)


@pytest.mark.parametrize("frame", ["world", "parent"])
def test_kernel_is_its_twin_at_the_limit_of_joints(frame: str) -> None:
    """1024 joints in one chain: the deepest tree there is."""
    skeleton = chain(1023, frame=frame, theta="[0, 40]")
    assert_twin(skeleton, seed=5, start=9, count=2)
    assert_twin(star(1023), seed=5, start=9, count=1)


# Laws of one sample.


@given(skeletons(sampling=True), SEED)
@settings(max_examples=40)
def test_o_is_canonical(skeleton: Skeleton, seed: int) -> None:
    batch = every(skeleton, seed, stop=300)
    assert_canonical(batch.o)
    assert_canonical(batch.o_up)


@given(skeletons(sampling=True), SEED)
@settings(max_examples=40)
def test_longest_edge_is_one(skeleton: Skeleton, seed: int) -> None:
    batch = every(skeleton, seed, stop=300)
    assert (batch.o[:, :, 0].max(axis=1) == 1).all()
    assert np.array_equal(batch.o[:, :, 0], batch.o_up[:, :, 0])


@given(skeletons(sampling=True), SEED)
@settings(max_examples=40)
def test_symmetric_lengths_are_equal(skeleton: Skeleton, seed: int) -> None:
    lengths = every(skeleton, seed, stop=300).o[:, :, 0]
    for a, b in skeleton.symmetric:
        if skeleton.sampling.symmetric_lengths:
            assert np.array_equal(lengths[:, a], lengths[:, b])


def test_lengths_apart_when_asked() -> None:
    joints = {"a": "parent: root, theta: [0, 90], phi: [0, 90]", "b": "mirror: a"}
    apart = small_skeleton(joints, "symmetric_lengths: false")
    lengths = sample(apart, stop=1000).o[:, :, 0]
    assert (lengths[:, 0] != lengths[:, 1]).mean() > 0.99


@given(skeletons(), SEED)
@settings(max_examples=40)
def test_p2d_is_xz_of_f_of_o(skeleton: Skeleton, seed: int) -> None:
    batch = every(skeleton, seed, stop=200)
    assert np.array_equal(batch.p2d, batch.p3d[:, :, [0, 2]])
    assert (batch.p3d[:, 0] == 0).all()
    # Each bone adds what float32 angles cannot say; frames carried far are not quite orthonormal.
    bone = 8e-7 + 2e-7 * frames_above(skeleton)
    bound = along_paths(skeleton, bone * batch.o[:, :, 0]) + 4 * EPS * along_paths(skeleton, batch.o[:, :, 0]) + 1e-30
    assert (np.abs(forward(batch.o, skeleton) - batch.p3d).max(axis=-1) <= bound).all()


def test_p2d_from_stored_o_at_16_joints() -> None:
    batch = sample(load_skeleton("quadruped"), stop=100_000)
    assert np.abs(forward(batch.o, load_skeleton("quadruped"))[:, :, [0, 2]] - batch.p2d).max() < 2e-6


@given(skeletons(), SEED)
@settings(max_examples=40)
def test_rotating_commutes(skeleton: Skeleton, seed: int) -> None:
    """f(O) = R f(O_up), and O = f^-1(R f(O_up)): equation 7."""
    batch = every(skeleton, seed, stop=200)
    turned = np.einsum("bij,bnj->bni", batch.rotation.astype(float), forward(batch.o_up, skeleton))
    size = along_paths(skeleton, batch.o[:, :, 0].astype(float))
    bone = 2e-6 + 3e-7 * frames_above(skeleton)
    bound = along_paths(skeleton, bone * batch.o[:, :, 0]) + 8 * EPS * size + 1e-30
    assert (np.abs(turned - batch.p3d).max(axis=-1) <= bound).all()
    back = inverse(turned, skeleton)
    loose = bound[:, skeleton.parents[1:]] + bound[:, 1:]
    assert (np.abs(bone_vectors(back) - bone_vectors(batch.o)).max(axis=-1) <= 2 * loose).all()


@given(skeletons(sampling=True), SEED)
@settings(max_examples=40)
def test_rotation_is_a_rotation(skeleton: Skeleton, seed: int) -> None:
    rotation = every(skeleton, seed, stop=300).rotation.astype(float)
    assert np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max() < 1e-6
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-6)


# Ranges.


def fitting_turns(edge: EdgeRange, d: NDArray[np.float64], tolerance: float) -> list[tuple[NDArray[np.float64], float]]:
    """Frames that edge `edge` may carry when its bone points along d: those of angles within its range.

    Each comes with the factor by which an error of d becomes one of the frame.
    """
    x, y, z = d.tolist()
    if edge.angles == "spherical":
        candidates = [(math.atan2(math.hypot(x, y), z), math.atan2(y, x))]
        sharpness = math.hypot(x, y) if z < 0 else 1.0  # at theta = 0 the swing is the same for all phi
    else:
        flexion, abduction = math.atan2(-y, z), math.asin(max(-1.0, min(1.0, x)))
        candidates = [(flexion, abduction), (flexion + math.pi, math.pi - abduction)]
        sharpness = math.hypot(y, z)
    fitting = []
    for angles in candidates:
        inside = []
        for angle, limits in zip(angles, (edge.first, edge.second), strict=True):
            low, high = np.radians(limits)
            nearest = angle + 2 * math.pi * round(((low + high) / 2 - angle) / (2 * math.pi))
            inside.append(min(max(nearest, low), high))
        turn = naive.turn(edge, *inside)
        if np.abs(turn[:, 2] - d).max() <= tolerance:
            fitting.append((turn, 1 / max(sharpness, 1e-6)))
    return fitting


def leaks(skeleton: Skeleton, o_up: NDArray[np.float32]) -> tuple[int, int]:
    """(how many bones of one upright pose lie outside their range, how many could be judged)."""
    directions = bone_vectors(np.concatenate([np.ones((len(o_up), 1), np.float32), o_up[:, 1:]], axis=1))
    frames: list[list[tuple[NDArray[np.float64], float]]] = []  # for each edge: frames it may carry, their error
    outside = judged = 0
    for e, edge in enumerate(skeleton.ranges):
        given_in = frames[skeleton.carrier(e)] if skeleton.carrier(e) >= 0 else [(np.eye(3), 0.0)]
        # A bone of length 0 tells no direction, and one at a pole no frame: nothing is known below.
        known = bool(given_in) and o_up[e, 0] > 0 and all(error < 1e-3 for _, error in given_in)
        mine = []
        for frame, error in given_in if known else []:
            tolerance = DIRECTION + error
            for turn, factor in fitting_turns(edge, frame.T @ directions[e], tolerance):
                mine.append((frame @ turn, tolerance * factor))
        frames.append(mine)
        judged += known
        outside += known and not mine
    return outside, judged


@given(skeletons(max_joints=10), SEED)
@settings(max_examples=60)
def test_every_up_angle_lies_in_its_range(skeleton: Skeleton, seed: int) -> None:
    for pose in every(skeleton, seed, stop=12).o_up:
        assert leaks(skeleton, pose)[0] == 0


@pytest.mark.parametrize("name", builtin_skeletons())
def test_every_up_angle_lies_in_its_range_on_shipped_skeletons(name: str) -> None:
    skeleton = load_skeleton(name)
    counts = np.array([leaks(skeleton, pose) for pose in every(skeleton, stop=60).o_up])
    assert counts[:, 0].sum() == 0
    assert counts[:, 1].sum() > 0.8 * 60 * skeleton.edges


@pytest.mark.parametrize("frame", ["world", "parent"])
@pytest.mark.parametrize("wrong", ["phi: [10, 49]", "phi: [11, 50]", "phi: [100, 140]", "theta: [30, 59.5]"])
def test_a_pose_outside_its_range_is_seen(frame: str, wrong: str) -> None:
    def skeleton(**fields: str) -> Skeleton:
        return chain(4, frame=frame, **{"theta": "[30, 60]", "phi": "[10, 50]", **fields})

    key, value = wrong.split(": ", 1)
    poses = every(skeleton(), stop=120).o_up
    assert sum(leaks(skeleton(), pose)[0] for pose in poses) == 0
    assert sum(leaks(skeleton(**{key: value}), pose)[0] for pose in poses) > 1


# One sample is a function of its index alone.


@given(skeletons(sampling=True), SEED, START, st.lists(st.integers(0, 40), max_size=4))
@settings(max_examples=40)
def test_splitting_a_range_changes_nothing(skeleton: Skeleton, seed: int, start: int, cuts: list[int]) -> None:
    whole = every(skeleton, seed, start, start + 40)
    edges = [0, *sorted(cuts), 40]
    for a, b in pairwise(edges):
        part = every(skeleton, seed, start + a, start + b)
        for name in FIELDS:
            assert getattr(part, name).tobytes() == getattr(whole, name)[a:b].tobytes()


@cache
def all_on() -> Skeleton:
    """The shipped human, every option in use."""
    human = load_skeleton("human")
    given = {"distance": (human.reach + 1, 50.0), "noise": 0.05, "missing": 0.3, "yaw": (-30.0, 200.0)}
    return replace(human, sampling=replace(human.sampling, **given))


SIZE = 3 * 8192 + 1000  # several of the pieces that threads share, and a rest


@pytest.fixture(scope="module")
def whole() -> Batch:
    return every(all_on(), seed=3, start=100, stop=100 + SIZE)


@pytest.mark.parametrize("threads", [2, 3, None])
def test_threads_change_nothing(whole: Batch, threads: int | None) -> None:
    assert_same(every(all_on(), 3, 100, 100 + SIZE, threads), whole)


@pytest.mark.parametrize("size", [1, 7, 16, 255, 256, 257, 4096])
@pytest.mark.parametrize("order", ["forward", "reversed", "shuffled"])
def test_batches_in_any_order_change_nothing(whole: Batch, size: int, order: str) -> None:
    count = min(SIZE, 200 * size)
    starts = np.arange(0, count, size)
    shuffled = np.random.default_rng(0).permutation(starts)
    starts = {"forward": starts, "reversed": starts[::-1], "shuffled": shuffled}[order]
    for at in starts.tolist():
        stop = min(at + size, count)
        part = sample(all_on(), 3, 100 + at, 100 + stop, threads=1)
        assert part.p2d.tobytes() == whole.p2d[at:stop].tobytes()
        assert part.o.tobytes() == whole.o[at:stop].tobytes()


@pytest.mark.parametrize("names", [["o"], ["p2d"], ["visibility"], ["rotation", "o_up"], ["p3d", "p2d"], list(FIELDS)])
def test_what_is_asked_for_changes_nothing(whole: Batch, names: list[str]) -> None:
    skeleton = all_on()
    arrays = {name: np.full((500, *field_shape(skeleton, name)), 7, field_dtype(name)) for name in names}
    sample_into(skeleton, 3, 100, arrays)
    for name in names:
        assert arrays[name].tobytes() == getattr(whole, name)[:500].tobytes()


def test_a_thread_of_another_skeleton_changes_nothing(whole: Batch) -> None:
    """Plans and scratch are kept for each skeleton and thread: nothing leaks from one to another."""
    others = [chain(n) for n in (1, 40, 3)]

    def mixed(k: int) -> Batch:
        every(others[k % 3], stop=300)
        return every(all_on(), 3, 100, 400)

    with ThreadPoolExecutor(4) as pool:
        for part in pool.map(mixed, range(24)):
            assert part.o.tobytes() == whole.o[:300].tobytes()
            assert part.p2d.tobytes() == whole.p2d[:300].tobytes()


def _in_a_child(connection: object) -> None:
    connection.send_bytes(every(all_on(), 3, 100, 20_000, threads=2).o.tobytes())  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_after_threads_works_and_changes_nothing(whole: Batch) -> None:
    """DataLoader workers are forks of a process that has sampled already."""
    every(all_on(), 3, 100, 100 + SIZE, threads=2)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_in_a_child, args=(there,))
    child.start()
    assert here.poll(60)
    assert here.recv_bytes() == whole.o[:19_900].tobytes()
    child.join(10)
    assert child.exitcode == 0


def test_a_pickled_skeleton_makes_the_same_samples(whole: Batch) -> None:
    assert_same(every(pickle.loads(pickle.dumps(all_on())), 3, 100, 100 + SIZE), whole)


# Camera, noise, missing joints.


OPTIONS = {
    "distance": {"distance": (9.0, 20.0)},
    "noise": {"noise": 0.1},
    "missing": {"missing": 0.25},
    "all": {"distance": (9.0, 20.0), "noise": 0.1, "missing": 0.25},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_options_change_p2d_alone(option: str) -> None:
    plain = load_skeleton("quadruped")
    changed = replace(plain, sampling=replace(plain.sampling, **OPTIONS[option]))
    a, b = every(plain, stop=1000), every(changed, stop=1000)
    for name in ("o", "p3d", "o_up", "rotation"):
        assert np.array_equal(getattr(a, name), getattr(b, name))
    assert not np.array_equal(a.p2d, b.p2d)
    assert b.visibility.all() == (option in ("distance", "noise"))


def test_one_option_leaves_the_draws_of_another() -> None:
    plain = load_skeleton("quadruped")
    only, both = (
        every(replace(plain, sampling=replace(plain.sampling, **OPTIONS[name])), stop=1000)
        for name in ("missing", "all")
    )
    assert np.array_equal(only.visibility, both.visibility)


@given(skeletons(sampling=True), SEED)
@settings(max_examples=40)
def test_unseen_is_nan_and_seen_is_a_number(skeleton: Skeleton, seed: int) -> None:
    batch = every(skeleton, seed, stop=300)
    assert np.array_equal(np.isnan(batch.p2d).any(axis=-1), ~batch.visibility)
    assert np.array_equal(np.isnan(batch.p2d).all(axis=-1), ~batch.visibility)
    if skeleton.sampling.missing in (0, 1):
        assert (batch.visibility == (skeleton.sampling.missing == 0)).all()


@pytest.mark.parametrize("option", [{"missing": 1e-12}, {"noise": 1e-60}, {"missing": 1e-12, "noise": 1e-60}])
def test_an_option_too_small_to_matter_changes_nothing(option: dict[str, float]) -> None:
    plain = load_skeleton("quadruped")
    assert_same(every(replace(plain, sampling=replace(plain.sampling, **option)), stop=1000), every(plain, stop=1000))


@pytest.mark.parametrize("distance", ["[0, 5]", "[2, 5]", "[3.0, 9]"])
def test_a_camera_among_the_joints_is_refused(distance: str) -> None:
    """Three bones of at most 1: a camera at 3 could touch the last joint."""
    with pytest.raises(InputError, match=r"sampling\.distance: .*reaches 3 longest edges"):
        chain(3, f"distance: {distance}")
    assert np.isfinite(sample(chain(3, "distance: [3.1, 3.1]"), stop=10_000).p2d).all()


@given(skeletons(), SEED)
@settings(max_examples=40)
def test_no_joint_is_farther_than_the_reach(skeleton: Skeleton, seed: int) -> None:
    p3d = every(skeleton, seed, stop=300).p3d.astype(float)
    assert np.linalg.norm(p3d, axis=-1).max() <= skeleton.reach * (1 + 1e-5)


def test_perspective_of_a_far_camera_is_orthographic() -> None:
    plain = load_skeleton("quadruped")
    far = replace(plain, sampling=replace(plain.sampling, distance=(1e6, 1e6)))
    np.testing.assert_allclose(sample(far, stop=1000).p2d, sample(plain, stop=1000).p2d, atol=2e-5)


# The ends of ranges.  Of 2^24 values a draw can take, these samples of seed 0 have drawn the least and the most.

ENDS = {
    # stream and word: (sample with the least draw, sample with the greatest)
    (naive.POSE, 0): (14883995, 38471471),
    (naive.POSE, 1): (17169035, 7113731),
    (naive.POSE, 5): (26671379, 26779717),
    (naive.VIEW, 0): (1159484, 27838773),
    (naive.VIEW, 2): (13702848, 23112411),
    (naive.CAMERA, 0): (707400, 10230839),
    (naive.NOISE, 0): (6916859, 18780469),
}


def at_the_ends(stream: int, word: int, *sampling: str) -> tuple[Batch, Batch]:
    """Two bones that leave the root, the first of length 1, at the least and the greatest draw of a word."""
    least, most = ENDS[stream, word]
    assert naive.word(0, least, stream, word) >> 8 == 0
    assert naive.word(0, most, stream, word) >> 8 == 2**24 - 1
    joints = {
        "a": "parent: root, theta: [30, 60], phi: [-180, 180], length: [1, 1]",
        "b": "parent: root, theta: [30, 60], phi: [-180, 180], length: [0, 1]",
    }
    skeleton = small_skeleton(joints, *sampling)
    assert_twin(skeleton, 0, least, 1)
    assert_twin(skeleton, 0, most, 1)
    return every(skeleton, 0, least, least + 1), every(skeleton, 0, most, most + 1)


def test_angles_reach_one_end_and_come_near_the_other() -> None:
    least, most = at_the_ends(naive.POSE, 0)
    np.testing.assert_allclose([least.o_up[0, 0, 1], most.o_up[0, 0, 1]], np.radians([30, 60]), atol=3e-7)
    least, most = at_the_ends(naive.POSE, 1)
    assert least.o_up[0, 0, 2] == np.float32(np.pi)  # -180 degrees, canonical
    assert 3.141592 < most.o_up[0, 0, 2] < np.float32(np.pi)


def test_a_length_from_0_to_1_is_never_0() -> None:
    least, most = at_the_ends(naive.POSE, 5)
    assert least.o[0, 1, 0] == 2.0**-24
    assert least.o[0, 1, 1] > 0
    assert most.o[0, 1, 0] == 1


def test_rotations_reach_the_poles() -> None:
    at_the_ends(naive.VIEW, 0)
    least, most = at_the_ends(naive.VIEW, 2)
    assert least.rotation[0, 1, 2] == 1
    assert most.rotation[0, 1, 2] == -1 + 2.0**-23
    for batch in (least, most):
        assert np.abs(batch.rotation[0] @ batch.rotation[0].T - np.eye(3)).max() < 5e-7


def test_noise_and_distance_at_their_ends() -> None:
    at_the_ends(naive.CAMERA, 0, "distance: [2, 9]")
    least, most = at_the_ends(naive.NOISE, 0, "noise: 1")
    radius = np.hypot(*(least.p2d[0, 0]).astype(float))
    assert radius == pytest.approx(np.sqrt(2 * np.log(2.0**24)), rel=1e-6)  # 5.77 deviations: the most there is
    assert np.abs(most.p2d[0, 0]).max() == 0


@given(st.floats(-720, 720), st.floats(0, 360))
def test_no_draw_lies_above_its_range(low: float, width: float) -> None:
    """In float32, where lo + (hi - lo) may be more than hi."""
    f32 = np.float32
    high = low + width
    for scale in (1 / 180, 1.0):
        ((lo, span),) = _spans([(low, high)], scale)
        assert lo == f32(low * scale)
        for u in (0, 2.0**-24, 0.3, 0.5, 1 - 2.0**-24, 1):
            assert lo <= lo + f32(u) * span <= f32(high * scale)
        assert lo + span >= f32(high * scale) - 2 * np.spacing(max(abs(lo), abs(f32(high * scale))))


# Degenerate skeletons.


def test_edges_of_no_length() -> None:
    joints = {
        "a": "parent: root, theta: [20, 40], phi: [0, 90], length: [0, 0]",
        "b": "parent: a, frame: parent, theta: [20, 40], phi: [0, 90], length: [0, 1]",
        "c": "parent: b, frame: parent, flexion: [20, 40], abduction: [0, 90], length: [0, 0]",
    }
    batch = every(small_skeleton(joints), stop=1000)
    for o in (batch.o, batch.o_up):
        assert (o[:, [0, 2]] == 0).all()
        assert (o[:, 1, 0] == 1).all()
        assert (o[:, 1, 1] > 0).all()
    assert np.array_equal(batch.p3d[:, 0], batch.p3d[:, 1])
    assert np.array_equal(batch.p3d[:, 2], batch.p3d[:, 3])


def test_one_edge_is_always_one() -> None:
    assert (sample(star(1), stop=10_000).o[:, :, 0] == 1).all()


def test_bones_on_the_poles() -> None:
    joints = {
        "up": "parent: root, theta: [0, 0], phi: [-180, 180]",
        "down": "parent: root, theta: [180, 180], phi: [-180, 180]",
        "back": "parent: root, theta: [90, 90], phi: [180, 180]",
        "back_again": "parent: root, theta: [90, 90], phi: [-180, -180]",
    }
    angles = every(small_skeleton(joints, FIXED_VIEW), stop=1000).o_up[:, :, 1:]
    half, pi = np.float32(np.pi / 2), np.float32(np.pi)
    assert (angles == np.array([[0, 0], [pi, 0], [half, pi], [half, pi]], np.float32)).all()


def assert_sane(skeleton: Skeleton, count: int) -> None:
    for start in range(0, count, 100_000):
        batch = every(skeleton, 11, start, start + 100_000, threads=None)
        assert_canonical(batch.o)
        assert_canonical(batch.o_up)
        assert (batch.o[:, :, 0].max(axis=1) == 1).all()
        for name in ("p2d", "o", "p3d", "o_up", "rotation"):
            assert np.isfinite(getattr(batch, name)).all(), name


def test_a_million_samples_hold_no_nan() -> None:
    assert_sane(load_skeleton("quadruped"), 600_000)
    assert_sane(load_skeleton("human"), 400_000)


@pytest.mark.long
@pytest.mark.parametrize("name", builtin_skeletons())
def test_ten_million_samples_hold_no_nan(name: str) -> None:
    assert_sane(load_skeleton(name), 10_000_000)


@pytest.mark.long
def test_cost_grows_linearly_with_joints() -> None:
    def seconds_a_joint(skeleton: Skeleton) -> float:
        count = 2_000_000 // skeleton.edges
        arrays = {name: np.empty((count, *field_shape(skeleton, name)), np.float32) for name in ("p2d", "o")}
        times = []
        for _ in range(5):
            began = time.perf_counter()
            sample_into(skeleton, 0, 0, arrays)
            times.append(time.perf_counter() - began)
        return min(times) / count / skeleton.edges

    small = seconds_a_joint(star(32))
    assert seconds_a_joint(star(256)) < 2 * small
    assert seconds_a_joint(star(1023)) < 3 * small


# What is refused.


def test_fields_and_shapes() -> None:
    skeleton = load_skeleton("quadruped")
    batch = every(skeleton, stop=3)
    for name in FIELDS:
        array = getattr(batch, name)
        assert array.shape == (3, *field_shape(skeleton, name))
        assert array.dtype == field_dtype(name)
        assert array.flags.c_contiguous
    plain = sample(skeleton, stop=3)
    assert len(plain) == 3
    assert (plain.p3d, plain.o_up, plain.rotation, plain.visibility) == (None,) * 4
    assert sample(skeleton, start=5, stop=5).o.shape == (0, 15, 3)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(InputError, match=r"no array is called 'rotaton'.*did you mean 'rotation'"):
        sample(load_skeleton("quadruped"), extras=("rotaton",))


def _read_only(array: NDArray[np.float32]) -> NDArray[np.float32]:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"p2d": np.empty((4, 16, 3), np.float32)},
        {"p2d": np.empty((4, 16, 2))},
        {"p2d": np.empty((4, 16, 2), ">f4")},
        {"p2d": np.empty((4, 2, 16), np.float32).transpose(0, 2, 1)},
        {"p2d": np.empty((8, 16, 2), np.float32)[::2]},
        {"p2d": np.empty((4, 32), np.float32)},
        {"p2d": np.empty((), np.float32)},
        {"p2d": np.empty((4, 16, 2), np.float32), "o": np.empty((5, 15, 3), np.float32)},
        {"o": _read_only(np.empty((4, 15, 3), np.float32))},
        {"visibility": np.empty((4, 16), np.uint8)},
        {"depth": np.empty((4, 16), np.float32)},
    ],
)
def test_arrays_of_another_make_are_refused(arrays: dict[str, NDArray[np.float32]]) -> None:
    with pytest.raises(InputError, match=r"^(p2d|o|visibility|arrays): "):
        sample_into(load_skeleton("quadruped"), 0, 0, arrays)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_threads_that_do_not_exist_are_refused(threads: int) -> None:
    with pytest.raises(InputError, match=r"^threads: "):
        sample(load_skeleton("quadruped"), threads=threads)
