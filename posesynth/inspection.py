"""What `posesynth inspect` tells of a skeleton or a data set: the tree, the ranges, the counts, a picture."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .draw import COLUMNS, MissingMatplotlibError, sample_sheet
from .kinematics import forward
from .sampler import Batch, sample
from .skeleton import Given, Range, Sampling, Skeleton, load_skeleton

SHOWN = 2 * COLUMNS  # samples in a picture


def skeleton(name: str, png: Path | None, seed: int) -> None:
    """Print a skeleton and draw the first samples of `seed` to `png` (default: NAME.png here)."""
    made = load_skeleton(name)
    print("\n".join(describe(made)))
    _draw(made, sample(made, seed, 0, SHOWN, ("p3d", "o_up")), seed, png)


def dataset(path: str, png: Path | None) -> None:
    """Print a data set's facts and its skeleton, and draw its first samples to `png`."""
    from .store import open as open_dataset
    from .store import size

    data = open_dataset(path)
    print(f"{path}: {len(data):,} samples of '{data.skeleton.name}', seed {data.seed}")
    if (origin := data.plan.ancestry) is not None:
        names = ", ".join(source.name for source in origin.sources)
        print(f"  evolved from {len(origin.initial):,} poses of {names} in {origin.generations} generations")
    for name in data.arrays:
        dtype, shape = data.plan.array_dtype(name), data.plan.array_shape(name)
        nbytes = len(data) * data.plan.record_bytes(name)
        print(f"  {name:<11}{dtype!s:<9}({', '.join(f'{extent:,}' for extent in shape)})  {size(nbytes)}")
    print()
    print("\n".join(describe(data.skeleton)))
    count = min(SHOWN, len(data))
    stored, up = data[:count], np.empty((count, data.skeleton.edges, 3), np.float32)
    # As they are stored; the upright poses, which may not be, are made again.
    p2d, o = stored.p2d.astype(np.float32), stored.o.astype(np.float32)
    data.plan.sample_into(0, {"o_up": up})
    batch = Batch(p2d, o, p3d=forward(o, data.skeleton), o_up=up)
    _draw(data.skeleton, batch, data.seed, png)


def describe(made: Skeleton) -> Iterator[str]:
    """The skeleton in lines: counts, how it is sampled, and the tree with each bone's ranges in degrees."""
    floats = sum(len(made.joints) * 2 if name == "p2d" else made.edges * 3 for name in ("p2d", "o"))
    yield f"{made.name}: {made.description}" if made.description else made.name
    yield f"  {len(made.joints)} joints, {made.edges} edges, {len(made.symmetric)} symmetric pairs"
    yield f"  a sample (p2d, o): {floats} numbers, {4 * floats} bytes in float32"
    yield f"  sampling: {', '.join(_sampling(made.sampling))}"
    yield f"  digest {made.digest}"
    yield ""
    tree = _tree(made)
    width = max(len(label) for label, _ in tree)
    yield f"{'joint':<{width}}  frame   angles"
    for label, joint in tree:
        yield f"{label:<{width}}  {_ranges(made, joint)}".rstrip()


def _tree(made: Skeleton) -> list[tuple[str, int]]:
    """(drawn name, joint) from the root down; a loop, for a chain may be deeper than Python's stack."""
    children: dict[int, list[int]] = {}
    for child, parent in enumerate(made.parents):
        children.setdefault(int(parent), []).append(child)
    drawn = []
    left = [(0, "", "")]
    while left:
        joint, branch, lead = left.pop()
        drawn.append((branch + made.joints[joint], joint))
        below = children.get(joint, [])
        for child in reversed(below):
            last = child == below[-1]
            left.append((child, lead + ("└─ " if last else "├─ "), lead + ("   " if last else "│  ")))
    return drawn


def _ranges(made: Skeleton, joint: int) -> str:
    if joint == 0:
        return ""
    edge = made.ranges[joint - 1]
    first, second = edge.angle_names
    first = f"{first} {_range(edge.first)}{_given(edge.first_given)}{_usual(edge.first_usual)}"
    second = f"{second} {_range(edge.second)}{_given(edge.second_given)}{_usual(edge.second_usual)}"
    return f"{edge.frame:<7} {first}  {second}  length {_range(edge.length)}"


def _range(given: Range) -> str:
    return f"[{given[0]:g}, {given[1]:g}]"


def _given(given: Given | None) -> str:
    return "" if given is None else f" given {'parent.' if given.bone == 'parent' else ''}{given.angle}"


def _usual(usual: Range | None) -> str:
    return "" if usual is None else f" usually {_range(usual)}"


def _sampling(sampling: Sampling) -> Iterator[str]:
    default = Sampling()
    views = [f"{name} {_range(getattr(sampling, name))}" for name in ("yaw", "pitch", "roll")
             if getattr(sampling, name) != getattr(default, name)]  # fmt: skip
    views += [f"{name} {_range(usual)} of usual poses" for name in ("yaw", "pitch", "roll")
              if sampling.usual and (usual := getattr(sampling, f"usual_{name}"))]  # fmt: skip
    yield "views: " + ", ".join(views) if views else "any view"
    yield f"perspective from {_range(sampling.distance)}" if sampling.distance else "orthographic"
    if sampling.noise:
        yield f"noise {sampling.noise:g}"
    if sampling.missing:
        yield f"{100 * sampling.missing:g} % of joints missing"
    if sampling.usual:
        yield f"{100 * sampling.usual:g} % of poses in the usual ranges"
    if sampling.angles == "tree":
        yield "angles as the examples have them together"
    yield "symmetric bones share a length" if sampling.symmetric_lengths else "every bone its own length"


def _draw(made: Skeleton, batch: Batch, seed: int, png: Path | None) -> None:
    """To `png`; without one to NAME.png here, where nothing of that name is yet and matplotlib is installed."""
    path = png or Path(f"{made.name}.png")
    if png is None and path.exists():
        print(f"\nnot drawn: {path} exists already; name a picture with --png")
        return
    try:
        sample_sheet(made, batch, path, f"{made.name}: samples 0 to {len(batch) - 1} of seed {seed}")
    except MissingMatplotlibError as error:
        if png is not None:
            raise
        print(f"\nnot drawn: {error}")
        return
    print(f"\ndrawn: {path}")
