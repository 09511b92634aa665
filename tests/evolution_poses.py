"""Initial poses for the tests of evolution, drawn within a skeleton's ranges."""

import naive
import naive_evolution
import numpy as np
from numpy.typing import NDArray

from posesynth.conditional_ranges import range_left
from posesynth.skeleton import Skeleton


def drawn_poses(skeleton: Skeleton, count: int, seed: int = 0) -> NDArray[np.float32]:
    """(count, E, 3): angles in half turns within their ranges, lengths over the longest."""
    generator = np.random.default_rng(seed)
    made = np.empty((count, skeleton.edges, 3))
    classes = naive.length_classes(skeleton)
    lengths = np.array([generator.uniform(*edge.length, count) for edge in skeleton.ranges])
    first, second = np.empty((2, count, skeleton.edges))
    for e in range(skeleton.edges):
        for which, angles in enumerate((first, second)):
            angles[:, e] = generator.uniform(*range_left(skeleton, e, which, first, second))
        made[:, e, 2] = lengths[classes.index(classes[e])]
    made[:, :, :2] = (np.stack([first, second], axis=-1) / 180 + 1) % 2 - 1
    made[:, :, 2] /= made[:, :, 2].max(axis=1, keepdims=True)
    return made.astype(np.float32)


def individuals(genes: NDArray[np.float32], edges: int) -> list[naive_evolution.Individual]:
    """Rows of genes as the twin has them."""
    made = []
    for row in genes.astype(float):
        angles = [(180 * row[e], 180 * row[edges + e]) for e in range(edges)]
        made.append(naive_evolution.Individual(angles, row[2 * edges : 3 * edges].tolist(), tuple(row[3 * edges :])))
    return made
