"""Pictures of lifted poses: whole files or none, nothing drawn of what is missing, one line for what cannot be."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import posesynth
from lifter import draw
from lifter.data.pose_track import PoseTrack
from lifter.data.poses import write_poses
from lifter.draw import curves, figure, skeletons, standing, tracks, window
from posesynth import InputError
from posesynth.draw import BRANCHES, LEFT, MIDDLE, RIGHT, view


def a_track(name: str = "dog", steps: int = 6, animals: int = 1, **changes: Any) -> PoseTrack:
    """Poses of a shipped skeleton; the 2D is the same at 100 pixels an edge, walking to the right."""
    skeleton = posesynth.load_skeleton(name)
    batch = posesynth.sample(skeleton, 0, 0, steps * animals, extras=["p3d"])
    assert batch.p3d is not None
    p3d = batch.p3d.reshape(steps, animals, -1, 3)
    walk = np.arange(steps, dtype=np.float32)[:, None, None, None] * [10, 0]
    facts: dict[str, Any] = {
        "p3d": p3d,
        "p2d": (100 * p3d[..., [0, 2]] + walk).astype(np.float32),
        "confidence": None,
        "joints": tuple(skeleton.joints),
        "parents": tuple(int(parent) for parent in skeleton.parents),
        "individuals": ("",) if animals == 1 else tuple(f"mouse{a}" for a in range(animals)),
        "frames": tuple(range(steps)),
        "skeleton": name,
        "model": name,
        "source": "walk.csv",
    }
    return PoseTrack(**(facts | changes))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few frames, so that the suite is fast."""
    monkeypatch.setattr(tracks, "LONGEST", 8)


def frames_of(path: Path) -> list[Any]:
    with Image.open(path) as film:
        held = []
        for number in range(getattr(film, "n_frames", 1)):
            film.seek(number)
            held.append(np.asarray(film.convert("RGB")))
    return held


# --- films and panels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dog", "human", "hand"])
def test_a_panel_is_a_picture_of_some_frames(name: str, tmp_path: Path) -> None:
    said = draw.show(a_track(name, steps=9), tmp_path / "panel.png")
    assert said == f"{tmp_path / 'panel.png'}: 5 of 9 frames with a pose"
    (picture,) = frames_of(tmp_path / "panel.png")
    assert picture.shape[1] == 2200
    assert picture.std() > 5
    assert [path.name for path in tmp_path.iterdir()] == ["panel.png"]


def test_a_film_shows_every_frame_of_a_short_track(tmp_path: Path) -> None:
    said = draw.show(a_track(steps=5), tmp_path / "film.gif", fps=10)
    assert said == f"{tmp_path / 'film.gif'}: 5 frames, 0.5 s at 10 a second"
    film = frames_of(tmp_path / "film.gif")
    assert len(film) == 5
    assert all(not np.array_equal(one, other) for one, other in itertools.pairwise(film))
    assert [path.name for path in tmp_path.iterdir()] == ["film.gif"]


def test_a_long_track_is_drawn_in_part_and_it_is_said(tmp_path: Path) -> None:
    said = draw.show(a_track(steps=40), tmp_path / "film.gif")
    assert said.endswith("8 of 40 frames, 0.3 s at 30 a second, 5 times as fast")
    assert len(frames_of(tmp_path / "film.gif")) == 8


def test_individuals_have_a_floor_each_and_the_rest_is_named(tmp_path: Path) -> None:
    track = a_track(steps=2, animals=6)
    assert draw.show(track, tmp_path / "film.gif").endswith("; mouse0, mouse1, mouse2, mouse3 of 6 individuals")
    assert draw.show(track, tmp_path / "one.gif", individual="mouse5").endswith("; mouse5 of 6 individuals")
    assert draw.show(track, tmp_path / "panel.png", individual="mouse5").endswith("; mouse5 of 6 individuals")


def test_the_individual_with_most_poses_is_in_the_panel(tmp_path: Path) -> None:
    track = a_track(steps=4, animals=3)
    track.p3d[1:, 0] = track.p3d[2:, 2] = np.nan
    assert draw.show(track, tmp_path / "panel.png").endswith("4 frames with a pose; mouse1 of 3 individuals")


@pytest.mark.filterwarnings("error")
def test_what_is_missing_is_not_drawn(tmp_path: Path) -> None:
    track = a_track(steps=6)
    track.p3d[2:4] = np.nan
    track.p2d[2:4] = np.nan
    track.p2d[4, 0, 3:] = np.nan
    track.p3d[5, 0, 4] = np.nan
    draw.show(track, tmp_path / "film.gif")
    colours = [int((np.abs(frame[60:] - np.array([228, 87, 46])).sum(-1) < 90).sum()) for frame in frames_of(
        tmp_path / "film.gif")]  # fmt: skip
    assert all(colours[step] > 20 for step in (0, 1, 5)), colours
    assert colours[2] == colours[3] == 0
    assert draw.show(track, tmp_path / "panel.png").endswith("4 of 4 frames with a pose")


@pytest.mark.filterwarnings("error")
def test_strange_tracks_can_be_drawn(tmp_path: Path) -> None:
    flat = a_track(steps=1)
    flat.p3d[...] = 0
    flat.p2d[...] = 7
    draw.show(flat, tmp_path / "point.png")
    draw.show(flat, tmp_path / "point.gif")
    unseen = a_track(steps=3)
    unseen.p2d[...] = np.nan
    draw.show(unseen, tmp_path / "unseen.png")
    draw.show(unseen, tmp_path / "unseen.gif")
    names = {"source": "a $x^$ _{ " + 90 * "w", "frames": ("img_$1.png", "b$_"), "model": 50 * "m"}
    draw.show(a_track(steps=2, **names), tmp_path / "names.png")
    draw.show(a_track(steps=2, **names), tmp_path / "names.gif")


# --- what can be known without looking ------------------------------------------------------------------------------


def test_left_is_orange_and_right_is_blue() -> None:
    body = skeletons.body_of(a_track("dog"))
    names = a_track("dog").joints
    assert body.sided
    for name, colour in zip(names, body.colours, strict=True):
        assert colour == (LEFT if "left" in name else RIGHT if "right" in name else MIDDLE)


def test_without_sides_each_branch_has_its_colour() -> None:
    track = a_track("hand")
    body = skeletons.body_of(track)
    assert not body.sided
    assert [body.colours[track.joints.index(f"{finger}_tip")] for finger in ("thumb", "index", "pinky")] == [
        BRANCHES[0], BRANCHES[1], BRANCHES[4]]  # fmt: skip
    for parent, joint in body.bones:
        assert parent == 0 or body.colours[parent] == body.colours[joint]


def test_every_pose_stands_on_the_floor() -> None:
    track = a_track(steps=5)
    track.p3d[1] = np.nan
    track.p3d[2, 0, 3] = np.nan
    stood = standing.standing(track.p3d[:, 0], track.p2d[:, 0], None)
    assert np.isnan(stood.poses[1]).all()
    assert np.isnan(stood.poses[2, 3]).all()
    for step in (0, 2, 3, 4):
        assert np.nanmin(stood.poses[step, :, 2]) == pytest.approx(0, abs=1e-6)
        bones, before = np.diff(stood.poses[step], axis=0), np.diff(track.p3d[step, 0], axis=0)
        np.testing.assert_allclose(bones, before, atol=1e-5)
    # From wherever it is seen, it stays in the room it is said to take.
    for yaw in range(0, 360, 15):
        seen = stood.poses @ view(yaw, standing.FROM_ABOVE).T
        assert np.nanmax(np.abs(seen[..., 0])) <= stood.radius
        assert stood.extent[0] <= np.nanmin(seen[..., 2])
        assert np.nanmax(seen[..., 2]) <= stood.extent[1]


def test_poses_stand_as_large_as_they_were_filmed() -> None:
    """The unit of each pose is another; an animal that only turns keeps its size."""
    track = a_track(steps=4)
    units = np.array([0.25, 1.0, 1.0, 3.0], np.float32)[:, None, None]
    track.p2d[1, 0, 5:] = np.nan
    even = standing.standing(track.p3d[:, 0], track.p2d[:, 0], None)
    uneven = standing.standing(track.p3d[:, 0] * units, track.p2d[:, 0], None)
    np.testing.assert_allclose(uneven.poses, even.poses, rtol=1e-5, atol=1e-6)
    assert uneven.radius == pytest.approx(even.radius)
    unseen = standing.filmed_scale(track.p3d[:, 0] * units, np.full_like(track.p2d[:, 0], np.nan))
    assert unseen.tolist() == [1, 1, 1, 1]
    one = np.where(np.arange(16)[:, None] == 3, track.p2d[:, 0], np.nan)  # a single joint has no size
    assert standing.filmed_scale(track.p3d[:, 0], one).tolist() == [1, 1, 1, 1]


def test_one_pose_that_went_wrong_does_not_make_the_others_small() -> None:
    track = a_track(steps=100)
    sound = standing.standing(track.p3d[:, 0], track.p2d[:, 0], None)
    track.p3d[7] *= 50
    track.p2d[7] *= 50
    assert standing.standing(track.p3d[:, 0], track.p2d[:, 0], None).radius == pytest.approx(sound.radius, rel=0.05)


def test_the_error_that_is_expected_has_the_size_of_the_pose() -> None:
    track = a_track(steps=3)
    units = np.array([1.0, 1.0, 2.0])
    confidence = np.exp(-np.full((3, 16), 0.1))
    confidence[0, :3] = [1.0, 0.0, np.nan]
    track.p2d[1, 0, 4] = np.nan
    stood = standing.standing(track.p3d[:, 0] / units[:, None, None], track.p2d[:, 0], confidence)
    assert stood.errors is not None
    np.testing.assert_allclose(stood.errors[:, 5], 0.1 * units)
    np.testing.assert_allclose(stood.errors[0, :3], [0, standing._FARTHEST, np.nan])
    assert np.argwhere(~stood.seen).tolist() == [[1, 4]]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("ending", ["png", "gif"])
def test_confidence_is_drawn_where_there_is_one(ending: str, tmp_path: Path) -> None:
    track = a_track(steps=3)
    track.p2d[1, 0, 4] = np.nan
    confidence = np.full((3, 1, 16), 0.7, np.float32)
    sure = confidence * 0 + 1
    drawn = {}
    for name, each in (("none", None), ("sure", sure), ("unsure", confidence), ("unknown", confidence * np.nan)):
        draw.show(a_track(steps=3, p2d=track.p2d, confidence=each), tmp_path / f"{name}.{ending}")
        drawn[name] = np.array(frames_of(tmp_path / f"{name}.{ending}"), np.int16)
    assert drawn["sure"].shape == drawn["unsure"].shape == drawn["none"].shape
    assert (np.abs(drawn["sure"] - drawn["unsure"]).max(axis=(0, 3)) > 8).mean() > 0.005
    assert (np.abs(drawn["sure"] - drawn["unknown"]).max(axis=(0, 3)) > 8).mean() < 0.001


@pytest.mark.parametrize("ending", [".gif", ".png"])
def test_joints_found_with_little_confidence_are_pale_and_not_seen(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = a_track(steps=6)
    stood, screens = [], []
    keep = tracks.standing, tracks.Screen
    monkeypatch.setattr(tracks, "standing", lambda *given: stood.append(keep[0](*given)) or stood[-1])
    monkeypatch.setattr(tracks, "Screen", lambda *given: screens.append(keep[1](*given)) or screens[-1])
    sure = np.full(track.p2d.shape[:3], 0.1, np.float32)
    sure[:, :, 3] = 0.0999
    confidence = np.full(track.p2d.shape[:3], 0.9, np.float32)
    pictures = []
    for p2d_confidence in (None, np.ones_like(sure), sure):
        changed = PoseTrack(**{**vars(track), "confidence": confidence, "p2d_confidence": p2d_confidence})
        draw.show(changed, tmp_path / f"x{ending}")
        pictures.append(frames_of(tmp_path / f"x{ending}")[0])
        expected = np.arange(sure.shape[2]) == 3 if p2d_confidence is sure else np.zeros(sure.shape[2], bool)
        np.testing.assert_array_equal(stood[-1].seen, np.broadcast_to(~expected, stood[-1].seen.shape))
        np.testing.assert_array_equal(screens[-1].doubtful[0, 0], expected)
        assert np.isfinite(screens[-1].images).all()  # they are drawn
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_one_individual_is_named_at_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    heading = tracks._heading

    def listening(figure: Any, *rest: Any) -> None:
        heading(figure, *rest)
        told.append(" ".join(text.get_text() for text in figure.texts))

    monkeypatch.setattr(tracks, "_heading", listening)
    track = a_track(steps=3, animals=2)
    for out, individual in (("film.gif", "mouse1"), ("panel.png", "mouse1"), ("film.gif", None)):
        draw.show(track, tmp_path / out, individual=individual)
    assert told[0].startswith("walk.csv mouse1 lifted by dog")
    assert told[1].startswith("walk.csv mouse1 ")
    assert told[2].startswith("walk.csv lifted by dog")


def test_the_window_goes_along_with_an_animal_that_walks() -> None:
    rng = np.random.default_rng(0)
    animal = rng.uniform(0, 50, (400, 1, 8, 2))
    far = animal + np.linspace(0, 5000, 400)[:, None, None, None] * [1, 0]
    near = animal + np.linspace(0, 40, 400)[:, None, None, None] * [1, 0]
    along, still = window.following(far, 15), window.following(near, 15)
    assert np.ptp(along.centres[:, 0]) > 4000
    assert np.ptp(still.centres, axis=0).max() == 0
    for images, shown in ((far, along), (near, still)):
        inside = np.abs(images[:, 0] - shown.centres[:, None]) <= shown.half
        assert inside.all(axis=(1, 2)).mean() > 0.95
        assert shown.half < 100


def test_frames_in_which_nothing_is_seen_take_the_window_between() -> None:
    images = np.zeros((3, 1, 2, 2))
    images[2] += 10
    images[1] = np.nan
    low, high = window.boxes(images)
    assert low[1].tolist() == high[1].tolist() == [5, 5]


# --- what cannot be drawn -------------------------------------------------------------------------------------------


def refused(tmp_path: Path, track: PoseTrack | Path, out: str, **arguments: Any) -> str:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as caught:
        draw.show(track, tmp_path / out, **arguments)
    (line,) = caught.value.lines
    assert len(line) <= 300
    assert sorted(tmp_path.rglob("*")) == before
    return line


def test_wrong_arguments_are_one_line(tmp_path: Path) -> None:
    track = a_track(animals=2)
    assert refused(tmp_path, track, "film.avi").endswith("ends in '.avi'; expected .mp4, .gif or .png")
    for fps in (0, -1, float("nan"), 1000, "30"):
        assert refused(tmp_path, track, "film.gif", fps=fps).startswith("fps: is ")
    line = refused(tmp_path, track, "film.gif", individual="mose1")
    assert line.endswith("expected one of mouse0, mouse1; did you mean 'mouse1'?")
    (tmp_path / "folder.gif").mkdir()
    assert "cannot be written" in refused(tmp_path, track, "folder.gif")
    for out in ("none/film.gif", "none/panel.png"):
        assert "cannot be written; No such file" in refused(tmp_path, track, out)


def test_a_track_without_a_pose_is_one_line(tmp_path: Path) -> None:
    track = a_track(animals=2)
    track.p3d[:, 0] = np.nan
    assert "no frame of 'mouse0' holds a pose" in refused(tmp_path, track, "film.gif", individual="mouse0")
    track.p3d[...] = np.nan
    for out in ("film.gif", "panel.png"):
        assert refused(tmp_path, track, out).startswith("walk.csv: no frame holds a pose")
    given = tmp_path / "poses.npz"
    write_poses(given, track)
    assert refused(tmp_path, given, "film.gif") == f"{given}: no frame holds a pose; expected at least one to draw"


def test_mp4_without_ffmpeg_proposes_gif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    line = refused(tmp_path, a_track(), "film.mp4")
    assert line.endswith(f"needs ffmpeg, which is not here; pip install 'posesynth[video]', or try {tmp_path}/film.gif")


@pytest.mark.parametrize("ending", ["exit 1", "cat >/dev/null; exit 1"])
def test_an_ffmpeg_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{ending}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert "film.mp4: " in refused(tmp_path, a_track(), "film.mp4")


def test_mp4_by_ffmpeg(tmp_path: Path) -> None:
    if tracks._ffmpeg() is None:
        pytest.skip("neither ffmpeg nor imageio-ffmpeg is here")
    draw.show(a_track(), tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_bytes()[4:8] == b"ftyp"
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_a_picture_that_was_there_survives_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "panel.png"
    path.write_text("mine")

    def fail() -> None:
        with figure.written(path) as partial:
            partial.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("panel.png", "mine")]


# --- learning curves ------------------------------------------------------------------------------------------------


def record(step: int, /, **changes: Any) -> dict[str, Any]:
    losses = {"L_sym": 0.02 / step, "L_el": 0.1 / step, "L_ed": 1 / step - 1, "position": 1 / step}
    return {"step": step, "samples": 500 * step, **losses, **changes}


def log(path: Path, records: list[Any], end: str = "\n") -> Path:
    path.write_text("\n".join(json.dumps(each) if not isinstance(each, str) else each for each in records) + end)
    return path


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "records",
    [
        [record(step, validation=record(step) if step % 50 == 0 else None) for step in range(1, 200)],
        [record(1)],
        [record(step, L_ed=-1.0, L_el=0.0, position=float("nan")) for step in (1, 2, 3)],
        [{"step": 0, "samples": 0, "L_el": 1.5}, {"step": 5, "samples": 10, "validation": {"L_el": 1}}],
    ],
    ids=["long", "one record", "perfect and not finite", "one loss"],
)
def test_learning_curves_are_drawn(records: list[Any], tmp_path: Path) -> None:
    draw.learning_curves(log(tmp_path / "log.jsonl", records), tmp_path / "curves.png")
    (picture,) = frames_of(tmp_path / "curves.png")
    assert picture.std() > 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "log.jsonl"]


def test_runs_are_drawn_beside_each_other(tmp_path: Path) -> None:
    logs = {}
    for run in "abcde":  # more than there are colours
        records = [record(step, validation={"L_ed": -1 + ord(run) / step / 200}) for step in (1, 10, 100)]
        logs[run] = log(tmp_path / f"{run}.jsonl", records)
    draw.compare_curves(logs, tmp_path / "both.png")
    assert frames_of(tmp_path / "both.png")[0].std() > 3
    bare = log(tmp_path / "bare.jsonl", [record(1)])
    with pytest.raises(InputError, match=r"bare.jsonl: holds no validation"):
        draw.compare_curves({"a": logs["a"], "bare": bare}, tmp_path / "none.png")
    with pytest.raises(InputError, match=r"expected .png"):
        draw.compare_curves(logs, tmp_path / "both.svg")
    assert not (tmp_path / "none.png").exists()


def test_a_step_counts_as_it_came_last_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    path = log(
        tmp_path / "log.jsonl", [record(1), record(3), record(2), record(3, L_el=7.0), '{"step": 4, "sam'], end=""
    )
    read = curves._read(path)
    assert [(each["step"], each["L_el"]) for each in read] == [(1, 0.1), (2, 0.05), (3, 7.0)]


def test_smoothing_keeps_a_straight_line() -> None:
    x = np.arange(300.0)
    np.testing.assert_allclose(curves._smooth(x, 3 * x + 1)[1], 3 * x + 1)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], "holds no record"),
        (["{", record(1)], ":1: is not JSON"),
        ([record(1), "[1]"], ":2: is \\[1\\]; expected a record"),
        ([record(1, samples="500")], ":1: samples: is '500'; expected a number"),
        ([{"samples": 1, "L_el": 1}], ":1: step: is None"),
        ([record(1, step=float("inf"))], ":1: step: is inf"),
        ([record(1, L_el=[1])], ":1: L_el: is \\[1\\]"),
        ([record(1, validation=3)], ":1: validation: is 3"),
        ([record(1, validation={"L_ed": True})], ":1: validation.L_ed: is True"),
        ([{"step": 1, "samples": 1}], "no record holds a loss"),
    ],
)
def test_a_log_that_is_none_is_one_line(records: list[Any], words: str, tmp_path: Path) -> None:
    path = log(tmp_path / "log.jsonl", records)
    with pytest.raises(InputError, match=words) as caught:
        draw.learning_curves(path, tmp_path / "curves.png")
    assert len(caught.value.lines) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["log.jsonl"]


def test_files_that_cannot_be_read_or_written_are_one_line(tmp_path: Path) -> None:
    path = log(tmp_path / "log.jsonl", [record(1)])
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    for read, write, words in (
        (tmp_path / "none.jsonl", "curves.png", "none.jsonl: cannot be read; No such file"),
        (tmp_path / "bytes.jsonl", "curves.png", "not UTF-8 text"),
        (path, "curves.pdf", "expected .png"),
        (path, "none/curves.png", "cannot be written; No such file"),
    ):
        with pytest.raises(InputError, match=words):
            draw.learning_curves(read, tmp_path / write)


def test_importing_draw_costs_no_matplotlib_and_no_torch() -> None:
    code = "import sys, lifter.draw; sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
