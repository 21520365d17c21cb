"""Which engine runs: what "auto" takes and how it says why, that the one asked for computes, and what is there to choose from."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from autograd import grad
from cases import random_arguments

import multires_ref as mr
from multires_ref import engines
from multires_ref.base import compiled
from multires_ref.base.compiled import numba_works
from multires_ref.engines import ENGINES, gpu
from multires_ref.tree import kept_per_level

CPU = engines.usable_engines()


def noting(asked, key, function):
    """`function`, which adds `key` to `asked` whenever it is called."""
    return lambda *args: asked.append(key) or function(*args)


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("engine", CPU)
def test_the_engine_asked_for_computes(engine, second, monkeypatch):
    """Its forward and its backward pass, and nobody else's; also where a gradient is differentiated in turn."""
    asked = []
    for name in CPU:
        parts = {part: noting(asked, f"{name} {part}", getattr(ENGINES[name], part)) for part in ("forward", "backward")}
        monkeypatch.setitem(ENGINES, name, dataclasses.replace(ENGINES[name], **parts))
    x, *rest = random_arguments(np.random.default_rng(0))
    loss = lambda x: (mr.multires_conv(x, *rest, engine=engine) ** 2).sum()  # noqa: E731
    gradient = grad(lambda x: (grad(loss)(x) * x).sum())(x) if second else grad(loss)(x)
    assert set(asked) >= {f"{engine} forward"}
    assert second or asked == [f"{engine} forward", f"{engine} backward"]
    assert all(key.startswith(engine) for key in asked)
    np.testing.assert_allclose((gradient * x).sum(), (4 if second else 2) * loss(x), rtol=1e-11)  # of second degree in x


def numba(monkeypatch, installed):
    """A machine with Numba, or without."""
    monkeypatch.setattr(compiled, "numba_problem", lambda: "" if installed else "pip install numba")


def explained(monkeypatch, fast, x, J, taps, K):
    numba(monkeypatch, fast)
    return engines.explain_choice(x, J, taps, K)


@pytest.mark.parametrize("B", [1, 8])
@pytest.mark.parametrize(("fast", "name"), [(True, "fused"), (False, "tree")])
def test_auto_counts_multiplications(monkeypatch, fast, name, B):
    """K and the readout's 2 (t - 1) + K a level, and 1: below the place where transforms are faster, and above it."""
    x, K = np.zeros((B, 2, 1024), np.float32), 3
    limit = 15 * (1 + 3 / B) * 11 if fast else 100 / B  # 2 L = 2^11
    for t in range(0, 400, 7):
        taps = (0, t, 1)
        products = 3 * K + (2 * (t - 1) + K if t else 0) + K + 1
        engine, why = explained(monkeypatch, fast, x, 3, taps, K)
        assert engine == engines.choose("auto", x, 3, taps, K) == ("fft" if products > limit else name)
        assert why.startswith(f"{products} multiplications a sample, {'above' if products > limit else 'below'} the {limit:.0f} ")


def test_longer_sequences_favour_the_compiled_loops(monkeypatch):
    """15 log2(2 L) multiplications for large batches: at 8,192 steps 4 x 15 more than at 512."""
    for L in (512, 8192):
        why = explained(monkeypatch, True, np.zeros((1000, 1, L), np.float32), 3, (1, 1, 1), 2)[1]
        assert f"the {15 * 1.003 * math.log2(2 * L):.0f} from" in why


def test_the_choice_is_named_for_the_papers_memories():
    x = np.zeros((16, 8, 1024), np.float32)
    assert engines.choose("auto", x, 10, kept_per_level(10, 2), 2) == ("fused" if numba_works() else "fft")
    assert engines.choose("auto", x, 10, kept_per_level(10, 2, "uniform", 900), 2) == "fft"


@pytest.mark.parametrize("threads", [1, 3])
def test_what_there_is_to_choose_from(monkeypatch, threads):
    """A line for each engine: its threads, or what to install."""
    monkeypatch.setattr(engines, "num_threads", lambda: threads)
    for installed in (True, False):
        numba(monkeypatch, installed)
        monkeypatch.setattr(gpu, "find_spec", lambda name, installed=installed: object() if installed else None)
        assert (
            engines.available_engines().items()
            >= {
                "tree": "NumPy, one thread; CuPy arrays too",
                "fft": f"SciPy, {threads} threads",
                "fused": f"Numba, {threads} threads" if installed else "not available: pip install numba",
                "gpu": "CuPy arrays" if installed else "not available: pip install 'cupy-cuda13x[ctk]'",
            }.items()
        )
