"""Ridge regression on `MultiresFeatures`, with what it says of each training series when it has learnt from all others."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from .features import MultiresFeatures

ALPHAS = np.logspace(-3, 3, 10)  # as for MiniRocket; leave-one-out chooses
MOST_NUMBERS = 10**8  # of features of all series together: 800 MB


class RidgeOnFeatures(NamedTuple):
    """Fitted features and a linear map of them: outputs = features coef^T + intercept."""

    features: MultiresFeatures
    coef: np.ndarray  # [outputs, features] float64
    intercept: np.ndarray  # [outputs] float64

    def outputs(self, X: Any) -> np.ndarray:
        """The outputs of series, [n, outputs]."""
        return self.features.transform(X) @ self.coef.T + self.intercept


def features_for(n: int, given: MultiresFeatures | bool, seed: int) -> MultiresFeatures:
    """Features that are not fitted yet: a copy of the given ones, or the default ones, fewer where there are very many series."""
    if isinstance(given, MultiresFeatures):
        return clone(given)
    return MultiresFeatures(n_features=max(9, min(10_000, MOST_NUMBERS // n)), random_state=seed)


def fit_ridge(
    features: MultiresFeatures, X: list[np.ndarray], targets: np.ndarray, weights: np.ndarray | None
) -> tuple[RidgeOnFeatures, np.ndarray]:
    """Fit features and ridge regression to series and targets [n, outputs]; returns them and the leave-one-out outputs.

    The features are standardised first. The penalty is the one of ALPHAS with the smallest squared leave-one-out error.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = list(rng.standard_normal((20, 1, 16)) * np.arange(1, 21)[:, None, None])
    >>> ridge, left_out = fit_ridge(MultiresFeatures(n_features=99, random_state=0), X, np.arange(20.0)[:, None], None)
    >>> ridge.outputs(X).shape, left_out.shape
    ((20, 1), (20, 1))
    """
    scaler = StandardScaler()
    table = scaler.fit_transform(features.fit(X).transform(X).astype(np.float64))
    ridge = RidgeCV(ALPHAS, scoring="neg_mean_squared_error", store_cv_results=True).fit(table, targets, sample_weight=weights)
    left_out = ridge.cv_results_.reshape(*targets.shape, len(ALPHAS))[..., np.flatnonzero(ridge.alpha_ == ALPHAS)[0]]
    coef = ridge.coef_.reshape(targets.shape[1], -1) / scaler.scale_
    return RidgeOnFeatures(features, coef, ridge.intercept_ - coef @ scaler.mean_), left_out
