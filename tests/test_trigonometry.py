"""sin, cos, atan2 and log: how far from the truth, over all that the sampler can ask, and what they are at the poles.

The truth is float64's libm, itself checked here against mpmath's 50 digits.
"""

import mpmath
import numpy as np
import pytest
from numba import njit

from posesynth.trigonometry import atan2, f32, log, sincospi

PI = f32(np.pi)
TINY, SUBNORMAL = f32(2.0**-126), f32(2.0**-149)

# What is promised: absolute error, and error in units of the last place of the true value.
SINE_ABSOLUTE, SINE_ULP = 1.0e-7, 2.0
ATAN2_ABSOLUTE, ATAN2_ULP = 3.0e-7, 2.1
LOG_ABSOLUTE, LOG_ULP = 1.1e-6, 6.5  # absolute: for the u in (0, 1] that noise is made of


@njit
def all_sincospi(t, sin, cos):  # type: ignore[no-untyped-def]
    for i in range(len(t)):
        sin[i], cos[i] = sincospi(t[i])


@njit
def all_atan2(y, x, out):  # type: ignore[no-untyped-def]
    for i in range(len(y)):
        out[i] = atan2(y[i], x[i])


@njit
def all_log(x, out):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        out[i] = log(x[i])


def sines(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    t = np.asarray(t, np.float32)
    sin, cos = np.empty_like(t), np.empty_like(t)
    all_sincospi(t, sin, cos)
    return sin, cos


def angles(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    y, x = (np.ascontiguousarray(a, np.float32) for a in np.broadcast_arrays(np.float32(y), np.float32(x)))
    out = np.empty_like(y)
    all_atan2(y, x, out)
    return out


def logs(x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    all_log(x, out)
    return out


def true_sines(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By the nearest quarter turn, which float64 reduces by exactly, so that zeros are zeros."""
    t = t.astype(float)
    quarter = np.round(2 * t)
    sin, cos = np.sin(np.pi * (t - quarter / 2)), np.cos(np.pi * (t - quarter / 2))
    at = quarter.astype(int) % 4
    return np.choose(at, [sin, cos, -sin, -cos]), np.choose(at, [cos, -sin, -cos, sin])


def ulps(made: np.ndarray, true: np.ndarray) -> float:
    """Largest error in units of the last float32 place of the true value, where that is a normal number."""
    normal = np.abs(true) > 2.0**-125
    unit = np.spacing(np.abs(true[normal]).astype(np.float32)).astype(float)
    return float((np.abs(made[normal].astype(float) - true[normal]) / unit).max(initial=0))


def test_float64_is_truth_enough() -> None:
    mpmath.mp.dps = 50
    rng = np.random.default_rng(1)
    t = np.concatenate([rng.uniform(-1, 1, 300), [0.25, 0.5, 0.49999999, 1e-20]]).astype(np.float32)
    sin, cos = true_sines(t)
    for i, value in enumerate(t.tolist()):
        assert abs(sin[i] - mpmath.sinpi(mpmath.mpf(value))) < 5e-16
        assert abs(cos[i] - mpmath.cospi(mpmath.mpf(value))) < 5e-16
        assert abs(np.arctan2(value, 0.3) - mpmath.atan2(mpmath.mpf(value), mpmath.mpf(0.3))) < 5e-16
        assert abs(np.log(abs(value)) - mpmath.log(abs(mpmath.mpf(value)))) < 2e-14


@pytest.mark.parametrize("first", [-(2**23), pytest.param(1 - 2**23, marks=pytest.mark.long)])
def test_sin_and_cos_of_every_drawn_angle(first: int) -> None:
    """Every fourth of the 2^24 values that a full turn [-180, 180) can take; with the long tests, half of them."""
    steps = np.arange(first, 2**23, 4)
    sin, cos = sines(steps * f32(2.0**-23))
    true_sin, true_cos = true_sines(steps * 2.0**-23)
    assert np.abs(sin - true_sin).max() < SINE_ABSOLUTE
    assert np.abs(cos - true_cos).max() < SINE_ABSOLUTE
    assert np.abs(sin.astype(float) ** 2 + cos.astype(float) ** 2 - 1).max() < 2.1e-7
    # The nearest quarter turn is taken off exactly, so relative accuracy holds up to the zeros.
    assert ulps(sin, true_sin) < SINE_ULP
    assert ulps(cos, true_cos) < SINE_ULP
    assert np.abs(sin).max() <= 1
    assert np.abs(cos).max() <= 1


@pytest.mark.parametrize("reach", [1e-30, 1e-6, 0.25, 4.0, 1e3, 2.0**20])
def test_sin_and_cos_in_and_beyond_the_range_of_yaml(reach: float) -> None:
    t = np.random.default_rng(2).uniform(-reach, reach, 300_000).astype(np.float32)
    sin, cos = sines(t)
    true_sin, true_cos = true_sines(t)
    assert np.abs(sin - true_sin).max() < SINE_ABSOLUTE
    assert np.abs(cos - true_cos).max() < SINE_ABSOLUTE
    if reach <= 0.25:
        assert ulps(sin, true_sin) < SINE_ULP


def test_quarter_turns_are_exact() -> None:
    quarters = np.arange(-64, 65)
    sin, cos = sines(quarters / 2)
    assert np.array_equal(sin, np.array([0, 1, 0, -1])[quarters % 4])
    assert np.array_equal(cos, np.array([1, 0, -1, 0])[quarters % 4])


def test_sine_is_odd_and_cosine_even() -> None:
    t = np.random.default_rng(3).uniform(0, 8, 100_000).astype(np.float32)
    (sin, cos), (sin_back, cos_back) = sines(t), sines(-t)
    assert np.array_equal(sin, -sin_back)
    assert np.array_equal(cos, cos_back)


def test_atan2_in_all_directions_and_scales() -> None:
    rng = np.random.default_rng(4)
    angle, scale = rng.uniform(-np.pi, np.pi, 2_000_000), 10.0 ** rng.uniform(-30, 30, 2_000_000)
    y, x = (np.sin(angle) * scale).astype(np.float32), (np.cos(angle) * scale).astype(np.float32)
    made, true = angles(y, x), np.arctan2(y.astype(float), x.astype(float))
    assert np.abs(made - true).max() < ATAN2_ABSOLUTE
    assert ulps(made, true) < ATAN2_ULP
    assert made.max() <= PI
    assert made.min() > -PI


def test_atan2_near_the_axes_keeps_relative_accuracy() -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(0.5, 2, 300_000).astype(np.float32)
    y = (x * 10.0 ** rng.uniform(-36, 0, len(x))).astype(np.float32)
    for sign in (-1, 1):
        made, true = angles(sign * y, x), np.arctan2(sign * y.astype(float), x.astype(float))
        assert ulps(made, true) < ATAN2_ULP


def test_angle_is_never_minus_pi() -> None:
    y = np.array([0.0, -0.0, -SUBNORMAL, -TINY, -1e-30, -1e-9, -1e-8, -1e-7, -2e-7], np.float32)
    for x in (-SUBNORMAL, -TINY, -1e-20, -1.0, -1e20):
        made = angles(y, x)
        assert (made > -PI).all()
        assert (np.abs(made) <= PI).all()
    # On the axis itself, and where the true angle rounds to -float32(pi), it is +pi.
    assert (angles(y[:2], -1.0) == PI).all()
    assert (angles(y[2:6], -1.0) == PI).all()


def test_angle_of_the_origin_is_zero_whatever_the_signs() -> None:
    zeros = np.array([0.0, -0.0], np.float32)
    made = angles(np.repeat(zeros, 2), np.tile(zeros, 2))
    assert np.array_equal(made.view(np.uint32), np.zeros(4, np.uint32))  # +0, not -0


def test_axes_are_exact() -> None:
    assert angles([0.0, 1, 0, -1], [1.0, 0, -1, 0]).tolist() == [0, f32(np.pi / 2), PI, -f32(np.pi / 2)]
    diagonal = angles([1.0, 1, -1, -1], [1.0, -1, -1, 1])
    np.testing.assert_allclose(diagonal, np.array([1, 3, -3, -1]) * np.pi / 4, atol=ATAN2_ABSOLUTE)


def test_atan2_of_subnormals() -> None:
    made = angles(SUBNORMAL * np.arange(1, 9), SUBNORMAL * np.arange(8, 0, -1))
    np.testing.assert_allclose(made, np.arctan2(np.arange(1, 9), np.arange(8, 0, -1)), atol=ATAN2_ABSOLUTE)


def test_atan2_passes_nan_on() -> None:
    assert np.isnan(angles([np.nan, 1, np.nan], [1, np.nan, np.nan])).all()


def test_log_of_every_drawn_number() -> None:
    """Of the 2^24 numbers, all of the smallest and the greatest and every fourth between."""
    ends, between = np.arange(1, 2**17), np.arange(2**17, 2**24 - 2**17, 4)
    u = np.concatenate([ends, between, 2**24 - ends[::-1], [2**24]]).astype(np.float32) * f32(2.0**-24)
    made, true = logs(u), np.log(u.astype(float))
    assert np.abs(made - true).max() < LOG_ABSOLUTE
    assert ulps(made, true) < LOG_ULP
    assert made[-1] == 0
    assert (made <= 0).all()  # so that sqrt(-2 log u) is a number


def test_log_of_all_normal_numbers() -> None:
    x = (10.0 ** np.random.default_rng(6).uniform(-37.9, 38.5, 300_000)).astype(np.float32)
    assert ulps(logs(x), np.log(x.astype(float))) < LOG_ULP
