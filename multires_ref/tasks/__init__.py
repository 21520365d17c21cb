"""The data sets and the settings of the paper, a module each, loaded when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..base.checks import check_choice

if TYPE_CHECKING:
    from .task import Task

TASK_MODULES = {  # name on the command line -> module
    "digits": "digits",
    "digits-density": "digits_density",
    "scifar10": "cifar",
    "cifar10-density": "cifar",
    "listops": "listops",
    "listops-short": "listops",
    "ptbxl": "ptbxl",
    "ptbxl-diagnostic": "ptbxl",
    "ptbxl-subdiagnostic": "ptbxl",
    "ptbxl-superdiagnostic": "ptbxl",
    "ptbxl-form": "ptbxl",
    "ptbxl-rhythm": "ptbxl",
}


def get_task(name: str) -> Task:
    """The task called `name`; for an unknown one, a ValueError with the nearest names.

    A module holds one task, `TASK`, or several by name in a dict `TASKS`.

    Examples
    --------
    >>> get_task("digits").objective
    'classification'
    """
    module = import_module(f".{TASK_MODULES[check_choice('task', name, TASK_MODULES)]}", __package__)
    return module.TASKS[name] if hasattr(module, "TASKS") else module.TASK
