"""What all tests share: where compiled kernels are kept, and how hard Hypothesis tries."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from shared_between_workers import made_once

ROOT = Path(__file__).resolve().parents[1]

# Compiled kernels stay in the checkout.  Before anything imports numba; the processes that tests start inherit it.
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".numba_cache"))

# The suite runs on all cores already: threads of PyTorch's in each worker would stand in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the suite in the background has it ignore Ctrl-C, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def image_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All image stages of the debug preset, trained on synthetic quadrupeds and hardly validated."""
    torch = pytest.importorskip("torch")
    for module in ("lightning_fabric", "safetensors", "PIL"):
        pytest.importorskip(module)
    from lifter.image_config import PRESETS
    from lifter.images import training as image_training

    def train(out: Path) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(image_training, "VALIDATION_IMAGES", 4)
            for config in PRESETS["debug"].values():
                image_training.train_stage(config, out)
        torch.set_num_threads(threads)

    return made_once(tmp_path_factory, "image-run", train)


@pytest.fixture(scope="module")
def quick_stages() -> Iterator[None]:
    """Stages of training on images that are logged and validated every other step, on one thread."""
    torch = pytest.importorskip("torch")
    from lifter.images import training as image_training

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"LOG_EVERY": 2, "VALIDATE_EVERY": 2, "VALIDATION_IMAGES": 5}.items():
            patch.setattr(image_training, name, value)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(quick_stages: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages of TINY, which nothing interrupted."""
    from image_folders import TINY

    from lifter.image_config import STAGES
    from lifter.images.training import train_stage

    out = tmp_path_factory.mktemp("whole")
    for stage in STAGES:
        train_stage(TINY.with_values(stage=stage), out)
    return out


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of plain images."""
    from image_folders import plain

    return plain(tmp_path_factory.mktemp("pictures"))
