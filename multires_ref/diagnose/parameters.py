"""Which parameter of a PyTorch module is which of ours, so that values and gradients can be compared.

By the authors' names; by the layers that `compare` has recognised; and what is left by its numbers: a parameter that holds
exactly the numbers of one of ours, also with its taps in the opposite order, as a transposed matrix, or with w and w_skip packed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..authors.convert import authors_name
from ..base.pytrees import flatten
from ..network import Model, NetworkConfig
from .hooks import INPUT, layer_name
from .layers import prefix_of

Take = Callable[[np.ndarray], np.ndarray]


class Link(NamedTuple):
    """Our parameter, the module's that holds it, and how to take ours out of an array laid out as theirs."""

    ours: str
    theirs: str
    take: Take


def link_parameters(held: dict[str, np.ndarray], layers: dict[str, str], model: Model) -> dict[str, Link]:
    """The links that are found, by our names. `held` are the module's parameters by its names."""
    ours = flatten(model.params)
    links = by_names(held, ours, model.config)
    links = {**by_layers(held, layers, ours), **links}
    used = {link.theirs for link in links.values()}
    for name in (name for name in ours if name not in links):
        numbers = ours[name]
        link = next((link for link in by_numbers(held, used, name, numbers)), None)
        if link is not None:
            links[name] = link
            if ".w" not in name:  # a packed array holds both w and w_skip
                used.add(link.theirs)
    return {name: links[name] for name in ours if name in links}


def by_names(held: dict[str, np.ndarray], ours: dict[str, np.ndarray], config: NetworkConfig) -> dict[str, Link]:
    """By the authors' names, whatever stands before them; filters are stored in the opposite order there, w and w_skip packed."""
    prefix = prefix_of([name.rpartition(".")[0] for name in held])
    links = {}
    for name, array in ours.items() if prefix is not None and config.tied else ():
        theirs = prefix + authors_name(name, config)
        take = authors_take(name, array.shape)
        if theirs in held and fits(take, held[theirs], array.shape):
            links[name] = Link(name, theirs, take)
    return links


def authors_take(name: str, shape: tuple[int, ...]) -> Take:
    """Our parameter `name` out of the authors' array."""
    leaf = name.rpartition(".")[2]
    if leaf in ("h0", "h1"):
        return lambda a: a.reshape(shape)[..., ::-1]
    if leaf in ("w", "w_skip"):
        return lambda a: a[:, :-1] if leaf == "w" else a[:, -1]
    return lambda a: a.reshape(shape)


def by_layers(held: dict[str, np.ndarray], layers: dict[str, str], ours: dict[str, np.ndarray]) -> dict[str, Link]:
    """Weights and biases of the linear maps and norms that are recognised."""
    links = {}
    for key, layer in layers.items():
        leaves = [] if key.endswith(INPUT) else [n for n in ours if n.rpartition(".")[0] == layer and ".conv" not in n]
        for name in leaves:
            leaf = name.rpartition(".")[2]
            theirs = f"{layer_name(key)}.{'weight' if leaf == 'table' else leaf}"
            take = shaped(ours[name].shape)
            if theirs in held and fits(take, held[theirs], ours[name].shape):
                links[name] = Link(name, theirs, take)
    return links


def by_numbers(held: dict[str, np.ndarray], used: set[str], name: str, numbers: np.ndarray) -> Iterator[Link]:
    """Parameters that hold our numbers in one of the usual layouts; arrays of equal numbers (fresh biases) say nothing."""
    if numbers.size < 2 or np.all(numbers == numbers.flat[0]):
        return
    for theirs, array in held.items():
        if theirs in used:
            continue
        for take in layouts(numbers.shape):
            if fits(take, array, numbers.shape) and np.array_equal(take(array), numbers.astype(array.dtype)):
                yield Link(name, theirs, take)
                break


def shaped(shape: tuple[int, ...]) -> Take:
    return lambda a: a.reshape(shape)


def layouts(shape: tuple[int, ...]) -> list[Take]:
    """The ways in which an array of ours may be stored."""
    return [
        shaped(shape),
        lambda a: a.reshape(shape)[..., ::-1],
        lambda a: a.reshape(shape[::-1]).T,
        lambda a: a[:, :-1].reshape(shape),
        lambda a: a[:, -1].reshape(shape),
        lambda a: a[:, 1:].reshape(shape),
        lambda a: a[:, 0].reshape(shape),
    ]


def fits(take: Take, array: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether something of our shape can be taken out."""
    try:
        return take(array).shape == shape
    except (ValueError, IndexError):
        return False


def different_numbers(links: dict[str, Link], held: dict[str, np.ndarray], model: Model) -> list[str]:
    """The module's names of the parameters whose numbers are not the model's."""
    ours = flatten(model.params)
    unlike = [
        link.theirs
        for name, link in links.items()
        if not np.allclose(link.take(held[link.theirs]), ours[name], rtol=1e-6, atol=1e-8)
    ]
    return list(dict.fromkeys(unlike))


def rounded(model: Model, torch_dtype: Any) -> Model:
    """The model with its numbers rounded as the module's are, to float16 or bfloat16, in the dtype that it has."""
    import torch

    from ..base.pytrees import map_pytree

    def through(a: np.ndarray) -> np.ndarray:
        return torch.from_numpy(a.copy()).to(torch_dtype).double().numpy().astype(a.dtype) if a.dtype.kind == "f" else a

    return Model(model.config, map_pytree(through, model.params), map_pytree(through, model.state))
