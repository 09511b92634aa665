"""The skeleton file being written: its text, ranges that change in it, undo and redo, saving by rename."""

import codecs
import os
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from time import monotonic

from posesynth.errors import InputError
from posesynth.schema import skeleton_of_tree
from posesynth.schema.tables import MAX_JOINTS
from posesynth.schema_edits import Written
from posesynth.skeleton import Range, Skeleton, builtin_name, load_skeleton
from posesynth.yaml_source import MAX_BYTES, Faults, Node, read_yaml

MERGED = 1.0  # seconds: changes of one range that follow each other faster are one step of undo
STEPS = 500  # of undo that are kept


class Document:
    """A skeleton's YAML while it is edited.

    ``name``: as it was given.  ``path``: the file, None for a built-in, which cannot be saved.
    ``text``: as it stands, comments and order kept.  ``skeleton``: the last valid one.
    ``faults``: what is wrong with the text, in the words of ``posesynth validate``; none where it is `skeleton`'s.
    ``doubts``: what a reader of `skeleton` is warned of.
    """

    def __init__(self, name_or_path: str | os.PathLike[str]) -> None:
        """Raises InputError as `load_skeleton` does."""
        self.name = os.fspath(name_or_path)
        self.path = None if builtin_name(name_or_path) else Path(name_or_path)
        self._on_disk = self._read_file()  # before it is read: what changes meanwhile is noticed
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            self.skeleton: Skeleton = load_skeleton(name_or_path)
        self.text = self.skeleton.text
        self.faults: tuple[str, ...] = ()
        self.doubts = tuple(str(doubt.message) for doubt in doubts)
        self._written = Written(self.text, self._read(self.text)[0])
        self._saved = self.text
        self._past: list[str] = []
        self._future: list[str] = []
        self._last = ("", "", 0.0)  # joint, range and time of a change that the next may go on with

    @property
    def changed(self) -> bool:
        """Whether there is something to save."""
        return self.text != self._saved

    def source(self, joint: str) -> str:
        """The joint in whose entry the ranges of this one stand: the one it mirrors, or itself."""
        return self._written.mirrors.get(joint, joint)

    def ranges(self, joint: str) -> dict[str, Range]:
        """The ranges of a joint by their paths (see `Written`), its length also where none is written."""
        source = self.source(joint)
        edge = self.skeleton.joints.index(source) - 1
        written = self._written.ranges[source]
        return written if "length" in written else written | {"length": self.skeleton.ranges[edge].length}

    def set_range(self, joint: str, path: str, range_: Range) -> None:
        """Change a range, valid or not.  Changes of one range that follow each other quickly are undone together."""
        joint = self.source(joint)
        if self.ranges(joint)[path] == range_:
            return
        before, now = self._last, monotonic()
        self._change(self._written.edit(joint, path, range_), (joint, path) == before[:2] and now - before[2] < MERGED)
        self._last = (joint, path, now)

    def set_text(self, text: str) -> None:
        """Change everything at once, as one step."""
        self._change(text)

    def undo(self) -> None:
        """Back to the text before the last step, if there is one."""
        if self._past:
            self._future.append(self.text)
            self._take(self._past.pop())

    def redo(self) -> None:
        """Forward again to what `undo` took back."""
        if self._future:
            self._past.append(self.text)
            self._take(self._future.pop())

    def changed_on_disk(self) -> bool:
        """Whether the file is no longer what was read or saved here."""
        return self.path is not None and self._read_file() != self._on_disk

    def reload(self) -> None:
        """Take the file's text, as a step that can be undone.

        Raises InputError where the file is not valid, or has other joints: then nothing changes.
        """
        assert self.path is not None
        on_disk = self._read_file()
        theirs, mine = load_skeleton(self.path), self.skeleton
        if theirs.joints != mine.joints or theirs.parents.tolist() != mine.parents.tolist():
            raise InputError(f"{self.path}: has other joints now; expected the same, or the page started again")
        text = theirs.text
        if text != self.text:
            self._change(text)
        self._saved, self._on_disk = text, on_disk

    def save(self, over: bool = False) -> None:
        """Write the file by rename: whole or not at all.

        over: also where it has changed on disk since.  Raises InputError for a built-in, for a text with faults, and
        where the file has changed or cannot be written.
        """
        if self.path is None:
            own = f"posesynth new my_{self.skeleton.name}.yaml --like {self.skeleton.name}"
            raise InputError(f"{self.name}: a built-in stays as it is; expected a file of your own: {own}")
        if self.faults:
            raise InputError(*self.faults)
        if not over and self.changed_on_disk():
            raise InputError(f"{self.path}: has changed on disk; expected a word on which of the two to keep")
        mark = codecs.BOM_UTF8 if (self._on_disk or b"").startswith(codecs.BOM_UTF8) else b""
        data = mark + self.text.encode()
        _write_whole(self.path, data)
        self._saved, self._on_disk = self.text, data

    def _change(self, text: str, goes_on: bool = False) -> None:
        if not goes_on:
            self._past = [*self._past[1 - STEPS :], self.text]
        self._future.clear()
        self._take(text)

    def _take(self, text: str) -> None:
        self.text, self._last = text, ("", "", 0.0)
        tree, faults = self._read(text)
        self._written = Written(text, tree)
        try:
            with warnings.catch_warnings(record=True) as doubts:
                warnings.simplefilter("always")
                self.skeleton = skeleton_of_tree(tree, text, faults)
            self.doubts = tuple(str(doubt.message) for doubt in doubts)
            self.faults = ()
        except InputError as error:
            self.faults = error.lines

    def _read(self, text: str) -> tuple[Node, Faults]:
        faults = Faults(self.name)
        tree = read_yaml(text, faults, MAX_JOINTS)
        assert tree is not None
        return tree, faults

    def _read_file(self) -> bytes | None:
        with suppress(OSError, ValueError):
            if self.path is not None and self.path.is_file():  # a pipe in its place would be waited for
                with self.path.open("rb") as file:
                    return file.read(MAX_BYTES + 1)
        return None


def _write_whole(path: Path, data: bytes) -> None:
    """Replace the file that the path leads to, through a file beside it; the mode stays, and a link stays one."""
    partial = None
    try:
        path = path.resolve()
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, mode)
        os.replace(partial, path)
    except OSError as error:
        if partial is not None:
            with suppress(OSError):
                os.unlink(partial)
        raise InputError(f"{path}: cannot be written ({error.strerror}); the file stays as it was") from None
