"""What a test run collects where optional libraries are missing, a record of what was skipped for lack of one, PyTorch's threads.

Files that need a library which is not installed are left out; `tests/optional_imports.py` reads from the files which those are.
"""

import sys
from pathlib import Path

import pytest
from optional_imports import ROOT, is_installed, left_out, needs_of_example

LATER = ("torch", "bokeh", "sphinx", "mpi4py", "distributed", "twine", "chromium")  # what CI adds after its first run
LEFT_OUT = left_out()
collect_ignore = [str(path.relative_to(ROOT)) for path in LEFT_OUT]
SKIPPED = pytest.StashKey[set[str]]()
pytest_plugins = ("browser",)  # tests/browser.py: the fixtures `browser` and `page`


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-skipped", metavar="FILE", help="write here which files skipped something for lack of a library")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SKIPPED] = {str(path.relative_to(ROOT)) for path, libraries in LEFT_OUT.items() if libraries & set(LATER)}
    if config.getoption("--record-skipped") and not hasattr(config, "workerinput"):  # one of pytest-xdist's workers has that
        config.pluginmanager.register(Recorder(config.stash[SKIPPED], Path(config.getoption("--record-skipped"))))


class Recorder:
    """Writes the files, one a line, in which something was skipped for lack of one of `LATER`: `pytest @FILE` runs them again."""

    def __init__(self, files: set[str], out: Path) -> None:
        self.files, self.out = files, out

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple) and any(name in report.longrepr[2].lower() for name in LATER):
            self.files.add(report.nodeid.split("::")[0])

    pytest_runtest_logreport = pytest_collectreport = lambda self, report: self.note(report)

    def pytest_sessionfinish(self) -> None:
        self.out.write_text("".join(f"{file}\n" for file in sorted(self.files)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Examples in docstrings that import a library which is not installed are skipped."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            source = "".join(example.source for example in item.dtest.examples)
            for library in sorted(name for name in needs_of_example(source) if not is_installed(name)):
                item.add_marker(pytest.mark.skip(reason=f"its example needs {library}"))


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """Numba and PyTorch share one OpenMP, and Numba sets its number of threads for both: on a busy machine they then fight."""
    if "torch" in sys.modules and hasattr(sys.modules["torch"], "set_num_threads"):
        sys.modules["torch"].set_num_threads(1)
