"""How fast pictures are made."""

import time

import posesynth
from posesynth.render import render

from .measure import table

COUNT, ROUNDS = 64, 9


def rendering() -> None:
    """Pictures of `posesynth.render` on one thread, a second of processor time: median and best of nine rounds."""
    rows = []
    for name, size in (("dog", 256), ("human", 256), ("hand", 256), ("mouse", 256), ("fly", 256), ("dog", 128)):
        skeleton = posesynth.load_skeleton(name)
        render(skeleton, 0, 0, 2, size, threads=1)
        rates = []
        for _ in range(ROUNDS):
            begin = time.process_time()
            render(skeleton, 0, 0, COUNT, size, threads=1)
            rates.append(COUNT / (time.process_time() - begin))
        rows.append((name, f"{size} x {size}", f"{sorted(rates)[ROUNDS // 2]:.0f}", f"{max(rates):.0f}"))
    print(table(("skeleton", "pixels", "pictures/s, median", "best"), rows))
