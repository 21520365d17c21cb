"""For tests of web pages: Debian's chromium, driven by playwright; pages that may not complain; a served `multires-ref explore`.

The root conftest.py makes the fixtures known to every test. There is one browser for each file of tests rather than one for the
session: while playwright runs, the thread has a running asyncio loop, and tests of notebooks or of Dask could not start theirs.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SIZE = {"width": 1280, "height": 900}
PATIENCE = 30.0  # seconds: for a server to answer, for a picture to change; on an idle machine it takes one


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; the test is skipped where it, or playwright, is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright, which drives chromium, is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as running:
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        chromium = running.chromium.launch(executable_path=program, args=["--no-sandbox"] if root else [])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """An empty page of 1,280 by 900 pixels; the test fails if what is opened in it writes an error to the console."""
    with open_page(browser) as page:
        yield page


@contextmanager
def open_page(browser: Any, **options: Any) -> Iterator[Any]:
    """A page of its own, with playwright's options of a context, such as viewport={"width": 400, "height": 800} or
    color_scheme="dark"; an AssertionError at the end if there was an error on it or in its console."""
    context = browser.new_context(**{"viewport": SIZE} | options)
    context.set_default_timeout(1000 * PATIENCE)
    page, errors = context.new_page(), []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert not errors, f"errors in the page's console: {errors}"


@contextmanager
def serve(*arguments: str | Path) -> Iterator[str]:
    """The address of `multires-ref explore ARGUMENTS`, served by a process of its own on a free port of this machine alone."""
    pytest.importorskip("bokeh", reason="bokeh is not installed")
    port = free_port()
    command = [sys.executable, "-m", "multires_ref", "explore", *map(str, arguments), "--no-browser", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/", process)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def wait_for(address: str, process: subprocess.Popen[str]) -> None:
    """Return as soon as the address answers; fail with what the process printed if it ends, or does not answer in time."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE):
                return
        except OSError:  # refused, or too slow
            time.sleep(0.05)
    process.kill()
    pytest.fail(f"nothing answers at {address}; the process printed:\n{process.communicate()[0]}")


def data_of(page: Any, name: str) -> dict[str, list]:
    """The columns of the Bokeh data source with that name, as the page holds them now."""
    code = """name => {
        const plain = value => Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value, plain) : value
        const source = Bokeh.documents[0].get_model_by_name(name)
        return Object.fromEntries(Object.entries(source.data).map(([column, values]) => [column, plain(values)]))
    }"""
    wait_for_model(page, name)
    return page.evaluate(code, name)


def set_value(page: Any, name: str, value: Any) -> None:
    """Give the Bokeh widget with that name a value, as its user would."""
    wait_for_model(page, name)
    page.evaluate("([name, value]) => { Bokeh.documents[0].get_model_by_name(name).value = value }", [name, value])


def wait_for_model(page: Any, name: str) -> None:
    """Wait until the page's Bokeh document is there and has a model with that name."""
    code = "name => window.Bokeh?.documents?.length > 0 && Bokeh.documents[0].get_model_by_name(name) !== null"
    page.wait_for_function(code, arg=name)


def wait_until(page: Any, happened: Callable[[], bool]) -> None:
    """Wait until `happened()` is true, while the page goes on; fail if it stays false."""
    end = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > end:
            pytest.fail("what the test waits for did not happen")
        page.wait_for_timeout(20)


def wait_until_it_fits(page: Any, width: int) -> None:
    """Wait until nothing is wider than the window: after a change of its size Bokeh lays out its parts in several rounds."""
    wait_until(page, lambda: page.evaluate("document.documentElement.scrollWidth") <= width)
