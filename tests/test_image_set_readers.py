"""Readers of other people's annotated image sets: one contract for all, and what is peculiar to each format."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from image_set_contract import Form, ImageSetContract, Label, refused
from matlab_values import cells, structs
from PIL import Image
from real_data import SAMPLES, real
from scipy.io import savemat
from set_joints import POSETRACK

from lifter.data.images import load_image, load_image_set
from lifter.data.images.coco import AP10K
from lifter.data.images.lsp import LSP_JOINTS
from lifter.data.images.mpii import MPII_JOINTS
from lifter.data.images.onto_skeleton import as_keypoints, onto_skeleton
from lifter.data.images.tigdog import TIGDOG_JOINTS
from posesynth import load_skeleton
from posesynth.errors import InputError

MICE = ("snout", "left_ear", "right_ear", "tail_base")


def triples(label: Label, highest: int) -> list[float]:
    """Flat x, y, v: v is 0 where missing, `highest` where visible."""
    v = np.where(np.isnan(label.keypoints[:, 0]), 0, np.where(label.visible, highest, 1))
    return np.column_stack([np.nan_to_num(label.keypoints), v]).reshape(-1).tolist()


def coco(given: list[Label], names: tuple[str, ...], highest: int = 2, **of_image: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 7 + n, "file_name": label.image, **of_image} for n, label in enumerate(given)],
        "annotations": [
            {"image_id": 7 + n, "category_id": 2, "bbox": list(label.box), "keypoints": triples(label, highest)}
            for n, label in enumerate(given)
        ],
        "categories": [{"id": 1, "name": "chair"}, {"id": 2, "name": "x", "keypoints": list(names)}],
    }


def write_json(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


class TestLsp(ImageSetContract):
    form = Form(
        "LSP", LSP_JOINTS, ["im0001.jpg", "im0002.jpg", "im0003.jpg", "im0004.jpg"],
        missing=False, names_images=False, label_file="joints.mat",
    )  # fmt: skip

    def write(self, folder: Path, given: list[Label]) -> Path:
        joints = np.array([np.column_stack([label.keypoints, ~label.visible]) for label in given])
        savemat(folder / "joints.mat", {"joints": joints.transpose(2, 1, 0)}, do_compression=True)
        return folder

    def test_four_digits_name_its_images(self, tmp_path: Path) -> None:
        (tmp_path / "images").mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / "images" / "im0001.jpg")
        found = self.read(tmp_path)
        assert [os.path.relpath(path, tmp_path) for path in found.images()] == [f"images/{n}" for n in self.form.images]

    def test_one_means_hidden_and_the_joint_is_kept(self, tmp_path: Path) -> None:
        joints = np.ones((3, 14, 1))
        savemat(tmp_path / "joints.mat", {"joints": joints})
        found = load_image_set(tmp_path / "joints.mat")
        assert not found.visible.any()
        assert (found.keypoints == 1).all()


class TestLspExtended(ImageSetContract):
    form = Form(
        "LSP-extended", LSP_JOINTS, ["im00001.jpg", "im00002.jpg", "im00003.jpg"],
        hidden=False, names_images=False, label_file="joints.mat",
    )  # fmt: skip

    def write(self, folder: Path, given: list[Label]) -> Path:
        # What is not visible lies anywhere.
        joints = [np.column_stack([np.nan_to_num(label.keypoints, nan=-9e4), label.visible]) for label in given]
        savemat(folder / "joints.mat", {"joints": np.array(joints).transpose(1, 2, 0)})
        return folder / "joints.mat"

    def test_three_images_do_not_confuse_the_axes(self, tmp_path: Path) -> None:
        assert load_image_set(self.write(tmp_path, self.given())).keypoints.shape == (3, 14, 2)


class TestCoco(ImageSetContract):
    form = Form("COCO", MICE, boxed=True, label_file="labels.json")

    def write(self, folder: Path, given: list[Label]) -> Path:
        write_json(folder / "labels.json", coco(given, MICE))
        return folder

    def test_images_are_found_where_coco_puts_them(self, tmp_path: Path) -> None:
        path = write_json(tmp_path / "annotations" / "person_keypoints_val2017.json", coco(self.given(), MICE))
        (tmp_path / "val2017").mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / "val2017" / "b.png")
        assert {Path(path).parent.resolve() for path in load_image_set(path).images()} == {tmp_path / "val2017"}

    def test_several_people_of_one_image_are_several_labels(self, tmp_path: Path) -> None:
        document = coco(self.given(), MICE)
        for entry in document["annotations"]:
            entry["image_id"] = 7
        found = load_image_set(write_json(tmp_path / "a.json", document))
        assert len(found.annotations) == 3
        assert found.images() == (str(tmp_path / "a.png"),)

    def test_where_v_is_never_two_one_means_visible(self, tmp_path: Path) -> None:
        given = self.given()
        for label in given:
            label.visible[:] = False
        found = load_image_set(write_json(tmp_path / "a.json", coco(given, MICE)))
        np.testing.assert_array_equal(found.visible, np.isfinite(found.keypoints).all(-1))

    @pytest.mark.parametrize("box", [[0, 0, 0, 0], [], None])
    def test_an_empty_box_is_none(self, tmp_path: Path, box: Any) -> None:
        document = coco(self.given(), MICE)
        document["annotations"][0]["bbox"] = box
        assert load_image_set(write_json(tmp_path / "a.json", document)).annotations[0].box is None

    @pytest.mark.parametrize("box", [[1, 2, 3], "1 2 3 4", [1, 2, 3, None], [1, 2, float("nan"), 4], [1, 2, 3, True]])
    def test_what_is_no_box_is_refused(self, tmp_path: Path, box: Any) -> None:
        document = coco(self.given(), MICE)
        document["annotations"][0]["bbox"] = box
        refused(write_json(tmp_path / "a.json", document), "annotations[0].bbox", "expected four numbers")

    def test_faults_of_references_are_named(self, tmp_path: Path) -> None:
        document = coco(self.given(), MICE)
        document["annotations"][1]["image_id"] = 99
        refused(write_json(tmp_path / "a.json", document), "annotations[1].image_id", "99")
        document = coco(self.given(), MICE)
        document["images"][1]["id"] = 7
        refused(write_json(tmp_path / "a.json", document), "images[1].id", "twice")
        del document["images"][0]["file_name"]
        refused(write_json(tmp_path / "a.json", document), "images[0].file_name")


class TestAp10k(ImageSetContract):
    form = Form("AP-10K", AP10K, boxed=True, label_file="labels.json")

    def write(self, folder: Path, given: list[Label]) -> Path:
        return write_json(folder / "labels.json", coco(given, AP10K))


class TestPoseTrack(ImageSetContract):
    images = ("images/val/1/a.jpg", "images/val/1/b.jpg", "images/val/2/a.jpg")
    form = Form("PoseTrack18", POSETRACK, images, hidden=False, boxed=True, label_file="annotations/val/1.json")

    def write(self, folder: Path, given: list[Label]) -> Path:
        for n, part in ((1, given[:2]), (2, given[2:])):
            document = coco(part, POSETRACK, highest=1, vid_id=str(n), is_labeled=True)
            document["annotations"].append({"image_id": 7, "category_id": 2, "bbox_head": [], "keypoints": []})
            write_json(folder / "annotations" / "val" / f"{n}.json", document)
        (folder / "images" / "val" / "1").mkdir(parents=True, exist_ok=True)
        return folder / "annotations" / "val"

    def test_images_that_are_not_there_are_counted_and_told_when_loaded(self, tmp_path: Path) -> None:
        # The names begin with images/, two folders above the label files: found once any image is there.
        self.write(tmp_path, self.given())
        Image.new("RGB", (8, 6)).save(tmp_path / "images" / "val" / "1" / "b.jpg")
        found = load_image_set(tmp_path / "annotations" / "val")
        assert load_image(found.images()[1]).shape == (6, 8, 3)
        assert len(found.missing()) == 2

    def test_one_video_alone_is_a_set(self, tmp_path: Path) -> None:
        found = load_image_set(self.write(tmp_path, self.given()) / "2.json")
        assert (found.kind, len(found.annotations)) == ("PoseTrack18", 1)

    def test_label_files_of_another_set_have_to_be_named(self, tmp_path: Path) -> None:
        for name in ("train.json", "val.json"):
            write_json(tmp_path / name, coco(labels_of(2), MICE))
        refused(tmp_path, "2 label files, train.json, val.json", "name it")

    def test_videos_of_other_joints_are_refused(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, self.given())
        write_json(path / "3.json", coco(labels_of(1), MICE, vid_id="3"))
        refused(path, "3.json", "other joints")


def labels_of(count: int) -> list[Label]:
    return [Label(f"{n}.png", np.ones((4, 2)), np.ones(4, np.bool_), (0, 0, 5, 5)) for n in range(count)]


class TestAnimalPose(ImageSetContract):
    form = Form("Animal-Pose", MICE, hidden=False, boxed=True, label_file="keypoints.json")

    def write(self, folder: Path, given: list[Label]) -> Path:
        document = coco(given, MICE, highest=1)
        document["images"] = {str(7 + n): label.image for n, label in enumerate(given)}
        for entry in document["annotations"]:
            x, y, w, h = entry["bbox"]
            entry["bbox"] = [x, y, x + w, y + h]
            entry["keypoints"] = np.reshape(entry["keypoints"], (-1, 3)).tolist()
        return write_json(folder / "keypoints.json", document)


class TestMpiiJson(ImageSetContract):
    form = Form("MPII", MPII_JOINTS, hidden=False, boxed=True, label_file="valid.json")

    def given(self) -> list[Label]:
        given = super().given()
        for n, label in enumerate(given):
            label.box = (100.0 - 50 * (n + 1), 90.0 - 50 * (n + 1), 100.0 * (n + 1), 100.0 * (n + 1))
        return given

    def write(self, folder: Path, given: list[Label]) -> Path:
        document = [
            {
                "image": label.image,
                "joints": np.nan_to_num(label.keypoints, nan=-1).tolist(),
                "joints_vis": label.visible.astype(int).tolist(),
                "center": [100.0, 90.0],
                "scale": label.box[2] / 200,
            }
            for label in given
        ]
        return write_json(folder / "valid.json", document)

    def test_images_without_joints_are_left_out(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, self.given())
        document = json.loads(path.read_text())
        path.write_text(json.dumps([{"image": "t.png", "center": [-1, -1], "scale": -1}, *document]))
        assert len(load_image_set(path).annotations) == len(document)

    def test_ragged_joints_are_refused(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, self.given())
        document = json.loads(path.read_text())
        document[2]["joints"][3] = [1]
        refused(write_json(path, document), "[2].joints", "(16, 2)")


class TestMpiiMat(TestMpiiJson):
    form = Form("MPII", MPII_JOINTS, boxed=True, label_file="release.mat")

    def person(self, label: Label) -> dict[str, Any]:
        points = [
            {"x": x, "y": y, "id": k, "is_visible": [] if k == 9 and seen else str(int(seen)) if k % 2 else int(seen)}
            for k, ((x, y), seen) in enumerate(zip(label.keypoints, label.visible, strict=True))
            if x == x
        ]
        annopoints = {"point": structs(points)} if points else []
        return {"scale": label.box[2] / 200, "objpos": {"x": 100.0, "y": 90.0}, "annopoints": annopoints}

    def write(self, folder: Path, given: list[Label]) -> Path:
        annolist = [{"image": {"name": label.image}, "annorect": structs([self.person(label)])} for label in given]
        annolist.append({"image": {"name": "test.jpg"}, "annorect": []})
        annolist.append({"image": {"name": "test2.jpg"}, "annorect": structs([{"scale": 1.0, "annopoints": []}])})
        savemat(folder / "release.mat", {"RELEASE": {"annolist": structs(annolist)}}, do_compression=True)
        return folder

    def test_two_people_of_an_image_are_two_labels(self, tmp_path: Path) -> None:
        given = self.given()
        people = structs([self.person(given[0]), self.person(given[1])])
        release = {"annolist": structs([{"image": {"name": "a.png"}, "annorect": people}])}
        savemat(tmp_path / "m.mat", {"RELEASE": release})
        found = load_image_set(tmp_path / "m.mat")
        assert [a.image for a in found.annotations] == [str(tmp_path / "a.png")] * 2

    def test_a_person_of_one_joint_is_read(self, tmp_path: Path) -> None:
        label = self.given()[0]
        label.keypoints[1:] = np.nan
        label.keypoints[0] = (3, 4)
        assert np.nansum(load_image_set(self.write(tmp_path, [label])).keypoints) == 7

    test_images_without_joints_are_left_out = None  # type: ignore[assignment]  # each set written has some
    test_ragged_joints_are_refused = None  # type: ignore[assignment]


class TestTigDog(ImageSetContract):
    images = ("horse/00000005.jpg", "horse/00000006.jpg", "tiger/00000031.jpg")
    form = Form("TigDog", TIGDOG_JOINTS, images, hidden=False, names_images=False, label_file="landmarks/horse/4.mat")
    # Where each of the horse's landmarks stands in a tiger's file, counted from 1.
    tiger = (*range(1, 9), 15, 16, 17, 18, 13, 14, 9, 10, 11, 12)

    def write(self, folder: Path, given: list[Label]) -> Path:
        for animal, shots in (("horse", [[4, 5, 6], [9, 7, 8]]), ("tiger", [[2, 31, 31]])):
            (folder / "ranges" / animal).mkdir(parents=True, exist_ok=True)
            (folder / "landmarks" / animal).mkdir(parents=True, exist_ok=True)
            savemat(folder / "ranges" / animal / "ranges.mat", {"ranges": np.array(shots)})
        self.shot(folder / "landmarks" / "horse" / "4.mat", given[:2], tuple(range(1, 19)))
        self.shot(folder / "landmarks" / "tiger" / "2.mat", given[2:], self.tiger)
        return folder

    def shot(self, path: Path, given: list[Label], order: tuple[int, ...]) -> None:
        frames = []
        for label in given:
            positions, visible = np.zeros((19, 2)), np.zeros((19, 1))
            for k, place in enumerate(order):
                positions[place - 1] = np.nan_to_num(label.keypoints[k])
                visible[place - 1] = label.visible[k]
            frames.append(structs([{"p": positions, "v": visible}]))
        savemat(path, {"landmarks": cells(frames).T})

    def test_fewer_frames_than_the_range_are_refused(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, self.given())
        self.shot(tmp_path / "landmarks" / "horse" / "4.mat", self.given()[:1], tuple(range(1, 19)))
        refused(path, "4.mat", "1 frames; expected 2")


class TestDeepLabCutCsv(ImageSetContract):
    form = Form(
        "DeepLabCut", MICE, ["v1/img1.png", "v1/img2.png", "v2/img1.png"],
        hidden=False, label_file="labeled-data/v1/CollectedData_me.csv",
    )  # fmt: skip

    def write(self, folder: Path, given: list[Label]) -> Path:
        (folder / "config.yaml").write_text("scorer: me\nbodyparts:\n- snout\n")
        for video in ("v1", "v2"):
            part = [label for label in given if not label.image.startswith("v2" if video == "v1" else "v1")]
            (folder / "labeled-data" / video).mkdir(parents=True, exist_ok=True)
            self.table(folder / "labeled-data" / video, part)
        return folder

    def table(self, folder: Path, part: list[Label]) -> None:
        lines = ["scorer,,," + ",".join(["me"] * 8), "bodyparts,,," + ",".join(name for name in MICE for _ in "xy")]
        lines.append("coords,,," + ",".join(["x", "y"] * 4))
        for label in part:
            video, _, name = label.image.partition("/")
            index = f"labeled-data,{video},{name}" if video in ("v1", "v2") else f"{label.image},,"
            values = ("" if np.isnan(v) else repr(float(v)) for v in label.keypoints.reshape(-1))
            lines.append(f"{index}," + ",".join(values))
        (folder / "CollectedData_me.csv").write_text("\n".join(lines) + "\n")

    def test_a_project_that_was_moved_finds_its_images(self, tmp_path: Path) -> None:
        found = self.read(tmp_path)
        assert found.images() == tuple(str(tmp_path / "labeled-data" / image) for image in self.form.images)
        assert load_image_set(tmp_path / "config.yaml").images() == found.images()

    def test_labels_of_two_people_are_refused(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, self.given())
        first = path / "labeled-data" / "v1" / "CollectedData_me.csv"
        first.with_name("CollectedData_you.csv").write_bytes(first.read_bytes())
        refused(path, "labels of several people", "CollectedData_you.csv")

    def test_a_track_is_no_image_set(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("scorer,me,me\nbodyparts,snout,snout\ncoords,x,y\n0,1,2\n")
        refused(tmp_path / "t.csv", "rows are numbered")


class TestDeepLabCutH5(TestDeepLabCutCsv):
    form = Form(
        "DeepLabCut", MICE, ["v1/img1.png", "v1/img2.png", "v2/img1.png"],
        hidden=False, label_file="labeled-data/v1/CollectedData_me.h5",
    )  # fmt: skip

    def table(self, folder: Path, part: list[Label]) -> None:
        index = np.array(
            [(label.image if "out" in label.image else f"labeled-data/{label.image}").encode() for label in part]
        )
        values = np.array([label.keypoints.reshape(-1) for label in part]).reshape(-1, 8)
        records = np.empty(len(values), [("index", index.dtype), ("values_block_0", "<f8", (8,))])
        records["index"], records["values_block_0"] = index, values
        names = [("me", part_, axis) for part_ in MICE for axis in "xy"]
        with h5py.File(folder / "CollectedData_me.h5", "w") as file:
            group = file.create_group("df_with_missing")
            group.attrs["pandas_type"] = np.bytes_(b"frame_table")
            table = group.create_dataset("table", data=records)
            table.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(names, 0))

    test_labels_of_two_people_are_refused = None  # type: ignore[assignment]  # that of the csv tells

    def test_names_that_run_code_are_never_run(self, tmp_path: Path) -> None:
        class Bad:
            def __reduce__(self) -> Any:
                return os.mkdir, (str(tmp_path / "ran"),)

        path = self.write(tmp_path, self.given())
        with h5py.File(tmp_path / self.form.label_file, "r+") as file:
            file["df_with_missing/table"].attrs["values_block_0_kind"] = np.bytes_(pickle.dumps([Bad()], 0))
        refused(path, "stored objects are never run")
        assert not (tmp_path / "ran").exists()


# Folders, and what is nothing of all this.


def test_a_plain_folder_gives_its_images_sorted_and_no_names(tmp_path: Path) -> None:
    for name in ("b.png", "sub/c.JPG", "a.jpeg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    found = load_image_set(tmp_path)
    assert (found.kind, found.names) == ("images", ())
    assert [os.path.relpath(path, tmp_path) for path in found.images()] == ["a.jpeg", "b.png", "sub/c.JPG"]
    assert found.keypoints.shape == (3, 0, 2)
    with pytest.raises(InputError, match="images without labels"):
        as_keypoints(found)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.json", b"[]", "neither"),
        ("x.json", b"[1]", "expected {image"),
        ("x.json", b"{}", "no 'images'"),
        ("x.json", b"not json", "not JSON"),
        ("x.json", b"\xff\xfe", "UTF-8"),
        ("x.mat", b"", "MATLAB"),
        ("x.mat", b"MATLAB 5.0" + bytes(200), "MATLAB"),
        ("x.csv", b"a,b\n1,2\n", "joint"),
        ("x.txt", b"hello", "unknown kind"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    line = refused(tmp_path / name, said)
    assert line.startswith((str(tmp_path / name)[:90], "..."))


def test_what_is_not_there_and_what_is_empty_is_told(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "is not there")
    refused(tmp_path, "neither labels nor images")


def test_a_matlab_file_of_other_things_is_told(tmp_path: Path) -> None:
    savemat(tmp_path / "x.mat", {"weights": np.zeros(3)})
    refused(tmp_path / "x.mat", "holds 'weights'")
    with h5py.File(tmp_path / "new.mat", "w") as file:
        file["joints"] = np.zeros((3, 14, 2))
    refused(tmp_path / "new.mat", "version 7.3")


def test_joints_of_another_shape_or_flag_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "joints.mat", {"joints": np.zeros((3, 16, 5))})
    refused(tmp_path, "(3, 16, 5)", "(3, 14, N)")
    savemat(tmp_path / "joints.mat", {"joints": np.full((3, 14, 5), 0.5)})
    refused(tmp_path, "visibility")


# Onto a skeleton.


def test_joints_of_ap10k_are_those_of_a_quadruped(tmp_path: Path) -> None:
    found = load_image_set(TestAp10k().write(tmp_path, TestAp10k().given()))
    quadruped = load_skeleton("quadruped")
    points, _, matched = onto_skeleton(found, quadruped)
    assert matched.absent == ()
    assert matched.joints["left_hind_paw"] == ("left_back_paw",)
    np.testing.assert_array_equal(points[:, quadruped.joints.index("neck")], found.keypoints[:, 3])


@pytest.mark.parametrize(
    ("names", "skeleton", "absent"),
    [
        (MPII_JOINTS, "human", ("spine",)),
        (POSETRACK, "human", ("spine",)),
        (TIGDOG_JOINTS, "quadruped", ("tail", "left_hip", "right_hip")),
        (TIGDOG_JOINTS, "dog", ("tail", "left_hip", "right_hip")),
    ],
)
def test_no_joint_changes_sides(tmp_path: Path, names: tuple[str, ...], skeleton: str, absent: Any) -> None:
    given = [Label("a.png", np.arange(2.0, 2 + 2 * len(names)).reshape(-1, 2), np.ones(len(names), bool), (0, 0, 9, 9))]
    found = load_image_set(write_json(tmp_path / "a.json", coco(given, names)))
    *_, matched = onto_skeleton(found, load_skeleton(skeleton))
    for joint, taken in matched.joints.items():
        for side, other in (("left", "right"), ("right", "left")):
            assert not (side in joint and any(other in name for name in taken))
    assert matched.absent == absent


# Real files.


@real
@pytest.mark.parametrize(
    ("sample", "kind", "labels", "joints", "missing", "skeleton"),
    [
        ("coco", "COCO", 12, 17, 2, "human"),
        ("ap10k", "AP-10K", 2, 17, 1, "quadruped"),
        ("mpii", "MPII", 5, 16, 3, "human"),
        ("freihand", "COCO", 8, 21, 4, "hand"),
        ("rhd", "COCO", 3, 21, 0, "hand"),
        ("dlc_reaching", "DeepLabCut", 55, 5, 52, None),
    ],
)
def test_real_samples(sample: str, kind: str, labels: int, joints: int, missing: int, skeleton: str | None) -> None:
    found = load_image_set(SAMPLES / sample)
    assert (found.kind, len(found.annotations), len(found.names)) == (kind, labels, joints)
    assert len(found.missing()) == missing
    for path in set(found.images()) - set(found.missing()):
        height, width, _ = load_image(path).shape
        mine = [a.keypoints for a in found.annotations if a.image == path]
        points = np.concatenate(mine)
        points = points[np.isfinite(points).all(1)]
        assert (points >= 0).all()
        assert (points <= (width, height)).all()
    if skeleton is not None:
        points, _, matched = onto_skeleton(found, load_skeleton(skeleton))
        assert len(matched.absent) <= 2
        assert np.isfinite(points).any()


@real
def test_csv_and_h5_of_a_real_project_agree() -> None:
    both = [load_image_set(SAMPLES / "dlc_reaching" / f"CollectedData_Mackenzie.{ending}") for ending in ("csv", "h5")]
    np.testing.assert_array_equal(both[0].keypoints, both[1].keypoints)
    assert both[0].images() == both[1].images()
