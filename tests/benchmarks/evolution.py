"""How fast poses are bred."""

from typing import Any

import naive_evolution
import numpy as np
from evolution_poses import drawn_poses, individuals
from numpy.typing import NDArray

import posesynth
from posesynth.evolution import evolved_into, grow
from posesynth.evolution.population import first_generation
from posesynth.sampler import cores, field_shape
from posesynth.skeleton import Skeleton

from .measure import Work, alternate, table

INITIAL = 20_000
INITIAL_OF_TWIN = 2_000
TARGET = 100_000


def evolution() -> None:
    """Poses of the human that join the population, from initial poses drawn in its ranges: 20,000 that grow to 100,000.
    Beside it the published code's way, one individual at a time in plain Python (tests/naive_evolution.py with Python's
    own random numbers), one generation of 2,000 again and again; and how fast evolved poses become P2D and O."""
    skeleton = posesynth.load_skeleton("human")
    initial = drawn_poses(skeleton, INITIAL)
    threads = cores()
    twin = "one at a time, plain Python"
    rates = alternate(
        {
            f"posesynth, {threads} threads": growing(skeleton, initial, threads),
            "posesynth, one thread": growing(skeleton, initial, 1),
            twin: one_at_a_time(skeleton, initial[:INITIAL_OF_TWIN]),
            "as samples, one thread": seeing(skeleton, initial),
        }
    )
    rows = [
        (
            name,
            f"{rate.median:,.0f}",
            f"{rate.best:,.0f}",
            "" if "samples" in name else f"{rate.over(rates[twin]):,.0f}",
        )
        for name, rate in rates.items()
    ]
    print(table(("", "poses/s, median", "best", f"{twin}: times as fast"), rows))


def growing(skeleton: Skeleton, initial: NDArray[np.float32], threads: int) -> Work:
    def work() -> int:
        genes, _ = grow(skeleton, 0, initial, target=TARGET, threads=threads)
        return len(genes) - len(initial)

    return work


def one_at_a_time(skeleton: Skeleton, initial: NDArray[np.float32]) -> Work:
    population = individuals(first_generation(initial), skeleton.edges)
    twin = naive_evolution.Evolution(skeleton, naive_evolution.uncounted(0))

    def work() -> int:
        children = twin.generation(population, len(population))
        return sum(outside <= 1e-3 for _, outside in children)

    return work


def seeing(skeleton: Skeleton, initial: NDArray[np.float32]) -> Work:
    genes = first_generation(initial)
    arrays: dict[str, NDArray[Any]] = {
        name: np.empty((len(genes), *field_shape(skeleton, name)), np.float32) for name in ("p2d", "o")
    }

    def work() -> int:
        evolved_into(skeleton, 0, genes, 0, arrays)
        return len(genes)

    return work
