"""What `multires-ref bench mpi` measured on two processes, and what its model says of more."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import COLOURS, WIDTH, new_axes, new_figure, styled

LOOKS = [COLOURS["red"], COLOURS["blue"]]  # of the networks


@styled
def plot_mpi(rows: list[dict[str, Any]]) -> Figure:
    """`plot_efficiency` for every setting, and one key for all.

    Parameters
    ----------
    rows : the "rows" of mpi.json
    """
    across = min(2, len(rows))
    down = -(-len(rows) // across)
    figure, axes = new_figure(WIDTH, 1.2 + 2.7 * down, rows=down, columns=across, sharey=True)
    for ax, row in zip(axes.flat, rows, strict=False):
        plot_efficiency(row, ax)
        ax.get_legend().remove()
    for ax in axes.flat[len(rows) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("efficiency")
    axes[0, 0].set_ylim(0, 1.08 * max([1.0, *(row["efficiency"] for row in rows)]))  # shared by all
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


@styled
def plot_efficiency(row: dict[str, Any], ax: Axes | None = None) -> Axes:
    """Efficiency against the number of processes: measured on two, by the model for each network.

    Lines: nothing of the sending is hidden behind the computing. Bands: up to all that can be hidden.

    Parameters
    ----------
    row : one of the "rows" of mpi.json

    Examples
    --------
    >>> model = {"network": "a cable", "divided": True, "processes": 2, "efficiency_not_hidden": 0.9, "efficiency_hidden": 1.0}
    >>> row = {"task": "listops", "layers": 2, "paper_layers": 10, "batch": 50, "efficiency": 0.8, "model": [model]}
    >>> [line.get_label() for line in plot_efficiency(row).lines]
    ['a cable, batch divided', 'measured here, batch divided, 2 layers']
    """
    ax = ax if ax is not None else new_axes(WIDTH, 3.5)
    networks = list(dict.fromkeys(r["network"] for r in row["model"]))
    for network, colour in zip(networks, LOOKS, strict=False):
        for divided, what, dash in ((False, "a batch for each process", "-"), (True, "batch divided", "--")):
            found = [r for r in row["model"] if r["network"] == network and r["divided"] == divided]
            if found:
                x = [1, *(r["processes"] for r in found)]
                low, high = ([1.0, *(r[f"efficiency_{name}"] for r in found)] for name in ("not_hidden", "hidden"))
                ax.plot(x, low, color=colour, ls=dash, marker=".", label=f"{network}, {what}")
                ax.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
    measured = f"measured here, batch divided, {row['layers']} layers"
    ax.plot(2, row["efficiency"], ls="", marker="D", ms=7, color="black", label=measured)
    ax.fill_between([], [], [], color=COLOURS["grey"], alpha=0.3, lw=0, label="more, where sending is hidden behind computing")
    ax.set_xscale("log", base=2)
    ticks = [1, 2, 8, 64, 512]
    ax.set_xticks(ticks, [str(n) for n in ticks])
    ax.minorticks_off()
    ax.grid()
    ax.set(xlabel="processes (logarithmic)", ylim=(0, max(1.08, row["efficiency"] * 1.08)))
    ax.set_title(f"{row['task']}, {row['paper_layers']} layers, batch {row['batch']}")
    ax.legend()
    return ax
