"""How fast pictures are made, and where the time goes."""

import posesynth
from posesynth.render import render
from posesynth.sampler import cores

from .measure import Work, alternate, table

COUNT = 32


def pictures(name: str, size: int, threads: int) -> Work:
    skeleton = posesynth.load_skeleton(name)

    def work() -> int:
        render(skeleton, 0, 0, COUNT, size, threads=threads)
        return COUNT

    return work


def rendering() -> None:
    """Pictures of `posesynth.render` a second: best of nine rounds of half a second, and their median."""
    cases = {
        (name, size, threads): pictures(name, size, threads)
        for name, size in (("dog", 256), ("human", 256), ("hand", 256), ("fly", 256), ("dog", 128))
        for threads in dict.fromkeys((1, cores()))
    }
    rates = alternate({str(case): work for case, work in cases.items()}, rounds=9)
    rows = [
        (name, f"{size} x {size}", threads, f"{rates[str((name, size, threads))].best:.0f}",
         f"{rates[str((name, size, threads))].median:.0f}")
        for name, size, threads in cases
    ]  # fmt: skip
    print(table(("skeleton", "size", "threads", "best", "median"), rows))
