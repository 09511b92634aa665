"""Rates measured fairly: the candidates take turns, round after round, so that a noisy machine slows all of them."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Work = Callable[[], int]
"""Does some work and returns how much, in samples or bytes."""


@dataclass(frozen=True)
class Rate:
    """Work per second, one figure a round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def best(self) -> float:
        return max(self.rounds)

    def over(self, other: "Rate") -> float:
        """How many times as fast: the median of the rounds' ratios."""
        return statistics.median(a / b for a, b in zip(self.rounds, other.rounds, strict=True))


def alternate(candidates: Mapping[str, Work], rounds: int = 5, seconds: float = 0.5) -> dict[str, Rate]:
    """Each candidate for some `seconds` in each round, after one call each to compile and warm up."""
    for work in candidates.values():
        work()
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, work in candidates.items():
            done, begin = 0, time.perf_counter()
            while (spent := time.perf_counter() - begin) < seconds:
                done += work()
            rates[name].append(done / spent)
    return {name: Rate(tuple(found)) for name, found in rates.items()}


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def millions(rate: float) -> str:
    return f"{rate / 1e6:.3g}"


def machine() -> str:
    """One line: processor, cores this process may use, versions, load."""
    import numba
    import numpy

    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    load = os.getloadavg()[0]
    return (
        f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"Python {platform.python_version()}, numpy {numpy.__version__}, numba {numba.__version__}, load {load:.1f}"
    )
