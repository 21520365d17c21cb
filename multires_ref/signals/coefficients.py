"""A signal and its coefficients as arrays: axes, complex numbers as two real signals, lists with or without every a_j."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.arrays import Array, Pairs, get_xp
from ..base.checks import check_int, check_memory
from ..base.layer_checks import MAX_DEPTH, as_signal, is_sequence

Coefficients = Pairs | list[Array]  # [(a_J, d_J), ..., (a_1, d_1)], or trimmed: [a_J, d_J, ..., d_1]


def check_axis(axis: int, x: Array) -> int:
    """`axis` as one of x, from -ndim to ndim - 1."""
    return check_int("axis", axis, -x.ndim, x.ndim - 1)


def check_levels(level: int, start_level: int) -> tuple[int, int]:
    """The number of levels, and how many were done before them; together at most 60."""
    J = check_int("level", level, 1, MAX_DEPTH)
    return J, check_int("start_level", start_level, 0, MAX_DEPTH - J)


def real_parts(x: Array) -> Array:
    """x itself, or for complex x its real and its imaginary part: [2, ...]."""
    return get_xp(x).stack((x.real, x.imag)) if x.dtype.kind == "c" else x


def joined(parts: Array, dtype: Any) -> Array:
    """The opposite of `real_parts` for an array of this dtype; exact, also where one part is infinite.

    Examples
    --------
    >>> import numpy as np
    >>> joined(np.array([[1.0, 2.0], [np.inf, 4.0]]), np.dtype("complex128"))
    array([1.+infj, 2. +4.j])
    """
    if dtype.kind != "c":
        return parts
    xp = get_xp(parts)
    return xp.ascontiguousarray(xp.stack((parts[0], parts[1]), axis=-1)).view(dtype)[..., 0]


def trimmed(pairs: Pairs, trim_approx: bool) -> Coefficients:
    """The pairs, or with `trim_approx` [a_J, d_J, ..., d_1], as `pywt.swt` has it."""
    return [pairs[0][0], *(d for _, d in pairs)] if trim_approx else pairs


def a_and_details(coeffs: Coefficients) -> tuple[Array, list[Array]]:
    """a_J and [d_J, ..., d_1], arrays of one shape, from pairs or from a trimmed list; an array [J, 2, ..., L] is pairs too.

    As in `pywt.iswt`, a list whose first entry is an array is a trimmed one.
    """
    if not is_sequence(coeffs):
        raise TypeError(f"coeffs must be a list of pairs (a, d), as causal_swt returns it; got {type(coeffs).__name__}")
    if len(coeffs) == 0:
        raise ValueError("coeffs must hold at least one pair (a, d); got an empty list")
    if isinstance(coeffs, (list, tuple)) and hasattr(coeffs[0], "dtype"):
        given, unread = {f"coeffs[{n}]": c for n, c in enumerate(coeffs)}, set()
    else:
        given, unread = of_pairs(coeffs), {f"coeffs[{n}][0]" for n in range(1, len(coeffs))}
    shapes = {tuple(np.shape(c)) for c in given.values()}
    if len(shapes) != 1 or len(given) < 2:
        raise ValueError(
            "coeffs must be pairs (a, d), or a and the details, of one shape, as causal_swt returns them; "
            f"got {len(given)} arrays of the shapes {sorted(shapes)}"
        )
    a, *details = (as_signal(c, name, complex_too=True) for name, c in given.items() if name not in unread)
    return a, details


def of_pairs(coeffs: Sequence[Any]) -> dict[str, Array]:
    """The arrays of a list of pairs, by the name that an error calls them."""
    for n, pair in enumerate(coeffs):
        if not is_sequence(pair) or len(pair) != 2:
            raise TypeError(f"coeffs[{n}] must be a pair (a, d) of arrays; got {type(pair).__name__}")
    return {f"coeffs[{n}][{k}]": pair[k] for n, pair in enumerate(coeffs) for k in (0, 1)}


def check_size(x: Array, level: int, deepest: int, late: int) -> None:
    """Refuse a level above `deepest`, the last that sees more of x, whose result would take absurdly much memory.

    `late` is how many zeros are appended to x, for the tail.
    """
    if level > deepest:
        L = x.shape[-1]
        elements = (2 * level + 2 * (late > 0)) * (x.size // L) * (L + late)
        what = f"level={level}{' with tail=True' if late else ''}"
        check_memory(what, elements, x.dtype.itemsize, deepest, f"levels see more of {L:,} samples")
