"""How a command ends: its status and its one line; messages that nobody can read; what is not written is noticed."""

import errno
import io
import sys

import pytest

from multires_ref.base.streams import Patient, say
from multires_ref.cli import COMMANDS, main
from multires_ref.commands.status import exit_status


class Broken(io.StringIO):
    """A stream whose reader is not there, or whose disk is full."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def flush(self):
        raise self.error

    write = isatty = lambda self, *args: self.flush()


def raised(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("a must be b"), 2, "a must be b"),
        (TypeError("a must be b"), 2, "a must be b"),
        (ImportError("it needs c"), 2, "it needs c"),
        (FileNotFoundError("no checkpoint x"), 2, "no checkpoint x"),
        (OSError(errno.EACCES, "Permission denied", "a/b"), 2, "a/b: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "standard output: No space left on device"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
    ],
)
def test_what_ends_a_command(error, status, line, capsys):
    assert exit_status(raised(error)) == status
    assert capsys.readouterr() == ("", f"multires-ref: {line}\n" if line else "")


def test_other_errors_are_mistakes_of_the_program():
    with pytest.raises(ZeroDivisionError):
        exit_status(raised(ZeroDivisionError()))
    with pytest.raises(SystemExit) as stop:
        exit_status(raised(SystemExit(7)))
    assert stop.value.code == 7


@pytest.mark.parametrize("status", [0, 1, 3])
def test_a_command_that_ends_by_itself(status, capsys):
    assert exit_status(lambda: status) == status
    assert capsys.readouterr() == ("", "")


def test_output_that_is_not_written(monkeypatch, capsys):
    """A full disk is status 2, whatever the command thought; a reader that has gone is no error of a command that has ended."""
    monkeypatch.setattr(sys, "stdout", Broken(OSError(errno.ENOSPC, "No space left on device")))
    assert exit_status(lambda: 0) == 2
    assert capsys.readouterr().err == "multires-ref: standard output: No space left on device\n"
    monkeypatch.setattr(sys, "stdout", Broken(BrokenPipeError()))
    assert exit_status(lambda: 1) == 1


@pytest.mark.parametrize("stream", [None, Broken(OSError()), Broken(ValueError())], ids=["none", "full", "closed"])
def test_a_message_that_nobody_reads_stops_nothing(stream, monkeypatch):
    patient = Patient(stream)
    assert patient.write("x") == 0
    patient.flush()
    assert patient.isatty() is False
    monkeypatch.setattr(sys, "stderr", stream)
    say("x")


def test_messages_go_to_standard_error(capsys):
    say("one line")
    assert capsys.readouterr() == ("", "one line\n")
    stream = io.StringIO()
    assert Patient(stream).write("abc") == 3
    assert (stream.getvalue(), Patient(stream).isatty(), Patient(stream).closed) == ("abc", False, False)


def test_the_front_page_and_the_version(capsys):
    assert main([]) == 0
    page = capsys.readouterr().out
    assert all(f"  {name:<10} {text}" in page for name, text in COMMANDS.items())
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("multires-ref 0.")


def test_the_status_is_the_commands(monkeypatch):
    for given, status in ((None, 0), (0, 0), (1, 1)):
        monkeypatch.setattr("multires_ref.commands.info.run", lambda args, given=given: given)
        assert main(["info"]) == status
