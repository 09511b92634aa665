"""Python values as SciPy writes MATLAB's cell and struct arrays."""

from typing import Any

import numpy as np


def cells(entries: list[Any]) -> np.ndarray:
    array = np.empty((1, len(entries)), object)
    array[0] = entries
    return array


def structs(entries: list[dict[str, Any]]) -> np.ndarray:
    """A MATLAB struct array."""
    array = np.empty((1, len(entries)), [(name, object) for name in entries[0]])
    for n, entry in enumerate(entries):
        array[0, n] = tuple(entry.values())
    return array
