"""Which of the usual mistakes, alone or together, give a module's numbers: a search with a limit of time.

At the first layer that differs, only those mistakes are tried that can act between the last layer that agrees and this one. They
are tried on one example, from the input of the first block in question, and on a few channels if the layer is the convolution.
Mistakes that give the module's numbers there are confirmed on all numbers; the next layer that differs is explained likewise.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ..base.agreement import measure
from ..network import Model
from ..network.norms import NORMS
from .mistakes import NONE, Mistakes, layers_with_mistakes
from .usual_mistakes import Mistake, possible_mistakes, scopes

TOLERANCES = {"float64": 1e-10, "float32": 1e-5}  # relative, of a layer's output
CHANNELS = 8  # of a convolution, where it is tried
MOST_CAUSES, MOST_CANDIDATES = 3, 4  # how many explanations on top of one another, and how many are followed each time


@dataclass(frozen=True)
class Case:
    """One run of the module: its mode, its input, and its layers' outputs by our names, with our axes."""

    mode: str
    x: Any
    lengths: Any
    theirs: dict[str, np.ndarray]

    def one_example(self, alone: bool) -> Case:
        """The shortest sequence alone, where the examples do not depend on each other."""
        if not alone:
            return self
        n = 0 if self.lengths is None else int(np.argmin(self.lengths))
        part = slice(n, n + 1)
        theirs = {name: a if "running" in name else a[part] for name, a in self.theirs.items()}
        return Case(self.mode, self.x[part], None if self.lengths is None else self.lengths[part], theirs)


class Cause(NamedTuple):
    """Mistakes together, and the blocks they are in."""

    mistakes: tuple[Mistake, ...]
    where: str
    blocks: range


class Difference(NamedTuple):
    """The first layer that differs, in which run of the module, and the layers that were compared before it and agree."""

    case: Case
    layer: str
    agree: list[str]

    @property
    def last_right(self) -> str | None:
        """The last layer before it that agrees: for a running statistic, the same one of an earlier block."""
        kind = self.layer.rpartition(".")[2]
        before = [name for name in self.agree if name.endswith(kind)] if "running" in self.layer else self.agree
        return before[-1] if before else None


class Finding(NamedTuple):
    """Mistakes with which our network gives what the module gives at the first layer that differs."""

    causes: tuple[Cause, ...]
    remaining: str | None  # the first layer that still differs with them, and in which mode; None where every layer agrees

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        return tuple(mistake for cause in self.causes for mistake in cause.mistakes)


def in_order(values: Iterable[str]) -> list[str]:
    """The layers' names in their order; the decoder, then the running statistics, come last."""
    return sorted(values, key=lambda name: ("running" in name, name == "decoder"))


def switches(causes: Sequence[Cause], n_layers: int) -> tuple[list[Mistakes], Mistakes]:
    """The mistakes of each block, and those outside the blocks."""
    inside: list[dict[str, Any]] = [{} for _ in range(n_layers)]
    outside: dict[str, Any] = {}
    for cause in causes:
        for mistake in cause.mistakes:
            outside |= mistake.switches
            for i in cause.blocks:
                inside[i] |= mistake.switches
    return [Mistakes(**changes) if changes else NONE for changes in inside], Mistakes(**outside)


@dataclass
class Search:
    """The search, its clock and its progress bar."""

    model: Model
    cases: list[Case]
    seconds: float
    bar: Any = None
    tried: int = 0
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        case = self.cases[0]
        self.n, self.dtype = self.model.config.n_layers, str(self.model.params["decoder"]["weight"].dtype)
        self.possible = possible_mistakes(self.model.config, case.x.shape[-1], case.lengths is not None)
        alone = NORMS[self.model.config.norm].per_step
        self.small = {case.mode: case.one_example(alone) for case in self.cases}

    @property
    def spent(self) -> float:
        return time.monotonic() - self.started

    @property
    def over(self) -> bool:
        return self.spent > self.seconds

    def run(self, case: Case, causes: Sequence[Cause], **options: Any) -> Iterator[tuple[str, np.ndarray]]:
        """Our network with these mistakes."""
        inside, outside = switches(causes, self.n)
        return layers_with_mistakes(self.model, case.x, case.lengths, inside, outside, case.mode == "training", **options)

    def agrees(self, theirs: np.ndarray, ours: np.ndarray) -> bool:
        return measure(theirs, ours, TOLERANCES[self.dtype]).passed

    def first_difference(self, causes: Sequence[Cause]) -> Difference | None:
        """The first layer that differs with these mistakes, on all numbers; None if every layer agrees."""
        for case in self.cases:
            ours = dict(self.run(case, causes))
            compared = [name for name in in_order(ours) if name in case.theirs]
            for n, name in enumerate(compared):
                if not self.agrees(case.theirs[name], ours[name]):
                    return Difference(case, name, compared[:n])
        return None

    def solve(self, causes: tuple[Cause, ...] = (), bound: int = 9) -> list[Finding]:
        """The fewest mistakes with which every layer agrees; if there are none, those with which most of the layers agree."""
        found = self.first_difference(causes)
        if found is None:
            return [Finding(causes, None)]
        here = [Finding(causes, f"{found.layer} ({found.case.mode} mode)")] if causes else []
        if len(causes) == MOST_CAUSES or self.over or sum(len(cause.mistakes) for cause in causes) >= bound:
            return here
        findings = []
        for cause in self.candidates(found, causes):
            findings += self.solve((*causes, cause), bound)
            complete = [len(f.mistakes) for f in findings if f.remaining is None]
            bound = min([bound, *complete])
        whole = [f for f in findings if f.remaining is None]
        fewest = min((len(f.mistakes) for f in whole), default=0)
        return [f for f in whole if len(f.mistakes) == fewest] or findings or here

    def candidates(self, difference: Difference, causes: tuple[Cause, ...]) -> list[Cause]:
        """The mistakes, or pairs of them, that reproduce the layer that differs; of these, those with which most layers agree."""
        first, right = difference.layer, difference.last_right
        singles = [mistake for mistake in self.possible if scopes((mistake,), first, right, self.n)]
        early = []  # with the norm before the convolution, a mistake of the norm shows there
        if any("norm" in mistake.switches for mistake in singles):
            early = [mistake for mistake in self.possible if mistake.acts == "norm" and mistake not in singles]
        for groups in ([(mistake,) for mistake in singles], pairs(singles + early)):
            found = list(self.trials(difference, causes, groups))
            ranked = [(self.rank(self.first_difference((*causes, cause))), cause) for cause in found]
            ranked = [(rank, cause) for rank, cause in ranked if rank > self.rank(difference)]
            if ranked:
                best = max(rank for rank, _ in ranked)
                return [cause for rank, cause in ranked if rank == best][:MOST_CANDIDATES]
        return []

    def rank(self, difference: Difference | None) -> tuple[int, int]:
        """How much of the network agrees: the number of runs, then of layers."""
        if difference is None:
            return len(self.cases), 0
        return self.cases.index(difference.case), len(difference.agree)

    def trials(self, difference: Difference, causes: tuple[Cause, ...], groups: Sequence[tuple[Mistake, ...]]) -> Iterator[Cause]:
        """The groups of mistakes that reproduce the layer that differs: in all blocks in question first, then in one of them."""
        begins = self.begins(difference.case, causes)
        places = [scopes(group, difference.layer, difference.last_right, self.n) for group in groups]
        every = [[Cause(group, *place) for place in found.items()] for group, found in zip(groups, places, strict=True)]
        for cause in [found[0] for found in every if found] + [cause for found in every for cause in found[1:]]:
            if self.over:
                return
            self.tried += 1
            if self.bar is not None:
                self.bar.update()
            if not contradict(causes, cause) and self.reproduces(difference, (*causes, cause), begins):
                yield cause

    def begins(self, case: Case, causes: tuple[Cause, ...]) -> list[np.ndarray]:
        """What goes into each block of our network, with the mistakes found so far."""
        inside, _ = switches(causes, self.n)
        ours = dict(self.run(self.small[case.mode], causes))
        found = [ours["encoder"]]
        for i in range(self.n - 1):
            if inside[i].norm == "pre":  # the block ends in a sum that has no name
                break
            found.append(ours[f"blocks.{i}.norm"])
        return found

    def reproduces(self, difference: Difference, causes: tuple[Cause, ...], begins: list[np.ndarray]) -> bool:
        """Whether our network with these mistakes agrees with the module up to the layer that differs, on one example.

        The last of the causes is the one that is tried: it is computed from the first of its blocks on.
        """
        small, first, options = self.small[difference.case.mode], difference.layer, {}
        blocks, channels = causes[-1].blocks, slice(None)
        if blocks:
            start = min(blocks[0], len(begins) - 1)
            options = {"start": start, "begin": begins[start]}
        if first.endswith(".conv"):
            channels = slice(0, CHANNELS)
            options["few"] = (int(first.split(".")[1]), channels)
        for name, ours in self.run(small, causes, **options):
            theirs = small.theirs.get(name)
            if name == first:
                return self.agrees(theirs[:, channels] if first.endswith(".conv") else theirs, ours)
            if name in difference.agree and not self.agrees(theirs, ours):
                return False
        return False


def pairs(mistakes: list[Mistake]) -> list[tuple[Mistake, ...]]:
    """Any two that do not contradict each other."""
    return [pair for pair in combinations(mistakes, 2) if not set(pair[0].switches) & set(pair[1].switches)]


def contradict(causes: tuple[Cause, ...], cause: Cause) -> bool:
    """Whether `cause` sets a switch that one of `causes` has set already in one of its blocks."""
    mine = {name for mistake in cause.mistakes for name in mistake.switches}
    return any(
        mine & set(mistake.switches) and (set(other.blocks) & set(cause.blocks) or not cause.blocks)
        for other in causes
        for mistake in other.mistakes
    )
