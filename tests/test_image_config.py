"""The configurations of training on images: files, presets, and what options make of them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("safetensors")
pytest.importorskip("PIL")

from image_folders import TINY, annotated  # noqa: E402
from image_runs import run  # noqa: E402

from lifter import cli  # noqa: E402
from lifter.image_config import PRESETS, STAGES, ImageConfig, load_image_config  # noqa: E402
from lifter.images import training as image_training  # noqa: E402
from lifter.images.model import SHAPE  # noqa: E402
from posesynth.errors import InputError  # noqa: E402


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_preset_is_read_as_it_was_written(preset, stage, tmp_path):
    config = PRESETS[preset][stage]
    assert config.stage == stage
    path = tmp_path / "run.yaml"
    path.write_text(config.yaml())
    assert load_image_config(path, TINY) == config
    assert len({tuple(getattr(config, name) for name in SHAPE) for config in PRESETS[preset].values()}) == 1


def test_the_paper_preset_has_the_values_of_the_paper():
    paper = PRESETS["paper"]
    for config in paper.values():
        assert (config.size, config.sigma, config.learning_rate, config.schedule) == (256, 10, 1e-4, "constant")
    assert [paper[stage].target for stage in STAGES] == [0.005, 0.005, 0.005, 1e-4, 1e-3]
    assert paper["skip1"].extra * paper["skip1"].batch == 5 * 90_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("size: 100\n", "size: is 100; expected a multiple of 64"),
        ("stage: skip3\n", "did you mean 'skip2'?"),
        ("flip: yes\n", ":1:7: flip: 'yes' is not a truth value"),
        ("rotation: 200\n", ":1:11: rotation: 200 is out of bounds"),
        ("labls: 5\n", "did you mean 'labels'?"),
        ("sigma: 0\n", ":1:8: sigma"),
    ],
)
def test_what_cannot_be_is_one_line(text, words, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_image_config(path)
    (line,) = caught.value.lines
    assert words in line
    assert len(line) <= 300


def test_flags_are_no_numbers_in_python_either():
    with pytest.raises(InputError, match="flip: is 1; expected True or False"):
        ImageConfig(flip=1)


def test_only_the_stages_that_need_labels_are_given_few_of_them(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(image_training, "train_stage", lambda config, *_, **__: given.update({config.stage: config}))
    monkeypatch.setattr(cli, "_watched", lambda config, out, names, start: start(None))
    run("train-images", "--preset", "debug", "--labels", 3, "--out", tmp_path / "o")
    assert {stage: config.labels for stage, config in given.items()} == {
        "autoencoder": 0, "skip2": 0, "skip1": 0, "landmarks": 3, "nms": 3,
    }  # fmt: skip


def test_synthetic_is_never_a_folder_beside_the_configuration(tmp_path):
    (tmp_path / "synthetic").mkdir()
    (tmp_path / "c.yaml").write_text("images: synthetic\n")
    assert load_image_config(tmp_path / "c.yaml").images == "synthetic"


def test_a_setting_in_a_file_may_need_what_an_option_says(tmp_path, monkeypatch):
    labels = annotated(tmp_path / "set", np.random.default_rng(0))
    (tmp_path / "map.yaml").write_text("absent: [tail]\n")
    (tmp_path / "c.yaml").write_text("keypoint_map: map.yaml\nlabels: 3\n")
    given = {}
    monkeypatch.setattr(image_training, "train_stage", lambda config, *_, **__: given.update({config.stage: config}))
    monkeypatch.setattr(cli, "_watched", lambda config, out, names, start: start(None))
    run(
        "train-images",
        "--preset",
        "debug",
        "--config",
        tmp_path / "c.yaml",
        "--images",
        labels,
        "--out",
        tmp_path / "o",
    )
    assert [(config.labels, bool(config.keypoint_map)) for config in given.values()] == [(0, False)] * 3 + [
        (3, True)
    ] * 2
