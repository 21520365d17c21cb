"""The loss of the autoregressive network, as autograd knows it, and bits per dimension."""

from __future__ import annotations

import math
from typing import Any

from autograd.extend import defvjp, primitive

from ..autodiff.dispatch import call
from ..checks import check_floats, check_int, check_same_dtype


@primitive
def _mixture_nll(out, x, n_values):
    return call("mixture_nll", out, x, n_values)


defvjp(_mixture_nll, lambda ans, out, x, n_values: lambda g: call("mixture_nll_adjoint", g, out, x, n_values), None, None)


def mixture_nll(out: Any, x: Any, n_values: int = 256) -> Any:
    """The negative log-likelihood of data under a mixture of discretised logistics: nats, summed over everything.

    Parameters
    ----------
    out : array [B, mixture_channels(n_mix, C), L]
        The network's output; see `autodiff/mixture.py` for the order of its channels.
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

    >>> import numpy as np
    >>> out = np.zeros((1, 3, 4))
    >>> x = np.array([[[-1.0, 1.0, 1.0, -1.0]]])
    >>> bits_per_dimension(mixture_nll(out, x, n_values=2), x.size)
    1.0
    """
    check_int("n_values", n_values, 2)
    out, x = check_floats("out", out, "[B, G n_mix, L]"), check_floats("x", x, "[B, C, L]")
    check_same_dtype(out=out, x=x)
    if out.ndim != 3 or x.ndim != 3 or out.shape[0] != x.shape[0] or out.shape[2] != x.shape[2]:
        raise ValueError(
            f"out [B, G n_mix, L] and x [B, C, L] must agree in B and L; got {tuple(out.shape)} and {tuple(x.shape)}"
        )
    return _mixture_nll(out, x, n_values)


def bits_per_dimension(nats: Any, count: int) -> float:
    """nats / (count ln 2): `nats` summed over `count` numbers of the data.

    Examples
    --------
    >>> bits_per_dimension(math.log(256) * 12, 12)
    8.0
    """
    return float(nats) / (count * math.log(2))
