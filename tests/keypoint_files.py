"""Keypoint files as other tools lay them out."""

import json
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lifter.data.keypoints import load_keypoints
from posesynth.errors import InputError

NAMES = ("snout", "left ear", "tail")
ANIMALS = ("m1", "m2")


def points(frames: int = 4, animals: int = 1, joints: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Positions with a few points missing, and confidences."""
    rng = np.random.default_rng(7)
    positions = rng.uniform(0, 640, (frames, animals, joints, 2))
    positions[1, 0, 1] = np.nan
    return positions, rng.uniform(0, 1, (frames, animals, joints))


def columns(animals: int, confidence: bool) -> list[tuple[str, ...]]:
    coords = ("x", "y", "likelihood") if confidence else ("x", "y")
    who = [(name,) for name in ANIMALS[:animals]] if animals > 1 else [()]
    return [("DLC", *animal, part, coord) for animal in who for part in NAMES for coord in coords]


def flat(positions: np.ndarray, confidence: np.ndarray | None) -> np.ndarray:
    parts = positions if confidence is None else np.concatenate([positions, confidence[..., None]], axis=-1)
    return parts.reshape(len(positions), -1)


def deeplabcut_csv(
    path: Path, positions: np.ndarray, confidence: np.ndarray | None = None, index: list[str] | None = None
) -> Path:
    names = columns(positions.shape[1], confidence is not None)
    rows = ["scorer", "individuals", "bodyparts", "coords"] if len(names[0]) == 4 else ["scorer", "bodyparts", "coords"]
    labels = index or [str(t) for t in range(len(positions))]
    empty = "," * labels[0].count(",")
    lines = [f"{row}{empty}," + ",".join(name[i] for name in names) for i, row in enumerate(rows)]
    for label, values in zip(labels, flat(positions, confidence), strict=True):
        lines.append(f"{label}," + ",".join("" if np.isnan(v) else repr(float(v)) for v in values))
    path.write_text("\n".join(lines) + "\n")
    return path


def deeplabcut_table(path: Path, positions: np.ndarray, confidence: np.ndarray | None, index: np.ndarray) -> Path:
    """An h5 as pandas' ``to_hdf(format="table")`` lays it out."""
    names = columns(positions.shape[1], confidence is not None)
    values = flat(positions, confidence)
    records = np.empty(len(values), [("index", index.dtype), ("values_block_0", "<f8", values.shape[1:])])
    records["index"], records["values_block_0"] = index, values
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        table = group.create_dataset("table", data=records, chunks=True, maxshape=(None,))
        table.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(names, 0))
    return path


def deeplabcut_fixed(path: Path, positions: np.ndarray, index: list[tuple[str, ...]]) -> Path:
    """An h5 as pandas' ``to_hdf`` lays it out by default, rows and columns both of several levels."""
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"], group.attrs["nblocks"] = np.bytes_(b"frame"), 1
        for axis, entries in (("block0_items", columns(positions.shape[1], False)), ("axis1", index)):
            group.attrs[f"{axis}_nlevels"] = len(entries[0])
            for level, texts in enumerate(zip(*entries, strict=True)):
                choices = sorted(set(texts))
                group[f"{axis}_level{level}"] = np.array(choices, dtype="S")
                group[f"{axis}_label{level}"] = np.array([choices.index(text) for text in texts], dtype=np.int8)
        group["block0_values"] = flat(positions, None)
        group["block0_values"].attrs["transposed"] = np.uint8(1)
    return path


def sleap_h5(path: Path, positions: np.ndarray, confidence: np.ndarray | None, tracks: tuple[str, ...] = ()) -> Path:
    with h5py.File(path, "w") as file:
        file["tracks"] = positions.transpose(1, 3, 2, 0)
        file["node_names"] = np.array(NAMES[: positions.shape[2]], dtype="S")
        file["track_names"] = np.array(tracks, dtype="S")
        file["track_occupancy"] = np.ones(positions.shape[:2])
        if confidence is not None:
            file["point_scores"] = confidence.transpose(1, 2, 0)
    return path


def coco(annotations: list[dict[str, Any]], images: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "images": [{"id": n, "file_name": f"{n}.jpg"} for n in range(images)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "mouse", "keypoints": list(NAMES)}],
        **more,
    }


def labelled(image: int = 0, keypoints: Any = None, **more: Any) -> dict[str, Any]:
    triples = [1, 2, 2, 3, 4, 1, 5, 6, 0] if keypoints is None else keypoints
    return {"image_id": image, "category_id": 1, "keypoints": triples, **more}


def write_json(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def refused(path: Path, *said: str) -> str:
    """The one line in which the file is refused."""
    with pytest.raises(InputError) as caught:
        load_keypoints(path)
    (line,) = caught.value.lines
    assert len(line) <= 300
    assert line.startswith((str(path)[:90], "..."))
    for text in said:
        assert text in line, line
    return line
