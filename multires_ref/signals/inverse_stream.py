"""The causal inverse sample by sample and chunk by chunk."""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array
from ..base.checks import as_plain
from ..transform import synthesis_delay
from .coefficients import Coefficients
from .rings import RingStream, loops, taps_over, write


class CausalISWT(RingStream):
    """`causal_iswt` of coefficients that are still arriving: x[n - delay], bit for bit, sample by sample or in chunks.

    Parameters
    ----------
    wavelet : str, pywt.Wavelet, or your own filters (h0, h1, g0, g1), g0 and g1 being those of reconstruction
    level, shape, norm, start_level, dtype, engine : as for `CausalSWT`

    Attributes
    ----------
    delay : int; 2^m (2^J - 1)(F - 1) samples, m being `start_level`: the first `delay` results are zero, up to rounding

    Raises
    ------
    TypeError, ValueError, ImportError
        As for `CausalSWT`, and for filters of your own without those of reconstruction.

    Notes
    -----
    Level j needs the last (F - 1) 2^(j-1) values of r_j and, because its details wait for the coarser levels, the last
    (F - 1)(2^J - 2^j + 2^(j-1)) of d_j: in all (F - 1) J 2^J numbers a channel (times 2^m).

    Examples
    --------
    >>> from multires_ref import CausalSWT
    >>> forward, back = CausalSWT("haar", level=2), CausalISWT("haar", level=2)
    >>> back.delay
    3
    >>> [round(float(back.step(forward.step(x))), 9) for x in [3.0, 5.0, 4.0, 4.0, 8.0]]
    [0.0, 0.0, 0.0, 3.0, 5.0]
    """

    inverse = True

    @property
    def delay(self) -> int:
        """2^m (2^J - 1)(F - 1)."""
        return 2**self.start_level * synthesis_delay(self.level, self.taps)

    def lengths(self, level: int) -> list[int]:
        """The lengths of the rings of r_J ... r_1, and then of d_J ... d_1."""
        unit, levels = (self.taps - 1) * 2**self.start_level, range(level, 0, -1)
        return [unit * 2 ** (j - 1) for j in levels] + [unit * (2**level - 2**j + 2 ** (j - 1)) for j in levels]

    def step(self, coeffs: Coefficients) -> Array:
        """Take the coefficients of one time, as `CausalSWT.step` returns them; return x[n - delay], `[*shape]`."""
        listed = self._listed(coeffs)
        rows = np.array(listed)
        if rows.dtype is self.ring.dtype and rows.shape == (self.level + 1, *self.shape):  # nothing to convert
            rows = rows.reshape(len(rows), -1, 1)
        else:
            rows = np.array([self._rows(name, as_plain(name, c)[..., None]) for name, c in self._named(listed)])
        return self._shaped(self.advance(rows))[()]

    def push(self, coeffs: Coefficients) -> np.ndarray:
        """Take the coefficients of the next T times, as `CausalSWT.push` returns them; return x[n - delay], `[*shape, T]`."""
        rows = [self._rows(name, c) for name, c in self._named(self._listed(coeffs))]
        if len({row.shape for row in rows}) != 1:
            raise ValueError(f"coeffs must be arrays of one length T; got {[row.shape[1] for row in rows]}")
        return self._shaped(self.advance(np.array(rows)), rows[0].shape[1])

    def _listed(self, coeffs: Coefficients) -> list[Array]:
        """[a_J, d_J, ..., d_1]."""
        if not isinstance(coeffs, (list, tuple)):
            raise TypeError(f"coeffs must be a list, as CausalSWT returns it; got {type(coeffs).__name__}")
        pairs = len(coeffs) > 0 and isinstance(coeffs[0], tuple)
        if pairs and not all(isinstance(pair, tuple) and len(pair) == 2 for pair in coeffs):
            raise TypeError("coeffs must be pairs (a, d), as CausalSWT returns them")
        listed = [coeffs[0][0], *(pair[1] for pair in coeffs)] if pairs else list(coeffs)
        if len(listed) != self.level + 1:
            raise ValueError(f"coeffs must hold a and {self.level} details, as this stream has levels; got {len(listed)} arrays")
        return listed

    def _named(self, listed: list[Array]) -> list[tuple[str, Array]]:
        """With the names that an error calls them."""
        names = [f"a_{self.level} of coeffs", *(f"d_{j} of coeffs" for j in range(self.level, 0, -1))]
        return list(zip(names, listed, strict=True))

    def advance(self, coeffs: np.ndarray) -> np.ndarray:
        """The next values of the signal [C, T], from coeffs [1 + J, C, T] = (a_J, d_J, ..., d_1), and the rings after them."""
        T = coeffs.shape[2]
        if self.compiled:
            out, synthesise = np.empty_like(coeffs[0]), loops().synthesise_sample if T == 1 else loops().synthesise
            synthesise(out, coeffs, self.ring, self.rings, self.time, self.filters)
        else:
            out = self._advance_arrays(coeffs)
        self.time += T
        return out

    def _advance_arrays(self, coeffs: np.ndarray) -> np.ndarray:
        """The same by array operations, level by level."""
        (g0, g1), (r, *details), n = self.filters, coeffs, self.time
        pasts = [self.ring[:, start : start + length] for start, length in self.rings.T]
        for d, past_r, past_d in zip(details, pasts[: self.level], pasts[self.level :], strict=True):
            H = past_r.shape[1]
            spacing = H // (self.taps - 1)
            of_r, of_d = taps_over(r, past_r, n, g0, 0, spacing), taps_over(d, past_d, n, g1, past_d.shape[1] - H, spacing)
            write(past_r, r, n)
            write(past_d, d, n)
            r = 0.5 * (of_r + of_d)
        return r
