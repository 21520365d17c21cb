"""How training went: the curves of a run, the scores of several runs, and which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .style import COLOURS, new_axes, new_figure, styled

SPELLED = {"r2": "$R^2$"}  # scores whose names are no words


@styled
def plot_curves(lines: Sequence[dict[str, Any]], score_name: str, title: str = "") -> Figure:
    """Loss (training and validation) and validation score against epochs, from the lines of metrics.jsonl.

    For regression the mean absolute error stands beside them.

    Examples
    --------
    >>> lines = [{"epoch": 1, "train_loss": 2.0, "val_loss": 2.1, "val_accuracy": 0.3},
    ...          {"epoch": 2, "train_loss": 1.0, "val_loss": 1.2, "val_accuracy": 0.6}]
    >>> [ax.get_ylabel() for ax in plot_curves(lines, "accuracy").axes]
    ['loss', 'validation accuracy']
    """
    errors = all("val_mae" in line for line in lines)
    figure, axes = new_figure(12 if errors else 9, 3.6, columns=3 if errors else 2)
    plot_losses(lines, axes[0, 0])
    plot_scores(lines, score_name, axes[0, 1])
    if errors:
        plot_absolute_errors(lines, score_name, axes[0, 2])
    figure.suptitle(title, x=0.01, ha="left")
    return figure


@styled
def plot_losses(lines: Sequence[dict[str, Any]], ax: Axes | None = None) -> Axes:
    """Training and validation loss by epoch, logarithmic where they span more than a factor of 10."""
    ax = ax if ax is not None else new_axes(5, 3.6)
    losses = np.array([[line["train_loss"], line["val_loss"]] for line in lines])  # [epochs, 2]
    for column, label, dashes in ((0, "training", "-"), (1, "validation", "--")):
        ax.plot([line["epoch"] for line in lines], losses[:, column], dashes, label=label, **marks(lines))
    if 0 < 10 * losses.min() < losses.max():
        ax.set_yscale("log")
    ax.set(xlabel="epoch", ylabel="loss")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return ax


def best_line(lines: Sequence[dict[str, Any]], score_name: str) -> dict[str, Any]:
    """The line of the epoch that the loop keeps: of the best score, and of equal scores that with the lower loss."""
    sign = -1 if score_name == "bits_per_dim" else 1
    return max(lines, key=lambda line: (sign * line[f"val_{score_name}"], -line["val_loss"]))


def marks(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A dot for each epoch if there are fewer than ten, because a line through one point cannot be seen."""
    return {"marker": "."} if len(lines) < 10 else {}


@styled
def plot_scores(lines: Sequence[dict[str, Any]], score_name: str, ax: Axes | None = None) -> Axes:
    """The validation score by epoch, its best epoch marked.

    Examples
    --------
    >>> lines = [{"epoch": 1, "val_loss": 0.5, "val_accuracy": 0.9}, {"epoch": 2, "val_loss": 0.4, "val_accuracy": 0.9}]
    >>> plot_scores(lines, "accuracy").get_legend().get_texts()[0].get_text()
    'best: 0.9 in epoch 2'
    """
    ax = ax if ax is not None else new_axes(5, 3.6)
    epochs = [line["epoch"] for line in lines]
    scores = np.array([line[f"val_{score_name}"] for line in lines])
    best = lines.index(best_line(lines, score_name))
    ax.plot(epochs, scores, color=COLOURS["green"], **marks(lines))
    ax.plot(epochs[best], scores[best], "o", color=COLOURS["red"], label=f"best: {scores[best]:.4g} in epoch {epochs[best]}")
    ax.set(xlabel="epoch", ylabel=f"validation {SPELLED.get(score_name, score_name.replace('_', ' '))}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return ax


@styled
def plot_absolute_errors(lines: Sequence[dict[str, Any]], score_name: str, ax: Axes | None = None) -> Axes:
    """The mean absolute error on the validation part by epoch, in the unit of the targets; the best epoch by score is marked."""
    ax = ax if ax is not None else new_axes(5, 3.6)
    best = best_line(lines, score_name)
    ax.plot([line["epoch"] for line in lines], [line["val_mae"] for line in lines], color=COLOURS["green"], **marks(lines))
    label = f"{best['val_mae']:.4g} in the best epoch, {best['epoch']}"
    ax.plot(best["epoch"], best["val_mae"], "o", color=COLOURS["red"], label=label)
    ax.set(xlabel="epoch", ylabel="validation mean absolute error", ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return ax


@styled
def plot_confusion(table: np.ndarray, labels: Sequence[str], title: str = "", ax: Axes | None = None) -> Axes:
    """The confusion table [C, C] as a picture: rows are true classes, columns the network's answers, colours shares of a row.

    With at most 20 classes the numbers stand in the cells.

    Examples
    --------
    >>> [text.get_text() for text in plot_confusion(np.array([[9, 1], [0, 8]]), ["cat", "dog"]).texts]
    ['9', '1', '8']
    """
    ax = ax if ax is not None else new_axes(6, 5.4)
    C = len(labels)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(table > 0) if C <= 20 else []:
        colour = "white" if shares[row, column] > 0.5 else "black"
        ax.text(column, row, str(table[row, column]), ha="center", va="center", color=colour, fontsize=9)
    if C <= 40:
        ax.set_xticks(range(C), labels)
        ax.set_yticks(range(C), labels)
    ax.set(xlabel="the network said", ylabel="true class", title=title)
    return ax


@styled
def plot_runs(
    groups: dict[str, Sequence[float]], ax: Axes | None = None, *, xlabel: str = "test accuracy", title: str = ""
) -> Axes:
    """One row for each group: a dot for every run, and a line at their mean (of several), so that the spread of a group is seen.

    Examples
    --------
    >>> ax = plot_runs({"tied": [0.90, 0.92], "untied": [0.91, 0.95]})
    >>> [line.get_xdata().tolist() for line in ax.lines if line.get_label() == "runs"]
    [[0.9, 0.92], [0.91, 0.95]]
    """
    ax = ax if ax is not None else new_axes(9, 0.9 + 0.36 * len(groups))
    for row, scores in enumerate(groups.values()):
        if len(scores) > 1:
            mean = float(np.mean(scores))
            ax.plot([mean, mean], [row - 0.34, row + 0.34], "-", color=COLOURS["black"], lw=2, label="mean", zorder=3)
        ax.plot(list(scores), [row] * len(scores), "o", color=COLOURS["sky"], mec=COLOURS["blue"], ms=6, alpha=0.7, label="runs")
    ax.set_yticks(range(len(groups)), list(groups))
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set(xlabel=xlabel, title=title)
    return ax
