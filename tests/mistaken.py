"""The whole network in plain NumPy, with the usual mistakes by name: written apart from the package's, which it tests.

Axes, sums and indices are spelt out: the numbers of `mistakes` and `usual_mistakes` are held to these.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erf


def filtered(a, h, dilation, at=lambda n, k, K, s: n - k * s, around=False):
    """out[b, d, n] = sum_k h[d, k] a[b, d, at(n, k, K, dilation)]; outside there are zeros, or the other end."""
    out, L = np.zeros_like(a), a.shape[-1]
    for k in range(h.shape[1]):
        for n in range(L):
            place = at(n, k, h.shape[1], dilation)
            if around or 0 <= place < L:
                out[:, :, n] += h[:, k] * a[:, :, place % L]
    return out


AHEAD = {
    "padding on the right": lambda n, k, K, s: n + (K - 1 - k) * s,
    "symmetric padding": lambda n, k, K, s: n + (K - 1 - k) * s - (K - 1) * s // 2,
    "circular and symmetric padding": lambda n, k, K, s: n + (K - 1 - k) * s - (K - 1) * s // 2,
}


def multires(config, p, x, mistake=""):
    """w . z + w_skip x, level by level."""
    h0, h1, w, skip, J, K = p["h0"], p["h1"], p["w"], p["w_skip"], config.J, config.kernel_size
    uniform, m = config.tree_select == "uniform", p["w"].shape[1]
    if "tree of depth" in mistake:
        uniform, J = mistake.startswith("uniform"), int(mistake.split()[-1])
    if mistake in ("taps in the opposite order", "taps of h0 in the opposite order"):
        h0 = h0[:, ::-1]
    if mistake in ("taps in the opposite order", "taps of h1 in the opposite order"):
        h1 = h1[:, ::-1]
    if mistake == "detail and approximation swapped":
        h0, h1 = h1, h0
    if mistake in ("h0 shared by all channels", "filters shared by all channels"):
        h0 = np.tile(h0[0], (len(h0), 1))
    if mistake == "filters shared by all channels":
        h1 = np.tile(h1[0], (len(h1), 1))
    options = {"around": mistake.startswith("circular")}
    if mistake in AHEAD:
        options["at"] = AHEAD[mistake]
    dilations = {
        "dilations in the wrong order": [2 ** (J - i) for i in range(1, J + 1)],
        "dilations from 2": [2**i for i in range(1, J + 1)],
        "dilations are powers of K": [K ** (i - 1) for i in range(1, J + 1)],
        "dilations grow linearly": list(range(1, J + 1)),
        "no dilation": [1] * J,
    }.get(mistake, [2 ** (i - 1) for i in range(1, J + 1)])
    if mistake == "one level too few":
        dilations.pop()
        w = np.delete(w, 1, axis=1)  # the weight of b_J is not used
    a, details = x, []
    for s in dilations:
        details.append(filtered(a, h1, s, **options))
        a = filtered(a, h0, s, **options)
    if mistake == "one level too many":  # whose detail has no weight
        a = filtered(a, h0, 2**J, **options)
    if uniform:
        kept, left, t = [], m - 1, 1
        for _ in range(J):  # coarse to fine, as many coefficients as the level below has ancestors
            kept.append(min(t, left))
            left, t = left - kept[-1], 2 * (t - 1) + K
        rows = [a]
        for i, t in zip(range(J, 0, -1), kept, strict=True):
            lags = range(t)[:: -1 if mistake == "readout of a level in the opposite order" else 1]
            rows += [filtered(details[i - 1], np.ones((len(h0), 1)), 0, at=lambda n, k, K, s, d=t * 2**i: n - d) for t in lags]
    else:
        rows = [a, *details[::-1]]
        if mistake == "levels in the wrong order":
            rows = [a, *details]
        elif mistake == "levels in the wrong order, a_J last":
            rows = [*details, a]
        elif mistake == "a_J last":
            rows = [*details[::-1], a]
    weights = [w[:, r] for r in range(w.shape[1])] + [skip]
    if mistake == "skip weight at the wrong end":
        weights = weights[1:] + weights[:1]
    elif mistake == "skip weight missing":
        weights[-1] = 0 * skip
    elif mistake == "skip weight taken as 1":
        weights[-1] = 0 * skip + 1
    y = weights.pop()[:, None] * x
    for weight, row in zip(weights, rows, strict=False):  # weights beyond the tree are not used
        y = y + weight[:, None] * row
    return y


def activation(x, mistake):
    if mistake == "tanh for exact GELU":
        return x / (1 + np.exp(-2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    if mistake == "ReLU for GELU":
        return np.where(x > 0, x, 0)
    return x / (1 + np.exp(-x)) if mistake == "SiLU for GELU" else x * (1 + erf(x / np.sqrt(2))) / 2


def gated(u, mistake):
    D = u.shape[1] // 2
    values, gates = u[:, :D], u[:, D:]
    if mistake == "halves of GLU swapped":
        values, gates = gates, values
    elif mistake == "halves of GLU interleaved":
        values, gates = u[:, 0::2], u[:, 1::2]
    return values / (1 + np.exp(-gates))


def normed(config, p, state, s, mistake, training):
    """The norm of s, and BatchNorm's new running statistics."""
    axes = (1,) if config.norm == "layer" else (0, 2)
    n = np.prod([s.shape[axis] for axis in axes])
    mean = s.sum(axis=axes, keepdims=True) / n
    squares, shown = ((s - mean) ** 2).sum(axis=axes, keepdims=True), {}
    var = squares / (n - 1 if mistake == "unbiased variance in the norm" else n)
    if config.norm == "batch" and training:
        shown["norm.running_mean"] = 0.9 * state["mean"] + 0.1 * mean[0, :, 0]
        entered = squares / (n if mistake == "biased running variance in BatchNorm" else n - 1)
        shown["norm.running_var"] = 0.9 * state["var"] + 0.1 * entered[0, :, 0]
    if config.norm == "batch" and not training and mistake != "batch statistics in evaluation":
        mean, var = state["mean"][None, :, None], state["var"][None, :, None]
    eps = float(mistake.split()[-1]) if mistake.startswith("eps of the norm") else 1e-5
    return {"norm": p["weight"][:, None] * (s - mean) / np.sqrt(var + eps) + p["bias"][:, None], **shown}


def channels(p, x):
    return np.einsum("oc,bc...->bo...", p["weight"], x) + p["bias"].reshape(1, -1, *[1] * (x.ndim - 2))


def pooled(x, lengths, mistake):
    out = np.zeros(x.shape[:2])
    for b in range(len(x)):
        end = x.shape[2] if lengths is None or mistake == "mean over the padding" else lengths[b]
        part = x[b, :, :end]
        out[b] = part.sum(axis=1) / end
        if mistake == "maximum over time":
            out[b] = part.max(axis=1)
        elif mistake == "last step taken":
            out[b] = part[:, -1]
        elif mistake == "sum over time":
            out[b] = part.sum(axis=1)
    return out


def network(model, x, lengths=None, mistake="", blocks=None, training=False):
    """Every layer's output by name, with a mistake in the given blocks (None: in all, and around them)."""
    config, params = model.config, model.params
    outside = mistake if blocks is None else ""
    if config.kind == "autoregressive" and outside != "input not shifted by one step":
        x = np.concatenate([0 * x[..., :1], x[..., :-1]], axis=-1)
    tokens = config.encoder == "embedding"
    x = params["encoder"]["table"][x].transpose(0, 2, 1) if tokens else channels(params["encoder"], x)
    found = {"encoder": x}
    for i, (p, state) in enumerate(zip(params["blocks"], model.state["blocks"], strict=True)):
        here = mistake if blocks is None or i in blocks else ""
        shown, block_in = {}, x
        if here == "pre-norm for post-norm":
            shown |= normed(config, p["norm"], state, x, here, training)
            block_in = shown["norm"]
        shown["input"] = block_in
        shown["conv"] = multires(config, p["conv"], block_in, here)
        shown["gelu"] = activation(shown["conv"], here)
        shown["mix"] = channels(p["mix"], shown["gelu"])
        r = shown["glu"] = gated(shown["mix"], here)
        if config.kind == "autoregressive":
            r = shown["mix2"] = r if here == "second 1x1 convolution missing" else channels(p["mix2"], r)
        x = r if here == "residual sum missing" else x + r
        if here != "pre-norm for post-norm":
            shown |= normed(config, p["norm"], state, x, here, training)
            x = shown["norm"]
        found |= {f"blocks.{i}.{name}": value for name, value in shown.items()}
    if config.kind == "classifier":
        x = found["pool"] = pooled(x, lengths, outside)
    found["decoder"] = channels(params["decoder"], x)
    return found
