"""Pictures: one function for each. It takes data and an Axes (without one it makes its own), draws, and returns the Axes.

What draws:

    tree       the tree and the memory that TreeSelect outlines in it; receptive fields and lags
    filters    a pair of filters, over lag and over frequency; what training made of a layer's filters
    responses  the response of each scale, over lag and over frequency; the one long kernel that a layer equals
    memory     a signal, its coefficients and the memory of it over time; what the memory still holds of the past
    memories   memories of other kinds beside the tree's: forgetting, error by lag, cost
    nearest    the filters of a trained network among the wavelets
    scales     how much each scale weighs: in a layer, and lag by lag in one output or decision
    sequences  sequences as images, signals or tokens
    training   curves and scores of runs, confusion tables
    errors     errors by layer, and against depth, length or the height of a spike
    speed      measured times
    live       a live signal, denoised, beside the offline result
    block      one block of the network: steps, equations, parameters
    model      all of it for a model that somebody trained; `signal` holds the signal that it is drawn for

What computes the numbers that are drawn: `memories` (matrices of memories), `analysis` (layers) and `attribution` (which scales
and lags a decision rests on). `gallery` and `stored` put the package's own figures together; `style` holds colours and sizes,
makes figures without pyplot's global state, and saves the same figure as the same bytes. `import multires_ref` imports nothing
of this.
"""

from importlib import import_module

MODULES = {
    "style": ("show", "save", "new_figure", "new_axes"),
    "tree": ("plot_tree", "plot_lags", "plot_tree_backwards"),
    "filters": ("plot_taps", "plot_gain", "plot_learned_filters", "plot_filter_norms", "two_gains"),
    "responses": ("plot_impulse_responses", "plot_frequency_responses", "plot_kernel"),
    "memory": ("plot_signal", "plot_levels", "plot_memory", "plot_recovered", "plot_forgetting"),
    "memories": ("plot_forgetting_curves", "plot_error_by_lag", "plot_error_by_cost"),
    "nearest": ("plot_nearest",),
    "scales": ("plot_scales", "plot_scale_gains", "plot_parts", "shares_by_scale", "scale_shares"),
    "sequences": ("plot_example", "plot_image", "plot_images", "plot_samples", "plot_reading", "plot_ages", "plot_beliefs"),
    "training": ("plot_curves", "plot_losses", "plot_scores", "plot_absolute_errors", "plot_runs", "plot_confusion"),
    "predicted": ("plot_predicted", "plot_all_predicted"),
    "errors": ("plot_error_by_layer", "plot_layer_errors", "plot_error_study", "plot_error_studies"),
    "speed": ("plot_times", "plot_operator", "plot_steps", "plot_peaks", "plot_scaling", "plot_busy", "plot_bench", "plot_costs"),
    "mpi": ("plot_mpi", "plot_efficiency"),
    "peers": ("plot_peers", "plot_peers_by_kind"),
    "signal": ("plot_channels",),
    "live": ("plot_live",),
    "block": ("plot_block",),
    "model": ("plot_layer_responses", "figures_of_model", "initial_layers", "layers"),
    "analysis": ("split_output", "short_name", "row_gains"),
    "attribution": ("decision_parts",),
    "gallery": ("ecg",),
}
PUBLIC = {name: module for module, names in MODULES.items() for name in names}
__all__ = [*PUBLIC]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first used, as the package itself does."""
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
