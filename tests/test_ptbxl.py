"""PTB-XL from its own files, made small: label sets, folds, standardisation, cache, and a training run."""

import csv
import json
from importlib.util import find_spec

import numpy as np
import pytest

from multires_ref.cli import main
from multires_ref.network.init import parameter_shapes
from multires_ref.tasks import get_task
from multires_ref.tasks import ptbxl_data as data
from multires_ref.tasks.ptbxl import load_label_set
from multires_ref.tasks.task import LoadOptions

pytestmark = [
    pytest.mark.skipif(find_spec("wfdb") is None, reason="wfdb is not installed"),
    pytest.mark.filterwarnings("ignore:The inplace keyword"),  # wfdb 4.3 writes with what pandas 3 calls deprecated
]

# 44 diagnostic (of which 4 also form), 19 form, 12 rhythm: 71 statements, with 23 subclasses of 5 classes, as in the original
DIAGNOSTIC, FORM, RHYTHM = [[f"{kind}{n:02}" for n in range(count)] for kind, count in (("D", 44), ("F", 15), ("R", 12))]


def statement_rows():
    for n, code in enumerate(DIAGNOSTIC):
        yield [code, "1.0", "1.0" if n < 4 else "", "", f"CLASS{n % 5}", f"SUB{n % 23:02}"]
    for code in FORM:
        yield [code, "", "1.0", "", "", ""]
    for code in RHYTHM:
        yield [code, "", "", "1.0", "", ""]


def codes_of_record(n):
    """Record n: a diagnosis; a form or a rhythm for every third each; nothing known for every seventh."""
    codes = (
        {DIAGNOSTIC[n % 44]: 100.0} | ({FORM[n % 15]: 0.0} if n % 3 == 1 else {}) | ({RHYTHM[n % 12]: 0.0} if n % 3 == 0 else {})
    )
    return {"UNKNOWN": 100.0} if n % 7 == 6 else codes


def write_folder(folder, count=60):
    """Tables and recordings; returns the recordings [N, 12, 1000] as written."""
    wfdb = data.import_wfdb()
    (folder / "records100").mkdir(parents=True)
    rng = np.random.default_rng(0)
    with open(folder / data.STATEMENTS, "w", newline="") as file:
        header = ["", "diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"]
        csv.writer(file).writerows([header, *statement_rows()])
    rows, signals = [["ecg_id", "patient_id", "scp_codes", "strat_fold", "filename_lr", "filename_hr"]], []
    for n in range(count):
        signal = np.round(rng.standard_normal((1000, 12)).cumsum(axis=0) * 0.05, 3)
        wfdb.wrsamp(
            f"{n:05}_lr", 100, ["mV"] * 12, [f"L{c}" for c in range(12)], signal,
            fmt=["16"] * 12, adc_gain=[1000.0] * 12, baseline=[0] * 12, write_dir=str(folder / "records100"),
        )  # fmt: skip
        rows.append([n + 1, "7.0", str(codes_of_record(n)), n % 10 + 1, f"records100/{n:05}_lr", f"records500/{n:05}_hr"])
        signals.append(signal.T)
    with open(folder / data.DATABASE, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return np.stack(signals)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ptbxl")
    return folder, write_folder(folder)


def test_signals_folds_and_standardisation(written):
    folder, signals = written
    splits = load_label_set(LoadOptions(str(folder)), "all")
    n = np.arange(60)
    fold, known = n % 10 + 1, n % 7 != 6
    train = signals[(fold <= 8) & known]
    for name, rows in (("train", fold <= 8), ("val", fold == 9), ("test", fold == 10)):
        expected = (signals[rows & known] - train.mean()) / train.std()
        assert splits[name].x.dtype == np.float32
        np.testing.assert_allclose(splits[name].x, expected, atol=2e-5)
    x = splits["train"].x.astype(float)
    assert (x.mean(), x.std()) == pytest.approx((0, 1), abs=1e-5)


@pytest.mark.parametrize("label_set", data.LABEL_COUNTS)
def test_label_sets(written, label_set):
    """Every record's labels, worked out from the rules once more."""
    folder, _ = written
    records = data.read_records(folder)
    y, names = data.label_matrix(records, data.label_map(folder, label_set))
    assert len(names) == data.LABEL_COUNTS[label_set]
    of = {
        "all": lambda code: code,
        "diagnostic": lambda code: code if code[0] == "D" else None,
        "subdiagnostic": lambda code: f"SUB{int(code[1:]) % 23:02}" if code[0] == "D" else None,
        "superdiagnostic": lambda code: f"CLASS{int(code[1:]) % 5}" if code[0] == "D" else None,
        "form": lambda code: code if code[0] == "F" or code in DIAGNOSTIC[:4] else None,
        "rhythm": lambda code: code if code[0] == "R" else None,
    }[label_set]
    for n, row in enumerate(y):
        expected = {of(code) for code in codes_of_record(n) if code != "UNKNOWN"} - {None}
        assert {names[c] for c in np.flatnonzero(row)} == expected
    splits = load_label_set(LoadOptions(str(folder)), label_set)
    assert sum(map(len, splits.values())) == y.any(axis=1).sum()
    assert all(split.y.any(axis=1).all() for split in splits.values())


def test_cache_gives_the_same_and_is_made_anew_for_other_records(tmp_path):
    signals = write_folder(tmp_path / "a", count=10)
    records = data.read_records(tmp_path / "a")
    np.testing.assert_allclose(data.read_signals(tmp_path / "a", records), signals, atol=1e-6)
    (tmp_path / "a" / "records100" / "00003_lr.dat").unlink()  # from here on only the cache can serve
    np.testing.assert_allclose(data.read_signals(tmp_path / "a", records), signals, atol=1e-6)
    rest = [record for record in records if record.ecg_id != 4]
    np.testing.assert_allclose(data.read_signals(tmp_path / "a", rest), np.delete(signals, 3, axis=0), atol=1e-6)


def test_nothing_in_a_table_can_run(tmp_path):
    with pytest.raises(ValueError, match="scp_codes must be a dict"):
        data.codes_of("__import__('os').system('true')")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="lacks the columns c"):
        data.read_table(tmp_path / "t.csv", ("a", "c"))


def test_wrong_recordings_are_named(tmp_path):
    wfdb = data.import_wfdb()
    wfdb.wrsamp("x", 500, ["mV"] * 12, list("abcdefghijkl"), np.zeros((1000, 12)), fmt=["16"] * 12, write_dir=str(tmp_path))
    with pytest.raises(ValueError, match="at 100 Hz; got 12 of 1000 at 500 Hz"):
        data.read_signal(tmp_path / "x")


def test_missing_data_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"ptbxl_database\.csv is not in .* Download PTB-XL"):
        load_label_set(LoadOptions(str(tmp_path)), "all")


def test_through_the_command_line(written, tmp_path, capsys):
    """`data` describes, `train` runs, `evaluate` names the labels without a ROC curve."""
    folder, out = str(written[0]), tmp_path / "run"
    assert main(["data", "ptbxl-rhythm", "--data-dir", folder, "--out", str(tmp_path / "example.png")]) == 0
    printed = capsys.readouterr().out
    assert "60 recordings" in printed
    assert "label set rhythm: 12 labels" in printed
    assert "test: no ROC curve for R00" in printed
    settings = ["--scale", "tiny", "--epochs", "1", "--d-model", "4", "--n-layers", "1"]
    assert main(["train", "ptbxl-superdiagnostic", "--data-dir", folder, "--out", str(out), "--quiet", *settings]) == 0
    assert 0 <= json.loads((out / "metrics.json").read_text())["test_macro_auroc"] <= 1
    assert main(["evaluate", str(out)]) == 0
    assert "CLASS0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("task", "count"),
    [
        ("ptbxl", 222_791),
        ("ptbxl-diagnostic", 219_308),
        ("ptbxl-subdiagnostic", 216_599),
        ("ptbxl-superdiagnostic", 214_277),
        ("ptbxl-form", 216_083),
        ("ptbxl-rhythm", 215_180),
    ],
)
def test_parameter_counts_of_the_paper(task, count):
    assert sum(int(np.prod(shape)) for shape in parameter_shapes(get_task(task).network).values()) == count
