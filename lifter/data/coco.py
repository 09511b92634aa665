"""COCO keypoint json: ``images``, ``annotations`` and ``categories``.

Read as it is met in the wild: annotations without keypoints, keypoints as flat numbers or as [x, y, v] triples, v of
1 only, many categories of one skeleton, images of which no annotation tells.  Whether an image is on disk is not asked.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from lifter.data.track import MAX_NAMES, Keypoints, check_count, check_names
from posesynth.errors import InputError, fault, quote, reason, shown
from posesynth.motion.clip import MAX_BYTES

_EXPECTED = "expected COCO's images, annotations and categories"


def read_coco(path: str) -> Keypoints:
    """One frame for each image, in the file's order.

    The annotations of an image are its individuals: by ``track_id`` where all have one, else in their order in the
    file, which need not be the same animal from image to image.  A point with v = 0 is missing; a v between 0 and 1
    or a score in its place, as predictions have it, is its confidence.
    """
    document = parse_json(path)
    if isinstance(document, list):
        raise fault(path, None, f"a list, so without the joints' names; {_EXPECTED}")
    if not isinstance(document, dict):
        raise fault(path, None, f"{shown(document)}; {_EXPECTED}")
    images, annotations, categories = (objects(path, document, key) for key in ("images", "annotations", "categories"))
    frames = _frames(path, images)
    time = {image["id"]: t for t, image in enumerate(images)}
    labelled = [(n, entry) for n, entry in enumerate(annotations) if entry.get("keypoints")]
    names = joint_names(path, categories, labelled)
    poses = []
    for n, entry in labelled:
        where = f"annotations[{n}]"
        image = entry.get("image_id")
        if type(image) not in (int, str) or image not in time:
            raise fault(path, None, f"{where}.image_id: {shown(image)}; expected the id of one of the images")
        points = points_of(path, f"{where}.keypoints", entry["keypoints"], names)
        if (points[:, 2] != 0).any():
            poses.append((time[image], entry.get("track_id"), points, where))
    animals, individuals = _individuals(path, poses)
    check_count(path, len(frames) * len(individuals) * len(names) * 3)
    positions = np.full((len(frames), len(individuals), len(names), 2), np.nan)
    confidence = np.full(positions.shape[:3], np.nan)
    for (t, _, points, _), a in zip(poses, animals, strict=True):
        seen = points[:, 2] != 0
        positions[t, a, seen] = points[seen, :2]
        confidence[t, a, seen] = points[seen, 2]
    if ((confidence == 1) | (confidence == 2) | np.isnan(confidence)).all():
        confidence[:] = np.nan  # hand labels: occluded or visible, no confidence
    return Keypoints(positions, confidence, names, individuals, frames, path, "COCO json")


def parse_json(path: str, at_most: int = MAX_BYTES) -> Any:
    """The document in a JSON file of at most so many bytes."""
    try:
        with open(path, "rb") as file:
            data = file.read(at_most + 1)
        if len(data) > at_most:
            raise fault(path, None, f"larger than {at_most >> 20} MiB; expected a smaller file (split the images)")
        return json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise fault(path, error.lineno, f"not JSON: {error.msg}, column {error.colno}; {_EXPECTED}") from None
    except UnicodeDecodeError:
        raise fault(path, None, f"not text in UTF-8; {_EXPECTED}") from None
    except RecursionError:
        raise fault(path, None, f"nested too deep; {_EXPECTED}") from None
    except InputError:
        raise
    except ValueError as error:
        raise fault(path, None, f"not JSON: {reason(error)}; {_EXPECTED}") from None
    except OSError as error:
        raise fault(path, None, f"cannot be read: {reason(error)}") from None


def objects(path: str, document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects under one of the three keys, at least one."""
    if key not in document:
        found = ", ".join(quote(name, 20) for name in list(document)[:6]) or "nothing"
        raise fault(path, None, f"no '{key}', found {found}; {_EXPECTED}")
    records = document[key]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise fault(path, None, f"{key}: {shown(records)}; expected a list of objects")
    if not records:
        raise fault(path, None, f"{key}: empty; expected at least one")
    return records


def _frames(path: str, images: list[dict[str, Any]]) -> tuple[int | str, ...]:
    """The images' names; their ids where some have no name or share one."""
    ids = [image.get("id") for image in images]
    for n, identity in enumerate(ids):
        if type(identity) not in (int, str):
            raise fault(path, None, f"images[{n}].id: {shown(identity)}; expected a number or a text")
    if len(set(ids)) < len(ids):
        raise fault(path, None, f"images: {len(ids)} images with {len(set(ids))} ids; expected each id once")
    names = [image.get("file_name") for image in images]
    if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
        return tuple(map(str, names))
    return tuple(identity for identity in ids if identity is not None)


def joint_names(
    path: str, categories: list[dict[str, Any]], labelled: list[tuple[int, dict[str, Any]]]
) -> tuple[str, ...]:
    """The joints of the categories that are used, which have to be of one skeleton."""
    known = {json.dumps(category.get("id")): category for category in categories}
    used = list(dict.fromkeys(json.dumps(entry.get("category_id")) for _, entry in labelled)) or list(known)
    found: tuple[str, ...] = ()
    for identity in used:
        if identity not in known:
            expected = "expected the id of one of the categories"
            raise fault(path, None, f"annotations: category_id {identity[:40]}; {expected}")
        names = known[identity].get("keypoints")
        whose = quote(str(known[identity].get("name", identity)))
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not names:
            raise fault(path, None, f"categories: {whose} names no keypoints; expected a list of joint names")
        if found and tuple(names) != found:
            raise fault(path, None, f"categories: {whose} has other keypoints; expected one skeleton in a file")
        found = tuple(names)
    check_names(path, None, found, [""])
    return found


def points_of(path: str, where: str, keypoints: Any, names: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(J, 3): x, y and v of each joint; v = 0 and NaN where not seen."""
    flat = keypoints
    if isinstance(keypoints, list) and keypoints and all(isinstance(point, list) for point in keypoints):
        bad = next((n for n, point in enumerate(keypoints) if len(point) != 3), None)
        if bad is not None:
            raise fault(path, None, f"{where}[{bad}]: {len(keypoints[bad])} numbers; expected [x, y, v]")
        flat = [value for point in keypoints for value in point]
    if not isinstance(flat, list) or not all(type(value) in (int, float) for value in flat):
        raise fault(path, None, f"{where}: {shown(keypoints)}; expected numbers x, y, v of each joint")
    if len(flat) != 3 * len(names):
        expected = f"expected {3 * len(names)}, x y v of each of {len(names)} joints"
        raise fault(path, None, f"{where}: {len(flat)} numbers; {expected}")
    try:
        points = np.array(flat, dtype=np.float64).reshape(-1, 3)
    except OverflowError:
        raise fault(path, None, f"{where}: a number too large; expected pixels") from None
    points[np.isnan(points).any(axis=1), 2] = 0
    return points


def _individuals(path: str, poses: Iterable[tuple[int, Any, Any, str]]) -> tuple[list[int], tuple[str, ...]]:
    """Which individual each pose is, and the individuals' names."""
    poses = list(poses)
    tracked = bool(poses) and all(isinstance(track, int | str) for _, track, _, _ in poses)
    order: dict[Any, int] = {}
    animals = []
    taken: set[tuple[int, int]] = set()
    many = [0] * (1 + max((t for t, _, _, _ in poses), default=0))
    for t, track, _, where in poses:
        if tracked:
            a = order.setdefault(track, len(order))
            if (t, a) in taken:
                raise fault(path, None, f"{where}.track_id: {shown(track)} is twice in one image; expected it once")
        else:
            a = many[t]
            many[t] += 1
        taken.add((t, a))
        animals.append(a)
    count = max(animals, default=0) + 1
    if count > MAX_NAMES:
        raise fault(path, None, f"{count} individuals in an image; expected at most {MAX_NAMES}")
    if count == 1:
        return animals, ("",)
    if tracked:
        return animals, tuple(str(track) for track in order)
    return animals, tuple(f"individual{a + 1}" for a in range(count))
