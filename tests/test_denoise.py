"""The live denoiser: PyWavelets' offline result, `delay` samples later."""

import numpy as np
import pytest
import pywt

from multires_ref import LiveDenoiser, universal_threshold
from multires_ref.signals.denoise import shrink

EXACT = {"rtol": 1e-10, "atol": 1e-10}


def noisy(rng, *shape):
    """Steps, a wave and white noise of standard deviation 0.3."""
    n = np.arange(shape[-1])
    return np.sin(n / 30) + (n // 150) % 2 + 0.3 * rng.standard_normal(shape)


def offline(x, wavelet, level, threshold, mode):
    """PyWavelets: swt, threshold, iswt."""
    coeffs = [(a, pywt.threshold(d, threshold, mode)) for a, d in pywt.swt(x, wavelet, level)]
    return pywt.iswt(coeffs, wavelet)


@pytest.mark.parametrize("wavelet", ["haar", "db3", "sym4"])
@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_it_is_the_offline_result_later(wavelet, mode, rng):
    """Where no coefficient of `pywt.swt` has wrapped around: that is, a delay away from both ends."""
    x = noisy(rng, 512)
    threshold = universal_threshold(x[:200], wavelet)
    live = LiveDenoiser(wavelet, 3, threshold, mode=mode)
    y, late = live.push(x), live.delay
    theirs = offline(x, wavelet, 3, threshold, mode)
    np.testing.assert_allclose(y[2 * late :], theirs[late:-late], **EXACT)
    assert late == (2**3 - 1) * (pywt.Wavelet(wavelet).dec_len - 1)
    assert abs(y[2 * late :] - x[late:-late]).max() > 0.1  # something was taken away


def test_steps_chunks_and_the_whole_are_the_same_bits(rng):
    x = noisy(rng, 2, 300)
    threshold = universal_threshold(x, "sym4")  # one a channel
    whole = LiveDenoiser("sym4", 3, threshold, (2,)).push(x)
    live = LiveDenoiser("sym4", 3, threshold, (2,))
    mixed = [live.push(x[:, :50]), np.stack([live.step(x[:, n]) for n in range(50, 90)], axis=-1), live.push(x[:, 90:])]
    np.testing.assert_array_equal(np.concatenate(mixed, axis=-1), whole)
    one = LiveDenoiser("sym4", 3, float(threshold[1]))
    np.testing.assert_array_equal([one.step(v) for v in x[1]], whole[1])


def test_noise_is_taken_away(rng):
    clean = np.repeat([0.0, 3.0, -1.0, 2.0], 256)
    x = clean + 0.3 * rng.standard_normal(1024)
    live = LiveDenoiser("haar", 5, universal_threshold(x[:250], "haar"), mode="hard")
    y = live.push(np.append(x, np.zeros(live.delay)))[live.delay :]
    assert np.mean((y - clean) ** 2) < 0.25 * np.mean((x - clean) ** 2)


def test_the_threshold_by_its_formula(rng):
    x = rng.standard_normal((3, 400))
    h1 = np.array(pywt.Wavelet("db2").dec_hi)
    d = np.array([np.convolve(row, h1, "valid") for row in x])
    expected = np.median(abs(d), axis=1) / 0.6744897501960817 * np.sqrt(2 * np.log(400))
    np.testing.assert_allclose(universal_threshold(x, "db2"), expected, **EXACT)
    assert isinstance(universal_threshold(x[0].tolist(), "db2"), float)


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_shrinking_is_pywts(mode, rng):
    for d in (
        rng.standard_normal(50),
        rng.standard_normal(50) + 1j * rng.standard_normal(50),
        rng.standard_normal(9).astype("float32"),
    ):
        ours = shrink(d, 0.5, mode)
        assert ours.dtype == d.dtype
        np.testing.assert_allclose(ours, pywt.threshold(d, 0.5, mode), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(shrink(d, 0.0, mode), d, rtol=1e-6)
    assert np.isnan(shrink(np.array([np.nan]), 1.0, mode)).all()


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_dtypes(dtype, rng):
    x = rng.standard_normal((2, 40)).astype(dtype)
    live = LiveDenoiser("db2", 2, 0.3, (2,), dtype=dtype)
    assert live.push(x).dtype == live.step(x[:, 0]).dtype == dtype


def test_a_level_may_have_its_own_threshold(rng):
    x = noisy(rng, 200)
    live = LiveDenoiser("haar", 2, [0.0, 1e9])  # d_2 is kept, d_1 is not
    coeffs = [(a, d if len(d) and j == 2 else 0 * d) for (a, d), j in zip(pywt.swt(x, "haar", 2), (2, 1), strict=True)]
    np.testing.assert_allclose(live.push(x)[6:], pywt.iswt(coeffs, "haar")[3:-3], **EXACT)


def test_saved_restored_and_reset(tmp_path, rng):
    x = noisy(rng, 200)
    live = LiveDenoiser("db2", 3, 0.5)
    whole = live.push(x)
    live.reset()
    np.testing.assert_array_equal(live.push(x[:30]), whole[:30])
    state = live.state()
    live.save(tmp_path / "state.safetensors")
    other = LiveDenoiser("db2", 3, 0.5, engine="numpy")
    for again in (lambda: other.restore(state), lambda: other.load(tmp_path / "state.safetensors")):
        again()
        np.testing.assert_array_equal(other.push(x[30:]), whole[30:])
    with pytest.raises(ValueError, match="state of another stream"):
        LiveDenoiser("db2", 3, 0.6).load(tmp_path / "state.safetensors")
    wrong = state | {"backward.time": np.array([-1])}
    with pytest.raises(ValueError, match="at least 0"):
        live.restore(wrong | {"forward.ring": state["forward.ring"] + 1})
    np.testing.assert_array_equal(live.push(x[30:]), whole[30:])  # nothing had changed
    with pytest.raises(ValueError, match="state must hold"):
        live.restore({})


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: LiveDenoiser("haar", 2, -1.0), ValueError, "threshold must be finite and not negative"),
        (lambda: LiveDenoiser("haar", 2, np.nan), ValueError, "threshold must be finite"),
        (
            lambda: LiveDenoiser("haar", 2, [1.0, 2.0, 3.0]),
            ValueError,
            r"broadcast to \[level, \*shape\] = \(2,\)",
        ),
        (lambda: LiveDenoiser("haar", 2, 1.0, mode="garrote"), ValueError, "mode must be one of 'soft', 'hard'"),
        (lambda: LiveDenoiser(([1, 1], [1, -1]), 2, 1.0), ValueError, "the inverse needs the filters"),
        (lambda: universal_threshold(np.ones(8), "db4"), ValueError, "more than 8 finite samples"),
        (lambda: universal_threshold([1.0, np.nan, 2.0], "haar"), ValueError, "finite samples"),
        (lambda: universal_threshold(1j * np.ones(20), "haar"), TypeError, "real numbers"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()
