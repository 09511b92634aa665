"""Kept kernels: found again, never believed when damaged or out of date, never a reason to stop."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from posesynth import compilation, kernel, kinematics, rng, transpose, trigonometry


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of kernels of the test's own; the process's own sources stay as they are."""
    monkeypatch.setattr(compilation, "_sources", set())
    monkeypatch.setattr(compilation, "_sources_digest", lambda _: "one")
    monkeypatch.setattr(compilation, "_directory", lambda: tmp_path)
    return tmp_path


def triple(x: int) -> int:
    return 3 * x


def run() -> tuple[int, int]:
    """(kernels found, kernels compiled) when a process that is new to `triple` calls it."""
    compiled: Any = compilation.kernel(triple)
    assert compiled(14) == 42
    return sum(compiled.stats.cache_hits.values()), sum(compiled.stats.cache_misses.values())


FOUND, COMPILED = (1, 0), (0, 1)


def test_a_kernel_is_kept_and_found_again(folder: Path) -> None:
    assert run() == COMPILED
    (entry,) = folder.iterdir()
    assert entry.suffix == ".kernel"
    assert run() == FOUND


def with_digest(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest() + payload


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "cut within the digest": lambda data: data[:20],
    "a bit flipped in the code": lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    "a bit flipped in the digest": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "grown": lambda data: data + b"\0",
    "no pickle": lambda data: with_digest(b"none"),
    "a pickle of something else": lambda data: with_digest(b"\x80\x04]."),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_kernel_is_compiled_again(folder: Path, damage: str) -> None:
    run()
    (entry,) = folder.iterdir()
    entry.write_bytes(DAMAGES[damage](entry.read_bytes()))
    assert run() == COMPILED
    assert run() == FOUND
    assert [path.name for path in folder.iterdir()] == [entry.name]


def test_changed_sources_are_compiled_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    monkeypatch.setattr(compilation, "_sources_digest", lambda _: "another")
    assert run() == COMPILED


def test_a_package_below_changes_the_digest_of_its_own_kernels_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else a kernel would be compiled again when a package is imported that it knows nothing of."""
    above, below = tmp_path / "a.py", tmp_path / "package" / "b.py"
    below.parent.mkdir()
    above.write_text("a")
    below.write_text("b")
    digest = compilation._sources_digest.__wrapped__

    def digests(*sources: Path) -> tuple[str, str]:
        monkeypatch.setattr(compilation, "_sources", {str(path) for path in sources})
        return digest(str(tmp_path)), digest(str(below.parent))

    alone, both = digests(above), digests(above, below)
    assert alone[0] == both[0]
    assert alone[1] != both[1]
    above.write_text("changed")
    assert digests(above, below)[0] != both[0]
    assert digests(above, below)[1] != both[1]


def test_the_digest_is_of_every_file_whose_functions_are_compiled() -> None:
    """Numba's own cache knows only the file of the kernel, and runs old code when another has changed."""
    modules = (kernel, kinematics, rng, transpose, trigonometry)
    assert {str(module.__file__) for module in modules} <= compilation._sources


def test_where_nothing_can_be_kept_kernels_still_run(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(compilation, "_directory", lambda: None)
    assert run() == COMPILED
    monkeypatch.setattr(compilation, "_directory", lambda: folder / "gone")
    assert run() == COMPILED
    assert list(folder.iterdir()) == []


def test_kernels_run_where_numba_has_moved_what_keeping_them_needs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from numba.core.compiler import CompileResult

    monkeypatch.delattr(CompileResult, "_reduce")
    assert run() == COMPILED
    assert list(folder.iterdir()) == []
    monkeypatch.undo()


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path | None]:
    """The folder that is used when NUMBA_CACHE_DIR is set."""

    def with_setting(path: str) -> Path | None:
        monkeypatch.setenv("NUMBA_CACHE_DIR", path)
        return compilation._directory.__wrapped__()

    return with_setting


def test_a_folder_is_made_for_oneself_alone(tmp_path: Path, directory: Callable[[str], Path | None]) -> None:
    path = tmp_path / "a" / "b"
    assert directory(str(path)) == path
    assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_folder_that_others_can_write_to_is_not_used(
    tmp_path: Path, directory: Callable[[str], Path | None], mode: int
) -> None:
    """An entry is code that runs."""
    tmp_path.chmod(mode)
    with pytest.warns(UserWarning, match="others may write there"):
        assert directory(str(tmp_path)) is None
    tmp_path.chmod(0o755)
    assert directory(str(tmp_path)) == tmp_path


def test_a_folder_that_cannot_be_made_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert compilation._directory.__wrapped__() is None
