"""Small networks of every kind, with norms as training could have left them."""

import numpy as np

from multires_ref import Model, NetworkConfig

NETWORKS = {
    "fading": {},
    "odd width": {"d_model": 7, "d_output": 5},
    "one channel": {"d_model": 1, "d_output": 1, "d_input": 1},
    "untied": {"tied": False},
    "uniform": {"tree_select": "uniform", "memory_size": 23, "depth": 5},
    "one level": {"depth": 1, "kernel_size": 2, "n_layers": 1},
}


def make(dtype="float64", **settings):
    """A network with norms as training could have left them."""
    base = {"d_input": 2, "d_output": 6, "d_model": 8, "n_layers": 3, "kernel_size": 4, "max_length": 50}
    model, rng = Model.init(NetworkConfig(**base | settings), np.random.default_rng(0), dtype), np.random.default_rng(1)
    for block, state in zip(model.params["blocks"], model.state["blocks"], strict=True):
        for name in block["norm"]:
            block["norm"][name] = rng.uniform(0.5, 2, model.config.d_model).astype(dtype)
        for name in set(state) - {"count"}:
            state[name] = rng.uniform(0.5, 2, model.config.d_model).astype(dtype)
    return model
