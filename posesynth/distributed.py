"""The plan of shards on a Dask cluster: `generate`.

A task is one whole shard.  It depends on nothing but the plan, the path and the shard's number, so it does not matter
on which worker it runs, or whether it runs twice because a worker died, or was thought to have died.  Only the client
writes the manifest, when it has every shard's record.

Plans and records travel as JSON, so a worker with another version of posesynth says so instead of failing to unpickle.
"""

import asyncio
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, InvalidStateError
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from posesynth import store
from posesynth.errors import InputError
from posesynth.store.folder import Folder
from posesynth.store.manifest import ShardRecord, read_record
from posesynth.store.plan import Plan, check_stream, plan_of
from posesynth.store.target import target
from posesynth.store.zarr_set import ZarrSet

CONNECT = 5.0
"""Seconds to wait for the scheduler."""

WORKERLESS = 300.0
"""Seconds for which the cluster may be without any worker: a batch system takes its time to start one."""

_IN_FLIGHT = 512  # tasks that the scheduler knows of at a time


def generate(
    plan: Plan,
    out: str | os.PathLike[str],
    scheduler: str,
    *,
    shards: tuple[int, int] | None = None,
    progress: Callable[[int], object] | None = None,
) -> store.Summary:
    """`posesynth.store.generate` with the shards written by the workers of a Dask cluster; the bytes are the same.

    scheduler: its address, such as "tcp://10.0.0.1:8786".  out: ends in .zarr; a directory that the workers see under
    the same path, or an s3:// URL.  shards, progress: as for `posesynth.store.generate`.
    Raises InputError also where no scheduler answers, no worker comes, or a worker has another version of the stream
    or does not see `out`; what is written stays, and the same call goes on from there.
    """
    where = os.fspath(out)
    if "://" not in where:
        where = os.path.abspath(where)  # a worker has its own working directory
    folder = _folder(where)
    with _connected(scheduler) as client:
        crew = _Crew(client, folder)
        try:
            return store.generate(plan, where, shards=shards, executor=crew, in_flight=_IN_FLIGHT, progress=progress)
        finally:
            crew.close()


def write_shard(identity: str, where: str, k: int, token: str) -> dict[str, Any]:
    """What a worker does: {"record": of shard k} once it is written, or {"faults": lines}.

    identity: a plan's, as JSON.  token: a file that the client has put beside the set.
    """
    from distributed import get_worker

    worker = get_worker().address
    try:
        plan = plan_of(json.loads(identity), f"dask: worker {worker}")
        check_stream(plan, f"dask: worker {worker}")
        folder = _folder(where)
        if folder.read(token) is None:
            raise InputError(
                f"{where}: worker {worker} does not see the set there; "
                "expected a directory that the workers share with this machine, or an s3:// URL"
            )
        return {"record": ZarrSet(folder).write(plan, k).json}
    except InputError as error:
        return {"faults": error.lines}
    except OSError as error:
        return {"faults": [f"{where}: worker {worker} cannot write it ({error.strerror or error})"]}


def _task() -> Callable[..., dict[str, Any]]:
    """`write_shard`, found by name only when it runs: a worker dies of a task whose function it cannot import."""

    def write(*args: Any) -> dict[str, Any]:
        return import_module("posesynth.distributed").write_shard(*args)  # type: ignore[no-any-return]

    return write  # defined in here, it travels as its code


def _folder(where: str) -> Folder:
    place = target(where)
    if not isinstance(place, ZarrSet):
        raise InputError("dask: an HDF5 file is written by one machine; expected a path ending in .zarr")
    return place.folder


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        import dask
        from distributed import Client
    except ImportError:
        raise InputError("dask: needs Dask; pip install 'posesynth[dask]'") from None
    if not _is_scheduler(address):
        raise InputError(
            f"dask: no scheduler answers at {address[:80]!r}; expected the address that `dask scheduler` prints, "
            "such as tcp://HOST:8786"
        )
    # By default, who asks a dead scheduler for a result waits for half a minute.
    connect = dask.config.set({"distributed.comm.timeouts.connect": f"{2 * CONNECT} s"})
    with connect, _quiet(), Client(address, timeout=CONNECT, set_as_default=False) as client:
        # A client that closes while a message waits to be sent leaves a future behind, which the loop would report.
        client.loop.asyncio_loop.set_exception_handler(lambda loop, context: None)
        yield client


def _is_scheduler(address: str) -> bool:
    """Whether a scheduler answers there.  A Client that finds none, or something else, leaves tracebacks behind."""
    from distributed.core import rpc
    from distributed.security import Security

    async def ask() -> bool:
        async with rpc(address, timeout=CONNECT, connection_args=Security().get_connection_args("client")) as peer:
            return bool((await peer.identity())["type"] == "Scheduler")

    async def ask_in_time() -> bool:
        return await asyncio.wait_for(ask(), CONNECT)

    try:
        return asyncio.run(ask_in_time())
    except Exception:  # what else may listen there, and what it says, is beyond listing
        return False


@contextmanager
def _quiet() -> Iterator[None]:
    """A lost connection is one error line of ours, not a traceback of Dask's."""
    log = logging.getLogger("distributed.client")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


class _Crew(Executor):
    """An executor that runs `posesynth.store.write_shard`, and nothing else, on the workers of a cluster."""

    def __init__(self, client: Any, folder: Folder) -> None:
        self._client = client
        self._folder = folder
        # Named as something that an interrupted run left behind, which it is if this client is killed.
        self._token = f".dask.{secrets.token_hex(8)}.partial"
        self._pending: dict[Future[ShardRecord], Any] = {}
        self._ended = threading.Event()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have shard k of (plan, where, k, threads) written."""
        plan, where, k = args[:3]
        if not self._pending and self._folder.read(self._token) is None:
            self._folder.put(self._token, b"Workers that see this file see the set.\n")
            threading.Thread(target=self._watch, daemon=True).start()
        outcome: Future[ShardRecord] = Future()
        key = f"posesynth{self._token.removesuffix('.partial')}-{k}"
        task = self._client.submit(_task(), json.dumps(plan.identity), where, k, self._token, key=key, pure=False)
        self._pending[outcome] = task
        outcome.add_done_callback(self._forget)
        task.add_done_callback(lambda task: self._settle(outcome, plan, k, task))
        return outcome

    def close(self) -> None:
        """No more shards."""
        self._ended.set()
        with suppress(OSError, InputError):
            self._folder.remove(self._token)

    def _settle(self, outcome: Future[ShardRecord], plan: Plan, k: int, task: Any) -> None:
        with suppress(InvalidStateError):  # given up already
            try:
                outcome.set_result(_record(plan, k, task))
            except Exception as error:
                outcome.set_exception(error)

    def _forget(self, outcome: Future[ShardRecord]) -> None:
        task = self._pending.pop(outcome, None)
        if outcome.cancelled():
            outcome.set_running_or_notify_cancel()  # wakes who waits for it
            with suppress(Exception):  # the scheduler may be gone
                task.cancel()

    def _watch(self) -> None:
        seen = time.monotonic()
        while not self._ended.wait(min(1.0, WORKERLESS / 4)):
            try:
                workers = self._client.nthreads()
            except Exception:
                return  # the connection is lost, which cancels all tasks
            if workers:
                seen = time.monotonic()
            elif time.monotonic() - seen > WORKERLESS:
                for outcome in list(self._pending):
                    with suppress(InvalidStateError):
                        outcome.set_exception(
                            InputError(
                                f"dask: the scheduler has had no worker for {WORKERLESS:g} seconds; "
                                "start some with `dask worker`; the same command again goes on from what is written"
                            )
                        )
                return


def _record(plan: Plan, k: int, task: Any) -> ShardRecord:
    """What a task that has ended brought, or an InputError."""
    if task.status == "cancelled":
        raise InputError("dask: lost the scheduler; the same command again goes on from what is written")
    error = task.exception() if task.status == "error" else None
    if error is None:
        answer = task.result()
        if "faults" in answer:
            raise InputError(*answer["faults"])
        return read_record(plan, answer["record"], "dask")
    kind = type(error).__name__
    if kind == "KilledWorker":
        raise InputError(
            f"dask: shard {k}: each worker that made it died, {error.allowed_failures + 1} in all (out of memory?); "
            "expected smaller shards, or more memory for each thread"
        )
    if isinstance(error, (ImportError, AttributeError)):
        raise InputError(f"dask: a worker has no posesynth like this one ({kind}: {error}); install it there")
    raise error
