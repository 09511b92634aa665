"""What the stages of the image networks make of images that they were not trained on, as one picture each.

autoencoder, skip2, skip1    the paper's Figure 3: originals, then without skips, with S2, with S2 and S1
landmarks                    heatmaps over images, and the joints at their maxima
nms                          as well, and the joints that the last module says
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lifter.heatmaps import argmax
from lifter.image_config import STAGES
from lifter.image_model import ImageNetworks, load_images
from lifter.image_sources import Images, source_of
from posesynth.draw import INK, LEFT, MIDDLE, PAPER, RIGHT
from posesynth.motion.tables import body_sides
from posesynth.skeleton import Skeleton

from .figure import new_axes, new_figure, written

SHOWN = 8  # images, a row each
_SIDE = 1.5  # inches of an image
_GAP = 0.06
_HEAD = 0.3  # above the columns
_WORDS = ("without skips", "with S2", "with S2 and S1")

Pixels = NDArray[np.float32]
Column = tuple[str, Pixels, Pixels | None]
"""Words, images (B, S, S, 3) in [0, 1], and joints (B, K, 2) in units of S to be drawn over them."""


def stage_picture(run: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Draw the PNG `out` of a stage that is done, from its folder: its network and some of its validation images.

    Raises InputError where the run cannot be read or `out` not written.
    """
    net, skeleton, config, _ = load_images(run)
    given = source_of(config, skeleton).validation(SHOWN)
    originals = given.image.permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        if config.stage in ("landmarks", "nms"):
            columns = _landmark_columns(net, given, originals, config.stage)
        else:
            columns = _reconstruction_columns(net, originals, config.stage)
    _draw(columns, skeleton, Path(out))


def _reconstruction_columns(net: ImageNetworks, originals: torch.Tensor, stage: str) -> list[Column]:
    columns: list[Column] = [("original", _pixels(originals), None)]
    for skips, words in enumerate(_WORDS[: STAGES.index(stage) + 1]):
        columns.append((words, _pixels(net.autoencoder(originals, skips)), None))
    return columns


def _landmark_columns(net: ImageNetworks, given: Images, originals: torch.Tensor, stage: str) -> list[Column]:
    logits = net.logits(originals)
    heat = torch.sigmoid(logits)
    hottest = heat.amax(1, keepdim=True)
    flame = torch.cat([hottest, hottest.square(), torch.zeros_like(hottest)], dim=1)
    over = 0.45 * originals.mean(1, keepdim=True) * (1 - hottest) + flame * hottest
    plain = _pixels(originals)
    columns = [
        ("true joints", plain, given.landmarks.numpy()),
        ("heatmaps, the hottest of all joints", _pixels(over), None),
        ("their maxima", plain, argmax(logits).numpy()),
    ]
    if stage == "nms":
        columns.append(("nms module", plain, net.nms(originals, heat).numpy()))
    return columns


def _pixels(images: torch.Tensor) -> Pixels:
    return np.asarray(images.permute(0, 2, 3, 1).clamp(0, 1).numpy(), np.float32)


def _draw(columns: Sequence[Column], skeleton: Skeleton, out: Path) -> None:
    rows = len(columns[0][1])
    step = _SIDE + _GAP
    width, height = len(columns) * step + _GAP, rows * step + _GAP + _HEAD
    figure = new_figure(width, height)
    colours = _colours(skeleton)
    for across, (words, images, joints) in enumerate(columns):
        left = _GAP + across * step
        figure.text(left / width, 1 - 0.6 * _HEAD / height, words, color=INK, fontsize=7.5, va="center")
        for row in range(rows):
            bottom = height - _HEAD - (row + 1) * step
            axis = new_axes(figure, left, bottom, _SIDE, _SIDE)
            axis.imshow(images[row], extent=(0, 1, 1, 0), interpolation="nearest")
            axis.set(xlim=(0, 1), ylim=(1, 0))
            if joints is not None:
                _bones(axis, joints[row], skeleton, colours)
    with written(out) as partial:
        figure.savefig(partial, dpi=150, facecolor=PAPER)


def _bones(axis: Any, joints: Pixels, skeleton: Skeleton, colours: Mapping[int, str]) -> None:
    """The edges both of whose joints are known, each in its side's colour, with a rim of paper around."""
    for joint, parent in enumerate(skeleton.parents.tolist()):
        if parent >= 0 and np.isfinite(joints[[joint, parent]]).all():
            x, y = joints[[parent, joint]].T
            axis.plot(x, y, color=PAPER, lw=2.6, solid_capstyle="round")
            axis.plot(x, y, color=colours.get(joint, MIDDLE), lw=1.5, solid_capstyle="round")


def _colours(skeleton: Skeleton) -> dict[int, str]:
    """Joint -> colour of the edge to it, of those that have a side."""
    sides = body_sides(skeleton.joints)
    return {k: LEFT if sides[name] == "l" else RIGHT for k, name in enumerate(skeleton.joints) if sides[name]}
