"""XML of models, strictly read: no document types, so no entities, and bounded in every way."""

import xml.parsers.expat as expat  # document types are refused before any of them is read
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, fault, quote, reason
from posesynth.motion.clip import FARTHEST, numbers

MAX_BYTES = 2**24
MAX_ELEMENTS = 100_000
MAX_DEPTH = 400  # bodies stand in one another: a tail of that many joints


@dataclass(eq=False)
class Element:
    """One element, its line, and what stands in it."""

    path: str
    tag: str
    line: int
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)

    def fault(self, message: str) -> InputError:
        return fault(self.path, self.line, f"{self.tag}: {message}")

    def named(self, tag: str) -> Iterator["Element"]:
        return (child for child in self.children if child.tag == tag)

    def text(self, key: str) -> str:
        """An attribute that has to be there."""
        if key not in self.attributes:
            raise self.fault(f"no {key}; expected it here")
        return self.attributes[key]

    def numbers(self, key: str, default: str, count: int) -> NDArray[np.float64]:
        """`count` finite numbers of an attribute."""
        words = self.attributes.get(key, default).split()
        if len(words) != count:
            raise self.fault(f"{key} {quote(' '.join(words))}; expected {count} numbers")
        found = numbers(words, self.path, self.line, f"{self.tag}: {key}: ")
        if np.abs(found).max() > FARTHEST:
            raise self.fault(f"{key} {quote(' '.join(words))}; expected numbers of at most {FARTHEST:g}")
        return found


def read_xml(path: str) -> Element:
    """The root element of a file.  InputError, one line, where it is no whole XML or declares a document type."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
    if len(data) > MAX_BYTES:
        raise fault(path, None, f"larger than {MAX_BYTES >> 20} MiB; expected a model of URDF or MJCF")
    parser = expat.ParserCreate()
    opened: list[Element] = []
    roots: list[Element] = []
    count = 0

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        element = Element(path, tag, parser.CurrentLineNumber, attributes)
        if count > MAX_ELEMENTS or len(opened) >= MAX_DEPTH:
            raise element.fault(f"more than {MAX_ELEMENTS} elements or {MAX_DEPTH} levels; expected a smaller model")
        (opened[-1].children if opened else roots).append(element)
        opened.append(element)

    def doctype(*_: object) -> None:
        found = "a document type, which may hold entities"
        raise fault(path, parser.CurrentLineNumber, f"{found}; expected XML without <!DOCTYPE>")

    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _: opened.pop()
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        said = expat.ErrorString(error.code)
        raise fault(path, error.lineno, f"{error.offset + 1}: not XML: {said}; expected URDF or MJCF") from None
    except (LookupError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise fault(path, 1, f"not XML that can be read: {error}; expected URDF or MJCF in UTF-8") from None
    return roots[0]
