"""MultiresConv in readable NumPy: a causal wavelet tree with learned filters as a sequence layer.

Source: Shi, Wang, Fox, "Sequence Modeling with Multiresolution Convolutional Memory", ICML 2023 (arXiv 2305.01638).

Glossary. Levels count here from fine (1) to coarse (J); the paper counts the other way, its level j is our J - i.

    symbol    meaning                                       shape        paper, of the  PyWavelets        authors' code
    B, D, L   batch, channels (d_model), time steps                      networks                         bs, d_model, seq_len
    K         filter taps                                                tree           dec_len           kernel_size
    J         depth: number of levels                                    tree           level             depth
    m         memory size: rows of z_n                                   TreeSelect                       w.shape[1] - 1
    x, a_0    input                                         [B, D, L]    tree           data              x
    h0, h1    low-pass and high-pass filter, *lag order*:   [D, K]       tree           dec_lo, dec_hi    h0, h1, reversed along K
              index k weights the sample k steps ago
    a_i       approximation of level i                      [B, D, L]    tree           cA_i, shifted     res_lo
    b_i       detail of level i                             [B, D, L]    tree           cD_i, shifted     res_hi
    2^(i-1)   dilation of level i's filters                              tree                             dilation
    z_n       the memory TreeSelect picks at time n         [m]          TreeSelect
    w         weights of z_n: a_J, b_J, ..., b_1            [D, m]       layer                            w[:, :-1]
    w_skip    weight of x[n] itself                         [D]          layer                            w[:, -1]

Read in this order: `definition` (the equations as loops), `filters`, `tree`, `response`; then the rooms `engines` (speed),
`autodiff` (gradients), `network`, `training`, `tasks`, `interop` (PyWavelets, PyTorch), `plots`, and the command line.
Importing the package loads nothing else, not even NumPy; the names below load what they need when first used.
"""

from importlib import import_module

__version__ = "0.1.0"

PUBLIC = {
    "multires_conv": "autodiff.operator",
    "multires_conv_traced": "autodiff.operator",
    "multires_conv_loops": "definition",
    "pyramid": "tree",
    "memory": "tree",
    "memory_rows": "tree",
    "depth_for": "tree",
    "receptive_field": "tree",
    "causal_swt": "transform",
    "causal_iswt": "transform",
    "causal_delay": "transform",
    "wavelet_filters": "filters",
    "random_filters": "filters",
    "impulse_responses": "response",
    "frequency_responses": "response",
    "equivalent_kernel": "response",
    "NetworkConfig": "network.config",
    "Model": "network.model",
    "init_params": "network.init",
    "init_state": "network.init",
    "load_model": "interop.load",
    "save_model": "interop.load",
    "AssumptionWarning": "base.warnings",
    "check_pywavelets": "interop.pywavelets",
    "compare": "interop.compare",
}
__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first used (PEP 562): this keeps the import light."""
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
