"""Training on images: runs that cannot be, or cannot go on, are refused in one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("safetensors")
pytest.importorskip("PIL")

from image_folders import QUADRUPED, TINY, annotated  # noqa: E402
from image_runs import begun, refused, run, stop_after  # noqa: E402

from lifter import training  # noqa: E402
from lifter.image_config import STAGES  # noqa: E402
from lifter.images import sources as image_sources  # noqa: E402
from lifter.images.model import load_images  # noqa: E402
from lifter.images.training import train_stage  # noqa: E402
from posesynth.errors import InputError  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_stages")


def test_a_stage_without_the_one_before_is_refused_and_claims_nothing(tmp_path):
    assert "expected stage autoencoder to be done before skip2" in refused(TINY.with_values(stage="skip2"), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"width": 3}, "width: is 2 there and 3 here"),
        ({"code": 5}, "code: is 4 there and 5 here"),
        ({"skeleton": "human"}, "expected the joints of 'human'"),
    ],
)
def test_a_stage_before_of_another_shape_is_refused(values, words, whole, tmp_path):
    begun(whole, tmp_path, "skip2")
    assert words in refused(TINY.with_values(stage="skip2", **values), tmp_path)
    assert not (tmp_path / "skip2" / "config.yaml").exists()


def test_heatmaps_of_another_sigma_than_those_that_were_trained_are_refused(whole, tmp_path):
    begun(whole, tmp_path, "nms")
    assert "sigma: is 2.5 there and 5.0 here" in refused(TINY.with_values(stage="nms", sigma=5.0), tmp_path)


def test_another_stage_before_is_refused_when_a_run_goes_on(whole, tmp_path):
    begun(whole, tmp_path, "skip1")
    config = TINY.with_values(stage="skip2")
    train_stage(config, tmp_path)
    shutil.rmtree(tmp_path / "autoencoder")
    train_stage(TINY.with_values(seed=5), tmp_path)
    assert "another stage before" in refused(config, tmp_path)


def test_another_setting_in_the_same_folder_is_refused_by_its_field(whole):
    assert "config.yaml: labels: is 0" in refused(TINY.with_values(labels=7), whole)


def test_a_folder_without_joints_is_refused_where_joints_are_needed(pictures, whole, tmp_path):
    begun(whole, tmp_path, "landmarks")
    line = refused(TINY.with_values(stage="landmarks", images=str(pictures)), tmp_path)
    assert "images without labels" in line


def test_a_run_of_the_lifter_is_no_model_of_images(tmp_path):
    models = Path(training.__file__).parent / "models"
    with pytest.raises(InputError, match="no model of images"):
        load_images(models / "dog.safetensors")
    with pytest.raises(InputError, match=r"holds no model\.safetensors"):
        load_images(tmp_path)


@pytest.mark.parametrize(("name", "words"), [("IMAGE_VERSION", "image version"), ("STREAM_VERSION", "stream version")])
def test_a_run_does_not_go_on_with_images_of_another_version(name, words, tmp_path, monkeypatch):
    stop_after(3, monkeypatch)
    with pytest.raises(training.Stopped):
        train_stage(TINY, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(image_sources, name, 2)
    assert f"were trained on another {words}" in refused(TINY, tmp_path)


@pytest.mark.parametrize("change", ["an image more", "an image less"])
def test_a_run_does_not_go_on_where_the_images_of_its_set_on_disk_are_others(change, tmp_path, monkeypatch):
    path = annotated(tmp_path / "set", np.random.default_rng(0))
    (tmp_path / "set/11.png").rename(tmp_path / "kept.png")  # labelled, not on disk
    config = TINY.with_values(images=str(path))
    stop_after(3, monkeypatch)
    with pytest.raises(training.Stopped):
        train_stage(config, tmp_path / "run")
    monkeypatch.undo()
    if change == "an image more":
        shutil.copy(tmp_path / "kept.png", tmp_path / "set/11.png")
    else:
        (tmp_path / "set/3.png").unlink()
    assert "were trained on other images" in refused(config, tmp_path / "run")


def test_labels_that_do_not_fit_are_refused_before_the_first_stage(pictures, tmp_path, capsys):
    for images, words in ((pictures, "stages landmarks and nms need an annotated set"), ("synthetic", "")):
        code = run("train-images", "--images", images, "--preset", "debug", "--map", "m.yaml", "--out", tmp_path / "o")
        line = capsys.readouterr().err
        assert (code, line.count("\n")) == (2, 1)
        assert (words or "--map: is for an annotated set") in line
        assert not (tmp_path / "o").exists()


def test_a_run_inside_its_folder_of_images_is_refused(pictures, tmp_path):
    """Its pictures would be trained on."""
    folder = tmp_path / "pictures"
    shutil.copytree(pictures, folder)
    assert "lies in" in refused(TINY.with_values(images=str(folder)), folder / "run")
    assert not (folder / "run").exists()
    labels = annotated(tmp_path / "set", np.random.default_rng(0))  # whose images are those of its labels
    train_stage(TINY.with_values(images=str(labels)), tmp_path / "set" / "run")


def test_landmarks_begin_anew_where_the_stage_before_them_did(tmp_path):
    for stage in STAGES[:4]:
        train_stage(TINY.with_values(stage=stage, transfer="tuned"), tmp_path)
    shutil.rmtree(tmp_path / "skip1")
    train_stage(TINY.with_values(stage="skip1", transfer="tuned", learning_rate=0.1), tmp_path)
    assert "another stage before" in refused(TINY.with_values(stage="landmarks", transfer="tuned"), tmp_path)


def test_labels_that_move_without_a_box_are_other_images(tmp_path):
    """They make the crops, whichever of them the skeleton knows."""
    labels = annotated(tmp_path / "set", np.random.default_rng(0))
    config = TINY.with_values(images=str(labels))
    train_stage(config, tmp_path / "run")
    document = json.loads(labels.read_text())
    document["annotations"][0]["keypoints"][0] += 20.0
    labels.write_text(json.dumps(document))
    assert "other images" in refused(config, tmp_path / "run")


def test_joints_that_the_stage_before_never_learned_are_refused(whole, tmp_path):
    begun(whole, tmp_path, "landmarks")
    labels = annotated(tmp_path / "set", np.random.default_rng(0))
    for stage, absent in (("landmarks", QUADRUPED.joints[8:]), ("nms", QUADRUPED.joints[:8])):
        (tmp_path / f"{stage}.yaml").write_text(f"absent: [{', '.join(absent)}]\n")
    values = {"images": str(labels)}
    train_stage(TINY.with_values(stage="landmarks", keypoint_map=str(tmp_path / "landmarks.yaml"), **values), tmp_path)
    line = refused(TINY.with_values(stage="nms", keypoint_map=str(tmp_path / "nms.yaml"), **values), tmp_path)
    assert "has learned none of the joints" in line


def test_stages_that_know_a_joint_by_other_labels_of_the_same_images_do_not_follow(whole, tmp_path):
    begun(whole, tmp_path, "landmarks")
    labels = annotated(tmp_path / "set", np.random.default_rng(0))
    (tmp_path / "map.yaml").write_text("joints: {head: left_elbow}\nabsent: [left_elbow]\n")
    values = {"images": str(labels)}
    train_stage(TINY.with_values(stage="landmarks", keypoint_map=str(tmp_path / "map.yaml"), **values), tmp_path)
    line = refused(TINY.with_values(stage="nms", **values), tmp_path)
    assert "has learned joint 'head' from left_elbow, which is head here; expected one map" in line


def test_a_validation_that_is_no_number_is_one_line(tmp_path, capsys):
    code = run(
        "train-images", "--preset", "debug", "--stage", "autoencoder", "--learning-rate", 10, "--out", tmp_path / "o"
    )
    assert code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert "not a finite number" in line or "not finite" in line
