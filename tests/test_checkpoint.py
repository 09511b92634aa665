"""Checkpoints: what is saved comes back; what is damaged, foreign or malicious is one line, and nothing runs."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

import checkpoint_child  # noqa: E402
import numpy as np  # noqa: E402

from lifter import checkpoint  # noqa: E402
from lifter.checkpoint import Checkpoints, load_tensors, save_tensors  # noqa: E402
from posesynth.errors import InputError  # noqa: E402
from posesynth.store.manifest import digest_of, encode  # noqa: E402

FACTS = {"step": 7, "lr": 1e-3, "betas": [0.9, 0.999], "name": "q\u00fc", "none": None}


def some_tensors() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    kinds = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8)
    tensors = {str(kind): (torch.rand(3, 5, generator=generator) * 100).to(kind) for kind in kinds}
    tensors["bool"] = torch.tensor([True, False])
    tensors["scalar"] = torch.tensor(3.5)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["not finite"] = torch.tensor([torch.nan, torch.inf, -0.0])
    return tensors


def same_bytes(a: dict[str, Any], b: dict[str, Any]) -> bool:
    def raw(tensor: Any) -> bytes:
        return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())

    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and raw(a[k]) == raw(b[k]) for k in a
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_tensors(path, some_tensors(), FACTS)
    return path


def refused(path: Any, *words: str) -> str:
    with pytest.raises(InputError) as caught:
        load_tensors(path)
    (line,) = caught.value.lines
    assert "\n" not in line
    assert len(line) <= 300
    for word in words:
        assert word in line
    return line


def test_loading_undoes_saving(saved: Path) -> None:
    tensors, facts = load_tensors(saved)
    assert same_bytes(tensors, some_tensors())
    assert facts == FACTS
    assert sorted(os.listdir(saved.parent)) == ["model.json", "model.safetensors"]


def test_the_same_content_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_tensors(other, some_tensors(), FACTS)
    assert other.read_bytes() == saved.read_bytes()
    assert other.with_suffix(".json").read_bytes() == saved.with_suffix(".json").read_bytes()


def test_a_header_whose_length_looks_like_a_pickle_is_none(tmp_path: Path) -> None:
    path, starts = tmp_path / "a.safetensors", set()
    for length in range(500, 1500, 8):
        save_tensors(path, {"x" * length: torch.ones(1)}, {})
        starts.add(path.read_bytes()[:2])
        load_tensors(path)
    assert {b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"} <= starts


def test_views_tied_and_expanded_tensors_come_back_as_they_look(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {"a": base, "tied": base, "row": base[1], "turned": base.T, "wide": torch.tensor(2.0).expand(1000)}
    save_tensors(tmp_path / "a.safetensors", tensors, {})
    assert same_bytes(load_tensors(tmp_path / "a.safetensors")[0], tensors)


def test_a_file_of_safetensors_alone_can_read_the_tensors(saved: Path) -> None:
    from safetensors.torch import load_file

    assert same_bytes(load_file(saved), some_tensors())


@pytest.mark.parametrize(
    ("tensors", "facts"),
    [
        ({}, {"betas": (0.9, 0.999)}),
        ({}, {1: "one"}),
        ({}, {"loss": float("inf")}),
        ({}, {"x": np.float32(1)}),
        ({"sparse": torch.eye(3).to_sparse()}, {}),
        ({"complex": torch.zeros(2, dtype=torch.complex64)}, {}),
        ({"__metadata__": torch.zeros(2)}, {}),
    ],
)
def test_what_would_not_come_back_is_not_saved(tmp_path: Path, tensors: Any, facts: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        save_tensors(tmp_path / "a.safetensors", tensors, facts)
    assert not list(tmp_path.iterdir())


# Damage


def flip(path: Path, at: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def test_every_flipped_byte_is_refused(saved: Path) -> None:
    rng = np.random.default_rng(0)
    for file in (saved, saved.with_suffix(".json")):
        whole = file.read_bytes()
        for at in rng.choice(len(whole), 100, replace=False):
            flip(file, int(at), int(rng.integers(8)))
            refused(saved)
            file.write_bytes(whole)
    load_tensors(saved)


def test_every_cut_is_refused(saved: Path) -> None:
    for file in (saved, saved.with_suffix(".json")):
        whole = file.read_bytes()
        for length in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:length])
            refused(saved)
        file.write_bytes(whole + b"\0")
        refused(saved)
        file.write_bytes(whole)
    load_tensors(saved)


class Bomb:
    """Makes a folder where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.marker),)


def test_pickles_are_refused_unread(saved: Path, tmp_path: Path) -> None:
    marker = tmp_path / "was run"
    for protocol in range(6):
        saved.write_bytes(pickle.dumps(Bomb(marker), protocol))
        refused(saved, "pickle" if protocol > 1 else "bytes")
    torch.save({"x": Bomb(marker)}, saved)
    refused(saved, "pickle")
    torch.save({"x": Bomb(marker)}, saved, _use_new_zipfile_serialization=False)
    refused(saved, "pickle")
    saved.with_suffix(".json").write_bytes(pickle.dumps(Bomb(marker), 0))
    refused(saved)
    for name in ("model.pt", "model.pt2", "model.ckpt", "model", "model.json"):
        torch.save({"x": Bomb(marker)}, tmp_path / name)
        refused(tmp_path / name, "expected a path ending in .safetensors")
    assert not marker.exists()
    pickle.loads(pickle.dumps(Bomb(marker)))  # the bomb is live
    assert marker.exists()


def test_foreign_files_are_refused(saved: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    alone = tmp_path / "alone.safetensors"
    save_file({"x": torch.zeros(3)}, alone)
    refused(alone, "alone.json", "expected both files")
    refused(tmp_path / "missing.safetensors", "No such file")
    refused("a\0.safetensors", "expected a path")
    with zipfile.ZipFile(alone, "w") as archive:
        archive.writestr("x", "y")
    refused(alone)
    beside = saved.with_suffix(".json")
    for text in (
        "",
        "[]",
        "{}",
        "null",
        "NaN",
        "[" * 10**5,
        '{"format": "lifter tensors"}',
        '{"a": 1, "a": 2}',
        "\xff",
    ):
        beside.write_text(text, encoding="latin-1")
        refused(saved, "model.json")


def test_what_is_no_plain_file_is_refused(saved: Path, tmp_path: Path) -> None:
    beside = saved.with_suffix(".json")
    link = tmp_path / "link.safetensors"
    link.symlink_to(saved)
    (tmp_path / "link.json").write_bytes(beside.read_bytes())
    refused(link, "symbolic link")
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    refused(folder, "not a plain file")
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    refused(pipe, "not a plain file")
    beside.rename(tmp_path / "elsewhere.json")
    beside.symlink_to(tmp_path / "elsewhere.json")
    refused(saved, "model.json", "symbolic link")
    beside.unlink()
    beside.mkdir()
    refused(saved, "model.json", "not a plain file")


def forge(saved: Path, header: Any, body: bytes = b"", declared: Any = None) -> None:
    """A pair of files whose digests are right, whatever else is wrong."""
    import hashlib

    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    data = len(text).to_bytes(8, "little") + text + body
    saved.write_bytes(data)
    file = {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    tensors = header if declared is None else declared
    tensors = {
        name: {key: value for key, value in entry.items() if key != "data_offsets"} for name, entry in tensors.items()
    }
    document = {"format": "lifter tensors", "version": 1, "facts": {}, "file": file, "tensors": tensors}
    saved.with_suffix(".json").write_bytes(encode({**document, "sha256": digest_of(document)}))


def entry(shape: Any, start: int, stop: int, dtype: Any = "F32") -> Any:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def test_a_forged_pair_that_is_sound_is_taken(saved: Path) -> None:
    forge(saved, {"a": entry([2], 0, 8)}, bytes(8))
    assert load_tensors(saved)[0]["a"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ({"a": entry([10**10], 0, 4 * 10**10)}, bytes(8)),
        ({"a": entry([10**10], 0, 8)}, bytes(8)),
        ({"a": entry([2**47, 2**47, 2**47], 0, 8)}, bytes(8)),
        ({"a": entry([2**47] * 10**4, 0, 8)}, bytes(8)),
        ({"a": entry([-2], 0, 8)}, bytes(8)),
        ({"a": entry([2.0], 0, 8)}, bytes(8)),
        ({"a": entry([True, 2], 0, 8)}, bytes(8)),
        ({"a": entry(None, 0, 8)}, bytes(8)),
        ({"a": entry([2], 0, 8, "F33")}, bytes(8)),
        ({"a": entry([2], 0, 8, ["F32"])}, bytes(8)),
    ],
)
def test_shapes_that_lie_are_refused_before_memory_is_taken(
    saved: Path, header: Any, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge(saved, header, body)
    monkeypatch.setattr(checkpoint, "deserialize", None)
    refused(saved)


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ({"a": entry([2], 4, 12)}, bytes(8)),
        ({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, bytes(8)),
        ({"a": entry([1], 0, 4), "b": entry([2], 2, 8)}, bytes(12)),
        ({"a": entry([0, 2**47, 2**47], 0, 0)}, b""),
    ],
)
def test_places_that_lie_are_refused(saved: Path, header: Any, body: bytes) -> None:
    forge(saved, header, body)
    refused(saved)


def test_headers_that_lie_are_refused(saved: Path) -> None:
    good = {"a": entry([2], 0, 8)}
    for header in (b"{", b"", b"[]", b'{"a": 1}', b'{"a": {"dtype": "F32"}}', b"\xff\xff", b"[" * 10**5):
        forge(saved, header, bytes(8), good)
        refused(saved)
    forge(saved, good, bytes(8), {"b": entry([2], 0, 8)})
    refused(saved, "not those of the JSON")
    for length in (2**63, 2**64 - 1, 2**30, 0):
        forge(saved, good, bytes(8))
        data = bytearray(saved.read_bytes())
        data[:8] = length.to_bytes(8, "little")
        saved.write_bytes(data)
        refused(saved)
    os.truncate(saved, 2**40)  # takes no space
    refused(saved, str(2**40))


def test_a_later_version_is_named(saved: Path) -> None:
    beside = saved.with_suffix(".json")
    document = json.loads(beside.read_text())
    beside.write_bytes(encode({**document, "version": 2}))
    refused(saved, "version: is 2; expected 1")


# Checkpoints


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def pair(step: int) -> list[str]:
    return [f"step-{step:09d}.json", f"step-{step:09d}.safetensors"]


def test_two_checkpoints_are_kept_and_the_latest_is_found(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "run")
    assert checkpoints.latest() is None
    for step in (0, 1000, 2000):
        checkpoints.save(step, checkpoint_child.tensors_of(step), {"samples": 500 * step})
    assert names(tmp_path / "run") == pair(1000) + pair(2000)
    found = Checkpoints(tmp_path / "run").latest()
    assert found is not None
    assert found[0] == 2000
    assert same_bytes(found[1], checkpoint_child.tensors_of(2000))
    assert found[2] == {"samples": 10**6}


def test_strays_of_a_save_are_removed_and_nothing_else(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    strays = [".step-000000009.safetensors.0123456789abcdef.partial", "step-000000009.safetensors"]
    others = [".other.0123456789abcdef.partial", "log.jsonl", "model.safetensors", "step-1.json", "step-one.json"]
    for name in strays + others:
        (tmp_path / name).touch()
    assert checkpoints.latest() is None
    checkpoints.save(3, {}, {})
    assert names(tmp_path) == sorted(others + pair(3))


def test_a_damaged_checkpoint_falls_back_with_a_warning(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, checkpoint_child.tensors_of(step), {})
    rng = np.random.default_rng(1)
    for name in pair(2):
        whole = (tmp_path / name).read_bytes()
        for at in rng.choice(len(whole), 50, replace=False):
            flip(tmp_path / name, int(at), int(rng.integers(8)))
            with pytest.warns(UserWarning, match=r"step-000000002.*step 1$"):
                found = checkpoints.latest()
            assert found is not None
            assert found[0] == 1
            assert same_bytes(found[1], checkpoint_child.tensors_of(1))
            (tmp_path / name).write_bytes(whole)


def test_after_falling_back_two_sound_ones_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, {}, {})
    (tmp_path / pair(2)[1]).write_bytes(b"")
    with pytest.warns(UserWarning, match="step 1$"):
        checkpoints.latest()
    checkpoints.save(3, {}, {})
    assert names(tmp_path) == pair(1) + pair(3)


def test_where_none_loads_it_is_an_error_and_not_a_new_start(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, {}, {})
        (tmp_path / pair(step)[1]).write_bytes(b"")
    with pytest.raises(InputError, match="no checkpoint in it can be loaded"):
        checkpoints.latest()


def test_a_renamed_checkpoint_is_not_taken_for_another_step(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {}, {})
    for old, new in zip(pair(1), pair(9), strict=True):
        (tmp_path / old).rename(tmp_path / new)
    with pytest.raises(InputError, match="renamed"):
        checkpoints.latest()


def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {}, {})
    write = os.write

    def full(file: int, data: Any) -> int:
        if len(data) > 10_000:
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        checkpoints.save(2, checkpoint_child.tensors_of(2), {})
    assert names(tmp_path) == pair(1)
    found = checkpoints.latest()
    assert found is not None
    assert found[0] == 1


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "none" / "run"):
        with pytest.raises(InputError, match="cannot be written"):
            Checkpoints(place).save(1, {}, {})
    with pytest.raises(InputError, match="cannot be read"):
        Checkpoints(tmp_path / "file").latest()


def test_killed_at_any_moment_the_last_finished_save_loads(tmp_path: Path) -> None:
    folder, log = tmp_path / "run", tmp_path / "log"
    command = [sys.executable, checkpoint_child.__file__, str(folder), str(log)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    rng = np.random.default_rng()
    leftovers = 0
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, bufsize=1, env=environment) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            for _ in range(20):
                before = log.stat().st_size if log.exists() else 0
                server.stdin.write("save\n")
                child = int(server.stdout.readline())
                until = time.monotonic() + 20
                while (not log.exists() or log.stat().st_size == before) and time.monotonic() < until:
                    time.sleep(0.002)
                time.sleep(rng.uniform(0, 0.05))
                os.kill(child, signal.SIGKILL)
                assert server.stdout.readline() == "ended\n"
                done = int(log.read_text().split()[-1])
                leftovers += names(folder) != pair(done - 1) + pair(done)
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    found = Checkpoints(folder).latest()
                assert found is not None
                assert done <= found[0] <= done + 1
                assert same_bytes(found[1], checkpoint_child.tensors_of(found[0]))
                assert found[2] == {"samples": 500 * found[0]}
        finally:
            server.stdin.close()
            server.wait(20)
    assert leftovers  # some blows landed within a save
