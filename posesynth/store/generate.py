"""Writing a data set: `generate`, which starts, resumes and mends alike, and the pure `write_shard` it repeats."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from multiprocessing import get_context, parent_process
from typing import Any

from posesynth.errors import InputError, shown
from posesynth.sampler import cores
from posesynth.store.folder import BusyError
from posesynth.store.manifest import ShardRecord
from posesynth.store.plan import Plan, check_stream, difference, plan_of
from posesynth.store.target import HDF5_ENDINGS, ForeignError, Target, target

Progress = Callable[[int], object]


@dataclass(frozen=True)
class Summary:
    """What a run of `generate` did, in shards; `complete`: the set is whole."""

    written: int
    reused: int
    complete: bool


def write_shard(plan: Plan, out: str | os.PathLike[str], k: int, threads: int = 1) -> ShardRecord:
    """Make shard k of a set that `generate` has begun and write it, whole and durable.

    Depends on nothing but its arguments, so any thread, process or machine that sees `out` may do it, twice too.
    """
    return target(out).write(plan, k, threads)


def generate(
    plan: Plan,
    out: str | os.PathLike[str],
    *,
    workers: int = 1,
    shards: tuple[int, int] | None = None,
    executor: Executor | None = None,
    in_flight: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Write the set of `plan` at `out` (ending in .zarr, .h5 or .hdf5), or go on where an earlier run ended.

    Shards that are there are kept if their bytes have the digest of the journal or manifest, and made again if not;
    a finished set is checked in the same way.  The result does not depend on how it was reached.

    workers: processes; 1 uses threads of this one, more need a script with ``if __name__ == "__main__"``.  shards:
    only shards A..B-1 of (A, B), for job arrays; the job that finds all of them written makes the set whole.
    executor: runs `write_shard` elsewhere, with at most in_flight shards at a time.  progress: called with the number
    of samples of each shard that is done.
    Raises InputError: another set or something else is at `out`, too little space, a write fails.  What is written
    stays, and the same call goes on from there; so too after KeyboardInterrupt or SystemExit.
    """
    place = target(out)
    check_stream(plan, place.where)
    plan = _as_begun(plan, place)
    _check_options(plan, place, workers, shards)
    with as_input_error(place, plan):
        _check_outside(place)
        _check_same(plan, place)
        _check_space(plan, place)
        with place.lock(shared=shards is not None):
            _check_same(plan, place)
            place.prepare(plan, alone=shards is None)
            records = _sound(plan, place, shards, progress)
            reused = len(records)
            todo = [k for k in range(*(shards or (0, plan.shards))) if k not in records]
            with _pool(executor, workers, in_flight, len(todo)) as (pool, limit, threads):
                for record in _write_all(plan, place, pool, limit, threads, todo):
                    records[record.k] = record
                    if progress:
                        progress(record.stop - record.start)
            if shards is None:
                place.finish(plan, records)
        complete = shards is None or _finish_together(plan, place)
    return Summary(len(todo), reused, complete)


def _check_options(plan: Plan, place: Target, workers: int, shards: tuple[int, int] | None) -> None:
    faults = []
    if not 1 <= workers <= 1024:
        faults.append(f"workers: is {workers}; expected 1 to 1024")
    if shards is not None:
        if place.where.endswith(HDF5_ENDINGS):
            faults.append("shards: an HDF5 file is written by one run; expected a path ending in .zarr")
        elif not 0 <= shards[0] < shards[1] <= plan.shards:
            faults.append(f"shards: is {shards[0]}:{shards[1]}; expected A:B with 0 <= A < B <= {plan.shards}")
    if faults:
        raise InputError(*faults)


def _check_outside(place: Target) -> None:
    """InputError inside another set, of which the new files would be no part."""
    above = place.where if "://" in place.where else os.path.realpath(os.path.dirname(place.where))
    while "/" in above.strip("/"):
        if above != place.where and above.endswith(".zarr"):
            with suppress(ForeignError):
                if target(above).identity() is not None:
                    raise InputError(f"{place.where}: lies inside the data set {above}; expected a path outside it")
        above = above.rpartition("/")[0]


def _as_begun(plan: Plan, place: Target) -> Plan:
    """The plan with the text of the skeleton in the set that is there, where the two have the same meaning.

    A comment that was changed meanwhile stops no run; the set keeps the text that it was begun with.
    """
    with suppress(InputError, OSError):
        if there := place.identity():
            begun = plan_of(there, place.where).skeleton
            if begun.digest == plan.skeleton.digest:
                return replace(plan, skeleton=begun)
    return plan


def _check_same(plan: Plan, place: Target) -> None:
    try:
        there = place.identity()
    except ForeignError as error:
        raise InputError(f"{error}; expected a path where nothing is yet") from None
    if there is None:
        return
    field = difference(plan.identity, there)
    if field:
        name, theirs, ours = _unlike(field, there.get(field), plan.identity.get(field))
        raise InputError(
            f"{place.found_at}: {name}: is {shown(theirs)} in the set that is there and {shown(ours)} in this one; "
            "expected the same, or another path"
        )


def _unlike(name: str, theirs: object, ours: object) -> tuple[str, object, object]:
    """The first place where two values of a field differ: a key of a mapping, a line of a text."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in ours:
            if theirs.get(key) != ours[key]:
                return _unlike(f"{name}.{key}", theirs.get(key), ours[key])
    if isinstance(theirs, str) and isinstance(ours, str):
        for line, pair in enumerate(zip_longest(theirs.splitlines(), ours.splitlines()), 1):
            if pair[0] != pair[1] and "\n" in ours:
                theirs, ours = (text or "" for text in pair)
                here = max(0, len(os.path.commonprefix([theirs, ours])) - 20)  # noqa: RUF071 - it is characters that are compared
                return f"{name}: line {line}", theirs[here:], ours[here:]
    return name, theirs, ours


def space(plan: Plan, out: str | os.PathLike[str]) -> tuple[int, int | None]:
    """Bytes that `generate` still needs at `out`, and bytes that are free there (None: no telling)."""
    place = target(out)
    with as_input_error(place, plan):
        return place.space_needed(plan), place.free()


def _check_space(plan: Plan, place: Target) -> None:
    needed, free = place.space_needed(plan), place.free()
    if free is not None and free < needed:
        raise InputError(
            f"{place.where}: needs {size(needed)} ({needed} bytes), but {size(free)} ({free} bytes) are free; "
            "expected more space, another path, a smaller n, or float16"
        )


def _sound(
    plan: Plan, place: Target, shards: tuple[int, int] | None, progress: Progress | None
) -> dict[int, ShardRecord]:
    wanted = range(*(shards or (0, plan.shards)))
    claims = [record for k, record in sorted(place.claims(plan).items()) if k in wanted]
    records = {}
    with ThreadPoolExecutor(cores()) as pool:
        for record, sound in zip(claims, pool.map(lambda r: place.is_sound(plan, r), claims), strict=True):
            if sound:
                records[record.k] = record
                if progress:
                    progress(record.stop - record.start)
    return records


@contextmanager
def _pool(
    executor: Executor | None, workers: int, in_flight: int | None, todo: int
) -> Iterator[tuple[Executor, int, int]]:
    """An executor, how many shards it is given at a time, and the threads that make each."""
    if executor is not None:
        yield executor, in_flight or 2 * cores(), 1
    elif workers > 1:
        count = min(workers, max(todo, 1))
        with _Processes(count, get_context("spawn"), initializer=_in_worker) as processes:
            yield processes, count, 1
    else:
        # One more than cores, for while some wait for the disk.
        count = max(1, min(cores() + 1, todo))
        with ThreadPoolExecutor(count) as pool:
            yield pool, count, max(1, cores() // count)


class _Processes(ProcessPoolExecutor):
    """Processes that Ctrl-C does not reach, from their first moment on; `submit` is what starts them."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See `Executor`."""
        with _interrupts_held():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM come at the end of it; a process that is started meanwhile inherits that Ctrl-C is blocked."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where signals are not handled
        return
    held: list[int] = []
    # Blocked for this thread only: another may take the signal, and Python calls the handler here all the same.
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda number, _: held.append(number)) for number in numbers]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def _in_worker() -> None:
    # The parent handles Ctrl-C; SIGTERM may come to both, and leaves nothing half-written.  A worker whose parent was
    # killed must not write on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write_all(
    plan: Plan, place: Target, pool: Executor, limit: int, threads: int, todo: list[int]
) -> Iterator[ShardRecord]:
    running: set[Future[ShardRecord]] = set()
    waiting = iter(todo)
    try:
        while True:
            for k in waiting:
                running.add(pool.submit(write_shard, plan, place.where, k, threads))
                if len(running) >= limit:
                    break
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        for future in running:
            future.cancel()
        wait(running)


def _finish_together(plan: Plan, place: Target) -> bool:
    # The last job of an array to end finds itself alone and all shards written.
    try:
        with place.lock(shared=False):
            records = place.claims(plan)
            if len(records) == plan.shards:
                place.finish(plan, records)
    except BusyError:
        pass  # another job still works here and will come by
    return place.is_complete()


@contextmanager
def as_input_error(place: Target, plan: Plan | None = None) -> Iterator[None]:
    """Turn what the system refuses into one clear line; with a plan, on a full disk, how much is needed and free."""
    try:
        yield
    except BrokenProcessPool:
        raise InputError(
            f"{place.where}: a worker process died (out of memory, or a script without if __name__ == '__main__'?); "
            "the same command again goes on from what is there"
        ) from None
    except MemoryError:
        raise InputError(f"{place.where}: not enough memory; expected a smaller shard") from None
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            reason = "cannot be found: there is no such folder; expected one that exists"
        elif plan is None:
            reason = f"cannot be read ({error.strerror or error})"
        else:
            left = _space_left(place, plan) if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            reason = f"cannot be written ({error.strerror or error}){left}"
        raise InputError(f"{place.where}: {reason}") from None


def _space_left(place: Target, plan: Plan) -> str:
    try:
        needed, free = place.space_needed(plan), place.free()
    except (OSError, InputError):
        return ""
    return f"; {needed} bytes are still needed and {free} are free; the same command again goes on from what is there"


def size(nbytes: int) -> str:
    """A number of bytes for people: 7.7 GB."""
    amount = float(nbytes)
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if amount < 999.5 or unit == "PB":
            break
        amount /= 1000
    return f"{nbytes} bytes" if unit == "bytes" else f"{amount:.3g} {unit}"
