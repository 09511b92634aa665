"""Changes of a skeleton's YAML that leave the rest of the text as it was, comments included."""

from collections.abc import Mapping, Sequence

from posesynth.errors import InputError
from posesynth.joint_tree import mirrored_second
from posesynth.schema import parse_skeleton
from posesynth.schema.tables import ANGLES, MAX_JOINTS
from posesynth.skeleton import Range
from posesynth.yaml_source import Faults, Node, read_yaml


def with_ranges(text: str, changes: Mapping[str, Mapping[str, Range]]) -> str:
    """`text` with new ranges, all else as it was, comments included.

    ``changes[joint][key]`` is the new (low, high) of that joint's theta, phi, flexion, abduction (degrees) or
    length; six digits are written.  A joint written as a mirror stays one: what is asked for it is mirrored
    back, and its source gets the narrowest range that holds all that is asked for the two.  A usual range is cut to
    the new one, and becomes the new one where they do not meet.

    Raises `InputError` if the result is not a valid skeleton or a range depends on another angle, and `KeyError` for
    a joint or an angle that `text` does not have.
    """
    text, tree = _read(text)
    joints = tree.entries["joints"].entries
    edits: list[tuple[int, int, str]] = []
    for joint, ranges in _changes_of_sources(joints, changes).items():
        for key, (low, high) in ranges.items():
            bounds = (f"{low:.6g}", f"{high:.6g}")
            if key == "length" and key not in joints[joint].entries:
                entry = joints[joint]
                first = next(place for name, place in entry.keys.items() if name in ANGLES)
                edits.append(_insertion(text, entry, first, "length: [{}, {}]".format(*bounds)))
                continue
            if joints[joint].entries[key].kind == "map":
                raise InputError(f"joints.{joint}.{key}: depends on another angle; expected a plain range to change")
            edits += _bounds(joints[joint].entries[key], bounds)
            usual = joints[joint].entries.get("usual")
            if usual is not None and key in usual.entries:
                edits += _bounds(usual.entries[key], _cut(usual.entries[key], bounds))
    return _changed(text, edits)


def _bounds(range_: Node, bounds: tuple[str, str]) -> list[tuple[int, int, str]]:
    """The edits that give a range other bounds."""
    return [(item.start, item.end, bound) for item, bound in zip(range_.items, bounds, strict=True)]


def _cut(usual: Node, bounds: tuple[str, str]) -> tuple[str, str]:
    """What of a usual range lies within new bounds, all of these where nothing does."""
    low, high = (float(bound) for bound in bounds)
    start, end = (float(item.text) for item in usual.items)
    turn = 360.0 * round((low + high - start - end) / 720.0)
    start, end = max(start + turn, low), min(end + turn, high)
    return (f"{start:.6g}", f"{end:.6g}") if start < end else bounds


def with_examples(text: str, joints: Sequence[str], angles: Sequence[Sequence[float]]) -> str:
    """`text` with example poses, and with sampling that draws angles as they have them (``sampling.angles: tree``).

    joints: whose bones the poses show.  angles: a list for each pose, two angles in degrees for each of the joints; a
    tenth of a degree is written.  Raises `InputError` if `text` has examples already, or is not a valid skeleton.
    """
    text, tree = _read(text)
    if "examples" in tree.entries:
        raise InputError("examples: the skeleton has some already; expected one without")
    newline = _newline(text)
    edits: list[tuple[int, int, str]] = []
    lines = [] if text.endswith("\n") else [""]
    sampling = tree.entries.get("sampling")
    if sampling is None:
        lines.append("sampling: {angles: tree}")
    elif not sampling.entries:
        edits.append((sampling.start + 1, sampling.start + 1, "angles: tree"))  # behind the { of {}
    elif "angles" in sampling.entries:
        edits.append((sampling.entries["angles"].start, sampling.entries["angles"].end, "tree"))
    else:
        edits.append(_insertion(text, sampling, next(iter(sampling.keys.values())), "angles: tree"))
    lines += ["examples:", f"  joints: [{', '.join(joints)}]", "  angles:"]
    lines += [f"  - [{', '.join(f'{round(angle, 1) + 0.0:g}' for angle in pose)}]" for pose in angles]
    edits.append((len(text), len(text), newline.join(lines) + newline))
    if text[tree.start] == "{" or tree.column > 1 or text.rstrip().endswith("\n..."):
        expected = "expected one with its keys at the beginning of lines, and no '...' at its end"
        raise InputError(f"skeleton: examples cannot be added to a YAML of this form; {expected}")
    return _changed(text, edits)


def _read(text: str) -> tuple[str, Node]:
    """The text of a valid skeleton, without a mark at its beginning, and its tree.  InputError where it is not one."""
    text = text.removeprefix("\ufeff")
    parse_skeleton(text, "<skeleton>")
    tree = read_yaml(text, Faults("<skeleton>"), MAX_JOINTS)
    assert tree is not None
    return text, tree


def _changed(text: str, edits: list[tuple[int, int, str]]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    parse_skeleton(text, "<changed skeleton>")
    return text


def _changes_of_sources(
    joints: Mapping[str, Node], changes: Mapping[str, Mapping[str, Range]]
) -> dict[str, dict[str, Range]]:
    """The changes, with those of mirrors handed to the joints they mirror."""
    merged: dict[str, dict[str, Range]] = {}
    for joint, ranges in changes.items():
        mirror = joints[joint].entries.get("mirror")
        for key, asked in ranges.items():
            if mirror is not None and key in ("phi", "abduction"):
                asked = mirrored_second("spherical" if key == "phi" else "flexion", asked)
            source = merged.setdefault(mirror.text if mirror is not None else joint, {})
            source[key] = _hull(source[key], asked, turns=key not in ("theta", "length")) if key in source else asked
    return merged


def _hull(a: Range, b: Range, turns: bool) -> Range:
    """The narrowest range that holds both; angles that turn are first brought next to each other."""
    shift = 360.0 * round((sum(a) - sum(b)) / 720.0) if turns else 0.0
    low, high = min(a[0], b[0] + shift), max(a[1], b[1] + shift)
    if turns and high - low > 360.0:
        return (low + high) / 2 - 180.0, (low + high) / 2 + 180.0
    return low, high


def _insertion(text: str, entry: Node, key: Node, new: str) -> tuple[int, int, str]:
    """The edit that adds a key in front of one of the entry's keys."""
    after = ", " if text[entry.start] == "{" else _newline(text) + " " * (key.column - 1)
    return key.start, key.start, new + after


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
