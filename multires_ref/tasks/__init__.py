"""The data sets and the settings of the paper, and some smaller ones to learn with.

`task.py` says what a task is and how to add one. `TASKS` holds every task by its name: each module of this folder that defines a
tuple `TASKS` is found when the package is imported. The data, and the libraries that read them, are loaded when they are used.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ..base.checks import check_choice
from .task import Task


def find_tasks() -> dict[str, Task]:
    """The `TASKS` of every module in this folder that defines some, by name."""
    found: dict[str, Task] = {}
    for module in (import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)):
        for task in getattr(module, "TASKS", ()):
            if task.name in found:
                raise ValueError(f"two tasks are called {task.name!r}; one of them is in {module.__name__}")
            found[task.name] = task
    return found


TASKS = find_tasks()


def get_task(name: str) -> Task:
    """The task called `name`; for an unknown one, a ValueError with the nearest names.

    Examples
    --------
    >>> get_task("digits").objective
    'classification'
    """
    return TASKS[check_choice("task", name, TASKS)]
