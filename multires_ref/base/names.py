"""How an error calls a setting: by its argument's name in Python, by its flag on the command line.

The same checks serve both. On the command line they run inside `named_as_flags`, and say --kernel-size for kernel_size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

FLAGS: ContextVar[frozenset[str]] = ContextVar("FLAGS", default=frozenset())  # the names that were typed as flags


@contextmanager
def named_as_flags(names: Iterable[str]) -> Iterator[None]:
    """Call these settings by their flags in every error that is raised inside.

    Examples
    --------
    >>> with named_as_flags(["kernel_size"]):
    ...     spelled("kernel_size"), spelled("y"), assigned("kernel_size", 4)
    ('--kernel-size', 'y', '--kernel-size 4')
    """
    token = FLAGS.set(frozenset(names))
    try:
        yield
    finally:
        FLAGS.reset(token)


def spelled(name: str) -> str:
    """The name of a setting as the user writes it."""
    return f"--{name.replace('_', '-')}" if name in FLAGS.get() else name


def assigned(name: str, value: object) -> str:
    """A setting with its value as the user writes it: tree_select='uniform', or --tree-select uniform.

    Examples
    --------
    >>> assigned("tree_select", "uniform")
    "tree_select='uniform'"
    """
    return f"{spelled(name)} {value}" if name in FLAGS.get() else f"{name}={value!r}"
