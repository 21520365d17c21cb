"""Bad input: one clear error that names the argument, what it was and what was expected, before any work."""

from __future__ import annotations

import difflib
import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import Array
from .names import spelled

FLOATS = ("float32", "float64")
NATIVE = tuple(map(np.dtype, FLOATS))
CGROUP = Path("/sys/fs/cgroup/memory.max")  # the limit of a container (Linux, cgroup 2)
UNKNOWN = 2**40  # bytes: a terabyte, where the system does not say
MOST_BYTES = 2**32  # of a result whose size grows like 2^depth: 4 GiB


class AssumptionWarning(UserWarning):
    """A setting was neither in the file nor given, so that one was assumed; the text says which, why, and how to give it."""


def check_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """`value` if it is one of `choices`; otherwise a ValueError that offers the nearest ones.

    Examples
    --------
    >>> check_choice("tree_select", "fading", ["fading", "uniform"])
    'fading'
    >>> check_choice("tree_select", "fade", ["fading", "uniform"])
    Traceback (most recent call last):
        ...
    ValueError: tree_select must be one of 'fading', 'uniform'; got 'fade' (did you mean 'fading'?)
    """
    choices = list(choices)
    if isinstance(value, str) and value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, n=3, cutoff=0.5)
    shown = choices if len(choices) <= 12 else [*choices[:12], f"... ({len(choices)} in all)"]
    hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
    raise ValueError(f"{spelled(name)} must be one of {', '.join(map(repr, shown))}; got {value!r}{hint}")


def check_int(name: str, value: Any, low: int, high: int | None = None) -> int:
    """`value` as an int in [low, high]; a TypeError for what is no integer (True included), a ValueError out of range."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{spelled(name)} must be an integer; got {value!r}")
    try:
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{spelled(name)} must be an integer; got {value!r} of type {type(value).__name__}") from None
    if value < low or (high is not None and value > high):
        span = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{spelled(name)} must be {span}; got {value}")
    return value


def check_number(name: str, value: Any, low: float, high: float) -> float:
    """`value` as a finite float in [low, high]; a TypeError for text, True, False and arrays.

    Examples
    --------
    >>> check_number("lr", np.float32(0.5), 0, 1)
    0.5
    >>> check_number("dropout", "0.5", 0, 1)
    Traceback (most recent call last):
        ...
    TypeError: dropout must be a number; got '0.5' of type str
    """
    try:
        if isinstance(value, (bool, np.bool_, str, bytes, bytearray)) or getattr(value, "shape", ()) != ():
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{spelled(name)} must be a number; got {value!r} of type {type(value).__name__}") from None
    if not low <= number <= high:  # also refuses NaN
        raise ValueError(f"{spelled(name)} must be between {low} and {high}; got {value!r}")
    return number


def check_rng(rng: object) -> np.random.Generator:
    """`rng` if it is a numpy.random.Generator; a TypeError that says how to make one otherwise."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, such as np.random.default_rng(0); got {type(rng).__name__}")
    return rng


def check_bool(name: str, value: object) -> bool:
    """`value` as True or False; a TypeError for anything else, 0 and 1 included."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{spelled(name)} must be True or False; got {value!r}")
    return bool(value)


def keep(config: object, **values: object) -> None:
    """Write checked values, by name, into a frozen dataclass that is being made (in its `__post_init__`)."""
    for name, value in values.items():
        object.__setattr__(config, name, value)


def check_floats(name: str, array: Array, shape: str) -> Array:
    """`array` (NumPy, CuPy or traced; a list becomes NumPy) if it is float32 or float64.

    `shape` describes what was expected, as in ``"[B, D, L]"``; it goes into the message.
    """
    array = as_plain(name, array)
    if array.dtype not in NATIVE and str(array.dtype) not in FLOATS:  # the first is quick, the second knows all libraries
        raise TypeError(
            f"{name} must be a float32 or float64 array {shape}; got dtype {array.dtype}. Convert it with .astype('float32')."
        )
    return array


def as_plain(name: str, array: Array) -> Array:
    """The array without its class, where it is of a subclass of NumPy's; lists become arrays, CuPy's and traced ones stay.

    Raises
    ------
    TypeError, ValueError
        For what `check_plain` refuses, and for lists of unequal length.
    """
    if type(array) is np.ndarray:
        return array
    check_plain(name, array)
    if hasattr(array, "dtype") and not isinstance(array, np.ndarray):
        return array
    try:
        return np.asarray(array)
    except ValueError as error:
        raise ValueError(f"{name} must be an array; its rows do not fit together: {error}") from None


def check_plain(name: str, array: object) -> None:
    """Raise a TypeError for a masked array, whose mask would be lost, and for a `np.matrix`, whose products mean something else.

    Examples
    --------
    >>> check_plain("x", np.ma.masked_invalid([1.0, np.nan]))
    Traceback (most recent call last):
        ...
    TypeError: x must be a plain array; got a masked array. Say what the masked values are, for example with x.filled(0.0).
    """
    if isinstance(array, np.ma.MaskedArray):
        hint = f"Say what the masked values are, for example with {name}.filled(0.0)."
        raise TypeError(f"{name} must be a plain array; got a masked array. {hint}")
    if isinstance(array, np.matrix):
        raise TypeError(f"{name} must be a plain array; got a np.matrix. Convert it with np.asarray({name}).")


def check_memory(what: str, numbers: int, itemsize: int, deepest: int, why: str) -> None:
    """Raise a ValueError if the result would be larger than MOST_BYTES: before the memory is asked for.

    Parameters
    ----------
    what : str
        The argument that asks for so much, with its value, such as "level=30".
    numbers, itemsize : int
        Size of the result, and bytes of each of its numbers.
    deepest : int, why : str
        The largest value that makes sense, and the reason.
    """
    if numbers * itemsize > MOST_BYTES:
        raise ValueError(
            f"{what} would take {numbers * itemsize:,} bytes ({numbers * itemsize / 2**30:,.0f} GiB); at most {deepest} {why}"
        )


def memory_bytes() -> int:
    """Bytes of memory that a process can hope for: the machine's, or its container's limit.

    Examples
    --------
    >>> memory_bytes() > 2**20
    True
    """
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        machine = UNKNOWN
    try:
        return min(machine, int(CGROUP.read_text()))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return machine


def check_shape(name: str, array: Array, expected: tuple[int | None, ...], letters: str) -> None:
    """Raise a ValueError unless ``array.shape`` equals `expected` (None: any size of at least 1).

    `letters` names the axes in the message, as in ``"[D, K]"``.
    """
    shape = tuple(array.shape)
    if shape == expected:
        return
    fits = len(shape) == len(expected) and all(n >= 1 if e is None else n == e for n, e in zip(shape, expected, strict=True))
    if not fits:
        wanted = "(" + ", ".join("any" if e is None else str(e) for e in expected) + ("," if len(expected) == 1 else "") + ")"
        raise ValueError(f"{name} must have shape {letters} = {wanted}; got {shape}")


def check_same_dtype(**arrays: Array) -> None:
    """Raise a TypeError unless all named arrays have the dtype of the first."""
    (first, reference), *others = arrays.items()
    for name, array in others:
        if array.dtype != reference.dtype:
            raise TypeError(
                f"{name} has dtype {array.dtype} but {first} has {reference.dtype}: give both the same "
                f"(float32 stays float32), for example {name}.astype({first}.dtype)"
            )
