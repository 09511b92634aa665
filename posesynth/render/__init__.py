"""Images of any skeleton's synthetic poses, pure functions of (skeleton, seed, i)."""

from posesynth.render.images import ImageBatch, render

__all__ = ["ImageBatch", "render"]
