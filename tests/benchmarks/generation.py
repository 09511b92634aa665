"""How fast samples are made, how that grows with the joints, and what it costs that angles depend on others."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from evolution_poses import drawn_poses
from numpy.typing import NDArray

import posesynth
from posesynth.sampler import cores, field_shape, sample_into
from posesynth.schema import parse_skeleton
from posesynth.skeleton import Examples, Skeleton

from .measure import Work, alternate, millions, table
from .one_at_a_time import OneAtATime
from .vectorised import Plain, Tuned

COUNT = 2**18

Rival = TypeVar("Rival", Plain, Tuned)


def arrays(skeleton: Skeleton, count: int = COUNT) -> dict[str, NDArray[Any]]:
    return {name: np.zeros((count, *field_shape(skeleton, name)), np.float32) for name in ("p2d", "o")}


def kernel(skeleton: Skeleton, threads: int, count: int = COUNT) -> Work:
    out = arrays(skeleton, count)

    def work() -> int:
        sample_into(skeleton, 0, 0, out, threads)
        return count

    return work


def generation() -> None:
    """P2D and O of the quadruped in float32, beside NumPy and beside a plain Numba loop."""
    skeleton = posesynth.load_skeleton("quadruped")
    out = arrays(skeleton)
    plain = fastest({p: Plain(skeleton, p) for p in (256, 1024, 4096, 16384, COUNT)}, out)
    kinds = [(d, p) for d in (np.float32, np.float64) for p in (512, 1024, 2048, 8192)]
    tuned = fastest({f"{np.dtype(d)} {p}": Tuned(skeleton, d, p) for d, p in kinds}, out)
    threads = cores()
    ours = f"posesynth, {threads} threads"
    rivals = {
        f"NumPy as one first writes it: float64, {plain.piece} samples at a time": plain,
        f"NumPy tuned: {np.dtype(tuned.dtype)}, rows of {tuned.piece} samples": tuned,
        f"@njit(parallel=True), a sample at a time, {threads} threads": OneAtATime(skeleton),
    }
    for rival in rivals.values():
        check(skeleton, rival)
    rates = alternate(
        {
            ours: kernel(skeleton, threads),
            "posesynth, one thread": kernel(skeleton, 1),
            **{name: lambda rival=rival: rival.fill(**out) for name, rival in rivals.items()},
        }
    )
    rows = [
        (name, millions(rate.median), millions(rate.best), f"{rates[ours].over(rate):.1f}")
        for name, rate in rates.items()
    ]
    print(table(("generator", "million samples/s, median", "best", f"{ours}: times as fast"), rows))


def fastest(rivals: Mapping[Any, Rival], out: dict[str, NDArray[Any]]) -> Rival:
    """The one of these that is fastest here: a rival gets the piece size that suits it."""
    rates = alternate({key: lambda r=r: r.fill(**out) for key, r in rivals.items()}, rounds=3, seconds=0.3)
    return rivals[max(rates, key=lambda key: rates[key].median)]


def check(skeleton: Skeleton, rival: Plain | Tuned | OneAtATime) -> None:
    """A rival must make the same thing: P2D of its O, and O distributed as ours, to five standard errors."""
    out = arrays(skeleton)
    rival.fill(**out)
    assert np.abs(posesynth.forward(out["o"], skeleton)[:, :, [0, 2]] - out["p2d"]).max() < 1e-5
    ours = posesynth.sample(skeleton, stop=COUNT)
    for a, b in (
        (ours.o, out["o"]),
        (ours.o**2, out["o"] ** 2),
        (ours.p2d, out["p2d"]),
        (ours.p2d**2, out["p2d"] ** 2),
    ):
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / COUNT) + 1e-6
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < 5 * error).all()


def tree(joints: int) -> Skeleton:
    """A tree in which each joint has three children at most, all angles free."""
    lines = ["posesynth: 1", "name: tree", "root: j0", "joints:"]
    for j in range(1, joints):
        angles = "theta: [0, 180], phi: [-180, 180]" if j % 2 else "flexion: [90, 270], abduction: [-40, 40]"
        lines.append(f"  j{j}: {{parent: j{(j - 1) // 3}, {angles}}}")
    return parse_skeleton("\n".join(lines) + "\n", "tree")


def joints() -> None:
    """The cost of a sample for trees of 8 to 256 joints, one thread."""
    sizes = (8, 16, 32, 64, 128, 256)
    rates = alternate({n: kernel(tree(n), 1, 2**14) for n in sizes}, rounds=5, seconds=0.2)
    cost = {n: 1e9 / rates[n].median for n in sizes}
    slope, constant = np.polyfit(sizes, [cost[n] for n in sizes], 1)
    rows = [(n, f"{cost[n]:.0f}", f"{cost[n] / n:.2f}") for n in sizes]
    print(table(("joints", "ns a sample", "ns a joint"), rows))
    print(f"\nFitted: {constant:.0f} ns + {slope:.2f} ns a joint.")


def dependence() -> None:
    """P2D and O of the human, one thread: ranges over other angles, usual ranges, and angles as 1,000 examples have
    them (drawn at random in the ranges, so that all of a table is used), beside the same skeleton without."""
    human = posesynth.load_skeleton("human").with_sampling(usual=0.0)
    whole = replace(human, ranges=tuple(replace(r, first_given=None, second_given=None) for r in human.ranges))
    angles = 180 * drawn_poses(human, 1000)[..., :2].astype(np.float64)
    shown = replace(human, examples=Examples(tuple(range(human.edges)), angles))
    plain = "each angle independent, in its whole range"
    skeletons = {
        plain: whole,
        f"{sum(g is not None for r in human.ranges for g in r.given)} ranges over another angle": human,
        "these, and usual ranges: as it ships": posesynth.load_skeleton("human"),
        "ranges over another angle, and `angles: tree`": shown.with_sampling(angles="tree"),
    }
    rates = alternate({name: kernel(skeleton, 1) for name, skeleton in skeletons.items()}, rounds=9)
    rows = [
        (name, millions(rate.median), millions(rate.best), f"{rates[plain].over(rate):.2f}")
        for name, rate in rates.items()
    ]
    print(table(("human", "million samples/s, median", "best", "times as long"), rows))
