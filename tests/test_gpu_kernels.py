"""The tree's CUDA kernels, compiled by g++ and run thread by thread on the CPU, held to the oracle; and compiled by nvcc.

Nothing here runs on a GPU (`test_gpu.py` does, where there is one).
"""

from __future__ import annotations

import numpy as np
import pytest
from cases import conv_case, conv_cases, random_arguments
from cuda_on_cpu import NO_COMPILER, ORDERS, have_compiler

import multires_ref as mr
from multires_ref.engines import gpu, readout, tree

pytestmark = pytest.mark.skipif(not have_compiler(), reason=NO_COMPILER)
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


@pytest.fixture
def cupy(monkeypatch):
    import fake_cupy

    return fake_cupy.install(monkeypatch)


@pytest.mark.parametrize("name", conv_cases())
def test_forward_and_gradients_of_the_reference_cases(name, cupy):
    case = conv_case(name)
    x, *params = (cupy.asarray(a) for a in case["args"])
    y = mr.multires_conv(x, *params, engine="gpu", **case["options"])
    np.testing.assert_allclose(y.get(), case["y"], rtol=1e-11, atol=1e-12)
