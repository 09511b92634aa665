"""Frames of video files, and films, by ffmpeg: a process of its own, so that a damaged file cannot harm this one."""

import logging
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, fault, reason
from posesynth.pillow import MAX_PIXELS

VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")

_INPUT = ("-protocol_whitelist", "file,pipe")  # a playlist that calls itself a video fetches nothing
WHOLE = 0.95  # of the frames that length and rate of a video tell of; rates are means, and rounded
_EACH_ONCE = ("-fps_mode", "passthrough")  # a telephone's frames are not evenly spaced, and none is to be doubled


def read_video(path: str | os.PathLike[str]) -> Iterator[NDArray[np.uint8]]:
    """Every frame, (H, W, 3) uint8 RGB, turned as the file says it is to be shown.

    InputError, one line, for what is no video or holds no frame, and without imageio-ffmpeg.  Warns at the end of one
    that lacks frames; its sound may only be longer.
    """
    path = os.fspath(path)
    count = 0
    with closing(_opened(path)) as frames:
        about = _first(path, frames)
        width, height = about["size"]
        told = (about.get("duration") or 0) * (about.get("fps") or 0)
        try:
            for data in frames:
                yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
                count += 1
        except (OSError, RuntimeError):
            raise fault(path, None, f"breaks off in frame {count}; expected a whole video") from None
    if not count:
        raise fault(path, None, "holds no frame that can be read; expected a video")
    if count < WHOLE * told - 2:  # ffmpeg passes over what is damaged or not there, and numbers what is left
        said = f"{path}: {count} frames were read, where its length tells of some {round(told)}"
        warnings.warn(f"{said}: it may be damaged or cut short, and frames wrongly numbered", stacklevel=2)


def video_rate(path: str | os.PathLike[str]) -> float:
    """Frames a second as the file tells them; 30 where it does not."""
    path = os.fspath(path)
    with closing(_opened(path)) as frames:
        return float(_first(path, frames).get("fps") or 30)


def film(path: str | os.PathLike[str], size: tuple[int, int], fps: float) -> Any:
    """A generator that takes frames of (width, height), uint8 RGB, and is closed when all are sent: an H.264 file."""
    writer = _ffmpeg().write_frames(os.fspath(path), size, fps=fps, quality=7, macro_block_size=2)
    writer.send(None)
    return writer


def _opened(path: str) -> Any:
    ffmpeg = _ffmpeg()
    try:
        status = os.stat(path)
    except OSError as error:
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        raise fault(path, None, "is empty or no regular file; expected a video")
    return ffmpeg.read_frames(os.path.abspath(path), input_params=list(_INPUT), output_params=list(_EACH_ONCE))


def _first(path: str, frames: Any) -> dict[str, Any]:
    """What the file says of itself."""
    try:
        about: dict[str, Any] = next(frames)
        width, height = about["size"]
    except (OSError, RuntimeError, LookupError, ValueError, AttributeError, TypeError, StopIteration):
        raise fault(path, None, "is no video that ffmpeg can read; expected a whole video file") from None
    if not 0 < width * height <= MAX_PIXELS:
        raise fault(path, None, f"{width} x {height} pixels; expected at most {MAX_PIXELS} in all")
    return about


def _ffmpeg() -> Any:
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError:
        raise InputError("videos need imageio-ffmpeg: pip install 'posesynth[video]'") from None
    logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)  # it warns of each video that is stored turned
    return imageio_ffmpeg
