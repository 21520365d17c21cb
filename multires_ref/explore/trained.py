"""A trained network as the page shows it: the numbers of its pictures, each computed once for a layer or an example. NumPy only.

Choosing a layer or a channel must change the pictures at once, whatever the size of the network. So everything here works on one
channel, and what belongs to a whole layer or to a whole example is kept: the gains of a layer's channels, and the inputs of all
layers for the few examples that were looked at last.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..authors.load import load_model
from ..base.checks import FLOATS, check_int
from ..memories import memory_matrix
from ..network import Model, NetworkConfig
from ..plots.analysis import row_gains
from ..plots.attribution import margin_gradient, split_by_scale_and_lag
from ..plots.model import Conv, channel_of_layer, convolutions, initial_layers
from ..plots.of_run import Examples, examples_of_run
from ..plots.signal import Signal, signal_in, stand_in
from ..training.checkpoint import about_run
from ..tree import Row, memory

KEPT = 3  # examples whose arrays are kept: of a large network, each takes some ten megabytes
LONGEST = 8192  # samples of a signal that go through the whole network; of a longer one, the first


class Shown(NamedTuple):
    """A signal in front of the network.

    x [d_input, L] or tokens [L]; its title; its samples per second (None: not known); its true class or labels ("": not known).
    """

    x: np.ndarray
    title: str
    rate: float | None
    truth: str


class Passed(NamedTuple):
    """What a signal leaves in the network: the input of each layer [D, L], the last layer's output [D, L], the network's."""

    inputs: list[np.ndarray]
    last: np.ndarray
    output: np.ndarray


@dataclass
class Trained:
    """A model with all that the page says of it.

    Parameters
    ----------
    path : Path
    model : Model
    before : list of Conv, or None
        The layers before training, where the file says how training began.
    examples : Examples or None;  reason : str
        The test examples of the run's task; without them, why there are none.
    labels : tuple of str
        Names of the network's outputs; empty where they are numbers.
    signal : Signal or None;  signal_file : str
        The user's own, shown in place of the examples, and where it is.
    objective : str
        Of the run, such as "classification"; empty where it is not known.
    start : dict
        Seed and dtype of the run, where `before` is known.
    notes : list of str
        What was assumed in reading the file.
    """

    path: Path
    model: Model
    before: list[Conv] | None = None
    examples: Examples | None = None
    reason: str = ""
    labels: tuple[str, ...] = ()
    signal: Signal | None = None
    signal_file: str = ""
    objective: str = ""
    start: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.after = convolutions(self.model.params)
        self._gains: dict[int, np.ndarray] = {}
        self._passed: OrderedDict[int, Passed] = OrderedDict()
        self._parts: OrderedDict[tuple[int, int], tuple[np.ndarray, list[str]]] = OrderedDict()

    @property
    def config(self) -> NetworkConfig:
        """The network's."""
        return self.model.config

    @property
    def count(self) -> int:
        """How many signals can be chosen from."""
        return len(self.examples.test) if self.signal is None and self.examples is not None else 1

    def shown(self, n: int) -> Shown:
        """Signal n: the user's, a test example, or where there are none a stand-in; at most `LONGEST` samples of it."""
        check_int("example", n, 0, self.count - 1)
        truth = ""
        if self.signal is not None:
            x, title, rate = self.signal
        elif self.examples is not None:
            (x, title, rate), truth = self.examples.signal(n), self.examples.truth(n)
        else:
            x, title, rate = stand_in(self.config)
        if x.shape[-1] > LONGEST:
            title += f" (the first {LONGEST:,} of {x.shape[-1]:,} samples)"
        x = x[..., :LONGEST]
        return Shown(x if self.config.encoder == "embedding" else x.astype(self.dtype), title, rate, truth)

    @property
    def dtype(self) -> np.dtype:
        """Of the parameters."""
        return self.model.params["decoder"]["weight"].dtype

    def passed(self, n: int) -> Passed:
        """What signal n leaves in the network."""
        return remembered(self._passed, n, lambda: pass_through(self.model, self.shown(n).x))

    def gains(self, layer: int) -> np.ndarray:
        """`row_gains` of a layer, [D, m + 1]."""
        if layer not in self._gains:
            self._gains[layer] = row_gains(self.after[layer], self.config.J, self.config.tree_select)
        return self._gains[layer]

    def strongest(self, layer: int) -> int:
        """The channel whose output is largest for white noise."""
        return int((self.gains(layer) ** 2).sum(axis=1).argmax())

    def decision(self, n: int, target: int) -> tuple[np.ndarray, list[str]]:
        """`decision_parts` of signal n for a class: [m + 1, R], and the names of its rows."""

        def split() -> tuple[np.ndarray, list[str]]:
            passed = self.passed(n)
            v, c = passed.inputs[-1][None], passed.last[None]
            return split_by_scale_and_lag(self.model, v, margin_gradient(self.model, v, c, target))

        return remembered(self._parts, (n, target), split)

    @property
    def predicts_numbers(self) -> bool:
        """Whether the outputs are numbers to be predicted, and no classes or labels."""
        return self.objective == "regression"

    def output_name(self, c: int) -> str:
        """The name of output c."""
        return self.labels[c] if self.labels else str(c)

    def answer(self, n: int) -> str:
        """What a classifier says of signal n: its class, or the labels whose logits are positive."""
        logits = self.passed(n).output
        if self.objective == "multilabel":
            return ", ".join(self.output_name(int(c)) for c in np.flatnonzero(logits > 0)) or "none of the labels"
        return self.output_name(int(logits.argmax()))


def remembered(kept: OrderedDict, key: Any, compute: Any) -> Any:
    """The value for a key, computed where it is not among the last few that were asked for."""
    if key not in kept:
        kept[key] = compute()
        while len(kept) > KEPT:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]


def pass_through(model: Model, x: np.ndarray) -> Passed:
    """Send one signal x [d_input, L] (tokens [L]) through the network and keep what its layers see."""
    seen: dict[str, np.ndarray] = {}
    output = model(x[None], hook=lambda name, array: seen.__setitem__(name, array))
    last = model.config.n_layers - 1
    inputs = [seen["encoder" if i == 0 else f"blocks.{i - 1}.norm"][0] for i in range(last + 1)]
    return Passed(inputs, seen[f"blocks.{last}.conv"][0], output[0])


def open_trained(path: str | Path, signal_file: str | Path | None = None, rate: float | None = None) -> Trained:
    """The network in a run folder, one of our checkpoints, the authors', or an estimator's file, with what is known of its run.

    Parameters
    ----------
    path : str or Path
    signal_file : str or Path or None;  rate : float or None
        A signal of the user's, shown in place of the run's test examples; see `base.signals.read_signal`.

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        As `load_model`: there is no such file, it cannot be read, or it does not fit its own settings. And if the signal cannot
        be read, or does not fit the network.

    Examples
    --------
    >>> import tempfile
    >>> from multires_ref import NetworkConfig, save_model
    >>> model = Model.init(NetworkConfig(1, 3, 8, 2, max_length=32), np.random.default_rng(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, f"{folder}/model.safetensors")
    ...     trained = open_trained(f"{folder}/model.safetensors")
    >>> trained.before is None, trained.count, trained.passed(0).inputs[1].shape
    (True, 1, (8, 1024))
    """
    path = Path(path)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        model = load_model(path)
    about = about_of(path)
    start = start_in(about)
    before = initial_layers(model.config, start["seed"], start["dtype"]) if start else None
    found = Trained(path, model, before, start=start)
    if signal_file is not None:
        found.signal, found.signal_file = signal_in(signal_file, rate, model.config), str(signal_file)
    found.notes = [str(warning.message) for warning in heard]
    try:
        found.examples = examples_of_run(path, about, model.config)
    except (ValueError, FileNotFoundError, ImportError) as error:
        found.reason = str(error)
    found.labels, found.objective = labels_of(about, found.examples), objective_of(about, found.examples)
    return found


def start_in(about: dict[str, Any]) -> dict[str, Any]:
    """Seed and dtype with which a run began, {"seed": ..., "dtype": ...}; nothing where they are not recorded.

    Examples
    --------
    >>> start_in({"training": {"seed": 3, "dtype": "float32", "epochs": 5}}), start_in({"training": {"seed": -1}})
    ({'seed': 3, 'dtype': 'float32'}, {})
    """
    training = about.get("training")
    if not isinstance(training, dict) or training.get("dtype") not in FLOATS:
        return {}
    seed = training.get("seed")
    return {"seed": seed, "dtype": training["dtype"]} if isinstance(seed, int) and seed >= 0 else {}


def about_of(path: Path) -> dict[str, Any]:
    """What a run wrote into its checkpoint; nothing for other files, PyTorch's among them."""
    return about_run(path) if path.is_dir() or path.suffix == ".safetensors" else {}


def labels_of(about: dict[str, Any], examples: Examples | None) -> tuple[str, ...]:
    """Names of the network's outputs: the task's, or those in an estimator's file; none where they are numbers."""
    if examples is not None:
        return examples.labels
    estimator = about.get("estimator")
    return tuple(map(str, estimator["labels"])) if isinstance(estimator, dict) and "labels" in estimator else ()


def objective_of(about: dict[str, Any], examples: Examples | None) -> str:
    """What the run minimised: its task's objective, or that of the estimator in the file; "" where neither says."""
    if examples is not None:
        return examples.objective
    estimator = about.get("estimator")
    kinds = {"MultiresClassifier": "classification", "MultiresRegressor": "regression"}
    return kinds.get(str(estimator.get("class")), "") if isinstance(estimator, dict) else str(about.get("objective", ""))


def one_channel(conv: Conv, d: int) -> dict[str, Any]:
    """The parameters of channel d of a layer: h0, h1 [K] or untied [J, K], w [m], and w_skip, a number."""
    one = channel_of_layer(conv, d)
    return {"h0": one["h0"][..., 0, :], "h1": one["h1"][..., 0, :], "w": one["w"][0], "w_skip": float(one["w_skip"][0])}


def kernel_by_scale(conv: Conv, d: int, config: NetworkConfig) -> tuple[np.ndarray, list[str], np.ndarray]:
    """What each scale adds to the long kernel of channel d of a layer, [S, R], their names fine to coarse, and the kernel [R].

    The kernel is the sum of the parts and of the skip weight, which stands at lag 0. The uniform memory has several rows of a
    level; their parts are added up.

    Examples
    --------
    >>> conv = {"h0": np.ones((1, 2)), "h1": np.array([[1.0, -1.0]]), "w": np.array([[1.0, 0.0, 2.0]]), "w_skip": np.array([0.5])}
    >>> parts, names, kernel = kernel_by_scale(conv, 0, NetworkConfig(1, 2, 1, 1, max_length=4))
    >>> names, parts[0], kernel
    (['b1', 'b2', 'a2'], array([ 2., -2.,  0.,  0.]), array([ 3.5, -1. ,  1. ,  1. ]))
    """
    one = channel_of_layer(conv, d)
    M, rows = memory_matrix(one["h0"], one["h1"], config.J, config.tree_select, config.m)
    weighted = one["w"][0][:, None] * M[0]
    sums: dict[str, np.ndarray] = {}
    for part, row in reversed(list(zip(weighted, rows, strict=True))):
        if row.kind != "unused":
            name = f"{row.kind}{row.level}"
            sums[name] = sums.get(name, 0) + part
    kernel = weighted.sum(axis=0)
    kernel[0] += one["w_skip"][0]
    return np.stack([*sums.values()]), [*sums], kernel


def memory_of_channel(trained: Trained, n: int, layer: int, d: int) -> tuple[np.ndarray, np.ndarray, list[Row]]:
    """The input v [L] that channel d of a layer has for signal n, the layer's memory z [m, L] of it, and what each row is."""
    config, one = trained.config, channel_of_layer(trained.after[layer], d)
    v = trained.passed(n).inputs[layer][d].astype(np.float64)
    z, rows = memory(v[None], one["h0"], one["h1"], config.J, config.tree_select, config.m)
    return v, z[0], rows


def matrix_of_channel(trained: Trained, layer: int, d: int) -> np.ndarray:
    """M [m, R] with z_n = M p_n for channel d of a layer."""
    config, one = trained.config, channel_of_layer(trained.after[layer], d)
    return memory_matrix(one["h0"], one["h1"], config.J, config.tree_select, config.m)[0][0]
