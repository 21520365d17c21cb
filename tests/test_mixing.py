"""Channel mixing as one compiled operation: in tiles, with and without what it keeps, and where a network uses it."""

import numpy as np
import pytest

from multires_ref import NetworkConfig, init_params, init_state
from multires_ref.base.threads import limited
from multires_ref.network import apply
from multires_ref.network.block import after_convolution
from multires_ref.ops import mixing as operation
from multires_ref.ops.mixing import is_compiled, kept_for, mixing, mixing_adjoint
from multires_ref.ops.tracing import value_and_gradients

pytest.importorskip("numba", reason="Numba is not installed")
from multires_ref.ops.numba import mixing as compiled

TIGHT = 1e-13
SHAPES = [(5, 3, 7), (1, 4, 41), (9, 2, 16), (2, 3, 1), (3, 1, 20)]


@pytest.fixture
def small_tiles(monkeypatch):
    """A tile has 16 columns, or 4 where a batch is small: it ends within a sequence, or holds several."""
    monkeypatch.setattr(compiled, "TILE", 16)


def arguments(B, D, L, dropout, dtype="float64"):
    rng = np.random.default_rng(B + L)
    g, c, weight, bias = (rng.standard_normal(shape) for shape in ((B, D, L), (B, D, L), (2 * D, D), 2 * D))
    masks = (rng.integers(0, 2, (2, B, D, 1)) * 1.25).astype(dtype) if dropout else (None, None)
    return tuple(a.astype(dtype) for a in (g, c, weight, bias)) + tuple(masks)


def far(got, want):
    return np.abs(got - want).max() / max(1, np.abs(want).max())


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tiles_of_any_place(shape, dropout, small_tiles):
    """Forward and backward against the three operations; the adjoint takes the product that was kept, or takes it again."""
    g, *args = arguments(*shape, dropout)
    kept = np.full(2 * g.size, np.nan)
    want, wanted = mixing.definition(*args), mixing_adjoint.definition(g, *args)
    assert far(mixing(*args), want) < TIGHT
    assert far(mixing(*args, kept), want) < TIGHT
    assert np.isfinite(kept).all()
    for found in (mixing_adjoint(g, *args, kept), mixing_adjoint(g, *args)):
        assert all(far(a, b) < TIGHT for a, b in zip(found, wanted, strict=True))


def test_the_adjoint_uses_what_was_kept(small_tiles):
    """Another product in that place gives another gradient: it is read, and not computed again."""
    g, *args = arguments(3, 2, 10, False)
    kept = np.empty(2 * g.size)
    mixing(*args, kept)
    first = mixing_adjoint(g, *args, kept)[0]
    kept *= 2
    assert far(mixing_adjoint(g, *args, kept)[0], first) > 0.01


def test_memory_is_kept_only_for_gradients():
    kept = []

    def result(c):
        kept.append(kept_for(c))
        return (c * c).sum()

    value_and_gradients(result, np.ones((2, 3, 4), "float32"))
    assert (kept[0].size, kept[0].dtype) == (48, np.float32)
    assert kept_for(np.ones((2, 3, 4))) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_number_of_threads_changes_no_bit(dtype, monkeypatch):
    monkeypatch.setattr("multires_ref.base.threads.WORTH", 1)
    g, *args = arguments(7, 6, 300, True, dtype)
    found = []
    for threads in (1, 2, 3, 5):
        monkeypatch.setattr("multires_ref.base.threads.num_threads", lambda n=threads: n)
        with limited():
            kept = np.empty(2 * g.size, dtype)
            found.append([mixing(*args, kept), *mixing_adjoint(g, *args, kept)])
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["classifier", "autoregressive"])
def test_a_network_gives_the_same_with_and_without_a_hook(kind):
    """With a hook, a block takes its operations one by one; the outputs and gradients agree."""
    config = NetworkConfig(2, 6, d_model=5, n_layers=2, max_length=20, kind=kind, dropout=0.3)
    params, state = init_params(config, np.random.default_rng(0), "float64"), init_state(config, "float64")
    x, seen = np.random.default_rng(1).standard_normal((4, 2, 20)), []

    def total(hook):
        def loss(params):
            out, _ = apply(config, params, state, x, training=True, rng=np.random.default_rng(2), hook=hook)
            return (out * out).sum()

        return value_and_gradients(loss, params)

    (one, gradients), (other, others) = total(None), total(lambda name, array: seen.append(name))
    assert "blocks.1.gelu" in seen
    assert abs(one - other) < TIGHT * abs(one)
    for name in ("encoder", "decoder"):
        assert far(gradients[name]["weight"], others[name]["weight"]) < 1e-10
    for a, b in zip(gradients["blocks"], others["blocks"], strict=True):
        assert far(a["mix"]["weight"], b["mix"]["weight"]) < 1e-10
        assert far(a["mix"]["bias"], b["mix"]["bias"]) < 1e-10


def test_where_it_is_used(monkeypatch):
    """For NumPy arrays where Numba works, and where nobody looks at what is between."""
    calls = []
    monkeypatch.setattr("multires_ref.network.block.mixing", lambda *args: calls.append(args) or args[0])
    params = {"mix": {"weight": np.ones((4, 2)), "bias": np.zeros(4)}}
    c = np.ones((1, 2, 3))
    after_convolution(params, c)
    assert len(calls) == 1
    after_convolution(params, c, hook=lambda name, array: None)
    assert len(calls) == 1
    assert is_compiled(c)
    monkeypatch.setattr(operation, "numba_works", lambda: False)
    assert not is_compiled(c)
    after_convolution(params, c)
    assert len(calls) == 1
