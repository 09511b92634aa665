"""Images, or a video, to a folder of what is in them: poses, and pictures of what was found; `predict`.

OUT/poses.h5 (.csv, .npz)     as `lifter lift` writes them, with the confidence of the 2D
OUT/pictures/NAME.jpg         the landmarks over each image, the 3D beside it
OUT/film.mp4                  of a video, in their place
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifter.data.images.boxes import Boxes
from lifter.data.images.frames import Frames
from lifter.data.images.image_set import Box
from lifter.data.images.load import check_beside
from lifter.data.images.video import video_rate
from lifter.data.pose_csv import check_cells
from lifter.data.pose_track import MIN_CONFIDENCE, PoseTrack
from lifter.data.poses import write_poses
from lifter.draw.predictions import LONGEST, draw_film, draw_prediction
from lifter.images.pipeline import BATCH, ImageModel
from posesynth.errors import InputError, fault
from posesynth.sampler import cores

Progress = Callable[[str, int], None]
"""Called with what is being done, and of how many images it is done."""

MOST_THREADS = 4  # that read images

_Where = list[tuple[int, Box | None]]
"""Individual and its box, or None for the whole image, of each in one image."""

_Crop = tuple[int, NDArray[np.uint8], NDArray[np.float64]]
"""Individual, its crop and the affine to that."""


def predict(
    model: ImageModel,
    frames: Frames,
    out: str | os.PathLike[str],
    boxes: Boxes | Box | None = None,
    min_confidence: float = MIN_CONFIDENCE,
    ending: str = ".h5",
    progress: Progress | None = None,
) -> PoseTrack:
    """Find and lift what is in images, and write it to the folder `out`, which is new or empty.

    boxes: of each image; one for all; or None for the whole of each.  min_confidence: see `ImageModel.predict`.
    ending: of the pose file.  Returns the track that was written: NaN for images without a box.

    InputError for an image that cannot be read, a box beside its image, or a folder that cannot be written; the folder
    is there with all that belongs in it, or not at all.
    """
    model.lift(np.empty((0, len(model.skeleton.joints), 2)), np.empty((0, len(model.skeleton.joints))), min_confidence)
    for folder in frames.folders:
        check_beside(out, folder)
    if ending == ".csv":
        check_cells(os.path.join(out, "poses.csv"), (*frames.names, *_individuals(boxes)))
    with _new_folder(os.fspath(out)) as folder:
        track = find_track(model, frames, boxes, min_confidence, progress)
        write_poses(os.path.join(folder, f"poses{ending}"), track)
        _draw(track, frames, boxes, min_confidence, Path(folder), progress)
    return track


def find_track(
    model: ImageModel,
    frames: Frames,
    boxes: Boxes | Box | None = None,
    min_confidence: float = MIN_CONFIDENCE,
    progress: Progress | None = None,
) -> PoseTrack:
    """What `predict` writes, without writing or drawing it."""
    individuals = _individuals(boxes)
    found = _Found(model, len(individuals))

    def cropped(place: int, image: NDArray[np.uint8]) -> list[_Crop]:
        try:
            return [(who, *model.cropped(image, box)) for who, box in _where(frames, boxes, place)]
        except InputError as error:
            where = f"{frames.paths[0]}: frame {place}" if frames.is_video else frames.paths[place]
            raise fault(where, None, str(error)) from None

    for crops in frames.each(cropped, min(cores(), MOST_THREADS)):
        found.add(crops)
        if progress is not None:
            progress("found", found.count)
    landmarks, confidence = found.arrays()
    looked = np.isfinite(confidence).all(axis=2)
    poses = model.lift(landmarks[looked], confidence[looked], min_confidence)
    p3d, sure = np.full((*landmarks.shape[:3], 3), np.nan, np.float32), np.full_like(confidence, np.nan)
    p3d[looked] = poses.p3d
    if poses.confidence is not None:
        sure[looked] = poses.confidence
    return PoseTrack(
        p3d=p3d,
        p2d=(landmarks * (1, -1)).astype(np.float32),
        confidence=None if poses.confidence is None else sure,
        joints=model.skeleton.joints,
        parents=tuple(model.skeleton.parents.tolist()),
        individuals=individuals,
        frames=frames.names or tuple(range(len(landmarks))),
        skeleton=model.skeleton.name,
        model=f"{model.name} and {model.lifter.name}",
        source=frames.source,
        p2d_confidence=confidence,
    )


def describe(
    model: ImageModel,
    track: PoseTrack,
    frames: Frames,
    boxes: Boxes | Box | None,
    min_confidence: float,
    out: str | os.PathLike[str],
) -> list[str]:
    """What `predict` did, as lines for people."""
    kind = "frames" if frames.is_video else "images"
    looked: NDArray[np.bool_] = np.asarray(np.isfinite(track.p2d_confidence).all(axis=2))  # type: ignore[arg-type]
    lifted = int(np.isfinite(track.p3d).all(axis=(2, 3)).sum())
    way = "its nms module" if model.by_nms else "the maxima of its heatmaps"
    lines = [f"2D by {model.name}, {way}; 3D by {model.lifter.name}"]
    if model.unlabelled:
        lines.append(
            f"no image of its training labelled {', '.join(model.unlabelled)}: where they are is the lifter's guess"
        )
    if boxes is None:
        lines.append(f"each of the {len(looked)} {kind} was taken whole, as no box was given (--box, --boxes)")
    if lacking := int((~looked.any(axis=1)).sum()):
        lines.append(f"without a box, and nothing looked for: {lacking} of {len(looked)} {kind}")
    if others := _boxes_of_others(frames, boxes, len(looked)):
        lines.append(f"boxes of other {kind}, not used: {others}")
    if isinstance(boxes, Boxes) and (elsewhere := boxes.from_elsewhere(frames)):
        lines.append(f"boxes of images of the same name in another folder: {len(elsewhere)}, such as {elsewhere[0]}")
    if lifted < looked.sum():
        few = f"{int(looked.sum()) - lifted} of {int(looked.sum())} show fewer than three joints"
        lines.append(f"not lifted: {few} with a confidence of {min_confidence:g} or more")
    lines.append(f"{os.fspath(out)}: {lifted} poses in {len(looked)} {kind}, lengths in units of the longest edge")
    return lines


def pictures_of(frames: Frames) -> tuple[str, ...]:
    """The names of the images' pictures; all keep their ending where some differ in it alone."""
    stems = [os.path.splitext(name)[0] for name in frames.names]
    return tuple(f"{name}.jpg" for name in (stems if len({*stems}) == len(stems) else frames.names))


def _boxes_of_others(frames: Frames, boxes: Boxes | Box | None, count: int) -> int:
    """How many boxes are of none of the `count` images."""
    if not isinstance(boxes, Boxes):
        return 0
    beyond = [here for place, here in boxes.of.items() if frames.is_video and int(place) >= count]
    return boxes.others + sum(map(len, beyond))


class _Found:
    """Landmarks of T images and A individuals, found a batch of crops at a time."""

    def __init__(self, model: ImageModel, individuals: int) -> None:
        self._model, self._individuals, self.count = model, individuals, 0
        self._crops: list[tuple[NDArray[np.uint8], NDArray[np.float64]]] = []
        self._places: list[tuple[int, int]] = []
        self._landmarks: list[NDArray[np.float64]] = []
        self._confidence: list[NDArray[np.float32]] = []

    def add(self, crops: list[_Crop]) -> None:
        """Take the crops of the next image."""
        for individual, pixels, affine in crops:
            self._crops.append((pixels, affine))
            self._places.append((self.count, individual))
            if len(self._crops) == BATCH:
                self._find()
        self.count += 1

    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Landmarks (T, A, K, 2) in pixels, y down, and confidence (T, A, K); NaN where nobody was looked for."""
        if self._crops:
            self._find()
        shape = (self.count, self._individuals, len(self._model.skeleton.joints))
        landmarks, confidence = np.full((*shape, 2), np.nan), np.full(shape, np.nan, np.float32)
        if self._places:
            t, a = np.array(self._places).T
            landmarks[t, a], confidence[t, a] = np.concatenate(self._landmarks), np.concatenate(self._confidence)
        return landmarks, confidence

    def _find(self) -> None:
        pixels, affines = (np.stack(part) for part in zip(*self._crops, strict=True))
        landmarks, confidence = self._model.find((pixels, affines))
        self._landmarks.append(landmarks)
        self._confidence.append(confidence)
        self._crops.clear()


def _individuals(boxes: Boxes | Box | None) -> tuple[str, ...]:
    return boxes.individuals if isinstance(boxes, Boxes) else ("",)


def _where(frames: Frames, boxes: Boxes | Box | None, place: int) -> _Where:
    if isinstance(boxes, Boxes):
        return list(boxes.of.get(frames.names[place] if frames.names else str(place), ()))
    return [(0, boxes)]


def _draw(
    track: PoseTrack,
    frames: Frames,
    boxes: Boxes | Box | None,
    min_confidence: float,
    folder: Path,
    progress: Progress | None,
) -> None:
    def drawn(count: int) -> None:
        if progress is not None:
            progress("drawn", count)

    def boxes_of(place: int) -> list[Box]:
        return [box for _, box in _where(frames, boxes, place) if box is not None]

    if not frames.is_video:
        for (place, image), name in zip(frames.each(_as_they_are), pictures_of(frames), strict=True):
            if _where(frames, boxes, place):
                path = folder / "pictures" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                draw_prediction(image, track, place, boxes_of(place), min_confidence, path)
            drawn(place + 1)
        return
    total = len(track.frames)
    steps = set(np.linspace(0, total - 1, min(total, LONGEST)).round().astype(int).tolist())

    def chosen() -> Iterator[tuple[int, NDArray[np.uint8], list[Box]]]:
        for place, image in frames.each(_as_they_are):
            if place in steps:
                yield place, image, boxes_of(place)
            drawn(place + 1)

    draw_film(chosen(), track, video_rate(frames.paths[0]), min_confidence, folder / "film.mp4")


def _as_they_are(place: int, image: NDArray[np.uint8]) -> tuple[int, NDArray[np.uint8]]:
    return place, image


@contextmanager
def _new_folder(out: str) -> Iterator[str]:
    """A folder to write to, which becomes `out` when all went well, and is gone when not."""
    whole = os.path.abspath(out)
    parent, name = os.path.split(whole)
    if os.path.lexists(whole) and (os.path.islink(whole) or not os.path.isdir(whole) or os.listdir(whole)):
        raise fault(out, None, "is there already, and not empty; expected a new folder")
    partial = os.path.join(parent, f".{name}.{secrets.token_hex(8)}.partial")
    try:
        os.mkdir(partial)
        yield partial
        os.replace(partial, whole)
    except OSError as error:
        raise fault(out, None, f"cannot be written; {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
