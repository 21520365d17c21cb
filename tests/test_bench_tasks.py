"""The benchmarks of sampling and of the paper's settings: that they compare equals and count rightly. No timing is asserted."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest

from multires_ref.bench import paper, training_step
from multires_ref.bench import sample as bench_sample
from multires_ref.network.config import mixture_channels
from multires_ref.ops.mixture_nll import mixture_nll
from multires_ref.tasks import get_task


def parsed(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return parser.parse_args(words)


def test_sampling_benchmark(tmp_path, capsys):
    words = ["--layers", "2", "--width", "8", "--length", "20", "--n", "1", "2", "--positions", "3", "--no-torch"]
    assert bench_sample.run(parsed(bench_sample, *words, "--out", str(tmp_path / "out.json"))) == 0
    assert '"n_layers": "2 of 48"' in capsys.readouterr().out
    one, two = json.loads((tmp_path / "out.json").read_text())
    assert (one["images"], two["images"]) == (1, 2)
    rows = one["rows"]
    assert (rows["streaming"]["pixels_timed"], rows["recompute (NumPy)"]["pixels_timed"]) == (20, 3)
    assert rows["recompute (NumPy)"]["ratio"] == pytest.approx(
        rows["recompute (NumPy)"]["seconds"] / rows["streaming"]["seconds"]
    )


def test_sampling_benchmark_refuses_implementations_that_disagree():
    from multires_ref import Model

    config = replace(get_task("cifar10-density").network, n_layers=1, d_model=4, max_length=10)
    model = Model.init(config, np.random.default_rng(0))
    with pytest.raises(ValueError, match="wrong and streaming disagree"):
        bench_sample.check_outputs(model, {"wrong": lambda x: 1.01 * model(x)}, n=1)


@pytest.mark.parametrize("name", paper.SETTINGS)
def test_both_sides_take_the_same_steps(name):
    """Without dropout and from the same parameters, our step and PyTorch's have the same losses."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from multires_ref import Model
    from multires_ref.authors.torch_model import to_torch
    from multires_ref.network import apply
    from multires_ref.training.objectives import get_objective

    task = get_task(name)
    network = replace(task.network, n_layers=1, d_model=6, max_length=40, dropout=0.0)
    batch = training_step.random_batch(network, task)
    model = Model.init(network, np.random.default_rng(0))
    ours = get_objective(task.objective, network).loss(
        apply(network, model.params, model.state, batch.x, batch.lengths, training=True)[0], batch.y
    )
    lengths = None if batch.lengths is None else torch.from_numpy(batch.lengths)
    out = to_torch(model).train()(torch.from_numpy(batch.x), lengths)
    theirs = training_step.torch_loss(task.objective, network)(out, torch.from_numpy(batch.y))
    np.testing.assert_allclose(float(ours), float(theirs.detach()), rtol=1e-5)


@pytest.mark.parametrize("side", ["ours", "torch"])
def test_steps_lower_the_loss(side):
    if side == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    task = get_task("scifar10")
    network = replace(task.network, n_layers=1, d_model=6, max_length=40, dropout=0.0)
    one_step = {"ours": training_step.our_step, "torch": training_step.torch_step}[side](
        network, task, training_step.random_batch(network, task)
    )
    losses = [one_step() for _ in range(10)]
    assert losses[-1] < losses[0]


def test_two_numbers_of_layers_are_carried_on(monkeypatch):
    """A step of 1 s and 0.5 s a layer: 48 layers take 25 s, and an epoch 750 such steps."""
    monkeypatch.setattr(
        paper, "step", lambda name, side, layers, args: {"seconds": 1 + 0.5 * layers, "peak_gib": 2.0, "versions": "v"}
    )
    row = paper.measure("cifar10-density", "ours", parsed(paper))
    assert (row["layers"], row["fewer_layers"], row["paper_seconds"]) == (4, 2, 25)
    assert row["epoch_hours"] == pytest.approx(25 * 750 / 3600)
    assert "4 of 48" in paper.line(row)
    other = paper.measure("cifar10-density", "torch", parsed(paper))
    assert any("1.0 times as long" in text for text in paper.notes([row, other]))


def test_layers_are_halved_until_they_fit(monkeypatch):
    def step(name, side, layers, args):
        return {"error": "memory"} if layers > 3 else {"seconds": float(layers), "peak_gib": 1.0, "versions": "v"}

    monkeypatch.setattr(paper, "step", step)
    row = paper.measure("scifar10", "torch", parsed(paper))
    assert (row["layers"], row["paper_seconds"]) == (2, 10)
    monkeypatch.setattr(paper, "step", lambda *args: {"error": "no result within 1 s"})
    assert "no result within 1 s" in paper.line(paper.measure("scifar10", "torch", parsed(paper)))


@pytest.mark.parametrize(("colours", "n_values"), [(1, 17), (3, 256)])
def test_mixture_in_pytorch(colours, n_values):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from multires_ref.authors.torch_operations import mixture_nll as theirs

    rng = np.random.default_rng(0)
    out = rng.standard_normal((2, mixture_channels(4, colours), 9)) * 3
    x = rng.integers(0, n_values, (2, colours, 9)) / (n_values - 1) * 2 - 1
    traced = torch.tensor(out, requires_grad=True)
    loss = theirs(traced, torch.tensor(x), n_values)
    loss.backward()
    np.testing.assert_allclose(mixture_nll(out, x, n_values), loss.item(), rtol=1e-6)
    from autograd import grad

    np.testing.assert_allclose(grad(lambda out: mixture_nll(out, x, n_values))(out), traced.grad, atol=1e-6)


def test_a_noisy_difference_is_not_carried_on(monkeypatch):
    monkeypatch.setattr(
        paper, "step", lambda name, side, layers, args: {"seconds": 9.0 - layers, "peak_gib": 1.0, "versions": "v"}
    )
    row = paper.measure("cifar10-density", "ours", parsed(paper))
    assert row["paper_seconds"] is None
    assert "cannot be carried on to 48 layers" in paper.line(row)


def test_the_budget_ends_it(capsys):
    assert paper.run(parsed(paper, "--budget", "0", "--no-torch")) == 0
    assert capsys.readouterr().out.count("no time left of --budget 0") == 4


@pytest.mark.parametrize("objective", ["classification", "multilabel"])
def test_losses_of_labels_in_pytorch(objective):
    """On outputs that have nothing to do with the labels, so that every part of the loss counts."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from multires_ref import NetworkConfig
    from multires_ref.training.objectives import get_objective

    rng = np.random.default_rng(3)
    out = 3 * rng.standard_normal((8, 5))
    y = rng.integers(0, 5, 8) if objective == "classification" else (rng.random((8, 5)) < 0.4).astype(float)
    network = NetworkConfig(1, 5, 4, 1, max_length=8)
    ours = get_objective(objective, network).loss(out, y)
    theirs = training_step.torch_loss(objective, network)(torch.from_numpy(out), torch.from_numpy(y))
    np.testing.assert_allclose(ours, theirs.item(), rtol=1e-6)
