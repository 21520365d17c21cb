"""The views of the page, one file each; a file here that defines `VIEW` is a view (see `view.py`)."""

from importlib import import_module
from pkgutil import iter_modules

from ..view import View, by_rank

modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
VIEWS = by_rank([module.VIEW for module in modules if isinstance(getattr(module, "VIEW", None), View)])
