"""Changes of a skeleton's YAML that leave the rest of the text as it was, comments included."""

from collections.abc import Iterator, Mapping, Sequence

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
    for joint, ranges in (sources := _changes_of_sources(joints, changes)).items():
        for key in ranges:
            if key in joints[joint].entries and joints[joint].entries[key].kind == "map":
                raise InputError(f"joints.{joint}.{key}: depends on another angle; expected a plain range to change")
    return _changed(text, _edits(text, joints, sources))


class Written:
    """The ranges that stand in a skeleton's YAML, and where.

    The text is one that `parse_skeleton` took, or one that `edit` made of it, whose numbers may be wrong.
    ``ranges``: joint -> path of a range within the joint's entry -> (low, high); paths are ``flexion``, ``length``,
    ``usual.flexion``, and ``abduction.at.30`` for a row of a range that depends on another angle.
    ``mirrors``: joint -> the joint it mirrors, whose ranges it has; it has none in ``ranges``.
    """

    def __init__(self, text: str, tree: Node) -> None:
        """tree: the text as `read_yaml` has it."""
        self.text = text
        self._joints = tree.entries["joints"].entries
        self.mirrors = {
            joint: entry.entries["mirror"].text for joint, entry in self._joints.items() if "mirror" in entry.entries
        }
        self.ranges = {
            joint: dict(_written(entry)) for joint, entry in self._joints.items() if joint not in self.mirrors
        }

    def edit(self, joint: str, path: str, range_: Range) -> str:
        """The text with one range changed, as `with_ranges` does it, but whatever comes of it: `parse_skeleton` judges.

        path: one of ``ranges[joint]``, or ``length`` where none is written.
        """
        return _apply(self.text, _edits(self.text, self._joints, {joint: {path: range_}}))


def _written(entry: Node) -> Iterator[tuple[str, Range]]:
    for key, node in entry.entries.items():
        if key == "usual":
            yield from ((f"usual.{angle}", _bounds_of(range_)) for angle, range_ in node.entries.items())
        elif node.kind == "map":
            yield from ((f"{key}.at.{at}", _bounds_of(range_)) for at, range_ in node.entries["at"].entries.items())
        elif node.kind == "list":
            yield key, _bounds_of(node)


def _bounds_of(range_: Node) -> Range:
    low, high = (float(item.text) for item in range_.items)
    return low, high


def _edits(
    text: str, joints: Mapping[str, Node], changes: Mapping[str, Mapping[str, Range]]
) -> list[tuple[int, int, str]]:
    """What to replace, as (start, end, new), for new ranges of joints that are no mirrors."""
    edits: list[tuple[int, int, str]] = []
    for joint, ranges in changes.items():
        entry = joints[joint]
        for path, (low, high) in ranges.items():
            bounds = (f"{low:.6g}", f"{high:.6g}")
            if path == "length" and path not in entry.entries:
                first = next(place for name, place in entry.keys.items() if name in ANGLES)
                edits.append(_insertion(text, entry, first, "length: [{}, {}]".format(*bounds)))
                continue
            edits += _bounds(_at(entry, path), bounds)
            usual = entry.entries.get("usual")
            if usual is not None and path in usual.entries:
                edits += _bounds(usual.entries[path], _cut(usual.entries[path], bounds))
    return edits


def _at(entry: Node, path: str) -> Node:
    """The range at a path of `Written`; the angle of a row may have a decimal point."""
    for key in path.split(".", 1 if path.startswith("usual.") else 2):
        entry = entry.entries[key]
    return entry


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
    text = _apply(text, edits)
    parse_skeleton(text, "<changed skeleton>")
    return text


def _apply(text: str, edits: list[tuple[int, int, str]]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
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
