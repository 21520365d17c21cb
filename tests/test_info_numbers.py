"""Every figure of `multires-ref info` is counted again here, for tasks and for a run folder; and its flags."""

import sys
from importlib.metadata import version

import pytest
from stand_in import NETWORKS, put_in_place, untrained_run

import multires_ref
from multires_ref import NetworkConfig, init_params
from multires_ref.base.compiled import numba_works
from multires_ref.cli import main
from multires_ref.engines import ENGINES
from multires_ref.tasks import get_task


def printed(capsys):
    """The lines as {heading: {name: value}}, the first block under ""."""
    blocks, heading = {"": {}}, ""
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("  "):
            name, _, value = line.strip().partition("  ")
            blocks[heading][name] = value.strip()
        else:
            heading = line
            blocks[heading] = {}
    return blocks


def counts(config: NetworkConfig, batch: int) -> dict[str, dict[str, str]]:
    """What the tables should hold, by sums over the arrays of a real network and the formulas of the paper."""
    import numpy as np

    D, K, J, m = config.d_model, config.kernel_size, config.J, config.m
    params = init_params(config, np.random.default_rng(0))
    blocks = params["blocks"]
    sizes = lambda tree: sum(sizes(t) for t in tree.values()) if isinstance(tree, dict) else tree.size  # noqa: E731
    parts = {
        "encoder": sizes(params["encoder"]),
        "filters h0, h1": sum(b["conv"]["h0"].size + b["conv"]["h1"].size for b in blocks),
        "memory weights w": sum(b["conv"]["w"].size for b in blocks),
        "skip weights": sum(b["conv"]["w_skip"].size for b in blocks),
        "1x1 maps": sum(sizes(b[name]) for b in blocks for name in ("mix", "mix2") if name in b),
        "norms": sum(sizes(b["norm"]) for b in blocks),
        "decoder": sizes(params["decoder"]),
    }
    total = sum(parts.values())
    autoregressive = config.kind == "autoregressive"
    readout = J * K + (J * K if config.tree_select == "fading" else 0) + 1
    work = {
        "encoder": 0 if config.encoder == "embedding" else config.d_input * D,
        "tree": config.n_layers * D * readout,
        "1x1 maps": config.n_layers * D * D * (3 if autoregressive else 2),
    } | ({} if config.kind == "classifier" else {"decoder": D * config.d_output})
    stored = config.n_layers * (5 + autoregressive + (not numba_works())) * batch * D * config.max_length
    past = config.n_layers * D * (K - 1) * (2**J - 1)
    mib = lambda numbers: f"{4 * numbers / 1024 / 1024:,.1f} MiB"  # noqa: E731
    return {
        "tree": {
            "depth J": f"{J}", "memory size m": f"{m}", "receptive field": f"{(K - 1) * (2**J - 1) + 1:,} samples a layer",
        },
        "parameters": {name: f"{n:,}" for name, n in parts.items()} | {"all": f"{total:,}"},
        "work, multiply-adds a time step, forward": {name: f"{n:,}" for name, n in work.items()},
        f"memory of a training step, batch {batch}, {config.max_length} steps, float32": {
            "stored for the backward pass": mib(stored),
            "parameters, gradients, two moments": mib(4 * total),
            "past that one stream keeps": mib(past),
        },
    }  # fmt: skip


def settings_of(config):
    return {name: str(value) for name, value in config.to_dict().items() if value is not None}


@pytest.mark.parametrize("batch", [None, 7])
@pytest.mark.parametrize("name", ["digits", "digits-density", "listops", "ptbxl", "copying"])
def test_a_task(name, batch, capsys):
    task = get_task(name)
    assert main(["info", name, *([] if batch is None else ["--batch-size", str(batch)])]) == 0
    shown = printed(capsys)
    assert shown["configuration"] == settings_of(task.network)
    for heading, table in counts(task.network, batch or task.training.batch_size).items():
        assert shown[heading] == table
    t = task.training
    assert shown[f"{name}: {task.title}"] == {
        "published": task.published or "nothing: this task is not in the paper",
        "reproduced": task.reproduced or "not yet: the full setting has not been run to its end with this code",
        "training": f"{t.optimizer}, lr {t.lr:g}, weight decay {t.weight_decay:g}, batch {t.batch_size}, {t.epochs} epochs, "
        f"warm-up {t.warmup_epochs:g}",
    }


def test_each_result_stands_in_its_place(monkeypatch, capsys):
    put_in_place(monkeypatch, "classes")
    assert main(["info", "digits"]) == 0
    shown = printed(capsys)
    assert "memory of a training step, batch 4, 16 steps, float32" in shown  # the task's own batch
    assert shown["digits: a stand-in of classes"] == {
        "published": "12.5 % in Table 9",
        "reproduced": "nothing yet",
        "training": "adamw, lr 0.01, weight decay 0.03, batch 4, 2 epochs, warm-up 0.5",
    }


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("flags", "batch"), [([], 50), (["--batch-size", "3"], 3)])
def test_a_run(kind, flags, batch, tmp_path, capsys):
    run = untrained_run(tmp_path / "run", kind)
    for path in (run, run / "last.safetensors"):
        assert main(["info", str(path), *flags]) == 0
        shown = printed(capsys)
        assert str(path) in shown
        assert shown["configuration"] == settings_of(NETWORKS[kind])
        for heading, table in counts(NETWORKS[kind], batch).items():
            assert shown[heading] == table


def test_the_machine_and_its_gpu(monkeypatch, capsys):
    monkeypatch.setattr("multires_ref.bench.gpu_info.gpu_report", lambda: ["gpu: one of wood"])
    from multires_ref.commands import info

    monkeypatch.setattr(info, "PACKAGES", ("numpy", "no-such-package"))
    for flags, last in (([], None), (["--device", "cpu"], None), (["--device", "gpu"], "gpu: one of wood")):
        assert main(["info", *flags]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"multires_ref {multires_ref.__version__}, Python {sys.version.split()[0]}, ")
        assert [line.split() for line in lines[1:3]] == [["numpy", version("numpy")], ["no-such-package", "not", "installed"]]
        end = 4 + len(ENGINES)
        assert {line.split()[0] for line in lines[4:end]} == set(ENGINES)
        assert lines[end:] == ([last] if last else [])
