"""Readers of other people's 2D keypoints: what they must read."""

import json
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keypoint_files import (
    ANIMALS,
    NAMES,
    coco,
    deeplabcut_csv,
    deeplabcut_fixed,
    deeplabcut_table,
    labelled,
    points,
    refused,
    sleap_h5,
    write_json,
)
from real_data import SAMPLES, real

from lifter.data.keypoints import Keypoints, load_keypoints


def same(found: Keypoints, positions: np.ndarray, confidence: np.ndarray | None) -> None:
    np.testing.assert_array_equal(found.positions, positions)
    np.testing.assert_array_equal(found.confidence, np.nan if confidence is None else confidence)
    assert found.positions.dtype == found.confidence.dtype == np.float64


@pytest.mark.parametrize("animals", [1, 2])
@pytest.mark.parametrize("scored", [True, False])
def test_deeplabcut_csv_gives_back_what_was_written(tmp_path: Path, animals: int, scored: bool) -> None:
    positions, confidence = points(animals=animals)
    found = load_keypoints(deeplabcut_csv(tmp_path / "a.csv", positions, confidence if scored else None))
    same(found, positions, confidence if scored else None)
    assert found.kind == "DeepLabCut csv"
    assert (found.names, found.frames) == (NAMES, (0, 1, 2, 3))
    assert found.individuals == (ANIMALS if animals == 2 else ("",))


def test_an_index_of_several_columns_is_one_path(tmp_path: Path) -> None:
    positions, _ = points(2)
    found = load_keypoints(deeplabcut_csv(tmp_path / "a.csv", positions, None, ["labeled,v,1.png", "labeled,v,2.png"]))
    assert found.frames == ("labeled/v/1.png", "labeled/v/2.png")
    same(found, positions, None)


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_a_table_may_be_parted_by_tabs_or_semicolons(tmp_path: Path, delimiter: str) -> None:
    positions, confidence = points(animals=2)
    path = deeplabcut_csv(tmp_path / "a.csv", positions, confidence)
    path.write_text(path.read_text().replace(",", delimiter))
    same(load_keypoints(path), positions, confidence)
    path.write_text("a_x,a_y,b_x,b_y\n1,2,3,4\n,,5,6\n".replace(",", delimiter))
    found = load_keypoints(path)
    assert found.names == ("a", "b")
    np.testing.assert_array_equal(found.positions[:, 0], [[[1, 2], [3, 4]], [[np.nan] * 2, [5, 6]]])


def test_individuals_may_have_body_parts_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    head = "scorer,D,D,D,D\nindividuals,m1,m1,single,single\nbodyparts,snout,snout,corner,corner\ncoords,x,y,x,y\n"
    path.write_text(head + "0,1,2,3,4\n")
    found = load_keypoints(path)
    assert (found.names, found.individuals) == (("snout", "corner"), ("m1", "single"))
    np.testing.assert_array_equal(found.positions[0], [[[1, 2], [np.nan] * 2], [[np.nan] * 2, [3, 4]]])


def test_columns_that_are_no_coordinates_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("scorer,E,E,E,E\nbodyparts,a,a,a,a\ncoords,x,y,likelihood,x_ens_var\n0,1,2,0.5,oops\n")
    found = load_keypoints(path)
    assert found.positions.tolist() == [[[[1, 2]]]]
    assert found.confidence.tolist() == [[[0.5]]]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_quotes_and_a_byte_order_mark_change_nothing(tmp_path: Path, ending: str, mark: str) -> None:
    path = tmp_path / "a.csv"
    lines = ["scorer,D,D", 'bodyparts,"a","a"', "coords,x,y", '"img 1.png",1,2', "img 2.png,3,4", ""]
    path.write_bytes((mark + ending.join(lines)).encode())
    found = load_keypoints(path)
    assert found.frames == ("img 1.png", "img 2.png")
    assert found.positions.ravel().tolist() == [1, 2, 3, 4]


@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=4, max_size=4).filter(any),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_number_and_every_gap_survives_the_table(tmp_path: Path, rows: list[list[float | None]]) -> None:
    path = tmp_path / "a.csv"
    body = "".join(",".join("" if v is None else repr(v) for v in row) + "\n" for row in rows)
    path.write_text("a_x,a_y,b_x,b_y\n" + body)
    wanted = np.array([[np.nan if v is None else v for v in row] for row in rows]).reshape(-1, 1, 2, 2)
    wanted[np.isnan(wanted).any(axis=-1)] = np.nan  # half a point is no point
    if np.isnan(wanted).all():
        refused(path, "no joint is seen")
    else:
        same(load_keypoints(path), wanted, None)


def test_blocks_of_a_large_table_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    positions, confidence = points(50, 2)
    path = deeplabcut_csv(tmp_path / "a.csv", positions, confidence)
    for size in (1, 100, 5000):
        monkeypatch.setattr("lifter.data.number_table._BLOCK", size)
        same(load_keypoints(path), positions, confidence)


@pytest.mark.parametrize("animals", [1, 2])
def test_deeplabcut_h5_tables_agree_with_the_csv(tmp_path: Path, animals: int) -> None:
    positions, confidence = points(animals=animals)
    found = load_keypoints(deeplabcut_table(tmp_path / "a.h5", positions, confidence, np.arange(4)))
    csv = load_keypoints(deeplabcut_csv(tmp_path / "a.csv", positions, confidence))
    same(found, csv.positions, csv.confidence)
    assert (found.names, found.individuals, found.frames) == (csv.names, csv.individuals, csv.frames)
    assert found.kind == "DeepLabCut h5"


@pytest.mark.parametrize("animals", [1, 2])
def test_deeplabcut_h5_in_blocks_agrees_with_the_csv(tmp_path: Path, animals: int) -> None:
    positions, _ = points(animals=animals)
    index = [("labeled", "v", f"{t}.png") for t in range(4)]
    found = load_keypoints(deeplabcut_fixed(tmp_path / "a.h5", positions, index))
    same(found, positions, None)
    assert found.frames == tuple("/".join(entry) for entry in index)
    assert found.names == NAMES


@pytest.mark.parametrize("scored", [True, False])
def test_sleap_analysis_gives_back_what_was_written(tmp_path: Path, scored: bool) -> None:
    positions, confidence = points(animals=2)
    found = load_keypoints(sleap_h5(tmp_path / "a.analysis.h5", positions, confidence if scored else None, ("A", "B")))
    same(found, positions, confidence if scored else None)
    assert (found.names, found.individuals) == (NAMES, ("A", "B"))


def test_sleap_axes_are_taken_from_their_names(tmp_path: Path) -> None:
    positions, confidence = points(5, 2)
    path = sleap_h5(tmp_path / "a.h5", positions, None)
    with h5py.File(path, "a") as file:
        del file["tracks"]
        file["tracks"] = positions
        file["tracks"].attrs["dims"] = json.dumps(["frame", "track", "node", "xy"])
        file["point_scores"] = confidence
    found = load_keypoints(path)
    same(found, positions, confidence)
    assert found.individuals == ("track_0", "track_1")


def test_coco_frames_are_images_and_individuals_their_annotations(tmp_path: Path) -> None:
    annotations = [labelled(1), labelled(1, [[9, 8, 2]] * 3), {"image_id": 0, "category_id": 1}, labelled(0, [0] * 9)]
    found = load_keypoints(write_json(tmp_path / "a.json", coco(annotations, 3)))
    assert found.frames == ("0.jpg", "1.jpg", "2.jpg")
    assert found.individuals == ("individual1", "individual2")
    assert np.isnan(found.positions[[0, 2]]).all()
    assert found.positions[1, 0, :2].tolist() == [[1, 2], [3, 4]]
    assert np.isnan(found.positions[1, 0, 2]).all()
    assert (found.positions[1, 1] == [9, 8]).all()
    assert np.isnan(found.confidence).all()


def test_coco_tracks_and_scores(tmp_path: Path) -> None:
    swapped = [
        labelled(0, [1, 1, 0.5] * 3, track_id=7),
        labelled(0, [2, 2, 0.9] * 3, track_id=3),
        labelled(1, [4, 4, 0.8] * 3, track_id=3),
    ]
    found = load_keypoints(write_json(tmp_path / "a.json", coco(swapped)))
    assert found.individuals == ("7", "3")
    assert found.positions[:, 1, 0, 0].tolist() == [2, 4]
    assert found.confidence[:, 1, 0].tolist() == [0.9, 0.8]
    assert np.isnan(found.positions[1, 0]).all()


@pytest.mark.parametrize("sign", ["_", ".", " "])
def test_plain_csv_with_confidence_and_image_names(tmp_path: Path, sign: str) -> None:
    path = tmp_path / "a.csv"
    header = ",".join(["image", "left_ear_x", "left_ear_y", "left_ear_score", "note"]).replace("_", sign)
    path.write_text(header + "\na.png,1,2,.25,fine\nb.png,,,,\n")
    found = load_keypoints(path)
    assert found.names == (f"left{sign}ear",)
    assert found.frames == ("a.png", "b.png")
    assert found.positions[0].tolist() == [[[1, 2]]]
    assert found.confidence[0].tolist() == [[0.25]]
    assert np.isnan(found.positions[1]).all()


def test_a_long_table_has_a_line_for_each_individual(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    header = "track,frame_idx,instance.score,nose.x,nose.y,nose.score"
    path.write_text(header + "\nB,5,1,1,2,.5\nA,5,1,3,4,.6\nA,9,1,5,6,.7\n")
    found = load_keypoints(path)
    assert (found.names, found.individuals, found.frames) == (("nose",), ("B", "A"), (5, 9))
    np.testing.assert_array_equal(found.positions[:, :, 0], [[[1, 2], [3, 4]], [[np.nan] * 2, [5, 6]]])
    np.testing.assert_array_equal(found.confidence[:, :, 0], [[0.5, 0.6], [np.nan, 0.7]])


@pytest.mark.parametrize("animals", [1, 2])
def test_npz_gives_back_what_was_written(tmp_path: Path, animals: int) -> None:
    positions, confidence = points(animals=animals)
    single = animals == 1
    np.savez(
        tmp_path / "a.npz",
        positions=positions[:, 0] if single else positions,
        confidence=confidence[:, 0] if single else confidence,
        names=np.array(NAMES),
        frames=np.arange(4) + 10,
        **({} if single else {"individuals": np.array(ANIMALS)}),
    )
    found = load_keypoints(tmp_path / "a.npz")
    same(found, positions, confidence)
    assert found.frames == (10, 11, 12, 13)
    assert found.individuals == (("",) if single else ANIMALS)


def test_an_hour_of_20_body_parts_loads_in_seconds(tmp_path: Path) -> None:
    frames = 108_000 // 6  # a sixth of the hour, so that the suite stays quick
    rng = np.random.default_rng(0)
    names = [f"p{j}" for j in range(20)]
    rows = ["D," * 60, "".join(f"{name}," * 3 for name in names), "x,y,likelihood," * 20]
    head = [f"{kind},{row[:-1]}" for kind, row in zip(("scorer", "bodyparts", "coords"), rows, strict=True)]
    lines = [",".join(map(repr, row)) for row in (rng.uniform(0, 640, (500, 60)) / np.tile([1, 1, 640], 20)).tolist()]
    path = tmp_path / "a.csv"
    path.write_text("\n".join([*head, *(f"{t},{lines[t % 500]}" for t in range(frames))]) + "\n")
    start = time.perf_counter()
    found = load_keypoints(path)
    assert time.perf_counter() - start < 6  # 0.5 s on a quiet machine
    assert found.positions.shape == (frames, 1, 20, 2)


# Real files.


@real
def test_real_deeplabcut_csv_and_h5_are_one_data_set() -> None:
    folder = SAMPLES / "dlc_reaching"
    csv, h5 = (load_keypoints(folder / f"CollectedData_Mackenzie{ending}") for ending in (".csv", ".h5"))
    assert csv.names == h5.names == ("Hand", "Finger1", "Tongue", "Joystick1", "Joystick2")
    assert csv.frames == h5.frames
    assert csv.frames[0] == "labeled-data/reachingvideo1/img005.png"
    np.testing.assert_allclose(csv.positions, h5.positions, rtol=1e-12)
    assert csv.positions.shape == (55, 1, 5, 2)
    assert np.isnan(csv.positions[0, 0, 2]).all()
    assert csv.positions[0, 0, 0].tolist() == [185.25173502386923, 610.3622760638572]


@real
@pytest.mark.parametrize(
    ("name", "shape", "first"),
    [
        ("coco/test_coco.json", (4, 5, 17, 2), [367, 81]),
        ("ap10k/test_ap10k.json", (2, 1, 17, 2), [134, 415]),
        ("freihand/test_freihand.json", (8, 1, 21, 2), [75.09007144965095, 114.79035385093314]),
        ("rhd/test_rhd.json", (3, 1, 21, 2), [245.8000030517578, 73.9800033569336]),
    ],
)
def test_real_coco_files(name: str, shape: tuple[int, ...], first: list[float]) -> None:
    found = load_keypoints(SAMPLES / name)
    assert found.positions.shape == shape
    assert found.positions[0, 0, 0].tolist() == first
    assert np.isnan(found.confidence).all()


@real
def test_real_mpii_is_refused_as_it_names_no_joints() -> None:
    refused(SAMPLES / "mpii" / "test_mpii.json", "without the joints' names")
