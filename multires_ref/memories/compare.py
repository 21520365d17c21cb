"""All memories side by side at equal size and horizon: how well each recovers the past of a signal, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..base.checks import check_choice, check_int
from ..base.layer_checks import as_signal
from ..base.tables import text_table
from ..base.threads import limited
from .examples import example_signals
from .interface import Memory
from .recover import decompose, forgetting_curve, recovery_matrix
from .registry import MEMORIES, make_memory

SIZES, HORIZON = (10, 32, 64), 512
NAMES = ("fading", "uniform", "last", "averages", "legt", "legs", "fourier")  # in tables and pictures
NEWEST = 32  # samples: what a table calls the recent past
TIMES = 48  # moments of a signal at which its past is recovered


@dataclass(frozen=True)
class MemoryRecord:
    """How one memory did on one signal.

    `by_lag` [horizon] is the root mean square error of the recovered x[n-t], `error` that over all lags, `newest` over the
    newest 32. All are divided by the root mean square of the signal, so that 1 is as bad as zero for an answer. `way` is "least
    squares", the same for all, or "own", the memory's own polynomials or waves.
    """

    memory: str
    title: str
    size: int
    horizon: int
    signal: str
    way: str
    error: float
    newest: float
    by_lag: np.ndarray
    operations: int
    stored: int
    rank: int
    settings: str

    def to_dict(self) -> dict[str, Any]:
        """The same as plain numbers, lists and strings, for JSON."""
        return asdict(self) | {"by_lag": self.by_lag.tolist()}


def compare_memories(
    sizes: Sequence[int] = SIZES,
    horizon: int = HORIZON,
    *,
    names: Sequence[str] = NAMES,
    signals: dict[str, np.ndarray] | None = None,
    times: int = TIMES,
) -> list[MemoryRecord]:
    """Stream signals through memories of equal size, and recover the last `horizon` samples from the m numbers alone.

    Each memory is updated by its own recurrence from the beginning of the signal. At `times` moments, evenly spaced from sample
    `horizon` - 1 to the last, its past is recovered as pinv(M) z, by least squares, from its own matrix M: the same for all. That
    is the best linear answer when nothing is known of the signal. A memory that has polynomials or waves of its own takes for
    granted that the past is made of them; what they say is a second record. Every free parameter of a memory follows from m and
    the horizon, and is in the record's `settings`. LegS has the whole past in its matrix, from the first sample on.

    Parameters
    ----------
    sizes : ints, m of each
    horizon : int, samples of the past that are to be recovered
    names : names in `memories.MEMORIES`
    signals : {name: array [L]}, L of at least `horizon`; the five of `memories.examples.example_signals` if they are not given
    times : int, moments at which the past is recovered

    Returns
    -------
    list of `MemoryRecord`, for each size, memory and signal, in this order, one or two

    Raises
    ------
    TypeError, ValueError
        For names that no memory has, sizes that a memory cannot have, and signals that are not [L] or shorter than the horizon.

    Examples
    --------
    >>> wave = np.sin(2 * np.pi * np.arange(200) / 80)
    >>> for record in compare_memories([6], 64, names=["last", "legt"], signals={"wave": wave}):
    ...     print(f"{record.title}, {record.way}: {record.operations} operations, error {record.error:.2f}")
    last m samples, least squares: 0 operations, error 0.95
    LegT (LMU), least squares: 78 operations, error 0.19
    LegT (LMU), own: 78 operations, error 0.01
    """
    check_int("horizon", horizon, 1)
    for name in names:
        check_choice("names", name, MEMORIES)
    made = [[make_memory(name, size, horizon) for name in names] for size in sizes]  # refuses a size before any work
    signals = example_signals(np.random.default_rng(0)) if signals is None else signals
    checked = {name: check_signal(x, name, horizon) for name, x in signals.items()}
    check_int("times", times, 1)
    with limited(work=0):  # the matrices are thin: several threads would wait for each other
        return [record for memories in made for memory in memories for record in on_signals(memory, checked, horizon, times)]


def check_signal(x: np.ndarray, name: str, horizon: int) -> np.ndarray:
    """x as a float64 array [L] that is not shorter than the horizon."""
    x = as_signal(x, name).astype("float64")
    if x.ndim != 1 or len(x) < horizon:
        raise ValueError(f"the signal {name!r} must be an array [L] with L of at least horizon = {horizon}; got shape {x.shape}")
    return x


def on_signals(memory: Memory, signals: dict[str, np.ndarray], horizon: int, times: int) -> list[MemoryRecord]:
    """The record of one memory for each signal."""
    recover: dict[int, np.ndarray] = {}  # by the count of samples where M varies with time, else one for all
    records, rank = [], None
    for name, x in signals.items():
        memory.reset()
        states = memory.push(x, every=True)  # [m, L]
        moments = np.unique(np.linspace(horizon - 1, len(x) - 1, times).round().astype(int))
        pasts = np.stack([x[n - horizon + 1 : n + 1][::-1] for n in moments])  # [times, horizon]
        estimates = np.stack([recover_matrix(memory, horizon, n + 1, recover) @ states[:, n] for n in moments])
        ways = {"least squares": estimates} | own_estimates(memory, states, moments, horizon)
        rank = decompose(memory.matrix())[1].size if rank is None else rank
        records += [record_of(memory, name, rank, way, pasts, found) for way, found in ways.items()]
    return records


def recover_matrix(memory: Memory, horizon: int, n: int, known: dict[int, np.ndarray]) -> np.ndarray:
    """The first `horizon` rows of pinv(M) when n samples have been seen: [horizon, m]; kept in `known`."""
    key = n if memory.time_varying else 0
    if key not in known:
        known[key] = recovery_matrix(memory.matrix(n=n), horizon)
    return known[key]


def own_estimates(memory: Memory, states: np.ndarray, moments: np.ndarray, horizon: int) -> dict[str, np.ndarray]:
    """The memory's own reconstruction at each moment: {"own": [times, horizon]}; nothing where it has none."""
    seen, found = memory.n, []
    try:
        for n in moments:
            memory.n = int(n) + 1  # a time-varying basis depends on the count
            found.append(memory.basis(horizon) @ states[:, n])
    except ValueError:
        return {}
    finally:
        memory.n = seen
    return {"own": np.stack(found)}


def record_of(memory: Memory, signal: str, rank: int, way: str, pasts: np.ndarray, estimates: np.ndarray) -> MemoryRecord:
    """The errors, relative to the root mean square of the pasts."""
    scale = np.sqrt((pasts**2).mean())
    squares = ((estimates - pasts) ** 2).mean(axis=0) / scale**2  # [horizon]
    return MemoryRecord(
        memory=memory.name,
        title=memory.title,
        size=memory.size,
        horizon=pasts.shape[1],
        signal=signal,
        way=way,
        error=float(np.sqrt(squares.mean())),
        newest=float(np.sqrt(squares[:NEWEST].mean())),
        by_lag=np.sqrt(squares),
        operations=memory.operations,
        stored=memory.stored,
        rank=rank,
        settings=memory.settings,
    )


def forgetting_curves(
    size: int, horizon: int = HORIZON, names: Sequence[str] = NAMES, samples: int | None = None
) -> dict[str, np.ndarray]:
    """The forgetting curve of each memory over all lags, by title: how much of x[n-t] it knows if x is white noise.

    LegS has no curve of its own for all times: it is that after `samples`, 4 horizons if they are not given.

    Examples
    --------
    >>> {title: float(curve.sum().round(6)) for title, curve in forgetting_curves(5, 16, ["uniform", "legs"]).items()}
    {'tree, uniform, haar': 5.0, 'LegS': 5.0}
    """
    memories = [make_memory(name, size, horizon) for name in names]
    with limited(work=0):
        return {memory.title: forgetting_curve(memory.matrix(n=samples or 4 * horizon)) for memory in memories}


def memory_table(records: Sequence[MemoryRecord], newest: bool = False) -> str:
    """A table for each size: a row for each memory, with its cost and its error on each signal, in percent.

    A row is that of least squares, or "own", that of the memory's own polynomials or waves.

    Parameters
    ----------
    records : of `compare_memories`
    newest : bool, whether the errors are those over the newest 32 samples alone

    Examples
    --------
    >>> wave = np.sin(2 * np.pi * np.arange(200) / 80)
    >>> print(memory_table(compare_memories([6], 64, names=["last", "legt"], signals={"wave": wave})))
    m = 6, horizon 64: error of the recovered past in percent of the signal
                     stored  operations  rank  wave
    last m samples        6           0     6  95.2
    LegT (LMU)            6          78     6  18.8
    LegT (LMU), own       6          78     6   1.3
    """
    which = f"the newest {NEWEST} samples" if newest else "the recovered past"
    tables = []
    for m, horizon in dict.fromkeys((r.size, r.horizon) for r in records):
        of_size = [r for r in records if (r.size, r.horizon) == (m, horizon)]
        signals = list(dict.fromkeys(r.signal for r in of_size))
        rows = []
        for title, way in dict.fromkeys((r.title, r.way) for r in of_size):
            chosen = [r for r in of_size if (r.title, r.way) == (title, way)]
            errors = {r.signal: r.newest if newest else r.error for r in chosen}
            costs = [f"{chosen[0].stored:,}", f"{chosen[0].operations:,}", str(chosen[0].rank)]
            name = title if way == "least squares" else f"{title}, own"
            rows.append([name, *costs, *(f"{100 * errors[signal]:.1f}" for signal in signals)])
        head = f"m = {m}, horizon {horizon}: error of {which} in percent of the signal"
        tables.append(head + "\n" + text_table(["", "stored", "operations", "rank", *signals], rows))
    return "\n\n".join(tables)


def settings_table(records: Sequence[MemoryRecord]) -> str:
    """Every free parameter of every memory, and how it was set.

    Examples
    --------
    >>> wave = np.sin(2 * np.pi * np.arange(200) / 80)
    >>> print(settings_table(compare_memories([6], 64, names=["last", "legt"], signals={"wave": wave})))
    m = 6  last m samples: none
    m = 6  LegT (LMU): window theta = 64, zero-order hold
    """
    return "\n".join(dict.fromkeys(f"m = {r.size}  {r.title}: {r.settings}" for r in records))
