"""Every operation's gradient against finite differences, and against PyTorch's where it is installed.

With a random g, the gradient of F = sum(g * operation) in each of its arrays, from autograd and our adjoints, is compared with

    dF/dx_i = (8 (F(x + h e_i) - F(x - h e_i)) - (F(x + 2 h e_i) - F(x - 2 h e_i))) / (12 h) + O(h^4)

in float64, and with PyTorch's backward pass of the same operation (see `base.agreement.measure`; each error is relative to the
size of its own gradient). The operations and their example arguments are those that `ops/` registers.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from ..base.agreement import measure
from ..base.checks import check_choice
from ..base.tables import text_table
from ..engines import usable_engines
from ..ops import OPERATIONS, Example
from ..ops.multires_conv import multires_conv_traced

STEP = 1e-3  # the truncation error h^4 = 1e-12 is then about as small as the rounding error 1e-16 / h = 1e-13
FINITE, TORCH = 1e-8, 1e-12  # tolerances, relative


class Case(NamedTuple):
    """A function, an example of its arguments, and the name of PyTorch's version of it in `torch_operations`."""

    name: str
    ours: Callable[..., Any]
    example: Example
    in_torch: str | None = None

    def run(self, *arrays: Any) -> Any:
        """The function of these arrays and of the example's further arguments."""
        return self.ours(*self.example.arguments(*arrays))


class GradientRow(NamedTuple):
    """One argument of one operation: its relative errors (None if there is no PyTorch version), and the verdict."""

    operation: str
    argument: int
    finite: float
    torch: float | None
    passed: bool


def cases(engines: list[str]) -> list[Case]:
    """Every example of every registered operation; `multires_conv` by each of the engines, and as autograd records it."""
    conv = OPERATIONS["multires_conv"]
    found = [
        Case(label(name, example), operation, example, name)
        for name, operation in OPERATIONS.items()
        for example in operation.examples
        if operation is not conv
    ]
    for engine in engines:
        for example in conv.examples:
            by_engine = example._replace(rest=(*example.rest[:1], engine))
            in_torch = None if example.label == "untied" else "multires_conv"  # PyTorch's version has tied filters alone
            found.append(Case(f"multires_conv, {engine} engine, {example.label}", conv, by_engine, in_torch))
    fading = conv.examples[0]
    traced = Example(fading.shapes)
    return [*found, Case("multires_conv_traced", multires_conv_traced, traced)]


def label(name: str, example: Example) -> str:
    """Such as "gelu, dropout"."""
    return f"{name}, {example.label}" if example.label else name


def check_gradients(
    op: str | None = None, *, also: list[Case] | None = None, rng: np.random.Generator | None = None
) -> list[GradientRow]:
    """Check the gradient of every operation (or of the one named) in each of its arrays.

    Parameters
    ----------
    op : str or None
        The name of one operation; "gelu" takes its variants too ("gelu, dropout").
    also : list of Case
        More functions to check, such as your own.
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
    chosen = cases(usable_engines()) + (also or [])
    if op is not None:
        check_choice("op", op, sorted({name for c in chosen for name in (c.name, c.name.split(",")[0])}))
        chosen = [c for c in chosen if op in (c.name, c.name.split(",")[0])]
    return [row for case in chosen for row in check_case(case, rng)]


def check_case(case: Case, rng: np.random.Generator) -> list[GradientRow]:
    """A row for each array of the operation."""
    arrays = [rng.standard_normal(shape) for shape in case.example.shapes]
    g = rng.standard_normal(np.shape(case.run(*arrays)))
    ours = our_gradients(case, arrays, g)
    theirs = torch_gradients(case, arrays, g) if find_spec("torch") else [None] * len(arrays)
    rows = []
    for n, (gradient, by_torch) in enumerate(zip(ours, theirs, strict=True)):
        errors = [measure(gradient, finite_differences(case, arrays, n, g), FINITE)]
        errors += [] if by_torch is None else [measure(gradient, by_torch, TORCH)]
        to_torch = None if by_torch is None else errors[1].relative
        rows.append(GradientRow(case.name, n, errors[0].relative, to_torch, all(error.passed for error in errors)))
    return rows


def our_gradients(case: Case, arrays: list[np.ndarray], g: np.ndarray) -> list[np.ndarray]:
    """By autograd and the hand-written adjoints, from one backward pass."""
    from autograd.builtins import tuple as traced_tuple
    from autograd.core import make_vjp

    vjp, _ = make_vjp(lambda arrays: case.run(*arrays), traced_tuple(arrays))
    return list(vjp(g))


def finite_differences(case: Case, arrays: list[np.ndarray], n: int, g: np.ndarray) -> np.ndarray:
    """The gradient of array n, element by element, to fourth order in the step."""
    gradient = np.zeros_like(arrays[n])
    for index in np.ndindex(*arrays[n].shape):

        def moved(steps: int, index: Any = index) -> float:
            there = [a.copy() for a in arrays]
            there[n][index] += steps * STEP
            return float((g * case.run(*there)).sum())

        gradient[index] = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * STEP)
    return gradient


def torch_gradients(case: Case, arrays: list[np.ndarray], g: np.ndarray) -> list[np.ndarray] | list[None]:
    """By PyTorch's backward pass; None for each array if there is no PyTorch version."""
    import torch

    from ..authors import torch_operations

    function = getattr(torch_operations, case.in_torch or "", None)
    if function is None:
        return [None] * len(arrays)
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    rest = case.example.arguments(*arrays)[len(arrays) :]
    out = function(*tensors, *(torch.tensor(a) if isinstance(a, np.ndarray) else a for a in rest))
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
