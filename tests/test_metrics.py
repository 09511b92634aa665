"""Metrics: each against a slow, obvious twin, and the laws they keep; a mirrored pose is never forgiven."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from lifter import metrics
from posesynth import InputError

Array = NDArray[Any]
DISTANCES = (metrics.mpjpe, metrics.n_mpjpe, metrics.p_mpjpe, metrics.reprojection, metrics.reprojection_fitted)


def poses(seed: int, count: int = 8, joints: int = 7) -> Array:
    return np.random.default_rng(seed).normal(size=(count, joints, 3))


def some_valid(seed: int, count: int = 8, joints: int = 7) -> Array:
    """Root and at least two others valid, the rest by chance."""
    valid = np.random.default_rng(seed + 1000).random((count, joints)) < 0.6
    valid[:, :3] = True
    return valid


# --- slow twins: one pose, valid joints only, plain loops -----------------------------------------------------------


def slow_mean_distance(p: Array, t: Array) -> float:
    return float(
        np.mean([sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) ** 0.5 for x, y in zip(p, t, strict=True)])
    )


def slow_mpjpe(p: Array, t: Array) -> float:
    return slow_mean_distance(p - p[0], t - t[0])


def slow_n_mpjpe(p: Array, t: Array) -> float:
    p, t = p - p[0], t - t[0]
    scale = np.linalg.lstsq(p.reshape(-1, 1), t.reshape(-1), rcond=None)[0][0]
    return slow_mean_distance(max(scale, 0.0) * p, t)


def slow_p_mpjpe(p: Array, t: Array) -> float:
    p, t = p - p.mean(0), t - t.mean(0)
    turned = p @ Rotation.align_vectors(t, p)[0].as_matrix().T
    scale = np.linalg.lstsq(turned.reshape(-1, 1), t.reshape(-1), rcond=None)[0][0]
    return slow_mean_distance(scale * turned, t)


def slow_box(p: Array, t: Array) -> tuple[Array, Array]:
    p, t = p[:, [0, 2]], t[:, [0, 2]]
    width, height = np.ptp(t[:, 0]), np.ptp(t[:, 1])
    middle = np.array([t[:, 0].min() + width / 2, t[:, 1].min() + height / 2])
    return (p - middle) * 12 / max(width, height), (t - middle) * 12 / max(width, height)


def slow_reprojection(p: Array, t: Array) -> float:
    return slow_mean_distance(*slow_box(p, t))


def slow_reprojection_fitted(p: Array, t: Array) -> float:
    p, t = slow_box(p, t)
    # x' = a x - b z + c, z' = b x + a z + d: linear in (a, b, c, d).
    rows = [row for x, z in p for row in ([x, -z, 1, 0], [z, x, 0, 1])]
    best = np.linalg.lstsq(np.array(rows), t.reshape(-1), rcond=None)[0]
    return slow_mean_distance((np.array(rows) @ best).reshape(-1, 2), t)


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.parametrize("related", [0.0, 0.9, -0.9], ids=["unrelated", "near", "opposite"])
def test_agrees_with_its_slow_twin(metric: Callable[..., Array], related: float) -> None:
    slow = globals()[f"slow_{metric.__name__}"]
    truth, valid = poses(0, 40), some_valid(0, 40)
    predicted = related * truth + poses(1, 40)
    expected = [slow(p[v], t[v]) for p, t, v in zip(predicted, truth, valid, strict=True)]
    np.testing.assert_allclose(metric(predicted, truth, valid), expected, rtol=1e-9)
    expected = [slow(p, t) for p, t in zip(predicted, truth, strict=True)]
    np.testing.assert_allclose(metric(predicted, truth), expected, rtol=1e-9)


# --- laws -----------------------------------------------------------------------------------------------------------

seeds = st.integers(0, 10_000)
scales = st.floats(0.01, 100)
moves = arrays(np.float64, 3, elements=st.floats(-50, 50))


@settings(max_examples=60, deadline=None)
@given(seeds, scales, moves)
def test_procrustes_forgives_any_similarity(seed: int, scale: float, move: Array) -> None:
    truth, valid = poses(seed), some_valid(seed)
    turn = Rotation.random(random_state=seed).as_matrix()
    predicted = scale * truth @ turn.T + move
    assert metrics.p_mpjpe(predicted, truth, valid).max() < 1e-9


@settings(max_examples=60, deadline=None)
@given(seeds, scales)
def test_procrustes_does_not_forgive_a_mirror_image(seed: int, scale: float) -> None:
    truth = poses(seed)
    mirrored = scale * truth * [-1, 1, 1]
    assert metrics.p_mpjpe(mirrored, truth).min() > 1e-3
    # The control: Procrustes that may reflect, as scipy's, finds nothing wrong.
    about_mean = [pose - pose.mean(0) for pose in (mirrored[0], truth[0])]
    reflection, _ = orthogonal_procrustes(*about_mean)
    assert np.abs(about_mean[0] @ reflection / scale - about_mean[1]).max() < 1e-9
    # Unless the pose is flat, and a turn does what the mirror did.
    flat = truth * [1, 0, 1]
    assert metrics.p_mpjpe(flat * [-1, 1, 1], flat).max() < 1e-9


@settings(max_examples=40, deadline=None)
@given(seeds, scales)
def test_scale_of_the_prediction_is_forgiven_where_said(seed: int, scale: float) -> None:
    predicted, truth, valid = poses(seed), poses(seed + 1), some_valid(seed)
    for metric in (metrics.n_mpjpe, metrics.p_mpjpe, metrics.reprojection_fitted):
        np.testing.assert_allclose(metric(scale * predicted, truth, valid), metric(predicted, truth, valid), rtol=1e-9)
    if abs(scale - 1) > 0.01:
        assert not np.allclose(metrics.mpjpe(scale * predicted, truth), metrics.mpjpe(predicted, truth), rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seeds, moves)
def test_place_is_forgiven_in_3d_and_not_in_the_box(seed: int, move: Array) -> None:
    predicted, truth, valid = poses(seed), poses(seed + 1), some_valid(seed)
    for metric in DISTANCES:
        if metric is not metrics.reprojection:
            moved, kept = metric(predicted + move, truth, valid), metric(predicted, truth, valid)
            np.testing.assert_allclose(moved, kept, rtol=1e-9)
    assert np.all(metrics.reprojection(truth + np.array([100, 0, 0]), truth) > 10)


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from([np.nan, np.inf, -np.inf, 1e300, 0.0]))
def test_joints_that_are_not_valid_change_nothing(seed: int, junk: float) -> None:
    predicted, truth, valid = poses(seed), poses(seed + 1), some_valid(seed)
    spoilt_p, spoilt_t = (np.where(valid[..., None], pose, junk) for pose in (predicted, truth))
    for metric in DISTANCES:
        kept = metric(predicted, truth, valid)
        assert np.isfinite(kept).all()
        np.testing.assert_array_equal(metric(spoilt_p, spoilt_t, valid), kept)
        np.testing.assert_array_equal(metric(predicted, np.where(valid[..., None], truth, np.nan)), kept)


@settings(max_examples=100, deadline=None)
@given(seeds, st.floats(-1, 1))
def test_each_freedom_can_only_lower_the_root_mean_square(seed: int, related: float) -> None:
    truth, valid = poses(seed), some_valid(seed)
    predicted = related * truth + poses(seed + 1)
    squares = [
        np.nanmean(metrics.joint_errors(predicted, truth, valid, alignment) ** 2, axis=1)
        for alignment in ("root", "scale", "similarity")
    ]
    assert np.all(squares[0] >= squares[1] - 1e-12)
    assert np.all(squares[1] >= squares[2] - 1e-12)
    fitted = metrics.reprojection_fitted(predicted, truth, valid)
    assert np.all(np.isfinite(fitted))


def test_no_other_similarity_is_better() -> None:
    predicted, truth = poses(3, 1), poses(4, 1)
    best = np.sum(metrics.joint_errors(predicted, truth, alignment="similarity") ** 2)
    p, t = predicted[0] - predicted[0].mean(0), truth[0] - truth[0].mean(0)
    for turn in Rotation.random(3000, random_state=0).as_matrix():
        turned = p @ turn.T
        scale = (turned * t).sum() / (turned * turned).sum()
        assert np.sum((scale * turned - t) ** 2) > best or scale < 0


def test_errors_keep_the_unit_and_reprojection_has_none() -> None:
    predicted, truth = poses(0), poses(1)
    for metric in DISTANCES:
        factor = 1 if "reprojection" in metric.__name__ else 1000
        np.testing.assert_allclose(metric(1000 * predicted, 1000 * truth), factor * metric(predicted, truth), rtol=1e-9)


def test_reprojection_sees_no_depth() -> None:
    truth = poses(0)
    assert metrics.reprojection(truth * [1, -5, 1], truth).max() == 0
    assert metrics.p_mpjpe(truth * [1, -5, 1], truth).min() > 0.1


def test_known_figures() -> None:
    truth = np.zeros((1, 4, 3))
    truth[0, 1:] = [[6, 0, 0], [0, 0, 3], [0, 5, 0]]
    predicted = truth.copy()
    predicted[0, 1] += [0, 4, 3]
    assert metrics.mpjpe(predicted, truth) == pytest.approx([5 / 4])
    # The box is 6 x 3 and grows by 2; the joint is 3 too high in it.
    assert metrics.reprojection(predicted, truth) == pytest.approx([3 * 2 / 4])


# --- poses that cannot be scored -----------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.filterwarnings("error")
def test_fewer_than_three_valid_joints_are_nan(metric: Callable[..., Array]) -> None:
    predicted, truth = poses(0, 4), poses(1, 4)
    valid = np.zeros((4, 7), bool)
    for pose in range(4):
        valid[pose, :pose] = True
    assert np.isnan(metric(predicted, truth, valid)).tolist() == [True, True, True, False]


@pytest.mark.parametrize("metric", DISTANCES)
def test_a_failed_prediction_is_nan_and_not_left_out(metric: Callable[..., Array]) -> None:
    predicted, truth = poses(0, 3), poses(1, 3)
    predicted[1, 4] = np.nan
    scores = metric(predicted, truth)
    assert np.isnan(scores).tolist() == [False, True, False]
    truth[2, 5, 0] = np.nan
    assert np.isnan(metric(predicted, truth)).tolist() == [False, True, False]
    assert np.isnan(metric(predicted, truth, np.ones((3, 7), bool))).tolist() == [False, True, True]


def test_without_a_root_only_what_is_measured_from_it_is_nan() -> None:
    predicted, truth, valid = poses(0), poses(1), np.ones((8, 7), bool)
    valid[:, 0] = False
    assert np.isnan(metrics.mpjpe(predicted, truth, valid)).all()
    assert np.isnan(metrics.n_mpjpe(predicted, truth, valid)).all()
    for metric in DISTANCES[2:]:
        assert np.isfinite(metric(predicted, truth, valid)).all()


@pytest.mark.filterwarnings("error")
def test_points_lines_and_planes_are_scored() -> None:
    truth = poses(0)
    for shape in ([0, 0, 0], [1, 0, 0], [1, 0, 1], [1, 1e-4, 1]):
        for metric in DISTANCES[:3]:
            assert np.isfinite(metric(truth * shape, truth)).all()
            assert np.isfinite(metric(truth + 7, truth * shape + 3)).all()
    # A predicted point cannot be scaled to anything better than the truth's centre.
    spread = np.linalg.norm(truth - truth.mean(1, keepdims=True), axis=-1).mean(1)
    for place in (0, 0.1, 5.3, 1e5 / 3):
        np.testing.assert_allclose(metrics.p_mpjpe(np.full_like(truth, place), truth), spread)
    assert np.isnan(metrics.reprojection(truth, truth * [0, 1, 0])).all()  # no box
    assert np.isfinite(metrics.reprojection(truth, truth * [1, 0, 0])).all()


def test_no_poses_are_no_scores() -> None:
    for metric in DISTANCES:
        assert metric(np.zeros((0, 5, 3)), np.zeros((0, 5, 3))).shape == (0,)


# --- counting -----------------------------------------------------------------------------------------------------


def test_pck_counts_below_the_threshold_among_valid_joints() -> None:
    errors = np.array([[0, 1, 2, 3], [0, np.nan, np.nan, 9], [np.nan] * 4])
    np.testing.assert_array_equal(metrics.pck(errors, 2), [0.5, 0.5, np.nan])
    np.testing.assert_array_equal(metrics.pck(errors, 2.1), [0.75, 0.5, np.nan])


def test_auc_is_the_mean_over_thresholds() -> None:
    errors = np.array([[0.0, 1, 2, 3], [0, np.nan, np.nan, 9]])
    assert metrics.auc(errors, [1, 2, 4]) == pytest.approx([(1 / 4 + 2 / 4 + 1) / 3, 1 / 2])
    perfect = metrics.auc(np.zeros((1, 14)), np.arange(0, 151, 5))
    assert perfect == pytest.approx([30 / 31])


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(0, 5), st.floats(0, 5))
def test_pck_grows_with_the_threshold(seed: int, one: float, other: float) -> None:
    errors = metrics.joint_errors(poses(seed), poses(seed + 1), some_valid(seed))
    assert np.all(metrics.pck(errors, min(one, other)) <= metrics.pck(errors, max(one, other)))


# --- wrong input --------------------------------------------------------------------------------------------------


def test_wrong_shapes_are_one_clear_line() -> None:
    good = poses(0, 2)
    wrong: list[tuple[str, tuple[Any, ...]]] = [
        ("predicted", (good[0], good[0])),
        ("predicted", (good[..., :2], good[..., :2])),
        ("predicted", (good[:, :0], good[:, :0])),
        ("truth", (good, good[:, :6])),
        ("valid", (good, good, np.ones((2, 6), bool))),
        ("valid", (good, good, np.ones((2, 7)))),
    ]
    for name, arguments in wrong:
        for metric in DISTANCES:
            with pytest.raises(InputError, match=f"^{name}: .*; expected ") as caught:
                metric(*arguments)
            assert len(caught.value.lines) == 1
    with pytest.raises(InputError, match="thresholds"):
        metrics.auc(np.zeros((1, 3)), [])


def test_importing_metrics_costs_no_torch() -> None:
    code = "import sys, lifter.metrics; sys.exit('torch' in sys.modules or 'roma' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
