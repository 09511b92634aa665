"""COCO's categories: names of keypoints, and a skeleton of pairs that count from 1."""

from typing import Any

from posesynth.drafts.draft import Draft, linked, named
from posesynth.errors import InputError, did_you_mean, fault, quote, shown


def read_categories(path: str, document: Any, category: str | None = None) -> Draft:
    """One category of a COCO file, or of the bare list of its categories.

    category: which, where several have different keypoints or links.  Raises InputError, one line.
    """
    listed = document.get("categories") if isinstance(document, dict) else document
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise fault(path, None, f"categories: {shown(listed)}; expected COCO's list of categories")
    found = {str(entry.get("name", "")): entry for entry in listed if entry.get("keypoints")}
    if not found:
        raise fault(path, None, "no category has keypoints; expected COCO's keypoints: [name, ...]")
    if category is not None and category not in found:
        near = did_you_mean(category[:64], found)
        expected = f"expected one of {len(found)}: {', '.join(list(found)[:8])}{near}"
        raise InputError(f"category: none with keypoints is called {quote(category)}; {expected}")
    first = next(iter(found.values()))
    alike = all(
        entry["keypoints"] == first["keypoints"] and entry.get("skeleton") == first.get("skeleton")
        for entry in found.values()
    )
    if category is None and not alike:
        names = ", ".join(quote(name) for name in list(found)[:6]) + (", ..." if len(found) > 6 else "")
        raise fault(path, None, f"{len(found)} categories with keypoints; expected --category with one of {names}")
    chosen = first if category is None else found[category]
    originals = chosen["keypoints"]
    if not isinstance(originals, list) or not all(isinstance(name, str) for name in originals):
        raise fault(path, None, f"categories: keypoints: {shown(originals)}; expected names")
    ends, note = _pairs(path, chosen.get("skeleton") or [], originals)
    links, _ = linked(path, originals, ends)
    one = len(found) == 1 or category is not None
    kind = f"COCO category {chosen.get('name', '')}" if one else "COCO categories, all alike"
    return Draft(path, kind, named(path, originals), tuple(originals), links, notes=note)


def _pairs(path: str, skeleton: Any, names: list[str]) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """The skeleton's links by name.  Some programs write pairs that count from 0: a 0 says so, as COCO's have none."""
    expected = f"expected pairs of numbers from 1 to {len(names)}"
    if not isinstance(skeleton, list):
        raise fault(path, None, f"categories: skeleton: {shown(skeleton)}; {expected}")
    for pair in skeleton:
        whole = isinstance(pair, list) and len(pair) == 2 and all(type(end) is int for end in pair)
        if not whole or not all(0 <= end <= len(names) for end in pair):
            raise fault(path, None, f"categories: skeleton: {shown(pair)}; {expected}")
    ends = {end for pair in skeleton for end in pair}
    if {0, len(names)} <= ends:
        raise fault(path, None, f"categories: skeleton: holds both 0 and {len(names)}; {expected}")
    start = 0 if 0 in ends else 1
    note = ("the file's skeleton counts its keypoints from 0, not from 1 as COCO does",) if start == 0 else ()
    return [(names[a - start], names[b - start]) for a, b in skeleton], note
