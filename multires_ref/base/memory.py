"""How much memory this machine has: what needs more is refused before it is asked for."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup/memory.max")  # the limit of a container (Linux, cgroup 2)
UNKNOWN = 2**40  # bytes: a terabyte, where the system does not say


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
