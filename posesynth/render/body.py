"""A body around a pose: round cones, each between two spheres, some of them flattened.

    pose -> radii of trunk and limbs -> parts: trunk, limbs with hands or feet, neck, head and face, tail, ...

All parts of all poses of a batch are made together, (B, ...) arrays, out of + - * / sqrt.  Positions are in the
upright animal's world and in units of its longest edge.  How thick a part is goes by the bones it belongs to, times a
girth drawn for each picture.
"""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from posesynth.render import draws
from posesynth.render.anatomy import Anatomy, Limb, Role, anatomy
from posesynth.render.draws import Draws, Floats, cross, dot, norm, unit
from posesynth.skeleton import Skeleton
from posesynth.trigonometry import f32


class Region(IntEnum):
    """What a part is coloured as."""

    TRUNK = 0
    HEAD = 1
    UPPER_ARM = 2
    LOWER_ARM = 3
    UPPER_LEG = 4
    LOWER_LEG = 5
    HAND = 6
    FOOT = 7
    TAIL = 8
    HAIR = 9
    DARK = 10
    WING = 11


@dataclass
class Body:
    """P parts of B bodies.

    ends: (B, P, 2, 3); radii: (B, P, 2); axis: (B, P, 3) unit, along which the part is `squeeze` (B, P) times as wide;
    offset: (B, P), how far along its chain the part begins, for coats that run on from bone to bone;
    region: (P,); blend: (P,), how softly it goes over into its neighbours, in radii; framed: (P,), whether the picture
    is to hold it; thickness: (B, N), the flesh around each joint.
    """

    ends: Floats
    radii: Floats
    axis: Floats
    squeeze: Floats
    offset: Floats
    region: NDArray[np.int32]
    blend: Floats
    framed: NDArray[np.bool_]
    thickness: Floats


@dataclass
class _Parts:
    """Parts as they are thought of."""

    batch: int
    ends: list[Floats] = field(default_factory=list)
    radii: list[Floats] = field(default_factory=list)
    axis: list[Floats] = field(default_factory=list)
    squeeze: list[Floats] = field(default_factory=list)
    offset: list[Floats] = field(default_factory=list)
    region: list[int] = field(default_factory=list)
    blend: list[float] = field(default_factory=list)
    framed: list[bool] = field(default_factory=list)

    def add(
        self, region: Region, a: Floats, b: Floats, ra: Floats, rb: Floats, axis: Floats | None = None,
        squeeze: Floats | float = 1.0, offset: Floats | float = 0.0, blend: float = 0.5, framed: bool = True,
    ) -> None:  # fmt: skip
        ones = np.ones((self.batch, 1), np.float32)
        self.ends.append(np.stack([a, b], axis=1))
        self.radii.append(np.concatenate([ones * ra, ones * rb], axis=1))
        self.axis.append(_X * ones if axis is None else axis)
        self.squeeze.append(ones * _f(squeeze))
        self.offset.append(ones * _f(offset))
        self.region.append(int(region))
        self.blend.append(blend)
        self.framed.append(framed)


def _f(value: Floats | float) -> Floats:
    return np.asarray(value, np.float32)


_X = np.array([[1, 0, 0]], np.float32)
_Z = np.array([[0, 0, 1]], np.float32)
_FORWARD = np.array([[0, -1, 0]], np.float32)


def body(skeleton: Skeleton, p3d: Floats, drawn: Draws) -> Body:
    """The bodies around upright poses `p3d` (B, N, 3)."""
    made = _Maker(skeleton, anatomy(skeleton), p3d, drawn)
    made.trunk()
    for left, right in made.anatomy.pairs:
        made.limb(left)
        made.limb(right)
    made.others()
    parts = made.parts
    return Body(
        np.stack(parts.ends, axis=1),
        np.stack(parts.radii, axis=1),
        np.stack(parts.axis, axis=1),
        np.concatenate(parts.squeeze, axis=1),
        np.concatenate(parts.offset, axis=1),
        np.array(parts.region, np.int32),
        np.array(parts.blend, np.float32),
        np.array(parts.framed),
        np.concatenate(made.thickness, axis=1),
    )


class _Maker:
    """Goes over a skeleton and adds its parts.  Scalars of a pose are (B, 1), vectors (B, 3)."""

    def __init__(self, skeleton: Skeleton, roles: Anatomy, p3d: Floats, drawn: Draws) -> None:
        self.anatomy, self.p3d = roles, p3d
        self.names = [name.lower() for name in skeleton.joints]
        self.parents = [int(p) for p in skeleton.parents]
        self.parts = _Parts(len(p3d))
        self.bones = [f32(0) * p3d[:, 0, :1]] + [
            norm(p3d[:, j] - p3d[:, self.parents[j]]) for j in range(1, len(self.parents))
        ]
        total = self.bones[0]
        for bone in self.bones[1:]:
            total = total + bone
        self.mean = total / f32(len(self.parents) - 1)

        def girth(place: int, low: float, high: float) -> Floats:
            return drawn.uniform(draws.BODY, place, low, high)[:, None]

        build = girth(0, 0.85, 1.2)
        self.limb_girth = build * girth(1, 0.85, 1.2)
        self.trunk_girth = build * girth(2, 0.85, 1.2)
        self.head_size = girth(3, 0.85, 1.2)
        self.muzzle = girth(4, 0.6, 1.3)
        self.ear = girth(5, 0.6, 1.4)
        self.tail_girth = girth(6, 0.6, 1.8)
        self.brow = girth(7, 0.85, 1.15)
        thin = self.mean * f32(0.1)
        self.thickness: list[Floats] = [thin] * len(self.parents)
        self.lateral = self._lateral()
        # Trunk: centre, half height and half width at each of its joints, made by `trunk`.
        self.centre: dict[int, Floats] = {}
        self.height: dict[int, Floats] = {}
        self.width: dict[int, Floats] = {}

    def _lateral(self) -> Floats:
        """The animal's left."""
        left = np.broadcast_to(_X, (len(self.p3d), 3))
        if not self.anatomy.pairs:
            return left
        span = self.p3d[:, 0] * f32(0)
        for a, b in self.anatomy.pairs:
            if a.girdle:
                span = span + (self.p3d[:, a.joints[0]] - self.p3d[:, b.joints[0]])
        # Which of a pair is the left one only the ranges tell; the sign matters to nobody here but the face.
        span = np.where(span[:, :1] < f32(0), -span, span)
        return unit(span, left)

    def joint(self, index: int) -> Floats:
        return self.p3d[:, index]

    # Trunk

    def trunk(self) -> None:
        """Round cones from joint to joint, as wide and as deep as the girdles on them ask for."""
        trunk = self.anatomy.trunk
        if not trunk:
            return
        edges = [(self.parents[j], j) for j in trunk if self.parents[j] in trunk and j]
        length = self.bones[0]
        for _, j in edges:
            length = length + self.bones[j]
        scale = np.maximum(length, self.mean * f32(1.2)) if edges else self.mean * f32(1.5)
        for j in trunk:
            self._measure(j, scale)
        self._fill_between(trunk, edges, scale)
        for p, j in edges:
            squeeze = (self.width[p] / self.height[p] + self.width[j] / self.height[j]) * f32(0.5)
            self.parts.add(
                Region.TRUNK, self.centre[p], self.centre[j], self.height[p], self.height[j], self.lateral, squeeze,
                blend=0.4,
            )  # fmt: skip
        if not edges:
            j = trunk[0]
            self.parts.add(
                Region.TRUNK, self.centre[j], self.centre[j], self.height[j], self.height[j], self.lateral,
                self.width[j] / self.height[j], blend=0.4,
            )  # fmt: skip
        if self.anatomy.upright:  # the trousers' upper part
            j = trunk[0]
            wide = self.width[j] / self.height[j]
            radius = self.height[j] * f32(1.04)
            self.parts.add(
                Region.UPPER_LEG, self.joint(j), self.centre[j], radius * f32(0.97), radius, self.lateral, wide
            )
        for j in trunk:
            self.thickness[j] = self.height[j] + norm(self.centre[j] - self.joint(j))

    def _measure(self, j: int, scale: Floats) -> None:
        """Centre and half axes of the trunk at a joint that holds limbs."""
        girdles = [pair for pair in self.anatomy.pairs if pair[0].holder == j]
        if not girdles:
            return
        middle, width, drop = self.joint(j) * f32(0), self.bones[0], self.bones[0]
        for left, right in girdles:
            a, b = self.joint(left.joints[0]), self.joint(right.joints[0])
            if not left.girdle:
                a = b = self.joint(j)
            middle = middle + (a + b) * f32(0.5 / len(girdles))
            width = np.maximum(width, norm(a - b) * f32(0.5))
            drop = np.maximum(drop, norm((a + b) * f32(0.5) - self.joint(j)))
        # A person's joint lies at the spine's level, an animal's on its back, the girdle below.
        self.centre[j] = self.joint(j) + (middle - self.joint(j)) * f32(0.5)
        if self.anatomy.upright:
            width = np.minimum(np.maximum(width * f32(0.9), scale * f32(0.27)), scale * f32(0.42))
            height = np.maximum(width * f32(0.6), scale * f32(0.18))
        else:
            height = np.minimum(np.maximum(drop * f32(0.75), scale * f32(0.18)), scale * f32(0.26))
            width = np.minimum(np.maximum(width * f32(0.9), height * f32(0.6)), height * f32(1.0))
        self.height[j], self.width[j] = height * self.trunk_girth, width * self.trunk_girth

    def _fill_between(self, trunk: tuple[int, ...], edges: list[tuple[int, int]], scale: Floats) -> None:
        """Trunk joints without limbs take after the others; the ends are drawn in, so that they do not bulge."""
        known = list(self.height)
        mean_height, mean_width = self.bones[0], self.bones[0]
        for j in known:
            mean_height = mean_height + self.height[j] / f32(len(known))
            mean_width = mean_width + self.width[j] / f32(len(known))
        neighbours: dict[int, list[int]] = {j: [] for j in trunk}
        for p, j in edges:
            neighbours[p].append(j)
            neighbours[j].append(p)
        for j in trunk:
            if j not in self.height:
                tip = f32(0.55) if len(neighbours[j]) == 1 else f32(0.92)
                self.centre[j] = self.joint(j)
                self.height[j], self.width[j] = mean_height * tip, mean_width * tip
        for j in trunk:
            if len(neighbours[j]) == 1:
                inwards = unit(self.joint(neighbours[j][0]) - self.joint(j), self.joint(j) * f32(0))
                self.centre[j] = self.centre[j] + inwards * (
                    self.height[j] * f32(0.7 if self.anatomy.upright and j != trunk[0] else 0.3)
                )

    # Limbs

    def limb(self, limb: Limb) -> None:
        """A tapered chain, thickest at its top, and a hand or a foot where the last joint is named for one."""
        bones = limb.joints[1:] if limb.girdle else limb.joints
        length = self.bones[0]
        for j in bones:
            length = length + self.bones[j]
        length = length / f32(len(bones)) * f32(0.7) + self.mean * f32(0.3)
        scale = length * self.limb_girth * f32(0.55 if self.anatomy.many else 1.0)
        arm = any(word in self.names[j] for j in limb.joints for word in ("wrist", "elbow", "hand", "shoulder"))
        upper, lower = (Region.UPPER_ARM, Region.LOWER_ARM) if arm else (Region.UPPER_LEG, Region.LOWER_LEG)
        top = limb.joints[0] if limb.girdle else limb.holder
        along = self.bones[0]
        radius = scale * f32(0.21 if not self.anatomy.upright or not arm else 0.19)
        if limb.girdle:
            start = self.centre.get(limb.holder, self.joint(limb.holder))
            region = Region.TRUNK if arm or not self.anatomy.upright else Region.UPPER_LEG
            self.parts.add(region, start, self.joint(top), radius * f32(1.3), radius, blend=0.9)
            self.thickness[top] = radius
        for k, j in enumerate(bones):
            t = (k + 1) / len(bones)
            end = scale * f32(0.21 - 0.17 * t + 0.035 * t * t if len(bones) > 1 else 0.1)
            if not self.anatomy.upright:  # an animal's legs are drier than a person's
                end = end * f32(0.85)
            region = upper if k == 0 else lower
            bone = self.joint(j) - self.joint(self.parents[j])
            a = self.joint(self.parents[j])
            if k == 0:  # the belly of the muscle, a third of the way down
                belly = a + bone * f32(0.3)
                self.parts.add(region, a, belly, radius, radius * f32(1.05), offset=along, blend=0.7)
                self.parts.add(region, belly, self.joint(j), radius * f32(1.05), end, offset=along, blend=0.5)
            else:
                calf = a + bone * f32(0.28)
                self.parts.add(region, a, calf, radius, radius * f32(1.06), offset=along, blend=0.5)
                self.parts.add(region, calf, self.joint(j), radius * f32(1.06), end, offset=along, blend=0.5)
            along = along + self.bones[j]
            radius = end
            self.thickness[j] = radius
        self._end_of_limb(limb, bones, scale, radius)

    def _end_of_limb(self, limb: Limb, bones: tuple[int, ...], scale: Floats, radius: Floats) -> None:
        last = bones[-1]
        name = self.names[last]
        bone = unit(self.joint(last) - self.joint(self.parents[last]), -np.broadcast_to(_Z, (len(self.p3d), 3)))
        if re_any(name, ("wrist", "hand")):
            tip = self.joint(last) + bone * (scale * f32(0.42))
            self.parts.add(Region.HAND, self.joint(last), tip, radius * f32(1.1), radius * f32(0.8), self.lateral, 0.8)
        elif re_any(name, ("foot", "ankle", "paw", "hoof")):
            ahead = unit(cross(bone, self.lateral), np.broadcast_to(_FORWARD, (len(self.p3d), 3)))
            long = f32(0.5 if re_any(name, ("foot", "ankle")) else 0.2)
            heel = self.joint(last) + bone * (radius * f32(0.3))
            toe = heel + ahead * (scale * long) + bone * (radius * f32(0.25))
            self.parts.add(Region.FOOT, heel, toe, radius * f32(1.15), radius * f32(0.85), self.lateral, 1.15)

    # Neck, head, tail and what else there is

    def others(self) -> None:
        """All bones that are neither trunk nor limb."""
        for j, role in enumerate(self.anatomy.roles):
            if j == 0 or role in (Role.TRUNK, Role.GIRDLE) or (role is Role.LIMB and self._in_pair(j)):
                continue
            if role is Role.NECK:
                self._neck(j)
            elif role is Role.HEAD:
                self._head(j)
            elif role is Role.TAIL:
                self._tail(j)
            elif role is Role.WING:
                self._wing(j)
            elif role is Role.PALM:
                self._palm(j)
            elif role is Role.EAR:
                self._plain(j, Region.HEAD, 0.09, 0.05)
            elif role is Role.FINGER:
                self._plain(j, Region.LOWER_ARM, 0.3, 0.25)
            else:
                self._plain(j, Region.LOWER_LEG, 0.17, 0.12)
        if any(role is Role.PALM for role in self.anatomy.roles):
            self._forearm()
        if not self.anatomy.trunk:
            self.thickness[0] = np.maximum(self.thickness[0], self.mean * f32(0.15))

    def _in_pair(self, j: int) -> bool:
        return any(j in limb.joints for pair in self.anatomy.pairs for limb in pair)

    def _plain(self, j: int, region: Region, top: float, tip: float) -> None:
        scale = (self.bones[j] * f32(0.4) + self.mean * f32(0.6)) * self.limb_girth
        a, b = scale * f32(top), scale * f32(tip)
        self.parts.add(region, self.joint(self.parents[j]), self.joint(j), a, b)
        self.thickness[j] = b

    def _trunk_end(self, j: int) -> tuple[Floats, Floats]:
        """Where the neck or tail that ends at `j` leaves the trunk, and the trunk's half height there."""
        p = self.parents[j]
        if p in self.centre:
            return self.centre[p], self.height[p]
        return self.joint(p), self.mean * f32(0.25)

    def _neck(self, j: int) -> None:
        if self.anatomy.upright:
            return  # drawn with the head, for it ends behind the face
        start, height = self._trunk_end(j)
        radius = self._skull(j) * f32(0.55)
        self.parts.add(Region.HEAD, start, self.joint(j), np.minimum(height, radius * f32(1.2)), radius, blend=0.6)
        self.thickness[j] = self._skull(j)

    def _skull(self, j: int) -> Floats:
        """Half the breadth of the head."""
        height = self._trunk_end(j)[1]
        if self.anatomy.upright:
            return self.mean * f32(0.29) * self.head_size
        skull: Floats = np.minimum(height * f32(0.62), self.mean * f32(0.45)) * self.head_size
        return skull

    def _forwards(self) -> Floats:
        """Where the animal goes: along its trunk, or square to it if it stands upright."""
        trunk = self.anatomy.trunk
        ahead = np.broadcast_to(_FORWARD, (len(self.p3d), 3))
        if len(trunk) < 2:
            return ahead
        up = self.joint(trunk[-1]) - self.joint(trunk[0])
        if self.anatomy.upright:
            return unit(cross(up, self.lateral) * f32(-1), ahead)
        return unit(np.where(up[:, 1:2] < f32(0), up, -up), ahead)

    def _head(self, j: int) -> None:
        p = self.parents[j]
        above = self.anatomy.roles[p]
        skull = self._skull(j) if above is not Role.NECK else self._skull(p)
        ahead = self._forwards()
        up = unit(cross(ahead, self.lateral), np.broadcast_to(_Z, (len(self.p3d), 3)))
        up = np.where(up[:, 2:] < f32(0), -up, up)
        if self.anatomy.upright:
            self._persons_head(j, p, skull)
            return
        start, height = self._trunk_end(j)
        bone = unit(self.joint(j) - self.joint(p), ahead)
        tip_named = re_any(self.names[j], ("snout", "nose", "muzzle", "beak", "face"))
        line = unit(bone * f32(0.75) + ahead * f32(0.65) - up * f32(0.15), bone)
        if tip_named:
            line = bone
            middle = self.joint(j) - bone * np.minimum(skull * f32(1.5), self.bones[j] * f32(0.5))
            nose = self.joint(j)
        else:
            middle = self.joint(j) - line * (skull * f32(0.2))
            nose = middle + line * (skull * f32(1.2) * (f32(0.6) + self.muzzle))
        if self.anatomy.many:
            nose = middle
        neck = np.minimum(height * f32(0.8), np.maximum(skull * f32(1.1), self.bones[j] * f32(0.18)))
        self.parts.add(Region.HEAD, start, middle, neck, skull * f32(0.72), blend=0.7)
        self.parts.add(
            Region.HEAD, middle, middle + line * (skull * f32(0.35)), skull, skull * f32(0.85) * self.brow,
            self.lateral, 0.88, blend=0.5,
        )  # fmt: skip
        self.thickness[j] = skull
        if self.anatomy.many:
            self._eyes(middle, line, up, skull, f32(0.45), Region.DARK, skull * f32(0.8))
            return
        self.parts.add(Region.HEAD, middle, nose, skull * f32(0.66), skull * f32(0.33), self.lateral, 0.95, blend=0.5)
        square = unit(up - line * dot(up, line), up)
        self.parts.add(
            Region.DARK, nose + line * (skull * f32(0.2)), nose + line * (skull * f32(0.22)), skull * f32(0.2),
            skull * f32(0.17), blend=0.02,
        )  # fmt: skip
        self._eyes(middle + line * (skull * f32(0.55)), line, square, skull, f32(0.62), Region.DARK, skull * f32(0.13))
        if not any(self.anatomy.roles[c] is Role.EAR for c in self.anatomy.children[j]):
            for side in (f32(1), f32(-1)):
                root = middle + self.lateral * (side * skull * f32(0.55)) + square * (skull * f32(0.55))
                tip = root + (square * f32(0.75) + self.lateral * (side * f32(0.45)) - line * f32(0.35)) * (
                    skull * self.ear
                )
                flat = unit(line + square * f32(0.3), line)
                self.parts.add(Region.HAIR, root, tip, skull * f32(0.36), skull * f32(0.12), flat, 0.35, blend=0.1)

    def _eyes(
        self, middle: Floats, line: Floats, up: Floats, skull: Floats, apart: np.float32, region: Region, size: Floats
    ) -> None:
        for side in (f32(1), f32(-1)):
            at = middle + self.lateral * (side * skull * apart) + up * (skull * f32(0.42)) + line * (skull * f32(0.1))
            self.parts.add(region, at, at, size, size, blend=0.02)

    def _persons_head(self, j: int, p: int, skull: Floats) -> None:
        """Neck, skull, hair and face of somebody upright: `j` the top of the head, `p` the nose where it is known."""
        ahead = self._forwards()
        up = unit(self.joint(j) - self.joint(p), np.broadcast_to(_Z, (len(self.p3d), 3)))
        ahead = unit(ahead - up * dot(ahead, up), ahead)
        top = self.joint(j) - up * (skull * f32(0.75))
        if self.anatomy.roles[p] is Role.NECK:
            # The nose is in front of the face, half way up the head.
            face = self.joint(p) + (top - self.joint(p)) * f32(0.5)
            middle = face - ahead * (skull * f32(0.5))
            nose, root = self.joint(p), self.joint(self.parents[p])
            self.thickness[p] = skull
        else:
            middle, root = top, self.joint(p)
            nose = middle + ahead * (skull * f32(1.1)) - up * (skull * f32(0.4))
        nape = middle - up * (skull * f32(0.7)) - ahead * (skull * f32(0.25))
        self.parts.add(Region.HEAD, root, nape, skull * f32(0.75), skull * f32(0.6), blend=0.6)
        chin = middle - up * (skull * f32(0.8)) + ahead * (skull * f32(0.25))
        self.parts.add(Region.HEAD, middle, chin, skull * f32(0.98), skull * f32(0.62), self.lateral, 0.84, blend=0.3)
        self.parts.add(
            Region.HAIR, middle - ahead * (skull * f32(0.16)) + up * (skull * f32(0.14)),
            middle - ahead * (skull * f32(0.3)) - up * (skull * f32(0.45)), skull * f32(1.0), skull * f32(0.78),
            self.lateral, 0.87, blend=0.05,
        )  # fmt: skip
        bridge = middle + (nose - middle) * f32(0.75) + up * (skull * f32(0.12))
        self.parts.add(Region.HEAD, nose - (nose - middle) * f32(0.12), bridge, skull * f32(0.17), skull * f32(0.12))
        self._eyes(
            middle - up * (skull * f32(0.5)) + ahead * (skull * f32(0.72)), ahead, up, skull, f32(0.34), Region.DARK,
            skull * f32(0.12),
        )  # fmt: skip
        self.thickness[j] = skull

    def _tail(self, j: int) -> None:
        p = self.parents[j]
        first = self.anatomy.roles[p] is not Role.TAIL
        start, height = self._trunk_end(j) if first else (self.joint(p), self.thickness[p])
        base = np.minimum(height * f32(0.32), self.bones[j] * f32(0.2) + self.mean * f32(0.02)) if first else height
        tip = base * f32(0.45) * self.tail_girth if first else base * f32(0.6)
        if first and p in self.centre:
            back = unit(self.joint(p) - start, self.joint(p) * f32(0))
            start = start + back * (height * f32(0.5))
        self.parts.add(Region.TAIL, start, self.joint(j), base, tip, blend=0.6)
        self.thickness[j] = np.maximum(tip, self.mean * f32(0.03))

    def _wing(self, j: int) -> None:
        p = self.parents[j]
        if self.anatomy.roles[p] is not Role.WING:
            self._plain(j, Region.TRUNK, 0.12, 0.1)
            return
        bone = unit(self.joint(j) - self.joint(p), self.lateral)
        flat = unit(_Z - bone * bone[:, 2:], self.lateral)
        a = self.joint(p) + (self.joint(j) - self.joint(p)) * f32(0.25)
        b = self.joint(p) + (self.joint(j) - self.joint(p)) * f32(0.82)
        self.parts.add(Region.WING, a, b, self.bones[j] * f32(0.12), self.bones[j] * f32(0.22), flat, 0.06, blend=0.05)
        self.thickness[j] = self.bones[j] * f32(0.08)

    def _palm(self, j: int) -> None:
        """A bone of the palm, and the web to the next one."""
        radius = self.mean * f32(0.3) * self.limb_girth
        root = self.joint(self.parents[j])
        self.parts.add(Region.LOWER_ARM, root, self.joint(j), radius * f32(1.05), radius * f32(0.95), blend=0.9)
        self.thickness[j] = radius
        self.thickness[self.parents[j]] = radius * f32(1.3)
        siblings = [k for k, role in enumerate(self.anatomy.roles) if role is Role.PALM]
        after = siblings.index(j) + 1
        if after < len(siblings):
            other = self.joint(siblings[after])
            for share in (0.5, 0.8):
                a, b = root + (self.joint(j) - root) * f32(share), root + (other - root) * f32(share)
                self.parts.add(Region.LOWER_ARM, a, b, radius * f32(0.95), radius * f32(0.95), blend=0.9)

    def _forearm(self) -> None:
        """What a hand hangs on: from the wrist away from the fingers."""
        palm = [k for k, role in enumerate(self.anatomy.roles) if role is Role.PALM]
        wrist = self.joint(self.parents[palm[0]])
        away = wrist * f32(0)
        for k in palm:
            away = away - (self.joint(k) - wrist)
        away = unit(away, -np.broadcast_to(_Z, (len(self.p3d), 3)))
        radius = self.mean * f32(0.6) * self.limb_girth
        end = wrist + away * (self.mean * f32(3.5))
        self.parts.add(
            Region.UPPER_ARM, wrist, end, radius, radius * f32(1.25), self.lateral, 1.2, blend=0.6, framed=False
        )


def re_any(name: str, words: tuple[str, ...]) -> bool:
    """Whether a joint's name has one of the words in it."""
    return any(word in name for word in words)
