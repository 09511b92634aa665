"""Readers of other people's 2D keypoints: what they must read, and what they must refuse in one line."""

import io
import json
import os
import pickle
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifter.data.keypoints import Keypoints, load_keypoints
from lifter.data.stored_names import UnreadableNamesError, stored_names
from posesynth.errors import InputError

DATA = Path(os.environ.get("POSESYNTH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SAMPLES = DATA / "format_samples"
real = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no real keypoint files beside the checkout (POSESYNTH_DATA)")

NAMES = ("snout", "left ear", "tail")
ANIMALS = ("m1", "m2")


def points(frames: int = 4, animals: int = 1, joints: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Positions with a few points missing, and confidences."""
    rng = np.random.default_rng(7)
    positions = rng.uniform(0, 640, (frames, animals, joints, 2))
    positions[1, 0, 1] = np.nan
    return positions, rng.uniform(0, 1, (frames, animals, joints))


def columns(animals: int, confidence: bool) -> list[tuple[str, ...]]:
    coords = ("x", "y", "likelihood") if confidence else ("x", "y")
    who = [(name,) for name in ANIMALS[:animals]] if animals > 1 else [()]
    return [("DLC", *animal, part, coord) for animal in who for part in NAMES for coord in coords]


def flat(positions: np.ndarray, confidence: np.ndarray | None) -> np.ndarray:
    parts = positions if confidence is None else np.concatenate([positions, confidence[..., None]], axis=-1)
    return parts.reshape(len(positions), -1)


def deeplabcut_csv(
    path: Path, positions: np.ndarray, confidence: np.ndarray | None = None, index: list[str] | None = None
) -> Path:
    names = columns(positions.shape[1], confidence is not None)
    rows = ["scorer", "individuals", "bodyparts", "coords"] if len(names[0]) == 4 else ["scorer", "bodyparts", "coords"]
    labels = index or [str(t) for t in range(len(positions))]
    empty = "," * labels[0].count(",")
    lines = [f"{row}{empty}," + ",".join(name[i] for name in names) for i, row in enumerate(rows)]
    for label, values in zip(labels, flat(positions, confidence), strict=True):
        lines.append(f"{label}," + ",".join("" if np.isnan(v) else repr(float(v)) for v in values))
    path.write_text("\n".join(lines) + "\n")
    return path


def deeplabcut_table(path: Path, positions: np.ndarray, confidence: np.ndarray | None, index: np.ndarray) -> Path:
    """An h5 as pandas' ``to_hdf(format="table")`` lays it out."""
    names = columns(positions.shape[1], confidence is not None)
    values = flat(positions, confidence)
    records = np.empty(len(values), [("index", index.dtype), ("values_block_0", "<f8", values.shape[1:])])
    records["index"], records["values_block_0"] = index, values
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        table = group.create_dataset("table", data=records, chunks=True, maxshape=(None,))
        table.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(names, 0))
    return path


def deeplabcut_fixed(path: Path, positions: np.ndarray, index: list[tuple[str, ...]]) -> Path:
    """An h5 as pandas' ``to_hdf`` lays it out by default, rows and columns both of several levels."""
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"], group.attrs["nblocks"] = np.bytes_(b"frame"), 1
        for axis, entries in (("block0_items", columns(positions.shape[1], False)), ("axis1", index)):
            group.attrs[f"{axis}_nlevels"] = len(entries[0])
            for level, texts in enumerate(zip(*entries, strict=True)):
                choices = sorted(set(texts))
                group[f"{axis}_level{level}"] = np.array(choices, dtype="S")
                group[f"{axis}_label{level}"] = np.array([choices.index(text) for text in texts], dtype=np.int8)
        group["block0_values"] = flat(positions, None)
        group["block0_values"].attrs["transposed"] = np.uint8(1)
    return path


def sleap_h5(path: Path, positions: np.ndarray, confidence: np.ndarray | None, tracks: tuple[str, ...] = ()) -> Path:
    with h5py.File(path, "w") as file:
        file["tracks"] = positions.transpose(1, 3, 2, 0)
        file["node_names"] = np.array(NAMES[: positions.shape[2]], dtype="S")
        file["track_names"] = np.array(tracks, dtype="S")
        file["track_occupancy"] = np.ones(positions.shape[:2])
        if confidence is not None:
            file["point_scores"] = confidence.transpose(1, 2, 0)
    return path


def coco(annotations: list[dict[str, Any]], images: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "images": [{"id": n, "file_name": f"{n}.jpg"} for n in range(images)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "mouse", "keypoints": list(NAMES)}],
        **more,
    }


def labelled(image: int = 0, keypoints: Any = None, **more: Any) -> dict[str, Any]:
    given = [1, 2, 2, 3, 4, 1, 5, 6, 0] if keypoints is None else keypoints
    return {"image_id": image, "category_id": 1, "keypoints": given, **more}


def write_json(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def same(found: Keypoints, positions: np.ndarray, confidence: np.ndarray | None) -> None:
    np.testing.assert_array_equal(found.positions, positions)
    np.testing.assert_array_equal(found.confidence, np.nan if confidence is None else confidence)
    assert found.positions.dtype == found.confidence.dtype == np.float64


def refused(path: Path, *said: str) -> str:
    """The one line in which the file is refused."""
    with pytest.raises(InputError) as caught:
        load_keypoints(path)
    (line,) = caught.value.lines
    assert len(line) <= 300
    assert line.startswith((str(path)[:90], "..."))
    for text in said:
        assert text in line, line
    return line


# What must be read.


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
    lines = [",".join(map(repr, row)) for row in rng.uniform(0, 640, (500, 60)).tolist()]
    path = tmp_path / "a.csv"
    path.write_text("\n".join([*head, *(f"{t},{lines[t % 500]}" for t in range(frames))]) + "\n")
    start = time.perf_counter()
    found = load_keypoints(path)
    assert time.perf_counter() - start < 6  # 0.5 s on a quiet machine
    assert found.positions.shape == (frames, 1, 20, 2)


# What must be refused, each in one line.

HEADER = "scorer,D,D\nbodyparts,a,a\ncoords,x,y\n"
BAD_TABLES = {
    "empty": ("", "empty"),
    "blank": ("\n\n", "empty"),
    "only a header": (HEADER, "no frames"),
    "only a plain header": ("a_x,a_y\n", "no frames"),
    "no coords": ("scorer,D,D\nbodyparts,a,a\n0,1,2\n", "'coords'"),
    "no bodyparts": ("scorer,D,D\ncoords,x,y\n0,1,2\n", "'bodyparts'"),
    "row twice": ("scorer,D,D\nscorer,D,D\nbodyparts,a,a\ncoords,x,y\n0,1,2\n", ":2: ", "twice"),
    "short header row": ("scorer,D,D\nbodyparts,a\ncoords,x,y\n0,1,2\n", ":2: ", "columns"),
    "ragged": (HEADER + "0,1,2\n1,3\n", ":5: 2 columns; expected 3"),
    "a cell too many": (HEADER + "0,1,2\n1,3,4,5\n", ":5: 4 columns; expected 3"),
    "a word": (HEADER + "0,1,2\n1,three,4\n", ":5: column 2: 'three'"),
    "a word in a gap": (HEADER + "0,,\n1,,no\n", ":5: column 3: 'no'"),
    "underscores": (HEADER + "0,1_0,2\n", ":4: column 2"),
    "hexadecimal": (HEADER + "0,0x10,2\n", ":4: column 2"),
    "infinite": (HEADER + "0,inf,2\n", "frame 0: joint 'a' is too far away"),
    "far": (HEADER + "0,1e31,2\n", "too far away"),
    "infinite confidence": ("a_x,a_y,a_score\n1,2,inf\n", "infinite confidence"),
    "all NaN": (HEADER + "0,,\n1,nan,NaN\n", "no joint is seen"),
    "3D": ("scorer,D,D,D\nbodyparts,a,a,a\ncoords,x,y,z\n0,1,2,3\n", ":3: ", "3D"),
    "plain 3D": ("a_x,a_y,a_z\n1,2,3\n", ":1: ", "2D"),
    "no y": ("a_x,b_y\n1,2\n", ":1: ", "x of joint 'a'"),
    "confidence alone": ("a_x,a_y,b_score\n1,2,3\n", "confidence of joint 'b'"),
    "twice": ("a_x,a_y,a_x\n1,2,3\n", "'a' is given twice"),
    "no joints": ("time,speed\n1,2\n", "no joints"),
    "numbers only": ("1,2,3\n4,5,6\n", "no joints"),
    "no coordinates": ("scorer,D\nbodyparts,a\ncoords,likelihood\n0,1\n", "without its x or y"),
    "no name": ("scorer,D,D\nbodyparts,,\ncoords,x,y\n0,1,2\n", "without a name"),
    "semicolons and commas": ("a_x;a_y,b_x;b_y\n1;2;3;4\n", ":1: holds commas and semicolons; expected one of them"),
    "decimal commas": ("a_x;a_y\n1;2\n1;2,5\n", ":3: column 2: '2,5' is not a number; expected a number with a point"),
    "a semicolon in a name": ('"a;b_x";a_y\n1;2\n', ":1: a semicolon within a cell"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00", "UTF-8"),
    "zero bytes": ("a_x,a_y\n1,\x002\n", ":2: ", "zero byte"),
    "latin-1": ("a_x,a_y\n1,2\ncaf\xe9,4\n".encode("latin-1"), ":3: ", "UTF-8"),
    "an open quote": (HEADER + '"0,1,2\n', ":4: "),
    "a long line": ("a_x,a_y" + "," * 2**20 + "\n", "longer than"),
    "a line missing": (HEADER + "0,1,2\n\n1,3,4\n", ":5: blank"),
    "an individual twice": ("track,frame,a_x,a_y\nm,1,1,2\nm,1,3,4\n", "'m' is there twice"),
    "individuals without frames": ("track,a_x,a_y\nm,1,2\n", "tells the frame"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content, *said = BAD_TABLES[name]
    path = tmp_path / "bad.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(path, *said)


BAD_JSON: dict[str, tuple[Any, str]] = {
    "a list": ([{"image_id": 1, "keypoints": [1, 2, 2]}], "without the joints' names"),
    "a number": (3, "expected COCO"),
    "nothing in it": ({}, "no 'images'"),
    "no annotations": ({"images": [{"id": 1}], "categories": []}, "no 'annotations'"),
    "annotations of another kind": ({"images": [{"id": 1}], "annotations": 3, "categories": []}, "annotations: 3"),
    "empty annotations": (coco([]), "annotations: empty"),
    "unknown image": (coco([labelled(9)]), "annotations[0].image_id: 9"),
    "a list for an image": (coco([labelled(0) | {"image_id": [1]}]), "annotations[0].image_id"),
    "unknown category": (coco([labelled(0) | {"category_id": 2}]), "category_id 2"),
    "wrong joint count": (coco([labelled(0, [1, 2, 2] * 4)]), "annotations[0].keypoints: 12 numbers; expected 9"),
    "ragged": (coco([labelled(0, [[1, 2, 2], [1, 2]])]), "annotations[0].keypoints[1]: 2 numbers"),
    "ragged at once": (coco([labelled(0, [[1, 2], [1, 2, 2]])]), "annotations[0].keypoints[0]: 2 numbers"),
    "words": (coco([labelled(0, ["1", 2, 2] * 3)]), "annotations[0].keypoints"),
    "truth values": (coco([labelled(0, [True, 2, 2] * 3)]), "annotations[0].keypoints"),
    "huge numbers": (coco([labelled(0, [10**400, 2, 2] * 3)]), "too large"),
    "infinite": (coco([labelled(0, [float("inf"), 2, 2] * 3)]), "too far away"),
    "unlabelled": (coco([labelled(0, [1, 2, 0] * 3)]), "no joint is seen"),
    "NaN": (coco([labelled(0, [float("nan"), 2, 2] * 3)]), "no joint is seen"),
    "no names": (coco([labelled()], categories=[{"id": 1, "name": "x"}]), "names no keypoints"),
    "an image twice": (coco([labelled()], images=1) | {"images": [{"id": 1}, {"id": 1}]}, "each id once"),
    "an image without id": (coco([labelled()]) | {"images": [{"file_name": "a"}]}, "images[0].id"),
    "a track twice": (coco([labelled(track_id=1), labelled(track_id=1)]), "annotations[1].track_id"),
    "two skeletons": (
        coco(
            [labelled(), labelled() | {"category_id": 2}],
            categories=[{"id": 1, "keypoints": list(NAMES)}, {"id": 2, "keypoints": ["a", "b", "c"]}],
        ),
        "other keypoints",
    ),
    "a name twice": (coco([labelled()], categories=[{"id": 1, "keypoints": ["a", "a", "b"]}]), "'a' is given twice"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_coco_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    document, said = BAD_JSON[name]
    refused(write_json(tmp_path / "bad.json", document), said)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "nope", '{"images": [}', "1" * 5000, "\ud800"])
def test_what_is_no_json_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(path, "expected COCO")


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


def huge(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(1000)


GOOD = npy(np.ones((2, 3, 2)))
GOOD_NAMES = npy(np.array(NAMES))
BAD_ARCHIVES: dict[str, tuple[dict[str, bytes], str]] = {
    "nothing": ({}, "no array 'positions'"),
    "no names": ({"positions": GOOD}, "no array 'names'"),
    "huge": ({"positions": huge((10**9, 20, 2)), "names": GOOD_NAMES}, "at most"),
    "huger": ({"positions": huge((2**62, 2**62, 2)), "names": GOOD_NAMES}, "at most"),
    "cut": ({"positions": huge((2000, 3, 2)), "names": GOOD_NAMES}, "cut short"),
    "objects": ({"positions": npy(np.array([[1, None]], dtype=object)), "names": GOOD_NAMES}, "never unpickled"),
    "object names": ({"positions": GOOD, "names": npy(np.array(list(NAMES), dtype=object))}, "never unpickled"),
    "texts": ({"positions": npy(np.full((2, 3, 2), "x")), "names": GOOD_NAMES}, "expected numbers"),
    "3D": ({"positions": npy(np.ones((2, 3, 3))), "names": GOOD_NAMES}, "shape (2, 3, 3)"),
    "flat": ({"positions": npy(np.ones((2, 6))), "names": GOOD_NAMES}, "shape (2, 6)"),
    "no frames": ({"positions": npy(np.ones((0, 3, 2))), "names": GOOD_NAMES}, "none of them 0"),
    "wrong joint count": ({"positions": npy(np.ones((2, 4, 2))), "names": GOOD_NAMES}, "names: 3 of them; expected 4"),
    "a name twice": ({"positions": GOOD, "names": npy(np.array(["a", "b", "a"]))}, "twice"),
    "confidence": ({"positions": GOOD, "names": GOOD_NAMES, "confidence": npy(np.ones(6))}, "confidence: shape"),
    "frames": ({"positions": GOOD, "names": GOOD_NAMES, "frames": npy(np.ones(2))}, "frames"),
    "too few frames": ({"positions": GOOD, "names": GOOD_NAMES, "frames": npy(np.arange(1))}, "frames: 1 of them"),
    "individuals": (
        {"positions": GOOD, "names": GOOD_NAMES, "individuals": npy(np.array(["a", "b"]))},
        "individuals: 2",
    ),
    "NaN": ({"positions": npy(np.full((2, 3, 2), np.nan)), "names": GOOD_NAMES}, "no joint is seen"),
    "infinite": ({"positions": npy(np.full((2, 3, 2), np.inf)), "names": GOOD_NAMES}, "too far away"),
    "no arrays": ({"positions": b"hello", "names": GOOD_NAMES}, "not a NumPy array"),
}


@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_bad_archives_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    members, said = BAD_ARCHIVES[name]
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member + ".npy", data)
    refused(path, said)


class Marker:
    """An object that leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_column_names_are_never_run(tmp_path: Path, protocol: int) -> None:
    positions, _ = points()
    path = deeplabcut_table(tmp_path / "a.h5", positions, None, np.arange(4))
    marker = tmp_path / "marker"
    with h5py.File(path, "a") as file:
        file["df_with_missing/table"].attrs["values_block_0_kind"] = np.void(pickle.dumps(Marker(marker), protocol))
    refused(path, "never run", "csv")
    with pytest.raises(UnreadableNamesError):
        stored_names(pickle.dumps([("a", Marker(marker))], protocol), 10)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Marker(marker), protocol))
    assert marker.exists()  # the marker would have told


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_texts_are_read_whatever_the_protocol(protocol: int) -> None:
    names = [("DLC", part, coord) for part in (*NAMES, "ä\n'\\") for coord in "xy"]
    assert stored_names(pickle.dumps(names, protocol), 100) == names


OPERATIONS = [b"(lp0\n", b"Vx\n", b"p1\n", b"g0\n", b"g1\n", b"q\0", b"h\0", *(bytes([c]) for c in b"t(a.])}els012")]


@given(st.binary(max_size=60) | st.lists(st.sampled_from(OPERATIONS), max_size=20).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_any_bytes_for_names_are_names_or_refused(data: bytes) -> None:
    with suppress(UnreadableNamesError):
        assert all(isinstance(text, str) for entry in stored_names(data, 100) for text in entry)


def change(path: Path, edit: Callable[[Any], None]) -> Path:
    with h5py.File(path, "a") as file:
        edit(file)
    return path


def replace(name: str, data: Any) -> Callable[[Any], None]:
    def edit(file: Any) -> None:
        del file[name]
        file[name] = data

    return edit


def link(name: str, to: Any) -> Callable[[Any], None]:
    def edit(file: Any) -> None:
        del file[name]
        file[name] = to

    return edit


def sparse(file: Any) -> None:
    del file["tracks"]
    file.create_dataset("tracks", shape=(1, 2, 3, 10**12), dtype="f8", chunks=(1, 2, 3, 1000))


BAD_SLEAP: dict[str, tuple[Callable[[Any], None], str]] = {
    "wrong joint count": (replace("node_names", np.array(["a", "b"], dtype="S")), "'tracks': shape"),
    "3D": (replace("tracks", np.ones((1, 3, 3, 4))), "'tracks': shape"),
    "flat": (replace("tracks", np.ones(5)), "'tracks'"),
    "texts": (replace("tracks", np.full((1, 2, 3, 4), b"x")), "expected numbers"),
    "scores": (replace("point_scores", np.ones((1, 3, 5))), "'point_scores': shape"),
    "names twice": (replace("node_names", np.array(["a", "b", "a"], dtype="S")), "'a' is given twice"),
    "numbers for names": (replace("node_names", np.arange(3)), "row of texts"),
    "names not UTF-8": (replace("node_names", np.array([b"a", b"\xff", b"c"])), "UTF-8"),
    "track names": (replace("track_names", np.array(["a", "b"], dtype="S")), "'track_names': 2"),
    "huge": (sparse, "numbers; expected at most"),
    "a link outside": (link("tracks", h5py.ExternalLink("other.h5", "/tracks")), "is a link"),
    "a soft link": (link("tracks", h5py.SoftLink("/node_names")), "is a link"),
    "no frames": (replace("tracks", np.ones((1, 2, 3, 0))), "'point_scores'"),
    "NaN": (replace("tracks", np.full((1, 2, 3, 4), np.nan)), "no joint is seen"),
    "dims": (lambda file: file["tracks"].attrs.update(dims='["a"]'), "dims"),
    "dims that are no json": (lambda file: file["tracks"].attrs.update(dims="["), "dims"),
}


@pytest.mark.parametrize("name", BAD_SLEAP)
def test_bad_sleap_files_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    edit, said = BAD_SLEAP[name]
    positions, confidence = points()
    refused(change(sleap_h5(tmp_path / "a.h5", positions, confidence), edit), said)


KEY = "df_with_missing"
BAD_FIXED: dict[str, tuple[Callable[[Any], None], str]] = {
    "labels outside": (replace(f"{KEY}/block0_items_label1", np.full(6, 9)), "points outside"),
    "negative labels": (replace(f"{KEY}/block0_items_label1", np.full(6, -1)), "points outside"),
    "ragged levels": (replace(f"{KEY}/block0_items_label1", np.zeros(5)), "different lengths"),
    "wrong shape": (replace(f"{KEY}/block0_values", np.ones((4, 7))), "shape"),
    "no values": (lambda file: file[KEY].pop("block0_values"), "no 'block0_values'"),
    "one level": (lambda file: file[KEY].attrs.pop("block0_items_nlevels"), "one level of names"),
    "no blocks": (lambda file: file[KEY].attrs.update(nblocks=0), "blocks"),
    "a series": (lambda file: file[KEY].attrs.update(pandas_type=b"series"), "expected a frame"),
    "an index of objects": (replace(f"{KEY}/axis1_level0", np.arange(1.0)), "row of texts"),
    "rows": (replace(f"{KEY}/block0_values", np.ones((6, 6))), "6 rows"),
}


@pytest.mark.parametrize("name", BAD_FIXED)
def test_bad_deeplabcut_h5_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    edit, said = BAD_FIXED[name]
    positions, _ = points()
    path = deeplabcut_fixed(tmp_path / "a.h5", positions, [("l", "v", str(t)) for t in range(4)])

    def transposed(file: Any) -> None:
        edit(file)
        if "block0_values" in file[KEY]:
            file[f"{KEY}/block0_values"].attrs["transposed"] = 1

    refused(change(path, transposed), said)


def test_hdf5_of_other_tools_is_refused_by_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["poseest/points"] = np.ones((3, 2))
    refused(tmp_path / "a.h5", "another tool", "'poseest'")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["points"], file["instances"] = np.ones(3), np.ones(3)
    refused(tmp_path / "b.h5", "SLEAP project")
    (tmp_path / "c.h5").write_bytes(b"hello")
    refused(tmp_path / "c.h5", "no HDF5 file")


@pytest.mark.parametrize("ending", [".slp", ".pickle", ".mat", ".npy", ".bvh", ""])
def test_unknown_endings_are_refused_with_what_to_do(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a{ending}").write_bytes(b"hello")
    refused(tmp_path / f"a{ending}", "expected .csv")


@pytest.mark.parametrize("ending", [".csv", ".h5", ".json", ".npz"])
def test_what_is_no_file_is_refused(tmp_path: Path, ending: str) -> None:
    refused(tmp_path / f"none{ending}", "cannot be read")
    (tmp_path / f"folder{ending}").mkdir()
    refused(tmp_path / f"folder{ending}", "no regular file")
    os.mkfifo(tmp_path / f"pipe{ending}")
    refused(tmp_path / f"pipe{ending}", "no regular file")
    (tmp_path / f"empty{ending}").touch()
    refused(tmp_path / f"empty{ending}", "empty")


FUZZ = """
import random, sys
from pathlib import Path
from lifter.data.keypoints import load_keypoints
from posesynth.errors import InputError

folder, count = Path(sys.argv[1]), int(sys.argv[2])
outcomes = {"read": 0, "refused": 0}
for good in sorted(folder.glob("good.*")):
    data, rng = good.read_bytes(), random.Random(good.name)
    bad = folder / f"bad{good.suffix}"
    for n in range(count):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 2, 8, 64))):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        if rng.random() < 0.2:
            del changed[rng.randrange(len(changed)) :]
        bad.write_bytes(changed)
        try:
            load_keypoints(bad)
            outcomes["read"] += 1
        except InputError as error:
            assert len(error.lines) == 1 and len(error.lines[0]) <= 300, error
            outcomes["refused"] += 1
print(outcomes["read"], outcomes["refused"])
"""


def fuzz(folder: Path, count: int) -> None:
    """Damage good files of every kind in a process of their own: read or refused, no other end."""
    positions, confidence = points(20)
    deeplabcut_csv(folder / "good.csv", positions, confidence)
    write_json(folder / "good.json", coco([labelled(0), labelled(1)]))
    np.savez(folder / "good.npz", positions=positions[:, 0], names=np.array(NAMES))
    kinds = {
        "table": deeplabcut_table(folder / "table.h5", positions, confidence, np.arange(20)),
        "fixed": deeplabcut_fixed(folder / "fixed.h5", positions, [("l", "v", str(t)) for t in range(20)]),
        "sleap": sleap_h5(folder / "sleap.h5", positions, confidence),
    }
    for name, path in kinds.items():
        (folder / name).mkdir()
        path.rename(folder / name / "good.h5")
    for part in (folder, *(folder / name for name in kinds)):
        command = [sys.executable, "-W", "error", "-c", FUZZ, str(part), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-2000:]
        read, refusals = map(int, done.stdout.split())
        assert read > 0
        assert refusals > count / 20


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    fuzz(tmp_path, 150)


@pytest.mark.long
def test_damaged_files_are_read_or_refused_for_long(tmp_path: Path) -> None:
    fuzz(tmp_path, 2000)


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
