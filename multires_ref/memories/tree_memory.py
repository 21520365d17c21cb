"""The wavelet tree as a memory: the coefficients that TreeSelect keeps, updated sample by sample from ring buffers.

The m numbers are read out of the tree; they are not enough to update it. A level needs the last (K - 1) 2^(i-1) values of the
level below it, so that (K - 1)(2^J - 1) numbers are `stored` for each channel, as many as the tree sees of the past, and more
where the memory keeps older details. The other memories of this folder are updated from their m numbers alone.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..base.checks import check_choice, check_int
from ..base.layer_checks import TREE_SELECTS, check_depth, check_filters, check_response_size
from ..engines.rings import plan_rings
from ..filters import wavelet_filters
from ..response import unit_impulse
from ..tree import Row, delay, depth_for, kept_per_level, made_from, memory, pyramid, receptive_field
from .interface import Memory
from .registry import register


def memory_matrix(
    h0: np.ndarray, h1: np.ndarray, depth: int, tree_select: str = "fading", size: int | None = None
) -> tuple[np.ndarray, list[Row]]:
    """M with z_n = M p_n, and the label of each of its rows.

    Column t of M is what the memory holds, at time t, of a single 1 at time 0.

    Parameters
    ----------
    h0, h1 : arrays [K] or [D, K] (untied: [J, D, K]), lag order
    depth : int, J
    tree_select : "fading" or "uniform";  size : int, m (needed for "uniform")

    Returns
    -------
    M : array [m, R], or [D, m, R]
    rows : list of m `Row`

    Examples
    --------
    >>> M, rows = memory_matrix(np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2)
    >>> M  # a_2, b_2, b_1 of the samples n, n-1, n-2, n-3
    array([[ 1.,  1.,  1.,  1.],
           [ 1.,  1., -1., -1.],
           [ 1., -1.,  0.,  0.]])
    """
    h0, h1 = check_filters(h0, h1)
    check_response_size(check_depth(depth, h0), h0, 3 * depth + 1 if size is None else 2 * depth + size)
    return memory(unit_impulse(h0, receptive_field(depth, h0.shape[-1])), h0, h1, depth, tree_select, size)


def deal_details(depth: int, kernel_size: int, size: int) -> tuple[int, ...]:
    """How many of the newest details of each level a fading memory of `size` numbers keeps: J ints, fine to coarse.

    The fading TreeSelect of the paper keeps one detail of each level and a_J, J + 1 numbers. For more numbers, the details are
    dealt out evenly, finer levels first, so that it still fades: the newest t details of a level reach back t 2^i samples. No
    level gets more than it has inside the receptive field.

    Examples
    --------
    >>> deal_details(depth=9, kernel_size=2, size=10), deal_details(depth=9, kernel_size=2, size=32)
    ((1, 1, 1, 1, 1, 1, 1, 1, 1), (4, 4, 4, 4, 4, 4, 4, 2, 1))
    """
    J, left = check_int("depth", depth, 1), check_int("size", size, depth + 1) - 1
    most = [1]
    while len(most) < J:
        most.append(made_from(most[-1], kernel_size))
    most, kept = most[::-1], [0] * J  # fine to coarse
    while left and kept != most:
        for i in range(J):
            if left and kept[i] < most[i]:
                kept[i], left = kept[i] + 1, left - 1
    return tuple(kept)


def rows_of(kept: tuple[int, ...], size: int) -> list[Row]:
    """The label of each of the m numbers: a_J, then the details from coarse to fine, the newest first; "unused" beyond the tree.

    Examples
    --------
    >>> [tuple(row) for row in rows_of((2, 1), 5)]
    [(2, 'a', 0), (2, 'b', 0), (1, 'b', 0), (1, 'b', 2), (0, 'unused', 0)]
    """
    J = len(kept)
    rows = [Row(J, "a", 0)] + [Row(i, "b", t * 2**i) for i in range(J, 0, -1) for t in range(kept[i - 1])]
    return rows + [Row(0, "unused", 0)] * (size - len(rows))


class TreeMemory(Memory):
    """The multiscale memory of one channel's filters: z_n is a_J[n] and the newest details, fading or uniform.

        a_i[n] = sum_k h0[k] a_{i-1}[n - k 2^(i-1)],        b_i[n] = sum_k h1[k] a_{i-1}[n - k 2^(i-1)],        a_0 = x

    Parameters
    ----------
    h0, h1 : arrays [K], or one pair for each level [J, K], in lag order, in the memory's dtype
    depth : int, J
    tree_select : "fading" or "uniform"
        Which details are kept. Uniform is the paper's `kept_per_level`; fading is `deal_details`, which is the paper's for
        `size` = J + 1.
    size : int, m; J + 1 if it is not given
    title : str, what tables and pictures call it

    Raises
    ------
    TypeError, ValueError
        For filters that do not fit together, for a fading size below J + 1, and for rings that would need too much memory.

    Source: Shi, Wang, Fox, "Sequence Modeling with Multiresolution Convolutional Memory", ICML 2023 (arXiv 2305.01638).

    Examples
    --------
    >>> tree = TreeMemory(np.array([1.0, 1.0]), np.array([-1.0, 1.0]), depth=3)
    >>> tree.push(np.array([3.0, 5.0, 4.0, 4.0, 8.0, 6.0, 1.0, 1.0]))  # a_3, b_3, b_2, b_1
    array([32.,  0., 12.,  0.])
    >>> tree.recover(8)[::-1]  # oldest first
    array([4., 4., 4., 4., 7., 7., 1., 1.])
    """

    source = "Shi, Wang, Fox, arXiv 2305.01638"
    equation = "a_i[n] = sum_k h0[k] a_{i-1}[n - k 2^(i-1)], b_i alike with h1; z_n picks a_J and details"

    def __init__(
        self,
        h0: np.ndarray,
        h1: np.ndarray,
        depth: int,
        tree_select: str = "fading",
        size: int | None = None,
        title: str = "a tree",
    ) -> None:
        h0, h1 = check_filters(h0, h1)
        if h0.ndim > 2:
            raise ValueError(f"h0 must have shape [K], or [J, K] of one channel: see of_layer; got {h0.shape}")
        J = check_depth(depth, h0[:, None] if h0.ndim == 2 else h0)
        check_choice("tree_select", tree_select, TREE_SELECTS)
        super().__init__(J + 1 if size is None else size, receptive_field(J, h0.shape[-1]), str(h0.dtype))
        K, self.depth, self.tree_select, self.title = h0.shape[-1], J, tree_select, title
        self.kept = (deal_details if tree_select == "fading" else uniform_details)(J, K, self.size)
        self.rows = rows_of(self.kept, self.size)
        self.h0, self.h1 = (np.ascontiguousarray(np.broadcast_to(h, (J, K))) for h in (h0, h1))
        self.plan = plan_rings((1,) * J, K)
        self.late_length = np.array([(t - 1) * 2**i if t > 1 else 0 for i, t in enumerate(self.kept, start=1)])
        self.late_start = np.cumsum(self.late_length) - self.late_length
        self.kind = np.array([{"a": 0, "b": row.level, "unused": -1}[row.kind] for row in self.rows])
        self.lag = np.array([row.lag for row in self.rows])

    @classmethod
    def of_layer(cls, conv: dict[str, np.ndarray], channel: int, depth: int, tree_select: str = "fading") -> TreeMemory:
        """The memory of one channel of a layer, trained or not: conv holds "h0", "h1" [D, K] or [J, D, K], and "w" [D, m]."""
        d = check_int("channel", channel, 0, conv["w"].shape[0] - 1)
        h0, h1 = (np.asarray(conv[name])[..., d, :] for name in ("h0", "h1"))
        return cls(h0, h1, depth, tree_select, conv["w"].shape[1], f"channel {d}")

    def start(self, channels: int) -> dict[str, np.ndarray]:
        sizes = {"z": self.size, "ring": self.plan.size, "late": int(self.late_length.sum())}
        return {name: np.zeros((channels, size), self.dtype) for name, size in sizes.items()}

    def advance(self, x: np.ndarray) -> None:
        (J, K), ring, late, z = self.h0.shape, self.state["ring"], self.state["late"], self.state["z"]
        past = ring[:, self.plan.reading(self.n)].reshape(-1, J, K - 1)
        low, high = (past * self.h0[:, 1:]).sum(axis=-1), (past * self.h1[:, 1:]).sum(axis=-1)  # [C, J]
        a = np.empty((len(x), J + 1), x.dtype)
        a[:, 0] = x
        for i in range(J):
            a[:, i + 1] = self.h0[i, 0] * a[:, i] + low[:, i]
        b = self.h1[:, 0] * a[:, :-1] + high
        newest, old = (self.kind >= 0) & (self.lag == 0), self.lag > 0
        z[:, newest] = np.concatenate((a[:, -1:], b), axis=1)[:, self.kind[newest]]
        level = self.kind[old] - 1
        z[:, old] = late[:, self.late_start[level] + (self.n - self.lag[old]) % self.late_length[level]]
        ring[:, self.plan.writing(self.n)] = a[:, :-1]
        several = self.late_length > 0
        late[:, self.late_start[several] + self.n % self.late_length[several]] = b[:, several]

    def compiled(self) -> Any:
        from .numba.tree_memory import coefficients

        constants = (self.h0, self.h1, self.plan.start, self.plan.length, self.late_start, self.late_length, self.kind, self.lag)
        return lambda rows, state, out: coefficients(*constants, rows, self.n, state["ring"], state["late"], state["z"], out)

    def matrix(self, length: int | None = None, n: int | None = None) -> np.ndarray:
        R = self.reach if length is None else check_int("length", length, 1)
        check_response_size(self.depth, self.h0[:, None], 2 * self.depth + self.size)
        levels = pyramid(unit_impulse(self.h0[:1], self.reach), self.h0[:, None], self.h1[:, None], self.depth)
        M = np.zeros((self.size, max(R, self.reach)), self.dtype)
        for row, (kind, level, lag) in zip(M, ((r.kind, r.level, r.lag) for r in self.rows), strict=True):
            if kind != "unused":
                row[: self.reach] = delay(levels[level - 1]["ab".index(kind)][0], lag)
        return M[:, :R]

    @property
    def reach(self) -> int:
        """The receptive field, (K - 1)(2^J - 1) + 1."""
        return receptive_field(self.depth, self.h0.shape[1])

    @property
    def operations(self) -> int:
        """2 J (2 K - 1): K products and K - 1 sums for each of the two filters of every level."""
        J, K = self.h0.shape
        return 2 * J * (2 * K - 1)

    @property
    def stored(self) -> int:
        """(K - 1)(2^J - 1) for the tree, and (t - 1) 2^i for each level of which t > 1 details are kept."""
        return self.plan.size + int(self.late_length.sum())

    @property
    def settings(self) -> str:
        J, K = self.h0.shape
        return f"{K} taps, {J} levels, {self.tree_select}: {' '.join(map(str, self.kept))} details, fine to coarse"


def uniform_details(depth: int, kernel_size: int, size: int) -> tuple[int, ...]:
    """`kept_per_level` of the uniform TreeSelect."""
    return kept_per_level(depth, kernel_size, "uniform", size)


class WaveletTree(TreeMemory):
    """A tree with a wavelet's filters, as deep as the horizon asks for."""

    wavelet: ClassVar[str]
    order: ClassVar[str] = "analysis"
    select: ClassVar[str]

    def __init__(self, size: int, horizon: int, dtype: str = "float64") -> None:
        h0, h1 = wavelet_filters(self.wavelet, self.order, dtype)
        low = 2 if self.select == "fading" else 1
        m, J = check_int("size", size, low), depth_for(check_int("horizon", horizon, 1), len(h0))
        super().__init__(h0, h1, min(J, m - 1) if self.select == "fading" else J, self.select, m, self.title)

    @property
    def settings(self) -> str:
        return f"{self.wavelet}{'' if self.order == 'analysis' else ' minimum delay'}, {super().settings}"


@register
class HaarFading(WaveletTree):
    """The fading tree with Haar's filters."""

    name, title, wavelet, select = "fading", "tree, fading, haar", "haar", "fading"


@register
class HaarUniform(WaveletTree):
    """The uniform tree with Haar's filters."""

    name, title, wavelet, select = "uniform", "tree, uniform, haar", "haar", "uniform"


@register
class Db2Fading(WaveletTree):
    """The fading tree with Daubechies' filters of four taps, each the way round in which its energy comes earlier."""

    name, title, wavelet, order, select = "fading-db2", "tree, fading, db2", "db2", "minimum_delay", "fading"


@register
class Db2Uniform(WaveletTree):
    """The uniform tree with the same filters."""

    name, title, wavelet, order, select = "uniform-db2", "tree, uniform, db2", "db2", "minimum_delay", "uniform"
