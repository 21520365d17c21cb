"""The page in one file: what is stored, and what a browser makes of it without Python, against NumPy; and that it asks nobody."""

import gzip
import json
import re
import sys
from base64 import b64decode
from collections.abc import Iterator

import numpy as np
import pytest
from browser import data_of, open_page, set_value, wait_until, wait_until_it_fits

from multires_ref.explore.curves import strip_title
from multires_ref.explore.look import LOOKS
from multires_ref.explore.recordings import built_in
from multires_ref.explore.remember import KINDS, memory_of, recovered
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


@pytest.fixture(scope="module")
def opened(browser, file) -> Iterator[tuple]:
    """The page, opened once, and the addresses that it asked for."""
    asked: list[str] = []
    with open_page(browser) as page:
        page.on("request", lambda request: asked.append(request.url))
        ready(page, file)
        yield page, asked


@pytest.fixture
def stored(opened):
    """The opened page, in its first state."""
    page, _ = opened
    choose(page, view="memory", wavelet="db2", depth=3, tree_select="fading", signal="ECG", n=540)
    choose(page, view="filters")
    return page


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


@pytest.mark.parametrize("view", ["filters", "tree", "responses"])
def test_wavelet_and_depth_change_the_pictures(stored, view):
    choose(stored, view=view)
    for wavelet, depth in (("haar", 3), ("db2", 4)):
        choose(stored, wavelet=wavelet, depth=depth)
        state = State(view=view, wavelet=wavelet, depth=depth)
        shows(stored, state, left_out=("light", "kept_error"))
        assert stored.evaluate("multires.find('python').text") == VIEWS[view].python(state, Material())


def test_the_cursor_moves_the_memory(stored):
    choose(stored, view="memory", depth=4)
    moves = ({"n": 3}, {"n": 900, "signal": "steps"}, {"tree_select": "uniform"}, {"signal": "chirp", "n": 0}, {"n": 1023})
    for settings in moves:
        choose(stored, **settings)
        state = State(view="memory", wavelet="db2", depth=4, **settings_of(stored))
        assert all(getattr(state, name) == value for name, value in settings.items())
        shows(stored, state, left_out=("errors",))
        assert stored.evaluate("multires.find('python').text") == VIEWS["memory"].python(state, Material())
        titles = stored.evaluate("Array.from(Bokeh.documents[0]._all_models.values()).map(m => m.title?.text)")
        for kind, error in zip(KINDS, recovered(state, Material(), KINDS)[1], strict=True):
            assert strip_title(kind, 5, error) in titles


def settings_of(page) -> dict:
    """Signal, cursor and TreeSelect as the page's controls have them."""
    signal, n, select = page.evaluate("['signal', 'n', 'tree_select'].map(multires.find).map(w => w.value ?? w.active)")
    return {"signal": signal, "n": n, "tree_select": ["fading", "uniform"][select]}


def test_the_memory_that_the_filters_show_is_that_of_the_cursor(stored):
    choose(stored, view="memory", n=321, signal="chirp", tree_select="uniform")
    choose(stored, view="filters", wavelet="haar")
    state = State(wavelet="haar", depth=3, n=321, signal="chirp", tree_select="uniform")
    shows(stored, state, left_out=("light", "kept_error"))


def test_keys_choose_a_view_and_move_the_cursor(stored):
    stored.keyboard.press("4")
    wait_until(stored, lambda: stored.evaluate("multires.find('view').active") == 3)
    n = data_of(stored, "cursor")["n"][0]
    stored.keyboard.press("ArrowRight")
    stored.keyboard.press("Shift+ArrowRight")
    wait_until(stored, lambda: data_of(stored, "cursor")["n"] == [n + 17])
    stored.keyboard.press("Home")
    wait_until(stored, lambda: data_of(stored, "cursor")["n"] == [0])


def test_a_tap_goes_back_to_where_it_belongs(stored):
    """Taps are stored, not computed: what a key moves for a moment is drawn again as it is."""
    stored.keyboard.press("ArrowUp")
    wanted = VIEWS["filters"].data(State(wavelet="db2", depth=3), Material())["h0"]["value"].astype("float32").tolist()
    wait_until(stored, lambda: data_of(stored, "h0")["value"] == wanted)


def test_the_page_asked_nobody(opened, file):
    """After all that the tests above did to it."""
    page, asked = opened
    assert [address for address in asked if not address.startswith(("data:", "blob:"))] == [file]


def test_an_address_chooses_a_state_and_what_it_says_wrongly_is_left_out(page, file):
    ready(page, f"{file}?view=memory&wavelet=haar&depth=4&n=77&signal=steps&tree_select=none&K=3")
    shows(page, State(view="memory", wavelet="haar", depth=4, n=77, signal="steps"), left_out=("errors",))


def test_light_and_dark(browser, file):
    """Dark, as the browser prefers, then light, with the button."""
    papers = "Array.from(Bokeh.documents[0]._all_models.values()).map(m => m.background_fill_color)"
    with open_page(browser, color_scheme="dark") as page:
        ready(page, file)
        for theme, other in (("dark", "light"), ("light", "dark")):
            wait_until(page, lambda theme=theme: page.evaluate("document.documentElement.dataset.theme") == theme)
            for view, left_out in (("memory", ("errors",)), ("tree", ())):
                choose(page, view=view)
                shows(page, State(view=view, wavelet="db2", depth=3, theme=theme), left_out=left_out)
            drawn = {p["value"] if isinstance(p, dict) else p for p in page.evaluate(papers)}
            assert LOOKS[theme].paper in drawn
            assert LOOKS[other].paper not in drawn
            page.get_by_text("light / dark").click()


def test_nothing_is_wider_than_the_page(stored):
    for width in (400, 800, 1280):
        stored.set_viewport_size({"width": width, "height": 800})
        for view in ("filters", "tree", "responses", "memory"):
            choose(stored, view=view)
            wait_until_it_fits(stored, width)
