"""`compare`: each usual suspect planted in a PyTorch module and named; a right one cleared; modules of other names and axes."""

import dataclasses

import pytest
from test_authors import KINDS, random_model

from multires_ref import NetworkConfig, compare
from multires_ref.interop.authors import to_authors
from multires_ref.interop.hooks import authors_layers, layers_by_type, record_module
from multires_ref.interop.record import random_input

CONFIG = NetworkConfig(3, 10, 8, 3, kernel_size=2, max_length=32)
BATCH = dataclasses.replace(CONFIG, norm="batch")
CAUSAL = dataclasses.replace(CONFIG, kind="autoregressive", kernel_size=3)
TOKENS = dataclasses.replace(CONFIG, encoder="embedding", d_input=7)


# ---- planted in PyTorch --------------------------------------------------

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
F, nn = torch.nn.functional, torch.nn
from multires_ref.interop.torch_model import MultiresLayer, MultiresNet, causal_conv, to_torch  # noqa: E402


def wrong_conv(layer, x, mistake):
    """A fading layer with a mistake in it, written apart from the package: [B, D, L] -> [B, D, L]."""
    h0, h1, w, J = layer.h0, layer.h1, layer.w, layer.w.shape[1] - 2
    conv = causal_conv
    if mistake == "taps":
        h0, h1 = h0.flip(-1), h1.flip(-1)
    elif mistake == "filters":
        h0, h1 = h1, h0
    elif mistake == "skip at the front":
        w = torch.cat((w[:, 1:], w[:, :1]), dim=1)
    elif mistake == "padding":
        conv = lambda a, h, s: F.conv1d(F.pad(a, (0, (h.shape[-1] - 1) * s)), h, dilation=s, groups=h.shape[0])  # noqa: E731
    dilations = [2**i for i in range(J)]
    a, details = x, []
    for s in reversed(dilations) if mistake == "dilations" else dilations:
        details.append(conv(a, h1, s))
        a = conv(a, h0, s)
    memory = [a, *(details if mistake == "details" else details[::-1])]
    if mistake == "memory":
        memory = memory[::-1]
    rows = memory if mistake == "no skip" else [*memory, x]
    return sum(w[:, r, None] * row for r, row in enumerate(rows))


class WrongLayer(MultiresLayer):
    def conv(self, x):
        return wrong_conv(self, x, self.mistake)


def plant_in_layers(mistake):
    def plant(module, only=None):
        for i, layer in enumerate(module.seq_layers):
            if only is None or i == only:
                layer.__class__, layer.mistake = WrongLayer, mistake

    return plant


def plant_tanh(module, only=None):
    for i, layer in enumerate(module.seq_layers):
        if only is None or i == only:
            layer.activation.approximate = "tanh"


class PreNorm(MultiresNet):
    def forward(self, x):
        x = self.encode(x)
        for layer, mix, norm in zip(self.seq_layers, self.mixing_layers, self.norms, strict=True):
            x = x + mix(layer(self.normalise(norm, x)))
        return self.output_mapping(x.mean(dim=2))


class Unshifted(MultiresNet):
    def forward(self, x):
        x = self.encode(x)
        for layer, mix, norm in zip(self.seq_layers, self.mixing_layers, self.norms, strict=True):
            x = self.normalise(norm, x + mix(layer(x)))
        return self.decoder(x)


class OwnLayerNorm(nn.LayerNorm):
    def forward(self, x):
        return self.weight * (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + self.eps) + self.bias


class OwnBatchNorm(nn.BatchNorm1d):
    """Written out, with the variance of the normalisation and of the running statistics as told."""

    in_norm, in_running, always_batch = 0, 1, False

    def forward(self, x):
        mean, shape = x.mean((0, 2)), (1, -1, 1)
        if self.training:
            with torch.no_grad():
                self.running_mean.mul_(0.9).add_(0.1 * mean)
                self.running_var.mul_(0.9).add_(0.1 * x.var((0, 2), correction=self.in_running))
        of_batch = self.training or self.always_batch
        mean = mean if of_batch else self.running_mean
        var = x.var((0, 2), correction=self.in_norm) if of_batch else self.running_var
        scale = self.weight / torch.sqrt(var + self.eps)
        return (x - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)


def plant_norm(kind, **settings):
    def plant(module, only=None):
        for i, norm in enumerate(module.norms):
            if only is None or i == only:
                norm.__class__ = kind
                for name, value in settings.items():
                    setattr(norm, name, value)

    return plant


def become(kind):
    def plant(module, only=None):
        module.__class__ = kind

    return plant


PLANTED = {  # suspect -> (config, how it is planted, where it must show first)
    "taps in the opposite order": (CONFIG, plant_in_layers("taps"), "conv"),
    "detail and approximation swapped": (CONFIG, plant_in_layers("filters"), "conv"),
    "skip weight missing": (CONFIG, plant_in_layers("no skip"), "conv"),
    "skip weight at the wrong end": (CONFIG, plant_in_layers("skip at the front"), "conv"),
    "padding on the right": (CONFIG, plant_in_layers("padding"), "conv"),
    "levels in the wrong order": (CONFIG, plant_in_layers("details"), "conv"),
    "levels in the wrong order, a_J last": (CONFIG, plant_in_layers("memory"), "conv"),
    "dilations in the wrong order": (CONFIG, plant_in_layers("dilations"), "conv"),
    "tanh for exact GELU": (CONFIG, plant_tanh, "gelu"),
    "pre-norm for post-norm": (CONFIG, become(PreNorm), "conv"),
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
    assert report.suspects == [name]
    assert f"suspect: {name} (in every block); {EXPLAINED}" in str(report)


@pytest.mark.parametrize("name", [name for name, (_, plant, _) in PLANTED.items() if name != "pre-norm for post-norm"])
def test_a_mistake_in_one_block_is_found_there(name, rng):
    config, plant, where = PLANTED[name]
    module, model, x, _ = planted(config, plant, rng, only=1)
    report = compare(module, model, x)
    assert report.first.name == f"blocks.1.{where}"
    assert report.suspects == [name]
    assert f"suspect: {name} (in block 1 only); {EXPLAINED}" in str(report)


def test_unbiased_variance_in_batch_norm(rng):
    """It shows in training mode only: evaluation agrees."""
    module, model, x, _ = planted(BATCH, plant_norm(OwnBatchNorm, in_norm=1), rng)
    report = compare(module, model, x)
    assert all(layer.error.passed for layer in report.layers["evaluation"])
    assert report.first.name == "blocks.0.norm"
    assert report.suspects == ["unbiased variance in the norm"]


def test_missing_shift(rng):
    module, model, x, _ = planted(CAUSAL, become(Unshifted), rng)
    report = compare(module, model, x)
    assert report.first.name == "encoder"
    assert report.suspects == ["input not shifted by one step"]


def test_mean_over_the_padding(rng):
    module, model, x, lengths = planted(TOKENS, lambda module, only: None, rng)
    assert compare(module, model, x, lengths).passed
    report = compare(module, model, x, lengths, call=lambda module, x, lengths: module(x))
    assert report.first.name == "pool"
    assert report.suspects == ["mean over the padding"]


@pytest.mark.parametrize("kind", KINDS)
def test_filters_stored_the_wrong_way_in_every_kind_of_network(kind, rng):
    """Uniform tree, BatchNorm, tokens, autoregressive: as in a checkpoint whose taps somebody turned round."""
    model = random_model(KINDS[kind], rng)
    module, (x, lengths) = to_torch(model), random_input(model, rng, 3, 32)
    for layer in module.seq_layers:
        layer.h0.data, layer.h1.data = layer.h0.data.flip(-1), layer.h1.data.flip(-1)
    assert compare(module, model, x, lengths).suspects == ["taps in the opposite order"]


def test_two_mistakes_together(rng):
    module, model, x, _ = planted(CONFIG, plant_in_layers("taps"), rng)
    plant_tanh(module)
    report = compare(module, model, x)
    assert set(report.suspects) == {"taps in the opposite order", "tanh for exact GELU"}
    assert EXPLAINED in str(report)


def test_two_mistakes_in_one_layer(rng):
    module, model, x, _ = planted(CONFIG, plant_in_layers("details"), rng)
    for layer in module.seq_layers:
        layer.h0.data, layer.h1.data = layer.h1.data, layer.h0.data  # stored the wrong way round
    report = compare(module, model, x)
    assert set(report.suspects) == {"levels in the wrong order", "detail and approximation swapped"}
    assert "note: the module's parameters are not the model's: seq_layers.0.h0" in str(report)


def test_an_unknown_mistake_is_not_explained_away(rng):
    module, model, x, _ = planted(CONFIG, lambda module, only: None, rng)
    with torch.no_grad():
        module.norms[1].weight[0] += 0.1
    report = compare(module, model, x)
    assert (report.first.name, report.first.theirs, report.suspects) == ("blocks.1.norm", "norms.1", [])
    assert "none of the 15 usual suspects, nor any two of them, explains it" in str(report)
    assert "parameters are not the model's: norms.1.weight" in str(report)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_right_module_is_cleared(kind, dtype, rng):
    model = random_model(KINDS[kind], rng)
    x, lengths = random_input(model, rng, 3, 32)
    report = compare(to_torch(model), model, torch.from_numpy(x), lengths, dtype=dtype)
    assert report.passed
    assert (report.first, report.suspects) == (None, [])
    assert "no layer departs" in str(report)
    layers = len(authors_layers(model.config))
    assert [len(rows) for rows in report.layers.values()] == ([layers, layers + 4] if model.config.norm == "batch" else [layers])


# ---- a module of the user's own: other names, other axes --------------------------------------------------


class OwnLayer(nn.Module):
    def __init__(self, low, high, weights):
        super().__init__()
        self.low, self.high, self.weights = (nn.Parameter(p) for p in (low, high, weights))

    def forward(self, x):  # [L, B, D]
        y = wrong_conv(Packed(self.low, self.high, self.weights), x.permute(1, 2, 0), None)
        return y.permute(2, 0, 1)


class Packed:
    def __init__(self, h0, h1, w):
        self.h0, self.h1, self.w = h0, h1, w


class OwnNet(nn.Module):
    """Time first, Linear for 1x1 convolutions, everything under names of its own; GELU as told, functional."""

    def __init__(self, model, approximate="none"):
        super().__init__()
        t = {name: torch.from_numpy(array) for name, array in to_authors(model).items()}
        n, D = model.config.n_layers, model.config.d_model
        self.approximate = approximate
        self.inp, self.out = nn.Linear(model.config.d_input, D), nn.Linear(D, model.config.d_output)
        self.filters = nn.ModuleList(OwnLayer(*(t[f"seq_layers.{i}.{k}"] for k in ("h0", "h1", "w"))) for i in range(n))
        self.gates, self.lns = (
            nn.ModuleList(make() for _ in range(n)) for make in (lambda: nn.Linear(D, 2 * D), lambda: nn.LayerNorm(D))
        )
        with torch.no_grad():
            for layer, name in [(self.inp, "encoder"), (self.out, "output_mapping")]:
                fill(layer, t, name)
            for i in range(n):
                fill(self.gates[i], t, f"mixing_layers.{i}.0")
                fill(self.lns[i], t, f"norms.{i}")

    def forward(self, x):
        x = self.inp(x.permute(2, 0, 1))  # [L, B, D]
        for layer, gate, norm in zip(self.filters, self.gates, self.lns, strict=True):
            x = norm(x + F.glu(gate(F.gelu(layer(x), approximate=self.approximate)), dim=-1))
        return self.out(x.mean(dim=0))


def fill(layer, tensors, name):
    layer.weight.copy_(tensors[f"{name}.weight"].reshape(layer.weight.shape))
    layer.bias.copy_(tensors[f"{name}.bias"])


def test_a_module_of_other_names_and_axes_is_understood(rng):
    model = random_model(CONFIG, rng)
    x, _ = random_input(model, rng, 3, 32)
    module = OwnNet(model)
    assert layers_by_type(module, CONFIG) == {
        "inp": "encoder",
        "out:input": "pool",
        "out": "decoder",
        **{f"lns.{i}": f"blocks.{i}.norm" for i in range(3)},
        **{f"gates.{i}": f"blocks.{i}.mix" for i in range(3)},
        **{f"filters.{i}": f"blocks.{i}.conv" for i in range(3)},
    }
    assert compare(module, model, x).passed


def test_a_functional_mistake_shows_in_the_next_layer_seen(rng):
    """GELU has no module to hook here: the gate after it is the first layer seen to depart; the suspect is named all the same."""
    model = random_model(CONFIG, rng)
    x, _ = random_input(model, rng, 3, 32)
    report = compare(OwnNet(model, "tanh"), model, x)
    assert (report.first.name, report.first.theirs) == ("blocks.0.mix", "gates.0")
    assert report.suspects == ["tanh for exact GELU"]


def test_a_mapping_by_hand(rng):
    model = random_model(CONFIG, rng)
    x, _ = random_input(model, rng, 3, 32)
    report = compare(OwnNet(model, "tanh"), model, x, layers={"lns.1": "blocks.1.norm", "gates.2:input": "blocks.2.gelu"})
    assert [(r.name, r.theirs) for r in report.layers["evaluation"]] == [
        ("blocks.1.norm", "lns.1"),
        ("blocks.2.gelu", "gates.2:input"),
        ("decoder", "output"),
    ]
    assert report.suspects == ["tanh for exact GELU"]


def test_only_the_output_is_enough(rng):
    """A module without any layer that could be hooked: the suspects are tried on the output."""
    module, model, x, _ = planted(CONFIG, plant_in_layers("taps"), rng)
    report = compare(module, model, x, layers={})
    assert report.first.name == "decoder"
    assert report.suspects == ["taps in the opposite order"]


def test_bad_mappings(rng):
    model = random_model(CONFIG, rng)
    x, _ = random_input(model, rng, 2, 32)
    with pytest.raises(ValueError, match=r"layers names \['ln'\], which the module does not have; it has \["):
        compare(to_torch(model), model, x, layers={"ln": "blocks.0.norm"})
    with pytest.raises(ValueError, match=r"layers maps to \['block'\], which are no layers of ours"):
        compare(to_torch(model), model, x, layers={"encoder": "block"})


class InPlace(MultiresNet):
    def forward(self, x):
        x = self.encode(x)
        for layer, mix, norm in zip(self.seq_layers, self.mixing_layers, self.norms, strict=True):
            r = mix(layer(x))
            r += x  # writes into what the GLU gave
            x = self.normalise(norm, r)
        return self.output_mapping(x.mean(dim=2))


def test_a_module_that_writes_in_place_is_still_right(rng):
    module, model, x, _ = planted(CONFIG, become(InPlace), rng)
    assert compare(module, model, x).passed


def test_hooks_are_removed_also_after_an_error(rng):
    module, _, x, _ = planted(CONFIG, lambda module, only: None, rng)
    layers = authors_layers(CONFIG)
    record_module(module, lambda: module(torch.from_numpy(x)), layers)
    with pytest.raises(RuntimeError):
        record_module(module, lambda: module(torch.zeros(1, 99, 32)), layers)
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
