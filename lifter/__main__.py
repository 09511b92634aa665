"""``python -m lifter`` is the ``lifter`` command."""

from .cli import main

main()
