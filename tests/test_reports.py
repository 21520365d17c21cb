"""What the reports of `verify` and `compare` say: verdicts, tables, sentences, JSON; made by hand, so without PyTorch."""

import json

import numpy as np
import pytest

from multires_ref.base.agreement import measure
from multires_ref.diagnose.compare import Comparison, Layer
from multires_ref.diagnose.report import Report, Row, Section, cancellation_noise, error_cells, nearer, nearer_notes
from multires_ref.diagnose.search import Cause, Finding
from multires_ref.diagnose.usual_mistakes import USUAL_MISTAKES, Mistake

ONES = np.ones(4, np.float32)
GOOD, BAD = measure(ONES, ONES, 1e-5), measure(ONES * np.float32(1.25), ONES, 1e-5)
LOST = measure(np.full(4, np.nan), ONES, 1e-5)


def section(*rows, title="float64, evaluation mode", notes=()):
    return Section(title, "float64", list(rows), list(notes))


# ---- verify --------------------------------------------------


@pytest.mark.parametrize("bad", [BAD, LOST])
def test_one_bad_number_fails_row_section_and_report(bad):
    right = Row("encoder", GOOD, GOOD)
    assert all(row.passed for row in (right, Row("a", GOOD), Row("a", gradient=GOOD)))
    for wrong in (Row("conv", bad, GOOD), Row("conv", GOOD, bad), Row("conv", bad), Row("conv", gradient=bad), Row("conv")):
        assert not wrong.passed
        for rows in ([wrong], [right, wrong], [wrong, right]):
            assert not section(*rows).passed
            for sections in ([section(*rows)], [section(right), section(*rows)], [section(*rows), section(right)]):
                report = Report("t", sections)
                assert not report.passed
                assert report.first_difference() == "conv"
                assert "verdict: 1 rows differ, the first of them conv (float64, evaluation mode)" in str(report)
                assert "within tolerance" not in str(report)
                assert report.to_dict()["passed"] is False
    assert Report("t", [section(right), section(right)]).passed
    assert Report("t", [section(right)]).first_difference() is None


def test_what_is_empty_does_not_pass_and_is_named():
    right = section(Row("encoder", GOOD))
    assert Report("t", []).verdict() == "verdict: not passed, nothing was compared"
    for sections in ([section(title="training")], [right, section(title="training")], [section(title="training"), right]):
        report = Report("t", sections)
        assert (report.passed, report.to_dict()["passed"]) == (False, False)
        assert report.verdict() == "verdict: not passed, nothing was compared in training"


def test_the_first_of_two_differences_and_how_many():
    one, two = section(Row("a", GOOD), title="first"), section(Row("b", BAD), Row("c", GOOD), Row("d", BAD), title="second")
    report = Report("t", [one, two, section(Row("e", BAD), title="third")], assumed=["depth = 4", "tree_select = fading"])
    assert report.first_difference() == "b"
    end = "; assumed, because it is not in the file: depth = 4, tree_select = fading"
    assert report.verdict() == f"verdict: 3 rows differ, the first of them b (second){end}"
    assert Report("t", [one], assumed=["depth = 4"]).verdict() == (
        "verdict: all within tolerance; assumed, because it is not in the file: depth = 4"
    )


def test_the_table():
    rows = [Row("encoder", GOOD, BAD, "ours", "same"), Row("w", gradient=GOOD, nearer_gradient="PyTorch")]
    text = str(Report("a title", [section(*rows, notes=["a note"])]))
    lines = text.split("\n")
    assert lines[:3] == ["a title", "", "float64, evaluation mode"]
    assert lines[3].split() == ["forward", "gradient"]
    assert lines[4].split() == ["relative", "largest", "ulp"] * 2 + ["nearer", "nearer", "verdict"]
    assert lines[3].index("gradient") > lines[4].index("ulp")
    assert lines[5].split() == ["encoder", *error_cells(GOOD), *error_cells(BAD), "ours", "same", "DIFFERS"]
    assert lines[6].split() == ["w", *error_cells(GOOD), "PyTorch", "ok"]
    assert lines[6].index("0.0e+00") > lines[4].index("ulp")  # below "gradient"
    assert lines[7:] == ["a note", "", "verdict: 1 rows differ, the first of them encoder (float64, evaluation mode)"]
    assert "nearer" not in str(Report("t", [section(Row("encoder", GOOD))]))
    only = str(Report("t", [section(Row("w", gradient=GOOD, nearer_gradient="same"))]))
    assert "nearer" in only


def test_cells_of_an_error():
    assert error_cells(None) == ["", "", ""]
    assert error_cells(BAD) == ["2.5e-01", "2.5e-01", "2.1e+06"]  # 0.25 / 2^-23
    assert error_cells(BAD._replace(ulp=99_999.0))[2] == "99999.0"
    assert error_cells(BAD._replace(ulp=100_000.0))[2] == "1.0e+05"
    assert error_cells(BAD._replace(relative=0.5, largest=0.125)) == ["5.0e-01", "1.2e-01", "2.1e+06"]


def test_json_is_the_report():
    rows = [Row("a", BAD, GOOD, "ours", "same"), Row("b", gradient=LOST), Row("c", measure(ONES, 0 * ONES, 1.0))]
    report = Report("a title", [section(*rows, notes=["a note"])], assumed=["depth = 4"])
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert {name: found[name] for name in ("title", "passed", "verdict", "assumed")} == {
        "title": "a title",
        "passed": False,
        "verdict": report.verdict(),
        "assumed": ["depth = 4"],
    }
    (part,) = found["sections"]
    assert (part["title"], part["dtype"], part["passed"], part["notes"]) == (
        "float64, evaluation mode",
        "float64",
        False,
        ["a note"],
    )
    a, b, c = part["rows"]
    assert a == {
        "name": "a",
        "forward": BAD._asdict(),
        "gradient": GOOD._asdict(),
        "nearer_forward": "ours",
        "nearer_gradient": "same",
        "passed": False,
    }
    assert b["forward"] is None
    assert (b["gradient"]["relative"], b["gradient"]["tolerance"], b["gradient"]["passed"]) == ("nan", 1e-5, False)
    assert (c["forward"]["relative"], c["forward"]["largest"]) == ("inf", 1.0)
    assert Report("t", [section(Row("a", GOOD))]).to_dict()["sections"][0]["rows"][0]["passed"] is True


def test_who_is_nearer():
    """By more than a tenth, in the norm, and to the truth."""
    truth = np.array([1.0, 2.0, 2.0])
    for ours, theirs, who in [
        (1.0, 1.2, "ours"),
        (1.2, 1.0, "PyTorch"),
        (1.0, 1.05, "same"),
        (1.05, 1.0, "same"),
        (0.0, 1.0, "ours"),
    ]:
        assert nearer(truth + 1e-3 * ours, truth - 1e-3 * theirs, truth) == who
    assert nearer(truth + [0, 0, 0.9], truth + [0.6, 0.6, 0.6], truth) == "ours"  # though its largest error is larger
    rows = [
        Row("a", GOOD, GOOD, "ours", "ours"),
        Row("b", GOOD, GOOD, "PyTorch", "same"),
        Row("c", gradient=GOOD, nearer_gradient="ours"),
    ]
    assert nearer_notes(rows, (1e-7, 2e-7)) == [
        "float64 truth: at the output ours is off by 1.0e-07, PyTorch by 2.0e-07 (relative)",
        "of 5 arrays ours is nearer in 3, PyTorch in 1, even in 1",
    ]


def test_the_noise_of_a_sum_that_cancels():
    """8 eps of the dtype times the sum of sizes over batch and time, of the worst channel."""
    terms = np.zeros((2, 3, 4))
    terms[:, 1], terms[0, 2, 0] = -1.0, 5.0  # channel 1 sums to 8 in size, channel 2 to 5
    assert cancellation_noise(terms) == 8 * 2.0**-52 * 8
    assert cancellation_noise(terms.astype(np.float32)) == 8 * 2.0**-23 * 8
    assert cancellation_noise(terms[:, :, 0]) == 8 * 2.0**-52 * 5  # [B, C]


# ---- compare --------------------------------------------------

NAMED = {mistake.name: mistake for mistake in USUAL_MISTAKES}
TANH, TAPS = NAMED["tanh for exact GELU"], NAMED["taps in the opposite order"]


def table(*errors):
    return [Layer(name, f"their {name}", error) for name, error in zip(("encoder", "conv", "gelu"), errors, strict=False)]


def comparison(evaluation=(GOOD, GOOD), training=(GOOD, GOOD), gradients=None, **more):
    layers = {"evaluation": table(*evaluation), "training": table(*training)}
    return Comparison(
        "a title", layers, {"evaluation": table(GOOD), "training": table(GOOD)} if gradients is None else gradients, **more
    )


def test_a_comparison_passes_where_all_agrees():
    right = comparison()
    assert (right.passed, right.first, right.mistakes) == (True, None, [])
    assert right.conclusions() == [
        "no layer differs, and no gradient of the parameters or of the input, in evaluation and training mode: "
        "the module computes what the paper defines"
    ]


@pytest.mark.parametrize("bad", [BAD, LOST])
def test_a_comparison_fails_for_each_table(bad):
    """In either mode, layer or gradient; and which is named first."""
    wrong = [
        (comparison(evaluation=(GOOD, bad)), "the first layer that differs is conv (their conv): relative error"),
        (comparison(training=(GOOD, bad)), "the first layer that differs in training mode is conv (their conv): relative error"),
        (comparison((GOOD, GOOD, bad), (bad, GOOD)), "the first layer that differs is gelu (their gelu): relative error"),
        (
            comparison(gradients={"evaluation": table(GOOD), "training": table(GOOD, bad)}),
            "the layers agree; the first gradient that differs is that of conv (their conv, training mode): relative error",
        ),
        (
            comparison(training=(bad,), gradients={"evaluation": table(bad)}),
            "the first layer that differs in training mode is encoder",
        ),
    ]
    for made, sentence in wrong:
        assert not made.passed
        assert sentence in str(made)
        assert f"relative error {bad.relative:.1e}" in str(made)
        assert "DIFFERS" in str(made)
        assert "computes what the paper defines" not in str(made)
        assert ("look for detach(), no_grad and backward of your own" in str(made)) == ("gradient that differs" in sentence)


def test_nothing_compared_is_no_agreement():
    for layers in ({}, {"evaluation": []}, {"evaluation": table(GOOD), "training": []}):
        made = Comparison("t", layers, {})
        assert not made.passed
        assert made.conclusions() == ["nothing was compared"]
    made = comparison(problems=["dropout is active"])
    assert not made.passed
    assert made.conclusions() == ["dropout is active"]


def test_a_comparison_claims_no_more_than_was_compared():
    made = comparison(
        not_compared=["layers that were not seen: blocks.0.gelu", "the gradients of h0"], assumed=["depth = 4", "n = 2"]
    )
    assert made.passed
    assert made.conclusions() == [
        "nothing that was compared differs: 2 layers (evaluation and training mode), "
        "and 1 gradients (evaluation and training mode)",
        "not compared: layers that were not seen: blocks.0.gelu; the gradients of h0",
        "assumed, because it is not in the file: depth = 4, n = 2",
    ]
    assert comparison(not_compared=["x", "y"]).conclusions()[1:] == ["not compared: x; y"]
    assert comparison(assumed=["n = 2"]).conclusions()[1:] == ["assumed, because it is not in the file: n = 2"]
    fewer = comparison(gradients={"evaluation": [], "training": table(GOOD, GOOD)}, not_compared=["x"])
    assert "2 gradients (training mode)" in fewer.conclusions()[0]
    assert "gradients" not in comparison(gradients={}, not_compared=["x"]).conclusions()[0]


def test_the_tables_of_a_comparison():
    text = str(comparison((GOOD, BAD), notes=["note: one"])).split("\n")
    assert text[0] == "a title"
    heads = [line.split("  ") for line in text if "verdict" in line]
    assert [[cell.strip() for cell in head if cell.strip()] for head in heads] == [
        [f"{mode} mode", what, "relative", "largest", "ulp", "verdict"]
        for what in ("module's layer", "gradient of")
        for mode in ("evaluation", "training")
    ]
    assert [line.split() for line in text if line.startswith("conv")] == [
        ["conv", "their", "conv", *error_cells(BAD), "DIFFERS"],
        ["conv", "their", "conv", *error_cells(GOOD), "ok"],
    ]
    assert "note: one" in text


def test_mistakes_in_words():
    """One, two together, one after the other, what remains, and a tree that is a matter of loading."""

    def said(*findings, searched=""):
        return comparison((GOOD, BAD), findings=list(findings), searched=searched).conclusions()[1:]

    tanh, taps = Cause((TANH,), "in block 1 only", range(1, 2)), Cause((TAPS,), "in every block", range(2))
    both = Cause((TAPS, TANH), "in every block", range(2))
    agrees = "every layer then agrees (evaluation and training mode; the gradients were not compared)"
    assert said(Finding((tanh,), None)) == [
        f"possible cause: tanh for exact GELU (in block 1 only); {agrees}",
        f"    right is: {TANH.right}",
    ]
    assert said(Finding((taps, tanh), "pool (training mode)"), searched="the rest is not explained") == [
        "possible cause: taps in the opposite order (in every block) and tanh for exact GELU (in block 1 only); "
        "then pool (training mode) is the first that differs",
        f"    right is: {TAPS.right}",
        f"    right is: {TANH.right}",
        "the rest is not explained",
    ]
    assert said(Finding((both,), None))[0] == (
        f"possible cause: taps in the opposite order and tanh for exact GELU (in every block); {agrees}"
    )
    tree = Mistake("uniform tree of depth 4", {"tree": ("uniform", 4)}, "load it so")
    other = Cause((tree,), "in every block", range(2))
    assert said(Finding((other,), None)) == [f"the module's tree is uniform with depth 4 (in every block): load it so; {agrees}"]
    assert said(Finding((other, tanh), None))[0].startswith("possible cause: uniform tree of depth 4 (in every block) and tanh")
    deeper = Cause((Mistake("fading tree of depth 3", {"tree": ("fading", 3)}, "or so"),), "in block 1 only", range(1, 2))
    assert said(Finding((other, deeper), None))[0] == (
        f"possible cause: uniform tree of depth 4 (in every block) and fading tree of depth 3 (in block 1 only); {agrees}"
    )
    made = comparison((GOOD, BAD), findings=[Finding((taps, tanh), None), Finding((other,), None)])
    assert made.mistakes == ["taps in the opposite order", "tanh for exact GELU", "uniform tree of depth 4"]
