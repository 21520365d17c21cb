"""How PyWavelets' transforms relate to the causal tree: nine relations, checked on any wavelet and signal.

Here F = dec_len, S_j = (2^j - 1) F / 2, and the tree is built from h0 = dec_lo and h1 = dec_hi, in lag order. "zero" means that
the signal is zero before it begins, as in the layer (a_j of `tree.pyramid`); "per" means that indices are taken mod N:

    A   swt                     cA_j = roll(a_j^per, -S_j), cD_j alike; 2^J divides N
    A'  swt(norm=True)          the same times 2^(-j/2)
    B   swt of a padded signal  a_j^zero = roll(cA_j, S_j)[:N], for any N, padded right to M >= N + (2^J - 1)(F - 1)
    C   wavedec(mode="zero")    cA_j[m] = a_j^zero[2^j (m + 1) - 1]
    D   "periodization"         cA_j[m] = a_j^per[(2^j m + S_j) mod N]
    E   other modes, level 1    cA_1[m] = (lo * x_extended)[2 m + 1]
    F   causal inverse          causal_iswt(causal_swt(x)) = x delayed by (2^J - 1)(F - 1)
    G   upcoef, wavefun         the impulse responses, reversed (orthogonal wavelets)
    H   mra(transform="swt")    D_j = 2^-j T_j' T_j x, T_j the circulant matrix of d_j^per (orthogonal wavelets)
    I   MODWT                   W_j = roll(swt(x reversed, norm=True)_j reversed, (2^j - 1)(F/2 - 1)) against its own definition
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..base.agreement import measure
from ..base.checks import check_int
from ..base.layer_checks import as_signal, as_wavelet
from ..response import impulse_responses
from ..signals.swt import causal_delay, causal_iswt
from ..tree import pyramid

if TYPE_CHECKING:
    from pywt import Wavelet

EXACT = 1e-12  # relative; rounding only
EARLY = 1e-11  # for arrays at the beginning of the signal, which a long filter makes from sums of much larger terms
TABLES = 1e-10  # for perfect reconstruction, which the digits of PyWavelets' filter tables limit
EXTENSIONS = ("symmetric", "reflect", "periodic", "smooth", "constant", "antisymmetric", "antireflect")


class Relation(NamedTuple):
    """One row of the report: `error` is the largest relative error of its arrays, or None if the relation does not apply."""

    name: str
    meaning: str
    error: float | None
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the relation holds, or does not apply to this wavelet."""
        return self.error is None or self.error <= self.tolerance


def check_pywavelets(wavelet: str | Wavelet, x: np.ndarray | None = None, level: int = 3) -> list[Relation]:
    """Check all relations between PyWavelets and the causal tree for one wavelet on one signal.

    Parameters
    ----------
    wavelet : str or pywt.Wavelet
        Any of PyWavelets' discrete wavelets.
    x : array [N] or None
        The signal, of any length; None means 200 samples of seeded noise. Relations that need a length which 2^level divides use
        only the longest beginning of x that has such a length.
    level : int, J

    Returns
    -------
    list of `Relation` rows, A to I

    Raises
    ------
    ValueError
        For an unknown wavelet, or a signal shorter than 2^level.

    Examples
    --------
    >>> all(row.passed for row in check_pywavelets("db4"))
    True
    >>> print(format_relations(check_pywavelets("haar"), "haar").splitlines()[0])
    PyWavelets against the causal tree: haar
    """
    wavelet, J = as_wavelet(wavelet), check_int("level", level, 1, 16)
    x = as_signal(np.random.default_rng(0).standard_normal(200) if x is None else x).astype(np.float64)
    if x.ndim != 1 or len(x) < 2**J:
        raise ValueError(f"x must be one signal [N] of at least 2^level = {2**J} samples; got shape {x.shape}")
    return [Relation(name, meaning, worst(check(x, wavelet, J)), tolerance) for name, meaning, tolerance, check in RELATIONS]


def format_relations(rows: list[Relation], wavelet: str) -> str:
    """The rows as a table."""
    lines = [f"PyWavelets against the causal tree: {wavelet}"]
    for row in rows:
        error = "     n/a" if row.error is None else f"{row.error:8.1e}"
        lines.append(f"  {row.name:<2} {error}  (<= {row.tolerance:.0e})  {'ok  ' if row.passed else 'FAIL'}  {row.meaning}")
    return "\n".join(lines)


Pairs = list[tuple[np.ndarray, np.ndarray]]


def worst(pairs: Pairs | None) -> float | None:
    """The largest relative error of all pairs, each relative to the size of its own array.

    NaN, empty arrays and shapes that do not fit count as infinite errors (see `base.agreement.measure`).
    """
    if pairs is None:
        return None
    errors = [measure(p, q, tolerance=np.inf) for p, q in pairs]
    return max((error.relative if error.passed else np.inf for error in errors), default=np.inf)


def tree_zero(x: np.ndarray, wavelet: Wavelet, J: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The layer's tree: (a_1, d_1), ..., (a_J, d_J) with zero history."""
    return pyramid(x, np.array(wavelet.dec_lo), np.array(wavelet.dec_hi), J)


def tree_periodic(x: np.ndarray, wavelet: Wavelet, J: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The tree with indices mod N: a_j[n] = sum_k lo[k] a_{j-1}[(n - 2^(j-1) k) mod N]."""
    levels, a = [], x
    for j in range(1, J + 1):
        shifts = [np.roll(a, 2 ** (j - 1) * k) for k in range(wavelet.dec_len)]
        a, d = (sum(c * s for c, s in zip(taps, shifts, strict=True)) for taps in (wavelet.dec_lo, wavelet.dec_hi))
        levels.append((a, d))
    return levels


def shift(wavelet: Wavelet, j: int) -> int:
    """S_j = (2^j - 1) F / 2."""
    return (2**j - 1) * wavelet.dec_len // 2


def divisible(x: np.ndarray, J: int) -> np.ndarray:
    """The longest beginning of x whose length 2^J divides."""
    return x[: len(x) // 2**J * 2**J]


def swt_levels(x: np.ndarray, wavelet: Wavelet, J: int, **options: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """`pywt.swt`, fine to coarse."""
    import pywt

    return pywt.swt(x, wavelet, J, **options)[::-1]


def check_swt(x: np.ndarray, wavelet: Wavelet, J: int) -> Pairs:
    """A."""
    x = divisible(x, J)
    ours, theirs = tree_periodic(x, wavelet, J), swt_levels(x, wavelet, J)
    return [(np.roll(ours[j][c], -shift(wavelet, j + 1)), theirs[j][c]) for j in range(J) for c in (0, 1)]


def check_swt_norm(x: np.ndarray, wavelet: Wavelet, J: int) -> Pairs | None:
    """A'. Orthogonal wavelets only: PyWavelets warns and does nothing for the others."""
    if not wavelet.orthogonal:
        return None
    x = divisible(x, J)
    ours, theirs = tree_periodic(x, wavelet, J), swt_levels(x, wavelet, J, norm=True)
    return [(np.roll(ours[j][c], -shift(wavelet, j + 1)) * 2 ** (-(j + 1) / 2), theirs[j][c]) for j in range(J) for c in (0, 1)]


def check_swt_padded(x: np.ndarray, wavelet: Wavelet, J: int) -> Pairs:
    """B."""
    N = len(x)
    M = -(-(N + causal_delay(wavelet, J)) // 2**J) * 2**J
    ours, theirs = tree_zero(x, wavelet, J), swt_levels(np.pad(x, (0, M - N)), wavelet, J)
    return [(ours[j][c], np.roll(theirs[j][c], shift(wavelet, j + 1))[:N]) for j in range(J) for c in (0, 1)]


def quiet_wavedec(x: np.ndarray, wavelet: Wavelet, mode: str, J: int) -> list[np.ndarray]:
    """`pywt.wavedec` without its warning that the boundary dominates in short signals: the relations hold there too."""
    import warnings

    import pywt

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Level value of", UserWarning)
        return pywt.wavedec(x, wavelet, mode=mode, level=J)


def check_wavedec_zero(x: np.ndarray, wavelet: Wavelet, J: int) -> Pairs:
    """C: all coefficients, with enough zeros on the right of x."""
    c = quiet_wavedec(x, wavelet, "zero", J)
    padded = np.pad(x, (0, 2**J * (wavelet.dec_len + 1)))
    ours = tree_zero(padded, wavelet, J)
    at = lambda a, j, count: a[2**j * (np.arange(count) + 1) - 1]  # noqa: E731
    return [(at(ours[J - 1][0], J, len(c[0])), c[0])] + [
        (at(ours[j - 1][1], j, len(c[J - j + 1])), c[J - j + 1]) for j in range(1, J + 1)
    ]


def check_wavedec_periodization(x: np.ndarray, wavelet: Wavelet, J: int) -> Pairs:
    """D."""
    x = divisible(x, J)
    N, c = len(x), quiet_wavedec(x, wavelet, "periodization", J)
    ours = tree_periodic(x, wavelet, J)
    index = lambda j: (2**j * np.arange(N // 2**j) + shift(wavelet, j)) % N  # noqa: E731
    details = [(ours[j - 1][1][index(j)], c[J - j + 1]) for j in range(1, J + 1)]
    return [(ours[J - 1][0][index(J)], c[0]), *details]


def check_extensions(x: np.ndarray, wavelet: Wavelet, J: int) -> Pairs:
    """E: level 1 of `pywt.dwt` in every mode that extends the signal, against a convolution of the extended signal."""
    import pywt

    F, pairs = wavelet.dec_len, []
    for mode in EXTENSIONS:
        extended = pywt.pad(x, (F - 1, F), mode)
        cA, cD = pywt.dwt(x, wavelet, mode)
        for taps, c in ((wavelet.dec_lo, cA), (wavelet.dec_hi, cD)):
            ours = np.convolve(taps, extended)[F - 1 :]  # index n of x * taps
            pairs.append((ours[1 : 2 * len(c) : 2], c))
    return pairs


def check_inverse(x: np.ndarray, wavelet: Wavelet, J: int) -> Pairs | None:
    """F, but not for "dmey", whose filter tables do not give perfect reconstruction."""
    if wavelet.name == "dmey":
        return None
    late = causal_delay(wavelet, J)
    back = causal_iswt(tree_zero(np.pad(x, (0, late)), wavelet, J)[::-1], wavelet)
    return [(back, np.pad(x, (late, 0)))]


def check_upcoef(x: np.ndarray, wavelet: Wavelet, J: int) -> Pairs | None:
    """G: `upcoef` and `wavefun` of orthogonal wavelets are the impulse responses reversed."""
    import pywt

    if not wavelet.orthogonal:
        return None
    responses = impulse_responses(np.array(wavelet.dec_lo), np.array(wavelet.dec_hi), J)
    pairs: Pairs = []
    for j, (g, d) in enumerate(responses, start=1):
        pairs += [(g[::-1], pywt.upcoef("a", [1.0], wavelet, level=j)), (d[::-1], pywt.upcoef("d", [1.0], wavelet, level=j))]
        phi, psi, _ = wavelet.wavefun(level=j)
        pairs += [(2 ** (j / 2) * r[::-1], f[1 : 1 + len(r)]) for r, f in ((g, phi), (d, psi))]
    return pairs


def check_mra(x: np.ndarray, wavelet: Wavelet, J: int) -> Pairs | None:
    """H, without building the matrices: T x is a circular convolution, and T' y the correlation with the same column."""
    import pywt

    if not wavelet.orthogonal:
        return None
    x = divisible(x, J)
    delta = np.zeros_like(x)
    delta[0] = 1
    columns, theirs = tree_periodic(delta, wavelet, J), pywt.mra(x, wavelet, level=J, transform="swt")

    def twice(column: np.ndarray, j: int) -> np.ndarray:  # T' T x by FFT: |T^|^2 x^
        return 2.0**-j * np.fft.irfft(np.abs(np.fft.rfft(column)) ** 2 * np.fft.rfft(x), len(x))

    details = [(twice(columns[j - 1][1], j), theirs[J - j + 1]) for j in range(1, J + 1)]
    return [(twice(columns[J - 1][0], J), theirs[0]), *details]


def check_modwt(x: np.ndarray, wavelet: Wavelet, J: int) -> Pairs | None:
    """I, against the MODWT's definition (Percival and Walden): filters g / sqrt 2, periodic, W_j = sum_l h_j[l] x[(n - l) mod N].

    Its wavelet filter is `rec_hi`, its scaling filter `rec_lo`: the reversed decomposition filters of an orthogonal wavelet.
    """
    if not wavelet.orthogonal:
        return None
    x = divisible(x, J)
    reversed_swt = swt_levels(x[::-1], wavelet, J, norm=True)
    V, pairs = x, []
    for j in range(1, J + 1):
        shifts = [np.roll(V, 2 ** (j - 1) * k) for k in range(wavelet.dec_len)]
        W = sum(c * s for c, s in zip(wavelet.rec_hi, shifts, strict=True)) / np.sqrt(2)
        V = sum(c * s for c, s in zip(wavelet.rec_lo, shifts, strict=True)) / np.sqrt(2)
        lag = (2**j - 1) * (wavelet.dec_len // 2 - 1)
        pairs.append((np.roll(reversed_swt[j - 1][1][::-1], lag), W))
    return pairs


Check = Callable[[np.ndarray, "Wavelet", int], Pairs | None]
RELATIONS: list[tuple[str, str, float, Check]] = [
    ("A", "swt is the periodic tree moved left by S_j", EXACT, check_swt),
    ("A'", "swt(norm=True) is that times 2^(-j/2)", EXACT, check_swt_norm),
    ("B", "the causal tree is swt of the padded signal, any length", EARLY, check_swt_padded),
    ("C", "wavedec(mode='zero') is the causal tree at every 2^j-th time", EXACT, check_wavedec_zero),
    ("D", "wavedec(mode='periodization') is the periodic tree, sampled", EXACT, check_wavedec_periodization),
    ("E", "other modes: level 1 is the filter on the extended signal", EXACT, check_extensions),
    ("F", "causal inverse: x delayed by (2^J - 1)(F - 1)", TABLES, check_inverse),
    ("G", "upcoef and wavefun are the impulse responses reversed", EXACT, check_upcoef),
    ("H", "mra(transform='swt') is 2^-j T' T x: zero phase, not causal", EXACT, check_mra),
    ("I", "MODWT details are swt of the reversed signal, moved", EXACT, check_modwt),
]
