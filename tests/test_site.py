"""The site: its links, its reference, its knobs, and how it is put at its place; what needs the built pages is slow.

`site` builds it once for all tests, also where several processes share them.
"""

import html
import json
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import multires_ref
from multires_ref.cli import COMMANDS, command_parser, main
from multires_ref.commands import site as building
from multires_ref.commands.knobs import KNOBS, remove_unused_knobs

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "tutorials"
NOTEBOOKS = sorted(TUTORIALS.glob("[0-9][0-9]*.ipynb"))
LIBRARIES = ("sphinx", "pydata_sphinx_theme", "numpydoc", "myst_nb", "sphinx_design", "sphinx_copybutton", "bokeh")


def load(name):
    """A module of the site's own sources."""
    spec = spec_from_file_location(name, TUTORIALS / f"site/{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = load("pages")

# Sources


def test_links_of_the_repository_become_links_of_the_site():
    text = "[a](../../03_x.ipynb#b) ![c](../../../figures/tree.svg) [d](../../../CHANGELOG.md) [e](http://x.org/y.md) [f](#g)"
    assert building.relinked(text, "tutorials/site/guide/gpu.md") == (
        "[a](../tutorials/03_x.ipynb#b) ![c](../figures/tree.svg) [d](../changelog.md) [e](http://x.org/y.md) [f](#g)"
    )
    assert building.relinked("[a](../README.md), [b](02_y.ipynb)", "tutorials/01_x.ipynb") == "[a](../index.md), [b](02_y.ipynb)"
    assert building.relinked("[a](README.md)", "tutorials/01_x.ipynb") == "[a](index.md)"


def test_the_glossary_is_the_packages():
    """Every cell of the docstring's table stands in the page's, in its column, and every line of the authors has its link."""
    made = pages.glossary(multires_ref.__doc__)
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in made.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in made.splitlines() if line.startswith("|")}) == 1
    assert [cell for cell in rows[4] if cell][:2] == ["m", "memory size: elements of z_n"]
    (filters,) = [row for row in rows if row[0] == "h0, h1"]
    assert filters[1].endswith("*lag order*: index k weights the sample k steps ago")
    assert filters[4:] == ["dec_lo, dec_hi", "h0, h1, reversed along K"]
    words = set(re.findall(r"[\w\[\]{}()^:.-]+", multires_ref.__doc__.split("Glossary.")[1].split("Read in this order")[0]))
    assert [word for word in words if word.rstrip(".:") not in made] == []
    assert made.count("multireslayer.py#L") == 5


def test_the_reference_lists_every_public_name_and_the_methods_of_this_package():
    listed = re.findall(r"^\| \[`(\w+)`\]\(reference/\1\.rst\) \| .", pages.table_of_names(), flags=re.M)
    assert sorted(listed) == sorted(multires_ref.PUBLIC)
    page = pages.reference_page("MultiresClassifier")
    assert ".. automethod:: MultiresClassifier.predict_proba" in page
    assert "set_params" not in page  # scikit-learn's
    assert "set_fit_request" not in page
    assert ".. autofunction:: pyramid" in pages.reference_page("pyramid")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_a_command_has_every_flag_of_it_and_of_its_sub_commands(name):
    parser = command_parser(name)
    page = pages.command_page(parser)
    for part in (parser, *pages.sub_parsers(parser).values()):
        section = page.split(f".. program:: {part.prog}\n")[1].split(".. program::")[0]
        for action in part._actions:
            for flag in action.option_strings:
                assert re.search(rf"^\.\. option:: (.*, )?{flag}\b", section, flags=re.M), (part.prog, flag)


def test_text_of_the_help_is_no_markup():
    assert pages.restructured("a*b, |x|_1 and `c*d`") == r"a\*b, \|x\|\_1 and ``c*d``"
    assert pages.description("Do it.\n\nmultires-ref x  1    why\nmultires-ref y\n\nAnd\nmore.") == [
        *("Do it.", "", ".. code-block:: sh", "", "   multires-ref x  # 1    why", "   multires-ref y", "", "And more.", "")
    ]


def test_compact_parameters_are_split():
    lines = [
        "Words; more words.",
        "",
        "Parameters",
        "----------",
        "x : array [L]; the signal,",
        "    long",
        "a, b : int, J and K",
    ]
    lines += ["c : str;  d : bool; whether", "", "Examples", "--------", ">>> a; b"]
    pages.split_parameters(None, "function", "f", None, None, lines)
    assert lines[4:10] == ["x : array [L]", "    the signal,", "    long", "a, b : int, J and K", "c : str", "d : bool"]
    assert lines[10] == "    whether"
    assert lines[0] == "Words; more words."
    assert lines[-1] == ">>> a; b"


def test_equations():
    """What cannot be converted is shown as it is, with a warning that names the place."""
    pytest.importorskip("sphinx", reason="sphinx is not installed")
    from docutils import nodes

    mathml = load("mathml").mathml
    assert "<mfrac>" in mathml(nodes.math_block("", r"\frac{a}{b}"), as_block=True)
    assert "\u229b" in mathml(nodes.math("", "h_0 \u229b a_1"))
    assert mathml(nodes.math("", r"\nonsense{a<b}")) == r"<code>\nonsense{a&lt;b}</code>"


# Knobs


def cells_with_knobs():
    """The ids of the cells that make a knob, in all notebooks."""
    notebooks = [json.loads(path.read_text(encoding="utf-8")) for path in NOTEBOOKS]
    cells = [cell for notebook in notebooks for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return {cell["id"] for cell in cells if re.search(r"\binteract\(", "".join(cell["source"]))}


def test_every_knob_has_its_stored_pictures():
    """Four to six, all different; `multires-ref tutorials --build` stores them, and removes those that are not used any more."""
    records = {path.stem: json.loads(path.read_text()) for path in (TUTORIALS / KNOBS).glob("*.json")}
    assert set(records) == cells_with_knobs()
    for name, record in records.items():
        pictures = [(TUTORIALS / KNOBS / f"{name}-{n}.png").read_bytes() for n in range(len(record["words"]))]
        assert 4 <= len(set(pictures)) == len(pictures) <= 6 or "temperature" in str(record)
        assert all(picture.startswith(b"\x89PNG") for picture in pictures)
        sizes = [len(control["values"]) for control in record["controls"]]
        assert len(pictures) == (sizes[0] if len(sizes) == 1 else sizes[0] * sizes[1])
    assert len(list((TUTORIALS / KNOBS).glob("*.png"))) == sum(len(record["words"]) for record in records.values())


def test_a_knob_is_recorded_where_the_notebook_is_built(tmp_path):
    """The pictures of both ends and the middle; the notebook itself is as without them."""
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")
    pytest.importorskip("jupytext", reason="jupytext is not installed")
    from multires_ref.commands.tutorials import build

    (tmp_path / "site").mkdir()
    source = "# %%\nfrom ipywidgets import interact\nfrom multires_ref.plots import plot_tree, show\n\n"
    source += "# %%\nknob = interact(lambda depth: show(plot_tree(depth, 2), f'{depth} levels'), depth=(1, 3))\n"
    (tmp_path / "01_knob.py").write_text(source)
    notebook = json.loads(build(tmp_path / "01_knob.py").read_text())
    assert [cell["execution_count"] for cell in notebook["cells"]] == [1, 2]
    assert notebook["cells"][1]["outputs"] == []
    name = notebook["cells"][1]["id"]
    record = json.loads((tmp_path / KNOBS / f"{name}.json").read_text())
    assert record["controls"] == [{"name": "depth", "values": ["1", "2", "3"], "start": 1}]
    assert record["words"] == ["1 levels", "2 levels", "3 levels"]
    assert building.knob(record, name).count("<img") == 3
    (tmp_path / "01_knob.ipynb").unlink()
    remove_unused_knobs(tmp_path)
    assert list((tmp_path / KNOBS).iterdir()) == []


# The place


# in the place of what `export_page` writes, which takes a minute and has tests of its own
SMALL_PAGE = "<!DOCTYPE html><title>explore</title><p>a page to play with</p>"


def test_a_missing_library_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "sphinx", None)
    assert main(["tutorials", "--site", str(tmp_path / "site")]) == 2
    assert capsys.readouterr().err == "multires-ref: the site needs sphinx: pip install 'multires-ref[site]'\n"
    assert list(tmp_path.iterdir()) == []


def test_another_folder_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["tutorials", "--site", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "--site must be a new folder, an empty one or an earlier site" in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("words", [["--build"], ["--", "--no-browser"]], ids=" ".join)
def test_it_is_a_task_of_its_own(words, tmp_path, capsys):
    assert main(["tutorials", "--site", str(tmp_path / "site"), *words]) == 2
    assert "--site is a task of its own" in capsys.readouterr().err


@pytest.fixture
def without_sphinx(monkeypatch):
    """A stand-in for Sphinx that writes one page, or fails."""

    def stand_in(source, out, fails=False):
        out.mkdir()
        (out / "index.html").write_text((source / "index.md").read_text())
        (out / ".buildinfo").touch()
        return 0

    monkeypatch.setattr(building, "import_from_extra", lambda *a: None)
    monkeypatch.setattr("multires_ref.explore.export.export_page", lambda path: path.write_text(SMALL_PAGE))
    monkeypatch.setattr(building, "call_sphinx", stand_in)


def test_an_earlier_site_is_replaced(without_sphinx, tmp_path, capsys):
    place = tmp_path / "new" / "site"
    for _ in range(2):
        assert main(["tutorials", "--site", str(place)]) == 0
        assert capsys.readouterr().out == f"{place / 'index.html'}\n"
        assert [path.name for path in place.parent.iterdir()] == ["site"]
        (place / "old.html").touch()
    assert building.build_site(place) == 0
    assert not (place / "old.html").exists()


@pytest.mark.parametrize(
    "error", [building.SiteError("Sphinx could not"), OSError(28, "No space left on device"), KeyboardInterrupt()]
)
def test_what_fails_leaves_the_earlier_site(without_sphinx, tmp_path, monkeypatch, error):
    building.build_site(tmp_path / "site")
    (tmp_path / "site/old.html").touch()

    def fail(source, out):
        out.mkdir()
        (out / "index.html").touch()
        raise error

    monkeypatch.setattr(building, "call_sphinx", fail)
    with pytest.raises(type(error)):
        building.build_site(tmp_path / "site")
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    assert (tmp_path / "site/old.html").exists()


# The pages


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built without a warning, by one process of pytest-xdist for all."""
    for library in LIBRARIES:
        pytest.importorskip(library, reason=f"{library}, which sphinx needs for the site, is not installed")
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built"
    try:
        shared.mkdir()
    except FileExistsError:
        wait_for(shared / "done")
    else:
        try:
            (shared / "log").write_text(call_command(shared / "site"))
        finally:
            (shared / "done").touch()
    assert (shared / "log").read_text() == ""
    return shared / "site"


def call_command(place):
    """`multires-ref tutorials --site` with a small page to play with; what it says but for the one line that is right."""
    command = "import sys, pathlib; import multires_ref.explore.export as export; from multires_ref.cli import main\n"
    command += f"export.export_page = lambda path: pathlib.Path(path).write_text({SMALL_PAGE!r})\n"
    command += f"sys.exit(main(['tutorials', '--site', {str(place)!r}]))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, timeout=300)
    said = done.stderr if done.stdout == f"{place / 'index.html'}\n" else done.stderr + done.stdout
    return said + (f"exit status {done.returncode}" if done.returncode else "")


def wait_for(path, seconds=300.0):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


class Page(HTMLParser):
    """What a page links to, what it loads, and which places in it can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.ids, self.words = [], [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href") is not None:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload", "modulepreload"):
            self.loads.append(found["href"])
        elif tag in ("img", "script", "iframe", "source", "video", "audio", "embed") and found.get("src"):
            self.loads.append(found["src"])
        elif tag == "object" and found.get("data"):
            self.loads.append(found["data"])


def broken(folder):
    """The links and files of a built site that lead nowhere, as (page, link); and what is loaded from another host."""
    found = (path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts)  # which holds the theme's templates
    read = {path: Page(path) for path in found}
    wrong = []
    for path, page in read.items():
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto", "data") or parts.netloc:
                wrong += [(path.name, link)] if link in page.loads and parts.scheme != "data" else []
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            inside = target.is_relative_to(folder.resolve()) and target.is_file()
            if not inside or (parts.fragment and target in read and unquote(parts.fragment) not in read[target].ids):
                wrong.append((path.name, link))
    return wrong


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here"></a><a href="b.html#gone"></a><a href="c.html"></a><img src="x.png"><a href="#top"></a>'
        '<script src="https://cdn.org/x.js"></script><link rel="stylesheet" href="//cdn.org/x.css"><a href="https://x.org"></a>'
    )
    (tmp_path / "b.html").write_text('<p id="here"></p><a href="../outside.html"></a>')
    found = {link for _, link in broken(tmp_path)}
    assert found == {"b.html#gone", "c.html", "x.png", "#top", "https://cdn.org/x.js", "//cdn.org/x.css", "../outside.html"}


@pytest.mark.slow
def test_every_link_holds_and_nothing_comes_from_another_host(site):
    pages_there = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert len(pages_there) > 80
    assert broken(site) == []
    for path in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), path


@pytest.mark.slow
def test_everything_has_its_page(site):
    """Notebooks, guide and recipes by what is in the folders; public names and commands by the package."""
    expected = [f"tutorials/{path.stem}.html" for path in NOTEBOOKS]
    expected += [f"{kind}/{path.stem}.html" for kind in ("guide", "recipes") for path in (TUTORIALS / "site" / kind).glob("*.md")]
    expected += [f"reference/{name}.html" for name in multires_ref.PUBLIC] + [f"command-line/{name}.html" for name in COMMANDS]
    expected += [
        "index.html",
        "explore.html",
        "play.html",
        "glossary.html",
        "changelog.html",
        "contributing.html",
        "tutorials/index.html",
        "search.html",
    ]
    assert [name for name in expected if not (site / name).is_file()] == []
    menu = {(site / "index.html").parent.joinpath(link).name for link in Page(site / "index.html").links}
    assert {"recipes.html", "guide.html", "reference.html", "command-line.html", "glossary.html"} <= menu
    assert "explore.html" in Page(site / "index.html").links
    assert "explore.html" in Page(site / "play.html").links
    train = Page(site / "command-line/train.html").ids
    assert {"cmdoption-multires-ref-train-lr", "cmdoption-multires-ref-train-out"} <= train


@pytest.mark.slow
def test_equations_outputs_and_knobs_stand_in_the_tutorials(site):
    """Every equation of the notebooks as MathML, every picture with its description, every knob with its pictures."""
    knobs = cells_with_knobs()
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = html.unescape((site / f"tutorials/{path.stem}.html").read_text(encoding="utf-8"))
        equations = sum("".join(c["source"]).count("$$") // 2 for c in cells if c["cell_type"] == "markdown")
        assert text.count("<math") == equations, path.stem
        assert "$$" not in text
        assert text.count('class="knob"') == sum(cell["id"] in knobs for cell in cells)
        pictures = [output for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
        for output in pictures:
            words = "".join(output["data"]["text/plain"])
            assert f'alt="{words}"' in text, words
    assert "<mfrac>" in (site / "tutorials/05_gradients.html").read_text(encoding="utf-8")


# In a browser


@pytest.fixture(scope="module")
def chromium():
    """Debian's chromium, driven by playwright."""
    import shutil

    playwright = pytest.importorskip("playwright.sync_api", reason="playwright, which drives chromium, is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"] if os.getuid() == 0 else [])
        yield browser
        browser.close()


@pytest.mark.slow
def test_pages_are_as_wide_as_a_phone_and_load_from_here_alone(site, chromium):
    """Nothing is wider than the window, nothing is asked of another host, nothing is complained about; in light and dark."""
    names = ["index", "tutorials/index", *(f"tutorials/{path.stem}" for path in NOTEBOOKS), "glossary", "reference", "changelog"]
    names += [
        path.relative_to(site).with_suffix("").as_posix() for part in ("guide", "recipes") for path in site.glob(f"{part}/*")
    ]
    names += [f"reference/{name}" for name in ("causal_swt", "CausalSWT", "MultiresClassifier")]
    names += [f"command-line/{name}" for name in ("train", "bench", "verify")]
    for scheme in ("light", "dark"):
        page = chromium.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme).new_page()
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)  # noqa: B023
        page.on("request", lambda request: asked.append(request.url))  # noqa: B023
        for name in names if scheme == "light" else names[:3]:
            page.goto((site / f"{name}.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert said == []
        assert {url.split(":")[0] for url in asked} <= {"file", "data"}
        assert page.evaluate("document.documentElement.dataset.theme") == scheme


@pytest.mark.slow
def test_a_knob_shows_the_picture_of_its_setting(site, chromium):
    page = chromium.new_page()
    page.goto((site / "tutorials/02_the_tree.html").as_uri())
    knob = page.locator(".knob")
    depth, taps = knob.locator("input").all()
    shown = []
    for value in ("0", "1", "2"):
        depth.fill(value)
        taps.fill("1")
        (picture,) = [image for image in knob.locator("img").all() if image.is_visible()]
        shown.append(picture.get_attribute("src")[-5])
        assert picture.evaluate("image => image.naturalWidth") > 300
    assert shown == ["1", "3", "5"]
    assert knob.locator("output").all_inner_texts() == ["5", "4"]
    page.keyboard.press("ArrowLeft")  # the last slider that was touched
    assert [image.get_attribute("src")[-5] for image in knob.locator("img").all() if image.is_visible()] == ["4"]


@pytest.mark.slow
def test_the_search_finds(site, chromium):
    page = chromium.new_page()
    page.goto((site / "search.html").as_uri() + "?q=causal_delay")
    page.locator("#search-results li").first.wait_for()
    assert "reference/causal_delay" in " ".join(a.get_attribute("href") for a in page.locator("#search-results a").all())
