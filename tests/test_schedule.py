"""The learning rate of every step: its ends, its shape, and PyTorch's cosine."""

import pytest
from numpy.testing import assert_allclose

from multires_ref.training.optim import learning_rate


def test_the_cosine_falls_from_the_top_to_zero():
    rates = [learning_rate(n, 100, 0.5) for n in range(101)]
    assert rates[0] == 0.5
    assert abs(rates[100]) < 1e-16
    assert_allclose(rates[50], 0.25)
    assert all(a > b for a, b in zip(rates, rates[1:], strict=False))


def test_the_warm_up_rises_in_a_line_from_zero():
    rates = [learning_rate(n, 30, 0.5, warmup=10) for n in range(30)]
    assert_allclose(rates[:11], [0.05 * n for n in range(11)])
    assert_allclose(rates[10:], [learning_rate(n, 20, 0.5) for n in range(20)])


def test_a_warm_up_of_all_steps_never_divides_by_zero():
    assert_allclose([learning_rate(n, 3, 0.3, warmup=3) for n in range(4)], [0.0, 0.1, 0.2, 0.3])


def test_the_cosine_is_torchs():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 25)
    for n in range(25):
        assert_allclose(learning_rate(n, 25, 0.01), optimizer.param_groups[0]["lr"], rtol=1e-12)
        optimizer.step()
        schedule.step()
