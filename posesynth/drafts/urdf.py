"""URDF: links joined by joints, with limits in radians."""

import math

import numpy as np

from posesynth.drafts.articulated import Body, Hinge, model, unit
from posesynth.drafts.draft import Draft
from posesynth.drafts.xml_source import Element
from posesynth.errors import fault, quote
from posesynth.motion.rotation import about

_KINDS = {"revolute": "hinge", "continuous": "hinge", "prismatic": "slide", "fixed": "", "floating": "free"}


def read_urdf(path: str, robot: Element) -> Draft:
    """The frames of a robot's links as joints, each at the joint that carries it."""
    if any(element.tag.startswith("xacro:") for element in robot.children):
        raise fault(path, robot.line, "xacro: not URDF yet; expected what `xacro model.xacro > model.urdf` writes")
    names = [link.text("name") for link in robot.named("link")]
    joints = {joint.text("name"): joint for joint in robot.named("joint")}
    where = {name: index for index, name in enumerate(names)}
    parents: dict[str, tuple[str, Element]] = {}
    for joint in joints.values():
        ends = []
        for tag in ("parent", "child"):
            end = next(joint.named(tag), None)
            if end is None or end.attributes.get("link") not in where:
                raise joint.fault(
                    f"{quote(joint.text('name'))} has no {tag} among the links; expected <{tag} link=...>"
                )
            ends.append(end.text("link"))
        if ends[1] in parents:
            raise joint.fault(f"{quote(ends[1])} is the child of two joints; expected a tree")
        parents[ends[1]] = (ends[0], joint)
    order = _order(path, names, parents)
    bodies = []
    for name in order:
        if name not in parents:
            bodies.append(Body(name, -1, np.zeros(3), np.eye(3)))
            continue
        parent, joint = parents[name]
        origin = next(joint.named("origin"), Element(path, "origin", joint.line, {}))
        roll, pitch, yaw = np.degrees(origin.numbers("rpy", "0 0 0", 3))
        turn = about("z", yaw) @ about("y", pitch) @ about("x", roll)
        bodies.append(Body(name, order.index(parent), origin.numbers("xyz", "0 0 0", 3), turn, _hinges(joint, joints)))
    return model(path, "URDF", bodies)


def _order(path: str, names: list[str], parents: dict[str, tuple[str, Element]]) -> list[str]:
    """Links with parents before children, else in the file's order."""
    order: dict[str, None] = {}
    for name in names:
        branch: list[str] = []
        step = name
        while step not in order:
            if step in branch:
                loop = "-".join(reversed(branch[branch.index(step) :]))
                raise fault(path, parents[step][1].line, f"joints make a loop, {loop}; expected a tree")
            branch.append(step)
            if step not in parents:
                break
            step = parents[step][0]
        order |= dict.fromkeys(reversed(branch))
    return list(order)


def _hinges(joint: Element, joints: dict[str, Element]) -> tuple[Hinge, ...]:
    type_ = joint.text("type")
    if type_ not in _KINDS:
        raise joint.fault(f"type {quote(type_)}; expected one of {', '.join(_KINDS)}")
    kind = _KINDS[type_]
    if not kind:
        return ()
    if kind == "free":
        raise joint.fault(f"{quote(joint.text('name'))} floats; expected joints that hold their links together")
    low, high = -math.pi, math.pi
    limit = next(joint.named("limit"), None)
    if limit is not None and type_ != "continuous":
        low, high = float(limit.numbers("lower", "0", 1)[0]), float(limit.numbers("upper", "0", 1)[0])
    elif type_ != "continuous":
        raise joint.fault(f"{quote(joint.text('name'))} has no limit; expected <limit lower=... upper=...>")
    if low > high:
        raise joint.fault(f"lower {low:g} is above upper {high:g}; expected lower <= upper")
    axis = next(joint.named("axis"), Element(joint.path, "axis", joint.line, {})).numbers("xyz", "1 0 0", 3)
    return (Hinge(joint.text("name"), kind, unit(joint, axis), np.zeros(3), low, high, _follows(joint, joints)),)


def _follows(joint: Element, joints: dict[str, Element]) -> tuple[str, float, float] | None:
    mimic = next(joint.named("mimic"), None)
    if mimic is None:
        return None
    of = mimic.text("joint")
    if of not in joints or next(joints[of].named("mimic"), None) or _KINDS.get(joints[of].text("type"), "") == "":
        raise mimic.fault(f"joint {quote(of)}; expected a joint that moves and follows no other")
    return of, float(mimic.numbers("multiplier", "1", 1)[0]), float(mimic.numbers("offset", "0", 1)[0])
