"""Speed and memory, side by side with what a user would take instead: ``python -m tests.benchmarks``."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the slow twins, as pytest has it
