"""Pictures on disk: images, masks, COCO annotations and 3D poses in a folder, resumed by the same call.

    identity -> chunks of pictures, each with its record -> annotations.json, poses.npz -> manifest

Every file is there whole or not at all (`posesynth.store.folder`), and the manifest, written last, has the digest of
each.  A chunk whose record and files are there and sound is kept; any other is made again, to the same bytes.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.ahead import ahead
from posesynth.errors import InputError, shown, whole_number
from posesynth.pillow import pillow
from posesynth.render.images import IMAGE_VERSION, LARGEST, SMALLEST, ImageBatch, render
from posesynth.render.photographs import Photographs
from posesynth.sampler import STREAM_VERSION, check_range, check_skeleton, cores
from posesynth.skeleton import Skeleton
from posesynth.store.folder import LocalFolder

CHUNK = 64  # pictures of a record, fewer if they are large: what an interrupted run makes again at most, a thread

ANNOTATIONS, POSES = "annotations.json", "poses.npz"
# Not beside the annotations, where a reader of COCO would take them for more.
IDENTITY, MANIFEST = "records/identity.json", "records/manifest.json"
MOST = 10**8

Json = dict[str, Any]


@dataclass(frozen=True)
class Written:
    """What a run of `write_images` did, in pictures."""

    written: int
    reused: int


@dataclass(frozen=True, eq=False)
class _Plan:
    skeleton: Skeleton
    seed: int
    n: int
    size: int
    photographs: Photographs | None

    @property
    def identity(self) -> Json:
        """All that decides the pictures."""
        return {
            "format": "posesynth images",
            "version": 1,
            "image_version": IMAGE_VERSION,
            "stream_version": STREAM_VERSION,
            "skeleton": {
                "name": self.skeleton.name,
                "digest": self.skeleton.digest,
                "joints": list(self.skeleton.joints),
                "parents": self.skeleton.parents.tolist(),
                "text": self.skeleton.text,
            },
            "seed": self.seed,
            "n": self.n,
            "size": self.size,
            "backgrounds": None if self.photographs is None else self.photographs.digest,
        }

    @property
    def chunk(self) -> int:
        """Pictures of a record."""
        return max(1, min(CHUNK, CHUNK * 256**2 // self.size**2))

    @property
    def chunks(self) -> range:
        return range(-(-self.n // self.chunk))

    def range(self, k: int) -> tuple[int, int]:
        return k * self.chunk, min((k + 1) * self.chunk, self.n)


def write_images(
    skeleton: Skeleton,
    out: str | os.PathLike[str],
    n: int,
    *,
    seed: int = 0,
    size: int = 256,
    backgrounds: str | os.PathLike[str] | Photographs | None = None,
    progress: Callable[[int], object] | None = None,
) -> Written:
    """Write pictures 0..n-1 of (skeleton, seed) into the folder `out`, or go on where an earlier run ended.

    images/NNNNNNNN.png RGB; masks/NNNNNNNN.png, 255 where the body shows; annotations.json in COCO's keypoint format
    (v 2: visible, 1: in the picture but hidden, 0: outside it); poses.npz with p2d (n, N, 2), visible (n, N) and p3d
    (n, N, 3) as in `ImageBatch`; records/identity.json, which says what the set is; records/manifest.json with the
    digest of each.
    progress: called with the number of pictures of each chunk that is done.
    Raises InputError: other content in `out`, a place that cannot be written; what is written stays, and the same call
    goes on from there, so too after KeyboardInterrupt or SystemExit.
    """
    check_skeleton(skeleton)
    pillow()
    seed, _, _ = check_range(seed, 0, 0)
    n = whole_number("n", n, 1, MOST)
    size = whole_number("size", size, SMALLEST, LARGEST)
    plan = _Plan(skeleton, seed, n, size, Photographs.given(backgrounds))
    folder = LocalFolder(out)
    try:
        _check_place(folder, plan)
        with folder.lock(shared=False):
            return _write(folder, plan, progress)
    except FileNotFoundError:
        raise InputError(
            f"{folder.where}: cannot be found: there is no such folder; expected one that exists"
        ) from None
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"{folder.where}: cannot be written ({reason}); the same command again goes on from what is there"
        ) from None


def _check_place(folder: LocalFolder, plan: _Plan) -> None:
    wanted = plan.identity  # first, as it reads all photographs: one that cannot be is told before anything is written
    if os.path.lexists(folder.where) and not os.path.isdir(folder.where):
        raise InputError(f"{folder.where}: is no folder; expected a path where nothing is yet")
    there = folder.read(IDENTITY)
    if there is None:
        strange = [name for name in folder.sizes() if not folder.is_leftover(name)]
        if strange:
            raise InputError(
                f"{folder.where}: holds other files ({shown(min(strange))}); expected a path where nothing is yet"
            )
        return
    try:
        identity = json.loads(there)
    except ValueError:
        identity = None
    if not isinstance(identity, dict) or identity.get("format") != "posesynth images":
        raise InputError(f"{folder.where}: {IDENTITY} is not posesynth's; expected a path where nothing is yet")
    for key, ours in wanted.items():
        if identity.get(key) != ours:
            theirs = identity.get(key)
            if isinstance(theirs, dict) and isinstance(ours, dict):
                theirs, ours = theirs.get("name"), ours["name"]
                if theirs == ours:
                    theirs, ours = "another of that name", ours
            raise InputError(
                f"{folder.where}: {key}: is {shown(theirs)} in the set that is there and {shown(ours)} in this one; "
                "expected the same, or another path"
            )


def _write(folder: LocalFolder, plan: _Plan, progress: Callable[[int], object] | None) -> Written:
    for name in folder.sizes():
        if folder.is_leftover(name):
            folder.remove(name)
    folder.settle(IDENTITY, _json(plan.identity))
    known = _manifest(folder)
    reused = 0

    def make(k: int) -> tuple[int, bool, Json]:
        record = _sound(folder, plan, k, known)
        return (k, True, record) if record else (k, False, _write_chunk(folder, plan, k))

    records: list[Json] = []
    for k, kept, record in ahead(make, plan.chunks, cores()):
        records.append(record)
        first, last = plan.range(k)
        reused += last - first if kept else 0
        if progress:
            progress(last - first)
    _finish(folder, plan, records)
    return Written(plan.n - reused, reused)


def _record_name(k: int) -> str:
    return f"records/{k:08d}.json"


def _manifest(folder: LocalFolder) -> dict[str, str]:
    """Digest of each file of a finished set; empty where it is not finished, or its manifest is damaged."""
    data = folder.read(MANIFEST)
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        return dict(json.loads(data or b"")["files"])
    return {}


def _sound(folder: LocalFolder, plan: _Plan, k: int, known: dict[str, str]) -> Json | None:
    """The record of a chunk whose files are all there as it says."""
    data = folder.read(_record_name(k))
    if data is None or (known and known.get(_record_name(k)) != hashlib.sha256(data).hexdigest()):
        return None
    try:
        record: Json = json.loads(data)
        files = record["files"]
        whole = set(files) == set(_names(plan, k)) and record["sha256"] == _digest(record)
    except (ValueError, KeyError, TypeError):
        return None
    if not whole or any(folder.digest(name) != digest for name, digest in files.items()):
        return None
    return record


def _names(plan: _Plan, k: int) -> Iterator[str]:
    for i in range(*plan.range(k)):
        yield f"images/{i:08d}.png"
        yield f"masks/{i:08d}.png"


def _write_chunk(folder: LocalFolder, plan: _Plan, k: int) -> Json:
    """Make a chunk's pictures, and then its record."""
    first, last = plan.range(k)
    files: dict[str, str] = {}
    made = render(plan.skeleton, plan.seed, first, last, plan.size, plan.photographs, threads=1)
    for b in range(len(made)):
        for name, pixels in (("images", made.image[b]), ("masks", made.silhouette[b].astype(np.uint8) * 255)):
            data = _png(pixels)
            folder.put(f"{name}/{first + b:08d}.png", data)
            files[f"{name}/{first + b:08d}.png"] = hashlib.sha256(data).hexdigest()
    record: Json = {"files": files, "labels": _labels(made)}
    record["sha256"] = _digest(record)
    folder.put(_record_name(k), _json(record))
    return record


def _labels(made: ImageBatch) -> Json:
    """What annotations.json and poses.npz take of a chunk; float32 survive JSON."""
    boxes, areas = [], []
    for seen in made.silhouette:
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        if len(rows):
            x, y = int(columns[0]), int(rows[0])
            boxes.append([x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y])
        else:
            boxes.append([0, 0, 0, 0])
        areas.append(int(np.count_nonzero(seen)))
    return {
        "p2d": made.p2d.tolist(), "visible": made.visible.tolist(), "p3d": made.p3d.tolist(), "box": boxes,
        "area": areas,
    }  # fmt: skip


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    pillow().fromarray(pixels).save(file, "PNG", compress_level=3)
    return file.getvalue()


def _finish(folder: LocalFolder, plan: _Plan, records: list[Json]) -> None:
    """Labels of all chunks, and the manifest."""
    labels = {key: [entry for record in records for entry in record["labels"][key]] for key in records[0]["labels"]}
    p2d, p3d = np.array(labels["p2d"], np.float32), np.array(labels["p3d"], np.float32)
    visible = np.array(labels["visible"], np.bool_)
    poses = io.BytesIO()
    np.savez(poses, p2d=p2d, visible=visible, p3d=p3d)
    others = {
        IDENTITY: _json(plan.identity),
        ANNOTATIONS: _json(_coco(plan, p2d, visible, labels["box"], labels["area"]), indent=None),
        POSES: poses.getvalue(),
    }
    files = {name: digest for record in records for name, digest in record["files"].items()}
    files |= {_record_name(k): hashlib.sha256(_json(record)).hexdigest() for k, record in enumerate(records)}
    files |= {name: hashlib.sha256(data).hexdigest() for name, data in others.items()}
    for name, data in others.items():
        folder.settle(name, data)
    folder.settle(MANIFEST, _json({"format": "posesynth images", "files": files}))


def _coco(plan: _Plan, p2d: NDArray[np.float32], visible: NDArray[np.bool_], boxes: Any, areas: Any) -> Json:
    """COCO's keypoint format, https://cocodataset.org/#format-data; one body a picture."""
    skeleton, size = plan.skeleton, plan.size
    inside = np.all((p2d >= 0) & (p2d < size), axis=-1)
    v = np.where(inside, np.where(visible, 2, 1), 0)
    points = np.concatenate([np.where(inside[..., None], p2d, 0).astype(np.float64).round(2), v[..., None]], axis=-1)
    images, annotations = [], []
    for i in range(plan.n):
        images.append({"id": i, "file_name": f"images/{i:08d}.png", "width": size, "height": size})
        annotations.append(
            {
                "id": i + 1,  # COCOeval takes the id 0 for no match
                "image_id": i,
                "category_id": 1,
                "keypoints": [int(x) if k % 3 == 2 else x for k, x in enumerate(points[i].ravel().tolist())],
                "num_keypoints": int(np.count_nonzero(v[i])),
                "bbox": boxes[i],
                "area": areas[i],
                "iscrowd": 0,
            }
        )
    edges = [[int(parent) + 1, joint + 2] for joint, parent in enumerate(skeleton.parents[1:])]
    category = {"id": 1, "name": skeleton.name, "keypoints": list(skeleton.joints), "skeleton": edges}
    info = {"description": f"posesynth images of {skeleton.name}, seed {plan.seed}"}
    return {"info": info, "images": images, "annotations": annotations, "categories": [category]}


def _digest(record: Json) -> str:
    body = {key: record[key] for key in ("files", "labels")}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _json(document: Json, indent: int | None = 1) -> bytes:
    return (json.dumps(document, indent=indent if "labels" not in document else None) + "\n").encode()
