"""The real CuPy for tests that also run on the stand-in, where there is a device."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


def real_cupy() -> SimpleNamespace:
    """What the tests use of CuPy, or a skip with the reason."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if not cupy.cuda.is_available():
        pytest.skip("CuPy finds no CUDA device")
    import cupyx

    return SimpleNamespace(
        asarray=cupy.asarray,
        ndarray=cupy.ndarray,
        engine="auto",
        real=True,
        no_waiting=lambda: cupyx.allow_synchronize(False),  # raises where the host waits for the device
    )
