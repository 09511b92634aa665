"""Files of other tools that tell of a skeleton, written small: the opposite of `posesynth.drafts`."""

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

Links = Sequence[tuple[str, str]]


def deeplabcut(path: Path, names: Sequence[str], links: Links) -> Path:
    lines = ["# Project definitions (do not edit)", "Task: test", "bodyparts:", *(f"- {json.dumps(n)}" for n in names)]
    lines += ["skeleton:" if links else "skeleton: []"]
    for a, b in links:
        lines += [f"- - {json.dumps(a)}", f"  - {json.dumps(b)}"]
    path = path / "config.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def coco(path: Path, names: Sequence[str], links: Links, category: str = "animal", others: Sequence[dict] = ()) -> Path:
    where = {name: number for number, name in enumerate(names, 1)}
    skeleton = [[where[a], where[b]] for a, b in links]
    entry = {"id": 1, "name": category, "keypoints": list(names), "skeleton": skeleton}
    path = path / "coco.json"
    path.write_text(json.dumps({"categories": [entry, *others], "images": [], "annotations": []}))
    return path


def sleap_document(names: Sequence[str], links: Links, pairs: Links = ()) -> dict:
    """As jsonpickle writes it: objects where they come first, then their numbers."""
    numbers: dict[object, int] = {}

    def once(key: object, value: dict) -> dict:
        if key in numbers:
            return {"py/id": numbers[key]}
        numbers[key] = len(numbers) + 1
        return value

    def node(name: str) -> dict:
        return once(name, {"py/object": "sleap.skeleton.Node", "py/state": {"py/tuple": [name, 1.0]}})

    def kind(value: int) -> dict:
        return once(value, {"py/reduce": [{"py/type": "sleap.skeleton.EdgeType"}, {"py/tuple": [value]}]})

    edges = [(a, b, 1) for a, b in links] + [(a, b, 2) for a, b in pairs]
    written = [
        {"edge_insert_idx": n, "key": 0, "source": node(a), "target": node(b), "type": kind(value)}
        for n, (a, b, value) in enumerate(edges)
    ]
    return {"directed": True, "graph": {"name": "Skeleton-0"}, "links": written, "multigraph": True,
            "nodes": [{"id": node(name)} for name in names]}  # fmt: skip


def sleap(path: Path, names: Sequence[str], links: Links, pairs: Links = ()) -> Path:
    path = path / "skeleton.json"
    path.write_text(json.dumps(sleap_document(names, links, pairs)))
    return path


def sleap_analysis(path: Path, names: Sequence[str], links: Links) -> Path:
    path = path / "analysis.h5"
    with h5py.File(path, "w") as file:
        file["node_names"] = np.array([name.encode() for name in names])
        file["edge_names"] = np.array([[a.encode(), b.encode()] for a, b in links])
        file["edge_inds"] = np.array([[list(names).index(a), list(names).index(b)] for a, b in links])
        file["tracks"] = np.zeros((1, 2, len(names), 3))
    return path


def sleap_project(path: Path, names: Sequence[str], links: Links, pairs: Links = ()) -> Path:
    where = {name: number for number, name in enumerate(names)}
    kinds: dict[int, dict] = {}
    edges = []
    for a, b, value in [(a, b, 1) for a, b in links] + [(a, b, 2) for a, b in pairs]:
        first = {"py/reduce": [{"py/type": "sleap.skeleton.EdgeType"}, {"py/tuple": [value]}]}
        edges.append({"source": where[a], "target": where[b], "type": kinds.get(value, first)})
        kinds.setdefault(value, {"py/id": len(kinds) + 1})
    graph = {"links": edges, "nodes": [{"id": number} for number in range(len(names))]}
    path = path / "project.slp"
    with h5py.File(path, "w") as file:
        group = file.create_group("metadata")
        nodes = [{"name": name, "weight": 1.0} for name in names]
        group.attrs["json"] = np.bytes_(json.dumps({"skeletons": [graph], "nodes": nodes}))
    return path


def _children(names: Sequence[str], links: Links) -> dict[str, list[str]]:
    """Parent -> its children, of links that are (parent, child)."""
    children: dict[str, list[str]] = {name: [] for name in names}
    for parent, child in links:
        children[parent].append(child)
    return children


def bvh(path: Path, root: str, names: Sequence[str], links: Links, places: dict[str, np.ndarray]) -> Path:
    """places: of each joint, x right, y up, z to the front, as many programs have it; one frame, nothing turned."""
    children, lines = _children(names, links), []

    def write(name: str, parent: str | None, indent: str) -> None:
        offset = places[name] - (places[parent] if parent else 0)
        lines.append(f"{indent}{'JOINT' if parent else 'ROOT'} {name}")
        lines.extend([f"{indent}{{", f"{indent}  OFFSET {' '.join(map(repr, offset.tolist()))}"])
        lines.append(f"{indent}  CHANNELS 3 Zrotation Xrotation Yrotation")
        for child in children[name]:
            write(child, name, indent + "  ")
        lines.append(f"{indent}}}")

    lines.append("HIERARCHY")
    write(root, None, "")
    lines += ["MOTION", "Frames: 1", "Frame Time: 0.01", " ".join(["0"] * 3 * len(names))]
    path = path / "clip.bvh"
    path.write_text("\n".join(lines) + "\n")
    return path


def mjcf(path: Path, root: str, names: Sequence[str], links: Links, places: dict[str, np.ndarray]) -> Path:
    """places: of each joint, x to the front, y left, z up; a hinge about y in every body, 40 degrees to either side."""
    children, lines = _children(names, links), []

    def write(name: str, parent: str | None) -> None:
        offset = places[name] - (places[parent] if parent else 0)
        lines.append(f'<body name="{name}" pos="{" ".join(map(repr, offset.tolist()))}">')
        lines.append('<joint axis="0 1 0" range="-40 40"/>')
        for child in children[name]:
            write(child, name)
        lines.append("</body>")

    write(root, None)
    path = path / "model.xml"
    path.write_text("\n".join(["<mujoco><worldbody>", *lines, "</worldbody></mujoco>"]))
    return path


def urdf(path: Path, root: str, names: Sequence[str], links: Links, places: dict[str, np.ndarray]) -> Path:
    lines = ['<robot name="test">', *(f'<link name="{name}"/>' for name in names)]
    for parent, child in links:
        offset = " ".join(map(repr, (places[child] - places[parent]).tolist()))
        lines += [
            f'<joint name="{child}_joint" type="revolute"><parent link="{parent}"/><child link="{child}"/>',
            f'<origin xyz="{offset}"/><axis xyz="0 1 0"/><limit lower="-0.7" upper="0.7" effort="1" velocity="1"/>',
            "</joint>",
        ]
    path = path / "model.urdf"
    path.write_text("\n".join([*lines, "</robot>"]))
    return path
