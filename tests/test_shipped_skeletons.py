"""The skeletons that ship: their names and order are a contract, their ranges face the way anatomy does."""

import re
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from posesynth.sampler import sample
from posesynth.schema import parse_skeleton
from posesynth.skeleton import Skeleton, builtin_skeletons, load_skeleton

FOLDER = Path(__file__).resolve().parents[1] / "skeletons"
SHIPPED = ("quadruped", "mammal", "dog", "human", "hand", "fly", "mouse")

QUADRUPED = (
    "neck head pelvis tail "
    "left_shoulder left_elbow left_front_paw right_shoulder right_elbow right_front_paw "
    "left_hip left_knee left_hind_paw right_hip right_knee right_hind_paw"
)
LEG = ("coxa", "trochanter", "knee", "ankle", "claw")
JOINTS = {
    "quadruped": QUADRUPED,
    "mammal": QUADRUPED,
    "dog": QUADRUPED,
    "human": "hip right_hip right_knee right_foot left_hip left_knee left_foot spine thorax neck head "
    "left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist",
    "hand": "wrist thumb_cmc thumb_mcp thumb_ip thumb_tip "
    + " ".join(f"{f}_{j}" for f in ("index", "middle", "ring", "pinky") for j in ("mcp", "pip", "dip", "tip")),
    "fly": "thorax head proboscis left_antenna right_antenna abdomen abdomen_tip "
    "left_wing left_wing_tip right_wing right_wing_tip "
    + " ".join(f"{s}_{p}_{j}" for s in ("left", "right") for p in ("front", "mid", "hind") for j in LEG),
    "mouse": "spine_middle spine_front snout left_ear right_ear tail_base tail_middle tail_end "
    "left_shoulder left_elbow left_wrist left_forepaw right_shoulder right_elbow right_wrist right_forepaw "
    "left_knee left_ankle left_hindpaw right_knee right_ankle right_hindpaw",
}
PARENTS = {
    "quadruped": [-1, 0, 0, 2, 0, 4, 5, 0, 7, 8, 2, 10, 11, 2, 13, 14],
    "mammal": [-1, 0, 0, 2, 0, 4, 5, 0, 7, 8, 2, 10, 11, 2, 13, 14],
    "dog": [-1, 0, 0, 2, 0, 4, 5, 0, 7, 8, 2, 10, 11, 2, 13, 14],
    "human": [-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15],
    "hand": [-1, *(0 if j == 0 else 4 * f + j for f in range(5) for j in range(4))],
    "fly": [-1, 0, 1, 1, 1, 0, 5, 0, 7, 0, 9, *(0 if j == 0 else 10 + 5 * k + j for k in range(6) for j in range(5))],
    "mouse": [-1, 0, 1, 2, 2, 0, 5, 6, 1, 8, 9, 10, 1, 12, 13, 14, 0, 16, 17, 0, 19, 20],
}

# Where each edge points in the middle of its ranges: "-y" forward, "+y" backward, "-z" down, "out" away from the
# middle plane.  Every edge has to match a pattern, and hold for all patterns that it matches.
LIMBS_OF_A_QUADRUPED = {
    "head": "-y +z", "pelvis": "+y", "tail": "+y", "*_shoulder": "out -z", "*_elbow": "-z +y", "*_front_paw": "-z -y",
    "*_hip": "out -z +y", "*_knee": "-z -y", "*_hind_paw": "-z +y",
}  # fmt: skip
FACING = {
    "quadruped": LIMBS_OF_A_QUADRUPED,
    "mammal": LIMBS_OF_A_QUADRUPED,
    "dog": LIMBS_OF_A_QUADRUPED,
    "human": {
        "*_hip": "out", "*_knee": "-z", "*_foot": "-z", "spine": "+z", "thorax": "+z", "neck": "+z -y", "head": "+z",
        "*_shoulder": "out", "*_elbow": "out -y", "*_wrist": "-y",
    },
    "hand": {
        "*_mcp": "+z", "thumb_*": "+z", "thumb_cmc": "+x", "index_mcp": "+x", "pinky_mcp": "-x",
        "*_pip": "-y +z", "*_dip": "-y", "*_tip": "-y",
    },
    "fly": {
        "head": "-y", "proboscis": "-z", "*_antenna": "-y out", "abdomen*": "+y", "abdomen_tip": "-z", "*_wing": "out",
        "*_wing_tip": "out", "*_coxa": "out -z", "*_trochanter": "-z", "*_knee": "out", "*_ankle": "-z", "*_claw": "-z",
        "*_front_coxa": "-y", "*_hind_coxa": "+y", "*_front_claw": "-y", "*_hind_claw": "+y",
    },
    "mouse": {
        "spine_front": "-y", "snout": "-y", "*_ear": "out +z +y", "tail_*": "+y", "*_shoulder": "out -z",
        "*_elbow": "-z +y", "*_wrist": "-y", "*_forepaw": "-y", "*_knee": "out -z", "*_ankle": "-z +y",
        "*_hindpaw": "-z",
    },
}  # fmt: skip


def load(name: str) -> Skeleton:
    path = FOLDER / f"{name}.yaml"
    return parse_skeleton(path.read_text(encoding="utf-8"), str(path))


@pytest.fixture(params=SHIPPED)
def skeleton(request: pytest.FixtureRequest) -> Skeleton:
    return load(request.param)


def rotation(axis: str, degrees: float) -> NDArray[np.float64]:
    a = np.radians(degrees)
    c, s = np.cos(a), np.sin(a)
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def middle_pose(skeleton: Skeleton) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(E, 3) directions and (N, 3) places of the upright pose in the middle of every range; the conventions, slowly."""
    frames, places = [np.eye(3)], [np.zeros(3)]
    for parent, edge in zip(skeleton.parents[1:], skeleton.ranges, strict=True):
        first, second, length = (float(np.mean(r)) for r in (edge.first, edge.second, edge.length))
        if edge.angles == "spherical":
            turn = rotation("z", second) @ rotation("y", first) @ rotation("z", -second)
        else:
            turn = rotation("x", first) @ rotation("y", second)
        frames.append((frames[parent] if edge.frame == "parent" else np.eye(3)) @ turn)
        places.append(places[parent] + length * frames[-1][:, 2])
    return np.array([frame[:, 2] for frame in frames[1:]]), np.array(places)


def faces(direction: NDArray[np.float64], joint: str, expected: str) -> bool:
    if expected == "out":
        expected = "+x" if joint.startswith("left_") else "-x"
    return bool(direction["xyz".index(expected[1])] * (1 if expected[0] == "+" else -1) > 0.05)


def bones(skeleton: Skeleton, n: int = 2000) -> dict[str, NDArray[np.float64]]:
    """Unit directions (n, 3) of `n` sampled upright poses, by the joint where the edge ends."""
    o = sample(skeleton, seed=0, start=0, stop=n, extras=("o_up",)).o_up
    assert o is not None
    theta, phi = o[..., 1].astype(float), o[..., 2].astype(float)
    directions = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    return {joint: directions[:, e] for e, joint in enumerate(skeleton.joints[1:])}


def unsourced(text: str, joints: tuple[str, ...]) -> list[str]:
    """The joints without a source: each needs a row of the header's table that ends in a cited [X] or an estimate."""
    header = text.split("\nposesynth:")[0]
    cited = set(re.findall(r"^# {3}\[([A-Z])\]", header, re.MULTILINE))
    rows: dict[str, str] = {}
    name = ""
    for line in header.split("#   joint", 1)[-1].splitlines()[1:]:
        if row := re.match(r"# {3}(\S+) (.*)", line):
            name = row[1]
            rows[name] = row[2]
        elif name:
            rows[name] += line
    source = re.compile(r"\[[A-Z]\]\s*$|estimate\s*$|\sestimate[:,]|the paper, section")
    good = [
        row for row, words in rows.items() if source.search(words) and set(re.findall(r"\[([A-Z])\]", words)) <= cited
    ]
    missing = [joint for joint in joints if not any(fnmatch(joint, row) for row in good)]
    return missing + ([] if "lengths" in rows else ["lengths"])


def test_names_and_order_are_the_contract(skeleton: Skeleton) -> None:
    assert skeleton.joints == tuple(JOINTS[skeleton.name].split())
    assert skeleton.parents.tolist() == PARENTS[skeleton.name]


def test_every_yaml_that_ships_is_tested_here() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == sorted(SHIPPED)


def test_each_is_found_by_its_name(skeleton: Skeleton) -> None:
    assert skeleton.name in builtin_skeletons()
    assert load_skeleton(skeleton.name).digest == skeleton.digest


def test_each_left_joint_is_paired_with_its_right(skeleton: Skeleton) -> None:
    ends = skeleton.joints[1:]
    left = {j for j in ends if j.startswith("left_")}
    right = {j for j in ends if j.startswith("right_")}
    assert {j.replace("left_", "right_", 1) for j in left} == right
    pairs = {frozenset((ends[a], ends[b])) for a, b in skeleton.symmetric}
    assert pairs == {frozenset((j, j.replace("left_", "right_", 1))) for j in left}


def test_the_middle_pose_is_its_own_mirror_image(skeleton: Skeleton) -> None:
    _, places = middle_pose(skeleton)
    place = dict(zip(skeleton.joints, places, strict=True))
    for joint in skeleton.joints if skeleton.name != "hand" else ():
        other = re.sub("^(left|right)_", lambda side: {"left_": "right_", "right_": "left_"}[side[0]], joint)
        assert np.allclose(place[joint] * [-1, 1, 1], place[other], atol=1e-9), joint


def test_limbs_are_on_their_own_side(skeleton: Skeleton) -> None:
    _, places = middle_pose(skeleton)
    for joint, place in zip(skeleton.joints, places, strict=True):
        if joint.startswith("left_"):
            assert place[0] > 0.01, joint


def test_each_edge_points_where_anatomy_says(skeleton: Skeleton) -> None:
    directions, _ = middle_pose(skeleton)
    for joint, direction in zip(skeleton.joints[1:], directions, strict=True):
        facing = FACING[skeleton.name].items()
        expected = " ".join(words for pattern, words in facing if fnmatch(joint, pattern)).split()
        assert expected, f"{joint} has no expectation"
        for word in expected:
            assert faces(direction, joint, word), f"{joint}: {direction.round(2)} is not {word}"


def test_the_check_of_directions_can_fail() -> None:
    back = np.array([0.1, 0.9, -0.2])
    assert faces(back, "tail", "+y")
    assert not faces(back, "head", "-y")
    assert faces(back, "left_hip", "out")
    assert not faces(back, "right_hip", "out")


def test_quadruped_keeps_the_sampling_of_the_paper() -> None:
    for edge in load("quadruped").ranges:
        assert edge.frame == "world"
        assert edge.length == (0.0, 1.0)


@pytest.mark.parametrize(
    ("name", "upper", "lower", "side"),
    [
        ("mammal", "elbow", "front_paw", -1),
        ("mammal", "knee", "hind_paw", 1),
        ("dog", "elbow", "front_paw", -1),
        ("dog", "knee", "hind_paw", 1),
        ("human", "knee", "foot", 1),
        ("mouse", "elbow", "wrist", -1),
    ],
)
def test_no_limb_bends_the_wrong_way(name: str, upper: str, lower: str, side: int) -> None:
    """The hinge's axis keeps its side: a knee folds back and an elbow forward, however the limb is turned."""
    direction = bones(load(name))
    for half in ("left", "right"):
        axis = np.cross(direction[f"{half}_{upper}"], direction[f"{half}_{lower}"])[:, 0]
        assert (side * axis > -1e-6).all()


def test_hips_and_shoulders_are_always_on_their_own_side() -> None:
    for name, joints in (
        ("quadruped", ("hip", "shoulder")),
        ("mammal", ("hip", "shoulder")),
        ("dog", ("hip", "shoulder")),
        ("human", ("hip",)),
    ):
        direction = bones(load(name))
        for joint in joints:
            assert (direction[f"left_{joint}"][:, 0] > 0).all()
            assert (direction[f"right_{joint}"][:, 0] < 0).all()


def test_fingers_curl_towards_the_palm() -> None:
    direction = bones(load("hand"))
    for finger in ("index", "middle", "ring", "pinky"):
        curl = np.cross(direction[f"{finger}_pip"], direction[f"{finger}_dip"])[:, 0]
        assert (curl > -1e-6).mean() > 0.99


def test_each_range_names_its_source(skeleton: Skeleton) -> None:
    assert unsourced(skeleton.text, skeleton.joints[1:]) == []


def test_the_check_of_sources_can_fail() -> None:
    text = load("dog").text
    joints = load("dog").joints[1:]
    without_row = re.sub(r"(?m)^#   tail .*\n(?:#    .*\n)*", "", text)
    assert unsourced(without_row, joints) == ["tail"]
    uncited = unsourced(text.replace("[J]  Jaegger", "(J) Jaegger"), joints)
    assert set(uncited) == {
        f"{side}_{j}" for side in ("left", "right") for j in ("elbow", "front_paw", "knee", "hind_paw")
    }
