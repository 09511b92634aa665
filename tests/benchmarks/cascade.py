"""Residual network and cascade on the same stream, with equal samples and as equal parameters as whole blocks allow."""

import os
import tempfile
from pathlib import Path

import posesynth
from lifter.config import Config
from lifter.metrics import p_mpjpe
from lifter.pipeline import load
from lifter.sources import VALIDATION
from lifter.training import train

from .measure import table

STEPS = int(os.environ.get("CASCADE_STEPS", "1000"))
WIDTH = int(os.environ.get("CASCADE_WIDTH", "384"))
SEED = int(os.environ.get("CASCADE_SEED", "0"))
POSES = 20_000
PLAIN = Config(skeleton="human", seed=SEED, steps=STEPS, width=WIDTH, noise=0.0, missing=0.0, clean=0.0)
ONE = PLAIN.with_values(network="cascade", stages=1, blocks=4)
TWO = PLAIN.with_values(network="cascade", stages=2, blocks=2)
RUNS = {
    "residual, depth, 4 blocks": PLAIN.with_values(blocks=4),
    "residual, angles, 4 blocks": PLAIN.with_values(blocks=4, output="angles", position=0.0),
    "1 stage of 4 blocks, joints": ONE,
    "2 stages of 2 blocks, joints": TWO,
    "2 stages of 2 blocks, bones": TWO.with_values(targets="bones"),
    "2 stages of 2 blocks, joints, dropout 0.5": TWO.with_values(dropout=0.5),
    "2 stages of 2 blocks, joints, dropout 0.5, constant rate (as `evoskeleton`)": TWO.with_values(
        dropout=0.5, schedule="constant"
    ),
}


def cascade() -> None:
    """Trained on `human` without noise or hidden joints, batches of 500, Adam at 1e-3 (one-cycle unless it says
    otherwise), one run each; losses on clean validation samples, P-MPJPE on 20,000 of them as a share of the longest
    edge."""
    rows = []
    for name, config in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            done = train(config, run)
            model = load(run)
        batch = posesynth.sample(model.skeleton, 0, VALIDATION, VALIDATION + POSES, extras=("p3d",))
        assert batch.p3d is not None
        error = p_mpjpe(model.lift(batch.p2d).p3d, batch.p3d).mean()
        losses = (f"{done.validation[loss]:.4f}" for loss in ("L_sym", "L_el", "L_ed", "position"))
        parameters = sum(parameter.numel() for parameter in model._net.parameters())
        rows.append((name, f"{parameters:,}", *losses, f"{error:.4f}", f"{done.seconds:.0f}"))
    head = ("network", "parameters", "L_sym", "L_el", "L_ed", "position", "P-MPJPE", "s")
    print(f"{PLAIN.samples:,} samples each, width {WIDTH}, seed {SEED}.\n\n{table(head, rows)}")
