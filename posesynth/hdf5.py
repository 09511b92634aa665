"""HDF5 files of others, opened without trust."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py

from .errors import InputError, fault, reason

_DAMAGE = (  # what h5py raises of flipped bits
    *(OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, MemoryError, NotImplementedError, SystemError),
)


@contextmanager
def open_hdf5(path: str, expected: str = "a whole HDF5 file") -> Iterator[Any]:
    """The HDF5 file; whatever is raised of it inside becomes an InputError that ends in what was `expected`."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except _DAMAGE as error:
        raise fault(path, None, f"damaged, or no HDF5 file: {reason(error)}; expected {expected}") from None
