"""The usual suspects, and which of them give the numbers of a departing layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ..network import Model
from .errors import Error, measure
from .hooks import aligned
from .quirks import Quirks, apply_with_quirks

TOLERANCES = {"float64": 1e-10, "float32": 1e-5}  # relative, of a layer's output


class Suspect(NamedTuple):
    """A usual mistake: its name, the switch of `Quirks` that makes it, and what is right."""

    name: str
    quirks: dict[str, str]
    right: str


ORDER = "the weights of the memory go a_J, b_J, ..., b_1: coarse to fine"
SUSPECTS = [
    Suspect(
        "taps in the opposite order", {"taps": "reversed"}, "conv1d weights the newest sample with the last tap, h0[:, 0] here"
    ),
    Suspect(
        "detail and approximation swapped", {"filters": "swapped"}, "h0 makes the approximation, from which the next level starts"
    ),
    Suspect("skip weight missing", {"skip": "missing"}, "the output has one more term, w_skip x[n]"),
    Suspect("skip weight at the wrong end", {"skip": "first"}, "in the packed w it is the last column, after a_J, b_J, ..., b_1"),
    Suspect(
        "padding on the right", {"padding": "right"}, "causal: (K - 1) 2^(i-1) zeros on the left of level i, none on the right"
    ),
    Suspect("levels in the wrong order", {"weights": "fine to coarse"}, ORDER),
    Suspect("levels in the wrong order, a_J last", {"weights": "reversed"}, ORDER),
    Suspect("dilations in the wrong order", {"dilations": "coarse first"}, "level 1 is the finest and has dilation 1"),
    Suspect("tanh for exact GELU", {"gelu": "tanh"}, "GELU is x Phi(x) with erf; approximate='tanh' differs by up to 4.7e-4"),
    Suspect("pre-norm for post-norm", {"norm": "pre"}, "the norm comes after the residual sum"),
    Suspect(
        "unbiased variance in the norm", {"variance": "unbiased"}, "sum / n; torch.var and torch.std divide by n - 1 unless told"
    ),
    Suspect("biased running variance in BatchNorm", {"running": "biased"}, "what enters running_var was divided by n - 1"),
    Suspect("batch statistics in evaluation", {"statistics": "batch"}, "BatchNorm then uses its running statistics"),
    Suspect("input not shifted by one step", {"shift": "none"}, "the autoregressive output at n must not see x[n]"),
    Suspect("mean over the padding", {"pooling": "padded length"}, "the mean is over the true length of each sequence"),
]


class Finding(NamedTuple):
    """Suspects that, built into our network, give what the module's first departing layer gives."""

    suspects: tuple[Suspect, ...]
    where: str
    remaining: str | None  # the first layer that still departs with them; None where everything then agrees


def in_order(values: dict[str, Any]) -> list[str]:
    """Pooling is computed after the blocks but shown by `decode` in passing; the running statistics come last."""
    return sorted(values, key=lambda name: ("running" in name, name == "decoder"))


def difference(theirs: np.ndarray, ours: np.ndarray, dtype: str) -> Error:
    """How far the module's layer is from ours; an infinite error where the shapes cannot be brought together."""
    same = aligned(theirs, ours)
    if same is None:
        return Error(np.inf, np.inf, np.inf, TOLERANCES[dtype], False)
    return measure(same, ours, TOLERANCES[dtype])


def scopes(first: str, seen: list[str], n_layers: int) -> dict[str, range]:
    """In which blocks a mistake may sit: in all from the first that is not seen to be right, or in one of them up to `first`.

    `seen` holds the layers that both sides have, in order; those before `first` agree.

    Examples
    --------
    >>> scopes("blocks.2.conv", ["encoder", "blocks.0.norm", "blocks.2.conv"], 3)
    {'in block 1 and all after it': range(1, 3), 'in block 1 only': range(1, 2), 'in block 2 only': range(2, 3)}
    """
    kind = first.rpartition(".")[2] if "running" in first else ""  # a running statistic is shown right by the same one before it
    right = [name for name in seen[: seen.index(first)] if name.startswith("blocks.") and name.endswith(kind)]
    here = int(first.split(".")[1]) if first.startswith("blocks.") else n_layers - 1
    start = 0
    if right:
        start = int(right[-1].split(".")[1]) + (right[-1].endswith(kind or ".norm"))
    everywhere = "in every block" if start == 0 else f"in block {start} and all after it"
    places = {everywhere: range(start, n_layers)} | {f"in block {i} only": range(i, i + 1) for i in range(start, here + 1)}
    return {where: blocks for where, blocks in places.items() if blocks}


def find_suspects(model: Model, x: Any, lengths: Any, theirs: dict[str, np.ndarray], first: str, training: bool) -> list[Finding]:
    """The suspects that give the module's numbers at its first departing layer `first`.

    One alone if one explains everything; otherwise two, those that explain everything before those that explain `first` only.
    """
    names = in_order(apply_with_quirks(model, x, lengths, Quirks(), None, training))
    search = Search(model, x, lengths, theirs, first, training, [name for name in names if name in theirs])
    alone = search.try_all((suspect,) for suspect in SUSPECTS)
    if any(finding.remaining is None for finding in alone):
        return [finding for finding in alone if finding.remaining is None]
    likely = {suspect.name for finding in alone for suspect in finding.suspects}
    pairs = search.try_all(
        pair for pair in combinations(SUSPECTS, 2) if not likely or likely & {suspect.name for suspect in pair}
    )
    return [finding for finding in pairs if finding.remaining is None] or alone or pairs


@dataclass(frozen=True)
class Search:
    """What every suspect is held against."""

    model: Model
    x: Any
    lengths: Any
    theirs: dict[str, np.ndarray]
    first: str
    training: bool
    seen: list[str]  # the layers that both sides have, in order

    def try_all(self, groups: Iterable[tuple[Suspect, ...]]) -> list[Finding]:
        """The groups of suspects that explain the first departing layer, each in the blocks where it explains most."""
        return [finding for suspects in groups if (finding := self.explain(suspects))]

    def explain(self, suspects: tuple[Suspect, ...]) -> Finding | None:
        """The finding for these suspects together; None if they do not explain the layer, or contradict each other."""
        changes = [change for suspect in suspects for change in suspect.quirks.items()]
        if len({name for name, _ in changes}) < len(changes):
            return None
        quirks, found = Quirks(**dict(changes)), []
        for where, blocks in self.scopes(changes).items():
            if self.first not in self.departing(quirks, blocks, until=self.first):
                off = self.departing(quirks, blocks)
                found.append(Finding(suspects, where, off[0] if off else None))
        return min(found, key=lambda finding: finding.remaining is not None, default=None)

    def scopes(self, changes: list[tuple[str, str]]) -> dict[str, range]:
        """Where to try these changes."""
        if {name for name, _ in changes} <= {"shift", "pooling"}:
            return {"outside the blocks": range(0)}
        return scopes(self.first, self.seen, self.model.config.n_layers)

    def departing(self, quirks: Quirks, blocks: range, until: str | None = None) -> list[str]:
        """The layers that differ from the module's when our network has these quirks; only the blocks up to `until` are run."""
        model = self.model
        if until is not None and until.startswith("blocks."):
            end = int(until.split(".")[1]) + 1
            model = Model(
                model.config,
                model.params | {"blocks": model.params["blocks"][:end]},
                {"blocks": model.state["blocks"][:end]},
            )
        ours = apply_with_quirks(model, self.x, self.lengths, quirks, blocks, self.training)
        dtype = str(model.params["decoder"]["weight"].dtype)
        names = [name for name in in_order(ours) if name in self.theirs]
        return [name for name in names if not difference(self.theirs[name], ours[name], dtype).passed]
