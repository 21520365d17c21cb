"""Which of the usual suspects, alone or together, give a module's numbers: a search with a limit of time.

At the first layer that departs only those suspects are tried that can act between the last layer seen to be right and this one,
on one example, from the input of the first block in question, and on a few channels where the layer is the convolution. What
reproduces the layer is confirmed on all numbers; the next layer to depart then is explained in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ..network import Model
from ..network.norms import NORMS
from .errors import measure
from .quirks import RIGHT, Quirks, steps
from .suspects import Suspect, scopes, usual_suspects

TOLERANCES = {"float64": 1e-10, "float32": 1e-5}  # relative, of a layer's output
CHANNELS = 8  # of a convolution, where it is tried
MOST_PARTS, MOST_LEADS = 3, 4  # how many explanations on top of one another, and how many are followed each time


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


class Hit(NamedTuple):
    """Suspects together, and the blocks they are in."""

    suspects: tuple[Suspect, ...]
    where: str
    blocks: range


class Finding(NamedTuple):
    """Suspects that, built into our network, give what the module's first departing layer gives."""

    hits: tuple[Hit, ...]
    remaining: str | None  # the first layer that still departs with them, and in which mode; None where every layer agrees

    @property
    def suspects(self) -> tuple[Suspect, ...]:
        return tuple(suspect for hit in self.hits for suspect in hit.suspects)


def in_order(values: Iterable[str]) -> list[str]:
    """The layers' names in their order; the decoder, then the running statistics, come last."""
    return sorted(values, key=lambda name: ("running" in name, name == "decoder"))


def switches(hits: Sequence[Hit], n_layers: int) -> tuple[list[Quirks], Quirks]:
    """The quirks of each block, and those outside the blocks."""
    inside: list[dict[str, Any]] = [{} for _ in range(n_layers)]
    outside: dict[str, Any] = {}
    for hit in hits:
        for suspect in hit.suspects:
            outside |= suspect.quirks
            for i in hit.blocks:
                inside[i] |= suspect.quirks
    return [Quirks(**changes) if changes else RIGHT for changes in inside], Quirks(**outside)


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
        self.suspects = usual_suspects(self.model.config, case.x.shape[-1], case.lengths is not None)
        alone = NORMS[self.model.config.norm].per_step
        self.small = {case.mode: case.one_example(alone) for case in self.cases}

    @property
    def spent(self) -> float:
        return time.monotonic() - self.started

    @property
    def over(self) -> bool:
        return self.spent > self.seconds

    def run(self, case: Case, hits: Sequence[Hit], **options: Any) -> Iterator[tuple[str, np.ndarray]]:
        """Our network with these mistakes."""
        inside, outside = switches(hits, self.n)
        return steps(self.model, case.x, case.lengths, inside, outside, case.mode == "training", **options)

    def agrees(self, theirs: np.ndarray, ours: np.ndarray) -> bool:
        return measure(theirs, ours, TOLERANCES[self.dtype]).passed

    def departure(self, hits: Sequence[Hit]) -> tuple[Case, str, list[str]] | None:
        """The first layer that departs with these mistakes, and the layers seen before it, on all numbers; None if none does."""
        for case in self.cases:
            ours = dict(self.run(case, hits))
            seen = [name for name in in_order(ours) if name in case.theirs]
            for n, name in enumerate(seen):
                if not self.agrees(case.theirs[name], ours[name]):
                    return case, name, seen[:n]
        return None

    def solve(self, hits: tuple[Hit, ...] = (), bound: int = 9) -> list[Finding]:
        """What explains everything with the fewest suspects; else what explains most of the first departing layers."""
        found = self.departure(hits)
        if found is None:
            return [Finding(hits, None)]
        case, first, seen = found
        here = [Finding(hits, f"{first} ({case.mode} mode)")] if hits else []
        if len(hits) == MOST_PARTS or self.over or sum(len(hit.suspects) for hit in hits) >= bound:
            return here
        findings = []
        for lead in self.leads(case, first, seen, hits):
            findings += self.solve((*hits, lead), bound)
            complete = [len(f.suspects) for f in findings if f.remaining is None]
            bound = min([bound, *complete])
        whole = [f for f in findings if f.remaining is None]
        fewest = min((len(f.suspects) for f in whole), default=0)
        return [f for f in whole if len(f.suspects) == fewest] or findings or here

    def leads(self, case: Case, first: str, seen: list[str], hits: tuple[Hit, ...]) -> list[Hit]:
        """The suspects, or pairs of them, that reproduce the layer `first`: those after which the next departure is furthest."""
        alone = [(suspect,) for suspect in self.suspects]
        able = [group for group in alone if scopes(group, first, last_right(first, seen), self.n)]
        singles = [group[0] for group in able]
        early = (
            [s for s in self.suspects if s.acts == "norm"] if any("norm" in s.quirks for s in singles) else []
        )  # under pre-norm
        for groups in (able, pairs(singles + [s for s in early if s not in singles])):
            found = list(self.trials(case, first, seen, hits, groups))
            ranked = [(self.rank(self.departure((*hits, hit))), hit) for hit in found]
            here = self.rank((case, first, seen))
            ranked = [(rank, hit) for rank, hit in ranked if rank > here]
            if ranked:
                best = max(rank for rank, _ in ranked)
                return [hit for rank, hit in ranked if rank == best][:MOST_LEADS]
        return []

    def rank(self, departure: tuple[Case, str, list[str]] | None) -> tuple[int, int]:
        """How far the network is explained: by modes, then by layers."""
        if departure is None:
            return len(self.cases), 0
        case, _, seen = departure
        return self.cases.index(case), len(seen)

    def trials(
        self, case: Case, first: str, seen: list[str], hits: tuple[Hit, ...], groups: Iterable[tuple[Suspect, ...]]
    ) -> Iterator[Hit]:
        """The groups of suspects that reproduce `first`, those in all blocks in question before those in one of them."""
        right, groups = last_right(first, seen), list(groups)
        begins = self.begins(case, hits)
        every = [[Hit(group, where, blocks) for where, blocks in scopes(group, first, right, self.n).items()] for group in groups]
        for hit in [found[0] for found in every if found] + [hit for found in every for hit in found[1:]]:
            if self.over:
                return
            self.tried += 1
            if self.bar is not None:
                self.bar.update()
            if not contradict(hits, hit) and self.reproduces(case, first, seen, (*hits, hit), begins, hit):
                yield hit

    def begins(self, case: Case, hits: tuple[Hit, ...]) -> list[np.ndarray]:
        """What goes into each block of our network, with the mistakes found so far."""
        inside, _ = switches(hits, self.n)
        ours = dict(self.run(self.small[case.mode], hits))
        found = [ours["encoder"]]
        for i in range(self.n - 1):
            if inside[i].norm == "pre":  # the block ends in a sum that has no name
                break
            found.append(ours[f"blocks.{i}.norm"])
        return found

    def reproduces(
        self, case: Case, first: str, seen: list[str], hits: tuple[Hit, ...], begins: list[np.ndarray], hit: Hit
    ) -> bool:
        """Whether our network with these mistakes agrees with the module's layers up to `first`, on one example."""
        small, options, channels = self.small[case.mode], {}, None
        wanted = {*seen, first}
        if hit.blocks:
            start = min(hit.blocks[0], len(begins) - 1)
            options = {"start": start, "begin": begins[start]}
        if first.endswith(".conv"):
            channels = slice(0, CHANNELS)
            options["few"] = (int(first.split(".")[1]), channels)
        for name, ours in self.run(small, hits, **options):
            if name in wanted:
                theirs = small.theirs[name]
                if not self.agrees(theirs[:, channels] if channels and name == first else theirs, ours):
                    return False
            if name == first:
                return True
        return False


def last_right(first: str, seen: list[str]) -> str | None:
    """The last layer seen to be right before `first`: for a running statistic, the same one of an earlier block."""
    kind = first.rpartition(".")[2]
    before = [name for name in seen if name.endswith(kind)] if "running" in first else seen
    return before[-1] if before else None


def pairs(suspects: list[Suspect]) -> list[tuple[Suspect, ...]]:
    """Any two that do not contradict each other."""
    return [pair for pair in combinations(suspects, 2) if not set(pair[0].quirks) & set(pair[1].quirks)]


def contradict(hits: tuple[Hit, ...], hit: Hit) -> bool:
    """Whether `hit` sets a switch that is already set in one of its blocks."""
    mine = {name for suspect in hit.suspects for name in suspect.quirks}
    return any(
        mine & set(suspect.quirks) and (set(other.blocks) & set(hit.blocks) or not hit.blocks)
        for other in hits
        for suspect in other.suspects
    )
