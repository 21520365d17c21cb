"""A step of `network/streaming.py` as one compiled call: the whole network, for the next sample of every stream.

Between two small arrays, NumPy's calls take far longer than the arithmetic. Here nothing but the output is allocated. The
parameters of all blocks lie side by side in a few arrays, because each argument of a compiled function costs time too. All inner
loops run over channels, which lie side by side in memory, so the compiler vectorises the loops.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...base.arrays import Array
from ...base.checks import NATIVE
from ...base.compiled import njit
from ...base.pytrees import Params, flatten
from ...engines.numba import FASTMATH
from ...engines.numba.rings import loop as conv
from ...engines.rings import LayerWeights, Rings
from ...ops.layer_norm import EPS
from ...ops.numba._math import exact
from ..config import NetworkConfig
from ..init import parameter_shapes, state_shapes
from .rows import NORMS, after_convolution, compiled, linear


class Network(NamedTuple):
    """The parameters of a network; those of its N blocks are stacked, and matrices are [inputs, outputs]."""

    encoder: Array  # [d_input, D]; [0, D] for an embedding, whose rows are looked up before
    encoder_bias: Array  # [D]
    now: Array  # [N, J, D], and the next two: see `engines/rings.py`
    past: Array  # [N, J, K - 1, D]
    readout: Array  # [N, J + 1 + R, D]
    mix: Array  # [N, D, 2 D]
    mix_bias: Array  # [N, 2 D]
    mix2: Array  # [N, D, D]; [0, D, D] for a network without it
    mix2_bias: Array  # [N, D]
    norm: Array  # [N, 3, D]: mean (zero unless it is a running one), factor, bias
    decoder: Array  # [D, E]
    decoder_bias: Array  # [E]


class Places(NamedTuple):
    """Where the rings are (`engines/rings.py`): int64 arrays."""

    start: Array  # [J]
    length: Array  # [J]
    level: Array  # [R]
    lag: Array  # [R]


class Work(NamedTuple):
    """Space for one step."""

    sample: Array  # [B, d_input]
    x: Array  # [B, D] what goes into a block, and out of it
    c: Array  # [B, D] what the convolution gives, and what is made of it
    u: Array  # [B, 2 D]
    tree: Array  # [2, D]
    reading: Array  # [R]
    writing: Array  # [J]


class Step:
    """A network made ready: its parameters copied and laid out, and space to work in.

    Parameters
    ----------
    config : NetworkConfig
    params, norm_state : pytrees of NumPy arrays
    rings : Rings
    layers : the filters and weights of each block
    batch : int, B
    """

    def __init__(
        self, config: NetworkConfig, params: Params, norm_state: Params, rings: Rings, layers: list[LayerWeights], batch: int
    ) -> None:
        self.norm, self.pools = NORMS[config.norm], config.kind == "classifier"
        self.network = lay_out(config, params, norm_state, layers)
        self.places = Places(*(np.asarray(a, np.int64) for a in (rings.start, rings.length, rings.level, rings.lag)))
        self.table = params["encoder"]["table"].copy() if config.encoder == "embedding" else None
        self.work = self.make_space(batch)

    def make_space(self, B: int) -> Work:
        """The arrays that a step works in."""
        (d_input, D), (J,), (R,) = self.network.encoder.shape, self.places.start.shape, self.places.lag.shape
        shapes = (B, d_input), (B, D), (B, D), (B, 2 * D), (2, D)
        return Work(*(np.zeros(n, self.network.decoder.dtype) for n in shapes), *(np.zeros(n, np.int64) for n in (R, J)))

    def __call__(self, x: Array, time: int, ring: Array, total: Array) -> Array:
        """The output [B, E] for the sample x [B, d_input] (tokens [B] for an embedding) at this time.

        The newest values are written to `ring` [N, size, B, D]; a classifier's outputs are added to `total` [2, B, D].
        """
        if self.table is None:
            self.work.sample[...] = x
        else:
            self.table.take(x, axis=0, out=self.work.x)
        out = np.empty((len(self.work.x), self.network.decoder.shape[1]), self.network.decoder.dtype)
        step(out, time, ring, total, self.pools, self.norm, self.network, self.places, self.work)
        return out


def can_step(config: NetworkConfig, params: Params, norm_state: Params) -> bool:
    """Whether a network can be stepped here: its norm is compiled, and its arrays are NumPy's, of one dtype and the right shapes.

    The loops do not look whether an index is inside of an array.
    """
    arrays = flatten(params) | {name: a for name, a in flatten(norm_state).items() if not name.endswith("count")}
    shapes = parameter_shapes(config) | state_shapes(config)
    return (
        config.norm in NORMS
        and {*map(type, arrays.values())} == {np.ndarray}
        and len({a.dtype for a in arrays.values()}) == 1
        and params["decoder"]["weight"].dtype in NATIVE
        and all(name in arrays and arrays[name].shape == shape for name, shape in shapes.items() if not name.endswith("count"))
    )


def lay_out(config: NetworkConfig, params: Params, norm_state: Params, layers: list[LayerWeights]) -> Network:
    """The parameters as the loops read them: copies."""
    blocks, decoder = params["blocks"], params["decoder"]
    table = params["encoder"].get("table", decoder["weight"])
    encoder = {"weight": table[:0].T, "bias": table[0]} if config.encoder == "embedding" else params["encoder"]

    def stack(part: str, name: str) -> Array:
        """A parameter of all blocks, matrices transposed: [N, ...]; [0, ...] where the blocks have no such part."""
        found = [block[part][name].T for block in blocks if part in block]
        return np.stack(found) if found else stack("mix", name)[:0]

    norms = [of_norm(block["norm"], state) for block, state in zip(blocks, norm_state["blocks"], strict=True)]
    arrays = (
        *(encoder["weight"].T, encoder["bias"], np.stack([layer.now for layer in layers])),
        *(np.stack([layer.past[:, :, 0] for layer in layers]), np.stack([layer.readout for layer in layers])),
        *(stack("mix", "weight"), stack("mix", "bias"), stack("mix2", "weight"), stack("mix2", "bias"), np.stack(norms)),
        *(decoder["weight"].T, decoder["bias"]),
    )
    return Network(*(np.array(a, order="C") for a in arrays))


def of_norm(params: Params, state: Params) -> Array:
    """A norm as [3, D]: the running mean, or zero; the factor, which a running variance has entered; the bias, or zero."""
    weight = params["weight"]
    factor = weight / np.sqrt(state["var"] + EPS) if state else weight
    return np.stack((state.get("mean", 0 * weight), factor, params.get("bias", 0 * weight)))


@njit(fastmath=FASTMATH, error_model="numpy", _nrt=False)
def step(
    out: Array, time: int, ring: Array, total: Array, pools: bool, norm: int, net: Network, places: Places, work: Work
) -> None:
    """out [B, E] from the sample, or from the rows of an embedding in `work.x`; see `Step`."""
    for r in range(places.lag.shape[0]):
        level = places.level[r]
        work.reading[r] = places.start[level] + (time - places.lag[r]) % places.length[level]
    for i in range(places.start.shape[0]):
        work.writing[i] = places.start[i] + time % places.length[i]
    if net.encoder.shape[0] > 0:
        linear(work.x, work.sample, net.encoder, net.encoder_bias)
    for i in range(net.now.shape[0]):
        block(i, ring[i], norm, net, work)
    if pools:
        add_exactly(total, work.x)
        mean(work.x, total, time + 1)
    linear(out, work.x, net.decoder, net.decoder_bias)


@compiled
def block(i: int, ring: Array, norm: int, net: Network, work: Work) -> None:
    """Block i, from `work.x` to `work.x`."""
    work.c.fill(0)
    conv(work.x, ring, net.now[i], net.past[i], net.readout[i], work.reading, work.writing, work.tree, work.c)
    mix2, bias2 = net.mix[i, :0], net.mix_bias[i]
    if net.mix2.shape[0] > 0:
        mix2, bias2 = net.mix2[i], net.mix2_bias[i]
    after_convolution(work.x, work.c, work.u, net.mix[i], net.mix_bias[i], mix2, bias2, norm, net.norm[i])


@exact
def add_exactly(total: Array, x: Array) -> None:
    """`add_exactly` of `network/streaming.py`: x enters total = (sum, what rounding kept out of it), both float64."""
    for b in range(x.shape[0]):
        for d in range(x.shape[1]):
            before, term = total[0, b, d], np.float64(x[b, d])
            after = before + term
            added = after - before
            total[0, b, d] = after
            total[1, b, d] += (before - (after - added)) + (term - added)


@exact
def mean(out: Array, total: Array, count: int) -> None:
    """out [B, D] = (sum of total) / count."""
    for b in range(out.shape[0]):
        for d in range(out.shape[1]):
            out[b, d] = (total[0, b, d] + total[1, b, d]) / count
