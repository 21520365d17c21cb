"""PyTorch modules with the usual mistakes planted in them, and one with names and axes of its own: for `test_compare.py`.

Written apart from the package's `mistakes`, which is what they test.
"""

import torch
import torch.nn.functional as F
from torch import nn

from multires_ref.authors.convert import to_authors
from multires_ref.authors.torch_model import MultiresLayer, MultiresNet, causal_conv


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
    elif mistake == "symmetric":
        conv = symmetric_conv
    elif mistake == "circular":
        conv = circular_conv
    elif mistake == "h0 reversed":
        h0 = h0.flip(-1)
    elif mistake == "h1 reversed":
        h1 = h1.flip(-1)
    elif mistake == "h0 shared":
        h0 = h0[:1].expand_as(h0)
    elif mistake == "skip 1":
        w = torch.cat((w[:, :-1], torch.ones_like(w[:, :1])), dim=1)
    levels = J - 1 if mistake == "one level less" else J
    dilations = [2**i for i in range(levels)]
    if mistake == "start at 2":
        dilations = [2 * s for s in dilations]
    elif mistake == "base":
        dilations = [h0.shape[-1] ** i for i in range(J)]
    a, details = x, []
    for s in reversed(dilations) if mistake == "dilations" else dilations:
        details.append(conv(a, h1, s))
        a = conv(a, h0, s)
    memory = [a, *(details if mistake == "details" else details[::-1])]
    if mistake == "one level less":  # the weight of b_J is not used
        w = torch.cat((w[:, :1], w[:, 2:]), dim=1)
    elif mistake == "a_J last":
        memory = [*memory[1:], a]
    if mistake == "memory":
        memory = memory[::-1]
    rows = memory if mistake == "no skip" else [*memory, x]
    return sum(w[:, r, None] * row for r, row in enumerate(rows))


def symmetric_conv(a, h, s):
    return F.conv1d(a, h, padding="same", dilation=s, groups=h.shape[0])


def circular_conv(a, h, s):
    K, L = h.shape[-1], a.shape[-1]
    rounds = a.repeat(1, 1, 1 + -(-(K - 1) * s // L))[..., -(K - 1) * s - L :]
    return F.conv1d(rounds, h, dilation=s, groups=h.shape[0])


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


class InPlace(MultiresNet):
    def forward(self, x):
        x = self.encode(x)
        for layer, mix, norm in zip(self.seq_layers, self.mixing_layers, self.norms, strict=True):
            r = mix(layer(x))
            r += x  # writes into what the GLU gave
            x = self.normalise(norm, r)
        return self.output_mapping(x.mean(dim=2))


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


def plant_uniform(mistake):
    """In the uniform readout: the taps of a level the wrong way round, or a tree of another depth."""

    def plant(module, only=None):
        for i, layer in enumerate(module.seq_layers):
            if only is None or i == only:
                layer.__class__, layer.mistake = WrongUniform, mistake

    return plant


class WrongUniform(MultiresLayer):
    def conv(self, x):
        y, a, taps = self.w[:, -1:] * x, x, self.kept
        if self.mistake == "depth":
            K, left, t, coarse = self.h0.shape[-1], sum(taps), 1, []
            for _ in range(len(taps) + 1):
                coarse.append(min(t, left))
                left, t = left - coarse[-1], 2 * (t - 1) + K
            taps = coarse[::-1]
        end = 1 + sum(taps)
        for i, t in enumerate(taps, start=1):
            b = causal_conv(a, self.h1, 2 ** (i - 1))
            kept = self.w[:, end - t : end][:, None]
            y = y + causal_conv(b, kept if self.mistake == "readout" else kept.flip(-1), 2**i) if t else y
            end -= t
            a = causal_conv(a, self.h0, 2 ** (i - 1))
        return y + self.w[:, :1] * a


def plant_activation(kind):
    def plant(module, only=None):
        for i, layer in enumerate(module.seq_layers):
            if only is None or i == only:
                layer.activation = kind()

    return plant


class Swapped(nn.GLU):
    def forward(self, u):
        a, b = u.chunk(2, dim=1)
        return b * torch.sigmoid(a)


class Interleaved(nn.GLU):
    def forward(self, u):
        return u[:, ::2] * torch.sigmoid(u[:, 1::2])


def plant_mixing(place, make):
    def plant(module, only=None):
        for i, mixing in enumerate(module.mixing_layers):
            if only is None or i == only:
                mixing[place] = make()

    return plant


def plant_eps(eps):
    def plant(module, only=None):
        for i, norm in enumerate(module.norms):
            if only is None or i == only:
                norm.eps = eps

    return plant


class NoResidual(MultiresNet):
    def forward(self, x):
        x = self.encode(x)
        for layer, mix, norm in zip(self.seq_layers, self.mixing_layers, self.norms, strict=True):
            x = self.normalise(norm, mix(layer(x)))
        return self.output_mapping(x.mean(dim=2))


def pooling(pool):
    class Pooled(MultiresNet):
        def forward(self, x):
            x = self.encode(x)
            for layer, mix, norm in zip(self.seq_layers, self.mixing_layers, self.norms, strict=True):
                x = self.normalise(norm, x + mix(layer(x)))
            return self.output_mapping(pool(x))

    return Pooled
