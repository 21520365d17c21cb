"""Whole runs, evaluation, streaming, sampling and the commands on the stand-in for CuPy, beside NumPy.

See `test_gpu_standin.py`."""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
import pytest
from gpu_cases import NETWORKS, any_cupy, batch_for, network, stand_in_with_kernels, start  # noqa: F401 (two fixtures)

import multires_ref as mr
from multires_ref.bench.gpu_info import gpu_report
from multires_ref.cli import main
from multires_ref.training.config import TrainingConfig
from multires_ref.training.device import tree_to_device
from multires_ref.training.evaluate import evaluate, predict
from multires_ref.training.loop import fit
from multires_ref.training.objectives import get_objective


def splits_for(config, objective):
    return {name: batch_for(config, objective, N=n, dtype="float32") for name, n in (("train", 8), ("val", 4), ("test", 4))}


SETTINGS = {"epochs": 2, "batch_size": 4, "lr": 0.01}


@pytest.mark.parametrize("name", ["batch norm, untied", "tokens with lengths", "autoregressive"])
def test_a_run_on_the_device_equals_one_on_the_cpu(name, cupy, tmp_path):
    config, objective_name = NETWORKS[name]
    objective, splits = get_objective(objective_name, config), splits_for(config, objective_name)
    cpu = fit(config, TrainingConfig(**SETTINGS), splits, objective, tmp_path / "cpu", quiet=True)
    gpu = fit(config, TrainingConfig(**SETTINGS), splits, objective, tmp_path / "gpu", device="gpu", quiet=True)
    assert cpu.keys() == gpu.keys()
    assert gpu["test_loss"] == pytest.approx(cpu["test_loss"], rel=1e-4)


def test_a_run_resumes_on_the_other_device(kernels, tmp_path, monkeypatch):
    """Stopped on one device after its first epoch, finished on the other: as one run on the CPU, and back."""
    config, objective_name = NETWORKS["batch norm, untied"]
    objective, splits = get_objective(objective_name, config), splits_for(config, objective_name)
    whole = fit(config, TrainingConfig(**SETTINGS), splits, objective, tmp_path / "whole", quiet=True)
    for first, second in (("gpu", "cpu"), ("cpu", "gpu")):
        out = tmp_path / first
        with monkeypatch.context() as patch:
            patch.setattr("multires_ref.training.loop.finish", stop_at(patch, 1))
            with pytest.raises(Stopped):
                fit(config, TrainingConfig(**SETTINGS), splits, objective, out, device=first, quiet=True)
        metrics = fit(config, TrainingConfig(**SETTINGS), splits, objective, out, device=second, resume=True, quiet=True)
        assert metrics["test_loss"] == pytest.approx(whole["test_loss"], rel=1e-4)
        assert len((out / "metrics.jsonl").read_text().splitlines()) == 2
        assert json.loads((out / "config.json").read_text())["device"] == first


class Stopped(Exception):
    pass


def stop_at(patch, epochs):
    """Raise after that many epochs, as a power cut between two of them would."""
    from multires_ref.training import loop

    finish_epoch, finish = loop.finish_epoch, loop.finish

    def interrupted(job, run, progress):
        finish_epoch(job, run, progress)
        if run.epoch == epochs:
            raise Stopped

    patch.setattr(loop, "finish_epoch", interrupted)
    return finish


def test_evaluation_comes_back_as_numpy(cupy):
    config, objective = network(), get_objective("classification")
    params, state = start(config, "float32")
    model = mr.Model(config, params, state)
    device_model = mr.Model(config, *(tree_to_device(tree, "gpu") for tree in (params, state)))
    split = batch_for(config, "classification", N=7, dtype="float32")
    out = predict(device_model, split.x, batch_size=3, engine=cupy.engine)
    assert type(out) is np.ndarray
    np.testing.assert_allclose(out, predict(model, split.x, batch_size=3, engine="tree"), rtol=1e-4, atol=1e-5)
    got = evaluate(device_model, split, objective, 3, cupy.engine)
    assert got == pytest.approx(evaluate(model, split, objective, 3, "tree"), rel=1e-5)


@pytest.mark.parametrize("name", ["layer norm", "batch norm, untied", "uniform, labels", "autoregressive"])
def test_streaming(name, cupy, tmp_path):
    """One sample at a time on the device: what the whole sequence gives; its state goes to a file and to the CPU."""
    from multires_ref.network.streaming import Stream

    config, objective = NETWORKS[name]
    params, state = start(config)
    x = batch_for(config, objective, N=2).x
    host = Stream(mr.Model(config, params, state), batch=2)
    stream = Stream(mr.Model(config, *(tree_to_device(tree, "gpu") for tree in (params, state))), batch=2)
    for n in range(10):
        got, wanted = stream.step(cupy.asarray(x[..., n])), host.step(x[..., n])
        assert isinstance(got, cupy.ndarray)
        np.testing.assert_allclose(got.get(), wanted, rtol=1e-10, atol=1e-11)
    stream.save(tmp_path / "stream.safetensors")
    host.load(tmp_path / "stream.safetensors")
    np.testing.assert_allclose(stream.step(cupy.asarray(x[..., 10])).get(), host.step(x[..., 10]), rtol=1e-10, atol=1e-11)


def test_sampling_draws_what_the_cpu_draws(cupy):
    """The autoregressive network on the device: probabilities there, the dice here."""
    from multires_ref.network.sampling import sample

    config, _ = NETWORKS["autoregressive"]
    params, state = start(config)
    device = mr.Model(config, *(tree_to_device(tree, "gpu") for tree in (params, state)))
    got = sample(device, np.random.default_rng(3), 2)
    wanted = sample(mr.Model(config, params, state), np.random.default_rng(3), 2)
    np.testing.assert_allclose(got.get() if hasattr(got, "get") else got, wanted, atol=1e-12)


# Commands


def test_the_commands_on_the_device(kernels, tmp_path):
    """`train` and `evaluate` with --device gpu at the smallest size, and what `info --device gpu` reports."""
    assert any("compiled and ran" in line for line in gpu_report())
    run = str(tmp_path / "run")
    small = ["--scale", "tiny", "--epochs", "1", "--d-model", "4", "--n-layers", "1", "--quiet"]
    assert main(["train", "digits", "--device", "gpu", "--out", run, *small]) == 0
    assert main(["evaluate", run, "--device", "gpu"]) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["device"] == "gpu"


def test_bench_runs_on_the_stand_in(kernels, tmp_path, capsys, monkeypatch):
    from multires_ref.bench import gpu as bench

    monkeypatch.setattr(bench, "limits", lambda args: {"bytes_per_second": 1e12, "flops": 1e12})
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    sizes = ["--batch", "1", "--width", "2", "--lengths", "64", "--kernel-sizes", "2", "--rounds", "1"]
    args = parser.parse_args([*sizes, "--no-torch", "--no-step", "--out", str(tmp_path / "bench.json")])
    assert bench.run(args) == 0
    assert "of the copy bandwidth" in capsys.readouterr().out
    assert json.loads((tmp_path / "bench.json").read_text())["layer"][0]["who"] == "here"


def test_without_cupy_one_clear_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    assert gpu_report() == ["gpu: CuPy is not installed: pip install 'cupy-cuda13x[ctk]'"]
    assert main(["train", "digits", "--device", "gpu"]) == 2
    error = capsys.readouterr().err
    assert "pip install 'cupy-cuda13x[ctk]'" in error
    assert len(error.strip().splitlines()) == 1
