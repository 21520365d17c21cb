"""What the exported page needs to compute a memory at any time n in the browser: taps, rows, and small matrices.

With the impulse responses of its rows as the rows of M [m, R], which follow from the taps, the memory and the past that least
squares recover from it are

    z_n = M p_n,        recovered = P z_n,        P = pinv(M) = M^T G,        G = pinv(M M^T)  [m, m],

so that G is all that is stored of P, whose R rows would be a thousand times as many.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .pair import filters_of
from .remember import memory_of
from .state import State


def stored_taps(wavelets: tuple[str, ...]) -> dict[str, list[list[float]]]:
    """h0 and h1 of each wavelet, in double precision."""
    return {name: [h.tolist() for h in filters_of(State(wavelet=name))] for name in wavelets}


def stored_memories(wavelets: tuple[str, ...], depths: tuple[int, ...], selects: tuple[str, ...]) -> dict[str, Any]:
    """The rows [kind, level, lag] and G of every memory, by "wavelet|depth|tree_select".

    Examples
    --------
    >>> stored_memories(("haar",), (1,), ("fading",))["haar|1|fading"]["rows"]
    [['a', 1, 0], ['b', 1, 0]]
    """
    found = {}
    for wavelet in wavelets:
        for depth in depths:
            for select in selects:
                memory = memory_of(State(wavelet=wavelet, depth=depth, tree_select=select), select)
                G = np.linalg.pinv(memory.M @ memory.M.T, hermitian=True)
                rows = [[row.kind, row.level, row.lag] for row in memory.rows]
                found[f"{wavelet}|{depth}|{select}"] = {"rows": rows, "G": G.tolist()}
    return found
