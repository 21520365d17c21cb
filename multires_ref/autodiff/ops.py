"""The operations as autograd knows them: what the network calls. One formula an argument.

`primitive` hides a function's inside from autograd; `defvjp` (a formula for each argument) or `defvjp_argnums` (one backward
pass for all) says how a gradient g of the result becomes gradients of the arguments. `call` picks the implementation.
"""

from __future__ import annotations

from autograd.extend import defvjp, defvjp_argnums, primitive

from .dispatch import call


@primitive
def dilated_conv(a, h, dilation):
    """out[n] = sum_k h[k] a[n - k dilation], for a [B, D, L] and h [D, K]."""
    return call("dilated_conv", a, h, dilation)


@primitive
def dilated_correlate(g, h, dilation):
    """out[n] = sum_k h[k] g[n + k dilation]."""
    return call("dilated_correlate", g, h, dilation)


@primitive
def dilated_taps(g, a, dilation, K):
    """out[d, k] = sum over batch and time of g[n] a[n - k dilation]."""
    return call("dilated_taps", g, a, dilation, K)


defvjp(
    dilated_conv,
    lambda ans, a, h, s: lambda g: dilated_correlate(g, h, s),
    lambda ans, a, h, s: lambda g: dilated_taps(g, a, s, h.shape[-1]),
)
defvjp(
    dilated_correlate,
    lambda ans, g, h, s: lambda gg: dilated_conv(gg, h, s),
    lambda ans, g, h, s: lambda gg: dilated_taps(g, gg, s, h.shape[-1]),
)
defvjp(
    dilated_taps,
    lambda ans, g, a, s, K: lambda gh: dilated_conv(a, gh, s),
    lambda ans, g, a, s, K: lambda gh: dilated_correlate(g, gh, s),
)


@primitive
def delay(a, steps):
    """a[n - steps], zero where n < steps."""
    return call("delay", a, steps)


@primitive
def advance(a, steps):
    """a[n + steps], zero beyond the end."""
    return call("advance", a, steps)


defvjp(delay, lambda ans, a, steps: lambda g: advance(g, steps))
defvjp(advance, lambda ans, a, steps: lambda g: delay(g, steps))


@primitive
def gelu(x, mask=None):
    """x Phi(x) times the dropout mask."""
    return call("gelu", x, mask)


@primitive
def glu(u, mask=None):
    """u[:, :D] sigmoid(u[:, D:]) times the dropout mask."""
    return call("glu", u, mask)


defvjp(gelu, lambda ans, x, mask=None: lambda g: call("gelu_adjoint", g, x, mask), None)
defvjp(glu, lambda ans, u, mask=None: lambda g: call("glu_adjoint", g, u, mask), None)


@primitive
def conv1x1(x, weight, bias):
    """weight @ x[:, :, n] + bias at every time step n."""
    return call("conv1x1", x, weight, bias)


@primitive
def linear(x, weight, bias):
    """x @ weight.T + bias."""
    return call("linear", x, weight, bias)


@primitive
def embed(table, tokens):
    """table[tokens] as [B, D, L]."""
    return call("embed", table, tokens)


@primitive
def embed_adjoint(g, tokens, V):
    """What arrived at each token's places, summed: [V, D]."""
    return call("embed_adjoint", g, tokens, V)


@primitive
def masked_mean(x, lengths=None):
    """The mean over the true time steps."""
    return call("masked_mean", x, lengths)


def all_at_once(adjoint):
    """A rule for `defvjp_argnums`: one call of `adjoint` gives the gradients of the first arguments, in their order."""

    def rule(argnums, ans, args, kwargs):
        def vjp(g):
            gradients = adjoint(g, *args)
            return tuple(gradients[n] for n in argnums)

        return vjp

    return rule


defvjp_argnums(conv1x1, all_at_once(lambda g, x, W, c: call("conv1x1_adjoint", g, x, W)))
defvjp_argnums(linear, all_at_once(lambda g, x, W, c: call("linear_adjoint", g, x, W)))
defvjp(embed, lambda ans, table, tokens: lambda g: embed_adjoint(g, tokens, table.shape[0]), None)
defvjp(embed_adjoint, lambda ans, g, tokens, V: lambda gt: embed(gt, tokens), None, None)
defvjp(masked_mean, lambda ans, x, lengths=None: lambda g: call("masked_mean_adjoint", g, x, lengths), None)


@primitive
def layer_norm(x, r, weight, bias):
    """LayerNorm over channels of x + r."""
    return call("layer_norm", x, r, weight, bias)


@primitive
def batch_norm(x, r, weight, bias, mean, var, training):
    """BatchNorm of x + r; in training mean and var are the batch's own."""
    return call("batch_norm", x, r, weight, bias, mean, var, training)


def for_both_terms(ds, dweight, dbias):
    """The residual sum hands its gradient to both of its terms."""
    return ds, ds, dweight, dbias


defvjp_argnums(layer_norm, all_at_once(lambda g, x, r, w, c: for_both_terms(*call("layer_norm_adjoint", g, x, r, w))))
defvjp_argnums(
    batch_norm,
    all_at_once(lambda g, x, r, w, c, m, v, t: for_both_terms(*call("batch_norm_adjoint", g, x, r, w, m, v, t))),
)
