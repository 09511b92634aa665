"""Protocols: figures computed by hand, and the mistakes that people make with them, each of which must show."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from lifter.cli import lifter as command
from lifter.data.benchmarks import load_benchmark
from lifter.data.benchmarks.h36m import JOINTS
from lifter.data.benchmarks.mpi_inf_3dhp import TEST_JOINTS
from lifter.protocols import FROM_3DHP, GROUPS, H36M_ACTIONS, SEQUENCES, STEPS, Result, run_protocol
from posesynth import sample
from posesynth.errors import InputError
from posesynth.skeleton import load_skeleton

Array = np.ndarray
HUMAN = load_skeleton("human")
# What MPI-INF-3DHP's 17 joints are among Human3.6M's 17, as those who evaluate on it write it down.
KNOWN_MAP = [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]


@dataclass
class Stub:
    """A lifter that answers with a function of what it is shown and of the truth it is shown it of."""

    answers: list[Array]
    change: Callable[[Array, int], Array]
    shown: list[Array]
    name: str = "stub"
    skeleton: Any = HUMAN

    def lift(self, p2d: Array) -> Any:
        n = len(self.shown)
        self.shown.append(p2d)
        truth = self.answers[n]
        longest = np.linalg.norm(truth[:, 1:] - truth[:, HUMAN.parents[1:]], axis=2).max(1)

        @dataclass
        class Poses:
            p3d: Array

        return Poses(self.change(truth.copy(), n) / longest[:, None, None])


def people(seed: int, count: int) -> Array:
    """(T, 17, 3) upright people, metres, z up."""
    poses = sample(HUMAN, seed=seed, stop=count, extras=("p3d",)).p3d
    assert poses is not None
    return 0.45 * poses.astype(np.float64) + [0, 0, 1]


@pytest.fixture
def h36m(tmp_path: Path) -> str:
    """A take or two of each action and subject; of some actions more frames."""
    held: dict[str, dict[str, Array]] = {}
    for s, subject in enumerate(("S1", "S9", "S11")):
        held[subject] = {}
        for a, action in enumerate(H36M_ACTIONS):
            for take, name in enumerate((action, f"{action} 1") if a % 5 == 0 else (action,)):
                world = np.zeros((1 + a // 5 + take, 32, 3), np.float32)
                world[:, list(JOINTS.values())] = people(100 * s + 2 * a + take, len(world))
                held[subject][name] = world
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d=held)
    return str(tmp_path)


@pytest.fixture
def mpi(tmp_path: Path) -> str:
    for n, sequence in enumerate(SEQUENCES):
        world = people(n, 4 + n)
        camera = 1000 * np.stack([world[..., 0], 1 - world[..., 2], world[..., 1] + 4], axis=-1)
        points = np.empty((len(world), 17, 3))
        points[:, KNOWN_MAP] = camera
        image = 1500 * points[..., :2] / points[..., 2:] + 1000
        valid = np.ones((len(world), 1))
        valid[0] = 0
        points[0] = 1.0  # nothing that anybody could lift
        (tmp_path / sequence).mkdir()
        with h5py.File(tmp_path / sequence / "annot_data.mat", "w") as file:
            file["univ_annot3"], file["annot3"] = points[:, None], 1.2 * points[:, None]
            file["annot2"], file["valid_frame"] = image[:, None], valid
    return str(tmp_path)


def truths(protocol: str, data: str) -> list[Array]:
    """(T, 17, 3) of each recording in the order of `human`, x right, y away, z up, mm: written once more, plainly."""
    found = []
    if protocol == "3dhp":
        for sequence in SEQUENCES:
            (recording,) = load_benchmark(os.path.join(data, sequence)).recordings
            x, y, z = recording.positions[recording.scored][:, KNOWN_MAP].astype(np.float64).transpose(2, 0, 1)
            found.append(np.stack([x, z, -y], axis=-1))
    else:
        for recording in load_benchmark(data, subjects=["S9", "S11"]).recordings:
            x, y, z = recording.positions.astype(np.float64).transpose(2, 0, 1)
            found.append(np.stack([x, z, -y], axis=-1))
    return found


def run(protocol: Any, data: str, change: Callable[[Array, int], Array] = lambda p, _: p, **options: Any) -> Result:
    return run_protocol(Stub(truths(protocol, data), change, []), protocol, data, **options)


def off(joints: list[str], by: float) -> Callable[[Array, int], Array]:
    """Joints off by so many mm, along depth."""

    def change(pose: Array, _: int) -> Array:
        pose[:, [HUMAN.joints.index(joint) for joint in joints]] += [0, by, 0]
        return pose

    return change


# --- Human3.6M ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["h36m-p1", "h36m-p2"])
def test_the_truth_has_no_error_and_depth_0_has(h36m: str, protocol: Any) -> None:
    found = run(protocol, h36m)
    for row in found.rows:
        for value in row.figures.values():
            assert value is not None
            assert value < 1e-3 if row.method == "stub" else value > 20
    assert found.row("mean of 15").frames == sum(2 * 4 * (1 + a // 5 + (a % 5 == 0) * (2 + a // 5)) for a in range(15))


def test_the_root_counts_with_its_error_of_0(h36m: str) -> None:
    others = [joint for joint in HUMAN.joints if joint != "hip"]
    found = run("h36m-p1", h36m, off(others, 34.0))
    assert found.row("mean of 15").figures["MPJPE"] == pytest.approx(34 * 16 / 17, abs=1e-3)  # not 34


def test_a_root_that_is_off_is_off_in_all_other_joints(h36m: str) -> None:
    found = run("h36m-p1", h36m, off(["hip"], 34.0))
    assert found.row("mean of 15").figures["MPJPE"] == pytest.approx(34 * 16 / 17, abs=1e-3)  # not 34 / 17


def test_the_mean_is_that_of_actions_and_not_of_frames(h36m: str) -> None:
    """Each action off by another length; actions with more frames weigh no more."""
    names = [recording.action.split(" ")[0] for recording in load_benchmark(h36m, subjects=["S9", "S11"]).recordings]

    def change(pose: Array, n: int) -> Array:
        pose[:, HUMAN.joints.index("left_wrist")] += [0, 17.0 * H36M_ACTIONS.index(names[n]), 0]
        return pose

    found = run("h36m-p1", h36m, change)
    for a, action in enumerate(H36M_ACTIONS):
        assert found.row(action).figures["MPJPE"] == pytest.approx(a, abs=1e-3)
    assert found.row("mean of 15").figures["MPJPE"] == pytest.approx(7, abs=1e-3)
    frames = np.array([found.row(action).frames for action in H36M_ACTIONS])
    assert abs((frames * np.arange(15)).sum() / frames.sum() - 7) > 0.1  # what pooling would give


def test_a_pose_turned_inside_out_is_not_forgiven(h36m: str) -> None:
    """A Procrustes that may reflect gives 0 here."""
    found = run("h36m-p2", h36m, lambda pose, _: pose * [1, -1, 1])
    assert all(value > 20 for value in found.row("mean of 15").figures.values() if value is not None)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    same = run("h36m-p2", h36m, lambda pose, _: 3 * pose @ turn.T + 100)
    assert all(value < 1e-3 for value in same.row("mean of 15").figures.values() if value is not None)


def test_without_the_root_16_joints_are_aligned(h36m: str) -> None:
    """A root alone that is off costs nothing where it is left out, and more than its 17th part where it is not."""
    figures = run("h36m-p2", h36m, off(["hip"], 170.0)).row("mean of 15").figures
    assert figures["P-MPJPE 16"] == pytest.approx(0, abs=1e-3)
    assert figures["P-MPJPE"] is not None
    assert 8 < figures["P-MPJPE"] < 30


def test_the_scale_comes_from_the_truth(h36m: str) -> None:
    """A lifter's unit changes nothing: its longest edge is made as long as the true one."""

    def change(pose: Array, _: int) -> Array:
        return 0.7 * pose

    figures = run("h36m-p1", h36m, change).row("mean of 15").figures
    assert figures["N-MPJPE"] == pytest.approx(0, abs=1e-3)
    assert figures["MPJPE"] is not None
    assert figures["MPJPE"] > 50  # 0.7 is the lifter's own fault: its longest edge is to be 1


def test_the_lifter_sees_what_each_camera_sees(h36m: str) -> None:
    stub = Stub(truths("h36m-p1", h36m), lambda p, _: p, [])
    run_protocol(stub, "h36m-p1", h36m)
    recordings = load_benchmark(h36m, subjects=["S9", "S11"]).recordings
    for shown, truth, recording in zip(stub.shown, stub.answers, recordings, strict=True):
        np.testing.assert_array_equal(shown[..., 0], recording.p2d[..., 0])
        np.testing.assert_array_equal(shown[..., 1], -recording.p2d[..., 1])
        for image, solid in zip(shown, truth, strict=True):  # up in the image is up in the pose
            assert np.corrcoef(image[:, 1], solid[:, 2])[0, 1] > 0.8
            assert np.corrcoef(image[:, 0], solid[:, 0])[0, 1] > 0.8


def test_poses_that_were_not_lifted_are_counted(h36m: str) -> None:
    def half(pose: Array, _: int) -> Array:
        pose[::2] = np.nan
        return pose

    found = run("h36m-p1", h36m, half)
    row = found.row("Photo")
    assert 0 < row.failed < row.frames
    assert f"{row.frames - row.failed} of {row.frames}" in found.table()
    assert row.figures["MPJPE"] == pytest.approx(0, abs=1e-3)
    nothing = run("h36m-p1", h36m, lambda pose, _: np.full_like(pose, np.nan))
    assert nothing.row("mean of 15").figures == {"MPJPE": None, "N-MPJPE": None}
    json.dumps(nothing.json(), allow_nan=False)


def test_one_frame_in_many_is_taken_of_each_recording(h36m: str) -> None:
    stub = Stub([truth[::2] for truth in truths("h36m-p1", h36m)], lambda p, _: p, [])
    found = run_protocol(stub, "h36m-p1", h36m, frames_every=2)
    assert found.row("mean of 15").figures["MPJPE"] == pytest.approx(0, abs=1e-3)
    assert "1 frame in 2" in found.rules[0]


def test_a_detectors_2d_is_shown_in_place_of_the_true(h36m: str) -> None:
    with np.load(os.path.join(h36m, "data_3d_h36m.npz"), allow_pickle=True) as file:
        held = file["positions_3d"].item()
    seen = {s: {a: [np.full((len(w), 17, 2), 7.0)] * 4 for a, w in actions.items()} for s, actions in held.items()}
    np.savez(os.path.join(h36m, "data_2d_h36m_some.npz"), positions_2d=seen)
    stub = Stub(truths("h36m-p1", h36m), lambda p, _: p, [])
    found = run_protocol(stub, "h36m-p1", h36m, detections="data_2d_h36m_some.npz")
    assert all((shown == [7.0, -7.0]).all() for shown in stub.shown)
    assert "2D: detected (data_2d_h36m_some.npz)" in found.rules


# --- MPI-INF-3DHP ---------------------------------------------------------------------------------------------------


def test_the_joint_map_is_that_of_others() -> None:
    assert [TEST_JOINTS.index(next(k for k, v in FROM_3DHP.items() if v == j)) for j in HUMAN.joints] == KNOWN_MAP


def test_the_groups_are_the_14_joints_of_the_benchmarks_own_script() -> None:
    theirs = [TEST_JOINTS[n - 1] for n in (1, 2, 3, 6, 4, 7, 5, 8, 9, 12, 10, 13, 11, 14)]
    assert [joint for group in GROUPS.values() for joint in group] == [FROM_3DHP[joint] for joint in theirs]


def test_perfect_poses_have_an_auc_of_30_31(mpi: str) -> None:
    found = run("3dhp", mpi)
    assert len(STEPS) == 31
    figures = found.row("all").figures
    assert figures["PCK"] == figures["PCK 17"] == 1
    assert figures["AUC"] == pytest.approx(30 / 31)  # without the threshold 0 it were 1
    assert figures["AUC 17"] == pytest.approx(30 / 31)
    for metric in ("MPJPE", "N-MPJPE", "P-MPJPE"):
        assert figures[metric] == pytest.approx(0, abs=1e-3)


def test_frames_that_are_not_valid_are_neither_shown_nor_scored(mpi: str) -> None:
    found = run("3dhp", mpi)
    assert [found.row(sequence).frames for sequence in SEQUENCES] == [3, 4, 5, 6, 7, 8]
    assert found.row("all").frames == 33


@pytest.mark.parametrize(("by", "share"), [(149.9, 1.0), (150.1, 0.0)])
def test_near_is_below_150_mm(mpi: str, by: float, share: float) -> None:
    found = run("3dhp", mpi, off(["left_wrist"], by))
    assert found.row("groups").figures["PCK wrist"] == pytest.approx((1 + share) / 2)
    assert found.row("all").figures["PCK"] == pytest.approx((13 + share) / 14)
    assert found.row("all").figures["PCK 17"] == pytest.approx((16 + share) / 17)


def test_the_area_is_that_of_31_steps(mpi: str) -> None:
    figures = run("3dhp", mpi, off(["left_wrist"], 72.0)).row("all").figures
    # Near at 75, 80, ... 150: 16 steps.
    assert figures["AUC"] == pytest.approx((13 * 30 + 16) / 14 / 31)
    assert figures["AUC 17"] == pytest.approx((16 * 30 + 16) / 17 / 31)
    assert figures["MPJPE"] == pytest.approx(72 / 17, abs=1e-3)


def test_spine_nose_and_root_are_not_among_the_14(mpi: str) -> None:
    figures = run("3dhp", mpi, off(["spine", "neck"], 500.0)).row("all").figures
    assert figures["PCK"] == 1
    assert figures["PCK 17"] == pytest.approx(15 / 17)


def test_all_is_the_mean_of_frames_and_not_of_sequences(mpi: str) -> None:
    found = run("3dhp", mpi, lambda pose, n: off(["head"], 17.0 * n)(pose, n))
    each = [found.row(sequence).figures["MPJPE"] for sequence in SEQUENCES]
    np.testing.assert_allclose(np.array(each, float), range(6), atol=1e-3)
    assert found.row("all").figures["MPJPE"] == pytest.approx(np.average(range(6), weights=range(3, 9)), abs=1e-3)


def test_the_lifter_sees_each_joint_in_its_own_place(mpi: str) -> None:
    stub = Stub(truths("3dhp", mpi), lambda p, _: p, [])
    run_protocol(stub, "3dhp", mpi)
    for shown, truth in zip(stub.shown, stub.answers, strict=True):
        expected = 1500 * truth[..., [0, 2]] / truth[..., 1:2] + [1000, -1000]
        np.testing.assert_allclose(shown, expected, atol=1e-2)


# --- what is said, and what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ("h36m-p1", ["S9 and S11", "ground truth", "15 actions", "17, root hip, whose error of 0 counts", "unit: mm"]),
        ("h36m-p2", ["P-MPJPE 16: without it, as EvoSkeleton counts", "never a reflection", "are not read"]),
        (
            "3dhp",
            ["valid_frame = 1", "univ_annot3", "150 mm, strictly", "31 steps, 0 among", "as long as that of the true"],
        ),
    ],
)
def test_the_table_says_its_rules(request: Any, protocol: Any, words: list[str]) -> None:
    data = request.getfixturevalue("mpi" if protocol == "3dhp" else "h36m")
    text = run(protocol, data).table()
    for word in words:
        assert word in text
    assert ("a lifter has no unit" in text) == (protocol != "h36m-p2")
    assert [line for line in text.splitlines() if len(line) > 140] == []


def test_what_will_not_do_is_named(h36m: str, tmp_path: Path) -> None:
    for options, words in (
        ({"protocol": "h36m"}, "protocol: is 'h36m'; expected h36m-p1, h36m-p2, 3dhp; did you mean"),
        ({"protocol": None}, "protocol: is None"),
        ({"frames_every": 0}, "frames_every: is 0"),
        ({"protocol": "3dhp", "detections": "x.npz"}, "detections: are given; expected them with Human3.6M alone"),
        ({"protocol": "3dhp"}, "TS1: is not there"),
        ({"data": str(tmp_path / "none")}, "is not there"),
        ({"detections": "none.npz"}, "none.npz: cannot be read"),
    ):
        given: dict[str, Any] = {"protocol": "h36m-p1", "data": h36m} | options
        with pytest.raises(InputError) as caught:
            run_protocol(Stub([], lambda p, _: p, []), given.pop("protocol"), given.pop("data"), **given)
        assert words in caught.value.lines[0], caught.value.lines


def test_an_action_that_is_not_there_is_no_protocol(h36m: str) -> None:
    path = os.path.join(h36m, "data_3d_h36m.npz")
    with np.load(path, allow_pickle=True) as file:
        held = file["positions_3d"].item()
    for subject in ("S9", "S11"):
        for name in ("Directions", "Directions 1"):
            del held[subject][name]
    np.savez(path, positions_3d=held)
    with pytest.raises(InputError, match="has no Directions of S9 and S11; expected all 15 actions"):
        run("h36m-p1", h36m)


def test_a_lifter_of_another_animal_is_refused(h36m: str) -> None:
    stub = Stub([], lambda p, _: p, [], skeleton=load_skeleton("dog"))
    with pytest.raises(InputError, match=r"stub: its skeleton 'dog' has no hip, .*; expected the joints of 'human'"):
        run_protocol(stub, "h36m-p1", h36m)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--protocol", "3dhp"], "--data: is not given"),
        (["--data", "x"], "are given without --protocol"),
        (["--protocol", "3dhp", "--data", "x", "a.bvh"], "a.bvh: is given with --protocol"),
        (["--protocol", "3dhp", "--data", "x", "--views", "any"], "--views: is given with --protocol"),
        (["--protocol", "3dhp", "--data", "x", "--map", "any"], "--map: is given with --protocol"),
        ([], "MOTION: none given"),
    ],
)
def test_options_that_do_not_go_together_are_named(options: list[str], words: str) -> None:
    done = CliRunner().invoke(command, ["evaluate", *options])
    assert isinstance(done.exception, InputError)
    assert words in done.exception.lines[0]
