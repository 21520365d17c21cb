"""Data sets in files: .npz, .csv and .ts against numbers by hand, round trips and aeon's loader; bad files by row and column."""

import contextlib
import csv
import re
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multires_ref.tasks.series_files import read_series

VALUES = st.floats(allow_nan=False, allow_infinity=False, width=64)
ONE = """# a comment
@problemName One
@timeStamps false
@univariate true
@classLabel true up down

@data
1,2,3:up
3,2.5,-1e2:down
"""
TWO = """@problemname Two
@timestamps false
@univariate false
@dimensions 2
@equallength false
@classlabel true 1 2
@data
1,2,3:4,5,6:1
7,8:9,10:2
"""
NUMBER = """@problemname Number
@timestamps false
@univariate true
@equallength true
@serieslength 2
@targetlabel true
@data
1,2:0.5
3,4:-2
"""
TS = {"one.ts": ONE, "two.ts": TWO, "number.ts": NUMBER}


def write(folder, name, text):
    """A file with that text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def assert_holds(data, series, labels):
    """The series and the labels are these, exactly."""
    assert [x.dtype for x in data.series] == [np.float64] * len(series)
    for got, wanted in zip(data.series, series, strict=True):
        np.testing.assert_array_equal(got, np.atleast_2d(wanted))
    if labels is None:
        assert data.labels is None
    else:
        np.testing.assert_array_equal(data.labels, labels)


WIDE = {
    "label first, a line of names": ("label,t0,t1\nup,1,2\ndown,3,4\n", None, [[1, 2], [3, 4]], ["up", "down"]),
    "a column called Class": ("t0,t1,Class\n1,2,0\n3,4,1\n", None, [[1, 2], [3, 4]], [0, 1]),
    "names that are numbers": ("0,1,target\n1,2,0.5\n3,4,1\n", None, [[1, 2], [3, 4]], [0.5, 1]),
    "no names: the last column": ("1,2,up\n3,4,down\n", None, [[1, 2], [3, 4]], ["up", "down"]),
    "no names: by its number": ("1,2,9\n3,4,8\n", "1", [[2, 9], [4, 8]], [1, 3]),
    "no names, no label": ("1,2\n3,4\n", "none", [[1, 2], [3, 4]], None),
    "names, no label": ("t0,t1\n1,2\n3,4\n", None, [[1, 2], [3, 4]], None),
    "names, a label by name": ("t0,kind,t1\n1,a,2\n3,b,4\n", "kind", [[1, 2], [3, 4]], ["a", "b"]),
    "shorter series, semicolons": ("y;t0;t1\n1;5;\n2;6;7\n", None, [[5], [6, 7]], [1, 2]),
    "tabs, an empty line, a byte order mark": ("\ufefflabel\tt0\n\nup\t1\n", None, [[1]], ["up"]),
    "labels with a comma in quotes": ('label,t0\n"a, b",1\n', None, [[1]], ["a, b"]),
    "01 and 1 are two labels": ("label,t0\n01,1\n1,2\n", None, [[1], [2]], ["01", "1"]),
}


@pytest.mark.parametrize(("text", "label", "series", "labels"), WIDE.values(), ids=WIDE)
def test_a_line_a_series(tmp_path, text, label, series, labels):
    assert_holds(read_series(write(tmp_path, "a.csv", text), label=label), series, labels)


def test_ids_name_the_series_and_what_is_assumed_is_said(tmp_path):
    data = read_series(write(tmp_path, "a.csv", "id,label,t0\nheart,up,1\nlung,down,2\n"))
    assert data.names == ["heart", "lung"]
    assert data.assumed == ("the column 'label' holds the labels",)
    data = read_series(write(tmp_path, "b.csv", "1,2,0\n3,4,1\n"))
    assert data.names == ["1", "2"]
    assert data.assumed == ("the first line holds values, no names", "the last column, 3, holds the labels")


def test_a_line_a_time_step(tmp_path):
    text = "id,time,left,right,label\na,0,1,10,up\nb,5,7,70,down\na,1,2,20,up\na,2,3,30,up\nb,6,8,80,down\n"
    data = read_series(write(tmp_path, "a.csv", text))
    assert_holds(data, [[[1, 2, 3], [10, 20, 30]], [[7, 8], [70, 80]]], ["up", "down"])
    assert (data.names, data.channels) == (["a", "b"], 2)
    assert data.assumed[-1] == "the channels are the columns left, right"


def test_times_may_be_dates_and_tenths(tmp_path):
    text = "ID,Time,value\na,2024-02-28 12:00,1\na,2024-02-29 12:00,2\na,2024-03-01 12:00,3\n"
    assert_holds(read_series(write(tmp_path, "a.csv", text)), [[1, 2, 3]], None)
    tenths = "".join(f"a,{1e6 + n / 10},{n}\n" for n in range(200))
    assert read_series(write(tmp_path, "b.csv", f"id,time,value\n{tenths}")).series[0].shape == (1, 200)


@given(st.lists(st.lists(VALUES, min_size=1, max_size=9), min_size=1, max_size=6), st.data())
@settings(deadline=None, max_examples=40)
def test_csv_round_trip(tmp_path_factory, series, draw):
    labels = draw.draw(st.lists(st.text(string.ascii_letters + ",;\" '", min_size=1), min_size=len(series), max_size=len(series)))
    labels = [f"x{label.strip()}" for label in labels]
    width, path = max(map(len, series)), tmp_path_factory.mktemp("csv") / "a.csv"
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", *(f"t{n}" for n in range(width))])
        rows.writerows([label, *map(repr, x), *[""] * (width - len(x))] for label, x in zip(labels, series, strict=True))
    assert_holds(read_series(path), series, labels)


@given(
    st.integers(1, 5), st.integers(1, 3), st.integers(1, 7), st.sampled_from(["float32", "float64", "int16", "bool"]), st.data()
)
@settings(deadline=None, max_examples=40)
def test_npz_round_trip(tmp_path_factory, n, channels, L, dtype, draw):
    rng = np.random.default_rng(draw.draw(st.integers(0, 99)))
    X, lengths = rng.normal(0, 9, (n, channels, L)).astype(dtype), rng.integers(1, L, n, endpoint=True)
    y = draw.draw(st.sampled_from([np.arange(n), rng.normal(size=(n, 2)), np.array([f"c{i}" for i in range(n)])]))
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    np.savez_compressed(path, X=X, y=y, lengths=lengths)
    assert_holds(read_series(path), [x[:, :k] for x, k in zip(X, lengths, strict=True)], y)
    np.savez(path, X=X[:, 0], target=y)
    assert_holds(read_series(path), X[:, :1], y)
    assert_holds(read_series(path, label="none"), X[:, :1], None)


def test_ts_by_hand(tmp_path):
    assert_holds(read_series(write(tmp_path, "one.ts", TS["one.ts"])), [[1, 2, 3], [3, 2.5, -100]], ["up", "down"])
    assert_holds(read_series(write(tmp_path, "two.ts", TS["two.ts"])), [[[1, 2, 3], [4, 5, 6]], [[7, 8], [9, 10]]], [1, 2])
    assert_holds(read_series(write(tmp_path, "number.ts", TS["number.ts"])), [[1, 2], [3, 4]], [0.5, -2.0])


@pytest.mark.parametrize("name", TS)
def test_ts_is_what_aeon_reads(tmp_path, name):
    datasets = pytest.importorskip("aeon.datasets")
    path = write(tmp_path, name, TS[name])
    X, y = datasets.load_from_ts_file(str(path))
    data = read_series(path)
    for got, wanted in zip(data.series, X, strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(data.labels.astype(y.dtype), y)


def ts(line, *header):
    """A .ts file with that one line after @data."""
    return "\n".join(["@timestamps false", *header, "@data", line, ""])


BAD_TEXTS = {
    "empty.csv": ("", "is empty"),
    "names.csv": ("label,t0\n", "is empty: it holds a line of names"),
    "nan.csv": ("label,t0,t1\nup,1,2\nup,1,nan\n", r"line 3, column 3 \(t1\) must hold a finite number; it holds 'nan'"),
    "hole.csv": ("label,t0,t1\nup,,2\n", r"line 2, column 2 \(t0\) must hold a finite number; it is empty"),
    "text.csv": ("1,2,up\n1,x,up\n", "line 2, column 2 must hold a finite number; it holds 'x'"),
    "underscore.csv": ("label,t0\nup,1_0\n", "line 2, column 2 .* it holds '1_0'"),
    "width.csv": ("label,t0,t1\nup,1,2\nup,1\n", "line 3: 2 columns, but 3 in the first line"),
    "nothing.csv": ("label,t0,t1\nup,,\n", "line 2: the series is empty"),
    "unlabelled.csv": ("label,t0\n,1\n", "line 2, column 1 must hold a label; it is empty"),
    "twice.csv": ("label,a,a\nup,1,2\n", "line 1: two columns are called 'a'"),
    "cell.csv": (f'label,t0\n"{"a" * 200_000}",1\n', "line 2: field larger than field limit"),
    "time.csv": ("time,value\n0,1\n1,2\n", "a column called time needs one called id"),
    "still.csv": ("id,time,v\na,0,1\na,0,2\n", "line 3, column 2: times must increase"),
    "uneven.csv": ("id,time,v\na,0,1\na,1,2\na,3,2\n", "line 4, column 2: times must be evenly spaced; the step is 2 here and 1"),
    "rates.csv": ("id,time,v\na,0,1\na,1,2\nb,0,2\nb,2,2\n", "line 5, column 2: times must be evenly spaced"),
    "date.csv": ("id,time,v\na,noon,1\n", "line 2, column 2 must hold a finite number; it holds 'noon'"),
    "changed.csv": ("id,time,v,label\na,0,1,up\na,1,2,down\n", "line 3, column 4: the label of id 'a' is 'down', but 'up' above"),
    "values.csv": ("id,time,label\na,0,up\n", "there is no column of values"),
    "no_data.ts": ("@timestamps false\n", "has no line @data"),
    "nothing.ts": ("@data\n", "is empty"),
    "not.ts": ("1,2,3\n", "line 1: a line that begins with @"),
    "word.ts": (ts("1", "@colour red"), "line 2: @colour is not known"),
    "switch.ts": (ts("1", "@missing maybe"), "line 2: @missing must be true or false"),
    "count.ts": (ts("1", "@dimensions two"), "line 2: @dimensions must be a whole number above 0"),
    "stamps.ts": ("@timestamps true\n@data\n(0,1):up\n", "time stamps"),
    "missing.ts": (
        ts("1,2:3,?:up", "@classlabel true up"),
        r"line 4, dimension 2, column 2 must .* it holds '\?'",
    ),
    "class.ts": (ts("1,2:left", "@classlabel true up down"), "line 4: the class must be one of .*up, down; got 'left'"),
    "target.ts": (ts("1,2:", "@targetlabel true"), "line 4, the target must hold a finite number; it is empty"),
    "dimensions.ts": (ts("1,2:up", "@dimensions 2", "@classlabel true up"), "line 5: 2 dimensions and a class are expected"),
    "lengths.ts": (ts("1,2:3:up", "@classlabel true up"), "line 4, dimension 2: 1 values, but 2 are expected"),
    "equal.ts": (ts("1,2", "@equallength true", "@serieslength 3"), "line 5, dimension 1: 2 values, but 3 are expected"),
    "both.ts": (ts("1,2", "@classlabel true a", "@targetlabel true"), "cannot both be true"),
    "one_or_two.ts": (ts("1,2", "@univariate true", "@dimensions 2"), "@univariate is true, but @dimensions is 2"),
    "channels.ts": (ts("1,2\n1,2:3,4"), "series 2: it has 2 channels; the series above have 1"),
    "a.tsv": ("1\t2\n", r"must end in \.npz, \.csv, \.ts"),
    "a.npz": ("not a zip file", r"must be an \.npz file"),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_a_bad_file_is_named_with_row_and_column(tmp_path, name):
    text, message = BAD_TEXTS[name]
    refused(write(tmp_path, name, text), message)


def refused(path, message, **options):
    """The file is refused with one line that begins with its name."""
    with pytest.raises(ValueError, match=message) as caught:
        read_series(path, **options)
    assert re.match(re.escape(str(path)), str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


ONES = np.ones((3, 2, 4))
BAD_ARRAYS = {
    "no X": ({"x": ONES}, "must hold an array called X"),
    "rank": ({"X": np.ones(3)}, r"X must have shape \[n, L\]"),
    "nothing": ({"X": np.ones((0, 4))}, "is empty"),
    "texts": ({"X": np.array([["a"]])}, "X must hold real numbers"),
    "complex": ({"X": ONES * 1j}, "X must hold real numbers"),
    "NaN": (
        {"X": np.array([[1.0, 2.0], [3.0, np.nan]])},
        "X, row 2, channel 1, column 2 must hold a finite number; it holds nan",
    ),
    "lengths": ({"X": ONES, "lengths": np.array([4, 5, 4])}, "lengths must be between 1 and 4, as X has it; row 2 says 5"),
    "lengths of floats": ({"X": ONES, "lengths": np.ones(3)}, "lengths must be 3 whole numbers"),
    "y": ({"X": ONES, "y": np.arange(2)}, "y must hold 3 labels"),
    "y NaN": ({"X": ONES, "y": np.array([0, 1, np.nan])}, "y, row 3 must be finite"),
    "objects": ({"X": ONES, "y": np.array(["a", 1, None], object)}, "Object arrays cannot be loaded"),
}


@pytest.mark.parametrize(("arrays", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_bad_arrays(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    refused(tmp_path / "a.npz", message)


def test_nan_in_the_padding_does_no_harm(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.array([[1.0, np.nan], [2.0, 3.0]]), lengths=[1, 2])
    assert_holds(read_series(tmp_path / "a.npz"), [[1], [2, 3]], None)


def test_a_label_that_is_not_there(tmp_path):
    refused(write(tmp_path, "a.csv", "label,t0\nup,1\n"), "no column is called 'kind'; the columns are label, t0", label="kind")
    refused(write(tmp_path, "b.csv", "1,2\n"), "the label must be the number of a column, 1 to 2, or none; got '3'", label="3")
    refused(write(tmp_path, "c.ts", TS["one.ts"]), "says itself what its labels are", label="kind")
    np.savez(tmp_path / "d.npz", X=ONES)
    refused(tmp_path / "d.npz", "has no labels called 'kind'; it holds X", label="kind")


def test_a_damaged_npz_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=np.random.default_rng(0).normal(size=(9, 9)))
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        with contextlib.suppress(ValueError):  # and no other error, whichever byte is damaged
            read_series(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        read_series(Path(tmp_path / "nothing.csv"))
