"""The negative log-likelihood of a mixture of discretised logistics, and its adjoint.

A number x of the data takes one of `n_values` values in [-1, 1], spaced 2 half, half = 1 / (n_values - 1). A logistic of mean mu
and scale s gives its bin the probability sigmoid(p) - sigmoid(m), p = (x - mu + half) / s, m = (x - mu - half) / s; the bins
at both ends reach to infinity. Everything is computed from logarithms of sigmoids, which hold in float32 where a difference
would cancel:

    log(sigmoid(p) - sigmoid(m)) = log sigmoid(p) + log sigmoid(-m) + log(1 - exp(-t)),    t = p - m = 2 half / s.

Below a probability of 1e-5 the log density at the bin's centre times the bin's width stands in, as in the original.

`out` [B, G M, L] holds G groups of M numbers a time step: the mixture logits, then for each colour the means, the log-scales and
its share of the raw coefficients that couple the colours, mu_c += tanh(coefficient) x_e for every earlier colour e < c. The
pairs (c, e) are counted (1, 0), (2, 0), (2, 1), (3, 0), ... and pair number r stands with colour r mod C, which for three
colours is the original's layout. Source: Salimans et al., "PixelCNN++" (2017), equations 1 to 3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..base.arrays import Array, get_xp
from ..base.checks import check_floats, check_int, check_same_dtype
from .cross_entropy import log_softmax
from .glu import sigmoid
from .registry import Example, operation

MIN_LOG_SCALE = -7.0
SMALL = 1e-5  # probabilities below it are replaced by density times width
# The pixels of the example: both ends and the middle of 11 values
PIXELS = np.array([[[-1.0, 0.2, 1.0], [0.4, -1.0, -0.6], [1.0, -0.2, 0.8]]])


def colour_pairs(C: int) -> list[tuple[int, int]]:
    """The pairs (colour, earlier colour that shifts its mean).

    Examples
    --------
    >>> colour_pairs(3)
    [(1, 0), (2, 0), (2, 1)]
    """
    return [(c, e) for c in range(C) for e in range(c)]


def group_numbers(C: int) -> tuple[list[int], list[int], list[int]]:
    """Where the groups stand for C colours: the numbers of each colour's means and log-scales and of each pair's coefficients.

    Examples
    --------
    >>> group_numbers(1), group_numbers(3)
    (([1], [2], []), ([1, 4, 7], [2, 5, 8], [3, 6, 9]))
    """
    pairs = C * (C - 1) // 2
    means, log_scales, coefficients, group = [], [], [0] * pairs, 1
    for c in range(C):
        means.append(group)
        log_scales.append(group + 1)
        group += 2
        for r in range(c, pairs, C):
            coefficients[r] = group
            group += 1
    return means, log_scales, coefficients


class Mixture(NamedTuple):
    """The network's output as parameters: logits [B, M, L]; the rest lists of [B, M, L], one for each colour or pair."""

    logits: Array
    means: list[Array]
    log_scales: list[Array]
    coefficients: list[Array]


def unpack(out: Array, C: int) -> Mixture:
    """The mixture's parameters in `out` [B, G M, L], log-scales clamped, coefficients after tanh, means not yet shifted."""
    groups = 1 + 2 * C + C * (C - 1) // 2
    if out.shape[1] % groups:
        raise ValueError(f"out must have a multiple of {groups} channels for {C} colours; got shape {tuple(out.shape)}")
    xp, M = get_xp(out), out.shape[1] // groups
    group = [out[:, n * M : (n + 1) * M] for n in range(groups)]
    means, log_scales, coefficients = group_numbers(C)
    return Mixture(
        group[0],
        [group[n] for n in means],
        [xp.maximum(group[n], MIN_LOG_SCALE) for n in log_scales],
        [xp.tanh(group[n]) for n in coefficients],
    )


def shifted_mean(mixture: Mixture, x: Array, c: int) -> Array:
    """The mean of colour c given the earlier colours of x [B, C, L]: [B, M, L]."""
    mean = mixture.means[c]
    for (colour, earlier), coefficient in zip(colour_pairs(x.shape[1]), mixture.coefficients, strict=True):
        if colour == c:
            mean = mean + coefficient * x[:, earlier, None]
    return mean


def log_sigmoid(x: Array) -> Array:
    """log(1 / (1 + exp(-x))) without overflow."""
    xp = get_xp(x)
    return xp.minimum(x, 0.0) - xp.log1p(xp.exp(-xp.abs(x)))


class Bins(NamedTuple):
    """What both passes need of one colour, all [B, M, L] but the flags of the end bins [B, 1, L]."""

    inv_s: Array
    p: Array
    m: Array
    t: Array
    log_prob: Array
    lowest: Array
    highest: Array
    centre: Array  # where the density stands in for the probability


def bins(x: Array, mean: Array, log_scale: Array, n_values: int) -> Bins:
    """The log-probability of x [B, 1, L] under every component of one colour."""
    xp = get_xp(x, mean)
    half = 1.0 / (n_values - 1)
    inv_s = xp.exp(-log_scale)
    middle = inv_s * (x - mean)
    p, m, t = middle + half * inv_s, middle - half * inv_s, 2.0 * half * inv_s
    t = xp.maximum(t, 1e-30)  # a scale so large that t underflows: keeps the logarithm finite where it is not used
    edge = max(0.999, 1.0 - half)  # more than 1,001 values: the second bin must not count as the end
    lowest, highest = x < -edge, x > edge
    below_p, above_m = log_sigmoid(p), log_sigmoid(-m)
    inside = below_p + above_m + xp.log(-xp.expm1(-t))
    centre = (inside < math.log(SMALL)) & ~lowest & ~highest
    density = middle - log_scale + 2.0 * log_sigmoid(-middle) - math.log((n_values - 1) / 2)
    log_prob = xp.where(lowest, below_p, xp.where(highest, above_m, xp.where(centre, density, inside)))
    return Bins(inv_s, p, m, t, log_prob, lowest, highest, centre)


def bins_adjoint(g: Array, b: Bins) -> tuple[Array, Array]:
    """The gradients of mean and (clamped) log-scale for g on the log-probability.

    With the slopes  A = sigmoid(-p) (not at the highest bin),  B = sigmoid(m) (not at the lowest)  and  q = (p + m) / 2:

        d/dmean      = -(A - B) / s                            or where the density stands in   -(1 - 2 sigmoid(q)) / s
        d/dlog-scale = -(p A - m B) - t / (exp(t) - 1)                                          -q (1 - 2 sigmoid(q)) - 1
    """
    xp = get_xp(g, b.p)
    A, B = xp.where(b.highest, 0.0, sigmoid(-b.p)), xp.where(b.lowest, 0.0, sigmoid(b.m))
    q = 0.5 * (b.p + b.m)
    slope = xp.where(b.centre, 1.0 - 2.0 * sigmoid(q), A - B)
    by_width = xp.where(b.lowest | b.highest, 0.0, b.t / xp.expm1(xp.minimum(b.t, 80.0)))  # exp(80) is near float32's end
    by_scale = xp.where(b.centre, q * slope + 1.0, b.p * A - b.m * B + by_width)
    return -(g * slope * b.inv_s), -(g * by_scale)


def joint(mixture: Mixture, x: Array, n_values: int) -> tuple[Array, list[Bins]]:
    """log(weight of component) + log p(pixel | component) [B, M, L], and each colour's bins."""
    colours = [bins(x[:, c, None], shifted_mean(mixture, x, c), mixture.log_scales[c], n_values) for c in range(x.shape[1])]
    return log_softmax(mixture.logits, axis=1) + sum(b.log_prob for b in colours), colours


@operation(Example([(1, 20, 3)], (PIXELS, 11)), name="mixture_nll")
def nll(out: Array, x: Array, n_values: int) -> Array:
    """-sum over batch and pixels of log sum over components of weight times probability, in nats; x [B, C, L]."""
    xp = get_xp(out, x)
    log_prob, _ = joint(unpack(out, x.shape[1]), x, n_values)
    top = xp.max(log_prob, axis=1, keepdims=True)
    return -xp.sum(top[:, 0] + xp.log(xp.sum(xp.exp(log_prob - top), axis=1)))


@nll.adjoint(of=1)
def nll_adjoint(g: Array, out: Array, x: Array, n_values: int) -> Array:
    """The gradient of `out` [B, G M, L]: each component gets its share of the pixel, its responsibility."""
    xp, C, M = get_xp(out, x), x.shape[1], out.shape[1] // (1 + 2 * x.shape[1] + x.shape[1] * (x.shape[1] - 1) // 2)
    mixture = unpack(out, C)
    log_prob, colours = joint(mixture, x, n_values)
    share = -g * xp.exp(log_softmax(log_prob, axis=1))  # [B, M, L]
    means, log_scales, coefficients = group_numbers(C)
    d = [share + g * xp.exp(log_softmax(mixture.logits, axis=1))] + [None] * (out.shape[1] // M - 1)
    for c, b in enumerate(colours):
        d[means[c]], dlog_scale = bins_adjoint(share, b)
        raw = out[:, log_scales[c] * M : (log_scales[c] + 1) * M]
        d[log_scales[c]] = xp.where(raw < MIN_LOG_SCALE, 0.0, dlog_scale)
    for (c, e), n, coefficient in zip(colour_pairs(C), coefficients, mixture.coefficients, strict=True):
        d[n] = d[means[c]] * x[:, e, None] * (1.0 - coefficient * coefficient)
    return xp.concatenate(d, axis=1)


def mixture_nll(out: Array, x: Array, n_values: int = 256) -> Array:
    """The negative log-likelihood of data under a mixture of discretised logistics: nats, summed over everything.

    Parameters
    ----------
    out : array [B, mixture_channels(n_mix, C), L]
        The network's output; this module's docstring gives the order of its channels.
    x : array [B, C, L]
        Data in [-1, 1] on the grid of `n_values` values, dtype of `out`. It is data: no gradient flows into it.
    n_values : int, at least 2

    Returns
    -------
    nats : scalar of the arrays' dtype

    Raises
    ------
    TypeError, ValueError
        For dtypes or shapes that do not fit.

    Examples
    --------
    One component of scale 1, centred, and two values (-1 and 1): each has probability sigmoid(0) = 1/2.

    >>> out, x = np.zeros((1, 3, 4)), np.array([[[-1.0, 1.0, 1.0, -1.0]]])
    >>> bool(np.isclose(mixture_nll(out, x, n_values=2), 4 * np.log(2)))
    True
    """
    check_int("n_values", n_values, 2)
    out, x = check_floats("out", out, "[B, G n_mix, L]"), check_floats("x", x, "[B, C, L]")
    check_same_dtype(out=out, x=x)
    if out.ndim != 3 or x.ndim != 3 or out.shape[0] != x.shape[0] or out.shape[2] != x.shape[2]:
        raise ValueError(
            f"out [B, G n_mix, L] and x [B, C, L] must agree in B and L; got {tuple(out.shape)} and {tuple(x.shape)}"
        )
    return nll(out, x, n_values)
