"""PoseStream: the batches are the samples, each falls to one worker of one rank, and the index is the whole state."""

import copy
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

import posesynth
from posesynth import stream as stream_module
from posesynth.errors import InputError
from posesynth.skeleton import Skeleton, load_skeleton
from posesynth.stream import PoseStream, Share, TensorBatch, joined

# From Python 3.12 on a fork beside threads warns: DataLoader forks, and streams are made to bear it.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
WARNINGS = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return load_skeleton("quadruped")


def starts(batches: list[TensorBatch]) -> list[int]:
    return [batch.start for batch in batches]


def indices(batches: list[TensorBatch]) -> list[int]:
    return [i for batch in batches for i in range(batch.start, batch.start + len(batch))]


def streaming_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("posesynth")]


# The batches.


@pytest.mark.parametrize("batch_size", [1, 7, 500, 20_000])
@pytest.mark.parametrize("start", [0, 2**32 - 3, 2**63])
def test_stream_equals_sample(skeleton: Skeleton, batch_size: int, start: int) -> None:
    count = 3 * batch_size
    stream = PoseStream(skeleton, batch_size, seed=5, start=start, extras=posesynth.sampler.FIELDS[2:])
    batches = list(islice(stream, 3))
    expected = posesynth.sample(skeleton, 5, start, start + count, stream.extras)
    for name in posesynth.sampler.FIELDS:
        together = torch.cat([getattr(batch, name) for batch in batches]).numpy()
        assert together.tobytes() == getattr(expected, name).tobytes(), name
    assert starts(batches) == [start, start + batch_size, start + 2 * batch_size]


def test_a_batch_unpacks_into_what_was_asked_for(skeleton: Skeleton) -> None:
    p2d, o = next(iter(PoseStream(skeleton, 10)))
    assert (p2d.shape, o.shape, p2d.dtype) == ((10, 16, 2), (10, 15, 3), torch.float32)
    batch = next(iter(PoseStream(skeleton, 10, extras=("visibility", "p3d"))))
    _, _, p3d, visibility = batch
    assert len(batch) == 10
    assert p3d is batch.p3d
    assert visibility.dtype == torch.bool
    assert batch.rotation is None
    moved = batch.to("meta")
    assert (moved.p2d.device.type, moved.start, moved.rotation) == ("meta", batch.start, None)


def test_batches_that_are_kept_stay_as_they_were(skeleton: Skeleton) -> None:
    stream = PoseStream(skeleton, 100)
    kept = list(islice(stream, 2000))
    for batch in kept[::97]:
        assert np.array_equal(batch.o, posesynth.sample(skeleton, 0, batch.start, batch.start + 100).o)


def test_training_and_validation_share_no_index(skeleton: Skeleton) -> None:
    training = indices(list(islice(PoseStream(skeleton, 500), 20)))
    validation = indices(list(PoseStream(skeleton, 500, start=2**63, stop=2**63 + 10_000)))
    assert len(validation) == 10_000
    assert not set(training) & set(validation)


def test_the_last_index_of_all_ends_an_endless_stream(skeleton: Skeleton) -> None:
    assert indices(list(PoseStream(skeleton, 4, start=2**64 - 10))) == list(range(2**64 - 10, 2**64))


# Where the stream stands.


def test_resume_continues_exactly(skeleton: Skeleton) -> None:
    """Resumed twice, saved right after a resume, read ahead in between: the same samples as read in one go."""
    once = indices(list(islice(PoseStream(skeleton, 100, start=7), 12)))
    seen: list[int] = []
    state = PoseStream(skeleton, 100, start=7).state_dict()
    for count in (3, 1, 0, 5, 3):
        stream = PoseStream(skeleton, 100, start=7)
        stream.load_state_dict(state)
        assert stream.state_dict() == state
        iterator = iter(stream)
        seen += indices([next(iterator) for _ in range(count)])
        state = stream.state_dict()
    assert seen == once


def test_state_counts_what_was_handed_out_not_what_was_made(skeleton: Skeleton) -> None:
    stream = PoseStream(skeleton, 500)
    iterator = iter(stream)
    for step in range(1, 4):
        batch = next(iterator)
        time.sleep(0.05)  # the threads run ahead
        assert stream.state_dict() == {"index": 500 * step} == {"index": batch.next_index}


def test_batch_size_and_ranks_may_change_on_resume(skeleton: Skeleton) -> None:
    def rank(r: int, world: int, size: int, index: int, count: int) -> tuple[list[int], int]:
        stream = PoseStream(skeleton, size, rank=r, world_size=world)
        stream.load_state_dict({"index": index})
        batches = list(islice(stream, count))
        return indices(batches), stream.state_dict()["index"]

    both = [rank(r, 2, 50, 0, 3) for r in (0, 1)]
    assert both[0][1] == both[1][1] == 300
    alone, end = rank(0, 1, 70, 300, 2)
    assert sorted(both[0][0] + both[1][0] + alone) == list(range(end))


def test_breaking_off_and_iterating_again_goes_on(skeleton: Skeleton) -> None:
    stream = PoseStream(skeleton, 10)
    assert indices(list(islice(stream, 2)) + list(islice(stream, 2))) == list(range(40))


def test_a_finite_stream_read_to_its_end_starts_again(skeleton: Skeleton) -> None:
    stream = PoseStream(skeleton, 10, start=3, stop=38)
    assert indices(list(stream)) == indices(list(stream)) == list(range(3, 38))
    stream.load_state_dict({"index": 38})
    assert list(stream) == []
    assert indices(list(stream)) == list(range(3, 38))


@pytest.mark.parametrize("state", [{}, {"index": -1}, {"index": 2}, {"index": 41}, {"index": "3"}, {"epoch": 1}])
def test_an_impossible_state_is_refused(skeleton: Skeleton, state: dict[str, int]) -> None:
    with pytest.raises(InputError):
        PoseStream(skeleton, 10, start=3, stop=40).load_state_dict(state)


# Shares: index arithmetic.

small = st.integers(1, 5)


@given(small, small, small, st.integers(0, 200), st.integers(0, 2**64 - 300))
def test_shares_cover_each_index_once(world: int, workers: int, size: int, count: int, origin: int) -> None:
    assume(not 0 < count % (world * size) < world)
    rounds_of_rank = []
    covered: list[int] = []
    for rank in range(world):
        shares = [Share(origin, origin + count, size, rank, world, w, workers) for w in range(workers)]
        mine = sorted(k for share in shares for slab in share.slabs(3) for k in slab)
        rounds_of_rank.append(mine)
        for k in mine:
            first, last = shares[0].samples(k)
            assert 0 < last - first <= size
            covered += range(first, last)
    assert sorted(covered) == list(range(origin, origin + count))
    assert all(mine == list(range(len(mine))) for mine in rounds_of_rank)
    assert len({len(mine) for mine in rounds_of_rank}) == 1, "all ranks take the same number of steps"


@given(small, small, st.integers(1, 100))
def test_a_step_of_all_ranks_depends_on_the_global_batch_alone(world: int, size: int, k: int) -> None:
    parts = [Share(0, 2**64, size, rank, world, 0, 1).samples(k) for rank in range(world)]
    assert all(a[1] == b[0] for a, b in pairwise(parts))
    assert (parts[0][0], parts[-1][1]) == Share(0, 2**64, world * size, 0, 1, 0, 1).samples(k)


def test_ranks_that_would_wait_for_each_other_are_refused() -> None:
    with pytest.raises(InputError, match=r"stop: leaves 1 samples for a last step of 2 ranks; expected 100000, or"):
        Share(0, 100_001, 500, 0, 2, 0, 1)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), min_size=1))
def test_joining_ranges_keeps_every_index_in_order(drawn: list[tuple[int, int]]) -> None:
    ranges = [(first, first + size) for first, size in drawn]
    whole = list(joined(ranges))
    assert [i for a, b in whole for i in range(a, b)] == [i for a, b in ranges for i in range(a, b)]
    assert all(a[1] != b[0] for a, b in pairwise(whole))


# DataLoaders and ranks.


def test_workers_and_ranks_cover_each_index_once(skeleton: Skeleton) -> None:
    seen: list[int] = []
    for rank in (0, 1):
        stream = PoseStream(skeleton, 500, stop=10_003, rank=rank, world_size=2)
        batches = list(DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="fork"))
        alone = list(DataLoader(stream, batch_size=None))
        assert starts(batches) == starts(alone), "a rank sees the same, whatever its workers"
        assert all(torch.equal(a.p2d, b.p2d) and torch.equal(a.o, b.o) for a, b in zip(batches, alone, strict=True))
        seen += indices(batches)
    assert sorted(seen) == list(range(10_003))


def test_resume_behind_workers_goes_on_at_the_next_index(skeleton: Skeleton) -> None:
    stream = PoseStream(skeleton, 100, rank=0, world_size=1)
    seen: list[int] = []
    for count in (3, 2):
        loader = DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="fork")
        batches = list(islice(loader, count))
        seen += indices(batches)
        stream.load_state_dict({"index": batches[-1].next_index})
    assert seen == list(range(500))


def test_spawned_workers_make_the_same_batches(tmp_path: object) -> None:
    script = """
        import torch
        import posesynth
        from torch.utils.data import DataLoader

        if __name__ == "__main__":
            stream = posesynth.PoseStream(posesynth.load_skeleton("quadruped"), 100, stop=450, rank=1, world_size=2)
            spawned = list(DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="spawn"))
            here = list(stream)
            assert [b.start for b in spawned] == [b.start for b in here] == [100, 300, 425], spawned
            assert all(torch.equal(a.o, b.o) for a, b in zip(spawned, here))
        """
    path = f"{tmp_path}/spawn.py"
    with open(path, "w") as file:
        file.write(textwrap.dedent(script))
    run(path)


def test_ranks_of_a_process_group_cover_each_index_once_and_end_together(tmp_path: object) -> None:
    """Two gloo ranks with two workers each over 100,003 samples; every step waits for all ranks."""
    script = """
        import sys
        import torch, torch.distributed as dist
        import posesynth
        from torch.utils.data import DataLoader

        rank, store = int(sys.argv[1]), sys.argv[2]
        stream = posesynth.PoseStream(posesynth.load_skeleton("quadruped"), 500, stop=100_003)
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
        for batch in DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="fork"):
            together = torch.tensor([len(batch)])
            dist.all_reduce(together)
            print(batch.start, batch.start + len(batch), int(together))
        dist.destroy_process_group()
        """
    path = f"{tmp_path}/ranks.py"
    with open(path, "w") as file:
        file.write(textwrap.dedent(script))
    command = [sys.executable, *WARNINGS, path]
    ranks = [
        subprocess.Popen([*command, str(rank), f"{tmp_path}/store"], stdout=subprocess.PIPE, text=True, env=alone())
        for rank in (0, 1)
    ]
    lines = [process.communicate(timeout=60)[0].split("\n")[:-1] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0]
    seen = [i for line in lines[0] + lines[1] for i in range(*map(int, line.split()[:2]))]
    assert sorted(seen) == list(range(100_003))
    assert [line.split()[2] for line in lines[0]] == ["1000"] * 100 + ["3"]


def run(path: str) -> None:
    subprocess.run([sys.executable, *WARNINGS, path], check=True, timeout=60, env=alone())


def alone() -> dict[str, str]:
    here = os.path.dirname(os.path.dirname(posesynth.__file__))
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")} | {"PYTHONPATH": path}


def test_torchruns_variables_name_the_rank(skeleton: Skeleton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert starts(list(islice(PoseStream(skeleton, 10), 2))) == [20, 50]
    assert starts(list(islice(PoseStream(skeleton, 10, rank=0, world_size=1), 2))) == [0, 10]
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="RANK"):
        next(iter(PoseStream(skeleton, 10)))


def test_a_copy_for_a_spawned_worker_knows_the_rank(skeleton: Skeleton, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = PoseStream(skeleton, 10)
    with monkeypatch.context() as group:
        group.setattr(torch.distributed, "is_initialized", lambda: True)
        group.setattr(torch.distributed, "get_rank", lambda: 1)
        group.setattr(torch.distributed, "get_world_size", lambda: 4)
        sent = copy.copy(stream)
    assert starts(list(islice(sent, 2))) == [10, 50]
    assert starts(list(islice(stream, 2))) == [0, 10]


# Threads.


def test_no_thread_outlives_its_iteration(skeleton: Skeleton) -> None:
    gc.collect()
    assert streaming_threads() == []
    iterator = iter(PoseStream(skeleton, 500, threads=2))
    next(iterator)
    assert len(streaming_threads()) == 2
    iterator.close()
    assert streaming_threads() == []
    for _ in PoseStream(skeleton, 500):
        break
    gc.collect()
    assert streaming_threads() == []
    assert len(list(PoseStream(skeleton, 500, stop=5000))) == 10
    assert streaming_threads() == []


def test_what_fails_on_a_thread_is_raised_in_its_turn(skeleton: Skeleton, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(skeleton: Skeleton, seed: int, start: int, arrays: object) -> None:
        if start >= 100_000:
            raise ArithmeticError("no more")

    monkeypatch.setattr(stream_module, "sample_into", failing)
    seen: list[int] = []
    with pytest.raises(ArithmeticError, match="no more"):
        seen.extend(batch.start for batch in PoseStream(skeleton, 500))
    assert 90_000 <= seen[-1] < 110_000
    gc.collect()
    assert streaming_threads() == []


def test_a_stream_read_before_a_fork_goes_on_after_it(skeleton: Skeleton) -> None:
    stream = PoseStream(skeleton, 100, rank=0, world_size=1, stop=1000)
    iterator = iter(stream)
    next(iterator)
    behind = DataLoader(stream, batch_size=None, num_workers=1, multiprocessing_context="fork", timeout=30)
    assert indices(list(behind)) == list(range(100, 1000))
    assert indices(list(iterator)) == list(range(100, 1000))


def test_threads_are_shared_out_among_processes(skeleton: Skeleton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posesynth.sampler.cores", lambda: 16)
    stream = PoseStream(skeleton)
    assert [stream._threads(workers) for workers in (1, 4, 8, 100)] == [4, 4, 2, 1]
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert [stream._threads(workers) for workers in (1, 2, 4)] == [2, 1, 1]
    assert PoseStream(skeleton, threads=3)._threads(100) == 3


# What cannot be.


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"batch_size": 0}, "batch_size: is 0; expected"),
        ({"batch_size": 500.0}, "batch_size: is 500.0; expected"),
        ({"batch_size": True}, "batch_size: is True; expected"),
        ({"seed": -1}, "seed: is -1; expected"),
        ({"seed": 2**64}, "seed: is"),
        ({"seed": "1"}, "seed: is '1'; expected"),
        ({"start": 5, "stop": 4}, "expected"),
        ({"stop": 2**64 + 1}, "expected"),
        ({"extras": ("p3",)}, "did you mean"),
        ({"rank": 1}, "rank, world_size: expected both"),
        ({"rank": 2, "world_size": 2}, "rank: is 2 of 2; expected 0 to 1"),
        ({"threads": 0}, "threads: is 0; expected"),
    ],
)
def test_an_impossible_stream_is_refused(skeleton: Skeleton, wrong: dict[str, object], line: str) -> None:
    with pytest.raises(InputError, match=line) as error:
        PoseStream(skeleton, **wrong)  # type: ignore[arg-type]
    assert len(error.value.lines) == 1


def test_without_pytorch_the_line_says_what_to_install() -> None:
    script = "import sys; sys.modules['torch'] = None; import posesynth; posesynth.PoseStream"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=alone(), timeout=60)
    assert done.stderr.endswith("Error: posesynth.PoseStream needs PyTorch: pip install 'posesynth[torch]'\n")


@pytest.mark.long
def test_memory_stays_where_it_is(skeleton: Skeleton) -> None:
    """Five minutes of batches: at most 1 MiB more in ten minutes, after a warm-up of one; no thread or file is left."""

    def resident() -> float:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    begin = time.monotonic()
    times, sizes = [], []
    files = None
    for i, _ in enumerate(PoseStream(skeleton, 500)):
        if i % 20_000 == 0:
            now = time.monotonic() - begin
            if now > 60:
                files = files or len(os.listdir("/proc/self/fd"))
                times.append(now)
                sizes.append(resident())
            if now > 300:
                break
    assert np.polyfit(times, sizes, 1)[0] * 600 <= 1
    assert len(os.listdir("/proc/self/fd")) == files


def test_workers_that_stay_begin_each_loop_where_the_stream_stands(skeleton: Skeleton) -> None:
    """A loop that is broken off leaves a worker's look-ahead behind; the next one must not begin from there."""
    stream = PoseStream(skeleton, 50, stop=1000)
    loader = DataLoader(stream, batch_size=None, num_workers=2, persistent_workers=True)
    for _ in loader:
        break
    assert [batch.start for batch in loader] == list(range(0, 1000, 50))
