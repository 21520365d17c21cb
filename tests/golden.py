"""The four reference networks: configs, losses and steps with which the authors' numbers in `data/` were computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multires_ref import NetworkConfig
from multires_ref.ops.bce_with_logits import bce_with_logits
from multires_ref.ops.cross_entropy import cross_entropy
from multires_ref.ops.mixture_nll import mixture_nll

DATA = Path(__file__).parent / "data"
CONFIGS = {
    "classifier_layernorm": NetworkConfig(3, 10, 8, 2, 2, 32),
    "tokens_batchnorm_lengths": NetworkConfig(18, 10, 8, 2, 4, 24, encoder="embedding", norm="batch", indep_res_init=True),
    "multilabel_db2_uniform": NetworkConfig(12, 5, 6, 2, 4, 40, tree_select="uniform", memory_size=12, wavelet="db2"),
    "autoregressive": NetworkConfig(3, 40, 8, 2, 4, 64, kind="autoregressive", indep_res_init=True),
}
TOLD = {  # what the checkpoints do not hold, to have these configs back
    "classifier_layernorm": {"max_length": 32, "tree_select": "fading"},
    "tokens_batchnorm_lengths": {"max_length": 24, "tree_select": "fading"},
    "multilabel_db2_uniform": {"max_length": 40, "tree_select": "uniform"},
    "autoregressive": {"max_length": 64, "tree_select": "fading", "n_values": 256},
}
LOSSES = {
    "classifier_layernorm": cross_entropy,
    "tokens_batchnorm_lengths": cross_entropy,
    "multilabel_db2_uniform": bce_with_logits,
    "autoregressive": mixture_nll,
}
WEIGHT_DECAY = {name: 0.0 if name == "autoregressive" else 0.03 for name in CONFIGS}


def reference(name: str) -> dict[str, np.ndarray]:
    """All arrays of one network's .npz."""
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as z:
        return dict(z)


def group(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays under `init/`, `grad/` or `final/`, by the authors' names."""
    return {key.removeprefix(f"{prefix}/"): array for key, array in arrays.items() if key.startswith(f"{prefix}/")}
