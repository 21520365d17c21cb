"""What every task is: its name, its settings at both scales, and that a caller's settings win and are checked."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from multires_ref import tasks
from multires_ref.network.init import count_parameters
from multires_ref.tasks import TASKS, get_task
from multires_ref.tasks.cifar import CLASSES
from multires_ref.tasks.task import LoadOptions, Task

DIGITS = tuple("0123456789")
MNIST1D = (
    {"d_input": 1, "d_output": 10, "d_model": 64, "n_layers": 4, "kernel_size": 4, "max_length": 40, "norm": "batch"}
    | {"dropout": 0.1},
    {"epochs": 40, "batch_size": 50, "lr": 0.02, "weight_decay": 0.01},
    "classification",
)
OWN = {  # the tasks that the paper does not have: settings that are not a config's defaults
    "digits": (
        {"d_input": 1, "d_output": 10, "d_model": 48, "n_layers": 4, "kernel_size": 4, "max_length": 64, "norm": "batch"}
        | {"dropout": 0.1},
        {"epochs": 30, "batch_size": 50, "lr": 0.01, "weight_decay": 0.01},
        "classification",
    ),
    "digits-density": (
        {"d_input": 1, "d_output": 15, "d_model": 64, "n_layers": 6, "kernel_size": 4, "max_length": 64}
        | {"kind": "autoregressive", "indep_res_init": True, "dropout": 0.1, "n_values": 17},
        {"epochs": 40, "batch_size": 50, "lr": 0.005, "optimizer": "adam", "weight_decay": 0.0},
        "density",
    ),
    "listops-short": (
        {"d_input": 18, "d_output": 10, "d_model": 48, "n_layers": 4, "kernel_size": 4, "max_length": 48}
        | {"encoder": "embedding", "norm": "batch", "indep_res_init": True},
        {"epochs": 10, "batch_size": 50, "lr": 0.003, "weight_decay": 0.03, "warmup_epochs": 1.0},
        "classification",
    ),
    "mnist1d": MNIST1D,
    "mnist1d-shuffled": MNIST1D,
    "adding": (
        {"d_input": 2, "d_output": 1, "d_model": 32, "n_layers": 4, "kernel_size": 2, "max_length": 600} | {"norm": "batch"},
        {"epochs": 2, "batch_size": 32, "lr": 0.005, "weight_decay": 0.0},
        "regression",
    ),
    "copying": (
        {"d_input": 10, "d_output": 10, "d_model": 32, "n_layers": 4, "kernel_size": 2, "max_length": 1020}
        | {"kind": "tagger", "encoder": "embedding", "tied": False},
        {"epochs": 8, "batch_size": 16, "lr": 0.005, "weight_decay": 0.0},
        "tagging",
    ),
}
PUBLISHED = {"mnist1d": "94 % CNN, 91 % GRU", "mnist1d-shuffled": "68 % MLP", "adding": "5.8e-5", "copying": "3.5e-5"}
OBJECTIVES = {"scifar10": "classification", "listops": "classification", "cifar10-density": "density", "ptbxl": "multilabel"}
LARGE = {"d_model": 16, "n_layers": 2, "epochs": 2, "batch_size": 20}  # under scale "tiny", of the tasks with long sequences
SMALL = {"d_model": 8, "n_layers": 2, "epochs": 2}
TINY = {
    "mnist1d": SMALL,
    "mnist1d-shuffled": SMALL,
    "adding": SMALL,
    "copying": SMALL,
    "digits": SMALL,
    "digits-density": SMALL,
    "listops-short": SMALL,
    "scifar10": LARGE,
    "cifar10-density": LARGE,
    "listops": LARGE,
    "ptbxl": LARGE | {"batch_size": 16, "warmup_epochs": 0},
}


@pytest.mark.parametrize("name", OWN)
def test_settings_of_our_own_tasks(name):
    task, (network, training, objective) = get_task(name), OWN[name]
    assert task.network == type(task.network)(**network)
    assert task.training == type(task.training)(**training)
    assert task.objective == objective
    assert PUBLISHED.get(name, "") in task.published
    assert bool(task.published) == (name in PUBLISHED)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_the_papers_tasks_learn(name):
    assert get_task(name).objective == OBJECTIVES[name]


def test_the_list_of_tasks():
    label_sets = ("diagnostic", "subdiagnostic", "superdiagnostic", "form", "rhythm")
    assert set(TASKS) == {*OWN, *OBJECTIVES, *(f"ptbxl-{name}" for name in label_sets)}


def test_a_new_task_is_one_file(tmp_path, monkeypatch):
    """It is found by being there; a name that is taken is an error."""
    (tmp_path / "another.py").write_text(
        "from dataclasses import replace\nfrom .digits import CLASSIFY\nTASKS = (replace(CLASSIFY, name='another'),)\n"
    )
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
    assert tasks.find_tasks() == TASKS | {"another": replace(get_task("digits"), name="another")}
    (tmp_path / "one_more.py").write_text("from .digits import CLASSIFY\nTASKS = (CLASSIFY,)\n")
    with pytest.raises(ValueError, match="tasks must have different names; two are called digits$"):
        tasks.find_tasks()
    for name in ("another", "one_more"):
        monkeypatch.delitem(sys.modules, f"multires_ref.tasks.{name}")
        monkeypatch.delattr(tasks, name)


@pytest.mark.parametrize("name", TASKS)
def test_names_and_the_tiny_scale(name):
    """A task is found by its name; under "tiny" these settings change, and nothing else."""
    task = get_task(name)
    assert task.name == name
    assert len(task.title) > 20
    assert task.settings() == task.settings("full") == (task.network, task.training)
    tiny = TINY["ptbxl" if name.startswith("ptbxl") else name]
    network, training = task.settings("tiny")
    assert network == replace(task.network, **{key: value for key, value in tiny.items() if key in task.network.to_dict()})
    assert training == replace(task.training, **{key: value for key, value in tiny.items() if key in task.training.to_dict()})


def test_labels():
    options = LoadOptions()
    assert get_task("scifar10").label_names(options) == CLASSES
    assert CLASSES == ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    for name in ("digits", "listops", "listops-short"):
        assert get_task(name).label_names(options) == DIGITS
    for name in ("digits-density", "cifar10-density"):
        assert get_task(name).label_names(options) == ()


def test_labels_are_read_where_the_data_are(tmp_path):
    asked = []
    task = replace(get_task("digits"), read_labels=lambda options: asked.append(options) or ("a", "b"))
    options = LoadOptions(str(tmp_path), "tiny")
    assert task.label_names(options) == ("a", "b")
    assert asked == [options]


def test_a_callers_settings_win():
    """Over the task's and over the tiny scale's, in the network and in the training alike."""
    task = get_task("digits")
    for scale in ("full", "tiny"):
        network, training = task.settings(scale, d_model=10, epochs=7, lr=0.5)
        assert (network.d_model, training.epochs, training.lr) == (10, 7, 0.5)
        assert network.n_layers == (4 if scale == "full" else 2)
    assert task.network.d_model == 48  # the task stays as it was


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("digits", {"d_modle": 8}, "setting must be one of .*did you mean 'd_model'"),
        ("digits", {"epoch": 8}, "setting must be one of .*did you mean 'epochs'"),
        ("digits", {"d_output": 5}, "d_output must be 10, as the data of task digits have it; got 5"),
        ("digits", {"d_input": 5}, "d_input must be 1, as the data of task digits have it; got 5"),
        ("digits", {"encoder": "embedding"}, "encoder must be 'linear', as the data of task digits"),
        ("digits", {"kind": "autoregressive"}, "kind must be 'classifier' for classification"),
        ("digits", {"lr": -1.0}, "lr must be between"),
        ("digits-density", {"kind": "classifier"}, "kind must be 'autoregressive' for a density"),
        ("digits-density", {"kind": "classifier", "n_values": 17}, "n_values is for kind='autoregressive' alone"),
        ("digits-density", {"n_values": 16}, "n_values must be 17, as the data of task digits-density have it; got 16"),
        ("digits-density", {"d_input": 3, "d_output": 10}, "d_input must be 1, as the data"),
    ],
)
def test_settings_that_do_not_go_are_refused(name, changes, words):
    with pytest.raises(ValueError, match=words):
        get_task(name).settings(**changes)


def test_the_length_of_generated_sequences():
    """It sets what the network's depth follows from; a caller's setting and the tiny scale's go beside it."""
    for name, steps in (("adding", 300), ("copying", 320)):
        task = get_task(name)
        network, training = task.settings(length=300, lr=0.5)
        assert network == replace(task.network, max_length=steps)
        assert training == replace(task.training, lr=0.5)
        assert task.settings("tiny", 300)[0].max_length == steps
        assert task.settings(length=task.length.default) == task.settings()
        assert task.settings(length=300, max_length=50)[0].max_length == 50
    with pytest.raises(ValueError, match="length is for tasks that generate .*; those of task digits have theirs"):
        get_task("digits").settings(length=300)
    for name, length, lowest in (("adding", 1, 2), ("copying", 0, 1)):
        with pytest.raises(ValueError, match=f"length must be at least {lowest}; got {length}"):
            get_task(name).settings(length=length)
    with pytest.raises(TypeError, match="length must be an integer; got '300'"):
        LoadOptions(length="300")


def test_the_options_of_a_run_hold_its_length():
    about = {"task": "adding", "scale": "tiny", "data_dir": None, "length": 300}
    assert LoadOptions.of_run(about) == LoadOptions(None, "tiny", 300)
    assert LoadOptions.of_run({"task": "digits"}, "here") == LoadOptions("here", "full", None)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_was_reached_stands_in_the_guide_too(name):
    """And the row of the table holds the number of parameters, in the README too, if it has that row."""
    root = Path(__file__).parents[1]
    readme, guide = (root / "README.md").read_text(), (root / "tutorials/site/guide/tasks.md").read_text()
    reached = get_task(name).reproduced.partition(":")[0]
    assert reached in " ".join(guide.split())
    rows = re.findall(rf"^\| `{name}` \|.*\| ([\d,]+) \|", guide + readme, flags=re.M)
    assert set(rows) == {f"{count_parameters(get_task(name).network):,}"}


def test_a_density_may_have_another_number_of_components():
    assert get_task("digits-density").settings(d_output=30)[0].d_output == 30


def test_what_is_unknown_is_named():
    with pytest.raises(ValueError, match="task must be one of .*did you mean 'digits'"):
        get_task("digit")
    with pytest.raises(ValueError, match="scale must be one of 'full', 'tiny'; got 'small'"):
        LoadOptions(scale="small")
    with pytest.raises(ValueError, match="scale must be one of 'full', 'tiny'; got 'small'"):
        get_task("digits").settings("small")
    network, training = get_task("digits").settings()
    with pytest.raises(ValueError, match="objective must be one of .*got 'classify'"):
        Task("x", "y", network, training, "classify", load=dict)
