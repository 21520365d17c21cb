"""More functions that the fuzzer calls (see `fuzz_calls.py`): wavelets, responses, configurations, networks and streams."""

from __future__ import annotations

import fuzz_oracle as oracle
import numpy as np
import pywt
from fuzz_calls import DTYPES, ENGINES, LAYER, SHORT, Call, check_levels, layer_arguments, sizes
from fuzz_oracle import Wrong, require
from fuzz_values import array, lay_out, pick

import multires_ref as mr
from multires_ref.network.norms import NORMS
from multires_ref.network.streaming import Stream

NETWORK_ROUNDINGS = (
    1e4  # unit roundoffs that two orders of summation may be apart in a small network, relative to its largest output
)


def causal_swt(rng):
    """The transform by loops, with the taps that PyWavelets has."""
    dtype, name, J = pick(rng, DTYPES), pick(rng, SHORT), int(rng.integers(1, 4))
    x, tail = array(rng, (2, int(rng.integers(1, 30)))[int(rng.integers(2)) :], dtype), bool(rng.integers(2))
    bank = pywt.Wavelet(name)
    h0, h1 = (np.array(h, dtype) for h in (bank.dec_lo, bank.dec_hi))

    def check(pairs):
        late = (2**J - 1) * (len(h0) - 1) if tail else 0
        longer = np.concatenate((x, np.zeros((*x.shape[:-1], late), dtype)), axis=-1)
        check_levels(pairs[::-1], oracle.pyramid(longer, h0, h1, J), (longer, h0, h1), J, dtype)

    arguments = {"x": x, "wavelet": name, "level": J, "tail": tail, "engine": pick(rng, ("auto", "tree"))}
    kinds = {"x": "array", "wavelet": "wavelet", "level": "int", "engine": "name"}
    return Call(mr.causal_swt, arguments, check, kinds)


def causal_iswt(rng):
    """The signal again, late."""
    name, J = pick(rng, [n for n in SHORT if n.startswith(("db", "haar", "coif"))]), int(rng.integers(1, 4))
    x = lay_out(rng, rng.standard_normal((2, int(rng.integers(1, 30)))))
    coeffs = mr.causal_swt(x, name, level=J, tail=True)

    def check(found):
        late = (2**J - 1) * (pywt.Wavelet(name).dec_len - 1)
        if not np.allclose(found[..., late:], x, rtol=0, atol=1e-8 * (1 + abs(x).max())):  # PyWavelets' tables hold about 1e-11
            raise Wrong("causal_iswt does not give the signal back")

    return Call(mr.causal_iswt, {"coeffs": coeffs, "wavelet": name}, check, {"wavelet": "wavelet", "coeffs": "name"})


def causal_delay(rng):
    """(2^J - 1)(F - 1)."""
    name, J = pick(rng, SHORT), int(rng.integers(1, 61))

    def check(found):
        if found != (2**J - 1) * (pywt.Wavelet(name).dec_len - 1):
            raise Wrong(f"{found} for {name} and {J} levels")

    return Call(mr.causal_delay, {"wavelet": name, "level": J}, check, {"wavelet": "wavelet", "level": "int"})


def wavelet_filters(rng):
    """PyWavelets' taps in each of the orders."""
    name, order, dtype = pick(rng, SHORT), pick(rng, ("analysis", "reversed", "minimum_delay")), pick(rng, DTYPES)

    def check(found):
        bank = pywt.Wavelet(name)
        for h, taps in zip(found, (bank.dec_lo, bank.dec_hi), strict=True):
            right = np.array(taps, dtype)
            ways = {"analysis": [right], "reversed": [right[::-1]], "minimum_delay": [right, right[::-1]]}[order]
            if h.dtype != dtype or not any(np.array_equal(h, way) for way in ways):
                raise Wrong(f"{h} for {name}, {order}, {dtype}")

    kinds = {"name": "wavelet", "order": "name", "dtype": "name"}
    return Call(mr.wavelet_filters, {"name": name, "order": order, "dtype": dtype}, check, kinds, ("wavelet",))


def random_filters(rng):
    """Shapes, dtype and range."""
    _, D, _, K, J, *_ = sizes(rng)
    J, dtype = (J if rng.integers(2) else None), pick(rng, DTYPES)

    def check(found):
        for h in found:
            if h.shape != ((D, K) if J is None else (J, D, K)) or h.dtype != dtype or abs(h).max() > K**-0.5:
                raise Wrong(f"{h.shape} {h.dtype}, up to {abs(h).max()}")

    arguments = {"rng": np.random.default_rng(int(rng.integers(99))), "D": D, "K": K, "J": J, "dtype": dtype}
    return Call(mr.random_filters, arguments, check, {"rng": "name", "D": "int", "K": "int", "J": "int", "dtype": "name"})


def filters(rng, dtype):
    """h0, h1 with or without channels, shared or one pair a level, and J."""
    _, D, _, K, J, _, _, untied = sizes(rng)
    shape = ((J, D, K) if untied else (D, K)) if rng.integers(2) else (K,)
    return array(rng, shape, dtype), array(rng, shape, dtype), J


FILTERS = {"h0": "array", "h1": "array", "depth": "int"}


def impulse(h0, J):
    """A 1 and zeros as long as the receptive field, a row for each channel."""
    x = np.zeros((*h0.shape[-2:-1], (h0.shape[-1] - 1) * (2**J - 1) + 1), h0.dtype)
    x[..., 0] = 1
    return x


def impulse_responses(rng):
    """What the loops make of an impulse."""
    dtype = pick(rng, DTYPES)
    h0, h1, J = filters(rng, dtype)

    def check(pairs):
        x, reach = impulse(h0, J), [(h0.shape[-1] - 1) * (2**i - 1) + 1 for i in range(1, J + 1)]
        if [c.shape[-1] for c, _ in pairs] != reach:
            raise Wrong(f"lengths {[c.shape[-1] for c, _ in pairs]}; {reach} were expected")
        padded = [[np.pad(c, [(0, 0)] * (c.ndim - 1) + [(0, reach[-1] - c.shape[-1])]) for c in pair] for pair in pairs]
        check_levels(padded, oracle.pyramid(x, h0, h1, J), (x, h0, h1), J, dtype)

    return Call(mr.impulse_responses, {"h0": h0, "h1": h1, "depth": J}, check, FILTERS)


def frequency_responses(rng):
    """The transforms of the impulse responses at every frequency."""
    dtype = pick(rng, DTYPES)
    h0, h1, J = filters(rng, dtype)
    asked = int(rng.integers(1, 9)) if rng.integers(2) else rng.uniform(-1, 1, 5)

    def check(result):
        f, pairs = result
        x = impulse(h0, J)
        right, bounds = oracle.pyramid(x, h0, h1, J), oracle.pyramid(x, abs(h0), abs(h1), J)
        waves = np.exp(-2j * np.pi * np.outer(np.arange(x.shape[-1]), f))
        for pair, levels, top in zip(pairs, right, bounds, strict=True):
            for H, c, s in zip(pair, levels, top, strict=True):
                allowed = 1e-6 * np.asarray(s.sum(axis=-1, keepdims=True), float) + 1e-300
                if H.shape != (*c.shape[:-1], len(f)) or not (abs(H - np.asarray(c, float) @ waves) <= allowed).all():
                    raise Wrong(f"the frequency response of shape {H.shape} is not the transform of the impulse response")

    arguments = {"h0": h0, "h1": h1, "depth": J, "frequencies": asked}
    return Call(mr.frequency_responses, arguments, check, FILTERS)


def equivalent_kernel(rng):
    """What the layer makes of an impulse."""
    dtype = pick(rng, DTYPES)
    (_, *four), options, (J, K, _) = layer_arguments(rng, dtype)

    def check(kernel):
        x = impulse(four[0], J)[None]
        expected, bound = oracle.layer([x, *four], options)
        require(kernel, expected[0], bound[0], "the kernel", dtype, oracle.lost_to_underflow(dtype, *four))

    kinds = {name: kind for name, kind in LAYER.items() if name not in ("x", "engine")}
    return Call(
        mr.equivalent_kernel, dict(zip(("h0", "h1", "w", "w_skip"), four, strict=True)) | options, check, kinds, ("size",)
    )


def settings(rng):
    """Settings of a small network that fit together."""
    _, _, L, K, J, m, select, untied = sizes(rng)
    kind, encoder = pick(rng, ("classifier", "autoregressive")), pick(rng, ("linear", "embedding"))
    more = {"depth": J, "memory_size": m} if select == "uniform" else {"depth": pick(rng, (None, J))}
    return {
        "d_input": int(rng.integers(1, 4)), "d_output": int(rng.integers(1, 4)), "d_model": int(rng.integers(1, 5)),
        "n_layers": int(rng.integers(1, 3)), "kernel_size": K, "max_length": L + 1, "kind": kind,
        "encoder": "linear" if kind == "autoregressive" else encoder, "tree_select": select,
        "norm": pick(rng, tuple(NORMS)), "dropout": 0.1, "tied": not untied,
        "indep_res_init": bool(rng.integers(2)), **more,
    }  # fmt: skip


def network_config(rng):
    """A configuration that goes to a dict and back."""
    values = settings(rng)

    def check(config):
        if mr.NetworkConfig.from_dict(config.to_dict()) != config or config.m < 1:
            raise Wrong(f"not the configuration again: {config}")

    ints = ("d_input", "d_output", "d_model", "n_layers", "kernel_size", "max_length")
    kinds = dict.fromkeys(ints, "int") | dict.fromkeys(("kind", "encoder", "tree_select", "norm", "dropout", "tied"), "name")
    return Call(mr.NetworkConfig, values, check, kinds, ("size", "depth"))


def network(rng):
    """A small network, its input, and the values of its output to compare with."""
    config, dtype = mr.NetworkConfig(**settings(rng)), pick(rng, DTYPES)
    model, B, L = mr.Model.init(config, np.random.default_rng(int(rng.integers(99))), dtype), 2, config.max_length
    if config.encoder == "embedding":
        return model, rng.integers(0, config.d_input, (B, L)), dtype
    return model, lay_out(rng, rng.standard_normal((B, config.d_input, L)).astype(dtype)), dtype


def close(found, expected, dtype, what):
    """Raise unless two orders of summation in one network agree."""
    allowed = NETWORK_ROUNDINGS * np.finfo(dtype).eps * (1 + abs(expected).max())
    if found.shape != expected.shape or found.dtype != dtype or not (abs(found - expected) <= allowed).all():
        raise Wrong(f"{what}: {found.shape} {found.dtype}, off by {abs(found - expected).max():.2g}, {allowed:.2g} allowed")


def model_call(rng):
    """The whole network by any engine, against the tree; examples do not see each other."""
    model, x, dtype = network(rng)

    def check(out):
        close(out, model(x, engine="tree"), dtype, "the network")
        close(out[1:], model(x[1:].copy(), engine="tree"), dtype, "the second example alone")

    tokens = model.config.encoder == "embedding"
    kinds = {"x": "tokens" if tokens else "array", "engine": "name"}
    return Call(model, {"x": x, "engine": pick(rng, ENGINES)}, check, kinds)


def stream(rng):
    """One sample after the other gives what the whole sequence gives."""
    model, x, dtype = network(rng)

    def run(x):
        one = Stream(model, batch=len(x))
        return np.stack([one.step(x[..., n]) for n in range(x.shape[-1])], axis=-1)

    def check(out):
        if model.config.kind == "autoregressive":
            close(out, model(x, engine="tree"), dtype, "the stream")
        else:
            close(out[..., -1], model(x, engine="tree"), dtype, "the stream")

    return Call(run, {"x": x}, check)


def stream_step(rng):
    """The first step of a stream."""
    model, x, dtype = network(rng)

    def check(out):
        if out.shape != (2, model.config.d_output) or out.dtype != dtype:
            raise Wrong(f"{out.shape} {out.dtype}")

    kinds = {"x": "tokens" if model.config.encoder == "embedding" else "array"}
    return Call(Stream(model, batch=2).step, {"x": x[..., 0]}, check, kinds)
