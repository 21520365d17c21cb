"""What the figures draw, against linear algebra: the memory as a matrix, the recovered past, forgetting, and exact splits."""

import numpy as np
import pytest

from multires_ref import Model, NetworkConfig, equivalent_kernel, memory, multires_conv, random_filters, wavelet_filters
from multires_ref.memories import (
    forgetting_curve,
    last_samples_matrix,
    measured_forgetting,
    memory_matrix,
    past,
    recover_past,
)
from multires_ref.network.norms import NORMS
from multires_ref.plots.analysis import row_gains, split_output
from multires_ref.plots.attribution import after_last_layer, decision_parts, last_layer, margin_gradient

TIGHT = {"rtol": 1e-12, "atol": 1e-12}
MEMORIES = [("fading", 2, 4, None), ("fading", 4, 3, None), ("uniform", 2, 4, 7), ("uniform", 3, 3, 12)]


def pair(K, seed=0):
    h0, h1 = random_filters(np.random.default_rng(seed), D=1, K=K, dtype="float64")
    return h0[0], h1[0]


@pytest.fixture(params=MEMORIES, ids=lambda p: f"{p[0]}-K{p[1]}-J{p[2]}")
def case(request):
    select, K, J, size = request.param
    return pair(K), J, select, size


def test_memory_is_matrix_times_past(case):
    h, J, select, size = case
    M, rows = memory_matrix(*h, J, select, size)
    x = np.random.default_rng(1).standard_normal(100)
    z, labels = memory(x, *h, J, select, size)
    assert rows == labels
    for n in (0, 3, 57, 99):  # near the beginning too, where the past is partly zero
        np.testing.assert_allclose(M @ past(x, n, M.shape[1]), z[:, n], **TIGHT)


def test_matrix_of_channels_stacks_those_of_each():
    h0, h1 = random_filters(np.random.default_rng(0), D=3, K=2, dtype="float64")
    M, _ = memory_matrix(h0, h1, 4)
    for d in range(3):
        np.testing.assert_allclose(M[d], memory_matrix(h0[d], h1[d], 4)[0], **TIGHT)


def test_recovered_past_is_the_shortest_that_gives_the_memory(case):
    h, J, select, size = case
    M, _ = memory_matrix(*h, J, select, size)
    p = np.random.default_rng(2).standard_normal(M.shape[1])
    recovered = recover_past(M @ p, M)
    np.testing.assert_allclose(recovered, np.linalg.pinv(M) @ M @ p, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(M @ recovered, M @ p, rtol=1e-9, atol=1e-9)
    assert abs(recovered @ (p - recovered)) < 1e-9  # the error is at right angles
    kernel = np.linalg.svd(M)[2][len(M) :]  # pasts that the memory cannot see
    assert all(np.linalg.norm(recovered + v) > np.linalg.norm(recovered) for v in kernel)


def test_recovering_many_times_at_once_is_recovering_each():
    M, _ = memory_matrix(*pair(2), 4)
    z = np.random.default_rng(3).standard_normal((len(M), 6))
    together = recover_past(z, M)
    for n in range(6):
        np.testing.assert_allclose(together[:, n], recover_past(z[:, n], M), **TIGHT)


def test_forgetting_curve_is_the_diagonal_of_the_projection_and_sums_to_the_rank(case):
    h, J, select, size = case
    M, _ = memory_matrix(*h, J, select, size)
    curve = forgetting_curve(M)
    np.testing.assert_allclose(curve, np.diag(np.linalg.pinv(M) @ M), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(curve.sum(), np.linalg.matrix_rank(M), rtol=1e-9)
    assert (curve > -1e-12).all()
    assert (curve < 1 + 1e-12).all()


def test_unused_rows_know_nothing():
    M, rows = memory_matrix(*pair(2), 2, "uniform", 7)  # the whole tree has a_2, b_2 and two of b_1
    assert [row.kind for row in rows[4:]] == ["unused"] * 3
    np.testing.assert_allclose(forgetting_curve(M).sum(), 4, rtol=1e-9)


def test_a_constant_repeated_row_counts_once():
    M = np.array([[1.0, 1.0], [2.0, 2.0]])
    np.testing.assert_allclose(forgetting_curve(M), [0.5, 0.5], **TIGHT)


@pytest.mark.parametrize("J", [3, 6])
def test_haar_fading_halves_with_every_octave(J):
    curve = forgetting_curve(memory_matrix(*wavelet_filters("haar"), J)[0])
    expected = np.concatenate(([1.0], *(np.full(2**e, 0.5**e) for e in range(J))))
    np.testing.assert_allclose(curve, expected, **TIGHT)


def test_measured_forgetting_of_white_noise_is_the_curve():
    M, _ = memory_matrix(*wavelet_filters("haar"), 3)
    x = np.random.default_rng(4).standard_normal(200_000)
    np.testing.assert_allclose(measured_forgetting(x, M), forgetting_curve(M), atol=0.02)


def test_measured_forgetting_of_last_samples_is_one_then_zero():
    x = np.random.default_rng(5).standard_normal(50)
    np.testing.assert_allclose(measured_forgetting(x, last_samples_matrix(3, 8)), [1, 1, 1, 0, 0, 0, 0, 0], **TIGHT)


def test_past_refuses_a_time_outside():
    with pytest.raises(ValueError, match="n must be between 0 and 2"):
        past(np.zeros(3), 3, 2)


@pytest.mark.parametrize("n", [0, 5, 40])
def test_split_output_adds_up_to_the_layer(case, n):
    h, J, select, size = case
    rng = np.random.default_rng(6)
    m = size or J + 1
    x, w, skip = rng.standard_normal(60), rng.standard_normal(m), rng.standard_normal()
    parts, names = split_output(x, *h, w, skip, n=n, tree_select=select, depth=J)
    y = multires_conv(
        x[None, None], h[0][None], h[1][None], w[None], np.array([skip]), tree_select=select, depth=J, engine="tree"
    )
    np.testing.assert_allclose(parts.sum(), y[0, 0, n], **TIGHT)
    assert len(names) == len(parts) == m + 1
    z, _ = memory(x, *h, J, select, m)
    np.testing.assert_allclose(parts[:-1].sum(axis=1), w * z[:, n], **TIGHT)  # by scale: what each row of the memory adds
    kernel = equivalent_kernel(h[0][None], h[1][None], w[None], np.array([skip]), tree_select=select, depth=J)[0]
    np.testing.assert_allclose(parts.sum(axis=0), kernel * past(x, n, len(kernel)), **TIGHT)  # by lag


def test_row_gains_are_the_deviations_of_white_noise():
    rng = np.random.default_rng(7)
    h0, h1 = random_filters(rng, D=2, K=2, dtype="float64")
    conv = {"h0": h0, "h1": h1, "w": rng.standard_normal((2, 4)), "w_skip": rng.standard_normal(2)}
    x = rng.standard_normal((2, 200_000))
    z, _ = memory(x, h0, h1, 3)
    measured = np.concatenate((conv["w"][:, :, None] * z, (conv["w_skip"][:, None] * x)[:, None]), axis=1).std(axis=-1)
    np.testing.assert_allclose(row_gains(conv, 3), measured, rtol=0.02)


@pytest.fixture(params=list(NORMS))
def network(request):
    config = NetworkConfig(1, 5, 6, 2, max_length=16, norm=request.param)
    return Model.init(config, np.random.default_rng(8), "float64")


def test_the_rest_of_the_network_from_the_last_layer_is_the_network(network):
    x = np.random.default_rng(9).standard_normal((1, 16))
    v, c = last_layer(network, x)
    np.testing.assert_allclose(after_last_layer(network, v, c), network(x[None]), **TIGHT)


def test_decision_parts_add_up_to_gradient_times_output(network):
    x = np.random.default_rng(10).standard_normal((1, 16))
    parts, names = decision_parts(network, x, target=2)
    v, c = last_layer(network, x)
    g = margin_gradient(network, v, c, 2)
    np.testing.assert_allclose(parts.sum(), (g * c).sum(), rtol=1e-10, atol=1e-12)
    assert names[-1] == "skip"
    skip = network.params["blocks"][-1]["conv"]["w_skip"][None, :, None] * v
    np.testing.assert_allclose(parts[-1].sum(), (g * skip).sum(), rtol=1e-10, atol=1e-12)


def test_decision_parts_are_sums_over_channels_and_times(network):
    """parts[r, t] = sum over d, n of g[d, n] w[d, r] M[d, r, t] v[d, n-t], and the skip's stand at lag 0 alone."""
    x = np.random.default_rng(12).standard_normal((1, 16))
    parts, _ = decision_parts(network, x, target=0)
    v, c = last_layer(network, x)
    g, conv = margin_gradient(network, v, c, 0)[0], network.params["blocks"][-1]["conv"]
    M, _ = memory_matrix(conv["h0"], conv["h1"], network.config.J)
    wanted = np.zeros_like(parts)
    for t in range(16):
        moments = (g[:, t:] * v[0, :, : 16 - t]).sum(axis=1)
        wanted[:-1, t] = (conv["w"] * M[:, :, t] * moments[:, None]).sum(axis=0)
    wanted[-1, 0] = (conv["w_skip"] * (g * v[0]).sum(axis=1)).sum()
    np.testing.assert_allclose(parts, wanted, rtol=1e-10, atol=1e-12)


def test_decision_parts_by_row_are_weights_times_their_gradients(network):
    """Scaling row r of the memory by 1 + e changes the margin by e times the part of row r: a finite difference."""
    x, target, r, e = np.random.default_rng(11).standard_normal((1, 16)), 1, 2, 1e-6
    parts, _ = decision_parts(network, x, target)
    conv = network.params["blocks"][-1]["conv"]
    margins = []
    for scale in (1 + e, 1 - e):
        w = conv["w"].copy()
        w[:, r] *= scale
        v, _ = last_layer(network, x)
        c = multires_conv(v, conv["h0"], conv["h1"], w, conv["w_skip"])
        logits = after_last_layer(network, v, c)[0]
        margins.append(logits[target] - np.delete(logits, target).mean())
    np.testing.assert_allclose(parts[r].sum(), (margins[0] - margins[1]) / (2 * e), rtol=1e-6)


def test_decision_parts_refuses_what_it_cannot_split():
    config = NetworkConfig(1, 30, 6, 1, max_length=16, kind="autoregressive")
    model = Model.init(config, np.random.default_rng(0))
    with pytest.raises(ValueError, match="model must be a classifier"):
        decision_parts(model, np.zeros((1, 16), np.float32), 0)
    config = NetworkConfig(1, 3, 6, 1, max_length=16)
    with pytest.raises(ValueError, match="target must be between 0 and 2"):
        decision_parts(Model.init(config, np.random.default_rng(0)), np.zeros((1, 16), np.float32), 3)
