"""The page of a skeleton in a real browser: sliders move by keyboard, poses change, files are saved, others refused."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from browser import browser

from posesynth.kinematics import forward
from posesynth.sampler import sample
from posesynth.skeleton import load_skeleton

pytest.importorskip("viser")

ROOT = Path(__file__).parents[1]
FOREIGN = """
const done = arguments[arguments.length - 1];
const socket = new WebSocket(arguments[0], ['viser-v' + arguments[1]]);
socket.onopen = () => { socket.close(); done('open'); };
socket.onerror = () => done('refused');"""


@pytest.fixture(scope="module")
def page():
    with browser() as opened:
        yield opened


@pytest.fixture
def files(tmp_path):
    """A dog of one's own, and a clip of it."""
    skeleton = load_skeleton("dog")
    (tmp_path / "dog.yaml").write_text(skeleton.text)
    batch = sample(skeleton, 3, 0, 60, ("o_up",))
    np.savez(tmp_path / "clip.npz", positions=forward(batch.o_up, skeleton), names=list(skeleton.joints), fps=30.0)
    (tmp_path / "map.yaml").write_text("up: z\nforward: -y\n")
    return tmp_path


@pytest.fixture
def served(files):
    """The address of `posesynth preview` of the dog and its clip, which Ctrl-C then ends."""
    command = ["preview", "dog.yaml", "--motion", "clip.npz", "--map", "map.yaml", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-m", "posesynth", *command],
        cwd=files,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        line = process.stdout.readline()
        assert line.endswith("(Ctrl-C ends it)\n"), process.communicate()
        yield line.split()[0]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    assert err in ("", "warning: dog.yaml: the changes that were not saved are lost\n")


def flat(page):
    """The random poses as the image plane has them."""
    return page.driver.execute_script("return document.querySelector('svg[aria-label*=\"poses\"]').outerHTML")


def numbers(page, text):
    """The two number fields behind a text of the panel."""
    return page.driver.execute_script(
        """for (const label of document.querySelectorAll('label'))
               if (label.textContent.trim().includes(arguments[0]))
                   for (let at = label; at !== null; at = at.parentElement) {
                       const inputs = at.querySelectorAll('input');
                       if (inputs.length == 2) return [...inputs];
                   }
           return null;""",
        text,
    )


def thumbs(page):
    """Where the handles of the sliders stand, in percent."""
    return page.driver.execute_script(
        "return [...document.querySelectorAll('.multi-slider-thumb')].map(thumb => parseFloat(thumb.style.left))"
    )


def test_a_skeleton_is_drawn_changed_saved_and_opened_again(page, served, files):
    page.open(served)
    page.wait_for(lambda: "saved" in page.text() and len(thumbs(page)) >= 6, "panel")
    poses, handles = flat(page), thumbs(page)
    assert flat(page).count("<g ") == 24

    # By keyboard: the numbers move, the handles follow, the poses change.
    first = page.wait_for(lambda: numbers(page, "inside"), "numbers")[0]
    before = float(first.get_attribute("value"))
    first.send_keys(page.keys.ARROW_UP * 5)
    page.wait_for(lambda: flat(page) != poses, "poses that change")
    page.wait_for(lambda: thumbs(page)[0] > handles[0], "handles that follow")
    page.wait_for(lambda: float(numbers(page, "inside")[0].get_attribute("value")) == before + 5, "the number")
    page.wait_for(lambda: "not saved" in page.text())

    page.press("Undo")
    page.wait_for(lambda: flat(page) == poses, "the poses from before")
    page.press("Redo")
    page.wait_for(lambda: flat(page) != poses)
    changed = flat(page)
    page.press("Save")
    page.wait_for(lambda: "not saved" not in page.text(), "saved")
    old, new = load_skeleton("dog").text.splitlines(), (files / "dog.yaml").read_text().splitlines()
    assert sum(a != b for a, b in zip(old, new, strict=True)) == 1

    page.driver.refresh()
    page.wait_for(lambda: page.count("svg[aria-label*='poses']") and flat(page) == changed, "the same page again")

    # What is not valid is said, and not saved.
    second = numbers(page, "inside")[1]
    second.send_keys(page.keys.CONTROL, "a")
    second.send_keys("-89", page.keys.ENTER)
    page.wait_for(lambda: "expected low <= high" in page.text(), "what is wrong")
    page.press("Save")
    page.wait_for(lambda: re.search(r"dog\.yaml:\d+:\d+: joints\.", page.text()))
    assert (files / "dog.yaml").read_text().splitlines() == new
    page.press("Undo")
    page.wait_for(lambda: "expected low <= high" not in page.text())

    # Real motion: a frame, playing, a proposal that is shown and then taken.
    number = page.field("frame")
    number.send_keys(page.keys.ARROW_RIGHT)
    page.wait_for(lambda: page.field("frame").get_attribute("aria-valuenow") == "1", "frame 1")
    play = page.driver.find_element("xpath", "//label[normalize-space()='play']")
    play.click()
    page.wait_for(lambda: int(page.field("frame").get_attribute("aria-valuenow")) > 3, "a clip that plays")
    play.click()
    page.press("Propose")
    page.wait_for(lambda: "proposed:" in page.text(), "the proposal")
    told = flat(page)
    page.press("Take")
    page.wait_for(lambda: flat(page) != told and "proposed:" not in page.text(), "the range that was proposed")
    assert page.complaints() == []


def test_a_foreign_page_is_refused(page, served, tmp_path):
    import viser

    page.open(served)
    page.driver.set_script_timeout(10)
    address = served.replace("http", "ws")
    assert page.driver.execute_async_script(FOREIGN, address, viser.__version__) == "open"
    (tmp_path / "foreign.html").write_text("<title>somebody else's</title>")
    page.driver.get((tmp_path / "foreign.html").as_uri())
    assert page.driver.execute_async_script(FOREIGN, address, viser.__version__) == "refused"
