"""Trunk and limbs of a body."""

import numpy as np

from posesynth.render import draws
from posesynth.render.anatomy import Anatomy, Limb
from posesynth.render.draws import Draws, Floats, cross, norm, unit
from posesynth.render.parts import FORWARD, Parts, Region, X, Z
from posesynth.skeleton import Skeleton
from posesynth.trigonometry import f32


class Torso:
    """The trunk and the limbs of B bodies, `parts`.  Scalars of a pose are (B, 1), vectors (B, 3)."""

    def __init__(self, skeleton: Skeleton, roles: Anatomy, p3d: Floats, drawn: Draws) -> None:
        self.anatomy, self.p3d = roles, p3d
        self.names = [name.lower() for name in skeleton.joints]
        self.parents = [int(p) for p in skeleton.parents]
        self.parts = Parts(len(p3d))
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
        left = np.broadcast_to(X, (len(self.p3d), 3))
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

    def _trunk_end(self, j: int) -> tuple[Floats, Floats]:
        """Where the neck or tail that ends at `j` leaves the trunk, and the trunk's half height there."""
        p = self.parents[j]
        if p in self.centre:
            return self.centre[p], self.height[p]
        return self.joint(p), self.mean * f32(0.25)

    # Limbs

    def limb(self, limb: Limb) -> None:
        """A tapered chain, thickest at its top, and a hand or a foot where the last joint is named for one."""
        bones = limb.joints[1:] if limb.girdle else limb.joints
        length = self.bones[0]
        for j in bones:
            length = length + self.bones[j]
        length = length / f32(len(bones)) * f32(0.7) + self.mean * f32(0.3)
        scale = length * self.limb_girth * f32(0.55 if self.anatomy.many else 1.0)
        arm = any(has_any(self.names[j], ("wrist", "elbow", "hand", "shoulder")) for j in limb.joints)
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
        bone = unit(self.joint(last) - self.joint(self.parents[last]), -np.broadcast_to(Z, (len(self.p3d), 3)))
        if has_any(name, ("wrist", "hand")):
            tip = self.joint(last) + bone * (scale * f32(0.42))
            self.parts.add(Region.HAND, self.joint(last), tip, radius * f32(1.1), radius * f32(0.8), self.lateral, 0.8)
        elif has_any(name, ("foot", "ankle", "paw", "hoof")):
            ahead = unit(cross(bone, self.lateral), np.broadcast_to(FORWARD, (len(self.p3d), 3)))
            long = f32(0.5 if has_any(name, ("foot", "ankle")) else 0.2)
            heel = self.joint(last) + bone * (radius * f32(0.3))
            toe = heel + ahead * (scale * long) + bone * (radius * f32(0.25))
            self.parts.add(Region.FOOT, heel, toe, radius * f32(1.15), radius * f32(0.85), self.lateral, 1.15)


def has_any(name: str, words: tuple[str, ...]) -> bool:
    """Whether a joint's name has one of the words in it."""
    return any(word in name for word in words)
