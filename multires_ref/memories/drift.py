"""What becomes of a memory after very many streamed samples: does its recurrence still hold what its matrix says?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..base.checks import check_choice, check_int
from ..base.tables import text_table
from ..base.threads import limited
from .compare import HORIZON, NAMES
from .examples import coloured_noise
from .interface import Memory
from .legs import LegSMemory
from .recover import recovery_matrix
from .registry import MEMORIES, make_memory

BLOCK = 2**16  # columns of a matrix at a time, where it is as long as the whole past
MOMENTS, APART = 8, 64  # at how many moments at the end the past is recovered, and how many samples lie between them


@dataclass(frozen=True)
class DriftRecord:
    """A memory after `steps` samples: |z - M p| / |M p| in float64 and in float32, and the error of the last `horizon`."""

    memory: str
    title: str
    size: int
    steps: int
    drift64: float
    drift32: float
    error: float

    def to_dict(self) -> dict[str, Any]:
        """The same as plain numbers and strings, for JSON."""
        return asdict(self)


def measure_drift(steps: int = 10**6, size: int = 32, horizon: int = HORIZON, names: Sequence[str] = NAMES) -> list[DriftRecord]:
    """Stream 1/f noise through each memory, sample by sample, and compare its state with M times the past.

    Parameters
    ----------
    steps : int, samples; at least 2 horizons
    size, horizon : int
    names : names in `memories.MEMORIES`

    Returns
    -------
    list of `DriftRecord` : the error is that of the last `horizon` samples, recovered by least squares from the float64 state at
    8 moments in the last 512 steps, relative to the root mean square of those samples

    Examples
    --------
    >>> for record in measure_drift(2000, size=4, horizon=64, names=["last", "averages"]):
    ...     print(record.title, record.drift64 < 1e-14, record.drift32 < 1e-5)
    last m samples True True
    exponential averages True True
    """
    check_int("steps", steps, max(2 * horizon, horizon + MOMENTS * APART))
    for name in names:
        check_choice("names", name, MEMORIES)
    x = coloured_noise(np.random.default_rng(0), steps, 1.0)
    with limited(work=0):  # thin matrices: several threads would wait for each other
        return [drift_of(name, size, horizon, x) for name in names]


def drift_of(name: str, size: int, horizon: int, x: np.ndarray) -> DriftRecord:
    """The record of one memory."""
    memory, single = (make_memory(name, size, horizon, dtype) for dtype in ("float64", "float32"))
    first, estimates, pasts = len(x) - (MOMENTS - 1) * APART, [], []
    fixed = None if memory.time_varying else recovery_matrix(memory.matrix(), horizon)
    for start, n in [(0, first), *((n - APART, n) for n in range(first + APART, len(x) + 1, APART))]:
        z = memory.push(x[start:n])
        estimates.append(recover_growing(memory, z, n, horizon) if fixed is None else fixed @ z)
        pasts.append(x[n - horizon : n][::-1])
    exact = sum(M @ x[::-1][lag : lag + M.shape[1]] for lag, M in blocks(memory, len(x)))
    off = [np.linalg.norm(state - exact) / np.linalg.norm(exact) for state in (z, single.push(x.astype("float32")))]
    error = np.sqrt(np.mean((np.stack(estimates) - pasts) ** 2) / np.mean(np.square(pasts)))
    return DriftRecord(name, memory.title, size, len(x), float(off[0]), float(off[1]), float(error))


def blocks(memory: Memory, n: int) -> Iterator[tuple[int, np.ndarray]]:
    """M when n samples have been seen, in blocks of columns: the first lag of each block, and the block; no lag beyond n - 1."""
    if isinstance(memory, LegSMemory):
        for lag in range(0, n, BLOCK):
            yield lag, memory.columns(min(n, lag + BLOCK), n, lag)
    else:
        yield 0, memory.matrix(min(n, memory.reach))


def recover_growing(memory: Memory, z: np.ndarray, n: int, horizon: int) -> np.ndarray:
    """pinv(M) z for an M that is too large to be decomposed: M^T (M M^T)^-1 z, which needs no more than a sum over blocks."""
    gram = sum(M @ M.T for _, M in blocks(memory, n))
    return memory.matrix(horizon, n).T @ np.linalg.solve(gram, z)


def drift_table(records: Sequence[DriftRecord], horizon: int = HORIZON) -> str:
    """A row for each memory.

    Examples
    --------
    >>> print(drift_table([DriftRecord("last", "last m samples", 32, 1000000, 0.0, 4e-8, 0.9)]))
    after 1,000,000 streamed samples of 1/f noise, m = 32
                    drift, float64  drift, float32  error of the last 512 (%)
    last m samples           0e+00           4e-08                       90.0
    """
    head = f"after {records[0].steps:,} streamed samples of 1/f noise, m = {records[0].size}"
    rows = [[r.title, f"{r.drift64:.0e}", f"{r.drift32:.0e}", f"{100 * r.error:.1f}"] for r in records]
    return head + "\n" + text_table(["", "drift, float64", "drift, float32", f"error of the last {horizon} (%)"], rows)
