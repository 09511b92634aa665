"""JSON files of motion: whatever is wrong with them is one line."""

import json
import re
from typing import Any

from posesynth.errors import fault
from posesynth.motion.clip import FARTHEST, read_text

# A comma before a bracket, which JSON forbids and DeepMimic's files hold; what stands in quotes is passed over.
_COMMAS = re.compile(r'"(?:[^"\\\n]|\\.)*"|,(?=\s*[\]}])')


def read_document(path: str, of: str = "DeepMimic, FreiHAND or RHD") -> Any:
    """The value in a JSON file, with or without trailing commas; `of`: whose JSON it should be."""
    text = "\n".join(read_text(path))
    try:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return json.loads(_COMMAS.sub(lambda found: " " if found[0] == "," else found[0], text))
    except json.JSONDecodeError as error:
        expected = f"expected JSON of {of}"
        raise fault(path, error.lineno, f"not JSON: {error.msg}, column {error.colno}; {expected}") from None
    except (RecursionError, ValueError):  # ValueError: a whole number of thousands of digits
        raise fault(path, None, f"not JSON that can be read; expected that of {of}") from None


def is_number(value: object) -> bool:
    """Whether a value of a document is a number that a coordinate can be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < FARTHEST  # nor NaN
