"""Numbers as targets: the loss, the score, the checks, and a whole run."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from multires_ref import NetworkConfig
from multires_ref.commands.evaluate import details, lines
from multires_ref.ops.squared_error import squared_error
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split, check_splits
from multires_ref.training.loop import fit
from multires_ref.training.objectives import get_objective, r_squared

NETWORK = NetworkConfig(d_input=1, d_output=2, d_model=8, n_layers=1, max_length=16)


def data(rng, n=40):
    """Waves [n, 1, 16], whose size and mean are the targets [n, 2]."""
    y = rng.uniform(-1, 1, (n, 2))
    x = y[:, :1] * np.sin(np.arange(16)) + y[:, 1:]
    return Split(x[:, None].astype("float32"), y.astype("float32"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loss_is_the_mean_square(dtype, rng):
    out, targets = rng.standard_normal((2, 5, 3)).astype(dtype)
    loss = squared_error(out, targets)
    assert loss.dtype == dtype
    np.testing.assert_allclose(loss, np.square(out - targets).mean(), rtol=1e-6 if dtype == "float32" else 1e-14)


def test_the_score_is_scikit_learns(rng):
    out, targets = rng.standard_normal((2, 30, 3))
    assert r_squared(out, targets) == pytest.approx(r2_score(targets, out), rel=1e-12)
    assert r_squared(targets, targets) == 1.0
    same = np.ones((4, 1))
    assert (r_squared(same, same), r_squared(same + 1, same)) == (r2_score(same, same), r2_score(same, same + 1))


def test_a_run_learns_and_resumes(rng, tmp_path):
    splits = {name: data(rng) for name in ("train", "val", "test")}
    training = TrainingConfig(epochs=30, batch_size=10, lr=0.02)
    metrics = fit(NETWORK, training, splits, get_objective("regression"), tmp_path / "run", quiet=True)
    assert metrics["test_r2"] > 0.5
    again = fit(NETWORK, training, splits, get_objective("regression"), tmp_path / "run", quiet=True, resume=True)
    assert again["test_r2"] == metrics["test_r2"]


@pytest.mark.parametrize(
    "targets", [np.zeros(40, np.float32), np.zeros((40, 3), np.float32), np.zeros((40, 2), int), np.full((40, 2), np.nan)]
)
def test_targets_that_do_not_fit_are_refused(targets, rng):
    splits = dict.fromkeys(("train", "val", "test"), Split(data(rng).x, targets))
    with pytest.raises(ValueError, match=r"train: y must be finite floats of shape \(40, 2\); got"):
        check_splits(NETWORK, splits, "regression")


def test_an_autoregressive_network_is_refused(rng, tmp_path):
    network = NetworkConfig(d_input=1, d_output=30, d_model=8, n_layers=1, max_length=16, kind="autoregressive")
    splits = dict.fromkeys(("train", "val", "test"), data(rng))
    with pytest.raises(ValueError, match="kind must be 'classifier' for regression"):
        fit(network, TrainingConfig(1, 10, 0.1), splits, get_objective("regression"), tmp_path / "run")


def test_evaluate_says_the_mean_absolute_error_of_each_target():
    out, targets = np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([[0.0, 2.0], [1.0, 1.0]])
    report = {"loss": 0.1, "r2": 0.5} | details("regression", ("size", "mean"), out, targets)
    assert report["mae"] == {"size": 1.5, "mean": 0.5}
    assert lines(report, "r2")[1:] == ["  size         mean absolute error 1.5", "  mean         mean absolute error 0.5"]
