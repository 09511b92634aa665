"""Hypothesis strategies: random skeleton files, plain and degenerate, as text and as `Skeleton`."""

import warnings

from hypothesis import strategies as st

from posesynth.schema import parse_skeleton
from posesynth.skeleton import Skeleton

Range = tuple[float, float]

# Poles, single points, full turns, ranges across +-180, and slivers.
THETAS: list[Range] = [(0, 180), (20, 100), (0, 0), (180, 180), (90, 90), (0, 1e-5), (179.999, 180), (89.5, 90.5)]
TURNS: list[Range] = [(-180, 180), (150, 210), (-30, 30), (0, 0), (180, 180), (-180, -180), (90, 90), (0, 360),
                      (-720, -360), (720, 720), (-1e-5, 1e-5), (359.9, 360.1)]  # fmt: skip
USUAL: list[Range] = [(0, 1), (0.5, 1), (1, 1), (0.999999, 1)]
LENGTHS: list[Range] = [*USUAL, (0, 0), (1e-6, 1e-6), (0, 1e-6), (2, 50), (1e6, 1e6)]


def _numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False).map(lambda x: round(x, 6) + 0.0)


def _thetas() -> st.SearchStrategy[Range]:
    return st.sampled_from(THETAS) | st.tuples(_numbers(0, 180), _numbers(0, 180)).map(lambda r: (min(r), max(r)))


def _turns() -> st.SearchStrategy[Range]:
    anywhere = st.tuples(_numbers(-360, 360), _numbers(0, 359)).map(lambda r: (r[0], round(r[0] + r[1], 6)))
    return st.sampled_from(TURNS) | anywhere


def _text(range_: Range) -> str:
    return f"[{range_[0]!r}, {range_[1]!r}]"


@st.composite
def skeleton_texts(draw: st.DrawFn, max_joints: int = 24, sampling: bool = False) -> str:
    """YAML of a valid skeleton with 2 to `max_joints` joints.

    Chains, stars and random trees; both frames and those of bones further up; both kinds of angles, in ranges and
    in tables over another angle; mirrors and pairs by hand; entries in any order.  With `sampling`, also views,
    perspective, noise and missing joints; without, the paper's sampling but for ``symmetric_lengths``.
    """
    count = draw(st.integers(1, max_joints - 1))
    shape = draw(st.sampled_from(["tree", "tree", "chain", "star"]))
    shared_lengths = draw(st.booleans())
    names = ["root"]
    entries: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []
    lengths = draw(st.sampled_from([USUAL[:1], USUAL, LENGTHS]))
    above: dict[str, list[str]] = {"root": []}  # joint -> those between it and the root, itself first
    kinds: dict[str, tuple[str, str]] = {}
    while len(entries) < count:
        name = f"j{len(entries)}"
        place = {"chain": len(names) - 1, "star": 0}.get(shape)
        parent = names[draw(st.integers(0, len(names) - 1)) if place is None else place]
        # The first edge can be long, so that not every length is 0.
        length = draw(st.sampled_from(lengths)) if entries else USUAL[0]
        kinds[name] = draw(st.sampled_from([("theta", "phi"), ("flexion", "abduction")]))
        above[name] = [name, *above[parent]]
        entries[name] = _entry(draw, parent, length, kinds[name], kinds.get(parent), above[parent])
        names.append(name)
        if len(entries) == count or (twin := draw(st.sampled_from(["", "", "mirror", "pair"]))) == "":
            continue
        other_name = f"{name}.{twin}"
        if twin == "mirror":
            entries[other_name] = f"{{mirror: {name}}}"
        else:
            other = length if shared_lengths else draw(st.sampled_from(lengths))
            entries[other_name] = _entry(draw, parent, other, kinds[name], kinds.get(parent), above[parent])
            pairs.append((name, other_name))
        kinds[other_name] = kinds[name]
        above[other_name] = [other_name, *(above[parent] if twin == "pair" else [])]
        names.append(other_name)
    lines = ["posesynth: 1", "name: drawn", "root: root"]
    if frame := draw(st.sampled_from(["", "world", "parent"])):
        lines.append(f"frame: {frame}")
    lines.append("joints:")
    lines += [f"  {name}: {entries[name]}" for name in draw(st.permutations(list(entries)))]
    if pairs:
        lines.append("symmetric:")
        lines += [f"- [{a}, {b}]" for a, b in pairs]
    options = {} if shared_lengths else {"symmetric_lengths": "false"}
    if sampling:
        options |= _sampling(draw, len(entries))
    if options:
        lines.append("sampling:")
        lines += [f"  {key}: {value}" for key, value in options.items()]
    return "\n".join(lines) + "\n"


def _entry(
    draw: st.DrawFn, parent: str, length: Range, kind: tuple[str, str], theirs: tuple[str, str] | None, above: list[str]
) -> str:
    """`kind`, `theirs`: names of the angles of the bone and of its parent, None where that is the root."""
    fields = {"parent": parent}
    if frame := draw(st.sampled_from(["", "", "world", "parent", *above[1:]])):
        fields["frame"] = frame
    for name in kind:
        fields[name] = _text(draw(_thetas() if name == "theta" else _turns()))
        givens = [f"parent.{angle}" for angle in theirs or ()] + [kind[0]] * (name == kind[1])
        if theirs and draw(st.integers(0, 3)) == 0:
            fields[name] = _table(draw, name, draw(st.sampled_from(givens)))
    if length != (0.0, 1.0) or draw(st.booleans()):
        fields["length"] = _text(length)
    return "{" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}"


def _table(draw: st.DrawFn, name: str, given: str) -> str:
    """Ranges of an angle at two to four angles of another, no more than 180 apart."""
    highest = 180 if "theta" in given else 300
    at = sorted(draw(st.sets(st.integers(-60 if highest == 300 else 0, highest), min_size=2, max_size=4)))
    bounds = [sorted(draw(st.tuples(*[st.integers(0, 180)] * 2))) for _ in at]
    rows = ", ".join(f"{angle}: [{low}, {high}]" for angle, (low, high) in zip(at, bounds, strict=True))
    return f"{{given: {given}, at: {{{rows}}}}}"


def _sampling(draw: st.DrawFn, edges: int) -> dict[str, str]:
    pitch = draw(st.tuples(_numbers(-90, 90), _numbers(-90, 90)))
    view = f"yaw: {_text(draw(_turns()))}, pitch: {_text((min(pitch), max(pitch)))}, roll: {_text(draw(_turns()))}"
    given = {
        "view": f"{{{view}}}",
        "distance": _text((edges + 1, edges + 1 + draw(_numbers(0, 50)))),
        "noise": repr(draw(_numbers(0, 1))),
        "missing": repr(draw(_numbers(0, 1))),
    }
    return {key: value for key, value in given.items() if draw(st.booleans())}


@st.composite
def skeletons(draw: st.DrawFn, max_joints: int = 24, sampling: bool = False) -> Skeleton:
    """What `skeleton_texts` draws, read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # slivers of a degree look like radians
        return parse_skeleton(draw(skeleton_texts(max_joints, sampling)), "drawn.yaml")
