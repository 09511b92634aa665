"""From a range that is moved to the poses it lets be, on the page of `posesynth preview`."""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

import posesynth
from posesynth.preview.document import Document
from posesynth.preview.page import SkeletonPage
from posesynth.preview.server import serve

from .measure import table

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests' own modules, as pytest has them

from browser import browser

CHANGES = 20
WATCH = """
const poses = document.querySelector('svg[aria-label*="poses"]').parentElement;
window.pressed = []; window.redrawn = [];
document.addEventListener('keydown', () => window.pressed.push(performance.now()), true);
new MutationObserver(() => requestAnimationFrame(() => window.redrawn.push(performance.now())))
    .observe(poses, {childList: true, subtree: true});"""


def page() -> None:
    """Milliseconds, median and largest of 20 changes of one range: in the page's program, from the new range to all
    messages of the redrawn page; and in a headless Chromium that draws in software on the same cores, from the key
    that moves a range to the first frame after the new poses stand in the page: from rest, and with keys so close
    that the frames of the last one are still drawn (asked: 100)."""
    rows: list[tuple[object, ...]] = []
    for name in ("quadruped", "human", "hand"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.yaml"
            path.write_text(posesynth.load_skeleton(name).text)
            with serve(name, port=0) as (server, url):
                made = SkeletonPage(server, Document(path))
                made.choose(made.document.skeleton.joints[2])
                columns = (_inside(made), _pressed(url, 1.2), _pressed(url, 0.3))
        rows.append((name, *(f"{median(taken):.0f}, {max(taken):.0f}" for taken in columns)))
    print(table(("skeleton", "program", "key to frame, from rest", "in a row"), rows))


def _inside(made: SkeletonPage) -> list[float]:
    taken = []
    path = made.controls[0].path
    low, high = made.document.ranges(made.chosen)[path]
    for part in np.linspace(0.5, 1, CHANGES):
        began = time.perf_counter()
        made.set_range(path, (low, float(low + (high - low) * part)))
        taken.append(1e3 * (time.perf_counter() - began))
    return taken


def _pressed(url: str, pause: float) -> list[float]:
    taken = []
    with browser() as page:
        page.open(url)
        page.wait_for(lambda: page.count("svg[aria-label*='poses']"))
        page.driver.execute_script(WATCH)
        numbers = page.driver.find_elements("css selector", "input[inputmode=numeric], input[inputmode=decimal]")
        time.sleep(3)  # what is loaded late
        for _ in range(CHANGES):
            page.driver.execute_script("window.pressed = []; window.redrawn = [];")
            numbers[0].send_keys(page.keys.ARROW_UP)
            page.wait_for(lambda: page.driver.execute_script("return window.redrawn.length"))
            taken.append(float(page.driver.execute_script("return window.redrawn[0] - window.pressed[0]")))
            time.sleep(pause)
    return taken
