"""One process at a time in a folder: a lock that the operating system itself releases when the process ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
import warnings
from importlib import import_module
from pathlib import Path

POSIX = os.name == "posix"
LOCK_NAME = ".lock"
PATIENCE = 0.3  # seconds; a process that only looks whether a folder is free holds its lock for far less
FAR = 2**30  # the byte of the file that is locked on Windows, where nobody can read a byte that another process has locked
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)  # of some network file systems


class FolderInUse(FileExistsError):
    """Another process works in the folder."""


class FolderLock:
    """A `with` block in which no other process, and no other thread, can hold the lock of the same folder.

    Parameters
    ----------
    folder : path
        It must exist. The lock is a file `.lock` in it, which is removed at the end; if a killed process leaves it behind, that
        does no harm, because what counts is the lock on the file and not that the file is there.
    name : str
        Of the file, where a folder has locks for several things.
    patience : float
        How many seconds to wait while the folder is locked.

    Raises
    ------
    FolderInUse
        At the start of the block, if the folder is locked; the message names the folder and the process that holds it.
    OSError
        If the file cannot be made, for example in a folder that may only be read.

    Notes
    -----
    `flock` on POSIX systems and `msvcrt.locking` on Windows. Where the file system knows no locks, a RuntimeWarning says so and
    the block is entered without one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, FolderLock(folder):
    ...     try:
    ...         FolderLock(folder).__enter__()
    ...     except FolderInUse as error:
    ...         print(str(error).startswith(f"{folder} is in use by process {os.getpid()} on "))
    True
    """

    def __init__(self, folder: str | Path, name: str = LOCK_NAME, patience: float = PATIENCE) -> None:
        self.folder, self.patience = Path(folder), patience
        self.path = self.folder / name
        self.number = -1  # of the open file; -1 where it is not open

    def __enter__(self) -> FolderLock:
        end = time.monotonic() + self.patience
        while not self._acquire():
            if time.monotonic() > end:
                raise FolderInUse(f"{self.folder} is in use by {self._holder()}: only one process at a time can train there")
            time.sleep(0.02)
        with contextlib.suppress(OSError):  # on a full disk nobody can read who holds the lock, but it is held
            os.ftruncate(self.number, 0)
            os.write(self.number, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        return self

    def __exit__(self, *exception: object) -> None:
        if POSIX:  # removed while it is still locked, so that nobody else's new file can be removed
            self.path.unlink(missing_ok=True)
        os.close(self.number)
        if not POSIX:  # Windows removes no file that is open, ours or another process's
            with contextlib.suppress(OSError):
                self.path.unlink()

    def _acquire(self) -> bool:
        """Open and lock the file; False if another has it, or has just removed it."""
        self.number = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if lock_file(self.number) and self._is_ours():
                return True
        except OSError as error:
            if error.errno in NO_LOCKS:
                warnings.warn(f"{self.folder} cannot be locked: start no second run in it", RuntimeWarning, stacklevel=3)
                return True
            os.close(self.number)
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        os.close(self.number)
        return False

    def _is_ours(self) -> bool:
        """Whether the locked file is still the one at the path: its last holder may have removed it after we opened it."""
        try:
            return os.path.samestat(os.fstat(self.number), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _holder(self) -> str:
        """What the holder wrote about itself."""
        with contextlib.suppress(OSError), open(self.path, "rb") as file:
            return file.read(200).decode(errors="replace").strip() or "another process"
        return "another process"


def lock_file(number: int) -> bool:
    """Lock an open file without waiting; False where another process or thread has locked it."""
    try:
        if POSIX:
            import fcntl

            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt = import_module("msvcrt")  # its functions are known to type checkers on Windows alone
            os.lseek(number, FAR, os.SEEK_SET)
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
            os.lseek(number, 0, os.SEEK_SET)
    except (BlockingIOError, PermissionError):  # Windows says the second
        return False
    return True


def check_free(folder: str | Path) -> None:
    """Raise a FolderInUse if the folder is there and another process works in it."""
    if Path(folder).is_dir():
        with FolderLock(folder):
            pass
