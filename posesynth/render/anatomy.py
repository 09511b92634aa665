"""What a skeleton's joints are - trunk, limb, head, tail, ... - read off its tree, its symmetric pairs and its names.

    trunk    the midline from the first to the last joint that limbs hang on, and midline joints with a trunk's name
    limb     a pair of chains that hang on the midline; its first bone is a girdle where it only leads to the limb
    fingers  of a skeleton without pairs: three or more chains that leave one joint, whose first bones make the palm

Names only help: a skeleton whose names say nothing gets trunk, limbs and plain chains from its tree.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, auto
from functools import lru_cache

from posesynth.skeleton import Skeleton


class Role(IntEnum):
    """What the bone is that ends at a joint."""

    ROOT = auto()
    TRUNK = auto()
    GIRDLE = auto()
    LIMB = auto()
    NECK = auto()
    HEAD = auto()
    TAIL = auto()
    EAR = auto()
    WING = auto()
    PALM = auto()
    FINGER = auto()
    CHAIN = auto()


@dataclass(frozen=True)
class Limb:
    """A chain of joints from the midline outwards.  ``holder``: the midline joint; ``girdle``: its first is one."""

    holder: int
    joints: tuple[int, ...]
    girdle: bool


@dataclass(frozen=True)
class Anatomy:
    """A skeleton's roles.  ``roles``: one a joint; ``pairs``: limbs as (left, right); ``trunk``: its joints.

    ``children``: of each joint; ``upright``: the trunk stands, as a person's.
    """

    roles: tuple[Role, ...]
    pairs: tuple[tuple[Limb, Limb], ...]
    trunk: tuple[int, ...]
    children: tuple[tuple[int, ...], ...]
    upright: bool

    @property
    def many(self) -> bool:
        """Whether there are more than two pairs of limbs, as an insect has."""
        return len(self.pairs) > 2


_TRUNK = re.compile(
    r"spine|back|trunk|torso|chest|thorax|abdomen|pelvis|rump|withers|body|tail_?base|tail_?root|hips?$"
)
_TAIL = re.compile(r"tail")
_HEAD = re.compile(r"head|neck|nose|snout|skull|face|beak|muzzle|proboscis|chin|jaw")
_GIRDLE = re.compile(r"hip|shoulder|coxa|scapula|clavicle|collar")
_WING = re.compile(r"wing")


@lru_cache(maxsize=32)
def anatomy(skeleton: Skeleton) -> Anatomy:
    """The anatomy of any skeleton."""
    parents = [int(p) for p in skeleton.parents]
    count = len(parents)
    names = [name.lower() for name in skeleton.joints]
    children: list[list[int]] = [[] for _ in range(count)]
    for joint in range(1, count):
        children[parents[joint]].append(joint)
    partner = {}
    for a, b in skeleton.symmetric:
        partner[a + 1], partner[b + 1] = b + 1, a + 1
    sided = [False] * count
    for joint in range(1, count):
        sided[joint] = joint in partner or sided[parents[joint]]

    def chain(joint: int) -> tuple[int, ...]:
        path = [joint]
        while children[path[-1]]:
            path.append(children[path[-1]][0])
        return tuple(path)

    roles = [Role.CHAIN] * count
    roles[0] = Role.ROOT
    pairs = []
    for joint in range(1, count):
        other = partner.get(joint, 0)
        if other <= joint or sided[parents[joint]] or parents[joint] != parents[other]:
            continue
        paths = chain(joint), chain(other)
        wing = _WING.search(names[joint]) is not None
        if len(paths[0]) == 1 or len(paths[0]) != len(paths[1]) or wing:
            for path in paths:
                for place in path:
                    roles[place] = Role.WING if wing else Role.EAR
            continue
        girdle = _is_girdle(skeleton, names, paths[0])
        for path in paths:
            roles[path[0]] = Role.GIRDLE if girdle else Role.LIMB
            for place in path[1:]:
                roles[place] = Role.LIMB
        pairs.append((Limb(parents[joint], paths[0], girdle), Limb(parents[joint], paths[1], girdle)))
    trunk = _trunk(names, parents, sided, {a.holder for a, _ in pairs})
    for joint in trunk:
        roles[joint] = Role.TRUNK if joint else Role.ROOT
    _midline(names, parents, children, sided, trunk, roles)
    if not pairs:
        _palm(children, roles, chain)
    for joint in range(1, count):  # what branches off a limb or an ear is more of the same
        if sided[joint] and roles[joint] is Role.CHAIN:
            roles[joint] = roles[parents[joint]] if roles[parents[joint]] in (Role.EAR, Role.WING) else Role.LIMB
    return Anatomy(
        tuple(roles), tuple(pairs), tuple(trunk), tuple(map(tuple, children)), _is_upright(skeleton, trunk, parents)
    )


def _is_girdle(skeleton: Skeleton, names: list[str], path: tuple[int, ...]) -> bool:
    if len(path) < 3:
        return False
    if _GIRDLE.search(names[path[0]]):
        return True
    return skeleton.ranges[path[0] - 1].length[1] < 0.75 * skeleton.ranges[path[1] - 1].length[1]


def _trunk(names: list[str], parents: list[int], sided: list[bool], holders: set[int]) -> list[int]:
    """Joints between those that hold limbs, and midline joints that continue them by name; parents first."""
    if not holders:
        return []

    def ancestry(joint: int) -> list[int]:
        path = [joint]
        while path[-1]:
            path.append(parents[path[-1]])
        return path[::-1]

    paths = [ancestry(joint) for joint in holders]
    shared = 0
    while all(len(path) > shared for path in paths) and len({path[shared] for path in paths}) == 1:
        shared += 1
    inside = {joint for path in paths for joint in path[shared - 1 :]}
    for joint in range(1, len(parents)):
        if parents[joint] in inside and not sided[joint] and _TRUNK.search(names[joint]):
            inside.add(joint)
    return sorted(inside)


def _midline(
    names: list[str], parents: list[int], children: list[list[int]], sided: list[bool], trunk: list[int],
    roles: list[Role],
) -> None:  # fmt: skip
    """Tells neck, head and tail among what hangs on the trunk's midline."""
    for joint in range(1, len(parents)):
        if sided[joint] or joint in trunk:
            continue
        above = roles[parents[joint]]
        if _TAIL.search(names[joint]) or above is Role.TAIL:
            roles[joint] = Role.TAIL
        elif trunk and (_HEAD.search(names[joint]) or above is Role.NECK):
            going_on = [child for child in children[joint] if not sided[child] and _HEAD.search(names[child])]
            roles[joint] = Role.NECK if going_on and "head" not in names[joint] else Role.HEAD
        if above is Role.HEAD and roles[joint] in (Role.HEAD, Role.NECK, Role.CHAIN):
            roles[joint] = Role.EAR


def _palm(children: list[list[int]], roles: list[Role], chain: Callable[[int], tuple[int, ...]]) -> None:
    """Three or more chains that leave one joint are fingers."""
    for below in children:
        fingers = [chain(child) for child in below]
        long = [path for path in fingers if len(path) >= 2]
        if len(long) >= 3:
            for path in long:
                roles[path[0]] = Role.PALM
                for place in path[1:]:
                    roles[place] = Role.FINGER
            return


def _is_upright(skeleton: Skeleton, trunk: list[int], parents: list[int]) -> bool:
    """Whether the middle of the trunk's first range points up."""
    for joint in trunk:
        if joint and parents[joint] in trunk:
            r = skeleton.ranges[joint - 1]
            middle = abs((sum(r.first) / 2) % 360)
            return middle < 45 or middle > 315
    return False
