"""`multires-ref info`: the counts add up, and what it prints is what was counted."""

import re
from math import prod
from pathlib import Path

import numpy as np
import pytest

from multires_ref import NetworkConfig
from multires_ref.base.compiled import numba_works
from multires_ref.cli import main
from multires_ref.engines import readout
from multires_ref.engines.rings import plan_rings
from multires_ref.network import parameter_shapes
from multires_ref.network.account import parameters_by_part, streaming_memory, training_memory, work_by_part
from multires_ref.tree import kept_per_level

CONFIGS = [
    NetworkConfig(3, 10, 256, 10, 2, 1024),
    NetworkConfig(18, 10, 128, 10, 4, 2048, encoder="embedding", norm="batch"),
    NetworkConfig(3, 100, 64, 3, 4, 1024, kind="autoregressive", tied=False),
    NetworkConfig(2, 3, 8, 2, 3, 50, tree_select="uniform", memory_size=11),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.kind}-{c.d_model}")
def test_parts_add_up(config):
    assert sum(parameters_by_part(config).values()) == sum(prod(s) for s in parameter_shapes(config).values())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.kind}-{c.d_model}")
def test_work_of_the_tree_is_the_engines(config):
    """Counted by the sizes of what an engine is handed: h0 of every level, all readout filters, and w_a."""
    taps = kept_per_level(config.J, config.kernel_size, config.tree_select, config.memory_size)
    h1 = np.ones((config.J, 1, config.kernel_size))
    q, w_a = readout.fold(h1, np.ones((1, config.m)), np.ones(1), taps)
    a_channel = config.J * config.kernel_size + sum(q_i.shape[1] for q_i in q if q_i.shape[1]) + w_a.size
    skipped = int(taps[0] == 0)  # a level-1 filter of one tap, for the skip weight alone
    assert work_by_part(config)["tree"] == config.n_layers * config.d_model * (a_channel - skipped)


def test_parameters_of_the_parts_by_hand():
    """One row of each for every block: D = 64 channels, K = 4 taps, J = 9 levels of their own filters, m = 10."""
    parts = parameters_by_part(NetworkConfig(3, 100, 64, 3, 4, 1024, kind="autoregressive", tied=False))
    assert parts == {
        "encoder": 64 * 3 + 64,
        "filters h0, h1": 3 * 2 * 9 * 64 * 4,
        "memory weights w": 3 * 64 * 10,
        "skip weights": 3 * 64,
        "1x1 maps": 3 * (128 * 64 + 128 + 64 * 64 + 64),
        "norms": 3 * 2 * 64,
        "decoder": 100 * 64 + 100,
    }
    assert parameters_by_part(CONFIGS[1])["encoder"] == 18 * 128  # a table of tokens has no bias


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.kind}-{c.d_model}")
def test_work_has_no_part_left_out(config):
    work = work_by_part(config)
    assert set(work) == {"encoder", "tree", "1x1 maps", *(["decoder"] if config.kind == "autoregressive" else [])}
    assert work["1x1 maps"] == config.n_layers * config.d_model**2 * (3 if config.kind == "autoregressive" else 2)


def test_what_the_optimiser_holds():
    """The parameters, their gradients and two moments, of the numbers' own size."""
    for itemsize in (4, 8):
        memory = training_memory(CONFIGS[0], 50, itemsize)
        assert memory["parameters, gradients, two moments"] == 4 * 1_365_514 * itemsize
        assert memory["stored for the backward pass"] == 10 * 5 * 50 * 256 * 1024 * itemsize
        uncompiled = training_memory(CONFIGS[0], 50, itemsize, compiled=False)
        assert uncompiled["stored for the backward pass"] == 10 * 6 * 50 * 256 * 1024 * itemsize
    with pytest.raises(ValueError, match="batch_size must be at least 1; got 0"):
        training_memory(CONFIGS[0], 0)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.kind}-{c.d_model}")
def test_memory_of_a_stream_is_what_its_rings_hold(config):
    for itemsize in (4, 8):
        kept = kept_per_level(config.J, config.kernel_size, config.tree_select, config.memory_size)
        elements = config.n_layers * config.d_model * plan_rings(kept, config.kernel_size).size
        assert streaming_memory(config, itemsize) == elements * itemsize


def test_memory_grows_with_the_batch():
    one, two = (training_memory(CONFIGS[0], b)["stored for the backward pass"] for b in (1, 2))
    assert two == 2 * one


@pytest.mark.parametrize(
    ("task", "count"),
    [("scifar10", "1,365,514"), ("listops", "361,994"), ("ptbxl", "222,791"), ("cifar10-density", "38,391,908")],
)
def test_the_papers_tasks(task, count, capsys):
    assert main(["info", task]) == 0
    assert count in capsys.readouterr().out


def test_this_machine(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert f"numpy         {np.__version__}" in out
    assert "tree" in out


def test_unknown_target(capsys):
    assert main(["info", "digitz"]) == 2
    assert "no task, file or folder digitz (did you mean digits" in capsys.readouterr().err


def test_work_of_the_parts_by_hand():
    """One multiply-add for each weight of a matrix: encoder d_input D, a block's maps 2 D^2 (and D^2), decoder D d_output."""
    work = work_by_part(NetworkConfig(3, 100, 64, 5, 4, 1024, kind="autoregressive"))
    assert (work["encoder"], work["1x1 maps"], work["decoder"]) == (3 * 64, 5 * 3 * 64 * 64, 64 * 100)
    work = work_by_part(NetworkConfig(18, 10, 64, 5, 4, 1024, encoder="embedding"))
    assert (work["encoder"], work["1x1 maps"]) == (0, 5 * 2 * 64 * 64)  # a classifier decodes once a sequence, not once a step


@pytest.mark.parametrize("kind", ["classifier", "tagger", "autoregressive"])
def test_memory_is_what_a_step_holds(kind):
    """Memory that is held after the forward pass of a traced network, for the backward pass: counted by tracemalloc."""
    import gc
    import tracemalloc

    from multires_ref import init_params
    from multires_ref.network import apply, init_state
    from multires_ref.ops.tracing import value_and_gradients

    d_output = 6 if kind == "autoregressive" else 2
    held = {}
    for n_layers in (1, 3):  # the difference is two blocks and nothing else
        config = NetworkConfig(1, d_output, d_model=8, n_layers=n_layers, max_length=4000, kind=kind)
        params, x = init_params(config, np.random.default_rng(0), "float64"), np.zeros((2, 1, 4000))

        def loss(params, config=config, x=x, n_layers=n_layers):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            out, _ = apply(config, params, init_state(config, "float64"), x, training=True, engine="tree")
            gc.collect()
            held[n_layers] = tracemalloc.get_traced_memory()[0] - before
            return (out * out).sum()

        value_and_gradients(loss, params)  # what is compiled and cached at the first use is not counted
        tracemalloc.start()
        value_and_gradients(loss, params)
        tracemalloc.stop()
    one, three = (
        training_memory(
            NetworkConfig(1, d_output, d_model=8, n_layers=n, max_length=4000, kind=kind), 2, itemsize=8, compiled=numba_works()
        )
        for n in (1, 3)
    )
    counted = three["stored for the backward pass"] - one["stored for the backward pass"]
    assert (held[3] - held[1]) / counted == pytest.approx(1, abs=0.05)


def test_a_path_that_is_not_there_says_so(tmp_path, capsys):
    assert main(["info", "/nonexistent/path"]) == 2
    error = capsys.readouterr().err
    assert "there is no task, file or folder /nonexistent/path: the tasks are digits, " in error
    (tmp_path / "digits-1").mkdir()
    assert main(["info", str(tmp_path / "digits-2")]) == 2
    error = capsys.readouterr().err
    assert f"no task, file or folder {tmp_path / 'digits-2'} (did you mean {tmp_path / 'digits-1'}?)" in error
    assert "checkpoint" not in error


def test_a_folder_that_is_no_run_says_so(tmp_path, capsys):
    assert main(["info", str(tmp_path)]) == 2
    assert f"{tmp_path} holds no best.safetensors: it is no run folder" in capsys.readouterr().err
    (tmp_path / "config.json").write_text("{}")
    assert main(["info", str(tmp_path)]) == 2
    assert "a run that has not finished an epoch" in capsys.readouterr().err


def test_a_task_comes_before_a_folder_of_its_name(tmp_path, capsys, monkeypatch):
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["info", "digits"]) == 0
    assert "digits: handwritten digits" in capsys.readouterr().out
    assert main(["info", "./digits"]) == 2
    assert "it is no run folder" in capsys.readouterr().err


def test_reproduced_results_are_those_of_the_readme_and_the_guide(capsys):
    """`info digits` gives the accuracies that they report; a task that was not run says so."""
    root = Path(__file__).parents[1]
    text = (root / "README.md").read_text() + (root / "tutorials/site/guide/training.md").read_text()
    (measured,) = set(re.findall(r"test accuracy ([\d.]+, [\d.]+ and [\d.]+ %) for seeds 1,\s+2 and 3", text))
    assert main(["info", "digits"]) == 0
    out = capsys.readouterr().out
    assert f"reproduced   test accuracy {measured} for seeds 1, 2 and 3: multires-ref train digits --seed N" in out
    assert main(["info", "scifar10"]) == 0
    assert "reproduced   not yet: the full setting has not been run to its end" in capsys.readouterr().out


@pytest.mark.parametrize("size", ["0", "-3"])
def test_batch_size_is_checked(size, capsys):
    assert main(["info", "digits", "--batch-size", size]) == 2
    assert f"--batch-size must be at least 1; got {size}" in capsys.readouterr().err
