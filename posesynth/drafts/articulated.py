"""Robots' and simulators' models: bodies with hinges, and the poses that their limits allow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posesynth.drafts.draft import Draft, named
from posesynth.drafts.xml_source import Element

Array = NDArray[np.float64]

POSES = 2000
MARGIN = 5.0  # degrees beyond what the poses drawn reach


@dataclass(frozen=True, eq=False)
class Hinge:
    """One degree of freedom, or a ball.

    ``kind``: "hinge", "slide" or "ball".  ``axis``, ``anchor``: (3,) in the body's frame.  ``low``, ``high``: radians,
    or the model's unit for a slide; of a ball the largest angle.  ``follows``: (name, factor, offset) of the hinge
    whose value it takes, or None.
    """

    name: str
    kind: str
    axis: Array
    anchor: Array
    low: float
    high: float
    follows: tuple[str, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Body:
    """``parent``: its index, -1 for a root.  ``place`` (3,), ``turn`` (3, 3): its frame in that, all hinges at 0."""

    name: str
    parent: int
    place: Array
    turn: Array
    hinges: tuple[Hinge, ...] = ()


def model(path: str, kind: str, bodies: list[Body], notes: tuple[str, ...] = ()) -> Draft:
    """The draft of a model: joints at the bodies' origins, ranges that hold every pose within the limits."""
    originals = tuple(body.name for body in bodies)
    joints = named(path, originals)
    return Draft(
        path,
        kind,
        joints,
        originals,
        tuple((body.parent, index) for index, body in enumerate(bodies) if body.parent >= 0),
        directed=True,
        poses=random_poses(bodies),
        rest=random_poses(bodies, 0)[0],
        up="z",
        forward="x",
        about=f"the model's joint limits: what its bones reach in {POSES} random poses within them, {MARGIN:g} "
        "degrees wider; "
        "each joint moves by itself, whatever couples them in the model; lengths +-20 %",
        notes=notes,
    )


def random_poses(bodies: list[Body], count: int = POSES, seed: int = 0) -> Array:
    """(count, N, 3) origins of the bodies with every hinge anywhere within its limits, often near them.

    Hinges of a root, which move the whole animal, stay at 0, as all do where count is 0: one pose, the model's own.
    """
    rng = np.random.default_rng(seed)
    poses = max(count, 1)
    values: dict[str, Array] = {}
    for body in bodies:
        for hinge in body.hinges:
            # The arcsine law: a range's ends are met as they would not be by even draws.
            along = np.sin(np.pi / 2 * rng.random(poses)) ** 2
            values[hinge.name] = (hinge.low + (hinge.high - hinge.low) * along) * (count > 0)
    positions = np.empty((poses, len(bodies), 3))
    turns: list[Array] = []
    for b, body in enumerate(bodies):
        place, turn = np.broadcast_to(body.place, (poses, 3)), np.broadcast_to(body.turn, (poses, 3, 3))
        if body.parent >= 0:
            outer = turns[body.parent]
            place, turn = positions[:, body.parent] + outer @ body.place, outer @ turn
            for hinge in body.hinges:
                value = values[hinge.name]
                if hinge.follows is not None:
                    of, factor, offset = hinge.follows
                    value = factor * values[of] + offset
                place, turn = _moved(place, turn, hinge, value, rng)
        positions[:, b] = place
        turns.append(turn)
    return positions


def _moved(place: Array, turn: Array, hinge: Hinge, value: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    if hinge.kind == "slide":
        return place + (turn @ hinge.axis) * value[:, None], turn
    axis = np.broadcast_to(hinge.axis, (len(value), 3))
    if hinge.kind == "ball":
        axis = rng.normal(size=axis.shape)
        axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)
    fixed = place + turn @ hinge.anchor
    turned = turn @ about_axis(axis, value)
    return fixed - turned @ hinge.anchor, turned


def about_axis(axis: Array, angle: Array) -> Array:
    """(T, 3, 3) right-handed rotations by radians (T,) about unit axes (T, 3): Rodrigues' formula."""
    x, y, z = axis.T
    zero = np.zeros_like(x)
    cross = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).transpose(2, 0, 1)
    sin, cos = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.asarray(np.eye(3) + sin * cross + (1 - cos) * (cross @ cross))


def unit(element: Element, axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """The axis at length 1."""
    length = float(np.linalg.norm(axis))
    if not length > 0:
        raise element.fault("an axis of length 0; expected a direction")
    return np.asarray(axis / length)
