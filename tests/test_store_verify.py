"""verify finds and names whatever is wrong with a set, and mends it; reading gives what was written, or an error."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_contract import ROBUST, assert_same, contents, expected_of, small_plan

from posesynth import InputError
from posesynth.sampler import FIELDS
from posesynth.store import generate, open, verify  # noqa: A004
from posesynth.store.hdf5_frame import block_bytes
from posesynth.store.hdf5_set import describe
from posesynth.store.manifest import digest_of, encode

PLAN = small_plan()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good set of each kind."""
    folder = tmp_path_factory.mktemp("whole")
    generate(PLAN, folder / "set.zarr")
    generate(PLAN, folder / "set.h5")
    generate(small_plan(seed=99), folder / "other.zarr")
    return folder


def copied(whole: Path, folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    if path.is_dir():
        shutil.rmtree(path)
    (shutil.copytree if (whole / name).is_dir() else shutil.copy)(whole / name, path)
    return path


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def cut(path: Path, length: int) -> None:
    with path.open("r+b") as file:
        file.truncate(length)


def grow(path: Path, data: bytes = b"\0") -> None:
    with path.open("ab") as file:
        file.write(data)


def swap(a: Path, b: Path) -> None:
    one, two = a.read_bytes(), b.read_bytes()
    a.write_bytes(two)
    b.write_bytes(one)


def edit_manifest(path: Path, change: Callable[[Any], None], honest: bool) -> None:
    """honest: leaves the manifest's own digest as it was."""
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    if not honest:
        manifest["sha256"] = digest_of({key: manifest[key] for key in ("identity", "shards", "others")})
    (path / "manifest.json").write_bytes(encode(manifest))


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_bytes(encode(document))


def wrong_digest(manifest: Any) -> None:
    manifest["shards"][1]["files"]["o"]["sha256"] = "0" * 64


def wrong_seed(manifest: Any) -> None:
    manifest["identity"]["seed"] = 99


def less(manifest: Any) -> None:
    del manifest["shards"][2]


ZARR_FAULTS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "missing": (lambda p: (p / "o/c.1.0.0").unlink(), ["o/c.1.0.0"]),
    "empty": (lambda p: cut(p / "p2d/c.0.0.0", 0), ["p2d/c.0.0.0"]),
    "grown": (lambda p: grow(p / "p2d/c.2.0.0"), ["p2d/c.2.0.0"]),
    "doubled": (lambda p: grow(p / "o/c.2.0.0", (p / "o/c.2.0.0").read_bytes()), ["o/c.2.0.0"]),
    "swapped": (lambda p: swap(p / "o/c.0.0.0", p / "o/c.1.0.0"), ["o/c.0.0.0", "o/c.1.0.0"]),
    "another seed": (lambda p: shutil.copy(p / "../../other.zarr/o/c.1.0.0", p / "o"), ["o/c.1.0.0"]),
    "both of another seed": (
        lambda p: [shutil.copy(p / f"../../other.zarr/{a}/c.1.0.0", p / a) for a in ("o", "p2d")],
        ["o/c.1.0.0", "p2d/c.1.0.0"],
    ),
    "stale": (lambda p: shutil.copy(p / "o/c.1.0.0", p / "o/c.9.0.0"), ["o/c.9.0.0"]),
    "partial": (lambda p: (p / "o/.c.1.0.0.0123456789abcdef.partial").touch(), [".partial"]),
    "journal": (lambda p: [(p / ".journal").mkdir(), (p / ".journal/1.json").touch()], [".journal/1.json"]),
    "a folder is gone": (lambda p: shutil.rmtree(p / "o"), ["o/c.0.0.0", "o/c.1.0.0", "o/c.2.0.0", "o/zarr.json"]),
    "no zarr.json": (lambda p: (p / "zarr.json").unlink(), ["zarr.json"]),
    "no manifest": (lambda p: (p / "manifest.json").unlink(), ["manifest.json"]),
    "cut manifest": (lambda p: cut(p / "manifest.json", 500), ["manifest.json"]),
    "edited manifest": (lambda p: edit_manifest(p, wrong_digest, honest=True), ["manifest.json"]),
    "forged digest": (lambda p: edit_manifest(p, wrong_digest, honest=False), ["shard 1"]),
    "edited seed": (lambda p: edit_manifest(p, wrong_seed, honest=True), ["manifest.json"]),
    "a shard less": (lambda p: edit_manifest(p, less, honest=False), ["manifest.json"]),
    "edited zarr.json": (
        lambda p: edit_json(p / "zarr.json", lambda d: d["attributes"].update(seed=-5)),
        ["zarr.json"],
    ),
    "edited array": (lambda p: edit_json(p / "o/zarr.json", lambda d: d.update(shape=[9, 15, 3])), ["o/zarr.json"]),
}


@pytest.mark.parametrize("fault", ZARR_FAULTS)
def test_each_fault_of_a_zarr_set_is_named_and_mended(whole: Path, tmp_path: Path, fault: str) -> None:
    copied(whole, tmp_path, "other.zarr")
    path = copied(whole, tmp_path / "here", "set.zarr")
    damage, places = ZARR_FAULTS[fault]
    damage(path)
    report = verify(path)
    found = [str(finding) for finding in report.findings]
    assert not report.good
    for place in places:
        assert any(place in line for line in found), found
    assert all(len(line) < 300 for line in found)
    mended = verify(path, repair=True)
    assert mended.good
    assert mended.findings == report.findings
    assert "mended" in mended.summary
    assert contents(path) == contents(whole / "set.zarr")


@pytest.mark.parametrize("fault", [fault for fault in ZARR_FAULTS if fault not in ("stale", "forged digest")])
def test_the_same_command_mends_too(whole: Path, tmp_path: Path, fault: str) -> None:
    copied(whole, tmp_path, "other.zarr")
    path = copied(whole, tmp_path / "here", "set.zarr")
    ZARR_FAULTS[fault][0](path)
    generate(PLAN, path)
    assert contents(path) == contents(whole / "set.zarr")


def test_what_is_not_ours_is_reported_and_stays(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path, "set.zarr")
    (path / "notes.txt").write_text("mine")
    (path / "link").symlink_to(tmp_path)
    report = verify(path, repair=True)
    assert not report.good
    assert sorted(str(f).rpartition("/")[2] for f in report.remaining) == [
        "link: is not a plain file",
        "notes.txt: is not part of the set",
    ]
    assert (path / "notes.txt").read_text() == "mine"
    assert (path / "link").is_symlink()


def other_zarr(path: Path) -> None:
    edit_json(path / "zarr.json", lambda document: document["attributes"].update(seed=5))


@pytest.mark.parametrize("edit", [lambda p: edit_manifest(p, wrong_seed, honest=False), other_zarr])
def test_a_set_that_says_it_is_two_is_not_mended(whole: Path, tmp_path: Path, edit: Callable[[Path], None]) -> None:
    path = copied(whole, tmp_path, "set.zarr")
    edit(path)
    before = contents(path)
    assert any("zarr.json: contradicts manifest.json in seed" in str(found) for found in verify(path).findings)
    with pytest.raises(InputError, match=r"manifest.json and zarr.json contradict each other in seed; expected"):
        verify(path, repair=True)
    with pytest.raises(InputError, match=r"manifest.json and zarr.json contradict each other in seed; expected"):
        open(path)
    assert contents(path) == before


@pytest.mark.parametrize("name", ["manifest.json", "zarr.json"])
def test_a_huge_document_is_not_read(whole: Path, tmp_path: Path, name: str) -> None:
    path = copied(whole, tmp_path, "set.zarr")
    os.truncate(path / name, 2**40)
    try:
        found = [str(finding) for finding in verify(path).findings]
    except InputError as error:
        found = list(error.lines)
    assert any(f"{name}: has 1099511627776 bytes; expected at most" in line for line in found)


def test_a_huge_shard_is_not_digested(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path, "set.zarr")
    os.truncate(path / "o/c.1.0.0", 2**40)
    assert generate(PLAN, path).written == 1
    assert contents(path) == contents(whole / "set.zarr")


def huge(manifest: Any) -> None:
    manifest["identity"]["n"] = 2**48


def test_a_manifest_of_a_huge_n_is_refused(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path, "set.zarr")
    edit_manifest(path, huge, honest=False)
    with pytest.raises(InputError, match=r"manifest.json: names 3 shards; expected the \d+ that n makes"):
        verify(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda p: os.symlink("/dev/zero", p)])
def test_what_is_no_plain_file_is_named_and_hides_nothing(
    whole: Path, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = copied(whole, tmp_path, "set.zarr")
    (path / "o/c.0.0.0").unlink()
    make(path / "o/c.0.0.0")
    flip(path / "p2d/c.2.0.0", 800)
    found = "\n".join(str(finding) for finding in verify(path).findings)
    assert "o/c.0.0.0" in found
    assert "p2d/c.2.0.0" in found
    (path / "manifest.json").unlink()
    make(path / "manifest.json")
    with pytest.raises(InputError, match=r"manifest.json: is "):
        verify(path)


@pytest.mark.parametrize("name", ["a.h5", ".a.h5.partial"])
def test_a_pipe_in_place_of_a_file_does_not_hang(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=r"a.h5[\w.]*: is not a plain file"):
        generate(PLAN, tmp_path / "a.h5")


def test_what_is_not_ours_beside_an_hdf5_set_stays(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path, "set.h5")
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine" * 75)
    (tmp_path / ".set.h5.partial").hardlink_to(mine)
    assert generate(PLAN, path).reused == 3
    assert [str(f) for f in verify(path, repair=True).remaining] == [
        f"{tmp_path}/.set.h5.partial: was not made by posesynth"
    ]
    path.unlink()
    with pytest.raises(InputError, match=r"\.set\.h5\.partial: was not made by posesynth; expected it moved"):
        generate(PLAN, path)
    assert mine.read_bytes() == b"mine" * 75


@pytest.mark.parametrize("layout", [{}, {"o": {"offset": 2**70, "length": 1}}])
def test_an_hdf5_layout_that_cannot_be_is_refused(whole: Path, tmp_path: Path, layout: Any) -> None:
    path = copied(whole, tmp_path, "set.h5")
    found = describe(str(path))
    assert found is not None
    body = {**found[0], "layout": layout}
    del body["sha256"]
    text = json.dumps({**body, "sha256": digest_of(body)}).encode()
    block = text.ljust(found[1].block - 1) + b"\n"
    overwrite(path, 0, block)
    overwrite(path, path.stat().st_size - len(block), block)
    with pytest.raises(InputError, match=r"layout: is not that|too damaged to tell"):
        verify(path, repair=True)


def test_every_flipped_bit_and_every_cut_of_a_zarr_set_is_found(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path, "set.zarr")
    rng = np.random.default_rng(0)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    for i in range(200):
        file = files[i % len(files)]
        bit = int(rng.integers(0, 8 * file.stat().st_size))
        flip(file, bit)
        found = [str(finding) for finding in verify(path).findings]
        assert any(file.name in line for line in found), (file, bit, found)
        flip(file, bit)
    for i in range(20):
        file = files[i % len(files)]
        data = file.read_bytes()
        cut(file, int(rng.integers(0, len(data))))
        assert any(file.name in str(finding) for finding in verify(path).findings), file
        file.write_bytes(data)
    assert verify(path).good


def hdf5_region(path: Path, name: str, k: int) -> tuple[int, int]:
    found = describe(str(path))
    assert found is not None
    start, stop = PLAN.range(k)
    record = PLAN.record_bytes(name)
    return found[1].layout[name][0] + start * record, (stop - start) * record


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def forge_hdf5(path: Path) -> None:
    """A wrong digest in the table, and the table's digest set right."""
    found = describe(str(path))
    assert found is not None
    document, frame = found
    overwrite(path, frame.layout["sha256"][0] + 5, b"?")
    from posesynth.store.hdf5_set import _frame_digests

    block = block_bytes(frame, document["identity"], _frame_digests(str(path), PLAN, frame))
    overwrite(path, 0, block)
    overwrite(path, frame.size - frame.block, block)


def swap_shards(path: Path) -> None:
    (a, length), (b, _) = hdf5_region(path, "o", 0), hdf5_region(path, "o", 1)
    data = path.read_bytes()
    overwrite(path, a, data[b : b + length])
    overwrite(path, b, data[a : a + length])


HDF5_FAULTS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "cut": (lambda p: cut(p, 100_000), ["has 100000 bytes"]),
    "cut at the end": (lambda p: cut(p, p.stat().st_size - 1), [" bytes; expected "]),
    "grown": (grow, [" bytes; expected "]),
    "zeros": (lambda p: overwrite(p, hdf5_region(p, "p2d", 1)[0], bytes(1000)), ["p2d, shard 1"]),
    "swapped": (swap_shards, ["o, shard 0", "o, shard 1"]),
    "user block": (lambda p: overwrite(p, 5, b"?"), ["user block"]),
    "user block gone": (lambda p: overwrite(p, 0, bytes(4096)), ["user block"]),
    "footer": (lambda p: overwrite(p, p.stat().st_size - 9000, b"?"), ["footer"]),
    "checksums": (lambda p: overwrite(p, describe(str(p))[1].layout["crc32c/o"][0], b"????"), ["crc32c/o"]),  # type: ignore[index]
    "digests": (lambda p: overwrite(p, describe(str(p))[1].layout["sha256"][0], bytes(32)), ["sha256"]),  # type: ignore[index]
    "structure": (lambda p: overwrite(p, describe(str(p))[1].block + 100, b"?"), ["structure"]),  # type: ignore[index]
    "forged digest": (forge_hdf5, ["shard 0"]),
    "left over": (lambda p: shutil.copy(p, p.parent / ".set.h5.partial"), [".set.h5.partial"]),
}


@pytest.mark.parametrize("fault", HDF5_FAULTS)
def test_each_fault_of_an_hdf5_set_is_named_and_mended(whole: Path, tmp_path: Path, fault: str) -> None:
    path = copied(whole, tmp_path, "set.h5")
    damage, places = HDF5_FAULTS[fault]
    damage(path)
    report = verify(path)
    found = [str(finding) for finding in report.findings]
    for place in places:
        assert any(place in line for line in found), found
    mended = verify(path, repair=True)
    assert mended.good, mended.remaining
    assert mended.findings == report.findings
    assert contents(tmp_path) == {"set.h5": contents(whole)["set.h5"]}


def test_every_flipped_bit_of_an_hdf5_set_is_found(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path, "set.h5")
    rng = np.random.default_rng(0)
    found = describe(str(path))
    assert found is not None
    # Half of them outside the samples, where most bytes are not.
    frame = [int(byte) for start, stop in [*found[1].gaps, (0, found[1].block)] for byte in range(start, stop)]
    for i in range(200):
        byte = frame[int(rng.integers(len(frame)))] if i % 2 else int(rng.integers(0, path.stat().st_size))
        bit = 8 * byte + int(rng.integers(8))
        flip(path, bit)
        assert not verify(path).good, bit
        flip(path, bit)
    assert verify(path).good


def test_a_set_too_damaged_to_tell_is_one_clear_line(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path, "set.zarr")
    (path / "manifest.json").unlink()
    (path / "zarr.json").write_text("{}")
    with pytest.raises(InputError, match="not a posesynth data set"):
        verify(path, repair=True)
    path = copied(whole, tmp_path, "set.h5")
    overwrite(path, 0, bytes(100))
    cut(path, path.stat().st_size - 1)
    with pytest.raises(InputError, match="too damaged to tell"):
        verify(path, repair=True)


def test_no_false_alarms(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(20):
        plan = small_plan(
            seed=int(rng.integers(2**63)),
            n=int(rng.integers(1, 3000)),
            shard=int(rng.integers(1, 3000)),
            arrays=FIELDS if i % 2 else ("p2d", "o"),
            dtype="float16" if i % 3 else "float32",
            skeleton=ROBUST if i % 5 else PLAN.skeleton,
        )
        plan = small_plan(n=200, shard=3) if plan.n / plan.shard > 100 else plan
        path = tmp_path / f"{i}.{'h5' if i % 2 else 'zarr'}"
        generate(plan, path)
        assert verify(path).findings == ()


def mutated(data: st.DataObject, original: bytes) -> bytes:
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed)))
        if data.draw(st.booleans()):
            changed[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=40))
        elif at < len(changed):
            changed[at] = data.draw(st.integers(0, 255))
    return bytes(changed)


TRIES = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@TRIES
@given(st.data())
def test_a_changed_zarr_set_reads_right_or_not_at_all(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    path = copied(whole, tmp_path, "set.zarr")
    file = data.draw(st.sampled_from(sorted(p for p in path.rglob("*") if p.is_file())))
    file.write_bytes(mutated(data, file.read_bytes()))
    reads_right_or_not_at_all(path)


@TRIES
@given(st.data())
def test_a_changed_hdf5_set_reads_right_or_not_at_all(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    path = copied(whole, tmp_path, "set.h5")
    path.write_bytes(mutated(data, path.read_bytes()))
    reads_right_or_not_at_all(path)


def reads_right_or_not_at_all(path: Path) -> None:
    try:
        read = open(path)[:]
    except InputError as error:
        lines = error.lines
    else:
        lines = ()
        assert_same(read, expected_of(PLAN))
    assert all("\n" not in line and len(line) < 300 + len(str(path)) for line in lines)


def test_a_shard_that_is_a_link_is_one_fault(tmp_path: Path) -> None:
    generate(PLAN, tmp_path / "set.zarr")
    shard = tmp_path / "set.zarr" / "o" / "c.1.0.0"
    shard.rename(tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    assert [finding.fault for finding in verify(tmp_path / "set.zarr").findings] == ["is not a plain file"]


def test_a_difference_is_told_from_where_it_begins(tmp_path: Path) -> None:
    generate(PLAN, tmp_path / "set.zarr")
    shard = tmp_path / "set.zarr" / "o" / "c.1.0.0"
    shard.write_bytes(bytes(shard.stat().st_size))
    (finding,) = verify(tmp_path / "set.zarr").findings
    assert finding.fault == "differs from sample 2000 on"
