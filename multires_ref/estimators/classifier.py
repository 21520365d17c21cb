"""`MultiresClassifier`: a MultiresNet with `fit` and `predict`, for labels of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from ..training.objectives import get_objective
from .cross_fitting import weights_of_logits
from .network_estimator import NetworkEstimator


class MultiresClassifier(ClassifierMixin, NetworkEstimator):
    """MultiresNets beside `MultiresFeatures` as a classifier of series, with scikit-learn's habits.

    The network is that of the paper: a linear map of the channels to `d_model`, `n_layers` blocks of a multiresolution layer and
    channel mixing, the mean over time, and a linear map to the classes. It minimises the cross-entropy. Beside it stands ridge
    regression on `MultiresFeatures`, which needs few series to learn from. The logits are

        a (mean of the networks' outputs) + b (the ridge regression's outputs),

    and a and b are chosen by the cross-entropy of outputs for series that each of the two had not learnt from: the network by
    cross-fitting (see `estimators.cross_fitting`), the ridge regression by leaving one out. ``features=False`` trains one network
    on all series, and nothing beside it.

    Parameters
    ----------
    d_model, n_layers, kernel_size, norm, dropout : see `NetworkConfig`
        None takes the value that `estimators.defaults` gives for the shape and number of the training series.
    depth, tree_select, memory_size, wavelet, filter_order, tied, indep_res_init : see `NetworkConfig`
    max_epochs, batch_size, lr, weight_decay : see `TrainingConfig`; None as above
    optimizer, clip, dtype, engine : see `TrainingConfig`
    features : bool or MultiresFeatures
        Whether ridge regression on features stands beside the networks; features with settings of their own are copied.
    augment : bool or None
        Whether the networks' training series are changed a little at random (see `estimators.augmentation`). None: for fewer than
        1,000 series.
    max_time : float or None
        Seconds after which the networks' training ends with the step in progress; the features take their time beside it.
    validation_fraction : float
        This share of the training series, stratified by class, decides which epoch's network is kept. 0 keeps the last epoch.
    patience : int
        With a validation part, training ends after this many epochs without a better score.
    class_weight : dict, "balanced" or None
        How often the series of each class are drawn in training, relative to the other classes'. None draws every series once in
        an epoch. "balanced" draws all classes equally often.
    device : "cpu" or "gpu"
    random_state : int, numpy.random.RandomState or None
        Initial parameters, order of the data, dropout and the validation part follow from it. An int gives the same network bit
        for bit on one machine.
    verbose : bool
        Show a progress bar with the loss and the validation score.

    Attributes
    ----------
    classes_ : array of the labels, sorted
    models_ : list of Model
        The trained networks: three up to 1,000 series, otherwise one. ``features=False``, or fewer than 10 series: one.
    model_ : Model
        The first of them, for `multires_ref`'s other functions.
    ridge_ : RidgeOnFeatures or None
        The features and their linear map.
    weights_ : array [2]
        a and b; with `ridge_` only.
    history_ : list of dict
        The losses, and the scores of the validation part, of each epoch of each network.
    mean_, scale_ : arrays [channels]
        What is subtracted from each channel, and what it is divided by then.
    n_features_in_ : int
        X.shape[1] in `fit`: the length of series [n, L], the number of channels of series [n, channels, L] and of lists.

    Notes
    -----
    X is an array [n, L] or [n, channels, L], or a list of n arrays [L_i] or [channels, L_i] of unequal lengths. Numbers that are
    neither float32 nor float64 are converted to float64; the network computes in `dtype`. The series to predict may have other
    lengths than those of `fit`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((40, 32)) + np.outer(np.repeat([0, 1], 20), np.sin(np.arange(32)))
    >>> y = np.repeat(["noise", "wave"], 20)
    >>> classifier = MultiresClassifier(d_model=8, n_layers=1, max_epochs=5, random_state=0).fit(X, y)
    >>> classifier.predict(X[[0, -1]])
    array(['noise', 'wave'], dtype='<U5')
    """

    objective = get_objective("classification")

    def __init__(
        self, *, d_model=None, n_layers=None, kernel_size=None, depth=None, tree_select="fading", memory_size=None, norm=None,
        dropout=None, wavelet=None, filter_order="analysis", tied=True, indep_res_init=False, max_epochs=None, batch_size=None,
        lr=None, weight_decay=None, optimizer="adamw", clip=None, features=True, augment=None, max_time=None,
        validation_fraction=0.0, patience=20, class_weight=None, dtype="float32", engine="auto", device="cpu",
        random_state=None, verbose=False,
    ):  # fmt: skip
        super().__init__(
            d_model=d_model, n_layers=n_layers, kernel_size=kernel_size, depth=depth, tree_select=tree_select,
            memory_size=memory_size, norm=norm, dropout=dropout, wavelet=wavelet, filter_order=filter_order, tied=tied,
            indep_res_init=indep_res_init, max_epochs=max_epochs, batch_size=batch_size, lr=lr, weight_decay=weight_decay,
            optimizer=optimizer, clip=clip, features=features, augment=augment, max_time=max_time,
            validation_fraction=validation_fraction, patience=patience,
            dtype=dtype, engine=engine, device=device, random_state=random_state, verbose=verbose,
        )  # fmt: skip
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any) -> MultiresClassifier:
        """Learn to tell the classes apart.

        Raises
        ------
        TypeError, ValueError
            For series or labels that do not fit together, for numbers that are not finite, or for a setting that is wrong by
            itself or beside the others; the message names it.
        NonFiniteLoss
            If the loss becomes NaN or infinite: try a lower `lr`.
        """
        if y is None:
            raise ValueError("This MultiresClassifier estimator requires y to be passed, but the target y is None")
        series, y = self._read(X, first=True), column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        check_consistent_length(np.empty(series.count), y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold at least two classes; got only one class: {self.classes_[0]!r}")
        weights = None
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)[codes]
        self._fit(series, codes, len(self.classes_), codes, weights)
        return self

    def _ridge_targets(self, codes: np.ndarray) -> np.ndarray:
        """1 for a series' class and -1 for the others, [n, classes]."""
        return np.where(codes[:, None] == np.arange(len(self.classes_)), 1.0, -1.0)

    _weights = staticmethod(weights_of_logits)

    def decision_function(self, X: Any) -> np.ndarray:
        """The logits: [n, classes], or for two classes [n], the second's less the first's."""
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, [n, classes]: the softmax of the logits."""
        from scipy.special import softmax

        return softmax(self._outputs(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """The label of the largest logit, [n]."""
        chosen = self._outputs(X).argmax(axis=1)
        return self.classes_[chosen]
