"""A plan: which samples a stored data set holds and how they are cut.  It decides every byte of the set.

The identity of a plan is the JSON that a set carries in its attributes and its manifest; the plan is rebuilt from that
alone.
"""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError
from posesynth.sampler import FIELDS, STREAM_VERSION, check_field, field_dtype, field_shape, sample_into
from posesynth.skeleton import Sampling, Skeleton

FORMAT = 1
"""Version of the layout on disk, `posesynth` in the attributes."""

CHUNK = 8192  # samples that a reader decodes at once; a shard is a whole number of chunks
SMALLEST_CHUNK = 512
LARGEST_SHARD = 2**31  # bytes of one array of one shard: a shard is made in memory
DTYPES = ("float32", "float16")
LARGEST_N = 2**48

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Plan:
    """Samples 0..n-1 of (skeleton, seed), `shard` samples to a file.

    arrays: which of posesynth.sampler.FIELDS, p2d and o among them.  dtype: float32, or float16 (rounded to nearest
    even; visibility stays bool).  Raises InputError, one line for each field that cannot be.
    """

    skeleton: Skeleton
    seed: int
    n: int
    shard: int = 2**20
    arrays: tuple[str, ...] = ("p2d", "o")
    dtype: str = "float32"

    def __post_init__(self) -> None:
        faults = [
            *_whole("seed", self.seed, 0, 2**64 - 1),
            *_whole("n", self.n, 1, LARGEST_N),
            *_whole("shard", self.shard, 1, 2**32),
            *_arrays(self.arrays),
        ]
        if self.dtype not in DTYPES:
            faults.append(f"dtype: is {self.dtype!r}; expected {' or '.join(DTYPES)}")
        if not faults:
            object.__setattr__(self, "arrays", tuple(name for name in FIELDS if name in self.arrays))
            faults = self._shard_faults()
        if faults:
            raise InputError(*faults)
        rebuilt = skeleton_of(self.skeleton.text, asdict(self.skeleton.sampling), "skeleton")
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
                f"shard: {self.shard} samples of {biggest} bytes are made in memory; "
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

    def make(self, k: int, threads: int = 1) -> Arrays:
        """The samples of shard k as they are stored.  InputError where float16 cannot hold one."""
        start, stop = self.range(k)
        return self.samples(start, stop, threads)

    def samples(self, start: int, stop: int, threads: int = 1) -> Arrays:
        """Samples start..stop-1 as they are stored."""
        arrays = {
            name: np.empty((stop - start, *field_shape(self.skeleton, name)), field_dtype(name)) for name in self.arrays
        }
        sample_into(self.skeleton, self.seed, start, arrays, threads)
        if self.dtype != "float32":
            for name in arrays:
                arrays[name] = self._narrow(name, arrays[name])
        return arrays

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
            "stream_version": STREAM_VERSION,
            "skeleton": self.skeleton.text,
            "sampling": _plain(asdict(self.skeleton.sampling)),
            "skeleton_digest": self.skeleton.digest,
            "joints": list(self.skeleton.joints),
            "parents": [int(parent) for parent in self.skeleton.parents],
            "seed": self.seed,
            "n": self.n,
            "shard": self.shard,
            "chunk": self.chunk,
            "arrays": list(self.arrays),
            "dtype": self.dtype,
        }


def plan_of(identity: Mapping[str, Any], source: str) -> Plan:
    """The plan whose identity this is.  InputError, naming the field, where it is not one this version can read."""
    check_version(identity, source)
    missing = [key for key in ("skeleton", "sampling", "seed", "n", "shard", "arrays", "dtype") if key not in identity]
    if missing:
        raise InputError(f"{source}: {missing[0]}: is missing; expected the attributes of a posesynth data set")
    skeleton = skeleton_of(identity["skeleton"], identity["sampling"], source)
    arrays = identity["arrays"]
    if not isinstance(arrays, list) or not all(isinstance(name, str) for name in arrays):
        raise InputError(f"{source}: arrays: is {shown(arrays)}; expected a list of names")
    try:
        plan = Plan(skeleton, identity["seed"], identity["n"], identity["shard"], tuple(arrays), identity["dtype"])
    except InputError as error:
        raise InputError(*(f"{source}: {line}" for line in error.lines)) from None
    different = difference(plan.identity, identity)
    if different:
        raise InputError(
            f"{source}: {different}: is {shown(identity.get(different))}, "
            f"which the other attributes contradict; expected {shown(plan.identity[different])}"
        )
    return plan


def check_version(identity: Mapping[str, Any], source: str) -> None:
    """InputError unless this version of posesynth knows the format and the stream."""
    for key, known in (("posesynth", FORMAT), ("stream_version", STREAM_VERSION)):
        found = identity.get(key)
        if found != known or isinstance(found, bool):
            raise InputError(f"{source}: {key}: is {shown(found)}; this version of posesynth reads {known}")


def difference(plan: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The first field in which two identities differ, or an empty text."""
    for key, value in plan.items():
        other = found.get(key)
        if other != value or type(other) is not type(value):
            return key
    return ""


def skeleton_of(text: object, sampling: object, source: str) -> Skeleton:
    """The skeleton of a YAML text, sampled as `sampling` (the fields of Sampling) says, whatever the text does."""
    from posesynth.schema import parse_skeleton

    if not isinstance(text, str) or not text:
        raise InputError(f"{source}: skeleton: has no YAML text; expected one read by load_skeleton")
    names = [f.name for f in fields(Sampling)]
    if not isinstance(sampling, Mapping) or sorted(sampling) != sorted(names):
        raise InputError(f"{source}: sampling: is {shown(sampling)}; expected {', '.join(names)}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sampling.items()}
    for key, value in values.items():
        if not _fits(key, value):
            raise InputError(f"{source}: sampling.{key}: is {shown(value)}; expected what the skeleton format allows")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever loaded the skeleton first was warned
        return replace(parse_skeleton(text, source), sampling=Sampling(**values))


def _fits(key: str, value: object) -> bool:
    if key == "symmetric_lengths":
        return isinstance(value, bool)
    if key in ("noise", "missing"):
        return _is_number(value)
    if key == "distance" and value is None:
        return True
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


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


def shown(value: object) -> str:
    """A value as an error line shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _whole(name: str, value: object, low: int, high: int) -> list[str]:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return []
    return [f"{name}: is {shown(value)}; expected a whole number from {low} to {high}"]


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
