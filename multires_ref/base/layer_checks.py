"""Checks of what the layer and the wavelet transform are given: arrays against each other, depths, wavelets, coefficients."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .arrays import Array, get_xp
from .checks import (
    FLOATS,
    MOST_BYTES,
    as_plain,
    check_choice,
    check_floats,
    check_int,
    check_memory,
    check_same_dtype,
    check_shape,
)

TREE_SELECTS = ("fading", "uniform")
MAX_SIZE = 2**20  # rows of the memory: every one is as long as the signal
Wavelet = Any  # a pywt.Wavelet: PyWavelets is imported when it is needed, not before
COMPLEX = ("complex64", "complex128")
CONVERTED = {"float16": "float32", str(np.dtype("longdouble")): "float64", str(np.dtype("clongdouble")): "complex128"}
MAX_DEPTH = 60  # a dilation of 2**59 samples: beyond any array, and safely inside 64-bit indices


def check_depth(depth: int, h0: Array) -> int:
    """The depth as an int in range; for untied filters it must equal their number."""
    J = check_int("depth", depth, 1, MAX_DEPTH)
    if h0.ndim == 3 and h0.shape[0] != J:
        raise ValueError(f"untied h0 [J, D, K] must hold one filter a level: depth is {J}, h0 has shape {tuple(h0.shape)}")
    return J


def check_filters(h0: Array, h1: Array, channels: bool = False) -> tuple[Array, Array]:
    """A pair of filters [K], [D, K] or [J, D, K] of one shape and dtype; with `channels`, [K] is refused."""
    h0, h1 = check_floats("h0", h0, "[D, K]"), check_floats("h1", h1, "[D, K]")
    check_same_dtype(h0=h0, h1=h1)
    if h0.ndim not in (1, 2, 3) or h0.shape[-1] < 2 or 0 in h0.shape:
        raise ValueError(f"h0 must have shape [K], [D, K] or [J, D, K] with K of at least 2; got {tuple(h0.shape)}")
    if h1.shape != h0.shape:
        raise ValueError(f"h1 must have the shape of h0, {tuple(h0.shape)}; got {tuple(h1.shape)}")
    if channels and h0.ndim == 1:
        raise ValueError(f"h0 must have shape [D, K] or [J, D, K]; got {tuple(h0.shape)}")
    return h0, h1


def check_tree(x: Array, h0: Array, h1: Array, depth: int) -> tuple[Array, Array, Array, int]:
    """x, h0, h1 and the depth, checked against each other: dtypes, ranks, channels and taps."""
    x, h0, h1 = check_tree_arrays(x, h0, h1)
    return x, h0, h1, check_depth(depth, h0)


def check_tree_arrays(x: Array, h0: Array, h1: Array) -> tuple[Array, Array, Array]:
    """x, h0 and h1, checked against each other: dtypes, ranks, channels and taps."""
    x = check_floats("x", x, "[..., L]")
    h0, h1 = check_floats("h0", h0, "[D, K]"), check_floats("h1", h1, "[D, K]")
    check_same_dtype(x=x, h0=h0, h1=h1)
    get_xp(x, h0, h1)  # refuses a mixture of devices
    if x.ndim < 1 or 0 in x.shape:
        raise ValueError(f"x must be a non-empty array [..., L]; got shape {tuple(x.shape)}")
    check_filters(h0, h1)
    if h0.ndim > 1 and (x.ndim < 2 or x.shape[-2] != h0.shape[-2]):
        raise ValueError(
            f"x must be [..., D, L] with D = {h0.shape[-2]} channels, as h0 {tuple(h0.shape)} has; got {tuple(x.shape)}"
        )
    return x, h0, h1


def check_layer_arrays(
    x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, tree_select: str, depth: int | None
) -> tuple[Array, Array, Array, Array, Array, int]:
    """The five arrays of a layer, checked against each other, and its depth."""
    x, h0, h1 = check_tree_arrays(x, h0, h1)
    if x.ndim != 3:
        raise ValueError(f"x must have shape [B, D, L]; got {tuple(x.shape)}")
    if h0.ndim == 1:
        raise ValueError(f"h0 must have shape [D, K] or [J, D, K]; got {tuple(h0.shape)}")
    w, w_skip, J = check_weights(h0, w, w_skip, tree_select, depth)
    return x, h0, h1, w, w_skip, J


def check_weights(h0: Array, w: Array, w_skip: Array, tree_select: str, depth: int | None) -> tuple[Array, Array, int]:
    """The weights w [D, m] and w_skip [D] of a layer with the filters h0, and its depth: if not given, m - 1 (fading tree)."""
    w, w_skip = check_floats("w", w, "[D, m]"), check_floats("w_skip", w_skip, "[D]")
    check_same_dtype(h0=h0, w=w, w_skip=w_skip)
    get_xp(h0, w, w_skip)
    D = h0.shape[-2]
    check_shape("w", w, (D, None), "[D, m]")
    check_shape("w_skip", w_skip, (D,), "[D]")
    m = w.shape[1]
    check_choice("tree_select", tree_select, TREE_SELECTS)
    if depth is None:
        if tree_select == "uniform":
            raise ValueError("depth must be given for tree_select='uniform': it does not follow from the size of the memory")
        if m < 2:
            raise ValueError(f"w must have m = depth + 1 columns, at least 2, for the fading tree; got shape {tuple(w.shape)}")
        depth = m - 1
    return w, w_skip, check_depth(depth, h0)


def check_memory_size(depth: int, kernel_size: int, tree_select: str, size: int | None) -> tuple[int, int, int]:
    """J, K and m of a memory, checked against each other."""
    J, K = check_int("depth", depth, 1, MAX_DEPTH), check_int("kernel_size", kernel_size, 2)
    m = J + 1 if size is None else check_int("size", size, 1)
    if m > MAX_SIZE:
        raise ValueError(f"size must be at most {MAX_SIZE:,}; got {m}")
    if check_choice("tree_select", tree_select, TREE_SELECTS) == "fading" and m != J + 1:
        raise ValueError(f"the fading memory of a tree of depth {J} has size {J + 1}; got size {size}")
    if tree_select == "uniform" and size is None:
        raise ValueError("size (the number of memory rows, m) must be given for tree_select='uniform'")
    return J, K, m


def check_response_size(depth: int, h0: Array, rows: int) -> None:
    """Refuse a depth whose impulse response, `rows` arrays as long as the receptive field, would take absurdly much memory."""
    K, itemsize = h0.shape[-1], h0.dtype.itemsize
    each = rows * (h0.shape[-2] if h0.ndim > 1 else 1)
    lengths = [(K - 1) * (2**i - 1) + 1 for i in range(depth + 1)]  # the receptive fields
    deepest = next((i for i in range(depth, 0, -1) if lengths[i] * each * itemsize <= MOST_BYTES), 0)
    check_memory(f"depth={depth}", lengths[depth] * each, itemsize, deepest, "levels fit in 4 GiB")


def wavelet_names() -> list[str]:
    """The discrete wavelets that PyWavelets knows."""
    import pywt

    return pywt.wavelist(kind="discrete")


def check_wavelet(name: str) -> str:
    """`name` if PyWavelets knows a discrete wavelet of that name; otherwise a ValueError with the nearest names."""
    return check_choice("wavelet", name, wavelet_names())


def as_wavelet(wavelet: str | Wavelet) -> Wavelet:
    """A `pywt.Wavelet` from a name, or the one given."""
    import pywt

    return wavelet if isinstance(wavelet, pywt.Wavelet) else pywt.Wavelet(check_wavelet(wavelet))


def check_dtype(dtype: DTypeLike | None) -> str:
    """ "float32" or "float64" for a dtype or its name; a ValueError for any other."""
    name: object = dtype
    with suppress(TypeError):
        name = str(np.dtype(dtype)) if dtype is not None else dtype
    return check_choice("dtype", name, ("float32", "float64"))


def as_signal(x: Array, name: str = "x", complex_too: bool = False) -> Array:
    """x as a non-empty array of float32 or float64, or with `complex_too` of complex64 or complex128.

    Integers and long doubles become float64, float16 becomes float32, as in PyWavelets; other dtypes are refused by `name`.
    """
    x = as_plain(name, x)
    x = x.astype("float64") if x.dtype.kind in "iub" else x
    if str(x.dtype) in CONVERTED:
        x = x.astype(CONVERTED[str(x.dtype)])
    if str(x.dtype) not in (*FLOATS, *(COMPLEX if complex_too else ())):
        numbers = "numbers" if complex_too else "real numbers"
        raise TypeError(f"{name} must be an array of {numbers} [..., L]; got dtype {x.dtype}")
    if x.ndim < 1 or 0 in x.shape:
        raise ValueError(f"{name} must be a non-empty array [..., L]; got shape {tuple(x.shape)}")
    return x


def is_sequence(value: object) -> bool:
    """Whether it is a list, a tuple, or an array with at least one axis."""
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0
