"""A plan: which samples a stored data set holds and how they are cut.  It decides every byte of the set.

The identity of a plan is the JSON that a set carries in its attributes and its manifest; the plan is rebuilt from that
alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, shown, whole_number
from posesynth.evolution import Ancestry, ancestry_of, evolved_into, genes_of
from posesynth.sampler import FIELDS, STREAM_VERSION, check_field, field_dtype, field_shape, sample_into
from posesynth.schema import skeleton_of
from posesynth.skeleton import Skeleton

FORMAT = 1
"""Version of the layout on disk, `posesynth` in the attributes."""

CHUNK = 8192  # samples that a reader decodes at once; a shard is a whole number of chunks
SMALLEST_CHUNK = 512
LARGEST_SHARD = 2**32  # bytes of one array of one shard, which is one file, and one request to an object store
DTYPES = ("float32", "float16")
_BLOCK = 2**13  # samples that a thread makes at a time: they and their copies stay in its cache
LARGEST_N = 2**48

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Plan:
    """Samples 0..n-1 of (skeleton, seed), `shard` samples to a file.

    arrays: which of posesynth.sampler.FIELDS, p2d and o among them.  dtype: float32, or float16 (rounded to nearest
    even; visibility stays bool).  stream_version: of the samples; only those of this version can be made.  ancestry:
    where the poses come from if they are evolved, not drawn; the samples then are a population of n poses.
    Raises InputError, one line for each field that cannot be.
    """

    skeleton: Skeleton
    seed: int
    n: int
    shard: int = 2**20
    arrays: tuple[str, ...] = ("p2d", "o")
    dtype: str = "float32"
    stream_version: int = STREAM_VERSION
    ancestry: Ancestry | None = None

    def __post_init__(self) -> None:
        faults = _arrays(self.arrays)
        for name, low, high in (("seed", 0, 2**64 - 1), ("n", 1, LARGEST_N), ("shard", 1, 2**32)):
            try:
                object.__setattr__(self, name, whole_number(name, getattr(self, name), low, high))
            except InputError as error:
                faults += error.lines
        if self.dtype not in DTYPES:
            faults.append(f"dtype: is {self.dtype!r}; expected {' or '.join(DTYPES)}")
        if not faults:
            object.__setattr__(self, "arrays", tuple(name for name in FIELDS if name in self.arrays))
            faults = self._shard_faults()
        if not faults and self.ancestry is not None and self.n < len(self.ancestry.initial):
            faults.append(f"n: is {self.n}; expected at least the {len(self.ancestry.initial)} poses it begins with")
        if faults:
            raise InputError(*faults)
        rebuilt = skeleton_of(self.skeleton.text, self.skeleton.sampling.values(), "skeleton")
        if rebuilt.digest != self.skeleton.digest:
            raise InputError("skeleton: differs from its own YAML text; expected one read by load_skeleton")

    def _shard_faults(self) -> list[str]:
        if self.chunk < SMALLEST_CHUNK and self.shard > CHUNK:
            near = -(-self.shard // CHUNK) * CHUNK
            return [
                f"shard: {self.shard} cannot be cut into equal chunks of {SMALLEST_CHUNK} to {CHUNK} samples; "
                f"expected a multiple of {CHUNK}, such as {near}"
            ]
        biggest = max(self.record_bytes(name) for name in self.arrays)
        if self.shard * biggest > LARGEST_SHARD:
            return [
                f"shard: {self.shard} samples of {biggest} bytes make too large a file; "
                f"expected at most {LARGEST_SHARD // biggest}"
            ]
        return []

    @property
    def chunk(self) -> int:
        """Samples in an inner chunk: the largest divisor of `shard` up to 8192."""
        return next(size for size in range(min(CHUNK, self.shard), 0, -1) if self.shard % size == 0)

    @property
    def shards(self) -> int:
        """How many shards there are; the last may be short."""
        return -(-self.n // self.shard)

    def range(self, k: int) -> tuple[int, int]:
        """(start, stop): the samples of shard k."""
        if not 0 <= k < self.shards:
            raise InputError(f"shards: there is no shard {k}; expected 0 to {self.shards - 1}")
        return k * self.shard, min((k + 1) * self.shard, self.n)

    def array_dtype(self, name: str) -> np.dtype[Any]:
        """How array `name` is stored: little-endian."""
        if name == "visibility":
            return np.dtype(np.bool_)
        return np.dtype(self.dtype).newbyteorder("<")

    def array_shape(self, name: str) -> tuple[int, ...]:
        """(n, ...) of array `name`."""
        return (self.n, *field_shape(self.skeleton, name))

    def record_bytes(self, name: str) -> int:
        """Bytes that one sample takes in array `name`."""
        return prod(field_shape(self.skeleton, name)) * self.array_dtype(name).itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all samples; files add less than 0.1 % and, at the end, up to one chunk an array."""
        return self.n * sum(self.record_bytes(name) for name in self.arrays)

    def blocks(self, start: int, stop: int, threads: int = 1) -> Iterator[tuple[int, int, Arrays]]:
        """Samples start..stop-1 as they are stored, by runs of whole chunks from `start`: (first, after last, arrays).

        The arrays are those of the block before, filled again, so that memory is small and stays in the processor's
        cache.  InputError where float16 cannot hold a number.
        """
        step = max(1, threads * _BLOCK // self.chunk) * self.chunk
        rows = min(step, stop - start)
        buffers = {name: np.empty((rows, *field_shape(self.skeleton, name)), field_dtype(name)) for name in self.arrays}
        for first in range(start, stop, step):
            last = min(first + step, stop)
            arrays = {name: buffer[: last - first] for name, buffer in buffers.items()}
            self.sample_into(first, arrays, threads)
            if self.dtype != "float32":
                arrays = {name: self._narrow(name, array) for name, array in arrays.items()}
            yield first, last, arrays

    def sample_into(self, start: int, arrays: Arrays, threads: int = 1) -> None:
        """Fill float32 arrays with the set's samples from index `start`; see `posesynth.sampler.sample_into`."""
        if self.ancestry is None:
            sample_into(self.skeleton, self.seed, start, arrays, threads)
        else:
            genes = genes_of(self.skeleton, self.seed, self.ancestry, self.n)
            evolved_into(self.skeleton, self.seed, genes, start, arrays, threads)

    def _narrow(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        try:
            with np.errstate(over="raise"):
                return values.astype(self.array_dtype(name), copy=False)
        except FloatingPointError:
            raise InputError(f"dtype: {name} goes beyond the 65504 that float16 holds; expected float32") from None

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bytes of the set, as JSON."""
        return {
            "posesynth": FORMAT,
            "stream_version": self.stream_version,
            "skeleton": self.skeleton.text,
            "sampling": plain_json(self.skeleton.sampling.values()),
            "skeleton_digest": self.skeleton.digest,
            "joints": list(self.skeleton.joints),
            "parents": [int(parent) for parent in self.skeleton.parents],
            "seed": self.seed,
            "n": self.n,
            "shard": self.shard,
            "chunk": self.chunk,
            "arrays": list(self.arrays),
            "dtype": self.dtype,
            **({} if self.ancestry is None else {"evolution": self.ancestry.json}),
        }


def plan_of(identity: Mapping[str, Any], source: str) -> Plan:
    """The plan whose identity this is.  InputError, naming the field, where it is not one this version can read."""
    found = identity.get("posesynth")
    if found != FORMAT or isinstance(found, bool):
        raise InputError(f"{source}: posesynth: is {shown(found)}; this version of posesynth reads {FORMAT}")
    needed = ("stream_version", "skeleton", "sampling", "seed", "n", "shard", "arrays", "dtype")
    missing = [key for key in needed if key not in identity]
    if missing:
        raise InputError(f"{source}: {missing[0]}: is missing; expected the attributes of a posesynth data set")
    skeleton = skeleton_of(identity["skeleton"], identity["sampling"], source)
    arrays = identity["arrays"]
    if not isinstance(arrays, list) or not all(isinstance(name, str) for name in arrays):
        raise InputError(f"{source}: arrays: is {shown(arrays)}; expected a list of names")
    evolution = identity.get("evolution")
    ancestry = None if evolution is None else ancestry_of(evolution, skeleton, source)
    try:
        stream = whole_number("stream_version", identity["stream_version"], 1)
        plan = Plan(
            skeleton,
            identity["seed"],
            identity["n"],
            identity["shard"],
            tuple(arrays),
            identity["dtype"],
            stream,
            ancestry,
        )
    except InputError as error:
        raise InputError(*(f"{source}: {line}" for line in error.lines)) from None
    different = difference(plan.identity, identity)
    if different:
        raise InputError(
            f"{source}: {different}: is {shown(identity.get(different))}, "
            f"which the other attributes contradict; expected {shown(plan.identity[different])}"
        )
    return plan


def check_stream(plan: Plan, source: str) -> None:
    """InputError unless this version of posesynth makes the samples of that stream version."""
    if plan.stream_version != STREAM_VERSION:
        raise InputError(
            f"{source}: stream_version: is {plan.stream_version}; "
            f"this version of posesynth reads the samples, but makes those of {STREAM_VERSION}"
        )


def difference(plan: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The first field in which two identities differ, or an empty text."""
    for key in dict.fromkeys((*plan, "evolution")):
        value, other = plan.get(key), found.get(key)
        if other != value or type(other) is not type(value):
            return key
    return ""


def package_version() -> str:
    """The version of posesynth, for the attributes; it decides no byte of the samples."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("posesynth")
    except PackageNotFoundError:  # a checkout that is not installed
        return "unknown"


def crc32c(data: bytes | NDArray[Any]) -> int:
    """CRC-32C (Castagnoli), the checksum of a chunk."""
    import google_crc32c

    return int(google_crc32c.value(data))


def plain_json(value: Any) -> Any:
    """The value with tuples as lists, as JSON gives it back."""
    if isinstance(value, dict):
        return {key: plain_json(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _arrays(names: tuple[str, ...]) -> list[str]:
    faults: list[str] = []
    for name in names:
        try:
            check_field(name)
        except InputError as error:
            faults.extend(error.lines)
    if not faults and (not {"p2d", "o"} <= set(names) or len(set(names)) != len(names)):
        faults.append(f"arrays: are {', '.join(names)}; expected p2d and o, with any of {', '.join(FIELDS[2:])}")
    return faults
