"""The networks against the equations written down once more: index loops for the convolution, one line for each other step.

Gradients come from the complex step: f(p + i t v) = f(p) + i t (gradient . v) + O(t^2), and for t = 1e-20 the imaginary part
is the directional derivative to the last digits. Nothing of the package is used but the loops of `definition.py`.
"""

import itertools

import numpy as np
import pytest
from autograd import value_and_grad
from scipy.special import erf

from multires_ref import Model, NetworkConfig, init_params, init_state
from multires_ref.base.agreement import measure
from multires_ref.definition import multires_conv_loops
from multires_ref.network import apply
from multires_ref.network.norms import NORMS

B, D, L, K, J, DROPOUT = 2, 3, 11, 3, 2, 0.4  # L is longer than the 7 samples that a layer sees
STEP = 1e-20
TREES, TIED = ("fading", "uniform"), (True, False)
INPUTS = ("signal", "signal with lengths", "tokens with lengths", "tagger of tokens", "autoregressive")
MODES = ("evaluation", "training", "dropout")


def make(norm, tree_select, tied, kind, n_layers=2):
    """A config, and data for it."""
    rng = np.random.default_rng(5)
    tokens = "tokens" in kind
    network = {"autoregressive": "autoregressive", "tagger of tokens": "tagger"}.get(kind, "classifier")
    config = NetworkConfig(
        7 if tokens else 2, 5, D, n_layers, K, max_length=9, depth=J, norm=norm, tree_select=tree_select, tied=tied,
        memory_size=4 if tree_select == "uniform" else None, encoder="embedding" if tokens else "linear",
        kind=network, dropout=DROPOUT,
    )  # fmt: skip
    x = rng.integers(0, 7, (B, L)) if tokens else rng.standard_normal((B, 2, L))
    return config, x, np.array([4, L]) if "lengths" in kind else None


def leaves(tree, path=()):
    """Every array of nested dicts and lists, with the keys that lead to it."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else None
    return [(path, tree)] if items is None else [leaf for key, child in items for leaf in leaves(child, (*path, key))]


def changed(tree, change):
    """The same tree with change(path, array) in the place of every array."""
    return rebuilt(tree, {path: change(path, array) for path, array in leaves(tree)})


def rebuilt(tree, arrays, path=()):
    if isinstance(tree, dict):
        return {key: rebuilt(child, arrays, (*path, key)) for key, child in tree.items()}
    if isinstance(tree, list):
        return [rebuilt(child, arrays, (*path, i)) for i, child in enumerate(tree)]
    return arrays[path]


def random_values(config):
    """Parameters and norm state as training could have left them: no ones, no zeros, no two alike."""
    rng = np.random.default_rng(6)
    params = changed(init_params(config, rng, "float64"), lambda path, a: rng.standard_normal(a.shape))
    state = changed(
        init_state(config, "float64"),
        lambda path, a: a + 3 if path[-1] == "count" else rng.uniform(0.3, 2.0, a.shape),
    )
    return params, state


def network_by_hand(config, params, state, x, lengths, mode, rng):
    """Every value of the network by its name, and the new norm state."""
    seen, new_state = {}, []
    if config.kind == "autoregressive":
        x = np.concatenate([0 * x[:, :, :1], x[:, :, :-1]], axis=2)
    if config.encoder == "embedding":
        z = np.stack([np.stack([params["encoder"]["table"][token] for token in row], axis=1) for row in x])
    else:
        z = linear(params["encoder"], x)
    seen["encoder"] = z
    for i, (p, s) in enumerate(zip(params["blocks"], state["blocks"], strict=True)):
        keep = (rng.random((2, B, D, 1)) < 1 - DROPOUT) / (1 - DROPOUT) if mode == "dropout" else np.ones((2, 1, 1, 1))
        conv = p["conv"]
        c = multires_conv_loops(z, conv["h0"], conv["h1"], conv["w"], conv["w_skip"], tree_select=config.tree_select, depth=J)
        v = c * 0.5 * (1 + erf(c / np.sqrt(2))) * keep[0]
        u = linear(p["mix"], v)
        r = u[:, :D] / (1 + np.exp(-u[:, D:])) * keep[1]
        seen |= {f"blocks.{i}.{name}": value for name, value in (("conv", c), ("gelu", v), ("mix", u), ("glu", r))}
        if config.kind == "autoregressive":
            r = seen[f"blocks.{i}.mix2"] = linear(p["mix2"], r)
        z, s = normed(config.norm, p["norm"], s, z + r, mode != "evaluation")
        seen[f"blocks.{i}.norm"] = z
        new_state.append(s)
    if config.kind == "classifier":
        n = [L] * B if lengths is None else lengths
        z = seen["pool"] = np.stack([z[b, :, : n[b]].sum(axis=1) / n[b] for b in range(B)])
    seen["decoder"] = linear(params["decoder"], z)
    return seen, {"blocks": new_state}


def linear(params, x):
    """out[o] = sum_d weight[o, d] x[d] + bias[o], at every step if x has steps."""
    bias = params["bias"] if x.ndim == 2 else params["bias"][:, None]
    return np.einsum("od,bd...->bo...", params["weight"], x) + bias


def normed(norm, params, state, s, training):
    new, centred = state, NORMS[norm].centred
    if NORMS[norm].per_step:
        mean = s.sum(axis=1, keepdims=True) / D if centred else 0.0
        var = ((s - mean) ** 2).sum(axis=1, keepdims=True) / D
    elif training:
        n = B * s.shape[2]
        mean = s.sum(axis=(0, 2), keepdims=True) / n
        var = ((s - mean) ** 2).sum(axis=(0, 2), keepdims=True) / n
        new = {
            "mean": 0.9 * state["mean"] + 0.1 * mean.real[0, :, 0],
            "var": 0.9 * state["var"] + 0.1 * var.real[0, :, 0] * n / (n - 1),
            "count": state["count"] + 1,
        }
    else:
        mean, var = state["mean"][:, None], state["var"][:, None]
    bias = params["bias"][:, None] if "bias" in params else 0.0
    return params["weight"][:, None] * (s - mean) / np.sqrt(var + 1e-5) + bias, new


def assert_same(found, expected, what, noise=0.0):
    found, expected = np.asarray(found), np.asarray(expected)
    assert measure(found, expected, 1e-11, noise).passed, f"{what}: {found} is not {expected}"


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize(("norm", "tree_select", "tied"), list(itertools.product(NORMS, TREES, TIED)))
def test_values_gradients_and_statistics(norm, tree_select, tied, kind):
    """Each intermediate array by its name, the gradient of every parameter and of the input, and the running statistics."""
    config, x, lengths = make(norm, tree_select, tied, kind)
    params, state = random_values(config)
    rng = np.random.default_rng(8)
    seed_of_masks, on_signal = 9, x.dtype.kind == "f"
    weights = rng.standard_normal((B, 5) if config.kind == "classifier" else (B, 5, L))
    x_direction = rng.standard_normal(x.shape)
    for mode in MODES:
        rules = {"training": mode != "evaluation", "rng": np.random.default_rng(seed_of_masks) if mode != "training" else None}
        shown, new = {}, {}

        def loss(values, rules=rules, shown=shown, new=new):
            given, signal = values if on_signal else (values, x)
            out, after = apply(config, given, state, signal, lengths, hook=shown.__setitem__, **rules)
            new.update(after)
            return (out * weights).sum()

        gradient = value_and_grad(loss)((params, x) if on_signal else params)[1]
        gradient, x_gradient = gradient if on_signal else (gradient, None)
        shown = {name: getattr(value, "_value", value) for name, value in shown.items()}

        direction = changed(params, lambda path, a: rng.standard_normal(a.shape))
        by_path = dict(leaves(direction))
        moved = changed(params, lambda path, a, by_path=by_path: a + 1j * STEP * by_path[path])
        hand = lambda p, x, mode=mode: network_by_hand(  # noqa: E731
            config, p, state, x, lengths, mode, np.random.default_rng(seed_of_masks)
        )
        seen, new_by_hand = hand(moved, x)
        assert list(shown) == list(seen)
        for name, value in seen.items():
            assert_same(shown[name], value.real, f"{mode}, {name}")
        expected = (seen["decoder"].imag * weights).sum() / STEP
        found = sum((array * by_path[path]).sum() for path, array in leaves(gradient))
        assert_same(found, expected, f"{mode}, gradient")
        if on_signal:
            moved = changed(params, lambda path, a: a + 0j)
            expected = (hand(moved, x + 1j * STEP * x_direction)[0]["decoder"].imag * weights).sum() / STEP
            assert_same((x_gradient * x_direction).sum(), expected, f"{mode}, gradient of x")
        assert [path for path, _ in leaves(new)] == [path for path, _ in leaves(new_by_hand)]
        for (path, value), (_, wanted) in zip(leaves(new), leaves(new_by_hand), strict=True):
            assert_same(value, wanted, f"{mode}, {path}")
        if mode == "evaluation":  # which draws no masks, and changes no statistics
            model = Model(config, params, state)
            assert_same(model(x, lengths), seen["decoder"].real, "Model")


@pytest.mark.parametrize("norm", NORMS)
def test_each_parameter_has_its_own_gradient(norm):
    """One direction for each array of an autoregressive network, so that an error says where it is."""
    config, x, _ = make(norm, "uniform", False, "autoregressive", n_layers=1)
    params, state = random_values(config)
    weights = np.random.default_rng(3).standard_normal((B, 5, L))

    def loss(params):
        return (apply(config, params, state, x, training=True)[0] * weights).sum()

    gradient = dict(leaves(value_and_grad(loss)(params)[1]))
    rng = np.random.default_rng(4)
    for chosen, array in leaves(params):
        direction = rng.standard_normal(array.shape)
        moved = changed(params, lambda path, a, chosen=chosen, v=direction: a + (1j * STEP * v if path == chosen else 0j))
        out = network_by_hand(config, moved, state, x, None, "training", None)[0]["decoder"]
        expected = (out.imag * weights).sum() / STEP
        assert_same((gradient[chosen] * direction).sum(), expected, chosen, noise=1e-13)  # 0 for a bias before BatchNorm


def test_the_engine_is_the_one_that_was_asked_for(rng):
    """It reaches the convolution from both doors: an unknown one is refused, and two give the same numbers, rounded otherwise."""
    config, x, lengths = make("layer", "fading", True, "signal")
    params, state = random_values(config)
    model = Model(config, params, state)
    doors = (
        lambda engine: model(x, lengths, engine=engine),
        lambda engine: apply(config, params, state, x, lengths, engine=engine)[0],
    )
    for door in doors:
        with pytest.raises(ValueError, match="engine must be one of"):
            door("tre")
        assert_same(door("fft"), door("tree"), "fft")
        assert (door("fft") != door("tree")).any()
