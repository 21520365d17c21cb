"""`compare`: a PyTorch module of your own beside a model of ours: the first layer that departs, and what would explain it.

model = load_model("x.pth")
report = compare(module, model, x)
print(report)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..base.checks import FLOATS, check_choice
from ..base.optional import import_torch
from ..network import Model
from .comparison import Comparison, Layer
from .errors import measure
from .modules import foreign_constants
from .pair import MODES, Pair, prepare
from .search import TOLERANCES, Case, Finding, Search, in_order

FLOAT32_ROUNDING = 1e-6  # a relative difference below this may come from a number that was rounded to float32


def compare(
    torch_module: Any,
    model: Model,
    x: Any,
    lengths: Any = None,
    *,
    layers: dict[str, str] | None = None,
    call: Callable[..., Any] | None = None,
    dtype: str = "float64",
    budget: float = 30.0,
    quiet: bool = False,
) -> Comparison:
    """Run a PyTorch module and our model on the same input, and find the first layer in which they differ, and why.

    Layers, and where these agree the gradients of the input and of all parameters, in evaluation and in training mode.

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
        stand in any order; it is found by running the module on inputs of other sizes, never by looking at values.
    call : function (module, x) or (module, x, lengths) -> output
        How to run the module, if not as ``module(x)`` or ``module(x, lengths)``.
    dtype : "float64" or "float32"
        In which both are run. float64 tells a mistake from rounding.
    budget : float
        Seconds that the search for what explains a difference may take.
    quiet : bool
        No progress bar. There is none either where standard error is not a terminal.

    Returns
    -------
    comparison : Comparison
        ``print`` it; `.passed`, `.first`, `.suspects`, `.layers`, `.gradients`, `.not_compared`.

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
    >>> compare(module, model, np.random.default_rng(1).standard_normal((2, 3, 32))).suspects
    ['tanh for exact GELU']
    """
    check_choice("dtype", dtype, FLOATS)
    if not 0 <= float(budget) < math.inf:
        raise ValueError(f"budget must be a number of seconds, 0 or more; got {budget!r}")
    import_torch("comparing with a PyTorch module")
    pair = prepare(torch_module, model, x, lengths, layers, call, dtype)
    tables: dict[str, list[Layer]] = {}
    gradients: dict[str, list[Layer]] = {}
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
    findings, searched, seconds = explain(pair, tables, cases, float(budget), quiet)
    problems += advice(pair, tables, findings)
    title = f"PyTorch module {type(pair.module).__name__} against our model: {dtype}, input {list(pair.x.shape)}"
    return Comparison(
        title, tables, gradients, findings, pair.all_notes(), problems, pair.not_compared(tables, gradients),
        list(model.assumed), searched, seconds,
    )  # fmt: skip


def table(theirs: dict[str, Any], ours: dict[str, Any], pair: Pair) -> list[Layer]:
    """A row for each layer that both sides have, in our order: the module's output against ours, divided by ours."""
    tolerance = TOLERANCES[pair.runner.dtype]
    return [
        Layer(name, pair.their_name(name), measure(theirs[name], ours[name], tolerance))
        for name in in_order(ours)
        if name in theirs
    ]


def active_dropout(pair: Pair) -> list[str]:
    """A sentence if the module is random in evaluation mode, or if dropout changes what it gives there."""
    changed = pair.random_layers()
    if not changed:
        return []
    return [
        f"dropout is active in evaluation mode: {pair.their_name(changed[0])} differs from run to run. A dropout function needs "
        "training=self.training, and a dropout layer must follow eval(); the tables show the module without it"
    ]


def explain(
    pair: Pair, tables: dict[str, list[Layer]], cases: list[Case], budget: float, quiet: bool
) -> tuple[list[Finding], str, float]:
    """What the search for suspects finds, how far it went, and how long it took; nothing where it could not help."""
    first = next((row for rows in tables.values() for row in rows if not row.error.passed), None)
    if first is None or not math.isfinite(first.error.relative) or pair.shares_nothing():
        return [], "", 0.0
    from tqdm import tqdm

    with tqdm(desc="looking for the mistake", unit="try", disable=True if quiet else None, leave=False) as bar:
        search = Search(pair.model, cases, budget, bar)
        findings = search.solve()
    whole = any(finding.remaining is None for finding in findings)
    said = f"none of the {len(search.suspects)} usual suspects, nor any two of them, explains it"
    said = said if not findings else "" if whole else "the rest is not explained by any of the usual suspects"
    if search.over and not whole:
        said = (
            f"the search stopped after {search.spent:.0f} s with {search.tried} combinations tried: "
            f"budget={2 * max(budget, 15):.0f} lets it go on; a mapping of more layers (layers=...) makes it faster"
        )
    return findings, said, search.spent


def advice(pair: Pair, tables: dict[str, list[Layer]], findings: list[Finding]) -> list[str]:
    """What to do about differences that are not mistakes of the network."""
    first = next((row for rows in tables.values() for row in rows if not row.error.passed), None)
    if first is None:
        return []
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
