"""The configuration of one stage of the image networks' training, and the presets of all five.

    autoencoder -> skip2 -> skip1     on images alone (paper, section 3.1)
    landmarks -> nms                  on images with joints (section 3.2)

A stage begins with the networks of the one before it and ends when its aim is reached: `target`, of a loss on images
that training never sees, and `extra` steps more, or `steps` at most.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lifter.run_config import PRECISIONS, SCHEDULES, SKELETON, PathField, RunConfig, Tables, read_config
from posesynth.errors import InputError, shown
from posesynth.yaml_fields import Limit

STAGES = ("autoencoder", "skip2", "skip1", "landmarks", "nms")
LANDMARK_STAGES = STAGES[3:]
"""Those that need joints."""

TRANSFERS = ("frozen", "tuned", "scratch")
SYNTHETIC = "synthetic"
"""The `images` that are rendered as they are needed."""

SIZE_MULTIPLE = 2**6
"""An image's side is a multiple of it, for the encoder halves images six times."""


@dataclass(frozen=True)
class ImageConfig(RunConfig):
    """What decides a stage's run.

    stage: which.  images: ``synthetic``, or a folder or annotated set (`lifter.data.images`).
    keypoint_map: a YAML that says which of a set's joints are the skeleton's (`lifter.data.matching`); "" to match them
    by name.
    backgrounds: a folder of photographs to stand behind the bodies of synthetic ones; "" for drawn surroundings.
    skeleton: whose joints are found; of the synthetic images, whose poses.  seed: of the images, their order and the
    first weights.  size: pixels of an image's side, a multiple of 64.  width: channels of the first layer.  code:
    numbers of the bottleneck.
    steps: at most so many.  batch: images a step.  target: the validation loss at which the stage is done, 0 for none;
    extra: steps it goes on for then.  learning_rate, schedule: of Adam, see `lifter.config`.
    labels: only so many images, or annotations of a set, over and over; 0 for all there are.
    transfer: what the landmarks stage does with the autoencoder: ``frozen`` is the paper's, ``tuned`` trains it
    further, ``scratch`` trains it from random weights, to see what it was worth.  sigma: of the heatmaps' Gaussians, in
    pixels.
    margin: of an annotated set's crops, as a share of the box's longer side, on each side.
    flip, rotation (degrees), scaling (share), colour (share): the augmentation, each drawn up to that much either way.
    precision: see `lifter.config`.
    """

    stage: str = "autoencoder"
    images: str = SYNTHETIC
    keypoint_map: str = ""
    backgrounds: str = ""
    skeleton: str = "quadruped"
    seed: int = 0
    size: int = 256
    width: int = 64
    code: int = 99
    steps: int = 500_000
    batch: int = 50
    target: float = 0.0
    extra: int = 0
    learning_rate: float = 1e-4
    schedule: str = "constant"
    labels: int = 0
    transfer: str = "frozen"
    sigma: float = 10.0
    margin: float = 0.1
    flip: bool = False
    rotation: float = 0.0
    scaling: float = 0.0
    colour: float = 0.0
    precision: str = "auto"

    TABLES = Tables(
        whole={
            "seed": (0, 2**64 - 1),
            "size": (SIZE_MULTIPLE, 16 * SIZE_MULTIPLE),
            "width": (1, 1024),
            "code": (1, 2**14),
            "steps": (1, 10**9),
            "batch": (2, 10**5),
            "extra": (0, 10**9),
            "labels": (0, 10**9),
        },
        numbers={
            "target": Limit(0, 1e6, "a loss, 0 for none", ""),
            "learning_rate": Limit(1e-12, 10, "of Adam", ""),
            "sigma": Limit(0.1, 1000, "pixels", ""),
            "margin": Limit(0, 10, "a share of the box", ""),
            "rotation": Limit(0, 180, "degrees", ""),
            "scaling": Limit(0, 0.9, "a share", ""),
            "colour": Limit(0, 1, "a share", ""),
        },
        choices={"stage": STAGES, "transfer": TRANSFERS, "schedule": SCHEDULES, "precision": PRECISIONS},
        flags=("flip",),
        paths={
            "images": PathField(SYNTHETIC, lambda path: path.name != SYNTHETIC and path.exists()),
            "keypoint_map": PathField("a keypoint map", Path.is_file, empty=True),
            "backgrounds": PathField("a folder of photographs", Path.is_dir, empty=True),
            "skeleton": SKELETON,
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % SIZE_MULTIPLE:
            raise InputError(f"size: is {self.size}; expected a multiple of {SIZE_MULTIPLE}")
        if self.keypoint_map and self.images == SYNTHETIC:
            raise InputError(f"keypoint_map: is for an annotated set; expected none with images: {SYNTHETIC}")
        if self.backgrounds and self.images != SYNTHETIC:
            raise InputError(f"backgrounds: are for images: {SYNTHETIC}; expected none with {shown(self.images)}")

    @property
    def augmented(self) -> bool:
        """Whether images are changed at all before they are trained on."""
        return self.flip or max(self.rotation, self.scaling, self.colour) > 0


_PAPER = ImageConfig()
_SMALL = ImageConfig(size=64, width=32, sigma=2.5, batch=32, learning_rate=2e-3, schedule="one-cycle")
_DEBUG = ImageConfig(
    size=64, width=4, code=16, sigma=2.5, steps=8, batch=4, learning_rate=1e-3, schedule="one-cycle", precision="32"
)
_FIVE_EPOCHS = 5 * 90_000 // _PAPER.batch  # of the paper's images

PRESETS: Mapping[str, Mapping[str, ImageConfig]] = {
    "paper": {
        "autoencoder": _PAPER.with_values(target=0.005),
        "skip2": _PAPER.with_values(stage="skip2", target=0.005, extra=_FIVE_EPOCHS, steps=100_000),
        "skip1": _PAPER.with_values(stage="skip1", target=0.005, extra=_FIVE_EPOCHS, steps=100_000),
        "landmarks": _PAPER.with_values(stage="landmarks", target=1e-4, steps=200_000),
        "nms": _PAPER.with_values(stage="nms", target=1e-3, steps=200_000),
    },
    "small": {
        "autoencoder": _SMALL.with_values(steps=5000),
        "skip2": _SMALL.with_values(stage="skip2", steps=400),
        "skip1": _SMALL.with_values(stage="skip1", steps=400),
        "landmarks": _SMALL.with_values(stage="landmarks", transfer="tuned", steps=5500),
        "nms": _SMALL.with_values(stage="nms", steps=3500),
    },
    "debug": {stage: _DEBUG.with_values(stage=stage) for stage in STAGES},
}
"""Preset -> stage -> configuration."""


def load_image_config(path: str | os.PathLike[str], base: ImageConfig | None = None) -> ImageConfig:
    """The configuration in a YAML file; what it does not name is that of `base` (default: the paper's autoencoder).

    Raises InputError with a line ``file:line:col: field: ...`` for each fault.
    """
    return read_config(path, base or _PAPER)
