"""Image files of any common kind as upright 8-bit RGB, and crops of them with their affine maps."""

import os
import stat
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from posesynth.errors import InputError, fault, reason, shown, whole_number
from posesynth.pillow import MAX_PIXELS, pillow

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
PAPER = (255, 255, 255)  # behind what is transparent, as browsers show it; its hidden colour is anything

_DAMAGE = (
    *(OSError, SyntaxError, EOFError, ValueError, TypeError, LookupError, AttributeError, RuntimeError),
    *(ArithmeticError, MemoryError, struct.error, zlib.error),
)


def load_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, upright: EXIF's orientation is applied.

    16 bits a channel keep their upper 8; grey, palette and CMYK become RGB; what is transparent is laid over white; of
    several frames the first is taken.  Raises InputError, one line, for what is missing, damaged, truncated, no image,
    larger than `MAX_PIXELS`, or of numbers without a range (32-bit and floating point TIFF).
    """
    path = os.fspath(path)
    pil = pillow()
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise fault(path, None, "is no regular file; expected an image")
        if status.st_size == 0:
            raise fault(path, None, "empty; expected an image")
        with pil.open(path, formats=FORMATS) as image:
            return _rgb(path, image)
    except InputError:
        raise
    except pil.DecompressionBombError:
        raise fault(path, None, f"more than {MAX_PIXELS} pixels; expected a smaller image") from None
    except pil.UnidentifiedImageError:
        raise fault(path, None, f"is no image; expected one of {', '.join(FORMATS)}") from None
    except _DAMAGE as error:
        raise fault(path, None, f"cannot be read: {reason(error)}; expected a whole image file") from None


def crop(
    image: NDArray[np.uint8], box: Sequence[float], size: int, margin: float = 0.0
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The square around a box, as (size, size, 3) uint8, and the (2, 3) affine from image pixels to crop pixels.

    image: (H, W, 3) uint8.  box: (x, y, w, h).  margin: share of the box's longer side that is added on each side.
    Pixels of either image are counted from its upper left corner, their centres at .5: p' = A [x, y, 1].  Bilinear over
    the area that a new pixel covers, so that shrinking does not alias; black beyond the image.  InputError for a box
    without extent, not finite, or wholly beside the image.
    """
    pil = pillow()
    size = whole_number("size", size, 1, 8192)
    x, y, w, h = _checked_box(image, box)
    if not 0 <= margin <= 10:
        raise InputError(f"margin: is {shown(margin)}; expected 0 to 10")
    side = max(w, h) * (1 + 2 * margin)
    left, top = x + (w - side) / 2, y + (h - side) / 2
    height, width = image.shape[:2]
    if left >= width or top >= height or left + side <= 0 or top + side <= 0:
        raise InputError(f"box: {shown(tuple(box))} lies beside the image, {width} x {height}; expected it inside")
    # The whole pixels around the square; Pillow fills black what lies beyond the image.
    around = 2 + int(np.ceil(side / size))
    a, b = int(np.floor(left)) - around, int(np.floor(top)) - around
    c, d = int(np.ceil(left + side)) + around, int(np.ceil(top + side)) + around
    if (c - a) * (d - b) > MAX_PIXELS:
        raise InputError(f"box: {shown(tuple(box))} takes {(c - a) * (d - b)} pixels; expected at most {MAX_PIXELS}")
    part = pil.fromarray(image).crop((a, b, c, d))
    inner = (left - a, top - b, left - a + side, top - b + side)
    resized = part.resize((size, size), pil.Resampling.BILINEAR, box=inner)
    scale = size / side
    return np.asarray(resized), np.array([[scale, 0, -scale * left], [0, scale, -scale * top]])


def shrunk(image: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 whose longer side has at most so many pixels; the image itself where it has no more."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    pil = pillow()
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(pil.fromarray(image).resize(size, pil.Resampling.BILINEAR, reducing_gap=3))


def placed(affine: NDArray[np.float64], points: ArrayLike) -> NDArray[np.float64]:
    """Points (..., 2) mapped by an affine (2, 3); NaN stays NaN."""
    return np.asarray(points, np.float64) @ affine[:, :2].T + affine[:, 2]


def taken_back(affine: NDArray[np.float64], points: ArrayLike) -> NDArray[np.float64]:
    """What `placed` maps to these points (..., 2)."""
    return (np.asarray(points, np.float64) - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T


def _rgb(path: str, image: Any) -> NDArray[np.uint8]:
    """The pixels of an opened image; InputError for too many of them, or numbers of which nobody tells the range."""
    from PIL import ImageOps

    width, height = image.size
    if width * height > MAX_PIXELS:
        raise fault(path, None, f"{width} x {height} pixels; expected at most {MAX_PIXELS} in all")
    sixteen_bits = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
    if image.mode in ("F", "I") and not sixteen_bits:
        what = "floating point" if image.mode == "F" else "32-bit"
        raise fault(path, None, f"{what} numbers, of which nobody tells the range; expected 8 or 16 bits a channel")
    image = ImageOps.exif_transpose(image)
    if sixteen_bits:
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        paper = pillow().new("RGBA", seen.size, (*PAPER, 255))
        image = pillow().alpha_composite(paper, seen)
    return np.array(image.convert("RGB"))


def _checked_box(image: NDArray[np.uint8], box: Sequence[float]) -> tuple[float, float, float, float]:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(f"image: is {image.dtype} of shape {image.shape}; expected uint8 (H, W, 3)")
    values = np.asarray(box, np.float64)
    if values.shape != (4,) or not (np.abs(values) < 1e9).all() or not (values[2:] > 0).all():  # nor NaN
        raise InputError(f"box: is {shown(tuple(box))}; expected x, y, and a width and height above 0")
    x, y, w, h = values.tolist()
    return x, y, w, h
