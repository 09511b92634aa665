"""From motion to a population: what is read, drawn and kept out, and what is refused."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from real_data import DATA, real

import posesynth
from posesynth import InputError, load_skeleton, sample
from posesynth.ancestors import Evolved, evolve
from posesynth.conditional_ranges import range_left
from posesynth.coverage import JointMap, load_map
from posesynth.kinematics import forward
from posesynth.motion import Motion, load_motion

HUMAN = load_skeleton("human")
STILL = JointMap(forward="-y", source="still.yaml")  # as samples do, it faces -y in every frame


def drawn_motion(count: int = 60, seed: int = 0) -> Motion:
    """A clip of the skeleton's own samples, in metres, walking away."""
    upright = sample(HUMAN, seed, 0, count, extras=("o_up",)).o_up
    positions = 0.45 * forward(upright, HUMAN).astype(float)
    return Motion(positions + np.arange(count)[:, None, None] * [0, 0.1, 0], HUMAN.joints, source="clip.npz")


def upright_bones(evolved: Evolved, count: int) -> np.ndarray:
    """(count, E, 3) the upright bones of the first poses in the order of birth."""
    o_up = evolved.sample(0, len(evolved), extras=("o_up",)).o_up
    joints = forward(o_up[np.argsort(evolved.born)[:count]], HUMAN)
    return joints[:, 1:] - joints[:, HUMAN.parents[1:]]


def test_the_initial_poses_are_those_of_the_motion() -> None:
    motion = drawn_motion()
    evolved = evolve(HUMAN, motion, STILL, seed=4)
    assert (evolved.initial, evolved.frames, evolved.outside, evolved.unseen) == (60, 60, 0, 0)
    assert len(evolved) == 150
    joints = (
        motion.positions
        / np.linalg.norm(motion.positions[:, 1:] - motion.positions[:, HUMAN.parents[1:]], axis=2).max(axis=1)[
            :, None, None
        ]
    )
    bones = joints[:, 1:] - joints[:, HUMAN.parents[1:]]
    np.testing.assert_allclose(upright_bones(evolved, 60), bones, atol=1e-5)
    assert sorted(evolved.born.tolist()) == list(range(150))


def test_a_motion_file_is_named_with_its_digest(tmp_path: Path) -> None:
    motion = drawn_motion()
    np.savez(tmp_path / "walk.npz", positions=motion.positions, names=HUMAN.joints)
    evolved = evolve(HUMAN, [load_motion(tmp_path / "walk.npz"), drawn_motion(20, seed=1)], STILL, target=100)
    one, two = evolved.ancestry.sources
    assert (one.name, one.frames, one.poses) == ("walk.npz", 60, 60)
    assert one.sha256 == hashlib.sha256((tmp_path / "walk.npz").read_bytes()).hexdigest()
    assert (two.name, two.frames, two.poses, two.sha256) == ("clip.npz", 20, 20, None)
    assert evolved.ancestry.joint_map == "still.yaml"


def test_poses_outside_the_ranges_and_frames_without_one_are_kept_out() -> None:
    motion = drawn_motion()
    hand, elbow = HUMAN.joints.index("left_wrist"), HUMAN.joints.index("left_elbow")
    shoulder = HUMAN.joints.index("left_shoulder")
    # The forearm folded back along the upper arm: the elbow bends by 150 at most.
    motion.positions[:7, hand] = motion.positions[:7, shoulder] * 0.7 + motion.positions[:7, elbow] * 0.3
    motion.positions[10:15] = np.nan
    evolved = evolve(HUMAN, motion, STILL)
    assert (evolved.initial, evolved.frames, evolved.outside, evolved.unseen) == (48, 60, 7, 5)
    assert evolved.ancestry.sources[0].poses == 48


def test_bones_that_the_motion_does_not_know_are_drawn_within_their_ranges() -> None:
    absent = ("head", "left_wrist", "right_foot")
    evolved = evolve(HUMAN, drawn_motion(200), JointMap(forward="-y", absent=absent), generations=0)
    assert evolved.initial == len(evolved) == 200
    initial = evolved.ancestry.initial
    head, wrist, twin = (HUMAN.joints.index(name) - 1 for name in ("head", "left_wrist", "right_wrist"))
    flexion = 180 * initial[:, head, 0].astype(float)
    assert flexion.min() < -65
    assert flexion.max() > 5
    assert ((flexion >= -70) & (flexion <= 10)).all()
    # The length is that of the other side, or else drawn at the scale of the bones that were seen.
    np.testing.assert_allclose(initial[:, wrist, 2], initial[:, twin, 2], rtol=1e-6)
    thigh = initial[:, HUMAN.joints.index("right_knee") - 1, 2]
    assert np.median(initial[:, head, 2] / thigh) == pytest.approx(0.09 / 0.245, rel=0.1)
    assert len(np.unique(initial[:, head, 2])) > 150
    again = evolve(HUMAN, drawn_motion(200), JointMap(forward="-y", absent=absent), generations=0)
    assert again.ancestry.digest == evolved.ancestry.digest


def test_bones_are_drawn_within_what_other_angles_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = ("left_foot", "right_foot", "left_elbow", "left_wrist")
    motion, joint_map = drawn_motion(300), JointMap(forward="-y", absent=absent)
    evolved = evolve(HUMAN, motion, joint_map, generations=0)
    assert (evolved.initial, evolved.outside) == (300, 0)
    thigh, shank = (HUMAN.joints.index(name) - 1 for name in ("left_knee", "left_foot"))
    bent = 180 * evolved.ancestry.initial[:, shank, 0]
    forward = 180 * evolved.ancestry.initial[:, thigh, 0] % 360 < 180
    assert bent[forward].max() > 135
    assert bent[~forward].max() < 140
    hulls = replace(HUMAN, ranges=tuple(replace(r, first_given=None, second_given=None) for r in HUMAN.ranges))
    monkeypatch.setattr("posesynth.ancestors.range_left", lambda skeleton, *rest: range_left(hulls, *rest))
    assert evolve(HUMAN, motion, joint_map, generations=0).outside > 30


def test_equal_poses_and_seed_give_equal_bytes() -> None:
    made = [
        evolve(HUMAN, drawn_motion(), STILL, target=400, seed=seed, threads=t) for seed, t in ((1, 1), (1, 3), (2, 1))
    ]
    first, again, other = (evolved.sample(0, 400) for evolved in made)
    assert first.p2d.tobytes() == again.p2d.tobytes()
    assert first.o.tobytes() == again.o.tobytes()
    assert first.o.tobytes() != other.o.tobytes()
    assert made[0].sample(100, 130).o.tobytes() == first.o[100:130].tobytes()


def test_the_set_and_the_population_hold_the_same_samples(tmp_path: Path) -> None:
    skeleton = HUMAN.with_sampling(noise=0.02, missing=0.1, distance=(8, 20))
    evolved = posesynth.evolve(skeleton, drawn_motion(), STILL, target=300)
    posesynth.store.generate(evolved.plan(shard=100, arrays=("p2d", "o", "visibility")), tmp_path / "a.zarr")
    stored, made = posesynth.open(tmp_path / "a.zarr")[:], evolved.sample(0, 300, extras=("visibility",))
    for name in ("p2d", "o", "visibility"):
        assert getattr(stored, name).tobytes() == getattr(made, name).tobytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": 59}, "target: is 59; expected at least the 60 initial poses, which stay"),
        ({"target": 2**31}, "target: is 2147483648; expected a whole number from 1 to 2147483647"),
        ({"target": 100, "generations": 3}, "target: is given beside generations; expected one of the two"),
        ({"generations": -1}, "generations: is -1; expected"),
        ({"generations": 1.5}, "generations: is 1.5; expected"),
        ({"seed": -1}, "seed: is -1; expected"),
        ({"threads": 0}, "threads: is 0; expected"),
        ({"motions": []}, "motions: there is none; expected at least one"),
        ({"motions": 1}, "clip.npz: 1 of 1 poses lies in the ranges of 'human'; expected two or more"),
        ({"motions": 0}, "clip.npz:"),
        ({"skeleton": "human"}, "skeleton: is 'human'; expected what posesynth.load_skeleton gives"),
        ({"joint_map": JointMap(forward="-y", joints={"head": ("skull",)})}, "has no 'skull'"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], said: str) -> None:
    given = {"skeleton": HUMAN, "motions": 60, "joint_map": STILL, **options}
    if isinstance(given["motions"], int):
        given["motions"] = drawn_motion(given["motions"])
    with pytest.raises(InputError, match=re.escape(said)):
        evolve(**given)  # type: ignore[arg-type]


def test_a_motion_that_shows_no_bone_is_refused() -> None:
    motion = drawn_motion()
    motion.positions[:, 1:] = np.nan
    with pytest.raises(InputError, match="no bone of 'human' is seen in any frame; expected poses"):
        evolve(HUMAN, motion, STILL)


def test_more_poses_than_a_set_can_carry_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posesynth.ancestors.MOST_BYTES", 10_000)
    with pytest.raises(InputError, match="60 poses in range; expected at most 52, which a set can carry"):
        evolve(HUMAN, drawn_motion(), STILL)


@real
def test_real_walks_evolve() -> None:
    clips = sorted((DATA / "human_cmu_bvh").glob("*.bvh"))
    evolved = evolve(HUMAN, [load_motion(path) for path in clips], load_map("human-cmu-bvh", HUMAN), target=3000)
    assert evolved.initial + evolved.outside == evolved.frames == sum(s.frames for s in evolved.ancestry.sources)
    assert evolved.initial > 0.8 * evolved.frames
    # Evolved poses lie near the walks, but are not the walks: bones turn by some ten degrees from the nearest.
    bones = upright_bones(evolved, 3000)
    unit = bones / np.linalg.norm(bones, axis=2, keepdims=True)
    knees = [HUMAN.joints.index(name) - 1 for name in ("left_knee", "right_knee", "left_elbow", "right_elbow")]
    real, bred = unit[: evolved.initial][:, knees], unit[evolved.initial :][::10][:, knees]
    arcs = np.degrees(np.arccos(np.clip(np.einsum("iec,jec->ije", bred, real), -1, 1))).mean(axis=2).min(axis=1)
    assert 1 < np.median(arcs) < 20
