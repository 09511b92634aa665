"""The cascade: each stage is fitted on what those before leave, they stay as they are, and the sum is a pose."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from run_files import log_of, model_bytes

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("safetensors")

import lifter  # noqa: E402
import posesynth  # noqa: E402
from lifter import geometry, losses, training  # noqa: E402
from lifter.cascade_step import STANDARDISED_BY, CascadeStep  # noqa: E402
from lifter.config import TARGETS, Config  # noqa: E402
from lifter.images.model import digest_of  # noqa: E402
from lifter.learner import KeptLosses, learning_rate  # noqa: E402
from lifter.model_file import load_model, new_network, shipped_models  # noqa: E402
from lifter.networks.cascade import Cascade, Stage  # noqa: E402
from lifter.sources import STATISTICS, VALIDATION, LiveSource  # noqa: E402
from lifter.training import train  # noqa: E402
from posesynth.errors import InputError  # noqa: E402

QUADRUPED = posesynth.load_skeleton("quadruped")
PARENTS = QUADRUPED.parents.tolist()
TINY = Config(network="cascade", steps=20, batch=8, width=16, blocks=1, precision="32")

Array = NDArray[np.float64]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(training, "LOG_EVERY", 10)
    monkeypatch.setattr(training, "VALIDATION_SAMPLES", 64)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def made(count: int = 64, **extras: Any) -> posesynth.Batch:
    return posesynth.sample(QUADRUPED, 0, 0, count, **extras)


def net(targets: str = "joints", **sizes: Any) -> Cascade:
    """One with weights that say something."""
    torch.manual_seed(0)
    made = Cascade(PARENTS, **{"width": 32, "blocks": 1, **sizes}, targets=targets).eval()
    for stage in made.stages:
        stage.last.reset_parameters()
    return made


def new_step(config: Config) -> CascadeStep:
    return CascadeStep(training.new_fabric(config), QUADRUPED, config, kept=100, validated=64)


def batches_of(config: Config) -> list[Any]:
    return list(LiveSource(QUADRUPED, config.seed).batches(0, config.steps, config.batch))


def digest(module: Any) -> str:
    return digest_of(module.state_dict())


# --- the network


@pytest.mark.parametrize("targets", TARGETS)
def test_the_layers_and_parameters_are_those_of_evoskeleton(targets):
    config = Config(network="cascade", blocks=2, dropout=0.5, targets=targets, skeleton="human")
    human = posesynth.load_skeleton("human")
    cascade = new_network(human, config)
    kinds = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert [type(layer).__name__ for layer in flat(cascade)] == 2 * [*kinds, *(2 * kinds), *(2 * kinds), "Linear"]
    assert {layer.p for layer in flat(cascade) if isinstance(layer, torch.nn.Dropout)} == {0.5}
    joints, outputs = len(human.joints), (len(human.joints) - 1) * (3 if targets == "joints" else 4)

    def connected(inputs: int, width: int) -> int:
        return (inputs + 1) * width

    one = connected(3 * joints, 1024) + 4 * connected(1024, 1024) + connected(1024, outputs) + 5 * 2 * 1024
    assert sum(parameter.numel() for parameter in cascade.parameters()) == 2 * one


def flat(module: Any) -> list[Any]:
    """Its layers that hold no other."""
    inside = list(module.children())
    return [layer for child in inside for layer in flat(child)] if inside else [module]


@pytest.mark.parametrize("targets", TARGETS)
def test_predictions_are_poses(targets):
    """Lengths in [0, 1], directions of length 1, and joints that are f of both."""
    found = net(targets)(torch.from_numpy(made().p2d))
    assert found.log_error is None
    assert ((found.r >= 0) & (found.r <= 1)).all()
    assert (found.d.norm(dim=-1) - 1).abs().max() < 1e-3
    joints = geometry.positions(found.r[..., None] * found.d, geometry.paths(PARENTS))
    assert (joints - found.p3d).abs().max() < 1e-4


def test_the_input_is_the_2d_less_its_mean_by_its_own_scale_and_what_is_seen():
    p2d = made(5).p2d.copy()
    p2d[1, 3:6] = np.nan
    p2d[2] = 7.0
    found = net().inputs(torch.from_numpy(p2d)).numpy()
    for i, pose in enumerate(p2d.astype(np.float64)):
        seen = [joint for joint in range(len(pose)) if not np.isnan(pose[joint]).any()]
        mean = sum(pose[joint] for joint in seen) / len(seen)
        spread = np.sqrt(sum((pose[joint] - mean) ** 2 for joint in seen) / len(seen))
        scale = max(0.5 * (spread[0] + spread[1]), 1e-6)
        expected = np.zeros_like(pose)
        for joint in seen:
            expected[joint] = (pose[joint] - mean) / scale
        flags = [float(joint in seen) for joint in range(len(pose))]
        np.testing.assert_allclose(found[i], [*expected.ravel(), *flags], atol=1e-5)


@pytest.mark.parametrize("targets", TARGETS)
def test_the_network_knows_no_unit_and_no_place_and_nothing_of_what_is_not_seen(targets):
    p2d = torch.from_numpy(made().p2d).clone()
    p2d[:, 3] = torch.nan
    half = p2d.clone()
    half[:, 3, 1] = 7.0  # x is still NaN
    network = net(targets)
    found = network(p2d)
    assert torch.isfinite(found.p3d).all()
    assert (found.p3d - network(p2d * 250 + 1000).p3d).abs().max() < 1e-2
    assert torch.equal(network(half).p3d, found.p3d)


@pytest.mark.parametrize("targets", TARGETS)
def test_the_prediction_undoes_the_targets(targets):
    batch = made(extras=("p3d",))
    assert batch.p3d is not None
    network = net(targets)
    network.standardise(torch.from_numpy(made(1000).o))
    o = torch.from_numpy(batch.o)
    found = network.prediction(network.targets(o))
    np.testing.assert_allclose(found.p3d.numpy(), batch.p3d, atol=1e-5)
    np.testing.assert_allclose(found.r.numpy(), batch.o[..., 0], atol=1e-5)
    assert (found.d * geometry.directions(o[..., 1], o[..., 2])).sum(-1).min() > 1 - 1e-4


def test_joints_are_about_the_root_less_their_mean_by_their_deviation():
    batch = made(500, extras=("p3d",))
    assert batch.p3d is not None
    network = net()
    network.standardise(torch.from_numpy(batch.o))
    flat = batch.p3d[:, 1:].reshape(500, -1).astype(np.float64)
    expected = (flat - flat.mean(0)) / flat.std(0, ddof=1)
    np.testing.assert_allclose(network.targets(torch.from_numpy(batch.o)).numpy(), expected, atol=1e-4)


def test_a_coordinate_that_never_varies_is_not_divided_by_nothing():
    o = torch.from_numpy(made(1).o).expand(10, -1, -1)
    network = net()
    network.standardise(o)
    assert (network.std == 1).all()
    assert network.targets(o).abs().max() < 1e-6


def test_the_squared_error_of_bones_is_the_papers_two_losses():
    a, b = (torch.from_numpy(batch.o) for batch in (made(7), posesynth.sample(QUADRUPED, 1, 0, 7)))
    network = net("bones")
    error = (network.targets(a) - network.targets(b)).square().mean()
    directions = [geometry.directions(o[..., 1], o[..., 2]) for o in (a, b)]
    ed, el = losses.edge_direction_loss(*directions), losses.edge_length_loss(a[..., 0], b[..., 0])
    assert error.item() == pytest.approx((el + 2 * ed + 2).item() / 4, rel=1e-4)


def test_a_new_stage_adds_nothing():
    network = Cascade(PARENTS, width=32, blocks=1, stages=3)
    network.stages[0].last.reset_parameters()
    inputs = network.inputs(torch.from_numpy(made().p2d))
    assert network.outputs(inputs, 1).abs().max() > 0.1
    network.eval()
    assert torch.equal(network.outputs(inputs, 3), network.outputs(inputs, 1))


# --- stage after stage


def test_the_stages_that_are_not_in_training_keep_their_bits(tmp_path, monkeypatch):
    """digests: at each step, of every stage; Adam knows the parameters of one alone."""
    digests: list[tuple[str, ...]] = []

    class Watched(CascadeStep):
        def __call__(self, batch: Any, step: int) -> None:
            super().__call__(batch, step)
            digests.append(tuple(map(digest, self.net.stages)))
            trained = {id(parameter) for parameter in self.net.stages[step // 10].parameters()}
            assert {id(parameter) for group in self._adam.param_groups for parameter in group["params"]} == trained

    monkeypatch.setattr(training, "CascadeStep", Watched)
    config = TINY.with_values(steps=30, stages=3)
    train(config, tmp_path / "run")
    for stage in range(3):
        inside, outside = set(range(10 * stage, 10 * stage + 10)), set(range(30))
        assert len({digests[step][stage] for step in inside}) == 10
        assert len({digests[step][stage] for step in outside if step < 10 * stage}) <= 1
        assert len({digests[step][stage] for step in outside if step >= 10 * stage + 9}) == 1


def slow_stage(stage: Stage, x: Array, learning: bool) -> Array:
    """A stage without dropout in NumPy.  learning: batch norms take the batch's own mean and variance."""

    def layers(linear: Any, norm: Any, x: Array) -> Array:
        y = x @ numbers(linear.weight).T + numbers(linear.bias)
        mean, variance = (y.mean(0), y.var(0)) if learning else (numbers(norm.running_mean), numbers(norm.running_var))
        y = (y - mean) / np.sqrt(variance + norm.eps) * numbers(norm.weight) + numbers(norm.bias)
        return np.maximum(y, 0)

    x = layers(stage.first[0], stage.first[1], x)
    for block in stage.blocks:
        x = x + layers(*block.layers[3:5], layers(*block.layers[:2], x))
    return np.asarray(x @ numbers(stage.last.weight).T + numbers(stage.last.bias))


def numbers(tensor: Any) -> Array:
    found: Array = tensor.detach().double().numpy()
    return found


@pytest.mark.parametrize("targets", TARGETS)
def test_a_stage_is_fitted_to_what_the_stages_before_leave(targets):
    config = TINY.with_values(steps=30, stages=3, targets=targets, noise=0.0, missing=0.0)
    step = new_step(config)
    for number, batch in enumerate(batches_of(config)):
        stage = number // 10
        x, y = (numbers(part) for part in (step.net.inputs(batch.p2d), step.net.targets(batch.o)))
        for before in step.net.stages[:stage]:
            y = y - slow_stage(before, x, learning=False)
        expected = ((y - slow_stage(step.net.stages[stage], x, learning=True)) ** 2).mean()
        step(batch, number)
        assert step.read()[0, -1].item() == pytest.approx(expected, rel=1e-4), number
    validated = step.validate(30)
    poses = posesynth.sample(QUADRUPED, 0, VALIDATION, VALIDATION + 64)
    p2d, o = torch.from_numpy(poses.p2d), torch.from_numpy(poses.o)
    x = numbers(step.net.inputs(p2d))
    added = sum(slow_stage(stage, x, learning=False) for stage in step.net.stages)
    assert validated["residual"] == pytest.approx(((numbers(step.net.targets(o)) - added) ** 2).mean(), rel=1e-4)
    step.net.eval()
    with torch.no_grad():
        assert validated["L_el"] == pytest.approx((step.net(p2d).r - o[..., 0]).square().mean().item(), rel=1e-5)


def test_one_stage_without_dropout_is_a_plain_network_of_that_kind():
    config = TINY.with_values(stages=1, noise=0.0, missing=0.0)
    step = new_step(config)
    torch.manual_seed(config.seed)
    plain = new_network(QUADRUPED, config).stages[0]
    adam = torch.optim.Adam(plain.parameters(), fused=True)
    for number, batch in enumerate(batches_of(config)):
        step(batch, number)
        adam.param_groups[0]["lr"] = learning_rate(config, number)
        loss = torch.nn.functional.mse_loss(plain(step.net.inputs(batch.p2d)), step.net.targets(batch.o))
        adam.zero_grad()
        loss.backward()
        adam.step()
    for name, tensor in step.net.stages[0].state_dict().items():
        torch.testing.assert_close(tensor, plain.state_dict()[name])


def test_the_units_are_those_of_samples_that_nothing_else_uses():
    step = new_step(TINY)
    batch = posesynth.sample(QUADRUPED, 0, STATISTICS, STATISTICS + STANDARDISED_BY, extras=("p3d",))
    assert batch.p3d is not None
    flat = batch.p3d[:, 1:].reshape(STANDARDISED_BY, -1).astype(np.float64)
    np.testing.assert_allclose(numbers(step.net.mean), flat.mean(0), atol=1e-6)
    np.testing.assert_allclose(numbers(step.net.std), flat.std(0), rtol=1e-4)
    assert VALIDATION + training.VALIDATION_SAMPLES < STATISTICS
    assert STATISTICS + STANDARDISED_BY <= 2**64


@pytest.mark.parametrize("targets", TARGETS)
def test_each_stage_brings_the_loss_down(targets, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "VALIDATE_EVERY", 150)
    config = TINY.with_values(steps=300, batch=64, width=64, targets=targets, noise=0.0, missing=0.0)
    train(config, tmp_path / "run")
    records = [line for line in log_of(tmp_path / "run") if "validation" in line]
    first, second = (line["validation"] for line in records)
    untrained = new_step(config).validate(0)
    for loss in ("residual", "L_ed"):
        assert second[loss] < first[loss] < untrained[loss]


# --- gone on with


class Ending(LiveSource):
    """The generator, which breaks before the batch of one step."""

    def __init__(self, at: int) -> None:
        super().__init__(QUADRUPED.with_sampling(noise=TINY.noise, missing=TINY.missing), 0)
        self.at = at

    def batches(self, step: int, steps: int, batch: int) -> Iterator[Any]:
        for made in super().batches(step, steps, batch):
            if made.start == self.at * batch:
                raise InterruptedError
            yield made


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_run_broken_in_any_stage_or_between_two_ends_with_the_very_bytes(dropout, tmp_path, monkeypatch):
    config = TINY.with_values(dropout=dropout)
    train(config, tmp_path / "whole")
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    torch.manual_seed(99)  # what somebody else draws is no matter
    for at in (3, 10, 14):
        with pytest.raises(InterruptedError):
            train(config, tmp_path / "run", source=Ending(at))
    assert train(config, tmp_path / "run").resumed == 14
    assert model_bytes(tmp_path / "run") == model_bytes(tmp_path / "whole")


def test_dropout_follows_from_seed_and_step_and_leaves_the_generator_alone():
    config = TINY.with_values(dropout=0.5, stages=1)
    batch = batches_of(config)[0]

    def loss(step: int, seed: int = 0) -> float:
        learner = new_step(config)
        torch.manual_seed(0)
        learner.net.stages[0].last.reset_parameters()
        learner.config = config.with_values(seed=seed)
        torch.manual_seed(step)
        before = torch.get_rng_state()
        learner(batch, step)
        assert torch.equal(torch.get_rng_state(), before)
        return float(learner.read()[0, -1])

    assert loss(4) == loss(4)
    assert len({loss(4), loss(5), loss(4, seed=1)}) == 3


def test_what_capturing_a_step_undoes_changes_nothing(tmp_path, monkeypatch):
    """On a GPU some steps are made to capture one, in the middle of a run where a stage begins: as here."""
    config = TINY.with_values(dropout=0.5, steps=25)
    train(config, tmp_path / "plain")

    def capturing(
        eager: Callable[[], None], fabric: Any, learner: Any, adam: Any, kept: KeptLosses
    ) -> Callable[[], None]:
        before = {name: tensor.clone() for name, tensor in learner.state().items()}
        for _ in range(3):
            eager()
            kept.rewind()
        learner.load(before)
        return eager

    monkeypatch.setattr("lifter.step.fastest", capturing)
    train(config, tmp_path / "captured")
    assert model_bytes(tmp_path / "captured") == model_bytes(tmp_path / "plain")
    plain, captured = (log_of(tmp_path / name) for name in ("plain", "captured"))
    assert [line["residual"] for line in plain] == [line["residual"] for line in captured]


# --- models


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cascade") / "run"
    train(TINY.with_values(dropout=0.5), folder)
    return folder


def test_lifting_needs_not_know_which_network_it_is(run):
    model = lifter.load(run)
    p2d = made().p2d.copy()
    p2d[3, 2:5] = np.nan
    found = model.lift(p2d * 100 + 5)
    assert found.p3d.shape == (64, 16, 3)
    assert found.o.shape == (64, 15, 3)
    assert found.confidence is None
    assert np.isfinite(found.p3d).all()
    assert found.o[..., 0].max() == pytest.approx(1)


def test_a_model_holds_the_units_it_was_trained_in(run):
    network, _, facts = load_model(run)
    expected = new_step(TINY).net
    assert torch.equal(network.mean, expected.mean)
    assert torch.equal(network.std, expected.std)
    assert (facts["config"]["network"], facts["config"]["stages"]) == ("cascade", 2)


def test_a_cascade_begins_with_the_weights_of_another_even_without_its_dropout(run, tmp_path, monkeypatch):
    begun: list[dict[str, Any]] = []
    plain = CascadeStep.begin

    def begin(step: CascadeStep) -> None:
        plain(step)
        begun.append({name: tensor.clone() for name, tensor in step.net.state_dict().items()})

    monkeypatch.setattr(CascadeStep, "begin", begin)
    train(TINY.with_values(init=str(run), steps=2), tmp_path / "next")
    there = load_model(run)[0].state_dict()
    assert begun[0].keys() == there.keys()
    assert all(torch.equal(begun[0][name], tensor) for name, tensor in there.items())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (TINY.with_values(stages=3), "stages: is 2 there and 3 here"),
        (TINY.with_values(targets="bones"), "targets: is joints there and bones here"),
        (Config(width=16, blocks=1, steps=2), "network: is cascade there and residual here"),
    ],
)
def test_weights_of_another_network_are_refused(config, words, run, tmp_path):
    with pytest.raises(InputError, match=words):
        train(config.with_values(init=str(run)), tmp_path / "next")


def test_a_run_of_another_network_in_the_folder_is_refused(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    with pytest.raises(InputError, match=re.escape("config.yaml: network: is 'cascade' in the run that is there")):
        train(Config(steps=20, batch=8, width=16, blocks=1, precision="32"), tmp_path / "run")


def test_models_older_than_the_cascade_are_what_they_were():
    path = shipped_models()["quadruped"]
    assert "network" not in path.with_suffix(".json").read_text().split('"config"')[1].split("}")[0]
    assert load_model("quadruped")[2]["config"]["network"] == "residual"
