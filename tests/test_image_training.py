"""Training on images: what is frozen stays so, a stage goes on with the same bytes and ends when its aim is reached."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_files import log_of, model_bytes

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("safetensors")
pytest.importorskip("PIL")

from image_folders import QUADRUPED, TINY, annotated, plain, source  # noqa: E402
from PIL import Image  # noqa: E402

from lifter import cli, training  # noqa: E402
from lifter.checkpoint import load_tensors  # noqa: E402
from lifter.cli import main  # noqa: E402
from lifter.image_config import PRESETS, STAGES, ImageConfig, load_image_config  # noqa: E402
from lifter.images import sources as image_sources  # noqa: E402
from lifter.images import training as image_training  # noqa: E402
from lifter.images.heatmaps import gaussians  # noqa: E402
from lifter.images.model import SHAPE, ImageNetworks, digest_of, load_images, trained_parameters  # noqa: E402
from lifter.images.step import ImageStep  # noqa: E402
from lifter.images.training import train_stage  # noqa: E402
from posesynth.errors import InputError  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"LOG_EVERY": 2, "VALIDATE_EVERY": 2, "VALIDATION_IMAGES": 5}.items():
            patch.setattr(image_training, name, value)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages of TINY, which nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    for stage in STAGES:
        train_stage(TINY.with_values(stage=stage), out)
    return out


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain(tmp_path_factory.mktemp("pictures"))


def begun(whole: Path, out: Path, stage: str) -> Path:
    """A folder with the stages before `stage`."""
    for name in STAGES[: STAGES.index(stage)]:
        shutil.copytree(whole / name, out / name)
    return out


def refused(*args: Any, **more: Any) -> str:
    with pytest.raises(InputError) as caught:
        train_stage(*args, **more)
    (line,) = caught.value.lines
    assert len(line) <= 300
    return line


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


# --- what a stage trains

TRAINED = {  # at the paper's size, for the 16 joints of its animal
    "autoencoder": 11_379_491 + 10_868_096,
    "skip2": 36_864,
    "skip1": 36_864,
    "landmarks": 3_297_296,
    "nms": 11_395_296,
}


def test_each_stage_trains_as_many_parameters_as_it_says():
    net = ImageNetworks(ImageConfig(), 16)
    found = {stage: sum(p.numel() for p in trained_parameters(net, stage).values()) for stage in STAGES}
    assert found == TRAINED
    assert sum(found.values()) == sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_changes_its_own_weights_and_no_frozen_weight_or_statistic(stage, whole):
    net, _, _, facts = load_images(whole / stage)
    own = net.of_stage(stage)
    assert facts["trained_parameters"] == sum(p.numel() for p in trained_parameters(net, stage).values())
    if stage == STAGES[0]:
        before = ImageNetworks(TINY, 16)
    else:
        before = load_images(whole / STAGES[STAGES.index(stage) - 1])[0]
        frozen = before.until(STAGES[STAGES.index(stage) - 1])
        after = {name: tensor for name, tensor in net.until(stage).items() if name not in own}
        assert frozen.keys() == after.keys()
        assert digest_of(frozen) == digest_of(after)
        assert any("running_mean" in name for name in frozen)
    for name, parameter in trained_parameters(net, stage).items():
        if parameter.ndim > 1:  # gains near 1 may be 1 again as float16
            assert not torch.equal(parameter, dict(before.named_parameters())[name]), name


@pytest.mark.parametrize("stage", STAGES[1:])
def test_no_step_touches_a_frozen_tensor(stage, whole):
    """Weights, means, variances and counts of batches, after each of some steps."""
    step = learner(stage, whole)
    everything = step.net.state_dict()
    frozen = {name for name in everything if name not in step.net.of_stage(stage)}
    before = digest_of({name: everything[name] for name in frozen})
    own = digest_of(step.net.of_stage(stage))
    for number, batch in enumerate(source().batches(0, 3, 2)):
        step(batch, number)
        step.validate(number + 1)
        now = step.net.state_dict()
        assert digest_of({name: now[name] for name in frozen}) == before
        assert digest_of(step.net.of_stage(stage)) != own
    assert all(parameter.grad is None for name, parameter in step.net.named_parameters() if name in frozen)


def test_a_frozen_weight_that_has_changed_is_noticed(whole, tmp_path):
    step = learner("skip2", whole)
    step.save(str(tmp_path / "model.safetensors"), {})
    step.net.autoencoder.encoder.layer0[0].layers[1].running_mean += 1
    with pytest.raises(RuntimeError, match="frozen"):
        step.save(str(tmp_path / "other.safetensors"), {})


def test_validation_leaves_a_batch_norm_that_trains_as_it_was(whole):
    step = learner("autoencoder", whole)
    before = digest_of(step.net.state_dict())
    step.validate(0)
    assert digest_of(step.net.state_dict()) == before
    norms = [m for m in step.net.autoencoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert all(norm.training for norm in norms)


def learner(stage: str, whole: Path, **values: Any) -> ImageStep:
    config = TINY.with_values(stage=stage, **values)
    init = image_training.before(config, whole)
    fabric = training.new_fabric(config)
    return ImageStep(fabric, QUADRUPED, config, init, source().validation(4), source().facts, source().labelled, 4)


@pytest.mark.parametrize("transfer", ["tuned", "scratch"])
def test_tuned_or_from_scratch_the_landmarks_stage_trains_the_autoencoder_too(transfer, whole, tmp_path):
    if transfer == "tuned":
        begun(whole, tmp_path, "landmarks")
    config = TINY.with_values(stage="landmarks", transfer=transfer, labels=3)
    train_stage(config, tmp_path)
    began = load_images(whole / "skip1")[0] if transfer == "tuned" else ImageNetworks(TINY, 16)
    net, _, _, facts = load_images(tmp_path / "landmarks")
    parts = sum(p.numel() for part in (net.autoencoder, net.interleaved) for p in part.parameters())
    assert facts["trained_parameters"] == parts - net.autoencoder.decoder.last.weight.numel()
    now, then = net.autoencoder.encoder.conv1[0].weight, began.autoencoder.encoder.conv1[0].weight
    assert not torch.equal(now, then)
    if transfer == "tuned":
        assert float((now - then).detach().abs().max()) < 0.02
    train_stage(TINY.with_values(stage="nms"), tmp_path)


@pytest.mark.parametrize(
    ("stage", "transfer"), [*((stage, "frozen") for stage in STAGES), ("landmarks", "tuned"), ("landmarks", "scratch")]
)
def test_every_parameter_that_a_stage_trains_has_a_part_in_its_loss(stage, transfer, whole):
    """Ranks wait for the gradient of each."""
    step = learner(stage, whole, transfer=transfer)
    step(next(iter(source().batches(0, 1, 2))), 0)
    assert [name for name, parameter in step.trained.items() if parameter.grad is None] == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU: CUDA graphs")
@pytest.mark.parametrize("stage", STAGES)
def test_on_a_gpu_the_graph_of_a_step_trains_as_the_step_itself(stage, whole):
    losses = []
    for graph in (True, False):
        step = learner(stage, whole, flip=True, rotation=30.0, scaling=0.2, colour=0.2)
        if not graph:
            step._run = step._eager
        for number, batch in enumerate(source().batches(0, 3, 2)):
            step(batch, number)
        losses.append(step.read())
    torch.testing.assert_close(*losses, rtol=2e-3, atol=0)


# --- stopped and gone on with


def stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    count = iter(range(1, 10**9))
    monkeypatch.setattr(training, "_together", lambda *_: (15 if next(count) == steps else 0, False))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_was_stopped_ends_with_the_very_bytes_of_one_that_was_not(stage, whole, tmp_path, monkeypatch):
    config = TINY.with_values(stage=stage)
    begun(whole, tmp_path, stage)
    stop_after(3, monkeypatch)
    with pytest.raises(training.Stopped):
        train_stage(config, tmp_path)
    monkeypatch.undo()
    train_stage(config, tmp_path)
    assert model_bytes(tmp_path / stage) == model_bytes(whole / stage)
    assert log_of(tmp_path / stage)[-1]["validation"] == log_of(whole / stage)[-1]["validation"]


def test_with_augmentation_and_stored_images_too(pictures, tmp_path, monkeypatch):
    config = TINY.with_values(images=str(pictures), flip=True, rotation=30.0, scaling=0.2, colour=0.3)
    train_stage(config, tmp_path / "whole")
    stop_after(3, monkeypatch)
    with pytest.raises(training.Stopped):
        train_stage(config, tmp_path / "parts")
    monkeypatch.undo()
    train_stage(config, tmp_path / "parts")
    assert model_bytes(tmp_path / "parts/autoencoder") == model_bytes(tmp_path / "whole/autoencoder")
    plain = config.with_values(flip=False, rotation=0.0, scaling=0.0, colour=0.0)
    train_stage(plain, tmp_path / "plain")
    assert model_bytes(tmp_path / "plain/autoencoder") != model_bytes(tmp_path / "whole/autoencoder")


def test_a_signal_while_the_last_weights_are_saved_is_not_lost(tmp_path, monkeypatch):
    """What would follow, as the next stage does, must not."""
    save = ImageStep.save

    def saved(step: ImageStep, path: str, validation: dict[str, float]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        save(step, path, validation)

    monkeypatch.setattr(ImageStep, "save", saved)
    with pytest.raises(training.Stopped, match="after step 5; that was its last") as stopped:
        train_stage(TINY, tmp_path)
    assert stopped.value.number == signal.SIGINT
    monkeypatch.undo()
    assert train_stage(TINY, tmp_path).resumed == TINY.steps
    assert load_images(tmp_path / "autoencoder")


def test_a_finished_stage_called_again_changes_nothing(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    train_stage(TINY.with_values(stage="landmarks"), tmp_path / "run")
    assert model_bytes(tmp_path / "run/landmarks") == model_bytes(whole / "landmarks")


def test_a_stage_ends_so_many_steps_after_its_aim_was_reached(tmp_path):
    easy = TINY.with_values(target=1e6, extra=1)  # met when first validated, after two steps
    summary = train_stage(easy, tmp_path)
    assert summary.steps == 3
    assert [line["step"] for line in log_of(tmp_path / "autoencoder")] == [2, 3]
    before = model_bytes(tmp_path / "autoencoder")
    assert train_stage(easy, tmp_path).steps == 3
    assert model_bytes(tmp_path / "autoencoder") == before
    assert train_stage(TINY.with_values(target=1e-9), tmp_path / "never").steps == TINY.steps
    assert train_stage(TINY.with_values(target=1e6, extra=1000), tmp_path / "most").steps == TINY.steps


def test_an_aim_that_was_reached_before_a_stop_is_remembered(tmp_path, monkeypatch):
    easy = TINY.with_values(target=1e6, extra=2)
    stop_after(3, monkeypatch)
    with pytest.raises(training.Stopped):
        train_stage(easy, tmp_path)
    monkeypatch.undo()
    assert train_stage(easy, tmp_path).steps == 4


RANKS = """
import os, sys, traceback
import torch
from lifter.images import training as image_training
from lifter.image_config import load_image_config
from lifter.images.step import ImageStep

torch.set_num_threads(1)
image_training.LOG_EVERY = image_training.VALIDATE_EVERY = 2
image_training.VALIDATION_IMAGES = 4
measured = ImageStep._measured
wide = {"0": float(sys.argv[4]), "1": 1 / float(sys.argv[4])}


def apart(step):  # as the ranks' batch-norm statistics are, but far enough to tell
    return {name: wide[os.environ["RANK"]] * value for name, value in measured(step).items()}


ImageStep._measured = apart
children = []
for rank in "01":
    child = os.fork()
    if not child:
        world = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": sys.argv[3]}
        os.environ.update(world, RANK=rank, LOCAL_RANK=rank, GROUP_RANK="0", TORCHELASTIC_RUN_ID="test")
        steps = 99
        try:
            steps = image_training.train_stage(load_image_config(sys.argv[1]), sys.argv[2]).steps
        except BaseException:
            traceback.print_exc()
        os._exit(steps)
    children.append(child)
print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def steps_of_two_ranks(config: ImageConfig, folder: Path, first: float) -> list[int]:
    """How many steps each makes; first: the first rank's figures are multiplied with it, the other's divided."""
    (folder / "given.yaml").write_text(config.yaml())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = [sys.executable, "-c", RANKS, str(folder / "given.yaml"), str(folder / "run"), port, str(first)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            return [int(word) for word in process.communicate(timeout=90)[0].split()]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


@pytest.mark.parametrize(("first", "steps"), [(1e-6, 3), (1e6, 5)])
def test_two_ranks_whose_figures_differ_end_at_the_same_step_the_first_one_s(first, steps, tmp_path):
    config = TINY.with_values(batch=4, target=0.01, extra=1)  # the figures are about 0.1
    assert steps_of_two_ranks(config, tmp_path, first) == [steps, steps]


# --- what cannot be


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


# --- measuring


def test_the_last_stage_compares_three_ways_from_heatmaps_to_landmarks(whole):
    found = log_of(whole / "nms")[-1]["validation"]
    for way in ("argmax", "soft_argmax", "nms"):
        assert 0 <= found[f"{way}_pck05"] <= found[f"{way}_pck10"] <= 1
        assert 0 < found[f"{way}_px"] < 64 * 2**0.5
    assert found["landmark"] > 0
    assert log_of(whole / "landmarks")[-1]["validation"]["excess"] > 0


def test_perfect_heatmaps_are_measured_as_perfect(whole):
    step = learner("landmarks", whole, batch=4)  # validates on four at once
    truth = step._validation.landmarks
    step.net.logits = lambda _images: gaussians(truth, 64, 2.5).nan_to_num().clamp(min=1e-20).log()
    found = step.validate(0)
    assert found["argmax_px"] < 0.5
    assert found["soft_argmax_px"] < 0.5
    assert found["argmax_pck10"] > 0.95


@pytest.mark.parametrize("stage", STAGES)
def test_validation_does_not_depend_on_how_the_images_are_parted(stage, whole):
    found = []
    for batch in (2, 4):
        step = learner(stage, whole, batch=batch)
        step._validation.landmarks[0, 1:] = torch.nan  # the first part knows few joints
        found.append(step.validate(0))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.parametrize("stage", ["landmarks", "nms"])
def test_validation_runs_the_network_once_on_each_image(stage, whole, monkeypatch):
    step = learner(stage, whole)
    seen = []
    logits = step.net.logits
    monkeypatch.setattr(step.net, "logits", lambda images: (seen.append(len(images)), logits(images))[1])
    step.validate(0)
    assert seen == [2, 2]


# --- the configuration


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


# --- the command


def test_the_command_trains_all_stages_and_draws_each(whole, tmp_path, capsys):
    given = tmp_path / "tiny.yaml"
    rows = [line for line in TINY.yaml().splitlines() if not line.startswith("stage:")]
    given.write_text("\n".join(rows) + "\n")
    out = tmp_path / "out"
    assert run("train-images", "--config", given, "--out", out) == 0
    told = capsys.readouterr().out
    for stage in STAGES:
        assert model_bytes(out / stage) == model_bytes(whole / stage)
        assert f"{out / stage}: 10 samples; validation " in told
        for picture in ("images.png", "curves.png"):
            with Image.open(out / stage / picture) as image:
                assert min(image.size) > 300
    given.write_text("stage: skip1\n")
    assert run("train-images", "--config", given, "--out", out) == 2
    assert "stage: is skip1; expected none there" in capsys.readouterr().err
    assert run("train-images", "--stage", "nms", "--out", tmp_path / "none") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_model_holds_what_is_trained_by_then_and_nothing_later(whole):
    sizes = []
    for stage in STAGES:
        tensors, facts = load_tensors(whole / stage / "model.safetensors")
        assert {name.split(".")[0] for name in tensors} <= {"autoencoder", "interleaved", "nms"}
        assert facts["config"]["stage"] == stage
        assert facts["joints"] == list(QUADRUPED.joints)
        sizes.append(len(tensors))
    assert sizes == sorted(set(sizes))


def test_a_joint_that_one_of_both_stages_of_landmarks_never_saw_is_not_found(whole, tmp_path):
    begun(whole, tmp_path, "landmarks")
    labels = annotated(tmp_path / "set", np.random.default_rng(0))  # without the tail
    train_stage(TINY.with_values(stage="landmarks", images=str(labels)), tmp_path)
    train_stage(TINY.with_values(stage="nms"), tmp_path)
    *_, facts = load_images(tmp_path / "nms")
    assert [*facts["labelled"]] == [joint for joint in QUADRUPED.joints if joint != "tail"]


def test_labels_that_do_not_fit_are_refused_before_the_first_stage(pictures, tmp_path, capsys):
    for images, words in ((pictures, "stages landmarks and nms need an annotated set"), ("synthetic", "")):
        code = run("train-images", "--images", images, "--preset", "debug", "--map", "m.yaml", "--out", tmp_path / "o")
        line = capsys.readouterr().err
        assert (code, line.count("\n")) == (2, 1)
        assert (words or "--map: is for an annotated set") in line
        assert not (tmp_path / "o").exists()


def test_only_the_stages_that_need_labels_are_given_few_of_them(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(image_training, "train_stage", lambda config, *_, **__: given.update({config.stage: config}))
    monkeypatch.setattr(cli, "_watched", lambda config, out, names, start: start(None))
    run("train-images", "--preset", "debug", "--labels", 3, "--out", tmp_path / "o")
    assert {stage: config.labels for stage, config in given.items()} == {
        "autoencoder": 0, "skip2": 0, "skip1": 0, "landmarks": 3, "nms": 3,
    }  # fmt: skip


def test_the_same_folder_by_another_spelling_is_the_same(pictures, tmp_path, monkeypatch):
    config = TINY.with_values(images=str(pictures))
    train_stage(config, tmp_path)
    for spelt in (f"{pictures}/", f"{pictures}/.", f"{pictures}/../{pictures.name}"):
        assert train_stage(config.with_values(images=spelt), tmp_path).resumed == config.steps
    monkeypatch.chdir(pictures)
    train_stage(config.with_values(images="."), tmp_path / "other")
    assert train_stage(config.with_values(images="."), tmp_path / "other").resumed == config.steps


def test_synthetic_is_never_a_folder_beside_the_configuration(tmp_path):
    (tmp_path / "synthetic").mkdir()
    (tmp_path / "c.yaml").write_text("images: synthetic\n")
    assert load_image_config(tmp_path / "c.yaml").images == "synthetic"


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
