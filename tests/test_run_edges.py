"""What is easily lost at the edges of a run: devices, a second signal, the end of the progress bar, results read back."""

import json
import signal

import numpy as np
import pytest
from autograd.extend import VSpace

from multires_ref.base.pytrees import unflatten
from multires_ref.training.console import Progress, StopRequest
from multires_ref.training.device import check_device, device_of
from multires_ref.training.run_folder import read_result
from multires_ref.training.run_state import check_real


def test_the_device_that_is_asked_for_is_there_or_refused(monkeypatch):
    import fake_cupy

    with fake_cupy.installed(monkeypatch) as cupy:
        monkeypatch.delitem(VSpace.mappings, cupy.ndarray)
        assert check_device("gpu") == "gpu"
        assert cupy.ndarray in VSpace.mappings  # autograd can trace the arrays from now on
        assert device_of({"a": [cupy.asarray(np.ones(2))]}) == "gpu"
        assert device_of([{"a": np.ones(2)}]) == "cpu"
        monkeypatch.setattr(cupy.cuda, "is_available", lambda: False)
        with pytest.raises(ValueError, match="device must be 'cpu' here: CuPy finds no CUDA device"):
            check_device("gpu")


def test_a_second_polite_signal_changes_nothing(capsys):
    with StopRequest() as stop:
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
        assert stop.requested
    captured = capsys.readouterr()
    assert (captured.out + captured.err).count("stopping after this step") == 1


def test_the_bar_is_closed_at_the_end(capsys):
    with Progress(3, 1, quiet=False) as progress:
        bar = progress.bar
        assert (bar.total, bar.initial, bar.mininterval) == (3, 1, 15.0)  # a file: seldom
        progress.step()
    assert bar.disable  # tqdm's mark of a closed bar
    assert "2/3" in capsys.readouterr().err


RESULT = {"test_accuracy": 0.5, "test_loss": 1.0, "val_accuracy": 0.5, "best_epoch": 1, "epochs": 1, "steps": 2}


@pytest.mark.parametrize("missing", [None, *RESULT, "parameters", "seconds"])
def test_a_result_that_lacks_a_number_is_computed_again(missing, tmp_path):
    whole = RESULT | {"parameters": 7, "seconds": 1.5}
    (tmp_path / "metrics.json").write_text(json.dumps({name: value for name, value in whole.items() if name != missing}))
    assert read_result(tmp_path, "accuracy") == (whole if missing is None else None)


def test_true_is_no_number_and_nothing_is_a_pytree():
    with pytest.raises(TypeError, match="lr must be a number; got True"):
        check_real("lr", True)
    assert check_real("lr", 2) == 2
    assert unflatten({}) == {}
