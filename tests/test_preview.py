"""The page of a skeleton, without a browser: its controls, what they change, and what it says."""

import contextlib
import threading
from types import SimpleNamespace

import pytest
from sampled_motion import sampled_motion

from posesynth.coverage import JointMap
from posesynth.preview.controls import TwoWay
from posesynth.preview.document import Document
from posesynth.preview.server import serve
from posesynth.skeleton import load_skeleton


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
    motion = sampled_motion(skeleton, 300)
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
    with _page(dog, [sampled_motion(skeleton, 40)], JointMap(forward="-y")) as page:

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
    with _page(dog, [sampled_motion(load_skeleton("dog"), 9)], JointMap(forward="-y")) as page:
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
