"""Training on several MPI ranks: equal to one process, bit for bit the same again, and all end where one fails."""

import json
import signal
import time

import numpy as np
import pytest
import rank_cases
from mpi_runs import finish, interrupt, run, start, still_running

from multires_ref.training.checkpoint import load_run, read_checkpoint

pytest.importorskip("mpi4py", reason="mpi4py is not installed")
FAST = ("--quiet", "--engine", "tree")  # no compiling


def good_checkpoint(folder):
    """The step of the last checkpoint, which can be read and holds finite numbers; and no half-written file is there."""
    tensors, metadata = read_checkpoint(folder / "run" / "last.safetensors")
    assert all(np.isfinite(array).all() for array in tensors.values())
    return metadata["run"]["step"]


def said(output):
    """What the ranks printed: the lines that mpirun does not write around it."""
    lines = [line for line in output.splitlines() if "multires-ref" in line or line.startswith(("rank ", "Stopped", "Test "))]
    return [line for line in lines if not line.startswith("  multires-ref train")]


def test_a_run_on_three_ranks_is_the_run_on_one_and_resumes_on_one(tmp_path):
    """The whole command: stopped by a signal to one rank on 3 ranks, resumed on 1, beside a run on one process."""
    flags = ("train", *FAST, "--dtype", "float64", "--norm", "batch", "--dropout", "0.2")
    status, output = run(3, tmp_path / "three", *flags, FAULT="signalled 1 4")
    assert (status, good_checkpoint(tmp_path / "three")) == (130, 5), output
    assert said(output) == [f"Stopped in epoch 2 after step 5 of 9; {tmp_path / 'three/run'} is saved. Go on with:"]
    status, output = run(1, tmp_path / "three", "train", *FAST, "--resume")
    assert (status, output.count("Test accuracy")) == (0, 1), output
    assert run(1, tmp_path / "one", *flags)[0] == 0
    difference = rank_cases.largest_difference(tmp_path / "three/run", tmp_path / "one/run", "classification", "batch")
    assert difference < rank_cases.TOLERANCE
    one, three = (json.loads((tmp_path / name / "run/metrics.json").read_text()) for name in ("one", "three"))
    assert one.keys() == three.keys()
    assert load_run(tmp_path / "three/run").config.norm == "batch"


def test_a_killed_rank_ends_all_with_one_line_and_a_good_checkpoint(tmp_path):
    began = time.monotonic()
    status, output = run(3, tmp_path, "train", *FAST, FAULT="kill 1 5")
    assert status != 0
    assert len(said(output)) == 1, output
    assert said(output)[0].startswith("multires-ref: stopped: rank 1 (process ")
    assert f"has ended. The last good checkpoint is kept: {tmp_path / 'run/last.safetensors'}" in output
    assert good_checkpoint(tmp_path) == 5
    assert still_running(str(tmp_path)) == []
    assert time.monotonic() - began < 60


ENDS = {  # the fault, the steps of the checkpoint that is kept, and what is said
    "kill 0 5": (5, r"multires-ref: stopped: rank 0 (process "),
    "nan 2 4": (4, "multires-ref: stopped: the loss is nan in epoch 2, step 2 of 3"),
    "full 0 5": (5, "multires-ref: stopped in epoch 2 after step 6 of 9: "),
    "differ 1 3": (3, "multires-ref: stopped: rank 1 and rank 0 do not hold the same parameters after step 4 of 9. "),
    "stop 0 5": (5, "multires-ref: stopped: another rank did not answer for 3 s; "),
    "stop 2 5": (5, "multires-ref: stopped: another rank did not answer for 3 s; "),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ENDS)
def test_a_fault_on_one_rank_ends_all(fault, tmp_path):
    status, output = run(3, tmp_path, "train", *FAST, FAULT=fault, MULTIRES_MPI_TIMEOUT="3")
    step, line = ENDS[fault]
    assert status != 0
    assert len(said(output)) == 1, output
    assert line in said(output)[0]
    assert "The last good checkpoint is kept: " in output
    assert good_checkpoint(tmp_path) == step
    assert still_running(str(tmp_path)) == []
    status, output = run(2, tmp_path, "train", *FAST, "--resume")  # on another number of ranks
    assert status == 0, output
    whole = run(1, tmp_path / "whole", "train", *FAST)
    assert whole[0] == 0
    (lines, _), (other, _) = (rank_cases.recorded(path / "run") for path in (tmp_path, tmp_path / "whole"))
    for one, two in zip(lines, other, strict=True):
        assert one["val_loss"] == pytest.approx(two["val_loss"], rel=1e-4)  # float32


@pytest.mark.slow
def test_an_error_of_one_rank_alone_is_shown_and_ends_all(tmp_path):
    status, output = run(3, tmp_path, "train", *FAST, FAULT="memory 2 5")
    assert status != 0
    assert "rank 2: Traceback" in output
    assert output.count("MemoryError: no memory for this array") == 1
    assert good_checkpoint(tmp_path) == 5
    assert still_running(str(tmp_path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1], ids=["Ctrl-C", "SIGUSR1"])
def test_a_signal_to_mpirun_ends_all_and_the_run_goes_on_from_its_checkpoint(number, tmp_path):
    process = start(3, tmp_path, "train", *FAST, "--epochs", "3000")
    try:
        while not (tmp_path / "run/best.safetensors").exists():
            assert process.poll() is None
            time.sleep(0.05)
        interrupt(process, number)
        status, output = finish(process, 30)
    finally:
        process.kill()
    assert status != 0
    assert good_checkpoint(tmp_path) >= 3
    assert still_running(str(tmp_path)) == []
    if number == signal.SIGUSR1:  # mpirun passes it on and leaves the ranks their time; after Ctrl-C it kills them soon
        assert "is saved. Go on with:" in output
        assert status == 130


@pytest.mark.slow
def test_what_is_refused_is_refused_once(tmp_path):
    status, output = run(2, tmp_path, "train", *FAST, "--d-model", "0")
    assert (status, said(output)) == (2, ["multires-ref: --d-model must be at least 1; got 0"])


@pytest.mark.slow
def test_ranks_take_a_gpu_each_and_the_run_is_that_of_the_cpu(tmp_path):
    """On the stand-in for CuPy: BatchNorm's kernels on shares, gradients through the host's memory."""
    status, output = run(3, tmp_path, "gpu")
    assert status == 0, output
    assert "devices [[0], [1], [0]]" in output
    rank_cases.train("classification", "batch", tmp_path / "cpu", engine="tree")
    difference = rank_cases.largest_difference(tmp_path / "cpu", tmp_path / "run", "classification", "batch")
    assert difference < rank_cases.TOLERANCE


@pytest.mark.slow
def test_every_objective_with_every_norm_is_the_same_on_1_to_4_ranks(tmp_path):
    """20 steps in float64: dropout, shuffling, unequal shares and ranks without an example, clipping, unequal lengths."""
    for ranks in (1, 2, 3, 4):
        status, output = run(ranks, tmp_path / str(ranks), "matrix")
        assert status == 0, output
    for objective, norm in rank_cases.CASES:
        runs = [tmp_path / str(ranks) / f"{objective}-{norm}" for ranks in (1, 2, 3, 4)]
        differences = [rank_cases.largest_difference(runs[0], other, objective, norm) for other in runs[1:]]
        assert max(differences) < rank_cases.TOLERANCE, (objective, norm, differences)
        assert min(differences) > 0, (objective, norm)  # they did compute in other pieces
    status, output = run(3, tmp_path / "again", "again")
    assert status == 0, output
    for name in ("classification-batch", "density-layer"):
        rank_cases.assert_same_bits(tmp_path / "3" / name, tmp_path / "again" / name)
