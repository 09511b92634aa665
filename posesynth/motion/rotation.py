"""Rotation matrices, for the readers that need forward kinematics."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
AXES = "xyz"


def about(axis: str, degrees: Array | float) -> Array:
    """Right-handed rotation matrices (..., 3, 3) about one axis, ``"x"``, ``"y"`` or ``"z"``."""
    angle = np.radians(np.asarray(degrees, dtype=np.float64))
    i = AXES.index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., i, i] = 1.0
    matrix[..., j, j] = matrix[..., k, k] = np.cos(angle)
    matrix[..., k, j] = np.sin(angle)
    matrix[..., j, k] = -matrix[..., k, j]
    return matrix


def of_quaternions(quaternions: Array) -> Array:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4), w x y z."""
    w, x, y, z = np.moveaxis(quaternions, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
