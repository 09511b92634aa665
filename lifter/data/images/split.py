"""Which annotations of a set are trained on, and which are held out: their paths in the set alone decide."""

import hashlib
import os

from lifter.data.images.image_set import ImageSet
from posesynth.errors import InputError

HELD_OUT = 0.1  # of a set's images, about, for validation
MANY_FOLDERS = 10  # of so many, whole ones are held out: neighbouring frames of a video are nearly the same image


def split(image_set: ImageSet) -> tuple[list[int], list[int]]:
    """Places of the annotations to hold out and of those to train on, of which the images are on disk.

    Those of one image are never on both sides, nor, of images in many folders, those of one folder.  InputError where
    fewer than two images are there.
    """
    missing = set(image_set.missing())
    paths = {
        place: image_set.path_in(place)
        for place, annotation in enumerate(image_set.annotations)
        if annotation.image not in missing
    }
    folders = {place: os.path.dirname(path) for place, path in paths.items()}
    units = folders if len({*folders.values()}) >= MANY_FOLDERS else paths
    shares = {place: _share(unit) for place, unit in units.items()}
    apart = sorted(set(shares.values()))
    if len(apart) < 2:
        raise InputError(f"{image_set.source}: {len(apart)} images of it are on disk; expected at least 2")
    bound = min(max(HELD_OUT, apart[0]), apart[-2])  # one at least on either side
    held_out = sorted((place for place in shares if shares[place] <= bound), key=lambda place: shares[place])
    return held_out, [place for place in shares if shares[place] > bound]


def _share(path: str) -> float:
    """A number in [0, 1) that a path has."""
    return int.from_bytes(hashlib.sha256(os.fsencode(path)).digest()[:6], "big") / 2**48
