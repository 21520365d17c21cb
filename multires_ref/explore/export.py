"""`multires-ref explore --export FILE.html`: the page as one file that works without Python, on any web server or from a disk.

It is the served page: the same function builds it, the same `client.js` serves keys and pointer. In Python's place stands
`export.js`, which answers from a store: what the page looks like for a dozen wavelets and several depths, in light and dark,
recorded by `record.py` while the page goes through these states; and what the memory's cursor needs for any time, which is
computed in the browser by two small matrix products (see `stored_memory.py`).
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

from ..base.files import write_whole
from ..base.optional import import_from_extra
from .desk import Desk
from .page import Page
from .record import Pool, Recorder, Slot, same
from .state import State
from .view import Material

HERE = Path(__file__).parent
WAVELETS = ("haar", "db2", "db3", "db4", "db6", "db8", "sym4", "sym8", "coif1", "coif2", "bior2.2", "bior4.4")
DEPTHS = (2, 3, 4, 5, 6, 7, 8)
SELECTS = ("fading", "uniform")
SIGNALS = ("ECG", "chirp", "steps")
GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {  # which settings each view is stored for
    "filters": {"wavelet": WAVELETS, "depth": DEPTHS},
    "tree": {"wavelet": WAVELETS, "depth": DEPTHS},
    "responses": {"wavelet": WAVELETS, "depth": DEPTHS},
    "memory": {"wavelet": WAVELETS, "depth": DEPTHS, "tree_select": SELECTS, "signal": SIGNALS},
}
THEMES = ("light", "dark")
LIVE = ("wavelet", "depth", "tree_select", "signal", "n")  # the controls that work without Python; the others are hidden
PURPOSE = "the exported page"


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


def page_as_html() -> str:
    """The whole page as text."""
    from bokeh.embed import file_html
    from bokeh.models import CustomJS
    from bokeh.resources import INLINE

    pages = [new_page(theme) for theme in THEMES]
    page, store = pages[0], record(pages)
    restrict(page)
    args = store | {"ask": page.ask, "answer": page.answer, "page": page.told}
    args |= {"widgets": {name: page.controls[name].widget for name in LIVE if name in page.controls}}
    args["first"] = {name: getattr(page.desk.state, name) for name in LIVE}
    args |= {"tabs": page.tabs, "theme_button": page.root.select_one({"name": "theme"})}
    page.doc.js_on_event("document_ready", CustomJS(args=args, code=(HERE / "export.js").read_text()))
    return file_html(page.doc, INLINE, title=page.doc.title, template=page.doc.template, suppress_callback_warning=True)


def new_page(theme: str) -> Page:
    """The served page in a document of its own, all stored views opened."""
    from bokeh.document import Document

    page = Page(Document(), Desk(State(theme=theme), Material()))
    for view in (*GRIDS, next(iter(GRIDS))):
        page.desk.change(view=view)
    return page


def first_state() -> dict[str, Any]:
    """The settings with which the page opens: the served page's own where they are stored, otherwise the first stored ones."""
    found = {"view": next(iter(GRIDS))}
    for grid in GRIDS.values():
        for name, choices in grid.items():
            own = getattr(State(), name)
            found[name] = own if own in choices else choices[0]
    return found


def states_of(view: str) -> list[dict[str, Any]]:
    """The settings for which a view is stored."""
    grid = GRIDS[view]
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def record(pages: list[Page]) -> dict[str, Any]:
    """Send each page, of one theme, through all states, and return what `export.js` needs.

    Returns
    -------
    models, attributes : of the slots, in order
    frames : {"view|theme|setting|...": for each slot the number of its value in the pool, or -1: it is another view's}
    themes : for each theme {slot: number of a value}, what differs between the themes in all states
    grids : {view: names of its settings};  values, numbers : the pool's
    """
    pool, recorders = Pool(), [Recorder(page.doc, page.root) for page in pages]
    taken: dict[str, dict[Slot, int]] = {}
    for theme, page, recorder in zip(THEMES, pages, recorders, strict=True):
        with page.doc.models.freeze():  # otherwise every new ticker makes Bokeh look at all models
            for view in GRIDS:
                for settings in states_of(view):
                    take(page, recorder, pool, taken, {"view": view, "theme": theme} | settings)
        page.desk.change(**first_state(), theme=theme)
    slots, fixed = common_slots(pages, recorders), theme_differences(pages, recorders, pool)
    everywhere = [*dict.fromkeys([*slots, *(slot for one in fixed for slot in one)])]
    frames = {}
    for key, frame in taken.items():
        view, theme = key.split("|")[:2]
        recorder, page = recorders[THEMES.index(theme)], pages[THEMES.index(theme)]
        own = {slot for slot in slots if owner_of(slot, page, recorder) in ("", view)}
        first = {slot: pool.add(recorder.first[slot]) for slot in own if slot not in frame}
        frames[key] = [(frame | first)[slot] if slot in own else -1 for slot in everywhere]
    place = {slot: n for n, slot in enumerate(everywhere)}
    return {
        "models": [recorders[0].follow(slot.path) for slot in everywhere],
        "attributes": [slot.attribute for slot in everywhere],
        "frames": frames,
        "themes": {
            theme: [[place[slot], number] for slot, number in one.items()] for theme, one in zip(THEMES, fixed, strict=True)
        },
        "grids": {view: [*grid] for view, grid in GRIDS.items()},
        "values": pool.values,
        "numbers": pool.all_numbers(),
    }


def take(page: Page, recorder: Recorder, pool: Pool, taken: dict[str, dict[Slot, int]], settings: dict[str, Any]) -> None:
    """Bring a page into a state, and keep the values of all that was touched until now."""
    page.desk.change(**settings)
    if page.desk.message:
        raise ValueError(f"the state {settings} cannot be stored: {page.desk.message}")
    taken["|".join(map(str, settings.values()))] = {slot: pool.add(recorder.value(slot)) for slot in recorder.touched}


def common_slots(pages: list[Page], recorders: list[Recorder]) -> list[Slot]:
    """What was touched on any page; all pages have the same models. What the browser is told, `export.js` says."""
    told = recorders[0].paths[pages[0].told.id]
    return [*dict.fromkeys(slot for recorder in recorders for slot in recorder.touched if slot.path != told)]


def owner_of(slot: Slot, page: Page, recorder: Recorder) -> str:
    """The view whose picture the slot belongs to; "" for what is around the pictures, and for which of them is visible."""
    place = recorder.paths[page.pictures.id]
    inside = slot.path[len(place) :] if slot.path[: len(place)] == place else ()
    if len(inside) < 2 or (len(inside) == 2 and slot.attribute == "visible"):
        return ""
    return [*page.desk.pictures][int(inside[1])]


def theme_differences(pages: list[Page], recorders: list[Recorder], pool: Pool) -> list[dict[Slot, int]]:
    """What differs between the pages of two themes before anything is touched, and is never touched."""
    light, dark = (recorder.first for recorder in recorders)
    if differing := recorders[0].models.keys() ^ recorders[1].models.keys():
        raise ValueError(f"the pages of the two themes must have the same models; they differ in {[*differing][:3]}")
    touched = set(common_slots(pages, recorders))
    differing = [slot for slot in light if slot in dark and slot not in touched and not same(light[slot], dark[slot])]
    return [{slot: pool.add(recorder.first[slot]) for slot in differing} for recorder in recorders]


def restrict(page: Page) -> None:
    """Leave the controls that work without Python, with the stored choices."""
    for name, control in page.controls.items():
        if name not in LIVE:
            control.widget.visible = False
    page.controls["wavelet"].widget.options = [*WAVELETS]
    page.controls["depth"].widget.update(start=DEPTHS[0], end=DEPTHS[-1])
