"""Drawing sequences from an autoregressive network, one pixel at a time.

    for n = 0 ... L - 1:   x[n] ~ p(. | x[0], ..., x[n - 1])

`sample` runs the network as a recurrence (`streaming.py`); `sample_by_recomputing` runs the whole network for every pixel, as the
original's sampler does: the same draws, here to be compared with.
"""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array, get_xp
from ..base.checks import check_int, check_number
from ..ops.cross_entropy import log_softmax
from ..ops.mixture_nll import shifted_mean, unpack
from .model import Model
from .streaming import Stream


def sample(
    model: Model,
    rng: np.random.Generator,
    n: int = 1,
    length: int | None = None,
    temperature: float = 1.0,
    given: Array | None = None,
) -> Array:
    """Draw `n` sequences from an autoregressive network.

    Parameters
    ----------
    model : Model of kind "autoregressive"
    rng : numpy Generator
    n : int
    length : int or None
        L; None takes the config's max_length.
    temperature : float, at least 0
        Divides the mixture's logits and multiplies its scales: 1 draws from the model, less makes typical samples likelier,
        0 takes the likeliest component's mean.
    given : array [C, L0] or [n, C, L0], or None
        A beginning to go on from, such as the upper half of an image.

    Returns
    -------
    x : array [n, C, L]
        On the grid of `config.n_values` values in [-1, 1], dtype of the parameters.

    Raises
    ------
    TypeError, ValueError
        For a classifier, and for arguments out of range or of the wrong shape.

    Examples
    --------
    >>> from multires_ref import NetworkConfig
    >>> config = NetworkConfig(1, 6, d_model=8, n_layers=2, max_length=16, kind="autoregressive", n_values=3)
    >>> model = Model.init(config, np.random.default_rng(0))
    >>> x = sample(model, np.random.default_rng(1), n=4, given=np.array([[1.0, 0.0, -1.0]], np.float32))
    >>> x.shape, x[0, 0, :3], sorted(set(x.ravel().tolist()))
    ((4, 1, 16), array([ 1.,  0., -1.], dtype=float32), [-1.0, 0.0, 1.0])
    """
    x, begin, n_values = prepare(model, n, length, given)
    stream = Stream(model, x.shape[0], max_length=x.shape[2])
    for position in range(begin):
        stream.step(x[:, :, position])
    for position in range(begin, x.shape[2]):
        x[:, :, position] = draw_pixel(stream.predict(), x.shape[1], n_values, rng, temperature)
        stream.step(x[:, :, position])
    return x


def sample_by_recomputing(
    model: Model,
    rng: np.random.Generator,
    n: int = 1,
    length: int | None = None,
    temperature: float = 1.0,
    given: Array | None = None,
    engine: str = "auto",
) -> Array:
    """`sample` by L runs of the whole network, each over all L positions: the same result, and hundreds of times the work.

    Examples
    --------
    >>> from multires_ref import NetworkConfig
    >>> config = NetworkConfig(1, 6, d_model=8, n_layers=2, max_length=16, kind="autoregressive", n_values=17)
    >>> model = Model.init(config, np.random.default_rng(0), "float64")
    >>> one, other = (f(model, np.random.default_rng(1), n=2) for f in (sample, sample_by_recomputing))
    >>> np.array_equal(one, other)
    True
    """
    x, begin, n_values = prepare(model, n, length, given)
    for position in range(begin, x.shape[2]):
        out = model(x, engine=engine)[:, :, position]
        x[:, :, position] = draw_pixel(out, x.shape[1], n_values, rng, temperature)
    return x


def prepare(model: Model, n: int, length: int | None, given: Array | None) -> tuple[Array, int, int]:
    """Zeros [n, C, L] with the given beginning filled in, its length, and how many values a pixel can take."""
    config, weight = model.config, model.params["decoder"]["weight"]
    if config.kind != "autoregressive" or config.n_values is None:
        raise ValueError(f"only an autoregressive network can be sampled from; this one is a {config.kind}")
    n, L = check_int("n", n, 1), config.max_length if length is None else check_int("length", length, 1)
    xp = get_xp(weight)
    x = xp.zeros((n, config.d_input, L), weight.dtype)
    if given is None:
        return x, 0, config.n_values
    shape = tuple(given.shape)
    if shape[-2:-1] != (config.d_input,) or shape[-1] > L or shape[:-2] not in ((), (n,)):
        raise ValueError(f"given must have shape [{config.d_input}, L0] or [{n}, {config.d_input}, L0], L0 <= {L}; got {shape}")
    x[:, :, : shape[-1]] = xp.asarray(given, dtype=weight.dtype)
    return x, shape[-1], config.n_values


def draw_pixel(out: Array, C: int, n_values: int, rng: np.random.Generator, temperature: float = 1.0) -> Array:
    """One pixel of each sequence from the network's output [n, G M]: [n, C].

    Choose a component, then for each colour draw from its logistic, mean shifted by the earlier colours, and take the nearest
    of the `n_values` values: that is the discretised logistic exactly, its end bins included.
    """
    check_number("temperature", temperature, 0.0, 1e6)
    xp, (n, _) = get_xp(out), out.shape
    mixture = unpack(out[:, :, None], C)
    rows, chosen = xp.arange(n), choose_component(mixture.logits[:, :, 0], rng, temperature)
    x = xp.zeros((n, C, 1), out.dtype)
    for c in range(C):
        u = xp.asarray(rng.uniform(1e-5, 1 - 1e-5, (n,)).astype(str(out.dtype)))
        scale = temperature * xp.exp(mixture.log_scales[c][rows, chosen, 0])
        drawn = shifted_mean(mixture, x, c)[rows, chosen, 0] + scale * (xp.log(u) - xp.log1p(-u))
        x[:, c, 0] = nearest_value(drawn, n_values)
    return x[:, :, 0]


def choose_component(logits: Array, rng: np.random.Generator, temperature: float) -> Array:
    """An index [n] drawn from softmax(logits / temperature), logits [n, M]; the likeliest for temperature 0."""
    xp = get_xp(logits)
    u = xp.asarray(rng.random((logits.shape[0], 1)))  # drawn in any case, so that seeds compare across temperatures
    if temperature == 0:
        return xp.argmax(logits, axis=1)
    cumulative = xp.cumsum(xp.exp(log_softmax(logits / temperature)), axis=1)
    return xp.minimum((cumulative < u).sum(axis=1), logits.shape[1] - 1)


def nearest_value(x: Array, n_values: int) -> Array:
    """The nearest of `n_values` values spread evenly over [-1, 1].

    Examples
    --------
    >>> nearest_value(np.array([-3.0, 0.2, 0.3, 0.9]), n_values=5)
    array([-1. ,  0. ,  0.5,  1. ])
    """
    xp = get_xp(x)
    return xp.round((xp.clip(x, -1.0, 1.0) + 1.0) * (0.5 * (n_values - 1))) / (0.5 * (n_values - 1)) - 1.0
