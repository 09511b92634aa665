"""A folder of the user's own photographs, to stand behind the bodies."""

import hashlib
import os
import threading
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, reason
from posesynth.pillow import MAX_PIXELS, pillow
from posesynth.render import draws
from posesynth.render.draws import Draws, Floats
from posesynth.trigonometry import f32

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")  # not all of Pillow's: one of them runs an outside program
_KEPT = 64  # decoded photographs in memory
_LARGEST = 1024  # pixels of the shorter side that are kept


class Places(NamedTuple):
    """Squares of photographs, (B,) each: which one, its side as a share of the shorter one, and where it lies."""

    which: NDArray[np.int64]
    zoom: Floats
    across: Floats
    down: Floats
    mirrored: NDArray[np.bool_]


class Photographs:
    """The photographs in a folder (not in those below it), sorted by name.

    Which one stands behind a picture, and which square of it, are draws of the picture: the same folder gives the same
    pictures, as long as the decoder does.  Raises InputError: no such folder, no photograph in it, no Pillow; a file
    that is none is told when its turn comes.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = os.fspath(folder)
        if not self.folder:
            raise InputError("backgrounds: is empty; expected a folder of photographs")
        try:
            names = sorted(os.listdir(self.folder))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.folder}: cannot be read ({reason(error)}); expected a folder of photographs"
            ) from None
        self.names = [name for name in names if name.lower().endswith(ENDINGS) and not name.startswith(".")]
        if not self.names:
            raise InputError(f"{self.folder}: holds no photograph; expected files in {', '.join(ENDINGS)}")
        pillow()
        self._decoded: dict[str, NDArray[np.uint8]] = {}
        self._lock = threading.Lock()

    @staticmethod
    def given(backgrounds: "str | os.PathLike[str] | Photographs | None") -> "Photographs | None":
        """What a user gave, opened."""
        if backgrounds is None or isinstance(backgrounds, Photographs):
            return backgrounds
        return Photographs(backgrounds)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "names": self.names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._decoded, self._lock = {}, threading.Lock()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the files' names and bytes."""
        digest = hashlib.sha256()
        for name in self.names:
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
            if not os.path.isfile(os.path.join(self.folder, name)):
                raise InputError(f"{self._where(name)}: is no file; expected a folder of photographs")
            try:
                with open(os.path.join(self.folder, name), "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
            except OSError as error:
                raise InputError(f"{self._where(name)}: cannot be read ({error.strerror})") from None
        return digest.hexdigest()

    def places(self, drawn: Draws) -> Places:
        """Which photograph is behind each of B pictures, and which part of it."""
        return Places(
            (drawn.uniform(draws.GROUND, 24) * f32(len(self.names))).astype(np.int64),
            drawn.uniform(draws.GROUND, 25, 0.35, 1.0),
            drawn.uniform(draws.GROUND, 26),
            drawn.uniform(draws.GROUND, 27),
            drawn.uniform(draws.GROUND, 28) < f32(0.5),
        )

    def square(self, places: Places, b: int, size: int) -> NDArray[np.uint8]:
        """(S, S, 3): what is behind picture b."""
        image = self._photograph(self.names[places.which[b]])
        high, wide = image.shape[:2]
        side = max(int(min(high, wide) * float(places.zoom[b])), 1)
        x, y = int((wide - side) * float(places.across[b])), int((high - side) * float(places.down[b]))
        part = pillow().fromarray(image[y : y + side, x : x + side]).resize((size, size), _bilinear())
        square = np.array(part)
        return np.ascontiguousarray(square[:, ::-1]) if places.mirrored[b] else square

    def _photograph(self, name: str) -> NDArray[np.uint8]:
        with self._lock:
            if name in self._decoded:
                return self._decoded[name]
        image = self._read(name)
        with self._lock:
            if len(self._decoded) >= _KEPT:
                self._decoded.pop(next(iter(self._decoded)))
            self._decoded[name] = image
        return image

    def _read(self, name: str) -> NDArray[np.uint8]:
        from PIL import ImageOps

        try:
            with pillow().open(os.path.join(self.folder, name), formats=_FORMATS) as image:
                wide, high = image.size
                if wide * high > MAX_PIXELS:
                    raise InputError(
                        f"{self._where(name)}: {wide} x {high} pixels; expected at most {MAX_PIXELS} in all"
                    )
                image = ImageOps.exif_transpose(image).convert("RGB")
                shorter = min(image.size)
                if shorter > _LARGEST:
                    wide, high = image.size
                    image = image.resize((wide * _LARGEST // shorter, high * _LARGEST // shorter), _bilinear())
                return np.array(image)
        except InputError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever comes
            raise InputError(
                f"{self._where(name)}: cannot be read as a photograph ({type(error).__name__}); "
                "expected an image, or a folder without this file"
            ) from None

    def _where(self, name: str) -> str:
        return os.path.join(self.folder, name)


def _bilinear() -> Any:
    return pillow().Resampling.BILINEAR
