"""Splits of a data set, their checks, and the order and the batches in which an epoch sees them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..base.arrays import Array
from ..base.names import spelled
from ..network.config import NetworkConfig

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """One part of a data set, or one batch of it.

    Parameters
    ----------
    x : array [N, d_input, L] of floats, or [N, L] of integer tokens
    y : array
        Classes [N] (integers), a class at every step [N, L], labels [N, C] (0 or 1), numbers [N, T], or for a density the data
        itself, [N, d_input, L].
    lengths : integer array [N] or None
        True lengths where sequences are right-padded.

    Examples
    --------
    >>> split = Split(np.zeros((5, 1, 8), np.float32), np.arange(5))
    >>> len(split), split.take(np.array([3, 1])).y
    (5, array([3, 1]))
    """

    x: Array
    y: Array
    lengths: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def example(self, n: int) -> Array:
        """x of example n, without padding."""
        return self.x[n] if self.lengths is None else self.x[n, ..., : self.lengths[n]]

    def take(self, index: np.ndarray, crop: bool = False) -> Split:
        """The examples `index`; with `crop`, without the padding that all of them share."""
        lengths = None if self.lengths is None else self.lengths[index]
        L = int(lengths.max()) if crop and lengths is not None else self.x.shape[-1]
        return Split(self.x[index, ..., :L], self.y[index], lengths)


def check_splits(network: NetworkConfig, splits: dict[str, Split], objective: str) -> None:
    """Raise a ValueError that names the split and the array where the data do not fit the network or the objective."""
    for name in SPLITS:
        if name not in splits:
            raise ValueError(f"splits must hold 'train', 'val' and 'test'; got {sorted(splits)}")
        check_inputs(name, network, splits[name])
        check_targets(name, network, splits[name], objective)


def check_bucket(splits: dict[str, Split], bucket: bool) -> None:
    """Raise a ValueError if `bucket` is set and the data have no lengths: it would change nothing."""
    if bucket and splits["train"].lengths is None:
        raise ValueError(f"{spelled('bucket')} needs sequences of unequal length; these data have no lengths")


def check_inputs(name: str, network: NetworkConfig, split: Split) -> None:
    """x and lengths of one split: ranks, sizes, finite numbers, lengths in range."""
    x, lengths = split.x, split.lengths
    tokens = network.encoder == "embedding"
    wanted = "[N, L] of tokens" if tokens else f"[N, {network.d_input}, L]"
    if x.ndim != (2 if tokens else 3) or 0 in x.shape or not (tokens or x.shape[1] == network.d_input):
        raise ValueError(f"{name}: x must have shape {wanted}; got {x.shape}")
    if tokens and (x.dtype.kind not in "iu" or x.min() < 0 or x.max() >= network.d_input):
        raise ValueError(f"{name}: x must hold tokens between 0 and {network.d_input - 1}; got {x.dtype} {x.min()} to {x.max()}")
    if not tokens and x.dtype.kind != "f":
        raise TypeError(f"{name}: x must hold floats; got dtype {x.dtype}")
    if not tokens and not np.isfinite(x).all():
        raise ValueError(f"{name}: x holds numbers that are not finite, first in example {first_bad_example(x)}")
    if lengths is not None and (lengths.shape != (len(x),) or lengths.min() < 1 or lengths.max() > x.shape[-1]):
        raise ValueError(f"{name}: lengths must be {len(x)} numbers between 1 and {x.shape[-1]}; got shape {lengths.shape}")


def check_targets(name: str, network: NetworkConfig, split: Split, objective: str) -> None:
    """y of one split: classes below d_output (of a sequence or of every step), labels 0 or 1, numbers, or the data themselves."""
    y, N, C = split.y, len(split.x), network.d_output
    if objective in ("classification", "tagging"):
        shape = (N,) if objective == "classification" else (N, split.x.shape[-1])
        fits = y.shape == shape and y.dtype.kind in "iu" and y.min() >= 0 and y.max() < C
        wanted = f"{' x '.join(map(str, shape))} whole numbers between 0 and {C - 1}"
    elif objective == "multilabel":
        fits = y.shape == (N, C) and y.dtype.kind == "f" and bool(((y == 0) | (y == 1)).all())
        wanted = f"floats 0 or 1 of shape {(N, C)}"
    elif objective == "regression":
        fits = y.shape == (N, C) and y.dtype.kind == "f" and bool(np.isfinite(y).all())
        wanted = f"finite floats of shape {(N, C)}"
    else:
        fits = y.shape == split.x.shape and y.dtype.kind == "f" and bool((np.abs(y) <= 1).all())
        wanted = f"floats between -1 and 1 of shape {split.x.shape}"
    if objective == "tagging" and split.lengths is not None:
        raise ValueError(f"{name}: lengths must be None for tagging, which scores every time step: padded ones have no class")
    if not fits:
        raise ValueError(f"{name}: y must be {wanted}; got {y.dtype} of shape {y.shape}, {y.min()} to {y.max()}")


def first_bad_example(x: np.ndarray) -> int:
    """The index of the first example that holds NaN or infinity."""
    return int(np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(axis=1))[0])


def cast(split: Split, dtype: str) -> Split:
    """The split with its floats in `dtype`; integers stay what they are."""
    x, y = (a.astype(dtype, copy=False) if a.dtype.kind == "f" else a for a in (split.x, split.y))
    return Split(x, y, split.lengths)


def fingerprint(splits: dict[str, Split]) -> dict[str, str]:
    """Shape and CRC-32 of every split: a resumed run compares them with those of its data."""
    return {name: f"{splits[name].x.shape} {crc(splits[name]):08x}" for name in SPLITS}


def crc(split: Split) -> int:
    """CRC-32 of a split's arrays."""
    value = 0
    for array in (split.x, split.y, split.lengths):
        if array is not None:
            value = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data, value)
    return value


def epoch_order(split: Split, batch_size: int, rng: np.random.Generator, bucket: bool = False) -> np.ndarray:
    """The order in which one epoch sees the examples: [N]; batch n is its n-th stretch of `batch_size`.

    With `bucket`, groups of 32 batches drawn at random are sorted by length inside, and then the batches are shuffled.
    """
    order = rng.permutation(len(split))
    if not bucket or split.lengths is None:
        return order
    group = 32 * batch_size
    parts = [order[n : n + group] for n in range(0, len(order), group)]
    by_length = np.concatenate([part[np.argsort(split.lengths[part], kind="stable")] for part in parts])
    full = len(order) // batch_size * batch_size
    batches = by_length[:full].reshape(-1, batch_size)  # [full batches, batch_size]; a short last batch stays last
    return np.concatenate((batches[rng.permutation(len(batches))].reshape(-1), by_length[full:]))


def batch_slices(N: int, batch_size: int) -> Iterator[slice]:
    """slice(0, batch_size), slice(batch_size, 2 batch_size), ... up to N; the last may be shorter."""
    return (slice(n, min(n + batch_size, N)) for n in range(0, N, batch_size))
