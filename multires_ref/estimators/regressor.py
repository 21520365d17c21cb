"""`MultiresRegressor`: a MultiresNet with `fit` and `predict`, for one or several numbers per series."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length

from ..training.objectives import get_objective
from .cross_fitting import weights_of_numbers
from .network_estimator import NetworkEstimator


class MultiresRegressor(RegressorMixin, NetworkEstimator):
    """MultiresNets beside `MultiresFeatures` as a regressor of series, with scikit-learn's habits.

    The networks and the ridge regression on features beside them are those of `MultiresClassifier`, with an output for each
    target. The networks minimise the mean squared error of the standardised targets; the two weights of the sum, which are not
    below 0, have the smallest squared error for series that neither had learnt from.

    Parameters
    ----------
    All but `class_weight` as for `MultiresClassifier`; the validation part is drawn at random.

    Attributes
    ----------
    models_, model_, ridge_, weights_, history_, mean_, scale_, n_features_in_ : as for `MultiresClassifier`
    one_target_ : bool
        Whether y was [n] in `fit`.
    y_mean_, y_scale_ : arrays [targets]
        What is subtracted from each target, and what it is divided by then.

    Notes
    -----
    X as for `MultiresClassifier`; y are numbers [n] or [n, targets], and predictions have y's shape.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.uniform(1, 3, 60)
    >>> X = y[:, None] * np.sin(np.arange(32)) + 0.1 * rng.standard_normal((60, 32))  # y is the size of the wave
    >>> regressor = MultiresRegressor(d_model=8, n_layers=1, max_epochs=40, features=False, random_state=0).fit(X, y)
    >>> bool(regressor.score(X, y) > 0.9)  # the coefficient of determination R^2
    True
    """

    objective = get_objective("regression")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> MultiresRegressor:
        """Learn the targets.

        Raises
        ------
        TypeError, ValueError, NonFiniteLoss
            As `MultiresClassifier.fit` does.
        """
        if y is None:
            raise ValueError("This MultiresRegressor estimator requires y to be passed, but the target y is None")
        series = self._read(X, first=True)
        y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y").astype(np.float64)
        if y.ndim > 2:
            raise ValueError(f"y must be numbers [n] or [n, targets]; got shape {y.shape}")
        check_consistent_length(np.empty(series.count), y)
        self.one_target_ = y.ndim == 1
        targets = y.reshape(len(y), -1)
        self.y_mean_, self.y_scale_ = targets.mean(axis=0), targets.std(axis=0)
        self.y_scale_[self.y_scale_ == 0] = 1.0
        self._fit(series, ((targets - self.y_mean_) / self.y_scale_).astype(self.dtype), targets.shape[1], None, None)
        return self

    def _ridge_targets(self, targets: np.ndarray) -> np.ndarray:
        """The standardised targets as they are, [n, targets]."""
        return targets.astype(np.float64)

    _weights = staticmethod(weights_of_numbers)

    def predict(self, X: Any) -> np.ndarray:
        """The targets, [n] or [n, targets], as y was in `fit`."""
        y = self._outputs(X) * self.y_scale_ + self.y_mean_
        return y[:, 0] if self.one_target_ else y
