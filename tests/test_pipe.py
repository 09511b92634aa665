"""posesynth stream and read_stream: what goes in comes out, a closed pipe is no fault, a damaged stream is one line."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_skeletons import star
from strategies import skeletons

import posesynth
from posesynth import pipe
from posesynth.errors import InputError
from posesynth.pipe import read_stream, write_stream
from posesynth.sampler import FIELDS, Batch
from posesynth.skeleton import Skeleton, load_skeleton

STREAM = [sys.executable, "-c", "from posesynth.cli import main; main()", "stream", "--skeleton", "quadruped"]


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return load_skeleton("quadruped")


@pytest.fixture(scope="module")
def written() -> bytes:
    """25 samples of four joints in batches of 10, all arrays."""
    return stream_of(star(3, "noise: 0.1", "missing: 0.2"), batch_size=10, n=25, arrays=FIELDS)


def stream_of(skeleton: Skeleton, **options: object) -> bytes:
    file = io.BytesIO()
    write_stream(skeleton, file, **options)  # type: ignore[arg-type]
    return file.getvalue()


def together(batches: Sequence[Batch], name: str) -> bytes:
    return b"".join(getattr(batch, name).tobytes() for batch in batches)


# Out and in.


@settings(max_examples=15)
@given(
    skeletons(8, sampling=True),
    st.integers(1, 60),
    st.integers(1, 100),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 100),
    st.permutations(FIELDS).flatmap(lambda names: st.just(["p2d", *[n for n in names if n != "p2d"]])),
)
def test_what_is_written_is_read(
    skeleton: Skeleton, size: int, n: int, seed: int, start: int, arrays: list[str]
) -> None:
    reader = read_stream(
        io.BytesIO(stream_of(skeleton, batch_size=size, n=n, seed=seed, start=start, arrays=arrays, threads=1))
    )
    assert (reader.skeleton.digest, reader.seed, reader.start, reader.n) == (skeleton.digest, seed, start, n)
    assert (reader.batch_size, reader.arrays) == (size, tuple(arrays))
    batches = list(reader)
    assert [len(batch) for batch in batches] == [min(size, n - first) for first in range(0, n, size)]
    expected = posesynth.sample(skeleton, seed, start, start + n, FIELDS)
    for name in FIELDS:
        assert together(batches, name) == getattr(expected, name).tobytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_and_blocks_change_nothing(skeleton: Skeleton, threads: int) -> None:
    """Enough samples that the buffers are used many times over."""
    reader = read_stream(io.BytesIO(stream_of(skeleton, batch_size=499, n=200_003, threads=threads)))
    assert together(list(reader), "o") == posesynth.sample(skeleton, 0, 0, 200_003).o.tobytes()


def test_overridden_sampling_is_read_back(skeleton: Skeleton) -> None:
    noisy = replace(skeleton, sampling=replace(skeleton.sampling, noise=0.1, missing=0.2, distance=(9.0, 20.0)))
    reader = read_stream(io.BytesIO(stream_of(noisy, n=10)))
    assert reader.skeleton.sampling == noisy.sampling
    assert next(reader).p2d.tobytes() == posesynth.sample(noisy, stop=10).p2d.tobytes()


def test_an_unbuffered_pipe_that_gives_little_at_a_time_is_read(written: bytes) -> None:
    class Trickle(io.RawIOBase):
        source = io.BytesIO(written)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            return self.source.readinto(memoryview(buffer)[:37])

    assert together(list(read_stream(Trickle())), "o") == together(list(read_stream(io.BytesIO(written))), "o")  # type: ignore[arg-type]


def test_a_file_that_takes_little_at_a_time_gets_all(skeleton: Skeleton) -> None:
    class Narrow(io.RawIOBase):
        taken = b""

        def writable(self) -> bool:
            return True

        def write(self, data: memoryview) -> int:  # type: ignore[override]
            self.taken += bytes(data[:1000])
            return min(len(data), 1000)

    file = Narrow()
    write_stream(skeleton, file, batch_size=10, n=25)  # type: ignore[arg-type]
    assert file.taken == stream_of(skeleton, batch_size=10, n=25)


def test_the_stream_reaches_the_last_index_of_all(skeleton: Skeleton) -> None:
    reader = read_stream(io.BytesIO(stream_of(skeleton, batch_size=10, start=2**64 - 25)))
    assert reader.n is None
    assert [len(batch) for batch in reader] == [10, 10, 5]


# The command.


def command(arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*STREAM, *arguments.split()], timeout=60, capture_output=True, **options)  # type: ignore[call-overload,no-any-return]


def test_the_command_writes_what_the_function_does(skeleton: Skeleton) -> None:
    done = command("--batch 100 --n 250 --seed 7 --start 1000 --arrays p2d,o,visibility")
    expected = stream_of(skeleton, batch_size=100, n=250, seed=7, start=1000, arrays=("p2d", "o", "visibility"))
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", expected)


def test_a_closed_pipe_ends_it_quietly(skeleton: Skeleton, tmp_path: Path) -> None:
    """Endless, read by something that has had enough; and a reader that was never there."""
    for taken in (3_000_000, 0):
        with (tmp_path / "errors").open("wb") as errors:
            process = subprocess.Popen(STREAM, stdout=subprocess.PIPE, stderr=errors)
            assert process.stdout is not None
            got = process.stdout.read(taken)
            process.stdout.close()
            assert process.wait(timeout=60) == 0
        assert (tmp_path / "errors").read_bytes() == b""
        assert got == stream_of(skeleton, n=20_000).replace(b'"n": 20000', b'"n": null', 1)[:taken]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*STREAM, "--n", "1000"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "error: output: cannot be written after 0 samples; No space left on device\n"


def test_a_terminal_is_refused() -> None:
    leader, terminal = os.openpty()
    done = subprocess.run(STREAM, stdout=terminal, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(terminal)
    os.close(leader)
    assert done.returncode == 2
    assert done.stderr.startswith("error: output: is a terminal; expected a pipe or a file")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"batch_size": 0}, "batch: is 0; expected"),
        ({"batch_size": 1.5}, "batch: is 1.5; expected"),
        ({"batch_size": 10**8}, "batch: 100000000 samples are"),
        ({"n": 0}, "n: is 0; expected"),
        ({"n": True}, "n: is True; expected"),
        ({"seed": 2**64}, "seed: is"),
        ({"start": 2**64 - 5, "n": 6}, "n: is 6; expected a whole number from 1 to 5"),
        ({"start": "5", "n": 6}, "start: is '5'; expected"),
        ({"arrays": ("p2d",)}, "arrays: are p2d; expected p2d, o and any of"),
        ({"arrays": ("p2d", "o", "o")}, "arrays: are p2d, o, o; expected"),
        ({"arrays": ("p2d", "o", "p3")}, "did you mean"),
    ],
)
def test_an_impossible_stream_is_refused_before_a_byte_is_written(
    skeleton: Skeleton, wrong: dict[str, object], line: str
) -> None:
    file = io.BytesIO()
    with pytest.raises(InputError, match=line):
        write_stream(skeleton, file, **wrong)  # type: ignore[arg-type]
    assert file.getvalue() == b""


def test_a_skeleton_that_is_not_its_text_is_refused(skeleton: Skeleton) -> None:
    with pytest.raises(InputError, match="differs from its own YAML"):
        write_stream(replace(skeleton, parents=np.maximum(np.arange(-1, 15), -1)), io.BytesIO(), n=1)


# Damaged streams.


def faults_of(data: bytes) -> list[str]:
    """The error lines of reading `data` to its end; none if nothing is wrong."""
    lines: tuple[str, ...] = ()
    try:
        for _ in read_stream(io.BytesIO(data)):
            pass
    except InputError as error:
        lines = error.lines
    assert all(line.startswith("stream:") and len(line) <= 300 for line in lines), lines
    return list(lines)


def test_a_stream_that_ends_early_is_noticed_wherever_it_ends(written: bytes) -> None:
    header = written.index(b"\n") + 1
    cuts = [*range(0, header, 97), *range(header, len(written), 41), header, len(written) - 1]
    assert faults_of(written) == []
    for cut in cuts:
        assert len(faults_of(written[:cut])) == 1, cut


def test_an_endless_stream_may_end_after_any_batch_but_not_within(skeleton: Skeleton) -> None:
    data = stream_of(skeleton, batch_size=10, n=30).replace(b'"n": 30', b'"n": null', 1)
    header = data.index(b"\n") + 1
    batch = (len(data) - header) // 3
    for whole in range(4):
        assert faults_of(data[: header + whole * batch]) == []
    for cut in (1, 9, 130, batch - 1, batch + 1):
        assert len(faults_of(data[: header + cut])) == 1


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_header_is_refused_or_harmless(written: bytes, data: st.DataObject) -> None:
    """Every byte but those of the numbers is guarded: the header, and the header of each array."""
    end = written.index(b"\n") + 129
    damaged = bytearray(written)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, end))] = data.draw(st.integers(0, 255))
    faults_of(bytes(damaged))


def altered(written: bytes, **changes: object) -> bytes:
    line, rest = written.split(b"\n", 1)
    header = json.loads(line)
    header.update(changes)
    return json.dumps({k: v for k, v in header.items() if v != "absent"}).encode() + b"\n" + rest


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"posesynth_stream": 2}, "posesynth_stream: is 2; this version of posesynth reads 1"),
        ({"posesynth_stream": True}, "posesynth_stream: is True; this version"),
        ({"posesynth_stream": 1.0}, "posesynth_stream: is 1.0; this version"),
        ({"stream_version": 1.5}, "stream_version: is 1.5; expected a whole number"),
        ({"stream_version": True}, "stream_version: is True; expected a whole number"),
        ({"start": None}, "start: is None; expected"),
        ({"start": {}}, "start: is {}; expected"),
        ({"batch": 10**500}, "batch: is 1000"),
        ({"arrays": [{"name": "p2d"}] * 300_000}, "arrays: are 300000; expected at most"),
        ({"arrays": [{"name": "p" * 10_000}]}, "arrays: is no list of named arrays"),
        ({"posesynth_stream": "absent"}, "is no posesynth stream"),
        ({"batch": 10**12}, "batch: 1000000000000 samples are"),
        ({"batch": "10"}, "batch: is '10'; expected"),
        ({"batch": "absent"}, "batch: is missing"),
        ({"n": 26}, r"samples from 20: p2d: is float32 \(5, 4, 2\); expected float32 \(6, 4, 2\)"),
        ({"n": -1}, "n: is -1; expected"),
        ({"start": "5"}, "start: is '5'; expected"),
        ({"seed": None}, "seed: is None; expected"),
        ({"arrays": [{"name": "p2d"}, {"name": "o"}]}, "arrays: is missing from the header, or contradicts"),
        ({"arrays": "p2d"}, "arrays: is no list"),
        ({"joints": ["a"]}, "joints: is missing from the header, or contradicts"),
        ({"parents": [-1] * 4}, "parents: is missing from the header, or contradicts"),
        ({"skeleton_digest": "0" * 64}, "skeleton_digest: is missing from the header, or contradicts"),
        ({"skeleton": "posesynth: 1\n"}, "stream:"),
        ({"skeleton": 5}, "skeleton: has no YAML text"),
        ({"sampling": {}}, "sampling: is"),
        ({"stream_version": "absent"}, "stream_version: is missing"),
    ],
)
def test_a_header_that_cannot_be_is_one_line(written: bytes, changes: dict[str, object], line: str) -> None:
    assert faults_of(altered(written)) == []
    faults = faults_of(altered(written, **changes))
    assert faults
    with pytest.raises(InputError, match=line):
        raise InputError(*faults)


def test_bytes_after_the_last_sample_are_noticed(written: bytes) -> None:
    assert faults_of(written + b"\n") == ["stream: goes on after 25 samples; expected its end there"]


def test_another_version_of_the_samples_is_read_all_the_same(written: bytes) -> None:
    assert faults_of(altered(written, stream_version=99, added_later=[1])) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"{}\n", b"[1]\n", b"null\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"\x93NUMPY\x01\x00", b"hello"],
    ids=repr,
)
def test_something_else_is_no_stream(data: bytes) -> None:
    assert faults_of(data) == ["stream: is no posesynth stream; expected what `posesynth stream` writes"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"'<f4'", b"'|O' "),
        (b"'<f4'", b"'>f4'"),
        (b"'<f4'", b"'<f8'"),
        (b"(10, 4, 2)", b"(99, 4, 2)"),
        (b"(10, 4, 2), }      ", b"(9999999999, 4, 2), }"),
        (b"'fortran_order': False", b"'fortran_order': True "),
        (b"NUMPY\x01\x00", b"NUMPY\x02\x00"),
        (b"NUMPY", b"NUMPX"),
        (b"'descr'", b"__import"),
        (b"(10, 4, 2)", b"(((((((((("),
        (b"(10, 4, 2)", b"(-1, 4, 2)"),
        (b"(10, 4, 2)", b"(True,4,2)"),
        (b"{'descr': ", b"(((((((((("),
        (b"{'descr'", b"\n  \xff\x00 {{"),
    ],
    ids=repr,
)
def test_an_array_of_another_kind_is_refused(written: bytes, old: bytes, new: bytes) -> None:
    header = written.index(b"\n") + 1
    damaged = written[:header] + written[header:].replace(old, new, 1)
    assert damaged != written
    assert len(faults_of(damaged)) == 1


def test_a_byte_that_is_no_truth_value_is_refused(written: bytes) -> None:
    damaged = bytearray(written)
    damaged[-1] = 7
    assert faults_of(bytes(damaged)) == ["stream: samples from 20: visibility: has bytes that are neither 0 nor 1"]


def test_a_header_without_an_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "LARGEST_HEADER", 1000)

    class Zeros(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            self.given += len(buffer)
            buffer[:] = b"a" * len(buffer)
            return len(buffer)

    source = Zeros()
    with pytest.raises(InputError, match="is no posesynth stream"):
        read_stream(source)  # type: ignore[arg-type]
    assert source.given <= 2000
