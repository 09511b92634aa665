"""Coverage: what poses drawn from a skeleton, turned, mirrored, damaged or real, must give."""

import json
import re
from dataclasses import replace
from pathlib import Path

import naive
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from real_data import DATA, real
from strategies import skeletons

from posesynth import sample
from posesynth.cli import main
from posesynth.conditional_ranges import source
from posesynth.coverage import Coverage, JointMap, fit, load_map, measure
from posesynth.coverage.angles import carried
from posesynth.coverage.body import facing, heading, poses, swallowed
from posesynth.coverage.fit import smallest_arc
from posesynth.coverage.joint_map import parse_map, shipped_maps
from posesynth.coverage.readings import _reaches_over, read_angles
from posesynth.errors import InputError
from posesynth.motion import Motion, load_motion
from posesynth.schema import parse_skeleton
from posesynth.skeleton import Skeleton, load_skeleton

AS_GIVEN = JointMap(up="z", forward="-y")  # the motion is in the upright axes already

LEGS = """posesynth: 1
name: legs
root: hip
frame: parent
joints:
  chest: {parent: hip, flexion: [-20, 40], abduction: [-20, 20]}
  head: {parent: chest, theta: [10, 60], phi: [-120, -60]}
  left_hip: {parent: hip, theta: [80, 100], phi: [-10, 10], length: [0.5, 1]}
  left_knee: {parent: left_hip, frame: world, flexion: [150, 210], abduction: [-5, 30]}
  left_foot: {parent: left_knee, theta: [5, 120], phi: [-110, -70]}
  right_hip: {mirror: left_hip}
  right_knee: {mirror: left_knee}
  right_foot: {mirror: left_foot}
"""


def about(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows = {"x": [1, 0, 0, 0, c, -s, 0, s, c], "y": [c, 0, s, 0, 1, 0, -s, 0, c], "z": [c, -s, 0, s, c, 0, 0, 0, 1]}
    return np.array(rows[axis]).reshape(3, 3)


def pose(skeleton: Skeleton, first: np.ndarray, second: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N, 3) joints of one pose: the carried frames written as docs/conventions.md has them, bone by bone."""
    joints = [np.zeros(3)]
    frames: list[np.ndarray] = []
    for e, edge in enumerate(skeleton.ranges):
        outer = frames[skeleton.carrier(e)] if skeleton.carrier(e) >= 0 else np.eye(3)
        if edge.angles == "flexion":
            inner = about("x", first[e]) @ about("y", second[e])
        else:
            inner = about("z", second[e]) @ about("y", first[e]) @ about("z", -second[e])
        frames.append(outer @ inner)
        joints.append(joints[skeleton.parents[e + 1]] + lengths[e] * frames[e][:, 2])
    return np.array(joints)


def draw(skeleton: Skeleton, frames: int, seed: int = 0, spread: float = 0.0) -> Motion:
    """Upright poses uniform in the ranges, and up to `spread` degrees beside that."""
    rng = np.random.default_rng(seed)
    angles = np.array([naive.draw_angles(skeleton, lambda e, which: rng.uniform()) for _ in range(frames)])
    first, second = (angles + rng.uniform(-spread, spread, angles.shape)).transpose(2, 0, 1)
    lengths = np.array([[rng.uniform(*r.length) for r in skeleton.ranges] for _ in range(frames)])
    shared = skeleton.symmetric if skeleton.sampling.symmetric_lengths else ()
    for a, b in shared:
        lengths[:, b] = lengths[:, a]
    positions = np.array([pose(skeleton, *angles) for angles in zip(first, second, lengths, strict=True)])
    return Motion(positions, skeleton.joints)


# Laws.


@settings(max_examples=80)
@given(skeletons(max_joints=10), st.integers(0, 2**32))
def test_poses_drawn_from_a_skeleton_lie_inside_it(skeleton: Skeleton, seed: int) -> None:
    # Of two readings of a bone its whole range chooses, and no table does (posesynth.coverage.readings).
    tables = [(e, given) for e, r in enumerate(skeleton.ranges) for given in r.given if given]
    bones = {bone for e, given in tables for bone in (e, source(skeleton, e, given)[0])}
    assume(not any(_reaches_over(skeleton.ranges[bone]) for bone in bones))
    motion = draw(skeleton, 8, seed)
    clear = [t for t in range(8) if not at_a_pole(skeleton, motion.positions[t])]
    if not clear or not np.ptp(motion.positions):
        return
    coverage = measure(skeleton, [replace(motion, positions=motion.positions[clear])], AS_GIVEN)
    assert coverage.inside == 1
    for edge in coverage.edges:
        assert edge.inside == 1
        assert edge.length.inside == 1


def at_a_pole(skeleton: Skeleton, joints: np.ndarray) -> bool:
    """Whether a bone that others are relative to lies where its two angles, and so its frame, cannot be told."""
    first, second = read_angles(skeleton, poses(skeleton, Motion(joints[None], skeleton.joints), AS_GIVEN).directions)
    carriers = {skeleton.carrier(e) for e in range(skeleton.edges)}
    carriers |= {source(skeleton, e, given)[0] for e, r in enumerate(skeleton.ranges) for given in r.given if given}
    for e in carriers - {-1}:
        if skeleton.ranges[e].angles == "flexion":
            clear = abs(np.cos(np.radians(second[0, e]))) > 1e-5
        else:
            clear = 0.001 < first[0, e] < 179.999
        if not clear:  # also where the bone has no length
            return True
    return False


@pytest.mark.parametrize("name", ["quadruped", "mammal", "dog", "human", "hand", "fly", "mouse"])
def test_the_samples_of_a_shipped_skeleton_lie_inside_it(name: str) -> None:
    skeleton = load_skeleton(name)
    o = sample(skeleton, seed=1, start=0, stop=500, extras=("o_up",)).o_up.astype(np.float64)
    theta, phi = o[..., 1], o[..., 2]
    bones = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1) * o[..., :1]
    positions = np.zeros((500, len(skeleton.joints), 3))
    for e, parent in enumerate(skeleton.parents[1:]):
        positions[:, e + 1] = positions[:, parent] + bones[:, e]
    coverage = measure(skeleton, [Motion(positions, skeleton.joints)], AS_GIVEN)
    assert coverage.inside == 1
    assert all(edge.inside == edge.length.inside == 1 for edge in coverage.edges)


@settings(max_examples=100)
@given(skeletons(max_joints=8), st.integers(0, 2**32))
def test_angles_that_are_read_give_the_directions_back(skeleton: Skeleton, seed: int) -> None:
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(4, skeleton.edges, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    first, second = read_angles(skeleton, directions)
    for t in range(4):
        joints = pose(skeleton, first[t], second[t], np.ones(skeleton.edges))
        np.testing.assert_allclose(joints[1:] - joints[skeleton.parents[1:]], directions[t], atol=1e-9)


@given(st.floats(-720, 720), st.floats(-720, 720))
def test_carried_frames_are_those_of_the_conventions(first: float, second: float) -> None:
    flexion, spherical = (load_skeleton("human").ranges[e] for e in (1, 0))
    for edge in (flexion, spherical):
        found = carried(edge, np.array(first), np.array(second))
        if edge.angles == "flexion":
            expected = about("x", first) @ about("y", second)
        else:
            expected = about("z", second) @ about("y", first) @ about("z", -second)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("name", ["legs", "dog", "human", "fly"])
@pytest.mark.parametrize("up", ["x", "-y", "z"])
def test_turning_the_animal_about_the_vertical_changes_nothing(name: str, up: str) -> None:
    skeleton = parse_skeleton(LEGS) if name == "legs" else load_skeleton(name)
    motion = draw(skeleton, 200, spread=15)
    rng = np.random.default_rng(2)
    to_up = {"x": about("y", 90), "-y": about("x", 90), "z": np.eye(3)}[up]
    turned = np.array([to_up @ about("z", rng.uniform(0, 360)) @ p.T * 3 for p in motion.positions])
    turned = np.swapaxes(turned, 1, 2) + rng.normal(size=(200, 1, 3))
    before = measure(skeleton, [motion], JointMap(up="z"))
    after = measure(skeleton, [replace(motion, positions=turned)], JointMap(up=up))
    assert all(0 < edge.inside < 1 for edge in before.edges[:3])
    close(after, before)


def test_turning_the_animal_any_way_changes_nothing_when_up_is_a_line_of_the_body() -> None:
    skeleton = parse_skeleton(LEGS)
    body = JointMap(up=("hip", "chest"), left=("right_hip", "left_hip"))
    motion = draw(skeleton, 100, spread=15)
    rng = np.random.default_rng(3)
    turns = [about("x", a) @ about("y", b) @ about("z", c) for a, b, c in rng.uniform(0, 360, (100, 3))]
    turned = np.array([p @ turn.T for p, turn in zip(motion.positions, turns, strict=True)])
    close(measure(skeleton, [replace(motion, positions=turned)], body), measure(skeleton, [motion], body))


def close(a: Coverage, b: Coverage) -> None:
    assert a.inside == pytest.approx(b.inside, abs=0.011)  # a frame at the very end of a range may change sides
    for edge, other in zip(sorted(a.edges, key=lambda e: e.joint), sorted(b.edges, key=lambda e: e.joint), strict=True):
        assert edge.inside == pytest.approx(other.inside, abs=0.011)
        for angle, twin in zip(edge.angles, other.angles, strict=True):
            np.testing.assert_allclose(angle.real, twin.real, atol=1e-6)
        np.testing.assert_allclose(edge.length.real, other.length.real, atol=1e-9)


def test_the_mirrored_animal_has_its_sides_exchanged() -> None:
    skeleton = load_skeleton("dog")
    motion = draw(skeleton, 100, spread=20)
    other = {joint: joint.replace("left", "RIGHT").replace("right", "left").lower() for joint in skeleton.joints}
    mirrored = Motion(motion.positions * [-1, 1, 1], tuple(other[joint] for joint in motion.names))
    before, after = (measure(skeleton, [m], AS_GIVEN) for m in (motion, mirrored))
    assert after.inside == before.inside
    inside = {edge.joint: edge.inside for edge in after.edges}
    for edge in before.edges:
        assert inside[other[edge.joint]] == pytest.approx(edge.inside, abs=1e-12)


# Fitting.


@pytest.mark.filterwarnings(
    "ignore:.*expected degrees, not radians", "ignore:.*is off the midline", "ignore:.*lengths of all bones in one unit"
)
@settings(max_examples=60)
@given(skeletons(max_joints=8), st.integers(0, 2**32), st.sampled_from([0.5, 0.9, 0.98, 1.0]), st.sampled_from([0, 5]))
def test_fitted_ranges_hold_the_quantile_of_every_bone(
    skeleton: Skeleton, seed: int, quantile: float, margin: float
) -> None:
    assume(not any(given for edge in skeleton.ranges for given in edge.given))  # these are not fitted
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(1, len(skeleton.joints), 3))
    motion = Motion(centre + rng.uniform(0, 1) * rng.normal(size=(41, len(skeleton.joints), 3)), skeleton.joints)
    fitted = parse_skeleton(fit(skeleton, [motion], AS_GIVEN, quantile=quantile, margin=margin))
    assert fitted.joints == skeleton.joints
    assert fitted.symmetric == skeleton.symmetric
    for edge in measure(fitted, [motion], AS_GIVEN).edges:
        assert edge.inside >= quantile


def test_a_fit_finds_the_ranges_that_poses_were_drawn_from() -> None:
    skeleton = parse_skeleton(LEGS)
    motion = draw(skeleton, 4000)
    fitted = parse_skeleton(fit(skeleton, [motion], AS_GIVEN, quantile=1.0))
    for e, (found, true) in enumerate(zip(fitted.ranges, skeleton.ranges, strict=True)):
        np.testing.assert_allclose([found.first, found.second], [true.first, true.second], atol=0.5, err_msg=str(e))
        assert found.length == true.length


@pytest.mark.parametrize(
    ("name", "bones"),
    [
        ("dog", {"pelvis": 1}),
        ("human", {"left_hip": 1, "right_hip": 1}),
        ("legs", {"left_hip": 1, "right_hip": 1}),
        ("bird", {"chest": 1}),
        ("low hips", {"left_hip": 0, "right_hip": 0}),
    ],
)
def test_the_bones_whose_swing_goes_into_the_heading(name: str, bones: dict[str, int]) -> None:
    texts = {
        "legs": LEGS,
        # A chest that leads to wings given in its frame: its own swing to a side turns them.
        "bird": """posesynth: 1
name: bird
root: tail
frame: parent
joints:
  chest: {parent: tail, flexion: [60, 100], abduction: [-15, 15]}
  left_wing: {parent: chest, flexion: [-10, 10], abduction: [60, 85]}
  right_wing: {mirror: left_wing}
""",
        "low hips": LEGS.replace("theta: [80, 100], phi: [-10, 10]", "flexion: [-20, 20], abduction: [60, 80]"),
    }
    skeleton = parse_skeleton(texts[name]) if name in texts else load_skeleton(name)
    found = swallowed(skeleton, heading(skeleton, JointMap()))
    assert {skeleton.joints[e + 1]: which for e, which in found.items()} == bones
    assert swallowed(skeleton, heading(skeleton, AS_GIVEN)) == {}


@pytest.mark.parametrize("told", [JointMap(up="z"), JointMap(up="z", forward=("pelvis", "neck"))])
def test_a_fit_does_not_narrow_what_the_heading_hides(told: JointMap) -> None:
    skeleton = load_skeleton("dog")
    motion = draw(skeleton, 300)
    with pytest.warns(UserWarning, match=r"forward is from pelvis to neck .*abduction of pelvis is not narrowed"):
        fitted = parse_skeleton(fit(skeleton, [motion], told, quantile=1.0))
    edge = skeleton.joints.index("pelvis") - 1
    assert fitted.ranges[edge].second == (-20, 20)
    assert fitted.ranges[edge].first == pytest.approx((245, 295), abs=1)
    assert measure(fitted, [motion], told).inside == 1


def test_a_mirrored_pair_shares_one_fitted_range() -> None:
    skeleton = parse_skeleton(LEGS)
    motion = draw(skeleton, 300)
    knee, foot = (motion.names.index(name) for name in ("right_knee", "right_foot"))
    limp = motion.positions.copy()  # the right shank lies further out than the left ever does
    limp[:, foot] = limp[:, knee] + [-1, 0, -0.1]
    limp = replace(motion, positions=limp)
    text = fit(skeleton, [limp], AS_GIVEN, quantile=0.9)
    assert "right_foot: {mirror: left_foot}" in text
    assert all(edge.inside >= 0.9 for edge in measure(parse_skeleton(text), [limp], AS_GIVEN).edges)


def test_both_of_a_mirrored_pair_stay_within_two_turns() -> None:
    given = parse_skeleton("""posesynth: 1
name: pair
root: hip
joints:
  right: {mirror: left}
  left: {parent: hip, theta: [80, 100], phi: [610, 720]}
""")
    phi = np.radians(np.linspace(-185, -150, 30))  # of the right; -545 is nearest to its range, the left's 180 + 545
    joints = [[0 * phi, 0 * phi], [np.cos(phi), np.sin(phi)], [-np.cos(phi), np.sin(phi)]]
    motion = Motion(np.pad(np.array(joints), ((0, 0), (0, 1), (0, 0))).transpose(2, 0, 1), given.joints)
    fitted = parse_skeleton(fit(given, [motion], AS_GIVEN))
    assert all(edge.inside == 1 for edge in measure(fitted, [motion], AS_GIVEN).edges)


def test_a_fit_keeps_comments_and_the_ranges_of_bones_not_seen() -> None:
    skeleton = parse_skeleton(LEGS.replace("  head:", "  # the skull\n  head:"))
    unseen = replace(AS_GIVEN, absent=("head",))
    text = fit(skeleton, [draw(skeleton, 50)], unseen)
    assert "# the skull\n  head: {parent: chest, theta: [10, 60], phi: [-120, -60]}" in text


@pytest.mark.parametrize(("usual", "cut"), [((-90, -85), (-90, -85)), ((-100, -50), (-100, -70)), ((-70, -65), None)])
def test_a_usual_range_is_cut_to_the_fitted_one(usual: tuple[float, float], cut: tuple[float, float] | None) -> None:
    wide = LEGS.replace("phi: [-110, -70]", f"phi: [-150, -30], usual: {{phi: [{usual[0]}, {usual[1]}]}}")
    wide = f"{wide}sampling: {{usual: 0.5}}\n"
    fitted = parse_skeleton(fit(parse_skeleton(wide), [draw(parse_skeleton(LEGS), 2000)], AS_GIVEN, quantile=1.0))
    foot = fitted.ranges[fitted.joints.index("left_foot") - 1]
    assert foot.second == pytest.approx((-110, -70), abs=0.5)
    assert foot.second_usual == pytest.approx(cut or foot.second, abs=0.5)


@given(
    st.lists(st.lists(st.integers(0, 719), min_size=1, max_size=8), min_size=1, max_size=2),
    st.sampled_from([0.3, 0.5, 0.9, 1.0]),
)
def test_the_smallest_arc_is_the_smallest_of_all(samples: list[list[int]], share: float) -> None:
    arrays = [np.array(sample) / 2 for sample in samples]
    low, high = smallest_arc(arrays, share, circular=True)

    def holds(start: float, width: float) -> bool:
        return all(np.mean((a - start) % 360 <= width + 1e-9) >= share - 1e-9 for a in arrays)

    assert holds(low, high - low)
    starts = {float(x) for a in arrays for x in a}
    widths = {(b - a) % 360 for a in starts for b in starts}
    assert high - low == pytest.approx(min(w for w in widths for s in starts if holds(s, w)))


@pytest.mark.parametrize("wrong", [{"quantile": 0.0}, {"quantile": 1.5}, {"quantile": float("nan")}, {"margin": -1.0}])
def test_a_senseless_fit_is_refused(wrong: dict[str, float]) -> None:
    skeleton = parse_skeleton(LEGS)
    with pytest.raises(InputError, match=f"{next(iter(wrong))}: "):
        fit(skeleton, [draw(skeleton, 5)], AS_GIVEN, **wrong)


# The report.


def test_a_leak_is_told_by_angle_side_and_degrees() -> None:
    skeleton = parse_skeleton(LEGS)
    first = np.array([sum(r.first) / 2 for r in skeleton.ranges])
    second = np.array([sum(r.second) / 2 for r in skeleton.ranges])
    knee = skeleton.joints.index("left_knee") - 1
    flexions = [180.0] * 6 + [140.0, 130.0] + [215.0, 570.0 + 7]
    positions = []
    for flexion in flexions:
        first[knee] = flexion
        positions.append(pose(skeleton, first, second, np.ones(skeleton.edges)))
    coverage = measure(skeleton, [Motion(np.array(positions), skeleton.joints)], AS_GIVEN)
    worst = coverage.edges[0]
    assert worst.joint == "left_knee"
    assert worst.inside == pytest.approx(0.6)
    assert coverage.inside == pytest.approx(0.6)
    flexion, abduction = worst.angles
    assert (flexion.below.share, flexion.above.share) == pytest.approx((0.2, 0.2))
    assert (flexion.below.median, flexion.below.largest) == pytest.approx((15, 20))
    assert (flexion.above.median, flexion.above.largest) == pytest.approx((6, 7))
    assert abduction.inside == 1
    assert flexion.real[1] == pytest.approx(180)
    lines = str(coverage).splitlines()
    assert "60.0 % of 10 frames" in lines[0]
    row = next(line for line in lines if line.startswith("left_knee"))
    assert all(cell in row for cell in ("60.0 %", "[150, 210]", "20.0 %  15.0", "20.0 %   6.0"))
    json.loads(json.dumps(coverage.as_dict()))


@pytest.mark.parametrize(
    ("joint_map", "words"),
    [
        (JointMap(), "left is from right_hip to left_hip (found; name another with forward or left in a map)"),
        (JointMap(left=("right_foot", "left_foot")), "left is from right_foot to left_foot (from the map)"),
        (JointMap(forward=("hip", "left_foot")), "forward is from hip to left_foot (from the map)"),
        (AS_GIVEN, "forward is -y in every frame (from the map)"),
    ],
)
def test_the_head_says_what_tells_the_heading(joint_map: JointMap, words: str) -> None:
    skeleton = parse_skeleton(LEGS)
    coverage = measure(skeleton, [draw(skeleton, 5)], joint_map)
    assert f"heading: {words}" in str(coverage).splitlines()
    told = coverage.as_dict()["heading"]
    assert told == {"forward": joint_map.forward, "left": told["left"], "found": joint_map == JointMap()}
    assert told["left"] == (("right_hip", "left_hip") if told["found"] else joint_map.left)


def test_no_table_holds_a_minus_zero() -> None:
    skeleton = parse_skeleton(LEGS.replace("abduction: [-5, 30]", "abduction: [0, 30]"))
    shown = str(measure(skeleton, [draw(skeleton, 200)], AS_GIVEN))
    assert "[-30, 0]" in shown
    assert not re.search(r"-0(?![.\d])", shown)


@pytest.mark.parametrize("option", [["--quantile", "95"], ["--margin", "3"], ["--quantile", "0.98"]])
def test_an_option_of_fit_without_fit_is_refused(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["coverage", "dog", "nowhere.npz", *option])
    assert left.value.code == 2
    assert capsys.readouterr().err == f"error: {option[0]}: says how --fit fits; expected --fit OUT.yaml with it\n"


def test_real_angles_are_told_on_the_turn_of_the_range() -> None:
    text = LEGS.replace("flexion: [150, 210]", "flexion: [-220, -140]").replace("phi: [-120, -60]", "phi: [600, 660]")
    skeleton = parse_skeleton(text)
    for edge in measure(skeleton, [draw(skeleton, 100)], AS_GIVEN).edges:
        for angle in edge.angles:
            assert angle.given[0] <= angle.real[0] <= angle.real[2] <= angle.given[1]


def test_the_lengths_a_skeleton_can_give() -> None:
    text = """posesynth: 1
name: star
root: o
joints:
  a: {parent: o, theta: [0, 1], phi: [0, 90], length: [0.5, 1]}
  b: {parent: o, theta: [0, 1], phi: [0, 90], length: [0.1, 0.4]}
  c: {parent: o, theta: [0, 1], phi: [0, 90], length: [0, 0.25]}
"""
    skeleton = parse_skeleton(text)
    edges = measure(skeleton, [draw(skeleton, 20)], AS_GIVEN).edges
    possible = {edge.joint: edge.length.possible for edge in edges}
    assert possible == {"a": (1, 1), "b": (0.1, 0.8), "c": (0, 0.5)}
    alone = parse_skeleton("\n".join(text.splitlines()[:5]))
    assert measure(alone, [draw(alone, 5)], AS_GIVEN).edges[0].length.possible == (1, 1)


def test_frames_and_bones_not_seen_are_left_out_and_told() -> None:
    skeleton = parse_skeleton(LEGS)
    motion = draw(skeleton, 10)
    motion.positions[:4, motion.names.index("left_foot")] = np.nan
    motion.positions[9] = np.nan
    coverage = measure(skeleton, [motion], replace(AS_GIVEN, absent=("head",)))
    assert coverage.unseen == ("head",)
    assert (coverage.frames, coverage.measured) == (10, 9)
    assert {edge.joint: edge.frames for edge in coverage.edges}["left_foot"] == 5
    assert coverage.inside == 1
    assert "the bones to head" in str(coverage)
    assert "1 frames without" in str(coverage)


def test_abduction_beyond_90_is_read_as_the_range_means_it() -> None:
    text = """posesynth: 1
name: wing
root: body
frame: parent
joints:
  elbow: {parent: body, flexion: [-10, 10], abduction: [60, 130]}
  tip: {parent: elbow, flexion: [20, 40], abduction: [5, 10]}
"""
    skeleton = parse_skeleton(text)
    assert measure(skeleton, [draw(skeleton, 200)], AS_GIVEN).inside == 1
    narrow = parse_skeleton(text.replace("130", "90"))
    assert measure(narrow, [draw(skeleton, 200)], AS_GIVEN).inside < 0.7


# Names and maps.


def test_names_agree_without_regard_to_case_and_signs() -> None:
    skeleton = parse_skeleton(LEGS)
    motion = draw(skeleton, 20)
    other = replace(motion, names=tuple(name.title().replace("_", "") for name in motion.names))
    assert measure(skeleton, [other], AS_GIVEN) == measure(skeleton, [motion], AS_GIVEN)


def test_a_joint_may_be_the_mean_of_several() -> None:
    skeleton = parse_skeleton(LEGS)
    motion = draw(skeleton, 20)
    hip = motion.names.index("hip")
    shift = np.array([0.1, 0.2, 0.3])
    ends = np.stack([motion.positions[:, hip] - shift, motion.positions[:, hip] + shift], axis=1)
    positions = np.concatenate([np.delete(motion.positions, hip, axis=1), ends], axis=1)
    split = Motion(positions, (*(n for n in motion.names if n != "hip"), "a", "b"))
    joint_map = replace(AS_GIVEN, joints={"hip": ("a", "b")})
    close(measure(skeleton, [split], joint_map), measure(skeleton, [motion], AS_GIVEN))


def test_every_joint_that_is_not_found_gets_its_line() -> None:
    skeleton = parse_skeleton(LEGS)
    motion = replace(draw(skeleton, 3), source="walk.bvh")
    renamed = replace(
        motion, names=tuple(n.replace("left_knee", "left_kneecap").replace("chest", "t12") for n in motion.names)
    )
    with pytest.raises(InputError) as caught:
        measure(skeleton, [renamed], AS_GIVEN)
    assert [line.split(";")[0] for line in caught.value.lines] == [
        "walk.bvh: no joint for 'chest'",
        "walk.bvh: no joint for 'left_knee'",
    ]
    assert "did you mean 'left_kneecap'" in caught.value.lines[1]


def test_every_wrong_name_of_a_map_gets_its_line() -> None:
    skeleton = parse_skeleton(LEGS)
    text = "up: [hip, chesst]\nforward: [hip, haed]\nabsent: [head, tail]\njoints:\n"
    text += "  chest: chesst\n  left_shin: left_foot\n  head: head\n"
    with pytest.raises(InputError) as caught:
        measure(skeleton, [draw(skeleton, 3)], parse_map(text, "m.yaml"))
    starts = [
        "m.yaml:6:3: joints: skeleton 'legs' has no 'left_shin'",
        "m.yaml:3:1: absent: skeleton 'legs' has no 'tail'",
        "m.yaml:1:1: up: skeleton 'legs' has no 'chesst'",
        "m.yaml:2:1: forward: skeleton 'legs' has no 'haed'",
        "m.yaml:3:1: absent: 'head' is also under 'joints'",
        "m.yaml:5:3: joints.chest: motion has no 'chesst'",
    ]
    assert len(caught.value.lines) == len(starts)
    for start in starts:
        assert any(line.startswith(start) for line in caught.value.lines), start
    assert any("did you mean 'head'" in line for line in caught.value.lines)


def test_faults_of_a_map_and_its_names_are_told_at_once() -> None:
    text = "up: q\nforward: [hip, haed]\njoints: {left_shin: left_foot}\n"
    with pytest.raises(InputError) as caught:
        parse_map(text, "m.yaml", parse_skeleton(LEGS))
    starts = ["m.yaml:1:5: up: 'q' is unknown", "m.yaml:3:10: joints: skeleton", "m.yaml:2:1: forward: skeleton"]
    assert [line[: len(start)] for line, start in zip(caught.value.lines, starts, strict=True)] == starts


@pytest.mark.parametrize(
    ("names", "suggestion"),
    [
        (("Lankle", "Rankle"), "; did you mean 'Lankle'?"),
        (("tip", "ankle_right"), ""),
        (("tip", "right_ankle2"), ""),
        (("left_ankle2", "right_ankle"), "; did you mean 'left_ankle2'?"),
    ],
)
def test_no_joint_of_the_other_side_is_suggested(names: tuple[str, str], suggestion: str) -> None:
    skeleton = parse_skeleton(LEGS.replace("_foot", "_ankle"))
    motion = draw(skeleton, 3)
    own = dict(zip(("left_ankle", "right_ankle"), names, strict=True))
    motion = replace(motion, names=tuple(own.get(name, f"m{n}") for n, name in enumerate(motion.names)))
    for joint_map in (AS_GIVEN, replace(AS_GIVEN, joints={"left_ankle": ("left_ankle",)})):
        with pytest.raises(InputError) as caught:
            measure(skeleton, [motion], joint_map)
        line = next(line for line in caught.value.lines if "left_ankle" in line)
        assert "".join(line.partition("; did")[1:]) == suggestion


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "m.yaml:1:1: file: is not a mapping"),
        ("- up\n", "m.yaml:1:1: file: is not a mapping"),
        ("upp: y\n", "m.yaml:1:1: upp: unknown key; .*did you mean 'up'"),
        ("up: w\n", "m.yaml:1:5: up: 'w' is unknown"),
        ("up: [a, a]\n", r"m.yaml:1:5: up: 1 joints; expected two joints of the skeleton, \[low, high\]"),
        ("forward: [hip]\n", "m.yaml:1:10: forward: 1 joints; expected two joints"),
        ("left: z\n", "m.yaml:1:7: left: 'z' is not a list of names"),
        ("columns: [a, b, a]\n", "m.yaml:1:10: columns: 'a' is given twice"),
        ("joints: [a]\n", "m.yaml:1:9: joints: a list is not a mapping"),
        ("joints: {hip: {a: b}}\n", r"m.yaml:1:15: joints.hip: a mapping is not a list of names"),
        ("joints: {hip: }\n", "joints.hip: nothing is not a list of names"),
        ("joints: {hip: a, hip: b}\n", "m.yaml:1:18: joints.hip: is given twice"),
        ("joints: {hip: &a b, chest: *a}\n", "anchor or alias"),
    ],
)
def test_a_bad_map_gives_one_line_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        parse_map(text, "m.yaml")
    assert len(caught.value.lines) == 1
    assert len(caught.value.lines[0]) <= 300


def test_a_map_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a file, or one of .*human-cmu-bvh.*did you mean 'human-cmu-bvh'"):
        load_map("human-cmu-bhv")
    with pytest.raises(InputError, match="cannot be read"):
        load_map(tmp_path)


@pytest.mark.parametrize("name", sorted(shipped_maps()))
def test_a_shipped_map_names_every_joint_of_its_skeleton(name: str) -> None:
    joint_map = load_map(name)
    owners = {"dog": ("quadruped", "mammal", "dog"), "mouse22": ("mouse",), "hand": ("hand",)}
    for skeleton in owners.get(name.split("-")[0], ("human",)):
        assert set(joint_map.joints) | set(joint_map.absent) == set(load_skeleton(skeleton).joints)


def test_the_heading_comes_from_a_level_trunk_or_else_from_the_hips() -> None:
    assert facing(load_skeleton("dog")) == (("pelvis", "neck"), None)
    assert facing(load_skeleton("quadruped")) == (("pelvis", "neck"), None)
    assert facing(load_skeleton("human")) == (None, ("right_hip", "left_hip"))
    assert facing(parse_skeleton(LEGS)) == (None, ("right_hip", "left_hip"))


def test_a_skeleton_without_pairs_needs_to_be_told_its_heading() -> None:
    chain = parse_skeleton(
        "posesynth: 1\nname: worm\nroot: a\njoints:\n  b: {parent: a, theta: [20, 160], phi: [0, 90]}\n"
    )
    motion = draw(chain, 5)
    with pytest.raises(InputError, match="does not tell which way it faces; expected 'forward'"):
        measure(chain, [motion])
    assert measure(chain, [motion], JointMap(up="z", forward=("a", "b"))).measured == 5


def test_an_up_along_the_line_of_heading_is_refused() -> None:
    skeleton = parse_skeleton(LEGS)
    with pytest.raises(InputError, match="no frame has a heading"):
        measure(skeleton, [draw(skeleton, 5)], JointMap(up="x"))


def test_nothing_to_measure_is_refused() -> None:
    skeleton = parse_skeleton(LEGS)
    with pytest.raises(InputError, match="no motion"):
        measure(skeleton, [])
    motion = draw(skeleton, 5)
    with pytest.raises(InputError, match="no bone of 'legs' is seen"):
        measure(skeleton, [replace(motion, positions=motion.positions * 0)], AS_GIVEN)


# Real clips.


def dog(*clips: str) -> list[Motion]:
    names = load_map("dog-motion-imitation").columns
    return [load_motion(DATA / f"dog_mocap/dog_{clip}_joint_pos.txt", names=names) for clip in clips]


@real
def test_a_clip_turned_to_another_heading_gives_the_same_angles() -> None:
    skeleton, joint_map = load_skeleton("dog"), load_map("dog-motion-imitation")
    walk, pace = dog("walk00", "pace")  # pace is frames 226 to 264 of the walk
    part = replace(walk, positions=walk.positions[226:265])
    found, expected = (poses(skeleton, motion, joint_map).directions for motion in (pace, part))
    np.testing.assert_allclose(found, expected, atol=2e-3)  # five decimals of a metre in the file


@real
@pytest.mark.filterwarnings("ignore:heading")
@pytest.mark.parametrize("quantile", [0.9, 0.98, 1.0])
@pytest.mark.parametrize(
    ("skeleton", "joint_map", "files"),
    [
        ("human", "human-cmu-bvh", ["human_cmu_bvh/07_10.bvh", "human_cmu_bvh/35_01.bvh"]),
        ("human", "human-cmu-amc", ["human_cmu_asfamc/03_02.amc", "human_cmu_asfamc/11_01.amc"]),
        ("human", "human-bandai-bvh", ["human_bandai_bvh/dataset-1_bow_normal_001.bvh"]),
        ("dog", "dog-motion-imitation", ["dog_mocap/dog_walk00_joint_pos.txt", "dog_mocap/dog_run01_joint_pos.txt"]),
    ],
)
def test_ranges_fitted_to_real_clips_hold_them(
    skeleton: str, joint_map: str, files: list[str], quantile: float
) -> None:
    mapped = load_map(joint_map)
    motions = [load_motion(DATA / file, names=mapped.columns) for file in files]
    fitted = parse_skeleton(fit(load_skeleton(skeleton), motions, mapped, quantile=quantile))
    kept = {fitted.joints[e + 1] for e, range_ in enumerate(fitted.ranges) if any(range_.given)}
    assert all(edge.inside >= quantile for edge in measure(fitted, motions, mapped).edges if edge.joint not in kept)


@real
@pytest.mark.parametrize(
    ("joint_map", "files"),
    [
        ("human-cmu-bvh", ["human_cmu_bvh/07_10.bvh", "human_cmu_bvh/35_01.bvh"]),
        ("human-cmu-amc", ["human_cmu_asfamc/03_02.amc", "human_cmu_asfamc/11_01.amc"]),
        ("human-bandai-bvh", ["human_bandai_bvh/dataset-1_run_normal_001.bvh"]),
    ],
)
def test_real_knees_and_elbows_bend_the_way_the_skeleton_says(joint_map: str, files: list[str]) -> None:
    """Whatever the file's axes, names and conventions: a reader that mixed any of them up would leave the ranges."""
    mapped = load_map(joint_map)
    coverage = measure(load_skeleton("human"), [load_motion(DATA / file) for file in files], mapped)
    inside = {edge.joint: edge.inside for edge in coverage.edges}
    for side in ("left", "right"):
        assert inside[f"{side}_foot"] > 0.95
        assert inside[f"{side}_knee"] > 0.9
        assert inside[f"{side}_wrist"] > 0.8


PAGE = Path(__file__).resolve().parents[1] / "docs" / "coverage.md"
SESSIONS = re.findall(r"```console\n\$ posesynth coverage (.*)\n((?:.*\n)*?)```", PAGE.read_text())


@real
@pytest.mark.parametrize(("command", "shown"), SESSIONS, ids=range(len(SESSIONS)))
def test_the_tables_of_the_page_are_what_the_command_prints(command: str, shown: str) -> None:
    name, *files, _, mapped = command.split()
    joint_map = load_map(mapped)
    motions = [load_motion(next(DATA.rglob(file)), names=joint_map.columns) for file in files]
    printed = f"{measure(load_skeleton(name), motions, joint_map)}\n"
    if shown.endswith("...\n"):
        shown = shown.removesuffix("...\n")
        printed = printed[: len(shown)]
    assert printed == shown


def test_the_page_shows_tables() -> None:
    assert len(SESSIONS) == 6


def test_a_map_of_2d_is_told_to_be_one() -> None:
    with pytest.raises(InputError, match=r"y_up: unknown key; .* it is for maps of 2D keypoints"):
        parse_map("y_up: false\n")
