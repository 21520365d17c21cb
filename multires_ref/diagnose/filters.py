"""What the filters of a network are: the nearest wavelet of every pair, how well it can be undone, and what its memory keeps."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from ..base.checks import check_number
from ..base.tables import text_table
from ..base.threads import limited
from ..memories import forgetting_curve, memory_matrix
from ..network import Model
from .nearest_wavelet import nearest_wavelets

TOLERANCE = 0.005  # of a vanishing moment
FREQUENCIES = 129  # at which the two-channel bank is looked at, from 0 to half the sampling rate
LOST = 1e-9  # singular values below this share of the largest are rounding
AT_ONCE = 32  # channels whose matrices are made at once


@dataclass(frozen=True)
class FilterRow:
    """One pair of filters: of a channel, or of one level of a channel where filters are untied.

    `half_lag` is the first lag at which less than half of white noise is known, `known` the sum of the channel's forgetting
    curve.
    """

    layer: int  # from 1
    channel: int  # from 0
    level: int | None  # from 1, fine to coarse; None for filters that all levels share
    wavelet: str
    equal: tuple[str, ...]
    distance: float
    way: str
    shift: int
    reconstruction_error: float
    condition: float
    vanishing_moments: int
    half_lag: int
    known: float


@dataclass(frozen=True)
class FilterReport:
    """The rows of all layers; prints as two tables, and `to_dict` is for JSON."""

    rows: list[FilterRow]
    taps: int
    tolerance: float

    def of_layer(self, layer: int) -> list[FilterRow]:
        """The rows of one layer, counted from 1."""
        return [row for row in self.rows if row.layer == layer]

    def layers(self) -> list[int]:
        """The numbers of the layers, from 1."""
        return list(dict.fromkeys(row.layer for row in self.rows))

    def summary(self) -> str:
        """A line for each layer: the names that are nearest most often, and medians."""
        rows = []
        for layer in self.layers():
            mine = self.of_layer(layer)
            names = ", ".join(f"{name} ({count})" for name, count in Counter(r.wavelet for r in mine).most_common(3))
            fields = ("distance", "reconstruction_error", "condition", "vanishing_moments", "half_lag", "known")
            middle = [float(np.median([getattr(r, field) for r in mine])) for field in fields]
            nearest = min(r.distance for r in mine)
            cells = [f"{nearest:.3f}", f"{middle[0]:.3f}", f"{middle[1]:.1e}", *(f"{value:.3g}" for value in middle[2:])]
            rows.append([f"layer {layer}", names, *cells])
        header = ["medians", "nearest most often", "least", "distance", "PR error", "condition", "moments", "half lag", "known"]
        return text_table(header, rows)

    def table(self, rows: list[FilterRow] | None = None) -> str:
        """A line for each pair of filters (of all, or of those given)."""
        header = ["pair", "wavelet", "distance", "way", "shift", "PR error", "condition", "moments", "half lag", "known"]
        return text_table(header, [cells_of(row) for row in (self.rows if rows is None else rows)])

    def __str__(self) -> str:
        low, middle, _ = chance(self.taps)
        nearest = sorted(self.rows, key=lambda row: row.distance)[:10]
        note = f"distances of random pairs of {self.taps} taps: median {middle:.3f}, one in twenty below {low:.3f}"
        return f"{self.summary()}\n{note}\n\nthe ten pairs that are nearest to a wavelet\n{self.table(nearest)}"

    def to_dict(self) -> dict[str, Any]:
        """The same as plain numbers, lists and strings, for JSON; an infinite condition becomes the word."""
        rows = [asdict(row) | {"equal": list(row.equal)} for row in self.rows]
        for row in rows:
            row["condition"] = row["condition"] if np.isfinite(row["condition"]) else "inf"
        low, middle, high = chance(self.taps)
        by_chance = {"5 %": low, "50 %": middle, "95 %": high}
        return {"taps": self.taps, "tolerance": self.tolerance, "distances of random pairs": by_chance, "rows": rows}


def cells_of(row: FilterRow) -> list[str]:
    """A row of the table."""
    pair = f"layer {row.layer}, channel {row.channel}" + ("" if row.level is None else f", level {row.level}")
    name = "/".join((row.wavelet, *row.equal))
    numbers = [f"{row.reconstruction_error:.1e}", f"{row.condition:.3g}", str(row.vanishing_moments)]
    return [pair, name, f"{row.distance:.3f}", row.way, str(row.shift), *numbers, str(row.half_lag), f"{row.known:.1f}"]


def filter_report(model: Model, tolerance: float = TOLERANCE) -> FilterReport:
    """For every layer and channel: the nearest wavelet of its filters, perfect reconstruction, moments, and its memory.

    - **Nearest wavelet**: of PyWavelets' 106 discrete ones, up to shift, sign, time reversal and scale. `distance` is
      sqrt(1 - (c0^2 + c1^2) / 2), c being the cosine of the angle between h0 and `dec_lo`, and between h1 and `dec_hi`, at the
      best common shift (`nearest_wavelet.py`). Several names can have the same filters, such as haar, db1, bior1.1 and rbio1.1.
    - **Perfect reconstruction** of the two-channel bank with decimation by 2. `reconstruction_error` is the distance of the whole
      bank from a pure delay with the best synthesis filters of K taps, the square root of

          min over g0, g1 and the delay d of  ||(h0 * g0 + h1 * g1) / 2 - delta_d||^2 + ||(h0' * g0 + h1' * g1) / 2||^2,

      with h'[k] = (-1)^k h[k] for the alias term: 0 for a wavelet, 1 if nothing can be done. Any pair of two taps that are
      not parallel can be undone exactly, so there is `condition` beside it: the largest singular value over the smallest of the
      polyphase matrix over all frequencies, both filters with norm 1. It is 1 for an orthogonal wavelet, and infinite where a
      frequency is lost.
    - **Vanishing moments** of h1: the first p for which `|sum_k k^p h1[k]|` exceeds `tolerance` times `sum_k |k|^p |h1[k]|`, with
      k counted from the middle of the filter.
    - **Memory**: `half_lag` and `known`, from the forgetting curve of the channel (`memories.forgetting_curve`).

    Parameters
    ----------
    model : Model, tied or untied
    tolerance : float, between 0 and 1

    Examples
    --------
    >>> from multires_ref import NetworkConfig
    >>> config = NetworkConfig(1, 10, d_model=4, n_layers=1, max_length=32, kernel_size=4, wavelet="db2")
    >>> report = filter_report(Model.init(config, np.random.default_rng(0), "float64"))
    >>> row = report.rows[0]
    >>> row.wavelet, row.equal, row.vanishing_moments, row.reconstruction_error < 1e-9, round(row.condition, 6)
    ('db2', ('sym2',), 2, True, 1.0)
    """
    check_number("tolerance", tolerance, 0, 1)
    rows: list[FilterRow] = []
    with limited(work=0):  # small matrices: several threads would wait for each other
        for n, block in enumerate(model.params["blocks"], start=1):
            rows += rows_of_layer(n, block["conv"], model.config.J, model.config.tree_select, tolerance)
    return FilterReport(rows, model.config.kernel_size, tolerance)


def rows_of_layer(layer: int, conv: dict[str, Any], depth: int, tree_select: str, tolerance: float) -> list[FilterRow]:
    """The rows of one layer: channel by channel, and level by level where the filters are untied."""
    h0, h1 = (np.asarray(conv[name], np.float64) for name in ("h0", "h1"))
    remembered = memories_of_channels(h0, h1, depth, tree_select, conv["w"].shape[1])
    rows = []
    for level in range(1, depth + 1) if h0.ndim == 3 else (None,):
        lo, hi = (h0, h1) if level is None else (h0[level - 1], h1[level - 1])
        errors, conditions = reconstruction_error(lo, hi), condition(lo, hi)
        for d, found in enumerate(nearest_wavelets(lo, hi)):
            half_lag, known = remembered[d]
            moments = vanishing_moments(hi[d], tolerance)
            rows.append(FilterRow(layer, d, level, *found, float(errors[d]), float(conditions[d]), moments, half_lag, known))
    return sorted(rows, key=lambda row: (row.channel, row.level or 0))


def memories_of_channels(h0: np.ndarray, h1: np.ndarray, depth: int, tree_select: str, size: int) -> list[tuple[int, float]]:
    """For each channel the first lag at which its forgetting curve is below one half, and the sum of the curve."""
    found = []
    for first in range(0, h0.shape[-2], AT_ONCE):
        some = [h[..., first : first + AT_ONCE, :] for h in (h0, h1)]
        for M in memory_matrix(*some, depth, tree_select, size)[0]:
            curve = forgetting_curve(M) if M.any() else np.zeros(M.shape[1])
            below = np.append(curve, 0.0) < 0.5 - 1e-9  # a share of exactly one half is not below it
            found.append((int(below.argmax()), float(curve.sum())))
    return found


def convolution_matrices(h: np.ndarray) -> np.ndarray:
    """C [D, 2 K - 1, K] with C g = h * g, the full convolution, for each h of [D, K]."""
    D, K = h.shape
    C = np.zeros((D, 2 * K - 1, K))
    for k in range(K):
        C[:, k : k + K, k] = h
    return C


def normalised(h: np.ndarray) -> np.ndarray:
    """Each filter of [D, K] divided by its norm; one that is 0 stays 0."""
    norm = np.linalg.norm(h, axis=-1, keepdims=True)
    return np.divide(h, norm, out=np.zeros_like(h), where=norm > 0)


def reconstruction_error(h0: np.ndarray, h1: np.ndarray) -> np.ndarray:
    """How far each pair [D, K] is from perfect reconstruction with the best synthesis filters of K taps: [D].

    Examples
    --------
    >>> h0, h1 = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[1.0, -1.0], [1.0, 1.0]])  # Haar; and a pair without differences
    >>> reconstruction_error(h0, h1).round(3) + 0.0
    array([0.   , 0.707])
    """
    h0, h1, K = normalised(h0), normalised(h1), h0.shape[-1]
    sign = (-1.0) ** np.arange(K)
    direct = np.concatenate([convolution_matrices(h) for h in (h0, h1)], axis=2)
    alias = np.concatenate([convolution_matrices(h * sign) for h in (h0, h1)], axis=2)
    u, s, _ = np.linalg.svd(np.concatenate((direct, alias), axis=1), full_matrices=False)  # [D, 4 K - 2, 2 K]
    reached = (u[:, : 2 * K - 1] ** 2 * (s > LOST * s[:, :1])[:, None]).sum(axis=2)  # of each delay, [D, 2 K - 1]
    return np.sqrt(np.maximum(0, 1 - reached.max(axis=1)))


def condition(h0: np.ndarray, h1: np.ndarray) -> np.ndarray:
    """Largest over smallest singular value of the polyphase matrix of each pair [D, K], over all frequencies: [D].

    Examples
    --------
    >>> condition(np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([[1.0, -1.0], [3.0, 4.0]])).round(6)
    array([1., 2.])
    """
    w = 2 * np.pi * np.linspace(0, 0.5, FREQUENCIES)
    phases = []
    for h in (normalised(h0), normalised(h1)):
        parts = [h[:, first::2] for first in (0, 1)]
        phases.append([part @ np.exp(-1j * np.outer(np.arange(part.shape[1]), w)) for part in parts])  # [D, frequencies] each
    E = np.moveaxis(np.array(phases), (0, 1), (2, 3))  # [D, frequencies, 2, 2]
    s = np.linalg.svd(E, compute_uv=False)
    least, most = s[..., 1].min(axis=1), s[..., 0].max(axis=1)
    return np.divide(most, least, out=np.full(len(h0), np.inf), where=least > LOST * most)


def vanishing_moments(h1: np.ndarray, tolerance: float = TOLERANCE) -> int:
    """How many moments of h1 [K] vanish, from the sum of its taps on: see `filter_report`; K for a filter that is 0.

    Examples
    --------
    >>> vanishing_moments(np.array([-1.0, 2.0, -1.0])), vanishing_moments(np.array([1.0, 1.0]))
    (2, 0)
    """
    k = np.linspace(-1, 1, len(h1))
    for p in range(len(h1)):
        if abs((k**p * h1).sum()) > tolerance * (abs(k) ** p * abs(h1)).sum():
            return p
    return len(h1)


@cache
def chance(taps: int, pairs: int = 400) -> tuple[float, float, float]:
    """The distances below which 5, 50 and 95 percent of random pairs of so many taps are from their nearest wavelet.

    Examples
    --------
    >>> low, middle, high = chance(4)
    >>> 0.2 < low < middle < high < 1
    True
    """
    h0, h1 = np.random.default_rng(0).standard_normal((2, pairs, taps))
    low, middle, high = np.percentile([found.distance for found in nearest_wavelets(h0, h1)], (5, 50, 95))
    return float(low), float(middle), float(high)
