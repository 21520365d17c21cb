"""Samples follow the model's own probabilities, and streaming draws what recomputing the whole network draws."""

import numpy as np
import pytest

from multires_ref import Model, NetworkConfig
from multires_ref.network.config import mixture_channels
from multires_ref.network.sampling import draw_pixel, nearest_value, sample, sample_by_recomputing
from multires_ref.training.mixture import mixture_nll


def make(C=1, n_values=17, L=30, n_mix=2, **settings):
    settings = {"d_model": 6, "n_layers": 2, "kernel_size": 4, "max_length": L} | settings
    config = NetworkConfig(C, mixture_channels(n_mix, C), kind="autoregressive", n_values=n_values, **settings)
    return Model.init(config, np.random.default_rng(0), "float64")


@pytest.mark.parametrize(
    "settings", [{}, {"C": 3, "n_values": 256}, {"norm": "batch"}, {"tree_select": "uniform", "memory_size": 9}]
)
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_streaming_draws_what_recomputing_draws(settings, temperature):
    model = make(**settings)
    one = sample(model, np.random.default_rng(5), n=3, temperature=temperature)
    other = sample_by_recomputing(model, np.random.default_rng(5), n=3, temperature=temperature, engine="tree")
    np.testing.assert_array_equal(one, other)
    assert one.shape == (3, model.config.d_input, 30)


def test_samples_lie_on_the_grid_in_float32():
    config = NetworkConfig(3, 20, 6, 1, max_length=20, kind="autoregressive", n_values=256)
    x = sample(Model.init(config, np.random.default_rng(0)), np.random.default_rng(1), n=20)
    assert x.dtype == np.float32
    assert np.abs(x).max() <= 1
    np.testing.assert_array_equal(nearest_value(x, 256), x)


@pytest.mark.parametrize("C", [1, 2])
def test_frequencies_match_the_likelihood(C):
    """Draw one pixel often: each outcome's share is exp(-nll) within six standard deviations."""
    n_values, n = 5, 100_000
    out = np.random.default_rng(3).standard_normal((1, mixture_channels(3, C)))
    drawn = draw_pixel(np.repeat(out, n, axis=0), C, n_values, np.random.default_rng(4))
    outcomes = np.stack(np.meshgrid(*[np.linspace(-1, 1, n_values)] * C, indexing="ij"), axis=-1).reshape(-1, C)
    total = 0.0
    for outcome in outcomes:
        expected = np.exp(-mixture_nll(out[:, :, None], outcome[None, :, None], n_values))
        share = np.isclose(drawn, outcome).all(axis=1).mean()
        assert abs(share - expected) < 6 * np.sqrt(expected / n) + 1e-4  # the uniform draws stop 1e-5 short of 0 and 1
        total += expected
    assert total == pytest.approx(1, abs=1e-9)


def test_a_given_beginning_is_kept_and_used():
    model, given = make(), np.linspace(-1, 1, 17)[None, :12]
    x = sample(model, np.random.default_rng(0), n=4, given=given)
    np.testing.assert_array_equal(x[:, :, :12], np.broadcast_to(given, (4, 1, 12)))
    other = sample(model, np.random.default_rng(0), n=4, given=-given)
    assert not np.array_equal(x[:, :, 12:], other[:, :, 12:])
    each = np.stack([given, -given, given, -given])
    one = sample(model, np.random.default_rng(0), n=4, given=each)
    np.testing.assert_array_equal(one[::2], x[::2])
    np.testing.assert_array_equal(one[1::2], other[1::2])


def test_the_seed_decides():
    model = make()
    first, again, other = (sample(model, np.random.default_rng(seed), n=2) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_bad_input_is_named():
    model, rng = make(), np.random.default_rng(0)
    classifier = Model.init(NetworkConfig(1, 3, 4, 1, max_length=20), rng)
    with pytest.raises(ValueError, match="only an autoregressive network"):
        sample(classifier, rng)
    with pytest.raises(ValueError, match="temperature"):
        sample(model, rng, temperature=-1.0)
    with pytest.raises(ValueError, match="given must have shape"):
        sample(model, rng, n=2, given=np.zeros((3, 1, 5)))
    with pytest.raises(ValueError, match="given must have shape"):
        sample(model, rng, given=np.zeros((1, 31)))


def two_components(log_scale, logits=(0.0, 1.0), means=(-0.5, 0.5)):
    """The parameters of one pixel: a mixture of two logistics, [1, 6]."""
    return np.array([[*logits, *means, log_scale, log_scale]])


def test_the_temperature_acts_on_the_choice_of_component():
    """Two narrow components: at temperature T the second is drawn with probability sigmoid(difference of logits / T)."""
    for temperature in (0.25, 1.0, 4.0):
        out = np.repeat(two_components(-6.0), 40_000, axis=0)
        x = draw_pixel(out, 1, 1001, np.random.default_rng(5), temperature)
        expected = 1 / (1 + np.exp(-1 / temperature))
        assert abs((x > 0).mean() - expected) < 6 * np.sqrt(expected * (1 - expected) / 40_000), temperature


def test_the_temperature_acts_on_the_scales():
    """One component: its standard deviation pi s / sqrt 3 is multiplied by the temperature."""
    for temperature in (0.25, 0.5, 1.0):
        out = np.repeat(two_components(np.log(0.05), means=(0.1, 0.1)), 40_000, axis=0)
        x = draw_pixel(out, 1, 100_001, np.random.default_rng(5), temperature)
        assert x.std() == pytest.approx(temperature * 0.05 * np.pi / np.sqrt(3), rel=0.03)


def test_temperature_zero_takes_the_likeliest_component_s_mean():
    out = two_components(0.0, logits=(0.3, 0.2), means=(-0.4, 0.8))
    for seed in range(5):
        assert draw_pixel(out, 1, 11, np.random.default_rng(seed), 0.0) == pytest.approx(-0.4)


def sampled_by_hand(model, rng, n, L, temperature, given):
    """The whole network for every pixel, and for every sequence its own loop: which draws are made, in which order."""
    C, n_values, grid = model.config.d_input, model.config.n_values, np.linspace(-1, 1, model.config.n_values)
    x, begin = np.zeros((n, C, L)), 0
    if given is not None:
        begin = given.shape[-1]
        x[:, :, :begin] = given
    for position in range(begin, L):
        out = model(x, engine="tree")[:, :, position]
        u = rng.random((n, 1))[:, 0]
        groups = out.reshape(n, 1 + 2 * C + C * (C - 1) // 2, -1)
        means, log_scales, coefficients = ([1], [2], []) if C == 1 else ([1, 4, 7], [2, 5, 8], [3, 6, 9])
        chosen = []
        for logits, number in zip(groups[:, 0], u, strict=True):
            if temperature == 0:
                chosen.append(int(logits.argmax()))
                continue
            share = np.exp(logits / temperature - np.max(logits / temperature))
            below = np.cumsum(share / share.sum()) < number
            chosen.append(min(int(below.sum()), len(logits) - 1))
        for c in range(C):
            for b, number in enumerate(rng.uniform(1e-5, 1 - 1e-5, n)):
                of = groups[b, :, chosen[b]]
                mean = of[means[c]]
                for r, (colour, earlier) in enumerate([(1, 0), (2, 0), (2, 1)]):
                    if colour == c and C == 3:
                        mean += np.tanh(of[coefficients[r]]) * x[b, earlier, position]
                scale = temperature * np.exp(max(of[log_scales[c]], -7))
                drawn = mean + scale * np.log(number / (1 - number))
                x[b, c, position] = grid[np.abs(grid - np.clip(drawn, -1, 1)).argmin()]
    assert n_values == len(grid)
    return x


@pytest.mark.parametrize("C", [1, 3])
@pytest.mark.parametrize("temperature", [0.0, 0.4, 1.0])
def test_the_draws_by_hand(C, temperature):
    model = make(C=C, n_values=9, L=12, n_layers=1)
    given = np.linspace(-1, 1, 9)[np.random.default_rng(2).integers(0, 9, (4, C, 3))]
    for beginning, length in ((given, 9), (None, 7), (given, 3)):
        expected = sampled_by_hand(model, np.random.default_rng(6), 4, length, temperature, beginning)
        for draw in (sample, sample_by_recomputing):
            x = draw(model, np.random.default_rng(6), n=4, length=length, temperature=temperature, given=beginning)
            assert x.shape == (4, C, length)
            np.testing.assert_allclose(x, expected, rtol=0, atol=1e-12)


def test_what_is_drawn_where_nothing_is_said():
    """One sequence as long as the network's, at temperature 1; a longer one than that where it is asked for."""
    model = make(L=12, n_layers=1)
    for draw in (sample, sample_by_recomputing):
        x = draw(model, np.random.default_rng(3))
        assert x.shape == (1, 1, 12)
        np.testing.assert_array_equal(x, draw(model, np.random.default_rng(3), n=1, length=12, temperature=1.0))
        assert draw(model, np.random.default_rng(3), length=20).shape == (1, 1, 20)


@pytest.mark.parametrize("draw", [sample, sample_by_recomputing])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature": -0.1}, "temperature must be between"),
        ({"temperature": float("nan")}, "temperature must be between"),
        ({"n": 0}, "n must be at least 1"),
        ({"length": 0}, "length must be at least 1"),
        ({"given": np.zeros((2, 3))}, "given must have shape"),
        ({"given": np.zeros((1, 13))}, r"given must have shape \[1, L0\] or \[1, 1, L0\], L0 <= 12"),
        ({"given": np.zeros(3)}, "given must have shape"),
    ],
)
def test_bad_input_to_either_sampler(draw, settings, words):
    with pytest.raises((ValueError, TypeError), match=words):
        draw(make(L=12, n_layers=1), np.random.default_rng(0), **settings)
