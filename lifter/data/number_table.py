"""Text tables of many numbers: a few header rows, then one frame a line, parsed by NumPy a few MiB at a time."""

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from lifter.data.track import check_count
from posesynth.errors import fault, quote, reason
from posesynth.motion.clip import parse

Texts = list[tuple[str, ...]]

_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon"}
_BLOCK = 2**23  # bytes parsed at a time
_LONGEST = 2**20  # bytes of one line: 50,000 numbers


class Table:
    """A text table, read from its beginning; cells are parted by commas, tabs or semicolons, as in the first line."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.line = 0  # read so far
        self._ahead: list[str] = []
        first = self.next_line()
        if first is None:
            raise fault(path, 1, "empty; expected a header and one frame a line")
        found = [delimiter for delimiter in _DELIMITERS if delimiter in first] or ["\t"]
        if len(found) > 1 and ";" in found:
            both = " and ".join(f"{_DELIMITERS[delimiter]}s" for delimiter in found)
            raise fault(path, self.line, f"holds {both}; expected one of them between columns, and none in names")
        self.delimiter = found[0]
        self._ahead.append(first)

    def next_line(self) -> str | None:
        """The next line that is not blank, or None at the end; `line` is its number."""
        while not self._ahead:
            data = self.file.readline(_LONGEST)
            if not data:
                return None
            self.line += 1
            if len(data) == _LONGEST:
                expected = "expected a table of one frame a line"
                raise fault(self.path, self.line, f"longer than {_LONGEST >> 20} MiB; {expected}")
            if text := self._decode(data, self.line).removeprefix("\ufeff").strip("\r\n"):
                return text
        return self._ahead.pop()

    def header_row(self) -> list[str] | None:
        """The cells of the next line."""
        line = self.next_line()
        return None if line is None else self._cells(line, self.line)

    def give_back(self, row: list[str]) -> None:
        """Make `row`, the one just read, the next line again."""
        self._ahead.append(self.delimiter.join(row))

    def body(self, width: int, texts: list[int], numbers: list[int]) -> tuple[Texts, NDArray[np.float64]]:
        """The rest of the table, T lines of `width` cells: those in columns `texts`, and (T, C) in columns `numbers`.

        An empty cell among the numbers is NaN.
        """
        found: Texts = []
        blocks = [np.empty((0, len(numbers)))]
        for first, lines in self._blocks():
            check_count(self.path, (len(found) + len(lines)) * len(numbers))
            for n, line in enumerate(lines):
                if line.count(self.delimiter) != width - 1:
                    cells = line.count(self.delimiter) + 1
                    raise fault(self.path, first + n, f"{cells} columns; expected {width}, as in the header")
            if texts:
                last = max(texts) + 1
                rows = (line.split(self.delimiter, last) for line in lines)
                found += [tuple(row[c].strip() for c in texts) for row in rows]
            else:
                found += [()] * len(lines)
            blocks.append(self._numbers(lines, first, numbers))
        if not found:
            raise fault(self.path, self.line, "no frames after the header; expected at least 1")
        return found, np.concatenate(blocks)

    def _blocks(self) -> Iterator[tuple[int, list[str]]]:
        """The remaining lines, some MiB at a time, with the number of the first."""
        if self._ahead:
            yield self.line, [self._ahead.pop()]
        while data := self.file.read(_BLOCK):
            data += self.file.readline(_LONGEST)
            first = self.line + 1
            lines = self._decode(data, first).replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
            self.line += len(lines)
            if any('"' in line for line in lines):
                lines = [self.delimiter.join(self._cells(line, first + n)) for n, line in enumerate(lines)]
            while lines and not lines[-1].strip():
                lines.pop()
            blank = next((n for n, line in enumerate(lines) if not line.strip()), None)
            if blank is not None:
                raise fault(self.path, first + blank, "blank; expected one frame a line")
            if lines:
                yield first, lines

    def _numbers(self, lines: list[str], first: int, columns: list[int]) -> NDArray[np.float64]:
        d = self.delimiter
        text = "\n".join(lines)
        if d + d in text or d + "\n" in text or "\n" + d in text or text.startswith(d) or text.endswith(d):
            text = f"{text}\n".replace(d + d, f"{d}nan{d}").replace(d + d, f"{d}nan{d}").replace(d + "\n", f"{d}nan\n")
            lines = [f"nan{line}" if line.startswith(d) else line for line in text.split("\n")[:-1]]
        try:
            return np.loadtxt(lines, delimiter=d, usecols=columns, comments=None, ndmin=2)
        except (ValueError, OverflowError):
            return np.array([self._row(line, first + n, columns) for n, line in enumerate(lines)])

    def _row(self, line: str, number: int, columns: list[int]) -> list[float]:
        """One line the slow way, to tell what is wrong with it."""
        cells = line.split(self.delimiter)
        values = []
        for c in columns:
            cell = cells[c].strip()
            known = not cell or cell.lower() in ("nan", "inf", "-inf") or parse([cell]) is not None
            if not known:
                expected = "expected a number, or nothing where the joint was not seen"
                if "," in cell:
                    expected = "expected a number with a point, not a comma"
                raise fault(self.path, number, f"column {c + 1}: {quote(cell)} is not a number; {expected}")
            values.append(float(cell) if cell else math.nan)
        return values

    def _cells(self, line: str, number: int) -> list[str]:
        try:
            (row,) = csv.reader([line], delimiter=self.delimiter, strict=True)
        except csv.Error as error:
            raise fault(self.path, number, f"not a table: {error}") from None
        if any(self.delimiter in cell for cell in row):
            word = _DELIMITERS[self.delimiter]
            raise fault(self.path, number, f"a {word} within a cell; expected names without {word}s")
        return [cell.strip() for cell in row]

    def _decode(self, data: bytes, first: int) -> str:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise fault(self.path, first + data.count(b"\n", 0, error.start), "not text in UTF-8") from None
        if "\0" in text:
            raise fault(self.path, first + data.count(b"\n", 0, data.index(0)), "not text: holds a zero byte")
        return text


@contextmanager
def open_table(path: str) -> Iterator[Table]:
    """The table in a file."""
    try:
        with open(path, "rb") as file:
            yield Table(path, file)
    except OSError as error:
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
