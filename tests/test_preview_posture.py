"""What the page of a skeleton draws: postures, surfaces of ranges, and clips, as the ranges say."""

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import DATA, real
from sampled_motion import sampled_motion
from small_skeletons import small_skeleton
from strategies import skeletons

from posesynth.coverage import JointMap, load_map, measure
from posesynth.coverage.measure import outside
from posesynth.motion import Motion, load_motion
from posesynth.preview.clip import Clip
from posesynth.preview.document import Document
from posesynth.preview.posture import STEPS, surface, surface_faces, upright
from posesynth.schema import parse_skeleton
from posesynth.schema_edits import with_ranges
from posesynth.skeleton import load_skeleton


@given(skeletons(max_joints=12))
def test_the_upright_animal_lies_in_all_ranges(skeleton):
    posture = upright(skeleton)
    for e in range(skeleton.edges):
        out = outside(skeleton, e, posture.first[None], posture.second[None])
        assert np.abs(out).max() < 1e-6
    bones = posture.joints[1:] - posture.joints[skeleton.parents[1:]]
    assert np.linalg.norm(bones, axis=-1).max() == pytest.approx(1)


def test_bones_that_may_go_anywhere_are_laid_out_and_not_stacked():
    anywhere = "theta: [0, 180], phi: [-180, 180]}"
    links = {"head": "chest", "hip": "chest", "tail": "hip", "l_knee": "hip", "l_foot": "l_knee"}
    entries = "".join(f"  {joint}: {{parent: {parent}, {anywhere}\n" for joint, parent in links.items())
    entries += "  r_knee: {mirror: l_knee}\n  r_foot: {mirror: l_foot}\n"
    skeleton = parse_skeleton(f"posesynth: 1\nname: draft\nroot: chest\njoints:\n{entries}")
    place = dict(zip(skeleton.joints, upright(skeleton).joints, strict=True))
    assert place["head"] == pytest.approx([0, -1, 0])  # forward
    assert place["hip"] == pytest.approx([0, 1, 0])
    assert place["tail"] == pytest.approx([0, 2, 0])
    assert place["l_knee"][0] > 0 > place["r_knee"][0]
    assert place["l_foot"][2] == place["r_foot"][2] < 0


@settings(max_examples=40)
@given(skeletons(max_joints=8), st.data())
def test_a_surface_is_where_the_bone_may_end_point_by_point(skeleton, data):
    edge = data.draw(st.integers(0, skeleton.edges - 1))
    posture, range_ = upright(skeleton), skeleton.ranges[edge]
    frames = []
    for e, r in enumerate(skeleton.ranges):
        outer = naive.given_in(skeleton, e, frames)
        frames.append(outer @ naive.turn(r, np.radians(posture.first[e]), np.radians(posture.second[e])))
    outer = naive.given_in(skeleton, edge, frames)

    def bounds(which, first):
        given_ = range_.given[which]
        if given_ is None:
            return (range_.first, range_.second)[which]
        parent = int(skeleton.parents[edge + 1]) - 1
        if given_.bone == "own":
            return naive.range_at(given_, first)
        return naive.range_at(given_, (posture.first, posture.second)[given_.which][parent])

    made = surface(skeleton, edge, posture, 0.7)
    for i, j in itertools.product((0, 7, STEPS), (0, 13, STEPS)):
        low, high = bounds(0, None)
        first = low + (high - low) * i / STEPS
        low, high = bounds(1, first)
        second = low + (high - low) * j / STEPS
        end = outer @ naive.turn(range_, np.radians(first), np.radians(second))[:, 2]
        expected = posture.joints[skeleton.parents[edge + 1]] + 0.7 * end
        assert made.vertices[i * (STEPS + 1) + j] == pytest.approx(expected, abs=1e-6)


def test_a_surfaces_triangles_tile_it_once():
    faces = surface_faces().astype(int)
    row, column = np.divmod(faces, STEPS + 1)
    a, b, c = (np.stack([row[:, k], column[:, k]], axis=-1) for k in range(3))
    ab, ac = b - a, c - a
    areas = (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]) / 2
    assert np.all(areas == areas[0])  # of half a cell, all turned one way
    assert abs(areas.sum()) == STEPS**2
    assert len({tuple(sorted(face)) for face in faces.tolist()}) == len(faces)


# Real motion.


@pytest.mark.parametrize("name", ["quadruped", "dog", "human"])
def test_the_shares_of_a_clip_are_those_of_coverage(name):
    skeleton = load_skeleton(name)
    narrow = skeleton.joints[-1]
    edge = skeleton.joints.index(narrow) - 1
    pair = next((pair for pair in skeleton.symmetric if edge in pair), (edge,))
    first = skeleton.ranges[edge].angle_names[0]
    if skeleton.ranges[edge].first_given is not None:
        first = skeleton.ranges[edge].angle_names[1]
    middle = sum(skeleton.ranges[edge].first if first in ("theta", "flexion") else skeleton.ranges[edge].second) / 2
    motion, heading = sampled_motion(skeleton, 200), JointMap(forward="-y")
    clip = Clip(skeleton, motion, heading)
    changed = with_ranges(skeleton.text, {narrow: {first: (middle - 5, middle + 5)}})
    from posesynth.schema import parse_skeleton

    for made in (skeleton, parse_skeleton(changed), skeleton):
        clip.follow(made)
        told = measure(made, [motion], heading)
        assert clip.whole() == pytest.approx(told.inside)
        shares = clip.shares(list(pair))
        edges = [e for e in told.edges if made.joints.index(e.joint) - 1 in pair]
        assert shares.both == pytest.approx(np.mean([e.inside for e in edges]))
        assert shares.first == pytest.approx(np.mean([e.angles[0].inside for e in edges]))
        assert shares.second == pytest.approx(np.mean([e.angles[1].inside for e in edges]))
    assert clip.whole() > 0.99
    assert told.inside > 0.99


def test_a_frame_of_a_clip_is_its_pose_and_unseen_bones_end_it():
    skeleton = small_skeleton(
        {
            "thigh": "parent: root, theta: [90, 180], phi: [-180, 180]",
            "shank": "parent: thigh, theta: [90, 180], phi: [-180, 180]",
        }
    )
    positions = np.array([[[0, 0, 0], [0, 0, -2.0], [0, -1.0, -2]], [[5, 5, 5], [np.nan] * 3, [5, 4, 3]]])
    motion = Motion(positions, skeleton.joints, None, 30.0, "z", "clip")
    clip = Clip(skeleton, motion, JointMap(forward="-y"))
    rest = upright(skeleton)
    assert clip.posture(0, rest).joints == pytest.approx(positions[0] / 2)
    assert np.isnan(clip.posture(1, rest).joints[1:]).all()
    assert clip.outside(0).tolist() == [False, False]
    assert clip.shares([0]).both == 1
    blind = Clip(skeleton, Motion(positions[1:], skeleton.joints, None, None, "z", "clip"), JointMap(forward="-y"))
    assert np.isnan(blind.shares([1]).both)


@real
def test_a_clip_follows_new_ranges(tmp_path):
    path = tmp_path / "person.yaml"
    path.write_text(load_skeleton("human").text)
    document = Document(path)
    motion = load_motion(DATA / "human_cmu_bvh" / "35_01.bvh")
    clip = Clip(document.skeleton, motion, load_map("human-cmu-bvh", document.skeleton))
    assert clip.whole() > 0.95
    document.set_range("left_knee", "flexion", (165, 200))
    clip.follow(document.skeleton)
    assert clip.whole() < 0.1
