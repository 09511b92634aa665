"""EvoSkeleton's augmentation: from some poses many, by crossover, mutation and selection by the skeleton's ranges."""

from posesynth.evolution.ancestry import MOST_BYTES, Ancestry, Source, ancestry_of, genes_of, keep
from posesynth.evolution.population import GROWTH, LARGEST, grow, in_range, order_of_samples
from posesynth.evolution.samples import evolved_into

__all__ = [
    "GROWTH",
    "LARGEST",
    "MOST_BYTES",
    "Ancestry",
    "Source",
    "ancestry_of",
    "evolved_into",
    "genes_of",
    "grow",
    "in_range",
    "keep",
    "order_of_samples",
]
