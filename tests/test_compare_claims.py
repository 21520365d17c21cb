"""`compare`: what it runs, what it skips, and what its report says of settings, of time and of gradients."""

import dataclasses

import pytest
from test_authors import random_model

from multires_ref import NetworkConfig, compare
from multires_ref.diagnose.record import random_input

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import planted as p  # noqa: E402

from multires_ref.authors.torch_model import to_torch  # noqa: E402

CONFIG = NetworkConfig(3, 10, 4, 1, kernel_size=2, max_length=16)


def right(rng, config=CONFIG):
    model = random_model(config, rng)
    return to_torch(model), model, random_input(model, rng, 2, 16)[0]


def spoilt_at(layer, change):
    layer.register_forward_hook(lambda _, inputs, out: change(out))


def test_both_modes_are_compared_and_named(rng):
    module, model, x = right(rng)
    report = compare(module, model, x)
    assert (list(report.layers), list(report.gradients)) == (["evaluation", "training"], ["evaluation", "training"])
    assert report.title == "PyTorch module MultiresNet against our model: float64, input [2, 3, 16]"
    assert compare(module, model, x, dtype="float32").title.endswith("float32, input [2, 3, 16]")
    assert {row.error.tolerance for row in report.layers["training"]} == {1e-10}
    assert {row.error.tolerance for row in compare(module, model, x, dtype="float32").layers["training"]} == {1e-5}
    assert (report.searched, report.seconds, report.findings, report.problems) == ("", 0.0, [], [])


def test_gradients_wait_for_the_layers(rng):
    """Where a layer differs no gradient is compared in that mode, and the report says so."""

    class InTraining(torch.nn.LayerNorm):
        def forward(self, x):
            return super().forward(x) * (1.001 if self.training else 1.0)

    module, model, x = right(rng)
    module.norms[0].__class__ = InTraining
    report = compare(module, model, x)
    assert list(report.gradients) == ["evaluation"]
    assert "gradients in training mode, as the layers must agree first" in str(report)


def test_the_difference_is_over_ours(rng):
    """A layer of theirs that is twice ours is off by one, not by a half."""
    module, model, x = right(rng)
    spoilt_at(module.norms[0], lambda out: 2 * out)
    first = compare(module, model, x).first
    assert first.name == "blocks.0.norm"
    assert first.error.relative == pytest.approx(1.0)


@pytest.mark.parametrize("off", [3e-10, 3e-12])
def test_one_part_in_ten_thousand_million_differs(off, rng):
    module, model, x = right(rng)
    spoilt_at(module.norms[0], lambda out: out * (1 + off))
    report = compare(module, model, x)
    assert all(row.error.passed for row in report.layers["evaluation"]) == (off < 1e-10)


def test_a_small_difference_is_rounding_in_float64_only(rng):
    """Below one in a million it may be float32 somewhere; above it, in float32, or where a mistake explains it, it is not."""
    said = "a difference of this size is what float32 rounding gives"
    for off, dtype, expected in [(1e-7, "float64", True), (1e-5, "float64", False), (1e-4, "float32", False)]:
        module, model, x = right(rng)
        spoilt_at(module.norms[0], lambda out, off=off: out * (1 + off))
        report = compare(module, model, x, dtype=dtype)
        assert not report.passed
        assert (said in str(report)) == expected
    module, model, x = right(rng)
    p.plant_eps(1e-6)(module)
    report = compare(module, model, 30 * x)  # beside such values the mistake is small
    assert 1e-10 < report.first.error.relative < 1e-6
    assert "eps of the norm 1e-06" in report.mistakes
    assert said not in str(report)


def test_nan_is_not_searched_for(rng):
    module, model, x = right(rng)
    spoilt_at(module.norms[0], lambda out: out * torch.nan)
    report = compare(module, model, x)
    assert (report.findings, report.searched, report.seconds) == ([], "", 0.0)
    assert "norms.0 holds NaN or infinity where the model's blocks.0.norm has other numbers" in str(report)


def test_the_search_s_time_is_reported(rng):
    module, model, x = right(rng)
    p.plant_tanh(module)
    report = compare(module, model, x)
    assert 0 < report.seconds < 30
    assert report.searched == ""  # all is explained
    over = compare(module, model, x, budget=0)
    assert "combinations tried: budget=30 lets it go on" in over.searched
    spoilt_at(module.norms[0], lambda out: out * 1.01)
    assert compare(module, model, x).searched == "the rest is not explained by any of the usual mistakes"
    module, model, x = right(rng)
    spoilt_at(module.seq_layers[0], lambda out: out * 1.01)
    assert "usual mistakes, nor any two of them, explains it" in compare(module, model, x).searched


@pytest.mark.parametrize("budget", [-1, float("nan"), float("inf")])
def test_a_budget_is_a_number_of_seconds(budget, rng):
    module, model, x = right(rng)
    with pytest.raises(ValueError, match="budget must be a number of seconds, 0 or more"):
        compare(module, model, x, budget=budget)
    with pytest.raises(ValueError, match="dtype must be one of"):
        compare(module, model, x, dtype="float16")


def test_assumptions_dropout_and_foreign_numbers_are_said(rng):
    module, model, x = right(rng, dataclasses.replace(CONFIG, dropout=0.25))
    report = compare(module, dataclasses.replace(model, assumed=("depth = 4",)), x)
    assert report.passed
    assert report.assumed == ["depth = 4"]
    assert "dropout in training mode, whose masks are random: it was switched off" in str(report)
    with torch.no_grad():
        module.output_mapping.weight[0, 0] += 1.0
    assert "note: the module's parameters are not the model's: output_mapping.weight" in compare(module, model, x).notes


def test_call_decides_how_the_module_is_run(rng):
    module, model, x = right(rng)
    report = compare(module, model, x, call=lambda module, x: module(-x))
    assert report.first.name == "encoder"
    report = compare(module, model, x, call=lambda module, x: module(x)[:, :3])
    assert "the module's output has shape [2, 3] and the model's [2, 10]" in str(report)


def test_a_terminal_shows_progress_unless_it_is_quiet(rng, monkeypatch):
    import tqdm

    asked = []
    shown = tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", lambda **options: asked.append(options["disable"]) or shown(**options | {"disable": True}))
    module, model, x = right(rng)
    p.plant_tanh(module)
    compare(module, model, x)
    compare(module, model, x, quiet=True)
    assert asked == [None, True]


class NoWayBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        raise RuntimeError("there is no way back")


def test_a_gradient_that_cannot_be_had_is_a_problem(rng):
    """The layers agree; a backward pass that raises, or that does not reach the parameters, is no agreement."""
    module, model, x = right(rng)
    report = compare(module, model, x, call=lambda module, x: NoWayBack.apply(module(x)))
    assert all(row.error.passed for rows in report.layers.values() for row in rows)
    assert (report.passed, report.gradients) == (False, {})
    assert [problem.rpartition("(")[2] for problem in report.problems] == ["evaluation mode)", "training mode)"]

    def run(module, x):
        with torch.no_grad():
            return module(x)

    report = compare(module, model, x, call=run)
    assert not report.passed
    assert "(no gradient arrives)" in str(report)
