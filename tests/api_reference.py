"""API.md, made from the code: `python tests/api_reference.py` writes it, `test_house.py` holds it to what this file makes."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import multires_ref

FILE = Path(__file__).parents[1] / "API.md"
HEAD = """# API reference

Every public name of `multires_ref`, with the first line of its docstring; `help(multires_ref.pyramid)` shows the whole: formula,
shapes, dtypes, errors, an example. Written by `python tests/api_reference.py`.
"""


def reference() -> str:
    """The whole text: a section for each module, in the order of `multires_ref.PUBLIC`."""
    parts = [HEAD]
    for module in dict.fromkeys(multires_ref.PUBLIC.values()):
        parts.append(f"\n## `{module}`\n\n")
        for name, place in multires_ref.PUBLIC.items():
            if place == module:
                parts += entries(name, getattr(multires_ref, name))
    return "".join(parts)


def entries(name: str, value: Any) -> list[str]:
    """A function's entry, or a class's with its public methods and `__call__` under it."""
    lines = [f"- **`{name}{signature(value)}`**  \n  {first_line(value)}\n"]
    for inner, member in vars(value).items() if inspect.isclass(value) else ():
        if inner == "__call__" or (not inner.startswith("_") and inspect.isroutine(member) and getattr(member, "__doc__", None)):
            called = name if inner == "__call__" else f"{name}.{inner}"
            bound = getattr(value, inner)
            lines.append(f"  - `{called}{signature(bound)}`  \n    {first_line(bound)}\n")
    return lines


def signature(value: Any) -> str:
    """The parameters and their defaults, without types; nothing for a warning, which nobody makes by hand."""
    if inspect.isclass(value) and issubclass(value, Warning):
        return ""
    found = inspect.signature(value)
    plain = [p.replace(annotation=p.empty) for p in found.parameters.values() if p.name != "self"]
    return str(found.replace(parameters=plain, return_annotation=found.empty))


def first_line(value: Any) -> str:
    """The docstring's first line; a method without one has none."""
    return (inspect.getdoc(value) or "(no description)").splitlines()[0]


if __name__ == "__main__":
    FILE.write_text(reference())
