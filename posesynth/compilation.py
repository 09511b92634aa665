"""Compiled kernels, kept between runs so that only the first one pays for the compiler.

Numba's own cache notices a change of the file that holds a kernel but not of the files whose functions it calls, stops
with a traceback on a damaged entry, runs one with a flipped bit, and fails at import where nothing can be written.
This one stores each kernel under a digest of all of this package's sources, checks it before use, and compiles
whenever anything is amiss.
"""

import hashlib
import os
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import config, njit
from numba.core import event

_DIGEST = 32  # bytes of SHA-256 at the head of a file

_sources: set[str] = set()


def formula(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of numbers, always inlined: one call left in a loop keeps it from running on vectors."""
    return _compiled(function, inline=True)


def stage(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that kernels call."""
    return _compiled(function, inline=False)


def _compiled(function: Callable[..., Any], inline: bool) -> Callable[..., Any]:
    _sources.add(function.__code__.co_filename)
    # Without Python's check for a zero divisor, which would keep every loop with a division from running on vectors.
    compiled: Callable[..., Any] = njit(nogil=True, error_model="numpy", forceinline=inline)(function)
    return compiled


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that Python calls, and keep the machine code for the next process."""
    compiled = stage(function)
    compiled._cache = _KernelCache(function)  # type: ignore[attr-defined]
    return compiled


@contextmanager
def on_compiling(tell: Callable[[], object]) -> Iterator[None]:
    """Context: `tell` is called once if a kernel has to be compiled, before it is."""
    listener = _Listener(tell)
    with event.install_listener("numba:compile", listener):
        yield


class _Listener(event.Listener):
    """Of Numba's compiler, which a kept kernel does not need."""

    def __init__(self, tell: Callable[[], object]) -> None:
        self._tell: Callable[[], object] | None = tell

    def on_start(self, _: Any) -> None:
        tell, self._tell = self._tell, None
        if tell:
            tell()

    def on_end(self, _: Any) -> None:
        pass


class _KernelCache:
    """What Numba asks of a function's cache.

    How machine code becomes bytes is Numba's own affair and may move in any release; then nothing is kept.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._folder = os.path.dirname(function.__code__.co_filename)
        self._on = True

    @property
    def cache_path(self) -> str:
        return str(_directory() or "")

    def enable(self) -> None:
        self._on = True

    def disable(self) -> None:
        self._on = False

    def flush(self) -> None:
        for path in (_directory() or Path()).glob(f"{self._name}-*.kernel"):
            path.unlink(missing_ok=True)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kept machine code for a signature, or None, on which Numba compiles."""
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        if path is None:
            return None
        try:
            data = path.read_bytes()
            if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
                return None
            from numba.core.compiler import CompileResult

            rebuild: Any = CompileResult._rebuild
            return rebuild(target_context, *pickle.loads(data[_DIGEST:]))
        except Exception:  # whatever a strange entry does, compiling mends it
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compile result; a place that cannot be written is no reason to stop."""
        path = self._path(sig, data.codegen)
        if path is None:
            return
        try:
            from numba.core.serialize import dumps

            payload: bytes = dumps(data._reduce())  # type: ignore[no-untyped-call]
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".kernel-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(payload).digest() + payload)
                os.replace(name, path)
            except OSError:
                os.unlink(name)
        except Exception:  # the kernel runs; it is only not kept
            return

    def _path(self, sig: Any, codegen: Any) -> Path | None:
        directory = _directory() if self._on else None
        if directory is None:
            return None
        sources = _sources_digest(self._folder)
        key = repr((sig, codegen.magic_tuple(), numba.__version__, getattr(config, "OPT", None), sources))
        return directory / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.kernel"


@cache
def _sources_digest(folder: str) -> str:
    """Of every file that a stage stands in, in a kernel's folder and those around it.

    These are imported before a kernel of the folder is first called; a package below may come later, or never.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in {*_sources, __file__} if folder.startswith(os.path.dirname(path))):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


@cache
def _directory() -> Path | None:
    """Where kernels are kept: NUMBA_CACHE_DIR, or the user's cache; None where that is not ours alone to write.

    An entry is code that runs, so a folder that others may write to is not used.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        path = Path(given) if given else home / "posesynth"
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        state = path.stat()
        if state.st_uid != os.geteuid() or state.st_mode & 0o022:
            warnings.warn(f"{path}: others may write there, so compiled kernels are not kept", stacklevel=2)
            return None
        return path if os.access(path, os.W_OK) else None
    except (OSError, RuntimeError):
        return None
