"""A settled draft as the text of a skeleton, its comments included."""

import json
import os
import textwrap
from collections.abc import Iterator

from posesynth.drafts.bones import Bones
from posesynth.drafts.tree import Tree
from posesynth.schema.tables import LENGTH
from posesynth.skeleton import EdgeRange, Range
from posesynth.yaml_fields import spelled

WIDTH = 118
CONVENTION = """
The animal is upright, faces -y, its left is +x, up is +z.  Degrees.
  theta, phi            theta from +z (up), phi from +x (left) towards +y (back): -90 forward, 90 backward
  flexion, abduction    flexion 90 forward, 180 straight down, 270 backward; abduction > 0 to the animal's left
  frame: world          from the upright animal's axes
  frame: parent         from the axes that the bone above carries: theta 0 or flexion 0 goes straight on
"""


def text(tree: Tree, bones: Bones, name: str, ranges: str, heading: str) -> str:
    """The YAML.  ranges: where they come from; heading: what tells it, or ""."""
    draft, joints = tree.draft, [spelled(joint) for joint in tree.draft.joints]
    source = shown(os.path.basename(draft.source))
    world = [range_.frame == "world" for range_ in bones.ranges.values()]
    frame = "world" if 2 * sum(world) >= len(world) else "parent"
    lines = [
        *comment(f"{name}: drafted from {source} ({shown(draft.kind)}), with wide ranges: narrow what it cannot do."),
        *comment(f"Root: {joints[tree.root]}, {tree.reason}."),
        *comment(f"Ranges: {ranges}."),
        *(comment(f"Heading: {heading}.  If the picture of `posesynth inspect` shows it otherwise, --up names the axis "
                  "that points up, and the root's bones tell the rest.") if heading else ()),
        *(line for note in draft.notes for line in comment(f"{shown(note)[:1].upper()}{shown(note)[1:]}.")),
        "#",
        *(f"# {line}".rstrip() for line in CONVENTION.strip().splitlines()),
        "",
        "posesynth: 1",
        f"name: {spelled(name)}",
        f"description: {json.dumps(f'drafted from {source}, ranges to be narrowed'[:300])}",
        f"root: {joints[tree.root]}{_original(tree, tree.root)}",
        f"frame: {frame}",
        "joints:",
    ]  # fmt: skip
    for joint, parent in enumerate(tree.parents):
        if joint == tree.root:
            continue
        if joint in bones.mirrors:
            entry = f"mirror: {joints[bones.mirrors[joint]]}"
        else:
            entry = ", ".join(_entry(joints[parent], bones.ranges[joint], frame))
        lines.append(f"  {joints[joint]}: {{{entry}}}{_original(tree, joint)}")
    if bones.symmetric:
        pairs = ", ".join(f"[{joints[a]}, {joints[b]}]" for a, b in bones.symmetric)
        lines.append(f"symmetric: [{pairs}]  # hang on joints that are not each other's mirror image")
    return "\n".join(lines) + "\n"


def _entry(parent: str, range_: EdgeRange, frame: str) -> Iterator[str]:
    yield f"parent: {parent}"
    if range_.frame != frame:
        yield f"frame: {range_.frame}"
    for name, (low, high) in zip(range_.angle_names, (range_.first, range_.second), strict=True):
        yield f"{name}: [{low:g}, {high:g}]"
    if range_.length != (0.0, 1.0):
        low, high = _length(range_.length)
        yield f"length: [{low:.3g}, {high:.3g}]"


def _length(length: Range) -> Range:
    return (max(length[0], 1e-4), min(max(length[1], 2e-4), LENGTH.high))


def _original(tree: Tree, joint: int) -> str:
    """A comment with the name that the file has, where it is another."""
    original = tree.draft.originals[joint]
    if original == tree.draft.joints[joint]:
        return ""
    return f"  # {shown(original)} in the file" if original else "  # has no name in the file"


def shown(text_: str) -> str:
    """Text of a file or of its name, as a comment may hold it: one line of printable signs."""
    return "".join(sign if sign.isprintable() else "?" for sign in text_)


def comment(text_: str) -> list[str]:
    """Lines of a comment, wrapped."""
    return [f"# {line}" for line in textwrap.wrap(text_, WIDTH, subsequent_indent="  ", break_long_words=True)]
