"""A skeleton's file while it is edited: one range changes and nothing else, steps go back, and saving is whole."""

import os
import shutil
import threading
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import skeleton_texts

from posesynth.errors import InputError
from posesynth.preview import document as document_
from posesynth.preview.document import Document
from posesynth.schema.tables import MAX_JOINTS
from posesynth.schema_edits import Written
from posesynth.skeleton import load_skeleton
from posesynth.yaml_source import Faults, read_yaml

SHIPPED = Path(__file__).parents[1] / "skeletons"

LEG = """\
# A leg.
posesynth: 1
name: leg   # a name
root: hip
joints:
  left_knee:          # bends
    parent: hip
    flexion: [100, 200]  # forward, backward
    abduction: {given: flexion, at: {100: [-10, 20], 200.5: [-5, 5]}}
    usual: {flexion: [150, 190]}
  right_knee: {mirror: left_knee}
  foot: {parent: hip, theta: [90, 180], phi: [-30, 30], length: [0.5, 1]}
sampling: {usual: 0.5}
"""


@pytest.fixture
def leg(tmp_path):
    path = tmp_path / "leg.yaml"
    path.write_text(LEG)
    return path


def test_a_change_of_a_range_changes_two_numbers_and_nothing_else(leg):
    document = Document(leg)
    document.set_range("left_knee", "flexion", (120, 195))
    assert document.text == LEG.replace("[100, 200]", "[120, 195]")
    document.set_range("left_knee", "abduction.at.200.5", (-7, 6))
    document.set_range("left_knee", "usual.flexion", (160, 170))
    assert document.text == LEG.replace("[100, 200]", "[120, 195]").replace("[-5, 5]", "[-7, 6]").replace(
        "[150, 190]", "[160, 170]"
    )
    edge = document.skeleton.ranges[document.skeleton.joints.index("left_knee") - 1]
    assert (edge.first, edge.first_usual) == ((120, 195), (160, 170))
    assert edge.second_given.ranges == ((-10, 20), (-7, 6))


def test_a_length_that_is_not_written_can_be_changed(leg):
    document = Document(leg)
    assert document.ranges("left_knee")["length"] == (0, 1)
    document.set_range("left_knee", "length", (0.5, 0.75))
    assert document.ranges("left_knee")["length"] == (0.5, 0.75)
    assert "length: [0.5, 0.75]" in document.text


def test_a_mirror_is_changed_through_its_source(leg):
    document = Document(leg)
    document.set_range("right_knee", "flexion", (110, 200))
    assert document.text == LEG.replace("[100, 200]", "[110, 200]")
    assert document.ranges("right_knee") == document.ranges("left_knee")
    assert (document.source("right_knee"), document.source("foot")) == ("left_knee", "foot")


def _written(text):
    return Written(text, read_yaml(text, Faults("text"), MAX_JOINTS))


@given(skeleton_texts(max_joints=9), st.data())
def test_any_range_of_any_skeleton_can_be_changed_and_taken_back(text, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = _written(text)
        joint = data.draw(st.sampled_from(sorted(written.ranges)))
        path = data.draw(st.sampled_from(sorted(written.ranges[joint])))
        low, high = written.ranges[joint][path]
        new = (float(f"{low:.6g}"), float(f"{(low + high) / 2:.6g}"))
        after = _written(written.edit(joint, path, new))
        assert after.ranges[joint][path] == new
        others = {**after.ranges[joint]} | {path: (low, high)}
        others |= {key: range_ for key, range_ in written.ranges[joint].items() if key == f"usual.{path}"}  # cut along
        assert {**after.ranges, joint: others} == written.ranges
        assert after.mirrors == written.mirrors
        back = _written(after.edit(joint, path, (low, high)))
        assert back.ranges[joint][path] == tuple(float(f"{bound:.6g}") for bound in (low, high))


def test_steps_go_back_and_forth(leg, monkeypatch):
    now = iter(range(0, 1000, 10))  # each change long after the last
    monkeypatch.setattr(document_, "monotonic", lambda: next(now))
    document = Document(leg)
    texts = [document.text]
    for high in (195, 190, 185):
        document.set_range("left_knee", "flexion", (100, high))
        texts.append(document.text)
    for text in texts[-2::-1]:
        document.undo()
        assert document.text == text
    document.undo()  # of nothing
    assert not document.changed
    for text in texts[1:]:
        document.redo()
        assert document.text == text
    document.redo()  # of nothing
    assert document.text == texts[-1]
    document.undo()
    document.set_range("foot", "phi", (0, 10))
    new = document.text
    document.redo()  # a new step forgets what was taken back
    assert document.text == new


def test_a_drag_is_one_step(leg, monkeypatch):
    now = iter([0.0, 0.1, 0.2, 0.3, 5.0])
    monkeypatch.setattr(document_, "monotonic", lambda: next(now))
    document = Document(leg)
    for high in (199, 198, 197):
        document.set_range("left_knee", "flexion", (100, high))
    document.set_range("foot", "phi", (0, 10))  # another range
    document.set_range("foot", "phi", (0, 11))  # later
    steps = []
    while document.changed:
        document.undo()
        steps.append((document.ranges("left_knee")["flexion"][1], document.ranges("foot")["phi"][1]))
    assert steps == [(197, 10), (197, 30), (200, 30)]


def test_an_invalid_text_cannot_be_saved_and_says_why_as_validate_does(leg):
    document = Document(leg)
    document.set_range("foot", "theta", (150, 90))
    assert document.skeleton.ranges[-1].first == (90, 180)  # the last valid one
    bad = leg.with_name("bad.yaml")
    bad.write_text(document.text)
    with pytest.raises(InputError) as told:
        load_skeleton(bad)
    assert [line.removeprefix(str(bad)) for line in told.value.lines] == [
        line.removeprefix(str(leg)) for line in document.faults
    ]
    with pytest.raises(InputError, match="low 150 is above high 90"):
        document.save()
    assert leg.read_text() == LEG
    document.set_range("foot", "theta", (80, 90))
    assert document.faults == ()
    document.save()
    assert leg.read_text() == LEG.replace("[90, 180]", "[80, 90]")


def test_saving_writes_what_was_read_where_nothing_changed(tmp_path):
    for shipped in SHIPPED.glob("*.yaml"):
        path = tmp_path / shipped.name
        for mark, end in ((b"", b"\n"), (b"", b"\r\n"), (b"\xef\xbb\xbf", b"\r\n")):
            path.write_bytes(mark + shipped.read_bytes().replace(b"\n", end))
            before = path.read_bytes()
            document = Document(path)
            assert not document.changed
            document.save()
            assert path.read_bytes() == before


def test_saving_keeps_the_mode_and_the_link(leg):
    os.chmod(leg, 0o640)
    link = leg.with_name("link.yaml")
    link.symlink_to(leg)
    document = Document(link)
    document.set_range("foot", "phi", (0, 10))
    document.save()
    assert link.is_symlink()
    assert leg.stat().st_mode & 0o777 == 0o640
    assert "phi: [0, 10]" in leg.read_text()


def test_a_save_that_fails_leaves_the_file_and_nothing_else(leg, monkeypatch):
    document = Document(leg)
    document.set_range("foot", "phi", (0, 10))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(document_.os, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        document.save()
    assert leg.read_text() == LEG
    assert [path.name for path in leg.parent.iterdir()] == [leg.name]
    assert document.changed


def test_a_file_that_changed_on_disk_is_asked_about(leg):
    document = Document(leg)
    document.set_range("foot", "phi", (0, 10))
    mine = document.text
    theirs = LEG.replace("[90, 180]", "[100, 110]")
    leg.write_text(theirs)
    assert document.changed_on_disk()
    with pytest.raises(InputError, match="has changed on disk"):
        document.save()
    assert leg.read_text() == theirs
    document.reload()
    assert (document.text, document.changed, document.changed_on_disk()) == (theirs, False, False)
    document.undo()
    assert (document.text, document.changed) == (mine, True)
    document.save()
    leg.write_text(theirs)
    document.save(over=True)
    assert (leg.read_text(), document.changed_on_disk()) == (mine, False)


def test_a_file_that_is_gone_or_broken_on_disk_is_told(leg):
    document = Document(leg)
    leg.write_text("posesynth: 1\n")
    assert document.changed_on_disk()
    with pytest.raises(InputError, match="joints: is missing"):
        document.reload()
    assert document.text == LEG
    leg.unlink()
    assert document.changed_on_disk()
    with pytest.raises(InputError, match="has changed on disk"):
        document.save()
    document.save(over=True)
    assert leg.read_text() == LEG
    shutil.rmtree(leg.parent)
    with pytest.raises(InputError, match="cannot be written"):
        document.save(over=True)


@pytest.mark.parametrize(("old", "new"), [("foot:", "toe:"), ("foot: {parent: hip", "foot: {parent: left_knee"),
                                          ("root: hip", "root: pelvis")])  # fmt: skip
def test_a_file_with_other_joints_on_disk_is_not_taken(leg, old, new):
    document = Document(leg)
    document.set_range("foot", "phi", (0, 10))
    mine = document.text
    leg.write_text(LEG.replace(old, new).replace("parent: hip", "parent: pelvis" if "pelvis" in new else "parent: hip"))
    with pytest.raises(InputError, match="has other joints now"):
        document.reload()
    document.redo()
    assert (document.text, document.changed, document.changed_on_disk()) == (mine, True, True)
    with pytest.raises(InputError, match="has changed on disk"):
        document.save()


def test_a_pipe_in_the_files_place_is_not_waited_for(leg):
    document = Document(leg)
    leg.unlink()
    os.mkfifo(leg)
    watching = threading.Thread(target=document.changed_on_disk, daemon=True)
    watching.start()
    watching.join(5)
    assert not watching.is_alive()
    assert document.changed_on_disk()


def test_a_built_in_stays_as_it_is():
    document = Document("dog")
    joint = document.skeleton.joints[1]
    document.set_range(joint, "length", (0.2, 0.3))
    assert document.changed
    with pytest.raises(InputError, match="a built-in stays as it is; expected a file of your own: posesynth new"):
        document.save()
