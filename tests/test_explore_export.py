"""The page in one file: what is stored, and what a browser makes of it without Python, against NumPy; and that it asks nobody."""

import gzip
import json
import re
import sys
from base64 import b64decode

import numpy as np
import pytest
from browser import data_of, open_page, set_value, wait_until

from multires_ref.explore.look import LOOKS
from multires_ref.explore.recordings import built_in
from multires_ref.explore.remember import memory_of, recovered
from multires_ref.explore.state import State
from multires_ref.explore.stored_memory import stored_memories, stored_taps
from multires_ref.explore.view import Material
from multires_ref.explore.views import VIEWS
from multires_ref.memories import past, recover_past

WAVELETS, DEPTHS = ("haar", "db2"), (3, 4)
STORED = {"rtol": 1e-6, "atol": 1e-7}  # stored as float32
COMPUTED = {"rtol": 1e-7, "atol": 1e-8}  # computed in the browser, in double precision


def agree(found, wanted, **tolerance) -> None:
    """Columns as a page holds them against those of NumPy: numbers, texts, and lists of arrays."""
    assert found.keys() == wanted.keys()
    for name, column in wanted.items():
        one, other = found[name], list(column)
        assert len(one) == len(other), name
        if len(other) and isinstance(other[0], (np.ndarray, list)):
            for part, rightly in zip(one, other, strict=True):
                np.testing.assert_allclose(part, rightly, err_msg=name, **tolerance)
        elif len(other) and isinstance(other[0], str):
            assert list(one) == other, name
        else:
            np.testing.assert_allclose(one, np.array(other, float), err_msg=name, **tolerance)


# without a browser


@pytest.mark.parametrize("select", ["fading", "uniform"])
def test_the_small_matrix_recovers_the_past(select):
    """M^T G z is the least-squares past, for filters that are and are not orthogonal, and M's rows are what is stored of it."""
    for wavelet in ("db2", "bior2.2"):
        state = State(wavelet=wavelet, depth=4, tree_select=select)
        memory = memory_of(state, select)
        stored = stored_memories((wavelet,), (4,), (select,))[f"{wavelet}|4|{select}"]
        z = memory.M @ past(built_in()["ECG"].x[0], 600, memory.M.shape[1])
        np.testing.assert_allclose(memory.M.T @ np.array(stored["G"]) @ z, recover_past(z, memory.M), rtol=1e-8, atol=1e-9)
        assert stored["rows"] == [[row.kind, row.level, row.lag] for row in memory.rows]


def test_taps_are_stored_in_double_precision():
    import pywt

    assert stored_taps(("db3",)) == {"db3": [list(pywt.Wavelet("db3").dec_lo), list(pywt.Wavelet("db3").dec_hi)]}


def test_a_file_of_another_kind_is_refused_before_any_work(tmp_path):
    from multires_ref.explore.export import export_page

    with pytest.raises(ValueError, match=r"path must end in \.html; got '.*page\.pdf'"):
        export_page(tmp_path / "page.pdf")


def test_without_bokeh_one_line_says_what_to_install(tmp_path, monkeypatch):
    from multires_ref.explore.export import export_page

    for name in [name for name in sys.modules if name.split(".")[0] == "bokeh"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(ImportError, match=r"^the exported page needs bokeh: pip install 'multires-ref\[explore\]'$"):
        export_page(tmp_path / "page.html")
    assert not [*tmp_path.iterdir()]


# what is stored


@pytest.fixture(scope="module")
def html() -> str:
    """A small page: two wavelets, two depths."""
    pytest.importorskip("bokeh", reason="bokeh is not installed")
    from multires_ref.explore.export import page_as_html

    return page_as_html(WAVELETS, DEPTHS)


def test_the_file_is_written_whole_or_not_at_all(html, tmp_path, monkeypatch):
    from multires_ref.explore import export

    monkeypatch.setattr(export, "page_as_html", lambda: html)
    path = export.export_page(str(tmp_path / "new" / "page.html"))
    assert path == tmp_path / "new" / "page.html"
    assert path.read_text() == html
    monkeypatch.setattr(export, "page_as_html", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export.export_page(path)
    assert path.read_text() == html
    assert [*path.parent.iterdir()] == [path]


def test_every_state_is_stored_once(html):
    texts = re.findall(r'"(packed_store|packed_numbers)","?([A-Za-z0-9+/=]*)', html.replace(" ", ""))
    store = json.loads(gzip.decompress(b64decode(dict(texts)["packed_store"])))
    wanted = [f"{view}|{w}|{J}" for view in ("filters", "tree", "responses") for w in WAVELETS for J in DEPTHS]
    wanted += [f"memory|{w}|{J}|{select}" for w in WAVELETS for J in DEPTHS for select in ("fading", "uniform")]
    assert list(store["frames"]) == wanted
    assert {len(frame) for frame in store["frames"].values()} == {len(store["attributes"])}


@pytest.mark.parametrize("view", ["filters", "tree", "memory"])
def test_dark_columns_are_the_light_ones_in_other_colours(view):
    """The page is recorded in the light theme only: `themed` of export.js maps the colours of the columns, as here."""
    light, dark = (VIEWS[view].data(State(depth=4, theme=theme), Material()) for theme in ("light", "dark"))
    pairs = zip(LOOKS["light"].levels(4), LOOKS["dark"].levels(4), strict=True)
    colours = dict(pairs) | {getattr(LOOKS["light"], n): getattr(LOOKS["dark"], n) for n in ("ink", "paper", "quiet")}
    for source, columns in light.items():
        for name, column in columns.items():
            is_colour = isinstance(column, list) and column and isinstance(column[0], str) and column[0].startswith("#")
            found = [colours[value] for value in column] if is_colour else column
            agree({name: found}, {name: dark[source][name]}, rtol=0)


@pytest.mark.slow
def test_the_whole_file_is_small(tmp_path):
    pytest.importorskip("bokeh", reason="bokeh is not installed")
    from multires_ref.explore.export import export_page

    assert export_page(tmp_path / "page.html").stat().st_size < 6e6


# in a browser


@pytest.fixture(scope="module")
def file(html, tmp_path_factory) -> str:
    """The address of the small page."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(html)
    return path.as_uri()


def ready(page, address: str) -> None:
    """Open the page and wait until its store is unpacked."""
    page.goto(address)
    page.wait_for_function("document.documentElement.dataset.ready === 'yes'")


def choose(page, **settings) -> None:
    """Use the controls by name; the cursor as its slider."""
    for name, value in settings.items():
        if name == "tree_select":
            page.evaluate("n => { multires.find('tree_select').active = n }", ["fading", "uniform"].index(value))
        elif name == "view":
            page.evaluate("n => { multires.find('view').active = n }", [*VIEWS].index(value))
        else:
            set_value(page, name, value)
    page.wait_for_timeout(30)


def shows(page, state: State, left_out: tuple[str, ...] = ()) -> None:
    """The sources of the view hold what NumPy gives for that state."""
    for source, columns in VIEWS[state.view].data(state, Material()).items():
        if source not in left_out:
            tolerance = COMPUTED if source in ("samples", "cursor", "seen", "bars", "past", "kept_past") else STORED
            agree(data_of(page, source), columns, **tolerance)


def test_the_page_asks_nobody(page, file):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    ready(page, file)
    for view in ("tree", "responses", "memory"):
        choose(page, view=view)
    assert [address for address in asked if not address.startswith(("data:", "blob:"))] == [file]


@pytest.mark.parametrize("view", ["filters", "tree", "responses"])
def test_wavelet_and_depth_change_the_pictures(page, file, view):
    ready(page, file)
    choose(page, view=view)
    for wavelet, depth in (("haar", 3), ("db2", 4), ("db2", 3)):
        choose(page, wavelet=wavelet, depth=depth)
        state = State(view=view, wavelet=wavelet, depth=depth)
        shows(page, state, left_out=("light", "kept_error"))
        lines = page.evaluate("multires.find('python').text")
        assert lines == VIEWS[view].python(state, Material())


def test_the_cursor_moves_the_memory(page, file):
    ready(page, file)
    choose(page, view="memory", wavelet="db2", depth=4)
    for settings in (
        {"n": 3},
        {"n": 900, "signal": "steps"},
        {"tree_select": "uniform"},
        {"signal": "chirp", "n": 0},
        {"n": 1023},
    ):
        choose(page, **settings)
        now = page.evaluate("multires.find('n').value")
        state = State(view="memory", wavelet="db2", depth=4, n=now, **settings_of(page))
        shows(page, state, left_out=("errors",))
        assert page.evaluate("multires.find('python').text") == VIEWS["memory"].python(state, Material())
        titles = page.evaluate("Array.from(Bokeh.documents[0]._all_models.values()).map(m => m.title?.text)")
        from multires_ref.explore.curves import strip_title
        from multires_ref.explore.remember import KINDS

        for kind, error in zip(KINDS, recovered(state, Material(), KINDS)[1], strict=True):
            assert strip_title(kind, 5, error) in titles


def settings_of(page) -> dict[str, str]:
    """Signal and TreeSelect as the page's controls have them."""
    select = page.evaluate("multires.find('tree_select').active")
    return {"signal": page.evaluate("multires.find('signal').value"), "tree_select": ["fading", "uniform"][select]}


def test_the_memory_that_the_filters_show_is_that_of_the_cursor(page, file):
    ready(page, file)
    choose(page, view="memory", n=321, signal="chirp", tree_select="uniform")
    choose(page, view="filters", wavelet="haar", depth=3)
    state = State(wavelet="haar", depth=3, n=321, signal="chirp", tree_select="uniform")
    shows(page, state, left_out=("light", "kept_error"))


def test_keys_choose_a_view_and_move_the_cursor(page, file):
    ready(page, file)
    page.keyboard.press("4")
    wait_until(page, lambda: page.evaluate("multires.find('view').active") == 3)
    n = data_of(page, "cursor")["n"][0]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    wait_until(page, lambda: data_of(page, "cursor")["n"] == [n + 17])
    page.keyboard.press("Home")
    wait_until(page, lambda: data_of(page, "cursor")["n"] == [0])


def test_a_tap_goes_back_to_where_it_belongs(page, file):
    """Taps are stored, not computed: what a key moves for a moment is drawn again as it is."""
    ready(page, file)
    page.keyboard.press("ArrowUp")
    page.wait_for_timeout(100)
    shows(page, State(wavelet="db2", depth=3), left_out=("light", "kept_error"))


def test_an_address_chooses_a_state_and_what_it_says_wrongly_is_left_out(page, file):
    ready(page, f"{file}?view=memory&wavelet=haar&depth=4&n=77&signal=steps&tree_select=none&K=3")
    shows(page, State(view="memory", wavelet="haar", depth=4, n=77, signal="steps"), left_out=("errors",))


def test_light_and_dark(browser, file):
    for scheme in ("light", "dark"):
        with open_page(browser, color_scheme=scheme) as page:
            ready(page, file)
            for theme in (scheme, {"light": "dark", "dark": "light"}[scheme]):
                wait_until(page, lambda theme=theme: page.evaluate("document.documentElement.dataset.theme") == theme)
                choose(page, view="memory")
                shows(page, State(view="memory", wavelet="db2", depth=3, theme=theme), left_out=("errors",))
                choose(page, view="tree")
                shows(page, State(view="tree", wavelet="db2", depth=3, theme=theme))
                papers = "Array.from(Bokeh.documents[0]._all_models.values()).map(m => m.background_fill_color)"
                drawn = {p["value"] if isinstance(p, dict) else p for p in page.evaluate(papers)} - {None}
                assert LOOKS[theme].paper in drawn
                assert LOOKS[{"light": "dark", "dark": "light"}[theme]].paper not in drawn
                page.get_by_text("light / dark").click()


@pytest.mark.parametrize("width", [400, 800, 1280])
def test_nothing_is_wider_than_the_page(browser, file, width):
    with open_page(browser, viewport={"width": width, "height": 800}) as page:
        ready(page, file)
        for view in ("filters", "tree", "responses", "memory"):
            choose(page, view=view)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view
