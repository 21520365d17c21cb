"""What the README, the guide and the recipes of the site show to type is run here: Python, and command lines in a small form.

Their links lead somewhere too. What stands in several of these texts is run once.
"""

import doctest
import re
import shutil
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from golden import DATA
from optional_imports import needs_of_example
from readme import FENCE, arguments, blocks, command_lines, inline_code, refusals

from multires_ref.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
SITE = ROOT / "tutorials/site"
PAGES = [ROOT / "README.md", *sorted(SITE.glob("*.md")), *sorted(SITE.glob("guide/*.md")), *sorted(SITE.glob("recipes/*.md"))]
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in PAGES}
TEXT = TEXTS["README.md"]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def each_once(find):
    """What `find` gives for each text, each with the first text that has it and its number there."""
    found = [(thing, f"{name}-{n}") for name, text in TEXTS.items() for n, thing in enumerate(find(text))]
    return dict(reversed(found))


EXAMPLES = each_once(lambda text: blocks(text, "python"))
SESSIONS = each_once(lambda text: [code for code in blocks(text, "") + blocks(text, "pycon") if code.startswith(">>>")])
LINES = each_once(command_lines)
SMALL = {  # beginning of a command line -> what is added to it here, so that it takes a second; the longest beginning counts
    "train": "--scale tiny --epochs 1 --quiet",
    "sample": "--n 1",
    "figures": "--only tree",
    "figures --run": "--only scales",
    "data listops": "--train 20 --val 5 --test 5 --min-length 5 --max-length 50 --workers 1",
    "verify errors": "--longest 64",
    "verify gradients": "--op gelu",
    "verify pywavelets all": "--level 1",
    "bench operator": "--quick --repeats 1 --out bench",
    "bench step": "--quick --repeats 1 --out bench",
    "bench scaling": "--quick --repeats 1 --out bench",
    "bench pyramid": "--quick --repeats 1 --out bench",
    "bench swt": "--quick --repeats 1 --out bench",
    "bench startup": "--quick --repeats 1 --out bench",
    "bench memories": "--quick --repeats 1 --out bench",
    "bench busy": "--quick --repeats 1 --out bench",
    "bench small": "--quick --repeats 1 --out bench",
    "bench sample": "--layers 1 --width 4 --length 16 --no-torch",
}
PARSED_ONLY = {  # whole command lines that cannot run in a test, and why; their flags are checked like the others'
    "data scifar10": "downloads 170 MB",
    "data scifar10 --url cifar-10-binary.tar.gz": "needs that file; test_cifar.py takes a small one",
    "bench": "takes minutes; the line of each part is run",
    "bench peers --threads 1": "needs aeon and an hour; test_bench_peers.py runs it on other data",
    "tutorials": "opens JupyterLab; test_tutorials.py runs the notebooks",
    "tutorials --site DIR": "test_site.py does that",
    "bench mpi": "starts processes by mpirun",
}
BEGINNINGS = ("train listops", "train scifar10", "explore")  # need data that `data TASK` fetches or generates, or serve a page
OF_MPIRUN = {"--oversubscribe", "--bind-to", "--map-by", "--hostfile"}  # flags in the prose that are not this command's


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that holds everything which the README's command lines name."""
    folder = tmp_path_factory.mktemp("readme")
    write_series(folder)
    for task in ("digits", "digits-density", str(folder / "heart.csv")):
        run = str(folder / f"runs/{Path(task).stem}-...")
        assert main(["train", task, *SMALL["train"].split(), "--out", run]) == 0
    shutil.copytree(folder / "runs/digits-...", folder / "DIR")
    for ending in (".pth", ".npz"):
        shutil.copy(DATA / f"classifier_layernorm{ending}", folder / f"x{ending}")
    np.save(folder / "heart.npy", np.sin(np.linspace(0, 40, 300)))
    return folder


def write_series(folder):
    """heart.csv with classes, ages.csv and other.csv with numbers."""
    for name, label, values in (("heart", "label", ["ill", "well"]), ("ages", "age", [40, 61]), ("other", "age", [52, 33])):
        rows = [f"{values[n % 2]},{n},{n + 1},{n % 5}" for n in range(20)]
        (folder / f"{name}.csv").write_text("\n".join([f"{label},t0,t1,t2", *rows]))


def small(line):
    """The arguments of a command line with what SMALL adds."""
    beginnings = [beginning for beginning in SMALL if f"{line} ".startswith(f"{beginning} ")]
    added = SMALL[max(beginnings, key=len)].split() if beginnings else []
    out = ["--out", f"run {line}".replace("/", " ")] if line.startswith("train") and "--out" not in line else []
    return [*arguments(line), *added, *out]


@pytest.mark.parametrize(("code", "where"), EXAMPLES.items(), ids=EXAMPLES.values())
def test_example_runs(code, where, tmp_path, monkeypatch):
    for library in sorted(needs_of_example(code)):
        pytest.importorskip(library, reason=f"{library} is not installed")
    monkeypatch.chdir(tmp_path)  # some draw pictures
    exec(compile(code, where, "exec"), {})


def test_every_recipe_is_short_and_can_be_tried():
    """About ten lines of code, and something to type in each."""
    recipes = {name: text for name, text in TEXTS.items() if "/recipes/" in name}
    assert len(recipes) >= 8
    for name, text in recipes.items():
        code = blocks(text, "python")
        assert code or command_lines(text), name
        assert all(len(block.splitlines()) <= 14 for block in code), name


def test_the_command_line_takes_every_command_line():
    assert len(LINES) > 25
    assert {"train", "evaluate", "sample", "verify", "bench", "figures", "info", "data"} <= {line.split()[0] for line in LINES}
    for text in (*TEXTS.values(), GUIDE):
        assert refusals(text) == {}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("```sh\nmultires-ref train digits --d-modle 32  # comment\n```\n", "--d-modle"),
        ("    multires-ref verify pytorch --refrence x.npz\n", "--refrence"),
        ("which `multires-ref bench operater` measures\n", "operater"),
        ("which `info digits\n--batch-sise 3` shows\n", "--batch-sise"),
        ("```sh\n.venv/bin/multires-ref trane digits\n```\n", "trane"),
    ],
)
def test_a_wrong_command_line_is_noticed(wrong, said):
    (why,) = refusals(f"{TEXT}\n\n{wrong}").values()
    assert said in why


@pytest.mark.parametrize("line", [n for n in LINES if n not in PARSED_ONLY and not n.startswith(BEGINNINGS)])
def test_command_line_runs(line, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    if line.startswith("verify pytorch"):
        pytest.importorskip("torch", reason="PyTorch is not installed").set_num_threads(1)
    elif line.startswith("bench"):
        monkeypatch.setitem(sys.modules, "torch", None)  # torch.compile takes minutes; test_bench.py tries it
    if "gpu" not in line.split("--device")[-1] or line.startswith("info"):
        assert main(small(line)) == 0, capsys.readouterr().err
        return
    try:
        import cupy  # noqa: F401
    except ImportError:
        assert main(small(line)) == 2
        assert "CuPy" in capsys.readouterr().err


@pytest.mark.parametrize("code", SESSIONS, ids=SESSIONS.values())
def test_session_says_what_it_shows(code, place, monkeypatch):
    """A session at the prompt, `module` being a network with its filters' taps reversed; its numbers may be others here."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from planted import plant_in_layers

    from multires_ref import compare, load_model
    from multires_ref.authors.torch_model import to_torch

    monkeypatch.chdir(place)
    torch.set_num_threads(1)
    model = load_model("x.pth", tree_select="fading")
    module = to_torch(model)
    plant_in_layers("taps")(module)
    x = np.random.default_rng(0).standard_normal((2, model.config.d_input, model.config.max_length)).astype("float32")
    names = {"compare": compare, "load_model": load_model, "module": module, "x": x}
    code = code.replace("\n...\n", "\nANYTHING\n")  # at the beginning of a line doctest takes dots for a prompt
    test = doctest.DocTestParser().get_doctest(code, names, "README.md", None, 0)
    runner, said = doctest.DocTestRunner(AnyNumber(), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE), []
    assert runner.run(test, out=said.append).failed == 0, "".join(said)


class AnyNumber(doctest.OutputChecker):
    """Takes one number in scientific notation for another."""

    def check_output(self, want, got, optionflags):
        want, got = (re.sub(r"\d\.\de[-+]\d\d", "NUMBER", text) for text in (want, got))
        return super().check_output(want.replace("ANYTHING", "..."), got, optionflags)


def test_flags_in_the_prose_exist(capsys):
    said = [code for text in TEXTS.values() for code in inline_code(text) if code.startswith("-")]
    flags = {match for code in said for match in re.findall(r"(?<!\S)--[a-z-]+", code)}
    assert len(flags) > 3
    known = set()
    for command in [[c] for c in COMMANDS] + [[c, k] for c, kinds in SUBCOMMANDS.items() for k in kinds]:
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        known |= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert flags - OF_MPIRUN <= known


SUBCOMMANDS = {"verify": ["pytorch", "pywavelets", "gradients", "errors"], "bench": ["operator", "sample", "gpu"]}


def test_what_is_installed_and_marked_exists():
    optional = PROJECT["project"]["optional-dependencies"]
    for text in (*TEXTS.values(), GUIDE):
        named = {name for extras in re.findall(r"-e '\.\[([\w,]+)\]'", text) for name in extras.split(",")}
        assert named <= set(optional)
        markers = {marker.split(":")[0] for marker in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
        assert set(re.findall(r"pytest [^`\n]*-m (\w+)", text)) <= markers


def test_two_commands_do_the_set_up():
    commands = re.findall(
        r"^python3 -m venv \.venv && \.venv/bin/pip install -q -e '\.\[\w+\]' && \.venv/bin/.*$", TEXT, flags=re.M
    )
    assert len(commands) == 2
    assert commands[0].endswith("multires-ref train digits")
    assert "pytest" in commands[1]


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_pictures_exist(path):
    """In the repository; `test_site.py` follows those of the site."""
    text = FENCE.sub("", path.read_text())
    for target in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", text):
        assert (path.parent / target).exists(), target
