"""What the trainer costs beside a bare PyTorch loop, and how long it waits for samples."""

import time
from collections.abc import Iterator

import torch

import posesynth
from lifter import geometry, losses
from lifter.config import PRESETS, Config
from lifter.networks.residual import ResidualNet
from lifter.sources import LiveSource
from lifter.step import Step
from lifter.training import LOG_EVERY, VALIDATION_SAMPLES, _resolved, new_fabric
from posesynth.stream import TensorBatch

from .measure import Work, alternate, table

STEPS = 10  # a turn


def bare(config: Config) -> Work:
    """Forward, the preset's losses, backward and Adam on one batch that lies ready, as one writes it first."""
    skeleton = posesynth.load_skeleton(config.skeleton)
    batch = posesynth.sample(skeleton, 0, 0, config.batch)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    p2d, o = (torch.from_numpy(array).to(device) for array in (batch.p2d, batch.o))
    net = ResidualNet(skeleton.parents.tolist(), config.width, config.blocks, config.output).to(device)
    adam = torch.optim.Adam(net.parameters(), lr=config.learning_rate, fused=True)
    pairs = torch.tensor(skeleton.symmetric).to(device)
    bf16 = new_fabric(config)._precision.precision == "bf16-mixed"

    def work() -> int:
        for _ in range(STEPS):
            with torch.autocast(device, torch.bfloat16, enabled=bf16):
                found = net(p2d)
            true = geometry.forward(o, net.paths)
            d = torch.nn.functional.normalize(true[:, 1:] - true[:, net.parents], dim=-1)
            errors = losses.joint_errors(found.p3d, true)
            total = (
                losses.symmetry_loss(found.r, pairs)
                + losses.edge_length_loss(found.r, o[..., 0])
                + losses.edge_direction_loss(found.d, d)
                + config.position * losses.position_loss(errors)
            )
            if found.log_error is not None:
                total = total + losses.expected_error_loss(found.log_error, errors)
            adam.zero_grad()
            total.backward()
            adam.step()
        if device == "cuda":
            torch.cuda.synchronize()
        return STEPS

    return work


class Trainer:
    """The loop of `lifter train`, some steps at a time; `waiting`: seconds that it had no batch."""

    def __init__(self, config: Config) -> None:
        fabric = new_fabric(config)
        config, skeleton = _resolved(config, None, fabric)
        self._step = Step(fabric, skeleton, config, LOG_EVERY, VALIDATION_SAMPLES)
        source = LiveSource(skeleton, config.seed, fabric.device.type == "cuda")
        self._batches: Iterator[TensorBatch] = iter(source.batches(0, config.steps, config.batch))
        self._done = 0
        self.waiting = self.spent = 0.0

    def work(self) -> int:
        begin = time.perf_counter()
        for _ in range(STEPS):
            before = time.perf_counter()
            batch = next(self._batches)
            self.waiting += time.perf_counter() - before
            self._step(batch, self._done)
            self._done += 1
            if self._done % LOG_EVERY == 0:
                self._step.read()
        if self._step.device.type == "cuda":
            torch.cuda.synchronize()
        self.spent += time.perf_counter() - begin
        return STEPS


def training() -> None:
    """A step of the paper's network on batches of 500: `lifter train` beside a bare PyTorch loop on one batch."""
    rows = []
    for preset in ("paper", "default"):
        trainer = Trainer(PRESETS[preset])
        trainer.work()
        trainer.waiting = trainer.spent = 0.0
        rates = alternate({"bare": bare(PRESETS[preset]), "lifter": trainer.work}, rounds=5, seconds=2)
        ratio = rates["bare"].over(rates["lifter"])
        step = [1e3 / rates[name].median for name in ("bare", "lifter")]
        share = 100 * trainer.waiting / trainer.spent
        rows.append((preset, f"{step[0]:.2f}", f"{step[1]:.2f}", f"{ratio:.3f}", f"{share:.2f} %"))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(table(("preset", "bare loop, ms a step", "lifter train, ms a step", "times as long", "waiting"), rows))
    print(f"\n{device}, torch {torch.__version__}.")
