"""The operations of `ops` in PyTorch, under the same names: their gradients are compared with ours.

They are written from the formulas with PyTorch's own functions, and take and return tensors; `delay` and `advance` shift in time.
Importing this module imports PyTorch.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..base.optional import import_torch
from ..ops.layer_norm import EPS
from .torch_model import MultiresLayer, causal_conv, mean_over_time

if TYPE_CHECKING:
    from torch import Tensor

torch: Any = import_torch("checking gradients against PyTorch's")
F = torch.nn.functional


def dilated_conv(a: Tensor, h: Tensor, dilation: int) -> Tensor:
    """out[n] = sum_k h[k] a[n - k dilation]."""
    return causal_conv(a, h.flip(-1)[:, None], dilation)


def dilated_correlate(g: Tensor, h: Tensor, dilation: int) -> Tensor:
    """out[n] = sum_k h[k] g[n + k dilation]."""
    return F.conv1d(F.pad(g, (0, (h.shape[-1] - 1) * dilation)), h[:, None], dilation=dilation, groups=h.shape[0])


def dilated_taps(g: Tensor, a: Tensor, dilation: int, K: int) -> Tensor:
    """out[d, k] = sum over batch and time of g[n] a[n - k dilation]."""
    return torch.stack([(g * delay(a, k * dilation)).sum((0, 2)) for k in range(K)], dim=-1)


def delay(a: Tensor, steps: int) -> Tensor:
    """a[n - steps], zero where n < steps."""
    return F.pad(a, (steps, 0))[..., : a.shape[-1]]


def advance(a: Tensor, steps: int) -> Tensor:
    """a[n + steps], zero beyond the end."""
    return F.pad(a, (0, steps))[..., steps:]


def gelu(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The exact GELU, times the dropout mask."""
    return F.gelu(x) if mask is None else F.gelu(x) * mask


def glu(u: Tensor, mask: Tensor | None = None) -> Tensor:
    """u[:, :D] sigmoid(u[:, D:]), times the dropout mask."""
    return F.glu(u, dim=1) if mask is None else F.glu(u, dim=1) * mask


def conv1x1(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """weight @ x[:, :, n] + bias."""
    return F.conv1d(x, weight[:, :, None], bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x @ weight.T + bias."""
    return F.linear(x, weight, bias)


def embed(table: Tensor, tokens: Tensor) -> Tensor:
    """table[tokens] as [B, D, L]."""
    return F.embedding(tokens, table).transpose(1, 2)


def masked_mean(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The mean over the true time steps."""
    return mean_over_time(x, lengths)


def layer_norm(x: Tensor, r: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """LayerNorm over channels of x + r."""
    return F.layer_norm((x + r).transpose(1, 2), weight.shape, weight, bias).transpose(1, 2)


def rms_norm(x: Tensor, r: Tensor, weight: Tensor) -> Tensor:
    """RMSNorm over channels of x + r."""
    return F.rms_norm((x + r).transpose(1, 2), weight.shape, weight, EPS).transpose(1, 2)


def batch_norm(x: Tensor, r: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, training: bool) -> Tensor:
    """BatchNorm of x + r."""
    return F.batch_norm(x + r, None if training else mean, None if training else var, weight, bias, training)


def multires_conv(
    x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, w_skip: Tensor, kept: tuple[int, ...], engine: str = "PyTorch"
) -> Tensor:
    """The operator as `torch_model.MultiresLayer` computes it; `engine` is that of ours, and has no effect here."""
    h0, h1 = (h.flip(-1)[:, None] for h in (h0, h1))  # [D, 1, K], newest sample last
    layer = SimpleNamespace(h0=h0, h1=h1, w=torch.cat((w, w_skip[:, None]), dim=1), kept=kept)
    return MultiresLayer.conv(layer, x)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over the batch."""
    return F.cross_entropy(logits, targets)


def bce_with_logits(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over all elements."""
    return F.binary_cross_entropy_with_logits(logits, targets)


def squared_error(out: Tensor, targets: Tensor) -> Tensor:
    """The mean squared error."""
    return F.mse_loss(out, targets)


def mixture_nll(out: Tensor, x: Tensor, n_values: int) -> Tensor:
    """The negative log-likelihood, in nats, of 1 or 3 colours under a mixture of M discretised logistic distributions; a sum.

    The formula of `ops.mixture_nll`. The probability of a value is a difference of two sigmoids, computed as it is written. Where
    it is at most 1e-5, it is replaced by the density times the width. Source: the authors' `discretized_mix_logistic_loss`, after
    Salimans et al., "PixelCNN++" (2017).

    Parameters
    ----------
    out : tensor [B, 10 M, L] for three colours, [B, 3 M, L] for one
        M logits of the mixture's weights; then, for each colour, M means, M logarithms of the scales and, if there are three
        colours, M coefficients (of red in green, red in blue, and green in blue).
    x : tensor [B, 3, L] or [B, 1, L]
        Values in [-1, 1], on a grid of `n_values` values.
    n_values : int

    Examples
    --------
    >>> x = torch.zeros(1, 3, 1)
    >>> round(float(mixture_nll(torch.zeros(1, 10, 1), x, n_values=3)), 3) == round(-3 * math.log(math.tanh(0.25)), 3)
    True
    """
    C = x.shape[1]
    logits, *groups = out.chunk({1: 3, 3: 10}[C], dim=1)  # [B, M, L] each
    half, total = 1 / (n_values - 1), F.log_softmax(logits, dim=1)
    colours, of_each = [x[:, c, None] for c in range(C)], len(groups) // C
    shifts = [0.0] * C
    if C == 3:
        of_r, of_g, of_b = (torch.tanh(group) for group in groups[2::3])
        r, g, _ = colours
        shifts = [0.0, of_r * r, of_g * r + of_b * g]
    for value, mean, log_scale, shift in zip(colours, groups[0::of_each], groups[1::of_each], shifts, strict=True):
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
