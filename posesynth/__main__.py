"""``python -m posesynth`` is the ``posesynth`` command."""

from .cli import main

main()
