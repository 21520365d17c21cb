"""The view of a trained network in a real browser: what its controls change is what NumPy gives; a bad file is one sentence."""

from collections.abc import Iterator

import numpy as np
import pytest
from browser import data_of, open_page, serve, set_value, wait_until, wait_until_it_fits

from multires_ref.explore.state import State
from multires_ref.explore.trained import Trained, open_trained
from multires_ref.explore.view import Material
from multires_ref.explore.views import VIEWS

DIGITS = "figures/data/digits.safetensors"


@pytest.fixture(scope="module")
def trained() -> Trained:
    return open_trained(DIGITS)


@pytest.fixture(scope="module")
def page(browser) -> Iterator:
    """The served page, opened once; an error in its console fails the last test."""
    with serve(DIGITS) as address, open_page(browser) as page:
        page.goto(address)
        data_of(page, "network_taps")
        yield page


def shows(page, trained: Trained, **settings) -> None:
    """Wait until the taps are those of the settings, then hold every source to NumPy."""
    wanted = VIEWS["network"].data(State(view="network", **settings), Material(trained=trained))

    def arrived() -> bool:
        found = data_of(page, "network_taps"), data_of(page, "network_outputs"), data_of(page, "network_cursor")
        asked = wanted["network_taps"], wanted["network_outputs"], wanted["network_cursor"]
        return (
            all(
                np.array_equal(one[name], np.array(other[name]))
                for one, other in zip(found, asked, strict=True)
                for name in other
                if len(one[name]) == len(other[name])
            )
            and data_of(page, "network_decision")["part"] == wanted["network_decision"]["part"].tolist()
        )

    def all_arrived() -> bool:
        try:
            hold_to(page, wanted)
        except (AssertionError, ValueError):  # ValueError: a column of another length
            return False
        return True

    wait_until(page, lambda: arrived() and all_arrived())
    hold_to(page, wanted)


def hold_to(page, wanted) -> None:
    """Every source of the page has the numbers and texts of NumPy."""
    for source, columns in wanted.items():
        found = data_of(page, source)
        for name, column in columns.items():
            flat = np.concatenate([np.ravel(part) for part in found[name]]) if name == "image" else found[name]
            wanted_column = np.ravel(column[0]) if name == "image" else column
            if isinstance(wanted_column[0], str):
                assert list(flat) == list(wanted_column), (source, name)
            else:
                np.testing.assert_allclose(flat, wanted_column, rtol=1e-12, err_msg=f"{source}, {name}")


def test_a_checkpoint_loads(page, trained):
    shows(page, trained)
    assert "seed 1" in page.evaluate("Bokeh.documents[0].get_model_by_name('network_about').text")
    words = f"True: <b>{trained.shown(0).truth}</b>. The network answers: <b>{trained.answer(0)}</b>."
    wait_until(page, lambda: page.evaluate("Bokeh.documents[0].get_model_by_name('network_example').text") == words)


def test_layer_channel_example_class_and_time_change_the_pictures(page, trained):
    moves = {"layer": 2, "channel": 17, "example": 5, "target": 4, "n": 33}
    for name, value in moves.items():
        set_value(page, f"network_choose_{name}", str(value) if name in ("layer", "target") else value)
    shows(page, trained, **moves)


def test_a_click_on_a_point_chooses_its_channel(page, trained):
    page.evaluate("Bokeh.documents[0].get_model_by_name('network_paths_h0').selected.indices = [30]")
    wait_until(page, lambda: page.evaluate("Bokeh.documents[0].get_model_by_name('network_choose_channel').value") == 30)
    page.get_by_text("the strongest channel").click()
    layer = int(page.evaluate("Bokeh.documents[0].get_model_by_name('network_choose_layer').value"))
    strongest = trained.strongest(layer)
    wait_until(page, lambda: page.evaluate("Bokeh.documents[0].get_model_by_name('network_choose_channel').value") == strongest)


def test_a_bad_checkpoint_is_one_sentence_and_the_page_goes_on(page, trained):
    set_value(page, "network_open", "tests/test_links.py")
    message = "Bokeh.documents[0].get_model_by_name('message')"
    wait_until(page, lambda: page.evaluate(f"{message}.visible"))
    assert "must be a run folder or end in" in page.evaluate(f"{message}.text")
    moves = {"layer": 0, "channel": 1, "example": 8, "target": 0, "n": 10}
    for name, value in moves.items():
        set_value(page, f"network_choose_{name}", str(value) if name in ("layer", "target") else value)
    shows(page, trained, **moves)


def test_nothing_is_wider_than_the_page(page):
    for width in (400, 800, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        wait_until_it_fits(page, width)
