"""A knob of a notebook as a few stored pictures, for pages without a kernel.

While `multires-ref tutorials --build` executes a notebook, `ipywidgets.interact` is the function that `recording` returns. It
also draws the pictures of a few settings, and displays them as data of a type of their own, which the command takes out and
stores.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from io import StringIO
from typing import Any

from .style import Picture

MIME = "application/vnd.multires-ref.knob+json"
SETTINGS = {1: (6,), 2: (3, 2)}  # number of controls: how many values of each are drawn


def recording(interact: Callable[..., Any]) -> Callable[..., Any]:
    """`ipywidgets.interact` that also displays the pictures of a few settings, where each setting gives a picture."""

    def interact_and_record(function: Callable[..., Any], **controls: Any) -> Any:
        from IPython.display import display

        result = interact(function, **controls)
        widgets = result.widget.kwargs_widgets if hasattr(result, "widget") else []
        with suppress(NoPictures):
            display({MIME: record(function, widgets)}, raw=True)
        return result

    return interact_and_record


class NoPictures(ValueError):
    """The function of a knob returns something else, or has more controls than are stored."""


def record(function: Callable[..., Any], widgets: list[Any]) -> dict[str, Any]:
    """The controls with their values, and the pictures of all combinations, the last control changing fastest.

    Raises
    ------
    NoPictures
        If the function returns no pictures, or has three controls or more.
    """
    counts = SETTINGS.get(len(widgets), ())
    if not counts:
        raise NoPictures(f"{len(widgets)} controls")
    values = [list(spread(widget, count)) for widget, count in zip(widgets, counts, strict=True)]
    names = [widget.description for widget in widgets]
    pictures = []
    for setting in itertools.product(*values):
        with redirect_stdout(StringIO()):
            pictures.append(function(**dict(zip(names, setting, strict=True))))
    if not all(isinstance(picture, Picture) for picture in pictures):
        raise NoPictures("no pictures")
    controls = [
        {"name": n, "values": [str(v) for v in chosen], "start": len(chosen) // 2}
        for n, chosen in zip(names, values, strict=True)
    ]
    return {
        "controls": controls,
        "words": [picture.words for picture in pictures],
        "pictures": [base64.b64encode(picture.png).decode() for picture in pictures],
    }


def spread(widget: Any, count: int) -> Iterator[Any]:
    """`count` values of a control from its first to its last, evenly spaced; all of them if there are not more.

    Examples
    --------
    >>> from types import SimpleNamespace as Control
    >>> list(spread(Control(min=1, max=5, step=1), 3)), list(spread(Control(min=0.0, max=2.0, step=0.1), 3))
    ([1, 3, 5], [0.0, 1.0, 2.0])
    >>> list(spread(Control(options=["haar", "db2", "db4"]), 2))
    ['haar', 'db4']
    """
    if hasattr(widget, "options"):
        possible = list(widget.options)
    else:
        steps = round((widget.max - widget.min) / widget.step)
        possible = [type(widget.min)(round(widget.min + k * widget.step, 9)) for k in range(steps + 1)]
    chosen = {round(k * (len(possible) - 1) / (count - 1)) for k in range(count)}
    return (possible[k] for k in sorted(chosen))
