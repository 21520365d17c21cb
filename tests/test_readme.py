"""The README's Python runs, its two commands are what CI and a newcomer use, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.M | re.S)


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_runs(code):
    exec(compile(code, "README.md", "exec"), {})


def test_the_ten_lines_are_ten():
    assert len([line for line in EXAMPLES[0].splitlines() if line.strip()]) <= 11


def test_two_commands_do_the_set_up():
    commands = re.findall(
        r"^python3 -m venv \.venv && \.venv/bin/pip install -q -e '\.\[\w+\]' && \.venv/bin/.*$", TEXT, flags=re.M
    )
    assert len(commands) == 2
    assert commands[0].endswith("multires-ref train digits")
    assert "pytest" in commands[1]


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target
