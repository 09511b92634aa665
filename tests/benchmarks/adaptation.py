"""What `lifter train --init` brings: a range is widened, and a trained model adapts to it."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import lifter
import posesynth
from lifter.config import Config
from lifter.metrics import p_mpjpe
from lifter.pipeline import Lifter
from lifter.sources import VALIDATION
from lifter.training import train

from .measure import table

STEPS = (100, 400)
POSES = 20_000
OLD, NEW = (
    "flexion: [245, 295]",
    "flexion: [175, 295]",
)  # of the dog's trunk: level, and up to standing on its hind legs


def adaptation() -> None:
    """The shipped `dog` model, and a skeleton whose trunk may also rear up to 70 degrees further: P-MPJPE as a share of
    the longest edge, noise-free, on poses inside the old ranges and on those outside; batches of 500, a run of its own
    for each number of steps, with the model's weights to begin with (learning rate 3e-4) and without (1e-3)."""
    text = posesynth.load_skeleton("dog").text
    changed = text.replace(OLD, NEW)
    assert changed != text
    with tempfile.TemporaryDirectory() as folder:
        wider = Path(folder) / "wider.yaml"
        wider.write_text(changed)
        rows = [("0", *_errors(lifter.load("dog"), wider), "-", "-")]
        for steps in STEPS:
            config = Config(skeleton=str(wider), steps=steps)
            train(replace(config, init="dog", learning_rate=3e-4), f"{folder}/init{steps}")
            train(config, f"{folder}/new{steps}")
            rows.append(
                (
                    f"{steps}",
                    *(e for run in ("init", "new") for e in _errors(lifter.load(f"{folder}/{run}{steps}"), wider)),
                )
            )
    print(table(("steps", "--init: inside", "outside", "from nothing: inside", "outside"), rows))


def _errors(model: Lifter, wider: Path) -> tuple[str, str]:
    """Inside and outside of the old range of the trunk, on samples that training never sees."""
    skeleton = posesynth.load_skeleton(wider)
    batch = posesynth.sample(skeleton, 0, VALIDATION, VALIDATION + POSES, extras=("p3d", "o_up"))
    assert batch.p3d is not None
    assert batch.o_up is not None
    errors = p_mpjpe(model.lift(batch.p2d).p3d, batch.p3d)
    _, theta, phi = batch.o_up[:, skeleton.joints.index("pelvis") - 1].T
    flexion = np.degrees(np.arctan2(-np.sin(theta) * np.sin(phi), np.cos(theta))) % 360
    outside = flexion < 245
    return f"{errors[~outside].mean():.3f}", f"{errors[outside].mean():.3f}"
