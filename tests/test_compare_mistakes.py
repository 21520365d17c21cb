"""`compare`: the mistakes people make, each planted alone and two at a time, and what must not hide them."""

import dataclasses
import itertools

import numpy as np
import pytest
from test_authors import random_model

from multires_ref import NetworkConfig, compare
from multires_ref.diagnose.record import random_input

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import planted as p  # noqa: E402

from multires_ref.authors.torch_model import to_torch  # noqa: E402

CONFIG = NetworkConfig(3, 10, 8, 2, kernel_size=3, max_length=32)
UNIFORM = dataclasses.replace(CONFIG, tree_select="uniform", memory_size=9, depth=3)
BATCH = dataclasses.replace(CONFIG, norm="batch")
CAUSAL = dataclasses.replace(CONFIG, kind="autoregressive")

MISTAKES = {
    "taps of h0 in the opposite order": (CONFIG, p.plant_in_layers("h0 reversed")),
    "taps of h1 in the opposite order": (CONFIG, p.plant_in_layers("h1 reversed")),
    "h0 shared by all channels": (CONFIG, p.plant_in_layers("h0 shared")),
    "skip weight taken as 1": (CONFIG, p.plant_in_layers("skip 1")),
    "symmetric padding": (CONFIG, p.plant_in_layers("symmetric")),
    "circular padding": (CONFIG, p.plant_in_layers("circular")),
    "a_J last": (CONFIG, p.plant_in_layers("a_J last")),
    "dilations from 2": (CONFIG, p.plant_in_layers("start at 2")),
    "dilations are powers of K": (CONFIG, p.plant_in_layers("base")),
    "one level too few": (CONFIG, p.plant_in_layers("one level less")),
    "readout of a level in the opposite order": (UNIFORM, p.plant_uniform("readout")),
    "uniform tree of depth 4": (UNIFORM, p.plant_uniform("depth")),
    "ReLU for GELU": (CONFIG, p.plant_activation(torch.nn.ReLU)),
    "halves of GLU swapped": (CONFIG, p.plant_mixing(1, p.Swapped)),
    "halves of GLU interleaved": (CONFIG, p.plant_mixing(1, p.Interleaved)),
    "eps of the norm 1e-06": (CONFIG, p.plant_eps(1e-6)),
    "eps of the norm 1e-08": (BATCH, p.plant_eps(1e-8)),
    "second 1x1 convolution missing": (CAUSAL, p.plant_mixing(3, torch.nn.Identity)),
    "residual sum missing": (CONFIG, p.become(p.NoResidual)),
    "maximum over time": (CONFIG, p.become(p.pooling(lambda x: x.amax(2)))),
    "last step taken": (CONFIG, p.become(p.pooling(lambda x: x[..., -1]))),
    "sum over time": (CONFIG, p.become(p.pooling(lambda x: x.sum(2)))),
}


def module_with(names, rng, only=None):
    config = MISTAKES[names[0]][0]
    model = random_model(config, rng)
    module = to_torch(model)
    for name in names:
        MISTAKES[name][1](module, only)
    return module, model, random_input(model, rng, 3, 32)[0]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name, rng):
    module, model, x = module_with([name], rng)
    report = compare(module, model, x)
    assert not report.passed
    assert report.mistakes == [name]
    assert [finding.remaining for finding in report.findings] == [None]


def test_another_tree_is_a_matter_of_loading(rng):
    module, model, x = module_with(["uniform tree of depth 4"], rng)
    assert (
        "the module's tree is uniform with depth 4 (in every block): load the checkpoint with tree_select='uniform', depth=4"
        in str(compare(module, model, x))
    )


APART = [
    "taps of h0 in the opposite order",
    "ReLU for GELU",
    "halves of GLU swapped",
    "eps of the norm 1e-06",
    "skip weight taken as 1",
]
APART += ["symmetric padding", "dilations from 2", "a_J last", "sum over time"]
PAIRS = [
    pair for pair in itertools.combinations(APART, 2) if pair[0] != "sum over time"
    and not {"symmetric padding", "dilations from 2", "a_J last", "skip weight taken as 1", APART[0]} > set(pair)
]  # fmt: skip  # a layer of `planted` holds one mistake
QUICK = sorted(np.random.default_rng(0).choice(len(PAIRS), 5, replace=False))


@pytest.mark.parametrize(
    "pair", [pytest.param(pair, marks=() if n in QUICK else pytest.mark.slow) for n, pair in enumerate(PAIRS)], ids=" + ".join
)
def test_two_mistakes_are_named(pair, rng):
    module, model, x = module_with(sorted(pair, key="sum over time".__ne__), rng)
    report = compare(module, model, x)
    assert set(report.mistakes) == set(pair)
    assert report.findings[0].remaining is None


# ---- what a verdict must not pass over --------------------------------------------------


class Detached(p.MultiresLayer):
    def conv(self, x):
        h0, self._parameters["h0"] = self.h0, torch.nn.Parameter(self.h0.detach(), requires_grad=False)
        try:
            return super().conv(x)
        finally:
            self._parameters["h0"] = h0


class WrongBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.nn.functional.gelu(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * torch.special.ndtr(x)  # a term is missing


class OwnGelu(torch.nn.Module):
    def forward(self, x):
        return WrongBackward.apply(x)


class OnlyInTraining(torch.nn.GLU):
    def forward(self, u):
        return super().forward(u) * (1.001 if self.training else 1.0)


class ActiveDropout(torch.nn.GELU):
    def forward(self, x):
        return torch.nn.functional.dropout(super().forward(x), 0.3)  # training=True is its default


def right_module(rng, config=CONFIG):
    model = random_model(config, rng)
    return to_torch(model), model, random_input(model, rng, 3, 32)[0]


def test_a_detached_filter_is_seen(rng):
    module, model, x = right_module(rng)
    module.seq_layers[1].__class__ = Detached
    report = compare(module, model, x)
    assert not report.passed
    assert report.first.name == "blocks.1.conv.h0"
    assert "no gradient arrives" in report.first.theirs
    assert all(row.error.passed for rows in report.layers.values() for row in rows)


def test_a_wrong_backward_pass_is_seen(rng):
    module, model, x = right_module(rng)
    module.seq_layers[1].activation = OwnGelu()
    report = compare(module, model, x)
    assert (report.passed, report.first.name) == (False, "input")
    assert "the forward pass is right and the backward pass is not" in str(report)
    assert "computes what the paper defines" not in str(report)


def test_a_mistake_in_training_mode_alone_is_seen(rng):
    module, model, x = right_module(rng)
    module.mixing_layers[0][1] = OnlyInTraining(dim=1)
    report = compare(module, model, x)
    assert (report.passed, report.first.name) == (False, "blocks.0.glu")
    assert all(row.error.passed for row in report.layers["evaluation"])
    assert "the first layer that differs in training mode is blocks.0.glu" in str(report)


def test_a_second_mistake_in_training_mode_is_not_hidden(rng):
    module, model, x = right_module(rng)
    p.plant_tanh(module)
    module.mixing_layers[0][1] = OnlyInTraining(dim=1)
    report = compare(module, model, x)
    assert report.mistakes == ["tanh for exact GELU"]
    assert "then blocks.0.glu (training mode) is the first that differs" in str(report)
    assert "every layer then agrees" not in str(report)


def test_active_dropout_in_evaluation_is_seen(rng):
    module, model, x = right_module(rng)
    module.seq_layers[1].activation = ActiveDropout()
    report = compare(module, model, x)
    assert not report.passed
    assert "dropout is active in evaluation mode: seq_layers.1 differs from run to run" in str(report)


@pytest.mark.parametrize("where", ["output", "layer"])
def test_nan_is_never_agreement(where, rng):
    module, model, x = right_module(rng)
    layer = module.output_mapping if where == "output" else module.norms[0]
    layer.register_forward_hook(lambda _, inputs, out: out * torch.nan)
    report = compare(module, model, x)
    assert not report.passed
    assert "holds NaN or infinity" in str(report)


def test_the_tree_that_was_assumed_stands_beside_the_verdict(rng):
    module, model, x = right_module(rng)
    report = compare(module, dataclasses.replace(model, assumed=("tree_select = fading",)), x)
    assert report.passed
    assert "assumed, because it is not in the file: tree_select = fading" in str(report)


@pytest.mark.parametrize(("B", "L"), [(8, 16), (16, 32), (5, 5), (16, 16)])
def test_axes_of_equal_length_confuse_nothing(B, L, rng):
    """D = 8: the batch and the time have the lengths of D, 2 D and each other; modules with channels last, and time first."""
    model = random_model(CONFIG, rng)
    x, _ = random_input(model, rng, B, L)
    for module in (to_torch(model), p.OwnNet(model)):
        report = compare(module, model, x)
        assert report.passed
        assert "axes of equal length" not in str(report)  # all of them were settled
    assert compare(p.OwnNet(model, "tanh"), model, x).mistakes == ["tanh for exact GELU"]


def test_one_activation_that_serves_all_blocks(rng):
    module, model, x = right_module(rng)
    module.seq_layers[1].activation = module.seq_layers[0].activation
    own = Lightning(module)
    own.model.blocks, own.model.__class__ = own.model.seq_layers, Renamed
    del own.model.seq_layers
    report = compare(own, model, x)
    assert report.passed
    assert report.not_compared == []
    assert "model.blocks.0.activation@1:input" in str(report)


class Renamed(p.MultiresNet):
    def forward(self, x):
        x = self.encode(x)
        for layer, mix, norm in zip(self.blocks, self.mixing_layers, self.norms, strict=True):
            x = self.normalise(norm, x + mix(layer(x)))
        return self.output_mapping(x.mean(dim=2))


def test_the_search_stops_when_its_time_is_over(rng):
    module, model, x = module_with(["a_J last"], rng)
    report = compare(module, model, x, budget=0)
    assert not report.passed
    assert "the search stopped after" in str(report)
    assert report.mistakes == []


# ---- wrapped modules, other outputs, and every way to fail --------------------------------------------------


class Lightning(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.model, self.activation = net, torch.nn.GELU()  # which never runs

    def forward(self, x, **options):
        return self.model(x, **options)


def compiled(net):
    return torch.compile(net, backend="eager")


def deeper(net):
    return Lightning(torch.nn.Sequential(net))


@pytest.mark.parametrize("wrap", [Lightning, torch.nn.DataParallel, compiled, deeper])
def test_a_wrapped_module_shows_all_its_layers(wrap, rng):
    module, model, x = right_module(rng)
    report = compare(wrap(module), model, x)
    assert report.passed
    assert report.not_compared == []


def test_outputs_in_a_tuple_or_a_dict(rng):
    module, model, x = right_module(rng)
    calls = [lambda m, x: (m(x), x), lambda m, x: {"logits": m(x), "hidden": x}, lambda m, x: [x, m(x)]]
    for call in calls:
        report = compare(module, model, x, call=call)
        assert report.passed
        assert "as it alone fits the model's output" in str(report)
    with pytest.raises(ValueError, match="in which 2 tensors have the shape of the model's output: pass call="):
        compare(module, model, x, call=lambda m, x: (m(x), m(x)))


def test_lengths_by_keyword(rng):
    model = random_model(dataclasses.replace(CONFIG, encoder="embedding", d_input=7), rng)
    x, lengths = random_input(model, rng, 3, 32)
    assert compare(Lightning(to_torch(model)), model, x, lengths).passed  # takes them by keyword only
    module, model, x = right_module(rng)
    module.__class__ = p.NoResidual
    with pytest.raises(ValueError, match="forward takes no lengths. Its forward must take them as `lengths` or"):
        compare(module, model, x, np.array([3, 4, 5]))


def test_half_precision(rng):
    module, model, x = right_module(rng)
    report = compare(module.half(), model, x)
    assert report.passed
    assert "note: the module is in float16: the model's numbers were rounded to it" in str(report)


class Constant(torch.nn.GELU):
    def __init__(self):
        super().__init__()
        self.scale = torch.tensor([1.0])  # neither parameter nor buffer

    def forward(self, x):
        return super().forward(x.float() * self.scale).to(x.dtype)


def test_float32_inside_a_float64_run(rng):
    module, model, x = right_module(rng)
    module.seq_layers[0].activation = Constant()
    report = compare(module, model, x)
    assert not report.passed
    assert "a difference of this size is what float32 rounding gives" in str(report)
    assert compare(module, model, x, dtype="float32").passed


def test_a_module_that_shares_nothing(rng):
    _, model, x = right_module(rng)
    lstm = torch.nn.LSTM(32, 10, batch_first=True)
    report = compare(lstm, model, x, call=lambda m, x: m(x)[0][:, -1])
    assert not report.passed
    assert "the module shares no parameter and no layer with the model" in str(report)
    with pytest.raises(ValueError, match="cannot be run on x .* pass call=lambda module, x: ..."):
        compare(torch.nn.LSTM(5, 10), model, x)


def test_activations_kept_from_an_earlier_run(rng):
    module, model, x = right_module(rng)
    module.cache = [module(torch.from_numpy(x))]
    assert compare(module, model, x).passed


def test_a_wrong_number_of_blocks(rng):
    module, _, x = right_module(rng)
    longer = random_model(dataclasses.replace(CONFIG, n_layers=3), rng)
    with pytest.raises(ValueError, match="the module has 2 blocks and the model has 3: load the checkpoint"):
        compare(module, longer, x)


def test_a_wrong_axis_of_glu_says_where(rng):
    module, model, x = right_module(rng)
    module.mixing_layers[1][1] = torch.nn.GLU(dim=-1)
    with pytest.raises(ValueError, match=r"cannot be run on x \[3, 3, 32\] in float64: .* in mixing_layers.1"):
        compare(module, model, x)


def test_rows_set_to_zero_before_a_block_show_at_its_input(rng):
    module, model, x = right_module(rng)
    module.seq_layers[1].register_forward_pre_hook(lambda _, inputs: (inputs[0] * (torch.arange(32) < 30),))
    report = compare(module, model, x)
    assert report.first.name == "blocks.1.input"
