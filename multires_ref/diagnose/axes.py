"""The order of the axes of a module's layers, found by shapes alone, never by values.

The module is run on inputs of other batch sizes and lengths, chosen so that batch, channels and time all differ in size: the
shapes then show which axis is which. If a module runs on one size only, the type of a layer shows where its channels are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ..network import NetworkConfig

if TYPE_CHECKING:
    from torch.nn import Module

Shape = Order = tuple[int, ...]
Shapes = dict[str, Shape]


def our_shape(name: str, config: NetworkConfig, B: int, L: int) -> Shape:
    """The shape that our layer `name` has for a batch of B sequences of length L.

    Examples
    --------
    >>> our_shape("blocks.0.mix", NetworkConfig(3, 10, 8, 1), B=2, L=32)
    (2, 16, 32)
    """
    if name == "decoder":
        return (B, config.d_output) if config.kind == "classifier" else (B, config.d_output, L)
    if name == "pool":
        return B, config.d_model
    return B, config.d_model * (2 if name.endswith(".mix") else 1), L


def possible_orders(theirs: Shape, ours: Shape) -> set[Order]:
    """All orders in which axes of `theirs` have the sizes of ours; axes that are left over must have size 1, and come last.

    Examples
    --------
    >>> possible_orders((32, 2, 8), (2, 8, 32))
    {(1, 2, 0)}
    """
    orders = set()
    for picked in permutations(range(len(theirs)), len(ours)) if len(theirs) <= 6 else ():
        rest = [n for n in range(len(theirs)) if n not in picked]
        if tuple(theirs[n] for n in picked) == ours and all(theirs[n] == 1 for n in rest):
            orders.add((*picked, *rest))
    return orders


def aligned(theirs: np.ndarray, ours: Shape, order: Order) -> np.ndarray:
    """`theirs` with its axes in our order, and without those of size 1 that we do not have.

    Examples
    --------
    >>> aligned(np.zeros((32, 2, 8)), (2, 8, 32), (1, 2, 0)).shape
    (2, 8, 32)
    """
    return theirs.transpose(order).reshape(ours)


def as_theirs(ours: np.ndarray, theirs: Shape, order: Order) -> np.ndarray:
    """The inverse of `aligned`: our array in the module's order of axes, of shape `theirs`."""
    return np.ascontiguousarray(ours.reshape([theirs[n] for n in order]).transpose(np.argsort(order)))


def distinct_sizes(config: NetworkConfig, B: int, L: int) -> list[tuple[int, int]]:
    """Two pairs (batch size, length) for further runs, of sizes unlike each other and unlike all numbers of channels.

    In the first pair both are new, in the second the batch size alone.
    """
    taken = {1, config.d_model, 2 * config.d_model, config.d_output, config.d_input}
    length = next(n for n in range(max(L // 2, 2), 10**9) if n not in taken | {L})
    batch, with_all = (next(n for n in range(2, 10**9) if n not in taken | {B, L, length, *more}) for more in ((), (L,)))
    return [(batch, length), (with_all, L)]


def resized(x: np.ndarray, lengths: np.ndarray | None, B: int, L: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The input with another batch size and length, cut or repeated."""
    rows = np.arange(B) % len(x)
    x = np.take(x[rows], np.arange(L) % x.shape[-1], axis=-1)
    return x, None if lengths is None else np.minimum(np.asarray(lengths)[rows], L)


def find_orders(
    shapes: Shapes, config: NetworkConfig, B: int, L: int, run: Callable[[int, int], Shapes], channels: dict[str, int | None]
) -> dict[str, set[Order]]:
    """For each layer the orders of axes that are possible: one if it is known, none if no order fits.

    Parameters
    ----------
    shapes : of the module's layers, by our names, in the run with batch size B and length L
    run : function (B, L) -> shapes
        Runs the module on another size. If it raises an error, that size is left out.
    channels : the axis of a layer's channels as far as its type fixes it, see `channel_axis`
    """
    found = {name: possible_orders(shape, our_shape(name, config, B, L)) for name, shape in shapes.items()}
    for size in distinct_sizes(config, B, L):
        if all(len(orders) <= 1 for orders in found.values()):
            break
        for name, orders in other_run(run, size, config):
            if name in found and len(found[name]) > 1 and found[name] & orders:
                found[name] &= orders
    for name, orders in found.items():
        axis = channels.get(name)
        if len(orders) > 1 and axis is not None:
            found[name] = {o for o in orders if o[1] == axis % len(shapes[name])} or orders
    return found


def other_run(run: Callable[[int, int], Shapes], size: tuple[int, int], config: NetworkConfig) -> Iterator[tuple[str, set]]:
    """The possible orders of each layer by a run on another size; nothing if the module cannot run on that size."""
    try:
        shapes = run(*size)
    except Exception:  # whatever a module that is made for one size raises
        return
    for name, shape in shapes.items():
        yield name, possible_orders(shape, our_shape(name, config, *size))


def channel_axis(layer: Module, nn: ModuleType) -> int | None:
    """The axis of the channels in a layer's output, for the types of layers for which PyTorch fixes it; otherwise None."""
    if isinstance(layer, (nn.Conv1d, nn.BatchNorm1d, nn.GroupNorm)):
        return 1
    if isinstance(layer, (nn.LayerNorm, nn.Linear, nn.Embedding)):
        return -1
    return layer.dim if isinstance(layer, nn.GLU) else None
