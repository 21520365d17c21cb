"""Cross-entropy and binary cross-entropy: values, gradients to second order, float32, large logits."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from autograd.test_util import check_grads
from numpy.testing import assert_allclose

from multires_ref.ops.bce_with_logits import bce_with_logits, bce_with_logits_adjoint
from multires_ref.ops.cross_entropy import cross_entropy, cross_entropy_adjoint

TOL = 1e-13


def batch(rng, dtype="float64"):
    logits = 3 * rng.standard_normal((5, 4)).astype(dtype)
    return logits, np.array([0, 3, 3, 1, 2]), (rng.random((5, 4)) < 0.4).astype(dtype)


def test_cross_entropy_is_its_formula(rng):
    logits, classes, _ = batch(rng)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_allclose(cross_entropy(logits, classes), -np.log(probabilities[range(5), classes]).mean(), rtol=TOL)


def test_bce_is_its_formula(rng):
    logits, _, labels = batch(rng)
    p = 1 / (1 + np.exp(-logits))
    assert_allclose(bce_with_logits(logits, labels), -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean(), rtol=TOL)


def test_gradients_to_second_order(rng):
    logits, classes, labels = batch(rng)
    check_grads(lambda x: cross_entropy(x, classes), modes=["rev"], order=2)(logits)
    check_grads(lambda x: bce_with_logits(x, labels), modes=["rev"], order=2)(logits)
    check_grads(lambda x: anp.sin(3 * cross_entropy(x, classes)), modes=["rev"])(logits)  # a g that is not 1
    check_grads(lambda x: anp.sin(3 * bce_with_logits(x, labels)), modes=["rev"])(logits)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_kept(rng, dtype):
    logits, classes, labels = batch(rng, dtype)
    g = np.dtype(dtype).type(2)
    for loss, adjoint, targets in (
        (cross_entropy, cross_entropy_adjoint, classes),
        (bce_with_logits, bce_with_logits_adjoint, labels),
    ):
        assert loss(logits, targets).dtype == dtype
        assert adjoint(g, logits, targets).dtype == dtype
        assert grad(loss)(logits, targets).dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_are_safe(dtype):
    logits, classes = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype), np.array([0, 0])
    assert_allclose(cross_entropy(logits, classes), 1e4)
    assert_allclose(grad(cross_entropy)(logits, classes), [[0, 0], [-0.5, 0.5]])
    labels = np.array([[1, 0], [1, 0]], dtype)
    assert_allclose(bce_with_logits(logits, labels), 5e3)
    assert_allclose(grad(bce_with_logits)(logits, labels), [[0, 0], [-0.25, 0.25]])


def test_bce_keeps_the_digits_of_a_confident_answer():
    confident = np.array([[-50.0, 50.0]])
    assert_allclose(bce_with_logits(confident, np.array([[0.0, 1.0]])), np.exp(-50.0), rtol=TOL)


def test_losses_are_torchs(rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    logits, classes, labels = batch(rng)
    x = torch.tensor(logits, requires_grad=True)
    for ours, theirs, targets in (
        (cross_entropy, torch.nn.functional.cross_entropy, classes),
        (bce_with_logits, torch.nn.functional.binary_cross_entropy_with_logits, labels),
    ):
        loss = theirs(x, torch.tensor(targets))
        (gradient,) = torch.autograd.grad(loss, x)
        assert_allclose(ours(logits, targets), loss.item(), rtol=TOL)
        assert_allclose(grad(ours)(logits, targets), gradient.numpy(), rtol=TOL, atol=1e-16)
