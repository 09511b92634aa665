"""What the panel is made of; for each range of a joint a slider with two handles, and its two ends as numbers."""

import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from posesynth.schema.tables import ANGLES, LENGTH
from posesynth.skeleton import Range
from posesynth.yaml_fields import Limit

if TYPE_CHECKING:
    import viser

NOTE = "from, to"
Changed = Callable[[str, Range], None]


def block(content: str) -> str:
    """HTML of a paragraph of the panel."""
    return f'<div style="font-size:13px;padding:4px 12px;line-height:1.45">{content}</div>'


def by_user(changed: Callable[[Any], None]) -> Callable[[Any], None]:
    """Of a control: calls with the value that a user has set, and not where the page itself sets one."""

    def updated(event: Any) -> None:
        if event.client_id is not None:
            changed(event.target.value)

    return updated


class TwoWay:
    """A control that the user and the page set.  What the user has set while the page was busy is not taken back.

    A key that is held down, or a slider that is dragged, changes its value faster than a page is drawn.
    """

    def __init__(self, handle: Any, lock: threading.RLock, changed: Callable[[Any], None]) -> None:
        """changed: is called, within the lock, with what the user has set: the latest value alone."""
        self._handle, self._lock, self._changed = handle, lock, changed
        self._known = handle.value
        handle.on_update(self._moved)

    def show(self, value: Any) -> None:
        """Set the control, unless the user has moved on: then the call that tells of it waits for the lock."""
        if self._handle.value == self._known:
            self._handle.value = value
            self._known = self._handle.value

    def _moved(self, event: Any) -> None:
        with self._lock:
            if event.client_id is not None and self._handle.value != self._known:
                self._known = self._handle.value
                self._changed(self._known)


class RangeControl:
    """A range, shown and moved: by its slider with the mouse, by its numbers with the keyboard, too."""

    def __init__(
        self, server: "viser.ViserServer", path: str, range_: Range, lock: threading.RLock, changed: Changed
    ) -> None:
        self.path = path
        angle = _angle(path)
        low, high, step = slider_bounds(angle, range_)
        limit = _limit(angle)
        self._slider = server.gui.add_multi_slider(label(path), low, high, step, (low, high), hint=limit.about)
        self._numbers = server.gui.add_vector2(
            NOTE,
            range_,
            step=step,
            hint=f"From and to, in {limit.unit}; arrow keys move them.",
        )
        # Of the value at the start viser would take the digits, and drop the point of what is typed later.
        self._numbers.precision = 4 if angle == "length" else 2

        def moved(value: Any) -> None:
            changed(path, (float(value[0]), float(value[1])))

        self._moves = TwoWay(self._slider, lock, moved), TwoWay(self._numbers, lock, moved)
        self.show(range_)

    def remove(self) -> None:
        """Take the control off the page."""
        self._slider.remove()
        self._numbers.remove()

    def show(self, range_: Range, note: str = NOTE) -> None:
        """The range as the document has it now, valid or not, and what is said of it."""
        low, high = sorted(_clipped(_angle(self.path), range_))
        if low < self._slider.min or high > self._slider.max:
            self._slider.min, self._slider.max, _ = slider_bounds(_angle(self.path), range_)
        slid = (max(low, self._slider.min), min(high, self._slider.max))
        for control, value in zip(self._moves, (slid, range_), strict=True):
            control.show(value)
        self._numbers.label = note


def label(path: str) -> str:
    """A path of `Written` in words: ``usual.flexion`` is usual flexion, ``theta.at.46`` theta at 46."""
    return path.replace(".at.", " at ").replace("usual.", "usual ")


def _angle(path: str) -> str:
    return path.removeprefix("usual.").split(".")[0]


def _limit(angle: str) -> Limit:
    return LENGTH if angle == "length" else ANGLES[angle]


def _clipped(angle: str, range_: Range) -> Range:
    """A range, valid or not, within the angle's limits, where alone viser makes a control."""
    limit = _limit(angle)
    low, high = (min(max(float(bound), float(limit.low)), float(limit.high)) for bound in range_)
    return low, high


def slider_bounds(angle: str, range_: Range) -> tuple[float, float, float]:
    """Low end, high end and step of the slider for a range: a whole turn about its middle, or twice its length."""
    if angle == "theta":
        return 0.0, 180.0, 1.0
    low, high = sorted(_clipped(angle, range_))
    if angle == "abduction" and low >= -90 and high <= 90:
        return -90.0, 90.0, 1.0
    if angle == "length":
        top = max(high, 1e-6)
        step = 10.0 ** (math.floor(math.log10(top)) - 2)
        return 0.0, math.ceil(2 * top / step) * step, step
    middle = 10 * round((low + high) / 20)
    return max(middle - 180.0, -720.0), min(middle + 180.0, 720.0), 1.0
