"""`compare`: each usual mistake planted in a PyTorch module and named; a right one cleared; modules of other names and axes."""

import dataclasses

import pytest
from test_authors import KINDS, random_model

from multires_ref import NetworkConfig, compare
from multires_ref.base.pytrees import flatten
from multires_ref.diagnose.matching import authors_layers, every_layer, layers_by_type
from multires_ref.diagnose.modules import hooks_on
from multires_ref.diagnose.record import random_input

CONFIG = NetworkConfig(3, 10, 8, 3, kernel_size=2, max_length=32)
BATCH = dataclasses.replace(CONFIG, norm="batch")
CAUSAL = dataclasses.replace(CONFIG, kind="autoregressive", kernel_size=3)
TOKENS = dataclasses.replace(CONFIG, encoder="embedding", d_input=7)


# ---- planted in PyTorch --------------------------------------------------

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from planted import (  # noqa: E402
    InPlace,
    OwnBatchNorm,
    OwnLayerNorm,
    OwnNet,
    PreNorm,
    Unshifted,
    become,
    plant_in_layers,
    plant_norm,
    plant_tanh,
)

from multires_ref.authors.torch_model import to_torch  # noqa: E402

PLANTED = {  # mistake -> (config, how it is planted, where it must show first)
    "taps in the opposite order": (CONFIG, plant_in_layers("taps"), "conv"),
    "detail and approximation swapped": (CONFIG, plant_in_layers("filters"), "conv"),
    "skip weight missing": (CONFIG, plant_in_layers("no skip"), "conv"),
    "skip weight at the wrong end": (CONFIG, plant_in_layers("skip at the front"), "conv"),
    "padding on the right": (CONFIG, plant_in_layers("padding"), "conv"),
    "levels in the wrong order": (CONFIG, plant_in_layers("details"), "conv"),
    "levels in the wrong order, a_J last": (CONFIG, plant_in_layers("memory"), "conv"),
    "dilations in the wrong order": (CONFIG, plant_in_layers("dilations"), "conv"),
    "tanh for exact GELU": (CONFIG, plant_tanh, "gelu"),
    "pre-norm for post-norm": (CONFIG, become(PreNorm), "input"),
    "unbiased variance in the norm": (CONFIG, plant_norm(OwnLayerNorm), "norm"),
    "biased running variance in BatchNorm": (BATCH, plant_norm(OwnBatchNorm, in_running=0), "norm.running_var"),
    "batch statistics in evaluation": (BATCH, plant_norm(OwnBatchNorm, always_batch=True), "norm"),
}
EXPLAINED = "every layer then agrees"


def planted(config, plant, rng, only=None):
    model = random_model(config, rng)
    module = to_torch(model)
    plant(module, only)
    x, lengths = random_input(model, rng, 3, 32)
    return module, model, x, lengths


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_named(name, rng):
    config, plant, where = PLANTED[name]
    module, model, x, _ = planted(config, plant, rng)
    report = compare(module, model, x)
    assert not report.passed
    assert report.first.name == f"blocks.0.{where}"
    assert report.mistakes == [name]
    assert f"possible cause: {name} (in every block); {EXPLAINED}" in str(report)


@pytest.mark.parametrize("name", [name for name, (_, plant, _) in PLANTED.items() if name != "pre-norm for post-norm"])
def test_a_mistake_in_one_block_is_found_there(name, rng):
    config, plant, where = PLANTED[name]
    module, model, x, _ = planted(config, plant, rng, only=1)
    report = compare(module, model, x)
    assert report.first.name == f"blocks.1.{where}"
    assert report.mistakes == [name]
    assert f"possible cause: {name} (in block 1 only); {EXPLAINED}" in str(report)


def test_unbiased_variance_in_batch_norm(rng):
    """It shows in training mode only: evaluation agrees."""
    module, model, x, _ = planted(BATCH, plant_norm(OwnBatchNorm, in_norm=1), rng)
    report = compare(module, model, x)
    assert all(layer.error.passed for layer in report.layers["evaluation"])
    assert report.first.name == "blocks.0.norm"
    assert report.mistakes == ["unbiased variance in the norm"]


def test_missing_shift(rng):
    module, model, x, _ = planted(CAUSAL, become(Unshifted), rng)
    report = compare(module, model, x)
    assert report.first.name == "encoder"
    assert report.mistakes == ["input not shifted by one step"]


def test_mean_over_the_padding(rng):
    module, model, x, lengths = planted(TOKENS, lambda module, only: None, rng)
    assert compare(module, model, x, lengths).passed
    report = compare(module, model, x, lengths, call=lambda module, x, lengths: module(x))
    assert report.first.name == "pool"
    assert report.mistakes == ["mean over the padding"]


@pytest.mark.parametrize("kind", KINDS)
def test_filters_stored_the_wrong_way_in_every_kind_of_network(kind, rng):
    """Uniform tree, BatchNorm, tokens, autoregressive: as in a checkpoint whose taps somebody turned round."""
    model = random_model(KINDS[kind], rng)
    module, (x, lengths) = to_torch(model), random_input(model, rng, 3, 32)
    for layer in module.seq_layers:
        layer.h0.data, layer.h1.data = layer.h0.data.flip(-1), layer.h1.data.flip(-1)
    assert compare(module, model, x, lengths).mistakes == ["taps in the opposite order"]


def test_two_mistakes_together(rng):
    module, model, x, _ = planted(CONFIG, plant_in_layers("taps"), rng)
    plant_tanh(module)
    report = compare(module, model, x)
    assert set(report.mistakes) == {"taps in the opposite order", "tanh for exact GELU"}
    assert EXPLAINED in str(report)


def test_two_mistakes_in_one_layer(rng):
    module, model, x, _ = planted(CONFIG, plant_in_layers("details"), rng)
    for layer in module.seq_layers:
        layer.h0.data, layer.h1.data = layer.h1.data, layer.h0.data  # stored the wrong way round
    report = compare(module, model, x)
    assert set(report.mistakes) == {"levels in the wrong order", "detail and approximation swapped"}
    assert "note: the module's parameters are not the model's: seq_layers.0.h0" in str(report)


def test_an_unknown_mistake_is_not_explained_away(rng):
    module, model, x, _ = planted(CONFIG, lambda module, only: None, rng)
    with torch.no_grad():
        module.norms[1].weight[0] += 0.1
    report = compare(module, model, x)
    assert (report.first.name, report.first.theirs, report.mistakes) == ("blocks.1.norm", "norms.1", [])
    assert "usual mistakes, nor any two of them, explains it" in str(report)
    assert "parameters are not the model's: norms.1.weight" in str(report)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_right_module_is_cleared(kind, dtype, rng):
    model = random_model(KINDS[kind], rng)
    x, lengths = random_input(model, rng, 3, 32)
    report = compare(to_torch(model), model, torch.from_numpy(x), lengths, dtype=dtype)
    assert report.passed
    assert (report.first, report.mistakes) == (None, [])
    assert "no layer differs" in str(report)
    layers = len(authors_layers(model.config))
    statistics = 4 if model.config.norm == "batch" else 0
    assert [len(rows) for rows in report.layers.values()] == [layers, layers + statistics]
    inputs = 0 if model.config.encoder == "embedding" else 1
    assert [len(rows) for rows in report.gradients.values()] == [inputs + len(flatten(model.params))] * 2
    assert "the module computes what the paper defines" in str(report)


# ---- a module of the user's own: other names, other axes --------------------------------------------------


def test_a_module_of_other_names_and_axes_is_understood(rng):
    model = random_model(CONFIG, rng)
    x, _ = random_input(model, rng, 3, 32)
    module = OwnNet(model)
    assert layers_by_type(every_layer(module), CONFIG) == {
        "inp": "encoder",
        "out:input": "pool",
        "out": "decoder",
        **{f"lns.{i}": f"blocks.{i}.norm" for i in range(3)},
        **{f"gates.{i}": f"blocks.{i}.mix" for i in range(3)},
        **{f"filters.{i}": f"blocks.{i}.conv" for i in range(3)},
        **{f"filters.{i}:input": f"blocks.{i}.input" for i in range(3)},
    }
    report = compare(module, model, x)
    assert report.passed
    assert "the module computes what the paper defines" not in str(report)
    assert "not compared: layers that were not seen: blocks.*.gelu, blocks.*.glu" in str(report)
    assert {row.name for row in report.gradients["evaluation"]} == {"input", *flatten(model.params)}  # found by their numbers


def test_a_functional_mistake_shows_in_the_next_layer_seen(rng):
    """GELU has no module to hook here: the gate after it is the first layer that differs; the mistake is named all the same."""
    model = random_model(CONFIG, rng)
    x, _ = random_input(model, rng, 3, 32)
    report = compare(OwnNet(model, "tanh"), model, x)
    assert (report.first.name, report.first.theirs) == ("blocks.0.mix", "gates.0")
    assert report.mistakes == ["tanh for exact GELU"]


def test_a_mapping_by_hand(rng):
    model = random_model(CONFIG, rng)
    x, _ = random_input(model, rng, 3, 32)
    report = compare(OwnNet(model, "tanh"), model, x, layers={"lns.1": "blocks.1.norm", "gates.2:input": "blocks.2.gelu"})
    assert [(r.name, r.theirs) for r in report.layers["evaluation"]] == [
        ("blocks.1.norm", "lns.1"),
        ("blocks.2.gelu", "gates.2:input"),
        ("decoder", "output"),
    ]
    assert report.mistakes == ["tanh for exact GELU"]


def test_only_the_output_is_enough(rng):
    """A module without any layer that could be hooked: the mistakes are tried on the output."""
    module, model, x, _ = planted(CONFIG, plant_in_layers("taps"), rng)
    report = compare(module, model, x, layers={})
    assert report.first.name == "decoder"
    assert report.mistakes == ["taps in the opposite order"]


def test_bad_mappings(rng):
    model = random_model(CONFIG, rng)
    x, _ = random_input(model, rng, 2, 32)
    with pytest.raises(ValueError, match=r"layers names \['ln'\], which the module does not have; it has \["):
        compare(to_torch(model), model, x, layers={"ln": "blocks.0.norm"})
    with pytest.raises(ValueError, match=r"layers maps to \['block'\], which are no layers of ours"):
        compare(to_torch(model), model, x, layers={"encoder": "block"})


def test_a_module_that_writes_in_place_is_still_right(rng):
    module, model, x, _ = planted(CONFIG, become(InPlace), rng)
    assert compare(module, model, x).passed


def test_hooks_are_removed_also_after_an_error(rng):
    module, _, x, _ = planted(CONFIG, lambda module, only: None, rng)
    layers = authors_layers(CONFIG)
    with hooks_on(module, layers) as (values, _):
        module(torch.from_numpy(x))
    assert set(values) == set(layers.values())
    with pytest.raises(RuntimeError), hooks_on(module, layers):
        module(torch.zeros(1, 99, 32))
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in module.modules())


def test_the_users_module_is_left_alone(rng):
    module, model, x, _ = planted(dataclasses.replace(BATCH, dropout=0.5), lambda module, only: None, rng)
    module.train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert compare(module, model, x).passed
    assert module.training
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in module.modules())
    for name, tensor in module.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])
