"""What a view of the page is: one record, in one file of `views/`. The page, the tests and the exported file find it there.

    data(state, material)    -> {source: {column: array}}: all numbers of the picture, by NumPy alone
    python(state, material)  -> the lines that compute the picture's main arrays with NumPy and the public names of multires_ref
    build(desk)              -> Picture: Bokeh figures on the sources of `desk`, whose data the page replaces at every change

A view never computes in `build` or in `refresh`: what it draws is in its data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .state import State

Data = dict[str, dict[str, Any]]  # source -> column -> array or list; the columns of a source have one length


class Recording(NamedTuple):
    """A signal: x [C, L]; its samples per second, if known; and the file that it came from, or ""."""

    x: np.ndarray
    rate: float | None = None
    file: str = ""


@dataclass
class Material:
    """What the page holds besides its settings: the user's signals by name, and a trained network (see `trained.py`), or None."""

    recordings: dict[str, Recording] = field(default_factory=dict)
    trained: Any = None


class Picture(NamedTuple):
    """A view on the page: its layout, and what is set beyond the data of the sources: titles, ranges, words."""

    layout: Any
    refresh: Callable[[State, Data], None] = lambda state, data: None


class View(NamedTuple):
    """One view.

    Parameters
    ----------
    name : str, in the address;  title : str, on its button;  rank : int, its place among the buttons
    controls : names of the controls that are shown beside it: "filters", "memory", "signal", or none
    data, python, build : functions, see above
    about : str, one or two sentences that say what is seen and what can be done
    shown : whether the view has anything to show of this material
    """

    name: str
    title: str
    rank: int
    about: str
    controls: tuple[str, ...]
    data: Callable[[State, Material], Data]
    python: Callable[[State, Material], str]
    build: Callable[[Any], Picture]
    shown: Callable[[Material], bool] = lambda material: True


def by_rank(views: list[View]) -> Mapping[str, View]:
    """Views by name, in the order of their ranks."""
    return {view.name: view for view in sorted(views, key=lambda view: view.rank)}
