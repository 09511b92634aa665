"""A skeleton to begin with from one that is there: the same text, comments and all, with another name."""

import os

from posesynth.errors import InputError, quote
from posesynth.schema import parse_skeleton
from posesynth.schema.tables import MAX_JOINTS
from posesynth.skeleton import load_skeleton
from posesynth.yaml_fields import is_name, spelled
from posesynth.yaml_source import Faults, read_yaml


def like(name: str | os.PathLike[str], new_name: str) -> str:
    """The YAML of a built-in skeleton, or of a file, called `new_name`; nothing else of it is changed.

    Raises InputError where there is no such skeleton, or the new name is none.
    """
    check_name(new_name)
    text = load_skeleton(name).text
    tree = read_yaml(text, Faults("<skeleton>"), MAX_JOINTS)
    assert tree is not None
    place = tree.entries["name"]
    text = text[: place.start] + spelled(new_name) + text[place.end :]
    parse_skeleton(text, f"{new_name}.yaml")
    return text


def check_name(name: str) -> None:
    """Raise InputError unless a skeleton may be called `name`."""
    if not is_name(name):
        rule = "expected 1 to 64 of A-Z a-z 0-9 _ . - beginning with a letter, a digit or _"
        raise InputError(f"name: {quote(name)} is no name of a skeleton; {rule}")
