"""`multires-ref train` and `evaluate`: flags, files, the last line, and what they refuse."""

import argparse
import json
from dataclasses import fields

import numpy as np
import pytest

from multires_ref import NetworkConfig
from multires_ref.authors.load import load_model
from multires_ref.cli import main
from multires_ref.commands.settings import add_setting_flags, given_settings
from multires_ref.tasks.digits import load
from multires_ref.tasks.task import LoadOptions
from multires_ref.training.config import TrainingConfig
from multires_ref.training.objectives import absent_classes, class_aurocs, macro_auroc

TINY = ["train", "digits", "--quiet", "--scale", "tiny", "--epochs", "1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("trained") / "run"
    assert main([*TINY, "--out", str(run)]) == 0
    return run


def test_the_last_line_and_the_files(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(TINY) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("digits-")
    out = capsys.readouterr().out
    assert out.startswith("Test accuracy ")
    assert f"multires-ref evaluate runs/{run.name}" in out
    expected = {"config.json", "metrics.jsonl", "metrics.json", "last.safetensors", "best.safetensors", "curves.png"}
    assert {path.name for path in run.iterdir()} == expected
    assert (run / "curves.png").read_bytes()[1:4] == b"PNG"


def test_evaluate_repeats_the_test_score(trained, capsys):
    assert main(["evaluate", str(trained)]) == 0
    report = json.loads((trained / "evaluate-test.json").read_text())
    metrics = json.loads((trained / "metrics.json").read_text())
    assert report["accuracy"] == metrics["test_accuracy"]
    table = np.array(report["confusion"])
    assert table.sum() == report["examples"] == 64
    assert np.trace(table) / 64 == report["accuracy"]
    assert (trained / "confusion-test.png").read_bytes()[1:4] == b"PNG"
    assert "true \\ said" in capsys.readouterr().out


def test_a_run_loads_as_a_model(trained):
    split = load(LoadOptions(scale="tiny"))["test"]
    accuracy = (load_model(trained)(split.x).argmax(axis=1) == split.y).mean()
    assert accuracy == json.loads((trained / "metrics.json").read_text())["test_accuracy"]


@pytest.mark.parametrize(("wavelet", "taps"), [("haar", 2), ("db3", 6), ("sym4", 8)])
def test_a_wavelet_brings_its_kernel_size(wavelet, taps, tmp_path):
    """Other lengths than the task's own four taps."""
    assert main([*TINY, "--wavelet", wavelet, "--out", str(tmp_path / "run")]) == 0
    network = json.loads((tmp_path / "run/config.json").read_text())["network"]
    assert (network["wavelet"], network["kernel_size"]) == (wavelet, taps)
    h0 = load_model(tmp_path / "run").params["blocks"][0]["conv"]["h0"]
    assert h0.shape[1] == taps


def test_settings_reach_the_run(tmp_path):
    flags = ["--wavelet", "db2", "--untied", "--norm", "layer", "--lr", "0.005", "--clip", "1", "--depth", "3", "--seed", "5"]
    assert main([*TINY, *flags, "--out", str(tmp_path / "run")]) == 0
    config = json.loads((tmp_path / "run/config.json").read_text())
    network = config["network"]
    assert (network["wavelet"], network["kernel_size"], network["tied"], network["depth"]) == ("db2", 4, False, 3)
    assert (config["training"]["lr"], config["training"]["clip"], config["training"]["seed"]) == (0.005, 1.0, 5)
    assert (config["task"], config["scale"], config["device"]) == ("digits", "tiny", "cpu")


def test_every_setting_has_a_flag():
    parser = argparse.ArgumentParser()
    add_setting_flags(parser)
    assert given_settings(parser.parse_args([])) == {}
    flags = {flag for action in parser._actions for flag in action.option_strings}
    for config in (NetworkConfig, TrainingConfig):
        assert {"--" + field.name.replace("_", "-") for field in fields(config)} <= flags


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "digit"], "did you mean 'digits'"),
        (["train", "digits", "--optimizer", "sgd"], "--optimizer must be one of 'adamw', 'adam'"),
        (["train", "digits", "--norm", "bach"], "got 'bach' (did you mean 'batch'"),
        (["train", "digits", "--wavelet", "dbb2"], "did you mean 'db2'"),
        (["train", "digits", "--wavelet", "db2", "--kernel-size", "3"], "--kernel-size must be 4, the length of --wavelet 'db2'"),
        (["train", "digits", "--engine", "tre"], "did you mean 'tree'"),
        (["train", "digits", "--engine", "gpu"], "--engine must be auto or one of fft, fused, tree for --device cpu; got 'gpu'"),
        (["train", "digits", "--device", "tpu"], "--device must be one of"),
        (["train", "digits", "--scale", "small"], "--scale must be one of"),
        (["train", "digits", "--epochs", "0"], "--epochs must be at least 1"),
        (["train", "digits", "--warmup-epochs", "31"], "--warmup-epochs must be between 0.0 and 30"),
        (["train", "digits", "--depth", "0"], "--depth must be between 1"),
        (["train", "digits", "--dropout", "1"], "--dropout must be below 1"),
        (["train", "digits", "--lr", "nan"], "--lr must be between"),
        (["train", "digits", "--tree-select", "uniform", "--memory-size", "0"], "--memory-size must be at least 1"),
        (["train", "digits", "--tree-select", "uniform"], "--memory-size must be given for --tree-select uniform"),
        (["train", "digits", "--memory-size", "16"], "--memory-size must be 6, the depth and one more, for --tree-select fading"),
        (["train", "digits", "--filter-order", "reversed"], "--filter-order reversed needs --wavelet"),
        (["train", "digits", "--n-values", "3"], "--n-values is for --kind autoregressive alone"),
        (["train", "digits", "--kind", "autoregressive"], "--kind must be 'classifier' for classification"),
        (["train", "digits-density", "--kind", "classifier"], "--kind must be 'autoregressive' for a density"),
        (["train", "digits-density", "--d-output", "16"], "--d-output must be a multiple of 3 for --d-input 1"),
        (["train", "digits-density", "--n-values", "256"], "--n-values must be 17, as the data of task digits-density have it"),
        (["train", "digits-density", "--encoder", "embedding"], "--encoder must be 'linear' for a density"),
        (["train", "digits", "--encoder", "embedding"], "--encoder must be 'linear', as the data of task digits"),
        (["train", "digits", "--d-output", "5"], "--d-output must be 10, as the data of task digits have it; got 5"),
        (["train", "digits", "--d-input", "3"], "--d-input must be 1, as the data of task digits have it; got 3"),
        (["train", "digits", "--d-model", "1000000000"], "this network would have"),
        (["evaluate", "nowhere"], "nowhere"),
        (["evaluate", "RUN", "--split", "tests"], "did you mean 'test'"),
        (["evaluate", "RUN", "--batch-size", "0"], "batch_size must be at least 1"),
        (["evaluate", "RUN/config.json"], "path must be a run folder or end in"),
    ],
)
def test_bad_input_is_one_clear_line(argv, message, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([word.replace("RUN", str(trained)) for word in argv]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("task", "changes", "words"),
    [
        ("digits", {"kind": "autoregressive"}, "^kind must be 'classifier' for classification"),
        ("digits", {"n_values": 3}, "^n_values is for kind='autoregressive' alone"),
        ("digits", {"engine": "gpu"}, "^engine must be auto or one of fft, fused, tree for device='cpu'"),
        ("ptbxl", {"d_output": 5}, "^d_output must be 71, as the data of task ptbxl"),
        ("listops", {"encoder": "linear"}, "^encoder must be 'embedding', as the data of task listops"),
        ("cifar10-density", {"d_output": 3}, "^d_output must be a multiple of 10 for d_input=3"),
    ],
)
def test_the_same_checks_speak_python(task, changes, words):
    """The rules of the command line, by the names of arguments; no data are read."""
    from multires_ref.tasks import get_task

    with pytest.raises(ValueError, match=words):
        get_task(task).settings(**changes)


def test_settings_are_refused_before_data_are_read(tmp_path, monkeypatch, capsys):
    from multires_ref.tasks import digits

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda **_: pytest.fail("the data were read"))
    assert digits.CLASSIFY.load is digits.load
    assert main(["train", "digits", "--kind", "autoregressive"]) == 2
    assert "--kind" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_fit_refuses_what_cannot_work_together(tmp_path):
    from multires_ref.training.loop import fit
    from multires_ref.training.objectives import get_objective

    network = NetworkConfig(1, 10, 8, 2, max_length=64, kind="autoregressive")
    with pytest.raises(ValueError, match="^kind must be 'classifier'"):
        fit(
            network,
            TrainingConfig(1, 50, 0.1),
            load(LoadOptions(scale="tiny")),
            get_objective("classification"),
            tmp_path / "run",
        )
    assert not list(tmp_path.iterdir())


def test_a_number_that_is_none_says_so(capsys):
    assert main(["train", "digits", "--d-model", "wide"]) == 2
    assert "invalid int value: 'wide'" in capsys.readouterr().err
    assert main(["train", "digits", "--epochs", "none"]) == 2  # none is for settings that may be left out
    assert "invalid int value: 'none'" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_ends_with_status_1(tmp_path, capsys):
    flags = ["--norm", "layer", "--lr", "1e6", "--weight-decay", "1e6", "--epochs", "30"]
    assert main([*TINY, *flags, "--out", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert "not finite" in error or "in the output of layer" in error
    assert "The last good checkpoint is kept" in error
    assert main(["evaluate", str(tmp_path / "run/last.safetensors")]) == 0


def test_aurocs_are_sklearns_and_absent_classes_are_left_out(rng):
    from sklearn.metrics import roc_auc_score

    outputs, targets = rng.standard_normal((40, 4)), (rng.random((40, 4)) < 0.3).astype(float)
    np.testing.assert_allclose(macro_auroc(outputs, targets), roc_auc_score(targets, outputs, average="macro"))
    targets[:, 1], targets[:, 3] = 0, 1
    assert absent_classes(targets) == [1, 3]
    kept = [roc_auc_score(targets[:, c], outputs[:, c]) for c in (0, 2)]
    np.testing.assert_allclose(macro_auroc(outputs, targets), np.mean(kept))
    np.testing.assert_allclose(class_aurocs(outputs, targets), [kept[0], np.nan, kept[1], np.nan])
    with pytest.raises(ValueError, match="hold none"):
        macro_auroc(outputs, np.zeros((40, 4)))


def test_evaluate_takes_a_file_that_no_run_wrote(tmp_path, capsys):
    """A model saved under the authors' names scores what its run scores; without --task it cannot be known on what."""
    from multires_ref import load_model, save_model

    run = tmp_path / "run"
    assert main(["train", "digits", "--scale", "tiny", "--epochs", "1", "--out", str(run), "--quiet"]) == 0
    save_model(load_model(run), tmp_path / "theirs.safetensors")
    assert main(["evaluate", str(run)]) == 0
    assert main(["evaluate", str(tmp_path / "theirs.safetensors")]) == 2
    assert "give --task" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "theirs.safetensors"), "--task", "digits"]) == 0
    whole = json.loads((tmp_path / "evaluate-test.json").read_text())
    assert whole["examples"] == 360
