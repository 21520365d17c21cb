"""A module and a model that are to be compared: what each of them gives in a mode, with the same names and the same axes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..authors.torch_file import as_numpy
from ..base.agreement import Error, measure
from ..base.optional import import_torch
from ..base.pytrees import flatten
from ..network import Model
from ..network.norms import NORMS
from .axes import Order, Shape, Shapes, aligned, channel_axis, find_orders, our_shape, possible_orders, resized
from .matching import (
    INPUT,
    PURPOSE,
    Link,
    check_layers,
    count_blocks,
    default_layers,
    different_numbers,
    layer_name,
    link_parameters,
    our_layers,
)  # fmt: skip
from .modules import Pass, Runner, unwrap
from .record import Record, cast, cast_model, map_model, record_model
from .report import cancellation_noise

if TYPE_CHECKING:
    from torch.nn import Module

GRADIENT_TOLERANCES = {"float64": 1e-9, "float32": 1e-4}  # relative, each gradient by its own size
MODES = ("evaluation", "training")


class Layer(NamedTuple):
    """One layer or parameter that both sides have: our name, the module's name for it, and how far its numbers are off."""

    name: str
    theirs: str
    error: Error


def prepare(
    torch_module: Module, model: Model, x: Any, lengths: Any, layers: dict[str, str] | None, call: Any, dtype: str
) -> Pair:
    """Check and convert everything that a comparison needs: the input, dtypes, layers and parameters that correspond."""
    torch = import_torch(PURPOSE)
    if not isinstance(torch_module, torch.nn.Module):
        raise TypeError(f"torch_module must be a torch.nn.Module; got {type(torch_module).__name__}")
    x, lengths = (None if a is None else as_numpy(a) if hasattr(a, "detach") else np.asarray(a) for a in (x, lengths))
    model, x = cast_model(model, dtype), cast(x, dtype)
    model.check_input(x, lengths)
    module, notes = unwrap(torch_module)
    for half in {p.dtype for p in module.parameters()} & {torch.float16, torch.bfloat16}:
        model, kind = rounded(model, half), str(half).removeprefix("torch.")
        notes.append(f"note: the module is in {kind}: the model's numbers were rounded to it, and both computed in {dtype}")
    runner = Runner(module, dtype, call, lambda s, B, L: bool(possible_orders(s, our_shape("decoder", model.config, B, L))))
    calls = runner.calls(x, lengths)
    found = count_blocks(calls, model.config)
    if layers is None and found not in (None, model.config.n_layers):
        raise ValueError(
            f"the module has {found} blocks and the model has {model.config.n_layers}: load the checkpoint that the module was "
            "built for, or build the module with as many blocks"
        )
    layers = default_layers(calls, model.config) if layers is None else layers
    check_layers(layers, module, our_layers(model.config))
    held = {name: as_numpy(p.detach().to(getattr(torch, dtype))) for name, p in module.named_parameters()}
    return Pair(module, model, x, lengths, layers, runner, link_parameters(held, layers, model), held, notes)


def rounded(model: Model, torch_dtype: Any) -> Model:
    """The model with its numbers rounded as the module's are, to float16 or bfloat16, in the dtype that it has."""
    torch = import_torch(PURPOSE)

    def through(a: np.ndarray) -> np.ndarray:
        return torch.from_numpy(a.copy()).to(torch_dtype).double().numpy().astype(a.dtype) if a.dtype.kind == "f" else a

    return map_model(through, model)


@dataclass
class Pair:
    """Both sides, their input, and which layers and parameters correspond."""

    module: Module
    model: Model
    x: np.ndarray
    lengths: np.ndarray | None
    layers: dict[str, str]  # the module's layers -> ours
    runner: Runner
    links: dict[str, Link]  # the module's parameters, by our names
    held: dict[str, np.ndarray]  # the module's parameters by its names
    notes: list[str]
    passes: dict[str, Pass] = field(default_factory=dict)

    def their_pass(self, mode: str) -> Pass:
        """The module's pass in a mode, without dropout."""
        if mode not in self.passes:
            self.passes[mode] = self.runner.run(self.x, self.lengths, self.layers, training=mode == "training")
        return self.passes[mode]

    @staticmethod
    def arrays(run: Pass) -> dict[str, np.ndarray]:
        """The layers of a pass by our names; what the module returns is "decoder"."""
        return run.values | {"decoder": run.output}

    def our_shape(self, name: str) -> Shape:
        """The shape that our layer has on this input."""
        return our_shape(name, self.model.config, self.x.shape[0], self.x.shape[-1])

    @cached_property
    def orders(self) -> dict[str, set[Order]]:
        """For each layer the orders of axes that are possible."""
        nn, modules = import_torch(PURPOSE).nn, dict(self.module.named_modules())

        def shapes(run: Pass) -> Shapes:
            return {name: a.shape for name, a in self.arrays(run).items()}

        def other(B: int, L: int) -> Shapes:
            return shapes(self.runner.run(*resized(self.x, self.lengths, B, L), self.layers))

        axes = {ours: channel_axis(modules[layer_name(k)], nn) for k, ours in self.layers.items() if not k.endswith(INPUT)}
        B, L = self.x.shape[0], self.x.shape[-1]
        return find_orders(shapes(self.their_pass("evaluation")), self.model.config, B, L, other, axes)

    def theirs(self, mode: str) -> dict[str, np.ndarray]:
        """The module's layers with our axes; where no order of axes fits, the layer is left as it is and counts as different."""
        run, found = self.their_pass(mode), {}
        for name, array in self.arrays(run).items():
            orders = self.orders.get(name, set())
            if len(orders) == 1 or (orders and name == "decoder"):
                found[name] = aligned(array, self.our_shape(name), min(orders))
            elif not orders:
                found[name] = array
        return found | (running_statistics(run.buffers, self.layers) if mode == "training" else {})

    @cached_property
    def g(self) -> np.ndarray:
        """The gradient that arrives at the output when gradients are compared."""
        return np.random.default_rng(0).standard_normal(self.our_shape("decoder")).astype(self.runner.dtype)

    def record(self, mode: str, g: np.ndarray | None) -> Record:
        """Our own pass in a mode, and from g, if it is given, a backward pass."""
        return record_model(self.model, self.x, self.lengths, g, mode == "training")

    def ours(self, mode: str) -> dict[str, np.ndarray]:
        """Our layers, with what goes into each block, and in training mode the running statistics."""
        record = self.record(mode, None)
        values = dict(record.values)
        for i in range(self.model.config.n_layers):
            values[f"blocks.{i}.input"] = values[f"blocks.{i - 1}.norm" if i else "encoder"]
        values = {name: values[name] for name in our_layers(self.model.config)}
        if mode == "training" and NORMS[self.model.config.norm].statistics:
            for i in range(self.model.config.n_layers):
                for kind in ("mean", "var"):
                    values[f"blocks.{i}.norm.running_{kind}"] = record.state[f"blocks.{i}.{kind}"]
        return values

    def gradients(self, mode: str) -> list[Layer]:
        """The gradients of sum(g * output) in the input and in every parameter that was found in the module; ours are right."""
        tolerance, ours = GRADIENT_TOLERANCES[self.runner.dtype], self.record(mode, self.g)
        order = min(self.orders["decoder"])
        theirs = self.runner.run(self.x, self.lengths, self.layers, training=mode == "training", g=self.g, order=order)
        rows = []
        if ours.input is not None:
            of_input = np.zeros_like(ours.input) if theirs.input is None else theirs.input
            rows.append(Layer("input", "x", measure(of_input, ours.input, tolerance)))
        for name, link in self.links.items():
            arrived = theirs.parameters[link.theirs]
            mine = np.zeros_like(ours.parameters[name]) if arrived is None else link.take(arrived)
            layer = name.rpartition(".")[0]
            noise = cancellation_noise(ours.gradients[layer]) if name.endswith(".bias") else 0.0
            missing = " (no gradient arrives)" if arrived is None else ""
            rows.append(Layer(name, link.theirs + missing, measure(mine, ours.parameters[name], tolerance, noise)))
        return rows

    def random_layers(self) -> list[str]:
        """The layers that differ between runs in evaluation mode, with dropout as the module has it."""
        try:  # one example is enough to see it
            return self.random_layers_on(self.x[:1], None if self.lengths is None else self.lengths[:1])
        except ValueError:  # raised by a module that is made for one batch size
            return self.random_layers_on(self.x, self.lengths)

    def random_layers_on(self, x: np.ndarray, lengths: np.ndarray | None) -> list[str]:
        """The layers that differ between runs on x in evaluation mode."""

        def run(dropout: bool, seed: int) -> dict[str, np.ndarray]:
            return self.arrays(self.runner.run(x, lengths, self.layers, dropout=dropout, seed=seed))

        without, *others = run(False, 0), run(True, 1), run(True, 2)
        names = [name for name in our_layers(self.model.config) if name in without]
        return [n for n in names if not all(np.allclose(other[n], without[n], rtol=1e-6, equal_nan=True) for other in others)]

    def their_name(self, ours: str) -> str:
        """The module's name for a layer of ours."""
        names = {our_name: name for name, our_name in self.layers.items()} | {"decoder": "output"}
        return names.get(ours, ours.rpartition(".")[2])

    def shares_nothing(self) -> bool:
        """Whether no parameter and no layer inside the module was recognised."""
        return not self.links and not set(self.layers.values()) - {"encoder", "decoder", "pool"}

    @property
    def wrong_output(self) -> tuple[list[int], list[int]] | None:
        """The shapes of the two outputs if one cannot be taken for the other, else None."""
        theirs = self.their_pass("evaluation").output.shape
        return None if self.orders["decoder"] else (list(theirs), list(self.our_shape("decoder")))

    def all_notes(self) -> list[str]:
        """What the reader must know about how the two were compared."""
        unlike = different_numbers(self.links, self.held, self.model)
        notes = [*self.notes, *self.runner.notes]
        notes += [f"note: the module's parameters are not the model's: {', '.join(unlike)}"] if unlike else []
        if len(self.orders["decoder"]) > 1:
            notes.append(
                f"note: axes of equal length, and the module runs on this size only: its output was taken to have the axes "
                f"{min(self.orders['decoder'])} in our order"
            )
        return notes

    def not_compared(self, tables: dict[str, list[Layer]], gradients: dict[str, list[Layer]]) -> list[str]:
        """What was not compared, in phrases."""
        torch, n, said = import_torch(PURPOSE), self.model.config.n_layers, []
        compared = {row.name for row in next(iter(tables.values()))}
        doubtful = [name for name, orders in self.orders.items() if len(orders) > 1 and name != "decoder"]
        unseen = [name for name in our_layers(self.model.config) if name not in compared and name not in doubtful]
        unlinked = [name for name in flatten(self.model.params) if name not in self.links]
        dropouts = [m for m in self.module.modules() if isinstance(m, torch.nn.modules.dropout._DropoutNd) and m.p > 0]
        if unseen:
            said.append(f"layers that were not seen: {', '.join(in_short(unseen, n))}")
        if doubtful:
            which = ", ".join(in_short(doubtful, n))
            said.append(f"layers with axes of equal length, in a module that runs on this size only: {which}")
        without = [mode for mode in tables if mode not in gradients]
        if without:
            said.append(f"gradients in {' and '.join(without)} mode, as the layers must agree first")
        if unlinked and gradients:
            said.append(f"gradients of parameters that were not found in the module: {', '.join(in_short(unlinked, n))}")
        if dropouts or self.model.config.dropout > 0:
            said.append("dropout in training mode, whose masks are random: it was switched off")
        return said


def running_statistics(buffers: dict[str, np.ndarray], layers: dict[str, str]) -> dict[str, np.ndarray]:
    """BatchNorm's running statistics by our names."""
    return {
        f"{ours}.{kind}": buffers[f"{layer_name(key)}.{kind}"]
        for key, ours in layers.items()
        if ours.endswith(".norm") and not key.endswith(INPUT)
        for kind in ("running_mean", "running_var")
        if f"{layer_name(key)}.{kind}" in buffers
    }


def in_short(names: list[str], n_layers: int) -> list[str]:
    """The names, those of all blocks together as one.

    Examples
    --------
    >>> in_short(["blocks.0.gelu", "blocks.1.gelu", "pool"], 2)
    ['blocks.*.gelu', 'pool']
    """
    short: dict[str, list[str]] = {}
    for name in names:
        first, _, rest = name.partition(".")
        key = f"blocks.*.{rest.partition('.')[2]}" if first == "blocks" else name
        short.setdefault(key, []).append(name)
    return [part for key, held in short.items() for part in ([key] if len(held) == n_layers > 1 and "*" in key else held)]
