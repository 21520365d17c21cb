"""The networks: a classifier of whole sequences or of every time step, and an autoregressive model of the next sample.

    classifier       encoder -> blocks -> mean over (true) time -> linear            out [B, d_output]
    tagger           encoder -> blocks -> 1x1 convolution                            out [B, d_output, L]
    autoregressive   delay by one -> encoder -> blocks -> 1x1 convolution            out [B, d_output, L]

`apply` is a pure function; `Model` holds a config with its parameters for use.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..base.arrays import Array, family, get_xp
from ..base.checks import check_floats, check_plain, check_shape
from ..base.compiled import numba_works
from ..base.pytrees import Params
from ..base.ranks import Share
from ..base.threads import POINTWISE, limited
from ..ops.conv1x1 import PRODUCTS, conv1x1
from ..ops.dilated_conv import delay
from ..ops.embed import embed
from ..ops.linear import linear
from ..ops.masked_mean import masked_mean
from .block import Hook, block, dropout_masks, ignore
from .config import NetworkConfig
from .init import init_params, init_state


def apply(
    config: NetworkConfig,
    params: Params,
    state: Params,
    x: Array,
    lengths: Array | None = None,
    *,
    training: bool = False,
    rng: np.random.Generator | None = None,
    hook: Hook | None = None,
    engine: str = "auto",
    share: Share | None = None,
) -> tuple[Array, Params]:
    """The network's output and its new norm state.

    Parameters
    ----------
    config, params, state
        As `init_params` and `init_state` lay them out.
    x : array [B, d_input, L], or integer tokens [B, L] for an embedding
    lengths : integer array [B] or None
        True lengths of right-padded sequences: the classifier's mean is taken over them.
    training : bool
        BatchNorm by the batch's own statistics, and dropout if `rng` is given.
    rng : numpy Generator, for dropout
    hook : function (name, array)
        Called with the name of every intermediate array and the array itself: "encoder", "blocks.0.conv", "blocks.0.gelu", ...,
        "blocks.0.norm", ..., "pool", "decoder".
    engine : str
        The algorithm of the convolution.
    share : Share or None
        Which rows of a batch x holds, where several processes train together: BatchNorm then takes the statistics of the whole
        batch, and dropout the masks of these rows.

    Returns
    -------
    out : array [B, d_output] (classifier) or [B, d_output, L] (tagger, autoregressive)
    state : the new norm state (the same where nothing changed)
    """
    hook = hook or ignore
    if config.kind == "autoregressive":
        x = delay(x, 1)  # the output at n must not see x[n]
    x = encode(config, params["encoder"], x)
    hook("encoder", x)
    states = []
    for i, (p, s) in enumerate(zip(params["blocks"], state["blocks"], strict=True)):
        masks = dropout_masks(config, rng if training else None, x, share)
        x, s = block(config, p, s, x, masks, training, hook_of_block(hook, i), engine, share)
        states.append(s)
    out = decode(config, params["decoder"], x, lengths, hook)
    hook("decoder", out)
    return out, {"blocks": states}


def hook_of_block(hook: Hook, i: int) -> Hook:
    """The hook of block i, which gives `hook` the full names of its arrays."""
    return hook if hook is ignore else lambda name, array: hook(f"blocks.{i}.{name}", array)


def encode(config: NetworkConfig, params: Params, x: Array) -> Array:
    """Input -> [B, D, L]: a linear map at every step, or each token's row of the table (padding, id 0, is an ordinary row)."""
    if config.encoder == "embedding":
        return embed(params["table"], x)
    return conv1x1(x, params["weight"], params["bias"])


def decode(config: NetworkConfig, params: Params, x: Array, lengths: Array | None, hook: Hook) -> Array:
    """[B, D, L] -> the outputs."""
    if config.has_output_at_every_step:
        return conv1x1(x, params["weight"], params["bias"])
    pooled = masked_mean(x, lengths)
    hook("pool", pooled)
    return linear(pooled, params["weight"], params["bias"])


def work_of(config: NetworkConfig, x: Array) -> int:
    """The work of a step's largest operation on the arrays [B, D, L], in elements handled: see `base/threads.py`.

    That is the adjoint of the channel mixing in a wide network. Where it is worth one thread, so are all others.
    """
    return max(POINTWISE, 4 * config.d_model // PRODUCTS) * x.shape[0] * config.d_model * x.shape[-1]


@dataclass
class Model:
    """A network with its parameters: ``model(x, lengths=None)`` gives the outputs in evaluation mode.

    Examples
    --------
    >>> config = NetworkConfig(d_input=1, d_output=10, d_model=8, n_layers=2, max_length=64)
    >>> model = Model.init(config, np.random.default_rng(0))
    >>> model(np.zeros((5, 1, 64), np.float32)).shape
    (5, 10)
    """

    config: NetworkConfig
    params: Params
    state: Params
    assumed: tuple[str, ...] = field(default=(), compare=False)  # settings that neither file nor caller gave, "name = value"

    @classmethod
    def init(cls, config: NetworkConfig, rng: np.random.Generator, dtype: str = "float32") -> Model:
        """A network with fresh parameters."""
        return cls(config, init_params(config, rng, dtype), init_state(config, dtype))

    def __call__(self, x: Array, lengths: Array | None = None, *, hook: Hook | None = None, engine: str = "auto") -> Array:
        """The network's output in evaluation mode: no dropout, and BatchNorm by its running statistics.

        Parameters
        ----------
        x : array [B, d_input, L], of the parameters' dtype (float32 or float64)
            For ``encoder="embedding"``: whole-number tokens [B, L] from 0 to ``d_input - 1``. L may differ from `max_length`.
        lengths : integer array [B] or None
            True lengths, from 1 to L, of sequences that are padded on the right: the classifier's mean is taken over them. None:
            every sequence has all L steps.
        hook : function (name, array) or None
            Called with the name of every intermediate array and the array, as in `apply`.
        engine : "auto", "tree", "fft", "fused" or "gpu"
            The algorithm of the convolution; "auto" takes the fastest that is installed and fits the arrays. For one short
            example that is a compiled call for the whole network, if nobody asks for a `hook`: it rounds in another order.

        Returns
        -------
        out : array [B, d_output] (classifier) or [B, d_output, L] (tagger, autoregressive), of the parameters' dtype
            A classifier's scores before softmax (logits). A tagger's output at step n are those of step n, and rest on the
            samples up to n. The autoregressive output at step n describes x[n] and rests on the samples before n only.

        Raises
        ------
        TypeError
            If x has another dtype than the parameters, tokens or lengths are no whole numbers, or some arrays are
            on the CPU and others on a GPU.
        ValueError
            If a shape does not fit, a token or a length is out of range, or the engine is not known.
        ImportError
            If the engine needs a library that is not installed.

        Examples
        --------
        >>> config = NetworkConfig(d_input=1, d_output=10, d_model=8, n_layers=2, max_length=64)
        >>> model = Model.init(config, np.random.default_rng(0))
        >>> x = np.zeros((5, 1, 64), np.float32)
        >>> logits = model(x, lengths=[64, 64, 30, 20, 10])
        >>> logits.shape, logits.dtype
        ((5, 10), dtype('float32'))
        """
        x, lengths = self.check_input(x, lengths)
        if x.shape[0] == 1 and hook is None and engine == "auto" and numba_works():
            from .numba.model import apply_to_one  # one short example: the calls would take longer than the arithmetic

            out = apply_to_one(self.config, self.params, self.state, x, lengths)
            if out is not None:
                return out
        with limited(work_of(self.config, x)):
            return apply(self.config, self.params, self.state, x, lengths, hook=hook, engine=engine)[0]

    def check_input(self, x: Array, lengths: Array | None) -> tuple[Array, Array | None]:
        """x and lengths, if they fit this network."""
        B = x.shape[0] if getattr(x, "ndim", 0) else None
        if self.config.encoder == "embedding":
            x = check_tokens(x, self.config.d_input)
        else:
            x = check_floats("x", x, "[B, d_input, L]")
            check_shape("x", x, (None, self.config.d_input, None), "[B, d_input, L]")
            dtype = self.params["decoder"]["weight"].dtype
            if x.dtype != dtype:
                raise TypeError(f"x must have the parameters' dtype {dtype}; got {x.dtype}")
        if lengths is not None:
            lengths = check_lengths(lengths, B or x.shape[0], x.shape[-1])
        return x, lengths


def check_tokens(x: Array, n_tokens: int) -> Array:
    """Integer tokens [B, L] in 0 ... n_tokens - 1."""
    check_plain("x", x)
    x = x if family(x) == "cupy" else np.asarray(x)
    if x.dtype.kind not in "iu":
        raise TypeError(f"x must be an integer array of tokens [B, L]; got dtype {x.dtype}")
    check_shape("x", x, (None, None), "[B, L]")
    low, high = int(x.min()), int(x.max())
    if low < 0 or high >= n_tokens:
        raise ValueError(f"x must hold tokens between 0 and {n_tokens - 1}; got {low} to {high}")
    return x


def check_lengths(lengths: Array, B: int, L: int) -> Array:
    """True lengths [B], whole numbers in 1 ... L, on the CPU or the GPU, where they were."""
    check_plain("lengths", lengths)
    lengths = lengths if family(lengths) == "cupy" else np.asarray(lengths)
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"lengths must be an integer array [B]; got dtype {lengths.dtype}")
    check_shape("lengths", lengths, (B,), "[B]")
    xp = get_xp(lengths)
    if bool(xp.any(lengths < 1)) or bool(xp.any(lengths > L)):
        raise ValueError(f"lengths must lie between 1 and {L}, the padded length; got {lengths.min()} to {lengths.max()}")
    return lengths
