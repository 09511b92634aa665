"""Readers of motion files: what they must read, on small files made here and on real clips where there are some."""

import os
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import DATA, real

from posesynth.errors import InputError
from posesynth.motion import clip as clip_module
from posesynth.motion import load_motion

HEADER = """HIERARCHY
ROOT Hips
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT Left Leg
  {
    OFFSET 0 -1 0
    CHANNELS 4 Yposition Xrotation Zrotation Yrotation
    End Site
    {
      OFFSET 0 -2 0.5
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.025
"""
FRAMES = ["10 20 30 40 50 60 -1.5 15 25 35", "0 0 0 0 0 0 -1 0 0 0"]
BVH = HEADER + "\n".join(FRAMES) + "\n"

ASF = """:version 1.10
:units
  length 0.45
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name thigh
    direction 0 -1 0
    length 2
    axis 10 20 30 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
    name shank
    direction 0 0 1
    length 3
    axis 0 0 20 XYZ
    dof rx
  end
:hierarchy
  begin
    root thigh
    thigh shank
  end
"""
AMC = ":FULLY-SPECIFIED\n:DEGREES\n1\nroot 1 2 3 10 20 30\nthigh 5 6 7\nshank 40\n"


def turn(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows = {"x": [1, 0, 0, 0, c, -s, 0, s, c], "y": [c, 0, s, 0, 1, 0, -s, 0, c], "z": [c, -s, 0, s, c, 0, 0, 0, 1]}
    return np.array(rows[axis]).reshape(3, 3)


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# BVH.


def test_bvh_channels_act_in_the_order_they_are_written(tmp_path: Path) -> None:
    motion = load_motion(write(tmp_path, "a.bvh", BVH))
    root = turn("z", 40) @ turn("y", 50) @ turn("x", 60)
    knee = np.array([10, 20, 30]) + root @ [0, -1.5, 0]
    end = knee + root @ turn("x", 15) @ turn("z", 25) @ turn("y", 35) @ [0, -2, 0.5]
    np.testing.assert_allclose(motion.positions[0], [[10, 20, 30], knee, end], atol=1e-12)
    assert motion.names == ("Hips", "Left Leg", "Left Leg_end")
    assert motion.parents is not None
    assert motion.parents.tolist() == [-1, 0, 1]
    assert motion.fps == pytest.approx(40)


def test_a_position_channel_takes_the_place_of_the_offset(tmp_path: Path) -> None:
    positions = load_motion(write(tmp_path, "a.bvh", BVH)).positions
    np.testing.assert_allclose(positions[1], [[0, 0, 0], [0, -1, 0], [0, -3, 0.5]])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("0.025\n", "0.025 ").replace(FRAMES[0] + "\n", FRAMES[0] + " "),
        lambda text: HEADER + "\n\n".join(" ".join(FRAMES).split()),
        lambda text: text.replace("Frames:", "FRAMES :\t").replace("Frame Time:", "frame  time :"),
        lambda text: text.replace("\n{", " {").replace("rotation", "ROTATION"),
        lambda text: HEADER.replace("\n", " \n\t") + "\n".join(FRAMES) + "\n\n\n",
    ],
)
def test_the_breaking_of_lines_changes_nothing(change: object, tmp_path: Path) -> None:
    assert callable(change)
    expected = load_motion(write(tmp_path, "a.bvh", BVH))
    found = load_motion(write(tmp_path, "b.bvh", change(BVH)))
    np.testing.assert_array_equal(found.positions, expected.positions)
    assert found.names == expected.names


# ASF/AMC.


def test_amc_turns_each_bone_about_its_own_axes(tmp_path: Path) -> None:
    write(tmp_path, "a.asf", ASF)
    motion = load_motion(write(tmp_path, "a.amc", AMC))
    root = turn("z", 30) @ turn("y", 20) @ turn("x", 10)
    axes = turn("z", 30) @ turn("y", 20) @ turn("x", 10)
    thigh = root @ axes @ turn("z", 7) @ turn("y", 6) @ turn("x", 5) @ axes.T
    shank = thigh @ turn("z", 20) @ turn("x", 40) @ turn("z", -20)
    knee = np.array([1, 2, 3]) + thigh @ [0, -2, 0]
    np.testing.assert_allclose(motion.positions[0], [[1, 2, 3], knee, knee + shank @ [0, 0, 3]], atol=1e-12)
    assert motion.names == ("root", "thigh", "shank")


def test_radians_are_read_as_such(tmp_path: Path) -> None:
    write(tmp_path, "a.asf", ASF)
    in_degrees = load_motion(write(tmp_path, "a.amc", AMC)).positions
    rad = [f"{np.radians(x):.17g}" for x in (10, 20, 30, 5, 6, 7, 40)]
    axis = "axis " + " ".join(rad[:3]) + " XYZ"
    asf = ASF.replace("angle deg", "angle rad").replace("axis 10 20 30 XYZ", axis)
    write(tmp_path, "b.asf", asf.replace("axis 0 0 20 XYZ", f"axis 0 0 {np.radians(20):.17g} XYZ"))
    amc = f":RADIANS\n1\nroot 1 2 3 {' '.join(rad[:3])}\nthigh {' '.join(rad[3:6])}\nshank {rad[6]}\n"
    np.testing.assert_allclose(load_motion(write(tmp_path, "b.amc", amc)).positions, in_degrees, atol=1e-12)


def test_the_skeleton_is_found_beside_the_amc_or_named(tmp_path: Path) -> None:
    motion = write(tmp_path, "03_02.amc", AMC)
    with pytest.raises(InputError, match=r"expected 03_02\.asf or 03\.asf beside it"):
        load_motion(motion)
    asf = write(tmp_path, "other.ASF", ASF)
    assert load_motion(motion).names == load_motion(motion, asf=asf).names  # the only one there
    write(tmp_path, "03.asf", ASF.replace("shank", "crus"))
    with pytest.raises(InputError, match="unknown bone 'shank'"):
        load_motion(motion)
    assert load_motion(motion, asf=asf).names[-1] == "shank"


def euler_zyx(matrix: np.ndarray) -> tuple[float, float, float]:
    """z, y, x with Rz Ry Rx = matrix, degrees."""
    z = np.arctan2(matrix[1, 0], matrix[0, 0])
    y = np.arctan2(-matrix[2, 0], np.hypot(matrix[0, 0], matrix[1, 0]))
    x = np.arctan2(matrix[2, 1], matrix[2, 2])
    return tuple(float(a) for a in np.degrees([z, y, x]))  # type: ignore[return-value]


@real
@pytest.mark.parametrize("clip", ["03_02", "11_01"])
def test_amc_and_the_same_motion_as_bvh_agree(clip: str, tmp_path: Path) -> None:
    """Both readers give the same points for a real trial, converted here with R = C M C^-1 of FORMATS.md."""
    folder = DATA / "human_cmu_asfamc"
    bones, children = asf_bones(folder / f"{clip[:2]}.asf")
    frames = (folder / f"{clip}.amc").read_text().split("\n1\n", 1)[1].splitlines()
    rows: list[dict[str, list[float]]] = [{}]
    for line in frames:
        name, *values = line.split() or [""]
        if name.isdecimal():
            rows.append({})
        elif name:
            rows[-1][name] = [float(v) for v in values]
    rows = rows[::40]
    order: list[str] = []
    ends: list[str] = []

    def tree(bone: str, offset: np.ndarray) -> str:
        order.append(bone)
        inner = "".join(tree(child, bones[bone][0]) for child in children.get(bone, []))
        if not inner:
            inner = "End Site { OFFSET " + " ".join(map(repr, bones[bone][0].tolist())) + " }\n"
            ends.append(bone)
        place = " ".join(map(repr, offset.tolist()))
        return f"JOINT {bone}\n{{ OFFSET {place}\nCHANNELS 3 Zrotation Yrotation Xrotation\n{inner}}}\n"

    body = "".join(tree(bone, np.zeros(3)) for bone in children["root"])
    lines = []
    for row in rows:
        root = row["root"]
        numbers = [*root[:3], *root[5:2:-1]]
        for bone in order:
            _, axes, dofs = bones[bone]
            angles = dict(zip(dofs, row.get(bone, []), strict=True))
            about = turn("z", angles.get("rz", 0)) @ turn("y", angles.get("ry", 0)) @ turn("x", angles.get("rx", 0))
            numbers += euler_zyx(axes @ about @ axes.T)
        lines.append(" ".join(map(repr, map(float, numbers))))
    text = "HIERARCHY\nROOT root\n{ OFFSET 0 0 0\nCHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation "
    text += f"Xrotation\n{body}}}\nMOTION\nFrames: {len(rows)}\nFrame Time: 0.01\n" + "\n".join(lines)
    bvh = load_motion(write(tmp_path, "a.bvh", text))
    amc = load_motion(folder / f"{clip}.amc")
    for bone in ends:
        end = bvh.positions[:, bvh.names.index(f"{bone}_end")]
        np.testing.assert_allclose(end, amc.positions[::40, amc.names.index(bone)], atol=1e-4)


def asf_bones(path: Path) -> tuple[dict[str, tuple[np.ndarray, np.ndarray, list[str]]], dict[str, list[str]]]:
    """Of an ASF, read as plainly as can be: bone -> (offset, C, dofs), and bone -> children."""
    data, hierarchy = path.read_text().split(":bonedata")[1].split(":hierarchy")
    bones = {}
    for block in data.split("begin")[1:]:
        words = {w[0]: w[1:] for w in (line.split() for line in block.splitlines()) if w}
        x, y, z = (float(v) for v in words["axis"][:3])
        reach = np.array(words["direction"], dtype=float)
        reach = reach / np.linalg.norm(reach) * float(words["length"][0])
        bones[words["name"][0]] = (reach, turn("z", z) @ turn("y", y) @ turn("x", x), words.get("dof", []))
    children = {w[0]: w[1:] for w in (line.split() for line in hierarchy.splitlines()) if len(w) > 1}
    return bones, children


# Tables and arrays.

PLAIN = "frame,head_x,head_y,head_z,head_score,tail_tip_x,tail_tip_y,tail_tip_z\n0,1,2,3,.9,4,5,6\n1,1,2,3,.9,,nan,\n"
DLC = "scorer,me,me,me,me,me,me\nbodyparts,a,a,a,b,b,b\ncoords,x,y,z,x,y,z\n0,1,2,3,4,5,6\n1,,,,4,5,6\n"


def test_a_table_with_a_header_is_read_by_its_names(tmp_path: Path) -> None:
    motion = load_motion(write(tmp_path, "a.csv", PLAIN))
    assert motion.names == ("head", "tail_tip")
    np.testing.assert_array_equal(motion.positions, [[[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [np.nan] * 3]])


def test_a_deeplabcut_table_is_read_by_its_three_rows(tmp_path: Path) -> None:
    motion = load_motion(write(tmp_path, "a.csv", DLC))
    assert motion.names == ("a", "b")
    np.testing.assert_array_equal(motion.positions, [[[1, 2, 3], [4, 5, 6]], [[np.nan] * 3, [4, 5, 6]]])


def test_tables_and_arrays_of_the_same_numbers_are_the_same_motion(tmp_path: Path) -> None:
    positions = np.random.default_rng(0).normal(size=(5, 3, 3))
    names = ["a", "b", "c"]
    rows = [",\t".join(map(repr, map(float, frame.ravel()))) for frame in positions]
    write(tmp_path, "bare.txt", "\n".join(rows))
    header = ",".join(f"{name}_{axis}" for name in names for axis in "XYZ")
    write(tmp_path, "headed.csv", header + "\n" + "\n".join(rows) + "\n")
    write(tmp_path, "tabs.txt", (header + "\n" + "\n".join(rows)).replace(",\t", "\t").replace(",", "\t"))
    write(tmp_path, "semicolons.csv", (header + "\n" + "\n".join(rows)).replace(",\t", ";").replace(",", ";"))
    np.savez_compressed(tmp_path / "a.npz", positions=positions, names=names)
    np.savez(tmp_path / "bare.npz", positions=np.asfortranarray(positions))
    np.save(tmp_path / "bare.npy", positions)
    for name in ("bare.txt", "headed.csv", "tabs.txt", "semicolons.csv", "a.npz", "bare.npz", "bare.npy"):
        motion = load_motion(tmp_path / name, names=names if "bare" in name else None)
        np.testing.assert_array_equal(motion.positions, positions)
        assert motion.names == ("a", "b", "c")
        assert motion.positions.dtype == np.float64


# Real clips: the facts that README and FORMATS state.


@real
@pytest.mark.parametrize(
    ("file", "frames", "joints", "fps"),
    [
        ("human_cmu_bvh/07_10.bvh", 301, 38, 120),
        ("human_cmu_bvh/35_01.bvh", 358, 38, 120),
        ("human_bandai_bvh/dataset-1_bow_normal_001.bvh", 138, 27, 30),
        ("human_bandai_bvh/dataset-1_run_normal_001.bvh", 24, 27, 30),
        ("human_cmu_asfamc/03_02.amc", 365, 31, None),
        ("human_cmu_asfamc/11_01.amc", 597, 31, None),
    ],
)
def test_real_people_are_rigid(file: str, frames: int, joints: int, fps: float | None) -> None:
    motion = load_motion(DATA / file)
    assert motion.positions.shape == (frames, joints, 3)
    assert motion.fps == (fps if fps is None else pytest.approx(fps, rel=1e-4))
    assert motion.parents is not None
    bones = np.linalg.norm(motion.positions[:, 1:] - motion.positions[:, motion.parents[1:]], axis=-1)
    rigid = [name not in ("Hips", "Neck", "Head") for name in motion.names[1:]]  # Bandai gives those position channels
    assert (np.ptp(bones, axis=0) <= 1e-4 * bones.max())[rigid].all()


@real
@pytest.mark.parametrize(("clip", "frames"), [("walk00", 593), ("run01", 155), ("pace", 39)])
def test_the_real_dog_is_rigid(clip: str, frames: int) -> None:
    parents = [-1, 0, 1, 2, 3, 4, 2, 6, 7, 8, 9, 2, 11, 12, 13, 14, 0, 16, 17, 18, 0, 20, 21, 22, 0, 24, 25]
    names = [str(j) for j in range(27)]
    positions = load_motion(DATA / f"dog_mocap/dog_{clip}_joint_pos.txt", names=names).positions
    assert positions.shape == (frames, 27, 3)
    bones = np.linalg.norm(positions[:, 1:] - positions[:, parents[1:]], axis=-1)
    assert (np.ptp(bones, axis=0) <= 4e-4 * bones.max()).all()  # five decimals in the file


@real
def test_a_table_of_2d_labels_is_refused(tmp_path: Path) -> None:
    path = DATA / "format_samples/dlc_reaching/CollectedData_Mackenzie.csv"
    with pytest.raises(InputError, match=r"\.csv:3: joint 'Hand' has no z"):
        load_motion(path)


# Files that are not what they should be: one line, with the place.

BAD_BVH = [
    ("", ":1: the file ends too early; expected 'HIERARCHY'"),
    ("hello", ":1: 'hello'; expected 'HIERARCHY'"),
    (BVH[:60], ":5: the file ends too early"),
    (HEADER[: HEADER.index("MOTION")], "expected 'MOTION'"),
    (BVH.replace("OFFSET 0 -1 0", "OFFSET 0 -1"), ":9: OFFSET: 'CHANNELS' is not a finite number"),
    (BVH.replace("OFFSET 0 -1 0", ""), ":6: joint 'Left Leg' has no OFFSET"),
    (BVH.replace("OFFSET 0 -1 0", "OFSET 0 -1 0"), ":8: unknown word 'OFSET'; .*did you mean 'OFFSET'"),
    (BVH.replace("Zrotation Yrotation Xrotation", "Zrotation Yrotatoin Xrotation"), "did you mean 'Yrotation'"),
    (BVH.replace("CHANNELS 4", "CHANNELS four"), ":9: 'four' is not a number of channels"),
    (BVH.replace("CHANNELS 4", "CHANNELS 99999999999"), "is not a number of channels"),
    (BVH.replace("CHANNELS 4 Yposition Xrotation", "CHANNELS 4 Xrotation Xrotation"), "is given twice"),
    (BVH.replace("Left Leg", "Hips"), ":6: joint 'Hips' is named twice, first in line 2"),
    (BVH.replace("MOTION", "ROOT Other\n{\nOFFSET 0 0 0\n}\nMOTION"), "'ROOT'; expected 'MOTION'"),
    (BVH.replace("Frames: 2", "Frames: 0"), "0 frames"),
    (BVH.replace("Frames: 2", "Frames: -2"), "'-2' is not a number of frames"),
    (BVH.replace("Frames: 2", "Frames: 3"), ":20: 20 numbers after Frame Time; expected 30"),
    (BVH.replace("Frames: 2", "Frames: 900000000"), "expected at most"),
    (BVH.replace("Frames: 2", "Count: 2"), "expected 'Frames:'"),
    (BVH.replace("0.025", "-1"), "Frame Time -1"),
    (BVH.replace("0.025", "fast"), "Frame Time: 'fast' is not a finite number"),
    (BVH.replace(" 35\n", "\n"), ":20: 19 numbers after Frame Time; expected 20"),
    (BVH.replace(" 35\n", " nan\n"), ":19: 'nan' is not a finite number"),
    (BVH.replace(" 35\n", " 3_5\n"), ":19: '3_5' is not a finite number"),
    (BVH.replace(" 35\n", " 1e999\n"), ":19: '1e999' is not a finite number"),
    (BVH.encode().replace(b"Hips", b"H\xffps"), ":2: not text in UTF-8"),
    ("HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n}\nMOTION\nFrames: 1\nFrame Time: 1\n", "no joint has channels"),
    ("HIERARCHY\nROOT " + "{ OFFSET 0 0 0 JOINT a " * 3, "named twice"),
]
BAD_ASF = [
    ("", r"a\.asf:1: no section ':root'"),
    (ASF.replace("begin\n    root", "begin\n    pelvis"), r"a\.asf:\d+: 'pelvis' has no place in the tree yet"),
    (ASF.replace("root thigh\n", "root tigh\n"), "unknown bone 'tigh'; .*did you mean 'thigh'"),
    (ASF.replace("root thigh\n", "root thigh thigh\n"), "has two parents"),
    (ASF.replace("dof rx\n", "dof rw\n"), "unknown degree of freedom 'rw'"),
    (ASF.replace("20 XYZ", "20 XXZ"), "axis order 'XXZ'"),
    (ASF.replace("length 3", "length"), ":25: 0 numbers; expected 1"),
    (ASF.replace("direction 0 0 1", "direction 0 0 0"), "direction is zero"),
    (ASF.replace("direction 0 0 1", "direction 0 0 nan"), "'nan' is not a finite number"),
    (ASF.replace("    direction 0 0 1\n", ""), "without name, direction or length"),
    (ASF.replace("name shank", "name thigh"), "bone 'thigh' is given twice"),
    (ASF.replace("  end\n:hierarchy", ":hierarchy"), "the bone is not closed"),
    (ASF.replace("order TX", "ordre TX"), "unknown entry 'ordre'"),
]
BAD_AMC = [
    ("", r"a\.amc:1: no frames"),
    (AMC.replace("1\nroot", "root"), ":3: 'root' before the first frame"),
    (AMC.replace("shank 40", "shank 40 50"), ":6: 2 numbers for 'shank'; expected 1"),
    (AMC.replace("shank 40", "shank forty"), ":6: 'forty' is not a finite number"),
    (AMC.replace("shank 40", "shark 40"), ":6: unknown bone 'shark'; .*did you mean 'shank'"),
    (AMC.replace("shank 40\n", ""), ":3: frame 1 lacks 1 bones, first 'shank'"),
    (AMC + "thigh 1 2 3\n", ":7: 'thigh' is given twice in frame 1"),
    (AMC + "3\n", ":7: frame 3; expected frame 2"),
    (AMC + "2\nroot 1 2 3 4 5 6\n", "frame 2 lacks 2 bones"),
    (AMC.replace(":DEGREES", ":RADIANS"), "has the other unit"),
]
BAD_CSV = [
    ("", ":1: empty"),
    ("1,2,3\n", ":1: no header"),
    ("a,b,c\n1,2,3\n", ":1: no joints in the header"),
    ("1,5;2,5;3,5\n", ":1: holds commas and semicolons; expected one of them, and points in numbers"),
    (PLAIN.replace(",", ";").replace("4;5;6", "4;5,5;6"), ":2: column 7: '5,5' is not a finite number"),
    (PLAIN.replace("head_z", "haed_z"), ":1: joint 'head' has no z"),
    (PLAIN.replace("tail_tip_x", "head_x"), ":1: x of joint 'head' is given twice"),
    (PLAIN.replace("4,5,6", "4,5"), ":2: 7 columns; expected 8"),
    (PLAIN.replace("4,5,6", "4,5,6,7"), ":2: 9 columns; expected 8"),
    (PLAIN.replace("4,5,6", "4,five,6"), ":2: column 7: 'five' is not a finite number"),
    (PLAIN.replace("4,5,6", "4,inf,6"), ":2: column 7: 'inf' is not a finite number"),
    (PLAIN.split("\n")[0], ":1: no frames after the header"),
    (DLC.replace("coords,", "cords,"), ":1: no header row 'coords'"),
    (DLC.replace("z,x,y,z", "z,x,y,likelihood"), ":3: joint 'b' has no z"),
    (DLC.replace("bodyparts", "individuals,m,m,m,m,m,m\nbodyparts"), ":2: several animals"),
    (DLC.replace("coords,x,", "coords,"), ":3: 6 columns; expected 7"),
    (DLC.replace("me,me\n", "me\n").replace(",6\n", "\n"), ":2: 7 columns; expected 6"),
]
BAD = [
    *(("a.bvh", text, expected) for text, expected in BAD_BVH),
    *(("a.asf", text, expected) for text, expected in BAD_ASF),
    *(("a.amc", text, expected) for text, expected in BAD_AMC),
    *(("a.csv", text, expected) for text, expected in BAD_CSV),
    ("a.c3d", "x", "unknown kind of motion file '.c3d'"),
]


@pytest.mark.parametrize(("name", "text", "expected"), BAD, ids=range(len(BAD)))
def test_a_bad_file_gives_one_line_with_its_place(name: str, text: str | bytes, expected: str, tmp_path: Path) -> None:
    for other, content in (("a.asf", ASF), ("a.amc", AMC)):
        write(tmp_path, other, content)
    path = write(tmp_path, name, text)
    with pytest.raises(InputError, match=expected) as caught:
        load_motion(path.with_suffix(".amc") if name == "a.asf" else path)
    (line,) = caught.value.lines
    assert len(line) <= 300
    assert "\n" not in line
    assert "Traceback" not in line
    assert f"{name}:" in line


def bad_arrays(folder: Path) -> dict[Path, str]:
    good = np.zeros((2, 3, 3))
    names = ["a", "b", "c"]

    def npz(name: str, **arrays: object) -> Path:
        np.savez(folder / name, **arrays)  # type: ignore[arg-type]
        return folder / name

    whole = npz("whole.npz", positions=good, names=names).read_bytes()
    np.save(folder / "cut.npy", good)
    cut = write(folder, "cut.npy", (folder / "cut.npy").read_bytes()[:-8])
    bomb = folder / "bomb.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000, 30, 3), }"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "positions.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 99
        )
    return {
        folder / "none.npz": "No such file",
        folder / "none.npy": "No such file",
        folder / "none.bvh": "No such file",
        write(folder, "text.npz", "not a zip"): "cannot be read",
        write(folder, "text.npy", "not an array"): "not a NumPy array",
        write(folder, "short.npz", whole[:-60]): "cannot be read",
        write(folder, "flipped.npz", whole.replace(b"\0" * 64, b"\1" * 64, 1)): "cannot be read",
        cut: "cut short, 136 bytes; expected 144",
        bomb: "9000000000 numbers; expected at most",
        npz("object.npz", positions=np.array([{}, None], dtype=object)): "objects are never unpickled",
        npz("flat.npz", positions=np.zeros((2, 9)), names=names): r"\(2, 9\); expected numbers \(frames, joints, 3\)",
        npz("empty.npz", positions=np.zeros((0, 3, 3)), names=names): "expected numbers",
        npz("complex.npz", positions=good * 1j, names=names): "of type complex128",
        npz("infinite.npz", positions=good + np.inf, names=names): "infinite in frame 0, joint 'a'",
        npz("other.npz", poses=good): "no array 'positions'; expected positions and names, found 'poses'",
        npz("few.npz", positions=good, names=["a"]): "1 names for 3 joints",
        npz("twice.npz", positions=good, names=["a", "b", "a"]): "'a' is given twice",
        npz("numbers.npz", positions=good, names=[1, 2, 3]): "expected one text for each joint",
        npz("nameless.npz", positions=good): "no names",
    }


def npy(header: str | bytes, version: int = 1) -> bytes:
    header = header.encode() if isinstance(header, str) else header
    return b"\x93NUMPY" + bytes([version, 0]) + len(header).to_bytes(2 * min(version, 2), "little") + header


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "content",
    [
        npy("((((((((\n"),
        npy("{'descr': " + "(" * 150 + ")" * 150 + ", 'fortran_order': False, 'shape': (1,)}"),
        npy("{'descr': " + "-" * 9000 + "1, 'fortran_order': False, 'shape': (1,)}"),
        *(
            npy(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}") + b"\0" * 960
            for descr, shape in [
                ("<f8", "(-5, -16, 3)"),
                ("<f8", "(True, 16, 3)"),
                ("<f8", "(16L, 3)"),
                ("<f8", f"(0, {2**62}, {2**62})"),
                ("<f8", f"({2**62},) * 2"),
                ("<f8", "(" + "9223372036854775807, " * 32 + ")"),
                ("<f8", "(" + "1, " * 40 + ")"),
                ("<U0", "(5,)"),
                ("<U1", "(5, 16, 3)"),
            ]
        ),
        npy("{}", version=3)[:9],
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        b"\x93NUMPY\x09\x00",
        npy(b"\xff\xfe{", version=3),
    ],
)
def test_a_damaged_npy_header_gives_one_line_in_a_file_and_in_an_npz(content: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("positions.npy", content)
    for path in (write(tmp_path, "a.npy", content), tmp_path / "a.npz"):
        with pytest.raises(InputError) as caught:
            load_motion(path, names=["a"])
        (line,) = caught.value.lines
        assert len(line) <= 300
        assert "\n" not in line


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_gives_one_line(kind: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "whole.npz", "w", kind) as archive:
        archive.writestr("positions.npy", os.urandom(500))
    whole = (tmp_path / "whole.npz").read_bytes()
    for at in range(len(whole)):
        damaged = write(tmp_path, "a.npz", whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with pytest.raises(InputError) as caught:
            load_motion(damaged)
        (line,) = caught.value.lines
        assert len(line) <= 300


def test_a_device_is_no_npz(tmp_path: Path) -> None:
    (tmp_path / "a.npz").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="is no regular file"):
        load_motion(tmp_path / "a.npz")


def test_many_names_are_counted_once(tmp_path: Path) -> None:
    names = [f"j{i}" for i in range(60_000)]
    np.savez(tmp_path / "a.npz", positions=np.zeros((1, len(names), 3)), names=names)
    began = time.process_time()
    assert load_motion(tmp_path / "a.npz").names == tuple(names)
    assert time.process_time() - began < 5


@pytest.mark.filterwarnings("error")
def test_positions_too_far_to_measure_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", positions=np.full((1, 2, 3), -1e300), names=["a", "b"])
    with pytest.raises(InputError, match="frame 0, joint 'a' is too far away; expected coordinates of at most 1e"):
        load_motion(tmp_path / "a.npz")


def test_a_bad_array_gives_one_line(tmp_path: Path) -> None:
    for path, expected in bad_arrays(tmp_path).items():
        with pytest.raises(InputError, match=expected) as caught:
            load_motion(path)
        (line,) = caught.value.lines
        assert len(line) <= 300
        assert path.name in line


@pytest.mark.parametrize("name", ["a.bvh", "a.csv", "a.npz", "a.amc"])
def test_a_clip_too_large_to_hold_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.asf", ASF)
    write(tmp_path, "a.amc", AMC)
    write(tmp_path, "a.bvh", BVH)
    write(tmp_path, "a.csv", PLAIN)
    np.savez(tmp_path / "a.npz", positions=np.zeros((2, 3, 3)), names=["a", "b", "c"])
    load_motion(tmp_path / name)
    monkeypatch.setattr(clip_module, "MAX_NUMBERS", 8)
    monkeypatch.setattr("posesynth.motion.tables.MAX_NUMBERS", 8)
    with pytest.raises(InputError, match="expected at most 8"):
        load_motion(tmp_path / name)


@settings(max_examples=400)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_but_never_crashes(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    write(folder, "a.asf", ASF)
    np.savez(folder / "a.npz", positions=np.zeros((2, 2, 3)), names=["a", "b"])
    sources = {"a.bvh": BVH.encode(), "a.amc": AMC.encode(), "a.csv": PLAIN.encode(), "b.csv": DLC.encode()}
    sources |= {"a.asf": ASF.encode(), "a.npz": (folder / "a.npz").read_bytes()}
    write(folder, "a.amc", AMC)
    name = data.draw(st.sampled_from(sorted(sources)))
    content = bytearray(sources[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
        if kind == "flip":
            content[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del content[at : at + data.draw(st.integers(1, 40))]
        elif kind == "insert":
            content[at:at] = data.draw(st.sampled_from([b"nan", b"\n", b",", b"{", b"}", b"-1 ", b"\0", b"9999999"]))
        else:
            content[at:at] = content[at : at + 30]
        if not content:
            break
    path = write(folder, name, bytes(content))
    try:
        motion = load_motion(folder / "a.amc" if name == "a.asf" else path)
    except InputError as error:
        assert all(len(line) <= 300 and "\n" not in line for line in error.lines)  # noqa: PT017
    else:
        assert motion.positions.shape[1:] == (len(motion.names), 3)
        assert not np.isinf(motion.positions).any()
    finally:
        shutil.rmtree(folder)
