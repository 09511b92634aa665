"""What an evolved data set carries of its making: enough to make it again, as JSON."""

import base64
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, shown, whole_number
from posesynth.evolution import operators
from posesynth.evolution.population import LARGEST, PARENTS, grow, order_of_samples
from posesynth.skeleton import Skeleton

EVOLUTION_VERSION = 1
"""Changes whenever a population does; stands in every evolved set."""

MOST_BYTES = 2**24
"""Of initial poses: a set carries them in its attributes."""

SETTINGS = {
    "version": EVOLUTION_VERSION,
    "parents": PARENTS,
    "bone_turned": operators.BONE_TURNED,
    "bone_degrees": operators.BONE_DEGREES,
    "pose_turned": operators.POSE_TURNED,
    "pose_degrees": operators.POSE_DEGREES,
    "lengths_drawn": operators.LENGTHS_DRAWN,
    "tolerance": operators.TOLERANCE,
}
"""The operators' figures, for whoever reads a set without this code."""


@dataclass(frozen=True)
class Source:
    """A motion: its name, SHA-256 of its file (None: it was in none), its frames, those that are initial poses."""

    name: str
    sha256: str | None
    frames: int
    poses: int


@dataclass(frozen=True, eq=False)
class Ancestry:
    """Where a population comes from.

    initial: (P, E, 3) float32, of each bone two angles in half turns (180 degrees), in the frame the skeleton gives
    them in, and its length in units of the longest.  joint_map: the name of the map the sources were read with.
    generations: how many it took.
    """

    initial: NDArray[np.float32]
    generations: int
    sources: tuple[Source, ...] = ()
    joint_map: str | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the initial poses."""
        return hashlib.sha256(self.initial.astype("<f4").tobytes()).hexdigest()

    @cached_property
    def json(self) -> dict[str, Any]:
        """As it stands in the attributes of a set."""
        return {
            **SETTINGS,
            "sources": [asdict(source) for source in self.sources],
            "map": self.joint_map,
            "generations": self.generations,
            "poses": len(self.initial),
            "sha256": self.digest,
            "initial": base64.b64encode(self.initial.astype("<f4").tobytes()).decode(),
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ancestry) and self.json == other.json

    def __hash__(self) -> int:
        return hash(self.digest)


def ancestry_of(document: object, skeleton: Skeleton, source: str) -> Ancestry:
    """The ancestry whose JSON this is.  InputError, naming the field, where it is none that this version can read."""
    if not isinstance(document, Mapping):
        raise InputError(f"{source}: evolution: is {shown(document)}; expected a mapping")
    for key, value in SETTINGS.items():
        found = document.get(key)
        if found != value:
            raise InputError(f"{source}: evolution.{key}: is {shown(found)}; this version of posesynth has {value}")
    try:
        count = whole_number("poses", document.get("poses"), 2, LARGEST)
        data = base64.b64decode(document["initial"], validate=True)
        if len(data) != 12 * count * skeleton.edges or hashlib.sha256(data).hexdigest() != document["sha256"]:
            raise ValueError
        initial = np.frombuffer(data, "<f4").astype(np.float32).reshape(count, skeleton.edges, 3)
        if not (np.abs(initial) <= 1).all() or not (initial[..., 2] >= 0).all():
            raise ValueError
        sources = tuple(Source(**entry) for entry in document["sources"])
        return Ancestry(initial, whole_number("generations", document["generations"], 0), sources, document["map"])
    except (InputError, KeyError, TypeError, ValueError):
        raise InputError(f"{source}: evolution: is not what posesynth evolve writes; it was changed") from None


_grown: dict[tuple[str, str, int, int], NDArray[np.float32]] = {}
_growing = threading.Lock()


def genes_of(skeleton: Skeleton, seed: int, ancestry: Ancestry, n: int) -> NDArray[np.float32]:
    """Genes of the poses that samples 0..n-1 show, (n, 3 E + 4).

    The last ones asked for are kept: each shard of a set asks again.
    """
    key = (skeleton.digest, ancestry.digest, seed, n)
    with _growing:
        genes = _grown.get(key)
        if genes is None:
            genes, _ = grow(skeleton, seed, ancestry.initial, target=n)
            genes = genes[order_of_samples(n, seed)]
            keep(skeleton, seed, ancestry, genes)
        return genes


def keep(skeleton: Skeleton, seed: int, ancestry: Ancestry, genes: NDArray[np.float32]) -> None:
    """Let `genes_of` have these, which are grown and in order already."""
    _grown.clear()
    _grown[skeleton.digest, ancestry.digest, seed, len(genes)] = genes
