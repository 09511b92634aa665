"""Poses as HDF5: plain contiguous datasets and attributes, named as the parts of a `PoseTrack`.

Before the HDF5 stands a user block of JSON: the attributes once more, where each dataset lies, and a SHA-256 of
everything after it.  Tools that know HDF5 pass over it.  `read` needs nothing else, so no file that somebody sent is
ever given to the HDF5 library, which a damaged one can crash.
"""

import hashlib
import io
import json
import math
import os
import re
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lifter.data.pose_track import PoseTrack, made_track
from posesynth.errors import InputError, fault, shown
from posesynth.store.folder import Write
from posesynth.store.manifest import Json, decode, digest_of

_FORMAT = {"format": "lifter poses", "version": 1}
_START = json.dumps(_FORMAT)[:-1].encode()
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SMALLEST_BLOCK, _LARGEST_BLOCK = 2**9, 2**20
_LARGEST = 2**32  # bytes of a file
_FACTS = ("skeleton", "model", "source")
_CONFIDENCES = ("confidence", "p2d_confidence")
_KINDS = {  # what the type of each dataset may be
    **dict.fromkeys(("p3d", "p2d", *_CONFIDENCES), r"<f4"),
    **dict.fromkeys(("joints", "individuals"), r"\|S[1-9][0-9]{0,5}"),
    "parents": r"<i4",
    "frames": r"<i8|\|S[1-9][0-9]{0,5}",
}
_NOTES = {
    "p3d": "frame, individual, joint, (x right, y away from the camera, z up) in units of the longest edge",
    "p2d": "frame, individual, joint, (x right, z up) in pixels of the source",
    "confidence": "frame, individual, joint",
    "p2d_confidence": "frame, individual, joint",
    "parents": "index of each joint's parent, -1 at the root",
}


def is_ours(file: BinaryIO) -> bool:
    """Whether a file begins as one that `write` wrote."""
    return file.read(len(_START)) == _START


def write(path: str, write: Write, track: PoseTrack) -> None:
    """Hand the bytes of the file to `write`."""
    import h5py

    arrays = {
        "p3d": track.p3d.astype("<f4", copy=False),
        "p2d": track.p2d.astype("<f4", copy=False),
        **{
            name: values.astype("<f4", copy=False)
            for name in _CONFIDENCES
            if (values := getattr(track, name)) is not None
        },
        "joints": _texts(track.joints),
        "parents": np.array(track.parents, "<i4"),
        "individuals": _texts(track.individuals),
        "frames": np.array(track.frames, "<i8") if isinstance(track.frames[0], int) else _texts(track.frames),
    }
    facts = {name: getattr(track, name) for name in _FACTS}
    block = _SMALLEST_BLOCK
    while block <= len(_block(facts, arrays, dict.fromkeys(arrays, 2**62), "0" * 64)):
        block *= 2
    memory = io.BytesIO()
    places = {}
    with h5py.File(memory, "w", userblock_size=block) as file:
        file.attrs.update({**_FORMAT, **facts})
        for name, array in arrays.items():
            dataset = file.create_dataset(name, data=array)
            places[name] = dataset.id.get_offset()
            if name in _NOTES:
                dataset.attrs["axes"] = _NOTES[name]
    body = memory.getbuffer()[block:]
    write(_block(facts, arrays, places, hashlib.sha256(body).hexdigest()).ljust(block - 1) + b"\n")
    write(body)


def read(path: str, file: BinaryIO) -> PoseTrack:
    """The track in a file that `write` wrote, read without the HDF5 library."""
    size = os.fstat(file.fileno()).st_size
    if size > _LARGEST:
        raise fault(path, None, f"has {size} bytes; expected at most {_LARGEST}")
    data = memoryview(file.read())
    document, block = _document(path, data)
    if hashlib.sha256(data[block:]).hexdigest() != document["contents"]:
        raise fault(path, None, "was changed or damaged after lifter wrote it; expected it as it was written")
    arrays = {name: _array(path, data, name, place) for name, place in document["arrays"].items()}
    if not _KINDS.keys() - set(_CONFIDENCES) <= arrays.keys() <= _KINDS.keys():
        raise fault(path, None, f"arrays: are {shown(sorted(arrays))}; expected those of a pose file")
    try:
        texts = {name: [text.decode() for text in array.tolist()] for name, array in arrays.items() if _is_text(array)}
    except UnicodeDecodeError:
        raise fault(path, None, "a name is not text in UTF-8; expected the names as lifter wrote them") from None
    return made_track(
        path,
        p3d=arrays["p3d"],
        p2d=arrays["p2d"],
        confidence=arrays.get("confidence"),
        p2d_confidence=arrays.get("p2d_confidence"),
        joints=tuple(texts["joints"]),
        parents=tuple(arrays["parents"].tolist()),
        individuals=tuple(texts["individuals"]),
        frames=tuple(texts.get("frames") or arrays["frames"].tolist()),
        **{name: document[name] for name in _FACTS},
    )


def _texts(texts: tuple[object, ...]) -> NDArray[np.bytes_]:
    import h5py

    encoded = [str(text).encode() for text in texts]
    return np.array(encoded, h5py.string_dtype("utf-8", max(1, *map(len, encoded))))


def _is_text(array: NDArray[Any]) -> bool:
    return array.dtype.kind == "S"


def _block(facts: Json, arrays: dict[str, NDArray[Any]], places: dict[str, int], contents: str) -> bytes:
    """The user block, but for the blanks that fill it."""
    described = {
        name: {"offset": places[name], "dtype": array.dtype.str, "shape": list(array.shape)}
        for name, array in arrays.items()
    }
    body = {**_FORMAT, **facts, "arrays": described, "contents": contents}
    return json.dumps({**body, "sha256": digest_of(body)}).encode()


def _document(path: str, data: memoryview) -> tuple[Json, int]:
    """The JSON of the user block, and the block's length; InputError unless each byte is as it was written."""
    block = _SMALLEST_BLOCK
    while block <= _LARGEST_BLOCK and data[block : block + len(_SIGNATURE)] != _SIGNATURE:
        block *= 2
    if data[: len(_START)] != _START or block > _LARGEST_BLOCK:
        what = "an HDF5 file, but not one of poses" if data[: len(_SIGNATURE)] == _SIGNATURE else "not a pose file"
        raise fault(path, None, f"is {what}, or damaged; expected one that lifter wrote")
    try:
        document = decode(bytes(data[:block]), path)
    except InputError:
        document = {}
    body = {key: document.get(key) for key in (*_FORMAT, *_FACTS, "arrays", "contents")}
    text = json.dumps(document).encode().ljust(block - 1) + b"\n"
    if document != {**body, "sha256": digest_of(body)} or text != data[:block] or not isinstance(body["arrays"], dict):
        raise fault(path, None, "was changed or damaged after lifter wrote it; expected it as it was written")
    return document, block


def _array(path: str, data: memoryview, name: str, place: Any) -> NDArray[Any]:
    """A dataset by its place, its size compared with the file's before it is made."""
    try:
        offset, shape, dtype = place["offset"], place["shape"], place["dtype"]
        if len(shape) > 4 or not all(type(number) is int and 0 <= number < 2**40 for number in (offset, *shape)):
            raise ValueError
        if not re.fullmatch(_KINDS[name], dtype):
            raise ValueError
        count = math.prod(shape)
        if offset + count * np.dtype(dtype).itemsize > len(data):
            raise ValueError
        if name in ("joints", "individuals", "parents", "frames") and len(shape) != 1:
            raise ValueError
        return np.frombuffer(data, dtype, count, offset).reshape(shape).astype(np.dtype(dtype).newbyteorder("="))
    except (KeyError, TypeError, ValueError):
        raise fault(path, None, f"{name}: {shown(place)} is no place of it in the file") from None
