"""SLEAP's skeletons: its own JSON, the analysis file, the project.

The JSON is jsonpickle's: an object stands where it comes first, and ``{"py/id": n}`` afterwards is the n-th of the
nodes and kinds of edges in the order of the file.  Nothing is unpickled; only names and kinds are taken.
"""

import json
import math
from typing import Any

from posesynth.drafts.draft import Draft, linked, named
from posesynth.errors import InputError, fault, quote, shown
from posesynth.schema.tables import MAX_JOINTS

_BODY, _SYMMETRY = 1, 2  # SLEAP's kinds of edges
_LARGEST = 2**24  # bytes of a project's metadata
_LONGEST = 4096  # bytes of a name


def read_skeleton(path: str, document: Any) -> Draft:
    """A skeleton as SLEAP exports it, with or without the wrapping of its templates."""
    graph = document.get("nx_graph", document)
    if not isinstance(graph, dict):
        raise _damaged(path, f"nx_graph: {shown(graph)}")
    return _draft(path, graph, None)


def read_hdf5(path: str) -> Draft:
    """The skeleton inside an analysis file (node_names and edge_inds or edge_names), or a project (.slp)."""
    from posesynth.hdf5 import open_hdf5

    with open_hdf5(path, "SLEAP's analysis or project") as file:
        if "metadata" in file and "json" in file["metadata"].attrs:
            return _project(path, file["metadata"].attrs["json"])
        if "node_names" not in file:
            found = ", ".join(quote(name, 24) for name in list(file)[:6]) or "nothing"
            raise fault(path, None, f"HDF5 of another tool, found {found}; expected SLEAP's node_names, or metadata")
        originals = _texts(path, file, "node_names", 1)
        ends: list[tuple[str, str]] = []
        if "edge_names" in file and math.prod(file["edge_names"].shape):
            flat = _texts(path, file, "edge_names", 2)
            ends = list(zip(flat[::2], flat[1::2], strict=True))
        elif "edge_inds" in file:
            stored = _dataset(path, file, "edge_inds", 2)
            if stored.dtype.kind not in "iu":
                raise _damaged(path, f"edge_inds: {stored.dtype}")
            rows = stored[()].tolist()
            if not all(0 <= end < len(originals) for row in rows for end in row):
                raise _damaged(path, "edge_inds: a number that is no node's")
            ends = [(originals[a], originals[b]) for a, b in rows]
    links, strange = linked(path, originals, ends)
    return Draft(path, "SLEAP analysis h5", named(path, originals), tuple(originals), links, strange=strange)


def _project(path: str, text: Any) -> Draft:
    if len(text) > _LARGEST:
        raise _damaged(path, f"metadata of {len(text)} bytes")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _damaged(path, "metadata is not JSON") from None
    graphs, nodes = (document.get(key) for key in ("skeletons", "nodes")) if isinstance(document, dict) else (0, 0)
    if not isinstance(graphs, list) or not isinstance(nodes, list):
        raise _damaged(path, "metadata without skeletons and nodes")
    if len(graphs) != 1 or not isinstance(graphs[0], dict):
        raise fault(path, None, f"{len(graphs)} skeletons; expected one (export the one you mean as JSON)")
    names = [node.get("name") if isinstance(node, dict) else None for node in nodes]
    return _draft(path, graphs[0], names)


def _draft(path: str, graph: dict[str, Any], names: list[Any] | None) -> Draft:
    """One graph.  names: of a project, whose graphs tell nodes by their numbers in this list."""
    links, nodes = graph.get("links"), graph.get("nodes")
    if not isinstance(links, list) or not isinstance(nodes, list) or len(links) > MAX_JOINTS**2:
        raise _damaged(path, "no lists links and nodes")
    known = _numbered(path, {key: graph[key] for key in graph if key in ("links", "nodes")})

    def name(place: Any) -> str:
        found = place
        if names is not None and type(place) is int and 0 <= place < len(names):
            found = names[place]
        elif isinstance(place, dict):
            found = known.get(place["py/id"]) if type(place.get("py/id")) is int else _meaning(place)
        if not isinstance(found, str):
            raise _damaged(path, f"{shown(place)} where a node belongs")
        return found

    originals = [name(node.get("id") if isinstance(node, dict) else node) for node in nodes]
    bones: list[tuple[str, str]] = []
    pairs: list[tuple[str, str]] = []
    for link in links:
        if not isinstance(link, dict):
            raise _damaged(path, f"links: {shown(link)}")
        type_ = link.get("type") or {}
        if not isinstance(type_, dict):
            raise _damaged(path, f"links: type {shown(type_)}")
        number = type_.get("py/id")
        kind = known.get(number) if type(number) is int else _meaning(type_) if type_ else _BODY
        if kind not in (_BODY, _SYMMETRY):
            raise _damaged(path, f"links: type {shown(type_)}")
        (bones if kind == _BODY else pairs).append((name(link.get("source")), name(link.get("target"))))
    ends, strange = linked(path, originals, bones)
    mates, odd = linked(path, originals, pairs)
    valid = named(path, originals)
    return Draft(path, "SLEAP skeleton", valid, tuple(originals), ends, strange=strange + odd, pairs=mates)


def _numbered(path: str, value: Any) -> dict[int, Any]:
    """Number -> node's name or edge's kind, as jsonpickle counts objects in the order of the file."""
    known: dict[int, Any] = {}
    waiting = [value]
    while waiting:
        place = waiting.pop()
        if isinstance(place, list):
            waiting += place[::-1]
        elif isinstance(place, dict) and ("py/object" in place or "py/reduce" in place):
            known[len(known) + 1] = _meaning(place)
            if known[len(known)] is None:
                raise _damaged(path, f"{shown(place)} where a node or a kind of edge belongs")
        elif isinstance(place, dict):
            waiting += list(place.values())[::-1]
    return known


def _meaning(place: dict[str, Any]) -> Any:
    """The name of a node, the number of a kind of edge; None of anything else."""
    if "py/reduce" in place:
        parts = place["py/reduce"] if isinstance(place["py/reduce"], list) else []
        place = next((part for part in parts if isinstance(part, dict) and "py/tuple" in part), {})
        values = place.get("py/tuple")
        return values[0] if isinstance(values, list) and values and values[0] in (_BODY, _SYMMETRY) else None
    state = place.get("py/state", place)
    values = state.get("py/tuple") if isinstance(state, dict) else None
    found = values[0] if isinstance(values, list) and values else state.get("name") if isinstance(state, dict) else None
    return found if isinstance(found, str) else None


def _damaged(path: str, found: str) -> InputError:
    return fault(path, None, f"{found}; expected a skeleton as SLEAP writes it")


def _dataset(path: str, file: Any, name: str, dimensions: int) -> Any:
    """A dataset of the file itself, of at most so many rows that a skeleton has."""
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise _damaged(path, f"{name}: no dataset of the file itself")
    found = file[name]
    if found.is_virtual or found.external or found.shape is None or len(found.shape) != dimensions:
        raise _damaged(path, f"{name}: shape {found.shape}")
    if found.shape[0] > MAX_JOINTS**2 or (dimensions == 2 and found.shape[1] != 2) or found.dtype.itemsize > _LONGEST:
        raise _damaged(path, f"{name}: {found.dtype} of shape {found.shape}")
    return found


def _texts(path: str, file: Any, name: str, dimensions: int) -> list[str]:
    import h5py

    stored = _dataset(path, file, name, dimensions)
    if stored.dtype.kind != "S" and h5py.check_string_dtype(stored.dtype) is None:
        raise _damaged(path, f"{name}: {stored.dtype}")
    try:
        return [text.decode() if isinstance(text, bytes) else str(text) for text in stored[()].ravel().tolist()]
    except UnicodeDecodeError:
        raise _damaged(path, f"{name}: a text that is not UTF-8") from None
