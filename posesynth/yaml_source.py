"""Strict YAML: text in, a tree of nodes with their places in the text out.

Only the plain part of YAML is read: mappings, lists and scalars.  Anchors, aliases, merge keys, tags,
directives, several documents, repeated keys, deep nesting and very long collections are refused, and no
scalar is given a type here: ``no``, ``1:30`` and ``2020-01-01`` stay the text they are, and the
schema decides what it will take.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from posesynth.errors import InputError, did_you_mean, error_line, quote, reason

MAX_BYTES = 1 << 20
MAX_DEPTH = 12
MAX_NODES = 25_000  # 1024 joints need 20 nodes each; a parse of this many takes under a second

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Node:
    """One mapping, list or scalar, and where it stands.

    ``kind``: "map", "list", "plain" (a scalar without quotes; empty text is YAML's null) or "quoted".
    ``line`` and ``column`` count from 1; ``text[start:end]`` is a scalar's own spelling.
    ``keys`` and ``entries`` of a map have the same keys, in file order; ``items`` are a list's nodes.
    """

    kind: str
    line: int
    column: int
    start: int
    end: int
    text: str = ""
    items: tuple["Node", ...] = ()
    entries: "dict[str, Node]" = field(default_factory=dict)
    keys: "dict[str, Node]" = field(default_factory=dict)

    @property
    def is_text(self) -> bool:
        return self.kind in ("plain", "quoted")

    def show(self) -> str:
        """What the user wrote, short enough for an error line."""
        if self.kind == "map":
            return "a mapping"
        if self.kind == "list":
            return "a list"
        if self.kind == "plain" and not self.text:
            return "nothing"
        return quote(self.text)


def within(path: str, key: str) -> str:
    """The path of `key` inside `path`; a key that is not a plain word is shown in quotes."""
    shown = key if _WORD.fullmatch(key) else quote(key, 64)
    return f"{path}.{shown}" if path else shown


class Faults:
    """Collects every fault of one source, so that all can be told at once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._found: list[tuple[int, int, str]] = []
        # Looking for the nearest of 1000 names takes milliseconds: a file of faults must stay quick to refuse.
        self._suggestions_left = 40

    def add(self, at: Node, path: str, wrong: str, expected: str = "") -> None:
        message = f"{path}: {wrong}; {expected}" if expected else f"{path}: {wrong}"
        self._found.append((at.line, at.column, message))

    def suggest(self, name: str, choices: Iterable[str]) -> str:
        """As `did_you_mean`, but bounded in time."""
        if len(name) > 64 or self._suggestions_left == 0:
            return ""
        self._suggestions_left -= 1
        return did_you_mean(name, choices)

    def __bool__(self) -> bool:
        return bool(self._found)

    def error(self) -> InputError:
        """All faults found, in the order of the file."""
        return InputError(
            *(error_line(self.source, f"{line}:{column}: {message}") for line, column, message in sorted(self._found))
        )

    def stop(self, line: int, column: int, path: str, wrong: str, expected: str = "") -> InputError:
        """The error for a fault after which the rest of the file cannot be judged."""
        self.add(Node("plain", line, column, 0, 0), path, wrong, expected)
        return self.error()


def read_file(source: str, what: str, expected: str = "") -> str:
    """The text of a YAML file.  InputError, one line, that calls it `what` and ends in what was `expected`."""
    try:
        with open(source, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        why = f" {what} cannot be read ({reason(error)}){expected and '; ' + expected}"
        raise InputError(error_line(source, why)) from None
    return decode(data, source)


def decode(data: bytes, source: str) -> str:
    """Bytes of a file as text: UTF-8, with or without a byte-order mark.  Raises `InputError`."""
    if len(data) > MAX_BYTES:
        raise InputError(error_line(source, f"1:1: file: is larger than {MAX_BYTES} bytes; expected a few kB"))
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data[:4]:
        raise InputError(error_line(source, "1:1: file: is UTF-16 or UTF-32 or not text; expected UTF-8 text"))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        place = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        wrong = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise InputError(error_line(source, f"{place}: file: {wrong}; expected the file saved as UTF-8")) from None


def read_yaml(text: str, faults: Faults, max_entries: int, *, tags: bool = False) -> Node | None:
    """The tree of the one document in `text`, or None if there is none.

    A key given twice goes to `faults` and the first one counts.  Whatever is not plain YAML, or longer than
    `max_entries` in one collection, ends the reading: raises `InputError`.  `tags`: those of a file that another
    program wrote are passed over, as nothing here is made of them.
    """
    from ruamel.yaml import YAML  # takes 30 ms to import
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > MAX_BYTES:
        raise faults.stop(1, 1, "file", f"is longer than {MAX_BYTES} characters", "expected a few kB")
    if bad := _UNREADABLE.search(text):
        before = text[: bad.start()]
        raise faults.stop(
            before.count("\n") + 1,
            len(before) - before.rfind("\n"),
            "file",
            f"character U+{ord(bad.group()):04X} is not allowed in YAML",
            "expected printable text",
        )
    try:
        return _Builder(YAML(typ="safe", pure=True).parse(text), faults, max_entries, tags).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        if mark is not None and text[mark.index : mark.index + 1] == "\t":
            raise faults.stop(line, column, "file", "a tab where YAML allows none", "expected spaces") from None
        if unclosed := _unclosed(error, text):
            raise faults.stop(*unclosed) from None
        said = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise faults.stop(line, column, "file", f"is not YAML: {said}", "expected valid YAML") from None
    except (YAMLError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise faults.stop(1, 1, "file", f"is not YAML: {error}", "expected valid YAML") from None


def _unclosed(error: Any, text: str) -> tuple[int, int, str, str, str] | None:
    """Where and how to tell of a { or [ that is not closed where YAML expects it to be; None of other errors."""
    begin, end = error.context_mark, error.problem_mark
    if begin is None or end is None or "while parsing a flow" not in (error.context or ""):
        return None
    opening, found = text[begin.index : begin.index + 1], text[end.index : end.index + 1]
    closing = {"{": "}", "[": "]"}.get(opening)
    if closing is None:
        return None
    if begin.line == end.line and found and found not in "}]":
        wrong = (
            f"is not YAML: a comma or {closing} is missing before this, in the {opening} of column {begin.column + 1}"
        )
        return end.line + 1, end.column + 1, "file", wrong, f"expected a comma or {closing}"
    wrong = f"is not YAML: an opening {opening} of line {begin.line + 1} is not closed"
    ending = f" before line {end.line + 1}" if begin.line != end.line and found else ""
    return begin.line + 1, begin.column + 1, "file", wrong, f"expected a {closing}{ending}"


class _Builder:
    """Builds the tree from ruamel's events, which come with their places and before any resolving."""

    def __init__(self, events: Iterator[Any], faults: Faults, max_entries: int, tags: bool) -> None:
        self.events = events
        self.faults = faults
        self.max_entries = max_entries
        self.tags = tags
        self.nodes = 0

    def document(self) -> Node | None:
        root = None
        for event in self.events:
            match type(event).__name__:
                case "DocumentStartEvent":
                    if event.version is not None or event.tags:
                        raise self._refuse(event, "has a directive (a line starting with %)", "expected plain YAML")
                    if root is not None:
                        raise self._refuse(event, "holds a second YAML document", "expected one skeleton a file")
                    root = self._node(next(self.events), "", 0)
        return root

    def _refuse(self, event: Any, wrong: str, expected: str) -> InputError:
        return self.faults.stop(event.start_mark.line + 1, event.start_mark.column + 1, "file", wrong, expected)

    def _node(self, event: Any, path: str, depth: int) -> Node:
        kind = type(event).__name__
        if kind == "AliasEvent" or event.anchor is not None:
            raise self._refuse(event, "uses a YAML anchor or alias (& or *)", "expected each value written out")
        if event.tag is not None and not self.tags:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            raise self._refuse(event, f"uses a YAML tag, {quote(tag)}", "expected plain values")
        if depth > MAX_DEPTH:
            raise self._refuse(event, f"is nested deeper than {MAX_DEPTH} levels", "expected a skeleton's few levels")
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self._refuse(
                event, f"has more than {MAX_NODES} values", f"expected at most {self.max_entries} joints"
            )
        start = event.start_mark
        place = (start.line + 1, start.column + 1, start.index)
        if kind == "ScalarEvent":
            style = "plain" if event.style in (None, "") else "quoted"
            return Node(style, *place, event.end_mark.index, text=event.value)
        if kind == "SequenceStartEvent":
            items: list[Node] = []
            while type(event := next(self.events)).__name__ != "SequenceEndEvent":
                self._bound(event, len(items))
                items.append(self._node(event, f"{path}[{len(items)}]", depth + 1))
            return Node("list", *place, event.end_mark.index, items=tuple(items))
        return self._mapping(place, path, depth)

    def _mapping(self, place: tuple[int, int, int], path: str, depth: int) -> Node:
        entries: dict[str, Node] = {}
        keys: dict[str, Node] = {}
        read = 0
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            self._bound(event, read)
            read += 1
            key = self._node(event, path, depth + 1)
            if key.kind == "plain" and key.text == "<<":
                raise self._refuse(event, "uses a YAML merge key (<<)", "expected each value written out")
            value = self._node(next(self.events), within(path, key.text), depth + 1)
            if value.kind == "plain" and not value.text:
                # YAML places a value left out where the next line begins.
                value = replace(value, line=key.line, column=key.column)
            if not key.is_text:
                self.faults.add(key, path or "file", f"{key.show()} stands where a key belongs", "expected a name")
            elif key.text in keys:
                wrong = f"is given twice, first in line {keys[key.text].line}"
                self.faults.add(key, within(path, key.text), wrong, "expected each key once")
            else:
                keys[key.text] = key
                entries[key.text] = value
        return Node("map", *place, event.end_mark.index, entries=entries, keys=keys)

    def _bound(self, event: Any, read: int) -> None:
        if read >= self.max_entries:
            raise self._refuse(
                event,
                f"has more than {self.max_entries} entries in one collection",
                f"expected at most {self.max_entries} joints",
            )
