"""One open page: its settings, what it holds, the data sources of the views that were opened, and what happens at a change.

`change` is the only way in which settings change: it checks them, computes the data of the view that is shown, gives them to its
sources, and calls the listeners, which keep controls and address in step. A mistake becomes a sentence; the page stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .look import Look, dress, look_of, repaint
from .state import State
from .view import Data, Material, Picture, View
from .views import VIEWS

NARROW = """@media (max-width: 900px) {
  :host { flex-direction: column; align-items: stretch }
  :host > * { width: auto; min-width: 0; flex: none }
}"""
QUIET = {"theme", "n"}  # a change of these leaves a sentence on the page


class Desk:
    """The state of one page, and its open views.

    Parameters
    ----------
    state : State
    material : Material

    Attributes
    ----------
    data : Data of the view that is shown
    sources : {name: ColumnDataSource} of all views that were opened; a source carries its name, so that tests find it
    message : str, the sentence that the page shows; "" for none
    listeners : functions that are called without arguments after every change
    following : whether the controls are just being brought in step, so that they are not heard
    by_hand : whether what changes comes from `client.js`, whose widgets then are ahead of Python's
    look : Look, the colours of the theme
    """

    def __init__(self, state: State, material: Material) -> None:
        self.state, self.material, self.message = state, material, ""
        self.data: Data = {}
        self.sources: dict[str, Any] = {}
        self.pictures: dict[str, Picture] = {}
        self.listeners: list[Callable[[], None]] = []
        self.following = self.by_hand = False

    @property
    def look(self) -> Look:
        return look_of(self.state.theme)

    @property
    def view(self) -> View:
        """The view that is shown."""
        return VIEWS[self.state.view]

    def views(self) -> list[View]:
        """The views that have something to show."""
        return [view for view in VIEWS.values() if view.shown(self.material)]

    def change(self, **settings: Any) -> None:
        """Change settings, or say on the page why they cannot be."""
        before = self.state
        try:
            self.state = replace(before, **settings)
            if not self.view.shown(self.material):
                raise ValueError(f"the view {self.state.view!r} has nothing to show: open the page with multires-ref explore RUN")
            self.show()
            if self.look != look_of(before.theme):
                for picture in self.pictures.values():
                    repaint(picture.layout, look_of(before.theme), self.look)
            if settings.keys() - QUIET:
                self.message = ""
        except (TypeError, ValueError) as error:
            self.state, self.message = before, str(error)
        for listener in self.listeners:
            listener()

    def say(self, sentence: str) -> None:
        """Show a sentence on the page."""
        self.message = sentence
        for listener in self.listeners:
            listener()

    def show(self) -> Picture:
        """Compute the shown view's data and give them to its sources; build it if it was not opened before."""
        self.data = self.view.data(self.state, self.material)
        for name, columns in self.data.items():
            if name in self.sources:
                self.sources[name].data = columns
        if self.view.name not in self.pictures:
            picture = self.view.build(self)
            dress(picture.layout)
            self.pictures[self.view.name] = picture
        picture = self.pictures[self.view.name]
        picture.refresh(self.state, self.data)
        return picture

    def source(self, name: str) -> Any:
        """The ColumnDataSource of that name, which is made from the present data when a view is built."""
        from bokeh.models import ColumnDataSource

        if name not in self.sources:
            self.sources[name] = ColumnDataSource(data=self.data[name], name=name)
        return self.sources[name]

    def side_by_side(self, *parts: Any) -> Any:
        """A row that becomes a column on a narrow page of at most 900 pixels."""
        from bokeh.models import InlineStyleSheet, Row

        narrow = InlineStyleSheet(css=NARROW)
        return Row(children=list(parts), sizing_mode="stretch_width", stylesheets=[narrow])
