"""The ``posesynth`` command, and ``python -m posesynth``."""

import sys


def main() -> None:
    """Run the command line.  What it needs is imported here, where Ctrl-C ends it as it does later on."""
    try:
        from .cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
