"""What every kind of stored set must do: `StoreContract`, which the tests of each kind subclass."""

import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posesynth import Batch, InputError, Skeleton, load_skeleton, sample
from posesynth.sampler import FIELDS
from posesynth.schema import parse_skeleton
from posesynth.store import Plan, generate, open, verify, write_shard  # noqa: A004
from posesynth.store.target import target

QUADRUPED = load_skeleton("quadruped")
ROBUST = replace(
    QUADRUPED,
    sampling=replace(QUADRUPED.sampling, yaw=(-45.0, 30.5), distance=(5.0, 9.0), noise=0.02, missing=0.1),
)
EXTRAS = FIELDS[2:]


def small_plan(**fields: Any) -> Plan:
    """4,500 samples in three shards, the last one short, each with a last chunk that is padded."""
    return replace(Plan(QUADRUPED, seed=11, n=4500, shard=2000), **fields)


def tree(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Length, time of change and digest of every file, by its path."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_size,
            path.lstat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file, by its path."""
    return {name: digest for name, (_, _, digest) in tree(folder).items()}


def interrupt(plan: Plan, path: str, after: int = 1) -> None:
    """A run of `generate` that Ctrl-C ends after so many shards."""
    left = [after]

    def progress(samples: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        generate(plan, path, executor=executor, in_flight=1, progress=progress)


def assert_same(batch: Batch, expected: Batch, names: tuple[str, ...] = ("p2d", "o")) -> None:
    for name in names:
        mine, theirs = getattr(batch, name), getattr(expected, name)
        assert mine.shape == theirs.shape
        assert mine.tobytes() == theirs.tobytes(), name  # NaN is NaN


def expected_of(plan: Plan, start: int = 0, stop: int | None = None) -> Batch:
    batch = sample(plan.skeleton, plan.seed, start, plan.n if stop is None else stop, extras=plan.arrays)
    values = {name: getattr(batch, name).astype(plan.array_dtype(name)) for name in plan.arrays}
    return Batch(**values)


class StoreContract:
    """Subclass it, say where a set goes, and every law below is tested."""

    def place(self, folder: Path, name: str = "set") -> str:
        """A path for a set of this kind."""
        raise NotImplementedError

    def snapshot(self, folder: Path) -> Any:
        """Everything about what is stored below a folder, times of change too."""
        return tree(folder)

    def contents(self, folder: Path) -> Any:
        """Every byte that is stored below a folder."""
        return contents(folder)

    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    @pytest.mark.parametrize("skeleton", [QUADRUPED, ROBUST], ids=["paper", "robust"])
    def test_reading_gives_what_was_sampled(self, tmp_path: Path, skeleton: Skeleton, dtype: str) -> None:
        plan = small_plan(skeleton=skeleton, arrays=FIELDS, dtype=dtype)
        generate(plan, self.place(tmp_path))
        data = open(self.place(tmp_path))
        assert_same(data[:], expected_of(plan), FIELDS)
        assert (len(data), data.n, data.seed, data.arrays) == (4500, 4500, 11, FIELDS)
        assert data.skeleton.digest == skeleton.digest
        assert data.skeleton.text == skeleton.text
        assert data[:].p2d.dtype == np.dtype(dtype)
        assert data[:].visibility.dtype == np.bool_

    def test_a_run_goes_on_when_only_a_comment_of_the_skeleton_is_another(self, tmp_path: Path) -> None:
        plan, path = small_plan(), self.place(tmp_path)
        generate(plan, path)
        before = self.snapshot(tmp_path)
        again = replace(plan, skeleton=parse_skeleton(f"# a thought\n{plan.skeleton.text}"))
        assert again.skeleton.digest == plan.skeleton.digest
        assert generate(again, path).written == 0
        assert self.snapshot(tmp_path) == before  # the text that it was begun with, too
        with pytest.raises(InputError, match="seed: is"):
            generate(replace(again, seed=12), path)

    def test_what_was_not_stored_is_none(self, tmp_path: Path) -> None:
        generate(small_plan(), self.place(tmp_path))
        batch = open(self.place(tmp_path))[:3]
        assert [getattr(batch, name) for name in EXTRAS] == [None] * 4

    def test_any_slice_gives_the_same(self, tmp_path: Path) -> None:
        plan = small_plan(shard=1000)
        generate(plan, self.place(tmp_path))
        data = open(self.place(tmp_path))
        whole = expected_of(plan)
        rng = np.random.default_rng(0)
        edges = [[0, 0], [4500, 4500], [999, 1001], [0, 4500]]
        for a, b in [*np.sort(rng.integers(0, 4501, (60, 2))).tolist(), *edges]:
            assert_same(data[a:b], Batch(whole.p2d[a:b], whole.o[a:b]))
        for part in (slice(-10, None), slice(None, 10), slice(4490, 9999), slice(20, 10), slice(None)):
            assert_same(data[part], Batch(whole.p2d[part], whole.o[part]))
        assert_same(data[3], Batch(whole.p2d[3:4], whole.o[3:4]))
        assert_same(data[-1], Batch(whole.p2d[-1:], whole.o[-1:]))
        assert len(data[10:10]) == 0

    def test_batches_make_up_the_whole(self, tmp_path: Path) -> None:
        plan = small_plan()
        generate(plan, self.place(tmp_path))
        batches = list(open(self.place(tmp_path)).batches(700))
        assert [len(batch) for batch in batches] == [700] * 6 + [300]
        assert_same(Batch(*(np.concatenate([getattr(b, f) for b in batches]) for f in ("p2d", "o"))), expected_of(plan))

    def test_indices_that_make_no_sense_are_refused(self, tmp_path: Path) -> None:
        generate(small_plan(n=10), self.place(tmp_path))
        data = open(self.place(tmp_path))
        for index in (10, -11, slice(0, 10, 2), slice(None, None, -1)):
            with pytest.raises(IndexError):
                data[index]
        with pytest.raises(InputError, match="size"):
            next(data.batches(0))

    @pytest.mark.parametrize("shard", [1, 7, 2**12, 10**4, 2**20])
    def test_the_cut_into_shards_changes_nothing(self, tmp_path: Path, shard: int) -> None:
        plan = small_plan(shard=shard, n=20 if shard == 1 else 300 if shard == 7 else 30_001)
        generate(plan, self.place(tmp_path))
        assert_same(open(self.place(tmp_path))[:], expected_of(plan))
        assert verify(self.place(tmp_path)).good

    def test_the_same_plan_gives_the_same_bytes(self, tmp_path: Path) -> None:
        plan = small_plan(arrays=FIELDS)
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            generate(plan, self.place(tmp_path / name))
        assert self.contents(tmp_path / "a") == self.contents(tmp_path / "b")

    def test_processes_give_the_same_bytes(self, tmp_path: Path) -> None:
        plan = small_plan()
        for name, workers in (("a", 1), ("b", 2)):
            (tmp_path / name).mkdir()
            generate(plan, self.place(tmp_path / name), workers=workers)
        assert self.contents(tmp_path / "a") == self.contents(tmp_path / "b")

    def test_shards_may_be_written_in_any_order_and_twice(self, tmp_path: Path) -> None:
        plan = small_plan()
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        generate(plan, self.place(tmp_path / "a"))
        path = self.place(tmp_path / "b")
        target(path).prepare(plan, alone=True)
        for k in (2, 0, 2, 1, 1):
            record = write_shard(plan, path, k)
            assert (record.k, record.start, record.stop) == (k, *plan.range(k))
        assert generate(plan, path).written == 0
        assert self.contents(tmp_path / "a") == self.contents(tmp_path / "b")

    def test_the_same_command_again_changes_nothing(self, tmp_path: Path) -> None:
        plan = small_plan()
        first = generate(plan, self.place(tmp_path))
        before = self.snapshot(tmp_path)
        again = generate(plan, self.place(tmp_path))
        assert (first.written, first.reused, first.complete) == (3, 0, True)
        assert (again.written, again.reused, again.complete) == (0, 3, True)
        assert self.snapshot(tmp_path) == before

    def test_an_interrupted_run_is_gone_on_with(self, tmp_path: Path) -> None:
        plan = small_plan()
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        generate(plan, self.place(tmp_path / "a"))
        path = self.place(tmp_path / "b")
        interrupt(plan, path)
        seen: list[int] = []
        summary = generate(plan, path, progress=seen.append)
        assert (summary.written, summary.reused) == (2, 1)
        assert sum(seen) == plan.n
        assert self.contents(tmp_path / "a") == self.contents(tmp_path / "b")

    def test_an_unfinished_set_is_read_only_on_request(self, tmp_path: Path) -> None:
        plan = small_plan()
        path = self.place(tmp_path)
        interrupt(plan, path)
        with pytest.raises(InputError, match="not finished"):
            open(path)
        data = open(path, allow_incomplete=True)
        assert_same(data[100:2000], expected_of(plan, 100, 2000))
        with pytest.raises(InputError, match="missing or damaged"):
            data[1990:2010]

    def test_verify_tells_of_an_unfinished_set_and_repair_finishes_it(self, tmp_path: Path) -> None:
        plan = small_plan()
        path = self.place(tmp_path)
        interrupt(plan, path)
        report = verify(path)
        assert not report.good
        assert "not finished" in "\n".join(map(str, report.findings))
        assert verify(path, repair=True).good
        assert_same(open(path)[:], expected_of(plan))

    @pytest.mark.parametrize(
        ("field", "change"),
        [
            ("seed", {"seed": 12}),
            ("n", {"n": 4501}),
            ("shard", {"shard": 1000}),
            ("arrays", {"arrays": ("p2d", "o", "p3d")}),
            ("dtype", {"dtype": "float16"}),
            ("sampling.yaw", {"skeleton": ROBUST}),
            ("skeleton: line 1", {"skeleton": load_skeleton("dog")}),
        ],
    )
    @pytest.mark.parametrize("finished", [True, False])
    def test_another_set_is_refused_and_left_alone(
        self, tmp_path: Path, field: str, change: dict[str, Any], finished: bool
    ) -> None:
        path = self.place(tmp_path)
        if finished:
            generate(small_plan(), path)
        else:
            interrupt(small_plan(), path)
        before = self.snapshot(tmp_path)
        with pytest.raises(InputError, match=f": {field}: is ") as error:
            generate(small_plan(**change), path)
        assert len(error.value.lines) == 1
        assert len(error.value.lines[0]) < 300 + len(str(tmp_path))
        assert self.snapshot(tmp_path) == before

    def test_where_nothing_is_there_is_nothing_to_read(self, tmp_path: Path) -> None:
        before = self.snapshot(tmp_path)
        for read in (open, verify):
            with pytest.raises(InputError, match="there is no data set"):
                read(self.place(tmp_path))
        assert self.snapshot(tmp_path) == before

    def test_a_good_set_verifies(self, tmp_path: Path) -> None:
        plan = small_plan(skeleton=ROBUST, arrays=FIELDS)
        generate(plan, self.place(tmp_path))
        before = self.snapshot(tmp_path)
        checked: list[int] = []
        report = verify(self.place(tmp_path), progress=checked.append)
        assert report.good
        assert report.findings == ()
        assert report.checked == sum(checked) >= plan.nbytes
        assert verify(self.place(tmp_path), repair=True).good
        assert self.snapshot(tmp_path) == before

    def test_another_format_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("posesynth.store.plan.FORMAT", 2)
        generate(small_plan(), self.place(tmp_path))
        monkeypatch.undo()
        for read in (open, verify):
            with pytest.raises(InputError, match=r"posesynth: is 2; this version of posesynth reads 1"):
                read(self.place(tmp_path))

    def test_samples_of_another_stream_version_are_read_but_not_made(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = replace(small_plan(), stream_version=2)
        with pytest.raises(InputError, match="stream_version"):
            generate(other, self.place(tmp_path))
        monkeypatch.setattr("posesynth.store.plan.STREAM_VERSION", 2)
        generate(other, self.place(tmp_path))
        monkeypatch.undo()
        assert len(open(self.place(tmp_path))) == other.n
        with pytest.raises(InputError, match=r"stream_version: is 2; .* makes those of 1"):
            verify(self.place(tmp_path))
        with pytest.raises(InputError, match="stream_version: is 2 in the set that is there and 1"):
            generate(small_plan(), self.place(tmp_path))

    def test_an_open_set_can_be_given_to_other_processes(self, tmp_path: Path) -> None:
        plan = small_plan()
        generate(plan, self.place(tmp_path))
        data = open(self.place(tmp_path))
        assert_same(data[5:9], expected_of(plan, 5, 9))
        assert_same(pickle.loads(pickle.dumps(data))[5:9], expected_of(plan, 5, 9))

    def test_threads_may_share_an_open_set(self, tmp_path: Path) -> None:
        plan = small_plan(shard=100)
        generate(plan, self.place(tmp_path))
        data = open(self.place(tmp_path))
        starts = np.random.default_rng(0).integers(0, 4400, 300).tolist()
        with ThreadPoolExecutor(4) as pool:
            for start, batch in zip(starts, pool.map(lambda a: data[a : a + 90], starts), strict=True):
                assert_same(batch, expected_of(plan, start, start + 90))

    def test_torch_batches_make_up_the_whole(self, tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        from torch.utils.data import DataLoader

        plan = small_plan()
        generate(plan, self.place(tmp_path))
        batches = open(self.place(tmp_path)).torch(700)
        expected = torch.from_numpy(expected_of(plan).o)
        assert len(batches) == 7
        assert torch.equal(torch.cat([o for _, o in batches]), expected)
        shuffled = [o for _, o in DataLoader(batches, batch_size=None, shuffle=True)]
        assert torch.equal(torch.cat(sorted(shuffled, key=lambda o: starts(o, expected))), expected)
        with pytest.raises(IndexError):
            batches[7]
        with pytest.raises(InputError, match="batch_size"):
            open(self.place(tmp_path)).torch(0)


def starts(part: Any, whole: Any) -> int:
    """Where a part of a tensor begins in it."""
    return int((whole == part[0]).all(dim=(1, 2)).nonzero()[0, 0])


__all__ = ["QUADRUPED", "ROBUST", "StoreContract", "assert_same", "contents", "expected_of", "interrupt", "small_plan"]
