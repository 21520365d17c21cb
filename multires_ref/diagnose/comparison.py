"""What `compare` found, as tables and as sentences that claim no more than was compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..base.tables import text_table
from .errors import Error, error_cells
from .search import Finding, Hit
from .suspects import Suspect


class Layer(NamedTuple):
    """One layer or parameter that both sides have: our name, the module's name for it, and how far it is off."""

    name: str
    theirs: str
    error: Error


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; prints as tables with its conclusions."""

    title: str
    layers: dict[str, list[Layer]]  # by mode, "evaluation" and "training"
    gradients: dict[str, list[Layer]]  # by mode: of the input and of the parameters, where the layers agree
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # what is wrong beside the numbers, such as active dropout
    not_compared: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)  # settings of the model that no file and no caller gave
    searched: str = ""  # how far the search for suspects went
    seconds: float = 0.0  # how long the search took

    @property
    def passed(self) -> bool:
        """Whether something was compared, and nothing of it departs."""
        return bool(self.layers) and all(self.layers.values()) and self.first is None and not self.problems

    @property
    def first(self) -> Layer | None:
        """The first layer that departs, in evaluation mode before training mode; where none does, the first gradient."""
        tables = [*self.layers.values(), *self.gradients.values()]
        return next((row for table in tables for row in table if not row.error.passed), None)

    @property
    def suspects(self) -> list[str]:
        """The names of the suspects that explain the first departing layer."""
        return [suspect.name for finding in self.findings for suspect in finding.suspects]

    def __str__(self) -> str:
        lines = [self.title]
        for what, tables in (("module's layer", self.layers), ("gradient of", self.gradients)):
            for mode, rows in tables.items():
                header = [f"{mode} mode", what, "relative", "largest", "ulp", "verdict"]
                cells = [[r.name, r.theirs, *error_cells(r.error), "ok" if r.error.passed else "DEPARTS"] for r in rows]
                lines += ["", text_table(header, cells)]
        return "\n".join([*lines, "", *self.notes, *self.conclusions()])

    def conclusions(self) -> list[str]:
        """What departs and what would explain it, or what agrees; then what was not compared and what was assumed."""
        said = [*self.problems, *(self.of_layers() if self.first is not None else [])]
        if not said:
            said = [self.agreement()]
        if self.not_compared:
            said.append(f"not compared: {'; '.join(self.not_compared)}")
        if self.assumed:
            said.append(f"assumed, because it is not in the file: {', '.join(self.assumed)}")
        return said

    def agreement(self) -> str:
        """What agrees, in one sentence."""
        modes = " and ".join(self.layers)
        if not self.passed:
            return "nothing was compared"
        if not self.not_compared:
            return (
                f"no layer departs, and no gradient of the parameters or of the input, in {modes} mode: "
                "the module computes what the paper defines"
            )
        rows, gradients = next(iter(self.layers.values())), {mode: len(rows) for mode, rows in self.gradients.items() if rows}
        with_gradients = f", and {max(gradients.values())} gradients ({' and '.join(gradients)} mode)" if gradients else ""
        return f"nothing that was compared departs: {len(rows)} layers ({modes} mode){with_gradients}"

    def of_layers(self) -> list[str]:
        """The first departure, and the suspects."""
        mode, first, gradient = self.first_place()
        off = f"relative error {first.error.relative:.1e}"
        if gradient:
            lines = [
                f"the layers agree; the first gradient to depart is that of {first.name} ({first.theirs}, {mode} mode): {off}"
            ]
            return [
                *lines,
                "the forward pass is right and the backward pass is not: look for detach(), no_grad and backward of your own",
            ]
        in_mode = "" if mode == "evaluation" else f" in {mode} mode"
        lines = [f"the first layer to depart{in_mode} is {first.name} ({first.theirs}): {off}"]
        for finding in self.findings:
            lines += said_of(finding, " and ".join(self.layers))
        return [*lines, *([self.searched] if self.searched else [])]

    def first_place(self) -> tuple[str, Layer, bool]:
        """The mode of the first departure, itself, and whether it is a gradient."""
        for gradient, tables in ((False, self.layers), (True, self.gradients)):
            for mode, rows in tables.items():
                for row in rows:
                    if not row.error.passed:
                        return mode, row, gradient
        raise ValueError("nothing departs")


def said_of(finding: Finding, modes: str) -> list[str]:
    """A finding in words: a tree to load the checkpoint with, or suspects and what is right."""
    rest = f"then {finding.remaining} is the first to depart"
    if finding.remaining is None:
        rest = f"every layer then agrees ({modes} mode; the gradients were not compared)"
    if [suspect for suspect in finding.suspects if "tree" not in suspect.quirks] or len(finding.hits) > 1:
        lines = [f"suspect: {' and '.join(said_of_hit(hit) for hit in finding.hits)}; {rest}"]
        return lines + [f"    right is: {suspect.right}" for suspect in finding.suspects]
    (tree,), where = finding.suspects, finding.hits[0].where
    return [f"the module's tree is {in_words(tree)} ({where}): {tree.right}; {rest}"]


def in_words(tree: Suspect) -> str:
    select, J = tree.quirks["tree"]
    return f"{select} with depth {J}"


def said_of_hit(hit: Hit) -> str:
    return f"{' and '.join(suspect.name for suspect in hit.suspects)} ({hit.where})"
