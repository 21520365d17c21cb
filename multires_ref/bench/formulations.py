"""The network in PyTorch as its users may write it: the convolution in three formulations, eager or under `torch.compile`.

    conv1d   as the authors' code does it: two dilated, grouped `conv1d`s for each level
    tree     the same tree by shifted, scaled sums, element by element, which `torch.compile` fuses into loops
    fft      the layer as one long kernel (the response of the tree to an impulse), convolved by FFT

All have the authors' parameters, so one state dict fits all of them, and their losses can be compared.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from .implementations import torch_fft, torch_tree


class Formulation(NamedTuple):
    """One way to run the network: what tables call it, its convolution, and whether the network is compiled."""

    title: str
    convolution: str
    compiled: bool


FORMULATIONS = {
    "torch": Formulation("PyTorch", "conv1d", compiled=False),
    "torch-compiled": Formulation("PyTorch compiled", "conv1d", compiled=True),
    "torch-tree-compiled": Formulation("PyTorch tree, compiled", "tree", compiled=True),
    "torch-fft": Formulation("PyTorch fft", "fft", compiled=False),
    "torch-fft-compiled": Formulation("PyTorch fft, compiled", "fft", compiled=True),
}


def formulated(module: Any, name: str) -> Callable[..., Any]:
    """A function that runs the `MultiresNet` in a formulation; the module's convolutions are replaced.

    A compiled network is one graph without breaks. Otherwise `torch.compile` would go on uncompiled without a word.

    Raises
    ------
    ValueError
        If the formulation is not the authors' and the tree is not a fading one.
    """
    import torch

    formulation = FORMULATIONS[name]
    if formulation.convolution != "conv1d":
        if module.config.tree_select != "fading":
            raise ValueError(f"tree_select must be 'fading' for {formulation.title}; got {module.config.tree_select!r}")
        for layer in module.seq_layers:
            layer.conv = partial(by_operator, layer, {"tree": torch_tree, "fft": torch_fft}[formulation.convolution])
    return torch.compile(module, fullgraph=True, dynamic=False) if formulation.compiled else module


def by_operator(layer: Any, operator: Callable[..., Any], x: Any) -> Any:
    """A `MultiresLayer`'s convolution by `operator(x, h0, h1, w, w_skip)`: x [B, D, L] -> [B, D, L].

    The authors' taps stand newest sample last, the operator's newest first; w is a_J, b_J, ..., b_1 in both.
    """
    h0, h1 = layer.h0[:, 0].flip(-1), layer.h1[:, 0].flip(-1)  # [D, K]
    return operator(x, h0, h1, layer.w[:, :-1], layer.w[:, -1])


def forget_compiled() -> None:
    """Let `torch.compile`, where PyTorch is loaded, forget what it has compiled: it keeps only a few networks of one kind."""
    if sys.modules.get("torch"):
        sys.modules["torch"].compiler.reset()
