"""`MultiresFeatures`: series in, features out, for any classifier or regressor of scikit-learn; nothing is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..base.checks import check_choice, check_int
from ..base.compiled import numba_works, require_numba
from ..base.layer_checks import MAX_DEPTH
from .bank import Bank, draw_bank
from .quantiles import learn_thresholds
from .series import Series, as_series
from .standard import learn_standard, standardised
from .summaries import SUMMARIES, by_length, rows_of, summarise

ENGINES = ("auto", "tree", "fused")
SAMPLED = 20  # the quantiles are learnt from at most so many series


class MultiresFeatures(TransformerMixin, BaseEstimator):
    """Summaries over time of every scale's coefficients, for use before any scikit-learn estimator. Nothing is trained.

    Causal wavelet trees with fixed filters run over each series and over its differences. Of every row of coefficients, a_i and
    b_i of a tree, nine numbers are kept: the shares of time above five quantiles, the maximum and the minimum, the longest
    stretch of time above one of the quantiles, and how often the row crosses the middle one. They are meant for a linear
    classifier, after a `StandardScaler`; the example shows one.

    Parameters
    ----------
    filters : "random", str, list or array, default="random"
        "random" draws pairs of 2 to 9 taps with `random_state`. Otherwise the name of a wavelet, a list of names, a pair (h0, h1)
        of filters [K] in lag order, an array of pairs [P, 2, K], or a list that mixes names and pairs.
    n_features : int, default=10_000
        How many features there are at most: trees are added until the next one would be too much. Filters of your own are all
        used, whatever this number is; with several channels, they are used on different sums of channels until it is reached.
    level : int or None, default=None
        How many levels a tree has at most. None: as many as its top level needs to see the whole of the longest series of fit.
    engine : "auto", "tree" or "fused", default="auto"
        "tree" is plain NumPy, "fused" is compiled by Numba and much faster; "auto" takes "fused" where Numba is installed.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default=None
        Draws the random filters, the channels that are summed up, and the series that the quantiles are learnt from.

    Attributes
    ----------
    n_features_in_ : int
        `X.shape[1]` in fit: samples for X [n, L], channels for X [n, channels, L]. Of a list, the number of channels.
    n_channels_in_ : int
        The number of channels, which must be the same in transform. Lengths may differ.
    length_ : int
        The length of the longest series in fit.
    lengths_differ_ : bool
        Whether the series in fit differed in length: then shares of time are counted as times (see Notes).
    bank_ : Bank
        The trees: their filters, spacings, levels and channels.
    standard_ : Standard
        Mean and factor of each channel.
    thresholds_ : array [rows, 5]
        The quantiles of each row of coefficients.

    Notes
    -----
    Each channel is standardised with the mean and standard deviation that it has over all series in fit. X of float32 gives
    float32 features and X of float64 gives float64; integers and booleans count as float64. Of series of unequal lengths only the
    true samples are looked at; and if the series in fit differ in length, what is otherwise a share of the row's time is counted
    in parts of the longest series, so that it also tells how long a series is. What is made of a series does not depend on the
    series beside it.

    `multires_ref.estimators.bank` says how the filters are drawn, and `multires_ref.estimators.summaries` what is computed.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import RidgeClassifierCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 20)
    >>> X = np.sin(np.arange(100) * (0.5 + 0.1 * y[:, None])) + 0.5 * rng.normal(size=(40, 100))  # two frequencies, in noise
    >>> features = MultiresFeatures(n_features=1000, random_state=0)
    >>> classifier = make_pipeline(features, StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)))
    >>> classifier.fit(X[::2], y[::2]).score(X[1::2], y[1::2])
    1.0
    """

    def __init__(
        self,
        filters: Any = "random",
        *,
        n_features: int = 10_000,
        level: int | None = None,
        engine: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.filters = filters
        self.n_features = n_features
        self.level = level
        self.engine = engine
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> MultiresFeatures:
        """Draw the trees, and learn the standardisation and the quantiles.

        Parameters
        ----------
        X : array [n, L] or [n, channels, L], or list of arrays [L_i] or [channels, L_i]
            The series: float32, float64 or integers, finite.
        y : ignored

        Returns
        -------
        self
        """
        compiled = self._compiled()
        most = check_int("n_features", self.n_features, len(SUMMARIES)) // len(SUMMARIES)
        level = None if self.level is None else check_int("level", self.level, 1, MAX_DEPTH)
        rng, series = as_generator(self.random_state), as_series(X)
        self.n_features_in_, self.n_channels_in_, self.length_ = series.width, series.channels, int(series.lengths.max())
        self.lengths_differ_ = bool((series.lengths != series.lengths[0]).any())
        self.standard_ = learn_standard(series)
        self.bank_ = draw_bank(self.filters, series.channels, self.length_, level, most, rng)
        some = series.some(np.sort(rng.permutation(series.count)[:SAMPLED]))
        self.thresholds_ = learn_thresholds(self.bank_, some, standardised(some, self.standard_), compiled)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The features of each series.

        Parameters
        ----------
        X : as for fit; with as many channels, of any lengths

        Returns
        -------
        array [n, features], float32 for X of float32, else float64
        """
        check_is_fitted(self)
        series = as_series(X, self.n_channels_in_)
        thresholds = self.thresholds_.astype(series.flat.dtype)
        longer = self.length_ / series.lengths if self.lengths_differ_ else np.ones(series.count)
        flat = standardised(series, self.standard_)
        return all_summaries(self.bank_, thresholds, series, flat, longer, self._compiled()).reshape(series.count, -1)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The name of every feature, such as "tree7_b3_longest": the tree, the coefficients and the summary.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        array [features] of str
        """
        check_is_fitted(self)
        rows = [f"tree{p}_{'ab'[kind]}{level}" for p, level, kind in self.bank_.rows()]
        return np.array([f"{row}_{summary}" for row in rows for summary in SUMMARIES], dtype=object)

    def _compiled(self) -> bool:
        """Whether Numba's loops are to be used."""
        if check_choice("engine", self.engine, ENGINES) == "fused":
            require_numba("engine 'fused'")
        return self.engine != "tree" and numba_works()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags


def all_summaries(
    bank: Bank, thresholds: np.ndarray, X: Series, flat: np.ndarray, longer: np.ndarray, compiled: bool
) -> np.ndarray:
    """The summaries of all rows of all series, [n, rows, 9]; `longer` [n] is L_max / L where lengths count, else 1."""
    if compiled:
        from .features_numba import run

        return run(X, flat, bank, thresholds, longer, 0)
    out = np.empty((X.count, len(thresholds), len(SUMMARIES)), flat.dtype)
    for which, inputs in by_length(X, flat):
        for r, ((p, _, _), row) in enumerate(zip(bank.rows(), rows_of(bank, inputs), strict=True)):
            out[which, r] = summarise(row, thresholds[r], p, row.shape[1] * longer[which[0]])
    return out


def as_generator(random_state: Any) -> np.random.Generator:
    """A generator from what scikit-learn calls a random state.

    Raises
    ------
    TypeError, ValueError
        For anything but a whole number of at least 0, a Generator, a RandomState or None.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31 - 1))
    return np.random.default_rng(None if random_state is None else check_int("random_state", random_state, 0))
