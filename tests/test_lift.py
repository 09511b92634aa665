"""From files to poses: the shipped models, `Lifter.lift`, and the commands lift, show, models."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lifter
import posesynth
from lifter.checkpoint import load_tensors, save_tensors
from lifter.cli import main
from lifter.data.poses import read_poses
from lifter.model_file import shipped_models
from lifter.pipeline import FEWEST, Lifter
from posesynth.errors import InputError

MODELS = ("dog", "hand", "human", "mammal", "quadruped")


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> Lifter:
    return lifter.load(request.param)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def clean(skeleton: posesynth.Skeleton, count: int) -> posesynth.Batch:
    """Samples that no training reaches, without noise or hidden joints."""
    plain = skeleton.with_sampling(noise=0.0, missing=0.0)
    return posesynth.sample(plain, 0, 2**62, 2**62 + count, extras=("p3d",))


def write_track(path: Path, names: Sequence[str], pixels: np.ndarray, likelihood: float = 0.9) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["scorer", *["net"] * (3 * len(names))])
        table.writerow(["bodyparts", *[name for name in names for _ in range(3)]])
        table.writerow(["coords", *["x", "y", "likelihood"] * len(names)])
        for frame, points in enumerate(pixels):
            table.writerow([frame, *[value for x, y in points for value in (x, y, likelihood)]])


# The shipped models.


def test_shipped_models_are_those_of_the_docs() -> None:
    assert tuple(shipped_models()) == MODELS


def test_shipped_models_know_their_skeleton(model: Lifter) -> None:
    """On samples of the kind they were trained on: mean cosine of the bones, and symmetric lengths."""
    batch = clean(model.skeleton, 4000)
    poses = model.lift(batch.p2d)
    bones = poses.p3d[:, 1:] - poses.p3d[:, model.skeleton.parents[1:]]
    true = batch.p3d[:, 1:] - batch.p3d[:, model.skeleton.parents[1:]]  # type: ignore[index]
    cosine = (bones * true).sum(-1) / (np.linalg.norm(bones, axis=-1) * np.linalg.norm(true, axis=-1))
    assert (
        np.nanmean(cosine) > {"dog": 0.95, "hand": 0.95, "human": 0.95, "mammal": 0.95, "quadruped": 0.935}[model.name]
    )
    pairs = np.array(model.skeleton.symmetric, int).reshape(-1, 2)
    unlike = poses.o[:, pairs[:, 0], 0] - poses.o[:, pairs[:, 1], 0]
    assert np.square(unlike).sum() <= {"human": 0.005}.get(model.name, 0.002) * unlike.size


def test_confidence_is_less_where_the_error_is_more(model: Lifter) -> None:
    batch = clean(model.skeleton, 4000)
    poses = model.lift(batch.p2d)
    assert poses.confidence is not None
    centred, true = (p - p.mean(axis=1, keepdims=True) for p in (poses.p3d, batch.p3d))
    error = np.linalg.norm(centred - true, axis=-1)
    low, high = np.quantile(poses.confidence, (0.1, 0.5))
    sure, unsure = (error[mask].mean() for mask in (poses.confidence > high, poses.confidence < low))
    assert sure < unsure / 2


# Lifter.lift.


def test_poses_are_f_of_their_bones(model: Lifter) -> None:
    poses = model.lift(clean(model.skeleton, 50).p2d)
    assert np.abs(posesynth.forward(poses.o, model.skeleton) - poses.p3d).max() < 1e-4
    assert np.allclose(poses.o[..., 0].max(axis=1), 1)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 640.0, 1e9])
def test_unit_and_place_do_not_matter(model: Lifter, scale: float) -> None:
    p2d = clean(model.skeleton, 50).p2d.astype(np.float64)
    moved = p2d * scale + 7 * scale
    assert np.abs(model.lift(moved).p3d - model.lift(p2d).p3d).max() < 0.02


def test_not_visible_is_not_seen(model: Lifter) -> None:
    p2d = clean(model.skeleton, 50).p2d.copy()
    visible = np.ones(p2d.shape[:2], bool)
    visible[:, 4] = False
    by_mask = model.lift(p2d, visible)
    p2d[:, 4] = np.nan
    assert np.array_equal(by_mask.p3d, model.lift(p2d).p3d)
    assert np.isfinite(by_mask.p3d).all()


def test_too_few_joints_give_no_pose(model: Lifter) -> None:
    p2d = clean(model.skeleton, 3).p2d.copy()
    p2d[0, FEWEST:] = np.nan
    p2d[1, FEWEST - 1 :] = np.nan
    p2d[2] = np.inf
    poses = model.lift(p2d)
    assert np.isfinite(poses.p3d[0]).all()
    assert poses.confidence is not None
    for array in (poses.p3d, poses.o, poses.confidence):
        assert np.isnan(array[1:]).all()


def test_nothing_in_nothing_out(model: Lifter) -> None:
    joints = len(model.skeleton.joints)
    assert model.lift(np.zeros((0, joints, 2))).p3d.shape == (0, joints, 3)


def test_another_shape_is_refused(model: Lifter) -> None:
    joints = len(model.skeleton.joints)
    for shape in ((joints, 2), (3, joints - 1, 2), (3, joints, 3)):
        _refused(model, joints, shape)


def _refused(model: Lifter, joints: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(posesynth.InputError, match=rf"p2d: has shape .*; expected \(B, {joints}, 2\)"):
        model.lift(np.zeros(shape))


# The commands.


def test_a_track_is_lifted_frame_by_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skeleton = posesynth.load_skeleton("quadruped")
    pixels = clean(skeleton, 5).p2d * [200, -200] + 300
    write_track(tmp_path / "track.csv", skeleton.joints, pixels)
    assert run("lift", tmp_path / "track.csv", "--out", tmp_path / "poses.csv") == 0
    printed = capsys.readouterr().out
    assert "5 poses in 5 frames by mammal" in printed
    assert "left_front_paw" in printed
    track = read_poses(tmp_path / "poses.csv")
    expected = lifter.load("mammal").lift(clean(skeleton, 5).p2d)
    assert np.abs(track.p3d[:, 0] - expected.p3d).max() < 0.02
    assert run("show", tmp_path / "poses.csv", "--video", tmp_path / "panel.png") == 0
    assert (tmp_path / "panel.png").read_bytes().startswith(b"\x89PNG")


def test_low_likelihood_is_not_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skeleton = posesynth.load_skeleton("quadruped")
    write_track(tmp_path / "track.csv", skeleton.joints, clean(skeleton, 2).p2d, likelihood=0.3)
    assert run("lift", tmp_path / "track.csv", "--out", tmp_path / "none.npz") == 2
    assert "no pose can be lifted: 2 of 2 show fewer than three joints" in capsys.readouterr().err
    assert not (tmp_path / "none.npz").exists()
    arguments = ("--min-confidence", "0.2", "--out", tmp_path / "all.npz")
    assert run("lift", tmp_path / "track.csv", *arguments) == 0
    assert np.isfinite(read_poses(tmp_path / "all.npz").p3d).all()


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models") == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == list(MODELS)


def test_what_cannot_be_lifted_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    track, out = tmp_path / "track.csv", tmp_path / "poses.h5"
    skeleton = posesynth.load_skeleton("quadruped")
    write_track(track, skeleton.joints, clean(skeleton, 2).p2d)
    write_track(tmp_path / "plant.csv", ["leaf", "stem", "root", "bud"], np.zeros((2, 4, 2)))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "mine.h5").write_text("something of mine")
    torch.save({"weights": torch.ones(2)}, tmp_path / "pickle.safetensors")
    damaged = tmp_path / "flipped.safetensors"
    data = bytearray(shipped_models()["dog"].read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    damaged.with_suffix(".json").write_bytes(shipped_models()["dog"].with_suffix(".json").read_bytes())
    cases = {
        ("nowhere.csv",): "nowhere.csv",
        (tmp_path / "empty.csv",): "empty.csv",
        (tmp_path / "plant.csv",): "plant.csv",
        (track, "--model", "quadrupet"): "did you mean 'quadruped'",
        (track, "--model", tmp_path): "model.safetensors",
        (track, "--model", tmp_path / "pickle.safetensors"): "pickle.safetensors",
        (track, "--model", damaged): "flipped.safetensors",
        (track, "--min-confidence", "2"): "--min-confidence: is 2.0",
        (track, "--map", tmp_path / "empty.csv"): "empty.csv",
    }
    before = sorted(tmp_path.iterdir())
    for arguments, named in cases.items():
        assert run("lift", *arguments, "--out", out) == 2, arguments
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 1, told
        assert told[0].startswith("error: ")
        assert named in told[0]
        assert len(told[0]) <= 307
        assert sorted(tmp_path.iterdir()) == before
    assert run("lift", track, "--out", tmp_path / "mine.h5") == 2
    assert (tmp_path / "mine.h5").read_text() == "something of mine"


def test_an_existing_json_is_refused_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there.json").write_text("mine")
    for name, why in (("there.json", "is there already"), ("nowhere/new.json", "its folder is not there")):
        assert run("evaluate", tmp_path / "no.npz", "--json", tmp_path / name) == 2
        assert why in capsys.readouterr().err
    assert (tmp_path / "there.json").read_text() == "mine"


def test_evaluate_takes_some_frames_in_so_many_views(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skeleton = posesynth.load_skeleton("dog")
    poses = posesynth.sample(skeleton, 0, 0, 10, extras=["p3d"]).p3d
    np.savez(tmp_path / "clip.npz", positions=poses, names=np.array(skeleton.joints))
    words = ("evaluate", tmp_path / "clip.npz", "--model", "dog", "--json", tmp_path / "found.json")
    assert run(*words, "--views-per-frame", 3, "--frames-every", 4) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["views_per_frame"], found["frames_every"], found["frames"]) == (3, 4, 3)
    assert found["rows"][0]["poses"] == 9
    assert run("evaluate", tmp_path / "clip.npz", "--frames-every", 0) == 2
    assert "--frames-every" in capsys.readouterr().err
    assert run("evaluate", tmp_path / "clip.npz", "--missing", 1) == 2
    assert capsys.readouterr().err == "error: --missing: is 1.0; expected a share, from 0 to below 1\n"


def changed_config(path: Path, change: dict[str, Any], drop: Sequence[str] = ()) -> Path:
    """A shipped model whose config was changed, under a digest of its own."""
    from lifter.checkpoint import load_tensors, save_tensors

    tensors, facts = load_tensors(shipped_models()["dog"])
    config = {name: value for name, value in facts["config"].items() if name not in drop} | change
    save_tensors(path, tensors, {**facts, "config": config})
    return path


def test_a_model_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    """Its JSON is sound as JSON goes, with a digest of its own, but tells of another network."""
    for change in ({"width": 512}, {"output": "angles"}):
        with pytest.raises(posesynth.InputError, match="weights are not those"):
            lifter.load(changed_config(tmp_path / "wrong.safetensors", change))


def test_a_model_older_than_a_field_is_read_with_its_default(tmp_path: Path) -> None:
    from lifter.config import Config
    from lifter.model_file import load_model

    _, _, facts = load_model(changed_config(tmp_path / "older.safetensors", {}, drop=["precision", "clean"]))
    assert facts["config"].keys() == Config.__dataclass_fields__.keys()
    assert (facts["config"]["precision"], facts["config"]["clean"]) == (Config().precision, Config().clean)


def test_a_model_with_a_field_nobody_knows_is_refused(tmp_path: Path) -> None:
    for change, words in (
        ({"hue": 3}, "config: 'hue' is unknown"),
        ({"width": "wide"}, "config: width: is 'wide'"),
        ({"output": ["depth"]}, "config: output: is"),
    ):
        path = changed_config(tmp_path / "other.safetensors", change)
        with pytest.raises(posesynth.InputError) as caught:
            lifter.load(path)
        (line,) = caught.value.lines
        assert line.startswith(f"{path}: {words}")


def test_importing_lifter_loads_no_torch() -> None:
    import subprocess

    code = "import lifter, lifter.cli, sys; print([m for m in ('torch', 'numba', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_joints_all_in_one_place_are_not_lifted() -> None:
    p2d = np.random.default_rng(0).normal(size=(3, 16, 2))
    p2d[1] = 7.0
    p3d = lifter.load("dog").lift(p2d).p3d
    assert np.isfinite(p3d[[0, 2]]).all()
    assert np.isnan(p3d[1]).all()


def test_a_model_of_weights_that_are_no_numbers_is_refused(tmp_path: Path) -> None:
    tensors, facts = load_tensors(shipped_models()["dog"])
    tensors["last.bias"][0] = float("nan")
    save_tensors(tmp_path / "broken.safetensors", tensors, facts)
    with pytest.raises(InputError, match="a weight is not a number"):
        lifter.load(tmp_path / "broken.safetensors")
