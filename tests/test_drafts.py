"""Drafts of skeletons from other tools' files: what is read must be a tree again, what is no tree must be told."""

import random
import warnings
from dataclasses import replace

import draft_files as files
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import DATA, real

from posesynth import drafts, sample
from posesynth.cli import main
from posesynth.coverage import JointMap, measure
from posesynth.drafts.articulated import about_axis, random_poses
from posesynth.drafts.mjcf import _World
from posesynth.drafts.read import read_draft
from posesynth.drafts.sides import pairs_by_name
from posesynth.drafts.tree import settle
from posesynth.drafts.upright import upright
from posesynth.drafts.urdf import read_urdf
from posesynth.drafts.xml_source import read_xml
from posesynth.errors import InputError
from posesynth.motion import Motion, load_motion
from posesynth.motion.rotation import about
from posesynth.schema import parse_skeleton
from posesynth.skeleton import Skeleton, builtin_skeletons, load_skeleton

OF_LINKS = {
    "DeepLabCut": files.deeplabcut,
    "COCO": files.coco,
    "SLEAP": files.sleap,
    "SLEAP analysis": files.sleap_analysis,
    "SLEAP project": files.sleap_project,
}
OF_PLACES = {"BVH": files.bvh, "MJCF": files.mjcf, "URDF": files.urdf}
TO_FILE = {  # upright axes: x left, y back, z up -> those that the programs have
    "BVH": lambda place: place[..., [0, 2, 1]] * [1, 1, -1],
    "MJCF": lambda place: place[..., [1, 0, 2]] * [-1, 1, 1],
    "URDF": lambda place: place[..., [1, 0, 2]] * [-1, 1, 1],
}
UPRIGHT = JointMap(up="z", forward="-y")


def world(bodies: str) -> str:
    """A model of MJCF."""
    return f"<mujoco><worldbody>{bodies}</worldbody></mujoco>"


def robot(*joints: str) -> str:
    """A model of URDF, its joints as in "ab", from link a to link b."""
    links = "".join(f'<link name="{name}"/>' for name in sorted(set("".join(joints))))
    fixed = '<joint name="{0}{1}" type="fixed"><parent link="{0}"/><child link="{1}"/></joint>'
    return f"<robot>{links}{''.join(fixed.format(*ends) for ends in joints)}</robot>"


def bones(skeleton: Skeleton) -> list[tuple[str, str]]:
    """(parent, child) of each bone."""
    return [(skeleton.joints[p], joint) for p, joint in zip(skeleton.parents[1:], skeleton.joints[1:], strict=True)]


def pairs(skeleton: Skeleton) -> set[frozenset[str]]:
    return {frozenset(skeleton.joints[edge + 1] for edge in pair) for pair in skeleton.symmetric}


def pose(skeleton: Skeleton) -> dict[str, np.ndarray]:
    """Joint -> its place in one upright pose, its longest bone 1."""
    o = sample(skeleton, 3, 0, 1, ("o_up",)).o_up[0].astype(float)
    places = {skeleton.joints[0]: np.zeros(3)}
    for (parent, child), (r, theta, phi) in zip(bones(skeleton), o, strict=True):
        way = np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
        places[child] = places[parent] + max(r, 0.05) * way
    return places


def good(text: str) -> Skeleton:
    """The skeleton of a draft, which must parse without a warning and give samples."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = parse_skeleton(text)
    batch = sample(made, 0, 0, 16)
    assert np.isfinite(batch.p2d).all()
    assert np.isfinite(batch.o).all()
    return made


@pytest.mark.parametrize("kind", OF_LINKS)
@pytest.mark.parametrize("name", builtin_skeletons())
def test_a_tree_written_as_links_comes_back(tmp_path, kind, name):
    shipped = load_skeleton(name)
    path = OF_LINKS[kind](tmp_path, shipped.joints, bones(shipped))
    made = good(drafts.draft(path, "again", root=shipped.joints[0]))
    assert sorted(bones(made)) == sorted(bones(shipped))
    assert pairs(made) == pairs(shipped)
    central = good(drafts.draft(path, "again"))
    assert {frozenset(bone) for bone in bones(central)} == {frozenset(bone) for bone in bones(shipped)}


@pytest.mark.parametrize("kind", OF_PLACES)
@pytest.mark.parametrize("name", ["dog", "hand", "mouse"])
def test_a_posed_tree_comes_back_upright_and_inside_its_ranges(tmp_path, kind, name):
    shipped = load_skeleton(name)
    places = pose(shipped)
    turned = {joint: TO_FILE[kind](place) for joint, place in places.items()}
    path = OF_PLACES[kind](tmp_path, shipped.joints[0], shipped.joints, bones(shipped), turned)
    made = good(drafts.draft(path, "x"))
    assert made.joints[0] == shipped.joints[0]
    assert sorted(bones(made)) == sorted(bones(shipped))
    tree = settle(read_draft(str(path)))
    draft = tree.draft
    if draft.rest is not None:  # the model's own pose, beside those that its ranges are made of
        tree = replace(tree, draft=replace(draft, poses=draft.rest[None]))
    shown, told = upright(tree, draft.up)
    assert measure(made, [Motion(shown, draft.joints)], UPRIGHT).inside == 1
    original = np.array([places[joint] for joint in draft.joints])
    heights = shown[0, :, 2] - shown[0, 0, 2]
    np.testing.assert_allclose(heights, original[:, 2] - original[0, 2], atol=1e-5)
    if "habit" in told:
        np.testing.assert_allclose(shown[0] - shown[0, 0], original - original[0], atol=1e-5)
    else:
        left, right = np.array(sorted(tree.sided)).T
        girdles = [n for n, (a, b) in enumerate(zip(left, right, strict=True)) if tree.parents[a] == tree.parents[b]]
        line = (shown[0, left] - shown[0, right])[girdles].sum(axis=0)
        assert line[0] > 0
        assert abs(line[1]) < 1e-6


@st.composite
def trees(draw) -> tuple[list[str], list[tuple[str, str]]]:
    """Names, some of them of pairs, and the links of a tree, in any order and direction."""
    count = draw(st.integers(2, 16))
    stems = [f"{draw(st.sampled_from(['hip', 'Paw', 'e.r', 'x-1', '1', 'no', 'tail']))}{n}" for n in range(count)]
    names = [name for stem in stems for name in draw(st.sampled_from([[stem], [f"left_{stem}", f"right_{stem}"]]))]
    links = [(names[draw(st.integers(0, n - 1))], names[n]) for n in range(1, len(names))]
    links = [draw(st.sampled_from([ends, ends[::-1]])) for ends in links]
    return draw(st.permutations(names)), draw(st.permutations(links))


@settings(max_examples=25, deadline=None)
@given(trees(), st.sampled_from(list(OF_LINKS)), st.integers(0, 99))
def test_any_tree_comes_back_from_any_root(tmp_path_factory, tree, kind, number):
    names, links = tree
    path = OF_LINKS[kind](tmp_path_factory.mktemp("tree"), names, links)
    for root in (None, names[number % len(names)]):
        made = good(drafts.draft(path, "tree", root=root))
        assert {frozenset(bone) for bone in bones(made)} == {frozenset(ends) for ends in links}
        assert root in (None, made.joints[0])


def test_the_root_is_the_joint_nearest_to_all_others(tmp_path):
    names = ["claw", "knee", "hip", "neck", "head", "left_ear", "right_ear"]
    links = [("claw", "knee"), ("knee", "hip"), ("hip", "neck"), ("neck", "head"), ("head", "left_ear"),
             ("head", "right_ear")]  # fmt: skip
    assert good(drafts.draft(files.coco(tmp_path, names, links), "x")).joints[0] == "neck"


# Sides.


@pytest.mark.parametrize(
    ("left", "right"),
    [("left_hip", "right_hip"), ("hipLeft", "hipRight"), ("LeftUpLeg", "RightUpLeg"), ("hip.L", "hip.R"),
     ("l_hip", "r_hip"), ("LHipJoint", "RHipJoint"), ("lfemur", "rfemur"), ("EarL", "EarR"), ("FL_hip", "FR_hip"),
     ("RL_calf", "RR_calf"), ("Shoulder_L", "Shoulder_R"), ("L1_coxa", "R1_coxa"), ("HIND-LEFT", "HIND-RIGHT"),
     ("leftear", "rightear"), ("LF_KFE", "RF_KFE"), ("toe_front_left", "toe_front_right"), ("paw1L", "paw1R"),
     ("mid_l_2", "mid_r_2"), ("hl", "hr")],
)  # fmt: skip
def test_names_that_differ_in_the_side_are_a_pair(left, right):
    assert pairs_by_name(["nose", right, left, "tail"]) == [(2, 1)]


@pytest.mark.parametrize("names", [("tail", "nose"), ("left_ear", "right_eye"), ("leg", "reg_2"), ("L", "left")])
def test_other_names_are_no_pair(names):
    assert pairs_by_name(names) == []


def test_a_pair_on_one_side_is_symmetric_but_no_mirror(tmp_path):
    names = ["hip", "left_hand", "left_l_finger", "left_r_finger", "head"]
    links = [("hip", "left_hand"), ("left_hand", "left_l_finger"), ("left_hand", "left_r_finger"), ("hip", "head")]
    text = drafts.draft(files.coco(tmp_path, names, links), "x", root="hip")
    assert "mirror:" not in text
    assert pairs(good(text)) == {frozenset(names[2:4])}


def test_sleap_tells_its_own_pairs(tmp_path):
    names = ["thorax", "wing_a", "wing_b"]
    links = [("thorax", "wing_a"), ("thorax", "wing_b")]
    for write in (files.sleap, files.sleap_project):
        made = good(drafts.draft(write(tmp_path, names, links, [("wing_b", "wing_a")]), "x"))
        assert pairs(made) == {frozenset(names[1:])}


# Names.


def test_names_that_the_format_has_not_are_changed_and_told(tmp_path):
    names = ["the nose", "left/ear", "Nuß", "9", "no", "con", "!"]
    links = [("the nose", name) for name in names[1:]]
    text = drafts.draft(files.deeplabcut(tmp_path, names, links), "x")
    assert set(good(text).joints) == {"the_nose", "left_ear", "Nu", "9", "no", "joint_con", "joint_6"}
    assert "# the nose in the file" in text
    assert good(drafts.draft(tmp_path / "config.yaml", "x", root="left/ear")).joints[0] == "left_ear"


def test_names_that_become_one_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"'a b' and 'a/b' become one name, a_b; expected names that differ"):
        drafts.draft(files.coco(tmp_path, ["a b", "a/b"], [("a b", "a/b")]), "x")


# What is no tree.

NAMES = ["nose", "left_eye", "right_eye", "neck", "tail", "tip"]
LOOP = [("nose", "left_eye"), ("left_eye", "right_eye"), ("right_eye", "nose"), ("nose", "neck"), ("tail", "tip")]


def test_loops_and_loose_joints_are_told_with_what_settles_them(tmp_path):
    path = files.coco(tmp_path, NAMES, LOOP)
    with pytest.raises(InputError) as wrong:
        drafts.draft(path, "x")
    loop, loose = wrong.value.lines
    assert "a loop; expected a tree, by --unlink with a link of each, such as left_eye-right_eye" in loop
    assert "(right_eye-nose-left_eye)" in loop
    assert "not linked to nose: tail tip; expected one tree, by --link tail-JOINT or --drop tail,tip" in loose
    settled = {"unlink": ["left_eye-right_eye"], "drop": ["tail", "tip"]}
    assert good(drafts.draft(path, "x", **settled)).joints == ("nose", "left_eye", "right_eye", "neck")
    settled = {"unlink": ["right_eye-left_eye"], "link": ["neck-tail"]}
    assert ("neck", "tail") in bones(good(drafts.draft(path, "x", **settled)))


def test_a_config_without_links_takes_them_from_the_user(tmp_path):
    path = files.deeplabcut(tmp_path, ["Hand", "Finger 1", "Tongue"], [])
    with pytest.raises(
        InputError, match=r"no links between its 3 joints .* by --link A-B,C-D,... \(such as --link Hand-"
    ):
        drafts.draft(path, "x")
    made = good(drafts.draft(path, "x", link=["Hand-Finger 1", "Tongue-Hand"]))
    assert set(bones(made)) == {("Hand", "Finger_1"), ("Hand", "Tongue")}


def test_links_left_from_a_template_are_told(tmp_path):
    path = files.deeplabcut(tmp_path, ["a", "b"], [("a", "b"), ("bodypart1", "bodypart2")])
    with pytest.raises(InputError, match=r"no joint of the file: bodypart1-bodypart2; .* --unlink bodypart1-bodypart2"):
        drafts.draft(path, "x")
    assert good(drafts.draft(path, "x", unlink=["bodypart1-bodypart2"])).joints == ("a", "b")


def test_a_joint_dropped_between_two_leaves_them_linked(tmp_path):
    path = files.coco(tmp_path, ["a", "b", "c"], [("a", "b"), ("b", "c")])
    assert {frozenset(bone) for bone in bones(good(drafts.draft(path, "x", drop=["b"])))} == {frozenset("ac")}


def test_several_roots_are_told(tmp_path):
    path = tmp_path / "model.xml"
    path.write_text(world('<body name="a"><body name="b" pos="0 0 1"/></body><body name="ball"/>'))
    with pytest.raises(InputError, match=r"2 roots: a, ball; expected one tree, by --link ball-JOINT or --drop ball"):
        drafts.draft(path, "x")
    assert good(drafts.draft(path, "x", drop=["ball"])).joints == ("a", "b")
    with pytest.raises(InputError, match="2 roots, a, ball; expected --root with one"):
        drafts.draft(path, "x", link=["ball-b"])


def test_roots_that_a_link_joins_need_one_to_be_named(tmp_path):
    path = tmp_path / "model.xml"
    fish = '<body name="head"><body name="fin" pos="0 0 1"/></body><body name="tail" pos="1 0 0"/>'
    path.write_text(world(fish))
    made = good(drafts.draft(path, "x", link=["fin-tail"], root="head"))
    assert bones(made) == [("head", "fin"), ("fin", "tail")]


def test_several_categories_are_asked_for_unless_they_are_alike(tmp_path):
    other = {"name": "fish", "keypoints": ["head", "fin"], "skeleton": [[1, 2]]}
    path = files.coco(tmp_path, ["a", "b"], [("a", "b")], "cat", [other, {"name": "box"}])
    with pytest.raises(InputError, match=r"2 categories with keypoints; expected --category with one of 'cat', 'fish'"):
        drafts.draft(path, "x")
    assert set(good(drafts.draft(path, "x", category="fish")).joints) == {"head", "fin"}
    twin = {"name": "dog", "keypoints": ["a", "b"], "skeleton": [[1, 2]]}
    assert good(drafts.draft(files.coco(tmp_path, ["a", "b"], [("a", "b")], "cat", [twin]), "x")).edges == 1


WRONG = {
    "root": ({"root": "nos"}, "root: no joint is called 'nos'; expected one of 6 joints; did you mean 'nose'?"),
    "drop": ({"drop": ["ear"]}, "drop: no joint is called 'ear'"),
    "link": ({"link": ["nose"]}, "link: 'nose' is no link; expected A-B"),
    "to itself": ({"link": ["nose-nose"]}, "link: 'nose-nose' links a joint to itself"),
    "unlink": ({"unlink": ["nose-tip"]}, "unlink: 'nose-tip' is no link of the file"),
    "category": ({"category": "cat"}, "category: none with keypoints is called 'cat'; expected one of 1: animal"),
    "up": ({"up": "w"}, "up: 'w'; expected one of x, y, z"),
    "all": ({"drop": NAMES}, "drop: names every joint"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_option_is_one_line(tmp_path, what):
    options, words = WRONG[what]
    with pytest.raises(InputError) as wrong:
        drafts.draft(files.coco(tmp_path, NAMES, LOOP), "x", **options)
    assert words in str(wrong.value)


# Models and their limits.

DOG = """<mujoco><compiler angle="degree"/>
<default><joint range="-30 30"/><default class="knee"><joint axis="0 1 0" range="-80 10"/></default></default>
<worldbody><body name="trunk" pos="0 0 1" childclass="main"><freejoint/>
  <body name="hip_left" pos="0 .2 0" euler="0 0 20"><joint axis="0 1 0"/><joint axis="1 0 0" range="-20 45"/>
    <body name="knee_left" pos="0 .02 -.5"><joint class="knee"/>
      <frame euler="0 10 0"><body name="paw_left" pos="0 0 -.4"><joint type="ball" range="0 60" pos="0 0 .1"/>
        <body name="toe_left" pos=".2 0 0"/></body></frame></body></body>
  <body name="hip_right" pos="0 -.2 0" euler="0 0 -20"><joint axis="0 1 0"/><joint axis="1 0 0" range="-45 20"/>
    <body name="knee_right" pos="0 -.02 -.5"><joint class="knee"/>
      <frame euler="0 10 0"><body name="paw_right" pos="0 0 -.4"><joint type="ball" range="0 60" pos="0 0 .1"/>
        <body name="toe_right" pos=".2 0 0"/></body></frame></body></body>
  <body name="head" pos=".5 0 .1"><joint axis="0 0 1"/>
    <body name="snout" pos=".2 0 0"><body pos=".1 0 .05"><joint axis="0 1 0" range="-10 25"/></body></body></body>
</body></worldbody></mujoco>
"""


def test_limits_of_a_model_hold_every_pose_within_them(tmp_path):
    path = tmp_path / "dog.xml"
    path.write_text(DOG)
    made = good(drafts.draft(path, "dog"))
    bodies = _World(read_xml(str(path))).bodies
    names = tuple(body.name or "joint_11" for body in bodies)
    assert pairs(made) == {frozenset((f"{part}_left", f"{part}_right")) for part in ("hip", "knee", "paw", "toe")}
    motion = Motion(random_poses(bodies, 3000, seed=7), names)
    measured = measure(made, [motion], JointMap(up="z", forward="x"))
    assert measured.inside >= 0.99
    assert all(edge.length.inside == 1 for edge in measured.edges)
    # And not all there is: the hinges leave most directions out.
    knee = made.ranges[made.joints.index("knee_left") - 1]
    assert knee.first[1] - knee.first[0] < 120
    assert knee.second[1] - knee.second[0] < 120


def test_a_pair_that_hangs_off_the_midline_is_symmetric_but_no_mirror(tmp_path):
    path = tmp_path / "model.xml"
    hips = '<body name="l_hip" pos="0 .1 0"/><body name="r_hip" pos="0 -.2 0"/>'
    ears = '<body name="l_ear" pos="0 .1 0"/><body name="r_ear" pos="0 -.1 0"/>'
    path.write_text(world(f'<body name="neck">{ears}<body name="pelvis" pos="-1 .8 0">{hips}</body></body>'))
    text = drafts.draft(path, "x")
    assert "r_ear: {mirror: l_ear}" in text
    assert "symmetric: [[l_hip, r_hip]]" in text
    made = good(text)
    assert made.ranges[made.joints.index("l_hip") - 1].length == made.ranges[made.joints.index("r_hip") - 1].length


@st.composite
def models(draw) -> str:
    """A tree of bodies anywhere, each with up to two hinges about any axes within any limits."""
    coordinate = st.floats(0.01, 1).map(lambda x: f"{x:.3f}") | st.floats(-1, -0.01).map(lambda x: f"{x:.3f}")
    count = draw(st.integers(2, 9))
    children: dict[int, list[int]] = {n: [] for n in range(count)}
    for n in range(1, count):
        children[draw(st.integers(0, n - 1))].append(n)
    name = draw(
        st.permutations([f"{side}_{stem}" for stem in ("a", "b", "c") for side in ("left", "right")] + ["d", "e", "f"])
    )

    def body(n: int) -> str:
        place = " ".join(draw(st.tuples(coordinate, coordinate, coordinate)))
        text = f'<body name="{name[n]}" pos="{place} " euler="{draw(st.integers(-180, 180))} 30 0">'
        for _ in range(draw(st.integers(0, 2))):
            low = draw(st.integers(-120, 119))
            axis = draw(st.sampled_from(["1 0 0", "0 1 0", "0 0 1", "1 -2 .5"]))
            text += f'<joint axis="{axis}" range="{low} {draw(st.integers(low, 120))}"/>'
        return text + "".join(map(body, children[n])) + "</body>"

    return world(body(0))


@settings(max_examples=40, deadline=None)
@given(models())
def test_limits_of_any_model_hold_every_pose_within_them(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("model") / "model.xml"
    path.write_text(text)
    made = good(drafts.draft(path, "x"))
    bodies = _World(read_xml(str(path))).bodies
    tree = settle(read_draft(str(path)))
    kept = [[body.name for body in bodies].index(joint) for joint in tree.draft.joints]
    poses = random_poses(bodies, 500, seed=3)[:, kept]
    shown, _ = upright(replace(tree, draft=replace(tree.draft, poses=poses)), "z")
    for edge in measure(made, [Motion(shown, tree.draft.joints)], UPRIGHT).edges:
        assert edge.inside >= 0.99


def test_poses_of_a_model_are_those_of_its_hinges_one_by_one(tmp_path):
    path = tmp_path / "dog.xml"
    path.write_text(DOG)
    bodies = [body for body in _World(read_xml(str(path))).bodies if not any(h.kind == "ball" for h in body.hinges)]
    bodies = bodies[:3]  # trunk, hip, knee
    positions = random_poses(bodies, 5, seed=1)
    rng = np.random.default_rng(1)
    a, b, _ = (low + (high - low) * np.sin(np.pi / 2 * rng.random(5)) ** 2
               for low, high in [(-30, 30), (-20, 45), (-80, 10)])  # fmt: skip
    for t in range(5):
        hip = about("z", 20) @ about("y", a[t]) @ about("x", b[t])
        knee = np.array([0, 0.2, 1]) + hip @ [0, 0.02, -0.5]
        np.testing.assert_allclose(positions[t], [[0, 0, 1], [0, 0.2, 1], knee], atol=1e-12)


def test_a_body_turns_about_the_place_of_its_hinge(tmp_path):
    path = tmp_path / "model.xml"
    path.write_text(
        world(
            '<body name="a"><body name="b" pos="1 0 0"><joint axis="0 1 0" pos="-.5 0 0" range="90 90"/></body></body>'
        )
    )
    bodies = _World(read_xml(str(path))).bodies
    np.testing.assert_allclose(random_poses(bodies, 1)[0], [[0, 0, 0], [0.5, 0, -0.5]], atol=1e-12)
    np.testing.assert_allclose(random_poses(bodies, 0)[0], [[0, 0, 0], [1, 0, 0]], atol=1e-12)


def test_roll_comes_before_yaw_in_urdf(tmp_path):
    path = tmp_path / "model.urdf"
    turned = '<origin xyz="0 0 1" rpy="1.5707963 0 1.5707963"/>'
    ends = '<parent link="{}"/><child link="{}"/>'
    path.write_text(
        '<robot><link name="a"/><link name="b"/><link name="c"/>'
        f'<joint name="j" type="fixed">{turned}{ends.format("a", "b")}</joint>'
        f'<joint name="k" type="fixed"><origin xyz="1 0 0"/>{ends.format("b", "c")}</joint></robot>'
    )
    draft = read_urdf(str(path), read_xml(str(path)))
    np.testing.assert_allclose(draft.rest, [[0, 0, 0], [0, 0, 1], [0, 1, 1]], atol=1e-6)


@pytest.mark.parametrize("axis", "xyz")
def test_a_turn_about_an_axis_is_that_of_the_motion_readers(axis):
    unit = np.eye(3)["xyz".index(axis)][None]
    np.testing.assert_allclose(about_axis(unit, np.radians([33.0]))[0], about(axis, 33.0), atol=1e-12)


@pytest.mark.parametrize(
    "written",
    ['quat="0.9659258 0 0 0.2588190"', 'axisangle="0 0 2 30"', 'euler="0 0 30"', 'xyaxes=".8660254 .5 0 0 1 0"'],
)
def test_the_ways_to_write_an_orientation_say_the_same(tmp_path, written):
    path = tmp_path / "model.xml"
    path.write_text(world(f'<body name="a"><body name="b" {written}/></body>'))
    np.testing.assert_allclose(_World(read_xml(str(path))).bodies[1].turn, about("z", 30), atol=1e-6)


def test_a_hinge_that_mimics_another_follows_it(tmp_path):
    path = tmp_path / "model.urdf"
    joint = '<joint name="{0}" type="revolute"><parent link="{1}"/><child link="{2}"/><axis xyz="0 0 1"/>'
    joint += '<origin xyz="1 0 0"/>'
    limit = '<limit lower="0" upper="1"/>{}</joint>'
    path.write_text(
        '<robot><link name="c"/><link name="b"/><link name="a"/><link name="d"/>'
        + joint.format("q", "b", "c") + limit.format('<mimic joint="p" multiplier="-1"/>')
        + joint.format("p", "a", "b") + limit.format("")
        + '<joint name="f" type="fixed"><parent link="c"/><child link="d"/><origin xyz="1 0 0"/></joint></robot>'
    )  # fmt: skip
    draft = read_urdf(str(path), read_xml(str(path)))
    assert draft.joints == ("a", "b", "c", "d")
    np.testing.assert_allclose((draft.poses[:, 3] - draft.poses[:, 2])[:, 0], 1, atol=1e-12)
    assert np.ptp(draft.poses[:, 2, 1]) > 0.5


def test_joints_that_lie_on_another_are_left_out(tmp_path):
    path = tmp_path / "model.xml"
    path.write_text(world('<body name="a"><body name="b"><body name="c" pos="0 0 1"/></body></body>'))
    text = drafts.draft(path, "x")
    assert bones(good(text)) == [("a", "c")]
    assert "b (on a)" in text


def test_up_turns_a_model_that_lies(tmp_path):
    path = tmp_path / "model.xml"
    path.write_text(world('<body name="a"><body name="b" pos="0 1 0"/></body>'))
    assert good(drafts.draft(path, "x", up="y")).ranges[0].first in ((0, 5), (-5, 5))
    with pytest.raises(InputError, match="the axis that the animal faces"):
        drafts.draft(path, "x", up="-x")


# Damage.

XML = {
    "entities": ('<!DOCTYPE a [<!ENTITY b "c">]><mujoco/>', "a document type, which may hold entities"),
    "another": ("<html/>", "XML of <html>; expected a <robot> of URDF or a <mujoco> of MJCF"),
    "cut": ("<mujoco><worldbody>", "not XML: no element found"),
    "empty": ("<mujoco/>", "no body in a worldbody"),
    "include": (world('<body><include file="b.xml"/></body>'), "is not read inside a model"),
    "class": (world('<body name="a"><body><joint class="leg"/></body></body>'), "class 'leg'"),
    "numbers": (world('<body pos="0 0"/>'), "model.xml:1: body: pos '0 0'; expected 3 numbers"),
    "nan": (world('<body pos="0 0 nan"/>'), "'nan' is not a finite number"),
    "far": (world('<body pos="0 0 1e300"/>'), "at most 1e+30"),
    "deep": ("<a>" * 5000, "more than 100000 elements or 400 levels"),
    "loop": (robot("ab", "ba"), "joints make a loop, "),
    "two parents": (robot("ac", "bc"), "'c' is the child of two joints; expected a tree"),
    "xacro": ('<robot xmlns:xacro="x"><xacro:include/></robot>', "xacro: not URDF yet"),
    "one": ('<robot><link name="a"/></robot>', "1 joint; expected at least two"),
    "no length": (world('<body name="a"><body name="b"/></body>'), "no bone has a length"),
}  # fmt: skip


@pytest.mark.parametrize("what", XML)
def test_a_wrong_model_is_one_line(tmp_path, what):
    text, words = XML[what]
    path = tmp_path / "model.xml"
    path.write_text(text)
    with pytest.raises(InputError) as wrong:
        drafts.draft(path, "x")
    assert words in str(wrong.value)
    assert len(wrong.value.lines) == 1


OTHERS = {
    "bodyparts.yaml": ("Task: test\n", "bodyparts: none; expected a DeepLabCut config.yaml with bodyparts"),
    "posesynth.yaml": ("posesynth: 1\nname: x\n", "this is a skeleton of posesynth: --like begins with one"),
    "pairs.yaml": ("bodyparts: [a, b]\nskeleton: [[a, b, c]]\n", "2:12: skeleton: a list; expected pairs"),
    "names.yaml": ("bodyparts: {a: b}\n", "1:12: bodyparts: a mapping; expected a list of names"),
    "other.json": ('{"a": 1}', "JSON of another kind; expected COCO's categories"),
    "cut.json": ('{"categories": [', "not JSON"),
    "zero.json": ('[{"keypoints": ["a", "b"], "skeleton": [[0, 2]]}]', "holds both 0 and 2; expected pairs"),
    "beyond.json": ('[{"keypoints": ["a", "b"], "skeleton": [[1, 3]]}]', "[1, 3]; expected pairs of numbers from 1"),
    "none.json": ('[{"name": "box"}]', "no category has keypoints"),
    "odd.json": ('{"nodes": [{"id": {"py/id": 3}}], "links": []}', "where a node belongs; expected"),
    "kind.json": ('{"nodes": [{"id": "a"}], "links": [{"type": {"py/id": []}}]}', "links: type"),
    "word.json": ('{"nodes": [{"id": "a"}], "links": [{"type": "py/id"}]}', "links: type"),
    "reduce.json": ('{"nodes": [{"id": {"py/reduce": 5}}], "links": []}', "where a node or a kind of edge belongs"),
    "text.h5": ("nothing", "damaged, or no HDF5 file"),
    "what.txt": ("", "unknown kind of file '.txt'; expected DeepLabCut's config.yaml"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_that_is_no_skeleton_is_one_line(tmp_path, name):
    text, words = OTHERS[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as wrong:
        drafts.draft(tmp_path / name, "x")
    assert words in str(wrong.value)
    assert len(wrong.value.lines) == 1


def test_a_config_runs_nothing(tmp_path):
    path = tmp_path / "config.yaml"
    touched = tmp_path / "touched"
    path.write_text(
        f"video_sets: !!python/object/apply:os.mkdir ['{touched}']\nbodyparts: [a, b]\n"
        "skeleton:\n- !!python/tuple [a, b]\nuniquebodyparts: []\nmultianimalbodyparts: []\n"
    )
    assert good(drafts.draft(path, "x")).edges == 1
    assert not touched.exists()


def test_several_animals_and_pairs_from_0_are_read(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("bodyparts: MULTI!\nmultianimalbodyparts: [a, b]\nuniquebodyparts: [corner]\nskeleton: [[a, b]]\n")
    with pytest.raises(InputError, match="not linked to a: corner"):
        drafts.draft(path, "x")
    assert good(drafts.draft(path, "x", drop=["corner"])).edges == 1
    path = tmp_path / "zero.json"
    path.write_text('[{"keypoints": ["a", "b", "c"], "skeleton": [[0, 1], [1, 2]]}]')
    assert "counts its keypoints from 0" in drafts.draft(path, "x").lower()


def test_damaged_bytes_give_a_line_or_a_skeleton(tmp_path):
    shipped = load_skeleton("dog")
    turned = {joint: TO_FILE["MJCF"](place) for joint, place in pose(shipped).items()}
    paths = [write(tmp_path, shipped.joints, bones(shipped)) for write in OF_LINKS.values()]
    paths += [write(tmp_path, "neck", shipped.joints, bones(shipped), turned) for write in OF_PLACES.values()]
    draw, lines = random.Random(5), []
    for path in paths:
        data = path.read_bytes()
        for _ in range(25):
            bad = bytearray(data)
            for _ in range(draw.randint(1, 4)):
                bad[draw.randrange(len(bad))] = draw.randrange(256)
            path.write_bytes(bad[: draw.choice([len(bad), len(bad), draw.randrange(len(bad))])])
            try:
                parse_skeleton(drafts.draft(path, "x", root=None))
            except InputError as error:
                lines += error.lines
    assert lines
    assert max(map(len, lines)) <= 300


# The command.


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run a command in an empty folder -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run_(*args):
        with pytest.raises(SystemExit) as leave:
            main([str(arg) for arg in args])
        out = capsys.readouterr()
        return leave.value.code, out.out, out.err

    return run_


def test_a_copy_keeps_all_but_the_name(run, tmp_path):
    for name in builtin_skeletons():
        code, out, _ = run("new", f"my_{name}.yaml", "--like", name)
        assert code == 0
        assert (
            f"next: posesynth preview my_{name}.yaml\n      posesynth inspect my_{name}.yaml --png my_{name}.png" in out
        )
        text = (tmp_path / f"my_{name}.yaml").read_text()
        assert text.replace(f"\nname: my_{name}\n", f"\nname: {name}\n") == load_skeleton(name).text
        assert load_skeleton(tmp_path / f"my_{name}.yaml").name == f"my_{name}"


def test_a_draft_says_what_it_found(run, tmp_path):
    files.coco(tmp_path, NAMES, LOOP)
    command = ("new", "x.yaml", "--from", "coco.json", "--unlink", "left_eye-right_eye", "--drop", "tail, tip")
    code, out, _ = run(*command)
    assert code == 0
    assert "x.yaml: written from coco.json (COCO category animal); 4 joints, 1 symmetric pair\n  root: nose, " in out
    assert run("validate", "x.yaml")[0] == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["new", "x.yaml"], "expected --like SKELETON or --from FILE"),
        (["new", "x.yaml", "--like", "dog", "--from", "a.json"], "one of the two"),
        (["new", "x.json", "--like", "dog"], "expected a new file that ends in .yaml"),
        (["new", "my animal.yaml", "--like", "dog"], "name: 'my animal' is no name of a skeleton"),
        (["new", "there.yaml", "--like", "dog"], "there.yaml: exists already; expected a new file"),
        (["new", "x.yaml", "--like", "dgo"], "did you mean 'dog'?"),
        (["new", "x.yaml", "--like", "dog", "--root", "head"], "--root: says how to read a file"),
        (["new", "x.yaml", "--from", "coco.json", "--root", "heel"], "--root: no joint is called 'heel'"),
        (["new", "x.yaml", "--from", "none.json"], "none.json: cannot be read: No such file or directory"),
        (["new", "no/x.yaml", "--like", "dog"], "no/x.yaml: cannot be written; No such file or directory"),
    ],
)
def test_a_wrong_command_writes_nothing(run, tmp_path, args, words):
    (tmp_path / "there.yaml").write_text("mine\n")
    files.coco(tmp_path, ["a", "b"], [("a", "b")])
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert words in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coco.json", "there.yaml"]
    assert (tmp_path / "there.yaml").read_text() == "mine\n"


def test_a_file_that_comes_meanwhile_is_not_replaced(run, tmp_path, monkeypatch):
    def comes(*_):
        (tmp_path / "x.yaml").write_text("mine\n")
        return load_skeleton("dog").text

    monkeypatch.setattr(drafts, "like", comes)
    code, _, err = run("new", "x.yaml", "--like", "dog")
    assert code == 2
    assert "exists already" in err
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]
    assert (tmp_path / "x.yaml").read_text() == "mine\n"


# Real files.

REAL = {
    "models/dm_control/quadruped.xml": ({"drop": ["ball"]}, 17, 8, "torso"),
    "models/dm_control/humanoid_CMU_V2020.xml": ({"up": "y"}, 28, 11, "root"),
    "human_cmu_bvh/07_10.bvh": ({}, 28, 11, "Hips"),
    "human_bandai_bvh/dataset-1_bow_normal_001.bvh": ({"drop": ["joint_Root"]}, 26, 10, "Hips"),
    "format_samples/ap10k/test_ap10k.json": ({"unlink": ["left_eye-right_eye"]}, 17, 7, "neck"),
    "format_samples/dlc_reaching/config.yaml": ({"link": ["Hand-Tongue", "Hand-Joystick1"]}, 5, 0, "Hand"),
}


@real
@pytest.mark.parametrize("name", REAL)
def test_real_files_become_skeletons(name):
    options, joints, count, root = REAL[name]
    made = good(drafts.draft(DATA / name, "x", **options))
    assert (len(made.joints), len(made.symmetric), made.joints[0]) == (joints, count, root)
    if name.endswith(".bvh"):
        assert measure(made, [load_motion(DATA / name)]).inside == 1


@real
def test_coco_people_are_a_tree_as_its_line_says():
    path = DATA / "format_samples/coco/test_coco.json"
    with pytest.raises(InputError, match="3 loops") as wrong:
        drafts.draft(path, "x")
    cut = str(wrong.value).partition("such as ")[2].split()[0].split(",")
    made = good(drafts.draft(path, "x", unlink=cut))
    assert made.joints[0] == "nose"
    assert len(made.symmetric) == 8


@real
@pytest.mark.parametrize("name", ["quadruped", "humanoid_CMU_V2020"])
def test_real_models_hold_their_own_poses(name):
    path = DATA / f"models/dm_control/{name}.xml"
    options = {"drop": ["ball"]} if name == "quadruped" else {"up": "y"}
    made = good(drafts.draft(path, "x", **options))
    bodies = _World(read_xml(str(path))).bodies
    motion = Motion(random_poses(bodies, 2000, seed=11), tuple(body.name for body in bodies))
    ahead = JointMap(up="z", forward="x") if name == "quadruped" else JointMap(up="y", forward="z")
    assert measure(made, [motion], ahead).inside >= 0.99
