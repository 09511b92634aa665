"""The log of a run: JSON lines, and the same numbers for TensorBoard where it is asked for.

Neither has a step twice: what an interrupted run had written beyond its checkpoint does not count.
"""

import json
import os
from typing import Any, Protocol

from posesynth.errors import InputError
from posesynth.store.folder import LocalFolder

Record = dict[str, Any]


class Log(Protocol):
    """Takes records: "step", "samples", losses and rates by name, sometimes "validation" with losses of its own."""

    def write(self, record: Record) -> None:
        """Add a record, whose step is larger than all before."""

    def close(self) -> None:
        """Have everything written."""


class JsonLog:
    """JSON lines in the file `path`, gone on with after step `first`."""

    def __init__(self, path: str, first: int) -> None:
        self._path = path
        if not os.path.exists(path):
            return
        kept = []
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    if line.endswith("\n") and json.loads(line)["step"] <= first:
                        kept.append(line)
                except (ValueError, KeyError, TypeError):
                    break
        folder, name = os.path.split(path)
        LocalFolder(folder).put(name, "".join(kept).encode())

    def write(self, record: Record) -> None:
        """See `Log`."""
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def close(self) -> None:
        """See `Log`: each line is written at once."""


class TensorBoardLog:
    """Event files in `folder`, gone on with after step `first`: TensorBoard drops what they hold beyond it."""

    def __init__(self, folder: str, first: int) -> None:
        self._writer = summary_writer()(folder, purge_step=first + 1)

    def write(self, record: Record) -> None:
        """See `Log`: losses as ``training/L_ed`` and ``validation/L_ed``, rates by their names."""
        step = record["step"]
        for name, value in record.items():
            if name == "validation":
                for loss, of_validation in value.items():
                    self._writer.add_scalar(f"validation/{loss}", of_validation, step)
            elif name in ("learning_rate", "samples_per_second"):
                self._writer.add_scalar(name, value, step)
            elif name not in ("step", "samples"):
                self._writer.add_scalar(f"training/{name}", value, step)
        self._writer.flush()

    def close(self) -> None:
        """See `Log`."""
        self._writer.close()


def summary_writer() -> Any:
    """PyTorch's writer of event files.  InputError where the extra is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("tensorboard: is not installed; expected pip install 'posesynth[tensorboard]'") from None
    return SummaryWriter
