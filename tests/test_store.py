"""Zarr and HDF5 sets keep the contract of a store; plans; what a path may be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_contract import QUADRUPED, StoreContract, small_plan

from posesynth import InputError, load_skeleton
from posesynth.store import generate, open  # noqa: A004
from posesynth.store.generate import as_input_error
from posesynth.store.target import target


class TestZarr(StoreContract):
    def place(self, folder: Path, name: str = "set") -> str:
        return str(folder / f"{name}.zarr")


class TestHdf5(StoreContract):
    def place(self, folder: Path, name: str = "set") -> str:
        return str(folder / f"{name}.h5")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": -1}, "seed: is -1; expected a whole number"),
        ({"seed": 2**64}, "seed: is 18446744073709551616; expected"),
        ({"seed": 1.5}, "seed: is 1.5; expected a whole number"),
        ({"n": 0}, "n: is 0; expected"),
        ({"n": True}, "n: is True; expected"),
        ({"n": 2**60}, "n: is 1152921504606846976; expected"),
        ({"shard": 0}, "shard: is 0; expected"),
        ({"shard": 10_007}, "shard: 10007 cannot be cut into equal chunks .* such as 16384"),
        ({"shard": 2**31}, "shard: 2147483648 samples of 180 bytes make too large a file; expected at most"),
        ({"arrays": ("p2d", "o", "p4d")}, r"arrays: no array is called 'p4d'; .* did you mean"),
        ({"arrays": ("p2d",)}, "arrays: are p2d; expected p2d and o"),
        ({"arrays": ("p2d", "o", "o")}, "arrays: are p2d, o, o; expected"),
        ({"dtype": "float64"}, "dtype: is 'float64'; expected float32 or float16"),
        ({"skeleton": replace(QUADRUPED, text="")}, "skeleton: "),
        ({"skeleton": replace(QUADRUPED, text=load_skeleton("dog").text)}, "skeleton: differs from its own YAML text"),
    ],
)
def test_plans_that_cannot_be_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        small_plan(**change)


def test_the_order_of_arrays_does_not_matter() -> None:
    assert small_plan(arrays=("visibility", "o", "p2d")) == small_plan(arrays=("p2d", "o", "visibility"))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("a.h5", {"shards": (0, 1)}, "shards: an HDF5 file is written by one run"),
        ("a.zarr", {"shards": (0, 4)}, "shards: is 0:4; expected A:B with 0 <= A < B <= 3"),
        ("a.zarr", {"shards": (1, 1)}, "shards: is 1:1; expected"),
        ("a.zarr", {"workers": 0}, "workers: is 0; expected 1 to 1024"),
        ("a.h5/b", {}, "path: is .*; expected one ending in .zarr, .h5 or .hdf5"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        generate(small_plan(), tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_float16_cannot_hold_are_refused(tmp_path: Path) -> None:
    far = replace(QUADRUPED, sampling=replace(QUADRUPED.sampling, noise=999.0))
    plan = small_plan(skeleton=far, dtype="float16")
    generate(plan, tmp_path / "near.zarr")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("posesynth.store.plan.sample_into", too_far)
        with pytest.raises(InputError, match="p2d goes beyond the 65504 that float16 holds; expected float32"):
            generate(plan, tmp_path / "far.zarr")


def too_far(skeleton: Any, seed: int, start: int, arrays: dict[str, Any], threads: int) -> None:
    for array in arrays.values():
        array.fill(7e4)


def test_a_relative_path_and_a_slash_are_the_same_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.zarr", "a.h5"):
        assert generate(small_plan(), name).written == 3
        assert generate(small_plan(), f"./{name}/").reused == 3
        assert len(open(tmp_path / name)) == 4500
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "a.zarr"]


def test_an_index_is_any_whole_number_and_no_bool(tmp_path: Path) -> None:
    generate(small_plan(), tmp_path / "a.zarr")
    data = open(tmp_path / "a.zarr")
    assert data[np.uint64(5)].o.tobytes() == data[5].o.tobytes()  # type: ignore[index]
    for index in (True, np.bool_(True), 1.5):
        with pytest.raises(TypeError):
            data[index]  # type: ignore[index]


def test_too_little_memory_is_one_line() -> None:
    with (
        pytest.raises(InputError, match=r"a\.zarr: not enough memory; expected a smaller shard"),
        as_input_error(target("a.zarr")),
    ):
        raise MemoryError
