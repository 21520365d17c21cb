"""The page to play with, as far as it is NumPy: its settings, its numbers, and the lines of Python that it offers."""

import base64
import io
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st

from multires_ref import causal_swt, frequency_responses, impulse_responses, read_signal
from multires_ref.explore import hearing, pair, remember, tree_picture
from multires_ref.explore.recordings import LARGEST_FILE, MAX_LENGTH, built_in, read_recording, recording_of, uploaded
from multires_ref.explore.state import MAX_DEPTH, MAX_SIZE, State, most_uniform, view_names
from multires_ref.explore.view import Material, Recording
from multires_ref.explore.views import VIEWS
from multires_ref.memories import memory_matrix, past, recover_past
from multires_ref.transform import analysis, synthesis, synthesis_delay

WAVELETS = pywt.wavelist(kind="discrete")
CLOSE = {"rtol": 1e-9, "atol": 1e-11}
RECOVERED = {"rtol": 1e-6, "atol": 1e-6}  # of numbers of the size of 100, by two ways of least squares
OWN = State(wavelet="own", h0=(0.5, 0.7, 0.1), h1=(-0.4, 0.9, -0.3), depth=3)
STATES = [
    State(depth=4),
    State(wavelet="bior2.2", order="minimum_delay", depth=3, tree_select="uniform", m=9, signal="chirp", n=100),
    State(wavelet="random", seed=3, K=5, depth=2, tree_select="uniform", signal="click", n=503),
    replace(OWN, signal="noise", n=20),
    State(wavelet="haar", depth=5, level=2, kind="b", lag=4, signal="1/f noise", n=0, rate=360.0),
]

pairs = st.integers(2, 8).flatmap(lambda K: st.tuples(*(st.tuples(*(st.floats(-10, 10),) * K),) * 2))


@st.composite
def states(draw):
    """Any state of the page."""
    h0, h1 = draw(pairs)
    return State(
        view=draw(st.sampled_from(view_names())),
        wavelet=draw(st.sampled_from([*WAVELETS, "random", "own"])),
        seed=draw(st.integers(0, 2**31 - 1)),
        order=draw(st.sampled_from(["analysis", "reversed", "minimum_delay"])),
        h0=h0, h1=h1, start=draw(st.sampled_from(["", "db2"])),
        K=draw(st.integers(2, 102)), depth=draw(st.integers(1, MAX_DEPTH)),
        tree_select=draw(st.sampled_from(["fading", "uniform"])), m=draw(st.integers(0, MAX_SIZE)),
        signal=draw(st.text(max_size=20)), n=draw(st.integers(0, MAX_LENGTH - 1)), rate=draw(st.floats(0, 1e12)),
        theme=draw(st.sampled_from(["", "light", "dark"])),
    )  # fmt: skip


@given(states())
@settings(max_examples=60, deadline=None)
def test_an_address_reproduces_the_state(state):
    assert State.from_query(state.to_query()) == (state, [])


def test_the_default_has_an_empty_address():
    assert State().to_query() == {}
    assert State.from_query({}) == (State(), [])


@given(st.dictionaries(st.sampled_from([f.name for f in fields(State)] + ["other"]), st.text(max_size=12), max_size=6))
@settings(max_examples=150, deadline=None)
def test_no_address_is_an_error_of_the_program(query):
    state, problems = State.from_query(query)
    assert isinstance(state, State)
    for name in query:
        if name == "other":
            assert any("'other'" in problem for problem in problems)
        elif getattr(state, name) != getattr(State(), name):
            assert State.from_query(state.to_query())[0] == state


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"depth": "eleven"}, "depth must be a whole number; the address says 'eleven'. The default, 6, is used"),
        ({"depth": "11"}, "depth must be between 1 and 10; got 11. The default, 6, is used"),
        ({"wavelet": "db99"}, "did you mean 'db9'"),
        ({"h0": "1,x"}, "h0 must be numbers separated by commas"),
        ({"h0": "1,nan"}, "h0[1] must be between -10.0 and 10.0"),
        ({"h0": ",".join(["0"] * 103)}, "h0 must have at most 102 taps; got 103"),
        ({"wavelet": "own", "h0": "1,2"}, "h0 and h1 must have the same number of taps, at least 2; got 2 and 0"),
        ({"rate": "-1"}, "rate must be between 0"),
        ({"nonsense": "1"}, "a setting in the address must be one of"),
    ],
)
def test_a_bad_address_gets_a_sentence_and_the_default(query, words):
    state, problems = State.from_query({"n": "7"} | query)
    assert len(problems) == 1
    assert words in problems[0]
    assert state == State(n=7)


@pytest.mark.parametrize("name", [name for name in VIEWS if name != "network"])
@pytest.mark.parametrize("state", STATES, ids=repr)
def test_the_lines_of_python_make_the_picture(name, state):
    """What "copy as Python" gives runs with NumPy and the public names alone, and its arrays are those that are drawn."""
    code = VIEWS[name].python(state, Material())
    for line in code.splitlines():
        assert "import" not in line or line == "import numpy as np" or line.startswith("from multires_ref import "), line
    found = {}
    exec(code, found)
    COMPARED[name](VIEWS[name].data(state, Material()), found, state)


def compare_filters(data, found, state):
    np.testing.assert_allclose(data["h0"]["value"], found["h0"], **CLOSE)
    np.testing.assert_allclose(data["gains"]["gain"], found["gains"], **CLOSE)
    np.testing.assert_allclose(data["error"]["error"], np.maximum(found["error"], 1e-17)[:513], rtol=1e-6, atol=1e-12)
    assert data["light"]["error"][0] == pytest.approx(found["error"].max(), rel=1e-6, abs=1e-12)


def compare_tree(data, found, state):
    for name in ("fading", "uniform"):
        places = {(-row.lag, tree_picture.height(row.kind, row.level)) for row in found[name] if row.kind != "unused"}
        assert set(zip(data[name]["x"], data[name]["y"], strict=True)) == places
    np.testing.assert_array_equal(data["weights"]["lag"], found["lags"])
    np.testing.assert_allclose(data["weights"]["weight"], found["weights"], **CLOSE)


def compare_responses(data, found, state):
    np.testing.assert_allclose(data["response"]["gain"], found["gains"], **CLOSE)
    np.testing.assert_allclose(np.array(data["response"]["decibels"]), found["decibels"], rtol=1e-6, atol=1e-6)
    for r, (name, values) in enumerate(zip(data["impulses"]["name"], found["impulses"], strict=True)):
        here = data["points"]["name"] == name
        lags = data["points"]["lag"][here]
        np.testing.assert_allclose(data["points"]["value"][here], values[lags], **CLOSE)
        np.testing.assert_allclose(data["points"]["y"][here], r + hearing.HEIGHT * found["heights"][r][lags], **CLOSE)


def compare_memory(data, found, state):
    for kind in remember.KINDS:
        np.testing.assert_allclose(data["past"][kind], found["recovered"][kind], **RECOVERED)
    np.testing.assert_allclose(data["past"]["past"], found["past"], **CLOSE)
    z = data["bars"]["z"]
    rows, M = found["rows"], found["M"]  # of the uniform memory, the last one that the lines make
    if state.tree_select == "uniform":
        np.testing.assert_allclose(z, M @ found["past"], **CLOSE)
        assert len(z) == len(rows)


COMPARED = {"filters": compare_filters, "tree": compare_tree, "responses": compare_responses, "memory": compare_memory}


@pytest.mark.parametrize("wavelet", ["haar", "db3", "bior3.1", "sym20"])
def test_responses_are_the_packages(wavelet):
    h0, h1 = pair.filters_of(State(wavelet=wavelet))
    J = 6
    expected = impulse_responses(h0, h1, J)
    for d, values in zip([*(d for _, d in expected), expected[-1][0]], hearing.impulses(h0, h1, J), strict=True):
        np.testing.assert_allclose(values, d, **CLOSE)
    octaves, gains = hearing.gains(h0, h1, J)
    _, pairs = frequency_responses(h0, h1, J, frequencies=2.0**octaves)
    np.testing.assert_allclose(gains, [*(abs(B) for _, B in pairs), abs(pairs[-1][0])], **CLOSE)


@pytest.mark.parametrize("order", ["analysis", "reversed", "minimum_delay"])
def test_every_wavelet_reconstructs_but_dmey(order):
    """By its own synthesis filters; the discrete Meyer wavelet of PyWavelets is cut off, and is no exact pair."""
    for wavelet in WAVELETS:
        found = pair.reconstruction(State(wavelet=wavelet, order=order, depth=3))
        assert found.perfect == (wavelet != "dmey"), (wavelet, found.error)


@pytest.mark.parametrize("state", [State(wavelet="db4", depth=3), State(wavelet="bior2.4", depth=2), OWN, STATES[2]], ids=repr)
def test_the_error_is_that_of_the_returned_signal(state):
    """T_J is the gain of `transform.synthesis` after `analysis`: measured on a single 1, in the frequency domain."""
    (h0, h1), found, J = pair.filters_of(state), pair.reconstruction(state), state.depth
    x = np.eye(1, pair.FREQUENCIES)[0]
    (a, d), *rest = analysis(x, h0, h1, J, engine="tree")
    returned = synthesis(a, [d, *(d for _, d in rest)], found.g0, found.g1)
    returned = np.roll(returned, -synthesis_delay(J, len(h0)))
    error = abs(np.fft.fft(returned) - 1)[: pair.FREQUENCIES // 2 + 1]
    np.testing.assert_allclose(found.errors, error, rtol=1e-6, atol=1e-12)


def test_one_moved_tap_is_noticed_and_by_how_much():
    """h0[2] of db2 moved by 0.1: with db2's synthesis filters one level is wrong by 0.1 |G0(f)| / 2, at most 0.1 / sqrt 2."""
    h0, h1 = pair.filters_of(State())
    moved = State(wavelet="own", start="db2", depth=1, h0=tuple(h0 + 0.1 * np.eye(1, 4, 2)[0]), h1=tuple(h1))
    found = pair.reconstruction(moved)
    assert not found.perfect
    assert found.error == pytest.approx(0.1 * 2**0.5 / 2, rel=1e-6)
    assert found.by == "the synthesis filters of db2"
    turned = replace(moved, h0=tuple(h1), h1=tuple(h0))  # another pair with |H0|^2 + |H1|^2 = 2
    assert pair.reconstruction(turned).perfect
    assert pair.reconstruction(turned).by == "the same filters reversed in time"


@pytest.mark.parametrize("state", [STATES[1], STATES[2], State(wavelet="db3", depth=5, tree_select="uniform", m=20)], ids=repr)
def test_memories_are_the_packages(state):
    h0, h1 = pair.filters_of(state)
    x = recording_of(state.signal, Material()).x[0]
    for kind in ("fading", "uniform"):
        memory = remember.memory_of(state, kind)
        M, rows = memory_matrix(h0, h1, state.depth, kind, len(memory.M))
        np.testing.assert_allclose(memory.M, M, **CLOSE)
        assert memory.rows == rows
        p = past(x, state.n, M.shape[1])
        np.testing.assert_allclose(memory.Q.T @ (memory.Q @ p), recover_past(M @ p, M), **RECOVERED)


def test_rows_that_depend_on_one_another_are_recovered_too():
    """Two equal rows, and a row of zeros."""
    rng = np.random.default_rng(0)
    any_rows = rng.standard_normal((5, 40))
    for M in (any_rows[[0, 1, 2, 1]], np.vstack((any_rows, np.zeros((1, 40)))), any_rows):
        Q, p = remember.orthonormal(M), rng.standard_normal(40)
        np.testing.assert_allclose(Q @ Q.T, np.eye(len(Q)), atol=1e-12)
        np.testing.assert_allclose(Q.T @ (Q @ p), recover_past(M @ p, M), **RECOVERED)


def test_the_bars_are_the_transforms_newest_coefficients():
    state = State(wavelet="db2", depth=4, signal="chirp", n=333)
    coefficients = causal_swt(recording_of("chirp", Material()).x[0], "db2", level=4, trim_approx=True)  # a_4, d_4, ..., d_1
    np.testing.assert_allclose(VIEWS["memory"].data(state, Material())["bars"]["z"], [c[333] for c in coefficients], **CLOSE)


def test_a_coefficient_is_found_sees_its_field_and_is_kept_by_whom_it_is():
    state = State(wavelet="haar", depth=3, tree_select="uniform", m=4)
    chosen = replace(state, **tree_picture.nearest(state, -7.4, 1.8))
    assert (chosen.level, chosen.kind, chosen.lag) == (2, "b", 4)  # level 2's nodes stand at 0, -4
    assert tree_picture.field_of(tree_picture.looked_at(chosen), 2) == (4, 7)
    assert tree_picture.nearest(state, -3.0, 0.1) == {}  # the input
    walked = replace(chosen, **tree_picture.walk(chosen, "newer"))
    assert (walked.level, walked.kind, walked.lag) == (2, "b", 0)
    up = replace(walked, **tree_picture.walk(walked, "up"))
    assert (up.level, up.kind) == (2, "a")
    data = VIEWS["tree"].data(chosen, Material())
    np.testing.assert_array_equal(data["weights"]["lag"], [4, 5, 6, 7])
    np.testing.assert_allclose(data["weights"]["weight"], [-0.5, -0.5, 0.5, 0.5], **CLOSE)
    assert sorted(data["uniform"]["x"]) == [-4, 0, 0, 0]  # a_3, b_3, and two of b_2


@pytest.mark.parametrize("wavelet", ["haar", "coif17"])
def test_the_deepest_tree_is_drawn_in_bounds(wavelet):
    for view in VIEWS.values():
        if view.name != "network":
            state = State(wavelet=wavelet, depth=MAX_DEPTH, tree_select="uniform", m=most_uniform(MAX_DEPTH, 2))
            data = view.data(state, Material())
            assert all(len(column) <= 20_000 for columns in data.values() for column in columns.values())
            for columns in data.values():
                assert len({len(column) for column in columns.values()}) == 1


def test_long_signals_keep_their_peaks():
    x = np.zeros(100_000)
    x[12_345], x[54_321] = 5.0, -3.0
    material = Material({"long": Recording(x[None])})
    data = VIEWS["memory"].data(State(signal="long", n=99_999), material)
    assert len(data["samples"]["t"]) <= 4096
    assert (data["samples"]["x"].max(), data["samples"]["x"].min()) == (5.0, -3.0)


def npy(array):
    """The bytes of a .npy file, as base64."""
    out = io.BytesIO()
    np.save(out, array)
    return base64.b64encode(out.getvalue()).decode()


def test_a_file_from_the_browser_is_read_like_one_from_the_disk(tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 50))
    name, recording = uploaded("../heart.npy", 1000, npy(x))
    assert name == "heart.npy"
    np.testing.assert_array_equal(recording.x, x)
    np.save(tmp_path / "heart.npy", x)
    np.testing.assert_array_equal(read_recording(tmp_path / "heart.npy").x, read_signal(tmp_path / "heart.npy")[0])


@pytest.mark.parametrize(
    ("name", "size", "text", "words"),
    [
        ("x.txt", 10, "", "'x.txt' must end in .npy, .csv, .wav"),
        ("x.npy", LARGEST_FILE + 1, "", "x.npy is too large"),
        ("x.npy", 10, "%%%", "x.npy did not arrive whole"),
        ("x.npy", 10, base64.b64encode(b"nonsense").decode(), "x.npy is truncated or is no .npy file"),
        ("x.csv", 10, base64.b64encode(b"1,2\n3,four\n").decode(), "x.csv, line 2: 'four' is no number"),
        ("x.npy", 10, npy(np.array([1.0, np.nan])), "x.npy must hold finite numbers"),
        ("x.npy", 10, npy(np.zeros(MAX_LENGTH + 1)), "x.npy must have at most 1,048,576 samples"),
        ("x.wav", 10, base64.b64encode(b"RIFF").decode(), "x.wav is truncated or is no .wav file"),
    ],
)
def test_a_bad_file_is_answered_by_a_sentence_that_names_it(name, size, text, words):
    with pytest.raises(ValueError, match="^[^/]*$") as caught:  # no path of a temporary folder
        uploaded(name, size, text)
    assert words in str(caught.value)


def test_an_unknown_signal_is_refused_by_name():
    with pytest.raises(ValueError, match="signal must be one of 'ECG'.*got 'EKG' .did you mean 'ECG'"):
        recording_of("EKG", Material())
    assert all(recording.x.shape == (1, 1024) for recording in built_in().values())


def test_the_numbers_need_neither_bokeh_nor_a_server():
    code = (
        "import sys, multires_ref.explore.views, multires_ref.commands.explore; print([m for m in sys.modules if 'bokeh' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
