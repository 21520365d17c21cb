"""The operations of `ops` once more, by PyTorch, under the same names: what their gradients are held against.

Written from the formulas with PyTorch's own functions; they take and return tensors. Importing this module imports PyTorch.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from ..base.optional import import_torch
from ..ops.layer_norm import EPS
from .torch_model import MultiresLayer, causal_conv, mean_over_time

torch: Any = import_torch("checking gradients against PyTorch's")
F = torch.nn.functional


def dilated_conv(a: Any, h: Any, dilation: int) -> Any:
    """out[n] = sum_k h[k] a[n - k dilation]."""
    return causal_conv(a, h.flip(-1)[:, None], dilation)


def dilated_correlate(g: Any, h: Any, dilation: int) -> Any:
    """out[n] = sum_k h[k] g[n + k dilation]."""
    return F.conv1d(F.pad(g, (0, (h.shape[-1] - 1) * dilation)), h[:, None], dilation=dilation, groups=h.shape[0])


def dilated_taps(g: Any, a: Any, dilation: int, K: int) -> Any:
    """out[d, k] = sum over batch and time of g[n] a[n - k dilation]."""
    return torch.stack([(g * delay(a, k * dilation)).sum((0, 2)) for k in range(K)], dim=-1)


def delay(a: Any, steps: int) -> Any:
    """a[n - steps], zero where n < steps."""
    return F.pad(a, (steps, 0))[..., : a.shape[-1]]


def advance(a: Any, steps: int) -> Any:
    """a[n + steps], zero beyond the end."""
    return F.pad(a, (0, steps))[..., steps:]


def gelu(x: Any, mask: Any = None) -> Any:
    """The exact GELU, times the dropout mask."""
    return F.gelu(x) if mask is None else F.gelu(x) * mask


def glu(u: Any, mask: Any = None) -> Any:
    """u[:, :D] sigmoid(u[:, D:]), times the dropout mask."""
    return F.glu(u, dim=1) if mask is None else F.glu(u, dim=1) * mask


def conv1x1(x: Any, weight: Any, bias: Any) -> Any:
    """weight @ x[:, :, n] + bias."""
    return F.conv1d(x, weight[:, :, None], bias)


def linear(x: Any, weight: Any, bias: Any) -> Any:
    """x @ weight.T + bias."""
    return F.linear(x, weight, bias)


def embed(table: Any, tokens: Any) -> Any:
    """table[tokens] as [B, D, L]."""
    return F.embedding(tokens, table).transpose(1, 2)


def masked_mean(x: Any, lengths: Any = None) -> Any:
    """The mean over the true time steps."""
    return mean_over_time(x, lengths)


def layer_norm(x: Any, r: Any, weight: Any, bias: Any) -> Any:
    """LayerNorm over channels of x + r."""
    return F.layer_norm((x + r).transpose(1, 2), weight.shape, weight, bias).transpose(1, 2)


def rms_norm(x: Any, r: Any, weight: Any) -> Any:
    """RMSNorm over channels of x + r."""
    return F.rms_norm((x + r).transpose(1, 2), weight.shape, weight, EPS).transpose(1, 2)


def batch_norm(x: Any, r: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool) -> Any:
    """BatchNorm of x + r."""
    return F.batch_norm(x + r, None if training else mean, None if training else var, weight, bias, training)


def multires_conv(x: Any, h0: Any, h1: Any, w: Any, w_skip: Any, kept: tuple[int, ...], engine: str = "PyTorch") -> Any:
    """The operator, as `torch_model.MultiresLayer` computes it, whatever engine ours is computed by."""
    h0, h1 = (h.flip(-1)[:, None] for h in (h0, h1))  # [D, 1, K], newest sample last
    layer = SimpleNamespace(h0=h0, h1=h1, w=torch.cat((w, w_skip[:, None]), dim=1), kept=kept)
    return MultiresLayer.conv(layer, x)


def cross_entropy(logits: Any, targets: Any) -> Any:
    """Mean over the batch."""
    return F.cross_entropy(logits, targets)


def bce_with_logits(logits: Any, targets: Any) -> Any:
    """Mean over all numbers."""
    return F.binary_cross_entropy_with_logits(logits, targets)


def mixture_nll(out: Any, x: Any, n_values: int) -> Any:
    """x [B, C, L] of C = 1 or 3 colours, out [B, 3 M or 10 M, L]; the sigmoids' difference is taken as it stands."""
    C, each = x.shape[1], {1: 2, 3: 3}[x.shape[1]]  # each colour has a mean, a log-scale, and of three a coefficient
    logits, *groups = out.chunk(1 + C * each, dim=1)  # [B, M, L] each
    half, total = 1 / (n_values - 1), F.log_softmax(logits, dim=1)
    values, shifts = [x[:, c, None] for c in range(C)], [0.0]
    if C == 3:
        of_r, of_g, of_b = (torch.tanh(group) for group in groups[2::3])
        shifts += [of_r * values[0], of_g * values[0] + of_b * values[1]]
    for value, mean, log_scale, shift in zip(values, groups[0::each], groups[1::each], shifts, strict=True):
        log_scale = log_scale.clamp(min=-7.0)
        centred, inv_s = value - mean - shift, torch.exp(-log_scale)
        above, below = inv_s * (centred + half), inv_s * (centred - half)
        probability = torch.sigmoid(above) - torch.sigmoid(below)
        middle = inv_s * centred
        density = middle - log_scale - 2 * F.softplus(middle) - math.log((n_values - 1) / 2)
        inside = torch.where(probability > 1e-5, torch.log(probability.clamp(min=1e-12)), density)
        ends = torch.where(value < -0.999, F.logsigmoid(above), torch.where(value > 0.999, F.logsigmoid(-below), inside))
        total = total + ends
    return -torch.logsumexp(total, dim=1).sum()
