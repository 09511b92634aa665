"""Errors a user can mend: one clear line for each thing that is wrong."""

import difflib
import operator
from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """Something the user gave is wrong.

    ``lines`` holds one line for each fault, in the form
    ``file:line:col: field: what is wrong; what was expected``.  The command
    line prints each after ``error:`` and exits with 2.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the choice nearest to `name`, else ``""``."""
    near = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def shown(value: object) -> str:
    """A value as an error line shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


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
