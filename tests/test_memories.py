"""Memories against their own definitions: Legendre and Fourier by quadrature, the tree by its transform; what all share."""

import json

import numpy as np
import pytest
from scipy.interpolate import pade
from scipy.linalg import expm

from multires_ref import memory, random_filters, wavelet_filters
from multires_ref.base.compiled import numba_works
from multires_ref.memories import MEMORIES, Memory, forgetting_curve, interface, make_memory, memory_matrix, register
from multires_ref.memories.averages import ExponentialAverages
from multires_ref.memories.compare import NAMES, compare_memories, forgetting_curves, memory_table, settings_table
from multires_ref.memories.drift import drift_table, measure_drift
from multires_ref.memories.examples import example_signals
from multires_ref.memories.fourier import FourierMemory, fourier_system, fourier_values
from multires_ref.memories.legs import LegSMemory, legs_system
from multires_ref.memories.legt import LegTMemory, legt_system
from multires_ref.memories.polynomials import legendre_means, legendre_values
from multires_ref.memories.tree_memory import TreeMemory
from multires_ref.memories.window import LastSamples

TIGHT = {"rtol": 1e-11, "atol": 1e-12}
SINGLE = {"rtol": 2e-4, "atol": 2e-5}  # float32, after some hundred steps
FIXED = [name for name, kind in MEMORIES.items() if not kind.time_varying]
each_memory = pytest.mark.parametrize("name", MEMORIES)
each_size = pytest.mark.parametrize("m", [1, 2, 5, 10])


def gauss(low, high, points=80):
    """Nodes and weights of a quadrature that is exact for polynomials of degree 2 points - 1."""
    y, w = np.polynomial.legendre.leggauss(points)
    return low + (high - low) * (y + 1) / 2, w * (high - low) / 2


# each memory against its definition


@each_size
def test_legendre_values_and_means(m):
    y = np.linspace(-1, 1, 9)
    expected = np.array([np.polynomial.legendre.Legendre.basis(k)(y) for k in range(m)])
    np.testing.assert_allclose(legendre_values(m, y), expected, **TIGHT)
    for cell, (low, high) in enumerate(zip(y[:-1], y[1:], strict=True)):
        s, w = gauss(low, high)
        np.testing.assert_allclose(legendre_means(m, y)[:, cell], legendre_values(m, s) @ w / (high - low), **TIGHT)


@each_size
def test_legt_moves_the_projections_of_polynomials_exactly(m):
    """theta dz/dt = F z + G x(t), with z and dz/dt by quadrature: exact while z can say x(t - theta), for degrees below m."""
    theta, t, rng = 7.0, 3.0, np.random.default_rng(0)
    u = np.polynomial.Polynomial(rng.standard_normal(m) / 5.0 ** np.arange(m))
    s, w = gauss(0, theta)
    weights = (2 * np.arange(m) + 1)[:, None] / theta * legendre_values(m, 2 * s / theta - 1) * w
    z, dz = weights @ u(t - s), weights @ u.deriv()(t - s)
    F, G = legt_system(m)
    np.testing.assert_allclose(theta * dz, F @ z + G * u(t), **TIGHT)
    np.testing.assert_allclose(z @ legendre_values(m, 2 * s / theta - 1), u(t - s), **TIGHT)


def test_legt_sees_the_end_of_its_window_as_pades_delay():
    """The transfer function to sum_k z_k, which is x(t - theta), is the [m-1/m] Pade approximation of exp(-theta s)."""
    m, s = 4, np.array([0.3, 1.0 + 1.0j, 5.0j])
    F, G = legt_system(m)
    ours = [np.ones(m) @ np.linalg.solve(p * np.eye(m) - F, G) for p in s]
    series = [(-1.0) ** k / np.prod(np.arange(1.0, k + 1)) for k in range(2 * m)]
    above, below = pade(series, m, m - 1)
    np.testing.assert_allclose(ours, above(s) / below(s), rtol=1e-9)


@pytest.mark.parametrize("kind", [LegTMemory, FourierMemory])
def test_zero_order_hold_is_the_integral_over_each_sample(kind):
    """M[:, t] is the integral of exp(F s) G over the time t to t + 1, by quadrature."""
    theta, m = 20, 5
    F, G = (legt_system if kind is LegTMemory else fourier_system)(m)
    M = kind(m, theta).matrix(12)
    for t in (0, 1, 11):
        s, w = gauss(t, t + 1, 12)
        expected = sum(weight * expm(F * at / theta) @ G / theta for at, weight in zip(s, w, strict=True))
        np.testing.assert_allclose(M[:, t], expected, **TIGHT)


def window_error(kind, values, m, theta=256, rows=4):
    """How far the first rows of M are from the projection's own (by quadrature over every sample), relative to them."""
    ideal = np.zeros((rows, 4 * theta))
    for t in range(theta):
        s, w = gauss(t, t + 1, 6)
        ideal[:, t] = values(rows, s / theta) @ w / theta
    M = kind(m, theta).matrix(4 * theta)[:rows]
    return np.linalg.norm(M - ideal) / np.linalg.norm(ideal)


def test_legt_comes_near_to_legendres_projection_as_m_grows():
    def values(rows, s):
        return (2 * np.arange(rows) + 1)[:, None] * legendre_values(rows, 2 * s - 1)

    errors = [window_error(LegTMemory, values, m) for m in (6, 12, 24, 48)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 0.6
    assert errors[-1] < 0.25


def test_fourier_comes_near_to_fouriers_projection_as_m_grows():
    errors = [window_error(FourierMemory, fourier_values, m) for m in (7, 15, 31, 63)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 0.6
    assert errors[-1] < 0.25


@pytest.mark.parametrize("kind", ["legt", "fourier"])
def test_smooth_pasts_have_the_projections_coefficients(kind):
    """A slow wave, streamed: its state is the quadrature over the window to a hundredth."""
    theta, m, n = 512, 12 if kind == "legt" else 13, 4000
    period = theta / 1.7 if kind == "legt" else theta / 2  # a Fourier memory holds what repeats in its window
    s, w = gauss(0, theta, 200)
    past = np.sin(2 * np.pi * (n - s) / period)  # x(t) at time t = n, when n samples have been held
    values = (
        (2 * np.arange(m) + 1)[:, None] * legendre_values(m, 2 * s / theta - 1)
        if kind == "legt"
        else fourier_values(m, s / theta)
    )
    z = make_memory(kind, m, theta).push(np.sin(2 * np.pi * (np.arange(n) + 0.5) / period))
    np.testing.assert_allclose(z, values @ (w * past) / theta, atol=0.01)


@pytest.mark.parametrize("m", [1, 3, 5, 9])
def test_fourier_moves_the_projections_of_what_repeats_exactly(m):
    theta, t, rng = 5.0, 1.3, np.random.default_rng(1)
    c = rng.standard_normal(m)
    s, w = gauss(0, theta)
    weights = fourier_values(m, s / theta) * w / theta
    np.testing.assert_allclose(weights @ fourier_values(m, s / theta).T, np.eye(m), **TIGHT)

    def u(time):
        return c @ fourier_values(m, np.atleast_1d(time) / theta)

    z = weights @ u(t - s)
    dz = (weights @ u(t + 1e-5 - s) - weights @ u(t - 1e-5 - s)) / 2e-5
    F, G = fourier_system(m)
    np.testing.assert_allclose(theta * dz, F @ z + G * u(t), atol=1e-7)


@each_size
def test_legs_moves_the_projections_of_polynomials_exactly(m):
    """t dz/dt = -F z + G x(t), by quadrature over the whole past; it needs no approximation, so any smooth x will do."""
    rng = np.random.default_rng(2)
    u, t = np.polynomial.Polynomial(rng.standard_normal(m + 3) / 2.0 ** np.arange(m + 3)), 1.7
    y, w = gauss(0, 1)
    weights = np.sqrt(2 * np.arange(m) + 1)[:, None] * legendre_values(m, 2 * y - 1) * w
    z, dz = weights @ u(t * y), weights @ (y * u.deriv()(t * y))
    F, G = legs_system(m)
    np.testing.assert_allclose(t * dz, -F @ z + G * u(t), **TIGHT)


@pytest.mark.parametrize("m", [1, 4, 16, 64])
def test_legs_is_the_exact_projection_of_the_whole_held_past(m):
    x, weights = np.random.default_rng(3).standard_normal(150), np.sqrt(2 * np.arange(m) + 1)[:, None]
    for n in (1, 2, 9, 150):
        z = sum(
            value * weights * legendre_values(m, 2 * s / n - 1) @ w[:, None] / n
            for t, value in enumerate(x[:n])
            for s, w in [gauss(t, t + 1, 40)]
        )[:, 0]
        legs = LegSMemory(m, 8)
        np.testing.assert_allclose(legs.push(x[:n]), z, **TIGHT)
        np.testing.assert_allclose(legs.matrix() @ x[:n][::-1], z, **TIGHT)


@pytest.mark.parametrize("m", [4, 16])
def test_the_bilinear_transform_solves_its_equation_and_comes_near_to_the_exact_step(m):
    F, G = legs_system(m)
    x = np.sin(np.arange(1200) / 100)
    bilinear = LegSMemory(m, 8, discretisation="bilinear")
    states = bilinear.push(x, every=True)
    for n in (1, 2, 7, 1199):
        left, right = np.eye(m) + F / (2 * (n + 1)), np.eye(m) - F / (2 * n)
        np.testing.assert_allclose(left @ states[:, n], right @ states[:, n - 1] + G * x[n] / (n + 1), **TIGHT)
    exact = LegSMemory(m, 8).push(x, every=True)
    off = np.linalg.norm(states - exact, axis=0)
    assert off[-1] < 5e-3
    assert off[-1] < off[150] / 2


@each_size
def test_averages_by_loops(m):
    averages = ExponentialAverages(m, 64)
    x, z = np.random.default_rng(4).standard_normal(50), np.zeros(m)
    for value in x:
        for i, tau in enumerate(averages.time_constants):
            z[i] = np.exp(-1 / tau) * z[i] + (1 - np.exp(-1 / tau)) * value
    np.testing.assert_allclose(averages.push(x), z, **TIGHT)
    np.testing.assert_allclose(averages.matrix().sum(axis=1), 1, rtol=1e-12)  # a constant is its own average
    np.testing.assert_allclose(averages.time_constants[-1], 64)


def test_time_constants_are_octaves_at_ten_numbers_for_512_samples():
    np.testing.assert_allclose(ExponentialAverages(10, 512).time_constants, 2.0 ** np.arange(10), **TIGHT)


TREES = [("fading", 2, 4, None), ("fading", 4, 3, None), ("uniform", 2, 4, 7), ("uniform", 3, 3, 12), ("uniform", 2, 3, 30)]


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize(("select", "K", "J", "size"), TREES)
def test_a_tree_streams_what_its_transform_computes(select, K, J, size, tied):
    """With any filters; and the layer's own parameters make the same memory."""
    rng = np.random.default_rng(5)
    h0, h1 = random_filters(rng, 2, K, None if tied else J, "float64")
    m = size or J + 1
    x = rng.standard_normal(60)
    z, rows = memory(np.stack((x, x)), h0, h1, J, select, size)
    for d in range(2):
        tree = TreeMemory(h0[..., d, :], h1[..., d, :], J, select, size)
        np.testing.assert_allclose(tree.push(x, every=True), z[d], **TIGHT)
        assert tree.rows == rows
        np.testing.assert_allclose(tree.matrix(), memory_matrix(h0, h1, J, select, size)[0][d], **TIGHT)
        layer = TreeMemory.of_layer({"h0": h0, "h1": h1, "w": np.zeros((2, m))}, d, J, select)
        np.testing.assert_array_equal(layer.matrix(), tree.matrix())


def test_a_fading_tree_of_more_numbers_keeps_the_newest_details_of_each_level():
    """Their forgetting curve still falls, and at J + 1 numbers it is the paper's."""
    haar = wavelet_filters("haar")
    curve = forgetting_curve(TreeMemory(*haar, 5, size=12).matrix())
    assert (np.diff(curve.round(9)) <= 0).all()
    np.testing.assert_allclose(curve.sum(), 12, rtol=1e-9)
    np.testing.assert_array_equal(TreeMemory(*haar, 5, size=6).matrix(), memory_matrix(*haar, 5)[0])


# what all have in common


@pytest.mark.parametrize("m", [4, 9])
@pytest.mark.parametrize("name", FIXED)
def test_the_matrix_is_what_an_impulse_leaves(name, m):
    one = make_memory(name, m, 16)
    impulse = np.zeros(one.reach if one.reach < 2000 else 2000)
    impulse[0] = 1
    M = one.matrix(len(impulse))
    np.testing.assert_allclose(one.push(impulse, every=True), M, **TIGHT)
    full = one.matrix()
    assert full.shape == (m, one.reach)
    assert abs(full[:, -1]).max() < 1e-12 * abs(full).max() or one.reach in (16, one.horizon)


@each_memory
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_by_one_in_blocks_and_compiled_are_the_same(name, dtype, monkeypatch):
    x = np.random.default_rng(6).standard_normal((2, 3, 90)).astype(dtype)
    plain, blocks, compiled = (make_memory(name, 7, 32, dtype) for _ in range(3))
    monkeypatch.setattr(interface, "COMPILED_FROM", 2**60)
    expected = np.stack([plain.step(x[..., t]) for t in range(90)], axis=-1)
    assert expected.shape == (2, 3, 7, 90)
    assert expected.dtype == plain.z.dtype == dtype
    parts = [blocks.push(x[..., a:b], every=True) for a, b in ((0, 1), (1, 50), (50, 90))]
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), expected)
    np.testing.assert_array_equal(blocks.z, expected[..., -1])
    if numba_works():
        monkeypatch.setattr(interface, "COMPILED_FROM", 0)
        one, two = compiled.push(x[..., :40], every=True), compiled.push(x[..., 40:])
        tolerance = TIGHT if dtype == "float64" else SINGLE
        np.testing.assert_allclose(one, expected[..., :40], **tolerance)
        np.testing.assert_allclose(two, expected[..., -1], **tolerance)
        assert one.dtype == two.dtype == dtype
        assert compiled.n == 90


@pytest.mark.skipif(not numba_works(), reason="Numba is not installed")
def test_the_compiled_bilinear_step_is_the_plain_one(monkeypatch):
    x, states = np.random.default_rng(7).standard_normal(200), []
    for limit in (2**60, 0):
        monkeypatch.setattr(interface, "COMPILED_FROM", limit)
        states.append(LegSMemory(9, 8, discretisation="bilinear").push(x, every=True))
    np.testing.assert_allclose(*states, **TIGHT)


@each_memory
@pytest.mark.parametrize("m", [10, 32, 64])
def test_the_trace_law(name, m):
    """The forgetting curve sums to the rank of M, at most m; every share is between 0 and 1."""
    M = make_memory(name, m, 128).matrix(n=300)
    curve = forgetting_curve(M)
    rank = np.linalg.matrix_rank(M)
    np.testing.assert_allclose(curve.sum(), rank, rtol=1e-6)
    assert rank <= m
    assert curve.min() > -1e-9
    assert curve.max() < 1 + 1e-9
    if name not in ("averages", "fourier"):  # averages are alike to rounding; Fourier's even sizes leave one out
        assert rank == m


@each_memory
def test_recovering_is_the_pseudo_inverse(name):
    one = make_memory(name, 6, 20)
    z = one.push(np.random.default_rng(8).standard_normal((2, 70)))
    expected = z @ np.linalg.pinv(one.matrix(), rcond=1e-13)[:20].T
    np.testing.assert_allclose(one.recover(20), expected, rtol=1e-7, atol=1e-8)
    assert one.recover(one.reach + 5).shape == (2, one.reach + 5)


def test_own_reconstructions_of_what_the_basis_can_say():
    n = np.arange(600.0)
    line, wave = 0.5 * n - 3, np.sin(2 * np.pi * n / 64)
    for kind, x, length in ((LegTMemory, line, 64), (LegSMemory, line, 600), (FourierMemory, wave, 64)):
        one = kind(5, 64)
        z = one.push(x)
        np.testing.assert_allclose(one.basis(length) @ z, x[::-1][:length], atol=0.02 * np.ptp(x[-length:]))
    with pytest.raises(ValueError, match="has no reconstruction of its own"):
        make_memory("averages", 4, 8).basis(8)


@each_memory
def test_what_a_memory_says_of_itself(name):
    one = make_memory(name, 6, 32)
    assert one.name == name
    assert all((one.title, one.source, one.equation, one.settings))
    assert one.operations >= 0
    one.push(np.ones((3, 5)))
    kept = sum(array[0].size for key, array in one.state.items() if key != "z")
    assert one.stored == (kept or 6)  # a tree is updated from its rings, the others from their m numbers
    one.reset((2,))
    assert one.n == 0
    assert not one.z.any()


def test_bad_input_is_refused():
    one = make_memory("legt", 4, 16)
    with pytest.raises(ValueError, match="did you mean 'legt'"):
        make_memory("legtt", 4, 16)
    with pytest.raises(ValueError, match="size must be at least 2"):
        make_memory("fading", 1, 16)
    with pytest.raises(ValueError, match="size must be at least 5"):
        TreeMemory(*wavelet_filters("haar"), 4, "fading", 3)
    with pytest.raises(ValueError, match="horizon must be at least 1"):
        make_memory("legt", 4, 0)
    with pytest.raises(ValueError, match="has seen nothing"):
        _ = one.z
    with pytest.raises(TypeError, match="x has dtype float32 but the memory has float64"):
        one.push(np.ones(3, "float32"))
    one.push(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"channels of the samples before, \(2,\); got \(3,\)"):
        one.push(np.ones((3, 3)))
    with pytest.raises(ValueError, match="discretisation must be one of"):
        LegSMemory(3, 8, discretisation="euler")
    with pytest.raises(ValueError, match="m must be odd"):
        fourier_system(4)
    with pytest.raises(ValueError, match="GiB"):
        LegSMemory(64, 8).matrix(n=2**30)
    with pytest.raises(ValueError, match="two memories are called 'last'"):
        register(LastSamples)
    with pytest.raises(TypeError, match="abstract"):
        Memory(3, 8)


# the comparison


def test_the_error_by_lag_is_that_of_the_projection():
    """By hand for the last m samples: nothing is wrong before lag m, everything after it."""
    x = np.random.default_rng(9).standard_normal(300)
    (record,) = compare_memories([8], 32, names=["last"], signals={"x": x}, times=269)
    windows = np.lib.stride_tricks.sliding_window_view(x, 32)[:, ::-1]
    scale = np.sqrt((windows**2).mean())
    np.testing.assert_allclose(record.by_lag[:8], 0, atol=1e-12)
    np.testing.assert_allclose(record.by_lag[8:], np.sqrt((windows[:, 8:] ** 2).mean(axis=0)) / scale, rtol=1e-9)
    np.testing.assert_allclose(record.error, np.sqrt((windows[:, 8:] ** 2).sum() / (windows**2).sum()), rtol=1e-9)
    assert (record.operations, record.stored, record.rank) == (0, 8, 8)
    assert json.loads(json.dumps(record.to_dict()))["signal"] == "x"


def test_a_mistake_in_a_recurrence_is_seen(monkeypatch):
    """A state that drifts from its matrix, and an error that grows."""
    right = measure_drift(1200, 6, 64, ["legt"])[0]
    before = compare_memories([6], 64, names=["legt"], signals={"x": np.sin(np.arange(300) / 20)})
    advance = LegTMemory.advance

    def late(self, x):
        advance(self, x)
        self.state["z"] *= 0.999

    monkeypatch.setattr(LegTMemory, "advance", late)
    monkeypatch.setattr(interface, "COMPILED_FROM", 2**60)
    assert right.drift64 < 1e-12
    assert measure_drift(1200, 6, 64, ["legt"])[0].drift64 > 1e-3
    after = compare_memories([6], 64, names=["legt"], signals={"x": np.sin(np.arange(300) / 20)})
    assert [r.way for r in after] == ["least squares", "own"]
    assert after[1].error > 1.1 * before[1].error


def test_who_wins_where():
    """Smooth pasts are Legendre's home ground; the newest samples and jumps near them are the fading tree's, at equal m."""
    every = compare_memories([32], 256, times=24)
    error = {(r.memory, r.signal): r for r in every if r.way == "least squares"}
    smooth = {name: error[name, "band-limited noise"].error for name in NAMES}
    assert min(smooth, key=smooth.get) == "legt"
    own = next(r.error for r in every if (r.memory, r.signal, r.way) == ("legt", "band-limited noise", "own"))
    assert own < smooth["legt"] / 5
    assert own < smooth["uniform"] / 10
    newest = {name: error[name, "steps"].newest for name in NAMES if name != "last"}
    assert min(newest, key=newest.get) == "fading"
    assert all(r.newest < 1e-12 for r in every if r.memory == "last")
    text = memory_table(every)
    assert all(r.title in text and r.signal in text for r in every)
    assert len(settings_table(every).splitlines()) == len(NAMES)


def test_forgetting_curves_sum_to_the_rank_at_equal_size():
    curves = forgetting_curves(10, 128)
    assert len(curves) == len(NAMES)
    for title, curve in curves.items():
        np.testing.assert_allclose(curve.sum(), 9 if title.startswith("Fourier") else 10, rtol=1e-6)


def test_after_many_steps_the_recurrences_hold_what_their_matrices_say():
    records = measure_drift(6000, 8, 64)
    for r in records:
        assert r.drift64 < 1e-11, r.title
        assert r.drift32 < 1e-3, r.title
    assert len(drift_table(records).splitlines()) == 2 + len(NAMES)


def test_comparisons_refuse_bad_input():
    for call, message in (
        (lambda: compare_memories(names=["lst"]), "did you mean 'last'"),
        (lambda: compare_memories([4], 64, signals={"x": np.ones(10)}), "the signal 'x' must be an array"),
        (lambda: compare_memories([4], 0), "horizon must be at least 1"),
        (lambda: measure_drift(100), "steps must be at least 1024"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_example_signals_are_what_they_are_called():
    signals = example_signals(np.random.default_rng(0), 4096)
    band = abs(np.fft.rfft(signals["band-limited noise"])) ** 2
    assert band[4096 // 64 + 1 :].sum() < 1e-20 * band.sum()
    pink = abs(np.fft.rfft(signals["1/f noise"])) ** 2
    low, high = pink[8:64].mean(), pink[64:512].mean()
    assert 5 < low / high < 12  # 1/f, averaged over three octaves each: 8
    assert 30 < np.count_nonzero(np.diff(signals["steps"])) < 100
    crossings = np.flatnonzero(np.diff(np.sign(signals["chirp"])))
    assert len(crossings[crossings > 3072]) > 3 * len(crossings[crossings < 1024])
