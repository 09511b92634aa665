"""A body around a pose: round cones, each between two spheres, some of them flattened.

    pose -> radii of trunk and limbs -> parts: trunk, limbs with hands or feet, neck, head and face, tail, ...

All parts of all poses of a batch are made together, (B, ...) arrays, out of + - * / sqrt.  Positions are in the
upright animal's world and in units of its longest edge.  How thick a part is goes by the bones it belongs to, times a
girth drawn for each picture.
"""

import numpy as np

from posesynth.render.anatomy import Role, anatomy
from posesynth.render.draws import Draws, Floats, cross, dot, unit
from posesynth.render.parts import FORWARD, Body, Region, Z
from posesynth.render.torso import Torso, has_any
from posesynth.skeleton import Skeleton
from posesynth.trigonometry import f32


def body(skeleton: Skeleton, p3d: Floats, drawn: Draws) -> Body:
    """The bodies around upright poses `p3d` (B, N, 3)."""
    made = _Body(skeleton, anatomy(skeleton), p3d, drawn)
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


class _Body(Torso):
    """Neck, head, tail and whatever else is neither trunk nor limb."""

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
        ahead = np.broadcast_to(FORWARD, (len(self.p3d), 3))
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
        up = unit(cross(ahead, self.lateral), np.broadcast_to(Z, (len(self.p3d), 3)))
        up = np.where(up[:, 2:] < f32(0), -up, up)
        if self.anatomy.upright:
            self._persons_head(j, p, skull)
            return
        start, height = self._trunk_end(j)
        bone = unit(self.joint(j) - self.joint(p), ahead)
        tip_named = has_any(self.names[j], ("snout", "nose", "muzzle", "beak", "face"))
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
        up = unit(self.joint(j) - self.joint(p), np.broadcast_to(Z, (len(self.p3d), 3)))
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
        flat = unit(Z - bone * bone[:, 2:], self.lateral)
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
        away = unit(away, -np.broadcast_to(Z, (len(self.p3d), 3)))
        radius = self.mean * f32(0.6) * self.limb_girth
        end = wrist + away * (self.mean * f32(3.5))
        self.parts.add(
            Region.UPPER_ARM, wrist, end, radius, radius * f32(1.25), self.lateral, 1.2, blend=0.6, framed=False
        )
