"""Training on images: what is frozen stays so, a stage goes on with the same bytes and ends when its aim is reached."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_files import log_of, model_bytes

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("safetensors")
pytest.importorskip("PIL")

from image_folders import QUADRUPED, TINY, annotated, source  # noqa: E402
from image_runs import begun, run, stop_after  # noqa: E402
from PIL import Image  # noqa: E402

from lifter import training  # noqa: E402
from lifter.checkpoint import load_tensors  # noqa: E402
from lifter.image_config import STAGES, ImageConfig  # noqa: E402
from lifter.images import training as image_training  # noqa: E402
from lifter.images.heatmaps import gaussians  # noqa: E402
from lifter.images.model import ImageNetworks, digest_of, load_images, trained_parameters  # noqa: E402
from lifter.images.step import ImageStep  # noqa: E402
from lifter.images.training import train_stage  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_stages")


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


def test_the_same_folder_by_another_spelling_is_the_same(pictures, tmp_path, monkeypatch):
    config = TINY.with_values(images=str(pictures))
    train_stage(config, tmp_path)
    for spelt in (f"{pictures}/", f"{pictures}/.", f"{pictures}/../{pictures.name}"):
        assert train_stage(config.with_values(images=spelt), tmp_path).resumed == config.steps
    monkeypatch.chdir(pictures)
    train_stage(config.with_values(images="."), tmp_path / "other")
    assert train_stage(config.with_values(images="."), tmp_path / "other").resumed == config.steps
