"""PCK of 2D landmarks: hand-computed poses, a slow twin, guards against the usual mistakes, and the command."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from lifter.cli import main
from lifter.data.images import Annotation, ImageSet, load_image_set
from lifter.data.images.lsp import LSP_JOINTS
from lifter.data.images.onto_skeleton import onto_skeleton
from lifter.data.images.split import split
from lifter.images import metrics
from lifter.images.evaluate import evaluate_images, evaluate_landmarks, read_predictions
from posesynth.errors import InputError
from posesynth.skeleton import load_skeleton

# One person in LSP's order; left shoulder (40, 20) to right hip (10, 60) is 50 pixels, so that near is 10.
LEGS = [(10, 120), (10, 90), (10, 60), (40, 60), (40, 90), (40, 120)]
ARMS_AND_HEAD = [(0, 60), (0, 40), (10, 20), (40, 20), (50, 40), (50, 60), (25, 15), (25, 0)]
PERSON = np.array([*LEGS, *ARMS_AND_HEAD], np.float64)


def lsp_set(truth: np.ndarray, kind: str = "LSP", first: int = 1) -> ImageSet:
    """An LSP set of these poses (n, 14, 2), its images numbered from `first`."""
    visible = np.isfinite(truth).all(-1)
    found = [Annotation(f"im{first + n:04}.jpg", None, truth[n], visible[n]) for n in range(len(truth))]
    return ImageSet(LSP_JOINTS, tuple(found), kind, "lsp")


def boxed_set(truth: np.ndarray, names: tuple[str, ...], box: tuple[float, ...] | None = (0, 0, 100, 40)) -> ImageSet:
    found = [Annotation(f"{n}.jpg", box, pose, np.isfinite(pose).all(-1)) for n, pose in enumerate(truth)]  # type: ignore[arg-type]
    return ImageSet(names, tuple(found), "COCO", "set")


def slow_pck(predicted: np.ndarray, truth: np.ndarray, size: list[float], threshold: float) -> float:
    near = scored = 0
    for p, t, s in zip(predicted.tolist(), truth.tolist(), size, strict=True):
        if math.isnan(s) or s <= 0:
            continue
        for (px, py), (tx, ty) in zip(p, t, strict=True):
            if math.isnan(tx) or math.isnan(ty):
                continue
            scored += 1
            if math.sqrt((px - tx) ** 2 + (py - ty) ** 2) <= threshold * s:
                near += 1
    return near / scored if scored else math.nan


def pck_of_groups(found: np.ndarray) -> dict[str, float]:
    return {name: metrics.pck(found[:, list(pair)]) for name, pair in metrics.LSP_GROUPS.items()}


# The functions.


def test_torso_is_left_shoulder_to_right_hip() -> None:
    assert metrics.torso(PERSON[None]) == pytest.approx([50.0])
    other = PERSON.copy()
    other[[8, 3]] = 999  # the other diagonal does not count
    assert metrics.torso(other[None]) == pytest.approx([50.0])


@pytest.mark.parametrize(("shift", "share"), [(0.0, 1.0), (10.0, 1.0), (10.001, 0.0)])
def test_near_is_at_most_a_fifth_of_the_torso(shift: float, share: float) -> None:
    found = metrics.hits(PERSON[None] + (shift, 0), PERSON[None], metrics.torso(PERSON[None]), 0.2)
    assert metrics.pck(found) == share


def test_each_image_has_its_own_torso() -> None:
    truth = np.stack([PERSON, 3 * PERSON])
    found = metrics.hits(truth + np.array([20, 0]), truth, metrics.torso(truth), 0.2)
    np.testing.assert_array_equal(found, np.repeat([[0.0], [1.0]], 14, axis=1))


def test_groups_are_left_and_right_and_head_is_neck_and_head_top() -> None:
    for group, (one, other) in metrics.LSP_GROUPS.items():
        wrong = PERSON.copy()
        wrong[one] += 1000
        found = metrics.hits(wrong[None], PERSON[None], [50.0], 0.2)
        of_groups = pck_of_groups(found)
        assert of_groups == {name: 0.5 if name == group else 1.0 for name in metrics.LSP_GROUPS}
        assert {LSP_JOINTS[one].split("_")[-1], LSP_JOINTS[other].split("_")[-1]} in (
            {group.lower()},
            {"neck", "top"} if group == "Head" else set(),
        )
    assert sorted(k for pair in metrics.LSP_GROUPS.values() for k in pair) == list(range(14))


def test_mean_is_over_all_joints_not_over_groups_of_unequal_labels() -> None:
    # Two images: the second has nothing but its torso labelled.  14 + 2 joints, of which both hips of the first miss.
    truth = np.stack([PERSON, PERSON])
    truth[1, [k for k in range(14) if k not in (2, 9)]] = np.nan
    predicted = truth.copy()
    predicted[0, 2:4] += 100
    found = metrics.hits(predicted, truth, metrics.torso(truth), 0.2)
    assert metrics.pck(found) == 14 / 16
    assert np.mean(list(pck_of_groups(found).values())) == pytest.approx((6 + 1 / 3) / 7)
    assert [metrics.pck(found[:, [k]]) for k in (2, 3, 9)] == [0.5, 0, 1]


def test_where_all_is_labelled_the_mean_is_that_of_the_seven_groups() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(PERSON[None], 20, 0)
    found = metrics.hits(truth + rng.normal(0, 8, truth.shape), truth, metrics.torso(truth), 0.2)
    assert 0.1 < metrics.pck(found) < 0.9
    assert metrics.pck(found) == pytest.approx(np.mean(list(pck_of_groups(found).values())))


def test_what_is_not_predicted_is_a_miss_and_what_is_not_labelled_is_not_scored() -> None:
    predicted, truth = PERSON.copy(), PERSON.copy()
    predicted[0] = np.nan
    truth[1] = np.nan
    found = metrics.hits(predicted[None], truth[None], [50.0], 0.2)[0]
    assert found[0] == 0
    assert np.isnan(found[1])
    assert metrics.pck(found[None]) == 12 / 13


@pytest.mark.parametrize("size", [np.nan, 0.0])
def test_an_image_without_a_size_is_not_scored(size: float) -> None:
    assert math.isnan(metrics.pck(metrics.hits(PERSON[None], PERSON[None], [size], 0.2)))


def test_the_longer_side_is_that_of_the_box_or_of_the_labelled_joints() -> None:
    truth = np.array([[(0, 0), (30, 7)], [(5, 5), (6, 25)], [(np.nan, np.nan)] * 2, [(1, 1), (np.nan, np.nan)]])
    boxes = np.array([(0, 0, 10, 80), (np.nan,) * 4, (np.nan,) * 4, (np.nan,) * 4])
    np.testing.assert_array_equal(metrics.longer_side(boxes, truth), [80, 20, np.nan, 0])


def test_mirrored_exchanges_the_sides() -> None:
    assert [LSP_JOINTS[k] for k in metrics.mirrored(LSP_JOINTS)[[0, 9, 13]]] == [
        "left_ankle",
        "right_shoulder",
        "head_top",
    ]
    assert metrics.mirrored(("nose", "left_ear")).tolist() == [0, 1]


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.5))
@settings(max_examples=60, deadline=None)
def test_pck_is_that_of_its_slow_twin(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 30, (5, 6, 2))
    predicted = truth + rng.normal(0, 6, truth.shape)
    truth[rng.uniform(size=(5, 6)) < 0.2] = np.nan
    predicted[rng.uniform(size=(5, 6)) < 0.1] = np.nan
    size = rng.uniform(10, 60, 5)
    size[0] = np.nan if seed % 2 else 0
    expected = slow_pck(predicted, truth, size.tolist(), threshold)
    found = metrics.hits(predicted, truth, size, threshold)
    assert metrics.pck(found) == pytest.approx(expected, nan_ok=True)
    for k in range(6):
        twin = slow_pck(predicted[:, [k]], truth[:, [k]], size.tolist(), threshold)
        assert metrics.pck(found[:, [k]]) == pytest.approx(twin, nan_ok=True)


@pytest.mark.parametrize(
    ("predicted", "truth", "size", "threshold"),
    [
        (np.zeros((1, 14, 3)), np.zeros((1, 14, 3)), [1], 0.2),
        (np.zeros((1, 14, 2)), np.zeros((1, 13, 2)), [1], 0.2),
        (np.zeros((1, 14, 2)), np.zeros((1, 14, 2)), [1, 2], 0.2),
        (np.zeros((1, 14, 2)), np.zeros((1, 14, 2)), [1], 0),
    ],
)
def test_shapes_that_do_not_fit_are_refused(predicted: object, truth: object, size: object, threshold: float) -> None:
    with pytest.raises(InputError):
        metrics.hits(predicted, truth, size, threshold)  # type: ignore[arg-type]


# The protocols.


def test_lsp_scores_the_test_half_alone() -> None:
    truth = np.repeat(PERSON[None], 2000, 0)
    predicted = truth.copy()
    predicted[:1000] += 500  # the training half does not count
    predicted[1000:1100] += 500
    found = evaluate_landmarks(lsp_set(truth), predicted, "lsp")
    assert (found.labels, found.test_half, found.mean) == (1000, True, 0.9)
    assert "the 1000 test images, 1001 to 2000" in found.table()
    assert [row.part for row in found.rows] == ["Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Mean"]


def test_another_half_is_said_to_be_none() -> None:
    found = evaluate_landmarks(lsp_set(PERSON[None]), PERSON[None], "lsp")
    assert not found.test_half
    assert "NOT the 1000 test images" in found.table()


def test_predictions_from_the_viewers_side_are_noticed() -> None:
    truth = np.repeat(PERSON[None], 3, 0)
    observer = truth[:, metrics.mirrored(LSP_JOINTS)]
    found = evaluate_landmarks(lsp_set(truth), observer, "lsp")
    assert found.mean == 2 / 14  # neck and head top
    assert found.side_swapped == 1
    assert "Left and right look exchanged" in found.table()
    assert "exchanged" not in evaluate_landmarks(lsp_set(truth), truth, "lsp").table()


def test_box_scores_two_thresholds_of_the_longer_side() -> None:
    names = ("snout", "left_ear", "tail")
    truth = np.array([[(10, 10), (20, 10), (90, 30)]], np.float64)
    found = evaluate_landmarks(boxed_set(truth, names), truth + np.array([(5, 0), (0, 10), (0, 10.01)]), "box")
    assert {row.part: row.pck for row in found.rows} == {
        "snout": (1.0, 1.0),
        "left_ear": (0.0, 1.0),
        "tail": (0.0, 0.0),
        "Mean": (1 / 3, 2 / 3),
    }
    assert "sizes: 1 of 1 boxes of the set" in found.table()


def test_joints_that_were_not_predicted_at_all_are_named_and_not_scored() -> None:
    names = ("snout", "left_ear", "tail")
    truth = np.random.default_rng(0).uniform(0, 90, (4, 3, 2))
    found = evaluate_landmarks(boxed_set(truth, names, None), truth, "box", "mine", {"snout": "nose", "tail": "tail"})
    assert (found.joints, found.not_scored, found.boxes, found.mean) == (("snout", "tail"), ("left_ear",), 0, 1.0)
    assert "called otherwise by the predictions: snout (nose)\n" in found.table()
    assert "not scored, as the predictions do not have them: left_ear" in found.table()


def test_lsp_wants_all_fourteen_joints() -> None:
    with pytest.raises(InputError, match="no right_ankle"):
        evaluate_landmarks(boxed_set(np.ones((1, 3, 2)), ("snout", "neck", "tail")), np.ones((1, 3, 2)), "lsp")
    with pytest.raises(InputError, match="predictions: no neck"):
        evaluate_landmarks(lsp_set(PERSON[None]), PERSON[None], "lsp", "x", [j for j in LSP_JOINTS if j != "neck"])


def test_other_shapes_protocols_and_sets_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(2, 14, 2\)"):
        evaluate_landmarks(lsp_set(np.stack([PERSON, PERSON])), PERSON[None], "lsp")
    with pytest.raises(InputError, match="expected lsp or box"):
        evaluate_landmarks(lsp_set(PERSON[None]), PERSON[None], "pckh")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="predicts nothing"):
        evaluate_landmarks(lsp_set(PERSON[None]), np.full((1, 14, 2), np.nan), "lsp")
    plain = ImageSet((), (Annotation("a.png", None, np.empty((0, 2)), np.empty(0, bool)),), "images", "folder")
    with pytest.raises(InputError, match="without labels"):
        evaluate_landmarks(plain, np.empty((1, 0, 2)), "box")


# Prediction files.


def write_csv(path: Path, frames: list[str], poses: np.ndarray, names: tuple[str, ...] = LSP_JOINTS) -> Path:
    lines = ["frame," + ",".join(f"{name}_{axis}" for name in names for axis in "xy")]
    for frame, pose in zip(frames, poses, strict=True):
        lines.append(f"{frame}," + ",".join("" if np.isnan(v) else repr(float(v)) for v in pose.reshape(-1)))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_poses_of_human_are_scored_as_the_joints_that_lsp_means(tmp_path: Path) -> None:
    """LSP's neck is Human3.6M's thorax, whose own neck is the nose; its ankles are the feet there."""
    human, lsp = load_skeleton("human"), lsp_set(np.stack([PERSON, PERSON + 3]))
    poses, _, _ = onto_skeleton(lsp, human)
    poses[:, human.joints.index("neck")] = 1000, 1000
    poses[:, human.joints.index("spine")] = 1000, 1000
    path = write_csv(tmp_path / "p.csv", ["im0001.jpg", "im0002.jpg"], poses, human.joints)
    found, joints = read_predictions(str(path), lsp, "lsp")
    assert (joints["neck"], joints["left_ankle"], joints["head_top"]) == ("thorax", "left_foot", "head")
    np.testing.assert_array_equal(found, np.stack([PERSON, PERSON + 3]))
    assert evaluate_landmarks(lsp, found, "lsp", "mine", joints).mean == 1


def test_a_joint_that_is_nowhere_found_is_not_scored(tmp_path: Path) -> None:
    names = ("snout", "left_ear", "tail")
    truth = np.random.default_rng(0).uniform(0, 90, (4, 3, 2))
    data, found = boxed_set(truth, names), truth.copy()
    found[:, 2] = np.nan
    path = write_csv(tmp_path / "p.csv", [f"{n}.jpg" for n in range(4)], found, names)
    predicted, joints = read_predictions(str(path), data, "box")
    assert tuple(joints) == ("snout", "left_ear")
    assert evaluate_landmarks(data, predicted, "box", "mine", joints).mean == 1


def test_held_out_images_alone_are_scored_where_that_is_asked_for(tmp_path: Path) -> None:
    """A model that knows by heart what it was trained on, and nothing else."""
    names, count = ("snout", "tail"), 30
    truth = np.random.default_rng(0).uniform(10, 90, (count, 2, 2))
    files = [{"id": n, "file_name": f"{n}.png"} for n in range(count)]
    labels = [
        {"image_id": n, "category_id": 1, "bbox": [0, 0, 100, 100], "keypoints": [*map(float, (x, y, 2, v, w, 2))]}
        for n, ((x, y), (v, w)) in enumerate(truth)
    ]
    for file in files:
        (tmp_path / str(file["file_name"])).touch()
    document = {"images": files, "annotations": labels, "categories": [{"id": 1, "keypoints": names}]}
    (tmp_path / "set.json").write_text(json.dumps(document))
    held_out, trained = split(load_image_set(tmp_path / "set.json"))
    found = truth.copy()
    found[held_out] += 50
    path = write_csv(tmp_path / "p.csv", [f"{n}.png" for n in range(count)], found, names)
    every, honest = (
        evaluate_images(str(path), str(tmp_path / "set.json"), "box", None, only) for only in (False, True)
    )
    assert (every.mean, honest.mean) == (pytest.approx(len(trained) / count), 0)
    assert honest.labels == len(held_out)


def test_a_folder_of_plain_images_is_no_truth(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="images without labels; expected an annotated set"):
        read_predictions("none.csv", ImageSet((), (), "folder", "here"), "box")


def test_frames_are_matched_by_the_images_names_in_any_order(tmp_path: Path) -> None:
    truth = np.stack([PERSON + n for n in range(3)])
    path = write_csv(tmp_path / "p.csv", ["im0003.jpg", "im0001.jpg", "unknown.jpg"], truth[[2, 0, 1]])
    found, joints = read_predictions(str(path), lsp_set(truth), "lsp")
    assert joints == {joint: joint for joint in LSP_JOINTS}
    np.testing.assert_array_equal(found[[0, 2]], truth[[0, 2]])
    assert np.isnan(found[1]).all()
    result = evaluate_landmarks(lsp_set(truth), found, "lsp")
    assert (result.not_predicted, result.mean) == (1, pytest.approx(2 / 3))
    assert "without a prediction: 1 labels, counted as missed" in result.table()


def test_frames_of_another_folder_are_told(tmp_path: Path) -> None:
    truth = np.stack([PERSON, PERSON + 1])
    there = [Annotation(f"b/im{n}.jpg", None, pose, np.ones(14, bool)) for n, pose in enumerate(truth)]
    data = ImageSet(LSP_JOINTS, tuple(there), "LSP", "lsp")
    path = write_csv(tmp_path / "p.csv", ["a/im0.jpg", "im1.jpg"], truth)
    with pytest.warns(UserWarning, match=r"1 frames are of images of the same name in another folder .* a/im0\.jpg"):
        read_predictions(str(path), data, "lsp")


@pytest.mark.parametrize("count", [3, 2])
def test_numbered_frames_are_those_of_the_set_or_of_its_test_half(tmp_path: Path, count: int) -> None:
    truth = np.stack([PERSON + n for n in range(3)])
    data = lsp_set(truth, first=1000)  # the last two are test images
    np.savez(tmp_path / "p.npz", positions=truth[3 - count :], names=np.array(LSP_JOINTS))
    found, _ = read_predictions(str(tmp_path / "p.npz"), data, "lsp")
    np.testing.assert_array_equal(found[3 - count :], truth[3 - count :])
    np.savez(tmp_path / "p.npz", positions=truth[:1], names=np.array(LSP_JOINTS))
    with pytest.raises(InputError, match="1 numbered frames for 3 images"):
        read_predictions(str(tmp_path / "p.npz"), data, "lsp")


def test_names_spelt_otherwise_are_the_same_joints_but_near_ones_are_not(tmp_path: Path) -> None:
    names = tuple("Head" if n == "head_top" else n.title().replace("_", "") for n in LSP_JOINTS)
    path = write_csv(tmp_path / "p.csv", ["im0001.jpg"], PERSON[None], names)
    found, joints = read_predictions(str(path), lsp_set(PERSON[None]), "lsp")
    assert set(joints) == set(LSP_JOINTS)
    np.testing.assert_array_equal(found[0], PERSON)
    path = write_csv(
        tmp_path / "p.csv", ["im0001.jpg"], PERSON[None], tuple(n.replace("head_top", "nose") for n in LSP_JOINTS)
    )
    assert "head_top" not in read_predictions(str(path), lsp_set(PERSON[None]), "lsp")[1]


def coco(images: list[str], poses: list[tuple[int, np.ndarray]]) -> dict[str, object]:
    return {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(images)],
        "annotations": [
            {
                "image_id": n,
                "category_id": 1,
                "bbox": [0, 0, 100, 100],
                "keypoints": np.column_stack([pose, np.full(len(pose), 2)]).reshape(-1).tolist(),
            }
            for n, pose in poses
        ],
        "categories": [{"id": 1, "name": "mouse", "keypoints": ["snout", "tail"]}],
    }


def test_several_in_an_image_are_matched_nearest_first_and_each_once(tmp_path: Path) -> None:
    a, b = np.array([(10.0, 10), (20, 20)]), np.array([(60.0, 60), (70, 70)])
    (tmp_path / "truth.json").write_text(json.dumps(coco(["x.png"], [(0, a), (0, b)])))
    data = load_image_set(tmp_path / "truth.json")
    (tmp_path / "p.json").write_text(json.dumps(coco(["x.png"], [(0, b + 1), (0, a + 2)])))
    np.testing.assert_array_equal(read_predictions(str(tmp_path / "p.json"), data, "box")[0], [a + 2, b + 1])
    (tmp_path / "p.json").write_text(json.dumps(coco(["x.png"], [(0, a - 9), (0, a + 3)])))  # b's nearest is taken
    np.testing.assert_array_equal(read_predictions(str(tmp_path / "p.json"), data, "box")[0], [a + 3, a - 9])
    (tmp_path / "p.json").write_text(json.dumps(coco(["x.png"], [(0, b + 1)])))
    found, _ = read_predictions(str(tmp_path / "p.json"), data, "box")
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1], b + 1)


def test_images_of_one_name_need_more_of_their_path(tmp_path: Path) -> None:
    pose = np.array([(10.0, 10), (20, 20)])
    (tmp_path / "t.json").write_text(json.dumps(coco(["1/x.png", "2/x.png"], [(0, pose), (1, pose + 5)])))
    data = load_image_set(tmp_path / "t.json")
    (tmp_path / "p.json").write_text(json.dumps(coco(["2/x.png"], [(0, pose)])))
    found, _ = read_predictions(str(tmp_path / "p.json"), data, "box")
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1], pose)
    (tmp_path / "p.json").write_text(json.dumps(coco(["x.png"], [(0, pose)])))
    with pytest.raises(InputError, match="2 images are called so"):
        read_predictions(str(tmp_path / "p.json"), data, "box")
    (tmp_path / "p.json").write_text(json.dumps(coco(["y.png"], [(0, pose)])))
    with pytest.raises(InputError, match="none is an image of the set"):
        read_predictions(str(tmp_path / "p.json"), data, "box")
    (tmp_path / "p.csv").write_text("frame,wing_x,wing_y\n1/x.png,1,2\n")
    with pytest.raises(InputError, match="none of the joints"):
        read_predictions(str(tmp_path / "p.csv"), data, "box")


# The command.


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leave:
        main(["evaluate-images", *(str(arg) for arg in args)])
    out = capsys.readouterr()
    return int(leave.value.code or 0), out.out, out.err


@pytest.fixture
def lsp(tmp_path: Path) -> Path:
    truth = np.stack([PERSON + n for n in range(4)])
    joints = np.concatenate([truth, np.zeros((4, 14, 1))], axis=2).transpose(2, 1, 0)
    savemat(tmp_path / "joints.mat", {"joints": joints})
    predicted = truth.copy()
    predicted[:, 6] += 40  # right wrists
    write_csv(tmp_path / "p.csv", [f"im{n + 1:04}.jpg" for n in range(4)], predicted)
    return tmp_path


def test_the_command_prints_the_table_and_writes_its_json(lsp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(
        capsys, "--predictions", lsp / "p.csv", "--set", lsp, "--protocol", "lsp", "--json", lsp / "found.json"
    )
    assert (code, err) == (0, "")
    assert "Wrist" in out
    rows = {
        line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith(("Wrist", "Mean ", "Head "))
    }
    assert rows == {"Head": ["8", "100.0"], "Wrist": ["8", "50.0"], "Mean": ["56", "92.9"]}
    document = json.loads((lsp / "found.json").read_text())
    assert document["rows"][-1] == {"part": "Mean", "scored": 56, "pck": [52 / 56]}
    assert document == json.loads(json.dumps(evaluate_images(str(lsp / "p.csv"), str(lsp), "lsp").json()))


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        ({"--predictions": "none.csv"}, "none.csv"),
        ({"--set": "nowhere"}, "nowhere: is not there"),
        ({"--protocol": "pck"}, "'lsp', 'box'"),
        ({"--json": "p.csv"}, "is there already"),
        ({"--json": "no/where.json"}, "its folder is not there"),
    ],
)
def test_wrong_arguments_end_in_one_line(
    lsp: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, replaced: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(lsp)
    options = {"--predictions": "p.csv", "--set": ".", "--protocol": "lsp", **replaced}
    code, out, err = run(capsys, *(text for pair in options.items() for text in pair))
    assert (code, out) == (2, "")
    assert err.startswith("error:")
    assert err.count("\n") == 1
    assert said in err
