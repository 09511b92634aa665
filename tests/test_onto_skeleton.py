"""The joints of an image set as a skeleton's: what each set's names mean, what is visible, and which way y grows."""

from pathlib import Path

import numpy as np
import pytest
from set_joints import ANIMAL_POSE, COCO, POSETRACK

from lifter.data.images import Annotation, ImageSet
from lifter.data.images import onto_skeleton as module
from lifter.data.images.coco import AP10K
from lifter.data.images.lsp import LSP_JOINTS
from lifter.data.images.mpii import MPII_JOINTS
from lifter.data.images.onto_skeleton import joints_of_set, onto_skeleton
from lifter.data.images.tigdog import TIGDOG_JOINTS
from lifter.data.track import Keypoints
from posesynth import load_skeleton
from posesynth.errors import InputError

HUMAN = load_skeleton("human")
NAMES = {"LSP": LSP_JOINTS, "LSP-extended": LSP_JOINTS, "MPII": MPII_JOINTS, "PoseTrack18": POSETRACK, "COCO": COCO}
OF_ANIMALS = {"AP-10K": AP10K, "TigDog": TIGDOG_JOINTS, "Animal-Pose": ANIMAL_POSE}
HIPS, SHOULDERS = ("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")
# What the joints of the trunk are made of, None: absent.
TRUNK = {
    "LSP": {"hip": HIPS, "spine": None, "thorax": ("neck",), "neck": None, "head": ("head_top",)},
    "LSP-extended": {"hip": HIPS, "spine": None, "thorax": ("neck",), "neck": None, "head": ("head_top",)},
    "MPII": {
        "hip": ("pelvis",), "spine": None, "thorax": ("thorax",), "neck": ("upper_neck",), "head": ("head_top",),
    },
    "PoseTrack18": {"hip": HIPS, "spine": None, "thorax": ("head_bottom",), "neck": ("nose",), "head": ("head_top",)},
    "COCO": {"hip": HIPS, "spine": None, "thorax": SHOULDERS, "neck": ("nose",), "head": None},
}  # fmt: skip


def labelled(kind: str, names: tuple[str, ...]) -> ImageSet:
    """One label: joint k at (10 k, 100 + k), all visible."""
    k = np.arange(float(len(names)))
    label = Annotation("a.png", None, np.stack([10 * k, 100 + k], axis=1), np.ones(len(names), bool))
    return ImageSet(names, (label,), kind, "set")


def hidden(image_set: ImageSet, *names: str) -> ImageSet:
    """The set with these joints labelled, but not visible."""
    (label,) = image_set.annotations
    seen = np.array([name not in names for name in image_set.names])
    return ImageSet(
        image_set.names, (Annotation(label.image, None, label.keypoints, seen),), image_set.kind, image_set.source
    )


@pytest.mark.parametrize("kind", TRUNK)
def test_the_trunk_is_made_of_what_the_sets_names_mean(kind: str) -> None:
    names = NAMES[kind]
    points, visible, matched = onto_skeleton(labelled(kind, names), HUMAN)
    assert {joint: matched.joints.get(joint) for joint in TRUNK[kind]} == TRUNK[kind]
    for n, joint in enumerate(HUMAN.joints):
        taken = TRUNK[kind][joint] if joint in TRUNK[kind] else (joint.replace("foot", "ankle"),)
        if taken is None:
            assert np.isnan(points[0, n]).all()
            assert not visible[0, n]
        else:
            places = np.array([names.index(name) for name in taken])
            np.testing.assert_allclose(points[0, n], (10 * places.mean(), 100 + places.mean()))  # y stays down
            assert visible[0, n]


def test_every_set_whose_names_mislead_is_tested() -> None:
    assert set(module._PEOPLE) <= set(TRUNK)


@pytest.mark.parametrize("kind", module._PEOPLE)
def test_by_name_alone_each_of_them_would_mislead(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PEOPLE", {})
    *_, matched = onto_skeleton(labelled(kind, NAMES[kind]), HUMAN)
    assert {joint: matched.joints.get(joint) for joint in TRUNK[kind]} != TRUNK[kind]


def test_a_mean_is_visible_where_all_that_it_is_made_of_is() -> None:
    both, place = labelled("LSP", LSP_JOINTS), HUMAN.joints.index
    points, visible, _ = onto_skeleton(both, HUMAN)
    half, seen, _ = onto_skeleton(hidden(both, "right_hip", "left_wrist"), HUMAN)
    np.testing.assert_array_equal(half, points)  # hidden joints keep their places
    changed = {HUMAN.joints[n] for n in np.flatnonzero(visible[0] != seen[0])}
    assert changed == {"hip", "right_hip", "left_wrist"}
    assert visible[0, place("hip")]
    assert not seen[0, place("hip")]


def test_a_joint_that_is_not_labelled_is_nan_and_not_visible() -> None:
    given = labelled("LSP", LSP_JOINTS)
    given.annotations[0].keypoints[LSP_JOINTS.index("left_hip")] = np.nan
    points, visible, _ = onto_skeleton(given, HUMAN)
    gone = {HUMAN.joints[n] for n in np.flatnonzero(np.isnan(points[0]).any(axis=1))}
    assert gone == {"hip", "left_hip", "spine", "neck"}
    np.testing.assert_array_equal(visible, np.isfinite(points).all(axis=-1))


def test_a_map_in_yaml_goes_before_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("joints: {neck: neck}\nabsent: [thorax]\n")
    points, _, matched = onto_skeleton(labelled("LSP", LSP_JOINTS), HUMAN, str(path))
    assert (matched.joints["neck"], matched.absent) == (("neck",), ("spine", "thorax"))
    assert points[0, HUMAN.joints.index("neck")].tolist() == [120, 112]


def test_a_map_whose_y_grows_upwards_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("y_up: true\n")
    with pytest.raises(InputError, match="y_up: true; expected false"):
        onto_skeleton(labelled("LSP", LSP_JOINTS), HUMAN, str(path))


@pytest.mark.parametrize(
    ("kind", "names", "skeleton"),
    [
        *((kind, names, "human") for kind, names in NAMES.items()),
        *((kind, names, animal) for kind, names in OF_ANIMALS.items() for animal in ("dog", "mammal", "quadruped")),
    ],
)
def test_what_a_joint_is_trained_on_is_what_it_is_scored_as(kind: str, names: tuple[str, ...], skeleton: str) -> None:
    given, whose = labelled(kind, names), load_skeleton(skeleton)
    trained, _, matched = onto_skeleton(given, whose)
    predictions = Keypoints(
        trained[:, None], np.ones((1, 1, len(whose.joints))), whose.joints, ("",), ("a.png",), "poses.h5", "poses"
    )
    scored = joints_of_set(predictions, given)
    assert len(scored) == sum(len(taken) == 1 for taken in matched.joints.values())
    for joint, name in scored.items():
        np.testing.assert_array_equal(
            trained[0, whose.joints.index(name)], given.keypoints[0, names.index(joint)], err_msg=joint
        )


def test_the_map_of_the_training_is_that_of_the_scores(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("joints: {spine: neck}\nabsent: [thorax]\n")
    given = labelled("LSP", LSP_JOINTS)
    trained, _, matched = onto_skeleton(given, HUMAN, str(path))
    assert matched.absent == ("thorax", "neck")  # what is known of LSP's neck still holds where the map is silent
    predictions = Keypoints(trained[:, None], np.ones((1, 1, 17)), HUMAN.joints, ("",), ("a.png",), "p.h5", "poses")
    scored = joints_of_set(predictions, given, str(path))
    assert scored["neck"] == "spine"
    path.write_text("joints: {spin: neck}\n")
    with pytest.raises(InputError, match=r"skeleton 'p\.h5' has no 'spin'.*did you mean 'spine'"):
        joints_of_set(predictions, given, str(path))


def test_words_of_others_stand_for_what_they_say_alone() -> None:
    other = Keypoints(np.zeros((1, 1, 2, 2)), np.ones((1, 1, 2)), ("head", "left_elbow"), ("",), (0,), "p.csv", "csv")
    assert joints_of_set(other, labelled("AP-10K", AP10K)) == {"left_elbow": "left_elbow"}
