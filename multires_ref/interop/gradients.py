"""Every operation's gradient against finite differences, and against PyTorch's where it is installed.

With a random g, the gradient of F = sum(g * operation) in each of its arrays, from autograd and our adjoints, is held against

    dF/dx_i = (8 (F(x + h e_i) - F(x - h e_i)) - (F(x + 2 h e_i) - F(x - 2 h e_i))) / (12 h) + O(h^4)

in float64, and against PyTorch's backward pass of the same operation: `errors.measure`, each gradient by its own size.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from .. import autodiff as ad
from ..autodiff import ops
from ..autodiff.norms import batch_statistics
from ..checks import check_choice
from ..network.layer import value_of
from ..training.losses import bce_with_logits, cross_entropy
from ..training.mixture import mixture_nll
from .errors import measure, text_table

STEP = 1e-3  # h^4 = 1e-12 of truncation meets 1e-16 / h = 1e-13 of rounding
FINITE, TORCH = 1e-8, 1e-12  # tolerances, relative

MASK = np.array([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0]])[:, :, None]
LENGTHS = np.array([3, 7])
TOKENS = np.array([[0, 2, 2, 1, 0, 3, 3], [1, 1, 1, 1, 0, 0, 2]])
CLASSES, LABELS = np.array([2, 0, 4]), np.array([[0.0, 1.0, 0.0, 1.0, 1.0]] * 3)
MEAN, VARIANCE = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0])
PIXELS = np.array([[[-1.0, 0.2, 1.0], [0.4, -1.0, -0.6], [1.0, -0.2, 0.8]]])  # [B, 3, L], both ends and the middle, 11 levels
X = (2, 3, 7)  # B, D, L


class Operation(NamedTuple):
    """An operation: its name, ours as a function of its arrays and then `rest`, the arrays' shapes, `rest`, its PyTorch twin."""

    name: str
    ours: Callable[..., Any]
    shapes: list[tuple[int, ...]]
    rest: tuple[Any, ...] = ()
    in_torch: str | None = None  # the name of its twin in `torch_operations`


class GradientRow(NamedTuple):
    """One argument of one operation: relative errors (None without a PyTorch twin), and the verdict."""

    operation: str
    argument: int
    finite: float
    torch: float | None
    passed: bool


def batch_norm_of_its_batch(x: Any, r: Any, weight: Any, bias: Any, *rest: Any) -> Any:
    """BatchNorm in training, whose statistics are the batch's own."""
    return ad.batch_norm(x, r, weight, bias, *batch_statistics(value_of(x), value_of(r)), True)


def conv_by(tree_select: str, depth: int, engine: str) -> Callable[..., Any]:
    """`multires_conv` with its options."""
    return lambda *arrays: ad.multires_conv(*arrays[:5], tree_select=tree_select, depth=depth, engine=engine)


def conv_operations(engine: str) -> list[Operation]:
    """The operator by one engine: fading, uniform, and filters of each level its own."""
    fading, uniform = [(2, 2, 9), (2, 3), (2, 3), (2, 4), (2,)], [(2, 2, 9), (2, 2), (2, 2), (2, 6), (2,)]
    untied = [(2, 2, 9), (3, 2, 3), (3, 2, 3), (2, 4), (2,)]
    name = f"multires_conv, {engine} engine"
    return [
        Operation(f"{name}, fading", conv_by("fading", 3, engine), fading, ("fading", 3), "multires_conv"),
        Operation(f"{name}, uniform", conv_by("uniform", 3, engine), uniform, ("uniform", 3), "multires_conv"),
        Operation(f"{name}, untied", conv_by("fading", 3, engine), untied),
    ]


def operations(engines: list[str]) -> list[Operation]:
    """All operations the networks and their losses are made of."""
    traced = [(2, 2, 9), (2, 3), (2, 3), (2, 4), (2,)]
    norm_shapes = [X, X, (3,), (3,)]
    table = [
        ("dilated_conv", ops.dilated_conv, [X, (3, 4)], (2,)),
        ("dilated_correlate", ops.dilated_correlate, [X, (3, 4)], (2,)),
        ("dilated_taps", ops.dilated_taps, [X, X], (2, 4)),
        ("delay", ops.delay, [X], (3,)),
        ("advance", ops.advance, [X], (3,)),
        ("gelu", ops.gelu, [X], ()),
        ("gelu, dropout", ops.gelu, [X], (MASK,)),
        ("glu", ops.glu, [(2, 6, 7)], ()),
        ("glu, dropout", ops.glu, [(2, 6, 7)], (MASK,)),
        ("conv1x1", ops.conv1x1, [X, (5, 3), (5,)], ()),
        ("linear", ops.linear, [(2, 3), (5, 3), (5,)], ()),
        ("embed", ops.embed, [(4, 3)], (TOKENS,)),
        ("embed_adjoint", ops.embed_adjoint, [X], (TOKENS, 4)),
        ("masked_mean", ops.masked_mean, [X], ()),
        ("masked_mean, lengths", ops.masked_mean, [X], (LENGTHS,)),
        ("layer_norm", ops.layer_norm, norm_shapes, ()),
        ("batch_norm, training", batch_norm_of_its_batch, norm_shapes, (MEAN, VARIANCE, True)),
        ("batch_norm, evaluation", ops.batch_norm, norm_shapes, (MEAN, VARIANCE, False)),
        ("cross_entropy", cross_entropy, [(3, 5)], (CLASSES,)),
        ("bce_with_logits", bce_with_logits, [(3, 5)], (LABELS,)),
        ("mixture_nll", mixture_nll, [(1, 20, 3)], (PIXELS, 11)),
    ]
    named = [Operation(name, ours, shapes, rest, name.split(",")[0]) for name, ours, shapes, rest in table]
    written_out = lambda *arrays: ad.multires_conv_traced(*arrays[:5])  # noqa: E731
    named.append(Operation("multires_conv_traced", written_out, traced, ("fading", 3), "multires_conv"))
    return named + [operation for engine in engines for operation in conv_operations(engine)]


def cpu_engines() -> list[str]:
    """The engines that run here on NumPy arrays: those whose library is installed."""
    found, x, h = [], np.ones((1, 1, 4)), np.ones((1, 2))
    for name in ("tree", "fft", "fused"):
        try:
            ad.multires_conv(x, h, h, np.ones((1, 2)), np.ones(1), engine=name)
        except ImportError:
            continue
        found.append(name)
    return found


def check_gradients(
    op: str | None = None, *, also: list[Operation] | None = None, rng: np.random.Generator | None = None
) -> list[GradientRow]:
    """Check the gradient of every operation (or of the one named) in each of its arrays.

    Parameters
    ----------
    op : str or None
        The name of one operation; "gelu" takes its variants too ("gelu, dropout").
    also : list of Operation
        More operations to check, your own.
    rng : numpy Generator
        Draws the arrays; seeded with 0 by default.

    Returns
    -------
    rows : list of GradientRow, one for each array of each operation

    Examples
    --------
    >>> all(row.passed for row in check_gradients("gelu"))
    True
    """
    rng = np.random.default_rng(0) if rng is None else rng
    chosen = operations(cpu_engines()) + (also or [])
    if op is not None:
        check_choice("op", op, sorted({name for o in chosen for name in (o.name, o.name.split(",")[0])}))
        chosen = [o for o in chosen if op in (o.name, o.name.split(",")[0])]
    return [row for operation in chosen for row in check_operation(operation, rng)]


def check_operation(operation: Operation, rng: np.random.Generator) -> list[GradientRow]:
    """A row for each array of the operation."""
    arrays = [rng.standard_normal(shape) for shape in operation.shapes]
    g = rng.standard_normal(np.shape(operation.ours(*arrays, *operation.rest)))
    ours = our_gradients(operation, arrays, g)
    theirs = torch_gradients(operation, arrays, g) if operation.in_torch and find_spec("torch") else [None] * len(arrays)
    rows = []
    for n, (gradient, by_torch) in enumerate(zip(ours, theirs, strict=True)):
        errors = [measure(gradient, finite_differences(operation, arrays, n, g), FINITE)]
        errors += [] if by_torch is None else [measure(gradient, by_torch, TORCH)]
        to_torch = None if by_torch is None else errors[1].relative
        rows.append(GradientRow(operation.name, n, errors[0].relative, to_torch, all(error.passed for error in errors)))
    return rows


def our_gradients(operation: Operation, arrays: list[np.ndarray], g: np.ndarray) -> list[np.ndarray]:
    """By autograd and the hand-written adjoints, from one backward pass."""
    from autograd.builtins import tuple as traced_tuple
    from autograd.core import make_vjp

    vjp, _ = make_vjp(lambda arrays: operation.ours(*arrays, *operation.rest), traced_tuple(arrays))
    return list(vjp(g))


def finite_differences(operation: Operation, arrays: list[np.ndarray], n: int, g: np.ndarray) -> np.ndarray:
    """The gradient of array n, number by number, to fourth order in the step."""
    gradient = np.zeros_like(arrays[n])
    for index in np.ndindex(*arrays[n].shape):

        def moved(steps: int, index: Any = index) -> float:
            there = [a.copy() for a in arrays]
            there[n][index] += steps * STEP
            return float((g * operation.ours(*there, *operation.rest)).sum())

        gradient[index] = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * STEP)
    return gradient


def torch_gradients(operation: Operation, arrays: list[np.ndarray], g: np.ndarray) -> list[np.ndarray]:
    """By PyTorch's backward pass."""
    import torch

    from . import torch_operations

    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    rest = [torch.tensor(a) if isinstance(a, np.ndarray) else a for a in operation.rest]
    out = getattr(torch_operations, str(operation.in_torch))(*tensors, *rest)
    (out * torch.tensor(g)).sum().backward()
    return [tensor.grad.numpy() for tensor in tensors]


def format_gradients(rows: list[GradientRow]) -> str:
    """The rows as a table, and how many of them hold."""
    lines = [
        [
            row.operation if row.argument == 0 else "",
            str(row.argument),
            f"{row.finite:.1e}",
            "" if row.torch is None else f"{row.torch:.1e}",
            "ok" if row.passed else "WRONG",
        ]
        for row in rows
    ]
    table = text_table(["operation", "argument", "finite differences", "PyTorch", "verdict"], lines)
    good = sum(row.passed for row in rows)
    note = f"tolerances (relative): finite differences {FINITE:.0e}, PyTorch {TORCH:.0e}"
    return f"{table}\n\n{note}\n{good} of {len(rows)} gradients hold"
