"""Which scales and lags of the last layer a classifier's decision depends on.

The layer is linear in its input v, so its output splits exactly into rows r of the memory and lags t (`analysis.split_output`).
What follows it (GELU, mixing, norm, mean) is not linear; its gradient g at the example extends the split to the decision:

    margin = logit of the class - mean of the other logits,        g[d, n] = d margin / d c[d, n],   c the layer's output,
    parts[r, t] = sum over d, n of g[d, n] w[d, r] M[d, r, t] v[d, n-t],        sum of parts = <g, c>.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.checks import check_int
from ..memories import memory_matrix
from ..network import Model
from .analysis import short_name


def decision_parts(model: Model, x: np.ndarray, target: int) -> tuple[np.ndarray, list[str]]:
    """The decision for class `target` on one example, split by scale and lag of the last layer: parts [m + 1, R].

    Parameters
    ----------
    model : Model, a classifier
    x : array [d_input, L] (tokens: [L]), one example without padding
    target : int, the class

    Returns
    -------
    parts : array [m + 1, R], the last row being the skip's
    names : list of m + 1 str, "a6", "b6", ..., "b1", "skip"

    Examples
    --------
    >>> from multires_ref import NetworkConfig
    >>> model = Model.init(NetworkConfig(1, 10, 8, 2, max_length=16), np.random.default_rng(0))
    >>> parts, names = decision_parts(model, np.ones((1, 16), np.float32), target=3)
    >>> parts.shape, names
    ((6, 16), ['a4', 'b4', 'b3', 'b2', 'b1', 'skip'])
    """
    if model.config.kind != "classifier":
        raise ValueError(f"model must be a classifier; got kind {model.config.kind!r}")
    target = check_int("target", target, 0, model.config.d_output - 1)
    v, c = last_layer(model, x)
    return split_by_scale_and_lag(model, v, margin_gradient(model, v, c, target))


def split_by_scale_and_lag(model: Model, v: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The sum over d, n of g[d, n] c[d, n] in the parts that rows and lags of the last layer have in it: see `decision_parts`.

    v, g [1, D, L]: the last layer's input, and the gradient of the margin by its output c.
    """
    conv = model.params["blocks"][-1]["conv"]
    M, rows = memory_matrix(conv["h0"], conv["h1"], model.config.J, model.config.tree_select, conv["w"].shape[1])  # [D, m, R]
    moments = lagged_products(g[0], v[0], M.shape[-1])
    skip = np.zeros((1, M.shape[-1]), M.dtype)
    skip[0, 0] = conv["w_skip"] @ moments[:, 0]
    parts = np.einsum("dr,drt,dt->rt", conv["w"], M, moments)
    return np.concatenate((parts, skip)), [*map(short_name, rows), "skip"]


def lagged_products(g: np.ndarray, v: np.ndarray, lags: int) -> np.ndarray:
    """sum_n g[d, n] v[d, n-t] for the lags t = 0 ... lags - 1, by the Fourier transform in float64: [D, lags] in g's dtype.

    Examples
    --------
    >>> lagged_products(np.array([[1.0, 10.0, 100.0]]), np.array([[1.0, 2.0, 3.0]]), lags=4).round(9)
    array([[321., 210., 100.,   0.]])
    """
    from scipy.fft import irfft, next_fast_len, rfft

    L = g.shape[-1]
    N = next_fast_len(2 * L, real=True)  # so many that nothing wraps
    G, V = (rfft(a.astype(np.float64), N) for a in (g, v))
    products = np.zeros((len(g), lags), g.dtype)
    products[:, :L] = irfft(G * V.conj(), N)[:, : min(L, lags)]  # lags beyond the signal see nothing
    return products


def last_layer(model: Model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last layer's input v and output c, [1, D, L] each."""
    seen: dict[str, Any] = {}
    model(np.asarray(x)[None], hook=lambda name, array: seen.__setitem__(name, array), engine="tree")
    last = model.config.n_layers - 1
    return seen["encoder" if last == 0 else f"blocks.{last - 1}.norm"], seen[f"blocks.{last}.conv"]


def margin_gradient(model: Model, v: np.ndarray, c: np.ndarray, target: int) -> np.ndarray:
    """g = d margin / d c, [1, D, L]."""
    from autograd import grad

    others = np.full(model.config.d_output, -1 / max(model.config.d_output - 1, 1), c.dtype)
    others[target] = 1

    def margin(c: Any) -> Any:
        return (after_last_layer(model, v, c) * others).sum()

    return grad(margin)(c)


def after_last_layer(model: Model, v: np.ndarray, c: Any) -> Any:
    """The logits [1, d_output] from the last layer's input v and output c: GELU, mixing, norm, mean, linear."""
    from ..network.block import after_convolution, ignore
    from ..network.model import decode
    from ..network.norms import NORMS

    params, state = model.params["blocks"][-1], model.state["blocks"][-1]
    out, _ = NORMS[model.config.norm].apply(params["norm"], state, v, after_convolution(params, c), False, None)
    return decode(model.config, model.params["decoder"], out, None, ignore)
