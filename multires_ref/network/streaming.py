"""A network as a recurrence: one sample in, one output out, the same numbers as the whole-sequence network to rounding.

The layers' past is kept in the ring buffers of `engines/rings.py`; all else in a block looks at one time step anyway. Where Numba
is installed, a step of small arrays is one compiled call: `numba/streaming.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..base.arrays import Array, family, get_xp
from ..base.checks import as_plain, check_choice, check_floats, check_int, check_shape
from ..base.compiled import numba_works, require_numba
from ..base.tensors import read_tensors, write_tensors
from ..base.threads import WORTH, limited
from ..engines.rings import MAX_RING_ELEMENTS, LayerWeights, conv_step, layer_weights, plan_rings
from ..ops.linear import linear
from ..tree import kept_per_level
from .block import ONE_SAMPLE, after_convolution
from .model import Model
from .norms import NORMS

if TYPE_CHECKING:
    from .numba.streaming import Step


class Stream:
    """A trained network fed one sample at a time, in evaluation mode.

    Parameters
    ----------
    model : Model
    batch : int, B
        How many independent streams advance together.
    max_length : int or None
        None: a stream of any length. With a length, taps that reach further back are left out, and a longer stream is refused.
        Trees so deep that their rings would not fit in memory need a length.
    engine : "auto", "numpy" or "numba"
        How the network is stepped. "numpy" calls NumPy's functions one by one, or CuPy's. "numba" makes one compiled call for
        all of it; for work that is worth several threads only the convolutions are compiled, and BLAS does the products. "auto"
        is "numba" where Numba is installed and the parameters are NumPy arrays.

    Raises
    ------
    ValueError
        If the rings would hold more than 2^32 numbers.

    Notes
    -----
    `step(x)` returns what the whole-sequence network gives at that position: for the classifier the logits of the sequence so far
    (its mean is over the steps seen), for a tagger the logits of this step, for the autoregressive network the parameters of x's
    distribution given all before it; `predict()` gives the latter before x is known.

    The parameters and the norm's statistics are those that the model has when the stream is made: change the model, and make a
    new stream. They are copied, except that "numpy" and large work copy the convolutions' alone and read the others from the
    model's arrays.

    Examples
    --------
    >>> from multires_ref import NetworkConfig
    >>> config = NetworkConfig(d_input=1, d_output=3, d_model=8, n_layers=2, max_length=64)
    >>> model = Model.init(config, np.random.default_rng(0), "float64")
    >>> x = np.random.default_rng(1).standard_normal((5, 1, 20))
    >>> stream = Stream(model, batch=5)
    >>> logits = [stream.step(x[:, :, n]) for n in range(20)]
    >>> np.allclose(logits[-1], model(x)), np.allclose(logits[7], model(x[:, :, :8]))
    (True, True)
    """

    def __init__(self, model: Model, batch: int = 1, max_length: int | None = None, engine: str = "auto") -> None:
        config, self.params, self.norm_state = model.config, model.params, model.state
        self.config, self.batch = config, check_int("batch", batch, 1)
        self.norm = NORMS[config.norm]
        self.max_length = None if max_length is None else check_int("max_length", max_length, 1)
        kept = kept_per_level(config.J, config.kernel_size, config.tree_select, config.m)
        self.rings = plan_rings(kept, config.kernel_size, max_length)
        shape = (config.n_layers, self.rings.size, batch, config.d_model)
        if np.prod(shape, dtype=float) > MAX_RING_ELEMENTS:
            raise ValueError(f"rings of shape {shape} are too large: give fewer streams, or a smaller max_length")
        self.layers = [layer_weights(block["conv"], kept, self.rings) for block in model.params["blocks"]]
        weight = model.params["decoder"]["weight"]
        xp, self.conv_step = get_xp(weight), find_conv_step(engine, weight)
        self.ring = xp.zeros(shape, weight.dtype)
        # classifier: the sum of the last block's outputs, and below it what rounding has kept out of that sum so far
        self.total = xp.zeros((2, batch, config.d_model), "float64")
        self.previous = xp.zeros((batch, config.d_input), weight.dtype)  # autoregressive: the sample before, zero at first
        self._work = batch * config.d_model * (config.d_model // 4 + config.J)  # the products of a block, and its convolution
        self.compiled = self.compile_step(model, engine)
        self.reset()

    def compile_step(self, model: Model, engine: str) -> Step | None:
        """The whole step compiled, where Numba runs it and one thread is enough for it; None elsewhere."""
        if self.conv_step is conv_step or self._work >= WORTH:
            return None
        from .numba import streaming

        if not streaming.can_step(self.config, model.params, model.state):
            return None
        return streaming.Step(self.config, model.params, model.state, self.rings, self.layers, self.batch)

    def reset(self) -> None:
        """Forget everything: the next sample is the first."""
        self.time = 0
        self._prediction: Array | None = None
        for array in (self.ring, self.total, self.previous):
            array[...] = 0

    def step(self, x: Array) -> Array:
        """Take the next sample x [B, d_input] (tokens [B]); return the network's output at its position, [B, d_output]."""
        x = self._check_sample(x)
        if self.config.kind == "autoregressive":
            out = self.predict()
            self.previous[...] = x
            self._prediction = None
        else:
            out = self._output(x)
        self.time += 1
        return out

    def predict(self) -> Array:
        """Autoregressive networks: the output at the next sample's position, which needs only the samples before it."""
        kind = self.config.kind
        if kind != "autoregressive":
            raise ValueError(f"predict() is for autoregressive networks; a {kind} needs the sample itself: use step(x)")
        if self._prediction is None:
            self._prediction = self._output(self.previous)
        return self._prediction

    def _output(self, x: Array) -> Array:
        """The network's output for the sample x at this time, [B, d_output]; x enters the rings and the mean."""
        if self.time == self.max_length:
            raise ValueError(f"this stream was made for max_length={self.max_length} samples, and has had them: reset() it")
        if self.compiled is not None:
            return self.compiled(x, self.time, self.ring, self.total)
        with limited(self._work):
            out = self._through_blocks(x)
            if self.config.kind == "classifier":
                add_exactly(self.total, out)
                out = (self.total.sum(axis=0) / (self.time + 1)).astype(self.ring.dtype)
            return self._map("decoder", out)

    def _through_blocks(self, x: Array) -> Array:
        """Encoder and blocks for one sample: [B, D]."""
        table = self.params["encoder"].get("table")
        x = self._map("encoder", x) if table is None else table[x]
        reading, writing = (get_xp(self.ring).asarray(n) for n in (self.rings.reading(self.time), self.rings.writing(self.time)))
        for i, (block, layer) in enumerate(zip(self.params["blocks"], self.layers, strict=True)):
            c = self.conv_step(x, self.ring[i], layer, reading, writing)
            r = after_convolution(block, c, steps=ONE_SAMPLE)
            step = x[:, :, None], r[:, :, None]  # a sequence of one step, for the norm
            x = self.norm.by_definition(block["norm"], self.norm_state["blocks"][i], *step)[:, :, 0]
        return x

    def _map(self, name: str, x: Array) -> Array:
        return linear.definition(x, self.params[name]["weight"], self.params[name]["bias"])

    def _check_sample(self, x: Array) -> Array:
        """One sample for each stream, of the parameters' dtype."""
        if self.config.encoder == "embedding":
            x = as_plain("x", x)
            if x.dtype.kind not in "iu" or x.shape != (self.batch,):
                raise ValueError(f"x must hold one integer token a stream, shape ({self.batch},); got {x.dtype} {tuple(x.shape)}")
            if int(x.min()) < 0 or int(x.max()) >= self.config.d_input:
                raise ValueError(
                    f"x must hold tokens between 0 and {self.config.d_input - 1}; got {int(x.min())} to {int(x.max())}"
                )
            return x
        x = check_floats("x", x, "[B, d_input]")
        check_shape("x", x, (self.batch, self.config.d_input), "[B, d_input]")
        if x.dtype != self.ring.dtype:
            raise TypeError(f"x must have the parameters' dtype {self.ring.dtype}; got {x.dtype}")
        return x

    def state(self) -> dict[str, Array]:
        """All that the past has left, as a dict of arrays (copies)."""
        arrays = {"ring": self.ring, "total": self.total, "previous": self.previous}
        return {name: array.copy() for name, array in arrays.items()} | {"time": np.array([self.time])}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a `state()` of a stream of the same network, batch and max_length."""
        arrays = {"ring": self.ring, "total": self.total, "previous": self.previous}
        if set(state) != {*arrays, "time"}:
            raise ValueError(f"state must hold {sorted([*arrays, 'time'])}; got {sorted(state)}")
        for name, array in arrays.items():
            check_shape(f"state[{name!r}]", state[name], array.shape, "of this stream")
            if state[name].dtype != array.dtype:
                raise TypeError(f"state[{name!r}] must have dtype {array.dtype}; got {state[name].dtype}")
        self.time, self._prediction = check_int("state['time']", int(state["time"][0]), 0, self.max_length), None
        for name, array in arrays.items():
            array[...] = state[name]

    def save(self, path: str | Path) -> None:
        """Write `state()` to a safetensors file (whole or not at all)."""
        host = {name: array.get() if hasattr(array, "get") else array for name, array in self.state().items()}
        write_tensors(path, host, json.dumps({"stream": self.config.to_dict()}))

    def load(self, path: str | Path) -> None:
        """Restore a state that `save` wrote; one of another network is refused."""
        state, noted = read_tensors(path)
        if noted.get("stream") != self.config.to_dict():
            raise ValueError(f"{path} holds the state of another network, or no stream's state: {str(noted)[:200]}")
        xp = get_xp(self.ring)
        self.restore({name: array if name == "time" else xp.asarray(array) for name, array in state.items()})


def add_exactly(total: Array, x: Array) -> None:
    """Add x to total = (sum, what rounding kept out of it), both float64, in place.

    A sum alone stops moving when it is 2^53 times as large as what is added (float32: 2^24 times), and errs long before.
    The rounding error of one addition is itself a number that float64 holds, so no digit is lost however many terms there are.

    Source: Knuth's two-sum; Neumaier 1974.

    Examples
    --------
    >>> total = np.array([[1e20], [0.0]])
    >>> for _ in range(3):
    ...     add_exactly(total, np.ones(1))
    >>> total
    array([[1.e+20],
           [3.e+00]])
    """
    before, lost = total[0].copy(), total[1]
    total[0] += x
    added = total[0] - before
    lost += (before - (total[0] - added)) + (x - added)


def find_conv_step(engine: str, array: Array) -> Callable[[Array, Array, LayerWeights, Array, Array], Array]:
    """`conv_step` for arrays of this kind: NumPy's ("numpy"), or the compiled one ("numba"); "auto" compiles if it can."""
    check_choice("engine", engine, ("auto", "numpy", "numba"))
    if engine == "numba":
        require_numba("engine 'numba'")
    elif engine == "numpy" or family(array) == "cupy" or not numba_works():
        return conv_step
    from ..engines.numba import rings

    return rings.conv_step
