"""What the page looks like in many states: each property that changes, in each of them, with equal values kept once.

The served page computes a view's data in Python when a setting changes. A page without Python can only choose among what was
computed before. `Recorder` watches a page's document while it goes through its states, and notes which properties of which models
were touched; `Pool` keeps their values, numbers as float32. Nothing here knows what a view draws.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

Path = tuple[str, ...]
HIDDEN = ("id", "js_property_callbacks", "js_event_callbacks", "subscribed_events", "syncable")


class Slot(NamedTuple):
    """One property of one model of the page, found from the root by `path`."""

    path: Path
    attribute: str


class Pool:
    """Values as JSON and as numbers, each kept once.

    `add` gives a value's number, `add_columns` that of a source's columns. In the browser, `values[number]` says how to make it:
    ["j", value]; ["m", [[key, value], ...]] for a dict whose keys are no texts; ["d", {column: number of its value}]; and for a
    column ["n", start, length] of the numbers, ["l", [numbers of values]] for a list of arrays, or ["c", [[colour, how often],
    ...]].

    Examples
    --------
    >>> pool = Pool()
    >>> pool.add_columns({"x": np.arange(3), "name": ["a"]}), pool.add({"x": [1, 2]}), pool.values
    (2, 3, [['n', 0, 3], ['j', ['a']], ['d', {'x': 0, 'name': 1}], ['j', {'x': [1, 2]}]])
    """

    def __init__(self) -> None:
        self.values: list[list[Any]] = []
        self.numbers: list[np.ndarray] = []
        self.count = 0
        self._known: dict[bytes, int] = {}

    def add(self, value: Any) -> int:
        """The number of a value of a property."""
        if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
            return self._keep(["m", [[key, plain(part)] for key, part in value.items()]])
        return self._keep(["j", plain(value)])

    def add_columns(self, columns: dict[str, Any]) -> int:
        """The number of a source's data."""
        return self._keep(["d", {name: self._add_column(column) for name, column in columns.items()}])

    def _add_column(self, column: Any) -> int:
        array = as_numbers(column)
        if array is not None:
            return self._add_numbers(array)
        if isinstance(column, list) and column and all(isinstance(part, (np.ndarray, list)) for part in column):
            return self._keep(["l", [self._add_column(part) for part in column]])
        if isinstance(column, list) and column and all(isinstance(part, str) and part.startswith("#") for part in column):
            return self._keep(["c", [[colour, len(list(run))] for colour, run in groupby(column)]])
        return self._keep(["j", plain(column)])

    def _add_numbers(self, array: np.ndarray) -> int:
        key = b"n" + array.tobytes()
        if key not in self._known:
            self._known[key] = len(self.values)
            self.values.append(["n", self.count, len(array)])
            self.numbers.append(array)
            self.count += len(array)
        return self._known[key]

    def _keep(self, entry: list[Any]) -> int:
        key = json.dumps(entry).encode()
        if key not in self._known:
            self._known[key] = len(self.values)
            self.values.append(entry)
        return self._known[key]

    def all_numbers(self) -> np.ndarray:
        """The numbers of all arrays, one after the other, float32."""
        return np.concatenate([np.zeros(0, np.float32), *self.numbers])


def as_numbers(value: Any) -> np.ndarray | None:
    """A one-dimensional array or list of numbers as float32; None for anything else."""
    if isinstance(value, list) and value and all(type(part) in (int, float) or isinstance(part, np.number) for part in value):
        value = np.array(value)
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iuf":
        return value.astype(np.float32)
    return None


def plain(value: Any) -> Any:
    """A value as JSON has it; Bokeh's fields and values as the dicts that they stand for."""
    if hasattr(value, "to_serializable"):
        return {name: plain(part) for name, part in vars(value).items() if type(part).__name__ != "_UnspecifiedType"}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return value


def models_below(root: Any) -> Iterator[tuple[Path, Any]]:
    """Every model that is reached from the root, once, with the path by which it was first reached: the same for equal pages."""
    waiting, seen = [((), root)], {root.id}
    while waiting:
        path, model = waiting.pop(0)
        yield path, model
        for attribute, value in sorted(model.properties_with_values(include_defaults=True).items()):
            if attribute not in HIDDEN:
                for step, child in models_in(value):
                    if child.id not in seen:
                        seen.add(child.id)
                        waiting.append(((*path, attribute, *step), child))


def models_in(value: Any) -> Iterator[tuple[Path, Any]]:
    """The models in a property's value: itself, or those in lists, dicts and fields."""
    from bokeh.model import Model

    if isinstance(value, Model):
        yield (), value
    elif isinstance(value, (list, tuple)):
        for n, part in enumerate(value):
            for step, model in models_in(part):
                yield (str(n), *step), model
    elif isinstance(value, dict):
        for key, part in value.items():
            for step, model in models_in(part):
                yield (str(key), *step), model


class Recorder:
    """Watches a document, and takes the values of all properties that were touched.

    Parameters
    ----------
    doc : bokeh.document.Document
    root : its root; every model that will change is below it now
    """

    def __init__(self, doc: Any, root: Any) -> None:
        self.models = dict(models_below(root))
        self.paths = {model.id: path for path, model in self.models.items()}
        self.first = static_values(self.models)
        self.touched: dict[Slot, None] = {}
        doc.on_change(self._note)

    def _note(self, event: Any) -> None:
        """A property was changed."""
        model, attribute = getattr(event, "model", None), getattr(event, "attr", None)
        if model is None or attribute is None or model.id not in self.paths:
            return
        path = self.paths[model.id]
        for slot in self._slots(path, attribute, getattr(model, attribute)):
            self.touched[slot] = None

    def _slots(self, path: Path, attribute: str, value: Any) -> Iterator[Slot]:
        """What stands for a touched property: itself, or where it holds one new model, that model's properties."""
        below = list(models_in(value))
        if not below:
            yield Slot(path, attribute)
        elif len(below) == 1 and below[0][0] == ():
            child = below[0][1]
            for name in child.properties_with_values(include_defaults=False):
                if name not in HIDDEN:
                    yield from self._slots((*path, attribute), name, getattr(child, name))

    def value(self, slot: Slot) -> Any:
        """What a slot holds now."""
        return getattr(self.follow(slot.path), slot.attribute)

    def follow(self, path: Path) -> Any:
        """The model that is at a path now."""
        found: Any = self.models[()]
        for step in path:
            if isinstance(found, (list, tuple)):
                found = found[int(step)]
            else:
                found = found[step] if isinstance(found, dict) else getattr(found, step)
        return found


def static_values(models: dict[Path, Any]) -> dict[Slot, Any]:
    """All properties without models in them."""
    found = {}
    for path, model in models.items():
        for attribute, value in model.properties_with_values(include_defaults=True).items():
            if attribute not in HIDDEN and not list(models_in(value)):
                found[Slot(path, attribute)] = value
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same as JSON."""
    return json.dumps(plain(one), default=repr) == json.dumps(plain(other), default=repr)
