"""`measure`, the one comparison: planted errors of every kind are refused; and all that compares refuses them too."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from cases import assert_agrees, distance, plant_engine

from multires_ref.base.agreement import measure
from multires_ref.bench import gpu as bench_gpu
from multires_ref.bench import implementations
from multires_ref.bench import sample as bench_sample


def at(array, place, value):
    array = np.array(array)
    array.flat[place] = value
    return array


RIGHT = np.random.default_rng(0).standard_normal((4, 50, 1000)).astype(np.float32)
PLANTED = {  # what is given for RIGHT, and what it is held to
    "NaN in one": (at(RIGHT, 7, np.nan), RIGHT),
    "NaN in the reference": (RIGHT, at(RIGHT, 7, np.nan)),
    "NaN in both": (at(RIGHT, 7, np.nan), at(RIGHT, 7, np.nan)),
    "nothing but NaN": (np.full_like(RIGHT, np.nan), np.full_like(RIGHT, np.nan)),
    "infinity": (at(RIGHT, 7, np.inf), RIGHT),
    "infinity in the reference": (RIGHT, at(RIGHT, 7, np.inf)),
    "infinity of the other sign": (at(RIGHT, 7, np.inf), at(RIGHT, 7, -np.inf)),
    "infinity and NaN": (at(RIGHT, 7, np.inf), at(RIGHT, 7, np.nan)),
    "NaN beside an infinity that agrees": (at(at(RIGHT, 7, np.inf), 8, np.nan), at(RIGHT, 7, np.inf)),
    "empty": (RIGHT[:0], RIGHT[:0]),
    "one empty": (RIGHT[:0], RIGHT),
    "a shape that would broadcast": (RIGHT[:1], np.repeat(RIGHT[:1], 4, axis=0)),
    "one number for all": (np.ones(()), np.ones(3)),
    "transposed": (RIGHT[0].T, RIGHT[0]),
    "the last element missing": (RIGHT[..., :-1], RIGHT),
    "zeros": (np.zeros_like(RIGHT), RIGHT),
    "something where there should be nothing": (np.full_like(RIGHT, 1e-30), np.zeros_like(RIGHT)),
    "one wrong element of 200,000": (at(RIGHT, 123_456, RIGHT.flat[123_456] + 1.0), RIGHT),
    "one element of 200,000 slightly wrong": (at(RIGHT, 199_999, RIGHT.flat[199_999] + 2e-3), RIGHT),
    "twice as large": (2 * RIGHT, RIGHT),
    "the other sign": (-RIGHT, RIGHT),
    "another channel": (np.roll(RIGHT, 1, axis=1), RIGHT),
    "the imaginary part missing": (RIGHT.astype(complex), RIGHT + 0.1j),
    "half precision": (RIGHT.astype(np.float16), RIGHT),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_errors_are_refused(name):
    got, wanted = PLANTED[name]
    error = measure(got, wanted, 1e-4)
    assert not error.passed
    with pytest.raises(AssertionError, match="what"):
        assert_agrees(got, wanted, 1e-4, "what")
    assert distance(got, wanted) > 1e-4
    hopeless = name not in ("zeros", "twice as large", "the other sign", "another channel") and "element" not in name
    if hopeless and not name.startswith(("something", "the imaginary", "half")):  # no tolerance lets it pass
        assert not measure(got, wanted, 1e300, noise=1e300).passed
        assert not measure(got, wanted, np.inf, noise=np.inf).passed


def test_what_agrees():
    assert measure(RIGHT, RIGHT, 0.0) == (0.0, 0.0, 0.0, 0.0, True)
    assert measure(RIGHT, RIGHT.tolist(), 0.0).passed
    assert measure(np.zeros(3), np.zeros(3), 0.0).passed
    assert measure(at(RIGHT, 7, np.inf), at(RIGHT, 7, np.inf), 0.0).passed
    assert measure(at(RIGHT, 7, -np.inf), at(RIGHT, 7, -np.inf), 0.0).passed
    assert measure(RIGHT * np.float32(1 + 1e-6), RIGHT, 2e-6).passed
    assert measure(7, 7, 0.0).passed
    assert measure([3.0], [2.0], 0.5).passed  # exactly at its limit
    assert measure([3.0], [2.0], 0.0, noise=1.0).passed
    assert measure(np.array([3, 4]), np.array([3, 4]), 0.0).passed
    assert measure(RIGHT + 0.1j, RIGHT + 0.1j, 0.0).passed


def test_the_three_numbers():
    """|a - r| / |r|, max |a - r|, and that in units of the last place of max |r|: each by hand, and not the other way round."""
    r = np.array([3.0, 0.0, -4.0])
    error = measure(r + [0.0, 0.3, -0.4], r, 0.1)
    assert error.relative == pytest.approx(0.1)
    assert error.largest == pytest.approx(0.4)
    assert error.ulp == pytest.approx(0.4 / 2.0**-50)  # 4 = 1.0 x 2^2, of 52 bits behind the point
    assert error.tolerance == 0.1
    assert measure(2 * r, r, 1.0).relative == pytest.approx(1.0)
    assert measure(r, 2 * r, 1.0).relative == pytest.approx(0.5)
    assert measure(r.astype(np.float32) * np.float32(1.5), r, 1.0).ulp == 2.0 / 2.0**-21  # of the dtype of the first
    assert measure(r * 1.5, r, 1.0, dtype="float32").ulp == 2.0 / 2.0**-21


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_the_scale_is_the_array_s_own(scale):
    """One per cent off is one per cent off, whatever the size; neither squares that underflow nor that overflow hide it."""
    r = scale * np.array([1.0, -2.0, 2.0])
    assert measure(1.01 * r, r, 0.009).relative == pytest.approx(0.01)
    assert not measure(1.01 * r, r, 0.009).passed
    assert measure(1.01 * r, r, 0.011).passed


def test_both_limits_hold_on_their_own():
    """The norm where all elements are a little off; the largest where one is; and noise stands for both."""
    r = np.full(100, 1.0)
    assert not measure(r + 0.011, r, 0.01).passed
    one = at(r, 3, 1.05)  # relative 0.005, largest 0.05
    assert not measure(one, r, 0.01).passed
    assert measure(one, r, 0.051).passed
    beside = at(np.ones(10_000), 3, 3.0)  # relative 0.02, largest 2, over the largest of the reference and not of its own
    assert not measure(beside, np.ones(10_000), 1.0).passed
    assert measure(beside, np.ones(10_000), 2.0).ulp == 2.0 / 2.0**-52
    peak = at(r, 0, 1000.0)  # off by 1 % everywhere else: 1e-5 of the largest, 1e-4 of the norm
    assert not measure(at(1.01 * peak, 0, 1000.0), peak, 5e-5).passed
    assert measure(one, r, 0.0, noise=0.0501).passed
    assert not measure(one, r, 0.0, noise=0.0499).passed


def test_a_small_array_beside_a_large_one():
    """Each is measured alone: a gradient that is 2 % off does not pass because another is a million times as large."""
    large, small = 1e6 * RIGHT[0], 1e-6 * RIGHT[1]
    arguments, g = implementations.operator_arguments(3, 4, 64, 2)

    def make(args, g, factor):
        y, gradients = implementations.ours(args, g, "tree").both()
        changed = [d * np.float32(factor if n == 1 else 1) for n, d in enumerate(gradients)]
        return {"other": implementations.Implementation(lambda: y, lambda: (y, changed))}

    assert [measure(1.02 * a, a, 1e-2).passed for a in (large, small)] == [False, False]
    implementations.largest_difference(lambda *a: make(*a, 1.0), arguments, g)
    with pytest.raises(ValueError, match="other and the tree engine in float64 disagree"):
        implementations.largest_difference(lambda *a: make(*a, 1.02), arguments, g)


# ---- what compares with it --------------------------------------------------


class OnDevice:
    """What `to_host` takes for a device's array."""

    def __init__(self, array):
        self.array = array

    def get(self):
        return self.array


def spoilt(array, how):
    wrong = np.array(array)
    if how == "NaN":
        wrong[..., -1] = np.nan
    elif how == "all NaN":
        wrong[:] = np.nan
    elif how == "one element":
        wrong.flat[len(wrong.flat) // 2] += 0.01 * np.abs(wrong).max()
    elif how == "shape":
        wrong = wrong[..., :-1]
    elif how == "empty":
        wrong = wrong[:0]
    return wrong


HOW = ["NaN", "all NaN", "one element", "shape", "empty"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("who", ["here", "PyTorch"])
def test_the_gpu_benchmark_refuses(who, how):
    """The engine on the device is itself held to the CPU, and the others to it."""
    right = RIGHT[:2, :5, :64]
    calls = {"here": lambda: OnDevice(right), "PyTorch": lambda: OnDevice(right)}
    bench_gpu.check_outputs(calls, right[:1].astype(np.float64))
    calls[who] = lambda: OnDevice(spoilt(right, how) if who == "PyTorch" else spoilt(right[:1], how))
    with pytest.raises(ValueError, match=f"{who} and .* disagree"):
        bench_gpu.check_outputs(calls, right[:1].astype(np.float64))


def test_the_gpu_benchmark_is_held_to_the_definition(rng):
    """y and dx of the first sequence, by hand: the loops, and finite differences of sum(g y) in x."""
    from multires_ref.definition import multires_conv_loops

    x, g = rng.standard_normal((2, 3, 2, 6))
    conv = {name: rng.standard_normal(shape) for name, shape in {"h0": (2, 2), "h1": (2, 2), "w": (2, 3), "w_skip": (2,)}.items()}
    exact = bench_gpu.first_sequence(conv, x, g)
    y, dx = exact["forward"], exact["both"]
    run = lambda x: multires_conv_loops(x, conv["h0"], conv["h1"], conv["w"], conv["w_skip"])  # noqa: E731
    assert_agrees(y, run(x[:1]), 1e-12)
    by_hand = np.zeros_like(dx)
    for index in np.ndindex(*dx.shape):  # the layer is linear in x
        one = np.zeros_like(dx)
        one[index] = 1.0
        by_hand[index] = (g[:1] * run(one)).sum()
    assert_agrees(dx, by_hand, 1e-12)


@pytest.mark.parametrize("how", HOW)
def test_the_sampling_benchmark_refuses(how):
    from multires_ref import Model, NetworkConfig

    config = NetworkConfig(3, 40, 4, 1, kernel_size=2, max_length=10, kind="autoregressive", n_values=256)
    model = Model.init(config, np.random.default_rng(0))
    bench_sample.check_outputs(model, {"right": lambda x: model(x)}, n=2)
    with pytest.raises(ValueError, match="wrong and streaming disagree"):
        bench_sample.check_outputs(model, {"right": lambda x: model(x), "wrong": lambda x: spoilt(model(x), how)}, n=2)


@pytest.mark.parametrize("how", HOW)
def test_the_benchmark_of_the_operator_refuses(how):
    arguments, g = implementations.operator_arguments(3, 4, 64, 2)

    def make(args, g):
        y, gradients = implementations.ours(args, g, "tree").both()
        changed = [spoilt(d, how) if n == 3 else d for n, d in enumerate(gradients)]
        return {"other": implementations.Implementation(lambda: y, lambda: (y, changed))}

    with pytest.raises(ValueError, match="other and the tree engine in float64 disagree"):
        implementations.largest_difference(make, arguments, g)


@pytest.mark.parametrize("how", [None, *HOW])
def test_info_says_where_the_kernel_is_wrong(how, monkeypatch):
    """The line of `info --device gpu`, with a device that is NumPy and a kernel that is the definition, or not quite."""
    from multires_ref.bench import gpu_info
    from multires_ref.definition import multires_conv_loops

    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(asarray=np.asarray, asnumpy=np.asarray))
    plant_engine(monkeypatch, "gpu", forward=lambda *args: spoilt(multires_conv_loops(*args[:5]), how))
    assert ("WRONG" in gpu_info.check_line()) == (how is not None)
    assert "compiled and ran" in gpu_info.check_line()
