"""Errors a user can mend: one clear line for each thing that is wrong."""

import difflib
from collections.abc import Iterable


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
