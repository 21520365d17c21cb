"""One function a figure: it takes the data and an Axes (or makes its own), draws, and returns the Axes.

    style      colours, sizes, a figure without pyplot's global state, saving bit by bit the same
    levels     a signal and its coefficients over time
    tree       the tree and the memory that TreeSelect outlines in it; receptive field and lags
    filters    a pair of filters, in time and in frequency
    responses  what each scale answers to an impulse, and to a tone
    memory     the memory of a signal as a picture, and what can be recovered of the past from it
    kernel     the one long kernel that a layer equals
    learned    what training made of the filters, and of the weight of each scale
    decision   an output, or a decision, split by scale and lag
    scales     how much each scale weighs in a layer, before training and after
    signal     the signal that a model's pictures are drawn for
    model      all of these for a model that somebody trained

`analysis` and `attribution` compute what `memory` and `decision` draw; `gallery` and `stored` put the package's own figures
together. Nothing here is imported by `import multires_ref`.
"""

from importlib import import_module

PUBLIC = {
    "show": "style",
    "save": "style",
    "new_figure": "style",
    "plot_levels": "levels",
    "plot_tree": "tree",
    "plot_lags": "tree",
    "plot_taps": "filters",
    "plot_gain": "filters",
    "plot_impulse_responses": "responses",
    "plot_frequency_responses": "responses",
    "plot_memory": "memory",
    "plot_signal": "memory",
    "plot_recovered": "memory",
    "plot_forgetting": "memory",
    "plot_kernel": "kernel",
    "plot_learned_filters": "learned",
    "plot_scale_gains": "learned",
    "plot_parts": "decision",
    "plot_image": "decision",
    "plot_layer_responses": "model",
    "figures_of_model": "model",
    "memory_matrix": "analysis",
    "last_samples_matrix": "analysis",
    "past": "analysis",
    "recover_past": "analysis",
    "forgetting_curve": "analysis",
    "measured_forgetting": "analysis",
    "split_output": "analysis",
    "decision_parts": "attribution",
    "ecg": "gallery",
}
__all__ = [*PUBLIC]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first used, as the package itself does."""
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
