"""Label3D's .mat files: the points come back, their joints have names, and what is damaged is one line."""

import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from real_data import DATA, real

from posesynth.coverage import load_map, measure
from posesynth.errors import InputError
from posesynth.motion import load_motion
from posesynth.motion.label3d import MOUSE22
from posesynth.skeleton import load_skeleton

io = pytest.importorskip("scipy.io", reason="SciPy, which writes .mat, is not installed")

MOUSE = DATA / "mouse22_dannce" / "label3d_demo.mat"


def points(frames: int = 5, joints: int = 4) -> np.ndarray:
    positions = np.random.default_rng(0).normal(size=(frames, joints, 3))
    positions[1, 0] = np.nan
    return positions


def v5(path: Path, positions: np.ndarray, cameras: int = 2, compressed: bool = True, **more: Any) -> Path:
    cells = np.empty((cameras, 1), object)
    for camera in range(cameras):
        cells[camera, 0] = {"data_3d": positions.reshape(len(positions), -1), "data_2d": np.zeros((2, 2))}
    io.savemat(path, {"labelData": cells, **more}, do_compression=compressed)
    return path


def v73(path: Path, positions: np.ndarray, names: list[str] | None = None) -> Path:
    """As MATLAB lays it out: cells are references, axes arrive reversed, texts are numbers."""
    with h5py.File(path, "w", userblock_size=512) as file:

        def cells(name: str, held: list[Any]) -> None:
            table = file.create_dataset(name, (1, len(held)), h5py.ref_dtype)
            for n, each in enumerate(held):
                table[0, n] = each.ref

        cameras = [file.create_group(f"#refs#/camera{n}") for n in range(2)]
        for camera in cameras:
            camera["data_3d"] = positions.reshape(len(positions), -1).T
        cells("labelData", cameras)
        if names:
            texts = [np.array([[ord(c)] for c in name], np.uint16) for name in names]
            cells("joint_names", [file.create_dataset(f"#refs#/name{n}", data=text) for n, text in enumerate(texts)])
    data = bytearray(path.read_bytes())
    data[:19] = b"MATLAB 7.3 MAT-file"
    path.write_bytes(data)
    return path


def refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        load_motion(path)
    (line,) = caught.value.lines
    assert line.startswith(f"{path}: ") or len(str(path)) > 100
    assert len(line) <= 300
    assert all(word in line for word in words), line


@pytest.mark.parametrize("compressed", [True, False])
def test_v5_and_v73_give_back_the_points(tmp_path: Path, compressed: bool) -> None:
    positions = points()
    for path in (v5(tmp_path / "a.mat", positions, compressed=compressed), v73(tmp_path / "b.mat", positions)):
        motion = load_motion(path)
        np.testing.assert_array_equal(motion.positions, positions)
        assert motion.names == ("joint1", "joint2", "joint3", "joint4")
        assert load_motion(path, names=["a", "b", "c", "d"]).names == ("a", "b", "c", "d")


def test_names_are_the_files_or_those_of_mouse22(tmp_path: Path) -> None:
    listed = np.array([["nose", "tail"]], object)
    assert load_motion(v5(tmp_path / "a.mat", points(joints=2), joint_names=listed)).names == ("nose", "tail")
    assert load_motion(v73(tmp_path / "b.mat", points(joints=2), ["nose", "tail"])).names == ("nose", "tail")
    assert load_motion(v5(tmp_path / "c.mat", points(joints=22))).names == MOUSE22


def test_what_is_no_label3d_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    refused(path, "No such file")
    (tmp_path / "folder.mat").mkdir()
    refused(tmp_path / "folder.mat", "is no file")
    for content in (b"", b"MATLAB", b"PK\x03\x04", b"MATLAB 7.3 MAT-file" + bytes(1000)):
        path.write_bytes(content)
        refused(path)
    io.savemat(path, {"other": np.zeros(3)})
    refused(path, "holds no labelData")
    io.savemat(path, {"labelData": np.zeros(3)})
    refused(path, "expected a struct with data_3d")
    for wrong in (np.zeros((4, 5)), np.zeros((0, 6)), np.array(["words"])):
        io.savemat(path, {"labelData": {"data_3d": wrong}})
        refused(path, "data_3d")
    refused(v5(path, points(), joint_names=np.array([["a", "b"]], object)), "2 names for 4 joints")
    refused(v5(path, points() + np.inf), "infinite")
    cells = np.empty((2, 1), object)
    cells[:, 0] = {"data_3d": np.zeros((3, 6))}, {"data_3d": np.ones((3, 6))}
    io.savemat(path, {"labelData": cells})
    refused(path, "differs between cameras")


def test_a_link_out_of_the_file_is_not_followed(tmp_path: Path) -> None:
    v73(tmp_path / "other.mat", points())
    path = v73(tmp_path / "a.mat", points())
    with h5py.File(path, "r+") as file:
        del file["labelData"]
        file["labelData"] = h5py.ExternalLink(str(tmp_path / "other.mat"), "/labelData")
    refused(path, "no cells called labelData")


@pytest.mark.parametrize("kind", ["v5", "v5 plain", "v7.3"])
def test_damage_is_one_line_or_is_not_seen(tmp_path: Path, kind: str) -> None:
    whole = tmp_path / "whole.mat"
    if kind == "v7.3":
        v73(whole, points())
    else:
        v5(whole, points(), compressed=kind == "v5")
    data, draw, path = whole.read_bytes(), random.Random(0), tmp_path / "damaged.mat"
    told = []
    for trial in range(200):
        damaged = bytearray(data if trial % 2 else data[: draw.randrange(1, len(data))])
        for _ in range(3):
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            load_motion(path)
        except InputError as error:
            told.append(error.lines)
    assert len(told) > 60
    assert all(len(lines) == 1 and len(lines[0]) <= 300 for lines in told)


@real
def test_the_real_mouse_is_read_in_millimetres_with_its_left_on_its_left() -> None:
    motion = load_motion(MOUSE)
    assert motion.positions.shape == (10, 22, 3)
    at = {name: motion.positions[:, j] for j, name in enumerate(motion.names)}
    trunk = np.linalg.norm(at["Tail(base)"] - at["SpineF"], axis=-1)
    assert 30 < np.nanmedian(trunk) < 80
    measured = measure(load_skeleton("mouse"), [motion], load_map("mouse22"))
    inside = {edge.joint: edge.inside for edge in measured.edges}
    assert all(
        inside[f"{side}_{joint}"] > 0.7 for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist")
    )
