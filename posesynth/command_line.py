"""What the commands of this project are made of: how they read values, how they run, and how they tell faults."""

import functools
import io
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from .errors import LINE_LIMIT, InputError, did_you_mean

INTERRUPTED = 130
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,9})?", re.IGNORECASE)
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class Size(click.ParamType[int]):
    """A whole number that may be written 1000, 1e6, 25M or 1.5G."""

    name = "number"

    def __init__(self, least: int = 0, below: int = 2**63) -> None:
        self.least, self.below = least, below

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from decimal import Decimal, InvalidOperation, Overflow

        if isinstance(value, int):
            return value
        unit = value[-1:].lower() if value[-1:].lower() in UNITS else ""
        digits = value[: len(value) - len(unit)]
        try:
            number = Decimal(digits) * UNITS[unit] if NUMBER.fullmatch(digits) else None
        except (InvalidOperation, Overflow):
            number = None
        if number is None:
            self.fail(f"'{value[:40]}' is not a number; expected one like 1000, 1e6, 25M or 1.5G", param, ctx)
        if not self.least <= number < self.below:
            self.fail(f"{value[:40]} is out of range; expected {self.least} or more, below {self.below}", param, ctx)
        whole = int(number)
        if whole != number:
            self.fail(f"{value[:40]} is not whole; expected a whole number", param, ctx)
        return whole


class Bounds(click.ParamType[tuple[float, float]]):
    """LO:HI."""

    name = "LO:HI"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        low, _, high = value.partition(":")
        if not (NUMBER.fullmatch(low) and NUMBER.fullmatch(high)):
            self.fail(f"'{value[:40]}' is not a range; expected LO:HI, such as -30:30", param, ctx)
        return float(low), float(high)


class Shards(click.ParamType[tuple[int, int]]):
    """A:B, the shards A, A + 1, ... B - 1."""

    name = "A:B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        first, _, last = value.partition(":")
        if not all(part.isascii() and part.isdigit() for part in (first, last)):
            self.fail(f"'{value[:40]}' is not a range of shards; expected A:B, such as 0:8", param, ctx)
        return int(first), int(last)


class Command(click.Command):
    """A command whose faults call a value by the option that gave it: ``--noise: is 3``."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            given = {
                option.name: option.opts[0]
                for option in self.params
                if isinstance(option, click.Option)
                and ctx.get_parameter_source(option.name or "") is click.core.ParameterSource.COMMANDLINE
            }
            raise InputError(*(_by_option(line, given) for line in error.lines)) from None


def _by_option(line: str, given: dict[str, str]) -> str:
    name, colon, rest = line.partition(": ")
    return f"{given[name]}: {rest}" if colon and name in given else line


class Commands(click.Group):
    """A group that suggests the nearest command."""

    command_class = Command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None:
            known = self.list_commands(ctx)
            near = did_you_mean(args[0], known)
            raise click.UsageError(f"no command is called '{args[0][:40]}'; expected {', '.join(known)}{near}")
        return super().resolve_command(ctx, args)


def run_command(command: click.Command, name: str, args: list[str] | None) -> NoReturn:
    """Run a command line as all of this project's are run: faults as ``error:`` lines, and leave with its exit code."""
    _open_streams()
    with warnings.catch_warnings(), _terminable():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _warn
        code = _run(command, name, args)
    sys.exit(code)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the program as an exit does, what is half-written is cleaned up on the way; no signal is lost."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where signals are not handled
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    hook = sys.unraisablehook
    sys.unraisablehook = functools.partial(_send_again, hook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)


def _send_again(otherwise: Callable[[Any], object], lost: "sys.UnraisableHookArgs") -> None:
    """A signal that came while C called Python, as LLVM does while a kernel is compiled, is dropped there: once more.

    From another thread, and a moment later: here it would be lost again.  What else is lost goes to `otherwise`.
    """
    if isinstance(lost.exc_value, KeyboardInterrupt):
        number = signal.SIGINT
    elif isinstance(lost.exc_value, SystemExit) and lost.exc_value.code == 128 + signal.SIGTERM:
        number = signal.SIGTERM
    else:
        otherwise(lost)
        return
    again = threading.Timer(0.05, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _run(command: click.Command, name: str, args: list[str] | None) -> int:
    try:
        code = command(args, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as help_:
        print(help_.ctx.get_help())
        return 0
    except click.ClickException as error:
        return _complain([error.format_message()])
    except InputError as error:
        return _complain(error.lines)
    except (KeyboardInterrupt, click.exceptions.Abort):
        return INTERRUPTED
    except RuntimeError as error:
        # So Python 3.11 tells of one while a class is made.
        if isinstance(error.__cause__, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(error.__cause__, SystemExit):
            return int(error.__cause__.code or 0)
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _complain([f"output: cannot be written ({error.strerror or error})"])


def _open_streams() -> None:
    """A closed stream takes what is printed and drops it; what a terminal cannot show is escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif _is_file(stream):
            stream.flush()
            file = io.BufferedWriter(_Output(stream.fileno(), "wb", closefd=False))
            lines = stream.line_buffering or stream.write_through
            setattr(sys, name, io.TextIOWrapper(file, stream.encoding, "backslashreplace", line_buffering=lines))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _is_file(stream: Any) -> bool:
    # Python's own; what a program that calls `main` has put in its place stays.
    buffer = getattr(stream, "buffer", None)
    return isinstance(getattr(buffer, "raw", buffer), io.FileIO)


class _Output(io.FileIO):
    """A descriptor that drops what nobody reads any more: that `head` has gone is no fault, and stops no command.

    Here, below click, which would end the process with 1.
    """

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    _tell("warning:", message)


def _complain(lines: Any) -> int:
    for line in lines:
        _tell("error:", line)
    return 2


def _tell(kind: str, text: object) -> None:
    """One printable line of at most LINE_LIMIT characters."""
    flat = " ".join(str(text).split())
    line = f"{kind} " + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in flat)
    print(line if len(line) <= LINE_LIMIT else line[: LINE_LIMIT - 3] + "...", file=sys.stderr)


def told_of_compiling() -> AbstractContextManager[None]:
    """Tell of compiling, should it come to that in this block."""
    from .compilation import on_compiling

    return on_compiling(lambda: print("compiling the kernels, once (about 10 s)", file=sys.stderr, flush=True))


def count(number: int, thing: str) -> str:
    """``1 pose``, ``2,000 poses``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def progress_bar(total: int | None, unit: str) -> Any:
    """A bar of progress in units, on a terminal alone; total: None where unknown."""
    from tqdm import tqdm

    return tqdm(total=total, unit=f" {unit}", unit_scale=True, smoothing=0.1, disable=None, dynamic_ncols=True)


def write_new(path: Path, text: str) -> None:
    """A new file, whole or not at all, and never in the place of another; InputError where it cannot be."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("x", encoding="utf-8") as file:
            file.write(text)
        try:
            os.link(partial, path)  # as a rename, but it replaces nothing
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if path.exists():
                raise FileExistsError from None
            partial.rename(path)
    except FileExistsError:
        raise InputError(f"{path}: exists already; expected a new file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written; {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
