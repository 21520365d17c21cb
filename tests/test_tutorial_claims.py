"""What the tutorials claim and a reader need not see checked; their stored data; their references to each other."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from multires_ref import impulse_responses, load_model, memory_rows, pyramid, wavelet_filters
from multires_ref.filters import energy_centre
from multires_ref.memories import forgetting_curve, memory_matrix, past, recover_past
from multires_ref.plots import ecg

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "tutorials"
DATA = FOLDER / "data"
TEXTS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("[0-9][0-9]_*.py"))}
each_tutorial = pytest.mark.parametrize("name", TEXTS)


@each_tutorial
def test_each_cites_the_paper(name):
    assert "arxiv.org/abs/2305.01638" in TEXTS[name] or "PyTorch code of the paper" in TEXTS[name]


@each_tutorial
def test_the_fall_has_one_sign_everywhere(name):
    """h1 = (-1, 1), as PyWavelets has Haar's dec_hi."""
    assert not re.search(r"h1\w* = (np\.array\()?\[+1(\.0)?, -1|h1 = \(1, -1\)", TEXTS[name])


@each_tutorial
def test_notebooks_that_it_names_are_there(name):
    numbers = {int(number) for number in re.findall(r"[Nn]otebooks? (\d+)", TEXTS[name])}
    assert numbers <= set(range(1, len(TEXTS) + 1))
    assert not re.search(r"[Tt]utorial \d", TEXTS[name])  # one word for one thing


@each_tutorial
def test_exercises_stand_in_their_order(name):
    numbers = re.findall(r"^# \*\*(\d+)\*\* \(", TEXTS[name].split("## Exercises")[1], flags=re.M)
    assert sorted(map(int, numbers)) == list(range(1, len(numbers) + 1))


def test_the_reading_order_has_every_notebook():
    order = (FOLDER / "README.md").read_text().split("## Reading order")[1].split("## The exam")[0]
    drawn = "".join(re.findall(r"^    .*\n", order, flags=re.M))
    assert {int(number) for number in re.findall(r"\b(\d+)\b", drawn)} == set(range(1, len(TEXTS) + 1))


# claims of the prose


def test_one_level_doubles_the_energy():
    """1: at every sample the pair holds the energy of its inputs once more (all but the end, off which the filter runs)."""
    x = ecg()
    ((a, b),) = pyramid(x, *wavelet_filters("db2"), 1)
    np.testing.assert_allclose(np.sum(a**2 + b**2), 2 * np.sum(x**2), rtol=1e-2)


def test_the_approximation_is_not_calmer_than_the_signal():
    """1: its variation over its height is not smaller."""
    x = np.array([3.0, 5.0, 4.0, 4.0, 8.0, 6.0, 1.0, 1.0])
    ((a, _),) = pyramid(x, np.array([1.0, 1.0]), np.array([-1.0, 1.0]), 1)
    variation = [abs(np.diff(v)).sum() / abs(v).max() for v in (x, a)]
    assert variation[1] > variation[0]


def test_blocks_of_the_recovered_past():
    """3: fading has one mean for 256 samples around the beat before; uniform a block of 64, and one of 32 for the newest beat."""
    haar, p = wavelet_filters("haar"), past(ecg(), n=860, length=512)
    fading, uniform = memory_matrix(*haar, 9)[0], memory_matrix(*haar, 9, "uniform", size=10)[0]
    older = recover_past(fading @ p, fading)[256:]
    np.testing.assert_allclose(older, older[0])
    assert 0 < older[0] < 0.05 * p.max()
    shares = forgetting_curve(uniform)
    beat_before, beat_now = 300 + int(p[300:400].argmax()), int(p[:40].argmax())
    assert (1 / shares[[beat_before, beat_now]]).round(6).tolist() == [64, 32]


@pytest.mark.parametrize("K", [2, 3, 4])
def test_what_uniform_keeps_is_what_the_level_above_was_made_from(K):
    """3: the details of a level stand beside the approximations that the kept coefficients of the level above were made from."""
    rows, made = memory_rows(3, K, "uniform", size=200), {0}
    for level in (3, 2, 1):
        assert {row.lag for row in rows if (row.level, row.kind) == (level, "b")} == made
        made = {lag + k * 2 ** (level - 1) for lag in made for k in range(K)}


def test_orders_of_db8_are_early_or_late_and_have_one_gain():
    """4: the trend is late with "analysis", the details are late with "reversed"; b_1 is the same in both pictures."""
    for order, early_a, early_b in (("analysis", False, True), ("reversed", True, False), ("minimum_delay", True, True)):
        (_, d1), *_, (g5, _) = impulse_responses(*wavelet_filters("db8", order), 5)
        assert (energy_centre(g5) < 100) == early_a
        assert (energy_centre(d1) < 5) == early_b
    first, second = (impulse_responses(*wavelet_filters("db8", order), 1)[0][1] for order in ("analysis", "minimum_delay"))
    np.testing.assert_array_equal(first, second)


def test_at_temperature_0_nothing_is_left_to_chance():
    """16."""
    from multires_ref.network.sampling import sample

    model = load_model(DATA / "density.safetensors")
    cold, warm = ([sample(model, np.random.default_rng(seed), n=2, temperature=T) for seed in (3, 4)] for T in (0.0, 1.0))
    np.testing.assert_array_equal(*cold)
    assert not np.array_equal(*warm)


def test_flat_lists_close_after_3_to_11_tokens():
    """10: the spans of lists without lists in them."""
    from multires_ref.tasks.listops import TOKENS, encode
    from multires_ref.tasks.listops_data import generate

    spans = []
    for source, _ in generate(50, seed=1):
        begin = None
        for n, code in enumerate(encode(source)):
            if TOKENS[code][0] == "[":
                begin = n
            elif TOKENS[code] == "X" and begin is not None:
                spans.append(n - begin)
                begin = None
    assert (min(spans), max(spans)) == (3, 11)


def test_the_records_of_cifar_are_normalised_and_back():
    """10."""
    from multires_ref.tasks.cifar import MEAN, STANDARD_DEVIATION, normalised

    x = np.random.default_rng(0).integers(0, 256, (2, 3, 1024)).astype(np.uint8)
    np.testing.assert_allclose(normalised(x) * STANDARD_DEVIATION + MEAN, x / 255, atol=1e-6)


# stored data


def test_the_small_network_is_the_one_of_notebook_6():
    config = load_model(DATA / "digits_small.safetensors").config
    shape = (config.d_model, config.n_layers, config.kernel_size, config.J, config.m, config.tied)
    assert shape == (16, 2, 2, 6, 7, True)
    assert '"d_model": 16, "n_layers": 2, "kernel_size": 2' in TEXTS["06_train_a_network"]


def test_copies_of_stored_results_are_up_to_date():
    assert json.loads((DATA / "bench.json").read_text()) == json.loads((ROOT / "figures/data/bench.json").read_text())
    peers, copied = json.loads((ROOT / "figures/data/peers.json").read_text()), json.loads((DATA / "mnist1d.json").read_text())
    rows = [row for row in peers["results"] if row["data"] == "MNIST-1D"]
    assert [run.items() <= row.items() for run, row in zip(copied["runs"], rows, strict=True)] == [True] * len(rows)
    with np.load(DATA / "authors_gradients.npz") as ours, np.load(ROOT / "tests/data/classifier_layernorm.npz") as theirs:
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])
