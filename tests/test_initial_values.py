"""Fresh parameters: which numbers are drawn, in which order and between which bounds, written down once more."""

import numpy as np
import pytest

from multires_ref import Model, NetworkConfig, init_params, init_state, wavelet_filters
from multires_ref.network import parameter_shapes

BASE = {"d_input": 5, "d_output": 4, "d_model": 6, "n_layers": 2, "kernel_size": 4, "max_length": 60}
VARIANTS = {
    "the paper's": {},
    "untied": {"tied": False},
    "uniform": {"tree_select": "uniform", "memory_size": 9},
    "tokens, batch norm": {"encoder": "embedding", "norm": "batch"},
    "autoregressive": {"kind": "autoregressive", "indep_res_init": True},
    "wavelet, minimum delay": {"wavelet": "db2", "filter_order": "minimum_delay"},
    "wavelet, untied": {"wavelet": "db2", "tied": False},
}


def by_hand(config, rng, J, m, dtype):
    """The parameters as a flat dict, in the order of the draws."""
    D, K, flat = config.d_model, config.kernel_size, {}

    def linear(name, fan_in, fan_out):
        flat[f"{name}.weight"] = rng.uniform(-1, 1, (fan_out, fan_in)) / np.sqrt(fan_in)
        flat[f"{name}.bias"] = rng.uniform(-1, 1, fan_out) / np.sqrt(fan_in)

    if config.encoder == "embedding":
        flat["encoder.table"] = rng.standard_normal((config.d_input, D))
    else:
        linear("encoder", config.d_input, D)
    for i in range(config.n_layers):
        shape = (D, K) if config.tied else (J, D, K)
        for number, name in enumerate(("h0", "h1")):
            if config.wavelet:
                flat[f"blocks.{i}.conv.{name}"] = np.broadcast_to(wavelet_filters("db2", config.filter_order)[number], shape)
            else:
                flat[f"blocks.{i}.conv.{name}"] = rng.uniform(-1, 1, shape) * np.sqrt(1 / K)
        flat[f"blocks.{i}.conv.w"] = rng.uniform(-1, 1, (D, m)) * np.sqrt(1 / (m + 1))
        flat[f"blocks.{i}.conv.w_skip"] = rng.uniform(-1, 1, D) * (1 if config.indep_res_init else np.sqrt(1 / (m + 1)))
        linear(f"blocks.{i}.mix", D, 2 * D)
        if config.kind == "autoregressive":
            linear(f"blocks.{i}.mix2", D, D)
        flat |= {f"blocks.{i}.norm.weight": np.ones(D), f"blocks.{i}.norm.bias": np.zeros(D)}
    linear("decoder", D, config.d_output)
    return {name: array.astype(dtype) for name, array in flat.items()}


def flat(tree, path=""):
    """The arrays of nested dicts and lists by their paths, such as "blocks.0.conv.h0"."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else None
    if items is None:
        return {path: tree}
    return {name: array for key, child in items for name, array in flat(child, f"{path}.{key}" if path else str(key)).items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_draw(name, dtype):
    config = NetworkConfig(**BASE | VARIANTS[name])
    J, m = 5, 9 if name == "uniform" else 6  # 3 (2^5 - 1) + 1 = 94 samples cover 60, and 46 do not
    ours = flat(init_params(config, np.random.default_rng(3), dtype))
    expected = by_hand(config, np.random.default_rng(3), J, m, dtype)
    assert set(ours) == set(expected) == set(parameter_shapes(config))
    for path, array in expected.items():
        assert ours[path].dtype == dtype
        assert ours[path].shape == array.shape == parameter_shapes(config)[path]
        np.testing.assert_allclose(ours[path], array, rtol=0, atol=1e-6 if dtype == "float32" else 1e-15, err_msg=path)


@pytest.mark.parametrize("name", VARIANTS)
def test_no_two_arrays_share_their_memory(name):
    """An optimiser writes into them in place."""
    config = NetworkConfig(**BASE | VARIANTS[name])
    model = Model.init(config, np.random.default_rng(0))
    arrays = [*flat(model.params).values(), *flat(model.state).values()]
    for array in arrays:
        assert array.flags.writeable
        array[...] = -7
    for n, array in enumerate(arrays):
        array[...] = n
    assert all((array == n).all() for n, array in enumerate(arrays))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_norms_start_without_a_past(dtype):
    config = NetworkConfig(**BASE | {"norm": "batch"})
    for state in (init_state(config, dtype), Model.init(config, np.random.default_rng(0), dtype).state):
        assert len(state["blocks"]) == 2
        for block in state["blocks"]:
            assert block["mean"].tolist() == [0] * 6
            assert block["var"].tolist() == [1] * 6
            assert block["mean"].dtype == block["var"].dtype == dtype
            assert block["count"] == 0
            assert block["count"].dtype.kind == "i"
    assert init_state(NetworkConfig(**BASE)) == {"blocks": [{}, {}]}


@pytest.mark.parametrize(
    ("sizes", "largest"),
    [
        ({"d_model": 10**6}, "d_model is 1,000,000"),
        ({"d_input": 10**13}, "d_input is 10,"),
        ({"n_layers": 10**10}, "n_layers is 10,"),
    ],
)
def test_a_network_that_no_memory_holds_is_refused(sizes, largest):
    """Before anything is drawn; the largest of the sizes is named."""
    config = NetworkConfig(**BASE | sizes)
    for make in (
        lambda: init_params(config, np.random.default_rng(0)),
        lambda: init_state(config),
        lambda: parameter_shapes(config),
    ):
        with pytest.raises(ValueError, match=rf"this network would have [\d,]+ parameters .*{largest}"):
            make()
