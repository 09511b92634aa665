"""The joints of published image sets, as their files name them."""

_SIDES = ("left", "right")
_PAIRS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")

COCO = ("nose", *(f"{side}_{part}" for part in ("eye", "ear", *_PAIRS) for side in _SIDES))
POSETRACK = (
    *("nose", "head_bottom", "head_top", "left_ear", "right_ear"),
    *(f"{side}_{part}" for part in _PAIRS for side in _SIDES),
)
ANIMAL_POSE = (
    *("left_eye", "right_eye", "nose", "left_ear", "right_ear"),
    *(f"{side}_{end}_{part}" for part in ("elbow", "knee", "paw") for end in ("front", "back") for side in _SIDES),
    *("throat", "withers", "tailbase"),
)
