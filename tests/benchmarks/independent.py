"""What the benchmarks that make or judge samples in another way are written for."""

from posesynth.skeleton import Skeleton


def refuse_dependence(skeleton: Skeleton) -> None:
    """End the benchmark unless each angle is drawn by itself, uniform in one range in the world frame."""
    plain = all(r.frame == "world" and r.given == (None, None) for r in skeleton.ranges)
    if not plain or skeleton.sampling.angles != "independent" or skeleton.sampling.usual > 0:
        raise SystemExit(f"error: {skeleton.name}: expected independent angles, all given in the world frame")
