"""The images that a user names: files, folders of images, or the frames of one video; `find_frames`."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lifter.data.images.load import IMAGES, images_in
from lifter.data.images.picture import load_image
from lifter.data.images.video import VIDEOS, read_video
from posesynth.ahead import ahead
from posesynth.errors import InputError, fault, quote

Image = NDArray[np.uint8]
Result = TypeVar("Result")
MOST_FAULTS = 20  # told at once


@dataclass(frozen=True)
class Frames:
    """Images in order.

    ``names``: as much of each image's path as tells them apart; () of a video, whose frames are numbered as they are
    read.  ``paths``: their files, or the video.  ``source``: what the user named.  ``folders``: those whose images are
    all taken.
    """

    names: tuple[str, ...]
    paths: tuple[str, ...]
    source: str
    folders: tuple[str, ...] = ()

    @property
    def is_video(self) -> bool:
        """Whether it is the frames of a video."""
        return not self.names

    def each(self, work: Callable[[int, Image], Result], threads: int = 1) -> Iterator[Result]:
        """``work(place, image)`` of each, (H, W, 3) uint8 RGB, upright.

        At most `threads` images are worked on at a time, and ``held(threads)`` results exist (`posesynth.ahead`): so
        many images, where `work` gives them back.  Of a video, one of each.

        InputError, a line for each image that cannot be read or worked on (at most 20): all were tried before it is
        raised.  Of a video, the first.
        """
        if self.is_video:
            yield from (work(place, image) for place, image in enumerate(read_video(self.paths[0])))
            return

        def tried(place: int) -> tuple[Result | None, tuple[str, ...]]:
            try:
                return work(place, load_image(self.paths[place])), ()
            except InputError as error:
                return None, error.lines

        faults: list[str] = []
        for done, lines in ahead(tried, range(len(self.paths)), threads):
            faults += lines
            if done is not None and not faults:
                yield done
        if faults:
            more = [f"and {len(faults) - MOST_FAULTS} more images"] if len(faults) > MOST_FAULTS else []
            raise InputError(*faults[:MOST_FAULTS], *more)


def find_frames(arguments: Sequence[str | os.PathLike[str]]) -> Frames:
    """The images of files and folders (those in it and below), or of one video.

    Nothing is read yet.  InputError for what is not there or is no kind of image, for a folder without images, for an
    image that is named twice, and for a video that is not alone.
    """
    given = [os.fspath(argument) for argument in arguments]
    paths: list[str] = []
    for path in given:
        if "\0" in path or not os.path.exists(path):
            raise fault(path, None, "is not there; expected an image, a folder of images or a video")
        ending = os.path.splitext(path)[1].lower()
        if os.path.isdir(path):
            found = images_in(path)
            if not found:
                raise fault(path, None, f"no image is in it; expected files that end in {', '.join(IMAGES)}")
            paths += found
        elif ending in VIDEOS:
            if len(given) > 1:
                raise fault(path, None, f"a video and {len(given) - 1} other arguments; expected a video alone")
            return Frames((), (path,), os.path.basename(path))
        elif ending in IMAGES:
            paths.append(path)
        else:
            expected = f"expected an image ({', '.join(IMAGES)}), a folder of them or a video ({', '.join(VIDEOS)})"
            raise fault(path, None, f"unknown kind of file {quote(ending)}; {expected}")
    if not paths:
        raise InputError("images: none are named; expected an image, a folder of images or a video")
    folders = tuple(path for path in given if os.path.isdir(path))
    return Frames(_names(paths), tuple(paths), os.path.basename(os.path.abspath(given[0])), folders)


def _names(paths: Sequence[str]) -> tuple[str, ...]:
    """The paths from the innermost folder that holds them all."""
    whole = [os.path.abspath(path) for path in paths]
    if repeated := next((path for path, count in Counter(whole).items() if count > 1), None):
        raise fault(repeated, None, "is named twice; expected each image once")
    folder = os.path.commonpath([os.path.dirname(path) for path in whole])
    names = tuple(os.path.relpath(path, folder).replace(os.sep, "/") for path in whole)
    for name in names:
        if not name.isprintable():
            raise InputError(f"image {quote(name)}: cannot be written into a table; expected printable names")
    return names
