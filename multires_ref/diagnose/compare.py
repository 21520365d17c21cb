"""`compare`: a PyTorch module of your own beside a model of ours; the first layer that differs, and what would explain it.

model = load_model("x.pth")
report = compare(module, model, x)
print(report)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.agreement import measure
from ..base.checks import FLOATS, check_choice
from ..base.optional import import_torch
from ..base.tables import text_table
from ..network import Model
from .matching import PURPOSE
from .modules import foreign_constants
from .pair import MODES, Layer, Pair, prepare
from .report import error_cells
from .search import TOLERANCES, Case, Cause, Finding, Search, in_order

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

FLOAT32_ROUNDING = 1e-6  # a relative difference below this may come from a number that was rounded to float32

Tables = dict[str, list[Layer]]  # by mode, "evaluation" and "training"


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; prints as tables with its conclusions, which claim no more than was compared."""

    title: str
    layers: Tables
    gradients: Tables  # of the input and of the parameters, where the layers agree
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # what else is wrong, such as active dropout
    not_compared: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)  # settings of the model that no file and no caller gave
    searched: str = ""  # how far the search for usual mistakes went
    seconds: float = 0.0  # how long the search took

    @property
    def passed(self) -> bool:
        """Whether something was compared, and nothing of it differs."""
        return bool(self.layers) and all(self.layers.values()) and self.first is None and not self.problems

    @property
    def first(self) -> Layer | None:
        """The first layer that differs, in evaluation mode before training mode; if none differs, the first gradient."""
        found = first_different(self.layers) or first_different(self.gradients)
        return found[1] if found else None

    @property
    def mistakes(self) -> list[str]:
        """The names of the mistakes that explain the first layer that differs."""
        return [mistake.name for finding in self.findings for mistake in finding.mistakes]

    def __str__(self) -> str:
        lines = [self.title]
        for what, tables in (("module's layer", self.layers), ("gradient of", self.gradients)):
            for mode, rows in tables.items():
                header = [f"{mode} mode", what, "relative", "largest", "ulp", "verdict"]
                cells = [[r.name, r.theirs, *error_cells(r.error), "ok" if r.error.passed else "DIFFERS"] for r in rows]
                lines += ["", text_table(header, cells)]
        return "\n".join([*lines, "", *self.notes, *self.conclusions()])

    def conclusions(self) -> list[str]:
        """What differs and what would explain it, or what agrees; then what was not compared and what was assumed."""
        said = [*self.problems, *self.differences()] or [self.agreement()]
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
                f"no layer differs, and no gradient of the parameters or of the input, in {modes} mode: "
                "the module computes what the paper defines"
            )
        rows, gradients = next(iter(self.layers.values())), {mode: len(rows) for mode, rows in self.gradients.items() if rows}
        with_gradients = f", and {max(gradients.values())} gradients ({' and '.join(gradients)} mode)" if gradients else ""
        return f"nothing that was compared differs: {len(rows)} layers ({modes} mode){with_gradients}"

    def differences(self) -> list[str]:
        """The first layer or gradient that differs, and the possible causes; nothing if none differs."""
        layer, gradient = first_different(self.layers), first_different(self.gradients)
        if layer is not None:
            mode, first = layer
            in_mode = "" if mode == "evaluation" else f" in {mode} mode"
            said = [f"the first layer that differs{in_mode} is {first.name} ({first.theirs}): {off(first)}"]
            for finding in self.findings:
                said += said_of(finding, " and ".join(self.layers))
            return [*said, *([self.searched] if self.searched else [])]
        if gradient is not None:
            mode, first = gradient
            return [
                f"the layers agree; the first gradient that differs is that of {first.name} ({first.theirs}, {mode} mode): "
                f"{off(first)}",
                "the forward pass is right and the backward pass is not: look for detach(), no_grad and backward of your own",
            ]
        return []


def first_different(tables: Tables) -> tuple[str, Layer] | None:
    """The mode and the row of the first difference, if there is one."""
    return next(((mode, row) for mode, rows in tables.items() for row in rows if not row.error.passed), None)


def off(row: Layer) -> str:
    """How far it is off, in words."""
    return f"relative error {row.error.relative:.1e}"


def said_of(finding: Finding, modes: str) -> list[str]:
    """A finding in words: a tree to load the checkpoint with, or mistakes and what is right instead."""
    rest = f"then {finding.remaining} is the first that differs"
    if finding.remaining is None:
        rest = f"every layer then agrees ({modes} mode; the gradients were not compared)"
    if len(finding.causes) == 1 and all("tree" in mistake.switches for mistake in finding.mistakes):
        (tree,), where = finding.mistakes, finding.causes[0].where
        select, J = tree.switches["tree"]
        return [f"the module's tree is {select} with depth {J} ({where}): {tree.right}; {rest}"]
    said = [f"possible cause: {' and '.join(said_of_cause(cause) for cause in finding.causes)}; {rest}"]
    return said + [f"    right is: {mistake.right}" for mistake in finding.mistakes]


def said_of_cause(cause: Cause) -> str:
    """Such as "taps in the opposite order (in block 1 only)"."""
    return f"{' and '.join(mistake.name for mistake in cause.mistakes)} ({cause.where})"


def compare(
    torch_module: Module,
    model: Model,
    x: np.ndarray | Tensor,
    lengths: np.ndarray | Tensor | None = None,
    *,
    layers: dict[str, str] | None = None,
    call: Callable[..., Any] | None = None,
    dtype: str = "float64",
    budget: float = 30.0,
    quiet: bool = False,
) -> Comparison:
    """Run a PyTorch module and our model on the same input, and find the first layer in which they differ, and why.

    Compared are the layers in evaluation and in training mode and, where these agree, the gradients of the input and of all
    parameters.

    Parameters
    ----------
    torch_module : torch.nn.Module
        With the parameters that `model` has. Copies of it are run; wrappers (DataParallel, torch.compile) are taken off. Dropout
        is switched off in training mode, and looked for in evaluation mode, where it must do nothing.
    model : Model
    x : array or tensor [B, d_input, L], or tokens [B, L]
    lengths : true lengths [B], or None
        Given to the module by keyword if its forward has `lengths`, otherwise as its second argument.
    layers : dict, names of the module's layers -> ours
        Such as ``{"blocks.0.ln": "blocks.0.norm", "act.0:input": "blocks.0.conv"}`` (":input": what goes into a layer, "act@1":
        the second run of one layer). By default found by the authors' names, or by the order and type of the layers. Axes may
        be in any order, which is found by running the module on inputs of other sizes, never by looking at values.
    call : function (module, x) or (module, x, lengths) -> output
        How to run the module, if not as ``module(x)`` or ``module(x, lengths)``.
    dtype : "float64" or "float32"
        The dtype in which both are run. In float64 a mistake is easily distinguished from rounding.
    budget : float
        Seconds that the search for what explains a difference may take.
    quiet : bool
        No progress bar. There is none either if standard error is not a terminal.

    Returns
    -------
    comparison : Comparison
        ``print`` it; `.passed`, `.first`, `.mistakes`, `.layers`, `.gradients`, `.not_compared`.

    Raises
    ------
    ImportError, ValueError
        Without PyTorch; for a mapping that names layers which do not exist, inputs that do not fit the model, a module that
        cannot be run or that has another number of blocks. The message says what to do.

    Examples
    --------
    >>> import numpy as np
    >>> from multires_ref import NetworkConfig
    >>> from multires_ref.authors.torch_model import to_torch
    >>> model = Model.init(NetworkConfig(3, 10, 8, 1, max_length=32), np.random.default_rng(0))
    >>> module = to_torch(model)
    >>> module.seq_layers[0].activation.approximate = "tanh"
    >>> compare(module, model, np.random.default_rng(1).standard_normal((2, 3, 32))).mistakes
    ['tanh for exact GELU']
    """
    check_choice("dtype", dtype, FLOATS)
    if not 0 <= float(budget) < math.inf:
        raise ValueError(f"budget must be a number of seconds, 0 or more; got {budget!r}")
    import_torch(PURPOSE)
    pair = prepare(torch_module, model, x, lengths, layers, call, dtype)
    tables: Tables = {}
    gradients: Tables = {}
    cases, problems = [], active_dropout(pair)
    for mode in MODES:
        theirs, ours = pair.theirs(mode), pair.ours(mode)
        tables[mode] = table(theirs, ours, pair)
        cases.append(Case(mode, pair.x, pair.lengths, theirs))
        if all(row.error.passed for row in tables[mode]):
            try:
                gradients[mode] = pair.gradients(mode)
            except ValueError as error:
                problems.append(f"{error} ({mode} mode)")
    found = first_different(tables)
    findings, searched, seconds = explain(pair, found[1], cases, float(budget), quiet) if found else ([], "", 0.0)
    problems += advice(pair, found[1], findings) if found else []
    title = f"PyTorch module {type(pair.module).__name__} against our model: {dtype}, input {list(pair.x.shape)}"
    return Comparison(
        title, tables, gradients, findings, pair.all_notes(), problems, pair.not_compared(tables, gradients),
        list(model.assumed), searched, seconds,
    )  # fmt: skip


def table(theirs: dict[str, np.ndarray], ours: dict[str, np.ndarray], pair: Pair) -> list[Layer]:
    """A row for each layer that both sides have, in our order: the module's output against ours, divided by ours."""
    tolerance = TOLERANCES[pair.runner.dtype]
    return [
        Layer(name, pair.their_name(name), measure(theirs[name], ours[name], tolerance))
        for name in in_order(ours)
        if name in theirs
    ]


def active_dropout(pair: Pair) -> list[str]:
    """A sentence if the module is random in evaluation mode, or if dropout changes what it returns there."""
    changed = pair.random_layers()
    if not changed:
        return []
    return [
        f"dropout is active in evaluation mode: {pair.their_name(changed[0])} differs from run to run. A dropout function needs "
        "training=self.training, and a dropout layer must follow eval(); the tables show the module without it"
    ]


def explain(pair: Pair, first: Layer, cases: list[Case], budget: float, quiet: bool) -> tuple[list[Finding], str, float]:
    """The usual mistakes that explain the first difference, how far the search for them went, and how long it took."""
    if not math.isfinite(first.error.relative) or pair.shares_nothing():
        return [], "", 0.0
    from tqdm import tqdm

    with tqdm(desc="looking for the mistake", unit="try", disable=True if quiet else None, leave=False) as bar:
        search = Search(pair.model, cases, budget, bar)
        findings = search.solve()
    if any(finding.remaining is None for finding in findings):
        return findings, "", search.spent
    said = f"none of the {len(search.possible)} usual mistakes, nor any two of them, explains it"
    said = "the rest is not explained by any of the usual mistakes" if findings else said
    if search.over:
        said = (
            f"the search stopped after {search.spent:.0f} s with {search.tried} combinations tried: "
            f"budget={2 * max(budget, 15):.0f} lets it go on; a mapping of more layers (layers=...) makes it faster"
        )
    return findings, said, search.spent


def advice(pair: Pair, first: Layer, findings: list[Finding]) -> list[str]:
    """What to do about a difference that is no mistake of the network."""
    if pair.shares_nothing():
        return [
            "the module shares no parameter and no layer with the model: build the network that the checkpoint was made for, "
            "or say with layers={name of its layer: ours} which is which"
        ]
    if pair.wrong_output is not None:
        theirs, ours = pair.wrong_output
        return [f"the module's output has shape {theirs} and the model's {ours}: return that, or pass call=... to choose it"]
    if not math.isfinite(first.error.relative):
        return [f"{first.theirs} holds NaN or infinity where the model's {first.name} has other numbers, or has another shape"]
    if pair.runner.dtype == "float64" and first.error.relative < FLOAT32_ROUNDING and not findings:
        kept = foreign_constants(pair.module, str(next((p.dtype for p in pair.module.parameters()), "torch.float32"))[6:])
        named = f" ({', '.join(kept)})" if kept else ""
        return [
            f"a difference of this size is what float32 rounding gives: if something in the module stays in float32{named} or "
            "is cast to it, register it as a buffer and keep the dtype of x; or compare with dtype='float32'"
        ]
    return []
