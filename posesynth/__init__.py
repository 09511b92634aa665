"""posesynth: from a YAML skeleton to endless (P2D, O) samples.

The whole of it::

    skeleton = posesynth.load_skeleton("quadruped")
    batch = posesynth.sample(skeleton, seed=0, start=0, stop=1000)
    data = posesynth.open("quadruped.zarr")
    stream = posesynth.PoseStream(skeleton, batch_size=500, seed=0)
    images = posesynth.render.render(skeleton, seed=0, start=0, stop=8)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    from . import render
    from .ancestors import evolve
    from .kinematics import forward, inverse
    from .pipe import read_stream
    from .render import ImageStream
    from .sampler import Batch, sample
    from .skeleton import Skeleton, load_skeleton
    from .store import Dataset, open  # noqa: A004
    from .stream import PoseStream

__all__ = [
    "Batch",
    "Dataset",
    "ImageStream",
    "InputError",
    "PoseStream",
    "Skeleton",
    "evolve",
    "forward",
    "inverse",
    "load_skeleton",
    "open",
    "read_stream",
    "render",
    "sample",
]

# Found on first use: the command line then answers Ctrl-C, and `posesynth --help`, before Numba is loaded.
_HOMES = {
    "Batch": ".sampler",
    "Dataset": ".store",
    "ImageStream": ".render",
    "PoseStream": ".stream",
    "Skeleton": ".skeleton",
    "evolve": ".ancestors",
    "forward": ".kinematics",
    "inverse": ".kinematics",
    "load_skeleton": ".skeleton",
    "open": ".store",
    "read_stream": ".pipe",
    "sample": ".sampler",
}


def __getattr__(name: str) -> Any:
    if name == "render":  # a package: posesynth.render.render
        return import_module(".render", __name__)
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module 'posesynth' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
