"""The slow, obvious twin of evolution: one individual at a time, Python lists and floats, as the published code works.

Written from docs/evolution.md; shares no code with posesynth but the `Skeleton` it reads.  Angles are in degrees.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import naive

from posesynth.skeleton import Range, Skeleton

Draw = Callable[[int, int], int]
"""(child, word) -> 32 bits."""

Vector = tuple[float, float, float]
EVOLUTION = 6


@dataclass
class Individual:
    """(first, second) of each bone, the lengths, and the whole pose's turn as a quaternion (w, x, y, z)."""

    angles: list[tuple[float, float]]
    lengths: list[float]
    turn: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)

    def copy(self) -> "Individual":
        return Individual(list(self.angles), list(self.lengths), self.turn)


def counted(seed: int) -> Draw:
    """The draws that posesynth makes."""
    return lambda child, k: naive.word(seed, child, EVOLUTION, k)


def uncounted(seed: int) -> Draw:
    """Draws from Python's own generator, at its own speed."""
    generator = random.Random(seed)
    return lambda child, k: generator.getrandbits(32)


class Evolution:
    """Generations of a skeleton's poses."""

    def __init__(self, skeleton: Skeleton, draw: Draw) -> None:
        self.skeleton = skeleton
        self.draw = draw
        self.classes = naive.length_classes(skeleton)
        parents = [int(parent) for parent in skeleton.parents[1:]]
        self.subtrees = []
        for joint in sorted(set(parents)):
            below = {joint}
            for e, parent in enumerate(parents):
                if parent in below:
                    below.add(e + 1)
            self.subtrees.append([node - 1 for node in sorted(below - {joint})])

    def parents(self, count: int, born: int) -> list[int]:
        """Fathers at even places, mothers behind them, no individual twice."""
        left = list(range(count))
        chosen = []
        for i in range(2 * max(1, int(0.05 * count))):
            other = i + (self.draw(born + i, 0) * (count - i) >> 32)
            left[i], left[other] = left[other], left[i]
            chosen.append(left[i])
        return chosen

    def generation(self, population: list[Individual], born: int) -> list[tuple[Individual, float]]:
        """The children of a generation, and by how many degrees of arc each is outside; 0 for those that join."""
        parents = self.parents(len(population), born)
        children = []
        for i in range(0, len(parents), 2):
            subtree = self.subtrees[self.draw(born + i, 1) * len(self.subtrees) >> 32]
            for c in (i, i + 1):
                own, other = population[parents[c]], population[parents[2 * i + 1 - c]]
                child = own.copy()
                for e in subtree:
                    child.angles[e] = other.angles[e]
                self.mutate(child, subtree, born + c)
                children.append((child, self.outside(child)))
        return children

    def mutate(self, child: Individual, subtree: list[int], c: int) -> None:
        classes, edges = max(self.classes) + 1, self.skeleton.edges
        decisions = 8 + 4 * math.ceil(classes / 4)
        turns = decisions + 4 * math.ceil(edges / 4)
        for e in subtree:
            if self.draw(c, decisions + e) < 0.3 * 2**32:
                axis, angle = self.random_turn(c, turns + 4 * e, 10.0)
                child.angles[e] = self.turned(e, child.angles[e], axis, angle)
        if self.draw(c, 2) < 0.1 * 2**32:
            axis, angle = self.random_turn(c, 4, 30.0)
            child.turn = multiply(quaternion(axis, angle), child.turn)
        if self.draw(c, 3) < 0.5 * 2**32:
            ranges = [self.skeleton.ranges[self.classes.index(k)].length for k in range(classes)]
            drawn = [
                low + naive.closed_above(self.draw(c, 8 + k)) * (high - low) for k, (low, high) in enumerate(ranges)
            ]
            child.lengths = [drawn[k] / max(drawn) for k in self.classes]

    def random_turn(self, c: int, k: int, sd: float) -> tuple[Vector, float]:
        """A random axis and a normal angle in degrees."""
        z = 1 - 2 * naive.closed_below(self.draw(c, k))
        around = 2 * math.pi * naive.closed_below(self.draw(c, k + 1))
        ring = math.sqrt(1 - z * z)
        radius = math.sqrt(-2 * math.log(naive.closed_above(self.draw(c, k + 2))))
        angle = sd * radius * math.cos(2 * math.pi * naive.closed_below(self.draw(c, k + 3)))
        return (ring * math.cos(around), ring * math.sin(around), z), angle

    def turned(self, e: int, angles: tuple[float, float], axis: Vector, degrees: float) -> tuple[float, float]:
        """The bone's angles after a turn, on the side of the pole of abduction where it was."""
        flexed = self.skeleton.ranges[e].angles == "flexion"
        a, b = math.radians(angles[0]), math.radians(angles[1])
        if flexed:
            bone = (math.sin(b), -math.sin(a) * math.cos(b), math.cos(a) * math.cos(b))
        else:
            bone = (math.sin(a) * math.cos(b), math.sin(a) * math.sin(b), math.cos(a))
        x, y, z = rotate(bone, axis, math.radians(degrees))
        if not flexed:
            return math.degrees(math.atan2(math.hypot(x, y), z)), math.degrees(math.atan2(y, x))
        first, second = math.degrees(math.atan2(-y, z)), math.degrees(math.atan2(x, math.hypot(y, z)))
        return (first + 180, 180 - second) if math.cos(b) < 0 else (first, second)

    def outside(self, child: Individual) -> float:
        """Degrees of arc by which the bone that is farthest out lies outside its range."""
        worst = 0.0
        for e, ((first, second), edge) in enumerate(zip(child.angles, self.skeleton.ranges, strict=True)):
            off_first, off_second = (beyond(child.angles[e][i], self.range_of(child, e, i)) for i in (0, 1))
            if edge.angles == "flexion":
                off_first *= abs(math.cos(math.radians(second)))
            else:
                off_second *= abs(math.sin(math.radians(first)))
            worst = max(worst, off_first, off_second)
        return worst

    def range_of(self, child: Individual, e: int, which: int) -> Range:
        """Of the first or second angle of a bone, as the child's other angles leave it."""
        edge = self.skeleton.ranges[e]
        given = edge.given[which]
        if given is None:
            return (edge.first, edge.second)[which]
        bone = int(self.skeleton.parents[e + 1]) - 1 if given.bone == "parent" else e
        other = 0 if given.angle in ("theta", "flexion") else 1
        low, high = (self.skeleton.ranges[bone].first, self.skeleton.ranges[bone].second)[other]
        off = (child.angles[bone][other] - (low + high) / 2 + 180) % 360 - 180
        return naive.range_at(given, (low + high) / 2 + off)


def beyond(angle: float, given: Range) -> float:
    low, high = given
    off = (angle - (low + high) / 2 + 180) % 360 - 180
    return max(abs(off) - (high - low) / 2, 0.0)


def rotate(v: Vector, axis: Vector, angle: float) -> Vector:
    """Rodrigues' formula."""
    sin, cos = math.sin(angle), math.cos(angle)
    x, y, z = v
    a, b, c = axis
    along = (a * x + b * y + c * z) * (1 - cos)
    return (
        x * cos + (b * z - c * y) * sin + a * along,
        y * cos + (c * x - a * z) * sin + b * along,
        z * cos + (a * y - b * x) * sin + c * along,
    )


def quaternion(axis: Vector, degrees: float) -> tuple[float, float, float, float]:
    half = math.radians(degrees) / 2
    return math.cos(half), *(math.sin(half) * part for part in axis)  # type: ignore[return-value]


def multiply(p: tuple[float, ...], q: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Hamilton's product."""
    a, b, c, d = p
    w, x, y, z = q
    return (
        a * w - b * x - c * y - d * z,
        a * x + b * w + c * z - d * y,
        a * y - b * z + c * w + d * x,
        a * z + b * y - c * x + d * w,
    )
