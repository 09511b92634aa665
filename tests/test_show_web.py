"""A lifted track in the browser: what is in the file is what is seen, frame by frame, and at its own pace."""

import itertools
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("viser", reason="viser is not installed")

from browser import browser
from click.testing import CliRunner
from test_lifter_draw import a_track

from lifter.cli import lifter
from lifter.data.pose_track import PoseTrack
from lifter.data.poses import write_poses
from lifter.draw import web, web_plots
from lifter.draw.standing import standing
from lifter.draw.web import TrackPage
from posesynth import InputError
from posesynth.draw import INK
from posesynth.preview.bodies import _linear, rgb
from posesynth.preview.server import serve

Array = np.ndarray


@pytest.fixture
def server() -> Iterator[Any]:
    with serve("a track", port=0) as (server, _):
        yield server


def page_of(server: Any, track: PoseTrack, **given: Any) -> TrackPage:
    return TrackPage(server, track, "poses.h5", **given)


def bodies(page: TrackPage) -> dict[str, Array]:
    """What is drawn of B bodies: joints (B, N, 3) and whether they are seen, colours of bones and joints."""
    balls, bones, count = page._bodies._balls, page._bodies._bones, len(page._tags)
    return {
        "joints": np.array(balls.batched_positions).reshape(count, -1, 3),
        "shown": (np.asarray(balls.batched_scales) > 0).all(axis=-1).reshape(count, -1),
        "bones": np.array(bones.batched_colors).reshape(count, -1, 3),
        "balls": np.array(balls.batched_colors).reshape(count, -1, 3),
    }


def segments(svg: str) -> list[tuple[float, ...]]:
    """The ends of the bones in an SVG of the 2D."""
    number = r"(-?[\d.]+)"
    found = re.findall(rf'd="M{number} {number}L{number} {number}" stroke', svg)
    return sorted(tuple(map(float, each)) for each in found)


# --- the bodies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dog", "human", "hand"])
def test_each_frame_shows_its_pose_on_the_floor(name: str, server: Any) -> None:
    track = a_track(name, steps=5)
    page = page_of(server, track)
    stood = standing(track.p3d[:, 0], track.p2d[:, 0], None)
    for step in (0, 3, 4):
        page.show_frame(step)
        found = bodies(page)
        np.testing.assert_allclose(found["joints"][0], stood.poses[step], atol=1e-5)
        assert found["shown"].all()
        assert page.timeline.value == step
        assert f"{step + 1} of 5" in page.status.content
    page.show_frame(99)
    assert page.step == 4


def test_what_was_not_lifted_is_not_shown_and_it_is_said(server: Any) -> None:
    track = a_track(steps=4)
    track.p3d[2] = np.nan
    page = page_of(server, track)
    page.show_frame(2)
    assert not bodies(page)["shown"].any()
    assert "not lifted" in page.status.content
    page.show_frame(3)
    assert bodies(page)["shown"].all()
    assert "not lifted" not in page.status.content


def test_a_joint_that_was_not_seen_is_yellow_and_named(server: Any) -> None:
    track = a_track(steps=2)
    hidden = track.joints.index("left_elbow")
    track.p2d[1, 0, hidden] = np.nan
    page = page_of(server, track)
    ink, yellow = (_linear(rgb([colour]))[0] for colour in (INK, web.UNSEEN))
    assert (bodies(page)["balls"] == ink).all()
    assert "all joints seen" in page.status.content
    page.show_frame(1)
    np.testing.assert_array_equal((bodies(page)["balls"][0] == yellow).all(axis=-1), np.arange(16) == hidden)
    assert "not seen: left_elbow" in page.status.content


def test_bones_fade_with_the_confidence_of_the_joint_they_end_at(server: Any) -> None:
    confidence = np.ones((3, 1, 16), np.float32)
    confidence[1, 0, 5], confidence[2, 0, 5] = 0.7, 0.3
    page = page_of(server, a_track(steps=3, confidence=confidence))
    looks = []
    for step in range(3):
        page.show_frame(step)
        looks.append(bodies(page)["bones"][0])
    full = _linear(rgb(page._colours))
    np.testing.assert_array_equal(looks[0], full)
    for look in looks[1:]:
        np.testing.assert_array_equal((look != full).any(axis=-1), np.arange(15) == 4)
    assert looks[2][4].tolist() == _linear(rgb([web.PALE]))[0].tolist()
    assert looks[0][4].min() < looks[1][4].min() < looks[2][4].min()


def test_the_line_through_a_joint_is_the_error_expected_in_depth(server: Any) -> None:
    confidence = np.full((2, 1, 16), np.exp(-0.1), np.float32)
    page = page_of(server, a_track(steps=2, confidence=confidence))
    ends, joints = np.asarray(page._along.points), bodies(page)["joints"][0]
    np.testing.assert_allclose(ends.mean(axis=1), joints, atol=1e-5)
    scale = page._stage.stood[0].errors[0]
    np.testing.assert_allclose(ends[:, 1] - ends[:, 0], 2 * scale[:, None] * [0, 1, 0], atol=1e-5)


def test_the_order_of_the_joints_is_all_one(server: Any) -> None:
    """A pose file may name a joint before its parent."""
    track = a_track(steps=2)
    shuffled = np.random.default_rng(0).permutation(16)
    place = {int(joint): i for i, joint in enumerate(shuffled)} | {-1: -1}
    other = replace(
        track,
        p3d=track.p3d[:, :, shuffled],
        p2d=track.p2d[:, :, shuffled],
        joints=tuple(track.joints[j] for j in shuffled),
        parents=tuple(place[track.parents[j]] for j in shuffled),
    )
    one, two = page_of(server, track), page_of(server, other)
    assert [track.joints[p] for p in track.parents[1:]] == [one._joints[p] for p in one._tree.parents[1:]]
    assert all(parent < joint for joint, parent in enumerate(two._tree.parents))
    places = [{name: at.round(5).tolist() for name, at in zip(p._joints, bodies(p)["joints"][0], strict=True)} for p in
              (one, two)]  # fmt: skip
    assert places[0] == places[1]
    assert segments(one.flat.content) == segments(two.flat.content)


# --- individuals ----------------------------------------------------------------------------------------------------


def test_all_individuals_stand_apart_and_one_alone_in_the_middle(server: Any) -> None:
    track = a_track(steps=3, animals=3)
    page = page_of(server, track)
    assert page.individual.options == ("all", "mouse0", "mouse1", "mouse2")
    found = bodies(page)
    assert found["shown"].all()
    middles = found["joints"].mean(axis=1)
    away = np.linalg.norm(middles[:, None] - middles[None], axis=-1)
    assert away[~np.eye(3, dtype=bool)].min() > max(each.radius for each in page._stage.stood)
    page.show_individual("mouse2")
    one = bodies(page)
    assert one["shown"].all(axis=1).tolist() == [True, False, False]
    stood = standing(track.p3d[:, 2], track.p2d[:, 2], None)
    np.testing.assert_allclose(one["joints"][0], stood.poses[0], atol=1e-5)
    assert [tag.visible for tag in page._tags] == [False] * 3
    assert page.individual.value == "mouse2"
    page.show_individual(None)
    assert bodies(page)["shown"].all()
    assert [tag.text for tag in page._tags if tag.visible] == ["mouse0", "mouse1", "mouse2"]


def test_one_may_be_asked_for_at_the_start(server: Any) -> None:
    page = page_of(server, a_track(steps=2, animals=3), individual="mouse1")
    assert page.individual.value == "mouse1"
    assert bodies(page)["shown"].all(axis=1).tolist() == [True, False, False]


def test_of_a_crowd_some_are_on_the_floor_and_each_can_be(server: Any) -> None:
    track = a_track(steps=2, animals=15)
    track.p3d[1, :3] = np.nan
    track.p3d[:, 7] = np.nan
    page = page_of(server, track)
    assert page.individual.value == "the 12 with most poses"
    assert len(page.individual.options) == 15  # and not the one without a pose
    assert len(page._stage.individuals) == 12
    page.show_individual("mouse0")
    assert bodies(page)["shown"].all(axis=1).sum() == 1


def test_names_are_text_and_no_html(server: Any) -> None:
    track = replace(a_track(steps=2, animals=2), individuals=("<b>one</b>", "two"), model="<i>dog</i>")
    page = page_of(server, track)
    assert "&lt;b&gt;one" in page.flat.content
    assert "<b>one" not in page.flat.content


# --- the 2D ---------------------------------------------------------------------------------------------------------


def test_the_2d_is_the_files_at_one_scale_and_upright(server: Any) -> None:
    track = a_track(steps=6)
    page = page_of(server, track)
    unit = page._stage.plane.unit
    for step in range(6):
        page.show_frame(step)
        window = page._stage.plane.window.centres[step]
        placed = np.array([web_plots.WIDE, web_plots.HIGH]) / 2 + (track.p2d[step, 0] - window) * unit * [1, -1]
        expected = sorted(
            (*placed[parent].round(1), *placed[joint].round(1))
            for joint, parent in enumerate(track.parents)
            if parent >= 0
        )
        np.testing.assert_allclose(segments(page.flat.content), expected, atol=0.11)
        assert (placed > 0).all()
        assert (placed < [web_plots.WIDE, web_plots.HIGH]).all()


def test_what_was_not_seen_is_not_in_the_2d(server: Any) -> None:
    track = a_track(steps=3)
    hidden = track.joints.index("left_elbow")
    track.p2d[1, 0, hidden] = np.nan
    track.p2d[2] = np.nan
    page = page_of(server, track)
    counts = []
    for step in range(3):
        page.show_frame(step)
        counts.append(len(segments(page.flat.content)))
    touching = sum(hidden in (joint, parent) for joint, parent in enumerate(track.parents))
    assert counts == [15, 15 - touching, 0]


def test_a_joint_seen_alone_is_a_dot(server: Any) -> None:
    track = a_track(steps=2)
    track.p2d[1, 0, np.arange(16) != 6] = np.nan
    page = page_of(server, track)
    assert "<circle" not in page.flat.content
    page.show_frame(1)
    assert page.flat.content.count("<circle") == 1


def test_joints_found_with_little_confidence_are_pale_in_the_2d(server: Any) -> None:
    track = a_track(steps=2)
    found = np.ones((2, 1, 16), np.float32)
    found[1, 0, 15] = 0.05
    page = page_of(server, replace(track, p2d_confidence=found))
    assert 'opacity="0.3"' not in page.flat.content
    page.show_frame(1)
    assert 'opacity="0.3"' in page.flat.content
    assert len(segments(page.flat.content)) == 15 + 14  # pale below, full where it is sure
    assert f"not seen: {track.joints[15]}" in page.status.content


@pytest.mark.filterwarnings("error")
def test_a_track_without_any_2d_is_shown(server: Any) -> None:
    track = a_track(steps=2)
    track.p2d[...] = np.nan
    assert segments(page_of(server, track).flat.content) == []


# --- the confidence -------------------------------------------------------------------------------------------------


def cells(svg: str, joints: int) -> Array:
    """The shade of each cell of the plot, -1 where there is none, painted path after path."""
    columns = int(re.findall(r'viewBox="0 0 (\d+) ', svg)[0])
    painted = np.full((joints, columns), -1)
    for path, colour in re.findall(r'<path d="([^"]+)" fill="([^"]+)"', svg):
        for first, row, length in re.findall(r"M(\d+) (\d+)h(\d+)v1H\d+z", path):
            painted[int(row), int(first) : int(first) + int(length)] = web_plots.SHADES.index(colour)
    return painted


@pytest.mark.parametrize("steps", [1, 7, 240, 1000])
def test_the_plot_shades_the_lowest_confidence_of_each_column(steps: int) -> None:
    confidence = np.random.default_rng(steps).uniform(0.4, 1, (steps, 5)).astype(np.float32)
    confidence[:, 2] = np.nan
    confidence[steps // 2, 3] = np.nan
    painted = cells(web_plots.confidence_plot(confidence, list("abcde")), 5)
    columns = min(steps, web_plots.COLUMNS)
    assert painted.shape == (5, columns)
    for column in range(columns):
        held = confidence[column * steps // columns : (column + 1) * steps // columns]
        for joint in range(5):
            known = held[~np.isnan(held[:, joint]), joint]
            shade = sum(known.min() >= level for level in web_plots.LEVELS) if len(known) else -1
            assert painted[joint, column] == shade


def test_the_plot_shows_the_lowest_of_who_is_on_the_floor(server: Any) -> None:
    confidence = np.full((4, 2, 16), 0.95, np.float32)
    confidence[1, 1, 3] = 0.1
    page = page_of(server, a_track(steps=4, animals=2, confidence=confidence))
    assert cells(page.confidence.content, 16)[3].tolist() == [4, 0, 4, 4]
    page.show_individual("mouse0")
    assert cells(page.confidence.content, 16)[3].tolist() == [4, 4, 4, 4]


def test_the_cursor_goes_along(server: Any) -> None:
    page = page_of(server, a_track(steps=4, confidence=np.ones((4, 1, 16), np.float32)))
    places = []
    for step in range(4):
        page.show_frame(step)
        places.append(float(re.findall(r"left:([\d.]+)%", page.cursor.content)[0]))
    assert places == [12.5, 37.5, 62.5, 87.5]


def test_a_model_without_confidence_says_so(server: Any) -> None:
    page = page_of(server, a_track(steps=2))
    assert not hasattr(page, "confidence")
    assert page._along is None


# --- time -----------------------------------------------------------------------------------------------------------


def playing(page: TrackPage, seconds: float) -> None:
    """Let the page run in a thread, as the command does, for so long."""
    stop = threading.Event()
    thread = threading.Thread(target=page.run, args=(stop,))
    thread.start()
    time.sleep(seconds)
    stop.set()
    thread.join()


def test_it_plays_at_the_pace_of_the_clip_and_begins_again(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page = page_of(server, a_track(steps=10), fps=50)
    page.speed.value = "0.5"
    clock = itertools.count()  # 64 ticks a second
    monkeypatch.setattr(web, "time", SimpleNamespace(monotonic=lambda: next(clock) / 64))
    ticks = iter([False] * 64)
    page.play(True)
    page.run(SimpleNamespace(wait=lambda _: next(ticks, True)))
    assert page.step == 25 % 10  # a second at half of 50 frames


def test_it_stays_until_play_is_pressed_and_where_the_user_puts_it(server: Any) -> None:
    page = page_of(server, a_track(steps=10), fps=50)
    playing(page, 0.15)
    assert page.step == 0
    page.play(True)
    assert page.buttons.options[1] == "pause"
    playing(page, 0.5)
    assert page.step > 0 or page.playing
    page.show_frame(0)
    page.timeline.value = 4
    page._moment._moved(SimpleNamespace(client_id=1))
    assert (page.step, page.playing) == (4, False)
    assert page.buttons.options[1] == "play"
    for button, step in (("next", 5), ("previous", 4)):
        page._on_button(SimpleNamespace(target=SimpleNamespace(value=button)))
        assert page.step == step


def test_one_frame_is_a_track(server: Any) -> None:
    page = page_of(server, a_track(steps=1, confidence=np.ones((1, 1, 16), np.float32)))
    page.play(True)
    playing(page, 0.15)
    assert page.step == 0


# --- the command ----------------------------------------------------------------------------------------------------


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(lifter, ["show", *map(str, arguments)])
    assert isinstance(result.exception, InputError), result
    (line,) = result.exception.lines
    assert len(line) <= 300
    return line


def test_what_cannot_be_shown_is_one_line(tmp_path: Path) -> None:
    poses = tmp_path / "poses.npz"
    write_poses(poses, a_track(animals=2))
    assert "neither is given" in refused(poses)
    assert "both are given" in refused(poses, "--web", "--out", "a.gif")
    assert refused(poses, "--out", "a.gif", "--port", "3") == "--port: is given without --web; expected both or none"
    assert "cannot be read" in refused(tmp_path / "none.npz", "--web")
    assert refused(poses, "--web", "--fps", "0").startswith("--fps: is 0")
    assert refused(poses, "--web", "--individual", "mose1").endswith("did you mean 'mouse1'?")
    with serve("first", port=0) as (server, _):
        assert "is in use" in refused(poses, "--web", "--port", server.get_port())
    assert "is not known" in refused(poses, "--web", "--host", "no.such.host.invalid")
    empty = a_track(animals=2)
    empty.p3d[...] = np.nan
    write_poses(poses, empty)
    assert refused(poses, "--web").endswith("no frame holds a pose; expected at least one to draw")


def test_the_address_is_told_and_ctrl_c_ends_it_clean(tmp_path: Path) -> None:
    poses = tmp_path / "poses.npz"
    write_poses(poses, a_track())
    command = [sys.executable, "-m", "lifter", "show", str(poses), "--web", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = re.fullmatch(r"(http://127\.0\.0\.1:\d+/)  \(Ctrl-C ends it\)\n", process.stdout.readline())
        assert told
        with urllib.request.urlopen(told[1], timeout=20) as answer:
            assert answer.status == 200
        # Browsers open connections ahead on which they ask nothing; the end does not wait for them.
        with socket.create_connection(("127.0.0.1", int(told[1].split(":")[2].strip("/")))):
            time.sleep(0.3)
            asked = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
            took = time.monotonic() - asked
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "", "")
    assert took < 4


def test_a_track_plays_in_a_browser() -> None:
    track = a_track(steps=40, animals=2, confidence=np.full((40, 2, 16), 0.8, np.float32))
    with browser() as shown, serve("poses.h5", port=0) as (server, url):
        page = TrackPage(server, track, "poses.h5", fps=10)
        shown.open(url)
        shown.wait_for(lambda: "1 of 40" in shown.text(), "the first frame")
        thumb = shown.field("frame")
        thumb.send_keys(shown.keys.ARROW_RIGHT)
        shown.wait_for(lambda: "2 of 40" in shown.text(), "the second frame")
        shown.press("next")
        shown.wait_for(lambda: "3 of 40" in shown.text(), "the third frame")
        stop = threading.Event()
        thread = threading.Thread(target=page.run, args=(stop,))
        thread.start()
        try:
            shown.press("play")
            shown.wait_for(lambda: "pause" in shown.text(), "that it plays")
            shown.wait_for(lambda: page.step >= 8, "more frames")
            shown.press("pause")
            shown.wait_for(lambda: f"{page.step + 1} of 40" in shown.text() and not page.playing, "that it stays")
        finally:
            stop.set()
            thread.join()
        assert shown.complaints() == []
