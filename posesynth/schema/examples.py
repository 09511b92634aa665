"""The section ``examples``: poses that say which angles go together."""

import numpy as np

from posesynth.schema.tables import EXAMPLE_KEYS
from posesynth.skeleton import Examples
from posesynth.yaml_fields import Limit, check_keys, listed, read_map, read_name, read_number
from posesynth.yaml_source import Faults, Node


def read_examples(faults: Faults, node: Node | None, order: list[str]) -> Examples | None:
    """The mapping ``examples``; `order`: the joints of the skeleton, root first."""
    if node is None or not read_map(faults, node, "examples", f"expected {listed(EXAMPLE_KEYS, 'and')}"):
        return None
    check_keys(faults, node, "examples", EXAMPLE_KEYS, EXAMPLE_KEYS)
    if len(node.entries) < len(EXAMPLE_KEYS) or set(node.entries) != set(EXAMPLE_KEYS):
        return None
    names, rows = (node.entries[key] for key in EXAMPLE_KEYS)
    known = [_example_joint(faults, place, f"examples.joints[{i}]", order) for i, place in enumerate(names.items)]
    found = [name for name in known if name is not None]
    if names.kind != "list" or not found or len(set(found)) < len(found):
        faults.add(names, "examples.joints", "is no list of different joints", "expected joints that the poses show")
        return None
    if rows.kind != "list" or not rows.items:
        faults.add(rows, "examples.angles", "is no list of poses", "expected one list of angles for each")
        return None
    limit = Limit(-1080, 1080, "degrees", "")
    poses = []
    for i, row in enumerate(rows.items):
        path = f"examples.angles[{i}]"
        if row.kind != "list" or len(row.items) != 2 * len(known):
            wrong = f"a list of {len(row.items)}" if row.kind == "list" else row.show()
            faults.add(row, path, wrong, f"expected {2 * len(known)} angles, two for each of the joints")
            continue
        poses.append([read_number(faults, item, path, limit) for item in row.items])
    if len(found) < len(known) or len(poses) < len(rows.items) or any(None in pose for pose in poses):
        return None
    angles = np.array(poses, np.float64).reshape(len(poses), len(known), 2)
    angles.flags.writeable = False
    return Examples(tuple(order.index(name) - 1 for name in found), angles)


def _example_joint(faults: Faults, node: Node, path: str, order: list[str]) -> str | None:
    name = read_name(faults, node, path)
    if name is not None and name not in order[1:]:
        hint = faults.suggest(name, order[1:])
        faults.add(node, path, f"unknown joint '{name}'", f"expected one of joints{hint}")
        return None
    return name
