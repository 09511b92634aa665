"""Where images come from: rendered as they are needed, or a folder or annotated set, cropped.

Which image is the n-th that is trained on depends on the seed and n alone: a run that goes on sees what it would have.
Validation images are never trained on, not even by the stage before with another seed.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

import posesynth.render
from lifter.data.images import ImageSet, crop, load_image, load_image_set
from lifter.data.images.onto_skeleton import onto_skeleton
from lifter.data.images.picture import placed
from lifter.data.images.split import split
from lifter.data.matching import KeypointMap, describe
from lifter.image_config import LANDMARK_STAGES, SYNTHETIC, ImageConfig
from lifter.images.metrics import longer_side
from lifter.sources import VALIDATION
from posesynth.ahead import ahead
from posesynth.errors import InputError, fault
from posesynth.render.images import IMAGE_VERSION
from posesynth.render.photographs import Photographs
from posesynth.rng import BLOCK
from posesynth.sampler import STREAM_VERSION, own_cores
from posesynth.skeleton import Skeleton

MOST_THREADS = 16  # that read images
BYTES_AT_ONCE = 2**24  # of images that are rendered in one go
MOST_KEPT = 8 * 2**30  # bytes of images that `labels` asks for

Array = NDArray[np.float32]
Labelled = Mapping[str, Sequence[str]]
"""Joint -> the labels whose mean it is."""


@dataclass(frozen=True, slots=True)
class Images:
    """B images.

    image: (B, S, S, 3) uint8 RGB.  landmarks: (B, K, 2) float32, x right, y down, in units of S; NaN where a joint is
    not known or outside.  body: (B,) float32, the longer side of the body's box, in units of S; without a box, of
    the extent of its joints.  start: which images they are, counted from the run's first.
    """

    image: torch.Tensor
    landmarks: torch.Tensor
    body: torch.Tensor
    start: int = 0

    def split(self, rows: int) -> list["Images"]:
        """The same in batches of so many rows, the last of what is left."""
        cuts = [slice(first, first + rows) for first in range(0, len(self.image), rows)]
        return [Images(self.image[cut], self.landmarks[cut], self.body[cut], self.start + cut.start) for cut in cuts]


class ImageSource(Protocol):
    """Images for training.  `name` says which; `facts`, digests and versions, change when they do.

    labelled: the skeleton's joints that are known in any of the images that are trained on, and of which labels each
    is made.
    """

    name: str
    facts: Mapping[str, str]
    labelled: Labelled

    def batches(self, step: int, steps: int, batch: int) -> Iterator[Images]:
        """The batches of steps step..steps-1, for this rank."""

    def validation(self, count: int) -> Images:
        """At most `count` images that `batches` never gives."""


class RenderedImages:
    """Images of synthetic poses, made in this process; image i is a pure function of (skeleton, seed, i).

    labels: only the first so many, kept in memory and used over and over; 0 for ever new ones.
    """

    def __init__(self, skeleton: Skeleton, config: ImageConfig) -> None:
        if (kept := config.labels * config.size**2 * 3) > MOST_KEPT:
            raise InputError(
                f"labels: {config.labels} images of {config.size} pixels take {kept} bytes; "
                f"expected at most {MOST_KEPT}, or 0 for ever new images"
            )
        self.name = SYNTHETIC
        self._backgrounds = Photographs(config.backgrounds) if config.backgrounds else None
        behind = {"backgrounds_digest": self._backgrounds.digest} if self._backgrounds else {}
        self.facts: Mapping[str, str] = {
            "images_digest": skeleton.digest,
            **behind,
            "image_version": str(IMAGE_VERSION),
            "stream_version": str(STREAM_VERSION),
        }
        self.labelled: Labelled = {joint: (joint,) for joint in skeleton.joints}
        self._skeleton, self._seed, self._size, self._labels = skeleton, config.seed, config.size, config.labels

    def batches(self, step: int, steps: int, batch: int) -> Iterator[Images]:
        """See `ImageSource`."""
        mine = _own_share(batch)
        if self._labels:
            yield from self._again(range(step * batch, steps * batch, batch), mine)
            return
        # Images that are made in one call share what it costs; a rank's are one run of indices in one batch only.
        count = min(BLOCK, BYTES_AT_ONCE // (3 * self._size**2))
        at_once = max(1, count // batch) if len(mine) == batch else 1
        firsts = range(step, steps, at_once)

        def make(n: int, threads: int | None = 1) -> list[Images]:
            first, last = n * batch + mine.start, (min(n + at_once, steps) - 1) * batch + mine.stop
            return _for_gpu(self._rendered(first, last, first, threads)).split(len(mine))

        # Beside a GPU there is time to render; the cores that train would only be kept from it.
        on_gpu, threads = torch.cuda.is_available(), own_cores()
        slabs = ahead(make, firsts, max(1, threads - 1)) if on_gpu else (make(n, threads) for n in firsts)
        for made in slabs:
            yield from made

    def validation(self, count: int) -> Images:
        """See `ImageSource`."""
        return self._rendered(VALIDATION, VALIDATION + count, 0)

    def _again(self, starts: range, mine: range) -> Iterator[Images]:
        """Batches of the labelled images, over and over."""
        if not starts:
            return
        few = self._rendered(0, self._labels, 0)
        for start in starts:
            first = start + mine.start
            places = [_shuffled(self._seed, n, self._labels) for n in range(first, start + mine.stop)]
            yield _for_gpu(Images(few.image[places], few.landmarks[places], few.body[places], first))

    def _rendered(self, first: int, stop: int, start: int, threads: int | None = None) -> Images:
        made = posesynth.render.render(
            self._skeleton, self._seed, first, stop, self._size, self._backgrounds, threads=threads
        )
        return _images(made.image, made.p2d / self._size, None, start)


class StoredImages:
    """A folder of images, or an annotated set cropped to its boxes, its joints matched to the skeleton's.

    Those that `split` holds out are validated on.  Of the others every annotation is used once before any is used
    again, in an order drawn anew each time.  folder: of which all images are taken; None of an annotated set.
    matched: how the set's joints are the skeleton's, for stages that need them.  InputError where a set does not have
    what the stage needs.
    """

    def __init__(self, skeleton: Skeleton, config: ImageConfig) -> None:
        self.name, found = config.images, load_image_set(config.images)
        self._set, self._size, self._seed, self._margin = found, config.size, config.seed, config.margin
        self.folder = None if found.names else config.images
        needs_joints = config.stage in LANDMARK_STAGES
        if needs_joints and not found.names:
            need = f"stages {' and '.join(LANDMARK_STAGES)} need an annotated set, or {SYNTHETIC}"
            raise InputError(f"{config.images}: images without labels; {need}")
        joints = len(skeleton.joints)
        self._points = np.full((len(found.annotations), joints, 2), np.nan)
        self.matched: KeypointMap | None = None
        if needs_joints:
            self._points, _, self.matched = onto_skeleton(found, skeleton, config.keypoint_map or None)
        self._held_out, trained = split(found)
        there = sorted(self._held_out + trained)
        self._absent = len(found.annotations) - len(there)
        self._trained = np.random.Generator(np.random.Philox(key=config.seed)).permutation(trained)
        if config.labels:
            self._trained = self._trained[: config.labels]
        self.facts: Mapping[str, str] = {"images_digest": _digest(found, there, self._points)}
        known = np.isfinite(self._points[self._trained]).all(-1).any(0)
        made_of = self.matched.joints if self.matched is not None else {}
        self.labelled: Labelled = {
            joint: made_of[joint] for joint, is_known in zip(skeleton.joints, known, strict=True) if is_known
        }
        if needs_joints and not self.labelled:
            raise InputError(f"{self.name}: no joint is known in the {len(self._trained)} annotations to train on")

    def describe(self) -> list[str]:
        """What is taken of the set, as lines for people."""
        lines = [] if self.matched is None else [describe(self.matched)]
        if self._absent:
            lines.append(f"not used, as their images are not on disk: {self._absent} annotations")
        return [*lines, f"{self.name}: {len(self._trained)} annotations to train on, {len(self._held_out)} held out"]

    def batches(self, step: int, steps: int, batch: int) -> Iterator[Images]:
        """See `ImageSource`."""
        mine = _own_share(batch)

        def make(start: int) -> Images:
            first, stop = start + mine.start, start + mine.stop
            places = [self._trained[_shuffled(self._seed, n, len(self._trained))] for n in range(first, stop)]
            return _for_gpu(self._read(places, first))

        return ahead(make, range(step * batch, steps * batch, batch), min(own_cores(), MOST_THREADS))

    def validation(self, count: int) -> Images:
        """See `ImageSource`."""
        return self._read(self._held_out[:count], 0)

    def _read(self, places: list[int], start: int) -> Images:
        cropped = [self._crop(place) for place in places]
        images, points, bodies = zip(*cropped, strict=True)
        return _images(np.stack(images), np.stack(points), np.array(bodies), start)

    def _crop(self, place: int) -> tuple[NDArray[np.uint8], NDArray[np.float64], float]:
        """Image, points and the body's longer side, the latter two in units of the crop."""
        annotation, points = self._set.annotations[place], self._points[place]
        image = load_image(annotation.image)
        body = annotation.box or _around(annotation.keypoints)  # the same in all stages, whatever the skeleton's joints
        box = body or _middle(image)
        try:
            made, affine = crop(image, box, self._size, self._margin if body else 0.0)
        except InputError as error:
            raise fault(annotation.image, None, str(error)) from None
        return made, placed(affine, points) / self._size, max(box[2:]) * float(affine[0, 0]) / self._size


def source_of(config: ImageConfig, skeleton: Skeleton) -> RenderedImages | StoredImages:
    """The source that a configuration names."""
    return (RenderedImages if config.images == SYNTHETIC else StoredImages)(skeleton, config)


def _images(image: NDArray[np.uint8], points: NDArray[Any], body: NDArray[Any] | None, start: int) -> Images:
    """Images as tensors, joints outside them unknown.  body: of the joints that are inside, where it is not given."""
    inside = ((points >= 0) & (points <= 1)).all(-1, keepdims=True)
    known = np.where(inside, points, np.nan).astype(np.float32)
    if body is None:
        body = longer_side(np.full((len(known), 4), np.nan), known)
    return Images(torch.from_numpy(image), torch.from_numpy(known), torch.from_numpy(body.astype(np.float32)), start)


def _for_gpu(images: Images) -> Images:
    """The same; where there is a GPU, in locked memory, from which they go to it while it computes."""
    if not torch.cuda.is_available():
        return images
    return Images(images.image.pin_memory(), images.landmarks.pin_memory(), images.body, images.start)


def _own_share(batch: int) -> range:
    """Which rows of a batch of all ranks are this one's."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    ranks = torch.distributed.get_world_size() if distributed else 1
    rank = torch.distributed.get_rank() if distributed else 0
    return range(batch * rank // ranks, batch * (rank + 1) // ranks)


def _shuffled(seed: int, n: int, count: int) -> int:
    """Which of `count` images is the n-th that is used: each once in n = 0..count-1, then anew."""
    epoch, place = divmod(n, count)
    return int(_order(seed, epoch, count)[place])


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.Generator(np.random.Philox(key=seed, counter=epoch << 64)).permutation(count)


def _around(points: NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """The box of the points that are known; None where it has no extent."""
    known = points[np.isfinite(points).all(-1)]
    if len(known) < 2:
        return None
    (left, top), (right, bottom) = known.min(0).tolist(), known.max(0).tolist()
    return (left, top, right - left, bottom - top) if min(right - left, bottom - top) > 0 else None


def _middle(image: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """The largest square in an image's middle, as a box."""
    height, width = image.shape[:2]
    side = min(height, width)
    return (width - side) / 2, (height - side) / 2, side, side


def _digest(found: ImageSet, there: list[int], points: NDArray[np.float64]) -> str:
    """Of the annotations whose images are on disk: an image more or less is another order of all.

    All keypoints count, for where there is no box they make the crop.
    """
    digest = hashlib.sha256(np.ascontiguousarray(points[there]).tobytes())
    digest.update(np.ascontiguousarray(found.keypoints[there]).tobytes())
    for place in there:
        digest.update(os.fsencode(f"{found.path_in(place)}\0{found.annotations[place].box}\0"))
    return digest.hexdigest()
