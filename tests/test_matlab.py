"""MATLAB files: what SciPy wrote comes back, and what is damaged, or too much, or could run is one line."""

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matlab_values import cells, structs

from posesynth.errors import InputError
from posesynth.matlab import read_variable, read_variables, variables

io = pytest.importorskip("scipy.io", reason="SciPy, which writes .mat, is not installed")
sparse = pytest.importorskip("scipy.sparse")


def element(kind: int, content: bytes, order: str = "<") -> bytes:
    padding = b"" if kind == 15 else bytes(-len(content) % 8)
    return struct.pack(f"{order}II", kind, len(content)) + content + padding


def matrix(kind: int, shape: tuple[int, ...], content: bytes = b"", name: bytes = b"x", order: str = "<") -> bytes:
    """A matrix element of a class, whose values are the elements `content`."""
    head = element(6, struct.pack(f"{order}II", kind, 0), order)
    sizes = element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    return element(14, head + sizes + element(1, name, order) + content, order)


def write(path: Path, *elements: bytes, order: str = "<") -> str:
    """A MATLAB file of the elements given."""
    mark = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + mark + b"".join(elements))
    return str(path)


def packed(content: bytes, order: str = "<") -> bytes:
    return element(15, zlib.compress(content, 9), order)


def refused(path: str | Path, said: str, read: Callable[[str], Any] = lambda path: read_variable(path, "x")) -> None:
    with pytest.raises(InputError) as caught:
        read(str(path))
    (line,) = caught.value.lines
    assert line.startswith((f"{path}: ", "..."))
    assert line.isprintable()
    assert len(line) <= 300
    assert said in line, line


def rich(path: Path, compressed: bool) -> Path:
    """A file with something of each kind that is read."""
    people = structs([{"name": "one", "at": np.arange(6.0).reshape(2, 3)}, {"name": "", "at": cells(["a", 2.0])}])
    io.savemat(path, {"people": people, "x": np.eye(3), "last": cells([people, "end"])}, do_compression=compressed)
    return path


@pytest.mark.parametrize("compressed", [True, False])
def test_values_are_those_that_scipy_wrote(tmp_path: Path, compressed: bool) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 100, (2, 3, 4)).astype(kind) for kind in ("i1", "u1", "i2", "u2", "i4", "u8", "f4", "f8")]
    arrays += [np.zeros((0, 3)), rng.normal(size=(1, 7)), np.array([[True, False]])]
    texts = {"name": "im0001.jpg", "e": "", "accent": "tête"}
    values = {"all": cells(arrays), "one": 3.5, "s": structs([texts, {**texts, "e": cells([1.0, "two"])}]), "last": 1}
    path = str(tmp_path / "x.mat")
    io.savemat(path, values, do_compression=compressed)
    assert variables(path) == ["all", "one", "s", "last"]
    for found, array in zip(read_variable(path, "all"), arrays, strict=True):
        np.testing.assert_array_equal(found, array)
        assert found.dtype == (np.uint8 if array.dtype == bool else array.dtype)
    held = read_variables(path, ["one", "last", "two"])
    assert held == {"one": 3.5, "last": 1.0}
    first, second = read_variable(path, "s")
    assert (first["name"], first["accent"], first["e"]) == ("im0001.jpg", "tête", "")
    assert second["e"] == [1.0, "two"]
    refused(path, "no variable 'two'", lambda path: read_variable(path, "two"))


def test_cells_come_column_by_column(tmp_path: Path) -> None:
    table = np.empty((2, 2), object)
    table[:] = [["one", 2.0], ["three", {"field": "text"}]]
    io.savemat(tmp_path / "x.mat", {"x": table})
    assert read_variable(str(tmp_path / "x.mat"), "x") == ["one", "three", 2.0, [{"field": "text"}]]


def test_only_the_fields_asked_for_are_read(tmp_path: Path) -> None:
    entries = [{"keep": 1.0, "deep": {"keep": 2.0, "z": "no"}, "never": np.array([[1j]])}] * 2
    io.savemat(tmp_path / "x.mat", {"x": structs(entries)})
    found = read_variable(str(tmp_path / "x.mat"), "x", ["keep", "deep"])
    assert found == [{"keep": 1.0, "deep": [{"keep": 2.0}]}] * 2
    refused(tmp_path / "x.mat", "complex numbers")


@pytest.mark.parametrize("order", ["<", ">"])
def test_either_order_of_bytes_is_read(tmp_path: Path, order: str) -> None:
    numbers = matrix(6, (2, 2), element(9, np.arange(4, dtype=f"{order}f8").tobytes(), order), order=order)
    text = matrix(4, (1, 2), element(4, "ä€".encode("utf-16-le" if order == "<" else "utf-16-be"), order), b"t", order)
    path = write(tmp_path / "x.mat", packed(numbers, order), text, order=order)
    held = read_variables(path, ["x", "t"])
    assert (held["x"].tolist(), held["t"]) == ([[0, 2], [1, 3]], "ä€")
    assert held["x"].dtype.isnative


def test_structs_without_fields_are_empty(tmp_path: Path) -> None:
    nothing = element(5, struct.pack("<i", 1)) + element(1, b"")
    assert read_variable(write(tmp_path / "x.mat", matrix(2, (1, 2), nothing)), "x") == [{}, {}]
    assert read_variable(write(tmp_path / "x.mat", matrix(2, (0, 0), nothing)), "x") == []
    refused(write(tmp_path / "x.mat", matrix(2, (1, 2**30), nothing)), "damaged")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.array([[1j]]), "'x': holds complex numbers"),
        (sparse.coo_array(np.eye(3)), "'x': holds a sparse matrix"),
        (np.array(["ab", "cd"]), "texts of one line"),
    ],
    ids=["complex", "sparse", "two lines"],
)
def test_values_of_no_use_here_are_refused(tmp_path: Path, value: Any, said: str) -> None:
    io.savemat(tmp_path / "x.mat", {"x": value, "y": 1.0})
    refused(tmp_path / "x.mat", said)
    assert read_variable(str(tmp_path / "x.mat"), "y") == 1


def test_objects_are_passed_over_and_never_read(tmp_path: Path) -> None:
    """MATLAB's strings and tables have no shape: flags, name, type system, class, content."""
    head = element(6, struct.pack("<II", 17, 0)) + element(1, b"label") + element(1, b"MCOS") + element(1, b"string")
    opaque = element(14, head + matrix(13, (1, 1), element(6, bytes(4)), b""))
    path = write(tmp_path / "x.mat", packed(opaque), matrix(6, (1, 1), element(9, bytes(8))))
    assert variables(path) == ["label", "x"]
    assert read_variable(path, "x") == 0
    refused(path, "'label': holds an object", lambda path: read_variable(path, "label"))
    refused(write(tmp_path / "f.mat", matrix(16, (1, 1))), "'x': holds a function")


def test_what_is_no_file_of_these_versions_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    refused(path, "No such file")
    refused(tmp_path, "is no regular file")
    for content in (b"", b"MATLAB", b"PK\x03\x04", bytes(1000), b"MATLAB 5.0" + bytes(200)):
        path.write_bytes(content)
        refused(path, "no MATLAB file of version 5 to 7")
    for content in (b"MATLAB 7.3 MAT-file" + bytes(1000), b"\x89HDF\r\n\x1a\n" + bytes(1000)):
        path.write_bytes(content)
        refused(path, "version 7.3")


def test_wrong_sizes_are_found_before_anything_is_made_of_them(tmp_path: Path) -> None:
    path, eight = tmp_path / "x.mat", element(9, bytes(8))
    damaged = [
        matrix(6, (2**31 - 1, 2**31 - 1), eight),
        matrix(6, (0, 2**31 - 1, 2**31 - 1, 2**31 - 1), eight),
        matrix(6, (-1, 1), eight),
        matrix(6, (1,) * 40, eight),
        matrix(6, (1, 1), element(99, bytes(8))),
        matrix(4, (1, 4), element(17, b"\x00\xd8ab")),
        matrix(1, (1, 2**31 - 1), eight),
        matrix(1, (1, 1), eight),
        matrix(2, (1, 1), element(5, struct.pack("<i", -1)) + element(1, b"name")),
        matrix(2, (1, 1), element(5, struct.pack("<i", 2)) + element(1, b"a\0a\0")),
        matrix(1, (1, 1)),
        element(14, b""),
        element(9, bytes(8)),
        packed(eight),
        packed(b""),
        element(15, b"no zlib"),
        element(15, zlib.compress(matrix(6, (1, 1), eight))[:-2]),
        b"\x0e\0\0\0\xff\xff\xff\xff",
        b"\x0e\0",
    ]
    for content in damaged:
        refused(write(path, content), "damaged")
    deep = eight
    for _ in range(40):
        deep = matrix(1, (1, 1), deep if deep != eight else matrix(6, (1, 1), eight))
    refused(write(path, deep), "nested deeper than 16")


def test_the_shape_of_no_numbers_may_be_any(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mat", matrix(6, (0, 3), element(9, b"")))
    assert read_variable(path, "x").shape == (0, 3)
    refused(write(tmp_path / "x.mat", matrix(6, (0, *[2**31 - 1] * 3), element(9, b""))), "damaged")


def test_a_cut_is_told_behind_what_is_asked_for_too(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    io.savemat(path, {"x": 1.0, "more": np.arange(100.0)})
    path.write_bytes(path.read_bytes()[:-9])
    refused(path, "damaged")


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path: Path) -> None:
    refused(write(tmp_path / "x.mat", element(15, zlib.compress(bytes(2**29 + 1), 1))), "unpacks to more than 512 MiB")


def test_all_variables_share_the_room_for_what_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {name: np.zeros((3, 14, 2_000)) for name in "xyz"}
    io.savemat(tmp_path / "x.mat", held, do_compression=True)
    for most, fine in ((2_016_000 + 3 * 64, True), (2_016_000, False)):
        monkeypatch.setattr("posesynth.matlab.LARGEST", most)
        if fine:
            assert read_variable(str(tmp_path / "x.mat"), "x").shape == (3, 14, 2_000)
        else:
            refused(tmp_path / "x.mat", "unpacks to more than 1 MiB")
    monkeypatch.setattr("posesynth.matlab.LARGEST", 1000)
    refused(tmp_path / "x.mat", "larger than 0 MiB")


def test_cells_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight bytes, and after packing hardly any, make one value of a hundred: they are counted, not only weighed."""
    count = 2**23 + 1
    path = write(tmp_path / "x.mat", packed(matrix(1, (1, count), struct.pack("<II", 14, 0) * count)))
    assert Path(path).stat().st_size < 2**20
    refused(path, "more than 8388608 cells and fields")
    monkeypatch.setattr("posesynth.matlab.MOST_ENTRIES", 100)
    empty = matrix(2, (0, 0), element(5, struct.pack("<i", 1)) + element(1, b"abcdefghijklmnopqrstuvwxyz"), b"")
    refused(write(tmp_path / "x.mat", matrix(1, (1, 5), empty * 5)), "more than 100")
    refused(write(tmp_path / "x.mat", matrix(6, (0, 0), element(9, b"")) * 101), "more than 100")
    array = matrix(6, (1, 2), element(2, b"ab"), b"")
    refused(write(tmp_path / "x.mat", matrix(1, (1, 6), array * 6)), "more than 100")


def test_an_array_larger_than_any_motion_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    io.savemat(tmp_path / "x.mat", {"x": np.zeros((3, 4), np.int8)})
    monkeypatch.setattr("posesynth.matlab.MOST_NUMBERS", 12)
    assert read_variable(str(tmp_path / "x.mat"), "x").shape == (3, 4)
    monkeypatch.setattr("posesynth.matlab.MOST_NUMBERS", 11)
    refused(tmp_path / "x.mat", "12 numbers; expected at most 11")


@pytest.mark.parametrize("compressed", [True, False])
def test_damage_is_one_line_or_is_not_seen(tmp_path: Path, compressed: bool) -> None:
    data, draw, path = rich(tmp_path / "x.mat", compressed).read_bytes(), random.Random(0), tmp_path / "damaged.mat"
    told = []
    for trial in range(600):
        damaged = bytearray(data if trial % 2 else data[: draw.randrange(1, len(data))])
        for _ in range(3):
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            read_variables(str(path), ["people", "x", "last"])
        except InputError as error:
            told.append(error.lines)
    assert len(told) > 300
    assert all(len(lines) == 1 and len(lines[0]) <= 300 and lines[0].isprintable() for lines in told)
