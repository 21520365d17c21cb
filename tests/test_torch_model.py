"""The PyTorch version beside the NumPy model: forward, gradients, BatchNorm's statistics, 20 steps; and the authors' numbers."""

import numpy as np
import pytest
from cases import assert_agrees
from golden import CONFIGS, TOLD, WEIGHT_DECAY, group, reference
from test_authors import KINDS, assert_same, random_model

from multires_ref import Model, NetworkConfig, init_params, save_model
from multires_ref.authors.convert import params_to_authors, to_authors
from multires_ref.authors.derive import from_authors
from multires_ref.base.pytrees import flatten, unflatten
from multires_ref.diagnose.record import record_model
from multires_ref.diagnose.verify import bias_noise
from multires_ref.network import apply
from multires_ref.ops.adam_update import adam_factors, adam_update

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from multires_ref.authors.torch_model import MultiresNet, from_torch, to_torch  # noqa: E402

EXACT, TIGHT = 1e-12, 1e-11  # relative, float64: of outputs, and of each gradient by its own size
LENGTHS = {"tokens": np.array([32, 5, 17])}


def random_input(config, rng):
    if config.encoder == "embedding":
        return rng.integers(0, config.d_input, (3, 32))
    return rng.standard_normal((3, config.d_input, 32))


def run_torch(module, x, lengths, g):
    """Output and gradients (by the authors' names) of sum(g * output)."""
    module.zero_grad()
    out = module(torch.from_numpy(x), None if lengths is None else torch.from_numpy(lengths))
    (out * torch.from_numpy(g)).sum().backward()
    return out.detach().numpy(), {name: p.grad.numpy() for name, p in module.named_parameters()}


def run_numpy(model, x, lengths, g, training):
    from autograd import value_and_grad

    kept = {}

    def loss(params):
        kept["out"], kept["state"] = apply(model.config, params, model.state, x, lengths, training=training)
        return (kept["out"] * g).sum()

    _, gradient = value_and_grad(loss)(model.params)
    return kept["out"]._value, params_to_authors(model.config, gradient), kept["state"]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_forward_and_gradients(kind, training, rng):
    config = KINDS[kind]
    model, x = random_model(config, rng, "float64"), random_input(config, rng)
    g = rng.standard_normal(model(x).shape)
    module = to_torch(model).train(training)
    theirs, their_gradients = run_torch(module, x, LENGTHS.get(kind), g)
    ours, our_gradients, state = run_numpy(model, x, LENGTHS.get(kind), g, training)
    assert_agrees(ours, theirs, EXACT, "output")
    assert set(our_gradients) == set(their_gradients)
    noise = bias_noise(config, record_model(model, x, LENGTHS.get(kind), g, training).gradients)  # some vanish by cancellation
    for name, gradient in their_gradients.items():
        assert_agrees(our_gradients[name], gradient, TIGHT, name, noise.get(name, 0.0))
    assert_same_state(Model(config, model.params, state), module)


def assert_same_state(model, module):
    """BatchNorm's running mean, (unbiased) variance and count, after the same number of batches."""
    stored = module.state_dict()
    for name, array in to_authors(model).items():
        if "running" in name or "tracked" in name:
            assert_agrees(array, stored[name].numpy(), EXACT, name)


@pytest.mark.parametrize("kind", KINDS)
def test_strict_loading_and_back(kind, rng, tmp_path):
    """Every key and shape is the authors': `load_state_dict(strict=True)` takes the file; `from_torch` gives the model back."""
    model = random_model(KINDS[kind], rng)
    save_model(model, tmp_path / "x.pth")
    MultiresNet(model.config).load_state_dict(torch.load(tmp_path / "x.pth", weights_only=True), strict=True)
    assert_same(model, from_torch(to_torch(model)))
    assert set(to_torch(model).state_dict()) == set(to_authors(model))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_authors_numbers(name):
    arrays = reference(name)
    module = to_torch(Model(*from_authors(group(arrays, "init"), **TOLD[name])))
    lengths = torch.from_numpy(arrays["lengths"]) if "lengths" in arrays else None
    with torch.no_grad():
        assert_agrees(module(torch.from_numpy(arrays["x"]), lengths).numpy(), arrays["eval_output"], EXACT, "evaluation")
        assert_agrees(module.train()(torch.from_numpy(arrays["x"]), lengths).numpy(), arrays["train_output"], EXACT, "training")


def torch_loss(name, out, target):
    if name.startswith("multilabel"):
        return torch.nn.functional.binary_cross_entropy_with_logits(out, target)
    return torch.nn.functional.cross_entropy(out, target)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "autoregressive"])
def test_twenty_steps_of_pytorch_reproduce_the_authors(name):
    """The PyTorch version with PyTorch's AdamW walks the authors' trajectory, as the NumPy model does in `test_golden.py`."""
    arrays = reference(name)
    module = to_torch(Model(*from_authors(group(arrays, "init"), **TOLD[name]))).train()
    x, target = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["target"])
    lengths = torch.from_numpy(arrays["lengths"]) if "lengths" in arrays else None
    optimiser = torch.optim.AdamW(module.parameters(), lr=1.0, weight_decay=WEIGHT_DECAY[name])
    losses = []
    for lr in arrays["traj_lr"]:
        optimiser.param_groups[0]["lr"] = float(lr)
        optimiser.zero_grad()
        loss = torch_loss(name, module(x, lengths), target)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert_agrees(np.array(losses), arrays["traj_loss"], EXACT, "losses")


@pytest.mark.parametrize("kind", ["autoregressive", "batch norm"])
def test_twenty_steps_side_by_side(kind, rng):
    """A plain sum of squares as the loss, Adam: both sides live.

    Not with the autoregressive network's BatchNorm: the bias before it has no gradient but rounding, which Adam blows up.
    """
    config = KINDS[kind]
    model, x = random_model(config, rng, "float64"), random_input(config, rng)
    module = to_torch(model).train()
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    flat = flatten(model.params)
    moments, state = {key: (np.zeros_like(p), np.zeros_like(p)) for key, p in flat.items()}, model.state
    for step in range(1, 21):
        optimiser.zero_grad()
        loss = (module(torch.from_numpy(x)) ** 2).sum()
        loss.backward()
        optimiser.step()
        ours, gradient, state = squares(config, unflatten(flat), state, x)
        for key, g in flatten(gradient).items():
            adam_update(flat[key], g, *moments[key], adam_factors(1e-2, 0.0, step))
        assert_agrees(ours, loss.item(), 1e-10, f"loss of step {step}")
    for key, array in to_authors(Model(config, unflatten(flat), state)).items():
        assert_agrees(array, module.state_dict()[key].numpy(), 1e-9, key)


def squares(config, params, state, x):
    """Sum of squares of the output, its gradient, and the new state."""
    from autograd import value_and_grad

    kept = {}

    def loss(params):
        out, new = apply(config, params, state, x, training=True)
        kept["state"] = new
        return (out * out).sum()

    value, gradient = value_and_grad(loss)(params)
    return value, gradient, kept["state"]


def test_fresh_parameters_are_drawn_as_the_papers():
    torch.manual_seed(0)
    config = NetworkConfig(3, 10, 400, 1, kernel_size=4, max_length=200, wavelet="db2", indep_res_init=True)
    ours = init_params(config, np.random.default_rng(0))["blocks"][0]["conv"]
    theirs = from_torch(MultiresNet(config)).params["blocks"][0]["conv"]
    np.testing.assert_array_equal(theirs["h0"], ours["h0"])
    np.testing.assert_array_equal(theirs["h1"], ours["h1"])
    for name in ("w", "w_skip"):
        np.testing.assert_allclose(np.abs(theirs[name]).max(), np.abs(ours[name]).max(), rtol=0.02)


@pytest.mark.parametrize("K", [2, 5])
def test_parameters_at_random_have_the_same_bounds(K):
    """Without a wavelet and without its own start for the skip weight, which then is drawn as the other weights."""
    torch.manual_seed(0)
    config = NetworkConfig(3, 10, 400, 1, kernel_size=K, max_length=200)
    ours = init_params(config, np.random.default_rng(0))["blocks"][0]["conv"]
    theirs = from_torch(MultiresNet(config)).params["blocks"][0]["conv"]
    for name, array in ours.items():
        np.testing.assert_allclose(np.abs(theirs[name]).max(), np.abs(array).max(), rtol=0.02, err_msg=name)
        assert abs(theirs[name].mean()) < 0.1 * np.abs(array).max()
    assert not np.array_equal(theirs["h0"], theirs["h1"])


def test_the_order_of_a_wavelets_taps_is_the_configs():
    config = NetworkConfig(3, 10, 4, 1, kernel_size=4, max_length=32, wavelet="db2", filter_order="reversed")
    ours = init_params(config, np.random.default_rng(0))["blocks"][0]["conv"]
    theirs = from_torch(MultiresNet(config)).params["blocks"][0]["conv"]
    for name in ("h0", "h1"):
        np.testing.assert_array_equal(theirs[name], ours[name])


@pytest.mark.parametrize("kind", ["classifier", "autoregressive"])
def test_dropout_takes_whole_channels_after_the_activation_and_after_the_gate(kind, rng):
    """Every channel of every sequence is as without dropout, times 1 / (1 - p), or zero; about a share p of them."""
    config = NetworkConfig(3, 10, 64, 2, max_length=32, dropout=0.25, kind=kind)
    module, x = to_torch(Model.init(config, rng)).train(), torch.randn(8, 64, 16)
    torch.manual_seed(0)
    conv, mixing = module.seq_layers[1], module.mixing_layers[1]
    for dropped, still in ((conv(x), conv.activation(conv.conv(x))), (mixing[:3](x), mixing[:2](x))):
        ratio = (dropped / still).detach()
        zero = ratio == 0
        assert torch.equal(zero.any(-1), zero.all(-1))
        torch.testing.assert_close(ratio[~zero], torch.full_like(ratio[~zero], 1 / 0.75))
        assert 0.15 < zero.float().mean() < 0.35


def test_the_module_is_ready_and_apart_from_the_model(rng):
    model = random_model(KINDS["batch norm"], rng, "float64")
    before = {name: array.copy() for name, array in to_authors(model).items()}
    module = to_torch(model)
    assert not any(layer.training for layer in module.modules())
    assert {str(p.dtype) for p in module.parameters()} == {"torch.float64"}
    module.train()(torch.from_numpy(random_input(model.config, rng)))
    with torch.no_grad():
        for p in module.parameters():
            p.add_(1)
    for name, array in to_authors(model).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_untied_is_refused():
    with pytest.raises(ValueError, match="tied must be True"):
        MultiresNet(NetworkConfig(3, 10, 8, 1, tied=False))


def test_dropout_is_on_in_training_only(rng):
    model = Model.init(NetworkConfig(3, 10, 64, 1, max_length=32, dropout=0.5), rng)
    module, x = to_torch(model), torch.from_numpy(rng.standard_normal((2, 3, 32)).astype(np.float32))
    assert torch.equal(module(x), module(x))
    assert not torch.equal(module.train()(x), module(x))
