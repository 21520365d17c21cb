"""How rounding grows: the operator's error against depth, length and dtype, for every engine and for PyTorch.

The truth is computed by the tree in extended precision (`numpy.longdouble`, which has 64 bits of mantissa on x86). Filters and
weights are drawn as a network draws them. Every engine is given the same float32 or float64 numbers, so that the error is its own
rounding alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from ..base.agreement import measure
from ..base.checks import FLOATS, check_choice
from ..base.tables import text_table
from ..engines import get_engine, usable_engines
from ..network import NetworkConfig
from ..network.init import conv_entries
from ..ops.multires_conv import multires_conv
from ..tree import depth_for, kept_per_level


class StudyRow(NamedTuple):
    """One measurement: an engine on one problem."""

    engine: str
    dtype: str
    depth: int
    length: int
    peak: float  # the signal's largest value
    relative: float  # |error| / |truth|, norms over the samples looked at
    largest: float  # max |error| there
    ulp: float  # largest, in ulps of the largest |truth| there


def arguments(
    rng: np.random.Generator, depth: int, length: int, *, batch: int = 2, channels: int = 8, kernel_size: int = 2
) -> tuple[np.ndarray, ...]:
    """x, h0, h1, w, w_skip in float64: x ~ N(0, 1), and a layer's parameters as `network.init` draws them."""
    config = NetworkConfig(channels, channels, channels, 1, kernel_size=kernel_size, depth=depth)
    x = rng.standard_normal((batch, channels, length))
    return x, *(entry.start(rng, entry.shape, "float64") for entry in conv_entries(config).values())


def truth(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The operator (fading tree) in extended precision: [B, D, L].

    Examples
    --------
    >>> arrays = arguments(np.random.default_rng(0), depth=3, length=16)
    >>> truth(arrays).dtype == np.longdouble
    True
    """
    x, h0, h1, w, w_skip = (a.astype(np.longdouble) for a in arrays)
    return get_engine("tree").forward(x, h0, h1, w, w_skip, kept_per_level(w.shape[1] - 1, h0.shape[-1]))


def engines_here() -> list[str]:
    """What can be studied on this machine: the CPU engines, and PyTorch if it is installed."""
    return usable_engines() + (["PyTorch"] if find_spec("torch") else [])


def run_engine(engine: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The operator by an engine's name, or "PyTorch" (dilated depthwise convolutions)."""
    if engine != "PyTorch":
        return multires_conv(*arrays, engine=engine)
    import torch

    from ..authors.torch_operations import multires_conv as by_torch

    with torch.no_grad():
        return by_torch(*map(torch.from_numpy, arrays), kept_per_level(arrays[3].shape[1] - 1, arrays[1].shape[-1])).numpy()


def study(
    arrays: Sequence[np.ndarray], engines: Iterable[str], dtypes: Iterable[str], until: int | None = None
) -> list[StudyRow]:
    """The error of every engine in every dtype, over the samples before `until` (None: over all samples)."""
    rows = []
    for dtype in dtypes:
        rounded = [a.astype(check_choice("dtype", dtype, FLOATS)) for a in arrays]
        exact = truth(rounded)[..., :until]
        x, depth = rounded[0], rounded[3].shape[1] - 1
        for engine in engines:
            y = run_engine(engine, rounded)[..., :until]
            error = measure(y.astype(np.longdouble), exact, np.inf)
            ulp = error.largest / float(np.spacing(np.dtype(dtype).type(np.abs(exact).max())))
            size = (depth, x.shape[2], float(np.abs(x).max()))
            rows.append(StudyRow(engine, dtype, *size, error.relative, error.largest, ulp))
    return rows


def error_by_depth(
    depths: Iterable[int] = range(1, 13),
    length: int = 4096,
    *,
    engines: Sequence[str] | None = None,
    dtypes: Sequence[str] = FLOATS,
    rng: np.random.Generator | None = None,
) -> list[StudyRow]:
    """Error against depth, at one length.

    Examples
    --------
    >>> rows = error_by_depth([1, 4], length=64, engines=["tree"], dtypes=["float32"])
    >>> [(row.depth, row.relative < 1e-6) for row in rows]
    [(1, True), (4, True)]
    """
    rng, engines = np.random.default_rng(0) if rng is None else rng, engines or engines_here()
    return [row for depth in depths for row in study(arguments(rng, depth, length), engines, dtypes)]


def error_by_length(
    lengths: Iterable[int] = tuple(2**n for n in range(6, 16)),
    *,
    engines: Sequence[str] | None = None,
    dtypes: Sequence[str] = FLOATS,
    rng: np.random.Generator | None = None,
) -> list[StudyRow]:
    """Error against length; the depth is the smallest one that covers the length (K = 2).

    Examples
    --------
    >>> rows = error_by_length([16, 64], engines=["tree"], dtypes=["float64"])
    >>> [(row.length, row.depth, row.relative < 1e-14) for row in rows]
    [(16, 4, True), (64, 6, True)]
    """
    rng, engines = np.random.default_rng(0) if rng is None else rng, engines or engines_here()
    return [row for L in lengths for row in study(arguments(rng, depth_for(L, 2), L), engines, dtypes)]


def error_by_peak(
    peaks: Iterable[float] = tuple(10.0**n for n in range(7)),
    length: int = 4096,
    depth: int = 12,
    *,
    engines: Sequence[str] | None = None,
    dtypes: Sequence[str] = ("float32",),
    rng: np.random.Generator | None = None,
) -> list[StudyRow]:
    """Error *before* a spike of growing height, which a causal operator does not see there.

    The signal is N(0, 1) noise with one sample of size `peak` at three quarters of its length; only the samples before it are
    looked at. An engine that works sample by sample is not touched by the spike. A Fourier transform mixes all samples: its
    rounding is about eps times the *largest* value, and so a large value anywhere costs digits everywhere.

    Examples
    --------
    >>> few, many = error_by_peak([1.0, 1e6], length=64, depth=4, engines=["tree"])
    >>> few.relative == many.relative  # the spike is still to come
    True
    """
    rng, engines = np.random.default_rng(0) if rng is None else rng, engines or engines_here()
    arrays, at, rows = arguments(rng, depth, length), 3 * length // 4, []
    for peak in peaks:
        x = arrays[0].copy()
        x[..., at] = peak
        rows += [row._replace(peak=peak) for row in study((x, *arrays[1:]), engines, dtypes, at)]
    return rows


def format_study(rows: list[StudyRow]) -> str:
    """The rows as a table.

    Examples
    --------
    >>> print(format_study(error_by_depth([1], length=8, engines=["tree"], dtypes=["float64"])).split("\\n")[0])
    engine    dtype  depth  length     peak  relative  largest  ulp
    """
    header = ["engine", "dtype", "depth", "length", "peak", "relative", "largest", "ulp"]
    lines = [
        [*map(str, row[:4]), f"{row.peak:.1e}", f"{row.relative:.1e}", f"{row.largest:.1e}", f"{row.ulp:.1f}"] for row in rows
    ]
    return text_table(header, lines)


def by_engine(rows: Iterable[StudyRow], x: str) -> dict[tuple[str, str], tuple[list[Any], list[float]]]:
    """The rows as curves: (engine, dtype) -> (the values of field `x`, the relative errors)."""
    curves: dict[tuple[str, str], tuple[list[Any], list[float]]] = {}
    for row in rows:
        along, errors = curves.setdefault((row.engine, row.dtype), ([], []))
        along.append(getattr(row, x))
        errors.append(row.relative)
    return curves
