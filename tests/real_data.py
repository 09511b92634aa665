"""Real motion and files, for tests that only they can make; a user's checkout has none."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("POSESYNTH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SAMPLES = DATA / "format_samples"

real = pytest.mark.skipif(not DATA.is_dir(), reason="no real data beside the checkout (POSESYNTH_DATA)")
