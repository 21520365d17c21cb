"""What a network is, in one frozen record: everything that fixes the shapes of its parameters and what is computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from ..checks import check_choice, check_int, check_number
from ..filters import FILTER_ORDERS, check_wavelet, wavelet_length
from ..tree import MAX_DEPTH, TREE_SELECTS, depth_for, receptive_field, taps_per_level

KINDS = ("classifier", "autoregressive")


@dataclass(frozen=True)
class NetworkConfig:
    """A classifier or an autoregressive network (the paper's; `definition.py` and `model.py` for the equations).

    Parameters
    ----------
    d_input : int
        Channels of the input, or the number of tokens for ``encoder="embedding"``.
    d_output : int
        Classes or labels; for the autoregressive network the numbers of one pixel's distribution (see `mixture_channels`).
    d_model, n_layers, kernel_size : int
        D channels, number of blocks, K taps.
    max_length : int
        L, the length sequences are padded to; it fixes the depth where `depth` is None.
    kind : "classifier" or "autoregressive"
    encoder : "linear" or "embedding"
    depth : int or None
        J; None takes the smallest one whose receptive field covers `max_length`.
    tree_select : "fading" or "uniform";  memory_size : int or None
        m, needed for "uniform" only.
    norm : "layer" or "batch";  dropout : float in [0, 1)
    wavelet : str or None
        Start h0 and h1 from this wavelet's filters (its length must be kernel_size), None: at random.
    filter_order : "analysis", "reversed" or "minimum_delay"
        The order of a wavelet's taps, see `filters.wavelet_filters`.
    tied : bool
        One pair of filters for all levels (the paper), or one pair a level (the published ablation).
    indep_res_init : bool
        Start the skip weight from U(-1, 1) rather than with the memory's weights.
    levels : int
        Autoregressive only: how many values a number of the data can take.

    Examples
    --------
    >>> config = NetworkConfig(d_input=3, d_output=10, d_model=256, n_layers=10, kernel_size=2, max_length=1024)
    >>> config.J, config.m, config.receptive_field
    (10, 11, 1024)
    """

    d_input: int
    d_output: int
    d_model: int
    n_layers: int
    kernel_size: int = 2
    max_length: int = 1024
    kind: str = "classifier"
    encoder: str = "linear"
    depth: int | None = None
    tree_select: str = "fading"
    memory_size: int | None = None
    norm: str = "layer"
    dropout: float = 0.0
    wavelet: str | None = None
    filter_order: str = "analysis"
    tied: bool = True
    indep_res_init: bool = False
    levels: int = 256

    def __post_init__(self) -> None:
        for name in ("d_input", "d_output", "d_model", "n_layers", "max_length"):
            check_int(name, getattr(self, name), 1)
        check_int("kernel_size", self.kernel_size, 2)
        check_int("levels", self.levels, 2)
        check_choice("kind", self.kind, KINDS)
        check_choice("encoder", self.encoder, ("linear", "embedding"))
        check_choice("tree_select", self.tree_select, TREE_SELECTS)
        check_choice("norm", self.norm, ("layer", "batch"))
        check_choice("filter_order", self.filter_order, FILTER_ORDERS)
        for name in ("tied", "indep_res_init"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False; got {getattr(self, name)!r}")
        if check_number("dropout", self.dropout, 0.0, 1.0) == 1.0:
            raise ValueError("dropout must be below 1; got 1.0")
        if self.depth is not None:
            check_int("depth", self.depth, 1, MAX_DEPTH)
        if self.memory_size is not None:
            check_int("memory_size", self.memory_size, 1)
        self._check_wavelet()
        self._check_memory_size()
        taps_per_level(self.J, self.kernel_size, self.tree_select, self.memory_size)

    def _check_wavelet(self) -> None:
        if self.wavelet is None:
            return
        taps = wavelet_length(check_wavelet(self.wavelet))
        if self.kernel_size != taps:
            raise ValueError(f"kernel_size must be {taps}, the length of wavelet {self.wavelet!r}; got {self.kernel_size}")

    def _check_memory_size(self) -> None:
        if self.tree_select == "uniform" and self.memory_size is None:
            raise ValueError(
                "memory_size, the number of memory rows m, must be given for tree_select='uniform'; got None "
                "(on the command line, for example: --memory-size 16)"
            )
        if self.tree_select == "fading" and self.memory_size not in (None, self.J + 1):
            raise ValueError(
                f"memory_size must be {self.J + 1} or None for tree_select='fading' at depth {self.J}; got {self.memory_size} "
                "(on the command line: leave --memory-size out, or give --tree-select uniform)"
            )

    @property
    def J(self) -> int:
        """Depth of the tree."""
        return depth_for(self.max_length, self.kernel_size) if self.depth is None else self.depth

    @property
    def m(self) -> int:
        """Memory size: rows of z_n, weights of the layer without the skip."""
        return self.J + 1 if self.memory_size is None else self.memory_size

    @property
    def receptive_field(self) -> int:
        """How many samples one layer sees."""
        return receptive_field(self.J, self.kernel_size)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and None, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NetworkConfig:
        """The config that `to_dict` wrote; unknown names are refused, with the nearest known one."""
        for name in values:
            check_choice("setting", name, [f.name for f in fields(cls)])
        return cls(**values)


def mixture_channels(n_mix: int, colours: int) -> int:
    """Numbers that describe one pixel's mixture of logistics: 10 n_mix for 3 colours, 3 n_mix for one.

    A weight, for each colour a mean and a log-scale, and a coefficient for each pair of colours:
    1 + 2 C + C (C - 1) / 2 groups.

    Examples
    --------
    >>> mixture_channels(10, 3), mixture_channels(10, 1)
    (100, 30)
    """
    return check_int("n_mix", n_mix, 1) * (1 + 2 * check_int("colours", colours, 1) + colours * (colours - 1) // 2)
