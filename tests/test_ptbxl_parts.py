"""PTB-XL's parts, worked out once more: which recording stands where with which labels, what `data` counts, and the cache."""

import argparse

import numpy as np
import pytest
from test_ptbxl import codes_of_record, pytestmark, statement_rows, write_folder  # noqa: F401

from multires_ref.tasks import get_task, ptbxl
from multires_ref.tasks import ptbxl_data as data
from multires_ref.tasks.task import LoadOptions

COUNT = 60


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    return folder, write_folder(folder, COUNT)


def labels_by_hand(label_set):
    """The names of the set in alphabetical order, and a row of 0 and 1 for each recording."""
    column = {"subdiagnostic": 5, "superdiagnostic": 4}.get(label_set, 0)
    flag = {"form": 2, "rhythm": 3}.get(label_set, 1)
    label = {row[0]: row[column] for row in statement_rows() if label_set == "all" or row[flag] == "1.0"}
    names = sorted(set(label.values()))
    rows = [[float(name in {label.get(code) for code in codes_of_record(n)}) for name in names] for n in range(COUNT)]
    return names, np.array(rows)


@pytest.mark.parametrize("label_set", data.LABEL_COUNTS)
def test_labels_stand_beside_their_recordings(written, label_set):
    folder, signals = written
    names, y = labels_by_hand(label_set)
    fold = np.arange(COUNT) % 10 + 1
    task = get_task("ptbxl" if label_set == "all" else f"ptbxl-{label_set}")
    splits = task.load(LoadOptions(str(folder)))
    assert task.label_names(LoadOptions(str(folder))) == tuple(names)
    assert list(splits) == ["train", "val", "test"]
    parts = {"train": fold <= 8, "val": fold == 9, "test": fold == 10}
    train = signals[parts["train"] & y.any(axis=1)]
    for part, rows in parts.items():
        chosen = rows & y.any(axis=1)
        np.testing.assert_array_equal(splits[part].y, y[chosen])
        assert splits[part].y.dtype == splits[part].x.dtype == np.float32
        np.testing.assert_allclose(splits[part].x, (signals[chosen] - train.mean()) / train.std(), atol=2e-5)


def test_the_tiny_scale_reads_the_first_of_each_part(written, tmp_path, monkeypatch):
    """At most 64 of them, standardised among themselves; it leaves the cache alone, which the full scale writes."""
    folder, signals = written
    (folder / data.CACHE).unlink(missing_ok=True)
    _, y = labels_by_hand("all")
    fold, known = np.arange(COUNT) % 10 + 1, y.any(axis=1)
    train = signals[(fold <= 8) & known]
    splits = ptbxl.load_label_set(LoadOptions(str(folder), "tiny"), "all")
    np.testing.assert_allclose(splits["val"].x, (signals[(fold == 9) & known] - train.mean()) / train.std(), atol=2e-5)
    np.testing.assert_array_equal(splits["test"].y, y[(fold == 10) & known])
    assert not (folder / data.CACHE).exists()
    rows = ptbxl.choose_parts(np.repeat([1, 9, 10], 70), np.ones((210, 2)), "tiny")
    assert {part: index.tolist() for part, index in rows.items()} == {
        "train": list(range(64)),
        "val": list(range(70, 134)),
        "test": list(range(140, 204)),
    }
    ptbxl.load_label_set(LoadOptions(str(folder)), "all")
    with np.load(folder / "multires_ref_100hz.npz") as stored:
        assert stored["ecg_id"].tolist() == list(range(1, COUNT + 1))
        np.testing.assert_allclose(stored["signals"], signals, atol=1e-6)


def test_a_part_without_recordings_is_named():
    for part, folds in {"train": [9, 10], "val": [1, 8, 10], "test": [1, 9]}.items():
        with pytest.raises(ValueError, match=f"no recording with a label of this set in the folds of '{part}'"):
            ptbxl.choose_parts(np.array(folds), np.ones((len(folds), 2)), "full")
    with pytest.raises(ValueError, match="in the folds of 'val'"):  # it is there, and has no label
        ptbxl.choose_parts(np.array([1, 9, 10]), np.array([[1], [0], [1]]), "full")


@pytest.mark.parametrize("label_set", ["all", "form", "rhythm"])
def test_what_the_data_command_counts(written, label_set):
    """Recordings without a label of the set, and for each part the labels that none or all of its recordings have."""
    names, y = labels_by_hand(label_set)
    task = get_task("ptbxl" if label_set == "all" else f"ptbxl-{label_set}")
    lines = task.prepare(argparse.Namespace(data_dir=str(written[0])))
    assert lines[0] == f"{COUNT} recordings in {written[0]}, 12 leads of 1000 samples"
    without = int((y.sum(axis=1) == 0).sum())
    assert lines[1] == f"label set {label_set}: {len(names)} labels; {without} recordings without one are left out"
    fold, expected = np.arange(COUNT) % 10 + 1, []
    for part, rows in {"train": fold <= 8, "val": fold == 9, "test": fold == 10}.items():
        of_part = y[rows & y.any(axis=1)]
        absent = [name for name, column in zip(names, of_part.T, strict=True) if len(set(column)) < 2]
        if absent:
            expected.append(
                f"{part}: no ROC curve for {', '.join(absent)} (all their labels are equal); macro AUROC leaves them out"
            )
    assert lines[2:] == expected


@pytest.mark.parametrize("extra", [1, -1])
def test_another_number_of_labels_is_refused(tmp_path, written, extra):
    for name in (data.DATABASE, data.STATEMENTS):
        (tmp_path / name).write_text((written[0] / name).read_text())
    text = (tmp_path / data.STATEMENTS).read_text()
    text = text + "NEW,,,1.0,,\n" if extra > 0 else text.replace("R00,,,1.0", "R00,,,0.0")
    (tmp_path / data.STATEMENTS).write_text(text)
    with pytest.raises(ValueError, match=rf"gives {12 + extra} labels for 'rhythm'; 12 expected"):
        ptbxl.load_label_set(LoadOptions(str(tmp_path)), "rhythm")


def test_flags_and_empty_classes_of_statements(tmp_path):
    """A flag is 1 or 1.0; a diagnosis without a class is no label of the superdiagnostic set."""
    rows = ["A,1,,,X,XA", "B,1.0,,,Y,YB", "C,0,1,,,", "D,0.0,1.0,,,", "E,,,1,,", "F,1.0,,,,"]
    (tmp_path / data.STATEMENTS).write_text("\n".join([",diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass", *rows]))
    expected = {
        "all": {c: c for c in "ABCDEF"},
        "diagnostic": {c: c for c in "ABF"},
        "superdiagnostic": {"A": "X", "B": "Y"},
        "subdiagnostic": {"A": "XA", "B": "YB"},
        "form": {"C": "C", "D": "D"},
        "rhythm": {"E": "E"},
    }
    assert {name: data.label_map(tmp_path, name) for name in data.LABEL_COUNTS} == expected


HEADER = "ecg_id,scp_codes,strat_fold,filename_lr\n"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1,{},0,a", "strat_fold must be between 1 and 10; got 0"),
        ("1,{},-1,a", "strat_fold must be between 1 and 10; got -1"),
        ("9007199254740993,{},1,a", "ecg_id must be a whole number"),
        ("1,{},1,a/../b", "filename_lr must be a path inside the folder"),
        ("1,{},1,../b", "filename_lr must be a path inside the folder"),
        ("1,{},1,a/..", "filename_lr must be a path inside the folder"),
        ("1,{'A': '1'},1,a", "scp_codes must be a dict"),
        ("1,{'A': True},1,a", "scp_codes must be a dict"),
        ("1,{1: 1.0},1,a", "scp_codes must be a dict"),
        ("1,['A'],1,a", "scp_codes must be a dict"),
    ],
)
def test_a_wrong_cell_is_named(tmp_path, row, words):
    (tmp_path / data.DATABASE).write_text(HEADER + row + "\n")
    with pytest.raises(ValueError, match=rf"line 2 .*{words}"):
        data.read_records(tmp_path)


def test_a_row_as_it_is_kept(tmp_path):
    """Statements count whatever their likelihood, 0 included; numbers may be written as 7.0."""
    (tmp_path / data.DATABASE).write_text(HEADER + "\"7.0\",\"{'A': 100.0, 'B': 0.0, 'C': 0}\",10.0,records100/x_lr\n")
    assert data.read_records(tmp_path) == [(7, frozenset("ABC"), 10, "records100/x_lr")]
    (tmp_path / data.DATABASE).write_text(HEADER)
    with pytest.raises(ValueError, match="has no rows"):
        data.read_records(tmp_path)


def test_a_folder_that_takes_no_cache(written, monkeypatch):
    """The recordings are read all the same, and a warning says that they were not kept."""
    folder, signals = written
    (folder / data.CACHE).unlink(missing_ok=True)
    records = data.read_records(folder)[:3]

    def full(*names):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full)
    with pytest.warns(UserWarning, match="the recordings are not cached: .*no space left"):
        found = data.read_signals(folder, records)
    np.testing.assert_allclose(found, signals[:3], atol=1e-6)
    assert not (folder / data.CACHE).exists()


def test_a_cache_of_as_many_other_recordings_is_not_taken(written, tmp_path):
    """Nor one of the right recordings in numbers of another size, which counts as damaged."""
    folder, signals = written
    records, cache = data.read_records(folder), folder / data.CACHE
    cache.unlink(missing_ok=True)
    for chosen in (records[:3], records[3:6], records[2::-1]):
        rows = [record.ecg_id - 1 for record in chosen]
        np.testing.assert_allclose(data.read_signals(folder, chosen), signals[rows], atol=1e-6)
    np.savez(cache, ecg_id=np.array([1, 2, 3]), signals=signals[:3])
    with pytest.warns(UserWarning, match="must hold finite float32 signals of shape .*; got float64"):
        found = data.read_signals(folder, records[:3])
    assert found.dtype == np.float32


def test_a_recording_with_a_missing_sample_is_refused(tmp_path):
    wfdb = data.import_wfdb()
    signal = np.zeros((1000, 12))
    signal[500, 3] = np.nan
    wfdb.wrsamp("x", 100, ["mV"] * 12, list("abcdefghijkl"), signal, fmt=["16"] * 12, write_dir=str(tmp_path),
                adc_gain=[1000.0] * 12, baseline=[0] * 12)  # fmt: skip
    with pytest.raises(ValueError, match="samples that are not numbers"):
        data.read_signal(tmp_path / "x")
