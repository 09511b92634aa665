"""What all tests share: where compiled kernels are kept, and how hard Hypothesis tries."""

import hashlib
import os
from pathlib import Path

from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]


def _kernel_cache() -> Path:
    """A directory of compiled kernels that belongs to exactly these sources.

    Numba looks only at the file that holds a kernel, not at those whose functions it calls, so after an edit
    elsewhere it would run the old machine code.
    """
    digest = hashlib.sha256()
    for path in sorted((ROOT / "posesynth").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return ROOT / ".numba_cache" / digest.hexdigest()[:16]


# Before anything imports numba; the processes that tests start inherit it.
os.environ.setdefault("NUMBA_CACHE_DIR", str(_kernel_cache()))

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")
