"""Every flag of every command has help and lists its choices; near misses are suggested; help fits its 100 columns."""

import argparse
import re
import shlex
import subprocess
import sys
from dataclasses import fields, replace
from importlib import import_module

import pytest

from multires_ref import NetworkConfig
from multires_ref.cli import COMMANDS, command_parser, main
from multires_ref.commands.parser import COLUMNS, Parser, UsageError
from multires_ref.commands.settings import CHOICES, HELP, add_setting_flags
from multires_ref.engines import ENGINES
from multires_ref.tasks import TASKS
from multires_ref.training.config import TrainingConfig

FOR_ALL = (NetworkConfig(1, 4, 8, 2, max_length=16), TrainingConfig(epochs=1, batch_size=5, lr=0.01))
CHOICE_LIKE = {"device", "split", "scale", "dtype", "kind", "encoder", "norm", "engine", "optimizer", "task", "tasks", "settings"}
CHOICE_LIKE |= {"tree_select", "filter_order", "part", "against"}


def sub_parsers(parser):
    """The parser and all parsers of its sub-commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from sub_parsers(sub)


PARSERS = {parser.prog: parser for name in COMMANDS for parser in sub_parsers(command_parser(name))}
ACTIONS = {
    f"{prog} {action.option_strings[0] if action.option_strings else action.dest}": (parser, action)
    for prog, parser in PARSERS.items()
    for action in parser._actions
}
each_parser = pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
each_action = pytest.mark.parametrize(("parser", "action"), ACTIONS.values(), ids=ACTIONS)


def text(parser, action):
    """The help as it is printed."""
    return parser._get_formatter()._expand_help(action) if action.help else ""


def test_all_are_found():
    assert len(PARSERS) >= len(COMMANDS) + 4 + 9 + 12  # verify's four, bench's nine, data's twelve
    assert len(ACTIONS) > 150


@each_action
def test_every_flag_has_help_with_its_default(parser, action):
    shown = text(parser, action)
    assert len(shown) >= 8, "no help, or hardly any"
    given = action.default not in (None, argparse.SUPPRESS, False, True)
    if given:
        assert "default" in shown
    if given and isinstance(action.default, (int, float)) and action.dest != "workers":
        assert f"{action.default}" in shown


@each_action
def test_choice_like_flags_list_their_choices(parser, action):
    if action.dest in CHOICE_LIKE:
        choices = TASKS if action.dest == "task" else action.choices  # `train` takes a file in the task's place too
        assert choices
        printed = "".join(parser.format_help().split())  # names are wrapped at their hyphens
        assert all(str(choice) in printed for choice in choices)


def test_help_and_choices_of_the_settings_are_complete():
    names = [field.name for config in FOR_ALL for field in fields(config)]
    assert sorted(HELP) == sorted(names)
    assert set(CHOICES) < set(names)


@pytest.mark.parametrize("config", FOR_ALL, ids=["network", "training"])
def test_the_choices_are_those_that_the_settings_accept(config):
    """A setting that refuses a made-up word with a list of choices must have exactly these as the choices of its flag."""
    for field in fields(config):
        if str(field.type) != "str":
            continue
        if field.name == "engine":  # checked where the run begins
            assert CHOICES["engine"] == (*ENGINES, "auto")
            continue
        with pytest.raises(ValueError, match="must be one of") as refusal:
            replace(config, **{field.name: "zzz"})
        listed = re.findall(r"'(\w+)'", str(refusal.value).split(";")[0])
        assert tuple(listed) == tuple(CHOICES[field.name])


@each_parser
def test_help_fits(parser, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert max(map(len, parser.format_help().splitlines())) <= COLUMNS
    assert parser.format_usage()


EXAMPLES = [
    re.split(r"\s{2,}", line)[0]
    for name in COMMANDS
    for line in import_module(f"multires_ref.commands.{name}").__doc__.splitlines()
    if line.startswith("multires-ref ")
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_in_the_help_are_understood(line):
    command, *words = shlex.split(line)[1:]
    assert vars(command_parser(command).parse_args(words)) is not None  # raises a UsageError where it is not


def test_each_command_has_examples():
    assert {line.split()[1] for line in EXAMPLES} == set(COMMANDS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train digits --d-modle 3", "unknown flag --d-modle (did you mean --d-model?)"),
        ("train --d-modle 3 digits", "unknown flag --d-modle (did you mean --d-model?)"),
        ("train digits --d-modle=3", "unknown flag --d-modle (did you mean --d-model?)"),
        ("train digits --d-mode 3", "unknown flag --d-mode (did you mean --d-model?)"),
        ("train digits --zzz 3", "unknown flag --zzz (see multires-ref train --help)"),
        ("bench operator --quik", "did you mean --quick?"),
        ("verify pytorch --dtyp both", "did you mean --dtype?"),
        ("data listops --trian 3", "did you mean --train?"),
        ("tutorials --no-browser", "options for JupyterLab go after --"),
        ("--versoin", "did you mean --version?"),
        ("trian digits", "did you mean 'train'"),
        ("train digitz", "did you mean 'digits'"),
        ("train digits --norm bach", "got 'bach' (did you mean 'batch'?)"),
        ("evaluate run --task digitz", "did you mean 'digits'"),
        ("verify pytroch", "did you mean 'pytorch'?"),
        ("bench oprator", "did you mean 'operator'"),
        ("data digitz", "did you mean 'digits'"),
        ("train digits --lr", "expected one argument (see multires-ref train --help)"),
        ("train", "TASK"),
        ("info --zz", "unknown flag --zz"),
    ],
)
def test_near_misses_are_suggested_in_one_line(line, message, capsys):
    assert main(line.split()) == 2
    out, error = capsys.readouterr()
    assert message in error
    assert error.count("\n") == 1
    assert not out


def test_abbreviated_flags_are_refused():
    """--check would mean --checkpoint-seconds today, and something else after the next setting."""
    with pytest.raises(UsageError, match="--checkpoint"):
        command_parser("train").parse_args(["digits", "--checkpoint", "3"])


def test_a_value_that_looks_like_a_flag_is_a_value():
    parser = Parser(prog="x")
    parser.add_argument("--title", help="a title")
    assert parser.parse_args(["--title=--a b"]).title == "--a b"


def test_setting_flags_take_their_choices():
    parser = Parser(prog="x")
    add_setting_flags(parser)
    assert parser.parse_args(["--norm", "batch", "--untied", "--wavelet", "none"]).wavelet is None


@pytest.mark.parametrize("words", [["--version"], ["train", "--help"], ["info", "digits"]], ids=" ".join)
def test_python_m_is_the_command(words):
    done = subprocess.run([sys.executable, "-m", "multires_ref", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    expected = {"--version": "multires-ref 0", "train": "usage: python -m multires_ref train", "info": "digits:"}
    assert expected[words[0]] in done.stdout


def test_python_m_reports_an_error_by_its_status():
    done = subprocess.run([sys.executable, "-m", "multires_ref", "trian"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "did you mean 'train'" in done.stderr
