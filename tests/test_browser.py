"""The fixtures of `browser.py`: a page that complains fails its test, and a server that does not start says why."""

import subprocess
import sys

import pytest
from browser import free_port, open_page, wait_for


@pytest.mark.parametrize("code", ["console.error('a mistake')", "setTimeout(() => { throw new Error('a mistake') })"])
def test_a_page_that_complains_fails(browser, code):
    def visit():
        with open_page(browser) as page:
            page.set_content(f"<p>A page.</p><script>{code}</script>")
            page.wait_for_timeout(50)

    with pytest.raises(AssertionError, match="a mistake"):
        visit()


def test_a_quiet_page_passes(page):
    page.set_content("<h1>A page</h1><script>console.log('all is well')</script>")
    assert page.inner_text("h1") == "A page"


def test_a_server_that_does_not_start_says_why():
    command = [sys.executable, "-c", "raise SystemExit('no such run')"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with pytest.raises(pytest.fail.Exception, match="no such run"):
        wait_for(f"http://127.0.0.1:{free_port()}/", process)
