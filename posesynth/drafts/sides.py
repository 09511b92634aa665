"""Left and right by name: which joints are each other's mirror image."""

import re
from collections.abc import Iterator, Sequence

# What stands for the left in a name, the surest first; its mirror image is the same name with the right there.
_LEFT = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?i:left)",
        r"(?<![A-Za-z0-9])[Ll](?![A-Za-z0-9])",  # hip.L, l_hip
        r"(?<![A-Za-z0-9])[lL](?=[A-Z0-9])",  # LHip, lHip, L1, LF_hip
        r"(?<=[a-z0-9])L(?![a-z])",  # hipL, paw1L
        r"(?<=(?<![A-Za-z0-9])[FHRBM])L(?![A-Za-z0-9])",  # FL_hip: front left
        r"(?<=(?<![A-Za-z0-9])[fhrbm])l(?![A-Za-z0-9])",
        r"(?<![A-Za-z0-9])l(?=[a-z])",  # lfemur
        r"(?<=[a-z0-9])l(?![A-Za-z0-9])",  # earl, beside earr
    )
)
_RIGHT = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "l": "r", "L": "R"}


def pairs_by_name(names: Sequence[str]) -> list[tuple[int, int]]:
    """(left, right) of each two names that differ in nothing but the side."""
    where = {name: joint for joint, name in enumerate(names)}
    taken: set[int] = set()
    pairs = []
    for joint, name in enumerate(names):
        for image in _images(name):
            other = where.get(image)
            if other is not None and not taken & {joint, other}:
                taken |= {joint, other}
                pairs.append((joint, other))
                break
    return pairs


def _images(name: str) -> Iterator[str]:
    """The name with a right in place of each left that may be meant."""
    for pattern in _LEFT:
        for found in pattern.finditer(name):
            right = _RIGHT.get(found[0])
            if right is not None:
                yield name[: found.start()] + right + name[found.end() :]
