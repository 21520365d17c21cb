"""Every flag of `multires-ref verify` reaches what is verified, and the status is that of the verdict; without PyTorch."""

import json

import numpy as np
import pytest
from golden import DATA, TOLD, reference
from test_authors import KINDS, random_model

from multires_ref import Model, NetworkConfig, save_model
from multires_ref.base.agreement import measure
from multires_ref.base.checks import FLOATS
from multires_ref.cli import main
from multires_ref.diagnose import error_study, gradients
from multires_ref.diagnose import verify as diagnose_verify
from multires_ref.diagnose.gradients import GradientRow, format_gradients
from multires_ref.diagnose.record import random_input
from multires_ref.diagnose.report import Report, Row, Section

RANDOM = NetworkConfig(3, 10, 16, 3, 2, 256)  # what is verified where nothing is given


@pytest.fixture
def verified(monkeypatch):
    """What is compared with PyTorch, instead of comparing it."""
    seen = []

    def verify_pytorch(model, x, lengths=None, dtypes=FLOATS, rng=None):
        seen.append((model, x, lengths, dtypes))
        return Report("t", [Section("s", "float64", [Row("a", measure(np.ones(2), np.ones(2), 1e-9))])])

    monkeypatch.setattr(diagnose_verify, "verify_pytorch", verify_pytorch)
    return seen


@pytest.mark.parametrize(
    ("flags", "config", "seed", "batch", "length", "dtypes"),
    [
        ([], RANDOM, 0, 4, 256, FLOATS),
        (["--seed", "5", "--batch-size", "2", "--length", "40"], RANDOM, 5, 2, 40, FLOATS),
        (["--dtype", "float32"], RANDOM, 0, 4, 256, ("float32",)),
        (["--depth", "3"], NetworkConfig(3, 10, 16, 3, 2, 256, depth=3), 0, 4, 256, FLOATS),
        (["--max-length", "2048"], NetworkConfig(3, 10, 16, 3, 2, 2048), 0, 4, 1024, FLOATS),
        (
            ["--tree-select", "uniform", "--depth", "2", "--max-length", "8"],
            NetworkConfig(3, 10, 16, 3, 2, 8, tree_select="uniform", depth=2, memory_size=6), 0, 4, 8, FLOATS,
        ),
    ],
)  # fmt: skip
def test_flags_of_the_random_network_and_input(flags, config, seed, batch, length, dtypes, verified):
    assert main(["verify", "pytorch", *flags]) == 0
    model, x, lengths, used = verified[0]
    rng = np.random.default_rng(seed)
    expected = Model.init(config, rng, "float64")
    assert (model.config, used) == (config, dtypes)
    np.testing.assert_array_equal(model.params["encoder"]["weight"], expected.params["encoder"]["weight"])
    np.testing.assert_array_equal(x, random_input(expected, rng, batch, length)[0])
    assert x.shape == (batch, 3, length)


def test_a_checkpoint_is_read_with_what_is_given(verified, tmp_path, rng, capsys):
    """Its own parameters; what was given or assumed; a report with its picture in a new folder."""
    model = random_model(KINDS["uniform"], rng)
    save_model(model, tmp_path / "x.safetensors")
    out = tmp_path / "new/folder"
    assert main(["verify", "pytorch", str(tmp_path / "x.safetensors"), "--batch-size", "3", "--out", str(out)]) == 0
    assert verified[0][0].config == model.config
    np.testing.assert_array_equal(verified[0][0].params["decoder"]["weight"], model.params["decoder"]["weight"])
    assert verified[0][1].shape[0] == 3
    assert json.loads((out / "report.json").read_text())["passed"] is True
    assert (out / "error_by_layer.png").read_bytes()[1:4] == b"PNG"
    assert f"wrote {out / 'report.json'} and {out / 'error_by_layer.png'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--batch-size", "0"], "batch-size must be at least 1"),
        (["--length", "0"], "length must be at least 1"),
        (["--seed", "-1"], "seed must be at least 0"),
        (["--depth", "0"], "depth must be between 1"),
    ],
)
def test_bad_flags_are_named(flags, message, verified, capsys):
    assert main(["verify", "pytorch", *flags]) == 2
    assert message in capsys.readouterr().err
    assert not verified


@pytest.mark.parametrize("flag", ["--length", "--batch-size", "--seed"])
def test_the_input_is_in_the_reference(flag, capsys):
    assert main(["verify", "pytorch", "--reference", str(DATA / "classifier_layernorm.npz"), flag, "3"]) == 2
    assert f"{flag}: not to be given with --reference" in capsys.readouterr().err


def test_a_wrong_reference_gives_status_1_in_the_dtypes_asked_for(tmp_path, capsys, monkeypatch):
    """One stored number of many is wrong; the report says which, in the dtypes that were asked for."""
    # takes long; it is tried in test_verify.py
    monkeypatch.setattr("multires_ref.diagnose.usual_mistakes.other_trees", lambda *args: [])
    name = "classifier_layernorm"
    arrays = reference(name)
    told = ["--max-length", str(TOLD[name]["max_length"]), "--tree-select", TOLD[name]["tree_select"]]
    arrays["eval_output"].flat[3] += 1e-2
    np.savez(tmp_path / "x.npz", **arrays)
    for flags, dtypes in (
        ([], {"float32", "float64"}),
        (["--dtype", "float32"], {"float32"}),
        (["--dtype", "float64"], {"float64"}),
    ):
        assert main(["verify", "pytorch", "--reference", str(tmp_path / "x.npz"), *told, *flags]) == 1
        out = capsys.readouterr().out
        assert "the first of them eval_output" in out
        assert {dtype for dtype in FLOATS if f"{dtype}, stored numbers" in out} == dtypes


@pytest.mark.parametrize(("passed", "status"), [((True, True), 0), ((True, False), 1), ((False, True), 1)])
def test_one_gradient_that_is_wrong_gives_status_1(passed, status, monkeypatch, capsys):
    asked = []
    rows = [GradientRow("gelu", n, 1e-9, None, good) for n, good in enumerate(passed)]
    monkeypatch.setattr(gradients, "check_gradients", lambda op: asked.append(op) or rows)
    assert main(["verify", "gradients"]) == status
    assert main(["verify", "gradients", "--op", "gelu"]) == status
    assert asked == [None, "gelu"]
    assert capsys.readouterr().out == 2 * f"{format_gradients(rows)}\n"


def test_one_operation_is_the_one_that_was_named(capsys):
    assert main(["verify", "gradients", "--op", "gelu"]) == 0
    printed = capsys.readouterr().out
    assert {line.split(" ")[0].rstrip(",") for line in printed.split("\n\n")[0].splitlines()[1:]} - {""} == {"gelu"}


def test_errors_up_to_the_longest(monkeypatch, tmp_path, capsys):
    """The three studies with the sizes that --longest asks for, printed and written as they are."""
    monkeypatch.setattr(error_study, "engines_here", lambda: ["tree"])
    assert main(["verify", "errors", "--longest", "40", "--out", str(tmp_path / "out")]) == 0
    studies = {
        "depth": error_study.error_by_depth(range(1, 6), 40),
        "length": error_study.error_by_length([16, 32]),
        "peak": error_study.error_by_peak(length=40, depth=5),
    }
    written = json.loads((tmp_path / "out/error_studies.json").read_text())
    assert written == json.loads(json.dumps({name: [row._asdict() for row in rows] for name, rows in studies.items()}))
    heads = ["relative error by depth", "relative error by length", "relative error before a spike"]
    tables = [f"{head}\n{error_study.format_study(rows)}\n\n" for head, rows in zip(heads, studies.values(), strict=True)]
    where = tmp_path / "out"
    assert (
        capsys.readouterr().out == "".join(tables) + f"wrote {where / 'error_studies.json'} and {where / 'error_studies.png'}\n"
    )
    assert main(["verify", "errors", "--longest", "15"]) == 2
    assert "longest must be at least 16; got 15" in capsys.readouterr().err
