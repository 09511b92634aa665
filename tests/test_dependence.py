"""Angles that depend on others: ranges over another angle, and draws as examples have them."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import POSE, range_at, word
from numpy.typing import NDArray
from sampled_motion import sampled_motion
from scipy.stats import kstest

from posesynth import dependence, sample
from posesynth.cli import main
from posesynth.conditional_ranges import range_left
from posesynth.coverage import JointMap, closeness, learn
from posesynth.coverage.angles import principal_angles
from posesynth.errors import InputError
from posesynth.schema import parse_skeleton
from posesynth.schema_edits import with_examples, with_ranges
from posesynth.skeleton import Skeleton

Array = NDArray[np.float64]

LEG = """posesynth: 1
name: leg
root: hip
joints:
  knee: {parent: hip, flexion: [90, 210], abduction: {given: flexion, at: {100: [0, 10], 200: [-20, 40]}}}
  foot: {parent: knee, frame: parent, theta: {given: parent.flexion, at: {90: [60, 150], 150: [0, 150], 200: [0, 100]}},
         phi: [-135, -45]}
  toe: {parent: foot, frame: knee, flexion: [-30, 60], abduction: [-5, 5]}
"""

LEGS = """posesynth: 1
name: legs
root: pelvis
joints:
  spine: {parent: pelvis, flexion: [-40, 40], abduction: [-30, 30]}
  left_knee: {parent: pelvis, flexion: [100, 220], abduction: [-10, 40]}
  left_foot: {parent: left_knee, frame: parent, theta: [0, 150], phi: [-135, -45]}
  right_knee: {mirror: left_knee}
  right_foot: {mirror: left_foot}
"""
SHOWN = ("spine", "left_knee", "left_foot", "right_knee", "right_foot")


def angles(skeleton: Skeleton, count: int = 20_000, seed: int = 0) -> tuple[Array, Array]:
    """(count, E) first and second angles of samples, degrees."""
    o_up = sample(skeleton, seed, 0, count, ("o_up",)).o_up
    assert o_up is not None
    theta, phi = o_up[..., 1].astype(float), o_up[..., 2].astype(float)
    d = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    return principal_angles(skeleton, d)


def learned(poses: Sequence[Sequence[float]], text: str = LEGS, joints: Sequence[str] = SHOWN) -> Skeleton:
    return parse_skeleton(with_examples(text, joints, poses))


# Ranges over another angle.


def test_an_angle_fills_the_range_that_the_other_leaves_and_no_more() -> None:
    leg = parse_skeleton(LEG)
    first, second = angles(leg)
    for edge, values, other in ((0, second[:, 0], first[:, 0] % 360), (1, first[:, 1], first[:, 0] % 360)):
        table = leg.ranges[edge].given[1 - edge]
        assert table is not None
        bounds = np.array([range_at(table, angle) for angle in other])
        share = (values - bounds[:, 0]) / (bounds[:, 1] - bounds[:, 0])
        assert share.min() > -1e-4
        assert share.max() < 1 + 1e-4
        assert kstest(share, "uniform").pvalue > 1e-3
        assert abs(np.corrcoef(share, other)[0, 1]) < 0.03


def test_another_table_is_seen_to_be_another() -> None:
    leg = parse_skeleton(LEG)
    first, _ = angles(parse_skeleton(LEG.replace("90: [60, 150]", "90: [50, 150]")))
    table = leg.ranges[1].first_given
    assert table is not None
    low = np.array([range_at(table, angle)[0] for angle in first[:, 0] % 360])
    assert (first[:, 1] < low - 1).mean() > 0.01


def test_a_frame_named_by_its_joint_is_that_of_its_bone() -> None:
    """The toe's flexion about the knee's axes: its limits hold there, and not about the foot's own bone."""
    leg = parse_skeleton(LEG)
    first, second = angles(leg)
    assert np.abs(second[:, 2]).max() < 5.001
    assert first[:, 2].min() > -30.001
    assert first[:, 2].max() < 60.001
    as_parent = parse_skeleton(LEG.replace("frame: knee", "frame: parent"))
    assert sample(as_parent, stop=9).o.tobytes() != sample(leg, stop=9).o.tobytes()


def test_a_mirrored_table_is_the_table_mirrored() -> None:
    text = LEG.replace("name: leg", "name: legs") + "  other: {mirror: knee}\n  other_foot: {mirror: foot}\n"
    legs = parse_skeleton(text)
    first, second = angles(legs)
    knee, other = legs.joints.index("knee") - 1, legs.joints.index("other") - 1
    table = legs.ranges[knee].second_given
    assert table is not None
    bounds = np.array([range_at(table, angle) for angle in first[:, other] % 360])
    share = (-second[:, other] - bounds[:, 0]) / (bounds[:, 1] - bounds[:, 0])
    assert share.min() > -1e-4
    assert share.max() < 1 + 1e-4


def test_the_frame_of_a_mirror_is_that_of_the_joint_it_hangs_on() -> None:
    """The image of the joint that carries the frame where the mirror hangs on that, the joint itself where on it."""
    head = "posesynth: 1\nname: a\nroot: r\njoints:\n"
    angles_ = "flexion: [0, 9], abduction: [0, 9]"
    apart = f"  a: {{parent: r, {angles_}}}\n  b: {{parent: a, {angles_}}}\n  c: {{parent: b, frame: a, {angles_}}}\n"
    images = "".join(f"  {name}2: {{mirror: {name}}}\n" for name in "abc")
    assert parse_skeleton(head + apart + images).ranges[-1].frame == "a2"
    shared = apart + f"  a2: {{parent: r, {angles_}}}\n  b2: {{parent: a, {angles_}}}\n  c2: {{mirror: c}}\n"
    text = head + shared + "symmetric: [[a, a2], [b, b2]]\n"
    assert parse_skeleton(text).ranges[-1].frame == "a"
    lost = text.replace("b2: {parent: a,", "b2: {parent: r,").replace("[a, a2], ", "")
    with pytest.raises(InputError, match=r"c2\.mirror: 'a' is no joint between 'c2' and the root"):
        parse_skeleton(lost)


def test_tables_that_leave_the_whole_range_change_no_byte_of_the_others() -> None:
    plain = LEG.replace("{given: flexion, at: {100: [0, 10], 200: [-20, 40]}}", "[-20, 40]")
    a, b = (sample(parse_skeleton(text), 3, 0, 500, ("o_up",)) for text in (LEG, plain))
    assert a.o_up is not None
    assert b.o_up is not None
    assert (a.o_up[:, :, 0] == b.o_up[:, :, 0]).all()
    same = parse_skeleton(LEG.replace("{100: [0, 10], 200: [-20, 40]}", "{100: [-20, 40], 200: [-20, 40]}"))
    assert np.abs(sample(same, 3, 0, 500).o - sample(parse_skeleton(plain), 3, 0, 500).o).max() < 1e-5


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("at: {100:", "at: {210:", "not in order"),
        ("{100: [0, 10], 200: [-20, 40]}", "{100: [0, 10]}", "has 1 angles"),
        ("given: flexion", "given: phi", "'phi' is unknown"),
        ("given: parent.flexion", "given: parent.phi", "has flexion and abduction"),
        ("{given: parent.flexion, at", "{given: parent.flexion, on: 1, at", "unknown key"),
        ("flexion: [90, 210]", "flexion: {given: parent.phi, at: {0: [90, 90], 9: [9, 210]}}", "is the root"),
        ("frame: knee", "frame: toe", "no joint between 'toe' and the root"),
        ("frame: knee", "frame: hip", "no joint between 'toe' and the root"),
        ("100: [0, 10]", "100: [-350, 10]", "all ranges together"),
    ],
)
def test_a_table_or_frame_that_cannot_be_is_told_in_one_line(old: str, new: str, told: str) -> None:
    assert old in LEG
    with pytest.raises(InputError) as error:
        parse_skeleton(LEG.replace(old, new, 1), "leg.yaml")
    assert [told in line for line in error.value.lines] == [True]


# Draws as examples have them.


def histogram(own: Array, parent: Array | None) -> list[list[float]]:
    """The slow twin: for each place of the parent, the weight of each cell."""
    weight = {-2: 1, -1: 4, 0: 6, 1: 4, 2: 1}

    def folded(k: int, size: int) -> int:
        return -k - 1 if k < 0 else 2 * size - 1 - k if k >= size else k

    def spread(share: float, size: int) -> Counter[int]:
        found: Counter[int] = Counter()
        for step, w in weight.items():
            found[folded(min(int(share * size), size - 1) + step, size)] += w
        return found

    rows = [[0.0] * 256 for _ in range(64)]
    for i, (a, b) in enumerate(own.tolist()):
        cells = {
            16 * x + y: v * w for (x, v), (y, w) in itertools.product(spread(a, 16).items(), spread(b, 16).items())
        }
        for place in range(64):
            beside: float = 1.0
            if parent is not None:
                near = [spread(share, 8) for share in parent[i].tolist()]
                beside = len(own) * near[0][place // 8] * near[1][place % 8] + 2 * 256
            for cell, count in cells.items():
                rows[place][cell] += beside * count
    return rows


@given(st.integers(0, 2**32), st.integers(1, 12), st.booleans())
@settings(max_examples=15, deadline=None)
def test_a_list_of_cells_has_each_as_often_as_the_twins_weights(seed: int, poses: int, known: bool) -> None:
    rng = np.random.default_rng(seed)
    own, parent = rng.random((poses, 2)), rng.random((poses, 2)) if known else None
    lists = dependence._histogram(own, parent, (False, False)).reshape(64, dependence.SLOTS)
    for slots, weights in zip(lists, histogram(own, parent), strict=True):
        often = np.bincount(slots, minlength=256)
        assert np.abs(often - dependence.SLOTS * np.array(weights) / sum(weights)).max() < 1


def test_words_are_drawn_as_the_list_says() -> None:
    """Bit by bit, with Python's integers: cell from the list, and the rest of the words within it."""
    rng = np.random.default_rng(1)
    poses = rng.uniform(
        [-40, -30, 100, -10, 0, -135, 100, -40, 0, 225], [40, 30, 220, 40, 150, -45, 220, 10, 150, 315], (9, 10)
    )
    legs = learned(poses.tolist())
    tables, plain = dependence.draws(legs), legs.with_sampling(angles="independent")
    first, second = angles(legs, 300, seed=5)
    spans = [((r.first[0], r.first[1]), (r.second[0], r.second[1])) for r in legs.ranges]
    changed = 0
    for i in range(300):
        drawn: list[tuple[int, int]] = []
        for e in range(legs.edges):
            a, b = word(5, i, POSE, 2 * e), word(5, i, POSE, 2 * e + 1)
            above = int(tables.parent[e])
            place = 0 if above < 0 else (drawn[above][0] >> 29) * 8 + (drawn[above][1] >> 29)
            cell = int(tables.cells[(int(tables.table[e]) * 64 + place) * 1024 + (a >> 22)])
            if b & 63:
                a, b = cell // 16 << 28 | (a & 0x3FFFFF) << 6, cell % 16 << 28 | b >> 6 << 2
                changed += 1
            drawn.append((a, b))
            for w, (low, high), found in zip((a, b), spans[e], (first[i, e], second[i, e]), strict=True):
                angle = low + (w >> 8) / 2**24 * (high - low)
                assert math.cos(math.radians(angle - found)) > 1 - 1e-9 or first[i, e] % 180 < 0.5
    assert changed > 0.95 * 300 * legs.edges
    assert sample(plain, stop=4).o.tobytes() == sample(parse_skeleton(LEGS), stop=4).o.tobytes()


STRIDES = [
    [10, 0, thigh, 0, shank, -90, thigh, 0, shank, 270] for thigh, shank in ((120, 110), (200, 20)) for _ in range(20)
]


def test_bones_go_together_as_in_the_examples() -> None:
    first, _ = angles(learned(STRIDES))
    lifted = np.abs(first[:, 1] % 360 - 120) < 25
    hanging = np.abs(first[:, 1] % 360 - 200) < 25
    assert min(lifted.mean(), hanging.mean()) > 0.35
    assert abs(np.median(first[lifted, 2]) - 110) < 15
    assert abs(np.median(first[hanging, 2]) - 20) < 15


def test_independent_angles_do_not_go_together() -> None:
    first, _ = angles(learned(STRIDES).with_sampling(angles="independent"))
    lifted, hanging = (np.abs(first[:, 1] % 360 - at) < 20 for at in (120, 200))
    assert abs(np.median(first[lifted, 2]) - np.median(first[hanging, 2])) < 5


def test_mirror_images_of_the_examples_are_learned() -> None:
    lean = [[10, 25, 150, 30, 40, -90, 150, 5, 40, 270]] * 10  # to the left, the left thigh out
    _, second = angles(learned(lean))
    assert 0.3 < (second[:, 0] > 10).mean() < 0.6
    assert 0.3 < (second[:, 0] < -10).mean() < 0.6
    out = np.abs(second[:, [1, 3]] - [30, -30]) < 12
    assert 0.3 < out[:, 0].mean() < 0.65
    assert 0.3 < out[:, 1].mean() < 0.65


def test_every_bone_still_reaches_its_whole_range() -> None:
    first, _ = angles(learned(STRIDES), 60_000)
    assert first[:, 2].min() < 2
    assert first[:, 2].max() > 148


def test_where_an_angle_is_not_known_the_whole_range_of_what_depends_on_it_counts() -> None:
    leg = parse_skeleton(LEG)
    first, second = np.full((2, 3), 100.0), np.zeros((2, 3))
    first[1, 0] = np.nan
    low, high = range_left(leg, 1, 0, first, second)
    assert (low[1], high[1]) == leg.ranges[1].first
    assert (low[0], high[0]) == pytest.approx(range_at(leg.ranges[1].first_given, 100.0))


def test_a_bone_whose_parent_has_no_examples_is_learned_over_its_whole_range() -> None:
    """As if its range did not depend on the parent, and not as if the parent lay at 0."""
    table = LEG.replace("150: [0, 150], 200: [0, 100]", "150: [0, 150], 200: [0, 20]")
    plain = table[: table.index("theta: {")] + "theta: [0, 150],\n" + table[table.index("         phi:") :]
    drawn, twin = (dependence.draws(learned([[20, -90], [140, -80]], text, ["foot"])) for text in (table, plain))
    assert drawn.cells.tobytes() == twin.cells.tobytes()


def test_bones_without_examples_stay_independent() -> None:
    legs = learned([pose[:6] for pose in STRIDES], joints=SHOWN[:3])
    first, _ = angles(legs)
    right = legs.joints.index("right_foot") - 1
    assert kstest(first[:, right] / 150, "uniform").pvalue > 1e-3
    assert kstest(first[:, 2] / 150, "uniform").pvalue < 1e-6


def test_examples_change_the_digest_only_where_they_are_drawn_from() -> None:
    legs = learned(STRIDES)
    assert legs.digest != parse_skeleton(LEGS).digest
    assert legs.with_sampling(angles="independent").digest == parse_skeleton(LEGS).digest
    assert legs.digest != learned(STRIDES[:30]).digest


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("joints: [spine", "joints: [spin", "did you mean 'spine'"),
        ("joints: [spine, left_knee", "joints: [spine, spine", "no list of different joints"),
        ("- [10, 0,", "- [10,", "expected 10 angles"),
        ("- [10, 0,", "- [ten, 0,", "not a number"),
        ("sampling: {angles: tree}", "sampling: {angles: bush}", "independent or tree"),
        ("examples:", "exmples:", "unknown key"),
    ],
)
def test_examples_that_cannot_be_are_told(old: str, new: str, told: str) -> None:
    text = learned(STRIDES).text
    assert old in text
    with pytest.raises(InputError) as error:
        parse_skeleton(text.replace(old, new, 1), "legs.yaml")
    assert any(told in line for line in error.value.lines)


def test_sampling_as_examples_needs_examples() -> None:
    with pytest.raises(InputError, match="no examples"):
        parse_skeleton(LEGS + "sampling: {angles: tree}\n")
    with pytest.raises(InputError, match="no examples"):
        parse_skeleton(LEGS).with_sampling(angles="tree")


# Usual ranges and views.


USUAL = LEG.replace(", abduction: {given: flexion", ", usual: {flexion: [170, 190]}, abduction: {given: flexion")


def usual_share(text: str) -> float:
    first, _ = angles(parse_skeleton(text))
    return float(np.mean(np.abs(first[:, 0] % 360 - 180) <= 10.001))


def test_a_usual_range_may_be_written_on_any_turn() -> None:
    turned = USUAL.replace("[170, 190]", "[-190, -170]") + "sampling: {usual: 0.6}\n"
    straight = USUAL + "sampling: {usual: 0.6}\n"
    a, b = (sample(parse_skeleton(text), stop=500) for text in (turned, straight))
    assert a.o.tobytes() == b.o.tobytes()


def test_a_usual_pose_keeps_to_the_usual_ranges_and_the_others_go_anywhere() -> None:
    elsewhere = 20 / 120
    assert abs(usual_share(USUAL + "sampling: {usual: 0}\n") - elsewhere) < 0.02
    assert abs(usual_share(USUAL + "sampling: {usual: 0.6}\n") - (0.6 + 0.4 * elsewhere)) < 0.02


def test_usual_ranges_that_no_pose_is_said_to_keep_to_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"<string>:\d+: joints\.\w+\.usual: decides nothing .*; expected sampling"):
        parse_skeleton(USUAL)
    parse_skeleton(USUAL + "sampling: {usual: 0}\n")


@pytest.mark.parametrize("yaw", ["[170, 190]", "[-190, -170]"])
def test_a_usual_view_may_be_written_on_any_turn(yaw: str) -> None:
    text = USUAL + f"sampling: {{usual: 0.5, view: {{yaw: [90, 270], usual: {{yaw: {yaw}}}}}}}\n"
    rotation = sample(parse_skeleton(text), stop=20_000, extras=("rotation",)).rotation
    assert rotation is not None
    turned = (
        np.degrees(np.arctan2(rotation[:, 1, 0], rotation[:, 1, 1])) % 360
    )  # of Ry Rx Rz: cos(pitch) (sin, cos) of yaw
    assert abs((np.abs(turned - 180) <= 10.001).mean() - (0.5 + 0.5 * 20 / 180)) < 0.02


def test_a_usual_view_that_the_view_leaves_out_does_not_count() -> None:
    text = USUAL + "sampling: {usual: 0.5, view: {usual: {yaw: [60, 90]}}}\n"
    plain = text.replace(", view: {usual: {yaw: [60, 90]}}", "")
    a, b = (sample(parse_skeleton(made).with_sampling(yaw=(-10, 10)), 1, 0, 300) for made in (text, plain))
    assert np.abs(a.o - b.o).max() < 1e-5


def test_what_is_usual_decides_nothing_where_no_pose_is() -> None:
    never = parse_skeleton(USUAL + "sampling: {usual: 0}\n")
    assert never.digest == parse_skeleton(LEG).digest
    viewed = USUAL + "sampling: {usual: 0.5, view: {usual: {yaw: [0, 9]}}}\n"
    assert parse_skeleton(viewed).with_sampling(usual=0).digest == parse_skeleton(LEG).digest
    assert sample(never, stop=9).o.tobytes() == sample(parse_skeleton(LEG), stop=9).o.tobytes()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("usual: {flexion: [170, 190]}", "usual: {flexion: [170, 290]}", "not within the range"),
        ("usual: {flexion: [170, 190]}", "usual: {theta: [17, 29]}", "unknown key"),
        ("sampling: {", "sampling: {view: {yaw: [0, 10], usual: {yaw: [20, 30]}}, ", "not within the range"),
        ("usual: {flexion: [170, 190]}, ", "", "neither a joint nor the view has usual ranges"),
    ],
)
def test_usual_ranges_that_cannot_be_are_told(old: str, new: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        parse_skeleton((USUAL + "sampling: {usual: 0.5}\n").replace(old, new))


# Learning them, and telling what that brings.


AHEAD = JointMap(forward="-y")  # the motion is in the upright axes already


def test_learning_from_samples_gives_back_their_angles() -> None:
    legs = parse_skeleton(LEGS)
    motion = sampled_motion(legs, 40, 4)
    text, poses, bones = learn(legs, [motion], AHEAD)
    assert (poses, bones) == (40, 5)
    again = parse_skeleton(text)
    assert again.examples is not None
    assert again.examples.angles.shape == (40, 5, 2)
    first, second = angles(legs, 40, 4)
    off = again.examples.angles - np.stack([first, second], axis=-1)[:, list(again.examples.edges)]
    assert np.abs((off + 180) % 360 - 180).max() < 0.06
    assert text.startswith(LEGS)
    assert len(parse_skeleton(learn(legs, [motion], AHEAD, poses=7).text).examples.angles) == 7  # type: ignore[union-attr]
    with pytest.raises(InputError, match="has some already"):
        learn(again, [motion], AHEAD)


@pytest.mark.parametrize("sampling", ["sampling: {}\n", "sampling: {noise: 0.1}\n", "sampling:\n  noise: 0.1\n", ""])
def test_examples_are_written_whatever_the_sampling_says(sampling: str) -> None:
    made = learned(STRIDES, LEGS + sampling)
    assert made.sampling.angles == "tree"
    assert made.sampling.noise == (0.1 if "noise" in sampling else 0)


@pytest.mark.parametrize("text", [" " + LEGS.replace("\n", "\n ").rstrip() + "\n", LEGS + "...\n"])
def test_a_yaml_that_examples_cannot_be_added_to_is_refused(text: str) -> None:
    parse_skeleton(text)
    with pytest.raises(InputError, match="cannot be added to a YAML of this form"):
        learned(STRIDES, text)


def test_a_range_over_another_angle_is_not_rewritten() -> None:
    with pytest.raises(InputError, match="depends on another angle"):
        with_ranges(LEG, {"foot": {"theta": (0, 10)}})


def test_decimals_do_not_keep_mirror_images_from_being_learned() -> None:
    text = LEGS.replace("phi: [-135, -45]", "phi: [-134.7, -45.3]")
    assert dependence._mirror_image(learned(STRIDES, text)) is not None
    assert dependence._mirror_image(learned(STRIDES, LEGS.replace("[-30, 30]", "[-30, 20]"))) is None


def test_samples_are_near_themselves_and_a_narrow_set_is_far_from_few() -> None:
    legs = parse_skeleton(LEGS)
    found = closeness(legs, [sampled_motion(legs, 200, 0)], AHEAD, samples=200, near=1)
    assert (found.complete, found.far) == (1, 0)
    assert found.frame_median < 0.1
    narrow = learned(STRIDES)
    wide, learned_ = (closeness(made, [sampled_motion(narrow, 200, 9)], AHEAD, samples=3000) for made in (legs, narrow))
    assert learned_.far < wide.far - 0.2
    assert learned_.frame_median < wide.frame_median


@pytest.mark.parametrize("wrong", [{"near": 0}, {"near": 181}, {"samples": 0}, {"seed": -1}])
def test_closeness_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    legs = parse_skeleton(LEGS)
    with pytest.raises(InputError, match=next(iter(wrong))):
        closeness(legs, [sampled_motion(legs, 3, 0)], AHEAD, **wrong)  # type: ignore[arg-type]


def test_the_command_writes_a_skeleton_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    legs = parse_skeleton(LEGS)
    (tmp_path / "legs.yaml").write_text(LEGS)
    motion = sampled_motion(legs, 30, 2)
    np.savez(tmp_path / "m.npz", positions=motion.positions, names=motion.names)
    (tmp_path / "map.yaml").write_text("forward: -y\n")
    out = tmp_path / "learned.yaml"
    command = ["fit", str(tmp_path / "legs.yaml"), str(tmp_path / "m.npz"), "--map", str(tmp_path / "map.yaml")]
    with pytest.raises(SystemExit) as first:
        main([*command, "--out", str(out)])
    assert first.value.code == 0
    assert "30 example poses of 5 bones" in capsys.readouterr().out
    made = out.read_bytes()
    with pytest.raises(SystemExit) as again:
        main([*command, "--out", str(out)])
    assert again.value.code == 2
    assert "exists already" in capsys.readouterr().err
    assert out.read_bytes() == made
