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

from lifter.draw.figure import new_axes, new_figure, written
from lifter.image_config import LANDMARK_STAGES, STAGES
from lifter.images.heatmaps import argmax
from lifter.images.model import ImageNetworks, load_images
from lifter.images.sources import Images, source_of
from posesynth.draw import INK, LEFT, MIDDLE, PAPER, RIGHT
from posesynth.sides import body_sides
from posesynth.skeleton import Skeleton

SHOWN = 8  # images, side by side
_SIDE = 1.25  # inches of an image
_GAP = 0.06
_HEAD = 0.28  # above a row
_WORDS = ("without skips", "with S2", "with S2 and S1")

Pixels = NDArray[np.float32]
Row = tuple[str, Pixels, Pixels | None]
"""Words, images (B, S, S, 3) in [0, 1], and joints (B, K, 2) in units of S to be drawn over them."""


def stage_picture(run: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Draw the PNG `out` of a stage that is done, from its folder: its network and some of its validation images.

    Raises InputError where the run cannot be read or `out` not written.
    """
    net, skeleton, config, facts = load_images(run)
    given = source_of(config, skeleton).validation(SHOWN)
    originals = given.image.permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        if config.stage in LANDMARK_STAGES:
            labelled = torch.tensor([joint in facts["labelled"] for joint in skeleton.joints])
            rows = _landmark_rows(net, given, originals, config.stage, labelled)
        else:
            rows = _reconstruction_rows(net, originals, config.stage)
    _draw(rows, skeleton, Path(out))


def _reconstruction_rows(net: ImageNetworks, originals: torch.Tensor, stage: str) -> list[Row]:
    rows: list[Row] = [("original", _pixels(originals), None)]
    for skips, words in enumerate(_WORDS[: STAGES.index(stage) + 1]):
        rows.append((words, _pixels(net.autoencoder(originals, skips)), None))
    return rows


def _landmark_rows(
    net: ImageNetworks, given: Images, originals: torch.Tensor, stage: str, labelled: torch.Tensor
) -> list[Row]:
    def of_labelled(points: torch.Tensor) -> Pixels:
        return np.asarray(torch.where(labelled[:, None], points, torch.nan).numpy())

    logits = net.logits(originals)
    heat = net.heat(logits)
    learned = heat[:, labelled]
    hottest = (learned / learned.amax((2, 3), keepdim=True).clamp(min=1e-6)).amax(1, keepdim=True)
    flame = torch.cat([hottest, hottest.square(), torch.zeros_like(hottest)], dim=1)
    over = 0.45 * originals.mean(1, keepdim=True) * (1 - hottest) + flame * hottest
    plain = _pixels(originals)
    rows = [
        ("true joints", plain, given.landmarks.numpy()),
        ("heatmaps of all joints, each by its own maximum", _pixels(over), None),
        ("their maxima", plain, of_labelled(argmax(logits))),
    ]
    if stage == "nms":
        rows.append(("nms module", plain, of_labelled(net.nms(originals, heat))))
    return rows


def _pixels(images: torch.Tensor) -> Pixels:
    return np.asarray(images.permute(0, 2, 3, 1).clamp(0, 1).numpy(), np.float32)


def _draw(rows: Sequence[Row], skeleton: Skeleton, out: Path) -> None:
    images_across = len(rows[0][1])
    width, height = images_across * (_SIDE + _GAP) + _GAP, len(rows) * (_HEAD + _SIDE) + _GAP
    figure = new_figure(width, height)
    colours = _colours(skeleton)
    for down, (words, images, joints) in enumerate(rows):
        top = height - down * (_HEAD + _SIDE)
        figure.text(_GAP / width, (top - 0.6 * _HEAD) / height, words, color=INK, fontsize=8.5, va="center")
        for place, image in enumerate(images):
            axis = new_axes(figure, _GAP + place * (_SIDE + _GAP), top - _HEAD - _SIDE, _SIDE, _SIDE)
            axis.imshow(image, extent=(0, 1, 1, 0), interpolation="nearest")
            axis.set(xlim=(0, 1), ylim=(1, 0))
            if joints is not None:
                _bones(axis, joints[place], skeleton, colours)
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
