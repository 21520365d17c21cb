"""The page: the views behind a row of buttons, their controls, what went wrong in a sentence, the lines of Python, the theme."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from .controls import Control, connect, new_controls, own_taps
from .desk import Desk
from .look import dress
from .recordings import MAX_FILES, uploaded
from .state import State
from .tree_picture import walk
from .view import Material

HERE = Path(__file__).parent
TEMPLATE = (
    '{% block preamble %}<meta name="viewport" content="width=device-width, initial-scale=1"><style>STYLE</style>{% endblock %}'
)
COPY = "copy as Python"
# on a narrow page the controls stand beside one another above the picture
IN_LINES = """@media (max-width: 900px) { :host { flex-direction: row; flex-wrap: wrap; align-items: end; column-gap: 12px }
  * { flex: 1 1 220px !important } }"""


def fill(doc: Any, material: Material, start: State) -> None:
    """Put the page into a Bokeh document, with the settings that its address says, or `start` if it says none.

    Parameters
    ----------
    doc : bokeh.document.Document, with the session context of its request, or without one
    material : Material; every page gets a copy, so that the signals of one user are not another's
    start : State
    """
    state, problems = start, []
    query = query_of(doc)
    if query:
        state, problems = State.from_query(query)
    own = Material(dict(material.recordings), material.trained)
    Page(doc, Desk(state, own), " ".join(f"{problem}." for problem in problems))


def query_of(doc: Any) -> dict[str, str]:
    """The settings in the address of the request."""
    context = doc.session_context
    arguments = context.request.arguments if context and context.request else {}
    return {name: values[-1].decode("utf-8", "replace") for name, values in arguments.items() if not name.startswith("bokeh-")}


class Page:
    """The layout of one document, kept in step with its desk.

    Parameters
    ----------
    doc : bokeh.document.Document
    desk : Desk
    problem : str, what was wrong with the address
    """

    def __init__(self, doc: Any, desk: Desk, problem: str = "") -> None:
        from bokeh.models import ColumnDataSource, CustomJS

        self.doc, self.desk = doc, desk
        self.controls: dict[str, Control] = new_controls(desk.material)
        for name, control in self.controls.items():
            connect(control, name, desk)
        self.ask = ColumnDataSource({"kind": [], "value": [], "number": []}, name="ask")
        self.answer = ColumnDataSource({"number": [0]}, name="answer")
        self.settings_source = ColumnDataSource(self.settings(), name="page")
        self.ask.on_change("data", self.asked)
        self.answers: dict[str, Callable[[Any], None]] = {
            "view": lambda name: desk.change(view=name),
            "theme": lambda theme: desk.change(theme=theme),
            "n": lambda n: desk.change(n=n),
            "taps": lambda pair: desk.change(**own_taps(desk.state, pair["h0"], pair["h1"])),
            "walk": lambda to: desk.change(**walk(desk.state, to)),
            "file": self.take_file,
        }
        self.root = self.lay_out()
        self.root.tags = [self.ask, self.answer, self.settings_source]  # models that have no place on the page
        models = {"ask": self.ask, "answer": self.answer, "page": self.settings_source}
        doc.js_on_event("document_ready", CustomJS(args=models, code=(HERE / "client.js").read_text()))
        doc.title = "multires_ref explore"
        doc.template = TEMPLATE.replace("STYLE", (HERE / "page.css").read_text())
        doc.add_root(self.root)
        self.start(problem)
        desk.listeners.append(self.follow)
        self.follow()

    def start(self, problem: str) -> None:
        """Show what the address says; where that cannot be shown, such as a signal of another visit, the defaults."""
        desk = self.desk
        desk.change()
        if not desk.pictures:
            problem, desk.state = f"{problem} {desk.message}. The default settings are used.", State(theme=desk.state.theme)
            desk.change()
        desk.message = problem.strip()

    def settings(self) -> dict[str, list[Any]]:
        """What the browser must know: the address, the view, the theme, the names of the views."""
        state = self.desk.state
        names = [view.name for view in self.desk.views()]
        one = {"query": urlencode(state.to_query()), "view": state.view, "theme": state.theme, "views": names}
        return {name: [value] for name, value in one.items()}

    def lay_out(self) -> Any:
        """Buttons of the views at the top, controls at the left, pictures at the right, the lines of Python below."""
        from bokeh.layouts import column, row
        from bokeh.models import Button, CustomJS, Div, InlineStyleSheet, PreText, RadioButtonGroup

        labels = [f"{k} {view.title}" for k, view in enumerate(self.desk.views(), start=1)]
        self.tabs = RadioButtonGroup(name="view", labels=labels)
        self.tabs.on_change("active", self.tab_chosen)
        theme = Button(name="theme", label="light / dark", width=110)
        theme.on_click(lambda: self.desk.change(theme="light" if self.desk.look.dark else "dark"))
        self.message = Div(name="message", visible=False, sizing_mode="stretch_width")
        self.about = Div(sizing_mode="stretch_width")
        groups = dict.fromkeys(control.group for control in self.controls.values())
        self.groups = {}
        for group in groups:
            widgets = [control.widget for control in self.controls.values() if control.group == group]
            self.groups[group] = column(*widgets, sizing_mode="stretch_width", stylesheets=[InlineStyleSheet(css=IN_LINES)])
        self.python = PreText(name="python", sizing_mode="stretch_width")
        copy = Button(name="copy", label=COPY, width=160)
        code = "window.multires?.copy(python.text, cb_obj.origin, label)"
        copy.js_on_event("button_click", CustomJS(args={"python": self.python, "label": COPY}, code=code))
        self.pictures = column(sizing_mode="stretch_width")
        self.beside = column(*self.groups.values(), width=250, stylesheets=[InlineStyleSheet(css=IN_LINES)])
        main = column(self.about, self.pictures, copy, self.python, sizing_mode="stretch_width")
        top = row(self.tabs, theme, sizing_mode="stretch_width", styles={"flex-wrap": "wrap"})
        body = self.desk.side_by_side(self.beside, main)
        root = column(top, self.message, body, sizing_mode="stretch_width", name="root")
        dress(root)
        return root

    def tab_chosen(self, attr: str, old: int, new: int) -> None:
        """Another view was chosen with its button."""
        if not self.desk.following:
            self.desk.change(view=self.desk.views()[new].name)

    def follow(self) -> None:
        """Bring everything around the pictures in step with the settings."""
        desk = self.desk
        desk.following = True
        for control in self.controls.values():
            control.follow(control.widget, desk.state)
        views = [view.name for view in desk.views()]
        self.tabs.active = views.index(desk.state.view)
        for name, group in self.groups.items():
            group.visible = name in desk.view.controls
        self.beside.visible = bool(desk.view.controls)
        self.message.update(text=f'<div class="message" role="alert">{escape(desk.message)}</div>', visible=bool(desk.message))
        self.about.text, self.python.text = desk.view.about, desk.view.python(desk.state, desk.material)
        layouts = [picture.layout for picture in desk.pictures.values()]
        if self.pictures.children != layouts:
            self.pictures.children = layouts
        for name, picture in desk.pictures.items():
            picture.layout.visible = name == desk.state.view
        self.settings_source.data = self.settings()
        desk.following = False

    def asked(self, attr: str, old: Any, new: dict[str, list[Any]]) -> None:
        """Something came from `client.js`: change the settings, and say that it was done."""
        for kind, value in zip(new["kind"], new["value"], strict=True):
            self.desk.by_hand = kind == "n"
            try:
                self.answers[kind](json.loads(value))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                self.desk.say(f"the page could not use what the browser sent ({kind}): {error}")
        self.desk.by_hand = False
        self.answer.data = {"number": list(new["number"][:1])}

    def take_file(self, file: dict[str, Any]) -> None:
        """A signal that the user chose: show it, or say what is wrong with it."""
        held = self.desk.material.recordings
        try:
            name, recording = uploaded(file["name"], file["size"], file["base64"])
            if name not in held and len(held) >= MAX_FILES:
                raise ValueError(f"the page holds {MAX_FILES} files already: load it again to begin anew")
        except ValueError as error:
            self.desk.say(str(error))
            return
        held[name] = recording
        rate = {"rate": recording.rate} if recording.rate else {}
        self.desk.change(signal=name, n=recording.x.shape[-1] * 2 // 3, **rate)
