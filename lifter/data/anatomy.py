"""What the name of a joint says: side, limb and part, in the words that people use for them.

``LeftFrontPaw``, ``left_fore_paw``, ``LF_paw`` and ``pawFL`` are one joint.  Which names stand for which joint where
no name agrees is the table `NEAREST`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

_SIDES = {"left": "l", "lft": "l", "l": "l", "right": "r", "rgt": "r", "r": "r"}
_FORE, _HIND, _MID = ("front", "fore", "anterior"), ("hind", "rear", "back", "posterior"), ("mid", "middle")
_LIMBS = dict.fromkeys(_FORE, "fore") | dict.fromkeys(_HIND, "hind") | dict.fromkeys(_MID, "mid")
_LIMB_LETTERS = {"f": "fore", "h": "hind", "b": "hind", "m": "mid"}
_CODES = {side + limb for side in "lr" for limb in _LIMB_LETTERS} | {limb + side for side in "lr" for limb in "fhbm"}

# Parts of a limb, and the limb that each belongs to where the name does not say: "" is any.
_LIMB_PARTS = (
    dict.fromkeys(("shoulder", "scapula", "elbow", "wrist", "hand"), "fore")
    | dict.fromkeys(("hip", "knee", "ankle", "heel", "foot"), "hind")
    | dict.fromkeys(("paw", "hoof", "toe", "claw", "thigh", "leg", "limb", "arm", "coxa", "femur", "tibia"), "")
)
_SAME = {
    **dict.fromkeys(("snout", "muzzle", "rostrum"), "nose"),
    **dict.fromkeys(("stifle", "knees"), "knee"),
    **dict.fromkeys(("hock", "tarsus", "tarsal"), "ankle"),
    **dict.fromkeys(("carpus", "carpal"), "wrist"),
    **dict.fromkeys(("thai", "upperleg"), "thigh"),
    **dict.fromkeys(("shoulderblade", "scapulae"), "scapula"),
    **dict.fromkeys(("wither",), "withers"),
    **dict.fromkeys(("root", "set", "start", "bottom"), "base"),
    **dict.fromkeys(("end", "top"), "tip"),
    **dict.fromkeys(("middle", "centre", "center"), "mid"),
    **dict.fromkeys(("hips",), "hip"),
    **dict.fromkeys(("hooves", "hoofs"), "hoof"),
    **dict.fromkeys(("paws",), "paw"),
    **dict.fromkeys(("feet",), "foot"),
    **dict.fromkeys(("forefinger", "pointer"), "index"),
    **dict.fromkeys(("little",), "pinky"),
}
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_FINGER_JOINTS = {"mcp": "1", "pip": "2", "dip": "3", "tip": "4"}
_THUMB_JOINTS = {"cmc": "1", "mcp": "2", "ip": "3", "tip": "4"}
_DROPPED = {"of", "the", "joint", "keypoint", "kp", "finger"}
_VOCABULARY = (
    {word for word in _SIDES if len(word) > 1}
    | {*_LIMBS, *_LIMB_PARTS, *_SAME, *_SAME.values(), *_FINGERS, "forehead", "forearm"}
    | {"head", "skull", "ear", "eye", "nose", "mouth", "chin", "jaw", "throat", "neck", "nape", "withers", "chest"}
    | {"sternum", "thorax", "abdomen", "belly", "body", "trunk", "torso", "spine", "sacrum", "pelvis", "rump", "croup"}
    | {"tail", "base", "tip", "finger", "upper", "lower", "wing", "antenna", "horn", "antler"}
)

# Joint -> what stands for it where the file has no such name, best first.  "both" is the mean of left and right.
NEAREST = {
    "head": ("skull", "head tip", "head mid", "nose", "both ear", "both base ear", "both eye"),
    "nose": ("nose tip",),
    "neck": ("base neck", "withers", "back base", "nape", "neck upper", "both fore shoulder", "throat"),
    "thorax": ("chest", "sternum", "both fore shoulder"),
    "pelvis": ("sacrum", "rump", "croup", "base", "back tip", "both hind hip", "base tail"),
    "tail": ("tail tip", "mid tail", "base tail"),
    "tail tip": ("tail",),
    "spine": ("back", "back mid", "mid spine", "body mid", "body", "trunk", "torso"),
    "fore shoulder": ("fore scapula",),
    "fore elbow": ("fore thigh",),
    "fore wrist": ("fore hand", "fore paw"),
    "fore hand": ("fore wrist", "fore paw"),
    "fore paw": ("fore hoof", "fore foot", "fore hand", "fore toe", "fore claw", "fore wrist"),
    "hind knee": ("hind elbow", "hind thigh"),
    "hind ankle": ("hind heel", "hind foot", "hind paw"),
    "hind foot": ("hind paw", "hind hoof", "hind ankle", "hind heel", "hind toe"),
    "hind paw": ("hind hoof", "hind foot", "hind toe", "hind claw", "hind ankle"),
}

# The same in skeletons with a thorax and a neck, as Human3.6M's: there the neck is the nose and the head is its top.
NEAREST_ABOVE_THORAX = {"neck": ("nose", *NEAREST["neck"]), "head": ("skull", "head tip")}


@dataclass(frozen=True)
class Name:
    """A joint's name taken apart: ``side`` "l", "r" or ""; ``limb`` "fore", "mid", "hind" or ""; ``words`` in order."""

    side: str
    limb: str
    words: tuple[str, ...]

    @property
    def part(self) -> str:
        """The part as `NEAREST` calls it, the limb it belongs to first."""
        words = {_SAME.get(word, word) for word in self.words}
        if not self.side and words == {"hip"}:
            return "pelvis"
        own = next((word for word in words if word in _LIMB_PARTS), "")
        limb = self.limb or _LIMB_PARTS.get(own, "")
        return " ".join([limb, *sorted(words)] if limb else sorted(words))


def read_names(names: Sequence[str]) -> list[Name]:
    """Each of the names of one file or skeleton taken apart; a letter l or r counts where its twin is a name, too."""
    lower = {name.lower() for name in names}
    return [_read(name, lower) for name in names]


def in_common_words(names: Iterable[Name]) -> list[str]:
    """The parts of a file's names, where people call the middle of any leg its knee and its top an elbow or thigh."""
    parts = [name.part for name in names]
    known = set(parts)
    rename = {}
    if "fore knee" in known:
        if known & {"fore elbow", "fore thigh"}:  # the knee below it is the wrist, that of a hind leg the ankle
            rename["fore knee"] = "fore wrist"
            for top in ("hind elbow", "hind thigh"):
                if top in known:
                    rename |= {top: "hind knee", "hind knee": "hind ankle"}
        else:
            rename |= {"fore knee": "fore elbow", "fore ankle": "fore wrist"}
    return [rename.get(part, part) for part in parts]


def _read(name: str, lower: set[str]) -> Name:
    side, rest = _twin_side(name, lower)
    words: list[str] = []
    for token in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", rest):
        words += _segments(token.lower()) or [token.lower()]
    sides = {_SIDES[word] for word in words if word in _SIDES}
    if not side and len(sides) == 1:
        side = sides.pop()
    if side:
        words = [word for word in words if word not in _SIDES]
    limb = ""
    if any(_SAME.get(word, word) in _LIMB_PARTS for word in words):
        found = [word for word in words if word in _LIMBS or (side and word in _LIMB_LETTERS)]
        limbs = {_LIMBS.get(word) or _LIMB_LETTERS[word] for word in found}
        if len(limbs) == 1:
            limb = limbs.pop()
            words = [word for word in words if word not in found]
    more = [word for word in words if word not in _DROPPED and word not in ("leg", "limb")]
    return Name(side, limb, tuple(_numbered(more or words)))


def _twin_side(name: str, lower: set[str]) -> tuple[str, str]:
    """The side told by a letter at an end of the name whose twin is there, too, and the rest of the name."""
    other = {"l": "r", "r": "l"}
    low = name.lower()
    if low[:1] in other and other[low[0]] + low[1:] in lower:
        return low[0], name[1:]
    if low[-1:] in other and low[:-1] + other[low[-1]] in lower:
        return low[-1], name[:-1]
    return "", name


def _numbered(words: list[str]) -> list[str]:
    """The words, with a finger's joints counted from the wrist on."""
    same = [_SAME.get(word, word) if word in ("forefinger", "pointer", "little") else word for word in words]
    finger = next((word for word in same if word in _FINGERS), None)
    if finger is None or len(same) != 2:
        return words
    joints = _THUMB_JOINTS if finger == "thumb" else _FINGER_JOINTS
    return [joints.get(word, word) for word in same]


@lru_cache(maxsize=4096)
def _segments(token: str) -> list[str] | None:
    """A run of letters as words: ``leftfrontpaw`` -> left front paw, ``lfpaw`` -> l f paw; None where it is not."""
    if token in _VOCABULARY:
        return [token]
    if token in _CODES:
        return list(token)
    if len(token) > 40:
        return None
    for size in range(len(token) - 1, 2, -1):
        if token[:size] in _VOCABULARY and (rest := _segments(token[size:])):
            return [token[:size], *rest]
    if token[0] in _LIMB_LETTERS and token[1:] in _LIMB_PARTS:
        return [token[0], token[1:]]
    for size in (2, 1):
        head, tail = token[:size], token[size:]
        if (head in _CODES or head in _SIDES) and len(tail) > 2 and (rest := _segments(tail)):
            return [*head, *rest]
        head, tail = token[-size:], token[:-size]
        if (head in _CODES or head in _SIDES) and tail in _VOCABULARY:
            return [tail, *head]
    return None
