"""Readers of other people's 2D keypoints: what they must refuse, each in one line."""

import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keypoint_files import (
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

from lifter.data.stored_names import UnreadableNamesError, stored_names

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
    "infinite confidence": ("a_x,a_y,a_score\n1,2,inf\n", "confidence far above 1"),
    "percent": ("a_x,a_y,a_score\n1,2,0.5\n1,2,95\n", "expected numbers from 0 to 1, not percent"),
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
