"""DeepLabCut's config.yaml: body parts, and the links that its plots draw."""

from posesynth.drafts.draft import Draft, linked, named
from posesynth.yaml_source import Faults, Node, read_file, read_yaml

_MOST = 20_000  # entries: a project names each of its videos
_PARTS = ("bodyparts", "multianimalbodyparts", "uniquebodyparts")
_EXPECTED = "expected a DeepLabCut config.yaml with bodyparts"


def read_config(path: str) -> Draft:
    """``bodyparts``, or ``multianimalbodyparts`` and ``uniquebodyparts``, and ``skeleton``.

    Nothing in the file is run: tags are passed over.  Raises InputError, one line, for what is no such file.
    """
    faults = Faults(path)
    tree = read_yaml(read_file(path, "the file", _EXPECTED), faults, _MOST, tags=True)
    if tree is None or tree.kind != "map":
        raise faults.stop(1, 1, "file", tree.show() if tree else "nothing", _EXPECTED)
    if faults:
        raise faults.error()
    originals = [name for key in _PARTS for name in _texts(path, tree, key)]
    if not originals:
        ours = "posesynth" in tree.entries
        hint = "; this is a skeleton of posesynth: --like begins with one" if ours else ""
        raise faults.stop(tree.line, tree.column, "bodyparts", "none", _EXPECTED + hint)
    links, strange = linked(path, originals, _links(path, tree))
    return Draft(path, "DeepLabCut config", named(path, originals), tuple(originals), links, strange=strange)


def _texts(path: str, tree: Node, key: str) -> list[str]:
    """The names listed under a key; none where it is not there, empty, or DeepLabCut's word for several animals."""
    node = tree.entries.get(key)
    if node is None or (node.text in ("", "MULTI!") and node.kind == "plain"):
        return []
    if node.kind != "list" or not all(item.is_text and item.text for item in node.items):
        raise Faults(path).stop(node.line, node.column, key, node.show(), "expected a list of names")
    return [item.text for item in node.items]


def _links(path: str, tree: Node) -> list[tuple[str, str]]:
    node = tree.entries.get("skeleton")
    if node is None or (node.kind == "plain" and not node.text):
        return []
    found = []
    for item in node.items if node.kind == "list" else (node,):
        if item.kind != "list" or len(item.items) != 2 or not all(end.is_text for end in item.items):
            expected = "expected pairs of body parts, [[a, b], ...]"
            raise Faults(path).stop(item.line, item.column, "skeleton", item.show(), expected)
        found.append((item.items[0].text, item.items[1].text))
    return found
