"""Runs of training on images: begun, refused, stopped, or called by the command."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from lifter import training
from lifter.cli import main
from lifter.image_config import STAGES
from lifter.images.training import train_stage
from posesynth.errors import InputError


def begun(whole: Path, out: Path, stage: str) -> Path:
    """A folder with the stages before `stage`."""
    for name in STAGES[: STAGES.index(stage)]:
        shutil.copytree(whole / name, out / name)
    return out


def refused(*args: Any, **more: Any) -> str:
    with pytest.raises(InputError) as caught:
        train_stage(*args, **more)
    (line,) = caught.value.lines
    assert len(line) <= 300
    return line


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    count = iter(range(1, 10**9))
    monkeypatch.setattr(training, "_together", lambda *_: (15 if next(count) == steps else 0, False))
