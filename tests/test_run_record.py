"""What a run folder holds is believed only where a run could have written it; a resumed run is the same with --clip too."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from multires_ref import NetworkConfig
from multires_ref.base.tensors import write_tensors
from multires_ref.training import loop
from multires_ref.training.checkpoint import load_run, read_checkpoint, save_checkpoint
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split
from multires_ref.training.flat import flatten
from multires_ref.training.objectives import get_objective

NETWORK = NetworkConfig(1, 2, d_model=4, n_layers=2, max_length=8, norm="batch", dropout=0.1)
TRAINING = TrainingConfig(epochs=3, batch_size=8, lr=0.05, clip=0.1, engine="tree", checkpoint_seconds=0.0)
CLASSES = get_objective("classification")


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def splits():
    rng = np.random.default_rng(3)

    def part(N):
        y = rng.integers(0, 2, N)
        return Split((2 * y - 1)[:, None, None] * np.linspace(-1, 1, 8) + rng.standard_normal((N, 1, 8)), y)

    return {name: part(N) for name, N in (("train", 30), ("val", 8), ("test", 8))}


def fit(splits, out, training=TRAINING, **options):
    return loop.fit(NETWORK, training, splits, CLASSES, out, quiet=True, **options)


def kill_after(patch, steps):
    """Let a run end before the step after `steps` steps."""
    step = loop.train_step

    def counted(config, params, state, opt_state, *rest):
        if opt_state["step"] == steps:
            raise Killed
        return step(config, params, state, opt_state, *rest)

    patch.setattr(loop, "train_step", counted)


@pytest.fixture
def stopped(splits, tmp_path, monkeypatch):
    """A run of 3 epochs of 4 steps that was killed after 6 steps: in its second epoch, at position 2."""
    with monkeypatch.context() as patch:
        kill_after(patch, 6)
        with pytest.raises(Killed):
            fit(splits, tmp_path / "run")
    return tmp_path / "run"


def test_resuming_with_clipping_is_exact(splits, stopped, tmp_path):
    fit(splits, stopped, resume=True)
    fit(splits, tmp_path / "whole")
    one, two = (read_checkpoint(out / "last.safetensors")[0] for out in (stopped, tmp_path / "whole"))
    for name in two:
        assert_array_equal(one[name], two[name], err_msg=name, strict=True)


def test_parameters_come_back_in_the_order_in_which_they_are_made(splits, stopped):
    fresh = loop.new_run(NETWORK, TRAINING, "cpu").params
    assert list(flatten(load_run(stopped / "last.safetensors").params)) == list(flatten(fresh))


def test_the_time_goes_on(splits, stopped):
    path = stopped / "last.safetensors"
    tensors, about = read_checkpoint(path)
    save_checkpoint(path, tensors, about | {"run": about["run"] | {"seconds": 5000.0}})
    result = fit(splits, stopped, resume=True)
    assert 5000 < result["seconds"] < 5100
    lines = [json.loads(line) for line in (stopped / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["seconds"] < 100
    assert 5000 < lines[1]["seconds"] <= lines[2]["seconds"] <= result["seconds"]


GENERATOR = np.random.default_rng(1).bit_generator.state
BAD = {  # entry: values that no run can have written at epoch 1, position 2
    "epoch": [-1, 4, 1.0, True, "1", None],
    "position": [-1, 5, 3, 0, 2.0],
    "step": [0, 5, 7, -6, "6"],
    "weight": [0, 15, 17, 16.0, -16],
    "loss_sum": ["1", None, True, 10**400, [1.0]],
    "seconds": [-1.0, "0", None],
    "best_epoch": [None, 0, 2, 1.0],
    "best_score": [None, "0.5", True],
    "best_loss": [None, {}],
    "generator": [
        *(None, {}, [], "PCG64", np.random.MT19937(0).state["bit_generator"]),
        GENERATOR | {"bit_generator": "MT19937"},
        GENERATOR | {"state": {"state": 5, "inc": 2}},
        GENERATOR | {"state": {"state": -5, "inc": 3}},
        GENERATOR | {"state": {"state": 2**128, "inc": 3}},
        GENERATOR | {"state": {"state": "5", "inc": 3}},
        GENERATOR | {"has_uint32": "no"},
    ],
}


def refused(splits, out, words):
    """Resuming is refused with these words and the file's name; nothing in the folder changes."""
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ValueError, match=words) as caught:
        fit(splits, out, resume=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert str(out) in str(caught.value)


@pytest.mark.parametrize("entry", BAD)
def test_a_record_that_no_run_wrote_is_refused_by_name(splits, stopped, entry):
    path = stopped / "last.safetensors"
    tensors, about = read_checkpoint(path)
    for value in BAD[entry]:
        save_checkpoint(path, tensors, about | {"run": about["run"] | {entry: value}})
        refused(splits, stopped, f"the run's record is not valid: (step must be|order must be|{entry})")
    del about["run"][entry]
    save_checkpoint(path, tensors, about)
    refused(splits, stopped, f"the run's record lacks {entry}")
    save_checkpoint(path, tensors, about | {"run": [1]})
    refused(splits, stopped, "must hold its entries by name")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.update(order=t["order"][:-1]), "order must hold every number from 0 to 29 once"),
        (lambda t: t["order"].__setitem__(0, t["order"][1]), "order must hold every number"),
        (lambda t: t["order"].__setitem__(0, 30), "order must hold every number"),
        (lambda t: t.update(order=t["order"].astype("int32")), "order must hold every number from 0 to 29 once, as int64"),
        (lambda t: t.pop("order"), "order must be there in mid-epoch"),
        (lambda t: t.pop("optimizer.m.encoder.bias"), "optimizer.m.encoder.bias is missing"),
        (lambda t: t.update({"optimizer.v.other": np.zeros(2)}), "optimizer.v.other belongs to no parameter"),
        (lambda t: t.update({"optimizer.m.encoder.bias": np.zeros(3, "float32")}), "optimizer.m.encoder.bias must be float32"),
        (lambda t: t.update({"optimizer.m.encoder.bias": np.zeros(4)}), "must be float32 .* got float64"),
        (lambda t: t["optimizer.v.encoder.bias"].__setitem__(0, -1), "optimizer.v.encoder.bias must not be negative"),
        (
            lambda t: t.update({n: a.astype("float64") for n, a in t.items() if a.dtype == "float32"}),
            "must be float32, as the run",
        ),
    ],
)
def test_arrays_that_no_run_wrote_are_refused_by_name(splits, stopped, change, words):
    path = stopped / "last.safetensors"
    tensors, about = read_checkpoint(path)
    tensors = {name: array.copy() for name, array in tensors.items()}
    change(tensors)
    save_checkpoint(path, tensors, about)
    refused(splits, stopped, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"metrics\.jsonl holds 0 epochs"),
        ("{", r"metrics\.jsonl, line 1 is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"epoch": ' + "9" * 5000 + "}", "line 1 is not JSON"),
        ("[1]", "expected the numbers of epoch 1"),
        ('{"epoch": 2}', "expected the numbers of epoch 1"),
        ('{"epoch": 1}\n{"epoch": 1}', "line 2: expected the numbers of epoch 2"),
    ],
)
def test_damaged_lines_are_refused_by_number(splits, stopped, text, words):
    (stopped / "metrics.jsonl").write_text(text)
    refused(splits, stopped, words)


@pytest.mark.parametrize("name", ["params.encoder.bias", "optimizer.m.encoder.bias", "optimizer.v.encoder.bias"])
def test_arrays_that_are_not_finite_are_refused_by_name(splits, stopped, name):
    """`save_checkpoint` does not write such a file; another program may."""
    path = stopped / "last.safetensors"
    tensors, about = read_checkpoint(path)
    tensors = {key: array.copy() for key, array in tensors.items()}
    tensors[name][1] = np.inf
    write_tensors(path, tensors, json.dumps(about))
    refused(splits, stopped, f"{name} holds numbers that are not finite")


@pytest.mark.parametrize("name", ["state.blocks.0.var", "state.blocks.1.count", "optimizer.v.encoder.bias"])
def test_counts_and_mean_squares_are_not_negative(splits, stopped, name):
    path = stopped / "last.safetensors"
    tensors, about = read_checkpoint(path)
    save_checkpoint(path, {key: -array - 1 if key == name else array for key, array in tensors.items()}, about)
    refused(splits, stopped, f"{name} must not be negative")


def test_a_best_model_that_does_not_fit_its_settings_is_noticed(splits, stopped):
    path = stopped / "best.safetensors"
    tensors, about = read_checkpoint(path)
    save_checkpoint(path, {name: array for name, array in tensors.items() if name != "params.encoder.bias"}, about)
    refused(splits, stopped, r"best\.safetensors: tensor params.encoder.bias is missing")


def test_another_best_model_is_noticed(splits, stopped):
    path = stopped / "best.safetensors"
    tensors, about = read_checkpoint(path)
    save_checkpoint(path, tensors, about | {"best": {"epoch": 3}})
    refused(splits, stopped, r"best\.safetensors must hold the model of epoch 1")


@pytest.mark.parametrize("change", [{"n_layers": 10**9}, {"d_model": 10**9}, {"max_length": 10**9}, {"kernel_size": 10**9}])
def test_settings_that_claim_more_than_the_file_holds_are_refused_at_once(stopped, change):
    path = stopped / "best.safetensors"
    tensors, about = read_checkpoint(path)
    save_checkpoint(path, tensors, about | {"network": about["network"] | change})
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"best\.safetensors"):
        load_run(path)
    assert time.monotonic() - began < 5


def test_a_finished_run_with_a_damaged_result_computes_it_again(splits, tmp_path):
    result = fit(splits, tmp_path / "run")
    lacking = [json.dumps({name: value for name, value in result.items() if name != gone}) for gone in result]
    for text in ("{", "[]", '{"test_accuracy": null}', *lacking):
        (tmp_path / "run/metrics.json").write_text(text)
        again = fit(splits, tmp_path / "run", resume=True)
        assert {**again, "seconds": 0} == {**result, "seconds": 0}
        assert json.loads((tmp_path / "run/metrics.json").read_text()) == again


def test_another_format_is_refused(stopped):
    tensors, about = read_checkpoint(stopped / "best.safetensors")
    save_checkpoint(stopped / "best.safetensors", tensors, about | {"format": 2})
    with pytest.raises(ValueError, match="expected settings of format 1"):
        load_run(stopped)


def test_numbers_that_json_does_not_have_are_never_written(tmp_path, stopped):
    tensors, about = read_checkpoint(stopped / "best.safetensors")
    before = (stopped / "best.safetensors").read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(stopped / "best.safetensors", tensors, about | {"best": float("nan")})
    assert (stopped / "best.safetensors").read_bytes() == before


def test_ctrl_c_saves_although_no_checkpoint_is_due(splits, tmp_path, monkeypatch):
    import signal

    step = loop.train_step

    def interrupted(config, params, state, opt_state, *rest):
        result = step(config, params, state, opt_state, *rest)
        if opt_state["step"] == 6:
            signal.raise_signal(signal.SIGTERM)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", interrupted)
        with pytest.raises(loop.RunInterrupted, match="stopped in epoch 2 after step 6 of 12"):
            fit(splits, tmp_path / "run", replace(TRAINING, checkpoint_seconds=1e6))
    assert read_checkpoint(tmp_path / "run/last.safetensors")[1]["run"]["position"] == 2
