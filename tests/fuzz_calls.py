"""The public functions that the fuzzer calls: how to draw good arguments, what must come out, and which arguments are bad.

A maker takes a Generator and returns a `Call`. Its `arguments` are good; `check(result)` raises `Wrong` unless the result is
right; `kinds` says what each argument is, so that the fuzzer can put something bad in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import autograd
import fuzz_oracle as oracle
import numpy as np
import pywt
from fuzz_oracle import Wrong, require
from fuzz_values import array, pick, with_bad_samples

import multires_ref as mr
from multires_ref.base.layer_checks import wavelet_names
from multires_ref.engines import choose, usable_engines
from multires_ref.tree import kept_per_level

ENGINES = ["auto", *usable_engines()]
DTYPES = ("float32", "float64")
SHORT = [name for name in wavelet_names() if pywt.Wavelet(name).dec_len <= 12]


@dataclass
class Call:
    """One call with good arguments."""

    function: Callable
    arguments: dict[str, Any]
    check: Callable[[Any], None]
    kinds: dict[str, str] = field(default_factory=dict)  # argument -> "array", "int", "name" or "wavelet"
    words: tuple[str, ...] = ()  # beside the arguments' names, what a message may name
    may_warn: bool = False  # of numbers that are not finite


def sizes(rng):
    """B, D, L, K, J, m, tree_select and whether filters are untied."""
    B, D, K, J = (int(rng.integers(1, n)) for n in (3, 4, 7, 5))
    L, select = int(pick(rng, (1, 2, 3, 5, 8, 13, 21, 32))), pick(rng, ("fading", "uniform"))
    m = J + 1 if select == "fading" else int(rng.integers(1, 4 * J + 12))
    return B, D, L, K + 1, J, m, select, bool(rng.integers(2))


def layer_arguments(rng, dtype):
    """The five arrays and the options of the layer."""
    B, D, L, K, J, m, select, untied = sizes(rng)
    shape = (J, D, K) if untied else (D, K)
    arrays = [array(rng, s, dtype) for s in ((B, D, L), shape, shape, (D, m), (D,))]
    depth = {} if select == "fading" and rng.integers(2) else {"depth": J}
    return arrays, {"tree_select": select} | depth, (J, K, m)


def layer_bound(arrays, options, engine, numbers):
    """What the layer must give, and how large its error may be."""
    expected, bound = oracle.layer(arrays, options)
    if engine != "traced" and layer_engine(engine, arrays, options, numbers) == "fft":
        bound = np.maximum(bound, oracle.fft_bound(arrays, options)) * np.longdouble(2)
    return expected, bound, oracle.lost_to_underflow(arrays[0].dtype, *arrays[1:]) * arrays[0].shape[-1]


LAYER = dict.fromkeys(("x", "h0", "h1", "w", "w_skip"), "array") | {"tree_select": "name", "depth": "int", "engine": "name"}


def multires_conv(rng):
    """The layer by every engine."""
    dtype, engine = pick(rng, DTYPES), pick(rng, ENGINES)
    arrays, options, numbers = layer_arguments(rng, dtype)

    def check(y):
        expected, bound, lost = layer_bound(arrays, options, engine, numbers)
        require(y, expected, bound, "y", dtype, lost)

    arguments = dict(zip(LAYER, arrays, strict=False)) | options | {"engine": engine}
    return Call(mr.multires_conv, arguments, check, LAYER, ("size",))


def layer_by_loops(rng):
    """The oracle itself, held to the layer written out for autograd."""
    arrays, options, numbers = layer_arguments(rng, "float64")

    def check(y):
        _, bound, lost = layer_bound(arrays, options, "traced", numbers)
        require(y, mr.multires_conv_traced(*arrays, **options), bound, "y", "float64", lost)

    return Call(mr.multires_conv_loops, dict(zip(LAYER, arrays, strict=False)) | options, check)


def not_finite(rng):
    """NaN or infinity at one place of x: outputs before it, and all other rows, are what they are without it."""
    dtype, engine = pick(rng, DTYPES), pick(rng, ENGINES)
    arrays, options, numbers = layer_arguments(rng, dtype)
    x, (b, d, n) = with_bad_samples(rng, arrays[0])

    def check(y):
        expected, bound, lost = layer_bound(arrays, options, engine, numbers)
        clean = np.ones(y.shape, bool)
        clean[b, d, n:] = False
        require(np.where(clean, y, 0), np.where(clean, expected, 0), bound, "y before the bad sample", dtype, lost)

    arguments = dict(zip(LAYER, [x, *arrays[1:]], strict=False)) | options | {"engine": engine}
    return Call(mr.multires_conv, arguments, check, may_warn=True)


def gradients(rng):
    """The gradients of all five arrays, held to those of the layer written out, in double precision."""
    dtype, engine = pick(rng, DTYPES), pick(rng, ENGINES)
    arrays, options, numbers = layer_arguments(rng, dtype)
    g = array(rng, arrays[0].shape, dtype)

    def of(function, five, weights, **more):
        vjp, y = autograd.make_vjp(lambda a: function(*a, **options, **more))(five)
        return tuple(np.asarray(d) for d in vjp(weights.astype(y.dtype)))

    def call(x, h0, h1, w, w_skip, g):
        return of(mr.multires_conv, (x, h0, h1, w, w_skip), g, engine=engine)

    def check(found):
        doubles = tuple(a.astype("float64") for a in arrays)
        expected = of(mr.multires_conv_traced, doubles, g)
        bounds = of(mr.multires_conv_traced, tuple(abs(a) for a in doubles), abs(g))
        lost = oracle.lost_to_underflow(dtype, g, *arrays) * g.size
        for name, a, e, bound in zip(LAYER, found, expected, bounds, strict=False):
            bound = bound + abs(bound).max() * (layer_engine(engine, arrays, options, numbers) == "fft")
            require(a, e, 4 * bound.astype(np.longdouble), f"the gradient of {name}", dtype, lost)

    return Call(call, dict(zip(LAYER, arrays, strict=False)) | {"g": g}, check)


def layer_engine(engine, arrays, options, numbers):
    """The engine that runs."""
    J, K, m = numbers
    return choose(engine, arrays[0], J, kept_per_level(J, K, options["tree_select"], m), K)


def tree_arguments(rng, dtype):
    """x, h0 and h1 of `pyramid` and `memory`, with and without channels."""
    B, D, L, K, J, m, select, untied = sizes(rng)
    shape = ((J, D, K) if untied else (D, K)) if rng.integers(2) else (K,)
    lead = () if len(shape) == 1 and rng.integers(2) else (D,) if rng.integers(2) else (B, D)
    return [array(rng, s, dtype) for s in ((*lead, L), shape, shape)], J, m, select


TREE = {"x": "array", "h0": "array", "h1": "array", "depth": "int"}


def check_levels(levels, expected, arrays, J, dtype):
    """Every coefficient of every level."""
    bounds = oracle.pyramid(*(abs(a) for a in arrays), J)
    if len(levels) != J:
        raise Wrong(f"{J} levels were expected; got {len(levels)}")
    for i, (pair, right, bound) in enumerate(zip(levels, expected, bounds, strict=True), start=1):
        for c, e, s, name in zip(pair, right, bound, "ab", strict=True):
            require(c, e, s, f"{name}_{i}", dtype, oracle.lost_to_underflow(dtype, *arrays[1:]))


def pyramid(rng):
    """All coefficients of the tree."""
    dtype = pick(rng, DTYPES)
    arrays, J, *_ = tree_arguments(rng, dtype)

    def check(levels):
        check_levels(levels, oracle.pyramid(*arrays, J), arrays, J, dtype)

    return Call(mr.pyramid, dict(zip(TREE, [*arrays, J], strict=True)), check, TREE)


def memory(rng):
    """The memory at every time, and the label of each of its rows."""
    dtype = pick(rng, DTYPES)
    arrays, J, m, select = tree_arguments(rng, dtype)

    def check(result):
        z, rows = result
        bound = oracle.memory(*(abs(a) for a in arrays), J, select, m)
        require(z, oracle.memory(*arrays, J, select, m), bound, "z", dtype, oracle.lost_to_underflow(dtype, *arrays[1:]))
        if rows != mr.memory_rows(J, arrays[1].shape[-1], select, m):
            raise Wrong(f"the rows are not those of memory_rows: {rows}")

    arguments = dict(zip(TREE, [*arrays, J], strict=True)) | {"tree_select": select, "size": m}
    return Call(mr.memory, arguments, check, TREE | {"tree_select": "name", "size": "int"}, ("m",))


def memory_rows(rng):
    """One label for each row, a_J first, then details from coarse to fine, spaced 2^i."""
    _, _, _, K, J, m, select, _ = sizes(rng)

    def check(rows):
        if len(rows) != m or rows[0] != (J, "a", 0):
            raise Wrong(f"{m} rows that begin with a_{J} were expected; got {rows}")
        used = [row for row in rows[1:] if row.kind != "unused"]
        if [row.level for row in used] != sorted((row.level for row in used), reverse=True):
            raise Wrong(f"levels must go from coarse to fine; got {rows}")
        lags = {level: [row.lag for row in used if row.level == level] for level in {row.level for row in used}}
        if any(lag != [t * 2**level for t in range(len(lag))] for level, lag in lags.items()):
            raise Wrong(f"lags must be multiples of 2^level; got {rows}")

    arguments = {"depth": J, "kernel_size": K, "tree_select": select, "size": m}
    kinds = {"depth": "int", "kernel_size": "int", "tree_select": "name", "size": "int"}
    return Call(mr.memory_rows, arguments, check, kinds, ("m",))


def depth_for(rng):
    """The smallest depth whose receptive field covers the length."""
    L, K = int(10 ** rng.uniform(0, 15)), int(10 ** rng.uniform(0.31, 3))

    def check(J):
        reach = [(K - 1) * (2**j - 1) + 1 for j in (J - 1, J)]
        if not (reach[1] >= L and (J == 1 or reach[0] < L)):
            raise Wrong(f"depth {J} for length {L} and {K} taps")

    kinds = {"length": "int", "kernel_size": "int"}
    return Call(mr.depth_for, {"length": L, "kernel_size": K}, check, kinds)


def receptive_field(rng):
    """(K - 1)(2^J - 1) + 1."""
    J, K = int(rng.integers(1, 61)), int(rng.integers(2, 100))

    def check(found):
        if found != 1 + sum((K - 1) * 2**i for i in range(J)):
            raise Wrong(f"{found} for depth {J} and {K} taps")

    kinds = {"depth": "int", "kernel_size": "int"}
    return Call(mr.receptive_field, {"depth": J, "kernel_size": K}, check, kinds)
