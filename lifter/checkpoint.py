"""Tensors on disk, trusted only after every byte was checked: `save_tensors`, `load_tensors`, `Checkpoints`.

    NAME.safetensors    the tensors
    NAME.json           facts about them; length, SHA-256, types and shapes of the file of tensors; its own SHA-256

Both are written to a temporary name, synced and renamed, the JSON last, so a pair that agrees is whole.  Nothing is
ever unpickled, and no tensor is made before what it says of itself was compared with the file it is in.
"""

import hashlib
import json
import math
import os
import re
import stat
import warnings
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load as deserialize
from safetensors.torch import save as serialize

from posesynth.errors import InputError, fault, shown
from posesynth.store.folder import LocalFolder, is_partial
from posesynth.store.manifest import Json, decode, digest_of, encode

Tensors = dict[str, torch.Tensor]

ENDING = ".safetensors"
KEPT = 2

_FORMAT = {"format": "lifter tensors", "version": 1}
_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_METADATA = "__metadata__"
_MOST_SIZES = 32  # of a shape
_LENGTH_BYTES = 8  # of the header, at the start of a safetensors file
_LARGEST_HEADER = 2**24
_LARGEST_JSON = 2**24
_LARGEST_FILE = 2**33
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # PyTorch's ZIP (.pt, .pt2), and bare
_NAME = re.compile(r"step-(\d{9,18})\.(json|safetensors)")


def save_tensors(path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], facts: Json) -> None:
    """Write named tensors to `path`, which ends in ``.safetensors``, and `facts` to the ``.json`` beside it.

    tensors: dense, on any device; of bool, integers (unsigned: of 8 bits) or floats of 16 to 64 bits.  facts: what JSON
    gives back as it was: text keys, lists and not tuples, finite numbers.  TypeError or ValueError for others.

    The folder is made if only its last part is missing.  Files of these names are replaced.  InputError where the disk
    does not take them.
    """
    path, beside = _pair(path)
    if json.loads(json.dumps(facts, allow_nan=False)) != facts:
        raise ValueError("facts: JSON gives them back changed; expected text keys, and lists in place of tuples")
    data = serialize({name: _plain_copy(name, tensor) for name, tensor in tensors.items()}, {"format": "pt"})
    piece = {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    declared = _declared(data[_LENGTH_BYTES : _LENGTH_BYTES + _header_length(data)])
    if other := {entry["dtype"] for entry in declared.values()} - _ITEM_BYTES.keys():
        raise TypeError(f"tensors: of type {min(other)}; expected one of {', '.join(_ITEM_BYTES)}")
    body = {**_FORMAT, "facts": facts, "file": piece, "tensors": declared}
    folder = LocalFolder(os.path.dirname(path) or ".")
    for name, content in ((path, data), (beside, encode({**body, "sha256": digest_of(body)}))):
        try:
            folder.put(os.path.basename(name), content)
        except OSError as error:
            raise fault(name, None, f"cannot be written: {error.strerror or error}") from None


def load_tensors(path: str | os.PathLike[str]) -> tuple[Tensors, Json]:
    """The tensors, on the CPU, and the facts that `save_tensors` wrote.

    InputError where a byte of the two files is not as it was written, and for every other kind of file.
    """
    path, beside = _pair(path)
    length = _plain_file(path)
    folder, name = LocalFolder(os.path.dirname(path) or "."), os.path.basename(path)
    start = _read(folder, name, 0, _LENGTH_BYTES + 1)
    if start.startswith(_PICKLES) and not start.endswith(b"{"):  # or else it may be the length of a header
        raise fault(path, None, "is a pickle, as torch.save writes; expected safetensors (a pickle may run any code)")
    if not os.path.lexists(beside):
        raise fault(path, None, f"has no {os.path.basename(beside)} beside it; expected both files that lifter wrote")
    document = _read_document(folder, beside)
    _check_file(path, length, start, document, folder)
    data = _read(folder, name, 0, length)
    if len(data) != length or hashlib.sha256(data).hexdigest() != document["file"]["sha256"]:
        raise fault(path, None, f"was changed after it was written; expected the SHA-256 that {beside[-60:]} names")
    try:
        return deserialize(data), document["facts"]
    except (SafetensorError, RuntimeError, ValueError, OverflowError) as error:  # a digest that somebody made to fit
        raise fault(path, None, f"is no safetensors file: {shown(str(error))}") from None


def load_weights(path: str | os.PathLike[str]) -> tuple[Tensors, Json]:
    """The same of a model, whose weights must be numbers: others make poses of NaN, for which the input is blamed."""
    tensors, facts = load_tensors(path)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise fault(os.fspath(path), None, "a weight is not a number; expected a model whose training went well")
    return tensors, facts


class Checkpoints:
    """The checkpoints of a run: a folder of ``step-000001000.safetensors`` and ``.json``, the newest two of them.

    One process saves; any number may look for the latest.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = os.fspath(folder)
        self._damaged: set[int] = set()

    def save(self, step: int, tensors: Mapping[str, torch.Tensor], facts: Json) -> None:
        """Write a checkpoint, whole and durable when this returns, then remove those before the last two.

        tensors, facts, errors: see `save_tensors`.  Killed at any moment, the latest or the one before still loads.
        """
        save_tensors(self._path(step), tensors, {"step": step, "facts": facts})
        self._damaged.discard(step)
        self._clear()

    def latest(self) -> tuple[int, Tensors, Json] | None:
        """(step, tensors, facts) of the newest checkpoint, None where there is none yet.

        One that is damaged is passed over with a warning; InputError where no other is left.
        """
        faults = []
        for step in self._steps():
            try:
                tensors, document = load_tensors(self._path(step))
                if document.keys() != {"step", "facts"} or document["step"] != step:
                    raise fault(self._path(step), None, f"is no checkpoint of step {step}; was it renamed?")
            except InputError as error:
                faults.append(str(error))
                self._damaged.add(step)
                continue
            if faults:
                warnings.warn(f"{faults[0]}; going on from the checkpoint before, step {step}", stacklevel=2)
            return step, tensors, document["facts"]
        if faults:
            raise fault(self.folder, None, f"no checkpoint in it can be loaded; the newest: {faults[0]}")
        return None

    def _path(self, step: int) -> str:
        return os.path.join(self.folder, f"step-{step:09d}{ENDING}")

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise fault(self.folder, None, f"cannot be read: {error.strerror}") from None

    def _steps(self) -> list[int]:
        """Steps that have a JSON, the newest first: without one, a save was interrupted."""
        found = [_NAME.fullmatch(name) for name in self._names()]
        return sorted((int(match[1]) for match in found if match and match[2] == "json"), reverse=True)

    def _clear(self) -> None:
        """Remove old and damaged checkpoints, and what interrupted saves left; the JSON before its tensors."""
        sound = [step for step in self._steps() if step not in self._damaged]
        kept = {f"step-{step:09d}.{ending}" for step in sound[:KEPT] for ending in ("json", "safetensors")}
        folder = LocalFolder(self.folder)
        for name in sorted(self._names()):
            ours = _NAME.fullmatch(name) or (is_partial(name) and name.startswith(".step-"))
            if ours and name not in kept:
                folder.remove(name)
        self._damaged.clear()


def _pair(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Paths of the tensors and of the JSON beside them."""
    text = os.fspath(path)
    if not text.endswith(ENDING) or "\0" in text:
        raise fault(text, None, f"is not named as lifter names tensors; expected a path ending in {ENDING}")
    return text, text.removesuffix(ENDING) + ".json"


def _plain_copy(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The tensor on its own, in row order: two views of one memory would be refused, and an expanded one is short."""
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise TypeError(f"{name}: is {tensor.layout}; expected a dense tensor")
    if name == _METADATA:
        raise ValueError(f"a tensor is called {name}, which safetensors keeps for itself")
    return tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format)


def _plain_file(path: str) -> int:
    """The length of a file; InputError where there is none, or something else."""
    try:
        status = os.lstat(path)
    except OSError as error:
        raise fault(path, None, f"cannot be read: {error.strerror or error}") from None
    if stat.S_ISLNK(status.st_mode):
        raise fault(path, None, "is a symbolic link; expected the file itself")
    if not stat.S_ISREG(status.st_mode):
        raise fault(path, None, "is not a plain file; expected one that lifter wrote")
    return status.st_size


def _read(folder: LocalFolder, name: str, start: int, length: int) -> bytes:
    path = os.path.join(folder.where, name)
    try:
        data = folder.read(name, start, length)
    except OSError as error:
        raise fault(path, None, f"cannot be read: {error.strerror or error}") from None
    if data is None:
        raise fault(path, None, "cannot be read: it has just been removed")
    return data


def _read_document(folder: LocalFolder, beside: str) -> Json:
    """The JSON beside the tensors, InputError unless each byte of it is as it was written."""
    _plain_file(beside)
    data = _read(folder, os.path.basename(beside), 0, _LARGEST_JSON + 1)
    if len(data) > _LARGEST_JSON:
        raise fault(beside, None, f"has more than {_LARGEST_JSON} bytes; expected the JSON that lifter wrote")
    try:
        document = decode(data, beside)
    except InputError:
        raise fault(beside, None, "is not JSON, or damaged; expected the JSON that lifter wrote") from None
    body = {key: document.get(key) for key in (*_FORMAT, "facts", "file", "tensors")}
    if body["format"] != _FORMAT["format"]:
        raise fault(beside, None, "does not describe tensors of lifter; expected the JSON that lifter wrote")
    if body["version"] != _FORMAT["version"]:
        raise fault(beside, None, f"version: is {shown(body['version'])}; expected 1, which this lifter knows")
    if document != {**body, "sha256": digest_of(body)} or data != encode(document) or not _is_sane(document):
        raise fault(beside, None, "was changed after it was written (its own digest is wrong)")
    return document


def _is_sane(document: Json) -> bool:
    """Whether types and sizes are what they can be: who writes a digest may have written anything."""
    facts, file, tensors = document["facts"], document["file"], document["tensors"]
    if not all(isinstance(part, dict) for part in (facts, file, tensors)):
        return False
    if type(file.get("length")) is not int or not all(isinstance(entry, dict) for entry in tensors.values()):
        return False
    for entry in tensors.values():
        shape = entry.get("shape")
        if not isinstance(shape, list) or len(shape) > _MOST_SIZES:
            return False
        if not all(type(size) is int and 0 <= size < 2**48 for size in shape):
            return False
        if not isinstance(entry.get("dtype"), str) or entry["dtype"] not in _ITEM_BYTES:
            return False
    return True


def _check_file(path: str, length: int, start: bytes, document: Json, folder: LocalFolder) -> None:
    """InputError unless the file has the length and the header that the JSON declares, and room for its tensors."""
    expected = document["file"]["length"]
    if length != expected or length > _LARGEST_FILE:
        raise fault(path, None, f"has {length} bytes; expected {shown(expected)}, and at most {_LARGEST_FILE}")
    count = _header_length(start)
    numbers = sum(math.prod(entry["shape"]) * _ITEM_BYTES[entry["dtype"]] for entry in document["tensors"].values())
    if count > _LARGEST_HEADER or _LENGTH_BYTES + count + numbers != length:
        raise fault(path, None, f"has {length} bytes, and declares others; expected a file that lifter wrote")
    header = _read(folder, os.path.basename(path), _LENGTH_BYTES, count)
    try:
        declared = _declared(header)
    except (InputError, KeyError, TypeError, AttributeError):
        raise fault(path, None, "its header cannot be read; expected a safetensors file") from None
    if declared != document["tensors"]:
        raise fault(path, None, "its tensors are not those of the JSON beside it; expected both as lifter wrote them")


def _header_length(start: bytes) -> int:
    return int.from_bytes(start[:_LENGTH_BYTES], "little")


def _declared(header: bytes) -> Json:
    """Type and shape of each tensor, by a safetensors header."""
    entries = decode(header, "header")
    return {
        name: {"dtype": entry["dtype"], "shape": entry["shape"]} for name, entry in entries.items() if name != _METADATA
    }
