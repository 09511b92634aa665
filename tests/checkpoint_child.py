"""A process that forks one that saves checkpoints for each line it reads, so that torch is imported once.

python checkpoint_child.py FOLDER LOG
"""

import os
import sys
from pathlib import Path

import torch

from lifter.checkpoint import Checkpoints

SHAPES = {"weight": (64, 512), "bias": (512,), "adam.0.exp_avg": (64, 512)}


def tensors_of(step: int) -> dict[str, torch.Tensor]:
    """What the checkpoint of a step holds."""
    return {name: torch.full(shape, float(step + i)) for i, (name, shape) in enumerate(SHAPES.items())}


def save_forever(folder: str, log: str) -> None:
    checkpoints = Checkpoints(folder)
    found = checkpoints.latest()
    step = 0 if found is None else found[0]
    with Path(log).open("ab", buffering=0) as file:
        while True:
            step += 1
            checkpoints.save(step, tensors_of(step), {"samples": step * 500})
            file.write(b"%d\n" % step)


def main() -> None:
    torch.set_num_threads(1)
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            save_forever(*sys.argv[1:])
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
