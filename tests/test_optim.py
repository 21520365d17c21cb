"""Adam and AdamW against PyTorch, clipping, and that the state holds all there is to resume from."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from multires_ref.base.pytrees import flatten, map_pytree
from multires_ref.training.config import TrainingConfig
from multires_ref.training.optim import adam_init, adam_step, clip_by_global_norm, global_norm

TOL = {"float64": 1e-14, "float32": 2e-6}


def nest(rng, dtype="float64"):
    return {"encoder": {"weight": rng.standard_normal((3, 2)).astype(dtype)}, "blocks": [{"w": rng.random(4).astype(dtype)}]}


def settings(optimizer, decay):
    return TrainingConfig(1, 1, 0.1, optimizer=optimizer, weight_decay=decay)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("optimizer", "decay"), [("adamw", 0.1), ("adamw", 0.0), ("adam", 0.1), ("adam", 0.0)])
def test_steps_are_torchs(rng, optimizer, decay, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    params = nest(rng, dtype)
    theirs = {name: torch.tensor(p.copy(), requires_grad=True) for name, p in flatten(params).items()}
    kind = torch.optim.AdamW if optimizer == "adamw" else torch.optim.Adam
    torch_optimizer, opt_state = kind(theirs.values(), lr=0.1, weight_decay=decay), adam_init(params)
    for n in range(12):
        grads, lr = nest(rng, dtype), 0.1 / (n + 1)
        torch_optimizer.param_groups[0]["lr"] = lr
        for name, g in flatten(grads).items():
            theirs[name].grad = torch.tensor(g.copy())
        torch_optimizer.step()
        adam_step(params, grads, opt_state, lr, settings(optimizer, decay))
    for name, p in flatten(params).items():
        assert p.dtype == dtype
        assert_allclose(p, theirs[name].detach().numpy(), rtol=TOL[dtype], atol=TOL[dtype], err_msg=name)


def test_the_state_resumes_exactly(rng):
    params, grads = nest(rng), [nest(rng) for _ in range(6)]
    other, opt_state = copy.deepcopy(params), adam_init(params)
    for g in grads[:3]:
        adam_step(params, g, opt_state, 0.01, settings("adamw", 0.1))
    other, restored = copy.deepcopy((params, opt_state))
    for p, s in ((params, opt_state), (other, restored)):
        for g in grads[3:]:
            adam_step(p, g, s, 0.01, settings("adamw", 0.1))
    assert opt_state["step"] == 6
    for name, p in flatten(params).items():
        assert_array_equal(p, flatten(other)[name])


def test_arrays_change_in_place_and_gradients_do_not(rng):
    params, grads = nest(rng), nest(rng)
    before, kept = params["encoder"]["weight"], copy.deepcopy(grads)
    adam_step(params, grads, adam_init(params), 0.01, settings("adam", 0.1))
    assert params["encoder"]["weight"] is before
    for name, g in flatten(grads).items():
        assert_array_equal(g, flatten(kept)[name])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clipping(rng, dtype):
    grads = nest(rng, dtype)
    norm = float(global_norm(grads))
    assert_allclose(norm, np.sqrt(sum((g.astype(float) ** 2).sum() for g in flatten(grads).values())), rtol=1e-6)
    small, same = clip_by_global_norm(grads, norm / 3), clip_by_global_norm(grads, 3 * norm)
    assert_allclose(float(global_norm(small)), norm / 3, rtol=1e-5)
    for name, g in flatten(grads).items():
        assert flatten(small)[name].dtype == dtype
        assert_array_equal(flatten(same)[name], g)


def test_clipping_is_torchs(rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    grads = nest(rng)
    theirs = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in flatten(grads).values()]
    for p, g in zip(theirs, flatten(grads).values(), strict=True):
        p.grad = torch.tensor(g.copy())
    torch.nn.utils.clip_grad_norm_(theirs, 0.7)
    for p, g in zip(theirs, flatten(clip_by_global_norm(grads, 0.7)).values(), strict=True):
        assert_allclose(g, p.grad.numpy(), rtol=1e-14)


def test_a_wrong_order_of_decay_would_be_seen(rng):
    """Decoupled and coupled decay differ visibly, so the comparison with PyTorch can fail."""
    grads, one = nest(rng), nest(rng)
    two = map_pytree(np.copy, one)
    adam_step(one, grads, adam_init(one), 0.1, settings("adamw", 0.5))
    adam_step(two, grads, adam_init(two), 0.1, settings("adam", 0.5))
    assert np.abs(one["encoder"]["weight"] - two["encoder"]["weight"]).max() > 1e-3


def test_the_clipping_factor_by_hand():
    """largest / (norm + 1e-6): for a norm as small as that the summand is half of it."""
    g = {"a": np.array([3e-6, 4e-6])}  # norm 5e-6
    np.testing.assert_allclose(clip_by_global_norm(g, 3e-6)["a"], g["a"] * 3e-6 / 6e-6, rtol=1e-12)
    np.testing.assert_allclose(clip_by_global_norm({"a": np.array([3.0, 4.0])}, 2.0)["a"], np.array([3.0, 4.0]) * 2 / (5 + 1e-6))


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_three_steps_by_hand(rng, optimizer):
    """Decay added to the gradient (adam), or shrinking the parameter before the step (adamw)."""
    p, decay, lr = rng.standard_normal(5), 0.3, 0.05
    params, state = {"p": p.copy()}, adam_init({"p": p})
    m = v = np.zeros(5)
    for step in (1, 2, 3):
        g = rng.standard_normal(5)
        adam_step(params, {"p": g}, state, lr, settings(optimizer, decay))
        if optimizer == "adam":
            g = g + decay * p
        else:
            p = p - lr * decay * p
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p = p - lr * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    np.testing.assert_allclose(params["p"], p, rtol=1e-13)
