"""The parts that bodies are made of: round cones, each between two spheres, some of them flattened."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from posesynth.render.draws import Floats

X = np.array([[1, 0, 0]], np.float32)
Z = np.array([[0, 0, 1]], np.float32)
FORWARD = np.array([[0, -1, 0]], np.float32)
"""Of the upright animal: its left, up, and where it faces."""


class Region(IntEnum):
    """What a part is coloured as."""

    TRUNK = 0
    HEAD = 1
    UPPER_ARM = 2
    LOWER_ARM = 3
    UPPER_LEG = 4
    LOWER_LEG = 5
    HAND = 6
    FOOT = 7
    TAIL = 8
    HAIR = 9
    DARK = 10
    WING = 11


@dataclass
class Body:
    """P parts of B bodies.

    ends: (B, P, 2, 3); radii: (B, P, 2); axis: (B, P, 3) unit, along which the part is `squeeze` (B, P) times as wide;
    offset: (B, P), how far along its chain the part begins, for coats that run on from bone to bone;
    region: (P,); blend: (P,), how softly it goes over into its neighbours, in radii; framed: (P,), whether the picture
    is to hold it; thickness: (B, N), the flesh around each joint.
    """

    ends: Floats
    radii: Floats
    axis: Floats
    squeeze: Floats
    offset: Floats
    region: NDArray[np.int32]
    blend: Floats
    framed: NDArray[np.bool_]
    thickness: Floats


@dataclass
class Parts:
    """Parts as they are thought of."""

    batch: int
    ends: list[Floats] = field(default_factory=list)
    radii: list[Floats] = field(default_factory=list)
    axis: list[Floats] = field(default_factory=list)
    squeeze: list[Floats] = field(default_factory=list)
    offset: list[Floats] = field(default_factory=list)
    region: list[int] = field(default_factory=list)
    blend: list[float] = field(default_factory=list)
    framed: list[bool] = field(default_factory=list)

    def add(
        self, region: Region, a: Floats, b: Floats, ra: Floats, rb: Floats, axis: Floats | None = None,
        squeeze: Floats | float = 1.0, offset: Floats | float = 0.0, blend: float = 0.5, framed: bool = True,
    ) -> None:  # fmt: skip
        ones = np.ones((self.batch, 1), np.float32)
        self.ends.append(np.stack([a, b], axis=1))
        self.radii.append(np.concatenate([ones * ra, ones * rb], axis=1))
        self.axis.append(X * ones if axis is None else axis)
        self.squeeze.append(ones * _f(squeeze))
        self.offset.append(ones * _f(offset))
        self.region.append(int(region))
        self.blend.append(blend)
        self.framed.append(framed)


def _f(value: Floats | float) -> Floats:
    return np.asarray(value, np.float32)
