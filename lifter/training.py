"""Training: a source of batches, a learner, a log, checkpoints; the same call again goes on where the last one ended.

OUT/config.yaml      the resolved configuration
OUT/log.jsonl        losses and rates, a line every LOG_EVERY steps
OUT/tensorboard/     the same for TensorBoard, if asked for
OUT/checkpoints/     the last two
OUT/model.*          the network, once it is trained; what `lifter.load` reads

`train` is the 2D-to-3D network's; `run` is the loop, of any `lifter.learner.Learner`.
"""

import errno
import fcntl
import logging
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric

from lifter.cascade_step import CascadeStep
from lifter.checkpoint import Checkpoints
from lifter.config import Config
from lifter.learner import Learner, NonFiniteError, learning_rate
from lifter.log import JsonLog, Log, TensorBoardLog, summary_writer
from lifter.run_config import RunConfig, read_config
from lifter.sources import LiveSource, Source
from lifter.step import Step
from posesynth.errors import InputError, shown
from posesynth.skeleton import Skeleton, load_skeleton

LOG_EVERY = 100
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EISDIR, errno.EIO)
VALIDATE_EVERY = 1000
VALIDATION_SAMPLES = 4096
CHECKPOINT_SECONDS = 60.0

_CONFIG = "config.yaml"

Batch = TypeVar("Batch")
Batches = Callable[[int, int, int], Iterator[Batch]]
"""(first step, steps, batch) -> the batches of those steps."""
Progress = Callable[[int, dict[str, float]], object]


@dataclass(frozen=True)
class Summary:
    """What a run came to.  validation: losses on samples that training never sees."""

    steps: int
    resumed: int  # steps that were done before this call
    samples: int
    seconds: float
    waiting: float
    validation: dict[str, float]


class Stopped(Exception):  # noqa: N818 - it is no error
    """A signal ended the run after a checkpoint, or came when it was all but done."""

    def __init__(self, number: int, step: int, steps: int) -> None:
        left = "the same command goes on from there" if step < steps else "that was its last, and the run is done"
        super().__init__(f"stopped after step {step}; {left}")
        self.number = number


def train(
    config: Config,
    out: str | os.PathLike[str],
    *,
    source: Source | None = None,
    progress: Progress | None = None,
    tensorboard: bool = False,
) -> Summary:
    """Train a network as `config` says, in the folder `out`; go on where an earlier call ended.

    source: where samples come from instead of the generator; then its skeleton counts.  progress: called with (step,
    losses).  tensorboard: write the log for TensorBoard, too, to OUT/tensorboard.  The model of `config.init` has the
    same joints, whatever its ranges.
    Raises InputError: another run is in `out`, a source that cannot feed the run, a loss that is not a number.
    Raises Stopped after SIGINT, SIGTERM or SIGUSR1; a second SIGINT ends at once.
    """
    if tensorboard:
        summary_writer()
    fabric = new_fabric(config)
    config, skeleton = _resolved(config, source, fabric)
    live = source or LiveSource(skeleton, config.seed, pin_memory=fabric.device.type == "cuda")

    def learner() -> Step:
        kind = CascadeStep if config.network == "cascade" else Step
        return kind(fabric, skeleton, config, LOG_EVERY, VALIDATION_SAMPLES)

    return run(fabric, config, out, learner, live.batches, progress, tensorboard, LOG_EVERY, VALIDATE_EVERY)


def run(
    fabric: Fabric,
    config: RunConfig,
    out: str | os.PathLike[str],
    new_learner: Callable[[], Learner[Batch]],
    batches_of: Batches[Batch],
    progress: Progress | None,
    tensorboard: bool,
    log_every: int,
    validate_every: int,
) -> Summary:
    """Train a learner in the folder `out`, or go on; `train` says how, and what it raises.

    log_every, validate_every: steps.
    """
    folder = os.fspath(out)
    with _locked(folder), _signals() as caught:
        _claim(config, folder)
        step = new_learner()
        checkpoints = Checkpoints(os.path.join(folder, "checkpoints"))
        first = _begin(step, checkpoints)
        batches = iter(batches_of(first, config.steps, config.batch))
        batch = next(batches) if first < step.steps else None  # compiles, which is no part of a step
        fabric.barrier()  # no rank looks at the folder any more
        if fabric.global_rank == 0:
            _save_config(config, folder)
        logs = _logs(folder, first, tensorboard and first < step.steps) if fabric.global_rank == 0 else []
        begun = saved = logged = time.monotonic()
        waiting, done, read, validation = 0.0, first, first, dict[str, float]()

        def save() -> None:
            state, facts = step.state(), _facts(config, step)
            if fabric.global_rank == 0:
                checkpoints.save(done, state, facts)
            fabric.barrier()

        try:
            while batch is not None:
                step(batch, done)
                done += 1
                stop, due = _together(fabric, caught, time.monotonic() - saved > CHECKPOINT_SECONDS)
                if done % log_every == 0 or done == step.steps or stop:
                    rows = step.read()
                    read = done
                    now = time.monotonic()
                    losses = dict(zip(step.losses, rows.mean(dim=0).tolist(), strict=True))
                    record: dict[str, Any] = {"step": done, "samples": done * config.batch, **losses}
                    record["learning_rate"] = learning_rate(config, done - 1)
                    record["samples_per_second"] = round(len(rows) * config.batch / max(now - logged, 1e-9), 1)
                    if done % validate_every == 0 or done == step.steps:
                        validation = step.validate(done)
                        record["validation"] = validation
                    for log in logs:
                        log.write(record)
                    logged = now
                    if progress:
                        progress(done, losses)
                if stop or done == step.steps or due:
                    save()
                    saved = time.monotonic()
                if stop and done < step.steps:
                    raise Stopped(stop, done, step.steps)
                before = time.monotonic()
                batch = next(batches) if done < step.steps else None
                waiting += time.monotonic() - before
        except NonFiniteError as error:
            raise _not_a_number(config, folder, _bad_step(step, error, read, done)) from None
        finally:
            for log in logs:
                log.close()
        spent = time.monotonic() - begun
        if not validation:
            validation = step.validate(done)
        if fabric.global_rank == 0:
            step.save(os.path.join(folder, "model.safetensors"), validation)
        fabric.barrier()
        if caught:  # too late to stop this run, but nothing may follow it
            raise Stopped(caught[0], done, done)
    return Summary(done, first, done * config.batch, spent, waiting, validation)


def new_fabric(config: RunConfig) -> Fabric:
    """The devices and the precision of a run."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells which precision it was asked for
    torch.set_float32_matmul_precision("highest" if config.precision == "32" else "high")
    torch.backends.cudnn.allow_tf32 = config.precision != "32"  # of convolutions, which the line above leaves as it is
    on_gpu = torch.cuda.is_available()
    bf16 = config.precision == "bf16" or (config.precision == "auto" and not on_gpu and _has_bf16())
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if ranks > 1 else 1,
        num_nodes=max(1, ranks // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))),
        strategy="ddp" if ranks > 1 else "auto",
        precision="bf16-mixed" if bf16 else "32-true",
    )
    fabric.launch()
    return fabric


def _has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 itself; where it does not, they are slower than float32."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())


def _resolved(config: Config, source: Source | None, fabric: Fabric) -> tuple[Config, Skeleton]:
    """The configuration with what the skeleton or the source decides, and the skeleton that is trained on."""
    if config.batch % fabric.world_size:
        raise InputError(f"batch: is {config.batch} for {fabric.world_size} ranks; expected a multiple of them")
    if source is not None:
        if fabric.world_size > 1:
            raise InputError(f"--from {source.name}: feeds one process; expected no torchrun, or the generator itself")
        skeleton = source.skeleton
        config = config.with_values(seed=source.seed, skeleton=skeleton.name)
    else:
        skeleton = load_skeleton(config.skeleton)
        sampling = skeleton.sampling
        # What the skeleton's own file asks for counts.
        skeleton = skeleton.with_sampling(
            noise=sampling.noise or config.noise, missing=sampling.missing or config.missing
        )
    return config.with_values(noise=skeleton.sampling.noise, missing=skeleton.sampling.missing), skeleton


def make_folder(folder: str) -> None:
    """The folder, if its parent is there: a mistyped path makes none."""
    try:
        with suppress(FileExistsError):
            os.mkdir(folder)
    except FileNotFoundError:
        raise InputError(f"{folder}: cannot be made: there is no folder to hold it; expected one that exists") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """The folder, made if its parent is there, kept from a second trainer (not from the other ranks of this one)."""
    make_folder(folder)
    try:
        file = os.open(os.path.join(folder, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    try:
        if os.environ.get("RANK", "0") == "0":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{folder}: another lifter train is at work here; wait for it, or stop it") from None
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    finally:
        os.close(file)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Signals ask for an end between two steps; a second SIGINT has its usual effect."""
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    try:
        before = {number: signal.signal(number, note) for number in wanted}
    except ValueError:  # not the main thread: whoever runs it there handles signals
        yield caught
        return
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _together(fabric: Fabric, caught: list[int], due: bool) -> tuple[int, bool]:
    """The signal that a rank has caught, or 0, and whether a checkpoint is due on one: all ranks do the same."""
    number = caught[0] if caught else 0
    if fabric.world_size == 1:
        return number, due
    both = torch.tensor([float(number), float(due)], device=fabric.device)
    number, due = fabric.all_reduce(both, reduce_op="max").tolist()  # type: ignore[union-attr]
    return int(number), bool(due)


def _claim(config: RunConfig, folder: str) -> None:
    """See that the folder is empty, or that the run that is there has the same configuration."""
    path = os.path.join(folder, _CONFIG)
    if not os.path.exists(path):
        strange = [name for name in os.listdir(folder) if name not in (".lock", _CONFIG + ".partial")]
        if strange:
            raise InputError(
                f"{folder}: holds {shown(strange[0])} and no run; expected a new or empty folder, or a run"
            )
        return
    there = read_config(path, config, paths_beside=False)
    for name in config.values():
        ours, theirs = getattr(config, name), getattr(there, name)
        if ours != theirs and not (name in config.TABLES.paths and _same_path(name, ours, theirs)):
            raise InputError(
                f"{path}: {name}: is {shown(theirs)} in the run that is there and {shown(ours)} in this one; "
                "expected the same, or another --out"
            )


def _same_path(name: str, ours: str, theirs: str) -> bool:
    """Whether two paths name one thing; a skeleton may have moved, as its digest tells it."""
    read = os.path.basename if name == "skeleton" else os.path.normpath
    return bool(ours) and bool(theirs) and read(ours) == read(theirs)


def _save_config(config: RunConfig, folder: str) -> None:
    """Say what the folder holds, once all that could be refused has been looked at."""
    path = os.path.join(folder, _CONFIG)
    if not os.path.exists(path):
        _replace(path, config.yaml())


def _logs(folder: str, first: int, tensorboard: bool) -> list[Log]:
    logs: list[Log] = [JsonLog(os.path.join(folder, "log.jsonl"), first)]
    if tensorboard:
        logs.append(TensorBoardLog(os.path.join(folder, "tensorboard"), first))
    return logs


def _replace(path: str, text: str) -> None:
    """A file of this text at `path`, whole or not at all."""
    try:
        with open(path + ".partial", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".partial", path)
    except OSError:
        with suppress(OSError):
            os.unlink(path + ".partial")
        raise


def _facts(config: RunConfig, step: Learner[Any]) -> dict[str, Any]:
    return {
        **step.facts,
        "init_sha256": step.begun_with,
        "config": config.yaml(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _begin(step: Learner[Any], checkpoints: Checkpoints) -> int:
    """Load the last checkpoint, or the weights to begin with; the step to go on with."""
    found = checkpoints.latest()
    if found is None:
        step.begin()
        return 0
    done, tensors, facts = found
    for name, fact in step.facts.items():
        if facts.get(name, "1" if name.endswith("_version") else None) != fact:  # 1 was not written down
            words = name.removesuffix("_digest").replace("_", " ")
            other = "other" if words.endswith("s") else "another"
            raise InputError(f"{checkpoints.folder}: were trained on {other} {words}; expected another --out")
    names = {name: tensor.shape for name, tensor in step.state().items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != names:
        raise InputError(f"{checkpoints.folder}: step {done}: are of another network; expected another --out")
    if facts.get("threads") != torch.get_num_threads() and step.device.type == "cpu":
        warnings.warn(
            f"the checkpoint was made with {facts.get('threads')} threads and this run has {torch.get_num_threads()}: "
            "it goes on, but not with the same last bits",
            stacklevel=2,
        )
    step.load(tensors)
    step.begun_with = facts.get("init_sha256")
    return done


def _bad_step(step: Learner[Any], error: NonFiniteError, read: int, done: int) -> int:
    """The first step whose loss is not a number; the last one where all are and only its weights are not."""
    offset = error.offset
    if offset is None:  # found in the weights, before the losses were next read
        try:
            step.read()
        except NonFiniteError as first:
            offset = first.offset
    return done - 1 if offset is None else read + offset


def _not_a_number(config: RunConfig, folder: str, bad: int) -> InputError:
    return InputError(
        f"{folder}: step {bad + 1}: the loss or a weight is not a number (samples {bad * config.batch} to "
        f"{(bad + 1) * config.batch - 1}); expected a lower learning_rate; the last checkpoint is kept"
    )
