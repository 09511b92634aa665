"""What a training run leaves in its folder."""

import json
from pathlib import Path
from typing import Any


def model_bytes(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
