"""What one process with one compiler target makes: digests of samples, and what its machine code is made of.

Run by test_portability.py with NUMBA_* and GLIBC_TUNABLES set, never with a kernel from another process's cache.
"""

import hashlib
import json
import math
import re
import sys
from collections import Counter

import numpy as np
from evolution_poses import drawn_poses
from golden import golden_skeletons, samples_digest
from numba import config

from posesynth import forward, inverse, kinematics, load_skeleton, sample
from posesynth.evolution import evolved_into, grow
from posesynth.evolution.operators import breed
from posesynth.evolution.samples import see_evolved
from posesynth.kernel import generate

COUNT = 20_000
START = 2**32 - 10_000


def digests() -> dict[str, str]:
    """Of all fields of the golden skeletons, and of f and f^-1 of one of them."""
    made = {name: samples_digest(skeleton, COUNT, START) for name, skeleton in golden_skeletons().items()}
    human = load_skeleton("human")
    o = sample(human, 1, 0, COUNT).o
    p3d = forward(o, human)
    made["forward"] = hashlib.sha256(p3d.tobytes()).hexdigest()
    made["inverse"] = hashlib.sha256(inverse(p3d, human).tobytes()).hexdigest()
    poses = drawn_poses(human, 300)
    genes, _ = grow(human, 2, poses, target=3000)
    seen = {"p2d": np.empty((3000, 17, 2), np.float32), "o": np.empty((3000, 16, 3), np.float32)}
    evolved_into(human, 2, genes, 0, seen)
    made["evolved"] = hashlib.sha256(genes.tobytes() + seen["p2d"].tobytes() + seen["o"].tobytes()).hexdigest()
    return made


def libm_digest() -> str:
    """Of sin and cos of the C library, which picks its code by processor."""
    values = np.random.default_rng(0).uniform(-10, 10, 100_000).tolist()
    return hashlib.sha256(np.array([[math.sin(x), math.cos(x)] for x in values]).tobytes()).hexdigest()


def code() -> dict[str, object]:
    """What the compiled kernels call, and how they calculate.  Kernels must have been compiled here."""
    called: set[str] = set()
    flagged: Counter[str] = Counter()
    instructions: Counter[str] = Counter()
    for kernel in (generate, kinematics._forward, kinematics._inverse, breed, see_evolved):
        for llvm in kernel.inspect_llvm().values():
            called |= set(re.findall(r'\bcall\b[^@\n]*@"?([\w.$]+)', llvm))
            flagged.update(re.findall(r"\bf(?:add|sub|mul|div|neg|cmp) (fast|contract|reassoc|n\w+|arcp|afn)\b", llvm))
        for assembly in kernel.inspect_asm().values():
            instructions.update(re.findall(r"^\s+(v?f?n?m?(?:add|sub|mul|div|sqrt)\w*[ps]s)\b", assembly, re.MULTILINE))
    return {"called": sorted(called), "flagged": flagged, "instructions": instructions}


if __name__ == "__main__":
    result = {"digests": digests(), "libm": libm_digest(), "opt": int(config.OPT)}
    if "--code" in sys.argv:
        result["code"] = code()
    json.dump(result, sys.stdout)
