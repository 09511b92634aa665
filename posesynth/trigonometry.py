"""sin, cos, atan2 and log in float32 out of + - * / and comparisons alone.

These operations are exactly rounded on every IEEE-754 machine, so the results are the same bits
everywhere; libm's are not (it picks its code by processor).  They are branch-free, so LLVM runs
them on whole vectors.  Coefficients: minimax fits, rounded to float32; errors are in tests/test_trigonometry.py.
"""

import numpy as np

from .compilation import formula

f32 = np.float32

PI = f32(np.pi)
HALF_PI = f32(np.pi / 2)
TO_HALF_TURNS = f32(1 / np.pi)

_S0, _S1, _S2, _S3 = f32(3.1415925), f32(-5.1677036), f32(2.549629), f32(-0.587813)
_C0, _C1, _C2, _C3 = f32(-4.934802), f32(4.0587077), f32(-1.3350585), f32(0.23142953)
_A = tuple(
    f32(c)
    for c in (-0.33332986, 0.19990396, -0.14185971, 0.105739176, -0.073666766, 0.041121528, -0.015132342, 0.0026221976)
)
_A0, _A1, _A2, _A3, _A4, _A5, _A6, _A7 = _A

_L0, _L1, _L2, _L3 = f32(-0.50000584), f32(0.33335263), f32(-0.24961464), f32(0.19888278)
_L4, _L5, _L6 = f32(-0.17326018), f32(0.16335627), f32(-0.1003452)
_LN2, _SQRT2 = f32(0.6931472), f32(1.4142135)

# Adding and taking away 1.5 * 2^23 rounds a float32 of modest size to the nearest integer.
_ROUND = f32(12582912.0)
_ZERO, _HALF, _ONE, _TWO = f32(0), f32(0.5), f32(1), f32(2)


@formula
def sincospi(t):  # type: ignore[no-untyped-def]
    """(sin(pi t), cos(pi t)) for an angle of t half turns, |t| < 2^20.  Reduction is exact."""
    quarter = (t * _TWO + _ROUND) - _ROUND
    f = t - quarter * _HALF
    z = f * f
    s = f * (_S0 + z * (_S1 + z * (_S2 + z * _S3)))
    c = _ONE + z * (_C0 + z * (_C1 + z * (_C2 + z * _C3)))
    q = np.int32(quarter)
    odd = (q & np.int32(1)) != 0
    sin = c if odd else s
    cos = s if odd else c
    sin = -sin if (q & np.int32(2)) != 0 else sin
    cos = -cos if ((q + np.int32(1)) & np.int32(2)) != 0 else cos
    return sin, cos


@formula
def atan2(y, x):  # type: ignore[no-untyped-def]
    """Angle of (x, y) in radians, in (-pi, pi]; 0 at the origin; pi, never -pi, on the negative x axis."""
    ax, ay = abs(x), abs(y)
    steep = ay > ax
    big = ay if steep else ax
    small = ax if steep else ay
    t = small / (big if big != _ZERO else _ONE)
    z = t * t
    p = _A0 + z * (_A1 + z * (_A2 + z * (_A3 + z * (_A4 + z * (_A5 + z * (_A6 + z * _A7))))))
    a = t + t * z * p
    a = HALF_PI - a if steep else a
    a = PI - a if x < _ZERO else a
    return -a if (y < _ZERO and a < PI) else a


@formula
def log(x):  # type: ignore[no-untyped-def]
    """Natural logarithm of a normal float32 x > 0."""
    bits = np.float32(x).view(np.int32)
    exponent = (bits >> np.int32(23)) - np.int32(127)
    m = np.int32((bits & np.int32(0x007FFFFF)) | np.int32(0x3F800000)).view(np.float32)
    high = m > _SQRT2
    m = m * _HALF if high else m
    e = f32(exponent) + (_ONE if high else _ZERO)
    f = m - _ONE
    p = _L0 + f * (_L1 + f * (_L2 + f * (_L3 + f * (_L4 + f * (_L5 + f * _L6)))))
    return e * _LN2 + (f + f * f * p)
