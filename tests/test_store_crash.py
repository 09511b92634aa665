"""Killed at any moment, out of space, not allowed to write, two at a time: the same command again ends the same."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import store_child
from store_contract import QUADRUPED, assert_same, contents, expected_of, interrupt, small_plan, tree

from posesynth import InputError
from posesynth.store import Plan, generate, open, verify  # noqa: A004

ENDINGS = ("zarr", "h5")


@pytest.fixture(params=ENDINGS)
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def in_folder(folder: Path, ending: str) -> str:
    folder.mkdir(exist_ok=True)
    return str(folder / f"set.{ending}")


def reference(plan: Plan, folder: Path, ending: str) -> dict[str, str]:
    generate(plan, in_folder(folder, ending))
    return contents(folder)


def finish(process: Any) -> int:
    process.join(60)
    assert process.exitcode is not None
    return int(process.exitcode)


def kill_at_random_times(tmp_path: Path, ending: str, plan: Plan, kills: int) -> None:
    expected = reference(plan, tmp_path / "whole", ending)
    path = in_folder(tmp_path / "killed", ending)
    for timed in ("first", "second"):  # the first of all waits for the server
        began = time.monotonic()
        assert finish(store_child.start(store_child.run, plan, in_folder(tmp_path / timed, ending), os.devnull)) == 0
        duration = time.monotonic() - began
    rng = np.random.default_rng()
    landed = 0
    for _ in range(kills):
        process = store_child.start(store_child.run, plan, path, os.devnull)
        process.join(rng.uniform(0, duration))
        process.kill()
        if finish(process) == -signal.SIGKILL:
            landed += 1
        else:  # it was done before the blow
            assert contents(tmp_path / "killed") == expected
            shutil.rmtree(tmp_path / "killed")
            (tmp_path / "killed").mkdir()
        if ending == "h5" and Path(path).exists():
            # Killed after the renaming and before the clearing up, a run leaves its partial name behind.
            assert all("left over" in finding.fault for finding in verify(path).findings)
    assert landed > kills / 4
    generate(plan, path)
    assert contents(tmp_path / "killed") == expected


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: fsync takes no time, and a killed process loses no less."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_killed_at_random_times(quick_path: Path, ending: str) -> None:
    kill_at_random_times(quick_path, ending, Plan(QUADRUPED, seed=5, n=60_000, shard=1024), kills=20)


@pytest.mark.long
def test_killed_at_random_times_often(tmp_path: Path, ending: str) -> None:
    kill_at_random_times(tmp_path, ending, Plan(QUADRUPED, seed=5, n=1_000_000, shard=8192), kills=50)


@pytest.mark.parametrize("torn", [True, pytest.param(False, marks=pytest.mark.long)])
def test_killed_at_each_step(quick_path: Path, ending: str, torn: bool) -> None:
    plan = small_plan(n=200, shard=100)
    expected = reference(plan, quick_path / "whole", ending)
    for step in range(1000):
        folder = quick_path / str(step)
        path = in_folder(folder, ending)
        done = finish(store_child.start(store_child.die_at, plan, path, step, torn)) == 0
        if not done:
            assert not Path(path, "manifest.json").exists() or step > 20
            with pytest.raises(InputError) if not is_complete(path) else not_raised():
                open(path)
        generate(plan, path)
        assert contents(folder) == expected, step
        if done:
            break
    assert done
    assert step > 20


def is_complete(path: str) -> bool:
    return Path(path).is_file() or Path(path, "manifest.json").is_file()


class not_raised:  # noqa: N801
    """The context of what should work."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("ending", ["zarr", pytest.param("h5", marks=pytest.mark.long)])
def test_workers_end_with_their_parent(quick_path: Path, ending: str) -> None:
    plan = Plan(QUADRUPED, seed=5, n=200_000, shard=4096)
    path = in_folder(quick_path / "killed", ending)
    code = (
        "import sys; sys.path[:0] = sys.argv[1].split(':')\n"
        "import store_child\n"
        "from store_contract import QUADRUPED\n"
        "from posesynth.store import Plan, generate\n"
        "if __name__ == '__main__':\n"
        "    generate(Plan(QUADRUPED, seed=5, n=200_000, shard=4096), sys.argv[2], workers=2,\n"
        "             progress=lambda n: print(n, flush=True))\n"
    )
    script = quick_path / "child.py"
    script.write_text(code)
    command = [sys.executable, str(script), ":".join(sys.path), path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # a shard is written
        process.kill()  # the parent alone
        process.wait()
    deadline = time.monotonic() + 20
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(process.pid)
    summary = generate(plan, path)
    assert summary.reused >= 1
    assert contents(quick_path / "killed") == reference(plan, quick_path / "whole", ending)


def alive(group: int) -> bool:
    """Whether any process of a group still runs."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] not in "ZX" and int(fields[2]) == group:
                return True
    return False


def test_bytes_are_on_disk_before_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """write -> fsync -> rename -> fsync of the directory, for every file; the manifest's last of all."""
    events: list[tuple[str, Any, Any]] = []
    paths: dict[int, str] = {}
    real = {name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "close", "mkdir")}

    def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor = int(real["open"](path, flags, mode, dir_fd=dir_fd))
        paths[descriptor] = os.path.join(paths[dir_fd] if dir_fd is not None else "", path)
        return descriptor

    def replaced(a: str, b: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        events.append(("replace", os.path.join(paths[src_dir_fd], a), os.path.join(paths[dst_dir_fd], b)))
        real["replace"](a, b, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def on(name: str) -> Any:
        def call(descriptor: int, *args: Any) -> Any:
            events.append((name, paths[descriptor], None))
            return real[name](descriptor, *args)

        return call

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "replace", replaced)
    for name in ("write", "fsync"):
        monkeypatch.setattr(os, name, on(name))
    path = str(tmp_path / "set.zarr")
    generate(small_plan(), path)
    monkeypatch.undo()

    renames = [i for i, (name, _, _) in enumerate(events) if name == "replace"]
    assert len(renames) == 3 + 3 * 3 + 1  # zarr.json; two arrays and a journal entry a shard; the manifest
    for i in renames:
        _, source, destination = events[i]
        own = [(j, name) for j, (name, file, _) in enumerate(events) if file == source and name != "replace"]
        assert own[-1][1] == "fsync"
        assert own[-1][0] < i
        assert ("fsync", os.path.dirname(destination), None) in events[i:]
    assert events[renames[-1]][2] == os.path.join(path, "manifest.json")
    shards = {events[i][2] for i in renames}
    assert {os.path.join(path, name, f"c.{k}.0.0") for name in ("p2d", "o") for k in range(3)} <= shards


def test_an_hdf5_file_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = []

    def on(name: str, real: Any) -> Any:
        def call(*args: Any) -> Any:
            events.append(name)
            return real(*args)

        return call

    for name in ("pwrite", "fsync", "replace", "posix_fallocate"):
        monkeypatch.setattr(os, name, on(name, getattr(os, name)))
    generate(small_plan(), tmp_path / "set.h5")
    assert events[0] == "posix_fallocate"
    assert events[-3:] == ["fsync", "replace", "fsync"]
    assert events.count("replace") == 1


def test_two_runs_at_a_time_do_no_harm(quick_path: Path, ending: str) -> None:
    plan = Plan(QUADRUPED, seed=5, n=20_000, shard=2048)
    expected = reference(plan, quick_path / "whole", ending)
    refused = 0
    for attempt in range(10):
        path = in_folder(quick_path / str(attempt), ending)
        logs = [str(quick_path / f"{attempt}.{i}.log") for i in range(2)]
        processes = [store_child.start(store_child.run, plan, path, log) for log in logs]
        codes = [finish(process) for process in processes]
        for code, log in zip(codes, logs, strict=True):
            if code:
                refused += 1
                assert "is being written by another posesynth generate" in Path(log).read_text()
        assert sorted(codes) in ([0, 0], [0, 2])
        assert contents(quick_path / str(attempt)) == expected
    assert refused  # the guard was seen to work


@pytest.mark.parametrize("cuts", [[(0, 3), (3, 7), (7, 10)], [(5, 10), (0, 6)], [(9, 10), (0, 9), (2, 4)]])
def test_a_job_array_makes_the_same_set(tmp_path: Path, cuts: list[tuple[int, int]]) -> None:
    plan = Plan(QUADRUPED, seed=5, n=20_000, shard=2048)
    expected = reference(plan, tmp_path / "whole", "zarr")
    at_once, in_turn = in_folder(tmp_path / "at_once", "zarr"), in_folder(tmp_path / "in_turn", "zarr")
    jobs = [store_child.start(store_child.run_shards, plan, at_once, cut) for cut in cuts]
    assert [finish(job) for job in jobs] == [0] * len(cuts)
    assert contents(tmp_path / "at_once") == expected
    written: set[int] = set()
    for cut in cuts:
        written |= set(range(*cut))
        assert generate(plan, in_turn, shards=cut).complete == (len(written) == 10)
    assert contents(tmp_path / "in_turn") == expected


def test_a_job_of_an_array_does_not_run_beside_a_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posesynth.store.folder._WAIT", 0.1)
    plan = small_plan()
    path = str(tmp_path / "set.zarr")

    def during(samples: int) -> None:
        with pytest.raises(InputError, match="is being written by another"):
            generate(plan, path, shards=(0, 1))

    generate(plan, path, progress=during)


@pytest.mark.parametrize("limit", [10_000, 200_000])
def test_a_limit_on_file_size_is_one_clear_line(tmp_path: Path, ending: str, limit: int) -> None:
    plan = small_plan(n=9000, shard=4500)
    path = in_folder(tmp_path / "set", ending)
    log = tmp_path / "log"
    assert finish(store_child.start(store_child.run_with_small_files, plan, path, str(log), limit)) == 2
    lines = log.read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("cannot be written (File too large)")
    generate(plan, path)
    assert contents(tmp_path / "set") == reference(plan, tmp_path / "whole", ending)


def namespace(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script as root of its own world, where it may mount; skip where that is not allowed."""
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode
    ):
        pytest.skip("needs unshare -Urm and the right to mount a tmpfs in it")
    return subprocess.run(
        ["unshare", "-Urm", "bash", "-euc", script, "bash", *arguments], capture_output=True, text=True, timeout=120
    )


RUN = """
import json, os, sys
sys.path[:0] = json.loads(sys.argv[1])
from store_contract import QUADRUPED, contents
from posesynth.store import Plan
from posesynth.store import folder, hdf5_set
from store_child import run
from pathlib import Path
plan, path = Plan(QUADRUPED, seed=5, n=100_000, shard=10_000), sys.argv[2]
if sys.argv[3] == "twice":
    try:
        run(plan, path, "/dev/stderr")
    except SystemExit:
        print(os.listdir(Path(path).parent), file=sys.stderr)
    # The disk fills up after the look at it.
    folder.free_bytes = hdf5_set.free_bytes = lambda path: 2**40
run(plan, path, "/dev/stderr")
print(json.dumps(contents(Path(path).parent)))
"""


def test_a_full_disk_is_one_clear_line_and_can_be_gone_on_from(tmp_path: Path, ending: str) -> None:
    script = """
        mkdir "$3"; mount -t tmpfs -o size=8m none "$3"
        set +e
        "$0" -c "$1" "$2" "$3/set.$4" twice; echo "code $?" >&2
        set -e
        mount -o remount,size=64m "$3"
        "$0" -c "$1" "$2" "$3/set.$4" once
    """
    done = namespace_python(script, json.dumps(sys.path), str(tmp_path / "disk"), ending)
    assert done.returncode == 0, done.stderr
    refused, listed, stopped, code = done.stderr.splitlines()
    assert (listed, code) == ("[]", "code 2")
    assert refused.startswith("error: ")
    assert "needs 3" in refused
    assert " bytes) are free" in refused
    assert "cannot be written (No space left on device)" in stopped
    assert "bytes are still needed and " in stopped
    plan = Plan(QUADRUPED, seed=5, n=100_000, shard=10_000)
    assert json.loads(done.stdout) == reference(plan, tmp_path / "whole", ending)


def namespace_python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return namespace(script.replace('"$0"', f'"{sys.executable}"'), RUN, *arguments)


def test_a_read_only_place_is_one_clear_line(tmp_path: Path, ending: str) -> None:
    script = """
        mkdir "$3"; mount -t tmpfs -o size=64m,ro none "$3"
        set +e
        "$0" -c "$1" "$2" "$3/set.$4" once; echo "code $?" >&2
    """
    done = namespace_python(script, json.dumps(sys.path), str(tmp_path / "disk"), ending)
    line, code = done.stderr.splitlines()
    assert code == "code 2"
    assert line.startswith("error: ")
    assert line.endswith("cannot be written (Read-only file system)")


def test_a_finished_set_in_a_read_only_place_is_checked(tmp_path: Path, ending: str) -> None:
    script = """
        mkdir "$3"; mount -t tmpfs -o size=64m none "$3"
        "$0" -c "$1" "$2" "$3/set.$4" once
        mount -o remount,ro "$3"
        "$0" -c "$1" "$2" "$3/set.$4" once
    """
    done = namespace_python(script, json.dumps(sys.path), str(tmp_path / "disk"), ending)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == second


def test_too_little_space_is_said_at_once(tmp_path: Path, ending: str) -> None:
    began = time.monotonic()
    with pytest.raises(InputError, match=r"needs 3\.08 PB \(30800\d+ bytes\), but .* bytes\) are free"):
        generate(Plan(QUADRUPED, seed=0, n=10**13), tmp_path / f"set.{ending}")
    assert time.monotonic() - began < 2
    assert tree(tmp_path) == {}


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    import zarr

    zarr.create_group(tmp_path / "theirs.zarr", attributes={"seed": 1})
    (tmp_path / "notes.zarr").mkdir()
    (tmp_path / "notes.zarr" / "notes.txt").write_text("mine")
    (tmp_path / "file.zarr").write_text("mine")
    (tmp_path / "empty.h5").touch()
    (tmp_path / "theirs.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    (tmp_path / "folder.h5").mkdir()
    before = tree(tmp_path)
    for name in ("theirs.zarr", "notes.zarr", "file.zarr", "empty.h5", "theirs.h5", "folder.h5"):
        for call in (lambda p: generate(small_plan(), p), open, lambda p: verify(p, repair=True)):
            with pytest.raises(InputError) as error:
                call(tmp_path / name)
            assert len(error.value.lines) == 1
            assert name in error.value.lines[0]
    assert tree(tmp_path) == before


def test_what_is_not_a_set_is_said_without_advice_for_another_command(tmp_path: Path) -> None:
    (tmp_path / "notes.zarr").mkdir()
    (tmp_path / "notes.zarr" / "notes.txt").write_text("mine")
    (tmp_path / "notes.h5").write_text("mine")
    for name in ("notes.zarr", "notes.h5"):
        for call in (open, verify):
            with pytest.raises(
                InputError, match=r"is not a posesynth data set.*; expected one that posesynth generate"
            ):
                call(tmp_path / name)
        with pytest.raises(InputError, match=r"is not a posesynth data set.*; expected a path where nothing is yet"):
            generate(small_plan(), tmp_path / name)


def test_a_set_inside_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = tmp_path / "set.zarr"
    generate(small_plan(), outer)
    (tmp_path / "link").symlink_to(outer)
    before = tree(tmp_path)
    inside = [outer / "sub.zarr", outer / "p2d" / "sub.h5", tmp_path / "link" / "sub.zarr"]
    for path in inside:
        with pytest.raises(InputError, match=r"lies inside the data set .*set\.zarr; expected a path outside it"):
            generate(small_plan(), path)
    monkeypatch.chdir(outer)
    with pytest.raises(InputError, match="lies inside the data set"):
        generate(small_plan(), "sub.zarr")
    assert tree(tmp_path) == before
    (tmp_path / "mine.zarr").mkdir()  # a folder's name alone says nothing
    generate(small_plan(), tmp_path / "mine.zarr" / "sub.zarr")


def test_a_folder_in_the_place_of_a_shard_is_not_said_to_be_too_little_space(tmp_path: Path) -> None:
    path = tmp_path / "set.zarr"
    interrupt(small_plan(), str(path))
    (path / "o" / "c.2.0.0").mkdir()
    with pytest.raises(InputError, match=r"cannot be written \(Is a directory\)$"):
        generate(small_plan(), path)


def test_a_symbolic_link_inside_a_set_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.zarr"
    interrupt(small_plan(), str(path))
    outside = tmp_path / "outside"
    (path / "o").rename(outside)
    (path / "o").symlink_to(outside)
    before = tree(outside)
    with pytest.raises(InputError, match="o: is a symbolic link"):
        generate(small_plan(), path)
    assert tree(outside) == before


def test_a_link_to_a_set_is_a_set(tmp_path: Path, ending: str) -> None:
    (tmp_path / "disk").mkdir()
    if ending == "zarr":
        (tmp_path / "disk" / "set.zarr").mkdir()
        (tmp_path / "set.zarr").symlink_to(tmp_path / "disk" / "set.zarr")
    else:
        (tmp_path / "folder").symlink_to(tmp_path / "disk")
    path = tmp_path / ("set.zarr" if ending == "zarr" else "folder/set.h5")
    generate(small_plan(), path)
    assert_same(open(path)[:], expected_of(small_plan()))
    assert verify(path).good


@pytest.mark.parametrize(
    ("path", "said"),
    [("", "path: is ''"), ("set", "path: is"), ("set.zip", "path: is"), ("gone/set.zarr", "no such folder"),
     ("gone/set.h5", "no such folder"), ("a\0b.zarr", "path: is"), ("x" * 300 + ".zarr", "name too long"),
     ("x" * 300 + ".h5", "name too long")],
)  # fmt: skip
def test_paths_that_cannot_be_are_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said) as error:
        generate(small_plan(), path)
    assert len(error.value.lines) == 1
    assert tree(tmp_path) == {}
    monkeypatch.undo()
