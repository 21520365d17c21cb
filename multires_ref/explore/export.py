"""`multires-ref explore --export FILE.html`: the page as one file that works without Python, on any web server or from a disk.

It is the served page: the same functions build it, the same `client.js` serves keys and pointer. In Python's place stands
`export.js`. It answers from a store: what the page looks like for a dozen wavelets and several depths, recorded by `record.py`
while the page goes through these states. What the memory holds at the cursor is computed in the browser, by small products of
matrices (`stored_memory.py`). The store is compressed; browsers from 2023 on read it.
"""

from __future__ import annotations

import base64
import gzip
import json
from itertools import product
from pathlib import Path
from typing import Any

from ..base.files import write_whole
from ..base.optional import import_from_extra
from .desk import Desk
from .look import LOOKS
from .page import TEMPLATE, Page
from .record import Pool, Recorder, Slot, models_below, plain, same
from .recordings import built_in
from .state import State
from .stored_memory import stored_memories, stored_taps
from .view import Material
from .views import VIEWS

HERE = Path(__file__).parent
WAVELETS = ("haar", "db2", "db3", "db4", "db6", "db8", "sym4", "sym8", "coif1", "coif2", "bior2.2", "bior4.4")
DEPTHS = (2, 3, 4, 5, 6, 7, 8)
SELECTS = ("fading", "uniform")
SIGNALS = ("ECG", "chirp", "steps")
SETTINGS = {  # which settings each view is recorded for; the signal and the time n are the browser's
    "filters": ("wavelet", "depth"),
    "tree": ("wavelet", "depth"),
    "responses": ("wavelet", "depth"),
    "memory": ("wavelet", "depth", "tree_select"),
}
LIVE = ("wavelet", "depth", "tree_select", "signal")  # the controls that work without Python; the others are hidden
COMPUTED = ("samples", "cursor", "seen", "bars", "past", "kept_past")  # sources that `export.js` fills
PURPOSE = "the exported page"
KEEP_ADDRESS = "<script>window.address_at_first = location.search</script>"  # `client.js` writes the address anew
ABOUT = {  # in place of the served views' own
    "filters": (
        "The taps of a dozen wavelets, and what they make. <code>multires-ref explore</code> on your own machine shows all of "
        "PyWavelets' wavelets, and lets you drag the taps."
    ),
    "tree": (
        "Every coefficient behind a_J[n], what it is made from, and what the two memories keep. Circles are approximations a, "
        "squares details b; each line is a tap. <code>multires-ref explore</code> on your own machine lets you click any of them."
    ),
}


def export_page(path: str | Path) -> Path:
    """Write the page to play with as one HTML file: it holds all it needs, makes no request, and works without Python.

    Parameters
    ----------
    path : str or Path, ends in .html; its folder is made if it is not there, the file is written whole or not at all

    Returns
    -------
    Path of the file

    Raises
    ------
    ImportError
        If Bokeh is not installed.
    ValueError
        If the name does not end in .html.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"path must end in .html; got {str(path)!r}")
    import_from_extra("bokeh", PURPOSE, "explore")
    html = page_as_html()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, html.encode())
    return path


def page_as_html(wavelets: tuple[str, ...] = WAVELETS, depths: tuple[int, ...] = DEPTHS) -> str:
    """The whole page as text, with the states of these wavelets and of these depths, which follow each other."""
    from bokeh.embed import file_html
    from bokeh.models import CustomJS
    from bokeh.resources import INLINE

    choices = {"wavelet": wavelets, "depth": depths, "tree_select": SELECTS, "signal": SIGNALS}
    page, dark, pool = new_page("light"), new_page("dark"), Pool()
    recorder = Recorder(page.doc, page.root)
    frames = record(page, recorder, pool, choices)
    restrict(page, choices)
    differences = theme_differences(recorder, Recorder(dark.doc, dark.root), pool)
    store = stored(recorder, frames, differences, pool, choices)
    args = models_of(page, recorder, differences) | {"packed_store": packed(json.dumps(store).encode())}
    args |= {"packed_numbers": packed(pool.all_numbers().tobytes()), "about_stored": ABOUT}
    page.doc.js_on_event("document_ready", CustomJS(args=args, code=(HERE / "export.js").read_text()))
    page.settings_source.data = {"query": [""], "view": [store["first"]["view"]], "theme": [""], "views": [[*SETTINGS]]}
    template = TEMPLATE.replace("STYLE", (HERE / "page.css").read_text()).replace("<style>", f"{KEEP_ADDRESS}<style>")
    return file_html(page.doc, INLINE, title=page.doc.title, template=template, suppress_callback_warning=True)


def stored(recorder: Recorder, frames: Any, differences: Any, pool: Pool, choices: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    """What `export.js` unpacks, as JSON."""
    slots = [*recorder.touched]
    return {
        "attributes": [slot.attribute for slot in slots],
        "frames": {key: [frame.get(slot, -1) for slot in slots] for key, frame in frames.items()},
        "themes": [[*pair] for _, *pair in differences],
        "theme_attributes": [slot.attribute for slot, *_ in differences],
        "values": pool.values,
        "settings": SETTINGS,
        "choices": choices,
        "first": first_state(choices),
        "python": memory_lines(choices),
        "taps": stored_taps(choices["wavelet"]),
        "memories": stored_memories(choices["wavelet"], choices["depth"], SELECTS),
        "signals": {name: built_in()[name].x[0].tolist() for name in SIGNALS},
        "looks": {name: looks_for(look, choices["depth"]) for name, look in LOOKS.items()},
    }


def models_of(page: Page, recorder: Recorder, differences: Any) -> dict[str, Any]:
    """The models that `export.js` reads and changes, by the names that it has for them."""
    return {
        "models": [recorder.follow(slot.path) for slot in recorder.touched],
        "theme_models": [recorder.follow(slot.path) for slot, *_ in differences],
        "figures": computed_figures(page),
        "sources": {name: page.desk.sources[name] for name in COMPUTED},
        "widgets": {name: page.controls[name].widget for name in LIVE},
        "theme_button": page.root.select_one({"name": "theme"}),
        "ask": page.ask,
        "answer": page.answer,
        "page": page.settings_source,
        "tabs": page.tabs,
        "about": page.about,
        "lines": page.python,
    }


def packed(data: bytes) -> str:
    """Compressed, in letters that a script can hold; the same bytes each time."""
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def new_page(theme: str) -> Page:
    """The served page in a document of its own, all stored views opened."""
    from bokeh.document import Document

    page = Page(Document(), Desk(State(theme=theme), Material()))
    for view in (*SETTINGS, next(iter(SETTINGS))):
        page.desk.change(view=view)
    return page


def first_state(choices: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    """The settings with which the page opens: the served page's own where they are stored, otherwise the first stored ones."""
    own = State()
    found = {name: getattr(own, name) if getattr(own, name) in some else some[0] for name, some in choices.items()}
    return found | {"view": next(iter(SETTINGS)), "theme": "light", "n": own.n}


def record(page: Page, recorder: Recorder, pool: Pool, choices: dict[str, tuple[Any, ...]]) -> dict[str, dict[Slot, int]]:
    """Send the page through all states: for each, by "view|wavelet|depth|...", the number in the pool of every slot's value.

    A frame holds the slots of its view and those around the pictures. Those that `export.js` computes are left out.
    """
    frames: dict[str, dict[Slot, int]] = {}
    fixed = {page.desk.sources[name].id for name in COMPUTED} | {page.settings_source.id}
    fixed |= {model.id for figure in computed_figures(page).values() for model in (figure.title, figure.x_range, figure.y_range)}
    fixed.add(page.root.select_one({"name": "n"}).id)
    with page.doc.models.freeze():  # otherwise Bokeh looks at all models after each change
        for view, names in SETTINGS.items():
            for values in product(*(choices[name] for name in names)):
                page.desk.change(view=view, **dict(zip(names, values, strict=True)))
                if page.desk.message:
                    raise ValueError(f"the view {view} of {values} cannot be stored: {page.desk.message}")
                key = "|".join(map(str, (view, *values)))
                frames[key] = {slot: put(pool, slot, recorder.value(slot)) for slot in recorder.touched}
        page.desk.change(**first_state(choices) | {"theme": "light"})
    recorder.touched = {slot: None for slot in recorder.touched if recorder.follow(slot.path).id not in fixed}
    for key, frame in frames.items():
        own = [slot for slot in recorder.touched if owner_of(slot, page, recorder) in ("", key.split("|")[0])]
        frames[key] = {slot: frame[slot] if slot in frame else put(pool, slot, recorder.first[slot]) for slot in own}
    return frames


def put(pool: Pool, slot: Slot, value: Any) -> int:
    """The number of a slot's value in the pool."""
    return pool.add_columns(value) if slot.attribute == "data" else pool.add(value)


def owner_of(slot: Slot, page: Page, recorder: Recorder) -> str:
    """The view whose picture the slot belongs to; "" for what is around the pictures, and for which of them is visible."""
    place = recorder.paths[page.pictures.id]
    inside = slot.path[len(place) :] if slot.path[: len(place)] == place else ()
    if len(inside) < 2 or (len(inside) == 2 and slot.attribute == "visible"):
        return ""
    return [*page.desk.pictures][int(inside[1])]


def theme_differences(light: Recorder, dark: Recorder, pool: Pool) -> list[tuple[Slot, int, int]]:
    """What differs between the pages of the two themes and is not touched: the slot, and the numbers of its two values."""
    if differing := light.models.keys() ^ dark.models.keys():
        raise ValueError(f"the pages of the two themes must have the same models; they differ in {[*differing][:3]}")
    before, after = light.first, dark.first
    slots = [slot for slot in before if slot in after and slot not in light.touched and slot.attribute != "data"]
    return [(slot, pool.add(before[slot]), pool.add(after[slot])) for slot in slots if not same(before[slot], after[slot])]


def memory_lines(choices: dict[str, tuple[Any, ...]]) -> dict[str, str]:
    """The lines of Python of the memory, by "wavelet|depth|tree_select|signal"."""
    states = product(*choices.values())
    found = {}
    for values in states:
        settings = dict(zip(choices, values, strict=True))
        found["|".join(map(str, values))] = VIEWS["memory"].python(State(**settings), Material())
    return found


def looks_for(look: Any, depths: tuple[int, ...]) -> dict[str, Any]:
    """The colours that stand in the sources' columns: of the levels of each depth, of ink, paper and what is beside the point."""
    return {"levels": {J: look.levels(J) for J in depths}, "ink": look.ink, "paper": look.paper, "quiet": look.quiet}


def computed_figures(page: Page) -> dict[str, Any]:
    """The figures whose axes and titles follow the cursor."""
    drawn = {
        "memory": {"signal": "samples", "bars": "bars", "fading": "past", "uniform": "past", "last": "past"},
        "filters": {"kept": "kept_past"},
    }
    found = {}
    for view, names in drawn.items():
        for name, source in names.items():
            found[name] = figure_with(page, view, source, name if source == "past" else "")
    return found


def figure_with(page: Page, view: str, source: str, column: str) -> Any:
    """The figure of a view that draws from a source, and, where it is given, draws that column of it."""
    from bokeh.models import Plot

    for _, model in models_below(page.desk.pictures[view].layout):
        if isinstance(model, Plot):
            drawn = [glyph for glyph in model.renderers if getattr(glyph, "data_source", None) is page.desk.sources[source]]
            if drawn and (not column or any(plain(glyph.glyph.y) in (column, {"field": column}) for glyph in drawn)):
                return model
    raise ValueError(f"the view {view} must have a figure on the source {source!r} {column}")


def restrict(page: Page, choices: dict[str, tuple[Any, ...]]) -> None:
    """Leave the controls that work without Python, with the stored choices."""
    for name, control in page.controls.items():
        if name not in LIVE:
            control.widget.visible = False
    page.controls["wavelet"].widget.options = [*choices["wavelet"]]
    page.controls["signal"].widget.options = [*choices["signal"]]
    page.controls["depth"].widget.update(start=min(choices["depth"]), end=max(choices["depth"]))
