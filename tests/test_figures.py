"""The committed figures are what the command draws, bit by bit the same each time; what it says when something is missing."""

import json
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from multires_ref import Model, NetworkConfig
from multires_ref.cli import main
from multires_ref.interop.load import save_model
from multires_ref.plots.gallery import FIGURES
from multires_ref.plots.stored import STORED, read_report
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


OF_A_RUN = {"responses.svg", "filters.svg", "scales.svg", "memory.png", "recovered.svg", "kernels.svg"}


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
