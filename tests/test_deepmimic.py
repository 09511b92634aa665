"""DeepMimic's clips: a small character turned by hand, the real walk and run, and bad files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_data import DATA, real

from posesynth.coverage import load_map, measure
from posesynth.coverage.joint_map import bind
from posesynth.errors import InputError
from posesynth.motion import load_motion
from posesynth.skeleton import load_skeleton


def joint(name: str, kind: str, parent: int, attach: tuple[float, float, float], **more: Any) -> dict[str, Any]:
    places = {f"Attach{axis}": value for axis, value in zip("XYZ", attach, strict=True)}
    return {"Name": name, "Type": kind, "Parent": parent, **places, **more}


JOINTS = [
    joint("root", "none", -1, (0, 0, 0)),
    joint("hip", "spherical", 0, (0, 0, 0.5)),
    joint("knee", "revolute", 1, (0, -2, 0)),
    joint("ankle", "fixed", 2, (0, -3, 0)),
]
HALF = np.sqrt(0.5)
# The root turned by 90 degrees about y, the hip by 90 about x, the knee by 90 about z.
FRAME = [0.05, 1, 2, 3, HALF, 0, HALF, 0, HALF, HALF, 0, 0, np.pi / 2]


def write(folder: Path, frames: Any = (FRAME,), joints: Any = JOINTS, name: str = "man_walk.txt") -> Path:
    path = folder / name
    path.write_text(json.dumps({"Loop": "wrap", "Frames": list(frames)}))
    (folder / "man.txt").write_text(json.dumps({"Skeleton": {"Joints": joints}}))
    return path


def test_each_joint_turns_what_hangs_on_it(tmp_path: Path) -> None:
    motion = load_motion(write(tmp_path))
    root = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    hip = root @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    knee = hip @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    points = [np.array([1, 2, 3])]
    for turn, bone in ((root, [0, 0, 0.5]), (hip, [0, -2, 0]), (knee, [0, -3, 0])):
        points.append(points[-1] + turn @ bone)
    np.testing.assert_allclose(motion.positions, [points], atol=1e-12)
    assert motion.names == ("root", "hip", "knee", "ankle")
    assert motion.parents is not None
    assert motion.parents.tolist() == [-1, 0, 1, 2]
    assert (motion.fps, motion.up) == (pytest.approx(20), "y")


def test_trailing_commas_are_read_and_those_in_names_are_kept(tmp_path: Path) -> None:
    expected = load_motion(write(tmp_path)).positions
    named = [{**JOINTS[0], "Name": "ro,]ot"}, *JOINTS[1:]]
    path = write(tmp_path, joints=named)
    for file in (path, tmp_path / "man.txt"):
        file.write_text("\ufeff" + file.read_text().replace("]}", ",\n]\n,}").replace("}, {", ",}\n,{"))
    motion = load_motion(path)
    np.testing.assert_array_equal(motion.positions, expected)
    assert motion.names[0] == "ro,]ot"


def test_the_character_is_found_beside_in_characters_or_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, name="man_walk_a.json")
    expected = load_motion(path).positions
    other = (tmp_path / "man.txt").rename(tmp_path / "elsewhere.txt")
    with pytest.raises(
        InputError, match=r"its character was not found; expected man\.txt beside it, or one named with --asf"
    ):
        load_motion(path)
    np.testing.assert_array_equal(load_motion(path, asf=other).positions, expected)
    (tmp_path / "characters").mkdir()
    (tmp_path / "motions").mkdir()
    other.rename(tmp_path / "characters" / "man.txt")
    np.testing.assert_array_equal(load_motion(path.rename(tmp_path / "motions" / path.name)).positions, expected)


def changed(n: int, **values: Any) -> list[dict[str, Any]]:
    return [{**entry, **values} if i == n else entry for i, entry in enumerate(JOINTS)]


BAD_JOINTS = [
    ([], "no list Joints in Skeleton"),
    ([1], r"Joints\[0\]: has no Name"),
    (changed(2, Name="hip"), r"Joints\[2\]: 'hip' is given twice"),
    (changed(2, Type="prismatic"), r"Joints\[2\].Type: 'prismatic'; expected spherical, revolute or fixed"),
    (changed(0, Type="fixed"), r"Joints\[0\].Type: 'fixed'; expected none"),
    (changed(3, Parent=3), r"Joints\[3\].Parent: 3; expected -1"),
    (changed(3, Parent=True), r"Joints\[3\].Parent: True"),
    (changed(3, AttachY="low"), r"Joints\[3\].AttachY: 'low'; expected a number"),
    (changed(3, AttachThetaZ=0.1), r"Joints\[3\].AttachThetaZ: 0.1; expected 0, turned joints are not read"),
]
BAD_FRAMES = [
    ([], "no list Frames"),
    ([FRAME, 5], r"Frames\[1\]: 5; expected 13"),
    ([FRAME, FRAME[:-1]], r"Frames\[1\]: 12 numbers; expected 13"),
    ([[*FRAME[:-1], None]], r"Frames\[0\]: None is not a finite number"),
    ([[*FRAME[:-1], float("nan")]], r"Frames\[0\]: nan is not a finite number"),
    ([[*FRAME[:-1], 10**400]], r"Frames\[0\]: 1000"),
    ([FRAME, [*FRAME[:4], 0, 0, 0, 0, *FRAME[8:]]], r"Frames\[1\]: 'root' is turned by a quaternion of length 0;"),
]


@pytest.mark.parametrize(
    ("joints", "frames", "expected"),
    [*((joints, [FRAME], expected) for joints, expected in BAD_JOINTS), *((JOINTS, f, e) for f, e in BAD_FRAMES)],
    ids=range(len(BAD_JOINTS) + len(BAD_FRAMES)),
)
def test_a_bad_file_gives_one_line(joints: Any, frames: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        load_motion(write(tmp_path, frames, joints))
    assert [len(line) <= 300 for line in caught.value.lines] == [True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"Frames": [[1, 2\n', r"man_walk.txt:2: not JSON"),
        ('{"Frames": 1' + "0" * 5000 + "}", "not JSON that can be read"),
        ("{" + '"a": [' * 90_000, "not JSON"),
        ('{"Skeleton": {}}', "no list Frames"),
    ],
    ids=range(4),
)
def test_a_damaged_file_gives_one_line(text: str, expected: str, tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(text)
    with pytest.raises(InputError, match=expected) as caught:
        load_motion(path)
    assert [len(line) <= 300 for line in caught.value.lines] == [True]


@real
@pytest.mark.parametrize(("clip", "frames", "speed"), [("walk", 39, 0.9), ("run", 25, 2.5)])
def test_the_real_clips_go_where_they_face(clip: str, frames: int, speed: float) -> None:
    motion = load_motion(DATA / f"human_deepmimic/humanoid3d_{clip}.txt")
    assert motion.positions.shape == (frames, 15, 3)
    assert motion.fps is not None
    root = motion.positions[:, motion.names.index("root")]
    aside = motion.positions[:, motion.names.index("left_hip")] - motion.positions[:, motion.names.index("right_hip")]
    ahead = np.cross(aside / np.linalg.norm(aside, axis=1, keepdims=True), [0, 1, 0])
    along = (np.diff(root, axis=0) * ahead[:-1]).sum(1) * motion.fps
    assert along.mean() > speed
    height = motion.positions[..., 1]
    assert -0.02 < height.min() < 0.2  # the ankle of a running foot
    assert 1.2 < height.max() < 1.7  # shoulders: there is no head


@real
def test_the_real_walk_lies_inside_the_ranges_of_a_person() -> None:
    joint_map = load_map("human-deepmimic")
    motion = load_motion(DATA / "human_deepmimic/humanoid3d_walk.txt")
    assert np.isfinite(bind(load_skeleton("human"), motion, joint_map)).all(2).sum(1).tolist() == [15] * 39
    assert measure(load_skeleton("human"), [motion], joint_map).inside == 1
