"""Training the image networks: each stage a run of its own, begun with what the stage before left.

OUT/autoencoder  OUT/skip2  OUT/skip1  OUT/landmarks  OUT/nms      runs as `lifter.training` has them
"""

import os

import torch

from lifter.data.images.load import check_beside
from lifter.image_config import LANDMARK_STAGES, STAGES, ImageConfig
from lifter.images.sources import Images, ImageSource, StoredImages, source_of
from lifter.images.step import ImageStep
from lifter.log import summary_writer
from lifter.training import Progress, Summary, make_folder, new_fabric, run
from posesynth.errors import InputError
from posesynth.skeleton import load_skeleton

LOG_EVERY = 20
VALIDATE_EVERY = 200
VALIDATION_IMAGES = 256


def train_stage(
    config: ImageConfig,
    out: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    tensorboard: bool = False,
) -> Summary:
    """Train the stage of `config` in the folder OUT/STAGE, with OUT/STAGE-BEFORE's networks; go on where it ended.

    progress, tensorboard, errors: see `lifter.training.train`.  InputError as well where the stage before is not there,
    not done, or of another shape.
    """
    if tensorboard:
        summary_writer()
    fabric = new_fabric(config)
    # Nearly all batches of a run have one shape: the fastest of cuDNN's ways is worth a search.
    torch.backends.cudnn.benchmark = fabric.device.type == "cuda"
    if config.batch % fabric.world_size:
        raise InputError(f"batch: is {config.batch} for {fabric.world_size} ranks; expected a multiple of them")
    skeleton = load_skeleton(config.skeleton)
    init = before(config, out)
    images = source_of(config, skeleton)
    if isinstance(images, StoredImages) and images.folder is not None:
        check_beside(out, images.folder)

    def learner() -> ImageStep:
        held_out = _held_out(images, config)
        return ImageStep(fabric, skeleton, config, init, held_out, images.facts, images.labelled, LOG_EVERY)

    folder = os.path.join(out, config.stage)
    make_folder(os.fspath(out))
    return run(fabric, config, folder, learner, images.batches, progress, tensorboard, LOG_EVERY, VALIDATE_EVERY)


def describe_images(config: ImageConfig) -> list[str]:
    """What a stage takes of the set that `config` names, as lines for people.

    InputError where the stage cannot train on it.
    """
    images = source_of(config, load_skeleton(config.skeleton))
    if not isinstance(images, StoredImages):
        return []
    _held_out(images, config)
    return images.describe()


def _held_out(images: ImageSource, config: ImageConfig) -> Images:
    """The images to validate on; InputError where a stage needs joints and none is known in them."""
    held_out = images.validation(VALIDATION_IMAGES)
    if config.stage in LANDMARK_STAGES and not held_out.landmarks.isfinite().any():
        few = f"no joint is known in the {len(held_out.image)} annotations held out for validation"
        raise InputError(f"{images.name}: {few}; expected more images with labels")
    return held_out


def before(config: ImageConfig, out: str | os.PathLike[str]) -> str | None:
    """The run that a stage begins with; None for the first, and for landmarks from scratch."""
    if config.stage == STAGES[0] or (config.stage == "landmarks" and config.transfer == "scratch"):
        return None
    stage = STAGES[STAGES.index(config.stage) - 1]
    folder = os.path.join(out, stage)
    if not os.path.exists(os.path.join(folder, "model.safetensors")):
        raise InputError(f"{folder}: holds no model; expected stage {stage} to be done before {config.stage}")
    return folder
