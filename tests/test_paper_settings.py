"""The settings and published numbers of the paper's tasks, written down once more, from the authors' scripts."""

import pytest

from multires_ref.tasks import TASKS, get_task, ptbxl_data

# d_model, layers, K, J | optimiser, lr, weight decay | dropout, batch, epochs, warm-up epochs | norm, indep_res_init
PAPER = {
    "scifar10": ((256, 10, 2, 10), ("adamw", 0.0045, 0.01), (0.25, 50, 250, 0), ("layer", False)),
    "listops": ((128, 10, 4, 10), ("adamw", 0.003, 0.03), (0.1, 50, 100, 1), ("batch", True)),
    "ptbxl": ((128, 6, 2, 10), ("adamw", 0.0045, 0.06), (0.2, 50, 100, 5), ("layer", False)),
    "cifar10-density": ((512, 48, 4, 9), ("adam", 0.001, 0.0), (0.1, 64, 250, 0), ("layer", True)),
}
PUBLISHED = {
    "scifar10": "93.15 %",
    "listops": "62.75 %",
    "cifar10-density": "2.84 bits",
    "ptbxl": "0.938",
    "ptbxl-diagnostic": "0.939",
    "ptbxl-subdiagnostic": "0.934",
    "ptbxl-superdiagnostic": "0.934",
    "ptbxl-form": "0.897",
    "ptbxl-rhythm": "0.975",
}
LABELS = {"all": 71, "diagnostic": 44, "subdiagnostic": 23, "superdiagnostic": 5, "form": 19, "rhythm": 12}  # Wagner et al. 2020
PTBXL = [name for name in TASKS if name.startswith("ptbxl")]


@pytest.mark.parametrize("name", PAPER)
def test_settings(name):
    task = get_task(name)
    network, training = task.network, task.training
    sizes, optimiser, schedule, choices = PAPER[name]
    assert (network.d_model, network.n_layers, network.kernel_size, network.J) == sizes
    assert (training.optimizer, training.lr) == optimiser[:2]
    if optimiser[0] == "adamw":
        assert training.weight_decay == optimiser[2]
    assert (network.dropout, training.batch_size, training.epochs, training.warmup_epochs) == schedule
    assert (network.norm, network.indep_res_init) == choices
    assert network.tree_select == "fading"
    assert network.tied
    assert training.clip is None
    assert training.seed == 1


@pytest.mark.parametrize("name", PTBXL)
def test_ptbxls_label_sets_share_their_settings(name):
    task, whole = get_task(name), get_task("ptbxl")
    assert task.training == whole.training
    assert task.network.d_output == LABELS["all" if name == "ptbxl" else name.removeprefix("ptbxl-")]
    assert ptbxl_data.LABEL_COUNTS == LABELS


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_results(name):
    assert PUBLISHED[name] in get_task(name).published


def test_inputs():
    shapes = {name: (get_task(name).network.d_input, get_task(name).network.max_length) for name in PAPER}
    assert shapes == {"scifar10": (3, 1024), "listops": (18, 2048), "ptbxl": (12, 1000), "cifar10-density": (3, 1024)}
    assert get_task("listops").network.encoder == "embedding"
    assert get_task("cifar10-density").network.d_output == 100  # ten logistics of three colours
