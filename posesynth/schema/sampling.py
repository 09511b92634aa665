"""The section ``sampling``, in a file and as keyword arguments."""

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from numbers import Real
from typing import Any

from posesynth.errors import InputError, did_you_mean, shown
from posesynth.schema.tables import (
    DISTANCE,
    DRAWS,
    NEAREST,
    SAMPLING_KEYS,
    SCALARS,
    USUAL_VIEW,
    VIEW,
)
from posesynth.skeleton import Range, Sampling, Skeleton
from posesynth.yaml_fields import (
    check_keys,
    check_part,
    listed,
    read_choice,
    read_flag,
    read_map,
    read_number,
    read_range,
)
from posesynth.yaml_source import Faults, Node


def read_sampling(faults: Faults, node: Node | None) -> Sampling:
    """The mapping ``sampling``; what it leaves out is as in `Sampling`."""
    default = Sampling()
    if node is None or not read_map(faults, node, "sampling", f"expected {listed(SAMPLING_KEYS, 'or')}"):
        return default
    given = node.entries
    check_keys(faults, node, "sampling", SAMPLING_KEYS, hints={key: f"; write view: {{{key}: ...}}" for key in VIEW})
    symmetric_lengths: bool | None = None
    if "symmetric_lengths" in given:
        symmetric_lengths = read_flag(faults, given["symmetric_lengths"], "sampling.symmetric_lengths")
    view: dict[str, Range | None] = {}
    if "view" in given and read_map(faults, given["view"], "sampling.view", f"expected {listed(VIEW, 'or')}"):
        check_keys(faults, given["view"], "sampling.view", (*VIEW, "usual"))
        for key, place in given["view"].entries.items():
            if key in VIEW:
                view[key] = read_range(faults, place, f"sampling.view.{key}", VIEW[key])
        usual = given["view"].entries.get("usual")
        path = "sampling.view.usual"
        if usual is not None and read_map(faults, usual, path, f"expected {listed(VIEW, 'or')}"):
            check_keys(faults, usual, path, VIEW)
            for key, place in usual.entries.items():
                if key in VIEW:
                    view[f"usual_{key}"] = part = read_range(faults, place, f"{path}.{key}", VIEW[key])
                    check_part(faults, place, f"{path}.{key}", part, view.get(key) or getattr(default, key))
    angles = read_choice(faults, given["angles"], "sampling.angles", DRAWS) if "angles" in given else None
    numbers = {key: read_number(faults, given[key], f"sampling.{key}", limit)
               for key, limit in SCALARS.items() if key in given}  # fmt: skip
    distance = read_range(faults, given["distance"], "sampling.distance", DISTANCE) if "distance" in given else None
    return Sampling(
        symmetric_lengths=default.symmetric_lengths if symmetric_lengths is None else symmetric_lengths,
        yaw=view.get("yaw") or default.yaw,
        pitch=view.get("pitch") or default.pitch,
        roll=view.get("roll") or default.roll,
        distance=distance,
        noise=numbers.get("noise") or default.noise,
        missing=numbers.get("missing") or default.missing,
        angles=angles or default.angles,
        usual=numbers.get("usual") or default.usual,
        **{key: view.get(key) for key in USUAL_VIEW},
    )


def check_sampling(faults: Faults, top: Mapping[str, Node], skeleton: Skeleton) -> None:
    """Tells what ``sampling`` asks of a skeleton that does not have it; `top`: what the file holds, by key."""
    if "sampling" not in top:
        return
    given = top["sampling"].entries
    if skeleton.sampling.angles == "tree" and "examples" not in top:
        wrong = "the file has no examples"
        faults.add(given["angles"], "sampling.angles", wrong, "expected what posesynth fit writes")
    if skeleton.sampling.usual and not _has_usual(skeleton):
        wrong = "neither a joint nor the view has usual ranges"
        faults.add(given["usual"], "sampling.usual", wrong, "expected usual at a joint, or 0")
    if fault := _camera_fault(skeleton):
        faults.add(given["distance"], "sampling.distance", *fault)


def _has_usual(skeleton: Skeleton) -> bool:
    view = any(getattr(skeleton.sampling, key) for key in USUAL_VIEW)
    return view or any(any(range_.usual) for range_ in skeleton.ranges)


def _camera_fault(skeleton: Skeleton) -> tuple[str, str] | None:
    distance = skeleton.sampling.distance
    nearest = math.ceil((skeleton.reach + NEAREST) * 100 - 1e-6) / 100
    if distance is None or distance[0] >= nearest:
        return None
    wrong = f"a camera at {distance[0]:g} could have joints behind it"
    return wrong, f"expected at least {nearest:g}, for this skeleton reaches {skeleton.reach:g} longest edges"


def with_sampling(skeleton: Skeleton, **changes: Any) -> Skeleton:
    """See `Skeleton.with_sampling`."""
    given: dict[str, Any] = {}
    lines = []
    for key, value in changes.items():
        given[key], fault = _sampling_value(key, value)
        if fault:
            lines.append(f"{key}: {fault}")
    if not lines and given.get("usual") and not _has_usual(skeleton):
        lines.append("usual: neither a joint of the skeleton nor its view has usual ranges; expected 0")
    if not lines and given.get("angles") == "tree" and skeleton.examples is None:
        lines.append("angles: the skeleton has no examples; expected independent, or what posesynth fit writes")
    if not lines:
        changed = replace(skeleton, sampling=replace(skeleton.sampling, **given))
        if not (fault_ := _camera_fault(changed)):
            return changed
        lines = [f"distance: {fault_[0]}; {fault_[1]}"]
    raise InputError(*lines)


def _sampling_value(key: str, value: Any) -> tuple[object, str]:
    """A field of `Sampling` as the file's numbers are, so that one meaning has one digest; what is wrong with it."""
    if key == "angles":
        return value, "" if value in DRAWS else f"is {shown(value)}; expected {listed(DRAWS, 'or')}"
    if key == "symmetric_lengths":
        return value, "" if isinstance(value, bool) else f"is {shown(value)}; expected True or False"
    if key in SCALARS:
        limit = SCALARS[key]
        if not _is_real(value):
            return value, f"is {shown(value)}; {limit.expected_number()}"
        return float(value) + 0.0, "" if limit.holds(
            value
        ) else f"{value:g} is out of bounds; {limit.expected_number()}"
    if key not in (*VIEW, *USUAL_VIEW, "distance"):
        known = [f.name for f in fields(Sampling)]
        return value, f"is unknown; expected {listed(known, 'or')}{did_you_mean(key, known)}"
    if value is None and key not in VIEW:
        return None, ""
    limit = VIEW.get(key.removeprefix("usual_"), DISTANCE)
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not all(map(_is_real, value)):
        return value, f"is {shown(value)}; {limit.expected_range()}"
    low, high = (float(bound) + 0.0 for bound in value)
    return (low, high), "; ".join(limit.range_fault(low, high) or ())


def _is_real(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real)
