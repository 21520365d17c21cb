"""The names under which a checkpoint keeps the network's tensors, without what wrappers put before or between them.

module.                 DataParallel, DistributedDataParallel        _orig_mod.    torch.compile
model., net., ...       a Lightning module, or any module that holds the network in an attribute
"""

from __future__ import annotations

import re
from typing import TypeVar

WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
KNOWN = re.compile(r"(?P<prefix>.*?)seq_layers\.[0-9]+\.(h0|h1|w)", re.DOTALL)

Value = TypeVar("Value")


def without_prefix(tensors: dict[str, Value]) -> dict[str, Value]:
    """The same tensors under the network's own names; names that do not carry its prefix stay as they are.

    Raises
    ------
    ValueError
        If the tensors hold more than one network, such as a second one with averaged weights.

    Examples
    --------
    >>> list(without_prefix({"model._orig_mod.seq_layers.0.h0": 1, "model._orig_mod.encoder.bias": 2, "loss.weight": 3}))
    ['seq_layers.0.h0', 'encoder.bias', 'loss.weight']
    """
    named = {without_wrappers(str(name)): value for name, value in tensors.items()}
    if len(named) < len(tensors):
        raise ValueError("the checkpoint holds two tensors of one name, once with and once without 'module.' or '_orig_mod.'")
    prefixes = sorted({match["prefix"] for match in map(KNOWN.fullmatch, named) if match})
    if len(prefixes) > 1:
        shown = ", ".join(map(repr, prefixes[:6]))
        raise ValueError(f"the checkpoint holds {len(prefixes)} networks, under the names {shown}: keep the tensors of one")
    prefix = prefixes[0] if prefixes else ""
    return {name.removeprefix(prefix): value for name, value in named.items()}


def without_wrappers(name: str) -> str:
    """A name without the words that wrapping a module, or one of its layers, puts into it."""
    for word in WRAPPERS:
        name = re.sub(rf"(^|\.){re.escape(word)}", r"\1", name)
    return name
