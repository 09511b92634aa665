"""Images of any skeleton's synthetic poses, pure functions of (skeleton, seed, i)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from posesynth.render.images import ImageBatch, render
from posesynth.render.photographs import Photographs
from posesynth.render.write import write_images

if TYPE_CHECKING:
    from posesynth.render.stream import ImageStream, ImageTensorBatch

__all__ = ["ImageBatch", "ImageStream", "ImageTensorBatch", "Photographs", "render", "write_images"]


def __getattr__(name: str) -> Any:
    if name in ("ImageStream", "ImageTensorBatch"):  # need PyTorch
        return getattr(import_module(".stream", __name__), name)
    raise AttributeError(f"module 'posesynth.render' has no attribute '{name}'")
