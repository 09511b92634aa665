"""A folder whose files are there whole or not at all, and stay after a power cut: `LocalFolder`.

    temporary name in the same directory -> write -> fsync -> rename -> fsync of the directory

`Folder` is all that a Zarr set needs of the place it is kept in, so that an object store can be one too.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

from posesynth.errors import InputError

Bytes = bytes | bytearray | memoryview
Write = Callable[[Bytes], object]

_WRITE = 2**24  # bytes handed to the system at a time
_LARGEST = 2**28  # bytes of a file that is read as a whole: zarr.json, or the manifest of half a million shards
_TRIES = 100  # to make a file in a folder that another thread removes as soon as it is empty
_WAIT = 60.0  # seconds to wait for another generator that may soon be done
_PARTIAL = re.compile(r"\.[\w.-]+\.[0-9a-f]{16}\.partial")


class BusyError(InputError):
    """Another generator works here."""


class Folder(Protocol):
    """Files by name: `zarr.json`, `p2d/c.0.0.0`.  Errors of the system pass through as OSError."""

    where: str  # the place, as the user named it and as messages show it

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes | None:
        """A file's bytes, or `length` of them from `start` (fewer at its end); None where there is no file."""

    def put(self, name: str, data: Bytes) -> None:
        """Write a file: whole and durable when this returns, absent or as it was before if it does not."""

    def writing(self, name: str) -> AbstractContextManager[Write]:
        """Context: the same, bit by bit; there is a file once it ends without an error."""

    def settle(self, name: str, data: bytes) -> None:
        """Put a file that says what the set is, unless it is there already; InputError if another run puts another."""

    def sizes(self) -> dict[str, int]:
        """Length of every file, by name; -1 for what is not a plain file."""

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""

    def is_leftover(self, name: str) -> bool:
        """Whether a file is what an interrupted `put` left behind."""

    def lock(self, shared: bool) -> AbstractContextManager[None]:
        """Context: no other generator works here, or (shared) none but such as share.  BusyError if one does."""

    def free(self) -> int | None:
        """Bytes that can still be written here, None if nobody knows."""

    def digest(self, name: str) -> str | None:
        """SHA-256 (hex) of a file, None where there is none."""

    def kept_digest(self, name: str, length: int) -> str | None:
        """The same if the store vouches for it unread; as `digest` if not.  None at another length."""


class LocalFolder:
    """A `Folder` in the file system.  `path` need not exist until the first `put`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.where = os.fspath(path)

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes | None:
        """See `Folder`."""
        try:
            with open(self._open(name), "rb") as file:
                found = os.fstat(file.fileno()).st_size
                if length is None and found > _LARGEST:
                    raise InputError(f"{self.where}: {name}: has {found} bytes; expected at most {_LARGEST}")
                file.seek(start)
                return file.read(-1 if length is None else length)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def digest(self, name: str) -> str | None:
        """See `Folder`."""
        try:
            with open(self._open(name), "rb", buffering=0) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def kept_digest(self, name: str, length: int) -> str | None:
        """See `Folder`."""
        with suppress(FileNotFoundError, NotADirectoryError), open(self._open(name), "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size == length:
                return hashlib.file_digest(file, "sha256").hexdigest()
        return None

    def settle(self, name: str, data: bytes) -> None:
        """See `Folder`.  The lock keeps other runs away."""
        if self.read(name) != data:
            self.put(name, data)

    def put(self, name: str, data: Bytes) -> None:
        """See `Folder`."""
        with self.writing(name) as write:
            write(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[Write]:
        """See `Folder`."""
        folder, _, base = name.rpartition("/")
        partial = f".{base}.{secrets.token_hex(8)}.partial"
        directory, file = self._create(folder, partial)
        try:
            try:
                try:
                    yield lambda data: write_all(file, data)
                    os.fsync(file)
                finally:
                    os.close(file)
                os.replace(partial, base, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with suppress(OSError):
                    os.unlink(partial, dir_fd=directory)
                raise
            os.fsync(directory)
        finally:
            os.close(directory)

    def sizes(self) -> dict[str, int]:
        """See `Folder`."""
        found: dict[str, int] = {}

        def walk(folder: str) -> None:
            try:
                entries = list(os.scandir(os.path.join(self.where, folder)))
            except FileNotFoundError:  # nothing yet, or removed just now by another job of an array
                return
            for entry in entries:
                name = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    walk(name + "/")
                else:
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        found[name] = status.st_size if stat.S_ISREG(status.st_mode) else -1

        walk("")
        return found

    def remove(self, name: str) -> None:
        """See `Folder`; also the folder it was in, once that is empty."""
        folder, _, base = name.rpartition("/")
        with suppress(FileNotFoundError):
            directory = self._directory(folder)
            try:
                os.unlink(base, dir_fd=directory)
            finally:
                os.close(directory)
        if folder:
            with suppress(OSError):
                os.rmdir(os.path.join(self.where, folder))

    def is_leftover(self, name: str) -> bool:
        """See `Folder`."""
        return is_partial(name)

    @contextmanager
    def lock(self, shared: bool) -> Iterator[None]:
        """See `Folder`.  The directory itself is locked, so that no file of the lock is left behind."""
        directory = self._directory("", make=True)
        try:
            lock_file(directory, shared, self.where)
            yield
        finally:
            os.close(directory)

    def free(self) -> int | None:
        """See `Folder`."""
        return free_bytes(self.where)

    def _create(self, folder: str, base: str) -> tuple[int, int]:
        """Descriptors of a directory and of a new file in it; `remove` may take the directory away meanwhile."""
        for tries in range(_TRIES):
            directory = -1
            try:
                directory = self._directory(folder, make=True)
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
                return directory, os.open(base, flags, 0o666, dir_fd=directory)
            except BaseException as error:
                if directory >= 0:
                    os.close(directory)
                if not (folder and isinstance(error, FileNotFoundError) and tries < _TRIES - 1):
                    raise
        raise AssertionError

    def _directory(self, folder: str, make: bool = False) -> int:
        """A descriptor of the directory, never by way of a symbolic link inside the set."""
        if not folder:
            if make:
                make_directory(self.where)
            return os.open(self.where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        top = self._directory("", make)
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=top)
                    os.fsync(top)
            return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR) and os.path.islink(os.path.join(self.where, folder)):
                raise InputError(
                    f"{self.where}: {folder}: is a symbolic link; expected a directory, as posesynth made it"
                ) from None
            raise
        finally:
            os.close(top)

    def _open(self, name: str) -> int:
        folder, _, base = name.rpartition("/")
        directory = self._directory(folder)
        try:
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            return plain(os.open(base, flags, dir_fd=directory), f"{self.where}: {name}")
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise InputError(f"{self.where}: {name}: is a symbolic link; expected a file") from None
            raise
        finally:
            os.close(directory)


def is_partial(name: str) -> bool:
    """Whether a file's name is one that `put` gives while it writes."""
    return _PARTIAL.fullmatch(name.rpartition("/")[2]) is not None


def plain(file: int, where: str) -> int:
    """A descriptor, or InputError if it is not one of a plain file: a pipe would never end."""
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise InputError(f"{where}: is not a plain file; expected one, as posesynth made it")
    return file


def write_all(file: int, data: Bytes) -> None:
    """Write every byte to a descriptor: a system's write may take fewer than it is given."""
    rest = memoryview(data).cast("B")
    while len(rest):
        rest = rest[os.write(file, rest[:_WRITE]) :]


def lock_file(file: int, shared: bool, where: str) -> None:
    """Lock a descriptor until it is closed, or raise BusyError because another generator has it.

    shared: waits a while, for of the jobs that share, each that ends tries for a moment to be alone.
    """
    until = time.monotonic() + (_WAIT if shared else 0)
    while True:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise BusyError(
                    f"{where}: is being written by another posesynth generate; wait for it, or stop it"
                ) from None
            time.sleep(0.05)
        except OSError as error:
            # A network file system without locks.  Two generators of one plan write the same bytes: none is harmed.
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF, errno.ENOSYS, errno.EINVAL):
                raise
            return


def make_directory(path: str) -> None:
    """Make a directory durably, unless it is there; its parent must be."""
    with suppress(FileExistsError):
        os.mkdir(path)
        sync_directory(os.path.dirname(os.path.abspath(path)))


def sync_directory(path: str) -> None:
    """Make what was renamed or made in a directory ("" is this one) outlast a power cut."""
    directory = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def free_bytes(path: str) -> int:
    """Bytes an ordinary user can still write where `path` is or would be."""
    while not os.path.exists(path):
        path = os.path.dirname(os.path.abspath(path))
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
