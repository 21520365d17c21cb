"""The exam in the tutorials' README: twenty questions, and the code of every answer gives the number that is printed."""

import ast
import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "tutorials" / "README.md").read_text()
MAP, EXAM = README.split("## The exam")
QUESTIONS = re.split(r"^### Question ", EXAM, flags=re.M)[1:]


def test_there_are_twenty_questions_in_order():
    assert [int(text.split(":")[0]) for text in QUESTIONS] == list(range(1, 21))


@pytest.mark.parametrize("text", QUESTIONS, ids=[text.split("\n")[0] for text in QUESTIONS])
def test_answer_is_what_its_code_finds(text):
    question, worked = text.split("<details><summary>Answer</summary>")
    assert question.strip().endswith(("?", "first.", "```"))
    printed = re.search(r"^\*\*`(.+?)`\*\*", worked.strip())[1]
    (code,) = re.findall(r"```python\n(.*?)```", worked, flags=re.S)
    names = {}
    exec(compile(code, "answer", "exec"), names)
    assert names["answer"] == ast.literal_eval(printed)
    assert "</details>" in worked


def test_buggy_layer_of_the_question_is_wrong_only_in_the_line_named():
    """The code shown in question 12, run as it stands and with its line 3 put right."""
    import numpy as np

    from multires_ref import multires_conv
    from multires_ref.tree import delay

    (shown,) = re.findall(r"```python\n(.*?)```", QUESTIONS[11].split("<details>")[0], flags=re.S)
    rng = np.random.default_rng(0)
    x, h0, h1, w = rng.standard_normal(30), rng.standard_normal(2), rng.standard_normal(2), rng.standard_normal(4)
    right = multires_conv(x[None, None], h0[None], h1[None], w[None], np.array([0.3]))[0, 0]
    results = []
    for code in (shown, shown.replace("2**i ", "2**(i-1) ")):
        names = {"delay": delay}
        exec(compile(code, "layer", "exec"), names)
        results.append(names["layer"](x, h0, h1, w, 0.3))
    assert not np.allclose(results[0], right)
    np.testing.assert_allclose(results[1], right, rtol=1e-12, atol=1e-12)
    lines = [line.split("#")[0].strip() for line in shown.splitlines() if "# line 3" in line]
    assert lines == ["dilation = 2**i"]


def test_map_names_every_tutorial_that_is_there():
    folder = Path(__file__).parent.parent / "tutorials"
    linked = re.findall(r"\((\d\d_\w+)\.ipynb\)", MAP)
    assert linked == sorted(linked)
    assert {path.stem for path in folder.glob("[0-9][0-9]_*.py")} <= set(linked)
