"""Learning curves of the paper's recipe and of the default, trained briefly: ``python -m tests.benchmarks.curves``.

CURVES_STEPS (default: 400) steps of 500 samples each, a few minutes on two cores.  The picture goes to
docs/images/curves.png.
"""

import os
import tempfile
from pathlib import Path

from lifter import training
from lifter.config import PRESETS
from lifter.draw import compare_curves

STEPS = int(os.environ.get("CURVES_STEPS", "400"))
POINTS = 16  # validations of a run
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "curves.png"


def main() -> None:
    training.LOG_EVERY = training.VALIDATE_EVERY = max(1, STEPS // POINTS)
    logs = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("paper", "default"):
            run = Path(folder) / name
            found = training.train(PRESETS[name].with_values(steps=STEPS), run)
            losses = ", ".join(f"{loss} {found.validation[loss]:.4f}" for loss in ("L_ed", "L_el", "L_sym"))
            print(f"{name}: {found.samples:,} samples in {found.seconds:.0f} s; validation {losses}", flush=True)
            logs[name] = run / "log.jsonl"
        compare_curves(logs, PICTURE)
    print(f"drawn: {PICTURE}")


if __name__ == "__main__":
    main()
