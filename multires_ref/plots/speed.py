"""Charts of measured times: the parts of `multires-ref bench`, and costs against the length of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .style import COLOURS, CYCLE, DASHES, MARKERS, WIDTH, new_axes, new_figure, octaves, styled

OURS, THEIRS, LIMIT = COLOURS["blue"], COLOURS["grey"], COLOURS["orange"]
OTHERS = ("PyTorch", "pywt", "import numpy")
LIMITS = ("copying x once", "copying to a new array", "matrix products")
KEY = {OURS: ("o", "this package"), THEIRS: ("s", "other libraries"), LIMIT: ("D", "a part of the work")}
ROW = 0.27  # inches a row of dots
FORWARD, BOTH = "forward", "forward and backward"
BLUES = (COLOURS["sky"], COLOURS["blue"], COLOURS["black"])  # this package's, from short filters to long ones

Panel = tuple[float, Callable[[Axes], Axes]]  # its height in inches, and what draws it


def colour_of(name: str) -> str:
    """This package's colour, that of other libraries, or that of a part that no implementation can avoid."""
    return LIMIT if name in LIMITS else THEIRS if name.startswith(OTHERS) else OURS


def note_of(name: str) -> str:
    """What stands beside a mark whose colour does not say all: "tree, compiled" for "PyTorch tree, compiled"."""
    return "" if name in ("ours", "PyTorch", *LIMITS) else f"  {name.removeprefix('PyTorch ').removeprefix('ours, ')}"


def draw_dot(ax: Axes, place: float, row: dict[str, Any], name: str, filled: bool = True, note: str = "") -> None:
    """One median in milliseconds, its quartiles as a whisker, and its number on the right, with a note."""
    median, low, high = (1e3 * row[key] for key in ("median", "low", "high"))
    colour = colour_of(name)
    ax.plot([low, high], [place, place], color=colour, linewidth=1.4, zorder=2)
    ax.plot(median, place, KEY[colour][0], color=colour, mfc=colour if filled else "white", ms=6, zorder=3)
    words = f"{median:,.0f}" if median >= 100 else f"{median:.3g}"
    ax.annotate(f"  {words} ms{note}", (max(median, high), place), va="center", fontsize=9)


def finish_dots(ax: Axes, names: list[str], rows: list[dict[str, Any]], title: str, room: float = 0.3) -> Axes:
    """A logarithmic axis of milliseconds with room for the last number, a name for each row, the first at the top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_xscale("log")
    shortest, longest = (pick(1e3 * row[key] for row in rows) for pick, key in ((min, "low"), (max, "high")))
    ax.set(xlim=(shortest / 2, longest * (longest / shortest) ** room * 2), ylim=(len(names) - 0.4, -0.6))
    ax.grid(axis="both")
    ax.tick_params(axis="y", length=0)
    ax.minorticks_off()
    ax.set(xlabel="time (ms, logarithmic)", title=title)
    return ax


@styled
def plot_times(rows: dict[str, dict[str, Any]], ax: Axes | None = None, title: str = "") -> Axes:
    """Medians as dots on a logarithmic axis of milliseconds, quartiles as whiskers; fastest first.

    Blue circles are this package, grey squares are other libraries, orange diamonds parts of the work, such as copying the input.

    Parameters
    ----------
    rows : {name: {"median", "low", "high"}} in seconds
    ax : Axes or None
    title : str

    Examples
    --------
    >>> rows = {"fused": {"median": 0.01, "low": 0.009, "high": 0.012}, "PyTorch fft": {"median": 0.1, "low": 0.1, "high": 0.1}}
    >>> [label.get_text() for label in plot_times(rows).get_yticklabels()]
    ['fused', 'PyTorch fft']
    """
    ax = ax if ax is not None else new_axes(WIDTH, 0.9 + ROW * len(rows))
    names = sorted(rows, key=lambda name: rows[name]["median"])
    for place, name in enumerate(names):
        draw_dot(ax, place, rows[name], name)
    return finish_dots(ax, names, list(rows.values()), title)


@styled
def plot_operator(result: dict[str, Any], ax: Axes | None = None) -> Axes:
    """The operator by every implementation: the forward pass as an open mark, forward and backward together as a filled one.

    Examples
    --------
    >>> row = {"median": 0.01, "low": 0.009, "high": 0.012}
    >>> shape = {"B": 2, "D": 3, "L": 64, "K": 2}
    >>> plot_operator({"shape": shape, "forward": {"tree": row}, "forward and backward": {}}).get_title("left")
    'operator: 2 x 3 x 64, K = 2'
    """
    forward, both = result["forward"], result["forward and backward"]
    names = sorted({**forward, **both}, key=lambda name: (both.get(name) or forward[name])["median"])
    ax = ax if ax is not None else new_axes(WIDTH, 1.2 + ROW * len(names))
    for place, name in enumerate(names):
        for rows, filled, up in ((forward, False, -0.17), (both, True, 0.17)):
            if name in rows:
                draw_dot(ax, place + up, rows[name], name, filled)
    for label, fill in (("forward", "white"), ("forward and backward", COLOURS["black"])):
        ax.plot([], [], "o", color=COLOURS["black"], mfc=fill, label=label)
    shape = result["shape"]
    title = f"operator: {shape['B']} x {shape['D']} x {shape['L']:,}, K = {shape['K']}"
    return finish_dots(ax, names, [*forward.values(), *both.values()], title)


@styled
def plot_steps(result: dict[str, Any], ax: Axes | None = None) -> Axes:
    """A training step of each task, here and in PyTorch, and the matrix products that both leave to BLAS.

    Times of ``bench step``, which says how many layers, or of ``bench small``, each with its best number of threads.

    Examples
    --------
    >>> row = {"median": 0.01, "low": 0.009, "high": 0.012}
    >>> ax = plot_steps({"layers": 2, "rows": {"digits": {"seconds": {"ours": row, "PyTorch": row}}}})
    >>> ax.get_title("left"), [label.get_text() for label in ax.get_yticklabels()]
    ('training step, 2 layers', ['digits'])
    """
    tasks = result["rows"]
    most = max(len(task["seconds"]) for task in tasks.values())
    ax = ax if ax is not None else new_axes(WIDTH, 0.9 + ROW * most * len(tasks))
    rows = []
    for place, task in enumerate(tasks.values()):
        for n, (name, row) in enumerate(sorted(task["seconds"].items(), key=lambda item: item[1]["median"])):
            draw_dot(ax, place + 0.81 / most * (n - (len(task["seconds"]) - 1) / 2), row, name, note=note_of(name))
            rows.append(row)
    title = f"training step, {result['layers']} layers" if "layers" in result else "steps of small networks"
    longest_note = max(len(note_of(name)) for task in tasks.values() for name in task["seconds"])
    return finish_dots(ax, [*tasks], rows, title, room=0.3 + longest_note / 16)


@styled
def plot_peaks(result: dict[str, Any], ax: Axes | None = None) -> Axes:
    """The peak memory of a training step of each task, here and in PyTorch, as bars from zero.

    Examples
    --------
    >>> ax = plot_peaks({"rows": {"digits": {"memory_gib": {"ours": 0.5, "PyTorch": 2.0}}}})
    >>> [float(bar.get_width()) for bar in ax.patches]
    [0.5, 2.0]
    """
    peaks = {task: known_peaks(row) for task, row in result["rows"].items() if known_peaks(row)}
    most = max(map(len, peaks.values()))
    ax = ax if ax is not None else new_axes(WIDTH, 0.9 + ROW * most * len(peaks))
    for place, task in enumerate(peaks.values()):
        for n, (name, gib) in enumerate(task.items()):
            where = place + 0.72 / most * (n - (len(task) - 1) / 2)
            ax.barh(where, gib, height=0.66 / most, color=colour_of(name))
            ax.annotate(f"  {gib:.2f}{note_of(name)}", (gib, where), va="center", fontsize=9)
    ax.set_yticks(range(len(peaks)), [*peaks])
    ax.tick_params(axis="y", length=0)
    largest = max(gib for task in peaks.values() for gib in task.values())
    room = 1.2 + max(len(note_of(name)) for task in peaks.values() for name in task) / 24
    ax.set(xlim=(0, room * largest), ylim=(len(peaks) - 0.4, -0.6), xlabel="peak memory (GiB)", title="memory of that step")
    return ax


def known_peaks(row: dict[str, Any]) -> dict[str, float]:
    """The peaks in GiB that were measured."""
    return {name: gib for name, gib in (row.get("memory_gib") or {}).items() if gib}


@styled
def plot_scaling(result: dict[str, Any], ax: Axes | None = None, name: str = BOTH) -> Axes:
    """Nanoseconds per sample, channel and level of one pass against the length of the sequence, from zero.

    A line for each filter length K and batch size: whole and filled for one sequence, dashed and open for a batch.

    Parameters
    ----------
    result : {"rows": [...]}
        What ``multires-ref bench scaling`` measured; rows of earlier versions have no K and no B, and are one line.
    ax : Axes or None
    name : "forward" or "forward and backward"

    Examples
    --------
    >>> row = {"L": 1024, "D": 1, "J": 10, "forward and backward": {"median": 1e-3}}
    >>> ax = plot_scaling({"rows": [row, row | {"L": 2048, "J": 11}]})
    >>> ax.lines[0].get_ydata().round(1)
    array([97.7, 44.4])
    """
    ax = ax if ax is not None else new_axes(WIDTH, 3)
    steps, largest, several = sorted({row["L"] for row in result["rows"]}), 0.0, "K" in result["rows"][0]
    kernels = sorted({row.get("K", 2) for row in result["rows"]})
    for K, B in sorted({(row.get("K", 2), row.get("B", 1)) for row in result["rows"]}):
        rows = [row for row in result["rows"] if (row.get("K", 2), row.get("B", 1)) == (K, B)]
        times = [1e9 * row[name]["median"] / (row["L"] * B * row["D"] * row["J"]) for row in rows]
        colour, marker = (BLUES[kernels.index(K) % 3] if several else OURS), "o^v"[kernels.index(K) % 3]
        look = {"ls": "-", "mfc": colour} if B == 1 else {"ls": "--", "mfc": "white"}
        ax.plot([row["L"] for row in rows], times, color=colour, marker=marker, **look)
        largest = max(largest, *times)
    octaves(ax, max(steps))
    ax.set_xlim(min(steps) * 0.8, max(steps) * 1.25)
    ax.set_xticks(steps, [f"$2^{{{step.bit_length() - 1}}}$" for step in steps])
    ax.set_ylim(0, (1.75 if several else 1.25) * largest)
    ax.grid(axis="y")
    if several:
        key_of_series(ax, kernels, sorted({row["B"] for row in result["rows"]}))
    ax.set(xlabel="length L (samples)", ylabel=f"{name}:\nns / (sample channel level)", title="operator, by length")
    return ax


def key_of_series(ax: Axes, kernels: list[int], batches: list[int]) -> None:
    """The colours and marks of the filter lengths, and the lines of the batch sizes."""
    filters = [Line2D([], [], color=BLUES[n % 3], marker="o^v"[n % 3], label=f"K = {K}") for n, K in enumerate(kernels)]
    looks = {1: {"ls": "-", "label": "one sequence"}}
    sizes = [looks.get(B, {"ls": "--", "marker": "o", "mfc": "white", "label": f"{B} sequences"}) for B in batches]
    lines = [Line2D([], [], color=COLOURS["grey"], **look) for look in sizes]
    ax.legend(handles=[*filters, *lines], loc="upper center", ncols=2, fontsize=8).set_in_layout(False)


@styled
def plot_busy(result: dict[str, Any], ax: Axes | None = None) -> Axes:
    """How many times as long a training step takes beside one (open) and two (filled) busy neighbours as on the idle machine.

    Examples
    --------
    >>> seconds = {"ours": [{"median": t} for t in (1.0, 1.5, 2.0)]}
    >>> ax = plot_busy({"rows": {"digits": {"seconds": seconds}}})
    >>> [text.get_text().strip() for text in ax.texts]
    ['1.5', '2.0']
    """
    rows = [
        (f"{size}, {who.removeprefix('ours, ')}", who, times)
        for size, row in result["rows"].items()
        for who, times in row["seconds"].items()
    ]
    ax = ax if ax is not None else new_axes(WIDTH, 1.2 + 1.5 * ROW * len(rows))
    largest = 1.0
    for place, (_, who, times) in enumerate(rows):
        colour = colour_of(who)
        for count, fill, up in ((1, "white", -0.17), (2, colour, 0.17)):
            ratio = times[count]["median"] / times[0]["median"]
            ax.plot(ratio, place + up, KEY[colour][0], color=colour, mfc=fill, ms=6, zorder=3)
            ax.annotate(f"  {ratio:.1f}", (ratio, place + up), va="center", fontsize=9)
            largest = max(largest, ratio)
    for label, fill in (("one neighbour", "white"), ("two", COLOURS["black"])):
        ax.plot([], [], "o", color=COLOURS["black"], mfc=fill, label=label)
    ax.axvline(1, color=COLOURS["black"], linewidth=0.8, zorder=1)
    ax.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(0, 1.2 * largest), ylim=(len(rows) + 1.2, -0.6), xlabel="time beside neighbours / idle")
    ax.grid(axis="both")
    ax.legend(loc="lower right", ncols=2, fontsize=8, columnspacing=1.0).set_in_layout(False)
    ax.set_title("steps on a busy machine")
    return ax


def small_panels(result: dict[str, Any]) -> list[Panel]:
    """The steps of small networks, each by its best number of threads, and inference of one example."""
    count = sum(len(row["seconds"]) for row in result["rows"].values())
    inference = partial(plot_times, result["inference"]["seconds"], title="inference, digits network")
    return [(1.1 * ROW * count, partial(plot_steps, result)), (ROW * len(result["inference"]["seconds"]), inference)]


def panels_of(results: dict[str, Any]) -> list[Panel]:
    """What `multires-ref bench` measured, a panel for each part, the long ones first."""
    panels: list[Panel] = []
    if "operator" in results:
        names = {**results["operator"]["forward"], **results["operator"]["forward and backward"]}
        panels.append((1.5 * ROW * len(names), partial(plot_operator, results["operator"])))
    if "step" in results:
        steps = results["step"]["rows"].values()
        panels.append((3.2 / 3 * ROW * sum(len(row["seconds"]) for row in steps), partial(plot_steps, results["step"])))
        if any(map(known_peaks, steps)):
            panels.append((1.2 * ROW * sum(map(len, map(known_peaks, steps))), partial(plot_peaks, results["step"])))
    panels += small_panels(results["small"]) if "small" in results else []
    if "busy" in results:
        rows = results["busy"]["rows"].values()
        panels.append((1.6 * ROW * sum(len(row["seconds"]) for row in rows), partial(plot_busy, results["busy"])))
    if "scaling" in results:
        several = "K" in results["scaling"]["rows"][0]
        names = (FORWARD, BOTH) if several else (BOTH,)
        panels += [(2.4 if several else 1.6, partial(plot_scaling, results["scaling"], name=name)) for name in names]
    lists = [(part, results[part]["rows"]) for part in ("pyramid", "swt", "startup") if part in results]
    lists += memory_panels(results["memories"]) if "memories" in results else []
    return panels + [(ROW * len(rows), partial(plot_times, rows, title=title)) for title, rows in lists]


@styled
def plot_bench(results: dict[str, Any]) -> Figure:
    """All that one `multires-ref bench` measured, one panel for each part, two beside each other.

    Examples
    --------
    >>> rows = {"import numpy": {"median": 0.1, "low": 0.1, "high": 0.1}}
    >>> len(plot_bench({"startup": {"rows": rows}}).axes)
    1
    """
    panels = panels_of(results)
    columns = min(2, len(panels))
    heights = [0.95 + max(height for height, _ in panels[n : n + columns]) for n in range(0, len(panels), columns)]
    figure, axes = new_figure(WIDTH, sum(heights) + 0.4, rows=len(heights), columns=columns, height_ratios=heights)
    for (_, draw), ax in zip(panels, axes.flat, strict=False):
        draw(ax=ax)
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    add_key(figure)
    return figure


def add_key(figure: Figure) -> None:
    """The key of all panels: whose time a mark is, and which pass."""
    marks = [Line2D([], [], marker=marker, ls="none", color=colour, label=label) for colour, (marker, label) in KEY.items()]
    drawn = zip(*figure.axes[0].get_legend_handles_labels(), strict=True)
    passes = [handle for handle, label in drawn if label in (FORWARD, BOTH)]
    figure.legend(handles=[*marks, *passes], loc="outside upper center", ncols=len(marks) + len(passes), columnspacing=1.2)


def memory_panels(result: dict[str, Any]) -> list[tuple[str, Any]]:
    """A panel for each size of the memories that were measured, by their fastest way.

    Examples
    --------
    >>> row = {"m": 10, "title": "LegT", "NumPy": {"median": 0.2, "low": 0.1, "high": 0.3}}
    >>> memory_panels({"samples": 500, "channels": 64, "rows": [row]})[0][0]
    'memories, m = 10: 500 samples of 64 channels (NumPy)'
    """
    way = "compiled" if "compiled" in result["rows"][0] else "NumPy"
    size = f"{result['samples']:,} samples of {result['channels']} channels ({way})"
    sizes = dict.fromkeys(row["m"] for row in result["rows"])
    return [(f"memories, m = {m}: {size}", {r["title"]: r[way] for r in result["rows"] if r["m"] == m}) for m in sizes]


@styled
def plot_costs(
    lengths: Sequence[int], costs: dict[str, Sequence[float]], ax: Axes | None = None, *, ylabel: str = "seconds", title: str = ""
) -> Axes:
    """Cost against the length of a sequence. Both axes are logarithmic, so that a power of the length is a straight line.

    Examples
    --------
    >>> ax = plot_costs([64, 128], {"streaming": [1.0, 2.0], "from scratch": [10.0, 40.0]})
    >>> [line.get_label() for line in ax.lines]
    ['streaming', 'from scratch']
    """
    ax = ax if ax is not None else new_axes(9, 4)
    for n, (name, values) in enumerate(costs.items()):
        look = {"color": CYCLE[n % len(CYCLE)], "ls": DASHES[n % len(DASHES)], "marker": MARKERS[n % len(MARKERS)]}
        ax.plot(list(lengths), list(values), label=name, **look)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(list(lengths), [f"{L:,}" for L in lengths])
    ax.minorticks_off()
    ax.grid()
    ax.legend()
    ax.set(xlabel="length L (samples)", ylabel=ylabel, title=title)
    return ax
