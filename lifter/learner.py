"""What the trainer asks of whatever it trains, and what all of those share: the rate, the kept losses, Adam's state."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from lifter.run_config import RunConfig

WARM_UP = 0.1  # of the steps, for one-cycle
_FIRST = 0.04  # of the learning rate, for one-cycle

Batch_contra = TypeVar("Batch_contra", contravariant=True)


class Learner(Protocol[Batch_contra]):
    """Networks, an optimiser, and what a batch does to them; `lifter.step.Step` is one.

    losses: names of what `read` gives.  steps: how many the run has; it may become less when `validate` finds that the
    run's aim is reached.  device: where it computes.  facts: digests and versions of what it was made from; a
    checkpoint made from something else is refused.  begun_with: SHA-256 of the file of weights that the run began with.
    """

    begun_with: str | None

    @property
    def losses(self) -> tuple[str, ...]: ...

    @property
    def steps(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def facts(self) -> Mapping[str, str]: ...

    def begin(self) -> None:
        """Take the weights to begin with; not asked of a run that goes on."""

    def __call__(self, batch: Batch_contra, step: int) -> None:
        """Train on the batch of step `step`."""

    def read(self) -> Tensor:
        """(steps since the last call, losses), on the CPU.  NonFiniteError where one is not a number."""

    def state(self) -> dict[str, Tensor]:
        """All that a step changes, by name.  NonFiniteError rather than a state that cannot be gone on from."""

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a `state`."""

    def validate(self, done: int) -> dict[str, float]:
        """The losses, and what else is measured, after `done` steps on samples that training never sees."""

    def save(self, path: str, validation: dict[str, float]) -> None:
        """Write the network to a ``.safetensors`` file."""


class NonFiniteError(Exception):
    """A loss or a weight is not a number.  offset: steps since the losses were last read, None for a weight."""

    def __init__(self, offset: int | None = None) -> None:
        super().__init__(offset)
        self.offset = offset


class KeptLosses:
    """The losses of the last steps, on the device until somebody asks: each asking waits for it."""

    def __init__(self, steps: int, losses: int, device: torch.device) -> None:
        self._rows = torch.zeros(steps, losses, device=device)
        self._row = torch.zeros(1, dtype=torch.long, device=device)
        self._count = 0

    def add(self, losses: Tensor) -> None:
        """Keep those of one step; part of a CUDA graph."""
        with torch.no_grad():
            self._rows.index_copy_(0, self._row, losses[None])
            self._row += 1

    def count(self) -> None:
        """A step was made."""
        self._count += 1

    def rewind(self) -> None:
        """Forget what was added and not counted."""
        self._row.fill_(self._count)

    def read(self) -> Tensor:
        """See `Learner.read`."""
        rows = self._rows[: self._count].cpu()
        self._row.zero_()
        self._count = 0
        bad = (~torch.isfinite(rows).all(dim=1)).nonzero()
        if len(bad):
            raise NonFiniteError(int(bad[0]))
        return rows


def new_adam(parameters: Iterable[nn.Parameter], rate: float, device: torch.device) -> torch.optim.Adam:
    """Adam with the state that it would make at its first step, which may come after a resume.

    On a GPU it is one that a CUDA graph can hold.
    """
    trained, on_gpu = list(parameters), device.type == "cuda"
    first: Any = torch.tensor(rate, device=device) if on_gpu else rate
    adam = torch.optim.Adam(trained, lr=first, fused=True, capturable=on_gpu)
    for parameter in trained:
        adam.state[parameter] = {
            "step": torch.zeros((), device=device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return adam


def adam_state(adam: torch.optim.Optimizer, parameters: Iterable[tuple[str, nn.Parameter]]) -> dict[str, Tensor]:
    """Adam's tensors by the names of the parameters."""
    return {
        f"adam.{key}.{name}": tensor for name, parameter in parameters for key, tensor in adam.state[parameter].items()
    }


def all_finite(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors; NonFiniteError where one holds something else."""
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise NonFiniteError
    return tensors


def set_learning_rate(adam: torch.optim.Optimizer, config: RunConfig, step: int) -> None:
    """Give Adam the rate of a step; a CUDA graph knows it as a tensor."""
    rate = learning_rate(config, step)
    for group in adam.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def fastest(
    eager: Callable[[], None], fabric: Fabric, learner: Learner[Any], adam: torch.optim.Optimizer, kept: KeptLosses
) -> Callable[[], None]:
    """A learner's step, on one GPU as a CUDA graph, for launches cost most there.

    Capturing takes some steps, which are undone.
    """
    if fabric.device.type != "cuda" or fabric.world_size > 1:
        return eager
    before = {name: tensor.clone() for name, tensor in learner.state().items()}
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            eager()
            kept.rewind()
    torch.cuda.current_stream().wait_stream(side)
    adam.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        eager()
    learner.load(before)
    kept.rewind()
    return graph.replay


def learning_rate(config: RunConfig, step: int) -> float:
    """That of a step: constant, or up a half cosine for a tenth of the steps and down one to 0 for the rest."""
    if config.schedule == "constant":
        return config.learning_rate
    step, steps = config.phase(step)
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return config.learning_rate * (_FIRST + (1 - _FIRST) * (1 - math.cos(math.pi * step / warm)) / 2)
    return config.learning_rate * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2
