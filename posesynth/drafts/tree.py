"""From links to a tree: what is a loop or hangs on nothing is told, with the option that settles it."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from posesynth.drafts.draft import Draft, Link, part, refused
from posesynth.drafts.sides import pairs_by_name
from posesynth.errors import InputError, did_you_mean, quote


@dataclass(frozen=True, eq=False)
class Tree:
    """A draft whose links are a tree.

    ``parents``: of each joint of the draft, -1 for the ``root``.  ``pairs``: symmetric ones, (left, right) as far as
    their names tell (``sided``), without the root.  ``reason``: why that is the root.
    """

    draft: Draft
    root: int
    reason: str
    parents: tuple[int, ...]
    pairs: tuple[Link, ...]
    sided: frozenset[Link]

    @property
    def order(self) -> list[int]:
        """The joints level by level from the root."""
        children: dict[int, list[int]] = {}
        for joint, parent in enumerate(self.parents):
            children.setdefault(parent, []).append(joint)
        order = [self.root]
        for joint in order:
            order += children.get(joint, [])
        return order


def settle(
    draft: Draft,
    root: str | None = None,
    drop: Sequence[str] = (),
    link: Sequence[str] = (),
    unlink: Sequence[str] = (),
) -> Tree:
    """The draft as a tree, with what the user settled.

    drop: joints to leave out; where two links meet in one, or the file tells parents, what hung on it hangs on its
    neighbour.  link, unlink: links ``A-B`` to add and to take out.  root: else the file's own, or the joint that
    is nearest to all others.  Raises InputError with a line for each thing that is not settled.
    """
    draft = _without_links(draft, unlink)
    draft = _dropped(draft, [_joint(draft, "drop", name) for name in drop])
    tops = _tops(draft)
    added = [ends for word in link for ends in _ends(draft, "link", word)]
    known = {frozenset(ends) for ends in draft.links}
    draft = replace(draft, links=(*draft.links, *(ends for ends in added if frozenset(ends) not in known)))
    chosen = None if root is None else _joint(draft, "root", root)
    _check(draft)
    pairs, sided = _pairs(draft)
    if chosen is not None:
        reason = "--root"
    elif draft.directed and len(tops) == 1:
        chosen, reason = tops[0], "the file's own"
    elif draft.directed:
        raise refused(draft, f"{len(tops)} roots, {_listed([draft.joints[j] for j in tops])}; expected --root with one")
    else:
        chosen = _centre(draft, {joint for pair in pairs for joint in pair})
        reason = "the joint with the fewest links to the farthest other one; --root names another"
    pairs = [pair for pair in pairs if chosen not in pair]
    return Tree(draft, chosen, reason, _hung(draft, chosen), tuple(pairs), frozenset(sided & set(pairs)))


def _joint(draft: Draft, option: str, name: str) -> int:
    """The joint of a name, the draft's or the file's."""
    for names in (draft.joints, draft.originals):
        if name in names:
            return names.index(name)
    near = did_you_mean(name[:64], draft.joints)
    raise InputError(f"{option}: no joint is called {quote(name)}; expected one of {len(draft.joints)} joints{near}")


def _ends(draft: Draft, option: str, word: str) -> list[Link]:
    """The two joints of ``A-B``, in a list; names may hold a - too."""
    cuts = [cut for cut, sign in enumerate(word) if sign == "-"]
    known = {*draft.joints, *draft.originals} - {""}
    splits = [(word[:cut], word[cut + 1 :]) for cut in cuts]
    whole = [(a, b) for a, b in splits if a in known and b in known]
    if len(whole) > 1:
        raise InputError(f"{option}: {quote(word)} may be several links; expected joints without - in their names")
    if not whole:
        a, b = splits[0] if splits else (word, "")
        bad = next((name for name in (a, b) if name and name not in known), word)
        near = did_you_mean(bad[:64], draft.joints)
        raise InputError(f"{option}: {quote(word)} is no link; expected A-B, two joints of the file{near}")
    start, end = (_joint(draft, option, name) for name in whole[0])
    if start == end:
        raise InputError(f"{option}: {quote(word)} links a joint to itself; expected two joints")
    return [(start, end)]


def _without_links(draft: Draft, unlink: Sequence[str]) -> Draft:
    links, strange = list(draft.links), list(draft.strange)
    for word in unlink:
        if odd := [ends for ends in strange if word in ("-".join(ends), "-".join(ends[::-1]))]:
            strange = [ends for ends in strange if ends not in odd]
            continue
        (ends,) = _ends(draft, "unlink", word)
        if ends not in links and ends[::-1] not in links:
            near = did_you_mean(word, _words(draft, draft.links))
            raise InputError(f"unlink: {quote(word)} is no link of the file; expected one of its links{near}")
        links = [pair for pair in links if pair not in (ends, ends[::-1])]
    if strange:
        shown = ",".join("-".join(ends) for ends in strange)
        expected = f"expected joints of it, or --unlink {shown}"
        raise refused(draft, f"links that name what is no joint of the file: {shown}; {expected}")
    return replace(draft, links=tuple(links))


def _dropped(draft: Draft, gone: list[int]) -> Draft:
    links = list(draft.links)
    for joint in gone:
        ups = [a for a, b in links if b == joint]
        downs = [b for a, b in links if a == joint]
        links = [ends for ends in links if joint not in ends]
        if draft.directed:
            links += [(up, down) for up in ups for down in downs]
        elif len(both := ups + downs) == 2 and not {tuple(both), tuple(both[::-1])} & set(links):
            links.append((both[0], both[1]))
    if len(set(gone)) == len(draft.joints):
        raise InputError("drop: names every joint; expected some that stay")
    return part(replace(draft, links=tuple(links)), set(gone))


def _check(draft: Draft) -> None:
    """Raise InputError unless the links are one tree: a line about loops and one about parts."""
    count = len(draft.joints)
    if count < 2:
        raise refused(draft, f"{count} joint; expected at least two")
    if not draft.links:
        names = draft.joints
        example = ",".join(f"{names[0]}-{name}" for name in names[1:3])
        expected = f"expected the bones, from joint to joint, by --link A-B,C-D,... (such as --link {example})"
        raise refused(draft, f"no links between its {count} joints ({_listed(names)}); {expected}")
    pairs, _ = _pairs(draft)
    mates = {frozenset(pair) for pair in pairs}
    # Links across the body last: they are those that close the loops which a user would open.
    ordered = sorted(draft.links, key=lambda ends: frozenset(ends) in mates)
    forest: dict[int, list[int]] = {joint: [] for joint in range(count)}
    part_of = list(range(count))

    def part(joint: int) -> int:
        while part_of[joint] != joint:
            part_of[joint] = joint = part_of[part_of[joint]]
        return joint

    closing: list[Link] = []
    for a, b in ordered:
        if part(a) == part(b):
            closing.append((a, b))
        else:
            part_of[part(a)] = part(b)
            forest[a].append(b)
            forest[b].append(a)
    lines = []
    if closing:
        many = f"{len(closing)} loops" if len(closing) > 1 else "a loop"
        ways = [_way(forest, a, b) for a, b in closing[:3]]
        shown = "; ".join("-".join(draft.joints[joint] for joint in way) for way in ways)
        cut = ",".join(_words(draft, closing[:12])) + (",..." if len(closing) > 12 else "")
        lines.append(f"links make {many}; expected a tree, by --unlink with a link of each, such as {cut} ({shown})")
    parts = _parts(forest)
    if len(parts) > 1:
        lines.append(_loose(draft, parts))
    if lines:
        raise refused(draft, *lines)


def _loose(draft: Draft, parts: list[list[int]]) -> str:
    """The line about joints that no link joins to the rest, the largest part."""
    names = draft.joints
    largest = max(parts, key=len)
    others = [part for part in parts if part is not largest]
    if draft.directed:
        found = f"{len(parts)} roots: " + ", ".join(names[joint] for joint in _tops(draft))
    else:
        shown = ", ".join(_part([names[j] for j in part]) for part in others[:4])
        found = f"not linked to {names[largest[0]]}: {shown}{', ...' if len(others) > 4 else ''}"
    links = ",".join(f"{names[part[0]]}-JOINT" for part in others[:3]) + (",..." if len(others) > 3 else "")
    loose = _few([names[joint] for part in others for joint in part], ",")
    return f"{found}; expected one tree, by --link {links} or --drop {loose}"


def _part(names: list[str]) -> str:
    """The joints of a part, the first alone where there are more than two."""
    return " ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} on it"


def _few(names: list[str], between: str) -> str:
    """The names, the first three alone where there are more than four: a line has an end."""
    return between.join(names) if len(names) <= 4 else f"{between.join(names[:3])}{between}..."


def _way(forest: dict[int, list[int]], start: int, end: int) -> list[int]:
    """The joints from one to another in its part of the forest, both included."""
    came = {start: start}
    queue = deque([start])
    while queue and end not in came:
        joint = queue.popleft()
        for other in forest[joint]:
            if other not in came:
                came[other] = joint
                queue.append(other)
    way = [end]
    while way[-1] != start:
        way.append(came[way[-1]])
    return way


def _parts(forest: dict[int, list[int]]) -> list[list[int]]:
    """The joints of each part in the file's order, parts by their first joint."""
    parts: list[list[int]] = []
    seen: set[int] = set()
    for joint in forest:
        if joint not in seen:
            found = _reached(forest, joint)
            seen |= set(found)
            parts.append(sorted(found))
    return parts


def _reached(forest: dict[int, list[int]], start: int) -> dict[int, int]:
    """Joint -> links from `start`, of all that can be reached."""
    far = {start: 0}
    queue = deque([start])
    while queue:
        joint = queue.popleft()
        for other in forest[joint]:
            if other not in far:
                far[other] = far[joint] + 1
                queue.append(other)
    return far


def _neighbours(draft: Draft) -> dict[int, list[int]]:
    near: dict[int, list[int]] = {joint: [] for joint in range(len(draft.joints))}
    for a, b in draft.links:
        near[a].append(b)
        near[b].append(a)
    return near


def _tops(draft: Draft) -> list[int]:
    """The joints that are nobody's child."""
    children = {child for _, child in draft.links}
    return [joint for joint in range(len(draft.joints)) if joint not in children]


def _centre(draft: Draft, paired: set[int]) -> int:
    """The joint of least eccentricity, one of the midline if there are any; of equals the nearest to all joints."""
    near = _neighbours(draft)
    midline = [joint for joint in near if joint not in paired] or list(near)

    def distance(joint: int) -> tuple[int, int, int]:
        far = _reached(near, joint).values()
        return max(far), sum(far), joint

    return min(midline, key=distance)


def _hung(draft: Draft, root: int) -> tuple[int, ...]:
    """The parent of each joint once the tree hangs from the root."""
    near = _neighbours(draft)
    parents = {root: -1}
    queue = deque([root])
    while queue:
        joint = queue.popleft()
        for other in near[joint]:
            if other not in parents:
                parents[other] = joint
                queue.append(other)
    return tuple(parents[joint] for joint in range(len(draft.joints)))


def _pairs(draft: Draft) -> tuple[list[Link], set[Link]]:
    """Symmetric pairs, those of the file first, and which of them are (left, right) by their names."""
    by_name = pairs_by_name(draft.joints)
    sided = set(by_name)
    pairs: list[Link] = []
    taken: set[int] = set()
    for a, b in (*draft.pairs, *by_name):
        pair = (b, a) if (b, a) in sided else (a, b)
        if a != b and not taken & {a, b}:
            pairs.append(pair)
            taken |= {a, b}
    return pairs, sided & set(pairs)


def _words(draft: Draft, links: Iterable[Link]) -> list[str]:
    return [f"{draft.joints[a]}-{draft.joints[b]}" for a, b in links]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
