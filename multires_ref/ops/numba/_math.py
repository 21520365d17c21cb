"""exp, the logistic function and the normal distribution for compiled loops: without branches, so that they run as vectors.

float32 by polynomials, found by fitting in float64 for the smallest relative error; float64 by the C library, one at a time.
NaN stays NaN. No `reassoc` among the flags here: adding and taking away a constant is how a number is rounded.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import overload
from numba.types import float32

from ...base.inner import inner_njit

f = np.float32
exact = inner_njit(fastmath={"contract"}, error_model="numpy")  # numpy: no check for a zero divisor
PLAIN = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # compiled loops alone call these
ROOT_HALF, DENSITY_AT_ZERO = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)

LOG2_E = f(1.4426950408889634)
LN2_HIGH = f(0.693359375)  # 9 bits, so that n times it is exact
LN2_LOW = f(-2.12194440e-4)  # the rest of ln 2
ROUND = f(12582912.0)  # 1.5 * 2^23: adding it rounds, because its last bit is worth 1
SHIFT = np.int32(0x4B400000 - 127)  # the bits of ROUND, less the bias of the exponent

# The coefficients below are fitted for the smallest relative error, and then rounded to float32. They are written down, and not
# fitted at import by numpy.polynomial: what a least-squares fit gives depends in its last digits on the machine's linear algebra.
E2, E3, E4 = f(0.4999999403953552), f(0.1666652113199234), f(0.04166838899254799)  # of r^2, r^3, r^4 in exp(r)
E5, E6 = f(0.008368716575205326), f(0.001381459878757596)
# R(t) (t + 7/2) as a polynomial of v = (t - 7/2) / (t + 7/2), with R(t) = exp(t^2 / 2) Phi(-t)
TAIL = (
    *(f(0.7444160580635071), f(-0.5655617713928223), f(0.31542500853538513), f(-0.11605289578437805), f(0.01740690879523754)),
    *(f(0.006492408458143473), f(-0.00317779672332108), f(-0.0004946530098095536), f(0.0004256594693288207)),
    f(0.0001127359428210184),
)


@exact
def exp32(x: np.float32) -> np.float32:
    """exp(x) for float32 x <= 0, and 0 where that is below about 1e-38: 2^n exp(r), with n = round(x / ln 2), |r| <= ln(2) / 2.

    Largest error against float64: below 1 ulp (here and below over millions of points: `tests/test_fast_ops.py`).
    """
    x = f(-88.0) if x < f(-88.0) else x  # then n = -127, whose 2^n is written as 0
    shifted = x * LOG2_E + ROUND
    bits = np.float32(shifted).view(np.int32)
    n = shifted - ROUND
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    series = r * r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * E6)))) + r + f(1.0)
    return series * np.int32((bits - SHIFT) << 23).view(np.float32)


@exact
def normal32(x: np.float32) -> tuple[np.float32, np.float32]:
    """(Phi(x), phi(x)), float32: the normal distribution function and density.

    Phi(-t) = exp(-t^2 / 2) R(t) for t >= 0, with one fitted polynomial for all of R, and Phi(t) = 1 - Phi(-t). Largest error of
    Phi: below 4 ulp for x > 0, below 8 ulp for x > -4, and 1e-5 of the value for all x > -12, where (1 + erf) / 2 has no digit
    left below x = -6.
    """
    t = abs(x)
    t = f(14.0) if t > f(14.0) else t  # exp(-98) is 0 here
    bell, inverse = exp32(f(-0.5) * t * t), f(1.0) / (t + f(3.5))
    v = (t - f(3.5)) * inverse
    p = TAIL[8] + v * TAIL[9]
    p = TAIL[4] + v * (TAIL[5] + v * (TAIL[6] + v * (TAIL[7] + v * p)))
    p = TAIL[0] + v * (TAIL[1] + v * (TAIL[2] + v * (TAIL[3] + v * p)))
    tail = bell * inverse * p
    return tail if x < f(0.0) else f(1.0) - tail, bell * f(DENSITY_AT_ZERO)


@exact
def normal64(x: float) -> tuple[float, float]:
    """(Phi(x), phi(x)), float64."""
    return 0.5 * math.erfc(-x * ROOT_HALF), math.exp(-0.5 * x * x) * DENSITY_AT_ZERO


def normal(x: float) -> tuple[float, float]:
    """(Phi(x), phi(x)) in the dtype of x, for compiled code."""
    raise NotImplementedError


def negative_exp(x: float) -> float:
    """exp(x) for x <= 0 in the dtype of x, for compiled code."""
    raise NotImplementedError


# Numba holds the arguments of these two against those of the lambdas, which cannot have types.
@overload(normal, jit_options=PLAIN)
def _normal(x):  # type: ignore[no-untyped-def]
    return (lambda x: normal32(x)) if x == float32 else (lambda x: normal64(x))


@overload(negative_exp, jit_options=PLAIN)
def _negative_exp(x):  # type: ignore[no-untyped-def]
    return (lambda x: exp32(x)) if x == float32 else (lambda x: math.exp(x))


@exact
def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), in float32 to 3 ulp; the exponential is taken of -|x|, so that it cannot overflow."""
    one = type(x)(1.0)
    e = negative_exp(-abs(x))
    inverse = one / (one + e)
    return e * inverse if x < 0 else inverse
