"""The numbers that figures draw: an output split by scale and lag, and how much each row of the memory weighs.

Both follow from the matrix M of the memory, z_n = M p_n (`memories.memory_matrix`). NumPy only; nothing here draws.
"""

from __future__ import annotations

import numpy as np

from ..memories import memory_matrix, past
from ..tree import Row


def split_output(
    x: np.ndarray,
    h0: np.ndarray,
    h1: np.ndarray,
    w: np.ndarray,
    w_skip: np.ndarray | float,
    *,
    n: int,
    tree_select: str = "fading",
    depth: int | None = None,
) -> tuple[np.ndarray, list[str]]:
    """One output y[n] of one channel, split exactly into what each row of the memory took from each lag.

        parts[r, t] = w[r] M[r, t] x[n-t],        parts[m, 0] = w_skip x[n],        sum of all parts = y[n]

    Parameters
    ----------
    x : array [L];  h0, h1 : arrays [K];  w : array [m];  w_skip : number
    n : int, the time of the output
    tree_select, depth : as for `multires_conv`

    Returns
    -------
    parts : array [m + 1, R]
    names : list of m + 1 str, such as "a3", "b1", "skip"

    Examples
    --------
    >>> x, haar = np.array([1.0, 2.0, 3.0, 4.0]), (np.array([1.0, 1.0]), np.array([1.0, -1.0]))
    >>> parts, names = split_output(x, *haar, np.array([1.0, 0.0, 2.0]), 0.5, n=3)
    >>> dict(zip(names, parts.sum(axis=1).tolist()))
    {'a2': 10.0, 'b2': 0.0, 'b1': 2.0, 'skip': 2.0}
    """
    J, m = (len(w) - 1 if depth is None else depth), len(w)
    M, rows = memory_matrix(h0, h1, J, tree_select, m)
    p = past(x, n, M.shape[1])
    skip = np.zeros_like(p)
    skip[0] = w_skip * p[0]
    return np.concatenate((w[:, None] * M * p, skip[None])), [*map(short_name, rows), "skip"]


def short_name(row: Row) -> str:
    """A row in plain letters, as for a file or a table: "b3", or "b2-4" for b_2 four samples ago.

    Examples
    --------
    >>> from multires_ref import memory_rows
    >>> [short_name(row) for row in memory_rows(2, 2, "uniform", 5)]
    ['a2', 'b2', 'b1', 'b1-2', 'unused']
    """
    if row.kind == "unused":
        return "unused"
    return f"{row.kind}{row.level}" + (f"-{row.lag}" if row.lag else "")


def row_gains(conv: dict[str, np.ndarray], depth: int, tree_select: str = "fading") -> np.ndarray:
    """How much each row of the memory weighs in a layer: |w[d, r]| times the norm of the row's response, [D, m + 1].

    It is the standard deviation that the row adds to channel d's output when the input is white noise of variance 1. The last
    column is the skip's, |w_skip|.

    Parameters
    ----------
    conv : {"h0", "h1" [D, K] or [J, D, K], "w" [D, m], "w_skip" [D]}
        A layer's parameters, as `init_params` lays them out.

    Examples
    --------
    >>> haar = {"h0": np.array([[1.0, 1.0]]), "h1": np.array([[1.0, -1.0]])}
    >>> row_gains(haar | {"w": np.array([[1.0, 0.0, 1.0]]), "w_skip": np.array([0.5])}, depth=2).round(3)
    array([[2.   , 0.   , 1.414, 0.5  ]])
    """
    M, _ = memory_matrix(conv["h0"], conv["h1"], depth, tree_select, conv["w"].shape[1])  # [D, m, R]
    norms = np.sqrt((M**2).sum(axis=-1))
    return np.concatenate((abs(conv["w"]) * norms, abs(conv["w_skip"])[:, None]), axis=1)
