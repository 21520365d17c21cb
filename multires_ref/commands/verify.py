"""Check numbers against PyTorch, stored references, PyWavelets or finite differences.

multires-ref verify pytorch                        a random network, layer by layer
multires-ref verify pytorch CHECKPOINT             a run folder, our .safetensors, the authors' .pth
multires-ref verify pytorch --reference FILE.npz   stored outputs and gradients; needs no PyTorch
multires-ref verify pywavelets db4 sym5            the nine relations (all: every discrete wavelet)
multires-ref verify gradients --op gelu            finite differences and PyTorch's gradients
multires-ref verify errors                         studies of the rounding error (no verdict)

The exit status is 0 if everything holds and 1 if not.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.checks import FLOATS, AssumptionWarning, check_choice, check_int
from ..network import Model, NetworkConfig

if TYPE_CHECKING:
    from ..diagnose.pywavelets import Relation
    from ..diagnose.report import Report

RANDOM_NETWORK = NetworkConfig(d_input=3, d_output=10, d_model=16, n_layers=3, max_length=256)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    kinds = parser.add_subparsers(dest="against", required=True, metavar="AGAINST", help="what to check against")
    pytorch = kinds.add_parser("pytorch", help="layer by layer against PyTorch, or against stored numbers")
    pytorch.add_argument("checkpoint", nargs="?", help="run folder, .safetensors or .pth; nothing for a random network")
    pytorch.add_argument(
        "--reference", metavar="FILE.npz", help="x, eval_output, train_output, target, loss, grad/<key>, init/<key>"
    )
    pytorch.add_argument("--dtype", choices=[*FLOATS, "both"], default="both", help="precision (default: both)")
    pytorch.add_argument("--depth", type=int, help="levels of a uniform tree (the authors' checkpoints do not hold it)")
    pytorch.add_argument(
        "--tree-select", choices=["fading", "uniform"], help="the tree (the authors' checkpoints do not hold it)"
    )
    pytorch.add_argument("--max-length", type=int, help="the padded length for which the checkpoint's network was made")
    pytorch.add_argument("--length", type=int, help="length of the random input (default: max_length, at most 1024)")
    pytorch.add_argument("--batch-size", type=int, help="batch size of the random input (default: 4)")
    pytorch.add_argument("--seed", type=int, help="seed of the random network and input (default: 0)")
    pytorch.add_argument("--out", metavar="DIR", help="write report.json and error_by_layer.png there")
    pywavelets = kinds.add_parser("pywavelets", help="the relations between the causal tree and PyWavelets' transforms")
    pywavelets.add_argument(
        "wavelet", nargs="*", default=["haar", "db4", "sym5", "bior2.2"], help="names, or all (default: haar db4 sym5 bior2.2)"
    )
    pywavelets.add_argument("--level", type=int, default=3, help="levels of the transforms (default: 3)")
    gradients = kinds.add_parser("gradients", help="every operation's gradient, by finite differences and by PyTorch")
    gradients.add_argument("--op", metavar="NAME", help="one operation (default: all)")
    errors = kinds.add_parser("errors", help="studies of the rounding error")
    errors.add_argument("--longest", type=int, default=4096, help="time steps of the longest sequence (default: 4096)")
    errors.add_argument("--out", metavar="DIR", help="write error_studies.json and error_studies.png there")


def run(args: argparse.Namespace) -> int:
    """Run one verification."""
    runs = {"pytorch": run_pytorch, "pywavelets": run_pywavelets, "gradients": run_gradients, "errors": run_errors}
    return runs[args.against](args)


def run_pytorch(args: argparse.Namespace) -> int:
    """Compare with PyTorch layer by layer, or with the numbers of a reference file."""
    from ..base.tensors import read_npz
    from ..diagnose.verify import verify_pytorch

    if args.reference:
        refuse_with_reference(args)
    rng = np.random.default_rng(0 if args.seed is None else check_int("seed", args.seed, 0))
    arrays = read_npz(args.reference) if args.reference else None  # nothing in it can run code
    model, assumed = the_model(args, arrays, rng)
    dtypes = FLOATS if args.dtype == "both" else (args.dtype,)
    if arrays is not None:
        report = against_reference(model, arrays, dtypes)
    else:
        report = verify_pytorch(model, *an_input(args, model, rng), dtypes=dtypes, rng=rng)
    report = replace(report, assumed=assumed)
    print(report)
    if arrays is not None and not report.passed:
        print_other_trees(model, arrays)
    if args.out:
        write_report(report, Path(args.out))
    return 0 if report.passed else 1


def the_model(
    args: argparse.Namespace, arrays: dict[str, np.ndarray] | None, rng: np.random.Generator
) -> tuple[Model, list[str]]:
    """The checkpoint's model, the reference's own (`init/`) or a random one, and the settings that had to be assumed.

    Prints how each setting of an authors' checkpoint was found.
    """
    from ..authors.derive import derive, describe, from_authors
    from ..authors.load import assumptions, derived_settings, load_model

    given = tree_settings(args)
    init = {name.removeprefix("init/"): a for name, a in (arrays or {}).items() if name.startswith("init/")}
    if args.checkpoint:
        settings = derived_settings(args.checkpoint, **given)
        with warnings.catch_warnings():  # every assumption is printed beside the verdict
            warnings.simplefilter("ignore", AssumptionWarning)
            model = load_model(args.checkpoint, **given)
    elif init:
        settings, model = derive(init, **given), Model(*from_authors(init, **given))
    elif arrays is not None:
        raise ValueError("checkpoint must be given: the reference holds no parameters (init/<key>)")
    else:
        settings, model = None, Model.init(random_network(args), rng, "float64")
    if settings:
        print(describe(settings), end="\n\n")
    return model, list(assumptions(settings))


def tree_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of the tree by name; None for those that are not given."""
    return {"depth": args.depth, "tree_select": args.tree_select, "max_length": args.max_length}


def random_network(args: argparse.Namespace) -> NetworkConfig:
    """The network that is verified if no file is given, with the tree that is asked for.

    The memory of a uniform tree has 2 (J + 1) rows.
    """
    config = replace(RANDOM_NETWORK, memory_size=64, tree_select="uniform") if args.tree_select == "uniform" else RANDOM_NETWORK
    config = replace(config, **{name: value for name, value in tree_settings(args).items() if value is not None})
    return replace(config, memory_size=2 * (config.J + 1)) if config.tree_select == "uniform" else config


def refuse_with_reference(args: argparse.Namespace) -> None:
    """Refuse settings of a random input, which would have no effect: the reference holds the input."""
    given = [name for name in ("length", "batch_size", "seed") if getattr(args, name) is not None]
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise ValueError(f"{flags}: not to be given with --reference, which holds the input")


def print_other_trees(model: Model, arrays: dict[str, np.ndarray]) -> None:
    """Print which other trees give the stored numbers with the same weights: the assumed tree may be wrong, not the network."""
    from ..diagnose.usual_mistakes import other_trees
    from ..diagnose.verify import parameters_are_float32, verify_reference

    rounded = parameters_are_float32(model)
    for other in other_trees(model.config, arrays["x"].shape[-1]):
        select, J = other.switches["tree"]
        size = model.config.m if select == "uniform" else None
        config = replace(model.config, tree_select=select, depth=J, memory_size=size)
        if verify_reference(Model(config, model.params, model.state), arrays, "float64", rounded).passed:
            print(f"with a {other.name} everything agrees: pass --tree-select {select} --depth {J}")


def an_input(args: argparse.Namespace, model: Model, rng: np.random.Generator) -> tuple[Any, Any]:
    """A random input that fits the model."""
    from ..diagnose.record import random_input

    length = min(model.config.max_length, 1024) if args.length is None else check_int("length", args.length, 1)
    return random_input(model, rng, 4 if args.batch_size is None else check_int("batch-size", args.batch_size, 1), length)


def against_reference(model: Model, arrays: dict[str, np.ndarray], dtypes: tuple[str, ...]) -> Report:
    """Compare with the stored numbers, in each dtype."""
    from ..diagnose.report import Report
    from ..diagnose.verify import parameters_are_float32, verify_reference

    reports = [verify_reference(model, arrays, dtype, parameters_are_float32(model)) for dtype in sorted(dtypes, reverse=True)]
    return Report(reports[0].title, [section for report in reports for section in report.sections])


def write_report(report: Report, folder: Path) -> None:
    """report.json and the chart."""
    from ..base.files import write_json
    from ..plots.errors import plot_error_by_layer
    from ..plots.style import save

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "report.json", report.to_dict())
    save(plot_error_by_layer(report), folder / "error_by_layer.png")
    print(f"wrote {folder / 'report.json'} and {folder / 'error_by_layer.png'}")


def run_pywavelets(args: argparse.Namespace) -> int:
    """Check the relations for the wavelets that are asked for, and print their errors."""
    from ..base.layer_checks import wavelet_names
    from ..diagnose.pywavelets import check_pywavelets, format_relations

    names = wavelet_names() if args.wavelet == ["all"] else args.wavelet
    for name in names:
        check_choice("wavelet", name, wavelet_names())
    tables = {name: check_pywavelets(name, level=args.level) for name in names}
    failed = [name for name, rows in tables.items() if not all(row.passed for row in rows)]
    if len(names) <= 4:
        print("\n\n".join(format_relations(rows, name) for name, rows in tables.items()))
    else:
        print(worst_relations(tables))
    print(f"\n{len(names) - len(failed)} of {len(names)} wavelets hold all relations" + (f"; not: {failed}" if failed else ""))
    return 1 if failed else 0


def worst_relations(tables: dict[str, list[Relation]]) -> str:
    """For each relation: the largest error over all wavelets, the wavelet that has it, and how many it applies to."""
    from ..base.tables import text_table

    lines = []
    for rows in zip(*tables.values(), strict=True):
        held = [(row.error, name, row) for name, row in zip(tables, rows, strict=True) if row.error is not None]
        error, name, row = max(held, key=lambda item: item[0])
        verdict = "ok" if all(r.passed for r in rows) else "FAIL"
        lines.append([f"{row.name:<2}  {row.meaning}", f"{error:.1e}", name, f"{len(held)}", f"{row.tolerance:.0e}", verdict])
    return text_table(["relation", "largest error", "of", "wavelets", "tolerance", "verdict"], lines)


def run_gradients(args: argparse.Namespace) -> int:
    """Check the operations' gradients, and print their errors."""
    from ..diagnose.gradients import check_gradients, format_gradients

    rows = check_gradients(args.op)
    print(format_gradients(rows))
    return 0 if all(row.passed for row in rows) else 1


def run_errors(args: argparse.Namespace) -> int:
    """The three error studies, as tables and as a picture."""
    from ..base.files import write_json
    from ..diagnose.error_study import error_by_depth, error_by_length, error_by_peak, format_study
    from ..plots.errors import plot_error_studies
    from ..plots.style import save

    longest = check_int("longest", args.longest, 16)
    J = longest.bit_length() - 1
    studies = {
        "depth": error_by_depth(range(1, J + 1), longest),
        "length": error_by_length([2**n for n in range(min(6, J - 1), J + 1)]),
        "peak": error_by_peak(length=longest, depth=J),
    }
    for name, rows in studies.items():
        print(f"relative error by {name}" if name != "peak" else "relative error before a spike")
        print(format_study(rows), end="\n\n")
    if args.out:
        folder = Path(args.out)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "error_studies.json", {name: [row._asdict() for row in rows] for name, rows in studies.items()})
        path = save(plot_error_studies(*studies.values())[0].figure, folder / "error_studies.png")
        print(f"wrote {folder / 'error_studies.json'} and {path}")
    return 0
