"""The data sets and the settings of the paper, and other ones: small ones to learn with, and published comparisons.

`task.py` says what a task is and how to add one. `TASKS` holds every task by its name: each module of this folder that defines a
tuple `TASKS` is found when the package is imported. The data, and the libraries that read them, are loaded when they are used.
"""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from ..base.checks import check_choice
from .own_data import OwnData, own_task
from .task import Task


def find_tasks() -> dict[str, Task]:
    """The `TASKS` of every module in this folder that defines some, by name; first those without a published result."""
    modules = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)]
    tasks = [task for module in modules for task in getattr(module, "TASKS", ())]
    if twice := [name for name, n in Counter(task.name for task in tasks).items() if n > 1]:
        raise ValueError(f"tasks must have different names; two are called {', '.join(twice)}")
    return {task.name: task for task in sorted(tasks, key=lambda task: bool(task.published))}


TASKS = find_tasks()


def get_task(name: str) -> Task:
    """The task called `name`; for an unknown one, a ValueError with the nearest names.

    Examples
    --------
    >>> get_task("digits").objective
    'classification'
    """
    return TASKS[check_choice("task", name, TASKS)]


def task_of_run(about: dict[str, Any], data_dir: str | None = None) -> Task:
    """The task of a run, by what `about_run` says of it: one of `TASKS`, or that of a file of the user's own.

    Raises
    ------
    KeyError
        If `about` names no task.
    FileNotFoundError, ValueError
        If the file is gone, or has changed since the run began; `data_dir` is the folder where it is now.
    """
    if "own_data" in about:
        return own_task(OwnData.of_run(about, data_dir)).task
    return get_task(about["task"])
