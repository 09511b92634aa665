"""Pictures: lifted poses as films and panels, and the learning curves of a run, or of several beside each other.

`lifter.images.stage_picture`, which needs PyTorch, draws what image networks make of images.

Colours are those of `posesynth.draw`: left limbs orange, right ones blue, the midline grey; what is nearer is thicker
and darker.  What is missing is not drawn.
"""

from .curves import compare_curves, learning_curves
from .tracks import show

__all__ = ["compare_curves", "learning_curves", "show"]
