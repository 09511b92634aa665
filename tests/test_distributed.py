"""The plan of shards on a Dask cluster and in job arrays: the same bytes, whoever dies on the way."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from s3_server import BUCKET, s3_server
from store_contract import QUADRUPED, contents

import posesynth
from posesynth import InputError, cli
from posesynth.store import Plan, Summary, generate, verify, write_shard
from posesynth.store.folder import LocalFolder

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'posesynth[dask]'")

from posesynth import distributed

ROOT = Path(__file__).resolve().parents[1]

PLAN = Plan(QUADRUPED, seed=3, n=20_000, shard=2000)

# What a worker of these tests does when a part of the path asks for it.  Dask runs it more than once.
ODD = """
import os, posix, time
from posesynth import distributed
from posesynth.store import plan

if not hasattr(distributed, "as_it_is"):
    distributed.as_it_is = distributed.write_shard

def write_shard(identity, where, k, token):
    if "/fatal/" in where:
        os._exit(1)
    os.fsync = (lambda file: (time.sleep(0.05), posix.fsync(file))) if "/slow/" in where else posix.fsync
    plan.STREAM_VERSION = 2 if "/other-stream/" in where else 1
    return distributed.as_it_is(identity, where.replace("/shared/", "/own/"), k, token)

distributed.write_shard = write_shard
"""


def environment(**extra: str) -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **extra}


def wait_for(what: Any, seconds: float = 30.0) -> Any:
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)
    return found


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        # One dead worker, and not three, is enough to give a task up.
        environ = environment(
            DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0" if "alone" in str(folder) else "3",
            DASK_DISTRIBUTED__SCHEDULER__IDLE_TIMEOUT="2 minutes",  # should these tests be killed
        )
        address = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        self.scheduler = self._run("scheduler", *address, environ=environ)
        wait_for(lambda: file.exists() and file.stat().st_size)
        self.address = str(json.loads(file.read_text())["address"])

    def worker(self, path: Path | None = None) -> subprocess.Popen[bytes]:
        """A worker without a nanny: once killed it stays dead.  path: where it looks for packages first."""
        own = self.folder / f"worker-{len(self.processes)}"
        own.mkdir()
        preload = own / "odd.py"
        preload.write_text(ODD)
        args = [self.address, "--no-nanny", "--nthreads", "1", "--host", "127.0.0.1", "--local-directory", str(own)]
        environ = environment()
        if path is None:
            args += ["--preload", str(preload)]
        else:
            environ["PYTHONPATH"] = str(path) + os.pathsep + environ["PYTHONPATH"]
        return self._run("worker", *args, environ=environ)

    def wait_for_workers(self, count: int) -> None:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)

    def _run(self, what: str, *args: str, environ: dict[str, str]) -> subprocess.Popen[bytes]:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [sys.executable, "-m", "dask", what, "--no-dashboard", *args]
        process = subprocess.Popen(command, cwd=self.folder, env=environ, **quiet)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


@contextmanager
def cluster(folder: Path, workers: int = 0) -> Iterator[Cluster]:
    made = Cluster(folder)
    try:
        for _ in range(workers):
            made.worker()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler with two workers, which know a bucket."""
    with ExitStack() as stack:
        if find_spec("moto") and find_spec("obstore"):
            stack.enter_context(s3_server())  # a worker has the credentials that it was started with
        yield stack.enter_context(cluster(tmp_path_factory.mktemp("pair"), 2))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler without workers."""
    with cluster(tmp_path_factory.mktemp("alone")) as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digest of every file of the set that one process writes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    generate(PLAN, folder / "set.zarr")
    return contents(folder / "set.zarr")


def shards_of(path: Path) -> int:
    return len(list((path / ".journal").glob("[0-9]*")))


def test_a_cluster_writes_the_same_bytes(pair: Cluster, tmp_path: Path, undisturbed: dict[str, str]) -> None:
    seen: list[int] = []
    summary = distributed.generate(PLAN, tmp_path / "set.zarr", pair.address, progress=seen.append)
    assert summary == Summary(written=10, reused=0, complete=True)
    assert sum(seen) == PLAN.n
    assert contents(tmp_path / "set.zarr") == undisturbed
    again = distributed.generate(PLAN, tmp_path / "set.zarr", pair.address)
    assert again == Summary(written=0, reused=10, complete=True)
    assert contents(tmp_path / "set.zarr") == undisturbed


def test_the_command_runs_on_a_cluster_from_any_directory(
    pair: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = ["-s", "quadruped", "--n", "20000", "--shard", "2000", "--seed", "3"]
    with pytest.raises(SystemExit) as leave:
        cli.main(["generate", *plan, "--out", "set.zarr", "--dask", pair.address])
    assert not leave.value.code
    assert contents(tmp_path / "set.zarr") == undisturbed


def test_a_run_on_a_cluster_goes_on_from_a_local_one(
    pair: Cluster, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    generate(PLAN, tmp_path / "set.zarr", shards=(2, 5))
    assert distributed.generate(PLAN, tmp_path / "set.zarr", pair.address).reused == 3
    assert contents(tmp_path / "set.zarr") == undisturbed


def test_a_part_of_the_shards_on_a_cluster(pair: Cluster, tmp_path: Path, undisturbed: dict[str, str]) -> None:
    path = tmp_path / "set.zarr"
    assert distributed.generate(PLAN, path, pair.address, shards=(6, 10)) == Summary(4, 0, complete=False)
    assert not (path / "manifest.json").exists()
    assert distributed.generate(PLAN, path, pair.address, shards=(0, 6)) == Summary(6, 0, complete=True)
    assert contents(path) == undisturbed


def test_a_bucket_is_shared_by_all_workers(pair: Cluster) -> None:
    pytest.importorskip("obstore", reason="obstore is not installed: pip install 'posesynth[s3]'")
    pytest.importorskip("moto", reason="moto is not installed: no S3 server to test with")
    path = f"s3://{BUCKET}/set.zarr"
    assert distributed.generate(PLAN, path, pair.address) == Summary(10, 0, complete=True)
    assert verify(path).good


def test_a_killed_worker_changes_nothing(pair: Cluster, tmp_path: Path, undisturbed: dict[str, str]) -> None:
    path = tmp_path / "slow" / "set.zarr"
    path.parent.mkdir()
    victim = pair.worker()
    pair.wait_for_workers(3)

    def progress(samples: int) -> None:
        if shards_of(path) >= 3:
            victim.kill()

    assert distributed.generate(PLAN, path, pair.address, progress=progress) == Summary(10, 0, complete=True)
    assert victim.wait() == -signal.SIGKILL
    assert contents(path) == undisturbed


@pytest.mark.long
def test_five_killed_workers_change_nothing(tmp_path: Path) -> None:
    plan = Plan(QUADRUPED, seed=3, n=20_000, shard=500)
    path = tmp_path / "slow" / "set.zarr"
    path.parent.mkdir()
    with cluster(tmp_path, 6) as made:
        made.wait_for_workers(6)
        victims = made.processes[2:]

        def progress(samples: int) -> None:
            if victims and shards_of(path) >= 4 * (6 - len(victims)):
                time.sleep(random.uniform(0, 0.05))
                victims.pop().kill()

        assert distributed.generate(plan, path, made.address, progress=progress) == Summary(40, 0, complete=True)
        assert not victims
    generate(plan, tmp_path / "local.zarr")
    assert contents(path) == contents(tmp_path / "local.zarr")


@pytest.mark.parametrize("killed", ["scheduler", "client", "client by Ctrl-C"])
def test_what_a_dead_scheduler_or_client_leaves_is_gone_on_from(
    pair: Cluster, tmp_path: Path, undisturbed: dict[str, str], killed: str
) -> None:
    path = tmp_path / "slow" / "set.zarr"
    path.parent.mkdir()
    with ExitStack() as stack:
        made = pair if killed != "scheduler" else stack.enter_context(cluster(tmp_path, 1))
        command = [sys.executable, "-m", "posesynth", "generate", "-s", "quadruped", "--n", "20000", "--shard", "2000"]
        command += ["--seed", "3", "--out", str(path), "--dask", made.address]
        client = stack.enter_context(
            subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        )
        wait_for(lambda: shards_of(path) >= 2)
        victim = made.scheduler if killed == "scheduler" else client
        victim.send_signal(signal.SIGINT if killed == "client by Ctrl-C" else signal.SIGKILL)
        begun = time.monotonic()
        report = client.communicate(timeout=30)[1]
        assert time.monotonic() - begun < 15
    if killed == "scheduler":
        assert client.returncode == 2
        assert report == "error: --dask: lost the scheduler; the same command again goes on from what is written\n"
        summary = generate(PLAN, path)
    else:
        assert killed == "client" or report.strip() == f"stopped; the same command goes on from what is in {path}"
        summary = distributed.generate(PLAN, path, made.address)
    assert summary.reused >= 2
    assert summary.complete
    assert contents(path) == undisturbed


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "", "tcp://nowhere.invalid:8786", "x://y:1"])
def test_where_no_scheduler_answers_one_line_says_so_soon(
    tmp_path: Path, address: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "CONNECT", 0.5)
    begun = time.monotonic()
    with pytest.raises(SystemExit) as leave:
        cli.main(["generate", "-s", "quadruped", "--n", "100", "--out", str(tmp_path / "set.zarr"), "--dask", address])
    assert time.monotonic() - begun < 5
    assert leave.value.code == 2
    line = capfd.readouterr().err.strip().rpartition("\n")[2]
    assert line.startswith(f"error: --dask: no scheduler answers at '{address}'; expected the address")
    assert not (tmp_path / "set.zarr").exists()


def test_something_else_that_listens_is_no_scheduler(tmp_path: Path) -> None:
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(InputError, match="no scheduler answers"):
            distributed.generate(PLAN, tmp_path / "set.zarr", f"tcp://127.0.0.1:{server.getsockname()[1]}")
        thread.join()


def test_without_dask_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'posesynth\[dask\]'"):
        distributed.generate(PLAN, tmp_path / "set.zarr", "tcp://127.0.0.1:9")


def test_an_hdf5_file_is_not_written_by_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a path ending in \.zarr"):
        distributed.generate(PLAN, tmp_path / "set.h5", "tcp://127.0.0.1:9")


@pytest.mark.parametrize("there", ["nothing", "an empty directory", "the same set"])
def test_a_directory_that_a_worker_does_not_share_is_told(pair: Cluster, tmp_path: Path, there: str) -> None:
    path = tmp_path / "shared" / "set.zarr"
    path.parent.mkdir()
    own = tmp_path / "own" / "set.zarr"
    if there != "nothing":
        own.mkdir(parents=True)
    if there == "the same set":
        generate(PLAN, own, shards=(0, 1))
    with pytest.raises(InputError, match="does not see the set there") as error:
        distributed.generate(PLAN, path, pair.address)
    assert len(error.value.lines) == 1
    assert not (path / "manifest.json").exists()
    assert not list(path.glob(".dask*"))
    assert there == "the same set" or not list(own.glob("*/*"))


def test_a_worker_of_another_stream_is_told(pair: Cluster, tmp_path: Path) -> None:
    (tmp_path / "other-stream").mkdir()
    with pytest.raises(InputError, match=r"worker tcp://127.*: stream_version: is 1; .* of 2"):
        distributed.generate(PLAN, tmp_path / "other-stream" / "set.zarr", pair.address)


def test_a_worker_without_posesynth_is_told(alone: Cluster, tmp_path: Path) -> None:
    (tmp_path / "posesynth").mkdir()
    (tmp_path / "posesynth" / "__init__.py").write_text("")
    with alone.worker(path=tmp_path) as worker:
        with pytest.raises(InputError, match=r"dask: a worker has no posesynth like this one \(ModuleNotFoundError"):
            distributed.generate(PLAN, tmp_path / "set.zarr", alone.address)
        worker.kill()


def test_a_shard_that_kills_workers_is_told(alone: Cluster, tmp_path: Path) -> None:
    (tmp_path / "fatal").mkdir()
    with alone.worker(), pytest.raises(InputError, match=r"shard \d+: each worker that made it died"):
        distributed.generate(PLAN, tmp_path / "fatal" / "set.zarr", alone.address)


def test_a_cluster_without_workers_is_told(alone: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "WORKERLESS", 0.5)
    with pytest.raises(InputError, match=r"no worker for 0\.5 seconds"):
        distributed.generate(PLAN, tmp_path / "set.zarr", alone.address)


def test_a_shard_may_be_written_again_at_any_time(pair: Cluster, tmp_path: Path, undisturbed: dict[str, str]) -> None:
    path = tmp_path / "set.zarr"

    def progress(samples: int) -> None:
        write_shard(PLAN, path, 4)

    distributed.generate(PLAN, path, pair.address, progress=progress)
    write_shard(PLAN, path, 7)
    assert contents(path) == undisturbed


def test_jobs_of_an_array_in_any_order_make_one_set(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    path = tmp_path / "set.zarr"
    ranges = ["7:10", "0:2", "5:7", "2:5"]
    with ExitStack() as stack:
        jobs = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "posesynth", "generate", "-s", "quadruped", "--n", "20000", "--seed", "3",
                     "--shard", "2000", "--out", str(path), "--shards", part],
                    env=environment(), stderr=subprocess.PIPE,
                )
            )
            for part in ranges
        ]  # fmt: skip
        reports = [job.communicate(timeout=60)[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0] * 4, reports
    assert contents(path) == undisturbed


def test_a_job_waits_for_one_that_looks_whether_it_is_the_last(tmp_path: Path) -> None:
    path = tmp_path / "set.zarr"
    with ThreadPoolExecutor(1) as pool:
        with LocalFolder(path).lock(shared=False):
            with pytest.raises(InputError, match="is being written by another posesynth generate"):
                generate(PLAN, path)
            job = pool.submit(generate, PLAN, path, shards=(0, 1))
            time.sleep(0.3)
            assert not job.done()
        assert job.result(timeout=30).written == 1


def test_jobs_that_start_while_others_end_make_one_set(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    path = tmp_path / "set.zarr"
    with ThreadPoolExecutor(10) as pool:
        summaries = list(pool.map(lambda k: generate(PLAN, path, shards=(k, k + 1)), random.sample(range(10), 10)))
    assert sum(summary.written for summary in summaries) == 10
    assert generate(PLAN, path).written == 0
    assert contents(path) == undisturbed


def test_a_plain_run_finishes_what_jobs_left(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    path = tmp_path / "set.zarr"
    assert not generate(PLAN, path, shards=(8, 10)).complete
    assert not generate(PLAN, path, shards=(0, 3)).complete
    with pytest.raises(InputError, match="not finished"):
        posesynth.open(path)
    assert generate(PLAN, path) == Summary(written=5, reused=5, complete=True)
    assert contents(path) == undisturbed
