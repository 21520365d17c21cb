"""`compare`: a PyTorch module of your own beside a model of ours: the first layer that departs, and what would explain it.

model = load_model("x.pth")
report = compare(module, model, x)
print(report)
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..base.optional import import_torch
from ..network import Model
from .cast import cast, cast_model
from .errors import Error, error_cells, text_table
from .hooks import INPUT, check_layers, default_layers, record_module
from .load import as_numpy
from .quirks import Quirks, apply_with_quirks
from .suspects import SUSPECTS, Finding, difference, find_suspects, in_order


class Layer(NamedTuple):
    """One layer that both sides have: our name, the module's name for it, and how far it is off."""

    name: str
    theirs: str
    error: Error


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; prints as a table with its conclusions."""

    title: str
    layers: dict[str, list[Layer]]  # by mode: "evaluation", and with BatchNorm "training"
    first: Layer | None
    findings: list[Finding]
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.first is None

    @property
    def suspects(self) -> list[str]:
        """The names of the suspects that explain the first departing layer."""
        return [suspect.name for finding in self.findings for suspect in finding.suspects]

    def __str__(self) -> str:
        lines = [self.title]
        for mode, layers in self.layers.items():
            header = [f"{mode} mode", "module's layer", "relative", "largest", "ulp", "verdict"]
            rows = [[r.name, r.theirs, *error_cells(r.error), "ok" if r.error.passed else "DEPARTS"] for r in layers]
            lines += ["", text_table(header, rows)]
        return "\n".join([*lines, "", *self.notes, *self.conclusions()])

    def conclusions(self) -> list[str]:
        """The first departing layer, and the suspects."""
        if self.first is None:
            return ["no layer departs: the module computes what the paper defines"]
        off = f"relative error {self.first.error.relative:.1e}"
        lines = [f"the first layer to depart is {self.first.name} ({self.first.theirs}): {off}"]
        for finding in self.findings:
            rest = "every layer then agrees" if finding.remaining is None else f"then {finding.remaining} is the first to depart"
            lines.append(f"suspect: {' and '.join(s.name for s in finding.suspects)} ({finding.where}); {rest}")
            lines += [f"    right is: {s.right}" for s in finding.suspects]
        return (
            lines if self.findings else [*lines, f"none of the {len(SUSPECTS)} usual suspects, nor any two of them, explains it"]
        )


def compare(
    torch_module: Any,
    model: Model,
    x: Any,
    lengths: Any = None,
    *,
    layers: dict[str, str] | None = None,
    call: Callable[..., Any] | None = None,
    dtype: str = "float64",
) -> Comparison:
    """Run a PyTorch module and our model on the same input, and find the first layer in which they differ, and why.

    Parameters
    ----------
    torch_module : torch.nn.Module
        With the parameters that `model` has. A copy is run in evaluation mode; with BatchNorm also in training mode, dropout off.
    model : Model
    x : array or tensor [B, d_input, L], or tokens [B, L]
    lengths : true lengths [B], or None
    layers : dict, names of the module's layers -> ours
        Such as ``{"blocks.0.ln": "blocks.0.norm", "act.0:input": "blocks.0.conv"}`` (":input": what goes into a layer). By
        default found by the authors' names, or by the order and type of the layers. Axes may stand in any order.
    call : function (module, x) or (module, x, lengths) -> output
        How to run the module, if not as ``module(x)`` or ``module(x, lengths)``.
    dtype : "float64" or "float32"
        In which both are run. float64 tells a mistake from rounding.

    Returns
    -------
    comparison : Comparison
        ``print`` it; `.passed`, `.first`, `.suspects`, `.layers`.

    Raises
    ------
    ImportError, ValueError
        Without PyTorch; for a mapping that names layers which do not exist, or inputs that do not fit the model.

    Examples
    --------
    >>> from multires_ref import NetworkConfig
    >>> from multires_ref.interop.torch_model import to_torch
    >>> model = Model.init(NetworkConfig(3, 10, 8, 1, max_length=32), np.random.default_rng(0))
    >>> module = to_torch(model)
    >>> module.seq_layers[0].activation.approximate = "tanh"
    >>> compare(module, model, np.random.default_rng(1).standard_normal((2, 3, 32))).suspects
    ['tanh for exact GELU']
    """
    import_torch("comparing with a PyTorch module")
    x, lengths = (None if a is None else as_numpy(a) if hasattr(a, "detach") else np.asarray(a) for a in (x, lengths))
    model, x = cast_model(model, dtype), cast(x, dtype)
    model.check_input(x, lengths)
    layers = default_layers(torch_module, model.config) if layers is None else layers
    check_layers(layers, torch_module, list(apply_with_quirks(model, x, lengths, Quirks())))
    modes = ("evaluation", "training") if model.config.norm == "batch" else ("evaluation",)
    tables, first, findings = {}, None, []
    for mode in modes:
        training = mode == "training"
        theirs = run_module(torch_module, x, lengths, layers, call, training, dtype)
        tables[mode] = table(theirs, apply_with_quirks(model, x, lengths, Quirks(), None, training), layers, dtype)
        if first is None:
            first = next((layer for layer in tables[mode] if not layer.error.passed), None)
            findings = [] if first is None else find_suspects(model, x, lengths, theirs, first.name, training)
    title = f"PyTorch module {type(torch_module).__name__} against our model: {dtype}, input {list(x.shape)}"
    return Comparison(title, tables, first, findings, different_parameters(torch_module, model))


def run_module(
    module: Any, x: np.ndarray, lengths: Any, layers: dict[str, str], call: Callable[..., Any] | None, training: bool, dtype: str
) -> dict[str, np.ndarray]:
    """The layers' outputs of a copy of the module, by our names, its axes as they are; the output is "decoder"."""
    torch = import_torch("comparing with a PyTorch module")
    module = copy.deepcopy(module).train(training).to(getattr(torch, dtype))
    for layer in module.modules():
        if isinstance(layer, torch.nn.modules.dropout._DropoutNd):
            layer.p = 0.0
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    inputs = [torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in (x, lengths) if a is not None]
    out, values, _ = record_module(module, lambda: call(module, *inputs) if call else module(*inputs), layers)
    modules = dict(module.named_modules())
    for name, ours in layers.items():
        layer = modules[name.removesuffix(INPUT)]
        if training and ours.endswith(".norm") and getattr(layer, "running_var", None) is not None:
            values |= {f"{ours}.running_mean": as_numpy(layer.running_mean), f"{ours}.running_var": as_numpy(layer.running_var)}
    return {"decoder": out} | values


def table(theirs: dict[str, np.ndarray], ours: dict[str, np.ndarray], layers: dict[str, str], dtype: str) -> list[Layer]:
    """A row for each layer that both sides have, in our order."""
    names = {our_name: name for name, our_name in layers.items()} | {"decoder": "output"} | {"": ""}
    return [
        Layer(name, names.get(name, name.rpartition(".")[2]), difference(theirs[name], ours[name], dtype))
        for name in in_order(ours)
        if name in theirs
    ]


def different_parameters(module: Any, model: Model) -> list[str]:
    """A note if the module, by the authors' names, does not hold the model's parameters."""
    from .authors import to_authors

    if not model.config.tied:
        return []
    held, ours = {name: as_numpy(t) for name, t in module.state_dict().items()}, to_authors(model)
    both = [name for name in ours if name in held and held[name].shape == ours[name].shape]
    unlike = [name for name in both if not np.allclose(held[name], ours[name], rtol=1e-6, atol=1e-8)]
    return [f"note: the module's parameters are not the model's: {', '.join(unlike)}"] if unlike else []
