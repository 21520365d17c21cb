"""The discretised mixture of logistics: the golden numbers, its gradient, float32, and that it is a distribution."""

from pathlib import Path

import numpy as np
import pytest
from autograd import grad, value_and_grad
from autograd.test_util import check_grads

from multires_ref.network import NetworkConfig, apply
from multires_ref.network.config import mixture_channels
from multires_ref.ops.mixture_nll import bins, group_numbers, mixture_nll
from multires_ref.training.objectives import bits

GOLDEN = np.load(Path(__file__).parent / "data" / "autoregressive.npz")
CONFIG = NetworkConfig(3, 40, 8, 2, 4, 64, kind="autoregressive", indep_res_init=True)
STATE = {"blocks": [{}, {}]}
RTOL = 1e-12  # float64: rounding only


def golden_params(prefix):
    """Parameters or gradients stored under `prefix` by the authors' names, in our layout."""

    def linear(name):
        weight = GOLDEN[f"{prefix}/{name}.weight"]
        return {"weight": weight.reshape(weight.shape[:2] if weight.ndim > 1 else -1), "bias": GOLDEN[f"{prefix}/{name}.bias"]}

    def conv(name):
        h0, h1 = (GOLDEN[f"{prefix}/{name}.{h}"][:, 0, ::-1].copy() for h in ("h0", "h1"))
        w = GOLDEN[f"{prefix}/{name}.w"]
        return {"h0": h0, "h1": h1, "w": w[:, :-1].copy(), "w_skip": w[:, -1].copy()}

    blocks = [
        {
            "conv": conv(f"seq_layers.{i}"),
            "mix": linear(f"mixing_layers.{i}.0"),
            "mix2": linear(f"mixing_layers.{i}.3"),
            "norm": linear(f"norms.{i}"),
        }
        for i in range(CONFIG.n_layers)
    ]
    return {"encoder": linear("encoder"), "blocks": blocks, "decoder": linear("decoder")}


def leaves(tree):
    """The arrays of nested dicts and lists, in order."""
    if isinstance(tree, dict):
        tree = [tree[key] for key in sorted(tree)]
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, list) else [tree]


def loss(params):
    return mixture_nll(apply(CONFIG, params, STATE, GOLDEN["x"])[0], GOLDEN["target"], CONFIG.n_values)


def random_case(C, n_values, spread=1.0, n_mix=4, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    out = rng.standard_normal((2, mixture_channels(n_mix, C), 7)) * spread
    x = rng.integers(0, n_values, (2, C, 7)) / (n_values - 1) * 2 - 1
    return out.astype(dtype), x.astype(dtype)


def test_golden_loss_and_gradients():
    value, gradients = value_and_grad(loss)(golden_params("init"))
    np.testing.assert_allclose(value, GOLDEN["loss"], rtol=RTOL)
    for ours, theirs in zip(leaves(gradients), leaves(golden_params("grad")), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11 * np.abs(theirs).max())


def test_golden_trajectory():
    """Twenty steps of Adam at the stored learning rates give the stored losses and final parameters."""
    params = golden_params("init")
    m = [np.zeros_like(p) for p in leaves(params)]
    v = [np.zeros_like(p) for p in leaves(params)]
    for step, (lr, expected) in enumerate(zip(GOLDEN["traj_lr"], GOLDEN["traj_loss"], strict=True), start=1):
        value, gradients = value_and_grad(loss)(params)
        np.testing.assert_allclose(value, expected, rtol=1e-9)
        for p, g, m_p, v_p in zip(leaves(params), leaves(gradients), m, v, strict=True):
            m_p += 0.1 * (g - m_p)
            v_p += 0.001 * (g * g - v_p)
            p -= lr * (m_p / (1 - 0.9**step)) / (np.sqrt(v_p / (1 - 0.999**step)) + 1e-8)
    for ours, theirs in zip(leaves(params), leaves(golden_params("final")), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("C", "n_values", "spread"), [(1, 2, 1.0), (1, 17, 1.0), (3, 256, 1.0), (3, 256, 4.0), (2, 5000, 3.0), (4, 5, 1.0)]
)
def test_gradient(C, n_values, spread):
    out, x = random_case(C, n_values, spread)
    check_grads(lambda out: mixture_nll(out, x, n_values), modes=["rev"], order=1)(out)


@pytest.mark.parametrize(("C", "n_values"), [(1, 17), (3, 256), (2, 5000)])
def test_float32_is_kept_and_close(C, n_values):
    out, x = random_case(C, n_values, spread=3.0)
    out32, x32 = out.astype("float32"), x.astype("float32")
    value, gradient = value_and_grad(lambda out: mixture_nll(out, x32, n_values))(out32)
    assert value.dtype == np.float32
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(value, mixture_nll(out, x, n_values), rtol=2e-6)
    expected = grad(lambda out: mixture_nll(out, x, n_values))(out)
    np.testing.assert_allclose(gradient, expected, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("n_values", [3, 256])
@pytest.mark.parametrize("value", [-1000.0, -30.0, 30.0, 1000.0])
def test_extreme_outputs_stay_finite_in_float32(value, n_values):
    """Each group of channels in turn is driven far out."""
    out, x = random_case(3, n_values, dtype="float32")
    for start in range(0, out.shape[1], 4):
        far = out.copy()
        far[:, start : start + 4] = value
        nll, gradient = value_and_grad(lambda out: mixture_nll(out, x, n_values))(far)
        assert np.isfinite(nll)
        assert np.isfinite(gradient).all()


def test_probabilities_of_all_levels_sum_to_one():
    n_values, rng = 33, np.random.default_rng(1)
    values = np.linspace(-1, 1, n_values)[:, None, None]  # one batch row a value
    mean, log_scale = rng.uniform(-1.2, 1.2, (1, 50, 1)), rng.uniform(-4.0, 1.0, (1, 50, 1))
    probability = np.exp(bins(values, mean + 0 * values, log_scale + 0 * values, n_values).log_prob)
    assert probability.min() > 0
    far = probability.min(axis=0) < 1e-5  # the density stands in for some of their bins: their sum is only near 1
    np.testing.assert_allclose(probability.sum(axis=0)[~far], 1, rtol=RTOL)
    np.testing.assert_allclose(probability.sum(axis=0), 1, atol=1e-3)


def test_two_colours_by_hand():
    """Every number written out: one component, C = 2, so the channels are logit, mu_0, s_0, coefficient, mu_1, s_1."""
    assert group_numbers(2) == ([1, 4], [2, 5], [3])
    mu0, s0, coefficient, mu1, s1 = 0.1, -1.0, 0.7, -0.2, -0.5
    x0, x1, half = 0.5, -0.5, 1 / 4
    out = np.array([0.3, mu0, s0, coefficient, mu1, s1]).reshape(1, 6, 1)

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    def probability(x, mean, log_scale):
        return sigmoid((x - mean + half) / np.exp(log_scale)) - sigmoid((x - mean - half) / np.exp(log_scale))

    expected = -np.log(probability(x0, mu0, s0) * probability(x1, mu1 + np.tanh(coefficient) * x0, s1))
    np.testing.assert_allclose(mixture_nll(out, np.array([[[x0], [x1]]]), n_values=5), expected, rtol=RTOL)


def test_log_scale_is_clamped_and_then_gets_no_gradient():
    out, x = random_case(1, 17, n_mix=1)
    out[:, 2] = -7.5
    gradient = grad(lambda out: mixture_nll(out, x, 17))(out)
    assert not gradient[:, 2].any()
    lower = out.copy()
    lower[:, 2] = -9.0
    assert mixture_nll(out, x, 17) == mixture_nll(lower, x, 17)


def test_bad_input_is_named():
    out, x = random_case(3, 256)
    with pytest.raises(ValueError, match="multiple of 10 channels for 3 colours"):
        mixture_nll(out[:, :-1].copy(), x)
    for wrong in (x[..., :-1], x[:1], x[0], x[..., None]):  # one row would be taken for every row
        with pytest.raises(ValueError, match="agree in B and L"):
            mixture_nll(out, wrong)
    with pytest.raises(ValueError, match="agree in B and L"):
        mixture_nll(out[0], x)
    for n_values in (1, 0, 2.0, True):
        with pytest.raises((TypeError, ValueError), match="n_values must be"):
            mixture_nll(out, x, n_values)
    with pytest.raises(TypeError, match="out must be a float32 or float64 array"):
        mixture_nll(out.astype(int), x)
    with pytest.raises(TypeError, match="x has dtype float32 but out has float64"):
        mixture_nll(out, x.astype("float32"))
    assert bits(np.log(2) * 6) == pytest.approx(6)


def logistic_bin(x, mean, log_scale, levels):
    """log of the probability of one bin, as a difference of two logistic distribution functions."""
    half, s = 1 / (levels - 1), np.exp(log_scale)
    upper = 1 / (1 + np.exp(-(x - mean + half) / s))
    lower = 1 / (1 + np.exp(-(x - mean - half) / s))
    return np.log(upper - lower)


@pytest.mark.parametrize("place", [1, 2, -2, -3])
def test_only_the_end_bins_reach_to_infinity(place):
    """With 5,000 levels the second value, -0.9996, lies beyond -0.999 too and is no end all the same."""
    levels = 5000
    x = np.linspace(-1, 1, levels)[place].reshape(1, 1, 1)
    mean, log_scale = np.full((1, 1, 1), 0.9 * np.sign(x.item())), np.full((1, 1, 1), -2.0)
    inside = bins(x, mean, log_scale, levels).log_prob
    np.testing.assert_allclose(inside, logistic_bin(x, mean, log_scale, levels), rtol=1e-9)


def test_the_smallest_log_scale_is_minus_seven():
    """As in the original: one component, its mean in the middle of a bin."""
    out, x = np.array([0.0, 0.5, -7.0]).reshape(1, 3, 1), np.array([[[0.5]]])
    at = {}
    for log_scale in (-6.9, -7.0, -7.1, -20.0):
        out[0, 2] = log_scale
        at[log_scale] = float(mixture_nll(out, x, 4097))
    np.testing.assert_allclose(at[-7.0], -logistic_bin(0.5, 0.5, -7.0, 4097), rtol=1e-9)
    assert at[-7.1] == at[-20.0] == at[-7.0] != at[-6.9]


@pytest.mark.parametrize("n_values", [17, 256])
def test_below_a_probability_of_1e_5_the_density_stands_in(n_values):
    """The density at the bin's centre times the bin's width, 2 / (n_values - 1); above it the difference itself."""
    x = np.zeros((1, 1, 1)) + (n_values // 2) / (n_values - 1) * 2 - 1
    for mean, s in ((x + 0.9, 0.1), (x - 0.9, 0.1), (x + 0.9, 0.07), (x - 0.7, 0.04), (x + 0.2, 0.05)):
        got = float(bins(x, mean, np.full((1, 1, 1), np.log(s)), n_values).log_prob.item())
        exact = logistic_bin(x, mean, np.log(s), n_values).item()
        bell = np.exp(-abs(x - mean).item() / s)
        density = np.log(bell / s / (1 + bell) ** 2 * 2 / (n_values - 1))
        np.testing.assert_allclose(got, density if exact < np.log(1e-5) else exact, rtol=1e-9)
        assert abs(density - exact) > 1e-5 or n_values == 256


def test_every_pair_of_four_colours_is_coupled():
    """A later colour's mean is shifted by each earlier one through a coefficient of its own; other pairs do not interact."""
    out, x = random_case(4, 64, n_mix=1)
    means, log_scales, coefficients = group_numbers(4)
    assert sorted([0, *means, *log_scales, *coefficients]) == list(range(15))
    by_hand = 0.0
    for c in range(4):
        pairs = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
        shift = sum(np.tanh(out[:, coefficients[r]]) * x[:, e] for r, (colour, e) in enumerate(pairs) if colour == c)
        mean, log_scale = out[:, means[c]] + shift, np.maximum(out[:, log_scales[c]], -7)
        by_hand -= bins(x[:, c, None], mean[:, None], log_scale[:, None], 64).log_prob.sum()
    np.testing.assert_allclose(mixture_nll(out, x, 64), by_hand, rtol=RTOL)
