"""The report on a network's filters: planted wavelets are found however they are turned, noise is far from all."""

import json

import numpy as np
import pytest
import pywt

from multires_ref import Model, NetworkConfig, filter_report, random_filters, wavelet_filters
from multires_ref.diagnose.filters import chance, condition, reconstruction_error, vanishing_moments
from multires_ref.diagnose.nearest_wavelet import nearest_wavelets, templates
from multires_ref.plots.nearest import nearest_of_report, plot_nearest
from multires_ref.tree import dilated_conv


def network(tied=True, K=4, **given):
    return Model.init(
        NetworkConfig(1, 3, 6, 2, max_length=32, kernel_size=K, tied=tied, **given), np.random.default_rng(0), "float64"
    )


def planted(name, order, before, after, scale0, scale1):
    h0, h1 = wavelet_filters(name, order)
    return [np.concatenate((np.zeros(before), scale * h, np.zeros(after)))[None] for h, scale in ((h0, scale0), (h1, scale1))]


@pytest.mark.parametrize("scale0", [1.0, -3.0])
@pytest.mark.parametrize(("order", "way"), [("analysis", "as it is"), ("reversed", "reversed"), ("minimum_delay", "h0 reversed")])
def test_db2_is_found_shifted_reversed_negated_and_scaled(order, way, scale0):
    (found,) = nearest_wavelets(*planted("db2", order, 2, 1, scale0, 0.01))
    assert (found.name, found.equal, found.way, found.shift) == ("db2", ("sym2",), way, 2)
    assert found.distance < 1e-7


@pytest.mark.parametrize(
    "order", ["minimum_delay", *(pytest.param(order, marks=pytest.mark.slow) for order in ("analysis", "reversed"))]
)
def test_every_wavelet_is_its_own_nearest(order):
    """All of PyWavelets' 106, each by one of the names that share its filters."""
    for name in pywt.wavelist(kind="discrete"):
        (found,) = nearest_wavelets(*planted(name, order, 0, 0, 1.0, -1.0))
        assert name in (found.name, *found.equal), found
        assert found.distance < 1e-6


def test_names_with_equal_filters():
    groups = {template.names for template in templates()}
    assert sum(map(len, groups)) == len(pywt.wavelist(kind="discrete"))
    shared = {frozenset(names) for names in groups if len(names) > 1}
    assert shared == {frozenset(names) for names in (("haar", "db1", "bior1.1", "rbio1.1"), ("db2", "sym2"), ("db3", "sym3"))}


def test_the_distance_is_that_of_the_angles():
    """By a search over all wavelets, shifts and reversals, as a loop."""
    h0, h1 = random_filters(np.random.default_rng(1), 4, 3, dtype="float64")
    for d, found in enumerate(nearest_wavelets(h0, h1)):
        best = 2.0
        for name in pywt.wavelist(kind="discrete"):
            wavelet = pywt.Wavelet(name)
            for lo in (wavelet.dec_lo, wavelet.dec_lo[::-1]):
                for hi in (wavelet.dec_hi, wavelet.dec_hi[::-1]):
                    cosines = [
                        np.correlate(g, h, "full") / np.linalg.norm(g) / np.linalg.norm(h) for g, h in ((lo, h0[d]), (hi, h1[d]))
                    ]
                    best = min(best, np.sqrt(1 - (cosines[0] ** 2 + cosines[1] ** 2).max() / 2))
        np.testing.assert_allclose(found.distance, best, atol=1e-7)


def test_noise_is_far_from_all():
    h0, h1 = np.random.default_rng(2).standard_normal((2, 50, 8))
    distances = [found.distance for found in nearest_wavelets(h0, h1)]
    assert min(distances) > 0.5
    assert chance(2)[1] < chance(4)[1] < chance(8)[1]
    (found,) = nearest_wavelets(np.zeros((1, 4)), np.zeros((1, 4)))
    assert found.distance == 1


def pairs(*names, K=12):
    return [np.concatenate(side) for side in zip(*(padded(name, K) for name in names), strict=True)]


def padded(name, K):
    return [np.pad(h, (0, K - len(h)))[None] for h in wavelet_filters(name)]


def test_wavelets_reconstruct_perfectly_and_orthogonal_ones_have_the_condition_1():
    names = ("haar", "db2", "sym4", "coif2", "bior2.2", "bior4.4")
    np.testing.assert_allclose(reconstruction_error(*pairs(*names)), 0, atol=1e-6)
    conditions = condition(*pairs(*names))
    np.testing.assert_allclose(conditions[:4], 1, rtol=1e-9)
    assert (conditions[4:] > 1.05).all()
    scaled = condition(5 * wavelet_filters("haar")[0][None], -0.1 * wavelet_filters("haar")[1][None])
    np.testing.assert_allclose(scaled, 1, rtol=1e-12)


def test_the_reconstruction_error_is_the_least_over_synthesis_filters_and_delays():
    """By least squares for every delay, with the bank run on impulses at even and odd times."""
    h0, h1 = random_filters(np.random.default_rng(3), 3, 4, dtype="float64")
    for d, found in enumerate(reconstruction_error(h0, h1)):
        columns = []
        for h in (h0[d], h1[d]):
            for k in range(4):
                g = np.eye(4)[k]
                direct, alias = np.convolve(h, g) / 2, np.convolve(h * (-1.0) ** np.arange(4), g) / 2
                columns.append(np.concatenate((direct, alias)))
        S = np.array(columns).T
        residuals = [np.linalg.lstsq(S, e, rcond=None)[1].sum() for e in np.eye(len(S))[:7]]
        np.testing.assert_allclose(found**2, min(residuals), rtol=1e-6, atol=1e-12)
        assert found > 0.01


def test_two_taps_are_a_matrix():
    """Its condition number is that of numpy.linalg.cond; parallel filters lose a frequency."""
    h0, h1 = random_filters(np.random.default_rng(4), 5, 2, dtype="float64")
    unit = [h / np.linalg.norm(h, axis=1, keepdims=True) for h in (h0, h1)]
    np.testing.assert_allclose(condition(h0, h1), [np.linalg.cond(np.stack(pair)) for pair in zip(*unit, strict=True)], rtol=1e-9)
    np.testing.assert_allclose(reconstruction_error(h0, h1), 0, atol=1e-6)
    assert condition(h0, 2 * h0)[0] == np.inf


@pytest.mark.parametrize("name", ["haar", "db2", "db4", "db7", "sym5", "coif2", "bior3.5", "rbio2.4"])
def test_vanishing_moments_are_those_pywavelets_knows(name):
    wavelet = pywt.Wavelet(name)
    known = wavelet.vanishing_moments_psi
    h1 = np.array(wavelet.dec_hi)
    if not name.startswith("rbio"):  # PyWavelets names the moments of the synthesis side there
        assert vanishing_moments(h1) == known
    n = np.arange(64.0)
    p = vanishing_moments(h1)
    constant = [np.ptp(dilated_conv(n**q, h1, 1)[len(h1) :] / 64**q) for q in (p - 1, p)]
    assert constant[0] < 1e-9 < abs(dilated_conv(n**p, h1, 1)[-1])


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_report_of_a_network(tied):
    """A planted wavelet among random filters, by layer, channel and level; and what the memory keeps."""
    model = network(tied)
    conv = model.params["blocks"][1]["conv"]
    h0, h1 = wavelet_filters("db2", "reversed")
    at = 4 if tied else (2, 4)
    conv["h0"][at], conv["h1"][at] = 2 * h0, -h1
    report = filter_report(model)
    J = model.config.J
    assert len(report.rows) == 2 * 6 * (1 if tied else J)
    first = min(report.rows, key=lambda row: row.distance)
    assert (first.layer, first.channel, first.level) == (2, 4, None if tied else 3)
    assert (first.wavelet, first.way, first.vanishing_moments) == ("db2", "reversed", 2)
    assert first.reconstruction_error < 1e-6
    assert first.condition == pytest.approx(1)
    assert [row.distance < 1e-6 for row in report.rows].count(True) == 1
    for row in report.rows:
        assert row.known == pytest.approx(model.config.m, rel=1e-6)
    text = str(report)
    assert "layer 2, channel 4" in text.split("nearest to a wavelet")[1].splitlines()[2]
    assert "db2/sym2" in text
    assert len(report.table().splitlines()) == 1 + len(report.rows)
    assert len(json.loads(json.dumps(report.to_dict()))["rows"]) == len(report.rows)


def test_the_half_lag_is_where_the_forgetting_curve_falls():
    """Haar's fading memory knows 1, 1, 1/2, 1/2, 1/4, ...: less than half from lag 4 on."""
    report = filter_report(network(K=2, wavelet="haar"))
    assert {row.half_lag for row in report.rows} == {4}
    assert {row.wavelet for row in report.rows} == {"haar"}
    assert {row.equal for row in report.rows} == {("db1", "bior1.1", "rbio1.1")}


def test_filters_that_are_zero_are_reported():
    model = network()
    for name in ("h0", "h1"):
        model.params["blocks"][0]["conv"][name][0] = 0
    row = filter_report(model).rows[0]
    assert (row.distance, row.reconstruction_error, row.condition) == (1, 1, np.inf)
    assert (row.half_lag, row.known) == (0, 0)
    assert json.loads(json.dumps(filter_report(model).to_dict()))["rows"][0]["condition"] == "inf"


def test_the_tolerance_is_checked_and_used():
    model = network(wavelet="db2")
    with pytest.raises(ValueError, match="tolerance must be between 0 and 1"):
        filter_report(model, 2)
    model.params["blocks"][0]["conv"]["h1"][0] += [0.05, 0, 0, 0]
    assert filter_report(model).rows[0].vanishing_moments == 0
    assert filter_report(model, 0.1).rows[0].vanishing_moments == 2


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_picture_holds_every_pair(tied):
    report = filter_report(network(tied))
    figure = nearest_of_report(report)
    assert len(figure.axes) == 2
    for ax, layer in zip(figure.axes, report.layers(), strict=True):
        drawn = np.concatenate([points.get_offsets() for points in ax.collections])
        rows = report.of_layer(layer)
        assert len(drawn) == len(rows)
        np.testing.assert_allclose(sorted(drawn[:, 0]), sorted(row.distance for row in rows))
        assert ax.texts[0].get_text() == min(rows, key=lambda row: row.distance).wavelet
    assert plot_nearest(report.of_layer(1), 4).get_xlabel() == "distance from the nearest wavelet"
