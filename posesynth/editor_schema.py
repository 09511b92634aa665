"""The JSON schema of a skeleton file, with which editors complete its keys and mark its faults.

``python -m posesynth.editor_schema > skeletons/skeleton.schema.json`` writes it.  It says what a JSON schema can
say of one field at a time; the tree, and low <= high, are checked by `posesynth.schema` alone.
"""

import json
import sys
from typing import Any

from posesynth.schema import tables
from posesynth.yaml_fields import NAME_PATTERN, Limit

Json = dict[str, Any]


def editor_schema() -> Json:
    """The JSON schema (draft 2020-12), from the tables that the checks themselves use."""
    joint = {"oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in (*tables.ANGLE_PAIRS, "mirror")]}
    properties: Json = {
        "posesynth": {"const": tables.FORMAT, "description": "Version of this format."},
        "name": _name("Name of the skeleton."),
        "description": {
            "type": "string",
            "minLength": 1,
            "maxLength": tables.MAX_DESCRIPTION,
            "description": "One line about the skeleton.",
        },
        "root": _name("The joint that every pose is placed at; it has no entry under joints."),
        "frame": _frame("Frame of the angles of all joints that name no other."),
        "joints": {
            "type": "object",
            "description": "Every joint but the root; an entry describes the edge that ends there.",
            "minProperties": 1,
            "maxProperties": tables.MAX_JOINTS - 1,
            "patternProperties": {NAME_PATTERN: joint},
            "additionalProperties": False,
        },
        "symmetric": {
            "type": "array",
            "description": "Pairs of joints that are each other's mirror image and share one length.",
            "items": {"type": "array", "items": _name("A joint."), "minItems": 2, "maxItems": 2},
        },
        "sampling": _sampling(),
        "examples": _examples(),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "posesynth skeleton",
        **_closed(properties, tables.TOP_KEYS, tables.REQUIRED_KEYS),
        "$defs": {
            **{kind: _edge(pair) for kind, pair in tables.ANGLE_PAIRS.items()},
            "mirror": _closed({"mirror": _name("The joint of which this one is the mirror image.")}, ("mirror",)),
        },
    }


def _edge(angles: tuple[str, str]) -> Json:
    properties = {
        "parent": _name("The joint where the edge begins."),
        "frame": _name("Frame of the two angles: world, parent, or a joint above whose bone carries it."),
        **{key: {"oneOf": [_range(tables.ANGLES[key]), _table(tables.ANGLES[key])]} for key in angles},
        "usual": _usual(angles),
        "length": {**_range(tables.LENGTH), "default": [0, 1]},
    }
    absent = [key for key in tables.ANGLES if key not in angles]
    return _closed(properties, [key for key in tables.JOINT_KEYS if key not in absent], ("parent", *angles))


def _usual(angles: tuple[str, str]) -> Json:
    closed = _closed({key: _range(tables.ANGLES[key]) for key in angles}, angles, ())
    return {**closed, "description": "Where the angles mostly are; sampling.usual says how often."}


def _table(limit: Limit) -> Json:
    names = [*(f"parent.{name}" for name in tables.ANGLES), "theta", "flexion"]
    given = {
        "enum": names,
        "description": "The angle that the range depends on: the parent bone's, or this bone's first.",
    }
    ranges = {"type": "object", "additionalProperties": _range(limit), "minProperties": 2,
              "maxProperties": tables.MAX_GIVEN, "description": "Degrees of that angle: the range there."}  # fmt: skip
    return _closed({"given": given, "at": ranges}, tables.GIVEN_KEYS)


def _examples() -> Json:
    angles = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
    joints = {"type": "array", "items": _name("A joint.")}
    closed = _closed({"joints": joints, "angles": angles}, tables.EXAMPLE_KEYS)
    return {**closed, "description": "Poses that sampling.angles: tree learns from; posesynth fit writes them."}


def _sampling() -> Json:
    views = {key: _range(limit) for key, limit in tables.VIEW.items()}
    usual = {**_closed(views, views, ()), "description": "The view of usual poses."}
    properties = {
        "angles": {
            "enum": list(tables.DRAWS),
            "default": tables.DRAWS[0],
            "description": "Each angle by itself, or as the examples have them together along the tree.",
        },
        "symmetric_lengths": {
            "type": "boolean",
            "default": True,
            "description": "Whether the two edges of a pair share one length.",
        },
        "view": _closed({**views, "usual": usual}, (*views, "usual"), ()),
        "distance": _range(tables.DISTANCE),
        **{key: _number(limit) for key, limit in tables.SCALARS.items()},
    }
    return _closed(properties, tables.SAMPLING_KEYS, ())


def _closed(properties: Json, keys: Any, required: Any = None) -> Json:
    """An object with these keys and no other; all of them required unless said otherwise."""
    closed: Json = {"type": "object", "properties": {key: properties[key] for key in keys}}
    if set(properties) != set(keys):
        raise ValueError(f"described {sorted(properties)}, but the format has {sorted(keys)}")
    names = list(keys if required is None else required)
    return {**closed, **({"required": names} if names else {}), "additionalProperties": False}


def _name(about: str) -> Json:
    return {"type": "string", "pattern": NAME_PATTERN, "description": about}


def _frame(about: str) -> Json:
    return {"enum": list(tables.FRAMES), "default": tables.FRAMES[0], "description": about}


def _number(limit: Limit) -> Json:
    return {"type": "number", "minimum": limit.low, "maximum": limit.high, "description": limit.about}


def _range(limit: Limit) -> Json:
    bound = {"type": "number", "minimum": limit.low, "maximum": limit.high}
    return {"type": "array", "items": bound, "minItems": 2, "maxItems": 2, "description": f"[low, high]. {limit.about}"}


def editor_schema_text() -> str:
    """What skeletons/skeleton.schema.json holds."""
    return json.dumps(editor_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(editor_schema_text())
