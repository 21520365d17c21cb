"""Memory that is used again must never be memory that somebody still looks at."""

import numpy as np
import pytest

from multires_ref import NetworkConfig, init_params, init_state
from multires_ref.base.buffers import SMALLEST, Buffers, empty, used_again
from multires_ref.base.pytrees import flatten
from multires_ref.ops.tracing import large_sum
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split
from multires_ref.training.objectives import get_objective
from multires_ref.training.optim import adam_init
from multires_ref.training.step import train_step

SHAPE = (4, SMALLEST)


def test_an_array_in_use_keeps_its_memory():
    with Buffers():
        held = [empty(SHAPE, "float32") for _ in range(5)]
        view = held.pop()[1:, ::2]
        for i, array in enumerate(held):
            array[...] = i
        view[...] = -1
        for _ in range(5):
            empty(SHAPE, "float32")[...] = np.nan
        assert all((array == i).all() for i, array in enumerate(held))
        assert (view == -1).all()


def test_memory_that_nobody_looks_at_is_used_again():
    buffers = Buffers()
    with buffers:
        for _ in range(10):
            a, b = empty(SHAPE, "float32"), empty(SHAPE[::-1], "float32")
            del a, b
    assert buffers.nbytes == 2 * 4 * 4 * SMALLEST


def test_shapes_and_dtypes_are_those_asked_for():
    with Buffers() as buffers:
        for dtype in ("float32", "float64"):
            array = empty(SHAPE, dtype)
            assert array.shape == SHAPE
            assert array.dtype == dtype
            assert array.flags.c_contiguous
            assert array.flags.writeable
        assert empty((3,), "float32").base is None  # small: NumPy's own
    assert buffers.nbytes == 12 * 4 * SMALLEST


def test_nothing_is_kept_outside_of_a_section():
    outer, inner = Buffers(), Buffers()
    assert empty(SHAPE, "float32").base is None
    with outer:
        with pytest.raises(ZeroDivisionError), inner:
            1 / 0  # noqa: B018
        empty(SHAPE, "float32")
    assert (outer.nbytes, inner.nbytes) == (4 * 4 * SMALLEST, 0)
    assert empty(SHAPE, "float32").base is None


@pytest.mark.parametrize("norm", ["batch", "layer", "rms"])
def test_a_run_is_the_same_and_its_memory_stops_growing(norm):
    config = NetworkConfig(2, 3, d_model=40, n_layers=2, max_length=64, norm=norm, dropout=0.1)
    training, objective = TrainingConfig(1, 16, lr=0.01), get_objective("classification")
    rng = np.random.default_rng(0)
    batch = Split(rng.standard_normal((16, 2, 64)).astype(np.float32), rng.integers(0, 3, 16))

    def run(buffers):
        rng = np.random.default_rng(1)
        params, state = init_params(config, rng), init_state(config)
        adam, sizes, losses = adam_init(params), [], []
        for _ in range(6):
            with buffers or Buffers():
                loss, state = train_step(config, params, state, adam, batch, 0.01, rng, objective, training)
            losses.append(loss)
            sizes.append(buffers.nbytes if buffers else 0)
        return losses, params, sizes

    (losses, params, sizes), (again, fresh, _) = run(Buffers()), run(None)
    assert losses == again
    assert sizes[0] > 0
    assert sizes[1:] == sizes[:1] * 5
    for name, array in flatten(params).items():
        np.testing.assert_array_equal(array, flatten(fresh)[name])


def test_a_calculation_uses_the_buffers_of_its_section_or_its_own():
    with Buffers() as outer:
        assert used_again() is outer
    with used_again():
        place = empty((100, 1000), "float64").ctypes.data
        assert empty((1000, 100), "float64").ctypes.data == place
    first, second = used_again(), used_again()
    assert first is not second


@pytest.mark.parametrize("threads", [1, 3])
def test_a_sum_of_large_gradients(threads, monkeypatch):
    """Shared out by sequences, into memory that is used again; bit for bit a + b."""
    monkeypatch.setattr("multires_ref.base.threads.WORTH", 1)
    monkeypatch.setattr("multires_ref.base.threads.num_threads", lambda: threads)
    a, b = np.random.default_rng(0).standard_normal((2, 7, 30, 50)).astype("float32")
    np.testing.assert_array_equal(large_sum(a, b), a + b)
