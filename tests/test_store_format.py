"""docs/data-format.md is enough to read a set: a reader written from it alone, with struct and NumPy."""

import hashlib
import json
import mmap
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_contract import QUADRUPED, ROBUST, contents, expected_of, small_plan

from posesynth.sampler import FIELDS
from posesynth.store import Plan, generate


def shapes(attributes: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    joints, edges = len(attributes["joints"]), len(attributes["joints"]) - 1
    every = {
        "p2d": (joints, 2), "o": (edges, 3), "p3d": (joints, 3), "o_up": (edges, 3), "rotation": (3, 3),
        "visibility": (joints,),
    }  # fmt: skip
    return {name: every[name] for name in attributes["arrays"]}


def dtype(attributes: dict[str, Any], name: str) -> str:
    return "?" if name == "visibility" else {"float32": "<f4", "float16": "<f2"}[attributes["dtype"]]


def crc32c(data: bytes) -> int:
    """CRC-32C a byte at a time, as its definition has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def read_zarr(path: Path) -> dict[str, np.ndarray]:
    """Every array of a Zarr set."""
    attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    assert (attributes["posesynth"], attributes["stream_version"]) == (1, 1)
    n, shard, chunk = attributes["n"], attributes["shard"], attributes["chunk"]
    arrays = {}
    for name, shape in shapes(attributes).items():
        parts = []
        for k in range((n + shard - 1) // shard):
            data = (path / name / ".".join(["c", str(k), *["0"] * len(shape)])).read_bytes()
            count = shard // chunk
            index = data[-(16 * count + 4) :]
            assert crc32c(index[:-4]) == struct.unpack("<I", index[-4:])[0]
            for j in range(count):
                offset, length = struct.unpack_from("<QQ", index, 16 * j)
                if offset == length == 2**64 - 1:
                    continue  # beyond n
                (check,) = struct.unpack_from("<I", data, offset + length - 4)
                assert j or k or crc32c(data[offset : offset + length - 4]) == check
                parts.append(np.frombuffer(data[offset : offset + length - 4], dtype(attributes, name)))
        arrays[name] = np.concatenate(parts).reshape(-1, *shape)[:n]
    return arrays


def read_hdf5(path: Path) -> dict[str, np.ndarray]:
    """Every array of an HDF5 set, without any HDF5 library."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        document, _ = json.JSONDecoder().raw_decode(data[: 2**20].decode("latin-1"))
        attributes = document["identity"]
        assert len(data) == document["size"]
        arrays = {}
        for name, shape in shapes(attributes).items():
            place = document["layout"][name]
            raw = data[place["offset"] : place["offset"] + place["length"]]
            arrays[name] = np.frombuffer(raw, dtype(attributes, name)).reshape(attributes["n"], *shape)
            checks = document["layout"][f"crc32c/{name}"]
            first = raw[: attributes["chunk"] * len(raw) // attributes["n"]]
            assert struct.unpack_from("<I", data, checks["offset"])[0] == crc32c(first)
        return arrays


@pytest.mark.parametrize("number", ["float32", "float16"])
@pytest.mark.parametrize(("ending", "read"), [("zarr", read_zarr), ("h5", read_hdf5)])
def test_a_reader_written_from_the_documentation(tmp_path: Path, ending: str, read: Any, number: str) -> None:
    plan = Plan(ROBUST, seed=2**64 - 1, n=150, shard=60, arrays=FIELDS, dtype=number)
    generate(plan, tmp_path / f"set.{ending}")
    arrays = read(tmp_path / f"set.{ending}")
    assert tuple(arrays) == FIELDS
    for name, values in arrays.items():
        assert values.tobytes() == getattr(expected_of(plan), name).tobytes(), name


def test_zarr_reads_the_same(tmp_path: Path) -> None:
    import zarr

    plan = small_plan(skeleton=ROBUST, arrays=FIELDS)
    generate(plan, tmp_path / "set.zarr")
    group = zarr.open_group(tmp_path / "set.zarr", mode="r")
    assert sorted(name for name, _ in group.members()) == sorted(FIELDS)
    for name in FIELDS:
        assert group[name][:].tobytes() == getattr(expected_of(plan), name).tobytes()
        assert zarr.open_array(tmp_path / "set.zarr" / name, mode="r")[1234:].shape[0] == 3266
    assert group.attrs["seed"] == 11
    assert dict(group.attrs) == {**plan.identity, "posesynth_version": group.attrs["posesynth_version"]}


def test_zarr_writes_the_same_bytes(tmp_path: Path) -> None:
    import zarr
    from zarr.storage import LocalStore

    plan = small_plan(skeleton=ROBUST, arrays=FIELDS)
    generate(plan, tmp_path / "ours.zarr")
    for name in FIELDS:
        (tmp_path / "theirs" / name).mkdir(parents=True)
        shutil.copy(tmp_path / "ours.zarr" / name / "zarr.json", tmp_path / "theirs" / name)
        array = zarr.open_array(LocalStore(tmp_path / "theirs" / name), config={"write_empty_chunks": True})
        for k in range(plan.shards):
            start, stop = plan.range(k)
            array[start:stop] = getattr(expected_of(plan, start, stop), name)
    theirs = contents(tmp_path / "theirs")
    ours = contents(tmp_path / "ours.zarr")
    assert {name: ours[name] for name in theirs} == theirs


def test_a_missing_shard_is_nan_to_any_zarr_reader(tmp_path: Path) -> None:
    import zarr

    generate(small_plan(), tmp_path / "set.zarr")
    (tmp_path / "set.zarr" / "o" / "c.1.0.0").unlink()
    values = zarr.open_group(tmp_path / "set.zarr", mode="r")["o"][:]
    assert np.isnan(values[2000:4000]).all()
    assert not np.isnan(values[:2000]).any()


def test_h5py_reads_the_same(tmp_path: Path) -> None:
    import h5py

    plan = small_plan(skeleton=ROBUST, arrays=FIELDS, seed=2**64 - 1)
    generate(plan, tmp_path / "set.h5")
    with h5py.File(tmp_path / "set.h5") as file:
        assert set(file) == {*FIELDS, "crc32c", "sha256"}
        for name in FIELDS:
            assert file[name][:].tobytes() == getattr(expected_of(plan), name).tobytes()
        start, stop = plan.range(1)
        assert file["sha256"][1, 1].tobytes() == hashlib.sha256(file["o"][start:stop].tobytes()).digest()
        attributes = dict(file.attrs)
    assert set(attributes) == {*plan.identity, "posesynth_version"}
    assert int(attributes["seed"]) == 2**64 - 1
    assert attributes["skeleton"] == QUADRUPED.text
    assert list(attributes["joints"]) == list(QUADRUPED.joints)
    assert attributes["parents"].tolist() == QUADRUPED.parents.tolist()
    assert json.loads(attributes["sampling"]) == plan.identity["sampling"]


def test_the_manifest_tells_every_file_of_a_zarr_set(tmp_path: Path) -> None:
    plan = small_plan()
    generate(plan, tmp_path / "set.zarr")
    manifest = json.loads((tmp_path / "set.zarr" / "manifest.json").read_text())
    told = dict(manifest["others"])
    for shard in manifest["shards"]:
        assert (shard["start"], shard["stop"]) == plan.range(shard["k"])
        told |= {f"{name}/c.{shard['k']}.0.0": piece for name, piece in shard["files"].items()}
    files = [p for p in (tmp_path / "set.zarr").rglob("*") if p.is_file() and p.name != "manifest.json"]
    assert told == {
        str(path.relative_to(tmp_path / "set.zarr")): {
            "length": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in files
    }
    body = {key: manifest[key] for key in ("identity", "shards", "others")}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    assert manifest["sha256"] == hashlib.sha256(text.encode()).hexdigest()
