"""What the classifier and the regressor share: their settings, the data's way into the network, `fit`, and their files."""

from __future__ import annotations

import math
import os
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
from .defaults import network_settings, training_settings
from .learning import Plan, learn
from .saved import load_estimator, save_estimator
from .series import Series, as_series, is_ragged
from .standard import learn_standard

NETWORK = ("d_model", "n_layers", "kernel_size", "depth", "tree_select", "memory_size", "norm", "dropout", "wavelet")
NETWORK += ("filter_order", "tied", "indep_res_init")
TRAINING = ("lr", "batch_size", "weight_decay", "optimizer", "clip", "dtype", "engine")


class NetworkEstimator(BaseEstimator):
    """A MultiresNet that is fitted to series of one or several channels; see `MultiresClassifier` for its parameters."""

    objective: Any  # what is minimised and reported: a `training.objectives.Objective`

    def __init__(
        self, *, d_model=None, n_layers=None, kernel_size=None, depth=None, tree_select="fading", memory_size=None, norm=None,
        dropout=None, wavelet=None, filter_order="analysis", tied=True, indep_res_init=False, max_epochs=None, batch_size=None,
        lr=None, weight_decay=None, optimizer="adamw", clip=None, max_time=None, validation_fraction=0.0, patience=20,
        dtype="float32", engine="auto", device="cpu", random_state=None, verbose=False,
    ):  # fmt: skip
        self.d_model, self.n_layers, self.kernel_size, self.depth = d_model, n_layers, kernel_size, depth
        self.tree_select, self.memory_size, self.norm, self.dropout = tree_select, memory_size, norm, dropout
        self.wavelet, self.filter_order, self.tied, self.indep_res_init = wavelet, filter_order, tied, indep_res_init
        self.max_epochs, self.batch_size, self.lr, self.weight_decay = max_epochs, batch_size, lr, weight_decay
        self.optimizer, self.clip, self.max_time = optimizer, clip, max_time
        self.validation_fraction, self.patience = validation_fraction, patience
        self.dtype, self.engine, self.device = dtype, engine, device
        self.random_state, self.verbose = random_state, verbose

    def _read(self, X: Any, first: bool = False) -> Series:
        """X, checked: in `fit` (`first`) its number of features is kept, and afterwards it is compared with that."""
        series = as_series(X, None if first else len(self.mean_))
        if first:
            self.n_features_in_ = series.width
        elif not is_ragged(X) and np.asarray(X).ndim == 2 and series.width != self.n_features_in_:
            raise ValueError(
                f"X has {series.width} features, but {type(self).__name__} is expecting {self.n_features_in_} features as input. "
                "Series of other lengths than in fit are given as a list of arrays, or as an array [n, channels, L]."
            )
        return series

    def _fit(self, series: Series, y: np.ndarray, d_output: int, strata: np.ndarray | None, weights: np.ndarray | None) -> None:
        """Learn from checked series and targets as the network is to give them."""
        check_device(self.device)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        rng = np.random.default_rng(seed)
        self._standardise(series)
        data = self._split(series, y)
        network, training = self._settings(series, d_output)
        train, val = self._validation_part(data, strata, rng)
        plan = Plan(
            network, training, self.objective, data.take(train), None if val is None else data.take(val),
            check_int("patience", self.patience, 1), self._most_seconds(), None if weights is None else weights[train],
            self.device, not check_bool("verbose", self.verbose),
        )  # fmt: skip
        self.model_, self.history_ = learn(plan, rng)
        self.n_iter_ = len(self.history_)

    def _standardise(self, series: Series) -> None:
        """Keep the mean and the standard deviation of each channel over all samples; a constant channel is only centred."""
        standard = learn_standard(series)
        self.mean_, self.scale_ = standard.mean, 1 / np.where(standard.factor > 0, standard.factor, 1.0)

    def _split(self, series: Series, y: np.ndarray | None = None) -> Split:
        """The standardised series, padded with zeros at their ends to one length, and their true lengths where these differ."""
        L = int(series.lengths.max())
        x = np.zeros((series.count, series.channels, L), self.dtype)
        for row, one in zip(x, series.series(), strict=True):
            row[:, : one.shape[1]] = (one - self.mean_[:, None]) / self.scale_[:, None]
        return Split(x, x if y is None else y, series.lengths if (series.lengths < L).any() else None)

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

    def _validation_part(
        self, data: Split, strata: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Indices of the series that are learned from, and of those that decide which epoch is kept (None: the last epoch)."""
        from sklearn.model_selection import train_test_split

        fraction, everything = check_number("validation_fraction", self.validation_fraction, 0.0, 1.0), np.arange(len(data))
        if fraction == 0.0:
            return everything, None
        return train_test_split(everything, test_size=fraction, stratify=strata, random_state=int(rng.integers(2**31)))

    def _most_seconds(self) -> float:
        """max_time as a number."""
        return math.inf if self.max_time is None else check_number("max_time", self.max_time, 0.0, 1e9)

    def _outputs(self, X: Any) -> np.ndarray:
        """The network's outputs [n, d_output] for series of any lengths."""
        check_is_fitted(self, "model_")
        split = self._split(self._read(X))
        model = self.model_
        if self.device == "gpu":
            model = Model(model.config, tree_to_device(model.params, "gpu"), tree_to_device(model.state, "gpu"))
        return predict(model, split.x, split.lengths, engine=self.engine)

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted estimator to a .safetensors file, whole or not at all: network, labels and standardisation.

        `load` gives it back, and `load_model` reads the network alone. The file keeps the settings too, but no RandomState and no
        weights by label: these take their defaults in a later `fit`.
        """
        check_is_fitted(self, "model_")
        save_estimator(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Any:
        """The estimator that `save` wrote.

        Raises
        ------
        FileNotFoundError
        ValueError
            If the file is damaged, was written by another program, or holds an estimator of another class.
        """
        return load_estimator(cls, path)
