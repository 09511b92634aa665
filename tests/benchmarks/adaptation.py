"""What `lifter train --init` brings: ranges are widened, and a trained model adapts to them."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import lifter
import posesynth
from lifter.config import Config
from lifter.metrics import p_mpjpe
from lifter.pipeline import Lifter
from lifter.sources import VALIDATION
from lifter.training import train
from posesynth.conditional_ranges import range_left
from posesynth.coverage.angles import excess, principal_angles, weights
from posesynth.skeleton import Skeleton

from .measure import table

STEPS = (100, 400)
POSES = 20_000
FARTHER = 5.0  # degrees beyond the old range: a pose outside it
REARING = (("flexion: [245, 295]", "flexion: [175, 295]"),)  # the dog's trunk: up to standing on its hind legs
ACROBATICS = (  # the person's thighs up to a split and behind the trunk, straight or bent; the trunk folded and arched
    ("flexion: [46, 216]\n    abduction: [-30, 45]", "flexion: [5, 270]\n    abduction: [-30, 85]"),
    (
        "theta: {given: parent.flexion, at: {46: [60, 150], 90: [0, 150], 180: [0, 140], 216: [0, 110]}}",
        "theta: [0, 150]",
    ),
    ("flexion: [-25, 40]\n    abduction: [-18, 18]", "flexion: [-70, 75]\n    abduction: [-40, 40]"),
    ("flexion: [-13, 40]\n    abduction: [-18, 18]", "flexion: [-50, 60]\n    abduction: [-30, 30]"),
)


def adaptation() -> None:
    """The shipped `dog` model, and a skeleton whose trunk may also rear up to 70 degrees further; the shipped `human`
    model, and one that folds, arches and splits like an acrobat: P-MPJPE as a share of the longest edge, noise-free,
    on poses inside the old ranges and on those that leave them by more than 5 degrees; batches of 500, a run of its
    own for each number of steps, with the model's weights to begin with (learning rate 3e-4) and without (1e-3)."""
    for name, changes in (("dog", REARING), ("human", ACROBATICS)):
        print(name)
        _adapt(name, changes)


def _adapt(name: str, changes: tuple[tuple[str, str], ...]) -> None:
    text = posesynth.load_skeleton(name).text
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        wider = Path(folder) / "wider.yaml"
        wider.write_text(text)
        rows = [("0", *_errors(lifter.load(name), name, wider), "-", "-")]
        for steps in STEPS:
            config = Config(skeleton=str(wider), steps=steps)
            train(replace(config, init=name, learning_rate=3e-4), f"{folder}/init{steps}")
            train(config, f"{folder}/new{steps}")
            errors = [_errors(lifter.load(f"{folder}/{run}{steps}"), name, wider) for run in ("init", "new")]
            rows.append((f"{steps}", *errors[0], *errors[1]))
    print(table(("steps", "--init: inside", "outside", "from nothing: inside", "outside"), rows))


def _errors(model: Lifter, name: str, wider: Path) -> tuple[str, str]:
    """Inside and outside of the old ranges, on samples that training never sees."""
    skeleton = posesynth.load_skeleton(wider)
    batch = posesynth.sample(skeleton, 0, VALIDATION, VALIDATION + POSES, extras=("p3d", "o_up"))
    assert batch.p3d is not None
    assert batch.o_up is not None
    errors = p_mpjpe(model.lift(batch.p2d).p3d, batch.p3d)
    outside = _outside(posesynth.load_skeleton(name), batch.o_up)
    return f"{errors[~outside].mean():.3f}", f"{errors[outside].mean():.3f}"


def _outside(old: Skeleton, o_up: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(B,) whether a bone leaves its range of `old` by more than FARTHER degrees."""
    _, theta, phi = o_up.astype(np.float64).transpose(2, 0, 1)
    directions = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    angles = principal_angles(old, directions)
    found = np.zeros(len(o_up), bool)
    for e in range(old.edges):
        arcs = weights(old.ranges[e], angles[0][:, e], angles[1][:, e])
        for which in (0, 1):
            found |= arcs[which] * np.abs(excess(angles[which][:, e], range_left(old, e, which, *angles))) > FARTHER
    return found
