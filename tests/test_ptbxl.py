"""PTB-XL from its own files, made small: label sets, folds, standardisation, cache, and a training run."""

import csv
import json
import os
import shutil
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
    """In no alphabetical order, as in the original."""
    for code in reversed(RHYTHM):
        yield [code, "", "", "1.0", "", ""]
    for code in FORM:
        yield [code, "", "1.0", "", "", ""]
    for n, code in reversed(list(enumerate(DIAGNOSTIC))):
        yield [code, "1.0", "1.0" if n < 4 else "", "", f"CLASS{n % 5}", f"SUB{n % 23:02}"]


def codes_of_record(n):
    """Record n: a diagnosis; a form or a rhythm for every third each; nothing known for every seventh."""
    codes = (
        {DIAGNOSTIC[n % 44]: 100.0} | ({FORM[n % 15]: 0.0} if n % 3 == 1 else {}) | ({RHYTHM[n % 12]: 0.0} if n % 3 == 0 else {})
    )
    return {"UNKNOWN": 100.0} if n % 7 == 6 else codes


def write_recording(path, samples):
    """A header and samples [1000, 12] of 16 bits, in millivolts times 1,000, lead beside lead: WFDB's format 16."""
    lines = [f"{path.name} 12 100 1000"]
    for c, lead in enumerate(samples.T):
        checksum = int(lead.sum(dtype=np.int64).astype(np.int16))
        lines.append(f"{path.name}.dat 16 1000.0(0)/mV 16 0 {lead[0]} {checksum} 0 L{c}")
    path.with_name(f"{path.name}.hea").write_text("\n".join(lines) + "\n")
    path.with_name(f"{path.name}.dat").write_bytes(samples.tobytes())


def write_folder(folder, count=60):
    """Tables and recordings; returns the recordings [N, 12, 1000] as written."""
    (folder / "records100").mkdir(parents=True)
    rng = np.random.default_rng(0)
    with open(folder / data.STATEMENTS, "w", newline="") as file:
        header = ["", "diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"]
        csv.writer(file).writerows([header, *statement_rows()])
    rows, signals = [["ecg_id", "patient_id", "scp_codes", "strat_fold", "filename_lr", "filename_hr"]], []
    for n in range(count):
        signal = np.round(rng.standard_normal((1000, 12)).cumsum(axis=0) * 0.05, 3)
        write_recording(folder / "records100" / f"{n:05}_lr", np.round(signal * 1000).astype("<i2"))
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


HEADER = "ecg_id,scp_codes,strat_fold,filename_lr\n"
ROW = "1,{'NORM': 100.0},1,records100/a\n".replace("{'NORM': 100.0}", "\"{'NORM': 100.0}\"")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("x,{},1,a", "line 3 (ecg_id x): ecg_id must be a whole number; got 'x'"),
        ("nan,{},1,a", "ecg_id must be a whole number; got 'nan'"),
        ("inf,{},1,a", "ecg_id must be a whole number; got 'inf'"),
        ("1,{},1,a", "line 3: ecg_id 1 stands in line 2 too"),
        ("2,{},11,a", "line 3 (ecg_id 2): strat_fold must be between 1 and 10; got 11"),
        ("2,{},1.5,a", "strat_fold must be a whole number; got '1.5'"),
        ("2,{},1,/etc/passwd", "filename_lr must be a path inside the folder"),
        ("2,{},1,records100/../../a", "filename_lr must be a path inside the folder"),
        ("2,{},1,..\\a", "filename_lr must be a path inside the folder"),
        ("2,{},1,http://x/a", "filename_lr must be a path inside the folder"),
        ("2,{},1,", "filename_lr must be a path inside the folder"),
        ("2,NORM,1,a", "line 3 (ecg_id 2): scp_codes must be a dict"),
        ("2," + "[" * 3000 + ",1,a", "scp_codes must be a dict"),
        ("2," + "{1:" * 90 + "1" + "}" * 90 + ",1,a", "scp_codes must be a dict"),
        ("2,{[]: 1},1,a", "scp_codes must be a dict"),
        ("2,{'A': '\\d'},1,a", "scp_codes must be a dict"),
        ("2," + "{'A': 1}" + " " * 20_000 + ",1,a", "scp_codes must be a dict"),
        ("2,{},1", "line 3: 4 cells are expected; it has fewer"),
        ("2,{},1,a,b", "line 3: 4 cells are expected; it has more"),
        ('2,"{}"x,1,a', "this is no row of a CSV file"),
        ("2," + "x" * 200_000 + ",1,a", "this is no row of a CSV file"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, words):
    (tmp_path / data.DATABASE).write_text(HEADER + ROW + row + "\n")
    with pytest.raises(ValueError) as error:
        data.read_records(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / data.DATABASE}, line ")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [("A,x,,,,", "line 2: diagnostic must be 1.0, 0.0 or empty; got 'x'"), ("A,1,,,,\nA,1,,,,", "line 3: statement 'A' stands")],
)
def test_a_wrong_statement_is_named(tmp_path, row, words):
    (tmp_path / data.STATEMENTS).write_text(",diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass\n" + row + "\n")
    with pytest.raises(ValueError, match=words):
        data.label_map(tmp_path, "diagnostic")


def damage(folder, kind):
    """Spoil recording 3 (ecg_id 4) in one way."""
    header, samples = (folder / "records100" / f"00003_lr{ending}" for ending in (".hea", ".dat"))
    text = header.read_text()
    if kind == "no samples":
        samples.unlink()
    elif kind == "half the samples":
        samples.write_bytes(samples.read_bytes()[:12000])
    elif kind == "a pipe":
        samples.unlink()
        os.mkfifo(samples)
    elif kind == "no header":
        header.unlink()
    elif kind == "an empty header":
        header.write_text("")
    elif kind == "no header but bytes":
        header.write_bytes(bytes(range(256)))
    elif kind == "a long header":
        header.write_text(text + "# more\n" * 20_000)
    elif kind == "a huge claim":
        header.write_text(text.replace(" 1000\n", " 1000000000000\n", 1))
    elif kind == "samples elsewhere":
        header.write_text(text.replace("00003_lr.dat", "../../00003_lr.dat"))
    elif kind == "a link out":
        samples.rename(folder.parent / "outside.dat")
        samples.symlink_to(folder.parent / "outside.dat")


DAMAGE = {
    "no samples": "00003_lr.dat",
    "half the samples": "",
    "a pipe": "00003_lr.dat must be a file; it is a pipe",
    "no header": "00003_lr.hea",
    "an empty header": "",
    "no header but bytes": "",
    "a long header": "its header must be at most 65,536 bytes long",
    "a huge claim": "must be 12 leads of 1000 samples at 100 Hz; got 12 of 1000000000000",
    "samples elsewhere": "",
    "a link out": "leads out of the folder",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_wrong_recording_is_named(written, tmp_path, kind):
    shutil.copytree(written[0], tmp_path / "p")
    (tmp_path / "p" / data.CACHE).unlink(missing_ok=True)
    damage(tmp_path / "p", kind)
    with pytest.raises(ValueError) as error:
        load_label_set(LoadOptions(str(tmp_path / "p")), "all")
    assert str(error.value).startswith(f"ecg_id 4, {tmp_path / 'p' / 'records100' / '00003_lr'}: ")
    assert DAMAGE[kind] in str(error.value)


def test_a_damaged_cache_is_said_and_made_anew(tmp_path):
    signals = write_folder(tmp_path / "a", count=10)
    records, cache = data.read_records(tmp_path / "a"), tmp_path / "a" / data.CACHE
    np.testing.assert_allclose(data.read_signals(tmp_path / "a", records), signals, atol=1e-6)
    whole = cache.read_bytes()
    ids = np.arange(1, 11)
    np.savez(tmp_path / "short.npz", ecg_id=ids, signals=signals[:, :, :10].astype("float32"))
    np.savez(tmp_path / "other.npz", x=ids)
    np.savez(tmp_path / "nan.npz", ecg_id=ids, signals=np.full(signals.shape, np.nan, "float32"))
    stored = [(tmp_path / f"{name}.npz").read_bytes() for name in ("short", "other", "nan")]
    flipped = whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 255]) + whole[len(whole) // 2 + 1 :]
    for damaged in (whole[:-1000], b"", flipped, *stored):
        cache.write_bytes(damaged)
        with pytest.warns(UserWarning, match=r"recordings is damaged and is made anew: .*multires_ref_100hz\.npz"):
            np.testing.assert_allclose(data.read_signals(tmp_path / "a", records), signals, atol=1e-6)
        np.testing.assert_allclose(data.read_signals(tmp_path / "a", records), signals, atol=1e-6)  # no warning


def test_folders_that_hold_no_data(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, state in (("empty", "is empty"), ("nowhere", "does not exist")):
        with pytest.raises(FileNotFoundError, match=rf"is not in .*{name}, which {state}\. Download PTB-XL"):
            load_label_set(LoadOptions(str(tmp_path / name)), "all")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file is a file; a folder with ptbxl_database\.csv"):
        load_label_set(LoadOptions(str(tmp_path / "file")), "all")


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
