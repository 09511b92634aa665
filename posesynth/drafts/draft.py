"""What a file of another tool tells of a skeleton, whichever tool that is."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, fault, quote
from posesynth.schema.tables import MAX_JOINTS
from posesynth.yaml_fields import is_name

Array = NDArray[np.float64]
Link = tuple[int, int]

LENGTHLESS = 1e-3  # of the longest bone: a joint nearer to its parent lies on it


@dataclass(frozen=True, eq=False)
class Draft:
    """Joints and links as a file has them: whether they are a tree is settled later.

    ``source``: the file.  ``kind``: what it is.  ``joints``: N names as this format allows them; ``originals``: as the
    file has them, "" for none.  ``links``: pairs of joints, (parent, child) where ``directed``.  ``strange``: links
    that name what is no joint.  ``pairs``: pairs that the file calls symmetric, in no order.

    ``poses``: (T, N, 3) in the file's axes and unit, which the ranges shall hold, or None where the file has none.
    ``rest``: (N, 3) the model's own pose, which tells its heading for all of them; None: each pose tells its own.
    ``spread``: degrees about the mean direction of a bone that its range has at least.  ``up``, ``forward``: the
    axes by the habit of the format.  ``about``: where the ranges come from.  ``notes``: what else the user should know.
    """

    source: str
    kind: str
    joints: tuple[str, ...]
    originals: tuple[str, ...]
    links: tuple[Link, ...]
    directed: bool = False
    strange: tuple[tuple[str, str], ...] = ()
    pairs: tuple[Link, ...] = ()
    poses: Array | None = None
    rest: Array | None = None
    spread: float = 0.0
    up: str = "z"
    forward: str = "x"
    about: str = ""
    notes: tuple[str, ...] = ()


def named(source: str, originals: Sequence[str]) -> tuple[str, ...]:
    """Names that a skeleton may have for those of the file.  InputError where two become one, or there are too many."""
    if not originals:
        raise fault(source, None, "no joints; expected at least two")
    if len(originals) > MAX_JOINTS:
        raise fault(source, None, f"{len(originals)} joints; expected at most {MAX_JOINTS}")
    taken: dict[str, str] = {}
    for number, original in enumerate(originals):
        name = valid_name(original) or f"joint_{number}"
        if name in taken:
            both = f"{quote(taken[name])} and {quote(original)}"
            found = f"joint {quote(original)} is named twice" if taken[name] == original else f"{both} become one name"
            expected = "expected names that differ in letters, digits, '_', '-' or '.'"
            raise fault(source, None, f"{found}, {name}; {expected}")
        taken[name] = original
    return tuple(taken)


def valid_name(original: str) -> str:
    """The nearest name that the format allows: other signs become ``_``; "" where nothing is left."""
    ascii_ = unicodedata.normalize("NFKD", original).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", ascii_.strip()).lstrip(".-")[:64]
    if not name.strip("_"):
        return ""
    return name if is_name(name) else f"joint_{name}"[:64]


def without_lengthless(draft: Draft) -> Draft:
    """The draft without joints that lie on their parent in every pose; what hung on them hangs on that."""
    if draft.poses is None:
        return draft
    parent = {child: up for up, child in draft.links}
    lengths = {
        child: float(np.linalg.norm(draft.poses[:, child] - draft.poses[:, up], axis=-1).max())
        for child, up in parent.items()
    }
    longest = max(lengths.values(), default=0.0)
    if longest == 0 and lengths:
        raise fault(draft.source, None, "no bone has a length; expected joints that lie apart")
    gone = {joint for joint, length in lengths.items() if length <= LENGTHLESS * longest}

    def kept(joint: int) -> int:
        while joint in gone:
            joint = parent[joint]
        return joint

    where = ", ".join(f"{draft.joints[joint]} (on {draft.joints[kept(joint)]})" for joint in sorted(gone))
    notes = [f"left out, as they lie on the joint before them: {where}"] if gone else []
    links = [(kept(up), child) for up, child in draft.links if child not in gone]
    return part(replace(draft, links=tuple(links), notes=(*draft.notes, *notes)), gone)


def part(draft: Draft, gone: set[int]) -> Draft:
    """The draft without some joints, none of which is linked any more."""
    stay = [joint for joint in range(len(draft.joints)) if joint not in gone]
    new = {joint: index for index, joint in enumerate(stay)}
    return replace(
        draft,
        joints=tuple(draft.joints[joint] for joint in stay),
        originals=tuple(draft.originals[joint] for joint in stay),
        links=tuple((new[a], new[b]) for a, b in draft.links if a in new and b in new),
        pairs=tuple((new[a], new[b]) for a, b in draft.pairs if a in new and b in new),
        poses=None if draft.poses is None else draft.poses[:, stay],
        rest=None if draft.rest is None else draft.rest[stay],
    )


def linked(source: str, originals: Sequence[str], ends: Sequence[tuple[str, str]]) -> tuple[
    tuple[Link, ...], tuple[tuple[str, str], ...]
]:  # fmt: skip
    """Links given by names: those between joints, each once, and those that name what is no joint."""
    where = {name: joint for joint, name in enumerate(originals)}
    links: dict[frozenset[int], Link] = {}
    strange: list[tuple[str, str]] = []
    for a, b in ends:
        if a not in where or b not in where:
            strange.append((a, b))
        elif a == b:
            raise fault(source, None, f"links {quote(a)} to itself; expected two joints")
        else:
            links.setdefault(frozenset((where[a], where[b])), (where[a], where[b]))
    return tuple(links.values()), tuple(strange)


def refused(draft: Draft, *messages: str) -> InputError:
    """One line for each thing about the whole file that has to be settled."""
    return InputError(*(line for message in messages for line in fault(draft.source, None, message).lines))
