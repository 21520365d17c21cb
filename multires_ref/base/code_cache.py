"""Where compiled code is kept on disk: in the user's cache folder, under a name that follows from what was compiled.

    ~/.cache/multires_ref/compiled/ops.numba-3f0c9a2b61d4e857/    Linux; other systems have a place of their own for caches

The last part is a digest of the source files' content, and of the versions of Python, NumPy, Numba and llvmlite. So what is kept
survives a reinstall of the same version and serves other environments with the same packages, and no version ever loads another
one's code. Numba's own file names and keys add the machine's CPU and the types of the arguments.

The first place that can be used is taken: NUMBA_CACHE_DIR, the user's cache folder, a folder among the temporary files. Compiled
code is run when it is loaded. A folder that somebody else owns or could write to is therefore refused, except the one that the
user names.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

NAME = "multires_ref"
PACKAGE = Path(__file__).parent.parent
UNUSED = 30  # days after which code compiled from other files is removed
DAY = 86400  # seconds


def code_cache(function: FunctionType) -> Any:
    """Numba's cache of one function, in the first place that can be used; None where there is none."""
    from numba.core.caching import FunctionCache

    for place in PLACES:
        try:
            folder = folder_of(function, place())
        except OSError:
            continue
        return type("CodeCache", (FunctionCache,), {"_impl_class": implementation(str(folder))})(function)
    return None


@cache
def implementation(folder: str) -> Any:
    """How Numba's cache writes and reads, at one place."""
    from numba.core.caching import CompileResultCacheImpl, _CacheLocator

    class Locator(_CacheLocator):
        def __init__(self, function: FunctionType) -> None:
            self.line = function.__code__.co_firstlineno

        def get_cache_path(self) -> str:
            return folder

        def get_source_stamp(self) -> str:
            return Path(folder).name

        def get_disambiguator(self) -> str:
            return str(self.line)

        @classmethod
        def from_function(cls, function: FunctionType, file: str) -> Any:
            return cls(function)

    class Implementation(CompileResultCacheImpl):
        _locator_classes = [Locator]

    return Implementation


# Places


def named_by_user() -> Path:
    """NUMBA_CACHE_DIR.

    Raises
    ------
    OSError
        If it is not set.
    """
    from numba.core import config

    if not config.CACHE_DIR:
        raise FileNotFoundError("NUMBA_CACHE_DIR is not set")
    return Path(config.CACHE_DIR)


@cache
def cache_of_user() -> Path:
    """The user's cache folder for this package: XDG_CACHE_HOME or ~/.cache on Linux, what is usual on other systems."""
    from numba.misc.appdirs import user_cache_dir

    above = Path(user_cache_dir(NAME, appauthor=False))
    above.parent.mkdir(parents=True, exist_ok=True)
    return private(private(above) / "compiled")


@cache
def temporary_cache() -> Path:
    """A folder of this user's among the temporary files."""
    user = os.getuid() if hasattr(os, "getuid") else "cache"  # Windows has one temporary folder for each user
    return private(Path(tempfile.gettempdir()) / f"{NAME}-numba-{user}")


def private(folder: Path) -> Path:
    """The folder, made if it is not there.

    Raises
    ------
    OSError
        If it cannot be made, is a link, belongs to somebody else or is open to others.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if hasattr(os, "getuid") and (about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode) or about.st_mode & 0o077):
        raise PermissionError(f"{folder} belongs to somebody else, or others can write to it")
    return folder


PLACES: tuple[Callable[[], Path], ...] = (named_by_user, cache_of_user, temporary_cache)  # the first that can be used is taken


# Names that follow from the content


def folder_of(function: FunctionType, place: Path) -> Path:
    """Where the code of a function is kept: one folder for each folder of source files. It is made, and can be written to."""
    file = Path(function.__code__.co_filename)
    if not file.is_file():
        raise FileNotFoundError(f"{function.__qualname__} was not read from a file")
    return prepared(place, file.parent)


@cache
def prepared(place: Path, sources: Path) -> Path:
    """The folder for these source files, made and marked as used today; those of other content are removed when long unused."""
    inside = sources.relative_to(PACKAGE).parts if sources.is_relative_to(PACKAGE) else (sources.name,)
    folder = place / f"{'.'.join(inside)}-{digest(sources)}"
    known = folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()  # raises an OSError where nothing can be written
    with suppress(PermissionError):  # of somebody else, in a place that the user named
        os.utime(folder)  # it is in use
    if not known:
        remove_unused(place, ".".join(inside), keep=folder)
    return folder


@cache
def digest(sources: Path) -> str:
    """What changes with the content of the source files, and with the versions of what compiles them.

    The files are those of the folder, of the one above it and of `base`: compiled functions call each other across files, and
    take constants and records from there.
    """
    versions = (sys.version, *map(version, ("numpy", "numba", "llvmlite")))
    found = hashlib.sha256(repr(versions).encode())
    for folder in sorted({sources, sources.parent, PACKAGE / "base", *PACKAGE.glob("*/numba")}):
        for path in sorted(folder.glob("*.py")) if folder.is_relative_to(PACKAGE) or folder == sources else ():
            found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def remove_unused(place: Path, name: str, keep: Path, now: Callable[[], float] = time.time) -> None:
    """Remove code that was compiled from other content of the same files and has not been used for UNUSED days."""
    for folder in place.glob(f"{name}-*"):
        with suppress(OSError):
            if folder != keep and folder.is_dir() and now() - folder.stat().st_mtime > UNUSED * DAY:
                shutil.rmtree(folder, ignore_errors=True)
