"""lifter: train a 2D-to-3D network on posesynth's samples, and lift real 2D keypoints with it.

The whole of it::

    model = lifter.load("mammal")
    poses = model.lift(p2d)  # (B, N, 2), x right, z up, any unit -> poses.p3d (B, N, 3), poses.o (B, E, 3)

And from images::

    model = lifter.load_image_model("runs/dog")
    found = model.predict(images)  # each (H, W, 3) -> found.landmarks (B, K, 2) in pixels, found.poses
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Config, load_config
    from .images.pipeline import ImageModel, load_image_model
    from .pipeline import Lifter, Poses, load
    from .training import train

__all__ = ["Config", "ImageModel", "Lifter", "Poses", "load", "load_config", "load_image_model", "train"]

# Found on first use: importing lifter costs no torch.
_HOMES = {
    "Config": ".config",
    "load_config": ".config",
    "ImageModel": ".images.pipeline",
    "load_image_model": ".images.pipeline",
    "Lifter": ".pipeline",
    "Poses": ".pipeline",
    "load": ".pipeline",
    "train": ".training",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module 'lifter' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
