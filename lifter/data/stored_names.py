"""The texts in a list of tuples of texts that Python has pickled, read without running it.

Only the operations that build lists, tuples and texts are followed, on a stack of our own; the first that would
import, call or build anything else is refused.
"""

import pickletools

_TEXT = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"}
_MOST_OPERATIONS = 2**20
_MARK = object()


class UnreadableNamesError(Exception):
    """Anything but names; the message says what was found."""


def stored_names(data: bytes, at_most: int) -> list[tuple[str, ...]]:
    """The tuples of texts in `data`, at most so many.  Raises UnreadableNamesError."""
    found = _follow(data)
    if not isinstance(found, list) or len(found) > at_most:
        raise UnreadableNamesError("not a list of names")
    for entry in found:
        if not isinstance(entry, tuple) or len(entry) > 8 or not all(isinstance(text, str) for text in entry):
            raise UnreadableNamesError("not one row of texts for each column")
    return found


def _follow(data: bytes) -> object:
    """What the operations leave on the stack."""
    stack: list[object] = []
    memo: dict[int, object] = {}
    try:
        for n, (operation, argument, _) in enumerate(pickletools.genops(data)):
            name = operation.name
            if n > _MOST_OPERATIONS:
                raise UnreadableNamesError("too long")
            if name in _TEXT:
                stack.append(str(argument))
            elif name in ("MARK", "EMPTY_LIST", "EMPTY_TUPLE"):
                stack.append({"MARK": _MARK, "EMPTY_LIST": [], "EMPTY_TUPLE": ()}[name])
            elif name in ("LIST", "TUPLE"):
                items = _to_mark(stack)
                stack.append(items if name == "LIST" else tuple(items))
            elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
                items = [stack.pop() for _ in range(int(name[-1]))]
                stack.append(tuple(reversed(items)))
            elif name in ("APPEND", "APPENDS"):
                items = [stack.pop()] if name == "APPEND" else _to_mark(stack)
                target = stack[-1]
                if not isinstance(target, list):
                    raise UnreadableNamesError("not a list of names")
                target.extend(items)
            elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
                memo[len(memo) if argument is None else int(argument)] = stack[-1]
            elif name in ("GET", "BINGET", "LONG_BINGET"):
                stack.append(memo[int(argument)])  # type: ignore[arg-type]
            elif name == "STOP":
                return stack.pop()
            elif name not in ("PROTO", "FRAME"):
                raise UnreadableNamesError(f"a stored object ({name})")
    except (ValueError, LookupError, UnicodeError, OverflowError, TypeError):
        raise UnreadableNamesError("damaged") from None
    raise UnreadableNamesError("cut short")


def _to_mark(stack: list[object]) -> list[object]:
    """Take what is above the last mark off the stack, and the mark."""
    items = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]
