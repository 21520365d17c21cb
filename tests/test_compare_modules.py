"""`compare` runs modules as they are met: how they take their input, what stays as it was, and dropout."""

import dataclasses

import numpy as np
import pytest
from test_authors import KINDS, random_model

from multires_ref import NetworkConfig, compare
from multires_ref.base.pytrees import flatten
from multires_ref.diagnose.record import random_input

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import planted as p  # noqa: E402

from multires_ref.authors.torch_model import to_torch  # noqa: E402
from multires_ref.diagnose.matching import default_layers, every_layer, layers_by_type  # noqa: E402
from multires_ref.diagnose.modules import Runner, calls_of, hooks_on  # noqa: E402

CONFIG = NetworkConfig(3, 10, 8, 2, kernel_size=3, max_length=32)
TOKENS = dataclasses.replace(CONFIG, encoder="embedding", d_input=7)


def right(rng, config=CONFIG, B=3, L=20):
    model = random_model(config, rng)
    return to_torch(model), model, *random_input(model, rng, B, L)


# ---- how a module takes its input --------------------------------------------------


class Wrapped(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net


class Positional(Wrapped):
    def forward(self, x, true_lengths):
        return self.net(x, true_lengths)


class Starred(Wrapped):
    def forward(self, *inputs):
        return self.net(*inputs)


class Swapped(Wrapped):
    def forward(self, x, scale=None, lengths=None):
        assert scale is None
        return self.net(x, lengths)


@pytest.mark.parametrize("kind", [Positional, Starred, Swapped])
def test_lengths_are_given_as_the_module_takes_them(kind, rng):
    """As its second argument or by their name; arrays and tensors alike; and they matter."""
    module, model, x, lengths = right(rng, TOKENS)
    assert compare(kind(module), model, x, lengths).passed
    assert compare(kind(module), model, torch.from_numpy(x), torch.from_numpy(lengths)).passed
    report = compare(kind(module), model, x, lengths, call=lambda m, x, n: m.net(x, n - 1))
    assert report.first.name == "pool"


def test_what_is_no_module_is_refused(rng):
    module, model, x, _ = right(rng)
    with pytest.raises(TypeError, match="torch_module must be a torch.nn.Module; got function"):
        compare(lambda x: x, model, x)
    with pytest.raises(ValueError, match="dtype must be one of"):
        compare(module, model, x, dtype="float16")
    for budget in (-1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="budget must be a number of seconds"):
            compare(module, model, x, budget=budget)
    with pytest.raises(ValueError, match=r"x "):
        compare(module, model, x[:, :2])


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_found_by_type_in_every_kind_of_network(kind, rng):
    """The authors' own layers under meaningless names: encoder, both ends, and every layer of a block, in order."""
    model = random_model(KINDS[kind], rng)
    module, density = to_torch(model), KINDS[kind].kind == "autoregressive"
    last = "decoder" if density else "output_mapping"
    expected = {"encoder": "encoder", last: "decoder"} | ({} if density else {f"{last}:input": "pool"})
    for i in range(2):
        inside = {f"seq_layers.{i}:input": "input", f"seq_layers.{i}.activation:input": "conv"}
        inside |= {f"seq_layers.{i}.activation": "gelu", f"mixing_layers.{i}.0": "mix", f"mixing_layers.{i}.1": "glu"}
        inside |= {f"norms.{i}": "norm"} | ({f"mixing_layers.{i}.3": "mix2"} if density else {})
        expected |= {key: f"blocks.{i}.{ours}" for key, ours in inside.items()}
    assert layers_by_type(every_layer(module), model.config) == expected
    x = torch.from_numpy(random_input(model, rng, 2, 12)[0])
    with calls_of(module) as calls:
        module(x)
    some = ["encoder", "norms.0", "norms.1", last]
    assert [call.name for call in calls if call.name in some] == some
    module.lns = module.norms
    del module.norms  # one kind of layers with another name, the others with the authors'
    assert set(default_layers(every_layer(module), model.config).values()) == set(expected.values())
    renamed = Wrapped(module)
    renamed.net.blocks, renamed.net.gates = module.seq_layers, module.mixing_layers
    del module.seq_layers, module.mixing_layers
    assert set(default_layers(every_layer(renamed), model.config).values()) == set(expected.values())


def test_the_decoder_is_the_last_map_of_its_shape(rng):
    """As many outputs as channels: the second 1x1 convolutions have that shape too."""
    model = random_model(dataclasses.replace(KINDS["autoregressive"], d_output=8, d_input=8), rng)
    found = layers_by_type(every_layer(to_torch(model)), model.config)
    assert (found["encoder"], found["decoder"]) == ("encoder", "decoder")
    assert (found["mixing_layers.0.3"], found["mixing_layers.1.3"]) == ("blocks.0.mix2", "blocks.1.mix2")


# ---- what stays as it was --------------------------------------------------


def test_frozen_parameters_are_compared_and_stay_frozen(rng):
    """Also gradients that the module holds already neither count nor change, nor does PyTorch's generator."""
    module, model, x, _ = right(rng)
    module(torch.from_numpy(x)).sum().backward()
    module.encoder.requires_grad_(False)
    before = {name: (q.requires_grad, q.grad.clone()) for name, q in module.named_parameters()}
    state = torch.random.get_rng_state()
    report = compare(module, model, x)
    assert report.passed
    assert {row.name for row in report.gradients["training"]} == {"input", *flatten(model.params)}
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, q in module.named_parameters():
        assert q.requires_grad == before[name][0]
        assert torch.equal(q.grad, before[name][1])


def test_a_record_of_a_module_is_of_one_pass(rng):
    """Values by hooks, gradients by autograd, with and without g; a second backward pass does not add to the first."""
    module, _, x, _ = right(rng)
    inputs, g = torch.from_numpy(x), rng.standard_normal((3, 10)).astype("f4")
    runner = Runner(module, "float32")
    layers = {"norms.0": "a", "norms.1:input": "b", "output_mapping": "c", "seq_layers.1:input": "d"}
    for _ in range(2):
        out, values, gradients, parameters, *_ = runner.run(x, None, layers, g=g)
    np.testing.assert_array_equal(values["c"], out)
    np.testing.assert_array_equal(gradients["c"], g)
    np.testing.assert_array_equal(values["a"], values["d"].swapaxes(1, 2))
    expected = torch.autograd.grad(module(inputs), module.encoder.bias, torch.from_numpy(g))[0]
    np.testing.assert_allclose(parameters["encoder.bias"], expected, rtol=1e-5, atol=1e-6)
    _, values, gradients, *_ = runner.run(x, None, layers)
    assert (set(values), gradients) == (set("abcd"), {})


class Shared(torch.nn.Module):
    """One activation that runs twice, on keyword arguments, with a tuple as its output."""

    def __init__(self):
        super().__init__()
        self.act = Doubled()

    def forward(self, x):
        first, _ = self.act(value=x)
        return self.act(value=first + 1)[0]


class Doubled(torch.nn.Module):
    def forward(self, value):
        return 2 * value, "a word"


def test_the_second_run_of_a_layer_is_told_from_the_first():
    module, x = Shared(), torch.tensor([1.0])
    layers = {"act": "a", "act@1": "b", "act:input": "in a", "act@1:input": "in b"}
    with hooks_on(module, layers) as (values, _), calls_of(module) as calls:
        module(x)
    assert {name: float(value[0]) for name, value in values.items()} == {"in a": 1.0, "a": 2.0, "in b": 3.0, "b": 6.0}
    assert [call.key for call in calls] == ["act", "act@1"]


# ---- dropout --------------------------------------------------


def functional(function):
    class Dropped(torch.nn.GELU):
        def forward(self, x):
            return function(super().forward(x), 0.5, self.training)

    return Dropped


KEYWORDS = lambda x, p, training: torch.nn.functional.dropout(input=x, p=p, training=training)  # noqa: E731
FUNCTIONS = [
    *(getattr(torch.nn.functional, name) for name in ("dropout", "dropout1d", "alpha_dropout", "feature_alpha_dropout")),
    torch.dropout,
    torch.feature_dropout,
    KEYWORDS,
    lambda x, p, training: torch.dropout(input=x, p=p, train=training),
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_right_dropout_of_any_kind_is_switched_off_in_training(function, rng):
    module, model, x, _ = right(rng)
    p.plant_activation(functional(function))(module)
    assert compare(module, model, x, layers={"norms.0": "blocks.0.norm"}).passed
    assert not torch.equal(module.train()(torch.from_numpy(x)), module(torch.from_numpy(x)))  # and is on again afterwards


def test_dropout_is_said_to_be_off(rng):
    said = "dropout in training mode, whose masks are random: it was switched off"
    module, model, x, _ = right(rng)
    assert said not in compare(module, model, x).not_compared
    report = compare(module, dataclasses.replace(model, config=dataclasses.replace(CONFIG, dropout=0.1)), x)
    assert (report.passed, report.not_compared) == (True, [said])
    module.mixing_layers[0][2].p = 0.3
    report = compare(module, model, x)
    assert (report.passed, report.not_compared) == (True, [said])
    assert "the module computes what the paper defines" not in str(report)
