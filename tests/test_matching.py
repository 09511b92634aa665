"""Keypoints matched to a skeleton: the map that is guessed by name, the map in YAML, and the joints they give."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_data import SAMPLES, real

from lifter.data.anatomy import NEAREST, read_names
from lifter.data.keypoints import Keypoints, load_keypoints
from lifter.data.matching import KeypointMap, bind, describe, guess_map, load_keypoint_map
from posesynth import InputError, Skeleton, load_skeleton

QUADRUPED = load_skeleton("quadruped")
SHIPPED = ("quadruped", "mammal", "dog", "human", "hand", "fly", "mouse")
LEGS = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("shoulder", "elbow", "front_paw"))
FULL = ("snout", "withers", "tailbase", *LEGS, *(f"{s}_{p}" for s in ("left", "right") for p in ("hip", "knee")))


def keypoints(names: tuple[str, ...] | list[str], frames: int = 3, animals: int = 1) -> Keypoints:
    rng = np.random.default_rng(len(names))
    shape = (frames, animals, len(names))
    individuals = ("",) if animals == 1 else tuple(f"m{a}" for a in range(animals))
    positions = rng.uniform(0, 640, (*shape, 2))
    return Keypoints(positions, np.full(shape, np.nan), tuple(names), individuals, (0, 1, 2)[:frames], "a.csv", "test")


def side(name: str) -> str:
    (read,) = read_names([name])
    return read.side


# The guess.


@pytest.mark.parametrize("name", SHIPPED)
def test_a_skeletons_own_names_are_its_joints(name: str) -> None:
    skeleton = load_skeleton(name)
    found = guess_map(keypoints(skeleton.joints), skeleton)
    assert found.joints == {joint: (joint,) for joint in skeleton.joints}
    assert found.absent == found.unused == ()


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize(
    "spell",
    [
        str.upper,
        lambda joint: joint.replace("_", " "),
        lambda joint: joint.replace("_", "-").title(),
        lambda joint: joint.title().replace("_", ""),
        lambda joint: joint.replace("_", ""),
        lambda joint: joint.replace("left_", "l_").replace("right_", "r_"),
        lambda joint: joint.replace("left_", "L").replace("right_", "R"),
        lambda joint: "_".join(sorted(joint.split("_"), key=lambda word: word in ("left", "right"))),
    ],
)
def test_spelling_of_a_name_does_not_matter(name: str, spell: object) -> None:
    skeleton = load_skeleton(name)
    assert callable(spell)
    found = guess_map(keypoints([spell(joint) for joint in skeleton.joints]), skeleton)
    assert found.joints == {joint: (spell(joint),) for joint in skeleton.joints}


@pytest.mark.parametrize(
    ("name", "side", "part"),
    [
        ("LeftFrontPaw", "l", "fore paw"),
        ("leftfrontpaw", "l", "fore paw"),
        ("LF_paw", "l", "fore paw"),
        ("pawFL", "l", "fore paw"),
        ("forepaw_R", "r", "fore paw"),
        ("RHpaw", "r", "hind paw"),
        ("back_left_paw", "l", "hind paw"),
        ("R_B_Paw", "r", "hind paw"),
        ("rear right hoof", "r", "hind hoof"),
        ("l_hock", "l", "hind ankle"),
        ("Right Stifle", "r", "hind knee"),
        ("left_carpus", "l", "fore wrist"),
        ("lknee", "l", "hind knee"),
        ("root_of_tail", "", "base tail"),
        ("Tail(base)", "", "base tail"),
        ("tailset", "", "base tail"),
        ("TailEnd", "", "tail tip"),
        ("snout", "", "nose"),
        ("withers", "", "withers"),
        ("back_middle", "", "back mid"),
        ("left_back", "l", "back"),
        ("earr", "r", "ear"),
        ("rear", "", "rear"),
    ],
)
def test_names_are_taken_apart(name: str, side: str, part: str) -> None:
    (read,) = read_names([name])
    assert (read.side, read.part) == (side, part)


def test_a_letter_is_a_side_where_its_twin_is_a_name() -> None:
    assert [name.side for name in read_names(["lear", "rear"])] == ["l", "r"]
    assert [name.side for name in read_names(["xyl", "xyr", "tail", "rump"])] == ["l", "r", "", ""]


def test_joints_are_derived_where_no_keypoint_is_one() -> None:
    found = guess_map(keypoints([name for name in FULL if name not in ("withers", "snout")]), QUADRUPED)
    assert found.joints["pelvis"] == ("left_hip", "right_hip")
    assert found.joints["neck"] == ("left_shoulder", "right_shoulder")
    assert found.joints["tail"] == ("tailbase",)
    assert found.absent == ("head", "left_hind_paw", "right_hind_paw")


def test_what_is_there_is_preferred_to_what_can_be_derived() -> None:
    found = guess_map(keypoints(FULL), QUADRUPED)
    assert found.joints["neck"] == ("withers",)
    assert found.joints["head"] == ("snout",)
    named = guess_map(keypoints([*FULL, "neck", "pelvis", "head", "tail_tip"]), QUADRUPED)
    assert [named.joints[joint] for joint in ("neck", "pelvis", "head", "tail")] == [
        ("neck",),
        ("pelvis",),
        ("head",),
        ("tail_tip",),
    ]
    assert named.unused == ("snout", "withers", "tailbase")


def test_without_hips_the_tail_base_is_the_pelvis() -> None:
    found = guess_map(keypoints([name for name in FULL if "hip" not in name]), QUADRUPED)
    assert found.joints["pelvis"] == ("tailbase",)
    assert "tail" in found.absent


def test_a_mean_needs_both_sides() -> None:
    found = guess_map(keypoints([name for name in FULL if name not in ("right_hip", "tailbase")]), QUADRUPED)
    assert "pelvis" in found.absent


def test_one_mean_is_one_joint() -> None:
    human = load_skeleton("human")
    legs = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
    names = [f"{side}_{part}" for side in ("left", "right") for part in legs]
    found = guess_map(keypoints(names), human)
    assert found.joints["thorax"] == ("left_shoulder", "right_shoulder")
    assert found.absent == ("spine", "neck", "head")


def test_two_keypoints_for_one_joint_are_none() -> None:
    found = guess_map(keypoints([*FULL, "l_elbow"]), QUADRUPED)
    assert found.joints["left_elbow"] == ("left_elbow",)  # the very name
    both = [name for name in FULL if name != "left_elbow"]
    assert "left_elbow" in guess_map(keypoints([*both, "l_elbow", "elbow_left"]), QUADRUPED).absent


def animal_pose() -> list[str]:
    legs = [f"{s}_{limb}_{part}" for part in ("Elbow", "Knee", "Paw") for limb in "FB" for s in "LR"]
    return ["Nose", "Throat", "Withers", "TailBase", *legs]


def test_the_knee_below_an_elbow_is_none() -> None:
    found = guess_map(keypoints(animal_pose()), QUADRUPED)
    assert found.joints["left_elbow"] == ("L_F_Elbow",)
    assert found.joints["left_knee"] == ("L_B_Elbow",)
    assert found.unused[1:] == ("L_F_Knee", "R_F_Knee", "L_B_Knee", "R_B_Knee")
    cheetah = [f"{s}_{part}" for s in "lr" for part in ("shoulder", "front_knee", "front_ankle", "front_paw", "hip")]
    found = guess_map(keypoints([*cheetah, "l_back_knee", "r_back_knee"]), QUADRUPED)
    assert found.joints["left_elbow"] == ("l_front_knee",)
    assert found.joints["left_knee"] == ("l_back_knee",)


WORDS = (
    "left",
    "right",
    "l",
    "r",
    "front",
    "back",
    "hind",
    "paw",
    "knee",
    "elbow",
    "hip",
    "shoulder",
    "tail",
    "ear",
    "",
)


@given(
    st.lists(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map("_".join), min_size=1, max_size=12, unique=True
    )
)
def test_sides_are_never_crossed_and_no_keypoint_is_two_joints(extra: list[str]) -> None:
    names = [*(name for name in FULL if name not in extra), *(name for name in extra if name)]
    try:
        found = guess_map(keypoints(names), QUADRUPED)
    except InputError:
        return
    single = [names[0] for names in found.joints.values() if len(names) == 1]
    assert len(single) == len(set(single))
    read = dict(zip(names, read_names(names), strict=True))
    for joint, parts in found.joints.items():
        sides = sorted(read[part].side for part in parts)
        assert sides == (["l", "r"] if len(parts) == 2 else [side(joint)])
    assert set(found.joints) | set(found.absent) == set(QUADRUPED.joints)


def test_of_a_person_in_coco_the_nose_is_the_neck_of_human_and_the_top_of_the_head_is_absent() -> None:
    sides = [f"{side}_{part}" for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
             for side in ("left", "right")]  # fmt: skip
    found = guess_map(keypoints(("nose", *sides)), load_skeleton("human"))
    assert found.joints["neck"] == ("nose",)
    assert found.joints["thorax"] == ("left_shoulder", "right_shoulder")
    assert found.joints["hip"] == ("left_hip", "right_hip")
    assert found.joints["left_foot"] == ("left_ankle",)
    assert found.absent == ("spine", "head")


def test_what_stands_for_a_joint_is_in_words_that_names_have() -> None:
    parts = {part.removeprefix("both ") for near in NEAREST.values() for part in near}
    for part in parts | set(NEAREST):
        spelt = f"left {part}" if part.startswith(("fore", "hind")) else part
        assert [name.part for name in read_names([spelt])] == [part], part


@pytest.mark.parametrize("names", [["nose"], ["wrist", "thumb1", "thumb2"], [f"p{n}" for n in range(40)]])
def test_keypoints_of_another_skeleton_are_refused(names: list[str]) -> None:
    with pytest.raises(InputError, match=r"^a\.csv: [01] of the 16 joints of 'quadruped' found .*expected at least 8"):
        guess_map(keypoints(names), QUADRUPED)


# The map in a file.


def load(tmp_path: Path, text: str, names: tuple[str, ...] = FULL, skeleton: Skeleton = QUADRUPED) -> KeypointMap:
    path = tmp_path / "map.yaml"
    path.write_text(text)
    return load_keypoint_map(path, keypoints(names), skeleton)


def test_what_the_file_says_counts_and_the_rest_is_guessed(tmp_path: Path) -> None:
    text = "joints:\n  head: withers\n  pelvis: [left_knee, right_knee]\nabsent: [neck, tail]\ny_up: true\n"
    found = load(tmp_path, text)
    assert found.joints["head"] == ("withers",)
    assert found.joints["pelvis"] == ("left_knee", "right_knee")
    assert found.joints["left_elbow"] == ("left_elbow",)
    assert found.joints["left_knee"] == ("left_knee",)  # a mean of two takes neither from its own joint
    assert found.absent == ("neck", "tail", "left_hind_paw", "right_hind_paw")
    assert found.y_up
    assert found.order == QUADRUPED.joints
    assert list(found.joints) == [joint for joint in QUADRUPED.joints if joint in found.joints]


def test_few_joints_are_enough_where_a_file_names_them(tmp_path: Path) -> None:
    found = load(tmp_path, "joints: {head: a, neck: b, pelvis: c}", ("a", "b", "c"))
    assert len(found.joints) == 3
    with pytest.raises(InputError, match="2 of the 16 joints"):
        load(tmp_path, "joints: {head: a, neck: b}", ("a", "b", "c"))


BAD_MAPS = {
    "empty": ("", ":1:1: file: is not a mapping"),
    "a list": ("[a]", ":1:1: file: is not a mapping"),
    "unknown key": ("joint: {}\n", ":1:1: joint: unknown key", "did you mean 'joints'?"),
    "unknown joint": ("joints:\n  haed: snout\n", ":2:3: joints.haed: ", "did you mean 'head'?"),
    "unknown keypoint": ("joints: {head: snuot}\n", ":1:16: joints.head: ", "did you mean 'snout'?"),
    "unknown in a mean": ("joints: {pelvis: [left_hip, rihgt_hip]}\n", ":1:29: ", "did you mean 'right_hip'?"),
    "keypoint twice": ("joints: {pelvis: [left_hip, left_hip]}\n", ":1:19: ", "twice"),
    "nothing": ("joints: {head: }\n", "joints.head: nothing is not a keypoint"),
    "an empty mean": ("joints: {head: []}\n", ":1:16: joints.head"),
    "a mapping": ("joints: {head: {a: b}}\n", ":1:16: joints.head: a mapping is not a keypoint"),
    "joints as a list": ("joints: [head]\n", ":1:9: joints: a list is not a mapping"),
    "joint twice": ("joints:\n  head: snout\n  head: withers\n", ":3:3: joints.head: is given twice"),
    "unknown absent": ("absent: [tial]\n", ":1:10: absent: ", "did you mean 'tail'?"),
    "absent as a text": ("absent: tail\n", ":1:9: absent: 'tail' is not a list"),
    "both": ("joints: {tail: snout}\nabsent: [tail]\n", ":2:10: absent: 'tail' is also under 'joints'"),
    "y_up": ("y_up: yes\n", ":1:7: y_up: 'yes' is not a truth value"),
    "a tag": ("joints: !!python/object:os.system {}\n", "tag"),
    "an alias": ("joints: &a {head: snout}\nabsent: *a\n", "anchor"),
    "no YAML": ("joints: {head: snout\n", "is not closed"),
}


@pytest.mark.parametrize("name", BAD_MAPS)
def test_bad_maps_are_refused_with_the_place(tmp_path: Path, name: str) -> None:
    text, *said = BAD_MAPS[name]
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    for line in caught.value.lines:
        assert line.startswith(f"{tmp_path / 'map.yaml'}:"[-100:])
        assert len(line) <= 300
    for words in said:
        assert words in str(caught.value)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, "joints:\n  haed: snout\n  neck: wihters\nabsent: [tial]\n")
    assert [line.rpartition("map.yaml:")[2][:3] for line in caught.value.lines] == ["2:3", "3:9", "4:1"]


def test_a_map_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="keypoint map cannot be read"):
        load_keypoint_map(tmp_path / "none.yaml", keypoints(FULL), QUADRUPED)


def test_a_keypoint_is_one_joint_and_a_map_that_leaves_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("joints: {head: snout, tail: snout}\n")
    with pytest.raises(InputError, match=r"m\.yaml:1:.*joints\.tail: 'snout' is joint 'head' already"):
        load_keypoint_map(tmp_path / "m.yaml", keypoints(FULL), QUADRUPED)
    (tmp_path / "m.yaml").write_text(f"absent: [{', '.join(QUADRUPED.joints)}]\n")
    with pytest.raises(InputError, match=r"m\.yaml: leaves 0 of the 16 joints"):
        load_keypoint_map(tmp_path / "m.yaml", keypoints(FULL), QUADRUPED)


def test_a_map_of_motion_is_told_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("up: z\n")
    with pytest.raises(
        InputError, match=r"m\.yaml:1:1: up: unknown key; .* it is for maps of motion, this one is of 2D"
    ):
        load_keypoint_map(tmp_path / "m.yaml", keypoints(FULL), QUADRUPED)


def test_the_map_is_told_joint_by_joint() -> None:
    lines = describe(guess_map(keypoints([*FULL, "ear"]), QUADRUPED)).splitlines()
    assert lines[0] == "joint map (guessed by name from a.csv), 14 of 16 joints:"
    assert [line.split()[0] for line in lines[1:17]] == list(QUADRUPED.joints)
    assert lines[3].split(maxsplit=1)[1] == "mean of left_hip, right_hip"
    assert lines[7].split(maxsplit=1) == ["left_front_paw", "left_front_paw"]
    assert lines[12].split(maxsplit=1)[1] == "left_knee"
    assert lines[13].split(maxsplit=1)[1] == "(absent)"
    assert lines[17] == "  not used: ear"
    assert "--map" in lines[18]


# The joints.


def test_joints_are_their_keypoints_with_z_up() -> None:
    given = keypoints(FULL, animals=2)
    found = bind(given, guess_map(given, QUADRUPED))
    assert found.shape == (3, 2, 16, 2)
    for n, joint in enumerate(QUADRUPED.joints):
        names = guess_map(given, QUADRUPED).joints.get(joint)
        if names is None:
            assert np.isnan(found[:, :, n]).all()
        else:
            mean = np.mean([given.positions[:, :, given.names.index(name)] for name in names], axis=0)
            np.testing.assert_allclose(found[:, :, n], mean * [1, -1], rtol=1e-15)


def test_y_up_leaves_y_as_it_is(tmp_path: Path) -> None:
    given = keypoints(FULL)
    down = bind(given, load(tmp_path, "y_up: false"))
    up = bind(given, load(tmp_path, "y_up: true"))
    np.testing.assert_array_equal(up, down * [1, -1])


def test_missing_and_doubtful_keypoints_hide_every_joint_made_of_them() -> None:
    given = keypoints(FULL)
    hip, head = FULL.index("left_hip"), FULL.index("snout")
    pelvis, left_hip, right_hip = (QUADRUPED.joints.index(joint) for joint in ("pelvis", "left_hip", "right_hip"))
    given.positions[0, 0, hip] = np.nan
    given.confidence[1, 0, hip], given.confidence[2, 0, hip] = 0.59, 0.6
    given.confidence[:, 0, head] = 0.1
    found = np.isnan(bind(given, guess_map(given, QUADRUPED))).any(axis=-1)[:, 0]
    assert found[:, pelvis].tolist() == found[:, left_hip].tolist() == [True, True, False]
    assert not found[:, right_hip].any()
    assert found[:, QUADRUPED.joints.index("head")].all()
    eager = np.isnan(bind(given, guess_map(given, QUADRUPED), min_confidence=0)).any(axis=-1)[:, 0]
    assert eager[:, pelvis].tolist() == [True, False, False]
    assert not eager[:, QUADRUPED.joints.index("head")].any()


# Real files.


@real
def test_real_ap10k_has_every_joint_of_the_quadruped() -> None:
    given = load_keypoints(SAMPLES / "ap10k" / "test_ap10k.json")
    found = guess_map(given, QUADRUPED)
    assert found.absent == ()
    assert found.joints["left_hind_paw"] == ("left_back_paw",)
    assert found.joints["pelvis"] == ("left_hip", "right_hip")
    p2d = bind(given, found)
    assert p2d[0, 0, QUADRUPED.joints.index("head")].tolist() == [94, -475]


@real
def test_real_people_and_hands_are_the_shipped_skeletons() -> None:
    person = guess_map(load_keypoints(SAMPLES / "coco" / "test_coco.json"), load_skeleton("human"))
    assert person.absent == ("spine", "head")
    assert person.joints["right_foot"] == ("right_ankle",)
    hand = guess_map(load_keypoints(SAMPLES / "freihand" / "test_freihand.json"), load_skeleton("hand"))
    assert hand.absent == ()
    assert hand.joints["index_tip"] == ("forefinger4",)
    with pytest.raises(InputError, match="0 of the 16 joints"):
        guess_map(load_keypoints(SAMPLES / "rhd" / "test_rhd.json"), QUADRUPED)


@real
def test_real_reaching_mouse_is_no_quadruped() -> None:
    with pytest.raises(InputError, match="0 of the 16 joints"):
        guess_map(load_keypoints(SAMPLES / "dlc_reaching" / "CollectedData_Mackenzie.csv"), QUADRUPED)
