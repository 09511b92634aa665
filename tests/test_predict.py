"""From images to poses: landmarks lie in the image's own pixels, files are whole or not there, faults are one line."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

from image_folders import TINY, annotated  # noqa: E402

import lifter  # noqa: E402
import posesynth  # noqa: E402
from lifter.checkpoint import load_weights, save_tensors  # noqa: E402
from lifter.cli import main  # noqa: E402
from lifter.data.images import load_image  # noqa: E402
from lifter.data.images.boxes import load_boxes  # noqa: E402
from lifter.data.images.frames import find_frames  # noqa: E402
from lifter.data.images.picture import crop, placed, taken_back  # noqa: E402
from lifter.data.images.video import read_video  # noqa: E402
from lifter.data.keypoints import load_keypoints  # noqa: E402
from lifter.data.poses import read_poses  # noqa: E402
from lifter.images.heatmaps import argmax, gaussians  # noqa: E402
from lifter.images.pipeline import BATCH, ImageModel, load_image_model  # noqa: E402
from lifter.images.predict import describe, find_track, pictures_of, predict  # noqa: E402
from lifter.images.training import train_stage  # noqa: E402
from posesynth.errors import InputError  # noqa: E402
from posesynth.render import render  # noqa: E402

JOINTS = 16


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model(image_run: Path) -> ImageModel:
    return load_image_model(image_run)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return render(posesynth.load_skeleton("quadruped"), 3, 0, 5, 64).image


@pytest.fixture
def photos(tmp_path: Path, pixels: np.ndarray) -> Path:
    """Three images, of different sizes, one of them in a folder of its own."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name, image, size in zip(
        ("a.png", "b.png", "sub/a.png"), pixels, ((64, 64), (120, 80), (50, 90)), strict=False
    ):
        Image.fromarray(image).resize(size).save(folder / name)
    return folder


def red_heat(images: Any) -> Any:
    """In place of the networks: heat where the crop is reddest, so that what should be found is known."""
    red = images[:, 0] - images[:, 1]
    return 100 * red[:, None].expand(-1, JOINTS, -1, -1)


@pytest.fixture
def pointer(model: ImageModel, monkeypatch: pytest.MonkeyPatch) -> ImageModel:
    """A model that finds the red pixel of an image, all joints of it."""
    monkeypatch.setattr(model._net, "logits", red_heat)
    monkeypatch.setattr(model, "by_nms", False)
    return model


def red_dot(width: int, height: int, x: int, y: int, radius: int = 0) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1, 0] = 255
    return image


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on standard error."""
    capsys.readouterr()
    assert run(*arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "images" not in line or line.startswith("error")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert len(lines[0]) <= 310
    return lines[0]


# --- joints that no image labelled


@pytest.fixture(scope="module")
def tailless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks taught by a set whose labels have no tail."""
    folder = tmp_path_factory.mktemp("tailless")
    labels = annotated(folder / "set", np.random.default_rng(0))
    train_stage(TINY.with_values(stage="landmarks", transfer="scratch", images=str(labels)), folder / "run")
    return folder / "run"


def test_a_joint_that_no_image_labelled_is_not_found_but_lifted(tailless, photos, tmp_path, capsys):
    assert run("predict", photos, "--model", tailless, "--min-confidence", 0, "--out", tmp_path / "out") == 0
    assert "no image of its training labelled tail" in capsys.readouterr().out
    track = read_poses(str(tmp_path / "out" / "poses.h5"))
    tail = track.joints.index("tail")
    unseen = np.isnan(track.p2d).any(axis=(0, 1, 3))
    assert unseen.tolist() == [joint == "tail" for joint in track.joints]
    assert (track.p2d_confidence[:, :, tail] == 0).all()
    assert np.isfinite(track.p3d).all()
    assert len(list((tmp_path / "out" / "pictures").rglob("*.jpg"))) == 3


def test_what_was_labelled_is_of_the_skeletons_joints_or_refused(tailless, tmp_path):
    tensors, facts = load_weights(str(tailless / "landmarks" / "model.safetensors"))
    for labelled in ({"wing": ["tail"]}, ["tail"], "tail", 3, None):
        save_tensors(tmp_path / "model.safetensors", tensors, {**facts, "labelled": labelled})
        with pytest.raises(InputError, match="labelled: does not say which of the skeleton's joints"):
            load_image_model(tmp_path)


def test_a_lifter_of_whole_poses_is_refused_where_a_joint_is_never_found(tailless, monkeypatch):
    model = load_image_model(tailless)
    monkeypatch.setattr(model.lifter, "whole", True)
    with pytest.raises(InputError, match="takes whole poses alone, but no image of run labelled tail"):
        model.lift(np.empty((0, JOINTS, 2)), np.empty((0, JOINTS)), 0)


# --- places


def test_taking_back_undoes_placing():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (70, 90, 3)).astype(np.uint8)
    for box in ((0, 0, 90, 70), (-20, 30, 11, 44), (80, 60, 500, 3)):
        _, affine = crop(image, box, 64, 0.1)
        points = rng.normal(size=(3, 5, 2)) * 100
        np.testing.assert_allclose(taken_back(affine, placed(affine, points)), points, atol=1e-9)


@pytest.mark.parametrize("size", [(64, 64), (200, 100), (90, 333)])
def test_landmarks_are_in_the_pixels_of_the_whole_image(pointer, size):
    width, height = size
    for box in (None, (width // 4, height // 4, width // 3, height // 3)):
        x, y = (0.4 * width, 0.4 * height)
        image = red_dot(width, height, int(x), int(y), 3)
        found = pointer.predict([image], [box])
        assert found.landmarks.shape == (1, JOINTS, 2)
        shrinking = max(width, height) / 64 if box is None else 1
        assert np.abs(found.landmarks - (int(x) + 0.5, int(y) + 0.5)).max() <= 3.5 + shrinking


def test_confidence_is_the_heat_that_training_draws(model, monkeypatch):
    """The best logits for heat Y are those of equation 2's minimum; the confidence is Y's own maximum."""
    size, sigma = model.config.size, model.config.sigma
    heat = gaussians(torch.full((1, JOINTS, 2), 0.5078125), size, sigma).double() * 0.7
    weight = size**2 / (sigma**2 * np.pi)
    logits = (weight * heat / (1 - heat)).log().clamp(min=-50)
    monkeypatch.setattr(model._net, "logits", lambda _images: logits)
    monkeypatch.setattr(model, "by_nms", False)
    _, confidence = model.find((np.zeros((1, size, size, 3), np.uint8), np.eye(3)[None, :2]))
    np.testing.assert_allclose(confidence, float(heat.max()), atol=1e-5)


def test_predictions_are_those_of_the_networks_one_after_the_other(model, pixels):
    """The slow twin: crops, networks and places written out."""
    found = model.predict(list(pixels))
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        landmarks = model._net.landmarks(images)
    np.testing.assert_allclose(found.landmarks, landmarks.double().numpy() * 64, atol=1e-3)
    lifted = model.lifter.lift(found.landmarks * (1, -1), found.confidence >= 0.1)
    np.testing.assert_array_equal(found.poses.p3d, lifted.p3d)


def test_without_the_nms_stage_landmarks_are_the_maxima(image_run, pixels):
    model = load_image_model(image_run / "landmarks")
    assert not model.by_nms
    with torch.no_grad():
        logits = model._net.logits(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    np.testing.assert_allclose(model.predict(pixels).landmarks, argmax(logits).double().numpy() * 64, atol=1e-6)


def test_batches_change_nothing(model, pixels):
    many = np.concatenate([pixels] * (BATCH // len(pixels) + 1))
    together, alone = model.predict(many), model.predict(many[:1])
    np.testing.assert_allclose(together.landmarks[: len(pixels)], together.landmarks[-len(pixels) :], atol=1e-3)
    np.testing.assert_allclose(together.landmarks[:1], alone.landmarks, atol=1e-3)
    np.testing.assert_allclose(together.confidence[:1], alone.confidence, atol=1e-5)


def test_nothing_gives_nothing(model):
    found = model.predict([])
    assert found.landmarks.shape == (0, JOINTS, 2)
    assert found.poses.p3d.shape == (0, JOINTS, 3)


def test_landmarks_below_the_confidence_are_not_lifted(model, pixels):
    found = model.predict(pixels, min_confidence=1.0)
    assert np.isnan(found.poses.p3d).all()
    assert np.isfinite(found.landmarks).all()
    assert np.isfinite(model.predict(pixels, min_confidence=0.0).poses.p3d).all()


def test_lifter_has_the_name_of_the_public_function():
    assert lifter.load_image_model is load_image_model


# --- files


@pytest.mark.parametrize("ending", ["h5", "csv", "npz"])
def test_a_folder_becomes_poses_and_pictures(image_run, photos, tmp_path, ending, capsys):
    out = tmp_path / "out"
    assert run("predict", photos, "--model", image_run, "--min-confidence", 0, "--format", ending, "--out", out) == 0
    said = capsys.readouterr().out
    assert "taken whole" in said
    track = read_poses(out / f"poses.{ending}")
    assert track.frames == ("a.png", "b.png", "sub/a.png")
    assert track.p2d_confidence is not None
    assert np.isfinite(track.p3d).all()
    assert {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()} == {
        f"poses.{ending}", "pictures/a.jpg", "pictures/b.jpg", "pictures/sub/a.jpg"
    }  # fmt: skip
    for picture in out.rglob("*.jpg"):
        assert load_image(picture).std() > 10
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []

    keypoints = load_keypoints(out / f"poses.{ending}")
    model = load_image_model(image_run)
    expected = model.predict([load_image(photos / name) for name in track.frames])
    np.testing.assert_allclose(keypoints.positions[:, 0], expected.landmarks, atol=1e-3)
    np.testing.assert_allclose(keypoints.confidence[:, 0], expected.confidence, atol=1e-5)
    assert run("show", out / f"poses.{ending}", "--out", tmp_path / "panel.png") == 0


def test_evaluate_images_reads_what_predict_writes(pointer, tmp_path, capsys):
    """A perfect model's predictions score 100."""
    import json

    images, annotations = [], []
    for n, (x, y) in enumerate(((20, 30), (60, 41))):
        Image.fromarray(red_dot(100, 80, x, y, 1)).save(tmp_path / f"{n}.png")
        images.append({"id": n, "file_name": f"{n}.png", "width": 100, "height": 80})
        points = [x + 0.5, y + 0.5, 2] * JOINTS
        annotations.append({"id": n, "image_id": n, "category_id": 1, "bbox": [0, 0, 100, 80], "keypoints": points})
    joints = list(pointer.skeleton.joints)
    document = {
        "images": images,
        "annotations": [{**a, "num_keypoints": JOINTS} for a in annotations],
        "categories": [{"id": 1, "name": "animal", "keypoints": joints, "skeleton": []}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(document))
    frames = find_frames([tmp_path / "0.png", tmp_path / "1.png"])
    boxes = load_boxes(tmp_path / "labels.json", frames.names)
    assert boxes.of == {"0.png": [(0, (0, 0, 100, 80))], "1.png": [(0, (0, 0, 100, 80))]}
    predict(pointer, frames, tmp_path / "out", boxes, 0.0)
    poses, labels = tmp_path / "out" / "poses.h5", tmp_path / "labels.json"
    assert run("evaluate-images", "--predictions", poses, "--set", labels, "--protocol", "box") == 0
    assert "100.0" in capsys.readouterr().out.split("Mean")[1]


def test_boxes_of_another_folder_are_told(tmp_path):
    (tmp_path / "b").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "b" / "0.png")
    frames = find_frames([tmp_path / "b" / "0.png"])
    for cell, told in (("a/0.png", ["a/0.png"]), ("b/0.png", []), ("0.png", []), (f"{tmp_path}/b/0.png", [])):
        (tmp_path / "boxes.csv").write_text(f"image,x,y,w,h\n{cell},1,2,3,4\n")
        assert load_boxes(tmp_path / "boxes.csv", frames.names).from_elsewhere(frames) == told


def test_several_boxes_of_an_image_are_several_individuals(pointer, tmp_path):
    image = red_dot(200, 100, 50, 50, 2) | red_dot(200, 100, 150, 40, 2)
    for name in ("x.png", "y.png"):
        Image.fromarray(image).save(tmp_path / name)
    table = tmp_path / "boxes.csv"
    table.write_text("image,x,y,w,h\nx.png,30,30,40,40\nx.png,130,20,40,40\nother.png,1,1,5,5\n")
    frames = find_frames([tmp_path / "x.png", tmp_path / "y.png"])
    boxes = load_boxes(table, frames.names)
    assert (boxes.individuals, boxes.others) == (("1", "2"), 1)
    track = predict(pointer, frames, tmp_path / "out", boxes, 0.0)
    assert np.abs(track.p2d[0, 0] - (50.5, -50.5)).max() < 4
    assert np.abs(track.p2d[0, 1] - (150.5, -40.5)).max() < 4
    assert np.isnan(track.p2d[1]).all()
    assert [p.name for p in (tmp_path / "out" / "pictures").iterdir()] == ["x.jpg"]


def test_individuals_keep_their_names_from_image_to_image(tmp_path):
    table = tmp_path / "boxes.csv"
    table.write_text("frame,individual,x,y,width,height\n0,rex,1,1,5,5\n1,bo,2,2,5,5\n1,rex,3,3,5,5\n")
    boxes = load_boxes(table, ())
    assert boxes.individuals == ("rex", "bo")
    assert boxes.of == {"0": [(0, (1, 1, 5, 5))], "1": [(1, (2, 2, 5, 5)), (0, (3, 3, 5, 5))]}


def test_an_image_turned_by_exif_is_found_upright(pointer, tmp_path):
    upright = red_dot(120, 60, 90, 20, 2)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned, to be shown a quarter clockwise
    Image.fromarray(np.rot90(upright).copy()).save(tmp_path / "turned.png", exif=exif)
    track = find_track(pointer, find_frames([tmp_path / "turned.png"]), None, 0.0)
    assert np.abs(track.p2d[0, 0] - (90.5, -20.5)).max() < 6


@pytest.mark.parametrize("mode", ["L", "I;16", "CMYK", "RGBA", "P", "1"])
def test_every_kind_of_pixel_is_drawn(model, tmp_path, mode, pixels):
    grey = Image.fromarray(pixels[0].mean(axis=2).astype(np.uint8))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 256)
    else:
        image = Image.fromarray(pixels[0]).convert(mode)
    path = tmp_path / ("x.tif" if mode in ("CMYK", "I;16") else "x.png")
    image.save(path)
    track = predict(model, find_frames([path]), tmp_path / "out", None, 0.0)
    assert np.isfinite(track.p3d).all()
    assert (tmp_path / "out" / "pictures" / "x.jpg").stat().st_size > 10_000


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2000, 3)])
def test_an_image_of_any_shape_is_drawn(model, tmp_path, size):
    Image.new("RGB", size, (10, 200, 30)).save(tmp_path / "x.png")
    predict(model, find_frames([tmp_path / "x.png"]), tmp_path / "out", None, 0.0)
    assert (tmp_path / "out" / "pictures" / "x.jpg").stat().st_size > 10_000


def test_pictures_that_differ_in_their_ending_alone_keep_it(tmp_path):
    for name in ("a.png", "a.jpg", "b.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert pictures_of(find_frames([tmp_path])) == ("a.jpg.jpg", "a.png.jpg", "b.png.jpg")


def test_pictures_are_not_put_among_the_images(model, photos, tmp_path):
    frames = find_frames([photos])
    with pytest.raises(InputError, match="lies in"):
        predict(model, frames, photos / "found")
    assert not (photos / "found").exists()


def test_masks_and_hidden_files_are_no_images(tmp_path):
    for name in ("images/a.png", "masks/a.png", "images/._a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert find_frames([tmp_path]).names == ("a.png",)


def test_names_that_no_table_holds_are_refused_before_the_work(model, tmp_path, monkeypatch):
    Image.new("RGB", (8, 8)).save(tmp_path / "a dog, lying.png")
    monkeypatch.setattr(model, "find", None)
    with pytest.raises(InputError, match=r"'a dog, lying\.png' cannot be a cell"):
        predict(model, find_frames([tmp_path / "a dog, lying.png"]), tmp_path / "out", ending=".csv")


# --- videos


# imageio-ffmpeg leaves pipes of processes that have ended to the garbage collector.
piped = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Ten frames in which a red dot goes right."""
    pytest.importorskip("imageio_ffmpeg")
    from lifter.data.images.video import film

    writer = film(tmp_path / "clip.mp4", (96, 64), 5)
    for t in range(10):
        writer.send(red_dot(96, 64, 20 + 5 * t, 32, 6))
    writer.close()
    return tmp_path / "clip.mp4"


@piped
def test_a_video_becomes_poses_and_a_film(pointer, video, tmp_path):
    from lifter.data.images.video import read_video

    track = predict(pointer, find_frames([video]), tmp_path / "out", None, 0.0)
    assert track.frames == tuple(range(10))
    assert np.abs(track.p2d[:, 0, 0, 0] - (20.5 + 5 * np.arange(10))).max() < 9
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["film.mp4", "poses.h5"]
    assert len(list(read_video(tmp_path / "out" / "film.mp4"))) == 10


@piped
def test_frames_without_a_box_are_not_looked_at_and_boxes_beyond_the_last_are_counted(pointer, video, tmp_path):
    table = tmp_path / "boxes.csv"
    table.write_text("frame,x,y,w,h\n" + "".join(f"{t},{15 + 5 * t},20,30,30\n" for t in range(0, 14, 2)))
    frames, boxes = find_frames([video]), load_boxes(table, ())
    track = find_track(pointer, frames, boxes, 0.0)
    assert np.isfinite(track.p2d).all(axis=(1, 2, 3)).tolist() == [True, False] * 5
    assert "boxes of other frames, not used: 2" in describe(pointer, track, frames, boxes, 0.0, tmp_path)


@piped
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_video_that_is_cut_short_is_told(tmp_path, ending):
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    film = [
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=96x64:rate=10",
        "-t",
        "6",
        "-g",
        "10",
        "-pix_fmt",
        "yuv420p",
    ]
    subprocess.run([ffmpeg, *film, "-movflags", "+faststart", tmp_path / f"whole.{ending}"], check=True)
    data = (tmp_path / f"whole.{ending}").read_bytes()
    (tmp_path / f"half.{ending}").write_bytes(data[: len(data) // 2])
    assert len(list(read_video(tmp_path / f"whole.{ending}"))) == 60
    with warnings.catch_warnings(record=True) as told:  # pytest.warns hears of ffmpeg's pipes, too
        warnings.simplefilter("always", UserWarning)
        assert len(list(read_video(tmp_path / f"half.{ending}"))) < 60
    (line,) = [str(one.message) for one in told if one.category is UserWarning]
    assert "where its length tells of some 60: it may be damaged" in line


@piped
@pytest.mark.parametrize("content", [b"", b"no video" * 100, b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n"])
def test_what_is_no_video_is_one_line(image_run, tmp_path, content, capsys):
    pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "x.mp4").write_bytes(content)
    assert "x.mp4" in refused(capsys, "predict", tmp_path / "x.mp4", "--model", image_run, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_imageio_ffmpeg_a_video_is_one_line(image_run, tmp_path, capsys, monkeypatch):
    (tmp_path / "x.mp4").write_bytes(b"1")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    line = refused(capsys, "predict", tmp_path / "x.mp4", "--model", image_run, "--out", tmp_path / "out")
    assert "pip install 'posesynth[video]'" in line


# --- faults


def test_all_images_that_cannot_be_read_are_told_and_nothing_is_written(image_run, photos, tmp_path, capsys):
    whole = (photos / "b.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "text.jpg").write_text("no image")
    assert run("predict", photos, "--model", image_run, "--out", tmp_path / "out") == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert [name for line in told for name in ("cut", "empty", "text") if name in line] == ["cut", "empty", "text"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photos"]


def test_a_decompression_bomb_is_one_line(image_run, tmp_path, capsys):
    Image.new("1", (30_000, 30_000)).save(tmp_path / "bomb.png")
    assert "bomb.png" in refused(
        capsys, "predict", tmp_path / "bomb.png", "--model", image_run, "--out", tmp_path / "o"
    )


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ("1,2,3", "expected x,y,w,h"),
        ("a,b,c,d", "expected x,y,w,h"),
        ("1,2,0,4", "no extent"),
        ("1,2,3,-4", "no extent"),
        ("nan,2,3,4", "four numbers"),
        ("1000,2,3,4", "beside the image"),
    ],
)
def test_a_wrong_box_is_one_line(image_run, photos, tmp_path, capsys, box, expected):
    arguments = ("predict", photos / "a.png", "--model", image_run, f"--box={box}", "--out", tmp_path / "out")
    assert expected in refused(capsys, *arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", "empty"),
        ("image,x,y,w\na.png,1,2,3\n", "no column h"),
        ("image,x,y,w,h,width\na.png,1,2,3,4,5\n", "twice"),
        ("image,x,y,w,h\n", "at least 1"),
        ("image,x,y,w,h\na.png,1,2,3\n", ":2:"),
        ("image,x,y,w,h\nb.png,1,2,3,4\na.png,1,2,0,4\n", ":3:"),
        ("image,x,y,w,h\nb.png,1,2,x,4\n", ":2:"),
        ("image,x,y,w,h\nb.png,1,,3,4\n", ":2:"),
        ("image,x,y,w,h\nnobody.png,1,2,3,4\n", "no box of the images"),
        ("image,x,y,w,h\nb.png,1,2,3,4\na.png,1000,2,3,4\n", "beside the image"),
        ("image,individual,x,y,w,h\nb.png,rex,1,2,3,4\nb.png,rex,1,2,3,4\n", ":3:"),
    ],
)
def test_a_wrong_table_of_boxes_is_one_line(image_run, photos, tmp_path, capsys, table, expected):
    (tmp_path / "boxes.csv").write_text(table)
    arguments = ("--model", image_run, "--boxes", tmp_path / "boxes.csv", "--out", tmp_path / "out")
    assert expected in refused(capsys, "predict", photos, *arguments)
    assert not (tmp_path / "out").exists()


def test_a_name_that_several_images_have_wants_more_of_its_path(photos):
    frames = find_frames([photos])
    table = photos.parent / "boxes.csv"
    table.write_text("image,x,y,w,h\nphotos/sub/a.png,1,2,3,4\n")
    assert load_boxes(table, frames.names).of == {"sub/a.png": [(0, (1, 2, 3, 4))]}
    table.write_text("image,x,y,w,h\na.png,1,2,3,4\n")
    assert load_boxes(table, frames.names).of == {"a.png": [(0, (1, 2, 3, 4))]}
    with pytest.raises(InputError, match="2 images end so"):
        load_boxes(table, ("one/a.png", "two/a.png"))


def test_two_names_that_lead_to_one_image_are_not_two_animals(tmp_path):
    table = tmp_path / "boxes.csv"
    table.write_text("image,x,y,w,h\ntrain/0.png,1,2,3,4\n./train/0.png,5,2,3,4\n")
    assert load_boxes(table, ("0.png",)).of == {"0.png": [(0, (1, 2, 3, 4)), (1, (5, 2, 3, 4))]}
    table.write_text("image,x,y,w,h\ntrain/0.png,1,2,3,4\ntest/0.png,5,2,3,4\n")
    with pytest.raises(InputError, match=r"boxes.csv:3: .*test/0.png.* and .*train/0.png.* both lead to the image"):
        load_boxes(table, ("0.png",))
    assert load_boxes(table, ("train/0.png", "test/0.png")).individuals == ("",)
    labels = [{"image_id": k, "category_id": 1, "bbox": [k, 2, 3, 4], "keypoints": [5, 5, 2]} for k in (1, 2)]
    files = [{"id": k, "file_name": name} for k, name in ((1, "train/0.png"), (2, "test/0.png"))]
    of_set = {"images": files, "annotations": labels, "categories": [{"id": 1, "name": "x", "keypoints": ["nose"]}]}
    (tmp_path / "labels.json").write_text(json.dumps(of_set))
    with pytest.raises(InputError, match="both lead to the image"):
        load_boxes(tmp_path / "labels.json", ("0.png",))
    table.write_text("frame,x,y,w,h\n7,1,2,3,4\n07,5,2,3,4\n")
    assert load_boxes(table, ()).of == {"7": [(0, (1, 2, 3, 4)), (1, (5, 2, 3, 4))]}  # one frame, without a doubt


def test_what_is_no_image_is_one_line(image_run, photos, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "void").mkdir()
    (tmp_path / "x.mp4").write_bytes(b"x")
    rest = ("--model", image_run, "--out", tmp_path / "out")
    assert "is not there" in refused(capsys, "predict", tmp_path / "none.png", *rest)
    assert "unknown kind" in refused(capsys, "predict", tmp_path / "notes.txt", *rest)
    assert "no image is in it" in refused(capsys, "predict", tmp_path / "void", *rest)
    assert "named twice" in refused(capsys, "predict", photos / "a.png", photos, *rest)
    assert "a video alone" in refused(capsys, "predict", photos, tmp_path / "x.mp4", *rest)


def test_models_that_do_not_fit_are_one_line(image_run, photos, tmp_path, capsys):
    out = ("--out", tmp_path / "out")
    assert "stage skip1" in refused(capsys, "predict", photos, "--model", image_run / "skip1", *out)
    assert "none.safetensors" in refused(capsys, "predict", photos, "--model", tmp_path / "none.safetensors", *out)
    assert "horse" in refused(capsys, "predict", photos, "--model", image_run, "--lifter", "horse", *out)
    (tmp_path / "begun" / "landmarks").mkdir(parents=True)
    assert "is done" in refused(capsys, "predict", photos, "--model", tmp_path / "begun", *out)


def test_a_folder_that_holds_something_is_left_as_it_is(image_run, photos, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert "not empty" in refused(capsys, "predict", photos, "--model", image_run, "--out", out)
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_what_stops_the_drawing_leaves_nothing(model, photos, tmp_path, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lifter.images.predict.draw_prediction", full)
    with pytest.raises(InputError, match="No space left"):
        predict(model, find_frames([photos]), tmp_path / "out", None, 0.0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photos"]


def test_a_box_beside_several_images_is_told_of_each(image_run, photos, tmp_path, capsys):
    assert run("predict", photos, "--model", image_run, "--box", "70,10,20,20", "--out", tmp_path / "out") == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(told) == 2
    assert "sub/a.png" in told[1]


def test_threads_change_neither_order_nor_places(pointer, tmp_path, monkeypatch):
    for n in range(12):
        Image.fromarray(red_dot(64, 64, 5 * n, 30, 1)).save(tmp_path / f"{n:02}.png")
    frames = find_frames([tmp_path])
    found = []
    for threads in (1, 4):
        monkeypatch.setattr("lifter.images.predict.cores", lambda threads=threads: threads)
        found.append(find_track(pointer, frames, None, 0.0).p2d)
    np.testing.assert_array_equal(*found)
    assert np.abs(found[0][:, 0, 0, 0] - (5 * np.arange(12) + 0.5)).max() < 3


def test_a_lifter_of_whole_poses_wants_all_landmarks(model, pixels, monkeypatch):
    monkeypatch.setattr(model.lifter, "whole", True)
    with pytest.raises(InputError, match="whole poses"):
        model.predict(pixels)
    assert np.isfinite(model.predict(pixels, min_confidence=0.0).poses.p3d).all()
