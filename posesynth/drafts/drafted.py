"""From a file of another tool to the text of a skeleton: read, settle, measure, write."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from posesynth.drafts.bones import bones
from posesynth.drafts.like import check_name
from posesynth.drafts.read import read_draft
from posesynth.drafts.tree import settle
from posesynth.drafts.upright import upright
from posesynth.drafts.write import text
from posesynth.errors import InputError, shown
from posesynth.schema import parse_skeleton
from posesynth.skeleton import Skeleton

AXES = ("x", "y", "z", "-x", "-y", "-z")
WHOLE = "every direction and length, as the file tells neither"


@dataclass(frozen=True, eq=False)
class Drafted:
    """A draft, and what to tell of it.

    ``text``: the YAML; ``skeleton``: what it means.  ``kind``: of file.  ``root``: why that is the root.  ``ranges``:
    where they come from.  ``heading``: what told it, or "" where there are no poses.  ``notes``: what else was found.
    """

    text: str
    skeleton: Skeleton
    kind: str
    root: str
    ranges: str
    heading: str
    notes: tuple[str, ...]


def drafted(
    path: str | os.PathLike[str],
    name: str,
    *,
    root: str | None = None,
    drop: Sequence[str] = (),
    link: Sequence[str] = (),
    unlink: Sequence[str] = (),
    category: str | None = None,
    up: str | None = None,
) -> Drafted:
    """A skeleton called `name` from a DeepLabCut config, a SLEAP or COCO skeleton, a BVH, URDF or MJCF.

    root: a joint, else the file's own or the most central one.  drop: joints to leave out.  link, unlink: links
    ``A-B`` to add and to take out.  category: of a COCO file with several.  up: the axis of the file that points up,
    ``"z"`` or ``"-y"``, where it is not the one of the format's habit.

    Raises InputError, a line for each thing, where the file cannot be read, where its links are no tree, and for
    names that are none.
    """
    check_name(name)
    if up is not None and up not in AXES:
        raise InputError(f"up: {shown(up)}; expected one of {', '.join(AXES)}")
    tree = settle(read_draft(os.fspath(path), category), root, drop, link, unlink)
    poses, heading = None, ""
    if tree.draft.poses is not None:
        poses, heading = upright(tree, up or tree.draft.up)
    elif up is not None:
        raise InputError(f"up: is for files with poses; expected none with a {tree.draft.kind}")
    ranges = tree.draft.about or WHOLE
    written = text(tree, bones(tree, poses), name, ranges, heading)
    skeleton = parse_skeleton(written, f"{name}.yaml")
    return Drafted(written, skeleton, tree.draft.kind, tree.reason, ranges, heading, tree.draft.notes)
