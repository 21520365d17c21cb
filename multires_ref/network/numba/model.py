"""The whole network on one short example as one compiled call: `network/model.py` in evaluation.

For so little work, the calls of the operations one by one take longer than the arithmetic. A row is a time step here, so all
inner loops run over channels: see `rows.py`. The parameters are copied into one flat array before, which is quicker than to give
the compiled function dozens of arrays.
"""

from __future__ import annotations

from functools import lru_cache
from types import NoneType

import numpy as np

from ...base.arrays import Array
from ...base.checks import NATIVE
from ...base.compiled import njit
from ...base.inner import inner_njit
from ...base.pytrees import Params, unflatten
from ...base.vectors import wide_vectors
from ...engines.numba import FASTMATH
from ...ops.layer_norm import EPS
from ...ops.numba._math import exact
from ...tree import delay
from ..config import NetworkConfig
from ..init import parameter_shapes, state_shapes
from .rows import BATCH, LAYER, NORMS, after_convolution, compiled, linear

Sizes = tuple[int, int, int, int, int, int]  # N blocks, D, J, K, the norm, and the steps that a classifier's mean is over
Flags = tuple[bool, bool, bool, bool]  # whether the encoder is linear, the filters tied, there is a `mix2`, the output pooled
SMALL = 2**14  # elements [D, L]: for larger arrays the operations one by one are as fast
makes_arrays = inner_njit(
    fastmath=FASTMATH, error_model="numpy"
)  # as `compiled`, which makes none: for functions that others call


def apply_to_one(config: NetworkConfig, params: Params, state: Params, x: Array, lengths: Array | None) -> Array | None:
    """The network's output for one example x [1, d_input, L], or tokens [1, L]; x and lengths are checked.

    None where this is left to the operations one by one: for larger arrays, a memory that is not the fading one, a norm that is
    not compiled, and arrays that are not NumPy's or do not fit together.
    """
    L = x.shape[-1]
    if config.d_model * L > SMALL or config.tree_select != "fading" or config.norm not in NORMS:
        return None
    arrays = in_order(config, params, state)
    if not fit(config, arrays, x, params["encoder"]) or type(lengths) not in (NoneType, np.ndarray):
        return None
    length = L if lengths is None else int(lengths[0])
    x = delay(x, 1) if config.kind == "autoregressive" else x  # the output at n must not see x[n]
    table = params["encoder"].get("table")
    rows = np.array(x[0].T if table is None else table[x[0]], arrays[0].dtype, order="C")  # [L, d_input or D]
    at_every_step = config.has_output_at_every_step
    out = np.empty((L if at_every_step else 1, config.d_output), rows.dtype)
    sizes = config.n_layers, config.d_model, config.J, config.kernel_size, NORMS[config.norm], length
    flags = table is None, config.tied, config.kind == "autoregressive", not at_every_step
    flat = np.concatenate([a.swapaxes(-1, -2) if a.ndim > 1 else a for a in arrays], axis=None)  # channels last
    network(out, rows, flat, sizes, flags)
    return np.ascontiguousarray(out.T)[None] if at_every_step else out


def fit(config: NetworkConfig, arrays: list[Array], x: Array, encoder: Params) -> bool:
    """Whether all are NumPy arrays, and the parameters of one dtype and of the right shapes.

    The loops do not look whether an index is inside of an array.
    """
    kinds, dtypes = {type(x), *map(type, arrays), *map(type, encoder.values())}, {a.dtype for a in arrays}
    width = encoder["table"].shape[1:] if "table" in encoder else (config.d_model,)
    shapes_fit = [a.shape for a in arrays] == shapes_in_order(config) and width == (config.d_model,)
    return kinds == {np.ndarray} and len(dtypes) == 1 and dtypes <= {*NATIVE} and shapes_fit


def in_order(config: NetworkConfig, params: Params, state: Params) -> list[Array]:
    """The arrays that the compiled call reads, in its order: encoder, blocks, decoder. An embedding's table is not among them."""
    arrays = [] if config.encoder == "embedding" else [params["encoder"]["weight"], params["encoder"]["bias"]]
    for block, statistics in zip(params["blocks"], state["blocks"], strict=True):
        conv, norm = block["conv"], block["norm"]
        arrays += [conv["h0"], conv["h1"], conv["w"], conv["w_skip"], block["mix"]["weight"], block["mix"]["bias"]]
        arrays += [block["mix2"]["weight"], block["mix2"]["bias"]] if config.kind == "autoregressive" else []
        arrays += [statistics["mean"], statistics["var"]] if config.norm == "batch" else []
        arrays += [norm["weight"]] if config.norm == "rms" else [norm["weight"], norm["bias"]]
    return [*arrays, params["decoder"]["weight"], params["decoder"]["bias"]]


@lru_cache
def shapes_in_order(config: NetworkConfig) -> list[Array]:
    """What the shapes of `in_order` must be."""
    params, state = (unflatten({**shapes}) for shapes in (parameter_shapes(config), state_shapes(config)))
    return in_order(config, params, state or {"blocks": [{}] * config.n_layers})


@njit(fastmath=FASTMATH, error_model="numpy")
def network(out: Array, rows: Array, flat: Array, sizes: Sizes, flags: Flags) -> None:
    """Fill out [L, E], or [1, E] for a classifier, whose mean is over the first `length` steps; rows may be overwritten."""
    (N, D, _, _, _, length), (is_linear, _, _, pools) = sizes, flags
    L, E, dtype, at = len(rows), out.shape[1], rows.dtype, 0
    x, c, u = rows, np.empty((L, D), dtype), np.empty((L, 2 * D), dtype)
    if is_linear:
        weight, bias, at = matrix(flat, at, rows.shape[1], D)
        x = np.empty((L, D), dtype)
        linear(x, rows, weight, bias)
    for _ in range(N):
        at = block(x, c, u, flat, at, sizes, flags)
    if pools:
        mean_of_rows(c[0], x, length)
        x = c[:1]
    weight, bias, at = matrix(flat, at, D, E)
    linear(out, x, weight, bias)


@makes_arrays
def matrix(flat: Array, at: int, inputs: int, outputs: int) -> tuple[Array, Array, int]:
    """A weight [inputs, outputs] and a bias [outputs] from `flat`, and where the next array begins."""
    middle, end = at + inputs * outputs, at + inputs * outputs + outputs
    return flat[at:middle].reshape(inputs, outputs), flat[middle:end], end


@makes_arrays
def block(x: Array, c: Array, u: Array, flat: Array, at: int, sizes: Sizes, flags: Flags) -> int:
    """A block, whose parameters begin at `at` in `flat`: x becomes its output. Returns where the next block's begin."""
    (_, D, J, K, norm, _), (_, tied, has_mix2, _) = sizes, flags
    H = 1 if tied else J
    n = H * D * K
    h0, h1 = flat[at : at + n].reshape(H, K, D), flat[at + n : at + 2 * n].reshape(H, K, D)
    w, w_skip, at = matrix(flat, at + 2 * n, J + 1, D)
    conv(c, x.copy(), np.empty((2 * K, D), x.dtype), np.empty(D, x.dtype), h0, h1, w, w_skip)
    mix, bias, at = matrix(flat, at, D, 2 * D)
    mix2, bias2 = mix[:0], bias
    if has_mix2:
        mix2, bias2, at = matrix(flat, at, D, D)
    parts = 4 if norm == BATCH else 2 if norm == LAYER else 1
    after_convolution(x, c, u, mix, bias, mix2, bias2, norm, norm_of(flat[at : at + parts * D].reshape(parts, D)))
    return at + parts * D


@makes_arrays
def norm_of(parts: Array) -> Array:
    """What `normalise` reads, [3, D]: mean, factor and bias. `parts` holds the running mean and variance, weight and bias of
    BatchNorm, weight and bias of LayerNorm, the weight of RMSNorm."""
    three = np.zeros((3, parts.shape[1]), parts.dtype)
    for d in range(parts.shape[1]):
        if len(parts) == 4:
            three[0, d], three[1, d], three[2, d] = parts[0, d], parts[2, d] / np.sqrt(parts[1, d] + EPS), parts[3, d]
        else:
            three[1, d] = parts[0, d]
            three[2, d] = parts[1, d] if len(parts) == 2 else 0
    return three


@compiled
def conv(y: Array, a: Array, taps: Array, above: Array, h0: Array, h1: Array, w: Array, w_skip: Array) -> None:
    """y = the layer of a, both [L, D]; a is overwritten level by level, and ends as a_J.

    h0, h1 [1 or J, K, D]; w [J + 1, D]; `taps` [2 K, D] and `above` [D] are space to work in.
    """
    J = len(w) - 1
    y.fill(0)
    add_product(y, a, w_skip)
    for i in range(J):
        of_level = 0 if len(h0) == 1 else i
        lay_out_level(taps, h0[of_level], h1[of_level], w[J - i])
        level(y, a, taps, above, 2**i)
    add_product(y, a, w[0])


@compiled
def level(y: Array, a: Array, taps: Array, above: Array, s: int) -> None:
    """y += q_i * a and a = h0 * a, with dilation s: from the last step to the first, which needs no second array for a."""
    wide_vectors()
    L, D, K = len(a), np.uint64(a.shape[1]), len(taps) // 2
    for n in range(L - 1, -1, -1):
        for d in range(D):
            above[d] = taps[0, d] * a[n, d]
            y[n, d] += taps[K, d] * a[n, d]
        for k in range(1, min(K, n // s + 1)):
            for d in range(D):
                above[d] += taps[k, d] * a[n - k * s, d]
                y[n, d] += taps[K + k, d] * a[n - k * s, d]
        for d in range(D):
            a[n, d] = above[d]


@compiled
def add_product(y: Array, a: Array, c: Array) -> None:
    """y += c a for every step of y and a [L, D]."""
    for n in range(len(y)):
        for d in range(np.uint64(len(c))):
            y[n, d] += c[d] * a[n, d]


@compiled
def lay_out_level(taps: Array, h0: Array, h1: Array, w: Array) -> None:
    """taps [:K] = h0 and taps [K : 2 K] = the readout filter q_i = w_i h1 of a level, a row for each tap."""
    K, D = h0.shape
    for k in range(K):
        for d in range(np.uint64(D)):
            taps[k, d] = h0[k, d]
            taps[K + k, d] = w[d] * h1[k, d]


@exact
def mean_of_rows(out: Array, x: Array, length: int) -> None:
    """out [D] = the mean of the first rows of x."""
    for d in range(len(out)):
        total = 0.0
        for n in range(length):
            total += x[n, d]
        out[d] = total / length
