"""Pillow, where it is installed."""

import re
import warnings
from typing import Any

from .errors import InputError

MAX_PIXELS = 1024**3 // 12  # 89 million, from where on Pillow warns of bombs; 270 MB in memory

# What it says of odd but readable files is nobody's concern.  `warnings.catch_warnings` is not for threads, and images
# are read in several.
_ODD = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


def pillow() -> Any:
    """PIL.Image; InputError where it is not installed."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise InputError("images need Pillow: pip install 'posesynth[images]'") from None
    if _ODD not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")
    return Image
