"""A skeleton: a tree of joints, and for each bone the ranges its pose is drawn from.

Edge ``e`` is the bone from ``parents[e + 1]`` to joint ``e + 1``.  A bone's two
angles are given in the *upright* animal's axes (``frame = "world"``) or in the
frame carried down the tree by its parent bone (``frame = "parent"``) or by one
further up, named by its joint; see docs/conventions.md.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posesynth.errors import InputError, did_you_mean

Range = tuple[float, float]


@dataclass(frozen=True)
class Given:
    """A range that depends on another angle: linear between the angles of `at`, constant beyond the first and the last.

    ``bone``: whose angle, "parent" for the parent bone, or "own" for the first angle of the same bone.  ``angle``: its
    name, "theta", "phi", "flexion" or "abduction".  ``at``: degrees, ascending; ``ranges``: the range at each.
    """

    bone: str
    angle: str
    at: tuple[float, ...]
    ranges: tuple[Range, ...]

    @property
    def which(self) -> int:
        """0 for a bone's first angle, 1 for its second."""
        return int(self.angle in ("phi", "abduction"))

    @property
    def hull(self) -> Range:
        """The range that holds all of them."""
        return min(low for low, _ in self.ranges), max(high for _, high in self.ranges)


@dataclass(frozen=True)
class EdgeRange:
    """What one bone may do.  Angles in degrees, length in any unit (poses are normalised).

    ``angles = "spherical"``: ``first`` is theta (from the frame's z axis, 0..180) and
    ``second`` is phi (from x towards y).
    ``angles = "flexion"``: ``first`` is flexion (about the frame's lateral x axis) and
    ``second`` is abduction (about the y axis that flexion has turned).
    ``first_given``, ``second_given``: the range as it depends on another angle, or None; ``first`` and ``second`` are
    then the hull of it.  ``first_usual``, ``second_usual``: the part of the range where the angle mostly is, or None.
    ``frame``: "world", "parent", or the joint at the end of the bone that carries it.
    """

    frame: str
    angles: str
    first: Range
    second: Range
    length: Range
    first_given: Given | None = None
    second_given: Given | None = None
    first_usual: Range | None = None
    second_usual: Range | None = None

    @property
    def usual(self) -> tuple[Range | None, Range | None]:
        """Where each of the two angles mostly is."""
        return self.first_usual, self.second_usual

    @property
    def given(self) -> tuple[Given | None, Given | None]:
        """What each of the two angles depends on."""
        return self.first_given, self.second_given

    @property
    def angle_names(self) -> tuple[str, str]:
        """What `first` and `second` are called in a file."""
        return ("theta", "phi") if self.angles == "spherical" else ("flexion", "abduction")


@dataclass(frozen=True)
class Sampling:
    """How poses become samples.  The default is the paper's: any view, orthographic, noise-free.

    ``yaw``, ``pitch``, ``roll``: degrees, the view R = Ry(roll) Rx(pitch) Rz(yaw); uniform in the
    Haar measure of the box they span, so the default box gives Haar-uniform rotations.
    ``distance``: range of the camera's distance from the root in units of the longest edge
    (perspective), or None (orthographic).  ``noise``: standard deviation added to P2D, same unit.
    ``missing``: probability that a joint is not seen.
    ``angles``: "independent", each angle uniform in its range, or "tree", each bone's angles as the skeleton's
    examples have them beside its parent's.
    ``usual``: probability that all angles of a pose lie where they usually are, for bones that name such ranges, and
    that its view does, too, as far as ``usual_yaw``, ``usual_pitch`` and ``usual_roll`` name one (None: any).
    """

    symmetric_lengths: bool = True
    yaw: Range = (-180.0, 180.0)
    pitch: Range = (-90.0, 90.0)
    roll: Range = (-180.0, 180.0)
    distance: Range | None = None
    noise: float = 0.0
    missing: float = 0.0
    angles: str = "independent"
    usual: float = 0.0
    usual_yaw: Range | None = None
    usual_pitch: Range | None = None
    usual_roll: Range | None = None

    def values(self) -> dict[str, Any]:
        """Field -> value, as sets and models keep it; and those that came later where they matter."""
        return {key: value for key, value in asdict(self).items() if key not in LATER or value != LATER[key]}


LATER = {field.name: field.default for field in fields(Sampling) if field.name.startswith(("angles", "usual"))}
"""Fields of `Sampling` that came later, and what a set or a model means that has none."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Poses that show which angles go together.

    ``edges``: those whose angles are known.  ``angles``: (poses, len(edges), 2) degrees, in the frames of the ranges.
    """

    edges: tuple[int, ...]
    angles: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A validated skeleton of N joints and E = N - 1 edges.

    ``joints``: N names, root first, parents before children.
    ``parents``: (N,) int, index of each joint's parent, -1 at the root.
    ``ranges``: E entries, edge e ends at joint e + 1.
    ``symmetric``: pairs of edge indices that are each other's mirror image.
    ``text``: the YAML it was read from, whole, comments included; ``description``: one line for people, or "".
    ``examples``: poses that `sampling.angles` "tree" learns from, or None.
    """

    name: str
    joints: tuple[str, ...]
    parents: NDArray[np.int32]
    ranges: tuple[EdgeRange, ...]
    symmetric: tuple[tuple[int, int], ...]
    sampling: Sampling = field(default_factory=Sampling)
    text: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    examples: Examples | None = field(default=None, repr=False)

    @property
    def edges(self) -> int:
        """E, the number of edges."""
        return len(self.ranges)

    @cached_property
    def reach(self) -> float:
        """How far from the root a joint of any pose can be, in units of the longest edge."""
        surely = max((r.length[0] for r in self.ranges), default=0.0)
        far = [0.0]
        for parent, r in zip(self.parents[1:].tolist(), self.ranges, strict=True):
            longest = r.length[1]
            far.append(far[parent] + (longest / max(longest, surely) if longest > 0 else 0.0))
        return max(far)

    def carrier(self, edge: int) -> int:
        """The edge whose frame the angles of `edge` are given in, -1 for the upright animal's axes."""
        frame = self.ranges[edge].frame
        if frame == "world":
            return -1
        return (int(self.parents[edge + 1]) if frame == "parent" else self.joints.index(frame)) - 1

    def with_sampling(self, **changes: Any) -> "Skeleton":
        """The same skeleton, sampled otherwise: ``skeleton.with_sampling(noise=0.02, distance=(6, 30))``.

        `changes` are fields of `Sampling`, held to the limits of a file.  Raises InputError with a line
        ``field: what is wrong; what was expected`` for each fault.
        """
        from posesynth.schema import with_sampling

        return with_sampling(self, **changes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that decides the samples: two texts with one meaning share it."""
        # What says nothing new is left out: a skeleton keeps its digest when the format grows.
        usual = self.sampling.usual > 0
        meaning: dict[str, Any] = {
            "joints": self.joints,
            "parents": self.parents.tolist(),
            "ranges": [
                {key: value for key, value in asdict(r).items() if value is not None and (usual or "usual" not in key)}
                for r in self.ranges
            ],
            "symmetric": self.symmetric,
            "sampling": {k: v for k, v in self.sampling.values().items() if usual or "usual" not in k},
        }
        if self.sampling.angles == "tree" and self.examples is not None:
            meaning["examples"] = [self.examples.edges, self.examples.angles.tolist()]
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def load_skeleton(name_or_path: str | os.PathLike[str]) -> Skeleton:
    """The skeleton of a built-in name (``"quadruped"``) or of a YAML file.

    A built-in's name is always the built-in; a file of that name is written ``./dog``.  ``dog.yaml`` is a file, and
    where there is none, the built-in too.

    Raises `InputError`: no such skeleton, a file that cannot be read, or all that is wrong in it.
    """
    from posesynth.errors import error_line
    from posesynth.schema import parse_skeleton  # schema makes the classes of this module
    from posesynth.yaml_source import MAX_BYTES, decode

    given = os.fspath(name_or_path)
    path = Path(given)
    source = given
    if builtin := builtin_name(name_or_path):
        path = _builtin_folder() / f"{builtin}.yaml"
        source = path.name
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        message = f" file: cannot be read ({reason}); expected a skeleton's YAML file"
        raise InputError(error_line(source, message)) from None
    return parse_skeleton(decode(data, source), source)


def builtin_skeletons() -> tuple[str, ...]:
    """The names of the skeletons that come with posesynth, sorted."""
    return tuple(sorted(path.stem for path in _builtin_folder().glob("*.yaml")))


def _builtin_folder() -> Path:
    # Inside an installed package, beside it in a checkout.
    package = Path(__file__).parent
    shipped = package / "skeletons"
    return shipped if shipped.is_dir() else package.parent / "skeletons"


def builtin_name(given: str | os.PathLike[str]) -> str | None:
    """The built-in that `load_skeleton` takes this for, None for a file.  InputError for a name that is neither."""
    if not isinstance(given, str) or set(given) & {"/", "\\", os.sep}:
        return None
    name = given.removesuffix(".yaml")
    if name in builtin_skeletons() and (name == given or not _is_file(Path(given))):
        return name
    if given.endswith((".yaml", ".yml")) or _is_file(Path(given)):
        return None
    raise InputError(_unknown_builtin(given))


def _is_file(path: Path) -> bool:
    return _is(Path.is_file, path)


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):
        return False


def _unknown_builtin(given: str) -> str:
    names = builtin_skeletons()
    shown = repr(given if len(given) <= 64 else given[:61] + "...")
    known = f"expected {', '.join(names)} or the path of a YAML file" if names else "expected the path of a YAML file"
    if given and _is(Path.is_dir, Path(given)):
        return f"skeleton: {shown} is a folder; {known}"
    beside = next((given + end for end in (".yaml", ".yml") if given and _is_file(Path(given + end))), None)
    hint = f"; did you mean {beside!r}?" if beside else did_you_mean(given[:64], names)
    return f"skeleton: no built-in is called {shown}; {known}{hint}"
