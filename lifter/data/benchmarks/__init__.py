"""Benchmarks of 3D poses: `load_benchmark` reads Human3.6M, MPI-INF-3DHP, FreiHAND and RHD as their users keep them."""

from lifter.data.benchmarks.benchmark import Benchmark, Recording
from lifter.data.benchmarks.load import load_benchmark

__all__ = ["Benchmark", "Recording", "load_benchmark"]
