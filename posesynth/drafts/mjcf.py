"""MJCF: MuJoCo's models, bodies in bodies, each with any number of hinges.

https://mujoco.readthedocs.io/en/stable/XMLreference.html says what the elements mean: classes of defaults, the
compiler's units, frames, and the ways to write an orientation.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from posesynth.drafts.articulated import Body, Hinge, about_axis, model, unit
from posesynth.drafts.draft import Draft
from posesynth.drafts.xml_source import Element
from posesynth.errors import did_you_mean, fault, quote
from posesynth.motion.rotation import about

Array = NDArray[np.float64]

_TURNS = ("quat", "axisangle", "euler", "xyaxes", "zaxis")
_UNREAD = ("include", "attach", "replicate", "composite", "flexcomp")
_WHOLE = "expected the model as MuJoCo saves it, written out whole (mj_saveLastXML)"
_ANGULAR = ("hinge", "ball")


def read_mjcf(path: str, mujoco: Element) -> Draft:
    """The bodies of a model as joints, each at its body's origin."""
    world = _World(mujoco)
    if not world.bodies:
        raise fault(path, mujoco.line, f"no body in a worldbody; {_WHOLE}")
    return model(path, "MJCF", world.bodies, tuple(world.notes))


@dataclass
class _World:
    mujoco: Element
    bodies: list[Body] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        compiler: dict[str, str] = {}
        for element in self.mujoco.named("compiler"):
            compiler |= element.attributes
        self.degrees = compiler.get("angle", "degree") == "degree"
        self.sequence = compiler.get("eulerseq", "xyz")
        self.automatic = compiler.get("autolimits", "true") == "true"
        if len(self.sequence) != 3 or set(self.sequence.lower()) - set("xyz"):
            raise fault(
                self.mujoco.path, self.mujoco.line, f"eulerseq {quote(self.sequence)}; expected three of xyzXYZ"
            )
        if compiler.get("coordinate", "local") != "local":
            raise fault(self.mujoco.path, self.mujoco.line, f"global coordinates; {_WHOLE}")
        self.classes: dict[str, dict[str, str]] = {"main": {}}
        for element in self.mujoco.named("default"):
            self._defaults(element, "main", {})
        included = [element.attributes.get("file", "") for element in self.mujoco.named("include")]
        if included:
            self.notes.append(f"files that the model includes were not read: {', '.join(included)}")
        for element in self.mujoco.named("worldbody"):
            self._inside(element, -1, "main", np.zeros(3), np.eye(3))

    def _defaults(self, element: Element, name: str, outer: dict[str, str]) -> None:
        name = element.attributes.get("class", name)
        own = dict(outer)
        for joint in element.named("joint"):
            own |= joint.attributes
        self.classes[name] = own
        for nested in element.named("default"):
            nested.text("class")
            self._defaults(nested, name, own)

    def _inside(self, element: Element, parent: int, class_: str, place: Array, turn: Array) -> None:
        """The bodies in a body or a frame; place, turn: where that frame is in the body's."""
        for child in element.children:
            if child.tag in _UNREAD:
                raise child.fault(f"is not read inside a model; {_WHOLE}")
            if child.tag not in ("body", "frame"):
                continue
            inner = child.attributes.get("childclass", class_)
            at = place + turn @ child.numbers("pos", "0 0 0", 3)
            way = turn @ self._turn(child)
            if child.tag == "frame":
                self._inside(child, parent, inner, at, way)
                continue
            index = len(self.bodies)
            joints = list(enumerate(child.named("joint")))
            hinges = tuple(hinge for n, joint in joints for hinge in self._hinge(joint, inner, f"{index}.{n}"))
            self.bodies.append(Body(child.attributes.get("name", ""), parent, at, way, hinges))
            self._inside(child, index, inner, np.zeros(3), np.eye(3))

    def _turn(self, element: Element) -> Array:
        given = [key for key in _TURNS if key in element.attributes]
        if len(given) > 1:
            raise element.fault(f"{' and '.join(given)}; expected one way to write the orientation")
        if not given:
            return np.eye(3)
        key = given[0]
        numbers = element.numbers(key, "", {"quat": 4, "axisangle": 4, "euler": 3, "xyaxes": 6, "zaxis": 3}[key])
        if key == "quat":
            w, *xyz = unit(element, numbers)
            length = float(np.linalg.norm(xyz))
            return np.eye(3) if length == 0 else _about(np.array(xyz) / length, 2 * math.atan2(length, w))
        if key == "axisangle":
            return _about(unit(element, numbers[:3]), self._radians(float(numbers[3])))
        if key == "euler":
            turn = np.eye(3)
            for letter, angle in zip(self.sequence, numbers, strict=True):
                step = about(letter.lower(), math.degrees(self._radians(float(angle))))
                turn = turn @ step if letter.islower() else step @ turn
            return turn
        if key == "xyaxes":
            x = unit(element, numbers[:3])
            y = unit(element, numbers[3:] - (numbers[3:] @ x) * x)
            return np.stack([x, y, np.cross(x, y)], axis=1)
        z = unit(element, numbers)
        across = np.cross([0.0, 0.0, 1.0], z)
        length = float(np.linalg.norm(across))
        if length == 0:
            return np.eye(3) if z[2] > 0 else about("x", 180.0)
        return _about(across / length, math.atan2(length, float(z[2])))

    def _radians(self, angle: float) -> float:
        return math.radians(angle) if self.degrees else angle

    def _hinge(self, element: Element, class_: str, name: str) -> tuple[Hinge, ...]:
        class_ = element.attributes.get("class", class_)
        if class_ not in self.classes:
            raise element.fault(
                f"class {quote(class_)} is no default of this file{did_you_mean(class_, self.classes)}; {_WHOLE}"
            )
        joint = Element(element.path, "joint", element.line, self.classes[class_] | element.attributes)
        kind = joint.attributes.get("type", "hinge")
        if kind == "free":
            return ()
        if kind not in (*_ANGULAR, "slide"):
            raise joint.fault(f"type {quote(kind)}; expected hinge, ball, slide or free")
        scale = self._radians(1.0) if kind in _ANGULAR else 1.0
        low, high = (0.0, math.pi) if kind == "ball" else (-math.pi, math.pi) if kind == "hinge" else (0.0, 0.0)
        limited = joint.attributes.get("limited", "auto")
        if limited == "true" or (limited == "auto" and self.automatic and "range" in joint.attributes):
            start = float(joint.numbers("ref", "0", 1)[0]) if kind != "ball" else 0.0
            low, high = ((float(end) - start) * scale for end in joint.numbers("range", "0 0", 2))
            if low > high:
                raise joint.fault(f"range {quote(joint.text('range'))}; expected the lower end first")
        axis = unit(joint, joint.numbers("axis", "0 0 1", 3))
        return (Hinge(name, kind, axis, joint.numbers("pos", "0 0 0", 3), low, high),)


def _about(axis: Array, radians: float) -> Array:
    return np.asarray(about_axis(axis[None], np.array([radians]))[0])
