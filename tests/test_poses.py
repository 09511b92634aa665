"""Pose files: each format gives the track back to the last bit, and takes no other file for one of its own."""

import csv
import errno
import hashlib
import json
import os
import time
import zipfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifter.data.pose_hdf5 import _block
from lifter.data.poses import PoseTrack, check_pose_path, read_poses, write_poses
from posesynth.errors import InputError

ENDINGS = ("csv", "h5", "npz")
JOINTS = ("root", "neck", "head", "left hip", "knee.é")


def some_track(
    frames: Any = range(7), individuals: tuple[str, ...] = ("",), confidence: bool = True, seed: int = 0, **others: Any
) -> PoseTrack:
    """Numbers of every size, some of them missing."""
    rng = np.random.default_rng(seed)
    shape = (len(frames), len(individuals), len(JOINTS))

    def numbers(*rest: int) -> Any:
        values = rng.normal(size=(*shape, *rest)) * 10.0 ** rng.integers(-30, 30, (*shape, *rest))
        values[rng.random(values.shape) < 0.2] = np.nan
        return values.astype(np.float32)

    track = PoseTrack(
        p3d=numbers(3),
        p2d=numbers(2),
        confidence=numbers() if confidence else None,
        joints=JOINTS,
        parents=(-1, 0, 1, 0, 3),
        individuals=individuals,
        frames=tuple(frames),
        skeleton="quadruped",
        model="runs/q & co",
        source="a, b/söme=file?.csv",
    )
    return replace(track, **others)


def assert_same(a: PoseTrack, b: PoseTrack) -> None:
    for field in fields(PoseTrack):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype, field.name
            assert one.tobytes() == np.where(np.isnan(other), np.float32(np.nan), other).tobytes(), field.name
        else:
            assert one == other, field.name
            assert type(one) is type(other)


@pytest.fixture(params=ENDINGS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"poses.{request.param}"


@pytest.fixture
def written(path: Path) -> Path:
    write_poses(path, some_track())
    return path


def refused(path: Any, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_poses(path)
    check_line(caught.value, *words)


def check_line(error: InputError, *words: str) -> None:
    (line,) = error.lines
    assert "\n" not in line
    assert len(line) <= 300
    for word in words:
        assert word in line


TRACKS = {
    "numbered frames": some_track(),
    "named frames": some_track(["img 01.png", "nan.png", "7", "é"]),
    "large numbers": some_track([-5, 0, 2**63 - 1]),
    "several": some_track(individuals=("mouse 1", "mouse 2", "3")),
    "one with a name": some_track(individuals=("ratto",), confidence=False),
    "found in images": some_track(
        ["a.png", "b/c.png"], p2d_confidence=np.array([[[0.1, 1, 0, np.nan, 1e-9]]] * 2, np.float32)
    ),
    "found, without a confidence in 3D": some_track(
        range(1), confidence=False, p2d_confidence=np.array([[[0.1, 1, 0, np.nan, 1e-9]]], np.float32)
    ),
    "a single frame": some_track([99], confidence=False),
    "nothing lifted": some_track(
        range(2), confidence=False, p3d=np.full((2, 1, 5, 3), np.nan, np.float32), source="", model=""
    ),
}


@pytest.mark.parametrize("name", TRACKS)
def test_reading_undoes_writing(path: Path, name: str) -> None:
    write_poses(path, TRACKS[name])
    assert_same(TRACKS[name], read_poses(path))
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=40, deadline=None)
@given(data=st.binary(min_size=24 * 4, max_size=24 * 4))
def test_every_float32_comes_back(tmp_path_factory: pytest.TempPathFactory, ending: str, data: bytes) -> None:
    numbers = np.frombuffer(data, np.float32).reshape(4, 1, 2, 3).copy()
    numbers[~np.isfinite(numbers)] = np.nan
    made = PoseTrack(
        numbers, numbers[..., :2].copy(), None, ("a", "b"), (-1, 0), ("",), (0, 1, 2, 3), "s", "m", "file.csv"
    )
    path = tmp_path_factory.mktemp("poses") / f"p.{ending}"
    write_poses(path, made)
    assert_same(made, read_poses(path))


def test_a_table_is_as_deeplabcut_has_it(tmp_path: Path) -> None:
    track = some_track([10, 11], individuals=("a", "b"))
    write_poses(tmp_path / "p.csv", track)
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["scorer", "individuals", "bodyparts", "coords", "10", "11"]
    assert len({len(row) for row in rows}) == 1
    assert len(set(rows[0][1:])) == 1
    assert rows[1][1:] == ["a"] * 30 + ["b"] * 30
    assert rows[2][1:8] == ["root"] * 6 + ["neck"]
    assert rows[3][1:7] == ["x", "y", "z", "confidence", "image_x", "image_z"]
    cells = [[float(cell) if cell else np.nan for cell in row[1:]] for row in rows[4:]]
    values = np.array(cells, np.float32).reshape(2, 2, 5, 6)
    np.testing.assert_array_equal(values[..., :3], track.p3d)
    np.testing.assert_array_equal(values[..., 3], track.confidence)
    np.testing.assert_array_equal(values[..., 4:], track.p2d)
    write_poses(tmp_path / "p.csv", some_track([10, 11]))
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[:3]] == ["scorer", "bodyparts", "coords"]


def test_posesynth_reads_the_3d_table(tmp_path: Path) -> None:
    from posesynth.motion import load_motion

    track = some_track()
    write_poses(tmp_path / "p.csv", track)
    motion = load_motion(tmp_path / "p.csv")
    assert motion.names == track.joints
    np.testing.assert_array_equal(motion.positions.astype(np.float32), track.p3d[:, 0])


def test_any_tool_reads_the_hdf5(tmp_path: Path) -> None:
    track = some_track(["a.png", "é.png"])
    write_poses(tmp_path / "p.h5", track)
    with h5py.File(tmp_path / "p.h5") as file:
        assert dict(file.attrs) == {
            "format": "lifter poses",
            "version": 1,
            "skeleton": track.skeleton,
            "model": track.model,
            "source": track.source,
        }
        np.testing.assert_array_equal(file["p3d"][:], track.p3d)
        np.testing.assert_array_equal(file["p2d"][:], track.p2d)
        np.testing.assert_array_equal(file["confidence"][:], track.confidence)
        assert tuple(file["joints"].asstr()[:]) == track.joints
        assert tuple(file["frames"].asstr()[:]) == track.frames
        assert tuple(file["parents"][:]) == track.parents
        assert "z up" in file["p3d"].attrs["axes"]


def test_numpy_reads_the_npz(tmp_path: Path) -> None:
    track = some_track()
    write_poses(tmp_path / "p.npz", track)
    with np.load(tmp_path / "p.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["p3d"], track.p3d)
        assert str(arrays["skeleton"]) == "quadruped"
        assert arrays["frames"].tolist() == list(range(7))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"p3d": np.zeros((7, 1, 5, 2), np.float32)}, "p3d: "),
        ({"p3d": np.zeros((7, 1, 5, 3))}, "float64"),
        ({"p2d": np.full((7, 1, 5, 2), np.inf, np.float32)}, "infinite"),
        ({"confidence": np.zeros((7, 5), np.float32)}, "confidence: "),
        ({"joints": ("a", "b", "c", "d")}, "p3d: "),
        ({"joints": ("a", "b", "c", "d", "d")}, "twice"),
        ({"joints": ("a", "b", "c", "d", "e\n")}, "printable"),
        ({"joints": ("a", "b", "c", "d", "e\ud800")}, "printable"),
        ({"parents": (-1, 0, 1, 0)}, "parents: "),
        ({"parents": (-1, 0, 1, 4, 3)}, "tree"),
        ({"parents": (-1, -1, 1, 0, 3)}, "tree"),
        ({"parents": (-1, 0, 1, 0, 5)}, "parents: "),
        ({"frames": (0, 1, 2, 3, 4, 5, "6")}, "frames: "),
        ({"frames": (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)}, "frames: "),
        ({"frames": (0, 1, 2, 3, 4, 5, 2**63)}, "64 bits"),
        ({"frames": ()}, "at least one"),
        ({"source": "x" * 10_001}, "source"),
    ],
)
def test_parts_that_do_not_fit_are_no_track(change: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError) as caught:
        replace(some_track(), **change)
    check_line(caught.value, word)


def test_names_that_a_table_cannot_hold_are_refused(tmp_path: Path) -> None:
    for track in (
        some_track(individuals=("a,b",)),
        some_track(individuals=('a"b',)),
        some_track(individuals=(" a",)),
        some_track(["a,b.png"]),
        some_track(["", "b"]),
        some_track(individuals=tuple(f"mouse {i}" for i in range(1000)), source="x" * 1000),
    ):
        with pytest.raises(InputError) as caught:
            write_poses(tmp_path / "p.csv", track)
        check_line(caught.value, "p.csv", "write .h5")
        assert not list(tmp_path.iterdir())
        write_poses(tmp_path / "p.h5", track)
        assert_same(track, read_poses(tmp_path / "p.h5"))
        (tmp_path / "p.h5").unlink()


# What is there already


def test_a_pose_file_is_written_anew(written: Path) -> None:
    track = some_track(range(3), confidence=False)
    write_poses(written, track)
    assert_same(track, read_poses(written))
    assert os.listdir(written.parent) == [written.name]


@pytest.mark.parametrize("content", ["", "scorer,DLC,DLC\nbodyparts,a,a\ncoords,x,y\n0,1,2\n", "x" * 5000])
def test_another_file_is_not_overwritten(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        write_poses(path, some_track())
    check_line(caught.value, str(path)[-60:], "not a pose file of lifter")
    assert path.read_text() == content
    assert os.listdir(path.parent) == [path.name]


def test_arrays_of_another_kind_are_not_overwritten(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["p3d"] = np.zeros(3)
    np.savez(tmp_path / "p.npz", p3d=np.zeros(3))
    for name in ("p.h5", "p.npz"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError, match="not a pose file of lifter"):
            check_pose_path(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
        refused(tmp_path / name, name)


def test_a_link_is_followed_and_stays(path: Path) -> None:
    (path.parent / "real").mkdir()
    path.symlink_to(path.parent / "real" / "file")
    for track in (some_track(), some_track(range(3))):
        write_poses(path, track)
        assert path.is_symlink()
        assert_same(track, read_poses(path))


def test_places_that_cannot_be_written_are_refused(path: Path, tmp_path: Path) -> None:
    for place, word in (
        (tmp_path / "p.txt", "expected one ending in"),
        (tmp_path / "poses", "expected one ending in"),
        (tmp_path / "p.H5", "did you mean '.h5'?"),
        (f"{tmp_path}/\0{path.suffix}", "expected one ending in"),
        (tmp_path / "none" / path.name, "folder is not there"),
        (tmp_path / "none" / "x", "expected one ending in"),
    ):
        with pytest.raises(InputError) as caught:
            check_pose_path(place)
        check_line(caught.value, word)
    path.mkdir()
    with pytest.raises(InputError, match="not a plain file"):
        write_poses(path, some_track())
    refused(path, "not a plain file")
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(InputError, match="not a plain file"):
        write_poses(path, some_track())
    refused(path, "not a plain file")


def test_a_full_disk_is_one_line_and_leaves_nothing(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written.read_bytes()
    write, left = os.write, [3000]

    def full(file: int, data: Any) -> int:
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(file, data[: left[0]])
        left[0] -= done
        return done

    monkeypatch.setattr(os, "write", full)
    for path in (written, written.with_stem("new")):
        left[0] = 3000
        with pytest.raises(InputError) as caught:
            write_poses(path, some_track(range(500)))
        check_line(caught.value, path.name, "cannot be written: No space left on device")
    monkeypatch.undo()
    assert os.listdir(written.parent) == [written.name]
    assert written.read_bytes() == before


# Damage


def test_every_cut_is_refused(written: Path) -> None:
    whole = written.read_bytes()
    for length in (0, 1, 7, 100, len(whole) // 2, len(whole) - 3, len(whole) - 1):
        written.write_bytes(whole[:length])
        refused(written)


def test_every_flipped_byte_of_an_array_file_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "p.h5"
    write_poses(path, some_track())
    whole = path.read_bytes()
    for at in rng.choice(len(whole), 300, replace=False):
        data = bytearray(whole)
        data[at] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        refused(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_mutated_file_is_read_or_refused(tmp_path: Path, ending: str) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / f"p.{ending}"
    write_poses(path, some_track(individuals=("a", "b")))
    whole = path.read_bytes()
    for _ in range(300):
        data = bytearray(whole)
        for at in rng.integers(len(data), size=rng.integers(1, 5)):
            data[at] = rng.integers(256)
        if rng.random() < 0.3:
            first, last = sorted(rng.integers(len(data), size=2))
            del data[first : min(last, first + 50)]
        path.write_bytes(data)
        try:
            read_poses(path)
        except InputError as error:
            check_line(error)


def table(*rows: str) -> str:
    scorer = "lifter?model=m&skeleton=s&parents=-1&frames=numbers&source=f"
    return "\n".join([",".join(["scorer", *[scorer] * 5]), *rows]) + "\n"


HEADER = ("bodyparts,a,a,a,a,a", "coords,x,y,z,image_x,image_z")


def test_a_table_written_by_hand_is_taken(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(table(*HEADER, "7,1,2,3,,nan"))
    track = read_poses(tmp_path / "p.csv")
    assert track.frames == (7,)
    assert track.p3d.tolist() == [[[[1, 2, 3]]]]
    assert np.isnan(track.p2d).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (table(), ["header row"]),
        (table("coords,x"), ["header row individuals or bodyparts"]),
        (table(HEADER[0]), ["header row coords"]),
        (table(*HEADER), ["no frames"]),
        (table(*HEADER, "0,1,2,3,4"), [":4:", "columns"]),
        (table(*HEADER, "0,1,2,3,4,x"), [":4:", "'x'"]),
        (table(*HEADER, "0,1,2,3,4,5", "1.5,1,2,3,4,5"), [":5:", "'1.5'", "whole number"]),
        (table(*HEADER, ",1,2,3,4,5"), [":4:", "whole number"]),
        (table(*HEADER, "99999999999999999999,1,2,3,4,5"), ["whole number"]),
        (table(*HEADER, "9999999999999999999,1,2,3,4,5"), ["64 bits"]),
        (table(*HEADER, "0,1,2,3,4,inf"), ["infinite"]),
        (table(*HEADER, "0,1,2,3,4,1e39"), ["infinite"]),
        (table(*HEADER, "0,1,2,3,4,1_0"), ["'1_0'"]),
        (table("bodyparts,a,a,a,a,b", HEADER[1], "0,1,2,3,4,5"), ["columns in another order"]),
        (table(HEADER[0], "coords,x,y,z,image_z,image_x", "0,1,2,3,4,5"), ["columns in another order"]),
        (table("bodyparts,a,a,a,a", HEADER[1], "0,1,2,3,4,5"), ["different lengths"]),
        (table(*HEADER, "0,1,2,3,4,5").replace("-1", "0"), ["parents"]),
        (table(*HEADER, "0,1,2,3,4,5").replace("-1", "-2"), ["scorer"]),
        (table(*HEADER, "0,1,2,3,4,5").replace("-1", "-1+0"), ["parents"]),
        (table(*HEADER, "0,1,2,3,4,5").replace("skeleton", "skelton"), ["scorer"]),
        (table(*HEADER, "0,1,2,3,4,5").replace("numbers", "letters"), ["whole number"]),
        (table(*HEADER, "0,1,2,3,4,5").replace("model=m", "model=%ff"), ["scorer"]),
        (table(*HEADER, "0,1,2,3,4,5").replace("model=m", "model=%0a"), ["printable"]),
        (table(*HEADER, "0,1,2,3,4,5").replace("model=m", "model=n", 1), ["scorer"]),
        ("scorer,DLC,DLC\nbodyparts,a,a\ncoords,x,y\n0,1,2\n", ["lifter"]),
        ("x,y\n1,2\n", ["header row scorer"]),
        ("\0\n", ["zero byte"]),
        (table(*HEADER, "0,1,2,3,4,5").strip(), ["cut short"]),
        ("", ["empty"]),
    ],
)
def test_a_table_that_is_no_pose_file_is_refused(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "p.csv").write_text(text)
    refused(tmp_path / "p.csv", "p.csv", *words)


def forge(path: Path, facts: dict[str, Any], arrays: dict[str, Any], places: dict[str, int]) -> None:
    """A file whose digests are right, whatever else is wrong."""
    body = b"\x89HDF\r\n\x1a\n" + b"\xff" * 4 + bytes(5000)
    text = _block(facts, arrays, places, hashlib.sha256(body).hexdigest())
    path.write_bytes(text.ljust(4095) + b"\n" + body)


class Lie:
    """What an array says of itself."""

    def __init__(self, dtype: Any, shape: list[Any]) -> None:
        self.dtype, self.shape = self, shape
        self.str = dtype


FACTS = {"skeleton": "s", "model": "m", "source": "f"}
HONEST = {
    "p3d": Lie("<f4", [1, 1, 1, 3]),
    "p2d": Lie("<f4", [1, 1, 1, 2]),
    "joints": Lie("|S1", [1]),
    "parents": Lie("<i4", [1]),
    "individuals": Lie("|S1", [1]),
    "frames": Lie("<i8", [1]),
}
PLACES = {**dict.fromkeys(HONEST, 5000), "parents": 4096 + 8}


def test_a_user_block_that_is_honest_is_taken(tmp_path: Path) -> None:
    forge(tmp_path / "p.h5", FACTS, HONEST, PLACES)
    assert read_poses(tmp_path / "p.h5").parents == (-1,)


@pytest.mark.parametrize(
    ("name", "lie", "offset"),
    [
        ("p3d", Lie("<f4", [10**9, 10**9, 16, 3]), 5000),
        ("p3d", Lie("<f4", [10**10, 1, 1, 3]), 5000),
        ("p3d", Lie("<f4", [-1, 1, 1, 3]), 5000),
        ("p3d", Lie("<f4", [1] * 40), 5000),
        ("p3d", Lie("<f4", [True, 1, 1, 3]), 5000),
        ("p3d", Lie("<f8", [1, 1, 1, 3]), 5000),
        ("p3d", Lie("|O", [1, 1, 1, 3]), 5000),
        ("p3d", Lie(None, [1, 1, 1, 3]), 5000),
        ("p3d", Lie("<f4", [1, 1, 1, 3]), 2**62),
        ("p3d", Lie("<f4", [1, 1, 1, 3]), -8),
        ("p3d", Lie("<f4", [1, 1, 1, 3]), 1.5),
        ("p3d", Lie("<f4", [0, 1, 1, 3]), 5000),
        ("joints", Lie("|S0", [1]), 5000),
        ("joints", Lie("|S999999", [1]), 5000),
        ("joints", Lie("|S1", []), 5000),
        ("joints", Lie("|S1", [1, 1]), 5000),
        ("frames", Lie("<i8", [1, 1]), 5000),
        ("frames", Lie("<i8", [0]), 5000),
        ("parents", Lie("<i4", []), 5000),
        ("extra", Lie("<i4", [1]), 5000),
        ("joints", Lie("|S8", [1]), 4096),  # not UTF-8
    ],
)
def test_a_user_block_that_lies_is_refused(tmp_path: Path, name: str, lie: Any, offset: Any) -> None:
    forge(tmp_path / "p.h5", FACTS, HONEST | {name: lie}, PLACES | {name: offset})
    refused(tmp_path / "p.h5", "p.h5")


def test_a_user_block_that_lacks_something_is_refused(tmp_path: Path) -> None:
    forge(tmp_path / "p.h5", FACTS | {"model": 3}, HONEST, PLACES)
    refused(tmp_path / "p.h5", "model")
    forge(tmp_path / "p.h5", FACTS, {"p3d": HONEST["p3d"]}, {"p3d": 5000})
    refused(tmp_path / "p.h5", "arrays")


class Bomb:
    """Makes a folder where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def test_an_archive_of_other_arrays_is_refused(tmp_path: Path) -> None:
    path, marker = tmp_path / "p.npz", tmp_path / "was run"
    write_poses(path, some_track())
    with np.load(path) as archive:
        arrays = dict(archive)
    bomb = np.array([Bomb(marker)], dtype=object)
    for change in (
        {"p3d": bomb},
        {"joints": bomb},
        {"p3d": arrays["p3d"].astype(np.float64)},
        {"p3d": arrays["p3d"][:, 0]},
        {"parents": arrays["parents"].astype(np.float32)},
        {"joints": arrays["joints"][0]},
        {"joints": arrays["parents"]},
        {"model": np.array(["a", "b"])},
        {"model": np.array([], dtype="U1")},
        {"model": np.array(3)},
        {"format": np.array("lifter poses 2")},
        {"frames": arrays["frames"].astype(np.uint64)},
        {"more": np.zeros(3)},
    ):
        np.savez(path, **(arrays | change))
        refused(path, "p.npz")
    np.savez(path, **{name: array for name, array in arrays.items() if name != "p2d"})
    refused(path, "arrays are not those")
    assert not marker.exists()
    np.savez_compressed(path, **arrays)
    assert_same(some_track(), read_poses(path))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("p3d.npy", b"")
    refused(path, "arrays are not those")


def test_an_archive_whose_arrays_go_on_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    write_poses(path, some_track())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content + b"\0" * (name == "p3d.npy"))
    refused(path, "p3d.npy: goes on after its end")


def test_an_archive_that_would_unpack_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    write_poses(path, some_track())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 16, 16, 3)}
    text = repr(header).ljust(117).encode() + b"\n"
    members["p3d.npy"] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(10**7)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    refused(path, "p3d", "expected at most")


def test_a_missing_file_is_one_line(path: Path) -> None:
    refused(path, "No such file")
    refused(path.with_suffix(".txt"), "expected one ending in")


def test_nothing_heavy_is_needed_to_read(tmp_path: Path) -> None:
    import subprocess
    import sys

    write_poses(tmp_path / "p.h5", some_track())
    code = f"""
import sys
from lifter.data.poses import read_poses
read_poses({str(tmp_path / "p.h5")!r})
print([name for name in ("h5py", "torch", "zarr") if name in sys.modules])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert json.loads(done.stdout) == []


def test_an_hour_is_written_in_seconds(path: Path) -> None:
    """108,000 frames of 16 joints: 8 s for a table and 1 s for arrays on a quiet machine, thrice that here."""
    shape = (108_000, 1, 16)
    rng = np.random.default_rng(0)
    track = PoseTrack(
        p3d=rng.standard_normal((*shape, 3), np.float32),
        p2d=rng.standard_normal((*shape, 2), np.float32),
        confidence=rng.random(shape, np.float32),
        joints=tuple(f"joint{j}" for j in range(16)),
        parents=tuple(range(-1, 15)),
        individuals=("",),
        frames=tuple(range(108_000)),
        skeleton="chain",
        model="m",
        source="f.csv",
    )
    began = time.perf_counter()
    write_poses(path, track)
    took = time.perf_counter() - began
    print(f"{path.suffix}: written in {took:.2f} s", end=", ")
    began = time.perf_counter()
    assert_same(track, read_poses(path))
    print(f"read in {time.perf_counter() - began:.2f} s, {path.stat().st_size / 1e6:.0f} MB")
    assert took < (24 if path.suffix == ".csv" else 3)
