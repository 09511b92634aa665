"""Skeletons to begin with: from the built-in ones, and from what other tools know of an animal's joints.

A draft is the text of a valid skeleton, with comments and with ranges that are wide on purpose.
"""

import os
from collections.abc import Sequence

from posesynth.drafts.drafted import Drafted, drafted
from posesynth.drafts.like import like

__all__ = ["Drafted", "draft", "drafted", "like"]


def draft(
    path: str | os.PathLike[str],
    name: str,
    *,
    root: str | None = None,
    drop: Sequence[str] = (),
    link: Sequence[str] = (),
    unlink: Sequence[str] = (),
    category: str | None = None,
    up: str | None = None,
) -> str:
    """The YAML of a skeleton called `name`, drafted from a file of another tool: `drafted` says what it takes."""
    return drafted(
        path, name, root=root, drop=drop, link=link, unlink=unlink, category=category, up=up
    ).text  # fmt: skip
