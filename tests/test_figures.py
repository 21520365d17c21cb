"""The committed figures are what the command draws, bit by bit the same each time; what it says when something is missing."""

import json
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from scipy.io import wavfile

from multires_ref import Model, NetworkConfig, load_model, memory
from multires_ref.authors.load import save_model
from multires_ref.cli import main
from multires_ref.plots import model as model_plots
from multires_ref.plots.gallery import FIGURES
from multires_ref.plots.signal import Signal, fed_to_layer_1, stand_in
from multires_ref.plots.stored import STORED, read_report
from multires_ref.tasks import get_task
from multires_ref.tasks.task import LoadOptions
from multires_ref.training.checkpoint import model_tensors, save_checkpoint
from multires_ref.training.config import TrainingConfig

FOLDER = Path(__file__).parent.parent / "figures"
DATA = FOLDER / "data"
KINDS = {name: kind for name, (kind, _) in FIGURES.items()} | {name: figure.kind for name, figure in STORED.items()}
PRESENT = {name: kind for name, kind in KINDS.items() if name in FIGURES or (DATA / STORED[name].needs).exists()}
LARGEST = 400_000  # bytes


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """All figures, drawn anew."""
    out = tmp_path_factory.mktemp("figures")
    assert main(["figures", "--out", str(out), "--data", str(DATA)]) == 0
    return out


def test_all_are_drawn_and_all_are_committed(drawn):
    names = {f"{name}.{kind}" for name, kind in PRESENT.items()}
    assert {path.name for path in drawn.iterdir()} == names
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == names


NUMBER = re.compile(r"-?\d+\.?\d*")


@pytest.mark.parametrize(("name", "kind"), PRESENT.items(), ids=PRESENT)
def test_committed_figure_is_the_drawn_one(drawn, name, kind):
    """To the bit on the machine that drew it; elsewhere libraries may round another way, so to a hundredth of a point."""
    ours, theirs = FOLDER / f"{name}.{kind}", drawn / f"{name}.{kind}"
    assert ours.stat().st_size < LARGEST
    if ours.read_bytes() == theirs.read_bytes():
        return
    if kind == "png":
        a, b = (mpl.image.imread(path) for path in (ours, theirs))
        assert a.shape == b.shape
        assert abs(a - b).mean() < 0.005
        return
    ours, theirs = ours.read_text(), theirs.read_text()
    if f"Matplotlib v{mpl.__version__}," not in ours:
        pytest.skip("drawn by another version of matplotlib")
    ours, theirs = (re.sub(r"#?[mp]?[0-9a-f]{10}\b", "", text) for text in (ours, theirs))  # names made from the numbers
    assert NUMBER.sub("", ours) == NUMBER.sub("", theirs)
    np.testing.assert_allclose(
        [float(n) for n in NUMBER.findall(ours)], [float(n) for n in NUMBER.findall(theirs)], atol=0.01, rtol=1e-5
    )


@pytest.mark.parametrize("name", ["tree", "memory"])
def test_drawing_again_gives_the_same_bytes(drawn, tmp_path, name):
    assert main(["figures", "--only", name, "--out", str(tmp_path)]) == 0
    file = f"{name}.{KINDS[name]}"
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_bytes() == (drawn / file).read_bytes()


def test_every_stored_file_is_explained():
    text = (DATA / "README.md").read_text()
    for path in DATA.iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in text


def test_stored_report_reads_back():
    stored = json.loads((DATA / "agreement.json").read_text())
    again = json.loads(json.dumps(read_report(DATA / "agreement.json").to_dict()))
    assert again == stored
    assert again["passed"]


def test_figures_whose_files_are_missing_are_left_out_with_a_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("multires_ref.plots.gallery.FIGURES", {"tree": FIGURES["tree"]})
    assert main(["figures", "--out", str(tmp_path), "--data", str(tmp_path / "none")]) == 0
    out = capsys.readouterr().out
    assert f"left out: learned, which needs {tmp_path / 'none' / 'digits.safetensors'}" in out
    assert [path.name for path in tmp_path.iterdir()] == ["tree.svg"]


def test_asking_for_what_cannot_be_drawn_is_an_error(tmp_path, capsys):
    assert main(["figures", "--only", "trees"]) == 2
    assert "did you mean 'tree'" in capsys.readouterr().err
    assert main(["figures", "--only", "learned", "--data", str(tmp_path)]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["figures", "--run", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err


OF_A_RUN = {"responses.svg", "filters.svg", "scales.svg", "memory.png", "recovered.svg", "kernels.svg", "nearest.svg"}
OF_A_RUN |= {"filter_report.txt", "filter_report.json"}


def test_figures_of_a_run_go_into_its_folder(tmp_path):
    config = NetworkConfig(1, 4, 5, 2, max_length=32)
    model = Model.init(config, np.random.default_rng(0))
    about = {"network": config.to_dict(), "training": TrainingConfig(epochs=1, batch_size=5, lr=0.01).to_dict()}
    save_checkpoint(tmp_path / "best.safetensors", model_tensors(model.params, model.state), about)
    assert main(["figures", "--run", str(tmp_path)]) == 0
    assert {path.name for path in (tmp_path / "figures").iterdir()} == OF_A_RUN


def test_figures_of_a_checkpoint_of_the_authors(tmp_path):
    save_model(Model.init(NetworkConfig(1, 4, 5, 2, max_length=32), np.random.default_rng(0)), tmp_path / "theirs.safetensors")
    assert (
        main(["figures", "--run", str(tmp_path / "theirs.safetensors"), "--only", "scales", "--out", str(tmp_path / "out")]) == 0
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scales.svg"]


def test_figures_that_the_readme_shows_exist():
    readme = FOLDER.parent / "README.md"
    if readme.exists():
        for name in re.findall(r"\(figures/([\w.]+)\)|src=\"figures/([\w.]+)\"", readme.read_text()):
            assert (FOLDER / "".join(name)).exists()


def test_pictures_stand_alone():
    """Pictures refer to no other file and to no font."""
    for path in FOLDER.glob("*.svg"):
        text = path.read_text()
        assert "font-family" not in text
        assert not re.search(r'xlink:href="(?!#|data:)', text)


# the signal that a model's figures are drawn for


@pytest.fixture
def run(tmp_path):
    """A run folder of an untrained digits network."""
    config = NetworkConfig(1, 10, 5, 2, max_length=64)
    model = Model.init(config, np.random.default_rng(0))
    about = {"network": config.to_dict(), "training": TrainingConfig(epochs=1, batch_size=5, lr=0.01).to_dict()}
    (tmp_path / "run").mkdir()
    path = tmp_path / "run/best.safetensors"
    save_checkpoint(path, model_tensors(model.params, model.state), about | {"task": "digits", "scale": "tiny"})
    return tmp_path / "run"


@pytest.fixture
def shown(monkeypatch):
    """The signals for which pictures are put together."""
    seen = []
    draw = model_plots.memory_of_model
    monkeypatch.setattr(model_plots, "memory_of_model", lambda model, signal: seen.append(signal) or draw(model, signal))
    return seen


def memory_picture(*words):
    return main(["figures", "--only", "memory", *map(str, words)])


def test_a_run_brings_an_example_of_its_task(run, shown, capsys):
    assert memory_picture("--run", run) == 0
    assert capsys.readouterr().out == f"{run / 'figures/memory.png'}\n"
    test = get_task("digits").load(LoadOptions(scale="tiny"))["test"]
    np.testing.assert_array_equal(shown[0].x, test.x[0])
    assert shown[0].title == f"digits, test example 0, a {test.y[0]}"


def test_a_checkpoint_without_a_task_says_that_the_signal_stands_in(tmp_path, shown, capsys):
    path = tmp_path / "theirs.safetensors"
    save_model(Model.init(NetworkConfig(2, 4, 5, 2, max_length=32), np.random.default_rng(0)), path)
    assert memory_picture("--run", path) == 0
    assert "does not say on which task it was trained" in capsys.readouterr().out
    assert shown[0].title.startswith("stand-in: an electrocardiogram")
    assert shown[0].x.shape == (2, 1024)
    tokens = stand_in(NetworkConfig(18, 4, 5, 2, max_length=32, encoder="embedding"))
    assert tokens.title.startswith("stand-in: random tokens")
    assert tokens.x.shape == (32,)


def test_a_task_whose_data_are_not_there_says_so(tmp_path, shown, capsys, monkeypatch):
    config = NetworkConfig(3, 10, 5, 2, max_length=64)
    model = Model.init(config, np.random.default_rng(0))
    about = {"network": config.to_dict(), "training": TrainingConfig(epochs=1, batch_size=5, lr=0.01).to_dict()}
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, model_tensors(model.params, model.state), about | {"task": "scifar10"})
    monkeypatch.chdir(tmp_path)
    assert memory_picture("--run", path) == 0
    out = capsys.readouterr().out
    assert "CIFAR-10: one of data_batch_1.bin" in out
    assert "stand-in" in out
    assert shown[0].title.startswith("stand-in")


@pytest.mark.parametrize("ending", ["npy", "csv", "wav"])
def test_a_signal_of_ones_own(run, shown, tmp_path, ending):
    x = np.sin(np.arange(200) / 9).astype("float32")
    path = tmp_path / f"mine.{ending}"
    if ending == "npy":
        np.save(path, x)
    elif ending == "csv":
        path.write_text("x\n" + "".join(f"{value!r}\n" for value in x.tolist()))
    else:
        wavfile.write(path, 100, x)
    rate = [] if ending == "wav" else ["--rate", "100"]
    assert memory_picture("--run", run, "--signal", path, *rate, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out/memory.png").read_bytes()[1:4] == b"PNG"
    np.testing.assert_array_equal(shown[0].x, x[None].astype("float64"))
    assert shown[0][1:] == (f"mine.{ending}", 100.0)


def test_what_a_layer_is_fed_is_what_the_network_computes():
    """The pictures' input of layer 1 is the encoder's output in the network itself, shifted by one step for a density."""
    rng = np.random.default_rng(0)
    for config in (NetworkConfig(2, 4, 5, 2, max_length=32), NetworkConfig(2, 6, 5, 2, max_length=32, kind="autoregressive")):
        model, x, seen = Model.init(config, rng, "float64"), rng.standard_normal((2, 20)), {}
        model(x[None], hook=seen.__setitem__)
        np.testing.assert_array_equal(fed_to_layer_1(model, x), seen["encoder"][0])
    config = NetworkConfig(7, 4, 5, 2, max_length=32, encoder="embedding")
    model, x, seen = Model.init(config, rng, "float64"), rng.integers(7, size=20), {}
    model(x[None], hook=seen.__setitem__)
    np.testing.assert_array_equal(fed_to_layer_1(model, x), seen["encoder"][0])


def test_the_picture_holds_the_signal_and_its_memory(run):
    model, x = load_model(run), np.sin(np.arange(100) / 5)[None]
    figure = model_plots.memory_of_model(model, Signal(x, "mine", 50.0))
    above, fed, picture, _ = figure.axes[:4]
    np.testing.assert_array_equal(above.lines[0].get_ydata(), x[0])
    assert above.get_title("left") == "mine"
    conv = model_plots.layers(model)[0]
    d = model_plots.strongest_channel(conv, model.config.J, "fading")
    v = fed_to_layer_1(model, x)[d]
    np.testing.assert_array_equal(fed.lines[0].get_ydata(), v)
    z, _ = memory(v, conv["h0"][d], conv["h1"][d], model.config.J)
    np.testing.assert_allclose(picture.images[0].get_array(), z / abs(z).max(axis=1, keepdims=True), rtol=1e-12)
    assert "seconds at 50 samples a second" in picture.get_xlabel()


@pytest.mark.parametrize("channels", [1, 3, 12])
def test_signals_of_many_channels_are_drawn(channels):
    config = NetworkConfig(channels, 4, 5, 2, max_length=32)
    model = Model.init(config, np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((channels, 50))
    figure = model_plots.memory_of_model(model, Signal(x, "mine"))
    assert len(figure.axes[0].lines) == channels


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--signal", "one.npy"], "--signal is drawn for a model: give --run"),
        (["--run", "RUN", "--rate", "3"], "--rate belongs to a signal"),
        (["--run", "RUN", "--signal", "none.npy"], "none.npy"),
        (["--run", "RUN", "--signal", "two.npy"], "two.npy must have 1 channel, as this network; it has 2 channels of 9 samples"),
        (["--run", "RUN", "--signal", "nan.npy"], "channel 0 holds nan at step 1"),
        (["--run", "RUN", "--signal", "empty.npy"], "is empty"),
        (["--run", "RUN", "--signal", "one.npy", "--rate", "0"], "rate must be a positive number"),
        (["--run", "RUN", "--signal", "one.npy", "--only", "tree"], "--only must be one of 'responses'"),
    ],
)
def test_signals_that_do_not_fit_are_refused_before_anything_is_drawn(run, words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, array in {"one": np.ones(9), "two": np.ones((2, 9)), "nan": np.array([1, np.nan]), "empty": np.ones(0)}.items():
        np.save(f"{name}.npy", array)
    assert main(["figures", *(str(run) if word == "RUN" else word for word in words)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (run / "figures").exists()
