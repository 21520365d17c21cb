"""Memory that is freed stays with the process, ready for the next array: on Linux, for training.

A training step makes and frees arrays of 50 to 100 MB by the dozen. glibc asks the system for each of them and gives it back at
once, and the system hands out fresh memory page by page, filled with zeros: that takes longer than computing what goes in. Two
settings of `malloc` end it: no allocation by `mmap`, and no return of free memory. All arrays of a step are gone at its end, so
the free pieces join again and the process does not grow.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Make it so, once in a process, and say whether it is so now.

    False, and nothing is changed, where the C library is not glibc or the environment variable MULTIRES_KEEP_MEMORY is 0. The
    process keeps its largest size until it ends.
    """
    if sys.platform != "linux" or os.environ.get("MULTIRES_KEEP_MEMORY") == "0":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))
