"""`multires-ref verify pytorch` and `pywavelets`: reports, verdicts, exit status; and that a wrong number is seen."""

import json
import re
import sys
import warnings

import numpy as np
import pytest
import pywt
from golden import CONFIGS, DATA, TOLD, group, reference
from test_authors import KINDS, random_model

from multires_ref import NetworkConfig, save_model
from multires_ref.authors.derive import from_authors
from multires_ref.base.agreement import measure
from multires_ref.base.tables import text_table
from multires_ref.cli import main
from multires_ref.diagnose import pywavelets, verify
from multires_ref.diagnose.pywavelets import Relation, check_pywavelets, format_relations
from multires_ref.diagnose.record import random_input, record_model
from multires_ref.diagnose.report import Report, Row, Section, nearer
from multires_ref.diagnose.verify import verify_reference
from multires_ref.network import Model


def no_torch(monkeypatch):
    """As if PyTorch were not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("torch_model", "torch_operations"):
        monkeypatch.delitem(sys.modules, f"multires_ref.authors.{name}", raising=False)


# ---- errors --------------------------------------------------


def test_measures():
    b = np.array([3.0, 4.0])
    error = measure(b + [0.0, 0.5], b, tolerance=0.125)  # 0.5 of the largest, 4
    assert (error.relative, error.largest, error.passed) == (0.1, 0.5, True)
    assert error.ulp == 0.5 / np.spacing(4.0)
    assert not measure(b + [0.0, 0.5], b, tolerance=0.09).passed
    assert measure(b + [0.0, 0.5], b, tolerance=0.09, noise=0.51).passed  # 0.5 <= 0.51


def test_ulp_is_of_the_dtype():
    one = np.float32([1.0])
    assert measure(np.nextafter(one, np.float32(2)), one, 1.0).ulp == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_a_number_never_passes(bad):
    error = measure(np.array([1.0, bad]), np.ones(2), tolerance=1e300, noise=1e300)
    assert not error.passed


def test_zeros():
    assert measure(np.zeros(2), np.zeros(2), 0.0).passed
    assert measure(np.ones(2), np.zeros(2), 1e300).relative == np.inf


def test_what_never_agrees():
    nan, inf = np.array([np.nan, 1.0]), np.array([np.inf, 1.0])
    for a, b in [
        (np.ones(2), np.ones((2, 1))),
        (np.ones(0), np.ones(0)),
        (nan, nan),
        (inf, -inf),
        (inf, np.ones(2)),
        (np.ones(2), inf),
    ]:
        assert not measure(a, b, 1e300, noise=1e300).passed
    assert measure(inf, inf, 1e-12).passed
    assert not measure(inf, inf + np.array([0.0, 1e-9]), 1e-12).passed


def test_each_array_is_measured_by_its_own_size():
    """Neither the other arrays of a report nor the side that is held to the reference changes the scale, however small it is."""
    small = np.full(3, 1e-200)
    assert measure(small * 1.01, small, 1e-3).relative == pytest.approx(0.01)
    assert measure(3 * small, small, 1.0).relative == pytest.approx(2.0)
    assert measure(small, 3 * small, 1.0).relative == pytest.approx(2 / 3)


def test_an_empty_report_does_not_pass():
    assert not Report("t", []).passed
    assert not Row("x").passed
    report = Report("t", [Section("float64", "float64", [])])
    assert not report.passed
    assert report.verdict() == "verdict: not passed, nothing was compared in float64"


def test_nearer():
    truth = np.array([1.0, 2.0])
    assert nearer(truth + 1e-7, truth + 2e-7, truth) == "ours"
    assert nearer(truth - 2e-7, truth + 1e-7, truth) == "PyTorch"
    assert nearer(truth, truth, truth) == "same"


def test_table():
    assert text_table(["a", "bb"], [["long", "1"], ["x", "200"]]) == "a      bb\nlong    1\nx     200"


# ---- records --------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_layers_add_up_to_those_of_biases(kind, training, rng):
    """A bias is added to every number of its channel, so its gradient is the sum of what arrives at the layer's output."""
    model = random_model(KINDS[kind], rng, "float64")
    x, lengths = random_input(model, rng, 3, 32)
    g = rng.standard_normal(model(x, lengths).shape)
    record = record_model(model, x, lengths, g, training)
    assert list(record.gradients) == list(record.values)
    named = {"mix": "mix.bias", "mix2": "mix2.bias", "norm": "norm.bias"}
    checked = 0
    for name, gradient in record.gradients.items():
        assert gradient.shape == record.values[name].shape
        layer = name.rpartition(".")[2]
        bias = record.parameters.get(f"{name.removesuffix(layer)}{named.get(layer, layer + '.bias')}")
        if bias is not None:
            axes = (0, 2) if gradient.ndim == 3 else (0,)
            np.testing.assert_allclose(gradient.sum(axis=axes), bias, rtol=1e-10, atol=1e-12, err_msg=name)
            checked += 1
    assert checked >= 2 * model.config.n_layers + 1
    np.testing.assert_array_equal(record.gradients["decoder"], g)


def test_a_record_is_the_model(rng):
    model = random_model(KINDS["classifier"], rng)
    x, _ = random_input(model, rng, 2, 32)
    record = record_model(model, x)
    np.testing.assert_array_equal(record.output, model(x))
    assert record.gradients == {}
    assert record.output.dtype == np.float32


# ---- against stored numbers: no PyTorch --------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
def test_reference_without_pytorch(name, monkeypatch, capsys):
    no_torch(monkeypatch)
    told = ["--max-length", str(TOLD[name]["max_length"]), "--tree-select", TOLD[name]["tree_select"]]
    assert main(["verify", "pytorch", "--reference", str(DATA / f"{name}.npz"), *told]) == 0
    out = capsys.readouterr().out
    assert "verdict: all within tolerance" in out
    assert "float64, stored numbers" in out
    assert "float32, stored numbers" in out
    for key in group(reference(name), "grad"):
        assert f"\n{key} " in out


@pytest.mark.parametrize("name", CONFIGS)
def test_reference_from_the_checkpoint(name, capsys):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    files = [str(DATA / f"{name}.pth"), "--reference", str(DATA / f"{name}.npz")]
    told = ["--max-length", str(TOLD[name]["max_length"]), "--tree-select", TOLD[name]["tree_select"]]
    assert main(["verify", "pytorch", *files, *told, "--dtype", "float64"]) == 0
    assert "rounded to float32" in capsys.readouterr().out


def test_a_wrong_assumption_differs_and_is_named(capsys):
    """Without the length the uniform tree of m = 12 is taken for a fading one of depth 11: that cannot be seen in the file."""
    path = str(DATA / "multilabel_db2_uniform.npz")
    assert main(["verify", "pytorch", "--reference", path, "--dtype", "float64"]) == 1
    out = capsys.readouterr().out
    assert "DIFFERS" in out
    assert "the first of them eval_output" in out
    assert "assumed, because it is not in the file: tree_select = fading, depth = 11, max_length = 6142" in out
    assert "with a uniform tree of depth 4 everything agrees: pass --tree-select uniform --depth 4" in out


@pytest.mark.parametrize("key", ["eval_output", "train_output", "loss", "grad/seq_layers.1.w"])
def test_one_wrong_number_is_seen(key):
    name = "classifier_layernorm"
    arrays = reference(name)
    model = Model(*from_authors(group(arrays, "init"), **TOLD[name]))
    assert verify_reference(model, arrays).passed
    arrays[key].flat[0] += 1e-9
    report = verify_reference(model, arrays)
    assert not report.passed
    assert report.first_difference() == key.removeprefix("grad/")


def test_what_a_reference_must_hold():
    model = Model.init(NetworkConfig(3, 10, 8, 1, max_length=32), np.random.default_rng(0))
    x = np.zeros((1, 3, 32))
    with pytest.raises(ValueError, match=r"must hold 'x'; it holds \['eval_output'\]"):
        verify_reference(model, {"eval_output": x})
    with pytest.raises(ValueError, match=r"holds 'eval_outputs' \(did you mean 'eval_output'\?\), which is not known"):
        verify_reference(model, {"x": x, "eval_output": x, "eval_outputs": x})
    with pytest.raises(ValueError, match="must hold 'target', without which 'loss' cannot be compared"):
        verify_reference(model, {"x": x, "loss": np.array(2.0)})
    with pytest.raises(ValueError, match="must hold 'eval_output', 'train_output' or 'loss'"):
        verify_reference(model, {"x": x})
    arrays = {"x": x, "eval_output": model(x.astype(np.float32)).astype(float)}
    assert [row.name for row in verify_reference(model, arrays, rounded=True).sections[0].rows] == ["eval_output"]
    arrays |= {"target": np.array([1]), "loss": np.array(2.0), "grad/foreign": np.zeros(3)}
    with pytest.raises(ValueError, match=r"parameters that the model does not have: \['foreign'\]"):
        verify_reference(model, arrays)


@pytest.mark.parametrize("content", [None, b"no zip", "text"])
def test_bad_reference_files(content, tmp_path, capsys):
    path = tmp_path / "x.npz"
    if content == "text":
        np.savez(path, x=np.zeros(3), eval_output=np.zeros(3))
    elif content is not None:
        path.write_bytes(content)
    assert main(["verify", "pytorch", "--reference", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("multires-ref: ")
    assert error.count("\n") == 1
    if content == "text":
        assert "checkpoint must be given" in error


# ---- live --------------------------------------------------


def test_without_pytorch_there_is_one_line(monkeypatch, capsys):
    no_torch(monkeypatch)
    assert main(["verify", "pytorch"]) == 2
    assert capsys.readouterr().err == ("multires-ref: verifying against PyTorch needs PyTorch: pip install torch\n")
    assert main(["verify", "pytorch", str(DATA / "autoregressive.pth")]) == 2
    assert "reading autoregressive.pth needs PyTorch: pip install torch" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_layer_by_layer(kind, rng):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    model = random_model(KINDS[kind], rng)
    x, lengths = random_input(model, rng, 3, 32)
    report = verify.verify_pytorch(model, x, lengths)
    assert report.passed, str(report)
    batch = model.config.norm == "batch"
    modes = ["evaluation", "training"] if batch else ["evaluation"]
    assert [s.title for s in report.sections] == [f"{dtype}, {mode} mode" for dtype in ("float64", "float32") for mode in modes]
    record = record_model(model, x, lengths)
    for section in report.sections:
        rows = {row.name: row for row in section.rows}
        assert all(rows[name].forward and rows[name].gradient for name in record.values)
        assert all(rows[f"seq_layers.{i}.{p}"].gradient for i in range(2) for p in ("h0", "h1", "w"))
        assert ("norms.0.running_var" in rows) == (batch and "training" in section.title)
        assert bool(rows["decoder"].nearer_forward) == (section.dtype == "float32")
        assert ("float64 truth" in "".join(section.notes)) == (section.dtype == "float32")


@pytest.mark.parametrize("where", ["layer", "parameter", "statistics"])
def test_a_differing_layer_is_reported(where, monkeypatch, capsys, rng, tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from multires_ref.authors import torch_model

    right = torch_model.to_torch

    def wrong(model):
        module = right(model)
        if where == "layer":
            module.seq_layers[1].activation.approximate = "tanh"
        elif where == "parameter":
            module.norms[1].bias.register_hook(lambda g: g * (1 + 1e-6))
        else:
            module.norms[1].momentum = 0.11
        return module

    monkeypatch.setattr(torch_model, "to_torch", wrong)
    save_model(random_model(KINDS["batch norm"], rng), tmp_path / "x.safetensors")
    assert main(["verify", "pytorch", str(tmp_path / "x.safetensors"), "--dtype", "float64"]) == 1
    out = capsys.readouterr().out
    first = {"layer": "blocks.1.gelu", "parameter": "norms.1.bias", "statistics": "norms.1.running_mean"}[where]
    assert re.search(rf"^{re.escape(first)} .* DIFFERS$", out, re.M)
    if where != "layer":  # a wrong layer also spoils the gradients of those before it
        assert f"the first of them {first}" in out


def test_files_are_written(tmp_path, capsys):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    assert main(["verify", "pytorch", "--out", str(tmp_path / "new" / "folder"), "--length", "40", "--batch-size", "2"]) == 0
    written = tmp_path / "new" / "folder"
    assert sorted(p.name for p in written.iterdir()) == ["error_by_layer.png", "report.json"]
    report = json.loads((written / "report.json").read_text())
    assert report["passed"] is True
    assert [s["dtype"] for s in report["sections"]] == ["float64", "float32"]
    assert report["sections"][0]["rows"][0]["forward"].keys() == {"relative", "largest", "ulp", "tolerance", "passed"}
    assert "input [2, 3, 40]" in capsys.readouterr().out


def test_json_holds_no_infinity():
    rows = [Row("a", measure(np.ones(2), np.zeros(2), 1e-3)), Row("b", gradient=measure(np.array([np.nan]), np.ones(1), 1.0))]
    report = Report("t", [Section("float64", "float64", rows)])
    json.dumps(report.to_dict(), allow_nan=False)
    assert report.verdict() == "verdict: 2 rows differ, the first of them a (float64)"


@pytest.mark.parametrize(
    ("config", "B", "L"),
    [
        (KINDS["classifier"], 16, 32),
        (KINDS["classifier"], 8, 16),
        (KINDS["tokens"], 32, 32),
        (KINDS["autoregressive"], 16, 16),
        (KINDS["classifier"], 10, 8),
    ],
)
def test_axes_of_equal_length_confuse_nothing(config, B, L, rng):
    """Batch size equal to 2 D, to D, to L or to the classes, length equal to 2 D or D."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    model = random_model(config, rng)
    report = verify.verify_pytorch(model, *random_input(model, rng, B, L), dtypes=("float64",))
    assert report.passed, str(report)


def test_batch_size_of_the_command(capsys):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    assert main(["verify", "pytorch", "--batch-size", "16", "--length", "32", "--dtype", "float64"]) == 0


def test_a_tree_that_is_asked_for_is_verified(capsys):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    assert main(["verify", "pytorch", "--depth", "3", "--tree-select", "uniform", "--length", "40", "--dtype", "float64"]) == 0
    assert "uniform tree of depth 3, K = 2, m = 8" in capsys.readouterr().out


def test_no_flag_is_ignored(capsys):
    path = str(DATA / "classifier_layernorm.npz")
    assert main(["verify", "pytorch", "--reference", path, "--batch-size", "3"]) == 2
    assert "--batch-size: not to be given with --reference" in capsys.readouterr().err


def test_an_assumption_stands_beside_a_verdict_that_passes(tmp_path, rng, capsys):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    save_model(random_model(KINDS["uniform"], rng), tmp_path / "ours.pth")
    bare = dict(torch.load(tmp_path / "ours.pth", weights_only=True))  # without the settings, as the authors' code saves it
    torch.save(bare, tmp_path / "x.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # load_model may warn of the same
        main(["verify", "pytorch", str(tmp_path / "x.pth"), "--dtype", "float64", "--length", "32"])
    out = capsys.readouterr().out
    assert "verdict: all within tolerance; assumed, because it is not in the file: tree_select = fading" in out


def test_a_filter_gradient_is_not_measured_by_a_larger_one(monkeypatch, rng):
    """One per cent off in float32, in the smallest gradient of all."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from multires_ref.authors import torch_model

    right = torch_model.to_torch

    def wrong(model):
        module = right(model)
        module.seq_layers[0].h0.register_hook(lambda g: g * 1.01)
        return module

    monkeypatch.setattr(torch_model, "to_torch", wrong)
    model = random_model(KINDS["classifier"], rng)
    report = verify.verify_pytorch(model, *random_input(model, rng, 3, 32), dtypes=("float32",))
    assert [row.name for row in report.sections[0].rows if not row.passed] == ["seq_layers.0.h0"]


# ---- PyWavelets --------------------------------------------------


def test_pywavelets(capsys):
    assert main(["verify", "pywavelets", "haar", "db2"]) == 0
    assert "2 of 2 wavelets hold all relations" in capsys.readouterr().out
    assert main(["verify", "pywavelets", "all", "--level", "1"]) == 0
    out = capsys.readouterr().out
    n = len(pywt.wavelist(kind="discrete"))
    assert f"\n{n} of {n} wavelets hold all relations\n" in out
    assert out.count(" ok") == 10


def test_the_level_is_the_one_that_was_asked_for(capsys):
    """The table is the one of `check_pywavelets` at that level, whose errors are others at other levels."""
    for flags, level in ((["--level", "5"], 5), ([], 3)):
        assert main(["verify", "pywavelets", "db4", "sym5", *flags]) == 0
        tables = [format_relations(check_pywavelets(name, level=level), name) for name in ("db4", "sym5")]
        assert capsys.readouterr().out == "\n\n".join(tables) + "\n\n2 of 2 wavelets hold all relations\n"
    assert format_relations(check_pywavelets("db4", level=5), "db4") != tables[0]
    assert main(["verify", "pywavelets"]) == 0
    assert "4 of 4 wavelets" in capsys.readouterr().out


def test_of_many_wavelets_the_worst_is_shown(monkeypatch, capsys):
    """For every relation its largest error, whose it is, how many wavelets it applies to; FAIL if it fails for any of them."""
    errors = {"haar": 3e-9, "db1": None, "db2": 5e-9, "db3": 1e-9, "db4": 4e-9}
    tables = {
        name: [Relation("a", "applies to some", error, 1e-8), Relation("b", "fails", 1.0, 1.0)] for name, error in errors.items()
    }
    tables["db3"][1] = Relation("b", "fails", 1e-3, 1e-4)  # not the largest error, and the only one that is too large
    monkeypatch.setattr(pywavelets, "check_pywavelets", lambda name, level: tables[name])
    assert main(["verify", "pywavelets", *errors]) == 1
    out = capsys.readouterr().out
    some, fails = (" ".join(line.split()) for line in out.splitlines()[1:3])
    assert some == "a applies to some 5.0e-09 db2 4 1e-08 ok"
    assert fails == "b fails 1.0e+00 haar 5 1e+00 FAIL"
    assert out.endswith("\n4 of 5 wavelets hold all relations; not: ['db3']\n")


def test_pywavelets_bad_name(capsys):
    assert main(["verify", "pywavelets", "haar", "dbb4"]) == 2
    assert "did you mean 'db4'" in capsys.readouterr().err


def test_a_relation_that_fails_gives_status_1(monkeypatch, capsys):
    right = pywavelets.check_pywavelets
    spoilt = lambda *args, **options: [row._replace(tolerance=-1.0) for row in right(*args, **options)]  # noqa: E731
    monkeypatch.setattr(pywavelets, "check_pywavelets", spoilt)
    assert main(["verify", "pywavelets", "haar"]) == 1
    assert "0 of 1 wavelets hold all relations; not: ['haar']" in capsys.readouterr().out
    assert main(["verify", "pywavelets", "haar", "db1", "db2", "db3", "db4"]) == 1
    assert "FAIL" in capsys.readouterr().out
