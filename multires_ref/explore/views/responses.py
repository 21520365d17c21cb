"""What each scale hears: the impulse responses over lags, the frequency responses over octaves."""

from __future__ import annotations

from typing import Any

from ..curves import gain_figure, impulse_figure
from ..hearing import PER_OCTAVE, gain_columns, impulse_columns, impulses
from ..look import lag_octave_axis, look_of, octave_axis, rows_axis
from ..pair import filter_lines, filters_of, taps_of
from ..state import State
from ..tree_picture import imports_of
from ..view import Data, Material, Picture, View

ABOUT = "Every level hears about one octave lower, and twice as far back. Point at a curve to read its numbers."


def data(state: State, material: Material) -> Data:
    """The impulse response and the gain of b_1, ..., b_J and a_J."""
    h0, h1 = filters_of(state)
    colours = look_of(state.theme).levels(state.depth)
    return impulse_columns(impulses(h0, h1, state.depth), colours) | {"response": gain_columns(h0, h1, state.depth, colours)}


def python(state: State, material: Material) -> str:
    """The impulse responses, whose heights are divided by the largest magnitude, and the gains."""
    return "\n".join(
        [
            "import numpy as np",
            imports_of(state, "frequency_responses", "impulse_responses"),
            "",
            *filter_lines(state),
            f"J = {state.depth}",
            "pairs = impulse_responses(h0, h1, depth=J)",
            "impulses = [d for _, d in pairs] + [pairs[-1][0]]  # of b_1, ..., b_J, a_J; entry t weighs the sample t steps ago",
            "heights = [h / abs(h).max() for h in impulses]",
            "",
            f"P = {PER_OCTAVE}  # frequencies in each octave",
            "octaves = np.arange(P * (-J - 2), 1 - P) / P  # log2 of cycles per sample",
            "_, pairs = frequency_responses(h0, h1, depth=J, frequencies=2.0**octaves)",
            "gains = np.array([abs(B) for _, B in pairs] + [abs(pairs[-1][0])])",
            "relative = gains / 2 ** (np.array([*range(1, J + 1), J]) / 2)[:, None]",
            "decibels = 20 * np.log10(np.maximum(relative / relative.max(), 1e-6))",
        ]
    )


def build(desk: Any) -> Picture:
    """The impulse responses beside the frequency responses."""
    impulse = impulse_figure(desk, "impulses", 420, points="points")
    gain = gain_figure(desk, "response", 420)

    def refresh(state: State, data: Data) -> None:
        rows_axis(impulse, data["impulses"]["name"])
        lag_octave_axis(impulse, (taps_of(state) - 1) * (2**state.depth - 1) + 1, state.rate)
        octave_axis(gain, state.depth, state.rate)

    return Picture(desk.side_by_side(impulse, gain), refresh)


VIEW = View("responses", "What each scale hears", 3, ABOUT, ("filters", "rate"), data, python, build)
