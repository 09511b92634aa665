"""Augmentation of images with landmarks: flip, rotation, scale and colour, drawn for image i of a seed alone.

`draws` says what is drawn, as a pure function of (seed, i), so that a run goes on as if it had never stopped;
`augmented` does it, on any device.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from lifter.image_config import ImageConfig
from posesynth.skeleton import Skeleton

DRAWS = 8  # a whole number of Philox's blocks of four
_KEY = 0x1A6E  # apart from whatever else NumPy's Philox may be asked with this seed


def draws(seed: int, start: int, stop: int) -> Tensor:
    """(stop - start, 8) float32, uniform in [-1, 1): what images start..stop-1 are changed by."""
    key = np.array([seed, _KEY], np.uint64)
    bits = np.random.Philox(key=key, counter=start * DRAWS // 4)
    values = np.random.Generator(bits).random((stop - start, DRAWS))
    return torch.from_numpy((2 * values - 1).astype(np.float32))


def augmented(
    images: Tensor, landmarks: Tensor, drawn: Tensor, config: ImageConfig, mirrored: Tensor
) -> tuple[Tensor, Tensor]:
    """The images (B, 3, S, S) in [0, 1] and landmarks (B, K, 2) in units of S, changed as `drawn` says.

    mirrored: (K,) which joint each is in a mirror.  What comes from beyond the image is its border; landmarks that
    leave it are NaN.
    """
    flipped = (drawn[:, 0] < 0) & config.flip
    angle = drawn[:, 1] * math.radians(config.rotation)
    factor = 1 + drawn[:, 2] * config.scaling
    mirror = 1 - 2 * flipped.float()
    cos, sin = angle.cos() * factor, angle.sin() * factor
    # p' = turn p about the centre; x of p is mirrored first.
    turn = torch.stack([torch.stack([cos * mirror, -sin], -1), torch.stack([sin * mirror, cos], -1)], -2)
    if config.flip or config.rotation or config.scaling:
        # Written out: torch.linalg.inv waits for the device, which a CUDA graph cannot hold.
        inverse = turn.transpose(1, 2) / factor[:, None, None] ** 2
        back = torch.cat([inverse, turn.new_zeros(len(turn), 2, 1)], dim=2)
        grid = nn.functional.affine_grid(back, list(images.shape), align_corners=False)
        images = nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
        landmarks = torch.where(flipped[:, None, None], landmarks[:, mirrored], landmarks)
        landmarks = ((2 * landmarks - 1) @ turn.transpose(1, 2) + 1) / 2
        inside = ((landmarks >= 0) & (landmarks <= 1)).all(-1, keepdim=True)
        landmarks = torch.where(inside, landmarks, torch.nan)
    if config.colour:
        contrast = 1 + config.colour * drawn[:, 3]
        light = config.colour / 2 * (drawn[:, 4:5] + drawn[:, 5:8]) / 2
        images = ((images - 0.5) * contrast[:, None, None, None] + 0.5 + light[..., None, None]).clamp(0, 1)
    return images, landmarks


def mirrored_joints(skeleton: Skeleton) -> Tensor:
    """(N,) which joint each of the skeleton's is in a mirror: the other of its symmetric pair, or itself."""
    order = torch.arange(len(skeleton.joints))
    for left, right in skeleton.symmetric:  # edges; the joint at an edge's end comes one later
        order[left + 1], order[right + 1] = right + 1, left + 1
    return order
