"""What an operation is: a definition, its gradient, an example, and faster implementations of the same name.

One file of this folder defines one operation:

    @operation(Example([(2, 3, 7)]), torch="torch.nn.functional.gelu")
    def gelu(x, mask=None): ...                  its definition, in functions that autograd differentiates by itself

    @gelu.adjoint(of=1)
    def gelu_adjoint(g, x, mask=None): ...       the gradients of sum(g * gelu(x, mask)) in the first `of` arguments

`gelu` can then be called with NumPy, CuPy and traced arrays. For traced arrays autograd records the call, and takes the adjoint
for its gradient. Where a gradient is itself differentiated, autograd differentiates the adjoint's definition.

Faster implementations stand under the same file name in `numba/` (compiled, for NumPy arrays) and `cupy/`, and are registered by
`@gelu.implementation("cupy")`; one that needs NumPy alone stands in the operation's own file, registered for "numpy".
They have the signature of the definition and are held to it by tests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar

from autograd.extend import defvjp, defvjp_argnums, primitive, vspace

from ..base.arrays import FOR_NUMPY, Array, get_xp
from ..base.checks import check_choice
from ..base.compiled import numba_works

P = ParamSpec("P")  # the arguments of a definition
R = TypeVar("R")  # its result
S = TypeVar("S")  # the result of its adjoint
OPERATIONS: dict[str, Operation] = {}
FUNCTIONS: dict[str, ArrayFunction] = {}  # the operations and their adjoints, by the names of their definitions
SOURCES = {"numpy": ("numba", "numpy"), "cupy": ("cupy",)}  # where implementations for such arrays are, the fastest first


def forget_choices() -> None:
    """Let every function look again which implementation fits: after what can be used here has changed, as in tests."""
    for function in FUNCTIONS.values():
        function.chosen.clear()


class Example(NamedTuple):
    """Arguments to try an operation with: shapes of the arrays that gradients flow into, and the arguments after them.

    `rest` is a tuple, or a function that makes it from the arrays. `label` tells several examples of one operation apart.
    """

    shapes: list[tuple[int, ...]]
    rest: tuple[Any, ...] | Callable[..., tuple[Any, ...]] = ()
    label: str = ""

    def arguments(self, *arrays: Array) -> tuple[Any, ...]:
        """All arguments of the operation for these arrays."""
        return (*arrays, *(self.rest(*arrays) if callable(self.rest) else self.rest))


class ArrayFunction(Generic[P, R]):
    """A function of arrays: its definition, and faster implementations by the kind of the arrays. It is called by position."""

    def __init__(self, definition: Callable[P, R]) -> None:
        self.definition = definition
        self.name = definition.__name__
        self.file = definition.__module__.rpartition(".")[2]
        self.implementations: dict[str, Callable[P, R]] = {}
        self.chosen: dict[str, Callable[P, R]] = {}
        update_wrapper(self, definition)
        FUNCTIONS[self.name] = self

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.dispatch(*args, **kwargs)

    def dispatch(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the implementation that fits the arrays among `args`."""
        if kwargs:  # autograd would not see an array that is given by name
            raise TypeError(f"{self.name} takes its arguments by position; got {', '.join(kwargs)} by name")
        return self.find(get_xp(*args).__name__)(*args, **kwargs)

    def find(self, kind: str) -> Callable[P, R]:
        """The fastest implementation for arrays of "numpy" or "cupy"; the definition for other kinds, such as traced arrays."""
        if kind not in self.chosen:
            self.chosen[kind] = next((f for source in SOURCES.get(kind, ()) if (f := self.load(source))), self.definition)
        return self.chosen[kind]

    def load(self, source: str) -> Callable[P, R] | None:
        """The implementation from "numba", "numpy" or "cupy"; None where there is none, or where Numba cannot be used."""
        if source == "numba" and not numba_works():
            return None
        module = f"{__package__}.{source}.{self.file}"
        if source != "numpy" and find_spec(module):
            import_module(module)
        return self.implementations.get(source)

    def implementation(self, source: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a faster version: from "numba", "numpy" or "cupy"."""
        check_choice("source", source, ("numba", "numpy", "cupy"))

        def register(function: Callable[P, R]) -> Callable[P, R]:
            self.implementations[source] = function
            return function

        return register


class Operation(ArrayFunction[P, R]):
    """An array function that autograd can record: what a network is made of."""

    def __init__(self, definition: Callable[P, R], examples: tuple[Example, ...], torch: str | None) -> None:
        super().__init__(definition)
        self.examples, self.torch = examples, torch
        self.recorded: Callable[P, R] = primitive(
            update_wrapper(lambda *args, **kwargs: self.dispatch(*args, **kwargs), definition)
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if FOR_NUMPY.issuperset(map(type, args)) and not kwargs:  # nothing is traced, so there is nothing to record
            return self.find("numpy")(*args, **kwargs)
        return self.recorded(*args, **kwargs)

    def adjoint(self, of: int) -> Callable[[Callable[Concatenate[Array, P], S]], ArrayFunction[Concatenate[Array, P], S]]:
        """Decorate the function (g, *arguments) that gives the gradients of the first `of` arguments: a tuple, or one array."""

        def register(definition: Callable[Concatenate[Array, P], S]) -> ArrayFunction[Concatenate[Array, P], S]:
            function = ArrayFunction(definition)
            call: Callable[..., Any] = function

            def gradients(argnums: tuple[int, ...], ans: R, args: Any, kwargs: Any) -> Callable[[Array], tuple[Array, ...]]:
                def vjp(g: Array) -> tuple[Array, ...]:
                    found = call(g, *args) if of > 1 else (call(g, *args),)
                    return tuple(found[n] if n < of else vspace(args[n]).zeros() for n in argnums)

                return vjp

            defvjp_argnums(self.recorded, gradients)
            return function

        return register

    def adjoints(self, *functions: Callable[..., Array]) -> None:
        """Give a function (g, *arguments) for each of the first arguments; it is called only where that gradient is asked for."""

        def rule(function: Callable[..., Array]) -> Callable[..., Callable[[Array], Array]]:
            return lambda ans, *args: lambda g: function(g, *args)

        defvjp(self.recorded, *map(rule, functions))


def operation(
    *examples: Example, name: str | None = None, torch: str | None = None
) -> Callable[[Callable[P, R]], Operation[P, R]]:
    """Decorate the definition of an operation.

    Parameters
    ----------
    *examples : Example
        What its gradient is checked on, by the tests and by `multires-ref verify gradients`.
    name : str or None
        What it is called, where that is not the definition's own name.
    torch : str or None
        The name of PyTorch's counterpart.
    """

    def register(definition: Callable[P, R]) -> Operation[P, R]:
        made = Operation(definition, examples, torch)
        made.name = name or made.name
        OPERATIONS[made.name] = made
        return made

    return register
