"""Evaluation: what a perfect, a mirrored and a failing lifter must score, on views that are those promised."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_data import DATA, real

from lifter import baselines, metrics
from lifter.baselines import Lookup, laid_flat, mean_pose, synthetic_poses
from lifter.evaluate import NEAR, Evaluation, evaluate
from lifter.ground_truth import draw_views, look, project, read_clips
from posesynth.coverage import JointMap
from posesynth.errors import InputError
from posesynth.schema import parse_skeleton
from posesynth.skeleton import load_skeleton

Array = np.ndarray[Any, Any]

DOG = DATA / "dog_mocap"

SKELETON = parse_skeleton("""posesynth: 1
name: bug
root: hip
joints:
  chest: {parent: hip, theta: [60, 120], phi: [-120, -60]}
  head: {parent: chest, theta: [30, 90], phi: [-120, -60]}
  left_foot: {parent: hip, theta: [120, 170], phi: [0, 90]}
  right_foot: {mirror: left_foot}
""")
AS_GIVEN = JointMap(up="z")


@dataclass(frozen=True)
class Stub:
    """A lifter that answers with what it was given as a function."""

    answer: Callable[[Array], Array]
    name: str = "stub"
    skeleton: Any = SKELETON

    def lift(self, p2d: Array) -> Any:
        @dataclass
        class Poses:
            p3d: Array

        return Poses(self.answer(p2d))


def flat(p2d: Array) -> Array:
    return np.stack([p2d[..., 0], 0 * p2d[..., 0], p2d[..., 1]], axis=-1)


def poses(seed: int, count: int = 20) -> Array:
    """(T, N, 3) poses of the bug, lengths near 1, somewhere in the world."""
    rng = np.random.default_rng(seed)
    middle = np.array([[0, 0, 0], [0, -1, 0], [0, -1.4, 0.3], [0.2, 0.1, -0.6], [-0.2, 0.1, -0.6]])
    return middle + rng.normal(size=(count, 5, 3)) * 0.1 + rng.normal(size=(count, 1, 3)) * 10


def write(path: Path, positions: Array) -> str:
    np.savez(path, positions=positions, names=np.array(SKELETON.joints))
    return str(path)


@pytest.fixture(autouse=True)
def few_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "LOOKUP_VIEWS", 500)


@pytest.fixture
def clips(tmp_path: Path) -> list[str]:
    return [write(tmp_path / f"clip{c}.npz", poses(c)) for c in range(3)]


def knowing(paths: list[str], change: Callable[[Array], Array] = lambda p: p, **options: Any) -> Stub:
    """A lifter that knows each view it will be shown, and answers with the truth, changed."""
    settings = {"views": "any", "views_per_frame": 8, "noise": 0.0, "missing": 0.0} | options
    settings["metre"] = {"m": 1.0, None: None}[settings.pop("unit", None)]
    answers: list[Array] = []
    for c, clip in enumerate(read_clips(SKELETON, paths, AS_GIVEN, 1)):
        shown = look(clip, seed=[0, c], **settings)  # type: ignore[arg-type]
        answers += [change(seen.truth / seen.longest[:, None, None]) for seen in shown]
    turn = iter(answers)
    return Stub(lambda _: next(turn))


def run(lifter: Stub, paths: list[str], **options: Any) -> Evaluation:
    return evaluate(lifter, paths, **{"joint_map": AS_GIVEN, **options})


# --- the figures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"views": "filmed"}, {"noise": 0.05, "missing": 0.3}, {"views": "perspective", "unit": "m"}]
)
def test_the_truth_has_no_error(clips: list[str], options: dict[str, Any]) -> None:
    found = run(knowing(clips, **options), clips, **options)
    for clip in ("clip0.npz", "clip1.npz", "clip2.npz", "all"):
        row = found.row(clip=clip)
        lengths = (row.mpjpe, row.n_mpjpe, row.p_mpjpe, row.reprojection, row.reprojection_fitted)
        np.testing.assert_allclose(lengths, 0, atol=1e-9)
        assert (row.pck, row.auc, row.failed) == (1.0, pytest.approx(30 / 31), 0)
        assert row.poses == (20 * 8 if clip != "all" else 60 * 8)


def test_a_larger_copy_of_the_truth_costs_only_the_figures_without_scale(clips: list[str]) -> None:
    row = run(knowing(clips, lambda p: 1.5 * p), clips).row()
    assert row.mpjpe > 0.1
    assert row.reprojection > 0.1
    np.testing.assert_allclose((row.n_mpjpe, row.p_mpjpe, row.reprojection_fitted), 0, atol=1e-9)


def test_a_turned_copy_of_the_truth_costs_all_but_p_mpjpe(clips: list[str]) -> None:
    turn = draw_views(np.random.default_rng(5), 1, "any")[0]
    row = run(knowing(clips, lambda p: p @ turn.T), clips).row()
    assert min(row.mpjpe, row.n_mpjpe, row.reprojection, row.reprojection_fitted) > 0.1
    assert row.p_mpjpe == pytest.approx(0, abs=1e-9)


def test_a_mirrored_depth_fits_the_image_and_is_not_forgiven(clips: list[str]) -> None:
    row = run(knowing(clips, lambda p: p * [1, -1, 1]), clips).row()
    assert row.reprojection == pytest.approx(0, abs=1e-9)
    assert min(row.mpjpe, row.n_mpjpe, row.p_mpjpe) > 0.05


def test_all_is_the_mean_of_poses_and_not_of_clips(tmp_path: Path) -> None:
    paths = [write(tmp_path / "long.npz", poses(1, 30)), write(tmp_path / "short.npz", poses(2, 10))]
    found = run(Stub(flat), paths)
    each = [found.row(clip=clip).p_mpjpe for clip in ("long.npz", "short.npz")]
    assert found.row().p_mpjpe == pytest.approx((3 * each[0] + each[1]) / 4)


def test_units_only_change_lengths_by_their_ratio(tmp_path: Path, clips: list[str]) -> None:
    centimetres = [write(tmp_path / f"cm{c}.npz", 100 * poses(c)) for c in range(3)]
    lifter = Stub(lambda p: laid_flat(SKELETON, p))
    metres, same, raw = run(lifter, clips, unit="m"), run(lifter, centimetres, unit="cm"), run(lifter, clips)
    assert metres.row().mpjpe == pytest.approx(same.row().mpjpe)
    assert metres.row().mpjpe == pytest.approx(1000 * raw.row().mpjpe)
    assert metres.row().p_mpjpe_body == pytest.approx(raw.row().p_mpjpe_body)
    assert (metres.unit, raw.unit) == ("mm", None)
    assert "own unit" in raw.table()
    np.testing.assert_allclose(metres.body_lengths["clip0.npz"], 1000 * raw.body_lengths["clip0.npz"])


def test_cmus_unit_is_an_inch_through_0_45(tmp_path: Path) -> None:
    positions = np.array([[[0, 0, 0], [0, -0.45, 0], [0, -0.45, 0.1], [0.1, 0, 0], [0, 0, 0.1]]] * 3)
    found = run(Stub(flat), [write(tmp_path / "clip.npz", positions)], unit="cmu")
    assert found.body_lengths["clip.npz"] == pytest.approx(25.4)


def test_the_body_length_is_the_mean_longest_edge(clips: list[str]) -> None:
    longest = [
        max(np.linalg.norm(pose[j] - pose[SKELETON.parents[j]]) for j in range(1, 5)) for pose in poses(0).astype(float)
    ]
    assert run(Stub(flat), clips).body_lengths["clip0.npz"] == pytest.approx(np.mean(longest))


def test_a_longest_edge_that_is_hidden_is_as_long_as_usual(tmp_path: Path) -> None:
    positions = np.repeat(np.array([[[0, 0, 0], [0, -2, 0], [0, -2, 1], [1, 0, 0], [0, 0, 1]]], float), 4, axis=0)
    positions[0, 2] = np.nan  # the head, at the end of another edge
    positions[1, 1] = np.nan  # the chest, at the end of the longest
    clip = read_clips(SKELETON, [write(tmp_path / "clip.npz", positions)], AS_GIVEN, 1)[0]
    np.testing.assert_allclose(clip.longest, 2)


def test_joints_that_are_not_known_are_not_scored(tmp_path: Path) -> None:
    positions = poses(0)
    positions[::2, 2] = np.nan
    positions[1, 0] = np.nan  # the root: P-MPJPE alone
    positions[3, 1:4] = np.nan  # too few
    paths = [write(tmp_path / "holes.npz", positions)]
    found = run(knowing(paths, lambda p: np.nan_to_num(p, nan=99.0)), paths)
    np.testing.assert_allclose((found.row().mpjpe, found.row().p_mpjpe), 0, atol=1e-9)
    assert (found.row().poses, found.left_out) == (19 * 8, 1)
    assert "1 frames that show too few joints left out" in found.table()


def test_a_joint_that_the_motion_does_not_have_is_named(clips: list[str]) -> None:
    found = run(Stub(lambda p: flat(np.nan_to_num(p))), clips, joint_map=JointMap(up="z", absent=("head",)))
    assert found.joints == ("hip", "chest", "left_foot", "right_foot")
    assert found.not_scored == ("head",)
    assert found.row().failed == 0
    assert "the motion has no head" in found.table()


def test_poses_that_were_not_lifted_are_counted(clips: list[str]) -> None:
    def half(p: Array) -> Array:
        p = p.copy()
        p[::2] = np.nan
        return p

    found = run(knowing(clips, half), clips)
    assert (found.row().failed, found.row().poses) == (240, 480)
    assert found.row().p_mpjpe == pytest.approx(0, abs=1e-9)
    assert "240 of 480" in found.table()
    nothing = run(Stub(lambda p: np.full((*p.shape[:2], 3), np.nan)), clips).row()
    assert (nothing.failed, nothing.mpjpe, nothing.reprojection) == (480, None, None)


def test_the_figures_are_those_of_the_seed(clips: list[str]) -> None:
    options: dict[str, Any] = {"noise": 0.02, "missing": 0.1}
    lifter = Stub(lambda p: flat(np.nan_to_num(p)))
    first, again, other = (run(lifter, clips, seed=seed, **options).json() for seed in (0, 0, 1))
    assert first == again
    assert first["rows"] != other["rows"]


def test_every_lifter_sees_the_same(clips: list[str]) -> None:
    seen: list[list[Array]] = [[], []]
    for each in seen:
        run(Stub(lambda p, each=each: (each.append(p), flat(p))[1], name=f"{len(each)}"), clips, noise=0.1, missing=0.2)
    for a, b in zip(*seen, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_lifter_called_like_a_baseline_is_not_lost(clips: list[str]) -> None:
    found = run(replace(knowing(clips), name="lookup"), clips)
    assert found.row().p_mpjpe == pytest.approx(0, abs=1e-9)
    assert found.row("lookup").p_mpjpe > 1e-3


def test_the_text_says_under_what_rules(clips: list[str]) -> None:
    text = run(Stub(flat), clips, noise=0.02, missing=0.2, unit="m", frames_every=3, views="filmed", seed=7).table()
    for words in (
        "ground-truth 2D", "orthographic", "168, 8 views of 21 frames (1 in 3)", "pitch uniform within 30 degrees",
        "seed 7", "noise 2 % of the body length", "20 % of joints hidden", "5: hip, chest, head, left_foot, right_foot",
        "unit: mm", "roots (hip)", "never a reflection", f"nearer than {100 * NEAR:g} %", "20000 views",
    ):  # fmt: skip
        assert words in text
    head = next(line for line in text.splitlines() if line.startswith("clip "))
    assert head.index("P-MPJPE") < head.index("reprojection")
    assert all(len(line) <= 160 for line in text.splitlines())


def test_the_json_is_json(clips: list[str]) -> None:
    found = run(Stub(flat), clips)
    again = json.loads(json.dumps(found.json(), allow_nan=False))
    assert again["rows"][0]["p_mpjpe"] == found.rows[0].p_mpjpe
    assert again["joints"] == list(SKELETON.joints)


# --- views ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("views", ["any", "filmed"])
def test_views_are_rotations(views: Any) -> None:
    turns = draw_views(np.random.default_rng(0), 100, views)
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1)


def test_any_view_is_as_likely_as_another() -> None:
    turns = draw_views(np.random.default_rng(0), 40_000, "any")
    # Of a Haar rotation each entry is uniform on [-1, 1], and the trace has mean 0 and mean square 1.
    for row in range(3):
        for column in range(3):
            entries = np.sort(turns[:, row, column])
            assert np.abs(entries - np.linspace(-1, 1, 40_000)).max() < 0.03
    trace = np.trace(turns, axis1=1, axis2=2)
    assert abs(trace.mean()) < 0.02
    assert abs((trace**2).mean() - 1) < 0.03


def test_filmed_views_keep_the_animal_upright() -> None:
    turns = draw_views(np.random.default_rng(0), 20_000, "filmed")
    up = turns[:, :, 2]
    np.testing.assert_allclose(up[:, 0], 0, atol=1e-12)  # no roll
    pitch = np.degrees(np.arctan2(-up[:, 1], up[:, 2]))
    assert np.abs(np.sort(pitch) - np.linspace(-30, 30, 20_000)).max() < 0.7
    yaw = np.sort(np.degrees(np.arctan2(turns[:, 0, 1], turns[:, 0, 0])))
    assert np.abs(yaw - np.linspace(-180, 180, 20_000)).max() < 4


def test_a_view_of_known_angles_is_that_of_the_conventions() -> None:
    class Fixed:
        def random(self, shape: tuple[int, int]) -> Array:
            return np.array([[0.25, 1.0, 0.0]])  # yaw 90, the highest pitch, roll 0

    turn = draw_views(Fixed(), 1, "filmed")[0]  # type: ignore[arg-type]
    nose = turn @ [0, -1, 0]
    np.testing.assert_allclose(nose, [1, 0, 0], atol=1e-12)  # yaw > 0 turns the nose right
    assert (turn @ [0, 0, 1])[1] < 0  # pitch > 0 shows it from above: what points up points at the camera


@pytest.mark.parametrize("up", ["x", "y", "z", "-x", "-y", "-z", ("hip", "head")])
def test_up_is_turned_to_z_and_nothing_is_mirrored(tmp_path: Path, up: Any) -> None:
    positions = poses(0)
    path = write(tmp_path / "clip.npz", positions)
    found = read_clips(SKELETON, [path], JointMap(up=up), 1)[0].positions
    given, turned = positions - positions[:, :1], found - found[:, :1]
    height = {"x": given[..., 0], "y": given[..., 1], "z": given[..., 2]}.get(up[-1])
    if height is None:
        assert (turned[:, 2, 2] > 0).all()
        np.testing.assert_allclose(turned[:, 2, :2], 0, atol=1e-12)
    else:
        np.testing.assert_allclose(turned[..., 2], -height if up[0] == "-" else height, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turned[:, 1:4]), np.linalg.det(given[:, 1:4]), atol=1e-12)
    np.testing.assert_allclose(turned @ turned.transpose(0, 2, 1), given @ given.transpose(0, 2, 1), atol=1e-12)


def test_a_projected_joint_is_where_a_pinhole_puts_it() -> None:
    truth = poses(0)
    truth -= truth.mean(1, keepdims=True)
    distance = np.linspace(4, 6, len(truth))
    for found, pose, away in zip(project(truth, distance), truth, distance, strict=True):
        for (x, y, z), image in zip(pose, found, strict=True):
            focal = away  # what lies as far as the middle keeps its size
            np.testing.assert_allclose(image, [focal * x / (away + y), focal * z / (away + y)])
    np.testing.assert_array_equal(project(truth, None), truth[..., [0, 2]])
    behind = project(np.array([[[1.0, -5.0, 1.0], [1.0, 0.0, 1.0]]]), np.array([4.0]))
    np.testing.assert_array_equal(np.isnan(behind), [[[True, True], [False, False]]])


def test_a_near_joint_looks_larger_and_a_far_camera_is_orthographic(tmp_path: Path) -> None:
    clip = read_clips(SKELETON, [write(tmp_path / "clip.npz", poses(0, 600))], AS_GIVEN, 1)[0]

    def off(metre: float) -> tuple[Array, Array]:
        seen = list(look(clip, "perspective", 4, 0.0, 0.0, [0, 0], metre))
        truth = np.concatenate([part.truth for part in seen])
        flat = np.concatenate([part.p2d for part in seen])
        return truth, np.linalg.norm(flat, axis=2) / np.linalg.norm(truth[..., [0, 2]], axis=2)

    truth, larger = off(1.0)
    assert ((larger > 1) == (truth[..., 1] < 0)).all()
    distance = truth[..., 1] / (1 / larger - 1)  # 1 / larger = (D + y) / D
    per_view = np.median(distance, axis=1)
    np.testing.assert_allclose(distance, np.broadcast_to(per_view[:, None], distance.shape), rtol=1e-6)
    assert np.abs(np.sort(per_view) - np.linspace(4, 6, len(per_view))).max() < 0.1
    filmed = np.concatenate([part.truth for part in look(clip, "filmed", 4, 0.0, 0.0, [0, 0])])
    np.testing.assert_array_equal(truth, filmed)  # the camera's distance changes no view
    np.testing.assert_allclose(off(1e6)[1], 1, atol=1e-5)


def test_perspective_figures_are_the_same_in_any_unit(tmp_path: Path, clips: list[str]) -> None:
    centimetres = [write(tmp_path / f"cm{c}.npz", 100 * poses(c)) for c in range(3)]
    one, same = (
        run(Stub(flat), paths, views="perspective", unit=u) for paths, u in ((clips, "m"), (centimetres, "cm"))
    )
    for method in ("stub", "mean pose", "lookup", "lookup (synthetic)"):
        assert one.row(method).p_mpjpe == pytest.approx(same.row(method).p_mpjpe)
    text = one.table()
    for words in (
        "ground-truth 2D (perspective)",
        "by a camera 4 to 6 m away",
        "camera: pinhole",
        "without perspective",
    ):
        assert words in text


def test_noise_and_hidden_joints_are_those_asked_for(tmp_path: Path) -> None:
    clip = read_clips(SKELETON, [write(tmp_path / "clip.npz", poses(0, 600))], AS_GIVEN, 1)[0]
    clean = list(look(clip, "any", 4, 0.0, 0.0, [0, 0]))
    noisy = list(look(clip, "any", 4, 0.05, 0.2, [0, 0]))
    off, shares = [], []
    for a, b in zip(clean, noisy, strict=True):
        np.testing.assert_array_equal(a.truth, b.truth)  # neither changes the views
        np.testing.assert_array_equal(a.p2d, a.truth[..., [0, 2]])
        hidden = np.isnan(b.p2d)
        np.testing.assert_array_equal(hidden[..., 0], hidden[..., 1])
        off.append((b.p2d - a.p2d)[~hidden])
        shares.append(hidden[..., 0].ravel())
    assert np.std(np.concatenate(off)) == pytest.approx(0.05 * clip.body_length, rel=0.02)
    assert np.concatenate(shares).mean() == pytest.approx(0.2, abs=0.01)
    unseen_alone = next(look(clip, "any", 4, 0.0, 0.2, [0, 0])).p2d
    np.testing.assert_array_equal(np.isnan(unseen_alone), np.isnan(noisy[0].p2d))  # noise hides no other joints


# --- baselines ------------------------------------------------------------------------------------------------------


def test_depth_0_keeps_the_image_and_has_no_depth() -> None:
    p2d = poses(0)[..., [0, 2]]
    found = laid_flat(SKELETON, p2d)
    assert (found[..., 1] == 0).all()
    bones = np.linalg.norm(found[:, 1:] - found[:, SKELETON.parents[1:]], axis=2)
    np.testing.assert_allclose(bones.max(1), 1)
    hidden = p2d.copy()
    hidden[:, 4] = np.nan
    assert np.isfinite(laid_flat(SKELETON, hidden)).all()
    hidden[:, 1:] = np.nan
    assert np.isnan(laid_flat(SKELETON, hidden)).all()


def test_the_mean_of_one_pose_however_turned_is_that_pose() -> None:
    pose = poses(0)[0] - poses(0)[0].mean(0)
    rng = np.random.default_rng(1)
    scales = rng.uniform(0.5, 2, size=(30, 1, 1))
    copies = scales * np.einsum("bij,nj->bni", draw_views(rng, 30, "any"), pose) + rng.normal(size=(30, 1, 3))
    mean = mean_pose(copies)
    assert mean is not None
    same = np.linalg.norm(pose) * mean
    np.testing.assert_allclose(same @ same.T, pose @ pose.T, atol=1e-9)
    assert np.linalg.det(same[1:4] - same[0]) == pytest.approx(np.linalg.det(pose[1:4] - pose[0]))


def test_the_mean_turns_no_pose_inside_out() -> None:
    pose = poses(0)[0] - poses(0)[0].mean(0)
    mean = mean_pose(np.stack([pose, pose, pose, pose * [1, -1, 1]]))
    assert mean is not None
    same = np.linalg.norm(pose) * mean
    assert np.abs(same @ same.T - pose @ pose.T).max() > 0.01


def test_the_mean_takes_no_pose_with_holes() -> None:
    positions = poses(0)
    holes = positions.copy()
    holes[::2, 1] = np.nan
    np.testing.assert_allclose(mean_pose(holes), mean_pose(positions[1::2]))
    for t in range(len(holes)):
        holes[t, t % 5] = np.nan
    assert mean_pose(holes) is None


def slow_nearest(views: Array, p2d: Array) -> int:
    seen = np.isfinite(p2d).all(1)

    def normal(points: Array) -> Array:
        points = points[seen] - points[seen].mean(0)
        return np.asarray(points / np.sqrt((points**2).sum()))

    return int(np.argmin([((normal(view) - normal(p2d)) ** 2).sum() for view in views]))


@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_the_lookup_finds_what_a_plain_search_finds(hidden: int) -> None:
    lookup = Lookup(poses(0), "any", [0])
    p2d = 1e-60 * poses(1)[..., [0, 2]]  # any unit
    rng = np.random.default_rng(0)
    for pose in p2d:
        pose[rng.permutation(5)[:hidden]] = np.nan
    found = lookup.find(p2d)
    for pose, each in zip(found, p2d, strict=True):
        np.testing.assert_array_equal(pose, lookup._poses[slow_nearest(lookup._poses[..., [0, 2]], each)])


def test_baselines_see_only_other_clips(tmp_path: Path) -> None:
    """Of two clips of one pose each, all that either can find is the other's pose."""
    still = [write(tmp_path / f"{c}.npz", np.repeat(poses(c, 1), 5, axis=0)) for c in range(2)]
    found = run(Stub(flat), still)
    for c, other in ((0, 1), (1, 0)):
        expected = metrics.p_mpjpe(poses(other, 1), poses(c, 1))[0]
        for method in ("mean pose", "lookup"):
            assert found.row(method, f"{c}.npz").p_mpjpe == pytest.approx(expected)


def test_one_clip_has_no_lookup_and_its_own_mean(clips: list[str]) -> None:
    found = run(Stub(flat), clips[:1])
    assert [row.method for row in found.rows] == ["stub", "depth 0", "mean pose", "lookup (synthetic)"]
    assert "the clip itself" in found.table()
    assert "lookup:" not in found.table()


def test_the_synthetic_lookup_knows_the_ranges_and_no_clip(tmp_path: Path) -> None:
    """Of a skeleton of next to one pose, filmed, it finds any view of that pose and no other pose."""
    text = """posesynth: 1
name: statue
root: hip
joints:
  chest: {parent: hip, theta: [89, 91], phi: [-91, -89], length: [0.99, 1]}
  head: {parent: chest, theta: [29, 31], phi: [-91, -89], length: [0.49, 0.5]}
  left_foot: {parent: hip, theta: [149, 151], phi: [44, 46], length: [0.69, 0.7]}
  right_foot: {mirror: left_foot}
"""
    statue = parse_skeleton(text)
    names = np.array(statue.joints)
    for file, seed in (("a", 1), ("b", 2)):
        drawn = synthetic_poses(statue, seed)[:20] * [1, 1, 1 if file == "a" else 3]
        np.savez(tmp_path / f"{file}.npz", positions=drawn, names=names)
    paths = [str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]
    found = evaluate(Stub(flat, skeleton=statue), paths, joint_map=AS_GIVEN, views="filmed")
    alone = evaluate(Stub(flat, skeleton=statue), paths[:1], joint_map=AS_GIVEN, views="filmed")
    assert alone.row("lookup (synthetic)").p_mpjpe < 0.02
    assert found.row("lookup (synthetic)", "a.npz") == alone.row("lookup (synthetic)")
    assert found.row("lookup (synthetic)", "b.npz").p_mpjpe > 0.1


# --- input that will not do -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"views": "filmd"}, "views: is 'filmd'; expected 'any' or 'filmed' or 'perspective'; did you mean 'filmed'?"),
        ({"views": None}, "views: is None"),
        ({"views": "perspective"}, "unit: is not given; expected m, cm, mm or cmu"),
        ({"unit": "inch"}, "unit: is 'inch'; expected m, cm, mm or cmu"),
        ({"noise": -0.1}, "noise: is -0.1; expected a share"),
        ({"noise": float("nan")}, "noise: is nan"),
        ({"noise": True}, "noise: is True"),
        ({"missing": 1.0}, "missing: is 1.0; expected a share"),
        ({"missing": "0.2"}, "missing: is '0.2'"),
        ({"views_per_frame": 0}, "views_per_frame: is 0; expected a whole number"),
        ({"frames_every": 0}, "frames_every: is 0"),
        ({"seed": -1}, "seed: is -1"),
        ({"joint_map": "nowhere"}, "nowhere"),
        ({"joint_map": JointMap(joints={"head": ("snout",)})}, "no 'snout'"),
    ],
)
def test_options_that_will_not_do_are_named(clips: list[str], options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        run(Stub(flat), clips, **options)
    assert words in caught.value.lines[0]
    assert all(len(line) <= 300 for line in caught.value.lines)


def test_motions_that_will_not_do_are_named(tmp_path: Path, clips: list[str]) -> None:
    empty = write(tmp_path / "empty.npz", np.full((5, 5, 3), np.nan))
    point = write(tmp_path / "point.npz", np.zeros((5, 5, 3)))
    for motions, words in (
        ([], "motion: none given"),
        (clips[0], "expected a list of files"),
        ([clips[0], str(tmp_path / "." / "clip0.npz")], "is given twice"),
        ([str(tmp_path / "gone.npz")], "gone.npz: "),
        ([clips[0], empty], "empty.npz: no frame shows 3 joints of 'bug'"),
        ([point], "point.npz: no frame shows"),
    ):
        with pytest.raises(InputError) as caught:
            run(Stub(flat), motions)  # type: ignore[arg-type]
        assert words in caught.value.lines[0], motions


def test_a_lifter_of_other_joints_is_refused(clips: list[str]) -> None:
    with pytest.raises(InputError, match=r"stub: lifts \(160, 5, 2\) to \(160, 4, 3\); expected \(160, 5, 3\)"):
        run(Stub(lambda p: np.zeros((len(p), 4, 3))), clips)


def test_importing_costs_no_torch() -> None:
    code = "import sys, lifter.evaluate; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- a real dog -----------------------------------------------------------------------------------------------------


@real
def test_the_real_dog_stands_where_it_was_measured_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "LOOKUP_VIEWS", 20_000)
    paths = [str(DOG / f"dog_{name}_joint_pos.txt") for name in ("walk00", "run01", "pace")]
    dog = load_skeleton("dog")
    options: dict[str, Any] = {"joint_map": "dog-motion-imitation", "unit": "m", "frames_every": 4}
    found = evaluate(Stub(lambda p: laid_flat(dog, p), skeleton=dog), paths, **options)
    assert len(found.joints) == 16
    assert found.row().p_mpjpe == found.row("depth 0").p_mpjpe
    assert found.row("depth 0").p_mpjpe == pytest.approx(108, abs=5)
    assert found.row("mean pose").p_mpjpe == pytest.approx(70, abs=5)
    assert found.row("lookup").p_mpjpe == pytest.approx(47, abs=5)
    filmed = evaluate(Stub(flat, skeleton=dog), paths, views="filmed", **options)
    assert filmed.row("lookup").p_mpjpe < found.row("lookup").p_mpjpe


@real
def test_real_hands_are_motion() -> None:
    hand = load_skeleton("hand")
    path = str(DATA / "format_samples" / "rhd" / "test_rhd.json")
    found = evaluate(Stub(flat, skeleton=hand), [path], joint_map="hand-rhd", unit="mm", views="perspective")
    assert len(found.joints) == 21
    assert found.row().poses == 24
    assert found.body_lengths["test_rhd.json"] == pytest.approx(85, abs=15)  # a metacarpal
    assert 10 < found.row("depth 0").p_mpjpe < 30
    assert 10 < found.row("lookup (synthetic)").p_mpjpe < 30
