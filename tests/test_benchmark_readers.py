"""Readers of 3D benchmarks, on small files written here in each format."""

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from real_data import DATA, real
from scipy.io import savemat

from lifter.data.benchmarks import load_benchmark
from lifter.data.benchmarks.h36m import JOINTS
from lifter.data.benchmarks.h36m_cameras import CAMERAS, Camera
from lifter.data.benchmarks.mpi_inf_3dhp import TEST_JOINTS, TRAIN_JOINTS
from lifter.data.benchmarks.unpickle import array_of, unpickle
from posesynth.errors import InputError
from posesynth.motion import load_motion
from posesynth.motion.hands import HAND
from posesynth.skeleton import load_skeleton
from tests.benchmark_contract import BenchmarkContract, Poses, refused
from tests.matlab_values import cells

Array = np.ndarray


def seen(seed: int, frames: int, joints: int, away: float = 5000, size: float = 500) -> tuple[Array, Array]:
    """(T, J, 3) mm in front of a camera, (T, J, 2) where a pinhole sees them."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(frames, joints, 3)) * [size, size, size / 5] + [0, 0, away]
    return points, 1000 * points[..., :2] / points[..., 2:] + 500


def by_name(names: Any, values: Array) -> dict[str, Array]:
    return {name: values[:, n] for n, name in enumerate(names)}


# --- Human3.6M ------------------------------------------------------------------------------------------------------


def slow_camera(camera: Camera, point: Array) -> tuple[Array, Array]:
    """The same camera, joint by joint: w x y z as a rotation of the world's point, then lens and pixels."""
    w, x, y, z = camera.orientation
    axes = [  # the camera's axes in the world: q i q*
        np.array([w * w + x * x - y * y - z * z, 2 * (x * y + w * z), 2 * (x * z - w * y)]),
        np.array([2 * (x * y - w * z), w * w - x * x + y * y - z * z, 2 * (y * z + w * x)]),
        np.array([2 * (x * z + w * y), 2 * (y * z - w * x), w * w - x * x - y * y + z * z]),
    ]
    off = point - np.array(camera.place)
    seen = np.array([axis @ off for axis in axes])
    a, b = seen[0] / seen[2], seen[1] / seen[2]
    r2 = a * a + b * b
    k, (p2, p1) = camera.radial, camera.tangential
    scale = 1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3 + p1 * b + p2 * a
    bent = np.array([a * scale + p2 * r2, b * scale + p1 * r2])
    return seen, bent * camera.focal + camera.centre


class TestH36M(BenchmarkContract):
    kind, root, exact = "Human3.6M", "hip", 2e-3

    def world(self) -> dict[str, dict[str, Array]]:
        rng = np.random.default_rng(0)
        person = rng.normal(size=(3, 32, 3)) * [0.3, 0.3, 0.4] + [0, 0, 1]
        return {
            "S9": {"Walking": person.astype(np.float32), "Walking 1": (person[:2] + 0.1).astype(np.float32)},
            "S11": {"Photo": (person - 0.2).astype(np.float32)},
        }

    def write(self, folder: Path) -> Path:
        path = folder / "data_3d_h36m.npz"
        np.savez_compressed(path, positions_3d=self.world())
        return path

    def expected(self) -> list[Poses]:
        found = []
        for subject, actions in self.world().items():
            for action, world in actions.items():
                for camera in CAMERAS[subject]:
                    points = np.empty((len(world), 17, 3))
                    image = np.empty((len(world), 17, 2))
                    for t in range(len(world)):
                        for n, joint in enumerate([0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]):
                            points[t, n], image[t, n] = slow_camera(camera, 1000 * world[t, joint].astype(np.float64))
                    names = load_skeleton("human").joints
                    every = np.ones(len(world), bool)
                    poses = (by_name(names, points), by_name(names, image))
                    found.append(Poses(subject, action, camera.name, *poses, every))
        return found

    def detections(self, folder: Path, more: int = 3, **change: Any) -> Path:
        held: dict[str, Any] = {
            subject: {
                action: [np.full((len(world) + more, 17, 2), c, np.float32) for c in range(4)]
                for action, world in actions.items()
            }
            for subject, actions in self.world().items()
        }
        held |= change
        path = folder / "data_2d_h36m_cpn.npz"
        metadata = {"num_joints": 17, "keypoints_symmetry": [[4, 5, 6], [1, 2, 3]]}
        np.savez_compressed(path, positions_2d=held, metadata=metadata)
        return path

    def test_a_detector_sees_as_long_as_the_3d_goes_on(self, tmp_path: Path) -> None:
        found = load_benchmark(self.write(tmp_path), detections=str(self.detections(tmp_path)))
        assert found.image == "data_2d_h36m_cpn.npz"
        for n, recording in enumerate(found.recordings):
            assert recording.p2d.shape == (*recording.positions.shape[:2], 2)
            assert (recording.p2d == n % 4).all()

    def test_detections_that_will_not_do_are_named(self, tmp_path: Path) -> None:
        path = self.write(tmp_path)
        for more, change, words in (
            (-1, {}, "positions_2d: S9: Walking: camera 0: shape (2, 17, 2); expected (3 or more, 17, 2)"),
            (0, {"S11": {"Foto": []}}, "positions_2d: S11: no action 'Photo'; expected all that the 3D has; did you"),
            (0, {"S11": {"Photo": [1, 2, 3]}}, "positions_2d: S11: Photo: 3 cameras; expected a list of 4"),
            (0, {"S11": {"Photo": [1, 2, 3, 4]}}, "camera 0: is int; expected an array of numbers"),
            (0, {"S11": []}, "expected a dict of actions"),
        ):
            refused(path, words, detections=str(self.detections(tmp_path, more, **change)))
        refused(path, "no array 'positions_2d', found 'positions_3d.npy'", detections=str(path))

    def test_some_subjects_are_read_alone(self, tmp_path: Path) -> None:
        found = load_benchmark(self.write(tmp_path), subjects=["S11"])
        assert {recording.subject for recording in found.recordings} == {"S11"}
        refused(self.write(tmp_path), "no subject 'S5'", subjects=["S5"])

    @pytest.mark.parametrize(
        ("held", "words"),
        [
            (
                {"S9": {"Walking": np.zeros((3, 17, 3), np.float32)}},
                "shape (3, 17, 3); expected numbers (frames, 32, 3)",
            ),
            ({"S9": {"Walking": np.zeros((0, 32, 3), np.float32)}}, "shape (0, 32, 3)"),
            ({"S9": {"Walking": np.full((3, 32, 3), 900, np.float32)}}, "numbers beyond 100 m; expected metres"),
            ({"S9": {"Walking": np.full((3, 32, 3), np.nan, np.float32)}}, "expected metres"),
            ({"S9": {"Walking": [1, 2]}}, "is list; expected an array of numbers"),
            ({"S9": {}}, "expected a dict of actions"),
            ({"S2": {"Walking": np.zeros((3, 32, 3), np.float32)}}, "'S2' has no cameras; expected S1, S5"),
            ({9: {}}, "expected a dict of subjects"),
            ([1], "expected a dict of subjects"),
        ],
        ids=range(9),
    )
    def test_poses_that_will_not_do_are_named(self, tmp_path: Path, held: Any, words: str) -> None:
        path = tmp_path / "data_3d_h36m.npz"
        np.savez(path, positions_3d=held if isinstance(held, dict) else {"S9": held} and held)
        refused(path, *([words] if isinstance(held, dict) else []))

    def test_its_names_are_those_of_the_skeleton(self) -> None:
        assert tuple(JOINTS) == load_skeleton("human").joints

    def test_its_cameras_see_a_person_upright_in_the_middle(self) -> None:
        """The one check of the numbers that needs no data: hip, head and feet of somebody in the middle of the room."""
        for cameras in CAMERAS.values():
            for camera in cameras:
                hip, head, floor = camera.project(camera.from_world(np.array([[0, 0, 900], [0, 0, 1700], [0, 0, 0.0]])))
                assert (np.abs(hip - 500) < 200).all()
                assert 150 < hip[1] - head[1] < 240
                assert 170 < floor[1] - hip[1] < 250
                assert abs(head[0] - floor[0]) < 45
                assert np.linalg.norm(camera.orientation) == pytest.approx(1, abs=1e-6)
                assert np.linalg.det(camera.turn) == pytest.approx(1)


# --- pickles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "u1", "<i8", "?"])
def test_arrays_survive_every_protocol(protocol: int, dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    held = {"a": [array, array.T, array[:0]], "text": "ä", "number": np.float32(1.5), "list": [1, 2.5, None, True]}
    found = unpickle("x", "x", pickle.dumps(held, protocol))
    for got, want in zip(found["a"], held["a"], strict=True):
        np.testing.assert_array_equal(array_of("x", "x", got), want)
    assert (found["text"], found["number"], found["list"]) == ("ä", 1.5, [1, 2.5, None, True])


class Evil:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (Evil(os.system, ("touch {}",)), "would call 'posix.system'"),
        (Evil(eval, ("open({!r}, 'w')",)), "would call 'builtins.eval'"),
        (Evil(getattr, ("x", "format")), "would call 'builtins.getattr'"),
        (Evil(np.load, ("x",)), "would call 'numpy"),
        (Path("x"), "would call 'pathlib"),
        (np.array([1, "a"], object), None),
        (np.ones(3, np.complex128), "damaged"),
        (np.array(["text"]), "damaged"),
        (np.zeros(2, "M8[s]"), "damaged"),
    ],
    ids=range(9),
)
def test_a_pickle_that_would_do_anything_is_refused_before_it_does(
    held: Any, words: str | None, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    if isinstance(held, Evil):
        held = Evil(held.call[0], tuple(part.format(mark) if isinstance(part, str) else part for part in held.call[1]))
    path = tmp_path / "data_3d_h36m.npz"
    np.savez(path, positions_3d=np.array({"S9": {"Walking": held}}, object))
    refused(path, *([words] if words else []))
    assert not mark.exists()


def test_a_pickle_takes_no_more_memory_than_it_has_bytes() -> None:
    far = b"\x80\x02]r\xff\xff\xff\x7f."  # remembers its list in place 2^31 - 1
    assert unpickle("x", "x", far) == []
    for bomb in (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f", b"\x80\x05\x96" + b"\xff" * 7 + b"\x00"):
        with pytest.raises(InputError, match="damaged, or no pickle"):
            unpickle("x", "x", bomb)


def test_an_array_of_another_size_than_it_says_is_refused() -> None:
    whole = pickle.dumps(np.arange(4, dtype="<f4"), 2)
    for bad in (whole.replace(b"K\x04\x85", b"K\x05\x85"), whole.replace(b"f4", b"f8"), whole.replace(b"f4", b"O8")):
        assert bad != whole
        with pytest.raises(InputError, match="x: damaged, or no pickle: "):
            unpickle("x", "x", bad)


# --- MPI-INF-3DHP ---------------------------------------------------------------------------------------------------


class Test3dhpTrain(BenchmarkContract):
    kind, root = "MPI-INF-3DHP training", "pelvis"

    def write(self, folder: Path) -> Path:
        (folder / "S2" / "Seq1").mkdir(parents=True, exist_ok=True)
        path = folder / "S2" / "Seq1" / "annot.mat"
        cameras = [seen(c, 3, 28) for c in range(14)]
        solid = cells([points.reshape(3, 84) for points, _ in cameras]).T
        flat = cells([image.reshape(3, 56) for _, image in cameras]).T
        held = {"annot2": flat, "annot3": 2 * solid, "univ_annot3": solid, "frames": np.arange(3)[:, None]}
        savemat(path, held, do_compression=True)
        return path

    def expected(self) -> list[Poses]:
        every = np.ones(3, bool)
        return [
            Poses("S2", "Seq1", str(c), *(by_name(TRAIN_JOINTS, part) for part in seen(c, 3, 28)), every)
            for c in range(14)
        ]

    def test_arrays_that_will_not_do_are_named(self, tmp_path: Path) -> None:
        path = tmp_path / "annot.mat"
        good = cells([np.ones((3, 84)), np.ones((3, 84))])
        for held, words in (
            ({"annot2": good}, "univ_annot3: 'NoneType'; expected a cell of numbers for each camera"),
            ({"univ_annot3": good, "annot2": cells([np.ones((3, 56))])}, "annot2: 1 cameras; expected 2"),
            ({"univ_annot3": good, "annot2": good}, "annot2: camera 0: shape (3, 84); expected (frames, 56)"),
            ({"univ_annot3": good, "annot2": cells([np.ones((2, 56))] * 2)}, "as many frames in each"),
            ({"univ_annot3": 1e9 * good, "annot2": cells([np.ones((3, 56))] * 2)}, "numbers beyond 1e+06"),
        ):
            savemat(path, held)
            refused(path, words)


class Test3dhpTest(BenchmarkContract):
    kind, root = "MPI-INF-3DHP test", "pelvis"

    def write(self, folder: Path, **change: Any) -> Path:
        (folder / "TS3").mkdir(exist_ok=True)
        path = folder / "TS3" / "annot_data.mat"
        points, image = seen(0, 4, 17)
        held = {"univ_annot3": points[:, None], "annot3": 2 * points[:, None], "annot2": image[:, None]}
        held |= {"valid_frame": np.array([[1.0], [0], [1], [1]])} | change
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, value in held.items():
                file[name] = value
        return path

    def expected(self) -> list[Poses]:
        poses = (by_name(TEST_JOINTS, part) for part in seen(0, 4, 17))
        return [Poses("TS3", "", "", *poses, np.array([True, False, True, True]))]

    def test_arrays_that_will_not_do_are_named(self, tmp_path: Path) -> None:
        for change, words in (
            ({"univ_annot3": np.ones((4, 2, 17, 3))}, "univ_annot3: shape (4, 2, 17, 3); expected (frames, 1, 17, 3)"),
            ({"annot2": np.ones((4, 1, 16, 2))}, "annot2: shape (4, 1, 16, 2)"),
            ({"valid_frame": np.ones((3, 1))}, "valid_frame: 3 numbers; expected 0 or 1 for each of 4 frames"),
            ({"valid_frame": np.full((4, 1), 2.0)}, "expected 0 or 1"),
        ):
            refused(self.write(tmp_path, **change), words)


# --- hands ----------------------------------------------------------------------------------------------------------


class TestFreiHand(BenchmarkContract):
    kind, root, exact = "FreiHAND", "wrist", 5e-3

    def write(self, folder: Path) -> Path:
        points, _ = seen(0, 5, 21, away=700, size=80)
        matrices = [[[1000, 0, 500], [0, 1000, 500], [0, 0, 1]]] * 5
        (folder / "training_xyz.json").write_text(json.dumps((points / 1000).tolist()))
        (folder / "training_K.json").write_text(json.dumps(matrices))
        return folder / "training_xyz.json"

    def expected(self) -> list[Poses]:
        poses = (by_name(load_skeleton("hand").joints, part) for part in seen(0, 5, 21, away=700, size=80))
        return [Poses("", "right", "", *poses, np.ones(5, bool))]

    def test_it_is_motion_too(self, tmp_path: Path) -> None:
        motion = load_motion(self.write(tmp_path))
        assert motion.names == load_skeleton("hand").joints
        np.testing.assert_allclose(1000 * motion.positions, seen(0, 5, 21, away=700, size=80)[0])

    def test_cameras_that_will_not_do_are_named(self, tmp_path: Path) -> None:
        path = self.write(tmp_path)
        beside = tmp_path / "training_K.json"
        for text, words in (
            ("[]", "training_K.json: 0 cameras; expected 5"),
            ("{}", "expected 5"),
            ("[1,2,3,4,5]", "3 joints of 3"),
        ):
            beside.write_text(text)
            refused(path, words)
        beside.unlink()
        refused(path, "training_K.json", "cannot be read")


class TestRhd(BenchmarkContract):
    kind, root = "RHD", "wrist"

    def write(self, folder: Path, names: bool = True, **change: Any) -> Path:
        points, image = seen(0, 4, 21, away=700, size=80)
        order = [0, *(5 + 4 * finger - 1 - part for finger in range(5) for part in range(4))]
        annotations = []
        for n, side in enumerate(("right", "left", "right", "left")):
            labelled = np.column_stack([image[n], np.ones(21)])[order].tolist()
            annotations.append(
                {"image_id": n, "joint_cam": points[n][order].tolist(), "keypoints": labelled, "hand_type": side}
                | change
            )
        joints = ["wrist", *(f"{f}{k}" for f in ("thumb", "forefinger", "middle", "ring", "pinky") for k in "1234")]
        path = folder / "rhd_test.json"
        document = {"images": [], "annotations": annotations, "categories": [{"id": 1, "keypoints": joints}]}
        path.write_text(json.dumps(document))
        return path

    def expected(self) -> list[Poses]:
        points, image = seen(0, 4, 21, away=700, size=80)
        names, both = load_skeleton("hand").joints, np.ones(2, bool)
        return [
            Poses("", side, "", by_name(names, points[of]), by_name(names, image[of]), both)
            for side, of in (("left", [1, 3]), ("right", [0, 2]))
        ]

    def test_left_hands_are_mirrored_as_motion_alone(self, tmp_path: Path) -> None:
        motion = load_motion(self.write(tmp_path))
        points, _ = seen(0, 4, 21, away=700, size=80)
        points[[1, 3], :, 0] *= -1
        wrist, tip = motion.names.index("wrist"), motion.names.index("thumb1")
        np.testing.assert_allclose(motion.positions[:, wrist], points[:, 0])
        np.testing.assert_allclose(motion.positions[:, tip], points[:, HAND.index("thumb_tip")])

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"hand_type": "interacting"}, "annotations[0].hand_type: 'interacting'; expected left or right"),
            ({"joint_cam": [[1, 2, 3]]}, "annotations[0].joint_cam: [[1, 2, 3]]; expected 21 joints of 3 numbers"),
            ({"joint_cam": [[1, 2, None]] * 21}, "expected 21 joints of 3 numbers"),
            ({"keypoints": None}, "annotations[0].keypoints: None; expected 21 joints of 3 numbers"),
        ],
    )
    def test_annotations_that_will_not_do_are_named(self, tmp_path: Path, change: Any, words: str) -> None:
        refused(self.write(tmp_path, **change), words)


@real
def test_the_real_hands_bend_towards_the_palm() -> None:
    """Left and right, finger order and axes: any mixed up would bend fingers backwards or put the thumb outside."""
    from posesynth.coverage import load_map, measure
    from posesynth.coverage.angles import principal_angles
    from posesynth.coverage.body import poses

    hand, joint_map = load_skeleton("hand"), load_map("hand-rhd")
    motion = load_motion(DATA / "format_samples/rhd/test_rhd.json")
    assert motion.positions.shape == (3, 21, 3)
    flexion, abduction = principal_angles(hand, poses(hand, motion, joint_map).directions)
    joints = [hand.joints.index(f"{finger}_dip") - 1 for finger in ("index", "middle", "ring", "pinky")]
    assert (flexion[:, joints] > 15).all()
    assert (abduction[:, hand.joints.index("thumb_cmc") - 1] > 25).all()
    inside = {edge.joint: edge.inside for edge in measure(hand, [motion], joint_map).edges}
    assert all(inside[f"{finger}_mcp"] == 1 for finger in ("index", "middle", "ring", "pinky"))


@real
def test_the_real_rhd_joints_lie_where_the_image_has_them() -> None:
    path = DATA / "format_samples/rhd/test_rhd.json"
    cameras = {image["id"]: image["cam_param"] for image in json.loads(path.read_text())["images"]}
    sides = {"left": [111, 1111], "right": [11111]}
    for recording in load_benchmark(path).recordings:
        for points, image, number in zip(recording.positions, recording.p2d, sides[recording.action], strict=True):
            focal, centre = cameras[number]["focal"], cameras[number]["princpt"]
            np.testing.assert_allclose(points[:, :2] / points[:, 2:] * focal + centre, image, atol=1.5)


# --- files in general -----------------------------------------------------------------------------------------------


def test_what_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "is not there; expected data_3d_h36m.npz")
    refused(tmp_path, "holds none of the files")
    (tmp_path / "x.avi").write_text("")
    refused(tmp_path / "x.avi", "unknown kind of benchmark")
    (tmp_path / "x.json").write_text("[")
    refused(tmp_path / "x.json", "not JSON")
    refused(tmp_path / "x.json", "expected them with Human3.6M alone", subjects=["S1"])
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("positions_3d.npy", b"nothing")
    refused(tmp_path / "x.npz", "does not begin as a .npy file does")
    np.savez(tmp_path / "x.npz", positions_3d=np.ones(3))
    refused(tmp_path / "x.npz", "positions_3d: float64 of shape (3,); expected one object")
    np.savez(tmp_path / "x.npz", positions_3d=np.array([{}, {}], object))
    refused(tmp_path / "x.npz", "expected one object")
