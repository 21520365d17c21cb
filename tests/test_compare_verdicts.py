"""Verdicts of `compare`: how small a mistake is seen and where, and what is said of all that a verdict does not cover."""

import re

import pytest
from test_authors import KINDS, random_model

from multires_ref import NetworkConfig, compare
from multires_ref.diagnose.record import random_input

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import planted as p  # noqa: E402

from multires_ref.authors.torch_model import mean_over_time, to_torch  # noqa: E402
from multires_ref.diagnose.modules import foreign_constants  # noqa: E402

CONFIG = NetworkConfig(3, 10, 8, 2, kernel_size=3, max_length=32)


def right(rng, config=CONFIG, B=3, L=20):
    model = random_model(config, rng)
    return to_torch(model), model, *random_input(model, rng, B, L)


# ---- how small a mistake is seen, and where --------------------------------------------------


def scaled_backward(factor, training=(False, True)):
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g * factor

    class Gelu(torch.nn.GELU):
        def forward(self, x):
            return super().forward(Scale.apply(x) if self.training in training else x)

    return Gelu


@pytest.mark.parametrize(("dtype", "seen", "unseen"), [("float64", 3e-9, 3e-10), ("float32", 3e-4, 3e-6)])
def test_how_wrong_a_gradient_may_be(dtype, seen, unseen, rng):
    for off, passed in ((seen, False), (unseen, True)):
        module, model, x, _ = right(rng)
        p.plant_activation(scaled_backward(1 + off))(module, only=1)
        report = compare(module, model, x, dtype=dtype)
        assert report.passed == passed
        differing = {row.name for row in report.gradients["evaluation"] if not row.error.passed}
        assert ("blocks.1.conv.w" in differing) == (not passed)
        assert not {"blocks.1.mix.weight", "decoder.weight"} & differing  # they do not pass through it


def test_a_gradient_wrong_in_training_alone_is_said_to_be(rng):
    module, model, x, _ = right(rng)
    p.plant_activation(scaled_backward(1.1, (True,)))(module)
    report = compare(module, model, x)
    assert all(row.error.passed for row in report.gradients["evaluation"])
    assert "the first gradient that differs is that of input (x, training mode)" in str(report)


def test_an_input_that_no_gradient_reaches_is_seen(rng):
    module, model, x, _ = right(rng)
    report = compare(module, model, x, call=lambda m, x: m(x.detach()))
    assert (report.passed, report.first.name) == (False, "input")
    assert [row.name for row in report.gradients["evaluation"] if not row.error.passed] == ["input"]


@pytest.mark.parametrize(("dtype", "seen", "unseen"), [("float64", 3e-10, 3e-11), ("float32", 3e-5, 3e-6)])
def test_how_wrong_an_output_may_be(dtype, seen, unseen, rng):
    for off, passed in ((seen, False), (unseen, True)):
        module, model, x, _ = right(rng)
        module.norms[1].register_forward_hook(lambda _, inputs, out, off=off: out * (1 + off))
        report = compare(module, model, x, dtype=dtype, budget=0)
        assert report.passed == passed, off
        assert (report.first is None) if passed else (report.first.name == "blocks.1.norm")


@pytest.mark.parametrize(("off", "rounding"), [(1e-7, True), (9e-7, True), (2e-6, False), (1e-2, False)])
def test_what_float32_rounding_gives_is_said_to_be_that(off, rounding, rng):
    """Below 1e-6 in float64 the likely reason is a number in float32; above it is a mistake."""
    module, model, x, _ = right(rng)
    module.norms[0].register_forward_hook(lambda _, inputs, out: out * (1 + off))
    text = str(compare(module, model, x, budget=0))
    assert ("a difference of this size is what float32 rounding gives" in text) == rounding
    assert re.search(rf"relative error {off:.0e}|relative error [0-9.]+e-0?[0-9]", text)


def test_constants_of_another_dtype_are_named():
    module = torch.nn.Sequential(torch.nn.GELU(), torch.nn.GELU())
    module[1].scale, module[1].count, module.own = torch.ones(2), torch.arange(2), torch.ones(1)
    module[0].right = torch.ones(2, dtype=torch.float64)
    module[0].register_buffer("buffer", torch.ones(1))
    assert sorted(foreign_constants(module, "float64")) == ["1.scale", "own"]
    assert foreign_constants(module, "float32") == ["0.right"]


# ---- what cannot be seen --------------------------------------------------


class OneSize(p.OwnNet):
    """Time first, and made for 8 sequences of length 8 = D."""

    def forward(self, x):
        assert x.shape == (8, 3, 8)
        return super().forward(x)


def test_a_module_of_one_size_is_compared_as_far_as_its_shapes_say(rng):
    """Linear maps and norms have their channels last, so that half of the orders are left; the rest is said to be open."""
    _, model, x, _ = right(rng, B=8, L=8)
    report = compare(OneSize(model), model, x)
    assert report.passed
    assert "layers with axes of equal length, in a module that runs on this size only: encoder, blocks.*" in str(report)
    assert "axes of equal length" not in str(compare(p.OwnNet(model), model, x))


def test_an_output_of_two_meanings_is_noted(rng):
    """Ten classes, ten sequences, one size."""
    module, model, x, _ = right(rng, B=10, L=12)
    module.register_forward_pre_hook(lambda m, inputs: None if inputs[0].shape == (10, 3, 12) else 1 / 0)
    report = compare(module, model, x, layers={"norms.0": "blocks.0.norm"})
    assert report.passed
    assert "its output was taken to have the axes (0, 1) in our order" in str(report)


def test_an_output_of_another_shape_is_no_agreement(rng):
    module, model, x, _ = right(rng)
    report = compare(module, model, x, call=lambda m, x: m(x)[:, :9])
    assert not report.passed
    assert "the module's output has shape [3, 9] and the model's [3, 10]: return that, or pass call=..." in str(report)
    assert not report.layers["evaluation"][-1].error.passed


def test_what_was_not_compared_is_listed(rng):
    module, model, x, _ = right(rng)
    p.plant_tanh(module)
    report = compare(module, model, x)
    assert report.not_compared == ["gradients in evaluation and training mode, as the layers must agree first"]
    with torch.no_grad():
        own = p.OwnNet(model).double()
        own.filters[0].low += 1e-13  # no longer exactly our numbers
    report = compare(own, model, x)
    assert report.not_compared[0] == "layers that were not seen: blocks.*.gelu, blocks.*.glu"
    assert report.not_compared[1] == "gradients of parameters that were not found in the module: blocks.0.conv.h0"


@pytest.mark.parametrize("wrap", ["DataParallel", "compile"])
def test_a_wrapper_that_is_taken_off_is_noted(wrap, rng):
    module, model, x, _ = right(rng)
    wrapped = torch.nn.DataParallel(module) if wrap == "DataParallel" else torch.compile(module, backend="eager")
    inside = "DataParallel" if wrap == "DataParallel" else "torch.compile"
    assert f"note: the module inside {inside} was run, by itself" in compare(wrapped, model, x).notes
    assert compare(module, model, x).notes == []


@pytest.mark.parametrize("kind", ["half", "bfloat16"])
def test_the_modules_half_precision_is_the_models_too(kind, rng):
    """The numbers are rounded as the module's are, and everything else is computed in the dtype that was asked for."""
    module, model, x, _ = right(rng, KINDS["batch norm"])
    report = compare(getattr(module, kind)(), model, x)
    assert report.passed
    assert all(row.error.relative < 1e-12 for rows in report.layers.values() for row in rows)
    name = {"half": "float16", "bfloat16": "bfloat16"}[kind]
    assert [note for note in report.notes if f"the module is in {name}" in note and "computed in float64" in note] == report.notes


def test_the_mean_over_true_lengths():
    x, lengths = torch.arange(24.0).reshape(2, 3, 4), torch.tensor([4, 1])
    torch.testing.assert_close(mean_over_time(x, lengths), torch.stack((x[0].mean(1), x[1, :, 0])))
    torch.testing.assert_close(mean_over_time(x, None), x.mean(2))
