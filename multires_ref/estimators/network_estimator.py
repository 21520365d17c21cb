"""What the classifier and the regressor share: their settings, the data's way into the network, `fit`, and their files."""

from __future__ import annotations

import math
import os
import time
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..base.checks import check_bool, check_int, check_number
from ..network import Model, NetworkConfig
from ..training.config import TrainingConfig
from ..training.data import Split
from ..training.device import check_device, tree_to_device
from ..training.evaluate import predict
from .cross_fitting import Fold, folds
from .defaults import augments, network_settings, training_settings
from .features import MultiresFeatures
from .learning import Plan, learn
from .ridge import features_for, fit_ridge
from .saved import load_estimator, save_estimator
from .series import Series, as_series, is_matrix
from .standard import channel_standard, padded

NETWORK = ("d_model", "n_layers", "kernel_size", "depth", "tree_select", "memory_size", "norm", "dropout", "wavelet")
NETWORK += ("filter_order", "tied", "indep_res_init")
TRAINING = ("lr", "batch_size", "weight_decay", "optimizer", "clip", "dtype", "engine")


class NetworkEstimator(BaseEstimator):
    """Networks that are fitted to series, with features beside them; see `MultiresClassifier` for the parameters."""

    objective: Any  # what is minimised and reported: a `training.objectives.Objective`

    def __init__(
        self, *, d_model=None, n_layers=None, kernel_size=None, depth=None, tree_select="fading", memory_size=None, norm=None,
        dropout=None, wavelet=None, filter_order="analysis", tied=True, indep_res_init=False, max_epochs=None, batch_size=None,
        lr=None, weight_decay=None, optimizer="adamw", clip=None, features=True, augment=None, max_time=None,
        validation_fraction=0.0, patience=20, dtype="float32", engine="auto", device="cpu", random_state=None, verbose=False,
    ):  # fmt: skip
        self.d_model, self.n_layers, self.kernel_size, self.depth = d_model, n_layers, kernel_size, depth
        self.tree_select, self.memory_size, self.norm, self.dropout = tree_select, memory_size, norm, dropout
        self.wavelet, self.filter_order, self.tied, self.indep_res_init = wavelet, filter_order, tied, indep_res_init
        self.max_epochs, self.batch_size, self.lr, self.weight_decay = max_epochs, batch_size, lr, weight_decay
        self.optimizer, self.clip, self.max_time = optimizer, clip, max_time
        self.features, self.augment = features, augment
        self.validation_fraction, self.patience = validation_fraction, patience
        self.dtype, self.engine, self.device = dtype, engine, device
        self.random_state, self.verbose = random_state, verbose

    def _read(self, X: Any, first: bool = False) -> Series:
        """X, checked: in `fit` (`first`) its number of features is kept, and afterwards it is compared with that."""
        series = as_series(X, None if first else len(self.mean_))
        if first:
            self.n_features_in_ = series.width
        elif self.n_features_in_ != len(self.mean_) and is_matrix(X) and series.width != self.n_features_in_:
            raise ValueError(
                f"X has {series.width} features, but {type(self).__name__} is expecting {self.n_features_in_} features as input. "
                "Series of other lengths than in fit are given as a list of arrays, or as an array [n, channels, L]."
            )
        return series

    def _fit(self, series: Series, y: np.ndarray, d_output: int, strata: np.ndarray | None, weights: np.ndarray | None) -> None:
        """Learn from checked series and targets as the networks are to give them."""
        check_device(self.device)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
        self._standardise(series)
        data = self._split(series, y)
        combined = self._use_features() and len(data) > 1  # of one series, none is left to learn from when it is left out
        plan = self._plan(data, *self._settings(series, d_output), weights)
        parts = folds(len(data), strata, rng) if combined else [(np.arange(len(data)), np.arange(0))]
        self.models_, self.history_ = self._networks(plan, parts, strata, rng)
        self.model_, self.n_iter_ = self.models_[0], max(line["epoch"] for line in self.history_) if self.history_ else 0
        self.ridge_ = None
        if combined:
            self._combine(series, data, parts, weights, int(rng.integers(2**31)))

    def _use_features(self) -> bool:
        """Whether ridge regression on features stands beside the networks."""
        if isinstance(self.features, MultiresFeatures):
            return True
        if not isinstance(self.features, (bool, np.bool_)):
            raise TypeError(f"features must be True, False or a MultiresFeatures; got {self.features!r}")
        return bool(self.features)

    def _networks(
        self, plan: Plan, parts: list[Fold], strata: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[list[Model], list[dict[str, float]]]:
        """A network for each part, and the epochs of all of them; each may take the same share of the time that is left."""
        models, history, end = [], [], time.monotonic() + self._most_seconds()
        for k, (learned_from, _) in enumerate(parts):
            train, val = self._validation_part(learned_from, strata, rng)
            share = max((end - time.monotonic()) / (len(parts) - k), 0.0)
            model, epochs = learn(plan.of(train, val, share), rng)
            models.append(model)
            history += epochs if len(parts) == 1 else [{"network": k + 1} | line for line in epochs]
        return models, history

    def _combine(self, series: Series, data: Split, parts: list[Fold], weights: np.ndarray | None, seed: int) -> None:
        """Fit the features' ridge regression, and the weights of networks and features by the series that each has not seen."""
        X, targets = [*series.series()], self._ridge_targets(data.y)
        self.ridge_, left_out = fit_ridge(features_for(len(X), self.features, seed), X, targets, weights)
        outputs, held_out = [], np.concatenate([held_out for _, held_out in parts])
        for model, (_, unseen) in zip(self.models_, parts, strict=True):
            part = data.take(unseen)
            outputs.append(self._network_outputs(model, part) if len(part) else np.empty((0, model.config.d_output)))
        self.weights_ = np.ones(2)
        if len(held_out):
            self.weights_ = self._weights(np.concatenate(outputs), left_out[held_out], data.y[held_out])

    def _standardise(self, series: Series) -> None:
        """Keep the mean and the standard deviation of each channel over all samples; a constant channel is only centred."""
        self.mean_, self.scale_ = channel_standard(series)

    def _split(self, series: Series, y: np.ndarray | None = None) -> Split:
        """The standardised series, padded with zeros at their ends to one length, and their true lengths where these differ."""
        x, lengths = padded(series, self.mean_, self.scale_, self.dtype)
        return Split(x, x if y is None else y, lengths)

    def _settings(self, series: Series, d_output: int) -> tuple[NetworkConfig, TrainingConfig]:
        """The network's and the training's settings: those that were given, and the rules of `defaults` for the others."""
        length = int(series.lengths.max())
        given = {name: value for name in (*NETWORK, *TRAINING) if (value := getattr(self, name)) is not None}
        if self.wavelet is not None and self.kernel_size is None:
            from ..base.layer_checks import as_wavelet

            given["kernel_size"] = as_wavelet(self.wavelet).dec_len
        network = network_settings(series.count, series.channels, length) | {k: v for k, v in given.items() if k in NETWORK}
        training = training_settings(series.count) | {k: v for k, v in given.items() if k in TRAINING}
        if self.max_epochs is not None:
            training["epochs"] = check_int("max_epochs", self.max_epochs, 1)
        config = NetworkConfig(d_input=series.channels, d_output=d_output, max_length=length, **network)
        return config, TrainingConfig(**training)

    def _plan(self, data: Split, network: NetworkConfig, training: TrainingConfig, weights: np.ndarray | None) -> Plan:
        """What a network learns from all of the data."""
        augmented = augments(len(data), self.objective.name) if self.augment is None else check_bool("augment", self.augment)
        quiet, patience = not check_bool("verbose", self.verbose), check_int("patience", self.patience, 1)
        return Plan(
            network, training, self.objective, data, None, patience, math.inf, weights, self.device, quiet, augmented
        )  # fmt: skip

    def _validation_part(
        self, learned_from: np.ndarray, strata: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Indices of the series that are learned from, and of those that decide which epoch is kept (None: the last epoch)."""
        from sklearn.model_selection import train_test_split

        fraction = check_number("validation_fraction", self.validation_fraction, 0.0, 1.0)
        if fraction == 0.0:
            return learned_from, None
        stratify = None if strata is None else strata[learned_from]
        return train_test_split(learned_from, test_size=fraction, stratify=stratify, random_state=int(rng.integers(2**31)))

    def _most_seconds(self) -> float:
        """max_time as a number."""
        return math.inf if self.max_time is None else check_number("max_time", self.max_time, 0.0, 1e9)

    def _outputs(self, X: Any) -> np.ndarray:
        """The outputs [n, d_output] in float64 for series of any lengths: the networks' mean, and the features' beside it."""
        check_is_fitted(self, "model_")
        series = self._read(X)
        data = self._split(series)
        outputs = sum(self._network_outputs(model, data).astype(np.float64) for model in self.models_) / len(self.models_)
        if self.ridge_ is None:
            return outputs
        a, b = self.weights_
        return a * outputs + b * self.ridge_.outputs([*series.series()])

    def _network_outputs(self, model: Model, data: Split) -> np.ndarray:
        """One network's outputs, on the estimator's device."""
        if self.device == "gpu":
            model = Model(model.config, tree_to_device(model.params, "gpu"), tree_to_device(model.state, "gpu"))
        return predict(model, data.x, data.lengths, engine=self.engine)

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted estimator to a .safetensors file, whole or not at all: network, labels and standardisation.

        `load` gives it back, and `load_model` reads the network alone. The file keeps the settings too, but no RandomState and no
        weights by label: these take their defaults in a later `fit`.
        """
        check_is_fitted(self, "model_")
        save_estimator(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Any:
        """The estimator that `save` wrote, or that a run of ``multires-ref train FILE`` keeps in its folder or its checkpoints.

        Raises
        ------
        FileNotFoundError
        ValueError
            If the file is damaged, was written by another program, or holds an estimator of another class.
        """
        return load_estimator(cls, path)
