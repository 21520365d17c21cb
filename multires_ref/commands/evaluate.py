"""Score a run, or a checkpoint, on a split of its task: the score, and a table by class.

multires-ref evaluate runs/digits-...                    the test split
multires-ref evaluate runs/digits-... --split val
multires-ref evaluate runs/digits-.../last.safetensors   the last epoch rather than the best
multires-ref evaluate model.pth --task scifar10          a checkpoint that does not say its task

Writes evaluate-SPLIT.json beside the checkpoint, and a picture: the confusion table of classes,
or predicted numbers against true ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..tasks.task import Task

SPLITS = ("train", "val", "test")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    from ..tasks import TASKS
    from ..training.device import DEVICES

    tasks = ", ".join(TASKS)
    parser.add_argument("run", help="a run folder, a .safetensors file, or the authors' .pth (needs PyTorch)")
    parser.add_argument(
        "--task", choices=TASKS, metavar="TASK", help=f"whose examples are scored (default: the run's own): {tasks}"
    )
    parser.add_argument("--split", choices=SPLITS, default="test", help="which part of the examples (default: test)")
    parser.add_argument("--batch-size", type=int, default=256, help="examples at a time; changes the speed only (default: 256)")
    parser.add_argument("--data-dir", metavar="DIR", help="where the task's data are (default: where the run found them)")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where the arrays live (default: cpu)")


def run(args: argparse.Namespace) -> int:
    """Score, print, write."""
    from ..authors.load import load_model
    from ..tasks import get_task, task_of_run
    from ..tasks.task import LoadOptions
    from ..training.checkpoint import about_run, checkpoint_file
    from ..training.data import cast, check_splits
    from ..training.device import check_device, model_to_device
    from ..training.evaluate import evaluate_with_outputs
    from ..training.step import NonFiniteLoss

    check_device(args.device)
    model, about, where = model_to_device(load_model(args.run), args.device), about_run(args.run), checkpoint_file(args.run)
    if args.task is None and "task" not in about:
        raise ValueError(
            f"{where} does not say which task it was trained on, so there is no split to score it on: give --task"
            + (f", or score it on a file: multires-ref predict {args.run} FILE --out CSV" if "estimator" in about else "")
        )
    task = get_task(args.task) if args.task else task_of_run(about, args.data_dir)
    options = LoadOptions.of_run(about, args.data_dir)
    splits = task.load(options)
    check_splits(model.config, splits, task.objective)
    dtype = str(model.params["decoder"]["weight"].dtype)
    split, objective = cast(splits[args.split], dtype), task.scored_by(model.config)
    try:
        scores, outputs = evaluate_with_outputs(model, split, objective, args.batch_size)
    except NonFiniteLoss as error:
        raise ValueError(f"{where}: {error}") from None
    report = {"checkpoint": where.name, "split": args.split, "examples": len(split)} | scores
    names, targets = task.label_names(options), split.y
    if task.objective == "regression":
        report["standardised"] = bool(task.target_scale)
        outputs, targets = in_units(where, outputs, targets)
        draw_predicted(where.parent, args.split, task, outputs, targets)
    report |= details(task.objective, names, outputs, targets)
    write(where.parent, args.split, report, task)
    print("\n".join([f"{task.title}, {args.split} split, {len(split)} examples", *lines(report, objective.score_name)]))
    return 0


def details(objective: str, labels: tuple[str, ...], outputs: np.ndarray | None, targets: np.ndarray) -> dict[str, Any]:
    """The confusion table, the areas under the ROC curves and the labels that have none, mean absolute errors, or all steps."""
    from ..training.objectives import absent_classes, class_aurocs, confusion_table

    if outputs is None:
        return {}
    names = list(labels) or [str(c) for c in range(outputs.shape[1])]
    if objective == "classification":
        return {"labels": names, "confusion": confusion_table(outputs, targets).tolist()}
    if objective == "tagging":
        return {"accuracy_of_all_steps": float((outputs.argmax(axis=1) == targets).mean())}
    if objective == "regression":
        return {"mae": dict(zip(names, np.abs(outputs - targets).mean(axis=0, dtype=float).tolist(), strict=True))}
    areas = zip(names, class_aurocs(outputs, targets), strict=True)
    found = {name: float(area) for name, area in areas if not np.isnan(area)}
    return {"auroc": found, "left_out": [names[c] for c in absent_classes(targets)]}


def write(folder: Path, split: str, report: dict[str, Any], task: Task) -> None:
    """evaluate-SPLIT.json and confusion-SPLIT.png."""
    from ..base.files import write_json

    write_json(folder / f"evaluate-{split}.json", report)
    if "confusion" in report:
        from ..plots.style import save
        from ..plots.training import plot_confusion

        title = f"{task.name}, {split} split: accuracy {report['accuracy']:.1%}"
        save(plot_confusion(np.array(report["confusion"]), report["labels"], title), folder / f"confusion-{split}.png", dpi=110)


def in_units(where: Path, *arrays: np.ndarray) -> list[np.ndarray]:
    """Outputs and targets [N, T] in the unit of the data, where the checkpoint keeps their mean and standard deviation."""
    from ..estimators.describe import target_units

    mean, scale = target_units(where)
    return [array * scale + mean for array in arrays]


def draw_predicted(folder: Path, split: str, task: Task, outputs: np.ndarray, targets: np.ndarray) -> None:
    """predicted-SPLIT.png."""
    from ..plots.predicted import plot_all_predicted
    from ..plots.style import save

    names = list(task.labels) or [f"target {t + 1}" for t in range(targets.shape[1])]
    figure = plot_all_predicted(outputs, targets, names, f"{task.name}, {split} split")
    save(figure, folder / f"predicted-{split}.png", dpi=110)


def lines(report: dict[str, Any], score_name: str) -> list[str]:
    """What is printed: the score and the loss, then the table."""
    score = f"{report[score_name]:.4f}" if score_name != "accuracy" else f"{report[score_name]:.1%}".replace("%", " %")
    name = {"r2": "R^2"}.get(score_name, score_name.replace("_", " "))
    text = [f"{name} {score}, loss {loss_text(report)}"]
    if "confusion" in report:
        text += confusion_lines(report["confusion"], report["labels"])
    if "accuracy_of_all_steps" in report:
        text += [f"  of all steps, those without a tag too: accuracy {report['accuracy_of_all_steps']:.4%}".replace("%", " %")]
    if "mae" in report:
        text += [f"  {name:<12} mean absolute error {error:.4g}" for name, error in report["mae"].items()]
    if "auroc" in report:
        text += [f"  {name:<12} {area:.4f}" for name, area in report["auroc"].items()]
        text += [f"left out, all their labels being equal: {', '.join(report['left_out'])}"] if report["left_out"] else []
    return text


def loss_text(report: dict[str, Any]) -> str:
    """The loss: four decimals, or three digits where it is the result itself, which may be small.

    Examples
    --------
    >>> loss_text({"loss": 0.25}), loss_text({"loss": 5.8e-5, "mae": {"sum": 0.006}})
    ('0.2500', '5.8e-05, the mean squared error')
    """
    if "mae" in report:
        of_what = " of the standardised targets" if report.get("standardised") else ""
        return f"{report['loss']:.3g}, the mean squared error{of_what}"
    return f"{report['loss']:.3g}" if "accuracy_of_all_steps" in report else f"{report['loss']:.4f}"


def confusion_lines(table: list[list[int]], labels: list[str]) -> list[str]:
    """The confusion table as text: one row for each true class, one column for each predicted one, a dot for 0.

    Examples
    --------
    >>> print("\\n".join(confusion_lines([[9, 1], [0, 8]], ["cat", "dog"])))
    true \\ said  cat  dog  right
            cat    9    1   90.0 %
            dog    .    8  100.0 %
    """
    width = max(4, *(len(name) + 1 for name in labels), *(len(str(n)) + 1 for row in table for n in row))
    head = max(11, *(len(name) for name in labels))
    rows = ["true \\ said".rjust(head) + "".join(name.rjust(width + 1) for name in labels) + "  right"]
    for c, (name, row) in enumerate(zip(labels, table, strict=True)):
        cells = "".join((str(n) if n else ".").rjust(width + 1) for n in row)
        right = f"{100 * row[c] / sum(row):7.1f} %" if sum(row) else "      -"
        rows.append(name.rjust(head) + cells + right)
    return rows
