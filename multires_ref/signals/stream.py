"""The causal transform sample by sample and chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.arrays import Array
from ..base.checks import check_bool
from ..base.layer_checks import Wavelet
from .coefficients import Coefficients, trimmed
from .rings import RingStream, loops, taps_over, write


class CausalSWT(RingStream):
    """`causal_swt` of a signal that is still arriving: the same numbers, sample by sample or in chunks of any lengths.

    Parameters
    ----------
    wavelet : str, pywt.Wavelet, or your own filters (h0, h1)
    level : int, J
    shape : tuple of int; of one sample: () for one signal, (3,) for three channels
    norm, trim_approx, start_level : as for `causal_swt`
    dtype : "float32", "float64", "complex64" or "complex128", of all samples
    engine : "auto", "numpy" or "numba"; "auto" takes the compiled loops where Numba is installed

    Raises
    ------
    TypeError, ValueError
        For what `causal_swt` refuses, and for a level whose rings would take more than 4 GiB.
    ImportError
        For engine "numba" without Numba.

    Notes
    -----
    Level j needs the last (F - 1) 2^(j-1) values of a_{j-1}; that is (F - 1)(2^J - 1) numbers a channel (times 2^start_level),
    however long the signal was before. `step` costs O(F J) for each channel with Numba.

    The results are, bit for bit and with either engine, those of `causal_swt(..., engine="tree")`. Its engine "fused", which
    "auto" takes for long signals, adds in another order: each number then differs by at most K J eps times the sum of the
    magnitudes that it is added from.

    Examples
    --------
    >>> from multires_ref import causal_swt
    >>> x = np.array([3.0, 5.0, 4.0, 4.0, 8.0])
    >>> stream = CausalSWT("haar", level=2)
    >>> for x_n in x[:3]:
    ...     (a2, d2), (a1, d1) = stream.step(x_n)
    >>> (a2, d2), (a1, d1) = stream.push(x[3:])
    >>> np.array_equal(a2, causal_swt(x, "haar", level=2)[0][0][3:])
    True
    """

    def __init__(
        self,
        wavelet: str | Wavelet | tuple[Array, ...],
        level: int,
        shape: Sequence[int] = (),
        *,
        trim_approx: bool = False,
        **options: Any,
    ) -> None:
        self.trim_approx = check_bool("trim_approx", trim_approx)
        super().__init__(wavelet, level, shape, **options)

    def lengths(self, level: int) -> list[int]:
        """(F - 1) 2^(j-1) for each level, fine to coarse."""
        return [(self.taps - 1) * 2 ** (self.start_level + i) for i in range(level)]

    def step(self, x: Array) -> Coefficients:
        """Take the next sample `[*shape]`; return its coefficients, as `causal_swt` does, each `[*shape]`."""
        out = self.advance(self._sample(x))
        if out.size == 2 * self.level:  # one real signal: its numbers, without an array for each
            numbers = list(out.ravel())
            return trimmed(list(zip(numbers[::2], numbers[1::2], strict=True)), self.trim_approx)
        return self._listed(self._shaped(out))

    def push(self, x: Array) -> Coefficients:
        """Take the next T samples `[*shape, T]`, T of at least 1; return their coefficients, each `[*shape, T]`."""
        rows = self._rows("x", x)
        return self._listed(self._shaped(self.advance(rows), rows.shape[1]))

    def _listed(self, out: np.ndarray) -> Coefficients:
        return trimmed(list(zip(out[:, 0], out[:, 1], strict=True)), self.trim_approx)

    def advance(self, x: np.ndarray) -> np.ndarray:
        """The coefficients [J, 2, C, T] of the next samples [C, T], and the rings after them."""
        if self.compiled:
            analyse = loops().analyse_sample if x.shape[1] == 1 else loops().analyse
            out = np.zeros((self.level, 2, *x.shape), x.dtype)
            analyse(out, x, self.ring, self.rings, self.time, self.filters)
        else:
            out = self._advance_arrays(x)
        self.time += x.shape[1]
        return out

    def _advance_arrays(self, a: np.ndarray) -> np.ndarray:
        """The same by array operations, level by level."""
        pairs = []
        for start, length in self.rings.T:
            past = self.ring[:, start : start + length]
            pairs.append([taps_over(a, past, self.time, h, 0, length // (self.taps - 1)) for h in self.filters])
            write(past, a, self.time)
            a = pairs[-1][0]
        return np.array(pairs[::-1])
