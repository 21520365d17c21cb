"""The losses and the operator by PyTorch, which gradients are held against, at their edges: values and gradients as ours."""

import numpy as np
import pytest
from autograd import value_and_grad

from multires_ref import multires_conv
from multires_ref.ops.bce_with_logits import bce_with_logits
from multires_ref.ops.cross_entropy import cross_entropy
from multires_ref.ops.mixture_nll import mixture_nll
from multires_ref.tree import kept_per_level

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from multires_ref.authors import torch_operations  # noqa: E402


def assert_same_gradient(ours, theirs, array, *rest, rtol=1e-12):
    """The same value and the same gradient in `array`."""
    value, gradient = value_and_grad(lambda a: ours(a, *rest))(array)
    tensor = torch.tensor(array, requires_grad=True)
    out = theirs(tensor, *(torch.from_numpy(r) if isinstance(r, np.ndarray) else r for r in rest))
    out.backward()
    np.testing.assert_allclose(out.item(), value, rtol=rtol)
    np.testing.assert_allclose(tensor.grad.numpy(), gradient, rtol=1e3 * rtol, atol=rtol * np.abs(gradient).max())


@pytest.mark.parametrize("n_values", [2, 17, 256])
def test_the_mixture_at_its_edges(n_values, rng):
    """Both ends of the range; scales below the smallest one; means so far off that the density stands in for the bin."""
    grid = rng.integers(0, n_values, (2, 3, 30))
    grid[..., :3], grid[..., 3:6] = 0, n_values - 1
    x, out = grid * (2 / (n_values - 1)) - 1, rng.standard_normal((2, 20, 30))
    for log_scales in (out[:, 4:6], out[:, 10:12], out[:, 16:18]):
        log_scales -= 2.0
        log_scales[0, :, ::2] = -8.5
    out[1, 8:10, ::3] = 6.0
    assert_same_gradient(mixture_nll, torch_operations.mixture_nll, out, x, n_values, rtol=1e-8)


def test_a_scale_at_the_bound_and_bins_of_little_probability():
    """One component, one pixel: log scales around -7, and means at growing distance from the value."""
    x = np.array([[[0.1], [-0.3], [0.5]]])
    for log_scale, distance in [(-6.9, 0.0), (-7.5, 0.0), (-3.0, 0.3), (-3.0, 0.5), (-3.0, 0.6), (-3.0, 2.0), (-5.0, 0.05)]:
        out = np.zeros((1, 10, 1))
        out[0, 1::3, 0], out[0, 2::3, 0] = x[0, :, 0] + distance, log_scale
        out[0, 3::3, 0] = [0.3, -0.2, 0.7]
        assert_same_gradient(mixture_nll, torch_operations.mixture_nll, out, x, 256, rtol=1e-8)


def test_the_mixture_of_one_colour(rng):
    x, out = rng.integers(0, 17, (2, 1, 30)) * (2 / 16) - 1, rng.standard_normal((2, 12, 30))
    assert_same_gradient(mixture_nll, torch_operations.mixture_nll, out, x, 17, rtol=1e-8)


def test_losses_of_large_logits(rng):
    logits = 40 * rng.standard_normal((6, 5))
    assert_same_gradient(cross_entropy, torch_operations.cross_entropy, logits, rng.integers(0, 5, 6))
    assert_same_gradient(bce_with_logits, torch_operations.bce_with_logits, logits, rng.integers(0, 2, (6, 5)).astype(float))


@pytest.mark.parametrize(("tree_select", "depth", "m"), [("fading", 4, 5), ("uniform", 3, 9), ("uniform", 2, 40)])
def test_the_operator_of_odd_filters(tree_select, depth, m, rng):
    """K = 3, both trees, and more weights than a whole tree has samples."""
    D, K = 2, 3
    arrays = [rng.standard_normal(shape) for shape in ((2, D, 30), (D, K), (D, K), (D, m), (D,))]
    for place in range(5):
        g = rng.standard_normal((2, D, 30))

        def ours(a, place=place, g=g):
            given = [*arrays[:place], a, *arrays[place + 1 :]]
            return (multires_conv(*given, tree_select=tree_select, depth=depth) * g).sum()

        def theirs(a, place=place, g=g):
            given = [a if n == place else torch.from_numpy(array) for n, array in enumerate(arrays)]
            kept = kept_per_level(depth, K, tree_select, m)
            return (torch_operations.multires_conv(*given, kept) * torch.from_numpy(g)).sum()

        assert_same_gradient(ours, theirs, arrays[place])
