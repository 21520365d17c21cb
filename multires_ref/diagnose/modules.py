"""Running a PyTorch module that is to be compared: a copy of it, in a mode and a dtype, with hooks on its layers.

Every failure is explained by a ValueError that says what to do. Which layers are shown, and under which names, is decided by a
mapping: see `matching.py`.
"""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..authors.torch_file import as_numpy
from ..base.optional import import_torch
from .axes import Order, Shape, as_theirs
from .matching import INPUT, PURPOSE, Call, layer_name

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}
DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
HOW = "pass call=lambda module, x{}: ..., which says how to run it and returns the output"


def unwrap(module: Module) -> tuple[Module, list[str]]:
    """The module inside DataParallel, DistributedDataParallel and torch.compile, and a note for each wrapper taken off."""
    notes = []
    while type(module).__name__ in WRAPPERS:
        kind = type(module).__name__
        module = getattr(module, WRAPPERS[kind])
        notes.append(f"note: the module inside {'torch.compile' if kind == 'OptimizedModule' else kind} was run, by itself")
    return module, notes


def copied(module: Module) -> Module:
    """A deep copy, in which activations that the module kept from an earlier run are tensors without a graph."""
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


def foreign_constants(module: Module, dtype: str) -> list[str]:
    """The names of float tensors of another dtype that are neither parameters nor buffers: `.to(dtype)` does not change them."""
    torch = import_torch(PURPOSE)
    held = [(f"{name}.{key}".lstrip("."), value) for name, layer in module.named_modules() for key, value in vars(layer).items()]
    return [
        name for name, v in held if isinstance(v, torch.Tensor) and v.is_floating_point() and v.dtype != getattr(torch, dtype)
    ]


def first_tensor(value: Any) -> Tensor | None:
    """The tensor of a layer's input or output; of a tuple, list or dict the first one."""
    while isinstance(value, (tuple, list, dict)):
        value = next(iter(value.values() if isinstance(value, dict) else value), None)
    return value


@contextmanager
def hooks_on(module: Module, layers: dict[str, str]) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Inside, what the mapped layers return (or take) and the gradients there are kept, by our names: (values, gradients)."""
    values: dict[str, np.ndarray] = {}
    gradients: dict[str, np.ndarray] = {}
    runs: Counter[str] = Counter()

    def keep(key: str, value: Any) -> None:
        tensor = first_tensor(value)
        if key in layers and hasattr(tensor, "detach"):
            ours = layers[key]
            values[ours] = as_numpy(tensor.detach().clone())  # cloned: a later layer may write in place
            if tensor.requires_grad:
                tensor.register_hook(lambda g: gradients.__setitem__(ours, as_numpy(g.detach().clone())))

    def before(name: str) -> Callable[..., None]:
        return lambda _, args, kwargs: keep(Call(name, runs[name], None).key + INPUT, (*args, *kwargs.values()))

    def after(name: str) -> Callable[..., None]:
        def left(_: Any, args: Any, kwargs: Any, output: Any) -> None:
            keep(Call(name, runs[name], None).key, output)
            runs[name] += 1

        return left

    names, modules = dict.fromkeys(layer_name(key) for key in layers), dict(module.named_modules())
    handles = [modules[name].register_forward_pre_hook(before(name), with_kwargs=True) for name in names]
    handles += [modules[name].register_forward_hook(after(name), with_kwargs=True) for name in names]
    try:
        yield values, gradients
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def calls_of(module: Module) -> Iterator[list[Call]]:
    """Inside, a list of the layers that run, in the order in which they begin; those that never run are not in it."""
    calls: list[Call] = []
    runs: Counter[str] = Counter()

    def before(name: str) -> Callable[..., None]:
        def entered(layer: Module, inputs: Any) -> None:
            calls.append(Call(name, runs[name], layer))
            runs[name] += 1

        return entered

    handles = [layer.register_forward_pre_hook(before(name)) for name, layer in module.named_modules() if name]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


class Pass(NamedTuple):
    """One forward pass of a module, and where g was given one backward pass; axes as the module has them."""

    output: np.ndarray
    values: dict[str, np.ndarray]  # by our names
    gradients: dict[str, np.ndarray]  # that arrive at the layers, by our names
    parameters: dict[str, np.ndarray | None]  # gradients by the module's names; None where no gradient arrives
    input: np.ndarray | None
    buffers: dict[str, np.ndarray]


@dataclass
class Runner:
    """Runs copies of a module on an input of ours."""

    module: Module
    dtype: str
    call: Callable[..., Any] | None = None
    fits: Callable[[Shape, int, int], bool] = lambda shape, B, L: True  # whether a shape can be the output's
    notes: list[str] = field(default_factory=list)

    def run(
        self, x: np.ndarray, lengths: np.ndarray | None, layers: dict[str, str] | None = None, *, training: bool = False,
        g: np.ndarray | None = None, order: Order | None = None, dropout: bool = False, seed: int = 0,
    ) -> Pass:  # fmt: skip
        """One pass of a fresh copy; without `dropout` every dropout function of PyTorch returns its input."""
        module, (x, *lengths) = self.ready(training), self.tensors(x, lengths)
        x.requires_grad_(g is not None and x.is_floating_point())
        with self.surroundings(dropout, seed, g is not None), hooks_on(module, layers or {}) as (values, gradients):
            out = self.output(module, x, *lengths)
            if g is not None and out.requires_grad:
                self.backward(out, g, order)
        parameters = {name: None if p.grad is None else as_numpy(p.grad) for name, p in module.named_parameters()}
        buffers = {name: as_numpy(b) for name, b in module.named_buffers()}
        return Pass(as_numpy(out), values, gradients, parameters, None if x.grad is None else as_numpy(x.grad), buffers)

    @staticmethod
    @contextmanager
    def surroundings(dropout: bool, seed: int, gradients: bool) -> Iterator[None]:
        """Inside, PyTorch's generator starts from `seed`, and dropout and gradients are on or off; outside nothing changes."""
        torch = import_torch(PURPOSE)
        with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(gradients), dropout_off(not dropout):
            torch.manual_seed(seed)
            yield

    def ready(self, training: bool) -> Module:
        """A copy in the dtype and in the mode; all its float parameters require a gradient."""
        torch = import_torch(PURPOSE)
        module = copied(self.module).to(getattr(torch, self.dtype)).train(training)
        for p in module.parameters():
            p.grad = None
            p.requires_grad_(p.is_floating_point())
        return module

    def tensors(self, x: np.ndarray, lengths: np.ndarray | None) -> list[Tensor]:
        torch = import_torch(PURPOSE)
        device = next((p.device for p in self.module.parameters()), torch.device("cpu"))
        return [torch.from_numpy(np.array(a, order="C")).to(device) for a in (x, lengths) if a is not None]

    def calls(self, x: np.ndarray, lengths: np.ndarray | None) -> list[Call]:
        """The layers that run, in order."""
        module, inputs = self.ready(training=False), self.tensors(x, lengths)
        with self.surroundings(dropout=False, seed=0, gradients=False), calls_of(module) as calls:
            self.output(module, *inputs)
        return calls

    def backward(self, out: Tensor, g: np.ndarray, order: Order | None) -> None:
        """The backward pass from g, the gradient at the output, which has our axes."""
        torch = import_torch(PURPOSE)
        shape = tuple(out.shape)
        arriving = as_theirs(g, shape, order if order is not None else tuple(range(len(shape))))
        try:
            out.backward(torch.from_numpy(arriving).to(out.device, out.dtype))
        except Exception as error:
            raise ValueError(f"the backward pass of the module fails: {type(error).__name__}: {first_line(error)}") from None

    def output(self, module: Module, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The tensor that the module returns."""
        with calls_of(module) as calls:
            try:
                returned = self.invoke(module, x, lengths)
            except Exception as error:
                raise ValueError(self.failure(error, module, x, calls)) from None
        return self.one_tensor(returned, x.shape[0], x.shape[-1])

    def invoke(self, module: Module, x: Tensor, lengths: Tensor | None) -> Any:
        """Run it as `call` says; otherwise on x and, by keyword or as the second argument, on lengths."""
        inputs = (x,) if lengths is None else (x, lengths)
        if self.call:
            return self.call(module, *inputs)
        if lengths is None:
            return module(x)
        accepted = inspect.signature(module.forward).parameters.values()
        if any(p.name == "lengths" and p.kind != p.POSITIONAL_ONLY or p.kind == p.VAR_KEYWORD for p in accepted):
            return module(x, lengths=lengths)
        positional = [p for p in accepted if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(positional) < 2 and not any(p.kind == p.VAR_POSITIONAL for p in accepted):
            raise TypeError("forward takes no lengths")
        return module(x, lengths)

    def failure(self, error: Exception, module: Module, x: Tensor, calls: list[Call]) -> str:
        """What went wrong while the module ran, in which layer, and what to do."""
        where = f" in {calls[-1].name} ({type(calls[-1].layer).__name__})" if calls else ""
        said = f"{type(error).__name__}: {first_line(error)}"
        start = f"the module cannot be run on x {list(x.shape)} in {self.dtype}: {said}{where}. "
        if self.dtype == "float64" and any(word in said for word in ("Double", "double", "same dtype", "float64")):
            kept = foreign_constants(module, self.dtype)
            named = f" ({', '.join(kept)})" if kept else ""
            return start + f"Something inside it stays in float32{named}: register it as a buffer, or pass dtype='float32'"
        if "takes no lengths" in said:
            return start + f"Its forward must take them as `lengths` or as the second argument; or {HOW.format(', lengths')}"
        return start + f"If it takes its input in another way, {HOW.format('')}"

    def one_tensor(self, returned: Any, B: int, L: int) -> Tensor:
        """The output in a tuple, list or dict: the one tensor in it that has the shape of an output."""
        if hasattr(returned, "detach"):
            return returned
        parts = returned if isinstance(returned, dict) else {}
        if isinstance(returned, (tuple, list)):
            parts = dict(enumerate(returned))
        found = {key: value for key, value in parts.items() if hasattr(value, "detach") and self.fits(tuple(value.shape), B, L)}
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


def dropout_off(off: bool) -> AbstractContextManager:
    """A context in which the dropout functions of PyTorch, and so its dropout layers, return their input."""
    torch = import_torch(PURPOSE)
    functions = [getattr(torch.nn.functional, name) for name in DROPOUTS]
    functions += [torch.dropout, torch.feature_dropout, torch.alpha_dropout, torch.feature_alpha_dropout]

    class Off(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if function in functions:
                return args[0] if args else kwargs["input"]
            return function(*args, **kwargs)

    return Off() if off else nullcontext()
