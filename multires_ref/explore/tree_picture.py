"""The tree as columns of a picture: coefficients and taps, what each TreeSelect keeps, and what one coefficient depends on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..plots.tree import GAP, tree_lags
from ..tree import Row, memory_rows, receptive_field
from .hearing import subscript
from .pair import taps_of
from .state import State, most_uniform

MOST_LAGS = 256  # the newest that are drawn
MOST_LINES = 3000  # taps that are drawn
SHOWN_TERMS = 6  # of a formula


def height(kind: str, level: int) -> float:
    """Where a coefficient stands: a_i a little above its level, b_i a little below, the input at 0."""
    return float(level) if level == 0 else level + (GAP if kind == "a" else -GAP)


def nodes(depth: int, K: int) -> dict[str, list[Any]]:
    """The coefficients behind a_J[n], the newest MOST_LAGS of every level: level, kind, lag."""
    lags = [[lag for lag in level if lag < MOST_LAGS] for level in tree_lags(depth, K)]
    rows = [(i, kind, lag) for i, level in enumerate(lags) for kind in ("ab" if i else "x") for lag in level]
    return {name: list(column) for name, column in zip(("level", "kind", "lag"), zip(*rows, strict=True), strict=True)}


def tap_lines(depth: int, K: int) -> list[tuple[int, int, int]]:
    """The taps that are drawn, (level, lag, k): for every level the newest coefficients, at most MOST_LINES in all."""
    each = max(1, MOST_LINES // (depth * K))
    lags = tree_lags(depth, K)
    return [
        (i, lag, k) for i in range(1, depth + 1) for lag in lags[i][:each] for k in range(K) if lag + k * 2 ** (i - 1) < MOST_LAGS
    ]


def kept(state: State, tree_select: str) -> list[Row]:
    """The rows of the memory that a TreeSelect keeps; of the uniform one as many as the page's m."""
    K = taps_of(state)
    size = None if tree_select == "fading" else min(state.m or state.depth + 1, most_uniform(state.depth, K))
    return [row for row in memory_rows(state.depth, K, tree_select, size) if row.kind != "unused"]


def looked_at(state: State) -> Row:
    """The coefficient that is looked at: a_J[n] where none is chosen, or one that this tree does not have."""
    row = Row(state.level, state.kind, state.lag)
    lags = tree_lags(state.depth, taps_of(state))
    there = 1 <= row.level <= state.depth and row.lag in lags[row.level]
    return row if there else Row(state.depth, "a", 0)


def ancestors(row: Row, K: int) -> set[tuple[int, int]]:
    """(level, lag) of every approximation that the coefficient is made from, level 0 being the input."""
    found, lags = set(), {row.lag}
    for i in range(row.level, 0, -1):
        lags = {lag + k * 2 ** (i - 1) for lag in lags for k in range(K)}
        lags = {lag for lag in lags if lag < MOST_LAGS}
        found |= {(i - 1, lag) for lag in lags}
    return found


def coefficient_name(kind: str, level: int, lag: int) -> str:
    """A coefficient in letters of the screen.

    Examples
    --------
    >>> coefficient_name("b", 3, 8), coefficient_name("a", 0, 0)
    ('b₃[n−8]', 'x[n]')
    """
    name = "x" if level == 0 else f"{kind}{subscript(level)}"
    return f"{name}[n{f'−{lag}' if lag else ''}]"


def formula(row: Row, h: np.ndarray) -> str:
    """The sum that makes a coefficient, with its taps as numbers; h [K] are those of its kind.

    Examples
    --------
    >>> formula(Row(2, "b", 4), np.array([0.5, -0.5]))
    'b₂[n−4] = Σₖ h1[k] a₁[n−4−2k] = 0.5 a₁[n−4] − 0.5 a₁[n−6]'
    """
    step, name = 2 ** (row.level - 1), "h0" if row.kind == "a" else "h1"
    below = coefficient_name("a", row.level - 1, row.lag)[:-1]
    general = f"Σₖ {name}[k] {below}−{'' if step == 1 else step}k]"
    terms = [
        f"{'−' if tap < 0 else '+'} {abs(tap):.3g} {coefficient_name('a', row.level - 1, row.lag + k * step)}"
        for k, tap in enumerate(h)
    ]
    shown = terms if len(terms) <= SHOWN_TERMS else [*terms[: SHOWN_TERMS - 2], "+ …", terms[-1]]
    return f"{coefficient_name(*row_order(row))} = {general} = {' '.join(shown).removeprefix('+ ')}"


def row_order(row: Row) -> tuple[str, int, int]:
    """kind, level, lag."""
    return row.kind, row.level, row.lag


def field_of(row: Row, K: int) -> tuple[int, int]:
    """The newest and the oldest lag of the samples that the coefficient sees.

    Examples
    --------
    >>> field_of(Row(3, "b", 8), 2)
    (8, 15)
    """
    return row.lag, row.lag + receptive_field(row.level, K) - 1


def imports_of(state: State, *names: str) -> str:
    """The line that imports public names, and what the filters need."""
    needed = {"random": ["random_filters"], "own": []}.get(state.wavelet, ["wavelet_filters"])
    return f"from multires_ref import {', '.join(sorted({*names, *needed}))}"


def nearest(state: State, x: float, y: float) -> dict[str, Any]:
    """The settings that choose the coefficient drawn nearest to a place of the picture; nothing where that is the input."""
    level = int(np.clip(round(y), 0, state.depth))
    if level == 0:
        return {}
    found = nodes(state.depth, taps_of(state))
    lags = [lag for i, lag in zip(found["level"], found["lag"], strict=True) if i == level]
    return {"level": level, "kind": "a" if y >= level else "b", "lag": min(lags, key=lambda lag: abs(lag + x))}


def walk(state: State, to: str) -> dict[str, Any]:
    """The settings that choose the next coefficient: "older", "newer" on its level, "up", "down" through b_1, a_1, b_2, ..."""
    row = looked_at(state)
    if to in ("older", "newer"):
        return nearest(state, -row.lag + (-1 if to == "older" else 1) * 2.0**row.level, height(row.kind, row.level))
    order = [(i, kind) for i in range(1, state.depth + 1) for kind in "ba"]
    place = order.index((row.level, row.kind)) + (1 if to == "up" else -1)
    level, kind = order[min(max(place, 0), len(order) - 1)]
    return nearest(state, -row.lag, height(kind, level))
