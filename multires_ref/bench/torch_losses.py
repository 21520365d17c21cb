"""The losses in PyTorch, as the authors' code computes them: what a training step there has to do."""

from __future__ import annotations

from typing import Any

from ..base.optional import import_torch

torch: Any = import_torch("multires_ref.bench.torch_losses")
F = torch.nn.functional


def mixture_nll(out: Any, x: Any, n_values: int) -> Any:
    """The negative log-likelihood of 1 or 3 colours under a mixture of discretised logistics, in nats, summed.

    Written after the authors' `discretized_mix_logistic_loss` (itself after PixelCNN++): sigmoids and their difference.
    """
    C = x.shape[1]
    groups = {1: 3, 3: 10}[C]
    M = out.shape[1] // groups
    logits, rest = out[:, :M], out[:, M:].unflatten(1, (C, -1, M))  # [B, M, L], [B, C, 2 or 3, M, L]
    means, log_scales = rest[:, :, 0], rest[:, :, 1].clamp(min=-7.0)
    if C == 3:
        k = torch.tanh(rest[:, :, 2])
        red, green = x[:, 0, None], x[:, 1, None]
        means = torch.stack([means[:, 0], means[:, 1] + k[:, 0] * red, means[:, 2] + k[:, 1] * red + k[:, 2] * green], 1)
    half, values = 1 / (n_values - 1), x[:, :, None]
    inv_s, centred = torch.exp(-log_scales), values - means
    plus, minus, middle = inv_s * (centred + half), inv_s * (centred - half), inv_s * centred
    delta = torch.sigmoid(plus) - torch.sigmoid(minus)
    density = middle - log_scales - 2 * F.softplus(middle) - torch.log(torch.tensor((n_values - 1) / 2))
    inside = torch.where(delta > 1e-5, torch.log(delta.clamp(min=1e-12)), density)
    ends = torch.where(values > 0.999, -F.softplus(minus), inside)
    log_prob = torch.where(values < -0.999, plus - F.softplus(plus), ends).sum(1) + F.log_softmax(logits, 1)
    return -torch.logsumexp(log_prob, 1).sum()


LOSSES = {
    "classification": lambda out, y, n_values: F.cross_entropy(out, y),
    "multilabel": lambda out, y, n_values: F.binary_cross_entropy_with_logits(out, y),
    "density": mixture_nll,
}
