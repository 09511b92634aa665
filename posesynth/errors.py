"""Errors a user can mend: one clear line for each thing that is wrong."""

import difflib
import operator
from collections.abc import Iterable
from typing import Any

LINE_LIMIT = 300  # characters of an error line


class InputError(ValueError):
    """Something the user gave is wrong.

    ``lines`` holds one line for each fault, in the form
    ``file:line:col: field: what is wrong; what was expected``.  The command
    line prints each after ``error:`` and exits with 2.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def fault(path: str, line: int | None, message: str) -> InputError:
    """One fault of a file as ``file:line: message``; without a line for a file that has none."""
    return InputError(error_line(path, f" {message}" if line is None else f"{line}: {message}"))


def error_line(source: str, message: str) -> str:
    """``source:message`` on one printable line of at most 300 characters; a long path loses its beginning."""
    name = source if len(source) <= 100 else "..." + source[-97:]
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in f"{name}:{message}")
    return line if len(line) <= LINE_LIMIT else line[: LINE_LIMIT - 3] + "..."


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the choice nearest to `name`, else ``""``."""
    near = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def shown(value: object) -> str:
    """A value as an error line shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def quote(text: str, limit: int = 40) -> str:
    """`text` in quotes, cut to `limit` characters, with everything unprintable escaped."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def reason(error: Exception) -> str:
    """What an exception says, on one short line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())[:100]


def whole_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """`value` as a Python integer; InputError unless it is a whole number (NumPy's too) from `low` to `high`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if number < low or isinstance(value, bool) or (high is not None and number > high):
        upwards = f"from {low}" if high is None else f"from {low} to {high}"
        raise InputError(f"{name}: is {shown(value)}; expected a whole number {upwards}")
    return number
