"""Our numbers against PyTorch's, layer by layer, where PyTorch is installed; or against numbers that somebody stored.

The same parameters and the same input go through the NumPy model and through `torch_model.MultiresNet`. Every layer's output,
every layer's gradient and every parameter's gradient are compared. In float32 both are also compared with a float64 run of the
same float32 numbers, which is the truth that both of them round. The tolerances are in this file alone.
"""

from __future__ import annotations

import difflib
from dataclasses import replace

import numpy as np

from ..authors.convert import authors_name, params_to_authors, state_to_authors
from ..authors.torch_file import as_numpy
from ..base.agreement import measure
from ..base.checks import FLOATS, check_choice
from ..base.optional import import_torch
from ..base.pytrees import flatten
from ..network import Model, NetworkConfig, apply, parameter_shapes
from ..network.norms import NORMS
from ..ops.tracing import value_and_gradients
from ..training.objectives import get_objective
from .matching import authors_layers
from .modules import hooks_on
from .record import Record, cast, cast_model, record_model
from .report import Report, Row, Section, cancellation_noise, nearer, nearer_notes

# The largest relative error that passes, of a layer's output and of a gradient.
TOLERANCES = {"float64": (1e-12, 1e-11), "float32": (1e-5, 1e-4)}
# Against float64 numbers when the checkpoint's parameters were rounded to float32, each by up to 2**-24 = 6e-8 of itself.
ROUNDED_PARAMETERS = (1e-6, 1e-5)

COMPARED = ("x", "lengths", "eval_output", "train_output", "target", "loss")  # what a reference may hold
NOT_COMPARED = ("traj_loss", "traj_lr")  # of a training run: allowed, and not looked at
GROUPS = ("grad/", "init/", "final/")


def verify_pytorch(
    model: Model,
    x: np.ndarray,
    lengths: np.ndarray | None = None,
    *,
    dtypes: tuple[str, ...] = FLOATS,
    rng: np.random.Generator | None = None,
) -> Report:
    """Compare `model` with its PyTorch version, layer by layer, forward and gradient.

    Parameters
    ----------
    model : Model
    x, lengths
        An input of the model (any float dtype).
    dtypes : of "float32", "float64"
    rng : numpy Generator
        Draws the gradient that arrives at the output; seeded with 0 by default.

    Returns
    -------
    report : Report
        One section a dtype, and for BatchNorm another in training mode. `report.passed`, ``print(report)``, `report.to_dict()`.

    Raises
    ------
    ImportError
        Without PyTorch.
    """
    import_torch("verifying against PyTorch")
    rng = np.random.default_rng(0) if rng is None else rng
    model = Model(replace(model.config, dropout=0.0), model.params, model.state)
    modes = ("evaluation", "training") if NORMS[model.config.norm].statistics else ("evaluation",)
    shape = record_model(model, cast(x, str(model.params["decoder"]["weight"].dtype)), lengths).output.shape
    g = rng.standard_normal(shape)
    sections = [
        verify_section(cast_model(model, check_choice("dtype", dtype, FLOATS)), x, lengths, g, mode)
        for dtype in sorted(dtypes, reverse=True)
        for mode in modes
    ]
    return Report(f"NumPy against PyTorch: {describe_run(model, x)}", sections)


def describe_run(model: Model, x: np.ndarray) -> str:
    """The network and its input in one line."""
    c = model.config
    tree = f"{c.tree_select} tree of depth {c.J}, K = {c.kernel_size}, m = {c.m}"
    return f"{c.kind}, {c.n_layers} blocks of {c.d_model} channels, {tree}, {c.norm} norm, input {list(x.shape)}"


def verify_section(model: Model, x: np.ndarray, lengths: np.ndarray | None, g: np.ndarray, mode: str) -> Section:
    """One dtype (the model's) in one mode."""
    dtype = str(model.params["decoder"]["weight"].dtype)
    x, g, training = cast(x, dtype), cast(g, dtype), mode == "training"
    records = [record_model(model, x, lengths, g, training), record_pytorch(model, x, lengths, g, training)]
    if dtype == "float32":  # and the truth that both of them round
        wide = cast_model(model, "float64"), cast(x, "float64"), lengths, cast(g, "float64")
        records.append(record_model(*wide, training))
    forward, backward = TOLERANCES[dtype]
    rows = layer_rows(records, forward, backward) + parameter_rows(model.config, records, backward)
    rows += state_rows(*records[:2], forward) if training else []
    notes = [f"tolerances (relative): forward {forward:.0e}, gradient {backward:.0e}"]
    if dtype == "float32":
        off = [measure(record.output, records[2].output, 1.0).relative for record in records[:2]]
        notes += nearer_notes(rows, (off[0], off[1]))
    return Section(f"{dtype}, {mode} mode", dtype, rows, notes)


def record_pytorch(model: Model, x: np.ndarray, lengths: np.ndarray | None, g: np.ndarray, training: bool) -> Record:
    """The same record as `record_model`, by PyTorch; parameters and running statistics by the authors' names."""
    from ..authors.torch_model import to_torch

    torch, module = import_torch("verifying against PyTorch"), to_torch(model).train(training)
    layers = {key: ours for key, ours in authors_layers(model.config).items() if not ours.endswith(".input")}
    inputs = [None if a is None else torch.from_numpy(np.ascontiguousarray(a)) for a in (x, lengths)]
    with hooks_on(module, layers) as shown:
        out = module(*inputs)
        out.backward(torch.from_numpy(g))
    values, gradients = (
        {name: np.moveaxis(a, -1, 1) if channels_last(name, model.config) else a for name, a in arrays.items()}
        for arrays in shown
    )
    parameters = {name: as_numpy(p.grad) for name, p in module.named_parameters()}
    return Record(as_numpy(out), values, gradients, parameters, {name: as_numpy(b) for name, b in module.named_buffers()})


def channels_last(name: str, config: NetworkConfig) -> bool:
    """Whether this layer of `MultiresNet` gives [B, L, D]: LayerNorm and Embedding do, all others [B, D, L] (or [B, D]).

    Examples
    --------
    >>> channels_last("blocks.0.norm", NetworkConfig(3, 10, 8, 1)), channels_last("encoder", NetworkConfig(3, 10, 8, 1))
    (True, False)
    """
    return (name.endswith(".norm") and NORMS[config.norm].per_step) or (name == "encoder" and config.encoder == "embedding")


def layer_rows(records: list[Record], forward: float, backward: float) -> list[Row]:
    """A row for each layer: its output, and the gradient that arrives there. `records`: ours, theirs and, if any, the truth."""
    rows = []
    for name in records[0].values:
        values, gradients = [r.values[name] for r in records], [r.gradients[name] for r in records]
        errors = measure(*values[:2], forward), measure(*gradients[:2], backward)
        rows.append(Row(name, *errors, *((nearer(*values), nearer(*gradients)) if len(records) == 3 else ())))
    return rows


def parameter_rows(config: NetworkConfig, records: list[Record], backward: float) -> list[Row]:
    """A row for each parameter, by the authors' names: its gradient, relative to its own size."""
    ours, theirs, *truth = records
    named, true = params_to_authors(config, ours.parameters), [params_to_authors(config, r.parameters) for r in truth]
    noise, rows = bias_noise(config, ours.gradients), []
    for name, gradient in named.items():
        error = measure(gradient, theirs.parameters[name], backward, noise.get(name, 0.0))
        who = nearer(gradient, theirs.parameters[name], true[0][name]) if true else ""
        rows.append(Row(name, gradient=error, nearer_gradient=who))
    return rows


def bias_noise(config: NetworkConfig, gradients: dict[str, np.ndarray]) -> dict[str, float]:
    """For every bias, by the authors' names, what rounding may leave of a gradient that is exactly 0.

    `gradients` are those that arrive at the layers, by our names.
    """
    ours = [name for name in parameter_shapes(config) if name.endswith(".bias")]
    return {authors_name(name, config): cancellation_noise(gradients[name.removesuffix(".bias")]) for name in ours}


def state_rows(ours: Record, theirs: Record, forward: float) -> list[Row]:
    """A row for each running statistic of BatchNorm, after one batch."""
    named = state_to_authors(ours.state)
    return [Row(name, measure(named[name], theirs.state[name], forward)) for name in named if "running" in name]


def verify_reference(model: Model, arrays: dict[str, np.ndarray], dtype: str = "float64", rounded: bool = False) -> Report:
    """Compare `model` with stored numbers; PyTorch is not needed.

    Parameters
    ----------
    model : Model
    arrays : dict
        `x` (and `lengths`), and at least one of `eval_output` and `train_output`, or `target` with `loss` or `grad/<authors'
        key>`. The loss and its gradients are those of training mode: cross-entropy if the targets are whole numbers, binary
        cross-entropy if they are not, and the nats of the mixture for an autoregressive network.
    dtype : "float32" or "float64", in which our numbers are computed
    rounded : bool
        Whether the parameters were rounded to float32: the tolerances of float64 are then `ROUNDED_PARAMETERS`.

    Raises
    ------
    ValueError
        If `x` or everything to compare with is missing, or shapes do not fit.
    """
    check_reference(arrays)
    model, arrays = cast_model(model, dtype), {name: cast(array, dtype) for name, array in arrays.items()}
    forward, backward = ROUNDED_PARAMETERS if rounded and dtype == "float64" else TOLERANCES[dtype]
    x, lengths = arrays["x"], arrays.get("lengths")
    rows = []
    if "eval_output" in arrays:
        rows.append(Row("eval_output", measure(model(x, lengths), arrays["eval_output"], forward)))
    if "train_output" in arrays:
        out, _ = apply(model.config, model.params, model.state, x, lengths, training=True)
        rows.append(Row("train_output", measure(out, arrays["train_output"], forward)))
    if "target" in arrays:
        rows += loss_rows(model, arrays, forward, backward)
    notes = [f"tolerances (relative): forward {forward:.0e}, gradient {backward:.0e}"]
    if rounded and dtype == "float64":
        notes.append("the checkpoint's parameters were rounded to float32, by up to 2**-24 = 6e-8 of each: more cannot be asked")
    return Report(
        f"NumPy against stored numbers: {describe_run(model, x)}", [Section(f"{dtype}, stored numbers", dtype, rows, notes)]
    )


def check_reference(arrays: dict[str, np.ndarray]) -> None:
    """Raise a ValueError unless there is an input and something to compare with."""
    held = f"it holds {sorted(arrays)[:12]}"
    unknown = [name for name in arrays if name not in COMPARED + NOT_COMPARED and not name.startswith(GROUPS)]
    if unknown:
        near = [f"{name!r}{near_one(name)}" for name in sorted(unknown)]
        raise ValueError(f"the reference holds {', '.join(near)}, which is not known; known are {', '.join(COMPARED + GROUPS)}")
    if "x" not in arrays:
        raise ValueError(f"the reference must hold 'x'; {held}")
    of_loss = [name for name in arrays if name == "loss" or name.startswith("grad/")]
    if of_loss and "target" not in arrays:
        raise ValueError(f"the reference must hold 'target', without which {of_loss[0]!r} cannot be compared; {held}")
    if not of_loss and not {"eval_output", "train_output"} & set(arrays):
        raise ValueError(f"the reference must hold 'eval_output', 'train_output' or 'loss', to compare with; {held}")


def near_one(name: str) -> str:
    """A question if there is a known name like this one."""
    near = difflib.get_close_matches(name, [*COMPARED, *GROUPS], n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def loss_rows(model: Model, arrays: dict[str, np.ndarray], forward: float, backward: float) -> list[Row]:
    """The loss in training mode and its gradients, as far as they are stored."""
    x, lengths, target = arrays["x"], arrays.get("lengths"), arrays["target"]
    out, _ = apply(model.config, model.params, model.state, x, lengths, training=True)
    loss = get_objective(objective_of(model.config, target), model.config).loss
    value, g = value_and_gradients(lambda out: loss(out, target), out)
    record = record_model(model, x, lengths, g, training=True)
    rows = [Row("loss", measure(value, arrays["loss"], forward))] if "loss" in arrays else []
    stored = {name.removeprefix("grad/"): array for name, array in arrays.items() if name.startswith("grad/")}
    ours = params_to_authors(model.config, record.parameters) if stored else {}
    noise = bias_noise(model.config, record.gradients)
    unknown = sorted(set(stored) - set(ours))
    if unknown:
        raise ValueError(f"the reference holds gradients of parameters that the model does not have: {unknown}")
    return rows + [
        Row(name, gradient=measure(ours[name], array, backward, noise.get(name, 0.0))) for name, array in stored.items()
    ]


def objective_of(config: NetworkConfig, target: np.ndarray) -> str:
    """The objective that fits the network and its target."""
    if config.kind != "classifier":
        return "density" if config.kind == "autoregressive" else "tagging"
    return "classification" if target.dtype.kind in "iu" else "multilabel"


def parameters_are_float32(model: Model) -> bool:
    """Whether every parameter is a float32 number (whatever dtype it is kept in)."""
    return all(np.array_equal(a, a.astype(np.float32).astype(a.dtype)) for a in flatten(model.params).values())
