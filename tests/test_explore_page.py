"""The document that Bokeh serves: every view is built, a change reaches its sources, mistakes become sentences; the command."""

import base64
import io
import json
import signal
import socket
import subprocess
import sys
import urllib.request
from html import unescape

import numpy as np
import pytest

pytest.importorskip("bokeh", reason="bokeh is not installed")

from bokeh.document import Document
from bokeh.models import ColumnDataSource
from browser import free_port, serve

from multires_ref.cli import main
from multires_ref.explore import server
from multires_ref.explore.desk import Desk
from multires_ref.explore.page import Page
from multires_ref.explore.state import State
from multires_ref.explore.view import Material
from multires_ref.explore.views import VIEWS

NAMES = [name for name in VIEWS if name != "network"]


CHANGES = [{"wavelet": "db4"}, {"depth": 3}, {"tree_select": "uniform", "m": 9}, {"n": 123, "rate": 100.0, "signal": "steps"}]


def opened(state=None, problem=""):
    """A page and its document."""
    doc = Document()
    return Page(doc, Desk(state or State(), Material()), problem), doc


def ask(page, **values):
    """What the browser sends."""
    page.ask.data = {"kind": list(values), "value": [json.dumps(value) for value in values.values()], "number": [1] * len(values)}


def same(columns, others):
    """Whether the columns of a source are those of a view's data."""
    for name, column in columns.items():
        for a, b in zip(column, others[name], strict=True):
            np.testing.assert_array_equal(a, b)


def models(doc):
    """What is drawn: figures, their glyphs, the sources."""
    return {model for model in doc.models if type(model).__name__ in ("figure", "Figure", "ColumnDataSource", "GlyphRenderer")}


@pytest.mark.parametrize("name", NAMES)
def test_a_view_is_built_and_follows_every_change(name):
    page, doc = opened(State(view=name))
    before = models(doc)
    for state in CHANGES:
        page.desk.change(**state)
        assert page.desk.message == ""
        for source, columns in VIEWS[name].data(page.desk.state, Material()).items():
            same(columns, doc.get_model_by_name(source).data if source in DRAWN[name] else page.desk.data[source])
    assert models(doc) == before  # nothing was built anew
    assert page.python.text == VIEWS[name].python(page.desk.state, Material())


DRAWN = {
    "filters": {"h0", "h1", "gains", "scales", "error", "kept_past"},
    "tree": {"nodes", "pairs", "taps", "fading", "uniform", "chosen", "made_from", "field", "weights"},
    "responses": {"impulses", "points", "response"},
    "memory": {"samples", "cursor", "seen", "bars", "past"},
}


def test_every_source_that_is_drawn_has_a_name_of_its_own():
    page, doc = opened()
    for name in NAMES:
        page.desk.change(view=name)
    names = [model.name for model in doc.models if isinstance(model, ColumnDataSource) and model.name]
    assert sorted(names) == sorted({*names})
    assert set().union(*DRAWN.values()) <= set(names)


def test_dragged_taps_become_own_taps():
    page, doc = opened(State(wavelet="db2"))
    pair = {name: doc.get_model_by_name(name).data["value"].tolist() for name in ("h0", "h1")}
    pair["h0"][1] = 0.5
    ask(page, taps=pair)
    state = page.desk.state
    assert (state.wavelet, state.start, state.h0[1], list(state.h1)) == ("own", "db2", 0.5, pair["h1"])
    assert page.answer.data == {"number": [1]}
    assert doc.get_model_by_name("wavelet").value == "own"
    assert "Does not reconstruct" in doc.get_model_by_name("light_words").text
    ask(page, taps={"h0": [1.0], "h1": [2.0]})
    assert "at least 2" in page.desk.message
    assert page.desk.state == state


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"taps": {"h0": "x"}}, "could not use what the browser sent (taps)"),
        ({"n": -1}, "n must be between 0"),
        ({"n": "many"}, "n must be an integer"),
        ({"view": "nowhere"}, "view must be one of"),
        ({"unknown": 1}, "could not use what the browser sent (unknown)"),
        ({"file": {"name": "a.npy", "size": 3, "base64": "AAAA"}}, "a.npy is truncated"),
        ({"file": {"name": "a.npy"}}, "could not use what the browser sent (file)"),
    ],
)
def test_what_cannot_be_used_leaves_the_page_as_it_was(values, words):
    page, doc = opened()
    ask(page, **values)
    assert words in unescape(doc.get_model_by_name("message").text)
    assert doc.get_model_by_name("message").visible
    assert page.desk.state == State()
    ask(page, taps={"h0": [1.0, 2.0], "h1": [1.0, 2.0]})  # it goes on
    assert page.desk.state.h0 == (1.0, 2.0)
    assert not doc.get_model_by_name("message").visible


def test_the_controls_set_and_follow():
    page, doc = opened(State(view="memory"))
    widget = doc.get_model_by_name
    widget("wavelet").value = "random"
    assert widget("seed").visible
    widget("K").value = 6
    widget("seed").value = 5
    widget("depth").value = 3
    widget("tree_select").active = 1
    widget("m").value = 7
    widget("signal").value = "chirp"
    widget("rate").value = "250"
    state = State(view="memory", wavelet="random", K=6, seed=5, depth=3, tree_select="uniform", m=7, signal="chirp", rate=250.0)
    assert page.desk.state == state
    assert len(widget("bars").data["z"]) == 7
    widget("m").value = 60  # more than the tree has
    assert page.desk.state.m == len(widget("bars").data["z"]) == widget("m").value
    widget("rate").value = "fast"
    assert "rate must be a number" in page.desk.message
    widget("h0_text").value = "1, 2, 3"
    assert page.desk.state.h0 == (1.0, 2.0, 3.0)
    assert len(page.desk.state.h1) == 3
    widget("K").value = 2
    assert page.desk.state.h0 == (1.0, 2.0)


def test_a_signal_of_the_users_is_shown_and_keeps_to_its_page():
    page, doc = opened(State(view="memory"))
    x = np.random.default_rng(0).standard_normal((2, 300))
    out = io.BytesIO()
    np.save(out, x)
    ask(page, file={"name": "mine.npy", "size": 10, "base64": base64.b64encode(out.getvalue()).decode()})
    np.testing.assert_array_equal(doc.get_model_by_name("samples").data["x"], x[0])
    doc.get_model_by_name("channel").value = 1
    np.testing.assert_array_equal(doc.get_model_by_name("samples").data["x"], x[1])
    assert "read_signal('mine.npy')[0][1]" in page.python.text
    assert opened()[0].desk.material.recordings == {}
    for k in range(9):
        ask(page, file={"name": f"{k}.npy", "size": 10, "base64": base64.b64encode(out.getvalue()).decode()})
    assert "holds 8 files already" in page.desk.message


def drawn(page):
    """All colours of a page, in the order of its models."""
    models = [model for model in page.root.references() if "Figure" not in type(model).__name__]
    found = [(type(m).__name__, n, repr(getattr(m, n))) for m in models for n in m.properties() if n.endswith("color")]
    return sorted(found)


def test_light_and_dark():
    page, doc = opened(State(theme="dark"))
    paper = page.desk.look.paper
    page.desk.change(theme="light")
    assert page.desk.look.paper != paper
    assert page.settings_source.data["theme"] == ["light"]
    fresh, _ = opened(State(theme="light"))
    for there, new in zip(drawn(page), drawn(fresh), strict=True):
        assert there == new
    assert doc.get_model_by_name("h0").data["lag"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State(view="memory", signal="gone.npy", theme="dark"), "signal must be one of"),
        (State(view="network"), "has nothing to show"),
    ],
)
def test_a_link_to_what_is_not_there_shows_the_default_and_says_why(state, words):
    page, doc = opened(state, "One more problem.")
    assert page.desk.state == State(theme=state.theme)
    assert words in page.desk.message
    assert page.desk.message.startswith("One more problem.")
    page.desk.change(view="network")
    assert "multires-ref explore RUN" in page.desk.message
    assert page.desk.state.view == "filters"


def test_a_problem_of_the_address_stays_until_something_is_changed():
    page, doc = opened(problem="depth must be a whole number.")
    ask(page, theme="dark")
    assert page.desk.message == "depth must be a whole number."
    page.desk.change(depth=3)
    assert page.desk.message == ""


def test_the_server_serves_this_machine_only_and_says_where():
    with serve() as address, urllib.request.urlopen(address) as answer:
        assert b"multires_ref explore" in answer.read()
    assert address.startswith("http://127.0.0.1:")


def test_a_taken_port_is_one_line_and_without_a_port_another_is_found(capfd, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["explore", "--no-browser", "--port", str(port)]) == 2
        assert capfd.readouterr().err.startswith(f"multires-ref: port {port} of 127.0.0.1 cannot be used")
        monkeypatch.setattr(server, "PORT", port)
        assert port < server.free_port("127.0.0.1", None) <= port + server.PORTS
    assert main(["explore", "--no-browser", "--host", "not.a.name.invalid"]) == 2
    assert "--host must be a name or an address" in capfd.readouterr().err


def test_ctrl_c_ends_the_server():
    command = [sys.executable, "-m", "multires_ref", "explore", "--no-browser", "--port", str(free_port())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert first.startswith("the page is at http://127.0.0.1:")
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "0"], "--port must be between 1 and 65535; got 0"),
        (["--rate", "3"], "--rate belongs to a signal"),
        (["--signal", "nowhere.npy"], "nowhere.npy"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments, words, capfd):
    assert main(["explore", "--no-browser", *arguments]) == 2
    err = capfd.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_signal_of_the_command_line_is_shown_first(tmp_path):
    np.save(tmp_path / "a b.npy", np.arange(5.0))
    address = server.address_of("127.0.0.1", 5006, State(view="memory", signal="a b.npy"))
    assert address == "http://127.0.0.1:5006/?view=memory&signal=a+b.npy"
    started = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "serve", lambda *given: started.append(given) or 0)
        assert main(["explore", "--signal", str(tmp_path / "a b.npy"), "--rate", "10", "--no-browser"]) == 0
    (material, state, host, port, browser), *_ = started
    assert (state.view, state.signal, state.rate, host, port, browser) == ("memory", "a b.npy", 10.0, "127.0.0.1", None, False)
    np.testing.assert_array_equal(material.recordings["a b.npy"].x, [np.arange(5.0)])
