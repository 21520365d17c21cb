"""What a network is, in one frozen record: everything that fixes the shapes of its parameters and what is computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from ..base.checks import check_bool, check_choice, check_int, check_number, keep
from ..base.layer_checks import MAX_DEPTH, TREE_SELECTS, as_wavelet, check_wavelet
from ..base.names import assigned, spelled
from ..filters import FILTER_ORDERS
from ..tree import depth_for, kept_per_level, receptive_field
from .norms import NORMS

KINDS = ("classifier", "tagger", "autoregressive")
CHOICES = {
    "kind": KINDS,
    "encoder": ("linear", "embedding"),
    "tree_select": TREE_SELECTS,
    "norm": tuple(NORMS),
    "filter_order": FILTER_ORDERS,
}
AUTHORS_VALUES = 256  # of a pixel in the authors' density networks


@dataclass(frozen=True)
class NetworkConfig:
    """A classifier, a tagger or an autoregressive network (`definition.py` and `model.py` have the equations).

    Parameters
    ----------
    d_input : int
        Channels of the input, or the number of tokens for ``encoder="embedding"``.
    d_output : int
        Classes or labels, a tagger's at every step; for the autoregressive network the numbers of one pixel's distribution (see
        `mixture_channels`).
    d_model, n_layers, kernel_size : int
        D channels, number of blocks, K taps.
    max_length : int
        L, the length sequences are padded to; it fixes the depth where `depth` is None.
    kind : "classifier", "tagger" or "autoregressive"
        A classifier has one output for a sequence. A tagger is a classifier of every time step, from the samples up to this step:
        it does not pool. An autoregressive network gives at every step the distribution of the sample there, from those before.
        The paper has the first and the last.
    encoder : "linear" or "embedding"
    depth : int or None
        J; None takes the smallest one whose receptive field covers `max_length`.
    tree_select : "fading" or "uniform";  memory_size : int or None
        m, needed for "uniform" only.
    norm : "layer", "batch" or "rms" (the authors' networks have the first two);  dropout : float in [0, 1)
    wavelet : str or None
        Start h0 and h1 from this wavelet's filters (its length must be kernel_size), None: at random.
    filter_order : "analysis", "reversed" or "minimum_delay"
        The order of a wavelet's taps, see `filters.wavelet_filters`.
    tied : bool
        One pair of filters for all levels (the paper), or one pair a level (the published ablation).
    indep_res_init : bool
        Start the skip weight from U(-1, 1) rather than with the memory's weights.
    n_values : int or None
        Autoregressive only: how many values a number of the data can take (None there is 256); None for the other kinds.

    Raises
    ------
    TypeError, ValueError
        For a setting of the wrong type or out of range, or settings that do not go together; the error names them. Whole and
        other numbers are kept as Python's int and float, whichever library they come from.

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
    n_values: int | None = None

    def __post_init__(self) -> None:
        lowest = {"d_input": 1, "d_output": 1, "d_model": 1, "n_layers": 1, "max_length": 1, "kernel_size": 2}
        keep(self, **{name: check_int(name, getattr(self, name), low) for name, low in lowest.items()})
        keep(self, **{name: str(check_choice(name, getattr(self, name), choices)) for name, choices in CHOICES.items()})
        keep(self, **{name: check_bool(name, getattr(self, name)) for name in ("tied", "indep_res_init")})
        keep(self, dropout=check_number("dropout", self.dropout, 0.0, 1.0))
        if self.dropout == 1.0:
            raise ValueError(f"{spelled('dropout')} must be below 1; got 1.0")
        if self.depth is not None:
            keep(self, depth=check_int("depth", self.depth, 1, MAX_DEPTH))
        self._check_memory()
        self._check_wavelet()
        self._check_values()

    def _check_memory(self) -> None:
        """The size of the memory, against the depth and the TreeSelect."""
        size = spelled("memory_size")
        if self.memory_size is not None:
            keep(self, memory_size=check_int("memory_size", self.memory_size, 1))
        elif self.tree_select == "uniform":
            raise ValueError(
                f"{size} must be given for {assigned('tree_select', 'uniform')}: how many coefficients the memory keeps, "
                f"for example {assigned('memory_size', 16)}"
            )
        if self.tree_select == "fading" and self.memory_size not in (None, self.J + 1):
            raise ValueError(
                f"{size} must be {self.J + 1}, the depth and one more, for {assigned('tree_select', 'fading')} "
                f"(or leave {size} out); got {self.memory_size}. {assigned('tree_select', 'uniform')} takes any"
            )
        kept_per_level(self.J, self.kernel_size, self.tree_select, self.memory_size)

    def _check_wavelet(self) -> None:
        """The wavelet's name, and its length against the kernel size."""
        if self.wavelet is None:
            if self.filter_order != "analysis":
                order = assigned("filter_order", self.filter_order)
                raise ValueError(f"{order} needs {spelled('wavelet')}: it is the order of a wavelet's taps, and none is given")
            return
        keep(self, wavelet=str(check_wavelet(self.wavelet)))
        taps = as_wavelet(self.wavelet).dec_len
        if self.kernel_size != taps:
            raise ValueError(
                f"{spelled('kernel_size')} must be {taps}, the length of {spelled('wavelet')} {self.wavelet!r}; "
                f"got {self.kernel_size}"
            )

    def _check_values(self) -> None:
        """The number of values of a pixel: a density has it, the other kinds do not."""
        if self.kind == "autoregressive":
            keep(self, n_values=check_int("n_values", AUTHORS_VALUES if self.n_values is None else self.n_values, 2))
        elif self.n_values is not None:
            raise ValueError(
                f"{spelled('n_values')} is for {assigned('kind', 'autoregressive')} alone, and a {self.kind} has none: it is the "
                f"number of values that a pixel can take; got {self.n_values}. The levels of the tree are {spelled('depth')}"
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
    def has_output_at_every_step(self) -> bool:
        """Whether the outputs are [B, d_output, L], rather than one for each sequence."""
        return self.kind != "classifier"

    @property
    def receptive_field(self) -> int:
        """How many samples one layer sees."""
        return receptive_field(self.J, self.kernel_size)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and None, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NetworkConfig:
        """The config that `to_dict` wrote, here or in version 0.1.0; unknown names are refused, with the nearest known one."""
        if "levels" in values:  # what 0.1.0 called n_values, also where a classifier has no use for it
            values = dict(values)
            n_values = values.pop("levels")
            values["n_values"] = n_values if values.get("kind") == "autoregressive" else None
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
