"""From images to 3D poses: `load_image_model`, then `ImageModel.predict`.

image -> crop by its box -> frozen autoencoder and interleaved layers -> heatmaps -> landmarks -> lifter -> 3D
"""

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from lifter.data.images import crop
from lifter.data.images.image_set import Box
from lifter.data.images.picture import taken_back
from lifter.data.pose_track import MIN_CONFIDENCE
from lifter.image_config import LANDMARK_STAGES, ImageConfig
from lifter.images.heatmaps import argmax
from lifter.images.model import ImageNetworks, load_images
from lifter.model_file import shipped_models
from lifter.pipeline import Lifter, Poses, load
from posesynth.errors import InputError, shown
from posesynth.skeleton import Skeleton

BATCH = 32  # crops that go through the networks at a time

Crops = tuple[NDArray[np.uint8], NDArray[np.float64]]
"""(B, S, S, 3) RGB, and (B, 2, 3) affines from an image's pixels to its crop's."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """What was found in B images, K joints each.

    landmarks: (B, K, 2) float64, x right, y down, in pixels of each whole image, (0, 0) its upper left corner; NaN for
    joints that no image of the training labelled.  confidence: (B, K) float32 in (0, 1), the heat of the joint's
    heatmap at its maximum as training draws it, 1 at the joint itself; 0 for those.  poses: lifted from the landmarks
    with enough confidence; NaN where fewer than three have it.
    """

    landmarks: NDArray[np.float64]
    confidence: NDArray[np.float32]
    poses: Poses


class ImageModel:
    """Trained image networks and a lifter for what they find.

    skeleton: whose joints, in that order.  config: of the networks' last stage.  name: of their run.  by_nms: whether
    landmarks are those of the last module; they are the heatmaps' maxima where it is not trained.  unlabelled: joints
    that no image of the training labelled, which are left to the lifter.
    """

    def __init__(
        self,
        net: ImageNetworks,
        skeleton: Skeleton,
        config: ImageConfig,
        labelled: Container[str],
        lifter: Lifter,
        name: str,
        device: str,
    ) -> None:
        self.unlabelled = tuple(joint for joint in skeleton.joints if joint not in labelled)
        self.skeleton, self.config, self.lifter, self.name = skeleton, config, lifter, name
        self.by_nms = config.stage == "nms"
        self._device = torch.device(device)
        self._net = net.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def predict(
        self,
        images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
        boxes: Sequence[Sequence[float] | None] | None = None,
        min_confidence: float = MIN_CONFIDENCE,
    ) -> Predicted:
        """Find and lift what is in B images.

        images: each (H, W, 3) uint8 RGB, upright, of any size.  boxes: (x, y, w, h) in pixels around the animal in
        each, or None for the whole image.  min_confidence: landmarks below it are not lifted; the lifter says where
        those joints may be.  Raises InputError for other images, or boxes that are empty or beside their image.
        """
        given = list(boxes) if boxes is not None else [None] * len(images)
        if len(given) != len(images):
            raise InputError(f"boxes: {len(given)} for {len(images)} images; expected one for each")
        made = [self.cropped(image, box) for image, box in zip(images, given, strict=True)]
        size, joints = self.config.size, len(self.skeleton.joints)
        if not made:
            landmarks, confidence = np.empty((0, joints, 2)), np.empty((0, joints), np.float32)
        else:
            pixels = np.stack([crop for crop, _ in made]).reshape(-1, size, size, 3)
            landmarks, confidence = self.find((pixels, np.stack([affine for _, affine in made])))
        return Predicted(landmarks, confidence, self.lift(landmarks, confidence, min_confidence))

    def cropped(
        self, image: NDArray[np.uint8], box: Sequence[float] | None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """The crop that the networks see, (S, S, 3) uint8, and the (2, 3) affine from image pixels to its pixels.

        It is the square around the box, with the margin that training had; without a box, around the whole image.
        """
        pixels = np.asarray(image)
        if box is None:
            return crop(pixels, _whole(pixels), self.config.size)
        return crop(pixels, box, self.config.size, self.config.margin)

    def find(self, crops: Crops) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Landmarks and confidence of crops, as `Predicted` has them."""
        landmarks, confidence = [], []
        for first in range(0, len(crops[0]), BATCH):
            part = torch.from_numpy(crops[0][first : first + BATCH]).to(self._device)
            with torch.inference_mode():
                found, sure = self._found(part)
            landmarks.append(found.double().cpu().numpy())
            confidence.append(sure.float().cpu().numpy())
        inside = np.concatenate(landmarks) * self.config.size
        placed = np.stack([taken_back(affine, points) for affine, points in zip(crops[1], inside, strict=True)])
        heat = np.concatenate(confidence)
        unlabelled = [self.skeleton.joints.index(joint) for joint in self.unlabelled]
        placed[:, unlabelled], heat[:, unlabelled] = np.nan, 0
        return placed, heat

    def lift(self, landmarks: ArrayLike, confidence: ArrayLike, min_confidence: float = MIN_CONFIDENCE) -> Poses:
        """The 3D poses of landmarks (B, K, 2) in pixels, y down, with a confidence (B, K)."""
        if not 0 <= min_confidence <= 1:
            raise InputError(f"min_confidence: is {shown(min_confidence)}; expected 0 to 1")
        if self.lifter.whole and self.unlabelled:
            some = ", ".join(self.unlabelled[:5])
            raise InputError(
                f"--lifter: {self.lifter.name} takes whole poses alone, but no image of {self.name} labelled {some}; "
                "expected another lifter"
            )
        if self.lifter.whole and min_confidence > 0:
            whole = f"{self.lifter.name} was trained by the paper's recipe on whole poses, and takes no others"
            raise InputError(f"min_confidence: is {min_confidence:g}, but {whole}; expected 0, or another lifter")
        return self.lifter.lift(np.asarray(landmarks) * (1, -1), np.asarray(confidence) >= min_confidence)

    def _found(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.channels_last) / 255
        logits = self._net.logits(images)
        heat = self._net.heat(logits)
        return self._net.nms(images, heat) if self.by_nms else argmax(logits), heat.flatten(2).amax(-1)


def load_image_model(
    model: str | os.PathLike[str], lifter: str | os.PathLike[str] | None = None, device: str | None = None
) -> ImageModel:
    """The image model of a folder that `lifter train-images` wrote, or of one of its stages, landmarks or nms.

    lifter: what `lifter.load` takes, of the same joints; left out, the shipped model of the same skeleton.  device: of
    the image networks, as torch names it; left out, a GPU where there is one.  InputError where a part is not there,
    not done, or of another skeleton.
    """
    where = _last_stage(os.fspath(model))
    net, skeleton, config, facts = load_images(where)
    if config.stage not in LANDMARK_STAGES:
        raise InputError(f"{where}: is of stage {config.stage}; expected landmarks or nms, which find joints")
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    name, labelled = _name(os.fspath(model)), facts["labelled"]
    return ImageModel(net, skeleton, config, labelled, _lifter_for(skeleton, lifter), name, chosen)


def _last_stage(model: str) -> str:
    """The run of the last stage that is done, where `model` holds several."""
    if not os.path.exists(model):
        raise InputError(f"{model[:100]}: is not there; expected what `lifter train-images` wrote, or a stage of it")
    stages = [os.path.join(model, stage) for stage in ("nms", "landmarks")]
    for stage in stages:
        if os.path.exists(os.path.join(stage, "model.safetensors")):
            return stage
    if any(os.path.isdir(stage) for stage in stages):
        raise InputError(f"{model}: neither stage landmarks nor nms is done; expected one of them to be")
    return model


def _lifter_for(skeleton: Skeleton, lifter: str | os.PathLike[str] | None) -> Lifter:
    if lifter is None and skeleton.name not in shipped_models():
        known = ", ".join(shipped_models())
        raise InputError(f"--lifter: none comes for skeleton '{skeleton.name}', only for {known}; expected a run")
    found = load(skeleton.name if lifter is None else lifter)
    theirs = found.skeleton
    if theirs.joints != skeleton.joints or theirs.parents.tolist() != skeleton.parents.tolist():
        raise InputError(
            f"--lifter: {found.name} is of skeleton '{theirs.name}'; expected one of the joints of '{skeleton.name}'"
        )
    return found


def _name(model: str) -> str:
    """runs/dogs -> dogs; runs/dogs/nms -> dogs."""
    path = os.path.abspath(model).removesuffix(".safetensors")
    parts = [part for part in path.split(os.sep) if part not in ("model", "nms", "landmarks")]
    return parts[-1] if parts else "images"


def _whole(image: NDArray[np.uint8]) -> Box:
    height, width = (*image.shape[:2], 0, 0)[:2]
    return 0.0, 0.0, float(width), float(height)
