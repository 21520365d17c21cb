"""The page in a real browser: no view complains, a dragged tap and a moved cursor change the pictures to what NumPy gives."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np
import pytest

pytest.importorskip("bokeh", reason="bokeh is not installed")

from browser import data_of, open_page, serve, set_value, wait_for_model, wait_until, wait_until_it_fits

from multires_ref.explore.state import State
from multires_ref.explore.view import Material
from multires_ref.explore.views import VIEWS

SOURCES = {"filters": "gains", "tree": "nodes", "responses": "impulses", "memory": "bars"}
SINGLE = {"rtol": 1e-6, "atol": 1e-9}

# where a point of the picture that draws the source `name` lies on the screen
PLACE = """([name, x, y]) => {
    const source = Bokeh.documents[0].get_model_by_name(name)
    const draws = view => view.model.renderers?.some(r => r.data_source === source) && view.frame
    const search = view => draws(view) ? view : [...(view.child_views ?? [])].map(search).find(found => found)
    const figure = Bokeh.index.roots.map(search).find(found => found)
    figure.el.scrollIntoView({block: "center"})
    const box = figure.el.getBoundingClientRect()
    return [box.x + figure.frame.x_scale.compute(x), box.y + figure.frame.y_scale.compute(y)]
}"""


@pytest.fixture(scope="module")
def address():
    """One server for all tests of this file."""
    with serve() as at:
        yield at


def open_view(page, address, state):
    """Go to a state of the page, and wait until it is drawn."""
    page.goto(address + "?" + urlencode(state.to_query()))
    wait_for_model(page, SOURCES[state.view])
    page.wait_for_function("window.multires !== undefined")
    page.wait_for_timeout(300)


def state_of(page):
    """The settings that the address says."""
    return State.from_query(dict(parse_qsl(urlsplit(page.url).query)))[0]


def text_of(page, name):
    """The words of a Div."""
    return page.evaluate("name => Bokeh.documents[0].get_model_by_name(name).text", name)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (800, "dark")])
def test_a_view_opens_without_an_error_and_fits_the_width(browser, address, name, width, scheme):
    with open_page(browser, viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
        open_view(page, address, State(view=name, depth=4))
        wait_until(
            page, lambda: page.evaluate("document.documentElement.dataset.theme ?? ''") == {"dark": "dark"}.get(scheme, "")
        )
        wait_until_it_fits(page, width)
        data, drawn = VIEWS[name].data(State(view=name, depth=4), Material()), data_of(page, SOURCES[name])
        assert len(next(iter(drawn.values()))) == len(next(iter(data[SOURCES[name]].values())))
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(23, 25, 28)" if scheme == "dark" else "rgb(255, 255, 255)")


def test_a_dragged_tap_changes_the_responses_to_what_numpy_gives(page, address):
    open_view(page, address, State(depth=4))
    before = data_of(page, "h0")["value"]
    page.mouse.move(*page.evaluate(PLACE, ["h0", 2, before[2]]))
    page.mouse.down()
    to = page.evaluate(PLACE, ["h0", 2.3, 0.25])  # a little beside: the lag is fixed
    page.mouse.move(*to, steps=8)
    page.mouse.up()
    wait_until(page, lambda: state_of(page).wavelet == "own" and abs(state_of(page).h0[2] - 0.25) < 0.01)
    wait_until(page, lambda: np.allclose(data_of(page, "h0")["value"], state_of(page).h0, **SINGLE))  # the address follows
    page.wait_for_timeout(300)  # five times a second
    state, taps = state_of(page), data_of(page, "h0")
    assert taps["lag"] == [0, 1, 2, 3]
    np.testing.assert_allclose(taps["value"], state.h0, **SINGLE)
    np.testing.assert_allclose(np.delete(taps["value"], 2), np.delete(before, 2), **SINGLE)
    expected = VIEWS["filters"].data(state, Material())
    wait_until(page, lambda: np.allclose(data_of(page, "gains")["decibels"], expected["gains"]["decibels"], **SINGLE))
    wait_until(page, lambda: "Does not reconstruct" in text_of(page, "light_words"))
    np.testing.assert_allclose(data_of(page, "error")["error"], expected["error"]["error"], rtol=1e-6, atol=1e-12)
    page.keyboard.press("ArrowUp")  # the tap that was dragged is the chosen one
    wait_until(page, lambda: abs(data_of(page, "h0")["value"][2] - taps["value"][2] - 0.02) < 1e-9)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("h")
    page.keyboard.press("ArrowDown")
    wait_until(page, lambda: abs(state_of(page).h1[1] - state.h1[1] + 0.02) < 1e-4)


def test_the_cursor_moves_the_memory(page, address):
    state = State(view="memory", depth=4, n=400)
    open_view(page, address, state)

    def shown(n):
        expected = VIEWS["memory"].data(State(view="memory", depth=4, n=n), Material())
        same = np.allclose(data_of(page, "bars")["z"], expected["bars"]["z"], **SINGLE)
        return same and np.allclose(data_of(page, "past")["fading"], expected["past"]["fading"], **SINGLE)

    assert shown(400)
    page.keyboard.press("ArrowRight")
    wait_until(page, lambda: shown(401))
    page.keyboard.press("Shift+ArrowLeft")
    wait_until(page, lambda: shown(385))
    page.mouse.move(*page.evaluate(PLACE, ["samples", 385, 0]))
    page.mouse.down()
    page.mouse.move(*page.evaluate(PLACE, ["samples", 520, 0]), steps=6)
    page.mouse.up()
    wait_until(page, lambda: abs(state_of(page).n - 520) < 4 and shown(state_of(page).n))
    wait_until(page, lambda: data_of(page, "cursor")["n"] == [state_of(page).n])
    stood = state_of(page).n
    page.keyboard.press(" ")  # plays
    wait_until(page, lambda: state_of(page).n > stood + 10)
    page.keyboard.press(" ")
    page.keyboard.press("End")
    wait_until(page, lambda: shown(1023))


def test_a_click_chooses_a_coefficient(page, address):
    open_view(page, address, State(view="tree", wavelet="haar", depth=3))
    page.mouse.click(*page.evaluate(PLACE, ["nodes", -4, 1.83]))
    wait_until(page, lambda: "b₂[n−4]" in text_of(page, "formula"))
    wait_until(page, lambda: data_of(page, "weights")["lag"] == [4, 5, 6, 7])
    page.keyboard.press("ArrowRight")
    wait_until(page, lambda: "b₂[n] =" in text_of(page, "formula"))
    wait_until(page, lambda: (state_of(page).level, state_of(page).kind, state_of(page).lag) == (2, "b", 0))


def test_keys_and_buttons_change_the_view_and_an_address_brings_it_back(page, address):
    open_view(page, address, State(depth=3))
    page.keyboard.press("3")
    wait_until(page, lambda: state_of(page).view == "responses")
    page.get_by_role("button", name="The tree").click()
    wait_until(page, lambda: state_of(page).view == "tree")
    set_value(page, "wavelet", "sym4")
    wait_until(page, lambda: state_of(page).wavelet == "sym4")
    state, link = state_of(page), page.url
    page.goto("about:blank")
    page.goto(link)
    wait_for_model(page, "weights")
    expected = VIEWS["tree"].data(state, Material())["weights"]["weight"]
    np.testing.assert_allclose(data_of(page, "weights")["weight"], expected, **SINGLE)


def test_a_bad_file_is_answered_and_the_page_goes_on(page, address, tmp_path):
    bad, good = tmp_path / "bad.npy", tmp_path / "good.csv"
    bad.write_bytes(b"no array")
    good.write_text("left\n" + "\n".join(str(n % 7) for n in range(90)))
    open_view(page, address, State(view="memory", depth=3))
    for file in (bad, good):
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="your signal").click()
        chooser.value.set_files(file)
        if file == bad:
            wait_until(page, lambda: "bad.npy is truncated or is no .npy file" in text_of(page, "message"))
            wait_until(page, lambda: page.get_by_role("alert").is_visible())
    wait_until(page, lambda: data_of(page, "samples")["x"] == [n % 7 for n in range(90)])
    wait_until(page, lambda: not page.get_by_role("alert").is_visible())
    wait_until(page, lambda: data_of(page, "cursor")["n"] == [60])


def test_a_bad_address_is_answered_on_the_page(page, address):
    page.goto(address + "?view=memory&depth=deep&signal=nothing")
    wait_for_model(page, "message")
    wait_until(page, lambda: "depth must be a whole number" in text_of(page, "message"))
    assert "signal must be one of" in text_of(page, "message")
    wait_for_model(page, "gains")
    wait_until(page, lambda: len(data_of(page, "gains")["name"]) == State().depth + 1)


def test_the_lines_of_python_are_copied(browser, address):
    with open_page(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        open_view(page, address, State(view="responses", depth=2))
        page.get_by_role("button", name="copy as Python").click()
        wait_until(page, lambda: page.get_by_role("button", name="copied").is_visible())
        copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == VIEWS["responses"].python(State(view="responses", depth=2), Material())
