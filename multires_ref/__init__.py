"""MultiresConv in readable NumPy: a causal wavelet tree with learned filters as a sequence layer.

Source: Shi, Wang, Fox, "Sequence Modeling with Multiresolution Convolutional Memory", ICML 2023 (arXiv 2305.01638).

Glossary. Levels count here from fine (1) to coarse (J); the paper counts the other way. Figure 2 of the paper shows the layer.

    symbol    meaning                                       shape      paper            PyWavelets        authors' code
    B, D, L   batch, channels (d_model), time steps                                                       bs, d_model, seq_len
    K         filter taps                                                               dec_len           kernel_size
    J         depth: number of levels                                  J                level             depth
    m         memory size: elements of z_n                                                                w.shape[1] - 1
    x, a_0    input                                         [B, D, L]  x                data              x
    h0, h1    low-pass and high-pass filter, *lag order*:   [D, K]     h_0, h_1         dec_lo, dec_hi    h0, h1, reversed along K
              index k weights the sample k steps ago
    a_i       approximation of level i                      [B, D, L]  a_{J-i}          cA_i, shifted     res_lo
    b_i       detail of level i                             [B, D, L]  b_{J-i}          cD_i, shifted     res_hi
    2^(i-1)   dilation of level i's filters                                                               dilation
    z_n       the memory that TreeSelect picks at time n    [m]        TREESELECT
    w         weights of z_n: a_J, b_J, ..., b_1            [D, m]                                        w[:, :-1]
    w_skip    weight of x[n] itself                         [D]                                           w[:, -1]

The authors' lines, at https://github.com/thjashin/multires-conv/blob/828089f/layers/multireslayer.py: the depth #L62-L64, initial
values #L33-L56, the fading layer #L77-L91, the uniform one #L94-L115 and its TreeSelect #L118-L143.

Read in this order: `definition` (the equations as loops), `filters`, `tree` (with the layer itself), `response`, `transform`.
Then the rooms: `engines` (the layer by faster algorithms), `signals` (the transform as users of PyWavelets expect it, and sample
by sample), `memories` (the tree's beside others), `ops` (operations with their gradients), `network`, `training`, `estimators`
(for your own data, as in scikit-learn), `tasks`, `authors` (their checkpoints, PyTorch), `diagnose` (your numbers beside others),
`bench`, `plots`, and the command line. Importing the package loads nothing, not even NumPy; the names below load what they need
when they are first used.
"""

from importlib import import_module

__version__ = "0.1.0"

PUBLIC = {
    "multires_conv": "ops.multires_conv",
    "multires_conv_traced": "ops.multires_conv",
    "multires_conv_loops": "definition",
    "pyramid": "tree",
    "memory": "tree",
    "memory_rows": "tree",
    "depth_for": "tree",
    "receptive_field": "tree",
    "causal_swt": "signals.swt",
    "causal_iswt": "signals.swt",
    "causal_delay": "signals.swt",
    "CausalSWT": "signals.stream",
    "CausalISWT": "signals.inverse_stream",
    "LiveDenoiser": "signals.denoise",
    "universal_threshold": "signals.denoise",
    "wavelet_filters": "filters",
    "random_filters": "filters",
    "impulse_responses": "response",
    "frequency_responses": "response",
    "equivalent_kernel": "response",
    "NetworkConfig": "network.config",
    "Model": "network.model",
    "init_params": "network.init",
    "init_state": "network.init",
    "load_model": "authors.load",
    "save_model": "authors.load",
    "AssumptionWarning": "base.checks",
    "MultiresClassifier": "estimators.classifier",
    "MultiresRegressor": "estimators.regressor",
    "MultiresFeatures": "estimators.features",
    "check_pywavelets": "diagnose.pywavelets",
    "compare": "diagnose.compare",
    "filter_report": "diagnose.filters",
    "compare_memories": "memories.compare",
    "make_memory": "memories.registry",
    "TreeMemory": "memories.tree_memory",
    "LastSamples": "memories.window",
    "ExponentialAverages": "memories.averages",
    "LegTMemory": "memories.legt",
    "LegSMemory": "memories.legs",
    "FourierMemory": "memories.fourier",
    "example_signals": "memories.examples",
    "read_signal": "base.signals",
}
__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first used (PEP 562): this keeps the import light."""
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
