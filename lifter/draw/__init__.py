"""Pictures: lifted poses as films and panels, the learning curves of a run, and what image networks make of images.

Colours are those of `posesynth.draw`: left limbs orange, right ones blue, the midline grey; what is nearer is thicker
and darker.  What is missing is not drawn.
"""

from .curves import learning_curves
from .stages import stage_picture
from .tracks import show

__all__ = ["learning_curves", "show", "stage_picture"]
