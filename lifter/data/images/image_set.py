"""What every reader of image sets gives back, and what all of them hold to."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifter.data.track import check_count, check_names
from posesynth.errors import InputError, fault, quote, shown
from posesynth.motion.clip import FARTHEST

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Annotation:
    """One person or animal in one image; of a folder of plain images, the image.

    ``image``: path.  ``box``: (x, y, w, h) in pixels, x right, y down from the image's upper left corner, or None where
    the set gives none.  ``keypoints``: (K, 2) float64 in the same pixels, NaN where a joint is not labelled, never 0.
    ``visible``: (K,) bool; False: labelled but hidden, or not labelled.
    """

    image: str
    box: Box | None
    keypoints: Array
    visible: Mask


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Annotated images of one set, in its own order.

    ``names``: K joints, in the set's order; () of a folder of plain images.  ``kind``: which format it was in.
    ``source``: the file or folder.  An image may have several annotations, or none: then it is not listed.
    """

    names: tuple[str, ...]
    annotations: tuple[Annotation, ...]
    kind: str
    source: str

    @property
    def keypoints(self) -> Array:
        """(n, K, 2) float64 of all annotations; NaN where not labelled."""
        return np.array([a.keypoints for a in self.annotations]).reshape(len(self.annotations), len(self.names), 2)

    @property
    def visible(self) -> Mask:
        """(n, K) bool of all annotations."""
        return np.array([a.visible for a in self.annotations], np.bool_).reshape(len(self.annotations), len(self.names))

    def path_in(self, place: int) -> str:
        """The path of an annotation's image from where the set lies."""
        root = self.source if os.path.isdir(self.source) else os.path.dirname(self.source)
        return os.path.relpath(self.annotations[place].image, root or ".").replace(os.sep, "/")

    def check_labelled(self) -> None:
        """InputError for a folder of plain images."""
        if not self.names:
            raise InputError(f"{self.source}: images without labels; expected an annotated set")

    def images(self) -> tuple[str, ...]:
        """The paths of the images, each once."""
        return tuple(dict.fromkeys(a.image for a in self.annotations))

    def missing(self) -> tuple[str, ...]:
        """The paths of images that are not on disk: sets come with more labels than images."""
        return tuple(path for path in self.images() if not os.path.isfile(path))


def image_set(
    path: str,
    kind: str,
    names: Sequence[str],
    images: Sequence[str],
    boxes: Sequence[Box | None],
    keypoints: Array,
    visible: Mask,
) -> ImageSet:
    """The set of n labels in (n, K, 2) and (n, K), those without a labelled joint left out.

    InputError where none is left, or a coordinate cannot be one.
    """
    check_names(path, None, names, [""])
    check_count(path, keypoints.size)
    lost: Mask = np.asarray(~np.isfinite(keypoints).all(axis=-1))
    far = np.isinf(keypoints).any(-1) | (np.abs(np.nan_to_num(keypoints)) > FARTHEST).any(-1)
    for n, k in np.argwhere(far)[:1].tolist():
        found = f"label {n + 1} ({quote(images[n])}): joint {quote(names[k])} is too far away"
        raise fault(path, None, f"{found}; expected pixels of at most {FARTHEST:g}")
    keypoints = np.where(lost[..., None], np.nan, keypoints)
    seen = visible & ~lost
    kept = np.flatnonzero(~lost.all(axis=1))
    if not len(kept):
        raise fault(path, None, f"no joint is labelled in any of {len(images)} labels; expected x and y of some")
    annotations = tuple(Annotation(images[n], boxes[n], keypoints[n], seen[n]) for n in kept.tolist())
    return ImageSet(tuple(names), annotations, kind, path)


def inside(path: str, where: str, name: object) -> str:
    """The name of an image as a label file gives it; InputError where it leads out of the set's folder."""
    if not isinstance(name, str) or not name:
        raise fault(path, None, f"{where}: {shown(name)}; expected the name of an image")
    plain = name.replace("\\", "/")
    if "\0" in plain or plain.startswith("/") or plain[1:2] == ":" or ".." in plain.split("/"):
        raise fault(path, None, f"{where}: {quote(name, 60)} leaves the set's folder; expected a path inside it")
    return plain


def image_folder(path: str, names: Iterable[str], more: Sequence[str] = ()) -> str:
    """The folder that the images of a label file are in: the first usual one that holds any of them.

    Label file's own folder, the one above it, and theirs called images, data and `more`; its own where none does.
    """
    some = tuple(names)
    own = os.path.dirname(path) or "."
    above = [own, os.path.join(own, ".."), os.path.join(own, "..", "..")]
    for folder in above:
        for inner in ("", "images", "data", *more, *(os.path.join("images", name) for name in more)):
            candidate = os.path.join(folder, inner) if inner else folder
            if any(os.path.isfile(os.path.join(candidate, name)) for name in some):
                return candidate
    return own
