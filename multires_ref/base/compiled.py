"""Compiling with Numba: whether it can be used, where compiled code is kept, and parallel loops that also run on one thread.

All compiled files use `njit` and `parallel_njit` of this file. Whether Numba can be used is decided by `numba_works` alone.

Processes that begin together do not compile the same function: see `compile_once`.

Where no folder can be written to (a container with a read-only file system), compiled code is kept in a private folder among the
temporary files, or not kept at all. See `keep`.

Loops run on several threads by `workers.py`, not by Numba's own: its threads end or hang a process that was forked from another
one or that has several Python threads, depending on which library they are of, and they cannot balance uneven work.
"""

from __future__ import annotations

import inspect
import os
import pickle
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any

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

        return keep(numba.njit(**options)(function))

    return decorate


def parallel_njit(**options: Any) -> Callable:
    """The same for a loop that threads share: see `ParallelLoop`."""
    return lambda function: ParallelLoop(function, options)


# Where compiled code is kept


def keep(dispatcher: Any) -> Any:
    """Let a compiled function keep its code on disk: where Numba does, else in `temporary_cache`; without a place, nowhere.

    Numba itself raises a RuntimeError where neither the package's folder nor the user's cache folder can be written to. And it
    looks only at the function's own file to see whether the code it kept is out of date; here the whole folder counts, because
    compiled functions call each other across files, and take constants and records from them.
    """
    from numba.core import config

    before = config.CACHE_DIR
    for folder in (before, temporary_cache):
        try:
            config.CACHE_DIR = folder() if callable(folder) else folder
            dispatcher.enable_caching()
        except (RuntimeError, OSError):
            continue
        finally:
            config.CACHE_DIR = before
        forgive(dispatcher._cache)
        compile_once(dispatcher)
        dispatcher._cache._cache_file._source_stamp = stamp(Path(inspect.getfile(dispatcher.py_func)).parent)
        break
    return dispatcher


@cache
def stamp(folder: Path) -> tuple[int, int]:
    """What changes when a Python file in the folder does: the time of the newest one, and the size of all of them."""
    files = [path.stat() for path in folder.glob("*.py")]
    return max(file.st_mtime_ns for file in files), sum(file.st_size for file in files)


@cache
def temporary_cache() -> str:
    """A folder of this user's among the temporary files.

    Compiled code is run when it is loaded, so a folder that somebody else owns or could write to is refused.

    Raises
    ------
    OSError
        If there is no such place.
    """
    user = os.getuid() if hasattr(os, "getuid") else "cache"  # Windows has one temporary folder for each user
    folder = Path(tempfile.gettempdir()) / f"multires_ref-numba-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if hasattr(os, "getuid") and (about.st_uid != user or not stat.S_ISDIR(about.st_mode) or about.st_mode & 0o077):
        raise PermissionError(f"{folder} belongs to somebody else, or others can write to it")
    return str(folder)


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
