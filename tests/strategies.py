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

    Chains, stars and random trees; both frames; both kinds of angles; mirrors and pairs by hand; entries in any
    order.  With `sampling`, also views, perspective, noise and missing joints; without, the paper's sampling but
    for ``symmetric_lengths``.
    """
    count = draw(st.integers(1, max_joints - 1))
    shape = draw(st.sampled_from(["tree", "tree", "chain", "star"]))
    shared_lengths = draw(st.booleans())
    names = ["root"]
    entries: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []
    lengths = draw(st.sampled_from([USUAL[:1], USUAL, LENGTHS]))
    while len(entries) < count:
        name = f"j{len(entries)}"
        place = {"chain": len(names) - 1, "star": 0}.get(shape)
        parent = names[draw(st.integers(0, len(names) - 1)) if place is None else place]
        # The first edge can be long, so that not every length is 0.
        length = draw(st.sampled_from(lengths)) if entries else USUAL[0]
        entries[name] = _entry(draw, parent, length)
        names.append(name)
        if len(entries) == count or (twin := draw(st.sampled_from(["", "", "mirror", "pair"]))) == "":
            continue
        other_name = f"{name}.{twin}"
        if twin == "mirror":
            entries[other_name] = f"{{mirror: {name}}}"
        else:
            other = length if shared_lengths else draw(st.sampled_from(lengths))
            entries[other_name] = _entry(draw, parent, other)
            pairs.append((name, other_name))
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


def _entry(draw: st.DrawFn, parent: str, length: Range) -> str:
    fields = {"parent": parent}
    if frame := draw(st.sampled_from(["", "", "world", "parent"])):
        fields["frame"] = frame
    if draw(st.booleans()):
        fields |= {"theta": _text(draw(_thetas())), "phi": _text(draw(_turns()))}
    else:
        fields |= {"flexion": _text(draw(_turns())), "abduction": _text(draw(_turns()))}
    if length != (0.0, 1.0) or draw(st.booleans()):
        fields["length"] = _text(length)
    return "{" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}"


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
