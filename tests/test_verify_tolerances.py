"""`verify`'s tolerances, and that every number is held to them: errors just above and just below, without PyTorch."""

from dataclasses import replace

import numpy as np
import pytest
from golden import CONFIGS, TOLD, group, reference
from test_authors import KINDS, random_model

from multires_ref import NetworkConfig
from multires_ref.authors.convert import params_to_authors, state_to_authors
from multires_ref.authors.derive import from_authors
from multires_ref.base.pytrees import flatten
from multires_ref.diagnose import verify
from multires_ref.diagnose.record import cast_model, random_input, record_model
from multires_ref.diagnose.verify import bias_noise, channels_last, parameters_are_float32, verify_pytorch, verify_reference
from multires_ref.network import Model

SMALL = NetworkConfig(3, 10, 6, 2, kernel_size=2, max_length=16)
BATCH = replace(SMALL, norm="batch", dropout=0.5)


class StandIn:
    """For PyTorch: our own numbers, under the authors' names, spoilt as told; and a list of what was asked."""

    def __init__(self, monkeypatch, spoil=lambda what, name, array: array):
        self.spoil, self.calls = spoil, []
        monkeypatch.setattr(verify, "import_torch", lambda what: None)
        monkeypatch.setattr(verify, "record_pytorch", self)

    def __call__(self, model, x, lengths, g, training):
        self.calls.append((model, x, lengths, g, training))
        record = record_model(model, x, lengths, g, training)
        state = state_to_authors(record.state)
        parts = {
            "values": record.values,
            "gradients": record.gradients,
            "parameters": params_to_authors(model.config, record.parameters),
            "state": state,
        }
        spoilt = {what: {name: self.spoil(what, name, a) for name, a in arrays.items()} for what, arrays in parts.items()}
        return record._replace(output=spoilt["values"]["decoder"], **spoilt)


def off_by(forward, backward):
    """Every array off by this part of itself."""

    def spoil(what, name, array):
        part = backward if what in ("gradients", "parameters") else forward
        return (array * (1 + part)).astype(array.dtype) if array.dtype.kind == "f" else array

    return spoil


LIMITS = {"float64": (1e-12, 1e-11), "float32": (1e-5, 1e-4)}


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("config", [SMALL, BATCH], ids=["layer", "batch"])
def test_every_row_is_held_to_its_tolerance(config, dtype, monkeypatch, rng):
    model = random_model(config, rng)
    x, _ = random_input(model, rng, 3, 16)
    forward, backward = LIMITS[dtype]
    StandIn(monkeypatch, off_by(forward / 2, backward / 2))
    assert verify_pytorch(model, x, dtypes=(dtype,)).passed
    StandIn(monkeypatch, off_by(2 * forward, 2 * backward))
    report = verify_pytorch(model, x, dtypes=(dtype,))
    for section in report.sections:
        training = "training" in section.title
        record = record_model(cast_model(model, dtype), x.astype(dtype), None, None, training)
        named = params_to_authors(config, model.params)
        statistics = [f"norms.{i}.running_{n}" for i in range(2) for n in ("mean", "var")] if training else []
        assert [row.name for row in section.rows] == [*record.values, *named, *statistics]
        assert section.notes[0] == f"tolerances (relative): forward {forward:.0e}, gradient {backward:.0e}"
        for row in section.rows:
            errors = [error for error in (row.forward, row.gradient) if error]
            assert len(errors) == (2 if row.name in record.values else 1)
            for error in errors:
                noisy = row.name.endswith(".bias")  # one that vanishes may be off by the rounding of its sum
                assert noisy or not error.passed, row
            limits = [(row.forward, forward), (row.gradient, backward)]
            assert all(error.tolerance == limit for error, limit in limits if error)
            assert (row.forward is None) == (row.name in named)
            assert (row.gradient is None) == (row.name in statistics)


@pytest.mark.parametrize(
    ("what", "name"),
    [("values", name) for name in ("encoder", "blocks.1.glu", "decoder")]
    + [("gradients", name) for name in ("blocks.0.conv", "pool")]
    + [("parameters", f"seq_layers.{i}.{k}") for i in (0, 1) for k in ("h0", "h1", "w")]
    + [("parameters", "norms.1.weight"), ("parameters", "encoder.weight"), ("state", "norms.1.running_var")],
)  # fmt: skip
@pytest.mark.parametrize("how", ["one per cent", "NaN", "one element"])
def test_one_spoilt_array_is_one_row(what, name, how, monkeypatch, rng):
    """In float32, whichever it is and however small beside the others: that row differs, and no other."""

    def spoil(kind, called, array):
        if (kind, called) != (what, name):
            return array
        array = array * np.float32(1.01) if how == "one per cent" else array.copy()
        if how != "one per cent":
            array.flat[-1] = np.nan if how == "NaN" else array.flat[-1] + 0.01 * np.abs(array).max()
        return array

    StandIn(monkeypatch, spoil)
    model = random_model(BATCH, rng)
    report = verify_pytorch(model, random_input(model, rng, 3, 16)[0], dtypes=("float32",))
    failed = {(s.title, row.name) for s in report.sections for row in s.rows if not row.passed}
    modes = ("training",) if what == "state" else ("evaluation", "training")
    assert failed == {(f"float32, {mode} mode", name) for mode in modes}
    assert not report.passed


def test_what_is_run(monkeypatch, rng):
    """Each dtype in each mode of BatchNorm, without dropout, on both sides the same numbers; the gradient is seeded."""
    model = random_model(BATCH, rng)
    x, _ = random_input(model, rng, 3, 16)
    theirs = StandIn(monkeypatch)
    report = verify_pytorch(model, x)
    assert [s.title for s in report.sections] == [
        f"{dtype}, {mode} mode" for dtype in ("float64", "float32") for mode in ("evaluation", "training")
    ]
    assert report.title.endswith("K = 2, m = 5, batch norm, input [3, 3, 16]")
    assert [call[-1] for call in theirs.calls] == [False, True] * 2
    for (ran, x_ran, lengths, g, _), dtype in zip(theirs.calls, ["float64"] * 2 + ["float32"] * 2, strict=True):
        assert ran.config.dropout == 0.0
        assert {a.dtype for a in flatten(ran.params).values()} == {np.dtype(dtype)}
        assert (x_ran.dtype, g.dtype, g.shape, lengths) == (dtype, dtype, (3, 10), None)
        np.testing.assert_array_equal(x_ran, x)
        np.testing.assert_array_equal(g, np.random.default_rng(0).standard_normal((3, 10)).astype(dtype))
    verify_pytorch(model, x, dtypes=("float32",), rng=np.random.default_rng(5))
    np.testing.assert_array_equal(theirs.calls[-1][3], np.random.default_rng(5).standard_normal((3, 10)).astype("float32"))
    assert len(theirs.calls) == 6
    with pytest.raises(ValueError, match="dtype must be one of"):
        verify_pytorch(model, x, dtypes=("float16",))


def test_lengths_go_to_both_sides(monkeypatch, rng):
    model = random_model(replace(SMALL, encoder="embedding", d_input=7), rng)
    x, lengths = random_input(model, rng, 3, 16)
    theirs = StandIn(monkeypatch)
    assert verify_pytorch(model, x, lengths).passed
    assert all(call[2] is lengths for call in theirs.calls)
    theirs.spoil = lambda *_: pytest.fail("not reached")
    monkeypatch.setattr(verify, "record_pytorch", lambda model, x, lengths, *rest: StandIn(monkeypatch)(model, x, None, *rest))
    assert not verify_pytorch(model, x, lengths).passed


def test_who_is_nearer_to_float64(monkeypatch, rng):
    """Ours in float32 is off by rounding; the other side by much more: at the output, of each layer and of each gradient."""
    model = random_model(SMALL, rng)
    x, _ = random_input(model, rng, 3, 16)
    StandIn(monkeypatch, off_by(3e-6, 3e-5))
    (wide, narrow) = verify_pytorch(model, x).sections
    assert {who for row in wide.rows for who in (row.nearer_forward, row.nearer_gradient)} == {""}
    assert len(wide.notes) == 1
    assert {row.nearer_forward for row in narrow.rows if row.forward} == {"ours"}
    assert {row.nearer_gradient for row in narrow.rows} == {"ours"}
    StandIn(monkeypatch, off_by(3e-6, 0.0))
    rows = verify_pytorch(model, x, dtypes=("float32",)).sections[0].rows
    assert {row.nearer_forward for row in rows if row.forward} == {"ours"}
    assert {row.nearer_gradient for row in rows} == {"same"}
    truth = cast_model(model, "float64")(x.astype(float))
    ours = model(x)
    theirs = (ours * (1 + 3e-6)).astype(np.float32)
    off = [np.linalg.norm(a - truth) / np.linalg.norm(truth) for a in (ours, theirs)]
    assert narrow.notes[1] == f"float64 truth: at the output ours is off by {off[0]:.1e}, PyTorch by {off[1]:.1e} (relative)"
    count = 2 * sum(row.forward is not None for row in narrow.rows) + sum(row.forward is None for row in narrow.rows)
    assert narrow.notes[2] == f"of {count} arrays ours is nearer in {count}, PyTorch in 0, even in 0"


# ---- stored numbers --------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "rounded", "limits"),
    [("float64", False, (1e-12, 1e-11)), ("float64", True, (1e-6, 1e-5))]
    + [("float32", rounded, (1e-5, 1e-4)) for rounded in (False, True)],
)  # fmt: skip
@pytest.mark.parametrize("name", CONFIGS)
def test_stored_numbers_are_held_to_their_tolerance(name, dtype, rounded, limits, rng):
    """All of them off by twice what is allowed: every row differs; by half of it: none does."""
    arrays = reference(name)
    model = Model(*from_authors(group(arrays, "init"), **TOLD[name]))
    compared = [key for key in arrays if key in ("eval_output", "train_output", "loss") or key.startswith("grad/")]
    forward, backward = limits
    for times, passes in ((0.4, True), (2.0, False)):
        moved = dict(arrays)
        for key in compared:
            moved[key] = arrays[key] * (1 + times * (backward if key.startswith("grad/") else forward))
        report = verify_reference(model, moved, dtype, rounded)
        assert report.passed is passes
        (section,) = report.sections
        assert sorted(row.name for row in section.rows) == sorted(key.removeprefix("grad/") for key in compared)
        for row in section.rows:
            (error,) = [e for e in (row.forward, row.gradient) if e]
            assert error.tolerance == (forward if row.forward else backward)
            assert (row.gradient is not None) == (f"grad/{row.name}" in compared)
            assert error.passed is passes or row.name.endswith(".bias"), row
        assert section.notes[0] == f"tolerances (relative): forward {forward:.0e}, gradient {backward:.0e}"
        assert len(section.notes) == (2 if rounded and dtype == "float64" else 1)
        assert (section.title, section.dtype) == (f"{dtype}, stored numbers", dtype)


@pytest.mark.parametrize("bad", ["NaN", "all NaN", "shape", "empty"])
@pytest.mark.parametrize("key", ["eval_output", "train_output", "loss", "grad/seq_layers.0.h0"])
def test_a_bad_stored_array_never_passes(key, bad):
    arrays = reference("classifier_layernorm")
    model = Model(*from_authors(group(arrays, "init"), **TOLD["classifier_layernorm"]))
    array = np.array(arrays[key], float)
    if bad == "NaN":
        array.flat[-1] = np.nan
    arrays[key] = {"NaN": array, "all NaN": array * np.nan, "shape": array[None], "empty": np.zeros(0)}[bad]
    report = verify_reference(model, arrays)
    assert (report.passed, report.first_difference()) == (False, key.removeprefix("grad/"))


def test_what_is_not_stored_is_not_compared():
    """A part of the reference gives a part of the rows; statistics and the end of a training run are no mistake to hold."""
    arrays = reference("classifier_layernorm")
    model = Model(*from_authors(group(arrays, "init"), **TOLD["classifier_layernorm"]))
    base = {"x": arrays["x"]}

    def rows(*keys):
        return [row.name for row in verify_reference(model, base | {k: arrays[k] for k in keys}).sections[0].rows]

    assert rows("eval_output") == ["eval_output"]
    assert rows("train_output", "traj_loss", "traj_lr") == ["train_output"]
    assert rows("target", "loss") == ["loss"]
    assert rows("target", "grad/encoder.weight", "eval_output") == ["eval_output", "encoder.weight"]
    with pytest.raises(ValueError, match="must hold 'target', without which 'grad/encoder.weight' cannot be compared"):
        rows("grad/encoder.weight", "eval_output")
    with pytest.raises(ValueError, match="must hold 'eval_output', 'train_output' or 'loss', to compare with"):
        rows("target")


# ---- small parts --------------------------------------------------


def test_which_layers_of_pytorch_have_channels_last():
    layer, batch, tokens = SMALL, BATCH, replace(SMALL, encoder="embedding")
    assert [channels_last(n, layer) for n in ("encoder", "blocks.0.norm", "blocks.0.conv")] == [False, True, False]
    assert [channels_last(n, batch) for n in ("encoder", "blocks.0.norm")] == [False, False]
    assert [channels_last(n, tokens) for n in ("encoder", "blocks.0.mix", "decoder")] == [True, False, False]


def test_the_noise_of_each_bias_is_of_its_own_layer(rng):
    model = random_model(KINDS["batch norm"], rng, "float64")
    x, _ = random_input(model, rng, 3, 32)
    record = record_model(model, x, None, rng.standard_normal(model(x).shape), True)
    noise = bias_noise(model.config, record.gradients)
    names = {"encoder": "encoder.bias", "blocks.1.mix": "mixing_layers.1.0.bias", "blocks.0.norm": "norms.0.bias"}
    names |= {"decoder": "output_mapping.bias"}
    for layer, bias in names.items():
        terms = np.abs(record.gradients[layer])
        worst = terms.sum(axis=(0, 2)).max() if terms.ndim == 3 else terms.sum(axis=0).max()
        assert noise[bias] == pytest.approx(8 * 2.0**-52 * worst)
    assert set(noise) == {name for name in params_to_authors(model.config, model.params) if name.endswith(".bias")}


def test_whether_parameters_were_rounded(rng):
    model = random_model(SMALL, rng, "float64")
    assert not parameters_are_float32(model)
    rounded = cast_model(cast_model(model, "float32"), "float64")
    assert parameters_are_float32(rounded)
    assert parameters_are_float32(cast_model(model, "float32"))
    rounded.params["blocks"][1]["conv"]["h1"].flat[-1] += 1e-12
    assert not parameters_are_float32(rounded)
