"""The Tab key: argcomplete's protocol, as a shell speaks it, in a process of its own."""

import os
import subprocess
import sys

import pytest

from multires_ref.cli import COMMANDS
from multires_ref.commands.parser import whole_parser
from multires_ref.network.norms import NORMS
from multires_ref.tasks import TASKS


def completions(line, tmp_path):
    """What the shell would offer for the last word of `line`."""
    pytest.importorskip("argcomplete", reason="argcomplete is not installed")
    out = tmp_path / "completions"
    env = os.environ | {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    command = [sys.executable, "-c", "from multires_ref.cli import main; main()"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert not done.stderr
    return {word.strip() for word in out.read_text().split("\n") if word}


def test_commands(tmp_path):
    assert completions("multires-ref ", tmp_path) >= set(COMMANDS)
    assert completions("multires-ref tr", tmp_path) == {"train"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_on_the_line_has_its_arguments(command):
    """In this process: asking a shell for each would only take longer."""
    (subs,) = [action for action in whole_parser(COMMANDS, ["multires-ref", command])._actions if action.choices]
    assert set(subs.choices) == set(COMMANDS)
    assert [len(sub._actions) > 1 for name, sub in subs.choices.items()] == [name == command for name in COMMANDS]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train --d-mo", {"--d-model"}),
        ("train cif", {"cifar10-density"}),
        ("train digits --norm ", set(NORMS)),
        ("train digits --wavelet sym1", {f"sym1{n}" for n in range(10)}),
        ("evaluate x --split t", {"train", "test"}),
        ("data listops --min", {"--min-length"}),
        ("verify py", {"pytorch", "pywavelets"}),
        ("bench operator --q", {"--quick"}),
        ("info digits-", {"digits-density"}),
        ("figures --only forg", {"forgetting"}),
    ],
)
def test_flags_tasks_and_choices(line, expected, tmp_path):
    assert completions(f"multires-ref {line}", tmp_path) == expected


def test_tasks_are_all_offered(tmp_path):
    assert completions("multires-ref train ", tmp_path) >= set(TASKS)


def test_paths_are_offered_where_they_are_meant(tmp_path):
    (tmp_path / "runs").mkdir()
    assert completions("multires-ref info ru", tmp_path) == {"runs"}


def test_nothing_is_imported_without_the_shell_asking():
    code = """
import sys
from multires_ref.cli import main
try:
    main(["--version"])
except SystemExit:
    print("argcomplete" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[1] == "False"


def test_without_argcomplete_it_ends_quietly(tmp_path):
    code = "import sys; sys.modules['argcomplete'] = None; from multires_ref.cli import main; main()"
    env = os.environ | {"_ARGCOMPLETE": "1", "COMP_LINE": "multires-ref tr", "COMP_POINT": "15"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
