"""A PyTorch module made ready to be compared: unwrapped, copied, run in a mode and a dtype; every failure explained."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..authors.torch_file import as_numpy
from ..base.optional import import_torch
from .axes import as_theirs
from .hooks import INPUT, hook, layer_name, record_calls

WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}
DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
HOW = "pass call=lambda module, x{}: ..., which says how to run it and returns the output"


def unwrap(module: Any) -> tuple[Any, list[str]]:
    """The module inside DataParallel, DistributedDataParallel and torch.compile, and a note for each wrapper taken off."""
    notes = []
    while type(module).__name__ in WRAPPERS:
        kind = type(module).__name__
        module = getattr(module, WRAPPERS[kind])
        notes.append(f"note: the module inside {'torch.compile' if kind == 'OptimizedModule' else kind} was run, by itself")
    return module, notes


def copied(module: Any) -> Any:
    """A deep copy, in which activations that a module has kept from an earlier run are plain tensors."""
    memo: dict[int, Any] = {}

    def visit(value: Any, depth: int = 0) -> None:
        if hasattr(value, "grad_fn") and value.grad_fn is not None:
            memo[id(value)] = value.detach().clone()  # PyTorch refuses to copy what is part of a graph
        elif isinstance(value, dict) and depth < 4:
            for part in value.values():
                visit(part, depth + 1)
        elif isinstance(value, (list, tuple, set)) and depth < 4:
            for part in value:
                visit(part, depth + 1)

    for layer in module.modules():
        visit({name: value for name, value in vars(layer).items() if name not in ("_modules", "_parameters")})
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:
        raise ValueError(
            f"the module cannot be copied ({type(error).__name__}: {error}); compare runs a copy. Delete what it keeps from "
            "earlier runs (cached activations), or build it again and load its state_dict"
        ) from None


def foreign_constants(module: Any, dtype: str) -> list[str]:
    """Float tensors that are neither parameters nor buffers and have another dtype: `.to(dtype)` leaves them as they are."""
    torch = import_torch("comparing with a PyTorch module")
    held = [(f"{name}.{key}".lstrip("."), value) for name, layer in module.named_modules() for key, value in vars(layer).items()]
    return [
        name for name, v in held if isinstance(v, torch.Tensor) and v.is_floating_point() and v.dtype != getattr(torch, dtype)
    ]


class Pass(NamedTuple):
    """What one forward pass, and where g was given one backward pass, of a module showed; axes as the module has them."""

    output: np.ndarray
    values: dict[str, np.ndarray]  # by our names
    gradients: dict[str, np.ndarray]  # that arrive at the layers, by our names
    parameters: dict[str, np.ndarray | None]  # gradients by the module's names; None where no gradient arrives
    input: np.ndarray | None
    buffers: dict[str, np.ndarray]


@dataclass
class Runner:
    """Runs copies of a module on an input of ours."""

    module: Any
    dtype: str
    call: Callable[..., Any] | None = None
    fits: Callable[[tuple[int, ...], int, int], bool] = lambda shape, B, L: True  # whether a shape can be the output's
    notes: list[str] = field(default_factory=list)

    def run(
        self, x: np.ndarray, lengths: Any, layers: dict[str, str] | None = None, *, training: bool = False,
        g: np.ndarray | None = None, order: tuple[int, ...] | None = None, dropout: bool = False, seed: int = 0,
    ) -> Pass:  # fmt: skip
        """One pass of a fresh copy; without `dropout` every dropout function of PyTorch returns its input."""
        torch = import_torch("comparing with a PyTorch module")
        module, (x, *lengths) = self.ready(training), self.tensors(x, lengths)
        values: dict[str, np.ndarray] = {}
        gradients: dict[str, np.ndarray] = {}
        x.requires_grad_(g is not None and x.is_floating_point())
        handles = hook(module, layers or {}, values, gradients)
        with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(g is not None), dropout_off(not dropout):
            torch.manual_seed(seed)
            out = self.output(module, x, *lengths)
            if g is not None and out.requires_grad:
                self.backward(out, g, order)
        for handle in handles:
            handle.remove()
        parameters = {name: None if p.grad is None else as_numpy(p.grad) for name, p in module.named_parameters()}
        buffers = {name: as_numpy(b) for name, b in module.named_buffers()}
        return Pass(as_numpy(out), values, gradients, parameters, None if x.grad is None else as_numpy(x.grad), buffers)

    def ready(self, training: bool) -> Any:
        """A copy in the dtype and mode, all of whose parameters take a gradient."""
        torch = import_torch("comparing with a PyTorch module")
        module = copied(self.module).to(getattr(torch, self.dtype)).train(training)
        for p in module.parameters():
            p.grad = None
            p.requires_grad_(p.is_floating_point())
        return module

    def tensors(self, x: np.ndarray, lengths: Any) -> list[Any]:
        torch = import_torch("comparing with a PyTorch module")
        device = next((p.device for p in self.module.parameters()), torch.device("cpu"))
        return [torch.from_numpy(np.array(a, order="C")).to(device) for a in (x, lengths) if a is not None]

    def calls(self, x: np.ndarray, lengths: Any) -> list[Any]:
        """The layers that run, in order."""
        torch = import_torch("comparing with a PyTorch module")
        module, inputs = self.ready(training=False), self.tensors(x, lengths)
        with torch.no_grad(), torch.random.fork_rng(devices=[]), dropout_off(True):
            return record_calls(module, lambda: self.output(module, *inputs))

    def backward(self, out: Any, g: np.ndarray, order: tuple[int, ...] | None) -> None:
        """Let g, which has our axes, arrive at the output."""
        torch = import_torch("comparing with a PyTorch module")
        shape = tuple(out.shape)
        arriving = as_theirs(g, shape, order if order is not None else tuple(range(len(shape))))
        try:
            out.backward(torch.from_numpy(arriving).to(out.device, out.dtype))
        except Exception as error:
            raise ValueError(f"the backward pass of the module fails: {type(error).__name__}: {first_line(error)}") from None

    def output(self, module: Any, x: Any, lengths: Any = None) -> Any:
        """The tensor that the module returns."""
        entered: list[str] = []
        names = {id(layer): name for name, layer in module.named_modules()}
        handles = [m.register_forward_pre_hook(lambda m, _: entered.append(names[id(m)])) for m in module.modules()]
        try:
            returned = self.invoke(module, x, lengths)
        except Exception as error:
            raise ValueError(self.failure(error, module, x, entered)) from None
        finally:
            for handle in handles:
                handle.remove()
        return self.one_tensor(returned, x.shape[0], x.shape[-1])

    def invoke(self, module: Any, x: Any, lengths: Any) -> Any:
        """Run it as `call` says; otherwise on x and, by keyword or as the second argument, on lengths."""
        inputs = (x,) if lengths is None else (x, lengths)
        if self.call:
            return self.call(module, *inputs)
        if lengths is None:
            return module(x)
        kinds = inspect.signature(module.forward).parameters.values()
        if any(p.name == "lengths" and p.kind != p.POSITIONAL_ONLY or p.kind == p.VAR_KEYWORD for p in kinds):
            return module(x, lengths=lengths)
        if sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in kinds) < 2 and not any(
            p.kind == p.VAR_POSITIONAL for p in kinds
        ):
            raise TypeError("forward takes no lengths")
        return module(x, lengths)

    def failure(self, error: Exception, module: Any, x: Any, entered: list[str]) -> str:
        """What went wrong while the module ran, and what to do."""
        where = (
            f" in {entered[-1]} ({type(dict(module.named_modules())[entered[-1]]).__name__})" if entered and entered[-1] else ""
        )
        said = f"{type(error).__name__}: {first_line(error)}"
        start = f"the module cannot be run on x {list(x.shape)} in {self.dtype}: {said}{where}. "
        if self.dtype == "float64" and any(word in said for word in ("Double", "double", "same dtype", "float64")):
            kept = foreign_constants(module, self.dtype)
            named = f" ({', '.join(kept)})" if kept else ""
            return start + f"Something inside it stays in float32{named}: register it as a buffer, or pass dtype='float32'"
        if "takes no lengths" in said:
            return start + f"Its forward must take them as `lengths` or as the second argument; or {HOW.format(', lengths')}"
        return start + f"If it takes its input in another way, {HOW.format('')}"

    def one_tensor(self, returned: Any, B: int, L: int) -> Any:
        """The output in a tuple, list or dict: the one tensor in it that has the shape of an output."""
        if hasattr(returned, "detach"):
            return returned
        parts = (
            returned.items() if isinstance(returned, dict) else enumerate(returned) if isinstance(returned, (tuple, list)) else ()
        )
        found = {key: value for key, value in parts if hasattr(value, "detach") and self.fits(tuple(value.shape), B, L)}
        if len(found) == 1:
            ((key, value),) = found.items()
            kind = type(returned).__name__
            note = f"note: the module returns a {kind}; its entry {key!r} is compared, as it alone fits the model's output"
            if note not in self.notes:
                self.notes.append(note)
            return value
        held = list(returned) if isinstance(returned, dict) else type(returned).__name__
        raise ValueError(
            f"the module returns a {type(returned).__name__} ({held}) in which {len(found)} tensors have the shape of the "
            f"model's output: {HOW.format('')}, such as call=lambda module, x: module(x)[0]"
        )


def first_line(error: Exception) -> str:
    """The first line of an error's message, without a full stop."""
    return (str(error).strip().splitlines() or [""])[0].rstrip(".")


def dropout_off(off: bool) -> Any:
    """A context in which the dropout functions of PyTorch, and so its dropout layers, return their input."""
    from contextlib import nullcontext

    torch = import_torch("comparing with a PyTorch module")
    functions = [getattr(torch.nn.functional, name) for name in DROPOUTS]
    functions += [torch.dropout, torch.feature_dropout, torch.alpha_dropout, torch.feature_alpha_dropout]

    class Off(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if function in functions:
                return args[0] if args else kwargs["input"]
            return function(*args, **kwargs)

    return Off() if off else nullcontext()


def running_statistics(buffers: dict[str, np.ndarray], layers: dict[str, str]) -> dict[str, np.ndarray]:
    """BatchNorm's running statistics by our names."""
    return {
        f"{ours}.{kind}": buffers[f"{layer_name(key)}.{kind}"]
        for key, ours in layers.items()
        if ours.endswith(".norm") and not key.endswith(INPUT)
        for kind in ("running_mean", "running_var")
        if f"{layer_name(key)}.{kind}" in buffers
    }
