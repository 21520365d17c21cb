"""Compiling with Numba: whether it can be used, and loops over units of work that threads share.

All compiled files use `njit` and `parallel_njit` of this file. Whether Numba can be used is decided by `numba_works` alone. Where
compiled code is kept on disk is decided in `code_cache.py`; without a place each process compiles again.

Processes that begin together do not compile the same function: see `compile_once`.

Loops run on several threads by `workers.py`, not by Numba's own: its threads end or hang a process that was forked from another
one or that has several Python threads, depending on which library they are of, and they cannot balance uneven work.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from .code_cache import code_cache
from .lock import FolderLock
from .workers import allowed, share_out

LONGEST_COMPILATION = 120.0  # seconds
# what a full disk or a damaged file of compiled code raise
UNREADABLE: tuple[type[BaseException], ...] = (OSError, EOFError, pickle.UnpicklingError)


@cache
def numba_problem() -> str:
    """Why Numba cannot be used here, in words that say what to do; empty where it can."""
    try:
        import numba  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name in ("numba", None):
            return "pip install numba"
        return f"the installed Numba does not load: {error}"
    except Exception as error:  # it refuses this Python or NumPy, or a library of its own is broken: as good as missing
        return f"pip install numba (the installed one does not load: {error})"
    return ""


def numba_works() -> bool:
    """Whether Numba is installed and accepts this Python and this NumPy."""
    return not numba_problem()


def require_numba(what: str) -> None:
    """Raise an ImportError unless Numba can be used: "`what` needs Numba: " and what to do."""
    if not numba_works():
        raise ImportError(f"{what} needs Numba: {numba_problem()}")


def njit(**options: Any) -> Callable:
    """`numba.njit` with these options; what it compiles is kept on disk where that is possible."""

    def decorate(function: Callable) -> Any:
        import numba

        return keep(numba.njit(no_cfunc_wrapper=True, **options)(function))  # an entry for C would be compiled and not used

    return decorate


def parallel_njit(**options: Any) -> Callable:
    """The same for a loop that threads share: see `ParallelLoop`."""
    return lambda function: ParallelLoop(function, options)


# Where compiled code is kept


def keep(dispatcher: Any) -> Any:
    """Let a compiled function keep its code on disk where `code_cache` finds a place; without a place, nowhere."""
    cache = code_cache(dispatcher.py_func)
    if cache is not None:
        dispatcher._cache = cache
        forgive(cache)
        compile_once(dispatcher)
    note_or_compile(dispatcher)
    return dispatcher


# What is compiled


noted: list[tuple[Any, tuple[Any, ...]]] | None = None
listeners: list[Callable[[str], None]] = []  # each is called with the name of a function that is about to be compiled


@contextmanager
def only_noting() -> Iterator[list[tuple[Any, tuple[Any, ...]]]]:
    """A `with` block in which functions that are not compiled yet do nothing. Yields the list of what would be compiled:
    (function, types of its arguments), in the order of the first calls."""
    global noted
    noted = []
    try:
        yield noted
    finally:
        noted = None


def note_or_compile(dispatcher: Any) -> None:
    """Where Numba compiles for new types of arguments, look whether this is a time for `only_noting`."""
    compile_for = dispatcher._compile_for_args

    def note_or_go_on(*args: Any, **kws: Any) -> Any:
        if noted is None:
            return compile_for(*args, **kws)
        noted.append((dispatcher, tuple(map(dispatcher.typeof_pyval, args))))
        return lambda *args: None

    dispatcher._compile_for_args = note_or_go_on


def in_words(function: Callable) -> str:
    """A compiled function's name for people: its file and what it does.

    Examples
    --------
    >>> in_words(in_words)
    'compiled: in words'
    """
    file = function.__module__.rpartition(".")[2]
    return f"{file}: {function.__qualname__}".replace("_", " ")


def forgive(cache: Any) -> None:
    """Let a full disk or a damaged file cost no more than a compilation."""
    load, save = cache.load_overload, cache.save_overload

    def load_or_none(*args: Any) -> Any:
        try:
            return load(*args)
        except UNREADABLE:
            return None

    def save_or_not(*args: Any) -> None:
        with suppress(*UNREADABLE):
            save(*args)

    cache.load_overload, cache.save_overload = load_or_none, save_or_not


def compile_once(dispatcher: Any) -> None:
    """Let processes that share the cache not compile a function at the same time: the later ones wait, and load what the first
    has compiled. So do the ranks of an MPI run and the workers of a cluster that begin together.

    Numba's own lock, which is for the threads of one process, is taken first: no two threads can then wait for each other.
    """
    from numba.core.compiler_lock import global_compiler_lock

    cache, compile_now = dispatcher._cache, dispatcher.compile
    load = cache.load_overload
    held: list[ExitStack] = []

    def load_or_wait(*args: Any) -> Any:
        found = load(*args)
        if found is None and held:
            index = Path(cache._cache_file._index_path)
            for listener in listeners:
                listener(in_words(dispatcher.py_func))
            held[-1].enter_context(turn_to_compile(index.parent, f".{index.stem[:100]}.lock"))
            found = load(*args)
        return found

    def compile_in_turn(signature: Any) -> Any:
        with global_compiler_lock, ExitStack() as stack:
            held.append(stack)
            try:
                return compile_now(signature)
            finally:
                held.pop()

    cache.load_overload, dispatcher.compile = load_or_wait, compile_in_turn


@contextmanager
def turn_to_compile(folder: Path, name: str) -> Iterator[None]:
    """Wait until no other process is in here, but not for ever; without locks, go on at once."""
    lock = FolderLock(folder, name, patience=LONGEST_COMPILATION)
    try:
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # a file system without locks
            lock.__enter__()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.__exit__()


# Parallel loops

Part = tuple[int, int]  # the first unit of work, and the end of the units


class ParallelLoop:
    """A compiled loop over units of work, which threads share.

    The function that is decorated works on the units from part[0] to part[1], its first argument. It is called with the number of
    all units in that place. A unit writes its own part of the result, so this does not depend on the number of threads.
    """

    def __init__(self, function: Callable, options: dict[str, Any]) -> None:
        self.function, self.options = function, options
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    def __call__(self, units: int, *args: Any) -> None:
        compiled = self.compiled
        if allowed.most == 1:
            compiled((0, units), *args)
        else:
            share_out(lambda begin, end: compiled((begin, end), *args), units, allowed.most or 1)

    @cached_property
    def compiled(self) -> Any:
        """The function, compiled: it lets go of Python's lock."""
        return njit(nogil=True, **self.options)(self.function)
