"""The skeleton format: what is read, what is refused and in which words, what a rewrite keeps."""

import copy
import json
import os
import random
import time
import warnings
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from bad_skeletons import CASES, GOOD
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from strategies import skeleton_texts, skeletons

from posesynth import skeleton as skeleton_module
from posesynth.editor_schema import editor_schema, editor_schema_text
from posesynth.errors import LINE_LIMIT, InputError
from posesynth.joint_tree import mirrored
from posesynth.schema import parse_skeleton, with_sampling
from posesynth.schema_edits import with_ranges
from posesynth.skeleton import EdgeRange, Sampling, Skeleton, builtin_skeletons, load_skeleton
from posesynth.yaml_source import decode

SHIPPED = Path(__file__).resolve().parents[1] / "skeletons"
HEADER = "posesynth: 1\nname: a\nroot: r\n"
ANGLES = "theta: [0, 90], phi: [0, 90]"


def faults(text: str | bytes) -> tuple[str, ...]:
    """The lines with which `text` is refused."""
    with pytest.raises(InputError) as caught:
        parse_skeleton(decode(text, "bad.yaml") if isinstance(text, bytes) else text, "bad.yaml")
    return caught.value.lines


def joints(*entries: str, header: str = HEADER) -> Skeleton:
    return parse_skeleton(header + "joints:\n" + "".join(f"  {entry}\n" for entry in entries))


def edge(skeleton: Skeleton, joint: str) -> EdgeRange:
    return skeleton.ranges[skeleton.joints.index(joint) - 1]


def parent(skeleton: Skeleton, joint: str) -> str:
    return skeleton.joints[skeleton.parents[skeleton.joints.index(joint)]]


# What is read.


def test_every_field_is_read() -> None:
    cat = parse_skeleton(GOOD)
    assert (cat.name, cat.description, cat.text) == ("cat", "", GOOD)
    assert cat.joints == ("neck", "head", "left_hip", "right_hip", "ear", "eye")
    assert cat.parents.tolist() == [-1, 0, 0, 0, 1, 1]
    assert cat.parents.dtype == np.int32
    assert edge(cat, "head") == EdgeRange("world", "spherical", (20, 100), (-150, -30), (0, 1))
    assert edge(cat, "left_hip") == EdgeRange("world", "flexion", (150, 210), (0, 20), (0.5, 1))
    assert edge(cat, "right_hip") == EdgeRange("world", "flexion", (150, 210), (-20, 0), (0.5, 1))
    assert edge(cat, "eye") == EdgeRange("parent", "spherical", (0, 90), (0, 10), (0, 2))
    assert cat.symmetric == ((1, 2), (3, 4))
    assert cat.sampling == Sampling(True, (-180, 180), (-90, 90), (-10, 10), (6, 30), 0.02, 0.1)


def test_what_is_not_given_is_the_papers() -> None:
    dot = joints(f"a: {{parent: r, {ANGLES}}}")
    assert dot.sampling == Sampling()
    assert edge(dot, "a") == EdgeRange("world", "spherical", (0, 90), (0, 90), (0, 1))
    assert dot.symmetric == ()


def test_a_skeleton_cannot_be_changed() -> None:
    cat = parse_skeleton(GOOD)
    with pytest.raises(AttributeError):
        cat.name = "dog"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        cat.parents[0] = 1


def test_parents_are_hoisted_before_children_and_else_the_order_is_the_files() -> None:
    leaf_first = joints(
        f"c: {{parent: b, {ANGLES}}}", f"x: {{parent: r, {ANGLES}}}", f"b: {{parent: a, {ANGLES}}}",
        f"a: {{parent: r, {ANGLES}}}", f"y: {{parent: b, {ANGLES}}}",
    )  # fmt: skip
    assert leaf_first.joints == ("r", "a", "b", "c", "x", "y")
    assert leaf_first.parents.tolist() == [-1, 0, 1, 2, 0, 2]


def test_the_frame_of_the_file_holds_where_a_joint_names_none() -> None:
    both = joints(
        f"a: {{parent: r, {ANGLES}}}",
        f"b: {{parent: r, frame: world, {ANGLES}}}",
        "c: {mirror: a}",
        header=HEADER + "frame: parent\n",
    )
    assert [r.frame for r in both.ranges] == ["parent", "world", "parent"]


def test_a_mirror_hangs_on_the_mirror_of_its_sources_parent() -> None:
    legs = joints(
        "right_foot: {mirror: left_foot}",
        f"left_foot: {{parent: left_knee, {ANGLES}}}",
        f"left_knee: {{parent: r, {ANGLES}}}",
        "right_knee: {mirror: left_knee}",
    )
    assert parent(legs, "right_foot") == "right_knee"
    assert parent(legs, "right_knee") == "r"
    by_hand = joints(
        f"left_knee: {{parent: r, {ANGLES}}}",
        f"right_knee: {{parent: r, {ANGLES}}}",
        f"left_foot: {{parent: left_knee, {ANGLES}}}",
        "right_foot: {mirror: left_foot}",
        header=HEADER + "symmetric: [[left_knee, right_knee]]\n",
    )
    assert parent(by_hand, "right_foot") == "right_knee"
    against = joints(
        f"left_knee: {{parent: r, {ANGLES}}}",
        "right_knee: {mirror: left_knee}",
        f"right_foot: {{parent: right_knee, {ANGLES}}}",
        "left_foot: {mirror: right_foot}",
    )
    assert parent(against, "left_foot") == "left_knee"
    assert against.symmetric == ((0, 1), (2, 3))


def test_a_mirror_may_hang_on_its_sources_parent_on_the_midline_alone() -> None:
    def pair(parent: str, fields: str) -> Skeleton:
        return joints(
            f"{parent}: {{parent: r, {fields}}}", f"tip: {{parent: {parent}, {ANGLES}}}", "other: {mirror: tip}"
        )

    for fields in (
        "theta: [20, 90], phi: [60, 100]",
        "theta: [0, 90], phi: [0, 0]",
        "flexion: [0, 9], abduction: [170, 181]",
    ):
        for name in ("pelvis", "bright", "lower_r1", "cleft"):
            assert parent(pair(name, fields), "other") == name
    for name in ("left", "knee_r", "L-knee", "RightUpLeg", "left0", "kneeLeft", "knee.right.1"):
        with pytest.raises(InputError, match=f"'{name}', where 'tip' hangs, has no mirror image"):
            pair(name, "theta: [20, 90], phi: [60, 100]")
    for fields in ("theta: [20, 90], phi: [-80, 80]", "flexion: [0, 9], abduction: [10, 170]"):
        with pytest.warns(UserWarning, match="<string>:7: joints.other.mirror: 'hip', .* is off the midline; 'other'"):
            assert parent(pair("hip", fields), "other") == "hip"
    with pytest.warns(UserWarning, match="'shank', where 'tip' hangs, has no mirror image and 'a' is off the midline"):
        joints(
            f"a: {{parent: r, {ANGLES}}}",
            "b: {mirror: a}",
            f"shank: {{parent: a, {ANGLES}}}",
            f"tip: {{parent: shank, {ANGLES}}}",
            "pit: {mirror: tip}",
        )


def _direction(edge: EdgeRange, first: float, second: float) -> np.ndarray:
    a, b = np.radians([first, second])
    if edge.angles == "spherical":
        return np.array([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)])
    return np.array([np.sin(b), -np.sin(a) * np.cos(b), np.cos(a) * np.cos(b)])


@given(skeletons())
@settings(max_examples=50)
def test_the_corners_of_a_mirrored_range_are_the_mirrored_corners(skeleton: Skeleton) -> None:
    for ours in skeleton.ranges:
        theirs = mirrored(ours, ours.frame)
        assert mirrored(theirs, theirs.frame).second == pytest.approx(ours.second, abs=1e-9)
        for first in ours.first:
            for second, other in zip(ours.second, reversed(theirs.second), strict=True):
                flipped = _direction(ours, first, second) * [-1, 1, 1]
                assert _direction(theirs, first, other) == pytest.approx(flipped, abs=1e-9)


@given(skeletons())
@settings(max_examples=50)
def test_drawn_skeletons_are_trees_in_order(skeleton: Skeleton) -> None:
    assert skeleton.parents[0] == -1
    assert all(0 <= p < child for child, p in enumerate(skeleton.parents) if child)
    assert len(set(skeleton.joints)) == len(skeleton.joints) == len(skeleton.ranges) + 1
    assert len({e for pair in skeleton.symmetric for e in pair}) == 2 * len(skeleton.symmetric)
    for a, b in skeleton.symmetric:
        assert a < b
        if skeleton.sampling.symmetric_lengths:
            assert skeleton.ranges[a].length == skeleton.ranges[b].length


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20", 20),
        ("+20", 20),
        ("20.", 20),
        ("20.5", 20.5),
        (".5", 0.5),
        ("2e1", 20),
        ("2.5E+1", 25),
        ("0", 0),
        ("-0", 0),
    ],
)
def test_numbers_are_read_as_written(text: str, value: float) -> None:
    ours = joints(f"a: {{parent: r, flexion: [{text}, 90], abduction: [0, 0]}}")
    assert ours.ranges[0].first == (value, 90)
    assert str(ours.ranges[0].first[0]) != "-0.0"


@pytest.mark.parametrize("range_", ["[5, 5]", "[150, 210]", "[-720, -360]", "[0, 360]", "[-190, -170]", "[0, 0]"])
def test_points_full_turns_and_ranges_across_180_are_accepted(range_: str) -> None:
    ours = joints(f"a: {{parent: r, theta: [0, 180], phi: {range_}}}")
    assert list(ours.ranges[0].second) == json.loads(range_)


def test_names_in_quotes_may_look_like_anything() -> None:
    ours = joints(f"'12': {{parent: r, {ANGLES}}}", f'"no": {{parent: "12", {ANGLES}}}')
    assert ours.joints == ("r", "12", "no")


@pytest.mark.parametrize("text", ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), "# hello\n---\n" + GOOD + "...\n"])
def test_marks_line_ends_and_comments_change_nothing(text: str) -> None:
    assert parse_skeleton(decode(text.encode(), "x")).digest == parse_skeleton(GOOD).digest


def test_block_style_reads_as_flow_style() -> None:
    block = "\n".join(["a:", "    parent: r", "    theta:", "    - 0", "    - 90", "    phi: [0,", "      90]"])
    assert joints(block).digest == joints(f"a: {{parent: r, {ANGLES}}}").digest


def test_a_mirror_means_what_it_would_written_out() -> None:
    written = GOOD.replace(
        "{mirror: left_hip}", "{parent: neck, flexion: [150, 210], abduction: [-20, 0], length: [0.5, 1]}"
    )
    written = written.replace("  - [ear, eye]", "  - [ear, eye]\n  - [right_hip, left_hip]")
    assert parse_skeleton(written).digest == parse_skeleton(GOOD).digest


def test_the_order_of_pairs_does_not_change_the_digest() -> None:
    swapped = GOOD.replace("[ear, eye]", "[eye, ear]").replace("name: cat", "name: lion")
    assert parse_skeleton(swapped).digest == parse_skeleton(GOOD).digest
    assert parse_skeleton(GOOD.replace("[20, 100]", "[20, 101]")).digest != parse_skeleton(GOOD).digest


def test_reach_bounds_every_drawn_pose() -> None:
    assert parse_skeleton(GOOD).reach == 2
    # The long bone is at least 4 and the short ones at most 1: a quarter of the longest each.
    chain = joints(
        f"a: {{parent: r, {ANGLES}, length: [4, 5]}}", f"b: {{parent: a, {ANGLES}}}", f"c: {{parent: b, {ANGLES}}}"
    )
    assert chain.reach == pytest.approx(1.5)


def test_1024_joints_are_read() -> None:
    chain = joints(*(f"j{i}: {{parent: {f'j{i - 1}' if i else 'r'}, {ANGLES}}}" for i in range(1023)))
    assert (len(chain.joints), chain.reach) == (1024, 1023)


def test_a_normal_file_reads_in_50_ms() -> None:
    text = (SHIPPED / "quadruped.yaml").read_text(encoding="utf-8")
    parse_skeleton(text)
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        parse_skeleton(text)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.05


# What is refused.


@pytest.mark.parametrize("name", CASES)
def test_one_fault_is_one_line_with_its_place(name: str) -> None:
    text, where, field, words = CASES[name]
    begin = time.perf_counter()
    lines = faults(text)
    assert time.perf_counter() - begin < 3
    assert len(lines) == 1
    assert lines[0].startswith(f"bad.yaml:{where}: {field}: ")
    assert [word for word in words if word not in lines[0]] == []
    assert "; " in lines[0], "says what was expected"
    assert len(lines[0]) <= LINE_LIMIT
    assert lines[0].isprintable()


def test_all_faults_of_a_file_are_told_at_once_in_its_order() -> None:
    text = """\
posesynth: 1
nme: cat
root: neck
joints:
  head: {parent: nekc, theta: [100, 20], phi: [0, x]}
  head: {mirror: tail}
  tail: {parent: neck, theta: [0, 90], phi: [0, 10], flexion: [0, 1], colour: red}
  loop: {parent: pool, theta: [0, 90], phi: [0, 10]}
  pool: {parent: loop, theta: [0, 90], phi: [0, 500]}
  right_tail: {mirror: tial}
symmetric: [[tail, tail]]
sampling: {noise: no, view: {yaw: 3}, distance: [0, -1]}
"""
    told = [(int(line.split(":")[1]), line.split(": ")[1]) for line in faults(text)]
    assert told == [
        (1, "name"),
        (2, "nme"),
        (5, "joints.head.parent"),
        (5, "joints.head.theta"),
        (5, "joints.head.phi"),
        (6, "joints.head"),
        (7, "joints.tail"),
        (7, "joints.tail.colour"),
        (8, "joints.loop.parent"),
        (9, "joints.pool.phi"),
        (10, "joints.right_tail.mirror"),
        (11, "symmetric[0]"),
        (12, "sampling.noise"),
        (12, "sampling.view.yaw"),
        (12, "sampling.distance"),
    ]


def test_a_camera_too_near_is_told_beside_other_faults() -> None:
    lines = faults(GOOD.replace("[6, 30]", "[1, 30]").replace("noise: 0.02", "noise: -1"))
    assert ["sampling.distance" in line or "sampling.noise" in line for line in lines] == [True, True]


def test_a_file_full_of_faults_is_refused_quickly_and_wholly() -> None:
    entries = "".join(f"  joint_{i}: {{parent: joint_x{i}, thata: [0, 1]}}\n" for i in range(1000))
    begin = time.perf_counter()
    lines = faults(HEADER + "joints:\n" + entries)
    assert time.perf_counter() - begin < 3
    assert len(lines) == 3000


def test_lines_stay_short_and_printable_whatever_the_path() -> None:
    with pytest.raises(InputError) as caught:
        parse_skeleton("a: 1\n", "\x1b[31m" + "very/" * 100 + "long.yaml")
    assert all(len(line) <= LINE_LIMIT and line.isprintable() for line in caught.value.lines)
    assert "long.yaml:1:1: " in caught.value.lines[0]


def test_radians_are_warned_of_and_small_degrees_are_not() -> None:
    with pytest.warns(UserWarning, match=r"<string>:5: joints: .* radians"):
        joints("a: {parent: r, theta: [0, 1.57], phi: [-3.14, 3.14]}")
    joints("a: {parent: r, theta: [0, 5], phi: [-3, 3]}")
    joints("a: {parent: r, theta: [0.5, 90], phi: [-3.14, 3.14]}")


# Sampling changed after reading.


def test_changed_sampling_is_held_to_the_limits_of_a_file() -> None:
    cat = parse_skeleton(GOOD)
    changed = with_sampling(cat, yaw=(0, 90), distance=(2.1, 5), noise=0, missing=0.5)
    assert changed.sampling == Sampling(True, (0, 90), (-90, 90), (-10, 10), (2.1, 5), 0, 0.5)
    assert with_sampling(cat, distance=None).sampling.distance is None
    assert cat.sampling.noise == 0.02
    assert with_sampling(cat).digest == with_sampling(cat, roll=(-10, 10), missing=0.1).digest == cat.digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"distance": (1, 5)}, "distance: a camera at 1 could have joints behind it; expected at least 2.1"),
        ({"distance": (5, 3)}, "distance: low 5 is above high 3"),
        ({"pitch": (-91, 0)}, "pitch: -91 is out of bounds; expected [low, high] in degrees, -90 to 90"),
        ({"yaw": (150, -150)}, "yaw: low 150 is above high -150; expected low <= high; to cross 180 write [150, 210]"),
        ({"roll": (0, float("nan"))}, "roll: nan is out of bounds"),
        ({"noise": -1.0}, "noise: -1 is out of bounds; expected a number (longest edges) from 0 to 1000"),
        ({"missing": float("nan")}, "missing: nan is out of bounds"),
    ],
)
def test_wrong_sampling_is_one_line_a_fault(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        with_sampling(parse_skeleton(GOOD), **changes)
    [line] = caught.value.lines
    assert line.startswith(words)
    with pytest.raises(InputError) as caught:
        with_sampling(parse_skeleton(GOOD), **{**changes, "missing": 7})
    assert len(caught.value.lines) == (1 if "missing" in changes or "behind" in words else 2)


# Anything at all is read or refused, never a traceback.


def _read_or_refuse(text: str | bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        lines: tuple[str, ...] = ("read",)
        try:
            parse_skeleton(decode(text, "x") if isinstance(text, bytes) else text, "x")
        except InputError as error:
            lines = error.lines
    assert lines
    assert all(len(line) <= LINE_LIMIT and line.isprintable() for line in lines)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_cleanly(data: bytes) -> None:
    _read_or_refuse(data)


@given(st.text(st.sampled_from(list("abr01:-[]{},&*!|>'\"%@`#?\n\t \\.~<=\u0085\u2028\ufeffé")), max_size=60))
@settings(max_examples=500)
def test_random_yaml_characters_are_refused_cleanly(text: str) -> None:
    _read_or_refuse(text)
    _read_or_refuse(HEADER + "joints:\n  a: " + text)


SMALL = HEADER + "joints:\n  a: {parent: r, theta: [0, 90], phi: [0, 10]}\n  b: {mirror: a}\nsampling: {noise: 0.1}\n"


@pytest.mark.parametrize("tries", [300, pytest.param(2000, marks=pytest.mark.long)])
def test_mutated_bytes_are_read_or_refused(tries: int) -> None:
    dice = random.Random(tries)
    for _ in range(tries):
        data = bytearray(SMALL.encode())
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(data))
            match dice.randrange(3):
                case 0:
                    data[at] = dice.randrange(256)
                case 1:
                    del data[at : at + dice.randint(1, 8)]
                case 2:
                    data[at:at] = bytes(data[dice.randrange(len(data)) :][: dice.randint(1, 8)])
            if not data:
                break
        _read_or_refuse(bytes(data))


JUNK = [
    None,
    True,
    0,
    -1,
    1e300,
    0.5,
    "",
    "r",
    "a",
    "no",
    "12",
    [],
    {},
    [1, 2],
    [[]],
    {"a": 1},
    [None, None],
    "x" * 400,
]


@pytest.mark.parametrize("tries", [300, pytest.param(2000, marks=pytest.mark.long)])
def test_mutated_trees_are_read_or_refused(tries: int) -> None:
    dice = random.Random(tries)
    for _ in range(tries):
        tree = YAML(typ="safe", pure=True).load(SMALL if dice.random() < 0.7 else GOOD)
        for _ in range(dice.randint(1, 3)):
            _mutate(tree, dice)
        _read_or_refuse(json.dumps(tree))


def _mutate(tree: object, dice: random.Random) -> None:
    holder = tree
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))  # type: ignore[arg-type,call-overload]
        if not keys:
            return
        key = dice.choice(keys)
        inside = holder[key]  # type: ignore[index]
        if isinstance(inside, dict | list) and inside and dice.random() < 0.7:
            holder = inside
            continue
        match dice.randrange(3):
            case 0:
                holder[key] = copy.deepcopy(dice.choice(JUNK))  # type: ignore[index]
            case 1:
                del holder[key]  # type: ignore[attr-defined]
            case 2 if isinstance(holder, dict):
                holder[dice.choice(["parent", "mirror", "phi", "frame", "a", "b", "r", "é", ""])] = inside
        return


# The built-in skeletons, and files by path.


def test_built_ins_are_found_by_name() -> None:
    assert "quadruped" in builtin_skeletons()
    for name in builtin_skeletons():
        assert load_skeleton(name).name == name
        assert load_skeleton(SHIPPED / f"{name}.yaml").digest == load_skeleton(name).digest


def test_built_ins_inside_a_package_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "posesynth" / "skeletons").mkdir(parents=True)
    (tmp_path / "posesynth" / "skeletons" / "cat.yaml").write_text(GOOD)
    monkeypatch.setattr(skeleton_module, "__file__", str(tmp_path / "posesynth" / "skeleton.py"))
    assert builtin_skeletons() == ("cat",)
    assert load_skeleton("cat").text == GOOD


def test_a_built_ins_name_is_the_built_in_and_a_path_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_skeleton("dog.yaml").name == "dog"  # where no such file is
    for name in ("dog", "dog.yaml", "mine"):
        (tmp_path / name).write_text(GOOD)
    assert load_skeleton("dog").name == "dog"
    for path in ("./dog", "dog.yaml", "mine", tmp_path / "dog"):
        assert load_skeleton(path).name == "cat"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("quadrupd", ["'quadrupd'", "dog, ", "did you mean 'quadruped'?"]),
        ("", ["''", "quadruped"]),
        (".", ["'.' is a folder; expected dog, "]),
        ("giraffe", ["no built-in is called 'giraffe'", "did you mean 'giraffe.yaml'?"]),
        ("giraf", ["no built-in is called 'giraf'", "did you mean 'giraf.yml'?"]),
        ("x" * 1000, ["xxx..."]),
        ("a\0b", ["'a\\x00b'"]),
        ("missing.yaml", ["missing.yaml: file:", "No such file"]),
        ("./quadruped.yaml", ["No such file"]),
        ("no/such/folder", ["No such file"]),
        ("folder.yaml", ["directory"]),
        ("a\0b.yaml", ["a\\x00b.yaml: file:", "null"]),
        ("x" * 300 + ".yaml", ["too long"]),
        ("latin.yaml", ["latin.yaml:1:4: file: byte 0xe9"]),
    ],
)
def test_what_cannot_be_loaded_is_one_line(
    given: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    for name in ("giraffe.yaml", "giraf.yml"):
        (tmp_path / name).write_text(GOOD)
    (tmp_path / "latin.yaml").write_bytes("caf\u00e9".encode("latin-1"))
    with pytest.raises(InputError) as caught:
        load_skeleton(given)
    [line] = caught.value.lines
    assert [word for word in words if word not in line] == []
    assert len(line) <= LINE_LIMIT


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_an_unreadable_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text(GOOD)
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        load_skeleton(path)


# Rewriting ranges.


def test_a_rewrite_changes_the_numbers_and_nothing_else() -> None:
    text = GOOD.replace("frame: world", "frame: world  # as the paper").replace("[20, 100]", "[ 20,100 ]")
    new = with_ranges(text, {"head": {"theta": (1.5, 99.25), "phi": (-160, 0)}, "left_hip": {"length": (0.25, 1)}})
    expected = text.replace("[ 20,100 ]", "[ 1.5,99.25 ]").replace("[-150, -30]", "[-160, 0]")
    assert new == expected.replace("[0.5, 1]", "[0.25, 1]")


def test_a_rewrite_adds_a_length_that_was_not_written() -> None:
    flow = with_ranges(SMALL, {"a": {"length": (0.5, 2)}})
    assert "a: {parent: r, length: [0.5, 2], theta: [0, 90]," in flow
    block = HEADER + "joints:\n  a:\n    parent: r  # why\n    theta: [0, 90]\n    phi:\n    - 1\n    - 2 # two\n"
    for end in ("\n", "\r\n"):
        new = with_ranges(block.replace("\n", end), {"a": {"length": (0.5, 2), "phi": (3, 4)}})
        expected = (
            block.replace("    theta", "    length: [0.5, 2]\n    theta").replace("- 1", "- 3").replace("- 2", "- 4")
        )
        assert new == expected.replace("\n", end)


def test_a_mirror_stays_a_mirror_and_its_source_holds_both() -> None:
    new = with_ranges(
        GOOD, {"left_hip": {"abduction": (5, 20)}, "right_hip": {"abduction": (-30, -8), "flexion": (1, 2)}}
    )
    assert "right_hip: {mirror: left_hip}" in new
    assert edge(parse_skeleton(new), "left_hip") == EdgeRange("world", "flexion", (1, 2), (5, 30), (0.5, 1))
    ear = SMALL.replace("phi: [0, 10]", "phi: [-20, 20]")
    # phi 170..200 seen in the mirror is -20..10: next to -20..20, not a turn away from it.
    new = with_ranges(ear, {"a": {"phi": (-5, 20)}, "b": {"phi": (530, 560)}})
    assert edge(parse_skeleton(new), "a").second == (-20, 20)
    new = with_ranges(ear, {"a": {"phi": (-170, 170)}, "b": {"phi": (0, 90)}})
    low, high = edge(parse_skeleton(new), "a").second
    assert high - low <= 360


def test_a_rewrite_that_is_not_a_skeleton_is_refused() -> None:
    with pytest.raises(InputError, match=r"joints.head.theta: low 9 is above high 1"):
        with_ranges(GOOD, {"head": {"theta": (9, 1)}})
    with pytest.raises(InputError, match=r"joints.eye.length: \[0, 2\] differs"):
        with_ranges(GOOD, {"ear": {"length": (0, 1)}})
    for changes in ({"tail": {"theta": (0, 1)}}, {"head": {"flexion": (0, 1)}}):
        with pytest.raises(KeyError):
            with_ranges(GOOD, changes)


@given(skeleton_texts(max_joints=8), st.floats(0, 180), st.floats(0, 180))
@settings(max_examples=50)
def test_a_rewrite_reads_back(text: str, a: float, b: float) -> None:
    low, high = float(f"{min(a, b):.6g}"), float(f"{max(a, b):.6g}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        before = parse_skeleton(text)
        keys = ("theta", "phi") if edge(before, "j0").angles == "spherical" else ("flexion", "abduction")
        after = parse_skeleton(with_ranges(text, {"j0": dict.fromkeys(keys, (min(a, b), max(a, b)))}))
    assert edge(after, "j0").first == edge(after, "j0").second == (low, high)
    for joint in before.joints[1:]:
        # A table over j0's angle is brought to the turn of the new range.
        old, new = (replace(edge(made, joint), first_given=None, second_given=None) for made in (before, after))
        assert joint in ("j0", "j0.mirror") or old == new
    assert (after.joints, after.symmetric, after.sampling) == (before.joints, before.symmetric, before.sampling)


# The JSON schema for editors.


def test_the_committed_editor_schema_is_current() -> None:
    committed = (SHIPPED / "skeleton.schema.json").read_text(encoding="utf-8")
    assert committed == editor_schema_text(), "python -m posesynth.editor_schema > skeletons/skeleton.schema.json"


def _as_an_editor_sees_it(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


def test_the_editor_schema_is_one_and_takes_every_built_in() -> None:
    jsonschema.Draft202012Validator.check_schema(editor_schema())
    validator = jsonschema.Draft202012Validator(editor_schema())
    for name in builtin_skeletons():
        validator.validate(_as_an_editor_sees_it((SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")))
    validator.validate(_as_an_editor_sees_it(GOOD))


@given(skeleton_texts(max_joints=8, sampling=True))
@settings(max_examples=50)
def test_the_editor_schema_takes_what_the_reader_takes(text: str) -> None:
    jsonschema.Draft202012Validator(editor_schema()).validate(_as_an_editor_sees_it(text))


SEEN_BY_AN_EDITOR = [
    "no version", "version 2", "unknown key", "name a list", "name upwards", "name too long", "frame unknown",
    "two roots", "one joint", "joints a list", "joint a list", "joint named upwards", "parent a list", "key of a joint",
    "mirror with a parent", "pair of three", "pairs a mapping", "range a number", "range of three",
    "number in quotes", "theta above 180", "phi too far", "phi missing", "no angles", "angles mixed", "length negative",
    "sampling key", "flag in quotes", "view key", "pitch too far", "noise negative", "missing above 1",
]  # fmt: skip


@pytest.mark.parametrize("name", SEEN_BY_AN_EDITOR)
def test_the_editor_schema_refuses_what_it_can_see(name: str) -> None:
    tree = _as_an_editor_sees_it(CASES[name][0].decode())
    assert not jsonschema.Draft202012Validator(editor_schema()).is_valid(tree)


def test_lengths_in_two_units_are_doubted():
    text = "posesynth: 1\nname: crab\nroot: r\njoints:\n" + "".join(
        f"  {joint}: {{parent: r, theta: [0, 90], phi: [0, 90]{length}}}\n"
        for joint, length in (("back", ", length: [20, 30]"), ("claw", ""))
    )
    with pytest.warns(
        UserWarning, match=r"<string>:6: joints.claw: has no length, so \[0, 1\], beside lengths up to 30"
    ):
        parse_skeleton(text)
    parse_skeleton(text.replace(", length: [20, 30]", ""))
    parse_skeleton(text.replace("[20, 30]", "[2, 3]"))


def test_a_deeplabcut_config_is_told_by_name():
    with pytest.raises(InputError) as told:
        parse_skeleton("Task: crab\nbodyparts: [a, b]\nskeleton: [[a, b]]\n", "config.yaml")
    assert told.value.lines == (
        "config.yaml:1:1: file: is a DeepLabCut config; expected a skeleton; posesynth new NEW.yaml --from this file "
        "begins one",
    )
