"""BVH: a tree with offsets, then Euler angles in degrees for each frame.

A joint's rotation is the product of its rotation channels in the order they are written, so
``Zrotation Yrotation Xrotation`` is Rz Ry Rx; orders may differ between the joints of a file.  A
position channel takes the place of that coordinate of the joint's offset, at the root and elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, did_you_mean, fault, quote
from posesynth.motion.clip import Motion, check_size, numbers, read_text
from posesynth.motion.rotation import AXES, about

CHANNELS = tuple(f"{axis}{kind}" for kind in ("position", "rotation") for axis in "XYZ")
WORDS = ("OFFSET", "CHANNELS", "JOINT", "End Site", "}")


def read_bvh(path: str) -> Motion:
    """Positions of every joint and end site of a BVH file; the end site of ``Head`` is ``Head_end``."""
    words = _Words(path, read_text(path))
    joints = _hierarchy(words)
    seconds, values = _motion(words, sum(len(joint.channels) for joint in joints))
    check_size(path, len(values), 3 * len(joints))
    return Motion(
        positions=_forward(joints, values),
        names=tuple(joint.name for joint in joints),
        parents=np.array([joint.parent for joint in joints], dtype=np.int32),
        fps=1.0 / seconds if seconds > 0 else None,
        up="y",
        source=path,
    )


@dataclass
class _Joint:
    name: str
    parent: int
    line: int
    offset: NDArray[np.float64] | None = None
    channels: list[str] = field(default_factory=list)


class _Words:
    """The words of a file one after another, whichever way its lines are broken; `line` is the last one's."""

    def __init__(self, path: str, lines: list[str]) -> None:
        self.path = path
        self.lines = lines
        self.line = 0
        self.waiting: list[str] = []  # the rest of the line, last word first

    def fault(self, message: str, line: int | None = None) -> InputError:
        return fault(self.path, line or max(self.line, 1), message)

    def next(self, expected: str) -> str:
        while not self.waiting:
            if self.line == len(self.lines):
                raise self.fault(f"the file ends too early; expected {expected}")
            self.waiting = self.lines[self.line].replace("{", " { ").replace("}", " } ").split()[::-1]
            self.line += 1
        return self.waiting.pop()

    def expect(self, word: str) -> None:
        found = self.next(f"'{word}'")
        if found.lower() != word.lower():
            raise self.fault(f"{quote(found)}; expected '{word}'")

    def label(self, label: str) -> None:
        """``Frames:`` or ``Frame Time:``, with or without spaces before the colon."""
        found = self.next(f"'{label}'")
        while not found.endswith(":") and len(found) < len(label):
            found += self.next(f"'{label}'")
        if found.lower() != label.replace(" ", "").lower():
            raise self.fault(f"{quote(found)}; expected '{label}'")

    def name(self, expected: str) -> str:
        """The words up to the end of the line or an opening brace: some programs write names with spaces."""
        words = [self.next(expected)]
        while self.waiting and self.waiting[-1] != "{":
            words.append(self.waiting.pop())
        return " ".join(words)

    def numbers(self, count: int, what: str) -> NDArray[np.float64]:
        return numbers(
            [self.next(f"{count} numbers of {what}") for _ in range(count)], self.path, self.line, f"{what}: "
        )

    def count(self, what: str) -> int:
        word = self.next(f"the number of {what}")
        if not (word.isascii() and word.isdecimal() and len(word) < 10):
            raise self.fault(f"{quote(word)} is not a number of {what}; expected a whole number")
        return int(word)

    def rest(self) -> Iterator[tuple[int, list[str]]]:
        """What was not read yet, by line."""
        if self.waiting:
            yield self.line, self.waiting[::-1]
        for line, text in enumerate(self.lines[self.line :], self.line + 1):
            if row := text.split():
                yield line, row


def _hierarchy(words: _Words) -> list[_Joint]:
    """Read up to the word MOTION."""
    joints: list[_Joint] = []
    open_joints: list[int] = []
    lines: dict[str, int] = {}

    def begin(name: str) -> None:
        if name in lines:
            raise words.fault(
                f"joint {quote(name)} is named twice, first in line {lines[name]}; expected each name once"
            )
        lines[name] = words.line
        joints.append(_Joint(name, open_joints[-1] if open_joints else -1, words.line))
        open_joints.append(len(joints) - 1)
        words.expect("{")

    words.expect("HIERARCHY")
    words.expect("ROOT")
    begin(words.name("the name of the root"))
    while open_joints:
        joint = joints[open_joints[-1]]
        match (word := words.next("'}'")).lower():
            case "}":
                if joint.offset is None:
                    raise words.fault(f"joint {quote(joint.name)} has no OFFSET; expected one", joint.line)
                open_joints.pop()
            case "offset":
                joint.offset = words.numbers(3, "OFFSET")
            case "channels":
                joint.channels = _channels(words)
            case "joint":
                begin(words.name("the name of a joint"))
            case "end":
                words.name("'Site'")
                begin(f"{joint.name}_end" if f"{joint.name}_end" not in lines else f"{joint.name}_end{len(joints)}")
            case _:
                near = did_you_mean(word.upper(), WORDS)
                raise words.fault(f"unknown word {quote(word)}; expected one of {', '.join(WORDS)}{near}")
    words.expect("MOTION")
    return joints


def _channels(words: _Words) -> list[str]:
    known = {channel.lower(): channel for channel in CHANNELS}
    channels: list[str] = []
    for _ in range(words.count("channels")):
        word = words.next("a channel")
        channel = known.get(word.lower())
        if channel is None:
            near = did_you_mean(word, CHANNELS)
            raise words.fault(f"unknown channel {quote(word)}; expected one of {', '.join(CHANNELS)}{near}")
        if channel in channels:
            raise words.fault(f"channel '{channel}' is given twice; expected each channel of a joint once")
        channels.append(channel)
    return channels


def _motion(words: _Words, width: int) -> tuple[float, NDArray[np.float64]]:
    """Seconds a frame, and the (T, width) values of the channels."""
    if width == 0:
        raise words.fault("no joint has channels; expected at least the root's")
    words.label("Frames:")
    frames = words.count("frames")
    if frames == 0:
        raise words.fault("0 frames; expected at least 1")
    check_size(words.path, frames, width)
    words.label("Frame Time:")
    seconds = float(words.numbers(1, "Frame Time")[0])
    if seconds < 0:
        raise words.fault(f"Frame Time {seconds}; expected seconds, 0 or more")
    values = [np.zeros(0)]
    line = words.line
    for line, row in words.rest():
        values.append(numbers(row, words.path, line))
    found = sum(len(row) for row in values)
    if found != frames * width:
        expected = f"expected {frames * width}, {frames} frames of {width} channels"
        raise words.fault(f"{found} numbers after Frame Time; {expected}", line)
    return seconds, np.concatenate(values).reshape(frames, width)


def _forward(joints: list[_Joint], values: NDArray[np.float64]) -> NDArray[np.float64]:
    positions = np.empty((len(values), len(joints), 3))
    rotations: list[NDArray[np.float64]] = []
    column = 0
    for j, joint in enumerate(joints):
        place = np.zeros((len(values), 3)) + (0.0 if joint.offset is None else joint.offset)
        turn = np.broadcast_to(np.eye(3), (len(values), 3, 3))
        for channel in joint.channels:
            axis = channel[0].lower()
            if channel.endswith("position"):
                place[:, AXES.index(axis)] = values[:, column]
            else:
                turn = turn @ about(axis, values[:, column])
            column += 1
        if joint.parent < 0:
            positions[:, j] = place
            rotations.append(turn)
        else:
            outer = rotations[joint.parent]
            positions[:, j] = positions[:, joint.parent] + (outer @ place[:, :, None])[:, :, 0]
            rotations.append(outer @ turn)
    return positions
