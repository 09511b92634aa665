"""How a body looks: the colours of its regions, the pattern of its coat, and the light it stands in."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posesynth.render import draws
from posesynth.render.anatomy import Anatomy, Role
from posesynth.render.draws import Draws, Floats, dot, unit
from posesynth.render.parts import Region
from posesynth.trigonometry import f32

COAT_PLAIN, COAT_SPOTS, COAT_STRIPES, COAT_PATCHES = range(4)

_FUR = np.array(
    [
        [0.07, 0.06, 0.06], [0.17, 0.11, 0.08], [0.33, 0.20, 0.11], [0.50, 0.30, 0.15], [0.66, 0.47, 0.27],
        [0.80, 0.67, 0.47], [0.90, 0.86, 0.78], [0.45, 0.43, 0.41], [0.28, 0.27, 0.28], [0.62, 0.60, 0.57],
    ],
    np.float32,
)  # fmt: skip
_SKIN = np.array(
    [[0.93, 0.76, 0.66], [0.87, 0.67, 0.55], [0.77, 0.57, 0.43], [0.62, 0.43, 0.31], [0.44, 0.29, 0.20],
     [0.29, 0.19, 0.14]],
    np.float32,
)  # fmt: skip
_HAIR = np.array(
    [[0.06, 0.05, 0.05], [0.16, 0.10, 0.07], [0.32, 0.20, 0.11], [0.60, 0.46, 0.26], [0.55, 0.53, 0.52]], np.float32
)


class Look(NamedTuple):
    """B looks.  Colours are RGB in [0, 1]; directions in the picture's frame, unit.

    colours, seconds: (B, R, 3) of each region, and of the pattern on it; coat: (B,) one of COAT_*; grain: (B,) patterns
    a longest edge; fur: (B,) amount; belly: (B,) how much lighter the underside is.
    light: (B, 3) towards the light; tint: (B, 3) its colour and strength; ambient: (B, 3); gloss: (B,); up: (B, 3).
    keys: (B,) of the coat's noise.
    """

    colours: Floats
    seconds: Floats
    coat: NDArray[np.int32]
    grain: Floats
    fur: Floats
    belly: Floats
    light: Floats
    tint: Floats
    ambient: Floats
    gloss: Floats
    up: Floats
    keys: NDArray[np.uint32]


def look(roles: Anatomy, up: Floats, drawn: Draws) -> Look:
    """The looks of B pictures.  up: (B, 3), the way up in the picture's frame."""
    person = roles.upright and bool(roles.trunk)
    hand = Role.PALM in roles.roles
    colours, seconds = _person(drawn) if person else _hand(drawn) if hand else _animal(drawn)
    which = drawn.uniform(draws.COAT, 0)
    plain = 0.55 if person else 0.85 if hand else 0.4
    coat = (
        (which > f32(plain)).astype(np.int32)
        + (which > f32(plain + (1 - plain) / 3)).astype(np.int32)
        + (which > f32(plain + (1 - plain) * 2 / 3)).astype(np.int32)
    )
    light, tint, ambient = _light(up, drawn)
    return Look(
        colours,
        seconds,
        coat,
        drawn.uniform(draws.COAT, 1, 2.5, 9.0) * f32(0.6 if person else 1.0),
        drawn.uniform(draws.COAT, 2, 0.0, 0.16 if person or hand else 0.38),
        drawn.uniform(draws.COAT, 3, -0.2, 0.0 if person or hand else 0.6).clip(0, 1),
        light,
        tint,
        ambient,
        drawn.uniform(draws.COAT, 4, -0.1, 0.2).clip(0, 1),
        up,
        drawn.words(draws.SEEDS, 0),
    )


def _pick(colours: Floats, u: Floats) -> Floats:
    """(B, 3): one of the colours each."""
    return colours[(u * f32(len(colours))).astype(np.int64)]


def _any(drawn: Draws, place: int) -> Floats:
    """(B, 3): any colour, most of them dull."""
    rgb = np.stack([drawn.uniform(draws.COAT, place + i, 0.05, 0.95) for i in range(3)], axis=-1)
    grey = (rgb[:, :1] + rgb[:, 1:2] + rgb[:, 2:]) * f32(1 / 3)
    return (grey + (rgb - grey) * drawn.uniform(draws.COAT, place + 3, 0.1, 1.0)[:, None]).astype(np.float32)


def _jittered(colour: Floats, drawn: Draws, place: int) -> Floats:
    light = drawn.uniform(draws.COAT, place, 0.8, 1.2)[:, None]
    warm = drawn.uniform(draws.COAT, place + 1, -0.04, 0.04)[:, None] * np.array([[1, 0, -1]], np.float32)
    jittered: Floats = np.clip(colour * light + warm, f32(0.02), f32(1))
    return jittered


def _animal(drawn: Draws) -> tuple[Floats, Floats]:
    strange = drawn.uniform(draws.COAT, 5)[:, None] < f32(0.2)
    base = _jittered(np.where(strange, _any(drawn, 6), _pick(_FUR, drawn.uniform(draws.COAT, 10))), drawn, 11)
    second = _jittered(_pick(_FUR, drawn.uniform(draws.COAT, 13)), drawn, 14)
    colours = np.repeat(base[:, None], len(Region), axis=1)
    socks = drawn.uniform(draws.COAT, 16)[:, None] < f32(0.25)
    mask = drawn.uniform(draws.COAT, 17)[:, None] < f32(0.25)
    for region in (Region.LOWER_ARM, Region.LOWER_LEG):
        colours[:, region] = np.where(socks, second * f32(0.6) + base * f32(0.4), base)
    for region in (Region.FOOT, Region.HAND):
        colours[:, region] = np.where(socks, second, base * f32(0.85))
    colours[:, Region.HEAD] = np.where(mask, second * f32(0.5) + base * f32(0.5), base)
    colours[:, Region.HAIR] = base * drawn.uniform(draws.COAT, 18, 0.55, 1.0)[:, None]
    _fixed(colours)
    seconds = np.repeat(second[:, None], len(Region), axis=1)
    _fixed(seconds)
    return colours, seconds


def _person(drawn: Draws) -> tuple[Floats, Floats]:
    skin = _jittered(_pick(_SKIN, drawn.uniform(draws.COAT, 5)), drawn, 6)
    shirt, trousers = _any(drawn, 8), _any(drawn, 12)
    colours = np.repeat(skin[:, None], len(Region), axis=1)
    sleeves = drawn.uniform(draws.COAT, 16)[:, None]
    legs = drawn.uniform(draws.COAT, 17)[:, None] < f32(0.65)
    colours[:, Region.TRUNK] = shirt
    colours[:, Region.UPPER_ARM] = np.where(sleeves < f32(0.8), shirt, skin)
    colours[:, Region.LOWER_ARM] = np.where(sleeves < f32(0.45), shirt, skin)
    colours[:, Region.UPPER_LEG] = trousers
    colours[:, Region.LOWER_LEG] = np.where(legs, trousers, skin)
    colours[:, Region.FOOT] = _any(drawn, 18) * f32(0.6)
    colours[:, Region.HAIR] = _jittered(_pick(_HAIR, drawn.uniform(draws.COAT, 22)), drawn, 23)
    _fixed(colours)
    seconds = colours.copy()
    second = _any(drawn, 25)
    seconds[:, Region.TRUNK] = second
    seconds[:, Region.UPPER_ARM] = np.where(sleeves < f32(0.8), second, skin)
    return colours, seconds


def _hand(drawn: Draws) -> tuple[Floats, Floats]:
    skin = _jittered(_pick(_SKIN, drawn.uniform(draws.COAT, 5)), drawn, 6)
    colours = np.repeat(skin[:, None], len(Region), axis=1)
    sleeve = drawn.uniform(draws.COAT, 16)[:, None] < f32(0.5)
    colours[:, Region.UPPER_ARM] = np.where(sleeve, _any(drawn, 8), skin)
    _fixed(colours)
    seconds = np.clip(colours * f32(0.75) + np.array([0.06, 0.0, 0.0], np.float32), f32(0), f32(1))
    return colours, seconds


def _fixed(colours: Floats) -> None:
    colours[:, Region.DARK] = np.array([0.035, 0.03, 0.03], np.float32)
    colours[:, Region.WING] = np.array([0.75, 0.76, 0.74], np.float32)


def _light(up: Floats, drawn: Draws) -> tuple[Floats, Floats, Floats]:
    """Towards the light, its colour, and the light from all around: sun, a lamp, or a dull sky."""
    aside = np.stack([drawn.uniform(draws.LIGHT, i, -1.0, 1.0) for i in range(3)], axis=-1)
    aside[:, 2] -= f32(0.5)  # rather from the camera's side than from behind
    towards = unit(aside + up * drawn.uniform(draws.LIGHT, 3, 0.5, 1.6)[:, None], up)
    towards = np.where(dot(towards, up) > f32(0.1), towards, unit(towards + up * f32(1.2), up))
    strong = drawn.uniform(draws.LIGHT, 4, 0.25, 0.95)[:, None]
    warm = drawn.uniform(draws.LIGHT, 5, -0.10, 0.16)[:, None] * np.array([[1, 0.2, -1]], np.float32)
    tint = (f32(1) + warm) * strong
    ambient = (f32(1) - warm * f32(0.5)) * (f32(1.02) - strong * drawn.uniform(draws.LIGHT, 6, 0.6, 0.85)[:, None])
    return towards, tint.astype(np.float32), ambient.astype(np.float32)
