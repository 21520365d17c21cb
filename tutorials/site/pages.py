"""The pages that Sphinx finds nowhere: the reference of public names and of the command line, and the glossary.

They are written from the package itself when a build begins. Each stands in a page with an introduction, `reference.md`,
`command-line.md` and `glossary.md`, in the place of a comment such as <!-- names -->.
"""

from __future__ import annotations

import argparse
import inspect
import re
from pathlib import Path

import multires_ref
from multires_ref.cli import COMMANDS, command_parser

TREE = "```{toctree}\n:hidden:\n\n%s\n```\n"  # the pages of a folder, for the menu
SECTIONS = ("Parameters", "Other Parameters", "Attributes", "Returns", "Yields")


def write_pages(app) -> None:
    """Everything below, written into the folder of sources, which is a temporary one."""
    folder = Path(app.srcdir)
    if not (folder / "tutorials").is_dir():
        raise FileNotFoundError("build the site with: multires-ref tutorials --site DIR")
    fill(
        folder / "reference.md", "names", table_of_names() + TREE % "\n".join(f"reference/{name}" for name in multires_ref.PUBLIC)
    )
    fill(folder / "command-line.md", "commands", table_of_commands() + TREE % "\n".join(f"command-line/{c}" for c in COMMANDS))
    fill(folder / "glossary.md", "glossary", glossary(multires_ref.__doc__))
    for name in multires_ref.PUBLIC:
        write(folder / f"reference/{name}.rst", reference_page(name))
    for name in COMMANDS:
        write(folder / f"command-line/{name}.rst", command_page(command_parser(name)))


def fill(page: Path, word: str, text: str) -> None:
    """Put `text` in the place of the comment <!-- word -->."""
    page.write_text(page.read_text().replace(f"<!-- {word} -->", text))


def write(page: Path, text: str) -> None:
    page.parent.mkdir(exist_ok=True)
    page.write_text(text)


# The public names


def table_of_names() -> str:
    """A table for every folder or file of the package, in the order of `multires_ref.PUBLIC`."""
    rooms: dict[str, list[str]] = {}
    for name, module in multires_ref.PUBLIC.items():
        row = f"| [`{name}`](reference/{name}.rst) | {markdown(first_line(getattr(multires_ref, name)))} |"
        rooms.setdefault(module.split(".")[0], []).append(row)
    return "".join(
        f"\n## `{room}`\n\n| name | what it is |\n|---|---|\n" + "\n".join(rows) + "\n\n" for room, rows in rooms.items()
    )


def reference_page(name: str) -> str:
    """A function; or a class, with the methods that this package gave it."""
    value = getattr(multires_ref, name)
    kind = "class" if inspect.isclass(value) else "function"
    lines = [name, "=" * len(name), "", ".. currentmodule:: multires_ref", "", f".. auto{kind}:: {name}"]
    if kind == "class":
        lines += ["", *(f"   .. automethod:: {name}.{method}" for method in methods(value))]
        lines += [f"   .. autoattribute:: {name}.{attribute}" for attribute in properties(value)]
    return "\n".join(lines) + "\n"


def methods(value: type) -> list[str]:
    """The documented public methods of a class, and `__call__`, that are defined in this package, in the order of its text."""
    found = {}
    for base in reversed(value.__mro__):
        if base.__module__.startswith(multires_ref.__name__):
            found |= vars(base)
    ours = (name for name in found if getattr(getattr(value, name), "__module__", "").startswith(multires_ref.__name__))
    public = (name for name in ours if name == "__call__" or not name.startswith("_"))
    return [name for name in public if inspect.isroutine(found[name]) and getattr(value, name).__doc__]


def properties(value: type) -> list[str]:
    """The documented public properties of a class."""
    members = inspect.getmembers(value, lambda member: isinstance(member, property) and member.__doc__)
    return [
        name for name, member in members if not name.startswith("_") and member.fget.__module__.startswith(multires_ref.__name__)
    ]


def first_line(value) -> str:
    return inspect.getdoc(value).splitlines()[0]


def markdown(text: str) -> str:
    """Text whose stars, bars and brackets are no markup."""
    return re.sub(r"([*|\[\]<])", r"\\\1", text)


def split_parameters(app, what, name, value, options, lines: list[str]) -> None:
    """Numpydoc's form of a compact docstring: in "x : array; the signal", what stands behind the semicolon is the description.

    Two spaces behind a semicolon begin another parameter.
    """
    section, changed = "", []
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        section = line if below and set(below) == {"-"} else section
        if section not in SECTIONS or line.startswith(" "):
            changed.append(line)
            continue
        for entry in line.split(";  "):
            kind, _, words = entry.partition("; ")
            changed += [kind, f"    {words}"] if words else [kind]
    lines[:] = changed


# The command line


def table_of_commands() -> str:
    rows = [f"| [`{name}`](command-line/{name}.rst) | {text} |" for name, text in COMMANDS.items()]
    return "| command | what it does |\n|---|---|\n" + "\n".join(rows) + "\n\n"


def command_page(parser: argparse.ArgumentParser) -> str:
    """A command; its sub-commands, if it has any, are sections."""
    lines = [*heading(parser.prog, "="), *described(parser)]
    for name, sub in sub_parsers(parser).items():
        lines += [*heading(f"{parser.prog} {name}", "-"), *described(sub)]
    return "\n".join(lines) + "\n"


def heading(text: str, line: str) -> list[str]:
    return ["", text, line * len(text), ""]


def sub_parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Each once, in order."""
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: sub for action in actions for name, sub in action.choices.items()}


def described(parser: argparse.ArgumentParser) -> list[str]:
    """The description, the usage, and every argument with its help."""
    usage = parser.format_usage().removeprefix("usage: ").rstrip().splitlines()
    lines = [*description(parser.description or ""), ".. code-block:: text", "", *(f"   {line}" for line in usage), ""]
    lines += [f".. program:: {parser.prog}", ""]
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            lines += argument(parser, action)
    return lines


def description(text: str) -> list[str]:
    """Paragraphs as they are; examples, whose lines begin with the command, as code."""
    lines = []
    for paragraph in filter(None, re.split(r"\n\s*\n", text.strip())):
        rows = paragraph.splitlines()
        if rows[0].startswith("multires-ref "):
            lines += [".. code-block:: sh", "", *(f"   {shell_comment(row)}" for row in rows), ""]
        else:
            lines += [restructured(" ".join(paragraph.split())), ""]
    return lines


def shell_comment(row: str) -> str:
    """An example's explanation, which stands two spaces or more behind it, as the shell's comment, so that the line can be copied."""
    return re.sub(r"(?<=\S)(\s{2,})(?=\S)", r"\1# ", row, count=1)


def argument(parser: argparse.ArgumentParser, action: argparse.Action) -> list[str]:
    """What is typed, and its help."""
    formatter = parser._get_formatter()
    if action.option_strings:
        value = (
            "" if action.nargs == 0 else " " + formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
        )
        typed = ", ".join(flag + value for flag in action.option_strings)
    else:
        typed = formatter._metavar_formatter(action, action.dest)(1)[0]
    help_text = formatter._expand_help(action) if action.help else ""
    return [f".. option:: {typed}", "", f"   {restructured(' '.join(help_text.split()))}", ""]


def restructured(text: str) -> str:
    """Plain text as reStructuredText: `code` is literal, nothing else is markup."""
    parts = re.split(r"`([^`]+)`", text)
    plain = [re.sub(r"([\\*|_`])", r"\\\1", part) for part in parts[::2]]
    literal = [f"``{part}``" for part in parts[1::2]]
    return "".join(part for pair in zip(plain, [*literal, ""], strict=True) for part in pair)


# The glossary


def glossary(text: str) -> str:
    """The glossary in the package's docstring, of three paragraphs, whose second, a table of symbols, becomes one in Markdown."""
    before, table, after = text.split("Glossary. ")[1].split("Read in this order:")[0].strip().split("\n\n")
    rows = [f"| {' | '.join(cells)} |" for cells in table_rows(table)]
    rows.insert(1, "|---" * (rows[0].count("|") - 1) + "|")
    return f"{before}\n\n" + "\n".join(rows) + f"\n\n{linked(after)}\n"


def table_rows(table: str) -> list[list[str]]:
    """The cells of a table in columns, which begin where the words of its first line do; a line without a symbol goes on."""
    head, *lines = table.strip("\n").splitlines()
    starts = [match.start() for match in re.finditer(r"\S+(?: \S+)*", head)]
    rows: list[list[str]] = []
    for line in (head, *lines):
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [f"{above} {cell}".strip() for above, cell in zip(rows[-1], cells, strict=True)]
    return rows


def linked(text: str) -> str:
    """The address of the authors' file as a link, and so are the lines in it, such as #L62-L64."""
    (address,) = re.findall(r"https://\S+[^\s:.,]", text)
    words = re.sub(r"(?<!\S)#(L\d+-L\d+)", rf"[\1]({address}#\1)", " ".join(text.split()))
    return words.replace(f"at {address}", f"in [their file]({address})")


# What is registered with Sphinx


def name_role(role, rawtext, text, lineno, inliner, options=None, content=None):
    """A word in backticks: a link where it is a public name, else code."""
    from docutils import nodes
    from sphinx.addnodes import pending_xref

    code = nodes.literal(rawtext, text, classes=["code"])
    if text.rstrip("()") not in multires_ref.PUBLIC:
        return [code], []
    target = f"multires_ref.{text.rstrip('()')}"
    return [pending_xref(rawtext, code, refdomain="py", reftype="obj", reftarget=target, refwarn=True)], []


def setup(app):
    """What Sphinx calls."""
    from docutils.parsers.rst import roles

    roles.register_local_role("name", name_role)
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", split_parameters, priority=100)  # before numpydoc's
    return {"parallel_read_safe": True, "parallel_write_safe": True}
