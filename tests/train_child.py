"""A process that forks `lifter` commands for each line it reads, so that torch is imported once.

A line is JSON: ``[{"args": [...], "err": FILE, "env": {...}, "faster": {...}, "record": FILE}, ...]``, the commands
that run beside each other.  faster: constants of lifter.training; record: where the samples that were trained on and
the last weights go.
"""

import contextlib
import json
import os
import sys
from typing import Any

import numpy as np
import torch

from lifter import training
from lifter.cli import main as lifter_main

Command = dict[str, Any]


def recording(path: str, kind: Any) -> Any:
    """A step that writes what it was given, and what it came to, at its last `state`."""

    class Recording(kind):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.seen: list[torch.Tensor] = []

        def __call__(self, batch: Any, step: int) -> None:
            self.seen.append(batch.p2d.clone())
            super().__call__(batch, step)

        def state(self) -> dict[str, torch.Tensor]:
            if self.seen:
                weights = {name: weight.detach().numpy() for name, weight in self.net.named_parameters()}
                frozen = getattr(self.net, "stages", [])[:-1]
                buffers = {
                    f"frozen{k}.{name}": b.numpy()
                    for k, stage in enumerate(frozen)
                    for name, b in stage.named_buffers()
                }
                np.savez(path, p2d=torch.stack(self.seen).numpy(), **weights, **buffers)
            found: dict[str, torch.Tensor] = super().state()
            return found

    return Recording


def run(command: Command) -> int:
    with open(command["err"], "ab", buffering=0) as err:
        os.dup2(err.fileno(), 1)
        os.dup2(err.fileno(), 2)
    os.environ.update(command.get("env", {}))
    for name, value in command.get("faster", {}).items():
        setattr(training, name, value)
    if "record" in command:
        training.Step = recording(command["record"], training.Step)  # type: ignore[misc]
        training.CascadeStep = recording(command["record"], training.CascadeStep)  # type: ignore[misc]
    try:
        lifter_main(command["args"])
    except SystemExit as leave:
        return int(leave.code or 0)
    return 0


def main() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        children = []
        for command in json.loads(line):
            child = os.fork()
            if not child:
                code = 99
                with contextlib.suppress(BaseException):
                    code = run(command)
                os._exit(code)
            children.append(child)
        print(*children, flush=True)
        print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)


if __name__ == "__main__":
    main()
