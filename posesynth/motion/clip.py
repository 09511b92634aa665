"""What every reader gives back, and the limits that all of them keep."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import fault, quote, reason

MAX_NUMBERS = 2**25  # 256 MiB of float64: 370,000 frames of 30 joints
MAX_BYTES = 2**27  # of a text file, which takes some ten times as much while it is read
MAX_ARCHIVE = 2**29  # bytes of an NPZ: as many numbers of the widest kind
FARTHEST = 1e30  # a coordinate, in any unit: products of several are still numbers


@dataclass(frozen=True, eq=False)
class Motion:
    """Joint positions over time.

    ``positions``: (T, J, 3) float64 in the file's own axes and unit; NaN where a joint was not seen.
    ``names``: J joint names.  ``parents``: (J,) int32 with -1 at the root, or None where the file
    tells no tree.  ``fps``: frames a second, or None.  ``up``: the axis that points up by the
    habit of the format (a joint map may say otherwise).  ``source``: where it came from.
    """

    positions: NDArray[np.float64]
    names: tuple[str, ...]
    parents: NDArray[np.int32] | None = None
    fps: float | None = None
    up: str = "z"
    source: str = "motion"


def check_size(path: str, frames: int, width: int) -> None:
    """Refuse a clip of `frames` times `width` numbers that is too large to hold."""
    if frames * width > MAX_NUMBERS:
        expected = f"expected at most {MAX_NUMBERS} numbers a file (split the clip)"
        raise fault(path, None, f"{frames} frames of {width} numbers; {expected}")


def read_text(path: str) -> list[str]:
    """The lines of a text file (UTF-8, with or without a byte order mark)."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
    if len(data) > MAX_BYTES:
        raise fault(path, None, f"larger than {MAX_BYTES >> 20} MiB; expected a smaller file (split the clip)")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fault(path, data.count(b"\n", 0, error.start) + 1, "not text in UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def parse(tokens: list[str]) -> NDArray[np.float64] | None:
    """`tokens` as numbers, or None where one of them is not a finite number."""
    text = "".join(tokens)
    if "_" in text or not text.isascii():  # NumPy would read 1_0 as 10
        return None
    try:
        values = np.array(tokens, dtype=np.float64)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def numbers(tokens: list[str], path: str, line: int, what: str = "") -> NDArray[np.float64]:
    """`tokens` as finite numbers, or an InputError that names the first that is not one."""
    values = parse(tokens)
    if values is None:
        bad = next(token for token in tokens if parse([token]) is None)
        raise fault(path, line, f"{what}{quote(bad)} is not a finite number; expected a number")
    return values
