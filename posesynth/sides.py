"""Left and right in the names of joints."""

from collections.abc import Iterable


def same_side(name: str, choices: Iterable[str], names: Iterable[str] = ()) -> list[str]:
    """The choices that are not of the other side of the body than `name`, itself one of `names`."""
    choices = list(choices)
    side, sides = body_sides([name, *names])[name], body_sides(choices)
    return [choice for choice in choices if "" in (side, sides[choice]) or side == sides[choice]]


def body_sides(names: Iterable[str]) -> dict[str, str]:
    """Name -> "l", "r" or "": by left or right in it, or l or r at an end of it where its twin is a name, too."""
    lower = {name: name.lower() for name in names}
    known = set(lower.values())
    other = {"l": "r", "r": "l"}
    sides = {}
    for name, low in lower.items():
        words = [word for word in ("left", "right") if word in low]
        front = low[:1] in other and other[low[:1]] + low[1:] in known
        behind = low[-1:] in other and low[:-1] + other[low[-1:]] in known
        sides[name] = words[0][0] if len(words) == 1 else low[0] if front else low[-1] if behind else ""
    return sides
