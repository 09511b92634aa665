"""Evolution: the operators' laws, their slow twin, and that nothing but poses and seed decides a population."""

import math
from dataclasses import replace

import naive_evolution
import numpy as np
import pytest
from evolution_poses import drawn_poses, individuals
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_skeletons import chain, small_skeleton, star
from strategies import skeletons

from posesynth import InputError, load_skeleton, sample
from posesynth.conditional_ranges import range_left
from posesynth.coverage.angles import carried, excess, weights
from posesynth.evolution import evolved_into, grow, in_range
from posesynth.evolution.operators import (
    bones_to_turn,
    breed,
    cross,
    draw_lengths,
    pair_up,
    subtrees,
    tables,
    turn_bones,
    turn_pose,
)
from posesynth.evolution.population import first_generation
from posesynth.rng import BLOCK
from posesynth.sampler import field_dtype, field_shape
from posesynth.skeleton import Skeleton

HUMAN = load_skeleton("human")
Genes = NDArray[np.float32]


def angles_of(genes: Genes, edges: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and second angles in degrees."""
    return 180 * genes[:, :edges].astype(float), 180 * genes[:, edges : 2 * edges].astype(float)


def arcs_outside(skeleton: Skeleton, genes: Genes) -> NDArray[np.float64]:
    """(n, E) degrees of arc outside the ranges, as `posesynth coverage` reckons them."""
    first, second = angles_of(genes, skeleton.edges)
    found = np.empty(first.shape)
    for e, edge in enumerate(skeleton.ranges):
        ranges = [range_left(skeleton, e, which, first, second) for which in (0, 1)]
        out = [np.abs(excess(a[:, e], r)) for a, r in zip((first, second), ranges, strict=True)]
        arcs = [o * w for o, w in zip(out, weights(edge, first[:, e], second[:, e]), strict=True)]
        found[:, e] = np.maximum(*arcs)
    return found


def directions(skeleton: Skeleton, genes: Genes) -> NDArray[np.float64]:
    """(n, E, 3) of the upright bones."""
    first, second = angles_of(genes, skeleton.edges)
    frames: list[NDArray[np.float64]] = []
    for e, edge in enumerate(skeleton.ranges):
        outer = skeleton.carrier(e)
        frame = carried(edge, first[:, e], second[:, e])
        frames.append(frames[outer] @ frame if outer >= 0 else frame)
    return np.stack([frame[..., 2] for frame in frames], axis=1)


def bred(skeleton: Skeleton, count: int, seed: int) -> tuple[Genes, NDArray[np.int32], Genes, NDArray[np.bool_]]:
    """A population, the parents of its next generation, and all its children with whether they are accepted."""
    genes = first_generation(drawn_poses(skeleton, count, seed % 1000))
    parents = pair_up(count, 2 * max(1, int(0.05 * count)), np.uint64(seed), np.uint64(count))
    children = np.empty((len(parents), genes.shape[1]), np.float32)
    accepted = np.empty(len(parents), np.bool_)
    breed(tables(skeleton), genes, parents, np.uint64(seed), np.uint64(count), children, accepted)
    return genes, parents, children, accepted


def crossed(skeleton: Skeleton, which: int) -> tuple[Genes, Genes, Genes, NDArray[np.bool_]]:
    """Father and mother (2, W), son and daughter (2, W), and which edges hang below the joint of the crossover."""
    parents = first_generation(drawn_poses(skeleton, 2))
    parents[1, -4:] = (0.6, 0, 0.8, 0)
    children = parents.copy()
    below = subtrees(skeleton)
    swapped = below[which % len(below)]
    cross(children[0], children[1], swapped)
    return parents, children, below, swapped


@settings(max_examples=25)
@given(skeletons(), st.integers(0, 30))
def test_crossover_takes_each_bone_from_one_parent_and_all_lengths_from_one(skeleton: Skeleton, which: int) -> None:
    parents, children, _, swapped = crossed(skeleton, which)
    edges = skeleton.edges
    for own in (0, 1):
        for e in range(edges):
            of = 1 - own if swapped[e] else own
            assert children[own, [e, edges + e]].tobytes() == parents[of, [e, edges + e]].tobytes()
        assert children[own, 2 * edges :].tobytes() == parents[own, 2 * edges :].tobytes()


@settings(max_examples=25)
@given(skeletons(), st.integers(0, 30))
def test_what_is_swapped_is_a_whole_subtree(skeleton: Skeleton, which: int) -> None:
    _, _, below, swapped = crossed(skeleton, which)
    tops = {int(skeleton.parents[e + 1]) for e in np.flatnonzero(swapped) if not _swapped_parent(skeleton, swapped, e)}
    assert len(tops) == 1
    assert all(swapped[e] for e in range(skeleton.edges) if _swapped_parent(skeleton, swapped, e))
    assert len(below) == len(set(skeleton.parents[1:].tolist()))


def _swapped_parent(skeleton: Skeleton, swapped: NDArray[np.bool_], e: int) -> bool:
    parent = int(skeleton.parents[e + 1])
    return parent > 0 and bool(swapped[parent - 1])


@settings(max_examples=40)
@given(skeletons(max_joints=12), st.integers(2, 60), st.integers(0, 2**64 - 1))
def test_one_generation_is_that_of_the_slow_twin(skeleton: Skeleton, count: int, seed: int) -> None:
    genes, parents, children, accepted = bred(skeleton, count, seed)
    twin = naive_evolution.Evolution(skeleton, naive_evolution.counted(seed))
    assert parents.tolist() == twin.parents(count, count)
    expected = twin.generation(individuals(genes, skeleton.edges), count)
    edges = skeleton.edges
    theirs = np.array([np.ravel(c.angles, order="F") for c, _ in expected]) / 180
    theirs = np.hstack([theirs, [[*c.lengths, *c.turn] for c, _ in expected]])
    np.testing.assert_allclose(children[:, 2 * edges :], theirs[:, 2 * edges :], atol=2e-6)
    np.testing.assert_allclose(directions(skeleton, children), directions(skeleton, theirs), atol=1e-4)
    for yes, (_, outside) in zip(accepted, expected, strict=True):
        if abs(outside - 1e-3) > 8e-4:
            assert yes == (outside < 1e-3)


@settings(max_examples=25)
@given(skeletons(max_joints=12), st.integers(0, 2**64 - 1))
def test_all_of_a_population_lie_in_range(skeleton: Skeleton, seed: int) -> None:
    initial = drawn_poses(skeleton, 20, seed % 1000)
    assert in_range(skeleton, initial).all()
    genes, _ = grow(skeleton, seed, initial, target=60)
    assert len(genes) == 60
    assert genes[:20].tobytes() == first_generation(initial).tobytes()
    assert (arcs_outside(skeleton, genes) < 1.1e-3).all()


def test_selection_rejects_what_leaves_its_range() -> None:
    _, _, children, accepted = bred(HUMAN, 2000, 5)
    outside = (arcs_outside(HUMAN, children) > 1e-3).any(axis=1)
    assert 0.02 < outside.mean() < 0.9
    assert (accepted == ~outside).all()


def test_an_upper_arm_out_of_range_is_rejected() -> None:
    """The published code compared where it should have assigned, so that no upper limb was ever rejected."""
    arm = HUMAN.joints.index("left_elbow") - 1
    poses = drawn_poses(HUMAN, 400)
    assert in_range(HUMAN, poses).all()
    poses[::2, arm, :2] = -60 / 180, 0  # flexion [0, 242]
    assert in_range(HUMAN, poses).tolist() == 200 * [False, True]
    genes = first_generation(poses)
    parents = np.arange(400, dtype=np.int32)
    children, accepted = np.empty_like(genes), np.empty(400, np.bool_)
    breed(tables(HUMAN), genes, parents, np.uint64(0), np.uint64(400), children, accepted)
    back = (children[:, arm] > -117 / 180) & (children[:, arm] < -1 / 180)
    assert back.sum() > 100
    assert not accepted[back].any()


def test_a_shank_that_the_thigh_does_not_let_bend_is_rejected() -> None:
    """The knee bends by 150 somewhere, but only by 110 with the thigh behind."""
    thigh, shank = (HUMAN.joints.index(name) - 1 for name in ("left_knee", "left_foot"))
    assert HUMAN.ranges[shank].first_given is not None
    poses = drawn_poses(HUMAN, 400)
    poses[:, thigh, :2] = -144 / 180, 0  # flexion 216
    poses[:, shank, 0] = np.where(np.arange(400) % 2, 109, 111) / 180
    assert in_range(HUMAN, poses).tolist() == 200 * [False, True]
    parents = np.arange(400, dtype=np.int32)
    for skeleton in (HUMAN, without_tables(HUMAN)):
        genes = first_generation(poses)
        children, accepted = np.empty_like(genes), np.empty(400, np.bool_)
        breed(tables(skeleton), genes, parents, np.uint64(0), np.uint64(400), children, accepted)
        bent = (children[:, shank] > 110.1 / 180) & (children[:, thigh] == np.float32(-144 / 180))
        assert bent.sum() > 100
        assert accepted[bent].any() == (skeleton is not HUMAN)


def without_tables(skeleton: Skeleton) -> Skeleton:
    """The same with the whole of each range that depends on another angle."""
    return replace(skeleton, ranges=tuple(replace(r, first_given=None, second_given=None) for r in skeleton.ranges))


@pytest.mark.parametrize("which", ["left_knee", "head", "spine", "right_elbow"])
def test_every_first_bone_can_be_rejected(which: str) -> None:
    e = HUMAN.joints.index(which) - 1
    poses = drawn_poses(HUMAN, 4)
    _, high = HUMAN.ranges[e].second if HUMAN.ranges[e].angles == "flexion" else HUMAN.ranges[e].first
    poses[1, e, int(HUMAN.ranges[e].angles == "flexion")] = (high + 2) / 180
    assert in_range(HUMAN, poses).tolist() == [True, False, True, True]


def turned(skeleton: Skeleton, count: int) -> tuple[Genes, Genes]:
    """One pose, and `count` times itself after local mutation of all its bones."""
    before = np.repeat(first_generation(drawn_poses(skeleton, 1)), count, axis=0)
    after, edges = before.copy(), skeleton.edges
    bones, everything = np.empty(BLOCK * edges + 1, np.int32), np.ones((1, edges), np.bool_)
    rows, words, where = np.zeros(3 * BLOCK, np.float32), np.zeros(4 * BLOCK, np.uint32), np.zeros(2 * BLOCK, np.uint64)
    drawn = np.random.default_rng(0).integers(0, 2**32, BLOCK * edges, np.uint32)
    for c in range(0, count, BLOCK):
        here = after[c : c + BLOCK]
        found = bones_to_turn(everything, np.zeros(len(here), np.int32), drawn, bones)
        flexed, first = tables(skeleton).flexed, np.uint64(c)
        turn_bones(flexed, here, bones[:found], 2, np.uint64(3), first, rows, words, where)
    return before, after


def test_local_mutation_turns_three_bones_of_ten_by_ten_degrees() -> None:
    skeleton = star(24, theta="[60, 120]", phi="[-30, 30]")
    before, after = (directions(skeleton, genes) for genes in turned(skeleton, 4000))
    cosines = np.clip(np.sum(before * after, axis=2), -1, 1)
    moved = cosines < 1 - 1e-9
    assert abs(moved.mean() - 0.3) < 5 * math.sqrt(0.3 * 0.7 / moved.size)
    # A turn by an angle of standard deviation s about a random axis moves a direction by s sqrt(2 / 3).
    spread = np.sqrt(np.mean(np.degrees(np.arccos(cosines[moved])) ** 2))
    assert abs(spread - 10 * math.sqrt(2 / 3)) < 0.3


def test_global_mutation_turns_the_pose_by_thirty_degrees() -> None:
    """The published code did not pass the figure on, and turned by 60."""
    genes = np.tile(np.array([1, 0, 0, 0], np.float32), (20_000, 1))
    for c, words in enumerate(np.random.default_rng(1).integers(0, 2**32, (len(genes), 4), np.uint32)):
        turn_pose(genes[c], 0, np.repeat(words, BLOCK), 0)
    np.testing.assert_allclose(np.linalg.norm(genes, axis=1), 1, atol=1e-6)
    angles = 2 * np.degrees(np.arccos(np.clip(np.abs(genes[:, 0]), 0, 1)))
    assert abs(np.sqrt(np.mean(angles**2)) - 30) < 1
    axes = genes[:, 1:] / np.linalg.norm(genes[:, 1:], axis=1, keepdims=True)
    np.testing.assert_allclose(axes.T @ axes / len(axes), np.eye(3) / 3, atol=0.02)


def test_a_tenth_of_the_children_are_turned_and_half_have_new_lengths() -> None:
    genes, parents, children, _ = bred(HUMAN, 40_000, 9)
    own = genes[parents]
    turn = (children[:, -4:] != own[:, -4:]).any(axis=1).mean()
    lengths = (children[:, 32:48] != own[:, 32:48]).any(axis=1).mean()
    assert abs(turn - 0.1) < 5 * math.sqrt(0.09 / len(own))
    assert abs(lengths - 0.5) < 5 * math.sqrt(0.25 / len(own))


@settings(max_examples=25)
@given(skeletons())
def test_new_lengths_are_the_skeletons_and_shared_by_symmetric_bones(skeleton: Skeleton) -> None:
    edges = skeleton.edges
    genes = first_generation(drawn_poses(skeleton, 30))
    words = np.random.default_rng(1).integers(0, 2**32, BLOCK * edges, np.uint32)
    for c in range(30):
        draw_lengths(tables(skeleton), genes[c], words, c, np.empty(edges, np.float32))
    lengths = genes[:, 2 * edges : 3 * edges].astype(float)
    assert (lengths.max(axis=1) == 1).all()
    if skeleton.sampling.symmetric_lengths:
        for a, b in skeleton.symmetric:
            assert (lengths[:, a] == lengths[:, b]).all()
    scale = np.array([edge.length[1] for edge in skeleton.ranges]).max()
    for e, edge in enumerate(skeleton.ranges):
        assert (lengths[:, e] * scale >= edge.length[0] * (1 - 1e-5)).all()


def test_parents_are_drawn_without_replacement_and_all_alike() -> None:
    drawn = [pair_up(50, 20, np.uint64(seed), np.uint64(50)) for seed in range(4000)]
    assert all(len(set(parents.tolist())) == 20 for parents in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=50)
    expected = 4000 * 20 / 50
    assert np.sum((counts - expected) ** 2 / expected) / 0.6 < 110  # chi squared of 49 degrees of freedom


def test_a_population_begins_every_larger_one_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    initial = drawn_poses(HUMAN, 500)
    monkeypatch.setattr("posesynth.evolution.population._CHUNK", 7 * 2)
    small, _ = grow(HUMAN, 3, initial, target=700, threads=1)
    for threads in (1, 3):
        large, generations = grow(HUMAN, 3, initial, target=2000, threads=threads)
        assert large[:700].tobytes() == small.tobytes()
    by_generation, done = grow(HUMAN, 3, initial, generations=generations - 1, threads=2)
    assert done == generations - 1
    assert len(by_generation) < 2000
    assert by_generation.tobytes() == large[: len(by_generation)].tobytes()


def test_seeds_differ_and_repeat() -> None:
    initial = drawn_poses(HUMAN, 50)
    once, again, other = (grow(HUMAN, seed, initial, target=100)[0] for seed in (1, 1, 2))
    assert once.tobytes() == again.tobytes()
    assert (once[50:] != other[50:]).any(axis=1).all()


def test_progress_counts_the_poses() -> None:
    told: list[int] = []
    grow(HUMAN, 0, drawn_poses(HUMAN, 10), target=25, progress=told.append)
    assert sum(told) == 15


def test_where_no_child_comes_into_range_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posesynth.evolution.population._FRUITLESS", 5)
    outside = drawn_poses(HUMAN, 10)
    outside[:, 3, 0] = 0.0  # theta [70, 110]
    with pytest.raises(InputError, match="no child of 5 generations lies in the ranges of 'human'"):
        grow(HUMAN, 0, outside, target=25)


def seen(
    skeleton: Skeleton, seed: int, genes: Genes, start: int, count: int, threads: int = 1
) -> dict[str, np.ndarray]:
    names = ("p2d", "o", "p3d", "o_up", "rotation", "visibility")
    arrays = {name: np.empty((count, *field_shape(skeleton, name)), field_dtype(name)) for name in names}
    evolved_into(skeleton, seed, genes, start, arrays, threads)
    return arrays


@settings(max_examples=25)
@given(skeletons(max_joints=12, sampling=True), st.integers(0, 2**64 - 1))
def test_a_pose_is_seen_as_the_generators_sample_of_its_number(skeleton: Skeleton, seed: int) -> None:
    assert_seen_as_samples(skeleton, seed)


def test_a_pose_is_seen_in_the_usual_view_where_the_generators_sample_is() -> None:
    assert HUMAN.sampling.usual_pitch is not None
    assert_seen_as_samples(HUMAN, 1)


def assert_seen_as_samples(skeleton: Skeleton, seed: int) -> None:
    poses = drawn_poses(skeleton, 300, seed % 1000)
    genes = first_generation(poses)
    made = seen(skeleton, seed, genes, 0, 300)
    theirs = sample(skeleton, seed, 0, 300, extras=("rotation", "visibility"))
    assert np.array_equal(made["rotation"], theirs.rotation)
    assert np.array_equal(made["visibility"], theirs.visibility)
    upright = directions(skeleton, genes)
    lengths = poses[..., 2].astype(float)
    np.testing.assert_allclose(made["o"][..., 0], lengths, atol=1e-6)
    bones = np.einsum("tij,tej->tei", made["rotation"].astype(float), lengths[..., None] * upright)
    joints = np.zeros((300, skeleton.edges + 1, 3))
    for e, parent in enumerate(skeleton.parents[1:]):
        joints[:, e + 1] = joints[:, parent] + bones[:, e]
    np.testing.assert_allclose(made["p3d"], joints, atol=1e-4)


def test_a_turned_pose_is_turned_before_it_is_seen() -> None:
    genes = np.repeat(first_generation(drawn_poses(HUMAN, 1)), 2, axis=0)
    half = math.radians(40) / 2
    genes[1, -4:] = (math.cos(half), 0, math.sin(half), 0)
    skeleton = HUMAN.with_sampling(yaw=(0, 0), pitch=(0, 0), roll=(0, 0))
    made = seen(skeleton, 0, genes, 0, 2)
    np.testing.assert_allclose(made["rotation"][0], np.eye(3), atol=1e-6)
    c, s = math.cos(2 * half), math.sin(2 * half)
    np.testing.assert_allclose(made["rotation"][1], [[c, 0, s], [0, 1, 0], [-s, 0, c]], atol=1e-6)
    np.testing.assert_allclose(made["p3d"][1], made["p3d"][0] @ made["rotation"][1].T, atol=1e-6)
    assert made["o_up"][0].tobytes() == made["o_up"][1].tobytes()


def test_splitting_a_range_of_samples_changes_nothing() -> None:
    genes, _ = grow(HUMAN, 0, drawn_poses(HUMAN, 100), target=20_000)
    whole = seen(HUMAN, 4, genes, 0, 20_000, threads=2)
    part = seen(HUMAN, 4, genes, 9_001, 700)
    for name, array in part.items():
        assert array.tobytes() == whole[name][9_001:9_701].tobytes()


def test_chains_and_single_bones_evolve() -> None:
    for skeleton in (chain(1), chain(5), small_skeleton({"a": "parent: root, theta: [0, 0], phi: [0, 0]"})):
        genes, _ = grow(skeleton, 0, drawn_poses(skeleton, 2), target=8)
        assert len(genes) == 8
