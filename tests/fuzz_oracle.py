"""What results must be: the loops of `definition.py` in double precision, and how far rounding may carry a result from them.

The error allowed in each number is a small multiple of the unit roundoff times the same computation on absolute values: the usual
forward error bound, whatever cancels. An engine that works by Fourier transforms mixes all samples of a row, so its bound is the
product of the sums of absolute values of the signal and of the kernel.
"""

from __future__ import annotations

import numpy as np

from multires_ref.definition import memory_loops, multires_conv_loops, pyramid_loops

ROUNDINGS = 64  # unit roundoffs; sums of up to about 100 terms, several levels deep, stay below 20 of them


class Wrong(AssertionError):
    """A result that is not what it must be."""


def wide(*arrays):
    """The same numbers in the widest float there is."""
    return tuple(np.asarray(a, dtype=np.longdouble) for a in arrays)


def layer(arrays, options):
    """The layer by loops, and its bound: y and the same on absolute values, [B, D, L]."""
    return tuple(multires_conv_loops(*wide(*five), **options) for five in (arrays, [abs(a) for a in wide(*arrays)]))


def fft_bound(arrays, options):
    """sum |x| times sum |kernel|, for every row."""
    x, *rest = (abs(a) for a in wide(*arrays))
    impulse = np.zeros((1, *x.shape[1:]), np.longdouble)
    impulse[..., 0] = 1
    kernel = multires_conv_loops(impulse, *rest, **options)
    return np.broadcast_to(x.sum(axis=-1, keepdims=True) * kernel.sum(axis=-1, keepdims=True), x.shape)


def lost_to_underflow(dtype, *filters):
    """What underflow may take from a result: the smallest number that there is, times the largest gain of all later steps."""
    gain = np.longdouble(1)
    for h in filters:
        gain *= 1 + abs(np.asarray(h, dtype=np.longdouble)).sum()
    return 1000 * np.finfo(dtype).smallest_subnormal * gain**4


def require(found, expected, bound, what, dtype, underflow=0):
    """Raise unless `found` has the shape and dtype, and equals `expected` where that is finite and can be represented."""
    if type(found) is not np.ndarray:
        raise Wrong(f"{what}: an ndarray was expected; got {type(found).__name__}")
    if found.shape != np.shape(expected) or found.dtype != dtype:
        raise Wrong(f"{what}: {np.shape(expected)} {dtype} was expected; got {found.shape} {found.dtype}")
    with np.errstate(all="ignore"):
        safe = bound < np.finfo(np.dtype(dtype)).max / 1e4  # beyond it a step on the way may overflow
        allowed = ROUNDINGS * np.finfo(np.dtype(dtype)).eps * bound + underflow
        good = ~safe | (abs(found - expected) <= allowed)
    if not good.all():
        at = np.unravel_index(np.argmin(good), good.shape)
        numbers = f"{found[at]!r}, {expected[at]!r} was expected within {float(np.broadcast_to(allowed, good.shape)[at]):.2g}"
        raise Wrong(f"{what}: at {tuple(map(int, at))} it is {numbers}")


def rows_of(x, h0, h1):
    """The channels of x [..., L] or [..., D, L] one by one, each with its filters [K] or [J, K]."""
    for index in np.ndindex(x.shape[:-1]):
        d = index[-1] if h0.ndim > 1 else None
        yield index, x[index], *((h if d is None else h[..., d, :]) for h in (h0, h1))


def pyramid(x, h0, h1, depth):
    """All levels by loops: [(a_1, b_1), ...]."""
    x, h0, h1 = wide(x, h0, h1)
    levels = [(np.empty_like(x), np.empty_like(x)) for _ in range(depth)]
    for index, row, low, high in rows_of(x, h0, h1):
        for (a, b), (ra, rb) in zip(levels, pyramid_loops(row, low, high, depth), strict=True):
            a[index], b[index] = ra, rb
    return levels


def memory(x, h0, h1, depth, tree_select, m):
    """The memory by loops: [..., m, L]."""
    x, h0, h1 = wide(x, h0, h1)
    z = np.empty((*x.shape[:-1], m, x.shape[-1]), np.longdouble)
    for index, row, low, high in rows_of(x, h0, h1):
        levels = pyramid_loops(row, low, high, depth)
        for n in range(len(row)):
            z[(*index, slice(None), n)] = memory_loops(levels, n, h0.shape[-1], tree_select, m)
    return z
