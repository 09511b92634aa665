"""The page of a skeleton: what it draws is what the ranges say, and nobody else is answered."""

import contextlib
import http.client
import itertools
import os
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_skeletons import small_skeleton
from strategies import skeletons

from posesynth.coverage import JointMap, load_map, measure
from posesynth.coverage.measure import outside
from posesynth.errors import InputError
from posesynth.motion import Motion, load_motion
from posesynth.preview.clip import Clip
from posesynth.preview.controls import TwoWay
from posesynth.preview.document import Document
from posesynth.preview.posture import STEPS, surface, surface_faces, upright
from posesynth.preview.server import Guard, serve
from posesynth.sampler import sample
from posesynth.schema import parse_skeleton
from posesynth.schema_edits import with_ranges
from posesynth.skeleton import load_skeleton

DATA = Path(os.environ.get("POSESYNTH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
real = pytest.mark.skipif(not DATA.is_dir(), reason="no real clips beside the checkout (POSESYNTH_DATA)")

# Postures and surfaces.


@given(skeletons(max_joints=12))
def test_the_upright_animal_lies_in_all_ranges(skeleton):
    posture = upright(skeleton)
    for e in range(skeleton.edges):
        out = outside(skeleton, e, posture.first[None], posture.second[None])
        assert np.abs(out).max() < 1e-6
    bones = posture.joints[1:] - posture.joints[skeleton.parents[1:]]
    assert np.linalg.norm(bones, axis=-1).max() == pytest.approx(1)


def test_bones_that_may_go_anywhere_are_laid_out_and_not_stacked():
    anywhere = "theta: [0, 180], phi: [-180, 180]}"
    links = {"head": "chest", "hip": "chest", "tail": "hip", "l_knee": "hip", "l_foot": "l_knee"}
    entries = "".join(f"  {joint}: {{parent: {parent}, {anywhere}\n" for joint, parent in links.items())
    entries += "  r_knee: {mirror: l_knee}\n  r_foot: {mirror: l_foot}\n"
    skeleton = parse_skeleton(f"posesynth: 1\nname: draft\nroot: chest\njoints:\n{entries}")
    place = dict(zip(skeleton.joints, upright(skeleton).joints, strict=True))
    assert place["head"] == pytest.approx([0, -1, 0])  # forward
    assert place["hip"] == pytest.approx([0, 1, 0])
    assert place["tail"] == pytest.approx([0, 2, 0])
    assert place["l_knee"][0] > 0 > place["r_knee"][0]
    assert place["l_foot"][2] == place["r_foot"][2] < 0


@settings(max_examples=40)
@given(skeletons(max_joints=8), st.data())
def test_a_surface_is_where_the_bone_may_end_point_by_point(skeleton, data):
    edge = data.draw(st.integers(0, skeleton.edges - 1))
    posture, range_ = upright(skeleton), skeleton.ranges[edge]
    frames = []
    for e, r in enumerate(skeleton.ranges):
        outer = naive.given_in(skeleton, e, frames)
        frames.append(outer @ naive.turn(r, np.radians(posture.first[e]), np.radians(posture.second[e])))
    outer = naive.given_in(skeleton, edge, frames)

    def bounds(which, first):
        given_ = range_.given[which]
        if given_ is None:
            return (range_.first, range_.second)[which]
        parent = int(skeleton.parents[edge + 1]) - 1
        if given_.bone == "own":
            return naive.range_at(given_, first)
        return naive.range_at(given_, (posture.first, posture.second)[given_.which][parent])

    made = surface(skeleton, edge, posture, 0.7)
    for i, j in itertools.product((0, 7, STEPS), (0, 13, STEPS)):
        low, high = bounds(0, None)
        first = low + (high - low) * i / STEPS
        low, high = bounds(1, first)
        second = low + (high - low) * j / STEPS
        end = outer @ naive.turn(range_, np.radians(first), np.radians(second))[:, 2]
        expected = posture.joints[skeleton.parents[edge + 1]] + 0.7 * end
        assert made.vertices[i * (STEPS + 1) + j] == pytest.approx(expected, abs=1e-6)


def test_a_surfaces_triangles_tile_it_once():
    faces = surface_faces().astype(int)
    row, column = np.divmod(faces, STEPS + 1)
    a, b, c = (np.stack([row[:, k], column[:, k]], axis=-1) for k in range(3))
    ab, ac = b - a, c - a
    areas = (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]) / 2
    assert np.all(areas == areas[0])  # of half a cell, all turned one way
    assert abs(areas.sum()) == STEPS**2
    assert len({tuple(sorted(face)) for face in faces.tolist()}) == len(faces)


# Real motion.


def _motion(skeleton, count, source="clip"):
    """Frames drawn from a skeleton, upright, with each joint under its own name."""
    from posesynth.kinematics import forward

    batch = sample(skeleton, 3, 0, count, ("o_up",))
    positions = forward(batch.o_up, skeleton).astype(np.float64)
    return Motion(positions, skeleton.joints, None, 30.0, "z", source)


@pytest.mark.parametrize("name", ["quadruped", "dog", "human"])
def test_the_shares_of_a_clip_are_those_of_coverage(name):
    skeleton = load_skeleton(name)
    narrow = skeleton.joints[-1]
    edge = skeleton.joints.index(narrow) - 1
    pair = next((pair for pair in skeleton.symmetric if edge in pair), (edge,))
    first = skeleton.ranges[edge].angle_names[0]
    if skeleton.ranges[edge].first_given is not None:
        first = skeleton.ranges[edge].angle_names[1]
    middle = sum(skeleton.ranges[edge].first if first in ("theta", "flexion") else skeleton.ranges[edge].second) / 2
    motion, heading = _motion(skeleton, 200), JointMap(forward="-y")
    clip = Clip(skeleton, motion, heading)
    changed = with_ranges(skeleton.text, {narrow: {first: (middle - 5, middle + 5)}})
    from posesynth.schema import parse_skeleton

    for made in (skeleton, parse_skeleton(changed), skeleton):
        clip.follow(made)
        told = measure(made, [motion], heading)
        assert clip.whole() == pytest.approx(told.inside)
        shares = clip.shares(list(pair))
        edges = [e for e in told.edges if made.joints.index(e.joint) - 1 in pair]
        assert shares.both == pytest.approx(np.mean([e.inside for e in edges]))
        assert shares.first == pytest.approx(np.mean([e.angles[0].inside for e in edges]))
        assert shares.second == pytest.approx(np.mean([e.angles[1].inside for e in edges]))
    assert clip.whole() > 0.99
    assert told.inside > 0.99


def test_a_frame_of_a_clip_is_its_pose_and_unseen_bones_end_it():
    skeleton = small_skeleton(
        {
            "thigh": "parent: root, theta: [90, 180], phi: [-180, 180]",
            "shank": "parent: thigh, theta: [90, 180], phi: [-180, 180]",
        }
    )
    positions = np.array([[[0, 0, 0], [0, 0, -2.0], [0, -1.0, -2]], [[5, 5, 5], [np.nan] * 3, [5, 4, 3]]])
    motion = Motion(positions, skeleton.joints, None, 30.0, "z", "clip")
    clip = Clip(skeleton, motion, JointMap(forward="-y"))
    rest = upright(skeleton)
    assert clip.posture(0, rest).joints == pytest.approx(positions[0] / 2)
    assert np.isnan(clip.posture(1, rest).joints[1:]).all()
    assert clip.outside(0).tolist() == [False, False]
    assert clip.shares([0]).both == 1
    blind = Clip(skeleton, Motion(positions[1:], skeleton.joints, None, None, "z", "clip"), JointMap(forward="-y"))
    assert np.isnan(blind.shares([1]).both)


@real
def test_a_clip_follows_new_ranges(tmp_path):
    path = tmp_path / "person.yaml"
    path.write_text(load_skeleton("human").text)
    document = Document(path)
    motion = load_motion(DATA / "human_cmu_bvh" / "35_01.bvh")
    clip = Clip(document.skeleton, motion, load_map("human-cmu-bvh", document.skeleton))
    assert clip.whole() > 0.95
    document.set_range("left_knee", "flexion", (165, 200))
    clip.follow(document.skeleton)
    assert clip.whole() < 0.1


# The server.


def test_only_this_page_on_this_machine_is_answered_without_a_token():
    from websockets.datastructures import Headers

    guard = Guard("127.0.0.1", 8080)
    here = [("Host", "127.0.0.1:8080")]
    good = [here, [("Host", "localhost:8080")], [*here, ("Origin", "http://127.0.0.1:8080")]]
    bad = [
        [],
        [("Host", "evil.example:8080")],
        [("Host", "127.0.0.1:80")],
        [("Host", "127.0.0.1")],
        [*here, *here],
        [*here, ("Origin", "http://evil.example")],
        [*here, ("Origin", "null")],
        [*here, ("Origin", "https://127.0.0.1:8080")],
        [*here, ("Origin", "http://127.0.0.1:8081")],
        [("Host", "evil.example:8080"), ("Origin", "http://evil.example:8080")],
    ]
    for headers in good:
        assert guard.refusal(Headers(headers), "/") is None
    for headers in bad:
        assert guard.refusal(Headers(headers), "/") is not None, headers
        assert guard.refusal(Headers(headers), "/?token=") is not None, headers


OWN = [
    ("127.0.0.1", 8080, "LocalHost:8080"),
    ("127.0.0.2", 8080, "127.0.0.2:8080"),
    ("::1", 8080, "[::1]:8080"),
    ("127.0.0.1", 80, "127.0.0.1"),
    ("127.0.0.1", 80, "localhost:80"),
]


@pytest.mark.parametrize(("host", "port", "named"), OWN)
def test_the_page_is_answered_under_the_address_that_was_printed(host, port, named):
    from websockets.datastructures import Headers

    guard = Guard(host, port)
    assert guard.refusal(Headers([("Host", named)]), "/") is None
    assert guard.refusal(Headers([("Host", named), ("Origin", f"http://{named}")]), "/") is None
    for evil in (f"{named}.", f"{named}@evil.example", f"user@{named}", f"{named}0", f".{named}"):
        assert guard.refusal(Headers([("Host", evil)]), "/") is not None, evil


def test_elsewhere_a_token_is_asked_for():
    from websockets.datastructures import Headers

    guard = Guard("0.0.0.0", 8080)
    host = ("Host", "lab.example:8080")
    assert guard.url == f"http://0.0.0.0:8080/?token={guard.token}"
    assert len(guard.token) >= 20
    assert Guard("0.0.0.0", 8080).token != guard.token

    def answer(path, *headers):
        refused = guard.refusal(Headers([host, *headers]), path)
        return refused if refused is None else (int(refused[0]), refused[2])

    assert answer("/")[0] == 403
    assert answer("/?token=")[0] == 403
    assert answer(f"/?token={guard.token[:-1]}")[0] == 403
    assert answer("/", ("Cookie", "posesynth-8080="))[0] == 403
    assert answer("//[?token=\udcff")[0] == 403
    status, headers = answer(f"/?token={guard.token}")
    assert (status, headers["Location"]) == (303, "/")
    cookie = headers["Set-Cookie"].partition(";")[0]
    assert "HttpOnly; SameSite=Strict" in headers["Set-Cookie"]
    assert answer("/", ("Cookie", f"other=1; {cookie}")) is None
    assert answer("/", ("Cookie", cookie), ("Origin", "http://lab.example:8080")) is None
    assert answer("/", ("Cookie", cookie), ("Origin", "http://evil.example"))[0] == 403


@pytest.mark.parametrize(("host", "token"), [("localhost", False), ("127.0.0.1", False), ("127.0.0.2", False),
                                             ("::1", False), ("0.0.0.0", True), ("::", True), ("10.0.0.1", True),
                                             ("lab.example", True)])  # fmt: skip
def test_what_others_can_reach_has_a_token(host, token):
    assert bool(Guard(host, 8080).token) == token


def test_a_port_in_use_is_said_and_not_changed():
    pytest.importorskip("viser")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port: {port} is in use"), serve("page", port=port):
            pass


@pytest.mark.parametrize(("host", "said"), [("203.0.113.9", "expected an address of this machine"),
                                            ("no such host", "is not known")])  # fmt: skip
def test_a_host_that_is_not_this_machine_is_said(host, said):
    pytest.importorskip("viser")
    with pytest.raises(InputError, match=said), serve("page", host=host, port=0):
        pass


def test_the_server_listens_here_alone_answers_this_page_and_ends():
    pytest.importorskip("viser")
    with serve("page", port=0) as (server, url):
        port = int(url.rstrip("/").rpartition(":")[2])
        assert server.get_port() == port

        def status(**headers):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as asked:
                asked.request("GET", "/", headers=headers)
                return asked.getresponse().status

        shake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
        own, foreign = f"http://127.0.0.1:{port}", "http://evil.example"
        assert status() == status(Origin=own) == 200
        assert status(Host="evil.example") == 421
        assert status(Origin=foreign) == 403
        assert status(**shake, Origin=own) == 101
        assert status(**shake, Origin=foreign) == 403
        assert server.request_share_url() is None  # no tunnel into the internet, whoever asks
        with socket.socket() as other, pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", port))
    with socket.socket() as gone, pytest.raises(OSError, match="refused"):
        gone.connect(("127.0.0.1", port))


@pytest.mark.parametrize("option", ["--map", "--asf"])
def test_how_to_read_motion_goes_with_motion(option):
    from click.testing import CliRunner

    from posesynth.cli import posesynth

    told = CliRunner().invoke(posesynth, ["preview", "dog", option, "some.file", "--port", "0"])
    assert option in str(told.exception)
    assert "expected --motion" in str(told.exception)


# The page, without a browser.


@contextlib.contextmanager
def _page(path, motions=(), joint_map=None):
    pytest.importorskip("viser")
    from posesynth.preview.page import SkeletonPage

    with serve("page", port=0) as (server, _):
        yield SkeletonPage(server, Document(path), motions, joint_map)


@pytest.fixture
def dog(tmp_path):
    path = tmp_path / "dog.yaml"
    path.write_text(load_skeleton("dog").text)
    return path


class Handle:
    """A control of viser's: what a client sets stands at once, its call comes later, from a thread."""

    def __init__(self, value):
        self.value, self.calls = value, []

    def on_update(self, call):
        self.calls.append(call)

    def typed(self, value):
        self.value = value

    def told(self, client=1):
        for call in self.calls:
            call(SimpleNamespace(client_id=client, target=self))


def test_what_the_user_sets_while_the_page_is_busy_is_kept():
    handle, taken = Handle(5), []

    def draws(value):
        taken.append(value)
        if len(taken) == 1:
            handle.typed(7)  # before the page has drawn 6
        control.show(value)

    control = TwoWay(handle, threading.RLock(), draws)
    handle.typed(6)
    handle.told()
    assert handle.value == 7
    handle.told()
    handle.told()  # of a value that is known by now
    assert taken == [6, 7]
    control.show(3)  # as undo does
    assert handle.value == 3
    handle.told(client=None)
    assert taken == [6, 7]


def test_a_range_that_changes_redraws_the_poses(dog):
    with _page(dog) as page:
        page.choose("left_elbow" if "left_elbow" in page.document.skeleton.joints else page.chosen)
        poses, flat = page.herd._bones.batched_positions.copy(), page.flat.content
        ends, surface_ = page.herd._balls.batched_positions.copy(), page.surfaces["range"][0].vertices.copy()
        path = page.controls[0].path
        low, high = page.document.ranges(page.chosen)[path]
        page.set_range(path, (low, (low + high) / 2))
        assert (page.herd._balls.batched_positions != ends).any()
        assert (page.surfaces["range"][0].vertices != surface_).any()
        assert page.flat.content != flat
        page.undo()
        assert page.flat.content == flat
        assert (page.herd._bones.batched_positions == poses).all()
        page.other_poses()
        assert page.flat.content != flat


def test_each_joint_can_be_chosen_and_its_controls_are_its_ranges(dog):
    with _page(dog) as page:
        for joint in page.document.skeleton.joints[1:]:
            page.choose(joint)
            assert [control.path for control in page.controls] == list(page.document.ranges(joint))
            assert page.joint.value == joint
        page.choose(page.document.skeleton.joints[0])  # the root has no range
        assert page.joint.value == page.document.skeleton.joints[-1]


def test_what_is_wrong_is_said_and_nothing_invalid_is_saved(dog):
    with _page(dog) as page:
        before = dog.read_bytes()
        page.set_range("length", (0.5, 0.2))
        page.save()
        assert "low 0.5 is above high 0.2" in page.status.content
        assert dog.read_bytes() == before
        page.undo()
        assert "is above" not in page.status.content
        page.set_range("length", (0.2, 0.5))
        page.save()
        assert "length: [0.2, 0.5]" in dog.read_text()
        assert "not saved" not in page.status.content


@pytest.mark.parametrize("wrong", [(150.0, 90.0), (-1e9, 1e9), (1e300, -1e300), (-5.0, -1.0), (0.0, 1e-320)])
def test_a_joint_with_wrong_ranges_can_be_left_and_chosen_again(dog, wrong):
    with _page(dog) as page:
        first, second = page.document.skeleton.joints[1:3]
        page.choose(first)
        for path in page.document.ranges(first):
            page.set_range(path, wrong)
        assert page.document.faults
        page.choose(second)
        page.choose(first)
        assert "expected" in page.status.content
        assert [control.path for control in page.controls] == list(page.document.ranges(first))


LEG = """\
posesynth: 1
name: leg
root: hip
joints:
  knee: {parent: hip, flexion: [100, 200], abduction: {given: flexion, at: {100: [-10, 20], 200: [-5, 5]}}}
  foot: {parent: knee, theta: [90, 180], phi: [-30, 30]}
"""


OTHER_RANGES = [
    ("200: [-5", "180: [-5"),
    ("theta: [90, 180], phi", "flexion: [90, 180], abduction"),
    ("{given: flexion, at: {100: [-10, 20], 200: [-5, 5]}}", "[-5, 5]"),
]


@pytest.mark.parametrize(("old", "new"), OTHER_RANGES)
def test_controls_follow_a_file_with_other_ranges_there_and_back(tmp_path, old, new):
    path = tmp_path / "leg.yaml"
    path.write_text(LEG)
    with _page(path) as page:
        page.choose("foot" if "theta" in old else "knee")
        page.proposal = {"theta": (90, 100), "phi": (0, 1)}  # of ranges that go
        path.write_text(LEG.replace(old, new))
        for step in (lambda: page.settle(keep_mine=False), page.undo, page.redo):
            step()
            assert [control.path for control in page.controls] == list(page.document.ranges(page.chosen))
            page.take_range()
        assert page.document.text == path.read_text()


def test_a_slider_that_moves_after_another_joint_was_chosen_changes_nothing(dog):
    with _page(dog) as page:
        first, second = page.document.skeleton.joints[1:3]
        page.choose(first)
        path = page.controls[0].path
        page.choose(second)
        before = page.document.text
        page._moved(first, path, (1.0, 2.0))
        assert page.document.text == before


def test_a_proposed_range_is_shown_before_it_is_taken_and_holds_the_share(dog):
    skeleton = load_skeleton("dog")
    motion = _motion(skeleton, 300)
    with _page(dog, [motion], JointMap(forward="-y")) as page:
        edge = next(e for e, r in enumerate(skeleton.ranges) if not any(r.given))
        page.choose(skeleton.joints[edge + 1])
        before = page.document.text
        page.quantile.value = 80.0
        page.propose_range()
        assert page.document.text == before
        assert page.proposal
        assert page.surfaces["proposed"][0].visible
        page.drop_range()
        assert (page.document.text, page.surfaces["proposed"][0].visible) == (before, False)
        page.propose_range()
        page.take_range()
        assert page.document.text != before
        share = page.clip.shares([edge]).both
        assert 0.79 <= share <= 0.95
        page.undo()
        assert page.document.text == before


def test_a_clip_plays_and_edges_outside_turn_red(dog):
    from posesynth.preview.page import OUTSIDE

    skeleton = load_skeleton("dog")
    with _page(dog, [_motion(skeleton, 40)], JointMap(forward="-y")) as page:

        def red():
            from posesynth.preview.bodies import _linear, rgb

            colour = _linear(rgb([OUTSIDE]))[0]
            return (page.real._bones.batched_colors == colour).all(axis=-1)

        assert not red().any()
        edge = next(e for e, r in enumerate(skeleton.ranges) if not any(r.given))
        page.choose(skeleton.joints[edge + 1])
        low, high = skeleton.ranges[edge].second
        page.set_range(page.controls[1].path, (high - 0.01 * (high - low), high))
        assert red()[edge]
        places = page.real._balls.batched_positions.copy()
        page.show_frame(7)
        assert (page.real._balls.batched_positions != places).any()


# What a browser may say.


def _camera():
    return {"type": "ViewerCameraMessage", "wxyz": [1, 0, 0, 0], "position": [0, 0, 1.5], "fov": 0.6, "near": 0.01,
            "far": 1000, "image_height": 720, "image_width": 1280, "look_at": [0, 0, 0],
            "up_direction": [0, 0, 1]}  # fmt: skip


def _click(index):
    return {"type": "SceneNodeClickMessage", "name": "/animal/bones", "instance_index": index, "ray_origin": [0, 0, 0],
            "ray_direction": [0, 0, 1], "screen_pos": [0, 0.5], "modifier": None, "owner": ""}  # fmt: skip


def test_only_what_a_user_can_do_passes(dog):
    msgspec = pytest.importorskip("msgspec")
    nan, inf = float("nan"), float("inf")
    with _page(dog, [_motion(load_skeleton("dog"), 9)], JointMap(forward="-y")) as page:
        from posesynth.preview.incoming import may_pass

        def passes(said):
            return may_pass(msgspec.msgpack.encode(said), page.server)

        def update(control, value, key="value"):
            return passes({"type": "GuiUpdateMessage", "uuid": control._impl.uuid, "updates": {key: value}})

        slider, numbers = page.controls[0]._slider, page.controls[0]._numbers
        good = [
            (page.joint, ["head"]),
            (page.steps, ["Undo", "Save"]),
            (page.frame, [0, 8.0]),
            (page.named, [True]),
            (page.quantile, [98.5]),
            (slider, [[10, 20.5]]),
            (numbers, [[3, 2], [-1e9, 1e9]]),
        ]
        wrong = [None, "run", "__class__", "Undo ", nan, inf, -1, 1e9, [], [1], [1, nan], [1, 2, 3], ["a", 1], {}]
        for control, values in good:
            assert [value for value in values if not update(control, value)] == []
            assert [value for value in wrong if update(control, value)] == []
            for key in ("update_cb", "removed", "props", "value2"):
                assert not update(control, values[0], key)
        assert passes(_camera())
        assert passes(_click(3))
        upload = {"type": "FileTransferStartUpload", "source_component_uuid": page.joint._impl.uuid, "part_count": 9,
                  "transfer_uuid": "t", "filename": "../x", "mime_type": "text/plain", "size_bytes": 9}  # fmt: skip
        never = [
            upload,
            {"type": "ShareUrlRequest"},
            {"type": "GuiFormDirtyMessage", "uuid": "x"},
            {"type": "GuiUpdateMessage", "uuid": "x", "updates": {"value": True}},
            {"type": "GuiUpdateMessage", "uuid": page.named._impl.uuid, "updates": {"value": True, "removed": True}},
            {"type": "nothing"},
            {},
            [],
            5,
            _camera() | {"position": [nan, 0, 0]},
            _camera() | {"wxyz": ["a", 0, 0, 0]},
            _camera() | {"more": 1},
            _click("a"),
        ]
        assert [said for said in never if passes(said)] == []
        assert not may_pass(b"\x00garbage", page.server)
        assert not may_pass("text", page.server)


def test_a_client_that_says_nonsense_changes_nothing_and_others_are_still_heard(dog, capfd):
    msgspec = pytest.importorskip("msgspec")
    import time

    import viser
    from websockets.sync.client import connect

    with _page(dog) as page:
        version = [f"viser-v{viser.__version__}"]
        with connect(f"ws://127.0.0.1:{page.server.get_port()}/", subprotocols=version, max_size=None) as client:

            def say(said):
                client.send(msgspec.msgpack.encode(said))

            joint = page.joint._impl.uuid
            say(_camera())
            client.send(b"\x00garbage")
            client.send("text")
            for value in ("nobody", None, [1]):
                say({"type": "GuiUpdateMessage", "uuid": joint, "updates": {"value": value}})
            say({"type": "GuiUpdateMessage", "uuid": joint, "updates": {"update_cb": ["x"]}})
            for index in (None, -5, 10**9):
                say(_click(index))
            say({"type": "GuiUpdateMessage", "uuid": joint, "updates": {"value": "head"}})
            until = time.monotonic() + 10
            while page.chosen != "head" and time.monotonic() < until:
                time.sleep(0.01)
        assert page.chosen == "head"
        assert not page.document.changed
    assert capfd.readouterr().err == ""


def test_a_file_that_changes_elsewhere_is_asked_about(dog):
    import threading

    with _page(dog) as page:
        mine = threading.Event()
        watching = threading.Thread(target=page.run, args=(mine,))
        watching.start()
        try:
            dog.write_text(dog.read_text().replace("posesynth: 1", "posesynth: 1  # theirs", 1))
            for _ in range(100):
                if page.conflict.visible:
                    break
                mine.wait(0.05)
            assert page.conflict.visible
            page.settle(keep_mine=False)
            assert "# theirs" in page.document.text
        finally:
            mine.set()
            watching.join()


def test_numbers_take_decimals_whatever_the_file_began_with(dog):
    with _page(dog) as page:
        for joint in page.document.skeleton.joints[1:]:
            page.choose(joint)
            for control in page.controls:
                assert control._numbers.precision >= 2
                assert control._numbers.min is None  # what is out of bounds is told, and not changed on the way
                low, high = page.document.ranges(joint)[control.path]
                page.set_range(control.path, (low, high - 0.25 * (high - low)))
                assert control._numbers.value == page.document.ranges(joint)[control.path]


def test_a_doubt_is_told_until_it_is_gone(tmp_path):
    path = tmp_path / "crab.yaml"
    bone = "{parent: r, theta: [0, 90], phi: [0, 90]}"
    path.write_text(f"posesynth: 1\nname: crab\nroot: r\njoints:\n  back: {bone}\n  claw: {bone}\n")
    with _page(path) as page:
        assert "claw" not in page.status.content
        page.set_range("length", (20.0, 30.0))
        assert "joints.claw: has no length" in page.status.content
        page.save()
    with _page(path) as page:
        assert "joints.claw: has no length" in page.status.content
        page.choose("claw")
        page.set_range("length", (10.0, 20.0))
        assert "claw" not in page.status.content


def test_a_carried_bones_angles_are_not_told_in_the_animals_axes(dog):
    with _page(dog) as page:
        page.choose("left_elbow")
        assert "180 down" in page.about.content
        page.choose("left_front_paw")
        assert "goes straight on" in page.about.content
        assert "forward" not in page.about.content
