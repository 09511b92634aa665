"""posesynth: from a YAML skeleton to endless (P2D, O) samples.

The whole of it::

    skeleton = posesynth.load_skeleton("quadruped")
    batch = posesynth.sample(skeleton, seed=0, start=0, stop=1000)
    data = posesynth.open("quadruped.zarr")
    stream = posesynth.PoseStream(skeleton, batch_size=500, seed=0)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .kinematics import forward, inverse
from .sampler import Batch, sample
from .skeleton import Skeleton, load_skeleton

if TYPE_CHECKING:
    from .pipe import read_stream
    from .store import Dataset, open  # noqa: A004
    from .stream import PoseStream

__all__ = [
    "Batch",
    "Dataset",
    "InputError",
    "PoseStream",
    "Skeleton",
    "forward",
    "inverse",
    "load_skeleton",
    "open",
    "read_stream",
    "sample",
]

# Found on first use, so that importing posesynth costs numpy and numba but not zarr, h5py or torch.
_LAZY = {"Dataset": ".store", "open": ".store", "PoseStream": ".stream", "read_stream": ".pipe"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module 'posesynth' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
