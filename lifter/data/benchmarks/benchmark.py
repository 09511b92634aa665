"""What every reader of 3D benchmarks gives back, and what all of them hold to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import fault
from posesynth.motion.clip import MAX_NUMBERS

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

FARTHEST = 1e6  # mm or pixels: a kilometre


@dataclass(frozen=True, eq=False)
class Recording:
    """T frames of one subject and action, as one camera sees them.

    ``positions``: (T, N, 3) float32, millimetres, in the camera's frame: x right, y down, z away from it.
    ``p2d``: (T, N, 2) float32, the joints in its image (`Benchmark.image`), pixels, x right, y down from the upper left
    corner.  Both NaN where not known.  ``scored``: (T,) bool, the frames that the benchmark says to score.
    """

    subject: str
    action: str
    camera: str
    positions: Array
    p2d: Array
    scored: Mask

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Recordings of one benchmark, in its own order.

    ``kind``: which benchmark it is.  ``names``: the N joints, ``root`` one of them.  ``source``: the file or folder.
    ``image``: where the 2D comes from: "ground truth", or the file of a detector's.
    """

    kind: str
    names: tuple[str, ...]
    root: str
    recordings: tuple[Recording, ...]
    source: str
    image: str = "ground truth"

    def __len__(self) -> int:
        """How many frames all recordings have."""
        return sum(map(len, self.recordings))


def recording(
    path: str,
    names: Sequence[str],
    subject: str,
    action: str,
    camera: str,
    positions: NDArray[np.generic],
    p2d: NDArray[np.generic],
    scored: Mask | None = None,
) -> Recording:
    """A recording of arrays that a file gave, judged: shapes, kinds and sizes of the numbers."""
    where = " ".join(part for part in (subject, action, camera) if part)
    for what, array, axes in (("3D", positions, 3), ("2D", p2d, 2)):
        shape = (len(positions), len(names), axes)
        if array.dtype.kind not in "fiu" or array.shape != shape or array.size > MAX_NUMBERS or 0 in shape:
            found = f"{where}: {what}: {array.dtype} of shape {array.shape}"
            raise fault(path, None, f"{found}; expected numbers (frames, {len(names)}, {axes}), as many frames in each")
        if (np.abs(array) > FARTHEST).any():  # False for NaN
            raise fault(path, None, f"{where}: {what}: numbers beyond {FARTHEST:g}; expected millimetres and pixels")
    known = np.isfinite(positions).all(2, keepdims=True)
    return Recording(
        subject,
        action,
        camera,
        np.where(known, positions, np.nan).astype(np.float32),
        np.where(np.isfinite(p2d).all(2, keepdims=True), p2d, np.nan).astype(np.float32),
        np.ones(len(positions), np.bool_) if scored is None else scored,
    )
